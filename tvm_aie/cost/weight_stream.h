// When weights arrive in the cores: the part of the recurrence (cost/message_flow.h) that runs ahead across items.
#ifndef TVM_AIE_COST_WEIGHT_STREAM_H_
#define TVM_AIE_COST_WEIGHT_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tvm_aie {

// Bytes of a row's rings in a core and in a memtile, and of a memtile's slot; cycles of a byte into either.
struct WeightRings {
  double core, memtile, slot;
  double core_cycles, memtile_cycles;
};

// Arrival of the weight messages of all rows in the core rings, in stream order. Between items only those are kept
// whose bytes may still lie in a ring. Byte e of a row may enter the core ring (W bytes) when byte e - W is released by
// the slowest column, and the memtile ring likewise when it has left for the cores.
class WeightStream {
 public:
  // `ahead`: the rings are full, as the stream has run on since the inference before; else nothing has been sent.
  WeightStream(int64_t rows, const WeightRings& rings, bool ahead);

  // The messages of the next item: bytes [rows][messages].
  void Begin(const int64_t* sizes, int64_t messages);
  // When the next message of each row is complete in the cores: [rows].
  const double* Arrive();
  // The message that arrived last is released by the cores of each row at `t`: [rows].
  void Release(const double* t);
  // The item is done: messages that have left the rings are forgotten.
  void End();

 private:
  // What the arrival of a message needs to know of its row.
  struct Term {
    double move, into_memtile, last_slot;  // cycles: of the message, of its new memtile slots, of its last one of these
    // The core ring: the two releases that can hold the message up, and the time that it needs after each.
    int64_t after[2];
    double rest[2];
    // The memtile ring: the message with which what it overwrites has left, and how long before that message's end.
    int64_t left;
    double early;
    bool blocked;
  };

  size_t At(int64_t message, int64_t row) const { return static_cast<size_t>(message * rows_ + row); }
  // First message of a row whose end is at least `need`; 0 where nothing is needed.
  int64_t Index(int64_t row, double need) const;
  Term TermOf(int64_t row, int64_t message, double size) const;

  int64_t rows_;
  WeightRings rings_;
  std::vector<std::vector<double>> ends_;  // by row and message: bytes of the stream up to its end
  std::vector<double> released_, arrived_;  // by message and row: when the cores released it, when it was there
  std::vector<double> loaded_;              // by row
  std::vector<Term> terms_;                 // of the item's messages, by message and row
  int64_t first_ = 0, next_ = 0;            // the last message before the item, the last one that is there
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_WEIGHT_STREAM_H_
