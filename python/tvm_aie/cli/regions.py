"""Region by region comparison, for networks whose host operators compute in float between two array regions.

TVM and onnxruntime differ in the last bits of such operators (LRN), so what follows them may differ too. Each region
is therefore run on onnxruntime's own tensors and its outputs must be onnxruntime's, exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tvm_aie.cli.models import Array, OutputMatch


def float_between_regions(ops: Sequence[Any], regions: int) -> tuple[str, ...]:
    """Kinds of the host's float operators when they can stand between regions; empty when the network is whole."""
    exact = {"quantize", "dequantize", "softmax", "layout"}
    return tuple(sorted({op.kind for op in ops if op.kind not in exact})) if regions > 1 else ()


def compare_regions(model: Any, inputs: Mapping[str, Array], compiled: Sequence[Any]) -> tuple[OutputMatch, ...]:
    """One row per region output. ``compiled``: ``pipeline.Compiled`` of each region, in order."""
    from tvm_aie.runtime.emulator import RunOptions, run_program

    known = quantised_tensors(model, inputs)
    rows = []
    for region in compiled:
        graph = region.graph
        images = [np.ascontiguousarray(known[io.tensor].reshape(io.shape)) for io in graph.inputs]
        result = run_program(region.program.to_bytes(), images, RunOptions())
        for io, got in zip(graph.outputs, result.outputs, strict=True):
            candidates = [v for v in known.values() if v.size == got.size]
            different = min((int(np.count_nonzero(v.ravel() != got.ravel())) for v in candidates), default=got.size)
            rows.append(OutputMatch(f"{graph.name} {io.tensor}", got.size, different, float(different > 0), 0.0))
    return tuple(rows)


def quantised_tensors(model: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """onnxruntime's output of every QuantizeLinear, by the name of its variable in Relax."""
    import onnx
    import onnxruntime

    from tvm_aie.frontend.onnx_prepare import prepare

    nodes = [n for n in prepare(model).graph.node if n.op_type == "QuantizeLinear"]
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    present = {name for node in probe.graph.node for name in node.output}
    nodes = [n for n in nodes if n.output[0] in present]
    probe.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n.output[0]) for n in nodes)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    values = session.run([n.output[0] for n in nodes], dict(inputs))
    return {_variable(n.name): v for n, v in zip(nodes, values, strict=True)}


def _variable(name: str) -> str:
    """The variable that the importer makes of an ONNX name."""
    hint = re.sub(r"\W", "_", name).strip("_")
    return hint if hint[:1].isalpha() else f"n{hint}"
