"""Rules of pooling and of nearest-neighbour resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tvm_aie.tesa.attribute import Mask, Values, all_of, any_of
from tvm_aie.tesa.evaluate import can_evaluate, pool_counts, pool_geometry, windows
from tvm_aie.tesa.facts import BIG, ELEMENT_LIMIT, Fact, is_integer, lowest_bit
from tvm_aie.tesa.ir import Array
from tvm_aie.tesa.rules import RULES, Node, Rule, conservative, needs_all, register
from tvm_aie.tesa.rules_layout import index_map

_ROOM = 2.0**-18


def _is_image(node: Node) -> bool:
    return len(node.shape) == 4 and str(node.call.attrs.layout) == "NCHW"


def _uniform(fact: Fact) -> bool:
    """True when the fact says the same of every pixel of a channel."""
    return all(a.shape[2:] == (1, 1) for a in fact.arrays())


def _per_channel(fact: Fact) -> Fact:
    for axis in (2, 3):
        fact = fact.merged(axis)
    return fact


def _small(node: Node) -> bool:
    return max(math.prod(node.shape), math.prod(node.operands[0].shape)) <= ELEMENT_LIMIT


def _pool_windows(node: Node, image: Array, fill: float) -> Array:
    kernel, stride, pads, dilation = pool_geometry(node.call)
    out = (node.shape[2], node.shape[3])
    return windows(image, kernel, stride, pads, dilation, out, fill)


def _max_pool(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    if not _is_image(node):
        return node.top()
    if _uniform(x) or not _small(node):  # taps outside the image never win
        x = _per_channel(x)
        return [Fact(node.shape, node.dtype, *x.arrays())]
    full = x.expanded()
    known = all_of(_pool_windows(node, full.known, True), (4, 5))
    exact = all_of(_pool_windows(node, full.exact, True), (4, 5))
    value, lo, hi = (_pool_windows(node, a, -2 * BIG).max(axis=(4, 5)) for a in (full.value, full.lo, full.hi))
    return [Fact(node.shape, node.dtype, known, np.where(known, value, 0.0), exact, lo, hi).collapsed()]


def _cut_by_border(node: Node) -> bool:
    """True when a window of an average pool mixes padding (counted as zero) with the image."""
    _, _, pads, _ = pool_geometry(node.call)
    return bool(node.call.attrs.count_include_pad) and any(pads)


def _avg_pool(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    if not _is_image(node) or is_integer(node.dtype):
        return node.top()
    counts = pool_counts(node.call)
    if _uniform(x) or not _small(node):
        return [_avg_uniform(node, _per_channel(x), float(counts.max()), _cut_by_border(node))]
    full = x.expanded()

    def mean(array: Values) -> Values:
        found: Values = _pool_windows(node, array, 0.0).sum(axis=(4, 5)) / counts
        return found

    known = all_of(_pool_windows(node, full.known, True), (4, 5))
    exact = all_of(_pool_windows(node, full.exact & full.zero, True), (4, 5))
    room = _ROOM * mean(np.maximum(abs(full.lo), abs(full.hi)))
    lo, hi = mean(full.lo), mean(full.hi)
    lo, hi = np.where(lo == 0, lo, lo - room), np.where(hi == 0, hi, hi + room)
    value = mean(np.where(full.known, full.value, 0.0))
    return [Fact(node.shape, node.dtype, known, np.where(known, value, 0.0), exact, lo, hi)]


def _avg_uniform(node: Node, x: Fact, count: float, mixes: bool) -> Fact:
    """The mean of n equal values is that value, exactly if n of them add up without rounding.

    ``mixes``: some window takes padding for zeros.
    """
    known = x.zero if mixes else x.known
    lo, hi = (np.minimum(x.lo, 0), np.maximum(x.hi, 0)) if mixes else (x.lo, x.hi)
    limit = math.ldexp(1.0, 24 + lowest_bit(x.constants))
    exact = x.exact & known & (abs(x.value) * count <= limit)
    room = _ROOM * np.maximum(abs(lo), abs(hi))
    lo, hi = np.where(lo == 0, lo, lo - room), np.where(hi == 0, hi, hi + room)
    return Fact(node.shape, node.dtype, known, np.where(known, x.value, 0.0), exact, lo, hi)


def _pool_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not _is_image(node):
        return needs_all(node, outs, live)
    shape = node.operands[0].shape
    if live[0].shape[2:] == (1, 1) or not _small(node):
        return [any_of(live[0], (2, 3), True)]
    kernel, stride, (top, left, bottom, right), dilation = pool_geometry(node.call)
    full = np.broadcast_to(live[0], node.shape)
    padded = np.zeros((*shape[:2], shape[2] + top + bottom, shape[3] + left + right), np.bool_)
    for dy in range(kernel[0]):
        for dx in range(kernel[1]):
            rows = slice(dy * dilation[0], dy * dilation[0] + (node.shape[2] - 1) * stride[0] + 1, stride[0])
            cols = slice(dx * dilation[1], dx * dilation[1] + (node.shape[3] - 1) * stride[1] + 1, stride[1])
            padded[:, :, rows, cols] |= full
    return [padded[:, :, top : top + shape[2], left : left + shape[3]]]


def _adaptive(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    if not _is_image(node):
        return node.top()
    cell = math.prod(-(-a // b) + 1 for a, b in zip(x.shape[2:], node.shape[2:], strict=True))
    x = _per_channel(x)
    limit = math.ldexp(1.0, 24 + lowest_bit(x.constants))
    room = _ROOM * np.maximum(abs(x.lo), abs(x.hi))
    lo, hi = np.where(x.lo == 0, x.lo, x.lo - room), np.where(x.hi == 0, x.hi, x.hi + room)
    return [Fact(node.shape, node.dtype, x.known, x.value, x.exact & (abs(x.value) * cell <= limit), lo, hi)]


def _adaptive_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not _is_image(node):
        return needs_all(node, outs, live)
    return [any_of(live[0], (2, 3), True)]


def _resize(node: Node) -> Sequence[Fact]:
    x = node.operands[0].fact
    if not _is_image(node) or "crop" in str(node.call.attrs.coordinate_transformation_mode):
        return node.top()
    if str(node.call.attrs.method) != "nearest_neighbor":
        return [_interpolated(node, _per_channel(x))]
    if _uniform(x):
        return [Fact(node.shape, node.dtype, *x.arrays())]
    if not can_evaluate(node.call):
        return node.top()
    return [Fact(node.shape, node.dtype, *_per_channel(x).arrays())] if not _small(node) else _moved(node)


def _interpolated(node: Node, x: Fact) -> Fact:
    """Weights add up to one: zero stays zero, another constant to the last bits. Cubic ones overshoot the bounds."""
    if is_integer(node.dtype):
        return node.top()[0]
    top, linear = node.top()[0], str(node.call.attrs.method) == "linear"
    room = _ROOM * np.maximum(abs(x.lo), abs(x.hi))
    lo, hi = (x.lo - room, x.hi + room) if linear else (top.lo, top.hi)
    return Fact(node.shape, node.dtype, x.known & np.isfinite(x.value), x.value, x.zero, lo, hi)


def _moved(node: Node) -> Sequence[Fact]:
    return RULES["broadcast_to"].forward(node)


def _resize_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not _is_image(node) or "crop" in str(node.call.attrs.coordinate_transformation_mode):
        return conservative.backward(node, outs, live)
    if live[0].shape[2:] == (1, 1) or not _small(node) or not can_evaluate(node.call):
        return [any_of(live[0], (2, 3), True)]
    mask = np.zeros(math.prod(node.operands[0].shape), np.bool_)
    mask[index_map(node)[np.broadcast_to(live[0], node.shape)]] = True
    return [mask.reshape(node.operands[0].shape)]


def _flat_pool(node: Node) -> list[Fact]:
    """Pools over one or three dimensions: what holds for a whole channel holds for every window of it."""
    x = node.operands[0].fact
    if str(node.call.attrs.layout)[:2] != "NC" or (is_integer(node.dtype) and "avg" in node.name):
        return node.top()
    for axis in range(2, len(x.shape)):
        x = x.merged(axis)
    if "max" in node.name:
        return [Fact(node.shape, node.dtype, *x.arrays())]
    attrs = node.call.attrs  # adaptive pools pad nothing
    size = math.prod(int(n) for n in getattr(attrs, "pool_size", [])) or math.prod(node.operands[0].shape[2:])
    mixes = any(int(p) for p in getattr(attrs, "padding", []))
    fact = _avg_uniform(node, x, float(size), mixes)
    return [fact]


def _flat_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if str(node.call.attrs.layout)[:2] != "NC":
        return needs_all(node, outs, live)
    return [any_of(live[0], tuple(range(2, live[0].ndim)), True)]


register(Rule(_max_pool, _pool_needs), "nn.max_pool2d")
register(Rule(_avg_pool, _pool_needs), "nn.avg_pool2d")
register(Rule(_adaptive, _adaptive_needs), "nn.adaptive_avg_pool2d")
register(Rule(_resize, _resize_needs), "image.resize2d")
register(Rule(_flat_pool, _flat_needs), *(f"nn.{kind}{n}d" for n in (1, 3)
                                          for kind in ("max_pool", "avg_pool", "adaptive_avg_pool")))  # fmt: skip
