// The superkernel on real messages: rings that wrap, loops, every kernel, faults, and mutated input.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "superkernel_core.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

CoreConfig Config() {
  CoreConfig c;
  c.a_slot = 384, c.a_slots = 4;
  c.w_slot = 192, c.w_slots = 37;
  c.o_slot = 160, c.o_slots = 6;
  uint32_t at = 0;
  auto place = [&at](uint32_t bytes) {
    uint32_t base = at;
    at += (bytes + 63) / 64 * 64;
    return base;
  };
  c.ops_base = place(c.ops_bytes = 1536);
  c.hdr_base = place(c.hdr_bytes = 512);
  c.acc_base = place(c.acc_bytes = 2 * 2 * 12 * 32);
  c.w_base = place(c.w_slot * c.w_slots);
  c.o_base = place(c.o_slot * c.o_slots);
  c.a_base = place(c.a_slot * c.a_slots);
  at += 256;  // guard
  c.mem_bytes = at;
  return c;
}

Bytes OpMessage(const CoreConfig& c, int slots, const Words& ops, size_t pad_words = 0) {
  Words words = {0x0A1E0001, 0, slots, 7, 0, 0};
  words.insert(words.end(), ops.begin(), ops.end());
  words.resize(words.size() + pad_words, -1);
  words[1] = static_cast<int32_t>(words.size());
  Bytes b = ToBytes(words);
  CHECK(b.size() <= size_t{c.a_slot} * static_cast<size_t>(slots), "test message too long");
  b.resize(size_t{c.a_slot} * static_cast<size_t>(slots));
  return b;
}

Bytes ToSlots(Bytes b, size_t slot) {
  b.resize((b.size() + slot - 1) / slot * slot);
  return b;
}

struct Weights {
  int n_ocb = 0, o_slots = 0, cb0 = 0;
  std::vector<int32_t> bias;
  std::vector<uint16_t> shift, row_ptr, col;  // the shift is signed: two's complement
  std::vector<uint16_t> tap_ptr, pair_ptr, tap, pair;
  Bytes tiles;
  int flags = 0;
};

Bytes WeightMessage(const CoreConfig& c, const Weights& w) {
  Bytes tail(w.bias.size() * 4);
  if (!w.bias.empty()) std::memcpy(tail.data(), w.bias.data(), tail.size());
  for (const auto* list : {&w.shift, &w.row_ptr, &w.col, &w.tap_ptr, &w.pair_ptr, &w.tap, &w.pair}) {
    for (uint16_t v : *list) Append(&tail, {static_cast<uint8_t>(v & 255), static_cast<uint8_t>(v >> 8)});
  }
  tail.resize((tail.size() + 63) / 64 * 64);
  size_t total = 64 + tail.size() + w.tiles.size();
  Words head = {0x0A1E0002, static_cast<int32_t>((total + c.w_slot - 1) / c.w_slot), static_cast<int32_t>(64 + tail.size()),
                w.n_ocb, w.o_slots, static_cast<int32_t>(w.col.size()), w.cb0, 0,
                static_cast<int32_t>(w.tap.size()), static_cast<int32_t>(w.pair.size() / 2), w.flags};
  head.resize(16);
  Bytes b = ToBytes(head);
  Append(&b, tail);
  Append(&b, w.tiles);
  return ToSlots(b, c.w_slot);
}

// A 3x3 convolution, 6 x 9 pixels, 4 input blocks in 2 chunks, 2 output blocks, 3 bands of 2 rows, then a max pool and
// an upsampling of one line, whose output message needs SKIP_O.
constexpr int kH = 6, kW = 9, kInBlocks = 4, kChunk = 2, kOutBlocks = 2, kBand = 2, kLine = kW + 2;

struct Network {
  CoreConfig config = Config();
  Traffic traffic;
  Bytes conv_expected;           // [band][ocb][row][px][8]
  Bytes line;                    // input of pool and upsample: [px][8]
  int64_t macs = 0;
  int weights_slots = 0;         // of the first weight message
};

