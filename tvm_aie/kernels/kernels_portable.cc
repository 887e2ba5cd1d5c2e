// The kernels as the array compiles them; on the host over our implementation of the vector API.
#include "kernels/aie_api.h"
#include "kernels/kernel_args.h"
#ifdef TVM_AIE_ON_ARRAY
#include "kernels/dispatch.h"
#endif

namespace tvm_aie::kernels {
#ifndef TVM_AIE_ON_ARRAY
namespace {
#endif

#include "kernels/requant_array.inc"
#include "kernels/channelwise_array.inc"
#include "kernels/conv_kernel.inc"

#ifndef TVM_AIE_ON_ARRAY
constexpr KernelTable kTable = {"portable", Conv, Add, MaxPool, AvgPool, Upsample, Scale};

}  // namespace

const KernelTable* PortableKernels() { return &kTable; }
#endif

}  // namespace tvm_aie::kernels
