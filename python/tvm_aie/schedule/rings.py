"""Divisions of core memory as columns of numbers, and those that the messages of a tiling fill (idealised machines).

A message takes whole slots of its ring, and begins at the start of the ring where it does not fit before its end. What
is left in its last slot, and at the ring's end, is sent for nothing. So a ring has as many slots as some whole messages
have, of a size of which a message needs the fewest bytes:

    49 pixels of a block, 392 bytes     4 slots of 128 bytes: 23 % for nothing      1 slot of 400: 2 %
    messages of 11 slots, ring of 24    2 slots of 24 for nothing                   ring of 22: none

Fitted are the messages of the core row with most output blocks; those of the others may leave more of a slot. Beside
the weight ring, which serves the whole network, and a tiling's partial sums, what is left of core memory is for the
rings of activations and outputs: one has few messages, the other takes the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from tvm_aie.schedule.geometry import ACC_ALIGN, CORE_MEMORY, DEFAULT_OVERLAY, MOST_SLOTS, Overlay

if TYPE_CHECKING:
    from tvm_aie.schedule.grid import Candidates

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Ring = tuple[int, int]  # bytes of a slot, slots

# Bytes. More than kernels need, which read and write pixels of 8 bytes wherever they lie (``kernels/conv_kernel.inc``).
A_ALIGN, O_ALIGN = 32, 16
# Least and largest slots. The filler of an opcode message counts on a slot with room for a word of each lock of a
# barrier. And an item's opcodes take a slot, for which the memtiles have room in their region (``emit.memtile``).
# Of outputs they are not below npu1's 112 bytes.
A_SLOTS, O_SLOTS = (256, 512), (112, 512)
FEW = (2, 3, 4, 1, 6, 8, 12)  # messages of the ring that has few
# Chunks of the input channels up to which outputs that are sent block by block leave most of the time. With a ring for
# fewer blocks than a pass has, a core row with more blocks than the others waits for its share of the column's link.
# The recurrence sees that (tvm_aie/cost/item_run.h), the closed form does not, and it chooses the few tilings that the
# recurrence compares. Without this VGG16 at 50 % on wbs-2x2 takes 1.0014 of its cycles (emulated).
FEW_CHUNKS = 4


class Rings(NamedTuple):
    """Divisions of core memory, of which the weight slot is one: fields as ``Overlay``'s, a column each."""

    a_slot: Ints
    a_slots: Ints
    w_slot: Ints
    w_slots: Ints
    o_slot: Ints
    o_slots: Ints
    acc_bytes: Ints
    hdr_bytes: Ints

    @staticmethod
    def of(divisions: Sequence[Overlay]) -> Rings:
        """One row for each division."""
        return Rings(*np.array([[getattr(ov, name) for name in Rings._fields] for ov in divisions], np.int64).T)

    def take(self, rows: Ints) -> Rings:
        """Some of the divisions, any number of times."""
        return Rings(*(column[rows] for column in self))

    def at(self, row: int) -> tuple[int, ...]:
        """One of them."""
        return tuple(int(column[row]) for column in self)


def overlay_of(rings: tuple[int, ...]) -> Overlay:
    """The division of a row of ``Rings``."""
    return replace(DEFAULT_OVERLAY, **dict(zip(Rings._fields, rings, strict=True)))


