// The subset of the AIE vector API that the kernels use. On the array: the vendor's own header. On the host: this
// implementation, written from the semantics (docs/program.md; SRS as in AIE-ML: conv_even, saturation).
#pragma once

#ifdef TVM_AIE_ON_ARRAY

#include <aie_api/aie.hpp>

#else

#include <cstdint>
#include <cstring>

namespace aie {

template <typename T, unsigned N>
struct vector {
  T lane[N] = {};

  T get(unsigned i) const { return lane[i]; }
  void set(T value, unsigned i) { lane[i] = value; }
  static constexpr unsigned size() { return N; }

  // Same bits, other lanes.
  template <typename U>
  vector<U, N * sizeof(T) / sizeof(U)> cast_to() const {
    vector<U, N * sizeof(T) / sizeof(U)> out;
    std::memcpy(out.lane, lane, sizeof(lane));
    return out;
  }
};

template <unsigned N, typename T>
vector<T, N> load_unaligned_v(const T* p, unsigned /*aligned_elems*/ = 1) {
  vector<T, N> v;
  std::memcpy(v.lane, p, sizeof(v.lane));
  return v;
}

// Core memory is aligned on the array only.
template <unsigned N, typename T>
vector<T, N> load_v(const T* p) {
  return load_unaligned_v<N>(p);
}

template <typename T, unsigned N>
void store_unaligned_v(T* p, const vector<T, N>& v, unsigned /*aligned_elems*/ = 1) {
  std::memcpy(p, v.lane, sizeof(v.lane));
}

// C[M][N] += A[M][K] * B[K][N], all row-major. Accumulators are 32 bits and wrap.
template <unsigned M, unsigned K, unsigned N, typename TA, typename TB>
class mmul {
 public:
  static constexpr unsigned size_A = M * K, size_B = K * N, size_C = M * N;

  mmul() = default;
  explicit mmul(const vector<int32_t, size_C>& v) {
    for (unsigned i = 0; i < size_C; ++i) acc_[i] = static_cast<uint32_t>(v.lane[i]);
  }

  void mul(const vector<TA, size_A>& a, const vector<TB, size_B>& b) {
    std::memset(acc_, 0, sizeof(acc_));
    mac(a, b);
  }

  void mac(const vector<TA, size_A>& a, const vector<TB, size_B>& b) {
    for (unsigned m = 0; m < M; ++m) {
      for (unsigned k = 0; k < K; ++k) {
        const int32_t x = a.lane[m * K + k];
        for (unsigned n = 0; n < N; ++n) acc_[m * N + n] += static_cast<uint32_t>(x * b.lane[k * N + n]);
      }
    }
  }

  // Shift-round-saturate, conv_even. For T = int32_t and shift = 0: the accumulators themselves.
  template <typename T>
  vector<T, size_C> to_vector(int shift = 0) const {
    constexpr int64_t kMax = (int64_t{1} << (sizeof(T) * 8 - 1)) - 1;
    vector<T, size_C> out;
    for (unsigned i = 0; i < size_C; ++i) {
      int64_t v = static_cast<int32_t>(acc_[i]);
      if (shift > 0) v = (v + ((int64_t{1} << (shift - 1)) - 1) + ((v >> shift) & 1)) >> shift;
      out.lane[i] = static_cast<T>(v > kMax ? kMax : v < -kMax - 1 ? -kMax - 1 : v);
    }
    return out;
  }

 private:
  uint32_t acc_[size_C] = {};
};

}  // namespace aie

#endif
