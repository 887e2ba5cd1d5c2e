"""Program to design: the overlay as device operations, the command stream as runtime sequences.

``@configure`` brings the overlay to its initial state and starts the rings (the program's static descriptors and
tasks); ``@infer`` is the command stream, one operation group per command.
"""

from __future__ import annotations

import json
from collections import Counter

from tvm_aie.device import Device, load_device
from tvm_aie.emit.mlir import ir
from tvm_aie.emit.mlir import registers as reg
from tvm_aie.emit.program import Bd, CoreMap, Dir, LockUse, Mark, Program, Push, SetLock, Task, TileKind, Wait, WriteBd
from tvm_aie.emit.verify import armed_tasks, used_parts
from tvm_aie.errors import DeviceError, ProgramError

Channel = tuple[int, Dir, int]

CONFIGURE, INFER = "configure", "infer"
CORE_FUNCTION, CORE_OBJECT = "tvm_aie_core", "superkernel.o"
ARGS = ("weights", "input", "output", "scratch")
CORE_LOCKS = ("a_free", "a_full", "w_free", "w_full", "o_free", "o_full")
MEMTILE_LOCKS = (
    "w_free",
    "w_full",
    "o_done",
    "nbr_west",
    "nbr_east",
    "load_go",
    "load_done",
    "store_go",
    "store_done",
)
# Areas of a core in call order, with their element types.
CORE_AREAS = (("ops", "i32"), ("hdr", "i8"), ("acc", "i32"), ("o", "i8"), ("w", "i8"), ("a", "i8"))
CORE_SIZES = ("ops_bytes", "hdr_bytes", "acc_bytes", "o_slot", "o_slots", "w_slot", "w_slots", "a_slot", "a_slots")


def build(program: Program) -> ir.Module:
    """The design of a program. Raises ``DeviceError`` unless it was compiled for npu1."""
    name = json.loads(program.meta).get("device", "")
    if name != "npu1":
        raise DeviceError(f"an mlir-aie design exists for npu1 only; this program was compiled for {name or 'unknown'}")
    return _Builder(program, load_device(name)).module()


def tile_name(col: int, row: int) -> str:
    """Name of a tile in the text."""
    return f"{('shim', 'mem')[row] if row < 2 else 'core'}_{col}_{row}"


def area_bytes(core: CoreMap, area: str) -> int:
    """Bytes of an area of a core."""
    if area in ("ops", "hdr", "acc"):
        return int(getattr(core, f"{area}_bytes"))
    return int(getattr(core, f"{area}_slot")) * int(getattr(core, f"{area}_slots"))


def stack_bytes(core: CoreMap) -> int:
    """The stack gets what lies below the first buffer."""
    return min(int(getattr(core, f"{area}_base")) for area, _ in CORE_AREAS)


def program_memory(program: Program, device: Device) -> int:
    """Estimated bytes of the superkernel with the kernels that the program uses."""
    return device.instructions.total(used_parts(program))


