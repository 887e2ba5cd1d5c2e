// The recurrence of tvm_aie/replay.h.
#include "tvm_aie/replay.h"

#include "cost/first_loads.h"

#include <algorithm>
#include <limits>
#include <map>

namespace tvm_aie {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

double At(const std::vector<double>& times, int64_t i) {
  return i < static_cast<int64_t>(times.size()) ? times[static_cast<size_t>(i)] : kNever;
}

// Messages of one memtile channel that have been pushed: times, in order of messages.
struct Gate {
  std::vector<double> pushed;

  void Push(int64_t upto, double t) {
    while (static_cast<int64_t>(pushed.size()) < upto) pushed.push_back(t);
  }
};

struct Core {
  int64_t item = 0;
  size_t event = 0;
  bool headed = false;             // the item's opcodes are there
  double t = 0;
  int64_t kernel = 0, output = 0, input = 0;  // of the item
  int64_t a_messages = 0, w_messages = 0, o_acquired = 0;
  std::vector<double> a_freed;     // by slot
  std::vector<double> w_freed;
  std::vector<double> kernel_end;  // by item
};

struct OutputMessage {
  double ready;
  int64_t slots;
  double extra;
};

struct Outputs {
  Gate gate;
  std::vector<OutputMessage> messages;
  size_t sent = 0;
  double t = 0;
  std::vector<double> slot_ends;
  std::vector<double> ends;      // of messages, junk that aligns the ring included
  std::vector<int64_t> upto;     // messages of all items before item i
};

struct Column {
  Gate gate;
  std::vector<int64_t> first;    // number of each item's opcode message
  std::vector<double> ends;
  std::vector<double> own, told, open;  // by item: complete, the west is told; east told; barrier passed
  int64_t item = 0, message = 0, slots = 0;
  double t = 0;
  double body = -1;              // the opcode message is sent up to its barrier
};

struct Weights {
  std::vector<int64_t> upto;     // slots up to the end of each message
  std::vector<double> ends, loaded;  // by core slot, by memtile slot
  bool ahead = false;            // the rings are full when the commands begin
};

class Run {
 public:
  Run(const ReplayMachine& machine, const std::vector<ReplayLoad>& loads, const std::vector<ReplayItem>& items,
      const std::vector<std::vector<ReplayTask>>& tasks)
      : m_(machine), loads_(loads), items_(items), tasks_(tasks), stats_(items.size()) {
    columns_.resize(static_cast<size_t>(m_.cols));
    weights_.resize(static_cast<size_t>(m_.rows));
    cores_.resize(static_cast<size_t>(m_.cols * m_.rows));
    outputs_.resize(cores_.size());
    for (int64_t c = 0; c < m_.cols; ++c) Prepare(c);
    for (int64_t r = 0; r < m_.rows; ++r) {
      int64_t slots = 0;
      for (const ReplayItem& item : items_) {
        const ReplayLoad& load = LoadOf(item);
        for (int64_t k = 0; k < load.messages; ++k) {
          slots += load.w_size[r * load.messages + k];
          weights_[static_cast<size_t>(r)].upto.push_back(slots);
        }
      }
    }
  }

  std::vector<ReplayItemStats> Commands(const std::vector<ReplayCommand>& commands) {
    double t = 0, writes = 0;
    int64_t expected = 0;
    for (const auto& channel : tasks_) {
      for (const ReplayTask& task : channel) expected += IsFirst(task);
    }
    if (expected == 0) Loaded({});
    for (const ReplayCommand& command : commands) {
      if (command.op == ReplayCommand::kWrite) {
        t += m_.bd_write;
        ++writes;
        continue;
      }
      if (command.op == ReplayCommand::kLock) {
        t += m_.lock_write;
        continue;
      }
      Advance();
      const auto& tasks = tasks_[static_cast<size_t>(command.channel)];
      const ReplayTask& task = tasks[static_cast<size_t>(command.task)];
      const bool booked = task.item >= 0 && task.item < n_items();
      ReplayItemStats* stats = booked ? &stats_[static_cast<size_t>(task.item)] : nullptr;
      if (command.op == ReplayCommand::kWait) {
        const double end = Complete(command.channel, task);
        if (end == kNever) return {};
        if (stats != nullptr) stats->waited += std::max(0.0, end - t);
        t = std::max(t, end);
        continue;
      }
      if (command.op == ReplayCommand::kArmed) {
        if (task.kind == ReplayTask::kWeights) weights_[static_cast<size_t>(task.upto)].ahead = true;
        Begin(command.channel, task, t, true, &expected);
        continue;
      }
      const bool idle =
          command.task == 0 || IsIdle(command.channel, tasks[static_cast<size_t>(command.task - 1)], task, t);
      t += idle ? m_.push_idle : m_.push_queued;
      Begin(command.channel, task, t, false, &expected);
      if (stats != nullptr) {
        ++stats->pushes;
        stats->idle += idle;
        stats->writes += writes;
        writes = 0;
      }
    }
    Advance();
    return Finish();
  }

