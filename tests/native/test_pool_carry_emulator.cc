// Items whose bands take rows over, on a core of the emulator in check mode: values, cycles, MACs, no race, nothing read that
// was not written.
#include <cstdio>

#include "carry_item.h"
#include "one_core.h"

using namespace tvm_aie;
using namespace tvm_aie::test;

int main() {
  for (unsigned seed = 1; seed <= 80; ++seed) {
    Rng rng(seed);
    const CarryItem it = CarryItem::Random(rng, seed % 2 == 0);
    const Outcome alone = it.Run();
    CheckValues(it, alone);
    CheckEmulated(it.c, it.traffic, it.messages(), it.out_bytes(), it.expected, alone);
  }
  std::printf("test_pool_carry_emulator: ok\n");
  return 0;
}
