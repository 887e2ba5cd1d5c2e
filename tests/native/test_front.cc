// FRONT, DROP, and convolutions that read ACC: equal to plain sums of the two convolutions, for every instruction set of
// this machine; and what they cost.
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
#include "front_item.h"
#include "kernels/dispatch.h"
#include "tvm_aie/superkernel.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

// FRONT counts as CONV, of the image's pixels alone; a full row of Gamma is not looked up in full chunks.
void CheckFrontCost(const Item& it, const Part& f, const KernelCall& call) {
  const int groups = (it.w + 3) / 4, full = groups / 8, rest = groups % 8, chunks = full + (rest != 0);
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
  const int64_t macs = int64_t{f.nnz()} * it.w * 64, dense_macs = int64_t{f.ocb} * it.cin * it.w * 64;
  CHECK(call.macs == macs && call.dense_macs == dense_macs && call.macs_int4 == 0, "MACs of a front");
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
              return r.end - r.begin == Size(it.cin * it.sent() * 8) && r.begin >= it.c.a_base;
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

// Where a row lies in ACC, and that nothing is left of what lay there: pixels on the left, on the right, none.
void TestLines(int rounds) {
  for (int seed = 1; seed <= rounds; ++seed) {
    Rng rng(static_cast<unsigned>(seed));
    Item it = Item::Random(rng);
    const int left = Below(rng, 4), line = left + it.w + Below(rng, 4), row = it.front * line * 8, rows = it.above() + 1;
    Words call = it.FrontOps();
    call[5 + 2] = left, call[5 + 9] = line;
    it.ops = Item::Join({{5}, Item::Loop(rows, call), {10}});
    it.Again(rng);
    it.c.acc_base = it.c.mem_bytes, it.c.acc_bytes = static_cast<uint32_t>(rows * row);
    it.c.mem_bytes += it.c.acc_bytes + 256;
    Core core(it.c, it.traffic, true);
    const Outcome out = core.Run(1000);
    CHECK(out.end == StepKind::kHalt && out.calls.size() == Size(rows), "lines %d: %s", seed, out.fault.c_str());
    const Values image = Convolve(it.fronts[0], it.input, 1, it.sent(), 1, 0, 1, it.w, it.first);
    const uint8_t* acc = core.memory() + it.c.acc_base;
    for (int i = 0; i < rows * row; ++i) {  // the last row is the image's first
      const int px = i / 8 % line - left, f = i / 8 / line % it.front, got = static_cast<int8_t>(acc[i]);
      if (px < 0 || px >= it.w) CHECK(got == 0, "lines %d: padding is %d", seed, got);
      if (px < 0 || px >= it.w || i < (rows - 1) * row) continue;
      CHECK(got == image[Size((f * it.w + px) * 8 + i % 8)], "lines %d: block %d pixel %d is %d", seed, f, px, got);
    }
    CHECK(acc[rows * row] == 0x5A && acc[-1] == 0x5A, "lines %d: bytes around the rows", seed);
    CHECK(Writes(out.calls.back(), it.c.acc_base + (rows - 1) * row, row), "lines %d: range", seed);
    for (const KernelCall& each : out.calls) CheckFrontCost(it, it.fronts[0], each);
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
    TestLines(rounds);
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
  std::printf("test_front: ok\n");
  return 0;
}
