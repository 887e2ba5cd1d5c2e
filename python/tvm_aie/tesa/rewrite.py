"""Rebuild a Relax function binding by binding; variables whose type stays keep their identity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import relax

from tvm_aie.tesa.ir import bindings_of, op_name

Change = Callable[["Rewriter", Any, Any], Any]


class Rewriter:
    """Collects changes by variable, then applies all of them in one pass over the function."""

    def __init__(self, func: Any) -> None:
        """Start from a function whose bindings are in dataflow blocks."""
        self.func = func
        self.values = dict(bindings_of(func))
        self.builder = relax.BlockBuilder()
        self.arguments: dict[Any, dict[int, Any]] = {}
        self.replaced: dict[Any, Any] = {}
        self.behind: dict[Any, Any] = {}
        self.changes: dict[Any, Change] = {}
        self.env: dict[Any, Any] = {}
        self.bindings: list[Any] = []

    def replace_argument(self, var: Any, position: int, value: Any) -> None:
        """Argument ``position`` of the call bound to ``var`` becomes ``value``."""
        self.arguments.setdefault(var, {})[position] = value

    def replace_value(self, var: Any, value: Any) -> None:
        """``var`` is bound to ``value`` instead."""
        self.replaced[var] = value

    def add_behind(self, var: Any, value: Any) -> None:
        """Readers of ``var`` read ``var + value`` instead."""
        self.behind[var] = value

    def change(self, var: Any, change: Change) -> None:
        """``change(rewriter, var, value)`` returns the new value of ``var``, or None to drop the binding."""
        self.changes[var] = change

    def emit(self, value: Any, hint: str) -> Any:
        """Bind a new value to a new variable."""
        value = self.normalised(value)
        var = relax.DataflowVar(hint, value.ty)
        self.bindings.append(relax.VarBinding(var, value))
        return var

    def normalised(self, value: Any, hint: str = "tesa") -> Any:
        """Arguments that are calls get variables of their own; the type is filled in."""
        if isinstance(value, tvm.ir.Call):
            args = [self.emit(a, f"{hint}_const{i}") if op_name(a) else a for i, a in enumerate(value.args)]
            value = relax.Call(value.op, args, value.attrs, value.ty_args, value.span)
            return self.builder.normalize(value)
        if isinstance(value, relax.Tuple | relax.TupleGetItem):
            return self.builder.normalize(value)
        return value

    def current(self, expr: Any) -> Any:
        """An expression of the old function in terms of the new one."""
        if isinstance(expr, relax.Var):
            return self.env.get(expr, expr)
        if isinstance(expr, relax.Tuple):
            fields = [self.current(f) for f in expr.fields]
            same = all(a.same_as(b) for a, b in zip(fields, expr.fields, strict=True))
            return expr if same else relax.Tuple(fields)
        return expr

    def bind(self, var: Any, value: Any) -> None:
        """Bind the new value of ``var``; a new variable of the same name when its type changed."""
        value = self.normalised(value, str(var.name))
        new = var
        if not isinstance(var, relax.DataflowVar) or tvm_ffi.structural_equal(var.ty, value.ty):
            self.bindings.append(relax.VarBinding(var, value))
        else:
            new = relax.DataflowVar(str(var.name), value.ty)
            self.bindings.append(relax.VarBinding(new, value))
        self.env[var] = new
        if var in self.behind:
            self.env[var] = self.emit(
                relax.op.add(new, self.emit(self.behind[var], f"{var.name}_bias_const")), f"{var.name}_bias"
            )

    def with_bias(self, var: Any, new: Any) -> Any:
        """The sum that readers of ``var`` read from now on."""
        constant = self.emit(self.behind[var], f"{var.name}_bias_const")
        return self.emit(relax.op.add(new, constant), f"{var.name}_bias")

    def visit(self, var: Any, value: Any) -> None:
        """One binding of the old function."""
        if var in self.changes:
            changed = self.changes[var](self, var, value)
            if changed is not None:
                self.bind(var, changed)
            return
        value = self.replaced.get(var, value)
        if isinstance(value, relax.Var | relax.Tuple):
            self.bind(var, self.current(value))
            return
        if isinstance(value, relax.TupleGetItem):
            source = self.current(value.tuple_value)
            self.bind(var, value if source.same_as(value.tuple_value) else relax.TupleGetItem(source, value.index))
            return
        if not op_name(value):
            self.bind(var, value)
            return
        given = self.arguments.get(var, {})
        args = [given[i] if i in given else self.current(a) for i, a in enumerate(value.args)]
        if all(a.same_as(b) for a, b in zip(args, value.args, strict=True)):
            self.bindings.append(relax.VarBinding(var, value))
            if var in self.behind:
                self.env[var] = self.emit(
                    relax.op.add(var, self.emit(self.behind[var], f"{var.name}_bias_const")), f"{var.name}_bias"
                )
            return
        self.bind(var, relax.Call(value.op, args, value.attrs, value.ty_args, value.span))

    def run(self) -> Any:
        """The new function."""
        blocks = []
        for block in self.func.body.blocks:
            self.bindings = []
            for binding in block.bindings:
                if isinstance(binding, relax.VarBinding):
                    self.visit(binding.var, binding.value)
                else:
                    self.bindings.append(binding)
            is_dataflow = isinstance(block, relax.DataflowBlock)
            blocks.append(relax.DataflowBlock(self.bindings) if is_dataflow else relax.BindingBlock(self.bindings))
        func, body = self.func, relax.SeqExpr(blocks, self.current(self.func.body.body))
        return relax.Function(func.params, body, func.ret_ty, func.is_pure, func.attrs, func.span)
