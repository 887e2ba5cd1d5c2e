// The recurrence over messages as TVM-FFI objects: tvm_aie.cost.MessageFlow, with what items put on it.
#include "cost/message_flow.h"

#include <tvm/ffi/object.h>
#include <tvm/ffi/reflection/registry.h>

#include <algorithm>
#include <initializer_list>

#include "runtime/session.h"
#include "runtime/tensors.h"

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

constexpr int64_t kMost = int64_t{1} << 24;  // messages, slots, bytes of one message, words of opcodes
constexpr double kMostCycles = 1e15;

template <typename T>
const T* Values(const ffi::Tensor& tensor, uint8_t code, std::initializer_list<int64_t> shape, const char* what) {
  return TensorValues<T>(tensor, code, shape, "message flow", what);
}

const double* Cycles(const ffi::Tensor& tensor, std::initializer_list<int64_t> shape, const char* what) {
  const auto* values = Values<double>(tensor, kDLFloat, shape, what);
  const bool fit = std::all_of(values, values + tensor.numel(), [](double v) { return v >= 0 && v <= kMostCycles; });
  if (!fit) TVM_FFI_THROW(ValueError) << "message flow: " << what << " is not in 0.." << kMostCycles;
  return values;
}

const int64_t* Counts(const ffi::Tensor& tensor, std::initializer_list<int64_t> shape, const char* what) {
  const auto* values = Values<int64_t>(tensor, kDLInt, shape, what);
  const bool fit = std::all_of(values, values + tensor.numel(), [](int64_t v) { return v >= 0 && v <= kMost; });
  if (!fit) TVM_FFI_THROW(ValueError) << "message flow: " << what << " is not in 0.." << kMost;
  return values;
}

void CheckPositive(std::initializer_list<int64_t> values, const char* what) {
  for (const int64_t value : values) {
    if (value < 1 || value > kMost) TVM_FFI_THROW(ValueError) << "message flow: " << what << " of " << value;
  }
}

// `ints`: bytes of an A slot, A slots, O slots; `reals`: cycles of an A slot, of an O slot.
FlowRings Rings(const ffi::Tensor& ints, const ffi::Tensor& reals) {
  const int64_t* n = Counts(ints, {3}, "ring sizes");
  const double* t = Cycles(reals, {2}, "slot times");
  CheckPositive({n[0], n[1], n[2]}, "a ring");
  return {n[0], n[1], n[2], t[0], t[1]};
}

ffi::Tensor Tensor(const std::vector<double>& values, const std::vector<int64_t>& shape) {
  ffi::Tensor out = HostTensor(shape, {kDLFloat, 64, 1});
  std::copy(values.begin(), values.end(), static_cast<double*>(out.data_ptr()));
  return out;
}

// What one item puts on the machine, with the tensors that hold it.
class FlowLoadObj : public ffi::Object {
 public:
  // `tensors`: arrays of `FlowLoad`: locks, kernel, a_move, a_sizes, w_bytes, o_sizes, o_rest; rows of head, a_counts
  // and kept. `rings`: none, or the two of `Rings`.
  FlowLoadObj(ffi::Array<ffi::Tensor> tensors, int64_t a_slots, int64_t o_slots, bool aligned,
              ffi::Array<ffi::Tensor> rings)
      : tensors_(std::move(tensors)) {
    if (tensors_.size() != 8) TVM_FFI_THROW(ValueError) << "message flow: an item has eight tensors";
    if (tensors_[0].ndim() != 2 || tensors_[1].ndim() != 3) {
      TVM_FFI_THROW(ValueError) << "message flow: wrong type or shape of locks or kernels";
    }
    FlowLoad& load = load_;
    load.steps = tensors_[1].size(0);
    load.cols = tensors_[1].size(1);
    load.rows = tensors_[1].size(2);
    load.locks = Values<uint8_t>(tensors_[0], kDLUInt, {load.steps, FlowLoad::kLocks}, "locks");
    load.kernel = Cycles(tensors_[1], {load.steps, load.cols, load.rows}, "kernels");
    load.a_move = Cycles(tensors_[2], {load.steps, load.cols}, "activations' cycles");
    load.a_sizes = Counts(tensors_[3], {-1, load.cols}, "activations");
    load.w_bytes = Counts(tensors_[4], {load.rows, -1}, "weights");
    load.o_sizes = Counts(tensors_[5], {-1, load.cols, load.rows}, "outputs");
    load.o_rest = Cycles(tensors_[6], {load.cols, load.rows}, "outputs' filler");
    load.head = Counts(tensors_[7], {3, load.cols}, "columns");
    load.a_counts = load.head + load.cols;
    load.kept = load.a_counts + load.cols;
    load.inputs = tensors_[3].size(0);
    load.weights = tensors_[4].size(1);
    load.outputs = tensors_[5].size(0);
    CheckPositive({load.cols, load.rows}, "an array");
    CheckPositive({a_slots, o_slots}, "a message");
    load.a_slots = a_slots;
    load.o_slots = o_slots;
    load.aligned = aligned;
    if (!rings.empty()) {
      if (rings.size() != 2) TVM_FFI_THROW(ValueError) << "message flow: rings have two tensors";
      load.rings = Rings(rings[0], rings[1]);
    }
    CheckLocks();
  }

