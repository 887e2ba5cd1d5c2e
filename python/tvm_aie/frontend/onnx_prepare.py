"""Stage 1, ONNX side: read a file, refuse what cannot be used, and bring the rest to one normal form.

After ``prepare``: nodes are topologically sorted, opset is 17 or later, every shape is static, constants are
initialisers, Identity/Dropout/no-op nodes are gone, Sum is a chain of Add, and Flatten/Squeeze/Unsqueeze/
Reshape are Reshapes with a constant, fully written shape. Quantised (QDQ) arithmetic is untouched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from tvm_aie.errors import ModelError
from tvm_aie.frontend.onnx_fold import fold_constants
from tvm_aie.frontend.onnx_graph import (
    Array,
    OnnxGraph,
    attributes,
    first_line,
    label,
    node_reads,
    remove_attribute,
    set_attribute,
)

MIN_OPSET, MAX_OPSET, TARGET_OPSET = 9, 21, 17
Shapes = Mapping[str, Sequence[int]]
WIDER = {"int4": np.int8, "uint4": np.uint8}
WHOLE = 1e-6  # error of a scale in float32, relative
QDQ_OPS = ("QuantizeLinear", "DequantizeLinear")


def load_model(path: str | Path) -> onnx.ModelProto:
    """Read an ONNX file, external data included.

    Raises ModelError: missing file, not ONNX, truncated, external data missing or short, opset below 9,
    a graph with holes or a cycle, a quantisation scale that is NaN, infinite, zero or negative.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path}: is a directory, an ONNX file is needed")
    if not path.exists():
        raise ModelError(f"{path}: no such file")
    data = path.read_bytes()
    if not data:
        raise ModelError(f"{path}: the file is empty")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:
        # Field 1 (ir_version, a varint) opens every ONNX file, so the first byte tells the two cases apart.
        cause = "the file is truncated or damaged" if data[:1] == b"\x08" else "not an ONNX file"
        raise ModelError(f"{path}: {cause} ({len(data)} bytes)") from error
    del data
    if not model.HasField("graph") or not model.opset_import:
        opened = model.ir_version > 0 and model.opset_import
        raise ModelError(f"{path}: {'the file is truncated: it has no graph' if opened else 'not an ONNX file'}")
    _load_external_data(model, path)
    try:
        validate(model)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return model


def validate(model: onnx.ModelProto) -> None:
    """Raise ModelError where the model's opset, wiring, operators or scales cannot be used."""
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)
    if opset < MIN_OPSET:
        raise ModelError(f"opset {opset} is not supported, {MIN_OPSET} to {MAX_OPSET} are; export at {TARGET_OPSET}")
    if not model.graph.output:
        raise ModelError("the graph has no output; the file is truncated or damaged")
    graph = OnnxGraph.from_model(model)
    if not graph.nodes:
        raise ModelError("the graph has no operator; there is nothing to compile")
    _check_outputs(graph)
    graph.sort()
    _check_scales(graph)
    try:
        onnx.checker.check_model(graph.skeleton())
    except (onnx.checker.ValidationError, ValueError) as error:
        raise ModelError(f"invalid ONNX: {first_line(error)}") from error


def prepare(model: onnx.ModelProto, shapes: Shapes | None = None) -> onnx.ModelProto:
    """The normal form of a float or QDQ model (module docstring); the argument is not changed.

    ``shapes``: input name -> full shape; overrides dynamic dimensions and the batch.
    Raises ModelError: dynamic shape left, shapes that do not fit, opset that cannot be converted.
    """
    return prepare_graph(model, shapes).to_model()


