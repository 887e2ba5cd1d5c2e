// TILES, LOCK_INIT, FLOWS, CORES, and the names of the things in them.
#include <algorithm>

#include "emulator/program_loader.h"

namespace tvm_aie {
namespace {

constexpr int kMaxColumns = 128, kMaxRows = 128;

std::string_view KindName(int kind) {
  constexpr std::array<std::string_view, 3> kNames = {"shim", "memtile", "core"};
  return kNames[static_cast<size_t>(kind)];
}

struct ClassEnds {
  std::string_view name;
  int src, dst;
};

constexpr std::array<ClassEnds, kNumFlowClasses> kEnds = {{{"A", kMemtile, kCore},
                                                           {"W", kMemtile, kCore},
                                                           {"O", kCore, kMemtile},
                                                           {"LOAD", kShim, kMemtile},
                                                           {"LOADW", kShim, kMemtile},
                                                           {"STORE", kMemtile, kShim}}};

// Index of the new channel; a channel belongs to one flow only.
Endpoint AddEndpoint(Program& p, int64_t tile, int64_t ch, int dir, int flow, std::string_view table, int64_t row) {
  Endpoint e;
  e.tile = Bounded(tile, 0, static_cast<int64_t>(p.tiles.size()) - 1, table, row, "tile");
  e.ch = Bounded(ch, 0, kMaxChannelsPerDirection - 1, table, row, "channel");
  if (p.FindChannel(e.tile, dir, e.ch) >= 0) {
    ProgramFail(table, " row ", row, ": ", ChannelName(p, p.FindChannel(e.tile, dir, e.ch)),
                " already belongs to another flow");
  }
  e.channel = static_cast<int32_t>(p.channels.size());
  p.channels.push_back({e.tile, dir, e.ch, flow});
  p.channel_lookup[static_cast<size_t>((e.tile * 2 + dir) * kMaxChannelsPerDirection + e.ch)] = e.channel;
  return e;
}

void CheckEnd(const Program& p, const Endpoint& e, int cls, bool is_src, std::string_view table, int64_t row) {
  const ClassEnds& ends = kEnds[static_cast<size_t>(cls)];
  const int expected = is_src ? ends.src : ends.dst;
  const int kind = p.tiles[static_cast<size_t>(e.tile)].kind;
  if (kind != expected) {
    ProgramFail(table, " row ", row, ": a flow of class ", ends.name, is_src ? " starts" : " ends", " at a ",
                KindName(expected), ", not at ", TileName(p, e.tile));
  }
}

struct Region {
  std::string_view name;
  int64_t begin, end;
};

void CheckRegions(std::vector<Region> regions, int64_t mem_bytes, int64_t row) {
  for (const Region& r : regions) {
    if (r.begin < 0 || r.end > mem_bytes) {
      ProgramFail("CORES row ", row, ": ", r.name, " occupies bytes ", Grouped(r.begin), "..", Grouped(r.end),
                  " of a memory of ", Grouped(mem_bytes));
    }
  }
  std::erase_if(regions, [](const Region& r) { return r.begin == r.end; });
  std::sort(regions.begin(), regions.end(), [](const Region& a, const Region& b) { return a.begin < b.begin; });
  for (size_t i = 1; i < regions.size(); ++i) {
    if (regions[i].begin < regions[i - 1].end) {
      ProgramFail("CORES row ", row, ": ", regions[i - 1].name, " and ", regions[i].name, " overlap at byte ",
                  Grouped(regions[i].begin));
    }
  }
}

}  // namespace

int32_t Bounded(int64_t value, int64_t low, int64_t high, std::string_view table, int64_t row,
                std::string_view what) {
  if (value < low || value > high) {
    ProgramFail(table, " row ", row, ": ", what, " ", Grouped(value), " is not in ", Grouped(low), "..",
                Grouped(high));
  }
  return static_cast<int32_t>(value);
}

void LoadTiles(const Container& file, Program& p) {
  const TableView t = file.Table(kSecTiles);
  if (t.rows() < 1 || t.rows() > kMaxTiles) ProgramFail("TILES: ", t.rows(), " tiles, limit ", kMaxTiles);
  int64_t total_bytes = 0;
  for (int64_t i = 0; i < t.rows(); ++i) {
    Tile tile;
    tile.col = Bounded(t.At(i, 0), 0, kMaxColumns - 1, "TILES", i, "column");
    tile.row = Bounded(t.At(i, 1), 0, kMaxRows - 1, "TILES", i, "row");
    tile.kind = Bounded(t.At(i, 2), 0, 2, "TILES", i, "kind");
    tile.mem_bytes = Bounded(t.At(i, 3), 0, kMaxTileBytes, "TILES", i, "memory bytes");
    if (tile.mem_bytes % 4 != 0) ProgramFail("TILES row ", i, ": memory is not a whole number of 32-bit words");
    tile.n_locks = Bounded(t.At(i, 4), 0, 1024, "TILES", i, "locks");
    tile.n_bds = Bounded(t.At(i, 5), 0, 1024, "TILES", i, "descriptors");
    for (const Tile& other : p.tiles) {
      if (other.col == tile.col && other.row == tile.row) ProgramFail("TILES row ", i, ": a tile is listed twice");
    }
    tile.lock_base = p.n_locks;
    tile.bd_base = p.n_bd_slots;
    p.n_locks += tile.n_locks;
    p.n_bd_slots += tile.n_bds;
    p.tiles.push_back(tile);
    total_bytes += tile.mem_bytes;
    if (total_bytes > kMaxArrayBytes) ProgramFail("TILES: more than ", Grouped(kMaxArrayBytes), " bytes of memory");
  }
  p.lock_init.assign(static_cast<size_t>(p.n_locks), 0);
  const TableView locks = file.Table(kSecLockInit);
  for (int64_t i = 0; i < locks.rows(); ++i) {
    const int tile = Bounded(locks.At(i, 0), 0, t.rows() - 1, "LOCK_INIT", i, "tile");
    const Tile& owner = p.tiles[static_cast<size_t>(tile)];
    const int lock = Bounded(locks.At(i, 1), 0, owner.n_locks - 1, "LOCK_INIT", i, "lock");
    const int value = Bounded(locks.At(i, 2), 0, kMaxLockValue, "LOCK_INIT", i, "value");
    p.lock_init[static_cast<size_t>(owner.lock_base + lock)] = value;
  }
}

void LoadFlows(const Container& file, Program& p) {
  const TableView flows = file.Table(kSecFlows), dsts = file.Table(kSecFlowDsts);
  p.channel_lookup.assign(p.tiles.size() * 2 * kMaxChannelsPerDirection, -1);
  if (flows.rows() > 65536) ProgramFail("FLOWS: ", flows.rows(), " rows, limit 65,536");
  for (int64_t i = 0; i < flows.rows(); ++i) {
    Flow flow;
    const int index = static_cast<int>(i);
    flow.cls = Bounded(flows.At(i, 4), 0, kNumFlowClasses - 1, "FLOWS", i, "class");
    flow.link = Bounded(flows.At(i, 5), -1, 1023, "FLOWS", i, "link");
    if (flow.link >= 0 && flow.cls != kFlowO) ProgramFail("FLOWS row ", i, ": only output flows share a link");
    flow.src = AddEndpoint(p, flows.At(i, 0), flows.At(i, 1), kMm2s, index, "FLOWS", i);
    CheckEnd(p, flow.src, flow.cls, true, "FLOWS", i);
    const int64_t first = Bounded(flows.At(i, 2), 0, dsts.rows(), "FLOWS", i, "first destination");
    const int64_t n = Bounded(flows.At(i, 3), 1, dsts.rows() - first, "FLOWS", i, "number of destinations");
    for (int64_t d = first; d < first + n; ++d) {
      flow.dsts.push_back(AddEndpoint(p, dsts.At(d, 0), dsts.At(d, 1), kS2mm, index, "FLOW_DSTS", d));
      CheckEnd(p, flow.dsts.back(), flow.cls, false, "FLOW_DSTS", d);
    }
    p.flows.push_back(std::move(flow));
  }
}

void LoadCores(const Container& file, Program& p) {
  const TableView t = file.Table(kSecCores);
  std::vector<bool> seen(p.tiles.size(), false);
  for (int64_t i = 0; i < t.rows(); ++i) {
    CoreInfo core;
    core.tile = Bounded(t.At(i, 0), 0, static_cast<int64_t>(p.tiles.size()) - 1, "CORES", i, "tile");
    const Tile& tile = p.tiles[static_cast<size_t>(core.tile)];
    if (tile.kind != kCore) ProgramFail("CORES row ", i, ": ", TileName(p, core.tile), " is not a core");
    if (seen[static_cast<size_t>(core.tile)]) ProgramFail("CORES row ", i, ": a core is listed twice");
    seen[static_cast<size_t>(core.tile)] = true;
    if (tile.n_locks <= kOFull) ProgramFail("CORES row ", i, ": the superkernel needs locks 0..5");
    core.row = Bounded(t.At(i, 16), 0, kMaxRows - 1, "CORES", i, "row");
    std::array<uint32_t, 15> v{};
    for (int k = 0; k < 15; ++k) {
      v[static_cast<size_t>(k)] = static_cast<uint32_t>(Bounded(t.At(i, k + 1), 0, kMaxTileBytes, "CORES", i, "value"));
    }
    core.config = {static_cast<uint32_t>(tile.mem_bytes), v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8],
                   v[9], v[10], v[11], v[12], v[13], v[14]};
    std::vector<Region> regions;
    constexpr std::array<std::string_view, 3> kRings = {"ring A", "ring W", "ring O"};
    for (size_t r = 0; r < 3; ++r) {
      const uint32_t base = v[3 * r], slot = v[3 * r + 1], slots = v[3 * r + 2];
      Bounded(slots, 1, kMaxLockValue, "CORES", i, "slots of a ring");
      // Messages are made of 64-byte tiles, and a W message may wrap at any of them.
      if (base % 64 != 0 || slot == 0 || slot % (r == 1 ? 64 : 4) != 0) {
        ProgramFail("CORES row ", i, ": ", kRings[r], " is not aligned (base ", base, ", slot ", slot, ")");
      }
      regions.push_back({kRings[r], base, base + int64_t{slot} * slots});
    }
    constexpr std::array<std::string_view, 3> kAreas = {"ACC", "OPS", "HDR"};
    for (size_t r = 0; r < 3; ++r) {
      const uint32_t base = v[9 + 2 * r], bytes = v[10 + 2 * r];
      if (base % 4 != 0) ProgramFail("CORES row ", i, ": ", kAreas[r], " is not aligned to 4 bytes");
      regions.push_back({kAreas[r], base, int64_t{base} + bytes});
    }
    CheckRegions(std::move(regions), tile.mem_bytes, i);
    p.cores.push_back(core);
  }
}

