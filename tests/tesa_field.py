"""Exact liveness of linear networks by arithmetic in a finite field: the oracle of completeness.

Every constant and every input is drawn anew from the integers modulo the prime 2**61 - 1 (zeros stay zero, a shared
constant stays shared) and ReLU is taken as open. Each element is then a polynomial in what was drawn, and so is its
influence on a random combination of the outputs. By Schwartz and Zippel a polynomial that is not zero is zero at a
random point with probability at most degree / 2**61: for networks of ten layers one evaluation decides, for every
element at once, whether any weights of this pattern let it vary and reach an output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_aie.tesa.evaluate import correlate, evaluate, spread, taps_of
from tvm_aie.tesa.ir import bindings_of, const_array, is_const, op_name, shape_of
from tvm_aie.tesa.propagation import tensor_arguments

P = 2**61 - 1
Array = np.ndarray[Any, Any]
MOVES = ("reshape", "flatten", "permute_dims", "expand_dims", "squeeze", "strided_slice", "take", "flip", "stack",
         "nn.pad", "concat")  # fmt: skip


def drawn(shape: tuple[int, ...], rng: Any) -> Array:
    """Field elements that are not zero."""
    flat = [int(v) for v in rng.integers(1, P, int(np.prod(shape)))]
    return np.array(flat, object).reshape(shape)


def moved(call: Any, operands: list[Array]) -> Array:
    """Places of the result's elements in the operands laid end to end; -1 for padding."""
    start, index = 1, []
    for operand in operands:
        index.append(np.arange(start, start + operand.size).reshape(operand.shape))
        start += operand.size
    if op_name(call) == "take":
        index[1] = operands[1]
    if op_name(call) == "nn.pad":
        widths = [int(w) for w in call.attrs.pad_width]
        return np.pad(index[0], list(zip(widths[::2], widths[1::2], strict=True))) - 1
    return np.asarray(evaluate(call, [index] if op_name(call) == "concat" else index)) - 1


