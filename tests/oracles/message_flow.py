"""The recurrence inside items in plain Python: the oracle of ``cost.message_flow``, double for double."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from oracles.link import Marks, OwnLinks, SharedLinks
from oracles.ring_plan import ring_plan
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
        self.a_ring, self.o_ring = _empty(n), _empty(n, array.rows)
        # The output links while a lagging item follows, and what they had of each item; of others, when its data had
        # arrived (by column), and when everything had.
        self.out: SharedLinks | OwnLinks | None = None
        self.marks: dict[int, _Sent] = {}
        self.known: dict[int, Floats] = {}
        self.ends: dict[int, float] = {}
        self.items = 0
        self.weights = WeightStream(array, self.rates, ahead)

    def copy(self) -> MessageFlow:  # arrays are replaced, never written, except those of ``WeightStream``
        other = copy(self)
        other.weights = copy(self.weights)
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
        self._steps(self.items, load)
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
        if not (lag and stays.o):
            self.o_ring = _empty(*self.o_ring.sizes.shape[1:])

    def _close(self) -> None:
        """The output links send all that they have, and nothing comes in between."""
        if self.out is not None:
            self.o_end = self.out.finish()
            for i, sent in self.marks.items():
                self.known[i] = sent.data(self.out)
                self.ends[i] = float(self.out.ended(sent.all).max())
            self.out, self.marks = None, {}

    def _a_plan(self, load: ItemLoad) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
        """Filler slots before each activation message, and the message that it waits for: (messages, columns).

        Last: cycles that it needs after that release, and after the release before: (messages, 2, columns).
        """
        plans = [
            ring_plan(int(p), tuple(sizes.tolist()), self.array.overlay.a_slots, tuple(before.tolist()))
            for p, sizes, before in zip(self.a_pos, load.a_sizes.T, self.a_ring.sizes.T, strict=True)
        ]
        self.a_pos = np.array([p.position for p in plans], np.int64)
        late = np.array([p.late for p in plans]).reshape(len(plans), -1, 2).transpose(1, 2, 0) * self.rates.a_slot
        return np.array([p.filler for p in plans], np.int64).T, np.array([p.needs for p in plans], np.int64).T, late

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
        core, a_free = self.core, self.a_free
        out = self._links(len(load.o_sizes))
        number = out.count - len(self.o_ring.sizes)  # of the first message that the O ring may hold
        if load.aligned:
            out.junk(core, self._skip(load))
        self.weights.begin(load.w_bytes.astype(np.float64))
        a_skipped, a_needs, a_late = self._a_plan(load)
        o_skipped, o_needs = self._o_plan(load)
        a_filler = a_skipped * self.rates.a_slot
        o_move, o_rest = load.o_sizes * self.rates.o_slot, load.o_rest * self.rates.o_slot
        last = _last_sent(load)
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
        for locks, kernel, a_move in zip(load.locks.tolist(), load.kernel, load.a_move, strict=True):
            takes_a, takes_w, takes_o, gives_a, gives_w, gives_o = locks
            if takes_w:
                core = np.maximum(core, self.weights.arrive())
            if takes_a:
                a_free = a_free + a_filler[m] + a_move
                if a_waits[m]:
                    gone = released.take(a_awaited[m]) + a_late[m]
                    a_free = np.maximum(np.maximum(a_free, gone[0]), gone[1])
                core = np.maximum(core, a_free[:, None])
                m += 1
            if takes_o:
                if o_fills[q]:
                    core = self._fill(out, core, o_skipped[q], load.o_sizes[q])
                if o_waits[q]:
                    core = np.maximum(core, out.ends(o_awaited[q]))
            core = core + kernel
            if gives_a:
                n_released += 1
                greatest(core, axis=1, out=released[n_released])
            if gives_w:
                self.weights.release(greatest(core, axis=0))
            if gives_o:
                ends = last == q
                out.send(core, o_move[q], np.where(ends, o_rest, 0.0) if ends.any() else None)
                q += 1
        self.core, self.a_free = core, a_free
        self.marks[i] = _Sent(out.mark(), out.data(), last >= 0)
        ov, o_sizes = self.array.overlay, load.o_sizes + o_skipped
        self.a_ring = self.a_ring.then(load.a_sizes + a_skipped, released[held + 1 :], ov.a_slots)
        self.o_ring = self.o_ring.then(o_sizes, np.zeros(o_sizes.shape[:2]), ov.o_slots)

    def _skip(self, load: ItemLoad) -> Floats:
        """Junk that aligns the output rings at the start of an item, in cycles of the link."""
        skip = np.where(load.o_sizes.any(axis=0), -self.o_pos % load.o_slots, 0)
        self.o_pos = (self.o_pos + skip) % self.array.overlay.o_slots
        return skip * self.rates.o_slot


def _last_sent(load: ItemLoad) -> npt.NDArray[np.int64]:
    """The last output message of each core, (columns, rows); -1: it has none."""
    sent = load.o_sizes > 0
    if not len(sent):
        return np.full(load.o_rest.shape, -1, np.int64)
    return np.where(sent.any(axis=0), len(sent) - 1 - sent[::-1].argmax(axis=0), -1)
