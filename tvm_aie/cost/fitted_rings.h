// Rings of core memory that messages fill: what each ring is worth is in python/tvm_aie/schedule/rings.py.
#ifndef TVM_AIE_COST_FITTED_RINGS_H_
#define TVM_AIE_COST_FITTED_RINGS_H_

#include <array>
#include <cstdint>
#include <optional>

namespace tvm_aie {

struct Ring {
  int64_t slot, slots;  // bytes of a slot, slots

  int64_t bytes() const { return slot * slots; }
};

// The slots that a ring may have: multiples of `align` bytes down from the largest.
struct SlotSizes {
  static constexpr int64_t kMostSizes = 32;

  int64_t align, smallest, largest;
  int64_t least;       // bytes of a ring
  int64_t most_slots;  // of a ring

  int64_t count() const { return (largest - smallest) / align + 1; }
};

// The ways in which messages of some bytes fill slots.
class Slots {
 public:
  Slots(const SlotSizes& sizes, int64_t message);

  // The ring of so many messages in the fewest bytes, of equal ones that of the largest slots.
  std::optional<Ring> Exactly(int64_t messages) const;

  // Likewise of as many messages as `room` bytes hold, but of at most `most`, or as many as the least ring has.
  std::optional<Ring> Within(int64_t room, int64_t most) const;

 private:
  struct Way {
    int32_t slots, bytes;   // of a message
    int32_t most, needed;  // messages of a ring, and of the least one
  };

  Ring RingOf(int64_t way, int64_t messages) const {
    return {sizes_.largest - way * sizes_.align, ways_[static_cast<size_t>(way)].slots * messages};
  }

  SlotSizes sizes_;
  std::array<Way, SlotSizes::kMostSizes> ways_;
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_FITTED_RINGS_H_
