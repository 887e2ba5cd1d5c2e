"""Layers of six networks, each alone: what the cost model is trained on and judged by.

ResNet-50, Inception V3, VGG16, MobileNetV2, SqueezeNet 1.1 and DenseNet-121, as their papers and torchvision have them;
of DenseNet every third layer of a block. Weights are seeded; the sparse variant keeps half of the 8x8 blocks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from tvm_aie.device import Device
from tvm_aie.errors import InfeasibleError
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import Add, Conv, GraphIO, Layer, LayerGraph, Requant, Tensor
from tvm_aie.searches import Workload


@dataclass(frozen=True)
class Shape:
    """A convolution with ReLU; ``residual``: an add follows. ``density``: share of live 8x8 blocks."""

    network: str
    channels: int
    pixels: int  # of the input
    outputs: int
    kernel: tuple[int, int]
    stride: int = 1
    groups: int = 1
    residual: bool = False
    density: float = 1.0

    @property
    def name(self) -> str:
        """All of it, in words."""
        kh, kw = self.kernel
        marks = f"s{self.stride}" * (self.stride > 1) + "dw" * (self.groups > 1) + "+" * self.residual
        return f"{self.network} {kh}x{kw}{marks} {self.channels}->{self.outputs} @{self.pixels} {self.density:.0%}"

    def graph(self) -> LayerGraph:
        """The layer alone."""
        rng = np.random.default_rng(int(hashlib.sha256(self.name.encode()).hexdigest()[:8], 16))
        (kh, kw), pixels = self.kernel, (self.pixels - 1) // self.stride + 1
        weight = rng.integers(1, 127, (self.outputs, self.channels // self.groups, kh, kw), np.int8)
        if self.density < 1:
            live = rng.random((-(-self.outputs // 8), -(-self.channels // 8))) < self.density
            mask = np.repeat(np.repeat(live, 8, 0), 8, 1)[: self.outputs, : self.channels]
            weight *= mask[:, :, None, None].astype(np.int8)
        tensors = {"x": Tensor("x", self.channels, self.pixels, self.pixels, 0)}
        tensors["y"] = Tensor("y", self.outputs, pixels, pixels, 0)
        bias, pads = np.zeros(self.outputs, np.int64), (kh // 2, kw // 2, kh // 2, kw // 2)
        layers: list[Layer] = [Conv("conv", "x", "y", weight, bias, 0, Requant(9), (self.stride,) * 2, pads, (1, 1),
                                    self.groups)]  # fmt: skip
        inputs, out = ["x"], "y"
        if self.residual:
            for name in ("r", "z"):
                tensors[name] = replace(tensors["y"], name=name)
            layers.append(Add("add", "y", "r", "z", 0, 0, Requant(1)))
            inputs, out = ["x", "r"], "z"

        def io(name: str) -> GraphIO:
            t = tensors[name]
            return GraphIO(name, (1, t.channels, t.height, t.width), "int8")

        graph = LayerGraph("layer", tensors, tuple(layers), tuple(map(io, inputs)), (io(out),))
        graph.verify()
        return graph


def workload_of(shape: Shape, device: Device) -> Workload | None:
    """The first item of the layer; None where it does not fit the device by itself."""
    found: list[Workload] = []
    try:
        compile_graph(shape.graph(), device, None, lambda work: found.append(work))
    except InfeasibleError:
        return None
    return replace(found[0], counter=None)


def shapes() -> list[Shape]:
    """All distinct layers, dense and (but depthwise and first ones) at half the blocks."""
    networks = (_resnet50, _inception_v3, _vgg16, _mobilenet_v2, _squeezenet, _densenet121)
    dense = list(dict.fromkeys(shape for network in networks for shape in network()))
    sparse = [replace(s, density=0.5) for s in dense if s.groups == 1 and s.channels > 8]
    return [*dense, *sparse]


def _resnet50() -> Iterator[Shape]:
    yield Shape("resnet50", 3, 224, 64, (7, 7), 2)
    before = 64
    for width, pixels in ((64, 56), (128, 28), (256, 14), (512, 7)):
        wide, stride = 4 * width, 1 if width == 64 else 2
        yield Shape("resnet50", before, stride * pixels, width, (1, 1))
        yield Shape("resnet50", width, stride * pixels, width, (3, 3), stride)
        yield Shape("resnet50", before, stride * pixels, wide, (1, 1), stride)
        yield Shape("resnet50", wide, pixels, width, (1, 1))
        yield Shape("resnet50", width, pixels, width, (3, 3))
        yield Shape("resnet50", width, pixels, wide, (1, 1), residual=True)
        before = wide


def _inception_v3() -> Iterator[Shape]:
    def conv(channels: int, pixels: int, outputs: int, kh: int, kw: int = 0, stride: int = 1) -> Shape:
        return Shape("inception", channels, pixels, outputs, (kh, kw or kh), stride)

    yield from (conv(64, 73, 80, 1), conv(80, 73, 192, 3))
    yield from (conv(192, 35, 48, 1), conv(48, 35, 64, 5), conv(192, 35, 64, 1), conv(64, 35, 96, 3))
    yield from (conv(96, 35, 96, 3), conv(256, 35, 64, 1), conv(288, 35, 64, 1), conv(288, 35, 384, 3, stride=2))
    for width in (128, 160, 192):
        yield from (conv(768, 17, width, 1), conv(width, 17, width, 1, 7), conv(width, 17, 192, 7, 1))
    yield from (conv(192, 17, 320, 3, stride=2), conv(1280, 8, 384, 1), conv(1280, 8, 448, 1), conv(448, 8, 384, 3))
    yield from (conv(384, 8, 384, 1, 3), conv(384, 8, 384, 3, 1), conv(2048, 8, 320, 1))


def _vgg16() -> Iterator[Shape]:
    before = 3
    for count, width, pixels in ((2, 64, 224), (2, 128, 112), (2, 256, 56), (2, 512, 28), (1, 512, 14)):
        for _ in range(count):
            yield Shape("vgg16", before, pixels, width, (3, 3))
            before = width


def _mobilenet_v2() -> Iterator[Shape]:
    before, pixels = 16, 112
    for width, stride in ((24, 2), (32, 2), (64, 2), (96, 1), (160, 2), (320, 1)):
        wide, after = 6 * before, pixels // stride
        yield Shape("mobilenet", before, pixels, wide, (1, 1))
        yield Shape("mobilenet", wide, pixels, wide, (3, 3), stride, groups=wide)
        yield Shape("mobilenet", wide, after, width, (1, 1))
        yield Shape("mobilenet", 6 * width, after, 6 * width, (3, 3), groups=6 * width)
        yield Shape("mobilenet", 6 * width, after, width, (1, 1), residual=True)
        before, pixels = width, after
    yield Shape("mobilenet", 320, 7, 1280, (1, 1))


def _squeezenet() -> Iterator[Shape]:
    before = 64
    for squeeze, expand, pixels in ((16, 64, 55), (32, 128, 27), (48, 192, 13), (64, 256, 13)):
        yield Shape("squeezenet", before, pixels, squeeze, (1, 1))
        yield Shape("squeezenet", squeeze, pixels, expand, (1, 1))
        yield Shape("squeezenet", squeeze, pixels, expand, (3, 3))
        yield Shape("squeezenet", 2 * expand, pixels, squeeze, (1, 1))
        before = 2 * expand


def _densenet121() -> Iterator[Shape]:
    before = 64
    for count, pixels in ((6, 56), (12, 28), (24, 14), (16, 7)):
        for k in range(0, count, 3):
            yield Shape("densenet", before + 32 * k, pixels, 128, (1, 1))
        yield Shape("densenet", 128, pixels, 32, (3, 3))
        before += 32 * count
        if pixels > 7:
            yield Shape("densenet", before, pixels, before // 2, (1, 1))
        before //= 2
