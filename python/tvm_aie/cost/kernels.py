"""Closed-form kernel cycles: the Python mirror of the emulator's formulas (docs/device-keys.md). All `estimated`."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_aie.device import Device

GROUP_PIXELS = 4  # pixels of one accumulator, aie::mmul<4, 8, 8>
CHUNK_GROUPS = 8  # accumulators that a trip feeds with one weight tile
BLOCK_MACS = 64  # multiply-accumulates of one pixel and one 8x8 block
VECTOR_BYTES = 32  # int8 lanes of one trip of a channel-wise kernel
_FRACTION_BITS = 20


def conv_cycles(device: Device, n_ocb: int, live_blocks: float | Sequence[int], rows: int, wo: int, taps: int) -> int:
    """Cycles of one CONV call.

    ``live_blocks``: live input-channel blocks of each of the ``n_ocb`` output blocks, or their mean; ``rows`` and
    ``wo``: output rows and pixels per row; ``taps``: kh*kw. The pixels of a row form groups of 4, the groups of all
    rows are walked in chunks of up to 8 accumulators, and a chunk makes one trip per live block and tap. Taps that
    fall outside the image are counted: the result is exact without vertical padding and an upper bound with it.
    """
    blocks = live_blocks * n_ocb if isinstance(live_blocks, (int, float)) else sum(live_blocks)
    if device.core_ideal:
        return ideal_cycles(device, blocks * rows * wo * taps * BLOCK_MACS)
    call, a, gamma, trip = device.conv_fixed
    full, rest = divmod(rows * -(-wo // GROUP_PIXELS), CHUNK_GROUPS)
    chunks = full + (rest > 0)
    per_block = taps * (full * trip[CHUNK_GROUPS] + trip[rest]) + chunks * gamma
    return -int(-(call + chunks * n_ocb * a + blocks * per_block) // (1 << _FRACTION_BITS))


def kernel_cycles(device: Device, chunks: int, trips: Sequence[int], blocks: int) -> int:
    """Cycles of a CONV call from its counters: ``trips[n]`` trips with n live accumulators, n = 0..8."""
    call, a, gamma, trip = device.conv_fixed
    total = call + chunks * a + blocks * gamma + sum(n * cost for n, cost in zip(trips, trip, strict=True))
    return -(-total // (1 << _FRACTION_BITS))


def channelwise_cycles(device: Device, kind: str, lines: int, vectors: int) -> int:
    """Cycles of an ``add``, ``maxpool``, ``avgpool`` or ``upsample`` call: ``vectors`` of 32 lanes in ``lines``."""
    if device.core_ideal:
        return 0
    call, a, ii = device.channelwise_fixed[kind]
    return -(-(call + lines * a + vectors * ii) // (1 << _FRACTION_BITS))


def ideal_cycles(device: Device, macs: float) -> int:
    """Cycles on a core whose only limit is its multiplier array."""
    return -int(-macs // device.macs_per_cycle)
