"""Rules of element-wise operators, quantisation, normalisation, reductions and softmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, Values, all_of, any_of
from tvm_aie.tesa.evaluate import BINARY, UNARY, along, evaluate
from tvm_aie.tesa.facts import BIG, Fact, is_integer, lowest_bit, sums_exactly
from tvm_aie.tesa.ir import number
from tvm_aie.tesa.rules import Node, Rule, needs_all, register, unbroadcast

# Rounding of these is prescribed (or there is none); the others may differ in the last bits between libraries.
_EXACT_UNARY = {"nn.relu", "abs", "negative", "round", "floor", "ceil", "square"}
_RISING = {"nn.relu", "sigmoid", "tanh", "exp", "sqrt", "erf", "round", "floor", "ceil", "log"}


def _single(values: Values, dtype: str) -> Values:
    """Round to the result's type: one correctly rounded operation in fp32 equals float64 rounded once."""
    return values.astype(np.float32).astype(np.float64) if dtype == "float32" else values


def _bounds(function: Callable[[Values], Values], lo: Values, hi: Values) -> tuple[Values, Values]:
    with np.errstate(all="ignore"):
        low, high = function(lo), function(hi)
    low, high = np.where(np.isnan(low), -BIG, low), np.where(np.isnan(high), BIG, high)
    return np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG)


def _unary(node: Node) -> list[Fact]:
    x, function = node.operands[0].fact, UNARY[node.name]
    with np.errstate(all="ignore"):
        value = np.nan_to_num(_single(function(np.where(x.known, x.value, 0.0)), node.dtype))
    lo, hi = np.full_like(x.lo, -BIG), np.full_like(x.hi, BIG)
    if node.name in _RISING:
        lo, hi = _bounds(function, x.lo, x.hi)
    elif node.name in ("abs", "square"):
        lo = np.zeros_like(x.lo)
    exact = x.exact if node.name in _EXACT_UNARY else np.zeros_like(x.exact)
    fact = Fact(x.shape, node.dtype, x.known, value, exact, lo, hi)
    return [fact.collapsed() if node.name == "nn.relu" else fact]


def _leaky(node: Node) -> list[Fact]:
    x, alpha = node.operands[0].fact, float(node.call.attrs.alpha)
    scaled = [np.where(a < 0, a * alpha, a) for a in (x.value, x.lo, x.hi)]
    # a negative constant is rounded by fp32 but not by the array, which scales the accumulator
    return [Fact(x.shape, node.dtype, x.known, _single(scaled[0], node.dtype), x.exact & (x.value >= 0), *scaled[1:])]


