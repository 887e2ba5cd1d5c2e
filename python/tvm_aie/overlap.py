"""Items that overlap: where barriers lag (``memory.lag``), items that share an output ring run into each other.

An item alone is best with a small output ring and large partial sums; one that overlaps with its neighbours wants its
outputs out of the cores' way, and DIVIDE must find the output ring as it is (``emit.division.staying``). So the items
of each *run*, one behind a full barrier and those that lag behind it, are chosen together: for every output ring, item
by item the tiling with which the cores are done first, by the recurrence over messages (``cost.estimate``); the ring
with which the run is complete first, or the tilings that the items had.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from tvm_aie.cost.commands import costs_of
from tvm_aie.cost.estimate import Estimate, ItemTime, Recurrence, opcode_words
from tvm_aie.cost.item_load import ItemLoad
from tvm_aie.cost.loads import Loads
from tvm_aie.decisions import Moves
from tvm_aie.emit.memtile import MemtileMap
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.places import Placements, place
from tvm_aie.plan.interleave import interleaved
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.geometry import Overlay
from tvm_aie.schedule.rings import Fitted
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Flowing

# Bytes of a slot, slots.
O_RINGS = ((128, 12), (128, 24), (128, 36), (128, 48), (128, 60), (192, 48))
Trial = tuple[Recurrence, tuple[ItemTime, ...], tuple[Tiling, ...]]
# Of an item its tilings where it overlaps with its neighbours; None: it has but one.
Flow = Callable[[WorkItem], Flowing | None]
MOST_RINGS = 3  # of outputs, of a run: those that are best in closed form are tried
Made = tuple[Array, Placement, MemtileMap, tuple[Tiling, ...], Estimate]


def lagging(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: dict[str, PackedConv],
    moves: Moves,
    narrow: frozenset[int],
    flowing: Flow,
    known: Placements | None = None,
) -> Made | None:
    """The schedule with barriers that lag: with its branches interleaved, or, where more would go to DDR then, with its
    items in their order. None where no barrier may lag.

    ``array``: before its weight rings grow; ``narrow``: see ``plan_memory``; ``known``: placements of the network.
    """
    groups = tuple(dict.fromkeys(item.members for item in placement.items))
    own = {(item.members, item.chunk): t for item, t in zip(placement.items, tilings, strict=True)}
    for order in dict.fromkeys((interleaved(physical, tuple(sorted(groups))), groups)):
        with suppress(InfeasibleError):
            grown, other, layout = place(array, physical, order, moves, narrow, True, known)
            if any(item.lag for item in other.items) and same_items(placement, other):
                mine = [own[item.members, item.chunk] for item in other.items]
                chosen, times = overlapped(grown, physical, other, mine, packed, flowing)
                return grown, other, layout, chosen, times
    return None


def same_items(one: Placement, other: Placement) -> bool:
    """Whether two placements execute the same items, in whatever order, with the same in DDR."""

    def found(placement: Placement) -> set[object]:
        return {(i.members, i.chunk, i.geometry, i.out_rows, i.in_place) for i in placement.items}

    return found(one) == found(other) and one.in_ddr == other.in_ddr and one.runs == other.runs


def runs_of(items: Sequence[WorkItem]) -> Iterator[range]:
    """Items behind a full barrier with those that lag behind them."""
    starts = [i for i, item in enumerate(items) if not item.lag]
    for first, after in zip(starts, [*starts[1:], len(items)], strict=True):
        yield range(first, after)


@dataclass(frozen=True)
class _Network:
    """What the tilings are chosen for; ``loads``: what is known of items under a tiling."""

    array: Array
    physical: PhysicalGraph
    items: Sequence[WorkItem]
    tilings: Sequence[Tiling]  # that the items had
    packed: dict[str, PackedConv]
    flows: Sequence[Flowing | None]
    loads: dict[tuple[object, ...], ItemLoad] = field(default_factory=dict)
    alike: Loads = field(default_factory=Loads)  # of items and tilings that have the same

    def load(self, i: int, tiling: Tiling) -> ItemLoad:
        """What an item puts on the machine."""
        item = self.items[i]
        key = item.members, item.chunk, tiling
        if key not in self.loads:
            costs = costs_of(self.array)
            self.loads[key] = self.alike.of(self.array, self.physical, item, tiling, self.packed, costs)
        return self.loads[key]

    def extended(self, trial: Trial, i: int, tiling: Tiling) -> Trial:
        """With item ``i``, which comes next, under a tiling."""
        state = trial[0].copy()
        time = state.advance(i, self.load(i, tiling))
        return state, (*trial[1], time), (*trial[2], tiling)

    def options(self, i: int, mine: Fitted, before: Overlay | None, last: bool) -> list[Tiling]:
        """What is tried for an item under divisions with one output ring; ``before``: that of the item before."""
        flow, own = self.flows[i], self.tilings[i]
        found = [own] if flow is None or _shares(mine, own.division) else []
        if flow is not None:
            found += flow.tilings(mine, last)
            if before and _shares(mine, before):  # all rings stay
                found += flow.tilings((before,), last)[:1]
        return list(dict.fromkeys(found)) or [own]

    def together(self, trial: Trial, run: range, mine: Fitted) -> Trial:
        """The run with divisions of one output ring."""
        for i in run:
            last = i + 1 == run.stop
            before = trial[2][-1].division if i > run.start else None
            trials = [self.extended(trial, i, t) for t in self.options(i, mine, before, last)]
            trial = min(trials, key=lambda t: float((t[0].flow.o_end if last else t[0].flow.core).max()))
        return trial

    def rings(self, run: range) -> list[Fitted]:
        """The divisions of each output ring that is tried."""
        division = self.tilings[run.start].division
        if len(run) == 1 or division is None:
            return []
        found = [Fitted(division.w_slot, division.w_slots, ring) for ring in O_RINGS]
        cycles = {mine: sum(flow.least(mine) for i in run if (flow := self.flows[i])) for mine in found}
        return sorted(cycles, key=cycles.__getitem__)[:MOST_RINGS]


def _shares(mine: Fitted, division: Overlay | None) -> bool:
    """Whether a division is among those."""
    return division is not None and (division.o_slot, division.o_slots) == mine.o_ring


def overlapped(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: dict[str, PackedConv],
    flowing: Flow,
) -> tuple[tuple[Tiling, ...], Estimate]:
    """Tilings and their estimate; core memory that is not divided anew for each item leaves nothing to choose."""
    items = placement.items
    net = _Network(array, physical, items, tilings, packed, [flowing(item) for item in items])
    words = opcode_words([net.load(i, t) for i, t in enumerate(tilings)])
    trial: Trial = (Recurrence(array, physical, placement, words), (), ())
    for run in runs_of(items):
        own = trial
        for i in run:
            own = net.extended(own, i, tilings[i])
        found = [own, *(net.together(trial, run, mine) for mine in net.rings(run))]
        trial = min(found, key=lambda t: float(t[0].flow.o_end.max()))
    state, times, chosen = trial
    return chosen, state.finish(times)
