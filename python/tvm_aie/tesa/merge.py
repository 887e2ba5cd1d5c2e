"""Constant channels in front of a padded convolution: a few carriers stand for all of them.

A constant c behind zero padding is c inside the image and 0 in the border, so it cannot move into the bias. But all
constant channels of a tensor look alike: only ``T = sum(w_k * c_k)`` per output channel and tap matters.

Before: k channels with constants c_1 .. c_k           After: carriers with the constants h and 1
    T = w_1*c_1 + ... + w_k*c_k                            T = h*(a_1 + ... + a_n) + r      a_i, r in int8

The constants of the carriers are written by the biases of the empty filters in front. Safe when those filters are
read by this convolution alone. The sums are the same integers at every pixel, so outputs are bit-identical.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.tesa.facts import dtype_range
from tvm_aie.tesa.fold import bias_expression, constant_inputs
from tvm_aie.tesa.ir import const_array, number, op_name
from tvm_aie.tesa.layers import Graph, Layer, layers_of
from tvm_aie.tesa.propagation import Propagation
from tvm_aie.tesa.quantised import Int64, Integers, scale_exponent
from tvm_aie.tesa.rewrite import Rewriter
from tvm_aie.tesa.slots import BLOCK

LIMIT = 127


def merge_constants(result: Propagation) -> tuple[Any, int]:
    """Merge where at least one block of channels is saved; the new function and how many channels became free."""
    graph, rewriter = Graph.of(result.func), Rewriter(result.func)
    layers = list(layers_of(result, graph))
    by_sum = {layer.bias_var: layer for layer in layers if layer.bias_var is not None}
    freed = 0
    for layer in layers:
        if layer.is_conv and layer.padded and layer.groups == 1 and layer.data is not None:
            freed += _merge(result, graph, layer, by_sum, rewriter)
    return (rewriter.run(), freed) if freed else (result.func, 0)


def _source(graph: Graph, layer: Layer, by_sum: dict[Any, Layer]) -> tuple[Layer, int] | None:
    """The layer that alone writes the operand of ``layer`` (and is read by it alone), and the largest carrier."""
    var, highest, scale = layer.call.args[0], float(LIMIT), 0
    wanted = ["dequantize", "quantize"]
    while True:
        value = graph.values.get(var)
        if value is None or graph.sole_user(var) is None:
            return None
        name = op_name(value)
        if wanted:
            if name != wanted.pop(0):
                return None
            if name == "quantize":
                found = scale_exponent(value.args[1])
                points = const_array(value.args[2]).ravel()
                if found is None or layer.data is None or (found, int(points[0])) != layer.data or points.size != 1:
                    return None
                scale = found  # a carrier must not saturate, whatever the zero point
                highest = min(highest, dtype_range(str(value.attrs.out_dtype))[1] - layer.data[1])
        elif name == "clip":
            if number(value.args[1]) > math.ldexp(1.0, scale):  # the carrier 1 would not come through
                return None
            highest = min(highest, math.floor(number(value.args[2]) * math.ldexp(1.0, -scale)))
        elif var in by_sum and op_name(by_sum[var].call):
            sole = graph.sole_user(by_sum[var].use.var)
            return (by_sum[var], int(highest)) if sole is not None and highest >= 1 else None
        elif name != "nn.relu":
            return None
        var = value.args[0]


def _carriers(total: Int64, high: int) -> list[npt.NDArray[np.int64]]:
    """Weights of the carriers: of the constant 1 first, then of as many constants ``high`` as it takes."""
    times = np.rint(total / high).astype(np.int64)
    rest = total - times * high
    weights = [rest]
    while times.any():
        part = np.clip(times, -LIMIT, LIMIT)
        weights.append(part)
        times = times - part
    return weights


def _merge(result: Propagation, graph: Graph, layer: Layer, by_sum: dict[Any, Layer], rewriter: Rewriter) -> int:
    constants = constant_inputs(result, replace_padding(layer))
    # a constant that no weight reads (a carrier's work done, a channel that stays for alignment) is not merged again
    constants = {c: v for c, v in constants.items() if layer.weight.values[:, c].any()}
    found = _source(graph, layer, by_sum) if len(constants) > BLOCK else None
    if found is None or layer.data is None:
        return 0
    writer, high = found
    weight = layer.weight.values.astype(np.int64)
    total = np.zeros((weight.shape[0], *weight.shape[2:]), np.int64)
    for channel, constant in constants.items():
        total += weight[:, channel] * constant
    carriers = _carriers(total, high)
    empty = [c for c in constants if not writer.weight.values[c].any()]
    if (
        np.abs(carriers[0]).max(initial=0) > LIMIT
        or len(carriers) > len(empty)
        or len(carriers) + BLOCK > len(constants)
    ):
        return 0
    places = _places(result, layer, empty, set(constants), len(carriers))
    bias = _with_constants(writer, layer.data[0], {p: high if i else 1 for i, p in enumerate(places)})
    if bias is None or writer.bias_var in rewriter.arguments or layer.use.var in rewriter.arguments:
        return 0
    for channel in constants:
        weight[:, channel] = 0
    for place, part in zip(places, carriers, strict=True):
        weight[:, place] = part
    rewriter.replace_argument(layer.use.var, 1, layer.weight.with_values(weight).expression())
    add = graph.values[writer.bias_var]
    position = 1 if add.args[0].same_as(writer.use.var) else 0
    rewriter.replace_argument(writer.bias_var, position, bias_expression(writer, bias))
    return len(constants) - len(carriers)


def replace_padding(layer: Layer) -> Layer:
    """The layer seen as one without padding: its constants may be asked for."""
    return replace(layer, ignore_padding=True)


def _places(result: Propagation, layer: Layer, empty: list[int], constant: set[int], count: int) -> list[int]:
    """Where the carriers go: into blocks of 8 that stay anyway, then into as few others as possible."""
    fact = result.fact(layer.call.args[0])
    channels = fact.shape[1]
    known = np.broadcast_to(fact.known.all(axis=tuple(a for a in range(len(fact.shape)) if a != 1)), (channels,))
    stays = [not known[b : b + BLOCK].all() for b in range(0, channels, BLOCK)]
    return sorted(empty, key=lambda c: (not stays[c // BLOCK], c))[:count]


def _with_constants(writer: Layer, exponent: int, wanted: dict[int, int]) -> Integers | None:
    """The bias of ``writer`` so that its channels ``wanted`` come out as these constants."""
    if writer.bias is None or writer.bias.exponent is None or writer.product is None:
        return None
    lsb = min(writer.product, writer.bias.exponent)
    if exponent < lsb:
        return None
    base = np.broadcast_to(writer.bias.values.astype(np.int64).ravel(), (writer.out_channels,))
    values = base << (writer.bias.exponent - lsb)
    for channel, constant in wanted.items():
        values[channel] = constant << (exponent - lsb)
    if int(np.abs(values).max(initial=0)) > np.iinfo(np.int32).max:
        return None
    return Integers(values.astype(np.int32), lsb, "int32")
