// The subset of the AIE vector API that the kernels use. On the array: the vendor's own header. On the host: this
// implementation, written from the semantics (docs/program.md; SRS as in AIE-ML: conv_even, saturation).
#pragma once

#ifdef TVM_AIE_ON_ARRAY

#include <aie_api/aie.hpp>

#else

#include <cstdint>
#include <cstring>
#include <utility>

struct acc32 {};

// Two values per byte, the even one in the low half.
struct int4 {
  uint8_t bits;
};

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

template <unsigned N>
struct vector<int4, N> {
  uint8_t byte[N / 2] = {};

  int get(unsigned i) const { return static_cast<int8_t>(static_cast<uint8_t>(byte[i / 2] << (i % 2 ? 0 : 4))) >> 4; }
};

// N values of int4 from 64-byte aligned memory.
template <unsigned N>
vector<int4, N> load_v(const int4* p) {
  vector<int4, N> v;
  std::memcpy(v.byte, p, sizeof(v.byte));
  return v;
}

// Alternating runs of `step` lanes of a and b: the first and the second half of them.
template <typename T, unsigned N>
std::pair<vector<T, N>, vector<T, N>> interleave_zip(const vector<T, N>& a, const vector<T, N>& b, unsigned step) {
  std::pair<vector<T, N>, vector<T, N>> v;
  for (unsigned i = 0; i < 2 * N; ++i) {
    const vector<T, N>& from = i / step % 2 == 0 ? a : b;
    (i < N ? v.first : v.second).lane[i % N] = from.lane[i / (2 * step) * step + i % step];
  }
  return v;
}

template <typename T, unsigned N>
vector<T, 2 * N> concat(const vector<T, N>& a, const vector<T, N>& b) {
  vector<T, 2 * N> v;
  std::memcpy(v.lane, a.lane, sizeof(a.lane));
  std::memcpy(v.lane + N, b.lane, sizeof(b.lane));
  return v;
}

// Every other run of `step` lanes, from the first or from the second on.
template <typename T, unsigned N>
vector<T, N / 2> filter_even(const vector<T, N>& v, unsigned step) {
  vector<T, N / 2> out;
  for (unsigned i = 0; i < N / 2; ++i) out.lane[i] = v.lane[i / step * 2 * step + i % step];
  return out;
}
template <typename T, unsigned N>
vector<T, N / 2> filter_odd(const vector<T, N>& v, unsigned step) {
  vector<T, N / 2> out;
  for (unsigned i = 0; i < N / 2; ++i) out.lane[i] = v.lane[i / step * 2 * step + step + i % step];
  return out;
}

// N accumulators of 32 bits, which wrap.
template <typename Tag, unsigned N>
struct accum {
  uint32_t lane[N] = {};
};

// C[M][N] += A[M][K] * B[K][N], all row-major. Accumulators are 32 bits and wrap.
template <unsigned M, unsigned K, unsigned N, typename TA, typename TB>
class mmul {
 public:
  static constexpr unsigned size_A = M * K, size_B = K * N, size_C = M * N;

  using accum_type = accum<acc32, size_C>;

  mmul() = default;
  explicit mmul(const accum_type& acc) : acc_(acc) {}
  explicit mmul(const vector<int32_t, size_C>& v) {
    for (unsigned i = 0; i < size_C; ++i) acc_.lane[i] = static_cast<uint32_t>(v.lane[i]);
  }

  void mul(const vector<TA, size_A>& a, const vector<TB, size_B>& b) {
    acc_ = {};
    mac(a, b);
  }

  void mac(const vector<TA, size_A>& a, const vector<TB, size_B>& b) {
    for (unsigned m = 0; m < M; ++m) {
      for (unsigned k = 0; k < K; ++k) {
        const int32_t x = a.lane[m * K + k];
        for (unsigned n = 0; n < N; ++n) acc_.lane[m * N + n] += static_cast<uint32_t>(x * b.get(k * N + n));
      }
    }
  }

  const accum_type& to_accum() const { return acc_; }

  // Shift-round-saturate, conv_even. For T = int32_t and shift = 0: the accumulators themselves.
  template <typename T>
  vector<T, size_C> to_vector(int shift = 0) const {
    constexpr int64_t kMax = (int64_t{1} << (sizeof(T) * 8 - 1)) - 1;
    vector<T, size_C> out;
    for (unsigned i = 0; i < size_C; ++i) {
      int64_t v = static_cast<int32_t>(acc_.lane[i]);
      if (shift > 0) v = (v + ((int64_t{1} << (shift - 1)) - 1) + ((v >> shift) & 1)) >> shift;
      out.lane[i] = static_cast<T>(v > kMax ? kMax : v < -kMax - 1 ? -kMax - 1 : v);
    }
    return out;
  }

 private:
  accum_type acc_;
};

}  // namespace aie

#endif