  const FlowLoad& load() const { return load_; }

  TVM_FFI_DECLARE_OBJECT_INFO_FINAL("tvm_aie.cost.FlowLoad", FlowLoadObj, ffi::Object);

 private:
  // Steps take and release the messages of each ring one by one, and all that there are.
  void CheckLocks() const {
    constexpr int kRings = 3;
    const int64_t most[kRings] = {load_.inputs, load_.weights, load_.outputs};
    int64_t taken[kRings] = {}, given[kRings] = {};
    bool fit = true;
    for (int64_t step = 0; step < load_.steps; ++step) {
      for (int ring = 0; ring < kRings; ++ring) {
        taken[ring] += load_.Has(step, static_cast<FlowLoad::Lock>(FlowLoad::kAcquireA + ring)) ? 1 : 0;
        fit = fit && taken[ring] <= given[ring] + 1;
        given[ring] += load_.Has(step, static_cast<FlowLoad::Lock>(FlowLoad::kReleaseA + ring)) ? 1 : 0;
        fit = fit && given[ring] <= taken[ring];
      }
    }
    for (int ring = 0; ring < kRings; ++ring) fit = fit && given[ring] == most[ring] && taken[ring] == most[ring];
    if (!fit) TVM_FFI_THROW(ValueError) << "message flow: steps without messages, or messages without steps";
  }

  ffi::Array<ffi::Tensor> tensors_;
  FlowLoad load_{};
};

class FlowLoadRef : public ffi::ObjectRef {
 public:
  explicit FlowLoadRef(ffi::ObjectPtr<FlowLoadObj> load) : ffi::ObjectRef(std::move(load)) {}
  TVM_FFI_DEFINE_OBJECT_REF_METHODS_NOTNULLABLE(FlowLoadRef, ffi::ObjectRef, FlowLoadObj);
};

class MessageFlowObj : public ffi::Object {
 public:
  MessageFlowObj(const FlowMachine& machine, const FlowRings& rings)
      : cols_(machine.cols), rows_(machine.rows), flow_(machine, rings) {}
  MessageFlowObj(const MessageFlowObj& other)
      : ffi::Object(), cols_(other.cols_), rows_(other.rows_), flow_(other.flow_) {}

  ffi::Tensor Opcodes(const FlowLoadRef& item, const ffi::Optional<ffi::Tensor>& begin) {
    const FlowLoad& load = LoadOf(item);
    return Tensor(flow_.Opcodes(load, begin ? Cycles(*begin, {cols_}, "begin") : nullptr), {cols_});
  }

  void Run(const FlowLoadRef& item, const ffi::Tensor& ready, double command, bool lags, bool keeps_a, bool keeps_o,
           bool lag_follows) {
    const double* times = Cycles(ready, {cols_}, "begin");
    if (!(command >= 0 && command <= kMostCycles)) TVM_FFI_THROW(ValueError) << "message flow: commands at " << command;
    flow_.Run(LoadOf(item), {times, command, lags, keeps_a, keeps_o, lag_follows});
  }

