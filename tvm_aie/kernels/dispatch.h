// Choice of the host implementation of the kernels.
#pragma once

#include <cstddef>

#include "kernels/kernel_args.h"

namespace tvm_aie::kernels {

// The table for `name` ("portable", "avx2", "vnni"); null when the build or this machine lacks it.
const KernelTable* FindKernels(const char* name);

// The best table of this machine. The environment variable TVM_AIE_ISA forces a lesser one.
const KernelTable& BestKernels();

// Points the scratch fields of `args` to work space of this thread, large enough for every implementation.
void AttachScratch(ConvArgs* args);
void AttachScratch(AddArgs* args);

}  // namespace tvm_aie::kernels
