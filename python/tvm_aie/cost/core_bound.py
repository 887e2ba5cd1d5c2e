"""What the size of core memory costs a convolution: a lower bound of its cycles (estimated; idealised machines).

``cost.stream`` lets every input, weight and output travel once. A core has room for so many partial sums, though, and
what does not fit makes something travel again. Assumed is what all schedules here have in common: a column's cores get
the same activations, a row's the same weights; a core computes its outputs alone, each from all input channels, and
sends them once, as int8. It works them off in tiles, ``n`` output blocks of ``p`` pixels, of any sizes, and per tile

* keeps the partial sums: 32 n p bytes fit the core. The input of a tile travels for it, so 1/n times per block, and so
  do its weights, 1/p times per pixel; or
* keeps the weights of its blocks for other pixels: the input travels once per core memory full of weights; or
* keeps its input for other blocks: the weights travel once per core memory full of input.

Nothing else is charged: no buffers beside what is kept, no halo, no fill and drain, averages for the busiest core; and
as many weights as a core holds are there before. Tiles of different kinds may be mixed: with a price on input cycles
and another on weight cycles, prices adding up to 1, no mixture is cheaper than its cheapest tile, nor takes less time.
The best prices give the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_aie.device import Device

PARTIAL_SUMS = 32  # bytes of a block of 8 channels of one pixel
PRICES = np.linspace(0.0, 1.0, 65)  # of input cycles


@dataclass(frozen=True)
class ConvWork:
    """A convolution, or several that share their input: bytes of input and output, live weights, ``macs``.

    ``blocks``: of 8 output channels; ``pixels``: of the output image.
    """

    macs: float
    input_bytes: float
    weight_bytes: float
    output_bytes: float
    blocks: int
    pixels: int


def least_cycles(work: ConvWork, device: Device, memory: int) -> float:
    """Cycles that no schedule of the kind beats, with ``memory`` bytes in a core."""
    rate = 4 * device.stream_words_per_cycle
    compute = work.macs / device.peak_macs_per_cycle
    sent = work.output_bytes / device.cols / rate
    return max(compute, sent, _streams(work, device, memory) / rate)


def _streams(work: ConvWork, device: Device, memory: int) -> float:
    """Bytes of the busier of the two streams: activations of a column, weights of a row."""
    inputs, weights = work.input_bytes / device.cols, work.weight_bytes / device.rows
    most, pixels = -(-work.blocks // device.rows), work.pixels / device.cols
    blocks = np.arange(1, most + 1)[:, None]  # of a tile
    at_once = np.maximum(memory / PARTIAL_SUMS / blocks, 1)  # pixels of the tile
    price = PRICES[None, :]
    sums = price * inputs * most / blocks + (1 - price) * weights * np.maximum(1, pixels / at_once)
    kept = PRICES * inputs * max(1, weights / memory) + (1 - PRICES) * weights
    held = PRICES * inputs + (1 - PRICES) * weights * max(1, inputs / memory)
    least = np.minimum(np.minimum(sums.min(axis=0), kept), held)
    return float((least - (1 - PRICES) * memory).max())