int Input(int row, int block, int px, int k) { return static_cast<int8_t>((row * 71 + block * 37 + px * 13 + k * 29 + 5) * 7); }

Words ConvOps() {
  Words ops = {1, kH / kBand, 1, kInBlocks / kChunk, 3, 2, 5, 7, 9, 1, 22};
  Words params = {kChunk, kLine, 3, 3, 1, 1, 1, 1, kW, kBand, 0, kH, 1, kH, 0, 1, kInBlocks / kChunk, 2, 9, -120, 120, 26};
  ops.insert(ops.end(), params.begin(), params.end());
  Words tail = {8, 6, 4, 2, 2, 2, 0};
  ops.insert(ops.end(), tail.begin(), tail.end());
  return ops;
}

Bytes ConvInput(const CoreConfig& c, int band, int ck) {
  int lo = std::max(band * kBand - 1, 0), hi = std::min(band * kBand + kBand + 1, kH);
  Bytes b;
  for (int row = lo; row < hi; ++row) {
    for (int block = 0; block < kChunk; ++block) {
      for (int px = 0; px < kLine; ++px) {
        for (int k = 0; k < 8; ++k) {
          bool pad = px == 0 || px == kLine - 1;
          b.push_back(static_cast<uint8_t>(pad ? 0 : Input(row, ck * kChunk + block, px - 1, k)));
        }
      }
    }
  }
  b.resize(size_t{c.a_slot} * 2);
  return b;
}

// A listed pixel: tap (ky, kx) of a block.
uint16_t Pixel(int ky, int block, int kx) { return static_cast<uint16_t>((ky * kChunk + block) * kLine + kx); }

// One product of a convolution: block, tap and 8 x 8 weights.
struct Term {
  int ocb, block, ky, kx;
  std::vector<int> weight = std::vector<int>(64);
};

// All terms of a message, from its tiles in order.
std::vector<Term> Terms(const Weights& w) {
  std::vector<Term> terms;
  size_t at = 0;
  auto whole = [&](Term t) {
    for (size_t i = 0; i < 64; ++i) t.weight[i] = static_cast<int8_t>(w.tiles[at + i]);
    at += 64;
    terms.push_back(t);
  };
  for (int ocb = 0; ocb < w.n_ocb; ++ocb) {
    for (size_t j = w.row_ptr[static_cast<size_t>(ocb)]; j < w.row_ptr[static_cast<size_t>(ocb) + 1]; ++j) {
      for (int tap = 0; tap < 9; ++tap) whole({ocb, w.col[j], tap / 3, tap % 3});
    }
  }
  auto term = [](size_t segment, int pixel) {
    int ky = static_cast<int>(segment) % 3;
    return Term{static_cast<int>(segment) / 3, pixel / kLine - ky * kChunk, ky, pixel % kLine};
  };
  for (size_t s = 0; s + 1 < w.tap_ptr.size(); ++s) {
    for (size_t e = w.tap_ptr[s]; e < w.tap_ptr[s + 1]; ++e) whole(term(s, w.tap[e]));
  }
  for (size_t s = 0; s + 1 < w.pair_ptr.size(); ++s) {
    for (size_t e = w.pair_ptr[s] * size_t{2}; e < w.pair_ptr[s + 1] * size_t{2}; ++e) {
      Term t = term(s, w.pair[e]);
      for (size_t i = 0; i < 64; ++i) {
        int half = w.tiles[at + e % 2 * 32 + i / 2] >> (i % 2 * 4) & 15;
        t.weight[i] = half < 8 ? half : half - 16;
      }
      at += e % 2 * 64;
      terms.push_back(t);
    }
  }
  return terms;
}

