// Host kernels with AVX512-VNNI. No std:: templates here: see kernel_args.h.
#include "kernels/kernel_args.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__)
// GCC 12 takes the deliberately undefined merge operand of its own AVX-512 intrinsics for a bug (GCC PR 105593).
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

namespace tvm_aie::kernels {
namespace {

#include "kernels/requant.inc"
#include "kernels/channelwise.inc"
#include "kernels/conv_host.inc"
#include "kernels/conv_avx2.inc"

// vpdpbusd multiplies unsigned by signed bytes, four products per int32 lane, without saturation. Pixels are stored
// as a + 128 (a xor 0x80); the start value of an accumulator, -128 * sum of its weights, takes the 128 out again.
// One tile is the 8x8 transpose: lane 2n + h holds w[4h..4h+3][n], and a pixel's 8 bytes are broadcast.
struct Vnni {
  using Acc = __m512i;
  static constexpr int kSourceBytes = 8, kPixelBytes = 8, kTileBytes = 64, kRows = 2;
  static constexpr int kZeroByte = 0x80;

  static void PackPixels(const uint8_t* src, int64_t n, uint8_t* dst) {
    const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
      _mm512_storeu_si512(dst + i * 8, _mm512_xor_si512(_mm512_loadu_si512(src + i * 8), flip));
    }
    for (; i < n; ++i) PackPixel(src + i * 8, dst + i * 8);
  }

  static void PackPixel(const uint8_t* src, uint8_t* dst) {
    uint64_t v;
    __builtin_memcpy(&v, src, 8);
    v ^= 0x8080808080808080u;
    __builtin_memcpy(dst, &v, 8);
  }

  static void PackTile(const uint8_t* src, uint8_t* dst) {
    // Rows 2i, 2i+1 are in 128-bit lane i: pair their bytes, then transpose 4 lanes x 8 words.
    const __m512i pair = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    alignas(64) static const uint16_t kWords[32] = {0, 8,  16, 24, 1, 9,  17, 25, 2, 10, 18, 26, 3, 11, 19, 27,
                                                    4, 12, 20, 28, 5, 13, 21, 29, 6, 14, 22, 30, 7, 15, 23, 31};
    __m512i v = _mm512_shuffle_epi8(_mm512_loadu_si512(src), pair);
    _mm512_storeu_si512(dst, _mm512_permutexvar_epi16(_mm512_load_si512(kWords), v));
  }

  static Acc Start(const uint8_t* tiles, int64_t n) {
    const __m512i offset = _mm512_set1_epi8(static_cast<char>(0x80));
    __m512i sum = _mm512_setzero_si512();
    for (int64_t t = 0; t < n; ++t) sum = _mm512_dpbusd_epi32(sum, offset, _mm512_loadu_si512(tiles + t * 64));
    return _mm512_sub_epi32(_mm512_setzero_si512(), sum);
  }

  static Acc Join(const Acc& a, const Acc& b) { return _mm512_add_epi32(a, b); }

  template <int R, int P>
  static inline __attribute__((always_inline)) void MacTile(Acc (&acc)[R][P], const uint8_t* const* row,
                                                            int64_t offset, const uint8_t* tile) {
    const __m512i b = _mm512_loadu_si512(tile);
    for (int r = 0; r < R; ++r) {
      const uint8_t* a = row[r] + offset;
      for (int p = 0; p < P; ++p) {
        int64_t pixel;
        __builtin_memcpy(&pixel, a + p * 8, 8);
        acc[r][p] = _mm512_dpbusd_epi32(acc[r][p], _mm512_set1_epi64(pixel), b);
      }
    }
  }

  static void Finish(const Acc& acc, int32_t* out) {
    __m512i sum = _mm512_add_epi32(acc, _mm512_srli_epi64(acc, 32));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi64_epi32(sum));
  }
};

// vpdpbusd has no int16 form.
void Conv(const ConvArgs& args) {
  args.a_bytes == 2 ? ConvOnHost<Avx2<true>>(args) : ConvOnHost<Vnni>(args);
}

constexpr KernelTable kTable = {"vnni", Conv, Add, MaxPool, AvgPool, Upsample, Scale};

}  // namespace

const KernelTable* VnniKernels() { return &kTable; }

}  // namespace tvm_aie::kernels

#else

namespace tvm_aie::kernels {
const KernelTable* VnniKernels() { return nullptr; }
}  // namespace tvm_aie::kernels

#endif
