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

from tvm_aie.cost.commands import costs_of, message_commands
from tvm_aie.cost.estimate import Estimate, ItemTime, Recurrence, opcode_words
from tvm_aie.cost.item_load import ItemLoad, item_load
from tvm_aie.decisions import Moves
from tvm_aie.emit.memtile import MemtileMap
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv, item_weights
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.places import place
from tvm_aie.plan.interleave import interleaved
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.division import switched
from tvm_aie.schedule.geometry import Overlay
from tvm_aie.schedule.tiling import Tiling

# Bytes of a slot, slots.
O_RINGS = ((128, 12), (128, 24), (128, 36), (128, 48), (128, 60), (192, 48))
Trial = tuple[Recurrence, tuple[ItemTime, ...], tuple[Tiling, ...]]
# Of an item the tilings to try under any of some divisions.
Shortlist = Callable[[WorkItem, Sequence[Overlay]], Sequence[Tiling]]


Made = tuple[Array, Placement, MemtileMap, tuple[Tiling, ...], Estimate]


def lagging(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: dict[str, PackedConv],
    moves: Moves,
    narrow: frozenset[int],
    shortlist: Shortlist,
) -> Iterator[Made]:
    """The schedule with barriers that lag: with its items in their order, and with its branches interleaved.

    Neither has more in DDR. ``array``: before its weight rings grow; ``narrow``: see ``plan_memory``.
    """
    groups = tuple(dict.fromkeys(item.members for item in placement.items))
    own = {(item.members, item.chunk): t for item, t in zip(placement.items, tilings, strict=True)}
    for order in dict.fromkeys((groups, interleaved(physical, tuple(sorted(groups))))):
        with suppress(InfeasibleError):
            grown, other, layout = place(array, physical, order, moves, narrow, lags=True)
            if any(item.lag for item in other.items) and same_items(placement, other):
                mine = [own[item.members, item.chunk] for item in other.items]
                chosen, times = overlapped(grown, physical, other, mine, packed, shortlist)
                yield grown, other, layout, chosen, times


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


def overlapped(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    tilings: Sequence[Tiling],
    packed: dict[str, PackedConv],
    shortlist: Shortlist,
) -> tuple[tuple[Tiling, ...], Estimate]:
    """Tilings and their estimate; core memory that is not divided anew for each item leaves nothing to choose."""
    costs, items = costs_of(array), placement.items
    known: dict[tuple[object, ...], ItemLoad] = {}
    lists: dict[tuple[object, ...], Sequence[Tiling]] = {}

    def load(item: WorkItem, tiling: Tiling) -> ItemLoad:
        key = item.members, item.chunk, tiling
        if key not in known:
            control = message_commands(array, physical, item, tiling, costs)
            weights = item_weights(item, physical, packed)
            known[key] = item_load(array, item, physical.layers[item.layer], tiling, weights, control)
        return known[key]

    def listed(item: WorkItem, divisions: tuple[Overlay, ...]) -> Sequence[Tiling]:
        key = item.members, item.chunk, divisions
        if key not in lists:
            lists[key] = shortlist(item, divisions)
        return lists[key]

    def extended(trial: Trial, i: int, tiling: Tiling) -> Trial:
        state = trial[0].copy()
        time = state.advance(i, load(items[i], tiling))
        return state, (*trial[1], time), (*trial[2], tiling)

    def together(trial: Trial, run: range, o_ring: tuple[int, int], divisions: Sequence[Overlay]) -> Trial:
        """The run with one output ring; an item that has no tiling with it keeps its own."""
        for i in run:
            mine = tuple(d for d in divisions if (d.o_slot, d.o_slots) == o_ring)
            options = list(listed(items[i], mine))
            before = trial[2][-1].division if i > run.start else None
            if before in mine:  # all rings stay
                options += listed(items[i], (before,))[:1]
            options = list(dict.fromkeys(options)) or [tilings[i]]
            trials = [extended(trial, i, t) for t in options]
            trial = min(trials, key=lambda t: float((t[0].core if i + 1 < run.stop else t[0].o_end).max()))
        return trial

    words = opcode_words([load(item, t) for item, t in zip(items, tilings, strict=True)])
    trial: Trial = (Recurrence(array, physical, placement, words), (), ())
    for run in runs_of(items):
        own = trial
        for i in run:
            own = extended(own, i, tilings[i])
        found = [own]
        division = tilings[run.start].division
        if len(run) > 1 and division is not None:
            divisions = switched(division.w_slot, division.w_slots)
            found += [together(trial, run, o_ring, divisions) for o_ring in O_RINGS]
        trial = min(found, key=lambda t: float(t[0].o_end.max()))
    state, times, chosen = trial
    return chosen, Estimate(times, state.finish(times[-1]))