Weights ConvWeights(std::mt19937& rng, int ck) {
  Weights w;
  w.n_ocb = kOutBlocks;
  w.o_slots = ck == kInBlocks / kChunk - 1 ? 2 : 0;
  for (int i = 0; i < kOutBlocks * 8; ++i) w.bias.push_back(i * 1000 - 7000);
  w.shift = {0, 0xffff};  // 0 and -1
  w.row_ptr = {0, 2, 3};  // block row 1 misses one block
  w.col = {0, 1, static_cast<uint16_t>(ck)};
  if (ck == 1) {  // block row 0: block 0 of Gamma, 3 taps of block 1; block row 1: a tap of block 0, a pair of int4 taps
    w.row_ptr = {0, 1, 1};
    w.col = {0};
    w.tap_ptr = {0, 1, 1, 3, 3, 4, 4};
    w.tap = {kLine + 2, Pixel(2, 1, 0), Pixel(2, 1, 1), Pixel(1, 0, 2)};
    w.pair_ptr = {0, 0, 0, 0, 0, 1, 1};
    w.pair = {Pixel(1, 0, 0), Pixel(1, 1, 2)};
  }
  w.tiles.resize((w.col.size() * 9 + w.tap.size() + w.pair.size() / 2) * 64);
  for (uint8_t& b : w.tiles) b = static_cast<uint8_t>(rng());
  return w;
}

uint8_t RequantConv(int64_t sum, int64_t bias, int shift) {
  int64_t v = sum * 4 + bias;
  v *= v < 0 ? 26 : 256;
  int64_t unit = 1 << shift, floor = v >> shift, rest = v - floor * unit;
  if (rest * 2 > unit || (rest * 2 == unit && (floor & 1) != 0)) ++floor;
  return static_cast<uint8_t>(std::clamp<int64_t>(floor, -120, 120));
}

void ExpectConv(const std::vector<Weights>& chunks, Network* net) {
  for (int band = 0; band < kH / kBand; ++band) {
    for (int ocb = 0; ocb < kOutBlocks; ++ocb) {
      for (int i = 0; i < kBand * kW * 8; ++i) {
        int row = band * kBand + i / (kW * 8), px = i / 8 % kW, n = i % 8;
        int64_t sum = 0;
        for (size_t ck = 0; ck < chunks.size(); ++ck) {
          for (const Term& t : Terms(chunks[ck])) {
            int y = row + t.ky - 1, x = px + t.kx - 1;
            if (t.ocb != ocb || y < 0 || y >= kH) continue;
            net->macs += n == 0 ? 64 : 0;
            if (x < 0 || x >= kW) continue;
            for (int k = 0; k < 8; ++k) {
              sum += Input(y, static_cast<int>(ck) * kChunk + t.block, x, k) * t.weight[static_cast<size_t>(k * 8 + n)];
            }
          }
        }
        net->conv_expected.push_back(RequantConv(sum, chunks[0].bias[static_cast<size_t>(ocb * 8 + n)], 17 - ocb));
      }
    }
  }
}

// `partial`: the first chunk comes without biases and shifts.
void AddConv(Network* net, bool partial) {
  std::mt19937 rng(3);
  const std::vector<Weights> whole = {ConvWeights(rng, 0), ConvWeights(rng, 1)};
  std::vector<Weights> chunks = whole;
  if (partial) {
    chunks[0].flags = 8;
    chunks[0].bias.clear();
    chunks[0].shift.clear();
  }
  Append(&net->traffic.a, OpMessage(net->config, 2, ConvOps()));
  net->weights_slots = static_cast<int>(WeightMessage(net->config, chunks[0]).size() / net->config.w_slot);
  for (int band = 0; band < kH / kBand; ++band) {
    for (int ck = 0; ck < kInBlocks / kChunk; ++ck) {
      Append(&net->traffic.a, ConvInput(net->config, band, ck));
      Append(&net->traffic.w, WeightMessage(net->config, chunks[static_cast<size_t>(ck)]));
    }
  }
  ExpectConv(whole, net);
}

