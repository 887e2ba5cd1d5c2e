// Builds serialised programs for the native tests, table by table (docs/program.md section 5).
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "tvm_aie/program.h"

namespace tvm_aie::test {

struct BdSpec {
  int tile = 0, id = 0, mem = 0;
  int64_t base = 0;
  std::vector<std::pair<int64_t, int64_t>> dims = {};      // (size, stride), outermost first
  std::vector<std::pair<int64_t, int64_t>> pads = {};      // (before, after), aligned to the right
  int64_t wrap = 1, step = 0;
  int acq_lock = -1, acq_value = 0, rel_lock = -1, rel_value = 0;  // locks of `tile`
  int next = -1;
  bool control = false;
};

using Rows = std::vector<std::vector<int64_t>>;

struct Builder {
  std::map<std::string, double> device;
  Rows tiles, locks, flows, dsts, cores, bds, links, static_bds, tasks, commands, io, io_map;
  std::vector<int64_t> ddr = {0, 4096, 4096, 4096};
  std::vector<uint8_t> constants;

  // Every cost is 0 and every rate one word per cycle; DDR is unlimited.
  explicit Builder(int columns = 1) {
    device["clock_mhz"] = 1000;
    device["dma.queue_depth"] = 4;
    for (const char* f : {"a", "w", "o", "load", "loadw", "store"}) {
      device[std::string("flow.") + f + ".words_per_cycle"] = 1;
    }
    for (const char* key :
         {"dma.core_bd_start_cycles", "dma.memtile_bd_start_cycles", "dma.shim_bd_start_cycles",
          "shim.mm2s_task_cycles", "shim.mm2s_first_cycles", "shim.s2mm_task_cycles", "shim.s2mm_first_cycles",
          "link.o_bytes_per_cycle", "cmd.bd_write_cycles", "cmd.push_idle_cycles", "cmd.push_queued_cycles", "cmd.lock_write_cycles",
          "cmd.launch_cycles", "core.ideal", "core.opcode_cycles", "kernel.conv.call", "kernel.conv.a",
          "kernel.conv.ii_per_acc", "kernel.conv.ii_min", "kernel.conv.gamma", "kernel.conv.entry",
          "kernel.conv.segment", "kernel.conv.int4_per_acc", "kernel.conv.int16_per_acc"}) {
      device[key] = 0;
    }
    for (const char* kernel : {"add", "maxpool", "avgpool", "upsample"}) {
      for (const char* key : {"call", "a", "ii"}) device[std::string("kernel.") + kernel + "." + key] = 0;
    }
    device["core.macs_per_cycle"] = 256;
    device["core.macs_per_cycle_int4"] = 512;
    device["core.macs_per_cycle_int16"] = 128;
    for (int c = 1; c <= columns; ++c) device["ddr.bytes_per_cycle_" + std::to_string(c)] = 0;
  }

