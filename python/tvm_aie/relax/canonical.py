"""Canonical QDQ form: what the patterns and the analysis of stage 4 rely on.

After ``canonicalise``:

* every ``dequantize`` has exactly one user (FuseOpsByPattern claims an expression for one composite only);
* a weight or bias is ``dequantize(constant)``: reshapes and transposes of it are folded into the constant,
  except the transpose of a matrix, which may be large;
* operators that only move data (reshape, transpose, squeeze, slice, split) act on the quantised tensor;
* ``quantize(dequantize(x))`` with equal parameters is gone, as are chains of reshapes;
* a constant operand of ``add`` and ``multiply`` comes second;
* every call has a tag (``tag_of``) that survives the rewriting by TVM's passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.ir import SourceName, Span

LAYOUT_OPS = {
    "relax.reshape",
    "relax.permute_dims",
    "relax.squeeze",
    "relax.expand_dims",
    "relax.flatten",
    "relax.strided_slice",
}
_TAG_SOURCE = "aie2.tag"
_COMMUTATIVE = {"relax.add", "relax.multiply"}


def is_call(expr: Any, *names: str) -> bool:
    """True when ``expr`` calls one of the operators ``names`` (any operator when none is given)."""
    if not (isinstance(expr, tvm.ir.Call) and isinstance(expr.op, tvm.ir.Op)):
        return False
    return not names or expr.op.name in names


def is_const(expr: Any) -> bool:
    """True for an embedded tensor."""
    return isinstance(expr, tvm.ir.GenericConst)


def tag_of(call: Any) -> int:
    """The number that identifies a call of a canonical module through later rewriting; -1 without."""
    span = call.span
    return int(span.line) if span is not None and span.source_name.name == _TAG_SOURCE else -1


def const_array(expr: Any) -> np.ndarray[Any, Any]:
    """The value of an embedded tensor, not copied."""
    array: np.ndarray[Any, Any] = np.from_dlpack(expr.value)
    return array


def shape_of(expr: Any) -> tuple[int, ...]:
    """Static shape of an expression."""
    return tuple(int(d) for d in expr.ty.shape.values)


def dtype_of(expr: Any) -> str:
    """Element type of an expression, as text."""
    return str(expr.ty.dtype)


def _constant_layout(call: Any, data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """What a layout operator makes of constant data."""
    if call.op.name == "relax.permute_dims":
        axes = None if call.attrs.axes is None else [int(a) for a in call.attrs.axes]
        return np.ascontiguousarray(np.transpose(data, axes))
    return np.ascontiguousarray(data.reshape(shape_of(call)))


class _Canonicaliser:
    """Rewrites the bindings of one dataflow block in order; variables keep their identity."""

    def __init__(self, first_tag: int) -> None:
        """Tags count up from ``first_tag``."""
        self.builder = relax.BlockBuilder()
        self.tag = first_tag
        self.values: dict[Any, Any] = {}
        self.bindings: list[Any] = []

    def emit(self, value: Any, hint: str) -> Any:
        """Bind ``value`` to a new variable."""
        value = self.builder.normalize(value)
        var = relax.DataflowVar(hint, value.ty)
        self.bind(var, value)
        return var

    def bind(self, var: Any, value: Any) -> None:
        """Bind ``value`` to the given variable; calls get a tag of their own."""
        if is_call(value):
            value = self.builder.normalize(value)
            self.tag += 1
            span = Span(SourceName(_TAG_SOURCE), self.tag, self.tag, 0, 0)
            value = relax.Call(value.op, list(value.args), value.attrs, value.ty_args, span, value.ty)
        self.values[var] = value
        self.bindings.append(relax.VarBinding(var, value))

    def value_of(self, expr: Any) -> Any:
        """What ``expr`` is bound to, following aliases; the expression itself when it is not a variable."""
        while expr in self.values and not is_const(expr):
            value = self.values[expr]
            if not isinstance(value, relax.Var):
                return value
            expr = value
        return self.values.get(expr, expr) if isinstance(expr, relax.Var) else expr

    def resolve(self, expr: Any) -> Any:
        """The variable behind a chain of aliases."""
        while isinstance(expr, relax.Var) and isinstance(self.values.get(expr), relax.Var):
            expr = self.values[expr]
        return expr

    def fresh(self, arg: Any) -> Any:
        """``arg`` with its own copy of a dequantize, also inside a tuple."""
        if isinstance(arg, relax.Tuple):
            return relax.Tuple([self.fresh(f) for f in arg.fields])
        arg = self.resolve(arg)
        value: Any = self.values.get(arg) if isinstance(arg, relax.Var) else None
        if is_call(value, "relax.dequantize"):
            return self.emit(relax.Call(value.op, list(value.args), value.attrs), arg.name)
        if is_call(value, "relax.permute_dims") and self.is_constant_side(value.args[0]):
            return self.emit(relax.Call(value.op, [self.fresh(value.args[0])], value.attrs), arg.name)
        return arg

    def visit(self, var: Any, value: Any) -> None:
        """Rewrite one binding."""
        if not isinstance(value, tvm.ir.Call) or not isinstance(value.op, tvm.ir.Op):
            self.visit_other(var, value)
            return
        args = [self.resolve(a) for a in value.args]
        name = value.op.name
        if name in LAYOUT_OPS and self.visit_layout(var, value, args):
            return
        if name == "relax.quantize" and self.drop_identity(var, value, args):
            return
        if name in _COMMUTATIVE and self.is_constant_side(args[0]) and not self.is_constant_side(args[1]):
            args.reverse()
        args = [self.fresh(a) for a in args]
        self.bind(var, relax.Call(value.op, args, value.attrs, value.ty_args, value.span, value.ty))

    def visit_other(self, var: Any, value: Any) -> None:
        """Tuples, tuple items (also of a split) and whatever is not an operator call."""
        if isinstance(value, relax.TupleGetItem):
            source = self.value_of(value.tuple_value)
            if isinstance(source, relax.Tuple):
                self.bind(var, self.resolve(source.fields[value.index]))
                return
            if is_call(source, "relax.split"):
                sliced = self.slice_of_split(source, int(value.index), shape_of(var))
                if not self.visit_layout(var, sliced, list(sliced.args)):
                    self.bind(var, sliced)
                return
        self.bind(var, value)

    def slice_of_split(self, split: Any, index: int, shape: tuple[int, ...]) -> Any:
        """One section of a ``split`` as a ``strided_slice``."""
        axis = int(split.attrs.axis) % len(shape)
        sections = split.attrs.indices_or_sections
        if hasattr(sections, "__len__"):
            begin = int(sections[index - 1]) if index else 0
        else:
            begin = index * -(-shape_of(split.args[0])[axis] // int(sections))
        data = self.resolve(split.args[0])
        return self.builder.normalize(relax.op.strided_slice(data, [axis], [begin], [begin + shape[axis]]))

    def is_constant_side(self, arg: Any) -> bool:
        """A constant, or the dequantize of one."""
        value = self.value_of(arg)
        if is_call(value, "relax.permute_dims"):
            return self.is_constant_side(value.args[0])
        return is_const(value) or (is_call(value, "relax.dequantize") and is_const(value.args[0]))

    def visit_layout(self, var: Any, call: Any, args: list[Any]) -> bool:
        """Move a layout operator above a dequantize; fold it into constants; join reshapes."""
        source = self.value_of(args[0])
        if is_call(source, "relax.dequantize") and np.size(const_array(source.args[1])) == 1:
            data, rest = source.args[0], list(source.args[1:])
            if is_const(data) and call.op.name == "relax.permute_dims" and len(shape_of(data)) == 2:
                return False  # a large matrix stays as it is: the patterns know the transpose
            if is_const(data) and call.op.name != "relax.strided_slice":
                moved: Any = relax.const(_constant_layout(call, const_array(data)), dtype_of(data))
            else:
                moved = relax.Call(call.op, [data, *args[1:]], call.attrs, span=call.span)
                moved = self.emit_layout(moved, var.name)
            # One scale has no axis, and the old one may be beyond the new rank.
            read = relax.op.dequantize(moved, *rest, axis=-1, out_dtype=str(source.attrs.out_dtype))
            self.bind(var, self.builder.normalize(read))
            return True
        if call.op.name == "relax.reshape" and is_call(source, "relax.reshape"):
            self.bind(var, self.builder.normalize(relax.op.reshape(source.args[0], call.args[1])))
            return True
        return False

    def emit_layout(self, call: Any, hint: str) -> Any:
        """Emit a layout operator on quantised data, joining it with a reshape before it."""
        call = self.builder.normalize(call)
        source = self.value_of(call.args[0])
        if call.op.name == "relax.reshape" and is_call(source, "relax.reshape"):
            call = relax.op.reshape(source.args[0], call.args[1])
        return self.emit(call, hint)

    def drop_identity(self, var: Any, call: Any, args: list[Any]) -> bool:
        """``quantize(dequantize(x))`` with equal scale, zero point and type is x."""
        source = self.value_of(args[0])
        if not is_call(source, "relax.dequantize") or is_const(source.args[0]):
            return False
        if dtype_of(source.args[0]) != str(call.attrs.out_dtype):
            return False
        for left, right in zip(source.args[1:], args[1:], strict=True):
            if not (is_const(left) and is_const(right)) or not np.array_equal(const_array(left), const_array(right)):
                return False
        self.bind(var, source.args[0])
        return True


def _rewrite_function(func: Any, first_tag: int) -> tuple[Any, int]:
    blocks = []
    rewriter = _Canonicaliser(first_tag)
    for block in func.body.blocks:
        if not isinstance(block, relax.DataflowBlock):
            blocks.append(block)
            continue
        rewriter.bindings = []
        for binding in block.bindings:
            if isinstance(binding, relax.VarBinding):
                rewriter.visit(binding.var, binding.value)
            else:
                rewriter.bindings.append(binding)
        blocks.append(relax.DataflowBlock(rewriter.bindings))
    body = relax.SeqExpr(blocks, func.body.body)
    return relax.Function(func.params, body, func.ret_ty, func.is_pure, func.attrs, func.span), rewriter.tag


def canonicalise(mod: Any) -> Any:
    """Bring every Relax function of ``mod`` into canonical QDQ form."""
    mod = relax.transform.ConvertToDataflow(min_size=1)(mod)
    updated = tvm.IRModule(dict(mod.functions_items()), attrs=mod.attrs)
    tag = 0
    for var, func in mod.functions_items():
        if isinstance(func, relax.Function) and isinstance(func.body, relax.SeqExpr):
            updated[var], tag = _rewrite_function(func, tag)
    passes = [relax.transform.CanonicalizeBindings(), relax.transform.DeadCodeElimination()]
    return tvm.transform.Sequential(passes)(updated)
