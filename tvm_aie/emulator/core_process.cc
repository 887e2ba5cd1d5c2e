// A core: the superkernel's steps in time. Between two lock operations a core touches nothing that others may
// touch, so those steps are taken at once and only their durations are added up.
#include <algorithm>

#include "emulator/machine.h"

namespace tvm_aie {

namespace {

bool IsAFull(int lock) { return lock == kAFull || lock == kAFull1; }

}  // namespace

void Machine::BookPending(Core& core) {
  Item(core.kernel.item).stall_a += core.unbooked_a;
  core.unbooked_a = 0;
}

// The item of an opcode message is known only once the message has arrived: A stalls are booked later.
void Machine::BookStall(int core, int lock, int64_t cycles) {
  Core& c = cores_[static_cast<size_t>(core)];
  if (IsAFull(lock)) {
    c.unbooked_a += cycles;
  } else if (lock == kWFull) {
    Item(c.kernel.item).stall_w += cycles;
  } else if (lock == kOFree || lock == kOFree1) {
    Item(c.kernel.item).stall_o += cycles;
  }
}

void Machine::CoreGranted(int core, int64_t t) {
  Core& c = cores_[static_cast<size_t>(core)];
  const int agent = n_channels() + core;
  const Waiter& w = waiters_[static_cast<size_t>(agent)];
  BookStall(core, c.lock, t - w.since);
  if (options_.trace) Trace(agent, kTraceWait, c.kernel.item, w.since, t, w.lock);
  c.state = CoreState::kRun;
  events_.Push(t, kCoreRun, core);
}

int64_t Machine::CoreKernel(int core, const KernelCall& call, int64_t t) {
  Core& c = cores_[static_cast<size_t>(core)];
  const __int128 scaled = static_cast<__int128>(KernelCycles(program_.device, call)) * options_.compute_num;
  const auto cycles = static_cast<int64_t>((scaled + options_.compute_den - 1) / options_.compute_den);
  BookPending(c);
  ItemStats& s = Item(c.kernel.item);
  s.macs += call.macs;
  s.dense_macs += call.dense_macs;
  ++s.kernel_calls;
  const bool known = c.kernel.item >= 0 && c.kernel.item < program_.n_items;
  busy_[static_cast<size_t>(known ? c.kernel.item : program_.n_items) * cores_.size() + static_cast<size_t>(core)] +=
      cycles;
  Activity(c.kernel.item, t, t + cycles);
  if (options_.trace) Trace(n_channels() + core, kTraceKernel, c.kernel.item, t, t + cycles, call.macs);
  if (shadow_) CheckKernel(core, call, t, t + cycles);
  return cycles;
}

// Runs the core from `t` up to its next lock operation.
void Machine::RunCore(int core, int64_t t) {
  Core& c = cores_[static_cast<size_t>(core)];
  uint8_t* mem = memory_[static_cast<size_t>(c.tile)].data();
  for (;;) {
    if (++n_events_ > options_.max_events) Fault("event budget of ", options_.max_events, " exhausted at cycle ", t);
    if (t > options_.max_cycles) {
      Fault("cycle limit: ", AgentName(n_channels() + core), " passes cycle ", options_.max_cycles);
    }
    const Step step = NextStep(c.kernel, c.config, mem, options_.functional);
    // An opcode that takes several steps (a message header, then the rest) is charged once.
    const int64_t oc = step.opcodes * program_.device.opcode_cycles;
    switch (step.kind) {
      case StepKind::kControl:
        t += oc;
        continue;
      case StepKind::kKernel:
        t += oc;
        t += CoreKernel(core, step.call, t);
        continue;
      case StepKind::kHalt:
        c.state = CoreState::kHalted;
        BookPending(c);
        finished_ = std::max(finished_, t + oc);
        return;
      case StepKind::kFault:
        Fault("core fault: ", AgentName(n_channels() + core), ", item ", c.kernel.item, ", cycle ", t, ": ",
              c.kernel.fault);
      case StepKind::kAcquire:
      case StepKind::kRelease:
        break;
    }
    const Tile& tile = program_.tiles[static_cast<size_t>(c.tile)];
    if (step.lock < 0 || step.lock >= tile.n_locks || step.value < 0 || step.value > kMaxLockValue) {
      Fault("core fault: ", AgentName(n_channels() + core), ", item ", c.kernel.item, ", cycle ", t,
            ": lock ", step.lock, " by ", step.value, " does not exist");
    }
    c.lock = step.lock;
    c.value = step.value;
    c.state = step.kind == StepKind::kAcquire ? CoreState::kAcquire : CoreState::kRelease;
    if (c.state == CoreState::kRelease || !IsAFull(c.lock)) BookPending(c);
    events_.Push(t + oc, kCoreRun, core);
    return;
  }
}

// The lock operation that RunCore announced is due, or the core starts.
void Machine::CoreEvent(int core, int64_t t) {
  Core& c = cores_[static_cast<size_t>(core)];
  if (c.state == CoreState::kAcquire) {
    if (c.counts_w && c.lock == kWFull) {
      const int64_t bytes = int64_t{c.value} * c.config.w_slot;
      Item(c.kernel.item).bytes[kFlowW] += bytes;
      Item(c.kernel.item).bytes[kFlowLoadW] += bytes;
    }
    if (!Acquire(n_channels() + core, c.lock_base + c.lock, c.value, t)) {
      c.state = CoreState::kWaitLock;
      if (AwaitsMessage(c.kernel)) finished_ = std::max(finished_, t);
      return;
    }
  } else if (c.state == CoreState::kRelease) {
    Release(c.lock_base + c.lock, c.value, t);
  }
  c.state = CoreState::kRun;
  RunCore(core, t);
}

}  // namespace tvm_aie
