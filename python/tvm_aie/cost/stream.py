"""Lower bounds of a network on the idealised machine: the physics that no schedule can beat (estimated).

``bound``: all MACs at peak, or all weights, input and output through the DDR channels. ``stream``: every layer's
largest of compute, input, weight and output movement between memtiles and cores, one after the other, or the DDR term.
Byte rules: activations int8 with channels rounded up to 8; weights kh*kw*cin*cout*density + 4*cout + 2 B per 8x8 block
position; an add reads both operands; a convolution with a stride larger than its kernel reads only the pixels that it
uses; concat is free; pools and adds are movement only. Inputs are broadcast down columns, weights along rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_aie.device import Device
from tvm_aie.plan.graph import Add, Concat, Conv, Layer, LayerGraph, Permute, Tensor


@dataclass(frozen=True)
class LayerTraffic:
    """MACs (live blocks only) and bytes of one layer."""

    name: str
    macs: float
    input_bytes: float
    weight_bytes: float
    output_bytes: float


@dataclass(frozen=True)
class Bounds:
    """Seconds (estimated)."""

    bound: float
    stream: float


def _bytes(t: Tensor) -> int:
    return -(-t.channels // 8) * 8 * t.height * t.width


def _live_share(conv: Conv) -> float:
    """Share of live 8x8 blocks, all taps."""
    cout, cin, kh, kw = conv.weight.shape
    padded = np.zeros((-(-cout // 8) * 8, -(-cin // 8) * 8, kh, kw), np.bool_)
    padded[:cout, :cin] = conv.weight != 0
    blocks = padded.reshape(padded.shape[0] // 8, 8, padded.shape[1] // 8, 8, kh, kw)
    return float(blocks.any(axis=(1, 3, 4, 5)).mean())


def layer_traffic(layer: Layer, tensors: dict[str, Tensor]) -> LayerTraffic | None:
    """What a layer must compute and move; None for layers that move nothing."""
    if isinstance(layer, Concat | Permute):
        return None
    out = tensors[layer.output]
    read = float(sum(_bytes(tensors[n]) for n in layer.inputs))
    if isinstance(layer, Add):
        return LayerTraffic(layer.name, 0.0, read, 0.0, float(_bytes(out)))
    if not isinstance(layer, Conv):
        return LayerTraffic(layer.name, 0.0, read, 0.0, float(_bytes(out)))
    cout, cin, kh, kw = layer.weight.shape
    share = _live_share(layer)
    if layer.stride[0] > kh and layer.stride[1] > kw:
        read *= kh * kw * out.height * out.width / (tensors[layer.input].height * tensors[layer.input].width)
    weights = kh * kw * cin * cout * share + 4 * cout + 2 * (-(-cout // 8)) * (-(-cin // 8))
    macs = layer.weight.size * out.height * out.width * share
    return LayerTraffic(layer.name, macs, read, weights, float(_bytes(out)))


def bounds(graph: LayerGraph, device: Device) -> Bounds:
    """Both lower bounds on an idealised N x N machine (device with ``core_ideal``), in seconds."""
    n = device.cols
    rate = 4 * device.stream_words_per_cycle * device.clock_mhz * 1e6
    peak = device.peak_macs_per_cycle * device.clock_mhz * 1e6
    rows = [t for layer in graph.layers if (t := layer_traffic(layer, graph.tensors)) is not None]
    ends = sum(_bytes(graph.tensors[io.tensor]) for io in (*graph.inputs, *graph.outputs))
    ddr = (sum(r.weight_bytes for r in rows) + ends) / (2 * n * rate)
    total = sum(
        max(r.macs / peak, r.input_bytes / (n * rate), r.weight_bytes / (n * rate), r.output_bytes / (n * rate))
        for r in rows
    )
    return Bounds(max(sum(r.macs for r in rows) / peak, ddr), max(total, ddr))
