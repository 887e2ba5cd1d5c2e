"""``NetBuilder``: small float ONNX networks with seeded weights, for tests, tutorials and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

FloatArray = npt.NDArray[np.float32]


class NetBuilder:
    """Appends operators one by one; every method takes and returns tensor names.

    Channel counts are tracked, so layers need only their output width. Weights are He-scaled normals from
    ``seed``; the same calls with the same seed give the same model.
    """

    def __init__(self, name: str, shape: Sequence[int], seed: int = 0, opset: int = 17) -> None:
        """``shape``: the input 'data', N, C, H, W (or N, C)."""
        self.name, self.shape, self.opset = name, tuple(shape), opset
        self.rng = np.random.default_rng([seed, 0x5EED])
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels: dict[str, int] = {"data": self.shape[1]}
        self.input = "data"

    def constant(self, stem: str, value: npt.ArrayLike, dtype: Any = np.float32) -> str:
        """An initialiser; returns its name."""
        name = f"{stem}_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], channels: int | None = None, **attrs: Any) -> str:
        """Any operator with one output. ``channels``: of the output, default as the first input's."""
        out = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], name=f"n_{out}", **attrs))
        self.channels[out] = self.channels[inputs[0]] if channels is None else channels
        return out

    def normal(self, *shape: int, std: float = 1.0) -> FloatArray:
        """float32 normals of the given standard deviation."""
        return (self.rng.standard_normal(shape) * std).astype(np.float32)

    def conv(
        self,
        x: str,
        cout: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        pads: int | Sequence[int] | None = None,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> str:
        """Convolution; ``pads`` None keeps the size at stride 1, an int is all four sides, four are t, l, b, r."""
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        cin = self.channels[x] // groups
        std = float(np.sqrt(2.0 / (cin * kh * kw)))
        inputs = [x, self.constant("w", self.normal(cout, cin, kh, kw, std=std))]
        if bias:
            inputs.append(self.constant("b", self.normal(cout, std=0.1)))
        if pads is None:
            pads = [dilation * (kh - 1) // 2, dilation * (kw - 1) // 2] * 2
        return self.op(
            "Conv",
            inputs,
            cout,
            kernel_shape=[kh, kw],
            strides=[stride] * 2,
            pads=[pads] * 4 if isinstance(pads, int) else list(pads),
            dilations=[dilation] * 2,
            group=groups,
        )

    def relu(self, x: str) -> str:
        """Relu."""
        return self.op("Relu", [x])

    def relu6(self, x: str) -> str:
        """Clip to 0..6."""
        return self.op("Clip", [x, self.constant("lo", 0.0), self.constant("hi", 6.0)])

    def batch_norm(self, x: str) -> str:
        """BatchNormalization with scale near 1, small shift, mean near 0 and variance near 1."""
        c = self.channels[x]
        jitter = 1 + 0.2 * (self.rng.random((2, c)) - 0.5)
        values = [jitter[0], self.normal(c, std=0.1), self.normal(c, std=0.1), jitter[1]]
        return self.op("BatchNormalization", [x, *(self.constant("bn", v) for v in values)])

    def add(self, a: str, b: str) -> str:
        """Element-wise addition."""
        return self.op("Add", [a, b])

    def concat(self, xs: Sequence[str]) -> str:
        """Concatenation on channels."""
        return self.op("Concat", xs, sum(self.channels[x] for x in xs), axis=1)

    def max_pool(self, x: str, kernel: int = 2, stride: int = 2, pads: int | Sequence[int] = 0) -> str:
        """MaxPool."""
        pads = [pads] * 4 if isinstance(pads, int) else list(pads)
        return self.op("MaxPool", [x], kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def avg_pool(
        self, x: str, kernel: int = 3, stride: int = 1, pads: int | Sequence[int] = 0, count_include_pad: int = 0
    ) -> str:
        """AveragePool."""
        pads = [pads] * 4 if isinstance(pads, int) else list(pads)
        return self.op(
            "AveragePool",
            [x],
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=pads,
            count_include_pad=count_include_pad,
        )

    def global_avg_pool(self, x: str) -> str:
        """GlobalAveragePool."""
        return self.op("GlobalAveragePool", [x])

    def upsample(self, x: str, factor: int = 2) -> str:
        """Nearest-neighbour Resize by a whole factor."""
        scales = self.constant("scales", [1, 1, factor, factor])
        modes: dict[str, Any] = {
            "mode": "nearest",
            "nearest_mode": "floor",
            "coordinate_transformation_mode": "asymmetric",
        }
        return self.op("Resize", [x, "", scales], **modes)

    def shuffle(self, x: str, groups: int, height: int, width: int) -> str:
        """Channel shuffle as ONNX exporters write it: Reshape, Transpose, Reshape."""
        n, c = self.shape[0], self.channels[x]
        split = self.constant("shape", [n, groups, c // groups, height, width], np.int64)
        merge = self.constant("shape", [n, c, height, width], np.int64)
        x = self.op("Transpose", [self.op("Reshape", [x, split])], c, perm=[0, 2, 1, 3, 4])
        return self.op("Reshape", [x, merge], c)

    def flatten(self, x: str, features: int) -> str:
        """Flatten to (N, features)."""
        return self.op("Flatten", [x], features, axis=1)

    def gemm(self, x: str, cout: int, bias: bool = True) -> str:
        """Gemm with transB."""
        cin = self.channels[x]
        inputs = [x, self.constant("w", self.normal(cout, cin, std=float(np.sqrt(2.0 / cin))))]
        if bias:
            inputs.append(self.constant("b", self.normal(cout, std=0.1)))
        return self.op("Gemm", inputs, cout, transB=1)

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The checked model with inferred shapes. ``outputs``: tensor names, default the last one made."""
        names = outputs or (self.nodes[-1].output[0],)
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [helper.make_tensor_value_info(self.input, TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names],
            self.weights,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="tvm-aie")
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        onnx.checker.check_model(model)
        return model
