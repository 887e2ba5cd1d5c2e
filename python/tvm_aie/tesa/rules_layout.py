"""Rules of operators that only move elements: the same index map on masks, and its inverse backwards."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tvm_aie.tesa.attribute import Mask
from tvm_aie.tesa.evaluate import evaluate, split_points, strided_slice
from tvm_aie.tesa.facts import Fact, Shape
from tvm_aie.tesa.ir import Array
from tvm_aie.tesa.rules import Node, Rule, conservative, register

_OUTSIDE = -1


def _unit_free(shape: Shape) -> list[int]:
    return [d for d in shape if d != 1]


def _same_order(array: Array, source: Shape, target: Shape) -> Array | None:
    """A reshape that only adds or drops dimensions of length 1, on a broadcast array."""
    if _unit_free(source) != _unit_free(target):
        return None
    lengths = iter([n for n, d in zip(array.shape, source, strict=True) if d != 1])
    return array.reshape([1 if d == 1 else next(lengths) for d in target])


def move(array: Array, source: Shape, target: Shape) -> Array:
    """Reshape a broadcast array."""
    if array.size == 1:
        return array.reshape((1,) * len(target))
    simple = _same_order(array, source, target)
    return np.broadcast_to(array, source).reshape(target) if simple is None else simple


def _reshape(node: Node) -> list[Fact]:
    x = node.operands[0].fact
    return [x.mapped(lambda a: move(a, x.shape, node.shape), node.shape)]


def _reshape_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    return [move(live[0], node.shape, node.operands[0].shape)]


def _permutation(node: Node) -> list[int]:
    axes = node.call.attrs.axes
    rank = len(node.shape)
    return list(range(rank))[::-1] if axes is None else [int(a) % rank for a in axes]


def _permute(node: Node) -> list[Fact]:
    axes = _permutation(node)
    return [node.operands[0].fact.mapped(lambda a: a.transpose(axes), node.shape)]


def _permute_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    return [live[0].transpose(np.argsort(_permutation(node)))]


def joined(arrays: Sequence[Array], shapes: Sequence[Shape], axis: int) -> Array:
    """Concatenate broadcast arrays: full along ``axis``, elsewhere only where one of them is."""
    rank = arrays[0].ndim
    lengths = [max(a.shape[i] for a in arrays) for i in range(rank)]
    parts = []
    for array, shape in zip(arrays, shapes, strict=True):
        wanted = [shape[axis] if i == axis else lengths[i] for i in range(rank)]
        parts.append(np.broadcast_to(array, wanted))
    return np.concatenate(parts, axis=axis)


def _concat(node: Node) -> list[Fact]:
    axis = int(node.call.attrs.axis or 0) % len(node.shape)
    facts = [o.fact for o in node.operands]
    shapes = [f.shape for f in facts]
    columns = zip(*(f.arrays() for f in facts), strict=True)
    return [Fact(node.shape, node.dtype, *(joined(column, shapes, axis) for column in columns))]


def _concat_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    axis = int(node.call.attrs.axis or 0) % len(node.shape)
    if live[0].shape[axis] == 1:
        return [live[0]] * len(node.operands)
    ends = np.cumsum([o.shape[axis] for o in node.operands])[:-1]
    return list(np.split(live[0], ends, axis=axis))


def _split(node: Node) -> list[Fact]:
    x, axis = node.operands[0].fact, int(node.call.attrs.axis)
    points = split_points(node.call, x.shape[axis])
    columns = []
    for array in x.arrays():
        whole = array.shape[axis] == 1
        columns.append([array] * len(node.results) if whole else np.split(array, points, axis=axis))
    return [Fact(*r, *parts) for r, parts in zip(node.results, zip(*columns, strict=True), strict=True)]


def _split_needs(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    return [joined(live, [shape for shape, _ in node.results], int(node.call.attrs.axis) % len(node.shape))]


def _slice(node: Node) -> list[Fact]:
    x = node.operands[0].fact

    def cut(array: Array) -> Array:
        if array.size == 1:
            return array
        wide = [n if a == b else d for n, a, b, d in zip(array.shape, x.shape, node.shape, x.shape, strict=True)]
        return strided_slice(node.call, np.broadcast_to(array, wide))

    return [x.mapped(cut, node.shape)]


def index_map(node: Node) -> Array:
    """For each result element the flat index of the operand element it is, -1 where it is new (padding)."""
    shape = node.operands[0].shape
    if node.name == "nn.pad":
        index = np.arange(1, math.prod(shape) + 1).reshape(shape)
        widths = [int(w) for w in node.call.attrs.pad_width]
        pairs = list(zip(widths[::2], widths[1::2], strict=True))
        return np.pad(index, pairs) - 1
    operands = [np.arange(math.prod(shape)).reshape(shape), *(o.array for o in node.operands[1:])]
    found: Array = evaluate(node.call, operands)
    return found


def _gather(node: Node) -> list[Fact]:
    x, index = node.operands[0].fact, index_map(node)
    outside = index == _OUTSIDE
    fill = float(node.call.attrs.pad_value) if node.name == "nn.pad" else 0.0
    out = []
    for array, new in zip(x.arrays(), (True, fill, True, fill, fill), strict=True):
        moved = np.broadcast_to(array, x.shape).ravel()[np.where(outside, 0, index)]
        out.append(np.where(outside, np.asarray(new, array.dtype), moved))
    return [Fact(node.shape, node.dtype, *out)]


def _scatter(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    shape, index = node.operands[0].shape, index_map(node)
    wanted = np.broadcast_to(live[0], node.shape) & (index != _OUTSIDE)
    mask = np.zeros(math.prod(shape), np.bool_)
    mask[index[wanted]] = True
    rest = [np.zeros((1,) * len(o.shape), np.bool_) for o in node.operands[1:]]
    return [mask.reshape(shape), *rest]


def _take(node: Node) -> list[Fact]:
    return node.top() if node.operands[1].array is None else _gather(node)


def _take_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    whole = node.operands[1].array is None
    return conservative.backward(node, outs, live) if whole else _scatter(node, outs, live)


def _pad(node: Node) -> list[Fact]:
    return _gather(node) if str(node.call.attrs.pad_mode) == "constant" else node.top()


def _pad_needs(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    constant = str(node.call.attrs.pad_mode) == "constant"
    return _scatter(node, outs, live) if constant else conservative.backward(node, outs, live)


register(Rule(_reshape, _reshape_needs), "reshape", "flatten", "nn.batch_flatten", "squeeze", "expand_dims")
register(Rule(_permute, _permute_needs), "permute_dims")
register(Rule(_concat, _concat_needs), "concat")
register(Rule(_split, _split_needs), "split")
register(Rule(_slice, _scatter), "strided_slice")
register(Rule(_gather, _scatter), "broadcast_to")
register(Rule(_take, _take_needs), "take")
register(Rule(_pad, _pad_needs), "nn.pad")
