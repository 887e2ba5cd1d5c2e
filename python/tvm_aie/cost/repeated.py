"""One workload alone: a small layer graph that repeats it. Its time is that of a repetition in steady state.

    network input -> copy -> X;  X -> layer -> Y0;  X -> layer -> Y1;  ...  X -> layer -> Y11 (network output)

An item begins when its predecessor is complete (a barrier), but its commands and weights come ahead of that. The time
of the workload is therefore the distance between the ends of two repetitions in the middle: launch, the loads from DDR
at the start, what was prepared meanwhile, and the last store are outside. An add that runs in place has its repetitions
in a chain instead. ``tune.bench`` emulates this graph, ``cost.replay`` estimates it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tvm_aie.device import Device
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.partition import NARROW, split_rows
from tvm_aie.pipeline import Decisions, Moves, Prepared, prepare
from tvm_aie.plan.graph import (
    Add,
    AvgDivisor,
    Conv,
    GraphIO,
    Int8Array,
    Int64Array,
    Layer,
    LayerGraph,
    Pool,
    Requant,
    Tail,
    Tensor,
    Upsample,
)
from tvm_aie.plan.graph import output_shape as shape_of
from tvm_aie.schedule.cover import Blocks
from tvm_aie.schedule.geometry import Geometry, KernelId, PoolStage
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Chooser, Workload


@dataclass(frozen=True)
class Span:
    """Repetitions, and those between whose ends the time is taken.

    Late enough that the memtiles' weight rings have run dry where DDR is too slow for the layer; several, since chains
    of commands span some.
    """

    repeats: int
    begin: int
    end: int


SHORT, LONG = Span(12, 4, 10), Span(7, 2, 6)
LONG_CALLS = 100  # an item with more calls takes longer to drain the rings and has fewer commands per message


def calls(tiling: Tiling) -> int:
    """Kernel calls of the busiest core."""
    return tiling.n_pass * tiling.n_x * max(n for _, n in tiling.bands) * tiling.n_ck


def span_of(tiling: Tiling) -> Span:
    """How often an item is repeated."""
    return LONG if calls(tiling) > LONG_CALLS else SHORT


# What is measured is the item as it stands: nothing of the repetitions is merged, split or spread further.
ALONE = Moves(pools=False, siblings=False, runs=False, pitch=False)


def prepared(work: Workload, tiling: Tiling, device: Device) -> Prepared:
    """The graph of a workload, ready for ``tiling`` or another one of the same span. Raises ``InfeasibleError``."""
    return _prepared(_Key(work, device, tiling))


def measured_items(ready: Prepared, span: Span) -> tuple[int, int]:
    """The items of the program between whose ends the time is taken."""
    first = next(i for i, layer in enumerate(ready.graph.layers) if layer.name == "layer0")
    return first + span.begin, first + span.end


def chooser(work: Workload, tiling: Tiling) -> Chooser:
    """``tiling`` for every repetition."""

    def choose(other: Workload) -> Tiling | None:
        if not other.layer.startswith("layer"):
            return None
        if not same_shape(other, work):
            raise InfeasibleError(f"layer {work.layer} alone", 1, 0, "equal workloads", ("tune it in its network",))
        if tiling.joined and not other.geometry.own_rows:
            lever = ("tune it in its network",)
            raise InfeasibleError(f"layer {work.layer} alone", 1, 0, "columns that have all their rows", lever)
        return tiling

    return choose


def bench_graph(work: Workload, repeats: int) -> LayerGraph:
    """The graph that repeats ``work``. Rows of a cut item become the rows of a lower image of the same shape.

    Raises ``InfeasibleError`` for int16, which lies between layers alone.
    """
    geo = work.geometry
    if geo.in_elem == 2 or geo.out_elem == 2:
        raise InfeasibleError(f"layer {work.layer} alone", 16, 8, "bits of its tensors", ("tune it in its network",))
    rows = sum(work.rows)
    height = _height_in(geo, rows)
    width = (geo.w_in - 1) * geo.px_step + 1
    blocks = geo.front.in_blocks if geo.front else geo.in_blocks
    tensors = {"x": Tensor("x", blocks * 8, height, width, 0)}
    layers: list[Layer] = []

    def push(layer: Layer) -> str:
        tensors[layer.output] = Tensor(layer.output, *shape_of(layer, tensors), 0)
        layers.append(layer)
        return layer.output

    source = push(Add("feed", "x", None, "fed", 0, 0, Requant(0)))
    if geo.residual:
        tensors["x2"] = Tensor("x2", geo.out_blocks * 8, rows, geo.w_out, 0)
    second = ""
    if geo.n_inputs == 2:
        second = push(Add("feed2", "x2" if geo.residual else "fed", None, "fed2", 0, 0, Requant(0)))
    out = second
    for i in range(repeats):
        out = push(_layer(work, f"layer{i}", source, out if work.in_place else second, height))
    outs = [out]
    if second and not work.in_place:  # a later reader keeps the operand alive, so that no repetition is in place
        outs.append(push(Add("tail", second, None, "tail", 0, 0, Requant(1))))
    graph = LayerGraph(
        "bench",
        tensors,
        tuple(layers),
        tuple(_io(tensors[name]) for name in ("x", "x2") if name in tensors),
        tuple(_io(tensors[name]) for name in outs),
    )
    graph.verify()
    return graph


def _io(t: Tensor) -> GraphIO:
    return GraphIO(t.name, (1, t.channels, t.height, t.width), "int8")


def _height_in(geo: Geometry, rows: int) -> int:
    """Input rows of an image whose output has ``rows`` rows, all taps of its last row inside if possible."""
    if geo.kernel == KernelId.UPSAMPLE:
        return rows // geo.kh
    if geo.row_step > 1:  # no padding: that would make it another layer
        return (rows - 1) * geo.row_step + 1
    if geo.own_rows and geo.pool is None:  # each column is to find its rows in its own memtile here, too
        return rows
    if rows == geo.h_out:
        return geo.h_in
    if geo.pool is not None:  # the image as low as the window at its last row allows
        return geo.rows_in(0, rows)[1]
    return max((rows - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1 - geo.pad_top, 1)


def _layer(work: Workload, name: str, source: str, second: str, height: int) -> Layer:
    layer = _plain_layer(work, name, source, second, height)
    front = work.geometry.front
    if front is None or not isinstance(layer, Conv):
        return layer
    # As many live blocks, as many full rows: then the rest, none of whose rows is full.
    live = np.zeros((work.geometry.in_blocks, front.in_blocks), np.int8)
    full = front.full // front.in_blocks
    live[:full] = 1
    live[full:, :-1].flat[: front.tiles - front.full] = 1
    weight = np.repeat(np.repeat(live, 8, axis=0), 8, axis=1)[:, :, None, None]
    squeeze = Conv(f"{name}:front", source, f"{name}:front", weight, np.zeros(len(weight), np.int64), 0, Requant(0))
    return replace(layer, front=squeeze)


def _plain_layer(work: Workload, name: str, source: str, second: str, height: int) -> Layer:
    geo = work.geometry
    if geo.pool is not None:
        return _pooled_layer(work, geo.pool, name, source)
    if geo.kernel == KernelId.ADD:
        return Add(name, source, second or None, name, 0, 0, Requant(1))
    if geo.kernel == KernelId.UPSAMPLE:
        return Upsample(name, source, name, (geo.kh, geo.kw))
    stride = (geo.sy * geo.row_step, geo.sx * geo.px_step)
    h_in = (height - 1) // geo.row_step + 1
    bottom = max(0, (sum(work.rows) - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1 - geo.pad_top - h_in)
    right = max(0, (geo.w_out - 1) * geo.sx + (geo.kw - 1) * geo.dx + 1 - geo.pad_left - geo.w_in)
    pads = (geo.pad_top, geo.pad_left, bottom, right)
    dilation = (geo.dy, geo.dx)
    if geo.kernel == KernelId.CONV:
        weight, bias = _weights(work)
        tail = Tail(f"{name}:tail", second, 0, 0, None, Requant(1)) if geo.residual else None
        return Conv(name, source, name, weight, bias, 0, Requant(8), stride, pads, dilation, tail=tail)
    divisors = (AvgDivisor(0, 21, 10),) if geo.kernel == KernelId.AVGPOOL else ()
    return Pool(name, source, name, (geo.kh, geo.kw), stride, pads, divisors, dilation=dilation)


def _pooled_layer(work: Workload, stage: PoolStage, name: str, source: str) -> Conv:
    """A convolution with a pool inside its call, padded below and on the right as far as its output needs."""
    geo, rows = work.geometry, sum(work.rows)
    bottom = max(0, (rows - 1) * stage.sy + stage.kh - stage.pad_top - stage.h)
    right = max(0, (geo.w_out - 1) * stage.sx + stage.kw - stage.pad_left - stage.w)
    divisors = (AvgDivisor(0, 21, 10),) if stage.average else ()
    pads = (stage.pad_top, stage.pad_left, bottom, right)
    pool = Pool(f"{name}:pool", source, name, (stage.kh, stage.kw), (stage.sy, stage.sx), pads, divisors)
    weight, bias = _weights(work)
    conv = Conv(name, source, name, weight, bias, 0, Requant(8), (geo.sy, geo.sx), dilation=(geo.dy, geo.dx))
    if stage.scale:
        channels = weight.shape[1]
        ones, none = np.ones((channels, 1, 1, 1), np.int8), np.zeros(channels, np.int64)
        return replace(conv, scale_before=Conv(pool.name, source, name, ones, none, 0, Requant(0), groups=channels))
    if stage.before:
        return replace(conv, pool_before=pool)
    below = max(0, (stage.h - 1) * geo.sy + (geo.kh - 1) * geo.dy + 1 - geo.pad_top - geo.h_in)
    beside = max(0, (stage.w - 1) * geo.sx + (geo.kw - 1) * geo.dx + 1 - geo.pad_left - geo.w_in)
    return replace(conv, pool_after=pool, pads=(geo.pad_top, geo.pad_left, below, beside))


def _weights(work: Workload) -> tuple[Int8Array, Int64Array]:
    """Weights with the given live blocks: 64 in live taps, which is no int4, and 1 in those that fit int4."""
    geo = work.geometry
    assert work.live is not None
    blocks = work.blocks or Blocks.whole(work.live, geo.kh, geo.kw)
    value = np.where(blocks.taps, np.where(blocks.narrow, 1, 64), 0).astype(np.int8)
    weight = np.repeat(np.repeat(value, 8, axis=0), 8, axis=1)
    return np.ascontiguousarray(weight), np.zeros(weight.shape[0], np.int64)


def same_shape(a: Workload, b: Workload) -> bool:
    """Equal in everything that a tiling depends on; the height of the image is free."""
    one, other = (replace(w.geometry, h_in=0, h_out=0, own_rows=False) for w in (a, b))
    return one == other and a.rows == b.rows and a.n_rows == b.n_rows and a.in_place == b.in_place


class _Key:
    """A workload on a device as cache key, Gamma included. ``tiling``: only its span is part of the key."""

    def __init__(self, work: Workload, device: Device, tiling: Tiling) -> None:
        self.work, self.device, self.tiling, self.span = work, device, tiling, span_of(tiling)
        gamma = b"" if work.live is None else np.packbits(work.live).tobytes()
        fine = b"" if work.blocks is None else np.packbits([work.blocks.taps, work.blocks.narrow]).tobytes()
        shares = work.rows, work.n_rows, work.in_place
        self._value = (work.geometry, *shares, gamma, fine, work.overlay, repr(device), self.span)

    def __hash__(self) -> int:
        return hash(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._value == other._value


@lru_cache(maxsize=64)
def _prepared(key: _Key) -> Prepared:
    """The graph of a workload, ready for a tiling. All repetitions share one weight: its messages are made once."""
    graph = bench_graph(key.work, key.span.repeats)
    geo = key.work.geometry
    unit = geo.kh if geo.kernel == KernelId.UPSAMPLE else 1
    narrow = split_rows(sum(key.work.rows), key.device.cols, unit, NARROW)
    half = key.work.rows == tuple(b - a for a, b in narrow) and min(key.work.rows) == 0
    heights = frozenset(t.height for t in graph.tensors.values()) if half else frozenset()
    decisions = Decisions(key.work.overlay, moves=ALONE, narrow=heights)
    prepared = prepare(graph, key.device, decisions, chooser(key.work, key.tiling))
    packed = prepared.plan.packed
    first = packed.get("layer0")
    if first is None:
        return prepared
    shared = {name: first if name.startswith("layer") else own for name, own in packed.items()}
    return replace(prepared, plan=replace(prepared.plan, packed=shared))
