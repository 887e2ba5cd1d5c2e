"""An order of items in which few need what the item directly before them makes.

    b1 -> b2 -> b3 -> join               b1 a1 b2 a2 b3 join: while an item's outputs drain, the next one, which does
    a1 -> a2 -------> join   becomes     not wait for them, has begun (``memory.lag``)

A list schedule: of the items whose operands are there, one that does not read the last one's outputs; of those the one
with the longest chain of items behind it; of those the first. Chains keep their order, so a network without branches
keeps its own.
"""

from __future__ import annotations

from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.plan.siblings import Groups


def interleaved(graph: PhysicalGraph, groups: Groups) -> Groups:
    """``groups`` (layers that share an item) in that order."""
    needs = _needs(graph, groups)
    behind = [0] * len(groups)
    for g in reversed(range(len(groups))):
        for before in needs[g]:
            behind[before] = max(behind[before], behind[g] + 1)
    order: list[int] = []
    placed: set[int] = set()
    while len(order) < len(groups):
        ready = [g for g in range(len(groups)) if g not in placed and needs[g] <= placed]
        last = order[-1] if order else -1
        best = min(ready, key=lambda g: (last in needs[g], -behind[g], g))
        order.append(best)
        placed.add(best)
    return tuple(groups[g] for g in order)


def _needs(graph: PhysicalGraph, groups: Groups) -> list[set[int]]:
    """Of each group the earlier ones that write blocks of storages that it reads."""
    written: dict[str, list[tuple[int, int, int]]] = {}  # by storage: group, blocks [first, after)
    out = []
    for g, members in enumerate(groups):
        found = set()
        for name in {n for m in members for n in graph.layers[m].inputs}:
            view = graph.views[name]
            for writer, first, after in written.get(view.storage, ()):
                if first < view.first + view.blocks and view.first < after:
                    found.add(writer)
        out.append(found)
        for m in members:
            view = graph.views[graph.layers[m].output]
            written.setdefault(view.storage, []).append((g, view.first, view.first + view.blocks))
    return out
