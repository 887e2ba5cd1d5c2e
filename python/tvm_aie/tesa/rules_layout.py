"""Rules of operators that only move elements: the same index map on masks, and its inverse backwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask
from tvm_aie.tesa.evaluate import can_evaluate, evaluate
from tvm_aie.tesa.evaluate_moves import split_points, strided_slice
from tvm_aie.tesa.facts import Fact, Shape
from tvm_aie.tesa.ir import Array
from tvm_aie.tesa.rules import Node, Rule, conservative, everything, register

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


# Operands whose elements are moved, where it is not the first alone; None: all of them.
_MOVED: dict[str, tuple[int, ...] | None] = {"stack": None, "scatter_elements": (0, 2), "scatter_nd": (0, 2)}
# Operators that move by an operand of indices.
_INDEXED = ("take", "gather_elements", "gather_nd", "scatter_elements", "scatter_nd")


def moved_operands(node: Node) -> tuple[int, ...]:
    """Positions of the operands whose elements the result consists of."""
    found = _MOVED.get(node.name, (0,))
    return tuple(range(len(node.operands))) if found is None else found


def is_move(node: Node) -> bool:
    """True when the index map is known: indices are constants in range, a scatter writes no element twice."""
    if node.name == "nn.pad":
        return str(node.call.attrs.pad_mode) == "constant"
    if not can_evaluate(node.call):
        return False
    if node.name not in _INDEXED:
        return True
    index, shape = node.operands[1].array, node.operands[0].shape
    if index is None or (node.name == "take" and node.call.attrs.axis is None and len(shape) != 1):
        return False
    if node.name.endswith("_nd"):
        lengths = np.asarray(shape[: index.shape[-1]])
    else:
        axis = 0 if node.call.attrs.axis is None else int(node.call.attrs.axis)
        lengths = np.asarray(shape[axis])
    if ((index < 0) | (index >= lengths)).any():  # TVM reads beyond the tensor; importers make indices positive
        return False
    if not node.name.startswith("scatter"):
        return True
    written = np.count_nonzero(index_map(node) >= math.prod(shape))
    return bool(written == math.prod(node.operands[2].shape))


def index_map(node: Node) -> Array:
    """For each result element the place of the element it is among all elements of the moved operands in a row;
    -1 where it is new (padding)."""
    moved, start = moved_operands(node), 1
    operands: list[Any] = []
    for position, operand in enumerate(node.operands):
        if position in moved:
            size = math.prod(operand.shape)
            operands.append(np.arange(start, start + size).reshape(operand.shape))
            start += size
        else:
            operands.append(operand.array)
    if node.name == "nn.pad":
        widths = [int(w) for w in node.call.attrs.pad_width]
        return np.pad(operands[0], list(zip(widths[::2], widths[1::2], strict=True))) - 1
    found: Array = evaluate(node.call, operands) - 1
    return found


def _gather(node: Node) -> list[Fact]:
    if not is_move(node):
        return node.top()
    facts, index = [node.operands[p].fact for p in moved_operands(node)], index_map(node)
    outside = index == _OUTSIDE
    fill = float(node.call.attrs.pad_value) if node.name == "nn.pad" else 0.0
    new = (True, fill, True, fill, fill)
    out = []
    for column, value in zip(zip(*(f.arrays() for f in facts), strict=True), new, strict=True):
        flat = [np.broadcast_to(a, f.shape).ravel() for a, f in zip(column, facts, strict=True)]
        moved = np.concatenate(flat)[np.where(outside, 0, index)]
        out.append(np.where(outside, np.asarray(value, moved.dtype), moved))
    return [Fact(node.shape, node.dtype, *out)]


def _scatter(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not is_move(node):
        return conservative.backward(node, outs, live)
    index, moved = index_map(node), moved_operands(node)
    wanted = np.broadcast_to(live[0], node.shape) & (index != _OUTSIDE)
    mask = np.zeros(sum(math.prod(node.operands[p].shape) for p in moved), np.bool_)
    mask[index[wanted]] = True
    ends = np.cumsum([math.prod(node.operands[p].shape) for p in moved])[:-1]
    parts = iter(np.split(mask, ends))
    return [next(parts).reshape(o.shape) if p in moved else everything(o.shape, False)
            for p, o in enumerate(node.operands)]  # fmt: skip


def _filled(node: Node) -> list[Fact]:
    """zeros_like and its relatives: a constant, whatever the operand holds."""
    fill = node.operands[-1].array if node.name == "full_like" else np.zeros(1) + (node.name == "ones_like")
    if fill is None or not np.isfinite(fill).all():
        return node.top()
    ones = (1,) * len(node.shape)
    value, yes = np.full(ones, float(fill.ravel()[0])), np.ones(ones, np.bool_)
    return [Fact(node.shape, node.dtype, yes, value, yes, value, value)]


def _nothing(node: Node, _outs: Sequence[Fact], _live: Sequence[Mask]) -> list[Mask]:
    return [everything(o.shape, False) for o in node.operands]


register(Rule(_reshape, _reshape_needs), "reshape", "flatten", "nn.batch_flatten", "squeeze", "expand_dims")
register(Rule(_permute, _permute_needs), "permute_dims")
register(Rule(_concat, _concat_needs), "concat")
register(Rule(_split, _split_needs), "split")
register(Rule(_slice, _scatter), "strided_slice")
register(Rule(_gather, _scatter), "broadcast_to", "take", "nn.pad", "flip", "tile", "repeat", "tril", "triu", "stack",
         "gather_elements", "gather_nd", "scatter_elements", "scatter_nd", "nn.pixel_shuffle")  # fmt: skip
register(Rule(_filled, _nothing), "zeros_like", "ones_like", "full_like")