 private:
  int64_t n_items() const { return static_cast<int64_t>(items_.size()); }
  const ReplayLoad& LoadOf(const ReplayItem& item) const { return loads_[static_cast<size_t>(item.load)]; }
  const ReplayLoad& LoadOf(int64_t item) const { return LoadOf(items_[static_cast<size_t>(item)]); }
  size_t CoreAt(int64_t c, int64_t r) const { return static_cast<size_t>(c * m_.rows + r); }

  static bool IsFirst(const ReplayTask& task) {
    return task.kind == ReplayTask::kFirstLoad || task.kind == ReplayTask::kWeights;
  }

  // A task that is pushed, or with which the program is loaded. `expected`: first loads and weight streams to come.
  void Begin(int64_t channel, const ReplayTask& task, double t, bool armed, int64_t* expected) {
    if (Gate* gate = GateOf(channel)) {
      gate->Push(task.upto, t);
    } else if (IsFirst(task)) {
      first_loads_.Push(channel, task.kind, task.upto, t, armed);
      if (--*expected == 0) Loaded(first_loads_.Finish());
    }
  }

  double LoadedOf(const std::map<int64_t, double>& ends, int64_t c) const {
    const auto found = ends.find(m_.cols * (1 + m_.rows) + c);
    return found == ends.end() ? 0.0 : found->second;
  }

  void Loaded(const std::map<int64_t, double>& ends) {
    for (int64_t c = 0; c < m_.cols; ++c) ready_.push_back(LoadedOf(ends, c));
  }

  // When what a column loads first is there; never: not all of it is pushed. While other columns' loads are not, as if
  // there were none: exact for what is past.
  double FirstLoaded(int64_t c) const {
    if (!ready_.empty()) return At(ready_, c);
    const int64_t channel = m_.cols * (1 + m_.rows) + c;
    const auto& tasks = tasks_[static_cast<size_t>(channel)];
    const auto count = std::count_if(tasks.begin(), tasks.end(), IsFirst);
    return first_loads_.Pushed(channel) < count ? kNever : LoadedOf(FirstLoads(first_loads_).Finish(), c);
  }

  void Prepare(int64_t c) {
    Column& column = columns_[static_cast<size_t>(c)];
    int64_t messages = 0;
    std::vector<int64_t> sent(static_cast<size_t>(m_.rows), 0), slots(static_cast<size_t>(m_.rows), 0);
    for (int64_t r = 0; r < m_.rows; ++r) cores_[CoreAt(c, r)].kernel_end.assign(items_.size(), 0.0);
    for (const ReplayItem& item : items_) {
      const ReplayColumn& load = LoadOf(item).columns[static_cast<size_t>(c)];
      column.first.push_back(messages);
      messages += 1 + load.inputs;
      for (int64_t r = 0; r < m_.rows; ++r) {
        const auto at = static_cast<size_t>(r);
        outputs_[CoreAt(c, r)].upto.push_back(sent[at]);
        const int64_t skip = Skip(load, r, slots[at]);
        slots[at] += skip;
        sent[at] += skip > 0;
        for (int64_t k = 0; k < load.outputs; ++k) {
          sent[at] += load.o_size[k * m_.rows + r] > 0;
          slots[at] += load.o_size[k * m_.rows + r];
        }
      }
    }
    column.first.push_back(messages);
    for (int64_t r = 0; r < m_.rows; ++r) outputs_[CoreAt(c, r)].upto.push_back(sent[static_cast<size_t>(r)]);
  }

