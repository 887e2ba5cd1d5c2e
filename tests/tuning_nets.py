"""Layer graphs for the tuning tests."""

from __future__ import annotations

import numpy as np

from tvm_aie.plan.graph import Add, AvgDivisor, Conv, GraphIO, LayerGraph, Pool, Requant, Tensor, output_shape


def weights(rng, cout, cin, k, density=1.0):
    w = rng.integers(-127, 128, (cout, cin, k, k)).astype(np.int8)
    if density < 1:
        dead = rng.random((-(-cout // 8), -(-cin // 8))) > density
        w[np.repeat(np.repeat(dead, 8, 0), 8, 1)[:cout, :cin]] = 0
    return w


class Builder:
    """Appends layers; ``density`` is the share of live 8x8 blocks."""

    def __init__(self, channels, height, width, seed=0, density=1.0):
        self.rng, self.density = np.random.default_rng(seed), density
        self.tensors = {"x": Tensor("x", channels, height, width, 0)}
        self.layers = []
        self.shape = (1, channels, height, width)

    def push(self, layer):
        self.tensors[layer.output] = Tensor(layer.output, *output_shape(layer, self.tensors), 0)
        self.layers.append(layer)
        return layer.output

    def conv(self, x, cout, k=1, stride=1, groups=1, density=None):
        name, cin = f"conv{len(self.layers)}", self.tensors[x].channels // groups
        w = weights(self.rng, cout, cin, k, self.density if density is None else density)
        bias = self.rng.integers(-500, 500, cout).astype(np.int64)
        pads = (k // 2,) * 4
        return self.push(Conv(name, x, name, w, bias, 0, Requant(9), (stride, stride), pads, (1, 1), groups))

    def add(self, a, b):
        name = f"add{len(self.layers)}"
        return self.push(Add(name, a, b, name, 0, 0, Requant(1)))

    def pool(self, x, k, stride, average=False):
        name = f"pool{len(self.layers)}"
        divisors = (AvgDivisor(0, 21, 10),) if average else ()
        return self.push(Pool(name, x, name, (k, k), (stride, stride), (0,) * 4, divisors))

    def graph(self, out, name="net"):
        t = self.tensors[out]
        out_io = GraphIO(out, (1, t.channels, t.height, t.width), "int8")
        graph = LayerGraph(name, self.tensors, tuple(self.layers), (GraphIO("x", self.shape, "int8"),), (out_io,))
        graph.verify()
        return graph


def small_graph(density=1.0, seed=0):
    """Three convolutions."""
    b = Builder(64, 14, 14, seed, density)
    y = b.conv("x", 64, 3)
    y = b.conv(y, 128)
    return b.graph(b.conv(y, 64), "small")


def one_conv(channels, pixels, cout, k=1, stride=1, density=1.0, seed=0):
    """A single convolution between two copies: its own operands stay in the memtiles."""
    b = Builder(channels, pixels, pixels, seed, density)
    return b.graph(b.conv("x", cout, k, stride), "one")


def residual_graph(seed=0):
    """Convolutions with a residual add, a strided one, pools."""
    b = Builder(32, 28, 28, seed)
    y = b.conv("x", 64, 3)
    z = b.conv(b.conv(y, 32), 64, 3)
    y = b.pool(b.add(z, y), 2, 2)
    y = b.conv(y, 128, 1, 2)
    return b.graph(b.pool(y, 7, 7, average=True), "residual")


def resnet50(density=1.0, seed=0):
    """All layers of ResNet-50 on 224x224 pixels."""
    b = Builder(3, 224, 224, seed, density)
    y = b.pool(b.conv("x", 64, 7, 2, density=1.0), 2, 2)
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(count):
            stride = 2 if stage and i == 0 else 1
            z = b.conv(b.conv(b.conv(y, width, 1, stride), width, 3), 4 * width)
            y = b.add(z, b.conv(y, 4 * width, 1, stride) if i == 0 else y)
    return b.graph(b.conv(b.pool(y, 7, 7, average=True), 1000), "resnet50")
