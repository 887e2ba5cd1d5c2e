"""A 1x1 convolution in front of a convolution with a window, in one item.

    squeeze 1x1 -> x (int8, few channels)        front: every core computes all of x from each row of the input,
    expand 3x3 -> out                            keeps the rows that windows still need in ACC, and reads them there

Before: the input streams through the activation channel while the cores, most of whose rows have one output block or
none of so few, are idle, then x is written, read back, and multiplied while the channel is idle. After: the two
overlap, x never leaves the core, and there is an item and a barrier less. The price: x is computed by every core row,
and the rows between two columns by both. The arithmetic is the same, both roundings included.

Whether that pays is for whole plans to decide (``rehearse``): ``front_pairs`` lists what is possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from tvm_aie.plan.graph import Conv, Layer, LayerGraph

MOST_CHANNELS = 32  # of what lies between: more would be computed four times for longer than it takes to stream


def front_pairs(graph: LayerGraph) -> dict[str, str]:
    """Names of convolutions with the 1x1 convolution that could run in front of each."""
    uses = Counter(name for layer in graph.layers for name in layer.inputs)
    uses.update(io.tensor for io in graph.outputs)
    made = {layer.output: layer for layer in graph.layers}
    out = {}
    for conv in graph.layers:
        front = made.get(conv.inputs[0])
        if not (isinstance(conv, Conv) and isinstance(front, Conv)) or uses[conv.input] != 1:
            continue
        if _is_plain(conv) and _is_plain(front) and _is_pointwise(front) and conv.weight.shape[2:] != (1, 1):
            narrow = all(graph.tensors[n].bits == 8 for n in (front.input, front.output, conv.output))
            if narrow and conv.groups == 1 and len(front.weight) <= MOST_CHANNELS:
                out[conv.name] = front.name
    return out


def with_fronts(graph: LayerGraph, names: Collection[str]) -> LayerGraph:
    """The graph with the convolutions of ``names`` taking what is in front of them (``front_pairs``)."""
    pairs = {conv: front for conv, front in front_pairs(graph).items() if conv in names}
    by_name = {layer.name: layer for layer in graph.layers}
    gone = set(pairs.values())
    layers: list[Layer] = []
    for layer in graph.layers:
        if layer.name in pairs and isinstance(layer, Conv):
            front = by_name[pairs[layer.name]]
            assert isinstance(front, Conv)
            layer = replace(layer, input=front.input, front=front)
        if layer.name not in gone:
            layers.append(layer)
    return replace(graph, layers=tuple(layers))


def _is_plain(conv: Conv) -> bool:
    return not conv.has_stages and conv.true_window is None


def _is_pointwise(conv: Conv) -> bool:
    return conv.weight.shape[2:] == (1, 1) and conv.stride == (1, 1) and not any(conv.pads) and conv.groups == 1
