"""Features of one tiling for the learned model: the analytical terms and their ratios, not the raw knobs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tvm_aie.device import Device
from tvm_aie.pipeline import Workload
from tvm_aie.schedule.geometry import KernelId, Overlay
from tvm_aie.schedule.terms import KernelTerms, terms_from_keys
from tvm_aie.schedule.tiling import Tiling

Vector = npt.NDArray[np.float64]
WORD = 4
BLOCK_MACS = 64

NAMES = (
    "log_estimate", "log_bound", "log_a", "log_w", "log_o", "log_compute", "log_control",
    "a_share", "w_share", "o_share", "compute_share", "control_share",
    "log_messages", "n_pass", "n_x", "n_bands", "n_ck", "a_double", "o_double", "resident",
    "log_calls_cycles", "row_waste", "block_waste", "log_step_cycles", "kernel", "taps", "density",
    "log_serial", "serial_share", "ragged_x", "ragged_band", "ragged_block", "ragged_in", "padded", "residual",
    "log_a_tasks", "log_o_tasks", "w_double",
)  # fmt: skip


@lru_cache(maxsize=16)
def _terms(device: Device) -> KernelTerms:
    return terms_from_keys(device.keys())


def physical_bound(work: Workload, device: Device) -> float:
    """Cycles below which no schedule of ``work`` can be: true MACs at peak, outputs and live weights at stream rate."""
    geo, terms = work.geometry, _terms(device)
    rows = sum(work.rows)
    pixels = rows * geo.w_out
    columns = sum(1 for r in work.rows if r)
    macs = 0.0
    weights = 0.0
    if geo.kernel == KernelId.CONV and work.live is not None:
        live = float(work.live.sum())
        padding = 1.0 if not (geo.pad_top or geo.pad_left) else _inside(work)
        macs = live * BLOCK_MACS * geo.taps * pixels * padding
        weights = live * BLOCK_MACS * geo.taps / (WORD * work.n_rows * terms.w_rate)
    compute = macs / (columns * work.n_rows * terms.macs_per_cycle)
    most = max(work.rows)
    out = most * geo.w_out * geo.out_blocks * 8 / (WORD * work.n_rows * terms.o_rate)
    return max(compute, weights, out, 1.0)


def _inside(work: Workload) -> float:
    """At least this share of the window's taps lies inside the image (vertically; the kernel skips the others)."""
    geo = work.geometry
    rows = sum(work.rows)
    outside = geo.kh * max(geo.kh * geo.dy - 1, 0)
    return max(0.0, 1.0 - outside / max(1, rows * geo.kh))


