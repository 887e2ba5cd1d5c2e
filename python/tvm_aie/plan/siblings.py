"""Convolutions that read one tensor through the same window run as one item: the tensor is streamed once.

    conv a: x -> p                      one item:  x -> p | q | r
    conv b: x -> q       becomes        output blocks of p, q, r one after the other,
    conv c: x -> r                      each written to its own tensor

Condition: same input, window, stride, padding and dilation, the same clip and last bit of the accumulator (parameters
of the kernel call; the shift may differ, weight messages have it for each output block) and no second stage. Effect:
the input moves once instead of once per convolution, and small convolutions share one start and one end. The item runs
where the first of them did, so the other outputs live longer: the schedule decides by estimate (``pipeline``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable

from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import ArrayLayer, PhysicalGraph
from tvm_aie.plan.unite import rounding

Groups = tuple[tuple[int, ...], ...]  # layer indices; every layer in one group, in order of the first


def single_groups(graph: PhysicalGraph) -> Groups:
    """Every layer for itself."""
    return tuple((i,) for i in range(len(graph.layers)))


def sibling_groups(graph: PhysicalGraph) -> Groups:
    """The largest groups that the condition allows."""
    members: dict[Hashable, list[int]] = defaultdict(list)
    for index, layer in enumerate(graph.layers):
        members[_key(index, layer, graph)].append(index)
    return tuple(sorted(tuple(group) for group in members.values()))


def _key(index: int, layer: ArrayLayer, graph: PhysicalGraph) -> Hashable:
    """Layers with equal keys may share an item; an index is equal to nothing else."""
    if not isinstance(layer, Conv) or layer.has_stages:
        return index
    window = (layer.weight.shape[2:], layer.stride, layer.pads, layer.dilation)
    target = graph.storages[graph.views[layer.output].storage]
    size = target.height, target.width  # with or without what ``plan.pitch`` adds
    return (layer.input, window, rounding(layer), graph.tensors[layer.output].bits, size)
