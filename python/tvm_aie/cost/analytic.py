"""Analytical time of one tiling of one item: every stream, the busiest core, the command processor. All `estimated`.

More precise than the closed form of the sub-volume search, and slower (some 0.1 ms): the learned model and the tuner
start from it, the compiler's default does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from tvm_aie.cost.control import steady_cycles
from tvm_aie.cost.tasks import Tasks, count_tasks
from tvm_aie.device import Device
from tvm_aie.schedule.bodies import band_cycles, joined_pixels
from tvm_aie.schedule.cover import Cover, walk_cover
from tvm_aie.schedule.fronts import front_compute, front_messages
from tvm_aie.schedule.geometry import WORD, KernelId, Overlay, ceil_div
from tvm_aie.schedule.load import Load
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.terms import KernelTerms, copy_cycles, terms_from_keys
from tvm_aie.schedule.tiling import Tiling, kept_slots
from tvm_aie.searches import Workload

BLOCK_MACS = 64
OPCODES_PER_CALL = 7  # acquire, release and call; loops on top
AHEAD_BELOW = 30000.0  # ``emit.emitter.AHEAD_BELOW``: shorter items push their outputs ahead


@dataclass(frozen=True)
class ItemTerms:
    """Cycles of each resource over the whole item; ``estimate``: how they combine."""

    a: float  # busiest activation stream
    w: float  # busiest weight stream between memtile and cores
    ddr: float  # weights of all core rows through DDR
    o: float  # busiest output stream
    compute: float  # busiest core, opcodes included
    control: float  # command processor, every push onto a busy channel
    idle: float  # what the pushes cost on top when every channel is idle
    a_messages: int
    o_messages: int
    w_messages: int
    a_depth: int  # messages that the rings hold
    o_depth: int
    w_depth: float
    serial: float  # time of a message through input, compute and output
    body: float  # the slowest stream and a message on its way
    tasks: Tasks
    estimate: float

    @property
    def stream(self) -> float:
        """No order of events is faster: words on the busiest stream (of a machine whose messages are all alike)."""
        return max(self.a, self.w, self.o)


@lru_cache(maxsize=16)
def device_terms(device: Device) -> KernelTerms:
    """The device's numbers for the closed forms."""
    return terms_from_keys(device.keys())


def quick_estimate(work: Workload, tiling: Tiling, device: Device) -> float:
    """The slowest stream, and the commands as the tiling search counts them if it can (else every push is cheap)."""
    terms = item_terms(work, tiling, device, walk=False)
    if work.counter is None:
        return terms.estimate
    return max(terms.body, work.counter.cycles(tiling))


