"""The ``Program`` (docs/program.md): everything the array executes, and its serialised form (section 5)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import chain
from math import prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tvm_aie.device import Device
from tvm_aie.errors import ProgramError

MAGIC = b"TVMAIE2\0"
VERSION = 3
FIXED_POINT = 1 << 20
HEADER = struct.Struct("<8sIIQII")
SECTION = struct.Struct("<IIQQ")

Int64Table = npt.NDArray[np.int64]


class TileKind(IntEnum):
    """Kinds of tile; the values are part of the serialised form."""

    SHIM = 0
    MEMTILE = 1
    CORE = 2


class Dir(IntEnum):
    """DMA direction of a channel."""

    S2MM = 0
    MM2S = 1
    __hash__ = int.__hash__  # channels are the keys of many look-ups, and that of enumerations is no built-in


class FlowClass(IntEnum):
    """What a flow carries (docs/program.md section 1)."""

    A = 0
    W = 1
    O = 2  # noqa: E741 - the name of the flow
    LOAD = 3
    LOADW = 4
    STORE = 5


class Arg(IntEnum):
    """DDR arguments of the command stream."""

    CONST = 0
    INPUT = 1
    OUTPUT = 2
    SCRATCH = 3


@dataclass(frozen=True)
class Tile:
    """One tile: column, row (0 = shim, 1 = memtile, cores from 2), kind, memory in bytes, locks, descriptors."""

    col: int
    row: int
    kind: TileKind
    mem_bytes: int
    n_locks: int
    n_bds: int


@dataclass(frozen=True)
class LockUse:
    """A lock and an amount: acquire (wait for value >= amount, subtract) or release (add)."""

    tile: int
    lock: int
    value: int


@dataclass(frozen=True)
class Bd:
    """A buffer descriptor. ``dims``: (size, stride in words) outermost first; ``base`` in bytes.

    ``mem``: tile whose memory is addressed, or the DDR argument on a shim. ``pads``: (before, after) of the up to
    three innermost dims, outermost first, aligned to the right like ``dims``; units: elements of that dim.
    """

    tile: int
    bd_id: int
    mem: int
    base: int
    dims: tuple[tuple[int, int], ...]
    pads: tuple[tuple[int, int], ...] = ()
    iter_wrap: int = 1
    iter_step: int = 0
    acquire: LockUse | None = None
    release: LockUse | None = None
    next_bd: int = -1
    control: bool = False

    @property
    def length(self) -> int:
        """Words on the stream per execution, padding included."""
        if not self.pads:
            return prod(size for size, _ in self.dims)
        total = 1
        for i, (size, _) in enumerate(self.dims):
            before, after = self.pad(i)
            total *= size + before + after
        return total

    def pad(self, dim: int) -> tuple[int, int]:
        """Padding (before, after) of dimension ``dim`` (outermost = 0)."""
        index = dim - (len(self.dims) - len(self.pads))
        return self.pads[index] if index >= 0 else (0, 0)


@dataclass(frozen=True)
class Flow:
    """A circuit from one MM2S channel to one or more S2MM channels."""

    src: tuple[int, int]
    dsts: tuple[tuple[int, int], ...]
    kind: FlowClass
    link: int = -1


@dataclass(frozen=True)
class CoreMap:
    """Memory map of a core (bytes) and its rings (slot bytes, slots)."""

    tile: int
    a_base: int
    a_slot: int
    a_slots: int
    w_base: int
    w_slot: int
    w_slots: int
    o_base: int
    o_slot: int
    o_slots: int
    acc_base: int
    acc_bytes: int
    ops_base: int
    ops_bytes: int
    hdr_base: int
    hdr_bytes: int
    row: int


@dataclass(frozen=True)
class Task:
    """A DMA task: chain starting at ``bd``, executed ``repeat`` times (0 = forever; static tasks only).

    ``item``: of a static task, that to which the reports attribute it (-1: none).
    """

    tile: int
    dir: Dir
    ch: int
    bd: int
    repeat: int
    item: int = -1


@dataclass(frozen=True)
class WriteBd:
    """Command: write row ``index`` of the program's descriptor table."""

    index: int


@dataclass(frozen=True)
class Push:
    """Command: push a task; ``item`` attributes its cost."""

    task: Task
    item: int


@dataclass(frozen=True)
class Wait:
    """Command: wait until the channel has completed ``count`` tasks since the start."""

    tile: int
    dir: Dir
    ch: int
    count: int


