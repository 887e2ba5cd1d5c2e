#include "tvm_aie/superkernel.h"

#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/kernel_call.h"

namespace tvm_aie {

namespace {

using kernels::kTrusted;
using kernels::UWide;
using kernels::Wide;

constexpr uint32_t kOpMagic = 0x0A1E0001, kWeightMagic = 0x0A1E0002;
constexpr uint32_t kOpHeaderWords = 6, kWeightHeaderBytes = 64;

// What NextStep does first when it is called again.
enum Phase : int {
  kCheck = 0,      // before the first step: is the configuration sound
  kFetch,          // acquire the first slot of an opcode message
  kReadOpHeader,   // the first slot is held: read f, acquire the rest
  kCopyOps,        // all slots are held: copy to OPS, release
  kExecute,        // the opcode at pc
  kReadWHeader,    // the first W slot is held: read n_slots, acquire the rest
  kCopyHeader,     // all W slots are held: copy the header to HDR
  kSkipRelease,    // the junk O slots are held: release them
  kEndOfA,         // the last A slots of the ring are held: filler, release them
  kEndOfO,         // the last O slots of the ring are held: junk, release them
  kAgainA,         // the ring position is 0: acquire the A message
  kAgainO,
  kDivideA,        // the O ring is empty: acquire all of the A ring
  kDivided,        // both rings are empty: take the new division, hand its A slots out
  kDividedO,
  kHalted,
  kFaulted,
};

enum Opcode : int {
  kEnd = 0, kLoop, kNext, kAcqA, kRelA, kAcqW, kRelW, kAcqO, kRelO, kKernelOp, kHaltOp, kSkipO, kDivide,
  kKeep, kDrop,
};

class Machine {
 public:
  Machine(SuperkernelState& state, CoreConfig& config, uint8_t* mem, bool functional)
      : s_(state), c_(config), mem_(mem), functional_(functional) {}

  // Phases that need no caller run on within one step.
  Step Run() {
    for (;;) {
      bool done = false;
      Step step = RunPhase(&done);
      if (done) return step;
    }
  }

 private:
  Step RunPhase(bool* done) {
    *done = true;
    switch (s_.phase) {
      case kCheck: return CheckConfig(done);
      case kFetch:
        s_.phase = kReadOpHeader;
        return Lock(StepKind::kAcquire, kAFull, 1, 0);
      case kReadOpHeader: return ReadOpHeader(done);
      case kCopyOps: return CopyOps();
      case kExecute: return Execute();
      case kReadWHeader: return ReadWHeader(done);
      case kCopyHeader: return CopyHeader(done);
      case kSkipRelease: {
        int n = s_.pending;
        s_.o_pos = (s_.o_pos + static_cast<uint32_t>(n)) % c_.o_slots;
        s_.phase = kExecute;
        return Lock(StepKind::kRelease, kOFull, n, 0);
      }
      case kEndOfA: {
        uint32_t n = c_.a_slots - s_.a_pos;
        s_.a_pos = 0;
        s_.phase = kAgainA;
        return Lock(StepKind::kRelease, kAFree, n, 0);
      }
      case kEndOfO: {
        uint32_t n = c_.o_slots - s_.o_pos;
        s_.o_pos = 0;
        s_.phase = kAgainO;
        return Lock(StepKind::kRelease, kOFull, n, 0);
      }
      case kDivideA: return DivideA(0);
      case kDivided: return Divided(0);
      case kDividedO:
        s_.phase = kExecute;
        return Lock(StepKind::kRelease, kOFree, c_.o_slots, 0);
      case kAgainA:
        s_.phase = kExecute;
        return AcquireA(s_.pending, 0);
      case kAgainO:
        s_.phase = kExecute;
        return AcquireO(0);
      case kHalted: return Control(StepKind::kHalt, 0);
      case kFaulted: return Control(StepKind::kFault, 0);
      default: return Fault("superkernel: state corrupted");
    }
  }

  // The lock of the bank in use.
  int Banked(int lock) const {
    static constexpr int kOther[] = {kAFree1, kAFull1, kWFree, kWFull, kOFree1, kOFull1};
    return (lock >= kOFree ? s_.o_bank : s_.a_bank) == 0 ? lock : kOther[lock];
  }
  Step Lock(StepKind kind, int lock, Wide value, int opcodes) const {
    Step step;
    step.kind = kind;
    step.lock = Banked(lock);
    step.value = static_cast<int>(value);
    step.opcodes = opcodes;
    return step;
  }
  Step Control(StepKind kind, int opcodes) const { return Lock(kind, 0, 0, opcodes); }

