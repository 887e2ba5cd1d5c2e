"""Physical channels: where each logical channel of each tensor lies, and which tensors share storage.

On the array channels come in blocks of 8 (one A/B tile of ``aie::mmul<4,8,8>``). A tensor's *channel map* says at
which physical channel each logical one lies; gaps hold zeros or values nobody reads. With that, concatenation at
any channel count, channel shuffles and grouped convolutions cost nothing: the maps are absorbed by the weights of
the next convolution (docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tvm_aie.errors import ProgramError
from tvm_aie.plan.graph import Add, Concat, Conv, Layer, LayerGraph, Permute, Pool, Requant, Tensor, Upsample

BLOCK = 8
ChannelMap = tuple[int, ...]
NATURAL: Mapping[str, ChannelMap] = {}


@dataclass(frozen=True)
class View:
    """A tensor's place: blocks ``first .. first + blocks`` of ``storage``; ``cmap`` counts from ``first * 8``."""

    storage: str
    first: int
    blocks: int
    cmap: ChannelMap


@dataclass(frozen=True)
class Storage:
    """Memory of (height, blocks, width, 8) elements of ``elem`` bytes: int8 or int16."""

    name: str
    blocks: int
    height: int
    width: int
    elem: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Bytes of 8 channels of one pixel."""
        return BLOCK * self.elem

    @property
    def block_bytes(self) -> int:
        """Bytes of one channel block of an image row."""
        return self.width * self.pixel_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of one image row, all channel blocks."""
        return self.blocks * self.block_bytes

    @property
    def bytes(self) -> int:
        """Bytes of the whole tensor."""
        return self.row_bytes * self.height


ArrayLayer = Conv | Add | Pool | Upsample


@dataclass(frozen=True)
class PhysicalGraph:
    """Layers that do work on the array, in order, and the place of every tensor they touch."""

    graph: LayerGraph
    layers: tuple[ArrayLayer, ...]
    tensors: dict[str, Tensor]
    views: dict[str, View]
    storages: dict[str, Storage]

    def verify(self) -> None:
        """Raise ``ProgramError`` if a view leaves its storage, a channel map leaves its view, or tensors that are added
        channel by channel have different maps."""
        for name, view in self.views.items():
            storage = self.storages[view.storage]
            if view.first + view.blocks > storage.blocks:
                raise ProgramError(
                    f"tensor {name}: blocks {view.first}+{view.blocks} of {storage.blocks} in {storage.name}"
                )
            if len(set(view.cmap)) != len(view.cmap) or max(view.cmap) >= view.blocks * BLOCK:
                raise ProgramError(
                    f"tensor {name}: channel map is not an injection into {view.blocks * BLOCK} channels"
                )
        for layer in self.layers:
            residual = residual_of(layer)
            added = layer.inputs if isinstance(layer, Add) else () if residual is None else (residual,)
            for name in added:
                if self.views[name].cmap != self.views[layer.output].cmap:
                    raise ProgramError(f"layer {layer.name}: {name} and {layer.output} have their channels elsewhere")


def residual_of(layer: Layer) -> str | None:
    """The tensor that a convolution adds to its output, if any."""
    return layer.tail.residual if isinstance(layer, Conv) and layer.tail else None


