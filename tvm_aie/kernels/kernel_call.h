// One KERNEL opcode: checks its parameters against core memory, counts its work, and performs it.
#pragma once

#include <cstdint>

#include "tvm_aie/superkernel.h"

namespace tvm_aie::kernels {

// Upper bound of the parameter words of any kernel (AVGPOOL with kMaxDivisors rows).
constexpr int kMaxDivisors = 64;
constexpr int kMaxParams = 35 + 3 * kMaxDivisors;

// Returns false with `*fault` set when a parameter does not fit the messages held.
bool PerformKernel(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int id,
                   const int32_t* params, int n_params, bool functional, KernelCall* call, FaultText* fault);

}  // namespace tvm_aie::kernels
