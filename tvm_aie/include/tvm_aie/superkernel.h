// The superkernel: interpreter of the opcode stream of one core. One source for the emulator and the array.
//
// `Step` returns what the core does next; the caller performs it. On the array the caller is a loop of lock
// intrinsics (kernels/superkernel_main.cc); in the emulator it is a process of the discrete-event model.
// In the emulator everything in core memory is untrusted input: a malformed message yields kFault, never
// undefined behaviour.
#pragma once

#include <array>
#include <cstdint>
#ifndef TVM_AIE_ON_ARRAY
#include <string>
#endif

namespace tvm_aie {

// What is wrong, in words. A core has no room for words: there, texts vanish and `fault_code` remains.
#ifdef TVM_AIE_ON_ARRAY
struct FaultText {
  FaultText() = default;
  FaultText(const char*) {}
  friend FaultText operator+(FaultText, FaultText) { return {}; }
};
template <typename T>
FaultText ToText(T) { return {}; }
#else
using FaultText = std::string;
template <typename T>
FaultText ToText(T value) { return std::to_string(value); }
#endif

// Bytes; `mem` is core data memory. All rings start 64-byte aligned.
struct CoreConfig {
  uint32_t mem_bytes = 0;
  uint32_t a_base = 0, a_slot = 0, a_slots = 0;
  uint32_t w_base = 0, w_slot = 0, w_slots = 0;
  uint32_t o_base = 0, o_slot = 0, o_slots = 0;
  uint32_t acc_base = 0, acc_bytes = 0;
  uint32_t ops_base = 0, ops_bytes = 0;
  uint32_t hdr_base = 0, hdr_bytes = 0;
};

// Core lock ids (docs/program.md section 1). DIVIDE changes between two banks of the A and of the O ring's locks.
enum CoreLock : int {
  kAFree = 0, kAFull = 1, kWFree = 2, kWFull = 3, kOFree = 4, kOFull = 5,
  kAFree1 = 6, kAFull1 = 7, kOFree1 = 8, kOFull1 = 9,
};
constexpr int kMaxSlots = 63;  // of a ring that DIVIDE lays out: a lock counts them

// kScale runs inside CONV alone. kFront is the 1x1 convolution in front of a CONV that reads ACC.
enum KernelId : int { kConv = 1, kAdd = 2, kMaxPool = 3, kAvgPool = 4, kUpsample = 5, kScale = 6, kFront = 7 };

// Flags of a weight message: a row of Gamma that is full needs no look-up; the activations, the outputs are int16; what
// only the rounding needs, biases and shifts, is left out, since more input chunks follow; kDenseRows of the front's
// Gamma; the input lies in ACC (KEEP), the convolution needs no activation message.
constexpr uint32_t kDenseRows = 1, kWideInput = 2, kWideOutput = 4, kPartial = 8, kFrontDense = 16, kKeptInput = 32;
constexpr uint32_t kAllFlags = 63;

struct MemRange {
  uint32_t begin = 0, end = 0;
};

// What one kernel call did: for the cost formula, the statistics and the race checker. The array only performs it.
struct KernelCall {
  int id = 0;
#ifndef TVM_AIE_ON_ARRAY
  int64_t macs = 0;            // true MACs: valid pixels x live blocks x 64 x taps (0 for channel-wise kernels)
  int64_t dense_macs = 0;      // the same with every block live
  int64_t macs_int4 = 0;       // those of `macs` that int4 weights do
  int64_t chunks = 0;          // groups of up to 8 accumulators (conv), or lines (channel-wise)
  std::array<int64_t, 9> trips{};  // trips[n]: inner trips with n live accumulators (conv); trips[1]: vectors (channel-wise)
  bool wide = false;               // int16 activations: every trip and every MAC is int16 x int8
  std::array<int64_t, 9> trips_int4{};  // trips of int4 pairs (conv)
  int64_t blocks = 0;          // (ocb, cblk) pairs looked up in Gamma, summed over chunks
  int64_t segments = 0;        // runs of listed entries begun, summed over chunks
  int64_t entries = 0;         // listed entries read, summed over chunks
  int64_t tail_lines = 0, tail_vectors = 0;  // second stage of a fused convolution: lines, 32-byte vectors
  int pool_id = 0;             // pool inside a convolution: kMaxPool or kAvgPool, its lines and 32-byte vectors
  int64_t pool_lines = 0, pool_vectors = 0;
  int64_t moved_lines = 0, moved_vectors = 0;  // rows between the two that the call before has computed: blocks, 32-byte vectors
  std::array<MemRange, 6> reads{};
  int n_reads = 0;
  std::array<MemRange, 4> writes{};
  int n_writes = 0;
#endif
};

enum class StepKind { kAcquire, kRelease, kKernel, kControl, kHalt, kFault };

struct Step {
  StepKind kind = StepKind::kHalt;
  int lock = 0;       // kAcquire / kRelease
  int value = 0;      // kAcquire: wait for lock >= value, then subtract; kRelease: add
  int opcodes = 0;    // opcodes begun by this step (0 or 1): the caller charges core.opcode_cycles for each
  KernelCall call;    // kKernel: already performed (if functional); the caller charges the time
};

struct SuperkernelState {
  int phase = 0;               // internal
  int pending = 0;             // internal
  uint32_t pc = 0, n_words = 0;
  int32_t item = -1;
  int a_bank = 0, o_bank = 0;  // of the rings' locks
  uint32_t a_pos = 0, w_pos = 0, o_pos = 0;   // ring positions in slots
  uint32_t a_msg = 0, a_held = 0;             // byte address and slots of the held message
  uint32_t w_msg = 0, w_held = 0;
  uint32_t o_msg = 0, o_held = 0;
  uint32_t kept = 0;                          // bytes of the item's input, or of a front's rows, that lie in ACC
  // Rows [begin, end) of a window's output that the last CONV with stage kind 7 has left in ACC, from byte `stage_at` on, in
  // lines of `line` pixels; `x`: its part of a line.
  struct Carried {
    bool valid = false;
    int32_t begin = 0, end = 0, x = 0, line = 0;
    uint32_t stage_at = 0;
  };
  Carried carried;
  // Header of the last weight message, checked when it was acquired; stays valid until the next ACQ_W.
  struct Header {
    bool valid = false;
    uint32_t n_slots = 0, hdr_bytes = 0, n_ocb = 0, o_slots = 0, nnz = 0, cb0 = 0, res_blocks = 0;
    uint32_t n_taps = 0, n_pairs = 0, flags = 0;  // docs/program.md section 2: unrolled lists, kDenseRows
    // The front's: its part of HDR and its tiles (bytes from the message's begin), output blocks (0: none), blocks stored.
    uint32_t front_at = 0, front_tiles = 0, front_ocb = 0, front_nnz = 0;
  };
  Header header;
  int depth = 0;
  struct Loop {
    uint32_t body = 0;
    int32_t count = 0, index = 0;
  };
  std::array<Loop, 4> loops{};
  int fault_code = 0;
  FaultText fault;           // set with kFault
};

// Performs the next step of the core. `functional` = false: no arithmetic (headers and opcodes are still read).
// DIVIDE writes `config`.
// When a kAcquire is returned, the caller must call Step again only after the lock has been acquired.
Step NextStep(SuperkernelState& state, CoreConfig& config, uint8_t* mem, bool functional);

// Whether the core holds nothing and the step just returned acquires the first slot of an opcode message.
bool AwaitsMessage(const SuperkernelState& state);

}  // namespace tvm_aie
