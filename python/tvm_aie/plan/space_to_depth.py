"""Space to depth: neighbouring pixels of a network's input become channels of one pixel.

An image of three channels fills three of a block's eight; the array multiplies by the other five all the same. A window
with stride f along x reads pixels f*q .. f*q + f-1 together, so they can be one pixel of f * C channels:

    X'[d*C + c, y, q] = X[c, y, f*q + d]         W'[:, d*C + c, ky, k'] = W[:, c, ky, k]
    k - left = f * (k' - left') + d              left' = ceil(left / f), stride' = stride / f

A 7x7 window with stride 2 becomes 7x4 with stride 1, at half the line: 28 taps instead of 49, half the bytes. What W'
has no tap for is zero, and so is what X' has no pixel for (zero points are 0). The sums are those of before, term by
term. The host writes X' in place of X (docs/program.md section 5, IO: ``fold``), which costs it nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tvm_aie.plan.graph import Conv, Layer, LayerGraph, Tensor, TrueWindow, conv_out, conv_shapes
from tvm_aie.plan.physical import BLOCK, blocks_for


def space_to_depth(graph: LayerGraph) -> LayerGraph:
    """The graph with every input folded that only convolutions read and for which they then need fewer weight tiles."""
    tensors = dict(graph.tensors)
    layers = {layer.name: layer for layer in graph.layers}
    inputs = []
    for io in graph.inputs:
        readers = [layer for layer in graph.layers if io.tensor in layer.inputs]
        tensor = tensors[io.tensor]
        plain = len(io.shape) != 4 or tensor.bits != 8
        fold, folded = (1, []) if plain else _fold(readers, tensor)
        if fold > 1:
            tensors[io.tensor] = _folded_tensor(tensor, fold)
            layers |= {conv.name: conv for conv in folded}
        inputs.append(replace(io, fold=fold) if fold > 1 else io)
    return replace(graph, tensors=tensors, layers=tuple(layers[x.name] for x in graph.layers), inputs=tuple(inputs))


def _folded_tensor(tensor: Tensor, fold: int) -> Tensor:
    return replace(tensor, channels=tensor.channels * fold, width=-(-tensor.width // fold))


def _tiles(conv: Conv, channels: int) -> int:
    """Weight tiles per block of output channels."""
    kh, kw = conv.weight.shape[2:]
    return blocks_for(channels) * int(kh) * int(kw)


def _fold(readers: Sequence[Layer], tensor: Tensor) -> tuple[int, list[Conv]]:
    """Pixels that become one, and the readers then: the fewest weight tiles, the smaller of equals; 1: none.

    All readers are convolutions through whose window alone the tensor comes: a residual is read pixel by pixel.
    """
    convs = [c for c in readers if isinstance(c, Conv) and c.inputs.count(tensor.name) == 1 and c.input == tensor.name]
    if not convs or len(convs) != len(readers):
        return 1, []
    best, least = (1, convs), sum(_tiles(c, tensor.channels) for c in convs)
    for fold in range(2, BLOCK // tensor.channels + 1):
        folded = [fold_conv(c, tensor, fold) for c in convs]
        made = [c for c in folded if c is not None]
        tiles: int = sum(_tiles(c, tensor.channels * fold) for c in made)
        if len(made) == len(convs) and tiles < least:
            best, least = (fold, made), tiles
    return best


def fold_conv(conv: Conv, tensor: Tensor, fold: int) -> Conv | None:
    """``conv`` reading ``tensor`` folded by ``fold`` pixels; None where it cannot."""
    if conv.groups != 1 or conv.dilation[1] != 1 or conv.stride[1] % fold:
        return None
    (_, cin, kh, kw), (top, left, bottom, _) = conv.weight.shape, conv.pads
    before, step = -(-left // fold), conv.stride[1] // fold
    places = [divmod(k - left, fold) for k in range(kw)]
    width = places[-1][0] + before + 1
    wide, line = conv_shapes(conv, tensor.height, tensor.width)[1][1], -(-tensor.width // fold)
    after = max(0, (wide - 1) * step + width - before - line)
    if conv_out(line, width, step, before, after, 1) != wide:
        return None  # the folded image has pixels that no window reads, enough for one output more
    weight = np.zeros((conv.weight.shape[0], fold * cin, kh, width), np.int8)
    for k, (q, d) in enumerate(places):
        weight[:, d * cin : (d + 1) * cin, :, q + before] = conv.weight[:, :, :, k]
    return replace(
        conv,
        weight=weight,
        stride=(conv.stride[0], step),
        pads=(top, before, bottom, after),
        true_window=conv.true_window or TrueWindow(cin, kh, kw),
    )
