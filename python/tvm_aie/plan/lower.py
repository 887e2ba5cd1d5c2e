"""Stage 5: one external function (a chain of ``aie2`` composites) becomes a ``LayerGraph``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tvm import relax

from tvm_aie.errors import TvmAieError
from tvm_aie.plan.graph import (
    Add,
    AvgDivisor,
    Concat,
    Conv,
    GraphIO,
    Layer,
    LayerGraph,
    Permute,
    Pool,
    Requant,
    Tensor,
    Upsample,
)
from tvm_aie.relax.average import rationals
from tvm_aie.relax.canonical import dtype_of, shape_of
from tvm_aie.relax.integer import Bounds, bounds, conv_terms, conv_weight, exponent
from tvm_aie.relax.view import Analysis, OpView


class LoweringError(TvmAieError):
    """The rules accepted what the lowering cannot express: a fault of this package."""


class _Lowering:
    """Walks the composites of one region in order and appends layers."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self.names: dict[Any, str] = {}  # region variable -> tensor name
        self.operators: dict[str, str] = {}  # layer -> operator of the network that it is, or is part of
        self.used: set[str] = set()

    def unique(self, hint: str) -> str:
        """A name not used yet."""
        name, count = hint, 0
        while name in self.used:
            count += 1
            name = f"{hint}_{count}"
        self.used.add(name)
        return name

    def tensor(self, hint: str, dims: tuple[int, int, int], exp: int) -> str:
        """Declare a tensor."""
        name = self.unique(hint)
        self.tensors[name] = Tensor(name, *dims, exp)
        return name

    def dims(self, name: str) -> tuple[int, int, int]:
        """Channels, height and width of a declared tensor."""
        t = self.tensors[name]
        return t.channels, t.height, t.width

    def requantised(self, name: str, to: int, hint: str, clip: Bounds | None = None) -> str:
        """``name`` at exponent ``to``, through an ``Add`` of one operand when the scale or bounds ask for it."""
        clip = clip or Bounds()
        shift = to - self.tensors[name].exponent
        if shift == 0 and clip == Bounds():
            return name
        out = self.tensor(f"{hint}_requant", self.dims(name), to)
        requant = Requant(shift, clip.lo, clip.hi, clip.negative_mul)
        self.layers.append(Add(self.unique(f"{hint}.requant"), name, None, out, 0, 0, requant))
        return out

    def copied(self, name: str) -> str:
        """A copy of a tensor."""
        out = self.tensor(f"{name}_copy", self.dims(name), self.tensors[name].exponent)
        self.layers.append(Add(self.unique(f"{name}.copy"), name, None, out, 0, 0, Requant(0)))
        return out

    def add(self, layer: Layer) -> None:
        """Append a layer."""
        self.layers.append(layer)


