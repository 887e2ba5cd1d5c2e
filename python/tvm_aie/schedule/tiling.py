"""Sub-volume search: how one item is cut so that each piece fits a core, by a closed-form time (estimated).

Loop nest of a core, outermost first: passes over its output channel blocks, chunks of the width, bands of rows,
chunks of the input channels (only when the weights of a pass do not fit, accumulating in ACC).
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import numpy as np

from tvm_aie.errors import InfeasibleError
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.control import combined, control_cycles
from tvm_aie.schedule.cover import INT4, KEEP, LIST, VARIANTS, Blocks, Cover, Mask, candidates, piece_costs
from tvm_aie.schedule.estimate import PipelineLoad, pipeline_cycles
from tvm_aie.schedule.geometry import Geometry, KernelId, Overlay, ceil_div, ring_share
from tvm_aie.schedule.load import Load, RowLoad, WeightBytes, header_bytes
from tvm_aie.schedule.terms import KernelTerms

WORD = 4
PAD_WORDS = 63  # hw.md 2: 6 bits of padding in the innermost dimension of a memtile's descriptor
MAX_LISTED_PIXEL = 65535  # addresses of unrolled lists are uint16


@dataclass(frozen=True)
class Tiling:
    """``bands``: per column (rows per band, number of bands); slots are per message; ``cycles`` is estimated."""

    block_rows: tuple[tuple[int, int], ...]  # per core row: output channel blocks [first, last)
    nob: int
    n_pass: int
    width: int
    n_x: int
    bands: tuple[tuple[int, int], ...]
    ckb: int
    n_ck: int
    a_slots: int
    o_slots: int
    cycles: float
    body: float = 0.0  # estimated cycles without the command processor
    a_resident: bool = False  # the column's whole input stays in the core; ckb then cuts the weights only
    aligned: bool = True  # ring positions are multiples of the message; else a message begins anew at the ring's end
    line: int = 0  # pixels of an input line as sent, with zeros that make messages whole slots; 0: just what is needed
    plan: str = ""  # name of the cover of a convolution (schedule.cover)
    cover: Cover | None = field(default=None, compare=False, repr=False)
    alternatives: tuple[tuple[str, float], ...] = field(default=(), compare=False, repr=False)  # best of each plan
    out_px: int = 8  # bytes of 8 channels of an output pixel
    diagonal: bool = False  # a message has the input blocks of one pass: those of the output blocks of all core rows
    order: int = 0  # of the loops, see ``schedule.order``
    kept: int = 0  # the input lies in ACC for all passes, brought by A slots of so many bytes; messages have a residual
    per_block: bool = False  # each output block of the last input chunk is computed and sent by itself
    division: Overlay | None = None  # of core memory while the item runs; None: the network's

    def o_slots_of(self, blocks: int, o_slot: int) -> int:
        """Output slots of a message of ``blocks`` channel blocks: exact, unless all messages are alike (aligned)."""
        blocks = min(blocks, 1) if self.per_block else blocks
        if self.aligned or not blocks:
            return self.o_slots if blocks else 0
        return ceil_div(blocks * max(b for b, _ in self.bands) * self.width * self.out_px, o_slot)

    @property
    def weights_per_band(self) -> bool:
        """Weights are sent again for every band and width chunk (input channels are split, or passes are inside)."""
        return self.n_ck > 1 or self.order == 2


def sends_blocks(geo: Geometry, n_ck: int, terms: KernelTerms, listed: bool) -> bool:
    """Whether the last of ``n_ck`` input chunks is computed and sent output block by output block.

    Then the output ring need not hold all that a pass accumulates, and what drains after the last call is one block.
    """
    return terms.single_blocks and n_ck > 1 and not (listed or geo.residual or geo.pool or geo.wide)


def residual_shares(total: int, parts: int) -> Iterator[tuple[tuple[int, int], ...]]:
    """Shares of one size (the last ones may be smaller or empty), from the smallest size to a fifth more.

    A residual is read with one stride over the core rows; a larger share may divide better into passes.
    """
    least = ceil_div(total, parts)
    for size in range(least, least + least // 5 + 1):
        yield tuple((min(r * size, total), min((r + 1) * size, total)) for r in range(parts))


def active_rows(tiling: Tiling, p: int) -> int:
    """Core rows that own output blocks in pass ``p`` of a convolution."""
    return sum(1 for first, last in tiling.block_rows if first + p * tiling.nob < last)


class Counter(Protocol):
    """Command processor cycles of the tilings of an item."""

    @property
    def least(self) -> float:
        """A lower bound."""

    def cycles(self, t: Tiling) -> float:
        """Of one tiling."""


def search(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    in_place: bool,
    blocks: Blocks | None = None,
    variants: frozenset[str] = VARIANTS,
    counter: Counter | None = None,
) -> Tiling:
    """Best tiling by estimated cycles.

    ``live``: Gamma (out_blocks, in_blocks) of a convolution. ``rows``: output rows of each column. ``in_place``: no
    output row or channel may be computed twice. ``blocks``: taps and bit widths inside the live blocks (None: all
    taps, int8); ``variants``: parts of the superkernel that may be used; ``counter``: command processor cycles by
    counting, in place of the closed form. Raises ``InfeasibleError`` when nothing fits a core.
    """
    found = tilings(geo, live, rows, n_rows, overlay, terms, in_place, blocks, variants)
    best: Tiling | None = None
    plans: dict[str, float] = {}
    for tiling in _counted(found, counter) if counter else found:
        plans[tiling.plan] = min(tiling.cycles, plans.get(tiling.plan, tiling.cycles))
        best = tiling if best is None or tiling.cycles < best.cycles else best
    if best is None:
        line = geo.line_px(geo.w_out if geo.kernel != KernelId.CONV else 1) * 8 * geo.max_rows_in(1)
        raise InfeasibleError(
            f"smallest piece of a {geo.kernel.name} with {geo.kh}x{geo.kw} window",
            line,
            overlay.a_slot * overlay.a_slots,
            "bytes of core input memory",
            ("use a smaller window or image width",),
        )
    return replace(best, alternatives=tuple(plans.items()))


def _counted(candidates: Iterable[Tiling], counter: Counter) -> Iterator[Tiling]:
    """Tilings under counted control costs, which are asked for only while they can matter for a plan."""
    best: dict[str, float] = {}
    counted: Counts[str] = Counts()
    least = counter.least
    for t in sorted(candidates, key=lambda t: t.body):
        known = best.get(t.plan)
        if known is not None and (combined(t.body, least) >= known or counted[t.plan] >= MOST_COUNTED):
            continue
        counted[t.plan] += 1
        cycles = combined(t.body, counter.cycles(t))
        best[t.plan] = cycles if known is None else min(cycles, known)
        yield replace(t, cycles=cycles)


MOST_COUNTED = 200


def tilings(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    in_place: bool,
    blocks: Blocks | None = None,
    variants: frozenset[str] = VARIANTS,
) -> Iterator[Tiling]:
    """All tilings that fit, in a fixed order: the search space of an item (arguments as for ``search``)."""
    if geo.kernel == KernelId.CONV:
        assert live is not None
        what = blocks or Blocks.whole(live, geo.kh, geo.kw)
        return _conv_candidates(geo, what, rows, n_rows, overlay, terms, in_place, variants)
    return _channelwise_candidates(geo, rows, n_rows, overlay, terms, in_place)


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


def _conv_candidates(
    geo: Geometry,
    what: Blocks,
    rows: tuple[int, ...],
    n_rows: int,
    ov: Overlay,
    terms: KernelTerms,
    in_place: bool,
    variants: frozenset[str],
) -> Iterator[Tiling]:
    diagonal = terms.push > 0 and is_diagonal(geo, what, n_rows)
    for load, block_rows, own in conv_loads(geo, what, rows, n_rows, terms, variants):
        yield from _shared_candidates(geo, load, block_rows, rows, ov, own, in_place)
        if terms.keeps and geo.residual and KEEP in variants:
            yield from _kept_candidates(geo, load, block_rows, rows, ov, own, in_place)
        if diagonal:
            yield from _diagonal_candidates(geo, load, block_rows, rows, ov, own, in_place)


def is_diagonal(geo: Geometry, what: Blocks, n_rows: int) -> bool:
    """Every output block needs its own input block alone (per-channel scales, depthwise windows), equally many in each
    core row: a pass then needs no other channels."""
    plain = not (geo.residual or geo.pool or geo.px_step > 1) and geo.in_blocks == geo.out_blocks
    return plain and geo.out_blocks % n_rows == 0 and not (what.live & ~np.eye(geo.out_blocks, dtype=np.bool_)).any()


def _diagonal_candidates(
    geo: Geometry,
    load: Load,
    block_rows: tuple[tuple[int, int], ...],
    rows: tuple[int, ...],
    ov: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Iterator[Tiling]:
    """Tilings whose messages have the input blocks of one pass (``Tiling.diagonal``)."""
    n_rows = len(block_rows)
    share = geo.out_blocks // n_rows
    work = load.row(block_rows)
    for nob in (n for n in range(share - 1, 0, -1) if share % n == 0):
        weights = load.bytes(block_rows, nob, geo.in_blocks, 1, ov.w_slot)
        header = header_bytes(nob, nob, 2) if not load.cover.listed else weights.header
        if header > ov.hdr_bytes or weights.message > ov.w_slot * ov.w_slots:
            continue
        weights = replace(weights, header=header)
        ckb = n_rows * nob
        for width, n_x, band in _pixel_candidates(geo, rows, nob, ckb, 1, n_rows, ov, terms.ideal, False):
            if in_place and geo.w_out % width:
                continue
            if load.cover.listed and _last_listed_pixel(geo, ckb, width) > MAX_LISTED_PIXEL:
                continue
            bands = band_counts(rows, band, in_place)
            shape = block_rows, load, work, rows, bands, nob, ckb, 1, width, n_x, weights, ov, terms, False
            yield replace(build_tiling(geo, *shape), diagonal=True)


def kept_bytes(geo: Geometry, height: int) -> int:
    """Bytes of the whole input of a column with so many output rows."""
    return geo.max_rows_in(height) * geo.in_blocks * geo.line_px(geo.w_out) * geo.in_px


def kept_slots(tiling: Tiling, geo: Geometry, height: int) -> int:
    """A slots through which the input of a column with so many output rows goes into ACC; 0 where it does not."""
    return ceil_div(kept_bytes(geo, height), tiling.kept) if tiling.kept and height > 0 else 0


def _kept_candidates(
    geo: Geometry,
    load: Load,
    block_rows: tuple[tuple[int, int], ...],
    rows: tuple[int, ...],
    ov: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Iterator[Tiling]:
    """Tilings of a convolution with a residual that keep the column's whole input in ACC (``Tiling.kept``)."""
    if geo.pool or kept_bytes(geo, max(rows)) > ov.acc_bytes:
        return
    if load.cover.listed and _last_listed_pixel(geo, geo.in_blocks, geo.w_out) > MAX_LISTED_PIXEL:
        return
    work = load.row(block_rows)
    most = block_rows[0][1] - block_rows[0][0]
    for nob in (n for n in range(most - 1, 0, -1) if most % n == 0 and geo.out_blocks % n == 0):
        weights = load.bytes(block_rows, nob, geo.in_blocks, 1, ov.w_slot)
        if weights.header > ov.hdr_bytes or weights.message > ov.w_slot * ov.w_slots:
            continue
        for height in sorted({ceil_div(max(rows), n) for n in range(1, max(rows) + 1)}, reverse=True):
            bands = band_counts(rows, height, in_place)
            band = max(b for b, _ in bands)
            residual = band * len(block_rows) * nob * geo.w_out * 8
            if residual <= ov.a_slot * ov.a_slots and nob * band * geo.w_out * geo.out_px <= ov.o_slot * ov.o_slots:
                shape = block_rows, load, work, rows, bands, nob, geo.in_blocks, 1, geo.w_out, 1, weights, ov, terms
                yield build_tiling(geo, *shape, False, True)


