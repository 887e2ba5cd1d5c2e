"""Rules of operators that mix whole rows: normalisation, softmax, attention, reductions, scans, sorting."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, Values, all_of, any_of
from tvm_aie.tesa.evaluate import along, can_evaluate, evaluate
from tvm_aie.tesa.facts import BIG, Fact, is_integer, lowest_bit
from tvm_aie.tesa.rules import Node, Rule, everything, needs_all, register

_UNDERFLOW = 200.0  # exp(-200) is zero in fp32; onnxruntime gives exactly 0 there, and 1e-45 at -100


# ------------------------------------------------------------------------------------------- normalisation
def _trains(node: Node) -> bool:
    return bool(getattr(node.call.attrs, "training", False))


def _batch_norm(node: Node) -> list[Fact]:
    rank, axis = len(node.shape), int(node.call.attrs.axis)
    x, parameters = node.operands[0].fact, [o.array for o in node.operands[1:5]]
    rest = [Fact.top(*r) for r in node.results[1:]]
    if _trains(node) or any(p is None or not np.isfinite(p).all() for p in parameters):
        return [node.top()[0], *rest]
    gamma, beta, mean, var = (along(p.astype(np.float64), rank, axis) for p in parameters if p is not None)
    with np.errstate(all="ignore"):
        slope = gamma / np.sqrt(var + float(node.call.attrs.epsilon))
        at = [(a - mean) * slope + beta for a in (x.value, x.lo, x.hi)]
    if not np.isfinite(slope).all():
        return [node.top()[0], *rest]
    room = 1e-5 * (abs(at[1]) + abs(at[2]) + abs(beta) + abs(mean * slope))
    known = x.known | (gamma == 0)
    lo, hi = np.minimum(at[1], at[2]) - room, np.maximum(at[1], at[2]) + room
    value = np.where(known, np.where(gamma == 0, beta, at[0]), 0.0)
    exact = known & (gamma == 0)  # beta alone
    fact = Fact(node.shape, node.dtype, known, value, exact, np.maximum(lo, -BIG), np.minimum(hi, BIG))
    return [fact, *rest]


def _batch_norm_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    if _trains(node):
        return needs_all(node, outs, live)
    axis, gamma = int(node.call.attrs.axis), node.operands[1].array
    need = live[0]
    if gamma is not None:
        need = need & ~along(gamma == 0, need.ndim, axis)
    per_channel = any_of(live[0], tuple(a for a in range(live[0].ndim) if a != axis % live[0].ndim))
    running = [any_of(mask, 0, True) for mask in live[1:3]]  # the running statistics come back as results
    mean, var = (per_channel | mask for mask in running) if len(running) == 2 else (per_channel, per_channel)
    return [need, per_channel, per_channel, mean, var]


def _normal_axes(node: Node) -> tuple[int, ...]:
    """The axes over which softmax or a normalisation mixes elements."""
    rank, attrs = len(node.shape), node.call.attrs
    axes = (attrs.axis,) if "softmax" in node.name else attrs.axes
    return tuple(int(a) % rank for a in axes)


def _whole(array: Mask, axes: tuple[int, ...], combine: Callable[..., Mask]) -> Mask:
    return combine(array, axis=axes, keepdims=True)


def _affine(node: Node, position: int) -> Values | None:
    """A parameter of a normalisation, ready to broadcast; None when it is no finite constant."""
    array, rank = node.operands[position].array, len(node.shape)
    if array is None or not np.isfinite(array).all():
        return None
    array = array.astype(np.float64)
    if node.name in ("nn.group_norm", "nn.instance_norm"):
        return along(array, rank, int(node.call.attrs.channel_axis))
    return array.reshape((1,) * (rank - array.ndim) + array.shape)


def _plain(node: Node) -> bool:
    """True for the forms of a normalisation that the rules know: scale and shift on, last axes."""
    rank, axes = len(node.shape), _normal_axes(node)
    flags = all(bool(getattr(node.call.attrs, name, True)) for name in ("scale", "center"))
    if node.name in ("nn.layer_norm", "nn.rms_norm"):
        return flags and sorted(axes) == list(range(rank - len(axes), rank))
    return flags and int(node.call.attrs.channel_axis) % rank not in axes


def _rows(node: Node, mask: Mask, combine: Callable[..., Mask]) -> Mask:
    """``combine`` over everything that one element of a normalisation depends on."""
    axes = _normal_axes(node)
    mask = _whole(mask, axes, combine)
    if node.name != "nn.group_norm":
        return mask
    channel, groups = int(node.call.attrs.channel_axis) % len(node.shape), int(node.call.attrs.num_groups)
    if mask.shape[channel] == 1:
        return mask
    width = node.shape[channel] // groups
    parts = mask.reshape(*mask.shape[:channel], groups, width, *mask.shape[channel + 1 :])
    return np.repeat(combine(parts, axis=channel + 1, keepdims=False), width, axis=channel)


def _normal(node: Node) -> list[Fact]:
    """Constant where the whole row is, or where gamma is zero."""
    x = node.operands[0].fact
    gamma = _affine(node, 1)
    beta = np.zeros((1,) * len(node.shape)) if node.name == "nn.rms_norm" else _affine(node, 2)
    if gamma is None or beta is None or not _plain(node):
        return node.top()
    still = gamma == 0
    known, value = np.broadcast_to(still, np.broadcast_shapes(still.shape, (1,) * len(node.shape))), beta
    if node.name == "nn.rms_norm":  # subtracts nothing: zero stays zero
        known = known | x.zero
        still = still | x.zero
    whole = _rows(node, x.known, np.all)
    if whole.any() and can_evaluate(node.call):
        inputs = np.broadcast_to(np.where(x.known, x.value, 0.0), x.shape)
        given = [o.array.astype(np.float64) for o in node.operands[1:] if o.array is not None]
        at = evaluate(node.call, [inputs, *given])
        known, value = known | whole, np.where(still, beta, at)
    known = known & np.isfinite(value)
    exact = known & still & (value == 0)
    return [replace(node.top()[0], known=known, value=np.where(known, value, 0.0), exact=exact)]


def _normal_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    gamma = _affine(node, 1)
    if not _plain(node):
        return needs_all(node, outs, live)
    need = live[0] if gamma is None else live[0] & (gamma != 0)
    everything_affine = [everything(o.shape, bool(live[0].any())) for o in node.operands[1:]]
    return [_rows(node, need, np.any), *everything_affine]


# ------------------------------------------------------------------------------------------- softmax, attention
def _absent(node: Node) -> Mask:
    """Elements of a softmax's operand that weigh nothing: minus infinity, or far below another of the row.

    A masked score is minus infinity (or a very large negative number), so it is gone; a pruned score is 0, which
    weighs exp(0). SparTA's successor copied the mask for both, which is right for the first only.
    """
    x, axes = node.operands[0].fact, _normal_axes(node)
    floor = np.where(x.known, np.maximum(x.value, -BIG), x.lo)  # a bound below of each element; -BIG: none
    ceiling = np.where(x.known, x.value, x.hi)
    best = floor.max(axis=axes, keepdims=True)
    masked = x.known & np.isneginf(x.value)
    others = ~_whole(np.broadcast_to(masked, np.broadcast_shapes(masked.shape, x.shape)), axes, np.all)
    found: Mask = (masked & others) | ((best > -BIG) & (ceiling < best - _UNDERFLOW) & (node.dtype == "float32"))
    return found


def _softmax(node: Node) -> list[Fact]:
    x, axes = node.operands[0].fact, _normal_axes(node)
    out = node.top()[0]
    if node.name != "nn.softmax":
        return [out]
    lo, hi = np.zeros_like(out.lo), np.ones_like(out.hi) * (1 + 2.0**-20)
    gone = _absent(node)
    known, value = gone, np.zeros_like(gone, np.float64)
    whole = _whole(x.known & ~np.isposinf(x.value), axes, np.all)
    if whole.any():
        with np.errstate(all="ignore"):
            at = evaluate(node.call, [np.broadcast_to(x.value, x.shape)])
        known, value = known | (whole & np.isfinite(at)), np.where(gone, 0.0, at)
        lo, hi = (np.where(known & ~gone, np.clip(at + side, 0, 2), edge) for side, edge in ((-1e-5, lo), (1e-5, hi)))
    return [replace(out, known=known, value=np.where(known, value, 0.0), exact=gone, lo=lo, hi=hi)]


def _softmax_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    """The whole row; a masked score too, since another number in its place would weigh something."""
    return [_whole(live[0], _normal_axes(node), np.any)]


def _attention(node: Node) -> list[Fact]:
    """(batch, sequence, head, dim): zero where all values of a head's dimension are zero."""
    values = node.operands[2].fact
    zero = _whole(values.zero & values.exact, (1,), np.all)
    if zero.shape[2] == 1 and node.shape[2] != 1 and values.shape[2] != node.shape[2]:
        return node.top()
    top = node.top()[0]
    return [replace(top, known=zero, exact=zero)]


