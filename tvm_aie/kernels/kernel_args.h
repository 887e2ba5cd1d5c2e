// What a kernel gets: validated, plain numbers and pointers into core memory. No std:: types: this header is
// compiled for several instruction sets, and an inline std:: function emitted in one of those units could
// replace the portable one at link time.
#pragma once

#include <cstdint>

namespace tvm_aie::kernels {

// Sizes and positions. On the host parameters are untrusted and products need 64 bits; on the array they were checked
// when the program was compiled, fit core memory, and a core has 32-bit registers.
#ifdef TVM_AIE_ON_ARRAY
using Wide = int32_t;
using UWide = uint32_t;
#else
using Wide = int64_t;
using UWide = uint64_t;
#endif

// out = clip(srs_conv_even(leaky((acc << acc_shift) + bias), out_shift), lo, hi)
struct Requant {
  int acc_shift = 0;
  int out_shift = 0;  // without the 8 of the leaky form
  int lo = -128, hi = 127;
  int neg_mul = 0;    // 0: none; else acc < 0 -> acc * neg_mul, acc >= 0 -> acc * 256, out_shift + 8
};

struct ConvArgs {
  const uint8_t* a = nullptr;      // [row][cblk][px][8]
  Wide first_row = 0;           // message row of tap ky = 0 of band row 0; may lie outside [0, rows)
  int rows = 0, n_cblk = 0, line_px = 0;
  int kh = 0, kw = 0, sy = 0, sx = 0, dy = 0, dx = 0;
  int wo = 0, band = 0, n_ocb = 0;
  int a_bytes = 1, out_bytes = 1;  // per element: int8 or int16
  const uint8_t* bias = nullptr;   // int32[n_ocb * 8], unaligned
  const int16_t* shift = nullptr;  // of each output block, added to requant.out_shift; null: 0
  const uint16_t* row_ptr = nullptr;
  const uint16_t* col = nullptr;
  bool dense_rows = false;         // a full row of Gamma is walked without looking its blocks up
  // The unrolled lists, null without: entries of (ocb, ky) are tap_ptr[ocb * kh + ky] up to the next; an entry is the
  // pixel of A that it adds to that of tap ky = 0, kx = 0, block 0. A pair has two entries and one int4 tile (k = 16).
  const uint16_t* tap_ptr = nullptr;
  const uint16_t* tap = nullptr;
  const uint16_t* pair_ptr = nullptr;
  const uint16_t* pair = nullptr;
  bool every_tap = false;          // no tap of any row lies outside the message
  // Tiles of 64 B from w_first, wrapping at w_ring_bytes: of the blocks of Gamma, then of the taps, then of the pairs.
  const uint8_t* w_ring = nullptr;
  uint32_t w_ring_bytes = 0, w_first = 0;
  bool first = true, last = true;  // chunk of input channels: start from 0 / write the output
  uint8_t* acc = nullptr;          // int32 [ocb][row][px padded to 4][8], unaligned
  uint8_t* out = nullptr;          // [ocb][row][px][8]
  Wide out_stride = 0;             // bytes from block to block of `out`; 0: no gap between them
  Requant requant;
  // Host work space (HostScratchBytes); unused by the array's kernel.
  uint8_t* scratch_a = nullptr;
  uint8_t* scratch_w = nullptr;
  int64_t* scratch_list = nullptr;
  int32_t* scratch_line = nullptr;
};

// ADD: `lines` = band rows; X and Y have the same layout.
struct AddArgs {
  const uint8_t* x = nullptr;
  const uint8_t* y = nullptr;      // null: one input
  const uint8_t* bias = nullptr;   // null: none; else int32[n_ocb * 8], unaligned
  int n_cblk = 0, line_px = 0, band = 0, cb0 = 0, n_ocb = 0;
  int x_shift = 0, y_shift = 0;
  Requant requant;
  uint8_t* out = nullptr;
  int32_t* scratch_line = nullptr;
};

struct PoolArgs {
  const uint8_t* a = nullptr;
  Wide first_row = 0;
  int rows = 0, n_cblk = 0, line_px = 0;
  int kh = 0, kw = 0, sy = 0, sx = 0, dy = 0, dx = 0;
  int wo = 0, band = 0, cb0 = 0, n_ocb = 0, pad_left = 0;
  int lo = -128, hi = 127;
  const int32_t* div = nullptr;    // AVGPOOL: n_div x (count, mult, shift)
  int n_div = 0;
  int a_bytes = 1, out_bytes = 1;  // AVGPOOL: per element; with outputs of int16 these are the sums, not divided
  uint8_t* out = nullptr;
};

struct UpsampleArgs {
  const uint8_t* a = nullptr;
  int n_cblk = 0, line_px = 0, fy = 0, fx = 0, band = 0, cb0 = 0, n_ocb = 0;
  uint8_t* out = nullptr;
};

// SCALE, inside CONV alone: a factor and a term per channel, each followed by a rounding; a line of 8 channels.
// out = requant((requant(x * factor, first) << second.acc_shift) + bias, second); `first` clips to int16.
struct ScaleArgs {
  const uint8_t* x = nullptr;       // [px][8]
  const uint8_t* factor = nullptr;  // int8[8]
  const uint8_t* bias = nullptr;    // int32[8], unaligned
  int px = 0;
  Requant first, second;
  uint8_t* out = nullptr;           // [px][8]
  int32_t* scratch_line = nullptr;
};

struct KernelTable {
  const char* name;
  void (*conv)(const ConvArgs&);
  void (*add)(const AddArgs&);
  void (*max_pool)(const PoolArgs&);
  void (*avg_pool)(const PoolArgs&);
  void (*upsample)(const UpsampleArgs&);
  void (*scale)(const ScaleArgs&);
};

// One table per instruction set; null where the compiler does not target it.
const KernelTable* PortableKernels();
const KernelTable* Avx2Kernels();
const KernelTable* VnniKernels();

// Static: an external inline would be one symbol shared by all instruction sets.
// Number of taps k in [0, n) with 0 <= first + k * step < size; *begin gets the first of them.
static inline Wide ValidTaps(Wide first, Wide step, Wide n, Wide size, Wide* begin) {
  Wide lo = first < 0 ? (-first + step - 1) / step : 0;
  Wide end = first < size ? (size - 1 - first) / step + 1 : 0;
  if (end > n) end = n;
  *begin = lo;
  return end > lo ? end - lo : 0;
}

// Where a line of the output begins.
static inline uint8_t* OutputLine(const ConvArgs& args, int ocb, int row) {
  const Wide line = static_cast<Wide>(args.wo) * 8 * args.out_bytes;
  return args.out + ocb * (args.out_stride != 0 ? args.out_stride : args.band * line) + row * line;
}

// The rounding of an output block.
static inline Requant RequantOf(const ConvArgs& args, int ocb) {
  Requant q = args.requant;
  q.out_shift += args.shift != nullptr ? args.shift[ocb] : 0;
  return q;
}

}  // namespace tvm_aie::kernels