  // Slots by which a core row aligns its ring when an item begins with the ring at `slots`.
  int64_t Skip(const ReplayColumn& load, int64_t r, int64_t slots) const {
    const bool aligned = std::any_of(load.events.begin(), load.events.end(),
                                     [](const ReplayEvent& event) { return event.op == ReplayEvent::kSkipO; });
    for (int64_t k = 0; aligned && k < load.outputs; ++k) {
      const int64_t size = load.o_size[k * m_.rows + r];
      if (size > 0) return (size - slots % size) % size;
    }
    return 0;
  }

  void Advance() {
    for (bool moved = true; moved || told_west_;) {
      moved = told_west_ = false;
      for (int64_t c = 0; c < m_.cols; ++c) {
        while (Send(c)) moved = true;
        for (int64_t r = 0; r < m_.rows; ++r) {
          while (Drain(CoreAt(c, r)) || Step(c, r)) moved = true;
        }
      }
    }
  }

  // ------------------------------------------------------------------ activations

  static int64_t InputSlots(const ReplayLoad& load, int64_t c, int64_t message) {
    const ReplayColumn& column = load.columns[static_cast<size_t>(c)];
    return column.a_size != nullptr && message >= 0 ? column.a_size[message] : load.a_slots;
  }

  // When a slot of the column's A rings is free in all core rows.
  double Freed(int64_t c, int64_t slot) const {
    if (slot < 0) return 0.0;
    double t = 0;
    for (int64_t r = 0; r < m_.rows; ++r) t = std::max(t, At(cores_[CoreAt(c, r)].a_freed, slot));
    return t;
  }

  // The slots of a message one by one from `t` on; never: not all are free yet.
  double Slots(int64_t c, int64_t first, int64_t count, double t) const {
    if (Freed(c, first + count - 1 - m_.a_slots) == kNever) return kNever;
    for (int64_t q = first; q < first + count; ++q) t = std::max(t, Freed(c, q - m_.a_slots)) + m_.a_slot;
    return t;
  }

  bool Send(int64_t c) {
    Column& column = columns_[static_cast<size_t>(c)];
    if (column.item >= n_items()) return false;
    return column.message == 0 ? SendHead(c, &column) : SendMessage(c, &column);
  }

  void Sent(Column* column, int64_t slots, double t) {
    column->ends.push_back(t);
    column->slots += slots;
    column->t = t;
    ++column->message;
    const auto item = static_cast<size_t>(column->item);
    if (column->first[item] + column->message == column->first[item + 1]) {
      ++column->item;
      column->message = 0;
    }
  }

  // The opcodes travel ahead, the first ones once they are loaded; the words of the barrier, which follow, wait for this
  // column and others.
  bool SendHead(int64_t c, Column* column) {
    const int64_t i = column->item;
    const ReplayItem& item = items_[static_cast<size_t>(i)];
    const auto at = static_cast<size_t>(i);
    const double pushed = At(column->gate.pushed, column->first[at]);
    const double there = i == 0 ? At(ready_, c) : 0.0;
    if (pushed == kNever || there == kNever) return false;
    if (column->body < 0) {
      const double t = Slots(c, column->slots, item.head[c], std::max({column->t, pushed, there}));
      if (t == kNever) return false;
      column->body = t;
    }
    return m_.push_idle > 0 ? PassSweep(c, column) : PassNeighbours(c, column);
  }

  void Passed(int64_t c, Column* column, double open, double sent) {
    column->open.push_back(open);
    column->body = -1;
    Sent(column, items_[static_cast<size_t>(column->item)].head[c], sent);
  }

  // The barrier of machines whose commands cost time (emit/item_tasks.py): complete columns tell the west, from the last
  // one on; the first one, told by all, sends the permission back east.
  bool PassSweep(int64_t c, Column* column) {
    const int64_t i = column->item;
    const bool rides = items_[static_cast<size_t>(i)].ride[c] != 0;
    const auto at = static_cast<size_t>(i);
    const bool west = c > 0, east = c + 1 < m_.cols;
    if (column->own.size() == at) {
      const double done = i == 0 ? 0.0 : Done(c, i - 1);
      const double other = i > 0 && east ? At(columns_[static_cast<size_t>(c + 1)].own, i) : 0.0;
      if (done == kNever || other == kNever) return false;
      const bool word = i > 0 && (west || east || !rides);
      column->own.push_back(std::max({column->body, done, other}) + (word ? m_.lock_word : 0.0));
      told_west_ = west;
    }
    double t = column->own[at];
    const double before = west || east ? t : column->body;
    if (i > 0 && west) {
      const double other = At(columns_[static_cast<size_t>(c - 1)].told, i);
      if (other == kNever) return false;
      t = std::max(t, other) + (east || !rides ? m_.lock_word : 0.0);
    }
    column->told.push_back(t);
    Passed(c, column, t, rides ? before : t);
    return true;
  }

