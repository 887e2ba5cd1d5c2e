"""The stages after ``lower``, in order: the table of contents of the backend (DESIGN section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tvm_aie.device import Device, load_device
from tvm_aie.emit.emitter import Emitter, MemtileMap, memtile_map, opcode_bytes_estimate
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Program
from tvm_aie.emit.weights import PackedConv, pack_conv
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem, plan_memory
from tvm_aie.plan.fuse import fuse
from tvm_aie.plan.graph import Conv, LayerGraph
from tvm_aie.plan.physical import PhysicalGraph, assign_channels
from tvm_aie.schedule.geometry import DEFAULT_OVERLAY, IDEAL_OVERLAYS, Geometry, Overlay
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import Mask, Tiling, search


@dataclass(frozen=True)
class Compiled:
    """Every stage's result for one offloaded function; ``program`` is what runs."""

    graph: LayerGraph
    physical: PhysicalGraph
    placement: Placement
    tilings: tuple[Tiling, ...]
    program: Program
    device: Device


@dataclass(frozen=True)
class Workload:
    """What the choice of a tiling depends on; ``live`` is Gamma of a convolution (out blocks, in blocks)."""

    layer: str
    device: str
    geometry: Geometry
    rows: tuple[int, ...]
    n_rows: int
    in_place: bool
    live: Mask | None = field(compare=False)
    overlay: Overlay = DEFAULT_OVERLAY  # division of core memory, without what the memtiles have left for weights


@dataclass(frozen=True)
class Plan:
    """What is decided for a whole network before any tiling.

    ``overlay``: division of core memory (None: the device's default, or the best by estimate of its options);
    ``unfused``: names of adds that stay items of their own instead of running in a convolution's epilogue.
    """

    overlay: Overlay | None = None
    unfused: frozenset[str] = frozenset()


UNTUNED = Plan()

# Returns the tiling to use for a workload, or None for the default (the best by estimate).
Chooser = Callable[[Workload], Tiling | None]


def compile_graph(
    graph: LayerGraph,
    device: Device | str = "npu1",
    overlay: Overlay | None = None,
    chooser: Chooser | None = None,
) -> Compiled:
    """Compile a layer graph for a device. ``chooser`` may overrule the sub-volume search (tuned records).

    Raises ``InfeasibleError`` when a layer cannot be cut to fit, ``ProgramError`` when a hardware limit is violated.
    """
    return finish(prepare(graph, device, Plan(overlay)), chooser)


@dataclass(frozen=True)
class Prepared:
    """Everything that no tiling changes; ``options``: array, placement and memory map under each overlay that fits.

    ``failure``: why the last overlay that does not fit, does not.
    """

    graph: LayerGraph
    device: Device
    physical: PhysicalGraph
    packed: dict[str, PackedConv]
    options: tuple[tuple[Array, Placement, MemtileMap], ...]
    failure: InfeasibleError | None


def prepare(graph: LayerGraph, device: Device | str = "npu1", plan: Plan = UNTUNED) -> Prepared:
    """The stages before the sub-volume search; ``finish`` may be called on the result many times."""
    dev = load_device(device) if isinstance(device, str) else device
    graph.verify()
    # residual adds and per-channel constants run in the epilogue of the convolution before them
    fused = fuse(graph, plan.unfused)
    fused.verify()
    # channels have places in blocks of 8; concatenations, shuffles and groups are absorbed
    physical = assign_channels(fused)
    physical.verify()
    # weights are mmul tiles; Gamma says which blocks are live
    packed = _pack(physical)
    # each tensor has a home, each item an address for what it reads and writes
    options, failure = _places(dev, plan.overlay, physical)
    return Prepared(graph, dev, physical, packed, options, failure)


def finish(prepared: Prepared, chooser: Chooser | None = None) -> Compiled:
    """Choose the tilings and emit the program. Raises as ``compile_graph``."""
    dev, physical, packed = prepared.device, prepared.physical, prepared.packed
    # each item fits its cores
    array, placement, layout, tilings = _schedule(prepared, chooser)
    # descriptors, locks, opcode and weight streams, commands
    emitter = Emitter(array, physical, placement, tilings, packed, layout)
    program = emitter.emit(describe(physical, placement, tilings, dev))
    # every hardware limit of the device file is satisfied
    program.verify(dev)
    return Compiled(prepared.graph, physical, placement, tuple(tilings), program, dev)


def _pack(physical: PhysicalGraph) -> dict[str, PackedConv]:
    views = physical.views
    return {
        layer.name: pack_conv(layer, views[layer.input], views[layer.output])
        for layer in physical.layers
        if isinstance(layer, Conv)
    }


