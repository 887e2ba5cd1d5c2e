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
    if (c.state == CoreState::kHalted) continue;
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

// No event is left. Endless tasks may wait; everything else must have ended.
void Machine::CheckFinished() const {
  bool finished = pc_ >= program_.commands.size();
  for (const Core& c : cores_) finished = finished && c.state == CoreState::kHalted;
  for (int i = 0; i < n_channels(); ++i) {
    const Channel& c = channels_[static_cast<size_t>(i)];
    finished = finished && (c.count == 0 || (c.count == 1 && IsEndless(i)));
  }
  if (!finished) Deadlock(now_);
  if (!shadow_) return;
  CheckOutputs();
  // Words that were produced and never taken: some message was longer than its consumers expected.
  for (const FlowState& f : flows_) {
    const Channel& src = channels_[static_cast<size_t>(f.src)];
    if (src.state == ChannelState::kGranted && src.left > 0) {
      Fault("undelivered data: ", ChannelName(program_, f.src), " still holds ", src.left, " words at the end");
    }
  }
}

}  // namespace tvm_aie
