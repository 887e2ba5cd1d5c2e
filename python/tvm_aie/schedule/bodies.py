"""Estimated cycles of many cuts of a convolution at once, without commands. ``build_tiling`` does it one by one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from tvm_aie.schedule.cuts import Cut, Piece, Share, kept_bytes, sends_blocks
from tvm_aie.schedule.estimate import PipelineColumns, pipeline_columns
from tvm_aie.schedule.geometry import Geometry, Overlay, ceil_div, ring_share
from tvm_aie.schedule.load import Count, RowLoad
from tvm_aie.schedule.terms import KernelTerms

Amount = Any  # a number, or an array of one per candidate


def piece_cycles(
    geo: Geometry, work: RowLoad, terms: KernelTerms, most: int, groups: int, n_ck: int, n_b: int, resident: bool
) -> float:
    """Cycles of the kernels' loops for one band and width chunk of ``groups`` accumulators, all passes together."""
    return most * n_ck * -(-groups // 8) * terms.a + work.cycles(geo, terms, groups, n_ck, n_b, resident)


def band_cycles(
    geo: Geometry,
    work: RowLoad,
    terms: KernelTerms,
    most: int,
    pixels: tuple[int, int],
    n_ck: int,
    n_b: int,
    resident: bool,
) -> float:
    """``piece_cycles`` of a band and width chunk, on average over the bands; ``pixels``: rows of a band, its width.

    Bands but the first take over what they share with the one before (``taken_over``).
    """
    (band, width), rest = pixels, (n_ck, n_b, resident)
    rows, groups = geo.conv_rows(band), -(-geo.conv_px(width) // 4)
    piece = piece_cycles(geo, work, terms, most, rows * groups, *rest)
    if not taken_over(geo, n_ck, n_b):
        return piece
    others = piece_cycles(geo, work, terms, most, max(rows - geo.shared_rows, 0) * groups, *rest)
    moved = ceil_div(geo.shared_rows * geo.conv_px(width) * 8, 32)
    return (piece + (n_b - 1) * (others + most * (terms.copy_a + moved * terms.copy[1]))) / n_b


def joined_pixels(geo: Geometry, band: Count, width: Count) -> tuple[Geometry, tuple[Count | int, Count]]:
    """What the kernel sees of ``band`` lines of ``width`` pixels that are one, as far as its cycles go: (image, (rows,
    pixels)). Sums behind are of one band."""
    if geo.pool_after:
        return geo.joined(1, 1), (1, width)
    return geo, (1, band * width)


def taken_over(geo: Geometry, n_ck: int, n_b: int) -> int:
    """Rows between a window and a max pool behind that a band finds in ACC (docs/program.md, stage 7)."""
    return geo.shared_rows if n_ck == 1 and n_b > 1 else 0


def compute_cycles(
    geo: Geometry,
    terms: KernelTerms,
    most: int,
    piece: Amount,
    n_pass: Amount,
    steps: Amount,
    n_ck: Amount,
    width: Amount,
    band: Amount,
) -> Amount:
    """Cycles of the busiest core where kernels have a cost: its loops (``piece``), calls, opcodes, residuals, pools."""
    cycles = steps * piece + n_pass * steps * n_ck * (terms.call + 6 * terms.opcode)
    if geo.residual:
        rows, px = band, width
        if geo.pool_after:  # sums: of whole lines
            after = geo.pool_after
            rows, px = np.minimum((band - 1) * after.sy + after.kh, after.h), after.w
        cycles = cycles + steps * most * rows * (terms.add_a + 2 * ceil_div(px, 4) * terms.add_ii)
    if geo.pool:
        lines = steps * band * (n_pass * geo.in_blocks if geo.pool.before else most)
        per_line, per_vector = terms.stage(geo.pool.average, geo.pool.scale)
        taps = geo.pool.kh * geo.pool.kw * geo.pooled_elem
        cycles = cycles + lines * (per_line + ceil_div(width, 4) * taps * per_vector)
    return cycles


@cache
def _ring_shares(slots: int) -> tuple[int, ...]:
    return tuple(ring_share(k, slots) for k in range(slots + 1))


def bodies(share: Share, cuts: Sequence[Cut], ov: Overlay) -> list[float]:
    """``Tiling.body`` of every cut, to the last bit; where kernels and commands have a cost."""
    return all_bodies([(share, cuts)], ov)


def all_bodies(cuts: Sequence[tuple[Share, Sequence[Cut]]], ov: Overlay) -> list[float]:
    """The same of the cuts of several shares of one item, which differ in no geometry and no terms."""
    found: list[list[float]] = [[] for _ in cuts]
    for joined in (False, True):
        mine = [k for k, (share, own) in enumerate(cuts) if share.joined == joined and own]
        if not mine:
            continue
        times = iter(_bodies([cuts[k] for k in mine], ov))
        for k in mine:
            found[k] = [next(times) for _ in cuts[k][1]]
    return [body for own in found for body in own]


def _bodies(groups: Sequence[tuple[Share, Sequence[Cut]]], ov: Overlay) -> list[float]:
    share = groups[0][0]
    geo, terms, joined, n_rows = share.geo, share.terms, share.joined, len(share.block_rows)
    assert not terms.ideal and terms.push > 0 and not sends_blocks(geo, 2, terms, False)
    table = [piece for own, cuts in groups for piece in _pieces(own, cuts)]
    band, n_b, source, added = np.array([t[:4] for t in table], np.int64).T
    pieces = np.array([t[4] for t in table])
    all_cuts = [cut for _, cuts in groups for cut in cuts]
    nob, ckb, n_ck, width, n_x, _, flag = np.array([c[:7] for c in all_cuts], np.int64).T
    message, total = np.array([(c.weights.message, c.weights.total) for c in all_cuts], np.int64).T
    counts = [len(cuts) for _, cuts in groups]
    most, kept, *sizes = np.repeat(
        np.array([(s.most, _kept_slots(s, ov), *(b - a for a, b in s.block_rows)) for s, _ in groups], np.int64),
        counts,
        axis=0,
    ).T
    resident = flag > 0
    n_pass, steps = -(-most // nob), n_x * n_b
    a_bytes = np.where(kept > 0, 0, source * np.where(resident, geo.in_blocks, ckb))
    if geo.residual:
        a_bytes = a_bytes + added * n_rows * nob
    a = np.array(_ring_shares(ov.a_slots), np.int64)[-(-a_bytes // ov.a_slot)]
    o = np.array(_ring_shares(ov.o_slots), np.int64)[-(-(nob * band * width * geo.out_px) // ov.o_slot)]
    sent = sum(-(-size // nob) for size in sizes) * o
    outputs = n_pass * steps
    seen, (high, wide) = joined_pixels(geo, band, width) if joined else (geo, (band, width))
    load = PipelineColumns(
        outputs=outputs,
        n_ck=n_ck,
        a_slots=a,
        o_slots=o,
        resident=resident,
        compute=compute_cycles(seen, terms, most, pieces, n_pass, steps, n_ck, wide, high),
        output_slots=steps * sent,
        largest_weights=message,
        weights=total * np.where(n_ck > 1, steps, 1),
        weight_messages=np.where(n_ck > 1, outputs * n_ck, n_pass),
        n_pass=n_pass,
        last_share=(most - (n_pass - 1) * nob) / np.maximum(most, 1),
        aligned=True,
        kept=kept,
        rows=n_rows,
    )
    found: list[float] = pipeline_columns(load, ov, terms).tolist()
    return found


def _kept_slots(share: Share, ov: Overlay) -> int:
    """A slots of the input that is kept in ACC."""
    return ceil_div(kept_bytes(share.geo, max(share.rows)), ov.a_slot) if share.kept else 0


def _pieces(share: Share, cuts: Sequence[Cut]) -> list[Piece]:
    """What the cuts have in common for every division of core memory (``Share.pieces``)."""
    geo, terms, most, known = share.geo, share.terms, share.most, share.pieces
    table = []
    for cut in cuts:
        key = cut.width, cut.band, cut.n_ck, cut.resident
        piece = known.get(key)
        if piece is None:
            bands = share.bands(cut)
            band, n_b = max(b for b, _ in bands), max(n for _, n in bands)
            seen, pixels = joined_pixels(geo, band, cut.width) if share.joined else (geo, (band, cut.width))
            cycles = band_cycles(seen, share.work, terms, most, pixels, cut.n_ck, n_b, cut.resident)
            source = geo.max_rows_in(band) * geo.line_px(cut.width) * geo.in_px
            piece = known[key] = band, n_b, source, geo.residual_bytes(band, cut.width), cycles
        table.append(piece)
    return table