  // The barrier of idealised machines: this column and its neighbours are complete.
  bool PassNeighbours(int64_t c, Column* column) {
    const int64_t i = column->item;
    const ReplayItem& item = items_[static_cast<size_t>(i)];
    const auto at = static_cast<size_t>(i);
    const bool west = c > 0, east = c + 1 < m_.cols;
    if (column->own.size() == at) {
      const double done = i == 0 ? 0.0 : Done(c, i - 1);
      if (done == kNever) return false;
      column->own.push_back(std::max(column->body, done) + (i == 0 ? 0.0 : m_.lock_word));
    }
    if (column->told.size() == at) {
      double t = column->own[at];
      if (i > 0 && west) {
        const double other = At(columns_[static_cast<size_t>(c - 1)].told, i);
        if (other == kNever) return false;
        t = std::max(t, other) + (east || item.ride[c] == 0 ? m_.lock_word : 0.0);
      }
      column->told.push_back(t);
    }
    double t = column->told[at];
    const double before = t;
    if (i > 0 && east) {
      const double other = At(columns_[static_cast<size_t>(c + 1)].own, i);
      if (other == kNever) return false;
      t = std::max(t, other) + (item.ride[c] == 0 ? m_.lock_word : 0.0);
    }
    // What rides on the first activation message is no word of this one.
    Passed(c, column, t, item.ride[c] != 0 ? before : t);
    return true;
  }

  bool SendMessage(int64_t c, Column* column) {
    const auto at = static_cast<size_t>(column->item);
    const ReplayLoad& load = LoadOf(column->item);
    const double pushed = At(column->gate.pushed, column->first[at] + column->message);
    if (pushed == kNever) return false;
    double t = std::max(column->t, pushed);
    if (column->message == 1) t = std::max(t, column->open[at]);
    const int64_t slots = InputSlots(load, c, column->message - 1);
    t = Slots(c, column->slots, slots, t);
    if (t == kNever) return false;
    Sent(column, slots, t + load.columns[static_cast<size_t>(c)].a_extra[column->message - 1]);
    return true;
  }

  // ------------------------------------------------------------------ weights

  double FreedWeights(int64_t r, int64_t slot) const {
    if (slot < 0) return 0.0;
    double t = 0;
    for (int64_t c = 0; c < m_.cols; ++c) t = std::max(t, At(cores_[CoreAt(c, r)].w_freed, slot));
    return t;
  }

  // When message `k` of row `r` is in the cores; never: not yet known.
  double Arrived(int64_t r, int64_t k) {
    if (ready_.empty()) return kNever;
    Weights& w = weights_[static_cast<size_t>(r)];
    const int64_t upto = w.upto[static_cast<size_t>(k)];
    for (auto q = static_cast<int64_t>(w.ends.size()); q < upto; ++q) {
      const double freed = FreedWeights(r, q - m_.w_slots);
      if (freed == kNever) return kNever;
      const int64_t home = ((q + 1) * m_.w_slot_bytes - 1) / m_.memtile_slot_bytes;
      while (static_cast<int64_t>(w.loaded.size()) <= home) {
        const auto n = static_cast<int64_t>(w.loaded.size());
        const int64_t gone = (n - m_.memtile_slots + 1) * m_.memtile_slot_bytes / m_.w_slot_bytes - 1;
        if (w.ahead && gone < m_.w_slots) {
          w.loaded.push_back(0.0);
          continue;
        }
        const double left = gone < 0 ? 0.0 : w.ends[static_cast<size_t>(gone)];
        const auto words = static_cast<double>((n + 1) * m_.memtile_slot_bytes / 4);
        const double brought = w.ahead ? 0.0 : first_loads_.Brought(r, words);
        w.loaded.push_back(std::max(std::max(n == 0 ? 0.0 : w.loaded.back(), left) + m_.load_slot, brought));
      }
      if (w.ahead && q < m_.w_slots) {
        w.ends.push_back(0.0);
        continue;
      }
      const double before = q == 0 ? 0.0 : w.ends.back();
      w.ends.push_back(std::max({before, freed, w.loaded[static_cast<size_t>(home)]}) + m_.w_slot);
    }
    return w.ends[static_cast<size_t>(upto - 1)];
  }

