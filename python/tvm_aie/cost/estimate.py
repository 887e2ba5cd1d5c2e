"""Time of a schedule before a program exists: every item's cycles by a recurrence over its messages (estimated).

The emulator (docs/program.md section 4) moves segments between channels that wait for each other's locks. With whole
messages instead of segments, and without data, that is a recurrence in (max, +). In it, a message of the A ring that
ends at ``a`` lets a core start at max(a, its weights, a free output message, its own last step); the release at the
end of the step is what a later message waits for; and so on. All columns and core rows advance together, as arrays.

Terms, each from a timing rule of that section; ``slot`` is a ring slot in words, ``bd`` a descriptor's start:

* a flow moves n words in ceil(n / rate): an A or W slot takes ceil(slot / rate) + bd, a message its slots.
  A message that several descriptors send pays ``bd`` (at least half a cycle of rounding) for each further one.
* rings are locks: message m of an item may start when message m - k is released, k = messages that fit the ring.
* weights run ahead across items: byte e of a row's stream may enter the core ring (W bytes) when byte e - W is
  released by the slowest column, and the memtile ring likewise when it has left for the cores. This state, and the
  bytes already ahead, are carried from item to item.
* output flows of one link share it equally (``cost.link``). The barrier behind an item waits for the data of its last
  messages, not for the filler that makes them whole slots, which the item's own end includes.
* an item's opcode message follows the activations of the one before, as soon as the ring has room.
* an item starts when the previous one is complete here, in all columns to the west, and in the next one to the east
  (the order of the barrier's acquires, ``emit.emitter``); one that lags when those that its barrier waits for are
  (``memory.lag``), and where it lays rings out anew, when the cores have sent what the old ones held. Its loads must
  be there, and stores of memory that it overwrites have gone. Loads and stores run on channels of their own, one
  after the other.
* the command processor waits for the store of what it is to load. Where commands cost time, those of an item are
  issued after those of the item before and at most one item ahead, and the last of them precede its last messages. If
  that makes them the last to end, tasks find their channels idle, which costs more.
* DDR is shared: weight streams get an equal share each; the first loads share it with all of them. Where commands cost
  time the weight rings are full at first, and the first loads share DDR with each other only. That the first messages
  wait for a part of the network's input (``emit.first_rows``) is not modelled: its whole load counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.commands import Costs, costs_of, run_alone
from tvm_aie.cost.item_load import ItemLoad, rates_of
from tvm_aie.cost.link import Marks, OwnLinks, SharedLinks
from tvm_aie.cost.loads import Loads
from tvm_aie.cost.ring_plan import ring_plan
from tvm_aie.cost.weight_stream import WeightStream
from tvm_aie.emit import opcodes
from tvm_aie.emit.division import Staying, staying
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import FILLER_WORDS
from tvm_aie.emit.weights import PackedConv
from tvm_aie.memory.lag import waits
from tvm_aie.memory.loads import loads_at
from tvm_aie.memory.placement import Placement
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ItemTime:
    """Estimated span of one item and the kernel cycles of its busiest core, as ``runtime.emulator.ItemStats``."""

    start: float
    end: float
    busy: float


@dataclass(frozen=True)
class Estimate:
    """``items``: one span per item; ``total``: cycles of one image without the launch; all estimated."""

    items: tuple[ItemTime, ...]
    total: float

    @property
    def cycles(self) -> tuple[float, ...]:
        """Cycles of each item by the convention of the report: from the end before it to its own end."""
        return item_cycles([(i.start, i.end, i.busy) for i in self.items], self.total)


def item_cycles(spans: Sequence[tuple[float, float, float]], total: float) -> tuple[float, ...]:
    """A split of ``total`` over (start, end, busy) spans, by the report's convention (``report.layers.slices``)."""
    borders = [total]
    for (_, end, _), (next_start, _, next_busy) in zip(reversed(spans[:-1]), reversed(spans[1:]), strict=True):
        own = end if end <= borders[-1] else next_start
        borders.append(max(0.0, min(own, borders[-1] - next_busy)))
    borders.append(0.0)
    borders.reverse()
    return tuple(b - a for a, b in pairwise(borders))


