// DMA channels: queues, tasks, descriptors, and the segments that flows move.
#include <algorithm>

#include "emulator/machine.h"
#include "emulator/program_loader.h"

namespace tvm_aie {

void Machine::Enqueue(int channel, const Task& task, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  if (c.count >= program_.device.queue_depth) {
    Fault("queue overflow: ", ChannelName(program_, channel), " holds ", c.count, " tasks at cycle ", t,
          " and gets another (descriptor ", task.bd, ", item ", task.item, ")");
  }
  c.queue[static_cast<size_t>((c.head + c.count) % kMaxQueueDepth)] = task;
  if (++c.count == 1) StartTask(channel, t);
}

// A shim pays for every task, and once more for the first of the session.
void Machine::StartTask(int channel, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  c.task_start = t;
  int64_t cost = 0;
  if (c.kind == kShim) {
    const auto dir = static_cast<size_t>(c.dir);
    cost = program_.device.shim_task[dir] + (c.session_started ? 0 : program_.device.shim_first[dir]);
  }
  c.session_started = true;
  if (cost == 0) {
    BeginTask(channel, t);
  } else {
    c.state = ChannelState::kTaskStart;
    events_.Push(t + cost, kTaskReady, channel);
  }
}

void Machine::BeginTask(int channel, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  const Task& task = c.queue[static_cast<size_t>(c.head)];
  c.repeat_left = task.repeat;
  BeginBd(channel, task.bd, t);
}

void Machine::BeginBd(int channel, int bd_id, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  const auto slot = static_cast<size_t>(c.bd_base + bd_id);
  const int32_t row = bd_rows_[slot];
  if (row < 0) {
    Fault("unwritten descriptor: ", ChannelName(program_, channel), " starts descriptor ", bd_id, " at cycle ", t);
  }
  const Bd& bd = program_.bds[static_cast<size_t>(row)];
  if (c.dir == kS2mm) {
    if (const std::string problem = DirectionProblem(program_, bd, c.dir); !problem.empty()) {
      Fault("wrong direction: ", ChannelName(program_, channel), " starts descriptor ", bd_id, ", which ", problem);
    }
  }
  c.bd = &bd;
  c.base = bd.base + bd_current_[slot] * bd.iter_step * 4;
  if (bd.iter_wrap > 1 && ++bd_current_[slot] == bd.iter_wrap) bd_current_[slot] = 0;
  c.pos = 0;
  c.left = bd.length;
  if (bd.acq_lock < 0 || Acquire(channel, bd.acq_lock, bd.acq_value, t)) {
    Granted(channel, t);
  } else {
    c.state = ChannelState::kWaitLock;
  }
}

void Machine::Granted(int channel, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  if (options_.trace && c.state == ChannelState::kWaitLock) {
    const Waiter& w = waiters_[static_cast<size_t>(channel)];
    Trace(channel, kTraceWait, c.queue[static_cast<size_t>(c.head)].item, w.since, t, w.lock);
  }
  c.state = ChannelState::kGranted;
  c.bd_start = t;
  c.ready = t + program_.device.bd_start[static_cast<size_t>(c.kind)];
  FlowState& f = flows_[static_cast<size_t>(c.flow)];
  if (--f.missing == 0) StartSegment(c.flow, t);
}

// All ends have words left. The start lies ahead when a descriptor is still starting; nothing can come between,
// so an unshared flow needs no event for it.
void Machine::StartSegment(int flow, int64_t t) {
  FlowState& f = flows_[static_cast<size_t>(flow)];
  const Channel& src = channels_[static_cast<size_t>(f.src)];
  int64_t n = src.left, start = std::max(t, src.ready);
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) {
    const Channel& dst = channels_[static_cast<size_t>(dsts_[static_cast<size_t>(d)])];
    n = std::min(n, dst.left);
    start = std::max(start, dst.ready);
  }
  f.n = n;
  f.start = start;
  ++n_segments_;
  if (f.pool < 0) {
    events_.Push(start + ((n << kFixedBits) + f.rate_fx - 1) / f.rate_fx, kSegmentEnd, flow);
  } else if (start > t) {
    events_.Push(start, kPoolJoin, flow);
  } else {
    JoinPool(flow, t);
  }
}

