"""The oracle of everything after stage 5: a ``LayerGraph`` evaluated with numpy integers.

Simple on purpose and independent of the schedule. Sums of products run in float64, exact below 2**53.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import InputError
from tvm_aie.plan.graph import Add, Concat, Conv, Layer, LayerGraph, Permute, Pool, Requant, Upsample, conv_out

Array = npt.NDArray[Any]
Int64 = npt.NDArray[np.int64]


def srs_conv_even(value: Int64, shift: int) -> Int64:
    """``value / 2**shift`` rounded half to even; a negative shift multiplies."""
    if shift <= 0:
        return value << -shift
    quotient = value >> shift
    twice = (value - (quotient << shift)) * 2 - (1 << shift)
    up: Int64 = ((twice > 0) | ((twice == 0) & (quotient % 2 == 1))).astype(np.int64)
    return quotient + up


def requantise(value: Int64, requant: Requant) -> npt.NDArray[np.int8] | npt.NDArray[np.int16]:
    """Leaky ReLU, the one rounding, the clip; int16 where the bounds need it."""
    shift = requant.shift
    if requant.negative_mul:
        value = value * np.where(value < 0, requant.negative_mul, 256)
        shift += 8
    clipped = np.clip(srs_conv_even(value, shift), requant.lo, requant.hi)
    return clipped.astype(np.int8) if requant.lo >= -128 and requant.hi <= 127 else clipped.astype(np.int16)


def _windows(x: Array, layer: Conv | Pool, kernel: tuple[int, int], fill: float) -> Array:
    """View (C, Ho, Wo, kh, kw) of the padded image."""
    top, left, bottom, right = layer.pads
    ho = conv_out(x.shape[1], kernel[0], layer.stride[0], top, bottom, layer.dilation[0])
    wo = conv_out(x.shape[2], kernel[1], layer.stride[1], left, right, layer.dilation[1])
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right)), constant_values=fill)
    c, h, w = padded.strides
    (sy, sx), (dy, dx) = layer.stride, layer.dilation
    shape = (x.shape[0], ho, wo, *kernel)
    strides = (c, h * sy, w * sx, h * dy, w * dx)
    windows: Array = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
    return windows


def _conv(layer: Conv, x: Array) -> Array:
    cout, cin, kh, kw = layer.weight.shape
    windows = _windows(x.astype(np.float64), layer, (kh, kw), 0)
    _, ho, wo = windows.shape[:3]
    out = np.empty((cout, ho, wo), np.float64)
    if cin == 1 and cout == layer.groups:  # depthwise
        out[:] = np.einsum("chwyx,cyx->chw", windows, layer.weight[:, 0].astype(np.float64))
    else:
        per_group = cout // layer.groups
        for g in range(layer.groups):
            columns = windows[g * cin : (g + 1) * cin].transpose(0, 3, 4, 1, 2).reshape(cin * kh * kw, ho * wo)
            rows = slice(g * per_group, (g + 1) * per_group)
            matrix = layer.weight[rows].reshape(per_group, -1).astype(np.float64)
            out[rows] = (matrix @ columns).reshape(per_group, ho, wo)
    total = (out.astype(np.int64) << layer.acc_shift) + layer.bias[:, None, None]
    if not layer.shifts:
        return requantise(total, layer.requant)
    channels = (replace(layer.requant, shift=layer.requant.shift + s) for s in layer.shifts)
    return np.stack([requantise(t, q) for t, q in zip(total, channels, strict=True)])


def _add(layer: Add, a: Array, b: Array | None = None) -> Array:
    total = a.astype(np.int64) << layer.a_shift
    if b is not None:
        total = total + (b.astype(np.int64) << layer.b_shift)
    return requantise(total, layer.requant)


def _pool(layer: Pool, x: Array) -> Array:
    if not layer.divisors:
        best: Array = _windows(x.astype(np.int64), layer, layer.kernel, -(2**31)).max(axis=(3, 4))
        best = np.clip(best, layer.lo, layer.hi).astype(np.int8)
        return best
    sums = _windows(x.astype(np.int64), layer, layer.kernel, 0).sum(axis=(3, 4))
    inside = _windows(np.ones((1, *x.shape[1:]), np.int64), layer, layer.kernel, 0).sum(axis=(3, 4))
    out = np.zeros(sums.shape, np.int64)
    done = np.zeros(inside.shape, bool)
    for row in layer.divisors:
        here = (inside == row.count) & ~done if row.count else ~done
        done |= here
        out = np.where(here, srs_conv_even(sums * row.mult, row.shift), out)
    if not done.all():
        raise InputError(f"layer {layer.name}: a window has a tap count without a divisor")
    clipped: Array = np.clip(out, layer.lo, layer.hi).astype(np.int8)
    return clipped


def _concat(layer: Concat, *parts: Array) -> Array:
    return np.concatenate(parts)


def _permute(layer: Permute, x: Array) -> Array:
    return x[list(layer.order)]


def _upsample(layer: Upsample, x: Array) -> Array:
    return x.repeat(layer.factors[0], axis=1).repeat(layer.factors[1], axis=2)


_EVALUATE: dict[type[Any], Callable[..., Array]] = {
    Conv: _conv,
    Add: _add,
    Pool: _pool,
    Concat: _concat,
    Permute: _permute,
    Upsample: _upsample,
}


def evaluate_layer(layer: Layer, *inputs: Array) -> Array:
    """One layer on int8 images (C, H, W)."""
    return _EVALUATE[type(layer)](layer, *inputs)


def to_array(host: Array, dtype: str) -> Array:
    """Host integers to the array's int8 (uint8 xor 0x80)."""
    return (host ^ np.uint8(0x80)).view(np.int8) if dtype == "uint8" else host


