// DDR_SIZES, BDS, STATIC_BDS, STATIC_TASKS, COMMANDS.
#include <algorithm>

#include "emulator/program_loader.h"

namespace tvm_aie {
namespace {

constexpr int64_t kMaxRows = int64_t{1} << 22;
constexpr int64_t kMaxWords = kMaxDdrBytes / 4;

bool MayUse(const Program& p, int tile, int other) {
  if (tile == other) return true;
  const Tile& a = p.tiles[static_cast<size_t>(tile)];
  const Tile& b = p.tiles[static_cast<size_t>(other)];
  return a.kind == kMemtile && b.kind == kMemtile && a.row == b.row && std::abs(a.col - b.col) == 1;
}

// Index over all locks, or -1.
int32_t LoadLock(const Program& p, const TableView& t, int64_t i, int column, int tile, int32_t* value) {
  const auto n_tiles = static_cast<int64_t>(p.tiles.size());
  const int owner = Bounded(t.At(i, column), -1, n_tiles - 1, "BDS", i, "lock tile");
  if (owner < 0) return -1;
  if (!MayUse(p, tile, owner)) {
    ProgramFail("BDS row ", i, ": ", TileName(p, tile), " cannot use the locks of ", TileName(p, owner));
  }
  const Tile& o = p.tiles[static_cast<size_t>(owner)];
  const int lock = Bounded(t.At(i, column + 1), 0, o.n_locks - 1, "BDS", i, "lock");
  *value = Bounded(t.At(i, column + 2), 0, kMaxLockValue, "BDS", i, "lock value");
  return o.lock_base + lock;
}

void LoadPattern(const TableView& t, int64_t i, Bd& bd, int kind) {
  bd.length = Bounded(t.At(i, 4), 1, kMaxWords, "BDS", i, "length");
  const int n_dims = Bounded(t.At(i, 5), 1, kind == kMemtile ? 4 : 3, "BDS", i, "number of dimensions");
  __int128 total = 1;
  for (size_t d = 0; d < 4; ++d) {
    const int column = static_cast<int>(d);
    bd.size[d] = Bounded(t.At(i, 6 + column), 1, kMaxWords, "BDS", i, "size");
    bd.stride[d] = Bounded(t.At(i, 10 + column), 0, kMaxWords, "BDS", i, "stride");
    if (d > 0) {
      bd.pad_before[d] = Bounded(t.At(i, 15 + column), 0, 1024, "BDS", i, "padding");
      bd.pad_after[d] = Bounded(t.At(i, 18 + column), 0, 1024, "BDS", i, "padding");
    }
    const int64_t pad = bd.pad_before[d] + bd.pad_after[d];
    if (column < 4 - n_dims && (bd.size[d] != 1 || bd.stride[d] != 0 || pad != 0)) {
      ProgramFail("BDS row ", i, ": an unused dimension is not (1, 0)");
    }
    bd.padded = bd.padded || pad != 0;
    total *= bd.size[d] + pad;
    if (total > kMaxWords) ProgramFail("BDS row ", i, ": the sizes multiply to more than ", Grouped(kMaxWords), " words");
  }
  if (total != bd.length) {
    ProgramFail("BDS row ", i, ": length ", Grouped(bd.length), " words, but the sizes multiply to ",
                Grouped(static_cast<int64_t>(total)));
  }
  if (bd.padded && kind != kMemtile) ProgramFail("BDS row ", i, ": only memtiles pad with zeros");
  bd.iter_wrap = Bounded(t.At(i, 14), 1, 1 << 20, "BDS", i, "iteration wrap");
  bd.iter_step = Bounded(t.At(i, 15), 0, kMaxWords, "BDS", i, "iteration step");
}

void CheckRange(const Program& p, const Bd& bd, int64_t i) {
  const Tile& tile = p.tiles[static_cast<size_t>(bd.tile)];
  __int128 last = static_cast<__int128>(bd.iter_wrap - 1) * bd.iter_step;
  for (size_t d = 0; d < 4; ++d) last += static_cast<__int128>(bd.size[d] - 1) * bd.stride[d];
  const __int128 end = bd.base + (last + 1) * 4;
  const int64_t limit = tile.kind == kShim ? p.ddr_bytes[static_cast<size_t>(bd.mem)]
                                           : p.tiles[static_cast<size_t>(bd.mem)].mem_bytes;
  if (end > limit) {
    const int64_t shown = end > kMaxDdrBytes * 64 ? kMaxDdrBytes * 64 : static_cast<int64_t>(end);
    ProgramFail("BDS row ", i, ": descriptor reaches bytes ", Grouped(bd.base), "..", Grouped(shown), " of ",
                tile.kind == kShim ? "DDR argument " + std::to_string(bd.mem) : TileName(p, bd.mem), ", which has ",
                Grouped(limit));
  }
}

bool IsContiguous(const Bd& bd) {
  if (bd.padded) return false;
  int64_t run = 1;
  for (size_t d = 4; d-- > 0;) {
    if (bd.size[d] != 1 && bd.stride[d] != run) return false;
    run *= bd.size[d];
  }
  return true;
}

}  // namespace

void LoadDdr(const Container& file, Program& p) {
  const TableView t = file.Table(kSecDdrSizes);
  if (t.rows() != 1) ProgramFail("DDR_SIZES: ", t.rows(), " rows, expected 1");
  int64_t total = 0;
  for (int a = 0; a < kNumDdrArgs; ++a) {
    const int64_t bytes = t.At(0, a);
    if (bytes < 0 || bytes > kMaxDdrBytes) ProgramFail("DDR_SIZES: argument ", a, " of ", Grouped(bytes), " bytes");
    p.ddr_bytes[static_cast<size_t>(a)] = bytes;
    total += bytes;
  }
  if (total > kMaxDdrBytes) {
    ProgramFail("DDR_SIZES: ", Grouped(total), " bytes together, limit ", Grouped(kMaxDdrBytes));
  }
  p.constants = file.Bytes(kSecConst);
  if (static_cast<int64_t>(p.constants.size()) != p.ddr_bytes[kDdrConst]) {
    ProgramFail("CONST has ", Grouped(static_cast<int64_t>(p.constants.size())), " bytes, DDR_SIZES says ",
                Grouped(p.ddr_bytes[kDdrConst]));
  }
}

void LoadBds(const Container& file, Program& p) {
  const TableView t = file.Table(kSecBds), links = file.Table(kSecBdLinks), stat = file.Table(kSecStaticBds);
  if (t.rows() > kMaxRows) ProgramFail("BDS: ", Grouped(t.rows()), " rows, limit ", Grouped(kMaxRows));
  if (links.rows() != t.rows()) ProgramFail("BD_LINKS: ", links.rows(), " rows, but BDS has ", t.rows());
  p.bds.reserve(static_cast<size_t>(t.rows()));
  for (int64_t i = 0; i < t.rows(); ++i) {
    Bd bd;
    bd.tile = Bounded(t.At(i, 0), 0, static_cast<int64_t>(p.tiles.size()) - 1, "BDS", i, "tile");
    const Tile& tile = p.tiles[static_cast<size_t>(bd.tile)];
    bd.bd_id = Bounded(t.At(i, 1), 0, tile.n_bds - 1, "BDS", i, "descriptor");
    if (tile.kind == kShim) {
      bd.mem = Bounded(t.At(i, 2), 0, kNumDdrArgs - 1, "BDS", i, "DDR argument");
    } else {
      bd.mem = Bounded(t.At(i, 2), 0, static_cast<int64_t>(p.tiles.size()) - 1, "BDS", i, "memory");
      if (!MayUse(p, bd.tile, bd.mem)) {
        ProgramFail("BDS row ", i, ": ", TileName(p, bd.tile), " does not reach the memory of ", TileName(p, bd.mem));
      }
    }
    bd.base = t.At(i, 3);
    if (bd.base < 0 || bd.base > kMaxDdrBytes || bd.base % 4 != 0) {
      ProgramFail("BDS row ", i, ": base ", Grouped(bd.base), " is no 32-bit aligned address");
    }
    LoadPattern(t, i, bd, tile.kind);
    CheckRange(p, bd, i);
    bd.contiguous = IsContiguous(bd);
    bd.acq_lock = LoadLock(p, t, i, 22, bd.tile, &bd.acq_value);
    bd.rel_lock = LoadLock(p, t, i, 25, bd.tile, &bd.rel_value);
    bd.next_bd = Bounded(links.At(i, 0), -1, tile.n_bds - 1, "BD_LINKS", i, "next descriptor");
    bd.control = Bounded(links.At(i, 1), 0, 1, "BD_LINKS", i, "control flag") != 0;
    p.bds.push_back(bd);
  }
  if (stat.rows() > kMaxRows) ProgramFail("STATIC_BDS: too many rows");
  for (int64_t i = 0; i < stat.rows(); ++i) {
    p.static_bds.push_back(Bounded(stat.At(i, 0), 0, t.rows() - 1, "STATIC_BDS", i, "row of BDS"));
  }
}

namespace {

int32_t LoadChannel(const Program& p, const TableView& t, int64_t i, int column, std::string_view table) {
  const int tile = Bounded(t.At(i, column), 0, static_cast<int64_t>(p.tiles.size()) - 1, table, i, "tile");
  const int dir = Bounded(t.At(i, column + 1), 0, 1, table, i, "direction");
  const int64_t ch = t.At(i, column + 2);
  const int channel = ch < 0 || ch >= kMaxChannelsPerDirection ? -1 : p.FindChannel(tile, dir, static_cast<int>(ch));
  if (channel < 0) {
    ProgramFail(table, " row ", i, ": no flow at ", TileName(p, tile), dir == kMm2s ? " MM2S " : " S2MM ", ch);
  }
  return channel;
}

int32_t LoadStart(const Program& p, const TableView& t, int64_t i, int column, int channel, std::string_view table) {
  const Tile& tile = p.tiles[static_cast<size_t>(p.channels[static_cast<size_t>(channel)].tile)];
  return Bounded(t.At(i, column), 0, tile.n_bds - 1, table, i, "descriptor");
}

// WRITE_BD is booked on the item of the next PUSH, or of the last MARK when none follows.
void AttributeCommands(Program& p) {
  int32_t mark = -1;
  for (Command& c : p.commands) {
    if (c.op == kMark || c.op == kPush) mark = c.item;
    if (c.op == kWait || c.op == kWriteBd || c.op == kSetLock) c.item = mark;
  }
  int32_t next = -1;
  bool have_next = false;
  for (size_t i = p.commands.size(); i-- > 0;) {
    Command& c = p.commands[i];
    if (c.op == kPush) {
      next = c.item;
      have_next = true;
    } else if (c.op == kWriteBd && have_next) {
      c.item = next;
    }
  }
}

}  // namespace

void LoadTasks(const Container& file, Program& p) {
  const TableView t = file.Table(kSecStaticTasks);
  for (int64_t i = 0; i < t.rows(); ++i) {
    StaticTask task;
    task.channel = LoadChannel(p, t, i, 0, "STATIC_TASKS");
    task.bd = LoadStart(p, t, i, 3, task.channel, "STATIC_TASKS");
    task.repeat = Bounded(t.At(i, 4), 0, 1 << 30, "STATIC_TASKS", i, "repeat");
    task.item = Bounded(t.At(i, 5), -1, kMaxItem, "STATIC_TASKS", i, "item");
    p.n_items = std::max(p.n_items, task.item + 1);
    p.static_tasks.push_back(task);
    if (static_cast<int64_t>(p.static_tasks.size()) > int64_t{kMaxQueueDepth} * kMaxTiles) {
      ProgramFail("STATIC_TASKS: more tasks than queues");
    }
  }
}

void LoadCommands(const Container& file, Program& p) {
  const TableView t = file.Table(kSecCommands);
  if (t.rows() > kMaxRows) ProgramFail("COMMANDS: ", Grouped(t.rows()), " rows, limit ", Grouped(kMaxRows));
  for (int64_t i = 0; i < t.rows(); ++i) {
    Command c;
    c.op = Bounded(t.At(i, 0), 0, kSetLock, "COMMANDS", i, "operation");
    if (c.op == kWriteBd) {
      c.row = Bounded(t.At(i, 1), 0, static_cast<int64_t>(p.bds.size()) - 1, "COMMANDS", i, "row of BDS");
    } else if (c.op == kPush) {
      c.channel = LoadChannel(p, t, i, 1, "COMMANDS");
      c.bd = LoadStart(p, t, i, 4, c.channel, "COMMANDS");
      c.count = Bounded(t.At(i, 5), 1, 1 << 20, "COMMANDS", i, "repeat");
      c.item = Bounded(t.At(i, 6), -1, kMaxItem, "COMMANDS", i, "item");
    } else if (c.op == kWait) {
      c.channel = LoadChannel(p, t, i, 1, "COMMANDS");
      c.count = Bounded(t.At(i, 4), 0, kMaxRows, "COMMANDS", i, "count");
    } else if (c.op == kSetLock) {
      const int tile = Bounded(t.At(i, 1), 0, static_cast<int64_t>(p.tiles.size()) - 1, "COMMANDS", i, "tile");
      const Tile& where = p.tiles[static_cast<size_t>(tile)];
      c.lock = where.lock_base + Bounded(t.At(i, 2), 0, where.n_locks - 1, "COMMANDS", i, "lock");
      c.count = Bounded(t.At(i, 3), 0, kMaxLockValue, "COMMANDS", i, "lock value");
    } else {
      c.item = Bounded(t.At(i, 1), -1, kMaxItem, "COMMANDS", i, "item");
    }
    p.n_items = std::max(p.n_items, c.item + 1);
    p.commands.push_back(c);
  }
  AttributeCommands(p);
}

std::string DirectionProblem(const Program& p, const Bd& bd, int dir) {
  if (dir == kMm2s) return "";
  if (bd.padded) return "pads with zeros, which only MM2S channels do";
  if (p.tiles[static_cast<size_t>(bd.tile)].kind == kShim && bd.mem <= kDdrInput) {
    return "writes DDR argument " + std::to_string(bd.mem) + ", which is read-only";
  }
  return "";
}

namespace {

void CheckChain(const Program& p, const std::vector<int32_t>& slots, int channel, int start, std::string_view table,
                int64_t row) {
  const ChannelInfo& c = p.channels[static_cast<size_t>(channel)];
  const Tile& tile = p.tiles[static_cast<size_t>(c.tile)];
  int bd = start;
  for (int n = 0; bd >= 0 && n < tile.n_bds; ++n) {
    const int32_t index = slots[static_cast<size_t>(tile.bd_base + bd)];
    if (index < 0) {
      ProgramFail(table, " row ", row, ": ", ChannelName(p, channel), " reaches descriptor ", bd,
                  ", which nothing has written");
    }
    const Bd& b = p.bds[static_cast<size_t>(index)];
    if (const std::string problem = DirectionProblem(p, b, c.dir); !problem.empty()) {
      ProgramFail(table, " row ", row, ": ", ChannelName(p, channel), " runs BDS row ", index, ", which ", problem);
    }
    bd = b.next_bd == start ? -1 : b.next_bd;
  }
}

}  // namespace

void CheckChains(const Program& p) {
  std::vector<int32_t> slots(static_cast<size_t>(p.n_bd_slots), -1);
  const auto write = [&](int32_t row) {
    const Bd& bd = p.bds[static_cast<size_t>(row)];
    slots[static_cast<size_t>(p.tiles[static_cast<size_t>(bd.tile)].bd_base + bd.bd_id)] = row;
  };
  for (const int32_t row : p.static_bds) write(row);
  for (size_t i = 0; i < p.static_tasks.size(); ++i) {
    const StaticTask& t = p.static_tasks[i];
    CheckChain(p, slots, t.channel, t.bd, "STATIC_TASKS", static_cast<int64_t>(i));
  }
  for (size_t i = 0; i < p.commands.size(); ++i) {
    const Command& c = p.commands[i];
    if (c.op == kWriteBd) write(c.row);
    if (c.op == kPush) CheckChain(p, slots, c.channel, c.bd, "COMMANDS", static_cast<int64_t>(i));
  }
}

}  // namespace tvm_aie
