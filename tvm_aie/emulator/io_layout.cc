// Network tensors <-> DDR layout (docs/program.md section 5, IO).
#include <cstring>

#include "tvm_aie/emulator.h"

namespace tvm_aie {

void PackTensor(const IoTensor& io, const uint8_t* user, uint8_t* ddr) {
  std::memset(ddr, 0, static_cast<size_t>(io.h * io.w * io.c_physical));
  const int64_t row_bytes = io.w * io.c_physical;
  for (int64_t c = 0; c < io.c; ++c) {
    const int64_t to = io.map[static_cast<size_t>(c)];
    for (int64_t y = 0; y < io.h; ++y) {
      const uint8_t* in = user + (c * io.h + y) * io.w;
      uint8_t* out = ddr + y * row_bytes + (to / 8) * io.w * 8 + to % 8;
      for (int64_t x = 0; x < io.w; ++x) out[x * 8] = in[x] ^ io.flip;
    }
  }
}

void UnpackTensor(const IoTensor& io, const uint8_t* ddr, uint8_t* user) {
  const int64_t row_bytes = io.w * io.c_physical;
  for (int64_t c = 0; c < io.c; ++c) {
    const int64_t from = io.map[static_cast<size_t>(c)];
    for (int64_t y = 0; y < io.h; ++y) {
      const uint8_t* in = ddr + y * row_bytes + (from / 8) * io.w * 8 + from % 8;
      uint8_t* out = user + (c * io.h + y) * io.w;
      for (int64_t x = 0; x < io.w; ++x) out[x] = in[x * 8] ^ io.flip;
    }
  }
}

}  // namespace tvm_aie
