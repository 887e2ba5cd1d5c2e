#include "tvm_aie/schedule.h"

#include <deque>
#include <map>
#include <queue>
#include <sstream>
#include <string>
#include <tuple>

#include "emit/clock.h"
#include "tvm_aie/program.h"

namespace tvm_aie {
namespace {

// A pushed task: the position before which all must be pushed to complete it, its number, its descriptors.
struct Flight {
  Position end;
  int64_t number = 0;
  std::vector<int64_t> bds;
};

// A task that may be pushed: when it is wanted, its channel, its place there.
struct Wanted {
  Position key;
  size_t channel = 0, at = 0;

  friend bool operator>(const Wanted& a, const Wanted& b) {
    if (!(a.key == b.key)) return a.key > b.key;
    return std::tie(a.channel, a.at) > std::tie(b.channel, b.at);
  }
};

template <typename T>
using MinHeap = std::priority_queue<T, std::vector<T>, std::greater<T>>;

constexpr int64_t kLeastUses = 2;  // of a standing descriptor

struct Content {
  int64_t content = 0, following = 0;
  bool known = false;  // false: whatever the descriptor holds, its iteration is not at its begin
};

// Free descriptors, oldest first, what each holds, and the channels that share them.
struct Pool {
  std::deque<int64_t> free;
  int64_t size = 0;
  // By number: whether it is of a task that the program is loaded with; what it holds.
  std::vector<char> is_armed;
  int64_t armed = 0;  // of such tasks
  std::vector<Content> content;
  std::vector<size_t> members;
  int64_t changes = 0;  // tasks pushed or retired
  // Tasks that were refused ahead of their turn, with their starts, and the state in which they were.
  std::vector<std::pair<Wanted, Position>> refused;
  int64_t asked_changes = 0;
  Position asked_limit;

  std::vector<int64_t> Usable(bool late) const {
    std::vector<int64_t> out;
    out.reserve(free.size());
    for (const int64_t number : free) {
      if (!late || !is_armed[static_cast<size_t>(number)]) out.push_back(number);
    }
    return out;
  }
};

// By content and successor: number of a descriptor that the program is loaded with and no command writes.
using Standing = std::map<std::pair<int64_t, int64_t>, int64_t>;

struct Channel {
  const ScheduleChannel* in = nullptr;
  Pool* pool = nullptr;
  std::deque<Flight> flights;
  size_t next = 0;
  int64_t armed = -1;  // descriptor of the task with which it is loaded
  Standing standing;
  std::vector<int64_t> needs;  // of each task: descriptors that are not standing
};

class Scheduler {
 public:
  explicit Scheduler(const ScheduleInput& in) : in_(in), clock_(in), unset_(in.unset) {
    for (const std::vector<int64_t>& numbers : in.pools) {
      Pool& pool = pools_.emplace_back();
      pool.free.assign(numbers.begin(), numbers.end());
      pool.size = static_cast<int64_t>(numbers.size());
      const auto most = std::max_element(numbers.begin(), numbers.end());
      const size_t count = most == numbers.end() ? 0 : static_cast<size_t>(*most) + 1;
      pool.is_armed.assign(count, 0);
      pool.content.assign(count, {});
    }
    for (const ScheduleChannel& channel : in.endless) LoadEndless(channel);
    channels_.resize(in.channels.size());
    for (size_t i = 0; i < channels_.size(); ++i) {
      Channel& channel = channels_[i];
      channel.in = &in.channels[i];
      channel.pool = &pools_[static_cast<size_t>(channel.in->pool)];
      channel.pool->members.push_back(i);
      if (channel.in->armed) Load(channel);
    }
    for (Pool& pool : pools_) LoadStanding(pool);
    for (Channel& channel : channels_) {
      for (const ScheduleTask& task : channel.in->tasks) {
        channel.needs.push_back(static_cast<int64_t>(task.chain.size() - Stands(channel, task).first));
      }
    }
  }

  ScheduleOutput Run(double limit) {
    for (size_t i = 0; i < channels_.size(); ++i) Offer(i);
    while (!starts_.empty() && clock_.now() < limit) {
      const size_t i = Next();
      if (++channels_[i].next < channels_[i].in->tasks.size()) Offer(i);
      while (!starts_.empty() && IsPushed(starts_.top())) starts_.pop();
      clock_.Pushed(starts_.empty() ? static_cast<int64_t>(in_.body.size()) : starts_.top().key.item);
    }
    SetAll();
    out_.done = starts_.empty();
    out_.end = clock_.end();
    for (const AwaitedTask& task : in_.last) WaitFor(task);
    return std::move(out_);
  }

