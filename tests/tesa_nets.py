"""Random integer networks in Relax, a numpy interpreter with hooks, and the oracles of propagation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tvm import relax

from tvm_aie.tesa.evaluate import evaluate
from tvm_aie.tesa.ir import bindings_of, const_array, dtype_of, is_const, op_name, shape_of
from tvm_aie.tesa.propagation import tensor_arguments

Array = np.ndarray[Any, Any]
Hook = Callable[[Any, Array], Array]


def interpret(
    func: Any,
    inputs: list[Array],
    hook: Hook | None = None,
    weights: dict[Any, Array] | None = None,
    seen: dict[Any, Any] | None = None,
) -> list[Array]:
    """Run a function with numpy in its own element types. ``hook`` may replace the value of each tensor variable;
    ``weights``: replacement of the second operand by the variable that a call is bound to."""
    values: dict[Any, Any] = {}

    def store(var: Any, value: Any) -> None:
        values[var] = hook(var, value) if hook and not isinstance(value, list) else value
        if seen is not None:
            seen[var] = values[var]

    def get(expr: Any) -> Any:
        if isinstance(expr, relax.Tuple):
            return [get(f) for f in expr.fields]
        return const_array(expr) if is_const(expr) else values[expr]

    for param, value in zip(func.params, inputs, strict=True):
        store(param, value)
    for var, value in bindings_of(func):
        if isinstance(value, relax.Var):
            values[var] = values[value]
        elif isinstance(value, relax.TupleGetItem):
            store(var, get(value.tuple_value)[int(value.index)])
        elif op_name(value):
            operands = [get(a) for a in tensor_arguments(value)]
            if weights and var in weights:
                operands[1] = weights[var]
            out = evaluate(value, [operands] if op_name(value) == "concat" else operands)
            store(var, out if isinstance(out, list) else np.asarray(out).astype(str(var.ty.dtype)))
        else:
            store(var, get(value))
    result = get(func.body.body)
    return result if isinstance(result, list) else [result]


class RandomNet:
    """A random DAG of convolutions, matrix products, adds, relus, concats, pools and data movement, in int32."""

    def __init__(self, seed: int, size: int = 8, linear: bool = False, dense: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = relax.BlockBuilder()
        self.linear, self.dense = linear, dense
        pixels = int(self.rng.integers(2, 6))
        shape = (1, int(self.rng.integers(1, 5)), pixels, pixels)
        self.param = relax.Var("data", relax.TensorType(shape, "int32"))
        self.images: list[Any] = []
        self.vectors: list[Any] = []
        with self.builder.function("main", [self.param]):
            with self.builder.dataflow():
                self.images.append(self.param)
                for _ in range(size):
                    self.step()
                out = self.finish()
                result = self.builder.emit_output(out)
            self.builder.emit_func_output(result)
        self.mod = self.builder.get()
        self.func = self.mod["main"]

    def pick(self, pool: list[Any]) -> Any:
        recent = pool[-4:]
        return recent[int(self.rng.integers(len(recent)))]

    def emit(self, value: Any) -> Any:
        return self.builder.emit(value)

    def sparse(self, shape: tuple[int, ...], spread: int = 3) -> Any:
        """Integers with whole rows, columns and single elements missing."""
        r = self.rng
        value = r.integers(1, spread + 1, shape) * r.choice([-1, 1], shape)
        if r.random() >= self.dense:
            value[r.random(shape[0]) < r.choice([0, 0.3, 0.6])] = 0
            value[:, r.random(shape[1]) < r.choice([0, 0.3, 0.6])] = 0
            value = value * (r.random(shape) >= r.choice([0, 0.3, 0.7]))
        return relax.const(value.astype(np.int32))

    def bias(self, channels: int, rank: int) -> Any:
        value = self.rng.integers(-4, 5, channels) * (self.rng.random(channels) < 0.6)
        return relax.const(value.astype(np.int32).reshape((1, -1) + (1,) * (rank - 2)))

    def step(self) -> None:
        r, x = self.rng, self.pick(self.images)
        n, c, h, w = shape_of(x)
        names = ["conv", "conv", "conv", "relu", "add", "concat"]
        if not self.linear:
            names += ["max_pool", "permute", "clip", "mul", "split", "group", "resize", "pad"]
        kind = str(r.choice(names))
        value = getattr(self, f"make_{kind}")(x, n, c, h, w)
        if value is not None:
            self.images.append(self.emit(value))

    def make_conv(self, x: Any, n: int, c: int, h: int, w: int, groups: int = 1) -> Any:
        r = self.rng
        k, pad, stride = int(r.choice([1, 3])), int(r.choice([0, 1])), int(r.choice([1, 1, 2]))
        if h + 2 * pad < k or w + 2 * pad < k:
            return None
        out = int(r.integers(1, 5)) * groups
        weight = self.sparse((out, c // groups, k, k))
        value = relax.op.nn.conv2d(x, weight, strides=stride, padding=pad, groups=groups, out_dtype="int32")
        value = self.emit(value)
        return relax.op.add(value, self.bias(out, 4)) if r.random() < 0.7 else value

    def make_group(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        return self.make_conv(x, n, c, h, w, groups=c)

    def make_relu(self, x: Any, *_: int) -> Any:
        return relax.op.nn.relu(x)

    def make_clip(self, x: Any, *_: int) -> Any:
        return relax.op.clip(x, -3, 20)

    def make_mul(self, x: Any, n: int, c: int, *_: int) -> Any:
        return relax.op.multiply(x, self.bias(c, 4))

    def make_add(self, x: Any, *_: int) -> Any:
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        return relax.op.add(x, self.pick(same))

    def make_concat(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        same = [y for y in self.images if shape_of(y)[2:] == (h, w)]
        other = self.pick(same)
        return relax.op.concat([x, other], 1) if c + shape_of(other)[1] <= 10 else None

    def make_max_pool(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        pad = int(self.rng.choice([0, 1]))
        return relax.op.nn.max_pool2d(x, (2, 2), strides=(1, 1), padding=pad) if h > 2 else None

    def make_permute(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if c % 2:
            return relax.op.permute_dims(x, [0, 1, 3, 2]) if h == w else None
        y = self.emit(relax.op.reshape(x, (n, 2, c // 2, h, w)))
        return relax.op.reshape(self.emit(relax.op.permute_dims(y, [0, 2, 1, 3, 4])), (n, c, h, w))

    def make_split(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if c < 2:
            return None
        if self.rng.random() < 0.5:
            return relax.op.strided_slice(x, [1], [1], [c])
        parts = self.emit(relax.op.split(x, [c // 2], 1))
        return relax.TupleGetItem(parts, int(self.rng.integers(2)))

    def make_resize(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        size = relax.ShapeExpr((2 * h, 2 * w))
        modes = {"method": "nearest_neighbor", "coordinate_transformation_mode": "asymmetric"}
        return relax.op.image.resize2d(x, size, rounding_method="floor", **modes) if h <= 4 else None

    def make_pad(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        return relax.op.nn.pad(x, (0, 0, 0, 0, 1, 0, 0, 1)) if h <= 4 else None

    def finish(self) -> Any:
        """Flatten the last images, multiply by matrices, add."""
        heads = []
        for x in self.images[-2:]:
            flat = self.emit(relax.op.reshape(x, (1, int(np.prod(shape_of(x))))))
            y = self.emit(relax.op.matmul(flat, self.sparse((shape_of(flat)[1], 5), 2), out_dtype="int32"))
            heads.append(self.emit(relax.op.add(y, self.bias(5, 2))))
        y = self.emit(relax.op.nn.relu(heads[0]))
        y = self.emit(relax.op.matmul(y, self.sparse((5, 4), 2), out_dtype="int32"))
        return self.emit(relax.op.concat([y, *heads[1:]], 1))


def random_input(func: Any, rng: Any, spread: int = 9) -> list[Array]:
    """Integers of both signs; what an element type cannot hold is cut off."""
    found = []
    for p in func.params:
        info = np.iinfo(dtype_of(p))
        drawn = rng.integers(-spread, spread + 1, shape_of(p))
        found.append(np.clip(drawn, info.min, info.max).astype(dtype_of(p)))
    return found


def check_sound(func: Any, result: Any, rng: Any, inputs: int = 4) -> None:
    """Constants are constants; what is not needed may be anything."""
    for turn in range(inputs):
        x, seen = random_input(func, rng, (9, 300, 1, 20_000)[turn % 4]), {}
        expected = interpret(func, x, seen=seen)
        for var, value in seen.items():
            if var not in result.facts:
                continue
            for item, fact in zip(value if isinstance(value, list) else [value], result.facts[var], strict=True):
                known = np.broadcast_to(fact.known, item.shape)
                exact = np.broadcast_to(fact.exact, item.shape) & known
                value = np.broadcast_to(fact.value, item.shape)
                assert np.array_equal(item[exact], value[exact]), f"{var} is not the constant"
                assert np.allclose(item[known], value[known], 1e-4, 1e-5), f"{var} is far from the constant"
                assert (item >= fact.lo).all() and (item <= fact.hi).all(), var

        def noise(var: Any, value: Array) -> Array:
            if var not in result.facts:
                return value
            fact = result.fact(var)
            need = np.broadcast_to(result.need(var) | (fact.known & ~fact.exact), value.shape)
            reach = int(rng.choice([3, 100, 100_000]))
            value = np.where(need, value, rng.integers(-reach, reach, value.shape).astype(value.dtype))
            return np.where(fact.known & fact.exact, fact.value, value).astype(value.dtype)

        weights = {}
        for use in result.weights.values():
            array = use.operand.array
            random = rng.integers(-9, 10, array.shape).astype(array.dtype)
            weights[use.var] = np.where(use.needed | (array == 0), array, random)
        got = interpret(func, x, noise, weights)
        assert all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True)), "a dead element changed an output"
