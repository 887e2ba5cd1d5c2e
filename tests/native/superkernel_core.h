// One core for the tests of the superkernel: its memory, its locks, and a DMA that moves slots as soon as these allow.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "tvm_aie/superkernel.h"

namespace tvm_aie::test {

using Bytes = std::vector<uint8_t>;
using Words = std::vector<int32_t>;

inline Bytes ToBytes(const Words& words) {
  Bytes b(words.size() * 4);
  std::memcpy(b.data(), words.data(), b.size());
  return b;
}

inline void Append(Bytes* to, const Bytes& from) { to->insert(to->end(), from.begin(), from.end()); }

// The streams of one core: whole slots, in order.
struct Traffic { Bytes a, w; };

struct Outcome {
  StepKind end = StepKind::kHalt;  // kHalt, kFault, or kAcquire: starved
  std::string fault;
  Bytes output;                    // every O slot handed to the DMA
  std::vector<KernelCall> calls;
  int opcodes = 0;
};

// The core's DMA: slot by slot, as soon as the locks allow.
class Core {
 public:
  Core(CoreConfig config, const Traffic& traffic, bool functional)
      : c_(config), traffic_(traffic), functional_(functional), mem_(new uint8_t[config.mem_bytes]) {
    std::memset(mem_.get(), 0x5A, c_.mem_bytes);
    lock_[kAFree] = c_.a_slots;
    lock_[kWFree] = c_.w_slots;
    lock_[kOFree] = c_.o_slots;
  }

  Outcome Run(int max_steps) {
    Outcome out;
    SuperkernelState state;
    for (int i = 0; i < max_steps; ++i) {
      Step step = NextStep(state, c_, mem_.get(), functional_);
      if (state.a_bank != a_bank_) {
        CHECK(lock_[AFree()] + lock_[kAFull] + lock_[kAFull1] == 0, "A ring in use when it is divided anew");
        a_bank_ = state.a_bank, a_start_ = a_done_;
      }
      if (state.o_bank != o_bank_) {
        CHECK(lock_[OFree()] + lock_[kOFull] + lock_[kOFull1] == 0, "O ring in use when it is divided anew");
        o_bank_ = state.o_bank, o_start_ = o_done_;
      }
      out.opcodes += step.opcodes;
      out.end = step.kind;
      switch (step.kind) {
        case StepKind::kAcquire:
          while (lock_[step.lock] < step.value) {
            if (!Pump(&out)) return out;
          }
          lock_[step.lock] -= step.value;
          break;
        case StepKind::kRelease: lock_[step.lock] += step.value; break;
        case StepKind::kKernel: Record(step.call, &out); break;
        case StepKind::kControl: break;
        default:
          out.fault = state.fault;
          while (Pump(&out)) {
          }
          return out;
      }
    }
    return out;
  }

  const uint8_t* memory() const { return mem_.get(); }

 private:
  void Record(const KernelCall& call, Outcome* out) const {
    for (int i = 0; i < call.n_reads; ++i) {
      const MemRange& r = call.reads[static_cast<size_t>(i)];
      CHECK(r.begin < r.end && r.end <= c_.mem_bytes, "read range %u..%u", r.begin, r.end);
    }
    for (int i = 0; i < call.n_writes; ++i) {
      const MemRange& r = call.writes[static_cast<size_t>(i)];
      CHECK(r.begin < r.end && r.end <= c_.mem_bytes, "write range %u..%u", r.begin, r.end);
    }
    out->calls.push_back(call);
  }

  // Moves one slot; false when nothing can move.
  bool Pump(Outcome* out) {
    const int a_full = a_bank_ == 0 ? kAFull : kAFull1, o_full = o_bank_ == 0 ? kOFull : kOFull1;
    if (Feed(traffic_.a, &a_done_, a_start_, c_.a_base, c_.a_slot, c_.a_slots, AFree(), a_full)) return true;
    if (Feed(traffic_.w, &w_done_, 0, c_.w_base, c_.w_slot, c_.w_slots, kWFree, kWFull)) return true;
    if (lock_[o_full] < 1) return false;
    --lock_[o_full];
    ++lock_[OFree()];
    const uint8_t* slot = mem_.get() + c_.o_base + (o_done_++ - o_start_) % c_.o_slots * c_.o_slot;
    out->output.insert(out->output.end(), slot, slot + c_.o_slot);
    return true;
  }

  int AFree() const { return a_bank_ == 0 ? kAFree : kAFree1; }
  int OFree() const { return o_bank_ == 0 ? kOFree : kOFree1; }

  bool Feed(const Bytes& stream, uint32_t* done, uint32_t start, uint32_t base, uint32_t slot, uint32_t slots, int free, int full) {
    if (lock_[free] < 1 || (uint64_t{*done} + 1) * slot > stream.size()) return false;
    --lock_[free];
    ++lock_[full];
    std::memcpy(mem_.get() + base + (*done - start) % slots * slot, stream.data() + size_t{*done} * slot, slot);
    ++*done;
    return true;
  }

  CoreConfig c_;
  const Traffic& traffic_;
  bool functional_;
  std::unique_ptr<uint8_t[]> mem_;
  int64_t lock_[10] = {};
  uint32_t a_done_ = 0, w_done_ = 0, o_done_ = 0;
  int a_bank_ = 0, o_bank_ = 0;         // of the rings that the DMA serves
  uint32_t a_start_ = 0, o_start_ = 0;  // slots before the ring began
};

}  // namespace tvm_aie::test
