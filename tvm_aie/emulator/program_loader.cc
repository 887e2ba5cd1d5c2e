#include "emulator/program_loader.h"

#include <algorithm>

namespace tvm_aie {

void LoadIo(const Container& file, Program& p) {
  const TableView t = file.Table(kSecIo), map = file.Table(kSecIoMap);
  if (t.rows() > 4096) ProgramFail("IO: ", t.rows(), " tensors, limit 4,096");
  constexpr int64_t kMaxDim = int64_t{1} << 24;
  for (int64_t i = 0; i < t.rows(); ++i) {
    IoTensor io;
    io.is_output = Bounded(t.At(i, 0), 0, 1, "IO", i, "kind") != 0;
    io.ddr_offset = t.At(i, 1);
    io.n = Bounded(t.At(i, 2), 1, 1, "IO", i, "batch");
    io.c = Bounded(t.At(i, 3), 1, kMaxDim, "IO", i, "channels");
    io.h = Bounded(t.At(i, 4), 1, kMaxDim, "IO", i, "height");
    io.w = Bounded(t.At(i, 5), 1, kMaxDim, "IO", i, "width");
    io.c_physical = Bounded(t.At(i, 6), 1, kMaxDim, "IO", i, "physical channels");
    if (io.c_physical % 8 != 0) ProgramFail("IO row ", i, ": physical channels are not a multiple of 8");
    io.flip = static_cast<uint8_t>(Bounded(t.At(i, 7), 0, 128, "IO", i, "xor mask"));
    if (io.flip != 0 && io.flip != 128) ProgramFail("IO row ", i, ": xor mask ", int{io.flip}, " is not 0 or 128");
    const int32_t type = Bounded(t.At(i, 9), 0, 2, "IO", i, "element type");
    io.is_unsigned = type == 1;
    io.elem = type == 2 ? 2 : 1;
    if (io.elem == 2 && io.flip != 0) ProgramFail("IO row ", i, ": an xor mask on int16");
    io.flat = Bounded(t.At(i, 10), 0, 1, "IO", i, "flat flag") != 0;
    io.fold = std::max<int64_t>(1, Bounded(t.At(i, 11), 0, 8, "IO", i, "fold"));
    if (io.fold > 1 && (io.is_output || io.flat)) ProgramFail("IO row ", i, ": only an input image can be folded");
    const __int128 bytes = static_cast<__int128>(io.h) * io.c_physical * io.Pixels() * io.elem;
    const int64_t limit = p.ddr_bytes[io.is_output ? kDdrOutput : kDdrInput];
    if (io.ddr_offset < 0 || io.ddr_offset > limit || bytes > limit - io.ddr_offset) {
      ProgramFail("IO row ", i, ": the tensor does not fit into its DDR argument of ", Grouped(limit), " bytes");
    }
    const int64_t first = Bounded(t.At(i, 8), 0, map.rows(), "IO", i, "first map entry");
    if (io.c * io.fold > map.rows() - first) ProgramFail("IO row ", i, ": the channel map ends early");
    std::vector<bool> seen(static_cast<size_t>(io.c_physical), false);
    for (int64_t c = 0; c < io.c * io.fold; ++c) {
      const int32_t to = Bounded(map.At(first + c, 0), 0, io.c_physical - 1, "IO_MAP", first + c, "physical channel");
      if (seen[static_cast<size_t>(to)]) ProgramFail("IO_MAP row ", first + c, ": physical channel ", to, " twice");
      seen[static_cast<size_t>(to)] = true;
      io.map.push_back(to);
    }
    (io.is_output ? p.outputs : p.inputs).push_back(std::move(io));
  }
}

Program LoadProgram(std::vector<uint8_t> bytes) {
  Program p;
  p.bytes = std::move(bytes);
  const Container file(p.bytes);
  const auto meta = file.Bytes(kSecMeta);
  p.meta = {reinterpret_cast<const char*>(meta.data()), meta.size()};
  LoadTiles(file, p);
  int columns = 1;
  for (const Tile& t : p.tiles) columns = std::max(columns, t.col + 1);
  p.device = LoadDevice(file, columns);
  LoadFlows(file, p);
  LoadCores(file, p);
  LoadDdr(file, p);
  LoadBds(file, p);
  LoadIo(file, p);
  LoadTasks(file, p);
  LoadCommands(file, p);
  CheckChains(p);
  // Statistics keep a cell per item and core.
  constexpr int64_t kMaxCells = int64_t{1} << 23;
  if ((int64_t{p.n_items} + 1) * static_cast<int64_t>(p.cores.size()) > kMaxCells) {
    ProgramFail("COMMANDS: ", p.n_items, " items on ", p.cores.size(), " cores exceed the statistics table");
  }
  return p;
}

}  // namespace tvm_aie
