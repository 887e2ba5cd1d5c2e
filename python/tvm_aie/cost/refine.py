"""Among tilings that the closed form finds nearly equal, take those with which the network's recurrence is fastest.

The closed form of ``schedule.estimate`` sees averages. Messages differ: the last pass may have fewer output blocks, the
chunks of a block-sparse weight differ in work, weights run ahead from item to item. ``cost.estimate`` sees all that but
is too slow for a search. So the search leaves a short list per item, and one walk over the network tries each entry in
the state that the items before leave behind. Greedy: an item's choice is the one with which the item behind it, as far
as that is known, is complete first: what an item leaves of the weights' time is felt there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from tvm_aie.cost.commands import costs_of
from tvm_aie.cost.estimate import Estimate, Recurrence, opcode_words
from tvm_aie.cost.item_load import ItemLoad
from tvm_aie.cost.loads import Loads
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

MOST_STEPS = 100_000  # kernel calls of all tilings that are tried
Key = tuple[object, ...]


def _key(item: WorkItem) -> Key:
    """Items with equal keys have one tiling where no barrier lags."""
    return item.members, tuple(b - a for a, b in item.out_rows), item.in_place


def _steps(tiling: Tiling) -> int:
    """Kernel calls of a core."""
    return tiling.n_pass * tiling.n_x * max(n for _, n in tiling.bands) * tiling.n_ck


def refine(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: dict[str, PackedConv],
    shortlist: Callable[[WorkItem], Sequence[Tiling]],
    most_steps: int = MOST_STEPS,
    known: Loads | None = None,
) -> tuple[tuple[Tiling, ...], Estimate]:
    """Tilings and their estimate; ``shortlist``: of an item, other tilings than the one that it has; ``known``: loads
    of the network, of ``tilings`` at least."""
    costs = costs_of(array)
    passing = Loads()  # which are large together, and not needed later

    def load(item: WorkItem, tiling: Tiling, known: Loads) -> ItemLoad:
        return known.of(array, physical, item, tiling, packed, costs)

    options = _options(placement.items, tilings, shortlist, most_steps)
    first: dict[Key, ItemLoad] = {}
    for item, tiling in zip(placement.items, tilings, strict=True):
        if (key := _key(item)) not in first:
            first[key] = load(item, tiling, known or passing)
    words = opcode_words([first[_key(item)] for item in placement.items])
    run = Recurrence(array, physical, placement, words)
    settled: dict[Key, tuple[Tiling, ItemLoad]] = {}
    chosen, times = [], []
    for i, (item, tiling) in enumerate(zip(placement.items, tilings, strict=True)):
        key = _key(item)
        others = [] if key in settled else [(t, load(item, t, passing)) for t in options.get(key, ())]
        tried = [settled.get(key, (tiling, first[key])), *others]
        trials = []
        for _, work in tried:
            state = run.copy()
            trials.append((state, state.advance(i, work)))
        best = 0
        if len(tried) > 1:
            after = _key(placement.items[i + 1]) if i + 1 < len(tilings) else ()
            behind = settled[after][1] if after in settled else first.get(after)
            works = [work if after == key else behind for _, work in tried]
            best = min(range(len(tried)), key=lambda k: _end(trials[k][0], i + 1, works[k]))
        run, time = trials[best]
        settled[key] = tried[best]
        chosen.append(tried[best][0])
        times.append(time)
    return tuple(chosen), run.finish(times)


def _end(run: Recurrence, i: int, work: ItemLoad | None) -> float:
    """When item ``i``, which comes next, is complete with this load; without one, when what has been done is."""
    if work is not None:
        run = run.copy()
        run.advance(i, work)
    return float(run.flow.o_end.max())


def _options(
    items: Sequence[WorkItem],
    tilings: Sequence[Tiling],
    shortlist: Callable[[WorkItem], Sequence[Tiling]],
    most_steps: int,
) -> dict[Key, tuple[Tiling, ...]]:
    """What is tried for each key: the items with most cycles first, until the steps are used up."""
    first: dict[Key, tuple[WorkItem, Tiling]] = {}
    cycles: Counter[Key] = Counter()
    for item, tiling in zip(items, tilings, strict=True):
        first.setdefault(_key(item), (item, tiling))
        cycles[_key(item)] += round(tiling.cycles)
    out = {}
    left = most_steps
    for key, _ in cycles.most_common():
        item, tiling = first[key]
        left -= _steps(tiling)
        tried = []
        for option in shortlist(item):
            if _steps(option) <= left:
                left -= _steps(option)
                tried.append(option)
        out[key] = tuple(tried)
    return out
