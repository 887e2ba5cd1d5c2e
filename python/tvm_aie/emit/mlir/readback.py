"""Design to program: what the text says, with the constant blob and the manifest's host and emulator sections.

The commands come from ``@infer``, the static descriptors and tasks from ``@configure``. The manifest adds what an
array does not know: the emulator's cost keys, what each flow carries, and how commands are attributed to items.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm_aie.emit.mlir import ir
from tvm_aie.emit.mlir import registers as reg
from tvm_aie.emit.mlir.build import CONFIGURE, CORE_AREAS, INFER
from tvm_aie.emit.program import (
    Bd,
    Command,
    CoreMap,
    Dir,
    Flow,
    FlowClass,
    LockUse,
    Mark,
    Program,
    ProgramIO,
    Push,
    SetLock,
    Task,
    Tile,
    TileKind,
    Wait,
    WriteBd,
)
from tvm_aie.errors import InputError

Manifest = Mapping[str, Any]
Channel = tuple[int, Dir, int]
# Memory, locks and descriptors by kind of tile on AIE2.
_TILE_SIZES = {TileKind.SHIM: (0, 16, 16), TileKind.MEMTILE: (524288, 64, 48), TileKind.CORE: (65536, 16, 16)}


def emulator_section(program: Program) -> dict[str, Any]:
    """The part of the manifest that ``read_back`` needs beyond the text."""
    marks: list[tuple[int, int]] = []
    push_items: list[tuple[int, int]] = []  # (push, item) where it is not the item of the last mark
    position = pushes = 0
    item = 0
    for command in program.commands:
        if isinstance(command, Mark):
            item = command.item
            marks.append((position, item))
            continue
        position += 1
        if isinstance(command, Push):
            if command.item != item:
                push_items.append((pushes, command.item))
            pushes += 1
    return {
        "device_keys": program.device_keys,
        "flows": [[f.kind.name, f.link] for f in program.flows],
        "ddr_sizes": list(program.ddr_sizes),
        "control_writes": _control_writes(program),
        "marks": marks,
        "push_items": push_items,
        "static_items": [task.item for task in program.static_tasks],
        "io": [_io_to_json(io) for io in program.io],
        "meta": json.loads(program.meta),
    }


def _control_writes(program: Program) -> list[int]:
    """Ordinals of the descriptor writes, static ones last, whose traffic the emulator reports as control."""
    rows = [c.index for c in program.commands if isinstance(c, WriteBd)] + list(program.static_bds)
    return [i for i, row in enumerate(rows) if program.bds[row].control]


def read_back(module: ir.Module, const: bytes, manifest: Manifest) -> Program:
    """The program of a design. Raises ``InputError`` when text and manifest do not belong together."""
    extra: Manifest = manifest["emulator"]
    overlay = _Overlay.of(module)
    table = _Table(overlay, set(extra["control_writes"]))
    infer = _sequence(module, INFER)
    configure = _sequence(module, CONFIGURE)
    loaded = [found for op in configure.body if (found := _task(overlay, op))]
    endless = _endless(_Table(overlay, set()), configure)
    armed = [(task, token) for task, token in loaded if not endless(task)]
    commands = _commands(table, infer, extra, armed)
    static = [command.index for command in _commands(table, configure, None) if isinstance(command, WriteBd)]
    items = zip(loaded, extra["static_items"], strict=True)
    static_tasks = [replace(t, item=item, repeat=0 if endless(t) else t.repeat) for (t, _), item in items]
    return Program(
        {k: float(v) for k, v in extra["device_keys"].items()},
        overlay.tiles,
        overlay.locks(),
        overlay.flows(extra["flows"]),
        overlay.cores(),
        tuple(table.bds),
        tuple(static),
        tuple(static_tasks),
        tuple(commands),
        _four(extra["ddr_sizes"]),
        const,
        tuple(_io_from_json(i) for i in manifest["tensors"]),
        json.dumps(extra["meta"]),
    )


def _four(values: Sequence[int]) -> tuple[int, int, int, int]:
    a, b, c, d = values
    return a, b, c, d


def _sequence(module: ir.Module, name: str) -> ir.SequenceOp:
    for op in module.body:
        if isinstance(op, ir.SequenceOp) and op.name == name:
            return op
    raise InputError(f"the design has no runtime sequence @{name}")


@dataclass(frozen=True)
class _Overlay:
    """Device operations by kind, tiles numbered in the order of the text."""

    module: ir.Module
    tiles: tuple[Tile, ...]
    index: dict[str, int]
    at: dict[tuple[int, int], int]

    @staticmethod
    def of(module: ir.Module) -> _Overlay:
        ops = [op for op in module.body if isinstance(op, ir.TileOp)]
        kinds = [TileKind(min(op.row, 2)) for op in ops]
        tiles = tuple(Tile(op.col, op.row, k, *_TILE_SIZES[k]) for op, k in zip(ops, kinds, strict=True))
        return _Overlay(
            module,
            tiles,
            {op.name: i for i, op in enumerate(ops)},
            {(op.col, op.row): i for i, op in enumerate(ops)},
        )

    def locks(self) -> tuple[LockUse, ...]:
        found = [op for op in self.module.body if isinstance(op, ir.LockOp) and op.init]
        return tuple(LockUse(self.index[op.tile], op.lock, op.init) for op in found)

    def flows(self, classes: Sequence[Sequence[Any]]) -> tuple[Flow, ...]:
        dests: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for op in self.module.body:
            if isinstance(op, ir.FlowOp):
                dest = (self.index[op.dest], op.dest_channel)
                dests.setdefault((self.index[op.source], op.source_channel), []).append(dest)
        if len(dests) != len(classes):
            raise InputError(f"the design has {len(dests)} flows, the manifest describes {len(classes)}")
        return tuple(
            Flow(src, tuple(dst), FlowClass[kind], int(link))
            for (src, dst), (kind, link) in zip(dests.items(), classes, strict=True)
        )

    def cores(self) -> tuple[CoreMap, ...]:
        buffers = {op.name: op for op in self.module.body if isinstance(op, ir.BufferOp)}
        out = []
        for op in self.module.body:
            if not isinstance(op, ir.CoreOp):
                continue
            sizes = dict(op.constants)
            tile = self.index[op.tile]
            bases = {
                f"{area}_base": buffers[name].address
                for (area, _), (name, _) in zip(CORE_AREAS, op.buffers, strict=True)
            }
            out.append(CoreMap(tile=tile, row=self.tiles[tile].row - 2, **bases, **sizes))
        return tuple(out)


class _Table:
    """The descriptor table under construction: a row per distinct descriptor."""

    def __init__(self, overlay: _Overlay, control_writes: set[int]) -> None:
        self.overlay, self.control_writes, self.writes = overlay, control_writes, 0
        self.globals = {op.name: op.words for op in overlay.module.body if isinstance(op, ir.GlobalOp)}
        self.bds: list[Bd] = []
        self.rows: dict[Bd, int] = {}

    def row(self, tile: int, bd_id: int, fields: Mapping[str, int], patch: ir.AddressPatchOp | None) -> int:
        bd = self._bd(tile, bd_id, fields, patch, self.writes in self.control_writes)
        self.writes += 1
        if bd not in self.rows:
            self.rows[bd] = len(self.bds)
            self.bds.append(bd)
        return self.rows[bd]

    def _bd(self, tile: int, bd_id: int, f: Mapping[str, int], patch: ir.AddressPatchOp | None, control: bool) -> Bd:
        here = self.overlay.tiles[tile]
        mem, base = tile, f["buffer_offset"]
        if patch is not None:
            mem, base = patch.arg_idx, patch.arg_plus
        elif here.kind == TileKind.MEMTILE:
            side, word = divmod(base, reg.MEMTILE_WORDS)
            mem, base = self.overlay.at[(here.col + side - 1, here.row)], word * 4
        wraps = f.get("iteration_size", 0) > 0
        return Bd(
            tile,
            bd_id,
            mem,
            base,
            *_dims(f),
            f["iteration_size"] + 1 if wraps else 1,
            f["iteration_stride"] + 1 if wraps else 0,
            self._lock(here, f["lock_acq_id"], -f["lock_acq_val"]) if f.get("lock_acq_enable") else None,
            self._lock(here, f["lock_rel_id"], f["lock_rel_val"]) if f.get("lock_rel_val") else None,
            f["next_bd"] if f.get("use_next_bd") else -1,
            control,
        )

    def _lock(self, here: Tile, ident: int, value: int) -> LockUse:
        col = here.col
        if here.kind == TileKind.MEMTILE:
            side, ident = divmod(ident, reg.MEMTILE_LOCKS)
            col += side - 1
        return LockUse(self.overlay.at[(col, here.row)], ident, value)


def _dims(f: Mapping[str, int]) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]:
    """(dims, pads), outermost first; an outermost size without a field follows from the length."""
    dims: list[tuple[int, int]] = []
    pads: list[tuple[int, int]] = []
    rest = f["buffer_length"]
    for i in range(4):
        size = f.get(f"d{i}_size", 0)
        pad = f.get(f"d{i}_zero_before", 0), f.get(f"d{i}_zero_after", 0)
        if i and rest == 1:
            break
        dims.append((size or rest, f.get(f"d{i}_stride", 0) + 1))
        pads.append(pad)
        rest //= dims[-1][0] + sum(pad)
    while pads and pads[-1] == (0, 0):
        pads.pop()
    return tuple(dims[::-1]), tuple(pads[::-1])


def _endless(table: _Table, configure: ir.SequenceOp) -> Callable[[Task], bool]:
    """Whether a task's chain, as ``configure`` writes it, closes on itself."""
    written = [command.index for command in _commands(table, configure, None) if isinstance(command, WriteBd)]
    following = {(bd.tile, bd.bd_id): bd.next_bd for bd in (table.bds[row] for row in written)}

    def endless(task: Task) -> bool:
        number, seen = task.bd, set[int]()
        while number >= 0 and number not in seen:
            seen.add(number)
            number = following.get((task.tile, number), -1)
        return number >= 0

    return endless


