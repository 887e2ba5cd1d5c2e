// A max pool behind a convolution whose rows the next band takes over: equal to plain sums and to the form that computes them
// again, for every instruction set of this machine; what it costs; what is refused.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "carry_item.h"
#include "check.h"
#include "kernels/dispatch.h"
#include "tvm_aie/emulator.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

bool Covers(const MemRange* list, int n, int64_t begin, int64_t bytes) {
  return std::any_of(list, list + n, [=](const MemRange& r) { return r.begin == begin && r.end == begin + bytes; });
}

// The calls of CONV, without those of FRONT and DROP.
std::vector<KernelCall> Bands(const Outcome& out) {
  std::vector<KernelCall> list;
  for (const KernelCall& call : out.calls) {
    if (call.pool_id == kMaxPool) list.push_back(call);
  }
  return list;
}

int CheckCosts(const CarryItem& it, const Outcome& out, const Outcome& again) {
  const std::vector<KernelCall> calls = Bands(out), others = Bands(again);
  const std::string text = it.Text();
  CHECK(Size(it.messages()) == calls.size() && calls.size() == others.size() && out.opcodes == again.opcodes, "%s", text.c_str());
  const int64_t stage = int64_t{it.ocb} * it.most() * it.wc * 8, at = it.c.acc_base + it.c.acc_bytes - stage;
  int total = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    const int b = static_cast<int>(i) % it.n_bands, lo = it.from(b), hi = it.end(b);
    const bool taken = b > 0 && it.end(b - 1) > lo;
    const int first = taken ? std::max(lo, it.end(b - 1)) : lo, rows = hi - first;
    const KernelCall &call = calls[i], &other = others[i];
    CHECK(call.id == kConv && call.chunks == it.ocb * (((it.wc + 3) / 4 * rows + 7) / 8), "%s: band %d: %lld chunks", text.c_str(),
          b, static_cast<long long>(call.chunks));
    int64_t taps = 0;
    for (int r = first; r < hi; ++r) {
      for (int ky = 0; ky < it.k; ++ky) taps += r * it.stride - it.pad + ky >= 0 && r * it.stride - it.pad + ky < it.h;
    }
    const int64_t block_macs = taps * it.k * it.wc * 64;
    CHECK(call.dense_macs == block_macs * it.ocb * it.blocks(), "%s: band %d: dense MACs", text.c_str(), b);
    const Part& part = it.windows[i / Size(it.n_bands * it.chunks)];
    CHECK(part.listed() || call.macs == block_macs * part.nnz(), "%s: band %d: MACs", text.c_str(), b);
    const bool moved = taken && lo > it.from(b - 1);
    CHECK(call.moved_lines == (moved ? it.ocb : 0), "%s: band %d: moves in %lld blocks", text.c_str(), b, static_cast<long long>(call.moved_lines));
    CHECK(call.moved_vectors == (moved ? it.ocb * (((first - lo) * it.wc * 8 + 31) / 32) : 0), "%s: band %d: moved vectors", text.c_str(), b);
    CHECK(call.pool_lines == other.pool_lines && call.pool_vectors == other.pool_vectors && other.moved_lines == 0, "%s: the pool", text.c_str());
    CHECK(Covers(call.writes.data(), call.n_writes, at, stage), "%s: the stage is written", text.c_str());
    CHECK(Covers(call.reads.data(), call.n_reads, at, stage) == taken, "%s: the stage is read", text.c_str());
    total += taken;
  }
  return total;
}

void CheckTimed(const CarryItem& it, const Outcome& run) {
  const Outcome timed = it.Run(false);
  CHECK(timed.end == run.end && timed.calls.size() == run.calls.size() && timed.opcodes == run.opcodes, "timed");
  for (size_t i = 0; i < run.calls.size(); ++i) {
    CHECK(timed.calls[i].macs == run.calls[i].macs && timed.calls[i].trips == run.calls[i].trips &&
              timed.calls[i].moved_vectors == run.calls[i].moved_vectors,
          "call %zu differs when timed", i);
  }
}

