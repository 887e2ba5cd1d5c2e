"""A factor and a term per channel in front of a 1x1 convolution run in its kernel call.

    x -> y = requant2((requant1(x * factor) << k) + bias) -> conv(y)

Batch normalisation in front of a convolution (DenseNet, ResNet v2) cannot be folded into its weights: a ReLU lies
between. As an item of its own it writes y to the memtile and reads it back. In the call, every core row scales the
input that it is given; y never leaves the core. The arithmetic is the same, both roundings included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_aie.plan.graph import Conv, Int8Array, Int64Array, Requant

INT16 = 1 << 15
MOST_X_SHIFT = 15  # the shifted value keeps 32 bits (tvm_aie/kernels/pool_stage.inc)


@dataclass(frozen=True)
class Scale:
    """factor: int8, bias: int64 within 32 bits, one of each per channel; ``first`` may clip to int16."""

    factor: Int8Array
    bias: Int64Array
    first: Requant
    x_shift: int
    second: Requant


def scale_of(conv: Conv) -> Scale | None:
    """``conv`` as a factor and a term per channel, or None if it is something else.

    A convolution without a second stage is not rounded between factor and term: the product fits 16 bits.
    """
    weight = conv.weight
    depthwise = weight.shape[1:] == (1, 1, 1) and conv.groups == weight.shape[0]
    if not depthwise or conv.stride != (1, 1) or any(conv.pads) or conv.shifts or conv.true_window:
        return None
    if conv.pool_before or conv.pool_after or conv.scale_before or conv.requant.negative_mul:
        return None
    factor = weight.reshape(-1)
    if conv.tail is None:
        between = Requant(0, -INT16, INT16 - 1)
        made = Scale(factor, conv.bias, between, conv.acc_shift, conv.requant)
    else:
        tail = conv.tail
        if tail.bias is None or conv.bias.any() or tail.requant.negative_mul:
            return None
        # without a bias the shift to the left and that of the rounding cancel
        first = Requant(conv.requant.shift - conv.acc_shift, conv.requant.lo, conv.requant.hi)
        made = Scale(factor, tail.bias, first, tail.x_shift, tail.requant)
    fits = made.x_shift <= MOST_X_SHIFT and int(np.abs(made.bias).max(initial=0)) < 1 << 31
    return made if fits else None
