"""The emulator's trace rows as named spans: one track per DMA channel, core, lock and the command processor."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tvm_aie.device import Device
from tvm_aie.emit.program import Dir, FlowClass, Program, TileKind
from tvm_aie.pipeline import Compiled
from tvm_aie.report.trace import Lane, Span, Timeline
from tvm_aie.runtime.emulator import TRACE_KINDS, RunResult

_LANES = {
    FlowClass.LOAD: Lane.LOAD,
    FlowClass.LOADW: Lane.LOADW,
    FlowClass.A: Lane.LOADFM,
    FlowClass.W: Lane.LOADWM,
    FlowClass.O: Lane.WRITEFM,
    FlowClass.STORE: Lane.WRITE,
}
_KIND_NAMES = {TileKind.SHIM: "shim", TileKind.MEMTILE: "memtile", TileKind.CORE: "core"}
_COMMANDS = ("write BD", "push task", "wait", "mark", "set lock")
_CORE_LOCKS = ("A_free", "A_full", "W_free", "W_full", "O_free", "O_full")
_MEM_LOCKS = (
    "W_free",
    "W_full",
    "O_done",
    "NBR_W",
    "NBR_E",
    "LOAD_GO",
    "LOAD_DONE",
    "STORE_GO",
    "STORE_DONE",
    "O_done[1]",
)
WORD_BYTES = 4


def timeline_of(device: Device, compiled: Sequence[Compiled], runs: Sequence[RunResult]) -> Timeline:
    """All regions one after the other."""
    spans: list[Span] = []
    offset = 0
    for region, run in zip(compiled, runs, strict=True):
        found = _region_spans(device, region, run, offset)
        if run is not runs[-1]:  # what fetches the weights of its next inference would lie under the next region
            found = [span for span in found if span.start < offset + run.cycles // max(1, run.images)]
        spans.extend(found)
        offset += run.cycles // max(1, run.images)
    return Timeline(device.clock_mhz, tuple(spans))


def tile_name(program: Program, tile: int) -> str:
    """``core(1,3)``: column, row of cores; ``memtile(1)``, ``shim(1)``."""
    t = program.tiles[tile]
    place = f"{t.col},{t.row - 2}" if t.kind is TileKind.CORE else f"{t.col}"
    return f"{_KIND_NAMES[t.kind]}({place})"


def channel_lanes(program: Program) -> dict[str, tuple[Lane, str]]:
    """Agent name of the memtile-side (for outputs: core-side) end of each flow -> lane and rate key."""
    lanes = {}
    for flow in program.flows:
        ends = [(flow.src, Dir.MM2S)]
        ends += [(dst, Dir.S2MM) for dst in flow.dsts]
        wanted = TileKind.CORE if flow.kind is FlowClass.O else TileKind.MEMTILE
        for (tile, channel), direction in ends:
            if program.tiles[tile].kind is wanted:
                name = f"{tile_name(program, tile)} {direction.name} {channel}"
                lanes[name] = (_LANES[flow.kind], f"flow.{flow.kind.name.lower()}.words_per_cycle")
    return lanes


def lock_names(program: Program) -> list[tuple[str, str]]:
    """(tile, lock name) of every lock, in the emulator's numbering."""
    names = []
    for i, tile in enumerate(program.tiles):
        known = {TileKind.CORE: _CORE_LOCKS, TileKind.MEMTILE: _MEM_LOCKS}.get(tile.kind, ())
        for lock in range(tile.n_locks):
            names.append((tile_name(program, i), known[lock] if lock < len(known) else f"lock {lock}"))
    return names


def _region_spans(device: Device, region: Compiled, run: RunResult, offset: int) -> list[Span]:
    program, keys = region.program, device.keys()
    lanes, locks = channel_lanes(program), lock_names(program)
    labels = [region.physical.layers[item.layer].name for item in region.placement.items]
    agents = [_split(name) for name in run.trace.agents]
    spans = []
    for agent, kind, item, start, end, amount in run.trace.rows.tolist():
        group, track = agents[agent]
        label = labels[item] if 0 <= item < len(labels) else "program"
        begin, stop = offset + start, offset + end
        what = TRACE_KINDS[kind]
        if what == "transfer":
            lane, rate = lanes.get(run.trace.agents[agent], (None, ""))
            busy = round(amount / WORD_BYTES / keys[rate]) if lane else 0
            spans.append(Span(group, track, f"{label}: {amount} B", begin, stop, lane, busy))
        elif what == "kernel":
            spans.append(Span(group, track, label, begin, stop, Lane.COMP))
        elif what == "wait":
            tile, lock = locks[amount]
            spans.append(Span(f"locks of {tile}", lock, f"{run.trace.agents[agent]} waits", begin, stop))
        else:
            busy_lane = None if _COMMANDS[amount] == "wait" else Lane.CONTROL
            spans.append(Span(group, track, f"{label}: {_COMMANDS[amount]}", begin, stop, busy_lane))
    return spans


def _split(agent: str) -> tuple[str, str]:
    """``core(0,1) S2MM 0`` -> tile and channel; a bare tile is its core."""
    match = re.fullmatch(r"(\w+\([\d,]+\)) (.*)", agent)
    return (match[1], match[2]) if match else (agent, "core" if agent.startswith("core") else "commands")