def blocks_for(channels: int) -> int:
    """Channel blocks of 8 that hold ``channels`` channels."""
    return -(-channels // BLOCK)


def assign_channels(graph: LayerGraph, wanted: Mapping[str, ChannelMap] = NATURAL) -> PhysicalGraph:
    """Choose channel maps and storages; insert copies where a tensor cannot be in two places at once.

    ``wanted``: maps of the outputs of convolutions that add no residual (``plan.balance``), unless something forces
    another.
    """
    layers, tensors = _insert_copies(graph)
    forced: dict[str, ChannelMap] = {}
    for _ in range(len(layers) + 1):
        maps, blocks, conflict = _propagate(graph, layers, tensors, forced, wanted)
        if conflict is None:
            break
        layers, tensors = _resolve(conflict, layers, tensors, forced, maps)
    views, storages = _place(graph, layers, tensors, maps, blocks)
    work = tuple(layer for layer in layers if not isinstance(layer, Concat | Permute))
    return PhysicalGraph(graph, work, tensors, views, storages)


def _insert_copies(graph: LayerGraph) -> tuple[list[Layer], dict[str, Tensor]]:
    """Copies for tensors that would have to be in two places: operands of two concats, outputs that are inputs."""
    layers: list[Layer] = []
    tensors = dict(graph.tensors)
    root: dict[str, str] = {}  # alias through Permute
    inputs, outputs = {io.tensor for io in graph.inputs}, {io.tensor for io in graph.outputs}
    taken = set(inputs)

    def copy_of(name: str, copy: str) -> str:
        tensors[copy] = replace(tensors[name], name=copy)
        layers.append(Add(copy, name, None, copy, 0, 0, Requant(0)))
        return copy

    for layer in graph.layers:
        if isinstance(layer, Permute):
            base = root.get(layer.input, layer.input)
            if base in inputs and layer.output in outputs:
                # The host reads outputs where the array writes them, not where the inputs lie.
                base = copy_of(layer.input, f"{layer.name}:copy")
                layer = replace(layer, input=base)
            root[layer.output] = base
        if not isinstance(layer, Concat):
            layers.append(layer)
            continue
        parts = []
        for i, part in enumerate(layer.parts):
            base = root.get(part, part)
            if base in taken:
                part = base = copy_of(part, f"{layer.name}:copy{i}")
            taken.add(base)
            parts.append(part)
        layers.append(replace(layer, parts=tuple(parts)))
    return layers, tensors


def _propagate(
    graph: LayerGraph,
    layers: Sequence[Layer],
    tensors: dict[str, Tensor],
    forced: dict[str, ChannelMap],
    wanted: Mapping[str, ChannelMap],
) -> tuple[dict[str, ChannelMap], dict[str, int], Add | None]:
    """Forward pass over the maps; stops at the first Add whose operands disagree."""
    maps: dict[str, ChannelMap] = {}
    blocks: dict[str, int] = {}
    for io in graph.inputs:
        channels = tensors[io.tensor].channels
        maps[io.tensor], blocks[io.tensor] = tuple(range(channels)), blocks_for(channels)
    for layer in layers:
        out = layer.output
        if isinstance(layer, Conv):
            residual = residual_of(layer)
            default = maps[residual] if residual else wanted.get(out) or tuple(range(tensors[out].channels))
            if not residual and layer.groups == tensors[out].channels == tensors[layer.input].channels:
                default = maps[layer.input]  # each block needs its own input block alone (``schedule.tiling``)
            maps[out] = forced.get(out, default)
            blocks[out] = blocks_for(max(maps[out]) + 1)
        elif isinstance(layer, Concat):
            cmap: list[int] = []
            base = 0
            for part in layer.parts:
                cmap.extend(base * BLOCK + c for c in maps[part])
                base += blocks[part]
            maps[out], blocks[out] = tuple(cmap), base
        elif isinstance(layer, Permute):
            maps[out] = tuple(maps[layer.input][c] for c in layer.order)
            blocks[out] = blocks[layer.input]
        else:
            first = layer.inputs[0]
            if isinstance(layer, Add) and layer.b is not None and maps[layer.a] != maps[layer.b]:
                return maps, blocks, layer
            maps[out], blocks[out] = maps[first], blocks[first]
            if isinstance(layer, Add) and layer.b is not None:
                blocks[out] = min(blocks[first], blocks[layer.b])
    return maps, blocks, None


def _resolve(
    conflict: Add,
    layers: list[Layer],
    tensors: dict[str, Tensor],
    forced: dict[str, ChannelMap],
    maps: dict[str, ChannelMap],
) -> tuple[list[Layer], dict[str, Tensor]]:
    """Make both operands of an Add agree: let a convolution write the wanted order, else insert a 1x1 identity."""
    assert conflict.b is not None
    producers = {layer.output: layer for layer in layers}
    for mine, other in ((conflict.b, conflict.a), (conflict.a, conflict.b)):
        conv = producers.get(mine)
        # One that adds a residual writes the residual's order.
        if isinstance(conv, Conv) and residual_of(conv) is None and mine not in forced:
            forced[mine] = maps[other]
            return layers, tensors
    t = tensors[conflict.b]
    name = f"{conflict.name}:align"
    eye = np.zeros((t.channels, 1, 1, 1), np.int8)
    eye[:] = 1
    conv = Conv(name, conflict.b, name, eye, np.zeros(t.channels, np.int64), 0, Requant(0), groups=t.channels)
    index = layers.index(conflict)
    forced[name] = maps[conflict.a]
    patched = [*layers[:index], conv, replace(conflict, b=name), *layers[index + 1 :]]
    return patched, {**tensors, name: replace(t, name=name)}


def _place(
    graph: LayerGraph,
    layers: Sequence[Layer],
    tensors: dict[str, Tensor],
    maps: dict[str, ChannelMap],
    blocks: dict[str, int],
) -> tuple[dict[str, View], dict[str, Storage]]:
    """Place tensors in storages: a concat's operands lie inside the concat's storage, a permutation is its input."""
    parent: dict[str, tuple[str, int]] = {}
    for layer in layers:
        if isinstance(layer, Permute):
            parent[layer.output] = (layer.input, 0)
    for layer in layers:
        if isinstance(layer, Concat):
            base = 0
            for part in layer.parts:
                root = part
                while root in parent:
                    root = parent[root][0]
                parent[root] = (layer.output, base)
                base += blocks[part]
    views: dict[str, View] = {}
    storages: dict[str, Storage] = {}
    names = [io.tensor for io in graph.inputs] + [layer.output for layer in layers]
    for name in names:
        root, first = name, 0
        while root in parent:
            root, offset = parent[root]
            first += offset
        views[name] = View(root, first, blocks[name], maps[name])
        t = tensors[root]
        storages.setdefault(root, Storage(root, blocks[root], t.height, t.width, t.bits // 8))
    return views, storages


def whole_blocks(conv: Conv, target: View) -> bool:
    """Whether no block holds output channels that are rounded at different places."""
    found: dict[int, int] = {}
    places = zip(target.cmap, conv.shifts, strict=False)  # without shifts: none
    return all(found.setdefault(channel // BLOCK, shift) == shift for channel, shift in places)


def window_source(graph: PhysicalGraph, conv: Conv) -> View:
    """Where the channels that the window of a convolution reads lie: in its input, or in what a front leaves in ACC."""
    return graph.views[conv.input] if conv.front is None else front_view(conv.front)


def front_view(front: Conv) -> View:
    """The channels that a front leaves in ACC, in their order."""
    channels = len(front.weight)
    return View(front.output, 0, blocks_for(channels), tuple(range(channels)))


def physical_weight(conv: Conv, source: View, target: View) -> np.ndarray:
    """int8 (target.blocks*8, source.blocks*8, kh, kw): the weight with both channel maps applied, groups expanded."""
    cout, cin_group, kh, kw = conv.weight.shape
    out = np.zeros((target.blocks * BLOCK, source.blocks * BLOCK, kh, kw), np.int8)
    src = np.asarray(source.cmap)
    dst = np.asarray(target.cmap)
    per_group = cout // conv.groups
    for g in range(conv.groups):
        rows = dst[g * per_group : (g + 1) * per_group]
        cols = src[g * cin_group : (g + 1) * cin_group]
        out[_index(rows, cols)] = conv.weight[g * per_group : (g + 1) * per_group]
    return out


def _index(rows: np.ndarray, cols: np.ndarray) -> tuple[Any, ...]:
    """Of a part of a matrix; by slices where places follow each other, as these are copied much faster."""
    if all(len(x) and x[-1] - x[0] == len(x) - 1 and (np.diff(x) == 1).all() for x in (rows, cols)):
        return tuple(slice(int(x[0]), int(x[-1]) + 1) for x in (rows, cols))
    return np.ix_(rows, cols)
