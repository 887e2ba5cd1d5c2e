"""Weighted layers of a function as elimination and the report see them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask
from tvm_aie.tesa.ir import bindings_of, is_tensor, op_name, shape_of, variables
from tvm_aie.tesa.propagation import Propagation, WeightUse
from tvm_aie.tesa.quantised import Integers, dequantized, integers_of


@dataclass(frozen=True, eq=False)
class Graph:
    """Bindings, users and producers of one function."""

    values: dict[Any, Any]
    users: dict[Any, list[Any]] = field(repr=False)
    results: tuple[Any, ...]

    @staticmethod
    def of(func: Any) -> Graph:
        """Read a function."""
        values = dict(bindings_of(func))
        users: dict[Any, list[Any]] = {}
        for var, value in values.items():
            for used in set(variables(value)):
                users.setdefault(used, []).append(var)
        return Graph(values, users, tuple(variables(func.body.body)))

    def sole_user(self, var: Any) -> Any:
        """The only binding that reads ``var``; None when there are more, or it is a result."""
        users = self.users.get(var, [])
        return users[0] if len(users) == 1 and var not in self.results else None


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or matrix product with constant weights, exact integers inside."""

    use: WeightUse
    name: str
    call: Any
    weight: Integers
    data: tuple[int, int] | None  # exponent and zero point of the quantised operand; None: an integer network
    bias_var: Any  # the add behind it, None without one
    bias: Integers | None
    ignore_padding: bool = False  # ask for constants as if there were none

    @property
    def is_conv(self) -> bool:
        """Convolution (weights out, in, kh, kw) or matrix product (weights in, out)."""
        return op_name(self.call) == "nn.conv2d"

    @property
    def groups(self) -> int:
        """Groups of a convolution, 1 for a matrix product."""
        return int(self.call.attrs.groups) if self.is_conv else 1

    @property
    def padded(self) -> bool:
        """True when zero padding meets the weights."""
        return self.is_conv and any(int(p) for p in self.call.attrs.padding)

    @property
    def out_channels(self) -> int:
        """Number of output channels."""
        return int(self.weight.values.shape[0 if self.is_conv else 1])

    @property
    def product(self) -> int | None:
        """Exponent of one unit of the accumulator."""
        if self.data is None or self.weight.exponent is None:
            return None
        return self.data[0] + self.weight.exponent

    def matrix(self, mask: Mask | None = None) -> Mask:
        """Non-zero (and unmasked) weights as (out, in per group), taps joined."""
        values = self.weight.values if mask is None else np.where(mask, self.weight.values, 0)
        if not self.is_conv:
            return np.asarray(values.T != 0)
        return np.asarray((values.reshape(*values.shape[:2], -1) != 0).any(axis=2))

    @property
    def pixels(self) -> int:
        """How often each weight is used."""
        shape = shape_of(self.call)
        return math.prod(shape) // shape[1 if self.is_conv else -1]


def layers_of(result: Propagation, graph: Graph) -> Iterator[Layer]:
    """The weighted layers on which elimination works, in program order."""
    places = {var: i for i, var in enumerate(result.order)}
    for use in sorted(result.weights.values(), key=lambda u: places[u.var]):
        layer = layer_of(result, graph, use)
        if layer is not None:
            yield layer


def layer_of(result: Propagation, graph: Graph, use: WeightUse) -> Layer | None:
    """One layer; None when its arithmetic is not exact integers."""
    call = result.nodes[use.var].call
    if op_name(call) not in ("nn.conv2d", "matmul"):
        return None
    if len(use.operand.shape) not in (2, 4) or len(shape_of(call)) != len(use.operand.shape):
        return None
    weight = integers_of(call.args[use.position], result.constants)
    data = None
    if weight is not None and weight.exponent is not None:
        data = dequantized(graph.values.get(call.args[0]))
        if data is None:
            return None
    if weight is None:
        return None
    name, bias_var, bias = str(use.var.name), None, None
    user = graph.sole_user(use.var)
    if user is not None and op_name(graph.values[user]) == "add" and is_tensor(user):
        found = _bias_operand(result, graph.values[user], use.var, data is None)
        if found is not None and shape_of(user) == shape_of(use.var):
            bias_var, bias = user, found
            name = str(user.name)
    return Layer(use, name, call, weight, data, bias_var, bias)


def _bias_operand(result: Propagation, add: Any, conv: Any, integer: bool) -> Integers | None:
    """The constant of ``conv + constant`` when it has one value, or one per output channel."""
    other = add.args[1] if add.args[0].same_as(conv) else add.args[0]
    if not result.constants.is_constant(other):
        return None
    found, out = integers_of(other, result.constants), shape_of(conv)
    if found is None or (found.exponent is None) != integer:
        return None
    shape = found.values.shape
    padded = (1,) * (len(out) - len(shape)) + tuple(shape)
    channels = 1
    per_channel = len(padded) == len(out) and all(d in ((1, out[i]) if i == channels else (1,))
                                                  for i, d in enumerate(padded))  # fmt: skip
    return found if per_channel else None
