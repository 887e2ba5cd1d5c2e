// An item whose convolution reads ACC, for the tests: weights, opcodes, messages, and what plain sums make of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <vector>

#include "check.h"
#include "superkernel_core.h"
#include "tvm_aie/superkernel.h"

namespace tvm_aie::test {

using Rng = std::mt19937;
using Values = std::vector<int>;
using Shorts = std::vector<uint16_t>;

inline int Below(Rng& rng, int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); }
inline size_t Size(int64_t v) { return static_cast<size_t>(v); }
inline int Up(int v, int unit) { return (v + unit - 1) / unit * unit; }

struct Rounding { int acc_shift, out_shift, lo, hi, neg; };

inline int Round(int64_t acc, int64_t bias, const Rounding& q, int more) {
  int64_t v = acc * (int64_t{1} << q.acc_shift) + bias;
  int shift = q.out_shift + more;
  if (q.neg != 0) v *= v < 0 ? q.neg : 256, shift += 8;
  const int64_t floor = v >> shift, rest = (v - floor * (int64_t{1} << shift)) * 2, unit = int64_t{1} << shift;
  return static_cast<int>(std::clamp<int64_t>(floor + (rest > unit || (rest == unit && (floor & 1) != 0)), q.lo, q.hi));
}

// The weights of one of the two convolutions: for the sums, and as a message has them.
struct Part {
  int ocb = 0, cblk = 0, k = 1;
  Values w;  // [ocb][cblk][tap][in][out]
  std::vector<int32_t> bias;
  Shorts shift, row_ptr, col, tap_ptr, pair_ptr, tap, pair;
  Bytes tiles;

  int* Tap(int o, int c, int t) { return &w[Size(((o * cblk + c) * k * k + t) * 64)]; }
  int nnz() const { return static_cast<int>(col.size()); }
  bool listed() const { return !tap.empty() || !pair.empty(); }

  Bytes Header() const {
    Bytes b(bias.size() * 4);
    std::memcpy(b.data(), bias.data(), b.size());
    for (const Shorts* list : {&shift, &row_ptr, &col, &tap_ptr, &pair_ptr, &tap, &pair}) {
      for (uint16_t v : *list) Append(&b, {static_cast<uint8_t>(v & 255), static_cast<uint8_t>(v >> 8)});
    }
    b.resize((b.size() + 63) / 64 * 64);
    return b;
  }
};

// Blocks of Gamma are dead, walked, or (`listed`) unrolled into taps and pairs; `dense`: some rows are full.
inline Part MakePart(Rng& rng, int ocb, int cblk, int k, bool listed, bool dense, int line) {
  Part p;
  p.ocb = ocb, p.cblk = cblk, p.k = k;
  p.w.assign(Size(ocb * cblk * k * k * 64), 0);
  Bytes taps, pairs;
  auto fill = [&](int* tap, int low, int n) {
    for (int i = 0; i < 64; ++i) tap[i] = low + Below(rng, n);
  };
  auto put = [](Bytes* to, const int* tap) {
    for (int i = 0; i < 64; ++i) to->push_back(static_cast<uint8_t>(tap[i]));
  };
  for (int i = 0; i < ocb * 8; ++i) p.bias.push_back(Below(rng, 4000) - 2000);
  p.row_ptr = {0};
  if (listed) p.tap_ptr = p.pair_ptr = {0};
  for (int o = 0; o < ocb; ++o) {
    p.shift.push_back(static_cast<uint16_t>(Below(rng, 3) - 1));
    const bool full = dense && Below(rng, 2) != 0;
    std::vector<Values> four(Size(k));  // by tap row: cblk and tap of int4 weights
    for (int c = 0; c < cblk; ++c) {
      const int kind = full ? 1 : Below(rng, listed ? 3 : 2);
      for (int t = 0; t < k * k && kind == 1; ++t) {
        fill(p.Tap(o, c, t), -128, 256);
        put(&p.tiles, p.Tap(o, c, t));
      }
      if (kind == 1) p.col.push_back(static_cast<uint16_t>(c));
      for (int t = 0; t < k * k && kind == 2; ++t) {
        if (Below(rng, 2) != 0) four[Size(t / k)].push_back(c * k * k + t);
      }
    }
    p.row_ptr.push_back(static_cast<uint16_t>(p.col.size()));
    for (int ky = 0; ky < k && listed; ++ky) {
      Values& entries = four[Size(ky)];
      auto address = [&](int e) { return static_cast<uint16_t>((ky * cblk + e / (k * k)) * line + e % k); };
      while (!entries.empty()) {
        const int e = entries.back();
        int* first = p.Tap(o, e / (k * k), e % (k * k));
        entries.pop_back();
        if (entries.empty() || Below(rng, 2) != 0) {
          fill(first, -128, 256);
          put(&taps, first);
          p.tap.push_back(address(e));
          continue;
        }
        const int other = entries.back();
        int* second = p.Tap(o, other / (k * k), other % (k * k));
        entries.pop_back();
        fill(first, -8, 16);
        fill(second, -8, 16);
        for (const int* tap : {first, second}) {
          for (int i = 0; i < 64; i += 2) pairs.push_back(static_cast<uint8_t>((tap[i] & 15) | (tap[i + 1] & 15) << 4));
        }
        p.pair.push_back(address(e));
        p.pair.push_back(address(other));
      }
      p.tap_ptr.push_back(static_cast<uint16_t>(p.tap.size()));
      p.pair_ptr.push_back(static_cast<uint16_t>(p.pair.size() / 2));
    }
  }
  if (!p.listed()) p.tap_ptr.clear(), p.pair_ptr.clear();
  Append(&p.tiles, taps);
  Append(&p.tiles, pairs);
  return p;
}

