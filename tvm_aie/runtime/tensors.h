// Arrays that Python hands over, checked before they are read.
#ifndef TVM_AIE_RUNTIME_TENSORS_H_
#define TVM_AIE_RUNTIME_TENSORS_H_

#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/error.h>

#include <cstdint>
#include <initializer_list>

namespace tvm_aie {

// The values of a tensor of this shape; -1: any extent. `owner`, `what`: whose it is, and what, for the error.
template <typename T>
const T* TensorValues(const tvm::ffi::Tensor& tensor, uint8_t code, std::initializer_list<int64_t> shape,
                      const char* owner, const char* what) {
  const DLDataType type = tensor.dtype();
  bool fits = type.code == code && type.bits == 8 * sizeof(T) && type.lanes == 1 && tensor.IsContiguous() &&
              tensor.device().device_type == kDLCPU && tensor.ndim() == static_cast<int32_t>(shape.size());
  int32_t axis = 0;
  for (const int64_t extent : shape) {
    fits = fits && (extent < 0 || tensor.size(axis) == extent);
    ++axis;
  }
  if (!fits) TVM_FFI_THROW(ValueError) << owner << ": wrong type or shape of " << what;
  return static_cast<const T*>(tensor.data_ptr());
}

}  // namespace tvm_aie

#endif  // TVM_AIE_RUNTIME_TENSORS_H_
