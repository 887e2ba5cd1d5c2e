// An item of a convolution with a max pool behind, in bands of which each takes over what the one before has computed, for
// the tests: weights, opcodes, messages, and what plain sums make of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "check.h"
#include "front_item.h"
#include "superkernel_core.h"

namespace tvm_aie::test {

struct Pool { int kh, kw, sy, sx, pad, lo; };

// Passes (weight messages) over chunks of a line, over bands; each chunk is an image of its own, whose first alone has
// the pool's padding on the left. `front`: blocks of a 1x1 convolution that each core computes itself, 0: none.
struct CarryItem {
  int cin = 2, front = 0, ocb = 2, k = 3, stride = 1, pad = 1, h = 9, wc = 6, extra = 0;
  Pool pool{3, 3, 2, 2, 1, -128};
  int band = 1, y0 = 0, y_rows = 5, n_bands = 5, passes = 1, chunks = 1;
  int kind = 7;
  static constexpr int kSlot = 256, kWeightSlot = 768;
  bool listed = false, dense = false;
  Rounding first{1, 10, -100, 110, 0}, second{0, 11, -128, 127, 0};

  CoreConfig c;
  std::vector<Part> fronts, windows;  // by pass
  std::vector<Values> input;          // by chunk: [row][cin][line][8]
  Words ops;
  Traffic traffic;
  Values expected;                    // [pass][chunk][band][ocb][row][px][8]
  int op_slots = 0;

  int line() const { return (wc - 1) * stride + k + extra; }
  int hc() const { return (h + 2 * pad - k) / stride + 1; }  // rows of the window's output
  int wo() const { return (wc + pool.pad - pool.kw) / pool.sx + 1; }
  int blocks() const { return front != 0 ? front : cin; }
  int row_bytes() const { return front * line() * 8; }
  int out_bytes() const { return ocb * band * wo() * 8; }
  int most() const { return (band - 1) * pool.sy + pool.kh; }
  int need() const { return (most() - 1) * stride + k; }                  // rows of the front in ACC for a band
  int step() const { return band * pool.sy * stride; }                    // those that it drops
  int before() const { return std::max(need() - step(), 0); }             // those in front of the first band's
  int top() const { return (y0 * pool.sy - pool.pad) * stride - pad; }    // the first of them
  int start(int b) const { return y0 + std::min(b * band, y_rows - band); }
  int from(int b) const { return std::clamp(start(b) * pool.sy - pool.pad, 0, hc() - 1); }  // the window's rows
  int end(int b) const { return std::clamp((start(b) + band - 1) * pool.sy - pool.pad + pool.kh, from(b) + 1, hc()); }
  int in_from(int b) const { return std::clamp(from(b) * stride - pad, 0, h - 1); }         // those of its input
  int in_end(int b) const { return std::clamp((end(b) - 1) * stride - pad + k, in_from(b) + 1, h); }
  int messages() const { return passes * chunks * n_bands; }
  int message_slots() const {
    int rows = 1;
    for (int b = 0; b < n_bands && front == 0; ++b) rows = std::max(rows, in_end(b) - in_from(b));
    return Up(rows * cin * line() * 8, kSlot) / kSlot;
  }

  static CarryItem Random(Rng& rng, bool front) {
    static constexpr Pool kPools[] = {{3, 3, 2, 2, 0, -128}, {3, 3, 2, 2, 1, -50}, {2, 2, 1, 1, 0, -128}, {3, 3, 1, 1, 0, -128},
                                      {3, 3, 1, 1, 1, -128}, {3, 2, 2, 1, 1, -90}, {2, 2, 2, 2, 0, -128}};
    static constexpr int kWindows[][3] = {{1, 1, 0}, {3, 1, 1}, {3, 1, 0}, {3, 2, 1}, {7, 2, 3}, {1, 2, 0}};
    CarryItem it;
    const int* window = kWindows[Below(rng, 6)];
    it.k = window[0], it.stride = window[1], it.pad = window[2];
    it.pool = kPools[Below(rng, 7)];
    it.cin = 1 + Below(rng, 2), it.ocb = 1 + Below(rng, 3), it.front = front ? 1 + Below(rng, 2) : 0;
    it.extra = Below(rng, 3), it.wc = it.pool.kw + Below(rng, 2) * 6 + Below(rng, 12);
    it.passes = 1 + Below(rng, 3), it.chunks = 1 + Below(rng, 2);
    it.listed = Below(rng, 3) == 0, it.dense = Below(rng, 2) != 0;
    const int hc = it.pool.kh + Below(rng, 10);
    it.h = std::max(1, (hc - 1) * it.stride + it.k - 2 * it.pad + Below(rng, it.stride));
    const int rows = (it.hc() + 2 * it.pool.pad - it.pool.kh) / it.pool.sy + 1;  // of the pool
    it.band = 1 + Below(rng, std::min(3, rows));
    it.y0 = Below(rng, 2) * Below(rng, rows - it.band + 1);
    if (front) {
      it.n_bands = 1 + Below(rng, (rows - it.y0) / it.band);
      it.y_rows = it.n_bands * it.band;
    } else {
      it.y_rows = rows - it.y0 - Below(rng, rows - it.y0 - it.band + 1) * Below(rng, 2);
      it.n_bands = (it.y_rows + it.band - 1) / it.band + (Below(rng, 4) == 0);  // the last band twice: nothing to compute
    }
    if (Below(rng, 3) == 0) it.first.neg = 30, it.second.neg = 300;
    it.Fill(rng);
    return it;
  }

