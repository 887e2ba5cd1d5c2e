// FRONT, DROP, and convolutions that read ACC: equal to plain sums of the two convolutions, for every instruction set of
// this machine; costs; faults; and no undefined behaviour on any words of opcodes and headers.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "kernels/dispatch.h"
#include "superkernel_core.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

using Rng = std::mt19937;
using Values = std::vector<int>;
using Shorts = std::vector<uint16_t>;

int Below(Rng& rng, int n) { return static_cast<int>(rng() % static_cast<unsigned>(n)); }
size_t Size(int64_t v) { return static_cast<size_t>(v); }
int Up(int v, int unit) { return (v + unit - 1) / unit * unit; }

struct Rounding { int acc_shift, out_shift, lo, hi, neg; };

int Round(int64_t acc, int64_t bias, const Rounding& q, int more) {
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
Part MakePart(Rng& rng, int ocb, int cblk, int k, bool listed, bool dense, int line) {
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
Values Convolve(Part& p, const Values& in, int h, int line, int stride, int pad, int ho, int wo, const Rounding& q) {
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
Values MaxPool(const Values& in, int ocb, int h, int w, int ho, int wo) {
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

// An item: a 1x1 convolution in front of a 3x3 one with padding 1, or (front = 0) an input that is kept.
struct Item {
  int cin = 2, front = 2, ocb = 2, h = 8, w = 6, stride = 1, extra = 0, band = 2, n_bands = 4, passes = 1;
  bool pool = false, listed = false, dense = false, tail = false;
  Rounding first{1, 10, -100, 110, 0}, second{0, 10, -128, 127, 0};
  static constexpr int kTail[] = {2, 0, 3, 0, 2, -90, 100, 0};  // a second bias

  CoreConfig c;
  std::vector<Part> fronts, windows;  // by pass
  Values input;                       // [row][cin][line][8]
  Words ops;
  Bytes weights;
  std::vector<size_t> message;        // where the weight messages begin
  Traffic traffic;
  Values expected;                    // [pass][band][ocb][row][px][8]
  int op_slots = 0, rows_sent = 0;

  int line() const { return w + 2 + extra; }
  int hc() const { return (h - 1) / stride + 1; }  // rows of the window's output
  int wc() const { return (w - 1) / stride + 1; }
  int wo() const { return pool ? (wc() - 1) / 2 + 1 : wc(); }
  int row_bytes() const { return front * line() * 8; }
  int step() const { return band * stride * (pool ? 2 : 1); }                                  // rows from band to band
  int need() const { return (pool ? band * 2 + 1 : band) * stride - stride + 3; }              // rows of a band
  int above() const { return pool ? stride + 1 : 1; }                                          // rows above the image
  int message_slots() const { return (cin * line() * 8 + 63) / 64; }
  int out_bytes() const { return ocb * band * wo() * 8; }

  static Item Random(Rng& rng) {
    Item it;
    it.cin = 1 + Below(rng, 3), it.front = Below(rng, 3) + 1, it.ocb = 1 + Below(rng, 3);
    it.stride = 1 + Below(rng, 2), it.extra = Below(rng, 3), it.w = 3 + Below(rng, 32), it.passes = 1 + Below(rng, 2);
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
    Words p = {3, message_slots(), 9, 7, 9, cin, line(), 1, w, first.acc_shift, first.out_shift, first.lo, first.hi, first.neg};
    p.insert(p.end(), {4, message_slots()});
    return p;
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
    for (int i = 0; i < h * cin * line() * 8; ++i) input.push_back(Below(rng, 256) - 128);
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
        const Values out = Convolve(fronts[Size(pass)], input, h, line(), 1, 0, h, line(), first);
        image.assign(Size(h * front * line() * 8), 0);
        for (int i = 0; i < h * front * line() * 8; ++i) {
          const int px = i / 8 % line(), f = i / 8 / line() % front, row = i / 8 / line() / front;
          if (px >= 1 && px <= w) image[Size(i)] = out[Size(((f * h + row) * line() + px) * 8 + i % 8)];
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
    const Part &f = fronts[Size(pass)], &p = windows[Size(pass)];
    const Bytes head = p.Header(), front_head = front != 0 ? f.Header() : Bytes();
    const int at = 64 + static_cast<int>(head.size()), bytes = at + static_cast<int>(front_head.size());
    const int tiles = bytes + static_cast<int>(p.tiles.size());
    const int total = tiles + static_cast<int>(front != 0 ? f.tiles.size() : 0), slots = (total + 191) / 192;
    Words words = {0x0A1E0002, slots, bytes, ocb, (out_bytes() + 63) / 64, p.nnz(), 0, 0, static_cast<int32_t>(p.tap.size()),
                   static_cast<int32_t>(p.pair.size() / 2), (dense ? 1 + 16 : 0) + (front == 0 ? 32 : 0)};
    if (front != 0) words.insert(words.end(), {at, tiles, front, f.nnz()});
    words.resize(16);
    Bytes b = ToBytes(words);
    for (const Bytes* piece : {&head, &front_head, &p.tiles}) Append(&b, *piece);
    if (front != 0) Append(&b, f.tiles);
    b.resize(Size(slots * 192), 0xEE);
    message.push_back(weights.size());
    Append(&weights, b);
    c.w_slots = std::max(c.w_slots, static_cast<uint32_t>(slots) + 1);  // so that the next message wraps
    c.hdr_bytes = std::max(c.hdr_bytes, static_cast<uint32_t>(bytes));
  }

  void Divide() {
    c.a_slot = 64, c.o_slot = 64;
    op_slots = (24 + static_cast<int>(ops.size()) * 4 + 63) / 64;
    c.a_slots = static_cast<uint32_t>(std::max(op_slots, message_slots()) + 1);
    c.o_slots = static_cast<uint32_t>((out_bytes() + 63) / 64) * 2;
    const int between = pool ? ocb * (band * 2 + 1) * wc() * 8 : 0;
    uint32_t at = 64;
    auto place = [&at](uint32_t bytes) {
      const uint32_t base = at;
      at += (bytes + 63) / 64 * 64;
      return base;
    };
    c.acc_bytes = static_cast<uint32_t>(front != 0 ? need() * row_bytes() + between : h * cin * line() * 8);
    c.ops_base = place(c.ops_bytes = static_cast<uint32_t>(op_slots) * 64);
    c.hdr_base = place(c.hdr_bytes);
    c.w_base = place(c.w_slot * c.w_slots);
    c.o_base = place(c.o_slot * c.o_slots);
    c.acc_base = place(c.acc_bytes);
    c.a_base = place(c.a_slot * c.a_slots);
    c.mem_bytes = at + 256;
  }

  // The opcode message, then the rows; with a front those that lie above and below the image hold anything.
  void Send(Rng& rng) {
    Words words = {0x0A1E0001, static_cast<int32_t>(ops.size() + 6), op_slots, 0, 0, 0};
    words.insert(words.end(), ops.begin(), ops.end());
    traffic.a = ToBytes(words);
    traffic.a.resize(Size(op_slots * 64));
    traffic.w = weights;
    int pos = op_slots % static_cast<int>(c.a_slots);
    const int m = message_slots(), slots = static_cast<int>(c.a_slots), bytes = cin * line() * 8;
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

void CheckValues(const Item& it, const Outcome& out, const char* what) {
  CHECK(out.end == StepKind::kHalt, "%s: end %d, fault '%s'", what, static_cast<int>(out.end), out.fault.c_str());
  const size_t slots = Size(Up(it.out_bytes(), 64)), bytes = Size(it.out_bytes());
  CHECK(out.output.size() == slots * Size(it.passes * it.n_bands), "%s: %zu bytes of output", what, out.output.size());
  for (size_t i = 0; i < it.expected.size(); ++i) {
    const int got = static_cast<int8_t>(out.output[i / bytes * slots + i % bytes]);
    CHECK(got == it.expected[i], "%s: message %zu byte %zu: %d, expected %d (cin %d front %d ocb %d %dx%d stride %d band %d pool %d listed %d)",
          what, i / bytes, i % bytes, got, it.expected[i], it.cin, it.front, it.ocb, it.h, it.w, it.stride, it.band, it.pool, it.listed);
  }
}

// FRONT counts as CONV; a full row of Gamma is not looked up in full chunks.
void CheckFrontCost(const Item& it, const Part& f, const KernelCall& call) {
  const int groups = (it.line() + 3) / 4, full = groups / 8, rest = groups % 8, chunks = full + (rest != 0);
  int walked = f.nnz() * chunks;
  for (size_t o = 0; o < Size(f.ocb); ++o) {
    const int n = f.row_ptr[o + 1] - f.row_ptr[o];
    if (it.dense && n == it.cin) walked -= n * full;
  }
  CHECK(call.id == kConv && call.chunks == f.ocb * chunks && call.blocks == walked, "look-ups of a front");
  for (int n = 1; n <= 8; ++n) {
    const int trips = n == 8 ? full * f.nnz() : n == rest ? f.nnz() : 0;
    CHECK(call.trips[Size(n)] == trips && call.trips_int4[Size(n)] == 0, "trips of %d", n);
  }
  CHECK(call.macs == int64_t{f.nnz()} * it.line() * 64 && call.dense_macs == int64_t{f.ocb} * it.cin * it.line() * 64 && call.macs_int4 == 0,
        "MACs of a front");
  CHECK(call.entries == 0 && call.segments == 0 && call.tail_lines == 0 && call.pool_id == 0 && !call.wide, "nothing else");
}

bool Reads(const KernelCall& call, int64_t begin, int64_t bytes) {
  return std::any_of(call.reads.begin(), call.reads.begin() + call.n_reads,
                     [=](const MemRange& r) { return r.begin == begin && r.end == begin + bytes; });
}
bool Writes(const KernelCall& call, int64_t begin, int64_t bytes) {
  return std::any_of(call.writes.begin(), call.writes.begin() + call.n_writes,
                     [=](const MemRange& r) { return r.begin == begin && r.end == begin + bytes; });
}

// Which call is what follows from the stream: rows before the first band, then rows, window, DROP of each.
void CheckCosts(const Item& it, const std::vector<KernelCall>& calls) {
  size_t at = 0;
  int64_t kept = 0, acc = it.c.acc_base;
  const int before = it.need() - it.step();
  auto fronts = [&](int pass, int n) {
    for (int i = 0; i < n; ++i, kept += it.row_bytes()) {
      CheckFrontCost(it, it.fronts[Size(pass)], calls[at]);
      CHECK(Writes(calls[at], acc + kept, it.row_bytes()), "row %d in ACC", i);
      CHECK(std::any_of(calls[at].reads.begin(), calls[at].reads.begin() + calls[at].n_reads, [&](const MemRange& r) {
              return r.end - r.begin == Size(it.cin * it.line() * 8) && r.begin >= it.c.a_base;
            }), "the row of the message");
      ++at;
    }
  };
  auto drop = [&](int64_t bytes) {
    const KernelCall& call = calls[at++];
    kept -= bytes;
    CHECK(call.id == kUpsample && call.chunks == 1 && call.trips[1] == (kept + 31) / 32 && call.macs == 0, "cost of DROP");
    CHECK(kept == 0 ? call.n_reads + call.n_writes == 0 : Reads(call, acc + bytes, kept) && Writes(call, acc, kept), "ranges of DROP");
  };
  for (int pass = 0; pass < it.passes; ++pass) {
    fronts(pass, before);
    for (int b = 0; b < it.n_bands; ++b) {
      fronts(pass, it.step());
      const KernelCall& call = calls[at++];
      const int top = b * it.step() - it.above(), lo = std::max(top, 0), rows = std::min(top + it.need(), it.h) - lo;
      CHECK(call.id == kConv && Reads(call, acc + (lo - top) * it.row_bytes(), int64_t{rows} * it.row_bytes()), "rows of band %d", b);
      CHECK(!it.pool || (call.pool_id == kMaxPool && call.pool_lines == it.ocb * it.band), "lines of the pool");
      drop(int64_t{it.step()} * it.row_bytes());
    }
    if (it.passes > 1 && before > 0) drop(int64_t{before} * it.row_bytes());
  }
  CHECK(at == calls.size(), "%zu calls, expected %zu", calls.size(), at);
}

void CheckTimed(const Item& it, const Outcome& run) {
  const Outcome timed = it.Run(false);
  CHECK(timed.end == run.end && timed.calls.size() == run.calls.size() && timed.opcodes == run.opcodes, "timed");
  for (size_t i = 0; i < run.calls.size(); ++i) {
    CHECK(timed.calls[i].macs == run.calls[i].macs && timed.calls[i].trips == run.calls[i].trips, "call %zu differs when timed", i);
  }
}

void TestFronts(int rounds) {
  for (int seed = 1; seed <= rounds; ++seed) {
    Rng rng(static_cast<unsigned>(seed));
    const Item it = Item::Random(rng);
    const Outcome out = it.Run();
    CheckValues(it, out, ("front " + std::to_string(seed)).c_str());
    CheckCosts(it, out.calls);
    CheckTimed(it, out);
  }
}

// The whole input in ACC; every pass and band reads it without a message.
void TestKeptInputs(int rounds) {
  for (int seed = 1; seed <= rounds; ++seed) {
    Rng rng(static_cast<unsigned>(seed));
    Item it;
    it.front = 0, it.cin = 1 + Below(rng, 3), it.ocb = 1 + Below(rng, 2), it.stride = 1 + Below(rng, 2);
    it.band = 1 + Below(rng, 3), it.n_bands = 1 + Below(rng, 3), it.w = 3 + Below(rng, 12), it.passes = 1 + Below(rng, 3);
    it.h = it.band * it.n_bands * it.stride - (it.stride == 2 ? Below(rng, 2) : 0);
    it.listed = Below(rng, 2) != 0, it.dense = Below(rng, 2) != 0, it.tail = Below(rng, 2) != 0;
    it.Fill(rng);
    const Outcome out = it.Run();
    CheckValues(it, out, ("kept " + std::to_string(seed)).c_str());
    CheckTimed(it, out);
    for (const KernelCall& call : out.calls) {
      if (call.id != kConv) continue;
      for (int i = 0; i < call.n_reads; ++i) CHECK(call.reads[Size(i)].begin < it.c.a_base, "a message is read");
    }
  }
}

// Sums of all rows and pixels behind a convolution whose input is kept, with a second bias or without.
void TestKeptSums() {
  for (int seed = 1; seed <= 40; ++seed) {
    Rng rng(static_cast<unsigned>(seed));
    Item it;
    it.front = 0, it.h = 2, it.band = 2, it.n_bands = 1, it.w = 3 + Below(rng, 12), it.tail = seed % 2 != 0;
    it.Fill(rng);
    const Words stage = {6, 2, it.wc(), 2, it.wc(), 0, 0, it.hc(), it.wc(), -128, 127, 0, -1};
    const int conv = static_cast<int>(it.ops.size()) - it.ConvOpsAfter();
    it.ops[Size(conv + 2)] += static_cast<int32_t>(stage.size());
    for (int at : {8, 9, 11}) it.ops[Size(conv + 3 + at)] = 1;  // wo, band, y_rows
    it.ops.insert(it.ops.begin() + conv + 3 + 22, stage.begin(), stage.end());
    it.PokeW(0, 10, 32 + 4);
    it.Again(rng);
    it.c.acc_bytes += static_cast<uint32_t>(it.ocb * it.hc() * it.wc() * 8);
    it.c.acc_base = it.c.mem_bytes, it.c.mem_bytes += it.c.acc_bytes + 256;
    const Outcome out = it.Run();
    CHECK(out.end == StepKind::kHalt, "sums: %s", out.fault.c_str());
    for (int i = 0; i < it.ocb * 8; ++i) {
      int sum = 0;
      for (int px = 0; px < 2 * it.wc(); ++px) sum += it.expected[Size((i / 8 * 2 * it.wc() + px) * 8 + i % 8)];
      int16_t got;
      std::memcpy(&got, out.output.data() + i * 2, 2);
      CHECK(got == sum, "sums %d: channel %d: %d, expected %d", seed, i, got, sum);
    }
  }
}

// A front of 2 blocks for a window on 8 rows of 6 pixels; where its words lie in the opcodes.
constexpr size_t kFrontWords = 8, kConvWords = 45;
Item Good(bool front = true, bool pool = false) {
  Rng rng(3);
  Item it;
  it.front = front ? 2 : 0, it.pool = pool, it.dense = true;
  if (pool) it.n_bands = 2;
  it.Fill(rng);
  return it;
}

void Expect(const Item& it, const std::string& text) {
  for (bool functional : {true, false}) {
    const Outcome out = it.Run(functional);
    CHECK(out.end == StepKind::kFault && out.fault.rfind(text, 0) == 0, "got '%s', expected '%s'", out.fault.c_str(), text.c_str());
  }
}

Item With(std::initializer_list<std::pair<size_t, int>> words) {
  Item it = Good();
  for (const auto& [at, value] : words) it.PokeA(at, value);
  return it;
}

Item WithHeader(std::initializer_list<std::pair<size_t, int>> words, Item it = Good()) {
  for (const auto& [at, value] : words) it.PokeW(0, at, value);
  return it;
}

Item WithOps(const Words& ops, Item it = Good()) {
  Rng rng(3);
  it.ops = ops;
  it.Again(rng);
  return it;
}

void TestHeaderFaults() {
  const Item good = Good();
  CheckValues(good, good.Run(), "good");
  const int at = good.WordW(11), tiles = good.WordW(12), nnz = good.WordW(14);
  const auto expect = [&](size_t word, int value) {
    const int v[] = {word == 13 ? value : 2, word == 14 ? value : nnz, word == 11 ? value : at, word == 12 ? value : tiles};
    char text[200];
    std::snprintf(text, sizeof(text), "weight message: front of %d blocks, %d stored, at %d, tiles at %d, out of range", v[0], v[1], v[2], v[3]);
    Expect(WithHeader({{word, value}}), text);
  };
  for (int v : {0, 32, -64, at + 4, good.WordW(2) + 64}) expect(11, v);
  for (int v : {-64, tiles + 32}) expect(12, v);
  for (int v : {0, -1, 65536}) expect(13, v);
  for (int v : {-1, 65536}) expect(14, v);
  Expect(WithHeader({{11, 0}, {13, 0}, {14, 0}}), "weight message: front of 0 blocks");
  Expect(WithHeader({{10, 64}}), "weight message: 0 listed taps, 0 pairs, flags 64 out of range");
}

void TestFrontFaults() {
  const Item good = Good();
  const size_t f = kFrontWords;
  const Words front = good.FrontOps(), call(front.begin() + 2, front.end() - 2);
  Expect(With({{f - 1, 8}}), "FRONT: 8 parameter words, expected 9");
  Expect(WithHeader({{11, 0}, {12, 0}, {13, 0}, {14, 0}}), "FRONT: the weight message has none");
  Expect(WithHeader({{10, 2}}), "FRONT: a front is int8");
  Expect(With({{f, 0}}), "FRONT: n_cblk 0 not in 1..65536");
  Expect(With({{f + 1, 65537}}), "FRONT: line_px 65537 not in 1..65536");
  Expect(With({{f + 2, -1}}), "FRONT: left -1 not in 0..7");
  Expect(With({{f + 2, 8}}), "FRONT: left 8 not in 0..7");
  Expect(With({{f + 3, 0}}), "FRONT: live 0 not in 1..7");
  Expect(With({{f + 3, 8}}), "FRONT: live 8 not in 1..7");
  Expect(With({{f + 5, 41}}), "FRONT: out_shift 41 not in -31..40");
  Expect(With({{f + 6, 128}}), "FRONT: lo 128 not in -128..127");
  Expect(With({{f + 8, 512}}), "FRONT: neg_mul 512 not in 0..511");
  Expect(With({{f, 64}}), "FRONT: needs 4096 input bytes, the message holds 128");
  Expect(WithHeader({{11, good.WordW(2)}}), "FRONT: header of");
  Expect(WithHeader({{12, good.WordW(1) * 192 - (good.WordW(14) - 1) * 64}}), "FRONT: weights of");
  const size_t lists = Size(good.WordW(11)) + 64;  // shift[2], row_ptr[3], col
  const auto list = [&](size_t at, int value) {
    Item it = Good();
    it.traffic.w[lists + at * 2] = static_cast<uint8_t>(value), it.traffic.w[lists + at * 2 + 1] = static_cast<uint8_t>(value >> 8);
    return it;
  };
  Expect(list(0, 100), "FRONT: out_shift with its block's 110 not in -31..40");
  Expect(list(2, 1), "FRONT: row_ptr runs from 1");
  Expect(list(3, 9), "FRONT: row_ptr falls");
  Expect(list(5, 2), "FRONT: column 2 of block row");
  Item small = Good();
  small.c.acc_bytes = 255;
  Expect(small, "FRONT: 128 and 128 bytes exceed ACC of 255");
  Item end = Good();
  Rng rng(3);
  end.c.a_slots = static_cast<uint32_t>(end.op_slots + end.message_slots());
  end.Send(rng);
  end.c.mem_bytes = end.c.a_base + end.c.a_slot * end.c.a_slots + 23;
  Expect(end, "FRONT: no room behind the input for the vector load of the last pixels");
  end.c.mem_bytes += 1;
  CheckValues(end, end.Run(), "room behind the input");
  Expect(WithOps(Item::Join({{5}, call})), "FRONT: no activation message is held");
  Expect(WithOps(front), "FRONT: no weight message header has been read");
  Expect(WithOps(Item::Join({{5, 6}, front})), "FRONT: no weight message is held");
  for (int id : {0, 6, 8}) Expect(With({{f - 2, id}}), "KERNEL: unknown kernel " + std::to_string(id));
}

void TestConvFaults() {
  const Item good = Good();
  const Words conv = Item::Join({{5, 1, 1, 7}, good.ConvOps()});
  const size_t p = kConvWords;
  Expect(WithHeader({{10, 32}}), "CONV: an input that is kept, behind a front");
  Expect(With({{p + 16, 2}}), "CONV: an input in ACC has all input channels");
  Expect(With({{p, 3}}), "CONV: reads 3 blocks, the front has 2");
  Expect(WithOps(conv, WithHeader({{10, 2}})), "CONV: a front is int8");
  Expect(WithOps(conv), "CONV: reads rows 1..3, ACC holds 0");
  Expect(With({{p + 9, 3}}), "CONV: reads rows 1..4, ACC holds 4");
  Expect(With({{p + 12, -100}}), "CONV: reads rows -93..-93, ACC holds 4");
  Expect(With({{p + 12, 1 << 20}}), "CONV: reads rows 1048576..1048576, ACC holds 4");
  Expect(With({{p + 1, 6}}), "CONV: reads pixel 7 of a line of 6");
  Item item = Good();
  item.tail = true;
  const auto conv_of = [&] { return WithOps(Item::Join({{5, 1, 1, 7}, item.ConvOps()}), item); };
  Expect(conv_of(), "CONV: a second stage behind a front");
  item = WithHeader({{10, 4}});
  Words sums = Item::Join({good.ConvOps(), {6, 2, 6, 2, 6, 0, 0, 8, 6, -128, 127, 0, -1}});
  sums[2] += 13, sums[3 + 8] = 1, sums[3 + 9] = 1, sums[3 + 11] = 4;
  Expect(WithOps(Item::Join({{5, 1, 1, 7}, sums}), item), "CONV: a front needs its pool behind");
  Item end = Good();
  end.c.acc_base = end.c.mem_bytes, end.c.mem_bytes += end.c.acc_bytes + 23;
  Expect(end, "CONV: no room behind the input for the vector load of the last pixels");
  end.c.mem_bytes += 1;
  CheckValues(end, end.Run(), "room behind the rows in ACC");
  Item pool = Good(true, true);
  CheckValues(pool, pool.Run(), "pool");
  pool.c.acc_bytes -= 200;
  Expect(pool, "CONV: partial sums and pool stage of");
}

void TestKeptFaults() {
  const Item good = Good(false);
  CheckValues(good, good.Run(), "kept");
  const auto alone = [&](Item it) {  // without KEEP
    Rng rng(3);
    it.ops = Item::Join({{5, 1, 1, 7}, it.ConvOps()});
    it.Again(rng);
    return it;
  };
  const int row = good.cin * good.line() * 8;
  Expect(alone(good), "CONV: needs " + std::to_string(3 * row) + " input bytes, KEEP has put 0 into ACC");
  Item it = Good(false);
  it.PokeA(1, it.h - 1);  // rows of the KEEP loop
  Expect(it, "CONV: needs " + std::to_string(8 * row) + " input bytes, KEEP has put " + std::to_string(7 * row) + " into ACC");
  it = alone(good);
  it.PokeA(4 + 3 + 16, 2);
  Expect(it, "CONV: an input in ACC has all input channels");
  it = Good(false);
  it.pool = true;
  Expect(alone(it), "CONV: an input that is kept, with a pool inside or a residual");
  it = Good(false);
  it.tail = true;
  it = alone(it);
  it.PokeA(4 + 3 + 22, 1);
  it.PokeW(0, 7, 2);
  Expect(it, "CONV: an input that is kept, with a pool inside or a residual");
  Item plain = alone(Good(false));
  plain.PokeW(0, 10, 0);
  Expect(plain, "CONV: no activation message is held");
}

void TestDropFaults() {
  const Item good = Good();
  const int row = good.row_bytes();
  const auto drop = [&](const Words& ops) { return WithOps(Item::Join({{5}, good.FrontOps(), ops, {10}})); };
  Expect(drop({14, 0}), "DROP: bytes 0 not in 1.." + std::to_string(row));
  Expect(drop({14, -8}), "DROP: bytes -8 not in 1.." + std::to_string(row));
  Expect(drop({14, row + 8}), "DROP: bytes " + std::to_string(row + 8) + " not in 1.." + std::to_string(row));
  Expect(drop({14, 12}), "DROP: 12 bytes are no whole pixels");
  Expect(drop({14, row, 14, 8}), "DROP: bytes 8 not in 1..0");
  Expect(WithOps({14, 8}), "DROP: bytes 8 not in 1..0");
  Expect(WithOps({14}), "opcode 14 is cut off");
  Expect(WithOps({15}), "unknown opcode 15 at word 6");
  // Pieces that overlap: less than a vector is dropped at a time.
  const Outcome out = drop(Item::Join({{14, 8}, {14, 40}, {14, row - 48}})).Run();
  CHECK(out.end == StepKind::kHalt && out.calls.size() == 4, "%s", out.fault.c_str());
  CHECK(out.calls[1].trips[1] == (row - 8 + 31) / 32 && out.calls[3].trips[1] == 0 && out.calls[3].chunks == 1, "cost of pieces");
}

// Words of opcodes, headers and lists replaced at random: any outcome but a crash.
void TestMutations(int rounds) {
  static constexpr int32_t kValues[] = {0, 1, -1, 2, 3, 7, 14, 32, 48, 64, 128, 65535, 65536, 1 << 20, 0x7fffffff, -0x7fffffff - 1};
  Rng rng(11);
  int faults = 0, halts = 0;
  for (int round = 0; round < rounds; ++round) {
    Item it = round % 4 == 0 ? Good(false) : Good(true, round % 4 == 1);
    for (int n = Below(rng, 3); n >= 0; --n) {
      const int value = Below(rng, 2) != 0 ? kValues[rng() % std::size(kValues)] : Below(rng, 20);
      const int where = Below(rng, 4);
      if (where < 2) it.PokeA(rng() % it.ops.size(), value);
      if (where == 2) it.PokeW(0, 1 + rng() % 15, value);
      if (where == 3) it.traffic.w[64 + rng() % Size(it.WordW(2))] = static_cast<uint8_t>(value);
    }
    const Outcome out = Core(it.c, it.traffic, rng() % 2 != 0).Run(2000);
    CHECK(out.end != StepKind::kFault || !out.fault.empty(), "round %d: a fault without a message", round);
    faults += out.end == StepKind::kFault, halts += out.end == StepKind::kHalt;
  }
  CHECK(faults > rounds / 4 && halts > rounds / 100, "%d faults, %d halts", faults, halts);
}

// The table of kernels is chosen once per process.
void WithKernels(const char* name, int rounds) {
  if (kernels::FindKernels(name) == nullptr) {
    std::printf("%s: not on this machine\n", name);
    return;
  }
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    setenv("TVM_AIE_ISA", name, 1);
    CHECK(std::string(kernels::BestKernels().name) == name, "kernels %s", kernels::BestKernels().name);
    TestFronts(rounds);
    TestKeptInputs(rounds / 2);
    TestKeptSums();
    std::exit(0);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0, "%s fails", name);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 200;
  for (const char* name : {"portable", "avx2", "vnni"}) WithKernels(name, rounds);
  TestHeaderFaults();
  TestFrontFaults();
  TestConvFaults();
  TestKeptFaults();
  TestDropFaults();
  TestMutations(rounds * 20);
  std::printf("test_front: ok\n");
  return 0;
}