int Program::FindChannel(int tile, int dir, int ch) const {
  if (ch < 0 || ch >= kMaxChannelsPerDirection) return -1;
  return channel_lookup[static_cast<size_t>((tile * 2 + dir) * kMaxChannelsPerDirection + ch)];
}

std::string TileName(const Program& program, int tile) {
  const Tile& t = program.tiles[static_cast<size_t>(tile)];
  std::string name(KindName(t.kind));
  name.append(1, '(').append(std::to_string(t.col));
  // Rows 0 and 1 of the array are the shim and the memtile.
  if (t.kind == kCore) name.append(1, ',').append(std::to_string(t.row >= 2 ? t.row - 2 : t.row));
  return name.append(1, ')');
}

std::string ChannelName(const Program& program, int channel) {
  const ChannelInfo& c = program.channels[static_cast<size_t>(channel)];
  return TileName(program, c.tile) + (c.dir == kMm2s ? " MM2S " : " S2MM ") + std::to_string(c.ch);
}

std::string LockName(const Program& program, int lock) {
  constexpr std::array<std::string_view, 10> kCoreLocks = {"A_free",    "A_full",    "W_free",    "W_full",    "O_free",
                                                           "O_full",    "A_free[1]", "A_full[1]", "O_free[1]", "O_full[1]"};
  constexpr std::array<std::string_view, 10> kMemLocks = {"W_free[0]", "W_full[0]", "O_done",   "NBR_W",      "NBR_E",
                                                          "LOAD_GO",   "LOAD_DONE", "STORE_GO", "STORE_DONE", "O_done[1]"};
  for (const Tile& t : program.tiles) {
    if (lock < t.lock_base || lock >= t.lock_base + t.n_locks) continue;
    const auto id = static_cast<size_t>(lock - t.lock_base);
    if (t.kind == kCore && id < kCoreLocks.size()) return std::string(kCoreLocks[id]);
    if (t.kind == kMemtile && id < kMemLocks.size()) return std::string(kMemLocks[id]);
    return std::string("lock ").append(std::to_string(id));
  }
  return std::string("lock ").append(std::to_string(lock));
}

}  // namespace tvm_aie
