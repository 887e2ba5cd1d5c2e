// GMAC/s of the host's convolution kernels on the message shapes of a ResNet-50. Not a test. Build:
//   g++ -std=c++20 -O3 -Itvm_aie -Itvm_aie/include benchmarks/native_conv.cc build/libtvm_aie_core.a
#include <chrono>
#include <cstdio>
#include <vector>

#include "kernels/dispatch.h"

using namespace tvm_aie::kernels;

namespace {

struct Shape {
  const char* name;
  int wo, band, k, stride, n_cblk, n_ocb;
};

double GmacPerSecond(const KernelTable& table, const Shape& s) {
  ConvArgs a;
  a.wo = s.wo;
  a.band = s.band;
  a.kh = a.kw = s.k;
  a.sy = a.sx = s.stride;
  a.dy = a.dx = 1;
  a.n_cblk = s.n_cblk;
  a.n_ocb = s.n_ocb;
  a.rows = (s.band - 1) * s.stride + s.k;
  a.line_px = (s.wo - 1) * s.stride + s.k;
  std::vector<uint8_t> in(static_cast<size_t>(a.rows) * a.n_cblk * a.line_px * 8 + 256, 3);
  std::vector<uint8_t> w(static_cast<size_t>(s.n_cblk) * s.n_ocb * s.k * s.k * 64, 5);
  std::vector<uint8_t> bias(static_cast<size_t>(s.n_ocb) * 32), out(static_cast<size_t>(s.n_ocb) * s.band * s.wo * 8);
  std::vector<uint8_t> acc(static_cast<size_t>(s.n_ocb) * s.band * (s.wo + 3) * 32);
  std::vector<uint16_t> row_ptr, col;
  for (int o = 0; o <= s.n_ocb; ++o) row_ptr.push_back(static_cast<uint16_t>(o * s.n_cblk));
  for (int i = 0; i < s.n_ocb * s.n_cblk; ++i) col.push_back(static_cast<uint16_t>(i % s.n_cblk));
  a.a = in.data();
  a.w_ring = w.data();
  a.w_ring_bytes = static_cast<uint32_t>(w.size());
  a.bias = bias.data();
  a.out = out.data();
  a.acc = acc.data();
  a.row_ptr = row_ptr.data();
  a.col = col.data();
  a.requant.out_shift = 9;
  AttachScratch(&a);
  double macs = 64.0 * s.wo * s.band * s.k * s.k * s.n_cblk * s.n_ocb;
  using Clock = std::chrono::steady_clock;
  table.conv(a);
  int calls = 0;
  double seconds = 0;
  auto start = Clock::now();
  do {
    for (int i = 0; i < 20; ++i) table.conv(a);
    calls += 20;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
  } while (seconds < 0.2);
  return macs * calls / seconds * 1e-9;
}

}  // namespace

int main() {
  const Shape shapes[] = {
      {"1x1 56x2   64->64", 56, 2, 1, 1, 8, 8},     {"3x3 56x2   64->32", 56, 2, 3, 1, 8, 4},
      {"3x3 28x2   64->16", 28, 2, 3, 1, 8, 2},     {"1x1 14x4  256->64", 14, 4, 1, 1, 32, 8},
      {"3x3 14x7   64->16", 14, 7, 3, 1, 8, 2},     {"3x3/2 14x2 64->16", 14, 2, 3, 2, 8, 2},
      {"1x1 7x7   256->64", 7, 7, 1, 1, 32, 8},     {"3x3 7x7    64->32", 7, 7, 3, 1, 8, 4},
      {"7x7/2 112x1 8->32", 112, 1, 7, 2, 1, 4},    {"fc 1x1    512->64", 1, 1, 1, 1, 64, 8},
  };
  for (const char* name : {"portable", "avx2", "vnni"}) {
    const KernelTable* table = FindKernels(name);
    if (table == nullptr) continue;
    for (const Shape& s : shapes) std::printf("%-8s  %s  %7.1f GMAC/s\n", name, s.name, GmacPerSecond(*table, s));
  }
  return 0;
}
