"""Pitch: images are widened and heightened so that output messages are whole slots and alike in all columns.

A core sends whole output slots. What a message lacks is junk, which its memtile sinks with a descriptor of its own: one
more to write, and messages that alternate with junk neither fold nor chain (docs/program.md section 3).

Width: slots hold a multiple of 7 pixels of a channel block (7, 14, 28, 56 ... are the widths of common networks). A
line that nearly is one (13, 27, 55 pixels) becomes one: its layer computes the missing pixels too, which costs nothing
while they belong to the same groups of four pixels (a group is one accumulator, ``aie::mmul<4,8,8>``).

Height: weights are broadcast along a row of cores and name the slots of a message, so a column with fewer image rows
than its neighbours sends junk for the rest (13 rows on 4 columns: 4 3 3 3). With 16 rows all columns have 4; the last
one computes rows that do not exist while the others compute theirs.

Nobody reads what is added but layers that work pixel by pixel, whose own added pixels nobody reads either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tvm_aie.plan.graph import Add, Conv, Layer, Pool, Tensor, conv_shapes
from tvm_aie.plan.physical import ArrayLayer, PhysicalGraph
from tvm_aie.plan.siblings import sibling_groups

UNIT = 7  # pixels: 56 bytes of a channel block, of which the output slots of npu1 are a multiple
GROUP = 4  # pixels of an accumulator


def pitch_width(width: int) -> int:
    """Pixels of a line of ``width`` pixels: the next multiple of ``UNIT`` within its last group, or as they are."""
    wider = -(-width // UNIT) * UNIT
    return wider if -(-wider // GROUP) == -(-width // GROUP) else width


def pitch_height(height: int, columns: int) -> int:
    """Rows of an image of ``height`` rows: equally many in each column if none is left without a row."""
    share = -(-height // columns)
    return share * columns if share * (columns - 1) < height else height


def pitched(graph: PhysicalGraph, columns: int, most_zeros: int) -> PhysicalGraph:
    """The graph with the pitch of every storage in which all layers can write what is added.

    ``most_zeros``: words that a memtile's descriptor can add to a line. The network's inputs and outputs keep the size
    that the host knows.
    """
    roots = {name: view.storage for name, view in graph.views.items()}
    host = {roots[io.tensor] for io in (*graph.graph.inputs, *graph.graph.outputs)}
    inner = {name: s for name, s in graph.storages.items() if name not in host}
    wide = {name for name, s in inner.items() if pitch_width(s.width) > s.width}
    tall = {name for name, s in inner.items() if pitch_height(s.height, columns) > s.height}

    def widens(layer: Layer) -> bool:
        out = graph.tensors[layer.output]
        pitch = pitch_width(out.width)
        return _adds(layer, graph.tensors, roots, wide, 1, pitch) and _zeros(layer, graph.tensors, pitch) <= most_zeros

    def heightens(layer: Layer) -> bool:
        out = graph.tensors[layer.output]
        return _adds(layer, graph.tensors, roots, tall, 0, pitch_height(out.height, columns))

    siblings = [{roots[graph.layers[m].output] for m in group} for group in sibling_groups(graph)]
    for found, can in ((wide, widens), (tall, heightens)):
        before: set[str] = set()
        while found != before:
            before = set(found)
            found -= {roots[n.output] for n in graph.layers if roots[n.output] in found and not can(n)}
            for group in siblings:
                if not group <= found:  # they may share an item, whose outputs are of one size
                    found -= group
    storages = {}
    for name, s in graph.storages.items():
        width = pitch_width(s.width) if name in wide else s.width
        height = pitch_height(s.height, columns) if name in tall else s.height
        storages[name] = replace(s, width=width, height=height)
    layers = tuple(_divides(n) if roots[n.output] in wide | tall else n for n in graph.layers)
    return replace(graph, layers=layers, storages=storages)


def _adds(
    layer: Layer, tensors: Mapping[str, Tensor], roots: Mapping[str, str], found: set[str], axis: int, pitch: int
) -> bool:
    """Whether the layer can compute ``pitch`` rows (axis 0) or pixels of a line (axis 1) of its output.

    ``found``: storages that have their pitch along that axis.
    """
    source = tensors[layer.inputs[0]]
    size = (source.height, source.width)
    if isinstance(layer, Conv):
        after = layer.pool_after
        if after is not None:
            # Rows beyond the last are clipped to it. A line that is reached over is one piece (``whole_lines``); each
            # window on it needs a pixel.
            written = conv_shapes(layer, *size)[1]
            if axis == 1 and (pitch - 1) * after.stride[1] - after.pads[1] >= written[1]:
                return False
        if axis == 1 and layer.weight.shape[2:] == (1, 1) and layer.stride != (1, 1) and not any(layer.pads):
            return False  # the memtile's DMA picks its pixels, and cannot add zeros to those
        residual = layer.tail.residual if layer.tail else None
        return residual is None or roots[residual] in found
    if isinstance(layer, Add):
        return all(roots[n] in found for n in layer.inputs)
    return isinstance(layer, Pool)


def _zeros(layer: Layer, tensors: Mapping[str, Tensor], pitch: int) -> int:
    """Words of zeros that the memtile's DMA adds on the right of a line for ``pitch`` output pixels of a window."""
    if not isinstance(layer, Conv) or layer.pool_before or layer.pool_after or layer.scale_before:
        return 0
    source = tensors[layer.input]
    reach: int = (pitch - 1) * layer.stride[1] + (layer.weight.shape[3] - 1) * layer.dilation[1] + 1
    return max(0, reach - layer.pads[1] - source.width) * (source.bits // 4)


def _divides(layer: ArrayLayer) -> ArrayLayer:
    """The layer with a divisor for windows outside the image, if it averages; their values do not matter."""
    if isinstance(layer, Pool):
        return _with_any(layer)
    if isinstance(layer, Conv) and layer.pool_before is not None:
        return replace(layer, pool_before=_with_any(layer.pool_before))
    return layer


def _with_any(pool: Pool) -> Pool:
    if not pool.divisors or any(d.count == 0 for d in pool.divisors):
        return pool
    return replace(pool, divisors=(*pool.divisors, replace(pool.divisors[-1], count=0)))
