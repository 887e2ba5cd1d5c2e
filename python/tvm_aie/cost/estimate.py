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
* output flows of one link share it: all rows' messages end when the link has worked all of them off.
* an item starts when the previous one is complete here, in all columns to the west, and in the next one to the east
  (the order of the barrier's acquires, ``emit.emitter``), its loads are there, and stores of memory that it
  overwrites have gone. Loads and stores run on channels of their own, one after the other.
* the command processor waits for the store of what it is to load; it is not modelled further on idealised machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.item_load import ItemLoad, Rates, item_load, rates_of
from tvm_aie.emit.emitter import FILLER_WORDS
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv, item_weights
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
    """The report's split of ``total`` over (start, end, busy) spans (``report.layers.slices``)."""
    borders = [total]
    for (_, end, _), (next_start, _, next_busy) in zip(reversed(spans[:-1]), reversed(spans[1:]), strict=True):
        own = end if end <= borders[-1] else next_start
        borders.append(max(0.0, min(own, borders[-1] - next_busy)))
    borders.append(0.0)
    borders.reverse()
    return tuple(b - a for a, b in zip(borders, borders[1:], strict=False))


def estimate(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: Mapping[str, PackedConv],
) -> Estimate:
    """Estimated time of a placed and tiled network."""
    rates = rates_of(array)
    loads: list[ItemLoad] = []
    cache: dict[object, ItemLoad] = {}
    for item, tiling in zip(placement.items, tilings, strict=True):
        layer = physical.layers[item.layer]
        key = (item.members, item.out_rows, id(tiling))
        if key not in cache:
            cache[key] = item_load(array, rates, item, layer, tiling, item_weights(item, physical, packed))
        loads.append(cache[key])
    return _Run(array, rates, physical, placement, loads).run()


@dataclass
class _Columns:
    """State of the columns' own channels; times in cycles, arrays over the columns."""

    a_free: Floats  # the activation channel
    a_pos: npt.NDArray[np.int64]  # ring position in slots
    load_free: Floats
    store_free: Floats
    done: Floats  # outputs of the item before are complete
    store_ends: list[list[float]] = field(default_factory=list)
    store_deaths: list[list[int]] = field(default_factory=list)
    stores_awaited: list[int] = field(default_factory=list)


class _Weights:
    """Arrival of the weight messages of all rows in the core rings, in stream order (see the module's terms)."""

    def __init__(self, array: Array, rates: Rates, loads: Sequence[ItemLoad]) -> None:
        ov = array.overlay
        sizes = np.concatenate([load.w_bytes for load in loads], axis=1).astype(np.float64)
        n_rows, n = sizes.shape
        ends = np.cumsum(sizes, axis=1)
        slot = ov.memtile_w_slot
        filled = np.ceil(ends / slot) * slot
        self.sizes, self.rates = sizes, rates
        # Column 0 of ``released`` and ``arrived`` is the time before the first message.
        self.released = np.zeros((n_rows, n + 1))
        self.arrived = np.zeros((n_rows, n + 1))
        self.loaded = np.zeros(n_rows)
        padded = np.concatenate([np.zeros((n_rows, 1)), ends], axis=1)
        core = ov.w_slot * ov.w_slots
        self._ring_terms(padded, sizes, core)
        self.into_memtile = np.diff(np.concatenate([np.zeros((n_rows, 1)), filled], axis=1)) * rates.loadw
        self.last_slot = (ends - (np.ceil(ends / slot) - 1) * slot) * rates.w
        self.move = sizes * rates.w
        # The memtile ring: when byte ``filled - ring`` has left; by message, minus what the message sends after it.
        ring = slot * ov.memtile_w_slots
        before = filled - ring
        self.left_at = np.stack([np.searchsorted(padded[r], before[r], "left") for r in range(n_rows)])
        self.left_early = (np.take_along_axis(padded, np.minimum(self.left_at, n), 1) - before) * rates.w
        self.blocked = before > 0
        self.refill = slot * rates.loadw
        self.row = np.arange(n_rows)
        self.next = 0

    def _ring_terms(self, padded: Floats, sizes: Floats, ring: int) -> None:
        """For each message the two releases that can hold it up, and the time that it needs after each."""
        need = padded[:, 1:] - ring
        at = np.stack([np.searchsorted(p, x, "left") for p, x in zip(padded, need, strict=True)])
        at = np.where(need > 0, at, 0)
        self.after: list[tuple[npt.NDArray[np.int64], Floats]] = []
        for back in (0, 1):
            i = np.maximum(at - back, 0)
            rest = np.minimum(need - np.take_along_axis(padded, np.maximum(i - 1, 0), 1), sizes)
            self.after.append((i, np.where(i > 0, np.maximum(rest, 0), 0) * self.rates.w))

    def arrive(self) -> Floats:
        """Time at which the next message of each row is complete in the cores."""
        j, row = self.next, self.row
        self.next = j + 1
        loaded = self.loaded + self.into_memtile[:, j]
        if self.blocked[:, j].any():
            left = self.arrived[row, np.minimum(self.left_at[:, j], j)] - self.left_early[:, j]
            loaded = np.maximum(loaded, np.where(self.blocked[:, j], left + self.refill, 0))
        self.loaded = loaded
        t = np.maximum(self.arrived[:, j] + self.move[:, j], loaded + self.last_slot[:, j])
        for at, rest in self.after:
            t = np.maximum(t, self.released[row, at[:, j]] + rest[:, j])
        self.arrived[:, j + 1] = t
        return t

    def release(self, t: Floats) -> None:
        """The message that arrived last is released by the cores of each row at ``t``."""
        self.released[:, self.next] = t


class _Run:
    """One pass over the items."""

    def __init__(
        self,
        array: Array,
        rates: Rates,
        physical: PhysicalGraph,
        placement: Placement,
        loads: Sequence[ItemLoad],
    ) -> None:
        self.array, self.rates, self.physical, self.placement, self.loads = array, rates, physical, placement, loads
        n = array.cols
        self.col = _Columns(*(np.zeros(n) for _ in range(1)), np.zeros(n, np.int64), *(np.zeros(n) for _ in range(3)))
        for lists in (self.col.store_ends, self.col.store_deaths, self.col.stores_awaited):
            lists.extend([] if lists is not self.col.stores_awaited else 0 for _ in range(n))  # type: ignore[misc]
        self.core = np.zeros((n, array.rows))
        self.o_end = np.zeros((n, array.rows))
        self.o_pos = np.zeros((n, array.rows), np.int64)
        self.junk_end = self.o_end
        self.weights = _Weights(array, rates, loads)
        self.load_ends: dict[tuple[int, int], Floats] = {}
        self.stored: dict[str, float] = {}
        self.command = 0.0
        self.loads_at: dict[int, list[tuple[int, int]]] = {}
        for item in placement.items:
            for k, place in enumerate(item.inputs):
                if not place.resident:
                    self.loads_at.setdefault(place.load_at, []).append((item.index, k))

    def run(self) -> Estimate:
        """All items, then the last stores."""
        items = self.placement.items
        opcode_words = sum(sum(load.prologue_words) for load in self.loads) / self.array.cols
        self.col.load_free += max(opcode_words, FILLER_WORDS) * self.rates.load
        times = []
        for i, load in enumerate(self.loads):
            first_free = float(self.col.a_free.min())
            moved = self._start(i, load)
            self._steps(load)
            self.col.done = self.o_end.max(axis=1)
            end = max(float(self.col.done.max()), float(self.col.a_free.max()), moved)
            times.append(ItemTime(first_free, end, float(load.kernel.sum(axis=0).max(initial=0.0))))
        n = len(items)
        ready = self._barrier(n)
        moved = self._stores(items[-1].index, ready)
        total = max(float(ready.max()) + self.rates.a_slot, moved, times[-1].end)
        return Estimate(tuple(times), total)

    # ------------------------------------------------------------------ between items

    def _barrier(self, i: int) -> Floats:
        """When the columns may start item ``i``, loads and stores apart; item 0: when the opcodes are there."""
        if i == 0:
            return self.col.load_free.copy()
        done = self.col.done
        west = np.maximum.accumulate(done)
        ready = west.copy()
        ready[:-1] = np.maximum(west[:-1], done[1:])
        return np.asarray(ready + self.rates.barrier, np.float64)

    def _stores(self, of: int, ready: Floats) -> float:
        """The stores of item ``of``'s output, which may go from ``ready`` on; returns when the last one ends."""
        item, last = self.placement.items[of], 0.0
        for out in item.outputs:
            if not out.store:
                continue
            storage = self.physical.storages[out.storage]
            for c, (lo, hi) in enumerate(item.out_rows):
                if hi > lo:
                    words = (hi - lo) * out.blocks * storage.width * 2
                    end = max(float(ready[c]), float(self.col.store_free[c]), self.command)
                    end += words * self.rates.store + self.rates.store_task
                    self.col.store_free[c] = end
                    self.col.store_ends[c].append(end)
                    self.col.store_deaths[c].append(out.last_use)
                    last = max(last, end)
            self.stored[out.storage] = last
        return last

    def _load(self, i: int, ready: Floats) -> float:
        """The loads that may start with item ``i``; returns when the last one ends."""
        last = 0.0
        for index, k in self.loads_at.get(i, []):
            place = self.placement.items[index].inputs[k]
            storage = self.physical.storages[place.storage]
            self.command = max(self.command, self.stored.get(place.storage, 0.0))
            ends = np.zeros(self.array.cols)
            for c, (lo, hi) in enumerate(place.rows):
                if hi > lo:
                    words = (hi - lo) * place.blocks * storage.width * 2
                    start = max(float(self.col.load_free[c]), float(ready[c]) if i else 0.0, self.command)
                    ends[c] = start + words * self.rates.load + self.rates.load_task
                    self.col.load_free[c] = ends[c]
            self.load_ends[(index, k)] = ends
            last = max(last, float(ends.max()))
        return last

    def _start(self, i: int, load: ItemLoad) -> float:
        """Barrier, stores, loads and opcode message of item ``i``; returns the end of the transfers that it starts."""
        col, item = self.col, self.placement.items[i]
        ready = self._barrier(i)
        if i == 0:
            moved = self._load(0, ready)
        else:
            moved = self._stores(i - 1, ready)
            for c in range(self.array.cols):
                needed = max((n + 1 for n, death in enumerate(col.store_deaths[c]) if death < i), default=0)
                if needed > col.stores_awaited[c]:
                    col.stores_awaited[c] = needed
                    ready[c] = max(ready[c], col.store_ends[c][needed - 1])
            moved = max(moved, self._load(i, ready))
        for k, place in enumerate(item.inputs):
            if not place.resident:
                ready = np.maximum(ready, self.load_ends[(i, k)])
        slots = self._prologue_slots(load)
        col.a_free = np.maximum(ready, col.a_free) + slots * self.rates.a_slot
        self.core = np.maximum(self.core, col.a_free[:, None])
        if self.command > float(col.a_free.min()):
            col.a_free = np.maximum(col.a_free, self.command)
        return moved

    def _prologue_slots(self, load: ItemLoad) -> npt.NDArray[np.int64]:
        """A slots of the opcode messages: whole slots, and the ring position after them divides into messages."""
        ov, col = self.array.overlay, self.col
        slots = -(-np.asarray(load.prologue_words) * 4 // ov.a_slot)
        slots = slots + -(col.a_pos + slots) % np.asarray(load.a_slots)
        col.a_pos = (col.a_pos + slots + np.asarray(load.a_total)) % ov.a_slots
        return np.asarray(slots, np.int64)

    # ------------------------------------------------------------------ inside an item

    def _steps(self, load: ItemLoad) -> None:
        """The kernel calls of an item in order; arrays (columns, rows)."""
        core, a_free, o_end = self.core, self.col.a_free, self.o_end
        depth_a, depth_o = load.a_depth, load.o_depth
        a_ends: list[Floats] = []
        released: list[Floats] = []
        o_ends: list[Floats] = []
        shared = self.rates.o_shared
        junk_until, o_end = self._skip(load, core, o_end)
        after = np.arange(self.array.rows, 0, -1)
        for s, step in enumerate(load.steps):
            if step.acquires_w:
                core = np.maximum(core, self.weights.arrive())
            if step.acquires_a:
                m = len(a_ends)
                if m >= depth_a:
                    a_free = np.maximum(a_free, released[m - depth_a])
                a_free = a_free + load.a_move[s]
                a_ends.append(a_free)
                core = np.maximum(core, a_free[:, None])
            if step.acquires_o:
                if len(o_ends) == junk_until:
                    core = np.maximum(core, self.junk_end)
                if len(o_ends) >= depth_o:
                    core = np.maximum(core, o_ends[len(o_ends) - depth_o])
            core = core + load.kernel[s]
            if step.releases_a:
                released.append(core.max(axis=1))
            if step.releases_w:
                self.weights.release(core.max(axis=0))
            if step.releases_o:
                move = load.o_move[s]
                if shared:
                    o_end = _shared_end(o_end, core, move, load.o_each * after)
                else:
                    o_end = np.where(move > 0, np.maximum(o_end, core) + move, o_end)
                o_ends.append(o_end)
        self.core, self.col.a_free, self.o_end = core, a_free, o_end


    def _skip(self, load: ItemLoad, core: Floats, o_end: Floats) -> tuple[int, Floats]:
        """Junk that realigns the output rings at the start of an item: the message that must wait for it, its end."""
        slots = self.array.overlay.o_slots
        skip = np.where(load.o_counts > 0, -self.o_pos % load.o_slots, 0)
        self.o_pos = (self.o_pos + skip + load.o_counts * load.o_slots) % slots
        if not skip.any():
            return -1, o_end
        move = skip * self.rates.o_slot
        if self.rates.o_shared:
            ends = np.maximum(o_end, core.min(axis=1, keepdims=True)) + move.sum(axis=1, keepdims=True)
            self.junk_end = np.broadcast_to(ends, core.shape)
        else:
            self.junk_end = np.maximum(o_end, core) + move
        return int((slots - skip.max()) // load.o_slots), self.junk_end


def _shared_end(before: Floats, ready: Floats, move: Floats, work: Floats) -> Floats:
    """End of one message per row on a link that each column's rows share; arrays (columns, rows).

    The link works whenever there is work: with the rows in order of readiness t, everything is done at the largest of
    t[k] + the work of rows k, k+1, ..., and not before all of it is done behind what came ``before``. ``move`` is 0 for
    a row without a message; ``work``: of the last n rows in that order.
    """
    t = np.sort(np.where(move > 0, ready, -np.inf), axis=1)
    end = np.maximum((t + work).max(axis=1), before[:, 0] + move.sum(axis=1))
    return np.broadcast_to(end[:, None], ready.shape)
