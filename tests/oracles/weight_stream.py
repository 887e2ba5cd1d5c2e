"""When weights arrive in the cores: the oracle of tvm_aie/cost/weight_stream.h."""

from __future__ import annotations

from bisect import bisect_left
from copy import copy
from math import ceil

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.item_load import Rates
from tvm_aie.emit.overlay import Array


class _Row:
    """The messages of a core row; nothing is forgotten. Message 0 stands for what came before all."""

    def __init__(self) -> None:
        self.ends, self.arrived = [0.0], [0.0]  # bytes of the stream up to a message's end; when it was there
        self.released: list[list[float]] = [[]]  # when each core released it
        self.loaded = 0.0

    def copy(self) -> _Row:
        other = copy(self)
        other.ends, other.arrived = list(self.ends), list(self.arrived)
        other.released = [list(times) for times in self.released]
        return other

    def index(self, need: float) -> int:
        """First message whose end is at least ``need``; 0 where nothing is needed."""
        return min(bisect_left(self.ends, need), len(self.ends) - 1) if need > 0 else 0


class WeightStream:
    """Arrival of the weight messages of all rows in the core rings, in stream order (terms: ``cost.estimate``)."""

    def __init__(self, array: Array, rates: Rates, ahead: bool = False) -> None:
        """``ahead``: the rings are full, as the stream has run on since the inference before (``emit.resident``); else
        nothing has been sent."""
        ov = array.overlay
        self.rates, self.cols = rates, array.cols
        self.core, self.slot = ov.w_slot * ov.w_slots, ov.memtile_w_slot
        self.memtile = ov.memtile_w_slot * ov.memtile_w_slots
        self.rows = [_Row() for _ in range(array.rows)]
        if ahead:
            for row in self.rows:
                row.loaded -= (self.core + self.memtile) * rates.loadw
                row.arrived[0] -= self.core * rates.w
        self.first = 0  # the last message before the item

    def copy(self) -> WeightStream:
        other = copy(self)
        other.rows = [row.copy() for row in self.rows]
        return other

    def begin(self, sizes: npt.NDArray[np.float64]) -> None:
        """The messages of the next item: bytes, (rows, messages)."""
        self.first = len(self.rows[0].arrived) - 1
        for row, more in zip(self.rows, sizes.tolist(), strict=True):
            before, total = row.ends[self.first], 0.0
            row.ends, row.released = row.ends[: self.first + 1], row.released[: self.first + 1]
            for size in more:
                total += size
                row.ends.append(before + total)
                row.released.append([])

    def arrive(self, r: int, message: int) -> float | None:
        """When a row's message of the item is complete in the cores; None: it waits for a release."""
        row, rates = self.rows[r], self.rates
        while len(row.arrived) <= self.first + 1 + message:
            k = len(row.arrived)
            begin, end = row.ends[k - 1], row.ends[k]
            need = end - self.core
            overwritten = range(row.index(begin - self.core) + 1, row.index(need) + 1)
            if any(len(row.released[i]) < self.cols for i in range(self.first + 1, row.index(need) + 1)):
                return None
            t = max(row.arrived[k - 1] + (end - begin) * rates.w, self._loaded(row, k))
            for i in overwritten:
                t = max(t, max(row.released[i]) + (need - row.ends[i - 1]) * rates.w)
            row.arrived.append(t)
        return row.arrived[self.first + 1 + message]

    def _loaded(self, row: _Row, k: int) -> float:
        """When the memtile's last slot of message ``k`` has arrived there and left for the cores."""
        rates, slot, end = self.rates, self.slot, row.ends[k]
        slots = ceil(end / slot)
        row.loaded += (slots * slot - ceil(row.ends[k - 1] / slot) * slot) * rates.loadw
        gone = slots * slot - self.memtile
        if gone > 0:
            left = row.index(gone)
            early = (row.ends[left] - gone) * rates.w
            row.loaded = max(row.loaded, (row.arrived[min(left, k - 1)] - early) + slot * rates.loadw)
        return row.loaded + (end - (slots - 1) * slot) * rates.w

    def release(self, r: int, message: int, t: float) -> bool:
        """A core of the row releases a message of the item; whether all have."""
        times = self.rows[r].released[self.first + 1 + message]
        times.append(t)
        return len(times) == self.cols
