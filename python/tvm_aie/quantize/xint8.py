"""Our writer of AMD Quark's XINT8 dialect: float ONNX in, QDQ ONNX with power-of-two scales out.

Per tensor: activations uint8 with zero point 128, weights and bias int8 with zero point 0 (bias int32 on request,
at the accumulator's scale). Every activation between operators is ``QuantizeLinear, DequantizeLinear``, the
network's inputs and outputs too; a Relu, Clip or LeakyRelu directly after a Conv, Gemm, MatMul, Add or Mul shares
that operator's one quantisation. docs of each rewrite: ``float_passes``; of each scale: ``scales``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from tvm_aie.errors import InputError, ModelError
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, label
from tvm_aie.frontend.onnx_prepare import QDQ_OPS, Shapes, prepare_graph
from tvm_aie.quantize.calibrate import observe, random_samples
from tvm_aie.quantize.float_passes import rewrite_float
from tvm_aie.quantize.scales import (
    MAX_ADD_DISTANCE,
    Exponents,
    best_exponent,
    bias_exponent,
    quantize_int8,
    weight_exponent,
)

WEIGHTED = ("Conv", "Gemm", "MatMul", "ConvTranspose")
ARITHMETIC = ("Add", "Sub", "Mul", "Div")
ACTIVATIONS = ("Relu", "Clip", "LeakyRelu", "PRelu")
POOLS = ("AveragePool", "GlobalAveragePool")
FLOAT_FUNCTIONS = ("Softmax", "Sigmoid", "HardSigmoid", "Tanh", "LRN", "HardSwish", "InstanceNormalization")
SAME_SCALE = (
    "MaxPool",
    "GlobalMaxPool",
    "Concat",
    "Reshape",
    "Transpose",
    "Resize",
    "Split",
    "Slice",
    "Pad",
    "DepthToSpace",
    "SpaceToDepth",
    "Relu",
    "Expand",
    "Gather",
)
QUANTIZED = {*WEIGHTED, *ARITHMETIC, *ACTIVATIONS, *POOLS, *FLOAT_FUNCTIONS, *SAME_SCALE}
UNIT_RANGE = ("Softmax", "Sigmoid", "HardSigmoid")  # values in 0..1: scale 2**-7 whatever was seen
ZERO_POINT = 128


def quantize(
    model: onnx.ModelProto,
    calibration: Iterable[Mapping[str, Array]] | None = None,
    seed: int = 0,
    bias_bits: int = 8,
    shapes: Shapes | None = None,
) -> onnx.ModelProto:
    """Quantise a float model to XINT8.

    ``calibration``: samples {input name: array of the input's shape}; None takes one of normal noise from ``seed``.
    ``bias_bits``: 8 (own scale, as Quark) or 32 (accumulator's scale). ``shapes``: as for ``prepare``.
    Raises ModelError (already quantised, dynamic shapes, NaN weights) and InputError (calibration data, options).
    """
    if bias_bits not in (8, 32):
        raise InputError(f"bias of {bias_bits} bits: 8 or 32 are possible")
    graph = prepare_graph(model, shapes)
    del model
    check_float(graph)
    rewrite_float(graph)
    points = quantisation_points(graph)
    seen = observe(graph, points, calibration if calibration is not None else random_samples(graph, seed))
    exponents = Exponents({t: best_exponent(s.values, s.largest) for t, s in seen.items()})
    _tie_scales(graph, exponents)
    writer = _Writer(graph, exponents, bias_bits)
    writer.quantise_weights()
    writer.quantise_activations(points)
    graph.sort()
    graph.infer_shapes()
    result = graph.to_model()
    onnx.checker.check_model(graph.skeleton())
    return result


def check_float(graph: OnnxGraph) -> None:
    """Raise ModelError for a model that is quantised already or has weights that are not finite."""
    for node in graph.nodes:
        if node.op_type in QDQ_OPS or node.op_type.startswith("QLinear"):
            raise ModelError(f"the network is quantised already ({label(node)}); give the float network")
    for name, value in graph.constants.items():
        if value.dtype.kind == "f" and not np.isfinite(value.sum(dtype=np.float64)):
            raise ModelError(f"weight '{name}' holds NaN or infinite values")


# ------------------------------------------------------------------------------ which tensors
def quantisation_points(graph: OnnxGraph) -> list[str]:
    """The activations that get a QuantizeLinear, in graph order: float tensors that a quantised operator touches."""
    consumers, outputs = graph.consumers(), graph.output_names()
    points = [i.name for i in graph.inputs if _is_float(graph, i.name) and _touched(consumers[i.name])]
    for node in graph.nodes:
        for name in node.output:
            if not name or not _is_float(graph, name) or name not in graph.shapes:
                continue
            if node.op_type not in QUANTIZED and not _touched(consumers[name]):
                continue
            if not (name not in outputs and is_fused(graph, node, consumers[name])):
                points.append(name)
    return points


def _is_float(graph: OnnxGraph, name: str) -> bool:
    return bool(graph.elem_types.get(name) == TensorProto.FLOAT)


def _touched(readers: list[onnx.NodeProto]) -> bool:
    return any(r.op_type in QUANTIZED for r in readers)


def is_fused(graph: OnnxGraph, node: onnx.NodeProto, readers: list[onnx.NodeProto]) -> bool:
    """True when the node's only reader works on its accumulator: an activation, or an average pool's factor."""
    if len(readers) != 1:
        return False
    reader = readers[0]
    if node.op_type in POOLS:
        return bool(reader.op_type == "Mul") and any(
            graph.constants.get(i, np.zeros(2)).size == 1 for i in reader.input
        )
    return bool(node.op_type in WEIGHTED + ARITHMETIC and reader.op_type in ("Relu", "Clip", "LeakyRelu"))


# ------------------------------------------------------------------------------ which scales
def _tie_scales(graph: OnnxGraph, exponents: Exponents) -> None:
    """Fixed scales of functions into 0..1, shared exponents, operand distances of Add."""
    for node in graph.nodes:
        if node.op_type in UNIT_RANGE and node.output[0] in exponents.own:
            exponents.own[node.output[0]] = -7
    for node in graph.nodes:
        tensors = [t for t in (*node.input, *node.output) if t in exponents.own]
        if node.op_type in SAME_SCALE:
            inputs = tensors if node.op_type == "Concat" else [t for t in node.input[:1] if t in exponents.own]
            ends = [t for t in node.output if t in exponents.own]
            for other in (*inputs, *ends):
                if inputs:
                    exponents.join(inputs[0], other)
    for _ in range(10):
        if not any([_close_add(node, exponents) for node in graph.nodes]):
            break


def _close_add(node: onnx.NodeProto, exponents: Exponents) -> bool:
    """Operands of an Add at most 7 bits apart: the finer one becomes coarser."""
    operands = [t for t in node.input if t in exponents.own]
    if node.op_type not in ("Add", "Sub") or len(operands) != 2:
        return False
    coarsest = max(exponents[t] for t in operands)
    return any([exponents.raise_to(t, coarsest - MAX_ADD_DISTANCE) for t in operands])


# ------------------------------------------------------------------------------ writing
class _Writer:
    """Puts the quantised constants and the QuantizeLinear/DequantizeLinear pairs into the graph."""

    def __init__(self, graph: OnnxGraph, exponents: Exponents, bias_bits: int) -> None:
        self.graph, self.exponents, self.bias_bits = graph, exponents, bias_bits
        self.consumers = graph.consumers()
        self.done: dict[tuple[str, int], str] = {}

    def quantise_weights(self) -> None:
        """Weights, biases and per-channel constants become int8 (bias maybe int32) behind DequantizeLinear."""
        for node in list(self.graph.nodes):
            if node.op_type in WEIGHTED and node.input[1] in self.graph.constants:
                self._weighted(node)
            elif node.op_type in ARITHMETIC:
                self._elementwise(node)

    def out_exponent(self, node: onnx.NodeProto) -> int | None:
        """Exponent of the tensor that a node's accumulator is finally rounded to."""
        name = node.output[0]
        if name not in self.exponents.own:
            reader = self.consumers[name][0] if self.consumers[name] else None
            return self.exponents[reader.output[0]] if reader and reader.output[0] in self.exponents.own else None
        return self.exponents[name]

    def _weighted(self, node: onnx.NodeProto) -> None:
        out, x = self.out_exponent(node), self.exponents[node.input[0]]
        weight = self.graph.constants[node.input[1]]
        w = weight_exponent(weight, x, x if out is None else out)
        node.input[1] = self.constant(node.input[1], w, np.int8)
        if len(node.input) < 3 or node.input[2] not in self.graph.constants:
            return
        bias = self.graph.constants[node.input[2]]
        if self.bias_bits == 32:
            node.input[2] = self.constant(node.input[2], x + w, np.int32)
            return
        readers = self.consumers[node.output[0]]
        leaky = len(readers) == 1 and readers[0].op_type == "LeakyRelu"
        b = bias_exponent(bias, x + w, x + w if out is None else out, leaky)
        node.input[2] = self.constant(node.input[2], b, np.int8)

    def _elementwise(self, node: onnx.NodeProto) -> None:
        data = [i for i in node.input if i in self.exponents.own]
        for k, name in enumerate(node.input):
            value = self.graph.constants.get(name)
            if value is None or not data or value.dtype != np.float32:
                continue
            exponent = best_exponent(value.reshape(-1), float(np.max(np.abs(value))))
            if node.op_type in ("Add", "Sub"):
                near = self.exponents[data[0]]
                exponent = int(np.clip(exponent, near - MAX_ADD_DISTANCE, near + MAX_ADD_DISTANCE))
            node.input[k] = self.constant(name, exponent, np.int8)

    def constant(self, name: str, exponent: int, dtype: Any) -> str:
        """``DequantizeLinear(name_quantized)``; the float constant goes once nothing reads it. Returns the tensor."""
        if (name, exponent) not in self.done:
            value = self.graph.constants[name]
            if dtype == np.int8:
                data: Array = quantize_int8(value, exponent)
            else:
                data = np.clip(np.rint(value.astype(np.float64) * 2.0**-exponent), -(2**31), 2**31 - 1).astype(dtype)
            stem = name if not any(k[0] == name for k in self.done) else f"{name}_e{exponent}"
            quantised = self.graph.fresh(f"{stem}_quantized")
            output = self.graph.fresh(f"{stem}_DequantizeLinear_Output")
            self.graph.constants[quantised] = data
            parameters = self.parameters(stem, exponent, dtype, 0)
            inputs = [quantised, *parameters]
            node = helper.make_node("DequantizeLinear", inputs, [output], name=f"{stem}_DequantizeLinear")
            self.graph.nodes.append(node)
            self.done[name, exponent] = output
            self._release(name)
        return self.done[name, exponent]

    def _release(self, name: str) -> None:
        """Forget a float weight with one reader, so that both forms are never all in memory."""
        if len(self.consumers[name]) == 1:
            del self.graph.constants[name]

    def parameters(self, stem: str, exponent: int, dtype: Any, zero_point: int) -> list[str]:
        """Names of the scale and zero-point constants of one tensor."""
        names = [self.graph.fresh(f"{stem}_scale"), self.graph.fresh(f"{stem}_zero_point")]
        self.graph.constants[names[0]] = np.asarray(2.0**exponent, np.float32)
        self.graph.constants[names[1]] = np.asarray(zero_point, dtype)
        return names

    def quantise_activations(self, points: list[str]) -> None:
        """Readers of each point read ``DequantizeLinear(QuantizeLinear(point))``; outputs keep their names."""
        outputs, producers = self.graph.output_names(), self.graph.producers()
        renamed: dict[str, str] = {}
        for name in points:
            parameters = self.parameters(name, self.exponents[name], np.uint8, ZERO_POINT)
            source, target = name, f"{name}_DequantizeLinear_Output"
            if name in outputs and name in producers:
                source, target = f"{name}_QuantizeLinear_Input", name
                node = producers[name]
                node.output[list(node.output).index(name)] = source
            else:
                renamed[name] = target
            middle = f"{name}_QuantizeLinear_Output"
            pair = [
                helper.make_node("QuantizeLinear", [source, *parameters], [middle], name=f"{name}_QuantizeLinear"),
                helper.make_node("DequantizeLinear", [middle, *parameters], [target], name=f"{name}_DequantizeLinear"),
            ]
            self.graph.nodes.extend(pair)
        for node in self.graph.nodes:
            if node.op_type == "QuantizeLinear":
                continue
            for k, name in enumerate(node.input):
                if name in renamed:
                    node.input[k] = renamed[name]
