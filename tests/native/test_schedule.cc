// Random tasks become streams in which queues and pools hold, and every task is pushed once, in its channel's order.
#include "tvm_aie/schedule.h"

#include <algorithm>
#include <random>
#include <set>

#include "check.h"
#include "tvm_aie/program.h"

using namespace tvm_aie;

namespace {

constexpr int64_t kItems = 6, kPool = 24, kForever = 20;  // the last: contents of a task that runs for ever
uint32_t seed = 0;

void Expect(bool holds, const char* what) { CHECK(holds, "seed %u: %s", seed, what); }

ScheduleChannel MakeChannel(std::mt19937& rng, int64_t number, const std::vector<ScheduleChannel>& before) {
  const auto pick = [&rng](int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(rng); };
  ScheduleChannel channel{number / 3, number % 2, number, number / 3, pick(0, 2) == 0, false, {}};
  channel.kept = channel.armed && pick(0, 1) == 0;
  for (int64_t item = 0; item < kItems; ++item) {
    const int64_t n = pick(item == 0, 3);
    for (int64_t k = 0; k < n; ++k) {
      ScheduleTask task;
      task.start = {item, static_cast<double>(k) / 4};
      task.end = {item, static_cast<double>(k + 1) / 4};
      task.key = item > 0 && pick(0, 1) == 1 ? Position{item - 1, 0.5} : task.start;
      task.item = item;
      task.repeat = pick(1, 3);
      task.sets = pick(-1, 1);
      for (int64_t bds = pick(1, 3); bds > 0; --bds) task.chain.push_back({pick(0, 9), pick(1, 3)});
      // Stores of the item before, which channel 0 always has.
      if (!before.empty() && item > 0 && pick(0, 3) == 0) task.after.push_back({0, 1});
      channel.tasks.push_back(task);
    }
  }
  if (channel.armed) {
    channel.tasks.front().chain.resize(1);
    channel.tasks.front().repeat = channel.tasks.front().chain.front().wrap = 1;
    ScheduleTask again = channel.tasks.front();
    again.start = again.key = {kItems, 0.1};
    again.end = {kItems + 1, 0.0};
    again.arms = true;
    channel.tasks.push_back(again);
  }
  return channel;
}

ScheduleInput MakeInput() {
  std::mt19937 rng(seed);
  ScheduleInput in;
  in.queue_depth = 4;
  in.late = kItems - 2;
  in.late_cycles = seed % 3 == 0 ? 0 : 18000;
  in.last_task_cycles = 6000;
  in.bd_write = 100, in.push_idle = 600, in.push_queued = 100, in.lock_write = 50;
  in.body.assign(kItems, 2000.0 * (seed % 5));
  if (seed % 2 == 0) in.lags = {false, false, true, false, true, false};
  for (int64_t pool = 0; pool < 2; ++pool) {
    in.pools.emplace_back();
    for (int64_t number = pool; number < kPool; ++number) in.pools.back().push_back(number);
  }
  in.locks = {{0, 1, 2}, {1, 3, 4}};
  in.unset = {0, 1};
  ScheduleTask forever;
  forever.chain = {{kForever, 1}, {kForever + 1, 1}};
  in.endless.push_back({1, 0, 9, 1, false, false, {forever}});
  for (int64_t number = 0; number < 6; ++number) in.channels.push_back(MakeChannel(rng, number, in.channels));
  in.last = {{0, 2}};
  return in;
}

void CheckStream(const ScheduleInput& in, const ScheduleOutput& out) {
  std::vector<int64_t> pushed, completed(in.channels.size(), 0);
  for (const ScheduleChannel& channel : in.channels) pushed.push_back(channel.armed);
  std::multiset<std::array<int64_t, 3>> locks;
  std::set<std::array<int64_t, 2>> numbers;
  for (const auto& row : out.rows) {
    const std::vector<int64_t>& pool = in.pools[static_cast<size_t>(row[0])];
    Expect(std::find(pool.begin(), pool.end(), row[1]) != pool.end(), "a descriptor of its pool");
    numbers.insert({row[0], row[1]});
  }
  for (const auto& row : out.static_rows) {
    Expect(row[2] < kForever || !numbers.contains({row[0], row[1]}), "what runs for ever is left alone");
  }
  for (const auto& [op, a, b, c, d, e, f] : out.commands) {
    const auto at = static_cast<size_t>(c);
    if (op == kWriteBd) Expect(a >= 0 && a < static_cast<int64_t>(out.rows.size()), "a row");
    if (op == kSetLock) locks.insert({a, b, c});
    if (op == kPush) {
      const ScheduleTask& task = in.channels[at].tasks[static_cast<size_t>(pushed[at]++)];
      Expect(task.repeat == e && task.item == f, "the next task");
      Expect(pushed[at] - completed[at] <= in.queue_depth, "room in the queue");
    }
    if (op != kWait) continue;
    // What starts before the end of a task that is waited for has been pushed.
    Expect(d == completed[at] + 1 && d <= pushed[at], "the oldest in flight");
    Expect(locks.size() == in.unset.size(), "locks are set before the first wait");
    const Position& end = in.channels[at].tasks[static_cast<size_t>(completed[at]++)].end;
    for (size_t i = 0; i < in.channels.size(); ++i) {
      const std::vector<ScheduleTask>& tasks = in.channels[i].tasks;
      const bool all = pushed[i] == static_cast<int64_t>(tasks.size());
      Expect(all || tasks[static_cast<size_t>(pushed[i])].start >= end, "it needs nothing that comes later");
    }
  }
  for (size_t i = 0; i < in.channels.size(); ++i) {
    Expect(pushed[i] == static_cast<int64_t>(in.channels[i].tasks.size()), "all tasks");
  }
  Expect(completed[0] >= std::min<int64_t>(2, pushed[0]), "the wait at the end");
}

}  // namespace

int main() {
  int done = 0;
  for (; seed < 400; ++seed) {
    const ScheduleInput in = MakeInput();
    try {
      const ScheduleOutput out = Schedule(in, 1e18);
      Expect(out.done && out.end > 0, "done");
      CheckStream(in, out);
      Expect(!Schedule(in, out.end / 8).done, "given up");
      ++done;
    } catch (const ProgramError&) {
    }
  }
  CHECK(done > 200, "%d of 400 have an order", done);
  return 0;
}
