// Parts of LoadProgram; see program.h.
#pragma once

#include "emulator/container.h"

namespace tvm_aie {

DeviceParams LoadDevice(const Container& file, int columns);
// `values` are fixed point; `columns`: number of ddr.bytes_per_cycle_<n> keys.
DeviceParams MakeDevice(const std::vector<std::string_view>& keys, const std::vector<int64_t>& values, int columns);

// `value` as int32 in [low, high], or a ProgramError "<table> row <row>: <what> ...".
int32_t Bounded(int64_t value, int64_t low, int64_t high, std::string_view table, int64_t row, std::string_view what);

// Tables in the order in which they refer to each other. All throw ProgramError.
void LoadTiles(const Container& file, Program& program);
void LoadFlows(const Container& file, Program& program);
void LoadCores(const Container& file, Program& program);
void LoadDdr(const Container& file, Program& program);
void LoadBds(const Container& file, Program& program);
void LoadIo(const Container& file, Program& program);
void LoadTasks(const Container& file, Program& program);
void LoadCommands(const Container& file, Program& program);

// Replays the commands on the descriptor slots: every pushed chain exists and suits the direction of its channel.
void CheckChains(const Program& program);

// Why `bd` cannot run on a channel of this direction; empty = it can.
std::string DirectionProblem(const Program& program, const Bd& bd, int dir);

}  // namespace tvm_aie
