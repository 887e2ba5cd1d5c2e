// Weights of all rows (cost/weight_stream.h).
#include "cost/weight_stream.h"

#include <algorithm>
#include <cmath>

namespace tvm_aie {

WeightStream::WeightStream(int64_t rows, const WeightRings& rings, bool ahead)
    : rows_(rows),
      rings_(rings),
      ends_(static_cast<size_t>(rows), {0.0}),
      released_(static_cast<size_t>(rows), 0.0),
      arrived_(static_cast<size_t>(rows), ahead ? 0.0 - rings.core * rings.core_cycles : 0.0),
      loaded_(static_cast<size_t>(rows), ahead ? 0.0 - (rings.core + rings.memtile) * rings.memtile_cycles : 0.0) {}

void WeightStream::Begin(const int64_t* sizes, int64_t messages) {
  first_ = next_ = static_cast<int64_t>(ends_[0].size()) - 1;
  for (int64_t r = 0; r < rows_; ++r) {
    auto& ends = ends_[static_cast<size_t>(r)];
    const double before = ends.back();
    double sum = 0;
    for (int64_t k = 0; k < messages; ++k) {
      sum += static_cast<double>(sizes[r * messages + k]);
      ends.push_back(before + sum);
    }
  }
  released_.resize(At(first_ + 1 + messages, 0), 0.0);
  arrived_.resize(At(first_ + 1 + messages, 0), 0.0);
  terms_.clear();
  for (int64_t k = 0; k < messages; ++k) {
    for (int64_t r = 0; r < rows_; ++r) {
      terms_.push_back(TermOf(r, first_ + 1 + k, static_cast<double>(sizes[r * messages + k])));
    }
  }
}

WeightStream::Term WeightStream::TermOf(int64_t row, int64_t message, double size) const {
  const auto& ends = ends_[static_cast<size_t>(row)];
  const auto end_of = [&](int64_t m) { return ends[static_cast<size_t>(std::max<int64_t>(m, 0))]; };
  const double end = end_of(message), slots = std::ceil(end / rings_.slot);
  const double filled = slots * rings_.slot, filled_before = std::ceil(end_of(message - 1) / rings_.slot) * rings_.slot;
  Term term;
  term.move = size * rings_.core_cycles;
  term.into_memtile = (filled - filled_before) * rings_.memtile_cycles;
  term.last_slot = (end - (slots - 1) * rings_.slot) * rings_.core_cycles;
  const double need = end - rings_.core;
  const int64_t at = Index(row, need);
  for (const int64_t back : {0, 1}) {
    const int64_t i = std::max<int64_t>(at - back, 0);
    const double rest = std::min(need - end_of(i - 1), size);
    term.after[back] = i;
    term.rest[back] = (i > 0 && need > 0 ? std::max(rest, 0.0) : 0.0) * rings_.core_cycles;
  }
  const double gone = filled - rings_.memtile;
  const int64_t left = Index(row, gone);
  term.early = (end_of(left) - gone) * rings_.core_cycles;
  term.blocked = gone > 0;
  term.left = std::min(left, message - 1);  // a message is not there before those in front of it
  return term;
}

int64_t WeightStream::Index(int64_t row, double need) const {
  if (!(need > 0)) return 0;
  const auto& ends = ends_[static_cast<size_t>(row)];
  const auto at = std::lower_bound(ends.begin(), ends.end(), need) - ends.begin();
  return std::min(static_cast<int64_t>(at), static_cast<int64_t>(ends.size()) - 1);
}

const double* WeightStream::Arrive() {
  const int64_t before = next_++;
  for (int64_t r = 0; r < rows_; ++r) {
    const Term& term = terms_[At(before - first_, r)];
    double& loaded = loaded_[static_cast<size_t>(r)];
    loaded += term.into_memtile;
    if (term.blocked) {
      loaded = std::max(loaded, (arrived_[At(term.left, r)] - term.early) + rings_.slot * rings_.memtile_cycles);
    }
    double t = std::max(arrived_[At(before, r)] + term.move, loaded + term.last_slot);
    for (const int back : {0, 1}) t = std::max(t, released_[At(term.after[back], r)] + term.rest[back]);
    arrived_[At(next_, r)] = t;
  }
  return &arrived_[At(next_, 0)];
}

void WeightStream::Release(const double* t) { std::copy(t, t + rows_, released_.begin() + next_ * rows_); }

void WeightStream::End() {
  const double kept = rings_.core + rings_.memtile + rings_.slot;
  int64_t first = 0;
  for (const auto& ends : ends_) {
    const double end = ends[static_cast<size_t>(next_)];
    int64_t mine = 0;
    while (end - ends[static_cast<size_t>(mine)] > kept) ++mine;
    first = std::max(first, mine);
  }
  for (auto& ends : ends_) {
    ends.resize(static_cast<size_t>(next_ + 1));
    ends.erase(ends.begin(), ends.begin() + first);
  }
  for (auto* times : {&released_, &arrived_}) {
    times->resize(At(next_ + 1, 0));
    times->erase(times->begin(), times->begin() + first * rows_);
  }
  terms_.clear();
  next_ -= first;
  first_ = next_;
}

}  // namespace tvm_aie