void TestItems(int rounds) {
  int taken = 0;
  for (int seed = 1; seed <= rounds; ++seed) {
    Rng rng(static_cast<unsigned>(seed));
    const CarryItem it = CarryItem::Random(rng, seed % 3 == 0);
    const Outcome out = it.Run();
    CheckValues(it, out);
    CheckTimed(it, out);
    CarryItem other = it;
    other.kind = 3, other.ops = other.Ops();
    other.Again(rng);
    const Outcome again = other.Run();
    CheckValues(other, again);
    taken += CheckCosts(it, out, again);
  }
  CHECK(taken > rounds, "%d bands take rows over", taken);
}

// Bands of one row of a 3x3 pool with stride 2: two rows of three are new. Rows that move cost the loop of UPSAMPLE.
void TestCycles() {
  Rng rng(5);
  CarryItem it;
  it.Fill(rng);
  const Outcome out = it.Run();
  CheckValues(it, out);
  DeviceParams device{};
  device.kernel[kUpsample].a = 10 * kFixedOne, device.kernel[kUpsample].ii = 3 * kFixedOne, device.kernel[kUpsample].call = 1000 * kFixedOne;
  device.conv_call = 100 * kFixedOne, device.conv_a = kFixedOne;
  const int rows[] = {2, 2, 2, 2, 1};  // 9 in all
  for (size_t b = 0; b < 5; ++b) {
    const int64_t moved = b == 0 ? 0 : 2 * (10 + 2 * 3);
    CHECK(KernelCycles(device, out.calls[b]) == 100 + 2 * ((rows[b] * 2 + 7) / 8) + moved, "band %zu: %lld cycles", b,
          static_cast<long long>(KernelCycles(device, out.calls[b])));
  }
}

// Two calls by hand, of pool rows 0 and 1 or of row 0 twice, with opcodes between them: whether the second takes rows over.
struct TwoBands {
  CarryItem it;
  int m;

  explicit TwoBands(int rows) {
    Rng rng(7);
    it.n_bands = 2, it.y_rows = rows;
    it.Fill(rng);
    m = it.message_slots();
  }

  Words Call(int row, int kind = 7) const {
    Words call = it.ConvOps();
    call[3 + 10] = row, call[3 + 11] = 1, call[3 + 14] = -1, call[3 + 22] = kind, call[3 + 34] = -1;
    return call;
  }

  // The second message is held already.
  KernelCall Second(const Words& between) {
    Rng rng(7);
    it.ops = Item::Join({{5, 3, m, 7}, Call(0), {8, 4, m, 3, m}, between, {7}, Call(it.y_rows - 1), {8, 4, m, 6, 10}});
    it.Again(rng);
    const Outcome out = it.Run();
    CheckValues(it, out);
    return out.calls.back();
  }
};

void TestForgotten() {
  TwoBands two(2);
  const auto taken = [&](const Words& between) { return two.Second(between).moved_lines != 0; };
  CHECK(taken({}), "nothing between");
  CHECK(!taken(Item::Join({{7}, two.Call(0, 3)})), "a CONV with a pool of kind 3");
  Words plain = two.Call(0);
  plain.resize(3 + 22);
  plain[2] = 22, plain[3 + 8] = 1;
  CHECK(!taken(Item::Join({{7}, plain})), "a CONV without a pool");
  Words narrow = two.Call(0);  // 6 lines of 3 pixels, not 3 of 6
  narrow[3 + 8] = 1, narrow[3 + 23] = 6, narrow[3 + 27] = 3, narrow[3 + 30] = 3;
  CHECK(!taken(Item::Join({{7}, narrow})), "a CONV with other lines");
  CHECK(!taken(Item::Join({{7}, two.Call(1), two.Call(0, 3)})), "a CONV with a pool of kind 3, later");
  // KEEP of the held message over the rows, and DROP of all of it.
  CHECK(!taken({13, 64, 14, 64}), "KEEP");
  CHECK(two.Second(Item::Join({{7}, two.Call(1)})).chunks == 0, "the same band: nothing is computed");
  // Rows 0 and 1 of the window, behind a call with rows 0 .. 2, and behind one with row 1 alone.
  TwoBands same(1);
  CHECK(same.Second({}).chunks == 0, "the same band");
  Words more = same.Call(0), second = same.Call(0);
  more[3 + 27] = 0, second[3 + 27] = -1, second[3 + 29] = 2;
  for (const Words& before : {more, second}) CHECK(same.Second(Item::Join({{7}, before})).chunks > 0, "rows that do not fit");
}

