"""Operators that only move elements, in numpy: applied to indices they give the index map of a rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tvm_aie.tesa.ir import Array, number, shape_of

Function = Callable[..., Any]


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


def _broadcast(call: Any, x: Array, *_shape: Any) -> Array:
    return np.broadcast_to(x, shape_of(call))


def _flip(call: Any, x: Array) -> Array:
    return np.flip(x, int(call.attrs.axis))


def _tile(call: Any, x: Array) -> Array:
    return np.tile(x, [int(r) for r in call.attrs.repeats])


def _repeat(call: Any, x: Array) -> Array:
    axis = None if call.attrs.axis is None else int(call.attrs.axis)
    return np.repeat(x, int(call.attrs.repeats), axis=axis)


def _triangle(function: Callable[..., Any]) -> Function:
    def run(call: Any, x: Array, *_k: Any) -> Any:
        return function(x, int(number(call.args[1])))

    return run


def _stack(call: Any, *parts: Array) -> Array:
    return np.stack(parts, axis=int(call.attrs.axis or 0))


def gather_elements(call: Any, x: Array, index: Array) -> Array:
    """One element per index along an axis."""
    return np.take_along_axis(x, np.asarray(index, np.int64), axis=int(call.attrs.axis))


def gather_nd(call: Any, x: Array, index: Array) -> Array:
    """Slices at index tuples (no batch dimensions)."""
    return np.asarray(x[tuple(np.moveaxis(np.asarray(index, np.int64), -1, 0))])


def scatter_elements(call: Any, x: Array, index: Array, updates: Array) -> Array:
    """Elements replaced along an axis; duplicates are not defined, the last one wins here."""
    out = x.copy()
    np.put_along_axis(out, np.asarray(index, np.int64), updates, axis=int(call.attrs.axis))
    return out


def scatter_nd(call: Any, x: Array, index: Array, updates: Array) -> Array:
    """Slices replaced at index tuples."""
    out = x.copy()
    out[tuple(np.moveaxis(np.asarray(index, np.int64), -1, 0))] = updates
    return out


def pixel_shuffle(call: Any, x: Array) -> Array:
    """(N, C*r*r, H, W) to (N, C, H*r, W*r)."""
    r = int(call.attrs.upscale_factor)
    *lead, c, h, w = x.shape
    parts = x.reshape(*lead, c // r**2, r, r, h, w)
    k = len(lead)
    order = [*range(k + 1), k + 3, k + 1, k + 4, k + 2]
    return parts.transpose(order).reshape(*lead, c // r**2, h * r, w * r)


MOVES: dict[str, Function] = {
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
    "broadcast_to": _broadcast,
    "flip": _flip,
    "tile": _tile,
    "repeat": _repeat,
    "tril": _triangle(np.tril),
    "triu": _triangle(np.triu),
    "stack": _stack,
    "gather_elements": gather_elements,
    "gather_nd": gather_nd,
    "scatter_elements": scatter_elements,
    "scatter_nd": scatter_nd,
    "nn.pixel_shuffle": pixel_shuffle,
}
