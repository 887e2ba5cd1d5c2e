"""Rules of element-wise operators, comparison, selection and quantisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, Values, any_of
from tvm_aie.tesa.evaluate import BINARY, UNARY, along, evaluate
from tvm_aie.tesa.facts import BIG, Fact, dtype_range, is_integer, rounded
from tvm_aie.tesa.ir import number
from tvm_aie.tesa.rules import Node, Rule, register, unbroadcast

# Rounding of these is prescribed (or there is none); the others may differ in the last bits between libraries.
_EXACT_UNARY = {"nn.relu", "abs", "negative", "round", "floor", "ceil", "square", "sign", "trunc", "isnan", "isinf",
                "isfinite", "logical_not", "bitwise_not"}  # fmt: skip
_STEPS = {"floor", "ceil", "sign", "trunc", "logical_not", "bitwise_not"}
_RISING = {"nn.relu", "sigmoid", "tanh", "exp", "sqrt", "erf", "round", "floor", "ceil", "log", "sign", "trunc", "sinh",
           "atan", "asinh", "nn.selu"}  # fmt: skip
_RANGE = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "erf": (-1.0, 1.0), "exp": (0.0, BIG), "sqrt": (0.0, BIG),
          "cosh": (0.0, BIG), "abs": (0.0, BIG), "square": (0.0, BIG), "sin": (-1.0, 1.0), "cos": (-1.0, 1.0),
          "rsqrt": (0.0, BIG)}  # fmt: skip
_EXACT_BINARY = {"add", "subtract", "multiply", "maximum", "minimum", "left_shift", "right_shift", "bitwise_and",
                 "bitwise_or", "bitwise_xor", "logical_and", "logical_or", "logical_xor"}  # fmt: skip
_COMPARE = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")
_DIVIDE = ("divide", "floor_divide", "floor_mod", "mod")
_ROOM = 2.0**-20  # how far, relatively, a library's elementary function may be from the true value


def _bounds(function: Callable[[Values], Values], lo: Values, hi: Values) -> tuple[Values, Values]:
    with np.errstate(all="ignore"):
        low, high = function(lo), function(hi)
    low, high = np.where(np.isnan(low), -BIG, low), np.where(np.isnan(high), BIG, high)
    return np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG)


def _widened(lo: Values, hi: Values, room: Values | float = 0.0, relative: float = _ROOM) -> tuple[Values, Values]:
    """Bounds with room for rounding. A bound of zero stays: rounding does not change a sign."""
    low = np.where(lo != 0, lo - relative * abs(lo) - room, lo)
    high = np.where(hi != 0, hi + relative * abs(hi) + room, hi)
    return np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG)


def _finite(values: Values) -> Mask:
    found: Mask = np.isfinite(values)
    return found


def _unary(node: Node) -> list[Fact]:
    x, function = node.operands[0].fact, UNARY[node.name]
    given = np.where(x.known, x.value, 0.0)
    if node.name == "bitwise_not":
        given = given.astype(np.int64)
    with np.errstate(all="ignore"):
        value = rounded(np.asarray(function(given), np.float64), node.dtype)
    known = x.known & _finite(value) & (_finite(given) | (node.name in ("nn.relu", "abs", "isinf", "isfinite")))
    lo, hi = np.full_like(x.lo, -BIG), np.full_like(x.hi, BIG)
    if node.name in _RISING and not (node.name == "log" and (x.lo <= 0).any()):
        lo, hi = _bounds(function, x.lo, x.hi)
        if node.name not in _EXACT_UNARY:
            lo, hi = _widened(lo, hi, 1e-6)
    least, most = _RANGE.get(node.name, (-BIG, BIG))
    lo, hi = np.clip(lo, least, most), np.clip(hi, least, most)
    exact = x.exact if node.name in _EXACT_UNARY else np.zeros_like(x.exact)
    if node.name in _STEPS:  # the last bit of a constant decides which step it is on
        known = known & x.exact
    if node.name == "round":  # halves go to even in some libraries, away from zero in others
        exact = exact & (abs(given - np.trunc(given)) != 0.5)
        known, lo, hi = known & exact, np.floor(x.lo), np.ceil(x.hi)
    fact = Fact(x.shape, node.dtype, known, np.where(known, value, 0.0), exact, lo, hi)
    return [fact.collapsed() if node.name == "nn.relu" else fact]


def _bent(node: Node, x: Fact, slope: Values, sure: Mask) -> Fact:
    """x where it is not negative, ``slope`` times x elsewhere."""

    def bend(a: Values) -> Values:
        return np.where(a < 0, a * slope, a)

    low, high = bend(x.lo), bend(x.hi)
    crosses = (x.lo < 0) & (x.hi > 0)
    lo, hi = np.minimum(low, high), np.maximum(low, high)
    lo, hi = np.where(crosses, np.minimum(lo, 0), lo), np.where(crosses, np.maximum(hi, 0), hi)
    lo, hi = _widened(lo, hi)
    positive = x.known & (x.value >= 0)
    known = positive | (x.known & sure)
    # a negative constant is rounded by fp32 but not by the array, which scales the accumulator
    return Fact(node.shape, node.dtype, known, rounded(bend(x.value), node.dtype), x.exact & (x.value >= 0), lo, hi)


def _leaky(node: Node) -> list[Fact]:
    return [_bent(node, node.operands[0].fact, np.asarray(float(node.call.attrs.alpha)), np.asarray(True))]


def _prelu(node: Node) -> list[Fact]:
    slope, rank, axis = node.operands[1].fact, len(node.shape), int(node.call.attrs.axis)
    value, known = (along(np.broadcast_to(a, slope.shape), rank, axis) for a in (slope.value, slope.known))
    out = _bent(node, node.operands[0].fact, value, known)
    if not known.all():
        lo = np.where(known | (node.operands[0].fact.lo >= 0), out.lo, -BIG)
        hi = np.where(known | (node.operands[0].fact.lo >= 0), out.hi, BIG)
        out = Fact(out.shape, out.dtype, out.known, out.value, out.exact, lo, hi)
    return [out]


def _prelu_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    slope, axis = node.operands[1], int(node.call.attrs.axis) % len(node.shape)
    negative = live[0] & (node.operands[0].fact.lo < 0)
    others = tuple(a for a in range(len(node.shape)) if a != axis)
    per_channel = any_of(negative, others)
    shape = per_channel.shape if slope.shape[0] != 1 else (1,)
    return [live[0], per_channel if shape == per_channel.shape else any_of(per_channel, 0, True)]


def _clip(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    low, high = (float(rounded(np.asarray(number(node.call.args[i])), node.dtype)) for i in (1, 2))
    whole = all(abs(v) > BIG or v == round(v) for v in (low, high) if np.isfinite(v))
    if low > high or (is_integer(node.dtype) and not whole):
        return node.top()
    arrays = [np.clip(a, low, high) for a in (x.value, x.lo, x.hi)]
    return [Fact(node.shape, node.dtype, x.known, arrays[0], x.exact, *arrays[1:]).collapsed()]


def _astype(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    if node.dtype == "bool":
        zero, other = x.known & (x.value == 0), ((x.known & x.exact & (x.value != 0)) | (x.lo > 0) | (x.hi < 0))
        lo, hi = np.where(other, 1.0, 0.0), np.where(zero & x.exact, 0.0, 1.0)
        value, sure = (x.value != 0).astype(np.float64), x.known & x.exact
        return [Fact(node.shape, node.dtype, sure, value, sure, lo, hi).collapsed()]
    if is_integer(node.dtype) and not is_integer(x.dtype):  # truncated; out of range is not defined
        least, most = dtype_range(node.dtype)
        inside = (x.lo >= least) & (x.hi <= most)
        known = x.known & x.exact & (x.value >= least) & (x.value <= most)
        lo, hi = np.where(inside, np.trunc(x.lo), least), np.where(inside, np.trunc(x.hi), most)
        return [Fact(node.shape, node.dtype, known, np.trunc(x.value), known, lo, hi)]
    value = rounded(x.value, node.dtype)
    exact = x.exact & (value == x.value)
    lo, hi = (x.lo, x.hi) if is_integer(node.dtype) else _widened(x.lo, x.hi, 0.0, 2.0**-23)
    return [Fact(node.shape, node.dtype, x.known, value, exact, lo, hi)]


def _same_element(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    masks = [unbroadcast(live[0], node.operands[0].shape)]
    return masks + [np.zeros((1,) * len(o.shape), np.bool_) for o in node.operands[1:]]


def _products(a: Fact, b: Fact) -> tuple[Values, Values]:
    with np.errstate(over="ignore"):
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
    if name == "right_shift" and (b.known & b.exact & (b.value >= 0) & (b.value < 63)).all() and is_integer(a.dtype):
        by = np.exp2(b.value)
        return np.floor(a.lo / by), np.floor(a.hi / by)
    full = np.broadcast_shapes(a.lo.shape, b.lo.shape)
    return np.full(full, -BIG), np.full(full, BIG)


def _binary_values(name: str, a: Fact, b: Fact, dtype: str) -> tuple[Values, Mask]:
    """Values of two constants, and where they are worth something."""
    left, right = np.where(a.known, a.value, 0.0), np.where(b.known, b.value, 1.0 if name in _DIVIDE else 0.0)
    valid: Any = True
    if is_integer(a.dtype):
        if name in _DIVIDE:
            valid = right != 0
            right = np.where(valid, right, 1.0)
        if name in ("left_shift", "right_shift"):
            valid = (right >= 0) & (right < 32) & (abs(left) < 2.0**31)
            left, right = np.where(valid, left, 0.0), np.where(valid, right, 0.0)
        if name not in ("add", "subtract", "multiply", "maximum", "minimum"):
            left, right = left.astype(np.int64), right.astype(np.int64)
    with np.errstate(all="ignore"):
        value = rounded(np.asarray(BINARY[name](left, right), np.float64), dtype)
    infinite = np.isinf(left) | np.isinf(right)
    good = np.asarray(valid) & (_finite(value) | (infinite & ~np.isnan(value)))
    return np.where(good, value, 0.0), np.broadcast_to(good, value.shape)


def _binary(node: Node) -> list[Fact]:
    rank, integer = len(node.shape), is_integer(node.dtype)
    a, b = (o.fact.ranked(rank) for o in node.operands)
    value, good = _binary_values(node.name, a, b, node.dtype)
    known, exact = a.known & b.known & good, a.exact & b.exact
    if node.name in ("multiply", "bitwise_and", "logical_and"):
        # zero times what is computed is zero; times an infinite constant it is NaN
        gates = [(x.zero & ~(y.known & np.isinf(y.value)), x.exact) for x, y in ((a, b), (b, a))]
        for gate, sure in gates:
            known, exact = known | gate, exact | (gate & sure)
            value = np.where(gate, 0.0, value)
    if node.name in ("add", "subtract"):  # an infinite constant swallows what is computed, as attention masks do
        for mine, other, sign in ((a, b, 1.0), (b, a, 1.0 if node.name == "add" else -1.0)):
            swallows = mine.known & np.isinf(mine.value) & ~other.known
            known, exact = known | swallows, exact | (swallows & mine.exact)
            value = np.where(swallows, sign * mine.value, value)
    if node.name not in _EXACT_BINARY and not integer:
        exact = exact & False
    lo, hi = _binary_bounds(node.name, a, b)
    lo, hi = np.clip(lo, -BIG, BIG), np.clip(hi, -BIG, BIG)
    if not integer:  # fp32 may round the true bound outwards by one unit
        lo, hi = _widened(lo, hi, 0.0, 2.0**-23)
    fact = Fact(node.shape, node.dtype, known, np.where(known, value, 0.0), exact, lo, hi)
    settles = node.name in ("maximum", "minimum") or integer
    return [fact.tidy().collapsed() if settles else fact]


def _binary_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    rank, masks = len(node.shape), []
    facts = [o.fact.ranked(rank) for o in node.operands]
    gated = node.name in ("multiply", "bitwise_and", "logical_and")
    for mine, operand in enumerate(node.operands):
        need = live[0] & ~facts[1 - mine].zero if gated else live[0]
        masks.append(unbroadcast(need, operand.shape))
    return masks


def _compare(node: Node) -> list[Fact]:
    """Ranges that do not overlap settle a comparison; so do two constants that are exact."""
    rank = len(node.shape)
    a, b = (o.fact.ranked(rank) for o in node.operands)
    if "greater" in node.name:
        a, b = b, a
    name = node.name.replace("greater", "less")
    both = a.known & b.known & a.exact & b.exact & np.isfinite(a.value) & np.isfinite(b.value)
    if name in ("less", "less_equal"):
        yes, no = (a.hi < b.lo, a.lo >= b.hi) if name == "less" else (a.hi <= b.lo, a.lo > b.hi)
    else:
        apart, same = (a.hi < b.lo) | (a.lo > b.hi), both & (a.value == b.value)
        yes, no = (same, apart) if name == "equal" else (apart, same)
    known = yes | no
    lo, hi = yes.astype(np.float64), (~no).astype(np.float64)
    return [Fact(node.shape, node.dtype, known, lo, known, lo, hi)]


def _where(node: Node) -> list[Fact]:
    rank = len(node.shape)
    c, a, b = (o.fact.ranked(rank) for o in node.operands)
    sure = c.known & c.exact
    first, second = sure & (c.value != 0), sure & (c.value == 0)
    same = a.known & b.known & (a.value == b.value)
    known = (first & a.known) | (second & b.known) | (~sure & same)
    value = np.where(second | (~sure & ~a.known), b.value, a.value)
    exact = np.where(first, a.exact, np.where(second, b.exact, a.exact & b.exact))
    lo = np.where(first, a.lo, np.where(second, b.lo, np.minimum(a.lo, b.lo)))
    hi = np.where(first, a.hi, np.where(second, b.hi, np.maximum(a.hi, b.hi)))
    return [Fact(node.shape, node.dtype, known, np.where(known, value, 0.0), exact & known, lo, hi)]


def _where_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    rank = len(node.shape)
    c, a, b = (o.fact.ranked(rank) for o in node.operands)
    sure = c.known & c.exact
    same = a.known & b.known & a.exact & b.exact & (a.value == b.value)
    needs = [live[0] & ~same & ~sure, live[0] & ~(sure & (c.value == 0)), live[0] & ~(sure & (c.value != 0))]
    return [unbroadcast(n, o.shape) for n, o in zip(needs, node.operands, strict=True)]


def _fma(node: Node) -> list[Fact]:
    """a * b + c: nothing but the case of three constants; rounded once or twice."""
    rank = len(node.shape)
    a, b, c = (o.fact.ranked(rank) for o in node.operands)
    known = (a.known & b.known & c.known) & np.isfinite(a.value * b.value + c.value)
    top = node.top()[0]
    return [Fact(node.shape, node.dtype, known, a.value * b.value + c.value, known & False, top.lo, top.hi)]


def _each(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    return [unbroadcast(live[0], o.shape) for o in node.operands]


def _smooth(node: Node) -> list[Fact]:
    """Element-wise, with attributes: softplus."""
    x = node.operands[0].fact
    value = np.asarray(evaluate(node.call, [np.where(x.known, x.value, 0.0)]), np.float64)
    top = node.top()[0]
    return [Fact(node.shape, node.dtype, x.known & _finite(value), value, x.known & False, top.lo * 0, top.hi)]


def _scale_axis(node: Node) -> tuple[Values, Values] | None:
    """Scale and zero point ready to broadcast; None when they are not constants, or no scale at all."""
    scale, zero = node.operands[1].array, node.operands[2].array
    if scale is None or zero is None or not (np.isfinite(scale) & (scale > 0)).all():
        return None
    rank, axis = len(node.shape), int(node.call.attrs.axis)
    return along(scale.astype(np.float64), rank, axis), along(zero.astype(np.float64), rank, axis)


def _quantize(node: Node) -> list[Fact]:
    parameters, x = _scale_axis(node), node.operands[0].fact
    if parameters is None or not is_integer(node.dtype):
        return node.top()
    scale, zero = parameters
    least, most = dtype_range(node.dtype)
    dyadic = np.frexp(scale)[0] == 0.5  # otherwise a library may multiply by the reciprocal
    room = np.where(dyadic, 0.0, _ROOM)
    lo, hi = x.lo - room * abs(x.lo), x.hi + room * abs(x.hi)
    arrays = [np.clip(np.rint(a / scale) + zero, least, most) for a in (x.value, lo, hi)]
    known = np.broadcast_to(x.known, np.broadcast_shapes(x.known.shape, scale.shape))
    exact = x.exact & (dyadic | (x.value == 0))  # otherwise bounds on one level say it
    return [Fact(node.shape, node.dtype, known & exact, arrays[0], exact, *arrays[1:]).collapsed()]


def _dequantize(node: Node) -> list[Fact]:
    parameters, x = _scale_axis(node), node.operands[0].fact
    if parameters is None:
        return node.top()
    scale, zero = parameters
    arrays = [rounded((a - zero) * scale, node.dtype) for a in (x.value, x.lo, x.hi)]
    small = abs(x.value - zero) <= 2.0**24  # larger integers are rounded to fp32 before the product
    lo, hi = _widened(arrays[1], arrays[2], 0.0, 2.0**-22) if not is_small(x.dtype) else (arrays[1], arrays[2])
    return [Fact(node.shape, node.dtype, x.known, arrays[0], x.exact & x.known & small, lo, hi)]


def is_small(dtype: str) -> bool:
    """True for integers that fp32 holds."""
    return dtype_range(dtype)[1] < 2.0**24


register(Rule(_unary, _same_element), *UNARY)
register(Rule(_leaky, _same_element), "nn.leakyrelu")
register(Rule(_prelu, _prelu_needs), "nn.prelu")
register(Rule(_clip, _same_element), "clip")
register(Rule(_astype, _same_element), "astype")
register(Rule(_binary, _binary_needs), *(name for name in BINARY if name not in _COMPARE))
register(Rule(_compare, _each), *_COMPARE)
register(Rule(_where, _where_needs), "where")
register(Rule(_fma, _each), "ewise_fma")
register(Rule(_smooth, _same_element), "nn.softplus")
register(Rule(_quantize, _same_element), "quantize")
register(Rule(_dequantize, _same_element), "dequantize")
