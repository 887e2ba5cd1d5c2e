"""Exact integer semantics of one operator: what the rules check and the lowering writes down."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.relax.view import Activation, OpView, Quant

INT32_MAX = 2**31 - 1
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bounds:
    """Clipping in the domain of the output (int8 unless said) and the leaky multiplier (m/256, 0 = none)."""

    lo: int = -128
    hi: int = 127
    negative_mul: int = 0


@dataclass(frozen=True)
class ConvTerms:
    """``out = clip(srs((acc << acc_shift) + bias, shift))``."""

    acc_shift: int
    bias: Int64 = field(repr=False)
    shift: int


def bounds(activation: Activation | None, output: Quant) -> Bounds:
    """Clipping bounds of a fused activation.

    Rounding is monotone, so rounding the bound is the same as clipping before the rounding.
    """
    low, high = (-32768, 32767) if output.dtype == "int16" else (-128, 127)
    if activation is None:
        return Bounds(low, high)
    if activation.alpha is not None:
        negative_mul = round(activation.alpha * 256)
        return Bounds(low, high, negative_mul) if negative_mul else Bounds(0, high)  # a slope of 0 is a relu
    scale = np.float32(output.scales[0])
    lo = low if math.isinf(activation.lo) else int(np.clip(np.rint(np.float32(activation.lo) / scale), low, high))
    hi = high if math.isinf(activation.hi) else int(np.clip(np.rint(np.float32(activation.hi) / scale), low, high))
    return Bounds(lo, hi)


def exponent(quant: Quant | None) -> int:
    """Exponent of a power-of-two scale (the rules have checked that it is one)."""
    value = None if quant is None else quant.exponent
    assert value is not None, "the offload rules let a scale through that is not a power of two"
    return value


def conv_terms(view: OpView) -> ConvTerms:
    """Shifts and bias of a convolution, dense layer, or per-channel multiply or add."""
    assert view.weight is not None
    channels = view.out_shape[1]
    if view.kind == "channel_add":
        product = exponent(view.inputs[0].quant)
    else:
        product = exponent(view.inputs[0].quant) + exponent(view.weight.quant)
    bias_source = view.weight if view.kind == "channel_add" else view.bias
    if bias_source is None:
        return ConvTerms(0, np.zeros(channels, np.int64), exponent(view.output) - product)
    bias_exponent = exponent(bias_source.quant)
    lsb = min(product, bias_exponent)
    values = np.broadcast_to(bias_source.value.astype(np.int64).ravel(), (channels,))
    return ConvTerms(product - lsb, values << (bias_exponent - lsb), exponent(view.output) - lsb)


def conv_weight(view: OpView) -> npt.NDArray[np.int8]:
    """Weights as (Cout, Cin/groups, kh, kw); a dense layer has kernel 1x1 over its flat features."""
    assert view.weight is not None
    value: npt.NDArray[Any] = view.weight.value
    channels = view.out_shape[1]
    if view.kind == "channel_add":
        return np.ones((channels, 1, 1, 1), np.int8)
    if view.kind == "channel_mul":
        return np.ascontiguousarray(np.broadcast_to(value.astype(np.int8).ravel(), (channels,))).reshape(-1, 1, 1, 1)
    if view.kind == "dense":
        return np.ascontiguousarray(value.astype(np.int8, copy=False).T).reshape(channels, -1, 1, 1)
    return value.astype(np.int8, copy=False)


def accumulator_peak(view: OpView) -> tuple[int, int]:
    """A bound of the int32 accumulator's magnitude, and the largest magnitude of the bias."""
    bias = int(np.abs(conv_terms(view).bias).max(initial=0))
    weight = conv_weight(view)
    rows = weight.reshape(weight.shape[0], -1)
    source = view.inputs[0].quant
    peak = 32768 if source is not None and source.dtype == "int16" else 128
    bound = rows.shape[1] * peak * 128
    if bound > INT32_MAX:  # only then is it worth adding up the weights
        bound = peak * max(int(np.abs(row.astype(np.int64)).sum()) for row in rows)
    return bound, bias
