// Shared capacities: every active flow of a pool gets an equal share, at most its own rate. Shares change only
// when a segment starts or ends, so between two events every flow moves at a constant rate.
#include <algorithm>

#include "emulator/machine.h"

namespace tvm_aie {

void Machine::AdvancePool(Pool& pool, int64_t t) {
  const int64_t dt = t - pool.updated;
  pool.updated = t;
  if (dt == 0) return;
  for (const int32_t i : pool.active) {
    FlowState& f = flows_[static_cast<size_t>(i)];
    f.remaining_fx -= f.share_fx * dt;
  }
}

void Machine::JoinPool(int flow, int64_t t) {
  FlowState& f = flows_[static_cast<size_t>(flow)];
  Pool& pool = pools_[static_cast<size_t>(f.pool)];
  AdvancePool(pool, t);
  f.remaining_fx = (f.n * 4) << kFixedBits;
  f.share_fx = 0;
  pool.active.push_back(flow);
  if (pool.column_flows[static_cast<size_t>(f.column)]++ == 0) ++pool.columns;
  if (!pool.dirty) {
    pool.dirty = true;
    dirty_pools_.push_back(f.pool);
  }
}

// Called once per cycle in which the set changed, after all its changes.
void Machine::RatePool(int index, int64_t t) {
  Pool& pool = pools_[static_cast<size_t>(index)];
  pool.dirty = false;
  pool.has_event = false;
  if (pool.active.empty()) return;
  const int64_t capacity =
      index == 0 ? program_.device.ddr_fx[static_cast<size_t>(pool.columns - 1)] : pool.capacity_fx;
  const int64_t share = capacity / static_cast<int64_t>(pool.active.size());
  int64_t next = INT64_MAX;
  for (const int32_t i : pool.active) {
    FlowState& f = flows_[static_cast<size_t>(i)];
    f.share_fx = f.rate_fx * 4;
    if (capacity != 0) f.share_fx = std::max<int64_t>(1, std::min(f.share_fx, share));
    next = std::min(next, (f.remaining_fx + f.share_fx - 1) / f.share_fx);
  }
  pool.event = events_.Push(t + next, kPoolNext, index);
  pool.has_event = true;
}

void Machine::PoolNext(int index, int64_t t) {
  Pool& pool = pools_[static_cast<size_t>(index)];
  AdvancePool(pool, t);
  pool.has_event = false;
  if (!pool.dirty) {
    pool.dirty = true;
    dirty_pools_.push_back(index);
  }
  leaving_.clear();
  size_t kept = 0;
  for (const int32_t i : pool.active) {
    FlowState& f = flows_[static_cast<size_t>(i)];
    if (f.remaining_fx > 0) {
      pool.active[kept++] = i;
      continue;
    }
    if (--pool.column_flows[static_cast<size_t>(f.column)] == 0) --pool.columns;
    leaving_.push_back(i);
  }
  pool.active.resize(kept);
  // EndSegment may start further segments and so join pools, but it never calls PoolNext: `leaving_` is stable.
  for (const int32_t i : leaving_) EndSegment(i, t);
}

}  // namespace tvm_aie
