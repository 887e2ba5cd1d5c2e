// Output links (cost/links.h).
#include "cost/links.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace tvm_aie {
namespace {

constexpr double kRounding = 1e-9;  // cycles

void PushEvent(std::vector<std::pair<double, size_t>>* heap, double at, size_t core) {
  heap->emplace_back(at, core);
  std::push_heap(heap->begin(), heap->end(), std::greater<>());
}

std::pair<double, size_t> PopEvent(std::vector<std::pair<double, size_t>>* heap) {
  std::pop_heap(heap->begin(), heap->end(), std::greater<>());
  const auto event = heap->back();
  heap->pop_back();
  return event;
}

}  // namespace

Link::Link(const std::vector<double>& before) : cores_(before.size()) {
  for (size_t r = 0; r < before.size(); ++r) cores_[r].done.push_back(before[r]);
}

void Link::Push(size_t r, double ready, double work) {
  Core& core = cores_[r];
  Part part{ready, work};
  ++core.pushed;
  if (core.idle()) {
    part.ready = std::max(ready, core.done.back());
    if (part.ready < now_) {
      double end = now_;
      if (Fill(&part, &end)) {
        core.done.push_back(end);
        return;
      }
    }
    Front(r, part);
  }
  core.parts.push_back(part);
}

double Link::End(size_t r, size_t part) {
  const auto& done = cores_[r].done;
  while (done.size() <= part) Step();
  return done[part];
}

// A part comes to the front of its core's queue.
void Link::Front(size_t r, const Part& part) {
  if (part.ready <= now_) {
    PushEvent(&active_, served_ + part.work, r);
  } else {
    PushEvent(&coming_, part.ready, r);
  }
}

// Serves a part in idle time from its `ready` on: whether it is done, and when; else what is left of it is ready now.
bool Link::Fill(Part* part, double* end) {
  std::vector<Span> left;
  for (const auto& [a, b] : idle_) {
    const double begin = std::max(a, part->ready), used = std::min(part->work, b - begin);
    if (used <= 0) {
      left.emplace_back(a, b);
      continue;
    }
    part->work -= used;
    *end = begin + used;
    if (a < begin) left.emplace_back(a, begin);
    if (*end < b) left.emplace_back(*end, b);
  }
  idle_ = std::move(left);
  part->ready = now_;
  return part->work <= 0;
}

// Simulates up to the next part's begin or the ends of the parts that are done next.
void Link::Step() {
  const double fronts = static_cast<double>(active_.size());
  double least = 0, done = 0;
  if (!active_.empty()) {
    least = active_.front().first;
    done = now_ + (least - served_) * fronts;
  }
  if (active_.empty() || (!coming_.empty() && coming_.front().first < done)) {
    const auto [ready, r] = PopEvent(&coming_);
    if (active_.empty()) {
      idle_.emplace_back(now_, ready);
      served_ = 0;
    } else {
      served_ += (ready - now_) / fronts;
    }
    now_ = ready;
    PushEvent(&active_, served_ + cores_[r].parts[cores_[r].front].work, r);
    return;
  }
  now_ = done;
  served_ = least;
  std::vector<size_t> ended;
  while (!active_.empty() && active_.front().first <= least + kRounding) ended.push_back(PopEvent(&active_).second);
  for (const size_t r : ended) Finish(r);
}

// The front of core `r` is done.
void Link::Finish(size_t r) {
  Core& core = cores_[r];
  core.done.push_back(now_);
  if (++core.front < core.parts.size()) {
    Front(r, core.parts[core.front]);
  } else {
    core.parts.clear();
    core.front = 0;
  }
}

void Links::EndItem(std::vector<bool> senders) {
  senders_.push_back(std::move(senders));
  Mark();
}

std::vector<double> Links::DataEnd(size_t item) {
  std::vector<double> ends = SoundEnd(item);
  for (size_t core = 0; core < ends.size(); ++core) {
    if (!senders_[item][core]) ends[core] = 0;
  }
  return ends;
}

SharedLinks::SharedLinks(int64_t columns, int64_t rows, const std::vector<double>& before)
    : rows_(static_cast<size_t>(rows)), sound_(before.size(), 0), sent_(before.size()) {
  for (int64_t c = 0; c < columns; ++c) {
    const auto first = before.begin() + c * rows;
    links_.emplace_back(std::vector<double>(first, first + rows));
  }
}

void SharedLinks::Junk(const double* ready, const double* move) {
  for (size_t core = 0; core < sound_.size(); ++core) {
    if (move[core] > 0) LinkOf(core).Push(core % rows_, ready[core], move[core]);
  }
}

std::vector<double> SharedLinks::JunkInTwo(const double* ready, const double* first, const double* second) {
  Junk(ready, first);
  const Parts parts = Pushed();
  Junk(ready, second);
  return Ended(parts);
}

void SharedLinks::Send(const double* ready, const double* move, const double* rest) {
  for (size_t core = 0; core < sound_.size(); ++core) {
    Link& link = LinkOf(core);
    const size_t r = core % rows_;
    const double data = rest == nullptr ? move[core] : move[core] - rest[core];
    if (data > 0) link.Push(r, ready[core], data);
    if (move[core] > 0) sound_[core] = link.pushed(r);
  }
  if (rest != nullptr) Junk(ready, rest);
  ++count_;
  for (size_t core = 0; core < sound_.size(); ++core) sent_[core].push_back(LinkOf(core).pushed(core % rows_));
}

double SharedLinks::End(size_t core, int64_t message) {
  return LinkOf(core).End(core % rows_, sent_[core][static_cast<size_t>(message)]);
}

void SharedLinks::Mark() {
  all_.push_back(Pushed());
  sounds_.push_back(sound_);
}

SharedLinks::Parts SharedLinks::Pushed() const {
  Parts parts;
  for (size_t core = 0; core < sound_.size(); ++core) parts.push_back(links_[core / rows_].pushed(core % rows_));
  return parts;
}

std::vector<double> SharedLinks::Ended(const Parts& parts) {
  std::vector<double> ends;
  for (size_t core = 0; core < parts.size(); ++core) ends.push_back(LinkOf(core).End(core % rows_, parts[core]));
  return ends;
}

void OwnLinks::Junk(const double* ready, const double* move) {
  for (size_t core = 0; core < now_.size(); ++core) {
    if (move[core] > 0) now_[core] = std::max(now_[core], ready[core]) + move[core];
  }
}

std::vector<double> OwnLinks::JunkInTwo(const double* ready, const double* first, const double* second) {
  Junk(ready, first);
  Times ends = now_;
  Junk(ready, second);
  return ends;
}

void OwnLinks::Send(const double* ready, const double* move, const double* rest) {
  Junk(ready, move);
  ++count_;
  sent_.push_back(now_);
  for (size_t core = 0; core < now_.size(); ++core) {
    if (move[core] > 0) sound_[core] = now_[core] - (rest == nullptr ? 0.0 : rest[core]);
  }
}

void OwnLinks::Mark() {
  all_.push_back(now_);
  sounds_.push_back(sound_);
}

}  // namespace tvm_aie
