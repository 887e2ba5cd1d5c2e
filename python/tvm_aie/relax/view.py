"""The analysis of stage 4: each operator of a canonical QDQ function as an ``OpView``.

A view gathers what becomes one composite function: the dequantized operands, the operator, bias,
activation and the quantize at the end. The rules judge it, the lowering translates it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_aie.relax.canonical import LAYOUT_OPS, const_array, dtype_of, is_call, is_const, shape_of, tag_of

Shape = tuple[int, ...]
QUANTISED = ("int8", "uint8")
FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Quant:
    """Parameters of a quantize or dequantize."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    dtype: str

    @property
    def exponent(self) -> int | None:
        """e when the one scale is 2**e, otherwise None."""
        if len(self.scales) != 1 or not math.isfinite(self.scales[0]) or self.scales[0] <= 0:
            return None
        mantissa, exponent = math.frexp(self.scales[0])
        return exponent - 1 if mantissa == 0.5 else None


@dataclass(frozen=True)
class Source:
    """A data operand. ``var`` is the quantised tensor, None when the operand is not a dequantize of one."""

    var: Any
    quant: Quant | None
    shape: Shape


@dataclass(frozen=True, eq=False)
class Weight:
    """A constant operand; ``quant`` None when it is plain float."""

    value: np.ndarray[Any, Any] = field(repr=False)
    quant: Quant | None


@dataclass(frozen=True)
class Activation:
    """relu is clip(0, inf); leaky has ``alpha``."""

    lo: float = -math.inf
    hi: float = math.inf
    alpha: float | None = None


@dataclass(frozen=True)
class Geometry:
    """Window of a convolution or pooling. pads: top, left, bottom, right (ceil mode is in ``pads``)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    include_pad: bool = False
    ceil_mode: bool = False


@dataclass(frozen=True, eq=False)
class OpView:
    """One operator with everything that is fused into it."""

    kind: str
    name: str
    operator: str
    anchor: Any
    root: Any
    root_var: Any
    inputs: tuple[Source, ...]
    output: Quant | None
    out_shape: Shape
    weight: Weight | None = None
    bias: Weight | None = None
    activation: Activation | None = None
    factor: float | None = None
    geometry: Geometry = Geometry()
    axis: int = 1
    order: tuple[int, ...] | None = None
    members: tuple[Any, ...] = ()

    @property
    def tag(self) -> int:
        """Identifies the operator through TVM's rewriting."""
        return tag_of(self.root)

    @property
    def macs(self) -> int:
        """Multiply-accumulates (true ones: no padding, no dead blocks taken off)."""
        if self.kind != "dense" and not re.fullmatch(r"conv[123]d(_transpose)?", self.kind):
            return 0
        data, weight = shape_of(self.anchor.args[0]), shape_of(self.anchor.args[1])
        if self.kind == "dense":
            return math.prod(self.out_shape) * data[-1]
        return math.prod(data if self.kind.endswith("transpose") else self.out_shape) * math.prod(weight[1:])


_ANCHORS = {
    "relax.nn.conv2d": "conv2d",
    "relax.matmul": "dense",
    "relax.add": "add",
    "relax.multiply": "multiply",
    "relax.nn.max_pool2d": "max_pool",
    "relax.nn.avg_pool2d": "avg_pool",
    "relax.nn.adaptive_avg_pool2d": "avg_pool",
    "relax.mean": "avg_pool",
    "relax.concat": "concat",
    "relax.image.resize2d": "upsample",
    "relax.nn.relu": "activation",
    "relax.clip": "activation",
    "relax.nn.leakyrelu": "activation",
}
_ACTIVATIONS = ("relax.nn.relu", "relax.clip", "relax.nn.leakyrelu")


def activation_of(call: Any) -> Activation:
    """Read relu, clip or leakyrelu."""
    if call.op.name == "relax.nn.relu":
        return Activation(lo=0.0)
    if call.op.name == "relax.clip":
        lo, hi = (float(getattr(call.args[i], "value", call.args[i])) for i in (1, 2))
        return Activation(lo if lo > -FLOAT_MAX else -math.inf, hi if hi < FLOAT_MAX else math.inf)
    return Activation(alpha=float(call.attrs.alpha))


