// Pools inside a CONV call: equal to the two calls one after the other; no undefined behaviour on any parameter words.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/kernel_call.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;

namespace {

using Words = std::vector<int32_t>;
using Bytes = std::vector<uint8_t>;

// One core whose rings are single slots: the messages lie at their bases.
struct Bench {
  CoreConfig c;
  SuperkernelState s;
  std::unique_ptr<uint8_t[]> mem;

  explicit Bench(uint32_t acc_bytes = 8192) {
    uint32_t at = 64;
    auto place = [&at](uint32_t bytes) {
      uint32_t base = at;
      at += (bytes + 63) / 64 * 64;
      return base;
    };
    c.hdr_base = place(c.hdr_bytes = 512);
    c.acc_base = place(c.acc_bytes = acc_bytes);
    c.w_slot = 8192, c.w_slots = 1, c.w_base = place(c.w_slot);
    c.o_slot = 8192, c.o_slots = 1, c.o_base = place(c.o_slot);
    c.a_slot = 16384, c.a_slots = 1, c.a_base = place(c.a_slot);
    c.mem_bytes = at + 256;
    mem.reset(new uint8_t[c.mem_bytes]);
    std::memset(mem.get(), 0x5A, c.mem_bytes);
    s.a_held = s.w_held = s.o_held = 1;
    s.a_msg = c.a_base, s.w_msg = c.w_base, s.o_msg = c.o_base;
  }

  // `n_ocb` x `n_cblk` blocks, all live, random; `scaled`: with a term and a factor for each input channel.
  void Weights(std::mt19937& rng, int n_ocb, int n_cblk, int taps, bool scaled = false) {
    s.header = {true, 1, 0, static_cast<uint32_t>(n_ocb), 1, static_cast<uint32_t>(n_ocb * n_cblk), 0, 0};
    uint8_t* p = mem.get() + c.hdr_base + 64;
    for (int i = 0; i < n_ocb * 8; ++i, p += 4) {
      int32_t bias = static_cast<int32_t>(rng() % 4000) - 2000;
      std::memcpy(p, &bias, 4);
    }
    auto put = [&p](int v) {
      uint16_t value = static_cast<uint16_t>(v);
      std::memcpy(p, &value, 2);
      p += 2;
    };
    for (int i = 0; scaled && i < n_cblk * 8; ++i, p += 4) {
      int32_t term = static_cast<int32_t>(rng() % 4000) - 2000;
      std::memcpy(p, &term, 4);
    }
    for (int i = 0; scaled && i < n_cblk * 8; ++i) *p++ = static_cast<uint8_t>(rng());
    for (int i = 0; i < n_ocb; ++i) put(0);
    for (int i = 0; i <= n_ocb; ++i) put(i * n_cblk);
    for (int i = 0; i < n_ocb * n_cblk; ++i) put(i % n_cblk);
    s.header.hdr_bytes = static_cast<uint32_t>((p - mem.get() - c.hdr_base + 63) / 64 * 64);
    for (uint32_t i = s.header.hdr_bytes; i < s.header.hdr_bytes + static_cast<uint32_t>(n_ocb * n_cblk * taps * 64); ++i) {
      mem[c.w_base + i] = static_cast<uint8_t>(rng());
    }
  }

  void Input(std::mt19937& rng) {
    for (uint32_t i = 0; i < c.a_slot; ++i) mem[c.a_base + i] = static_cast<uint8_t>(rng());
  }

  bool Call(int id, const Words& params, KernelCall* call, FaultText* fault) {
    *call = {};
    return kernels::PerformKernel(s, c, mem.get(), id, params.data(), static_cast<int>(params.size()), true, call, fault);
  }

