"""Stage 1: an ONNX file becomes a Relax module in QDQ form, its variables named after the ONNX nodes."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from tvm_aie.errors import ModelError
from tvm_aie.frontend.onnx_prepare import load_model, prepare


class _Importer(onnx_frontend.ONNXGraphImporter):  # type: ignore[misc]
    """TVM's importer, with readable names and a clip that stays one operator.

    The attribute ``aie2_onnx_ops`` of ``main`` says which ONNX operator each named variable came from,
    ``aie2_onnx_names`` which variables a name of the ONNX file stands for.
    """

    def __init__(self, shapes: dict[str, list[int]]) -> None:
        super().__init__(shapes, "float32")
        self.onnx_ops: dict[str, str] = {}

    def onnx_names(self, graph: onnx.GraphProto) -> dict[str, list[str]]:
        """The variables of each input, node, value, and initializer that is dequantised, by its name in ``graph``.

        A node stands for its output if it has one; an initializer for each variable that holds its dequantised values.
        """
        found: dict[str, dict[str, None]] = {}

        def note(name: str, value: str) -> None:
            var = self._nodes.get(value)
            if name and isinstance(var, relax.Var) and isinstance(var.ty, relax.TensorType):
                found.setdefault(name, {})[str(var.name)] = None

        constants = {initializer.name for initializer in graph.initializer}
        for value in graph.input:
            note(value.name, value.name)
        for node in graph.node:
            for output in node.output:
                note(output, output)
            if len(node.output) == 1:
                note(node.name, node.output[0])
                if node.op_type == "DequantizeLinear" and node.input[0] in constants:
                    note(node.input[0], node.output[0])
        return {name: list(variables) for name, variables in found.items()}

    def _convert_operator(self, op_name: str, inputs: list[Any], attrs: dict[str, Any], opset: int) -> Any:
        value = _clip(inputs, attrs) if op_name == "Clip" else None
        if value is None:
            value = super()._convert_operator(op_name, inputs, attrs, opset)
        if isinstance(value, tvm.ir.Call) and isinstance(value.ty, relax.TensorType):
            hint = re.sub(r"\W", "_", str(attrs["tvm_custom"]["name"])).strip("_")
            value = self.bb.emit(value, name_hint=hint if hint[:1].isalpha() else f"n{hint}")
            self.onnx_ops[str(value.name)] = op_name
        return value


def _clip(inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """``relax.clip`` when the bounds are constants."""
    bounds = []
    for position, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        value: Any = attrs.get(name, default)
        if position < len(inputs) and inputs[position] is not None:
            value = inputs[position]
            if not isinstance(value, tvm.ir.GenericConst):
                return None
            value = value.value.numpy().item()
        bounds.append(float(value))
    if any(np.isnan(b) for b in bounds):
        return None
    if bounds[0] == 0 and np.isinf(bounds[1]):
        return relax.op.nn.relu(inputs[0])
    limit = float(np.finfo(np.float32).max)
    return relax.op.clip(inputs[0], max(bounds[0], -limit), min(bounds[1], limit))


def _name_nodes(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if not node.name and node.output:
            node.name = node.output[0]


def from_onnx(model: str | Path | onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Any:
    """The Relax module of an ONNX file or model; ``shapes`` fixes dynamic input shapes."""
    fixed = {name: tuple(int(d) for d in dims) for name, dims in (shapes or {}).items()}
    loaded = model if isinstance(model, onnx.ModelProto) else load_model(model)
    prepared = prepare(loaded, fixed or None)
    _name_nodes(prepared)
    opset = next((o.version for o in prepared.opset_import if o.domain in ("", "ai.onnx")), 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importer = _Importer({k: list(v) for k, v in fixed.items()})
            mod = importer.from_onnx(prepared.graph, opset)
    except tvm.error.OpNotImplemented as error:
        raise ModelError(str(error)) from error
    except (ValueError, NotImplementedError, KeyError, AssertionError, tvm.error.InternalError) as error:
        raise ModelError(f"TVM cannot import the model: {type(error).__name__}: {error}") from error
    names = importer.onnx_names(prepared.graph)
    mod["main"] = mod["main"].with_attr("aie2_onnx_ops", importer.onnx_ops).with_attr("aie2_onnx_names", names)
    return mod
