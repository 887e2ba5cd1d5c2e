"""Layers that run inside a convolution's kernel call.

An add or a per-channel constant that follows a convolution runs in its epilogue:

    conv -> x (int8)                      conv+tail:
    out = requant((x << a) + (r << b))    out = requant2((requant1(acc) << a) + (r << b))    in one item

Before: x is written to the memtile and both operands are read back. After: only r is read, together with the
convolution's input. The arithmetic is the same, both roundings included, so the outputs are identical.

A max pool that follows a convolution, or a pool in front of a 1x1 convolution, runs in the same call, band by band:

    conv -> x (int8)            conv, pool in one item: x stays in the core, some of its rows (pool behind) or pooled
    out = pool(x)               channels (pool in front, by every core row) are computed more than once

Whether that pays is for the schedule to decide (``pipeline``): ``pool_pairs`` lists what is possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from tvm_aie.plan.graph import Add, Conv, Layer, LayerGraph, Pool, Tail
from tvm_aie.plan.scale import scale_of
from tvm_aie.plan.sums import NEAR, rows_per_sum, with_sums

MAX_SHIFT = 22  # of the ADD kernel: both operands stay in 32 bits
INT32 = 1 << 31


@dataclass(frozen=True)
class PoolPair:
    """Names of a convolution and a pool that can share a kernel call; ``before``: the pool comes first.

    In place of a pool in front a factor and a term per channel (``plan.scale``). ``sums``: the convolution adds so many
    rows of its output for a global average pool, which stays a layer (``plan.sums``) and may be in another pair.
    """

    conv: str
    pool: str
    before: bool
    sums: int = 0


def fuse(graph: LayerGraph, keep: Collection[str] = ()) -> LayerGraph:
    """Fuse second stages, except the adds named in ``keep``."""
    layers = list(graph.layers)
    layers = _fuse_constants(graph, layers)
    return replace(graph, layers=tuple(_fuse_residuals(graph, layers, keep)))


def fused_adds(graph: LayerGraph) -> list[frozenset[str]]:
    """Names of the adds that ``fuse`` fuses, those behind equal convolutions together, in order of appearance."""
    kinds: dict[tuple[object, ...], set[str]] = {}
    for layer in fuse(graph).layers:
        if isinstance(layer, Conv) and layer.tail is not None and layer.tail.residual:
            out = graph.tensors[layer.output]
            kinds.setdefault((layer.weight.shape, layer.stride, out.height, out.width), set()).add(layer.tail.name)
    return [frozenset(names) for names in kinds.values()]


def pool_pairs(graph: LayerGraph, scales: bool = False, columns: int = 0, reached: int = NEAR) -> tuple[PoolPair, ...]:
    """Pools that could run inside a convolution: each pool and each convolution in one pair at most.

    ``scales``: and factors per channel in front of a 1x1 convolution (``plan.scale``). ``columns``: and, on so many
    columns, sums of the image behind a convolution for a global average pool (``plan.sums``); 0: none. ``reached``: of
    so many columns.
    """
    uses = _uses(graph, list(graph.layers))
    made = {layer.output: layer for layer in graph.layers}
    taken: set[str] = set()
    pairs = []

    def narrow(*layers: Layer) -> bool:
        """The kernels of a call with a stage inside know int8 alone."""
        return all(graph.tensors[n].bits == 8 for layer in layers for n in (*layer.inputs, layer.output))

    for layer in graph.layers:
        if isinstance(layer, Pool) and layer.divisors:
            conv = made.get(layer.input)
            rows = rows_per_sum(layer, graph.tensors[layer.input], columns, reached)
            if rows and isinstance(conv, Conv) and uses[layer.input] == 1 and not _pointwise_stride(conv):
                if not conv.front and conv.name not in taken and narrow(conv, layer):
                    pairs.append(PoolPair(conv.name, layer.name, False, rows))
                    taken.add(conv.name)
        elif isinstance(layer, Pool):
            conv = made.get(layer.input)
            if isinstance(conv, Conv) and _takes_pool(conv) and uses[layer.input] == 1:
                plain = layer.dilation == (1, 1) and not _pointwise_stride(conv)
                if plain and conv.name not in taken and narrow(conv, layer):
                    pairs.append(PoolPair(conv.name, layer.name, False))
                    taken |= {conv.name, layer.name}
        elif isinstance(layer, Conv) and layer.weight.shape[2:] == (1, 1) and _takes_pool(layer):
            pool = made.get(layer.input)
            front = isinstance(pool, Pool) and pool.dilation == (1, 1)
            if scales and isinstance(pool, Conv) and layer.groups == 1 and not layer.shifts:
                front = scale_of(pool) is not None
            if pool is not None and front and uses[layer.input] == 1:
                plain = layer.stride == (1, 1) and not any(layer.pads)
                if plain and pool.name not in taken and narrow(pool, layer):
                    pairs.append(PoolPair(layer.name, pool.name, True))
                    taken |= {layer.name, pool.name}
    return tuple(pairs)


def without_sums(pairs: Collection[PoolPair]) -> tuple[PoolPair, ...]:
    """The pairs whose pools are no longer layers."""
    return tuple(p for p in pairs if not p.sums)


def worth_keeping(
    pairs: Collection[PoolPair], gain: Mapping[str, float], single: Mapping[str, float]
) -> tuple[PoolPair, ...]:
    """The pairs that pay. ``gain``: cycles that items with all pairs save; ``single``: of pools that are items without.

    Sums serve the pool that reads them: their gain is that of both items.
    """

    def saved(pair: PoolPair) -> float:
        return gain.get(pair.conv, inf) + single.get(pair.pool, 0.0)

    def with_reader(pair: PoolPair) -> float:
        reader = next((saved(p) for p in pairs if p.pool == pair.pool and not p.sums), None)
        return gain.get(pair.conv, inf) + (gain.get(pair.pool, inf) if reader is None else reader)

    return tuple(p for p in pairs if (with_reader(p) if p.sums else saved(p)) > 0)


def _takes_pool(conv: Conv) -> bool:
    front = conv.pool_before is None and conv.scale_before is None
    return conv.tail is None and front and conv.pool_after is None


def _pointwise_stride(conv: Conv) -> bool:
    """A 1x1 window with stride: the memtile's DMA subsamples its input."""
    return conv.weight.shape[2:] == (1, 1) and conv.stride != (1, 1)


