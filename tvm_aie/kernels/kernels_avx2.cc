// Host kernels with AVX2. No std:: templates here: see kernel_args.h.
#include "kernels/kernel_args.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace tvm_aie::kernels {
namespace {

#include "kernels/requant.inc"
#include "kernels/channelwise.inc"
#include "kernels/conv_host.inc"

// vpmaddwd on pairs of input channels: exact, since two products of int8 fit int32. Pixels and tiles are widened to
// int16 beforehand; vector q of a tile holds (w[2q][n], w[2q+1][n]) for n = 0..7.
struct Avx2 {
  using Acc = __m256i;
  static constexpr int kPixelBytes = 16, kTileBytes = 128, kRows = 1;
  static constexpr int kZeroByte = 0;

  static void PackPixels(const uint8_t* src, int64_t n, uint8_t* dst) {
    for (int64_t i = 0; i < n; ++i) PackPixel(src + i * 8, dst + i * 16);
  }

  static void PackPixel(const uint8_t* src, uint8_t* dst) {
    __m128i v = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(src));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst), _mm_cvtepi8_epi16(v));
  }

  static void PackTile(const uint8_t* src, uint8_t* dst) {
    for (int q = 0; q < 4; ++q) {
      __m128i rows = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + q * 16));
      __m128i pairs = _mm_unpacklo_epi8(rows, _mm_srli_si128(rows, 8));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + q * 32), _mm256_cvtepi8_epi16(pairs));
    }
  }

  static Acc Start(const uint8_t*, int64_t) { return _mm256_setzero_si256(); }

  static Acc Join(const Acc& a, const Acc& b) { return _mm256_add_epi32(a, b); }

  template <int R, int P>
  static inline __attribute__((always_inline)) void MacTile(Acc (&acc)[R][P], const uint8_t* const* row,
                                                            int64_t offset, const uint8_t* tile) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) {
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile + q * 32));
      for (int r = 0; r < R; ++r) {
        const uint8_t* a = row[r] + offset + q * 4;
        for (int p = 0; p < P; ++p) {
          int32_t pair;
          __builtin_memcpy(&pair, a + p * 16, 4);
          acc[r][p] = _mm256_add_epi32(acc[r][p], _mm256_madd_epi16(_mm256_set1_epi32(pair), b));
          // Keeps the compiler from adding the products of several q first: that spills.
          asm("" : "+x"(acc[r][p]));
        }
      }
    }
  }

  static void Finish(const Acc& acc, int32_t* out) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), acc); }
};

constexpr KernelTable kTable = {"avx2", ConvOnHost<Avx2>, Add, MaxPool, AvgPool, Upsample};

}  // namespace

const KernelTable* Avx2Kernels() { return &kTable; }

}  // namespace tvm_aie::kernels

#else

namespace tvm_aie::kernels {
const KernelTable* Avx2Kernels() { return nullptr; }
}  // namespace tvm_aie::kernels

#endif
