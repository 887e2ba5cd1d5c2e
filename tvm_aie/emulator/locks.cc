// Counting locks: acquire-greater-equal waits for value >= v and subtracts v, release adds. First come, first served.
#include "emulator/machine.h"

namespace tvm_aie {

bool Machine::Acquire(int agent, int lock, int value, int64_t t) {
  Lock& l = locks_[static_cast<size_t>(lock)];
  if (l.head < 0 && l.value >= value) {
    l.value -= value;
    return true;
  }
  waiters_[static_cast<size_t>(agent)] = {-1, lock, value, t};
  if (l.head < 0) {
    l.head = agent;
  } else {
    waiters_[static_cast<size_t>(l.tail)].next = agent;
  }
  l.tail = agent;
  return false;
}

void Machine::Release(int lock, int value, int64_t t) {
  Lock& l = locks_[static_cast<size_t>(lock)];
  l.value += value;
  while (l.head >= 0) {
    const int agent = l.head;
    const Waiter& w = waiters_[static_cast<size_t>(agent)];
    if (l.value < w.value) break;
    l.value -= w.value;
    l.head = w.next;
    if (agent < n_channels()) {
      Granted(agent, t);
    } else {
      CoreGranted(agent - n_channels(), t);
    }
  }
  if (l.value > kMaxLockValue) {
    int tile = 0;
    while (lock >= program_.tiles[static_cast<size_t>(tile)].lock_base +
                       program_.tiles[static_cast<size_t>(tile)].n_locks) {
      ++tile;
    }
    Fault("lock overflow: ", LockName(program_, lock), " of ", TileName(program_, tile), " rises to ", l.value,
          " at cycle ", t, ", limit ", kMaxLockValue);
  }
}

}  // namespace tvm_aie
