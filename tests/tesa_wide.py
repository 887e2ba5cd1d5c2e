"""A wider generator of random integer networks than ``tesa_nets.RandomNet``: the shapes that break rules.

Grouped, strided, dilated, depthwise convolutions with uneven padding; average pools and quantisation in between;
several inputs (int8 and int32), several outputs, outputs that are also read, names for names, unused branches;
operands used twice, shared weights, constants in concats; saturating and wrapping requantisation; batches, ranks 2 to
4; tensors below and above the 4,096 elements that are followed one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_aie.tesa.ir import dtype_of, shape_of

op, nn = relax.op, relax.op.nn
INT = "int32"
IMAGE_OPS = (
    "conv conv conv conv conv group add add sub mul_const mul scale relu clip leaky requant requant requant narrow "
    "wrap "
    "qdq avg max_pool concat concat_const concat_axis permute shuffle split slice pad resize reduce reverse take "
    "merge_rows transpose_conv matmul_last minmax abs stack where compare cumsum tile batch_norm global"
).split()
LINEAR_IMAGE = (
    "conv conv conv conv conv group add add add relu concat concat_const concat_axis permute shuffle slice pad reverse "
    "take merge_rows stack matmul_last"
).split()
LINEAR_VECTOR = "dense dense dense add relu concat slice take".split()
VECTOR_OPS = "dense dense dense add requant relu concat slice take matmul_two reduce cumsum where softmax".split()


class WideNet:
    """A random function ``main``; ``used`` names the operators that went in."""

    def __init__(self, seed: int, size: int = 9, linear: bool = False) -> None:
        """``linear``: matmul, conv, add, relu, concat and data movement alone, on small tensors of int32."""
        self.rng = np.random.default_rng([seed, 77])
        self.linear = linear
        self.builder, self.used = relax.BlockBuilder(), set()
        self.images: list[Any] = []
        self.vectors: list[Any] = []
        self.shared: list[Any] = []
        self.large = not linear and self.flip(0.2)
        params = [relax.Var("data", relax.TensorType(self.input_shape(), INT))]
        if self.flip(0.4):
            kind = "int8" if self.flip() and not linear else INT
            params.append(relax.Var("extra", relax.TensorType(shape_of(params[0]), kind)))
        if self.flip(0.3):
            params.append(relax.Var("vector", relax.TensorType((shape_of(params[0])[0], self.int(1, 9)), INT)))
        with self.builder.function("main", params):
            with self.builder.dataflow():
                for p in params:
                    whole = p if dtype_of(p) == INT else self.emit(op.astype(p, INT))
                    (self.images if len(shape_of(p)) == 4 else self.vectors).append(whole)
                for _ in range(size):
                    self.step()
                result = self.builder.emit_output(self.outputs())
            self.builder.emit_func_output(result)
        self.mod = self.builder.get()
        self.func = self.mod["main"]

    # ---------------------------------------------------------------------------------------------- choices
    def flip(self, p: float = 0.5) -> bool:
        return bool(self.rng.random() < p)

    def int(self, lo: int, hi: int) -> int:
        return int(self.rng.integers(lo, hi))

    def one_of(self, items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def input_shape(self) -> tuple[int, ...]:
        if self.large:
            return (1, self.int(3, 6), self.int(30, 40), self.int(30, 40))
        return (self.one_of([1, 1, 1, 2, 3]), self.int(1, 8), self.int(1, 7), self.int(1, 7))

    def pick(self, pool: list[Any]) -> Any:
        return self.one_of(pool[-5:])

    def emit(self, value: Any) -> Any:
        return self.builder.emit(value)

    # ---------------------------------------------------------------------------------------------- constants
    def weight(self, shape: tuple[int, ...], spread: int = 4) -> Any:
        """Integers with whole rows, columns, blocks and single elements missing; sometimes a weight used before."""
        r = self.rng
        old = [w for w in self.shared if shape_of(w) == shape]
        if old and self.flip(0.3):
            return self.one_of(old)
        value = r.integers(1, spread + 1, shape) * r.choice([-1, 1], shape)
        if self.flip(0.3):
            value = abs(value)
        for axis in range(min(2, len(shape))):
            dead = r.random(shape[axis]) < r.choice([0, 0.3, 0.7, 1.0], p=[0.4, 0.3, 0.25, 0.05])
            value[(slice(None),) * axis + (dead,)] = 0
        value = value * (r.random(shape) >= r.choice([0, 0.3, 0.8]))
        found = relax.const(value.astype(np.int32))
        if self.flip(0.2) and len(shape) == 2:  # a weight that is itself an expression
            found = self.emit(op.permute_dims(relax.const(np.ascontiguousarray(value.T.astype(np.int32)))))
        self.shared.append(found)
        return found

    def bias(self, shape: tuple[int, ...]) -> Any:
        spread = self.one_of([4, 4, 40, 400])
        value = self.rng.integers(-spread, spread + 1, shape) * (self.rng.random(shape) < 0.7)
        return relax.const(value.astype(np.int32))

    def channel_bias(self, x: Any) -> Any:
        """A constant that broadcasts against ``x``: a number, per channel, per channel without leading 1, per pixel."""
        _, c, h, w = shape_of(x)
        shape = self.one_of([(1, c, 1, 1), (1, c, 1, 1), (c, 1, 1), (), (1, c, h, w), (w,), (h, 1)])
        return self.bias(shape)

    # ---------------------------------------------------------------------------------------------- steps
    def step(self) -> None:
        vectors = self.vectors and self.flip(0.3)
        if not vectors and self.flip(0.12):
            return self.flatten()
        kinds = (LINEAR_VECTOR if vectors else LINEAR_IMAGE) if self.linear else VECTOR_OPS if vectors else IMAGE_OPS
        kind = self.one_of(kinds)
        pool = self.vectors if vectors else self.images
        x = self.pick(pool)
        value = getattr(self, f"v_{kind}" if vectors else f"i_{kind}")(x, *shape_of(x))
        if value is None:
            return
        value = self.emit(value)
        if self.flip(0.05):
            value = self.emit(value)  # a second name
        shape = shape_of(value)
        if np.prod(shape) <= 12_000:
            pool.append(value)
            self.used.add(f"{'v' if vectors else 'i'}_{kind}")

    def flatten(self) -> None:
        x = self.pick(self.images)
        n, c, h, w = shape_of(x)
        if c * h * w > 300:
            if self.linear:
                return
            x = self.emit(op.sum(x, [2, 3], keepdims=self.flip()))
        size = int(np.prod(shape_of(x)[1:]))
        how = self.one_of(["reshape", "flatten", "batch_flatten"])
        if how == "flatten" and n == 1:
            x = self.emit(op.expand_dims(self.emit(op.flatten(x)), [0]))
        else:
            x = self.emit(op.reshape(x, (n, size)))
        self.vectors.append(x)
        self.used.add("flatten")

    def i_conv(self, x: Any, n: int, c: int, h: int, w: int, groups: int = 1, width: int = 0) -> Any:
        r = self.rng
        kh, kw = self.one_of([(1, 1), (1, 1), (3, 3), (3, 3), (1, 3), (2, 2), (3, 2)])
        stride, dilation = [int(v) for v in r.choice([1, 1, 2], 2)], [int(v) for v in r.choice([1, 1, 2], 2)]
        pads = [int(v) for v in r.integers(0, 3, 4)] if self.flip() else [self.int(0, 2)] * 4
        if h + pads[0] + pads[2] < (kh - 1) * dilation[0] + 1 or w + pads[1] + pads[3] < (kw - 1) * dilation[1] + 1:
            return None
        out = (width or self.one_of([1, 2, 3, 5, 8, 9, 16])) * groups
        weight = self.weight((out, c // groups, kh, kw))
        if np.prod(shape_of(weight)) * h * w > 2e6:
            return None
        y = self.emit(nn.conv2d(x, weight, stride, pads, dilation, groups, out_dtype=INT))
        if self.flip(0.7):
            bias = self.bias((1, out, 1, 1))
            y = self.emit(op.add(y, bias) if self.flip(0.8) else op.add(bias, y))
        if self.flip(0.4) and not self.linear:
            y = self.emit(op.clip(y, self.one_of([0, -128]), 127))
        if self.flip(0.4):
            return nn.relu(y)
        return y

    def i_group(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        divisors = [g for g in range(2, c + 1) if c % g == 0]
        if not divisors:
            return None
        groups = c if self.flip() else self.one_of(divisors)
        return self.i_conv(x, n, c, h, w, groups, self.one_of([1, 1, 2, 3]))

    def i_add(self, x: Any, *_: int) -> Any:
        if self.flip(0.3):
            return op.add(x, self.channel_bias(x))
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        return op.add(x, self.pick(same))  # perhaps x itself

    def i_sub(self, x: Any, *_: int) -> Any:
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        return op.subtract(x, self.pick(same) if self.flip() else self.channel_bias(x))

    def i_mul_const(self, x: Any, *_: int) -> Any:
        return op.multiply(self.i_small(x), self.channel_bias(x))

    def i_mul(self, x: Any, *_: int) -> Any:
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        return op.multiply(self.i_small(x), self.i_small(self.pick(same)))

    def i_small(self, x: Any) -> Any:
        return self.emit(op.clip(x, -128, 127))

    def i_scale(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        """One number per image and channel, computed, times the image (squeeze and excite)."""
        gate = self.emit(op.clip(self.emit(op.max(x, [2, 3], keepdims=True)), 0, 3))
        return op.multiply(x, gate)

    def i_minmax(self, x: Any, *_: int) -> Any:
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        other = self.pick(same) if self.flip() else self.channel_bias(x)
        return self.one_of([op.maximum, op.minimum])(x, other)

    def i_abs(self, x: Any, *_: int) -> Any:
        return self.one_of([op.abs, op.negative])(x)

    def i_relu(self, x: Any, *_: int) -> Any:
        return nn.relu(x)

    def i_clip(self, x: Any, *_: int) -> Any:
        return op.clip(x, self.one_of([-3, 0, 1]), self.one_of([6, 20]))

    def i_leaky(self, x: Any, *_: int) -> Any:
        y = self.emit(nn.leakyrelu(self.emit(op.astype(self.i_small(x), "float32")), self.one_of([0.25, -0.5, 2.0])))
        return self.quantized(y, 0.5)

    def quantized(self, y: Any, scale: float) -> Any:
        """Quantise with an odd zero point and go on as int32."""
        dtype, zero = self.one_of([("uint8", 128), ("int8", 0), ("uint8", 3), ("int8", -50), ("uint8", 255)])
        z = relax.const(zero, dtype)
        q = self.emit(op.quantize(y, relax.const(np.float32(scale)), z, axis=1, out_dtype=dtype))
        if self.flip():
            return op.astype(q, INT)
        back = self.emit(op.dequantize(q, relax.const(np.float32(scale)), z, axis=1, out_dtype="float32"))
        whole = self.emit(op.multiply(back, relax.const(np.float32(4))))
        return op.astype(self.emit(op.clip(self.emit(op.round(whole)), -4096, 4096)), INT)

    def i_requant(self, x: Any, *_: int) -> Any:
        """Add half, shift right, saturate: what an integer network does between layers."""
        shift = self.int(1, 7)
        y = self.emit(op.add(x, relax.const(np.int32(1 << (shift - 1)))))
        y = self.emit(op.right_shift(y, relax.const(np.int32(shift))))
        return op.clip(y, self.one_of([-128, 0, -8]), self.one_of([127, 7]))

    def i_narrow(self, x: Any, *_: int) -> Any:
        return op.astype(self.emit(op.astype(self.i_small(x), "int8")), INT)

    def i_wrap(self, x: Any, *_: int) -> Any:
        return op.astype(self.emit(op.astype(x, self.one_of(["int8", "uint8", "int16"]))), INT)

    def i_qdq(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        y = self.emit(op.astype(self.i_small(x), "float32"))
        scale = relax.const((2.0 ** self.rng.integers(-2, 3, c)).astype(np.float32))
        if self.flip():
            zero = relax.const(self.rng.integers(-9, 9, c).astype(np.int8))
            y = self.emit(op.quantize(y, scale, zero, axis=1, out_dtype="int8"))
            return op.astype(y, INT)
        return self.quantized(y, self.one_of([0.25, 0.3, 1.0, 8.0]))

    def i_avg(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if min(h, w) < 2:
            return None
        k = (self.int(1, min(h, 3) + 1), self.int(1, min(w, 3) + 1))
        pads = [self.int(0, k[0]), self.int(0, k[1])] * 2 if self.flip() else [0, 0, 0, 0]
        pads = [min(p, k[i % 2] - 1) for i, p in enumerate(pads)]
        y = self.emit(op.astype(self.i_small(x), "float32"))
        y = nn.avg_pool2d(y, k, (self.int(1, 3), self.int(1, 3)), pads, ceil_mode=False, count_include_pad=self.flip())
        return self.quantized(self.emit(y), 1.0)

    def i_global(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        y = self.emit(op.astype(self.i_small(x), "float32"))
        how = self.int(0, 2)
        y = self.emit(op.mean(y, [2, 3], keepdims=True) if how else nn.adaptive_avg_pool2d(y, (1, 1)))
        return self.quantized(y, 1.0)

    def i_max_pool(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        k = (self.int(1, 4), self.int(1, 4))
        pads = [self.int(0, k[i % 2]) for i in range(4)]
        if h + pads[0] + pads[2] < k[0] or w + pads[1] + pads[3] < k[1]:
            return None
        return nn.max_pool2d(x, k, (self.int(1, 3), self.int(1, 3)), pads, ceil_mode=self.flip(0.3))

    def i_concat(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        same = [y for y in self.images if shape_of(y)[0] == n and shape_of(y)[2:] == (h, w)]
        parts = [x, self.pick(same), self.pick(same)][: self.int(2, 4)]
        return op.concat(parts, 1) if sum(shape_of(p)[1] for p in parts) <= 24 else None

    def i_concat_const(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        part = self.bias((n, self.int(1, 4), h, w))
        return op.concat([x, part] if self.flip() else [part, x], self.one_of([1, 1, -3]))

    def i_concat_axis(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        axis = self.one_of([0, 2, 3])
        same = [y for y in self.images if all(a == b for i, (a, b) in enumerate(zip(shape_of(x), shape_of(y),
                                              strict=True)) if i != axis)]  # fmt: skip
        return op.concat([x, self.pick(same)], axis) if max(n, h, w) < 12 else None

    def i_permute(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        return op.permute_dims(x, [int(a) for a in self.rng.permutation(4)]) if max(n, c, h, w) < 20 else None

    def i_shuffle(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if c % 2:
            return None
        y = self.emit(op.reshape(x, (n, 2, c // 2, h, w)))
        return op.reshape(self.emit(op.permute_dims(y, [0, 2, 1, 3, 4])), (n, c, h, w))

    def i_merge_rows(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        """Reshapes that mix channels and pixels."""
        shapes = [(n, c * h, 1, w), (n, c, 1, h * w), (1, n * c, h, w), (n, w, h, c)]
        return op.reshape(x, self.one_of([s for s in shapes if s[1] <= 64]) if c <= 64 else shapes[1])

    def i_split(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if c < 2:
            return None
        cuts = sorted({self.int(1, c) for _ in range(self.int(1, 3))})
        parts = self.emit(op.split(x, cuts, self.one_of([1, -3])))
        picked = [self.emit(relax.TupleGetItem(parts, i)) for i in range(len(cuts) + 1) if self.flip(0.7)]
        self.images += picked[1:]
        return picked[0] if picked else None

    def i_slice(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        axis = self.int(0, 4)
        length = shape_of(x)[axis]
        begin = self.int(0, length)
        return op.strided_slice(x, [axis], [begin], [self.int(begin + 1, length + 1)], [self.int(1, 3)])

    def i_reverse(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        return op.flip(x, self.int(0, 4))

    def i_take(self, x: Any, *_: int) -> Any:
        axis = self.one_of([1, 1, 2])
        index = self.rng.integers(0, shape_of(x)[axis], self.int(1, 9))
        return op.take(x, relax.const(index.astype(np.int64)), axis)

    def i_pad(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if max(h, w) > 12:
            return None
        widths = [0, 0, self.int(0, 2), self.int(0, 3), *(int(v) for v in self.rng.integers(0, 3, 4))]
        return nn.pad(x, widths, pad_value=0.0 if self.linear else float(self.int(-1, 3)))

    def i_resize(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        size = relax.ShapeExpr((self.int(1, 2 * h + 1), 2 * w))
        modes = {"method": "nearest_neighbor", "coordinate_transformation_mode": "asymmetric"}
        return op.image.resize2d(x, size, rounding_method="floor", **modes) if max(h, w) <= 6 else None

    def i_tile(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if c * h * w > 200:
            return None
        return op.tile(x, (1, 2, 1, 2)) if self.flip() else op.repeat(x, 2, self.one_of([1, 2]))

    def i_stack(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        if 2 * c > 24:
            return None
        return op.reshape(self.emit(op.stack([x, self.pick(same)], 2)), (n, 2 * c, h, w))

    def i_reduce(self, x: Any, *_: int) -> Any:
        axes = sorted({self.int(0, 4) for _ in range(self.int(1, 3))})
        return self.one_of([op.sum, op.max, op.min])(x, axes, keepdims=True)

    def i_cumsum(self, x: Any, *_: int) -> Any:
        return op.cumsum(x, self.int(0, 4))

    def i_where(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        same = [y for y in self.images if shape_of(y) == shape_of(x)]
        mask = relax.const(self.rng.random(self.one_of([(1, c, 1, 1), (n, c, h, w), ()])) < 0.5)
        if self.flip(0.3):
            mask = self.emit(op.greater(self.pick(same), relax.const(np.int32(0))))
        return op.where(mask, x, self.pick(same) if self.flip() else self.channel_bias(x))

    def i_compare(self, x: Any, *_: int) -> Any:
        other = self.one_of([relax.const(np.int32(self.int(-2, 3))), self.channel_bias(x)])
        how = self.one_of([op.greater, op.less, op.equal, op.not_equal, op.greater_equal, op.less_equal])
        return op.astype(self.emit(how(x, other)), INT)

    def i_transpose_conv(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        if max(h, w) > 8:
            return None
        stride = (self.int(1, 3), self.int(1, 3))
        weight = self.weight((c, self.int(1, 4), 3, 2))
        y = nn.conv2d_transpose(self.i_small(x), weight, stride, padding=self.int(0, 2), out_dtype=INT)
        return y if h > 1 and w > 1 else None

    def i_matmul_last(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        small = x if self.linear else self.i_small(x)
        return op.matmul(small, self.weight((w, self.int(1, 7))), out_dtype=INT) if w < 20 else None

    def i_batch_norm(self, x: Any, n: int, c: int, h: int, w: int) -> Any:
        """With statistics that are powers of two, so that fp32 is exact."""
        y = self.emit(op.astype(self.i_small(x), "float32"))
        gamma = self.rng.integers(-2, 3, c).astype(np.float32)
        beta, mean = (self.rng.integers(-3, 4, c).astype(np.float32) for _ in range(2))
        given = (relax.const(v) for v in (gamma, beta, mean, np.ones(c, np.float32)))
        y = self.emit(nn.batch_norm(y, *given, axis=1, epsilon=0.0, training=False))
        return self.quantized(self.emit(relax.TupleGetItem(y, 0)), 1.0)

    # ---------------------------------------------------------------------------------------------- vectors
    def v_dense(self, x: Any, n: int, k: int) -> Any:
        y = self.emit(op.matmul(x, self.weight((k, self.one_of([1, 3, 8, 9, 16])), 3), out_dtype=INT))
        m = shape_of(y)[1]
        return op.add(y, self.bias(self.one_of([(m,), (1, m), ()]))) if self.flip(0.7) else y

    def v_add(self, x: Any, *_: int) -> Any:
        same = [y for y in self.vectors if shape_of(y) == shape_of(x)]
        return op.add(x, self.pick(same))

    def v_requant(self, x: Any, *_: int) -> Any:
        return self.i_requant(x)

    def v_relu(self, x: Any, *_: int) -> Any:
        return nn.relu(x)

    def v_concat(self, x: Any, n: int, k: int) -> Any:
        same = [y for y in self.vectors if shape_of(y)[0] == n]
        return op.concat([x, self.pick(same), self.bias((n, 2))], 1) if k < 300 else None

    def v_slice(self, x: Any, n: int, k: int) -> Any:
        begin = self.int(0, k)
        return op.strided_slice(x, [1], [begin], [self.int(begin + 1, k + 1)])

    def v_take(self, x: Any, n: int, k: int) -> Any:
        return op.take(x, relax.const(self.rng.integers(0, k, self.int(1, 9)).astype(np.int64)), 1)

    def v_matmul_two(self, x: Any, n: int, k: int) -> Any:
        """x times its own transpose, or times another computed matrix."""
        y = self.emit(op.permute_dims(self.pick([v for v in self.vectors if shape_of(v)[1] == k])))
        return op.matmul(self.i_small(x), self.i_small(y), out_dtype=INT)

    def v_reduce(self, x: Any, *_: int) -> Any:
        return self.one_of([op.sum, op.max, op.min])(x, [self.int(0, 2)], keepdims=True)

    def v_cumsum(self, x: Any, *_: int) -> Any:
        return op.cumsum(x, 1)

    def v_where(self, x: Any, n: int, k: int) -> Any:
        return op.where(relax.const(self.rng.random((1, k)) < 0.5), x, relax.const(np.int32(self.int(-2, 3))))

    def v_softmax(self, x: Any, n: int, k: int) -> Any:
        """Argmax: what is left of a softmax in an integer network; needs its whole row."""
        return op.astype(op.argmax(x, 1, keepdims=True), INT)

    def outputs(self) -> Any:
        """The last tensor, perhaps earlier ones too (which others read), perhaps a parameter, perhaps one twice."""
        everything = [*self.vectors[-2:], *self.images[-3:]]
        found = [everything[-1] if self.flip(0.7) else self.one_of(everything)]
        while self.flip(0.4) and len(found) < 4:
            found.append(self.one_of([*everything, *self.images]))
        return found[0] if len(found) == 1 and self.flip(0.8) else relax.Tuple(found)
