"""The sub-volume search of a convolution for many divisions of core memory at once (estimated; idealised machines).

``schedule.tiling.tilings`` walks the candidates of one division one by one. A ``Grid`` holds the same candidates, and
more bands of rows, as columns of numbers that no division changes: bytes of messages, compute cycles. They are sorted
by a lower bound of their time. A search, in the library (tvm_aie/cost/grid.h), takes the formula of
``schedule.estimate`` over the candidates whose bound is below the best found so far, each with the divisions that it
fits. Few are, so hundreds of divisions can be compared (``schedule.division``).
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tvm_aie import _native
from tvm_aie.schedule.cover import KEEP, VARIANTS, Blocks, Mask
from tvm_aie.schedule.cuts import band_counts, conv_loads, kept_bytes, sends_blocks
from tvm_aie.schedule.geometry import WORD, Geometry, Overlay, ceil_div
from tvm_aie.schedule.load import BlockRows, Load
from tvm_aie.schedule.rings import Divisions, Fitted, core_room, numbers, overlay_of, tensor
from tvm_aie.schedule.terms import KernelTerms
from tvm_aie.schedule.tiling import Tiling, build_tiling

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
MANY_MESSAGES = 4  # in a ring, or more; see ``shortlist``
MOST_ALIKE = 3  # tilings of a short list that differ in their rings alone


class Best(NamedTuple):
    """The best pair of a grid: cycles, number of the division and of the candidate, and the division (``RINGS``)."""

    cycles: float
    division: int
    row: int
    rings: tuple[int, ...]


NONE = Best(inf, -1, -1, ())


@dataclass(frozen=True)
class Candidates:
    """One column per quantity, one row per candidate. Bytes are per message, ``w_total`` of a row's whole stream."""

    ckb: Ints
    n_ck: Ints
    nob: Ints
    n_pass: Ints
    width: Ints
    n_x: Ints
    band: Ints
    n_b: Ints
    resident: Ints  # 0 or 1
    kept: Ints  # bytes of the input where it lies in ACC, else 0
    single: Ints  # 0 or 1: the last input chunk is sent output block by output block
    compute: Floats  # cycles of the slowest core, all calls
    a_bytes: Ints
    o_bytes: Ints  # of an output message
    o_block: Ints  # of one block
    acc_bytes: Ints
    w_message: Ints
    w_total: Ints
    header: Ints

    def take(self, rows: Ints) -> Candidates:
        """Some of the candidates."""
        return Candidates(**{name: column[rows] for name, column in vars(self).items()})

    @property
    def outputs(self) -> Ints:
        """Messages that a core sends."""
        return self.n_pass * self.n_x * self.n_b

    @property
    def weights(self) -> Ints:
        """Bytes of a row's weight stream: again for every piece where the input channels are cut."""
        return self.w_total * np.where(self.n_ck > 1, self.n_x * self.n_b, 1)


