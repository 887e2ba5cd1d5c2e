"""Tensor scrambling: a propagation rule measured from the operator itself.

Idea (SparTA): an element that stays the same whatever the other tensors hold is a constant; an input element whose
value no live output notices is dead. The repairs of ../shared/reference/tesa.md section 8, rows 9 to 16:

* integers are drawn from 2**20 values of both signs and computed exactly: for a polynomial of degree d an accident
  has probability at most d/2**20 per sample (Schwartz-Zippel), so a few samples suffice and nothing is rounded;
* floats are float64 with both signs at scales from 1e-3 to 1e2, different in each sample: no saturation hides all;
* results are compared exactly, never against a threshold;
* backwards no gradient is taken: a set of input elements is changed and each live output compared for itself.
  SparTA's cotangent (the 0/1 mask) adds outputs up, so terms can cancel; here nothing is added. Sets are halved
  until single elements remain. Each set is tried alone against several settings of all other elements, since a
  maximum or a closed gate hides most elements most of the time.

Operators with plateaus that no sample may leave (rounding to few levels, comparisons, indices) are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_aie.tesa.attribute import Mask
from tvm_aie.tesa.evaluate import can_evaluate, evaluate
from tvm_aie.tesa.facts import Fact, dtype_range, is_integer
from tvm_aie.tesa.ir import Array, op_name
from tvm_aie.tesa.rules import Node, Operand, Rule, conservative, everything

RESIDUES = 1 << 20
SAMPLES = 12
MAX_ELEMENTS = 2048
STEPS = {
    "argmax", "argmin", "argsort", "sort", "topk", "floor", "ceil", "round", "trunc", "sign", "one_hot", "where",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or",
    "logical_not", "logical_xor", "isnan", "isinf", "isfinite", "nonzero", "unique", "bucketize", "floor_divide",
    "floor_mod", "mod", "quantize", "nn.dropout", "multinomial_from_uniform", "nn.cross_entropy_with_logits",
}  # fmt: skip
_POSITIVE = ("sqrt", "rsqrt", "log", "power")
_UNIT = ("asin", "acos", "atanh")  # defined between -1 and 1
# What TVM and numpy raise for an operator or an element type that they do not have.
_REFUSED = (RuntimeError, ValueError, TypeError, KeyError, NotImplementedError, AttributeError, IndexError)

Evaluator = Callable[[Sequence[Array]], list[Array]]


def numpy_evaluator(node: Node) -> Evaluator:
    """Evaluate a node with ``evaluate.py``."""

    def run(operands: Sequence[Array]) -> list[Array]:
        given: list[Any] = [list(operands)] if node.name == "concat" else list(operands)
        with np.errstate(all="ignore"):
            result = evaluate(node.call, given)
        return list(result) if isinstance(result, list) else [result]

    return run


def tvm_evaluator(node: Node) -> Evaluator:
    """Evaluate a node with TVM's own lowering on the CPU, any operator.

    In float64 and int64 where TVM has the operator for those, in its own element types otherwise.
    """
    wide = [o.dtype if o.dtype == "bool" else "int64" if is_integer(o.dtype) else "float64" for o in node.operands]
    try:
        return _compiled(node, wide)
    except _REFUSED:
        return _compiled(node, [o.dtype for o in node.operands])


def _compiled(node: Node, kinds: Sequence[str]) -> Evaluator:
    pairs = enumerate(zip(node.operands, kinds, strict=True))
    params = [relax.Var(f"x{i}", relax.TensorType(o.shape, k)) for i, (o, k) in pairs]
    builder = relax.BlockBuilder()
    left = iter(params)
    with builder.function("main", params):
        args = [_substitute(a, left) for a in node.call.args]
        result = builder.emit(relax.Call(node.call.op, args, node.call.attrs))
        builder.emit_func_output(result)
    machine = relax.VirtualMachine(relax.build(builder.get(), "llvm"), tvm.cpu())

    def run(operands: Sequence[Array]) -> list[Array]:
        arrays = [np.asarray(a.astype(k), order="C") for a, k in zip(operands, kinds, strict=True)]
        out = machine["main"](*(tvm.runtime.tensor(a) for a in arrays))
        return [out.numpy()] if hasattr(out, "numpy") else [t.numpy() for t in out]

    return run


def _substitute(arg: Any, params: Any) -> Any:
    """Replace tensor arguments by parameters in order."""
    from tvm_aie.tesa.ir import is_tensor

    if isinstance(arg, relax.Tuple):
        return relax.Tuple([next(params) if is_tensor(f) else f for f in arg.fields])
    return next(params) if is_tensor(arg) else arg


class Scrambler:
    """Measures what one node does; deterministic by ``seed``."""

    def __init__(self, node: Node, evaluator: Evaluator | None = None, seed: int = 0, samples: int = SAMPLES) -> None:
        """``evaluator`` default: numpy where it has the operator, else TVM."""
        self.node, self.samples = node, samples
        self.rng = np.random.default_rng(seed)
        default = numpy_evaluator if can_evaluate(node.call) else tvm_evaluator
        self.run = evaluator or default(node)

    def draw(self, operand: Operand, sample: int) -> Array:
        """Random content of an operand where it is not a constant."""
        if operand.is_constant:
            array = operand.array
            assert array is not None
            return array if is_integer(str(array.dtype)) else array.astype(np.float64)
        fact = operand.fact.expanded()
        if is_integer(operand.dtype):
            lo, hi = dtype_range(operand.dtype)
            reach = min(RESIDUES, int(hi)) if hi < 2**62 else RESIDUES
            kind = np.int64
            value = self.rng.integers(max(-reach, int(lo)), reach + 1, operand.shape).astype(kind)
        else:
            scale = 10.0 ** self.rng.uniform(-3, 2)
            value = self.rng.standard_normal(operand.shape) * scale
            if sample % 3 == 2:  # a wide spread inside one sample
                value = value * 10.0 ** self.rng.uniform(-3, 2, operand.shape)
            value = np.abs(value) if self.node.name in _POSITIVE else value
            value = value / (1 + np.abs(value)) if self.node.name in _UNIT else value
            value = 1 + np.abs(value) if self.node.name == "acosh" else value
            value = np.clip(value, fact.lo, fact.hi)
        return np.where(fact.known, fact.value.astype(value.dtype), value)

    def operands(self, sample: int) -> list[Array]:
        """Content of all operands."""
        return [self.draw(o, sample) for o in self.node.operands]

    def forward(self) -> list[tuple[Mask, Array]]:
        """(known, value) per result: what is the same in every sample, to the last bit."""
        runs = [self.run(self.operands(i)) for i in range(self.samples)]
        found = []
        for results in zip(*runs, strict=True):
            same = np.logical_and.reduce([r == results[0] for r in results[1:]])
            found.append((same, np.where(same, results[0], 0)))
        return found

    def notices(self, settings: list[list[Array]], base: list[list[Array]], position: int, chosen: Array,
                live: Sequence[Mask]) -> bool:  # fmt: skip
        """Does any live result element change when the flat elements ``chosen`` of an operand change?"""
        for index, (given, before) in enumerate(zip(settings, base, strict=True)):
            fresh = self.draw(self.node.operands[position], index).ravel()
            changed = given[position].ravel().copy()
            changed[chosen] = fresh[chosen]
            operands = list(given)
            operands[position] = changed.reshape(given[position].shape)
            for mask, old, new in zip(live, before, self.run(operands), strict=True):
                changed_here = (old != new) & ~(np.isnan(old) & np.isnan(new))
                if (changed_here & np.broadcast_to(mask, old.shape)).any():
                    return True
        return False

    def backward(self, live: Sequence[Mask]) -> list[Mask]:
        """Per operand: which elements some live result element notices (constants: True)."""
        settings = [self.operands(i) for i in range(self.samples)]
        base = [self.run(s) for s in settings]
        needs: list[Mask] = []
        for position, operand in enumerate(self.node.operands):
            if operand.is_constant:
                needs.append(everything(operand.shape, True))
                continue
            size = math.prod(operand.shape)
            need = np.zeros(size, np.bool_)
            movable = np.flatnonzero(np.broadcast_to(~operand.fact.known, operand.shape).ravel())
            self._halve(settings, base, position, movable, live, need)
            needs.append(need.reshape(operand.shape))
        return needs

    def _halve(self, settings: Any, base: Any, position: int, chosen: Array, live: Sequence[Mask], need: Mask) -> None:
        if not chosen.size or not self.notices(settings, base, position, chosen, live):
            return
        if chosen.size == 1:
            need[chosen] = True
            return
        half = chosen.size // 2
        for part in (chosen[:half], chosen[half:]):
            self._halve(settings, base, position, part, live, need)


def is_measurable(node: Node) -> bool:
    """True when scrambling may be asked: small, deterministic, without plateaus."""
    sizes = [math.prod(o.shape) for o in node.operands] + [math.prod(s) for s, _ in node.results]
    return op_name(node.call) not in STEPS and max(sizes, default=0) <= MAX_ELEMENTS and bool(node.operands)


def _forward(node: Node) -> Sequence[Fact]:
    if not is_measurable(node):
        return node.top()
    try:
        found = Scrambler(node).forward()
    except _REFUSED:
        return node.top()
    facts = []
    for top, (known, value) in zip(node.top(), found, strict=True):
        # measured in float64: the constant is right, its last bit need not be what fp32 computes
        facts.append(Fact(top.shape, top.dtype, known, value.astype(np.float64), known & (value == 0), top.lo, top.hi))
    return facts


def _backward(node: Node, outs: Sequence[Fact], live: Sequence[Mask]) -> Sequence[Mask]:
    if not is_measurable(node):
        return conservative.backward(node, outs, live)
    try:
        return Scrambler(node).backward(live)
    except _REFUSED:
        return conservative.backward(node, outs, live)


automatic = Rule(_forward, _backward)
