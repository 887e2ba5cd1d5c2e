"""Constant folding on ``OnnxGraph``, which never turns a quantised weight back into a float one.

DequantizeLinear is the barrier: DQ(constant) stays. What is folded: Shape of a static tensor; any operator on
float or integer constants; QuantizeLinear of a constant; a layout operator after DQ(constant) moves to the int8
data; Q(DQ(constant)) is evaluated. Each of these is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from tvm_aie.errors import ModelError
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, attributes, first_line, label

LAYOUT_OPS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")
NEVER_FOLD = ("DequantizeLinear", "RandomNormal", "RandomUniform", "If", "Loop", "Scan", "Bernoulli", "Multinomial")
MAX_GROWTH_ELEMENTS = 1 << 24  # a fold may not create a larger constant than this out of smaller ones


def fold_constants(graph: OnnxGraph) -> bool:
    """Fold once over the graph, in place. True when something changed; shapes must have been inferred."""
    changed = fold_shape_nodes(graph)
    changed |= move_layout_before_dequantize(graph)
    foldable = _foldable_nodes(graph)
    if foldable:
        _evaluate(graph, foldable)
        changed = True
    return changed


def fold_shape_nodes(graph: OnnxGraph) -> bool:
    """Shape and Size of statically shaped tensors become constants."""
    kept: list[onnx.NodeProto] = []
    for node in graph.nodes:
        shape = graph.shapes.get(node.input[0]) if node.op_type in ("Shape", "Size") else None
        if shape is None or node.output[0] in graph.output_names():
            kept.append(node)
        elif node.op_type == "Size":
            graph.constants[node.output[0]] = np.asarray(int(np.prod(shape)), np.int64)
        else:
            attrs = attributes(node)
            start, end = attrs.get("start", 0), attrs.get("end", len(shape))
            graph.constants[node.output[0]] = np.asarray(shape[start:end], np.int64)
    changed = len(kept) != len(graph.nodes)
    graph.nodes = kept
    return changed


def move_layout_before_dequantize(graph: OnnxGraph) -> bool:
    """Layout(DQ(constant)) with one scale becomes DQ(Layout(constant))."""
    producers, changed = graph.producers(), False
    for node in graph.nodes:
        source = producers.get(node.input[0]) if node.op_type in LAYOUT_OPS else None
        if source is None or source.op_type != "DequantizeLinear" or source.input[0] not in graph.constants:
            continue
        if any(name not in graph.constants for name in node.input[1:]):
            continue
        if graph.constants.get(source.input[1], np.zeros(2)).size != 1:
            continue
        moved = graph.fresh(f"{node.output[0]}_quantized")
        layout = onnx.NodeProto()
        layout.CopyFrom(node)
        layout.input[0], layout.output[0] = source.input[0], moved
        values = {name: graph.constants[name] for name in layout.input}
        graph.constants[moved] = run_nodes([layout], values, [moved], graph.opset)[moved]
        scale = list(source.input[1:])
        node.CopyFrom(helper.make_node("DequantizeLinear", [moved, *scale], node.output, name=node.name))
        changed = True
    return changed


def _foldable_nodes(graph: OnnxGraph) -> list[onnx.NodeProto]:
    """Nodes whose inputs are all constants, in order, those after DQ(constant) only when they requantise."""
    constant, dequantized = set(graph.constants), {}
    found: list[onnx.NodeProto] = []
    for node in graph.nodes:
        inputs = [i for i in node.input if i]
        if node.op_type == "DequantizeLinear" and all(i in constant for i in inputs):
            dequantized[node.output[0]] = node
            continue
        requantises = node.op_type == "QuantizeLinear" and inputs[0] in dequantized
        if requantises and all(i in constant for i in inputs[1:]):
            found.append(dequantized[inputs[0]])
        elif node.op_type in NEVER_FOLD or not all(i in constant for i in inputs) or not _may_fold(graph, node):
            continue
        found.append(node)
        constant |= set(node.output)
    return found if any(n.op_type != "DequantizeLinear" for n in found) else []


def _may_fold(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    if node.domain not in ("", "ai.onnx") or any(o in graph.output_names() for o in node.output):
        return False
    if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
        return False
    produced = sum(int(np.prod(graph.shapes.get(o, (0,)))) for o in node.output)
    consumed = sum(graph.constants[i].size for i in node.input if i in graph.constants)
    return produced <= max(consumed, MAX_GROWTH_ELEMENTS)


def _evaluate(graph: OnnxGraph, nodes: list[onnx.NodeProto]) -> None:
    unique = list({id(n): n for n in nodes}.values())
    done = [n for n in unique if n.op_type != "DequantizeLinear"]
    wanted = [o for n in done for o in n.output if o]
    names = {i for n in unique for i in n.input if i} - {o for n in unique for o in n.output}
    graph.constants.update(run_nodes(unique, {k: graph.constants[k] for k in names}, wanted, graph.opset))
    gone = {id(n) for n in done}
    graph.nodes = [n for n in graph.nodes if id(n) not in gone]


def run_nodes(nodes: list[onnx.NodeProto], values: dict[str, Array], wanted: list[str], opset: int) -> dict[str, Array]:
    """Evaluate a few nodes with onnxruntime (optimisations off) on the given values. Raises ModelError."""
    import onnxruntime as ort

    inputs = [
        helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in values.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in wanted]
    body = helper.make_graph(nodes, "fold", inputs, outputs)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", opset)], ir_version=8 if opset < 19 else 10)
    try:
        model = onnx.shape_inference.infer_shapes(model)
        session = ort.InferenceSession(model.SerializeToString(), quiet_options(), providers=["CPUExecutionProvider"])
        results = session.run(wanted, values)
    except Exception as error:
        raise ModelError(f"constant folding of {label(nodes[0])} failed: {first_line(error)}") from error
    return dict(zip(wanted, results, strict=True))


def quiet_options(threads: int = 0) -> Any:
    """onnxruntime options: graph optimisations disabled, no log below error."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return options
