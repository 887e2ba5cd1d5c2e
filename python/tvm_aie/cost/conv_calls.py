"""Cycles of calls of the convolution kernel as the emulator counts them (``tvm_aie/kernels/gamma.inc``). `Estimated`.

The accumulators of a call, four pixels of a row each, are walked in chunks of eight, row after row. A chunk makes a
trip per weight tile and tap row that any of its rows has inside the image. So bands at the border of the image differ
from those inside it, and not in proportion to their taps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.messages import Messages
from tvm_aie.schedule.cover import listed_groups
from tvm_aie.schedule.geometry import Geometry
from tvm_aie.schedule.terms import KernelTerms

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ACCUMULATORS = 8  # of a chunk
_BY_ROW = ("taps", "lows", "visits")


@dataclass(frozen=True)
class BandCost:
    """What one band makes a convolution's call cost, in cycles where not said otherwise.

    ``rows``: that the window computes; ``chunks``, ``full``: number of chunks, and of those with eight accumulators;
    ``column``: per weight tile column of a whole block; ``pool``: vectors and taps of a pool, per block; ``every``: no
    tap is outside the image. By tap row:
    ``taps``, ``lows``: per listed int8 tap and pair of int4 taps; ``visits``: chunks that walk the row's lists.
    """

    rows: int
    chunks: int
    full: int
    column: float
    pool: float
    every: bool
    taps: tuple[float, ...]
    lows: tuple[float, ...]
    visits: tuple[int, ...]


@lru_cache(maxsize=1 << 14)
def band_cost(terms: KernelTerms, geo: Geometry, width: int, y: int, band: int, taken: int = 0) -> BandCost:
    """The costs of ``band`` output rows from row ``y`` of the image on, ``width`` pixels of each.

    ``taken``: rows of the pool's input that are there already.
    """
    lo, hi = geo.pool_after.rows_in(y, band) if geo.pool_after else (y, y + band)
    lo += taken
    rows, per_row = hi - lo, -(-geo.conv_px(width) // 4)
    inside = np.ones((rows, geo.kh), np.bool_)
    if not geo.pool_before:
        inside = _inside(np.arange(lo, hi), geo.sy, geo.pad_top, geo.kh, geo.dy, geo.h_in)
    of_group = np.repeat(np.arange(rows), per_row)  # row of each group of four pixels
    chunks = [of_group[i : i + ACCUMULATORS] for i in range(0, len(of_group), ACCUMULATORS)]
    full, rest = divmod(len(of_group), ACCUMULATORS)
    taps = inside.sum(axis=1)

    def trip(n: int, per_acc: float) -> float:
        return max(terms.ii_min, n * per_acc)

    column = sum(int(taps[chunk].max()) * trip(len(chunk), terms.ii_per_acc) for chunk in chunks)
    walked = np.array([inside[chunk].any(axis=0) for chunk in chunks], np.bool_).reshape(-1, geo.kh)  # (chunks, kh)
    groups = np.array([ACCUMULATORS] * full + [listed_groups(rest)] * (rest > 0))
    lists = [walked.T @ [trip(int(n), per_acc) for n in groups] for per_acc in (terms.ii_per_acc, terms.int4_per_acc)]
    pool = 0.0
    if geo.pool is not None:
        window = _inside(np.arange(y, y + band), geo.pool.sy, geo.pool.pad_top, geo.pool.kh, 1, geo.pool.h)
        pool = -(-width // 4) * geo.pool.kw * float(window.sum()) * geo.pooled_elem
    visits = tuple(walked.sum(axis=0))
    return BandCost(rows, len(chunks), full, column, pool, bool(inside.all()), tuple(lists[0]), tuple(lists[1]), visits)


def _inside(rows: Ints, step: int, pad: int, taps: int, dilation: int, height: int) -> npt.NDArray[np.bool_]:
    """(rows, taps): which taps of a window read a row of an image of ``height`` rows."""
    at = rows[:, None] * step - pad + np.arange(taps)[None, :] * dilation
    return np.asarray((at >= 0) & (at < height))


def conv_calls(
    terms: KernelTerms, geo: Geometry, width: int, ys: Ints, band: int, held: Messages, taken: Ints | None = None
) -> Floats:
    """Cycles of calls (calls, rows): ``ys``: first output row of each, ``held``: the weight messages that they hold.

    ``taken``: rows that a call takes over from the one before; none: 0.
    """
    if taken is None:
        found, which = np.unique(ys, return_inverse=True)
        costs = [band_cost(terms, geo, width, y, band, 0) for y in found.tolist()]
    else:
        pairs, which = np.unique(np.stack([ys, taken]), axis=1, return_inverse=True)
        costs = [band_cost(terms, geo, width, y, band, n) for y, n in pairs.T.tolist()]

    def of(name: str) -> Floats:
        return np.array([getattr(cost, name) for cost in costs], np.float64)[which][:, None]

    chunks, full = of("chunks"), of("full")
    looked_up = (held.pairs - held.full) * chunks + held.full * (chunks - full)
    cycles = held.blocks * (chunks * terms.a) + looked_up * terms.gamma + held.pairs * geo.kw * of("column")
    if held.lists.any():
        taps, lows, visits = (np.array([getattr(cost, n) for cost in costs])[which][:, None] for n in _BY_ROW)
        entries = held.taps * taps + held.lows * lows + (held.taps + held.lows) * visits * terms.entry
        # a list begins once where every tap is inside, else once per tap row that has entries
        begun = np.where(of("every") > 0, held.lists * chunks, (held.segments * visits).sum(axis=2))
        cycles = cycles + entries.sum(axis=2)
        cycles = cycles + begun * terms.segment
    operands = 2 if geo.residual else held.stages - 1  # of the epilogue, with the last input blocks
    if operands:
        line = terms.add_a + operands * -(-geo.conv_px(width) // 4) * terms.add_ii
        cycles = cycles + held.last * held.blocks * of("rows") * line
    if taken is not None and taken.any():
        moved = terms.copy_a + -(-taken * geo.conv_px(width) * 8 // 32) * terms.copy[1]
        cycles = cycles + held.blocks * np.where(taken > 0, moved, 0.0)[:, None]
    return np.asarray(cycles, np.float64)


def taken_rows(geo: Geometry, ys: Ints, before: Ints, band: int) -> Ints:
    """Rows between the window and a max pool behind that calls for bands from ``ys`` take over from the calls before,
    for bands from ``before``; 0 where that is negative: there is none."""
    assert geo.pool_after is not None
    rows = [geo.pool_after.rows_in(max(y, 0), band) for y in (*ys.tolist(), *before.tolist())]
    lo, hi = np.array(rows[: len(ys)]).reshape(-1, 2).T
    begin, end = np.array(rows[len(ys) :]).reshape(-1, 2).T
    there = (before >= 0) & (begin <= lo) & (lo < end) & (end <= hi)
    return np.asarray(np.where(there, end - lo, 0), np.int64)


def pool_stage(terms: KernelTerms, geo: Geometry, width: int, ys: Ints, band: int) -> Floats:
    """Cycles per block of the pool inside each call (calls, 1)."""
    assert geo.pool is not None
    per_line, per_vector = terms.stage(geo.pool.average, geo.pool.scale)
    vectors = np.array([band_cost(terms, geo, width, int(y), band).pool for y in ys])
    return np.asarray(band * per_line + vectors * per_vector)[:, None]