class Field:
    """Values and gradients of one function at one random point."""

    def __init__(self, func: Any, seed: int) -> None:
        self.func, self.rng = func, np.random.default_rng([seed, 61])
        self.fixed: dict[int, Array] = {}
        self.keep: list[Any] = []  # constants stay alive, so that their ids stay theirs
        self.grads: dict[Any, Array] = {}
        self.weights: dict[Any, Array] = {}
        self.values = self.run()
        self.other = self.run()

    def constant(self, expr: Any) -> Array:
        """The redrawn content of a constant."""
        array = const_array(expr)
        key = array.ctypes.data
        if key not in self.fixed:
            self.keep.append(array)
            self.fixed[key] = np.where(array != 0, drawn(array.shape, self.rng), 0)
        return self.fixed[key]

    def get(self, values: dict[Any, Any], expr: Any) -> Array:
        return self.constant(expr) if is_const(expr) else values[expr]

    def operands(self, values: dict[Any, Any], call: Any) -> list[Array]:
        """What a call reads; indices are not redrawn."""
        found = [self.get(values, a) for a in tensor_arguments(call)]
        return [found[0], const_array(tensor_arguments(call)[1])] if op_name(call) == "take" else found

    def run(self) -> dict[Any, Any]:
        """All values for fresh inputs."""
        values: dict[Any, Any] = {p: drawn(shape_of(p), self.rng) for p in self.func.params}
        for var, value in bindings_of(self.func):
            if isinstance(value, relax.Var):
                values[var] = values[value]
            elif op_name(value):
                values[var] = self.call(value, self.operands(values, value)) % P
            elif isinstance(value, relax.Tuple):
                values[var] = None
        return values

    def call(self, call: Any, operands: list[Array]) -> Array:
        name = op_name(call)
        if name == "nn.conv2d":
            return correlate(call, operands[0], operands[1], shape_of(call)[2:], int(call.attrs.groups))
        if name == "matmul":
            return np.asarray(np.matmul(operands[0], operands[1]))
        if name == "add":
            return np.asarray(operands[0] + operands[1])
        if name == "nn.relu":
            return operands[0]
        assert name in MOVES, name
        index = moved(call, operands)
        if name == "take":
            operands = operands[:1]
        flat = np.concatenate([np.zeros(1, object), *(o.ravel() for o in operands)])
        return np.asarray(flat[index + 1])

    # -------------------------------------------------------------------------------------------- gradients
    def give(self, expr: Any, grad: Array) -> None:
        if isinstance(expr, relax.Var):
            grad = np.asarray(grad % P)
            self.grads[expr] = grad if expr not in self.grads else (self.grads[expr] + grad) % P

    def seed_outputs(self, expr: Any) -> None:
        if isinstance(expr, relax.Tuple):
            for item in expr.fields:
                self.seed_outputs(item)
        elif isinstance(expr, relax.Var):
            value = dict(bindings_of(self.func)).get(expr)
            if isinstance(value, relax.Tuple):
                self.seed_outputs(value)
            else:
                self.give(expr, drawn(shape_of(expr), self.rng))

    def backward(self) -> None:
        """Gradients of a random combination of the outputs: of every variable, of every weight."""
        self.seed_outputs(self.func.body.body)
        for var, value in reversed(list(bindings_of(self.func))):
            if var not in self.grads:
                continue
            if isinstance(value, relax.Var):
                self.give(value, self.grads[var])
            elif op_name(value):
                self.back(var, value, self.grads[var])

    def back(self, var: Any, call: Any, grad: Array) -> None:
        name, arguments = op_name(call), tensor_arguments(call)
        operands = self.operands(self.values, call)
        if name == "nn.conv2d":
            groups = int(call.attrs.groups)
            self.give(arguments[0], spread(call, grad, operands[1], operands[0].shape[2:], groups))
            self.weights[var] = self.conv_weight(call, operands[0], grad, operands[1].shape, groups)
        elif name == "matmul":
            left = np.matmul(grad, np.swapaxes(operands[1], -1, -2))
            right = np.matmul(np.swapaxes(operands[0], -1, -2), grad)
            self.give(arguments[0], left)
            self.weights[var] = right.reshape(-1, *right.shape[-2:]).sum(axis=0) % P
        elif name == "add":
            for argument, operand in zip(arguments, operands, strict=True):
                if not is_const(argument):
                    self.give(argument, grad.reshape(operand.shape))
        elif name == "nn.relu":
            self.give(arguments[0], grad)
        else:
            index = moved(call, operands)
            sizes = [o.size for o in (operands[:1] if name == "take" else operands)]
            total = np.zeros(sum(sizes) + 1, object)
            np.add.at(total, (index + 1).ravel(), grad.ravel())
            parts = np.split(total[1:], np.cumsum(sizes)[:-1])
            for argument, part in zip(arguments, parts, strict=False):
                self.give(argument, part.reshape(shape_of(argument)))

    def conv_weight(self, call: Any, x: Array, grad: Array, shape: tuple[int, ...], groups: int) -> Array:
        taps, padded, pads = taps_of(call, shape[2:], x.shape[2:], grad.shape[2:])
        image = np.zeros((*x.shape[:2], *padded), object)
        image[:, :, pads[0] : pads[0] + x.shape[2], pads[1] : pads[1] + x.shape[3]] = x
        image = image.reshape(x.shape[0], groups, -1, *padded)
        parts = grad.reshape(grad.shape[0], groups, -1, *grad.shape[2:])
        out = np.zeros((groups, parts.shape[2], *shape[1:]), object)
        for tap, cut in taps:
            out[(..., *tap)] = np.einsum("ngohw,ngihw->goi", parts, image[(..., *cut)])
        return out.reshape(shape) % P

    def live(self, var: Any) -> Array:
        """Varies with the inputs, and changes an output."""
        varies = self.values[var] != self.other[var]
        return varies & (self.grads[var] != 0) if var in self.grads else varies & False


def missed(func: Any, result: Any, seed: int) -> list[str]:
    """What propagation keeps although no weights of this pattern let it matter."""
    field = Field(func, seed)
    field.backward()
    found = []
    for var in (*func.params, *result.order):
        if var in result.facts and isinstance(field.values.get(var), np.ndarray):
            kept = np.broadcast_to(result.live(var), shape_of(var))
            wrong = kept & ~field.live(var).astype(bool)
            found += [f"{var.name}{index.tolist()}" for index in np.argwhere(wrong)[:2]]
    for use in result.weights.values():
        if is_const(result.nodes[use.var].call.args[1]):
            kept = np.broadcast_to(use.needed, use.operand.shape) & (use.operand.array != 0)
            alive = field.weights.get(use.var)
            wrong = kept & ~(alive != 0).astype(bool) if alive is not None else kept
            found += [f"weight of {use.var.name}{index.tolist()}" for index in np.argwhere(wrong)[:2]]
    return found


__all__ = ["Field", "missed"]
