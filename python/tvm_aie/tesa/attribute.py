"""The sparsity attribute of a tensor: a meet-semilattice per element, stored compactly.

    nonpruned
    int32 > int16 > int8 > int4      uint32 > uint16 > uint8 > uint4      fp32 > bf16
    mixed kinds                      (meet of two numeric kinds: the user's error)
    pruned(c)                        (always the constant c: never stored, moved or computed)
    contradiction                    (meet of two different constants)

The meet is the union of what is pruned and the lower precision within one numeric kind (SparTA, OSDI 2022, and
its slides: "conflict resolution"). It is commutative, associative and idempotent because the two errors are
elements of the order; ``Attribute.meet`` raises where one of them remains. SparTA's own merge used Python's
``and`` on encoded values and lost the width (../shared/reference/tesa.md section 8, row 1).

Compact: ``codes`` and ``values`` broadcast to the tensor's shape, a dimension of length 1 means "the same
everywhere along it"; ``values`` is read where the code is PRUNED only.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import InputError

Codes = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


class TesaError(InputError):
    """Attributes that contradict each other or mix numeric kinds."""


class Code(IntEnum):
    """What an element is known to be."""

    CONTRADICTION = 0
    PRUNED = 1
    MIXED = 2
    INT4 = 3
    INT8 = 4
    INT16 = 5
    INT32 = 6
    UINT4 = 7
    UINT8 = 8
    UINT16 = 9
    UINT32 = 10
    BF16 = 11
    FP32 = 12
    NONPRUNED = 13

    @property
    def bits(self) -> int:
        """Bits to store one element; 0 when it is not stored, 32 when nothing is known."""
        return _BITS[self]

    @property
    def kind(self) -> str:
        """int, uint or float; empty for the other elements of the order."""
        return _KIND.get(self, "")


_BITS = {Code.CONTRADICTION: 0, Code.PRUNED: 0, Code.MIXED: 0, Code.NONPRUNED: 32, Code.BF16: 16, Code.FP32: 32}
_BITS |= {Code[f"{kind}{bits}"]: bits for kind in ("INT", "UINT") for bits in (4, 8, 16, 32)}
_KIND = {Code[f"{kind}{bits}"]: kind.lower() for kind in ("INT", "UINT") for bits in (4, 8, 16, 32)}
_KIND |= {Code.BF16: "float", Code.FP32: "float"}


def _meet_table() -> Codes:
    """The meet of every two codes, values left out (two PRUNED stay PRUNED here)."""
    size = len(Code)
    table = np.zeros((size, size), np.uint8)
    for a in Code:
        for b in Code:
            low, high = sorted((a, b))
            if low <= Code.MIXED or high == Code.NONPRUNED:
                table[a, b] = low  # the three lowest codes and the top are ordered by their numbers
            else:
                table[a, b] = low if low.kind == high.kind else Code.MIXED
    return table


_MEET = _meet_table()


def meet_elements(codes: tuple[Codes, Codes], values: tuple[Values, Values]) -> tuple[Codes, Values]:
    """The meet of two broadcastable arrays of lattice elements; never raises."""
    met = _MEET[codes[0], codes[1]]
    both = (codes[0] == Code.PRUNED) & (codes[1] == Code.PRUNED)
    differ = both & (values[0] != values[1])
    value = np.where(codes[0] == Code.PRUNED, values[0], values[1])
    met = np.where(differ, np.uint8(Code.CONTRADICTION), met).astype(np.uint8)
    return met, np.where(met == Code.PRUNED, value, 0.0)


def any_of(mask: Mask, axes: int | tuple[int, ...], keepdims: bool = False) -> Mask:
    """``mask.any`` that is always an array."""
    return np.asarray(np.any(mask, axis=axes, keepdims=keepdims))


def all_of(mask: Mask, axes: int | tuple[int, ...], keepdims: bool = False) -> Mask:
    """``mask.all`` that is always an array."""
    return np.asarray(np.all(mask, axis=axes, keepdims=keepdims))


def shrink(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same broadcast content with every uniform dimension reduced to length 1."""
    for axis in range(array.ndim):
        if array.shape[axis] > 1:
            first = np.take(array, [0], axis=axis)
            if np.array_equal(np.broadcast_to(first, array.shape), array):
                array = first
    return array


