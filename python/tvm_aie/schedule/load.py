"""What a cover costs the sub-volume search: bytes of its weight messages, cycles of its pieces (estimated)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tvm_aie.schedule.cover import Cover, cover_cycles, listed_groups, piece_costs, trips
from tvm_aie.schedule.geometry import Geometry
from tvm_aie.schedule.terms import KernelTerms

HEADER_BYTES = 64
TILE_BYTES = 64
SCALE_BYTES = 40  # of an input block: 8 terms of 32 bits, 8 factors of 8
REFERENCE = (8, 32)  # rows and pixels of the call by which core rows are compared
BlockRows = tuple[tuple[int, int], ...]


Count = TypeVar("Count", int, npt.NDArray[np.int64])  # of one message or of several


def header_bytes(
    n_ocb: Count,
    nnz: Count,
    biases: Count | int = 1,
    segments: Count | int = 0,
    entries: Count | int = 0,
    scaled: int = 0,
) -> Count:
    """Bytes of a weight message before its tiles: fixed part, biases, shifts, row_ptr, columns, lists; in 64s.

    ``biases``: of each output channel, with a shift per block; 0: there are neither, as before the last input chunk;
    ``segments``: n_ocb * kh, for a message with lists; ``entries``: listed addresses, two per pair;
    ``scaled``: input blocks with a factor and a term per channel.
    """
    lists = (4 * (segments + 1) + 2 * entries) * (entries > 0) + SCALE_BYTES * scaled
    rounding = n_ocb * (32 * biases + 2) * (biases > 0)
    return -(-(HEADER_BYTES + rounding + 2 * (n_ocb + 1) + 2 * nnz + lists) // 64) * 64


def front_header_bytes(blocks: int, tiles: int) -> int:
    """Bytes of the header's part of a front with ``blocks`` output blocks: biases, shifts, row_ptr, columns; in 64s."""
    return -(-(34 * blocks + 2 * (blocks + 1) + 2 * tiles) // 64) * 64


@dataclass(frozen=True)
class RowLoad:
    """Pieces of the busiest core row in one sweep over its output blocks; ``segments``: runs of listed entries."""

    dense: int = 0
    blocks: int = 0
    taps: int = 0
    low: int = 0
    segments: int = 0

    def macs(self, taps: int, terms: KernelTerms) -> float:
        """MACs per output pixel, those with int4 weights as what they cost next to int8."""
        wide = ((self.dense + self.blocks) * taps + self.taps) * 64
        return wide + self.low * 64 * terms.macs_per_cycle / terms.macs_per_cycle_int4

    def cycles(
        self, geo: Geometry, terms: KernelTerms, groups: int, n_ck: int, n_b: int, resident: bool = False
    ) -> float:
        """Cycles of one band and width chunk of ``groups`` accumulators, all passes and input chunks together.

        ``resident``: messages hold fewer input blocks than the activations, so that no row of Gamma is full.
        """
        full, rest = divmod(groups, 8)
        chunks, last = full + (rest > 0), listed_groups(rest)
        wide = (self.dense + self.blocks) * geo.taps * trips(terms, full, rest, terms.ii_per_acc)
        looked_up = chunks if resident and n_ck > 1 else rest > 0
        look_up = (self.blocks * chunks + self.dense * looked_up) * terms.gamma
        if not self.segments:
            return wide + look_up
        listed = self.taps * trips(terms, full, last, terms.ii_per_acc)
        listed += self.low / 2 * trips(terms, full, last, terms.int4_per_acc)
        entries = (self.taps + self.low / 2) * chunks * terms.entry
        # Where rows of the window lie outside the image, every tap row of a list is a run of its own.
        runs = 1.0 if not geo.clipped else (geo.kh if n_b <= 2 else (n_b - 2 + 2 * geo.kh) / n_b)
        return wide + look_up + listed + entries + self.segments * runs * n_ck * chunks * terms.segment


@dataclass(frozen=True)
class WeightBytes:
    """Largest weight message, largest sum over one core row, largest header."""

    message: int
    total: int
    header: int


@dataclass(frozen=True, eq=False)
class Load:
    """One cover of a convolution as the search sees it."""

    cover: Cover
    geo: Geometry
    terms: KernelTerms

    @cached_property
    def _blocks(self) -> npt.NDArray[np.int64]:
        return _prefix(self.cover.blocks.astype(np.int64))

    @cached_property
    def _taps(self) -> npt.NDArray[np.int64]:
        return _prefix(self.cover.taps.sum(axis=(2, 3)))

    @cached_property
    def _low(self) -> npt.NDArray[np.int64]:
        return _prefix(self.cover.low.sum(axis=(2, 3)))

    def row(self, block_rows: BlockRows) -> RowLoad:
        """The core row with the most work, compared in a large call."""
        costs = piece_costs(self.terms, *REFERENCE, self.geo.taps)
        parts = [self.cover.part(first, last) for first, last in block_rows]
        worst = max(range(len(parts)), key=lambda i: (cover_cycles(parts[i], costs), -i))
        part = parts[worst]
        full = part.full_rows if part.dense else np.zeros(len(part.blocks), np.bool_)
        taps, low = part.taps.sum(axis=(1, 2, 3)), part.low.sum(axis=(1, 2, 3))
        return RowLoad(
            int(part.blocks[full].sum()),
            int(part.blocks[~full].sum()),
            int(taps.sum()),
            int(low.sum()),
            int((taps > 0).sum() + (low > 0).sum()),
        )

    @cached_property
    def _known(self) -> dict[tuple[BlockRows, int, int, int, int], WeightBytes]:
        return {}

    def bytes(self, block_rows: BlockRows, nob: int, ckb: int, n_ck: int, slot: int) -> WeightBytes:
        """Upper bounds for messages of ``nob`` output and ``ckb`` input blocks, in whole slots of ``slot`` bytes."""
        key = block_rows, nob, ckb, n_ck, slot
        if key not in self._known:
            self._known[key] = self._bytes(*key)
        return self._known[key]

    def _bytes(self, block_rows: BlockRows, nob: int, ckb: int, n_ck: int, slot: int) -> WeightBytes:
        cols = np.minimum(np.arange(n_ck + 1) * ckb, self.cover.blocks.shape[1])
        scaled = ckb if self.geo.pool is not None and self.geo.pool.scale else 0
        # The output blocks [first, last) of each message; ``begins``: of a core row, which has at least one.
        passes = [range(start, max(end, start + 1), nob) for start, end in block_rows]
        first = np.array([k for row in passes for k in row])
        last = np.array([min(k + nob, end) for row, (_, end) in zip(passes, block_rows, strict=True) for k in row])
        begins = np.cumsum([0, *(len(row) for row in passes[:-1])])
        count = (last - first)[:, None]

        def held(prefix: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            part = prefix[:, cols]
            return np.asarray(np.diff(part[last] - part[first], axis=1))

        blocks = held(self._blocks)
        sizes = blocks * (self.geo.taps * TILE_BYTES + 2) + (HEADER_BYTES + 2 * count + 66) + scaled * SCALE_BYTES
        sizes[:, -1] += 34 * count[:, 0]  # biases and shifts
        header = 0
        if self.cover.listed:
            taps, low = held(self._taps), held(self._low)
            segments = count * self.geo.kh
            # In each tap row of an output block one int4 tap may be left over, and take a tile of its own.
            single = np.minimum(low, segments)
            lists = np.where(taps + low > 0, 4 * (segments + 1) + 2 * (taps + low), 0)
            sizes = sizes + (taps + single) * TILE_BYTES + (low - single) * (TILE_BYTES // 2) + lists
            header = int((HEADER_BYTES + 68 * count + 66 + 2 * blocks + lists).max())
        if self.geo.front is not None:
            part = front_header_bytes(self.geo.in_blocks, self.geo.front.tiles)
            sizes = sizes + part + self.geo.front.tiles * TILE_BYTES
            header = (header or header_bytes(nob, nob * ckb, 2)) + part
        slots = -(-sizes // slot) * slot
        total = np.add.reduceat(slots.sum(axis=1), begins)
        return WeightBytes(int(slots.max()), int(total.max()), header or header_bytes(nob, nob * ckb, 2, scaled=scaled))


def _prefix(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    out = np.zeros((counts.shape[0] + 1, counts.shape[1] + 1), np.int64)
    out[1:, 1:] = counts.cumsum(0).cumsum(1)
    return out
