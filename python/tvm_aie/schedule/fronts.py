"""Tilings of a convolution with a 1x1 convolution in front (``plan.front``): one pass, whole lines, row by row.

A message has one row of the input, pixels of the image alone. The core computes all channels that the window reads from
it and appends the row, with the window's padding around it, in ACC; a band of the window's output follows once its rows
are there; then the rows that no later band needs are dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tvm_aie.schedule.bodies import band_cycles, compute_cycles
from tvm_aie.schedule.cover import Blocks, Cover, trips
from tvm_aie.schedule.cuts import MAX_LISTED_PIXEL, conv_loads
from tvm_aie.schedule.estimate import PipelineLoad, pipeline_cycles
from tvm_aie.schedule.geometry import PAD_WORDS, WORD, WRAP, Front, Geometry, Overlay, ceil_div, ring_share
from tvm_aie.schedule.load import BlockRows, Load
from tvm_aie.schedule.terms import KernelTerms


class FrontCut(NamedTuple):
    """A tiling's sizes (``schedule.tiling.Tiling``); ``body``, ``control``: estimated cycles, those of commands."""

    block_rows: BlockRows
    nob: int
    bands: tuple[tuple[int, int], ...]
    a_slots: int
    o_slots: int
    line: int
    rows_per_band: int
    cover: Cover
    body: float
    control: float


def front_cuts(
    geo: Geometry,
    blocks: Blocks,
    rows: tuple[int, ...],
    n_rows: int,
    ov: Overlay,
    terms: KernelTerms,
    variants: frozenset[str],
) -> Iterator[FrontCut]:
    """All that fit; none on idealised machines, where nothing is gained. Arguments as for ``tiling.search``."""
    if terms.ideal or geo.out_blocks < n_rows or geo.w_in * geo.in_px > WORD * WRAP:
        return
    height, line = max(rows), geo.line_px(geo.w_out)
    last_listed = ((geo.kh - 1) * geo.dy + 1) * geo.in_blocks * line - 1
    for load, block_rows, own in conv_loads(geo, blocks, rows, n_rows, terms, variants):
        most = block_rows[0][1] - block_rows[0][0]
        weights = load.bytes(block_rows, most, geo.in_blocks, 1, ov.w_slot)
        if weights.message > ov.w_slot * ov.w_slots or weights.header > ov.hdr_bytes:
            continue
        if load.cover.listed and last_listed > MAX_LISTED_PIXEL:
            continue
        # A last band that overlaps another would need rows that are gone.
        for band in (b for b in range(1, height + 1) if all(r % b == 0 for r in rows)):
            pipe = _pipeline(geo, load, block_rows, (weights.message, weights.total), (band, height // band), ov, own)
            if pipe is None:
                continue
            messages = front_messages(geo, band, height // band)
            stream = (messages + 1) * pipe.a_slots * ov.a_slot / WORD / own.a_rate + pipe.compute / messages
            active = sum(1 for r in rows if r)
            control = active * (3 + 2 * n_rows) * (own.push + 2 * own.bd_write)
            bands = tuple((band, r // band) if r else (0, 0) for r in rows)
            body = max(pipeline_cycles(pipe, ov, own), stream)
            sizes = bands, pipe.a_slots, pipe.o_slots, line, geo.rows_apart(band)
            yield FrontCut(block_rows, most, *sizes, load.cover, body, control)


def _pipeline(
    geo: Geometry,
    load: Load,
    block_rows: BlockRows,
    weights: tuple[int, int],
    bands: tuple[int, int],
    ov: Overlay,
    terms: KernelTerms,
) -> PipelineLoad | None:
    """The item as the search's model sees it, a message of its input per band; None where it does not fit a core.

    ``bands``: rows of each, and how many.
    """
    assert geo.front is not None
    (band, n_b), most, line = bands, block_rows[0][1] - block_rows[0][0], geo.line_px(geo.w_out)
    kept, apart, row = geo.window_rows(0, band)[1], geo.rows_apart(band), front_row_bytes(geo, line)
    between = most * geo.stage_rows(band) * geo.conv_px(geo.w_out) * 8 if geo.pool else 0
    sent = front_message_line(geo, ov.a_slot) * geo.front.in_blocks * geo.in_px
    a = ring_share(ceil_div(sent, ov.a_slot), ov.a_slots)
    o = ring_share(ceil_div(most * band * geo.w_out * geo.out_px, ov.o_slot), ov.o_slots)
    if not a or not o or kept < apart or kept * row + between > ov.acc_bytes:
        return None
    piece = band_cycles(geo, load.row(block_rows), terms, most, (band, geo.w_out), 1, n_b, False)
    compute = float(compute_cycles(geo, terms, most, piece, 1, n_b, 1, geo.w_out, band))
    compute += front_compute(geo, band, n_b, line, terms)
    outputs = o * n_b * sum(1 for first, last in block_rows if last > first)
    return PipelineLoad(n_b, 1, a, o, False, compute, outputs, weights, 1, True, rows=len(block_rows))


def front_compute(geo: Geometry, band: int, n_b: int, line: int, terms: KernelTerms) -> float:
    """Cycles of a core for what an item does besides its windows: rows through the front, rows that move down.

    ``line``: pixels of a row in ACC.
    """
    assert geo.front is not None
    each = front_cycles(geo.front, geo.in_blocks, front_pixels(geo), terms) + 5 * terms.opcode
    moved = (geo.window_rows(0, band)[1] - geo.rows_apart(band)) * front_row_bytes(geo, line)
    return front_messages(geo, band, n_b) * each + n_b * (drop_cycles(moved, terms) + terms.opcode)


def drop_cycles(moved: int, terms: KernelTerms) -> float:
    """Cycles of a DROP behind which so many bytes move: UPSAMPLE by 1x1 over one line."""
    return terms.copy[0] + ceil_div(moved, 32) * terms.copy[1]


def front_messages(geo: Geometry, band: int, n_b: int) -> int:
    """Activation messages of a column: rows that its windows cover, those outside the image too."""
    return geo.window_rows(0, band)[1] + (n_b - 1) * geo.rows_apart(band)


def front_pixels(geo: Geometry) -> int:
    """Pixels of a row that the front computes: those of the image that windows reach."""
    return min(geo.w_in, geo.line_px(geo.w_out) - geo.pad_left)


def front_message_line(geo: Geometry, slot: int) -> int:
    """Pixels of a message's line: those that are computed, and zeros behind them with which the message has whole
    slots, where the memtile's DMA can add so many."""
    assert geo.front is not None
    live, px = front_pixels(geo), geo.front.in_blocks * geo.in_px
    line = next((n for n in range(live, live + slot) if n * px % slot == 0), live)
    return line if (line - live) * geo.in_px // WORD <= PAD_WORDS else live


def front_row_bytes(geo: Geometry, line: int) -> int:
    """Bytes of a row in ACC, whose line has the window's padding."""
    return geo.in_blocks * line * 8


def front_cycles(front: Front, blocks: int, pixels: int, terms: KernelTerms) -> float:
    """Cycles of a call for one row, by CONV's formula (docs/device-keys.md); full rows of Gamma are not looked up."""
    full, rest = divmod(ceil_div(pixels, 4), 8)
    chunks = full + (rest > 0)
    looked_up = front.tiles * chunks - front.full * full
    return (
        terms.call
        + chunks * blocks * terms.a
        + front.tiles * trips(terms, full, rest, terms.ii_per_acc)
        + (looked_up * terms.gamma)
    )