def read_quant(call: Any) -> Quant | None:
    """Scale and zero point of a quantize or dequantize; None when they are not constants."""
    if not (is_const(call.args[1]) and is_const(call.args[2])):
        return None
    data_type = dtype_of(call.args[0]) if call.op.name == "relax.dequantize" else str(call.attrs.out_dtype)
    scales = tuple(float(s) for s in const_array(call.args[1]).ravel())
    zeros = tuple(int(z) for z in const_array(call.args[2]).ravel())
    return Quant(scales, zeros, data_type)


class Analysis:
    """Bindings, values and users of one function, and the views found in it."""

    def __init__(self, func: Any) -> None:
        """Analyse a function in canonical form."""
        self.func = func
        self.values: dict[Any, Any] = {}
        self.order: list[Any] = []
        self.users: dict[Any, list[Any]] = {}
        for block in func.body.blocks:
            for binding in block.bindings:
                self.values[binding.var] = binding.value
                self.order.append(binding.var)
                for used in set(_variables(binding.value)):
                    self.users.setdefault(used, []).append(binding.var)
        for used in _variables(func.body.body):
            self.users.setdefault(used, []).append(None)
        self.taken: set[Any] = set()
        self.views = [view for var in self.order if (view := self.view(var)) is not None]
        self.by_anchor = {tag_of(view.anchor): view for view in self.views}

    def sole_user(self, var: Any, *names: str) -> Any:
        """The variable of the only user of ``var`` when that calls one of ``names``."""
        users = self.users.get(var, [])
        if len(users) == 1 and users[0] is not None and is_call(self.values[users[0]], *names):
            return users[0]
        return None

    def source(self, arg: Any) -> Source:
        """A data operand."""
        value: Any = self.values.get(arg)
        if is_call(value, "relax.dequantize") and not is_const(value.args[0]):
            return Source(value.args[0], read_quant(value), shape_of(arg))
        return Source(None, None, shape_of(arg))

    def constant(self, arg: Any) -> Weight | None:
        """A constant operand, dequantized or float."""
        if is_const(arg):
            return Weight(const_array(arg), None)
        value: Any = self.values.get(arg)
        if is_call(value, "relax.permute_dims"):
            inner = self.constant(value.args[0])
            return None if inner is None else Weight(apply_layout(value, inner.value), inner.quant)
        if is_call(value, "relax.dequantize") and is_const(value.args[0]):
            return Weight(const_array(value.args[0]), read_quant(value))
        return None

    def view(self, var: Any) -> OpView | None:
        """The view anchored at ``var``; None for glue and for what another view has taken."""
        value = self.values[var]
        if var in self.taken or not is_call(value):
            return None
        name = value.op.name
        if name in LAYOUT_OPS:
            return None if self.constant(var) is not None else self.layout_view(var, value)
        if name == "relax.dequantize":
            return self.requantize_view(var, value)
        if name == "relax.quantize":
            return None
        return _Fuser(self, var, value).build()

    def layout_view(self, var: Any, value: Any) -> OpView:
        """Reshapes, transposes and slices of a quantised tensor, joined until they mean something."""
        source = value.args[0]
        chain, first = [var], var
        order = channel_order(self, chain)
        while order is None and len(chain) < 4:
            following = self.sole_user(chain[-1], *LAYOUT_OPS)
            if following is None:
                break
            chain.append(following)
            order = channel_order(self, chain)
        if order is None:
            chain = [first]
        self.taken.update(chain)
        root = self.values[chain[-1]]
        quant: Quant | None = Quant((1.0,), (128,) if dtype_of(var) == "uint8" else (0,), dtype_of(var))
        kind = "permute" if order else "layout"
        if dtype_of(var) not in QUANTISED:
            quant, kind = None, value.op.name.removeprefix("relax.")
        inputs = (Source(source if isinstance(source, relax.Var) else None, quant, shape_of(source)),)
        return OpView(kind, first.name, value.op.name, value, root, chain[-1], inputs, quant,
                      shape_of(chain[-1]), order=order, members=tuple(chain))  # fmt: skip

    def requantize_view(self, var: Any, value: Any) -> OpView | None:
        """``quantize(dequantize(x))``."""
        user = self.sole_user(var, "relax.quantize")
        if user is None or is_const(value.args[0]):
            return None
        root = self.values[user]
        self.taken.update((var, user))
        return OpView("requantize", user.name, "relax.quantize", root, root, user, (self.source(var),),
                      read_quant(root), shape_of(user), members=(var, user))  # fmt: skip