def _commands(
    table: _Table, sequence: ir.SequenceOp, extra: Manifest | None, armed: Sequence[tuple[Task, bool]] = ()
) -> list[Command]:
    """Commands of a sequence; with ``extra``, marks and items are added and tokens become counts.

    ``armed``: tasks that run when it begins, and whether they issue a token.
    """
    overlay = table.overlay
    push_items = dict(map(tuple, extra["push_items"])) if extra else {}
    marks = iter([*map(tuple, extra["marks"]), (-1, 0)] if extra else [(-1, 0)])
    mark = next(marks)
    out: list[Command] = []
    pushed: Counter[Channel] = Counter()
    tokens: dict[Channel, list[int]] = {}
    for task, token in armed:
        channel = (task.tile, task.dir, task.ch)
        pushed[channel] += 1
        if token:
            tokens.setdefault(channel, []).append(pushed[channel])
    position = pushes = item = 0
    body = [op for op in sequence.body if not isinstance(op, ir.Comment | ir.AddressPatchOp)]
    patches = _patches(sequence)
    for op in body:
        while mark[0] == position:
            item = mark[1]
            out.append(Mark(item))
            mark = next(marks)
        command: Command
        if isinstance(op, ir.WriteBdOp):
            tile = overlay.at[(op.column, op.row)]
            command = WriteBd(table.row(tile, op.bd_id, vars(op), patches.get(id(op))))
        elif isinstance(op, ir.BlockWriteOp):
            tile = overlay.at[(op.column, op.row)]
            bd_id = (op.address - reg.BD_BASE[overlay.tiles[tile].kind]) // reg.BD_BYTES
            command = WriteBd(table.row(tile, bd_id, reg.memtile_fields(table.globals[op.data]), None))
        elif isinstance(op, ir.SyncOp):
            channel = (overlay.at[(op.column, op.row)], Dir(op.direction), op.channel)
            if not tokens.get(channel):
                raise InputError(f"the design waits for a token that no task issues: {channel}")
            command = Wait(*channel, tokens[channel].pop(0))
        elif extra and (use := _lock(overlay, op)):
            command = SetLock(use)
        else:
            found = _task(overlay, op)
            if found is None:
                continue
            task, token = found
            channel = (task.tile, task.dir, task.ch)
            pushed[channel] += 1
            if token:
                tokens.setdefault(channel, []).append(pushed[channel])
            command = Push(task, push_items.get(pushes, item))
            pushes += 1
        out.append(command)
        position += 1
    while mark[0] == position:
        out.append(Mark(mark[1]))
        mark = next(marks)
    return out


