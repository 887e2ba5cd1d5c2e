"""Tiny float networks that between them hold every operator and shape oddity the array must handle."""

from __future__ import annotations

from collections.abc import Callable

import onnx

from tvm_aie.frontend.onnx_build import NetBuilder


def conv_relu(pixels: int = 9, cin: int = 3, cout: int = 16, batch: int = 1, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("conv_relu", (batch, cin, pixels, pixels), seed)
    x = b.relu(b.conv("data", cout))
    b.conv(x, 8, kernel=1)
    return b.model()


def residual(pixels: int = 8, channels: int = 16, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("residual", (1, channels, pixels, pixels), seed)
    x = b.relu(b.batch_norm(b.conv("data", channels, bias=False)))
    y = b.batch_norm(b.conv(x, channels, bias=False))
    b.relu(b.add(y, x))
    return b.model()


def mobilenet_block(pixels: int = 15, seed: int = 0) -> onnx.ModelProto:
    """MobileNetV2: expand, depthwise, project with relu6, a residual, a strided block, pool, classifier."""
    b = NetBuilder("mobilenet_block", (1, 3, pixels, pixels), seed)
    x = b.relu6(b.batch_norm(b.conv("data", 16, stride=2, pads=1, bias=False)))
    for cout, stride, expand in ((16, 1, 4), (24, 2, 3)):
        c = b.channels[x]
        y = b.relu6(b.batch_norm(b.conv(x, c * expand, 1, bias=False)))
        y = b.relu6(b.batch_norm(b.conv(y, c * expand, 3, stride, pads=1, groups=c * expand, bias=False)))
        y = b.batch_norm(b.conv(y, cout, 1, bias=False))
        x = b.add(x, y) if stride == 1 and c == cout else y
    x = b.global_avg_pool(x)
    b.op("Softmax", [b.gemm(b.flatten(x, 24), 10)], axis=1)
    return b.model()


def vgg_block(pixels: int = 16, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("vgg_block", (1, 3, pixels, pixels), seed)
    x = b.relu(b.conv(b.relu(b.conv("data", 16)), 16))
    x = b.max_pool(x)
    x = b.max_pool(b.relu(b.conv(x, 32)))
    features = 32 * (pixels // 4) ** 2
    x = b.relu(b.gemm(b.flatten(x, features), 64))
    b.op("Softmax", [b.gemm(x, 10)], axis=1)
    return b.model()


def odd_sizes(pixels: int = 7, channels: int = 5, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("odd_sizes", (1, channels, pixels, pixels), seed)
    x = b.relu(b.conv("data", 13, stride=2, pads=1))
    x = b.concat([b.conv(x, 5, 1), b.relu(b.conv(x, 3))])
    b.conv(x, 1, kernel=(1, 3), pads=(0, 1, 0, 1))
    return b.model()


def leaky(pixels: int = 9, seed: int = 0, alpha: float = 0.1) -> onnx.ModelProto:
    b = NetBuilder("leaky", (1, 3, pixels, pixels), seed)
    x = b.op("LeakyRelu", [b.batch_norm(b.conv("data", 16, bias=False))], alpha=alpha)
    b.op("LeakyRelu", [b.conv(b.upsample(x), 8)], alpha=alpha)
    return b.model()


def upsample_concat(pixels: int = 6, seed: int = 0) -> onnx.ModelProto:
    """A small feature pyramid: half resolution, nearest upsample, concat at 9 + 6 channels."""
    b = NetBuilder("upsample_concat", (1, 8, pixels, pixels), seed)
    low = b.relu(b.conv("data", 12))
    high = b.relu(b.conv(low, 9, 1))
    small = b.relu(b.conv(low, 6, stride=2, pads=1))
    b.relu(b.conv(b.concat([high, b.upsample(small)]), 8))
    return b.model()


def shuffle(pixels: int = 6, channels: int = 24, groups: int = 3, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("shuffle", (1, channels, pixels, pixels), seed)
    x = b.relu(b.conv("data", channels, 1, groups=groups))
    x = b.shuffle(x, groups, pixels, pixels)
    x = b.conv(x, channels, 3, groups=channels)
    x = b.conv(x, channels, 1, groups=groups)
    b.relu(b.add(x, "data"))
    return b.model()


def pools(pixels: int = 9, channels: int = 13, include_pad: int = 0, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("pools", (1, channels, pixels, pixels), seed)
    x = b.relu(b.conv("data", channels))
    x = b.avg_pool(x, 3, 1, 1, count_include_pad=include_pad)
    x = b.max_pool(x, 3, 2, 1)
    x = b.avg_pool(x, 2, 1, (0, 0, 1, 1), count_include_pad=include_pad)
    b.gemm(b.flatten(b.global_avg_pool(b.conv(x, 8, 1)), 8), 5)
    return b.model()


def dilated(pixels: int = 11, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("dilated", (1, 5, pixels, pixels), seed)
    x = b.relu(b.conv("data", 16, dilation=2))
    b.conv(x, 9, kernel=(3, 5), stride=2, pads=(0, 1, 2, 3))
    return b.model()


def dense_norm(pixels: int = 8, seed: int = 0) -> onnx.ModelProto:
    """DenseNet: a batch normalisation before the convolution, which cannot be folded into one."""
    b = NetBuilder("dense_norm", (1, 8, pixels, pixels), seed)
    x = b.max_pool(b.relu(b.conv("data", 16)), 3, 1, 1)
    for _ in range(2):
        y = b.relu(b.batch_norm(x))
        x = b.concat([x, b.conv(y, 5)])
    b.global_avg_pool(b.relu(b.batch_norm(x)))
    return b.model()


def local_norm(pixels: int = 9, seed: int = 0) -> onnx.ModelProto:
    """A host operator (LRN) between two convolutions."""
    b = NetBuilder("local_norm", (1, 3, pixels, pixels), seed)
    x = b.op("LRN", [b.relu(b.conv("data", 16))], size=5, alpha=1e-4, beta=0.75, bias=1.0)
    b.op("Sigmoid", [b.conv(b.max_pool(x, 3, 2), 8)])
    return b.model()


def matmul(seed: int = 0) -> onnx.ModelProto:
    """Dense layers written as MatMul + Add."""
    b = NetBuilder("matmul", (2, 20), seed)
    x = b.op("MatMul", ["data", b.constant("w", b.normal(20, 33, std=0.3))], 33)
    x = b.relu(b.op("Add", [x, b.constant("b", b.normal(33, std=0.1))]))
    b.op("MatMul", [x, b.constant("w", b.normal(33, 7, std=0.25))], 7)
    return b.model()


def scale_shift(pixels: int = 7, channels: int = 5, seed: int = 0) -> onnx.ModelProto:
    """Per-channel Mul and Add by constants, a Sum of three, a layout-only transpose at the end."""
    b = NetBuilder("scale_shift", (1, channels, pixels, pixels), seed)
    x = b.op("Mul", ["data", b.constant("g", 1 + 0.1 * b.normal(channels, 1, 1))])
    x = b.op("Add", [x, b.constant("s", b.normal(channels, 1, 1))])
    x = b.op("Sum", [b.conv(x, 8), b.conv(x, 8, 1), b.conv("data", 8, 1)])
    b.op("Transpose", [x], perm=[0, 2, 3, 1])
    return b.model()


TINY: dict[str, Callable[[], onnx.ModelProto]] = {
    "conv_relu": conv_relu,
    "conv_relu_batch4": lambda: conv_relu(33, 1, 13, batch=4),
    "residual": residual,
    "mobilenet_block": mobilenet_block,
    "vgg_block": vgg_block,
    "odd_7": odd_sizes,
    "odd_31": lambda: odd_sizes(31, 1),
    "leaky": leaky,
    "upsample_concat": upsample_concat,
    "shuffle": shuffle,
    "shuffle_odd": lambda: shuffle(7, 15, 5),
    "pools": pools,
    "pools_include_pad": lambda: pools(include_pad=1),
    "dilated": dilated,
    "dense_norm": dense_norm,
    "local_norm": local_norm,
    "matmul": matmul,
    "scale_shift": scale_shift,
}
