"""Relax operators in numpy, one entry per operator: the reference of the rules and of scrambling.

``evaluate(call, operands)`` computes in the element type of its operands: pass integers for exact integers,
float64 for differential tests, float32 for what a CPU computes. A concat gets its parts as one list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import relax

from tvm_aie.tesa.evaluate_moves import MOVES
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


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))


def _selu(x: Array) -> Array:
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return np.asarray(scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))))


def _divide(a: Array, b: Array) -> Array:
    """Integers are truncated towards zero."""
    if np.issubdtype(np.result_type(a, b), np.integer):
        q = np.floor_divide(abs(a), np.maximum(abs(b), 1))
        return np.asarray(q * np.sign(a) * np.sign(b)).astype(np.result_type(a, b))
    return np.asarray(np.divide(a, b))


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
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sign": np.sign,
    "trunc": np.trunc,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
    "logical_not": np.logical_not,
    "bitwise_not": np.invert,
    "nn.gelu_tanh": _gelu_tanh,
    "nn.selu": _selu,
}

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": _divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "floor_divide": np.floor_divide,
    "floor_mod": np.mod,
    "mod": np.fmod,
    "atan2": np.arctan2,
    "log_add_exp": np.logaddexp,
    "left_shift": np.left_shift,
    "right_shift": np.right_shift,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
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


def conv_layouts(call: Any) -> bool:
    """True for channels-first data and weights (OI.., of a transposed convolution IO..)."""
    attrs, space = call.attrs, {1: "W", 2: "HW", 3: "DHW"}[len(call.attrs.strides)]
    kernel = "IO" if op_name(call).endswith("_transpose") else "OI"
    layouts = (str(attrs.data_layout), str(attrs.out_layout) or f"NC{space}", str(attrs.kernel_layout))
    return layouts == (f"NC{space}", f"NC{space}", kernel + space)


def taps_of(call: Any, kernel: Sequence[int], image: Sequence[int], steps: Sequence[int]) -> Any:
    """``(tap, slices of the padded image)`` for each tap of a window that takes ``steps`` steps along each axis.

    Also returns the lengths of the padded image. For a transposed convolution the image is its result.
    """
    attrs, rank = call.attrs, len(kernel)
    stride, dilation = ([int(v) for v in a] for a in (attrs.strides, attrs.dilation))
    pads = [int(p) for p in attrs.padding]
    padded = []
    for a in range(rank):
        reach = (steps[a] - 1) * stride[a] + (kernel[a] - 1) * dilation[a] + 1
        padded.append(max(image[a] + pads[a] + pads[rank + a], reach))
    taps = []
    for tap in np.ndindex(*kernel):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        cut = [slice(b, b + (n - 1) * s + 1, s) for b, n, s in zip(starts, steps, stride, strict=True)]
        taps.append((tap, tuple(cut)))
    return taps, padded, pads


def correlate(call: Any, x: Array, weight: Array, steps: Sequence[int], groups: int) -> Array:
    """Convolution of (N, C, ..) with weights (O, C/groups, ..), zeros outside the image."""
    taps, padded, pads = taps_of(call, weight.shape[2:], x.shape[2:], steps)
    image = np.zeros((*x.shape[:2], *padded), x.dtype)
    inside = tuple(slice(p, p + n) for p, n in zip(pads, x.shape[2:], strict=False))
    image[(slice(None), slice(None), *inside)] = x
    image = image.reshape(x.shape[0], groups, -1, *padded)
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    total: Any = 0
    for tap, cut in taps:
        total = total + np.einsum("ngi...,goi->ngo...", image[(..., *cut)], kernel[(..., *tap)])
    return np.asarray(total.reshape(x.shape[0], -1, *steps))


def spread(call: Any, x: Array, weight: Array, image: Sequence[int], groups: int) -> Array:
    """The adjoint: (N, O, ..) with weights (O, C/groups, ..) to an image (N, C, ..) of given lengths."""
    taps, padded, pads = taps_of(call, weight.shape[2:], image, x.shape[2:])
    parts = x.reshape(x.shape[0], groups, -1, *x.shape[2:])
    kernel = weight.reshape(groups, -1, *weight.shape[1:])
    found = np.zeros((x.shape[0], groups, weight.shape[1], *padded), np.result_type(x, weight))
    for tap, cut in taps:
        found[(..., *cut)] += np.einsum("ngo...,goi->ngi...", parts, kernel[(..., *tap)])
    inside = tuple(slice(p, p + n) for p, n in zip(pads, image, strict=False))
    found = found.reshape(x.shape[0], -1, *padded)
    return np.asarray(found[(slice(None), slice(None), *inside)])


def conv(call: Any, x: Array, weight: Array) -> Array:
    """Channels-first convolution over one, two or three dimensions, with groups."""
    return correlate(call, x, weight, shape_of(call)[2:], int(call.attrs.groups))


def conv_transpose(call: Any, x: Array, weight: Array) -> Array:
    """Channels-first transposed convolution; weights (in, out/groups, ..)."""
    return spread(call, x, weight, shape_of(call)[2:], int(call.attrs.groups))


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


def rms_norm(call: Any, x: Array, gamma: Array) -> Array:
    """Root mean square normalisation over the last axes."""
    axes = tuple(int(a) % x.ndim for a in call.attrs.axes)
    mean = np.mean(x * x, axis=axes, keepdims=True)
    found: Array = x / np.sqrt(mean + float(call.attrs.epsilon)) * gamma
    return found


def group_norm(call: Any, x: Array, gamma: Array, beta: Array) -> Array:
    """Each group of channels is normalised with the axes ``axes``; one gamma and beta per channel."""
    channel, rank = int(call.attrs.channel_axis) % x.ndim, x.ndim
    groups = int(call.attrs.num_groups)
    shape = (*x.shape[:channel], groups, x.shape[channel] // groups, *x.shape[channel + 1 :])
    axes = (channel + 1, *((int(a) % rank) + (int(a) % rank > channel) for a in call.attrs.axes))
    parts = x.reshape(shape)
    mean, var = parts.mean(axis=axes, keepdims=True), parts.var(axis=axes, keepdims=True)
    found = ((parts - mean) / np.sqrt(var + float(call.attrs.epsilon))).reshape(x.shape)
    return np.asarray(found * along(gamma, rank, channel) + along(beta, rank, channel))


def instance_norm(call: Any, x: Array, gamma: Array, beta: Array) -> Array:
    """Each channel of each image is normalised over the axes ``axes``."""
    axes, channel = tuple(int(a) % x.ndim for a in call.attrs.axes), int(call.attrs.channel_axis)
    mean, var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    found = (x - mean) / np.sqrt(var + float(call.attrs.epsilon))
    return np.asarray(found * along(gamma, x.ndim, channel) + along(beta, x.ndim, channel))


def attention(call: Any, q: Array, k: Array, v: Array, bias: Array | None = None) -> Array:
    """softmax(q k / sqrt(d)) v over (batch, sequence, head, dim); no mask but ``bias``."""
    scale = call.attrs.scale
    factor = 1 / math.sqrt(q.shape[-1]) if scale is None else float(getattr(scale, "value", scale))
    scores = np.einsum("bshd,bthd->bhst", q, k) * factor
    scores = scores if bias is None else scores + bias
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    found: Array = np.einsum("bhst,bthd->bshd", weights / weights.sum(axis=-1, keepdims=True), v)
    return found


def prelu(call: Any, x: Array, slope: Array) -> Array:
    """Leaky ReLU with one slope per channel."""
    return np.where(x < 0, x * along(slope, x.ndim, int(call.attrs.axis)), x)


def softplus(call: Any, x: Array) -> Array:
    """log(1 + exp(beta x)) / beta."""
    beta = float(call.attrs.beta)
    return np.asarray(np.logaddexp(0, x * beta) / beta)


def where(_call: Any, condition: Array, a: Array, b: Array) -> Array:
    """One of two by a condition."""
    return np.where(condition, a, b)


def fma(_call: Any, a: Array, b: Array, c: Array) -> Array:
    """a * b + c."""
    return np.asarray(a * b + c)


def _scan(function: Callable[..., Any], neutral: int) -> Function:
    def run(call: Any, x: Array) -> Any:
        axis = None if call.attrs.axis is None else int(call.attrs.axis)
        kind = x.dtype if np.issubdtype(x.dtype, np.floating) else None
        found = function(x, axis=axis, dtype=kind if call.attrs.dtype is None else np.dtype(str(call.attrs.dtype)))
        if call.attrs.exclusive and axis is not None:
            first = np.full_like(np.take(found, [0], axis=axis), neutral)
            found = np.concatenate([first, np.delete(found, -1, axis=axis)], axis=axis)
        return found.astype(x.dtype, copy=False) if call.attrs.dtype is None else found

    return run


def _arg(function: Callable[..., Any]) -> Function:
    def run(call: Any, x: Array) -> Any:
        axis = None if call.attrs.axis is None else int(call.attrs.axis)
        return function(x, axis=axis, keepdims=bool(call.attrs.keepdims))

    return run


def _filled(value: float | None) -> Function:
    """zeros, ones, full and their relatives, which read shapes only."""

    def run(call: Any, *operands: Array) -> Any:
        fill = value if value is not None else operands[-1].ravel()[0]
        return np.full(shape_of(call), fill, dtype_of(call))

    return run


def _arange(call: Any) -> Array:
    start, stop, step = (number(a) for a in call.args)
    return np.arange(start, stop, step).astype(dtype_of(call))


def _eye(call: Any, *_like: Array) -> Array:
    rows, columns = shape_of(call)
    return np.eye(rows, columns, int(number(call.args[-1])), dtype=dtype_of(call))


def batch_norm(call: Any, x: Array, gamma: Array, beta: Array, mean: Array, var: Array) -> list[Array]:
    """Inference batch normalisation; the running statistics come back unchanged."""
    axis = int(call.attrs.axis)
    g, b, m, v = (along(p, x.ndim, axis) for p in (gamma, beta, mean, var))
    return [(x - m) / np.sqrt(v + float(call.attrs.epsilon)) * g + b, mean, var]


def _concat(call: Any, parts: Sequence[Array]) -> Array:
    return np.concatenate(list(parts), axis=int(call.attrs.axis or 0))


def _astype(call: Any, x: Array) -> Array:
    return x.astype(dtype_of(call))


def _matmul(call: Any, a: Array, b: Array) -> Array:
    found: Array = np.matmul(a, b)
    return found


OTHERS: dict[str, Function] = {
    **MOVES,
    **{f"nn.conv{n}d": conv for n in (1, 2, 3)},
    **{f"nn.conv{n}d_transpose": conv_transpose for n in (1, 2, 3)},
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
    "std": _reduce(np.std),
    "prod": _reduce(np.prod),
    "cumsum": _scan(np.cumsum, 0),
    "cumprod": _scan(np.cumprod, 1),
    "argmax": _arg(np.argmax),
    "argmin": _arg(np.argmin),
    "where": where,
    "ewise_fma": fma,
    "nn.prelu": prelu,
    "nn.softplus": softplus,
    "nn.rms_norm": rms_norm,
    "nn.group_norm": group_norm,
    "nn.instance_norm": instance_norm,
    "nn.attention": attention,
    "nn.attention_bias": attention,
    "zeros": _filled(0),
    "ones": _filled(1),
    "full": _filled(None),
    "zeros_like": _filled(0),
    "ones_like": _filled(1),
    "full_like": _filled(None),
    "arange": _arange,
    "eye": _eye,
    "nn.softmax": softmax,
    "nn.layer_norm": layer_norm,
    "nn.batch_norm": batch_norm,
    "concat": _concat,
    "astype": _astype,
}


def can_evaluate(call: Any) -> bool:
    """True when numpy has the operator."""
    name = op_name(call)
    if name == "image.resize2d":
        return str(call.attrs.method) == "nearest_neighbor" and str(call.attrs.layout) == "NCHW"
    if name.startswith("nn.conv"):
        return conv_layouts(call)
    if name in ("nn.group_norm", "nn.instance_norm"):
        return all(bool(getattr(call.attrs, a, True)) for a in ("scale", "center"))
    if name in ("nn.attention", "nn.attention_bias"):
        return not any(call.attrs[a] for a in ("causal_mask", "window_size"))
    if name in ("gather_nd", "scatter_nd", "scatter_elements"):
        attrs = call.attrs
        return not int(getattr(attrs, "batch_dims", 0)) and str(getattr(attrs, "reduction", "update")) == "update"
    if name == "take":
        return call.attrs.axis is not None or len(call.args[0].ty.shape.values) == 1
    if name in ("eye", "arange", "tril", "triu"):
        return not any(isinstance(a, relax.Var) for a in call.args[1 if name.startswith("tri") else 0 :])
    return name in UNARY or name in BINARY or name in OTHERS


def evaluate(call: Any, operands: Sequence[Any]) -> Any:
    """The operator's result on numpy operands; a list for an operator that returns a tuple."""
    name = op_name(call)
    if name in UNARY:
        return UNARY[name](operands[0])
    if name in BINARY:
        return BINARY[name](*operands[:2])
    return OTHERS[name](call, *operands)