void Machine::EndSegment(int flow, int64_t t) {
  FlowState& f = flows_[static_cast<size_t>(flow)];
  Channel& src = channels_[static_cast<size_t>(f.src)];
  const int item = src.queue[static_cast<size_t>(src.head)].item;
  bool move = options_.functional || f.cls == kFlowW || f.cls == kFlowLoadW || src.bd->control;
  int booked = item;
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) {
    const Channel& dst = channels_[static_cast<size_t>(dsts_[static_cast<size_t>(d)])];
    move = move || dst.bd->control;
    if (booked < 0) booked = dst.queue[static_cast<size_t>(dst.head)].item;
  }
  // Weights are booked by the core that consumes them: their tasks belong to no item.
  if (f.cls != kFlowW && f.cls != kFlowLoadW) Item(booked).bytes[static_cast<size_t>(f.cls)] += f.n * 4;
  if (move) MoveWords(f, t);

  const int64_t n = f.n;
  src.left -= n;
  src.pos += n;
  src.ready = t;
  int finished = src.left == 0;
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) {
    Channel& dst = channels_[static_cast<size_t>(dsts_[static_cast<size_t>(d)])];
    dst.left -= n;
    dst.pos += n;
    dst.ready = t;
    finished += dst.left == 0;
  }
  // At least one end is finished (n was the least number left), so the next segment starts when the last of
  // them has been granted again.
  f.missing = finished;
  if (src.left == 0) FinishBd(f.src, t);
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) {
    const int32_t dst = dsts_[static_cast<size_t>(d)];
    const Channel& c = channels_[static_cast<size_t>(dst)];
    if (c.state == ChannelState::kGranted && c.left == 0) FinishBd(dst, t);
  }
}

void Machine::FinishBd(int channel, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  const Bd& bd = *c.bd;
  const Task& task = c.queue[static_cast<size_t>(c.head)];
  if (options_.trace) Trace(channel, kTraceTransfer, task.item, c.bd_start, t, bd.length * 4);
  c.state = ChannelState::kIdle;
  if (task.item >= 0) Activity(task.item, c.task_start, t);
  if (bd.rel_lock >= 0) Release(bd.rel_lock, bd.rel_value, t);
  if (bd.next_bd >= 0) {
    BeginBd(channel, bd.next_bd, t);
  } else if (task.repeat == 0 || --c.repeat_left > 0) {
    BeginBd(channel, task.bd, t);
  } else {
    FinishTask(channel, t);
  }
}

void Machine::FinishTask(int channel, int64_t t) {
  Channel& c = channels_[static_cast<size_t>(channel)];
  finished_ = std::max(finished_, t);
  c.bd = nullptr;
  c.head = (c.head + 1) % kMaxQueueDepth;
  --c.count;
  ++c.completed;
  if (wait_channel_ == channel && c.completed >= program_.commands[pc_].count) {
    wait_channel_ = -1;
    events_.Push(t, kCommandDone, 0);
  }
  if (c.count > 0) StartTask(channel, t);
}

MemoryRef Machine::MemoryOf(const Channel& c) {
  if (c.kind == kShim) {
    return {ddr_[static_cast<size_t>(c.bd->mem)], static_cast<int32_t>(memory_.size()) + c.bd->mem};
  }
  return {memory_[static_cast<size_t>(c.bd->mem)].data(), c.bd->mem};
}

void Machine::MoveWords(const FlowState& f, int64_t t) {
  const Channel& src = channels_[static_cast<size_t>(f.src)];
  const MemoryRef from = MemoryOf(src);
  const PatternCursor read(*src.bd, src.base, src.pos);
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) {
    const Channel& dst = channels_[static_cast<size_t>(dsts_[static_cast<size_t>(d)])];
    const MemoryRef to = MemoryOf(dst);
    CopyWords(read, from.data, PatternCursor(*dst.bd, dst.base, dst.pos), to.data, f.n);
  }
  if (shadow_) CheckSegment(f, t);
}

}  // namespace tvm_aie
