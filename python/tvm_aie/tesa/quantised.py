"""Constant operands as integers with a scale: what elimination may change without changing one output bit.

A weight is either an embedded integer tensor (integer networks) or ``dequantize`` of one with a single
power-of-two scale (QDQ networks), possibly behind a reshape or transpose. Arithmetic on both is exact, so terms
may be dropped or moved into a bias; on any other float arithmetic the order of a sum shows in the last bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from tvm_aie.tesa.evaluate import evaluate
from tvm_aie.tesa.ir import const_array, dtype_of, is_const, op_name
from tvm_aie.tesa.propagation import Constants

Int64 = npt.NDArray[np.int64]
_MOVES = ("reshape", "permute_dims", "squeeze", "expand_dims", "flatten")
INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Integers:
    """``values * 2**exponent`` in element type ``dtype`` (storage) and ``real`` (what the operator sees)."""

    values: npt.NDArray[Any] = field(repr=False)
    exponent: int | None  # None: an integer network, values are used as they are
    dtype: str
    real: str = "float32"

    def expression(self, axis: int = 0) -> Any:
        """A Relax expression of the operand; the zero point is 0."""
        data = relax.const(np.ascontiguousarray(self.values), self.dtype)
        if self.exponent is None:
            return data
        scale = relax.const(np.float32(math.ldexp(1.0, self.exponent)), "float32")
        return relax.op.dequantize(data, scale, relax.const(0, self.dtype), axis=axis, out_dtype=self.real)

    def with_values(self, values: npt.NDArray[Any]) -> Integers:
        """The same format with other values."""
        return replace(self, values=values.astype(self.values.dtype, copy=False))


def scale_exponent(expr: Any) -> int | None:
    """e when ``expr`` is one embedded 2**e."""
    if not is_const(expr) or const_array(expr).size != 1:
        return None
    mantissa, exponent = math.frexp(float(const_array(expr).ravel()[0]))
    return exponent - 1 if mantissa == 0.5 else None


def dequantized(call: Any) -> tuple[int, int] | None:
    """(exponent, zero point) of a ``dequantize`` with one power-of-two scale."""
    if op_name(call) != "dequantize" or not is_const(call.args[2]) or const_array(call.args[2]).size != 1:
        return None
    exponent = scale_exponent(call.args[1])
    return None if exponent is None else (exponent, int(const_array(call.args[2]).ravel()[0]))


def integers_of(expr: Any, constants: Constants) -> Integers | None:
    """A constant operand as integers; None when it is plain float or scaled in another way."""
    if is_const(expr):
        kind = dtype_of(expr)
        return Integers(const_array(expr), None, kind, kind) if kind.startswith(("int", "uint")) else None
    call = constants.calls.get(expr)
    if call is None or str(expr.name) in constants.attached:
        return None if call is None else _masked(expr, constants)
    if is_const(call) or isinstance(call, relax.Var):
        return integers_of(call, constants)
    if op_name(call) in _MOVES:
        inner = integers_of(call.args[0], constants)
        return None if inner is None else replace(inner, values=evaluate(call, [inner.values]))
    found = dequantized(call)
    if found is None or not constants.is_constant(call.args[0]):
        return None
    raw = constants.array(call.args[0])
    exponent, zero = found
    if zero == 0:
        return Integers(raw, exponent, str(raw.dtype), dtype_of(expr))
    shifted = raw.astype(np.int32) - zero
    fits = -128 <= int(shifted.min(initial=0)) and int(shifted.max(initial=0)) <= 127
    kind = "int8" if fits else "int32"
    return Integers(shifted.astype(kind), exponent, kind, dtype_of(expr))


def _masked(expr: Any, constants: Constants) -> Integers | None:
    """A constant with an attached attribute: its masked values, where all are integers of the stored kind."""
    bare = Constants({})
    bare.calls = constants.calls
    plain = integers_of(expr, bare)
    if plain is None:
        return None
    values = constants.array(expr).astype(np.float64) * math.ldexp(1.0, -(plain.exponent or 0))
    rounded, holds = np.rint(values), np.iinfo(plain.dtype)
    inside = ((rounded >= holds.min) & (rounded <= holds.max)).all()
    return plain.with_values(rounded) if inside and np.array_equal(rounded, values) else None


def merged_bias(
    bias: Integers | None, extra: Int64, product: int | None, channels: int, sums: str = "int32"
) -> Integers | None:
    """``bias + extra * 2**product`` per channel, exact; None when it does not fit 32 bits.

    ``sums``: element type of the sums of an integer network.
    """
    if product is None:
        base = np.zeros(channels, np.int64) if bias is None else bias.values.astype(np.int64).ravel()
        kind = sums if bias is None else bias.dtype
        total = (np.broadcast_to(base, channels) + extra).astype(kind)  # wraps like the network itself
        return Integers(total, None, kind, kind)
    lsb = product if bias is None or bias.exponent is None else min(product, bias.exponent)
    total = extra << (product - lsb)
    if bias is not None and bias.exponent is not None:
        total = total + (np.broadcast_to(bias.values.astype(np.int64).ravel(), channels) << (bias.exponent - lsb))
    if int(np.abs(total).max(initial=0)) > INT32_MAX:
        return None
    return Integers(total.astype(np.int32), lsb, "int32")
