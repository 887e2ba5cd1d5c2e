"""Stage 8: placed and tiled items become a ``Program``: messages, descriptors, locks, command stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tvm_aie.emit import opcodes, weights
from tvm_aie.emit.commands import Channel, CommandBuilder
from tvm_aie.emit.overlay import (
    LOAD_DONE,
    LOAD_GO,
    NBR_E,
    NBR_W,
    O_DONE,
    STORE_DONE,
    STORE_GO,
    Array,
    OverlayParts,
    build_overlay,
)
from tvm_aie.emit.program import Arg, Dir, LockUse, Mark, Program, ProgramIO
from tvm_aie.emit.transfers import (
    FILLER_WORDS,
    BdTemplate,
    DmaTask,
    Message,
    Operand,
    Shape,
    compress,
    cut,
    filler,
    input_messages,
    merge_dims,
    merge_single,
    output_messages,
    place_in_ring,
)
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import OutputPlace, Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling

LATE = float("inf")
# Items shorter than this (estimated cycles) end before the next item's outputs are pushed; those go ahead of them.
# About the time of a push and two descriptors for each of 16 output channels. Chosen by emulation on npu1.
AHEAD_BELOW = 30000.0
ALIGN = 64
# A message is complete just before its successor begins.
COMPLETE = 0.999


@dataclass(frozen=True)
class DdrHome:
    """Place of a storage in DDR."""

    arg: Arg
    offset: int


@dataclass(frozen=True)
class MemtileMap:
    """Bytes: the opcode region begins after the weight rings, then one junk area per core row, then tensors."""

    opcode_base: int
    opcode_bytes: int
    junk_base: int
    junk_bytes: int
    heap_base: int


@dataclass
class _Column:
    """Emission state of one column: ring positions, lock bookkeeping, stores in order of issue."""

    a_pos: int = 0
    o_pos: list[int] = field(default_factory=list)
    opcode_offset: int = 0
    messages: list[bytes] = field(default_factory=list)
    o_done: dict[int, int] = field(default_factory=dict)
    stores_acquired: int = 0
    store_deaths: list[int] = field(default_factory=list)
    store_go: int = 0


@dataclass(frozen=True)
class _Pending:
    """A task to push: where in its item it starts and ends (0..1), outputs (rank 0) before inputs (rank 1)."""

    item: int
    start: float
    rank: int
    end: float
    channel: Channel
    task: DmaTask


def opcode_bytes_estimate(n_items: int) -> int:
    """Upper bound of the opcode region: a message is at most 6 + ~20 + 25 words and pools carry divisor tables."""
    return max(FILLER_WORDS * 4, 320 * (n_items + 1))


# Output messages are whole slots; what exceeds the data sinks here, in pieces of at most this many bytes.
JUNK_BYTES = 2048


def memtile_map(array: Array, opcode_bytes: int, junk_bytes: int = JUNK_BYTES) -> MemtileMap:
    """Lay the fixed regions of a memtile out."""
    base = array.w_ring_bytes
    opcode_bytes = -(-opcode_bytes // ALIGN) * ALIGN
    junk = base + opcode_bytes
    return MemtileMap(base, opcode_bytes, junk, junk_bytes, junk + array.rows * junk_bytes)


class Emitter:
    """Builds one program. ``emit`` is the only entry point."""

    def __init__(
        self,
        array: Array,
        graph: PhysicalGraph,
        placement: Placement,
        tilings: Sequence[Tiling],
        packed: dict[str, weights.PackedConv],
        mt: MemtileMap,
    ) -> None:
        """All stages' results; nothing is changed."""
        self.array, self.graph, self.placement, self.tilings, self.packed, self.mt = (
            array,
            graph,
            placement,
            tilings,
            packed,
            mt,
        )
        self.parts: OverlayParts = build_overlay(array)
        self.commands = CommandBuilder(array, self.parts.bds)
        self.columns = [_Column(o_pos=[0] * array.rows) for _ in range(array.cols)]
        self.homes, self.ddr_sizes = self._ddr_homes()
        self.loads_at: dict[int, list[tuple[int, int]]] = {}
        self.store_tasks: dict[str, dict[int, int]] = {}
        self.streams: list[list[bytes]] = [[] for _ in range(array.rows)]
        # of items that share weights and tiling; the weights are kept, so that their ids stay theirs
        self.weight_streams: dict[tuple[int, Tiling, int], bytes] = {}
        self.streamed: list[weights.PackedConv] = []
        for item in placement.items:
            for operand, place in enumerate(item.inputs):
                if place.loaded:
                    self.loads_at.setdefault(place.load_at, []).append((item.index, operand))

    # ------------------------------------------------------------------ DDR

    def _ddr_homes(self) -> tuple[dict[str, DdrHome], list[int]]:
        views, storages = self.graph.views, self.graph.storages
        homes: dict[str, DdrHome] = {}
        sizes = [0, 0, 0, 0]
        wanted = [(Arg.INPUT, [views[io.tensor].storage for io in self.graph.graph.inputs])]
        wanted.append((Arg.OUTPUT, [views[io.tensor].storage for io in self.graph.graph.outputs]))
        wanted.append((Arg.SCRATCH, sorted(self.placement.in_ddr)))
        for arg, names in wanted:
            for name in names:
                if name not in homes:
                    homes[name] = DdrHome(arg, sizes[arg])
                    sizes[arg] += -(-storages[name].bytes // ALIGN) * ALIGN
        return homes, sizes

    def _io(self) -> tuple[ProgramIO, ...]:
        out = []
        graph = self.graph.graph
        for kind, ios in ((0, graph.inputs), (1, graph.outputs)):
            for io in ios:
                view = self.graph.views[io.tensor]
                storage, t = self.graph.storages[view.storage], self.graph.tensors[io.tensor]
                cmap = tuple(view.first * 8 + c for c in view.cmap)
                out.append(
                    ProgramIO(
                        kind,
                        self.homes[view.storage].offset,
                        t.channels,
                        t.height,
                        t.width,
                        storage.blocks * 8,
                        cmap,
                        io.dtype == "uint8",
                        len(io.shape) == 2,
                        storage.elem,
                    )
                )
        return tuple(out)

    # ------------------------------------------------------------------ items

    def emit(self, meta: dict[str, object]) -> Program:
        """The whole program, in item order."""
        items = self.placement.items
        self._start()
        outputs = self._output_tasks(items[0], self.tilings[0])
        for item, tiling in zip(items, self.tilings, strict=True):
            self.commands.commands.append(Mark(item.index))
            self._emit_weights(item, tiling)
            following: list[_Pending] = []
            if item.index + 1 < len(items):
                following = self._output_tasks(items[item.index + 1], self.tilings[item.index + 1])
            rest = outputs + following
            if tiling.body < AHEAD_BELOW:
                rest = self._push_ahead(rest, item.index)
            outputs = [p for p in rest if p.item == item.index]
            following = [p for p in rest if p.item != item.index]
            pending = self._emit_prologues(item, tiling)
            # Before the item's own tasks: waiting for one of those may mean waiting for these.
            if item.index > 0:
                self._emit_stores(items[item.index - 1], item.index)
                self._emit_loads(item.index)
            self._emit_item(item, outputs + pending)
            outputs = following
        self._finish(len(items))
        const, offsets = self._const()
        return self._program(const, offsets, meta)

    def _start(self) -> None:
        """Opcode regions, first loads and weight streams go first; ``_program`` fills in their addresses."""
        for c in range(self.array.cols):
            self._push_load_pair(
                c, Shape(int(Arg.CONST), ((1, 1),)), -1 - c, Shape(0, ((1, 1),)), self.mt.opcode_base, 0, True
            )
        self._emit_loads(0)  # right behind the opcodes, on the same channels
        for r in range(self.array.rows):
            c, ring = self.array.w_home(r)
            placeholder = BdTemplate(Shape(int(Arg.CONST), ((1, 1),)), -1001 - r, control=True)
            self.commands.push(
                (self.array.shim(c), Dir.MM2S, 1 + ring), (placeholder,), 1, (0, -2), (len(self.tilings), LATE), -1
            )  # no item's: it lasts as long as the program

    def _emit_weights(self, item: WorkItem, tiling: Tiling) -> None:
        slot = self.array.overlay.w_slot
        packed = weights.item_weights(item, self.graph, self.packed)
        for r in range(self.array.rows):
            if packed is not None:
                key = (id(packed), tiling, r)
                if key not in self.weight_streams:
                    o_slot = self.array.overlay.o_slot
                    messages = weights.conv_messages(packed, tiling, item.geometry, r, slot, o_slot)
                    self.weight_streams[key] = b"".join(messages)
                    self.streamed.append(packed)
                self.streams[r].append(self.weight_streams[key])
            else:
                self.streams[r].append(weights.channelwise_message(tiling, r, slot, self.array.overlay.o_slot))

    def _emit_prologues(self, item: WorkItem, tiling: Tiling) -> list[_Pending]:
        """The opcode messages of all columns, which carry the barrier; what follows on their channels is returned.

        Messages that are sent once are chained behind the prologue: one task less.
        """
        layer = self.graph.layers[item.layer]
        rest: list[_Pending] = []
        for c in range(self.array.cols):
            words = opcodes.item_opcodes(item, layer, tiling, c)
            aligned = tiling.aligned and _height(item.out_rows[c]) > 0
            chain = self._prologue(item.index, c, words, tiling.a_slots if aligned else 1)
            tasks = [DmaTask(-1, -1, chain, 1)]
            n = 1
            if _height(item.out_rows[c]):
                operands = [Operand(p, self.graph.storages[p.storage]) for p in item.inputs]
                messages = input_messages(self.array, item, tiling, operands, c)
                column, n, ov = self.columns[c], len(messages), self.array.overlay
                junk = partial(filler, self.array, c)
                messages, column.a_pos = place_in_ring(messages, column.a_pos, ov.a_slots, ov.a_slot, junk)
                tasks += self._compress(messages)
            channel = (self.array.memtile(c), Dir.MM2S, self.array.a_mm2s)
            # Positions are shares of the item: columns may cut it into different numbers of messages.
            first, *others = merge_single(tasks)
            self.commands.push(channel, first.chain, 1, (item.index, -1), (item.index, first.last / n))
            rest += [_Pending(item.index, t.first / n, 1, t.last / n, channel, t) for t in others]
        return rest

    def _push_ahead(self, tasks: list[_Pending], item: int) -> list[_Pending]:
        """Push output tasks of this item and the next before this item can start; returns those that must wait.

        A push onto an idle channel costs six times a push onto a busy one (command processor, docs/device-keys.md).
        While this item's outputs wait on the same channels, these are busy.
        """
        blocked: set[Channel] = set()
        rest = []
        for p in sorted(tasks, key=lambda t: (t.item, t.start)):
            order = (item, -2.0)
            if p.channel in blocked or not self.commands.fits(p.channel, len(p.task.chain), order):
                blocked.add(p.channel)
                rest.append(p)
                continue
            self.commands.push(p.channel, p.task.chain, p.task.repeat, order, (p.item, p.end), p.item)
        return rest

    def _emit_item(self, item: WorkItem, pending: list[_Pending]) -> None:
        """Output and activation tasks of all columns, in an order in which any prefix can run."""
        for c in range(self.array.cols):
            for out in item.outputs:
                if _height(item.out_rows[c]) and out.store:
                    self.columns[c].store_go += 1
                    self.columns[c].store_deaths.append(out.last_use)
        for p in sorted(pending, key=lambda p: (p.start, p.rank)):
            self.commands.push(p.channel, p.task.chain, p.task.repeat, (item.index, p.start), (item.index, p.end))

    def _compress(self, messages: Sequence[Message]) -> list[DmaTask]:
        dev = self.array.device
        return compress(messages, dev.repeat_max, dev.iteration_wrap_max, dev.memtile_bd.iteration_step_max_words)

    def _output_tasks(self, item: WorkItem, tiling: Tiling) -> list[_Pending]:
        """Output tasks of all columns, in order of the ring positions that they keep."""
        return [p for c in range(self.array.cols) for p in self._column_outputs(item, tiling, c)]

    def _column_outputs(self, item: WorkItem, tiling: Tiling, c: int) -> list[_Pending]:
        """Output tasks of a column. The last task of each row releases O_DONE, per message while that fits a lock."""
        if not _height(item.out_rows[c]):
            return []
        storages = [self.graph.storages[out.storage] for out in item.outputs]
        column = self.columns[c]
        mt = self.array.memtile(c)
        rows: list[tuple[int, list[DmaTask]]] = []
        counts: list[int] = []
        for r in range(self.array.rows):
            junk = self.mt.junk_base + r * self.mt.junk_bytes
            messages = output_messages(self.array, item, tiling, storages, c, r, junk, self.mt.junk_bytes)
            if not messages:
                continue
            ov = self.array.overlay
            sink = partial(self._junk, c, r)
            skip = -column.o_pos[r] % tiling.o_slots if tiling.aligned else 0
            at = (column.o_pos[r] + skip) % ov.o_slots
            messages, column.o_pos[r] = place_in_ring(messages, at, ov.o_slots, ov.o_slot, sink)
            tasks = self._compress(messages)
            if skip:
                chain = tuple(BdTemplate(*piece) for piece in sink(skip * ov.o_slot // 4))
                tasks.insert(0, DmaTask(0, 0, chain, 1))
            rows.append((r, tasks))
            counts.append(len(messages))
        o_done = sum(tasks[-1].repeat for _, tasks in rows)
        single = o_done > self.array.device.lock_max
        column.o_done[item.index] = len(rows) if single else o_done
        done = LockUse(mt, O_DONE, 1)
        out: list[_Pending] = []
        for (r, tasks), count in zip(rows, counts, strict=True):
            # A row with fewer blocks lacks the last passes: of the item, or of each piece when passes are inside.
            n = count if tiling.order == PASSES_INSIDE else max(counts)
            for task in merge_single(_release_at_end(tasks, done, single)):
                # The last message is complete when all input of its share has been sent.
                end = (task.last + COMPLETE) / n
                out.append(_Pending(item.index, task.first / n, 0, end, (mt, Dir.S2MM, r), task))
        return out

    def _junk(self, c: int, r: int, words: int) -> Message:
        """Where what a core sends beyond its data sinks."""
        junk = self.mt.junk_base + r * self.mt.junk_bytes
        return cut(Shape(self.array.memtile(c), ((words, 1),)), junk, self.mt.junk_bytes // 4)

    # ------------------------------------------------------------------ prologue and barriers

    def _prologue(self, item: int, c: int, words: Sequence[int], a_slots: int) -> tuple[BdTemplate, ...]:
        """The opcode message of ``item``, cut into descriptors that carry the barrier's acquires and releases."""
        column, ov, mt = self.columns[c], self.array.overlay, self.array.memtile(c)
        n_words = opcodes.HEADER_WORDS + len(words)
        if n_words * 4 > ov.ops_bytes:
            raise InfeasibleError(
                f"opcode message of item {item}", n_words * 4, ov.ops_bytes, "bytes", ("a larger OPS area",)
            )
        slots = -(-n_words * 4 // ov.a_slot)
        while (column.a_pos + slots) % a_slots:
            slots += 1
        column.a_pos = (column.a_pos + slots) % ov.a_slots
        data = opcodes.opcode_message(words, item, slots)
        address = self.mt.opcode_base + column.opcode_offset
        column.messages.append(data)
        column.opcode_offset += len(data)
        locks = self._barrier(item, c)
        chain = []
        for i, (acquire, release) in enumerate(locks):
            n = 1 if i + 1 < len(locks) else n_words - i
            chain.append(BdTemplate(Shape(mt, ((n, 1),)), address + 4 * i, 1, 0, acquire, release, True))
        rest = slots * ov.a_slot // 4 - n_words
        while rest > 0:
            n = min(rest, FILLER_WORDS)
            chain.append(BdTemplate(Shape(mt, ((n, 1),)), self.mt.opcode_base))
            rest -= n
        return tuple(chain)

    def _barrier(self, item: int, c: int) -> list[tuple[LockUse | None, LockUse | None]]:
        """Acquires and releases at the start of an item: the previous item is complete here and next door.

        Order: own outputs done; tell the west; the west is done, tell the east (so each acquire shares a descriptor
        with a release); the east is done; let stores of the previous item go; wait for stores whose memory is reused;
        let loads go; wait for this item's loads.
        """
        mt = self.array.memtile
        column = self.columns[c]
        n_loads = sum(1 for i, k in self._loads_of(item) if _height(self.placement.items[i].inputs[k].rows[c]))
        if item == 0:
            return [(LockUse(mt(c), LOAD_DONE, 1 + n_loads), None)]
        go = sum(1 for i, k in self.loads_at.get(item, []) if _height(self.placement.items[i].inputs[k].rows[c]))
        west, east = c > 0, c + 1 < self.array.cols
        needed = max((n + 1 for n, death in enumerate(column.store_deaths) if death < item), default=0)
        stored = max(0, needed - column.stores_acquired)
        outputs = column.o_done.get(item - 1, 0)
        column.stores_acquired += stored
        wanted = [
            (True, outputs > 0, LockUse(mt(c), O_DONE, outputs)),
            (False, west, LockUse(mt(c - 1), NBR_E, 1)),
            (True, west, LockUse(mt(c), NBR_W, 1)),
            (False, east, LockUse(mt(c + 1), NBR_W, 1)),
            (True, east, LockUse(mt(c), NBR_E, 1)),
            (False, column.store_go > 0, LockUse(mt(c), STORE_GO, column.store_go)),
            (True, stored > 0, LockUse(mt(c), STORE_DONE, stored)),
            (False, go > 0, LockUse(mt(c), LOAD_GO, go)),
            (True, n_loads > 0, LockUse(mt(c), LOAD_DONE, n_loads)),
        ]
        column.store_go = 0
        steps = [(is_acquire, use) for is_acquire, present, use in wanted if present]
        out: list[tuple[LockUse | None, LockUse | None]] = []
        for is_acquire, use in steps:
            if not is_acquire and out and out[-1][1] is None:
                out[-1] = (out[-1][0], use)
            else:
                out.append((use, None) if is_acquire else (None, use))
        return out or [(None, None)]

    def _loads_of(self, item: int) -> list[tuple[int, int]]:
        if item >= len(self.placement.items):
            return []
        return [(item, k) for k, p in enumerate(self.placement.items[item].inputs) if p.loaded]

    # ------------------------------------------------------------------ DDR traffic

    def _push_load_pair(
        self, c: int, ddr: Shape, ddr_base: int, local: Shape, base: int, item: int, control: bool = False
    ) -> None:
        mt = self.array.memtile(c)
        shape = Shape(mt, local.dims)
        acquire, release = LockUse(mt, LOAD_GO, 1), LockUse(mt, LOAD_DONE, 1)
        into = BdTemplate(shape, base, 1, 0, acquire, release, control)
        order, done = (item, -0.9), (item, 0.9)
        self.commands.push((mt, Dir.S2MM, self.array.load_s2mm), (into,), 1, order, done)
        self.commands.push(
            (self.array.shim(c), Dir.MM2S, 0), (BdTemplate(ddr, ddr_base, control=control),), 1, order, done
        )

    def _emit_loads(self, at: int) -> None:
        """Loads that may start with item ``at``; first wait for stores of the same data."""
        for index, operand in self.loads_at.get(at, []):
            place = self.placement.items[index].inputs[operand]
            home = self.homes[place.storage]
            storage = self.graph.storages[place.storage]
            for channel, number in self.store_tasks.get(place.storage, {}).items():
                self.commands.wait((channel, Dir.S2MM, 0), number)
            for c in range(self.array.cols):
                lo, hi = place.rows[c]
                if hi <= lo:
                    continue
                line = storage.block_bytes // 4
                dims = merge_dims(((hi - lo, storage.row_bytes // 4), (place.blocks, line), (line, 1)))
                first = place.first + c * place.block_step
                base = home.offset + lo * storage.row_bytes + first * line * 4
                size = (hi - lo) * place.blocks * line
                self._push_load_pair(c, Shape(int(home.arg), dims), base, Shape(0, ((size, 1),)), place.address, at)

    def _emit_stores(self, item: WorkItem, at: int) -> None:
        """Stores of ``item``'s outputs, pushed with the next item, whose prologue lets them go."""
        for out in item.outputs:
            if out.store:
                self._emit_store(item, out, at)

    def _emit_store(self, item: WorkItem, out: OutputPlace, at: int) -> None:
        storage, home = self.graph.storages[out.storage], self.homes[out.storage]
        line = storage.block_bytes // 4
        buffer_row = out.buffer_blocks * line
        offset = 0 if out.buffer_blocks == out.blocks else out.first
        for c in range(self.array.cols):
            lo, hi = item.out_rows[c]
            if hi <= lo:
                continue
            mt, shim = self.array.memtile(c), self.array.shim(c)
            local = merge_dims(((hi - lo, buffer_row), (out.blocks, line), (line, 1)))
            base = out.address + (lo - out.rows[c][0]) * buffer_row * 4 + offset * line * 4
            remote = merge_dims(((hi - lo, storage.row_bytes // 4), (out.blocks, line), (line, 1)))
            ddr_base = home.offset + lo * storage.row_bytes + (out.first + c * out.block_step) * line * 4
            order, complete = (at, -0.9), (at, 0.9)
            into = BdTemplate(Shape(int(home.arg), remote), ddr_base)
            number = self.commands.push((shim, Dir.S2MM, 0), (into,), 1, order, complete)
            go, done = LockUse(mt, STORE_GO, 1), LockUse(mt, STORE_DONE, 1)
            self.commands.push(
                (mt, Dir.MM2S, self.array.store_mm2s),
                (BdTemplate(Shape(mt, local), base, 1, 0, go, done),),
                1,
                order,
                complete,
            )
            self.store_tasks.setdefault(out.storage, {})[shim] = number

    def _finish(self, n: int) -> None:
        """The HALT messages, the last stores, and the wait for them."""
        last = self.placement.items[-1]
        for c in range(self.array.cols):
            chain = self._prologue(n, c, [opcodes.HALT], 1)
            self.commands.push((self.array.memtile(c), Dir.MM2S, self.array.a_mm2s), chain, 1, (n, -1), (n, -0.5))
        self._emit_stores(last, n)
        for tasks in self.store_tasks.values():
            for shim, number in tasks.items():
                self.commands.wait((shim, Dir.S2MM, 0), number)

    # ------------------------------------------------------------------ assembly

    def _const(self) -> tuple[bytes, dict[int, tuple[int, int]]]:
        """The constant blob and, per placeholder base, (offset, bytes) inside it."""
        blob = bytearray()
        offsets: dict[int, tuple[int, int]] = {}
        for c, column in enumerate(self.columns):
            data = b"".join(column.messages).ljust(FILLER_WORDS * 4, b"\0")
            if len(data) > self.mt.opcode_bytes:
                raise InfeasibleError(
                    "opcode region of a memtile", len(data), self.mt.opcode_bytes, "bytes", ("a larger region",)
                )
            offsets[-1 - c] = (len(blob), len(data))
            blob += data.ljust(-(-len(data) // ALIGN) * ALIGN, b"\0")
        ring = self.array.overlay.memtile_w_slot
        for r, stream in enumerate(self.streams):
            data = b"".join(stream)
            size = -(-len(data) // ring) * ring
            offsets[-1001 - r] = (len(blob), size)
            blob += data.ljust(size, b"\0")
        return bytes(blob), offsets

    def _program(self, const: bytes, offsets: dict[int, tuple[int, int]], meta: dict[str, object]) -> Program:
        bds = []
        for bd in self.commands.bds:
            if bd.base in offsets:
                offset, size = offsets[bd.base]
                bd = replace(bd, base=offset, dims=((size // 4, 1),))
            elif bd.base == self.mt.opcode_base and bd.acquire and bd.acquire.lock == LOAD_GO:
                c = bd.tile - self.array.memtile(0)
                bd = replace(bd, dims=((offsets[-1 - c][1] // 4, 1),))
            bds.append(bd)
        n_dynamic = len(bds)
        go = []
        for c in range(self.array.cols):
            loads = sum(1 for i, k in self.loads_at.get(0, []) if _height(self.placement.items[i].inputs[k].rows[c]))
            go.append(LockUse(self.array.memtile(c), LOAD_GO, 1 + loads))
        sizes = self.ddr_sizes
        return Program(
            self.array.device.keys(),
            self.parts.tiles,
            (*self.parts.locks, *go),
            self.parts.flows,
            self.parts.cores,
            (*bds, *self.parts.bds),
            tuple(range(n_dynamic, n_dynamic + len(self.parts.bds))),
            self.parts.tasks,
            tuple(self.commands.commands),
            (len(const), sizes[1], sizes[2], sizes[3]),
            const,
            self._io(),
            json.dumps(meta),
        )


def _height(rows: tuple[int, int]) -> int:
    return max(0, rows[1] - rows[0])


def _release_at_end(tasks: list[DmaTask], use: LockUse, single: bool) -> list[DmaTask]:
    """The last task releases ``use`` with each of its messages, or, if ``single``, with the very last one only."""
    last = tasks[-1]
    if single and last.repeat > 1:
        before, end = _split_last(last)
        return [*tasks[:-1], before, _with_release(end, use)]
    return [*tasks[:-1], _with_release(last, use)]


def _split_last(task: DmaTask) -> tuple[DmaTask, DmaTask]:
    """All executions but the last, and the last as a task of its own."""
    k = task.repeat - 1
    chain = tuple(replace(t, base=t.base + (k % t.wrap) * t.step * 4, wrap=1, step=0) for t in task.chain)
    return DmaTask(task.first, task.last - 1, task.chain, k), DmaTask(task.last, task.last, chain, 1)


def _with_release(task: DmaTask, use: LockUse) -> DmaTask:
    """The task whose chain's last descriptor releases ``use``."""
    return replace(task, chain=(*task.chain[:-1], replace(task.chain[-1], release=use)))
