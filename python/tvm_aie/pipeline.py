"""The stages after ``lower``, in order: the table of contents of the backend (DESIGN section 3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import inf

from tvm_aie.cost.estimate import Estimate, estimate
from tvm_aie.cost.refine import refine
from tvm_aie.decisions import UNTUNED as UNTUNED
from tvm_aie.decisions import Decisions as Decisions
from tvm_aie.decisions import Moves as Moves
from tvm_aie.device import Device, load_device
from tvm_aie.emit.arrange import CHAINS, Chains
from tvm_aie.emit.counting import Known
from tvm_aie.emit.emitter import Emitter
from tvm_aie.emit.memtile import MemtileMap
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Program
from tvm_aie.emit.superkernel import superkernel_bytes, used_variants
from tvm_aie.emit.verify_lag import verify_lags
from tvm_aie.emit.weights import Packed, PackedConv, pack, verify_covers
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement
from tvm_aie.meta import program_meta
from tvm_aie.misfits import easier
from tvm_aie.narrow import costs, narrow_heights, worth_a_column
from tvm_aie.overlap import lagging
from tvm_aie.places import place
from tvm_aie.plan.balance import balanced_maps
from tvm_aie.plan.fuse import PoolPair, fuse, fuse_pools, pool_pairs, without_sums, worth_keeping
from tvm_aie.plan.graph import Conv, LayerGraph
from tvm_aie.plan.physical import ChannelMap, PhysicalGraph, assign_channels
from tvm_aie.plan.pitch import pitched
from tvm_aie.plan.siblings import Groups, sibling_groups
from tvm_aie.plan.space_to_depth import space_to_depth
from tvm_aie.plan.sums import NEAR, REACHED
from tvm_aie.plan.unite import common_accumulators, unite
from tvm_aie.schedule.control import PRICE, Price
from tvm_aie.schedule.division import NEARLY, best_divisions, best_switches
from tvm_aie.schedule.geometry import DIVISIONS, IDEAL_OVERLAYS, KEEPING, Geometry, Overlay
from tvm_aie.schedule.grid import Grid
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Chooser, Key, Searches, Shares, base_overlay, group_name, item_name, workload
from tvm_aie.tiled import fits_program, tile


@dataclass(frozen=True)
class Compiled:
    """Every stage's result for one offloaded function; ``program`` is what runs."""

    graph: LayerGraph
    physical: PhysicalGraph
    placement: Placement
    tilings: tuple[Tiling, ...]
    program: Program
    device: Device
    estimate: Estimate


def compile_graph(
    graph: LayerGraph,
    device: Device | str = "npu1",
    overlay: Overlay | None = None,
    chooser: Chooser | None = None,
    moves: Moves = UNTUNED.moves,
) -> Compiled:
    """Compile a layer graph for a device. ``chooser`` may overrule the sub-volume search (tuned records).

    ``moves``: what the schedule may do; for ablations.

    Raises ``InfeasibleError`` when a layer cannot be cut to fit (``layers``: which ones), ``ProgramError`` when a
    hardware limit is violated.
    """
    return finish(prepare(graph, device, Decisions(overlay, moves=moves)), chooser)


@dataclass(frozen=True)
class Prepared:
    """Everything that no chosen tiling changes: the plan that is best by estimate, with its default tilings."""

    graph: LayerGraph
    device: Device
    plan: Plan
    chains: tuple[Chains, ...] = CHAINS  # none: see ``Moves.chains``
    decisions: Decisions = UNTUNED  # under which the plan was made
    planner: _Planner | None = None  # that made plans first, and knows what others need


def prepare(
    graph: LayerGraph,
    device: Device | str = "npu1",
    decisions: Decisions = UNTUNED,
    given: Chooser | None = None,
    judge: Judge | None = None,
) -> Prepared:
    """The stages before tilings are chosen; ``finish`` may be called on the result many times.

    ``given``: tilings that are known and need no search; None for a workload: search. ``judge``: compares whole plans
    where commands cost time (``rehearse``); None: the estimate does, and core memory has its default division.

    Where there is no plan, and decisions are the compiler's own, easier ones are tried (``misfits``). Raises
    ``InfeasibleError`` with the layers that do not fit.
    """
    dev = load_device(device) if isinstance(device, str) else device
    graph.verify()
    try:
        return _prepared(graph, dev, decisions, given, judge)
    except InfeasibleError as error:
        if given is not None or decisions.overlay is not None:
            raise
        others = DIVISIONS[1:] if decisions.moves.divisions and not dev.core_ideal else ()
        decisions = easier(graph, decisions, partial(require_plan, dev), others, error)
    return _prepared(graph, dev, decisions, given, judge)


