"""Real architectures without a download: the onnx wheel's ``light_*`` networks with seeded weights.

The files hold ImageNet classifiers whose weights are ConstantOfShape nodes. Each becomes a seeded normal, scaled
by an analytic estimate of the mean and variance of every tensor (no data is run, so the weights depend on the
seed alone): activations neither explode nor die, residual branches add as in a trained network, and the logits
have a spread of about 3, so that the softmax is not flat.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from tvm_aie.errors import InputError
from tvm_aie.frontend.onnx_fold import fold_shape_nodes, run_nodes
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, attributes, label
from tvm_aie.frontend.onnx_prepare import convert_opset, load_model, remove_no_ops, split_sums, write_reshapes

LIGHT_NAMES = (
    "resnet50",
    "squeezenet",
    "vgg19",
    "inception_v1",
    "inception_v2",
    "densenet121",
    "shufflenet",
    "bvlc_alexnet",
    "zfnet512",
)
LOGIT_STD = 3.0
Moments = tuple[float, float]  # mean and variance of all elements of a tensor
FloatArray = npt.NDArray[np.float32]


def light_path(name: str) -> Path:
    """The file of a light network inside the onnx wheel. Raises InputError for an unknown name."""
    name = name.removeprefix("light_").removesuffix(".onnx")
    if name not in LIGHT_NAMES:
        raise InputError(f"no network '{name}'; there are {', '.join(LIGHT_NAMES)}")
    return Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / f"light_{name}.onnx"


def light_model(name: str, seed: int = 0) -> onnx.ModelProto:
    """A light network at opset 17 with deterministic float32 weights from ``seed``; prepared and static.

    ``name``: one of LIGHT_NAMES, with or without 'light_'. Raises InputError.
    """
    model = load_model(light_path(name))
    graph = OnnxGraph.from_model(model)
    unused = {n for node in graph.nodes for n in node.input}
    graph.inputs = [i for i in graph.inputs if i.name in unused]
    graph = convert_opset(graph)
    fold_shape_nodes(graph)
    holes = _replace_constant_of_shape(graph)
    graph.infer_shapes()
    _fill_weights(graph, holes, seed)
    split_sums(graph)
    graph.infer_shapes()
    write_reshapes(graph)
    while remove_no_ops(graph):
        pass
    graph.drop_unused()
    graph.sort()
    graph.infer_shapes()
    return graph.to_model()


def _replace_constant_of_shape(graph: OnnxGraph) -> set[str]:
    """Each ConstantOfShape becomes an (empty, zero-stride) constant of its shape; returns their names."""
    holes: set[str] = set()
    kept: list[onnx.NodeProto] = []
    for node in graph.nodes:
        if node.op_type == "ConstantOfShape":
            shape = tuple(int(d) for d in graph.constants[node.input[0]].reshape(-1))
            graph.constants[node.output[0]] = np.broadcast_to(np.float32(0), shape)
            holes.add(node.output[0])
        else:
            kept.append(node)
    graph.nodes = kept
    return holes


# ------------------------------------------------------------------------------- seeded weights
class _Filler:
    """Walks the graph in order, estimates moments and writes each hole when its reader is met."""

    def __init__(self, graph: OnnxGraph, holes: set[str], seed: int) -> None:
        self.graph, self.holes, self.seed = graph, holes, seed
        self.moments: dict[str, Moments] = {i.name: (0.0, 1.0) for i in graph.inputs}
        self.origin: dict[str, str] = {}  # a constant reached through Reshape/Unsqueeze -> the hole behind it
        self.logits = self._logit_writers()

    def _logit_writers(self) -> set[str]:
        """Outputs of the layers whose values reach the final softmax with no other weighted layer between."""
        producers = self.graph.producers()
        todo = [o.name for o in self.graph.outputs]
        for _ in range(6):
            nodes = [producers[t] for t in todo if t in producers]
            if any(n.op_type in ("Conv", "Gemm", "MatMul") for n in nodes):
                break
            todo = [n.input[0] for n in nodes]
        return set(todo)

    def normal(self, name: str, std: float, mean: float = 0.0, centre: bool = False) -> None:
        """Fill hole ``name`` (or the hole behind it) with normals from (seed, name)."""
        hole = self.origin.get(name, name)
        if hole not in self.holes:
            return
        shape = self.graph.constants[hole].shape
        rng = np.random.default_rng([self.seed, zlib.crc32(hole.encode())])
        value: FloatArray = rng.standard_normal(shape, dtype=np.float32)
        if centre:
            value -= value.mean(axis=tuple(range(1, value.ndim)), keepdims=True)
        value *= np.float32(std)
        value += np.float32(mean)
        self.graph.constants[hole] = value
        self.holes.discard(hole)

    def variance_jitter(self, name: str, variance: float) -> None:
        """Fill a BatchNormalization variance: within 20 % of the estimate, always positive."""
        self.normal(name, 0.06 * variance, variance)
        hole = self.origin.get(name, name)
        self.graph.constants[hole] = np.maximum(self.graph.constants[hole], np.float32(0.5 * variance))

    # ------------------------------------------------------------------ one method per operator
    def weighted(self, node: onnx.NodeProto) -> Moments:
        """Conv, Gemm, MatMul: He scale for the estimated input, zero-mean filters, small bias."""
        mean, variance = self.moments[node.input[0]]
        weight = self.graph.constants[self.origin.get(node.input[1], node.input[1])]
        kernel_in = weight.shape[1:] if node.op_type == "Conv" else weight.shape
        transposed = attributes(node).get("transB", 0) == 1
        fan_in = int(np.prod(kernel_in)) if node.op_type == "Conv" else int(kernel_in[1 if transposed else 0])
        centre = node.op_type == "Conv" and weight.shape[1] >= 8
        power = variance + (0.0 if centre else mean * mean)
        target = LOGIT_STD**2 if node.output[0] in self.logits else 1.0
        self.normal(node.input[1], float(np.sqrt(target / (fan_in * power))), centre=centre)
        if len(node.input) > 2:
            self.normal(node.input[2], 0.1)
        return 0.0, target

    def batch_norm(self, node: onnx.NodeProto) -> Moments:
        """Normalises the estimate; gamma near 1, except 0.5 where a residual Add follows."""
        mean, variance = self.moments[node.input[0]]
        residual = any(r.op_type in ("Add", "Sum") for r in self.graph.nodes if node.output[0] in r.input)
        residual = residual and all(i not in self.graph.constants for r in self._readers(node) for i in r.input)
        gamma = 0.5 if residual else 1.0
        self.normal(node.input[1], 0.1 * gamma, gamma)
        self.normal(node.input[2], 0.1)
        self.normal(node.input[3], 0.1 * float(np.sqrt(variance)), mean)
        self.variance_jitter(node.input[4], variance)
        return 0.0, gamma * gamma + 0.02

    def _readers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        return [r for r in self.graph.nodes if node.output[0] in r.input]

    def relu(self, node: onnx.NodeProto) -> Moments:
        """The moments of a rectified normal."""
        mean, variance = self.moments[node.input[0]]
        std = float(np.sqrt(variance))
        ratio = mean / std
        density = float(np.exp(-ratio * ratio / 2) / np.sqrt(2 * np.pi))
        from math import erf

        below = 0.5 * (1 + erf(ratio / np.sqrt(2)))
        first = mean * below + std * density
        second = (mean * mean + variance) * below + mean * std * density
        return first, max(second - first * first, 1e-3)

    def binary(self, node: onnx.NodeProto) -> Moments:
        """Add and Mul of two tensors, or of a tensor and a hole (scale near 1, shift near 0)."""
        known = [self.moments[i] for i in node.input if i in self.moments]
        for name in node.input:
            if name not in self.moments:
                self.normal(name, 0.1, 1.0 if node.op_type == "Mul" else 0.0)
        if len(known) == 1:
            return known[0][0], known[0][1] * 1.01 + 0.01
        return sum(m for m, _ in known), sum(v for _, v in known)

    def pool(self, node: onnx.NodeProto) -> Moments:
        """Maximum: higher mean, less spread. Average: neighbours are taken as half correlated."""
        mean, variance = self.moments[node.input[0]]
        if node.op_type == "MaxPool":
            return mean + 0.8 * float(np.sqrt(variance)), 0.8 * variance
        area = int(np.prod(attributes(node).get("kernel_shape", self.graph.shapes[node.input[0]][2:])))
        return mean, variance * (0.5 + 0.5 / area) if area < 16 else variance * 0.2

    def concat(self, node: onnx.NodeProto) -> Moments:
        """Mixture of the parts, weighted by channels."""
        parts = [(self.moments[i], self.graph.shapes[i][1]) for i in node.input]
        total = sum(c for _, c in parts)
        mean = sum(m * c for (m, _), c in parts) / total
        second = sum((v + m * m) * c for (m, v), c in parts) / total
        return mean, second - mean * mean

    def local_norm(self, node: onnx.NodeProto) -> Moments:
        """LRN divides by about bias ** beta."""
        attrs = attributes(node)
        factor = float(attrs.get("bias", 1.0)) ** -float(attrs.get("beta", 0.75))
        mean, variance = self.moments[node.input[0]]
        return mean * factor, variance * factor * factor

    def same(self, node: onnx.NodeProto) -> Moments:
        """Layout operators and those at the end."""
        return self.moments[node.input[0]]


_RULES: dict[str, Callable[[_Filler, onnx.NodeProto], Moments]] = {
    "Conv": _Filler.weighted,
    "Gemm": _Filler.weighted,
    "MatMul": _Filler.weighted,
    "BatchNormalization": _Filler.batch_norm,
    "Relu": _Filler.relu,
    "Add": _Filler.binary,
    "Sum": _Filler.binary,
    "Mul": _Filler.binary,
    "MaxPool": _Filler.pool,
    "AveragePool": _Filler.pool,
    "GlobalAveragePool": _Filler.pool,
    "Concat": _Filler.concat,
    "LRN": _Filler.local_norm,
}


def _fill_weights(graph: OnnxGraph, holes: set[str], seed: int) -> None:
    """Fill every hole, then evaluate the layout operators on weights (Unsqueeze, Reshape)."""
    filler = _Filler(graph, holes, seed)
    on_weights: list[onnx.NodeProto] = []
    for node in graph.nodes:
        if node.input[0] in graph.constants or node.input[0] in filler.origin:
            filler.origin[node.output[0]] = filler.origin.get(node.input[0], node.input[0])
            on_weights.append(node)
            continue
        filler.moments[node.output[0]] = _RULES.get(node.op_type, _Filler.same)(filler, node)
    if filler.holes:
        raise InputError(f"{label(graph.nodes[0])}: no rule fills the weights {', '.join(sorted(filler.holes))}")
    values: dict[str, Array] = {i: graph.constants[i] for n in on_weights for i in n.input if i in graph.constants}
    if on_weights:
        wanted = [n.output[0] for n in on_weights]
        results: dict[str, Any] = run_nodes(on_weights, values, wanted, graph.opset)
        graph.constants.update(results)
        gone = {id(n) for n in on_weights}
        graph.nodes = [n for n in graph.nodes if id(n) not in gone]