def estimate(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: Mapping[str, PackedConv],
    known: Loads | None = None,
) -> Estimate:
    """Estimated time of a placed and tiled network. ``known``: shared by the plans of a network."""
    costs = replace(costs_of(array), alone=run_alone(array, physical, placement, tilings))
    known = known or Loads()
    items = zip(placement.items, tilings, strict=True)
    loads = [known.of(array, physical, item, tiling, packed, costs) for item, tiling in items]
    run = Recurrence(array, physical, placement, opcode_words(loads), costs)
    times = [run.advance(i, load) for i, load in enumerate(loads)]
    return run.finish(times)


def opcode_words(loads: Sequence[ItemLoad]) -> Floats:
    """Words of all opcode messages of each column: of the items' and of the one that ends the program."""
    words = np.sum([load.prologue_words for load in loads], axis=0, dtype=np.float64)
    return np.asarray(words + opcodes.HEADER_WORDS + 1, np.float64)


class _Columns:
    """State of the columns' own channels; times in cycles, arrays over the columns."""

    def __init__(self, n: int) -> None:
        self.a_free = np.zeros(n)  # the activation channel
        self.a_pos = np.zeros(n, np.int64)  # ring position in slots
        self.load_free = np.zeros(n)
        self.store_free = np.zeros(n)
        self.passed = np.zeros(n)  # the barrier before
        self.store_ends: list[list[float]] = [[] for _ in range(n)]
        self.store_deaths: list[list[int]] = [[] for _ in range(n)]
        self.stores_awaited = [0] * n

    def copy(self) -> _Columns:
        """An independent state."""
        other = copy(self)
        other.load_free, other.store_free = self.load_free.copy(), self.store_free.copy()
        other.store_ends = [list(x) for x in self.store_ends]
        other.store_deaths = [list(x) for x in self.store_deaths]
        other.stores_awaited = list(self.stores_awaited)
        return other


@dataclass(frozen=True)
class _Sent:
    """What the cores had sent at the end of an item: all of it, the data, and which cores sent any in the item."""

    all: Marks
    sound: Marks
    senders: npt.NDArray[np.bool_]

    def data(self, links: SharedLinks | OwnLinks) -> Floats:
        """When the item's data have arrived, by column."""
        return np.asarray(np.where(self.senders, links.ended(self.sound), 0.0).max(axis=1), np.float64)


@dataclass(frozen=True)
class _InRing:
    """Messages that a ring may still hold when an item begins, oldest first: slots with filler.

    Arrays (messages, columns) of the A ring, (messages, columns, rows) of the O ring. ``gone``: when those of the A
    ring are released; the output links know it of the others.
    """

    sizes: npt.NDArray[np.int64]
    gone: Floats

    def then(self, sizes: npt.NDArray[np.int64], gone: Floats, slots: int) -> _InRing:
        """With these behind them; without what lies more than ``slots`` back."""
        sizes, gone = np.concatenate([self.sizes, sizes]), np.concatenate([self.gone, gone])
        if not len(sizes):
            return self
        behind = sizes[::-1].cumsum(axis=0)[::-1].reshape(len(sizes), -1).min(axis=1, initial=slots)
        first = max(0, int((behind >= slots).sum()) - 1)
        return _InRing(sizes[first:], gone[first:])


def _empty(*shape: int) -> _InRing:
    return _InRing(np.zeros((0, *shape), np.int64), np.zeros((0, *shape[:1])))