def _fused(graph: LayerGraph, dev: Device, decisions: Decisions) -> LayerGraph:
    # residual adds and per-channel constants run in the epilogue of the convolution before them
    fused = fuse(graph, decisions.unfused) if decisions.moves.tails else graph
    if decisions.moves.space_to_depth:
        fused = space_to_depth(fused)
    # siblings share an item; where commands cost time, those of different windows are one convolution
    fused = unite(fused) if decisions.moves.unite and not dev.core_ideal else common_accumulators(fused)
    fused.verify()
    return fused


def _prepared(
    graph: LayerGraph, dev: Device, decisions: Decisions, given: Chooser | None, judge: Judge | None
) -> Prepared:
    # pools run inside convolutions and siblings share an item where that is faster by estimate; channels have places
    # in blocks of 8, weights are mmul tiles, each tensor has a home, and each item fits its cores
    plan, planner = _schedule(dev, _fused(graph, dev, decisions), decisions, given, judge)
    return Prepared(graph, dev, plan, CHAINS if decisions.moves.chains else (), decisions, planner)


def repriced(prepared: Prepared, price: Price, overlay: Overlay) -> Prepared:
    """The plan with its pools, siblings and runs, but tilings for another price of commands and, maybe, another division
    of core memory. Where commands cost time only. Raises ``InfeasibleError`` when nothing fits."""
    assert prepared.planner is not None
    decisions = replace(prepared.decisions, price=price, overlay=overlay)
    planner = prepared.planner.repriced(price, overlay)
    plan = _narrowed(planner.likewise(prepared.plan), planner)
    return replace(prepared, plan=plan, decisions=decisions)


def require_plan(dev: Device, graph: LayerGraph, decisions: Decisions) -> None:
    """Raise ``InfeasibleError`` unless there is a plan of the graph."""
    moves, fused = decisions.moves, _fused(graph, dev, decisions)
    default = IDEAL_OVERLAYS[: None if moves.divisions else 1] if dev.core_ideal else DIVISIONS[:1]
    overlays = [decisions.overlay] if decisions.overlay else default
    shared = _Shared(blocks=moves.blocks, keep=moves.keep, narrow=decisions.narrow)
    _first([_Planner(dev, overlay, fused, moves, shared) for overlay in overlays])


def finish(
    prepared: Prepared, chooser: Chooser | None = None, estimated: bool = True, program: Program | None = None
) -> Compiled:
    """Take the tilings that ``chooser`` wants and emit the program. Raises as ``compile_graph``.

    ``estimated``: estimate the chosen tilings; False leaves the estimate of the default ones, for trials.
    ``program``: what was already ``emitted`` for the plan as it is, without ``chooser``.
    """
    dev, plan = prepared.device, prepared.plan
    if chooser is not None:
        plan, program = _chosen(plan, chooser, estimated), None
    # descriptors, locks, opcode and weight streams, commands; then what a report needs
    program = program or emitted(plan, prepared.chains)
    program = replace(
        program, meta=json.dumps(program_meta(dev, plan.physical, plan.placement, plan.tilings, plan.estimate.cycles))
    )
    # every live weight is in the program, no barrier lets too much through, and every hardware limit of the device file
    # is satisfied
    verify_covers(plan.placement.items, plan.tilings, plan.physical, plan.packed)
    verify_lags(plan.placement.items, plan.physical)
    program.verify(dev)
    return Compiled(prepared.graph, plan.physical, plan.placement, plan.tilings, program, dev, plan.estimate)


def scheduled(prepared: Prepared, chooser: Chooser) -> tuple[Plan, Emitter]:
    """The plan with the tilings that ``chooser`` wants, and what emits it: ``finish`` as far as the cost model needs.

    Raises as ``compile_graph``.
    """
    plan = _chosen(prepared.plan, chooser, False)
    return plan, emitter_of(plan, prepared.chains)


def emitted(plan: Plan, chains: Sequence[Chains] = CHAINS) -> Program:
    """The program of a plan, not verified and not described. Raises ``InfeasibleError`` when it does not fit."""
    return emitter_of(plan, chains).emit({})


def emitter_of(plan: Plan, chains: Sequence[Chains] = CHAINS) -> Emitter:
    """What emits the program of a plan."""
    return Emitter(plan.array, plan.physical, plan.placement, plan.tilings, plan.packed, plan.layout, chains)


