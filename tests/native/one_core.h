// A program of one core, for items that a test has put together (front_item.h, carry_item.h).
#pragma once

#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

#include "check.h"
#include "front_item.h"
#include "program_builder.h"
#include "tvm_aie/emulator.h"

namespace tvm_aie::test {

constexpr int kConvCall = 100, kCopyCall = 7, kCopyLine = 3, kCopyVector = 2;

// One core; its two streams are constants, which pass through the memtile whole; of its output what fills the last slot of
// each of the n messages stays there.
inline Builder OneCore(const CoreConfig& c, const Traffic& traffic, int64_t n, int live) {
  Builder b;
  const int64_t room = Up(live, 64), out_bytes = n * room;
  const int64_t a = static_cast<int64_t>(traffic.a.size()), w = static_cast<int64_t>(traffic.w.size());
  const int shim = b.Tile(0, 0, kShim, 0), mem = b.Tile(0, 1, kMemtile, a + w + out_bytes);
  const int core = b.Tile(0, 2, kCore, Up(static_cast<int>(c.mem_bytes), 64));
  b.Flow(mem, 0, {{core, 0}}, kFlowA);
  b.Flow(mem, 1, {{core, 1}}, kFlowW);
  b.Flow(core, 0, {{mem, 0}}, kFlowO);
  b.Flow(shim, 0, {{mem, 4}}, kFlowLoad);
  b.Flow(shim, 1, {{mem, 5}}, kFlowLoadW);
  b.Flow(mem, 2, {{shim, 0}}, kFlowStore);
  b.cores.push_back({core, c.a_base, c.a_slot, c.a_slots, c.w_base, c.w_slot, c.w_slots, c.o_base, c.o_slot, c.o_slots,
                     c.acc_base, c.acc_bytes, c.ops_base, c.ops_bytes, c.hdr_base, c.hdr_bytes, 0});
  const auto ring = [&](int id, uint32_t base, uint32_t slot, uint32_t slots, int acq, int rel) {
    b.Bd({.tile = core, .id = id, .mem = core, .base = base, .dims = {{slot / 4, 1}}, .wrap = slots, .step = slot / 4,
          .acq_lock = acq, .acq_value = 1, .rel_lock = rel, .rel_value = 1, .next = id});
  };
  ring(0, c.a_base, c.a_slot, c.a_slots, kAFree, kAFull);
  ring(1, c.w_base, c.w_slot, c.w_slots, kWFree, kWFull);
  ring(2, c.o_base, c.o_slot, c.o_slots, kOFull, kOFree);
  b.locks = {{core, kAFree, c.a_slots}, {core, kWFree, c.w_slots}, {core, kOFree, c.o_slots}};
  b.Static(core, kS2mm, 0, 0, 0);
  b.Static(core, kS2mm, 1, 1, 0);
  b.Static(core, kMm2s, 0, 2, 0);
  b.constants = traffic.a;
  Append(&b.constants, traffic.w);
  b.ddr[kDdrOutput] = n * live;
  b.Bd({.tile = shim, .id = 0, .mem = kDdrConst, .dims = {{a / 4, 1}}, .control = true});
  b.Bd({.tile = shim, .id = 1, .mem = kDdrConst, .base = a, .dims = {{w / 4, 1}}});
  b.Bd({.tile = shim, .id = 2, .mem = kDdrOutput, .dims = {{n * live / 4, 1}}});
  struct Area { int64_t base, bytes; int in, out; };
  const Area areas[] = {{0, a, 4, 0}, {a, w, 5, 1}, {a + w, out_bytes, 0, 2}};
  for (int i = 0; i < 3; ++i) {
    const Area& area = areas[i];
    b.Bd({.tile = mem, .id = 2 * i, .mem = mem, .base = area.base, .dims = {{area.bytes / 4, 1}}, .rel_lock = i, .rel_value = 1, .control = i == 0});
    std::vector<std::pair<int64_t, int64_t>> dims = {{area.bytes / 4, 1}};
    if (i == 2) dims = {{n, room / 4}, {live / 4, 1}};
    b.Bd({.tile = mem, .id = 2 * i + 1, .mem = mem, .base = area.base, .dims = dims, .acq_lock = i, .acq_value = 1, .control = i == 0});
    b.Static(mem, kS2mm, area.in, 2 * i, 1);
    b.Static(mem, kMm2s, area.out, 2 * i + 1, 1);
  }
  b.Push(shim, kMm2s, 0, 0);
  b.Push(shim, kMm2s, 1, 1);
  b.Push(shim, kS2mm, 0, 2);
  b.device["kernel.conv.call"] = kConvCall;
  b.device["kernel.upsample.call"] = kCopyCall;
  b.device["kernel.upsample.a"] = kCopyLine;
  b.device["kernel.upsample.ii"] = kCopyVector;
  return b;
}

// In the emulator, in check mode and without values, what the core did alone: cycles, MACs, output; and no race.
inline void CheckEmulated(const CoreConfig& c, const Traffic& traffic, int64_t n, int live, const Values& expected, const Outcome& alone) {
  int64_t busy = 0, macs = 0, dense = 0;
  for (const KernelCall& call : alone.calls) {
    const bool conv = call.id == kConv;
    busy += conv ? kConvCall : kCopyCall;
    busy += (conv ? call.moved_lines : call.chunks) * kCopyLine + (conv ? call.moved_vectors : call.trips[1]) * kCopyVector;
    macs += call.macs, dense += call.dense_macs;
  }
  try {
    const Program program = LoadProgram(OneCore(c, traffic, n, live).Build());
    for (bool functional : {true, false}) {
      Bytes input(Size(program.ddr_bytes[kDdrInput])), output(expected.size());
      RunOptions options;
      options.functional = options.check = functional;
      const RunResult result = RunProgram(program, input, output, options);
      const ItemStats& s = result.items[0];
      CHECK(s.kernel_calls == static_cast<int64_t>(alone.calls.size()) && s.busy_sum == busy && s.macs == macs && s.dense_macs == dense,
            "%lld calls, %lld cycles", static_cast<long long>(s.kernel_calls), static_cast<long long>(s.busy_sum));
      for (size_t i = 0; i < expected.size() && functional; ++i) {
        CHECK(static_cast<int8_t>(output[i]) == expected[i], "byte %zu", i);
      }
    }
  } catch (const std::exception& e) {
    CHECK(false, "%s", e.what());
  }
}

}  // namespace tvm_aie::test
