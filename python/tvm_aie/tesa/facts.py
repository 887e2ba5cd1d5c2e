"""What propagation knows about one tensor: which elements are constants, which values are possible.

All arrays of a ``Fact`` broadcast to the tensor's shape (a dimension of length 1 means "the same everywhere along
it"), so the same rule works per element on a small tensor and per channel on a large one. ``BIG`` lies beyond every
fp32 number: -BIG and BIG are true bounds, so arithmetic on them is too. What is computed is finite by assumption;
a constant may hold infinities (attention masks do), which are known values without finite bounds, or NaN, which is
never known. Integers are followed up to 2**53, floats narrower than fp32 without bounds and never as exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.tesa.attribute import Mask, Values, any_of, shrink

BIG = 1e250
WHOLE = 2.0**53  # float64 holds every integer up to here
ELEMENT_LIMIT = 4096  # above this many elements a fact is kept per channel
Shape = tuple[int, ...]


def dtype_range(dtype: str) -> tuple[float, float]:
    """Smallest and largest value of an element type; -BIG and BIG for floats and 64-bit integers."""
    if dtype == "bool":
        return 0.0, 1.0
    if dtype.startswith(("int", "uint")) and not dtype.endswith("64"):
        signed, bits = dtype.startswith("int"), int(dtype.removeprefix("u").removeprefix("int"))
        return (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if signed else (0.0, 2.0**bits - 1)
    return -BIG, BIG


def is_integer(dtype: str) -> bool:
    """True for integer and boolean element types."""
    return dtype.startswith(("int", "uint", "bool"))


def is_narrow_float(dtype: str) -> bool:
    """True for floats of fewer bits than fp32: implementations differ in what they round."""
    return not is_integer(dtype) and dtype not in ("float32", "float64")


def rounded(values: Values, dtype: str) -> Values:
    """Round to the result's type: one correctly rounded operation in fp32 equals float64 rounded once."""
    if dtype == "float32":
        with np.errstate(over="ignore"):
            return values.astype(np.float32).astype(np.float64)
    return values


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
        """Every element is known, except NaN and integers that float64 cannot hold."""
        value, dtype = array.astype(np.float64), str(array.dtype)
        yes = ~np.isnan(value)
        if is_integer(dtype):
            yes = yes & (abs(value) < WHOLE)
        if yes.all():
            yes = np.ones((1,) * value.ndim, np.bool_)
        value = np.where(yes, value, 0.0)
        least, most = dtype_range(dtype)
        lo, hi = (np.where(yes, np.clip(value, -BIG, BIG), edge) for edge in (least, most))
        return Fact(array.shape, dtype, yes, value, yes, lo, hi)

    @property
    def all_known(self) -> bool:
        """True when the whole tensor is a constant."""
        return bool(self.known.all())

    @property
    def zero(self) -> Mask:
        """Elements that are zero in every implementation: a product with one of them is zero."""
        found: Mask = self.known & (self.value == 0) & self.exact
        return found

    @property
    def constants(self) -> Values:
        """The values that are known (zero where they are not), for questions about all of them."""
        return np.where(self.known, self.value, 0.0)

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
        if is_narrow_float(self.dtype):
            return self._unbounded().mapped(shrink, self.shape).coarsened()
        least, most = dtype_range(self.dtype)
        wraps = ((self.lo < least) | (self.hi > most)) if least > -BIG else np.zeros((1,) * len(self.shape), np.bool_)
        lo = np.where(wraps | (self.lo < -BIG), least if least > -BIG else -BIG, self.lo)
        hi = np.where(wraps | (self.hi > BIG), most if most < BIG else BIG, self.hi)
        value, known = self.value, self.known & ~np.isnan(self.value)
        if is_integer(self.dtype):
            known = known & (np.abs(value) < WHOLE)
        if least > -BIG and self.dtype != "bool":
            span = most - least + 1
            value = np.where(known, (value - least) % span + least, 0.0)
        else:
            value = np.where(known, value, 0.0)
        exact = self.exact & known
        point = np.clip(value, -BIG, BIG)
        lo, hi = np.where(exact, point, lo), np.where(exact, point, hi)
        fact = Fact(self.shape, self.dtype, known, value, exact, lo, hi)
        return fact.mapped(shrink, self.shape).coarsened()

    def _unbounded(self) -> Fact:
        known = self.known & ~np.isnan(self.value)
        value, ones = np.where(known, self.value, 0.0), (1,) * len(self.shape)
        none = np.zeros(ones, np.bool_)
        return Fact(self.shape, self.dtype, known, value, none, np.full(ones, -BIG), np.full(ones, BIG))

    @property
    def distinct(self) -> Shape:
        """The shape over which the arrays vary."""
        return np.broadcast_shapes(*(a.shape for a in self.arrays()))

    def coarsened(self, limit: int = ELEMENT_LIMIT) -> Fact:
        """Fewer distinct elements: axes are merged, each time the one along which least is lost.

        One axis always stays, whatever its length: a vector is never too large.
        """
        fact = self
        while math.prod(fact.distinct) > limit:
            axes = [a for a in coarse_axes(len(self.shape)) if fact.distinct[a] > 1]
            if len(axes) < 2:
                break
            fact = max((fact.merged(a) for a in axes), key=lambda f: float(np.mean(f.known)))
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
    """Axes in the order in which precision along them is given up where nothing else decides: channels last."""
    if rank == 3:  # rows of features, as transformers have them
        return [1, 0, 2]
    return [*range(rank - 1, 1, -1), *range(min(rank, 2))]


def coarse_mask(mask: Mask, limit: int = ELEMENT_LIMIT) -> Mask:
    """A smaller mask that covers ``mask``: needed anywhere along an axis is needed everywhere along it."""
    mask = shrink(mask)
    while mask.size > limit:
        axes = [a for a in coarse_axes(mask.ndim) if mask.shape[a] > 1]
        if len(axes) < 2:
            break
        mask = min((any_of(mask, a, True) for a in axes), key=lambda m: float(np.mean(m)))
    return mask


def lowest_bit(values: Values) -> int:
    """Exponent of the largest power of two that divides every non-zero value; 0 when all are zero."""
    nonzero = values[(values != 0) & np.isfinite(values)]
    if not nonzero.size:
        return 0
    mantissa, exponent = np.frexp(nonzero)
    integer = (mantissa * 2.0**53).astype(np.int64)
    low = (integer & -integer).astype(np.float64)
    return int((exponent.astype(np.int64) - 53 + np.log2(low).astype(np.int64)).min())