  Step Fault(const FaultText& text) {
    s_.phase = kFaulted;
    s_.fault_code = 1;
    s_.fault = text;
    return Control(StepKind::kFault, 0);
  }
  Step Continue(bool* done) {
    *done = false;
    return {};
  }

  bool Region(UWide base, UWide bytes) const { return base + bytes <= c_.mem_bytes; }

  Step CheckConfig(bool* done) {
    if (const char* problem = ConfigProblem(); problem != nullptr) return Fault(FaultText("config: ") + problem);
    s_.phase = kFetch;
    return Continue(done);
  }

  // What is wrong with the memory map; null: nothing.
  const char* ConfigProblem() const {
    if (kTrusted) return nullptr;
    auto ring = [&](uint32_t base, uint32_t slot, uint32_t slots, uint32_t unit) {
      constexpr uint32_t kMax = 1u << 24;
      return slot >= unit && slots >= 1 && slot < kMax && slots < kMax && slot % unit == 0 &&
             Region(base, UWide{slot} * slots);
    };
    if (!ring(c_.a_base, c_.a_slot, c_.a_slots, 4) || c_.a_slot < kOpHeaderWords * 4) return "bad A ring";
    if (!ring(c_.w_base, c_.w_slot, c_.w_slots, 64)) return "bad W ring (slots are multiples of 64 B)";
    if (!ring(c_.o_base, c_.o_slot, c_.o_slots, 4)) return "bad O ring";
    if (!Region(c_.acc_base, c_.acc_bytes) || !Region(c_.ops_base, c_.ops_bytes) ||
        !Region(c_.hdr_base, c_.hdr_bytes)) {
      return "ACC, OPS or HDR lies outside core memory";
    }
    return nullptr;
  }

  int32_t Word(UWide address) const {
    int32_t v;
    std::memcpy(&v, mem_ + address, 4);
    return v;
  }

  // Copies from a ring, from byte `offset` on, around its end.
  void CopyFromRing(uint32_t base, UWide ring_bytes, UWide offset, UWide bytes, uint32_t to) {
    UWide straight = ring_bytes - offset < bytes ? ring_bytes - offset : bytes;
    // memmove: a malformed configuration may lay OPS or HDR over the ring.
    std::memmove(mem_ + to, mem_ + base + offset, straight);
    std::memmove(mem_ + to + straight, mem_ + base, bytes - straight);
  }

  Step ReadOpHeader(bool* done) {
    UWide at = c_.a_base + UWide{s_.a_pos} * c_.a_slot;
    if (static_cast<uint32_t>(Word(at)) != kOpMagic) {
      return Fault("opcode message: bad magic " + ToText(Word(at)) + " at A slot " + ToText(s_.a_pos));
    }
    Wide n_words = Word(at + 4), slots = Word(at + 8);
    if (!kTrusted && (slots < 1 || slots > c_.a_slots)) return Fault("opcode message: " + ToText(slots) + " slots");
    if (!kTrusted && (n_words < kOpHeaderWords || n_words * 4 > slots * c_.a_slot || n_words * 4 > c_.ops_bytes)) {
      return Fault("opcode message: " + ToText(n_words) + " words do not fit " + ToText(slots) +
                   " slots and OPS of " + ToText(c_.ops_bytes) + " bytes");
    }
    s_.n_words = static_cast<uint32_t>(n_words);
    s_.pending = static_cast<int>(slots);
    s_.item = Word(at + 12);
    s_.phase = kCopyOps;
    if (slots == 1) return Continue(done);
    return Lock(StepKind::kAcquire, kAFull, slots - 1, 0);
  }

  Step CopyOps() {
    UWide ring = UWide{c_.a_slot} * c_.a_slots;
    CopyFromRing(c_.a_base, ring, UWide{s_.a_pos} * c_.a_slot, UWide{s_.n_words} * 4, c_.ops_base);
    s_.a_pos = (s_.a_pos + static_cast<uint32_t>(s_.pending)) % c_.a_slots;
    s_.pc = kOpHeaderWords;
    s_.depth = 0;
    s_.phase = kExecute;
    return Lock(StepKind::kRelease, kAFree, s_.pending, 0);
  }