// [row][cblk][px < line][8] -> [ocb][row][px < wo][8]; rows outside the image add nothing.
inline Values Convolve(Part& p, const Values& in, int h, int line, int stride, int pad, int ho, int wo, const Rounding& q) {
  Values out;
  for (int i = 0; i < p.ocb * ho * wo * 8; ++i) {
    const int n = i % 8, x = i / 8 % wo, y = i / 8 / wo % ho, o = i / 8 / wo / ho;
    int64_t sum = 0;
    for (int c = 0; c < p.cblk; ++c) {
      for (int t = 0; t < p.k * p.k; ++t) {
        const int row = y * stride - pad + t / p.k, px = x * stride + t % p.k;
        for (int j = 0; j < 8 && row >= 0 && row < h; ++j) {
          sum += int64_t{in[Size(((row * p.cblk + c) * line + px) * 8 + j)]} * p.Tap(o, c, t)[j * 8 + n];
        }
      }
    }
    out.push_back(Round(sum, p.bias[Size(o * 8 + n)], q, static_cast<int16_t>(p.shift[Size(o)])));
  }
  return out;
}

// A 3x3 max pool with stride 2 and padding 1, [ocb][row][px][8].
inline Values MaxPool(const Values& in, int ocb, int h, int w, int ho, int wo) {
  Values out;
  for (int i = 0; i < ocb * ho * wo * 8; ++i) {
    const int n = i % 8, x = i / 8 % wo * 2 - 1, y = i / 8 / wo % ho * 2 - 1, o = i / 8 / wo / ho;
    int best = -128;
    for (int r = std::max(y, 0); r < std::min(y + 3, h); ++r) {
      for (int s = std::max(x, 0); s < std::min(x + 3, w); ++s) best = std::max(best, in[Size(((o * h + r) * w + s) * 8 + n)]);
    }
    out.push_back(best);
  }
  return out;
}

// A weight message in slots of `slot` bytes; `front`: null without.
inline Bytes WeightMessage(const Part& p, const Part* front, int o_slots, int flags, int slot) {
  const Bytes head = p.Header(), front_head = front != nullptr ? front->Header() : Bytes();
  const int at = 64 + static_cast<int>(head.size()), bytes = at + static_cast<int>(front_head.size());
  const int tiles = bytes + static_cast<int>(p.tiles.size());
  const int total = tiles + static_cast<int>(front != nullptr ? front->tiles.size() : 0), slots = (total + slot - 1) / slot;
  Words words = {0x0A1E0002, slots, bytes, p.ocb, o_slots, p.nnz(), 0, 0, static_cast<int32_t>(p.tap.size()),
                 static_cast<int32_t>(p.pair.size() / 2), flags};
  if (front != nullptr) words.insert(words.end(), {at, tiles, front->ocb, front->nnz()});
  words.resize(16);
  Bytes b = ToBytes(words);
  for (const Bytes* piece : {&head, &front_head, &p.tiles}) Append(&b, *piece);
  if (front != nullptr) Append(&b, front->tiles);
  b.resize(Size(slots * slot), 0xEE);
  return b;
}

