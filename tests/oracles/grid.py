"""The search over divisions of core memory in numpy, all pairs at once: the oracle of tvm_aie/cost/grid.h."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tvm_aie.schedule.estimate import single_slot_waits
from tvm_aie.schedule.geometry import ACC_ALIGN, CORE_MEMORY, DEFAULT_OVERLAY, MOST_SLOTS, WORD, Overlay
from tvm_aie.schedule.grid import Candidates, Grid
from tvm_aie.schedule.rings import (
    A_ALIGN,
    A_SLOTS,
    FEW,
    FEW_CHUNKS,
    O_ALIGN,
    O_SLOTS,
    RINGS,
    Divisions,
    Fitted,
)
from tvm_aie.schedule.terms import copy_cycles

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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
        return Rings(*np.array([[getattr(ov, name) for name in RINGS] for ov in divisions], np.int64).T)

    def take(self, rows: Ints) -> Rings:
        """Some of the divisions, any number of times."""
        return Rings(*(column[rows] for column in self))

    def at(self, row: int) -> tuple[int, ...]:
        """One of them."""
        return tuple(int(column[row]) for column in self)


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


def pairs(fitted: Fitted, c: Candidates) -> tuple[Ints, Ints, Rings]:
    """Candidates with divisions that they fit: numbers of the division and of the candidate, and the division."""
    hdr, ring = DEFAULT_OVERLAY.hdr_bytes, fitted.w_slot * fitted.w_slots
    fixed = hdr + DEFAULT_OVERLAY.ops_bytes + DEFAULT_OVERLAY.guard_bytes + ring + ACC_ALIGN
    acc = -(-np.maximum(c.acc_bytes, c.kept) // ACC_ALIGN) * ACC_ALIGN
    room = CORE_MEMORY - fixed - acc
    fits = (c.w_message <= ring) & (c.header <= hdr)
    found: list[tuple[Ints, Ints, list[Ints]]] = []
    for number, (a_slot, a_slots, o_slot, o_slots, ok) in enumerate(_rings(fitted, c, room)):
        row = (ok & fits & (a_slot * a_slots + o_slot * o_slots <= room)).nonzero()[0]
        same = [np.full(len(row), x) for x in (fitted.w_slot, fitted.w_slots, hdr)]
        columns = [a_slot[row], a_slots[row], same[0], same[1], o_slot[row], o_slots[row], acc[row], same[2]]
        found.append((np.full(len(row), number), row, columns))
    numbers, rows = (np.concatenate([f[k] for f in found]) for k in (0, 1))
    return numbers, rows, Rings(*(np.concatenate(columns) for columns in zip(*(f[2] for f in found), strict=True)))


def _rings(fitted: Fitted, c: Candidates, room: Ints) -> Iterator[tuple[Ints, Ints, Ints, Ints, Bools]]:
    """For each candidate rings of activations and of outputs, and whether there are such."""
    a = Slots(c.a_bytes, A_ALIGN, A_SLOTS, DEFAULT_OVERLAY.ops_bytes)
    inputs = np.where(c.resident > 0, 1, c.outputs * c.n_ck)
    if fitted.o_ring is not None:
        slot, slots = (np.full(len(room), x) for x in fitted.o_ring)
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


class _Messages(NamedTuple):
    """Of candidates: slots of an activation and of an output message, output messages per pass and piece; cycles of an
    activation message with filler and without, and of a call; output slots over the rate of their link or of all."""

    a_slots: Ints
    o_slots: Ints
    blocks: Ints
    a: Floats
    one: Floats
    call: Floats
    sent: Floats


def fits(c: Candidates, ov: Rings) -> npt.NDArray[np.bool_]:
    fits = (c.a_bytes <= ov.a_slot * ov.a_slots) & (c.o_bytes <= ov.o_slot * ov.o_slots)
    fits &= (np.maximum(c.acc_bytes, c.kept) <= ov.acc_bytes) & (c.header <= ov.hdr_bytes)
    return np.asarray(fits & (c.w_message <= ov.w_slot * ov.w_slots))


def _messages(grid: Grid, load: Candidates, ov: Rings) -> _Messages:
    terms, calls = grid.terms, load.outputs * load.n_ck
    a_slots, o_slots = -(-load.a_bytes // ov.a_slot), -(-load.o_bytes // ov.o_slot)
    slot, blocks = ov.a_slot / WORD / terms.a_rate, np.asarray(np.where(load.single > 0, load.nob, 1))
    own, shared = (
        load.outputs * blocks * o_slots / terms.o_rate,
        _sent(grid, load, o_slots, ov.o_slot) / terms.o_link,
    )
    a, one = _with_filler(a_slots, ov.a_slots, calls) * slot, np.asarray(a_slots * slot, np.float64)
    return _Messages(a_slots, o_slots, blocks, a, one, np.asarray(load.compute / calls), np.maximum(own, shared))


def _whole(grid: Grid, body: Floats, load: Candidates, ov: Rings) -> Floats:
    """With the input that is kept, weights that the ring does not hold twice, and the opcode message."""
    terms, slot = grid.terms, ov.a_slot / WORD / grid.terms.a_rate
    kept = -(-load.kept // ov.a_slot)
    if kept.any():
        copy = np.array([copy_cycles(terms, int(size)) for size in ov.a_slot])
        body = body + np.where(kept > 0, kept * np.maximum(slot, copy) + copy, 0.0)
    messages, excess = (
        np.where(load.n_ck > 1, load.outputs * load.n_ck, load.n_pass),
        2 * load.w_message - ov.w_slot * ov.w_slots,
    )
    body = body + np.where(messages > 1, (messages - 1) * np.maximum(0, excess) / WORD / terms.w_rate, 0.0)
    return np.asarray(np.maximum(body, load.weights / WORD / terms.w_rate) + slot)


def cycles(grid: Grid, load: Candidates, ov: Rings) -> Floats:
    """``schedule.estimate.pipeline_cycles`` of every candidate."""
    resident, outputs, n = load.resident > 0, load.outputs, load.n_ck
    a_slots, o_slots, blocks, a, one, c, sent = _messages(grid, load, ov)
    calls = outputs * n
    junk = _with_filler(o_slots, ov.o_slots, outputs) / np.maximum(o_slots, 1)
    outputs_total = ov.o_slot / WORD * junk * sent
    o = outputs_total / outputs
    body = np.maximum(a + load.compute + o, a + n * c + outputs_total)
    ring = o * ov.o_slots / np.maximum(o_slots * blocks, 1)
    between = np.maximum(o, (n - 1) * c + np.maximum(c, o - ring))
    last = np.maximum(c + o / blocks, c / blocks + o)
    body = np.where(load.single > 0, a + (outputs - 1) * between + (n - 1) * c + last, body)
    drain = o / blocks
    single_a = (2 * a_slots > ov.a_slots) & ~resident
    single_o = (2 * o_slots > ov.o_slots) & (load.single == 0)
    body = np.where(resident, body, np.maximum(body, calls * a + c + drain))
    # Each pass takes the whole input, and the last one may compute less than it takes to send that.
    most = grid.block_rows[0][1] - grid.block_rows[0][0]
    whole, each = a * calls / load.n_pass, load.compute / max(most, 1)
    full, rest = load.n_pass - 1, most - (load.n_pass - 1) * load.nob
    ragged = full * np.maximum(whole, each * load.nob) + np.maximum(whole, each * rest) + np.minimum(a, c) + drain
    body = np.where(resident, body, np.maximum(body, ragged))
    body = np.where(single_a, np.maximum(body, calls * (one + np.maximum(c, a - one)) + drain), body)
    waits = single_slot_waits(single_a, one, a, c, o, o / junk, outputs, n)
    body = np.where(single_o, np.maximum(body, waits), body)
    return _whole(grid, body, load, ov)


def flowing(grid: Grid, load: Candidates, ov: Rings) -> Floats:
    """Every candidate between items that overlap with it: its input begins when the cores are done with the item
    before, while that one's outputs drain, and it ends when the cores are done."""
    resident, outputs, n = load.resident > 0, load.outputs, load.n_ck
    a_slots, o_slots, blocks, a, one, c, sent = _messages(grid, load, ov)
    calls = outputs * n
    o = ov.o_slot / WORD * sent / outputs
    ring = o * ov.o_slots / np.maximum(o_slots * blocks, 1)
    # A core waits while the ring does not take what it has computed.
    cores = a + outputs * ((n - 1) * c + np.maximum(c, o - ring))
    single_o = (2 * o_slots > ov.o_slots) & (load.single == 0)
    cores = np.where(single_o, np.maximum(cores, a + outputs * np.maximum(n * c, o)), cores)
    body = np.maximum(cores, outputs * o)
    single_a = (2 * a_slots > ov.a_slots) & ~resident
    body = np.where(resident, body, np.maximum(body, calls * a + c))
    body = np.where(single_a, np.maximum(body, calls * (one + np.maximum(c, a - one))), body)
    return _whole(grid, body, load, ov)