class _Builder:
    def __init__(self, program: Program, device: Device) -> None:
        self.program, self.device = program, device
        self.names = [tile_name(t.col, t.row) for t in program.tiles]
        self.items = [i["name"] for i in json.loads(program.meta).get("items", [])]
        self.globals: dict[tuple[int, ...], str] = {}
        self.block_writes = 0
        self.awaited = _awaited(program)

    def module(self) -> ir.Module:
        sequences = (self._configure(), self._infer())  # first: they collect the globals
        used, have = program_memory(self.program, self.device), self.device.program_bytes
        body: list[ir.DeviceItem] = [
            ir.Comment(f"program memory: {used} of {have} bytes (estimate; never compiled for the array here)"),
            self._function(),
            *self._tiles(),
            *self._buffers(),
            *self._locks(),
            *self._flows(),
            *self._token_routes(),
            *(self._core(c) for c in self.program.cores),
            *(ir.GlobalOp(name, words) for words, name in self.globals.items()),
            *sequences,
        ]
        return ir.Module("npu1", "main", tuple(body))

    # ------------------------------------------------------------------ overlay

    def _tiles(self) -> list[ir.DeviceItem]:
        out: list[ir.DeviceItem] = []
        for name, tile in zip(self.names, self.program.tiles, strict=True):
            scheme = None if tile.kind == TileKind.SHIM else "basic-sequential"
            out.append(ir.TileOp(name, tile.col, tile.row, scheme, reg.CONTROLLER_ID.get(tile.kind)))
        return out

    def _buffers(self) -> list[ir.DeviceItem]:
        out: list[ir.DeviceItem] = []
        for name, tile in zip(self.names, self.program.tiles, strict=True):
            if tile.kind == TileKind.MEMTILE:
                out.append(ir.BufferOp(f"{name}_data", name, 0, ir.MemRef(tile.mem_bytes)))
        for core in self.program.cores:
            name = self.names[core.tile]
            for area, element in CORE_AREAS:
                ref = _area_type(core, area, element)
                out.append(ir.BufferOp(f"{name}_{area}", name, int(getattr(core, f"{area}_base")), ref))
        return out

    def _locks(self) -> list[ir.DeviceItem]:
        init = {(u.tile, u.lock): u.value for u in self.program.lock_init}
        for bd in self.program.bds:
            for use in (bd.acquire, bd.release):
                if use:
                    init.setdefault((use.tile, use.lock), 0)
        for core in self.program.cores:
            for lock in range(len(CORE_LOCKS)):
                init.setdefault((core.tile, lock), 0)
        self.lock_values = dict(sorted(init.items()))
        return [ir.LockOp(self._lock_name(t, n), self.names[t], n, v) for (t, n), v in self.lock_values.items()]

    def _lock_name(self, tile: int, lock: int) -> str:
        names = CORE_LOCKS if self.program.tiles[tile].kind == TileKind.CORE else MEMTILE_LOCKS
        return f"{self.names[tile]}_{names[lock] if lock < len(names) else f'lock_{lock}'}"

    def _flows(self) -> list[ir.DeviceItem]:
        return [
            ir.FlowOp(self.names[f.src[0]], f.src[1], self.names[t], ch) for f in self.program.flows for t, ch in f.dsts
        ]

    def _token_routes(self) -> list[ir.DeviceItem]:
        """Routes for the tokens that ``@infer`` waits for, from each tile that issues some."""
        out: list[ir.DeviceItem] = []
        for tile in sorted({channel[0] for channel in self.awaited}):
            t = self.program.tiles[tile]
            out.append(ir.TokenRouteOp(reg.CONTROLLER_ID[t.kind], self.names[tile], tile_name(t.col, 0)))
        return out

    def _function(self) -> ir.FuncOp:
        core, *others = self.program.cores
        if any(_sizes(other) != _sizes(core) for other in others):
            raise ProgramError("the cores of the overlay differ in their memory maps; one superkernel serves all")
        areas = tuple(_area_type(core, area, element) for area, element in CORE_AREAS)
        return ir.FuncOp(CORE_FUNCTION, (*areas, *("i32" for _ in CORE_SIZES)), CORE_OBJECT)

    def _core(self, core: CoreMap) -> ir.CoreOp:
        name = self.names[core.tile]
        buffers = tuple((f"{name}_{area}", _area_type(core, area, element)) for area, element in CORE_AREAS)
        return ir.CoreOp(f"{name}_program", name, CORE_FUNCTION, buffers, _sizes(core), stack_bytes(core))

    # ------------------------------------------------------------------ sequences

    def _args(self) -> tuple[tuple[str, ir.MemRef], ...]:
        """An unused argument has one word: an empty memref would have no buffer behind it."""
        sizes = self.program.ddr_sizes
        return tuple((n, ir.MemRef(max(1, -(-b // 4)), "i32")) for n, b in zip(ARGS, sizes, strict=True))

    def _configure(self) -> ir.SequenceOp:
        """Reset of the ring channels, initial lock values, token packet ids, ring descriptors and their tasks."""
        self._locks()
        program, body = self.program, list[ir.SequenceItem]()
        body.append(ir.Comment("channels of cores and memtiles: reset, then free"))
        channels = sorted({(t.tile, t.dir, t.ch) for t in self._tasks() if program.tiles[t.tile].row > 0})
        for value in (reg.RESET_BIT, 0):
            body += [self._control(channel, value, reg.RESET_BIT) for channel in channels]
        body.append(ir.Comment("locks"))
        body += [self._set_lock(LockUse(tile, lock, value)) for (tile, lock), value in self.lock_values.items()]
        body.append(ir.Comment("packet ids of task-complete tokens"))
        for channel in sorted(self.awaited):
            ident = reg.CONTROLLER_ID[program.tiles[channel[0]].kind]
            body.append(self._control(channel, ident << reg.CONTROLLER_SHIFT, reg.CONTROLLER_MASK))
        body.append(
            ir.Comment("rings: an iterated descriptor, next to itself, or a chain; first descriptors of other channels")
        )
        for row in program.static_bds:
            body += self._write_bd(program.bds[row])
        body += [self._push(task, 1, task.repeat > 0 and self._is_awaited(task, 1)) for task in program.static_tasks]
        return ir.SequenceOp(CONFIGURE, self._args(), tuple(body))

    def _tasks(self) -> list[Task]:
        return [*self.program.static_tasks, *(c.task for c in self.program.commands if isinstance(c, Push))]

    def _infer(self) -> ir.SequenceOp:
        body: list[ir.SequenceItem] = []
        # What @configure arms completes first; the last task of such a channel does so in the next inference.
        pushed = Counter((task.tile, task.dir, task.ch) for task in armed_tasks(self.program))
        total = pushed + Counter(
            (c.task.tile, c.task.dir, c.task.ch) for c in self.program.commands if isinstance(c, Push)
        )
        armed = set(pushed)
        waited: Counter[Channel] = Counter()
        for command in self.program.commands:
            if isinstance(command, Mark):
                name = self.items[command.item] if command.item < len(self.items) else "end"
                body.append(ir.Comment(f"item {command.item}: {name}"))
            elif isinstance(command, SetLock):
                body.append(self._set_lock(command.use))
            elif isinstance(command, WriteBd):
                body += self._write_bd(self.program.bds[command.index])
            elif isinstance(command, Push):
                task, channel = command.task, (command.task.tile, command.task.dir, command.task.ch)
                pushed[channel] += 1
                number = 1 if channel in armed and pushed[channel] == total[channel] else pushed[channel]
                body.append(self._push(task, task.repeat, self._is_awaited(task, number)))
            else:
                channel = (command.tile, command.dir, command.ch)
                if command.count > waited[channel]:  # a lower count has been reached already
                    waited[channel] = command.count
                    t = self.program.tiles[command.tile]
                    body.append(ir.SyncOp(t.col, t.row, int(command.dir), command.ch))
        return ir.SequenceOp(INFER, self._args(), tuple(body))

    def _is_awaited(self, task: Task, number: int) -> bool:
        return number in self.awaited.get((task.tile, task.dir, task.ch), ())

    def _set_lock(self, use: LockUse) -> ir.Write32Op:
        tile = self.program.tiles[use.tile]
        return ir.Write32Op(tile.col, tile.row, reg.LOCK_BASE[tile.kind] + reg.LOCK_BYTES * use.lock, use.value)

    def _control(self, channel: Channel, value: int, mask: int) -> ir.Write32Op:
        tile = self.program.tiles[channel[0]]
        return ir.Write32Op(tile.col, tile.row, reg.control_address(tile.kind, *channel[1:]), value, mask)

    def _write_bd(self, bd: Bd) -> list[ir.SequenceItem]:
        tile = self.program.tiles[bd.tile]
        fields = reg.bd_fields(bd, self.program.tiles)
        if tile.kind == TileKind.MEMTILE and fields.keys() & {"d3_stride", "d2_zero_before"}:
            return [self._block_write(bd, reg.memtile_words(fields))]
        out: list[ir.SequenceItem] = [ir.WriteBdOp(tile.col, tile.row, bd.bd_id, **fields)]
        if tile.kind == TileKind.SHIM:
            address = reg.absolute(tile, reg.bd_address(tile.kind, bd.bd_id) + reg.SHIM_ADDRESS_OFFSET)
            out.append(ir.AddressPatchOp(address, bd.mem, bd.base))
        return out

    def _block_write(self, bd: Bd, words: tuple[int, ...]) -> ir.BlockWriteOp:
        tile = self.program.tiles[bd.tile]
        data = self.globals.setdefault(words, f"bd_words_{len(self.globals)}")
        value = f"words_{self.block_writes}"
        self.block_writes += 1
        return ir.BlockWriteOp(tile.col, tile.row, reg.bd_address(tile.kind, bd.bd_id), value, data, len(words))

    def _push(self, task: Task, repeat: int, token: bool) -> ir.SequenceItem:
        """A push; on a memtile as a register write: ``push_queue`` keeps four bits of the descriptor's number."""
        tile = self.program.tiles[task.tile]
        if tile.kind != TileKind.MEMTILE:
            return ir.PushQueueOp(tile.col, tile.row, task.dir.name, task.ch, task.bd, repeat - 1, token)
        address = reg.control_address(tile.kind, task.dir, task.ch) + reg.QUEUE_OFFSET
        value = task.bd | repeat - 1 << reg.REPEAT_SHIFT | (reg.TOKEN_BIT if token else 0)
        return ir.Write32Op(tile.col, tile.row, address, value)


def _sizes(core: CoreMap) -> tuple[tuple[str, int], ...]:
    return tuple((s, int(getattr(core, s))) for s in CORE_SIZES)


def _area_type(core: CoreMap, area: str, element: str) -> ir.MemRef:
    return ir.MemRef(area_bytes(core, area) // (int(element[1:]) // 8), element)


def _awaited(program: Program) -> dict[Channel, set[int]]:
    """Numbers of the tasks that some WAIT names: these issue tokens."""
    out: dict[Channel, set[int]] = {}
    for command in program.commands:
        if isinstance(command, Wait):
            channel = (command.tile, command.dir, command.ch)
            numbers = out.setdefault(channel, set())
            if command.count > max(numbers, default=0):
                numbers.add(command.count)
    return out
