"""Sub-volume search: how one item is cut so that each piece fits a core, by a closed-form time (estimated).

Loop nest of a core, outermost first: passes over its output channel blocks, chunks of the width, bands of rows,
chunks of the input channels (only when the weights of a pass do not fit, accumulating in ACC).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import InfeasibleError
from tvm_aie.schedule.geometry import Geometry, KernelId, Overlay, ceil_div, ring_share
from tvm_aie.schedule.terms import KernelTerms

Mask = npt.NDArray[np.bool_]
HEADER_BYTES = 64
WORD = 4


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
    order: int = 0  # of the loops, see ``schedule.order``

    def o_slots_of(self, blocks: int, o_slot: int) -> int:
        """Output slots of a message of ``blocks`` channel blocks: exact, unless all messages are alike (aligned)."""
        if self.aligned or not blocks:
            return self.o_slots if blocks else 0
        return ceil_div(blocks * max(b for b, _ in self.bands) * self.width * 8, o_slot)

    @property
    def weights_per_band(self) -> bool:
        """Weights are sent again for every band and width chunk (input channels are split, or passes are inside)."""
        return self.n_ck > 1 or self.order == 2


def split_even(total: int, parts: int) -> tuple[tuple[int, int], ...]:
    """[first, last) of ``parts`` contiguous shares of ``total`` that differ by at most one."""
    base, extra = divmod(total, parts)
    starts = [i * base + min(i, extra) for i in range(parts + 1)]
    return tuple(pairwise(starts))


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


def header_bytes(n_ocb: int, nnz: int, biases: int = 1) -> int:
    """Bytes of a weight message before its tiles: fixed part, biases, row_ptr, columns; a multiple of 64."""
    return ceil_div(HEADER_BYTES + 32 * n_ocb * biases + 2 * (n_ocb + 1) + 2 * nnz, 64) * 64


def search(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Tiling:
    """Best tiling by estimated cycles.

    ``live``: Gamma (out_blocks, in_blocks) of a convolution. ``rows``: output rows of each column. ``in_place``: no
    output row or channel may be computed twice. Raises ``InfeasibleError`` when nothing fits a core.
    """
    candidates = tilings(geo, live, rows, n_rows, overlay, terms, in_place)
    best = min(candidates, key=lambda t: t.cycles, default=None)
    if best is None:
        line = geo.line_px(geo.w_out if geo.kernel != KernelId.CONV else 1) * 8 * geo.max_rows_in(1)
        raise InfeasibleError(
            f"smallest piece of a {geo.kernel.name} with {geo.kh}x{geo.kw} window",
            line,
            overlay.a_slot * overlay.a_slots,
            "bytes of core input memory",
            ("use a smaller window or image width",),
        )
    return best


def tilings(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Iterator[Tiling]:
    """All tilings that fit, in a fixed order: the search space of an item (arguments as for ``search``)."""
    if geo.kernel == KernelId.CONV:
        assert live is not None
        return _conv_candidates(geo, live, rows, n_rows, overlay, terms, in_place)
    return _channelwise_candidates(geo, rows, n_rows, overlay, terms, in_place)


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


def _ii(terms: KernelTerms, groups: int) -> tuple[int, float]:
    """Chunks and the sum of their initiation intervals for ``groups`` accumulators (8 per chunk)."""
    full, rest = divmod(groups, 8)
    ii = full * max(terms.ii_min, 8 * terms.ii_per_acc)
    if rest:
        ii += max(terms.ii_min, rest * terms.ii_per_acc)
    return full + (rest > 0), ii


def _conv_candidates(
    geo: Geometry, live: Mask, rows: tuple[int, ...], n_rows: int, ov: Overlay, terms: KernelTerms, in_place: bool
) -> Iterator[Tiling]:
    prefix = np.zeros((geo.out_blocks + 1, geo.in_blocks + 1), np.int64)
    prefix[1:, 1:] = live.cumsum(0).cumsum(1)
    if not geo.residual:
        yield from _shared_candidates(geo, prefix, split_even(geo.out_blocks, n_rows), rows, ov, terms, in_place)
        return
    for block_rows in residual_shares(geo.out_blocks, n_rows):
        yield from _shared_candidates(geo, prefix, block_rows, rows, ov, terms, in_place)


def _shared_candidates(
    geo: Geometry,
    prefix: npt.NDArray[np.int64],
    block_rows: tuple[tuple[int, int], ...],
    rows: tuple[int, ...],
    ov: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Iterator[Tiling]:
    """Tilings for one distribution of the output blocks over the core rows."""
    n_rows = len(block_rows)
    most = block_rows[0][1] - block_rows[0][0]
    live_row = max(int(prefix[e, -1] - prefix[s, -1]) for s, e in block_rows)
    w_ring = ov.w_slot * ov.w_slots
    a_ring = ov.a_slot * ov.a_slots
    most_rows = max(rows)
    whole = geo.max_rows_in(most_rows) * geo.in_blocks * geo.line_px(geo.w_out) * 8
    for ckb in sorted({-(-geo.in_blocks // n) for n in range(1, geo.in_blocks + 1)}, reverse=True):
        n_ck = -(-geo.in_blocks // ckb)
        if geo.max_rows_in(1) * ckb * geo.line_px(1) * 8 > a_ring or (geo.residual and n_ck > 1):
            continue
        for nob in sorted({-(-most // n) for n in range(1, most + 1)}, reverse=True):
            if header_bytes(nob, nob * ckb, 2) > ov.hdr_bytes or (
                geo.residual and (most % nob or geo.out_blocks % nob)
            ):
                continue
            w_max, w_sum = _weight_bytes(prefix, block_rows, nob, ckb, n_ck, geo.taps, ov.w_slot)
            if w_max > w_ring:
                continue
            for width, n_x, band in _pixel_candidates(geo, rows, nob, ckb, n_ck, n_rows, ov, terms.ideal):
                if in_place and geo.w_out % width:
                    continue
                bands = band_counts(rows, band, in_place)
                yield _conv_tiling(
                    geo, block_rows, live_row, rows, bands, nob, ckb, n_ck, width, n_x, (w_max, w_sum), ov, terms, False
                )
            fits_o = nob * most_rows * geo.w_out * 8 <= ov.o_slot * ov.o_slots
            fits_acc = n_ck == 1 or nob * most_rows * ceil_div(geo.w_out, 4) * 128 <= ov.acc_bytes
            if whole <= a_ring and fits_o and fits_acc and not geo.residual and not geo.pool:
                bands = band_counts(rows, most_rows, False)
                yield _conv_tiling(
                    geo,
                    block_rows,
                    live_row,
                    rows,
                    bands,
                    nob,
                    ckb,
                    n_ck,
                    geo.w_out,
                    1,
                    (w_max, w_sum),
                    ov,
                    terms,
                    True,
                )


def _weight_bytes(
    prefix: npt.NDArray[np.int64],
    block_rows: tuple[tuple[int, int], ...],
    nob: int,
    ckb: int,
    n_ck: int,
    taps: int,
    slot: int,
) -> tuple[int, int]:
    """(largest message, largest sum over one core row) in bytes, slots included."""
    cols = np.minimum(np.arange(n_ck + 1) * ckb, prefix.shape[1] - 1)
    worst, total = 0, 0
    for start, end in block_rows:
        edges = np.minimum(np.arange(start, end + nob, nob), end) if end > start else np.array([start, start])
        counts = np.diff(np.diff(prefix[np.ix_(edges, cols)], axis=0), axis=1)
        sizes = counts * (taps * 64 + 2) + (HEADER_BYTES + 34 * np.diff(edges)[:, None] + 66)
        slots = -(-sizes // slot) * slot
        worst, total = max(worst, int(slots.max())), max(total, int(slots.sum()))
    return worst, total


def _pixel_candidates(
    geo: Geometry, rows: tuple[int, ...], nob: int, ckb: int, n_ck: int, n_rows: int, ov: Overlay, ideal: bool
) -> Iterator[tuple[int, int, int]]:
    """(width, chunks of the width, band) that fit A, O and ACC."""
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
            if _input_bytes(geo, ckb, n_rows * nob, width, band) > ov.a_slot * ov.a_slots:
                continue
            if nob * band * width * 8 > ov.o_slot * ov.o_slots:
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


def _input_bytes(geo: Geometry, in_blocks: int, res_blocks: int, width: int, band: int) -> int:
    """Most bytes of an activation message: input rows, then the residual of all core rows' blocks of the pass."""
    data = geo.max_rows_in(band) * in_blocks * geo.line_px(width) * 8
    return data + (band * res_blocks * width * 8 if geo.residual else 0)