 private:
  const ScheduleTask& Task(const Channel& channel) const { return channel.in->tasks[channel.next]; }

  // The channel's next task may be pushed.
  void Offer(size_t i) {
    const Channel& channel = channels_[i];
    if (channel.next >= channel.in->tasks.size()) return;
    wanted_.push({Task(channel).key, i, channel.next});
    starts_.push({Task(channel).start, i, channel.next});
  }

  bool IsPushed(const Wanted& start) const {
    const Channel& channel = channels_[start.channel];
    return channel.next >= channel.in->tasks.size() || Task(channel).start > start.key;
  }

  // Pushes the task that is wanted first of those for which there is room; returns its channel.
  size_t Next() {
    const Wanted first = starts_.top();
    const Position frontier = first.key;
    bool urgent = clock_.Idle(frontier.item);
    Position upto = std::min({frontier, clock_.Complete(), Awaited(frontier)});
    std::erase_if(asked_, [&](Pool* pool) { return !HoldsBack(*pool, frontier, upto); });
    while (true) {
      Wanted entry;
      if (urgent) {
        entry = {first.key, first.channel, channels_[first.channel].next};
      } else {
        if (wanted_.empty()) throw ProgramError("commands: no task is left that could be pushed");
        entry = wanted_.top();
        wanted_.pop();
      }
      urgent = false;
      Channel& channel = channels_[entry.channel];
      if (entry.at < channel.next) continue;  // it was urgent, and is pushed
      const ScheduleTask& task = Task(channel);
      const bool ahead = task.start > frontier;
      bool room = HasRoom(channel, task, upto, ahead);
      if (!room && !ahead) {
        upto = frontier;
        room = HasRoom(channel, task, upto, ahead);
        if (!room) {
          throw ProgramError("item " + std::to_string(frontier.item) + ": " + std::to_string(task.chain.size()) +
                             " descriptors are not to be had");
        }
      }
      if (room) {
        Push(channel, task, upto);
        return entry.channel;
      }
      Pool& pool = *channel.pool;
      if (pool.refused.empty()) asked_.push_back(&pool);
      pool.refused.emplace_back(entry, task.start);
      pool.asked_changes = pool.changes;
      pool.asked_limit = upto;
    }
  }

  // Up to where all is complete when the barrier of the frontier's item is passed: what is pushed ahead of the frontier
  // waits for no more, as the frontier would with it.
  Position Awaited(const Position& frontier) const {
    const int64_t item = frontier.item;
    const bool lags = item >= 0 && item < static_cast<int64_t>(in_.lags.size()) && in_.lags[static_cast<size_t>(item)];
    return lags ? Position{item - 1, kBarrier} : frontier;
  }

  // Wants what may fit by now, or has its turn; whether anything of the pool is left. What was refused in this very
  // state would be refused again, unless its turn has come.
  bool HoldsBack(Pool& pool, const Position& frontier, const Position& limit) {
    const bool same = pool.asked_changes == pool.changes && pool.asked_limit == limit;
    std::erase_if(pool.refused, [&](const std::pair<Wanted, Position>& refused) {
      const bool again = !same || refused.second <= frontier;
      if (again) wanted_.push(refused.first);
      return again;
    });
    return !pool.refused.empty();
  }

  // Whether such a task leaves the armed descriptors alone: those that end the program have them.
  bool IsLate(const Position& start, const Position& end) const {
    return start.item >= in_.late || end >= Position{static_cast<int64_t>(in_.body.size()), 0.0};
  }

