// One KERNEL opcode: checks its parameters against core memory, counts its work, and performs it.
#pragma once

#include <cstdint>

#include "kernels/kernel_args.h"
#include "tvm_aie/superkernel.h"

namespace tvm_aie::kernels {

// On the array the compiler has proved every bound; a core has no program memory to check it again or to count.
#ifdef TVM_AIE_ON_ARRAY
constexpr bool kTrusted = true;
#else
constexpr bool kTrusted = false;
#endif

// Upper bound of the parameter words of any kernel (AVGPOOL with kMaxDivisors rows).
constexpr int kMaxDivisors = 64;
constexpr int kMaxParams = 35 + 3 * kMaxDivisors;

// Returns false with `*fault` set when a parameter does not fit the messages held.
bool PerformKernel(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int id,
                   const int32_t* params, int n_params, bool functional, KernelCall* call, FaultText* fault);

// KEEP: copies the first `bytes` of the held activation slots into ACC, behind what is kept there already. Returns false
// with `*fault` set when so many are not held, before the ring's end, or when ACC is full.
bool KeepInput(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int32_t bytes, bool functional,
               KernelCall* call, FaultText* fault);

}  // namespace tvm_aie::kernels
