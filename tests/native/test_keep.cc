// KEEP: a residual convolution whose input lies in ACC while messages bring its residual. Values, costs, ranges, faults.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;

namespace {

using Words = std::vector<int32_t>;

// A 3x3 window on 4 rows of 5 pixels, 2 input blocks; 2 passes of one output block, 2 bands of 2 rows.
constexpr int kH = 4, kW = 5, kIn = 2, kPasses = 2, kBand = 2, kLine = kW + 2;
constexpr int kInputSlots = 4, kOpSlots = 3, kTiles = kIn * 9, kHeader = 128;
constexpr int kXShift = 1, kResShift = 2;

struct Bench {
  CoreConfig c;
  std::unique_ptr<uint8_t[]> mem;
  std::vector<int8_t> input, residual, weights;  // [row][block][line][8], [row][block][px][8], [pass][tile][64]
  std::vector<int32_t> bias;
  std::vector<KernelCall> calls;
  std::string fault;

  Bench() {
    c.a_slot = 128, c.a_slots = 12, c.w_slot = 64, c.w_slots = 40, c.o_slot = 80, c.o_slots = 4;
    c.acc_bytes = 576, c.ops_bytes = 384, c.hdr_bytes = kHeader;
    uint32_t at = 64;
    auto place = [&at](uint32_t bytes) {
      uint32_t base = at;
      at += (bytes + 63) / 64 * 64;
      return base;
    };
    c.ops_base = place(c.ops_bytes), c.hdr_base = place(c.hdr_bytes), c.acc_base = place(c.acc_bytes);
    c.w_base = place(c.w_slot * c.w_slots), c.o_base = place(c.o_slot * c.o_slots);
    c.a_base = place(c.a_slot * c.a_slots);
    c.mem_bytes = at + 256;
    std::mt19937 rng(5);
    auto fill = [&rng](std::vector<int8_t>* v, size_t n) {
      for (size_t i = 0; i < n; ++i) v->push_back(static_cast<int8_t>(rng()));
    };
    fill(&input, size_t{kH} * kIn * kLine * 8);
    for (size_t i = 0; i < input.size(); ++i) {
      if (const size_t px = i / 8 % kLine; px == 0 || px == kLine - 1) input[i] = 0;
    }
    fill(&residual, size_t{kH} * kPasses * kW * 8);
    fill(&weights, size_t{kPasses} * kTiles * 64);
    for (int i = 0; i < kPasses * 8; ++i) bias.push_back(i * 500 - 3000);
  }

  static Words Params() {
    Words p = {kIn, kLine, 3, 3, 1, 1, 1, 1, kW, kBand, 0, kH, 1, kH, 1, -1, 1, 0, 9, -128, 127, 0};
    const Words tail = {1, 1, kXShift, kResShift, 2, -128, 127, 0};
    p.insert(p.end(), tail.begin(), tail.end());
    return p;
  }

  static Words Ops(const Words& keep = {1, kInputSlots, 3, 1, 13, 128, 4, 1, 2}, Words params = Params()) {
    Words ops = keep;
    const Words loops = {1, kPasses, 5, 1, kH / kBand, 3, 1, 7, 9, 1, static_cast<int32_t>(params.size())};
    ops.insert(ops.end(), loops.begin(), loops.end());
    ops.insert(ops.end(), params.begin(), params.end());
    const Words tail = {8, 4, 1, 2, 6, 2, 10};
    ops.insert(ops.end(), tail.begin(), tail.end());
    return ops;
  }

  void PutA(int slot, const void* data, size_t bytes) { std::memcpy(mem.get() + c.a_base + static_cast<uint32_t>(slot) * c.a_slot, data, bytes); }

