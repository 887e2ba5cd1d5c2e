// A validated program (docs/program.md): what the array executes, and nothing else.
//
// `LoadProgram` is the only way to get one. Serialised bytes are untrusted input: whatever it returns can be
// executed without a further check of an index, a size or an address; everything else is a ProgramError.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tvm_aie/superkernel.h"

namespace tvm_aie {

// Bytes that are damaged, or that describe something the array does not have.
class ProgramError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum TileKind : int { kShim = 0, kMemtile = 1, kCore = 2 };
enum Direction : int { kS2mm = 0, kMm2s = 1 };
enum FlowClass : int { kFlowA = 0, kFlowW, kFlowO, kFlowLoad, kFlowLoadW, kFlowStore, kNumFlowClasses };
enum CommandOp : int { kWriteBd = 0, kPush = 1, kWait = 2, kMark = 3, kSetLock = 4 };
enum DdrArg : int { kDdrConst = 0, kDdrInput = 1, kDdrOutput = 2, kDdrScratch = 3, kNumDdrArgs = 4 };

inline constexpr int kMaxLockValue = 63;     // 6-bit locks
inline constexpr int kMaxQueueDepth = 16;    // tasks; the real queues hold 4
inline constexpr int kMaxTiles = 1024;
inline constexpr int kMaxChannelsPerDirection = 64;
inline constexpr int kMaxItem = 65535;
inline constexpr int64_t kMaxTileBytes = int64_t{1} << 24;
inline constexpr int64_t kMaxArrayBytes = int64_t{1} << 28;  // all tiles together
inline constexpr int64_t kMaxDdrBytes = int64_t{1} << 32;
inline constexpr int kFixedBits = 20;        // device values are value x 2^20
inline constexpr int64_t kFixedOne = int64_t{1} << kFixedBits;

struct Tile {
  int32_t col = 0, row = 0, kind = 0;
  int64_t mem_bytes = 0;
  int32_t n_locks = 0, n_bds = 0;
  int32_t lock_base = 0, bd_base = 0;  // index of lock 0 / BD 0 in the arrays over all tiles
};

struct Endpoint {
  int32_t tile = 0, ch = 0, channel = 0;  // `channel`: index into Program::channels
};

struct Flow {
  Endpoint src;
  std::vector<Endpoint> dsts;
  int32_t cls = 0, link = -1;
};

// One end of a flow. A DMA channel without a flow cannot move anything and does not exist here.
struct ChannelInfo {
  int32_t tile = 0, dir = 0, ch = 0, flow = 0;
};

struct Bd {
  int32_t tile = 0, bd_id = 0;
  int32_t mem = 0;             // tile index, or DDR argument when `tile` is a shim
  int32_t next_bd = -1;
  int32_t acq_lock = -1, acq_value = 0;  // index over the locks of all tiles; -1 = none
  int32_t rel_lock = -1, rel_value = 0;
  int64_t base = 0;            // bytes
  int64_t length = 0;          // words, padding included
  int64_t iter_wrap = 1, iter_step = 0;
  bool control = false;
  bool contiguous = false;     // one run of `length` words
  bool padded = false;
  std::array<int64_t, 4> size{}, stride{}, pad_before{}, pad_after{};  // outermost first; words

  bool operator==(const Bd&) const = default;
};

struct StaticTask {
  int32_t channel = 0, bd = 0, item = -1;
  int64_t repeat = 0;          // 0 = forever
};

struct Command {
  int32_t op = 0;
  int32_t row = 0;             // WRITE_BD
  int32_t channel = 0, bd = 0; // PUSH, WAIT
  int32_t item = -1;           // PUSH, MARK; for WRITE_BD the item it is booked on
  int32_t lock = -1;           // SET_LOCK: index over the locks of all tiles
  int64_t count = 0;           // PUSH: repeat; WAIT: completed tasks; SET_LOCK: value
};

struct CoreInfo {
  int32_t tile = 0, row = 0;
  CoreConfig config;
};

struct IoTensor {
  bool is_output = false;
  int64_t ddr_offset = 0, n = 1, c = 0, h = 0, w = 0, c_physical = 0;
  int64_t elem = 1;            // bytes per element: 1, or 2 for int16
  uint8_t flip = 0;            // xor mask, 0 or 0x80
  bool is_unsigned = false, flat = false;
  int64_t fold = 1;            // pixels of a line that are one pixel in DDR
  std::vector<int32_t> map;    // physical channel of each logical channel, of each pixel of a fold in turn