// Memory laid out as sizes and slots say, in the order in which DIVIDE has it.
inline void LayOut(CoreConfig* c) {
  uint32_t at = 64;
  auto place = [&at](uint32_t bytes) {
    const uint32_t base = at;
    at += (bytes + 63) / 64 * 64;
    return base;
  };
  c->ops_base = place(c->ops_bytes);
  c->hdr_base = place(c->hdr_bytes);
  c->w_base = place(c->w_slot * c->w_slots);
  c->o_base = place(c->o_slot * c->o_slots);
  c->acc_base = place(c->acc_bytes);
  c->a_base = place(c->a_slot * c->a_slots);
  c->mem_bytes = at + 256;
}

inline Bytes OpMessage(const Words& ops, int slots, int slot) {
  Words words = {0x0A1E0001, static_cast<int32_t>(ops.size() + 6), slots, 0, 0, 0};
  words.insert(words.end(), ops.begin(), ops.end());
  Bytes b = ToBytes(words);
  b.resize(Size(slots * slot));
  return b;
}

// An item: a 1x1 convolution in front of a 3x3 one with padding 1, or (front = 0) an input that is kept.
struct Item {
  int cin = 2, front = 2, ocb = 2, h = 8, w = 6, stride = 1, extra = 0, band = 2, n_bands = 4, passes = 1;
  int behind = 0;  // pixels of a front's message behind the image's
  bool pool = false, listed = false, dense = false, tail = false;
  Rounding first{1, 10, -100, 110, 0}, second{0, 10, -128, 127, 0};
  static constexpr int kTail[] = {2, 0, 3, 0, 2, -90, 100, 0};  // a second bias

  CoreConfig c;
  std::vector<Part> fronts, windows;  // by pass
  Values input;                       // [row][cin][sent][8]
  Words ops;
  Bytes weights;
  std::vector<size_t> message;        // where the weight messages begin
  Traffic traffic;
  Values expected;                    // [pass][band][ocb][row][px][8]
  int op_slots = 0, rows_sent = 0;

  int line() const { return w + 2 + extra; }                  // pixels of a line that the window reads
  int sent() const { return front != 0 ? w + behind : line(); }  // and of one in a message
  int hc() const { return (h - 1) / stride + 1; }  // rows of the window's output
  int wc() const { return (w - 1) / stride + 1; }
  int wo() const { return pool ? (wc() - 1) / 2 + 1 : wc(); }
  int row_bytes() const { return front * line() * 8; }
  int step() const { return band * stride * (pool ? 2 : 1); }                                  // rows from band to band
  int need() const { return (pool ? band * 2 + 1 : band) * stride - stride + 3; }              // rows of a band
  int above() const { return pool ? stride + 1 : 1; }                                          // rows above the image
  int message_slots() const { return (cin * sent() * 8 + 63) / 64; }
  int out_bytes() const { return ocb * band * wo() * 8; }

  static Item Random(Rng& rng) {
    Item it;
    it.cin = 1 + Below(rng, 3), it.front = Below(rng, 3) + 1, it.ocb = 1 + Below(rng, 3);
    it.stride = 1 + Below(rng, 2), it.extra = Below(rng, 3), it.w = 3 + Below(rng, 32), it.passes = 1 + Below(rng, 2);
    it.behind = Below(rng, 4);
    if (it.stride == 2 && it.w % 2 == 0) --it.extra;  // the last window may end with the image's line
    it.pool = Below(rng, 2) != 0, it.listed = Below(rng, 2) != 0, it.dense = Below(rng, 2) != 0;
    it.band = 1 + Below(rng, 2), it.n_bands = 1 + Below(rng, 4);
    const int rows = it.band * it.n_bands;  // of the output; the image is one of those that have so many
    const int conv = it.pool ? rows * 2 - Below(rng, 2) : rows;
    it.h = conv * it.stride - (it.stride == 2 ? Below(rng, 2) : 0);
    if (Below(rng, 3) == 0) it.first.neg = 30, it.second.neg = 300;
    it.Fill(rng);
    return it;
  }

  Words FrontOps() const {
    return {3, message_slots(), 9, 7, 10, cin, sent(), 1, w, first.acc_shift, first.out_shift, first.lo, first.hi, first.neg,
            line(), 4, message_slots()};
  }

