"""Are the divisions of core memory sound that DIVIDE opcodes announce, and do the ring descriptors agree with them?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from tvm_aie.device import Device
from tvm_aie.emit.opcodes import DIVIDE, HALT, HEADER_WORDS, OP_MAGIC
from tvm_aie.emit.overlay import A_LOCKS, O_LOCKS
from tvm_aie.emit.program import Bd, CoreMap, Dir, Program, Push, Task, TileKind, WriteBd

Division = tuple[int, ...]  # operands of DIVIDE: A base, slot, slots; O base, slot, slots; ACC base, bytes
Ring = tuple[int, int, int, int, int]  # base, slot bytes, slots, locks acquired and released
UNKNOWN = (-1, 0, 0, -1, -1)  # of a descriptor that was not written


def division_faults(program: Program, device: Device) -> Iterator[str]:
    """What is wrong with the divisions, and with the tasks of the cores' A and O rings."""
    pushed = _ring_descriptors(program)
    for column in range(sum(t.kind == TileKind.SHIM for t in program.tiles)):
        announced = opcode_divisions(program, column)
        cores = [m for m in program.cores if program.tiles[m.tile].col == column]
        for core in cores[:1]:  # all cores of a column get the same messages
            for k, division in enumerate(whole_divisions(core, announced)):
                yield from (f"core tile {core.tile}, division {k}: {f}" for f in _map_faults(core, division, device))
        for core in cores:
            yield from _ring_faults(core, announced, pushed)


def opcode_divisions(program: Program, column: int) -> list[Division]:
    """Operands of the DIVIDE opcodes of a column's messages, in order; none where its messages are not to be found."""
    messages = opcode_messages(program, column)
    return [tuple(int(w) for w in ops[1:9]) for ops in messages if ops[0] == DIVIDE]


def whole_divisions(core: CoreMap, announced: Sequence[Division]) -> list[Division]:
    """The divisions with the rings that stay (0 slots) as they are: what a core's memory is in each item."""
    a: Division = (core.a_base, core.a_slot, core.a_slots)
    o: Division = (core.o_base, core.o_slot, core.o_slots)
    out = []
    for division in announced:
        a, o = (new if new[2] else old for new, old in ((division[:3], a), (division[3:6], o)))
        out.append((*a, *o, *division[6:]))
    return out


def opcode_messages(program: Program, column: int) -> list[npt.NDArray[np.int32]]:
    """The opcodes of a column's messages, without their headers; none where they are not to be found."""
    content: dict[tuple[int, int], Bd] = {
        (bd.tile, bd.bd_id): bd for bd in map(program.bds.__getitem__, program.static_bds)
    }
    for loaded in program.static_tasks:  # a resident program has its first load in the shim
        if _channel(loaded) == (column, Dir.MM2S, 0) and (loaded.tile, loaded.bd) in content:
            first = content[loaded.tile, loaded.bd]
            return _decode(program.const[first.base : first.base + 4 * first.length])
    for command in program.commands:
        if isinstance(command, WriteBd):
            bd = program.bds[command.index]
            content[(bd.tile, bd.bd_id)] = bd
        elif isinstance(command, Push) and _channel(command.task) == (column, Dir.MM2S, 0):
            found = content.get((column, command.task.bd))
            return _decode(program.const[found.base : found.base + 4 * found.length]) if found else []
    return []


def _channel(task: Task) -> tuple[int, Dir, int]:
    return task.tile, task.dir, task.ch


