// Where messages lie in a ring of slots, and which releases they wait for (docs/program.md section 4).
#ifndef TVM_AIE_COST_RING_PLAN_H_
#define TVM_AIE_COST_RING_PLAN_H_

#include <array>
#include <cstdint>
#include <vector>

namespace tvm_aie {

struct RingPlan {
  struct Message {
    int64_t filler;  // slots before it
    int64_t needs;   // the message whose release it needs, counted from the first of those before; -1: none
    // Slots at its end that have no room before that release, and before the release of the message before that one.
    std::array<int64_t, 2> late;
  };
  std::vector<Message> messages;
  int64_t position;  // of the ring after the last
};

// Places messages of these sizes (0: no message) from `position` on; one that does not fit begins at 0. `before`:
// slots, with their filler, of messages that may still be in the ring, the last one in front of `position`.
RingPlan PlanRing(int64_t position, const std::vector<int64_t>& sizes, int64_t slots,
                  const std::vector<int64_t>& before = {});

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_RING_PLAN_H_
