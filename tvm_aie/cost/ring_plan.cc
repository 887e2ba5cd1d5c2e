// The messages of a ring (cost/ring_plan.h).
#include "cost/ring_plan.h"

#include <algorithm>

namespace tvm_aie {

RingPlan PlanRing(int64_t position, const std::vector<int64_t>& sizes, int64_t slots,
                  const std::vector<int64_t>& before) {
  RingPlan plan;
  plan.messages.reserve(sizes.size());
  std::vector<int64_t> filler(before.size(), 0), ends;
  filler.reserve(before.size() + sizes.size());
  ends.reserve(before.size() + sizes.size());
  int64_t end = 0, freed = -1;
  for (const int64_t size : before) ends.push_back(end += size);
  // Slots free again once a message is released. Filler counts with the message before it: the core drops it when it
  // asks for the next one.
  const auto gone = [&](int64_t message) {
    return (message >= 0 ? ends[static_cast<size_t>(message)] : 0) + filler[static_cast<size_t>(message + 1)];
  };
  for (const int64_t size : sizes) {
    const int64_t skip = position + size > slots ? slots - position : 0;
    position = ((skip > 0 ? 0 : position) + size) % slots;
    end += skip + size;
    filler.push_back(skip);
    ends.push_back(end);
    while (freed + 2 < static_cast<int64_t>(ends.size()) && gone(freed) < end - slots) ++freed;
    RingPlan::Message message{skip, freed, {0, 0}};
    for (const int64_t back : {1, 2}) {
      const int64_t waiting = freed >= back - 1 ? end - slots - gone(freed - back) : 0;
      message.late[static_cast<size_t>(back - 1)] = std::min(waiting, size);
    }
    plan.messages.push_back(message);
  }
  plan.position = position;
  return plan;
}

}  // namespace tvm_aie
