// When weights arrive in the cores: the part of the recurrence (cost/message_flow.h) that runs ahead across items.
#ifndef TVM_AIE_COST_WEIGHT_STREAM_H_
#define TVM_AIE_COST_WEIGHT_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
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
  WeightStream(int64_t cols, int64_t rows, const WeightRings& rings, bool ahead);

  // The messages of the next item: bytes [rows][messages].
  void Begin(const int64_t* sizes, int64_t messages);
  // When a row's message of the item, counted from 0, is complete in the cores. None: not known, as it waits for
  // messages that not all cores of the row have released yet.
  std::optional<double> Arrive(int64_t row, int64_t message);
  // A core of the row releases the message at `t`. Whether all have now.
  bool Release(int64_t row, int64_t message, double t);
  // The item is done, all messages are released: those that have left the rings are forgotten.
  void End();

 private:
  size_t At(int64_t message, int64_t row) const { return static_cast<size_t>(message * rows_ + row); }
  // Bytes of a row's stream up to the end of a message.
  double EndOf(int64_t row, int64_t message) const {
    return ends_[static_cast<size_t>(row)][static_cast<size_t>(message)];
  }
  // First message of a row whose end is at least `need`; 0 where nothing is needed.
  int64_t Index(int64_t row, double need) const;
  double Loaded(int64_t row, int64_t message);

  int64_t cols_, rows_;
  WeightRings rings_;
  std::vector<std::vector<double>> ends_;   // by row and message: bytes of the stream up to its end
  std::vector<double> released_, arrived_;  // by message and row: when the cores released it, when it was there
  std::vector<int64_t> releases_;           // by message of the item and row: cores that have released it
  std::vector<double> loaded_;              // by row: when the memtile has the last message that is there
  std::vector<int64_t> next_;               // by row: that message
  int64_t first_ = 0;                       // the last message before the item
};

}  // namespace tvm_aie

#endif  // TVM_AIE_COST_WEIGHT_STREAM_H_
