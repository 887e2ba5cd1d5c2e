// The discrete-event model of the array (docs/program.md section 4). Integer cycles, deterministic.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tvm_aie/program.h"

namespace tvm_aie {

// The program did something the array cannot do: deadlock, queue overflow, race, malformed message, ...
class EmulationFault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct RunOptions {
  bool functional = true;       // false: only opcode and weight messages are moved, no kernel arithmetic
  bool check = false;           // races and reads of never-written memory are faults (needs functional)
  bool trace = false;
  int64_t compute_num = 1, compute_den = 1;  // kernel cycles are scaled by num / den, rounded up
  int64_t max_cycles = int64_t{1} << 40;
  int64_t max_events = 2'000'000'000;        // events and core steps together
  int64_t max_trace_events = 1'000'000;
};

struct ItemStats {
  int32_t item = -1;                 // -1: activity that belongs to no item
  int64_t start = -1, end = -1;      // first and last cycle of its pushed tasks and kernels; -1 = none
  int64_t busy_sum = 0, busy_max = 0;        // kernel cycles over all cores / of the busiest core
  int64_t macs = 0, dense_macs = 0, kernel_calls = 0;
  std::array<int64_t, kNumFlowClasses> bytes{};  // by FlowClass; once per stream, not per destination
  int64_t command_cycles = 0, pushes = 0, bd_writes = 0, waits = 0;
  int64_t stall_a = 0, stall_w = 0, stall_o = 0;  // core cycles spent waiting, over all cores
};

enum TraceKind : int { kTraceTransfer = 0, kTraceKernel = 1, kTraceWait = 2, kTraceCommand = 3 };

struct TraceEvent {
  int64_t agent, kind, item, start, end, amount;  // amount: bytes, MACs, or the lock waited for
};

struct RunResult {
  // From the end of the launch to the last finite activity; of a resident program, to that of the command processor,
  // which waits for the outputs: what gets the array ready again may still be under way.
  int64_t cycles = 0;
  // Total time = launch + cycles: the device's launch, or until the weight rings are full again, if that is longer.
  int64_t launch_cycles = 0;
  int64_t events = 0, segments = 0;
  std::vector<ItemStats> items;     // every item that the command stream names, then -1 if it saw activity
  std::vector<TraceEvent> trace;
  int64_t trace_dropped = 0;
  std::vector<std::string> agents;  // names of trace agents
};

class Machine;

// An array with a program on it. `program` must outlive it.
class Emulator {
 public:
  Emulator(const Program& program, const RunOptions& options);
  ~Emulator();
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;

  // One inference; arguments and errors as RunProgram. A resident program (docs/program.md) carries on from where the
  // inference before left the array; any other finds it as loaded.
  RunResult Infer(std::span<const uint8_t> input, std::span<uint8_t> output);

 private:
  const Program& program_;
  const RunOptions options_;
  std::unique_ptr<Machine> machine_;
};

// Runs the program once. `input` is DDR argument 1, `output` argument 2; both of exactly the size in DDR_SIZES
// (in timed mode either may be empty). Throws EmulationFault.
RunResult RunProgram(const Program& program, std::span<const uint8_t> input, std::span<uint8_t> output,
                     const RunOptions& options);

// Cycles of one kernel call, unscaled (docs/device-keys.md).
int64_t KernelCycles(const DeviceParams& device, const KernelCall& call);

// Network tensors <-> DDR layout (H, C_physical / 8, W, 8). `user` is NCHW (or flat), one image.
void PackTensor(const IoTensor& io, const uint8_t* user, uint8_t* ddr);
void UnpackTensor(const IoTensor& io, const uint8_t* ddr, uint8_t* user);

}  // namespace tvm_aie
