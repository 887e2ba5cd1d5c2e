"""Stage 8: placed and tiled items become a ``Program``: messages, descriptors, locks, command stream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from tvm_aie.emit import opcodes, weights
from tvm_aie.emit.commands import EPSILON, Channel, CommandBuilder, Joining, Position, Work, column_chains, join
from tvm_aie.emit.division import Rings, behind, divide_words
from tvm_aie.emit.memtile import ALIGN, MemtileMap
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
from tvm_aie.emit.program import Arg, Dir, LockUse, Program, ProgramIO
from tvm_aie.emit.transfers import (
    FILLER_WORDS,
    UNROLL_A,
    UNROLL_O,
    BdTemplate,
    DmaTask,
    Message,
    Operand,
    Shape,
    filler,
    input_messages,
    merge_dims,
    output_messages,
    output_spans,
    place_in_ring,
    repeated_dims,
    tasks_of,
)
from tvm_aie.errors import InfeasibleError, ProgramError
from tvm_aie.memory.partition import Rows
from tvm_aie.memory.placement import OutputPlace, Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling

# Most descriptors of a chain that serves several items: of activations, of outputs. Short chains free their
# descriptors earlier, long ones are fewer.
CHAINS = ((10, 6), (14, 6), (8, 6), (6, 4))


@dataclass(frozen=True)
class DdrHome:
    """Place of a storage in DDR."""

    arg: Arg
    offset: int


@dataclass
class _Column:
    """Emission state of one column: ring positions, lock bookkeeping, stores in order of issue."""

    a_pos: int = 0
    o_pos: list[int] = field(default_factory=list)
    opcode_offset: int = 0
    opcode_end: int = 0  # what descriptors read of the opcode region
    messages: list[bytes] = field(default_factory=list)
    o_done: dict[int, int] = field(default_factory=dict)
    stores_acquired: int = 0
    store_deaths: list[int] = field(default_factory=list)
    store_go: int = 0


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
        chains: bool = True,
    ) -> None:
        """All stages' results; nothing is changed. ``chains``: messages and items may share descriptors and tasks."""
        self.array, self.graph, self.placement, self.tilings, self.packed, self.mt = (
            array,
            graph,
            placement,
            tilings,
            packed,
            mt,
        )
        # Where commands cost nothing chains buy nothing, and a task serves one item in the statistics.
        chains = chains and array.device.push_idle_cycles > 0
        self.chains = CHAINS if chains else ()
        self.unroll_a, self.unroll_o = (UNROLL_A, UNROLL_O) if chains else (-1, -1)
        # Core memory is divided anew for each item, or laid out once (``emit.division``).
        self.divided = any(t.division is not None for t in tilings)
        self.rings = Rings()
        self.arrays = [array.divided(t.division) for t in tilings]
        self.parts: OverlayParts = build_overlay(array, self.divided)
        outputs = {array.o_s2mm(r) for r in range(array.rows)}
        self.joined = {Dir.S2MM: outputs, Dir.MM2S: {array.a_mm2s}}  # memtile channels whose tasks become chains
        self.columns = [_Column(o_pos=[0] * array.rows) for _ in range(array.cols)]
        self.homes, self.ddr_sizes = self._ddr_homes()
        self.loads_at: dict[int, list[tuple[int, int]]] = {}
        self.store_tasks: dict[str, dict[int, int]] = {}  # the last one of each shim
        self.stored_rows: dict[str, list[tuple[int, int, tuple[int, int]]]] = {}  # (shim, task, rows)
        self.tasks: dict[Channel, list[Work]] = {}
        self.streams: list[list[bytes]] = [[] for _ in range(array.rows)]
        # of items that share weights and tiling; the weights are kept, so that their ids stay theirs
        self.weight_streams: dict[tuple[int, Tiling, int], bytes] = {}
        self.streamed: list[weights.PackedConv] = []
        # messages of items that are alike (a layer repeated for tuning): their slots, ring position, tasks
        self.input_cuts: dict[tuple[object, ...], tuple[list[int], int, list[DmaTask]]] = {}
        self.output_cuts: dict[tuple[object, ...], tuple[list[int], int, list[DmaTask]]] = {}
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
        for item, tiling in zip(items, self.tilings, strict=True):
            self._emit_weights(item, tiling)
            self._emit_inputs(item, tiling)
            self._emit_outputs(item, tiling)
            if item.index > 0:
                self._emit_stores(items[item.index - 1], item.index)
                self._emit_loads(item.index)
        last_stores = self._finish(len(items))
        if self.divided:
            for work in self.rings.works(self.array, self.arrays):
                self._queue(work)
        self.commands = self._commands()
        for shim, number in last_stores:
            self.commands.wait((shim, Dir.S2MM, 0), number)
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
            start, end = (0, -1.5), (len(self.tilings) + 1, 0.0)
            # No item's: it lasts as long as the program.
            self._queue(Work((self.array.shim(c), Dir.MM2S, 1 + ring), (placeholder,), 1, start, end, start, item=-1))

    def _emit_weights(self, item: WorkItem, tiling: Tiling) -> None:
        slot = self.array.overlay.w_slot
        packed = weights.item_weights(item, self.graph, self.packed)
        for r in range(self.array.rows):
            if packed is not None:
                key = (id(packed), tiling, r)
                if key not in self.weight_streams:
                    o_slot = self.arrays[item.index].overlay.o_slot
                    messages = weights.conv_messages(packed, tiling, item.geometry, r, slot, o_slot)
                    self.weight_streams[key] = b"".join(messages)
                    self.streamed.append(packed)
                self.streams[r].append(self.weight_streams[key])
            else:
                o_slot = self.arrays[item.index].overlay.o_slot
                self.streams[r].append(weights.channelwise_message(tiling, r, slot, o_slot))

    def _emit_inputs(self, item: WorkItem, tiling: Tiling) -> None:
        """The opcode messages of all columns, which carry the barrier, and the activation messages behind them."""
        layer = self.graph.layers[item.layer]
        for c in range(self.array.cols):
            words = opcodes.item_opcodes(item, layer, tiling, c)
            if self.divided:
                words = [*divide_words(self.arrays[item.index]), *words]
            tasks: list[DmaTask] = []
            acquire: LockUse | None = None
            n = 1
            if _height(item.out_rows[c]):
                column = self.columns[c]
                if tiling.aligned:  # behind the prologue every message finds its place
                    sizes, _, tasks = self._input_tasks(item, tiling, c, None)
                    n = len(sizes)
                    head, acquire = self._prologue(item.index, c, words, tiling.a_slots, tasks[0].repeat == 1)
                    column.a_pos += n * tiling.a_slots
                else:
                    head, _ = self._prologue(item.index, c, words, 1, False)
                    sizes, column.a_pos, tasks = self._input_tasks(item, tiling, c, column.a_pos)
                    n = len(sizes)
                    self.rings.take_inputs(item.index, c, sizes)
            else:
                head, _ = self._prologue(item.index, c, words, 1, False)
            if acquire:
                chain = tasks[0].chain
                tasks[0] = replace(tasks[0], chain=(replace(chain[0], acquire=acquire), *chain[1:]))
            channel = (self.array.memtile(c), Dir.MM2S, self.array.a_mm2s)
            at = item.index
            self._add(channel, at, DmaTask(0, 0, head, 1), (at, -1.0), (at, -0.55))
            # Positions are shares of the item: columns may cut it into different numbers of messages.
            for t in tasks:
                self._add(channel, at, t, (at, t.first / n), (at, (t.last + 1) / n))

    def _input_tasks(
        self, item: WorkItem, tiling: Tiling, c: int, position: int | None
    ) -> tuple[list[int], int, list[DmaTask]]:
        """(slots of a column's activation messages, ring position after them, tasks).

        No ``position``: each finds its place.
        """
        key = (id(tiling), item.geometry, item.inputs, item.out_rows[c], c, position)
        if key not in self.input_cuts:
            array = self.arrays[item.index]
            ov = array.overlay
            operands = [Operand(p, self.graph.storages[p.storage]) for p in item.inputs]
            messages, after = input_messages(array, item, tiling, operands, c), 0
            if position is not None:
                junk = partial(filler, self.array, c)
                messages, after = place_in_ring(messages, position, ov.a_slots, ov.a_slot, junk)
            sizes = [sum(shape.words for shape, _ in m) * 4 // ov.a_slot for m in messages]
            self.input_cuts[key] = sizes, after, tasks_of(messages, array.device, self.unroll_a)
        sizes, after, tasks = self.input_cuts[key]
        return sizes, after, list(tasks)

    def _add(self, channel: Channel, item: int, task: DmaTask, start: Position, end: Position) -> None:
        """Append a task of the activation or output channels, which ``_add_memtile_tasks`` joins and hands over."""
        self._queue(Work(channel, task.chain, task.repeat, start, end, start, item=item))

    def _queue(self, work: Work) -> int:
        """Append a task to its channel; returns its number there (from 1)."""
        tasks = self.tasks.setdefault(work.channel, [])
        tasks.append(work)
        return len(tasks)

    def _commands(self) -> CommandBuilder:
        """The command stream: of those with chains of several lengths, the first to end by the scheduler's clock."""
        body = [t.body for t in self.tilings]
        memtiles = range(self.array.cols, 2 * self.array.cols)
        best: CommandBuilder | None = None
        for a_chain, o_chain in (*self.chains, (0, 0)):
            if best and (not a_chain or not self.array.device.push_idle_cycles):
                break
            commands = CommandBuilder(self.array, self.parts.bds, body)
            for channel, tasks in self.tasks.items():
                if channel[0] not in memtiles or channel[2] not in self.joined[channel[1]]:
                    for work in tasks:
                        commands.add(work)
            self._add_memtile_tasks(commands, a_chain, o_chain)
            try:
                done = commands.schedule(best.end if best else inf)
            except ProgramError as error:
                failure = error
            else:
                best = commands if done and (best is None or commands.end < best.end) else best
        if best is None:
            raise failure
        return best

    def _add_memtile_tasks(self, commands: CommandBuilder, a_chain: int, o_chain: int) -> None:
        """Join the tasks of each channel into chains."""
        body = [t.body for t in self.tilings]
        a_channels = [(self.array.memtile(c), Dir.MM2S, self.array.a_mm2s) for c in range(self.array.cols)]
        # The column with the most descriptors decides where chains are cut: columns run in step, as weights are shared.
        busiest = max(a_channels, key=lambda channel: sum(len(w.chain) for w in self.tasks[channel]))
        how = Joining(body, a_chain, a_chain, (self.mt.opcode_base, FILLER_WORDS))
        cuts = frozenset(w.start for w in join(self.tasks[busiest], how))
        for c, a_channel in enumerate(a_channels):
            rows = range(self.array.rows)
            outputs = [self.tasks.get((self.array.memtile(c), Dir.S2MM, self.array.o_s2mm(r)), []) for r in rows]
            junk = [(self._junk(r), self.mt.junk_bytes // 4) for r in rows]
            mine = replace(how, cuts=cuts) if a_chain else how
            for work in column_chains(self.tasks[a_channel], outputs, mine, o_chain, junk):
                commands.add(work)

    def _emit_outputs(self, item: WorkItem, tiling: Tiling) -> None:
        """Output tasks of all columns, in order of the ring positions that they keep."""
        for c in range(self.array.cols):
            if _height(item.out_rows[c]):
                self._column_outputs(item, tiling, c)
                for out in item.outputs:
                    if out.store:
                        self.columns[c].store_go += 1
                        self.columns[c].store_deaths.append(out.last_use)

    def _column_outputs(self, item: WorkItem, tiling: Tiling, c: int) -> None:
        """Output tasks of a column. The last task of each row releases O_DONE, per message while that fits a lock."""
        column = self.columns[c]
        if self.divided:
            column.o_pos = [0] * self.array.rows
        mt = self.array.memtile(c)
        rows: list[tuple[int, list[DmaTask]]] = []
        counts: list[int] = []
        slots: list[list[int]] = []
        for r in range(self.array.rows):
            sizes, tasks = self._output_tasks(item, tiling, c, r)
            if sizes:
                rows.append((r, tasks))
                counts.append(len(sizes))
                slots.append(sizes)
        o_done = sum(tasks[-1].repeat for _, tasks in rows)
        single = o_done > self.array.device.lock_max
        column.o_done[item.index] = len(rows) if single else o_done
        done = LockUse(mt, O_DONE, 1)
        at = item.index
        for (r, tasks), count, sizes in zip(rows, counts, slots, strict=True):
            # A row with fewer blocks lacks the last passes: of the item, or of each piece when passes are inside.
            n = count if tiling.order == PASSES_INSIDE else max(counts)
            spans = output_spans(tiling, c, r, n)
            self.rings.take_outputs(at, c, r, sizes, spans)
            for t in release_at_end(tasks, done, single, self._junk(r)):
                # The junk that realigns the ring needs the first activations, where the core takes those first.
                begin, end = (behind(spans[t.first]), spans[t.last][1]) if t.last >= 0 else (0.0, EPSILON)
                start, end_at = (at, begin), (at, end)
                self._add((mt, Dir.S2MM, self.array.o_s2mm(r)), at, t, start, end_at)

    def _output_tasks(self, item: WorkItem, tiling: Tiling, c: int, r: int) -> tuple[list[int], list[DmaTask]]:
        """(slots of the output messages of a core, tasks); junk that realigns its ring goes first."""
        array = self.arrays[item.index]
        column, ov = self.columns[c], array.overlay
        storages = [self.graph.storages[out.storage] for out in item.outputs]
        places = tuple(
            (o.address, o.rows[c], o.first, o.blocks, o.buffer_blocks, s.width, s.pixel_bytes)
            for o, s in zip(item.outputs, storages, strict=True)
        )
        position = column.o_pos[r]
        key = (id(tiling), item.geometry, places, item.out_rows[c], c, r, position)
        if key not in self.output_cuts:
            sink = partial(self._sink, c, r)
            messages = output_messages(array, item, tiling, storages, c, r, self._junk(r), self.mt.junk_bytes)
            skip = -position % tiling.o_slots if tiling.aligned and messages else 0
            position = (position + skip) % ov.o_slots
            messages, position = place_in_ring(messages, position, ov.o_slots, ov.o_slot, sink)
            tasks = tasks_of(messages, self.array.device, self.unroll_o)
            if skip:
                chain = tuple(BdTemplate(*piece) for piece in sink(skip * ov.o_slot // 4))
                tasks.insert(0, DmaTask(0, -1, chain, 1))
            sizes = [sum(shape.words for shape, _ in m) * 4 // ov.o_slot for m in messages]
            self.output_cuts[key] = sizes, position, tasks
        sizes, column.o_pos[r], tasks = self.output_cuts[key]
        return sizes, list(tasks)

    def _junk(self, r: int) -> int:
        """Address of the junk area of core row ``r``."""
        return self.mt.junk_base + r * self.mt.junk_bytes

    def _sink(self, c: int, r: int, words: int) -> Message:
        """Where what a core sends beyond its data sinks."""
        mt = self.array.memtile(c)
        return tuple((Shape(mt, dims), self._junk(r)) for dims in repeated_dims(words, self.mt.junk_bytes // 4))

    # ------------------------------------------------------------------ prologue and barriers

    def _prologue(
        self, item: int, c: int, words: Sequence[int], a_slots: int, ride: bool
    ) -> tuple[tuple[BdTemplate, ...], LockUse | None]:
        """The opcode message of ``item``, and the barrier: what the first activation message has to acquire, or None.

        The opcodes travel while the previous item still computes. Then come the barrier's descriptors, of one filler
        word each; the last acquire is left to the first descriptor of the activations if that is not repeated
        (``ride``).
        """
        column, mt = self.columns[c], self.array.memtile(c)
        ov = (self.arrays[item - 1] if item else self.array).overlay  # the ring into which the message goes
        n_words = opcodes.HEADER_WORDS + len(words)
        if n_words * 4 > ov.ops_bytes:
            raise InfeasibleError(
                f"opcode message of item {item}", n_words * 4, ov.ops_bytes, "bytes", ("a larger OPS area",)
            )
        locks = self._barrier(item, c)
        first = None
        if item == 0:  # the opcodes themselves are still being loaded
            first, locks = locks[0][0], []
        riding = None
        if ride and locks and locks[-1][1] is None:
            riding = locks.pop()[0]
        slots = -(-(n_words + len(locks)) * 4 // ov.a_slot)
        while (column.a_pos + slots) % a_slots:
            slots += 1
        column.a_pos = (column.a_pos + slots) % ov.a_slots
        if self.divided:  # behind the message, the item's own ring begins
            column.a_pos = 0
            self.rings.take_opcodes(item, c, slots)
        data = opcodes.opcode_message(words, item, slots)
        address = self.mt.opcode_base + column.opcode_offset
        column.messages.append(data)
        column.opcode_offset += len(data)
        total = slots * ov.a_slot // 4 - len(locks)
        # What follows the message in the opcode region serves as its filler.
        n = max(n_words, min(total, ov.a_slot // 4 - len(locks)))
        chain = [BdTemplate(Shape(mt, ((n, 1),)), address, 1, 0, first, None, True)]
        column.opcode_end = max(column.opcode_end, column.opcode_offset - len(data) + 4 * n)
        chain += [BdTemplate(Shape(mt, dims), self.mt.opcode_base) for dims in repeated_dims(total - n, FILLER_WORDS)]
        word = Shape(mt, ((1, 1),))
        chain += [BdTemplate(word, self.mt.opcode_base, 1, 0, acquire, release) for acquire, release in locks]
        return tuple(chain), riding

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
        self,
        c: int,
        ddr: Shape,
        ddr_base: int,
        local: Shape,
        base: int,
        item: int,
        control: bool = False,
        after: tuple[tuple[Channel, int], ...] = (),
    ) -> None:
        mt = self.array.memtile(c)
        shape = Shape(mt, local.dims)
        acquire, release = LockUse(mt, LOAD_GO, 1), LockUse(mt, LOAD_DONE, 1)
        into = BdTemplate(shape, base, 1, 0, acquire, release, control)
        channel = (mt, Dir.S2MM, self.array.load_s2mm)
        start, end = self._span(channel, item, -0.7, len(self.loads_at.get(item, [])) + (item == 0))
        self._queue(Work(channel, (into,), 1, start, end, start, item=item))
        source = BdTemplate(ddr, ddr_base, control=control)
        self._queue(Work((self.array.shim(c), Dir.MM2S, 0), (source,), 1, start, end, start, after, item))

    def _emit_loads(self, at: int) -> None:
        """Loads that may start with item ``at``; first wait for stores of the same data."""
        for index, operand in self.loads_at.get(at, []):
            place = self.placement.items[index].inputs[operand]
            home = self.homes[place.storage]
            storage = self.graph.storages[place.storage]
            stored = self._storing(place.storage, place.rows)
            after = tuple(((shim, Dir.S2MM, 0), number) for shim, number in stored.items())
            for c in range(self.array.cols):
                lo, hi = place.rows[c]
                if hi <= lo:
                    continue
                line = storage.block_bytes // 4
                dims = merge_dims(((hi - lo, storage.row_bytes // 4), (place.blocks, line), (line, 1)))
                first = place.first + c * place.block_step
                base = home.offset + lo * storage.row_bytes + first * line * 4
                size = (hi - lo) * place.blocks * line
                local = Shape(0, ((size, 1),))
                self._push_load_pair(c, Shape(int(home.arg), dims), base, local, place.address, at, after=after)

    def _span(self, channel: Channel, item: int, begin: float, count: int) -> tuple[Position, Position]:
        """Start and end of the next of ``count`` loads or stores of an item, at both ends of the transfer.

        Done late in the item: who waits for it before stalls the commands behind. But of more than a queue holds the
        first must be waited for; they need nothing but the prologues before them.
        """
        if count <= self.array.device.queue_depth:
            return (item, begin), (item, 0.9)
        place = begin + 1e-4 * sum(1 for work in self.tasks.get(channel, []) if work.item == item)
        return (item, place), (item, place + 5e-5)

    def _storing(self, storage: str, rows: Rows) -> dict[int, int]:
        """The last task of each shim that stores any of ``rows``."""
        out: dict[int, int] = {}
        for shim, number, (lo, hi) in self.stored_rows.get(storage, []):
            if any(lo < b and a < hi for a, b in rows):
                out[shim] = number
        return out

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
            start, end = self._span((shim, Dir.S2MM, 0), at, -0.9, sum(o.store for o in item.outputs))
            into = BdTemplate(Shape(int(home.arg), remote), ddr_base)
            number = self._queue(Work((shim, Dir.S2MM, 0), (into,), 1, start, end, start, item=at))
            go, done = LockUse(mt, STORE_GO, 1), LockUse(mt, STORE_DONE, 1)
            source = BdTemplate(Shape(mt, local), base, 1, 0, go, done)
            channel = (mt, Dir.MM2S, self.array.store_mm2s)
            self._queue(Work(channel, (source,), 1, start, end, start, item=at))
            self.store_tasks.setdefault(out.storage, {})[shim] = number
            self.stored_rows.setdefault(out.storage, []).append((shim, number, (lo, hi)))

    def _finish(self, n: int) -> list[tuple[int, int]]:
        """The HALT messages and the last stores; returns the (shim, number) of the stores to wait for at the end."""
        last = self.placement.items[-1]
        for c in range(self.array.cols):
            chain, _ = self._prologue(n, c, [opcodes.HALT], 1, False)
            channel = (self.array.memtile(c), Dir.MM2S, self.array.a_mm2s)
            self._add(channel, n, DmaTask(0, 0, chain, 1), (n, -1.0), (n, -0.55))
        self._emit_stores(last, n)
        return [(shim, number) for tasks in self.store_tasks.values() for shim, number in tasks.items()]

    # ------------------------------------------------------------------ assembly

    def _const(self) -> tuple[bytes, dict[int, tuple[int, int]]]:
        """The constant blob and, per placeholder base, (offset, bytes) inside it."""
        blob = bytearray()
        offsets: dict[int, tuple[int, int]] = {}
        for c, column in enumerate(self.columns):
            data = b"".join(column.messages).ljust(max(FILLER_WORDS * 4, column.opcode_end), b"\0")
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


def release_at_end(tasks: list[DmaTask], use: LockUse, single: bool, junk: int) -> list[DmaTask]:
    """The last task releases ``use`` with each of its messages, or, if ``single``, with the very last one only.

    The release is at the end of the data; what follows goes to ``junk``.
    """
    last = tasks[-1]
    if single and last.repeat > 1:
        before, end = _split_last(last)
        return [*tasks[:-1], before, _with_release(end, use, junk)]
    return [*tasks[:-1], _with_release(last, use, junk)]


def _split_last(task: DmaTask) -> tuple[DmaTask, DmaTask]:
    """All executions but the last, and the last as a task of its own."""
    k = task.repeat - 1
    chain = tuple(replace(t, base=t.base + (k % t.wrap) * t.step * 4, wrap=1, step=0) for t in task.chain)
    return DmaTask(task.first, task.last - 1, task.chain, k), DmaTask(task.last, task.last, chain, 1)


def _with_release(task: DmaTask, use: LockUse, junk: int) -> DmaTask:
    """The task whose chain's last descriptor of data releases ``use``."""
    at = max(i for i, t in enumerate(task.chain) if t.base != junk)
    return replace(task, chain=(*task.chain[:at], replace(task.chain[at], release=use), *task.chain[at + 1 :]))