// The same band twice. With its rows in the stage nothing is computed and nothing moves; a new weight message or a new
// message of opcodes forgets them.
void TestAgain() {
  Rng rng(8);
  CarryItem it;
  it.h = 3, it.y_rows = it.band = 2, it.n_bands = 1, it.passes = 2;
  it.Fill(rng);
  const int m = it.message_slots();
  Words call = it.ConvOps();
  call[3 + 14] = -1, call[3 + 34] = -1;
  const Words band = Item::Join({{3, m, 7}, call, {8, 4, m}});
  it.ops = Item::Join({{5}, band, {6, 5}, band, {6, 10}});
  it.Again(rng);
  Outcome out = it.Run();
  CheckValues(it, out);
  CHECK(out.calls[1].chunks == out.calls[0].chunks && out.calls[0].chunks > 0, "a weight message forgets the rows");
  std::copy_n(it.expected.begin(), it.out_bytes(), it.expected.begin() + it.out_bytes());
  it.ops = Item::Join({{5}, band, band, {6, 10}});
  it.Again(rng);
  out = it.Run();
  CheckValues(it, out);
  CHECK(out.calls[1].chunks == 0 && out.calls[1].macs == 0 && out.calls[1].moved_lines == 0, "all is there");
  CHECK(out.calls[1].pool_vectors == out.calls[0].pool_vectors && out.calls[0].pool_vectors > 0, "the pool's work");
  it.ops = Item::Join({{5}, band, {0}});
  it.Again(rng);
  const Bytes image(it.traffic.a.end() - m * CarryItem::kSlot, it.traffic.a.end());
  Bytes& a = it.traffic.a;
  a.resize(Size(it.op_slots * CarryItem::kSlot));
  Append(&a, image);
  Append(&a, OpMessage(Item::Join({band, {6, 10}}), it.op_slots, CarryItem::kSlot));
  Append(&a, image);
  it.c.a_slots = static_cast<uint32_t>(a.size() / CarryItem::kSlot);
  it.c.mem_bytes = it.c.a_base + static_cast<uint32_t>(a.size()) + 256;
  out = it.Run();
  CheckValues(it, out);
  CHECK(out.calls[1].chunks == out.calls[0].chunks, "END forgets the rows");
}

void Expect(const CarryItem& it, const std::string& text) {
  for (bool functional : {true, false}) {
    const Outcome out = it.Run(functional);
    CHECK(out.end == StepKind::kFault && out.fault.rfind(text, 0) == 0, "got '%s', expected '%s'", out.fault.c_str(), text.c_str());
  }
}

CarryItem Good(bool front) {
  Rng rng(3);
  CarryItem it;
  it.front = front ? 2 : 0;
  it.Fill(rng);
  return it;
}