def _chosen(plan: Plan, chooser: Chooser, estimated: bool) -> Plan:
    """The plan with the chooser's tiling of each item, or the default one. It is asked once per workload of a layer.

    Raises ``InfeasibleError`` when the variants of the convolution that they need do not fit program memory together.
    """
    cache: dict[tuple[str, Geometry, tuple[int, ...], bool], Tiling] = {}
    out = []
    for item, default in zip(plan.placement.items, plan.tilings, strict=True):
        work = workload(plan.array, item, plan.physical, plan.packed)
        key = (work.layer, work.geometry, work.rows, work.in_place)
        if key not in cache:
            cache[key] = chooser(work) or default
        out.append(cache[key])
    if all(a is b for a, b in zip(out, plan.tilings, strict=True)):
        return plan
    device = plan.array.device
    needed = superkernel_bytes(device, plan.placement, plan.physical, used_variants(out))
    if needed > device.program_budget_bytes:
        raise InfeasibleError(
            "superkernel of the chosen tilings", needed, device.program_budget_bytes, "bytes of program memory",
            ("fewer variants of the convolution",),
        )  # fmt: skip
    return replace(plan, tilings=tuple(out), known=None if estimated else plan.estimate)


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
    divisions: tuple[Overlay, ...] = ()  # between which items switch; none: one division serves all
    known: Estimate | None = None  # in place of ``estimate``'s own

    @cached_property
    def estimate(self) -> Estimate:
        """Estimated time; made when it is asked for, since plans that are emulated may need none."""
        return self.known or estimate(self.array, self.physical, self.placement, self.tilings, self.packed)

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
class _Shared:
    """What the plans of one network have in common for every division of core memory."""

    graphs: dict[tuple[PoolPair, ...], tuple[PhysicalGraph, dict[str, PackedConv]]] = field(default_factory=dict)
    maps: dict[tuple[PoolPair, ...], Mapping[str, ChannelMap]] = field(default_factory=dict)
    weights: Packed = field(default_factory=dict)
    grids: dict[tuple[Key, int], tuple[Grid, ...] | None] = field(default_factory=dict)
    counted: Known = field(default_factory=dict)
    shares: Shares = field(default_factory=dict)
    given: Chooser | None = None  # see ``prepare``
    blocks: bool = True  # see ``Moves``
    keep: bool = True
    narrow: frozenset[int] | None = None  # see ``Decisions``
    price: Price = PRICE


class _Planner:
    """Makes plans of one network for one division of core memory; keeps what they have in common."""

    def __init__(
        self,
        device: Device,
        overlay: Overlay,
        fused: LayerGraph,
        moves: Moves,
        shared: _Shared,
        divisions: tuple[Overlay, ...] = (),
    ) -> None:
        """``divisions``: between which items may switch; ``overlay`` is one of them then."""
        self.device, self.overlay, self.fused, self.moves, self.shared = device, overlay, fused, moves, shared
        self.divisions = divisions
        known = shared.counted, shared.shares, shared.price
        self.searches = Searches(shared.grids, shared.given, divisions, moves.blocks, moves.keep, *known)
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
        array, placement, layout = place(array, physical, groups, moves, narrow)
        tilings = tile(array, physical, packed, placement, self.searches)
        return Plan(pools, array, physical, packed, placement, layout, tuple(tilings), self.divisions)

    def repriced(self, price: Price, overlay: Overlay) -> _Planner:
        """For another price of commands and another division of core memory; they share what they know."""
        return _Planner(self.device, overlay, self.fused, self.moves, replace(self.shared, price=price))

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
        made = lagging(array, *plan.stages[1:], plan.packed, moves, self.narrow or frozenset(), flowing)
        if made is None:
            return plan
        array, placement, layout, tilings, times = made
        if not fits_program(array.device, placement, plan.physical, tilings):
            return plan
        other = replace(plan, array=array, placement=placement, layout=layout, tilings=tilings, known=times)
        return min(plan, other, key=lambda p: p.cycles)


def _plans(planner: _Planner, first: bool = False) -> Iterator[Plan]:
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