  int32_t Op(uint32_t i) const { return Word(UWide{c_.ops_base} + UWide{i} * 4); }

  Step Execute() {
    static constexpr uint32_t kWords[] = {1, 2, 1, 2, 2, 1, 1, 1, 1, 3, 1, 2, 9, 2, 2};
    if (!kTrusted && s_.pc >= s_.n_words) return Fault("opcode message ends without END");
    int32_t op = Op(s_.pc);
    if (!kTrusted && (op < 0 || op > kDrop)) {
      return Fault("unknown opcode " + ToText(op) + " at word " + ToText(s_.pc));
    }
    if (!kTrusted && s_.n_words - s_.pc < kWords[op]) return Fault("opcode " + ToText(op) + " is cut off");
    int32_t operand = kWords[op] > 1 ? Op(s_.pc + 1) : 0;
    uint32_t at = s_.pc;
    s_.pc += kWords[op];
    switch (op) {
      case kEnd:
      case kHaltOp:
        if (!kTrusted && s_.depth != 0) return Fault("message ends inside a loop");
        s_.phase = op == kEnd ? kFetch : kHalted;
        s_.kept = 0;
        s_.carried.valid = false;
        return Control(op == kEnd ? StepKind::kControl : StepKind::kHalt, 1);
      case kLoop: return BeginLoop(operand);
      case kNext: return EndLoop();
      case kAcqA: return AcquireA(operand);
      case kRelA: return ReleaseA(operand);
      case kAcqW:
        if (!kTrusted && s_.w_held != 0) return Fault("ACQ_W: a weight message is already held");
        s_.phase = kReadWHeader;
        s_.carried.valid = false;
        return Lock(StepKind::kAcquire, kWFull, 1, 1);
      case kRelW: return ReleaseW();
      case kAcqO: return AcquireO();
      case kRelO: return ReleaseO();
      case kKernelOp: return Kernel(at);
      case kSkipO: return SkipO(operand);
      case kDivide: return Divide();
      case kKeep: return Keep(operand);
      default: return Drop(operand);
    }
  }

  Step BeginLoop(int32_t count) {
    // 0: once per output block of the weight message, or once where it has none.
    if (count == 0 && s_.header.valid) count = s_.header.n_ocb == 0 ? 1 : static_cast<int32_t>(s_.header.n_ocb);
    if (!kTrusted && count < 1) return Fault("LOOP: count " + ToText(count));
    if (!kTrusted && s_.depth >= static_cast<int>(s_.loops.size())) return Fault("LOOP: nested deeper than 4");
    s_.loops[static_cast<size_t>(s_.depth++)] = {s_.pc, count, 0};
    return Control(StepKind::kControl, 1);
  }

  Step EndLoop() {
    if (!kTrusted && s_.depth == 0) return Fault("NEXT without LOOP");
    SuperkernelState::Loop& loop = s_.loops[static_cast<size_t>(s_.depth - 1)];
    if (++loop.index < loop.count) {
      s_.pc = loop.body;
    } else {
      --s_.depth;
    }
    return Control(StepKind::kControl, 1);
  }

  // A second ACQ_A extends the message; REL_A of a part drops its first slots. A message that does not fit before the
  // end of the ring begins at its start: what is left of the ring holds filler.
  Step AcquireA(int32_t m, int opcodes = 1) {
    if (!kTrusted && (m < 1 || m > static_cast<Wide>(c_.a_slots) - s_.a_held)) {
      return Fault("ACQ_A: " + ToText(m) + " slots, " + ToText(s_.a_held) + " held of a ring of " +
                   ToText(c_.a_slots));
    }
    if (s_.a_held == 0 && static_cast<uint32_t>(m) > c_.a_slots - s_.a_pos) {
      s_.pending = m;
      s_.phase = kEndOfA;
      return Lock(StepKind::kAcquire, kAFull, c_.a_slots - s_.a_pos, opcodes);
    }
    s_.a_held += static_cast<uint32_t>(m);
    s_.a_msg = c_.a_base + s_.a_pos * c_.a_slot;
    return Lock(StepKind::kAcquire, kAFull, m, opcodes);
  }

