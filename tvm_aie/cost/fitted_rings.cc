// Rings of core memory that messages fill (cost/fitted_rings.h).
#include "cost/fitted_rings.h"

#include <algorithm>
#include <limits>

namespace tvm_aie {
namespace {

int32_t CeilDiv(int32_t a, int32_t b) { return (a + b - 1) / b; }

}  // namespace

Slots::Slots(const SlotSizes& sizes, int64_t message) : sizes_(sizes) {
  for (int64_t k = 0; k < sizes.count(); ++k) {
    const auto slot = static_cast<int32_t>(sizes.largest - k * sizes.align);
    const int32_t slots = std::max(CeilDiv(static_cast<int32_t>(message), slot), 1), bytes = slots * slot;
    ways_[static_cast<size_t>(k)] = {slots, bytes, static_cast<int32_t>(sizes.most_slots) / slots,
                                     CeilDiv(static_cast<int32_t>(sizes.least), bytes)};
  }
}

std::optional<Ring> Slots::Exactly(int64_t messages) const {
  int64_t found = -1, fewest = std::numeric_limits<int64_t>::max();
  for (int64_t k = 0; k < sizes_.count(); ++k) {
    const Way& way = ways_[static_cast<size_t>(k)];
    if (messages <= way.most && way.bytes * messages >= sizes_.least && way.bytes < fewest) {
      found = k;
      fewest = way.bytes;
    }
  }
  if (found < 0) return std::nullopt;
  return RingOf(found, messages);
}

std::optional<Ring> Slots::Within(int64_t room, int64_t most) const {
  const auto bytes = static_cast<int32_t>(std::clamp<int64_t>(room, 0, std::numeric_limits<int32_t>::max()));
  int64_t found = -1, messages = 0;
  for (int64_t k = 0; k < sizes_.count(); ++k) {
    const Way& way = ways_[static_cast<size_t>(k)];
    const int64_t here = std::min<int64_t>(std::min(bytes / way.bytes, way.most), std::max<int64_t>(most, way.needed));
    if (here <= 0 || here < way.needed) continue;
    const bool fewer = here == messages && way.bytes < ways_[static_cast<size_t>(found)].bytes;
    if (here > messages || fewer) {
      found = k;
      messages = here;
    }
  }
  if (found < 0) return std::nullopt;
  return RingOf(found, messages);
}

}  // namespace tvm_aie
