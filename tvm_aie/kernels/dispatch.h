// Choice of the host implementation of the kernels.
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/kernel_args.h"

namespace tvm_aie::kernels {

// The table for `name` ("portable", "avx2", "vnni"); null when the build or this machine lacks it.
const KernelTable* FindKernels(const char* name);

#ifdef TVM_AIE_ON_ARRAY

// Kernels that the design's programs call, a bit per KernelId, and KEEP; the makefile of the design sets it.
#ifndef TVM_AIE_USED_KERNELS
#define TVM_AIE_USED_KERNELS 0xff
#endif
constexpr unsigned kUsedKernels = TVM_AIE_USED_KERNELS;

// The array has one implementation, called directly, and needs no work space.
void Conv(const ConvArgs& args);
void Add(const AddArgs& args);
void MaxPool(const PoolArgs& args);
void AvgPool(const PoolArgs& args);
void Upsample(const UpsampleArgs& args);
void CopyBytes(const uint8_t* from, uint8_t* to, Wide bytes);
void MoveDown(const uint8_t* from, uint8_t* to, Wide bytes);
void Scale(const ScaleArgs& args);
struct ArrayKernels {
  static void conv(const ConvArgs& args) { Conv(args); }
  static void add(const AddArgs& args) { Add(args); }
  static void max_pool(const PoolArgs& args) { MaxPool(args); }
  static void avg_pool(const PoolArgs& args) { AvgPool(args); }
  static void upsample(const UpsampleArgs& args) { Upsample(args); }
  static void scale(const ScaleArgs& args) { Scale(args); }
};
inline ArrayKernels BestKernels() { return {}; }
inline void AttachScratch(ConvArgs*) {}
inline void AttachScratch(AddArgs*) {}
inline void AttachScratch(ScaleArgs*) {}

#else

constexpr unsigned kUsedKernels = ~0u;

// The best table of this machine. The environment variable TVM_AIE_ISA forces a lesser one.
const KernelTable& BestKernels();

// Points the scratch fields of `args` to work space of this thread, large enough for every implementation.
void AttachScratch(ConvArgs* args);
void AttachScratch(AddArgs* args);
void AttachScratch(ScaleArgs* args);

// memmove: a malformed configuration may lay ACC over the ring.
inline void CopyBytes(const uint8_t* from, uint8_t* to, Wide bytes) {
  std::memmove(to, from, static_cast<size_t>(bytes));
}
inline void MoveDown(const uint8_t* from, uint8_t* to, Wide bytes) { CopyBytes(from, to, bytes); }

#endif

constexpr unsigned kKeepPart = 1;  // in kUsedKernels

}  // namespace tvm_aie::kernels