  Step ReleaseA(int32_t m) {
    if (m < 1 || m > static_cast<Wide>(s_.a_held)) {
      return Fault("REL_A: " + ToText(m) + " slots, " + ToText(s_.a_held) + " held");
    }
    s_.a_held -= static_cast<uint32_t>(m);
    s_.a_pos = (s_.a_pos + static_cast<uint32_t>(m)) % c_.a_slots;
    s_.a_msg = c_.a_base + s_.a_pos * c_.a_slot;
    return Lock(StepKind::kRelease, kAFree, m, 1);
  }

  Step ReadWHeader(bool* done) {
    s_.w_msg = c_.w_base + s_.w_pos * c_.w_slot;
    if (static_cast<uint32_t>(Word(s_.w_msg)) != kWeightMagic) {
      return Fault("weight message: bad magic " + ToText(Word(s_.w_msg)) + " at W slot " +
                   ToText(s_.w_pos));
    }
    Wide slots = Word(UWide{s_.w_msg} + 4);
    if (!kTrusted && (slots < 1 || slots > c_.w_slots)) return Fault("weight message: " + ToText(slots) + " slots");
    s_.w_held = static_cast<uint32_t>(slots);
    s_.phase = kCopyHeader;
    if (slots == 1) return Continue(done);
    return Lock(StepKind::kAcquire, kWFull, slots - 1, 0);
  }

  Step CopyHeader(bool* done) {
    UWide at = s_.w_msg;
    Wide bytes = Word(at + 8), n_ocb = Word(at + 12), o_slots = Word(at + 16), nnz = Word(at + 20);
    Wide cb0 = Word(at + 24), res_blocks = Word(at + 28);
    Wide n_taps = Word(at + 32), n_pairs = Word(at + 36), flags = Word(at + 40);
    if (!kTrusted && (bytes < kWeightHeaderBytes || bytes % 64 != 0 || bytes > c_.hdr_bytes ||
        bytes > static_cast<Wide>(s_.w_held) * c_.w_slot)) {
      return Fault("weight message: header of " + ToText(bytes) + " bytes (HDR holds " +
                   ToText(c_.hdr_bytes) + ")");
    }
    constexpr Wide kMax = 65535;  // row_ptr is uint16
    if (!kTrusted && (n_ocb < 0 || n_ocb > kMax || nnz < 0 || nnz > kMax || cb0 < 0 || cb0 > kMax || res_blocks < 0 || res_blocks > kMax || o_slots < 0 ||
        o_slots > c_.o_slots)) {
      return Fault("weight message: n_ocb " + ToText(n_ocb) + ", nnz " + ToText(nnz) + ", cb0 " +
                   ToText(cb0) + ", o_slots " + ToText(o_slots) + " out of range");
    }
    if (!kTrusted && (n_taps < 0 || n_taps > kMax || n_pairs < 0 || n_pairs > kMax || flags < 0 || flags > kAllFlags)) {
      return Fault("weight message: " + ToText(n_taps) + " listed taps, " + ToText(n_pairs) + " pairs, flags " +
                   ToText(flags) + " out of range");
    }
    Wide front_at = Word(at + 44), front_tiles = Word(at + 48), front_ocb = Word(at + 52), front_nnz = Word(at + 56);
    const bool front = front_at >= Wide{kWeightHeaderBytes} && front_at <= bytes && front_at % 64 == 0 && front_tiles >= 0 &&
                       front_tiles % 64 == 0 && front_ocb > 0 && front_ocb <= kMax && front_nnz >= 0 && front_nnz <= kMax;
    const bool none = front_at == 0 && front_tiles == 0 && front_ocb == 0 && front_nnz == 0;
    if (!kTrusted && !front && !none) {
      return Fault("weight message: front of " + ToText(front_ocb) + " blocks, " + ToText(front_nnz) + " stored, at " +
                   ToText(front_at) + ", tiles at " + ToText(front_tiles) + ", out of range");
    }
    SuperkernelState::Header& h = s_.header;
    h.valid = true;
    h.n_slots = s_.w_held;
    h.hdr_bytes = static_cast<uint32_t>(bytes);
    h.n_ocb = static_cast<uint32_t>(n_ocb);
    h.o_slots = static_cast<uint32_t>(o_slots);
    h.nnz = static_cast<uint32_t>(nnz);
    h.cb0 = static_cast<uint32_t>(cb0);
    h.res_blocks = static_cast<uint32_t>(res_blocks);
    h.n_taps = static_cast<uint32_t>(n_taps);
    h.n_pairs = static_cast<uint32_t>(n_pairs);
    h.flags = static_cast<uint32_t>(flags);
    h.front_at = static_cast<uint32_t>(front_at);
    h.front_tiles = static_cast<uint32_t>(front_tiles);
    h.front_ocb = static_cast<uint32_t>(front_ocb);
    h.front_nnz = static_cast<uint32_t>(front_nnz);
    CopyFromRing(c_.w_base, UWide{c_.w_slot} * c_.w_slots, UWide{s_.w_pos} * c_.w_slot, h.hdr_bytes, c_.hdr_base);
    s_.phase = kExecute;
    return Continue(done);
  }

