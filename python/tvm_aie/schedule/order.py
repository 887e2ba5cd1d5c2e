"""Orders of the loops of an item: which of passes, width chunks and bands is inside which.

``passes-x-bands``   the default: weights of a pass stay, the input comes again for each pass
``passes-bands-x``   the same with the width inside: fewer tasks where there are more width chunks than bands
``x-bands-passes``   a piece of the input stays for all passes, the weights come again for each piece
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tvm_aie.schedule.cover import Mask, walk_cover
from tvm_aie.schedule.geometry import WORD, Geometry, KernelId, Overlay
from tvm_aie.schedule.load import Load
from tvm_aie.schedule.terms import KernelTerms
from tvm_aie.schedule.tiling import Tiling

LOOPS = (("pass", "x", "band"), ("pass", "band", "x"), ("x", "band", "pass"))  # outermost first, by Tiling.order
PASSES_X_BANDS, PASSES_BANDS_X, PASSES_INSIDE = range(3)


def steps(tiling: Tiling, n_pass: int, n_b: int) -> Iterator[tuple[int, int, int]]:
    """(pass, width chunk, band) of every piece in the tiling's order; with ``n_pass`` 1 the passes are left out."""
    if tiling.order == PASSES_X_BANDS:
        return ((p, x, b) for p in range(n_pass) for x in range(tiling.n_x) for b in range(n_b))
    if tiling.order == PASSES_BANDS_X:
        return ((p, x, b) for p in range(n_pass) for b in range(n_b) for x in range(tiling.n_x))
    return ((p, x, b) for x in range(tiling.n_x) for b in range(n_b) for p in range(n_pass))


def variants(
    tiling: Tiling, geo: Geometry, live: Mask | None, n_bands: int, overlay: Overlay, terms: KernelTerms
) -> Iterator[Tiling]:
    """The tiling in the other orders that mean something for it; ``cycles`` is estimated anew.

    ``n_bands``: most bands of a column.
    """
    if tiling.a_resident or tiling.kept or tiling.order != PASSES_X_BANDS or geo.pool is not None or not tiling.aligned:
        return
    if tiling.n_x > 1 and n_bands > 1:
        yield replace(tiling, order=PASSES_BANDS_X)
    pieces = tiling.n_x * n_bands
    if tiling.n_pass > 1 and pieces > 1 and tiling.n_ck == 1 and not (geo.residual or tiling.diagonal):
        conv = geo.kernel == KernelId.CONV and live is not None
        cycles = _passes_inside(tiling, live, pieces, geo, overlay, terms) if conv else tiling.cycles
        yield replace(tiling, order=PASSES_INSIDE, cycles=cycles)


def _passes_inside(
    tiling: Tiling, live: Mask | None, pieces: int, geo: Geometry, overlay: Overlay, terms: KernelTerms
) -> float:
    """Estimated cycles when the input of a piece is sent once and the weights once per piece."""
    assert live is not None
    cover = tiling.cover or walk_cover(live, geo.kh, geo.kw)
    weights = Load(cover, geo, terms).bytes(tiling.block_rows, tiling.nob, tiling.ckb, 1, overlay.w_slot).total
    t_w = weights * pieces / WORD / terms.w_rate
    saved = (tiling.n_pass - 1) * pieces * tiling.a_slots * overlay.a_slot / WORD / terms.a_rate
    whole = tiling.n_pass * pieces * tiling.a_slots * overlay.a_slot / WORD / terms.a_rate
    control = tiling.cycles - tiling.body
    body = tiling.body - saved if tiling.body <= whole * 1.05 else tiling.body
    return max(body, t_w) + control