@dataclass(frozen=True)
class SetLock:
    """Command: write the value of a lock."""

    use: LockUse


@dataclass(frozen=True)
class Mark:
    """Command without effect: what follows belongs to ``item``."""

    item: int


Command = WriteBd | Push | Wait | Mark | SetLock
# The serialised form: the kind, then its fields.
WRITE_BD, PUSH, WAIT, MARK, SET_LOCK = range(5)
COMMAND_FIELDS = 7


def command_of(row: Sequence[int]) -> Command:
    """A command from its serialised form."""
    op, *rest = row
    if op == WRITE_BD:
        return WriteBd(rest[0])
    if op == PUSH:
        tile, direction, ch, bd, repeat, item = rest
        return Push(Task(tile, Dir(direction), ch, bd, repeat), item)
    if op == WAIT:
        return Wait(rest[0], Dir(rest[1]), rest[2], rest[3])
    return SetLock(LockUse(*rest[:3])) if op == SET_LOCK else Mark(rest[0])


@dataclass(frozen=True)
class ProgramIO:
    """A network input or output in DDR: NCHW of one image, physical channels, uint8, int8 or int16 on the host.

    ``fold``: pixels of a line that are one pixel in DDR; ``channel_map`` has the channels of the first of them, then of
    the second, and so on.
    """

    kind: int  # 0 input, 1 output
    offset: int
    channels: int
    height: int
    width: int
    c_physical: int
    channel_map: tuple[int, ...]
    uint8: bool
    flat: bool
    elem: int = 1  # bytes per element; 2: int16
    fold: int = 1

    @property
    def host_shape(self) -> tuple[int, ...]:
        """Shape of one image on the host."""
        chw = (self.channels, self.height, self.width)
        return (1, self.channels * self.height * self.width) if self.flat else (1, *chw)


class Tables(NamedTuple):
    """Descriptors and commands in their serialised form: what arrangements of one program's tasks differ in."""

    bds: bytes
    links: bytes  # of each descriptor its successor, and whether it loads opcodes or weights
    static_bds: bytes
    static_tasks: bytes
    commands: bytes


BD_FIELDS = 30
Section = tuple[int, bytes, int]  # number, content, bytes of an element


@dataclass(frozen=True)
class Program:
    """All sections of docs/program.md section 5."""

    device_keys: dict[str, float]
    tiles: tuple[Tile, ...]
    lock_init: tuple[LockUse, ...]
    flows: tuple[Flow, ...]
    cores: tuple[CoreMap, ...]
    bds: tuple[Bd, ...]
    static_bds: tuple[int, ...]
    static_tasks: tuple[Task, ...]
    commands: tuple[Command, ...]
    ddr_sizes: tuple[int, int, int, int]
    const: bytes
    io: tuple[ProgramIO, ...]
    meta: str

    def verify(self, device: Device) -> None:
        """Raise ``ProgramError`` naming each hardware limit of ``device`` that does not hold (``emit.verify``).

        Also for programs that were read from bytes or changed. Two things that bytes do not carry were checked when
        they were compiled and are not here: what items that overlap touch, and whether weights are missing
        (docs/program.md section 3).
        """
        from tvm_aie.emit.verify import verify

        verify(self, device)

    @property
    def tables(self) -> Tables:
        """The serialised form of descriptors and commands."""
        return Tables(
            _table([bd_row(b) for b in self.bds], BD_FIELDS),
            _table([[b.next_bd, int(b.control)] for b in self.bds], 2),
            _table([[i] for i in self.static_bds], 1),
            _table([[t.tile, int(t.dir), t.ch, t.bd, t.repeat, t.item] for t in self.static_tasks], 6),
            _table([_command_row(c) for c in self.commands], COMMAND_FIELDS),
        )

    def to_bytes(self, tables: Tables | None = None) -> bytes:
        """The serialised form, with checksum. ``tables``: in place of the program's own (``emit.assembly``)."""
        before, behind = self._others
        bds, links, static_bds, static_tasks, commands = self.tables if tables is None else tables
        own = (9, bds, 8), (10, links, 8), (11, static_bds, 8), (12, static_tasks, 8), (13, commands, 8)
        return _pack([*before, *own, *behind])

    @cached_property
    def _others(self) -> tuple[list[Section], list[Section]]:
        """The sections in front of those tables and behind them."""
        keys = sorted(self.device_keys)
        flow_rows: list[list[int]] = []
        dst_rows: list[list[int]] = []
        for flow in self.flows:
            flow_rows.append([*flow.src, len(dst_rows), len(flow.dsts), int(flow.kind), flow.link])
            dst_rows.extend([list(d) for d in flow.dsts])
        io_rows: list[list[int]] = []
        io_map: list[list[int]] = []
        for io in self.io:
            io_rows.append(
                [
                    io.kind,
                    io.offset,
                    1,
                    io.channels,
                    io.height,
                    io.width,
                    io.c_physical,
                    128 if io.uint8 else 0,
                    len(io_map),
                    2 if io.elem == 2 else int(io.uint8),
                    int(io.flat),
                    io.fold if io.fold > 1 else 0,
                ]
            )
            io_map.extend([[c] for c in io.channel_map])
        before = [
            (1, self.meta.encode(), 1),
            (2, "\n".join(keys).encode(), 1),
            (3, _table([[round(self.device_keys[k] * FIXED_POINT)] for k in keys], 1), 8),
            (4, _table([[t.col, t.row, int(t.kind), t.mem_bytes, t.n_locks, t.n_bds] for t in self.tiles], 6), 8),
            (5, _table([[u.tile, u.lock, u.value] for u in self.lock_init], 3), 8),
            (6, _table(flow_rows, 6), 8),
            (7, _table(dst_rows, 2), 8),
            (8, _table([[getattr(c, f) for f in CoreMap.__dataclass_fields__] for c in self.cores], 17), 8),
        ]
        behind = [
            (14, _table([[s] for s in self.ddr_sizes], 4), 8),
            (15, self.const, 1),
            (16, _table(io_rows, 12), 8),
            (17, _table(io_map, 1), 8),
        ]
        return before, behind


