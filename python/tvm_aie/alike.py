"""Whether two plans have one program: what is tried for a network often ends in the same schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tvm_aie.memory.placement import WorkItem
from tvm_aie.planner import Plan
from tvm_aie.schedule.cover import same_pieces
from tvm_aie.schedule.tiling import Tiling


def same_program(a: Plan, b: Plan) -> bool:
    """Whether the emitter makes one program of both. It may say no where it does: graphs are compared by identity.

    Tilings that were searched under other prices of commands have other estimates and are one schedule.
    """
    if a.physical is not b.physical or a.packed is not b.packed or a.array != b.array:
        return False
    if len(a.tilings) != len(b.tilings) or a.layout != b.layout or a.placement != b.placement:
        return False
    timed = set(_timed(a.placement.items))
    return all(
        _same_schedule(one, other, index in timed)
        for index, (one, other) in enumerate(zip(a.tilings, b.tilings, strict=True))
    )


def _timed(items: tuple[WorkItem, ...]) -> Iterator[int]:
    """The items of which the emitter reads the estimated cycles: loads for a later item start during them."""
    for item in items:
        yield from (place.load_at for place in item.inputs if place.loaded and place.load_at < item.index)


def _same_schedule(one: Tiling, other: Tiling, timed: bool) -> bool:
    if one is other:
        return True
    if timed and one.cycles != other.cycles:
        return False
    # ``Tiling`` does not compare covers.
    return replace(one, cycles=other.cycles) == other and same_pieces(one.cover, other.cover)
