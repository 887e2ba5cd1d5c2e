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

// Returns false with `*fault` set when a parameter does not fit the messages held. FRONT's rows count as kept only once
// the caller has added KeptByFront. Of the state only `carried` is written.
bool PerformKernel(SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int id,
                   const int32_t* params, int n_params, bool functional, KernelCall* call, FaultText* fault);

// Bytes that a FRONT which PerformKernel has performed put into ACC: its blocks, each a line of acc_px pixels.
inline uint32_t KeptByFront(const SuperkernelState& state, const int32_t* params) {
  return state.header.front_ocb * static_cast<uint32_t>(params[9]) * 8;
}

// KEEP: copies the first `bytes` of the held activation slots into ACC, behind what is kept there already. Returns false
// with `*fault` set when so many are not held, before the ring's end, or when ACC is full.
bool KeepInput(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int32_t bytes, bool functional,
               KernelCall* call, FaultText* fault);

// DROP: what lies in ACC behind the first `bytes` that are kept there moves to ACC's begin. Returns false with `*fault`
// set when so many are not kept, or when these are no whole pixels.
bool DropKept(const SuperkernelState& state, const CoreConfig& config, uint8_t* mem, int32_t bytes, bool functional,
              KernelCall* call, FaultText* fault);

}  // namespace tvm_aie::kernels
