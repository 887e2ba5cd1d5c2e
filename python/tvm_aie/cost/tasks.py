"""How many tasks and descriptors a tiling's messages become: a small model of ``emit.transfers``. All `estimated`.

The command processor pays per task and per descriptor, and for many layers it is the bottleneck, so the count decides.
The messages of one column are written down as (kind, address) in units that keep what ``compress`` looks at: whether
shapes are equal and whether addresses advance evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_aie.pipeline import Workload
from tvm_aie.schedule.geometry import Geometry, KernelId, Overlay
from tvm_aie.schedule.order import PASSES_INSIDE, steps
from tvm_aie.schedule.tiling import Tiling

REPEAT_MAX, WRAP_MAX, MAX_CHAIN = 256, 64, 10  # as on AIE2; ``emit.transfers.MAX_CHAIN``
FILLER_BYTES, JUNK_BYTES = 4096, 2048
MOST = 384  # messages looked at; longer sequences are scaled
Note = tuple[int, int]  # (kind, address)


@dataclass(frozen=True)
class Tasks:
    """Of one column: tasks and descriptors of the activations, and of the outputs of all core rows."""

    a_tasks: float
    a_bds: float
    o_tasks: float
    o_bds: float
    o_rows: int  # core rows with outputs


def count_tasks(work: Workload, tiling: Tiling, overlay: Overlay) -> Tasks:
    """Tasks of the column with the most rows."""
    column = max(range(len(work.rows)), key=lambda c: (work.rows[c], min(c, len(work.rows) - 1 - c)))
    a_notes, a_pieces, a_scale = _inputs(work, tiling, overlay, column)
    a_tasks, a_bds = _compressed(a_notes, a_pieces)
    o_tasks = o_bds = 0.0
    rows = 0
    done: dict[int, tuple[float, float]] = {}
    for first, last in tiling.block_rows:
        own = last - first
        if own <= 0:
            continue
        rows += 1
        if own not in done:
            notes, pieces, scale = _outputs(work.geometry, tiling, overlay, work.rows[column], column, own)
            tasks, bds = _compressed(notes, pieces)
            done[own] = tasks * scale, bds * scale
        o_tasks += done[own][0]
        o_bds += done[own][1]
    return Tasks(a_tasks * a_scale, a_bds * a_scale, o_tasks, o_bds, rows)


def _inputs(
    work: Workload, tiling: Tiling, overlay: Overlay, column: int
) -> tuple[list[Note], dict[int, int], float]:
    """(messages, descriptors by kind, factor for messages that were left out)."""
    geo, height = work.geometry, work.rows[column]
    size = tiling.a_slots * overlay.a_slot
    band, n_b = tiling.bands[column]
    if tiling.a_resident:
        edges = (column > 0) + (column + 1 < len(work.rows)) if geo.kh > 1 else 0
        data = geo.max_rows_in(height) * geo.in_blocks * geo.line_px(geo.w_out) * 8
        return [(0, 0)], {0: 1 + edges + _fillers(size - data, FILLER_BYTES)}, 1.0
    conv = geo.kernel == KernelId.CONV
    same = conv and not geo.residual and tiling.order != PASSES_INSIDE
    inside = conv and tiling.order == PASSES_INSIDE
    passes = 1 if same or inside else tiling.n_pass
    per_pass = tiling.n_x * n_b * tiling.n_ck
    notes: list[Note] = []
    pieces: dict[int, int] = {}
    line = geo.w_in * 8
    top, bottom = column == 0, column + 1 == len(work.rows)
    fill = _fillers(size - _message_bytes(work, tiling, band), FILLER_BYTES)
    for p, x, b in steps(tiling, passes, n_b):
        y = min(b * band, height - band)
        x0 = min(x * tiling.width, geo.w_out - tiling.width)
        y_kind, extra = _y_kind(geo, y, band, height, top, bottom)
        x_kind = (x == 0) + 2 * (x == tiling.n_x - 1) if geo.kw > 1 and tiling.n_x > 1 else 0
        address = y * geo.sy * geo.row_step * line * geo.in_blocks + x0 * geo.sx * geo.px_step * 8
        if geo.residual:
            address += p * tiling.nob * 13
        for ck in range(tiling.n_ck):
            block = min((ck if conv else p) * tiling.ckb, geo.in_blocks - tiling.ckb)
            kind = 4 * y_kind + x_kind
            pieces[kind] = (1 + extra + (1 if geo.residual else 0)) * (1 if conv else geo.n_inputs) + fill
            notes.append((kind, address + block * line))
        if len(notes) >= MOST:
            break
    total = per_pass * (tiling.n_pass if same else passes)
    if same and len(notes) == per_pass:
        notes = notes * max(1, min(tiling.n_pass, -(-MOST // per_pass)))
    return notes, pieces, max(1.0, total / len(notes))


def _y_kind(geo: Geometry, y: int, band: int, height: int, top: bool, bottom: bool) -> tuple[int, int]:
    """(kind, further descriptors) of a band: bands at the border read a neighbour's rows or fewer rows."""
    if geo.kh == 1 or geo.kernel == KernelId.UPSAMPLE:
        return 0, 0
    above = y * geo.sy - geo.pad_top < 0
    last = (y + band - 1) * geo.sy - geo.pad_top + (geo.kh - 1) * geo.dy
    below = last >= height * geo.sy
    extra = (above and not top) + (below and not bottom)
    return 1 * above + 2 * below + 4 * (1 if above or below else 0) * min(y, 7), extra


