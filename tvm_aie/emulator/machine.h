// State of the array while a program runs. Agents are numbered: channels, then cores, then the command processor.
#pragma once

#include <cstdlib>
#include <memory>
#include <sstream>

#include "emulator/copy.h"
#include "tvm_aie/emulator.h"

namespace tvm_aie {

template <typename... Args>
[[noreturn]] void Fault(const Args&... args) {
  std::ostringstream text;
  (text << ... << args);
  throw EmulationFault(text.str());
}

// 16 bytes; ordered by time, then by order of creation. Nothing else decides what happens first.
enum EventKind : uint32_t { kSegmentEnd, kPoolJoin, kPoolNext, kTaskReady, kCoreRun, kCommandDone };
struct Event {
  int64_t time;
  uint32_t seq;
  uint32_t code;  // kind << 24 | index
};

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  int64_t next_time() const { return heap_.front().time; }
  uint32_t Push(int64_t time, EventKind kind, int index);
  Event Pop();

 private:
  static bool Before(const Event& a, const Event& b) {
    return a.time != b.time ? a.time < b.time : a.seq < b.seq;
  }
  std::vector<Event> heap_;
  uint32_t seq_ = 0;
};

enum class ChannelState : uint8_t { kIdle, kTaskStart, kWaitLock, kGranted };

struct Task {
  int32_t bd = 0, item = -1;
  int64_t repeat = 0;  // 0 = forever
};

struct Channel {
  int32_t tile = 0, dir = 0, kind = 0, flow = 0;
  ChannelState state = ChannelState::kIdle;
  bool session_started = false;
  int32_t bd_base = 0;       // of the tile's descriptor slots
  const Bd* bd = nullptr;    // latched when the descriptor starts
  int64_t base = 0;          // its address in this iteration
  int64_t pos = 0, left = 0; // words
  int64_t ready = 0;         // first cycle at which words can move
  int64_t bd_start = 0, task_start = 0;
  int64_t repeat_left = 0, completed = 0;
  std::array<Task, kMaxQueueDepth> queue{};
  int32_t head = 0, count = 0;
};

struct FlowState {
  int32_t src = 0, first_dst = 0, n_dst = 0;  // channels; first_dst indexes Machine::dsts_
  int32_t cls = 0, pool = -1, column = 0;
  int32_t missing = 0;       // ends that have no granted descriptor
  int64_t rate_fx = 0;       // own words/cycle
  int64_t n = 0, start = 0;  // the segment under way
  int64_t remaining_fx = 0, share_fx = 0;  // bytes, in a pool
};

// Flows that share a capacity: DDR, or the output link of a column.
struct Pool {
  std::vector<int32_t> active;         // flows, in order of joining
  std::vector<int32_t> column_flows;   // DDR: active flows per column
  int32_t columns = 0;
  int64_t capacity_fx = 0;             // links only
  int64_t updated = 0;
  uint32_t event = 0;                  // sequence number of the one valid kPoolNext
  bool has_event = false, dirty = false;
};

struct Lock {
  int32_t value = 0, head = -1, tail = -1;
};

struct Waiter {
  int32_t next = -1, lock = -1, value = 0;
  int64_t since = 0;
};

enum class CoreState : uint8_t { kRun, kAcquire, kWaitLock, kRelease, kHalted };

struct Core {
  int32_t tile = 0, lock_base = 0;
  CoreState state = CoreState::kRun;
  bool counts_w = false;     // first destination of its W flow: books the stream's bytes
  CoreConfig config;         // its own: DIVIDE changes it
  SuperkernelState kernel;
  int32_t lock = 0, value = 0;
  int64_t unbooked_a = 0;    // A stalls whose item is not known yet
};

class Machine {
 public:
  Machine(const Program& program, const RunOptions& options);
  // One inference. Only a resident machine takes another.
  RunResult Infer(std::span<const uint8_t> input, std::span<uint8_t> output);
  // After an inference: the cores wait for the next one's first message.
  bool resident() const { return resident_; }

 private:
  using CellBytes = std::unique_ptr<uint8_t, decltype(&std::free)>;

  // machine.cc
  void Bind(std::span<const uint8_t> input, std::span<uint8_t> output);
  void Load();
  void Reset();
  void Begin();
  void Run();
  void Settle();
  void KeepRings(ShadowMemory& fresh) const;
  void BuildFlows();
  void BuildCores();
  void Dispatch(const Event& event);
  RunResult Collect();