def prepare_graph(model: onnx.ModelProto, shapes: Shapes | None = None) -> OnnxGraph:
    """``prepare`` for callers that go on with the graph view."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    graph = OnnxGraph.from_model(model)
    if graph.opset < MIN_OPSET:
        raise ModelError(f"opset {graph.opset} is not supported, {MIN_OPSET} to {MAX_OPSET} are")
    _check_outputs(graph)
    graph.sort()
    _check_scales(graph)
    _check_branches(graph)
    widen_weights(graph)
    set_input_shapes(graph, shapes or {})
    graph = convert_opset(graph)
    _drop_rare_domains(graph)
    graph.infer_shapes()
    _simplify_to_fixpoint(graph)
    _require_static(graph)
    _check_channels(graph)
    _check_resizes(graph)
    return graph


# -------------------------------------------------------------------------------------------- checks
def _load_external_data(model: onnx.ModelProto, path: Path) -> None:
    from onnx import external_data_helper as external

    for tensor in model.graph.initializer:
        if not external.uses_external_data(tensor):
            continue
        info = external.ExternalDataInfo(tensor)
        where = path.parent / info.location
        if not where.is_file():
            raise ModelError(f"{path}: external data file '{info.location}' of tensor '{tensor.name}' is missing")
        end = (info.offset or 0) + (info.length or 0)
        if where.stat().st_size < end:
            size = where.stat().st_size
            raise ModelError(f"{path}: external data '{info.location}' is truncated: {size} bytes, {end} needed")
        try:
            external.load_external_data_for_tensor(tensor, str(path.parent))
        except Exception as error:
            raise ModelError(f"{path}: external data of '{tensor.name}': {first_line(error)}") from error
        tensor.data_location = TensorProto.DEFAULT


def _check_outputs(graph: OnnxGraph) -> None:
    produced = {o for n in graph.nodes for o in n.output} | set(graph.constants) | {i.name for i in graph.inputs}
    for output in graph.outputs:
        if output.name not in produced:
            raise ModelError(f"graph output '{output.name}' is never produced; the file is truncated or damaged")


def _check_scales(graph: OnnxGraph) -> None:
    for node in graph.nodes:
        if node.op_type not in QDQ_OPS or len(node.input) < 2 or node.input[1] not in graph.constants:
            continue
        scale = np.asarray(graph.constants[node.input[1]], np.float64)
        bad = scale[~(np.isfinite(scale) & (scale > 0))]
        if bad.size:
            raise ModelError(f"{label(node)} has the scale {bad.flat[0]:g}; a scale must be finite and above zero")


def _check_branches(graph: OnnxGraph) -> None:
    for node in graph.nodes:
        if node.op_type == "If":
            raise ModelError(f"{label(node)} branches while the network runs, which is not supported; export one")


def widen_weights(graph: OnnxGraph) -> None:
    """Constants of 4 bits behind a DequantizeLinear become int8 or uint8 of the same values; TVM knows no others."""
    for node in graph.nodes:
        value = graph.constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if value is None or value.dtype.name not in WIDER:
            continue
        for k in (0, 2):
            if k < len(node.input) and node.input[k] in graph.constants:
                name = graph.fresh(f"{node.input[k]}_wide")
                graph.constants[name] = graph.constants[node.input[k]].astype(WIDER[value.dtype.name])
                node.input[k] = name


def set_input_shapes(graph: OnnxGraph, shapes: Shapes) -> None:
    """Write the given shapes into the inputs, refuse dimensions that stay dynamic; batch changes reach Reshapes."""
    names = [i.name for i in graph.inputs]
    for name in shapes:
        if name not in names:
            raise ModelError(f"--shape names '{name}', the network's inputs are {', '.join(names)}")
    old_batch = new_batch = 0
    for info in graph.inputs:
        dims = info.type.tensor_type.shape.dim
        if info.name in shapes:
            wanted = [int(d) for d in shapes[info.name]]
            if any(d < 1 for d in wanted) or (dims and len(wanted) != len(dims)):
                raise ModelError(f"shape {wanted} does not suit input '{info.name}' of {len(dims)} dimensions")
            if dims and dims[0].dim_value and dims[0].dim_value != wanted[0]:
                old_batch, new_batch = dims[0].dim_value, wanted[0]
            info.CopyFrom(helper.make_tensor_value_info(info.name, info.type.tensor_type.elem_type, wanted))
        _require_static_input(info)
    if new_batch:
        _rebatch(graph, old_batch, new_batch)


def _require_static_input(info: onnx.ValueInfoProto) -> None:
    tensor = info.type.tensor_type
    if not tensor.HasField("shape"):
        raise ModelError(f"input '{info.name}' has no shape; give it, e.g. --shape {info.name}=1,3,224,224")
    for k, dim in enumerate(tensor.shape.dim):
        if dim.dim_value < 1:
            usual = [1, 3, 224, 224] if len(tensor.shape.dim) == 4 else [1] * len(tensor.shape.dim)
            guess = ",".join(str(d.dim_value or usual[i]) for i, d in enumerate(tensor.shape.dim))
            raise ModelError(
                f"input '{info.name}' has the dynamic dimension {k} ('{dim.dim_param or '?'}'); "
                f"fix it, e.g. --shape {info.name}={guess}"
            )


def _rebatch(graph: OnnxGraph, old: int, new: int) -> None:
    """Outputs and constant Reshape targets that carry the old batch in front take the new one."""
    for output in graph.outputs:
        output.type.tensor_type.ClearField("shape")
    graph.shapes.clear()
    done: set[str] = set()
    for node in graph.nodes:
        if node.op_type != "Reshape" or node.input[0] in graph.constants or node.input[1] not in graph.constants:
            continue
        name, target = node.input[1], graph.constants[node.input[1]]
        if name not in done and target.size and target.flat[0] == old and -1 not in target:
            graph.constants[name] = np.concatenate([[new], target.reshape(-1)[1:]]).astype(target.dtype)
            done.add(name)


def _check_channels(graph: OnnxGraph) -> None:
    """Weights must fit the data they meet; ONNX's shape inference does not look at this."""
    for node in graph.nodes:
        if node.op_type != "Conv" or not {*node.input[:2]} <= graph.shapes.keys():
            continue
        data, weight = graph.shapes[node.input[0]], graph.shapes[node.input[1]]
        wanted = weight[1] * attributes(node).get("group", 1)
        if data[1] != wanted:
            raise ModelError(f"{label(node)} expects {wanted} input channels, gets {data[1]}")


