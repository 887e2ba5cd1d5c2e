"""Address assignment of buffers over time inside one memtile: greedy by size, first fit at the lowest address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

ALIGN = 64


class Interval(NamedTuple):
    """A buffer of ``size`` bytes, live during items first..last inclusive."""

    name: str
    first: int
    last: int
    size: int


@dataclass(frozen=True)
class DoesNotFit:
    """The buffer that found no room, and the bytes that the busiest item of its life needs."""

    interval: Interval
    item: int
    demand: int


def allocate(intervals: Sequence[Interval], capacity: int) -> dict[str, int] | DoesNotFit:
    """Addresses such that buffers that live at the same time do not overlap; deterministic."""
    placed: list[tuple[int, int]] = []
    at: dict[int, list[int]] = {}  # item -> numbers of the buffers that live then
    result: dict[str, int] = {}
    for iv in sorted(intervals, key=lambda v: (-v.size, v.first, v.name)):
        address = 0
        life = range(iv.first, iv.last + 1)
        for begin, end in sorted(placed[k] for k in {k for t in life for k in at.get(t, ())}):
            if begin >= address + iv.size:
                break
            address = max(address, end)
        if address + iv.size > capacity:
            item, demand = peak(intervals, iv)
            return DoesNotFit(iv, item, demand)
        result[iv.name] = address
        for t in life:
            at.setdefault(t, []).append(len(placed))
        placed.append((address, address + -(-iv.size // ALIGN) * ALIGN))
    return result


def peak(intervals: Sequence[Interval], within: Interval) -> tuple[int, int]:
    """(item, bytes) of the greatest sum of live buffers during ``within``."""
    best = (within.first, 0)
    for t in range(within.first, within.last + 1):
        total = sum(v.size for v in intervals if v.first <= t <= v.last)
        if total > best[1]:
            best = (t, total)
    return best
