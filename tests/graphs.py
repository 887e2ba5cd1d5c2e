"""Small integer networks for the stages after ``lower``: a builder of layer graphs with seeded weights."""

from __future__ import annotations

import numpy as np

from tvm_aie.pipeline import Compiled, Moves, compile_graph
from tvm_aie.plan.graph import (
    Add,
    AvgDivisor,
    Concat,
    Conv,
    GraphIO,
    LayerGraph,
    Permute,
    Pool,
    Requant,
    Tensor,
    Upsample,
)
from tvm_aie.plan.graph import output_shape as shape_of
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, RunResult, run_program


class GraphBuilder:
    """Names are given by order; ``density``: share of live 8x8 blocks of the weights."""

    def __init__(self, shape: tuple[int, int, int], seed: int = 0, density: float = 1.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.density = density
        self.tensors = {"x": Tensor("x", *shape, -7)}
        self.layers: list = []

    def add_layer(self, layer) -> str:
        self.tensors[layer.output] = Tensor(layer.output, *shape_of(layer, self.tensors), -7)
        self.layers.append(layer)
        return layer.output

    def name(self, prefix: str) -> str:
        return f"{prefix}{len(self.layers)}"

    def weight(self, cout: int, cin: int, kh: int, kw: int) -> np.ndarray:
        w = self.rng.integers(-127, 128, (cout, cin, kh, kw)).astype(np.int8)
        for o in range(0, cout, 8):
            for i in range(0, cin, 8):
                if self.rng.random() > self.density:
                    w[o : o + 8, i : i + 8] = 0
        return w

    def conv(
        self, x, cout, k=3, stride=1, pads=None, lo=0, groups=1, dilation=1, negative_mul=0, acc_shift=2, kw=None
    ) -> str:
        name = self.name("conv")
        cin = self.tensors[x].channels // groups
        kw = k if kw is None else kw
        pads = (k // 2, kw // 2, k // 2, kw // 2) if pads is None else pads
        shift = int(np.ceil(np.log2(np.sqrt(cin * k * kw) * 70))) + acc_shift
        bias = self.rng.integers(-500, 500, cout).astype(np.int64)
        q = Requant(shift, lo, 127, negative_mul)
        return self.add_layer(
            Conv(
                name,
                x,
                name,
                self.weight(cout, cin, k, kw),
                bias,
                acc_shift,
                q,
                (stride,) * 2,
                pads,
                (dilation,) * 2,
                groups,
            )
        )

    def constant(self, x, mul=None) -> str:
        """Per-channel multiply (mul None) or add of a constant, as a depthwise 1x1 convolution."""
        name = self.name("const")
        c = self.tensors[x].channels
        w = (
            self.rng.integers(-127, 128, (c, 1, 1, 1)).astype(np.int8)
            if mul is None
            else np.full((c, 1, 1, 1), mul, np.int8)
        )
        bias = self.rng.integers(-200, 200, c).astype(np.int64)
        return self.add_layer(Conv(name, x, name, w, bias, 0, Requant(6 if mul is None else 1), groups=c))

    def add(self, a, b, shifts=(1, 0), lo=0) -> str:
        name = self.name("add")
        return self.add_layer(Add(name, a, b, name, *shifts, Requant(1, lo)))

    def copy(self, a, left=1, right=2) -> str:
        name = self.name("copy")
        return self.add_layer(Add(name, a, None, name, left, 0, Requant(right)))

    def pool(self, x, k=3, stride=2, pads=(1, 1, 1, 1), divisors=()) -> str:
        name = self.name("pool")
        return self.add_layer(Pool(name, x, name, (k, k), (stride, stride), pads, divisors))

    def global_pool(self, x) -> str:
        t = self.tensors[x]
        name = self.name("gap")
        size = (t.height, t.width)
        return self.add_layer(Pool(name, x, name, size, (1, 1), (0,) * 4, (AvgDivisor(0, 21, 10),)))

    def concat(self, *parts) -> str:
        name = self.name("concat")
        return self.add_layer(Concat(name, parts, name))

    def permute(self, x, order) -> str:
        name = self.name("permute")
        return self.add_layer(Permute(name, x, name, tuple(order)))

    def upsample(self, x, factors=(2, 2)) -> str:
        name = self.name("up")
        return self.add_layer(Upsample(name, x, name, factors))

    def graph(self, *outputs) -> LayerGraph:
        def io(name):
            t = self.tensors[name]
            return GraphIO(name, (1, t.channels, t.height, t.width), f"int{t.bits}")

        graph = LayerGraph("net", self.tensors, tuple(self.layers), (io("x"),), tuple(io(o) for o in outputs))
        graph.verify()
        return graph


def resnet50(density: float = 1.0, seed: int = 0) -> LayerGraph:
    """ResNet-50 with seeded weights: 4.1 GMAC, stride in the 1x1."""
    b = GraphBuilder((3, 224, 224), seed, density)
    b.density = 1.0
    x = b.pool(b.conv("x", 64, 7, 2))
    b.density = density
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(count):
            stride = 2 if stage and i == 0 else 1
            y = b.conv(b.conv(x, width, 1, stride), width, 3)
            y = b.conv(y, 4 * width, 1, lo=-128)
            shortcut = b.conv(x, 4 * width, 1, stride, lo=-128) if i == 0 else x
            x = b.add(y, shortcut)
    return b.graph(b.conv(b.global_pool(x), 1000, 1, lo=-128))


def run_checked(graph: LayerGraph, device: str, moves: Moves, seed: int = 0) -> tuple[Compiled, RunResult]:
    """Compile and run in check mode on random input ``x``; every output equals numpy's."""
    compiled = compile_graph(graph, device, moves=moves)
    return compiled, check_outputs(graph, compiled, seed)


def check_outputs(graph: LayerGraph, compiled: Compiled, seed: int = 0) -> RunResult:
    """Run a compiled graph in check mode on random input ``x``; every output equals numpy's."""
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})
    for io, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got.reshape(-1), np.asarray(expected[io.tensor]).reshape(-1), err_msg=io.tensor)
    return result