class Recurrence:
    """The state between items. ``advance`` adds the next one; ``copy`` gives a state to try another tiling on."""

    def __init__(
        self, array: Array, physical: PhysicalGraph, placement: Placement, words: Floats, costs: Costs | None = None
    ) -> None:
        """``words``: opcodes of each column's messages, loaded first; ``costs``: if not the device's."""
        self.array, self.physical, self.placement = array, physical, placement
        self.rates = rates_of(array)
        n = array.cols
        self.col = _Columns(n)
        self.core = np.zeros((n, array.rows))
        self.a_slots = 0  # of the last activation message
        self.o_end = np.zeros((n, array.rows))
        self.o_pos = np.zeros((n, array.rows), np.int64)
        self.a_ring, self.o_ring = _empty(n), _empty(n, array.rows)
        self.lags = tuple(item.lag for item in placement.items)
        # The output links while a lagging item follows, and what they had of each item; of others, when its data had
        # arrived (by column), and when everything had.
        self.out: SharedLinks | OwnLinks | None = None
        self.marks: dict[int, _Sent] = {}
        self.done: dict[int, Floats] = {-1: np.zeros(n)}
        self.ends: dict[int, float] = {}
        self.costs = costs or costs_of(array)
        self.weights = WeightStream(array, self.rates, self.costs.any)
        self.load_ends: dict[tuple[int, int], Floats] = {}
        self.stored: dict[str, tuple[tuple[int, int, float], ...]] = {}  # by storage: rows [first, last), end
        self.command = 0.0  # when the command processor is done with what came before
        self.later = 0.0  # and with what it waits for behind the first activations of the item
        self.begun = 0.0  # when the item before began
        self.loads_at = loads_at(placement.items)
        # Column by column the loads are let go, behind the push of the network's input (``emit.arrange``).
        self.command += n * self.costs.first()
        opcodes_read = np.maximum(words, FILLER_WORDS)
        begun = np.arange(1, n + 1) * self.costs.first()
        self.col.load_free = self.col.load_free + begun + opcodes_read * self.rates.load

    def copy(self) -> Recurrence:
        """An independent state: arrays are replaced, never written, except those of ``WeightStream``."""
        other = copy(self)
        other.col, other.weights = self.col.copy(), copy(self.weights)
        other.load_ends, other.stored = dict(self.load_ends), dict(self.stored)
        other.out = self.out and self.out.copy()
        other.marks, other.done, other.ends = dict(self.marks), dict(self.done), dict(self.ends)
        return other

    def advance(self, i: int, load: ItemLoad) -> ItemTime:
        """Item ``i``, which comes next. Where a lagging one follows, ``finish`` knows when its outputs end."""
        first_free = float(self.col.a_free.min())
        moved = self._start(i, load)
        self._steps(i, load)
        if i + 1 == len(self.lags) or not self.lags[i + 1]:
            self._close()
        busy, idle = load.control
        if busy:
            # Its last tasks are pushed at the end of its commands. Behind late commands every channel waits: idle.
            late = self.command + busy > float(self.o_end.max())
            self.command += idle if late else busy
            self.o_end = np.maximum(self.o_end, self.command)
            self.done[i] = np.maximum(self.done[i], self.command)
            self.ends[i] = max(self.ends[i], self.command)
        end = max(self.ends.get(i, 0.0), float(self.col.a_free.max()), moved)
        return ItemTime(first_free, end, float(load.kernel.sum(axis=0).max(initial=0.0)))

    def finish(self, times: Sequence[ItemTime]) -> Estimate:
        """The network's: the items' as ``advance`` gave them, the message that ends the program, the last stores."""
        items = self.placement.items
        ready = self._barrier(len(items))
        moved = self._stores(items[-1].index, ready)
        settled = tuple(replace(t, end=max(t.end, self.ends[i])) for i, t in enumerate(times))
        return Estimate(settled, max(float(ready.max()) + self.rates.a_slot, moved, settled[-1].end))

    def _close(self) -> None:
        """The output links send all that they have, and nothing comes in between."""
        if self.out is not None:
            self.o_end = self.out.finish()
            for i, sent in self.marks.items():
                self.done[i] = sent.data(self.out)
                self.ends[i] = float(self.out.ended(sent.all).max())
            self.out, self.marks = None, {}

    def _done(self, i: int) -> Floats:
        """When the outputs of item ``i`` are complete, by column."""
        if i in self.marks and self.out is not None:
            return self.marks[i].data(self.out)
        return self.done[i]

    # ------------------------------------------------------------------ between items

    def _barrier(self, i: int) -> Floats:
        """When the columns may start item ``i``, loads and stores apart; item 0: when the opcodes are there."""
        if i == 0:
            return self.col.load_free.copy()
        awaited = waits(self.lags, i)
        if awaited:
            done = np.max([self._done(k) for k in awaited], axis=0)
            west = np.maximum.accumulate(done)
            ready = west.copy()
            ready[:-1] = np.maximum(west[:-1], done[1:])
            self.col.passed = np.maximum(self.col.passed, ready + self.rates.barrier)
        return self.col.passed.copy()

    def _stores(self, of: int, ready: Floats) -> float:
        """The stores of item ``of``'s output, which may go from ``ready`` on; returns when the last one ends."""
        item, last = self.placement.items[of], 0.0
        for out in item.outputs:
            if not out.store:
                continue
            storage = self.physical.storages[out.storage]
            for c, (lo, hi) in enumerate(item.out_rows):
                if hi > lo:
                    words = (hi - lo) * out.blocks * storage.row_bytes / storage.blocks / 4
                    self.command += self.costs.pair()
                    end = max(float(ready[c]), float(self.col.store_free[c]), self.command)
                    end += words * self.rates.store + self.rates.store_task
                    self.col.store_free[c] = end
                    self.col.store_ends[c].append(end)
                    self.col.store_deaths[c].append(out.last_use)
                    last = max(last, end)
                    self.stored[out.storage] = (*self.stored.get(out.storage, ()), (lo, hi, end))
        return last

    def _load(self, i: int, ready: Floats) -> float:
        """The loads that may start with item ``i``; returns when the last one ends."""
        last = 0.0
        word = self.rates.load if i else self.rates.load_beside
        for index, k in self.loads_at.get(i, []):
            place = self.placement.items[index].inputs[k]
            storage = self.physical.storages[place.storage]
            # The command processor waits for the stores of any of these rows: if a later item needs them, behind the
            # first activations of this one (``emit.emitter``).
            stored = self.stored.get(place.storage, ())
            ends = [end for first, after, end in stored if any(first < b and a < after for a, b in place.rows)]
            if index > i and ends:
                self.later = max(self.later, *ends)
            else:
                self.command = max(self.command, *ends, 0.0)
            arrived = np.zeros(self.array.cols)
            for c, (lo, hi) in enumerate(place.rows):
                if hi > lo:
                    words = (hi - lo) * place.blocks * storage.row_bytes / storage.blocks / 4
                    self.command += 0.0 if i == 0 else self.costs.pair()
                    begin = max(self.command, self.later if index > i and ends else 0.0)
                    start = max(float(self.col.load_free[c]), float(ready[c]) if i else 0.0, begin)
                    arrived[c] = start + words * word + self.rates.load_task
                    self.col.load_free[c] = arrived[c]
            self.load_ends[(index, k)] = arrived
            last = max(last, float(arrived.max()))
        return last

    def _start(self, i: int, load: ItemLoad) -> float:
        """Barrier, stores, loads and opcode message of item ``i``; returns the end of the transfers that it starts."""
        col, item = self.col, self.placement.items[i]
        ready = self._barrier(i)
        self.command = max(self.command, self.later)
        if i == 0:
            moved = self._load(0, ready)
        self.command = max(self.command, self.begun) + self.array.cols * self.costs.prologue()
        ready = np.maximum(ready, self.command) if self.costs.any else ready
        slots = self._prologue_slots(load)
        if i > 0:
            # The barrier's descriptors, which let stores and loads go, follow the opcodes.
            ready = np.maximum(ready, self._opcodes(load, slots, col.a_free))
            moved = self._stores(i - 1, ready)
            for c in range(self.array.cols):
                needed = max((n + 1 for n, death in enumerate(col.store_deaths[c]) if death < i), default=0)
                if needed > col.stores_awaited[c]:
                    col.stores_awaited[c] = needed
                    ready[c] = max(ready[c], col.store_ends[c][needed - 1])
            moved = max(moved, self._load(i, ready))
        for k, place in enumerate(item.inputs):
            if place.loaded:
                ready = np.maximum(ready, self.load_ends[(i, k)])
        col.a_free = ready if i > 0 else np.maximum(ready, self._opcodes(load, slots, ready))
        self._divide(load, self.lags[i], slots)
        self.core = np.maximum(self.core, col.a_free[:, None])
        self.begun = float(ready.min())
        if self.command > float(col.a_free.min()):
            col.a_free = np.maximum(col.a_free, self.command)
        return moved

    def _opcodes(self, load: ItemLoad, slots: npt.NDArray[np.int64], begin: Floats) -> Floats:
        """When the opcode message is there, which is behind the activations of the item before, not its barrier."""
        beside = self.a_slots + slots <= self.array.overlay.a_slots  # the last of those activations
        begin = np.where(beside, begin, np.maximum(begin, self.core.max(axis=1)))
        self.a_slots = load.a_slots
        return np.asarray(begin + slots * self.rates.a_slot, np.float64)

    def _divide(self, load: ItemLoad, lag: bool, head: npt.NDArray[np.int64]) -> None:
        """The rings that the item lays out begin behind its opcode message, empty; the others go on.

        ``head``: A slots of that message, which the cores take when they are done with the item before.
        """
        before, stays = self.array.overlay, Staying(True, True)
        if load.divided is not None:
            self.array, self.rates = load.divided
            stays = staying(lag, before, self.array.overlay)
            # The cores hand the slots of the new A ring out when they have released those of the old rings.
            if not stays.a:
                self.col.a_free = np.maximum(self.col.a_free, self.core.max(axis=1))
            if not stays.o:
                self._close()
                self.col.a_free = np.maximum(self.col.a_free, self.o_end.max(axis=1))
            if not stays.a:
                self.col.a_pos = np.zeros_like(self.col.a_pos)
            if not stays.o:
                self.o_pos = np.zeros_like(self.o_pos)
        if not (lag and stays.a):  # behind a full barrier the rings are empty
            self.a_ring = _empty(*self.a_ring.sizes.shape[1:])
        else:
            self.a_ring = self.a_ring.then(head[None], self.core.max(axis=1)[None], self.array.overlay.a_slots)
        if not (lag and stays.o):
            self.o_ring = _empty(*self.o_ring.sizes.shape[1:])

    def _prologue_slots(self, load: ItemLoad) -> npt.NDArray[np.int64]:
        """A slots of the opcode messages: whole slots and, if aligned, up to a multiple of the item's messages."""
        ov, col = self.array.overlay, self.col
        slots = -(-np.asarray(load.prologue_words) * 4 // ov.a_slot)
        if load.aligned:
            skip = -(col.a_pos + slots + np.array(load.kept)) % load.a_slots
            slots = slots + np.where(np.asarray(load.a_counts) > 0, skip, 0)
        col.a_pos = (col.a_pos + slots) % ov.a_slots
        return np.asarray(slots, np.int64)

    # ------------------------------------------------------------------ inside an item

    def _a_plan(self, load: ItemLoad) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
        """Filler slots before each activation message, and the message that it waits for: (messages, columns).

        Last: cycles that it needs after that release, and after the release before: (messages, 2, columns).
        """
        plans = [
            ring_plan(int(p), tuple(sizes.tolist()), self.array.overlay.a_slots, tuple(before.tolist()))
            for p, sizes, before in zip(self.col.a_pos, load.a_sizes.T, self.a_ring.sizes.T, strict=True)
        ]
        self.col.a_pos = np.array([p.position for p in plans], np.int64)
        late = np.array([p.late for p in plans]).transpose(1, 2, 0) * self.rates.a_slot
        return np.array([p.filler for p in plans], np.int64).T, np.array([p.needs for p in plans]).T, late

    def _o_plan(self, load: ItemLoad) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The same for output messages: (messages, columns, rows)."""
        slots = self.array.overlay.o_slots
        filler = np.zeros(load.o_sizes.shape, np.int64)
        needs = np.full(load.o_sizes.shape, -1, np.int64)
        self.o_pos = self.o_pos.copy()  # of this state alone
        for c, r in np.ndindex(self.o_pos.shape):
            before = tuple(self.o_ring.sizes[:, c, r].tolist())
            plan = ring_plan(int(self.o_pos[c, r]), tuple(load.o_sizes[:, c, r].tolist()), slots, before)
            filler[:, c, r], needs[:, c, r] = plan.filler, plan.needs
            self.o_pos[c, r] = plan.position
        return filler, needs

    def _links(self, messages: int) -> SharedLinks | OwnLinks:
        """The output links of an item of so many messages: new ones, or those that work for the items before, too."""
        if self.out is None:
            self.out = (SharedLinks if self.rates.o_shared else OwnLinks)(self.o_end, messages)
        else:
            self.out.more(messages)
        return self.out

    def _fill(
        self, out: SharedLinks | OwnLinks, core: Floats, skipped: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]
    ) -> Floats:
        """Filler before output messages of these sizes (slots); when the cores may begin.

        A message that does not fit beside its own filler waits until enough of that has left.
        """
        slot = self.rates.o_slot
        first = np.where(skipped > 0, np.maximum(skipped + sizes - self.array.overlay.o_slots, 0), 0)
        if not first.any():
            out.junk(core, np.asarray(skipped * slot, np.float64))
            return core
        out.junk(core, np.asarray(first * slot, np.float64))
        mark = out.mark()
        out.junk(core, np.asarray((skipped - first) * slot, np.float64))
        return np.where(first > 0, np.maximum(core, out.ended(mark)), core)

    def _steps(self, i: int, load: ItemLoad) -> None:
        """The kernel calls of item ``i`` in order; arrays (columns, rows)."""
        core, a_free = self.core, self.col.a_free
        out = self._links(len(load.o_sizes))
        number = out.count - len(self.o_ring.sizes)  # of the first message that the O ring may hold
        if load.aligned:
            out.junk(core, self._skip(load))
        self.weights.begin(load.w_bytes.astype(np.float64))
        a_skipped, a_needs, a_late = self._a_plan(load)
        o_skipped, o_needs = self._o_plan(load)
        a_filler = a_skipped * self.rates.a_slot
        o_move, o_rest = load.o_sizes * self.rates.o_slot, load.o_rest * self.rates.o_slot
        last = load.last_sent()
        o_waits, o_fills = np.asarray((o_needs >= 0).any(axis=(1, 2))), np.asarray(o_skipped.any(axis=(1, 2)))
        o_awaited = np.where(o_needs >= 0, o_needs + number, -1)
        # Row 0 is the time of a message that nothing waits for; then what the ring held before.
        held, columns = len(self.a_ring.gone), core.shape[0]
        released = np.zeros((held + len(a_needs) + 1, columns))
        released[1 : held + 1] = self.a_ring.gone
        a_waits = np.asarray((a_needs >= 0).any(axis=1))
        a_awaited = np.maximum(a_needs[:, None] + [[1], [0]], 0) * columns + np.arange(columns)
        greatest = np.maximum.reduce
        m = q = 0
        n_released = held
        for step, kernel, a_move in zip(load.steps, load.kernel, load.a_move, strict=True):
            if step.acquires_w:
                core = np.maximum(core, self.weights.arrive())
            if step.acquires_a:
                a_free = a_free + a_filler[m] + a_move
                if a_waits[m]:
                    gone = released.take(a_awaited[m]) + a_late[m]
                    a_free = np.maximum(np.maximum(a_free, gone[0]), gone[1])
                core = np.maximum(core, a_free[:, None])
                m += 1
            if step.acquires_o:
                if o_fills[q]:
                    core = self._fill(out, core, o_skipped[q], load.o_sizes[q])
                if o_waits[q]:
                    core = np.maximum(core, out.ends(o_awaited[q]))
            core = core + kernel
            if step.releases_a:
                n_released += 1
                greatest(core, axis=1, out=released[n_released])
            if step.releases_w:
                self.weights.release(greatest(core, axis=0))
            if step.releases_o:
                ends = last == q
                out.send(core, o_move[q], np.where(ends, o_rest, 0.0) if ends.any() else None)
                q += 1
        self.core, self.col.a_free = core, a_free
        self.marks[i] = _Sent(out.mark(), out.data(), last >= 0)
        if any(self.lags):
            ov, o_sizes = self.array.overlay, load.o_sizes + o_skipped
            self.a_ring = self.a_ring.then(load.a_sizes + a_skipped, released[held + 1 :], ov.a_slots)
            self.o_ring = self.o_ring.then(o_sizes, np.zeros(o_sizes.shape[:2]), ov.o_slots)

    def _skip(self, load: ItemLoad) -> Floats:
        """Junk that aligns the output rings at the start of an item, in cycles of the link."""
        skip = np.where(load.o_sizes.any(axis=0), -self.o_pos % load.o_slots, 0)
        self.o_pos = (self.o_pos + skip) % self.array.overlay.o_slots
        return skip * self.rates.o_slot
