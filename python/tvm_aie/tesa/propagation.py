"""``PropagateTesa``: forward with constants, backward with needs, over one Relax function or a module.

Forward gives each variable a ``Fact`` (which elements are constants). Backward gives which elements can still
change an output. An element is *live* when it is needed and no constant; only live elements are worth storing,
moving or computing. One forward and one backward sweep are a fixpoint (tesa.md section 2: forward is reachability
from what varies, backward is co-reachability inside that); the caller repeats where elimination rounds to blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_aie.tesa.attribute import Attribute, Code, Mask, TesaError, Values
from tvm_aie.tesa.evaluate import can_evaluate, evaluate
from tvm_aie.tesa.facts import BIG, Fact, coarse_mask, dtype_range, is_integer
from tvm_aie.tesa.ir import Array, bindings_of, casts_of, const_array, dtype_of, is_const, is_tensor, op_name, shape_of
from tvm_aie.tesa.rules import Node, Operand, Rule, conservative, everything, load

# Operators whose constant operand is a weight: position of the weight.
WEIGHTED = {"matmul": 1} | {f"nn.conv{n}d{kind}": 1 for n in (1, 2, 3) for kind in ("", "_transpose")}
# Operators of no tensor operand, or of operands of which only the shape matters.
_CREATES = ("zeros", "ones", "full", "arange", "eye")
_READS_SHAPE = ("shape_of", "size")


@dataclass(frozen=True)
class WeightUse:
    """A constant weight at one operator. ``needed`` broadcasts to the shape of the operand."""

    var: Any
    position: int
    operand: Operand
    needed: Mask = field(repr=False)


@dataclass(frozen=True, eq=False)
class Propagation:
    """The result for one function; variables are Relax variables of that function."""

    func: Any
    facts: dict[Any, list[Fact]] = field(repr=False)
    needed: dict[Any, list[Mask]] = field(repr=False)
    nodes: dict[Any, Node] = field(repr=False)
    weights: dict[Any, WeightUse] = field(repr=False)
    constants: Constants = field(repr=False)
    order: tuple[Any, ...] = field(repr=False)
    aliases: dict[Any, Any] = field(repr=False)  # variables bound to a variable, a tuple or an item of one

    def fact(self, var: Any, item: int = 0) -> Fact:
        """What is known of a variable (or of one item of a tuple)."""
        return self.facts[var][item]

    def need(self, var: Any, item: int = 0) -> Mask:
        """Which elements of a variable can change an output."""
        if var in self.needed:
            return self.needed[var][item]
        return everything(self.facts[var][item].shape, False)

    def live(self, var: Any, item: int = 0) -> Mask:
        """Needed and no constant."""
        found: Mask = self.need(var, item) & ~self.fact(var, item).known
        return found

    @cached_property
    def _grids(self) -> dict[Any, int]:
        from tvm_aie.tesa.formats import grids

        return grids(self)

    def attribute(self, var: Any) -> Attribute:
        """The propagated attribute: pruned where a constant or not needed, else the narrowest format.

        Raises ``TesaError`` where an attached format cannot be compared with it.
        """
        from tvm_aie.tesa.formats import code_of

        fact, need = self.fact(var), self.need(var)
        value = np.where(fact.known, fact.value, 0.0)
        mine = Attribute.pruned(fact.shape, fact.known | ~need, value, code_of(self, var, self._grids))
        return self._met(var, mine)

    def weight_attribute(self, use: WeightUse) -> Attribute:
        """The attribute of a weight: pruned where zero or not needed, else the narrowest format."""
        from tvm_aie.tesa.formats import weight_code

        array = use.operand.array
        assert array is not None
        mine = Attribute.pruned(array.shape, (array == 0) | ~use.needed, 0.0, weight_code(self, use))
        return self._met(self.nodes[use.var].call.args[use.position], mine)

    def constant_attribute(self, var: Any) -> Attribute:
        """The attribute of a constant that is no weight: its zeros are pruned."""
        from tvm_aie.tesa.formats import constant_code

        array = self.constants.array(var)
        return self._met(var, Attribute.pruned(array.shape, array == 0, 0.0, constant_code(self, var)))

    def check(self) -> None:
        """Raise ``TesaError`` where an attached format cannot be compared with what the tensor holds."""
        for var in (*self.func.params, *self.order):
            if str(var.name) in self.constants.attached and len(self.facts.get(var, ())) == 1:
                self.attribute(var)
        for use in self.weights.values():
            if str(getattr(self.nodes[use.var].call.args[use.position], "name", "")) in self.constants.attached:
                self.weight_attribute(use)
        for var in self.constants.calls:
            if str(var.name) in self.constants.attached:
                self._check_stored(var, self.constants.attached[str(var.name)])

    def _check_stored(self, var: Any, given: Attribute) -> None:
        """An integer format attached to a constant must hold it: nothing is narrowed by a claim."""
        from tvm_aie.tesa.quantised import integers_of

        stored = integers_of(var, self.constants)
        if stored is None:
            return
        for code in np.unique(given.codes):
            if Code(int(code)).kind not in ("int", "uint"):
                continue
            least, most = dtype_range(Code(int(code)).name.lower())
            here = np.broadcast_to(given.codes == code, given.shape)
            outside = here & ((stored.values < least) | (stored.values > most))
            if outside.any():
                where = tuple(int(i) for i in np.argwhere(outside)[0])
                hint = "; `tvm-aie sparsify --weight-bits 4` rounds them" if code == Code.INT4 else ""
                raise TesaError(
                    f"{var.name}: element {where} holds {stored.values[where]}, which is not "
                    f"{Code(int(code)).name.lower()} ({int(outside.sum()):,} in all){hint}"
                )

    def _met(self, var: Any, mine: Attribute) -> Attribute:
        """The meet with the format that the user attached; what is pruned was propagated already."""
        given = self.constants.attached.get(str(getattr(var, "name", "")))
        if given is None:
            return mine
        codes = np.where(given.mask, np.uint8(Code.NONPRUNED), given.codes).astype(np.uint8)
        return mine.meet(Attribute(given.shape, codes, np.zeros((1,) * len(given.shape))), str(var.name))


class Constants:
    """Constant expressions of a function, evaluated when asked for; masks of attached attributes applied."""

    def __init__(self, attached: Mapping[str, Attribute]) -> None:
        """``attached``: attribute by variable name."""
        self.attached = attached
        self.calls: dict[Any, Any] = {}  # variable -> value, of variables that are constant expressions

    def is_constant(self, expr: Any) -> bool:
        """True for an embedded tensor and for a variable computed from such alone."""
        return is_const(expr) or (isinstance(expr, relax.Var) and expr in self.calls)

    def note(self, var: Any, value: Any) -> bool:
        """Remember a binding if it is a constant expression of one tensor."""
        if is_const(value) or (isinstance(value, relax.Var) and value in self.calls):
            self.calls[var] = value
            return True
        if not (op_name(value) and is_tensor(var) and can_evaluate(value)):
            return False
        tensors = tensor_arguments(value)
        if not all(self.is_constant(t) for t in tensors) or not (tensors or op_name(value) in _CREATES):
            return False
        self.calls[var] = value
        return True

    def array(self, expr: Any) -> Array:
        """The value; recomputed each time, so that large weights do not pile up."""
        if is_const(expr):
            return const_array(expr)
        call = self.calls[expr]
        if is_const(call) or isinstance(call, relax.Var):
            value = self.array(call)
        else:
            operands: list[Any] = [self.array(t) for t in tensor_arguments(call)]
            value = evaluate(call, [operands] if op_name(call) == "concat" else operands)
            value = np.asarray(value).astype(dtype_of(expr), copy=False)
        given = self.attached.get(str(expr.name))
        if given is not None and given.mask.any():
            value = np.where(given.mask, given.values, value).astype(value.dtype)
        return value

    def operand(self, expr: Any) -> Operand:
        """A constant as operand of a rule."""
        return Operand(shape_of(expr), dtype_of(expr), load=lambda: self.array(expr))


def tensor_arguments(call: Any) -> list[Any]:
    """Tensor arguments of a call in order, tuples flattened; tuples of tensors come as their variable."""
    found: list[Any] = []
    for arg in call.args:
        if isinstance(arg, relax.Tuple):
            found += [f for f in arg.fields if is_tensor(f) or isinstance(f, relax.Var)]
        elif is_tensor(arg):
            found.append(arg)
    return found


def result_types(var: Any) -> tuple[tuple[tuple[int, ...], str], ...] | None:
    """Shapes and element types of a tensor or tuple-of-tensors variable; None for anything else."""
    if is_tensor(var):
        return ((shape_of(var), dtype_of(var)),)
    if isinstance(var.ty, relax.TupleType):
        fields = [(f, isinstance(f, relax.TensorType) and isinstance(f.shape, relax.ShapeExpr)) for f in var.ty.fields]
        if all(ok and all(isinstance(d, tvm.tirx.IntImm | int) for d in f.shape.values) for f, ok in fields):
            return tuple((tuple(int(d) for d in f.shape.values), str(f.dtype)) for f, _ in fields)
    return None


def _representable(values: Values, dtype: str) -> Mask:
    """Which values a tensor of this element type can hold."""
    if not is_integer(dtype):
        return np.ones_like(values, np.bool_)
    least, most = dtype_range(dtype)
    found: Mask = (values == np.rint(values)) & (values >= least) & (values <= most)
    return found


class _Sweep:
    """Both sweeps over one function."""

    def __init__(self, func: Any, attached: Mapping[str, Attribute], exempt: bool, fallback: Rule) -> None:
        self.func, self.attached, self.exempt, self.fallback = func, attached, exempt, fallback
        self.rules = load()
        self.constants = Constants(attached)
        self.facts: dict[Any, list[Fact]] = {}
        self.nodes: dict[Any, Node] = {}
        self.aliases: dict[Any, Any] = {}  # variable -> Var, Tuple or TupleGetItem
        self.order: list[Any] = []
        self.needed: dict[Any, list[Mask]] = {}
        self.weights: dict[Any, WeightUse] = {}

    def promised(self, var: Any, facts: list[Fact]) -> list[Fact]:
        """Apply an attribute that the user attached to an activation."""
        given = self.attached.get(str(getattr(var, "name", "")))
        if given is None or len(facts) != 1:
            return facts
        fact, mask = facts[0], given.mask
        if given.shape != fact.shape:
            raise TesaError(f"{var.name}: the attached attribute has shape {given.shape}, the tensor {fact.shape}")
        clash = mask & fact.known & (given.values != fact.value)
        if clash.any():
            where = tuple(int(i) for i in np.argwhere(clash)[0])
            raise TesaError(f"{var.name}: two different constants for element {where}: attached and computed")
        held = _representable(given.values, fact.dtype)
        point = np.clip(given.values, -BIG, BIG)  # a float without bounds may be infinite
        outside = mask & ((point < fact.lo) | (point > fact.hi) | ~held)
        if outside.any():
            where = tuple(int(i) for i in np.argwhere(outside)[0])
            limits = f" between {fact.lo.min():g} and {fact.hi.max():g}" if fact.hi.max() < BIG else ""
            raise TesaError(
                f"{var.name}: element {where} cannot be the attached constant {given.element(where)}: "
                f"it is {fact.dtype}{limits}"
            )
        known = fact.known | mask
        value = np.where(mask, given.values, fact.value)
        return [Fact(fact.shape, fact.dtype, known, value, fact.exact | mask, fact.lo, fact.hi).tidy()]

    def operand(self, expr: Any) -> Operand:
        """The operand of a rule for an argument."""
        if self.constants.is_constant(expr):
            return self.constants.operand(expr)
        return Operand.of(self.facts[expr][0])

    def forward(self) -> None:
        """Facts of all variables, in order."""
        for param in self.func.params:
            types = result_types(param)
            if types is not None:
                self.facts[param] = self.promised(param, [Fact.top(*t) for t in types])
        for var, value in bindings_of(self.func):
            self.order.append(var)
            if self.constants.note(var, value):
                continue
            facts = self.bind(var, value)
            if facts is not None:
                self.facts[var] = self.promised(var, facts)

    def bind(self, var: Any, value: Any) -> list[Fact] | None:
        """Facts of one binding; None when it is no tensor."""
        types = result_types(var)
        if not types:  # no tensor, or an operator that is called for what it does
            return None
        if isinstance(value, relax.Var):
            self.aliases[var] = value
            return self.facts.get(value, [Fact.top(*t) for t in types])
        if isinstance(value, relax.Tuple) and all(is_tensor(f) for f in value.fields):
            self.aliases[var] = value
            return [self.operand(f).fact for f in value.fields]
        if isinstance(value, relax.TupleGetItem) and value.tuple_value in self.facts:
            self.aliases[var] = value
            return [self.facts[value.tuple_value][int(value.index)]]
        return self.call(var, value, types)

    def call(self, var: Any, value: Any, types: tuple[tuple[tuple[int, ...], str], ...]) -> list[Fact]:
        """Apply the rule of a call."""
        top = [Fact.top(*t) for t in types]
        if not op_name(value):
            return top
        arguments = tensor_arguments(value)
        if not all(is_tensor(a) and (a in self.facts or self.constants.is_constant(a)) for a in arguments):
            return top
        node = Node(value, op_name(value), tuple(self.operand(a) for a in arguments), types)
        self.nodes[var] = node
        return [fact.tidy() for fact in self.rules.get(node.name, self.fallback).forward(node)]

    def want(self, expr: Any, masks: Sequence[Mask]) -> None:
        """Elements of ``expr`` are needed."""
        if isinstance(expr, relax.Tuple):
            for item, mask in zip(expr.fields, masks, strict=True):
                self.want(item, [mask])
        elif isinstance(expr, relax.Var) and expr in self.facts:
            old = self.needed.get(expr)
            merged = masks if old is None else [a | b for a, b in zip(old, masks, strict=True)]
            self.needed[expr] = [coarse_mask(np.asarray(m, np.bool_)) for m in merged]

    def want_all(self, expr: Any) -> None:
        """Every element is needed: an output, or an operand of something without a rule."""
        if isinstance(expr, relax.Tuple):
            for item in expr.fields:
                self.want_all(item)
        elif isinstance(expr, relax.Var) and expr in self.facts:
            self.want(expr, [everything(f.shape, True) for f in self.facts[expr]])

    def backward(self) -> None:
        """Needs of all variables, in reverse order."""
        self.want_all(self.func.body.body)
        values = dict(bindings_of(self.func))
        for value in casts_of(self.func):  # what a cast is read by is not followed
            for used in relax.analysis.free_vars(value):
                self.want_all(used)
        for var in reversed(self.order):
            if var in self.constants.calls or op_name(values[var]) in _READS_SHAPE:
                continue
            if var in self.aliases:
                self.back_alias(var, self.aliases[var])
            elif var in self.nodes:
                self.back_call(var, self.nodes[var])
            else:  # no rule sees it: keep what it reads
                for used in relax.analysis.free_vars(values[var]):
                    self.want_all(used)

    def back_alias(self, var: Any, source: Any) -> None:
        """Needs pass through names, tuples and items of tuples."""
        if var not in self.needed:
            return
        masks = self.needed[var]
        if isinstance(source, relax.TupleGetItem):
            facts = self.facts[source.tuple_value]
            masks = [masks[0] if i == int(source.index) else everything(f.shape, False) for i, f in enumerate(facts)]
            source = source.tuple_value
        self.want(source, masks)

    def back_call(self, var: Any, node: Node) -> None:
        """Apply the backward rule of a call."""
        facts = self.facts[var]
        masks = self.needed.get(var) or [everything(f.shape, False) for f in facts]
        live = [m & ~f.known for m, f in zip(masks, facts, strict=True)] if self.exempt else masks
        needs = self.rules.get(node.name, self.fallback).backward(node, facts, live)
        arguments = tensor_arguments(node.call)
        for position, (argument, need) in enumerate(zip(arguments, needs, strict=True)):
            if self.constants.is_constant(argument):
                if WEIGHTED.get(node.name) == position:
                    self.weights[var] = WeightUse(var, position, node.operands[position], need)
            else:
                self.want(argument, [need])


def propagate(
    func: Any, attached: Mapping[str, Attribute] | None = None, exempt: bool = True, fallback: Rule | None = None
) -> Propagation:
    """Propagate over one Relax function.

    ``attached``: attributes by variable name (``attached.py``). ``exempt``: what feeds only constants is not needed;
    a transformation that keeps computing those constants sets it to False. ``fallback``: the rule of operators
    without one (default: conservative; ``scramble.automatic`` measures one).
    """
    sweep = _Sweep(func, attached or {}, exempt, fallback or conservative)
    sweep.forward()
    sweep.backward()
    Operand.forget()
    return Propagation(func, sweep.facts, sweep.needed, sweep.nodes, sweep.weights, sweep.constants, tuple(sweep.order),
                       sweep.aliases)  # fmt: skip


def propagate_module(mod: Any, fallback: Rule | None = None) -> dict[Any, Propagation]:
    """Propagation of every Relax function of a module, attached attributes included."""
    from tvm_aie.tesa.attached import attached_to
    from tvm_aie.tesa.ir import relax_functions

    return {var: propagate(func, attached_to(func), fallback=fallback) for var, func in relax_functions(mod)}


@tvm.transform.module_pass(opt_level=0, name="PropagateTesa")
class PropagateTesa:
    """Write the propagated attributes into the module: function attribute ``tesa``, readable by ``TesaMap.of``.

    ``fallback``: see ``propagate``; ``tesa.automatic`` measures the rule of an operator that has none.
    """

    def __init__(self, fallback: Rule | None = None) -> None:
        """The rule of operators without one; default: conservative."""
        self.fallback = fallback

    def transform_module(self, mod: Any, _context: Any) -> Any:
        """Annotate every Relax function."""
        from tvm_aie.tesa.tesa_map import TesaMap

        updated = mod.clone()  # the caller's module stays as it is
        for var, result in propagate_module(mod, self.fallback).items():
            updated[var] = TesaMap.from_propagation(result).written_to(mod[var])
        return updated


__all__ = ["Code", "Constants", "PropagateTesa", "Propagation", "WeightUse", "propagate", "propagate_module"]
