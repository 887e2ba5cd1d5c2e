"""Which channels can go altogether: channels tied by operators live or die together.

A *slot* is one channel of one activation. An operator ties slots (the channels of an add, the features of a
flattened channel, the group of a grouped convolution) or leaves them free (both sides of a dense convolution).
A class of tied slots is removable when no slot of it is needed and none is frozen (network inputs and outputs,
operators that cannot be narrowed).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_aie.tesa.attribute import Mask
from tvm_aie.tesa.evaluate import BINARY, UNARY
from tvm_aie.tesa.evaluate_moves import split_points, strided_slice
from tvm_aie.tesa.ir import is_tensor, op_name, shape_of
from tvm_aie.tesa.layers import Graph, Layer
from tvm_aie.tesa.propagation import Propagation, tensor_arguments

BLOCK = 8
Index = npt.NDArray[np.int64]
SAME = {*UNARY, "nn.leakyrelu", "clip", "astype", "quantize", "dequantize"}
IMAGE = {"nn.max_pool2d", "nn.avg_pool2d", "nn.adaptive_avg_pool2d", "image.resize2d"}
ALIAS = "alias"


def tracked(var: Any) -> bool:
    """True for activations (N, C) and (N, C, H, W)."""
    return is_tensor(var) and len(shape_of(var)) in (2, 4)


class Ties:
    """Classes of tied slots of one function."""

    def __init__(self, result: Propagation, graph: Graph, layers: Sequence[Layer]) -> None:
        """Tie the slots of every operator."""
        self.result, self.graph = result, graph
        self.layers = {layer.use.var: layer for layer in layers}
        self.base: dict[Any, int] = {}
        total = 0
        for var in result.facts:
            if tracked(var):
                self.base[var] = total
                total += shape_of(var)[1]
        self.edges: list[tuple[Index, Index]] = []
        self.frozen = np.zeros(total, np.bool_)
        self.even: list[Any] = []  # tensors whose blocks the core rows should be able to share evenly
        self.opaque: set[Any] = set()  # calls that ties do not see through
        for param in result.func.params:
            self.freeze(param)
        for var in graph.results:
            self.freeze(var)
        for var, value in graph.values.items():
            if not result.constants.is_constant(var):
                self.tie_binding(var, value)
        self.root = self._roots(total)

    def slots(self, var: Any) -> Index:
        """Slot numbers of a variable's channels."""
        return self.base[var] + np.arange(shape_of(var)[1])

    def freeze(self, expr: Any) -> None:
        """Every channel of ``expr`` must stay."""
        if isinstance(expr, relax.Tuple):
            for item in expr.fields:
                self.freeze(item)
        elif expr in self.base:
            self.frozen[self.slots(expr)] = True

    def tie(self, a: Index, b: Index) -> None:
        """Tie slots pairwise."""
        self.edges.append((a.ravel(), b.ravel()))

    def _roots(self, size: int) -> Index:
        """The smallest slot of each class: labels spread along the ties, halving the way in each step."""
        label = np.arange(size)
        if not self.edges:
            return label
        a, b = (np.concatenate(side) for side in zip(*self.edges, strict=True))
        while True:
            low = np.minimum(label[a], label[b])
            new = label.copy()
            for side in (a, b):
                np.minimum.at(new, label[side], low)
                np.minimum.at(new, side, low)
            new = new[new]
            if np.array_equal(new, label):
                return label
            label = new

    def give_up(self, var: Any, value: Any) -> None:
        """An operator that is not narrowed: freeze what it reads and writes."""
        self.opaque.add(var)
        self.freeze(var)
        for used in relax.analysis.free_vars(value) if not isinstance(value, relax.Var) else [value]:
            self.freeze(used)

    def tie_binding(self, var: Any, value: Any) -> None:
        """Tie the slots of one binding."""
        if isinstance(value, relax.Var) and var in self.base and value in self.base:
            self.tie(self.slots(var), self.slots(value))
            return
        if isinstance(value, relax.TupleGetItem) and op_name(self.graph.values.get(value.tuple_value)) == "split":
            if value.tuple_value in self.opaque:  # otherwise tied by the split itself
                self.freeze(var)
            return
        name = op_name(value)
        if name == "split":
            handled = self.tie_split(var, value)
        else:
            handled = bool(name) and var in self.base and self.tie_call(var, value, name)
        if not handled:
            self.give_up(var, value)

    def tie_call(self, var: Any, value: Any, name: str) -> bool:
        """Tie one call; False when it must stay as it is."""
        if name in ("nn.conv2d", "matmul"):
            return var in self.layers and self.tie_layer(self.layers[var], value)
        source = tensor_arguments(value)[0]
        if name == "concat":
            return self.tie_concat(var, value)
        if name in BINARY:
            return self.tie_binary(var, value)
        if source not in self.base:
            return False
        if name in ("quantize", "dequantize") and not _per_channel(var, value):
            return False
        if name in SAME or (name in IMAGE and str(value.attrs.layout) == "NCHW"):
            self.tie(self.slots(var), self.slots(source))
            return True
        if name in ("mean", "sum", "max", "min"):
            axes = value.attrs.axis
            if axes is None or any(int(a) % len(shape_of(source)) < 2 for a in axes):
                return False
            self.tie(self.slots(var), self.slots(source))
            return True
        if name in ("reshape", "flatten", "nn.batch_flatten", "squeeze", "expand_dims"):
            return self.tie_reshape(var, source)
        if name == "strided_slice":
            moved = strided_slice(value, np.broadcast_to(_channel_index(shape_of(source)), shape_of(source)))
            return self.tie_moved(var, source, moved)
        return False

    def tie_layer(self, layer: Layer, value: Any) -> bool:
        """Groups tie their inputs to their outputs; a dense layer ties nothing."""
        source = value.args[0]
        if source not in self.base:
            return False
        if layer.padded:
            self.even.append(source)
        if layer.groups > 1:
            ins = self.slots(source).reshape(layer.groups, -1)
            outs = self.slots(layer.use.var).reshape(layer.groups, -1)
            first = ins[:, :1]
            for others in (ins, outs):
                self.tie(np.broadcast_to(first, others.shape), others)
        return True

    def tie_concat(self, var: Any, value: Any) -> bool:
        """Along the channels slots follow each other; along other axes parts lie side by side."""
        parts = tensor_arguments(value)
        if not all(p in self.base for p in parts):
            return False
        axis = int(value.attrs.axis or 0) % len(shape_of(var))
        if axis == 0:
            return False
        if axis == 1:
            self.tie(self.slots(var), np.concatenate([self.slots(p) for p in parts]))
        else:
            for part in parts:
                self.tie(self.slots(var), self.slots(part))
        return True

    def tie_binary(self, var: Any, value: Any) -> bool:
        """Both operands have the channels of the result, or are constants that are sliced."""
        channels, rank = shape_of(var)[1], len(shape_of(var))
        for arg in value.args:
            shape = shape_of(arg)
            if self.result.constants.is_constant(arg):
                if len(shape) > rank:
                    return False
                continue
            if arg not in self.base or len(shape) != rank or shape[1] != channels:
                return False
        operands = [a for a in value.args if not self.result.constants.is_constant(a)]
        for arg in operands:
            self.tie(self.slots(var), self.slots(arg))
        if len(operands) == 2:
            self.even.append(var)
        return True

    def tie_split(self, var: Any, value: Any) -> bool:
        """Sections of the channels."""
        source = value.args[0]
        items = {int(v.index): u for u in self.graph.users.get(var, [])
                 if isinstance(v := self.graph.values[u], relax.TupleGetItem)}  # fmt: skip
        if source not in self.base or len(items) != len(self.graph.users.get(var, [])) or var in self.graph.results:
            return False
        axis = int(value.attrs.axis) % len(shape_of(source))
        if axis != 1 or not all(u in self.base for u in items.values()):
            return False
        cuts = np.split(self.slots(source), split_points(value, shape_of(source)[1]))
        for index, user in items.items():
            self.tie(self.slots(user), cuts[index])
        return True

    def tie_reshape(self, var: Any, source: Any) -> bool:
        """A reshape under which each channel's elements stay elements of one set of channels."""
        before, after = shape_of(source), shape_of(var)
        if before[0] != after[0]:
            return False
        return self.tie_moved(var, source, np.broadcast_to(_channel_index(before), before).reshape(after))

    def tie_moved(self, var: Any, source: Any, moved: Index) -> bool:
        """``moved``: for each result element the operand's channel it comes from."""
        rows = np.moveaxis(moved, 1, 0).reshape(shape_of(var)[1], -1)
        if not (rows == rows[:, :1]).all():
            return False
        self.tie(self.slots(var), self.base[source] + rows[:, 0])
        return True