  ffi::Tensor Done(int64_t item) { return Tensor(flow_.Done(Known(item)), {cols_}); }
  double Ended(int64_t item) { return flow_.Ended(Known(item)); }

  void Delay(double t) {
    if (flow_.items() == 0 || flow_.open()) TVM_FFI_THROW(ValueError) << "message flow: no item's outputs have ended";
    if (!(t >= 0 && t <= kMostCycles)) TVM_FFI_THROW(ValueError) << "message flow: commands at " << t;
    flow_.Delay(t);
  }

  ffi::Tensor AFree() const { return Tensor(flow_.a_free(), {cols_}); }
  ffi::Tensor Core() const { return Tensor(flow_.core(), {cols_, rows_}); }
  ffi::Tensor OEnd() const { return Tensor(flow_.o_end(), {cols_, rows_}); }

  TVM_FFI_DECLARE_OBJECT_INFO_FINAL("tvm_aie.cost.MessageFlow", MessageFlowObj, ffi::Object);

 private:
  const FlowLoad& LoadOf(const FlowLoadRef& item) const {
    const FlowLoad& load = item->load();
    if (load.cols != cols_ || load.rows != rows_) TVM_FFI_THROW(ValueError) << "message flow: an item of another array";
    return load;
  }

  int64_t Known(int64_t item) const {
    if (item < 0 || item >= flow_.items()) TVM_FFI_THROW(ValueError) << "message flow: there is no item " << item;
    return item;
  }

  int64_t cols_, rows_;
  MessageFlow flow_;
};

class MessageFlowRef : public ffi::ObjectRef {
 public:
  explicit MessageFlowRef(ffi::ObjectPtr<MessageFlowObj> flow) : ffi::ObjectRef(std::move(flow)) {}
  TVM_FFI_DEFINE_OBJECT_REF_METHODS_NOTNULLABLE(MessageFlowRef, ffi::ObjectRef, MessageFlowObj);
};

// `weights`: bytes of a row's ring in a core, in a memtile and of a slot there, cycles of a byte into either.
MessageFlowRef MakeFlow(int64_t cols, int64_t rows, bool o_shared, const ffi::Tensor& weights, bool ahead,
                        const ffi::Tensor& ring_ints, const ffi::Tensor& ring_reals) {
  CheckPositive({cols, rows}, "an array");
  const double* w = Cycles(weights, {5}, "weight rings");
  if (!(w[2] > 0)) TVM_FFI_THROW(ValueError) << "message flow: weights without slots";
  const FlowMachine machine{cols, rows, o_shared, {w[0], w[1], w[2], w[3], w[4]}, ahead};
  return MessageFlowRef(ffi::make_object<MessageFlowObj>(machine, Rings(ring_ints, ring_reals)));
}

FlowLoadRef MakeLoad(ffi::Array<ffi::Tensor> tensors, int64_t a_slots, int64_t o_slots, bool aligned,
                     ffi::Array<ffi::Tensor> rings) {
  return FlowLoadRef(
      ffi::make_object<FlowLoadObj>(std::move(tensors), a_slots, o_slots, aligned, std::move(rings)));
}

MessageFlowRef CopyFlow(const MessageFlowRef& flow) {
  return MessageFlowRef(ffi::make_object<MessageFlowObj>(*flow.get()));
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  namespace refl = tvm::ffi::reflection;
  refl::ObjectDef<FlowLoadObj>(refl::init(false));
  refl::ObjectDef<MessageFlowObj>(refl::init(false))
      .def("opcodes", &MessageFlowObj::Opcodes)
      .def("run", &MessageFlowObj::Run)
      .def("done", &MessageFlowObj::Done)
      .def("ended", &MessageFlowObj::Ended)
      .def("delay", &MessageFlowObj::Delay)
      .def("a_free", &MessageFlowObj::AFree)
      .def("core", &MessageFlowObj::Core)
      .def("o_end", &MessageFlowObj::OEnd);
  refl::GlobalDef()
      .def("tvm_aie.cost.message_flow", MakeFlow)
      .def("tvm_aie.cost.flow_load", MakeLoad)
      .def("tvm_aie.cost.flow_copy", CopyFlow);
}

}  // namespace tvm_aie
