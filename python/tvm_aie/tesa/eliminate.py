"""``EliminateDead``: what propagation proves dead leaves the module; outputs stay bit-identical.

Rounds until nothing changes: zero dead weights and fold constant inputs into biases (``fold.py``), then drop the
channels nobody needs (``slots.py``). A float network without power-of-two scales is left alone: dropping terms
from a float sum changes its rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_aie.tesa.attached import attached_to, with_fitting_attributes
from tvm_aie.tesa.evaluate import BINARY
from tvm_aie.tesa.evaluate_moves import split_points
from tvm_aie.tesa.fold import Folded, fold_values
from tvm_aie.tesa.ir import const_array, is_const, number, op_name, relax_functions, shape_of
from tvm_aie.tesa.layers import Graph, Layer, layers_of
from tvm_aie.tesa.merge import merge_constants
from tvm_aie.tesa.propagation import Propagation, propagate, tensor_arguments
from tvm_aie.tesa.quantised import integers_of
from tvm_aie.tesa.rewrite import Rewriter
from tvm_aie.tesa.slots import Index, Removal, Ties, choose_removal

MAX_ROUNDS = 64  # never reached in the tests: every round removes something


@dataclass(frozen=True)
class Elimination:
    """What was done to one function: the new function, the steps, and whether channels went in blocks of 8."""

    func: Any
    folded: tuple[Folded, ...]
    channels_removed: int
    rounds: int
    original: Any
    after: Propagation


def eliminate_function(func: Any, rows: int = 1) -> Elimination:
    """Eliminate in one Relax function; ``rows``: see ``slots.choose_removal``."""
    attached, original = attached_to(func), func
    result = propagate(func, attached, exempt=False)
    if attached:
        func = materialised(result)
        result = propagate(func, attached, exempt=False)
    folded: list[Folded] = []
    removed, rounds = 0, 0
    for _ in range(MAX_ROUNDS):
        func, steps = fold_values(result)
        folded += steps
        changed = func is not result.func
        if changed:
            func = _cleaned(func)
            result = propagate(func, attached_to(func), exempt=False)
        func, count = _remove_channels(result, rows)
        removed += count
        merged = 0
        if not changed and not count:
            func, merged = merge_constants(result)
        if not changed and not count and not merged:
            break
        rounds += 1
        if count or merged:
            func = _cleaned(func)
            result = propagate(func, attached_to(func), exempt=False)
    return Elimination(func, tuple(folded), removed, rounds, original, result)


def materialised(result: Propagation) -> Any:
    """Constants with an attached mask hold the masked values from now on."""
    constants, rewriter = result.constants, Rewriter(result.func)
    for var in constants.calls:
        given = constants.attached.get(str(var.name))
        if given is None or not given.mask.any():
            continue
        found = integers_of(var, constants)
        array = constants.array(var)
        rewriter.replace_value(var, relax.const(array, str(array.dtype)) if found is None else found.expression())
    return rewriter.run() if rewriter.replaced else result.func


def _cleaned(func: Any) -> Any:
    """Drop what nobody reads, and attached attributes of tensors that are gone or have lost channels."""
    mod = tvm.IRModule({"main": func})
    mod = relax.transform.CanonicalizeBindings()(mod)
    mod = relax.transform.DeadCodeElimination()(mod)
    return with_fitting_attributes(mod["main"])


def _remove_channels(result: Propagation, rows: int) -> tuple[Any, int]:
    """One step of shape elimination."""
    graph = Graph.of(result.func)
    layers = list(layers_of(result, graph))
    if not layers:
        return result.func, 0
    ties = Ties(result, graph, layers)
    removal = choose_removal(ties, rows)
    if not removal.keep:
        return result.func, 0
    return _Narrower(result, ties, layers, removal).run(), removal.channels


class _Narrower:
    """Rewrites every operator that reads or writes a narrowed tensor."""

    def __init__(self, result: Propagation, ties: Ties, layers: Sequence[Layer], removal: Removal) -> None:
        self.result, self.ties, self.keep = result, ties, removal.keep
        self.layers = {layer.use.var: layer for layer in layers}
        self.biases = {layer.bias_var: layer for layer in layers if layer.bias_var is not None}
        self.rewriter = Rewriter(result.func)

    def run(self) -> Any:
        """The new function."""
        for var, value in self.ties.graph.values.items():
            if self.result.constants.is_constant(var):
                continue
            touched = [var, *(v for v in _variables(value))]
            if any(v in self.keep for v in touched) or self.is_split_item(value):
                self.rewriter.change(var, self.narrowed)
        return self.rewriter.run()

    def is_split_item(self, value: Any) -> bool:
        """An item of a split that is written as slices."""
        if not isinstance(value, relax.TupleGetItem):
            return False
        split = self.ties.graph.values.get(value.tuple_value)
        return split is not None and op_name(split) == "split" and split.args[0] in self.keep

    def narrowed(self, rewriter: Rewriter, var: Any, value: Any) -> Any:
        """The new value of a binding; None when the variable is gone."""
        if var in self.keep and not len(self.keep[var]):
            return None
        if isinstance(value, relax.TupleGetItem):
            return self.section(rewriter, var, value)
        if isinstance(value, relax.Var):
            return rewriter.current(value)
        name = op_name(value)
        if name == "split":
            return None if value.args[0] in self.keep else value
        if name in ("nn.conv2d", "matmul"):
            return self.layer(rewriter, self.layers[var], value)
        if name in ("reshape", "flatten", "nn.batch_flatten", "squeeze", "expand_dims"):
            shape = list(shape_of(var))
            if var in self.keep:
                shape[1] = len(self.keep[var])
            return relax.op.reshape(rewriter.current(value.args[0]), shape)
        if name == "concat":
            return self.concat(rewriter, value)
        if name == "strided_slice":
            return self.slice(rewriter, var, value)
        if name in BINARY or name in ("quantize", "dequantize"):
            args = [self.operand(rewriter, a, var, name) for a in value.args]
            return relax.Call(value.op, args, value.attrs, value.ty_args, value.span)
        args = [rewriter.current(a) for a in value.args]
        return relax.Call(value.op, args, value.attrs, value.ty_args, value.span)

    def operand(self, rewriter: Rewriter, arg: Any, var: Any, name: str) -> Any:
        """An operand with the result's channels: constants along the channels are sliced."""
        if not self.result.constants.is_constant(arg) or var not in self.keep:
            return rewriter.current(arg)
        keep, shape = self.keep[var], shape_of(arg)
        axis = 0 if name in ("quantize", "dequantize") and len(shape) == 1 else len(shape) - (len(shape_of(var)) - 1)
        if axis < 0 or axis >= len(shape) or shape[axis] == 1:
            return rewriter.current(arg)
        found = integers_of(arg, self.result.constants)
        if found is not None:
            return found.with_values(np.take(found.values, keep, axis=axis)).expression(axis)
        array = const_array(arg) if is_const(arg) else self.result.constants.array(arg)
        return relax.const(np.ascontiguousarray(np.take(array, keep, axis=axis)), str(array.dtype))

    def layer(self, rewriter: Rewriter, layer: Layer, value: Any) -> Any:
        """Rows and columns of the weight."""
        weight, source = layer.weight.values, value.args[0]
        outs, ins = self.keep.get(layer.use.var), self.keep.get(source)
        axes = (0, 1) if layer.is_conv else (1, 0)
        if outs is not None:
            weight = np.take(weight, outs, axis=axes[0])
        groups = layer.groups
        if ins is not None and groups > 1:
            per_group = layer.weight.values.shape[1]
            groups = len(ins) // per_group
        elif ins is not None:
            weight = np.take(weight, ins, axis=axes[1])
        operand = layer.weight.with_values(weight).expression()
        data = rewriter.current(source)
        if not layer.is_conv:
            return relax.Call(value.op, [data, operand], value.attrs)
        a = value.attrs
        return relax.op.nn.conv2d(data, operand, list(a.strides), list(a.padding), list(a.dilation), groups,
                                  str(a.data_layout), str(a.kernel_layout), str(a.out_layout),
                                  None if a.out_dtype is None else str(a.out_dtype))  # fmt: skip

    def concat(self, rewriter: Rewriter, value: Any) -> Any:
        """Parts that are gone are left out."""
        parts = [p for p in tensor_arguments(value) if p not in self.keep or len(self.keep[p])]
        current = [rewriter.current(p) for p in parts]
        return current[0] if len(current) == 1 else relax.op.concat(current, int(value.attrs.axis or 0))

    def channels_in(self, source: Any, wanted: Index) -> tuple[int, int] | None:
        """Where the channels ``wanted`` of ``source`` lie now, if they are neighbours in order."""
        kept = self.keep.get(source, np.arange(shape_of(source)[1]))
        places = np.searchsorted(kept, wanted)
        if not len(wanted) or not np.array_equal(places, np.arange(places[0], places[0] + len(wanted))):
            return None
        return int(places[0]), int(places[0]) + len(wanted)

    def section(self, rewriter: Rewriter, var: Any, value: Any) -> Any:
        """An item of a split becomes a slice of what is left."""
        split = self.ties.graph.values[value.tuple_value]
        source = split.args[0]
        if source not in self.keep:
            return relax.TupleGetItem(rewriter.current(value.tuple_value), value.index)
        points = [0, *split_points(split, shape_of(source)[1])]
        wanted = points[int(value.index)] + self.keep.get(var, np.arange(shape_of(var)[1]))
        place = self.channels_in(source, wanted)
        assert place is not None, "sections of a split are neighbours"
        return relax.op.strided_slice(rewriter.current(source), [1], [place[0]], [place[1]])

    def slice(self, rewriter: Rewriter, var: Any, value: Any) -> Any:
        """A slice of channels moves with the channels before it; other axes stay."""
        source, data = value.args[0], rewriter.current(value.args[0])
        axes, begin, end = ([int(number(v)) for v in value.args[i].fields] for i in (1, 2, 3))
        steps = [int(number(v)) for v in value.args[4].fields] if len(value.args) > 4 else [1] * len(axes)
        rank = len(shape_of(var))
        places = [i for i, axis in enumerate(axes) if axis % rank == 1]
        if places:
            at = places[0]
            every = np.arange(shape_of(source)[1])[begin[at] : end[at] : steps[at]]
            place = self.channels_in(source, every[self.keep.get(var, np.arange(len(every)))])
            if place is None:
                index = np.searchsorted(self.keep.get(source, np.arange(shape_of(source)[1])), every)
                data = relax.op.take(data, relax.const(index.astype(np.int64), "int64"), 1)
                place = (0, len(index))
            begin[at], end[at], steps[at] = *place, 1
        return relax.op.strided_slice(data, axes, begin, end, steps)


