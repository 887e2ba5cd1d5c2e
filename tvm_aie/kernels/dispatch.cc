#include "kernels/dispatch.h"

#include <cstdlib>
#include <cstring>
#include <vector>

namespace tvm_aie::kernels {

namespace {

bool HasAvx2() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

bool HasVnni() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

const KernelTable* ChooseKernels() {
  if (const char* name = std::getenv("TVM_AIE_ISA")) {
    if (const KernelTable* table = FindKernels(name)) return table;
  }
  for (const char* name : {"vnni", "avx2"}) {
    if (const KernelTable* table = FindKernels(name)) return table;
  }
  return PortableKernels();
}

struct Scratch {
  std::vector<uint8_t> a, w;
  std::vector<int32_t> line;
  std::vector<int64_t> list;
};

Scratch& ThreadScratch() {
  static thread_local Scratch scratch;
  return scratch;
}

template <typename T>
T* Grow(std::vector<T>* buffer, size_t size) {
  if (buffer->size() < size) buffer->resize(size);
  return buffer->data();
}

}  // namespace

const KernelTable* FindKernels(const char* name) {
  if (std::strcmp(name, "portable") == 0) return PortableKernels();
  if (std::strcmp(name, "avx2") == 0) return HasAvx2() ? Avx2Kernels() : nullptr;
  if (std::strcmp(name, "vnni") == 0) return HasVnni() ? VnniKernels() : nullptr;
  return nullptr;
}

const KernelTable& BestKernels() {
  static const KernelTable* const table = ChooseKernels();
  return *table;
}

void AttachScratch(ConvArgs* args) {
  Scratch& scratch = ThreadScratch();
  size_t phase_px = (static_cast<size_t>(args->line_px) + args->sx - 1) / args->sx;
  // Up to 16 B per pixel (int16), one row of zeros more.
  size_t a_bytes = (static_cast<size_t>(args->rows) + 1) * args->n_cblk * phase_px * args->sx * 16 + 64;
  size_t tiles = static_cast<size_t>(args->row_ptr[args->n_ocb]) * args->kh * args->kw;
  if (args->tap_ptr != nullptr) {
    size_t last = static_cast<size_t>(args->n_ocb) * args->kh;
    size_t listed = size_t{args->tap_ptr[last]} + 2 * size_t{args->pair_ptr[last]};
    args->scratch_list = Grow(&scratch.list, listed * 2);
    tiles += listed;
  }
  args->scratch_a = Grow(&scratch.a, a_bytes);
  args->scratch_w = Grow(&scratch.w, tiles * 128 + 64);
  args->scratch_line = Grow(&scratch.line, static_cast<size_t>(args->wo) * 8 * 4 + 64);
}

void AttachScratch(AddArgs* args) {
  args->scratch_line = Grow(&ThreadScratch().line, static_cast<size_t>(args->line_px) * 8);
}

void AttachScratch(ScaleArgs* args) {
  args->scratch_line = Grow(&ThreadScratch().line, static_cast<size_t>(args->px) * 8);
}

}  // namespace tvm_aie::kernels