  Bytes Out(int64_t bytes) const { return Bytes(mem.get() + c.o_base, mem.get() + c.o_base + bytes); }
};

// The same random weights and input for both.
void FillAlike(std::mt19937& rng, Bench* one, Bench* other, int n_ocb, int n_cblk, int taps) {
  std::mt19937 copy = rng;
  one->Weights(rng, n_ocb, n_cblk, taps);
  one->Input(rng);
  other->Weights(copy, n_ocb, n_cblk, taps);
  other->Input(copy);
}

// n_cblk, line, window k x k with stride 1 and no padding, wo, band, rows of its input; one band, one chunk.
Words Conv(int n_cblk, int line, int k, int wo, int band, int h_in) {
  return {n_cblk, line, k, k, 1, 1, 1, 1, wo, band, 0, band, 0, h_in, -1, -1, 1, 0, 9, -100, 100, 0};
}

Words With(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The pool that follows: out rows and pixels of a k x k max pool with stride 2 and `pad` on top and left.
void TestAfter(std::mt19937& rng, int pad, int h, int w) {
  constexpr int kCblk = 2, kOcb = 3, kConv = 3, kPool = 3, kStride = 2;
  int rows = (h + pad - kPool) / kStride + 1, px = (w + pad - kPool) / kStride + 1;
  int line = w + kConv - 1, h_in = h + kConv - 1;
  Bench plain, fused;
  FillAlike(rng, &plain, &fused, kOcb, kCblk, 9);
  KernelCall one, two;
  FaultText fault;
  CHECK(plain.Call(tvm_aie::kConv, Conv(kCblk, line, kConv, w, h, h_in), &one, &fault), "%s", fault.c_str());
  Bytes mid = plain.Out(int64_t{kOcb} * h * w * 8), expected;
  for (int ocb = 0; ocb < kOcb; ++ocb) {
    for (int i = 0; i < rows * px * 8; ++i) {
      int y0 = i / 8 / px * kStride - pad, x0 = i / 8 % px * kStride - pad, best = -128;
      for (int y = std::max(y0, 0); y < std::min(y0 + kPool, h); ++y) {
        for (int x = std::max(x0, 0); x < std::min(x0 + kPool, w); ++x) {
          best = std::max<int>(best, static_cast<int8_t>(mid[static_cast<size_t>(((ocb * h + y) * w + x) * 8 + i % 8)]));
        }
      }
      expected.push_back(static_cast<uint8_t>(std::clamp(best, -50, 127)));
    }
  }
  Words params = With(Conv(kCblk, line, kConv, px, rows, h_in), {3, kPool, kPool, kStride, kStride, pad, pad, h, w, -50, 127, 0, -1});
  CHECK(fused.Call(tvm_aie::kConv, params, &two, &fault), "%s", fault.c_str());
  CHECK(fused.Out(static_cast<int64_t>(expected.size())) == expected, "pool behind, pad %d, %dx%d", pad, h, w);
  CHECK(two.pool_id == kMaxPool && two.pool_lines == kOcb * rows, "lines %lld", static_cast<long long>(two.pool_lines));
}

// The pool in front: 3x3 with stride 1 and padding 1, average (divisor 0: 57/512) or max, then a 1x1 window.
void TestBefore(std::mt19937& rng, bool average, int h, int w) {
  constexpr int kCblk = 3, kOcb = 2;
  Bench pooled, fused;
  FillAlike(rng, &pooled, &fused, kOcb, kCblk, 1);
  Words window = {kCblk, w, 3, 3, 1, 1, 1, 1, w, h, 0, h, 1, h, -1, 1, -128, 127};
  if (average) window = With(window, {1, 0, 57, 9});
  KernelCall call;
  FaultText fault;
  SuperkernelState::Header conv = pooled.s.header;
  pooled.s.header.n_ocb = kCblk;  // the pool owns every input block
  CHECK(pooled.Call(average ? kAvgPool : kMaxPool, window, &call, &fault), "%s", fault.c_str());
  Bytes mid = pooled.Out(int64_t{kCblk} * h * w * 8);
  for (int row = 0; row < h; ++row) {  // [cblk][row] -> [row][cblk]
    for (int cblk = 0; cblk < kCblk; ++cblk) {
      std::memcpy(pooled.mem.get() + pooled.c.a_base + (row * kCblk + cblk) * w * 8, mid.data() + (cblk * h + row) * w * 8,
                  static_cast<size_t>(w) * 8);
    }
  }
  pooled.s.header = conv;
  CHECK(pooled.Call(tvm_aie::kConv, Conv(kCblk, w, 1, w, h, h), &call, &fault), "%s", fault.c_str());
  Bytes expected = pooled.Out(int64_t{kOcb} * h * w * 8);
  Words params = With(Conv(kCblk, w, 1, w, h, h), {4, 3, 3, 1, 1, 1, 1, h, w, -128, 127, average ? 1 : 0, -1});
  if (average) params = With(params, {0, 57, 9});
  CHECK(fused.Call(tvm_aie::kConv, params, &call, &fault), "%s", fault.c_str());
  CHECK(fused.Out(static_cast<int64_t>(expected.size())) == expected, "pool in front, average %d, %dx%d", average, h, w);
}

int8_t Round(int64_t v, int shift, int lo, int hi) {
  const int64_t unit = int64_t{1} << shift;
  int64_t floor = v >> shift, rest = v - floor * unit;
  if (rest * 2 > unit || (rest * 2 == unit && (floor & 1) != 0)) ++floor;
  return static_cast<int8_t>(std::clamp<int64_t>(floor, lo, hi));
}

// A factor and a term per channel in front of a 1x1 window; `more` output rows and pixels that the input has not.
void TestScale(std::mt19937& rng, int h, int w, int more) {
  constexpr int kCblk = 3, kOcb = 2;
  Bench plain, fused;
  fused.Weights(rng, kOcb, kCblk, 1, true);
  fused.Input(rng);
  // The same without: the input scaled by hand, the header without terms and factors.
  const uint8_t* from = fused.mem.get() + fused.c.hdr_base + 64 + kOcb * 32;
  uint8_t* to = plain.mem.get() + plain.c.hdr_base;
  std::memcpy(to + 64, fused.mem.get() + fused.c.hdr_base + 64, kOcb * 32);
  std::memcpy(to + 64 + kOcb * 32, from + kCblk * 40, 2 * (2 * kOcb + 1 + kOcb * kCblk));
  plain.s.header = fused.s.header;
  plain.s.header.hdr_bytes = 192;
  std::memcpy(plain.mem.get() + plain.c.w_base + 192, fused.mem.get() + fused.c.w_base + fused.s.header.hdr_bytes,
              kOcb * kCblk * 64);
  const int rows = h + more, px = w + more;
  std::memset(plain.mem.get() + plain.c.a_base, 0, plain.c.a_slot);
  for (int i = 0; i < h * kCblk * w * 8; ++i) {
    const int cblk = i / 8 / w % kCblk, row = i / 8 / w / kCblk;
    int32_t term;
    std::memcpy(&term, from + (cblk * 8 + i % 8) * 4, 4);
    const int factor = static_cast<int8_t>(from[kCblk * 32 + cblk * 8 + i % 8]);
    const int8_t first = Round(static_cast<int8_t>(fused.mem[fused.c.a_base + static_cast<size_t>(i)]) * factor, 5, -100, 90);
    plain.mem[plain.c.a_base + static_cast<size_t>(((row * kCblk + cblk) * px + i / 8 % w) * 8 + i % 8)] =
        static_cast<uint8_t>(Round(first * 8 + term, 4, 0, 127));
  }
  KernelCall one, two;
  FaultText fault;
  CHECK(plain.Call(tvm_aie::kConv, Conv(kCblk, px, 1, px, rows, rows), &one, &fault), "%s", fault.c_str());
  const Words stage = {5, 1, 1, 1, 1, 0, 0, h, w, -128, 127, 0, -1, 5, -100, 90, 3, 4, 0, 127};
  CHECK(fused.Call(tvm_aie::kConv, With(Conv(kCblk, w, 1, px, rows, rows), stage), &two, &fault), "%s", fault.c_str());
  const int64_t bytes = int64_t{kOcb} * rows * px * 8;
  CHECK(fused.Out(bytes) == plain.Out(bytes), "scale, %dx%d and %d more", h, w, more);
  CHECK(two.tail_lines == kCblk * rows && two.tail_vectors == two.tail_lines * ((px + 3) / 4), "lines %lld",
        static_cast<long long>(two.tail_lines));
}

// Sums of `rows` whole lines of a 1x1 convolution's output, in `band` rows of a pixel each, the last of fewer lines; a
// residual (1) or a bias (2) is added in between, and the input may lie in ACC.
void TestSums(std::mt19937& rng, int tail, bool kept, int rows, int band, int w) {
  constexpr int kCblk = 2, kOcb = 3;
  const int h = rows * band - (rows > 1), input = kCblk * w * 8;
  Bench plain, fused;
  FillAlike(rng, &plain, &fused, kOcb, kCblk, 1);
  for (Bench* bench : {&plain, &fused}) {
    if (tail == 2) {  // the second bias lies behind the first
      uint8_t* p = bench->mem.get() + bench->c.hdr_base + 64 + kOcb * 32;
      std::memmove(p + kOcb * 32, p, 2 * (2 * kOcb + 1 + kOcb * kCblk));
      for (int i = 0; i < kOcb * 8; ++i) {
        const int32_t bias = i * 7 - 50;
        std::memcpy(p + i * 4, &bias, 4);
      }
      std::memmove(bench->mem.get() + bench->c.w_base + 320, bench->mem.get() + bench->c.w_base + bench->s.header.hdr_bytes,
                   kOcb * kCblk * 64);
      bench->s.header.hdr_bytes = 320;
    }
    bench->s.header.res_blocks = tail == 1 ? 4 : 0;
    bench->s.header.cb0 = tail == 1 ? 1 : 0;
  }
  KernelCall one, two;
  FaultText fault;
  Words params = Conv(kCblk, w, 1, w, h, h);
  const Words more = {tail, 0, 1, 0, 1, -90, 90, 0};
  if (tail != 0) params = With(params, more);
  CHECK(plain.Call(tvm_aie::kConv, params, &one, &fault), "%s", fault.c_str());
  const Bytes mid = plain.Out(int64_t{kOcb} * h * w * 8);
  Bytes expected;
  for (int ocb = 0; ocb < kOcb; ++ocb) {
    for (int i = 0; i < band * 8; ++i) {
      int sum = 0;
      for (int y = i / 8 * rows; y < std::min((i / 8 + 1) * rows, h); ++y) {
        for (int x = 0; x < w; ++x) sum += static_cast<int8_t>(mid[static_cast<size_t>(((ocb * h + y) * w + x) * 8 + i % 8)]);
      }
      expected.push_back(static_cast<uint8_t>(sum));
      expected.push_back(static_cast<uint8_t>(sum >> 8));
    }
  }
  if (kept) {  // KEEP took the input, the message begins with the residual
    uint8_t* a = fused.mem.get() + fused.c.a_base;
    CHECK(kernels::KeepInput(fused.s, fused.c, fused.mem.get(), h * input, true, &two, &fault), "%s", fault.c_str());
    fused.s.kept = static_cast<uint32_t>(h * input);
    std::memmove(a, a + h * input, static_cast<size_t>(h * 4 * w * 8));
  }
  fused.s.header.flags = 4;
  params = With(Conv(kCblk, w, 1, 1, band, h), {6, rows, w, rows, w, 0, 0, h, w, -128, 127, 0, -1});
  if (tail != 0) params = With(params, more);
  if (kept) params[params.size() - 7] = 1;
  two = {};
  CHECK(fused.Call(tvm_aie::kConv, params, &two, &fault), "%s", fault.c_str());
  CHECK(fused.Out(static_cast<int64_t>(expected.size())) == expected, "sums, tail %d, kept %d, %dx%d of %d lines", tail, kept,
        band, w, rows);
  CHECK(two.pool_id == kAvgPool && two.pool_lines == kOcb * band && two.pool_vectors == kOcb * h * w, "vectors %lld",
        static_cast<long long>(two.pool_vectors));
  CHECK(two.tail_lines == (tail != 0 ? kOcb * h : 0), "lines %lld", static_cast<long long>(two.tail_lines));
}

// Sums of int16 in front of a 1x1 window: `n` pixels below each other, of which one is left.
void TestSumsInFront(std::mt19937& rng, int n) {
  constexpr int kCblk = 3, kOcb = 2;
  Bench plain, fused;
  FillAlike(rng, &plain, &fused, kOcb, kCblk, 1);
  for (int i = 0; i < kCblk * 8; ++i) {
    int64_t sum = 0;
    for (int row = 0; row < n; ++row) {
      int16_t v;
      std::memcpy(&v, fused.mem.get() + fused.c.a_base + (row * kCblk * 8 + i) * 2, 2);
      sum += v;
    }
    plain.mem[plain.c.a_base + static_cast<size_t>(i)] = static_cast<uint8_t>(Round(sum * 21, 14, -128, 127));
  }
  KernelCall call;
  FaultText fault;
  CHECK(plain.Call(tvm_aie::kConv, Conv(kCblk, 1, 1, 1, 1, 1), &call, &fault), "%s", fault.c_str());
  fused.s.header.flags = 2;
  const Words stage = {4, n, 1, 1, 1, 0, 0, n, 1, -128, 127, 1, -1, 0, 21, 14};
  call = {};
  CHECK(fused.Call(tvm_aie::kConv, With(Conv(kCblk, 1, 1, 1, 1, 1), stage), &call, &fault), "%s", fault.c_str());
  CHECK(fused.Out(kOcb * 8) == plain.Out(kOcb * 8), "sums of %d in front", n);
  CHECK(!call.wide && call.pool_vectors == 2 * kCblk * n, "vectors %lld", static_cast<long long>(call.pool_vectors));
}

void TestSumFaults() {
  std::mt19937 rng(6);
  Bench bench(1024);
  bench.Weights(rng, 1, 1, 1);
  KernelCall call;
  FaultText fault;
  auto expect = [&](uint32_t flags, const Words& stage, const char* text) {
    call = {};
    bench.s.header.flags = flags;
    CHECK(!bench.Call(tvm_aie::kConv, With(Conv(1, 9, 1, 1, 1, 9), stage), &call, &fault), "accepted: %s", text);
    CHECK(fault == text, "got '%s', expected '%s'", fault.c_str(), text);
  };
  const Words sums = {6, 9, 9, 9, 9, 0, 0, 9, 9, -128, 127, 0, -1};
  expect(0, sums, "CONV: sums behind are int16");
  expect(6, sums, "CONV: a pool inside needs int8");
  expect(4, {6, 9, 29, 9, 9, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: summed values 261 not in 1..256");
  expect(4, With(sums, {1, 0, 1}), "CONV: 3 parameter words of a second stage");
  expect(4, With(sums, {2, 0, 1, 0, 1, -90, 90, 0, 0}), "CONV: 44 parameter words, expected 43");
  expect(4, With(sums, {3, 0, 1, 0, 1, -90, 90, 0}), "CONV: tail kind 3 not in 1..2");
  expect(4, With(sums, {1, 0, 1, 0, 1, -90, 90, 0}), "CONV: res_blocks 0 not in 1..65536");
  expect(4, {3, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: a pool inside needs int8");
  expect(2, {4, 3, 3, 1, 1, 1, 1, 9, 9, -128, 127, 0, -1}, "CONV: a pool inside needs int8");
  bench.s.kept = 400;
  expect(4, sums, "CONV: partial sums and pool stage of 1048 bytes exceed ACC of 1024");
  bench.s.kept = 1;
  expect(0, {3, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: ACC holds the input that KEEP has put there");
  bench.s.kept = 0;
  bench.s.header.flags = 4;
  const Words pool = {1, 9, 3, 3, 1, 1, 1, 1, 4, 4, 0, 4, 0, 9, -1, 0, -128, 127, 1, 0, 57, 9};
  CHECK(!bench.Call(kAvgPool, pool, &call, &fault) && fault == "AVGPOOL: needs int8", "%s", fault.c_str());
  bench.s.header.flags = 2;
  const Words most = {1, 9, 3, 3, 1, 1, 1, 1, 4, 4, 0, 4, 0, 9, -1, 0, -128, 127};
  CHECK(!bench.Call(kMaxPool, most, &call, &fault) && fault == "MAXPOOL: needs int8", "%s", fault.c_str());
}

void TestFaults() {
  std::mt19937 rng(5);
  Bench bench(512);
  bench.Weights(rng, 1, 1, 1);
  KernelCall call;
  FaultText fault;
  auto expect = [&](const Words& tail, const char* text) {
    call = {};
    CHECK(!bench.Call(tvm_aie::kConv, With(Conv(1, 9, 1, 4, 4, 9), tail), &call, &fault), "accepted: %s", text);
    CHECK(fault == text, "got '%s', expected '%s'", fault.c_str(), text);
  };
  expect({3, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: partial sums and pool stage of 648 bytes exceed ACC of 512");
  expect({5, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: 35 parameter words, expected 42");
  expect({6, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: sums behind are int16");
  expect({8, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, -1}, "CONV: stage 8 not in 3..7");
  expect({5, 1, 3, 1, 1, 0, 0, 9, 9, -128, 127, 0, -1, 0, -128, 127, 0, 0, -128, 127}, "CONV: a factor per channel has no window");
  expect({5, 1, 1, 1, 1, 0, 0, 9, 9, -128, 127, 0, -1, 41, -128, 127, 0, 0, -128, 127}, "CONV: out_shift 41 not in -31..40");
  expect({5, 1, 1, 1, 1, 0, 0, 9, 9, -128, 127, 0, -1, 0, -128, 127, 16, 0, -128, 127}, "CONV: scale x_shift 16 not in 0..15");
  expect({5, 1, 1, 1, 1, 0, 0, 9, 9, -128, 127, 0, -1, 0, -128, 127, 0, 0, -128, 127},
         "CONV: scaled lines of 9 pixels, the output has 4");
  expect({3, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 1, -1}, "CONV: n_div 1 not in 0..0");
  expect({4, 3, 3, 2, 2, 0, 0, 9, 7, -128, 127, 0, -1}, "CONV: line of 9 pixels, the pool's image has 7");
  expect({3, 3, 3, 2, 2, 0, 0, 9, 9, -128, 127, 0, 2}, "CONV: pool x_lvl 2 not in -1..-1");
}

void TestMutations(int rounds) {
  static constexpr int32_t kValues[] = {0, 1, -1, 2, 3, 4, 7, 9, 255, 65535, 65536, 1 << 20, 0x7fffffff, -0x7fffffff - 1};
  std::mt19937 rng(11);
  int faults = 0;
  for (int round = 0; round < rounds; ++round) {
    Bench bench;
    bench.Weights(rng, 2, 2, 1);
    Words params = With(Conv(2, 9, 1, rng() % 2 ? 4 : 9, 4, 9), {static_cast<int32_t>(3 + rng() % 2), 3, 3, 2, 2, 1, 1, 9, 9, -128, 127, 0, -1});
    if (rng() % 3 == 0) params = With(params, {0, 57, 9});
    if (rng() % 3 == 0) {
      bench.Weights(rng, 2, 2, 1, rng() % 4 != 0);
      params = With(Conv(2, 9, 1, 9, 4, 9), {5, 1, 1, 1, 1, 0, 0, 9, 9, -128, 127, 0, -1, 5, -128, 127, 3, 4, -128, 127});
    }
    if (rng() % 3 == 0) {  // sums behind, or of int16 in front
      bench.Weights(rng, 2, 2, 1);
      bench.s.header.flags = static_cast<uint32_t>(rng() % 4 != 0 ? 4 : rng() % 8);
      bench.s.kept = rng() % 4 != 0 ? 0 : rng() % 9000;
      params = With(Conv(2, 9, 1, 1, 3, 9), {static_cast<int32_t>(6 - rng() % 3 * (rng() % 2)), 3, 9, 3, 9, 0, 0, 9, 9, -128, 127, 0, -1});
      if (rng() % 2) params = With(params, {static_cast<int32_t>(1 + rng() % 2), static_cast<int32_t>(rng() % 2), 1, 0, 1, -90, 90, 0});
      bench.s.header.res_blocks = rng() % 4;
    }
    for (uint32_t n = rng() % 4; n > 0; --n) {
      params[rng() % params.size()] = rng() % 2 ? kValues[rng() % std::size(kValues)] : static_cast<int32_t>(rng() % 16);
    }
    KernelCall call;
    FaultText fault;
    bool ok = bench.Call(tvm_aie::kConv, params, &call, &fault);
    CHECK(ok || !fault.empty(), "round %d: a fault without a message", round);
    faults += !ok;
  }
  std::printf("%d mutations: %d faults\n", rounds, faults);
}

}  // namespace

int main(int argc, char** argv) {
  std::mt19937 rng(1);
  for (int pad : {0, 1}) {
    for (int size : {3, 7, 8, 9}) TestAfter(rng, pad, size, size + 1);
  }
  for (int size : {1, 7, 8, 9}) TestScale(rng, size, size + 1, 0);
  for (int more : {1, 2}) TestScale(rng, 7, 7, more);
  for (int size : {1, 7, 8, 9}) {
    TestBefore(rng, true, size, size + 2);
    TestBefore(rng, false, size, size + 2);
  }
  for (int tail : {0, 1, 2}) {
    for (int w : {1, 7, 8, 9, 31, 33}) {
      for (int rows : {1, 2, 3}) TestSums(rng, tail, false, rows, 2, w);
      TestSums(rng, tail, tail == 1, 2, 2, w);
      TestSums(rng, tail, tail == 1, 1, 3, w);
    }
  }
  for (int n : {1, 7, 8, 9, 31, 33}) TestSumsInFront(rng, n);
  TestFaults();
  TestSumFaults();
  TestMutations(argc > 1 ? std::atoi(argv[1]) : 20000);
  std::printf("test_pool_stage: ok\n");
  return 0;
}