def storage_code(dtype: str) -> Code:
    """The widest attribute that a tensor of this element type has."""
    names = {"int8": "INT8", "int16": "INT16", "int32": "INT32", "uint8": "UINT8", "uint16": "UINT16"}
    names |= {"uint32": "UINT32", "bfloat16": "BF16", "float32": "FP32", "int4": "INT4", "uint4": "UINT4"}
    return Code[names.get(dtype, "NONPRUNED")]


def narrowest_code(lo: float, hi: float) -> Code:
    """The narrowest integer format that holds every integer of [lo, hi]; NONPRUNED when none does."""
    if not (np.isfinite(lo) and np.isfinite(hi)):
        return Code.NONPRUNED
    for bits in (4, 8, 16, 32):
        if lo >= 0 and hi < 2**bits:
            return Code[f"UINT{bits}"]
        if lo >= -(2 ** (bits - 1)) and hi < 2 ** (bits - 1):
            return Code[f"INT{bits}"]
    return Code.NONPRUNED


@dataclass(frozen=True, eq=False)
class Attribute:
    """The sparsity attribute of one tensor of static ``shape``."""

    shape: tuple[int, ...]
    codes: Codes = field(repr=False)
    values: Values = field(repr=False)

    def __post_init__(self) -> None:
        """Check that the arrays broadcast to the shape."""
        for array in (self.codes, self.values):
            pairs = list(zip(array.shape, self.shape, strict=False))
            if array.ndim != len(self.shape) or any(a not in (1, s) for a, s in pairs):
                raise TesaError(f"an attribute of shape {array.shape} does not suit a tensor of shape {self.shape}")
        if self.codes.size and int(self.codes.max()) >= len(Code):
            raise TesaError(f"not an attribute: code {int(self.codes.max())}")
        if np.isnan(self.values).any() and np.isnan(np.where(self.codes == Code.PRUNED, self.values, 0.0)).any():
            raise TesaError("not an attribute: NaN is no constant")

    @staticmethod
    def uniform(shape: tuple[int, ...], code: Code = Code.NONPRUNED, value: float = 0.0) -> Attribute:
        """The same element everywhere."""
        ones = (1,) * len(shape)
        return Attribute(shape, np.full(ones, code, np.uint8), np.full(ones, value))

    @staticmethod
    def pruned(shape: tuple[int, ...], mask: Mask, value: Any = 0.0, rest: Code = Code.NONPRUNED) -> Attribute:
        """``mask`` (broadcastable, True = pruned) elements are the constant ``value``, the others are ``rest``."""
        mask = np.asarray(mask, np.bool_)
        if mask.ndim > len(shape) or any(n not in (1, d) for n, d in zip(mask.shape[::-1], shape[::-1], strict=False)):
            raise TesaError(f"a mask of shape {mask.shape} does not suit a tensor of shape {shape}")
        mask = mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)
        codes = np.where(mask, np.uint8(Code.PRUNED), np.uint8(rest)).astype(np.uint8)
        values = np.where(mask, np.asarray(value, np.float64), 0.0)
        return Attribute(shape, shrink(codes), shrink(values))

    def __eq__(self, other: object) -> bool:
        """Same shape and the same element everywhere."""
        if not isinstance(other, Attribute) or self.shape != other.shape:
            return False
        codes = np.broadcast_arrays(self.codes, other.codes)
        same = np.array_equal(codes[0], codes[1])
        mine, theirs = (np.where(a.codes == Code.PRUNED, a.values, 0.0) for a in (self, other))
        values = np.broadcast_arrays(mine, theirs)
        return same and np.array_equal(values[0], values[1])

    __hash__ = None  # type: ignore[assignment]

    def meet(self, other: Attribute, name: str = "tensor") -> Attribute:
        """Both claims hold. Raises ``TesaError`` on two constants for one element, or on two numeric kinds."""
        if self.shape != other.shape:
            raise TesaError(f"{name}: attributes of shapes {self.shape} and {other.shape} cannot be combined")
        codes, values = meet_elements((self.codes, other.codes), (self.values, other.values))
        self._report(other, codes, name)
        return Attribute(self.shape, shrink(codes), shrink(values))

    def _report(self, other: Attribute, codes: Codes, name: str) -> None:
        for bad in (Code.CONTRADICTION, Code.MIXED):
            where = np.broadcast_to(codes == bad, self.shape)
            count = int(where.sum())
            if not count:
                continue
            index = tuple(int(i) for i in np.unravel_index(int(where.argmax()), self.shape))
            mine, theirs = (a.element(index) for a in (self, other))
            kind = "two different constants" if bad == Code.CONTRADICTION else "numeric kinds that cannot be compared"
            raise TesaError(f"{name}: {kind} for element {index}: {mine} and {theirs} ({count:,} in all)")

    def element(self, index: tuple[int, ...]) -> str:
        """One element in words."""
        code = Code(int(np.broadcast_to(self.codes, self.shape)[index]))
        value = float(np.broadcast_to(self.values, self.shape)[index])
        return f"pruned({value:g})" if code == Code.PRUNED else code.name.lower()

    @property
    def mask(self) -> Mask:
        """True where pruned; broadcastable."""
        found: Mask = self.codes == Code.PRUNED
        return found

    @property
    def sparsity(self) -> float:
        """Share of pruned elements."""
        return float(self.mask.mean()) if self.codes.size else 0.0

    @property
    def bits(self) -> int:
        """Bits of the widest element."""
        return max((Code(int(c)).bits for c in np.unique(self.codes)), default=0)

    def gamma(self, block: tuple[int, ...]) -> Mask:
        """The block view: True where a block holds an element that is not pruned (ragged edges included).

        ``block`` gives lengths of the leading dimensions; the remaining ones lie whole inside a block.
        """
        keep = np.broadcast_to(~self.mask, self.shape)
        if len(block) > keep.ndim or min(block, default=1) < 1:
            raise TesaError(f"block {block} does not suit a tensor of shape {self.shape}")
        keep = any_of(keep, tuple(range(len(block), keep.ndim)))
        for axis, length in enumerate(block):
            keep = np.logical_or.reduceat(keep, np.arange(0, keep.shape[axis], length), axis=axis)
        found: Mask = keep
        return found

    def text(self) -> str:
        """Short text for a listing of the module."""
        parts = []
        codes, values = np.broadcast_arrays(self.codes, self.values)
        for code in np.unique(codes):
            share = float((codes == code).mean())
            name = Code(int(code)).name.lower()
            if code == Code.PRUNED:
                constants = np.unique(values[codes == code])
                name += "(0)" if np.array_equal(constants, [0.0]) else f"({len(constants)} constants)"
            parts.append(name if share == 1 else f"{share:.2%} {name}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; arrays are deflated and base64."""
        values = self.values if self.mask.any() else np.zeros((1,) * len(self.shape))
        return {"shape": list(self.shape), "codes": _pack(self.codes), "values": _pack(shrink(values))}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Attribute:
        """The inverse of ``to_json``."""
        try:
            shape = tuple(int(d) for d in data["shape"])
            codes, values = _unpack(data["codes"], np.uint8), _unpack(data["values"], np.float64)
        except (KeyError, ValueError, TypeError, zlib.error) as error:
            raise TesaError(f"not an attribute: {error}") from error
        return Attribute(shape, codes, values)


def _pack(array: npt.NDArray[Any]) -> list[Any]:
    data = zlib.compress(np.ascontiguousarray(array).tobytes(), 6)
    return [list(array.shape), base64.b64encode(data).decode("ascii")]


def _unpack(packed: list[Any], dtype: Any) -> npt.NDArray[Any]:
    shape, text = packed
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape).copy()
