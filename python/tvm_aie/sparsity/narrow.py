"""Narrowing that changes values: weights of a quantised network on a coarser power-of-two grid, so that they fit int4.

Off unless asked for (``tvm-aie sparsify --weight-bits 4``): it costs accuracy, and what it costs only the user's data
can say. The array gains from int4 values wherever they come from (docs/tesa.md); weights that fit already are used
without this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from tvm_aie.errors import InputError
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph
from tvm_aie.sparsity.sparsify import find_layers

LOW, HIGH = -8, 7


@dataclass(frozen=True)
class NarrowedLayer:
    """One layer: how many of its weights changed, by how much relative to their energy, and why it was left alone."""

    name: str
    weights: int
    changed: int
    shift: int  # the new scale is 2**shift times the old one
    error: float  # sum of squared changes over sum of squared weights
    note: str = ""


@dataclass(frozen=True)
class NarrowReport:
    """Every layer with constant weights in graph order."""

    layers: tuple[NarrowedLayer, ...]

    @property
    def changed(self) -> int:
        """Weights whose value is another one now."""
        return sum(layer.changed for layer in self.layers)

    def text(self) -> str:
        """One line per layer, for the command line."""
        lines = ["weights rounded to 4 bits: this changes values"]
        width = max((len(x.name) for x in self.layers), default=0)
        for x in self.layers:
            what = x.note or f"{x.changed:9,} of {x.weights:9,} changed, scale x{1 << x.shift}, error {x.error:.2%}"
            lines.append(f"{x.name:{width}}  {what}")
        total = sum(x.weights for x in self.layers)
        return "\n".join([*lines, f"network: {self.changed:,} of {total:,} weights changed"])


def narrow_weights(model: onnx.ModelProto) -> tuple[onnx.ModelProto, NarrowReport]:
    """Round the int8 weights of every Conv, Gemm and MatMul to int4 on a coarser scale.

    For each layer the scale grows by the power of two with the least squared error; values are rounded half to even and
    clipped to -8..7. The argument is not changed. Raises ``InputError`` for a network without quantised weights.
    """
    graph = OnnxGraph.from_model(model)
    graph.sort()
    graph.infer_shapes()
    producers, consumers = graph.producers(), graph.consumers()
    rows: list[NarrowedLayer] = []
    for layer in find_layers(graph):
        source = producers.get(layer.node.input[1])
        value = graph.constants[layer.constant]
        note = ""
        if source is None or source.op_type != "DequantizeLinear" or value.dtype != np.int8 or layer.zero:
            note = "left as it is: no int8 weights with zero point 0"
        elif len(consumers.get(layer.constant, ())) > 1:
            note = "left as it is: shares its weights"
        if note:
            rows.append(NarrowedLayer(layer.name, value.size, 0, 0, 0.0, note))
            continue
        assert source is not None
        narrow, shift = to_int4(value)
        scale = graph.constants[source.input[1]]
        name = graph.fresh(f"{source.input[1]}_int4")
        graph.constants[name] = (scale * np.float32(1 << shift)).astype(scale.dtype)
        graph.constants[layer.constant] = narrow
        source.input[1] = name
        change = narrow.astype(np.int64) * (1 << shift) - value
        energy = float((value.astype(np.int64) ** 2).sum()) or 1.0
        error = float((change**2).sum()) / energy
        rows.append(NarrowedLayer(layer.name, value.size, int(np.count_nonzero(change)), shift, error))
    if rows and all(row.note for row in rows):
        raise InputError("--weight-bits 4 needs a quantised network: run `tvm-aie quantize` first")
    return graph.to_model(), NarrowReport(tuple(rows))


def to_int4(value: Array) -> tuple[Array, int]:
    """(int4 values as int8, shift): ``values << shift`` is nearest to ``value`` in the sum of squares."""
    best: tuple[float, int, Array] | None = None
    for shift in range(5):
        narrow = np.clip(np.rint(value.astype(np.float64) / (1 << shift)), LOW, HIGH).astype(np.int8)
        error = float(((narrow.astype(np.int64) * (1 << shift) - value) ** 2).sum())
        if best is None or error < best[0]:
            best = error, shift, narrow
    assert best is not None
    return best[2], best[1]
