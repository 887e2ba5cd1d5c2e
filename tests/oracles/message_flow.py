"""The recurrence inside items in plain Python: the oracle of ``cost.message_flow``, double for double."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracles.item_run import ItemRun, last_sent
from oracles.link import Marks, OwnLinks, SharedLinks
from oracles.ring_plan import RingPlan, ring_plan
from oracles.weight_stream import WeightStream
from tvm_aie.cost.item_load import ItemLoad, Rates
from tvm_aie.emit.division import Staying
from tvm_aie.emit.overlay import Array

Floats = npt.NDArray[np.float64]


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


class MessageFlow:
    """As ``cost.message_flow.MessageFlow``, of loads as they are."""

    def __init__(self, array: Array, rates: Rates, ahead: bool) -> None:
        self.array, self.rates, n = array, rates, array.cols
        self.a_free = np.zeros(n)  # the activation channels
        self.a_pos = np.zeros(n, np.int64)  # ring position in slots
        self.core = np.zeros((n, array.rows))
        self.a_slots = 0  # of the last activation message
        self.head = np.zeros(n, np.int64)  # A slots of the opcode message
        self.o_end = np.zeros((n, array.rows))
        self.o_pos = np.zeros((n, array.rows), np.int64)
        self.a_ring = _empty(n)
        # The output links while a lagging item follows, and what they had of each item; of others, when its data had
        # arrived (by column), and when everything had.
        self.out: SharedLinks | OwnLinks | None = None
        self.marks: dict[int, _Sent] = {}
        self.known: dict[int, Floats] = {}
        self.ends: dict[int, float] = {}
        self.items = 0
        self.weights = WeightStream(array, self.rates, ahead)

    def copy(self) -> MessageFlow:  # arrays are replaced, never written
        other = copy(self)
        other.weights = self.weights.copy()
        other.out = self.out and self.out.copy()
        other.marks, other.known, other.ends = dict(self.marks), dict(self.known), dict(self.ends)
        return other

    def ended(self, item: int) -> float:
        return self.ends.get(item, 0.0)

    def done(self, item: int) -> Floats:
        if item in self.marks and self.out is not None:
            return self.marks[item].data(self.out)
        return self.known[item]

    def delay(self, end: float) -> None:
        self.o_end = np.maximum(self.o_end, end)
        self.known[self.items - 1] = np.maximum(self.known[self.items - 1], end)
        self.ends[self.items - 1] = max(self.ends[self.items - 1], end)

    def opcodes(self, load: ItemLoad, begin: Floats | None = None) -> Floats:
        ov = self.array.overlay
        self.head = self._prologue_slots(load)
        begin = self.a_free if begin is None else begin
        beside = self.a_slots + self.head <= ov.a_slots  # the last of the activations before
        begin = np.where(beside, begin, np.maximum(begin, self.core.max(axis=1)))
        self.a_slots = load.a_slots
        return np.asarray(begin + self.head * self.rates.a_slot, np.float64)

    def _prologue_slots(self, load: ItemLoad) -> npt.NDArray[np.int64]:
        """A slots of the opcode messages: whole slots and, if aligned, up to a multiple of the item's messages."""
        ov = self.array.overlay
        slots = -(-np.asarray(load.prologue_words) * 4 // ov.a_slot)
        if load.aligned:
            skip = -(self.a_pos + slots + np.array(load.kept)) % load.a_slots
            slots = slots + np.where(np.asarray(load.a_counts) > 0, skip, 0)
        self.a_pos = (self.a_pos + slots) % ov.a_slots
        return np.asarray(slots, np.int64)

    def run(self, load: ItemLoad, ready: Floats, command: float, lag: bool, stays: Staying, follows: bool) -> None:
        self.a_free = ready
        self._divide(load, lag, stays)
        self.core = np.maximum(self.core, self.a_free[:, None])
        self.a_free = np.maximum(self.a_free, command)
        self._item(self.items, load)
        self.items += 1
        if not follows:
            self._close()

    def _divide(self, load: ItemLoad, lag: bool, stays: Staying) -> None:
        """The rings that the item lays out begin behind its opcode message, empty; the others go on."""
        if load.divided is not None:
            self.array, self.rates = load.divided
            if not stays.a:
                self.a_free = np.maximum(self.a_free, self.core.max(axis=1))
            if not stays.o:
                self._close()
                self.a_free = np.maximum(self.a_free, self.o_end.max(axis=1))
            if not stays.a:
                self.a_pos = np.zeros_like(self.a_pos)
            if not stays.o:
                self.o_pos = np.zeros_like(self.o_pos)
        if not (lag and stays.a):  # behind a full barrier the rings are empty
            self.a_ring = _empty(*self.a_ring.sizes.shape[1:])
        else:
            self.a_ring = self.a_ring.then(self.head[None], self.core.max(axis=1)[None], self.array.overlay.a_slots)

    def _close(self) -> None:
        """The output links send all that they have, and nothing comes in between."""
        if self.out is not None:
            self.o_end = self.out.finish()
            for i, sent in self.marks.items():
                self.known[i] = sent.data(self.out)
                self.ends[i] = float(self.out.ended(sent.all).max())
            self.out, self.marks = None, {}

    def _a_plan(self, load: ItemLoad) -> list[RingPlan]:
        """Where activation messages lie, by column."""
        plans = [
            ring_plan(int(p), tuple(sizes.tolist()), self.array.overlay.a_slots, tuple(before.tolist()))
            for p, sizes, before in zip(self.a_pos, load.a_sizes.T, self.a_ring.sizes.T, strict=True)
        ]
        self.a_pos = np.array([p.position for p in plans], np.int64)
        return plans

    def _item(self, i: int, load: ItemLoad) -> None:
        """The kernel calls of item ``i``."""
        if self.out is None:
            self.out = (SharedLinks if self.rates.o_shared else OwnLinks)(self.o_end)
        if load.aligned:
            for (c, r), skip in np.ndenumerate(self._skip(load)):
                if skip > 0:
                    self.out.send(c, r, float(self.core[c, r]), int(skip), self.rates.o_slot, 0.0)
        self.weights.begin(load.w_bytes.astype(np.float64))
        a_plan = self._a_plan(load)
        run = ItemRun(self, load, a_plan)
        run.run()
        self.core, self.o_pos = np.array(run.core), np.array(run.o_pos)
        if len(load.a_sizes):
            self.a_free = np.array([times[-1] for times in run.arrived])
        self.marks[i] = _Sent(self.out.mark(), self.out.data(), last_sent(load) >= 0)
        ov = self.array.overlay
        a_sizes = load.a_sizes + np.array([p.filler for p in a_plan], np.int64).T
        released = np.array([[max(times) for times in column] for column in run.released]).reshape(a_sizes.T.shape).T
        self.a_ring = self.a_ring.then(a_sizes, released, ov.a_slots)

    def _skip(self, load: ItemLoad) -> npt.NDArray[np.int64]:
        """Slots of junk that align the output rings at the start of an item."""
        skip = np.where(load.o_sizes.any(axis=0), -self.o_pos % load.o_slots, 0)
        self.o_pos = (self.o_pos + skip) % self.array.overlay.o_slots
        return skip
