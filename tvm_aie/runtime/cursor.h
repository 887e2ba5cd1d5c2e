// Reads a flat tensor of a caller in order; what is missing is an error of the caller.
#pragma once

#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/error.h>

#include <string>

namespace tvm_aie {

template <typename T>
class Cursor {
 public:
  // `name`: of the function, for its errors.
  Cursor(const tvm::ffi::Tensor& tensor, uint8_t code, std::string name) : name_(std::move(name)) {
    if (tensor.ndim() != 1 || tensor.dtype().code != code || tensor.dtype().bits != 64) {
      TVM_FFI_THROW(ValueError) << name_ << ": flat tensors of int64 and float64 are wanted";
    }
    at_ = static_cast<const T*>(tensor.data_ptr());
    left_ = tensor.size(0);
  }

  const T* Take(int64_t n) {
    if (n < 0 || n > left_) {
      TVM_FFI_THROW(ValueError) << name_ << ": " << n << " values are wanted, " << left_ << " left";
    }
    const T* from = at_;
    at_ += n;
    left_ -= n;
    return from;
  }

  T Next() { return *Take(1); }

  int64_t Count(int64_t most) {
    const auto n = static_cast<int64_t>(Next());
    if (n < 0 || n > most) TVM_FFI_THROW(ValueError) << name_ << ": a count of " << n << " is not in 0.." << most;
    return n;
  }

 private:
  std::string name_;
  const T* at_ = nullptr;
  int64_t left_ = 0;
};

}  // namespace tvm_aie
