// Cycles of a kernel call (docs/device-keys.md).
#include <algorithm>

#include "tvm_aie/emulator.h"

namespace tvm_aie {
namespace {

// The counts come from untrusted messages: sums saturate here instead of overflowing.
constexpr int64_t kMaxKernelCycles = int64_t{1} << 40;

int64_t CeilCycles(__int128 fixed) {
  const __int128 cycles = (fixed + kFixedOne - 1) >> kFixedBits;
  return cycles > kMaxKernelCycles ? kMaxKernelCycles : static_cast<int64_t>(cycles);
}

}  // namespace

int64_t KernelCycles(const DeviceParams& device, const KernelCall& call) {
  if (device.ideal) {
    const __int128 rate = call.wide ? device.macs_per_cycle_int16 : device.macs_per_cycle;
    const __int128 fast = device.macs_per_cycle_int4;
    const __int128 work = (call.macs - call.macs_int4) * fast + call.macs_int4 * rate;
    const __int128 cycles = (work + rate * fast - 1) / (rate * fast);
    return cycles > kMaxKernelCycles ? kMaxKernelCycles : static_cast<int64_t>(cycles);
  }
  if (call.id == kConv) {
    const int64_t per_acc = call.wide ? device.conv_int16_per_acc : device.conv_ii_per_acc;
    __int128 sum = device.conv_call;
    sum += static_cast<__int128>(call.chunks) * device.conv_a;
    for (size_t n = 1; n < call.trips.size(); ++n) {
      const int64_t ii = std::max(device.conv_ii_min, static_cast<int64_t>(n) * per_acc);
      const int64_t ii4 = std::max(device.conv_ii_min, static_cast<int64_t>(n) * device.conv_int4_per_acc);
      sum += static_cast<__int128>(call.trips[n]) * ii + static_cast<__int128>(call.trips_int4[n]) * ii4;
    }
    sum += static_cast<__int128>(call.segments) * device.conv_segment;
    sum += static_cast<__int128>(call.entries) * device.conv_entry;
    sum += static_cast<__int128>(call.blocks) * device.conv_gamma;
    // The second stage is the loop of the ADD kernel.
    const KernelCost& add = device.kernel[kAdd];
    sum += static_cast<__int128>(call.tail_lines) * add.a + static_cast<__int128>(call.tail_vectors) * add.ii;
    if (call.pool_id > 0) {
      const KernelCost& pool = device.kernel[static_cast<size_t>(call.pool_id)];
      sum += static_cast<__int128>(call.pool_lines) * pool.a + static_cast<__int128>(call.pool_vectors) * pool.ii;
    }
    // Rows that are taken over are copied: the loop of UPSAMPLE.
    const KernelCost& copy = device.kernel[kUpsample];
    sum += static_cast<__int128>(call.moved_lines) * copy.a + static_cast<__int128>(call.moved_vectors) * copy.ii;
    return CeilCycles(sum);
  }
  const auto id = static_cast<size_t>(call.id);
  const KernelCost cost = id < device.kernel.size() ? device.kernel[id] : KernelCost{};
  return CeilCycles(cost.call + static_cast<__int128>(call.chunks) * cost.a +
                    static_cast<__int128>(call.trips[1]) * cost.ii);
}

}  // namespace tvm_aie