  // Every slot is there from the start, so that no lock is waited for.
  StepKind Run(const Words& ops, bool functional = true) {
    mem.reset(new uint8_t[c.mem_bytes]);
    std::memset(mem.get(), 0x5A, c.mem_bytes);
    Words message = {0x0A1E0001, 0, kOpSlots, 0, 0, 0};
    message.insert(message.end(), ops.begin(), ops.end());
    message[1] = static_cast<int32_t>(message.size());
    CHECK(message.size() * 4 <= size_t{kOpSlots} * c.a_slot, "opcode message of %zu words", message.size());
    PutA(0, message.data(), message.size() * 4);
    PutA(kOpSlots, input.data(), input.size());
    for (int p = 0; p < kPasses; ++p) {
      for (int band = 0; band < kH / kBand; ++band) PutResidual(p, band);
      PutWeights(p);
    }
    SuperkernelState state;
    calls.clear();
    for (int i = 0; i < 1000; ++i) {
      const Step step = NextStep(state, c, mem.get(), functional);
      if (step.kind == StepKind::kKernel) calls.push_back(step.call);
      fault = state.fault;
      if (step.kind == StepKind::kHalt || step.kind == StepKind::kFault) return step.kind;
    }
    return StepKind::kControl;
  }

  void PutResidual(int p, int band) {
    std::vector<int8_t> rows;
    for (int row = band * kBand; row < (band + 1) * kBand; ++row) {
      const auto at = residual.begin() + (row * kPasses + p) * kW * 8;
      rows.insert(rows.end(), at, at + kW * 8);
    }
    PutA(kOpSlots + kInputSlots + p * (kH / kBand) + band, rows.data(), rows.size());
  }

  void PutWeights(int p) {
    uint8_t* at = mem.get() + c.w_base + static_cast<uint32_t>(p) * (kHeader + kTiles * 64);
    const Words head = {0x0A1E0002, (kHeader + kTiles * 64) / 64, kHeader, 1, 1, kIn, 0, 1, 0, 0, 0};
    std::memset(at, 0, kHeader);
    std::memcpy(at, head.data(), head.size() * 4);
    std::memcpy(at + 64, bias.data() + p * 8, 32);
    const uint16_t lists[] = {0, 0, kIn, 0, 1};  // shift, row_ptr, col
    std::memcpy(at + 96, lists, sizeof(lists));
    std::memcpy(at + kHeader, weights.data() + p * kTiles * 64, kTiles * 64);
  }