def _table(rows: Sequence[Sequence[int]], cols: int) -> bytes:
    array: Int64Table = np.fromiter(chain.from_iterable(rows), np.int64)
    if array.size % cols:
        raise ProgramError(f"table of {array.size} values is not a multiple of {cols} columns")
    return array.astype("<i8").tobytes()


# In place of what a descriptor does not have.
NO_DIMS, NO_PADS, NO_LOCK = ((1, 0),) * 4, ((0, 0),) * 3, (-1, 0, 0)


def bd_row(bd: Bd) -> list[int]:
    """A descriptor without its successor and kind, in its serialised form."""
    n = len(bd.dims)
    if not 1 <= n <= 4:
        raise ProgramError(f"descriptor {bd.bd_id} of tile {bd.tile} has {n} dimensions, limit 4")
    sizes, strides = zip(*NO_DIMS[n:], *bd.dims, strict=True)
    before, behind = zip(*NO_PADS[len(bd.pads) :], *bd.pads, strict=True)
    row = (bd.tile, bd.bd_id, bd.mem, bd.base, bd.length, n, *sizes, *strides, bd.iter_wrap, bd.iter_step)
    locks = [(use.tile, use.lock, use.value) if use else NO_LOCK for use in (bd.acquire, bd.release)]
    return [*row, *before, *behind, *locks[0], *locks[1], 0, 0]


def _command_row(command: Command) -> list[int]:
    if isinstance(command, WriteBd):
        return [WRITE_BD, command.index, 0, 0, 0, 0, 0]
    if isinstance(command, Push):
        t = command.task
        return [PUSH, t.tile, int(t.dir), t.ch, t.bd, t.repeat, command.item]
    if isinstance(command, Wait):
        return [WAIT, command.tile, int(command.dir), command.ch, command.count, 0, 0]
    if isinstance(command, SetLock):
        return [SET_LOCK, command.use.tile, command.use.lock, command.use.value, 0, 0, 0]
    return [MARK, command.item, 0, 0, 0, 0, 0]


def _pack(sections: Sequence[Section]) -> bytes:
    offset = HEADER.size + SECTION.size * len(sections)
    directory = b""
    parts: list[bytes] = []
    for ident, data, elem in sections:
        pad = -offset % 8
        parts.append(b"\0" * pad)
        offset += pad
        directory += SECTION.pack(ident, elem, offset, len(data) // elem)
        parts.append(data)
        offset += len(data)
    crc = zlib.crc32(directory)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return b"".join((HEADER.pack(MAGIC, VERSION, len(sections), offset, crc, 0), directory, *parts))