  // ------------------------------------------------------------------ cores

  // The next event of a core.
  bool Step(int64_t c, int64_t r) {
    Core& core = cores_[CoreAt(c, r)];
    if (core.item >= n_items()) return false;
    const ReplayItem& item = items_[static_cast<size_t>(core.item)];
    const ReplayLoad& load = LoadOf(item);
    const ReplayColumn& column = load.columns[static_cast<size_t>(c)];
    if (!core.headed) {
      const double end = At(columns_[static_cast<size_t>(c)].ends, core.a_messages);
      if (end == kNever) return false;
      core.t = std::max(core.t, end);
      ++core.a_messages;
      core.a_freed.insert(core.a_freed.end(), static_cast<size_t>(item.head[c]), core.t);
      core.kernel = core.output = core.input = 0;
      core.event = 0;
      core.headed = true;
    }
    const ReplayEvent& event = column.events[core.event];
    const double t = Passed(c, r, load, column, event, core.t + static_cast<double>(event.opcodes) * m_.opcode);
    if (t == kNever) return false;
    core.t = t;
    ++core.event;
    if (event.op == ReplayEvent::kEnd) {
      ++core.item;
      core.headed = false;
    }
    return true;
  }

  // When a core that comes to an event at `t` is past it, and what it takes or gives; never: not yet known.
  double Passed(int64_t c, int64_t r, const ReplayLoad& load, const ReplayColumn& column, const ReplayEvent& event,
                double t) {
    Core& core = cores_[CoreAt(c, r)];
    Outputs& out = outputs_[CoreAt(c, r)];
    const bool more = core.output < column.outputs;
    const int64_t slots = more ? column.o_size[core.output * m_.rows + r] : 0;
    switch (event.op) {
      case ReplayEvent::kAcqA:
        t = std::max(t, At(columns_[static_cast<size_t>(c)].ends, core.a_messages));
        core.a_messages += t != kNever;
        core.input += t != kNever;
        return t;
      case ReplayEvent::kAcqW:
        t = std::max(t, Arrived(r, core.w_messages));
        core.w_messages += t != kNever;
        return t;
      case ReplayEvent::kAcqO:
        t = std::max(t, slots > 0 ? Drained(out, core.o_acquired + slots - m_.o_slots) : 0.0);
        core.o_acquired += t != kNever ? slots : 0;
        return t;
      case ReplayEvent::kSkipO: {
        const int64_t skip = slots > 0 ? (slots - core.o_acquired % slots) % slots : 0;
        if (skip > 0) t = std::max(t, Drained(out, core.o_acquired + skip - m_.o_slots));
        if (t == kNever || skip == 0) return t;
        out.messages.push_back({t, skip, 0.0});
        core.o_acquired += skip;
        return t;
      }
      case ReplayEvent::kKernel:
        t += column.kernel[core.kernel++ * m_.rows + r];
        core.kernel_end[static_cast<size_t>(core.item)] = t;
        return t;
      case ReplayEvent::kRelA:
        core.a_freed.insert(core.a_freed.end(), static_cast<size_t>(InputSlots(load, c, core.input - 1)), t);
        return t;
      case ReplayEvent::kRelW:
        core.w_freed.resize(
            static_cast<size_t>(weights_[static_cast<size_t>(r)].upto[static_cast<size_t>(core.w_messages - 1)]), t);
        return t;
      case ReplayEvent::kRelO:
        if (slots > 0) out.messages.push_back({t, slots, column.o_extra[core.output * m_.rows + r]});
        ++core.output;
        return t;
      default:
        return t;
    }
  }

  // When so many slots of an output ring have been sent.
  static double Drained(const Outputs& out, int64_t slots) { return slots > 0 ? At(out.slot_ends, slots - 1) : 0.0; }

  // ------------------------------------------------------------------ outputs

