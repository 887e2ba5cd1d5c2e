// Moving words from one descriptor's pattern to another's, and the shadow memory of check mode.
#pragma once

#include <vector>

#include "tvm_aie/program.h"

namespace tvm_aie {

// A memory as seen by a descriptor. `space`: index for the shadow (tiles, then DDR arguments).
struct MemoryRef {
  uint8_t* data = nullptr;
  int32_t space = 0;
};

// Position inside a descriptor's pattern. Yields contiguous runs.
class PatternCursor {
 public:
  // `base`: byte address of this iteration; `pos`: words already moved.
  PatternCursor(const Bd& bd, int64_t base, int64_t pos);
  struct Run {
    int64_t address;  // bytes; -1 = zero padding
    int64_t words;
  };
  Run Peek() const;
  void Advance(int64_t words);

 private:
  const Bd& bd_;
  int64_t base_;
  int64_t linear_ = 0;                 // contiguous pattern
  std::array<int64_t, 4> index_{};     // over the padded sizes
};

// The last accesses of each word. Two accesses that overlap in time, one of them a write, have no lock between.
struct ShadowWord {
  int64_t write_start = 0, write_end = 0, read_start = 0, read_end = 0;
  int32_t writer = -1, reader = -1;        // agents
  int16_t writer_bd = -1, reader_bd = -1;  // -1: a kernel
  bool written = false;
};

struct Access {
  int32_t agent = 0;
  int32_t bd = -1;
  int64_t start = 0, end = 0;
};

class ShadowMemory {
 public:
  explicit ShadowMemory(const Program& program);

  // What is wrong; nullptr = nothing. `address` in bytes, word aligned or not.
  struct Conflict {
    enum Kind { kNone, kRace, kUnwritten } kind = kNone;
    int32_t space = 0;
    int64_t address = 0;
    ShadowWord word;
  };
  Conflict Read(int32_t space, int64_t address, const Access& access, bool unwritten_is_fault);
  Conflict Write(int32_t space, int64_t address, const Access& access, bool written);
  bool Written(int32_t space, int64_t address) const;
  // Words of a memory, from byte `begin` to `end`, that count as written if `other` says so.
  void Keep(const ShadowMemory& other, int32_t space, int64_t begin, int64_t end);

 private:
  std::vector<std::vector<ShadowWord>> words_;  // empty: read-only memory, always written
};

// Moves `n` words. The patterns were validated against their memories.
void CopyWords(PatternCursor src, const uint8_t* src_mem, PatternCursor dst, uint8_t* dst_mem, int64_t n);

}  // namespace tvm_aie