def _check_resizes(graph: OnnxGraph) -> None:
    """Scales must give whole sizes: pixels lie by the scale, but TVM divides the sizes, which then differs."""
    for node in graph.nodes:
        scales = graph.constants.get(node.input[2]) if node.op_type == "Resize" and len(node.input) > 2 else None
        if scales is None or not {node.input[0], node.output[0]} <= graph.shapes.keys():
            continue
        axes = attributes(node).get("axes") or range(scales.size)
        shape, out = graph.shapes[node.input[0]], graph.shapes[node.output[0]]
        for axis, scale in zip(axes, scales.astype(np.float64).reshape(-1).tolist(), strict=True):
            if abs(shape[axis] * scale - out[axis]) > WHOLE * out[axis]:
                exact = shape[axis] * scale
                raise ModelError(
                    f"{label(node)} scales a size of {shape[axis]} by {scale:.7g} to {exact:.7g}, which is not whole; "
                    f"export it with sizes, or with the scale {out[axis] / shape[axis]:.7g}"
                )


def _require_static(graph: OnnxGraph) -> None:
    for node in graph.nodes:
        for name in node.output:
            if name and name not in graph.shapes and node.domain in ("", "ai.onnx"):
                raise ModelError(f"{label(node)}: the shape of its output '{name}' depends on data; it must be static")


def _drop_rare_domains(graph: OnnxGraph) -> None:
    used = {n.domain for n in graph.nodes}
    graph.other_opsets = {d: v for d, v in graph.other_opsets.items() if d in used}


# -------------------------------------------------------------------------------------------- opset
def convert_opset(graph: OnnxGraph) -> OnnxGraph:
    """Opset 9..16 becomes 17, above 21 becomes 21; 17..21 stays. Weights do not pass through the converter."""
    if TARGET_OPSET <= graph.opset <= MAX_OPSET:
        return graph
    target = TARGET_OPSET if graph.opset < TARGET_OPSET else MAX_OPSET
    skeleton = graph.skeleton()
    try:
        converted = onnx.version_converter.convert_version(skeleton, target)
    except Exception as error:
        raise ModelError(
            f"opset {graph.opset} cannot be converted to {target} ({first_line(error)}); "
            f"export the network at opset {MIN_OPSET} to {MAX_OPSET}"
        ) from error
    result = OnnxGraph.from_model(converted)
    result.constants.update({k: v for k, v in graph.constants.items() if k not in result.constants})
    result.inputs = [i for i in result.inputs if i.name not in result.constants]
    result.metadata, result.other_opsets = graph.metadata, graph.other_opsets
    result.sort()
    return result


# -------------------------------------------------------------------------------------------- rewrites
def _simplify_to_fixpoint(graph: OnnxGraph) -> None:
    for _ in range(20):
        changed = fold_constants(graph)
        if changed:
            graph.drop_unused()
            graph.infer_shapes()
        changed |= split_sums(graph) | write_reshapes(graph) | write_pads(graph) | order_clips(graph)
        changed |= remove_no_ops(graph)
        if not changed:
            break
        graph.drop_unused()
        graph.sort()
        graph.infer_shapes()
    graph.drop_unused()


def split_sums(graph: OnnxGraph) -> bool:
    """Sum of n tensors becomes n - 1 Adds, left to right, as onnxruntime adds them."""
    changed = False
    nodes: list[onnx.NodeProto] = []
    for node in graph.nodes:
        if node.op_type != "Sum":
            nodes.append(node)
            continue
        changed = True
        if len(node.input) == 1:
            nodes.append(helper.make_node("Identity", node.input, node.output, name=node.name))
            continue
        left = node.input[0]
        for k, right in enumerate(node.input[1:]):
            last = k == len(node.input) - 2
            out = node.output[0] if last else graph.fresh(f"{node.output[0]}_partial{k}")
            nodes.append(helper.make_node("Add", [left, right], [out], name=f"{node.name or node.output[0]}_add{k}"))
            left = out
    graph.nodes = nodes
    return changed


