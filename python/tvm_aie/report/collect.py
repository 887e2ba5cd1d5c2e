"""Builds the ``NetworkReport`` from what the compiler decided and what the emulator counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tvm_aie.cost import lower_bound
from tvm_aie.device import Device
from tvm_aie.emit.program import FlowClass, Push, TileKind, Wait, WriteBd
from tvm_aie.pipeline import Compiled
from tvm_aie.plan.graph import Conv, TrueWindow, conv_shapes
from tvm_aie.plan.physical import BLOCK, PhysicalGraph, View, front_view, physical_weight, window_source
from tvm_aie.report.layers import LayerCounters, layer_rows, slices
from tvm_aie.report.model import (
    CommandStream,
    HostOp,
    Label,
    LayerRow,
    Machine,
    Memory,
    NetworkReport,
    Placement,
    Sparsity,
    Time,
    Traffic,
)
from tvm_aie.runtime.emulator import ItemStats, RunResult
from tvm_aie.schedule.cover import Cover, walk_cover
from tvm_aie.schedule.load import SCALE_BYTES
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import item_name

GUARD_BYTES = 256  # behind the A ring (docs/program.md section 1)


class OpRecord(Protocol):
    """One operator of the network (stage 4's record, without importing TVM)."""

    @property
    def name(self) -> str:
        """Name of its ONNX node."""

    @property
    def kind(self) -> str:
        """Operator."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""

    @property
    def on_array(self) -> bool:
        """Where it runs."""

    @property
    def reason(self) -> str:
        """Why not on the array."""


@dataclass(frozen=True)
class ConvWork:
    """Logical work of one convolution: blocks, MACs, bytes; *live* leaves out dead blocks.

    ``planned_macs``: of the taps that the plan keeps, ``int4_macs`` those with int4 weights; ``packed_bytes``: weights,
    bias and Gamma as the plan stores them once.
    """

    blocks: int
    live_blocks: int
    dense_macs: int
    macs: int
    planned_macs: int
    int4_macs: int
    dense_bytes: int
    packed_bytes: int


def conv_work(physical: PhysicalGraph, conv: Conv, cover: Cover | None = None) -> ConvWork:
    """Count blocks and logical multiply-accumulates of ``conv`` under a plan; padding channels are no work."""
    source, target = window_source(physical, conv), physical.views[conv.output]
    weight = physical_weight(conv, source, target)
    ob, ib, taps = weight.shape[0] // BLOCK, weight.shape[1] // BLOCK, weight.shape[2] * weight.shape[3]
    live = np.asarray(weight.reshape(ob, BLOCK, ib, BLOCK, taps).any(axis=(1, 3, 4)))
    ones = replace(conv, weight=np.ones((*conv.weight.shape[:2], 1, 1), np.int8))
    pairs = physical_weight(ones, source, target).reshape(ob, BLOCK, ib, BLOCK).sum(axis=(1, 3), dtype=np.int64)
    image = physical.tensors[conv.input]
    # What the window writes: a pool in the same call may change the size before or after it.
    _, (height, width), _ = conv_shapes(conv, image.height, image.width)
    pixels = height * width
    cover = cover or walk_cover(live, *weight.shape[2:])
    own = own_taps(conv, target)
    kept = ((cover.taps | (cover.blocks & live)[:, :, None, None]) & own[:, None]).sum(axis=(2, 3))
    low = (cover.low & own[:, None]).sum(axis=(2, 3))
    pieces = int(cover.blocks.sum()), int(cover.taps.sum()), int(cover.low.sum())
    index_bytes = ob * BLOCK * 4 + 2 * (2 * ob + 1) + 2 * sum(pieces)
    occupied = pairs > 0
    per_tap = pairs * own.sum(axis=(1, 2))[:, None]  # MACs of a pixel in the network's window
    dense, macs = int(per_tap.sum()) * pixels, int(per_tap[live].sum()) * pixels
    weights = sum(p.channels * p.height * p.width for p in conv.parts) * conv.weight.shape[1] or conv.weight.size
    planned, int4 = int((pairs * (kept + low)).sum()) * pixels, int((pairs * low).sum()) * pixels
    if conv.true_window:
        outs = pairs.sum(axis=1) // conv.weight.shape[1]
        macs, planned, int4 = (n * pixels for n in _true_macs(conv, conv.true_window, weight, outs, cover, live))
        weights = conv.weight.shape[0] * conv.true_window.macs
        dense = weights * pixels
    work = ConvWork(
        blocks=int(occupied.sum()),
        live_blocks=int(live.sum()),
        dense_macs=dense,
        macs=macs,
        planned_macs=planned,
        int4_macs=int4,
        dense_bytes=conv.weight.shape[0] * 4 + weights,
        packed_bytes=(2 * (pieces[0] * taps + pieces[1]) + pieces[2]) * BLOCK * BLOCK // 2 + index_bytes,
    )
    if conv.front is not None:
        return _with_front(work, physical, conv.front)
    return work if conv.scale_before is None else _with_scale(work, physical, conv, conv.scale_before)


def _with_front(work: ConvWork, physical: PhysicalGraph, front: Conv) -> ConvWork:
    """With the work of the 1x1 convolution in front: once, though every core row does it, in the network's terms."""
    source = physical.tensors[front.input]
    inner = replace(source, name=front.output, channels=len(front.weight))
    views = {**physical.views, front.output: front_view(front)}
    own = conv_work(replace(physical, views=views, tensors={**physical.tensors, front.output: inner}), front)
    return ConvWork(*(getattr(work, f.name) + getattr(own, f.name) for f in fields(ConvWork)))


def _with_scale(work: ConvWork, physical: PhysicalGraph, conv: Conv, scale: Conv) -> ConvWork:
    """With the work of what runs in front, in the same call; its factors and terms are stored once per input block."""
    view = physical.views[conv.input]
    tensors = {**physical.tensors, scale.output: physical.tensors[conv.input]}
    own = conv_work(replace(physical, views={**physical.views, scale.output: view}, tensors=tensors), scale)
    own = replace(own, packed_bytes=SCALE_BYTES * view.blocks)
    return ConvWork(*(getattr(work, f.name) + getattr(own, f.name) for f in fields(ConvWork)))


def own_taps(conv: Conv, target: View) -> npt.NDArray[np.bool_]:
    """(output blocks, kh, kw): taps of the window that the network has; fewer where ``plan.unite`` gave it another."""
    kh, kw = conv.weight.shape[2:]
    if not conv.parts:
        return np.ones((target.blocks, kh, kw), np.bool_)
    own = np.zeros((target.blocks, kh, kw), np.bool_)
    begin = 0
    for p in conv.parts:
        blocks = np.asarray(target.cmap[begin : begin + p.channels]) // BLOCK
        own[blocks, p.top : p.top + p.height, p.left : p.left + p.width] = True
        begin += p.channels
    return own


def _true_macs(
    conv: Conv, window: TrueWindow, weight: np.ndarray, outs: np.ndarray, cover: Cover, live: np.ndarray
) -> tuple[int, int, int]:
    """(live, planned, int4) MACs per pixel of a convolution whose window ``plan.space_to_depth`` changed.

    Its one input block holds several pixels, so a listed tap is as many of the network's as have a weight in the output
    block. ``weight``: physical; ``outs``: channels of each output block.
    """
    kh, kw = weight.shape[2:]
    parts = weight[:, : conv.weight.shape[1]].reshape(len(outs), BLOCK, -1, window.channels, kh, kw)
    taps = parts.any(axis=(1, 3)).sum(axis=1)  # of the network's, in each tap of each output block
    whole = np.where((cover.blocks & live)[:, 0], window.height * window.width, 0)
    listed, low = ((kind[:, 0] * taps).sum(axis=(1, 2)) for kind in (cover.taps, cover.low))
    planned, int4 = (int((outs * n).sum()) * window.channels for n in (whole + listed + low, low))
    return int(outs[live[:, 0]].sum()) * window.macs, planned, int4


def machine_of(device: Device) -> Machine:
    """What the report says about the device."""
    return Machine(
        name=device.name,
        rows=device.rows,
        cols=device.cols,
        memtiles=device.cols * device.memtiles_per_col,
        clock_mhz=device.clock_mhz,
        peak_macs_per_cycle=device.peak_macs_per_cycle,
        ddr_gb_per_s=device.ddr_gb_per_s[-1],
    )


def build_report(
    network: str,
    device: Device,
    ops: Iterable[OpRecord],
    compiled: Sequence[Compiled],
    runs: Sequence[RunResult] = (),
    measured: Sequence[Time] = (),
) -> NetworkReport:
    """The report of one network; ``runs``: one result per compiled region, or none before a run."""
    works = [_works(region) for region in compiled]
    every = [w for region in works for w in region.values()]
    sparsity = _sparsity(every)
    memory = _memory(device, compiled)
    compulsory = sparsity.packed_weight_bytes + memory.input_bytes + memory.output_bytes
    int4 = sum(w.int4_macs for w in every)
    planned = sum(w.planned_macs for w in every)
    int8_equivalent = planned - int4 + int4 * device.macs_per_cycle / device.macs_per_cycle_int4
    bound = lower_bound(int8_equivalent, compulsory, device)
    estimate = sum(region.estimate.total for region in compiled)
    times = [
        _time(device, "lower bound max(MACs / peak, compulsory DDR bytes / bandwidth)", Label.ESTIMATED, bound.cycles),
        _time(device, "the schedule, message by message, without the launch", Label.ESTIMATED, estimate),
    ]
    layers: tuple[LayerRow, ...] = ()
    if runs:
        launches = sum(per_image(run.launch_cycles, run) for run in runs)
        total = sum(per_image(run.cycles, run) for run in runs) + launches
        launch = device.cycles_to_ms(launches)
        images = max(run.images for run in runs)
        batch = f", per image of a batch of {images}" if images > 1 else ""
        times.append(_time(device, f"array, {launch:.3f} ms launch included{batch}", Label.EMULATED, total))
        layers = layer_rows(device, _counters(compiled, works, runs))
    return NetworkReport(
        network=network,
        machine=machine_of(device),
        placement=_placement(ops),
        sparsity=sparsity,
        memory=memory,
        traffic=_traffic(runs),
        times=(*times, *measured),
        layers=layers,
        commands=_commands(compiled),
    )


def _works(region: Compiled) -> dict[str, ConvWork]:
    """Work of each convolution, under its plan."""
    plans = layer_plans(region)
    convs = [layer for layer in region.physical.layers if isinstance(layer, Conv)]
    return {c.name: conv_work(region.physical, c, plans[c.name][1] if c.name in plans else None) for c in convs}


def layer_plans(region: Compiled) -> dict[str, tuple[Tiling, Cover]]:
    """Tiling of the first item of each convolution, and its share of that item's cover."""
    plans: dict[str, tuple[Tiling, Cover]] = {}
    views = region.physical.views
    for item, tiling in zip(region.placement.items, region.tilings, strict=True):
        first = 0
        for member in item.members:
            layer = region.physical.layers[member]
            blocks = views[layer.output].blocks
            if tiling.cover is not None:
                plans.setdefault(layer.name, (tiling, tiling.cover.part(first, first + blocks)))
            first += blocks
    return plans


def _commands(compiled: Sequence[Compiled]) -> CommandStream:
    """Commands of all regions."""
    stream = [command for region in compiled for command in region.program.commands]
    kinds = Counter(type(command) for command in stream)
    return CommandStream(kinds[WriteBd], kinds[Push], kinds[Wait])


def per_image(cycles: int, run: RunResult) -> int:
    """A batch is a loop over its images, which all take the same time."""
    return cycles // max(1, run.images)


def _time(device: Device, what: str, label: Label, cycles: float) -> Time:
    return Time(what, label, float(cycles), device.cycles_to_ms(cycles))


def _placement(ops: Iterable[OpRecord]) -> Placement:
    records = list(ops)
    host = tuple(HostOp(op.name, op.kind, op.reason, op.macs) for op in records if not op.on_array)
    array = [op for op in records if op.on_array]
    return Placement(len(array), sum(op.macs for op in array), host)


def _sparsity(works: Sequence[ConvWork]) -> Sparsity:
    def total(name: str) -> int:
        return sum(getattr(work, name) for work in works)

    return Sparsity(
        block=f"{BLOCK}x{BLOCK}",
        blocks=total("blocks"),
        live_blocks=total("live_blocks"),
        dense_weight_bytes=total("dense_bytes"),
        packed_weight_bytes=total("packed_bytes"),
        dense_macs=total("dense_macs"),
        macs=total("macs"),
    )


def _memory(device: Device, compiled: Sequence[Compiled]) -> Memory:
    def core_top(region: Compiled) -> int:
        return max(
            max(
                core.a_base + core.a_slot * core.a_slots + GUARD_BYTES,
                core.w_base + core.w_slot * core.w_slots,
                core.o_base + core.o_slot * core.o_slots,
                core.acc_base + core.acc_bytes,
                core.ops_base + core.ops_bytes,
                core.hdr_base + core.hdr_bytes,
            )
            for core in region.program.cores
        )

    sizes = [region.program.ddr_sizes for region in compiled]
    return Memory(
        core_used_bytes=max((core_top(region) for region in compiled), default=0),
        core_bytes=device.core_mem_bytes,
        memtile_used_bytes=max((_memtile_top(region) for region in compiled), default=0),
        memtile_bytes=device.memtile_col_bytes,
        const_bytes=sum(s[0] for s in sizes),
        input_bytes=sum(s[1] for s in sizes),
        output_bytes=sum(s[2] for s in sizes),
        scratch_bytes=max((s[3] for s in sizes), default=0),
    )


def _memtile_top(region: Compiled) -> int:
    """Highest memtile byte that a descriptor touches."""
    program = region.program
    top = 0
    for bd in program.bds:
        if program.tiles[bd.tile].kind is TileKind.MEMTILE:
            span = 4 + 4 * sum((size - 1) * stride for size, stride in bd.dims) + 4 * (bd.iter_wrap - 1) * bd.iter_step
            top = max(top, bd.base + span)
    return top


def _traffic(runs: Sequence[RunResult]) -> Traffic:
    def total(kind: FlowClass) -> int:
        return sum(item.bytes[kind.name.lower()] for run in runs for item in run.items)

    return Traffic(*(total(kind) for kind in FlowClass))


def _counters(
    compiled: Sequence[Compiled], works: Sequence[dict[str, ConvWork]], runs: Sequence[RunResult]
) -> list[LayerCounters]:
    """One entry per layer in order of first start; the items of a layer are added up; regions follow each other."""
    rows: list[LayerCounters] = []
    offset = 0
    for region, work, run in zip(compiled, works, runs, strict=True):
        merged: dict[str, LayerCounters] = {}
        items = [s for s in run.items if 0 <= s.item < len(region.placement.items) and s.start >= 0]
        items.sort(key=lambda stats: stats.item)
        cycles_of = slices([(s.start, s.end, s.busy_max) for s in items], per_image(run.cycles, run))
        for stats, cycles in zip(items, cycles_of, strict=True):
            row = _item(region, work, stats, offset, cycles)
            merged[row.name] = _merge(merged[row.name], row) if row.name in merged else row
        rows.extend(merged.values())
        offset += per_image(run.cycles, run)
    return rows


def _item(region: Compiled, works: dict[str, ConvWork], stats: ItemStats, offset: int, cycles: int) -> LayerCounters:
    item = region.placement.items[stats.item]
    outs = [region.physical.tensors[region.physical.layers[m].output] for m in item.members]
    work = [w for m in item.members if (w := works.get(region.physical.layers[m].name))]
    moved: dict[str, Any] = {f"{k.name.lower()}_bytes": stats.bytes[k.name.lower()] for k in FlowClass}
    return LayerCounters(
        name=item_name(item, region.physical),
        op=item.geometry.kernel.name.lower(),
        shape=f"{sum(t.channels for t in outs)}x{outs[0].height}x{outs[0].width}",
        start_cycle=offset + stats.start,
        cycles=cycles,
        estimated_cycles=region.estimate.cycles[stats.item],
        macs=sum(w.macs for w in work),
        dense_macs=sum(w.dense_macs for w in work),
        core_busy_cycles=stats.busy_sum,
        control_cycles=stats.command_cycles,
        **moved,
    )


def _merge(a: LayerCounters, b: LayerCounters) -> LayerCounters:
    """Two items of one layer; the MACs are those of the layer already."""
    moved = (f"{k.name.lower()}_bytes" for k in FlowClass)
    summed = ("cycles", "estimated_cycles", "core_busy_cycles", "control_cycles", *moved)
    changes: dict[str, Any] = {name: getattr(a, name) + getattr(b, name) for name in summed}
    return replace(a, start_cycle=min(a.start_cycle, b.start_cycle), **changes)
