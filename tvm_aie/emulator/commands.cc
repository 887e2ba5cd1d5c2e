// The command processor: one command after the other, each with its cost (docs/program.md section 4).
#include <algorithm>

#include "emulator/machine.h"

namespace tvm_aie {

// Starts commands from `pc_` on until one takes time.
void Machine::NextCommand(int64_t t) {
  for (; pc_ < program_.commands.size(); ++pc_) {
    if (++n_events_ > options_.max_events) Fault("event budget of ", options_.max_events, " exhausted at cycle ", t);
    const Command& c = program_.commands[pc_];
    command_since_ = t;
    if (c.op == kMark) continue;
    if (c.op == kWait) {
      if (channels_[static_cast<size_t>(c.channel)].completed < c.count) {
        wait_channel_ = c.channel;
        return;
      }
      ++Item(c.item).waits;
      continue;
    }
    int64_t cost = program_.device.bd_write;
    if (c.op == kPush) {
      const bool idle = channels_[static_cast<size_t>(c.channel)].count == 0;
      cost = idle ? program_.device.push_idle : program_.device.push_queued;
    } else if (c.op == kSetLock) {
      cost = program_.device.lock_write;
    }
    events_.Push(t + cost, kCommandDone, 0);
    return;
  }
  commands_end_ = t;
  finished_ = std::max(finished_, t);
}

// A task would silently execute what was meant for a later one. The descriptor that is being executed may be
// rewritten (the channel holds its copy) unless a repetition comes back to it.
bool Machine::StillNeeds(int channel, int bd) const {
  const Channel& c = channels_[static_cast<size_t>(channel)];
  const int32_t n_bds = program_.tiles[static_cast<size_t>(c.tile)].n_bds;
  const auto reaches = [&](int from) {
    for (int32_t n = 0; from >= 0 && n <= n_bds; ++n) {
      if (from == bd) return true;
      const int32_t row = bd_rows_[static_cast<size_t>(c.bd_base + from)];
      from = row < 0 ? -1 : program_.bds[static_cast<size_t>(row)].next_bd;
    }
    return false;
  };
  for (int32_t i = 0; i < c.count; ++i) {
    const Task& task = c.queue[static_cast<size_t>((c.head + i) % kMaxQueueDepth)];
    const bool running = i == 0 && c.bd != nullptr;
    if (running && reaches(c.bd->next_bd)) return true;
    if (running && task.repeat != 0 && c.repeat_left <= 1) continue;  // the last repetition
    if (reaches(task.bd)) return true;
  }
  return false;
}

void Machine::CommandDone(int64_t t) {
  const Command& c = program_.commands[pc_];
  ItemStats& stats = Item(c.item);
  if (options_.trace) Trace(command_agent(), kTraceCommand, c.item, command_since_, t, c.op);
  if (c.op == kWriteBd) {
    const Bd& bd = program_.bds[static_cast<size_t>(c.row)];
    const auto slot = static_cast<size_t>(program_.tiles[static_cast<size_t>(bd.tile)].bd_base + bd.bd_id);
    for (int i = 0; i < n_channels(); ++i) {
      if (channels_[static_cast<size_t>(i)].tile == bd.tile && StillNeeds(i, bd.bd_id)) {
        Fault("descriptor overwritten: command ", pc_, " writes descriptor ", bd.bd_id, " at cycle ", t, ", which ",
              ChannelName(program_, i), " has still to execute");
      }
    }
    bd_rows_[slot] = c.row;
    bd_current_[slot] = 0;
    ++stats.bd_writes;
    stats.command_cycles += t - command_since_;
  } else if (c.op == kPush) {
    ++stats.pushes;
    stats.command_cycles += t - command_since_;
    Enqueue(c.channel, {c.bd, c.item, c.count}, t);
  } else if (c.op == kSetLock) {
    stats.command_cycles += t - command_since_;
    locks_[static_cast<size_t>(c.lock)].value = 0;
    Release(c.lock, static_cast<int>(c.count), t);
  } else {
    ++stats.waits;
  }
  ++pc_;
  NextCommand(t);
}

}  // namespace tvm_aie
