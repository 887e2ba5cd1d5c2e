// Output links (cost/links.h).
#include "cost/links.h"

#include <algorithm>
#include <functional>
#include <limits>
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
  for (size_t r = 0; r < before.size(); ++r) cores_[r].done.emplace_back(0.0, before[r]);
}

void Link::Push(size_t r, double ready, double work, double last) {
  Core& core = cores_[r];
  Part part{ready, work, last};
  if (core.front == core.parts.size()) {
    part.ready = std::max(ready, core.done.back().second);
    if (part.ready < now_) {
      double end = now_;
      if (Fill(&part, &end)) {
        core.done.emplace_back(last, end);
        return;
      }
    }
    Front(r, part);
  }
  core.parts.push_back(part);
}

std::optional<double> Link::Known(size_t r, double slots) const {
  const auto& done = cores_[r].done;
  if (done.back().first < slots) return std::nullopt;
  const auto before = [](const Span& part, double at) { return part.first < at; };
  return std::lower_bound(done.begin(), done.end(), slots, before)->second;
}

double Link::End(size_t r, double slots) {
  while (cores_[r].done.back().first < slots) Step();
  return *Known(r, slots);
}

// The part with these slots becomes two, the first of which ends with them, or with what has left already.
void Link::Watch(size_t r, double slots) {
  Core& core = cores_[r];
  double first = core.done.back().first;
  const auto front = core.parts.begin() + static_cast<ptrdiff_t>(core.front);
  auto part = front;
  for (; part->last < slots; ++part) first = part->last;
  if (part->last == slots) return;
  const double each = part->work / (part->last - first);
  double share = each * (part->last - slots);
  if (part == front) {
    const auto of_core = [r](const Event& event) { return event.second == r; };
    const auto event = std::find_if(active_.begin(), active_.end(), of_core);
    if (event != active_.end()) {
      const double left = event->first - served_;
      if (share >= left) {  // these slots have left: that is the next event, now
        slots = std::max(slots, part->last - left / each);
        share = left;
      }
      if (!(slots < part->last)) return;  // all have
      event->first = std::max(event->first - share, served_);
      std::make_heap(active_.begin(), active_.end(), std::greater<>());
    }
  }
  const Part before{part->ready, part->work - share, slots};
  part->work = share;
  core.parts.insert(part, before);
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

// When the parts end that are done next.
double Link::NextEnd() const { return now_ + (active_.front().first - served_) * static_cast<double>(active_.size()); }

double Link::Next() const {
  const double begin = coming_.empty() ? std::numeric_limits<double>::infinity() : coming_.front().first;
  return active_.empty() ? begin : std::min(begin, NextEnd());
}

void Link::Step() {
  const bool idle = active_.empty();
  const double done = idle ? 0 : NextEnd();
  if (idle || (!coming_.empty() && coming_.front().first < done)) {
    const auto [ready, r] = PopEvent(&coming_);
    if (idle) {
      idle_.emplace_back(now_, ready);
      served_ = 0;
    } else {
      served_ += (ready - now_) / static_cast<double>(active_.size());
    }
    now_ = ready;
    PushEvent(&active_, served_ + cores_[r].parts[cores_[r].front].work, r);
    return;
  }
  now_ = done;
  served_ = active_.front().first;
  std::vector<size_t> ended;
  while (!active_.empty() && active_.front().first <= served_ + kRounding) ended.push_back(PopEvent(&active_).second);
  for (const size_t r : ended) Finish(r);
}

// The front of core `r` is done.
void Link::Finish(size_t r) {
  Core& core = cores_[r];
  core.done.emplace_back(core.parts[core.front].last, now_);
  if (++core.front < core.parts.size()) {
    Front(r, core.parts[core.front]);
  } else {
    core.parts.clear();
    core.front = 0;
  }
}

void Links::Send(size_t core, double ready, int64_t slots, double slot, double rest) {
  slots_[core] += slots;
  const auto last = static_cast<double>(slots_[core]);
  sound_[core] = last - rest;
  const double filler = sound_[core] < last ? rest * slot : 0, data = static_cast<double>(slots) * slot - filler;
  if (data > 0) Push(core, ready, data, sound_[core]);
  if (filler > 0) Push(core, ready, filler, last);
}

void Links::EndItem(std::vector<bool> senders) {
  senders_.push_back(std::move(senders));
  all_.emplace_back(slots_.begin(), slots_.end());
  sounds_.push_back(sound_);
}

std::vector<double> Links::DataEnd(size_t item) {
  std::vector<double> ends = Ended(sounds_[item]);
  for (size_t core = 0; core < ends.size(); ++core) {
    if (!senders_[item][core]) ends[core] = 0;
  }
  return ends;
}

std::vector<double> Links::Ended(const Marks& marks) {
  std::vector<double> ends;
  for (size_t core = 0; core < marks.size(); ++core) ends.push_back(End(core, marks[core]));
  return ends;
}

SharedLinks::SharedLinks(int64_t columns, int64_t rows, const std::vector<double>& before)
    : Links(before.size()), rows_(static_cast<size_t>(rows)) {
  for (int64_t c = 0; c < columns; ++c) {
    const auto first = before.begin() + c * rows;
    links_.emplace_back(std::vector<double>(first, first + rows));
  }
}

std::pair<size_t, size_t> SharedLinks::Step() {
  size_t least = links_.size();
  double at = std::numeric_limits<double>::infinity();
  for (size_t c = 0; c < links_.size(); ++c) {
    const double next = links_[c].Next();
    if (next < at) {
      at = next;
      least = c;
    }
  }
  if (least == links_.size()) return {0, 0};
  links_[least].Step();
  return {least * rows_, (least + 1) * rows_};
}

std::optional<double> SharedLinks::Await(size_t core, int64_t slots) {
  const auto count = static_cast<double>(slots);
  const auto known = Known(core, count);
  if (!known) links_[core / rows_].Watch(core % rows_, count);
  return known;
}

OwnLinks::OwnLinks(const std::vector<double>& before) : Links(before.size()) {
  for (const double end : before) sent_.push_back({{0.0, end, 0.0}});
}

void OwnLinks::Push(size_t core, double ready, double work, double last) {
  const Sent before = sent_[core].back();
  sent_[core].push_back({last, std::max(before.end, ready) + work, work / (last - before.last)});
}

std::optional<double> OwnLinks::Known(size_t core, double slots) const {
  const auto before = [](const Sent& part, double at) { return part.last < at; };
  const auto part = std::lower_bound(sent_[core].begin(), sent_[core].end(), slots, before);
  return part->last > slots ? part->end - (part->last - slots) * part->slot : part->end;
}

}  // namespace tvm_aie
