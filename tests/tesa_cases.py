"""One call per operator that has a propagation rule, for the differential tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

op, nn = relax.op, relax.op.nn
NEAREST = {"method": "nearest_neighbor", "coordinate_transformation_mode": "asymmetric", "rounding_method": "floor"}
INT = "int32"
RNG = np.random.default_rng(7)
MASK = np.random.default_rng(8).random((1, 4, 5, 5)) < 0.5


def const(*shape: int, zeros: float = 0.5, dtype: str = "float32", positive: bool = False) -> Any:
    """A constant with zeros in it."""
    value = RNG.integers(1, 5, shape) * RNG.choice([-1, 1], shape) * (RNG.random(shape) >= zeros)
    return relax.const((abs(value) + 0.5 if positive else value).astype(dtype))


def quant(zero: int, dtype: str) -> tuple[Any, Any]:
    return relax.const(np.float32(0.25)), relax.const(zero, dtype)


IMAGE = (1, 4, 5, 5)
Make = Callable[..., Any]
# name -> (shapes of the operands, element type, call, whether forward and backward are exact)
CASES: dict[str, tuple[list[tuple[int, ...]], str, Make, bool]] = {
    "conv2d": ([IMAGE], INT, lambda x: nn.conv2d(x, const(6, 4, 3, 3, dtype=INT), padding=1, out_dtype=INT), True),
    "conv2d_stride": (
        [IMAGE], "float32", lambda x: nn.conv2d(x, const(6, 4, 3, 3), strides=2, padding=[0, 1, 1, 0]), True),
    "conv2d_groups": ([IMAGE], "float32", lambda x: nn.conv2d(x, const(6, 2, 3, 1), groups=2, dilation=2), True),
    "conv2d_depthwise": (
        [IMAGE], INT, lambda x: nn.conv2d(x, const(8, 1, 3, 3, dtype=INT), groups=4, padding=1, out_dtype=INT), True),
    "matmul": ([(3, 8)], "int32", lambda x: op.matmul(x, const(8, 5, dtype="int32"), out_dtype="int32"), True),
    "matmul_batch": ([(2, 3, 8)], "float32", lambda x: op.matmul(x, const(8, 5)), True),
    "matmul_two": ([(2, 3, 4), (2, 4, 3)], "float32", lambda x, y: op.matmul(x, y), True),
    "add": ([IMAGE, IMAGE], "int32", lambda x, y: op.add(x, y), True),
    "add_broadcast": ([IMAGE, (1, 4, 1, 1)], "float32", lambda x, y: op.add(x, y), True),
    "subtract": ([IMAGE, IMAGE], "float32", lambda x, y: op.subtract(x, y), True),
    "multiply": ([IMAGE, IMAGE], "int32", lambda x, y: op.multiply(x, y), True),
    "multiply_constant": ([IMAGE], "float32", lambda x: op.multiply(x, const(4, 1, 1)), True),
    "divide": ([IMAGE], "float32", lambda x: op.divide(x, const(4, 1, 1, zeros=0)), True),
    "maximum": ([IMAGE, IMAGE], "float32", lambda x, y: op.maximum(x, y), True),
    "minimum": ([IMAGE, IMAGE], "float32", lambda x, y: op.minimum(x, y), True),
    "power": ([IMAGE], "float32", lambda x: op.power(x, relax.const(np.float32(2))), True),
    "relu": ([IMAGE], "int32", lambda x: nn.relu(x), True),
    "clip": ([IMAGE], "float32", lambda x: op.clip(x, 0, 6), True),
    "leaky": ([IMAGE], "float32", lambda x: nn.leakyrelu(x, 0.1), True),
    "sigmoid": ([IMAGE], "float32", lambda x: op.sigmoid(x), True),
    "tanh": ([IMAGE], "float32", lambda x: op.tanh(x), True),
    "gelu": ([IMAGE], "float32", lambda x: nn.gelu(x), True),
    "silu": ([IMAGE], "float32", lambda x: nn.silu(x), True),
    "exp": ([IMAGE], "float32", lambda x: op.exp(x), True),
    "sqrt": ([IMAGE], "float32", lambda x: op.sqrt(x), True),
    "log": ([IMAGE], "float32", lambda x: op.log(x), True),
    "erf": ([IMAGE], "float32", lambda x: op.erf(x), True),
    "square": ([IMAGE], "float32", lambda x: op.square(x), True),
    "abs": ([IMAGE], "float32", lambda x: op.abs(x), True),
    "negative": ([IMAGE], "float32", lambda x: op.negative(x), True),
    "max_pool": ([IMAGE], "int32", lambda x: nn.max_pool2d(x, (3, 3), (2, 2), (1, 1)), True),
    "avg_pool": ([IMAGE], "float32", lambda x: nn.avg_pool2d(x, (2, 2), (1, 1), (1, 1)), True),
    "avg_pool_pad": (
        [IMAGE], "float32", lambda x: nn.avg_pool2d(x, (3, 3), (1, 1), (1, 1), count_include_pad=True), True),
    "avg_pool_ceil": ([IMAGE], "float32", lambda x: nn.avg_pool2d(x, (2, 2), (2, 2), (0, 0), ceil_mode=True), True),
    "adaptive": ([IMAGE], "float32", lambda x: nn.adaptive_avg_pool2d(x, (1, 1)), False),
    "mean": ([IMAGE], "float32", lambda x: op.mean(x, [2, 3], keepdims=True), True),
    "mean_channel": ([IMAGE], "float32", lambda x: op.mean(x, [1]), True),
    "sum": ([IMAGE], "int32", lambda x: op.sum(x, [1, 3]), True),
    "max": ([IMAGE], "float32", lambda x: op.max(x, [2]), True),
    "min": ([IMAGE], "float32", lambda x: op.min(x, [-1], keepdims=True), True),
    "variance": ([IMAGE], "float32", lambda x: op.variance(x, [2, 3]), False),
    "concat": ([IMAGE, (1, 3, 5, 5)], "int32", lambda x, y: op.concat([x, y], 1), True),
    "concat_rows": ([IMAGE, (1, 4, 2, 5)], "int32", lambda x, y: op.concat([x, y], 2), True),
    "reshape": ([IMAGE], "int32", lambda x: op.reshape(x, (1, 2, 50)), True),
    "flatten": ([IMAGE], "int32", lambda x: op.flatten(x), True),
    "squeeze": ([(1, 4, 1, 5)], "int32", lambda x: op.squeeze(x, [2]), True),
    "expand_dims": ([IMAGE], "int32", lambda x: op.expand_dims(x, [2]), True),
    "permute": ([IMAGE], "int32", lambda x: op.permute_dims(x, [0, 2, 3, 1]), True),
    "slice": ([IMAGE], "int32", lambda x: op.strided_slice(x, [1, 2], [1, 0], [4, 5], [2, 2]), True),
    "split": ([IMAGE], "int32", lambda x: op.split(x, [1, 3], 1), True),
    "pad": ([IMAGE], "float32", lambda x: nn.pad(x, (0, 0, 0, 0, 1, 2, 0, 1), pad_value=3.0), True),
    "take": ([IMAGE], "int32", lambda x: op.take(x, relax.const(np.array([3, 0, 0], np.int64)), 1), True),
    "broadcast_to": ([(1, 4, 1, 5)], "int32", lambda x: op.broadcast_to(x, (2, 4, 3, 5)), True),
    "resize": ([IMAGE], "float32", lambda x: op.image.resize2d(x, (10, 10), **NEAREST), True),
    "resize_down": ([IMAGE], "float32", lambda x: op.image.resize2d(x, (3, 3), **NEAREST), True),
    "batch_norm": ([IMAGE], "float32", lambda x: nn.batch_norm(
        x, const(4), const(4), const(4), const(4, positive=True), axis=1, training=False), True),
    "layer_norm": ([(2, 3, 6)], "float32", lambda x: nn.layer_norm(x, const(6), const(6), axes=[-1]), True),
    "softmax": ([(2, 3, 6)], "float32", lambda x: nn.softmax(x, -1), True),
    "astype": ([IMAGE], "int32", lambda x: op.astype(x, "float32"), True),
    "quantize": ([IMAGE], "float32", lambda x: op.quantize(x, *quant(128, "uint8"), axis=1, out_dtype="uint8"), True),
    "dequantize": ([IMAGE], "int8", lambda x: op.dequantize(x, *quant(3, "int8"), axis=1, out_dtype="float32"), True),
    "conv1d": ([(2, 4, 7)], INT, lambda x: nn.conv1d(
        x, const(6, 2, 3, dtype=INT), strides=2, padding=(1, 2), groups=2, out_dtype=INT), True),
    "conv3d": ([(1, 2, 3, 4, 3)], INT, lambda x: nn.conv3d(
        x, const(3, 2, 2, 3, 1, dtype=INT), padding=(1, 0, 1, 0, 1, 0), out_dtype=INT), True),
    "conv1d_transpose": ([(1, 4, 5)], "float32", lambda x: nn.conv1d_transpose(
        x, const(4, 3, 3), strides=2, padding=(1, 0), output_padding=1), True),
    "conv2d_transpose": ([IMAGE], "float32", lambda x: nn.conv2d_transpose(
        x, const(4, 3, 3, 2), strides=(2, 1), padding=(1, 0, 0, 1)), True),
    "conv2d_transpose_groups": ([IMAGE], INT, lambda x: nn.conv2d_transpose(
        x, const(4, 3, 2, 2, dtype=INT), groups=2, dilation=2, out_dtype=INT), True),
    "conv3d_transpose": ([(1, 2, 2, 3, 2)], "float32", lambda x: nn.conv3d_transpose(
        x, const(2, 2, 2, 2, 2), strides=(1, 2, 1)), True),
    "max_pool1d": ([(2, 4, 7)], "float32", lambda x: nn.max_pool1d(x, 3, 2, 1), False),
    "max_pool3d": ([(1, 4, 3, 4, 4)], INT, lambda x: nn.max_pool3d(x, 2, 1), False),
    "avg_pool1d": ([(2, 4, 7)], "float32", lambda x: nn.avg_pool1d(x, 3, 2, 1, count_include_pad=True), False),
    "avg_pool3d": ([(1, 4, 3, 4, 4)], "float32", lambda x: nn.avg_pool3d(x, 2, 2), False),
    "adaptive1d": ([(2, 4, 7)], "float32", lambda x: nn.adaptive_avg_pool1d(x, 3), False),
    "adaptive3d": ([(1, 4, 3, 4, 4)], "float32", lambda x: nn.adaptive_avg_pool3d(x, 1), False),
    "rms_norm": ([(2, 3, 6)], "float32", lambda x: nn.rms_norm(x, const(6), axes=[-1]), True),
    "group_norm": ([(2, 6, 2, 2)], "float32", lambda x: nn.group_norm(x, const(6), const(6), 3, 1, [2, 3]), True),
    "instance_norm": ([(2, 4, 3, 3)], "float32", lambda x: nn.instance_norm(x, const(4), const(4), 1, [2, 3]), True),
    "attention": ([(1, 3, 2, 4)] * 3, "float32", lambda q, k, v: nn.attention(q, k, v), False),
    "attention_bias": ([(1, 3, 2, 4)] * 3 + [(1, 2, 3, 3)], "float32",
                       lambda q, k, v, b: nn.attention(q, k, v, b), False),
    "prelu": ([IMAGE], "float32", lambda x: nn.prelu(x, const(4, zeros=0), 1), True),
    "where": ([IMAGE, IMAGE], INT, lambda x, y: op.where(relax.const(MASK), x, y), True),
    "ewise_fma": ([IMAGE] * 3, "float32", lambda x, y, z: op.ewise_fma(x, y, z), False),
    **{name: ([IMAGE, (1, 4, 1, 1)], INT, (lambda f: lambda x, y: f(x, y))(getattr(op, name)), False)
       for name in ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
                    "bitwise_and", "bitwise_or", "bitwise_xor")},
    **{name: ([IMAGE], INT, (lambda f: lambda x: f(x, relax.const(np.int32(3))))(getattr(op, name)), True)
       for name in ("left_shift", "right_shift", "floor_divide", "floor_mod", "mod")},
    **{name: ([IMAGE, IMAGE], "bool", (lambda f: lambda x, y: f(x, y))(getattr(op, name)), False)
       for name in ("logical_and", "logical_or", "logical_xor")},
    "logical_not": ([IMAGE], "bool", lambda x: op.logical_not(x), False),
    "bitwise_not": ([IMAGE], INT, lambda x: op.bitwise_not(x), True),
    "atan2": ([IMAGE, IMAGE], "float32", lambda x, y: op.atan2(x, y), True),
    "log_add_exp": ([IMAGE, IMAGE], "float32", lambda x, y: op.log_add_exp(x, y), False),
    **{name: ([IMAGE], "float32", (lambda f: lambda x: f(x))(getattr(op, name)), True)
       for name in ("sin", "cos", "tan", "atan", "asinh")},
    **{name: ([IMAGE], "float32", (lambda f: lambda x: f(x))(getattr(op, name)), False)
       for name in ("sinh", "cosh", "asin", "acos", "acosh", "atanh", "sign", "trunc", "round", "floor", "ceil",
                    "rsqrt", "isnan", "isinf", "isfinite")},
    "gelu_tanh": ([IMAGE], "float32", lambda x: nn.gelu_tanh(x), True),
    "selu": ([IMAGE], "float32", lambda x: nn.selu(x), True),
    "softplus": ([IMAGE], "float32", lambda x: nn.softplus(x), False),
    "log_softmax": ([(2, 3, 6)], "float32", lambda x: nn.log_softmax(x, -1), False),
    "std": ([IMAGE], "float32", lambda x: op.std(x, [2]), False),
    "prod": ([IMAGE], "float32", lambda x: op.prod(x, [1]), False),
    "cumsum": ([IMAGE], INT, lambda x: op.cumsum(x, 1), True),
    "cumsum_exclusive": ([IMAGE], "float32", lambda x: op.cumsum(x, 2, exclusive=True), True),
    "cumprod": ([IMAGE], "float32", lambda x: op.cumprod(x, 3), False),
    "argmax": ([IMAGE], "float32", lambda x: op.argmax(x, 1), False),
    "argmin": ([IMAGE], "float32", lambda x: op.argmin(x, 2, keepdims=True), False),
    "flip": ([IMAGE], INT, lambda x: op.flip(x, 2), True),
    "tile": ([IMAGE], INT, lambda x: op.tile(x, (1, 2, 1, 3)), True),
    "repeat": ([IMAGE], INT, lambda x: op.repeat(x, 2, 1), True),
    "stack": ([IMAGE, IMAGE], INT, lambda x, y: op.stack([x, y], 2), True),
    "tril": ([IMAGE], INT, lambda x: op.tril(x, 1), True),
    "triu": ([IMAGE], INT, lambda x: op.triu(x, -1), True),
    "gather_elements": ([IMAGE], INT, lambda x: op.gather_elements(
        x, relax.const(RNG.integers(0, 4, (1, 3, 5, 5)).astype(np.int64)), 1), True),
    "scatter_elements": ([IMAGE, (1, 2, 5, 5)], INT, lambda x, y: op.scatter_elements(
        x, relax.const(np.stack([np.full((1, 5, 5), 3), np.full((1, 5, 5), 1)], 1).astype(np.int64)), y, 1), True),
    "scatter_nd": ([(4, 3), (2, 3)], INT, lambda x, y: op.scatter_nd(
        x, relax.const(np.array([[2], [0]], np.int64)), y), True),
    "pixel_shuffle": ([(1, 8, 3, 3)], INT, lambda x: nn.pixel_shuffle(x, 2), True),
    "zeros_like": ([IMAGE], "float32", lambda x: op.zeros_like(x), True),
    "ones_like": ([IMAGE], "float32", lambda x: op.ones_like(x), True),
    "full_like": ([IMAGE], "float32", lambda x: op.full_like(x, relax.const(2.5, "float32")), True),
    "matmul_heads": ([(1, 2, 3, 4), (1, 2, 4, 3)], "float32", lambda x, y: op.matmul(x, y), True),
    "batch_flatten": ([IMAGE], INT, lambda x: nn.batch_flatten(x), True),
}  # fmt: skip
# measured elsewhere: no numpy form (TVM evaluates), or several results of which one is indices
BY_TVM = {"sort", "argsort", "topk", "median", "gather_nd"}