class Grid:
    """All candidates of one cover and one distribution of output channel blocks over the core rows."""

    def __init__(
        self,
        geo: Geometry,
        load: Load,
        block_rows: BlockRows,
        rows: tuple[int, ...],
        terms: KernelTerms,
        in_place: bool,
        w_slot: int,
        keeps: bool = False,
    ) -> None:
        """``rows``: output rows of each column; ``w_slot``: of every division to come; ``keeps``: the input may lie in
        ACC. Arguments as ``search``."""
        self.geo, self.load, self.block_rows, self.rows, self.terms = geo, load, block_rows, rows, terms
        self.in_place, self.w_slot = in_place, w_slot
        self.keeps = keeps and terms.keeps and geo.residual and not geo.pool
        found = _candidates(self)
        bound = self._bound(found)
        order = np.argsort(bound, kind="stable")
        reals = np.stack([found.compute[order], bound[order]])
        ints = {name: column for name, column in vars(found).items() if name != "compute"}
        columns = np.stack([column[order] for column in ints.values()])
        self.candidates = Candidates(**dict(zip(ints, columns, strict=True)), compute=reals[0])
        self.bound = reals[1]
        rates = np.array([terms.a_rate, terms.w_rate, terms.o_rate, terms.o_link])
        shares = np.array([last - first for first, last in block_rows])
        make = _native.function("tvm_aie.schedule.grid")
        arrays = tensor(columns), tensor(reals, np.float64), tensor(shares), tensor(rates, np.float64)
        self.native = make(*arrays, core_room())

    def best(self, divisions: Divisions, limit: float = inf, flowing: bool = False) -> Best:
        """The best pair of a candidate with a division that it fits; of equal ones the first division's, then row's.

        ``NONE`` when none fits that takes at most ``limit``. ``flowing``: between items that overlap.
        """
        found, cycles = self._arrays(self.native.best, divisions, limit, flowing)
        if not len(cycles):
            return NONE
        division, row, *rings = found[0].tolist()
        return Best(float(cycles[0]), division, row, tuple(rings))

    def within(self, divisions: Divisions, limit: float, flowing: bool) -> tuple[Ints, Floats]:
        """All pairs that take at most ``limit`` cycles, by division, then row: numbers of the division and the row, and
        the division (``RINGS``); their cycles. ``flowing``: between items that overlap."""
        return self._arrays(self.native.within, divisions, limit, flowing)

    def _arrays(self, search: Any, divisions: Divisions, limit: float, flowing: bool) -> tuple[Ints, Floats]:
        found = search(numbers(divisions), isinstance(divisions, Fitted), limit, flowing)
        pairs, cycles = (np.from_dlpack(array) for array in found)
        return np.asarray(pairs, np.int64), np.asarray(cycles, np.float64)

    def tiling(self, at: int, ov: Overlay) -> Tiling:
        """The candidate in row ``at``."""
        c = {name: int(column[at]) for name, column in vars(self.candidates).items()}
        weights = self.load.bytes(self.block_rows, c["nob"], c["ckb"], c["n_ck"], ov.w_slot)
        bands = band_counts(self.rows, c["band"], self.in_place and not c["resident"])
        cut = c["nob"], c["ckb"], c["n_ck"], c["width"], c["n_x"]
        work = self.load.row(self.block_rows)
        return build_tiling(
            self.geo, self.block_rows, self.load, work, self.rows, bands, *cut, weights, ov, self.terms,
            bool(c["resident"]), c["kept"] > 0,
        )  # fmt: skip

    def _bound(self, c: Candidates) -> Floats:
        """Cycles that no division of core memory can beat."""
        t = self.terms
        sent = (np.where(c.resident > 0, 1, c.outputs * c.n_ck) * c.a_bytes + c.kept) / t.a_rate
        out = c.outputs * np.where(c.single > 0, c.nob, 1) * c.o_bytes / t.o_rate
        return np.maximum(c.compute, np.maximum(np.maximum(sent, out), c.weights / t.w_rate) / WORD)


def _divisions(total: int) -> list[int]:
    """The sizes of the largest part when ``total`` is cut evenly, largest first."""
    return sorted({ceil_div(total, n) for n in range(1, total + 1)}, reverse=True)


def _pieces(grid: Grid) -> Iterator[tuple[int, int, int, int]]:
    """(width, chunks of the width, rows per band, bands); of the widths, one of at most 4 pixels."""
    geo = grid.geo
    heights = {ceil_div(max(grid.rows), b) for b in range(1, max(grid.rows) + 1)}
    for n_x in sorted({ceil_div(geo.w_out, w) for w in range(1, geo.w_out + 1)}):
        width = ceil_div(geo.w_out, n_x)
        if n_x > 1 and not geo.cuts_lines(width):
            break
        if not (grid.in_place and geo.w_out % width) and geo.sends_lines(width, geo.residual):
            for band in sorted(heights, reverse=True):
                bands = band_counts(grid.rows, band, grid.in_place)
                yield width, n_x, max(b for b, _ in bands), max(n for _, n in bands)
        if width <= 4:
            break