def write_reshapes(graph: OnnxGraph) -> bool:
    """Flatten, Squeeze, Unsqueeze and Reshape with 0, -1 or computed shapes become Reshape to a written shape."""
    changed = False
    for node in graph.nodes:
        if node.op_type not in ("Flatten", "Squeeze", "Unsqueeze", "Reshape") or node.output[0] not in graph.shapes:
            continue
        target = graph.shapes[node.output[0]]
        if node.op_type == "Reshape":
            written = graph.constants.get(node.input[1])
            if written is not None and tuple(written.reshape(-1).tolist()) == target and not node.attribute:
                continue
        name = graph.fresh(f"{node.output[0]}_shape")
        graph.constants[name] = np.asarray(target, np.int64)
        node.op_type = "Reshape"
        inputs = [node.input[0], name]
        del node.input[:], node.attribute[:]
        node.input.extend(inputs)
        changed = True
    return changed


def write_pads(graph: OnnxGraph) -> bool:
    """auto_pad of convolutions and pools becomes written pads."""
    changed = False
    for node in graph.nodes:
        attrs = attributes(node)
        mode = attrs.get("auto_pad", "NOTSET")
        if node.op_type not in ("Conv", "MaxPool", "AveragePool", "LpPool") or mode == "NOTSET":
            continue
        size, out = graph.shapes[node.input[0]][2:], graph.shapes[node.output[0]][2:]
        kernel = attrs.get("kernel_shape") or list(graph.shapes[node.input[1]][2:])
        ones = [1] * len(size)
        strides, dilations = attrs.get("strides", ones), attrs.get("dilations", ones)
        begin, end = [], []
        for i, o, k, s, d in zip(size, out, kernel, strides, dilations, strict=True):
            total = 0 if mode == "VALID" else max(0, (o - 1) * s + (k - 1) * d + 1 - i)
            small, large = total // 2, total - total // 2
            begin.append(small if mode != "SAME_LOWER" else large)
            end.append(large if mode != "SAME_LOWER" else small)
        remove_attribute(node, "auto_pad")
        set_attribute(node, "pads", begin + end)
        changed = True
    return changed


def order_clips(graph: OnnxGraph) -> bool:
    """A Clip whose lower bound is above its upper one gives the upper one, as ONNX says; TVM gives the lower."""
    changed = False
    for node in graph.nodes:
        if node.op_type != "Clip" or len(node.input) < 3:
            continue
        low, high = graph.constants.get(node.input[1]), graph.constants.get(node.input[2])
        if low is not None and high is not None and bool((low > high).any()):
            node.input[1] = node.input[2]
            changed = True
    return changed


def remove_no_ops(graph: OnnxGraph) -> bool:
    """Remove operators whose output is their input."""
    changed = False
    for node in list(graph.nodes):
        if is_no_op(graph, node) and graph.bypass(node):
            changed = True
    return changed


def is_no_op(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    """True for Identity, inference Dropout, and operators that do nothing at these shapes."""
    kind, attrs = node.op_type, attributes(node)
    if node.domain not in ("", "ai.onnx") or node.input[:1] == [""] or not node.input:
        return False
    if any(o in node_reads(r) for o in node.output[1:] if o for r in graph.nodes):
        return False
    shapes = graph.shapes.get(node.input[0]), graph.shapes.get(node.output[0])
    if kind == "Identity":
        return True
    if kind == "Dropout":
        training = graph.constants.get(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        return len(node.input) < 3 or not node.input[2] or (training is not None and not training.any())
    if kind in ("Concat", "Max", "Min", "Sum"):
        return len(node.input) == 1
    if kind in ("Reshape", "Expand", "Tile"):
        return shapes[0] is not None and shapes[0] == shapes[1]
    if kind == "Transpose":
        perm = list(attrs.get("perm", []))
        return bool(perm) and perm == sorted(perm)
    if kind == "Cast":
        return bool(graph.elem_types.get(node.input[0]) == attrs["to"])
    if kind == "Pad":
        pads = graph.constants.get(node.input[1])
        return pads is not None and not bool(pads.any())
    return _is_unit_window(kind, attrs, shapes)


def _is_unit_window(
    kind: str, attrs: Mapping[str, object], shapes: tuple[tuple[int, ...] | None, tuple[int, ...] | None]
) -> bool:
    if kind not in ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool") or shapes[0] is None:
        return False
    if kind.startswith("Global"):
        return all(d == 1 for d in shapes[0][2:])
    kernel = attrs.get("kernel_shape", [0])
    assert isinstance(kernel, list)
    return all(k == 1 for k in kernel) and shapes[0] == shapes[1]


def constant_of(graph: OnnxGraph, name: str) -> Array:
    """A constant's value. Raises ModelError when the tensor is computed."""
    if name not in graph.constants:
        raise ModelError(f"tensor '{name}' must be a constant")
    return graph.constants[name]