def _per_channel(var: Any, value: Any) -> bool:
    """True when scale and zero point are one number each, or one per channel."""
    single = all(math.prod(shape_of(a)) == 1 for a in value.args[1:3])
    return single or int(value.attrs.axis) % len(shape_of(var)) == 1


def _channel_index(shape: tuple[int, ...]) -> Index:
    return np.arange(shape[1]).reshape([-1 if a == 1 else 1 for a in range(len(shape))])


def channel_need(result: Propagation, var: Any) -> Mask:
    """Which channels of an activation are needed anywhere."""
    shape, need = shape_of(var), result.need(var)
    axes = tuple(a for a in range(len(shape)) if a != 1)
    return np.broadcast_to(need.any(axis=axes), (shape[1],))


@dataclass(frozen=True)
class Removal:
    """Channels to keep by variable (absent: all of them); an empty list means that the variable goes."""

    keep: dict[Any, Index] = field(repr=False)

    @property
    def channels(self) -> int:
        """Channels removed, tied ones counted each."""
        return sum(shape_of(v)[1] - len(k) for v, k in self.keep.items())


def choose_removal(ties: Ties, rows: int) -> Removal:
    """Removable classes. ``rows`` 0: single channels. Otherwise a layer's outputs go in whole blocks of 8, so that
    Gamma stays aligned, and what stays of a tensor in a residual add or in front of a padded convolution is a
    multiple of ``rows`` blocks: the array shares a residual out evenly over its core rows or else runs the add on
    its own (plan/fuse.py); in front of 3x3 convolutions an uneven share cost 4 % of ResNet-50's emulated time.
    """
    result, size = ties.result, len(ties.root)
    blocked = np.zeros(size, np.bool_)
    np.logical_or.at(blocked, ties.root, ties.frozen)
    for var in ties.base:
        np.logical_or.at(blocked, ties.root[ties.slots(var)], channel_need(result, var))
    removable, count = ~blocked, -1
    while count != removable.sum():  # both steps only take back
        count = removable.sum()
        if rows:
            _align(ties, removable, rows)
        _keep_some(ties, removable, BLOCK * rows or 1)
    keep = {}
    for var in ties.base:
        gone = removable[ties.root[ties.slots(var)]]
        if gone.any():
            keep[var] = np.flatnonzero(~gone)
    return Removal(keep)