def fuse_pools(graph: LayerGraph, pairs: Collection[PoolPair]) -> LayerGraph:
    """Move the pools of ``pairs`` into their convolutions."""
    by_conv = {p.conv: p for p in pairs if not p.sums}
    pools = {layer.name: layer for layer in graph.layers if isinstance(layer, Pool | Conv)}
    gone = {p.pool for p in pairs if not p.sums}
    tensors = dict(graph.tensors)
    for added in (p for p in pairs if p.sums):
        conv, pool = pools[added.conv], pools[added.pool]
        assert isinstance(conv, Conv) and isinstance(pool, Pool)
        pools[added.conv], pools[added.pool], made = with_sums(conv, pool, tensors[pool.input], added.sums)
        tensors[made.name] = made
    out: list[Layer] = []
    for layer in graph.layers:
        layer = pools.get(layer.name, layer)
        pair = by_conv.get(layer.name)
        if pair and isinstance(layer, Conv):
            pool = pools[pair.pool]
            if isinstance(pool, Conv):
                layer = replace(layer, input=pool.input, scale_before=pool)
            elif pair.before:
                layer = replace(layer, input=pool.input, pool_before=pool)
            else:
                layer = replace(layer, output=pool.output, pool_after=pool)
        if layer.name not in gone:
            out.append(layer)
    return replace(graph, layers=tuple(out), tensors=tensors)


def _uses(graph: LayerGraph, layers: list[Layer]) -> Counter[str]:
    uses: Counter[str] = Counter(name for layer in layers for name in layer.inputs)
    uses.update(io.tensor for io in graph.outputs)
    return uses


def _constant_shift(layer: Layer) -> int | None:
    """Left shift of a layer that only adds a constant per channel: depthwise 1x1, all weights one power of two."""
    if not isinstance(layer, Conv) or layer.tail or layer.weight.shape[1:] != (1, 1, 1):
        return None
    if layer.groups != layer.weight.shape[0] or layer.stride != (1, 1) or any(layer.pads):
        return None
    value = int(layer.weight.flat[0])
    if value <= 0 or value & (value - 1) or not (layer.weight == value).all():
        return None
    shift = value.bit_length() - 1 + layer.acc_shift
    return shift if shift <= MAX_SHIFT and np.abs(layer.bias).max() < INT32 else None


def _fuse_constants(graph: LayerGraph, layers: list[Layer]) -> list[Layer]:
    uses = _uses(graph, layers)
    made: dict[str, int] = {}
    out: list[Layer] = []
    for layer in layers:
        wide = any(graph.tensors[name].bits != 8 for name in (*layer.inputs, layer.output))
        shift = None if wide else _constant_shift(layer)
        if shift is not None and isinstance(layer, Conv):
            index = made.get(layer.input)
            before = out[index] if index is not None else None
            if index is not None and isinstance(before, Conv) and before.tail is None and uses[layer.input] == 1:
                tail = Tail(layer.name, None, shift, 0, layer.bias, layer.requant)
                out[index] = replace(before, output=layer.output, tail=tail)
                made[layer.output] = index
                continue
        made[layer.output] = len(out)
        out.append(layer)
    return out


def _fuse_residuals(graph: LayerGraph, layers: list[Layer], keep: Collection[str]) -> list[Layer]:
    uses = _uses(graph, layers)
    made = {layer.output: i for i, layer in enumerate(layers)}
    out: list[Layer | None] = list(layers)
    for i, layer in enumerate(layers):
        if not isinstance(layer, Add) or layer.b is None or max(layer.a_shift, layer.b_shift) > MAX_SHIFT:
            continue
        if layer.name in keep:
            continue
        options = []
        for mine, other in ((layer.a, layer.b), (layer.b, layer.a)):
            index = made.get(mine, -1)
            conv = out[index] if index >= 0 else None
            if not isinstance(conv, Conv) or conv.tail or conv.output != mine or uses[mine] != 1 or mine == other:
                continue
            if made.get(other, -1) < index:
                options.append((index, conv, other, mine == layer.a))
        if options:
            index, conv, other, first = max(options, key=lambda o: o[0])
            shifts = (layer.a_shift, layer.b_shift) if first else (layer.b_shift, layer.a_shift)
            tail = Tail(layer.name, other, *shifts, None, layer.requant)
            out[index] = replace(conv, output=layer.output, tail=tail)
            out[i] = None
            made[layer.output] = index
    return [layer for layer in out if layer is not None]
