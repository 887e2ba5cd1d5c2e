#include "runtime/session.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

constexpr DLDataType kInt64{kDLInt, 64, 1};

struct HostAllocator {
  void AllocData(DLTensor* tensor) {
    const size_t bytes = std::max<size_t>(ffi::GetDataSize(*tensor), 1);
    tensor->data = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (tensor->data == nullptr) throw std::bad_alloc();
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

class Timer {
 public:
  explicit Timer(double* total) : total_(total) {}
  ~Timer() { *total_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  double* total_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Pages that nobody touches cost nothing: a damaged program may ask for gigabytes.
class ZeroBuffer {
 public:
  explicit ZeroBuffer(int64_t bytes) : size_(static_cast<size_t>(bytes)), data_(std::calloc(size_ + 1, 1), &std::free) {
    if (!data_) throw std::bad_alloc();
  }
  std::span<uint8_t> span() const { return {static_cast<uint8_t*>(data_.get()), size_}; }

 private:
  size_t size_;
  std::unique_ptr<void, decltype(&std::free)> data_;
};

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + (shape[i] < 0 ? "N" : std::to_string(shape[i]));
  return text + ")";
}

std::vector<int64_t> UserShape(const IoTensor& io) {
  if (io.flat) return {-1, io.c * io.h * io.w};
  return {-1, io.c, io.h, io.w};
}

// Throws unless `tensor` is the tensor that the program expects; returns its batch size.
int64_t CheckTensor(const DLTensor& tensor, const IoTensor& io, const std::string& name) {
  if (tensor.device.device_type != kDLCPU) {
    TVM_FFI_THROW(TypeError) << name << " is on device type " << tensor.device.device_type << ", expected the CPU";
  }
  const uint8_t code = io.is_unsigned ? kDLUInt : kDLInt;
  if (tensor.dtype.code != code || tensor.dtype.bits != 8 * io.elem || tensor.dtype.lanes != 1) {
    TVM_FFI_THROW(TypeError) << name << " has dtype " << ffi::DLDataTypeToString(tensor.dtype) << ", expected "
                             << (io.is_unsigned ? "uint8" : io.elem == 2 ? "int16" : "int8");
  }
  const std::vector<int64_t> expected = UserShape(io);
  const std::vector<int64_t> shape(tensor.shape, tensor.shape + tensor.ndim);
  const bool same = shape.size() == expected.size() && shape[0] >= 1 &&
                    std::equal(shape.begin() + 1, shape.end(), expected.begin() + 1);
  if (!same) TVM_FFI_THROW(TypeError) << name << " has shape " << ShapeText(shape) << ", expected " << ShapeText(expected);
  if (!ffi::IsContiguous(tensor)) TVM_FFI_THROW(TypeError) << name << " is not contiguous";
  return shape[0];
}

uint8_t* Data(const DLTensor& tensor) { return static_cast<uint8_t*>(tensor.data) + tensor.byte_offset; }

int64_t ToInt(const ffi::String& key, const ffi::Any& value) {
  if (auto v = value.as<bool>()) return *v;
  if (auto v = value.as<int64_t>()) return *v;
  TVM_FFI_THROW(TypeError) << "option " << std::string(key) << " is not an integer";
  TVM_FFI_UNREACHABLE();
}

ffi::Tensor ItemTable(const std::vector<ItemStats>& items) {
  constexpr int64_t kColumns = 22;
  ffi::Tensor table = HostTensor({static_cast<int64_t>(items.size()), kColumns}, kInt64);
  auto* row = static_cast<int64_t*>(table.data_ptr());
  for (const ItemStats& s : items) {
    const std::array<int64_t, kColumns> values = {
        s.item, s.start, s.end, s.busy_sum, s.busy_max, s.macs, s.dense_macs, s.kernel_calls,
        s.bytes[0], s.bytes[1], s.bytes[2], s.bytes[3], s.bytes[4], s.bytes[5],
        s.command_cycles, s.pushes, s.bd_writes, s.waits, s.stall_a, s.stall_w, s.stall_o, 0};
    row = std::copy(values.begin(), values.end(), row);
  }
  return table;
}

}  // namespace

ffi::Tensor HostTensor(const std::vector<int64_t>& shape, DLDataType dtype) {
  return ffi::Tensor::FromNDAlloc(HostAllocator(), ffi::ShapeView(shape.data(), shape.size()), dtype, {kDLCPU, 0});
}

std::shared_ptr<const Program> Parse(const ffi::Bytes& bytes) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  return std::make_shared<const Program>(LoadProgram(std::vector<uint8_t>(data, data + bytes.size())));
}

RunOptions ParseOptions(const Dictionary& options) {
  RunOptions o;
  for (const auto& [key, value] : options) {
    const std::string_view name(key.data(), key.size());
    const int64_t v = ToInt(key, value);
    if (name == "functional") o.functional = v != 0;
    else if (name == "check") o.check = v != 0;
    else if (name == "trace") o.trace = v != 0;
    else if (name == "compute_num") o.compute_num = v;
    else if (name == "compute_den") o.compute_den = v;
    else if (name == "max_cycles") o.max_cycles = v;
    else if (name == "max_events") o.max_events = v;
    else if (name == "max_trace_events") o.max_trace_events = v;
    else TVM_FFI_THROW(ValueError) << "unknown option " << std::string(name);
  }
  return o;
}

SessionResult RunOnTensors(const Program& program, const std::vector<const DLTensor*>& tensors, const RunOptions& options) {
  const size_t n_inputs = program.inputs.size(), n = n_inputs + program.outputs.size();
  const bool without = tensors.empty() && !options.functional;
  if (tensors.size() != n && !without) {
    TVM_FFI_THROW(TypeError) << "the program takes " << n_inputs << " inputs and " << program.outputs.size()
                             << " outputs, got " << tensors.size() << " tensors";
  }
  int64_t batch = 1;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const bool is_input = i < n_inputs;
    const IoTensor& io = is_input ? program.inputs[i] : program.outputs[i - n_inputs];
    const std::string name = (is_input ? "input " : "output ") + std::to_string(is_input ? i : i - n_inputs);
    const int64_t size = CheckTensor(*tensors[i], io, name);
    if (i > 0 && size != batch) {
      TVM_FFI_THROW(TypeError) << name << " has a batch of " << size << ", the first tensor one of " << batch;
    }
    batch = size;
  }
  SessionResult result;
  result.images = batch;
  const ZeroBuffer input(without ? 0 : program.ddr_bytes[kDdrInput]);
  const ZeroBuffer output(without ? 0 : program.ddr_bytes[kDdrOutput]);
  Emulator emulator(program, options);
  for (int64_t image = 0; image < batch; ++image) {
    for (size_t i = 0; i < n_inputs && !without; ++i) {
      const Timer timer(&result.pack_seconds);
      const IoTensor& io = program.inputs[i];
      PackTensor(io, Data(*tensors[i]) + image * io.c * io.h * io.w * io.elem, input.span().data() + io.ddr_offset);
    }
    {
      const Timer timer(&result.emulation_seconds);
      result.run = emulator.Infer(input.span(), output.span());
    }
    result.cycles += result.run.cycles;
    // A timed run produces no data.
    for (size_t i = 0; i < program.outputs.size() && options.functional; ++i) {
      const Timer timer(&result.unpack_seconds);
      const IoTensor& io = program.outputs[i];
      UnpackTensor(io, output.span().data() + io.ddr_offset, Data(*tensors[n_inputs + i]) + image * io.c * io.h * io.w * io.elem);
    }
  }
  return result;
}

Dictionary ToDictionary(const SessionResult& result) {
  const RunResult& run = result.run;
  ffi::Tensor trace = HostTensor({static_cast<int64_t>(run.trace.size()), 6}, kInt64);
  static_assert(sizeof(TraceEvent) == 6 * sizeof(int64_t));
  if (!run.trace.empty()) std::memcpy(trace.data_ptr(), run.trace.data(), run.trace.size() * sizeof(TraceEvent));
  ffi::Array<ffi::String> agents;
  for (const std::string& name : run.agents) agents.push_back(ffi::String(name));
  Dictionary d;
  d.Set("cycles", result.cycles);
  d.Set("launch_cycles", run.launch_cycles * result.images);
  d.Set("images", result.images);
  d.Set("events", run.events);
  d.Set("segments", run.segments);
  d.Set("items", ItemTable(run.items));
  d.Set("trace", trace);
  d.Set("trace_dropped", run.trace_dropped);
  d.Set("agents", agents);
  d.Set("pack_seconds", result.pack_seconds);
  d.Set("unpack_seconds", result.unpack_seconds);
  d.Set("emulation_seconds", result.emulation_seconds);
  return d;
}

}  // namespace tvm_aie