def to_host(array: Array, dtype: str) -> Array:
    """The array's int8 to host integers."""
    return np.ascontiguousarray(array).view(np.uint8) ^ np.uint8(0x80) if dtype == "uint8" else array


def folded(image: Array, fold: int) -> Array:
    """``fold`` pixels of a line as one: (C, H, W) to (fold * C, H, ceil(W / fold)), zeros beyond the border."""
    if fold == 1:
        return image
    c, h, w = image.shape
    whole = np.pad(image, ((0, 0), (0, 0), (0, -w % fold))).reshape(c, h, -1, fold)
    return whole.transpose(3, 0, 1, 2).reshape(fold * c, h, -1)


def evaluate_image(graph: LayerGraph, images: Mapping[str, Array]) -> dict[str, Array]:
    """All tensors of one image: int8 (C, H, W) by tensor name."""
    values = dict(images)
    for layer in graph.layers:
        found = evaluate_layer(layer, *(values[n] for n in layer.inputs))
        values[layer.output] = found.astype(np.int16 if graph.tensors[layer.output].bits == 16 else np.int8)
    return values


def evaluate(graph: LayerGraph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Outputs by tensor name, host shape and dtype, from host inputs by tensor name."""
    for io in graph.inputs:
        given = inputs.get(io.tensor)
        if given is None or given.shape != io.shape or given.dtype != io.dtype:
            found = "nothing" if given is None else f"{given.dtype} {given.shape}"
            raise InputError(f"input {io.tensor}: expected {io.dtype} {io.shape}, got {found}")
    batch = graph.inputs[0].shape[0]
    results: dict[str, list[Array]] = {io.tensor: [] for io in graph.outputs}
    for n in range(batch):
        images = {}
        for io in graph.inputs:
            t = graph.tensors[io.tensor]
            image = to_array(inputs[io.tensor][n], io.dtype)
            images[io.tensor] = folded(image, io.fold).reshape(t.channels, t.height, t.width)
        values = evaluate_image(graph, images)
        for io in graph.outputs:
            results[io.tensor].append(values[io.tensor])
    return {io.tensor: to_host(np.stack(results[io.tensor]), io.dtype).reshape(io.shape) for io in graph.outputs}
