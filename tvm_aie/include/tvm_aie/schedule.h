// Orders the tasks of all channels into one command stream (python/tvm_aie/emit/commands.py).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace tvm_aie {

// Item, and a place in it: -1 its prologue, [0, 1) its messages.
struct Position {
  int64_t item = 0;
  double place = 0;

  friend bool operator<(const Position& a, const Position& b) {
    return a.item != b.item ? a.item < b.item : a.place < b.place;
  }
  friend bool operator>(const Position& a, const Position& b) { return b < a; }
  friend bool operator<=(const Position& a, const Position& b) { return !(b < a); }
  friend bool operator>=(const Position& a, const Position& b) { return !(a < b); }
  friend bool operator==(const Position& a, const Position& b) { return a.item == b.item && a.place == b.place; }
};

// A descriptor of a task: number of what it holds, and after how many executions its iteration begins anew.
struct ScheduleBd {
  int64_t content = 0, wrap = 1;
};

struct AwaitedTask {
  int64_t channel = 0, number = 0;
};

struct ScheduleTask {
  Position start, end, key;
  int64_t repeat = 1, item = -1;
  bool arms = false;   // the last descriptor is the channel's first of the next inference
  int64_t sets = -1;   // lock that is set behind it
  std::vector<AwaitedTask> after;
  std::vector<ScheduleBd> chain;
};

struct ScheduleChannel {
  int64_t tile = 0, dir = 0, ch = 0, pool = 0;
  bool armed = false;  // the program is loaded with its first task
  bool kept = false;   // whose descriptor is for it alone
  std::vector<ScheduleTask> tasks;
};

struct ScheduleLock {
  int64_t tile = 0, lock = 0, value = 0;
};

struct ScheduleInput {
  int64_t queue_depth = 1;
  int64_t late = 0;  // from this item on tasks leave armed descriptors alone
  int64_t standing = 0;  // most descriptors of a pool that the program is loaded with and no command writes
  double margin = 1, late_cycles = 0, last_task_cycles = 0;
  double bd_write = 0, push_idle = 0, push_queued = 0, lock_write = 0;
  std::vector<double> body;                 // estimated cycles of each item
  std::vector<bool> lags;                   // of each item whether its barrier lags; may be empty
  std::vector<std::vector<int64_t>> pools;  // numbers of free descriptors, oldest first
  std::vector<ScheduleLock> locks;
  std::vector<int64_t> unset;               // locks that are to be set, each once
  std::vector<ScheduleChannel> endless;     // one task each, which runs for ever without a push
  std::vector<ScheduleChannel> channels;    // in the order in which equally urgent tasks are pushed
  std::vector<AwaitedTask> last;            // for which the stream waits at its end
};

struct ScheduleOutput {
  bool done = false;  // false: given up, as the processor would not be done within the limit
  double end = 0;     // estimated cycles until all is complete, without the waits at the end
  std::vector<std::array<int64_t, 7>> commands;      // docs/program.md section 5
  std::vector<std::array<int64_t, 4>> rows;          // descriptors written: tile, number, content, successor (-1: none)
  std::vector<std::array<int64_t, 4>> static_rows;   // and those with which the program is loaded
  std::vector<std::array<int64_t, 6>> static_tasks;  // tile, direction, channel, descriptor, repetitions, item
};

// Throws ProgramError where there is no legal order. Indices and counts are the caller's to check.
ScheduleOutput Schedule(const ScheduleInput& input, double limit);

}  // namespace tvm_aie
