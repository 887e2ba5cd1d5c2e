// What an item puts on the machine, as the recurrence over messages (cost/message_flow.h) reads it.
#ifndef TVM_AIE_COST_FLOW_LOAD_H_
#define TVM_AIE_COST_FLOW_LOAD_H_

#include <cstdint>
#include <optional>

namespace tvm_aie {

// Rings of core memory as divided for an item: bytes of an A slot, slots, cycles of a slot.
struct FlowRings {
  int64_t a_bytes, a_slots, o_slots;
  double a_slot, o_slot;
};

// An item (python/tvm_aie/cost/item_load.py, `ItemLoad`). Of each ring a core holds one message at a time, and the item
// releases all that it acquires.
struct FlowLoad {
  // Of a step: whether it acquires a message of each ring before its kernel, or releases one behind it.
  enum Lock { kAcquireA, kAcquireW, kAcquireO, kReleaseA, kReleaseW, kReleaseO, kLocks };
  int64_t cols, rows;
  int64_t steps, inputs, weights, outputs;  // kernel calls, messages of each kind
  const uint8_t* locks;     // [steps][kLocks]
  const double* kernel;     // [steps][cols][rows]: cycles
  const double* a_move;     // [steps][cols]: cycles of the activation message, without filler
  const int64_t* a_sizes;   // [inputs][cols]: slots
  const int64_t* w_bytes;   // [rows][weights]
  const int64_t* o_sizes;   // [outputs][cols][rows]: slots
  const double* o_rest;     // [cols][rows]: filler at the end of each core's last output message, in slots
  const int64_t* head;      // [cols]: words of the opcode message
  const int64_t* a_counts;  // [cols]: activation messages
  const int64_t* kept;      // [cols]: slots of input before the first message of `a_slots`
  int64_t a_slots, o_slots;  // of an activation message, of the largest output message
  bool aligned;              // ring positions are multiples of a message
  std::optional<FlowRings> rings;  // that the item lays out; none: it has those of the item before

  bool Has(int64_t step, Lock lock) const { return locks[step * kLocks + lock] != 0; }
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_FLOW_LOAD_H_
