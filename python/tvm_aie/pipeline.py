"""The stages after ``lower``, in order: the table of contents of the backend (DESIGN section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

from tvm_aie.cost.estimate import Estimate, estimate
from tvm_aie.cost.refine import refine
from tvm_aie.device import Device, load_device
from tvm_aie.emit.emitter import Emitter
from tvm_aie.emit.memtile import MemtileMap, memtile_map, opcode_bytes_estimate
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Program
from tvm_aie.emit.weights import PackedConv, pack_conv
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem, plan_memory
from tvm_aie.narrow import costs, narrow_heights
from tvm_aie.plan.balance import balanced_maps
from tvm_aie.plan.fuse import PoolPair, fuse, fuse_pools, pool_pairs
from tvm_aie.plan.graph import Conv, LayerGraph
from tvm_aie.plan.physical import PhysicalGraph, assign_channels
from tvm_aie.plan.pitch import pitched
from tvm_aie.plan.siblings import Groups, sibling_groups
from tvm_aie.plan.space_to_depth import space_to_depth
from tvm_aie.schedule.cover import DENSE, INT4, INT16, LIST, VARIANTS
from tvm_aie.schedule.division import best_divisions, best_switches
from tvm_aie.schedule.geometry import IDEAL_OVERLAYS, Geometry, Overlay
from tvm_aie.schedule.grid import Grid
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import JOIN, Chooser, Key, Searches, group_name, item_name, workload


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


@dataclass(frozen=True)
class Moves:
    """Which moves the schedule may make.

    ``tails``: adds and constants in a convolution's epilogue (``plan.fuse``); ``pools``: pools in a convolution's call
    (``plan.fuse``); ``siblings``: convolutions of one input share an item (``plan.siblings``); ``splits``: rows of an
    image are packed into columns so that few reads are far (``memory.partition``); ``spread``: channels of a global
    pool over the columns (``memory.placement``); ``runs``: layers depth-first where what lies between them does not fit
    (``memory.depth_first``); ``chains``: messages and items share descriptors and tasks (``emit.transfers``,
    ``emit.commands``); ``divisions``: core memory is divided for the network (``schedule.division``);
    ``switches``: and, but for the weight ring, anew for each item (``emit.division``);
    ``blocks``: the last input chunk is computed and sent output block by output block (``schedule.tiling``);
    ``balance``: output blocks in an order in which core rows have equal work (``plan.balance``);
    ``refine``: of nearly equal tilings the one that the recurrence over messages finds fastest (``cost.refine``);
    ``pitch``: images are enlarged so that output messages are whole slots, alike in all columns (``plan.pitch``);
    ``narrow``: small images are left to half of the columns where commands bound them (``memory.partition``).
    ``space_to_depth``: pixels of a network's input become channels where that fills blocks (``plan.space_to_depth``).
    ``always``: pools and siblings without asking the estimate.
    """

    tails: bool = True
    pools: bool = True
    siblings: bool = True
    splits: bool = True
    spread: bool = True
    runs: bool = True
    chains: bool = True
    divisions: bool = True
    switches: bool = True
    blocks: bool = True
    balance: bool = True
    refine: bool = True
    pitch: bool = True
    narrow: bool = True
    space_to_depth: bool = True
    always: bool = False


@dataclass(frozen=True)
class Decisions:
    """What is settled for a whole network before the tilings.

    ``overlay``: division of core memory (None: the device's default, or the best by estimate of its options);
    ``unfused``: names of adds that stay items of their own; ``moves``: what else the schedule may do; ``narrow``: image
    heights on half of the columns (None: by estimate).
    """

    overlay: Overlay | None = None
    unfused: frozenset[str] = frozenset()
    moves: Moves = Moves()
    narrow: frozenset[int] | None = None


UNTUNED = Decisions()


def compile_graph(
    graph: LayerGraph,
    device: Device | str = "npu1",
    overlay: Overlay | None = None,
    chooser: Chooser | None = None,
    moves: Moves = Moves(),
) -> Compiled:
    """Compile a layer graph for a device. ``chooser`` may overrule the sub-volume search (tuned records).

    ``moves``: what the schedule may do; for ablations.

    Raises ``InfeasibleError`` when a layer cannot be cut to fit, ``ProgramError`` when a hardware limit is violated.
    """
    return finish(prepare(graph, device, Decisions(overlay, moves=moves)), chooser)


@dataclass(frozen=True)
class Prepared:
    """Everything that no chosen tiling changes: the plan that is best by estimate, with its default tilings."""

    graph: LayerGraph
    device: Device
    plan: Plan
    chains: bool = True  # see ``Moves``


def prepare(
    graph: LayerGraph, device: Device | str = "npu1", decisions: Decisions = UNTUNED, given: Chooser | None = None
) -> Prepared:
    """The stages before tilings are chosen; ``finish`` may be called on the result many times.

    ``given``: tilings that are known and need no search; None for a workload: search.
    """
    dev = load_device(device) if isinstance(device, str) else device
    graph.verify()
    # residual adds and per-channel constants run in the epilogue of the convolution before them
    fused = fuse(graph, decisions.unfused) if decisions.moves.tails else graph
    if decisions.moves.space_to_depth:
        fused = space_to_depth(fused)
    fused.verify()
    # pools run inside convolutions and siblings share an item where that is faster by estimate; channels have places
    # in blocks of 8, weights are mmul tiles, each tensor has a home, and each item fits its cores
    plan = _schedule(dev, fused, decisions, given)
    return Prepared(graph, dev, plan, decisions.moves.chains)


def finish(prepared: Prepared, chooser: Chooser | None = None, estimated: bool = True) -> Compiled:
    """Take the tilings that ``chooser`` wants and emit the program. Raises as ``compile_graph``.

    ``estimated``: estimate the chosen tilings; False leaves the estimate of the default ones, for trials.
    """
    dev, plan = prepared.device, prepared.plan
    if chooser is not None:
        plan = _chosen(plan, chooser, estimated)
    # descriptors, locks, opcode and weight streams, commands
    program = _emitter(plan, prepared.chains).emit(describe(plan, dev))
    # every hardware limit of the device file is satisfied
    program.verify(dev)
    return Compiled(prepared.graph, plan.physical, plan.placement, plan.tilings, program, dev, plan.estimate)


def scheduled(prepared: Prepared, chooser: Chooser) -> tuple[Plan, Emitter]:
    """The plan with the tilings that ``chooser`` wants, and what emits it: ``finish`` as far as the cost model needs.

    Raises as ``compile_graph``.
    """
    plan = _chosen(prepared.plan, chooser, False)
    return plan, _emitter(plan, prepared.chains)


def _emitter(plan: Plan, chains: bool) -> Emitter:
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
    chosen = replace(plan, tilings=tuple(out))
    if not estimated:
        return chosen
    return replace(chosen, estimate=estimate(plan.array, plan.physical, plan.placement, out, plan.packed))


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
    estimate: Estimate
    divisions: tuple[Overlay, ...] = ()  # between which items switch; none: one division serves all

    @property
    def stages(self) -> tuple[Array, PhysicalGraph, Placement, tuple[Tiling, ...]]:
        """What follows from the choices."""
        return self.array, self.physical, self.placement, self.tilings

    @property
    def cycles(self) -> float:
        """Estimated."""
        return self.estimate.total

    def costs(self) -> dict[str, float]:
        """Estimated cycles by item name."""
        out: dict[str, float] = {}
        for item, cycles in zip(self.placement.items, self.estimate.cycles, strict=True):
            name = item_name(item, self.physical)
            out[name] = out.get(name, 0.0) + cycles
        return out


@dataclass(frozen=True)
class _Shared:
    """What the plans of one network have in common for every division of core memory."""

    graphs: dict[tuple[PoolPair, ...], tuple[PhysicalGraph, dict[str, PackedConv]]] = field(default_factory=dict)
    grids: dict[Key, tuple[Grid, ...] | None] = field(default_factory=dict)
    given: Chooser | None = None  # see ``prepare``
    blocks: bool = True  # see ``Moves``
    narrow: frozenset[int] | None = None  # see ``Decisions``


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
        self.device, self.overlay, self.fused, self.moves = device, overlay, fused, moves
        self.divisions = divisions
        self.searches = Searches(shared.grids, shared.given, divisions, moves.blocks)
        self.graphs, self.narrow = shared.graphs, shared.narrow

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
            if self.moves.balance and (maps := balanced_maps(physical, self.device.rows, self.moves.siblings)):
                physical = assign_channels(graph, maps)
            if self.moves.pitch and self.device.push_idle_cycles:
                physical = pitched(physical, self.device.cols, self.device.memtile_bd.pad_max(0))
            physical.verify()
            self.graphs[pools] = physical, _pack(physical)
        physical, packed = self.graphs[pools]
        groups: list[tuple[int, ...]] = []
        for group in sibling_groups(physical):
            joint = self.moves.siblings and wanted(group_name(group, physical))
            groups += [group] if joint else [(m,) for m in group]
        array = Array(self.device, self.overlay)
        array, placement, layout = _place(
            array, physical, tuple(sorted(groups)), replace(self.moves, runs=runs and self.moves.runs), narrow
        )
        tilings = _tile(array, physical, packed, placement, self.searches)
        times = estimate(array, physical, placement, tilings, packed)
        return Plan(pools, array, physical, packed, placement, layout, tuple(tilings), times, self.divisions)


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

    pairs = pool_pairs(planner.fused) if planner.moves.pools else ()
    together = list(attempt(pairs, lambda _: True))
    yield from together
    alone = not (planner.moves.pools or planner.moves.siblings or planner.moves.runs)  # there is no other plan
    if together and (first or alone):
        return
    if not together or together[0].placement.runs:
        yield from attempt(pairs, lambda _: True, False)
    if planner.moves.always and together:
        return
    apart = list(attempt((), lambda _: False))
    yield from apart
    if together and apart:
        single, joint = apart[0].costs(), together[0].costs()
        gain = {n: sum(single.get(m, inf) for m in n.split(JOIN)) - cost for n, cost in joint.items()}
        kept = tuple(p for p in pairs if gain.get(p.conv, inf) + single.get(p.pool, 0.0) > 0)
        yield from attempt(kept, lambda name: gain.get(name, 0.0) > 0)
    elif not together and not apart:
        raise failures[0]


def _pack(physical: PhysicalGraph) -> dict[str, PackedConv]:
    views = physical.views
    return {
        layer.name: pack_conv(layer, views[layer.input], views[layer.output])
        for layer in physical.layers
        if isinstance(layer, Conv)
    }


def _place(
    array: Array, physical: PhysicalGraph, groups: Groups, moves: Moves, narrow: frozenset[int]
) -> tuple[Array, Placement, MemtileMap]:
    """Give every tensor a home, then what memory is left to the weight rings.

    The opcode region grows with the number of items, which depends on the placement: repeat until it holds.
    """
    opcode = opcode_bytes_estimate(len(physical.layers), array.overlay.a_slot)
    while True:
        layout = memtile_map(array, opcode)
        capacity = array.device.memtile_col_bytes - layout.heap_base
        placement = plan_memory(
            physical,
            array.cols,
            capacity,
            groups,
            array.device.keys()["cmd.push_idle_cycles"] if moves.spread else None,
            moves.splits,
            array.rows if moves.runs else None,
            narrow,
        )
        needed = opcode_bytes_estimate(len(placement.items), array.overlay.a_slot)
        if needed <= opcode:
            break
        opcode = needed
    array = replace(array, overlay=grow_weight_rings(array, capacity - placement.peak_bytes))
    layout = memtile_map(array, opcode)
    return array, _offset(placement, layout.heap_base), layout


def _schedule(device: Device, fused: LayerGraph, decisions: Decisions, given: Chooser | None = None) -> Plan:
    """The best plan by estimate, over the divisions of core memory; the first failure if there is none."""
    overlay, moves = decisions.overlay, decisions.moves
    shared = _Shared(given=given, blocks=moves.blocks, narrow=decisions.narrow)
    if not device.core_ideal:
        planner = _Planner(device, overlay or Overlay(), fused, moves, shared)
        return _narrowed(_best([planner]), planner)
    switches: Sequence[tuple[Overlay, ...]] = ()
    if overlay is not None:
        options: Sequence[Overlay] = [overlay]
    elif not moves.divisions:
        options = IDEAL_OVERLAYS[:1]
    else:
        first = _first([_Planner(device, option, fused, moves, shared) for option in IDEAL_OVERLAYS])
        if moves.switches:
            switches = best_switches(partial(_switched_cycles, first, shared), MOST_SWITCHES)
        # One division for the network is one choice of those that switch, if its weight ring is among theirs.
        options = () if switches else best_divisions(partial(_tiled_cycles, first, shared), MOST_DIVISIONS)
    planners = [_Planner(device, option, fused, moves, shared) for option in options]
    planners += [_Planner(device, each[0], fused, moves, shared, each) for each in switches]
    plan = _best(planners, 1 if switches else 2)
    return _refined(plan, shared) if moves.refine else plan


def _narrowed(plan: Plan, planner: _Planner) -> Plan:
    """The plan with small images on half of the columns, where commands bound them and it is faster so."""
    asked = planner.moves.narrow and planner.moves.splits and planner.narrow is None
    heights = narrow_heights(*plan.stages) if asked else frozenset()
    if not heights:
        return plan
    joint = {item_name(item, plan.physical) for item in plan.placement.items}
    try:
        other = planner.plan(plan.pools, lambda name: name in joint, bool(plan.placement.runs), heights)
    except InfeasibleError:
        return plan
    return min(plan, other, key=lambda p: sum(max(cost) for cost in costs(*p.stages)))


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


def _refined(plan: Plan, shared: _Shared) -> Plan:
    """The plan with other tilings of nearly equal cycles where the recurrence finds them faster."""
    # Of many divisions those that some item uses: the others were not best for any.
    used = tuple(dict.fromkeys(t.division for t in plan.tilings if t.division))
    searches = Searches(shared.grids, divisions=used, blocks=shared.blocks)
    others = partial(searches.others, plan.array, physical=plan.physical, packed=plan.packed)
    tilings, times = refine(plan.array, plan.physical, plan.placement, plan.tilings, plan.packed, others)
    needed = superkernel_bytes(plan.array.device, plan.placement, plan.physical, used_variants(tilings))
    if times.total >= plan.cycles or needed > plan.array.device.program_budget_bytes:
        return plan
    return replace(plan, tilings=tilings, estimate=times)


MOST_DIVISIONS = 4  # that get a placement and an estimate
MOST_SWITCHES = 2  # weight rings with which items may switch divisions, likewise


def _best(planners: Sequence[_Planner], all_of: int = 2) -> Plan:
    """The best plan by estimate; the first failure if there is none. ``all_of``: planners that make all plans."""
    if len(planners) == 1:
        return min(_plans(planners[0]), key=lambda p: p.cycles)
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
    # Only the best divisions by their first plan are worth all plans.
    plans = [plan for _, k in sorted(found)[:all_of] for plan in _plans(planners[k])]
    return min(plans, key=lambda p: p.cycles)


def _tiled_cycles(plan: Plan, shared: _Shared, overlay: Overlay) -> float:
    """Sum of the estimates of the best tilings of a plan's items under another division; infinite if one has none."""
    array = replace(plan.array, overlay=overlay)
    searches = Searches(shared.grids, blocks=shared.blocks)
    try:
        return sum(searches.cycles(array, item, plan.physical, plan.packed) for item in plan.placement.items)
    except InfeasibleError:
        return inf


def _switched_cycles(plan: Plan, shared: _Shared, divisions: tuple[Overlay, ...]) -> float:
    """The same where each item has the best of some divisions."""
    array = replace(plan.array, overlay=divisions[0])
    searches = Searches(shared.grids, divisions=divisions, blocks=shared.blocks)
    try:
        return sum(searches.cycles(array, item, plan.physical, plan.packed) for item in plan.placement.items)
    except InfeasibleError:
        return inf


def grow_weight_rings(array: Array, spare: int) -> Overlay:
    """The overlay with memtile weight rings grown into ``spare`` bytes: more weights are prefetched."""
    ov, dev = array.overlay, array.device
    most = min(dev.lock_max, dev.iteration_wrap_max)
    ring = ov.memtile_w_slot * ov.memtile_w_slots + spare // array.rings
    slot = ov.memtile_w_slot
    while ring // slot > most and slot < MAX_W_SLOT:
        slot *= 2
    return replace(ov, memtile_w_slot=slot, memtile_w_slots=min(most, ring // slot))


MAX_W_SLOT = 8192


def item_kernels(item: WorkItem) -> frozenset[str]:
    """Kernels of an item, as ``[instructions]`` of the device file names them; a pool inside a call is one."""
    kernels = {item.geometry.kernel.name.lower()}
    if item.geometry.pool is not None:
        kernels.add("avgpool" if item.geometry.pool.average else "maxpool")
    if item.geometry.wide:
        kernels.add(INT16)
    return frozenset(kernels)


def has_tail(item: WorkItem, physical: PhysicalGraph) -> bool:
    """Whether a convolution of the item has a second stage (``plan.fuse``): on a core that is the loop of ADD."""
    layers = (physical.layers[m] for m in item.members)
    return any(isinstance(layer, Conv) and layer.tail is not None for layer in layers)


def used_variants(tilings: Sequence[Tiling]) -> frozenset[str]:
    """Variants of the convolution that the tilings need."""
    return frozenset[str]().union(*(t.cover.variants for t in tilings if t.cover))


def superkernel_bytes(device: Device, placement: Placement, physical: PhysicalGraph, variants: frozenset[str]) -> int:
    """Program memory of a superkernel with the kernels of all items and these variants of the convolution (bytes)."""
    kernels = frozenset[str]().union(*(item_kernels(item) for item in placement.items))
    tails = any(has_tail(item, physical) for item in placement.items)
    return device.instructions.total(kernels | variants | ({"add"} if tails else frozenset()))


def _tile(
    array: Array,
    physical: PhysicalGraph,
    packed: dict[str, PackedConv],
    placement: Placement,
    searches: Searches,
) -> list[Tiling]:
    """Cut every item so that each piece fits a core, and the superkernel its program memory.

    Each layer takes the variants of the convolution that suit it. Where they do not fit together, the best set that
    does is allowed, by the estimated time of the whole network.
    """

    def fits(variants: frozenset[str]) -> bool:
        return superkernel_bytes(array.device, placement, physical, variants) <= array.device.program_budget_bytes

    def tiled(variants: frozenset[str]) -> list[Tiling]:
        return [searches.tiling(array, item, physical, packed, variants) for item in placement.items]

    tilings = tiled(VARIANTS)
    if fits(used_variants(tilings)):
        return tilings
    sets = ((LIST, INT4), (DENSE, LIST), (LIST,), (DENSE,), ())
    allowed = [s for s in map(frozenset, sets) if fits(s)]
    largest = [s for s in allowed if not any(s < other for other in allowed)] or [frozenset()]
    options = [tiled(s) for s in largest]
    return min(options, key=lambda ts: sum(t.cycles for t in ts))


def _offset(placement: Placement, base: int) -> Placement:
    """Shift all tensor addresses behind the fixed regions of the memtile."""

    def moved(item: WorkItem) -> WorkItem:
        inputs = tuple(replace(p, address=p.address + base) for p in item.inputs)
        outputs = tuple(replace(p, address=p.address + base) for p in item.outputs)
        return replace(item, inputs=inputs, outputs=outputs)

    return replace(placement, items=tuple(moved(i) for i in placement.items))


def describe(plan: Plan, device: Device) -> dict[str, object]:
    """What a report needs to name items after the compile state is gone (META section)."""
    physical, placement = plan.physical, plan.placement
    items = []
    for item, tiling, cycles in zip(placement.items, plan.tilings, plan.estimate.cycles, strict=True):
        outs = [physical.tensors[physical.layers[m].output] for m in item.members]
        entry = {
            "name": item_name(item, physical),
            "op": item.geometry.kernel.name.lower(),
            "chunk": item.chunk,
            "shape": [sum(t.channels for t in outs), outs[0].height, outs[0].width],
            "estimated_cycles": round(cycles),
        }
        if tiling.cover is not None:
            variants = tiling.cover.variants | item_kernels(item) - {entry["op"]}
            entry |= {"plan": tiling.plan, "variants": sorted(variants)}
        if has_tail(item, physical):
            entry["tail"] = True
        items.append(entry)
    return {
        "version": 1,
        "device": device.name,
        "network": physical.graph.name,
        "items": items,
        "spilled": sorted(placement.spilled),
        "peak_memtile_bytes": placement.peak_bytes,
    }
