// Estimated time of the command processor and of the items, by which commands are ordered.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tvm_aie/schedule.h"

namespace tvm_aie {

// The place in an item up to which all is complete when its barrier is passed.
inline constexpr double kBarrier = -0.55;

// It decides what is worth waiting for. An item runs when the one before is complete and its tasks are pushed.
class ScheduleClock {
 public:
  explicit ScheduleClock(const ScheduleInput& in) : in_(in) {}

  double now() const { return now_; }
  double end() const { return std::max(now_, done_.empty() ? 0.0 : done_.back()); }

  void Write() { now_ += in_.bd_write; }
  void Push(bool idle) { now_ += idle ? in_.push_idle : in_.push_queued; }
  void SetLock() { now_ += in_.lock_write; }

  // All tasks of the first `items` items are pushed.
  void Pushed(int64_t items) {
    const int64_t most = std::min(items, static_cast<int64_t>(in_.body.size()));
    while (static_cast<int64_t>(done_.size()) < most) {
      const double body = in_.body[done_.size()];
      const double before = done_.empty() ? 0.0 : done_.back();
      done_.push_back(std::max(before + in_.margin * body, now_ + std::min(body, in_.last_task_cycles)));
    }
  }

  // The processor waits for a task that ends at `end`.
  void Wait(const Position& end) {
    const int64_t item = std::min(end.item, static_cast<int64_t>(done_.size()) - 1);
    if (item >= 0 && end.place >= 0) now_ = std::max(now_, done_[static_cast<size_t>(item)]);
  }

  // Whether the array has long been waiting for what is not pushed of `item`.
  bool Idle(int64_t item) const {
    return 0 < item && item <= static_cast<int64_t>(done_.size()) &&
           done_[static_cast<size_t>(item - 1)] + in_.late_cycles <= now_;
  }

  // The position up to which all tasks are complete by now.
  Position Complete() {
    while (complete_ < done_.size() && done_[complete_] <= now_) ++complete_;
    return {static_cast<int64_t>(complete_), kBarrier};
  }

 private:
  const ScheduleInput& in_;
  double now_ = 0;
  std::vector<double> done_;
  size_t complete_ = 0;
};

}  // namespace tvm_aie