  // Whether the task can be pushed after waiting only for tasks that end by `limit`.
  bool HasRoom(const Channel& channel, const ScheduleTask& task, const Position& limit, bool ahead) const {
    int64_t queued = 0;
    for (const Flight& flight : channel.flights) queued += flight.end > limit;
    if (queued >= in_.queue_depth) return false;
    const Pool& pool = *channel.pool;
    const bool late = pool.armed > 0 && IsLate(task.start, task.end);
    int64_t held = late ? pool.armed : 0;
    for (const size_t member : pool.members) {
      for (const Flight& flight : channels_[member].flights) {
        if (!(flight.end > limit)) continue;
        for (const int64_t number : flight.bds) {
          if (task.arms && number == channel.armed) return false;
          held += !(late && pool.is_armed[static_cast<size_t>(number)]);
        }
      }
    }
    const int64_t needed = channel.needs[channel.next] - task.arms;
    return pool.size - needed - held >= 0 && (!ahead || LeavesRoom(channel, task));
  }

  // Whether the tasks that come before the ends of those in flight will fit the pool when it is their turn.
  bool LeavesRoom(const Channel& channel, const ScheduleTask& task) const {
    using Held = std::pair<Position, int64_t>;
    struct Coming {
      Position start, end;
      int64_t bds;
    };
    const int64_t own = channel.needs[channel.next] - (task.arms && channel.in->kept);
    if (own == 0) return true;
    const Pool& pool = *channel.pool;
    std::vector<Held> held = {{task.end, own}};
    for (const size_t member : pool.members) {
      for (const Flight& flight : channels_[member].flights) {
        if (!flight.bds.empty()) held.emplace_back(flight.end, static_cast<int64_t>(flight.bds.size()));
      }
    }
    int64_t left = pool.size;
    Position horizon = task.end;
    for (const auto& [end, bds] : held) {
      left -= bds;
      horizon = std::max(horizon, end);
    }
    std::vector<Coming> coming;
    int64_t wanted = 0;
    for (const size_t member : pool.members) {
      const std::vector<ScheduleTask>& tasks = channels_[member].in->tasks;
      for (size_t at = channels_[member].next + (&channels_[member] == &channel); at < tasks.size(); ++at) {
        if (!(tasks[at].start < horizon)) break;
        const int64_t bds = channels_[member].needs[at];
        coming.push_back({tasks[at].start, tasks[at].end, bds});
        wanted += bds;
      }
    }
    if (left - wanted >= pool.armed) return true;  // even if none of those in flight ended
    // In the order of their starts, then ends, then descriptors.
    std::sort(coming.begin(), coming.end(), [](const Coming& a, const Coming& b) {
      if (!(a.start == b.start)) return a.start < b.start;
      return a.end == b.end ? a.bds < b.bds : a.end < b.end;
    });
    const auto later = [](const Held& a, const Held& b) { return a.first > b.first; };
    std::make_heap(held.begin(), held.end(), later);
    // Late tasks leave the armed descriptors; whether those in flight have some of them is not looked at.
    for (const Coming& next : coming) {
      while (!held.empty() && held.front().first <= next.start) {
        left += held.front().second;
        std::pop_heap(held.begin(), held.end(), later);
        held.pop_back();
      }
      left -= next.bds;
      if (left < (IsLate(next.start, next.end) ? pool.armed : 0)) return false;
      held.emplace_back(next.end, next.bds);
      std::push_heap(held.begin(), held.end(), later);
    }
    return true;
  }

  int64_t Take(Pool& pool, int64_t tile) {
    if (pool.free.empty()) throw ProgramError("tile " + std::to_string(tile) + ": no descriptor is left to load");
    const int64_t number = pool.free.front();
    pool.free.pop_front();
    return number;
  }

  void LoadEndless(const ScheduleChannel& channel) {
    Pool& pool = pools_[static_cast<size_t>(channel.pool)];
    const ScheduleTask& task = channel.tasks.front();
    std::vector<int64_t> numbers;
    for (size_t k = 0; k < task.chain.size(); ++k) numbers.push_back(Take(pool, channel.tile));
    pool.size -= static_cast<int64_t>(numbers.size());
    for (size_t k = 0; k < numbers.size(); ++k) {
      const int64_t following = numbers[(k + 1) % numbers.size()];
      out_.static_rows.push_back({channel.tile, numbers[k], task.chain[k].content, following});
    }
    out_.static_tasks.push_back({channel.tile, channel.dir, channel.ch, numbers.front(), 0, task.item});
  }

  // How many of a task's last descriptors are standing, and the number of the first of them (-1: none).
  std::pair<size_t, int64_t> Stands(const Channel& channel, const ScheduleTask& task) const {
    size_t count = 0;
    int64_t following = -1;
    while (!task.arms && count < task.chain.size()) {
      const auto found = channel.standing.find({task.chain[task.chain.size() - 1 - count].content, following});
      if (found == channel.standing.end()) break;
      following = found->second;
      ++count;
    }
    return {count, following};
  }

