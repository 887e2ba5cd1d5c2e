"""Closed-form kernel cycles: the Python mirror of the emulator's formulas (docs/device-keys.md). All `estimated`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_aie.device import Device

GROUP_PIXELS = 4  # pixels of one accumulator, aie::mmul<4, 8, 8>
CHUNK_GROUPS = 8  # accumulators that a trip feeds with one weight tile
LISTED_GROUPS = 4  # the loops over lists exist for 8 and for 4 accumulators; a last chunk fills up to that
BLOCK_MACS = 64  # multiply-accumulates of one pixel and one 8x8 block
VECTOR_BYTES = 32  # int8 lanes of one trip of a channel-wise kernel
_FRACTION_BITS = 20


@dataclass(frozen=True)
class Lists:
    """The unrolled part of a CONV call: ``taps`` 8x8 entries, ``pairs`` int4 entries (16x8), ``segments`` runs."""

    taps: int = 0
    pairs: int = 0
    segments: int = 0


def conv_cycles(
    device: Device,
    n_ocb: int,
    live_blocks: float | Sequence[int],
    rows: int,
    wo: int,
    taps: int,
    dense_blocks: int = 0,
    lists: Lists | None = None,
) -> int:
    """Cycles of one CONV call.

    ``live_blocks``: blocks of Gamma of each of the ``n_ocb`` output blocks, or their mean; ``dense_blocks``: how many
    of them lie in full rows that are not looked up; ``rows`` and ``wo``: output rows and pixels per row; ``taps``:
    kh*kw. The pixels of a row form groups of 4, the groups of all rows are walked in chunks of up to 8 accumulators,
    and a chunk makes one trip per live block and tap, per listed tap and per pair. Taps that fall outside the image
    are counted: the result is exact without vertical padding and an upper bound with it.
    """
    blocks = live_blocks * n_ocb if isinstance(live_blocks, (int, float)) else sum(live_blocks)
    lists = lists or Lists()
    if device.core_ideal:
        pixels = rows * wo * BLOCK_MACS
        return ideal_cycles(device, (blocks * taps + lists.taps) * pixels, 2 * lists.pairs * pixels)
    call, a, gamma, trip = device.conv_fixed
    full, rest = divmod(rows * -(-wo // GROUP_PIXELS), CHUNK_GROUPS)
    chunks = full + (rest > 0)
    per_block = taps * (full * trip[CHUNK_GROUPS] + trip[rest]) + chunks * gamma
    total = call + chunks * n_ocb * a + blocks * per_block - dense_blocks * full * gamma
    total += _list_cycles(device, full, rest, lists)
    return -int(-total // (1 << _FRACTION_BITS))


def _list_cycles(device: Device, full: int, rest: int, lists: Lists) -> int:
    """Fixed-point cycles of the unrolled lists of a call of ``full`` chunks and one of ``rest`` accumulators."""
    segment, entry, int4 = device.list_fixed
    trip = device.conv_fixed[3]
    last = listed_groups(rest)
    chunks = full + (rest > 0)
    total = chunks * (lists.segments * segment + (lists.taps + lists.pairs) * entry)
    total += lists.taps * (full * trip[CHUNK_GROUPS] + trip[last])
    return total + lists.pairs * (full * int4[CHUNK_GROUPS] + int4[last])


def listed_groups(rest: int) -> int:
    """Accumulators for which the loop over a list runs in a last chunk of ``rest`` (0: there is none)."""
    if rest == 0:
        return 0
    return LISTED_GROUPS if rest <= LISTED_GROUPS else CHUNK_GROUPS


def kernel_cycles(
    device: Device,
    chunks: int,
    trips: Sequence[int],
    blocks: int,
    trips_int4: Sequence[int] = (0,) * 9,
    segments: int = 0,
    entries: int = 0,
) -> int:
    """Cycles of a CONV call from its counters: ``trips[n]`` trips with n live accumulators, n = 0..8."""
    call, a, gamma, trip = device.conv_fixed
    segment, entry, int4 = device.list_fixed
    total = call + chunks * a + blocks * gamma + sum(n * cost for n, cost in zip(trips, trip, strict=True))
    total += segments * segment + entries * entry + sum(n * cost for n, cost in zip(trips_int4, int4, strict=True))
    return -(-total // (1 << _FRACTION_BITS))


def channelwise_cycles(device: Device, kind: str, lines: int, vectors: int) -> int:
    """Cycles of an ``add``, ``maxpool``, ``avgpool`` or ``upsample`` call: ``vectors`` of 32 lanes in ``lines``."""
    if device.core_ideal:
        return 0
    call, a, ii = device.channelwise_fixed[kind]
    return -(-(call + lines * a + vectors * ii) // (1 << _FRACTION_BITS))


def ideal_cycles(device: Device, macs: float, macs_int4: float = 0) -> int:
    """Cycles on a core whose only limit is its multiplier array; ``macs_int4`` are those with int4 weights."""
    fast, slow = device.macs_per_cycle_int4, device.macs_per_cycle
    return -int(-(macs * fast + macs_int4 * slow) // (fast * slow))