  Words ConvOps() const {
    return {9, 1, 35, blocks(), line(), k, k, stride, stride, 1, 1, wo(), band, y0, y_rows, pad, h, 2, -1, 1, second.acc_shift,
            second.out_shift, second.lo, second.hi, second.neg, kind, pool.kh, pool.kw, pool.sy, pool.sx, pool.pad, pool.pad,
            hc(), wc, pool.lo, 127, 0, 1};
  }

  Words FrontOps() const {
    return {3, message_slots(), 9, 7, 10, cin, line(), 1, line() - 1, first.acc_shift, first.out_shift, first.lo, first.hi,
            first.neg, line(), 4, message_slots()};
  }

  Words Ops() const {
    const Words call = Item::Join({{7}, ConvOps(), {8}});
    Words bands;
    if (front == 0) {
      bands = Item::Loop(n_bands, Item::Join({{3, message_slots()}, call, {4, message_slots()}}));
    } else {
      bands = Item::Loop(n_bands, Item::Join({Item::Loop(step(), FrontOps()), call, {14, step() * row_bytes()}}));
      if (before() > 0) bands = Item::Join({Item::Loop(before(), FrontOps()), bands, {14, before() * row_bytes()}});
    }
    return Item::Join({Item::Loop(passes, Item::Join({{5}, Item::Loop(chunks, bands), {6}})), {10}});
  }

  void Fill(Rng& rng) {
    for (int x = 0; x < chunks; ++x) {
      input.emplace_back();
      for (int i = 0; i < h * cin * line() * 8; ++i) input.back().push_back(Below(rng, 256) - 128);
    }
    for (int pass = 0; pass < passes; ++pass) {
      if (front != 0) fronts.push_back(MakePart(rng, front, cin, 1, false, dense, line()));
      windows.push_back(MakePart(rng, ocb, blocks(), k, listed, dense, line()));
    }
    Expect();
    c.a_slot = kSlot, c.o_slot = 64, c.w_slot = kWeightSlot;
    for (int pass = 0; pass < passes; ++pass) {
      const Bytes b = WeightMessage(windows[Size(pass)], front != 0 ? &fronts[Size(pass)] : nullptr, Up(out_bytes(), 64) / 64,
                                    dense ? (front != 0 ? 17 : 1) : 0, kWeightSlot);
      Append(&traffic.w, b);
      int32_t bytes;
      std::memcpy(&bytes, b.data() + 8, 4);
      c.w_slots = std::max(c.w_slots, static_cast<uint32_t>(b.size()) / kWeightSlot + 1);
      c.hdr_bytes = std::max(c.hdr_bytes, static_cast<uint32_t>(bytes));
    }
    ops = Ops();
    Again(rng);
  }

  Values Pooled(const Values& in, bool first_chunk) const {
    Values out;
    const int left = first_chunk ? pool.pad : 0, hw = hc();
    for (int b = 0; b < n_bands; ++b) {
      for (int i = 0; i < ocb * band * wo() * 8; ++i) {
        const int x = i / 8 % wo() * pool.sx - left, o = i / 8 / wo() / band;
        const int y = (start(b) + i / 8 / wo() % band) * pool.sy - pool.pad;
        int best = -128;
        for (int r = std::max(y, 0); r < std::min(y + pool.kh, hw); ++r) {
          for (int s = std::max(x, 0); s < std::min(x + pool.kw, wc); ++s) best = std::max(best, in[Size(((o * hw + r) * wc + s) * 8 + i % 8)]);
        }
        out.push_back(std::max(best, pool.lo));
      }
    }
    return out;
  }