def feature_vector(work: Workload, tiling: Tiling, device: Device, overlay: Overlay | None = None) -> Vector:
    """The features, in the order of ``NAMES``; all finite."""
    ov, terms, geo = overlay or Overlay(), _terms(device), work.geometry
    bands = max(count for _, count in tiling.bands)
    band = max(rows for rows, _ in tiling.bands)
    steps = tiling.n_x * bands
    messages = tiling.n_pass * steps * tiling.n_ck
    a_words = (1 if tiling.a_resident else messages) * tiling.a_slots * ov.a_slot / WORD
    o_words = tiling.n_pass * steps * tiling.o_slots * ov.o_slot / WORD
    t_a, t_o = a_words / terms.a_rate, o_words / terms.o_rate
    t_w, live = _weights(work, tiling, steps, terms)
    t_c = _compute(work, tiling, terms, live, steps * band, messages)
    a_tasks, o_tasks = _tasks(work, tiling, bands)
    columns = sum(1 for r in work.rows if r)
    control = columns * (a_tasks + work.n_rows * o_tasks) * (terms.push + 1.5 * terms.bd_write)
    serial = (t_a + t_c) if 2 * tiling.a_slots > ov.a_slots else max(t_a, t_c)
    parts = np.array([t_a, t_w, t_o, t_c, control])
    most = max(work.rows)
    own = max(e - s for s, e in tiling.block_rows)
    estimate = max(tiling.cycles, 1.0)
    bound = physical_bound(work, device)
    values = (
        np.log(estimate), np.log(bound), *np.log(parts + 1.0), *(parts / parts.max() if parts.max() else parts),
        np.log(messages), tiling.n_pass, tiling.n_x, bands, tiling.n_ck,
        2 * tiling.a_slots <= ov.a_slots, 2 * tiling.o_slots <= ov.o_slots, tiling.a_resident,
        np.log(messages * (terms.call + 6 * terms.opcode) + 1.0), bands * band / max(1, most),
        tiling.n_pass * tiling.nob / max(1, own), np.log(parts.max() / messages + 1.0),
        int(geo.kernel), geo.taps, 1.0 if work.live is None else float(work.live.mean()),
        np.log(serial + 1.0), serial / max(parts.max(), 1.0), geo.w_out % tiling.width != 0,
        any(r % max(1, -(-r // bands)) for r in work.rows if r), own % tiling.nob != 0,
        geo.in_blocks % tiling.ckb != 0, geo.kw > 1 and tiling.n_x > 1, geo.residual,
        np.log(a_tasks), np.log(o_tasks), 2 * t_w / max(1, tiling.n_pass * tiling.n_ck) <= ov.w_slot * ov.w_slots / 4,
    )  # fmt: skip
    return np.asarray(values, np.float64)


def _tasks(work: Workload, t: Tiling, bands: int) -> tuple[float, float]:
    """Input and output tasks of a column: runs of messages of one shape along one loop (see ``emit.transfers``)."""
    geo = work.geometry
    own = max(e - s for s, e in t.block_rows)
    ragged_band = any(r % max(1, -(-r // bands)) for r in work.rows if r)
    y_runs = 1 if bands == 1 else min(bands, (3 if geo.kh > 1 else 1) + ragged_band)
    ragged_x = t.n_x > 1 and geo.w_out % t.width != 0
    x_runs = 1 if t.n_x == 1 else min(t.n_x, (3 if geo.kw > 1 else 1) + ragged_x)
    steps = t.n_x * bands
    if t.n_ck > 1 and not t.a_resident:
        ragged = geo.in_blocks % t.ckb != 0
        a_tasks = (1 if steps == 1 else t.n_pass * steps) * (1 + ragged * (t.n_pass if steps == 1 else 1))
        a_tasks += t.n_pass * t.n_ck * steps // 256
    elif bands > 1:
        a_tasks = t.n_pass * t.n_x * y_runs
    else:
        a_tasks = t.n_pass * x_runs if t.n_x > 1 else 1
    if bands > 1:
        o_tasks = t.n_pass * t.n_x * (1 + ragged_band)
    else:
        o_tasks = t.n_pass * (1 + ragged_x) if t.n_x > 1 else 1 + (own % t.nob != 0)
    return float(a_tasks), float(o_tasks)


def _weights(work: Workload, tiling: Tiling, steps: int, terms: KernelTerms) -> tuple[float, float]:
    """(cycles of the busiest weight stream, live blocks of the busiest core row)."""
    if work.live is None:
        return 0.0, 0.0
    per_block = work.live.sum(axis=1)
    live = max(float(per_block[s:e].sum()) for s, e in tiling.block_rows)
    again = steps if tiling.n_ck > 1 else 1
    return live * again * work.geometry.taps * BLOCK_MACS / WORD / terms.w_rate, live


def _compute(work: Workload, t: Tiling, terms: KernelTerms, live: float, rows: int, messages: int) -> float:
    groups = rows * -(-t.width // 4)
    if work.geometry.kernel != KernelId.CONV:
        own = max(e - s for s, e in t.block_rows) * t.n_pass
        return 0.0 if terms.ideal else groups * own * work.geometry.taps * 2.0
    if terms.ideal:
        return rows * t.width * live * work.geometry.taps * BLOCK_MACS / terms.macs_per_cycle
    trip = max(terms.ii_per_acc, terms.ii_min / min(8, max(1, groups)))
    return live * work.geometry.taps * groups * trip + messages * (terms.call + 6 * terms.opcode)
