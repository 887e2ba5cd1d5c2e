// The emulator on tiny hand-built programs: exact cycles, exact bytes, every named fault, and mutated files.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>

#include "check.h"
#include "program_builder.h"
#include "tvm_aie/emulator.h"

using namespace tvm_aie;
using tvm_aie::test::BdSpec;
using tvm_aie::test::Builder;

namespace {

struct Outcome {
  RunResult result;
  std::vector<uint8_t> output;
  std::string fault;
};

Outcome Run(const Builder& builder, RunOptions options = {}) {
  Outcome o;
  try {
    const Program program = LoadProgram(builder.Build());
    std::vector<uint8_t> input(static_cast<size_t>(program.ddr_bytes[kDdrInput]));
    for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<uint8_t>(i * 7 + 1);
    o.output.resize(static_cast<size_t>(program.ddr_bytes[kDdrOutput]));
    o.result = RunProgram(program, input, o.output, options);
  } catch (const ProgramError& e) {
    o.fault = std::string("program: ") + e.what();
  } catch (const EmulationFault& e) {
    o.fault = e.what();
  }
  return o;
}

void ExpectCycles(const Builder& builder, int64_t cycles, const char* what) {
  const Outcome o = Run(builder);
  CHECK(o.fault.empty(), "%s: %s", what, o.fault.c_str());
  CHECK(o.result.cycles == cycles, "%s: %lld cycles, expected %lld", what, static_cast<long long>(o.result.cycles),
        static_cast<long long>(cycles));
}

void ExpectFault(const Builder& builder, const char* text, RunOptions options = {}) {
  const Outcome o = Run(builder, options);
  CHECK(o.fault.find(text) != std::string::npos, "expected a fault with '%s', got '%s'", text, o.fault.c_str());
}

uint8_t InputByte(int64_t i) { return static_cast<uint8_t>(i * 7 + 1); }

// One column: LOAD into memtile S2MM 0, STORE from memtile MM2S 0. Lock 0 counts loaded buffers.
struct Copy {
  Builder b;
  int shim, mem;
  explicit Copy(int64_t words, int64_t repeat = 1) {
    shim = b.Tile(0, 0, kShim, 0);
    mem = b.Tile(0, 1, kMemtile, 4096);
    b.Flow(shim, 0, {{mem, 0}}, kFlowLoad);
    b.Flow(mem, 0, {{shim, 0}}, kFlowStore);
    b.Bd({.tile = shim, .id = 0, .mem = kDdrInput, .dims = {{words, 1}}});
    b.Bd({.tile = shim, .id = 1, .mem = kDdrOutput, .dims = {{words, 1}}});
    b.Bd({.tile = mem, .id = 0, .mem = mem, .dims = {{words, 1}}, .rel_lock = 0, .rel_value = 1});
    b.Bd({.tile = mem, .id = 1, .mem = mem, .dims = {{words, 1}}, .acq_lock = 0, .acq_value = 1});
    b.Push(shim, kMm2s, 0, 0, repeat);
    b.Push(mem, kS2mm, 0, 0, repeat);
    b.Push(mem, kMm2s, 0, 1, repeat);
    b.Push(shim, kS2mm, 0, 1, repeat);
  }
};

void TestCosts() {
  Copy c(16);
  ExpectCycles(c.b, 32, "two transfers of 16 words, the second waits for the lock");
  c.b.device["cmd.push_idle_cycles"] = 100;
  c.b.device["shim.mm2s_task_cycles"] = 7;
  c.b.device["shim.mm2s_first_cycles"] = 3;
  c.b.device["shim.s2mm_task_cycles"] = 5;
  c.b.device["dma.memtile_bd_start_cycles"] = 4;
  // Push 2 ends at 200, the descriptor is ready at 204, loaded at 220; push 4 ends at 400, the shim needs 5.
  ExpectCycles(c.b, 400 + 5 + 16, "command processor and task costs");
  // Without the last two costs the store is bound by the load: released at 220, granted at 300 by push 3.
  const Outcome o = Run(c.b);
  CHECK(std::equal(o.output.begin(), o.output.begin() + 64, o.output.begin()) && o.output[5] == InputByte(5), "bytes");
  CHECK(o.output[63] == InputByte(63) && o.output[64] == 0, "exactly 16 words are written");
  CHECK(o.result.items.size() == 1 && o.result.items[0].bytes[kFlowLoad] == 64 &&
            o.result.items[0].bytes[kFlowStore] == 64 && o.result.items[0].command_cycles == 400,
        "statistics of item 0");
  CHECK(o.result.items[0].start == 100 && o.result.items[0].end == 421, "activity of item 0");
}

// The consumer is blocked up to the cycle of the release, not one more.
void TestLockExact() {
  for (const int64_t words : {1, 15, 16, 17}) {
    Copy c(words);
    ExpectCycles(c.b, 2 * words, "store starts at the release");
  }
  Copy c(8, 3);
  // Repeats: load 0-8, 8-16, 16-24; store 8-16, 16-24, 24-32.
  ExpectCycles(c.b, 32, "three repetitions overlap");
}

void TestRates() {
  Copy c(10);
  c.b.device["flow.load.words_per_cycle"] = 0.75;  // ceil(10 / 0.75) = 14
  ExpectCycles(c.b, 14 + 10, "fractional rate rounds the segment up");
  c.b.device["flow.load.words_per_cycle"] = 4;     // ceil(2.5) = 3
  ExpectCycles(c.b, 3 + 10, "fast flow");
}

// Two columns load n0 and n1 words at the same time.
Builder TwoLoads(int64_t n0, int64_t n1, double cap1, double cap2) {
  Builder b(2);
  b.device["ddr.bytes_per_cycle_1"] = cap1;
  b.device["ddr.bytes_per_cycle_2"] = cap2;
  for (int c = 0; c < 2; ++c) {
    const int shim = b.Tile(c, 0, kShim, 0), mem = b.Tile(c, 1, kMemtile, 4096);
    const int64_t n = c == 0 ? n0 : n1;
    b.Flow(shim, 0, {{mem, 0}}, kFlowLoad);
    b.Bd({.tile = shim, .id = 0, .mem = kDdrInput, .dims = {{n, 1}}});
    b.Bd({.tile = mem, .id = 0, .mem = mem, .dims = {{n, 1}}});
    b.Push(shim, kMm2s, 0, 0);
    b.Static(mem, kS2mm, 0, 0, 1);
  }
  return b;
}

void TestFluid() {
  // 40 and 80 bytes at 1 B/cycle each until 40; then 40 bytes at 1.5 B/cycle: 27 cycles.
  ExpectCycles(TwoLoads(10, 20, 1.5, 2), 67, "capacity follows the number of active columns");
  // Alone a flow is bound by its own 4 B/cycle.
  ExpectCycles(TwoLoads(10, 20, 100, 2), 50, "own rate caps the share");
  ExpectCycles(TwoLoads(10, 20, 0, 0), 20, "unlimited");
  ExpectCycles(TwoLoads(10, 10, 1.5, 2), 40, "equal flows end together");
  // A late comer: column 1 starts 10 cycles behind column 0 and halves its rate.
  Builder b = TwoLoads(10, 10, 2, 2);
  b.device["cmd.push_idle_cycles"] = 10;
  // 10-20: 20 of 40 bytes; 20-40 the rest at 1 B/cycle; the other then has 20 bytes left, alone 2 B/cycle: 50.
  ExpectCycles(b, 50, "late comer");
}

void TestLink() {
  Builder b;
  const int mem = b.Tile(0, 1, kMemtile, 4096);
  for (int r = 0; r < 2; ++r) {
    const int core = b.Tile(0, 2 + r, kCore, 1024);
    b.Flow(core, 0, {{mem, r}}, kFlowO, 0);
    b.Bd({.tile = core, .id = 0, .mem = core, .dims = {{8, 1}}});
    b.Bd({.tile = mem, .id = r, .mem = mem, .base = 64 * r, .dims = {{8, 1}}});
    b.Static(core, kMm2s, 0, 0, 1);
    b.Static(mem, kS2mm, r, r, 1);
  }
  ExpectCycles(b, 8, "separate output flows");
  b.device["link.o_bytes_per_cycle"] = 4;
  ExpectCycles(b, 16, "one output link per column");
}

void TestBroadcastSegments() {
  Builder b;
  const int mem = b.Tile(0, 1, kMemtile, 4096);
  const int c0 = b.Tile(0, 2, kCore, 1024), c1 = b.Tile(0, 3, kCore, 1024);
  b.Flow(mem, 0, {{c0, 0}, {c1, 0}}, kFlowA);
  b.Bd({.tile = mem, .id = 0, .mem = mem, .dims = {{16, 1}}});
  b.Bd({.tile = c0, .id = 0, .mem = c0, .dims = {{16, 1}}});
  b.Bd({.tile = c1, .id = 0, .mem = c1, .dims = {{8, 1}}, .wrap = 2, .step = 8});
  b.Static(mem, kMm2s, 0, 0, 1);
  b.Static(c0, kS2mm, 0, 0, 1);
  b.Static(c1, kS2mm, 0, 0, 2);
  ExpectCycles(b, 16, "broadcast");
  b.device["dma.core_bd_start_cycles"] = 5;
  b.device["dma.memtile_bd_start_cycles"] = 3;
  ExpectCycles(b, 5 + 8 + 5 + 8, "the slowest destination sets the pace");
  CHECK(Run(b).result.segments == 2, "segments end where a descriptor ends");
}

void TestPatterns() {
  // 2 x 2 words padded to 4 x 4, loaded transposed.
  Copy c(4);
  c.b.bds.clear();
  c.b.links.clear();
  c.b.static_bds.clear();
  c.b.Bd({.tile = 0, .id = 0, .mem = kDdrInput, .dims = {{2, 1}, {2, 2}}});
  c.b.Bd({.tile = 0, .id = 1, .mem = kDdrOutput, .dims = {{16, 1}}});
  c.b.Bd({.tile = 1, .id = 0, .mem = 1, .base = 128, .dims = {{4, 1}}, .rel_lock = 0, .rel_value = 1});
  c.b.Bd({.tile = 1, .id = 1, .mem = 1, .base = 128, .dims = {{2, 2}, {2, 1}}, .pads = {{1, 1}, {1, 1}},
          .acq_lock = 0, .acq_value = 1});
  ExpectCycles(c.b, 4 + 16, "padding words take stream time");
  const Outcome o = Run(c.b, {.check = true});
  CHECK(o.fault.empty(), "%s", o.fault.c_str());
  constexpr int kExpected[16] = {-1, -1, -1, -1, -1, 0, 2, -1, -1, 1, 3, -1, -1, -1, -1, -1};
  for (int w = 0; w < 16; ++w) {
    for (int k = 0; k < 4; ++k) {
      const uint8_t expected = kExpected[w] < 0 ? 0 : InputByte(kExpected[w] * 4 + k);
      CHECK(o.output[static_cast<size_t>(w * 4 + k)] == expected, "word %d byte %d", w, k);
    }
  }
}

void TestIteration() {
  Copy c(4, 3);
  c.b.bds[0][14] = 2;  // wrap
  c.b.bds[0][15] = 8;  // step, words: the third run reads the first place again
  c.b.bds[1][14] = 3;
  c.b.bds[1][15] = 4;
  const Outcome o = Run(c.b);
  CHECK(o.fault.empty(), "%s", o.fault.c_str());
  for (int i = 0; i < 48; ++i) {
    const int64_t from = i < 16 ? i : i < 32 ? 32 + i - 16 : i - 32;
    CHECK(o.output[static_cast<size_t>(i)] == InputByte(from), "byte %d", i);
  }
}

void TestCommands() {
  Copy c(16);
  c.b.commands.clear();
  c.b.device["cmd.bd_write_cycles"] = 20;
  c.b.device["cmd.push_idle_cycles"] = 100;
  c.b.device["cmd.push_queued_cycles"] = 30;
  c.b.Push(0, kMm2s, 0, 0);       // 0-100, idle
  c.b.Push(0, kMm2s, 0, 0);       // 100-130: the channel holds a task
  c.b.Push(1, kS2mm, 0, 0, 2);    // 130-230; loads 230-246, 246-262
  c.b.Wait(1, kS2mm, 0, 1);       // 262
  c.b.Write(1);                   // 262-282
  c.b.Push(1, kMm2s, 0, 1, 1, 1); // 282-382
  c.b.Push(0, kS2mm, 0, 1, 1, 1); // 382-482
  ExpectCycles(c.b, 498, "commands in order");
  const RunResult r = Run(c.b).result;
  CHECK(r.items.size() == 2 && r.items[1].bd_writes == 1 && r.items[1].command_cycles == 220 &&
            r.items[0].waits == 1 && r.items[0].pushes == 3,
        "commands are booked on their items");
}

void TestSetLock() {
  Copy c(16);
  c.b.bds[2][25] = -1;  // nothing but the command releases the lock
  c.b.device["cmd.lock_write_cycles"] = 50;
  c.b.SetLock(1, 0, 1);
  ExpectCycles(c.b, 66, "a waiter goes when the lock is set");
  CHECK(Run(c.b).result.items[0].command_cycles == 50, "the command is booked");
  Copy set(16);
  set.b.locks.push_back({1, 0, 5});
  set.b.commands.insert(set.b.commands.begin(), {kSetLock, 1, 0, 0, 0, 0, 0});
  ExpectCycles(set.b, 32, "the value is replaced, not added to: the copy waits for its load");
  Copy lock(16);
  lock.b.SetLock(1, 16, 1);
  ExpectFault(lock.b, "program: COMMANDS row 4: lock");
  Copy value(16);
  value.b.SetLock(1, 0, 64);
  ExpectFault(value.b, "program: COMMANDS row 4: lock value");
  Copy tile(16);
  tile.b.SetLock(2, 0, 1);
  ExpectFault(tile.b, "program: COMMANDS row 4: tile");
}

// A shim that is loaded with a task without end: a buffer is full before the inference begins, and again behind it.
Copy Primed() {
  Copy c(16);
  c.b.flows[0][4] = kFlowLoadW;
  c.b.constants.resize(64);
  for (size_t i = 0; i < 64; ++i) c.b.constants[i] = static_cast<uint8_t>(i);
  c.b.bds[0][2] = kDdrConst;
  c.b.links[0][0] = 0;  // next to itself
  c.b.links[2][0] = 0;
  c.b.locks.push_back({1, 1, 1});  // lock 1: the buffer is free
  for (size_t k = 0; k < 3; ++k) {
    c.b.bds[2][22 + k] = std::array<int64_t, 3>{1, 1, 1}[k];
    c.b.bds[3][25 + k] = std::array<int64_t, 3>{1, 1, 1}[k];
  }
  c.b.commands.erase(c.b.commands.begin(), c.b.commands.begin() + 2);
  c.b.Static(0, kMm2s, 0, 0, 0);
  c.b.Static(1, kS2mm, 0, 0, 0);
  c.b.SetLock(1, 5, 0);
  c.b.Wait(0, kS2mm, 0, 1);
  return c;
}

void TestPrimed() {
  const Copy c = Primed();
  for (const bool check : {false, true}) {
    const Outcome o = Run(c.b, {.check = check});
    CHECK(o.fault.empty(), "%s", o.fault.c_str());
    CHECK(o.result.cycles == 16, "%lld cycles, the load came before", static_cast<long long>(o.result.cycles));
    CHECK(o.result.launch_cycles == 16, "%lld cycles to fill the buffer again",
          static_cast<long long>(o.result.launch_cycles));
    CHECK(std::equal(c.b.constants.begin(), c.b.constants.end(), o.output.begin()), "the constants come out");
  }
}

// One core, all six flows. A slot = W slot = O slot = 64 B; the kernel copies 8 pixels x 8 channels.
Builder OneCore(const std::vector<int32_t>& opcodes) {
  Builder b;
  const int shim = b.Tile(0, 0, kShim, 0), mem = b.Tile(0, 1, kMemtile, 4096), core = b.Tile(0, 2, kCore, 8192);
  b.Flow(mem, 0, {{core, 0}}, kFlowA);
  b.Flow(mem, 1, {{core, 1}}, kFlowW);
  b.Flow(core, 0, {{mem, 0}}, kFlowO);
  b.Flow(shim, 0, {{mem, 4}}, kFlowLoad);
  b.Flow(shim, 1, {{mem, 5}}, kFlowLoadW);
  b.Flow(mem, 2, {{shim, 0}}, kFlowStore);
  //                  A            W             O              ACC      OPS        HDR
  b.cores.push_back({core, 0, 64, 8, 1024, 64, 4, 2048, 64, 4, 3072, 0, 3072, 512, 4096, 256, 0});
  for (const auto& [lock, value] : {std::pair{0, 8}, {2, 4}, {4, 4}}) b.locks.push_back({core, lock, value});
  const auto ring = [&](int id, int64_t base, int64_t slots, int acq, int rel) {
    b.Bd({.tile = core, .id = id, .mem = core, .base = base, .dims = {{16, 1}}, .wrap = slots, .step = 16,
          .acq_lock = acq, .acq_value = 1, .rel_lock = rel, .rel_value = 1, .next = id});
  };
  ring(0, 0, 8, 0, 1);
  ring(1, 1024, 4, 2, 3);
  ring(2, 2048, 4, 5, 4);
  b.Static(core, kS2mm, 0, 0, 0);
  b.Static(core, kS2mm, 1, 1, 0);
  b.Static(core, kMm2s, 0, 2, 0);
  // Constants: opcode message (2 slots), weight message (1 slot).
  std::vector<int32_t> words(48, 0);
  const std::vector<int32_t> header = {0x0A1E0001, static_cast<int32_t>(6 + opcodes.size()), 2, 0, 0, 0};
  std::copy(header.begin(), header.end(), words.begin());
  std::copy(opcodes.begin(), opcodes.end(), words.begin() + 6);
  const std::vector<int32_t> weights = {0x0A1E0002, 1, 64, 1, 1, 0, 0, 0};
  std::copy(weights.begin(), weights.end(), words.begin() + 32);
  b.constants.resize(words.size() * 4);
  std::memcpy(b.constants.data(), words.data(), b.constants.size());
  b.Bd({.tile = shim, .id = 0, .mem = kDdrConst, .dims = {{32, 1}}, .control = true});
  b.Bd({.tile = shim, .id = 1, .mem = kDdrConst, .base = 128, .dims = {{16, 1}}});
  b.Bd({.tile = shim, .id = 2, .mem = kDdrInput, .dims = {{16, 1}}});
  b.Bd({.tile = shim, .id = 3, .mem = kDdrOutput, .dims = {{16, 1}}});
  b.Bd({.tile = mem, .id = 0, .mem = mem, .dims = {{32, 1}}, .rel_lock = 0, .rel_value = 1, .control = true});
  b.Bd({.tile = mem, .id = 1, .mem = mem, .base = 128, .dims = {{16, 1}}, .rel_lock = 1, .rel_value = 1});
  b.Bd({.tile = mem, .id = 2, .mem = mem, .base = 192, .dims = {{16, 1}}, .rel_lock = 2, .rel_value = 1});
  b.Bd({.tile = mem, .id = 3, .mem = mem, .dims = {{32, 1}}, .acq_lock = 0, .acq_value = 1, .control = true});
  b.Bd({.tile = mem, .id = 4, .mem = mem, .base = 128, .dims = {{16, 1}}, .acq_lock = 1, .acq_value = 1});
  b.Bd({.tile = mem, .id = 5, .mem = mem, .base = 192, .dims = {{16, 1}}, .acq_lock = 2, .acq_value = 1});
  b.Bd({.tile = mem, .id = 6, .mem = mem, .base = 256, .dims = {{16, 1}}, .rel_lock = 3, .rel_value = 1});
  b.Bd({.tile = mem, .id = 7, .mem = mem, .base = 256, .dims = {{16, 1}}, .acq_lock = 3, .acq_value = 1});
  b.Push(shim, kMm2s, 0, 0);
  b.Push(mem, kS2mm, 4, 0);
  b.Push(shim, kMm2s, 0, 2);
  b.Push(mem, kS2mm, 4, 2);
  b.Push(shim, kMm2s, 1, 1);
  b.Push(mem, kS2mm, 5, 1);
  b.Push(mem, kMm2s, 0, 3);
  b.Push(mem, kMm2s, 0, 5);
  b.Push(mem, kMm2s, 1, 4);
  b.Push(mem, kS2mm, 0, 6);
  b.Push(mem, kMm2s, 2, 7);
  b.Push(shim, kS2mm, 0, 3);
  b.io.push_back({0, 0, 1, 8, 1, 8, 8, 0, 0, 0, 0, 0});
  b.io.push_back({1, 0, 1, 8, 1, 8, 8, 0, 0, 0, 0, 0});
  for (int i = 0; i < 8; ++i) b.io_map.push_back({i});
  return b;
}

// ACQ_W, ACQ_A 1, ACQ_O, ADD (one input, shift 0), REL_O, REL_A 1, REL_W, HALT.
const std::vector<int32_t> kCopyOps = {5, 3, 1, 7, 9, 2, 10, 1, 8, 1, 1, 0, 0, 0, -128, 127, 0, 8, 4, 1, 6, 10};

void TestCore() {
  Builder b = OneCore(kCopyOps);
  // Opcodes are loaded at 32, in the core at 64; the input at 48 and, after the opcodes, at 80. Nothing else takes
  // time: kernel at 80, output in the memtile at 96, in DDR at 112.
  ExpectCycles(b, 112, "free core");
  b.device["kernel.add.call"] = 10;
  ExpectCycles(b, 122, "the release happens at the kernel's end");
  b.device["core.opcode_cycles"] = 3;
  // ACQ_W and ACQ_A wait from 64 + 3 + 3 on and cost nothing after 80; ACQ_O, KERNEL and REL_O cost 3 each.
  ExpectCycles(b, 131, "opcode costs");
  Outcome o = Run(b, {.check = true, .trace = true});
  CHECK(o.fault.empty(), "%s", o.fault.c_str());
  for (int i = 0; i < 64; ++i) CHECK(o.output[static_cast<size_t>(i)] == InputByte(i), "byte %d", i);
  const ItemStats& s = o.result.items[0];
  CHECK(s.kernel_calls == 1 && s.busy_sum == 10 && s.busy_max == 10, "kernel statistics");
  CHECK(s.bytes[kFlowA] == 192 && s.bytes[kFlowW] == 64 && s.bytes[kFlowLoadW] == 64 && s.bytes[kFlowO] == 64,
        "bytes by class");
  CHECK(s.stall_a == 48 + 16 + 10 && s.stall_w == 0 && s.stall_o == 0, "stall A %lld",
        static_cast<long long>(s.stall_a));
  CHECK(!o.result.trace.empty() && o.result.agents.back() == "command processor", "trace");
  const Outcome timed = Run(b, {.functional = false});
  CHECK(timed.fault.empty() && timed.result.cycles == 131 && timed.output[1] == 0, "timed mode: %s",
        timed.fault.c_str());
  CHECK(Run(b, {.compute_num = 100}).result.cycles == 131 + 990, "slow compute");
  CHECK(Run(b, {.compute_num = 0}).result.cycles == 121, "free compute");
  const Outcome cut = Run(b, {.trace = true, .max_trace_events = 3});
  CHECK(cut.result.trace.size() == 3 && cut.result.trace_dropped > 0, "trace limit");
}

void TestFaults() {
  Copy lost(16);
  lost.b.bds[2][25] = -1;  // the release is lost
  ExpectFault(lost.b, "deadlock at cycle 16");
  ExpectFault(lost.b, "memtile(0) MM2S 0 descriptor 1 waits for lock W_free[0] >= 1 (value 0)");
  Copy waiting(16);
  waiting.b.Wait(1, kMm2s, 0, 2);
  ExpectFault(waiting.b, "command processor waits in command 4 until memtile(0) MM2S 0 has completed 2 tasks (completed 1)");
  Copy overflow(16);
  for (int i = 0; i < 4; ++i) overflow.b.Push(1, kMm2s, 0, 1);
  ExpectFault(overflow.b, "queue overflow: memtile(0) MM2S 0 holds 4 tasks");
  Copy high(16);
  high.b.bds[2][27] = 63;
  high.b.locks.push_back({1, 0, 5});
  ExpectFault(high.b, "lock overflow: W_free[0] of memtile(0) rises to 67");
  Copy rewritten(16, 2);
  rewritten.b.device["cmd.bd_write_cycles"] = 15;
  rewritten.b.Write(0);  // while the first of two repetitions runs
  ExpectFault(rewritten.b, "descriptor overwritten: command 4 writes descriptor 0 at cycle 15, which shim(0) MM2S 0");
  rewritten.b.device["cmd.bd_write_cycles"] = 17;
  CHECK(Run(rewritten.b).fault.empty(), "the last repetition holds its copy");
  Copy endless(16, 4);
  ExpectFault(endless.b, "event budget of 5", {.max_events = 5});
  ExpectFault(endless.b, "cycle limit", {.max_cycles = 20});
  Copy race(16);
  race.b.bds[3][22] = -1;  // the store does not wait for the load
  ExpectFault(race.b, "race: memtile(0) MM2S 0 descriptor 1", {.check = true});
  Copy stale(16);
  stale.b.bds[3][3] = 1024;  // another buffer
  ExpectFault(stale.b, "read of never-written memory: memtile(0) MM2S 0 descriptor 1 reads byte 1024", {.check = true});
  CHECK(Run(stale.b).fault.empty(), "without check the read is not seen");
  Copy missing(16);
  missing.b.io.push_back({1, 0, 1, 8, 1, 16, 8, 0, 0, 0, 0, 0});
  for (int i = 0; i < 8; ++i) missing.b.io_map.push_back({i});
  ExpectFault(missing.b, "output 0 was never written at byte 64", {.check = true});
  ExpectFault(OneCore({10}), "deadlock");  // halts without taking its input
  ExpectFault(OneCore({42}), "core fault: core(0,0), item 0");
  ExpectFault(OneCore({3, 2, 10}), "core(0,0) (item 0) waits for lock A_full >= 2 (value 1)");
  Builder magic = OneCore(kCopyOps);
  magic.constants[0] ^= 1;
  ExpectFault(magic, "bad magic");
  ExpectFault(OneCore({1, 1 << 30, 2, 10}), "event budget", {.max_events = 10000});
}

struct Rejection {
  const char* text;
  std::function<void(Builder&)> change;
};

void TestRejections() {
  const std::vector<Rejection> cases = {
      {"BDS row 2: descriptor reaches bytes 4,064..4,128 of memtile(0), which has 4,096",
       [](Builder& b) { b.bds[2][3] = 4064; }},
      {"BDS row 0: descriptor reaches bytes", [](Builder& b) { b.bds[0][14] = 1000; b.bds[0][15] = 16; }},
      {"BDS row 0: length 17 words, but the sizes multiply to 16", [](Builder& b) { b.bds[0][4] = 17; }},
      {"BDS row 0: size 0 is not in", [](Builder& b) { b.bds[0][9] = 0; }},
      {"BDS row 1: base -4", [](Builder& b) { b.bds[1][3] = -4; }},
      {"BDS row 1: base 2 ", [](Builder& b) { b.bds[1][3] = 2; }},
      {"only memtiles pad", [](Builder& b) { b.bds[0][18] = 1; b.bds[0][4] = 17; }},
      {"pads with zeros, which only MM2S", [](Builder& b) { b.bds[2][18] = 1; b.bds[2][4] = 17; }},
      {"writes DDR argument 1, which is read-only", [](Builder& b) { b.bds[1][2] = 1; }},
      {"number of dimensions 4", [](Builder& b) { b.bds[0][5] = 4; }},
      {"BDS row 2: descriptor 16", [](Builder& b) { b.bds[2][1] = 16; }},
      {"BDS row 2: lock 16", [](Builder& b) { b.bds[2][26] = 16; }},
      {"BDS row 2: lock value 64", [](Builder& b) { b.bds[2][27] = 64; }},
      {"cannot use the locks of", [](Builder& b) { b.bds[2][25] = 0; }},
      {"does not reach the memory of", [](Builder& b) { b.bds[2][2] = 0; }},
      {"BD_LINKS row 0: next descriptor 99", [](Builder& b) { b.links[0][0] = 99; }},
      {"reaches descriptor 7, which nothing has written", [](Builder& b) { b.links[0][0] = 7; }},
      {"already belongs to another flow", [](Builder& b) { b.Flow(0, 0, {{1, 3}}, kFlowLoad); }},
      {"a flow of class LOAD starts at a shim, not at memtile(0)", [](Builder& b) { b.Flow(1, 3, {{1, 3}}, kFlowLoad); }},
      {"FLOWS row 0: number of destinations", [](Builder& b) { b.flows[0][3] = 9; }},
      {"no flow at memtile(0) MM2S 5", [](Builder& b) { b.Push(1, kMm2s, 5, 0); }},
      {"COMMANDS row 4: operation 9", [](Builder& b) { b.commands.push_back({9, 0, 0, 0, 0, 0, 0}); }},
      {"COMMANDS row 4: row of BDS 99", [](Builder& b) { b.Write(99); }},
      {"repeat 0", [](Builder& b) { b.commands[0][5] = 0; }},
      {"LOCK_INIT row 0: value 64", [](Builder& b) { b.locks.push_back({1, 0, 64}); }},
      {"TILES row 2: a tile is listed twice", [](Builder& b) { b.Tile(0, 0, kShim, 0); }},
      {"TILES row 2: memory bytes", [](Builder& b) { b.Tile(0, 4, kCore, int64_t{1} << 40); }},
      {"DDR_SIZES: 8,589,938,688 bytes together", [](Builder& b) { b.ddr[2] = b.ddr[3] = int64_t{1} << 32; }},
      {"core.ideal is missing", [](Builder& b) { b.device.erase("core.ideal"); }},
      {"unknown key core.colour", [](Builder& b) { b.device["core.colour"] = 1; }},
      {"dma.queue_depth 0", [](Builder& b) { b.device["dma.queue_depth"] = 0; }},
      {"flow.a.words_per_cycle is out of range", [](Builder& b) { b.device["flow.a.words_per_cycle"] = 0; }},
      {"IO row 0: the tensor does not fit", [](Builder& b) { b.io.push_back({0, 0, 1, 8, 999, 999, 8, 0, 0, 0, 0, 0}); }},
      {"IO row 0: the channel map ends early", [](Builder& b) { b.io.push_back({0, 0, 1, 8, 1, 1, 8, 0, 0, 0, 0, 0}); }},
      {"IO row 0: fold 9", [](Builder& b) { b.io.push_back({0, 0, 1, 8, 1, 1, 8, 0, 0, 0, 0, 9}); }},
      {"IO row 0: only an input image", [](Builder& b) { b.io.push_back({1, 0, 1, 1, 1, 1, 8, 0, 0, 0, 0, 2}); }},
      {"IO row 0: only an input image", [](Builder& b) { b.io.push_back({0, 0, 1, 1, 1, 1, 8, 0, 0, 0, 1, 2}); }},
  };
  for (const Rejection& r : cases) {
    Copy c(16);
    r.change(c.b);
    ExpectFault(c.b, r.text);
  }
  const std::vector<Rejection> core_cases = {
      {"CORES row 0: ring W and ring O overlap", [](Builder& b) { b.cores[0][6] = 40; }},
      {"occupies bytes", [](Builder& b) { b.cores[0][13] = 60000; }},
      {"slots of a ring 64", [](Builder& b) { b.cores[0][3] = 64; }},
      {"ring A is not aligned", [](Builder& b) { b.cores[0][1] = 4; }},
      {"is not a core", [](Builder& b) { b.cores[0][0] = 1; }},
  };
  for (const Rejection& r : core_cases) {
    Builder b = OneCore(kCopyOps);
    r.change(b);
    ExpectFault(b, r.text);
  }
}

void TestContainer() {
  const std::vector<uint8_t> good = Copy(16).b.Build();
  const auto load = [](std::vector<uint8_t> file) -> std::string {
    try {
      LoadProgram(std::move(file));
    } catch (const ProgramError& e) {
      return e.what();
    }
    return "accepted";
  };
  CHECK(load(good) == "accepted", "%s", load(good).c_str());
  for (const size_t size : {size_t{0}, size_t{31}, size_t{32}, good.size() - 1}) {
    CHECK(load({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}) != "accepted", "truncated to %zu", size);
  }
  std::vector<uint8_t> bad = good;
  bad[100] ^= 1;
  CHECK(load(bad) == "damaged program: checksum mismatch", "%s", load(bad).c_str());
  bad = good;
  bad[8] = 1;
  CHECK(load(bad) == "program version 1; this library reads version 3", "%s", load(bad).c_str());
  CHECK(Crc32(reinterpret_cast<const uint8_t*>("123456789"), 9) == 0xCBF43926u, "CRC-32 check value");
}

// Mutated files are rejected, fault, or run within their limits; the sanitizers watch.
void TestMutations(int rounds) {
  const std::vector<std::vector<uint8_t>> seeds = {OneCore(kCopyOps).Build(), Copy(16, 3).b.Build(),
                                                   TwoLoads(10, 20, 1.5, 2).Build(), Primed().b.Build()};
  std::mt19937 rng(20);
  constexpr int64_t kInteresting[] = {0, -1, 1, 2, 4, 16, 63, 64, 255, 4096, 65536, 1 << 30, int64_t{1} << 32,
                                      INT64_MAX, INT64_MIN};
  int rejected = 0, faulted = 0, ran = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<uint8_t> file = seeds[rng() % seeds.size()];
    for (unsigned n = 1 + rng() % 3; n > 0; --n) {
      // Mostly whole table cells behind the section directory; sometimes single bytes anywhere.
      const size_t first = rng() % 8 == 0 ? 32 : 32 + 24 * 17;
      const size_t at = first + rng() % (file.size() - first - 8);
      if (const unsigned how = rng() % 4; how < 2) {
        // A neighbouring value: most of these are accepted and reach the machine.
        int64_t value;
        std::memcpy(&value, file.data() + at / 8 * 8, 8);
        if (value > -8 && value < 1 << 20) value += how == 0 ? 1 : -1;
        std::memcpy(file.data() + at / 8 * 8, &value, 8);
      } else if (how == 2) {
        file[at] = static_cast<uint8_t>(file[at] ^ (1u << (rng() % 8)));
      } else {
        const int64_t value = kInteresting[rng() % std::size(kInteresting)];
        std::memcpy(file.data() + at / 8 * 8, &value, 8);
      }
    }
    Builder::FixCrc(file);
    RunOptions options{.functional = rng() % 2 == 0, .max_cycles = 1'000'000, .max_events = 20'000};
    try {
      const Program program = LoadProgram(file);
      std::vector<uint8_t> input, output;
      if (options.functional && program.ddr_bytes[1] + program.ddr_bytes[2] < (1 << 20)) {
        input.resize(static_cast<size_t>(program.ddr_bytes[1]));
        output.resize(static_cast<size_t>(program.ddr_bytes[2]));
        options.check = rng() % 2 == 0;
      } else {
        options.functional = false;
      }
      RunProgram(program, input, output, options);
      ++ran;
    } catch (const ProgramError&) {
      ++rejected;
    } catch (const EmulationFault&) {
      ++faulted;
    }
  }
  std::printf("mutations: %d rejected, %d faulted, %d ran\n", rejected, faulted, ran);
  CHECK(rejected > 0 && faulted > 0 && ran > 0, "the mutations reach the loader and the machine");
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 3000;
  TestContainer();
  TestCosts();
  TestLockExact();
  TestRates();
  TestFluid();
  TestLink();
  TestBroadcastSegments();
  TestPatterns();
  TestIteration();
  TestCommands();
  TestSetLock();
  TestPrimed();
  TestCore();
  TestFaults();
  TestRejections();
  TestMutations(rounds);
  std::printf("test_emulator: ok\n");
  return 0;
}
