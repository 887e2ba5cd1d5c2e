// The emulator as TVM-FFI functions: tvm_aie.emulator.*
#include <tvm/ffi/reflection/registry.h>

#include "emulator/program_loader.h"
#include "runtime/session.h"

namespace tvm_aie {
namespace {

namespace ffi = tvm::ffi;

// (program, inputs, options) -> the session's dictionary plus "outputs".
Dictionary Run(const ffi::Bytes& bytes, const ffi::Array<ffi::Tensor>& inputs, const Dictionary& options_map) {
  return Guarded([&] {
    const RunOptions options = ParseOptions(options_map);
    const auto program = Parse(bytes);
    std::vector<const DLTensor*> tensors;
    for (const ffi::Tensor& t : inputs) tensors.push_back(t.GetDLTensorPtr());
    ffi::Array<ffi::Tensor> outputs;
    if (!(inputs.empty() && !options.functional)) {
      const int64_t batch = inputs.empty() || inputs[0].ndim() == 0 ? 1 : inputs[0].size(0);
      for (const IoTensor& io : program->outputs) {
        std::vector<int64_t> shape = {batch, io.c, io.h, io.w};
        if (io.flat) shape = {batch, io.c * io.h * io.w};
        const uint8_t code = io.is_unsigned ? kDLUInt : kDLInt;
        outputs.push_back(HostTensor(shape, {code, static_cast<uint8_t>(8 * io.elem), 1}));
      }
      for (const ffi::Tensor& t : outputs) tensors.push_back(t.GetDLTensorPtr());
    }
    Dictionary result = ToDictionary(RunOnTensors(*program, tensors, options));
    // A timed run computes nothing: handing out uninitialised memory would look like an answer.
    result.Set("outputs", options.functional ? outputs : ffi::Array<ffi::Tensor>());
    return result;
  });
}

// Loads and checks only.
Dictionary Validate(const ffi::Bytes& bytes) {
  return Guarded([&] {
    const auto program = Parse(bytes);
    Dictionary d;
    d.Set("meta", ffi::String(std::string(program->meta)));
    d.Set("tiles", static_cast<int64_t>(program->tiles.size()));
    d.Set("cores", static_cast<int64_t>(program->cores.size()));
    d.Set("bds", static_cast<int64_t>(program->bds.size()));
    d.Set("commands", static_cast<int64_t>(program->commands.size()));
    d.Set("items", static_cast<int64_t>(program->n_items));
    d.Set("inputs", static_cast<int64_t>(program->inputs.size()));
    d.Set("outputs", static_cast<int64_t>(program->outputs.size()));
    return d;
  });
}

// Cycles of a kernel call on a device: keys and fixed-point values as in DEVICE_KEYS / DEVICE_VALUES.
int64_t KernelCyclesFfi(const ffi::Array<ffi::String>& keys, const ffi::Array<int64_t>& values, int64_t columns,
                        int64_t id, int64_t macs, int64_t chunks, const ffi::Array<int64_t>& trips, int64_t blocks,
                        int64_t macs_int4, const ffi::Array<int64_t>& trips_int4, int64_t segments, int64_t entries,
                        bool wide) {
  return Guarded([&] {
    std::vector<std::string_view> names;
    for (const ffi::String& key : keys) names.emplace_back(key.data(), key.size());
    if (columns < 1 || columns > 128) TVM_FFI_THROW(ValueError) << "columns " << columns << " is not in 1..128";
    const DeviceParams device =
        MakeDevice(names, std::vector<int64_t>(values.begin(), values.end()), static_cast<int>(columns));
    KernelCall call;
    if (id < kConv || id > kUpsample) TVM_FFI_THROW(ValueError) << "there is no kernel " << id;
    if (trips.size() != call.trips.size() || trips_int4.size() != call.trips.size()) {
      TVM_FFI_THROW(ValueError) << "trips needs 9 entries";
    }
    call.id = static_cast<int>(id);
    call.macs = macs;
    call.chunks = chunks;
    call.blocks = blocks;
    call.macs_int4 = macs_int4;
    call.wide = wide;
    call.segments = segments;
    call.entries = entries;
    std::copy(trips.begin(), trips.end(), call.trips.begin());
    std::copy(trips_int4.begin(), trips_int4.end(), call.trips_int4.begin());
    return KernelCycles(device, call);
  });
}

}  // namespace

TVM_FFI_STATIC_INIT_BLOCK() {
  namespace refl = tvm::ffi::reflection;
  refl::GlobalDef()
      .def("tvm_aie.emulator.run", Run)
      .def("tvm_aie.emulator.validate", Validate)
      .def("tvm_aie.emulator.kernel_cycles", KernelCyclesFfi);
}

}  // namespace tvm_aie
