"""Rewrites of the float network before it is quantised to XINT8; each keeps its function up to float rounding.

Except two, which XINT8 defines: the slope of a leaky ReLU becomes a multiple of 1/256, and an average pool is
followed by a factor that makes its divisor dyadic.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, attributes, remove_attribute, set_attribute

FloatArray = npt.NDArray[np.float32]
POOL_FACTORS = {9: (7, 64), 25: (10, 256), 36: (7, 256), 49: (21, 1024), 196: (21, 4096)}  # XINT8's own choices


def rewrite_float(graph: OnnxGraph) -> None:
    """All rewrites, in order; ``graph`` is prepared (static shapes, constants folded)."""
    matmul_to_gemm(graph)
    normalise_gemm(graph)
    fold_affine(graph)  # no BatchNormalization is left; what could not be folded is Mul, Add
    pool_means(graph)
    fold_pads(graph)
    round_leaky_slopes(graph)
    scale_average_pools(graph)
    graph.drop_unused()
    graph.sort()
    graph.infer_shapes()


def only_reader(graph: OnnxGraph, tensor: str) -> onnx.NodeProto | None:
    """The single node that reads ``tensor``; None for several, none, or a graph output."""
    readers = [n for n in graph.nodes if tensor in n.input]
    return readers[0] if len(readers) == 1 and tensor not in graph.output_names() else None


# ---------------------------------------------------------------------------------- dense layers
def matmul_to_gemm(graph: OnnxGraph) -> None:
    """MatMul by a constant matrix + Add of a constant vector, on two-dimensional data, is a Gemm."""
    for node in list(graph.nodes):
        if node.op_type != "MatMul" or node.input[1] not in graph.constants:
            continue
        if len(graph.shapes[node.input[0]]) != 2 or graph.constants[node.input[1]].ndim != 2:
            continue
        add = only_reader(graph, node.output[0])
        if add is None or add.op_type != "Add":
            continue
        bias = next((i for i in add.input if i in graph.constants), None)
        width = graph.shapes[node.output[0]][1]
        if bias is None or graph.constants[bias].size not in (1, width) or graph.constants[bias].ndim > 2:
            continue
        name = graph.fresh(f"{bias}_vector")
        graph.constants[name] = np.broadcast_to(graph.constants[bias].reshape(-1), (width,)).copy()
        node.CopyFrom(helper.make_node("Gemm", [*node.input[:2], name], [add.output[0]], name=node.name))
        graph.nodes.remove(add)


def normalise_gemm(graph: OnnxGraph) -> None:
    """Gemm with constant weights: alpha and beta go into them, weights become (out, in), bias a vector."""
    for node in graph.nodes:
        if node.op_type != "Gemm" or node.input[1] not in graph.constants:
            continue
        attrs = attributes(node)
        if attrs.get("transA", 0):
            continue
        alpha, beta = attrs.get("alpha", 1.0), attrs.get("beta", 1.0)
        weight = graph.constants[node.input[1]]
        if not attrs.get("transB", 0) or alpha != 1.0:
            weight = weight if attrs.get("transB", 0) else weight.T
            name = graph.fresh(f"{node.input[1]}_rows")
            graph.constants[name] = np.ascontiguousarray(weight * np.float32(alpha) if alpha != 1.0 else weight)
            node.input[1] = name
        if len(node.input) > 2 and node.input[2] in graph.constants:
            bias, width = graph.constants[node.input[2]], graph.shapes[node.output[0]][1]
            if bias.size in (1, width) and (bias.shape != (width,) or beta != 1.0):
                name = graph.fresh(f"{node.input[2]}_vector")
                value = np.broadcast_to(bias.reshape(-1) * np.float32(beta), (width,))
                graph.constants[name] = value.astype(np.float32)
                node.input[2] = name
        for attribute in ("alpha", "beta", "transA"):
            remove_attribute(node, attribute)
        set_attribute(node, "transB", 1)


# ------------------------------------------------------------------------- per-channel scale and shift
def fold_affine(graph: OnnxGraph) -> None:
    """Fold BatchNormalization and per-channel Mul/Add into the layer before, or else write them as Mul, Add.

    ``w*x*g + s``: a Conv or Gemm whose only reader is the affine operator takes it in. A chain of affine
    operators that no layer can take becomes one Mul and one Add.
    """
    producers, consumers, outputs = graph.producers(), graph.consumers(), graph.output_names()
    gone: set[int] = set()
    for node in graph.nodes:
        affine, data = affine_of(graph, node), _data_input(graph, node)
        before = producers.get(data)
        if affine is None or before is None or len(consumers[data]) != 1 or data in outputs:
            continue
        if _fold_into_layer(graph, before, *affine) or _fold_into_affine(graph, before, node, *affine):
            before.output[0] = node.output[0]
            producers[node.output[0]] = before
            gone.add(id(node))
    graph.nodes = [n for n in graph.nodes if id(n) not in gone]
    for node in list(graph.nodes):
        affine = affine_of(graph, node)
        if node.op_type == "BatchNormalization" and affine is not None:
            _write_mul_add(graph, node, _data_input(graph, node), *affine)


def _data_input(graph: OnnxGraph, node: onnx.NodeProto) -> str:
    return next((i for i in node.input if i not in graph.constants), "")


def affine_of(graph: OnnxGraph, node: onnx.NodeProto) -> tuple[FloatArray, FloatArray] | None:
    """(scale, shift), each (C,), of an operator that is ``x * scale + shift`` per channel; else None."""
    shape = graph.shapes.get(node.output[0], ())
    if node.op_type == "BatchNormalization":
        gamma, beta, mean, variance = (graph.constants[i].astype(np.float64) for i in node.input[1:5])
        scale = gamma / np.sqrt(variance + attributes(node).get("epsilon", 1e-5))
        return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)
    if node.op_type not in ("Mul", "Add", "Sub", "Div") or len(shape) < 2:
        return None
    constants = [i for i in node.input if i in graph.constants]
    if len(constants) != 1 or (node.op_type in ("Sub", "Div") and constants[0] != node.input[1]):
        return None
    value = per_channel(graph.constants[constants[0]], shape)
    if value is None or graph.shapes.get(_data_input(graph, node)) != shape:
        return None
    zero, one = np.zeros(shape[1], np.float32), np.ones(shape[1], np.float32)
    if node.op_type in ("Mul", "Div"):
        return (value if node.op_type == "Mul" else (1 / value).astype(np.float32)), zero
    return one, (value if node.op_type == "Add" else -value)


def per_channel(value: Array, shape: tuple[int, ...]) -> FloatArray | None:
    """``value`` as (C,) if it broadcasts over ``shape`` = (N, C, ...) along channels only; else None."""
    padded = value.reshape((1,) * (len(shape) - value.ndim) + value.shape) if value.ndim <= len(shape) else value
    if padded.ndim != len(shape) or any(d != 1 for k, d in enumerate(padded.shape) if k != 1):
        return None
    return np.broadcast_to(padded.reshape(-1), (shape[1],)).astype(np.float32)


def _fold_into_layer(graph: OnnxGraph, layer: onnx.NodeProto, scale: FloatArray, shift: FloatArray) -> bool:
    if layer.op_type not in ("Conv", "Gemm") or layer.input[1] not in graph.constants:
        return False
    if len(layer.input) > 2 and layer.input[2] and layer.input[2] not in graph.constants:
        return False
    if layer.op_type == "Gemm" and not attributes(layer).get("transB", 0):
        return False
    weight = graph.constants[layer.input[1]]
    bias = graph.constants[layer.input[2]] if len(layer.input) > 2 and layer.input[2] else np.zeros_like(scale)
    names = graph.fresh(f"{layer.output[0]}_weight"), graph.fresh(f"{layer.output[0]}_bias")
    graph.constants[names[0]] = weight * scale.reshape((-1,) + (1,) * (weight.ndim - 1))
    graph.constants[names[1]] = (bias.reshape(-1) * scale + shift).astype(np.float32)
    data = layer.input[0]
    del layer.input[:]
    layer.input.extend([data, *names])
    return True


def _fold_into_affine(
    graph: OnnxGraph, before: onnx.NodeProto, node: onnx.NodeProto, scale: FloatArray, shift: FloatArray
) -> bool:
    """Two affine operators in a row become one BatchNormalization with mean 0 and variance 1."""
    first = affine_of(graph, before)
    if first is None or (before.op_type, node.op_type) == ("Mul", "Add"):
        return False  # Mul, Add is already the form wanted
    c = scale.size
    values = first[0] * scale, first[1] * scale + shift, np.zeros(c, np.float32), np.ones(c, np.float32)
    data, names = _data_input(graph, before), []
    for stem, value in zip(("scale", "shift", "mean", "var"), values, strict=True):
        names.append(graph.fresh(f"{node.output[0]}_{stem}"))
        graph.constants[names[-1]] = value.astype(np.float32)
    merged = helper.make_node("BatchNormalization", [data, *names], before.output, name=before.name, epsilon=0.0)
    before.CopyFrom(merged)
    return True


def _write_mul_add(graph: OnnxGraph, node: onnx.NodeProto, data: str, scale: FloatArray, shift: FloatArray) -> None:
    rank, output = len(graph.shapes[data]), node.output[0]
    shape = (1, scale.size) + (1,) * (rank - 2)
    product = graph.fresh(f"{output}_mul")
    names = graph.fresh(f"{output}_scale"), graph.fresh(f"{output}_shift")
    graph.constants[names[0]], graph.constants[names[1]] = scale.reshape(shape), shift.reshape(shape)
    add = helper.make_node("Add", [product, names[1]], [output], name=f"{node.name or output}_add")
    graph.nodes.insert(graph.nodes.index(node) + 1, add)
    node.CopyFrom(helper.make_node("Mul", [data, names[0]], [product], name=f"{node.name or output}_mul"))


# ---------------------------------------------------------------------------------- pools and others
def pool_means(graph: OnnxGraph) -> None:
    """ReduceMean over height and width with kept dimensions is GlobalAveragePool."""
    for node in graph.nodes:
        if node.op_type != "ReduceMean" or len(graph.shapes[node.input[0]]) != 4:
            continue
        attrs = attributes(node)
        axes = attrs.get("axes")
        if axes is None and len(node.input) > 1:
            axes = graph.constants.get(node.input[1], np.zeros(0, np.int64)).tolist()
        if attrs.get("keepdims", 1) and sorted(a % 4 for a in axes or []) == [2, 3]:
            node.CopyFrom(helper.make_node("GlobalAveragePool", node.input[:1], node.output, name=node.name))


def fold_pads(graph: OnnxGraph) -> None:
    """A zero Pad of height and width whose only reader is a convolution becomes the convolution's padding."""
    for node in list(graph.nodes):
        if node.op_type != "Pad" or attributes(node).get("mode", "constant") != "constant":
            continue
        reader, pads = only_reader(graph, node.output[0]), graph.constants.get(node.input[1])
        fill = graph.constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
        if reader is None or reader.op_type != "Conv" or pads is None or fill is None or np.any(fill):
            continue
        if pads.size != 8 or np.any(pads < 0) or pads[[0, 1, 4, 5]].any():
            continue
        old = attributes(reader).get("pads", [0, 0, 0, 0])
        set_attribute(reader, "pads", [int(a + b) for a, b in zip(old, pads[[2, 3, 6, 7]], strict=True)])
        reader.input[0] = node.input[0]
        graph.nodes.remove(node)


