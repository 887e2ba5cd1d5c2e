"""In which order the loads from DDR come that may start with an item.

Loads queue on one channel of a column. One that waits for a store keeps all behind it waiting, so those come first
whose rows have been stored longest:

    store of a chunk        |=========|
    load of that chunk                 |=====|                     the residual came behind it, though it was in DDR
    load of the residual                      |==================|

    load of the residual    |==================|
    load of that chunk                         |=====|             as long as the two loads
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm_aie.memory.placement import InputPlace, WorkItem


def loads_at(items: Sequence[WorkItem]) -> dict[int, list[tuple[int, int]]]:
    """Loads as (item, operand), by the item with which they may start: what that needs itself, then by their stores."""
    out: dict[int, list[tuple[int, int]]] = {}
    for item in items:
        for operand, place in enumerate(item.inputs):
            if place.loaded:
                out.setdefault(place.load_at, []).append((item.index, operand))
    for at, found in out.items():
        if len(found) > 1:
            stores = {load: last_store(items[:at], items[load[0]].inputs[load[1]]) for load in found}
            found.sort(key=lambda load: (load[0] > at, stores[load], load))
    return out


def last_store(items: Sequence[WorkItem], place: InputPlace) -> int:
    """The last of these items that stores any of the rows; -1: none."""
    for item in reversed(items):
        stored = any(out.store and out.storage == place.storage for out in item.outputs)
        if stored and any(lo < b and a < hi for lo, hi in place.rows for a, b in item.out_rows):
            return item.index
    return -1
