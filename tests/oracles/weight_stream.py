"""When weights arrive in the cores: the oracle of tvm_aie/cost/weight_stream.h."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.item_load import Rates
from tvm_aie.emit.overlay import Array

Floats = npt.NDArray[np.float64]


class WeightStream:
    """Arrival of the weight messages of all rows in the core rings, in stream order (terms: ``cost.estimate``).

    Of the messages before the current item only those are kept whose bytes may still lie in a ring.
    """

    def __init__(self, array: Array, rates: Rates, ahead: bool = False) -> None:
        """``ahead``: the rings are full, as the stream has run on since the inference before (``emit.resident``); else
        nothing has been sent."""
        ov = array.overlay
        self.rates = rates
        self.core, self.slot, self.memtile = (
            ov.w_slot * ov.w_slots,
            ov.memtile_w_slot,
            ov.memtile_w_slot * ov.memtile_w_slots,
        )
        # By row and message: bytes of the stream up to its end; by message and row: when the cores released it, when it
        # was there.
        self.ends, self.released, self.arrived = np.zeros((array.rows, 1)), *np.zeros((2, 1, array.rows))
        self.loaded = np.zeros(array.rows)
        if ahead:
            self.loaded -= (self.core + self.memtile) * rates.loadw
            self.arrived -= self.core * rates.w
        self.next = 0

    def begin(self, sizes: Floats) -> None:
        """The messages of the next item: bytes, (rows, messages)."""
        old = self.ends[:, : self.next + 1]
        keep = int((old[:, -1:] - old <= self.core + self.memtile + self.slot).all(axis=0).argmax())
        self.ends = np.concatenate([old[:, keep:], old[:, -1:] + np.cumsum(sizes, axis=1)], axis=1)
        more = np.zeros(sizes.T.shape)
        self.released = np.concatenate([self.released[keep : self.next + 1], more])
        self.arrived = np.concatenate([self.arrived[keep : self.next + 1], more])
        self.first = self.next = self.ends.shape[1] - 1 - sizes.shape[1]
        self._terms(sizes)

    def _terms(self, sizes: Floats) -> None:
        """What ``arrive`` needs of each message: arrays (messages, rows), indices into flat (messages, rows)."""
        ends, rates, slot = self.ends, self.rates, self.slot
        new, before = ends[:, self.first + 1 :], ends[:, self.first : -1]
        filled, filled_before = np.ceil(new / slot) * slot, np.ceil(before / slot) * slot
        rows = np.arange(len(ends))
        self.move = (sizes * rates.w).T
        self.into_memtile = ((filled - filled_before) * rates.loadw).T
        self.last_slot = ((new - (np.ceil(new / slot) - 1) * slot) * rates.w).T
        # The core ring: the two releases that can hold a message up, and the time that it needs after each.
        need = new - self.core
        at = self._index(need)
        after, rests = [], []
        for back in (0, 1):
            i = np.maximum(at - back, 0)
            rest = np.minimum(need - np.take_along_axis(ends, np.maximum(i - 1, 0), 1), sizes)
            after.append(i.T * len(ends) + rows)
            rests.append((np.where((i > 0) & (need > 0), np.maximum(rest, 0), 0) * rates.w).T)
        self.after, self.rests = np.stack(after, axis=1), np.stack(rests, axis=1)
        # The memtile ring: when byte ``filled - ring`` has left; by message, minus what the message sends after it.
        gone = filled - self.memtile
        left = self._index(gone)
        early = (np.take_along_axis(ends, left, 1) - gone) * rates.w
        blocked = gone > 0
        self.any_blocked: list[bool] = np.asarray(blocked.any(axis=0)).tolist()
        known = self.first + np.arange(new.shape[1])  # a message is not there before those in front of it
        self.left_at = np.minimum(left, known).T * len(ends) + rows
        self.left_early = np.where(blocked, early, np.inf).T
        self.refill = slot * rates.loadw

    def _index(self, need: Floats) -> npt.NDArray[np.int64]:
        """First message of each row whose end is at least ``need``; 0 where nothing is needed."""
        at = np.stack([np.searchsorted(e, x, "left") for e, x in zip(self.ends, need, strict=True)])
        return np.where(need > 0, np.minimum(at, self.ends.shape[1] - 1), 0)

    def arrive(self) -> Floats:
        """Time at which the next message of each row is complete in the cores."""
        j, k = self.next, self.next - self.first
        self.next = j + 1
        loaded = self.loaded + self.into_memtile[k]
        if self.any_blocked[k]:
            left = self.arrived.take(self.left_at[k]) - self.left_early[k]
            loaded = np.maximum(loaded, left + self.refill)
        self.loaded = loaded
        t = np.maximum(self.arrived[j] + self.move[k], loaded + self.last_slot[k])
        later = self.released.take(self.after[k]) + self.rests[k]
        t = np.maximum(np.maximum(t, later[0]), later[1])
        self.arrived[j + 1] = t
        return np.asarray(t, np.float64)

    def release(self, t: Floats) -> None:
        """The message that arrived last is released by the cores of each row at ``t``."""
        self.released[self.next] = t
