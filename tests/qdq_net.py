"""A builder of small QDQ networks in the XINT8 dialect, for tests of import, partition and lowering."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[Any]


class QdqNet:
    """Builds a QDQ network node by node; every method returns the name of a *float* tensor."""

    def __init__(self, shape: tuple[int, ...], exponent: int = -5, seed: int = 0, unsigned: bool = True) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.inits: list[onnx.TensorProto] = []
        self.shape, self.unsigned, self.count = shape, unsigned, 0
        self.input = self.qdq("input", exponent)

    def const(self, name: str, value: Array) -> str:
        self.inits.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def op(self, kind: str, inputs: list[str], stem: str | None = None, outputs: int = 1, **attrs: Any) -> str:
        name = self.fresh(stem or kind.lower())
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=name, **attrs))
        return names[0]

    def quantize(self, x: str, exponent: float, scale: float | None = None, unsigned: bool | None = None) -> str:
        unsigned = self.unsigned if unsigned is None else unsigned
        n = self.fresh("q")
        s = self.const(n + "_s", np.float32(2.0**exponent if scale is None else scale))
        z = self.const(n + "_z", np.uint8(128) if unsigned else np.int8(0))
        q = self.op("QuantizeLinear", [x, s, z], stem=f"{x}_quantize")
        self._last = (s, z)
        return q

    def dequantize(self, q: str, like: tuple[str, str] | None = None) -> str:
        s, z = like or self._last
        return self.op("DequantizeLinear", [q, s, z], stem=f"{q}_dequantize")

    def qdq(self, x: str, exponent: float, scale: float | None = None, unsigned: bool | None = None) -> str:
        return self.dequantize(self.quantize(x, exponent, scale, unsigned))

    def weight(self, value: Array, exponent: float, dtype: Any = np.int8) -> str:
        n = self.fresh("w")
        w = self.const(n, value.astype(dtype))
        s = self.const(n + "_s", np.float32(2.0**exponent))
        z = self.const(n + "_z", dtype(0))
        return self.op("DequantizeLinear", [w, s, z], stem=f"{n}_dq")

    def ints(self, shape: tuple[int, ...], lo: int = -128, hi: int = 128, dtype: Any = np.int8) -> Array:
        return self.rng.integers(lo, hi, shape).astype(dtype)

    def conv(
        self,
        x: str,
        cin: int,
        cout: int,
        k: int | tuple[int, int] = 3,
        *,
        we: float = -7,
        be: float | None = -9,
        bdtype: Any = np.int8,
        group: int = 1,
        value: Array | None = None,
        **attrs: Any,
    ) -> str:
        kk = (k, k) if isinstance(k, int) else k
        w = self.ints((cout, cin // group, *kk)) if value is None else value
        inputs = [x, self.weight(w, we)]
        if be is not None:
            inputs.append(self.weight(self.ints((cout,), dtype=bdtype), be, bdtype))
        return self.op("Conv", inputs, kernel_shape=list(kk), group=group, **attrs)

    def gemm(self, x: str, cin: int, cout: int, we: float = -8, be: float | None = -9) -> str:
        inputs = [x, self.weight(self.ints((cout, cin)), we)]
        if be is not None:
            inputs.append(self.weight(self.ints((cout,)), be))
        return self.op("Gemm", inputs, transB=1)

    def relu(self, x: str) -> str:
        return self.op("Relu", [x])

    def model(self, outputs: list[str] | str, opset: int = 17) -> onnx.ModelProto:
        names = [outputs] if isinstance(outputs, str) else outputs
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, self.shape)],
            [helper.make_empty_tensor_value_info(n) for n in names],
            self.inits,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        return model


def run_onnx(model: onnx.ModelProto, feeds: dict[str, Array], outputs: list[str] | None = None) -> list[Array]:
    """onnxruntime's answer, graph optimisations disabled."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    result: list[Array] = session.run(outputs, feeds)
    return result