def _patches(sequence: ir.SequenceOp) -> dict[int, ir.AddressPatchOp]:
    """The address patch that follows each shim descriptor, by identity of the write."""
    out = {}
    for op, following in zip(sequence.body, sequence.body[1:], strict=False):
        if isinstance(op, ir.WriteBdOp) and isinstance(following, ir.AddressPatchOp):
            out[id(op)] = following
    return out


def _task(overlay: _Overlay, op: ir.SequenceItem) -> tuple[Task, bool] | None:
    """(task, token) of a push in either form; None for any other register write."""
    if isinstance(op, ir.PushQueueOp):
        tile = overlay.at[(op.column, op.row)]
        return Task(tile, Dir[op.direction], op.channel, op.bd_id, op.repeat_count + 1), op.issue_token
    if not isinstance(op, ir.Write32Op) or op.mask is not None:
        return None
    tile = overlay.at[(op.column, op.row)]
    kind = overlay.tiles[tile].kind
    for direction in Dir:
        for channel in range(reg.CHANNELS[kind][direction]):
            if op.address == reg.control_address(kind, direction, channel) + reg.QUEUE_OFFSET:
                repeat = (op.value >> reg.REPEAT_SHIFT & 0xFF) + 1
                return Task(tile, direction, channel, op.value & 0x3F, repeat), bool(op.value & reg.TOKEN_BIT)
    return None