def _variables(expr: Any) -> Iterator[Any]:
    """Variables that ``expr`` reads, one level of tuples and calls deep."""
    if isinstance(expr, relax.Var):
        yield expr
    elif isinstance(expr, tvm.ir.Call):
        for arg in expr.args:
            yield from _variables(arg)
    elif isinstance(expr, relax.Tuple):
        for item in expr.fields:
            yield from _variables(item)
    elif isinstance(expr, relax.TupleGetItem):
        yield from _variables(expr.tuple_value)
    elif isinstance(expr, relax.SeqExpr | relax.If | relax.Function):
        yield from relax.analysis.free_vars(expr)


class _Fuser:
    """Collects bias, factor, activation and quantize behind one anchor."""

    def __init__(self, analysis: Analysis, var: Any, call: Any) -> None:
        """Start at ``var``, bound to the operator ``call``."""
        self.analysis, self.var, self.call = analysis, var, call
        self.cursor = var
        self.members = [var]
        self.kind = _ANCHORS.get(call.op.name, "")
        if not self.kind or (self.kind == "avg_pool" and not _is_image_average(call, shape_of(var))):
            self.kind = call.op.name.removeprefix("relax.").removeprefix("nn.").removeprefix("image.")
        self.name = str(var.name)
        self.weight: Weight | None = None
        self.inputs: tuple[Source, ...] = ()

    def step(self, *names: str) -> Any:
        """Take the sole user when it calls one of ``names``; returns its call."""
        user = self.analysis.sole_user(self.cursor, *names)
        if user is None or user in self.analysis.taken:
            return None
        self.cursor = user
        self.members.append(user)
        return self.analysis.values[user]

    def operands(self) -> None:
        """Split the arguments into data and one constant."""
        call, look = self.call, self.analysis
        if self.kind == "concat":
            fields = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else []
            self.inputs = tuple(look.source(f) for f in fields)
            return
        tensors = [a for a in call.args if hasattr(a.ty, "dtype") and hasattr(a.ty, "shape")]
        if self.kind in ("conv2d", "dense", "add", "multiply") and len(tensors) == 2:
            self.weight = look.constant(tensors[1])
            if self.weight is not None:
                tensors = tensors[:1]
                self.kind = {"add": "channel_add", "multiply": "channel_mul"}.get(self.kind, self.kind)
        self.inputs = tuple(look.source(t) for t in tensors)

    def take_bias(self) -> Weight | None:
        """The add of a constant behind a convolution or matmul."""
        if self.kind not in ("conv2d", "dense"):
            return None
        user = self.analysis.sole_user(self.cursor, "relax.add")
        if user is None:
            return None
        bias = self.analysis.constant(self.analysis.values[user].args[1])
        if bias is not None:
            self.step("relax.add")
            if self.name.startswith("lv"):
                self.name = str(user.name)
        return bias

    def take_factor(self) -> float | None:
        """The scalar multiply that XINT8 puts behind an average pool."""
        user = self.analysis.sole_user(self.cursor, "relax.multiply") if self.kind == "avg_pool" else None
        factor = self.analysis.constant(self.analysis.values[user].args[1]) if user is not None else None
        if factor is None or factor.value.size != 1:
            return None
        self.step("relax.multiply")
        value = float(factor.value.ravel()[0])
        if factor.quant is not None:
            value = float(np.float32((value - factor.quant.zero_points[0]) * factor.quant.scales[0]))
        return value

    def build(self) -> OpView:
        """The finished view."""
        self.operands()
        bias, factor = self.take_bias(), self.take_factor()
        activation = activation_of(self.call) if self.kind == "activation" else None
        if activation is None and self.kind in FUSED_KINDS:
            act = self.step(*_ACTIVATIONS)
            activation = activation if act is None else activation_of(act)
        last = self.step("relax.quantize") if self.kind in FUSED_KINDS else None
        self.analysis.taken.update(self.members)
        out_shape = shape_of(self.cursor) if hasattr(self.cursor.ty, "shape") else ()
        return OpView(
            self.kind, self.name, self.call.op.name, self.call, self.analysis.values[self.cursor], self.cursor,
            self.inputs, read_quant(last) if last is not None else None, out_shape, self.weight, bias, activation,
            factor, geometry_of(self.call, self.inputs, shape_of(self.var) if self.kind in FUSED_KINDS else ()),
            int(self.call.attrs.axis) if self.kind == "concat" else 1, members=tuple(self.members),
        )  # fmt: skip


