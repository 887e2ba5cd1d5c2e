// First loads and weight streams share DDR (cost/first_loads.h).
#include "cost/first_loads.h"

#include <algorithm>
#include <limits>

namespace tvm_aie {

FirstLoads::FirstLoads(const ReplayMachine& machine)
    : m_(machine),
      rings_(static_cast<double>(m_.memtile_slots * m_.memtile_slot_bytes + m_.w_slots * m_.w_slot_bytes) / 4) {}

void FirstLoads::Push(int64_t channel, int64_t kind, int64_t words, double t, bool armed) {
  if (kind == ReplayTask::kWeights && !armed) {
    streams_[words] = t + m_.load_task + m_.load_first;
  } else if (kind == ReplayTask::kFirstLoad) {
    auto& queue = queues_[channel];  // in which what the channel is loaded with is the first
    queue.insert(armed ? queue.begin() : queue.end(),
                 {t, static_cast<double>(words), channel - m_.cols * (1 + m_.rows), armed});
  }
}

int64_t FirstLoads::Pushed(int64_t channel) const {
  const auto found = queues_.find(channel);
  return found == queues_.end() ? 0 : static_cast<int64_t>(found->second.size());
}

std::map<int64_t, double> FirstLoads::Finish() {
  std::map<int64_t, double> ends;
  std::map<int64_t, Task> running, streams;
  double t = 0, shared = 0;
  for (auto& [channel, queue] : queues_) Next(channel, 0, &running);
  for (const auto& [row, start] : streams_) streams[row] = {start, rings_, m_.w_column[row], false};
  while (!running.empty()) {
    double next = std::numeric_limits<double>::infinity();
    const double share = Share(t, {&running, &streams}, &next);
    shared += (next - t) * share;
    for (auto* tasks : {&running, &streams}) {
      for (auto& [key, task] : *tasks) {
        if (task.start <= t) task.words -= (next - t) * share;
      }
    }
    t = next;
    curve_.push_back({t, shared});
    std::erase_if(streams, [](const auto& entry) { return entry.second.words < 1e-6; });
    for (auto it = running.begin(); it != running.end();) {
      const int64_t channel = it->first;
      const bool done = it->second.start < t && it->second.words < 1e-6;
      ++it;
      if (done) {
        ends[channel] = t;
        Next(channel, t, &running);
      }
    }
  }
  return ends;
}

double FirstLoads::Brought(int64_t row, double words) const {
  const auto found = streams_.find(row);
  const double start = found == streams_.end() ? 0.0 : found->second;
  const double wanted = words + Interpolated(start, false);
  return std::max(start, Interpolated(wanted, true));
}

double FirstLoads::Share(double t, std::initializer_list<const std::map<int64_t, Task>*> flows, double* until) const {
  int64_t count = 0;
  std::set<int64_t> columns;
  for (const auto* tasks : flows) {
    for (const auto& [key, task] : *tasks) {
      if (task.start > t) {
        *until = std::min(*until, task.start);
      } else {
        ++count;
        columns.insert(task.column);
      }
    }
  }
  if (count == 0) return 0;
  const double share = std::min(m_.load_words, m_.ddr_words[columns.size() - 1] / static_cast<double>(count));
  for (const auto* tasks : flows) {
    for (const auto& [key, task] : *tasks) {
      if (task.start <= t) *until = std::min(*until, t + task.words / share);
    }
  }
  return share;
}

double FirstLoads::Interpolated(double at, bool inverse) const {
  double x0 = 0, y0 = 0;
  for (const auto& [time, share] : curve_) {
    const double x = inverse ? share : time, y = inverse ? time : share;
    if (x >= at) return x > x0 ? y0 + (y - y0) * (at - x0) / (x - x0) : y;
    x0 = x;
    y0 = y;
  }
  if (m_.load_slot == 0) return y0;
  const double cycles_per_word = m_.load_slot * 4 / static_cast<double>(m_.memtile_slot_bytes);
  return y0 + (at - x0) * (inverse ? cycles_per_word : 1 / cycles_per_word);
}

void FirstLoads::Next(int64_t channel, double t, std::map<int64_t, Task>* running) {
  auto& queue = queues_[channel];
  if (queue.empty()) {
    running->erase(channel);
    return;
  }
  Task task = queue.front();
  queue.pop_front();
  task.start = std::max(task.start, t);
  if (!task.armed) task.start += m_.load_task + (begun_.insert(channel).second ? m_.load_first : 0.0);
  (*running)[channel] = task;
}

}  // namespace tvm_aie
