"""How many tasks and descriptors a tiling's messages become: a small model of ``emit.transfers``. All `estimated`.

The command processor pays per task and per descriptor, and for many layers it is the bottleneck, so the count decides.
The messages of one column are written down as (kind, address) in units that keep what ``compress`` looks at: whether
shapes are equal and whether addresses advance evenly. Chains that the emitter then makes across items are not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tvm_aie.emit.memtile import JUNK_BYTES
from tvm_aie.schedule.cuts import kept_bytes
from tvm_aie.schedule.fronts import front_message_line, front_messages
from tvm_aie.schedule.geometry import Geometry, KernelId, Overlay
from tvm_aie.schedule.order import PASSES_INSIDE, steps
from tvm_aie.schedule.tiling import Tiling, active_rows
from tvm_aie.searches import Workload

REPEAT_MAX, WRAP_MAX, MAX_CHAIN = 256, 64, 10  # as on AIE2; ``emit.transfers.MAX_CHAIN``
FILLER_BYTES = 4096
MOST = 384  # messages looked at; longer sequences are scaled
LOCK_MAX = 63  # releases of outputs; beyond that only the last message releases
PROLOGUE, PROLOGUE_BDS = -1, 3  # the opcode message: kind, descriptors with locks
KEPT = -2  # kind of the message with an input that is kept in ACC
Note = tuple[int, int]  # (kind, address)


@dataclass(frozen=True, eq=False)
class Task:
    """``first``, ``last``: share of the item's messages before it and with it; ``bds``: descriptors of its chain.

    ``writes``: descriptors that must be written each time; one that neither advances nor carries a lock is found again
    in the pool. ``runs``: executions of the chain. ``done_by``: share before its last message, by which the emitter
    orders. ``lead``: by how much of the item it runs ahead of the cores.
    """

    first: float
    last: float
    bds: int
    writes: int
    runs: int
    done_by: float
    lead: float = 0.0

    @property
    def needed(self) -> float:
        """Share of the item that can be done without this task."""
        return self.first

    @property
    def finish(self) -> float:
        """Share of the item that is done when this task is."""
        return max(0.0, self.last - self.lead)


@dataclass(frozen=True)
class Tasks:
    """Of one column: tasks and descriptors of the activations, and of the outputs of all core rows.

    ``a_list``: the activation tasks, the prologue (with what is chained to it) first; ``o_lists``: per core row.
    """

    a_tasks: float
    a_bds: float
    o_tasks: float
    o_bds: float
    o_rows: int  # core rows with outputs
    a_list: tuple[Task, ...]
    o_lists: tuple[tuple[Task, ...], ...]


@dataclass(frozen=True)
class _Pieces:
    """Descriptors of a message: ``data``, and ``fill`` up to whole slots."""

    data: int
    fill: int


def count_tasks(work: Workload, tiling: Tiling, overlay: Overlay) -> Tasks:
    """Tasks of the column with the most rows."""
    column = max(range(len(work.rows)), key=lambda c: (work.rows[c], min(c, len(work.rows) - 1 - c)))
    notes, pieces, a_scale = _inputs(work, tiling, overlay, column)
    prologue = _Pieces(PROLOGUE_BDS, 0)  # the opcodes' descriptor reads on as filler
    a_list = _compressed([(PROLOGUE, 0), *notes], {PROLOGUE: prologue, **pieces})
    o_lists = []
    o_tasks = o_bds = 0.0
    done: dict[int, tuple[tuple[Task, ...], float]] = {}
    for first, last in tiling.block_rows:
        own = last - first
        if own <= 0:
            continue
        if own not in done:
            out_notes, out_pieces, scale = _outputs(work.geometry, tiling, overlay, work.rows[column], column, own)
            # a row with fewer blocks lacks the last passes: of the item, or of each piece when passes are inside
            share = 1.0 if tiling.order == PASSES_INSIDE or scale > 1 else -(-own // tiling.nob) / tiling.n_pass
            found = _compressed(out_notes, out_pieces)
            if share < 1 and work.geometry.kernel == KernelId.CONV:
                found = tuple(replace(t, first=t.first * share, last=t.last * share, done_by=t.done_by * share)
                              for t in found)  # fmt: skip
            done[own] = found, scale
        o_lists.append(done[own][0])
        o_tasks += len(done[own][0]) * done[own][1]
        o_bds += sum(t.bds for t in done[own][0]) * done[own][1]
    if sum(row[-1].runs for row in o_lists) > LOCK_MAX:
        o_lists = [_end_alone(row) for row in o_lists]
    a_bds = sum(t.bds for t in a_list) * a_scale
    return Tasks(len(a_list) * a_scale, a_bds, o_tasks, o_bds, len(o_lists), a_list, tuple(o_lists))


def _inputs(
    work: Workload, tiling: Tiling, overlay: Overlay, column: int
) -> tuple[list[Note], dict[int, _Pieces], float]:
    """(messages, descriptors by kind, factor for messages that were left out)."""
    geo, height = work.geometry, work.rows[column]
    size = tiling.a_slots * overlay.a_slot
    band, n_b = tiling.bands[column]
    if tiling.a_resident:
        edges = (column > 0) + (column + 1 < len(work.rows)) if geo.kh > 1 else 0
        data = geo.max_rows_in(height) * geo.in_blocks * geo.line_px(geo.w_out) * geo.in_px
        return [(0, 0)], {0: _Pieces(1 + edges, _fillers(size - data, FILLER_BYTES))}, 1.0
    if tiling.front:
        return _rows(work, tiling, overlay, column)
    conv = geo.kernel == KernelId.CONV
    same = conv and not (geo.residual or tiling.diagonal) and tiling.order != PASSES_INSIDE
    inside = conv and tiling.order == PASSES_INSIDE
    passes = 1 if same or inside else tiling.n_pass
    per_pass = tiling.n_x * n_b * tiling.n_ck
    notes: list[Note] = []
    pieces: dict[int, _Pieces] = {}
    line = geo.w_in * geo.in_px
    top, bottom = column == 0, column + 1 == len(work.rows)
    fill = _fillers(size - _message_bytes(work, tiling, band), FILLER_BYTES)
    kept = tiling.kept > 0
    if kept:  # the whole input goes first
        edges = top + bottom if geo.kh > 1 else 2
        notes.append((KEPT, 0))
        pieces[KEPT] = _Pieces(3 - edges, _fillers(-kept_bytes(geo, height) % tiling.kept, FILLER_BYTES))
    for p, x, b in steps(tiling, passes, n_b):
        y = min(b * band, height - band)
        x0 = min(x * tiling.width, geo.w_out - tiling.width)
        y_kind, extra = _y_kind(geo, y, band, height, top, bottom)
        x_kind = (x == 0) + 2 * (x == tiling.n_x - 1) if geo.kw > 1 and tiling.n_x > 1 else 0
        address = y * geo.sy * geo.row_step * line * geo.in_blocks + x0 * geo.sx * geo.px_step * geo.in_px
        if kept:
            y_kind = x_kind = extra = 0
            address = y * geo.w_out * 8 * geo.out_blocks
        if geo.residual:
            address += p * tiling.nob * 13
        for ck in range(tiling.n_ck):
            block = min((ck if conv else p) * tiling.ckb, geo.in_blocks - tiling.ckb)
            if tiling.diagonal:  # those of each core row's output blocks of the pass
                block = p * tiling.nob
            kind = 4 * y_kind + x_kind + (1000 * active_rows(tiling, p) if geo.residual else 0)
            data = 1 if kept else (1 + extra + geo.residual) * (1 if conv else geo.n_inputs)
            pieces[kind] = _Pieces(data, fill)
            notes.append((kind, address + block * line))
        if len(notes) >= MOST:
            break
    total = per_pass * (tiling.n_pass if same else passes) + kept
    if same and len(notes) == per_pass:
        notes = notes * max(1, min(tiling.n_pass, -(-MOST // per_pass)))
    return notes, pieces, max(1.0, total / len(notes))


def _rows(
    work: Workload, tiling: Tiling, overlay: Overlay, column: int
) -> tuple[list[Note], dict[int, _Pieces], float]:
    """Single rows of an item with a front: those of the neighbours' above, the column's own, those below."""
    geo, (band, n_b) = work.geometry, tiling.bands[column]
    assert geo.front is not None
    row = geo.front.in_blocks * geo.w_in * geo.in_px
    line = front_message_line(geo, overlay.a_slot) * geo.front.in_blocks * geo.in_px
    fill = _fillers(tiling.a_slots * overlay.a_slot - line, FILLER_BYTES)
    own, notes = work.rows[column] * geo.rows_apart(1), []
    first, _ = geo.window_rows(0, band)
    for y in range(first, first + front_messages(geo, band, n_b)):
        notes.append(((y >= 0) + (y >= own), y * row))
    return notes, dict.fromkeys((0, 1, 2), _Pieces(1, fill)), 1.0


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
    data = 0 if tiling.kept else geo.max_rows_in(band) * tiling.ckb * geo.line_px(tiling.width) * geo.in_px
    if geo.kernel != KernelId.CONV:
        return data * geo.n_inputs
    return data + len(tiling.block_rows) * tiling.nob * geo.residual_bytes(band, tiling.width)


def _outputs(
    geo: Geometry, tiling: Tiling, overlay: Overlay, height: int, column: int, own: int
) -> tuple[list[Note], dict[int, _Pieces], float]:
    band, n_b = tiling.bands[column]
    size = tiling.o_slots * overlay.o_slot
    conv = geo.kernel == KernelId.CONV
    n_pass = -(-own // tiling.nob) if conv else tiling.n_pass
    line = geo.w_out * geo.out_px
    notes: list[Note] = []
    pieces: dict[int, _Pieces] = {}
    for p, x, b in steps(tiling, n_pass, n_b):
        blocks = min(tiling.nob, own - p * tiling.nob) if conv else own
        y, x0 = min(b * band, height - band), min(x * tiling.width, geo.w_out - tiling.width)
        chunk = p * tiling.nob if conv else min(p * tiling.ckb, geo.out_blocks - tiling.ckb)
        pieces[blocks] = _Pieces(1, _fillers(size - blocks * band * tiling.width * geo.out_px, JUNK_BYTES))
        notes.append((blocks, (y * geo.out_blocks + chunk) * line + x0 * geo.out_px))
        if len(notes) >= MOST:
            break
    return notes, pieces, max(1.0, n_pass * tiling.n_x * n_b / len(notes))


def _fillers(rest: int, piece: int) -> int:
    return max(0, -(-rest // piece))


def _compressed(notes: Sequence[Note], pieces: dict[int, _Pieces]) -> tuple[Task, ...]:
    """The tasks after runs were found and single messages chained. A prologue has no share of the messages."""
    out: list[Task] = []
    i, total = 0, len(notes)
    before = 1 if notes[0][0] == PROLOGUE else 0
    n = max(1, total - before)
    while i < total:
        run = _run(notes, i)
        piece = pieces[notes[i][0]]
        bds = piece.data + piece.fill
        first, last, done_by = max(0, i - before) / n, (i + run - before) / n, (i + run - 1 - before) / n
        writes = piece.data if run > 1 or notes[i][0] == PROLOGUE else 0
        if run == 1 and out and out[-1].runs == 1 and out[-1].bds + bds <= MAX_CHAIN:
            out[-1] = Task(out[-1].first, last, out[-1].bds + bds, out[-1].writes + writes, 1, done_by)
        else:
            out.append(Task(first, last, bds, writes, run, done_by))
        i += run
    return tuple(out)


def _end_alone(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """The last message as a task of its own, because it alone releases the lock."""
    end = tasks[-1]
    if end.runs == 1:
        return tasks
    cut = end.last - (end.last - end.first) / end.runs
    one = (end.last - end.first) / end.runs
    most = replace(end, last=cut, runs=end.runs - 1, done_by=cut - one)
    return (*tasks[:-1], most, replace(end, first=cut, writes=0, runs=1, done_by=cut))


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