def _attention_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    """Every score of a head that is looked at; of the values the live dimensions; no product with a zero."""
    q, k = node.operands[0].fact, node.operands[1].fact
    head = _whole(live[0], (1, 3), np.any)
    row = _whole(live[0], (3,), np.any)
    still = [_whole(f.zero, (1,), np.all) for f in (k, q)]
    shared = node.operands[1].shape[2] != node.operands[0].shape[2]
    if shared:  # grouped queries: heads of different number
        return [everything(o.shape, bool(live[0].any())) for o in node.operands]
    value = _whole(live[0], (1,), np.any)
    rest = [everything(o.shape, bool(live[0].any())) for o in node.operands[3:]]
    # of two zeros one must stay so
    return [row & ~still[0], head & ~(still[1] & ~still[0]), value, *rest]


# ------------------------------------------------------------------------------------------- reductions
def _axes(node: Node) -> tuple[int, ...]:
    rank = len(node.operands[0].shape)
    axis = node.call.attrs.axis
    if axis is None:
        return tuple(range(rank))
    return tuple(int(a) % rank for a in (axis if hasattr(axis, "__len__") else [axis]))


def _reduced(node: Node, array: Any, axes: tuple[int, ...]) -> Any:
    """Drop the reduced axes (now of length 1) unless the operator keeps them."""
    if bool(node.call.attrs.keepdims):
        return array
    return array.reshape([d for a, d in enumerate(array.shape) if a not in axes])