def conv_loads(
    geo: Geometry, what: Blocks, rows: tuple[int, ...], n_rows: int, terms: KernelTerms, variants: frozenset[str]
) -> Iterator[tuple[Load, tuple[tuple[int, int], ...], KernelTerms]]:
    """Every cover with every distribution of the output blocks over the core rows, and the convolution's terms."""
    shares = residual_shares if geo.residual else _even_shares
    if geo.in_elem == 2:
        terms, variants = terms.wide(), variants - {INT4}
    for cover in covers(geo, what, rows, terms, variants):
        load = Load(cover, geo, terms)
        for block_rows in shares(geo.out_blocks, n_rows):
            yield load, block_rows, terms


def _even_shares(total: int, parts: int) -> Iterator[tuple[tuple[int, int], ...]]:
    yield split_even(total, parts)


def _shared_candidates(
    geo: Geometry,
    load: Load,
    block_rows: tuple[tuple[int, int], ...],
    rows: tuple[int, ...],
    ov: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Iterator[Tiling]:
    """Tilings for one distribution of the output blocks over the core rows."""
    n_rows = len(block_rows)
    most = block_rows[0][1] - block_rows[0][0]
    work = load.row(block_rows)
    w_ring = ov.w_slot * ov.w_slots
    a_ring = ov.a_slot * ov.a_slots
    most_rows = max(rows)
    whole = geo.max_rows_in(most_rows) * geo.in_blocks * geo.line_px(geo.w_out) * geo.in_px
    for ckb in sorted({-(-geo.in_blocks // n) for n in range(1, geo.in_blocks + 1)}, reverse=True):
        n_ck = -(-geo.in_blocks // ckb)
        if geo.max_rows_in(1) * ckb * geo.line_px(1) * geo.in_px > a_ring or (geo.residual and n_ck > 1):
            continue
        for nob in sorted({-(-most // n) for n in range(1, most + 1)}, reverse=True):
            if geo.residual and (most % nob or geo.out_blocks % nob):
                continue
            weights = load.bytes(block_rows, nob, ckb, n_ck, ov.w_slot)
            if weights.header > ov.hdr_bytes or weights.message > w_ring:
                continue
            single = sends_blocks(geo, n_ck, terms, load.cover.listed)
            for width, n_x, band in _pixel_candidates(geo, rows, nob, ckb, n_ck, n_rows, ov, terms.ideal, single):
                if in_place and geo.w_out % width:
                    continue
                bands = band_counts(rows, band, in_place)
                if load.cover.listed and _last_listed_pixel(geo, ckb, width) > MAX_LISTED_PIXEL:
                    continue
                yield build_tiling(
                    geo, block_rows, load, work, rows, bands, nob, ckb, n_ck, width, n_x, weights, ov, terms, False
                )
            fits_o = (1 if single else nob) * most_rows * geo.w_out * geo.out_px <= ov.o_slot * ov.o_slots
            fits_acc = n_ck == 1 or nob * most_rows * ceil_div(geo.w_out, 4) * 128 <= ov.acc_bytes
            listable = not load.cover.listed or _last_listed_pixel(geo, geo.in_blocks, geo.w_out) <= MAX_LISTED_PIXEL
            if whole <= a_ring and fits_o and fits_acc and not geo.residual and not geo.pool and listable:
                bands = band_counts(rows, most_rows, False)
                yield build_tiling(
                    geo,
                    block_rows,
                    load,
                    work,
                    rows,
                    bands,
                    nob,
                    ckb,
                    n_ck,
                    geo.w_out,
                    1,
                    weights,
                    ov,
                    terms,
                    True,
                )


def _last_listed_pixel(geo: Geometry, in_blocks: int, width: int) -> int:
    """Largest address in the unrolled lists of a message with ``in_blocks`` blocks and lines for ``width`` outputs."""
    return ((geo.kh - 1) * geo.dy + 1) * in_blocks * geo.line_px(width) - 1


def _pixel_candidates(
    geo: Geometry, rows: tuple[int, ...], nob: int, ckb: int, n_ck: int, n_rows: int, ov: Overlay, ideal: bool,
    single: bool,
) -> Iterator[tuple[int, int, int]]:  # fmt: skip
    """(width, chunks of the width, band) that fit A, O and ACC; ``single``: output blocks are sent one by one."""
    most_rows = max(rows)
    for n_x in sorted({-(-geo.w_out // w) for w in range(1, geo.w_out + 1)}):
        width = -(-geo.w_out // n_x)
        if n_x > 1 and geo.whole_lines:
            break
        if n_x > 1 and width > 4 and not ideal:
            width = min(-(-width // 4) * 4, geo.w_out)  # whole accumulators
            n_x = -(-geo.w_out // width)
        fits = 0
        for n_b in sorted({-(-most_rows // b) for b in range(1, most_rows + 1)}):
            band = -(-most_rows // n_b)
            if input_bytes(geo, ckb, n_rows * nob, width, band) > ov.a_slot * ov.a_slots:
                continue
            if (1 if single else nob) * band * width * geo.out_px > ov.o_slot * ov.o_slots:
                continue
            if _acc_bytes(geo, ckb, nob, n_ck, width, band) > ov.acc_bytes:
                continue
            yield width, n_x, band
            fits += 1
            if fits == 4:
                break
        if width <= 4 or (fits and n_x >= 16):
            break


def _acc_bytes(geo: Geometry, ckb: int, nob: int, n_ck: int, width: int, band: int) -> int:
    """Bytes of ACC: partial sums between chunks of input channels, and the tensor between a window and a pool."""
    rows, px = geo.conv_rows(band), geo.conv_px(width)
    partial = nob * rows * ceil_div(px, 4) * 128 if n_ck > 1 else 0
    if geo.pool is None:
        return partial
    return partial + rows * px * 8 * (ckb if geo.pool.before else nob)


def input_bytes(geo: Geometry, in_blocks: int, res_blocks: int, width: int, band: int) -> int:
    """Most bytes of an activation message: input rows, then the residual of all core rows' blocks of the pass."""
    data = geo.max_rows_in(band) * in_blocks * geo.line_px(width) * geo.in_px
    return data + (band * res_blocks * width * 8 if geo.residual else 0)


def build_tiling(
    geo: Geometry,
    block_rows: tuple[tuple[int, int], ...],
    load: Load,
    work: RowLoad,
    rows: tuple[int, ...],
    bands: tuple[tuple[int, int], ...],
    nob: int,
    ckb: int,
    n_ck: int,
    width: int,
    n_x: int,
    weights: WeightBytes,
    ov: Overlay,
    terms: KernelTerms,
    resident: bool,
    kept: bool = False,
) -> Tiling:
    """One candidate with its estimate; arguments as named there."""
    a_blocks = geo.in_blocks if resident else ckb
    n_pass = -(-(block_rows[0][1] - block_rows[0][0]) // nob)
    band, n_b = max(b for b, _ in bands), max(n for _, n in bands)
    n_rows = len(block_rows)
    aligned = terms.push > 0
    a = ceil_div(input_bytes(geo, 0 if kept else a_blocks, n_rows * nob, width, band), ov.a_slot)
    single = sends_blocks(geo, n_ck, terms, load.cover.listed)
    o = ceil_div((1 if single else nob) * band * width * geo.out_px, ov.o_slot)
    if aligned:
        a, o = ring_share(a, ov.a_slots), ring_share(o, ov.o_slots)
    most = block_rows[0][1] - block_rows[0][0]
    steps = n_x * n_b
    messages = n_pass * steps * n_ck
    sent = _output_slots(block_rows, 1 if single else nob, band * width * geo.out_px, o, ov.o_slot, aligned)
    conv_rows, conv_px = geo.conv_rows(band), geo.conv_px(width)
    if terms.ideal:
        t_c = steps * conv_rows * conv_px * work.macs(geo.taps, terms) / terms.macs_per_cycle
    else:
        groups = conv_rows * -(-conv_px // 4)
        per_step = most * n_ck * -(-groups // 8) * terms.a
        per_step += work.cycles(geo, terms, groups, n_ck, n_b, resident)
        t_c = steps * per_step + messages * (terms.call + 6 * terms.opcode)
        if geo.residual:
            t_c += steps * most * band * (terms.add_a + 2 * ceil_div(width, 4) * terms.add_ii)
        if geo.pool:
            lines = steps * band * (n_pass * geo.in_blocks if geo.pool.before else most)
            per_line, per_vector = terms.avg_pool if geo.pool.average else terms.max_pool
            t_c += lines * (per_line + ceil_div(width, 4) * geo.pool.kh * geo.pool.kw * per_vector)
    pipe = PipelineLoad(
        n_pass * steps,
        n_ck,
        a,
        o,
        resident,
        t_c,
        steps * sent,
        (weights.message, weights.total * (steps if n_ck > 1 else 1)),
        messages if n_ck > 1 else n_pass,
        aligned,
        nob if single else 0,
        (n_pass, (most - (n_pass - 1) * nob) / max(most, 1)),
        ceil_div(kept_bytes(geo, max(rows)), ov.a_slot) if kept else 0,
    )
    body = pipeline_cycles(pipe, ov, terms)
    line = 0
    if aligned and not (resident or kept or geo.px_step > 1 or geo.pool_before):
        line = exact_line(geo, a * ov.a_slot, a_blocks, width, band, n_rows * nob)
    control = control_cycles(
        geo,
        rows,
        n_pass,
        n_x,
        width,
        band,
        n_b,
        a_blocks,
        1 if resident else n_ck,
        most % nob != 0,
        len(block_rows),
        terms,
    )
    cycles = combined(body, control)
    cut = block_rows, nob, n_pass, width, n_x, bands, ckb, n_ck, a, o
    chosen = resident, aligned, line, load.cover.name, load.cover
    return Tiling(*cut, cycles, body, *chosen, out_px=geo.out_px, kept=ov.a_slot if kept else 0, per_block=single)


def _output_slots(
    block_rows: tuple[tuple[int, int], ...], nob: int, block_bytes: int, o: int, slot: int, aligned: bool
) -> int:
    """Output slots that the cores of a column send for one piece of the image, all passes."""
    total = 0
    for first, last in block_rows:
        full, rest = divmod(last - first, nob)
        total += full * o + ((o if aligned else ceil_div(rest * block_bytes, slot)) if rest else 0)
    return total


def exact_line(geo: Geometry, size: int, blocks: int, width: int, band: int, res_blocks: int) -> int:
    """Pixels of an input line with which a message has just ``size`` bytes, whole rows of zeros included; 0 if none.

    The memtile's DMA adds up to 63 words to a line, the window's own padding included, and 15 rows to a message
    (docs/program.md section 3).
    """
    most = PAD_WORDS * WORD // geo.in_px - (geo.kw - 1) * geo.dx
    residual = band * res_blocks * width * 8 if geo.residual else 0
    rows, line = geo.max_rows_in(band), geo.line_px(width)
    data = size - residual
    for px in range(line, line + most + 1):
        extra, rest = divmod(data, px * blocks * geo.in_px)
        if extra < rows:
            break
        if rest == 0 and (extra == rows or (extra - rows <= 12 and not geo.residual and geo.row_step == 1)):
            return px
    return 0


def _channelwise_candidates(
    geo: Geometry, rows: tuple[int, ...], n_rows: int, ov: Overlay, terms: KernelTerms, in_place: bool
) -> Iterator[Tiling]:
    total = geo.out_blocks
    unit = geo.kh if geo.kernel == KernelId.UPSAMPLE else 1
    for ckb in range(1, total + 1):
        if (in_place and total % ckb) or (ckb > n_rows and ckb % n_rows and ckb != total):
            continue
        own = -(-ckb // n_rows)
        n_pass = -(-total // ckb)
        for n_b in range(1, max(rows) + 1):
            band = ceil_div(ceil_div(max(rows), n_b), unit) * unit
            bands = band_counts(rows, band, in_place, unit)
            aligned = terms.push > 0
            a = -(-geo.max_rows_in(band) * ckb * geo.line_px(0) * 8 * geo.n_inputs // ov.a_slot)
            o = -(-own * band * geo.w_out * 8 // ov.o_slot)
            if aligned:
                a, o = ring_share(a, ov.a_slots), ring_share(o, ov.o_slots)
            if not 0 < a <= ov.a_slots or not 0 < o <= ov.o_slots:
                continue
            messages = n_pass * max(n for _, n in bands)
            t_a = messages * a * ov.a_slot / WORD / terms.a_rate
            sent = _output_slots(split_even(ckb, n_rows), own, band * geo.w_out * 8, o, ov.o_slot, aligned)
            t_o = messages * ov.o_slot / WORD * max(o / terms.o_rate, sent / terms.o_link)
            taps = geo.n_inputs if geo.kernel == KernelId.ADD else geo.taps
            t_c = 0.0 if terms.ideal else messages * own * band * -(-geo.w_out // 4) * taps * 2.0
            body = max(t_a, t_o, t_c) if 2 * a <= ov.a_slots else max(t_a + t_c, t_o)
            n_most = max(n for _, n in bands)
            ragged = total % ckb != 0
            control = control_cycles(
                geo,
                rows,
                n_pass if n_most > 1 else 1 + ragged,
                1,
                geo.w_out,
                band,
                n_most,
                ckb,
                1,
                ragged,
                n_rows,
                terms,
            )
            body += (a * ov.a_slot + o * ov.o_slot) / WORD + messages * 30
            cycles = combined(body, control)
            rows_of = split_even(ckb, n_rows)
            yield Tiling(rows_of, own, n_pass, geo.w_out, 1, bands, ckb, 1, a, o, cycles, body, False, aligned)
            if 2 * a <= ov.a_slots:
                break