def item_terms(work: Workload, tiling: Tiling, device: Device, walk: bool = True) -> ItemTerms:
    """All terms of ``tiling`` for ``work``; without ``walk`` the command processor is a sum, not a sequence."""
    ov, terms, geo = work.overlay, device_terms(device), work.geometry
    n_b = max(count for _, count in tiling.bands)
    pieces = tiling.n_x * n_b
    calls = tiling.n_pass * pieces * tiling.n_ck
    inside = tiling.order == PASSES_INSIDE and geo.kernel == KernelId.CONV
    band = max(rows for rows, _ in tiling.bands)
    a_messages = 1 if tiling.a_resident else pieces if inside else calls
    a_messages = front_messages(geo, band, n_b) if tiling.front else a_messages
    o_messages = tiling.n_pass * pieces
    a_each, o_each = tiling.a_slots * ov.a_slot / WORD, tiling.o_slots * ov.o_slot / WORD
    kept = kept_slots(tiling, geo, max(work.rows))
    a_kept = kept * ov.a_slot / WORD / terms.a_rate
    a, o = (a_messages + 1) * a_each / terms.a_rate + a_kept, o_messages * o_each / terms.o_rate
    w_row, w_all, w_most, w_messages = _weights(work, tiling, pieces, ov, terms)
    w = w_row / WORD / terms.w_rate
    rate = device.ddr_bytes_per_cycle(device.cols)
    ddr = w_all / rate if rate else 0.0
    compute = _compute(work, tiling, terms, device, pieces, calls) + kept * copy_cycles(terms, ov.a_slot)
    compute += front_compute(geo, band, n_b, tiling.line, terms) if tiling.front else 0.0
    tasks = count_tasks(work, tiling, ov)
    columns = sum(1 for r in work.rows if r)
    pushes = columns * (tasks.a_tasks + tasks.o_tasks)
    bds = columns * (tasks.a_bds + tasks.o_bds)
    control = pushes * terms.push + bds * terms.bd_write
    idle = pushes * (device.push_idle_cycles - device.push_queued_cycles)
    a_depth, o_depth = max(1, ov.a_slots // tiling.a_slots), max(1, ov.o_slots // tiling.o_slots)
    w_depth = ov.w_slots * ov.w_slot / max(w_most, 1.0)
    serial = a_each / terms.a_rate + compute / calls + o_each / terms.o_rate
    steady = max(a, o, w, ddr, compute)
    if a_depth < 2:
        steady = max(steady, a + compute)
    if o_depth < 2:
        steady = max(steady, o + compute)
    if w_depth < 2 and w_messages > 1:
        steady = max(steady, w + compute)
    body = steady + serial
    estimate = max(body, control)
    if walk:  # the activation stream runs ahead of the core by what the ring holds
        a_list = [replace(t, lead=a_depth / a_messages) for t in tasks.a_list]
        estimate = steady_cycles(a_list, tasks.o_lists, columns, body, tiling.body < AHEAD_BELOW, device)
        estimate = max(estimate, control if len(tasks.a_list) < tasks.a_tasks else 0.0)
    return ItemTerms(
        a, w, ddr, o, compute, control, idle, a_messages, o_messages, w_messages, a_depth, o_depth, w_depth, serial,
        body, tasks, estimate,
    )  # fmt: skip


def _weights(
    work: Workload, t: Tiling, pieces: int, ov: Overlay, terms: KernelTerms
) -> tuple[float, float, float, int]:
    """(bytes of the busiest core row, of all rows, of the largest message; messages of a row)."""
    if work.live is None:
        return float(ov.w_slot), float(ov.w_slot * work.n_rows), float(ov.w_slot), 1
    again = pieces if t.weights_per_band else 1
    load = _load(work, t, terms)
    size = load.bytes(t.block_rows, t.nob, work.geometry.in_blocks if t.diagonal else t.ckb, t.n_ck, ov.w_slot)
    live = work.live.sum(axis=1)
    rows = [float(live[first:last].sum()) for first, last in t.block_rows]
    share = sum(rows) / max(max(rows), 1.0)
    row = float(size.total) * again
    return row, row * share, float(size.message), t.n_pass * t.n_ck * again


_LOADS: dict[int, tuple[Cover, Load]] = {}  # by the cover's id; the cover is kept, so that the id stays its own
_MOST_LOADS = 256


def _load(work: Workload, t: Tiling, terms: KernelTerms) -> Load:
    """The cover of a tiling as the sub-volume search counts it; a tiling without one walks its live blocks."""
    assert work.live is not None
    known = _LOADS.get(id(t.cover)) if t.cover is not None else None
    if known is not None and known[1].geo == work.geometry and known[1].terms == terms:
        return known[1]
    cover = t.cover if t.cover is not None else walk_cover(work.live, work.geometry.kh, work.geometry.kw)
    load = Load(cover, work.geometry, terms)
    if t.cover is not None:
        if len(_LOADS) >= _MOST_LOADS:
            _LOADS.clear()
        _LOADS[id(cover)] = cover, load
    return load


def _compute(work: Workload, t: Tiling, terms: KernelTerms, device: Device, pieces: int, calls: int) -> float:
    """Cycles of the busiest core (``cost.kernels.conv_cycles`` summed over the calls), opcodes included."""
    geo = work.geometry
    band, width = max(b for b, _ in t.bands), t.width
    if t.joined:
        geo, (band, width) = joined_pixels(geo, band, width)
    own = max(last - first for first, last in t.block_rows)
    loops = sum(1 for n in (t.n_pass, t.n_x, max(c for _, c in t.bands), t.n_ck) if n > 1)
    opcodes = calls * (OPCODES_PER_CALL + loops) * terms.opcode
    if work.live is None:
        vectors = band * own * ceil_div(t.width, 4)
        each = 2.0 * geo.n_inputs if geo.kernel == KernelId.ADD else 2.0 * geo.taps * geo.in_elem
        lines = band * own * 8.0 * (geo.kh if geo.kernel != KernelId.ADD else 1)
        return opcodes + (0.0 if terms.ideal else calls * (terms.call + vectors * each + lines))
    rows, px = geo.conv_rows(band), geo.conv_px(width)
    row = _load(work, t, terms).row(t.block_rows)
    if terms.ideal:
        return opcodes + pieces * rows * px * row.macs(geo.taps, terms) / terms.macs_per_cycle
    n_b = max(c for _, c in t.bands)
    total = pieces * band_cycles(geo, row, terms, own, (band, width), t.n_ck, n_b, t.a_resident)
    if geo.residual:
        total += pieces * own * rows * (terms.add_a + 2 * ceil_div(px, 4) * terms.add_ii)
    if geo.pool is not None:
        lines = pieces * band * (t.n_pass * geo.in_blocks if geo.pool.before else own)
        per_line, per_vector = terms.stage(geo.pool.average, geo.pool.scale)
        taps = geo.pool.kh * geo.pool.kw * geo.pooled_elem
        total += lines * (per_line + ceil_div(width, 4) * taps * per_vector)
    return opcodes + calls * terms.call + total