def _reduce(node: Node) -> list[Fact]:
    x, axes = node.operands[0].fact, _axes(node)
    count = math.prod(x.shape[a] for a in axes)
    if node.name == "mean" and is_integer(node.dtype):
        return node.top()
    known = all_of(x.known, axes, True)
    full = [np.broadcast_to(a, [x.shape[i] if i in axes else n for i, n in enumerate(a.shape)])
            for a in np.broadcast_arrays(*x.arrays())]  # fmt: skip
    function: Callable[..., Values] = {"max": np.max, "min": np.min}.get(node.name, np.sum)
    over = count if node.name == "mean" else 1  # divided, as the libraries do: times 1 / count is another number
    value, lo, hi = (function(full[i], axis=axes, keepdims=True) / over for i in (1, 3, 4))
    exact = all_of(full[2], axes, True)
    if function is np.sum:
        magnitude = abs(np.where(full[0], full[1], 0.0)).sum(axis=axes, keepdims=True)
        if is_integer(node.dtype):
            known = known & (magnitude < 2.0**53)
        else:
            unit = lowest_bit(x.constants)
            exact = exact & (magnitude <= math.ldexp(1.0, min(1000, 24 + unit)))
            if node.name == "mean":  # dividing a multiple of the count is exact; anything else rounds
                exact = exact & (full[1].max(axis=axes, keepdims=True) == full[1].min(axis=axes, keepdims=True))
            room = 1e-5 * np.maximum(abs(full[3]), abs(full[4])).sum(axis=axes, keepdims=True) / over
            lo, hi = np.where(lo != 0, lo - room, lo), np.where(hi != 0, hi + room, hi)
    lo, hi = np.clip(lo, -BIG, BIG), np.clip(hi, -BIG, BIG)
    arrays = [_reduced(node, a, axes) for a in (known, np.where(known, value, 0.0), exact, lo, hi)]
    fact = Fact(node.shape, node.dtype, *arrays)
    return [fact.tidy().collapsed() if function is not np.sum else fact]


def _spread(node: Node, mask: Mask, axes: tuple[int, ...]) -> Mask:
    """A mask over the result of a reduction as one over its operand, broadcastable."""
    if mask.ndim == len(node.operands[0].shape):
        return mask
    return mask.reshape([1 if a in axes else mask.shape[a - sum(r < a for r in axes)]
                         for a in range(len(node.operands[0].shape))])  # fmt: skip


