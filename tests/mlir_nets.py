"""Small layer graphs for the tests of the mlir-aie design; deterministic, without TVM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tvm_aie.emit.program import Program
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import Add, AvgDivisor, Conv, GraphIO, LayerGraph, Pool, Requant, Tensor, output_shape


class Builder:
    """Adds layers to a graph; each method returns the name of its output."""

    def __init__(self, channels: int, height: int, width: int, density: float = 1.0, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.density = density
        self.tensors = {"x": Tensor("x", channels, height, width, -7)}
        self.layers: list[Conv | Add | Pool] = []
        self.input = GraphIO("x", (1, channels, height, width), "uint8")

    def _add(self, layer: Conv | Add | Pool) -> str:
        shape = output_shape(layer, self.tensors)
        self.tensors[layer.output] = Tensor(layer.output, *shape, -7)
        self.layers.append(layer)
        return layer.output

    def conv(self, x: str, cout: int, k: int, stride: int = 1, relu: bool = True) -> str:
        name, cin = f"conv{len(self.layers)}", self.tensors[x].channels
        w = self.rng.integers(-60, 61, (cout, cin, k, k)).astype(np.int8)
        for o in range(0, cout, 8):
            for i in range(0, cin, 8):
                if self.rng.random() > self.density:
                    w[o : o + 8, i : i + 8] = 0
        bias = self.rng.integers(-500, 500, cout).astype(np.int64)
        shift = int(np.ceil(np.log2(np.sqrt(cin * k * k) * 60)))
        requant = Requant(shift, 0 if relu else -128)
        return self._add(Conv(name, x, name, w, bias, 0, requant, (stride, stride), (k // 2,) * 4))

    def add(self, a: str, b: str) -> str:
        name = f"add{len(self.layers)}"
        return self._add(Add(name, a, b, name, 1, 0, Requant(1)))

    def pool(self, x: str, k: int, stride: int, pad: int, average: bool = False) -> str:
        name = f"pool{len(self.layers)}"
        divisors = (AvgDivisor(0, 21, 10),) if average else ()
        return self._add(Pool(name, x, name, (k, k), (stride, stride), (pad,) * 4, divisors))

    def graph(self, out: str, name: str) -> LayerGraph:
        t = self.tensors[out]
        output = GraphIO(out, (1, t.channels, t.height, t.width), "int8")
        graph = LayerGraph(name, self.tensors, tuple(self.layers), (self.input,), (output,))
        graph.verify()
        return graph


def single_conv() -> LayerGraph:
    b = Builder(3, 12, 12)
    return b.graph(b.conv("x", 16, 3), "single_conv")


def residual() -> LayerGraph:
    b = Builder(16, 10, 10, density=0.6)
    a = b.conv("x", 24, 1)
    c = b.conv(a, 16, 3, relu=False)
    return b.graph(b.add(c, "x"), "residual")


def strided_pool() -> LayerGraph:
    """A strided 1x1 convolution needs four-dimensional descriptors."""
    b = Builder(24, 17, 17, density=0.5)
    a = b.conv("x", 32, 3)
    p = b.pool(a, 3, 2, 1)
    s = b.conv(p, 40, 1, stride=2)
    return b.graph(b.pool(s, 5, 1, 0, average=True), "strided_pool")


def wide() -> LayerGraph:
    """Enough channels and rows for several bands, passes and neighbours' rows."""
    b = Builder(40, 45, 30, density=0.7)
    a = b.conv("x", 136, 3)
    c = b.conv(a, 64, 3, stride=2)
    return b.graph(b.conv(c, 72, 1), "wide")


def resnet50(density: float = 0.5) -> LayerGraph:
    b = Builder(3, 224, 224, density=density)
    b.density = 1.0
    x = b.conv("x", 64, 7, 2)
    b.density = density
    x = b.pool(x, 3, 2, 1)
    for stage, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(blocks):
            stride = 2 if stage and i == 0 else 1
            y = b.conv(b.conv(x, width, 1, stride), width, 3)
            y = b.conv(y, 4 * width, 1, relu=False)
            shortcut = b.conv(x, 4 * width, 1, stride, relu=False) if i == 0 else x
            x = b.add(y, shortcut)
    x = b.pool(x, 7, 1, 0, average=True)
    return b.graph(b.conv(x, 1000, 1, relu=False), "resnet50")


GRAPHS: dict[str, Callable[[], LayerGraph]] = {
    "single_conv": single_conv,
    "residual": residual,
    "strided_pool": strided_pool,
    "wide": wide,
}


def program_of(graph: LayerGraph) -> Program:
    return compile_graph(graph, "npu1").program


def canonical(program: Program) -> Program:
    """The order of initial lock values has no meaning; the text sorts them."""
    locks = tuple(sorted(program.lock_init, key=lambda use: (use.tile, use.lock)))
    return replace(program, lock_init=locks)
