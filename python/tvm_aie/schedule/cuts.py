"""All ways to cut a convolution that fit a core: the search space of ``schedule.tiling``, without any times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf
from typing import NamedTuple

import numpy as np

from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.cover import INT4, KEEP, LIST, Blocks, Cover, candidates, piece_costs
from tvm_aie.schedule.geometry import Geometry, Overlay, ceil_div
from tvm_aie.schedule.load import BlockRows, Load, RowLoad, WeightBytes, header_bytes
from tvm_aie.schedule.terms import KernelTerms

MAX_LISTED_PIXEL = 65535  # addresses of unrolled lists are uint16
MOST_JOINED = 16  # lines: the memtile's DMA adds up to 15 rows of zeros (hw.md 2)
MOST_BANDS = 4  # heights of a piece that are tried for a width, the largest that fit


def sends_blocks(geo: Geometry, n_ck: int, terms: KernelTerms, listed: bool) -> bool:
    """Whether the last of ``n_ck`` input chunks is computed and sent output block by output block.

    Then the output ring need not hold all that a pass accumulates, and what drains after the last call is one block.
    """
    return terms.single_blocks and n_ck > 1 and not (listed or geo.residual or geo.pool or geo.wide)


def residual_shares(total: int, parts: int) -> Iterator[BlockRows]:
    """Shares of one size (the last ones may be smaller or empty), from the smallest size to a fifth more.

    A residual is read with one stride over the core rows; a larger share may divide better into passes.
    """
    least = ceil_div(total, parts)
    for size in range(least, least + least // 5 + 1):
        yield tuple((min(r * size, total), min((r + 1) * size, total)) for r in range(parts))


def _even_shares(total: int, parts: int) -> Iterator[BlockRows]:
    yield split_even(total, parts)


@lru_cache(maxsize=4096)
def band_counts(rows: tuple[int, ...], band: int, in_place: bool, unit: int = 1) -> tuple[tuple[int, int], ...]:
    """Per column (rows per band, bands). The same number of bands in every column unless ``in_place``."""
    n_b = max(-(-r // band) for r in rows)
    out = []
    for r in rows:
        if r == 0:
            out.append((0, 0))
        elif in_place:
            size = max(d for d in range(1, band + 1) if r % d == 0)
            out.append((size, r // size))
        else:
            size = ceil_div(ceil_div(r, n_b), unit) * unit
            out.append((size, n_b))
    return tuple(out)


def covers(
    geo: Geometry, what: Blocks, rows: tuple[int, ...], terms: KernelTerms, variants: frozenset[str]
) -> Iterator[Cover]:
    """The covers of a convolution's weights worth an estimate, by their costs in a call over a column's share."""
    if geo.pool_before:  # the window reads what the pool leaves in the core, which lists do not address
        variants -= {LIST, INT4}
    call = geo.conv_rows(max(rows)), geo.conv_px(geo.w_out)
    yield from candidates(what, piece_costs(terms, *call, geo.taps), variants)


def is_diagonal(geo: Geometry, what: Blocks, n_rows: int) -> bool:
    """Every output block needs its own input block alone (per-channel scales, depthwise windows), equally many in each
    core row: a pass then needs no other channels."""
    staged = geo.pool and not geo.pool.sums
    plain = not (geo.residual or staged or geo.px_step > 1) and geo.in_blocks == geo.out_blocks
    return plain and geo.out_blocks % n_rows == 0 and not (what.live & ~np.eye(geo.out_blocks, dtype=np.bool_)).any()


def conv_loads(
    geo: Geometry, what: Blocks, rows: tuple[int, ...], n_rows: int, terms: KernelTerms, variants: frozenset[str]
) -> Iterator[tuple[Load, BlockRows, KernelTerms]]:
    """Every cover with every distribution of the output blocks over the core rows, and the convolution's terms."""
    shares = residual_shares if geo.residual else _even_shares
    if geo.window_elem == 2:
        terms, variants = terms.wide(), variants - {INT4}
    for cover in covers(geo, what, rows, terms, variants):
        load = Load(cover, geo, terms)
        for block_rows in shares(geo.out_blocks, n_rows):
            yield load, block_rows, terms


