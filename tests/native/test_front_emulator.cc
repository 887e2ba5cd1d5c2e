// An item with a front, and one whose input is kept, on a core of the emulator in check mode: values, cycles, MACs, no race,
// nothing read that was not written.
#include <cstdio>

#include "front_item.h"
#include "one_core.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

namespace {

void TestItem(const Item& it) {
  const Outcome alone = it.Run();
  CheckValues(it, alone, "alone");
  CheckEmulated(it.c, it.traffic, it.passes * it.n_bands, it.out_bytes(), it.expected, alone);
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
