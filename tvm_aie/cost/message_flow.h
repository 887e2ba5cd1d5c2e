// A recurrence over the messages of items: when activations, weights and outputs move through the array (estimated).
//
// What of python/tvm_aie/cost/estimate.py runs inside items, and the state that goes from one to the next: the
// activation channels, the weight streams, the cores and the output links. In (max, +): a message of the A ring that
// ends at `a` lets a core start at max(a, its weights, a free output message, its own last step); the release at the
// end of the step is what a later message waits for. Barriers, DDR and commands are the caller's.
//
// Estimates decide which program is made, so results are the same on every host: one order of operations, none fused.
#ifndef TVM_AIE_COST_MESSAGE_FLOW_H_
#define TVM_AIE_COST_MESSAGE_FLOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cost/flow_load.h"
#include "cost/item_run.h"
#include "cost/links.h"
#include "cost/ring_plan.h"
#include "cost/weight_stream.h"

namespace tvm_aie {

struct FlowMachine {
  int64_t cols, rows;
  bool o_shared;  // the cores of a column share an output link
  WeightRings weights;
  bool weights_ahead;
};

// How an item begins.
struct FlowStart {
  const double* ready;  // [cols]: barrier, opcodes and loads
  double command;       // when the commands for its first messages are done
  bool lags;            // its barrier does (python/tvm_aie/memory/lag.py)
  bool keeps_a, keeps_o;  // it keeps rings of the item before, with their positions
  bool lag_follows;     // the barrier of the item behind it lags
};

class MessageFlow {
 public:
  MessageFlow(const FlowMachine& machine, const FlowRings& rings);

  // When the opcode message of the next item is there, [cols]. It may go at `begin`; null: behind the activations of
  // the item before. Once per item, before `Run`.
  std::vector<double> Opcodes(const FlowLoad& load, const double* begin);
  // The item: its kernel calls and messages.
  void Run(const FlowLoad& load, const FlowStart& start);

  int64_t items() const { return static_cast<int64_t>(closed_.size() + (out_ ? out_->items() : 0)); }
  // Whether outputs of the last item may still be on their way.
  bool open() const { return static_cast<bool>(out_); }
  // When the data of an item's outputs are complete, [cols].
  std::vector<double> Done(int64_t item);
  // When all that the cores send in an item has ended; 0: not known, as a lagging item follows.
  double Ended(int64_t item) const;
  // The commands of the last item, which no lagging one follows, end at `t`, and with them the item.
  void Delay(double t);

  const std::vector<double>& a_free() const { return a_free_; }  // when each activation channel is free
  const std::vector<double>& core() const { return core_; }      // when each core is done
  // When each core's outputs have ended, up to the last item that no lagging one follows.
  const std::vector<double>& o_end() const { return o_end_; }

 private:
  // Messages that the A rings may still hold when an item begins, oldest first: slots with filler, and when they are
  // released, by message and column. The output links know what O rings hold.
  struct InRing {
    std::vector<int64_t> sizes;
    std::vector<double> gone;

    int64_t count(int64_t width) const { return static_cast<int64_t>(sizes.size()) / width; }
    void Forget(int64_t width, int64_t slots);
  };
  struct Closed {
    std::vector<double> done;
    double ended;
  };
  std::vector<double> MostOf(const std::vector<double>& cores) const;
  void Divide(const FlowLoad& load, const FlowStart& start);
  void Close();
  void Align(const FlowLoad& load);
  ItemPlan Place(const FlowLoad& load);
  void Remember(const FlowLoad& load, const ItemPlan& plan);

  FlowMachine m_;
  FlowRings rings_;
  WeightStream weights_;
  std::vector<double> a_free_, core_, o_end_;
  std::vector<int64_t> a_pos_, o_pos_;  // ring positions in slots, by column and by core
  std::vector<int64_t> head_;           // A slots of the next item's opcode message
  int64_t a_slots_ = 0;                 // of the last activation message
  InRing a_ring_;
  std::vector<double> released_;        // while an item runs, by A message and column; what the ring held comes first
  LinksCopy out_;                       // from an item on until one follows that does not lag
  std::vector<Closed> closed_;          // items that are complete
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_MESSAGE_FLOW_H_