def joins_lines(geo: Geometry, rows: tuple[int, ...], terms: KernelTerms) -> bool:
    """Whether lines of a band may be one: the kernel then rounds up to groups of four pixels once, not in each line.

    In columns of one height, as weight messages have addresses of pixels in them, which all columns read.
    """
    heights = {r for r in rows if r}
    if not terms.joins or not geo.own_rows or len(heights) != 1:
        return False
    return geo.conv_px(geo.w_out) % 4 > 0 and (geo.pool_after is None or heights == {1})


class Cut(NamedTuple):
    """Sizes as ``Tiling``'s; ``band``: rows before they are evened out; ``weights``: of the core rows."""

    nob: int
    ckb: int
    n_ck: int
    width: int
    n_x: int
    band: int
    resident: bool
    weights: WeightBytes


# Of a piece: rows of a band, bands, bytes of its input per channel block and of its residual, cycles of the kernels'
# loops (``schedule.bodies``).
Piece = tuple[int, int, int, int, float]


class _Height(NamedTuple):
    """Bytes of a piece of ``band`` rows of one width: per channel block of the input, of the residual, of the output;
    of partial sums per output block, and of what a pool reads or writes per channel block."""

    band: int
    source: int
    residual: int
    output: int
    partial: int
    pool: int


@dataclass(frozen=True, eq=False)
class Share:
    """A cover of the weights and a distribution of the output blocks over the core rows.

    ``diagonal``: messages have the input blocks of one pass alone (``Tiling.diagonal``); ``kept``: the residual alone,
    as the input lies in ACC (``Tiling.kept``); ``joined``: the lines of a band are one (``Tiling.joined``).
    """

    geo: Geometry
    load: Load
    block_rows: BlockRows
    rows: tuple[int, ...]
    terms: KernelTerms
    in_place: bool
    diagonal: bool
    kept: bool = False
    joined: bool = False

    @cached_property
    def work(self) -> RowLoad:
        """Of the busiest core row."""
        return self.load.row(self.block_rows)

    @cached_property
    def pieces(self) -> dict[tuple[int, int, int, bool], Piece]:
        """What is known of its pieces, by width, band, input chunks and whether the input is resident."""
        return {}

    @property
    def most(self) -> int:
        """Output blocks of a core row."""
        return self.block_rows[0][1] - self.block_rows[0][0]

    def bands(self, cut: Cut) -> tuple[tuple[int, int], ...]:
        """Per column (rows per band, bands)."""
        return band_counts(self.rows, cut.band, self.in_place and not cut.resident)

    @cached_property
    def _sizes(self) -> list[tuple[int, int, list[_Height]]]:
        """(width, chunks of the width, heights) of pieces of the image, wide and high ones first."""
        geo, most_rows = self.geo, max(self.rows)
        counts = sorted({-(-most_rows // b) for b in range(1, most_rows + 1)})
        bands = [-(-most_rows // n_b) for n_b in counts]
        if self.joined:
            heights = [self._height(geo.w_out, band) for band in bands if 1 < geo.conv_rows(band) <= MOST_JOINED]
            return [(geo.w_out, 1, heights)] if geo.sends_lines(geo.w_out, True) else []
        out = []
        for n_x in sorted({-(-geo.w_out // w) for w in range(1, geo.w_out + 1)}):
            width = -(-geo.w_out // n_x)
            if n_x > 1 and not geo.cuts_lines(width):
                break
            if n_x > 1 and width > 4 and not self.terms.ideal and not self._is_exact(width):
                width = min(-(-width // 4) * 4, geo.w_out)  # whole accumulators
                n_x = -(-geo.w_out // width)
            if geo.sends_lines(width, geo.residual or self.diagonal):
                out.append((width, n_x, [self._height(width, band) for band in bands]))
            if width <= 4:
                break
        return out

    def _is_exact(self, width: int) -> bool:
        """Whether chunks of the width must divide the line, as no pixel may be computed twice, and whole accumulators
        would not."""
        return self.in_place and self.geo.w_out % width == 0 and self.geo.w_out % (-(-width // 4) * 4) > 0

    def _height(self, width: int, band: int) -> _Height:
        geo = self.geo
        rows, px = geo.conv_rows(band), geo.conv_px(width)
        return _Height(
            band,
            geo.max_rows_in(band) * geo.line_px(width) * geo.in_px,
            geo.residual_bytes(band, width),
            band * width * geo.out_px,
            (ceil_div(rows * px, 4) if self.joined else rows * ceil_div(px, 4)) * 128,
            (rows if self.terms.ideal else geo.stage_rows(band)) * px * 8 if geo.pool else 0,
        )

    def _pieces(self, nob: int, ckb: int, n_ck: int, ov: Overlay, single: bool) -> Iterator[tuple[int, int, int]]:
        """(width, chunks of the width, band) that fit A, O and ACC; ``single``: output blocks are sent one by one.

        ACC has the partial sums between chunks of input channels, and the tensor between a window and a pool.
        """
        a_ring, o_ring, acc = ov.a_slot * ov.a_slots, ov.o_slot * ov.o_slots, ov.acc_bytes
        shared, sent, summed = len(self.block_rows) * nob, 1 if single else nob, nob if n_ck > 1 else 0
        pooled = ckb if self.geo.pool_before else nob
        # Low bands cost little where they take over what they share.
        most = inf if self.geo.shared_rows and not self.terms.ideal else MOST_BANDS
        for width, n_x, heights in self._sizes:
            fits = 0
            for h in heights:
                if h.source * ckb + h.residual * shared > a_ring or sent * h.output > o_ring:
                    continue
                if summed * h.partial + pooled * h.pool > acc:
                    continue
                yield width, n_x, h.band
                fits += 1
                if fits == most:
                    break
            if fits and n_x >= 16:
                break

    def cuts(self, ov: Overlay) -> Iterator[Cut]:
        """All cuts that fit a core whose memory is divided so, in a fixed order."""
        if self.kept:
            return self._kept_cuts(ov)
        return self._diagonal_cuts(ov) if self.diagonal else self._shared_cuts(ov)

    def _allowed(self, blocks: int, width: int, band: int) -> bool:
        """Lists can address a message of so many input blocks and ``band`` output rows."""
        if not self.load.cover.listed:
            return True
        lines = self.geo.conv_rows(band) if self.joined else 1
        return _last_listed_pixel(self.geo, lines * blocks, width) <= MAX_LISTED_PIXEL

    def _shared_cuts(self, ov: Overlay) -> Iterator[Cut]:
        geo, most, most_rows = self.geo, self.most, max(self.rows)
        w_ring, a_ring, o_ring = ov.w_slot * ov.w_slots, ov.a_slot * ov.a_slots, ov.o_slot * ov.o_slots
        line = geo.max_rows_in(1) * geo.line_px(1) * geo.in_px
        whole = geo.max_rows_in(most_rows) * geo.in_blocks * geo.line_px(geo.w_out) * geo.in_px
        streamed = geo.residual or (geo.pool and not geo.pool.sums)
        resident = whole <= a_ring and not streamed and self._allowed(geo.in_blocks, geo.w_out, most_rows)
        resident = resident and geo.sends_lines(geo.w_out, self.joined)
        column = self._height(geo.w_out, most_rows)
        passes = sorted({-(-most // n) for n in range(1, most + 1)}, reverse=True)
        for ckb in sorted({-(-geo.in_blocks // n) for n in range(1, geo.in_blocks + 1)}, reverse=True):
            n_ck = -(-geo.in_blocks // ckb)
            if line * ckb > a_ring or (geo.residual and n_ck > 1):
                continue
            single = sends_blocks(geo, n_ck, self.terms, self.load.cover.listed)
            for nob in passes:
                if geo.residual and (most % nob or geo.out_blocks % nob):
                    continue
                weights = self.load.bytes(self.block_rows, nob, ckb, n_ck, ov.w_slot)
                if weights.header > ov.hdr_bytes or weights.message > w_ring:
                    continue
                for width, n_x, band in self._pieces(nob, ckb, n_ck, ov, single):
                    if (self.in_place and geo.w_out % width) or not self._allowed(ckb, width, band):
                        continue
                    yield Cut(nob, ckb, n_ck, width, n_x, band, False, weights)
                fits_o = (1 if single else nob) * most_rows * geo.w_out * geo.out_px <= o_ring
                fits_acc = nob * (column.partial * (n_ck > 1) + column.pool) <= ov.acc_bytes
                if resident and fits_o and fits_acc:
                    yield Cut(nob, ckb, n_ck, geo.w_out, 1, most_rows, True, weights)

    def _diagonal_cuts(self, ov: Overlay) -> Iterator[Cut]:
        geo, n_rows = self.geo, len(self.block_rows)
        share = geo.out_blocks // n_rows
        for nob in (n for n in range(share - 1, 0, -1) if share % n == 0):
            weights = self.load.bytes(self.block_rows, nob, geo.in_blocks, 1, ov.w_slot)
            header = header_bytes(nob, nob, 2) if not self.load.cover.listed else weights.header
            if header > ov.hdr_bytes or weights.message > ov.w_slot * ov.w_slots:
                continue
            weights = WeightBytes(weights.message, weights.total, header)
            ckb = n_rows * nob
            for width, n_x, band in self._pieces(nob, ckb, 1, ov, False):
                if (self.in_place and geo.w_out % width) or not self._allowed(ckb, width, band):
                    continue
                yield Cut(nob, ckb, 1, width, n_x, band, False, weights)

    def _kept_cuts(self, ov: Overlay) -> Iterator[Cut]:
        geo, most, most_rows = self.geo, self.most, max(self.rows)
        if kept_bytes(geo, most_rows) > ov.acc_bytes or not self._allowed(geo.in_blocks, geo.w_out, most_rows):
            return
        if not geo.sends_lines(geo.w_out, True):
            return
        heights = sorted({ceil_div(most_rows, n) for n in range(1, most_rows + 1)}, reverse=True)
        if self.joined:  # what lies in ACC has the lines of the whole column joined
            heights = heights[:1]
        for nob in (n for n in range(most - 1, 0, -1) if most % n == 0 and geo.out_blocks % n == 0):
            weights = self.load.bytes(self.block_rows, nob, geo.in_blocks, 1, ov.w_slot)
            if weights.header > ov.hdr_bytes or weights.message > ov.w_slot * ov.w_slots:
                continue
            for height in heights:
                band = max(b for b, _ in band_counts(self.rows, height, self.in_place))
                size = self._height(geo.w_out, band)
                fits = len(self.block_rows) * nob * size.residual <= ov.a_slot * ov.a_slots
                fits = fits and kept_bytes(geo, most_rows) + nob * size.pool <= ov.acc_bytes
                if not fits or nob * size.output > ov.o_slot * ov.o_slots:
                    continue
                yield Cut(nob, geo.in_blocks, 1, geo.w_out, 1, height, False, weights)


def kept_bytes(geo: Geometry, height: int) -> int:
    """Bytes of the whole input of a column with so many output rows."""
    return geo.max_rows_in(height) * geo.in_blocks * geo.line_px(geo.w_out) * geo.in_px


def _last_listed_pixel(geo: Geometry, in_blocks: int, width: int) -> int:
    """Largest address in the unrolled lists of a message with ``in_blocks`` blocks and lines for ``width`` outputs."""
    return ((geo.kh - 1) * geo.dy + 1) * in_blocks * geo.line_px(width) - 1


def conv_shares(
    geo: Geometry,
    what: Blocks,
    rows: tuple[int, ...],
    n_rows: int,
    terms: KernelTerms,
    in_place: bool,
    variants: frozenset[str],
) -> Iterator[Share]:
    """What ``schedule.tiling.tilings`` cuts; arguments as there. No division of core memory changes it."""
    diagonal = terms.push > 0 and is_diagonal(geo, what, n_rows)
    joins = joins_lines(geo, rows, terms)
    for load, block_rows, own in conv_loads(geo, what, rows, n_rows, terms, variants):
        yield Share(geo, load, block_rows, rows, own, in_place, False)
        if terms.keeps and geo.residual and (not geo.pool or geo.pool.sums) and KEEP in variants:
            yield Share(geo, load, block_rows, rows, own, in_place, False, True)
            if joins:
                yield Share(geo, load, block_rows, rows, own, in_place, False, True, True)
        if joins:
            yield Share(geo, load, block_rows, rows, own, in_place, False, False, True)
        if diagonal:
            yield Share(geo, load, block_rows, rows, own, in_place, True)
