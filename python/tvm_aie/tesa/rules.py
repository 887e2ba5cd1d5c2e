"""The registry of propagation rules, and what a rule sees of a call.

``forward`` gives the facts of the results from those of the operands. ``backward`` gives, for each operand, which
of its elements can change a live element of a result. Both are sound for every value of what is not known; an
operator without a rule gets ``conservative`` (or scrambling, where the caller asks for it: ``scramble.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, any_of
from tvm_aie.tesa.facts import Fact, Shape
from tvm_aie.tesa.ir import Array

KEEP_ELEMENTS = 1 << 16  # larger constants are computed again when a rule asks for them


class Operand:
    """A tensor operand: a fact, or a constant that ``load`` computes."""

    _last: tuple[Operand, Array] | None = None  # the last large constant: one rule asks for it several times

    def __init__(self, shape: Shape, dtype: str, fact: Fact | None = None, load: Callable[[], Array] | None = None):
        """Give one of ``fact`` and ``load``."""
        self.shape, self.dtype = shape, dtype
        self._fact, self._load = fact, load
        self._array: Array | None = None
        self.summary: Any = None  # what a rule wants to remember of a constant
        self.finite: bool | None = None  # of a constant: no infinity, no NaN; None: not looked at yet

    @staticmethod
    def forget() -> None:
        """Let the last large constant go."""
        Operand._last = None

    @staticmethod
    def of(source: Fact | Array) -> Operand:
        """An operand for a fact or an array at hand."""
        if isinstance(source, Fact):
            return Operand(source.shape, source.dtype, source)
        return Operand(source.shape, str(source.dtype), load=lambda: source)

    @property
    def is_constant(self) -> bool:
        """True when ``array`` is not None."""
        return self._load is not None

    @property
    def array(self) -> Array | None:
        """The value of a constant operand."""
        if self._array is not None or self._load is None:
            return self._array
        if Operand._last is not None and Operand._last[0] is self:
            return Operand._last[1]
        array = self._load()
        if array.size <= KEEP_ELEMENTS:
            self._array = array
        else:
            Operand._last = (self, array)
        return array

    @cached_property
    def fact(self) -> Fact:
        """The fact; of a constant: everything is known."""
        if self._fact is not None:
            return self._fact
        array = self.array
        assert array is not None
        return Fact.constant(array)


@dataclass(frozen=True)
class Node:
    """One call: its operator, its tensor operands in order (a tuple's fields in its place), its results."""

    call: Any
    name: str
    operands: tuple[Operand, ...]
    results: tuple[tuple[Shape, str], ...]

    @property
    def shape(self) -> Shape:
        """Shape of the (first) result."""
        return self.results[0][0]

    @property
    def dtype(self) -> str:
        """Element type of the (first) result."""
        return self.results[0][1]

    def top(self) -> list[Fact]:
        """Nothing is known of the results."""
        return [Fact.top(shape, dtype) for shape, dtype in self.results]


@dataclass(frozen=True)
class Rule:
    """Forward and backward propagation of one operator."""

    forward: Callable[[Node], Sequence[Fact]]
    backward: Callable[[Node, Sequence[Fact], Sequence[Mask]], Sequence[Mask]]


RULES: dict[str, Rule] = {}


def register(rule: Rule, *names: str) -> None:
    """Make ``rule`` the rule of the operators ``names`` (without ``relax.``)."""
    for name in names:
        RULES[name] = rule


def everything(shape: Shape, needed: bool) -> Mask:
    """A mask that says the same of every element."""
    return np.full((1,) * len(shape), needed, np.bool_)


def needs_all(node: Node, _outs: Sequence[Fact], live: Sequence[Mask]) -> list[Mask]:
    """Every element of every operand, if any element of a result is live."""
    any_live = any(bool(mask.any()) for mask in live)
    return [everything(operand.shape, any_live) for operand in node.operands]


def _nothing(node: Node) -> list[Fact]:
    return node.top()


conservative = Rule(_nothing, needs_all)


# Operators that front ends write and that have no closed rule, with the reason. Nothing of their results is known and
# every element of their operands is needed, unless the caller gives another fallback (``scramble.automatic``).
CONSERVATIVE = {
    "call_tir": "a loop nest: what it reads is not looked at",
    "einsum": "any product of any operands; importers write the common ones as matmul",
    "one_hot": "the position of a one depends on a computed index",
    "nonzero": "the shape of the result depends on the data",
    "unique": "the shape of the result depends on the data",
    "dynamic_strided_slice": "the bounds are computed",
    "nn.dropout": "random where it is not removed; the importer of a trained network removes it",
    "image.grid_sample": "which elements are read is computed",
    "image.affine_grid": "an image of coordinates, no activation",
    "image.resize3d": "not met in networks so far",
    "vision.all_class_non_max_suppression": "which elements are read is computed",
    "vision.roi_align": "which elements are read is computed",
    "vision.roi_pool": "which elements are read is computed",
    # written by the PyTorch importer alone
    "outer": "a product of vectors that no network so far computes",
    "slice_scatter": "an assignment to a slice, not met in networks so far",
    "index_tensor": "which elements are read is computed",
    "index_put": "which elements are overwritten is computed",
    "bucketize": "a search among computed boundaries",
    "meshgrid": "a grid of coordinates, no activation",
    "nn.nll_loss": "the loss of a training step",
}
# Operators that tensors do not flow through: of no operand, or about shapes.
STRUCTURAL = {"zeros", "ones", "full", "arange", "eye", "eye_like", "hamming_window", "shape_of", "size",
              "shape_to_tensor", "tensor_to_shape", "assert_op", "null_value"}  # fmt: skip


def unbroadcast(mask: Mask, shape: Shape) -> Mask:
    """What a mask over a broadcast result says about an operand of ``shape``."""
    extra = mask.ndim - len(shape)
    if extra:
        mask = any_of(mask, tuple(range(extra)))
    for axis, length in enumerate(shape):
        if length == 1 and mask.shape[axis] > 1:
            mask = any_of(mask, axis, True)
    return mask


def load() -> dict[str, Rule]:
    """The registry with all rules in it."""
    from importlib import import_module

    for module in ("rules_elementwise", "rules_layout", "rules_rows", "rules_linear", "rules_convnd", "rules_window"):
        import_module(f"tvm_aie.tesa.{module}")
    return RULES
