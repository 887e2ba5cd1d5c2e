"""Magnitude pruning of whole blocks in an ONNX network, float or quantised (QDQ)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np
import onnx

from tvm_aie.errors import InputError
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, attributes
from tvm_aie.sparsity.blocks import NORMS, apply_mask, block_importance, choose_blocks, live_count

LAYERS = ("Conv", "Gemm", "MatMul")
PASSED_THROUGH = ("QuantizeLinear", "DequantizeLinear", "Reshape", "Flatten", "Dropout", "Relu", "Identity", "Squeeze")


@dataclass(frozen=True)
class LayerSparsity:
    """One layer: weight shape as (out, in, taps), blocks in all and live, and why it is dense or denser."""

    name: str
    op_type: str
    shape: tuple[int, int, int]
    blocks: int
    live: int
    note: str = ""

    @property
    def density(self) -> float:
        """Live blocks over all blocks."""
        return self.live / self.blocks


@dataclass(frozen=True)
class SparsityReport:
    """Every layer of a network in graph order, with the options that were used."""

    layers: tuple[LayerSparsity, ...]
    target: float
    block: tuple[int, int]
    norm: str

    @property
    def density(self) -> float:
        """Live weights over all weights, blocks counted at their full size."""
        total = sum(x.blocks * x.shape[2] for x in self.layers)
        return sum(x.live * x.shape[2] for x in self.layers) / total if total else 1.0

    def text(self) -> str:
        """One line per layer, for the command line."""
        lines = [f"blocks {self.block[0]}x{self.block[1]}, norm {self.norm}, target density {self.target:.1%}"]
        width = max((len(x.name) for x in self.layers), default=0)
        for x in self.layers:
            shape = "x".join(map(str, x.shape))
            kept = f"{x.live:6d} of {x.blocks:6d}  {x.density:6.1%}"
            lines.append(f"{x.name:{width}}  {shape:>16}  {kept}  {x.note}".rstrip())
        return "\n".join([*lines, f"network: {self.density:.1%} of the weight blocks are kept"])


@dataclass
class _Layer:
    """A layer that has a constant weight: where it is, and how to view it as (out, in, taps)."""

    node: onnx.NodeProto
    constant: str
    shape: tuple[int, int, int]
    transposed: bool  # stored (in, out)
    zero: int
    scale: Array | None
    note: str = ""

    @property
    def name(self) -> str:
        return str(self.node.name or self.node.output[0])

    def view(self, value: Array) -> Array:
        return (value.T if self.transposed else value).reshape(self.shape)

    def restore(self, view: Array, like: Array) -> Array:
        flat = view.reshape(self.shape[0], -1)
        return np.ascontiguousarray((flat.T if self.transposed else flat).reshape(like.shape))

    def importance(self, value: Array, block: tuple[int, int], norm: str) -> Array:
        """Of the real values: zero point and a per-output scale taken off; a common scale does not matter."""
        view = self.view(value)
        if self.zero:
            view = view.astype(np.int32) - self.zero
        if self.scale is not None and self.scale.size == self.shape[0]:
            view = view * self.scale.reshape(-1, 1, 1)
        return block_importance(view, block, norm)


def sparsify(
    model: onnx.ModelProto,
    density: float,
    block: tuple[int, int] = (8, 8),
    norm: str = "l1",
    keep: Sequence[str] = (),
    allow_empty: bool = False,
    scope: str = "layer",
) -> tuple[onnx.ModelProto, SparsityReport]:
    """Zero the least important blocks of every Conv, Gemm and MatMul with constant weights.

    ``density``: share of blocks that stay, exactly ceil(density * blocks) of each layer (scope 'layer'), or of
    the network with layers ranked by importance relative to their own mean (scope 'network'; each layer keeps
    at least one block). ``block``: (out, in) channels. ``keep``: layer, weight or output names, * allowed.
    The first convolution, convolutions of at most 4 input channels and grouped convolutions stay dense. No
    block row or column is emptied unless ``allow_empty``. The argument is not changed. Raises InputError.
    """
    _check_options(density, block, norm, scope)
    graph = OnnxGraph.from_model(model)
    graph.sort()
    graph.infer_shapes()
    layers = find_layers(graph)
    _mark_dense(layers, keep)
    importance = {x.constant: x.importance(graph.constants[x.constant], block, norm) for x in layers if not x.note}
    counts = _live_counts(importance, density, scope)
    done: dict[str, tuple[int, int]] = {}
    rows: list[LayerSparsity] = []
    for layer in layers:
        rows.append(_prune(graph, layer, importance, counts, block, allow_empty, done))
    report = SparsityReport(tuple(rows), density, block, norm)
    return graph.to_model(), report


def _check_options(density: float, block: tuple[int, int], norm: str, scope: str) -> None:
    if not 0 < density <= 1:
        raise InputError(f"density {density:g}: it must be above 0 and at most 1")
    if len(block) != 2 or min(block) < 1:
        raise InputError(f"block {block}: two positive numbers are needed, output x input channels, e.g. 8x8")
    if norm not in NORMS:
        raise InputError(f"norm '{norm}' is unknown; there are {', '.join(NORMS)}")
    if scope not in ("layer", "network"):
        raise InputError(f"scope '{scope}' is unknown; there are layer, network")


def _prune(
    graph: OnnxGraph,
    layer: _Layer,
    importance: dict[str, Array],
    counts: dict[str, int],
    block: tuple[int, int],
    allow_empty: bool,
    done: dict[str, tuple[int, int]],
) -> LayerSparsity:
    grid = -(-layer.shape[0] // block[0]), -(-layer.shape[1] // block[1])
    total = grid[0] * grid[1]
    kind = layer.node.op_type
    if layer.note or layer.constant not in importance:
        return LayerSparsity(layer.name, kind, layer.shape, total, total, layer.note)
    if layer.constant in done:
        return LayerSparsity(layer.name, kind, layer.shape, *done[layer.constant], "shares its weights")
    mask = choose_blocks(importance[layer.constant], counts[layer.constant], allow_empty)
    value = graph.constants[layer.constant]
    pruned = apply_mask(layer.view(value), mask, block, layer.zero)
    graph.constants[layer.constant] = layer.restore(pruned, value)
    live = int(mask.sum())
    done[layer.constant] = total, live
    wanted = counts[layer.constant]
    note = f"{live - wanted} more than asked, so that no block row or column is empty" if live > wanted else ""
    return LayerSparsity(layer.name, kind, layer.shape, total, live, note)


def find_layers(graph: OnnxGraph) -> list[_Layer]:
    """Layers with constant (maybe quantised) weights, in graph order. ``graph`` is sorted, its shapes inferred."""
    producers, layers = graph.producers(), []
    for node in graph.nodes:
        if node.op_type not in LAYERS or len(node.input) < 2:
            continue
        name, zero, scale = node.input[1], 0, None
        source = producers.get(name)
        if source is not None and source.op_type == "DequantizeLinear":
            name, scale = source.input[0], graph.constants.get(source.input[1])
            point = graph.constants.get(source.input[2]) if len(source.input) > 2 and source.input[2] else None
            zero = int(point.flat[0]) if point is not None and point.size else 0
        if name not in graph.constants or graph.constants[name].ndim < 2:
            continue
        weight = graph.constants[name]
        if node.op_type == "Conv":
            shape = (weight.shape[0], weight.shape[1], int(np.prod(weight.shape[2:])))
            groups = attributes(node).get("group", 1)
            note = f"grouped convolution ({groups} groups)" if groups > 1 else ""
            layers.append(_Layer(node, name, shape, False, zero, scale, note))
            continue
        if weight.ndim != 2:
            continue
        transposed = node.op_type == "MatMul" or not attributes(node).get("transB", 0)
        out, features = weight.shape[::-1] if transposed else weight.shape
        channels = _channels_behind(graph, producers, node.input[0], features)
        layers.append(_Layer(node, name, (out, channels, features // channels), transposed, zero, scale))
    return layers


def _channels_behind(graph: OnnxGraph, producers: dict[str, onnx.NodeProto], tensor: str, features: int) -> int:
    """Input channels of a dense layer: those of the image that was flattened into its features, else all."""
    while True:
        shape = graph.shapes.get(tensor, ())
        if len(shape) == 4 and int(np.prod(shape[1:])) == features:
            return shape[1]
        node = producers.get(tensor)
        if node is None or node.op_type not in PASSED_THROUGH:
            return features
        tensor = node.input[0]


def _mark_dense(layers: list[_Layer], keep: Sequence[str]) -> None:
    first = next((x for x in layers if x.node.op_type == "Conv"), None)
    for layer in layers:
        if layer is first:
            layer.note = "first convolution"
        elif layer.node.op_type == "Conv" and layer.shape[1] <= 4 and not layer.note:
            layer.note = f"{layer.shape[1]} input channels"
    for pattern in keep:
        hits = [x for x in layers if any(fnmatch(n, pattern) for n in (x.name, x.constant, *x.node.output))]
        if not hits:
            names = ", ".join(x.name for x in layers[:8]) + (", ..." if len(layers) > 8 else "")
            raise InputError(f"--keep '{pattern}' names no layer; layers are {names}")
        for layer in hits:
            layer.note = layer.note or "kept on request"
    kept = {x.constant for x in layers if x.note}
    for layer in layers:
        if layer.constant in kept and not layer.note:
            layer.note = "shares its weights with a dense layer"


def _live_counts(importance: dict[str, Array], density: float, scope: str) -> dict[str, int]:
    if scope == "layer" or not importance:
        return {k: live_count(v.size, density) for k, v in importance.items()}
    relative = {k: (v / (v.mean() or 1.0)).reshape(-1) for k, v in importance.items()}
    joined = np.concatenate(list(relative.values()))
    chosen = np.zeros(joined.size, np.bool_)
    chosen[np.argsort(-joined, kind="stable")[: live_count(joined.size, density)]] = True
    bounds = np.cumsum([v.size for v in relative.values()])[:-1]
    return {k: max(1, int(part.sum())) for k, part in zip(relative, np.split(chosen, bounds), strict=True)}
