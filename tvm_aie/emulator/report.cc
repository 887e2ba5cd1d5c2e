// What the program waits for when nothing can happen any more.
#include "emulator/machine.h"

namespace tvm_aie {

std::string Machine::AgentName(int agent) const {
  if (agent < n_channels()) return ChannelName(program_, agent);
  if (agent < command_agent()) return TileName(program_, cores_[static_cast<size_t>(agent - n_channels())].tile);
  return "command processor";
}

// A task that never completes by itself: repeated forever, or a chain that closes on itself.
bool Machine::IsEndless(int channel) const {
  const Channel& c = channels_[static_cast<size_t>(channel)];
  if (c.count == 0) return false;
  if (c.queue[static_cast<size_t>(c.head)].repeat == 0) return true;
  if (c.bd == nullptr) return false;
  const Tile& tile = program_.tiles[static_cast<size_t>(c.tile)];
  int next = c.bd->next_bd;
  for (int n = 0; n <= tile.n_bds; ++n) {
    if (next < 0) return false;
    const int32_t row = bd_rows_[static_cast<size_t>(c.bd_base + next)];
    if (row < 0) return false;
    next = program_.bds[static_cast<size_t>(row)].next_bd;
  }
  return true;
}

void Machine::Describe(int channel, std::ostringstream& out) const {
  const Channel& c = channels_[static_cast<size_t>(channel)];
  out << "; " << ChannelName(program_, channel) << " descriptor " << (c.bd ? c.bd->bd_id : -1);
  if (c.state == ChannelState::kWaitLock) {
    const Waiter& w = waiters_[static_cast<size_t>(channel)];
    out << " waits for lock " << LockName(program_, w.lock) << " >= " << w.value << " (value "
        << locks_[static_cast<size_t>(w.lock)].value << ")";
    return;
  }
  out << " waits for the other end of its flow with " << c.left << " words left";
  const FlowState& f = flows_[static_cast<size_t>(c.flow)];
  const auto blocked = [&](int other) {
    const Channel& o = channels_[static_cast<size_t>(other)];
    if (other != channel && (o.state != ChannelState::kGranted || o.left == 0)) {
      out << " (" << ChannelName(program_, other) << (o.count == 0 ? " has no task)" : " waits for a lock)");
    }
  };
  blocked(f.src);
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) blocked(dsts_[static_cast<size_t>(d)]);
}

void Machine::Deadlock(int64_t t) const {
  std::ostringstream out;
  out << "deadlock at cycle " << t;
  const char* separator = ": ";
  if (pc_ < program_.commands.size()) {
    const Command& c = program_.commands[pc_];
    out << separator << "command processor waits in command " << pc_ << " until "
        << ChannelName(program_, c.channel) << " has completed " << c.count << " tasks (completed "
        << channels_[static_cast<size_t>(c.channel)].completed << ")";
    separator = "; ";
  }
  for (size_t i = 0; i < cores_.size(); ++i) {
    const Core& c = cores_[i];
    if (c.state == CoreState::kHalted || (resident_ && AwaitsMessage(c.kernel))) continue;
    const Waiter& w = waiters_[static_cast<size_t>(n_channels()) + i];
    out << separator << TileName(program_, c.tile) << " (item " << c.kernel.item << ") waits for lock "
        << LockName(program_, w.lock) << " >= " << w.value << " (value " << locks_[static_cast<size_t>(w.lock)].value
        << ")";
    separator = "; ";
  }
  for (int i = 0; i < n_channels(); ++i) {
    if (channels_[static_cast<size_t>(i)].count > 0) Describe(i, out);
  }
  throw EmulationFault(out.str());
}

// By channel: the finite task with which the program is loaded; none: null.
std::vector<const StaticTask*> Machine::Armed() const {
  std::vector<const StaticTask*> tasks(channels_.size(), nullptr);
  for (const StaticTask& task : program_.static_tasks) {
    if (task.repeat != 0) tasks[static_cast<size_t>(task.channel)] = &task;
  }
  return tasks;
}

