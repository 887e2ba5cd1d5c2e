"""Second stages: an add or a per-channel constant that follows a convolution runs in the convolution's epilogue.

    conv -> x (int8)                      conv+tail:
    out = requant((x << a) + (r << b))    out = requant2((requant1(acc) << a) + (r << b))    in one item

Before: x is written to the memtile and both operands are read back. After: only r is read, together with the
convolution's input. The arithmetic is the same, both roundings included, so the outputs are identical.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

import numpy as np

from tvm_aie.plan.graph import Add, Conv, Layer, LayerGraph, Tail

MAX_SHIFT = 22  # of the ADD kernel: both operands stay in 32 bits
INT32 = 1 << 31


def fuse(graph: LayerGraph, keep: Collection[str] = ()) -> LayerGraph:
    """Fuse what can be fused, except the adds named in ``keep``."""
    layers = list(graph.layers)
    layers = _fuse_constants(graph, layers)
    return replace(graph, layers=tuple(_fuse_residuals(graph, layers, keep)))


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
        shift = _constant_shift(layer)
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