def _place(array: Array, physical: PhysicalGraph) -> tuple[Array, Placement, MemtileMap]:
    """Give every tensor a home, then what memory is left to the weight rings.

    The opcode region grows with the number of items, which depends on the placement: repeat until it holds.
    """
    opcode = opcode_bytes_estimate(len(physical.layers))
    while True:
        layout = memtile_map(array, opcode)
        capacity = array.device.memtile_col_bytes - layout.heap_base
        placement = plan_memory(physical, array.cols, capacity)
        needed = opcode_bytes_estimate(len(placement.items))
        if needed <= opcode:
            break
        opcode = needed
    array = replace(array, overlay=grow_weight_rings(array, capacity - placement.peak_bytes))
    layout = memtile_map(array, opcode)
    return array, _offset(placement, layout.heap_base), layout


def _places(
    device: Device, overlay: Overlay | None, physical: PhysicalGraph
) -> tuple[tuple[tuple[Array, Placement, MemtileMap], ...], InfeasibleError | None]:
    """Placement under the given overlay, or under each of those for the device."""
    if overlay is not None:
        options: tuple[Overlay, ...] = (overlay,)
    else:
        options = IDEAL_OVERLAYS if device.core_ideal else (Overlay(),)
    out: list[tuple[Array, Placement, MemtileMap]] = []
    failure: InfeasibleError | None = None
    for option in options:
        try:
            out.append(_place(Array(device, option), physical))
        except InfeasibleError as error:
            failure = error
    return tuple(out), failure


def _schedule(prepared: Prepared, chooser: Chooser | None) -> tuple[Array, Placement, MemtileMap, list[Tiling]]:
    """Tilings under the overlay that is best by estimate."""
    best: tuple[Array, Placement, MemtileMap, list[Tiling]] | None = None
    failure = prepared.failure
    for array, placement, layout in prepared.options:
        try:
            tilings = _tile(array, prepared.physical, prepared.packed, placement, chooser)
        except InfeasibleError as error:
            failure = error
            continue
        if best is None or sum(t.cycles for t in tilings) < sum(t.cycles for t in best[3]):
            best = array, placement, layout, tilings
    if best is None:
        assert failure is not None
        raise failure
    return best


def base_overlay(overlay: Overlay) -> Overlay:
    """The division of core memory alone: the memtiles' rings as they are before they grow."""
    return replace(overlay, memtile_w_slot=Overlay.memtile_w_slot, memtile_w_slots=Overlay.memtile_w_slots)


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


def _tile(
    array: Array,
    physical: PhysicalGraph,
    packed: dict[str, PackedConv],
    placement: Placement,
    chooser: Chooser | None,
) -> list[Tiling]:
    """Cut every item so that each piece fits a core."""
    terms = terms_from_keys(array.device.keys())
    cache: dict[tuple[int, tuple[int, ...], bool], Tiling] = {}
    tilings = []
    for item in placement.items:
        layer = physical.layers[item.layer]
        rows = tuple(max(0, b - a) for a, b in item.out_rows)
        key = (item.layer, rows, item.in_place)
        if key not in cache:
            live = packed[layer.name].live if isinstance(layer, Conv) else None
            name, ring = array.device.name, base_overlay(array.overlay)
            work = Workload(layer.name, name, item.geometry, rows, array.rows, item.in_place, live, ring)
            chosen = chooser(work) if chooser else None
            cache[key] = chosen or search(item.geometry, live, rows, array.rows, array.overlay, terms, item.in_place)
        tilings.append(cache[key])
    return tilings


def _offset(placement: Placement, base: int) -> Placement:
    """Shift all tensor addresses behind the fixed regions of the memtile."""

    def moved(item: WorkItem) -> WorkItem:
        inputs = tuple(replace(p, address=p.address + base) for p in item.inputs)
        return replace(item, inputs=inputs, output=replace(item.output, address=item.output.address + base))

    return replace(placement, items=tuple(moved(i) for i in placement.items))


def describe(physical: PhysicalGraph, placement: Placement, tilings: list[Tiling], device: Device) -> dict[str, object]:
    """What a report needs to name items after the compile state is gone (META section)."""
    items = []
    for item, tiling in zip(placement.items, tilings, strict=True):
        layer = physical.layers[item.layer]
        out = physical.tensors[layer.output]
        items.append(
            {
                "name": layer.name,
                "op": item.geometry.kernel.name.lower(),
                "chunk": item.chunk,
                "shape": [out.channels, out.height, out.width],
                "estimated_cycles": round(tiling.cycles),
            }
        )
    return {
        "version": 1,
        "device": device.name,
        "network": physical.graph.name,
        "items": items,
        "spilled": sorted(placement.spilled),
        "peak_memtile_bytes": placement.peak_bytes,
    }