def _variables(value: Any) -> list[Any]:
    if isinstance(value, relax.Var):
        return [value]
    if isinstance(value, relax.TupleGetItem):
        return [value.tuple_value]
    return tensor_arguments(value) if op_name(value) else []


def summary(result: Propagation) -> dict[str, str]:
    """The attribute of each quantised activation in words, by variable name: shown on the composite functions."""
    named = {v: f[0] for v, f in result.facts.items() if len(f) == 1 and f[0].dtype in ("int8", "uint8")}
    return {str(var.name): result.attribute(var).text() for var in named}


def eliminate_dead(mod: Any, rows: int = 1) -> tuple[Any, dict[Any, Elimination]]:
    """Eliminate in every Relax function; returns the new module and what was done by global variable.

    ``rows``: core rows of the array. Channels go in blocks of 8 (in residual adds so that what stays is a multiple
    of ``rows`` blocks); 0 removes single channels.
    """
    mod = relax.transform.ConvertToDataflow(min_size=1)(mod)
    done = {}
    updated = mod.clone()
    for var, func in relax_functions(mod):
        if func.attrs and ("Codegen" in func.attrs or "Composite" in func.attrs):
            continue
        done[var] = eliminate_function(func, rows)
        updated[var] = done[var].func.with_attr("tesa_summary", summary(done[var].after))
    return updated, done


@tvm.transform.module_pass(opt_level=0, name="EliminateDead")
class EliminateDead:
    """The pass form of ``eliminate_dead``."""

    def transform_module(self, mod: Any, _context: Any) -> Any:
        """Eliminate in every Relax function."""
        return eliminate_dead(mod)[0]
