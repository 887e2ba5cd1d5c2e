#include "emulator/machine.h"

#include <algorithm>
#include <cstring>

namespace tvm_aie {

namespace {

constexpr int64_t kMaxCheckedBytes = int64_t{1} << 27;  // the shadow takes 12 times as much

}  // namespace

uint32_t EventQueue::Push(int64_t time, EventKind kind, int index) {
  const uint32_t seq = seq_++;
  const Event e{time, seq, (static_cast<uint32_t>(kind) << 24) | static_cast<uint32_t>(index)};
  size_t i = heap_.size();
  heap_.push_back(e);
  while (i > 0) {
    const size_t parent = (i - 1) / 4;
    if (!Before(e, heap_[parent])) break;
    heap_[i] = heap_[parent];
    i = parent;
  }
  heap_[i] = e;
  return seq;
}

Event EventQueue::Pop() {
  const Event top = heap_.front();
  const Event last = heap_.back();
  heap_.pop_back();
  const size_t n = heap_.size();
  if (n == 0) return top;
  size_t i = 0;
  for (;;) {
    const size_t first = 4 * i + 1;
    if (first >= n) break;
    size_t best = first;
    for (size_t k = first + 1; k < std::min(first + 4, n); ++k) {
      if (Before(heap_[k], heap_[best])) best = k;
    }
    if (!Before(heap_[best], last)) break;
    heap_[i] = heap_[best];
    i = best;
  }
  heap_[i] = last;
  return top;
}

Machine::Machine(const Program& program, const RunOptions& options)
    : program_(program), options_(options) {
  if (options.check && !options.functional) Fault("options: check needs a functional run");
  if (options.compute_num < 0 || options.compute_den < 1 || options.compute_num > (1 << 20) ||
      options.compute_den > (1 << 20)) {
    Fault("options: the compute scale must be num >= 0, den >= 1, both up to 2^20");
  }
  if (options.max_events > 4'000'000'000 || options.max_cycles > int64_t{1} << 48) {
    Fault("options: at most 4,000,000,000 events and 2^48 cycles");
  }
  for (const Tile& t : program_.tiles) memory_.emplace_back(static_cast<size_t>(t.mem_bytes));
  locks_.resize(static_cast<size_t>(program.n_locks));
  for (size_t i = 0; i < locks_.size(); ++i) locks_[i].value = program.lock_init[i];
  bd_rows_.assign(static_cast<size_t>(program.n_bd_slots), -1);
  bd_current_.assign(static_cast<size_t>(program.n_bd_slots), 0);
  for (const int32_t row : program.static_bds) {
    const Bd& bd = program.bds[static_cast<size_t>(row)];
    bd_rows_[static_cast<size_t>(program.tiles[static_cast<size_t>(bd.tile)].bd_base + bd.bd_id)] = row;
  }
  for (const StaticTask& task : program.static_tasks) {
    const ChannelInfo& info = program.channels[static_cast<size_t>(task.channel)];
    primed_ = primed_ || program.tiles[static_cast<size_t>(info.tile)].kind == kShim;
  }
  BuildFlows();
  BuildCores();
  waiters_.resize(static_cast<size_t>(command_agent()) + 1);
  int64_t checked_bytes = program.ddr_bytes[kDdrOutput] + program.ddr_bytes[kDdrScratch];
  for (const Tile& t : program.tiles) checked_bytes += t.mem_bytes;
  if (options.check && checked_bytes > kMaxCheckedBytes) {
    Fault("options: check mode watches at most ", kMaxCheckedBytes, " bytes, the program has ", checked_bytes);
  }
}

void Machine::Bind(std::span<const uint8_t> input, std::span<uint8_t> output) {
  const auto check = [&](int arg, size_t given) {
    const int64_t bytes = program_.ddr_bytes[static_cast<size_t>(arg)];
    if (static_cast<int64_t>(given) == bytes || (given == 0 && !options_.functional)) return;
    Fault("options: DDR argument ", arg, " has ", given, " bytes, the program needs ", bytes);
  };
  check(kDdrInput, input.size());
  check(kDdrOutput, output.size());
  owned_.clear();
  // Untouched pages of calloc cost nothing: a timed run need not have its tensors.
  const auto allocate = [&](int arg) {
    owned_.emplace_back(
        static_cast<uint8_t*>(std::calloc(static_cast<size_t>(program_.ddr_bytes[static_cast<size_t>(arg)]) + 1, 1)),
        &std::free);
    if (!owned_.back()) Fault("options: not enough memory for DDR argument ", arg);
    return owned_.back().get();
  };
  // Shims only read arguments 0 and 1 (DirectionProblem), so the constness is kept.
  ddr_[kDdrConst] = const_cast<uint8_t*>(program_.constants.data());
  ddr_[kDdrInput] = input.empty() ? allocate(kDdrInput) : const_cast<uint8_t*>(input.data());
  ddr_[kDdrOutput] = output.empty() ? allocate(kDdrOutput) : output.data();
  ddr_[kDdrScratch] = allocate(kDdrScratch);
}

void Machine::BuildFlows() {
  const DeviceParams& d = program_.device;
  for (const ChannelInfo& info : program_.channels) {
    Channel c;
    const Tile& tile = program_.tiles[static_cast<size_t>(info.tile)];
    c.tile = info.tile;
    c.dir = info.dir;
    c.kind = tile.kind;
    c.flow = info.flow;
    c.bd_base = tile.bd_base;
    channels_.push_back(c);
  }
  Pool ddr;
  ddr.column_flows.assign(d.ddr_fx.size(), 0);
  pools_.push_back(ddr);
  const bool ddr_shared = std::any_of(d.ddr_fx.begin(), d.ddr_fx.end(), [](int64_t c) { return c != 0; });
  for (const Flow& flow : program_.flows) {
    FlowState f;
    f.src = flow.src.channel;
    f.first_dst = static_cast<int32_t>(dsts_.size());
    f.n_dst = static_cast<int32_t>(flow.dsts.size());
    f.cls = flow.cls;
    f.missing = 1 + f.n_dst;
    f.rate_fx = d.flow_rate_fx[static_cast<size_t>(flow.cls)];
    for (const Endpoint& e : flow.dsts) dsts_.push_back(e.channel);
    if (flow.cls == kFlowLoad || flow.cls == kFlowLoadW || flow.cls == kFlowStore) {
      const int shim = flow.cls == kFlowStore ? flow.dsts[0].tile : flow.src.tile;
      f.column = program_.tiles[static_cast<size_t>(shim)].col;
      if (ddr_shared) f.pool = 0;
    } else if (flow.link >= 0 && d.link_o_fx != 0) {
      f.pool = 1 + flow.link;
      if (static_cast<int32_t>(pools_.size()) <= f.pool) pools_.resize(static_cast<size_t>(f.pool) + 1);
      pools_[static_cast<size_t>(f.pool)].capacity_fx = d.link_o_fx;
      pools_[static_cast<size_t>(f.pool)].column_flows.assign(1, 0);
    }
    flows_.push_back(f);
  }
}

void Machine::BuildCores() {
  for (const CoreInfo& info : program_.cores) {
    Core c;
    c.tile = info.tile;
    c.lock_base = program_.tiles[static_cast<size_t>(info.tile)].lock_base;
    c.config = info.config;
    for (const Flow& flow : program_.flows) {
      c.counts_w = c.counts_w || (flow.cls == kFlowW && flow.dsts[0].tile == info.tile);
    }
    cores_.push_back(std::move(c));
  }
}

void Machine::Trace(int agent, TraceKind kind, int item, int64_t start, int64_t end, int64_t amount) {
  if (static_cast<int64_t>(trace_.size()) >= options_.max_trace_events) {
    ++trace_dropped_;
    return;
  }
  trace_.push_back({agent, kind, item, start, end, amount});
}

void Machine::Dispatch(const Event& e) {
  const int index = static_cast<int>(e.code & 0xFFFFFF);
  switch (static_cast<EventKind>(e.code >> 24)) {
    case kSegmentEnd:
      return EndSegment(index, e.time);
    case kPoolJoin:
      return JoinPool(index, e.time);
    case kPoolNext: {
      const Pool& pool = pools_[static_cast<size_t>(index)];
      if (pool.has_event && pool.event == e.seq) PoolNext(index, e.time);  // else: shares changed meanwhile
      return;
    }
    case kTaskReady:
      return BeginTask(index, e.time);
    case kCoreRun:
      return CoreEvent(index, e.time);
    case kCommandDone:
      return CommandDone(e.time);
  }
}

// The tasks with which the program is loaded.
void Machine::Load() {
  loaded_ = true;
  for (const StaticTask& task : program_.static_tasks) Enqueue(task.channel, {task.bd, task.item, task.repeat}, 0);
  if (!primed_) Settle();
  for (size_t i = 0; i < cores_.size(); ++i) events_.Push(0, kCoreRun, static_cast<int>(i));
}

// The state in which an inference finds the array, and must leave it.
void Machine::Settle() {
  settled_.clear();
  settled_pos_.clear();
  for (const Lock& lock : locks_) settled_.push_back(lock.value);
  for (const Channel& c : channels_) settled_pos_.push_back(primed_ && c.bd != nullptr ? c.pos : 0);
}

// The clock starts anew with every inference, and with it all that is counted. What has moved before is over: channels
// and cores wait, or have words that nobody takes yet.
void Machine::Reset() {
  now_ = finished_ = n_events_ = n_segments_ = trace_dropped_ = 0;
  pc_ = 0;
  items_.assign(static_cast<size_t>(program_.n_items) + 1, {});
  for (size_t i = 0; i + 1 < items_.size(); ++i) items_[i].item = static_cast<int32_t>(i);
  busy_.assign(items_.size() * cores_.size(), 0);
  trace_.clear();
  if (options_.check) {
    auto fresh = std::make_unique<ShadowMemory>(program_);
    if (primed_ && shadow_) KeepRings(*fresh);
    shadow_ = std::move(fresh);
  }
  for (Pool& pool : pools_) pool.updated = 0;
  for (Waiter& w : waiters_) w.since = 0;
  for (Channel& c : channels_) {
    c.session_started = false;
    c.ready = c.bd_start = c.task_start = c.completed = 0;
  }
}

// Weights that were fetched before the inference lie in the rings of memtiles and cores.
void Machine::KeepRings(ShadowMemory& fresh) const {
  for (const StaticTask& task : program_.static_tasks) {
    const ChannelInfo& info = program_.channels[static_cast<size_t>(task.channel)];
    const int cls = flows_[static_cast<size_t>(info.flow)].cls;
    if (task.repeat != 0 || info.dir != kS2mm || (cls != kFlowW && cls != kFlowLoadW)) continue;
    const int32_t slot = program_.tiles[static_cast<size_t>(info.tile)].bd_base + task.bd;
    const Bd& bd = program_.bds[static_cast<size_t>(bd_rows_[static_cast<size_t>(slot)])];
    const int64_t words = bd.length + (bd.iter_wrap - 1) * bd.iter_step;
    if (bd.contiguous && bd.iter_step >= 0) fresh.Keep(*shadow_, bd.mem, bd.base, bd.base + 4 * words);
  }
}

void Machine::Begin() {
  Reset();
  if (!loaded_) return Load();
  const std::vector<const StaticTask*> armed = Armed();
  for (size_t i = 0; i < channels_.size(); ++i) {
    Channel& c = channels_[i];
    if (armed[i] != nullptr && c.count > 0) c.queue[static_cast<size_t>(c.head)].item = armed[i]->item;
  }
}

// Until nothing can happen any more.
void Machine::Run() {
  for (;;) {
    if (!dirty_pools_.empty() && (events_.empty() || events_.next_time() > now_)) {
      for (const int32_t pool : dirty_pools_) RatePool(pool, now_);
      dirty_pools_.clear();
    }
    if (events_.empty()) break;
    const Event e = events_.Pop();
    now_ = e.time;
    if (++n_events_ > options_.max_events) {
      Fault("event budget of ", options_.max_events, " exhausted at cycle ", now_);
    }
    if (now_ > options_.max_cycles) Fault("cycle limit: the program passes cycle ", options_.max_cycles);
    Dispatch(e);
  }
}

RunResult Machine::Infer(std::span<const uint8_t> input, std::span<uint8_t> output) {
  Bind(input, output);
  if (primed_ && !loaded_) {
    Reset();
    Load();
    Run();
    Settle();
  }
  Begin();
  NextCommand(0);
  Run();
  CheckFinished();
  return Collect();
}

RunResult Machine::Collect() {
  RunResult r;
  r.cycles = resident_ ? commands_end_ : finished_;
  r.launch_cycles = program_.device.launch;
  // Rings are filled again while the host prepares the next launch; where that takes longer the next one waits.
  if (primed_) r.launch_cycles = std::max(r.launch_cycles, now_ - commands_end_);
  r.events = n_events_;
  r.segments = n_segments_;
  for (size_t i = 0; i < items_.size(); ++i) {
    for (size_t c = 0; c < cores_.size(); ++c) {
      const int64_t busy = busy_[i * cores_.size() + c];
      items_[i].busy_sum += busy;
      items_[i].busy_max = std::max(items_[i].busy_max, busy);
    }
    // What realigns rings behind the outputs belongs to the last item, but it is complete with the outputs.
    if (items_[i].start >= 0 && items_[i].start <= r.cycles) items_[i].end = std::min(items_[i].end, r.cycles);
  }
  // The last row collects what belongs to no item; a row of zeros would only confuse.
  const ItemStats& rest = items_.back();
  const bool used = rest.start >= 0 || rest.busy_sum != 0 || rest.pushes + rest.bd_writes + rest.waits != 0 ||
                    rest.stall_a + rest.stall_w + rest.stall_o != 0 ||
                    std::any_of(rest.bytes.begin(), rest.bytes.end(), [](int64_t b) { return b != 0; });
  if (!used) items_.pop_back();
  r.items = std::move(items_);
  r.trace = std::move(trace_);
  r.trace_dropped = trace_dropped_;
  if (options_.trace) {
    for (int agent = 0; agent <= command_agent(); ++agent) r.agents.push_back(AgentName(agent));
  }
  return r;
}

RunResult RunProgram(const Program& program, std::span<const uint8_t> input, std::span<uint8_t> output,
                     const RunOptions& options) {
  return Machine(program, options).Infer(input, output);
}

Emulator::Emulator(const Program& program, const RunOptions& options) : program_(program), options_(options) {}

Emulator::~Emulator() = default;

RunResult Emulator::Infer(std::span<const uint8_t> input, std::span<uint8_t> output) {
  if (!machine_ || !machine_->resident()) machine_ = std::make_unique<Machine>(program_, options_);
  return machine_->Infer(input, output);
}

}  // namespace tvm_aie