def _reduce_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    return [_spread(node, live[0], _axes(node))]


def _row_value(node: Node) -> list[Fact]:
    """Known, to the last bits, where the whole row is: variance, deviation, product."""
    x, axes = node.operands[0].fact, _axes(node)
    top = node.top()[0]
    known = all_of(x.known, axes, True)
    if not known.any() or not can_evaluate(node.call):
        return node.top()
    with np.errstate(all="ignore"):
        value = np.asarray(evaluate(node.call, [np.broadcast_to(np.where(x.known, x.value, 0.0), x.shape)]), np.float64)
    known = _reduced(node, known, axes) & np.isfinite(value)
    exact = known & (is_integer(node.dtype) and bool((abs(value) < 2.0**31).all()))
    return [replace(top, known=known, value=np.where(known, value, 0.0), exact=exact)]


def _row_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    """The whole row where any element of its result is live; results may be several (values and indices)."""
    axes = _axes(node)
    total: Any = False
    for mask in live:
        spread = _spread(node, mask, axes)
        total = total | any_of(spread, axes, True)
    return [np.asarray(total, np.bool_)]


def _top(node: Node) -> list[Fact]:
    return node.top()


# ------------------------------------------------------------------------------------------- scans
def _cumsum(node: Node) -> list[Fact]:
    """Known as far as everything before it is."""
    if node.call.attrs.axis is None:
        return node.top()
    x, axis = node.operands[0].fact, int(node.call.attrs.axis) % len(node.shape)
    full = [np.broadcast_to(a, [x.shape[i] if i == axis else n for i, n in enumerate(a.shape)])
            for a in np.broadcast_arrays(*x.arrays())]  # fmt: skip
    value = np.where(full[0], full[1], 0.0)

    def scan(array: Any) -> Any:
        return evaluate(node.call, [np.asarray(array, np.float64)])

    unknown, inexact, total, size = scan(~full[0]), scan(full[0] & ~full[2]), scan(value), scan(abs(value))
    known, exact = unknown == 0, inexact == 0
    lo, hi = scan(full[3]), scan(full[4])
    if is_integer(node.dtype):
        known = known & (size < 2.0**53)
    else:
        exact = exact & (size <= math.ldexp(1.0, min(1000, 24 + lowest_bit(x.constants))))
        room = 1e-5 * scan(np.maximum(abs(full[3]), abs(full[4])))
        lo, hi = np.where(lo != 0, lo - room, lo), np.where(hi != 0, hi + room, hi)
    lo, hi = np.clip(lo, -BIG, BIG), np.clip(hi, -BIG, BIG)
    return [Fact(node.shape, node.dtype, known, np.where(known, total, 0.0), exact & known, lo, hi)]


def _scan_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    if node.call.attrs.axis is None:
        return needs_all(node, outs, live)
    axis = int(node.call.attrs.axis) % len(node.shape)
    length = node.shape[axis]
    mask = np.broadcast_to(live[0], [length if i == axis else n for i, n in enumerate(live[0].shape)])
    found = np.flip(np.logical_or.accumulate(np.flip(mask, axis), axis=axis), axis)
    if bool(node.call.attrs.exclusive):
        none = np.zeros_like(np.take(found, [0], axis=axis))
        found = np.concatenate([np.delete(found, 0, axis=axis), none], axis=axis)
    return [found]


register(Rule(_batch_norm, _batch_norm_needs), "nn.batch_norm")
register(Rule(_normal, _normal_needs), "nn.layer_norm", "nn.rms_norm", "nn.group_norm", "nn.instance_norm")
register(Rule(_softmax, _softmax_needs), "nn.softmax", "nn.log_softmax")
register(Rule(_attention, _attention_needs), "nn.attention", "nn.attention_bias")
register(Rule(_reduce, _reduce_needs), "mean", "sum", "max", "min")
register(Rule(_row_value, _row_needs), "variance", "std", "prod")
register(Rule(_top, _row_needs), "argmax", "argmin", "argsort", "sort", "topk", "median")
register(Rule(_cumsum, _scan_needs), "cumsum")
register(Rule(_top, _scan_needs), "cumprod")