  void Expect() {
    for (int pass = 0; pass < passes; ++pass) {
      for (int x = 0; x < chunks; ++x) {
        Values image = input[Size(x)];
        if (front != 0) {
          const Values out = Convolve(fronts[Size(pass)], image, h, line(), 1, 0, h, line() - 1, first);
          image.assign(Size(h * front * line() * 8), 0);
          for (int i = 0; i < h * front * line() * 8; ++i) {
            const int px = i / 8 % line(), f = i / 8 / line() % front, row = i / 8 / line() / front;
            if (px >= 1) image[Size(i)] = out[Size(((f * h + row) * (line() - 1) + px - 1) * 8 + i % 8)];
          }
        }
        const Values all = Convolve(windows[Size(pass)], image, h, line(), stride, pad, hc(), wc, second);
        const Values pooled = Pooled(all, x == 0);
        expected.insert(expected.end(), pooled.begin(), pooled.end());
      }
    }
  }

  // The opcode message, then the rows, with anything behind a message's last and where a front has no image.
  void Again(Rng& rng) {
    op_slots = Up(24 + static_cast<int>(ops.size()) * 4, kSlot) / kSlot;
    const int m = message_slots(), slots = std::max(op_slots, m) + 1;
    c.a_slots = static_cast<uint32_t>(slots);
    c.o_slots = static_cast<uint32_t>(Up(out_bytes(), 64) / 64) * 2;
    c.acc_bytes = static_cast<uint32_t>((front != 0 ? std::max(need(), step()) * row_bytes() : 0) + ocb * most() * wc * 8);
    c.ops_bytes = static_cast<uint32_t>(op_slots) * kSlot;
    LayOut(&c);
    traffic.a = OpMessage(ops, op_slots, kSlot);
    int pos = op_slots % slots;
    auto send = [&](int x, int row, int rows) {
      if (m > slots - pos) traffic.a.resize(traffic.a.size() + Size((slots - pos) * kSlot)), pos = 0;
      const int bytes = cin * line() * 8;
      for (int j = 0; j < m * kSlot; ++j) {
        const int r = row + j / bytes;
        const bool there = j < rows * bytes && r >= 0 && r < h;
        traffic.a.push_back(static_cast<uint8_t>(there ? input[Size(x)][Size(r * bytes + j % bytes)] : Below(rng, 256)));
      }
      pos = (pos + m) % slots;
    };
    for (int i = 0; i < passes * chunks; ++i) {
      for (int b = 0; b < n_bands && front == 0; ++b) send(i % chunks, in_from(b), in_end(b) - in_from(b));
      const int rows = before() + n_bands * step();
      for (int r = 0; r < rows && front != 0; ++r) send(i % chunks, top() + r, 1);
    }
  }

  // Where the words of the first CONV begin in the opcodes.
  size_t Conv() const {
    const Words call = ConvOps();
    return Size(std::search(ops.begin(), ops.end(), call.begin(), call.end()) - ops.begin()) + 3;
  }
  void PokeA(size_t op, int32_t value) {
    ops[op] = value;
    std::memcpy(traffic.a.data() + (6 + op) * 4, &value, 4);
  }
  void PokeW(size_t word, int32_t value) { std::memcpy(traffic.w.data() + word * 4, &value, 4); }

  Outcome Run(bool functional = true) const { return Core(c, traffic, functional).Run(100000); }

  std::string Text() const {
    char text[300];
    std::snprintf(text, sizeof(text), "kind %d cin %d front %d ocb %d %dx%d/%d pad %d, %d rows, pool %dx%d/%d pad %d, band %d, rows %d+%d, %d bands, %d passes, %d chunks, listed %d",
                  kind, cin, front, ocb, k, k, stride, pad, h, pool.kh, pool.kw, pool.sy, pool.pad, band, y0, y_rows, n_bands, passes, chunks, listed);
    return text;
  }
};

inline void CheckValues(const CarryItem& it, const Outcome& out) {
  CHECK(out.end == StepKind::kHalt, "%s: end %d, fault '%s'", it.Text().c_str(), static_cast<int>(out.end), out.fault.c_str());
  const size_t slots = Size(Up(it.out_bytes(), 64)), bytes = Size(it.out_bytes());
  CHECK(out.output.size() == slots * Size(it.messages()), "%s: %zu bytes of output", it.Text().c_str(), out.output.size());
  for (size_t i = 0; i < it.expected.size(); ++i) {
    const int got = static_cast<int8_t>(out.output[i / bytes * slots + i % bytes]);
    CHECK(got == it.expected[i], "%s: message %zu byte %zu: %d, expected %d", it.Text().c_str(), i / bytes, i % bytes, got, it.expected[i]);
  }
}

}  // namespace tvm_aie::test