def _clip(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    low, high = (number(node.call.args[i]) for i in (1, 2))
    arrays = [np.clip(a, low, high) for a in (x.value, x.lo, x.hi)]
    return [Fact(x.shape, node.dtype, x.known, arrays[0], x.exact, *arrays[1:]).collapsed()]


def _astype(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    if is_integer(node.dtype) and not is_integer(x.dtype):
        return node.top()
    value = _single(x.value, node.dtype)
    exact = x.exact & (value == x.value)
    return [Fact(x.shape, node.dtype, x.known, value, exact, x.lo, x.hi)]


def _same_element(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    masks = [unbroadcast(live[0], node.operands[0].shape)]
    return masks + [np.zeros((1,) * len(o.shape), np.bool_) for o in node.operands[1:]]


def _products(a: Fact, b: Fact) -> tuple[Values, Values]:
    corners = [x * y for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    corners = [np.clip(c, -BIG, BIG) for c in np.broadcast_arrays(*corners)]
    return np.minimum.reduce(corners), np.maximum.reduce(corners)


def _binary_bounds(name: str, a: Fact, b: Fact) -> tuple[Values, Values]:
    if name == "add":
        return a.lo + b.lo, a.hi + b.hi
    if name == "subtract":
        return a.lo - b.hi, a.hi - b.lo
    if name == "multiply":
        return _products(a, b)
    if name in ("maximum", "minimum"):
        return BINARY[name](a.lo, b.lo), BINARY[name](a.hi, b.hi)
    full = np.broadcast_shapes(a.lo.shape, b.lo.shape)
    return np.full(full, -BIG), np.full(full, BIG)


def _binary(node: Node) -> list[Fact]:
    rank = len(node.shape)
    a, b = (o.fact.ranked(rank) for o in node.operands)
    known, exact = a.known & b.known, a.exact & b.exact
    with np.errstate(all="ignore"):
        value = BINARY[node.name](np.where(a.known, a.value, 0.0), np.where(b.known, b.value, 0.0))
        value = np.nan_to_num(_single(value, node.dtype))
    if node.name == "multiply":
        gate = a.zero | b.zero
        known, exact = known | gate, exact | (a.zero & a.exact) | (b.zero & b.exact)
        value = np.where(gate, 0.0, value)
    if node.name not in ("add", "subtract", "multiply", "maximum", "minimum"):
        exact = exact & False
    if node.name == "divide" and is_integer(node.dtype):
        return node.top()
    lo, hi = _binary_bounds(node.name, a, b)
    if not is_integer(node.dtype):  # fp32 may round the true bound outwards by one unit
        room = 2.0**-23
        lo, hi = lo - np.where(lo != 0, room * abs(lo), 0), hi + np.where(hi != 0, room * abs(hi), 0)
        lo, hi = (np.where((abs(v) >= BIG), np.sign(v) * BIG, v) for v in (lo, hi))
    fact = Fact(node.shape, node.dtype, known, value, exact, lo, hi)
    settles = node.name in ("maximum", "minimum") or is_integer(node.dtype)
    return [fact.tidy().collapsed() if settles else fact]


def _binary_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    rank, masks = len(node.shape), []
    facts = [o.fact.ranked(rank) for o in node.operands]
    for mine, operand in enumerate(node.operands):
        need = live[0] & ~facts[1 - mine].zero if node.name == "multiply" else live[0]
        masks.append(unbroadcast(need, operand.shape))
    return masks


def _scale_axis(node: Node) -> tuple[Values, Values] | None:
    """Scale and zero point ready to broadcast; None when they are not constants."""
    scale, zero = node.operands[1].array, node.operands[2].array
    if scale is None or zero is None:
        return None
    rank, axis = len(node.shape), int(node.call.attrs.axis)
    return along(scale.astype(np.float64), rank, axis), along(zero.astype(np.float64), rank, axis)


def _quantize(node: Node) -> list[Fact]:
    parameters, x = _scale_axis(node), node.operands[0].fact
    if parameters is None:
        return node.top()
    scale, zero = parameters
    info = np.iinfo(node.dtype)
    arrays = [np.clip(np.rint(a / scale) + zero, info.min, info.max) for a in (x.value, x.lo, x.hi)]
    dyadic = np.frexp(scale)[0] == 0.5  # otherwise a library may multiply by the reciprocal
    known = np.broadcast_to(x.known, np.broadcast_shapes(x.known.shape, scale.shape))
    exact = x.exact & (dyadic | (x.value == 0))
    return [Fact(node.shape, node.dtype, known, arrays[0], exact, *arrays[1:]).collapsed()]


def _dequantize(node: Node) -> list[Fact]:
    parameters, x = _scale_axis(node), node.operands[0].fact
    if parameters is None:
        return node.top()
    scale, zero = parameters
    arrays = [_single((a - zero) * scale, node.dtype) for a in (x.value, x.lo, x.hi)]
    known = np.broadcast_to(x.known, arrays[0].shape)
    return [Fact(node.shape, node.dtype, known, arrays[0], np.broadcast_to(x.exact, known.shape), *arrays[1:])]


def _batch_norm(node: Node) -> list[Fact]:
    rank, axis = len(node.shape), int(node.call.attrs.axis)
    x, parameters = node.operands[0].fact, [o.array for o in node.operands[1:5]]
    rest = [Fact.top(*r) for r in node.results[1:]]
    if any(p is None for p in parameters):
        return [node.top()[0], *rest]
    gamma, beta, mean, var = (along(p.astype(np.float64), rank, axis) for p in parameters if p is not None)
    slope = gamma / np.sqrt(var + float(node.call.attrs.epsilon))
    at = [(a - mean) * slope + beta for a in (x.value, x.lo, x.hi)]
    room = 1e-5 * (abs(at[1]) + abs(at[2]) + abs(beta) + abs(mean * slope))
    known = x.known | (gamma == 0)
    lo, hi = np.minimum(at[1], at[2]) - room, np.maximum(at[1], at[2]) + room
    value = np.where(known, np.where(gamma == 0, beta, at[0]), 0.0)
    fact = Fact(node.shape, node.dtype, known, value, known & False, lo, hi)
    return [fact, *rest]


def _batch_norm_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    axis, gamma = int(node.call.attrs.axis), node.operands[1].array
    need = live[0]
    if gamma is not None:
        need = need & ~along(gamma == 0, need.ndim, axis)
    per_channel = any_of(live[0], tuple(a for a in range(live[0].ndim) if a != axis % live[0].ndim))
    return [need] + [per_channel] * (len(node.operands) - 1)


def _normal_axes(node: Node) -> tuple[int, ...]:
    """The axes over which softmax or a normalisation mixes elements."""
    rank, attrs = len(node.shape), node.call.attrs
    axes = (attrs.axis,) if "softmax" in node.name else attrs.axes
    return tuple(int(a) % rank for a in axes)


def _whole(array: Mask, axes: tuple[int, ...], combine: Callable[..., Mask]) -> Mask:
    return combine(array, axis=axes, keepdims=True)


def _softmax(node: Node) -> list[Fact]:
    x, axes = node.operands[0].fact, _normal_axes(node)
    known = _whole(x.known, axes, np.all)
    out = node.top()[0]
    if node.name == "nn.softmax":
        out = replace(out, lo=np.zeros_like(out.lo), hi=np.ones_like(out.hi))
    if known.any() and node.name == "nn.softmax":
        value = evaluate(node.call, [np.broadcast_to(x.value, x.shape)])
        out = replace(out, known=np.broadcast_to(known, np.broadcast_shapes(known.shape, value.shape)), value=value)
    return [out]


def _softmax_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    return [_whole(live[0], _normal_axes(node), np.any)]


def _layer_norm(node: Node) -> list[Fact]:
    x, axes = node.operands[0].fact, _normal_axes(node)
    gamma, beta = (o.array for o in node.operands[1:3])
    if gamma is None or beta is None:
        return node.top()
    whole, rank = _whole(x.known, axes, np.all), len(node.shape)
    sides = (1,) * (rank - gamma.ndim) + gamma.shape
    known = whole | (gamma == 0).reshape(sides)
    inputs = np.broadcast_to(np.where(x.known, x.value, 0.0), x.shape)
    value = evaluate(node.call, [inputs, gamma.astype(np.float64), beta.astype(np.float64)])
    value = np.where((gamma == 0).reshape(sides), beta.astype(np.float64).reshape(sides), value)
    return [replace(node.top()[0], known=known, value=np.where(known, value, 0.0))]


def _layer_norm_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    axes, gamma = _normal_axes(node), node.operands[1].array
    need = live[0]
    if gamma is not None:
        need = need & (gamma != 0).reshape((1,) * (need.ndim - gamma.ndim) + gamma.shape)
    rows = np.broadcast_to(live[0], np.broadcast_shapes(live[0].shape, need.shape))
    sides = tuple(a for a in range(live[0].ndim) if a not in axes)
    affine = any_of(rows, sides)
    return [_whole(need, axes, np.any)] + [affine] * (len(node.operands) - 1)


def _axes(node: Node) -> tuple[int, ...]:
    rank = len(node.operands[0].shape)
    axis = node.call.attrs.axis
    return tuple(range(rank)) if axis is None else tuple(int(a) % rank for a in axis)


def _reduced(node: Node, array: Any, axes: tuple[int, ...]) -> Any:
    """Drop the reduced axes (now of length 1) unless the operator keeps them."""
    if bool(node.call.attrs.keepdims):
        return array
    return array.reshape([d for a, d in enumerate(array.shape) if a not in axes])


def _reduce(node: Node) -> list[Fact]:
    x, axes = node.operands[0].fact, _axes(node)
    count = math.prod(x.shape[a] for a in axes)
    known = all_of(x.known, axes, True)
    full = [np.broadcast_to(a, [x.shape[i] if i in axes else n for i, n in enumerate(a.shape)])
            for a in np.broadcast_arrays(*x.arrays())]  # fmt: skip
    function: Callable[..., Values] = {"max": np.max, "min": np.min}.get(node.name, np.sum)
    over = 1 / count if node.name == "mean" else 1.0
    value, lo, hi = (function(full[i], axis=axes, keepdims=True) * over for i in (1, 3, 4))
    exact = all_of(full[2], axes, True)
    if function is np.sum and not is_integer(node.dtype):
        magnitude = float(abs(np.where(full[0], full[1], 0.0)).sum(axis=axes).max(initial=0))
        if not sums_exactly(magnitude, lowest_bit(x.value[x.known])):
            exact = exact & False
        if node.name == "mean":  # dividing a multiple of the count is exact; anything else rounds
            exact = exact & (full[1].max(axis=axes, keepdims=True) == full[1].min(axis=axes, keepdims=True))
        room = 1e-5 * np.maximum(abs(full[3]), abs(full[4])).sum(axis=axes, keepdims=True) * over
        lo, hi = np.where(lo != 0, lo - room, lo), np.where(hi != 0, hi + room, hi)
    if node.name == "mean" and is_integer(node.dtype):
        return node.top()
    arrays = [_reduced(node, a, axes) for a in (known, np.where(known, value, 0.0), exact, lo, hi)]
    return [Fact(node.shape, node.dtype, *arrays)]


def _reduce_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    axes, mask = _axes(node), live[0]
    if not bool(node.call.attrs.keepdims):
        mask = mask.reshape([1 if a in axes else mask.shape[a - sum(r < a for r in axes)]
                             for a in range(len(node.operands[0].shape))])  # fmt: skip
    return [mask]


register(Rule(_unary, _same_element), *UNARY)
register(Rule(_leaky, _same_element), "nn.leakyrelu")
register(Rule(_clip, _same_element), "clip")
register(Rule(_astype, _same_element), "astype")
register(Rule(_binary, _binary_needs), *BINARY)
register(Rule(_quantize, _same_element), "quantize")
register(Rule(_dequantize, _same_element), "dequantize")
register(Rule(_batch_norm, _batch_norm_needs), "nn.batch_norm")
register(Rule(_softmax, _softmax_needs), "nn.softmax", "nn.log_softmax")
register(Rule(_layer_norm, _layer_norm_needs), "nn.layer_norm")
register(Rule(_reduce, _reduce_needs), "mean", "sum", "max", "min")
register(Rule(lambda node: node.top(), needs_all), "variance")