// Whether the channel is where it was when the program was loaded: in a task's only or last descriptor, before a word
// has moved.
bool Machine::IsArmed(int channel, const StaticTask* task) const {
  const Channel& c = channels_[static_cast<size_t>(channel)];
  return task != nullptr && task->repeat == 1 && c.count == 1 && c.bd != nullptr && c.bd->bd_id == task->bd &&
         c.bd->next_bd < 0 && c.pos == 0 && c.repeat_left == 1;
}

// No event is left. Endless tasks and those of the next inference may wait; everything else must have ended.
void Machine::CheckFinished() {
  bool finished = pc_ >= program_.commands.size();
  resident_ = !cores_.empty();
  for (const Core& c : cores_) resident_ = resident_ && c.state == CoreState::kWaitLock && AwaitsMessage(c.kernel);
  for (const Core& c : cores_) finished = finished && (resident_ || c.state == CoreState::kHalted);
  const std::vector<const StaticTask*> armed = Armed();
  for (int i = 0; i < n_channels(); ++i) {
    const Channel& c = channels_[static_cast<size_t>(i)];
    const bool ended = c.count == 0 || (c.count == 1 && IsEndless(i));
    const StaticTask* task = armed[static_cast<size_t>(i)];
    if (resident_ && finished && task != nullptr && ended) {
      Fault("not ready for the next inference: ", ChannelName(program_, i), " has lost its first task");
    }
    finished = finished && (ended || (resident_ && IsArmed(i, task)));
  }
  if (!finished) Deadlock(now_);
  if (resident_) CheckResident();
  if (!shadow_) return;
  CheckOutputs();
  // Words that were produced and never taken: some message was longer than its consumers expected.
  for (const FlowState& f : flows_) {
    const Channel& src = channels_[static_cast<size_t>(f.src)];
    const bool ahead = primed_ && (IsEndless(f.src) || IsArmed(f.src, armed[static_cast<size_t>(f.src)]));
    if (!ahead && src.state == ChannelState::kGranted && src.left > 0) {
      Fault("undelivered data: ", ChannelName(program_, f.src), " still holds ", src.left, " words at the end");
    }
  }
}

// What the commands take for granted when the next inference begins: locks, positions of the rings, descriptors.
void Machine::CheckResident() const {
  for (size_t i = 0; i < locks_.size(); ++i) {
    if (locks_[i].value == settled_[i]) continue;
    Fault("not ready for the next inference: lock ", LockName(program_, static_cast<int>(i)), " is ", locks_[i].value,
          " at the end, ", settled_[i], " at the begin");
  }
  for (const Core& c : cores_) {
    if (c.kernel.a_pos == 0 && c.kernel.o_pos == 0) continue;
    Fault("not ready for the next inference: the rings of ", TileName(program_, c.tile), " stand at A slot ",
          c.kernel.a_pos, " and O slot ", c.kernel.o_pos);
  }
  for (const StaticTask& task : program_.static_tasks) {
    const Channel& c = channels_[static_cast<size_t>(task.channel)];
    const int64_t pos = settled_pos_[static_cast<size_t>(task.channel)];
    if (task.repeat != 0 || (c.bd != nullptr && c.bd->bd_id == task.bd && c.pos == pos)) continue;
    Fault("not ready for the next inference: ", ChannelName(program_, task.channel), " stands in descriptor ",
          c.bd ? c.bd->bd_id : -1, ", word ", c.pos, ", not in ", task.bd, ", word ", pos);
  }
  for (const int32_t row : program_.static_bds) {
    const Bd& bd = program_.bds[static_cast<size_t>(row)];
    const int32_t now = bd_rows_[static_cast<size_t>(program_.tiles[static_cast<size_t>(bd.tile)].bd_base + bd.bd_id)];
    if (now == row || (now >= 0 && bd == program_.bds[static_cast<size_t>(now)])) continue;
    Fault("not ready for the next inference: descriptor ", bd.bd_id, " of ", TileName(program_, bd.tile),
          " is not what it was");
  }
}

}  // namespace tvm_aie