  Words ConvOps() const {
    const int blocks = front != 0 ? front : cin, rows = band * n_bands;
    Words p = {blocks, line(), 3, 3, stride, stride, 1, 1, wo(), band, 0, rows, 1, h, passes > 1 ? 1 : 0, -1, 1,
               second.acc_shift, second.out_shift, second.lo, second.hi, second.neg};
    if (pool) p.insert(p.end(), {3, 3, 3, 2, 2, 1, 1, hc(), wc(), -128, 127, 0, -1});
    if (tail) p.insert(p.end(), std::begin(kTail), std::end(kTail));
    Words call = {9, 1, static_cast<int32_t>(p.size())};
    call.insert(call.end(), p.begin(), p.end());
    return call;
  }

  static Words Loop(int n, const Words& body) {
    if (n == 0) return {};
    Words w = {1, n};
    w.insert(w.end(), body.begin(), body.end());
    w.push_back(2);
    return w;
  }

  static Words Join(std::initializer_list<Words> parts) {
    Words w;
    for (const Words& p : parts) w.insert(w.end(), p.begin(), p.end());
    return w;
  }

  Words Ops() const {
    const Words call = Join({{7}, ConvOps(), {8}});
    Words pass;
    if (front == 0) {
      pass = Join({{5}, Loop(n_bands, call), {6}});
    } else {
      const int before = need() - step();
      const Words bands = Join({Loop(step(), FrontOps()), call, {14, step() * row_bytes()}});
      pass = Join({{5}, Loop(before, FrontOps()), Loop(n_bands, bands), {6}});
      if (passes > 1 && before > 0) pass = Join({pass, {14, before * row_bytes()}});
    }
    if (passes > 1) pass = Loop(passes, pass);
    if (front == 0) pass = Join({Loop(h, {3, message_slots(), 13, cin * line() * 8, 4, message_slots()}), pass});
    return Join({pass, {10}});
  }

  void Fill(Rng& rng) {
    const int blocks = front != 0 ? front : cin;
    for (int i = 0; i < h * cin * sent() * 8; ++i) input.push_back(Below(rng, 256) - 128);
    if (front == 0) {
      for (size_t i = 0; i < input.size(); ++i) {
        const int px = static_cast<int>(i) / 8 % line();
        if (px == 0 || px > w) input[i] = 0;
      }
    }
    for (int pass = 0; pass < passes; ++pass) {
      fronts.push_back(MakePart(rng, front, cin, 1, false, dense, line()));
      windows.push_back(MakePart(rng, ocb, blocks, 3, listed, dense, line()));
    }
    Expect(rng);
    c.w_slot = 192;
    for (int pass = 0; pass < passes; ++pass) PutWeights(pass);
    ops = Ops();
    Divide();
    Send(rng);
  }

  void Expect(Rng& rng) {
    for (int pass = 0; pass < passes; ++pass) {
      Values image = input;
      if (front != 0) {
        const Values out = Convolve(fronts[Size(pass)], input, h, sent(), 1, 0, h, w, first);
        image.assign(Size(h * front * line() * 8), 0);
        for (int i = 0; i < h * front * line() * 8; ++i) {
          const int px = i / 8 % line(), f = i / 8 / line() % front, row = i / 8 / line() / front;
          if (px >= 1 && px <= w) image[Size(i)] = out[Size(((f * h + row) * w + px - 1) * 8 + i % 8)];
        }
      }
      Part& window = windows[Size(pass)];
      Values all = Convolve(window, image, h, line(), stride, 1, hc(), wc(), second);
      if (tail) {
        for (int i = 0; i < ocb * 8; ++i) window.bias.push_back(Below(rng, 1000) - 500);
        for (size_t i = 0; i < all.size(); ++i) {
          const int o = static_cast<int>(i) / 8 / wc() / hc();
          all[i] = Round(int64_t{all[i]} << kTail[2], window.bias[Size((ocb + o) * 8) + i % 8], {0, kTail[4], kTail[5], kTail[6], 0}, 0);
        }
      }
      const int rows = band * n_bands;
      if (pool) all = MaxPool(all, ocb, hc(), wc(), rows, wo());
      for (int b = 0; b < n_bands; ++b) {
        for (int o = 0; o < ocb; ++o) {
          const auto at = all.begin() + (o * rows + b * band) * wo() * 8;
          expected.insert(expected.end(), at, at + band * wo() * 8);
        }
      }
    }
  }