  int Tile(int col, int row, int kind, int64_t bytes) {
    tiles.push_back({col, row, kind, bytes, 16, 16});
    return static_cast<int>(tiles.size()) - 1;
  }
  void Flow(int src, int src_ch, std::vector<std::pair<int, int>> to, int cls, int link = -1) {
    flows.push_back({src, src_ch, static_cast<int64_t>(dsts.size()), static_cast<int64_t>(to.size()), cls, link});
    for (const auto& [tile, ch] : to) dsts.push_back({tile, ch});
  }
  int Bd(const BdSpec& b, bool is_static = true) {
    std::vector<int64_t> size(4, 1), stride(4, 0), before(4, 0), after(4, 0);
    const size_t n = b.dims.size();
    for (size_t i = 0; i < n; ++i) {
      size[4 - n + i] = b.dims[i].first;
      stride[4 - n + i] = b.dims[i].second;
    }
    for (size_t i = 0; i < b.pads.size(); ++i) {
      before[4 - b.pads.size() + i] = b.pads[i].first;
      after[4 - b.pads.size() + i] = b.pads[i].second;
    }
    int64_t length = 1;
    for (size_t i = 0; i < 4; ++i) length *= size[i] + before[i] + after[i];
    std::vector<int64_t> row = {b.tile, b.id, b.mem, b.base, length, static_cast<int64_t>(n)};
    row.insert(row.end(), size.begin(), size.end());
    row.insert(row.end(), stride.begin(), stride.end());
    row.insert(row.end(), {b.wrap, b.step});
    row.insert(row.end(), before.begin() + 1, before.end());
    row.insert(row.end(), after.begin() + 1, after.end());
    row.insert(row.end(), {b.acq_lock < 0 ? -1 : b.tile, b.acq_lock < 0 ? 0 : b.acq_lock, b.acq_value});
    row.insert(row.end(), {b.rel_lock < 0 ? -1 : b.tile, b.rel_lock < 0 ? 0 : b.rel_lock, b.rel_value, 0, 0});
    bds.push_back(row);
    links.push_back({b.next, b.control ? 1 : 0});
    const int index = static_cast<int>(bds.size()) - 1;
    if (is_static) static_bds.push_back({index});
    return index;
  }
  void Static(int tile, int dir, int ch, int bd, int64_t repeat) { tasks.push_back({tile, dir, ch, bd, repeat, -1}); }
  void Write(int row) { commands.push_back({kWriteBd, row, 0, 0, 0, 0, 0}); }
  void Push(int tile, int dir, int ch, int bd, int64_t repeat = 1, int item = 0) {
    commands.push_back({kPush, tile, dir, ch, bd, repeat, item});
  }
  void SetLock(int tile, int lock, int64_t value) { commands.push_back({kSetLock, tile, lock, value, 0, 0, 0}); }
  void Wait(int tile, int dir, int ch, int64_t count) { commands.push_back({kWait, tile, dir, ch, count, 0, 0}); }

  static void FixCrc(std::vector<uint8_t>& file) {
    const uint32_t crc = Crc32(file.data() + 32, file.size() - 32);
    std::memcpy(file.data() + 24, &crc, 4);
  }

  std::vector<uint8_t> Build() const {
    std::string keys;
    Rows values;
    for (const auto& [key, value] : device) {
      keys += (keys.empty() ? "" : "\n") + key;
      values.push_back({std::llround(value * static_cast<double>(kFixedOne))});
    }
    std::vector<int64_t> sizes = ddr;
    sizes[0] = static_cast<int64_t>(constants.size());
    const std::string meta = "{}";
    std::vector<std::pair<std::vector<uint8_t>, uint32_t>> parts = {
        {Raw(meta), 1}, {Raw(keys), 1}, {Table(values), 8}, {Table(tiles), 8}, {Table(locks), 8}, {Table(flows), 8},
        {Table(dsts), 8}, {Table(cores), 8}, {Table(bds), 8}, {Table(links), 8}, {Table(static_bds), 8},
        {Table(tasks), 8}, {Table(commands), 8}, {Table({sizes}), 8}, {constants, 1}, {Table(io), 8},
        {Table(io_map), 8}};
    std::vector<uint8_t> file(32 + 24 * parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      file.resize((file.size() + 7) / 8 * 8);
      uint8_t* entry = file.data() + 32 + 24 * i;
      Put<uint32_t>(entry, static_cast<uint32_t>(i + 1));
      Put<uint32_t>(entry + 4, parts[i].second);
      Put<uint64_t>(entry + 8, file.size());
      Put<uint64_t>(entry + 16, parts[i].first.size() / parts[i].second);
      file.insert(file.end(), parts[i].first.begin(), parts[i].first.end());
    }
    std::memcpy(file.data(), "TVMAIE2\0", 8);
    Put<uint32_t>(file.data() + 8, 3);
    Put<uint32_t>(file.data() + 12, static_cast<uint32_t>(parts.size()));
    Put<uint64_t>(file.data() + 16, file.size());
    FixCrc(file);
    return file;
  }

 private:
  template <typename T>
  static void Put(uint8_t* at, T value) {
    std::memcpy(at, &value, sizeof value);
  }
  static std::vector<uint8_t> Raw(const std::string& text) { return {text.begin(), text.end()}; }
  static std::vector<uint8_t> Table(const Rows& rows) {
    std::vector<uint8_t> out;
    for (const auto& row : rows) {
      const auto* data = reinterpret_cast<const uint8_t*>(row.data());
      out.insert(out.end(), data, data + row.size() * 8);
    }
    return out;
  }
};

}  // namespace tvm_aie::test
