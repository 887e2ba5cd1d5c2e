"""Rules of convolutions over one and three dimensions and of transposed ones, by their numpy forms.

Small ones are propagated per element: the same sums that the operator takes, taken over masks. Large ones per
channel, where only zeros travel: how many taps meet an element depends on where it lies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, Values, any_of
from tvm_aie.tesa.evaluate import conv_layouts, correlate, evaluate, spread, taps_of
from tvm_aie.tesa.facts import BIG, ELEMENT_LIMIT, WHOLE, Fact, is_integer, lowest_bit
from tvm_aie.tesa.ir import Array
from tvm_aie.tesa.rules import Node, Rule, conservative, register
from tvm_aie.tesa.rules_linear import ELEMENT_MACS, finite

_ROOM = 2.0**-18


def _supported(node: Node) -> bool:
    constant = node.operands[1].is_constant and not node.operands[0].is_constant
    return constant and len(node.operands) == 2 and conv_layouts(node.call) and finite(node)


def _transposed(node: Node) -> bool:
    return node.name.endswith("_transpose")


def _small(node: Node) -> bool:
    macs = math.prod(node.shape) * math.prod(node.operands[1].shape[1:]) * node.operands[1].shape[0]
    return max(math.prod(node.shape), math.prod(node.operands[0].shape)) <= ELEMENT_LIMIT and macs <= 8 * ELEMENT_MACS


def _weight(node: Node) -> Array:
    array = node.operands[1].array
    assert array is not None
    return array.astype(np.float64)


def _forward(node: Node) -> Sequence[Fact]:
    if not _supported(node):
        return node.top()
    if not _small(node):
        return [_channels(node)]
    x, weight = node.operands[0].fact.expanded(), _weight(node)
    present = (weight != 0).astype(np.float64)

    def through(kernel: Values, image: Any) -> Values:
        found: Values = evaluate(node.call, [np.asarray(image, np.float64), kernel])
        return found

    values = np.where(x.known, x.value, 0.0)
    total, magnitude = through(weight, values), through(abs(weight), abs(values))
    none = (through(present, ~x.known) == 0) & (magnitude < WHOLE)
    sure = none & (through(present, x.known & ~x.exact) == 0)
    if not is_integer(node.dtype):
        sure = sure & (magnitude <= math.ldexp(1.0, 24 + lowest_bit(weight) + lowest_bit(values)))
    up, down = np.maximum(weight, 0), np.minimum(weight, 0)
    low, high = through(up, x.lo) + through(down, x.hi), through(up, x.hi) + through(down, x.lo)
    if not is_integer(node.dtype):
        room = _ROOM * through(abs(weight), np.maximum(abs(x.lo), abs(x.hi)))
        low, high = np.where(low >= 0, np.maximum(low - room, 0), low - room), high + room
    low, high = np.clip(low, -BIG, BIG), np.clip(high, -BIG, BIG)
    fact = Fact(node.shape, node.dtype, none, np.where(none, total, 0.0), sure, low, high)
    return [fact.tidy().collapsed() if is_integer(node.dtype) else fact]


def _pairs(node: Node) -> Mask:
    """(group, out per group, in per group): which channels a weight joins."""
    groups = int(node.call.attrs.groups)
    weight = _weight(node)
    joined: Mask = (weight.reshape(*weight.shape[:2], -1) != 0).any(axis=2)
    if _transposed(node):  # (in, out per group)
        return np.swapaxes(joined.reshape(groups, -1, joined.shape[1]), 1, 2)
    return joined.reshape(groups, -1, joined.shape[1])


def _flat(node: Node, mask: Mask, length: int) -> Mask:
    """A mask over an activation, any over pixels and images, as (group, channel of the group)."""
    axes = tuple(a for a in range(mask.ndim) if a != 1)
    return np.broadcast_to(any_of(mask, axes), (length,)).reshape(int(node.call.attrs.groups), -1)


def _shaped(node: Node, mask: Mask) -> Mask:
    return mask.reshape(1, -1, *(1,) * (len(node.shape) - 2))


def _channels(node: Node) -> Fact:
    x = node.operands[0].fact
    moving = _flat(node, ~(x.zero & x.exact), x.shape[1])
    reached = np.matmul(_pairs(node).astype(np.float32), moving[:, :, None].astype(np.float32)) > 0
    zero = _shaped(node, ~reached)
    return replace(node.top()[0], known=zero, exact=zero)


def _backward(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not _supported(node):
        return conservative.backward(node, outs, live)
    x, pairs = node.operands[0].fact, _pairs(node)
    if not _small(node):
        out = _flat(node, live[0], node.shape[1])
        moving = _flat(node, ~x.zero, x.shape[1])
        reach = np.matmul(out[:, None, :].astype(np.float32), pairs.astype(np.float32)) > 0
        weights = out[:, :, None] & moving[:, None, :]
        if _transposed(node):
            weights = np.swapaxes(weights, 1, 2)
        weights = weights.reshape(*node.operands[1].shape[:2], *(1,) * (len(node.shape) - 2))
        return [_shaped(node, reach), weights]
    present = (_weight(node) != 0).astype(np.float64)
    full, groups = np.broadcast_to(live[0], node.shape).astype(np.float64), int(node.call.attrs.groups)
    if _transposed(node):
        need = correlate(node.call, full, present, x.shape[2:], groups) > 0
    else:
        need = spread(node.call, full, present, x.shape[2:], groups) > 0
    return [need, _weight_needs(node, np.broadcast_to(~x.zero, x.shape).astype(np.float64), full, groups)]


def _weight_needs(node: Node, moving: Values, live: Values, groups: int) -> Mask:
    """A weight is needed where some element that is not zero meets a live result through it."""
    inner, outer = (moving, live) if _transposed(node) else (live, moving)  # taps slide over the outer one
    shape = node.operands[1].shape
    taps, padded, pads = taps_of(node.call, shape[2:], outer.shape[2:], inner.shape[2:])
    image = np.zeros((*outer.shape[:2], *padded))
    inside = tuple(slice(p, p + n) for p, n in zip(pads, outer.shape[2:], strict=False))
    image[(slice(None), slice(None), *inside)] = outer
    image = image.reshape(image.shape[0], groups, -1, *padded)
    parts = inner.reshape(inner.shape[0], groups, -1, *inner.shape[2:])
    needed = np.zeros((groups, parts.shape[2], *shape[1:]), np.bool_)
    for tap, cut in taps:
        window = image[(..., *cut)].reshape(*image.shape[:3], -1)
        needed[(..., *tap)] = np.einsum("ngop,ngip->goi", parts.reshape(*parts.shape[:3], -1), window) > 0
    return needed.reshape(shape)


_NAMES = ("nn.conv1d", "nn.conv3d", *(f"nn.conv{n}d_transpose" for n in (1, 2, 3)))
register(Rule(_forward, _backward), *_NAMES)
