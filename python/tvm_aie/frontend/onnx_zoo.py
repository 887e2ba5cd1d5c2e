"""Real architectures without a download: the onnx wheel's ``light_*`` networks with seeded weights.

The files hold ImageNet classifiers whose weights are ConstantOfShape nodes. Each becomes a seeded normal, scaled
layer by layer on one seeded random image so that every layer's output has a spread of about 1: activations
neither explode nor die, residual branches add as in a trained network, and the logits have a spread of about 3,
so that the softmax is not flat. Measured spreads are rounded to eighths of an octave before use: the weights do
not depend on the last bits of somebody's onnxruntime.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from tvm_aie.errors import InputError
from tvm_aie.frontend.onnx_fold import fold_shape_nodes, run_nodes
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, attributes
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
def _fill_weights(graph: OnnxGraph, holes: set[str], seed: int) -> None:
    """Fill every hole in graph order, running each node on one random image; fold layout operators on weights."""
    filler = _Filler(graph, holes, seed)
    rng = np.random.default_rng([seed, 0x1A6E])
    values: dict[str, Array] = {}
    for info in graph.inputs:
        values[info.name] = rng.standard_normal(graph.shapes[info.name], dtype=np.float32)
    last_use = {name: k for k, node in enumerate(graph.nodes) for name in node.input}
    kept: list[onnx.NodeProto] = []
    for k, node in enumerate(graph.nodes):
        if node.input[0] in graph.constants:
            _fold_on_weight(graph, filler, node)
            continue
        kept.append(node)
        values.update(filler.run(node, values))
        for name in node.input:
            if last_use[name] == k:
                values.pop(name, None)
    graph.nodes = kept
    if filler.holes:
        raise InputError(f"no rule fills the weights {', '.join(sorted(filler.holes))}")


def _fold_on_weight(graph: OnnxGraph, filler: _Filler, node: onnx.NodeProto) -> None:
    """Unsqueeze or Reshape of a hole: the result is the hole from now on."""
    source, target = node.input[0], node.output[0]
    if source in filler.holes:
        filler.holes.discard(source)
        filler.holes.add(target)
        graph.constants[target] = np.broadcast_to(np.float32(0), graph.shapes[target])
    else:
        values = {i: graph.constants[i] for i in node.input}
        graph.constants.update(run_nodes([node], values, [target], graph.opset))


class _Filler:
    """Writes the holes a node reads, then evaluates the node."""

    def __init__(self, graph: OnnxGraph, holes: set[str], seed: int) -> None:
        self.graph, self.holes, self.seed = graph, holes, seed
        self.readers = graph.consumers()
        self.logits = self._logit_spreads()

    def _logit_spreads(self) -> dict[str, float]:
        """Output of the last weighted layer -> its spread; six times wider where a pool averages it away."""
        producers, spread = self.graph.producers(), LOGIT_STD
        tensor = self.graph.outputs[0].name
        while tensor in producers and producers[tensor].op_type not in ("Conv", "Gemm", "MatMul"):
            spread *= 6 if producers[tensor].op_type == "GlobalAveragePool" else 1
            tensor = producers[tensor].input[0]
        return {tensor: spread}

    def fill(self, name: str, std: float, mean: float = 0.0, centre: bool = False) -> FloatArray:
        """Hole ``name`` becomes normals from (seed, name); ``centre``: each output channel sums to zero."""
        shape = self.graph.constants[name].shape
        rng = np.random.default_rng([self.seed, zlib.crc32(name.encode())])
        value: FloatArray = rng.standard_normal(shape, dtype=np.float32)
        if centre:
            value -= value.mean(axis=tuple(range(1, value.ndim)), keepdims=True)
        value *= np.float32(std)
        value += np.float32(mean)
        self.graph.constants[name] = value
        self.holes.discard(name)
        return value

    def run(self, node: onnx.NodeProto, values: dict[str, Array]) -> dict[str, Array]:
        """Fill what ``node`` reads, return what it writes."""
        if node.op_type in ("Conv", "Gemm", "MatMul") and node.input[1] in self.holes:
            self.weighted(node, values)
        elif node.op_type == "BatchNormalization":
            self.batch_norm(node, values[node.input[0]])
        else:
            for name in node.input:
                if name in self.holes:  # per-channel scale or shift
                    self.fill(name, 0.1, 1.0 if node.op_type == "Mul" else 0.0)
        return self.evaluate(node, values)

    def evaluate(self, node: onnx.NodeProto, values: dict[str, Array]) -> dict[str, Array]:
        """The node's outputs on the given tensors."""
        known = {i: self.graph.constants.get(i, values.get(i)) for i in node.input if i}
        return run_nodes([node], {k: v for k, v in known.items() if v is not None}, [node.output[0]], self.graph.opset)

    def weighted(self, node: onnx.NodeProto, values: dict[str, Array]) -> None:
        """He-like filters without a constant part, rescaled to the wanted spread of the output; small bias."""
        weight = self.graph.constants[node.input[1]]
        transposed = attributes(node).get("transB", 0) == 1
        fan_in = int(np.prod(weight.shape[1:])) if node.op_type == "Conv" else weight.shape[1 if transposed else 0]
        centre = node.op_type == "Conv" and weight.shape[1] >= 8
        weight = self.fill(node.input[1], float(np.sqrt(1.0 / fan_in)), centre=centre)
        if len(node.input) > 2:
            self.fill(node.input[2], 0.0)
        spread = rounded_spread(self.evaluate(node, values)[node.output[0]])
        weight *= np.float32(self.logits.get(node.output[0], 1.0) / spread)
        if len(node.input) > 2:
            self.holes.add(node.input[2])
            self.fill(node.input[2], 0.1)

    def batch_norm(self, node: onnx.NodeProto, x: Array) -> None:
        """Normalises the measured spread; gamma near 1, or 0.5 at the end of a residual branch."""
        readers = self.readers[node.output[0]]
        adds = [r for r in readers if r.op_type in ("Add", "Sum")]
        residual = any(all(i not in self.graph.constants for i in r.input) for r in adds)
        gamma, spread = 0.5 if residual else 1.0, rounded_spread(x)
        self.fill(node.input[1], 0.1 * gamma, gamma)
        self.fill(node.input[2], 0.1)
        self.fill(node.input[3], 0.1 * spread)
        variance = self.fill(node.input[4], 0.06 * spread * spread, spread * spread)
        np.maximum(variance, np.float32(0.5 * spread * spread), out=variance)


def rounded_spread(x: Array) -> float:
    """Root mean square of ``x``, rounded to an eighth of an octave; 1 for an all-zero tensor."""
    spread = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    return float(2.0 ** (np.round(8 * np.log2(spread)) / 8)) if spread > 0 else 1.0