def _message_bytes(work: Workload, tiling: Tiling, band: int) -> int:
    geo = work.geometry
    data = geo.max_rows_in(band) * tiling.ckb * geo.line_px(tiling.width) * 8
    if geo.kernel != KernelId.CONV:
        return data * geo.n_inputs
    return data + (band * len(tiling.block_rows) * tiling.nob * tiling.width * 8 if geo.residual else 0)


def _outputs(
    geo: Geometry, tiling: Tiling, overlay: Overlay, height: int, column: int, own: int
) -> tuple[list[Note], dict[int, int], float]:
    band, n_b = tiling.bands[column]
    size = tiling.o_slots * overlay.o_slot
    conv = geo.kernel == KernelId.CONV
    n_pass = -(-own // tiling.nob) if conv else tiling.n_pass
    line = geo.w_out * 8
    notes: list[Note] = []
    pieces: dict[int, int] = {}
    for p, x, b in steps(tiling, n_pass, n_b):
        blocks = min(tiling.nob, own - p * tiling.nob) if conv else own
        y, x0 = min(b * band, height - band), min(x * tiling.width, geo.w_out - tiling.width)
        chunk = p * tiling.nob if conv else min(p * tiling.ckb, geo.out_blocks - tiling.ckb)
        pieces[blocks] = 1 + _fillers(size - blocks * band * tiling.width * 8, JUNK_BYTES)
        notes.append((blocks, (y * geo.out_blocks + chunk) * line + x0 * 8))
        if len(notes) >= MOST:
            break
    return notes, pieces, max(1.0, n_pass * tiling.n_x * n_b / len(notes))


def _fillers(rest: int, piece: int) -> int:
    return max(0, -(-rest // piece))


def _compressed(notes: Sequence[Note], pieces: dict[int, int]) -> tuple[float, float]:
    """(tasks, descriptors) after runs were found and single messages chained."""
    tasks = bds = chain = 0
    i, n = 0, len(notes)
    while i < n:
        run = _run(notes, i)
        length = pieces[notes[i][0]]
        bds += length
        if run == 1 and chain and chain + length <= MAX_CHAIN:
            chain += length
        else:
            tasks += 1
            chain = length if run == 1 else 0
        i += run
    return float(tasks), float(bds)


def _run(notes: Sequence[Note], start: int) -> int:
    """Messages of the longest run from ``start`` (``emit.transfers._run``)."""
    kind, base = notes[start]
    limit = min(len(notes), start + REPEAT_MAX)
    if start + 1 >= limit or notes[start + 1][0] != kind:
        return 1
    step = notes[start + 1][1] - base
    if step < 0:
        return 1
    wrap, most = 2, WRAP_MAX if step else REPEAT_MAX
    while start + wrap < limit and wrap < most and notes[start + wrap] == (kind, base + wrap * step):
        wrap += 1
    n = wrap
    while start + n < limit and notes[start + n] == (kind, base + (n % wrap) * step):
        n += 1
    return n
