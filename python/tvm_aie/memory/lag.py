"""Barriers that lag: an item that needs nothing of the item before starts when the one before that is complete.

Its activations then come while the item before still computes, and that one's outputs drain while it computes. What a
lagging item and the item before it do to a memtile happens at the same time, in neighbouring columns too. So neither
may write what the other reads or writes: the item before is not among those that make its operands, nor does it read
what is overwritten, memory that is free after an item stays taken one item longer in front of a lagging barrier
(``prolonged``), and the item before stores nothing, since stores are let go by the barrier behind their item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tvm_aie.memory.allocator import Interval


def waits(lags: Sequence[bool], item: int) -> tuple[int, ...]:
    """The items that the barrier of ``item`` waits for and none before it did. Behind the last item all are awaited."""
    if item == 0:
        return ()
    lag = item < len(lags) and lags[item]
    newest = item - 2 if lag else item - 1
    known = item - 3 if lags[item - 1] else item - 2
    return tuple(range(max(0, known + 1), newest + 1))


def prolonged(intervals: Mapping[str, Interval], lags: Sequence[bool]) -> dict[str, Interval]:
    """The lives of buffers where these items lag: what ends with the item before such a one ends with it."""

    def last(interval: Interval) -> int:
        following = interval.last + 1
        return following if following < len(lags) and lags[following] else interval.last

    return {name: v._replace(last=last(v)) for name, v in intervals.items()}


def free_of(intervals: Iterable[Interval], addresses: Mapping[str, int], lags: Sequence[bool]) -> tuple[bool, ...]:
    """Of ``lags`` those for which buffers at ``addresses``, with their lives as they are, allow it."""
    out = list(lags)
    by_end: dict[int, list[tuple[int, int]]] = {}
    for v in intervals:
        by_end.setdefault(v.last, []).append((addresses[v.name], addresses[v.name] + v.size))
    for v in intervals:
        if v.first < len(out) and out[v.first]:
            begin, end = addresses[v.name], addresses[v.name] + v.size
            out[v.first] = not any(a < end and begin < b for a, b in by_end.get(v.first - 1, ()))
    return tuple(out)
