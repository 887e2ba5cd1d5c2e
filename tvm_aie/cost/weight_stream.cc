// Weights of all rows (cost/weight_stream.h).
#include "cost/weight_stream.h"

#include <algorithm>
#include <cmath>

namespace tvm_aie {

WeightStream::WeightStream(int64_t cols, int64_t rows, const WeightRings& rings, bool ahead)
    : cols_(cols),
      rows_(rows),
      rings_(rings),
      ends_(static_cast<size_t>(rows), {0.0}),
      released_(static_cast<size_t>(rows), 0.0),
      arrived_(static_cast<size_t>(rows), ahead ? 0.0 - rings.core * rings.core_cycles : 0.0),
      loaded_(static_cast<size_t>(rows), ahead ? 0.0 - (rings.core + rings.memtile) * rings.memtile_cycles : 0.0),
      next_(static_cast<size_t>(rows), 0) {}

void WeightStream::Begin(const int64_t* sizes, int64_t messages) {
  first_ = static_cast<int64_t>(ends_[0].size()) - 1;
  for (int64_t r = 0; r < rows_; ++r) {
    auto& ends = ends_[static_cast<size_t>(r)];
    const double before = ends.back();
    double sum = 0;
    for (int64_t k = 0; k < messages; ++k) {
      sum += static_cast<double>(sizes[r * messages + k]);
      ends.push_back(before + sum);
    }
  }
  for (auto* times : {&released_, &arrived_}) times->resize(At(first_ + 1 + messages, 0), 0.0);
  releases_.assign(At(messages, 0), 0);
}

int64_t WeightStream::Index(int64_t row, double need) const {
  if (!(need > 0)) return 0;
  const auto& ends = ends_[static_cast<size_t>(row)];
  const auto at = std::lower_bound(ends.begin(), ends.end(), need) - ends.begin();
  return std::min(static_cast<int64_t>(at), static_cast<int64_t>(ends.size()) - 1);
}

std::optional<double> WeightStream::Arrive(int64_t row, int64_t message) {
  const int64_t wanted = first_ + 1 + message;
  int64_t& next = next_[static_cast<size_t>(row)];
  while (next < wanted) {
    const double begin = EndOf(row, next), end = EndOf(row, next + 1), need = end - rings_.core;
    // What it overwrites in the core ring, message by message: behind each release the rest of its own bytes moves.
    const int64_t last = Index(row, need);
    if (last > first_ && releases_[At(last - first_ - 1, row)] < cols_) return std::nullopt;
    const double move = (end - begin) * rings_.core_cycles, loaded = Loaded(row, next + 1);
    double t = std::max(arrived_[At(next, row)] + move, loaded);
    for (int64_t i = Index(row, begin - rings_.core) + 1; i <= last; ++i) {
      t = std::max(t, released_[At(i, row)] + (need - EndOf(row, i - 1)) * rings_.core_cycles);
    }
    arrived_[At(++next, row)] = t;
  }
  return arrived_[At(wanted, row)];
}

// When the memtile's last slot of a message, which comes next, has arrived there and left for the cores.
double WeightStream::Loaded(int64_t row, int64_t message) {
  const double end = EndOf(row, message), slots = std::ceil(end / rings_.slot);
  const double filled = slots * rings_.slot, before = std::ceil(EndOf(row, message - 1) / rings_.slot) * rings_.slot;
  double& loaded = loaded_[static_cast<size_t>(row)];
  loaded += (filled - before) * rings_.memtile_cycles;
  const double gone = filled - rings_.memtile;  // bytes that must have left
  if (gone > 0) {
    const int64_t index = Index(row, gone);
    const int64_t left = std::min(index, message - 1);  // a message is not there before those in front of it
    const double early = (EndOf(row, index) - gone) * rings_.core_cycles;
    loaded = std::max(loaded, (arrived_[At(left, row)] - early) + rings_.slot * rings_.memtile_cycles);
  }
  return loaded + (end - (slots - 1) * rings_.slot) * rings_.core_cycles;
}

bool WeightStream::Release(int64_t row, int64_t message, double t) {
  double& released = released_[At(first_ + 1 + message, row)];
  released = std::max(released, t);
  return ++releases_[At(message, row)] == cols_;
}

void WeightStream::End() {
  const int64_t last = next_[0];  // the same in all rows
  const double kept = rings_.core + rings_.memtile + rings_.slot;
  int64_t first = last;
  for (const auto& ends : ends_) {
    const double end = ends[static_cast<size_t>(last)];
    int64_t mine = 0;
    while (end - ends[static_cast<size_t>(mine)] > kept) ++mine;
    first = std::min(first, mine);
  }
  for (auto& ends : ends_) {
    ends.resize(static_cast<size_t>(last + 1));
    ends.erase(ends.begin(), ends.begin() + first);
  }
  for (auto* times : {&released_, &arrived_}) {
    times->resize(At(last + 1, 0));
    times->erase(times->begin(), times->begin() + first * rows_);
  }
  std::fill(next_.begin(), next_.end(), last - first);
}

}  // namespace tvm_aie
