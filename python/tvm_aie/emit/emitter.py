"""Stage 8: placed and tiled items become a ``Program``: messages, descriptors, locks, command stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from tvm_aie.emit import opcodes, resident, weights
from tvm_aie.emit.arrange import CHAINS, COLUMN, FIRST, Arranger, Chains
from tvm_aie.emit.assembly import Assembly
from tvm_aie.emit.commands import EPSILON, Channel, CommandBuilder, Position, Work
from tvm_aie.emit.ddr import LOADS, NEXT_LOAD, ddr_homes, lines, load_position, program_io
from tvm_aie.emit.division import Rings, Staying, divide_words, staying
from tvm_aie.emit.first_rows import FirstRows, first_rows
from tvm_aie.emit.item_tasks import NOTHING, Before, Cut, ItemTasks, LockPair, Prologue, barrier
from tvm_aie.emit.memtile import ALIGN, MemtileMap
from tvm_aie.emit.messages import Operand
from tvm_aie.emit.overlay import (
    LOAD_DONE,
    LOAD_GO,
    O_DONE,
    O_DONE_ODD,
    STORE_DONE,
    STORE_GO,
    Array,
    OverlayParts,
    build_overlay,
)
from tvm_aie.emit.program import Arg, Dir, LockUse, Program
from tvm_aie.emit.transfers import FILLER_WORDS, BdTemplate, Shape
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.lag import waits
from tvm_aie.memory.loads import loads_at
from tvm_aie.memory.partition import Rows
from tvm_aie.memory.placement import OutputPlace, Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

# Bases of what lies in the constant blob, until that is laid out: opcodes by column, weights by core row.
_OPCODES, _WEIGHTS = -1, -1001


def opcodes_column(base: int) -> int | None:
    """The column whose opcodes a task with this base loads; None: it loads something else."""
    return _OPCODES - base if _WEIGHTS < base <= _OPCODES else None


def weights_row(base: int) -> int:
    """The core row whose weight stream begins at this base."""
    return _WEIGHTS - base


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
        chains: Sequence[Chains] = CHAINS,
        streams: weights.Streams | None = None,
    ) -> None:
        """All stages' results; nothing is changed. ``chains``: how messages and items may share descriptors and tasks,
        of which the command scheduler takes the best; none: they do not. ``streams``: of the network's plans."""
        self.array, self.graph, self.placement, self.tilings, self.packed, self.mt = (
            array,
            graph,
            placement,
            tilings,
            packed,
            mt,
        )
        # Where commands cost nothing chains buy nothing, and a task serves one item in the statistics.
        self.chains = tuple(chains) if array.device.push_idle_cycles > 0 else ()
        self.lags = tuple(item.lag for item in placement.items)
        self.make = ItemTasks(array, mt, bool(self.chains))
        # Core memory is divided anew for each item, or laid out once (``emit.division``).
        self.divided = any(t.division is not None for t in tilings)
        # Without commands' costs there is nothing to gain, and rings that change hands end where they end.
        self.resident = bool(self.chains) and not self.divided and array.overlay.w_slots > 1
        self.makes = [replace(self.make, array=array.divided(t.division)) for t in tilings]
        overlays = [make.array.overlay for make in self.makes]
        befores = (array.overlay, *overlays[:-1])
        self.stays = [staying(*x) for x in zip(self.lags, befores, overlays, strict=True)]
        self.rings = Rings(stays=self.stays, lags=self.lags)
        self.parts: OverlayParts = build_overlay(array, self.divided)
        self.columns = [_Column(o_pos=[0] * array.rows) for _ in range(array.cols)]
        self.homes, self.ddr_sizes = ddr_homes(graph, placement)
        self.loads_at = loads_at(placement.items)
        self.store_tasks: dict[str, dict[int, int]] = {}  # the last one of each shim
        self.stored_rows: dict[str, list[tuple[int, int, tuple[int, int]]]] = {}  # (shim, task, rows)
        self.tasks: dict[Channel, list[Work]] = {}
        # by item and column
        self.prologues: dict[tuple[int, int], Prologue] = {}
        self.inputs: dict[tuple[int, int], Cut] = {}
        self.outputs: dict[tuple[int, int], dict[int, Cut]] = {}
        self.streams: list[list[bytes]] = [[] for _ in range(array.rows)]
        self.weight_streams = streams or weights.Streams()
        self.pads = 0  # messages that fill each stream up (``emit.resident``)
        self.first_rows: dict[int, FirstRows] = {}  # by column
        # of items that are alike (a layer repeated for tuning)
        self.input_cuts: dict[tuple[object, ...], Cut] = {}
        self.output_cuts: dict[tuple[object, ...], Cut] = {}

    # ------------------------------------------------------------------ items

    def emit(self, meta: dict[str, object]) -> Program:
        """The whole program, in item order."""
        return self.assembled().program(self.commands, meta)

    def assembled(self) -> Assembly:
        """What ``emit`` puts together, with ``commands``; once."""
        for item, tiling in zip(self.placement.items, self.tilings, strict=True):
            self._emit_weights(item, tiling)
        self.commands = self.command_stream(self._fill_weights() if self.resident else 0)
        self.assembly = self._assembly()
        return self.assembly

    def rearrange(self, chains: Sequence[Chains]) -> CommandBuilder:
        """After ``emit`` or ``assembled``, the command stream of other chains."""
        self.commands = self.arranger.best(chains)
        return self.commands

    def command_stream(self, pads: int) -> CommandBuilder:
        """The tasks of all items in their order; all that the cost model needs. Once, and not before ``emit``.

        ``pads``: messages that fill each weight stream up, which the last opcodes drop.
        """
        items, self.pads = self.placement.items, pads
        self._start()
        for item, tiling in zip(items, self.tilings, strict=True):
            self._emit_inputs(item, tiling)
            self._emit_outputs(item, tiling)
            if item.index > 0:
                self._emit_stores(items[item.index - 1], item.index)
                self._emit_loads(item.index)
        self.last_stores = self._finish(len(items))
        if self.divided:
            for work in self.rings.works(self.array, [make.array for make in self.makes]):
                self._queue(work)
        body, lags = [t.body for t in self.tilings], self.lags if any(self.lags) else ()
        last = [((shim, Dir.S2MM, 0), number) for shim, number in self.last_stores]
        self.arranger = Arranger(self.make, self.parts.bds, body, self.tasks, lags, self.resident, last)
        return self.arranger.best(self.chains)

    def _start(self) -> None:
        """Opcode regions, first loads and weight streams go first; ``_program`` fills in their addresses."""
        for c in range(self.array.cols):
            self._push_load_pair(
                c, Shape(int(Arg.CONST), ((1, 1),)), _OPCODES - c, Shape(0, ((1, 1),)), self.mt.opcode_base, 0, True
            )
        self._emit_loads(0)  # right behind the opcodes, on the same channels
        for r in range(self.array.rows):
            c, ring = self.array.w_home(r)
            placeholder = BdTemplate(Shape(int(Arg.CONST), ((1, 1),)), _WEIGHTS - r, control=True)
            start, end = (0, -1.5), (len(self.tilings) + 1, 0.0)
            # No item's: it lasts as long as the program.
            self._queue(Work((self.array.shim(c), Dir.MM2S, 1 + ring), (placeholder,), 1, start, end, start, item=-1))
        if self.resident:
            for c in range(self.array.cols):
                first = self.tasks[self.array.shim(c), Dir.MM2S, 0]
                k = min(1, len(first) - 1)  # the opcodes wait with their channel, so that the next push is cheap
                first[k] = replace(first[k], sets=self._go(c))

    def _emit_weights(self, item: WorkItem, tiling: Tiling) -> None:
        slot, o_slot = self.array.overlay.w_slot, self.makes[item.index].array.overlay.o_slot
        packed = weights.item_weights(item, self.graph, self.packed)
        for r in range(self.array.rows):
            if packed is not None:
                self.streams[r].append(self.weight_streams.of(packed, tiling, item.geometry, r, slot, o_slot))
            else:
                self.streams[r].append(weights.channelwise_message(tiling, item.geometry, r, slot, o_slot))

    def _fill_weights(self) -> int:
        """Fill the weight streams up to whole memtile slots; returns the number of messages per core row."""
        ov = self.array.overlay
        lengths = [sum(map(len, stream)) // ov.w_slot for stream in self.streams]
        fill = resident.padding(lengths, ov.memtile_w_slot // ov.w_slot, ov.w_slots)
        for stream, messages in zip(self.streams, fill, strict=True):
            stream += [weights.empty_message(slots, ov.w_slot) for slots in messages]
        return len(fill[0])

    def _emit_inputs(self, item: WorkItem, tiling: Tiling) -> None:
        """The opcode messages of all columns, which carry the barrier, and the activation messages behind them."""
        layer = self.graph.layers[item.layer]
        for c in range(self.array.cols):
            words = opcodes.item_opcodes(item, layer, tiling, c, self.makes[item.index].array.overlay.a_slot)
            if self.divided:
                words = [*divide_words(self.makes[item.index].array, self.stays[item.index]), *words]
            column, cut = self.columns[c], NOTHING
            if not _height(item.out_rows[c]):
                prologue = self._prologue(item.index, c, words, 1, False)
            elif tiling.aligned:  # behind the prologue every message finds its place
                cut = self._input_cut(item, tiling, c, None)
                if item.index == 0 and c in self.first_rows:
                    cut = self.first_rows[c].cut
                ride = cut.tasks[0].repeat == 1
                slots = cut.slots(self.array.overlay.a_slot)
                prologue = self._prologue(item.index, c, words, tiling.a_slots, ride, slots[0] if tiling.kept else 0)
                column.a_pos += sum(slots)
            else:
                prologue = self._prologue(item.index, c, words, 1, False)
                cut = self._input_cut(item, tiling, c, column.a_pos)
                column.a_pos = cut.after
                if self.divided:
                    slots = cut.slots(self.makes[item.index].array.overlay.a_slot)
                    self.rings.take_inputs(item.index, c, slots, cut.spans)
            self.inputs[item.index, c] = cut
            for work in self.make.input_works(c, item.index, prologue, cut, item.lag):
                self._queue(work)

    def _input_cut(self, item: WorkItem, tiling: Tiling, c: int, position: int | None) -> Cut:
        key = (id(tiling), item.geometry, item.inputs, item.out_rows[c], c, position)
        if key not in self.input_cuts:
            operands = [Operand(p, self.graph.storages[p.storage]) for p in item.inputs]
            self.input_cuts[key] = self.makes[item.index].inputs(item, tiling, operands, c, position)
        return self.input_cuts[key]

    def _queue(self, work: Work) -> int:
        """Append a task to its channel; returns its number there (from 1)."""
        tasks = self.tasks.setdefault(work.channel, [])
        tasks.append(work)
        return len(tasks)

    def _emit_outputs(self, item: WorkItem, tiling: Tiling) -> None:
        """Output tasks of all columns, in order of the ring positions that they keep."""
        for c in range(self.array.cols):
            if self.divided and not self.stays[item.index].o:
                self.columns[c].o_pos = [0] * self.array.rows
            if _height(item.out_rows[c]):
                self._column_outputs(item, tiling, c)
                for out in item.outputs:
                    if out.store:
                        self.columns[c].store_go += 1
                        self.columns[c].store_deaths.append(out.last_use)

    def _column_outputs(self, item: WorkItem, tiling: Tiling, c: int) -> None:
        make = self.makes[item.index]
        cuts = {r: self._output_cut(item, tiling, c, r) for r in range(self.array.rows)}
        if self.divided:
            for r, spans in make.output_spans(c, cuts, tiling).items():
                self.rings.take_outputs(item.index, c, r, cuts[r].slots(make.array.overlay.o_slot), spans)
        self.outputs[item.index, c] = cuts
        lock = O_DONE_ODD if self._is_odd(item.index) else O_DONE
        works, self.columns[c].o_done[item.index] = self.make.output_works(c, item.index, cuts, tiling, lock, item.lag)
        for work in works:
            self._queue(work)

    def _output_cut(self, item: WorkItem, tiling: Tiling, c: int, r: int) -> Cut:
        column = self.columns[c]
        storages = [self.graph.storages[out.storage] for out in item.outputs]
        places = tuple(
            (o.address, o.rows[c], o.first, o.blocks, o.buffer_blocks, s.width, s.pixel_bytes)
            for o, s in zip(item.outputs, storages, strict=True)
        )
        key = (id(tiling), item.geometry, places, item.out_rows[c], c, r, column.o_pos[r])
        if key not in self.output_cuts:
            self.output_cuts[key] = self.makes[item.index].outputs(item, tiling, storages, (c, r), column.o_pos[r])
        column.o_pos[r] = self.output_cuts[key].after
        return self.output_cuts[key]

    # ------------------------------------------------------------------ prologue and barriers

    def _is_odd(self, item: int) -> bool:
        """Whether an item's outputs release the other bank: the counts of two items in flight must not mix."""
        return any(self.lags) and item % 2 == 1

    def _prologue(self, item: int, c: int, words: Sequence[int], a_slots: int, ride: bool, kept: int = 0) -> Prologue:
        """The opcode message of ``item`` and the barrier; the ring's position behind it is a multiple of ``a_slots``.

        ``ride``: the first activation message may acquire the barrier's last lock. ``kept``: slots between it and the
        messages of ``a_slots``.
        """
        make = self.makes[item - 1] if item else self.make  # the message goes into the ring of the item before
        column, ov = self.columns[c], make.array.overlay
        n_words = opcodes.HEADER_WORDS + len(words)
        if n_words * 4 > ov.ops_bytes:
            bytes_of = n_words * 4, ov.ops_bytes, "bytes of its opcode message"
            members = self.placement.items[item].members if item < len(self.placement.items) else ()
            names = [self.graph.layers[m].name for m in members]
            error = InfeasibleError(f"item {item}", *bytes_of, ("use an average pool with fewer divisors",))
            raise InfeasibleError.of(dict.fromkeys(names, error)) if names else error
        locks = self._barrier(item, c)
        address, ring = self.mt.opcode_base + column.opcode_offset, (column.a_pos + kept, a_slots)
        if item == len(self.placement.items) and self.resident:
            out = make.epilogue(c, n_words, address, (locks, self._last_locks(c)), ring)
        elif item:
            out = make.prologue(c, n_words, address, locks, ring, ride)
        else:  # the opcodes themselves are still being loaded
            out = make.prologue(c, n_words, address, (), ring, False)
            out = replace(out, chain=(replace(out.chain[0], acquire=locks[0][0]), *out.chain[1:]))
        stays = self.stays[item] if item < len(self.stays) else Staying()
        anew = self.divided and not stays.a
        column.a_pos = 0 if anew else (column.a_pos + out.slots) % ov.a_slots
        if self.divided:
            self.rings.take_opcodes(item, c, out.slots)
        column.opcode_end = max(column.opcode_end, column.opcode_offset + out.bytes)
        data = opcodes.opcode_message(words, item, out.slots)
        column.messages.append(data)
        column.opcode_offset += len(data)
        self.prologues[item, c] = out
        return out

    def _barrier(self, item: int, c: int) -> list[LockPair]:
        """Acquires and releases at the start of an item; of the first one: its loads and the opcodes."""
        column = self.columns[c]
        n_loads = sum(1 for i, k in self._loads_of(item) if _height(self.placement.items[i].inputs[k].rows[c]))
        if item == 0:
            n_loads -= c in self.first_rows  # its messages wait for its pieces
            return [(LockUse(self.array.memtile(c), LOAD_DONE, 1 + n_loads), None)]
        go = sum(1 for i, k in self.loads_at.get(item, []) if _height(self.placement.items[i].inputs[k].rows[c]))
        needed = max((n + 1 for n, death in enumerate(column.store_deaths) if death < item), default=0)
        # Nobody may care for the memory of what has been stored: the lock counts on all the same.
        needed = max(needed, len(column.store_deaths) - column.store_go - self.array.device.lock_max // 2)
        stored = max(0, needed - column.stores_acquired)
        column.stores_acquired += stored
        awaited = waits(self.lags, item)
        odd = sum(column.o_done.get(i, 0) for i in awaited if self._is_odd(i))
        outputs = sum(column.o_done.get(i, 0) for i in awaited) - odd
        before = Before(outputs, go, n_loads, column.store_go, stored, odd, bool(awaited))
        column.store_go = 0
        return barrier(self.array, c, before)

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
        begin: float = LOADS,
        pieces: Sequence[int] = (),
    ) -> None:
        """``pieces``: bytes after which LOAD_DONE is released each time; none: once."""
        mt = self.array.memtile(c)
        go, release = LockUse(mt, LOAD_GO, 1), LockUse(mt, LOAD_DONE, 1)
        into: tuple[BdTemplate, ...] = (BdTemplate(Shape(mt, local.dims), base, 1, 0, go, release, control),)
        if pieces:
            begins = accumulate(pieces, initial=base)
            into = tuple(
                BdTemplate(Shape(mt, ((size // 4, 1),)), begin, 1, 0, None if k else go, release)
                for k, (begin, size) in enumerate(zip(begins, pieces, strict=False))
            )
        channel = (mt, Dir.S2MM, self.array.load_s2mm)
        # The first loads go before everything else, column by column.
        begin = begin if item else FIRST + c * COLUMN
        start, end = self._span(channel, item, begin, len(self.loads_at.get(item, [])) + (item == 0))
        early = min(start, _early(item - 1)) if item else start
        self._queue(Work(channel, into, 1, start, end, early, item=item))
        source = BdTemplate(ddr, ddr_base, control=control)
        shim = (self.array.shim(c), Dir.MM2S, 0)
        self._queue(Work(shim, (source,), 1, start, end, start if after else early, after, item))

    def _emit_loads(self, at: int) -> None:
        """Loads that may start with item ``at``; first wait for stores of the same data."""
        for rank, (index, operand) in enumerate(self.loads_at.get(at, [])):
            place = self.placement.items[index].inputs[operand]
            home = self.homes[place.storage]
            storage = self.graph.storages[place.storage]
            stored = self._storing(place.storage, place.rows)
            after = tuple(((shim, Dir.S2MM, 0), number) for shim, number in stored.items())
            begin = LOADS
            if after and index > at:
                words = self.tilings[at].cycles * self.array.device.stream_words_per_cycle
                begin = load_position(self.placement.items[:at], place, self.graph, words) + rank * NEXT_LOAD
            for c in range(self.array.cols):
                lo, hi = place.rows[c]
                if hi <= lo:
                    continue
                line = storage.block_bytes // 4
                dims = (hi - lo, storage.row_bytes // 4), (place.blocks, line), (line, 1)
                first = place.first + c * place.block_step
                base = home.offset + lo * storage.row_bytes + first * line * 4
                size = (hi - lo) * place.blocks * line
                source = lines(self.placement.items[index], self.graph, int(home.arg), dims, self.array.device.shim_bd)
                local = Shape(0, ((size, 1),))
                pieces = self._first_pieces(index, operand, c, 4 * size)
                self._push_load_pair(c, source, base, local, place.address, at, False, after, begin, pieces)

    def _first_pieces(self, index: int, operand: int, c: int, size: int) -> tuple[int, ...]:
        """Pieces in which the network's input is loaded for the first item (``emit.first_rows``); none: as a whole."""
        item, tiling = self.placement.items[index], self.tilings[index]
        alone = index == operand == 0 and len(item.inputs) == 1 and tiling.aligned and self.resident
        if not alone or not _height(item.out_rows[c]):
            return ()
        region = item.inputs[0].address, size
        found = first_rows(self._input_cut(item, tiling, c, None), self.array.memtile(c), region, self.array.device)
        if found is None:
            return ()
        self.first_rows[c] = found
        return found.pieces

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
        columns = [c for c in range(self.array.cols) if _height(item.out_rows[c])]
        for c in columns:
            lo, hi = item.out_rows[c]
            # Of blocks that two columns have computed one stores each.
            blocks = out.blocks if c == columns[-1] else out.block_step or out.blocks
            mt, shim = self.array.memtile(c), self.array.shim(c)
            inside = (hi - lo, buffer_row), (blocks, line), (line, 1)
            local = lines(item, self.graph, mt, inside, self.array.device.memtile_bd)
            base = out.address + (lo - out.rows[c][0]) * buffer_row * 4 + offset * line * 4
            there = (hi - lo, storage.row_bytes // 4), (blocks, line), (line, 1)
            remote = lines(item, self.graph, int(home.arg), there, self.array.device.shim_bd)
            ddr_base = home.offset + lo * storage.row_bytes + (out.first + c * out.block_step) * line * 4
            start, end = self._span((shim, Dir.S2MM, 0), at, -0.9, sum(o.store for o in item.outputs))
            into = BdTemplate(remote, ddr_base)
            early = min(start, _early(item.index))
            number = self._queue(Work((shim, Dir.S2MM, 0), (into,), 1, start, end, early, item=at))
            go, done = LockUse(mt, STORE_GO, 1), LockUse(mt, STORE_DONE, 1)
            source = BdTemplate(local, base, 1, 0, go, done)
            channel = (mt, Dir.MM2S, self.array.store_mm2s)
            self._queue(Work(channel, (source,), 1, start, end, early, item=at))
            self.store_tasks.setdefault(out.storage, {})[shim] = number
            self.stored_rows.setdefault(out.storage, []).append((shim, number, (lo, hi)))

    def _finish(self, n: int) -> list[tuple[int, int]]:
        """The last messages and the last stores; returns the (shim, number) of the stores to wait for at the end.

        The last barrier lets the stores go; what makes the array ready for the next inference comes behind it.
        """
        last = self.placement.items[-1]
        words = resident.last_opcodes(self.pads) if self.resident else [opcodes.HALT]
        for c in range(self.array.cols):
            prologue = self._prologue(n, c, words, self.array.overlay.a_slots if self.resident else 1, False)
            for work in self.make.input_works(c, n, prologue, NOTHING):
                self._queue(work)
        self._emit_stores(last, n)
        if self.resident:
            self._empty_outputs(n)
        return [(shim, number) for tasks in self.store_tasks.values() for shim, number in tasks.items()]

    def _empty_outputs(self, at: int) -> None:
        """Sinks for what is left of the O rings (SKIP_O): behind the last outputs, so that they are no push of their
        own; or, if those are repeated or take many descriptors, pushed while these keep the channel busy."""
        ov = self.array.overlay
        for c, column in enumerate(self.columns):
            for r, position in enumerate(column.o_pos):
                if position:
                    sink = self.make.sink(c, r, (ov.o_slots - position) * ov.o_slot // 4)
                    chain = tuple(BdTemplate(*piece) for piece in sink)
                    tasks = self.tasks[self.make.o_channel(c, r)]
                    last, end = tasks[-1], (at, EPSILON)
                    if last.repeat == 1 and len(last.chain) + len(chain) <= resident.MOST_LAST:
                        tasks[-1] = replace(last, chain=(*last.chain, *chain), end=end)
                    else:
                        tasks.append(Work(last.channel, chain, 1, (at, 0.0), end, last.start, item=at))

    def _last_locks(self, c: int) -> LockPair:
        column = self.columns[c]
        stored = len(column.store_deaths) - column.stores_acquired
        return resident.last_locks(self.array.memtile(c), stored)

    def _go(self, c: int) -> LockUse:
        """Lets the first transfers into a memtile go: the opcodes, and what the first item and others need."""
        items = self.placement.items
        loads = 1 + sum(1 for i, k in self.loads_at.get(0, []) if _height(items[i].inputs[k].rows[c]))
        return LockUse(self.array.memtile(c), LOAD_GO, loads)

    # ------------------------------------------------------------------ assembly

    def opcode_words(self, c: int) -> int:
        """Words of the opcode region of a column's memtile, once all items are there."""
        return max(FILLER_WORDS, self.columns[c].opcode_end // 4)

    def _const(self) -> tuple[bytes, dict[int, tuple[int, int]]]:
        """The constant blob and, per placeholder base, (offset, bytes) inside it."""
        blob: list[bytes] = []
        length = 0
        offsets: dict[int, tuple[int, int]] = {}

        def put(base: int, parts: Sequence[bytes], size: int, unit: int) -> None:
            nonlocal length
            offsets[base] = (length, size)
            blob.extend(parts)
            whole = -(-size // unit) * unit
            blob.append(bytes(whole - sum(map(len, parts))))
            length += whole

        for c, column in enumerate(self.columns):
            size = max(sum(map(len, column.messages)), self.opcode_words(c) * 4)
            if size > self.mt.opcode_bytes:
                raise InfeasibleError(
                    "opcode region of a memtile", size, self.mt.opcode_bytes, "bytes", ("a larger region",)
                )
            put(_OPCODES - c, column.messages, size, ALIGN)
        ring = self.array.overlay.memtile_w_slot
        for r, stream in enumerate(self.streams):
            put(_WEIGHTS - r, stream, -(-sum(map(len, stream)) // ring) * ring, ring)
        return b"".join(blob), offsets

    def _assembly(self) -> Assembly:
        const, offsets = self._const()
        # Of resident programs a command lets the first loads go (``_start``).
        go = () if self.resident else tuple(self._go(c) for c in range(self.array.cols))
        words = {self.array.memtile(c): offsets[_OPCODES - c][1] // 4 for c in range(self.array.cols)}
        sizes = len(const), self.ddr_sizes[1], self.ddr_sizes[2], self.ddr_sizes[3]
        io = program_io(self.graph, self.homes)
        keys = self.array.device.keys()
        return Assembly(keys, self.parts, go, const, offsets, self.mt.opcode_base, words, sizes, io)


def _early(item: int) -> Position:
    """When what waits for a lock of ``item`` is pushed: its channel is idle, and such a push takes its time.

    That is with the item before, while items compute; at the start the command processor has enough to do.
    """
    return (item - 1, 0.0) if item > 1 else (item, 0.1)


def _height(rows: tuple[int, int]) -> int:
    return max(0, rows[1] - rows[0])
