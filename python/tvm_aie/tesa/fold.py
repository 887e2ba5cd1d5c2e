"""Elimination on values: dead weights become zero, constant inputs move into the bias. Shapes stay.

Before: ``y = w0*x0 + w1*c + b`` with the constant c          After: ``y = w0*x0 + 0*c + (b + w1*c)``
Safe when every tap sees c: no zero padding at the border, or c = 0. Outputs are bit-identical because the sum is
the same integer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import relax

from tvm_aie.tesa.ir import dtype_of, op_name, shape_of
from tvm_aie.tesa.layers import Graph, Layer, layers_of
from tvm_aie.tesa.propagation import Propagation
from tvm_aie.tesa.quantised import Int64, Integers, dequantized, merged_bias
from tvm_aie.tesa.rewrite import Rewriter


@dataclass(frozen=True)
class Folded:
    """What value elimination did to one layer."""

    layer: str
    weights_cleared: int
    channels_folded: tuple[int, ...] = field(repr=False)


def _input_channels(layer: Layer) -> int:
    shape = layer.weight.values.shape
    return int(shape[1]) * layer.groups if layer.is_conv else int(shape[0])


def constant_inputs(result: Propagation, layer: Layer) -> dict[int, int]:
    """Input channel -> its integer constant (zero point taken off), where folding is exact; zeros left out."""
    fact = result.facts[layer.call.args[0]][0] if layer.call.args[0] in result.facts else None
    if fact is None or (layer.padded and not layer.ignore_padding):
        return {}
    flat = fact
    for axis in range(len(fact.shape)):
        if axis != 1:
            flat = flat.merged(axis)
    sure = np.broadcast_to(flat.known & flat.exact & (flat.value != 0), flat.shape[:0] + _channel_shape(flat.shape))
    values = np.broadcast_to(flat.value, _channel_shape(flat.shape)).ravel()
    exponent = 0 if layer.data is None else layer.data[0]
    found = {}
    for channel in np.flatnonzero(sure.ravel()):
        scaled = math.ldexp(float(values[channel]), -exponent)
        if scaled == round(scaled):
            found[int(channel)] = round(scaled)
    return found


def _channel_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(d if axis == 1 else 1 for axis, d in enumerate(shape))


def _contribution(layer: Layer, constants: dict[int, int]) -> tuple[Int64, Int64]:
    """What constant inputs add to each output channel, and the weights without their columns."""
    values = layer.weight.values.astype(np.int64)
    total = np.zeros(layer.out_channels, np.int64)
    rest = values.copy()
    for channel, constant in constants.items():
        if not layer.is_conv:
            total += values[channel] * constant
            rest[channel] = 0
            continue
        per_group_in = values.shape[1]
        group, inside = divmod(channel, per_group_in)
        width = layer.out_channels // layer.groups
        rows = slice(group * width, (group + 1) * width)
        total[rows] += values[rows, inside].sum(axis=(1, 2)) * constant
        rest[rows, inside] = 0
    return total, rest


def bias_expression(layer: Layer, bias: Integers) -> Any:
    """A bias as operand of the add behind a layer."""
    shape = tuple(layer.out_channels if i == 1 else 1 for i in range(len(shape_of(layer.call))))
    if layer.bias_var is not None and len(shape) == 2:
        shape = (layer.out_channels,)
    return bias.with_values(bias.values.reshape(shape)).expression(axis=min(1, len(shape) - 1))


def fold_values(result: Propagation) -> tuple[Any, list[Folded]]:
    """The function with dead weights zeroed and constant inputs folded; the same function when there are none."""
    graph, rewriter = Graph.of(result.func), Rewriter(result.func)
    layers = list(layers_of(result, graph))
    done = [step for layer in layers if (step := _fold_layer(result, layer, rewriter)) is not None]
    changed = _constant_operands(result, graph, rewriter, {layer.bias_var for layer in layers})
    if not done and not changed:
        return result.func, []
    return rewriter.run(), done


def _fold_layer(result: Propagation, layer: Layer, rewriter: Rewriter) -> Folded | None:
    weight = layer.weight.values
    kept = np.where(layer.use.needed, weight, 0)
    cleared = int(np.count_nonzero(weight) - np.count_nonzero(kept))
    working = layer if not cleared else _with_weight(layer, kept)
    constants = constant_inputs(result, working)
    constants = {c: v for c, v in constants.items() if _column(working, c).any()}
    bias = None
    if constants:
        total, rest = _contribution(working, constants)
        bias = merged_bias(layer.bias, total, layer.product, layer.out_channels, dtype_of(layer.call))
        if bias is None:
            constants = {}
        else:
            kept = rest
    if not cleared and not constants:
        return None
    rewriter.replace_argument(layer.use.var, 1, layer.weight.with_values(kept).expression())
    if bias is not None:
        if layer.bias_var is not None:
            add = rewriter.values[layer.bias_var]
            position = 1 if add.args[0].same_as(layer.use.var) else 0
            rewriter.replace_argument(layer.bias_var, position, bias_expression(layer, bias))
        else:
            rewriter.add_behind(layer.use.var, bias_expression(layer, bias))
    return Folded(layer.name, cleared, tuple(constants))


def _with_weight(layer: Layer, values: Any) -> Layer:
    from dataclasses import replace

    return replace(layer, weight=layer.weight.with_values(values))


def _column(layer: Layer, channel: int) -> Any:
    if not layer.is_conv:
        return layer.weight.values[channel]
    per_group_in = layer.weight.values.shape[1]
    group, inside = divmod(channel, per_group_in)
    width = layer.out_channels // layer.groups
    return layer.weight.values[group * width : (group + 1) * width, inside]


def _constant_operands(result: Propagation, graph: Graph, rewriter: Rewriter, biases: set[Any]) -> bool:
    """An add whose operand became a constant: the sum of one tensor and a constant per channel, or no sum at all."""
    changed = False
    for var, value in graph.values.items():
        if op_name(value) != "add" or var in biases or var not in result.facts or not result.need(var).any():
            continue
        for position, argument in enumerate(value.args):
            if result.constants.is_constant(argument) or argument not in result.facts:
                continue
            other = value.args[1 - position]
            if other.same_as(argument) or shape_of(other) != shape_of(var):
                continue
            expression = _uniform_constant(result, graph, argument)
            if expression is None:
                continue
            if isinstance(expression, int):
                rewriter.replace_value(var, other)
            else:
                rewriter.replace_argument(var, position, expression)
            changed = True
            break
    return changed


def _uniform_constant(result: Propagation, graph: Graph, var: Any) -> Any:
    """An expression (1, C, 1, 1) of a fully constant operand; 0 when it is zero; None when it is not constant."""
    fact = result.fact(var)
    if len(fact.shape) not in (2, 4) or not (fact.known & fact.exact).all():
        return None
    value = fact.value
    if any(n > 1 for axis, n in enumerate(value.shape) if axis != 1):
        return None
    if not value.any():
        return 0
    values = np.broadcast_to(value, _channel_shape(fact.shape))
    source = dequantized(graph.values.get(var))
    if source is None:
        return relax.const(values.astype(dtype_of(var)), dtype_of(var)) if dtype_of(var).startswith("int") else None
    scaled = values * math.ldexp(1.0, -source[0])
    if not np.array_equal(scaled, np.rint(scaled)) or np.abs(scaled).max() > 127:
        return None
    return Integers(scaled.astype(np.int8), source[0], "int8").expression(axis=1)
