"""The three networks of the Weight Block Sparsity paper, as layer graphs with seeded int8 weights.

ResNet-50 (stride in the 3x3, ends at the average pool), Inception V3 (299x299, no auxiliary head, ends at the average
pool), VGG16 (no fully connected layers, ends at its 7x7 average pool); batch normalisation is folded. The sparse
variant keeps exactly half of the 8x8 blocks of every convolution but the first, at random positions.
Source: arXiv 2407.09453 and its experiments; MACs 4.087, 5.711, 15.347 G, weights 23.45, 21.75, 14.71 MB.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tvm_aie.plan.graph import (
    Add,
    AvgDivisor,
    Concat,
    Conv,
    GraphIO,
    Int8Array,
    Layer,
    LayerGraph,
    Pool,
    Requant,
    Tensor,
)
from tvm_aie.plan.graph import output_shape as shape_of

Pads = tuple[int, int, int, int]


class _Builder:
    """Layers by name; ``density`` is the share of live blocks of every convolution but the first."""

    def __init__(self, name: str, pixels: int, seed: int, density: float) -> None:
        """A network with one 3-channel input of ``pixels`` squared."""
        self.name, self.density = name, density
        self.rng = np.random.default_rng(seed)
        self.tensors = {"input": Tensor("input", 3, pixels, pixels, -7)}
        self.layers: list[Layer] = []

    def _append(self, layer: Layer) -> str:
        self.tensors[layer.output] = Tensor(layer.output, *shape_of(layer, self.tensors), -7)
        self.layers.append(layer)
        return layer.output

    def _weight(self, cout: int, cin: int, kh: int, kw: int) -> Int8Array:
        w = self.rng.integers(-127, 128, (cout, cin, kh, kw)).astype(np.int8)
        if self.density < 1 and self.layers:
            rows, cols = -(-cout // 8), -(-cin // 8)
            dead = self.rng.permutation(rows * cols)[: int((1 - self.density) * rows * cols)]
            for block in dead:
                r, c = divmod(int(block), cols)
                w[8 * r : 8 * r + 8, 8 * c : 8 * c + 8] = 0
        return w

    def conv(
        self, x: str, cout: int, kh: int, kw: int = 0, stride: int = 1, same: bool = True, relu: bool = True
    ) -> str:
        """A convolution with bias; ``same``: zero padding of half the window."""
        kw = kw or kh
        cin = self.tensors[x].channels
        name = f"conv{len(self.layers)}"
        pads: Pads = (kh // 2, kw // 2, kh // 2, kw // 2) if same else (0, 0, 0, 0)
        shift = int(np.ceil(np.log2(np.sqrt(cin * kh * kw * self.density) * 70))) + 1
        bias = self.rng.integers(-500, 500, cout).astype(np.int64)
        requant = Requant(shift, 0 if relu else -128)
        return self._append(
            Conv(name, x, name, self._weight(cout, cin, kh, kw), bias, 0, requant, (stride, stride), pads)
        )

    def add(self, a: str, b: str) -> str:
        """Residual add with ReLU."""
        name = f"add{len(self.layers)}"
        return self._append(Add(name, a, b, name, 0, 0, Requant(1, 0)))

    def pool(self, x: str, k: int, stride: int, pad: int = 0, average: bool = False) -> str:
        """Max or average pool; an average divides by k*k, padding included, with a 15-bit factor."""
        name = f"pool{len(self.layers)}"
        divisors = (AvgDivisor(0, round(2**15 / (k * k)), 15),) if average else ()
        return self._append(Pool(name, x, name, (k, k), (stride, stride), (pad,) * 4, divisors))

    def concat(self, *parts: str) -> str:
        """Channel concatenation."""
        name = f"concat{len(self.layers)}"
        return self._append(Concat(name, parts, name))

    def graph(self, output: str) -> LayerGraph:
        """The finished network."""

        def io(name: str) -> GraphIO:
            t = self.tensors[name]
            return GraphIO(name, (1, t.channels, t.height, t.width), "int8")

        graph = LayerGraph(self.name, self.tensors, tuple(self.layers), (io("input"),), (io(output),))
        graph.verify()
        return graph


def resnet50(density: float = 1.0, seed: int = 0) -> LayerGraph:
    """ResNet-50 v1.5."""
    b = _Builder("ResNet50", 224, seed, density)
    x = b.pool(b.conv("input", 64, 7, stride=2), 3, 2, 1)
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(count):
            stride = 2 if stage and i == 0 else 1
            y = b.conv(b.conv(x, width, 1), width, 3, stride=stride)
            y = b.conv(y, 4 * width, 1, relu=False)
            x = b.add(y, b.conv(x, 4 * width, 1, stride=stride, relu=False) if i == 0 else x)
    return b.graph(b.pool(x, 7, 1, average=True))


def vgg16(density: float = 1.0, seed: int = 0) -> LayerGraph:
    """VGG16 without its fully connected layers."""
    b = _Builder("VGG16", 224, seed, density)
    x = "input"
    for count, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            x = b.conv(x, width, 3)
        x = b.pool(x, 2, 2)
    return b.graph(b.pool(x, 7, 1, average=True))


def inception_v3(density: float = 1.0, seed: int = 0) -> LayerGraph:
    """Inception V3 without the auxiliary head."""
    b = _Builder("InceptionV3", 299, seed, density)
    x = b.conv("input", 32, 3, stride=2, same=False)
    x = b.conv(b.conv(x, 32, 3, same=False), 64, 3)
    x = b.conv(b.conv(b.pool(x, 3, 2), 80, 1), 192, 3, same=False)
    x = b.pool(x, 3, 2)
    for pooled in (32, 64, 64):
        x = _inception_a(b, x, pooled)
    y = b.conv(b.conv(b.conv(x, 64, 1), 96, 3), 96, 3, stride=2, same=False)
    x = b.concat(b.conv(x, 384, 3, stride=2, same=False), y, b.pool(x, 3, 2))
    for width in (128, 160, 160, 192):
        x = _inception_c(b, x, width)
    y = b.conv(b.conv(x, 192, 1), 320, 3, stride=2, same=False)
    z = b.conv(b.conv(b.conv(x, 192, 1), 192, 1, 7), 192, 7, 1)
    x = b.concat(y, b.conv(z, 192, 3, stride=2, same=False), b.pool(x, 3, 2))
    for _ in range(2):
        x = _inception_e(b, x)
    return b.graph(b.pool(x, 8, 1, average=True))


def _inception_a(b: _Builder, x: str, pooled: int) -> str:
    y = b.conv(b.conv(x, 48, 1), 64, 5)
    z = b.conv(b.conv(b.conv(x, 64, 1), 96, 3), 96, 3)
    return b.concat(b.conv(x, 64, 1), y, z, b.conv(b.pool(x, 3, 1, 1, average=True), pooled, 1))


def _inception_c(b: _Builder, x: str, width: int) -> str:
    y = b.conv(b.conv(b.conv(x, width, 1), width, 1, 7), 192, 7, 1)
    z = b.conv(b.conv(b.conv(x, width, 1), width, 7, 1), width, 1, 7)
    z = b.conv(b.conv(z, width, 7, 1), 192, 1, 7)
    return b.concat(b.conv(x, 192, 1), y, z, b.conv(b.pool(x, 3, 1, 1, average=True), 192, 1))


def _inception_e(b: _Builder, x: str) -> str:
    y = b.conv(x, 384, 1)
    y1, y2 = b.conv(y, 384, 1, 3), b.conv(y, 384, 3, 1)
    z = b.conv(b.conv(x, 448, 1), 384, 3)
    z1, z2 = b.conv(z, 384, 1, 3), b.conv(z, 384, 3, 1)
    return b.concat(b.conv(x, 320, 1), y1, y2, z1, z2, b.conv(b.pool(x, 3, 1, 1, average=True), 192, 1))


NETWORKS: dict[str, Callable[[float, int], LayerGraph]] = {
    "ResNet50": resnet50,
    "InceptionV3": inception_v3,
    "VGG16": vgg16,
}


def macs(graph: LayerGraph) -> int:
    """True multiply-accumulates of the dense network."""
    total = 0
    for layer in graph.layers:
        if isinstance(layer, Conv):
            out = graph.tensors[layer.output]
            total += layer.weight.size * out.height * out.width
    return total
