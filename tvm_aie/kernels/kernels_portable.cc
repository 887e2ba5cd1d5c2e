// The kernels as the array compiles them, over the host's implementation of the vector API.
#include "kernels/aie_api.h"
#include "kernels/kernel_args.h"

namespace tvm_aie::kernels {
namespace {

#include "kernels/requant.inc"
#include "kernels/channelwise.inc"
#include "kernels/conv_kernel.inc"

constexpr KernelTable kTable = {"portable", Conv, Add, MaxPool, AvgPool, Upsample};

}  // namespace

const KernelTable* PortableKernels() { return &kTable; }

}  // namespace tvm_aie::kernels