def _sent(grid: Grid, c: Candidates, o_slots: Ints, slot: Ints) -> Floats:
    """Output slots that the cores of a column send."""
    total = np.zeros(len(o_slots))
    for first, last in grid.block_rows:
        full, rest = np.divmod(last - first, np.where(c.single > 0, 1, c.nob))
        total += full * o_slots + -(-rest * c.o_block // slot)
    return total * c.n_x * c.n_b


def _with_filler(size: Ints, ring: Ints, messages: Ints) -> Floats:
    """``schedule.estimate.slots_with_filler``; messages that do not fit count as if they just did."""
    fit = np.maximum(ring // np.maximum(size, 1), 1)
    turns = -(-messages // fit) - 1
    return np.asarray(size + turns * (ring - fit * size) / messages)


def found(grid: Grid, divisions: Divisions, between: bool) -> tuple[Ints, Ints, Rings, Floats]:
    """All candidates with the divisions that they fit, by division, then row: numbers of both, the division, cycles.

    ``between``: items that overlap.
    """
    c = grid.candidates
    if isinstance(divisions, Fitted):
        number, row, rings = pairs(divisions, c)
    else:
        listed = Rings.of(divisions)
        number, row = fits(c, Rings(*(column[:, None] for column in listed))).nonzero()
        rings = listed.take(number)
    return number, row, rings, (flowing if between else cycles)(grid, c.take(row), rings)
