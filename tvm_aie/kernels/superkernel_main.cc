// The program of every core of the array: performs what the superkernel asks for. Not compiled on the host.
#ifdef TVM_AIE_ON_ARRAY

#include <aie_api/aie.hpp>

#include "tvm_aie/superkernel.h"

namespace {

// A core addresses its own 16 locks as 48..63.
constexpr int kOwnLocks = 48;

}  // namespace

// `config` and `mem` come from the linker script: the buffers of the overlay.
extern "C" void tvm_aie_superkernel(const tvm_aie::CoreConfig* config, uint8_t* mem) {
  aie::set_rounding(aie::rounding_mode::conv_even);
  aie::set_saturation(aie::saturation_mode::saturate);
  tvm_aie::SuperkernelState state;
  for (;;) {
    tvm_aie::Step step = tvm_aie::NextStep(state, *config, mem, true);
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