void TestFaults() {
  for (bool front : {false, true}) CheckValues(Good(front), Good(front).Run());
  const auto with = [](std::initializer_list<std::pair<size_t, int>> words, bool front = false) {
    CarryItem it = Good(front);
    const size_t at = it.Conv();
    for (const auto& [word, value] : words) it.PokeA(at + word, value);
    return it;
  };
  Expect(with({{16, 2}}), "CONV: rows for the next call need all input channels in one message");
  Expect(with({{22, 8}}), "CONV: stage 8 not in 3..7");
  Expect(with({{33, 1}}), "CONV: n_div 1 not in 0..0");
  CarryItem it = Good(false);
  it.PokeW(10, 4);
  Expect(it, "CONV: a pool inside needs int8");
  it = Good(false);
  it.PokeW(10, 2);
  Expect(it, "CONV: a pool inside needs int8");
  // A second stage: eight words more.
  it = Good(false);
  const Words tail = {2, 0, 1, 0, 1, -90, 90, 0};
  const size_t conv = it.Conv();
  it.ops.insert(it.ops.begin() + static_cast<int>(conv) + 35, tail.begin(), tail.end());
  it.ops[conv - 1] += 8;
  Rng rng(3);
  it.Again(rng);
  Expect(it, "CONV: 43 parameter words, expected 35");
  // ACC: 2 blocks of 3 lines of 6 pixels; with a front 5 rows of 2 blocks of 8 pixels before it.
  it = Good(false);
  it.c.acc_bytes -= 8;
  Expect(it, "CONV: 0 bytes kept and pool stage of 288 bytes exceed ACC of 280");
  it = Good(true);
  it.c.acc_bytes -= 8;
  Expect(it, "CONV: 640 bytes kept and pool stage of 288 bytes exceed ACC of 920");
  it = Good(false);
  it.c.acc_bytes += 4;
  Expect(it, "CONV: ACC of 292 bytes does not end with a whole pixel");
  it = Good(false);
  it.c.acc_base = it.c.mem_bytes, it.c.mem_bytes += it.c.acc_bytes + 255;
  Expect(it, "CONV: partial sums and pool stage of 288 bytes exceed ACC of 288");
  it.c.mem_bytes += 1;
  CheckValues(it, it.Run());
  // The stage does not move with what is kept: a front that runs into it.
  it = Good(true);
  const Words drop = {14, it.step() * it.row_bytes()};
  const size_t at = Size(std::search(it.ops.begin(), it.ops.end(), drop.begin(), drop.end()) - it.ops.begin());
  it.PokeA(at + 1, 8);
  Expect(it, "FRONT: 632 and 128 bytes reach the rows for the next call at 640");
  // With input in ACC that is not a front's, as kind 3.
  it = Good(false);
  const int m = it.message_slots();
  it.ops = Item::Join({{3, m, 13, 64, 5, 1, 1, 1, 1, 1, 1, 7}, it.ConvOps()});
  it.Again(rng);
  Expect(it, "CONV: ACC holds the input that KEEP has put there");
}

// A row of cores without output blocks computes nothing, and carries nothing over.
void TestNothingOwned() {
  for (bool front : {false, true}) {
    CarryItem it = Good(front);
    for (size_t word : {3, 4, 5}) it.PokeW(word, 0);
    it.PokeW(16, 0);  // row_ptr, where the biases began
    const Outcome out = it.Run();
    CHECK(out.end == StepKind::kHalt && out.output.empty(), "%s", out.fault.c_str());
  }
}

// Words of opcodes, headers and lists replaced at random: any outcome but a crash.
void TestMutations(int rounds) {
  static constexpr int32_t kValues[] = {0, 1, -1, 2, 3, 7, 14, 32, 48, 64, 128, 4096, 65535, 65536, 1 << 20, 0x7fffffff, -0x7fffffff - 1};
  Rng rng(11);
  int faults = 0, halts = 0;
  for (int round = 0; round < rounds; ++round) {
    CarryItem it = Good(round % 3 == 0);
    const size_t conv = it.Conv();
    for (int n = Below(rng, 3); n >= 0; --n) {
      const int value = Below(rng, 2) != 0 ? kValues[rng() % std::size(kValues)] : Below(rng, 20);
      const int where = Below(rng, 4);
      if (where == 0) it.PokeA(rng() % it.ops.size(), value);
      if (where == 1 || where == 2) it.PokeA(conv + rng() % 35, value);
      if (where == 3) it.PokeW(1 + rng() % 40, value);
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
    TestItems(rounds);
    std::exit(0);
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0, "%s fails", name);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 240;
  for (const char* name : {"portable", "avx2", "vnni"}) WithKernels(name, rounds);
  TestCycles();
  TestForgotten();
  TestAgain();
  TestFaults();
  TestNothingOwned();
  TestMutations(20 * rounds);
  std::printf("test_pool_carry: ok\n");
  return 0;
}