  // Loads what the tasks of a pool's channels use most often: ends of their chains that have no iteration.
  void LoadStanding(Pool& pool) {
    struct Use {
      int64_t count = 0;
      size_t channel = 0;
      int64_t content = 0, following = 0;
    };
    for (int64_t k = 0; k < in_.standing; ++k) {
      Use best;
      for (const size_t member : pool.members) {
        Channel& channel = channels_[member];
        std::map<std::pair<int64_t, int64_t>, int64_t> uses;
        for (size_t at = channel.next; at < channel.in->tasks.size(); ++at) {
          const ScheduleTask& task = channel.in->tasks[at];
          const auto [count, following] = Stands(channel, task);
          if (task.arms || count == task.chain.size()) continue;
          const ScheduleBd& bd = task.chain[task.chain.size() - 1 - count];
          if (bd.wrap > 1) continue;
          const int64_t n = ++uses[{bd.content, following}];
          if (n > best.count) best = {n, member, bd.content, following};
        }
      }
      if (best.count < kLeastUses || pool.free.size() < 2) return;
      const int64_t tile = channels_[best.channel].in->tile, number = Take(pool, tile);
      --pool.size;
      channels_[best.channel].standing[{best.content, best.following}] = number;
      out_.static_rows.push_back({tile, number, best.content, best.following});
    }
  }

  // Puts a channel's first task into the state with which the program is loaded.
  void Load(Channel& channel) {
    const ScheduleTask& task = channel.in->tasks.front();
    Pool& pool = *channel.pool;
    const int64_t number = channel.armed = Take(pool, channel.in->tile);
    const int64_t content = task.chain.front().content;
    pool.content[static_cast<size_t>(number)] = {content, -1, true};
    out_.static_rows.push_back({channel.in->tile, number, content, -1});
    out_.static_tasks.push_back({channel.in->tile, channel.in->dir, channel.in->ch, number, 1, task.item});
    Flight flight{task.end, 1, {}};
    if (channel.in->kept) {
      --pool.size;
    } else {
      pool.is_armed[static_cast<size_t>(number)] = 1;
      ++pool.armed;
      flight.bds.push_back(number);
    }
    channel.flights.push_back(std::move(flight));
    channel.next = 1;
  }

  // Waits for what must be complete, writes what is not already there, pushes.
  void Push(Channel& channel, const ScheduleTask& task, const Position& limit) {
    while (marked_ < task.start.item) out_.commands.push_back({kMark, ++marked_, 0, 0, 0, 0, 0});
    for (const AwaitedTask& awaited : task.after) WaitFor(awaited);
    while (static_cast<int64_t>(channel.flights.size()) >= in_.queue_depth) Retire(channel);
    Pool& pool = *channel.pool;
    const bool late = IsLate(task.start, task.end);
    std::vector<int64_t> ids, usable;
    auto [stand, following] = Stands(channel, task);
    size_t left = task.chain.size() - stand;
    if (task.arms) {
      const int64_t own = following = channel.armed;
      if (!channel.in->kept) {
        while (std::find(pool.free.begin(), pool.free.end(), own) == pool.free.end()) Retire(Victim(pool, limit));
        usable = {own};
        ids.push_back(Write(channel, task.chain.back(), -1, 1, usable));
      }
      --left;
    }
    while ((usable = pool.Usable(late)).size() < left) Retire(Victim(pool, limit));
    while (left > 0) {
      following = Write(channel, task.chain[--left], following, task.repeat, usable);
      ids.push_back(following);
    }
    const Position complete = clock_.Complete();
    bool idle = true;
    for (const Flight& flight : channel.flights) idle = idle && flight.end <= complete;
    clock_.Push(idle);
    channel.flights.push_back({task.end, static_cast<int64_t>(channel.next) + 1, std::move(ids)});
    ++pool.changes;
    const ScheduleChannel& in = *channel.in;
    out_.commands.push_back({kPush, in.tile, in.dir, in.ch, following, task.repeat, task.item});
    if (task.sets >= 0 && std::find(unset_.begin(), unset_.end(), task.sets) != unset_.end()) SetLock(task.sets);
  }