  void PutWeights(int pass) {
    const Bytes b = WeightMessage(windows[Size(pass)], front != 0 ? &fronts[Size(pass)] : nullptr, (out_bytes() + 63) / 64,
                                  (dense ? 1 + 16 : 0) + (front == 0 ? 32 : 0), 192);
    message.push_back(weights.size());
    Append(&weights, b);
    int32_t bytes;
    std::memcpy(&bytes, b.data() + 8, 4);
    c.w_slots = std::max(c.w_slots, static_cast<uint32_t>(b.size()) / 192 + 1);  // so that the next message wraps
    c.hdr_bytes = std::max(c.hdr_bytes, static_cast<uint32_t>(bytes));
  }

  void Divide() {
    c.a_slot = 64, c.o_slot = 64;
    op_slots = (24 + static_cast<int>(ops.size()) * 4 + 63) / 64;
    c.a_slots = static_cast<uint32_t>(std::max(op_slots, message_slots()) + 1);
    c.o_slots = static_cast<uint32_t>((out_bytes() + 63) / 64) * 2;
    const int between = pool ? ocb * (band * 2 + 1) * wc() * 8 : 0;
    c.acc_bytes = static_cast<uint32_t>(front != 0 ? need() * row_bytes() + between : h * cin * line() * 8);
    c.ops_bytes = static_cast<uint32_t>(op_slots) * 64;
    LayOut(&c);
  }

  // The opcode message, then the rows; with a front those that lie above and below the image hold anything.
  void Send(Rng& rng) {
    traffic.a = OpMessage(ops, op_slots, 64);
    traffic.w = weights;
    int pos = op_slots % static_cast<int>(c.a_slots);
    const int m = message_slots(), slots = static_cast<int>(c.a_slots), bytes = cin * sent() * 8;
    const int rows = front != 0 ? need() + (n_bands - 1) * step() : h, from = front != 0 ? -above() : 0;
    rows_sent = rows;
    for (int i = 0; i < rows * (front != 0 ? passes : 1); ++i) {
      if (m > slots - pos) traffic.a.resize(traffic.a.size() + Size((slots - pos) * 64)), pos = 0;
      const int row = i % rows + from;
      for (int j = 0; j < Up(bytes, 64); ++j) {
        const bool there = row >= 0 && row < h && j < bytes;
        traffic.a.push_back(static_cast<uint8_t>(there ? input[Size(row * bytes + j)] : Below(rng, 256)));
      }
      pos = (pos + m) % slots;
    }
  }

  // After the opcodes have changed: their message, and the memory with room for it.
  void Again(Rng& rng) {
    Divide();
    Send(rng);
  }

  int ConvOpsAfter() const { return static_cast<int>(ConvOps().size()) + 4; }  // opcodes from CONV on, one pass: 8 2 6 10

  void PokeA(size_t op, int32_t value) { std::memcpy(traffic.a.data() + (6 + op) * 4, &value, 4); }
  void PokeW(size_t pass, size_t word, int32_t value) {
    for (Bytes* b : {&weights, &traffic.w}) std::memcpy(b->data() + message[pass] + word * 4, &value, 4);
  }
  int WordW(size_t word) const {
    int32_t v;
    std::memcpy(&v, weights.data() + word * 4, 4);
    return v;
  }

  Outcome Run(bool functional = true) const { return Core(c, traffic, functional).Run(100000); }
};

inline void CheckValues(const Item& it, const Outcome& out, const char* what) {
  CHECK(out.end == StepKind::kHalt, "%s: end %d, fault '%s'", what, static_cast<int>(out.end), out.fault.c_str());
  const size_t slots = Size(Up(it.out_bytes(), 64)), bytes = Size(it.out_bytes());
  CHECK(out.output.size() == slots * Size(it.passes * it.n_bands), "%s: %zu bytes of output", what, out.output.size());
  for (size_t i = 0; i < it.expected.size(); ++i) {
    const int got = static_cast<int8_t>(out.output[i / bytes * slots + i % bytes]);
    CHECK(got == it.expected[i], "%s: message %zu byte %zu: %d, expected %d (cin %d front %d ocb %d %dx%d stride %d band %d pool %d listed %d)",
          what, i / bytes, i % bytes, got, it.expected[i], it.cin, it.front, it.ocb, it.h, it.w, it.stride, it.band, it.pool, it.listed);
  }
}

}  // namespace tvm_aie::test