// The opcode message starts at slot 2 of 4 and holds more than 2 slots of words: it wraps.
void AddLines(Network* net) {
  const CoreConfig& c = net->config;
  Words ops = {3, 2, 5, 7, 9, 3, 18, 1, kW, 1, 3, 1, 1, 1, 1, kW, 1, 0, 1, 0, 1, -1, 1, -128, 127, 8, 6, 4, 2,
               3, 2, 5, 11, 0, 7, 9, 5, 5, 1, kW, 2, 2, 1, 8, 6, 4, 2,
               3, 2, 5, 7, 9, 2, 10, 1, kW, 1, 2, 1, 0, 1, -128, 127, 0, 8, 6, 4, 2,
               3, 2, 5, 7, 9, 4, 22, 1, kW, 1, kW, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, -1, 0, -128, 127, 1, kW, 57, 9, 8, 6, 4, 2,
               10};
  Append(&net->traffic.a, OpMessage(c, 4, ops, 150));
  for (int i = 0; i < kW * 8; ++i) net->line.push_back(static_cast<uint8_t>(i * 91 + 3));
  Bytes twice = net->line;
  Append(&twice, net->line);
  twice.resize(size_t{c.a_slot} * 2);
  for (int o_slots : {1, 3, 1, 1}) {
    Append(&net->traffic.a, twice);
    Weights w;
    w.n_ocb = 1;
    w.o_slots = o_slots;
    Append(&net->traffic.w, WeightMessage(c, w));
  }
}

Network MakeNetwork(bool partial = false) {
  Network net;
  AddConv(&net, partial);
  AddLines(&net);
  return net;
}

void CheckSlots(const CoreConfig& c, const Bytes& output, size_t slot, const Bytes& expected, const char* what) {
  size_t at = slot * c.o_slot;
  CHECK(output.size() >= at + expected.size(), "%s: output too short", what);
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(output[at + i] == expected[i], "%s: byte %zu is %d, expected %d", what, i, output[at + i], expected[i]);
  }
}

int8_t At(const Bytes& line, int px, int n) { return static_cast<int8_t>(line[static_cast<size_t>(px * 8 + n)]); }

void CheckOutputs(const Network& net, const Outcome& out) {
  const CoreConfig& c = net.config;
  size_t message = static_cast<size_t>(kOutBlocks * kBand * kW * 8);
  for (size_t band = 0; band < 3; ++band) {
    Bytes expected(net.conv_expected.begin() + static_cast<long>(band * message),
                   net.conv_expected.begin() + static_cast<long>((band + 1) * message));
    CheckSlots(c, out.output, band * 2, expected, "conv");
  }
  Bytes pool, up, add, average;
  for (int px = 0; px < kW; ++px) {
    for (int n = 0; n < 8; ++n) {
      int8_t best = At(net.line, px, n);
      if (px > 0) best = std::max(best, At(net.line, px - 1, n));
      if (px < kW - 1) best = std::max(best, At(net.line, px + 1, n));
      pool.push_back(static_cast<uint8_t>(best));
      long sum = std::lrint(At(net.line, px, n) * 1.5);  // ((x << 1) + x) / 2, ties to even
      add.push_back(static_cast<uint8_t>(std::clamp<long>(sum, -128, 127)));
    }
  }
  for (int i = 0; i < 2 * kW * 2 * 8; ++i) up.push_back(net.line[static_cast<size_t>(i % (kW * 16) / 16 * 8 + i % 8)]);
  for (int n = 0; n < 8; ++n) {
    int sum = 0;
    for (int px = 0; px < kW; ++px) sum += At(net.line, px, n);
    average.push_back(static_cast<uint8_t>(static_cast<int8_t>(std::lrint(sum * 57 / 512.0))));
  }
  CheckSlots(c, out.output, 6, pool, "max pool");
  CheckSlots(c, out.output, 9, up, "upsample after two skipped slots");
  CheckSlots(c, out.output, 12, add, "add");
  CheckSlots(c, out.output, 13, average, "average pool");
  CHECK(out.output.size() == size_t{c.o_slot} * 14, "%zu bytes out", out.output.size());
}

