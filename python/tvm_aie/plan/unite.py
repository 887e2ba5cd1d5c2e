"""Convolutions of one input whose outputs are concatenated become one convolution, whatever their windows.

    conv a, 1x1: x -> p                      conv a + b, 3x3: x -> p | q
    conv b, 3x3: x -> q       becomes        nine taps for the channels of q, the one in the middle for those of p
    concat: p | q -> r

The window is the smallest that holds all of them; taps that a convolution does not have are zero weights, which the
schedule neither stores nor multiplies (``schedule.cover``). Each output channel keeps its own place of rounding
(``Conv.shifts``). The input moves once, the output channels of all are dealt to the core rows together
(``plan.balance``), and there is one item instead of several.

Condition: same input, stride, dilation and clip, no second stage, outputs that nothing but the concat reads, and
channels that fill whole blocks of 8 (the last one's need not).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tvm_aie.plan.graph import Concat, Conv, Layer, LayerGraph, Part, Tensor, conv_out
from tvm_aie.plan.physical import BLOCK, assign_channels, whole_blocks

JOIN = " + "
INT32_MAX = 2**31 - 1
MOST_ACC_SHIFT = 16  # the kernel's limit is 30, and 21 with a leaky multiplier (tvm_aie/kernels/kernel_call.cc)
MOST_SHIFT = 40  # of a rounding, likewise


def unite(graph: LayerGraph) -> LayerGraph:
    """The graph with one convolution in place of those that the condition allows. Outputs are the same, bit by bit."""
    graph = common_accumulators(graph)
    apart: set[str] = set()
    while True:
        united = _united(graph, apart)
        views = assign_channels(united).views
        mixed = {c.name for c in united.layers if isinstance(c, Conv) and not whole_blocks(c, views[c.output])}
        if not mixed:
            return united
        apart |= mixed  # an add forces an order of channels that puts some of two convolutions into one block


def rounding(conv: Conv) -> Hashable:
    """What the kernel call fixes for all output channels: convolutions that share one have it in common."""
    return conv.acc_shift, replace(conv.requant, shift=0)


def common_accumulators(graph: LayerGraph) -> LayerGraph:
    """Convolutions of one input have their accumulators' last bit in common where biases and shifts allow it.

    ``((sum << k) + bias) >> shift`` is ``((sum << k + d) + (bias << d)) >> shift + d``, rounding included.
    """
    groups: dict[Hashable, list[Conv]] = defaultdict(list)
    for conv in graph.layers:
        if isinstance(conv, Conv) and not conv.has_stages:
            groups[conv.input, conv.stride, conv.dilation].append(conv)
    changed: dict[str, Conv] = {}
    for convs in groups.values():
        last = max(conv.acc_shift for conv in convs)
        for conv in convs:
            d = last - conv.acc_shift
            bias = conv.bias << d
            fits = last <= MOST_ACC_SHIFT and conv.requant.shift + d <= MOST_SHIFT
            if d and fits and int(np.abs(bias).max(initial=0)) <= INT32_MAX:
                requant = replace(conv.requant, shift=conv.requant.shift + d)
                changed[conv.name] = replace(conv, acc_shift=last, bias=bias, requant=requant)
    return replace(graph, layers=tuple(changed.get(layer.name, layer) for layer in graph.layers))


def _united(graph: LayerGraph, apart: Collection[str]) -> LayerGraph:
    """Every run of operands of a concat that may be one convolution is one; not those with the names ``apart``."""
    candidates = _candidates(graph)
    tensors = dict(graph.tensors)
    put: dict[str, tuple[Layer, ...]] = {}  # in place of layers, by name
    for concat in graph.layers:
        if not isinstance(concat, Concat):
            continue
        parts: list[str] = []
        for names in _runs(concat, candidates, tensors):
            convs = [candidates[n][0] for n in names] if len(names) > 1 else []
            made = united_conv(convs, graph) if convs else None
            if made is None or made.name in apart:
                parts += names
                continue
            if len(names) == len(concat.parts):
                made = replace(made, output=concat.output)
            else:
                channels = len(made.weight)
                tensors[made.output] = replace(tensors[names[0]], name=made.output, channels=channels)
            for conv in convs:
                put[conv.name] = ()
                del tensors[conv.output]
            put[convs[0].name] = (made,)  # where all that it reads is there
            parts.append(made.output)
        put[concat.name] = () if parts == [concat.output] else (replace(concat, parts=tuple(parts)),)
    layers = tuple(new for layer in graph.layers for new in put.get(layer.name, (layer,)))
    return replace(graph, layers=layers, tensors=tensors)


def _candidates(graph: LayerGraph) -> dict[str, tuple[Conv, Hashable]]:
    """Convolutions that may be united with others of an equal key, by output."""
    readers = Counter(n for layer in graph.layers for n in layer.inputs)
    readers.update(io.tensor for io in graph.outputs)
    found: dict[str, tuple[Conv, Hashable]] = {}
    for conv in graph.layers:
        if not isinstance(conv, Conv) or conv.has_stages or conv.groups != 1 or conv.true_window:
            continue
        out = graph.tensors[conv.output]
        if readers[conv.output] == 1:
            shape = out.height, out.width, out.bits
            found[conv.output] = conv, (conv.input, conv.stride, conv.dilation, rounding(conv), shape)
    return found


def _runs(
    concat: Concat, candidates: Mapping[str, tuple[Conv, Hashable]], tensors: Mapping[str, Tensor]
) -> Iterator[list[str]]:
    """The operands of a concat in order, in runs of those that may be united."""
    run: list[str] = []
    for name in concat.parts:
        fits = run and name in candidates and run[-1] in candidates and tensors[run[-1]].channels % BLOCK == 0
        if not fits or candidates[name][1] != candidates[run[-1]][1]:
            if run:
                yield run
            run = []
        run.append(name)
    yield run


def united_conv(convs: Sequence[Conv], graph: LayerGraph) -> Conv | None:
    """One convolution with the output channels of all, in order; None where no window holds all theirs."""
    first, image, out = convs[0], graph.tensors[convs[0].input], graph.tensors[convs[0].output]
    before: list[int] = []
    after: list[int] = []
    places: list[list[tuple[int, int]]] = []
    for axis, (size, wide) in enumerate(((image.height, out.height), (image.width, out.width))):
        step, dilation, pads = first.stride[axis], first.dilation[axis], [c.pads[axis] for c in convs]
        if any((max(pads) - pad) % dilation for pad in pads):
            return None
        offsets = [(max(pads) - pad) // dilation for pad in pads]
        kernel = max(o + int(c.weight.shape[2 + axis]) for o, c in zip(offsets, convs, strict=True))
        end = max(0, (wide - 1) * step + (kernel - 1) * dilation + 1 - size - max(pads))
        if conv_out(size, kernel, step, max(pads), end, dilation) != wide:
            return None
        before.append(max(pads))
        after.append(end)
        places.append([(o, kernel) for o in offsets])
    weights, parts = [], []
    for conv, (top, kh), (left, kw) in zip(convs, *places, strict=True):
        cout, cin, height, width = conv.weight.shape
        weight = np.zeros((cout, cin, kh, kw), np.int8)
        weight[:, :, top : top + height, left : left + width] = conv.weight
        weights.append(weight)
        parts.append(Part(conv.name, cout, top, left, height, width))
    return replace(
        first,
        name=JOIN.join(c.name for c in convs),
        output=JOIN.join(c.output for c in convs),
        weight=np.concatenate(weights),
        bias=np.concatenate([c.bias for c in convs]),
        pads=(before[0], before[1], after[0], after[1]),
        shifts=tuple(c.requant.shift - first.requant.shift for c in convs for _ in range(len(c.weight))),
        parts=tuple(parts),
    )
