// DEVICE_KEYS / DEVICE_VALUES -> DeviceParams (docs/device-keys.md). A missing or unknown key is an error.
#include <algorithm>

#include "emulator/program_loader.h"

namespace tvm_aie {
namespace {

constexpr int64_t kMaxFixed = int64_t{1} << 50;  // 2^30 units: far beyond any device, far below overflow

class KeyTable {
 public:
  KeyTable(const std::vector<std::string_view>& keys, const std::vector<int64_t>& values)
      : keys_(keys), values_(values), used_(keys.size(), false) {
    if (keys.size() != values.size()) {
      ProgramFail("DEVICE_KEYS: ", keys.size(), " keys, but ", values.size(), " values");
    }
  }

  // Fixed point, >= `minimum`.
  int64_t Fixed(const std::string& key, int64_t minimum = 0) {
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (keys_[i] != key) continue;
      if (used_[i]) break;
      used_[i] = true;
      const int64_t value = values_[i];
      if (value < minimum || value > kMaxFixed) ProgramFail("DEVICE_VALUES: ", key, " is out of range");
      for (size_t j = i + 1; j < keys_.size(); ++j) {
        if (keys_[j] == key) ProgramFail("DEVICE_KEYS: ", key, " appears twice");
      }
      return value;
    }
    ProgramFail("DEVICE_KEYS: ", key, " is missing");
  }

  // Rounded to a whole number.
  int64_t Whole(const std::string& key) { return (Fixed(key) + kFixedOne / 2) >> kFixedBits; }

  void CheckAllUsed() const {
    for (size_t i = 0; i < keys_.size(); ++i) {
      if (!used_[i]) ProgramFail("DEVICE_KEYS: unknown key ", keys_[i].substr(0, 64));
    }
  }

 private:
  const std::vector<std::string_view>& keys_;
  const std::vector<int64_t>& values_;
  std::vector<bool> used_;
};

}  // namespace

DeviceParams LoadDevice(const Container& file, int columns) {
  const auto bytes = file.Bytes(kSecDeviceKeys);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::vector<std::string_view> keys;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    keys.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (keys.size() > 1024) ProgramFail("DEVICE_KEYS: more than 1,024 keys");
  }
  const TableView table = file.Table(kSecDeviceValues);
  if (table.rows() > 1024) ProgramFail("DEVICE_VALUES: more than 1,024 values");
  std::vector<int64_t> values;
  for (int64_t i = 0; i < table.rows(); ++i) values.push_back(table.At(i, 0));
  return MakeDevice(keys, values, columns);
}

DeviceParams MakeDevice(const std::vector<std::string_view>& names, const std::vector<int64_t>& values, int columns) {
  KeyTable keys(names, values);
  DeviceParams d;
  // 1/256 word per cycle at least, so that no segment lasts longer than a cycle counter can hold.
  constexpr int64_t kMinRate = kFixedOne / 256;
  d.clock_mhz_fx = keys.Fixed("clock_mhz", 1);
  d.queue_depth = keys.Whole("dma.queue_depth");
  if (d.queue_depth < 1 || d.queue_depth > kMaxQueueDepth) {
    ProgramFail("DEVICE_VALUES: dma.queue_depth ", d.queue_depth, " is not in 1..", kMaxQueueDepth);
  }
  constexpr std::array<const char*, kNumFlowClasses> kClasses = {"a", "w", "o", "load", "loadw", "store"};
  for (size_t i = 0; i < kClasses.size(); ++i) {
    d.flow_rate_fx[i] = keys.Fixed(std::string("flow.") + kClasses[i] + ".words_per_cycle", kMinRate);
  }
  d.bd_start = {keys.Whole("dma.shim_bd_start_cycles"), keys.Whole("dma.memtile_bd_start_cycles"),
                keys.Whole("dma.core_bd_start_cycles")};
  d.shim_task = {keys.Whole("shim.s2mm_task_cycles"), keys.Whole("shim.mm2s_task_cycles")};
  d.shim_first = {keys.Whole("shim.s2mm_first_cycles"), keys.Whole("shim.mm2s_first_cycles")};
  for (int c = 1; c <= columns; ++c) {
    d.ddr_fx.push_back(keys.Fixed("ddr.bytes_per_cycle_" + std::to_string(c)));
    if (d.ddr_fx.back() != 0 && d.ddr_fx.back() < kMinRate) {
      ProgramFail("DEVICE_VALUES: ddr.bytes_per_cycle_", c, " is below 1/256");
    }
  }
  d.link_o_fx = keys.Fixed("link.o_bytes_per_cycle");
  if (d.link_o_fx != 0 && d.link_o_fx < kMinRate) ProgramFail("DEVICE_VALUES: link.o_bytes_per_cycle is below 1/256");
  d.bd_write = keys.Whole("cmd.bd_write_cycles");
  d.push_idle = keys.Whole("cmd.push_idle_cycles");
  d.lock_write = keys.Whole("cmd.lock_write_cycles");
  d.push_queued = keys.Whole("cmd.push_queued_cycles");
  d.launch = keys.Whole("cmd.launch_cycles");
  d.ideal = keys.Whole("core.ideal") != 0;
  d.macs_per_cycle = keys.Whole("core.macs_per_cycle");
  if (d.macs_per_cycle < 1) ProgramFail("DEVICE_VALUES: core.macs_per_cycle is below 1");
  d.macs_per_cycle_int4 = keys.Whole("core.macs_per_cycle_int4");
  if (d.macs_per_cycle_int4 < 1) ProgramFail("DEVICE_VALUES: core.macs_per_cycle_int4 is below 1");
  d.macs_per_cycle_int16 = keys.Whole("core.macs_per_cycle_int16");
  if (d.macs_per_cycle_int16 < 1) ProgramFail("DEVICE_VALUES: core.macs_per_cycle_int16 is below 1");
  d.opcode_cycles = keys.Whole("core.opcode_cycles");
  d.conv_call = keys.Fixed("kernel.conv.call");
  d.conv_a = keys.Fixed("kernel.conv.a");
  d.conv_ii_per_acc = keys.Fixed("kernel.conv.ii_per_acc");
  d.conv_ii_min = keys.Fixed("kernel.conv.ii_min");
  d.conv_gamma = keys.Fixed("kernel.conv.gamma");
  d.conv_entry = keys.Fixed("kernel.conv.entry");
  d.conv_segment = keys.Fixed("kernel.conv.segment");
  d.conv_int16_per_acc = keys.Fixed("kernel.conv.int16_per_acc");
  d.conv_int4_per_acc = keys.Fixed("kernel.conv.int4_per_acc");
  constexpr std::array<const char*, 4> kNames = {"add", "maxpool", "avgpool", "upsample"};
  for (size_t i = 0; i < kNames.size(); ++i) {
    const std::string prefix = std::string("kernel.") + kNames[i] + ".";
    d.kernel[kAdd + i] = {keys.Fixed(prefix + "call"), keys.Fixed(prefix + "a"), keys.Fixed(prefix + "ii")};
  }
  keys.CheckAllUsed();
  return d;
}

}  // namespace tvm_aie
