// Host kernels with AVX2. No std:: templates here: see kernel_args.h.
#include "kernels/kernel_args.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace tvm_aie::kernels {
namespace {

#include "kernels/requant.inc"
#include "kernels/channelwise.inc"
#include "kernels/conv_host.inc"

#include "kernels/conv_avx2.inc"

void Conv(const ConvArgs& args) {
  args.a_bytes == 2 ? ConvOnHost<Avx2<true>>(args) : ConvOnHost<Avx2<false>>(args);
}

constexpr KernelTable kTable = {"avx2", Conv, Add, MaxPool, AvgPool, Upsample, Scale};

}  // namespace

const KernelTable* Avx2Kernels() { return &kTable; }

}  // namespace tvm_aie::kernels

#else

namespace tvm_aie::kernels {
const KernelTable* Avx2Kernels() { return nullptr; }
}  // namespace tvm_aie::kernels

#endif