def _schedule(
    device: Device, fused: LayerGraph, decisions: Decisions, given: Chooser | None, judge: Judge | None
) -> tuple[Plan, _Planner | None]:
    """The best plan, by estimate or by ``judge``, over the divisions of core memory; the first failure if none fits.
    Where commands cost time also what made the first of them."""
    overlay, moves = decisions.overlay, decisions.moves
    shared = _Shared(given=given, blocks=moves.blocks, keep=moves.keep, narrow=decisions.narrow, price=decisions.price)
    if not device.core_ideal:
        planner = _Planner(device, overlay or DIVISIONS[0], fused, moves, shared)
        plan = _narrowed(_best([planner]), planner, judge)
        # A network that takes less than its launch is not worth the search.
        if overlay is not None or judge is None or not moves.divisions or judge(plan) < device.launch_cycles:
            return plan, planner
        others = [_Planner(device, place, fused, moves, shared) for place in other_divisions(fused, moves)]
        return _rehearsed(plan, others, judge), planner
    if overlay is not None:
        options: Sequence[Overlay] = [overlay]
    elif not moves.divisions:
        options = IDEAL_OVERLAYS[:1]
    else:
        first = _first([_Planner(device, option, fused, moves, shared) for option in IDEAL_OVERLAYS])
        # One division for the network is one choice of those that switch, if its weight ring is among theirs.
        if moves.switches and (rings := _rings(device, fused, moves, shared, first)):
            plans = _best_rings(rings)
            refined = [(_refined(p, shared), planner) for p, planner in plans] if moves.refine else plans[:1]
            return min((planner.lagging(p) for p, planner in refined), key=lambda p: p.cycles), None
        cycles = partial(_searched_cycles, first)
        options = best_divisions(
            lambda o: cycles(Searches(shared.grids, blocks=moves.blocks, keep=moves.keep), o), MOST_DIVISIONS
        )
    plan = _best([_Planner(device, option, fused, moves, shared) for option in options])
    plan = _refined(plan, shared) if moves.refine else plan
    return _Planner(device, base_overlay(plan.array.overlay), fused, moves, shared).lagging(plan), None


def _rehearsed(plan: Plan, planners: Sequence[_Planner], judge: Judge) -> Plan:
    """``plan``, or the best plan of the planner whose first plan is faster than it and than the others'.

    Only the best two or three of them by estimate are judged; all, if the network has few items: there the estimate
    knows too little of what the first and the last commands cost.
    """
    firsts = []
    for planner in planners:
        with suppress(InfeasibleError):
            firsts.append((next(_plans(planner, first=True)), planner))
    if not firsts:
        return plan
    items = len(plan.placement.items)
    judged = len(firsts) if items <= FEW_ITEMS else JUDGED + (items <= SOME_ITEMS)
    near = sorted(firsts, key=lambda made: made[0].cycles)[:judged]
    narrowed = [(_narrowed(first, planner, judge), planner) for first, planner in near]
    first, planner = min(narrowed, key=lambda made: judge(made[0]))
    if judge(first) >= judge(plan):
        return plan
    return min(first, _narrowed(_best([planner]), planner, judge), key=judge)


def _rings(device: Device, fused: LayerGraph, moves: Moves, shared: _Shared, first: Plan) -> list[_Planner]:
    """Planners for the weight rings with which the items of the first plan are fastest in closed form."""
    planners: dict[tuple[Overlay, ...], _Planner] = {}

    def cycles(divisions: tuple[Overlay, ...]) -> float:
        planners[divisions] = _Planner(device, divisions[0], fused, moves, shared, divisions)
        return _searched_cycles(first, planners[divisions].searches, divisions[0])

    return [planners[divisions] for divisions in best_switches(cycles, MOST_SWITCHES)]


def _best_rings(planners: Sequence[_Planner]) -> list[tuple[Plan, _Planner]]:
    """The best plan of the two best weight rings, by estimate; the best first. The second is made like the first."""
    (least, best), *others = _ranked(planners)
    plans = [(min(_plans(best), key=lambda p: p.cycles), best)]
    for cycles, planner in others[:1]:
        if cycles <= least * NEARLY:
            with suppress(InfeasibleError):
                plans.append((planner.likewise(plans[0][0]), planner))
    return plans


def _narrowed(plan: Plan, planner: _Planner, judge: Judge | None = None) -> Plan:
    """The plan with sums of fewer columns, and with small images on half of them, where it is faster so.

    Small images are where commands bound them. There a global pool may find its whole image next door, and is faster
    without sums (``plan.sums``): ``judge`` says.
    """
    plan = _in_reach(plan, planner, judge)
    asked = planner.moves.narrow and planner.moves.splits and planner.narrow is None
    heights = narrow_heights(*plan.stages) if asked else frozenset()
    if not heights:
        return plan
    found = []
    either = any(p.sums for p in plan.pools) and not planner.moves.always
    for pools in (plan.pools, without_sums(plan.pools))[: 1 + either]:
        with suppress(InfeasibleError):
            found.append(planner.likewise(plan, heights, pools))
    if not found or _counted(plan) <= min(map(_counted, found)):
        return plan
    return min(found, key=judge or _counted) if len(found) > 1 else found[0]