def _lock(overlay: _Overlay, op: ir.SequenceItem) -> LockUse | None:
    """The lock and the value that a register write sets; None for any other operation."""
    if not isinstance(op, ir.Write32Op) or op.mask is not None:
        return None
    tile = overlay.at[(op.column, op.row)]
    kind, count = overlay.tiles[tile].kind, overlay.tiles[tile].n_locks
    base = reg.LOCK_BASE.get(kind)
    if base is None or not 0 <= op.address - base < count * reg.LOCK_BYTES:
        return None
    return LockUse(tile, (op.address - base) // reg.LOCK_BYTES, op.value)


def _io_to_json(io: ProgramIO) -> dict[str, Any]:
    identity = io.channel_map == tuple(range(io.channels * io.fold))
    return {
        "kind": "input" if io.kind == 0 else "output",
        "offset": io.offset,
        "shape": list(io.host_shape),
        "chw": [io.channels, io.height, io.width],
        "physical_channels": io.c_physical,
        "channel_map": None if identity else list(io.channel_map),
        "dtype": "uint8" if io.uint8 else "int8",
        "flat": io.flat,
        "fold": io.fold,
    }


def _io_from_json(io: Mapping[str, Any]) -> ProgramIO:
    c, h, w = io["chw"]
    fold = io["fold"]
    cmap = tuple(io["channel_map"]) if io["channel_map"] is not None else tuple(range(c * fold))
    kind, unsigned = 0 if io["kind"] == "input" else 1, io["dtype"] == "uint8"
    return ProgramIO(kind, io["offset"], c, h, w, io["physical_channels"], cmap, unsigned, io["flat"], fold=fold)
