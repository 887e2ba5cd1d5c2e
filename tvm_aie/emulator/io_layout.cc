// Network tensors <-> DDR layout (docs/program.md section 5, IO).
#include <cstring>

#include "tvm_aie/emulator.h"

namespace tvm_aie {
namespace {

// Calls `copy(byte of the user's tensor, byte of the DDR tensor)` for every element.
template <typename Copy>
void ForEach(const IoTensor& io, Copy copy) {
  const int64_t pixels = io.Pixels(), row = pixels * io.c_physical;
  for (int64_t i = 0; i < io.c * io.fold; ++i) {
    const int64_t to = io.map[static_cast<size_t>(i)], c = i % io.c, first = i / io.c;
    for (int64_t y = 0; y < io.h; ++y) {
      const int64_t user = (c * io.h + y) * io.w, ddr = y * row + to / 8 * pixels * 8 + to % 8;
      for (int64_t x = first; x < io.w; x += io.fold) copy((user + x) * io.elem, (ddr + x / io.fold * 8) * io.elem);
    }
  }
}

}  // namespace

void PackTensor(const IoTensor& io, const uint8_t* user, uint8_t* ddr) {
  std::memset(ddr, 0, static_cast<size_t>(io.DdrBytes()));
  if (io.elem == 2) return ForEach(io, [&](int64_t from, int64_t to) { std::memcpy(ddr + to, user + from, 2); });
  ForEach(io, [&](int64_t from, int64_t to) { ddr[to] = user[from] ^ io.flip; });
}

void UnpackTensor(const IoTensor& io, const uint8_t* ddr, uint8_t* user) {
  if (io.elem == 2) return ForEach(io, [&](int64_t to, int64_t from) { std::memcpy(user + to, ddr + from, 2); });
  ForEach(io, [&](int64_t to, int64_t from) { user[to] = ddr[from] ^ io.flip; });
}

}  // namespace tvm_aie