def round_leaky_slopes(graph: OnnxGraph) -> None:
    """LeakyRelu's slope becomes round(256 * slope) / 256 (0.1 -> 26/256)."""
    for node in graph.nodes:
        if node.op_type == "LeakyRelu":
            alpha = attributes(node).get("alpha", 0.01)
            set_attribute(node, "alpha", max(1.0, float(np.round(alpha * 256))) / 256)


def pool_factor(count: int) -> float:
    """``count * k / 2**n`` with k / 2**n near 1 / count: what XINT8 multiplies an average of ``count`` values by."""
    if count in POOL_FACTORS:
        k, power = POOL_FACTORS[count]
        return count * k / power
    candidates = [(round(2**n / count), 2**n) for n in range(7 + math.ceil(math.log2(count)))]
    k, power = min(candidates, key=lambda c: abs(c[0] / c[1] - 1 / count))
    return float(count * k / power)


def scale_average_pools(graph: OnnxGraph) -> None:
    """AveragePool or GlobalAveragePool, then Mul by ``pool_factor``; nothing where the count is a power of two."""
    nodes: list[onnx.NodeProto] = []
    for node in graph.nodes:
        nodes.append(node)
        if node.op_type not in ("AveragePool", "GlobalAveragePool"):
            continue
        window = attributes(node).get("kernel_shape", graph.shapes[node.input[0]][2:])
        factor = pool_factor(math.prod(window))
        if factor == 1.0:
            continue
        output = node.output[0]
        average, scale = graph.fresh(f"{output}_Mul"), graph.fresh(f"{output}_Scale")
        graph.constants[scale] = np.asarray(factor, np.float32)
        node.output[0] = average
        nodes.append(helper.make_node("Mul", [average, scale], [output], name=f"{node.name or output}_scale"))
    graph.nodes = nodes