  bool Drain(size_t at) {
    Outputs& out = outputs_[at];
    if (out.sent >= out.messages.size()) return false;
    const OutputMessage& message = out.messages[out.sent];
    const double pushed = At(out.gate.pushed, static_cast<int64_t>(out.ends.size()));
    if (pushed == kNever) return false;
    out.t = std::max({out.t, message.ready, pushed});
    for (int64_t k = 0; k < message.slots; ++k) out.slot_ends.push_back(out.t += m_.o_slot);
    out.t += message.extra;
    out.ends.push_back(out.t);
    ++out.sent;
    return true;
  }

  // When all outputs of an item in a column are there; what follows the data of the last ones does not matter.
  double Done(int64_t c, int64_t item) const {
    const double* tail = LoadOf(item).columns[static_cast<size_t>(c)].o_tail;
    double t = 0;
    for (int64_t r = 0; r < m_.rows; ++r) {
      const Outputs& out = outputs_[CoreAt(c, r)];
      const int64_t upto = out.upto[static_cast<size_t>(item + 1)];
      if (upto > out.upto[static_cast<size_t>(item)]) t = std::max(t, At(out.ends, upto - 1) - tail[r]);
    }
    return t;
  }

  // ------------------------------------------------------------------ tasks

  Gate* GateOf(int64_t channel) {
    if (channel < m_.cols) return &columns_[static_cast<size_t>(channel)].gate;
    if (channel < m_.cols * (1 + m_.rows)) return &outputs_[static_cast<size_t>(channel - m_.cols)].gate;
    return nullptr;
  }

  double Complete(int64_t channel, const ReplayTask& task) const {
    if (channel < m_.cols) {
      const Column& column = columns_[static_cast<size_t>(channel)];
      return task.upto > 0 ? At(column.ends, task.upto - 1) : 0.0;
    }
    if (channel < m_.cols * (1 + m_.rows)) {
      return task.upto > 0 ? At(outputs_[static_cast<size_t>(channel - m_.cols)].ends, task.upto - 1) : 0.0;
    }
    return 0.0;
  }

  // Whether the channel is idle when `task` is pushed behind `before`. Loads and stores are not followed, but for the
  // first ones: those of one item are pushed close together.
  bool IsIdle(int64_t channel, const ReplayTask& before, const ReplayTask& task, double t) const {
    if (task.kind == ReplayTask::kRearm && before.item == 0) return FirstLoaded(task.upto) <= t;
    if (channel >= m_.cols * (1 + m_.rows)) return before.item != task.item;
    return Complete(channel, before) <= t;
  }

  std::vector<ReplayItemStats> Finish() {
    for (int64_t i = 0; i < n_items(); ++i) {
      for (const Core& core : cores_) {
        if (core.item <= i) return {};
        double& end = stats_[static_cast<size_t>(i)].end;
        end = std::max(end, core.kernel_end[static_cast<size_t>(i)]);
      }
    }
    for (size_t channel = 0; channel < tasks_.size(); ++channel) {
      for (const ReplayTask& task : tasks_[channel]) {
        if (task.item < 0 || task.item >= n_items()) continue;
        double& end = stats_[static_cast<size_t>(task.item)].end;
        end = std::max(end, Complete(static_cast<int64_t>(channel), task));
      }
    }
    return stats_;
  }

  const ReplayMachine& m_;
  const std::vector<ReplayLoad>& loads_;
  const std::vector<ReplayItem>& items_;
  const std::vector<std::vector<ReplayTask>>& tasks_;
  std::vector<ReplayItemStats> stats_;
  FirstLoads first_loads_{m_};
  bool told_west_ = false;        // a column further west may go on
  std::vector<double> ready_;     // when the first item's operands are there, by column
  std::vector<Column> columns_;
  std::vector<Weights> weights_;  // by row
  std::vector<Core> cores_;       // by column and row
  std::vector<Outputs> outputs_;  // as cores
};

}  // namespace

std::vector<ReplayItemStats> Replay(const ReplayMachine& machine, const std::vector<ReplayLoad>& loads,
                                    const std::vector<ReplayItem>& items,
                                    const std::vector<std::vector<ReplayTask>>& tasks,
                                    const std::vector<ReplayCommand>& commands) {
  return Run(machine, loads, items, tasks).Commands(commands);
}

}  // namespace tvm_aie