  // Number of a descriptor with this content, which is usable no more; written unless a free one still holds it.
  //
  // Writing sets its iteration to the begin, where it is again after whole turns. `usable`: free ones, oldest first.
  int64_t Write(const Channel& channel, const ScheduleBd& bd, int64_t following, int64_t repeat,
                std::vector<int64_t>& usable) {
    Pool& pool = *channel.pool;
    const bool whole = repeat % bd.wrap == 0;
    auto found = usable.end();
    if (whole) {
      found = std::find_if(usable.begin(), usable.end(), [&](int64_t number) {
        const Content& held = pool.content[static_cast<size_t>(number)];
        return held.known && held.content == bd.content && held.following == following;
      });
    }
    const bool write = found == usable.end();
    if (write) found = usable.begin();
    const int64_t number = *found;
    usable.erase(found);
    pool.free.erase(std::find(pool.free.begin(), pool.free.end(), number));
    if (write) {
      pool.content[static_cast<size_t>(number)] = {bd.content, following, whole};
      const std::array<int64_t, 4> row = {channel.in->tile, number, bd.content, following};
      const auto [known, added] = rows_.try_emplace(row, static_cast<int64_t>(rows_.size()));
      if (added) out_.rows.push_back(row);
      out_.commands.push_back({kWriteBd, known->second, 0, 0, 0, 0, 0});
      clock_.Write();
    }
    return number;
  }

  // The channel of the pool whose oldest task completes first.
  Channel& Victim(const Pool& pool, const Position& limit) {
    Channel* best = nullptr;
    const auto place = [](const Channel& c) { return std::make_pair(c.in->dir, c.in->ch); };
    for (const size_t member : pool.members) {
      Channel& channel = channels_[member];
      if (channel.flights.empty()) continue;
      const Position& end = channel.flights.front().end;
      const bool sooner = best == nullptr || end < best->flights.front().end ||
                          (end == best->flights.front().end && place(channel) < place(*best));
      if (sooner) best = &channel;
    }
    if (best == nullptr || best->flights.front().end > limit) {
      std::ostringstream text;
      text << "tile " << (best == nullptr ? -1 : best->in->tile)
           << ": descriptors are held by tasks that cannot complete before (" << limit.item << ", " << limit.place
           << ")";
      throw ProgramError(text.str());
    }
    return *best;
  }

  // Waits until a task is complete.
  void WaitFor(const AwaitedTask& task) {
    Channel& channel = channels_[static_cast<size_t>(task.channel)];
    while (!channel.flights.empty() && channel.flights.front().number <= task.number) Retire(channel);
  }

  // Waits for the oldest task in flight on a channel and frees its descriptors.
  void Retire(Channel& channel) {
    SetAll();
    const Flight flight = std::move(channel.flights.front());
    channel.flights.pop_front();
    out_.commands.push_back({kWait, channel.in->tile, channel.in->dir, channel.in->ch, flight.number, 0, 0});
    clock_.Wait(flight.end);
    channel.pool->free.insert(channel.pool->free.end(), flight.bds.rbegin(), flight.bds.rend());
    ++channel.pool->changes;
  }

  void SetAll() {
    while (!unset_.empty()) SetLock(unset_.front());
  }

  void SetLock(int64_t which) {
    unset_.erase(std::find(unset_.begin(), unset_.end(), which));
    clock_.SetLock();
    const ScheduleLock& lock = in_.locks[static_cast<size_t>(which)];
    out_.commands.push_back({kSetLock, lock.tile, lock.lock, lock.value, 0, 0, 0});
  }

  const ScheduleInput& in_;
  ScheduleClock clock_;
  std::vector<int64_t> unset_;
  std::deque<Pool> pools_;  // they stay where they are
  std::vector<Channel> channels_;
  MinHeap<Wanted> wanted_, starts_;  // by when they are wanted; by when they start
  std::vector<Pool*> asked_;         // with tasks that were refused
  std::map<std::array<int64_t, 4>, int64_t> rows_;
  int64_t marked_ = -1;
  ScheduleOutput out_;
};

}  // namespace

ScheduleOutput Schedule(const ScheduleInput& input, double limit) { return Scheduler(input).Run(limit); }

}  // namespace tvm_aie