def _decode(data: bytes) -> list[npt.NDArray[np.int32]]:
    words = np.frombuffer(data[: len(data) // 4 * 4], "<i4")
    out, at = [], 0
    while at + HEADER_WORDS < len(words) and words[at] == OP_MAGIC and words[at + 1] > HEADER_WORDS:
        ops = words[at + HEADER_WORDS : at + int(words[at + 1])]
        out.append(ops)
        if ops[0] == HALT:
            break
        at += int(words[at + 1])
    return out


def _map_faults(core: CoreMap, division: Division, device: Device) -> Iterator[str]:
    a, a_slot, a_slots, o, o_slot, o_slots, acc, acc_bytes = division
    areas = {
        "reserved": (0, device.core_reserved_bytes),
        "OPS": (core.ops_base, core.ops_bytes),
        "HDR": (core.hdr_base, core.hdr_bytes),
        "W": (core.w_base, core.w_slot * core.w_slots),
        "ACC": (acc, acc_bytes),
        "O": (o, o_slot * o_slots),
        "A": (a, a_slot * a_slots),
    }
    for (x, (xb, xn)), (y, (yb, yn)) in combinations(areas.items(), 2):
        if xb < yb + yn and yb < xb + xn:
            yield f"{x} and {y} overlap"
    for name, (base, length) in areas.items():
        if base < 0 or length < 0 or base + length > device.core_mem_bytes:
            yield f"{name} ends at {base + length}, memory {device.core_mem_bytes}"
    if not (0 < a_slots <= device.lock_max and 0 < o_slots <= device.lock_max):
        yield f"rings of {a_slots} and {o_slots} slots, limit {device.lock_max}"


def _ring_descriptors(program: Program) -> dict[tuple[int, Dir], list[Ring]]:
    """What the command stream starts on each core's A and O channels: the same ring again counts once."""
    cores = {m.tile for m in program.cores}
    content: dict[tuple[int, int], Bd] = {}
    out: dict[tuple[int, Dir], list[Ring]] = {}
    for command in program.commands:
        if isinstance(command, WriteBd):
            bd = program.bds[command.index]
            content[(bd.tile, bd.bd_id)] = bd
        elif isinstance(command, Push) and command.task.tile in cores:
            found = content.get((command.task.tile, command.task.bd))
            rings = out.setdefault((command.task.tile, command.task.dir), [])
            ring = _ring(found) if found else UNKNOWN
            if ring not in rings[-1:]:
                rings.append(ring)
    return out


def _ring(bd: Bd) -> Ring:
    locks = [use.lock if use else -1 for use in (bd.acquire, bd.release)]
    return bd.base, 4 * bd.length, bd.iter_wrap, locks[0], locks[1]


def _ring_faults(
    core: CoreMap, divisions: Sequence[Division], pushed: dict[tuple[int, Dir], list[Ring]]
) -> Iterator[str]:
    """One A ring after the other is that of a division that lays one out, the O ring too where there are outputs."""
    into, out = (pushed.get((core.tile, d), []) for d in (Dir.S2MM, Dir.MM2S))
    if not divisions:
        if into or out:
            yield f"core tile {core.tile}: tasks of rings that no DIVIDE lays out"
        return
    first = (core.a_base, core.a_slot, core.a_slots, core.o_base, core.o_slot, core.o_slots, core.acc_base, 0)
    rings_a: list[Ring] = []
    rings_o: list[Ring] = []
    for a, a_slot, a_slots, o, o_slot, o_slots, _, _ in (first, *divisions):
        (a_free, a_full), (o_free, o_full) = A_LOCKS[len(rings_a) % 2], O_LOCKS[len(rings_o) % 2]
        if a_slots:
            rings_a.append((a, a_slot, a_slots, a_free, a_full))
        if o_slots:
            rings_o.append((o, o_slot, o_slots, o_full, o_free))
    for k, (ring, wanted) in enumerate(zip(into, rings_a, strict=False)):
        if ring != wanted:
            yield f"core tile {core.tile}: A ring {k} is {ring}, its division says {wanted}"
    if len(into) != len(rings_a):
        yield f"core tile {core.tile}: {len(into)} A rings for {len(rings_a)} divisions"
    at = iter(rings_o)
    for ring in out:
        if ring not in at:
            yield f"core tile {core.tile}: O ring {ring} is of no division in its turn"