  int64_t Pixels() const { return (w + fold - 1) / fold; }                       // of a line in DDR
  int64_t DdrBytes() const { return h * Pixels() * c_physical * elem; }
};

struct KernelCost {            // fixed point
  int64_t call = 0, a = 0, ii = 0;
};

// DEVICE_KEYS. `*_fx` is fixed point; the other fields are whole cycles.
struct DeviceParams {
  int64_t clock_mhz_fx = 0;
  int64_t queue_depth = 0;
  std::array<int64_t, kNumFlowClasses> flow_rate_fx{};     // words/cycle
  std::array<int64_t, 3> bd_start{};                       // by TileKind
  std::array<int64_t, 2> shim_task{}, shim_first{};        // by Direction
  std::vector<int64_t> ddr_fx;                             // B/cycle with i+1 active columns; 0 = unlimited
  int64_t link_o_fx = 0;                                   // B/cycle; 0 = not shared
  int64_t bd_write = 0, push_idle = 0, push_queued = 0, lock_write = 0, launch = 0;
  bool ideal = false;
  int64_t macs_per_cycle = 0, macs_per_cycle_int4 = 0, macs_per_cycle_int16 = 0, opcode_cycles = 0;
  int64_t conv_call = 0, conv_a = 0, conv_ii_per_acc = 0, conv_ii_min = 0, conv_gamma = 0;  // fixed point
  int64_t conv_entry = 0, conv_segment = 0, conv_int4_per_acc = 0, conv_int16_per_acc = 0;  // fixed point
  std::array<KernelCost, 6> kernel{};                      // by KernelId, from kAdd on
};

struct Program {
  std::vector<uint8_t> bytes;  // the serialised form; `constants` and `meta` point into it
  std::span<const uint8_t> constants;
  std::string_view meta;
  DeviceParams device;
  std::vector<Tile> tiles;
  std::vector<Flow> flows;
  std::vector<ChannelInfo> channels;
  std::vector<CoreInfo> cores;
  std::vector<Bd> bds;
  std::vector<int32_t> lock_init;    // over the locks of all tiles
  std::vector<int32_t> static_bds;   // rows of `bds`
  std::vector<StaticTask> static_tasks;
  std::vector<Command> commands;
  std::array<int64_t, kNumDdrArgs> ddr_bytes{};
  std::vector<IoTensor> inputs, outputs;
  int32_t n_locks = 0, n_bd_slots = 0, n_items = 0;
  std::vector<int32_t> channel_lookup;  // see FindChannel

  Program() = default;
  Program(Program&&) = default;
  Program& operator=(Program&&) = default;
  Program(const Program&) = delete;             // the views would point into the original
  Program& operator=(const Program&) = delete;

  // -1 when no flow ends there.
  int FindChannel(int tile, int dir, int ch) const;
};

// Throws ProgramError.
Program LoadProgram(std::vector<uint8_t> bytes);

// zlib's CRC-32.
uint32_t Crc32(const uint8_t* data, size_t size);

// Names for messages: "core(1,3)", "memtile(1)", "shim(0)"; "memtile(1) MM2S 0"; "A_full", "lock 17".
std::string TileName(const Program& program, int tile);
std::string ChannelName(const Program& program, int channel);
std::string LockName(const Program& program, int lock);

}  // namespace tvm_aie