def _cuts(grid: Grid) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(input blocks, chunks of them, output blocks, bytes of a weight message, of a row's weights, of the header)."""
    geo, first = grid.geo, grid.block_rows[0]
    most = first[1] - first[0]
    for ckb in _divisions(geo.in_blocks):
        n_ck = ceil_div(geo.in_blocks, ckb)
        if geo.residual and n_ck > 1:
            continue
        for nob in _divisions(most):
            if geo.residual and (most % nob or geo.out_blocks % nob):
                continue
            weights = grid.load.bytes(grid.block_rows, nob, ckb, n_ck, grid.w_slot)
            yield ckb, n_ck, nob, weights.message, weights.total, weights.header


def _candidates(grid: Grid) -> Candidates:
    """Every cut of the channels with every cut of the image, and with the whole input resident."""
    geo, terms = grid.geo, grid.terms
    cuts = np.array(list(_cuts(grid)), np.int64).reshape(-1, 6)
    pieces = list(dict.fromkeys(_pieces(grid)))
    n_cuts, n_pieces = len(cuts), len(pieces)
    whole = (geo.w_out, 1, max(grid.rows), 1)
    if not (geo.residual or geo.pool) and geo.sends_lines(geo.w_out, False):
        pieces.append(whole)
    # The whole input in ACC: a further time for all bands of whole lines.
    kept_from = len(pieces)
    if grid.keeps:
        pieces += [piece for piece in pieces if piece[1] == 1]
    sizes = [(geo.max_rows_in(b), geo.line_px(w), geo.conv_rows(b), geo.conv_px(w)) for w, _, b, _ in pieces]
    # Without any piece there are no candidates, but as many columns.
    tall, rows = np.array(pieces, np.int64).reshape(-1, 4), np.array(sizes, np.int64).reshape(-1, 4)
    piece, cut = np.repeat(tall, n_cuts, 0), np.tile(cuts, (len(pieces), 1))
    rows_in, line, conv_rows, conv_px = np.repeat(rows, n_cuts, 0).T
    width, n_x, band, n_b = piece.T
    ckb, n_ck, nob, message, total, header = cut.T
    at = np.arange(len(piece)) // max(n_cuts, 1)
    resident = ((at >= n_pieces) & (at < kept_from)).astype(np.int64)
    kept = np.where(at >= kept_from, kept_bytes(geo, max(grid.rows)), 0)
    held = np.where(kept > 0, 0, np.where(resident > 0, geo.in_blocks, ckb))  # input blocks of a message
    residual = conv_rows * conv_px * len(grid.block_rows) * nob * 8 if geo.residual else 0
    acc = np.where(n_ck > 1, nob * conv_rows * -(-conv_px // 4) * 128, 0)
    if geo.pool is not None:
        acc = acc + conv_rows * conv_px * 8 * (ckb if geo.pool.before else nob)
    single = (n_ck > 1) & sends_blocks(geo, 2, terms, grid.load.cover.listed)
    first, last = grid.block_rows[0]
    macs = grid.load.row(grid.block_rows).macs(geo.taps, terms)
    return Candidates(
        ckb, n_ck, nob, -(-(last - first) // nob), width, n_x, band, n_b, resident, kept,
        single.astype(np.int64),
        compute=n_x * n_b * conv_rows * conv_px * macs / terms.macs_per_cycle,
        a_bytes=rows_in * held * line * geo.in_px + residual,
        o_bytes=np.where(single, 1, nob) * band * width * geo.out_px,
        o_block=band * width * geo.out_px,
        acc_bytes=acc,
        w_message=message,
        w_total=total,
        header=header,
    )  # fmt: skip


def grids(
    geo: Geometry,
    live: Mask,
    rows: tuple[int, ...],
    n_rows: int,
    terms: KernelTerms,
    in_place: bool,
    blocks: Blocks | None = None,
    variants: frozenset[str] = VARIANTS,
    w_slot: int = Overlay.w_slot,
) -> tuple[Grid, ...] | None:
    """A grid per cover and distribution of the output blocks; None where unrolled lists bound the image."""
    what = blocks or Blocks.whole(live, geo.kh, geo.kw)
    out = []
    for load, block_rows, own in conv_loads(geo, what, rows, n_rows, terms, variants):
        if load.cover.listed:
            return None
        out.append(Grid(geo, load, block_rows, rows, own, in_place, w_slot, KEEP in variants))
    return tuple(out)


def least(options: Sequence[Grid], ov: Overlay) -> float:
    """Cycles of the best tiling for a division; infinite when nothing fits."""
    return least_of(options, (ov,))[0]


def least_of(options: Sequence[Grid], divisions: Divisions, flowing: bool = False) -> tuple[float, Overlay | None]:
    """Cycles of the best tiling over all divisions, and its division; (infinite, None) when nothing fits.

    ``flowing``: between items that overlap with it.
    """
    best = NONE
    for grid in options:
        found = grid.best(divisions, best.cycles, flowing)
        if found.rings and (not best.rings or found[:2] < best[:2]):
            best = found  # of equal ones the first division
    return (best.cycles, _division(divisions, best.division, best.rings)) if best.rings else (inf, None)


def _division(divisions: Divisions, number: int, rings: tuple[int, ...]) -> Overlay:
    """A division that was found."""
    return overlay_of(rings) if isinstance(divisions, Fitted) else divisions[number]


def choose(options: Sequence[Grid], ov: Overlay) -> Tiling | None:
    """The best tiling for a division, with the best of each plan; None when nothing fits."""
    plans: dict[str, float] = {}
    best: tuple[float, int, Grid] | None = None
    for grid in options:
        cycles, _, at, _ = grid.best((ov,))
        if at < 0:
            continue
        name = grid.load.cover.name
        plans[name] = min(cycles, plans.get(name, inf))
        if best is None or cycles < best[0]:
            best = cycles, at, grid
    if best is None:
        return None
    return replace(best[2].tiling(best[1], ov), alternatives=tuple(plans.items()))


def _few_alike(cuts: Floats, ranked: Ints) -> list[int]:
    """Of these columns of ``cuts``, in order, the first few of equal ones: they differ in their rings alone."""
    met: Counts[tuple[float, ...]] = Counts()
    found = []
    for k in ranked.tolist():
        cut = tuple(cuts[:, k].tolist())
        met[cut] += 1
        if met[cut] <= MOST_ALIKE:
            found.append(k)
    return found


def shortlist(
    options: Sequence[Grid], divisions: Divisions, count: int, within: float, flowing: bool = False
) -> list[tuple[Tiling, Overlay]]:
    """The best tilings of different kinds (output blocks per pass, input cut or not, messages that the rings hold: the
    closed form does not see that pieces of uneven work wait in a short one), each with its division.

    At most ``count``, none above ``within`` times the best of all, the best first; of equal ones that of the first
    division, cover and row. ``flowing``: between items that overlap.
    """
    limit = least_of(options, divisions, flowing)[0] * within
    if limit == inf:
        return []
    plans = list(dict.fromkeys(grid.load.cover.name for grid in options))
    columns, pairs = [], []
    for g, grid in enumerate(options):
        listed, times = grid.within(divisions, limit, flowing)
        division, row, a_slot, a_slots, _, _, o_slot, o_slots, _, _ = listed.T
        pairs.append(listed[:, 2:])
        c = grid.candidates.take(row)
        inputs = np.minimum(a_slots // -(-c.a_bytes // a_slot), MANY_MESSAGES)
        outputs = np.minimum(o_slots // -(-c.o_bytes // o_slot), MANY_MESSAGES)
        plan = np.full(len(row), plans.index(grid.load.cover.name))
        what = [c.nob, c.n_ck > 1, c.resident, c.kept > 0, plan, inputs, outputs]
        columns.append(np.stack([division, np.full(len(row), g), times, row, *what, np.arange(len(row))]))
    found = np.concatenate(columns, axis=1)
    found = found[:, np.lexsort(found[3::-1])]
    # Of each kind the best; of kinds whose best are equal, that which is met first.
    kind = np.unique(found[4:-1], axis=1, return_inverse=True)[1].ravel()
    met = np.unique(kind, return_index=True)[1]
    order = np.argsort(found[2], kind="stable")
    best = order[np.unique(kind[order], return_index=True)[1]]
    ranked = _few_alike(found[4:9], best[np.lexsort((met, found[2, best]))])[:count]
    picked = []
    for d, g, row, k in found[[0, 1, 3, -1]][:, ranked].astype(np.int64).T.tolist():
        overlay = _division(divisions, d, tuple(pairs[g][k].tolist()))
        picked.append((options[g].tiling(row, overlay), overlay))
    return picked
