"""Time of a schedule before a program exists: every item's cycles by a recurrence over its messages (estimated).

The emulator (docs/program.md section 4) moves segments between channels that wait for each other's locks. With whole
messages instead of segments, and without data, that is a recurrence in (max, +). In it, a message of the A ring that
ends at ``a`` lets a core start at max(a, its weights, a free output message, its own last step); the release at the
end of the step is what a later message waits for; and so on. What happens inside items is in the library
(``cost.message_flow``), what is between them here: barriers, DDR, commands.

Terms, each from a timing rule of that section; ``slot`` is a ring slot in words, ``bd`` a descriptor's start:

* a flow moves n words in ceil(n / rate): an A or W slot takes ceil(slot / rate) + bd, a message its slots.
  A message that several descriptors send pays ``bd`` (at least half a cycle of rounding) for each further one.
* rings are locks: message m of an item may start when message m - k is released, k = messages that fit the ring.
* weights run ahead across items: byte e of a row's stream may enter the core ring (W bytes) when byte e - W is
  released by the slowest column, and the memtile ring likewise when it has left for the cores. This state, and the
  bytes already ahead, are carried from item to item.
* output flows of one link share it equally (tvm_aie/cost/links.h), so cores do not advance together: its events are
  simulated in order of time (tvm_aie/cost/item_run.h). The barrier behind an item waits for the data of its
  last messages, not for the filler that makes them whole slots, which the item's own end includes.
* an item's opcode message follows the activations of the one before, as soon as the ring has room.
* an item starts when the previous one is complete here, in all columns to the west, and in the next one to the east
  (the order of the barrier's acquires, ``emit.emitter``); one that lags when those that its barrier waits for are
  (``memory.lag``), and where it lays rings out anew, when the cores have sent what the old ones held. Its loads must
  be there, and stores of memory that it overwrites have gone. Loads and stores run on channels of their own, one
  after the other.
* the command processor waits for the store of what it is to load. Where commands cost time, those of an item are
  issued after those of the item before and at most one item ahead, and the last of them precede its last messages. If
  that makes them the last to end, tasks find their channels idle, which costs more. That the command stream waits for
  a place in one queue before it pushes to another is not modelled where commands cost nothing.
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
from tvm_aie.cost.loads import Loads
from tvm_aie.cost.message_flow import FlowLoad, MessageFlow
from tvm_aie.emit import opcodes
from tvm_aie.emit.division import Staying, staying
from tvm_aie.emit.item_tasks import Before, barrier
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import FILLER_WORDS
from tvm_aie.emit.weights import PackedConv
from tvm_aie.memory.lag import waits
from tvm_aie.memory.loads import loads_at
from tvm_aie.memory.partition import Rows
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
        self.lags = tuple(item.lag for item in placement.items)
        self.costs = costs or costs_of(array)
        self.flow = MessageFlow(array, self.rates, self.costs.any)
        self.load_ends: dict[tuple[int, int], Floats] = {}
        self.stored: dict[str, tuple[tuple[int, int, float], ...]] = {}  # by storage: rows [first, last), end
        self.command = 0.0  # when the command processor is done with what came before
        self.later = 0.0  # and with what it waits for behind the first activations of the item
        self.begun = 0.0  # when the item before began
        self.loads_at = loads_at(placement.items)
        self.barriers: dict[tuple[int, int, bool], int] = {}  # their words (``_words_of``), for all copies
        # Column by column the loads are let go, behind the push of the network's input (``emit.arrange``).
        self.command += n * self.costs.first()
        opcodes_read = np.maximum(words, FILLER_WORDS)
        begun = np.arange(1, n + 1) * self.costs.first()
        self.col.load_free = self.col.load_free + begun + opcodes_read * self.rates.load

    def copy(self) -> Recurrence:
        """An independent state."""
        other = copy(self)
        other.col, other.flow = self.col.copy(), self.flow.copy()
        other.load_ends, other.stored = dict(self.load_ends), dict(self.stored)
        return other

    def advance(self, i: int, load: ItemLoad) -> ItemTime:
        """Item ``i``, which comes next. Where a lagging one follows, ``finish`` knows when its outputs end."""
        first_free = float(self.flow.a_free.min())
        work = FlowLoad(load, [0 if load.aligned else self._barrier_words(i, c) for c in range(self.array.cols)])
        ready, moved = self._start(i, work)
        lag, follows = self.lags[i], i + 1 < len(self.lags) and self.lags[i + 1]
        self.flow.run(work, ready, self.command, lag, self._divide(load, lag), follows)
        busy, idle = load.control
        if busy:
            # Its last tasks are pushed at the end of its commands. Behind late commands every channel waits: idle.
            self.command += idle if self.command + busy > float(self.flow.o_end.max()) else busy
            self.flow.delay(self.command)
        end = max(self.flow.ended(i), float(self.flow.a_free.max()), moved)
        return ItemTime(first_free, end, float(load.kernel.sum(axis=0).max(initial=0.0)))

    def finish(self, times: Sequence[ItemTime]) -> Estimate:
        """The network's: the items' as ``advance`` gave them, the message that ends the program, the last stores."""
        items = self.placement.items
        ready = self._barrier(len(items), np.zeros(self.array.cols))
        moved = self._stores(items[-1].index, ready)
        settled = tuple(replace(t, end=max(t.end, self.flow.ended(i))) for i, t in enumerate(times))
        return Estimate(settled, max(float(ready.max()) + self.rates.a_slot, moved, settled[-1].end))

    def _divide(self, load: ItemLoad, lag: bool) -> Staying:
        """Core memory as the item divides it; the rings that it keeps."""
        if load.divided is None:
            return Staying(True, True)
        before = self.array.overlay
        self.array, self.rates = load.divided
        return staying(lag, before, self.array.overlay)

    def _barrier_words(self, i: int, c: int) -> int:
        """Words that carry the barrier of item ``i`` in a column, behind its opcodes (``emit.item_tasks.barrier``).

        Aligned messages are padded by far more.
        """
        key = i, c, self._reused(i, c) > self.col.stores_awaited[c]
        if key not in self.barriers:
            self.barriers[key] = self._words_of(*key)
        return self.barriers[key]

    def _words_of(self, i: int, c: int, stored: bool) -> int:
        """``_barrier_words``; ``stored``: it waits for stores."""
        items = self.placement.items

        def here(rows: Rows) -> bool:
            return rows[c][1] > rows[c][0]

        awaited = waits(self.lags, i)
        made = [any(self.lags) and k % 2 == 1 for k in awaited if here(items[k].out_rows)]  # by the bank of its lock
        stores = sum(out.store for out in items[i - 1].outputs) if i and here(items[i - 1].out_rows) else 0
        loads = sum(place.loaded and here(place.rows) for place in items[i].inputs)
        go = sum(here(items[k].inputs[n].rows) for k, n in self.loads_at.get(i, []))
        return len(
            barrier(self.array, c, Before(made.count(False), go, loads, stores, stored, sum(made), bool(awaited)))
        )

    def _reused(self, i: int, c: int) -> int:
        """Stores of a column that must have ended before item ``i``, since it writes where they read."""
        return max((n + 1 for n, death in enumerate(self.col.store_deaths[c]) if death < i), default=0)

    def _barrier(self, i: int, there: Floats) -> Floats:
        """When the columns may start item ``i``, loads and stores apart; item 0: when the opcodes are there.

        ``there``: when each column's opcode message is; what tells its neighbours that it is ready follows it.
        """
        if i == 0:
            return self.col.load_free.copy()
        awaited = waits(self.lags, i)
        if awaited:
            done = np.max([there, *(self.flow.done(k) for k in awaited)], axis=0)
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

    def _start(self, i: int, load: FlowLoad) -> tuple[Floats, float]:
        """Barrier, stores, loads and opcode message of item ``i``: when its activations may go, and the end of the
        transfers that it starts."""
        col, item = self.col, self.placement.items[i]
        there = self.flow.opcodes(load) if i else np.zeros(self.array.cols)
        ready = self._barrier(i, there)
        self.command = max(self.command, self.later)
        if i == 0:
            moved = self._load(0, ready)
        self.command = max(self.command, self.begun) + self.array.cols * self.costs.prologue()
        ready = np.maximum(ready, self.command) if self.costs.any else ready
        if i > 0:
            # The barrier's descriptors, which let stores and loads go, follow the opcodes.
            ready = np.maximum(ready, there)
            moved = self._stores(i - 1, ready)
            for c in range(self.array.cols):
                needed = self._reused(i, c)
                if needed > col.stores_awaited[c]:
                    col.stores_awaited[c] = needed
                    ready[c] = max(ready[c], col.store_ends[c][needed - 1])
            moved = max(moved, self._load(i, ready))
        for k, place in enumerate(item.inputs):
            if place.loaded:
                ready = np.maximum(ready, self.load_ends[(i, k)])
        self.begun = float(ready.min())
        if i == 0:  # its opcodes are loaded, too
            ready = np.maximum(ready, self.flow.opcodes(load, ready))
        return ready, moved
