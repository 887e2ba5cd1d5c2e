"""Relax operators in numpy, one entry per operator: the reference of the rules and of scrambling.

``evaluate(call, operands)`` computes in the element type of its operands: pass integers for exact integers,
float64 for differential tests, float32 for what a CPU computes. A concat gets its parts as one list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tvm_aie.tesa.ir import Array, dtype_of, number, op_name, shape_of

Function = Callable[..., Any]


def _erf(x: Array) -> Array:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x)) if x.size else x


def _gelu(x: Array) -> Array:
    return np.asarray(x * 0.5 * (1 + _erf(x / math.sqrt(2))))


def _sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):
        found: Array = 1 / (1 + np.exp(-x))
    return found


def _relu(x: Array) -> Array:
    return np.asarray(np.maximum(x, x.dtype.type(0)))


UNARY: dict[str, Callable[[Array], Array]] = {
    "nn.relu": _relu,
    "abs": np.abs,
    "negative": np.negative,
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "erf": _erf,
    "nn.gelu": _gelu,
    "nn.silu": lambda x: x * _sigmoid(x),
    "round": np.rint,
    "floor": np.floor,
    "ceil": np.ceil,
    "log": np.log,
}

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
}


def leaky(call: Any, x: Array) -> Array:
    """Leaky ReLU."""
    return np.where(x < 0, x * x.dtype.type(call.attrs.alpha), x)


def clip(call: Any, x: Array) -> Array:
    """Clip; bounds are scalar arguments."""
    lo, hi = number(call.args[1]), number(call.args[2])
    if np.issubdtype(x.dtype, np.integer):
        info = np.iinfo(x.dtype)
        return np.clip(x, int(max(lo, info.min)), int(min(hi, info.max)))
    return np.clip(x, lo, hi)


def along(values: Array, rank: int, axis: int) -> Array:
    """A scale or zero point, per tensor or along ``axis``, ready to broadcast."""
    if values.size == 1:
        return values.reshape((1,) * rank)
    return values.reshape([-1 if a == axis % rank else 1 for a in range(rank)])


def quantize(call: Any, x: Array, scale: Array, zero: Array) -> Array:
    """Round half to even, add the zero point, clip to the type."""
    out = np.dtype(str(call.attrs.out_dtype))
    info, axis = np.iinfo(out), int(call.attrs.axis)
    level = np.rint(x / along(scale.astype(x.dtype), x.ndim, axis))
    level = level + along(zero.astype(np.float64), x.ndim, axis)
    return np.clip(level, info.min, info.max).astype(x.dtype)


def dequantize(call: Any, x: Array, scale: Array, zero: Array) -> Array:
    """(x - zero point) * scale."""
    axis = int(call.attrs.axis)
    kind = np.float64 if x.dtype == np.float64 else np.float32
    shifted = x.astype(kind) - along(zero.astype(kind), x.ndim, axis)
    return shifted * along(scale.astype(kind), x.ndim, axis)


def pads_of(attrs: Any) -> tuple[int, int, int, int]:
    """Top, left, bottom, right."""
    pads = [int(p) for p in attrs.padding]
    return (pads[0], pads[1], pads[2], pads[3]) if len(pads) == 4 else (pads[0], pads[-1], pads[0], pads[-1])


def pool_geometry(call: Any) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int], tuple[int, int]]:
    """Kernel, stride, pads (ceil mode included) and dilation of a 2-d pooling."""
    attrs = call.attrs
    kernel = (int(attrs.pool_size[0]), int(attrs.pool_size[1]))
    stride = (int(attrs.strides[0]), int(attrs.strides[1]))
    dilation = (int(attrs.dilation[0]), int(attrs.dilation[1]))
    pads, shape, out = list(pads_of(attrs)), shape_of(call.args[0]), shape_of(call)
    for axis in range(2):
        need = (out[2 + axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        pads[2 + axis] = max(pads[2 + axis], need - shape[2 + axis] - pads[axis])
    return kernel, stride, (pads[0], pads[1], pads[2], pads[3]), dilation


def windows(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
    out: tuple[int, ...],
    fill: Any,
) -> Array:
    """A view (N, C, Ho, Wo, kh, kw) of the image padded with ``fill``."""
    top, left, bottom, right = pads
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    n, c, h, w = x.strides
    shape = (x.shape[0], x.shape[1], *out, *kernel)
    strides = (n, c, h * stride[0], w * stride[1], h * dilation[0], w * dilation[1])
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


def conv2d(call: Any, x: Array, weight: Array) -> Array:
    """NCHW convolution with groups."""
    attrs, out = call.attrs, shape_of(call)
    groups = int(attrs.groups)
    stride, dilation = ((int(v[0]), int(v[1])) for v in (attrs.strides, attrs.dilation))
    cols = windows(x, weight.shape[2:], stride, pads_of(attrs), dilation, out[2:], 0)
    cols = cols.reshape(x.shape[0], groups, -1, *cols.shape[2:])
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    found: Array = np.einsum("ngihwyx,goiyx->ngohw", cols, kernel)
    return found.reshape(found.shape[0], -1, *found.shape[3:])


def max_pool2d(call: Any, x: Array) -> Array:
    """Taps outside the image never win."""
    kernel, stride, pads, dilation = pool_geometry(call)
    fill = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
    found: Array = windows(x, kernel, stride, pads, dilation, shape_of(call)[2:], fill).max(axis=(4, 5))
    return found


def pool_counts(call: Any) -> Array:
    """Divisor of each window of an average pool, (Ho, Wo)."""
    kernel, stride, pads, dilation = pool_geometry(call)
    ones = np.ones((1, 1, *shape_of(call.args[0])[2:]))
    own = [int(p) for p in pads_of(call.attrs)]
    if bool(call.attrs.count_include_pad):  # the padding that is written counts, what ceil mode adds does not
        ones = np.pad(ones, ((0, 0), (0, 0), (own[0], own[2]), (own[1], own[3])), constant_values=1)
        pads = (0, 0, max(0, pads[2] - own[2]), max(0, pads[3] - own[3]))
    counts: Array = windows(ones, kernel, stride, pads, dilation, shape_of(call)[2:], 0).sum(axis=(4, 5))[0, 0]
    return counts


def avg_pool2d(call: Any, x: Array) -> Array:
    """Average over the taps inside the image, or over all with count_include_pad."""
    kernel, stride, pads, dilation = pool_geometry(call)
    sums = windows(x, kernel, stride, pads, dilation, shape_of(call)[2:], 0).sum(axis=(4, 5))
    found: Array = sums / pool_counts(call).astype(x.dtype)
    return found


def _axes(attrs: Any, rank: int) -> tuple[int, ...]:
    return tuple(range(rank)) if attrs.axis is None else tuple(int(a) % rank for a in attrs.axis)


def _reduce(function: Callable[..., Any]) -> Function:
    def run(call: Any, x: Array) -> Any:
        return function(x, axis=_axes(call.attrs, x.ndim), keepdims=bool(call.attrs.keepdims))

    return run


def adaptive_avg_pool2d(call: Any, x: Array) -> Array:
    """Mean over each of the (possibly overlapping) cells."""
    out = shape_of(call)[2:]
    result = np.empty((*x.shape[:2], *out), x.dtype)
    for i in range(out[0]):
        for j in range(out[1]):
            rows = slice(i * x.shape[2] // out[0], -(-(i + 1) * x.shape[2] // out[0]))
            cols = slice(j * x.shape[3] // out[1], -(-(j + 1) * x.shape[3] // out[1]))
            result[:, :, i, j] = x[:, :, rows, cols].mean(axis=(2, 3))
    return result


def softmax(call: Any, x: Array) -> Array:
    """Softmax along an axis."""
    e = np.exp(x - x.max(axis=int(call.attrs.axis), keepdims=True))
    found: Array = e / e.sum(axis=int(call.attrs.axis), keepdims=True)
    return found


def layer_norm(call: Any, x: Array, gamma: Array, beta: Array) -> Array:
    """Layer normalisation over the last axes."""
    axes = tuple(int(a) % x.ndim for a in call.attrs.axes)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    found: Array = (x - mean) / np.sqrt(var + float(call.attrs.epsilon)) * gamma + beta
    return found


def batch_norm(call: Any, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> list[Array]:
    """Inference batch normalisation; the running statistics come back unchanged."""
    axis = int(call.attrs.axis)
    g, b, m, v = (along(p, x.ndim, axis) for p in (gamma, beta, mean, var))
    return [(x - m) / np.sqrt(v + float(call.attrs.epsilon)) * g + b, mean, var]


def strided_slice(call: Any, x: Array, *_bounds: Any) -> Array:
    """Slicing with constant bounds."""
    axes, begin, end = ([int(number(v)) for v in call.args[i].fields] for i in (1, 2, 3))
    steps = [int(number(v)) for v in call.args[4].fields] if len(call.args) > 4 else [1] * len(axes)
    cut = [slice(None)] * x.ndim
    for axis, b, e, s in zip(axes, begin, end, steps, strict=True):
        stop: int | None = e if s > 0 or e >= 0 else (e if e > -x.shape[axis] - 1 else None)
        cut[axis] = slice(b, stop, s)
    return x[tuple(cut)]


def split_points(call: Any, length: int) -> list[int]:
    """Where a split cuts its axis."""
    sections = call.attrs.indices_or_sections
    if hasattr(sections, "__len__"):
        return [int(i) for i in sections]
    part = -(-length // int(sections))
    return list(range(part, length, part))


def split(call: Any, x: Array) -> list[Array]:
    """The sections of a split."""
    axis = int(call.attrs.axis)
    return np.split(x, split_points(call, x.shape[axis]), axis=axis)


def pad(call: Any, x: Array) -> Array:
    """Constant padding."""
    widths = [int(w) for w in call.attrs.pad_width]
    pairs = list(zip(widths[::2], widths[1::2], strict=True))
    return np.pad(x, pairs, constant_values=x.dtype.type(call.attrs.pad_value))


def take(call: Any, x: Array, index: Array) -> Array:
    """Gather along an axis."""
    axis = None if call.attrs.axis is None else int(call.attrs.axis)
    return np.take(x, np.asarray(index, np.int64), axis=axis)


def resize2d(call: Any, x: Array, *_size: Any) -> Array:
    """Nearest neighbour, the coordinate modes that ONNX exporters write."""
    attrs, out = call.attrs, shape_of(call)[2:]
    mode, rounding = str(attrs.coordinate_transformation_mode), str(attrs.rounding_method)
    index = []
    for size, target in zip(x.shape[2:], out, strict=True):
        i = np.arange(target, dtype=np.float64)
        at = (i + 0.5) * size / target - 0.5 if mode == "half_pixel" else i * size / target
        if mode == "align_corners":
            at = i * (size - 1) / max(target - 1, 1)
        rule = {"": np.floor, "floor": np.floor, "ceil": np.ceil}.get(rounding, np.rint)
        index.append(np.clip(rule(at), 0, size - 1).astype(np.int64))
    return x[:, :, index[0][:, None], index[1][None, :]]


def _reshape(call: Any, x: Array, *_shape: Any) -> Array:
    return x.reshape(shape_of(call))


def _permute(call: Any, x: Array) -> Array:
    return np.transpose(x, None if call.attrs.axes is None else [int(a) for a in call.attrs.axes])


def _concat(call: Any, parts: Sequence[Array]) -> Array:
    return np.concatenate(list(parts), axis=int(call.attrs.axis or 0))


def _broadcast(call: Any, x: Array, *_shape: Any) -> Array:
    return np.broadcast_to(x, shape_of(call))


def _astype(call: Any, x: Array) -> Array:
    return x.astype(dtype_of(call))


def _matmul(call: Any, a: Array, b: Array) -> Array:
    found: Array = np.matmul(a, b)
    return found


OTHERS: dict[str, Function] = {
    "nn.conv2d": conv2d,
    "matmul": _matmul,
    "nn.max_pool2d": max_pool2d,
    "nn.avg_pool2d": avg_pool2d,
    "nn.adaptive_avg_pool2d": adaptive_avg_pool2d,
    "nn.leakyrelu": leaky,
    "clip": clip,
    "quantize": quantize,
    "dequantize": dequantize,
    "mean": _reduce(np.mean),
    "sum": _reduce(np.sum),
    "max": _reduce(np.max),
    "min": _reduce(np.min),
    "variance": _reduce(np.var),
    "nn.softmax": softmax,
    "nn.layer_norm": layer_norm,
    "nn.batch_norm": batch_norm,
    "strided_slice": strided_slice,
    "split": split,
    "nn.pad": pad,
    "take": take,
    "image.resize2d": resize2d,
    "reshape": _reshape,
    "flatten": _reshape,
    "nn.batch_flatten": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "permute_dims": _permute,
    "concat": _concat,
    "broadcast_to": _broadcast,
    "astype": _astype,
}


def can_evaluate(call: Any) -> bool:
    """True when numpy has the operator."""
    name = op_name(call)
    if name == "image.resize2d":
        return str(call.attrs.method) == "nearest_neighbor" and str(call.attrs.layout) == "NCHW"
    if name == "nn.conv2d":
        return (str(call.attrs.data_layout), str(call.attrs.kernel_layout)) == ("NCHW", "OIHW")
    return name in UNARY or name in BINARY or name in OTHERS


def evaluate(call: Any, operands: Sequence[Any]) -> Any:
    """The operator's result on numpy operands; a list for an operator that returns a tuple."""
    name = op_name(call)
    if name in UNARY:
        return UNARY[name](operands[0])
    if name in BINARY:
        return BINARY[name](*operands[:2])
    return OTHERS[name](call, *operands)
