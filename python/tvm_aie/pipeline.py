"""The stages after ``lower``, in order: the table of contents of the backend (DESIGN section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product

from tvm_aie.device import Device, load_device
from tvm_aie.emit.counting import ItemCounter
from tvm_aie.emit.emitter import Emitter, MemtileMap, memtile_map, opcode_bytes_estimate
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Program
from tvm_aie.emit.weights import PackedConv, item_weights, pack_conv
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem, plan_memory
from tvm_aie.plan.fuse import fuse
from tvm_aie.plan.graph import Conv, LayerGraph
from tvm_aie.plan.physical import PhysicalGraph, assign_channels
from tvm_aie.plan.siblings import Groups, sibling_groups, single_groups
from tvm_aie.schedule.geometry import IDEAL_OVERLAYS, Geometry, Overlay
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
    dev = load_device(device) if isinstance(device, str) else device
    graph.verify()
    # residual adds and per-channel constants run in the epilogue of the convolution before them
    fused = fuse(graph)
    fused.verify()
    # channels have places in blocks of 8; concatenations, shuffles and groups are absorbed
    physical = assign_channels(fused)
    physical.verify()
    # weights are mmul tiles; Gamma says which blocks are live
    packed = _pack(physical)
    # each tensor has a home, each item an address for what it reads and writes, and each item fits its cores
    array, placement, layout, tilings = _schedule(dev, overlay, physical, packed, chooser)
    # descriptors, locks, opcode and weight streams, commands
    emitter = Emitter(array, physical, placement, tilings, packed, layout)
    program = emitter.emit(describe(physical, placement, tilings, dev))
    # every hardware limit of the device file is satisfied
    program.verify(dev)
    return Compiled(graph, physical, placement, tuple(tilings), program, dev)


def _pack(physical: PhysicalGraph) -> dict[str, PackedConv]:
    views = physical.views
    return {
        layer.name: pack_conv(layer, views[layer.input], views[layer.output])
        for layer in physical.layers
        if isinstance(layer, Conv)
    }


def _place(array: Array, physical: PhysicalGraph, groups: Groups) -> tuple[Array, Placement, MemtileMap]:
    """Give every tensor a home, then what memory is left to the weight rings.

    The opcode region grows with the number of items, which depends on the placement: repeat until it holds.
    """
    opcode = opcode_bytes_estimate(len(physical.layers), array.overlay.a_slot)
    while True:
        layout = memtile_map(array, opcode)
        capacity = array.device.memtile_col_bytes - layout.heap_base
        placement = plan_memory(physical, array.cols, capacity, groups)
        needed = opcode_bytes_estimate(len(placement.items), array.overlay.a_slot)
        if needed <= opcode:
            break
        opcode = needed
    array = replace(array, overlay=grow_weight_rings(array, capacity - placement.peak_bytes))
    layout = memtile_map(array, opcode)
    return array, _offset(placement, layout.heap_base), layout


def _schedule(
    device: Device,
    overlay: Overlay | None,
    physical: PhysicalGraph,
    packed: dict[str, PackedConv],
    chooser: Chooser | None,
) -> tuple[Array, Placement, MemtileMap, list[Tiling]]:
    """Placement and tilings under the best by estimate of the overlays for the device, siblings merged or not."""
    if overlay is not None:
        options: tuple[Overlay, ...] = (overlay,)
    else:
        options = IDEAL_OVERLAYS if device.core_ideal else (Overlay(),)
    best: tuple[Array, Placement, MemtileMap, list[Tiling]] | None = None
    failure: InfeasibleError | None = None
    caches: dict[Overlay, _TilingCache] = {}
    merged, single = sibling_groups(physical), single_groups(physical)
    for option, groups in product(options, (merged, single) if merged != single else (single,)):
        try:
            array, placement, layout = _place(Array(device, option), physical, groups)
            tilings = _tile(array, physical, packed, placement, chooser, caches.setdefault(option, {}))
        except InfeasibleError as error:
            failure = error
            continue
        if best is None or sum(t.cycles for t in tilings) < sum(t.cycles for t in best[3]):
            best = array, placement, layout, tilings
    if best is None:
        assert failure is not None
        raise failure
    return best


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


_TilingCache = dict[tuple[tuple[int, ...], tuple[int, ...], bool], Tiling]


def item_name(item: WorkItem, physical: PhysicalGraph) -> str:
    """Names of the layers that an item executes."""
    return " + ".join(physical.layers[m].name for m in item.members)


def _tile(
    array: Array,
    physical: PhysicalGraph,
    packed: dict[str, PackedConv],
    placement: Placement,
    chooser: Chooser | None,
    cache: _TilingCache,
) -> list[Tiling]:
    """Cut every item so that each piece fits a core. ``cache``: what is known of this overlay."""
    terms = terms_from_keys(array.device.keys())
    tilings = []
    for item in placement.items:
        rows = tuple(max(0, b - a) for a, b in item.out_rows)
        key = (item.members, rows, item.in_place)
        if key not in cache:
            weights = item_weights(item, physical, packed)
            live = weights.live if weights else None
            work = Workload(
                item_name(item, physical), array.device.name, item.geometry, rows, array.rows, item.in_place, live
            )
            chosen = chooser(work) if chooser else None
            counter = None if array.device.core_ideal else ItemCounter(array, item, physical.storages)
            cache[key] = chosen or search(
                item.geometry, live, rows, array.rows, array.overlay, terms, item.in_place, counter
            )
        tilings.append(cache[key])
    return tilings


def _offset(placement: Placement, base: int) -> Placement:
    """Shift all tensor addresses behind the fixed regions of the memtile."""

    def moved(item: WorkItem) -> WorkItem:
        inputs = tuple(replace(p, address=p.address + base) for p in item.inputs)
        outputs = tuple(replace(p, address=p.address + base) for p in item.outputs)
        return replace(item, inputs=inputs, outputs=outputs)

    return replace(placement, items=tuple(moved(i) for i in placement.items))


def describe(physical: PhysicalGraph, placement: Placement, tilings: list[Tiling], device: Device) -> dict[str, object]:
    """What a report needs to name items after the compile state is gone (META section)."""
    items = []
    for item, tiling in zip(placement.items, tilings, strict=True):
        outs = [physical.tensors[physical.layers[m].output] for m in item.members]
        items.append(
            {
                "name": item_name(item, physical),
                "op": item.geometry.kernel.name.lower(),
                "chunk": item.chunk,
                "shape": [sum(t.channels for t in outs), outs[0].height, outs[0].width],
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
