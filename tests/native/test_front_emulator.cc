// An item with a front, and one whose input is kept, on a core of the emulator in check mode: values, cycles, MACs, no race,
// nothing read that was not written.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "front_item.h"
#include "one_core.h"
#include "tvm_aie/emulator.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

void TestItem(const Item& it) {
  const Outcome alone = it.Run();
  CheckValues(it, alone, "alone");
  int64_t busy = 0, macs = 0, dense = 0;
  for (const KernelCall& call : alone.calls) {
    busy += call.id == kConv ? kConvCall : kCopyCall;
    macs += call.macs, dense += call.dense_macs;
  }
  try {
    const Program program = LoadProgram(OneCore(it.c, it.traffic, it.passes * it.n_bands, it.out_bytes()).Build());
    for (bool functional : {true, false}) {
      Bytes input(Size(program.ddr_bytes[kDdrInput])), output(it.expected.size());
      RunOptions options;
      options.functional = options.check = functional;
      const RunResult result = RunProgram(program, input, output, options);
      const ItemStats& s = result.items[0];
      CHECK(s.kernel_calls == static_cast<int64_t>(alone.calls.size()) && s.busy_sum == busy && s.macs == macs && s.dense_macs == dense,
            "%lld calls, %lld cycles", static_cast<long long>(s.kernel_calls), static_cast<long long>(s.busy_sum));
      for (size_t i = 0; i < it.expected.size() && functional; ++i) {
        CHECK(static_cast<int8_t>(output[i]) == it.expected[i], "byte %zu", i);
      }
    }
  } catch (const std::exception& e) {
    CHECK(false, "%s", e.what());
  }
}

}  // namespace

int main() {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    TestItem(Item::Random(rng));
    Item kept;
    kept.front = 0, kept.tail = seed % 2 != 0, kept.passes = 1 + Below(rng, 2);
    kept.Fill(rng);
    TestItem(kept);
  }
  std::printf("test_front_emulator: ok\n");
  return 0;
}