def _dims(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(C, H, W) of a host shape (N, C, H, W) or (N, K)."""
    if len(shape) == 4:
        return shape[1], shape[2], shape[3]
    return math.prod(shape[1:]), 1, 1


def _bits(dtype: str) -> int:
    return 16 if dtype == "int16" else 8


def _conv(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    terms, weight = conv_terms(view), conv_weight(view)
    g, source = view.geometry, low.tensors[inputs[0]]
    groups = g.groups
    if view.kind == "dense":
        weight = weight.reshape(weight.shape[0], source.channels, source.height, source.width)
    elif view.kind in ("channel_mul", "channel_add"):
        groups = weight.shape[0]
        if len(view.out_shape) == 2 and source.elements != source.channels:
            raise LoweringError(f"{name}: per-channel operator on a flattened image")
    exp = exponent(view.output)
    out = low.tensor(name, (0, 0, 0), exp)
    requant = Requant(terms.shift, clip.lo, clip.hi, clip.negative_mul)
    layer = Conv(low.unique(f"{name}.conv"), inputs[0], out, weight, terms.bias, terms.acc_shift, requant,
                 g.stride, g.pads, g.dilation, groups)  # fmt: skip
    low.tensors[out] = Tensor(out, *_dims(view.out_shape), exp, _bits(view.output.dtype if view.output else ""))
    low.add(layer)
    return out


def _add(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    exponents = [low.tensors[i].exponent for i in inputs]
    lsb = min(exponents)
    exp = exponent(view.output)
    out = low.tensor(name, low.dims(inputs[0]), exp)
    requant = Requant(exp - lsb, clip.lo, clip.hi, clip.negative_mul)
    b = inputs[1] if len(inputs) == 2 else None
    b_shift = 0 if b is None else exponents[1] - lsb
    low.add(Add(low.unique(f"{name}.add"), inputs[0], b, out, exponents[0] - lsb, b_shift, requant))
    return out


def _max_pool(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    g, source = view.geometry, low.tensors[inputs[0]]
    exp = exponent(view.output)
    same = source.exponent == exp
    out = low.tensor(name if same else f"{name}_pool", _dims(view.out_shape), source.exponent)
    lo, hi = (clip.lo, clip.hi) if same else (-128, 127)
    low.add(Pool(low.unique(f"{name}.max_pool"), inputs[0], out, g.kernel, g.stride, g.pads, (), lo, hi, g.dilation))
    return out if same else low.requantised(out, exp, name, clip)


def _avg_pool(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    g, source = view.geometry, low.tensors[inputs[0]]
    exp, dims = exponent(view.output), _dims(view.out_shape)
    rows = rationals(g, (source.height, source.width), dims[1:], view.factor, exp - source.exponent)
    if isinstance(rows, int):
        raise LoweringError(f"{name}: no exact rational for a division by {rows}")
    divisors = tuple(AvgDivisor(r.count, r.mult, r.shift) for r in rows)
    out = low.tensor(name, dims, exp)
    low.add(Pool(low.unique(f"{name}.avg_pool"), inputs[0], out, g.kernel, g.stride, g.pads, divisors,
                 clip.lo, clip.hi, g.dilation))  # fmt: skip
    return out


def _concat(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    exp = exponent(view.output)
    parts = tuple(low.requantised(part, exp, f"{name}_{i}", clip) for i, part in enumerate(inputs))
    if len(parts) == 1:
        return parts[0]
    out = low.tensor(name, _dims(view.out_shape), exp)
    low.add(Concat(low.unique(f"{name}.concat"), parts, out))
    return out


def _upsample(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    source, dims = low.tensors[inputs[0]], _dims(view.out_shape)
    out = low.tensor(name, dims, source.exponent)
    factors = (dims[1] // source.height, dims[2] // source.width)
    low.add(Upsample(low.unique(f"{name}.upsample"), inputs[0], out, factors))
    return low.requantised(out, exponent(view.output), name, clip)


def _permute(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    assert view.order is not None
    out = low.tensor(name, _dims(view.out_shape), low.tensors[inputs[0]].exponent)
    low.add(Permute(low.unique(f"{name}.permute"), inputs[0], out, view.order))
    return out


def _layout(low: _Lowering, view: OpView, name: str, inputs: list[str], clip: Bounds) -> str:
    return inputs[0]  # only a new name: the consumer reads the same tensor


_LOWER: dict[str, Callable[[_Lowering, OpView, str, list[str], Bounds], str]] = {
    "conv2d": _conv,
    "dense": _conv,
    "channel_mul": _conv,
    "channel_add": _conv,
    "add": _add,
    "activation": _add,
    "requantize": _add,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "concat": _concat,
    "upsample": _upsample,
    "permute": _permute,
    "layout": _layout,
}


@dataclass(frozen=True)
class _Composite:
    """One call of a composite function in the region."""

    var: Any
    args: tuple[Any, ...]
    params: tuple[Any, ...]
    view: OpView
    name: str


def _composites(func: Any) -> list[_Composite]:
    """The composite calls of an external function, in order, each parsed back into its view."""
    bodies: dict[Any, Any] = {}
    found = []
    for block in func.body.blocks:
        for binding in block.bindings:
            value = binding.value
            if isinstance(value, relax.Function):
                bodies[binding.var] = value
            elif not isinstance(value, relax.Var | relax.Tuple):
                body = bodies[value.op]
                views = Analysis(body).views
                if len(views) != 1:
                    raise LoweringError(f"composite {body.attrs['Composite']} holds {len(views)} operators")
                name = str(body.attrs.get("aie2_name", views[0].name))
                found.append(_Composite(binding.var, tuple(value.args), tuple(body.params), views[0], name))
    return found


def _region_exponents(composites: list[_Composite]) -> dict[Any, int]:
    """Exponent of each region variable, from its readers and writers; layout operators pass it through."""
    known: dict[Any, int] = {}
    for item in composites:
        if item.view.kind not in ("layout", "permute"):
            for source in item.view.inputs:
                known[item.args[_position(item, source.var)]] = exponent(source.quant)
            known[item.var] = exponent(item.view.output)
    for sweep in (composites, composites[::-1]):
        for item in sweep:
            if item.view.kind in ("layout", "permute"):
                for left, right in ((item.args[0], item.var), (item.var, item.args[0])):
                    if left in known:
                        known.setdefault(right, known[left])
    return known


def _position(item: _Composite, var: Any) -> int:
    return next(i for i, p in enumerate(item.params) if p.same_as(var))


def lower_function(func: Any, name: str | None = None) -> LayerGraph:
    """The ``LayerGraph`` of one external function."""
    return lower_named(func, name)[0]


def lower_named(func: Any, name: str | None = None) -> tuple[LayerGraph, dict[str, str]]:
    """The ``LayerGraph`` of one external function, and of each layer the name of the operator that it comes from."""
    graph_name = name or str(func.attrs["global_symbol"])
    low = _Lowering(graph_name)
    composites = _composites(func)
    exponents = _region_exponents(composites)
    inputs: list[GraphIO] = []
    for param in func.params:
        shape = shape_of(param)
        tensor = low.tensor(str(param.name), _dims(shape), exponents.get(param, 0))
        low.tensors[tensor] = replace(low.tensors[tensor], bits=_bits(dtype_of(param)))
        low.names[param] = tensor
        inputs.append(GraphIO(tensor, shape, dtype_of(param)))
    for item in composites:
        sources = [low.names[item.args[_position(item, s.var)]] for s in item.view.inputs]
        clip = bounds(item.view.activation, item.view.output) if item.view.output is not None else Bounds()
        first = len(low.layers)
        low.names[item.var] = _LOWER[item.view.kind](low, item.view, item.name, sources, clip)
        low.operators |= {layer.name: item.name for layer in low.layers[first:]}
    outputs: list[GraphIO] = []
    for var in _results(func):
        tensor = low.names[var]
        if tensor in {io.tensor for io in (*inputs, *outputs)}:  # every output is a tensor of its own
            writer = next((n.name for n in low.layers if n.output == tensor), "")
            tensor = low.copied(tensor)
            low.operators |= {low.layers[-1].name: low.operators[writer]} if writer else {}
        outputs.append(GraphIO(tensor, shape_of(var), dtype_of(var)))
    graph = LayerGraph(graph_name, low.tensors, tuple(low.layers), tuple(inputs), tuple(outputs))
    graph.verify()
    return graph, low.operators


def _results(func: Any) -> list[Any]:
    """Variables that the region returns."""
    aliases: dict[Any, Any] = {}
    for block in func.body.blocks:
        for binding in block.bindings:
            if isinstance(binding.value, relax.Var | relax.Tuple):
                aliases[binding.var] = binding.value

    def resolve(expr: Any) -> list[Any]:
        while expr in aliases:
            expr = aliases[expr]
        if isinstance(expr, relax.Tuple):
            return [v for field in expr.fields for v in resolve(field)]
        return [expr]

    return resolve(func.body.body)
