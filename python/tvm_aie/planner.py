"""Plans of a network: which pools and siblings share an item, and all that follows from it up to the tilings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import inf

from tvm_aie.cost.estimate import Estimate, estimate
from tvm_aie.cost.loads import Loads
from tvm_aie.decisions import UNTUNED as UNTUNED
from tvm_aie.decisions import Decisions as Decisions
from tvm_aie.decisions import Moves as Moves
from tvm_aie.device import Device
from tvm_aie.emit.counting import Known
from tvm_aie.emit.memtile import MemtileMap
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import Packed, PackedConv, Streams, pack
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement
from tvm_aie.narrow import Commands
from tvm_aie.overlap import lagging
from tvm_aie.places import Placements, place
from tvm_aie.plan.balance import balanced_maps
from tvm_aie.plan.front import with_fronts
from tvm_aie.plan.fuse import PoolPair, fuse_pools, pool_pairs, without_sums, worth_keeping
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.plan.physical import ChannelMap, PhysicalGraph, assign_channels
from tvm_aie.plan.pitch import pitched
from tvm_aie.plan.siblings import Groups, sibling_groups
from tvm_aie.plan.sums import NEAR, REACHED
from tvm_aie.schedule.control import PRICE, Price
from tvm_aie.schedule.geometry import Overlay
from tvm_aie.schedule.rings import Divisions
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Chooser, Grids, Ranked, Searches, Shares, Walked, group_name, item_name
from tvm_aie.tiled import fits_program, tile


@dataclass(frozen=True)
class Plan:
    """One way to schedule a network: pools inside convolutions, siblings that share an item, and what follows."""

    pools: tuple[PoolPair, ...]
    array: Array
    physical: PhysicalGraph
    packed: dict[str, PackedConv]
    placement: Placement
    layout: MemtileMap
    tilings: tuple[Tiling, ...]
    divisions: Divisions = ()  # between which items switch; none: one division serves all
    known: Estimate | None = None  # in place of ``estimate``'s own
    commands: Commands = field(default_factory=dict, compare=False, repr=False)  # of the network's plans together
    loads: Loads = field(default_factory=Loads, compare=False, repr=False)  # likewise
    streams: Streams = field(default_factory=Streams, compare=False, repr=False)  # likewise

    @cached_property
    def estimate(self) -> Estimate:
        """Estimated time; made when it is asked for, since plans that are emulated may need none."""
        return self.known or estimate(*self.stages, self.packed, self.loads)

    @property
    def stages(self) -> tuple[Array, PhysicalGraph, Placement, tuple[Tiling, ...]]:
        """What follows from the choices."""
        return self.array, self.physical, self.placement, self.tilings

    @property
    def cycles(self) -> float:
        """Estimated."""
        return self.estimate.total

    def members(self) -> dict[str, tuple[str, ...]]:
        """Names of the layers that an item executes, by its name."""
        layers = self.physical.layers
        return {
            item_name(item, self.physical): tuple(layers[m].name for m in item.members) for item in self.placement.items
        }

    def costs(self) -> dict[str, float]:
        """Estimated cycles by item name."""
        out: dict[str, float] = {}
        for item, cycles in zip(self.placement.items, self.estimate.cycles, strict=True):
            name = item_name(item, self.physical)
            out[name] = out.get(name, 0.0) + cycles
        return out


# Cycles of a plan; infinite when no program can be made of it.
Judge = Callable[[Plan], float]


@dataclass(frozen=True)
class Shared:
    """What the plans of one network have in common for every division of core memory."""

    graphs: dict[tuple[PoolPair, ...], tuple[PhysicalGraph, dict[str, PackedConv]]] = field(default_factory=dict)
    maps: dict[tuple[PoolPair, ...], Mapping[str, ChannelMap]] = field(default_factory=dict)
    weights: Packed = field(default_factory=dict)
    grids: Grids = field(default_factory=dict)
    counted: Known = field(default_factory=dict)
    shares: Shares = field(default_factory=dict)
    candidates: Ranked = field(default_factory=dict)
    walked: Walked = field(default_factory=dict)
    commands: Commands = field(default_factory=dict)
    loads: Loads = field(default_factory=Loads)
    streams: Streams = field(default_factory=Streams)
    placements: Placements = field(default_factory=Placements)
    given: Chooser | None = None  # see ``prepare``
    blocks: bool = True  # see ``Moves``
    keep: bool = True
    narrow: frozenset[int] | None = None  # see ``Decisions``
    price: Price = PRICE

    def apart(self) -> Shared:
        """For other layers of the same network: without what depends on all of them."""
        return replace(self, graphs={}, maps={})

    def under(self, other: Shared) -> Shared:
        """The same under the decisions of another, which forbid and allow the same tilings."""
        apart = self.apart()
        return replace(apart, given=other.given, narrow=other.narrow, price=other.price)


class Planner:
    """Makes plans of one network for one division of core memory; keeps what they have in common."""

    def __init__(
        self,
        device: Device,
        overlay: Overlay,
        fused: LayerGraph,
        moves: Moves,
        shared: Shared,
        divisions: Divisions = (),
    ) -> None:
        """``divisions``: between which items may switch; ``overlay`` is one of them then."""
        self.device, self.overlay, self.fused, self.moves, self.shared = device, overlay, fused, moves, shared
        self.divisions = divisions
        self.searches = Searches(
            shared.grids, shared.given, divisions, moves.blocks, moves.keep, moves.joined, shared.counted,
            shared.shares, shared.candidates, shared.walked, shared.price,
        )  # fmt: skip
        self.graphs, self.maps, self.weights, self.narrow = shared.graphs, shared.maps, shared.weights, shared.narrow
        self.made: dict[tuple[object, ...], Plan] = {}

    def plan(
        self,
        pools: tuple[PoolPair, ...],
        wanted: Callable[[str], bool],
        runs: bool = True,
        narrow: frozenset[int] = frozenset(),
    ) -> Plan:
        """``wanted``: whether the siblings of an item name share it; ``runs``: layers may run depth-first; ``narrow``:
        image heights that half of the columns share, besides those that are decided."""
        narrow |= self.narrow or frozenset()
        if pools not in self.graphs:
            graph = fuse_pools(self.fused, pools)
            graph.verify()
            physical = assign_channels(graph)
            if self.moves.balance:
                like = tuple(replace(p, sums=min(p.sums, 1)) for p in pools)  # rows of sums have no part in it
                if like not in self.maps:
                    self.maps[like] = balanced_maps(physical, self.device.rows, self.moves.siblings)
                physical = assign_channels(graph, self.maps[like]) if self.maps[like] else physical
            if self.moves.pitch and self.device.push_idle_cycles:
                physical = pitched(physical, self.device.cols, self.device.memtile_bd.pad_max(0))
            physical.verify()
            self.graphs[pools] = physical, pack(physical, self.weights)
        physical, _ = self.graphs[pools]
        groups: list[tuple[int, ...]] = []
        for group in sibling_groups(physical):
            joint = self.moves.siblings and wanted(group_name(group, physical))
            groups += [group] if joint else [(m,) for m in group]
        made = pools, tuple(groups), runs, narrow
        if made not in self.made:
            self.made[made] = self._made(pools, tuple(sorted(groups)), runs, narrow)
        return self.made[made]

    def _made(self, pools: tuple[PoolPair, ...], groups: Groups, runs: bool, narrow: frozenset[int]) -> Plan:
        physical, packed = self.graphs[pools]
        array = Array(self.device, self.overlay)
        moves = replace(self.moves, runs=runs and self.moves.runs)
        array, placement, layout = place(array, physical, groups, moves, narrow, known=self.shared.placements)
        tilings = tile(array, physical, packed, placement, self.searches)
        known = None, self.shared.commands, self.shared.loads, self.shared.streams
        return Plan(pools, array, physical, packed, placement, layout, tuple(tilings), self.divisions, *known)

    def repriced(self, price: Price, overlay: Overlay) -> Planner:
        """For another price of commands and another division of core memory; they share what they know."""
        return Planner(self.device, overlay, self.fused, self.moves, replace(self.shared, price=price))

    def with_fronts(self, names: Collection[str], overlay: Overlay) -> Planner:
        """For the network with 1x1 convolutions in front of some windows (``plan.front``); weights are shared."""
        return Planner(self.device, overlay, with_fronts(self.fused, names), self.moves, self.shared.apart())

    def pairs(self, lends: bool = True) -> tuple[PoolPair, ...]:
        """What may share kernel calls. ``lends``: sums may come from a column out of reach (``Array.lends``)."""
        scales = self.moves.scales and not self.device.core_ideal  # which would do their MACs for nothing
        columns = self.device.cols if self.moves.sums and self.device.push_idle_cycles else 0
        reached = REACHED if lends and Array(self.device, self.overlay).lendable else NEAR
        return pool_pairs(self.fused, scales, columns, reached) if self.moves.pools else ()

    def likewise(
        self, plan: Plan, narrow: frozenset[int] = frozenset(), pools: tuple[PoolPair, ...] | None = None
    ) -> Plan:
        """The plan with the siblings and runs of another, and its pools or others. Raises ``InfeasibleError``."""
        joint = {item_name(item, plan.physical) for item in plan.placement.items}
        pools = plan.pools if pools is None else pools
        return self.plan(pools, lambda name: name in joint, bool(plan.placement.runs), narrow)

    def lagging(self, plan: Plan) -> Plan:
        """The plan with barriers that lag, its items in their order or interleaved, if it is faster so by estimate.

        Only where commands cost nothing: elsewhere all columns start an item together.
        """
        if not self.moves.lags or self.device.push_idle_cycles:
            return plan
        moves = replace(self.moves, runs=bool(plan.placement.runs))
        array = Array(self.device, self.overlay)
        flowing = partial(self.searches.flowing, array, physical=plan.physical, packed=plan.packed)
        known = self.shared.placements
        made = lagging(array, *plan.stages[1:], plan.packed, moves, self.narrow or frozenset(), flowing, known)
        if made is None:
            return plan
        array, placement, layout, tilings, times = made
        if not fits_program(array.device, placement, plan.physical, tilings):
            return plan
        other = replace(plan, array=array, placement=placement, layout=layout, tilings=tilings, known=times)
        return min(plan, other, key=lambda p: p.cycles)


def plans(planner: Planner, first: bool = False) -> Iterator[Plan]:
    """All pools and siblings together, depth-first or not; each by itself; those together that are faster so.

    ``first``: the first that fits is enough. Raises the first ``InfeasibleError`` when no plan fits.
    """
    failures: list[InfeasibleError] = []

    def attempt(pools: tuple[PoolPair, ...], wanted: Callable[[str], bool], runs: bool = True) -> Iterator[Plan]:
        try:
            yield planner.plan(pools, wanted, runs)
        except InfeasibleError as error:
            failures.append(error)

    pairs = planner.pairs()
    together = list(attempt(pairs, lambda _: True))
    if not together and any(p.sums for p in pairs):
        pairs = without_sums(pairs)
        together = list(attempt(pairs, lambda _: True))
    yield from together
    alone = not (planner.moves.pools or planner.moves.siblings or planner.moves.runs)  # there is no other plan
    if together and (first or alone):
        return
    if alone:
        raise failures[0]
    if not together or together[0].placement.runs:
        yield from attempt(pairs, lambda _: True, False)
    if planner.moves.always and together:
        return
    apart = list(attempt((), lambda _: False))
    yield from apart
    if together and apart:
        single, joint = apart[0].costs(), together[0].costs()
        members = together[0].members()
        gain = {n: sum(single.get(m, inf) for m in members[n]) - cost for n, cost in joint.items()}
        kept = worth_keeping(pairs, gain, single)
        yield from attempt(kept, lambda name: gain.get(name, 0.0) > 0)
    elif not together and not apart:
        raise failures[0]