def _conv_tiling(
    geo: Geometry,
    block_rows: tuple[tuple[int, int], ...],
    live_row: int,
    rows: tuple[int, ...],
    bands: tuple[tuple[int, int], ...],
    nob: int,
    ckb: int,
    n_ck: int,
    width: int,
    n_x: int,
    weights: tuple[int, int],
    ov: Overlay,
    terms: KernelTerms,
    resident: bool,
) -> Tiling:
    a_blocks = geo.in_blocks if resident else ckb
    n_pass = -(-(block_rows[0][1] - block_rows[0][0]) // nob)
    band, n_b = max(b for b, _ in bands), max(n for _, n in bands)
    aligned = terms.push > 0
    a = ceil_div(_input_bytes(geo, a_blocks, len(block_rows) * nob, width, band), ov.a_slot)
    o = ceil_div(nob * band * width * 8, ov.o_slot)
    if aligned:
        a, o = ring_share(a, ov.a_slots), ring_share(o, ov.o_slots)
    most = block_rows[0][1] - block_rows[0][0]
    steps = n_x * n_b
    messages = n_pass * steps * n_ck
    t_a = (1 if resident else messages) * a * ov.a_slot / WORD / terms.a_rate
    sent = _output_slots(block_rows, nob, band * width * 8, o, ov.o_slot, aligned)
    t_o = steps * ov.o_slot / WORD * max(n_pass * o / terms.o_rate, sent / terms.o_link)
    t_w = weights[1] * (steps if n_ck > 1 else 1) / WORD / terms.w_rate
    conv_rows, conv_px = geo.conv_rows(band), geo.conv_px(width)
    if terms.ideal:
        t_c = steps * conv_rows * conv_px * live_row * geo.taps * 64 / terms.macs_per_cycle
    else:
        chunks, ii = _ii(terms, conv_rows * -(-conv_px // 4))
        per_step = most * n_ck * chunks * terms.a + live_row * (geo.taps * ii + chunks * terms.gamma)
        t_c = steps * per_step + messages * (terms.call + 6 * terms.opcode)
        if geo.residual:
            t_c += steps * most * band * (terms.add_a + 2 * ceil_div(width, 4) * terms.add_ii)
        if geo.pool:
            lines = steps * band * (n_pass * geo.in_blocks if geo.pool.before else most)
            per_line, per_vector = terms.avg_pool if geo.pool.average else terms.max_pool
            t_c += lines * (per_line + ceil_div(width, 4) * geo.pool.kh * geo.pool.kw * per_vector)
    first = a * ov.a_slot / WORD + o * ov.o_slot / WORD + t_c / messages
    double_a, double_w = 2 * a <= ov.a_slots, 2 * weights[0] <= ov.w_slot * ov.w_slots
    body = max(t_a, t_c, t_o, t_w) if double_a else max(t_a + t_c, t_o, t_w)
    if not double_w and n_pass * n_ck > 1:
        body = max(body, t_w + max(t_c, t_a))
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
    cycles = combined(body + first, control)
    return Tiling(block_rows, nob, n_pass, width, n_x, bands, ckb, n_ck, a, o, cycles, body + first, resident, aligned)


def _output_slots(
    block_rows: tuple[tuple[int, int], ...], nob: int, block_bytes: int, o: int, slot: int, aligned: bool
) -> int:
    """Output slots that the cores of a column send for one piece of the image, all passes."""
    total = 0
    for first, last in block_rows:
        full, rest = divmod(last - first, nob)
        total += full * o + ((o if aligned else ceil_div(rest * block_bytes, slot)) if rest else 0)
    return total


def combined(body: float, control: float) -> float:
    """Time of an item whose commands are issued while other items run: they hide, but not for free."""
    return max(body, control) + CONTROL_WEIGHT * control


# Share of the command processor's time that is not hidden behind other items. Chosen on ResNet-50/npu1 by emulation.
CONTROL_WEIGHT = 1.0


def control_cycles(
    geo: Geometry,
    rows: tuple[int, ...],
    n_pass: int,
    n_x: int,
    width: int,
    band: int,
    n_b: int,
    ckb: int,
    n_ck: int,
    ragged: bool,
    n_rows: int,
    terms: KernelTerms,
) -> float:
    """Command processor cycles of an item: the tasks into which ``emit.transfers.compress`` will cut its messages.

    A task covers messages of one shape whose addresses advance evenly along one loop; an outer loop needs a task per
    iteration. Halo rows and zero padding change the shape at the borders.
    """
    columns = sum(1 for r in rows if r)
    ragged_band = any(r % max(1, -(-r // n_b)) for r in rows if r)
    halo = geo.kh > 1 or (geo.pool is not None and geo.pool.kh > 1)
    y_runs = 1 if n_b == 1 else min(n_b, (3 if halo else 1) + ragged_band)
    x_ragged = n_x > 1 and geo.w_out % width != 0
    x_runs = 1 if n_x == 1 else min(n_x, (3 if geo.kw > 1 else 1) + x_ragged)
    if n_ck > 1:
        steps = n_x * n_b
        a_tasks = (1 if steps == 1 else n_pass * steps) * (
            1 + (geo.in_blocks % ckb != 0) * (n_pass if steps == 1 else 1)
        )
        a_tasks += n_pass * n_ck * steps // 256
    elif n_b > 1:
        a_tasks = n_pass * n_x * y_runs
    else:
        a_tasks = n_pass * x_runs if n_x > 1 else 1
    if n_b > 1:
        o_tasks = n_pass * n_x * (1 + ragged_band)
    elif n_x > 1:
        o_tasks = n_pass * (1 + x_ragged)
    else:
        o_tasks = 1 + ragged
    if n_pass * n_x * n_b * n_rows > 63:
        o_tasks += 1
    each = terms.push + 1.5 * terms.bd_write
    return columns * (a_tasks * each + n_rows * o_tasks * each + terms.push + 6 * terms.bd_write)


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