def _align(ties: Ties, removable: Mask, rows: int) -> None:
    """Take back classes until each layer's output loses whole blocks and keeps a multiple of ``rows`` of them."""
    shared = np.zeros(len(ties.root), np.bool_)
    for var in ties.even:
        shared[ties.root[ties.slots(var)]] = True
    changed = True
    while changed:
        changed = False
        for var in ties.layers:
            roots = ties.root[ties.slots(var)]
            share = rows if shared[roots].any() else 1
            blocks = [roots[start : start + BLOCK] for start in range(0, len(roots), BLOCK)]
            gone = [i for i, block in enumerate(blocks) if removable[block].all()]
            extra = -(len(blocks) - len(gone)) % share
            stay = [b for i, b in enumerate(blocks) if i not in gone] + [blocks[i] for i in gone[-extra:] if extra]
            for block in stay:
                if removable[block].any():
                    removable[block] = False
                    changed = True


def _keep_some(ties: Ties, removable: Mask, least: int) -> None:
    """A tensor goes altogether only where its readers can do without it; otherwise its first channels stay."""
    changed = True
    while changed:
        changed = False
        for var in ties.base:
            roots = ties.root[ties.slots(var)]
            if not removable[roots].all() or _may_vanish(ties, var, removable):
                continue
            removable[roots[:least]] = False
            changed = True


def _may_vanish(ties: Ties, var: Any, removable: Mask) -> bool:
    """Every reader is itself gone, or joins the tensor to others that stay."""
    for user in ties.graph.users.get(var, []):
        if user in ties.base:
            gone = removable[ties.root[ties.slots(user)]]
            joins = op_name(ties.graph.values[user]) == "concat"
            if not (gone.all() or joins):
                return False
        elif op_name(ties.graph.values[user]) == "split":
            continue  # its items are the readers
        else:
            return False
    return var not in ties.graph.results


def live_work(layers: Sequence[Layer], removal: Removal) -> int:
    """Live 8x8 blocks times taps and pixels after a removal: what the array would compute."""
    total = 0
    for layer in layers:
        matrix, source = layer.matrix(), layer.call.args[0]
        outs = removal.keep.get(layer.use.var)
        ins = removal.keep.get(source)
        taps = math.prod(layer.weight.values.shape[2:]) if layer.is_conv else 1
        if outs is not None:
            matrix = matrix[outs]
        if ins is not None and layer.groups == 1:
            matrix = matrix[:, ins]
        if not matrix.size:
            continue
        rows = np.logical_or.reduceat(matrix, np.arange(0, matrix.shape[0], BLOCK), axis=0)
        blocks = np.logical_or.reduceat(rows, np.arange(0, matrix.shape[1], BLOCK), axis=1)
        total += int(blocks.sum()) * taps * layer.pixels
    return total
