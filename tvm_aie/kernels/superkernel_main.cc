// The program of every core of the array: performs what the superkernel asks for. Not compiled on the host.
#ifdef TVM_AIE_ON_ARRAY

#include <aie_api/aie.hpp>

#include "tvm_aie/superkernel.h"

namespace {

// A core addresses its own 16 locks as 48..63.
constexpr int kOwnLocks = 48;
// A core's own data memory: 64 KB, aligned to its size in the core's address space.
constexpr uintptr_t kMemoryBytes = 0x10000;

uint32_t Offset(const void* p) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(p) & (kMemoryBytes - 1)); }

}  // namespace

// Called by the design's `aie.core` with the overlay's buffers and sizes (the order is CORE_AREAS and CORE_SIZES of
// emit/mlir/build.py). Returns at HALT; the design calls it again for the next inference.
extern "C" void tvm_aie_core(int32_t* ops, int8_t* hdr, int32_t* acc, int8_t* o, int8_t* w, int8_t* a,
                             int32_t ops_bytes, int32_t hdr_bytes, int32_t acc_bytes, int32_t o_slot, int32_t o_slots,
                             int32_t w_slot, int32_t w_slots, int32_t a_slot, int32_t a_slots) {
  aie::set_rounding(aie::rounding_mode::conv_even);
  aie::set_saturation(aie::saturation_mode::saturate);
  uint8_t* mem = reinterpret_cast<uint8_t*>(reinterpret_cast<uintptr_t>(a) & ~(kMemoryBytes - 1));
  auto size = [](int32_t v) { return static_cast<uint32_t>(v); };
  tvm_aie::CoreConfig config;
  config.mem_bytes = kMemoryBytes;
  config.a_base = Offset(a);
  config.a_slot = size(a_slot);
  config.a_slots = size(a_slots);
  config.w_base = Offset(w);
  config.w_slot = size(w_slot);
  config.w_slots = size(w_slots);
  config.o_base = Offset(o);
  config.o_slot = size(o_slot);
  config.o_slots = size(o_slots);
  config.acc_base = Offset(acc);
  config.acc_bytes = size(acc_bytes);
  config.ops_base = Offset(ops);
  config.ops_bytes = size(ops_bytes);
  config.hdr_base = Offset(hdr);
  config.hdr_bytes = size(hdr_bytes);
  tvm_aie::SuperkernelState state;
  for (;;) {
    tvm_aie::Step step = tvm_aie::NextStep(state, config, mem, true);
    switch (step.kind) {
      case tvm_aie::StepKind::kAcquire:
        acquire_greater_equal(kOwnLocks + step.lock, step.value);
        break;
      case tvm_aie::StepKind::kRelease:
        release(kOwnLocks + step.lock, step.value);
        break;
      case tvm_aie::StepKind::kHalt:
      case tvm_aie::StepKind::kFault:
        return;
      default:
        break;
    }
  }
}

#endif