  int64_t Sum(int p, int row, int px, int n) const {
    int64_t sum = 0;
    for (int block = 0; block < kIn; ++block) {
      for (int tap = 0; tap < 9; ++tap) {
        const int y = row + tap / 3 - 1;
        if (y < 0 || y >= kH) continue;
        for (int k = 0; k < 8; ++k) {
          const size_t a = ((size_t(y) * kIn + size_t(block)) * kLine + size_t(px + tap % 3)) * 8 + size_t(k);
          sum += input[a] * weights[((size_t(p) * kIn + size_t(block)) * 9 + size_t(tap)) * 64 + size_t(k * 8 + n)];
        }
      }
    }
    return sum;
  }
};

int64_t Round(int64_t v, int shift) {
  const int64_t unit = int64_t{1} << shift, floor = v >> shift, rest = v - floor * unit;
  const bool up = rest * 2 > unit || (rest * 2 == unit && (floor & 1) != 0);
  return std::clamp<int64_t>(floor + up, -128, 127);
}

void TestValues() {
  Bench b;
  CHECK(b.Run(Bench::Ops()) == StepKind::kHalt, "fault: %s", b.fault.c_str());
  for (int p = 0; p < kPasses; ++p) {
    for (int i = 0; i < kH * kW * 8; ++i) {
      const int row = i / (kW * 8), px = i / 8 % kW, n = i % 8;
      const int64_t x = Round(b.Sum(p, row, px, n) + b.bias[size_t(p * 8 + n)], 9);
      const int64_t res = b.residual[((size_t(row) * kPasses + size_t(p)) * kW + size_t(px)) * 8 + size_t(n)];
      const int64_t expected = Round((x << kXShift) + res * (1 << kResShift), 2);
      const auto got = static_cast<int8_t>(b.mem[b.c.o_base + size_t(p * kH * kW * 8 + i)]);
      CHECK(got == expected, "pass %d row %d px %d n %d: %d, expected %d", p, row, px, n, got, static_cast<int>(expected));
    }
  }
  // A copy costs one line of UPSAMPLE, reads its slot and writes its part of ACC.
  CHECK(b.calls.size() == kInputSlots + 4, "%zu calls", b.calls.size());
  for (uint32_t k = 0; k < kInputSlots; ++k) {
    const KernelCall& call = b.calls[k];
    CHECK(call.id == kUpsample && call.chunks == 1 && call.trips[1] == 4 && call.macs == 0, "cost of copy %u", k);
    CHECK(call.n_reads == 1 && call.reads[0].begin == b.c.a_base + (kOpSlots + k) * b.c.a_slot &&
              call.reads[0].end == call.reads[0].begin + b.c.a_slot, "reads of copy %u", k);
    CHECK(call.n_writes == 1 && call.writes[0].begin == b.c.acc_base + k * b.c.a_slot &&
              call.writes[0].end == call.writes[0].begin + b.c.a_slot, "writes of copy %u", k);
  }
  // Band 1 begins with input row 1; its message has the residual alone.
  const KernelCall& second = b.calls[kInputSlots + 1];
  auto reads = [&second](uint32_t begin, uint32_t bytes) {
    return std::any_of(second.reads.begin(), second.reads.begin() + second.n_reads,
                       [=](const MemRange& r) { return r.begin == begin && r.end == begin + bytes; });
  };
  CHECK(reads(b.c.acc_base + kIn * kLine * 8, 3 * kIn * kLine * 8), "the band's rows in ACC");
  CHECK(reads(b.c.a_base + (kOpSlots + kInputSlots + 1) * b.c.a_slot, kBand * kW * 8), "the residual alone");
  const std::vector<KernelCall> calls = b.calls;
  CHECK(b.Run(Bench::Ops(), false) == StepKind::kHalt && b.calls.size() == calls.size(), "timed");
  for (size_t i = 0; i < calls.size(); ++i) {
    CHECK(b.calls[i].macs == calls[i].macs && b.calls[i].trips == calls[i].trips, "call %zu differs when timed", i);
  }
}

void Expect(Bench b, const Words& ops, const char* text) {
  for (bool functional : {true, false}) {
    CHECK(b.Run(ops, functional) == StepKind::kFault && b.fault == text, "got '%s', expected '%s'", b.fault.c_str(), text);
  }
}

void TestFaults() {
  const auto with = [](size_t at, int32_t value) {
    Words p = Bench::Params();
    p[at] = value;
    return Bench::Ops({1, kInputSlots, 3, 1, 13, 128, 4, 1, 2}, p);
  };
  auto bench = [] { return Bench(); };
  Expect(bench(), Bench::Ops({13, 64}), "KEEP: no activation message is held");
  Expect(bench(), Bench::Ops({1, 3, 3, 1, 13, 128, 4, 1, 2, 3, 1, 4, 1}), "CONV: needs 448 input bytes, KEEP has put 384 into ACC");
  Expect(bench(), Bench::Ops({3, 4, 4, 4}), "CONV: needs 336 input bytes, KEEP has put 0 into ACC");
  Expect(bench(), Bench::Ops({3, 4, 13, 512, 13, 512, 4, 4}), "KEEP: 512 and 512 bytes exceed ACC of 576");
  Expect(bench(), Bench::Ops({3, 5, 13, 640, 4, 5}), "KEEP: bytes 640 not in 1..576");
  Expect(bench(), Bench::Ops({3, 1, 13, 129, 4, 1}), "KEEP: needs 129 input bytes, the message holds 128");
  Expect(bench(), Bench::Ops({3, 1, 13, 0, 4, 1}), "KEEP: bytes 0 not in 1..576");
  Bench small;
  small.c.acc_bytes = 500;
  Expect(std::move(small), Bench::Ops(), "KEEP: 384 and 128 bytes exceed ACC of 500");
  Expect(bench(), with(22, 2), "CONV: tail kept 1 not in 0..0");
  Expect(bench(), with(23, 2), "CONV: tail kept 2 not in 0..1");
  Expect(bench(), with(23, 0), "CONV: needs 416 input bytes, the message holds 128");
  Expect(bench(), with(9, 4), "CONV: needs 160 input bytes, the message holds 128");
  Expect(bench(), with(1, 9), "CONV: needs 576 input bytes, KEEP has put 512 into ACC");
  Expect(bench(), with(16, 2), "CONV: ACC holds the input that KEEP has put there");
}

// Pieces need not be whole slots: the last one is copied as far as it goes.
void TestPieces() {
  Bench b;
  CHECK(b.Run(Bench::Ops()) == StepKind::kHalt, "fault: %s", b.fault.c_str());
  const std::vector<uint8_t> whole(b.mem.get() + b.c.o_base, b.mem.get() + b.c.o_base + 320);
  b.c.acc_bytes = 448;
  CHECK(b.Run(Bench::Ops({1, 3, 3, 1, 13, 128, 4, 1, 2, 3, 1, 13, 64, 4, 1})) == StepKind::kHalt, "fault: %s", b.fault.c_str());
  CHECK(std::equal(whole.begin(), whole.end(), b.mem.get() + b.c.o_base), "outputs differ");
}

// DIVIDE and the end of a message drop what is kept.
void TestDropped() {
  Bench b;
  auto word = [](uint32_t v) { return static_cast<int32_t>(v); };
  const CoreConfig& c = b.c;
  const Words divide = {12, word(c.a_base), word(c.a_slot), word(c.a_slots), word(c.o_base), word(c.o_slot),
                        word(c.o_slots), word(c.acc_base), word(c.acc_bytes)};
  for (const Words& ops : {Words{0}, divide}) {
    b.mem.reset(new uint8_t[c.mem_bytes]);
    Words message = {0x0A1E0001, 0, 1, 0, 0, 0};
    message.insert(message.end(), ops.begin(), ops.end());
    message.push_back(10);
    message[1] = static_cast<int32_t>(message.size());
    b.PutA(0, message.data(), message.size() * 4);
    SuperkernelState s;
    s.kept = 64;
    CoreConfig config = c;
    for (int i = 0; i < 8 && s.kept != 0; ++i) NextStep(s, config, b.mem.get(), true);
    CHECK(s.kept == 0 && s.fault.empty(), "kept %u: %s", s.kept, s.fault.c_str());
  }
}

// Words of the opcode message replaced at random: any outcome but a crash.
void TestMutations() {
  std::mt19937 rng(11);
  const Words good = Bench::Ops();
  static constexpr int32_t kValues[] = {0, 1, -1, 2, 3, 13, 64, 65535, 1 << 20, 0x7fffffff, -0x7fffffff - 1};
  int faults = 0, halts = 0;
  for (int round = 0; round < 4000; ++round) {
    Words ops = good;
    for (uint32_t n = rng() % 3; n < 3; ++n) ops[rng() % ops.size()] = kValues[rng() % std::size(kValues)];
    Bench b;
    const StepKind end = b.Run(ops, rng() % 2 != 0);
    CHECK(end != StepKind::kFault || !b.fault.empty(), "round %d: a fault without a message", round);
    faults += end == StepKind::kFault, halts += end == StepKind::kHalt;
  }
  CHECK(faults > 1000 && halts > 10, "%d faults, %d halts", faults, halts);
}

}  // namespace

int main() {
  TestValues();
  TestPieces();
  TestFaults();
  TestDropped();
  TestMutations();
  std::printf("test_keep: ok\n");
  return 0;
}
