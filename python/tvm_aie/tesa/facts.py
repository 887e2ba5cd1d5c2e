"""What propagation knows about one tensor: which elements are constants, which values are possible.

All arrays of a ``Fact`` broadcast to the tensor's shape (a dimension of length 1 means "the same everywhere along
it"), so the same rule works per element on a small tensor and per channel on a large one. Bounds beyond ``BIG``
mean "no bound". Values are finite by assumption: NaN and infinity in a network's data are outside the rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.tesa.attribute import Mask, Values, any_of, shrink

BIG = 1e30
ELEMENT_LIMIT = 4096  # above this many elements a fact is kept per channel
FLOAT32_BITS = 24
Shape = tuple[int, ...]


def dtype_range(dtype: str) -> tuple[float, float]:
    """Smallest and largest value of an element type; -BIG and BIG for floats and 64-bit integers."""
    if dtype == "bool":
        return 0.0, 1.0
    if dtype.startswith(("int", "uint")) and not dtype.endswith("64"):
        info = np.iinfo(dtype)
        return float(info.min), float(info.max)
    return -BIG, BIG


def is_integer(dtype: str) -> bool:
    """True for integer and boolean element types."""
    return dtype.startswith(("int", "uint", "bool"))


@dataclass(frozen=True, eq=False)
class Fact:
    """Knowledge of one tensor. ``exact``: the constant is what every implementation computes, to the last bit."""

    shape: Shape
    dtype: str
    known: Mask = field(repr=False)
    value: Values = field(repr=False)
    exact: Mask = field(repr=False)
    lo: Values = field(repr=False)
    hi: Values = field(repr=False)

    @staticmethod
    def top(shape: Shape, dtype: str) -> Fact:
        """Nothing is known beyond the element type."""
        ones = (1,) * len(shape)
        no, zero = np.zeros(ones, np.bool_), np.zeros(ones)
        lo, hi = dtype_range(dtype)
        return Fact(shape, dtype, no, zero, no, np.full(ones, lo), np.full(ones, hi))

    @staticmethod
    def constant(array: npt.NDArray[np.generic]) -> Fact:
        """Every element is known."""
        value = array.astype(np.float64)
        yes = np.ones((1,) * value.ndim, np.bool_)
        return Fact(array.shape, str(array.dtype), yes, value, yes, value, value)

    @property
    def all_known(self) -> bool:
        """True when the whole tensor is a constant."""
        return bool(self.known.all())

    @property
    def zero(self) -> Mask:
        """Elements known to be zero."""
        found: Mask = self.known & (self.value == 0)
        return found

    def arrays(self) -> tuple[Any, ...]:
        """The five arrays in field order."""
        return self.known, self.value, self.exact, self.lo, self.hi

    def mapped(self, function: Callable[..., npt.NDArray[np.generic]], shape: Shape) -> Fact:
        """The fact of a tensor whose elements are elements of this one, moved by ``function``."""
        known, value, exact, lo, hi = (function(a) for a in self.arrays())
        return Fact(shape, self.dtype, known.astype(np.bool_), value.astype(np.float64), exact.astype(np.bool_),
                    lo.astype(np.float64), hi.astype(np.float64))  # fmt: skip

    def expanded(self) -> Fact:
        """All arrays at the full shape."""
        return self.mapped(lambda a: np.broadcast_to(a, self.shape), self.shape)

    def ranked(self, rank: int) -> Fact:
        """Leading dimensions of length 1 up to ``rank``."""
        extra = rank - len(self.shape)
        shape = (1,) * extra + self.shape
        return self.mapped(lambda a: a.reshape((1,) * extra + a.shape), shape) if extra else self

    def collapsed(self) -> Fact:
        """Where only one value is possible the element is known. Sound where bounds are exact."""
        new = (self.lo == self.hi) & ~self.known
        if not new.any():
            return self
        value = np.where(new, self.lo, np.where(self.known, self.value, 0.0))
        return replace(self, known=self.known | new, value=value, exact=self.exact | new)

    def tidy(self) -> Fact:
        """Bounds agree with the type and with what is known; uniform dimensions shrink; large facts coarsen."""
        least, most = dtype_range(self.dtype)
        wraps = ((self.lo < least) | (self.hi > most)) if least > -BIG else np.zeros((1,) * len(self.shape), np.bool_)
        lo = np.where(wraps | (self.lo < -BIG), least if least > -BIG else -BIG, self.lo)
        hi = np.where(wraps | (self.hi > BIG), most if most < BIG else BIG, self.hi)
        value, known = self.value, self.known
        if least > -BIG and self.dtype != "bool":
            span = most - least + 1
            known = known & (np.abs(value) < 2.0**53)
            value = np.where(known, (value - least) % span + least, 0.0)
        else:
            value = np.where(known, value, 0.0)
        exact = self.exact & known
        lo, hi = np.where(exact, value, lo), np.where(exact, value, hi)
        fact = Fact(self.shape, self.dtype, known, value, exact, lo, hi)
        return fact.mapped(shrink, self.shape).coarsened()

    def coarsened(self, limit: int = ELEMENT_LIMIT) -> Fact:
        """Fewer distinct elements: spatial dimensions first, then others, never the channels (axis 1)."""
        fact = self
        for axis in coarse_axes(len(self.shape)):
            if max(a.size for a in np.broadcast_arrays(*fact.arrays())) <= limit:
                break
            fact = fact.merged(axis)
        return fact

    def merged(self, axis: int) -> Fact:
        """One element along ``axis`` that says what holds for all of them."""
        known, value, exact, lo, hi = np.broadcast_arrays(*self.arrays())
        first = np.take(value, [0], axis=axis)
        same = (known & (value == first)).all(axis=axis, keepdims=True)
        low, high = lo.min(axis=axis, keepdims=True), hi.max(axis=axis, keepdims=True)
        value = np.where(same, first, 0.0)
        return Fact(self.shape, self.dtype, same, value, same & exact.all(axis=axis, keepdims=True), low, high)


def coarse_axes(rank: int) -> list[int]:
    """Axes in the order in which precision along them is given up."""
    if rank <= 2:
        return [0] if rank == 2 else []
    if rank == 3:
        return [1, 0]
    return [*range(rank - 1, 1, -1), 0]


def coarse_mask(mask: Mask, limit: int = ELEMENT_LIMIT) -> Mask:
    """A smaller mask that covers ``mask``: needed anywhere along an axis is needed everywhere along it."""
    mask = shrink(mask)
    for axis in coarse_axes(mask.ndim):
        if mask.size <= limit:
            break
        mask = any_of(mask, axis, True)
    return mask


def lowest_bit(values: Values) -> int:
    """Exponent of the largest power of two that divides every non-zero value; 0 when all are zero."""
    nonzero = values[values != 0]
    if not nonzero.size:
        return 0
    mantissa, exponent = np.frexp(nonzero)
    integer = (mantissa * 2.0**53).astype(np.int64)
    low = (integer & -integer).astype(np.float64)
    return int((exponent.astype(np.int64) - 53 + np.log2(low).astype(np.int64)).min())


def sums_exactly(magnitude: float, unit: int, bits: int = FLOAT32_BITS) -> bool:
    """True when fp32 adds multiples of 2**unit with this sum of magnitudes without any rounding, in any order."""
    return magnitude <= math.ldexp(1.0, bits + unit)
