// Running a program on tensors of the host, and its results as TVM-FFI values.
#pragma once

#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/map.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/error.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/string.h>

#include <memory>
#include <new>
#include <vector>

#include "tvm_aie/emulator.h"

namespace tvm_aie {

using Dictionary = tvm::ffi::Map<tvm::ffi::String, tvm::ffi::Any>;

// A damaged program is a ValueError, a fault of the emulated array a RuntimeError.
template <typename Body>
auto Guarded(Body&& body) {
  try {
    return body();
  } catch (const ProgramError& e) {
    TVM_FFI_THROW(ValueError) << e.what();
  } catch (const EmulationFault& e) {
    TVM_FFI_THROW(RuntimeError) << e.what();
  } catch (const std::bad_alloc&) {
    TVM_FFI_THROW(RuntimeError) << "not enough memory for this program";
  }
  TVM_FFI_UNREACHABLE();
}

std::shared_ptr<const Program> Parse(const tvm::ffi::Bytes& bytes);

// Keys as in RunOptions; an unknown key is a ValueError.
RunOptions ParseOptions(const Dictionary& options);

struct SessionResult {
  RunResult run;             // of the last image
  int64_t images = 0;
  int64_t cycles = 0;        // sum over the images
  double pack_seconds = 0, unpack_seconds = 0, emulation_seconds = 0;  // measured on this host
};

// `tensors`: inputs then outputs, in the order of the IO table, checked against it; the batch is looped over.
// In timed mode the tensors may be left out.
SessionResult RunOnTensors(const Program& program, const std::vector<const DLTensor*>& tensors, const RunOptions& options);

Dictionary ToDictionary(const SessionResult& result);

// An uninitialised tensor on the host.
tvm::ffi::Tensor HostTensor(const std::vector<int64_t>& shape, DLDataType dtype);

}  // namespace tvm_aie
