"""Execution plan of one convolution (SparTA's two passes): regular pieces that cover its live weights.

Pieces, and what the core does with one (docs/program.md section 2):

    full row    all blocks of an output block, walked without look-ups; dead blocks in it are stored zeros
    block       an 8x8 block of Gamma with all its taps, looked up
    tap         one tap of an 8x8 block, listed with its address in A: dead taps of a block cost nothing
    int4 pair   two taps of any blocks of one output block and one tap row whose values fit int4: half the bytes, and
                one step of ``aie::mmul<4, 16, 8>``

All pieces of an output block add into the same accumulators before the one rounding. Every live tap is in exactly one
piece (``Cover.verify``). Costs are the device's own (``piece_costs``): which piece wins depends on the machine, on the
size of the call and on the weights, not on a table. ``candidates`` yields the covers that can win; the sub-volume
search (``schedule.tiling``) estimates each with all its transfers and takes the best.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import ProgramError
from tvm_aie.schedule.terms import KernelTerms

Mask = npt.NDArray[np.bool_]
INT4_LOW, INT4_HIGH = -8, 7
INT4_BITS = np.uint8(INT4_HIGH - INT4_LOW)  # of a value less INT4_LOW
# Parts of the superkernel beyond the walk over Gamma, as the device file's [instructions] names them.
DENSE, LIST, INT4 = "conv_dense", "conv_list", "conv_int4"
INT16 = "conv_int16"  # not a choice: int16 activations or outputs need it
KEEP = "keep"  # no part of a cover: the copy of a convolution's input into ACC (``schedule.tiling.Tiling.kept``)
VARIANTS = frozenset({DENSE, LIST, INT4, KEEP})


def _bits(tiles: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Which bits any value of each tile of bytes has (..., 8 k, 8 n); eight values at a time."""
    words = np.bitwise_or.reduce(np.ascontiguousarray(tiles).reshape(*tiles.shape[:4], 64).view(np.uint64), axis=4)
    return np.asarray(np.bitwise_or.reduce(words[..., None].view(np.uint8), axis=4))


@dataclass(frozen=True, eq=False)
class Blocks:
    """What a weight holds: ``taps`` (out blocks, in blocks, kh, kw) with a non-zero value, ``narrow`` ones in int4."""

    taps: Mask
    narrow: Mask

    @staticmethod
    def of(tiles: npt.NDArray[np.int8]) -> Blocks:
        """From mmul tiles (out blocks, in blocks, kh, kw, 8 k, 8 n)."""
        taps, above = _bits(tiles) != 0, _bits(tiles.view(np.uint8) + np.uint8(-INT4_LOW))
        return Blocks(taps, taps & (above & ~INT4_BITS == 0))

    @staticmethod
    def whole(live: Mask, kh: int, kw: int) -> Blocks:
        """Every tap of the live blocks, none narrow."""
        taps = np.broadcast_to(live[:, :, None, None], (*live.shape, kh, kw)).copy()
        return Blocks(taps, np.zeros_like(taps))

    @property
    def live(self) -> Mask:
        """Gamma: (out blocks, in blocks)."""
        return np.asarray(self.taps.any(axis=(2, 3)))

    @cached_property
    def digest(self) -> bytes:
        """Fingerprint of what is live and narrow, and where."""
        bits = np.packbits(np.stack([self.taps, self.narrow]))
        return hashlib.sha256(repr(self.taps.shape).encode() + bits.tobytes()).digest()

    @property
    def plain(self) -> bool:
        """Nothing finer than Gamma can gain: every live block has all its taps, none narrow."""
        return not self.narrow.any() and bool((self.taps.all(axis=(2, 3)) == self.live).all())


@dataclass(frozen=True)
class PieceCosts:
    """Cycles of one piece in one kernel call; ``segment``: once per output block and kind of list that it uses."""

    dense: float  # a block in a full row
    block: float
    tap: float
    pair: float
    segment: float


def listed_groups(rest: int) -> int:
    """Accumulators for which the loop over a list runs in a last chunk of ``rest``: it exists for 8 and for 4."""
    return 0 if rest == 0 else 4 if rest <= 4 else 8


def trips(terms: KernelTerms, full: int, rest: int, per_acc: float) -> float:
    """Cycles of one weight tile over ``full`` chunks of 8 accumulators and one of ``rest``."""
    last = max(terms.ii_min, rest * per_acc) if rest else 0.0
    return full * max(terms.ii_min, 8 * per_acc) + last


