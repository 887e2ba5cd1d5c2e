"""U-Nets in XINT8 form with long lines and few rows and channels: what operators need of a core is in the lines."""

from __future__ import annotations

import numpy as np
import onnx

from qdq_net import QdqNet


def unet(height: int, width: int, channels: int = 8, pool: int = 2, window: int = 3) -> onnx.ModelProto:
    """Encoder, bottom, decoder with skips: two halvings of 1x3xHxW, both multiples of 4.

    ``pool``: window of the first max pool, with padding from 3 on; ``window``: of the bottom's depthwise convolution.
    """
    net = QdqNet((1, 3, height, width))

    def block(x: str, cin: int, cout: int) -> str:
        return net.qdq(net.relu(net.conv(x, cin, cout, pads=[1] * 4, we=-8)), -5)

    def down(x: str, k: int = 2) -> str:
        return net.qdq(net.op("MaxPool", [x], kernel_shape=[k, k], strides=[2, 2], pads=[(k - 1) // 2] * 4), -5)

    def up(x: str) -> str:
        scales = net.const(net.fresh("scales"), np.array([1, 1, 2, 2], np.float32))
        options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return net.qdq(net.op("Resize", [x, "", scales], **options), -5)

    c = channels
    first = block(net.input, 3, c)
    second = block(down(first, pool), c, 2 * c)
    bottom = down(second)
    pads = [window // 2] * 4
    bottom = net.qdq(net.relu(net.conv(bottom, 2 * c, 2 * c, window, group=2 * c, pads=pads, we=-8)), -5)
    x = block(net.qdq(net.op("Concat", [up(bottom), second], axis=1), -5), 4 * c, 2 * c)
    x = block(net.qdq(net.op("Concat", [up(x), first], axis=1), -5), 3 * c, c)
    return net.model(net.qdq(net.conv(x, c, 2, 1, we=-8), -3))
