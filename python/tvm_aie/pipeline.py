"""The stages after ``lower``, in order: the table of contents of the backend (DESIGN section 3)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from tvm_aie.collector import seldom_collected
from tvm_aie.cost.estimate import Estimate
from tvm_aie.cost.refine import refine
from tvm_aie.decisions import UNTUNED as UNTUNED
from tvm_aie.decisions import Decisions as Decisions
from tvm_aie.decisions import Moves as Moves
from tvm_aie.device import Device, load_device
from tvm_aie.emit.arrange import CHAINS, Chains
from tvm_aie.emit.emitter import Emitter
from tvm_aie.emit.program import Program
from tvm_aie.emit.superkernel import superkernel_bytes, used_variants
from tvm_aie.emit.verify_lag import verify_lags
from tvm_aie.emit.weights import verify_covers
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.meta import program_meta
from tvm_aie.misfits import easier
from tvm_aie.narrow import costs, narrow_heights, worth_a_column
from tvm_aie.plan.front import front_pairs, with_fronts
from tvm_aie.plan.fuse import fuse, without_sums
from tvm_aie.plan.graph import Conv, LayerGraph
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.plan.space_to_depth import space_to_depth
from tvm_aie.plan.unite import common_accumulators, unite
from tvm_aie.planner import Judge as Judge
from tvm_aie.planner import Plan as Plan
from tvm_aie.planner import Planner, Shared, plans
from tvm_aie.schedule.control import Price
from tvm_aie.schedule.division import NEARLY, best_divisions, best_switches, wide
from tvm_aie.schedule.geometry import DIVISIONS, IDEAL_OVERLAYS, KEEPING, Geometry, Overlay
from tvm_aie.schedule.rings import Fitted
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Chooser, Searches, base_overlay, workload
from tvm_aie.tiled import fits_program


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
    planner: Planner | None = None  # that made plans first, and knows what others need


@seldom_collected
def prepare(
    graph: LayerGraph,
    device: Device | str = "npu1",
    decisions: Decisions = UNTUNED,
    given: Chooser | None = None,
    judge: Judge | None = None,
    like: Prepared | None = None,
) -> Prepared:
    """The stages before tilings are chosen; ``finish`` may be called on the result many times.

    ``given``: tilings that are known and need no search; None for a workload: search. ``judge``: compares whole plans
    where commands cost time (``rehearse``); None: the estimate does, and core memory has its default division.
    ``like``: of the same network under other decisions; what was found for it serves again.

    Where there is no plan, and decisions are the compiler's own, easier ones are tried (``misfits``). Raises
    ``InfeasibleError`` with the layers that do not fit.
    """
    dev = load_device(device) if isinstance(device, str) else device
    graph.verify()
    try:
        return _prepared(graph, dev, decisions, given, judge, like)
    except InfeasibleError as error:
        if given is not None or decisions.overlay is not None:
            raise
        others = DIVISIONS[1:] if decisions.moves.divisions and not dev.core_ideal else ()
        decisions = easier(graph, decisions, partial(require_plan, dev), others, error)
    return _prepared(graph, dev, decisions, given, judge, like)


def _fused(graph: LayerGraph, dev: Device, decisions: Decisions) -> LayerGraph:
    # residual adds and per-channel constants run in the epilogue of the convolution before them
    fused = fuse(graph, decisions.unfused) if decisions.moves.tails else graph
    if decisions.moves.space_to_depth:
        fused = space_to_depth(fused)
    # siblings share an item; where commands cost time, those of different windows are one convolution
    fused = unite(fused) if decisions.moves.unite and not dev.core_ideal else common_accumulators(fused)
    # 1x1 convolutions run in front of the windows that read them, where whole plans are faster so (``rehearse``)
    fused = with_fronts(fused, decisions.fronts)
    fused.verify()
    return fused


def _prepared(
    graph: LayerGraph,
    dev: Device,
    decisions: Decisions,
    given: Chooser | None,
    judge: Judge | None,
    like: Prepared | None,
) -> Prepared:
    # pools run inside convolutions and siblings share an item where that is faster by estimate; channels have places
    # in blocks of 8, weights are mmul tiles, each tensor has a home, and each item fits its cores
    shared = _shared(decisions, given, like)
    plan, planner = _schedule(dev, _fused(graph, dev, decisions), decisions, shared, judge)
    return Prepared(graph, dev, plan, CHAINS if decisions.moves.chains else (), decisions, planner)


def _shared(decisions: Decisions, given: Chooser | None, like: Prepared | None) -> Shared:
    """What the plans of a network have in common under these decisions."""
    moves = decisions.moves
    shared = Shared(given=given, blocks=moves.blocks, keep=moves.keep, narrow=decisions.narrow, price=decisions.price)
    if like is None or like.planner is None or given is not None:
        return shared
    known, before = like.planner.shared, like.decisions.moves
    same = (before.blocks, before.keep, before.joined) == (moves.blocks, moves.keep, moves.joined)
    return known.under(shared) if same and known.given is None else shared


def repriced(prepared: Prepared, price: Price, overlay: Overlay) -> Prepared:
    """The plan with its pools, siblings and runs, but tilings for another price of commands and, maybe, another
    division of core memory. Where commands cost time only. Raises ``InfeasibleError`` when nothing fits."""
    assert prepared.planner is not None
    decisions = replace(prepared.decisions, price=price, overlay=overlay)
    planner = prepared.planner.repriced(price, overlay)
    plan = _narrowed(planner.likewise(prepared.plan), planner)
    return replace(prepared, plan=plan, decisions=decisions)


def worthwhile_fronts(prepared: Prepared, overlay: Overlay) -> frozenset[str]:
    """Convolutions that are faster with the 1x1 convolution in front of them in their item (``plan.front``), by
    estimate and with this division of core memory; none where a pair does not fit a core."""
    planner, plan = prepared.planner, prepared.plan
    pairs = front_pairs(planner.fused) if planner and not prepared.device.core_ideal else {}
    if not pairs or planner is None:
        return frozenset()
    with suppress(InfeasibleError):
        apart = planner.with_fronts((), overlay).likewise(plan).costs()
        names = {conv for conv, front in pairs.items() if conv in apart and front in apart}
        while names:
            try:
                joint = planner.with_fronts(names, overlay).likewise(plan).costs()
            except InfeasibleError as error:
                if not names & set(error.layers):
                    raise
                names -= set(error.layers)
                continue
            return frozenset(n for n in names if joint.get(n, inf) < apart[n] + apart[pairs[n]])
    return frozenset()


def require_plan(dev: Device, graph: LayerGraph, decisions: Decisions) -> None:
    """Raise ``InfeasibleError`` unless there is a plan of the graph."""
    moves, fused = decisions.moves, _fused(graph, dev, decisions)
    default = IDEAL_OVERLAYS[: None if moves.divisions else 1] if dev.core_ideal else DIVISIONS[:1]
    overlays = [decisions.overlay] if decisions.overlay else default
    shared = Shared(blocks=moves.blocks, keep=moves.keep, narrow=decisions.narrow)
    _first([Planner(dev, overlay, fused, moves, shared) for overlay in overlays])


@seldom_collected
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
    return Emitter(
        plan.array, plan.physical, plan.placement, plan.tilings, plan.packed, plan.layout, chains, plan.streams
    )


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


def _schedule(
    device: Device, fused: LayerGraph, decisions: Decisions, shared: Shared, judge: Judge | None
) -> tuple[Plan, Planner | None]:
    """The best plan, by estimate or by ``judge``, over the divisions of core memory; the first failure if none fits.
    Where commands cost time also what made the first of them."""
    overlay, moves = decisions.overlay, decisions.moves
    if not device.core_ideal:
        planner = Planner(device, overlay or DIVISIONS[0], fused, moves, shared)
        plan = _narrowed(_best([planner]), planner, judge)
        # A network that takes less than its launch is not worth the search.
        if overlay is not None or judge is None or not moves.divisions or judge(plan) < device.launch_cycles:
            return plan, planner
        others = [Planner(device, place, fused, moves, shared) for place in other_divisions(fused, moves)]
        return _rehearsed(plan, others, judge), planner
    if overlay is not None:
        options: Sequence[Overlay] = [overlay]
    elif not moves.divisions:
        options = IDEAL_OVERLAYS[:1]
    else:
        first = _first([Planner(device, option, fused, moves, shared) for option in IDEAL_OVERLAYS])
        # One division for the network is one choice of those that switch, if its weight ring is among theirs.
        if moves.switches and (rings := _rings(device, fused, moves, shared, first)):
            plans = _best_rings(rings)
            refined = [(_refined(p, shared), planner) for p, planner in plans] if moves.refine else plans[:1]
            made = [(planner.lagging(p), p) for p, planner in refined]
            return min(made, key=lambda pair: pair[0].cycles)[0], None
        cycles = partial(_searched_cycles, first)
        options = best_divisions(
            lambda o: cycles(Searches(shared.grids, blocks=moves.blocks, keep=moves.keep), o), MOST_DIVISIONS
        )
    plan = _best([Planner(device, option, fused, moves, shared) for option in options])
    plan = _refined(plan, shared) if moves.refine else plan
    return Planner(device, base_overlay(plan.array.overlay), fused, moves, shared).lagging(plan), None


def _rehearsed(plan: Plan, planners: Sequence[Planner], judge: Judge) -> Plan:
    """``plan``, or the best plan of the planner whose first plan is faster than it and than the others'.

    Only the best two or three of them by estimate are judged; all, if the network has few items: there the estimate
    knows too little of what the first and the last commands cost.
    """
    firsts = []
    for planner in planners:
        with suppress(InfeasibleError):
            firsts.append((next(plans(planner, first=True)), planner))
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


def _rings(device: Device, fused: LayerGraph, moves: Moves, shared: Shared, first: Plan) -> list[Planner]:
    """Planners for the weight rings with which the items of the first plan are fastest in closed form."""
    planners: dict[Fitted, Planner] = {}

    def cycles(divisions: Fitted) -> float:
        overlay = wide(divisions.w_slot, divisions.w_slots)
        planners[divisions] = Planner(device, overlay, fused, moves, shared, divisions)
        return _searched_cycles(first, planners[divisions].searches, overlay)

    return [planners[divisions] for divisions in best_switches(cycles, MOST_SWITCHES)]


def _best_rings(planners: Sequence[Planner]) -> list[tuple[Plan, Planner]]:
    """The best plan of the two best weight rings, by estimate; the best first. The second is made like the first."""
    (least, best), *others = _ranked(planners)
    made = [(min(plans(best), key=lambda p: p.cycles), best)]
    for cycles, planner in others[:1]:
        if cycles <= least * NEARLY:
            with suppress(InfeasibleError):
                made.append((planner.likewise(made[0][0]), planner))
    return made


def _narrowed(plan: Plan, planner: Planner, judge: Judge | None = None) -> Plan:
    """The plan with sums of fewer columns, and with small images on half of them, where it is faster so.

    Small images are where commands bound them. There a global pool may find its whole image next door, and is faster
    without sums (``plan.sums``): ``judge`` says.
    """
    plan = _in_reach(plan, planner, judge)
    asked = planner.moves.narrow and planner.moves.splits and planner.narrow is None
    heights = narrow_heights(*plan.stages, plan.commands) if asked else frozenset()
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


def _in_reach(plan: Plan, planner: Planner, judge: Judge | None) -> Plan:
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
    if not worth_a_column(plan.stages, fewer.stages, plan.commands):
        return fewer
    if judge is not None and items <= SOME_ITEMS:
        return min(fewer, plan, key=judge)
    return plan if items > FEW_ITEMS else fewer


def _counted(plan: Plan) -> float:
    return sum(max(cost) for cost in costs(*plan.stages, known=plan.commands))


def _first(planners: Sequence[Planner]) -> Plan:
    """The first plan that there is; the first failure if there is none."""
    failure: InfeasibleError | None = None
    for planner in planners:
        try:
            return next(plans(planner, first=True))
        except InfeasibleError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def other_divisions(fused: LayerGraph, moves: Moves) -> tuple[Overlay, ...]:
    """The divisions of core memory to try beside the default where commands cost time."""
    adds = any(isinstance(n, Conv) and n.tail and n.tail.residual for n in fused.layers)
    return (*DIVISIONS[1:], KEEPING) if moves.keep and adds else DIVISIONS[1:]


def _shortlist(plan: Plan, shared: Shared) -> Callable[[WorkItem], list[Tiling]]:
    """Other tilings of an item that take nearly as few cycles in closed form."""
    searches = Searches(shared.grids, divisions=plan.divisions, blocks=shared.blocks, keep=shared.keep)
    return partial(searches.others, plan.array, physical=plan.physical, packed=plan.packed)


def _refined(plan: Plan, shared: Shared) -> Plan:
    """The plan with other tilings of nearly equal cycles where the recurrence finds them faster."""
    others = _shortlist(plan, shared)
    tilings, times = refine(
        plan.array, plan.physical, plan.placement, plan.tilings, plan.packed, others, known=plan.loads
    )
    if times.total >= plan.cycles or not fits_program(plan.array.device, plan.placement, plan.physical, tilings):
        return plan
    return replace(plan, tilings=tilings, known=times)


# Divisions whose first plans are emulated, besides the default: all for few items, else so many that are best by
# estimate, and one more for some items, whose programs are soon emitted.
FEW_ITEMS, SOME_ITEMS = 8, 40
JUDGED = 2
MOST_DIVISIONS = 4  # that get a placement and an estimate
MOST_SWITCHES = 4  # weight rings with which items may switch divisions, likewise


def _best(planners: Sequence[Planner]) -> Plan:
    """The best plan by estimate; the first failure if there is none."""
    # Only the two best divisions by their first plan are worth all plans.
    ranked = [(0.0, planners[0])] if len(planners) == 1 else _ranked(planners)[:2]
    return min((plan for _, planner in ranked for plan in plans(planner)), key=lambda p: p.cycles)


def _ranked(planners: Sequence[Planner]) -> list[tuple[float, Planner]]:
    """Those that find a plan, with the estimated cycles of their first, best first; if none does, its failure."""
    found: list[tuple[float, int]] = []
    failure: InfeasibleError | None = None
    for k, planner in enumerate(planners):
        try:
            found.append((min(p.cycles for p in plans(planner, first=True)), k))
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