def piece_costs(terms: KernelTerms, rows: int, width: int, taps: int) -> PieceCosts:
    """Costs in a call of ``rows`` x ``width`` output pixels with a window of ``taps`` (all inside the image)."""
    if terms.ideal:
        tap = rows * width * 64 / terms.macs_per_cycle
        return PieceCosts(taps * tap, taps * tap, tap, rows * width * 128 / terms.macs_per_cycle_int4, 0.0)
    full, rest = divmod(rows * -(-width // 4), 8)
    chunks, last = full + (rest > 0), listed_groups(rest)
    dense = taps * trips(terms, full, rest, terms.ii_per_acc)
    return PieceCosts(
        dense + (rest > 0) * terms.gamma,
        dense + chunks * terms.gamma,
        trips(terms, full, last, terms.ii_per_acc) + chunks * terms.entry,
        trips(terms, full, last, terms.int4_per_acc) + chunks * terms.entry,
        chunks * terms.segment,
    )


@dataclass(frozen=True, eq=False)
class Cover:
    """``blocks`` (out, in): whole blocks; ``taps``, ``low`` (out, in, kh, kw): listed int8 and int4 taps.

    ``dense``: full rows are walked without look-ups. A message pairs its ``low`` taps; one that is left over is
    listed as int8. ``cycles``: estimated for one kernel call over the whole layer, without what all covers share.
    """

    blocks: Mask
    taps: Mask
    low: Mask
    dense: bool
    cycles: float = field(default=0.0)

    def verify(self, what: Blocks) -> None:
        """Raise ``ProgramError`` unless every live tap is in exactly one piece, and int4 pieces hold int4."""
        count = self.blocks[:, :, None, None].astype(np.int64) + self.taps + self.low
        for name, wrong in (
            ("in no piece", what.taps & (count == 0)),
            ("in two pieces", count > 1),
            ("too wide for int4", self.low & what.taps & ~what.narrow),
        ):
            if wrong.any():
                at = tuple(np.argwhere(wrong)[0].tolist())
                raise ProgramError(f"cover: tap {at} (out block, in block, ky, kx) is {name}")

    @cached_property
    def listed(self) -> bool:
        """Some pieces are taps or pairs."""
        return bool(self.taps.any() or self.low.any())

    @cached_property
    def full_rows(self) -> Mask:
        """Output blocks all of whose blocks are stored."""
        return np.asarray(self.blocks.all(axis=1))

    @cached_property
    def variants(self) -> frozenset[str]:
        """Parts of the superkernel that this cover needs beside the walk."""
        found = {DENSE} if self.dense and self.full_rows.any() else set()
        found |= {LIST} if self.listed else set()
        return frozenset(found | ({INT4} if self.low.any() else set()))

    @cached_property
    def name(self) -> str:
        """``dense``, ``walk``, ``taps`` or ``mixed`` (with int4), by the finest kind of piece."""
        if self.low.any():
            return "mixed"
        if self.taps.any():
            return "taps"
        return "dense" if self.dense and bool(self.full_rows.all()) else "walk"

    def part(self, first: int, last: int) -> Cover:
        """The cover of output blocks [first, last)."""
        return Cover(self.blocks[first:last], self.taps[first:last], self.low[first:last], self.dense)

    def pieces(self) -> dict[str, int]:
        """How many pieces of each kind; int4 taps are counted in pairs of one output block and tap row."""
        rows = self.full_rows if self.dense else np.zeros(len(self.blocks), np.bool_)
        per_row = self.low.sum(axis=(1, 3))
        return {
            "full row blocks": int(self.blocks[rows].sum()),
            "blocks": int(self.blocks[~rows].sum()),
            "taps": int(self.taps.sum() + (per_row % 2).sum()),
            "int4 pairs": int((per_row // 2).sum()),
        }


def walk_cover(live: Mask, kh: int, kw: int) -> Cover:
    """The plain walk over Gamma."""
    none = np.zeros((*live.shape, kh, kw), np.bool_)
    return Cover(live, none, none, False)


def cover_cycles(cover: Cover, costs: PieceCosts) -> float:
    """Cycles of all pieces in one call with all input blocks in one message."""
    return float(_row_cycles(cover, costs).sum())


def _row_cycles(cover: Cover, costs: PieceCosts) -> npt.NDArray[np.float64]:
    full = cover.full_rows if cover.dense else np.zeros(len(cover.blocks), np.bool_)
    count = cover.blocks.sum(axis=1)
    low = cover.low.sum(axis=(1, 3))  # (out blocks, kh)
    odd, pairs = (low % 2).sum(axis=1), (low // 2).sum(axis=1)
    taps = cover.taps.sum(axis=(1, 2, 3)) + odd
    segments = (taps > 0).astype(np.int64) + (pairs > 0)
    found = count * np.where(full, costs.dense, costs.block) + taps * costs.tap + pairs * costs.pair
    return np.asarray(found + segments * costs.segment)


def _options(what: Blocks, costs: PieceCosts, allowed: Collection[str]) -> Iterator[Cover]:
    """Covers of which each output block takes its cheapest: with every set of kinds of pieces."""
    live, total, narrow = what.live, what.taps.sum(axis=(2, 3)), what.narrow.sum(axis=(2, 3))
    none = np.zeros_like(what.taps)
    yield Cover(live, none, none, DENSE in allowed)
    if DENSE in allowed:
        used = np.asarray(live.any(axis=1))
        yield Cover(np.broadcast_to(used[:, None], live.shape), none, none, True)
    if LIST not in allowed:
        return
    wide = total * costs.tap
    mixed = (total - narrow) * costs.tap + narrow * costs.pair / 2
    kinds: list[tuple[Mask, Mask]] = [(np.asarray(wide < costs.block), none)]
    if INT4 in allowed:
        best = np.where(mixed < wide, mixed, wide)
        kinds.append((np.asarray(best < costs.block), what.narrow))
        kinds.append((np.asarray((narrow == total) & (mixed < costs.block)), what.narrow))
    for split, low in kinds:
        taken = np.asarray(live & split)[:, :, None, None]
        option = Cover(np.asarray(live & ~split), what.taps & ~low & taken, low & taken, DENSE in allowed)
        yield option
        if option.low.any():
            yield _one_returned(option, costs)


def _one_returned(cover: Cover, costs: PieceCosts) -> Cover:
    """In each output block the listed block that costs least so is walked as a whole again.

    An int4 tap without a partner is listed as int8, perhaps the only one of its output block, which pays for a segment
    of its own; without its block all others pair.
    """
    low, taps = cover.low.sum(axis=3), cover.taps.sum(axis=(2, 3))  # (out, in, kh), (out, in)
    rest = low.sum(axis=1, keepdims=True) - low  # of the output block, without this block
    single = taps.sum(axis=1, keepdims=True) - taps + (rest % 2).sum(axis=2)
    pairs = (rest // 2).sum(axis=2)
    blocks = cover.blocks.sum(axis=1, keepdims=True) + 1
    each = np.where(cover.dense & (blocks == cover.blocks.shape[1]), costs.dense, costs.block)
    segments = (single > 0).astype(np.int64) + (pairs > 0)
    cycles = blocks * each + single * costs.tap + pairs * costs.pair + segments * costs.segment
    listed = (low > 0).any(axis=2) | (taps > 0)
    back = np.zeros_like(listed)
    row = np.flatnonzero(listed.any(axis=1))
    back[row, np.where(listed, cycles, np.inf)[row].argmin(axis=1)] = True
    stay = ~back[:, :, None, None]
    return Cover(cover.blocks | back, cover.taps & stay, cover.low & stay, cover.dense)


def best_cover(what: Blocks, costs: PieceCosts, allowed: Collection[str] = VARIANTS) -> Cover:
    """The cheapest cover with the ``allowed`` variants, output block by output block; exact (``Cover.verify``)."""
    options = list(_options(what, costs, allowed))
    cycles = np.stack([_row_cycles(option, costs) for option in options])
    choice = cycles.argmin(axis=0)
    row = np.arange(len(choice))
    blocks, taps, low = (
        np.stack([getattr(o, part) for o in options])[choice, row] for part in ("blocks", "taps", "low")
    )
    found = Cover(blocks, taps, low, options[0].dense, float(cycles.min(axis=0).sum()))
    found.verify(what)
    return found


def candidates(what: Blocks, costs: PieceCosts, allowed: Collection[str] = VARIANTS) -> Iterator[Cover]:
    """Covers worth a full estimate, each different: the walk, then with full rows, with taps, with int4 taps."""
    base = walk_cover(what.live, *what.taps.shape[2:])
    dense = DENSE in allowed and bool(base.full_rows.any())
    seen = [replace(base, dense=dense, cycles=cover_cycles(replace(base, dense=dense), costs))]
    yield seen[0]
    for extra in ({DENSE}, {DENSE, LIST}, {DENSE, LIST, INT4}):
        if not extra <= set(allowed) | {DENSE} or (LIST in extra and what.plain):
            continue
        cover = best_cover(what, costs, extra & set(allowed))
        if not any(_same_masks(cover, other) for other in seen):
            seen.append(cover)
            yield cover


def same_pieces(a: Cover | None, b: Cover | None) -> bool:
    """Whether messages by these covers are the same."""
    if a is b or a is None or b is None:
        return a is b
    return a.dense == b.dense and a.blocks.shape == b.blocks.shape and _same_masks(a, b)


def _same_masks(a: Cover, b: Cover) -> bool:
    return all(bool((getattr(a, part) == getattr(b, part)).all()) for part in ("blocks", "taps", "low"))