  Step ReleaseW() {
    if (!kTrusted && s_.w_held == 0) return Fault("REL_W: no weight message is held");
    uint32_t n = s_.w_held;
    s_.w_pos = (s_.w_pos + n) % c_.w_slots;
    s_.w_held = 0;
    return Lock(StepKind::kRelease, kWFree, n, 1);
  }

  Step AcquireO(int opcodes = 1) {
    if (!kTrusted && !s_.header.valid) return Fault("ACQ_O: no weight message header has been read");
    // One message collects all input channel chunks: acquired with the first, a no-op with the others.
    if (s_.o_held != 0) return Control(StepKind::kControl, opcodes);
    uint32_t n = s_.header.o_slots;
    if (n == 0) return Control(StepKind::kControl, opcodes);
    if (n > c_.o_slots - s_.o_pos) {
      s_.phase = kEndOfO;
      return Lock(StepKind::kAcquire, kOFree, c_.o_slots - s_.o_pos, opcodes);
    }
    s_.o_held = n;
    s_.o_msg = c_.o_base + s_.o_pos * c_.o_slot;
    return Lock(StepKind::kAcquire, kOFree, n, opcodes);
  }

  Step ReleaseO() {
    if (s_.o_held == 0) {
      if (s_.header.valid && s_.header.o_slots == 0) return Control(StepKind::kControl, 1);
      return Fault("REL_O: no output message is held");
    }
    uint32_t n = s_.o_held;
    s_.o_pos = (s_.o_pos + n) % c_.o_slots;
    s_.o_held = 0;
    return Lock(StepKind::kRelease, kOFull, n, 1);
  }

  // To the next multiple of the O message's slots, or, 1, to the begin of the ring.
  Step SkipO(int32_t whole) {
    if (!kTrusted && (whole < 0 || whole > 1)) return Fault("SKIP_O: operand " + ToText(whole));
    if (!whole && !s_.header.valid) return Fault("SKIP_O: no weight message header has been read");
    if (s_.o_held != 0) return Control(StepKind::kControl, 1);
    uint32_t unit = whole ? c_.o_slots : s_.header.o_slots;
    if (unit == 0 || s_.o_pos % unit == 0) return Control(StepKind::kControl, 1);
    if (c_.o_slots % unit != 0) {
      return Fault("SKIP_O: o_slots " + ToText(unit) + " does not divide the ring of " +
                   ToText(c_.o_slots));
    }
    s_.pending = static_cast<int>(unit - s_.o_pos % unit);
    s_.phase = kSkipRelease;
    return Lock(StepKind::kAcquire, kOFree, s_.pending, 1);
  }

  // Between items: a ring must have drained before its memory becomes something else. Its descriptors are of the
  // command stream and end with the item; those of the new ring wait for the other bank's locks. A ring of 0 slots:
  // the one that there is stays, with its position, and what is left in the O ring is sent while the next item begins.
  Step Divide() {
    if (s_.a_held != 0 || s_.o_held != 0 || s_.w_held != 0) return Fault("DIVIDE: a message is held");
    if (OStays()) return DivideA(1);
    s_.phase = kDivideA;
    return Lock(StepKind::kAcquire, kOFree, c_.o_slots, 1);
  }

  bool AStays() const { return Op(s_.pc - 6) == 0; }
  bool OStays() const { return Op(s_.pc - 3) == 0; }

