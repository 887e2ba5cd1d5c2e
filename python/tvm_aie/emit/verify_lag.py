"""May the barriers lag that do? From the places of items alone, whatever decided it (``memory.lag``)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tvm_aie.errors import ProgramError
from tvm_aie.memory.placement import InputPlace, OutputPlace, WorkItem
from tvm_aie.plan.physical import PhysicalGraph

Span = tuple[int, int, str]  # first byte, the one behind the last, of what


def verify_lags(items: Sequence[WorkItem], graph: PhysicalGraph) -> None:
    """Raise ``ProgramError`` where a lagging item and the one before touch bytes of a memtile that one of them writes,
    or a store lets it wait. From places alone, whatever made them."""
    started: dict[int, list[Span]] = {}
    for item in items:
        for place in item.inputs:
            if place.loaded:
                started.setdefault(place.load_at, []).append(_span(place, graph))
    for before, item in pairwise(items):
        if not item.lag:
            continue
        if any(out.store for out in before.outputs):
            raise ProgramError(f"item {item.index} lags behind item {before.index}, whose outputs are stored")
        reads, writes = _reads(before, graph), _writes(before, graph)
        # Loads for the item itself may have been started by the item before: they come before its barrier.
        mine = [*_writes(item, graph), *started.get(item.index, ())]
        shared = [(x, y) for x in mine for y in reads if _overlap(x, y)]
        shared += [(x, y) for x in _reads(item, graph) for y in writes if _overlap(x, y)]
        # Parts of one storage are different blocks or rows.
        shared += [(x, y) for x in mine for y in writes if _overlap(x, y) and x[2] != y[2]]
        if shared:
            (a, b, x), (c, d, y) = shared[0]
            both = f"{x} in bytes {a} to {b} and {y} in bytes {c} to {d} overlap"
            raise ProgramError(f"item {item.index} lags behind item {before.index}: {both}")


def _span(place: InputPlace | OutputPlace, graph: PhysicalGraph) -> Span:
    height = max(max(0, last - first) for first, last in place.rows)
    size = height * place.buffer_blocks * graph.storages[place.storage].block_bytes
    return place.address, place.address + size, place.storage


def _reads(item: WorkItem, graph: PhysicalGraph) -> list[Span]:
    return [_span(place, graph) for place in item.inputs]


def _writes(item: WorkItem, graph: PhysicalGraph) -> list[Span]:
    return [_span(place, graph) for place in item.outputs]


def _overlap(x: Span, y: Span) -> bool:
    return x[0] < y[1] and y[0] < x[1]
