"""Rules of convolution and matrix multiplication: the boolean matrix algebra of SparTA, with constants.

Three levels. A small convolution is propagated per element, so that borders (which see fewer taps) are exact. A
large one is propagated per channel: a non-zero constant channel behind zero padding is not uniform and counts as
unknown. A matrix product with a constant matrix is exact on its broadcast rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, Values, any_of
from tvm_aie.tesa.evaluate import pads_of, windows
from tvm_aie.tesa.facts import BIG, ELEMENT_LIMIT, WHOLE, Fact, is_integer, lowest_bit
from tvm_aie.tesa.ir import Array
from tvm_aie.tesa.rules import Node, Operand, Rule, conservative, needs_all, register, unbroadcast
from tvm_aie.tesa.rules_layout import joined

ELEMENT_MACS = 1 << 21
CONSTANT_MACS = 1 << 26  # of a product with a constant matrix
MATRIX_PIECE = 1 << 22
_ROOM = 2.0**-18  # fp32 sums of many terms: how far a bound may be off, relative to the sum of magnitudes


@dataclass(frozen=True)
class Summary:
    """Per (out, in) channel pair of a weight: is any tap non-zero, sums of the positive and the negative taps."""

    nonzero: Mask
    positive: Values
    negative: Values


def summary_of(operand: Operand) -> Summary:
    """The summary of a constant weight (out, in, kh, kw), computed once."""
    if operand.summary is None:
        array = operand.array
        assert array is not None
        taps = array.reshape(*array.shape[:2], -1)
        nonzero = (taps != 0).any(axis=2)
        kind = np.float64 if array.size <= ELEMENT_LIMIT or is_integer(str(array.dtype)) else np.float32
        # taps are few and the values are scaled small integers: these sums are exact in fp32 too
        if taps.shape[2] == 1:
            positive, negative = np.maximum(taps[:, :, 0], 0), np.minimum(taps[:, :, 0], 0)
        else:
            positive = np.maximum(taps, 0).sum(axis=2, dtype=kind)
            negative = np.minimum(taps, 0).sum(axis=2, dtype=kind)
        operand.summary = Summary(nonzero, positive.astype(np.float64), negative.astype(np.float64))
    found: Summary = operand.summary
    return found


@dataclass(frozen=True)
class Window:
    """Geometry of a convolution."""

    groups: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]

    def view(self, array: Array, fill: Any = 0) -> Array:
        """Windows (N, groups, C/groups, Ho, Wo, kh, kw) of a full image."""
        cols = windows(array, self.kernel, self.stride, self.pads, self.dilation, self.out, fill)
        return cols.reshape(cols.shape[0], self.groups, -1, *cols.shape[2:])


def window_of(node: Node) -> Window:
    """Read the attributes of a conv2d."""
    attrs, weight = node.call.attrs, node.operands[1].shape
    stride, dilation = (int(attrs.strides[0]), int(attrs.strides[1])), (int(attrs.dilation[0]), int(attrs.dilation[1]))
    kernel, out = (weight[2], weight[3]), (node.shape[2], node.shape[3])
    return Window(int(attrs.groups), kernel, stride, pads_of(attrs), dilation, out)


def _supported(node: Node) -> bool:
    attrs = node.call.attrs
    layouts = (str(attrs.data_layout), str(attrs.kernel_layout)) == ("NCHW", "OIHW")
    layouts = layouts and str(attrs.out_layout) in ("", "NCHW")
    return layouts and node.operands[1].is_constant and not node.operands[0].is_constant and finite(node)


def finite(node: Node) -> bool:
    """True when no factor is an infinite constant: zero times infinity is no zero."""
    weight = node.operands[1]
    if weight.is_constant:
        if weight.finite is None:
            weight.finite = is_integer(weight.dtype) or bool(np.isfinite(np.asarray(weight.array)).all())
        if not weight.finite:
            return False
    facts = [o.fact for o in node.operands if not o.is_constant]
    return not any((f.known & np.isinf(f.value)).any() for f in facts)


def per_element(node: Node) -> bool:
    """True when the convolution is small enough to be propagated element by element."""
    weight = node.operands[1].shape
    macs = math.prod(node.shape) * math.prod(weight[1:])
    sizes = (math.prod(node.shape), math.prod(node.operands[0].shape))
    return max(sizes) <= ELEMENT_LIMIT and macs <= ELEMENT_MACS


def _grouped(matrix: Array, groups: int) -> Array:
    return matrix.reshape(groups, -1, matrix.shape[1])


def _bound_sides(low: Values, high: Values, room: Values) -> tuple[Values, Values]:
    """Widen bounds; a sum of terms of one sign keeps its sign however it is rounded."""
    lo, hi = low - room, high + room
    return np.where(low >= 0, np.maximum(lo, 0), lo), np.where(high <= 0, np.minimum(hi, 0), hi)


def _conv_channels(node: Node, x: Fact) -> list[Fact]:
    w, s = window_of(node), summary_of(node.operands[1])
    flat = x
    for axis in (3, 2, 0):
        flat = flat.merged(axis) if max(a.shape[axis] for a in flat.arrays()) > 1 else flat
    channels = [np.broadcast_to(a, (1, x.shape[1], 1, 1)).reshape(w.groups, -1) for a in flat.arrays()]
    known, value, exact, lo, hi = channels
    padded = any(w.pads)
    if padded:
        known = known & (value == 0)
        lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)
    nonzero, positive, negative = (_grouped(m, w.groups) for m in (s.nonzero, s.positive, s.negative))

    held = np.where(known, value, 0.0)
    reach = np.minimum(np.maximum(abs(lo), abs(hi)), BIG)

    def through(matrix: Array, *vectors: Array) -> list[Values]:
        columns = np.stack([v.astype(matrix.dtype) for v in vectors], axis=-1)
        found = np.matmul(matrix, columns)
        return [found[..., i].reshape(1, -1, 1, 1) for i in range(len(vectors))]

    unknown, inexact = through(nonzero.astype(np.float32), ~known, known & ~exact)
    up = through(positive, held, abs(held), lo, hi, reach)
    down = through(negative, held, abs(held), lo, hi, reach)
    total, magnitude = up[0] + down[0], up[1] - down[1]
    low, high = up[2] + down[3], up[3] + down[2]
    none = (unknown == 0) & (magnitude < WHOLE)
    sure = none & (inexact == 0)
    if not is_integer(node.dtype) and (magnitude[none] > 0).any():
        array = node.operands[1].array
        assert array is not None
        unit = lowest_bit(array[none.ravel()].astype(np.float64)) + lowest_bit(value[known])
        sure = sure & (magnitude <= math.ldexp(1.0, 24 + unit))
    # backwards asks for the pattern alone: sums of all layers together would be larger than the network
    node.operands[1].summary = replace(s, positive=np.zeros(0), negative=np.zeros(0))
    room = 0.0 if is_integer(node.dtype) else _ROOM * (up[4] - down[4])
    low, high = _bound_sides(np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG), np.asarray(room))
    return [Fact(node.shape, node.dtype, none, np.where(none, total, 0.0), sure, low, high)]


def _conv_elements(node: Node, x: Fact) -> list[Fact]:
    w, full = window_of(node), x.expanded()
    array = node.operands[1].array
    assert array is not None
    kernel = array.astype(np.float64).reshape(w.groups, -1, *array.shape[1:])

    def through(matrix: Values, image: Array) -> Values:
        found: Values = np.einsum("ngihwyx,goiyx->ngohw", w.view(image.astype(np.float64)), matrix, optimize=True)
        return found.reshape(node.shape)

    present = (kernel != 0).astype(np.float64)
    up, down = np.maximum(kernel, 0), np.minimum(kernel, 0)
    none = through(present, ~full.known) == 0
    values = np.where(full.known, full.value, 0.0)
    total, magnitude = through(kernel, values), through(abs(kernel), abs(values))
    none = none & (magnitude < WHOLE)
    sure = none & (through(present, full.known & ~full.exact) == 0)
    if not is_integer(node.dtype):
        sure = sure & (magnitude <= math.ldexp(1.0, 24 + lowest_bit(kernel) + lowest_bit(values)))
    low, high = through(up, full.lo) + through(down, full.hi), through(up, full.hi) + through(down, full.lo)
    room = 0.0 if is_integer(node.dtype) else _ROOM * through(abs(kernel), np.maximum(abs(full.lo), abs(full.hi)))
    low, high = _bound_sides(np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG), np.asarray(room))
    return [Fact(node.shape, node.dtype, none, np.where(none, total, 0.0), sure, low, high)]


def _conv(node: Node) -> Sequence[Fact]:
    if not _supported(node):
        return node.top()
    x = node.operands[0].fact
    out = _conv_elements(node, x) if per_element(node) else _conv_channels(node, x)
    return [out[0].tidy().collapsed()] if is_integer(node.dtype) else out


def _conv_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not _supported(node):
        return conservative.backward(node, outs, live)
    return _element_needs(node, live[0]) if per_element(node) else _channel_needs(node, live[0])


def _channel_needs(node: Node, live: Mask) -> list[Mask]:
    w, s, x = window_of(node), summary_of(node.operands[1]), node.operands[0].fact
    flat = np.broadcast_to(live.any(axis=(0, 2, 3)), node.shape[1:2]).reshape(w.groups, -1)
    zero = x.zero.all(axis=(0, 2, 3))
    zero = np.broadcast_to(zero, x.shape[1:2]).reshape(w.groups, -1)
    reach = np.matmul(flat[:, None, :].astype(np.float32), _grouped(s.nonzero, w.groups).astype(np.float32)) > 0
    weights = flat[:, :, None] & ~zero[:, None, :]
    return [reach.reshape(1, -1, 1, 1), weights.reshape(*s.nonzero.shape, 1, 1)]


def _element_needs(node: Node, live: Mask) -> list[Mask]:
    w, x = window_of(node), node.operands[0].fact
    array = node.operands[1].array
    assert array is not None
    full = np.broadcast_to(live, node.shape).reshape(node.shape[0], w.groups, -1, *node.shape[2:]).astype(np.float64)
    present = (array != 0).astype(np.float64).reshape(w.groups, -1, *array.shape[1:])
    top, left, bottom, right = w.pads
    height, width = x.shape[2:]
    padded = np.zeros((*x.shape[:2], height + top + bottom, width + left + right), np.bool_)
    for dy in range(w.kernel[0]):
        for dx in range(w.kernel[1]):
            hit = np.einsum("ngohw,goi->ngihw", full, present[..., dy, dx]).reshape(x.shape[0], -1, *w.out) > 0
            rows = slice(dy * w.dilation[0], dy * w.dilation[0] + (w.out[0] - 1) * w.stride[0] + 1, w.stride[0])
            cols = slice(dx * w.dilation[1], dx * w.dilation[1] + (w.out[1] - 1) * w.stride[1] + 1, w.stride[1])
            padded[:, :, rows, cols] |= hit
    inside = padded[:, :, top : top + height, left : left + width]
    moving = w.view(np.broadcast_to(~x.zero, x.shape).astype(np.float64))
    weights = np.einsum("ngihwyx,ngohw->goiyx", moving, full, optimize=True) > 0
    return [inside, weights.reshape(array.shape)]


def _pieces(node: Node) -> list[Node]:
    """A product with a large constant matrix, cut into columns so that no temporary is large."""
    width = max(1, MATRIX_PIECE // node.operands[1].shape[0])
    array = node.operands[1].array
    assert array is not None
    cuts = [array[:, i : i + width] for i in range(0, array.shape[1], width)]
    results = [(((*node.shape[:-1], c.shape[1]), node.dtype),) for c in cuts]
    return [
        Node(node.call, node.name, (node.operands[0], Operand.of(c)), r) for c, r in zip(cuts, results, strict=True)
    ]


def _is_large(node: Node) -> bool:
    b = node.operands[1]
    return b.is_constant and len(b.shape) == 2 and math.prod(b.shape) > MATRIX_PIECE and b.shape[1] > 1


def _fitted(node: Node, macs: int) -> tuple[Fact, Fact] | None:
    """Both operands, rows and columns merged until their product is small; None for vectors."""
    a, b = (o.fact for o in node.operands)
    if min(len(a.shape), len(b.shape)) < 2:
        return None

    def lead(fact: Fact) -> int:
        return math.prod(fact.distinct[:-2])

    while max(lead(a), lead(b)) * a.distinct[-2] * a.shape[-1] * b.distinct[-1] > macs:
        choices = [(a.distinct[-2], 0, -2), (b.distinct[-1], 1, -1)]
        choices += [(n, 0, i) for i, n in enumerate(a.distinct[:-2])]
        choices += [(n, 1, i) for i, n in enumerate(b.distinct[:-2])]
        length, side, axis = max(choices)
        if length == 1:
            break
        a, b = (a.merged(axis % len(a.shape)), b) if side == 0 else (a, b.merged(axis % len(b.shape)))
    return a, b


def _matmul(node: Node) -> Sequence[Fact]:
    if not finite(node):
        return node.top()
    if _is_large(node):
        parts = [_matmul(piece)[0] for piece in _pieces(node)]
        columns = zip(*(p.arrays() for p in parts), strict=True)
        shapes = [p.shape for p in parts]
        return [Fact(node.shape, node.dtype, *(joined(c, shapes, len(node.shape) - 1) for c in columns))]
    found = _fitted(node, CONSTANT_MACS if node.operands[1].is_constant else ELEMENT_MACS)
    if found is None:
        return node.top()
    a, b = found
    if node.operands[1].is_constant and len(b.shape) == 2 and b.exact.all():
        return [_matmul_constant(node, a, node.operands[1].array)]
    (ka, va, ea, _, _), (kb, vb, eb, _, _) = (_inner(f, axis) for f, axis in ((a, -1), (b, -2)))
    va, vb = np.where(ka, va, 0.0), np.where(kb, vb, 0.0)
    zero_a, zero_b = ka & (va == 0), kb & (vb == 0)

    def count(left: Array, right: Array) -> Values:
        found: Values = np.matmul(left.astype(np.float64), right.astype(np.float64))
        return found

    # a product is unknown where neither factor is zero and one of them is unknown
    unknown = count(~zero_a, ~zero_b) - count(ka & ~zero_a, kb & ~zero_b)
    total, magnitude = count(va, vb), count(abs(va), abs(vb))
    none = (unknown == 0) & (magnitude < WHOLE)
    sure = none & (count(ka & ~zero_a & ~ea, ~zero_b) + count(~zero_a, kb & ~zero_b & ~eb) == 0)
    sure = sure & (count(zero_a & ~ea, ~zero_b) + count(~zero_a, zero_b & ~eb) == 0)
    if not is_integer(node.dtype) and (magnitude[none] > 0).any():
        sure = sure & (magnitude <= math.ldexp(1.0, 24 + lowest_bit(va) + lowest_bit(vb)))
    low, high = node.top()[0].lo, node.top()[0].hi
    fact = Fact(node.shape, node.dtype, none, np.where(none, total, 0.0), sure, low, high)
    return [fact.tidy().collapsed() if is_integer(node.dtype) else fact]


def _matmul_constant(node: Node, a: Fact, array: Any) -> Fact:
    """A product with a constant matrix: few rows meet a large matrix, so each form of it is made once."""
    known, value, exact, lo, hi = _inner(a, -1)
    value = np.where(known, value, 0.0)
    matrix = array.astype(np.float64)
    size, present = abs(matrix), (matrix != 0).astype(np.float32)
    unknown, inexact = (np.matmul(m.astype(np.float32), present) for m in (~known, known & ~exact))
    total, magnitude = np.matmul(value, matrix), np.matmul(abs(value), size)
    none = (unknown == 0) & (magnitude < WHOLE)
    sure = none & (inexact == 0)
    integer = is_integer(node.dtype)
    room = 0.0 if integer else _ROOM * np.matmul(np.maximum(abs(lo), abs(hi)), size)
    if not integer and (magnitude[none] > 0).any():
        sure = sure & (magnitude <= math.ldexp(1.0, 24 + lowest_bit(value) + lowest_bit(matrix)))
    up = np.maximum(matrix, 0, out=size)
    down = np.minimum(matrix, 0, out=matrix)
    low, high = np.matmul(lo, up) + np.matmul(hi, down), np.matmul(hi, up) + np.matmul(lo, down)
    low, high = _bound_sides(np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG), np.asarray(room))
    fact = Fact(node.shape, node.dtype, none, np.where(none, total, 0.0), sure, low, high)
    return fact.tidy().collapsed() if integer else fact


def _inner(fact: Fact, axis: int) -> tuple[Array, ...]:
    """The arrays of a fact, full along the inner dimension of the product."""
    out = []
    for array in fact.arrays():
        wanted = list(array.shape)
        wanted[axis] = fact.shape[axis]
        out.append(np.broadcast_to(array, wanted))
    return tuple(out)


def _matmul_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not finite(node):
        return needs_all(node, outs, live)
    if _is_large(node):
        full = np.broadcast_to(live[0], [*live[0].shape[:-1], node.shape[-1]])
        ends = np.cumsum([piece.shape[-1] for piece in _pieces(node)])[:-1]
        pairs = zip(_pieces(node), np.split(full, ends, axis=-1), strict=True)
        masks = [_matmul_needs(piece, outs, [part]) for piece, part in pairs]
        return [np.logical_or.reduce([m[0] for m in masks]), np.concatenate([m[1] for m in masks], axis=1)]
    limit = CONSTANT_MACS if node.operands[1].is_constant else ELEMENT_MACS
    found = _fitted(node, limit)
    if found is None:
        return needs_all(node, outs, live)
    a, b = found
    moving_a, moving_b, out = ~_inner(_zeros(a), -1)[0], ~_inner(_zeros(b), -2)[0], live[0]
    for axis, fact in ((-2, a), (-1, b)):
        if fact.distinct[axis] == 1 and out.shape[axis] > 1 and _size(out, moving_a, moving_b) > limit:
            out = any_of(out, axis, True)
    columns = max(out.shape[-1], moving_b.shape[-1])
    rows = max(out.shape[-2], moving_a.shape[-2])
    if (columns > 1 and moving_b.shape[-1] not in (1, columns)) or (rows > 1 and moving_a.shape[-2] not in (1, rows)):
        raise AssertionError("masks of a product do not fit together")
    out = np.broadcast_to(out, [*out.shape[:-2], rows, columns])
    moving_a = np.broadcast_to(moving_a, [*moving_a.shape[:-2], rows, moving_a.shape[-1]])
    moving_b = np.broadcast_to(moving_b, [*moving_b.shape[:-1], columns])
    hot = out.astype(np.float32)  # counts up to 2**24 are exact, and only zero matters
    need_a = np.matmul(hot, np.swapaxes(moving_b, -1, -2).astype(np.float32)) > 0
    if rows == 1:
        need_b = np.swapaxes(moving_a, -1, -2) & out
    else:
        need_b = np.matmul(np.swapaxes(moving_a, -1, -2).astype(np.float32), hot) > 0
    return [unbroadcast(need_a, a.shape), unbroadcast(need_b, b.shape)]


def _size(out: Mask, a: Mask, b: Mask) -> int:
    """Multiplications of the backward rule."""
    lead = math.prod(np.broadcast_shapes(out.shape[:-2], a.shape[:-2], b.shape[:-2]))
    return lead * int(max(out.shape[-2], a.shape[-2]) * a.shape[-1] * max(out.shape[-1], b.shape[-1]))


def _zeros(fact: Fact) -> Fact:
    """A fact whose ``known`` is the mask of zeros, to reuse ``_inner``."""
    return replace(fact, known=fact.zero)


register(Rule(_conv, _conv_needs), "nn.conv2d")
register(Rule(_matmul, _matmul_needs), "matmul")