void TestNetwork(bool partial) {
  Network net = MakeNetwork(partial);
  CoreConfig& c = net.config;
  Outcome out = Core(c, net.traffic, true).Run(10000);
  CHECK(out.end == StepKind::kHalt, "ended with %d: %s", static_cast<int>(out.end), out.fault.c_str());
  CheckOutputs(net, out);

  int64_t macs = 0;
  for (const KernelCall& call : out.calls) macs += call.macs;
  CHECK(macs == net.macs, "macs %lld, expected %lld", static_cast<long long>(macs), static_cast<long long>(net.macs));
  // Band 0, chunk 0: 6 groups in one chunk per ocb; row 0 has 2 taps, row 1 has 3: the chunk counts 3.
  const KernelCall& first = out.calls.front();
  CHECK(first.chunks == 2 && first.blocks == 3 && first.trips[6] == 3 * 3 * 3, "counts %lld %lld %lld",
        static_cast<long long>(first.chunks), static_cast<long long>(first.blocks), static_cast<long long>(first.trips[6]));
  CHECK(first.macs == 9 * (2 + 3) * 3 * 3 * 64 && first.dense_macs == first.macs / 3 * 4, "macs of the first call");

  // Band 0, chunk 1: tap row 0 meets row 1 only, in the one chunk of 6 groups.
  const KernelCall& listed = out.calls[1];
  CHECK(listed.blocks == 1 && listed.entries == 5 && listed.segments == 4 && listed.trips[6] == 9 && listed.trips[8] == 4 &&
            listed.trips_int4[8] == 1 && listed.macs_int4 == 2 * kW * 2 * 64,
        "lists: %lld blocks, %lld entries, %lld segments, %lld trips, %lld int4", static_cast<long long>(listed.blocks),
        static_cast<long long>(listed.entries), static_cast<long long>(listed.segments),
        static_cast<long long>(listed.trips[8]), static_cast<long long>(listed.trips_int4[8]));

  Outcome timed = Core(c, net.traffic, false).Run(10000);
  CHECK(timed.end == StepKind::kHalt && timed.calls.size() == out.calls.size() && timed.opcodes == out.opcodes, "timed run");
  for (size_t i = 0; i < out.calls.size(); ++i) {
    CHECK(timed.calls[i].macs == out.calls[i].macs && timed.calls[i].trips == out.calls[i].trips &&
              timed.calls[i].trips_int4 == out.calls[i].trips_int4 && timed.calls[i].entries == out.calls[i].entries &&
              timed.calls[i].chunks == out.calls[i].chunks && timed.calls[i].n_reads == out.calls[i].n_reads,
          "call %zu differs when timed", i);
  }
}

void Poke(Bytes* b, size_t at, int32_t value) { std::memcpy(b->data() + at, &value, 4); }

void ExpectFault(Network net, const char* text) {
  for (bool functional : {true, false}) {
    Outcome out = Core(net.config, net.traffic, functional).Run(10000);
    CHECK(out.end == StepKind::kFault && out.fault == text, "got '%s', expected '%s'", out.fault.c_str(), text);
  }
}

// DIVIDE in a message of its own before the network's, which arrives in the new rings.
Network Divided(const Network& net, const CoreConfig& to, const Words& before = {}) {
  Network out = net;
  CoreConfig& c = out.config;  // O and A change places
  c.a_base = net.config.o_base, c.a_slots = 2;
  c.o_base = net.config.a_base, c.o_slots = 3;
  c.acc_bytes = 64;
  auto word = [](uint32_t v) { return static_cast<int32_t>(v); };
  Words ops = before;
  const Words divide = {12, word(to.a_base), word(to.a_slot), word(to.a_slots), word(to.o_base), word(to.o_slot),
                        word(to.o_slots), word(to.acc_base), word(to.acc_bytes), 0};
  ops.insert(ops.end(), divide.begin(), divide.end());
  // Where the A ring stays, its position is to be 0 again.
  Bytes a = OpMessage(c, to.a_slots == 0 ? static_cast<int>(net.config.a_slots) : 1, ops);
  Append(&a, net.traffic.a);
  out.traffic.a = a;
  return out;
}