  // dma.cc
  void Enqueue(int channel, const Task& task, int64_t t);
  void StartTask(int channel, int64_t t);
  void BeginTask(int channel, int64_t t);
  void BeginBd(int channel, int bd, int64_t t);
  void Granted(int channel, int64_t t);
  void FinishBd(int channel, int64_t t);
  void FinishTask(int channel, int64_t t);
  void StartSegment(int flow, int64_t t);
  void EndSegment(int flow, int64_t t);
  void MoveWords(const FlowState& flow, int64_t t);
  MemoryRef MemoryOf(const Channel& channel);

  // pool.cc
  void JoinPool(int flow, int64_t t);
  void AdvancePool(Pool& pool, int64_t t);
  void RatePool(int pool, int64_t t);
  void PoolNext(int pool, int64_t t);

  // locks.cc
  bool Acquire(int agent, int lock, int value, int64_t t);
  void Release(int lock, int value, int64_t t);

  // core_process.cc
  void RunCore(int core, int64_t t);
  void CoreEvent(int core, int64_t t);
  void CoreGranted(int core, int64_t t);
  int64_t CoreKernel(int core, const KernelCall& call, int64_t t);
  void BookStall(int core, int lock, int64_t cycles);
  void BookPending(Core& core);

  // check.cc
  void CheckSegment(const FlowState& flow, int64_t t);
  void CheckKernel(int core, const KernelCall& call, int64_t start, int64_t end);
  void CheckOutputs() const;
  [[noreturn]] void ReportConflict(const ShadowMemory::Conflict& conflict, const Access& access,
                                   const char* verb) const;

  // commands.cc
  void NextCommand(int64_t t);
  void CommandDone(int64_t t);
  bool StillNeeds(int channel, int bd) const;

  // report.cc
  std::string AgentName(int agent) const;
  bool IsEndless(int channel) const;
  std::vector<const StaticTask*> Armed() const;
  bool IsArmed(int channel, const StaticTask* task) const;
  void CheckFinished();
  void CheckResident() const;
  [[noreturn]] void Deadlock(int64_t t) const;
  void Describe(int channel, std::ostringstream& out) const;

  ItemStats& Item(int item) {
    return items_[static_cast<size_t>(item < 0 || item >= program_.n_items ? program_.n_items : item)];
  }
  void Activity(int item, int64_t start, int64_t end) {
    ItemStats& s = Item(item);
    if (s.start < 0 || start < s.start) s.start = start;
    if (end > s.end) s.end = end;
  }
  void Trace(int agent, TraceKind kind, int item, int64_t start, int64_t end, int64_t amount);
  int n_channels() const { return static_cast<int>(channels_.size()); }
  int command_agent() const { return n_channels() + static_cast<int>(cores_.size()); }

  const Program& program_;
  const RunOptions options_;
  EventQueue events_;
  int64_t n_events_ = 0, n_segments_ = 0;
  int64_t now_ = 0, finished_ = 0, commands_end_ = 0;

  std::vector<Channel> channels_;
  std::vector<FlowState> flows_;
  std::vector<int32_t> dsts_;        // destination channels of all flows
  std::vector<Pool> pools_;
  std::vector<int32_t> dirty_pools_;
  std::vector<int32_t> leaving_;     // scratch of PoolNext
  std::vector<Lock> locks_;
  std::vector<int32_t> settled_;     // their values when an inference begins
  std::vector<int64_t> settled_pos_; // likewise, by channel: words moved of the descriptor in which it stands
  std::vector<Waiter> waiters_;      // by agent
  std::vector<Core> cores_;
  std::vector<int32_t> bd_rows_;     // descriptor slot -> row of Program::bds, -1 = never written
  std::vector<int32_t> bd_current_;  // iteration of the slot

  bool resident_ = false;
  bool primed_ = false;              // shims are loaded with tasks: data moves before the first inference
  bool loaded_ = false;
  size_t pc_ = 0;                    // next command
  int32_t wait_channel_ = -1;
  int64_t command_since_ = 0;

  std::vector<std::vector<uint8_t>> memory_;       // by tile
  std::array<uint8_t*, kNumDdrArgs> ddr_{};
  std::vector<CellBytes> owned_;
  std::unique_ptr<ShadowMemory> shadow_;           // check mode only

  std::vector<ItemStats> items_;
  std::vector<int64_t> busy_;                      // item x core
  std::vector<TraceEvent> trace_;
  int64_t trace_dropped_ = 0;
};

}  // namespace tvm_aie
