// Check mode: every access of every word, against the last accesses of that word.
#include <algorithm>

#include "emulator/machine.h"

namespace tvm_aie {

namespace {

std::string What(const std::string& agent, int bd) {
  return bd < 0 ? agent + " (kernel)" : agent + " descriptor " + std::to_string(bd);
}

}  // namespace

void Machine::ReportConflict(const ShadowMemory::Conflict& conflict, const Access& access, const char* verb) const {
  const auto n_tiles = static_cast<int32_t>(memory_.size());
  const std::string memory = conflict.space < n_tiles ? TileName(program_, conflict.space)
                                                      : "DDR argument " + std::to_string(conflict.space - n_tiles);
  const ShadowWord& w = conflict.word;
  std::ostringstream text;
  text << What(AgentName(access.agent), access.bd) << ' ' << verb << " byte " << conflict.address << " of " << memory
       << " in cycles " << access.start << ".." << access.end;
  if (conflict.kind == ShadowMemory::Conflict::kUnwritten) {
    Fault("read of never-written memory: ", text.str());
  }
  if (w.writer >= 0 && access.start < w.write_end && w.write_start < access.end) {
    Fault("race: ", text.str(), ", while ", What(AgentName(w.writer), w.writer_bd), " writes it in cycles ",
          w.write_start, "..", w.write_end, ", without a lock between");
  }
  Fault("race: ", text.str(), ", while ", What(AgentName(w.reader), w.reader_bd), " reads it in cycles ",
        w.read_start, "..", w.read_end, ", without a lock between");
}

void Machine::CheckSegment(const FlowState& f, int64_t t) {
  const Channel& src = channels_[static_cast<size_t>(f.src)];
  const int32_t from = MemoryOf(src).space;
  const Access read_access{f.src, src.bd->bd_id, f.start, t};
  // The tail of an output or filler message is junk by design: it may be sent, but its destination then counts as
  // never written, so that whoever uses it is caught.
  const bool strict = f.cls != kFlowO && f.cls != kFlowA;
  for (int32_t d = f.first_dst; d < f.first_dst + f.n_dst; ++d) {
    const int32_t channel = dsts_[static_cast<size_t>(d)];
    const Channel& dst = channels_[static_cast<size_t>(channel)];
    const int32_t to = MemoryOf(dst).space;
    const Access write_access{channel, dst.bd->bd_id, f.start, t};
    PatternCursor read(*src.bd, src.base, src.pos), write(*dst.bd, dst.base, dst.pos);
    for (int64_t left = f.n; left > 0;) {
      const PatternCursor::Run in = read.Peek(), out = write.Peek();
      const int64_t words = std::min({left, in.words, out.words});
      for (int64_t i = 0; i < words; ++i) {
        bool written = true;
        if (in.address >= 0) {
          const auto conflict = shadow_->Read(from, in.address + 4 * i, read_access, strict);
          if (conflict.kind != ShadowMemory::Conflict::kNone) ReportConflict(conflict, read_access, "reads");
          written = shadow_->Written(from, in.address + 4 * i);
        }
        const auto conflict = shadow_->Write(to, out.address + 4 * i, write_access, written);
        if (conflict.kind != ShadowMemory::Conflict::kNone) ReportConflict(conflict, write_access, "writes");
      }
      read.Advance(words);
      write.Advance(words);
      left -= words;
    }
  }
}

void Machine::CheckKernel(int core, const KernelCall& call, int64_t start, int64_t end) {
  const Core& c = cores_[static_cast<size_t>(core)];
  const Access access{n_channels() + core, -1, start, end};
  const auto limit = static_cast<uint32_t>(memory_[static_cast<size_t>(c.tile)].size());
  const auto check_range = [&](const MemRange& r) {
    if (r.begin > r.end || r.end > limit) {
      Fault("out of range: ", AgentName(access.agent), " kernel ", call.id, " uses bytes ", r.begin, "..", r.end);
    }
  };
  for (int i = 0; i < std::min<int>(call.n_reads, static_cast<int>(call.reads.size())); ++i) {
    const MemRange r = call.reads[static_cast<size_t>(i)];
    check_range(r);
    for (uint32_t a = r.begin & ~3u; a < r.end; a += 4) {
      const auto conflict = shadow_->Read(c.tile, a, access, true);
      if (conflict.kind != ShadowMemory::Conflict::kNone) ReportConflict(conflict, access, "reads");
    }
  }
  for (int i = 0; i < std::min<int>(call.n_writes, static_cast<int>(call.writes.size())); ++i) {
    const MemRange r = call.writes[static_cast<size_t>(i)];
    check_range(r);
    for (uint32_t a = r.begin & ~3u; a < r.end; a += 4) {
      const auto conflict = shadow_->Write(c.tile, a, access, true);
      if (conflict.kind != ShadowMemory::Conflict::kNone) ReportConflict(conflict, access, "writes");
    }
  }
}

// Every byte that the host will read must have been produced.
void Machine::CheckOutputs() const {
  const int32_t space = static_cast<int32_t>(memory_.size()) + kDdrOutput;
  for (size_t i = 0; i < program_.outputs.size(); ++i) {
    const IoTensor& io = program_.outputs[i];
    const int64_t begin = io.ddr_offset / 4 * 4, end = io.ddr_offset + io.DdrBytes();
    for (int64_t a = begin; a < end; a += 4) {
      if (!shadow_->Written(space, a)) {
        Fault("read of never-written memory: output ", i, " was never written at byte ", a - io.ddr_offset);
      }
    }
  }
}

}  // namespace tvm_aie