class Slots:
    """The ways in which messages of some bytes fill slots: arrays (sizes of a slot, messages)."""

    def __init__(self, messages: Ints, align: int, ends: tuple[int, int], least: int = 0) -> None:
        """``messages``: bytes of each; ``align``, ``ends``: what the size of a slot is a multiple of, the least and the
        largest; ``least``: bytes of a ring."""
        self.least = least
        self.sizes = np.arange(ends[1], ends[0] - 1, -align)
        self.parts = np.maximum(-(-messages // self.sizes[:, None]), 1)
        self.bytes = self.parts * self.sizes[:, None]

    @staticmethod
    def of(message: int, align: int, ends: tuple[int, int], least: int = 0) -> Slots:
        """The ways of messages that have all the same bytes."""
        return Slots(np.array([message]), align, ends, least)

    def ring(self, room: int, most: int) -> Ring | None:
        """``within`` of the first kind of message alone; None where there is none."""
        slot, slots, _, ok = self.within(np.array([room]), np.array([most]))
        return (int(slot[0]), int(slots[0])) if ok[0] else None

    def exactly(self, count: int | Ints) -> tuple[Ints, Ints, Ints, Bools]:
        """Rings of so many messages in the fewest bytes: (slot, slots, bytes, whether there is one)."""
        ok = (self.parts * count <= MOST_SLOTS) & (self.bytes * count >= self.least)
        return self._picked(np.where(ok, -self.bytes, -(1 << 40)), count, ok)

    def within(self, room: Ints, most: Ints) -> tuple[Ints, Ints, Ints, Bools]:
        """Likewise of as many messages as ``room`` bytes hold, at most ``most``."""
        most = np.maximum(most, -(-self.least // self.bytes))
        count = np.minimum(np.minimum(room // self.bytes, MOST_SLOTS // self.parts), most)
        ok = (count > 0) & (count * self.bytes >= self.least)
        score = np.where(ok, count * (1 << 20) - self.bytes, -(1 << 40))
        return self._picked(score, count, ok)

    def _picked(self, score: Ints, count: int | Ints, ok: Bools) -> tuple[Ints, Ints, Ints, Bools]:
        best = score.argmax(axis=0)  # of equal ones the largest slots
        at = best, np.arange(score.shape[1])
        many = np.broadcast_to(count, score.shape)[at]
        return self.sizes[best], self.parts[at] * many, self.bytes[at] * many, ok[at]


@dataclass(frozen=True)
class Fitted:
    """All divisions with one weight ring whose rings of activations and outputs a candidate's messages fill.

    ``o_ring``: that of outputs where it is given, since items share it; None: fitted, too.
    """

    w_slot: int
    w_slots: int
    o_ring: Ring | None = None

    def pairs(self, c: Candidates) -> tuple[Ints, Ints, Rings]:
        """Candidates with divisions that they fit: numbers of the division and of the candidate, and the division."""
        hdr, ring = DEFAULT_OVERLAY.hdr_bytes, self.w_slot * self.w_slots
        fixed = hdr + DEFAULT_OVERLAY.ops_bytes + DEFAULT_OVERLAY.guard_bytes + ring + ACC_ALIGN
        acc = -(-np.maximum(c.acc_bytes, c.kept) // ACC_ALIGN) * ACC_ALIGN
        room = CORE_MEMORY - fixed - acc
        fits = (c.w_message <= ring) & (c.header <= hdr)
        found: list[tuple[Ints, Ints, list[Ints]]] = []
        for number, (a_slot, a_slots, o_slot, o_slots, ok) in enumerate(self._rings(c, room)):
            row = (ok & fits & (a_slot * a_slots + o_slot * o_slots <= room)).nonzero()[0]
            same = [np.full(len(row), x) for x in (self.w_slot, self.w_slots, hdr)]
            columns = [a_slot[row], a_slots[row], same[0], same[1], o_slot[row], o_slots[row], acc[row], same[2]]
            found.append((np.full(len(row), number), row, columns))
        numbers, rows = (np.concatenate([f[k] for f in found]) for k in (0, 1))
        return numbers, rows, Rings(*(np.concatenate(columns) for columns in zip(*(f[2] for f in found), strict=True)))

    def _rings(self, c: Candidates, room: Ints) -> Iterator[tuple[Ints, Ints, Ints, Ints, Bools]]:
        """For each candidate rings of activations and of outputs, and whether there are such."""
        a = Slots(c.a_bytes, A_ALIGN, A_SLOTS, DEFAULT_OVERLAY.ops_bytes)
        inputs = np.where(c.resident > 0, 1, c.outputs * c.n_ck)
        if self.o_ring is not None:
            slot, slots = (np.full(len(room), x) for x in self.o_ring)
            a_slot, a_slots, _, ok = a.within(room - slot * slots, inputs)
            yield a_slot, a_slots, slot, slots, ok & (c.o_bytes <= slot * slots)
            return
        o = Slots(c.o_bytes, O_ALIGN, O_SLOTS)
        outputs = c.outputs * np.where(c.single > 0, c.nob, 1)
        least = np.where((c.single > 0) & (c.n_ck <= FEW_CHUNKS), np.minimum(c.nob, outputs), 1)
        # Of rings that are equally fast in closed form the first are taken, with most activations: pieces of uneven
        # work wait for each other in a short ring.
        for few in (*FEW, c.nob):
            o_slot, o_slots, taken, ok = o.exactly(few)
            a_slot, a_slots, _, fits = a.within(room - taken, inputs)
            yield a_slot, a_slots, o_slot, o_slots, ok & fits & (few <= outputs) & (few >= least)
        for count in FEW:
            a_slot, a_slots, taken, ok = a.exactly(count)
            o_slot, o_slots, _, fits = o.within(room - taken, outputs)
            fits &= (count <= np.maximum(inputs, 1)) & (o_slots // -(-c.o_bytes // o_slot) >= least)
            yield a_slot, a_slots, o_slot, o_slots, ok & fits


Divisions = tuple[Overlay, ...] | Fitted