def _in_reach(plan: Plan, planner: _Planner, judge: Judge | None) -> Plan:
    """The plan with sums of columns in reach alone, unless those of one more are faster (``Array.lends``).

    By estimate; of networks that are soon emitted ``judge`` has the last word. Of few items the estimate has none.
    """
    if not plan.array.lends or planner.moves.always:
        return plan
    kept = {(p.conv, p.pool) for p in plan.pools}
    pools = tuple(p for p in planner.pairs(False) if (p.conv, p.pool) in kept)
    try:
        fewer = planner.likewise(plan, pools=pools)
    except InfeasibleError:
        return plan
    items = len(plan.placement.items)
    if not worth_a_column(plan.stages, fewer.stages):
        return fewer
    if judge is not None and items <= SOME_ITEMS:
        return min(fewer, plan, key=judge)
    return plan if items > FEW_ITEMS else fewer


def _counted(plan: Plan) -> float:
    return sum(max(cost) for cost in costs(*plan.stages))


def _first(planners: Sequence[_Planner]) -> Plan:
    """The first plan that there is; the first failure if there is none."""
    failure: InfeasibleError | None = None
    for planner in planners:
        try:
            return next(_plans(planner, first=True))
        except InfeasibleError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def other_divisions(fused: LayerGraph, moves: Moves) -> tuple[Overlay, ...]:
    """The divisions of core memory to try beside the default where commands cost time."""
    adds = any(isinstance(n, Conv) and n.tail and n.tail.residual for n in fused.layers)
    return (*DIVISIONS[1:], KEEPING) if moves.keep and adds else DIVISIONS[1:]


def _refined(plan: Plan, shared: _Shared) -> Plan:
    """The plan with other tilings of nearly equal cycles where the recurrence finds them faster."""
    # Of many divisions those that some item uses: the others were not best for any.
    used = tuple(dict.fromkeys(t.division for t in plan.tilings if t.division))
    searches = Searches(shared.grids, divisions=used, blocks=shared.blocks, keep=shared.keep)
    others = partial(searches.others, plan.array, physical=plan.physical, packed=plan.packed)
    tilings, times = refine(plan.array, plan.physical, plan.placement, plan.tilings, plan.packed, others)
    if times.total >= plan.cycles or not fits_program(plan.array.device, plan.placement, plan.physical, tilings):
        return plan
    return replace(plan, tilings=tilings, known=times)


# Divisions whose first plans are emulated, besides the default: all for few items, else so many that are best by
# estimate, and one more for some items, whose programs are soon emitted.
FEW_ITEMS, SOME_ITEMS = 8, 40
JUDGED = 2
MOST_DIVISIONS = 4  # that get a placement and an estimate
MOST_SWITCHES = 4  # weight rings with which items may switch divisions, likewise


def _best(planners: Sequence[_Planner]) -> Plan:
    """The best plan by estimate; the first failure if there is none."""
    # Only the two best divisions by their first plan are worth all plans.
    ranked = [(0.0, planners[0])] if len(planners) == 1 else _ranked(planners)[:2]
    return min((plan for _, planner in ranked for plan in _plans(planner)), key=lambda p: p.cycles)


def _ranked(planners: Sequence[_Planner]) -> list[tuple[float, _Planner]]:
    """Those that find a plan, with the estimated cycles of their first, best first; if none does, its failure."""
    found: list[tuple[float, int]] = []
    failure: InfeasibleError | None = None
    for k, planner in enumerate(planners):
        try:
            found.append((min(p.cycles for p in _plans(planner, first=True)), k))
        except InfeasibleError as error:
            failure = failure or error
    if not found:
        assert failure is not None
        raise failure
    return [(cycles, planners[k]) for cycles, k in sorted(found)]


def _searched_cycles(plan: Plan, searches: Searches, overlay: Overlay) -> float:
    """Sum of the estimates of the best tilings of a plan's items under another division, or those of ``searches``;
    infinite if an item has none."""
    array = replace(plan.array, overlay=overlay)
    try:
        return sum(searches.cycles(array, item, plan.physical, plan.packed) for item in plan.placement.items)
    except InfeasibleError:
        return inf