  Step DivideA(int opcodes) {
    if (AStays()) return Divided(opcodes);
    s_.phase = kDivided;
    return Lock(StepKind::kAcquire, kAFree, c_.a_slots, opcodes);
  }

  Step Divided(int opcodes) {
    const uint32_t at = s_.pc - 8;
    CoreConfig next = c_;
    if (!AStays()) {
      next.a_base = static_cast<uint32_t>(Op(at));
      next.a_slot = static_cast<uint32_t>(Op(at + 1));
      next.a_slots = static_cast<uint32_t>(Op(at + 2));
      s_.a_bank = 1 - s_.a_bank;
      s_.a_pos = 0;
    }
    if (!OStays()) {
      next.o_base = static_cast<uint32_t>(Op(at + 3));
      next.o_slot = static_cast<uint32_t>(Op(at + 4));
      next.o_slots = static_cast<uint32_t>(Op(at + 5));
      s_.o_bank = 1 - s_.o_bank;
      s_.o_pos = 0;
    }
    next.acc_base = static_cast<uint32_t>(Op(at + 6));
    next.acc_bytes = static_cast<uint32_t>(Op(at + 7));
    c_ = next;
    if (const char* problem = ConfigProblem(); problem != nullptr) return Fault(FaultText("DIVIDE: ") + problem);
    if (!kTrusted && (c_.a_slots > kMaxSlots || c_.o_slots > kMaxSlots)) return Fault("DIVIDE: more slots than a lock counts");
    s_.kept = 0;
    s_.carried.valid = false;
    s_.phase = OStays() ? kExecute : kDividedO;
    if (AStays()) return Control(StepKind::kControl, opcodes);
    return Lock(StepKind::kRelease, kAFree, c_.a_slots, opcodes);
  }

  // The A ring's slots are filled in order: what stays in one would hold up those behind it. So an input that is read
  // again and again moves to ACC, piece by piece, and the ring carries on.
  Step Keep(int32_t bytes) {
    Step step = Control(StepKind::kKernel, 1);
    FaultText fault;
    if (!kernels::KeepInput(s_, c_, mem_, bytes, functional_, &step.call, &fault)) return Fault(fault);
    s_.kept += static_cast<uint32_t>(bytes);
    s_.carried.valid = false;
    return step;
  }

  // The rows of a front that no later band needs leave ACC.
  Step Drop(int32_t bytes) {
    Step step = Control(StepKind::kKernel, 1);
    FaultText fault;
    if (!kernels::DropKept(s_, c_, mem_, bytes, functional_, &step.call, &fault)) return Fault(fault);
    s_.kept -= static_cast<uint32_t>(bytes);
    return step;
  }

  Step Kernel(uint32_t at) {
    int32_t id = Op(at + 1), n = Op(at + 2);
    if (!kTrusted && (n < 0 || n > kernels::kMaxParams || static_cast<uint32_t>(n) > s_.n_words - s_.pc)) {
      return Fault("KERNEL " + ToText(id) + ": " + ToText(n) + " parameter words");
    }
#ifdef TVM_AIE_ON_ARRAY
    const auto* params = reinterpret_cast<const int32_t*>(mem_ + c_.ops_base + s_.pc * 4);  // the stack has 2 KB
#else
    int32_t params[kernels::kMaxParams];  // `mem` need not be aligned
    std::memcpy(params, mem_ + c_.ops_base + UWide{s_.pc} * 4, static_cast<size_t>(n) * 4);
#endif
    s_.pc += static_cast<uint32_t>(n);
    Step step = Control(StepKind::kKernel, 1);
    FaultText fault;
    if (!kernels::PerformKernel(s_, c_, mem_, id, params, n, functional_, &step.call, &fault)) return Fault(fault);
    if (kernels::kUsedKernels >> kFront & 1 && id == kFront) s_.kept += kernels::KeptByFront(s_, params);
    return step;
  }

  SuperkernelState& s_;
  CoreConfig& c_;
  uint8_t* mem_;
  bool functional_;
};

}  // namespace

bool AwaitsMessage(const SuperkernelState& state) { return state.phase == kReadOpHeader; }

Step NextStep(SuperkernelState& state, CoreConfig& config, uint8_t* mem, bool functional) {
  return Machine(state, config, mem, functional).Run();
}

}  // namespace tvm_aie
