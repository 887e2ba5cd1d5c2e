"""Random pruned QDQ networks as ONNX files: what elimination rewrites, judged by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from qdq_net import Array, QdqNet


class PrunedNet:
    """A random network whose filters died in groups or alone, biases left; scales that saturate now and then.

    ``odd``: activations with zero points other than 0 and 128, which run on the host. ``pixels``: images that much
    wider and higher than 4 to 8.
    """

    def __init__(self, seed: int, size: int = 6, odd: bool = False, pixels: int = 0) -> None:
        self.rng = np.random.default_rng([seed, 5])
        self.pixels, self.odd = self.int(4, 9) + pixels, odd
        self.net = QdqNet((1, self.one_of([3, 8, 16]), self.pixels, self.pixels), -4, seed, self.flip())
        self.images: list[tuple[str, int, int]] = [(self.net.input, self.net.shape[1], self.pixels)]
        self.shared: dict[tuple[int, ...], str] = {}
        for _ in range(size):
            self.step()
        self.model = self.finish()

    def int(self, lo: int, hi: int) -> int:
        return int(self.rng.integers(lo, hi))

    def flip(self, p: float = 0.5) -> bool:
        return bool(self.rng.random() < p)

    def one_of(self, items: Any) -> Any:
        return items[int(self.rng.integers(len(items)))]

    def qdq(self, x: str, exponent: int | None = None) -> str:
        """Back to the grid; with an odd zero point where asked for."""
        exponent = self.one_of([-2, -3, -4, -5, -6]) if exponent is None else exponent
        if self.odd and self.flip(0.7):
            n = self.net.fresh("z")
            scale = self.net.const(n + "_s", np.float32(2.0**exponent))
            zero = self.net.const(n + "_z", np.uint8(self.one_of([0, 3, 77, 200, 255])))
            q = self.net.op("QuantizeLinear", [x, scale, zero], stem=f"{x}_quantize")
            return self.net.op("DequantizeLinear", [q, scale, zero], stem=f"{q}_dequantize")
        return self.net.qdq(x, exponent)

    def pruned(self, shape: tuple[int, ...]) -> Array:
        """Filters and input channels dead, alone or in eights, blocks and single weights dead."""
        r = self.rng
        value = r.integers(-20, 21, shape)
        for axis in (0, 1):
            group = self.one_of([1, 8])
            dead = np.repeat(r.random(-(-shape[axis] // group)) < self.one_of([0, 0.3, 0.6, 0.9]), group)[: shape[axis]]
            if not dead.all() or self.flip(0.1):
                value[(slice(None),) * axis + (dead,)] = 0
        return np.asarray(value * (r.random(shape) >= self.one_of([0, 0, 0.5])))

    def step(self) -> None:
        kind = self.one_of("conv conv conv conv conv depthwise group add concat pool twice".split())
        x, c, p = self.one_of(self.images[-4:])
        getattr(self, kind)(x, c, p)

    def keep(self, x: str, channels: int, pixels: int) -> None:
        self.images.append((x, channels, pixels))

    def activation(self, y: str) -> str:
        kind = self.one_of(["relu", "relu", "none", "clip"])
        if kind == "clip":
            n = self.net.fresh("c")
            return self.net.op(
                "Clip", [y, self.net.const(n + "_0", np.float32(0)), self.net.const(n + "_6", np.float32(6))]
            )
        return self.net.relu(y) if kind == "relu" else y

    def conv(self, x: str, c: int, p: int, group: int = 1, out: int = 0) -> None:
        k, stride = self.one_of([1, 1, 3, 3]), self.one_of([1, 1, 1, 2])
        pad = self.one_of([0, 1, 1]) if k == 3 else 0
        if p + 2 * pad < k:
            return
        out = out or self.one_of([8, 16, 24, 13, 32])
        y = self.net.conv(
            x,
            c,
            out,
            k,
            we=self.one_of([-5, -6, -7]),
            be=self.one_of([None, -3, -5, -7]),
            group=group,
            value=self.pruned((out, c // group, k, k)),
            strides=[stride] * 2,
            pads=[pad] * 4,
        )
        self.keep(self.qdq(self.activation(y)), out, (p + 2 * pad - k) // stride + 1)

    def depthwise(self, x: str, c: int, p: int) -> None:
        self.conv(x, c, p, c, c)

    def group(self, x: str, c: int, p: int) -> None:
        if c % 2 == 0:
            self.conv(x, c, p, 2, 16)

    def add(self, x: str, c: int, p: int) -> None:
        same = [y for y, d, q in self.images if (d, q) == (c, p)]
        y = self.net.op("Add", [x, self.one_of(same)])
        self.keep(self.qdq(self.net.relu(y) if self.flip() else y), c, p)

    def concat(self, x: str, c: int, p: int) -> None:
        y, d, _ = self.one_of([i for i in self.images if i[2] == p])
        if c + d <= 64:
            self.keep(self.qdq(self.net.op("Concat", [x, y], axis=1)), c + d, p)

    def pool(self, x: str, c: int, p: int) -> None:
        if p < 4:
            return
        if self.flip():
            self.keep(self.qdq(self.net.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])), c, p // 2)
        else:
            y = self.net.op("AveragePool", [x], kernel_shape=[2, 2], strides=[1, 1])
            self.keep(self.qdq(y), c, p - 1)

    def twice(self, x: str, c: int, p: int) -> None:
        """Two convolutions read one tensor, with one weight."""
        key = (8, c, 1, 1)
        if key not in self.shared:
            self.shared[key] = self.net.weight(self.pruned(key), -6)
        ys = [self.net.op("Conv", [x, self.shared[key]], kernel_shape=[1, 1]) for _ in range(2)]
        first = self.qdq(self.net.relu(ys[0]))
        self.keep(self.qdq(self.net.op("Add", [first, self.qdq(ys[1])])), 8, p)

    def finish(self) -> onnx.ModelProto:
        """A classifier behind the last tensor, perhaps an earlier tensor as second output, perhaps its image."""
        x, c, _ = self.images[-1]
        outputs = []
        if self.flip(0.7):
            pooled = self.qdq(self.net.op("GlobalAveragePool", [x]), -5)
            flat = self.net.op("Flatten", [pooled])
            flat = self.net.qdq(flat, -5) if self.flip() else flat
            outputs.append(self.qdq(self.net.gemm(flat, c, 10), -2))
        if self.flip(0.4) or not outputs:
            outputs.append(x)
        if self.flip(0.3) and len(self.images) > 2:
            outputs.append(self.images[-2][0])
        return self.net.model(list(dict.fromkeys(outputs)))
