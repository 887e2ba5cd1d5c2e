"""Features of one tiling for the learned model: the analytical terms and their ratios, not the raw knobs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.analytic import BLOCK_MACS, ItemTerms, device_terms, item_terms
from tvm_aie.cost.replay import Replay, replay
from tvm_aie.device import Device
from tvm_aie.schedule.geometry import WORD, KernelId
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload

Vector = npt.NDArray[np.float64]

NAMES = (
    "log_estimate", "log_bound",
    "closed", "replayed", "log_pushes", "log_writes", "idle_pushes", "waited_share", "least_commands", "most_commands",
    "a_share", "w_share", "ddr_share", "o_share", "compute_share", "control_share", "idle_share", "serial_share",
    "second_share", "log_serial", "log_push", "log_control", "log_body",
    "log_a_messages", "log_o_messages", "log_w_messages", "a_depth", "o_depth", "w_depth",
    "log_a_each", "log_w_each", "log_compute_each", "log_o_each",
    "a_tasks", "o_tasks", "a_bds", "o_bds", "a_tasks_per_message", "o_tasks_per_message",
    "columns", "rows_busy", "n_pass", "n_x", "n_bands", "n_ck", "order", "resident",
    "kernel", "taps", "residual", "in_place", "density", "ragged_x", "ragged_band", "ragged_block", "ragged_in",
    "row_waste", "block_waste", "short_rows",
)  # fmt: skip


def physical_bound(work: Workload, device: Device) -> float:
    """Cycles below which no schedule of ``work`` can be: true MACs at peak, outputs and live weights at stream rate."""
    geo, terms = work.geometry, device_terms(device)
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


def feature_vector(work: Workload, tiling: Tiling, device: Device) -> Vector:
    """The features, in the order of ``NAMES``; all finite.

    ``log_estimate``: of the replay of the commands; where commands are free or too many, of the closed form.
    """
    terms = item_terms(work, tiling, device)
    found = replay(work, tiling, device) if device.push_idle_cycles else None
    closed = max(terms.estimate, 1.0)
    estimate = max(found.cycles, 1.0) if found else closed
    values = (
        np.log(estimate), np.log(physical_bound(work, device)), *_commands(found, closed, estimate, device),
        *_shares(terms, estimate), *_messages(terms), *_tasks(terms), *_shape(work, tiling),
    )  # fmt: skip
    return np.asarray(values, np.float64)


def _commands(r: Replay | None, closed: float, estimate: float, device: Device) -> tuple[float, ...]:
    """What the replay says of the command processor, and the closed form beside it."""
    if r is None:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    written = r.writes * device.bd_write_cycles
    least, most = (written + r.pushes * cost for cost in (device.push_queued_cycles, device.push_idle_cycles))
    return (
        np.log(closed / estimate), 1.0, np.log1p(r.pushes), np.log1p(r.writes), r.idle / max(r.pushes, 1.0),
        r.waited / estimate, np.log((least + 1.0) / estimate), np.log((most + 1.0) / estimate),
    )  # fmt: skip


def _shares(t: ItemTerms, estimate: float) -> tuple[float, ...]:
    """Each resource's cycles relative to the estimate, and how close the second is to the first."""
    parts = np.array([t.a, t.w, t.ddr, t.o, t.compute, t.control])
    body = max(t.a, t.w, t.ddr, t.o, t.compute)
    pushes = max(t.tasks.a_tasks + t.tasks.o_tasks, 1.0)
    return (
        *(parts / estimate), t.idle / estimate, t.serial / estimate, float(np.sort(parts)[-2] / parts.max()),
        np.log(t.serial + 1.0), np.log(body / pushes + 1.0), np.log(t.control + 1.0), np.log(body + 1.0),
    )  # fmt: skip


def _messages(t: ItemTerms) -> tuple[float, ...]:
    return (
        np.log(t.a_messages), np.log(t.o_messages), np.log(t.w_messages),
        min(t.a_depth, 8), min(t.o_depth, 8), min(t.w_depth, 8.0),
        np.log(t.a / t.a_messages + 1.0), np.log(t.w / t.w_messages + 1.0), np.log(t.compute / t.o_messages + 1.0),
        np.log(t.o / t.o_messages + 1.0),
    )  # fmt: skip


def _tasks(t: ItemTerms) -> tuple[float, ...]:
    k = t.tasks
    return (
        min(k.a_tasks, 64.0), min(k.o_tasks, 256.0), min(k.a_bds, 256.0), min(k.o_bds, 512.0),
        k.a_tasks / t.a_messages, k.o_tasks / max(1, k.o_rows) / t.o_messages,
    )  # fmt: skip


def _shape(work: Workload, t: Tiling) -> tuple[float, ...]:
    """The item and how evenly the tiling divides it."""
    geo = work.geometry
    bands, band = max(count for _, count in t.bands), max(rows for rows, _ in t.bands)
    own = max(last - first for first, last in t.block_rows)
    most = max(work.rows)
    return (
        sum(1 for r in work.rows if r), sum(1 for first, last in t.block_rows if last > first),
        t.n_pass, t.n_x, bands, t.n_ck, t.order, int(t.a_resident) + 2 * (t.kept > 0),
        int(geo.kernel), geo.taps, geo.residual, work.in_place, 1.0 if work.live is None else float(work.live.mean()),
        geo.w_out % t.width != 0, any(r % max(1, -(-r // max(1, bands))) for r in work.rows if r), own % t.nob != 0,
        geo.in_blocks % t.ckb != 0, bands * band / max(1, most), t.n_pass * t.nob / max(1, own),
        sum(work.rows) / (most * len(work.rows)),
    )  # fmt: skip


def stream_bound(work: Workload, tiling: Tiling, device: Device) -> float:
    """Cycles below which this tiling cannot be: the words of its busiest activation, weight or output stream."""
    return item_terms(work, tiling, device, walk=False).stream
