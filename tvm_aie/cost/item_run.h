// The kernel calls of one item on all cores: what of the recurrence (cost/message_flow.h) runs inside items.
//
// A core goes on while it is known when all that it waits for is there. Activations and weights arrive when cores have
// released what they overwrite, at whatever time that is, so cores need not advance together. The output link of a
// column gives equal shares to all cores that have something to send, however far each of them is in the item; so its
// events are simulated in order of time, and only when no core can go on: none then sends anything before the earliest
// event of all links, as it waits for that, or for a core that does.
#ifndef TVM_AIE_COST_ITEM_RUN_H_
#define TVM_AIE_COST_ITEM_RUN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cost/flow_load.h"
#include "cost/links.h"
#include "cost/ring_plan.h"
#include "cost/weight_stream.h"

namespace tvm_aie {

// Where the activation messages of an item lie in the rings, and its last output messages.
struct ItemPlan {
  std::vector<RingPlan> a;    // activations, by column
  int64_t first_a;            // in `released`: row of the item's first message
  std::vector<int64_t> last;  // by core: its last output message; -1: none
};

// What an item advances, by column or core: when activation channels are free, when cores are done, O rings.
struct ItemState {
  std::vector<double>* a_free;
  std::vector<double>* core;
  std::vector<int64_t>* o_pos;    // ring positions in slots
  std::vector<double>* released;  // by A message, what the ring held before comes first, and column
  WeightStream* weights;
  Links* out;
};

class ItemRun {
 public:
  ItemRun(const FlowLoad& load, const FlowRings& rings, const ItemPlan& plan, const ItemState& state);

  // All steps of all cores.
  void Run();

 private:
  enum Wait : uint8_t { kNothing, kInput, kWeights, kOutput };
  // Messages of a step, counted in the item; -1: it takes or gives none.
  struct Step {
    int64_t takes_a, takes_w, takes_o, gives_a, gives_w, gives_o;
  };
  struct Core {
    int64_t step = 0;
    int64_t slots = 0;  // so many must have left for it to go on
    Wait wait = kNothing;
  };

  int64_t ColumnOf(size_t core) const { return static_cast<int64_t>(core) / load_.rows; }
  void Advance(size_t core);
  // Raises `t` to when what a step takes is there; if that is not known, says so in `wait`.
  bool Take(size_t core, const Step& step, double* t);
  void Give(size_t core, const Step& step, double t);
  std::optional<double> Input(int64_t column, int64_t message);
  bool TakeOutput(size_t core, int64_t message, double* t);
  bool Room(size_t core, int64_t slots, double* t);
  void Wake(size_t first, size_t last, size_t stride, Wait what);
  bool StepLinks();

  const FlowLoad& load_;
  const FlowRings& rings_;
  const ItemPlan& plan_;
  const ItemState state_;
  std::vector<Step> steps_;
  std::vector<int64_t> a_steps_;   // of each activation message: the step that takes it
  std::vector<Core> cores_;
  size_t left_;                    // cores that are not done
  std::vector<double> arrived_;    // by activation message and column
  std::vector<int64_t> inputs_;    // by column: messages of which that is known
  std::vector<int64_t> releases_;  // by activation message and column: cores that have released it
  std::vector<size_t> ready_;      // cores that may go on, in the order in which they do
  size_t next_ = 0;                // in `ready_`
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_ITEM_RUN_H_