// A ring of 0 slots stays where it is; the other one and ACC change all the same.
void TestRingsThatStay(const Network& net) {
  for (int stay : {1, 2, 3}) {  // A, O, both
    CoreConfig to = net.config;
    if (stay & 1) to.a_slots = 0, to.a_base = 1;
    if (stay & 2) to.o_slots = 0, to.o_base = 1;
    Network divided = Divided(net, to);
    CoreConfig& from = divided.config;
    if (stay & 1) from.a_base = net.config.a_base, from.a_slots = net.config.a_slots;
    if (stay & 2) from.o_base = net.config.o_base, from.o_slot = net.config.o_slot, from.o_slots = net.config.o_slots;
    for (bool functional : {true, false}) {
      Outcome out = Core(from, divided.traffic, functional).Run(10000);
      CHECK(out.end == StepKind::kHalt, "%d stays: ended with %d: %s", stay, static_cast<int>(out.end), out.fault.c_str());
      if (functional) CheckOutputs(net, out);
    }
  }
}

void TestDivide() {
  const Network net = MakeNetwork();
  const Network divided = Divided(net, net.config);
  for (bool functional : {true, false}) {
    Outcome plain = Core(net.config, net.traffic, functional).Run(10000);
    Outcome out = Core(divided.config, divided.traffic, functional).Run(10000);
    CHECK(out.end == StepKind::kHalt, "ended with %d: %s", static_cast<int>(out.end), out.fault.c_str());
    CHECK(out.opcodes == plain.opcodes + 2 && out.calls.size() == plain.calls.size(), "steps after DIVIDE");
    if (functional) CheckOutputs(net, out);
  }
  TestRingsThatStay(net);
  CoreConfig to = net.config;
  to.a_base = to.mem_bytes - 64;
  ExpectFault(Divided(net, to), "DIVIDE: bad A ring");
  to = net.config;
  to.o_slots = 64, to.o_slot = 4;
  ExpectFault(Divided(net, to), "DIVIDE: more slots than a lock counts");
  to = net.config;
  to.acc_bytes = to.mem_bytes;
  ExpectFault(Divided(net, to), "DIVIDE: ACC, OPS or HDR lies outside core memory");
  ExpectFault(Divided(net, net.config, {3, 1}), "DIVIDE: a message is held");
}