FUSED_KINDS = frozenset(_ANCHORS.values()) | {"channel_add", "channel_mul"}


def _is_image_average(call: Any, out: Shape) -> bool:
    """False for a mean over other axes than height and width, or an adaptive pool to more than one value."""
    if call.op.name == "relax.mean":
        rank = len(shape_of(call.args[0]))
        return rank == 4 and call.attrs.axis is not None and sorted(int(a) % rank for a in call.attrs.axis) == [2, 3]
    return call.op.name != "relax.nn.adaptive_avg_pool2d" or out[2:] == (1, 1)


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[1]))


def geometry_of(call: Any, inputs: tuple[Source, ...], out: Shape) -> Geometry:
    """Window of a convolution or pooling call."""
    name, attrs = call.op.name, call.attrs
    if name in ("relax.mean", "relax.nn.adaptive_avg_pool2d"):
        return Geometry(kernel=_pair(inputs[0].shape[2:])) if len(inputs[0].shape) == 4 else Geometry()
    if name not in ("relax.nn.conv2d", "relax.nn.max_pool2d", "relax.nn.avg_pool2d"):
        return Geometry()
    conv = name == "relax.nn.conv2d"
    kernel = _pair(shape_of(call.args[1])[2:]) if conv else _pair(attrs.pool_size)
    stride, dilation = _pair(attrs.strides), _pair(attrs.dilation)
    pads = [int(p) for p in attrs.padding]
    ceil = not conv and bool(attrs.ceil_mode)
    for axis in range(2):  # ceil mode: the padding behind that makes floor mode give the same length
        need = (out[2 + axis] - 1) * stride[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        if ceil:
            pads[2 + axis] = max(pads[2 + axis], need - inputs[0].shape[2 + axis] - pads[axis])
    include = not conv and bool(attrs.count_include_pad)
    groups = int(attrs.groups) if conv else 1
    return Geometry(kernel, stride, (pads[0], pads[1], pads[2], pads[3]), dilation, groups, include, ceil)


def channel_order(analysis: Analysis, chain: list[Any]) -> tuple[int, ...] | None:
    """What a chain of layout operators does: () = only a new name for the same order of elements that the
    array can keep, a channel permutation otherwise, None when it is neither.
    """
    source = analysis.values[chain[0]].args[0]
    shape, out = shape_of(source), shape_of(chain[-1])
    if not out or out[0] != shape[0] or dtype_of(source) not in QUANTISED:
        return None
    index = np.arange(math.prod(shape)).reshape(shape)
    for var in chain:
        index = apply_layout(analysis.values[var], index)
    images = index.reshape(shape[0], -1)
    index, size = images[0], math.prod(shape[1:])
    if not np.array_equal(images, index + np.arange(shape[0])[:, None] * size):
        return None  # images of a batch are not kept apart
    if index.size == size and np.array_equal(index, np.arange(size)):
        # An image stays one, also as a vector (``partition.reject_vectors``); a vector is an image of one pixel.
        plain = len(out) == 2 or out == shape or math.prod(out[1:]) == out[1] == shape[1]
        return () if plain and (len(shape) == 4 or shape[1] == size) else None
    if len(shape) != 4 or len(out) != 4 or shape[2:] != out[2:]:
        return None
    pixels = shape[2] * shape[3]
    rows = index.reshape(out[1], pixels)
    order = rows[:, 0] // pixels
    if not np.array_equal(rows, order[:, None] * pixels + np.arange(pixels)):
        return None
    return tuple(int(c) for c in order)


def apply_layout(call: Any, data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Evaluate a layout operator with numpy."""
    if call.op.name == "relax.permute_dims":
        axes = None if call.attrs.axes is None else [int(a) for a in call.attrs.axes]
        return np.transpose(data, axes)
    if call.op.name == "relax.strided_slice":
        axes, begin, end = ([int(v) for v in call.args[i]] for i in (1, 2, 3))
        steps = [int(v) for v in call.args[4]] if len(call.args) > 4 else [1] * len(axes)
        cut = [slice(None)] * data.ndim
        for axis, b, e, s in zip(axes, begin, end, steps, strict=True):
            cut[axis] = slice(b, e, s)
        return data[tuple(cut)]
    return data.reshape(shape_of(call) if not hasattr(call, "ty") or call.ty is not None else ())
