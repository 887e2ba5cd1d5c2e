#include "emulator/copy.h"

#include <algorithm>
#include <cstring>

namespace tvm_aie {

PatternCursor::PatternCursor(const Bd& bd, int64_t base, int64_t pos) : bd_(bd), base_(base) {
  if (bd.contiguous) {
    linear_ = pos;
    return;
  }
  for (size_t d = 4; d-- > 0;) {
    const int64_t size = bd.pad_before[d] + bd.size[d] + bd.pad_after[d];
    index_[d] = pos % size;
    pos /= size;
  }
}

PatternCursor::Run PatternCursor::Peek() const {
  if (bd_.contiguous) return {base_ + linear_ * 4, bd_.length - linear_};
  const int64_t row_end = bd_.pad_before[3] + bd_.size[3] + bd_.pad_after[3];
  int64_t address = base_;
  bool inside = true;
  for (size_t d = 0; d < 3; ++d) {
    const int64_t i = index_[d] - bd_.pad_before[d];
    inside = inside && i >= 0 && i < bd_.size[d];
    address += i * bd_.stride[d] * 4;
  }
  if (!inside) return {-1, row_end - index_[3]};
  const int64_t x = index_[3] - bd_.pad_before[3];
  if (x < 0) return {-1, -x};
  if (x >= bd_.size[3]) return {-1, row_end - index_[3]};
  return {address + x * bd_.stride[3] * 4, bd_.stride[3] == 1 ? bd_.size[3] - x : 1};
}

void PatternCursor::Advance(int64_t words) {
  if (bd_.contiguous) {
    linear_ += words;
    return;
  }
  index_[3] += words;  // a run never crosses a row
  for (size_t d = 3; d > 0; --d) {
    if (index_[d] < bd_.pad_before[d] + bd_.size[d] + bd_.pad_after[d]) return;
    index_[d] = 0;
    ++index_[d - 1];
  }
}

void CopyWords(PatternCursor src, const uint8_t* src_mem, PatternCursor dst, uint8_t* dst_mem, int64_t n) {
  while (n > 0) {
    const PatternCursor::Run from = src.Peek(), to = dst.Peek();
    const int64_t words = std::min({n, from.words, to.words});
    const auto bytes = static_cast<size_t>(words) * 4;
    if (from.address < 0) {
      std::memset(dst_mem + to.address, 0, bytes);
    } else {
      // A program may copy a memory onto itself; check mode calls that a race.
      std::memmove(dst_mem + to.address, src_mem + from.address, bytes);
    }
    src.Advance(words);
    dst.Advance(words);
    n -= words;
  }
}

ShadowMemory::ShadowMemory(const Program& program) {
  for (const Tile& t : program.tiles) words_.emplace_back(static_cast<size_t>(t.mem_bytes / 4));
  // OPS and HDR hold the superkernel's own copies, which no KernelCall reports.
  for (const CoreInfo& core : program.cores) {
    auto& words = words_[static_cast<size_t>(core.tile)];
    const CoreConfig& c = core.config;
    const auto mark = [&words](uint32_t base, uint32_t bytes) {
      for (uint32_t a = base / 4; a < (base + bytes) / 4; ++a) words[a].written = true;
    };
    mark(c.ops_base, c.ops_bytes);
    mark(c.hdr_base, c.hdr_bytes);
  }
  // Arguments 0 and 1 are read-only and complete before the program starts.
  for (int a = 0; a < kNumDdrArgs; ++a) {
    const int64_t bytes = a <= kDdrInput ? 0 : program.ddr_bytes[static_cast<size_t>(a)];
    words_.emplace_back(static_cast<size_t>((bytes + 3) / 4));
  }
}

ShadowMemory::Conflict ShadowMemory::Read(int32_t space, int64_t address, const Access& access,
                                          bool unwritten_is_fault) {
  auto& words = words_[static_cast<size_t>(space)];
  if (words.empty()) return {};
  ShadowWord& w = words[static_cast<size_t>(address / 4)];
  if (w.writer >= 0 && access.start < w.write_end && w.write_start < access.end) {
    return {Conflict::kRace, space, address, w};
  }
  if (unwritten_is_fault && !w.written) return {Conflict::kUnwritten, space, address, w};
  if (w.reader < 0 || access.end >= w.read_end) {
    w.read_start = access.start;
    w.read_end = access.end;
    w.reader = access.agent;
    w.reader_bd = static_cast<int16_t>(access.bd);
  }
  return {};
}

ShadowMemory::Conflict ShadowMemory::Write(int32_t space, int64_t address, const Access& access, bool written) {
  auto& words = words_[static_cast<size_t>(space)];
  if (words.empty()) return {};
  ShadowWord& w = words[static_cast<size_t>(address / 4)];
  const bool with_write = w.writer >= 0 && access.start < w.write_end && w.write_start < access.end;
  const bool with_read = w.reader >= 0 && access.start < w.read_end && w.read_start < access.end;
  // A kernel that updates its own operands in place is one agent, not two.
  if ((with_write && w.writer != access.agent) || (with_read && w.reader != access.agent)) {
    return {Conflict::kRace, space, address, w};
  }
  w.write_start = access.start;
  w.write_end = access.end;
  w.writer = access.agent;
  w.writer_bd = static_cast<int16_t>(access.bd);
  w.written = written;
  return {};
}

void ShadowMemory::Keep(const ShadowMemory& other, int32_t space, int64_t begin, int64_t end) {
  auto& words = words_[static_cast<size_t>(space)];
  for (int64_t a = begin / 4; a < end / 4; ++a) {
    words[static_cast<size_t>(a)].written = other.words_[static_cast<size_t>(space)][static_cast<size_t>(a)].written;
  }
}

bool ShadowMemory::Written(int32_t space, int64_t address) const {
  const auto& words = words_[static_cast<size_t>(space)];
  return words.empty() || words[static_cast<size_t>(address / 4)].written;
}

}  // namespace tvm_aie
