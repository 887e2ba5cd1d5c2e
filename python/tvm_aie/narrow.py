"""Which small images are left to half of the columns (``memory.partition``): where commands bound their items.

A column's commands cost the same however few rows it has. On half of the columns an item computes twice as long, but
its commands are about half; the other columns still have its opcodes and barrier.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tvm_aie.emit.counting import ItemCounter
from tvm_aie.emit.overlay import Array
from tvm_aie.memory.placement import Placement
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.control import PRICE, Price
from tvm_aie.schedule.tiling import Tiling

# Commands of an item on half of the columns, of those on all. Chosen by emulation on npu1.
NARROW_COMMANDS = 0.6
# Up to so many times the cycles of all columns by the first guess a plan is made. Chosen on DenseNet-121, likewise.
LIKELY = 1.1
# Of the cycles of convolutions with sums: what a column more must save, as its commands also delay what comes before.
COLUMN = 0.05
Stages = tuple[Array, PhysicalGraph, Placement, Sequence[Tiling]]
# Cycles of commands, by what they depend on and the tiling: items of one shape have them in common.
Commands = dict[tuple[Hashable, Tiling], float]


def worth_a_column(more: Stages, fewer: Stages, known: Commands | None = None) -> bool:
    """Whether sums of one column more, out of reach of the one that adds them, are faster (``plan.sums``; estimated).

    They are where MACs bound the convolution, not where its weights or its commands do.
    """
    found = costs(*more, known=known)
    summing = (i.geometry.pool is not None and i.geometry.pool.sums for i in more[2].items)
    least = COLUMN * sum(max(cost) for cost, sums in zip(found, summing, strict=True) if sums)
    return sum(map(max, costs(*fewer, known=known))) - sum(map(max, found)) >= least


def narrow_heights(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    known: Commands | None = None,
) -> frozenset[int]:
    """Image heights (of storages) whose items together may be faster on half of the columns (estimated).

    A first guess: what weights bound does not take twice as long there. The plan for these heights decides.
    """
    wide: dict[int, float] = {}
    narrow: dict[int, float] = {}
    each = costs(array, physical, placement, tilings, known=known)
    for item, (body, control) in zip(placement.items, each, strict=True):
        height = physical.storages[item.outputs[0].storage].height
        wide[height] = wide.get(height, 0.0) + max(body, control)
        narrow[height] = narrow.get(height, 0.0) + max(2 * body, NARROW_COMMANDS * control)
    return frozenset(h for h in wide if h > 1 and narrow[h] < LIKELY * wide[h])


def costs(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    price: Price = PRICE,
    known: Commands | None = None,
) -> list[tuple[float, float]]:
    """Estimated cycles of each item: without the command processor, and of the command processor (``price``: which of
    its pushes find their channel idle). ``known``: shared by the plans of a network."""
    known = {} if known is None else known
    out = []
    for item, tiling in zip(placement.items, tilings, strict=True):
        counter = ItemCounter(array, item, physical.storages, price=price)
        key = counter.key, tiling
        if key not in known:
            known[key] = counter.cycles(tiling)
        out.append((tiling.body, known[key]))
    return out