void TestFaults() {
  const Network good = MakeNetwork();
  constexpr size_t kOps = 24, kParams = kOps + 11 * 4;  // byte offsets in the first opcode message
  auto with_a = [&](size_t at, int32_t value, const char* text) {
    Network net = good;
    Poke(&net.traffic.a, at, value);
    ExpectFault(net, text);
  };
  auto with_w = [&](size_t at, int32_t value, const char* text) {
    Network net = good;
    Poke(&net.traffic.w, at, value);
    ExpectFault(net, text);
  };
  with_a(0, 5, "opcode message: bad magic 5 at A slot 0");
  with_a(kOps, 77, "unknown opcode 77 at word 6");
  with_a(kOps + 4, 0, "LOOP: count 0");
  with_a(kOps + 20, 9, "ACQ_A: 9 slots, 0 held of a ring of 4");
  with_a(kOps + 36, 9, "KERNEL: unknown kernel 9");
  with_a(kParams, 1, "CONV: column 1 of block row 0 >= n_cblk 1");
  with_a(kParams, 9, "CONV: needs 2376 input bytes, the message holds 768");
  with_a(kParams + 4, 10, "CONV: reads pixel 10 of a line of 10");
  with_a(kParams + 4 * 2, 0, "CONV: kh 0 not in 1..256");
  with_a(kParams + 4 * 14, 2, "CONV: band_lvl 2 not in -1..1");
  with_a(kParams + 4 * 16, 1, "CONV: writes 288 output bytes, the message holds 0");
  with_a(kParams + 4 * 17, 40, "CONV: acc_shift 40 not in 0..30");
  with_w(0, 5, "weight message: bad magic 5 at W slot 0");
  with_w(4, 99, "weight message: 99 slots");
  with_w(8, 100, "weight message: header of 100 bytes (HDR holds 512)");
  with_w(20, 200, "CONV: header of 192 bytes is too small for n_ocb 2, nnz 200");
  with_w(128 + 4, 0x00030001, "CONV: row_ptr runs from 1 to 3, expected 0 to 3");
  with_w(128, 0x00000029, "CONV: out_shift with its block's 50 not in -31..40");
  with_w(32, -1, "weight message: -1 listed taps, 0 pairs, flags 0 out of range");
  with_w(40, 64, "weight message: 0 listed taps, 0 pairs, flags 64 out of range");
  const size_t listed = size_t{good.config.w_slot} * static_cast<size_t>(good.weights_slots);  // the second message
  with_w(listed + 40, 8, "CONV: the last input chunk comes without biases");
  with_w(listed + 32, 5, "CONV: tap_ptr runs from 0 to 4, expected 0 to 5");
  with_w(listed + 128 + 12 + 14 + 14, Pixel(0, 1, 3) | Pixel(2, 1, 0) << 16, "CONV: listed pixel 14 is not one of tap row 0");
  with_w(listed + 128 + 12 + 14 + 14 + 8, Pixel(2, 0, 0), "CONV: listed pixel 44 is not one of tap row 1");
  with_w(128 + 10, 0x00010009, "CONV: column 9 of block row 0 >= n_cblk 2");
}

// Words of the opcode and weight messages replaced at random: any outcome but a crash.
void TestMutations(int rounds) {
  const Network good = MakeNetwork(), partial = MakeNetwork(true);
  std::mt19937 rng(17);
  static constexpr int32_t kValues[] = {0, 1, -1, 2, 3, 7, 8, 255, 256, 65535, 65536, 1 << 20, 0x7fffffff, -0x7fffffff - 1};
  size_t second = static_cast<size_t>(good.config.a_slot) * 14;  // the second opcode message
  int faults = 0, halts = 0;
  for (int round = 0; round < rounds; ++round) {
    Network net = round % 2 != 0 ? good : partial;
    for (uint32_t n = rng() % 4; n <= 3; ++n) {
      int32_t value = rng() % 2 != 0 ? kValues[rng() % std::size(kValues)] : static_cast<int32_t>(rng() % 64);
      switch (rng() % 4) {
        case 0: Poke(&net.traffic.a, rng() % 46 * 4, value); break;
        case 1: Poke(&net.traffic.a, second + rng() % 110 * 4, value); break;
        case 2: Poke(&net.traffic.w, rng() % 48 * 4, value); break;
        default: Poke(&net.traffic.w, rng() % (net.traffic.w.size() / 4) * 4, value); break;
      }
    }
    Outcome out = Core(net.config, net.traffic, rng() % 4 != 0).Run(2000);
    CHECK(out.end != StepKind::kFault || !out.fault.empty(), "round %d: a fault without a message", round);
    faults += out.end == StepKind::kFault;
    halts += out.end == StepKind::kHalt;
  }
  std::printf("%d mutations: %d faults, %d halts\n", rounds, faults, halts);
}

}  // namespace

int main(int argc, char** argv) {
  for (bool partial : {false, true}) TestNetwork(partial);
  TestDivide();
  TestFaults();
  TestMutations(argc > 1 ? std::atoi(argv[1]) : 20000);
  std::printf("test_superkernel: ok\n");
  return 0;
}
