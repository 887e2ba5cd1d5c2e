"""Reading Relax functions: constants, static shapes, bindings in order, one evaluation of constant expressions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax

Array = npt.NDArray[Any]


def op_name(expr: Any) -> str:
    """The operator that ``expr`` calls, without ``relax.``; empty when it calls none."""
    if isinstance(expr, tvm.ir.Call) and isinstance(expr.op, tvm.ir.Op):
        return str(expr.op.name).removeprefix("relax.")
    return ""


def is_const(expr: Any) -> bool:
    """True for an embedded tensor."""
    return isinstance(expr, tvm.ir.GenericConst)


def const_array(expr: Any) -> Array:
    """The value of an embedded tensor, not copied."""
    array: Array = np.from_dlpack(expr.value)
    return array


def is_tensor(expr: Any) -> bool:
    """True for an expression of tensor type with a static shape."""
    ty = getattr(expr, "ty", None)
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        return False
    return all(isinstance(d, tvm.tirx.IntImm) or isinstance(d, int) for d in ty.shape.values)


def shape_of(expr: Any) -> tuple[int, ...]:
    """Static shape of a tensor expression."""
    return tuple(int(d) for d in expr.ty.shape.values)


def dtype_of(expr: Any) -> str:
    """Element type of a tensor expression."""
    return str(expr.ty.dtype)


def number(expr: Any) -> float:
    """A scalar argument (PrimExpr, attribute or embedded scalar)."""
    if is_const(expr):
        return float(const_array(expr).ravel()[0])
    return float(getattr(expr, "value", expr))


def bindings_of(func: Any) -> Iterator[tuple[Any, Any]]:
    """``(variable, value)`` of a function in order."""
    for block in func.body.blocks:
        for binding in block.bindings:
            if isinstance(binding, relax.VarBinding):
                yield binding.var, binding.value


def casts_of(func: Any) -> Iterator[Any]:
    """Expressions that a ``match_cast`` of a function reads."""
    for block in func.body.blocks:
        for binding in block.bindings:
            if isinstance(binding, relax.MatchCast):
                yield binding.value


def relax_functions(mod: Any) -> list[tuple[Any, Any]]:
    """``(global variable, function)`` of the Relax functions whose body is a sequence of blocks."""
    found = [(v, f) for v, f in mod.functions_items() if isinstance(f, relax.Function)]
    return [(v, f) for v, f in found if isinstance(f.body, relax.SeqExpr)]


def variables(expr: Any) -> Iterator[Any]:
    """Variables that a binding reads."""
    if isinstance(expr, relax.Var):
        yield expr
    elif isinstance(expr, tvm.ir.Call):
        for arg in expr.args:
            yield from variables(arg)
    elif isinstance(expr, relax.Tuple):
        for item in expr.fields:
            yield from variables(item)
    elif isinstance(expr, relax.TupleGetItem):
        yield from variables(expr.tuple_value)
    elif isinstance(expr, relax.SeqExpr | relax.If | relax.Function):
        yield from relax.analysis.free_vars(expr)
