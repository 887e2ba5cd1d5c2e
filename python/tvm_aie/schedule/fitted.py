"""Rings that the messages of a tiling fill which was found for other rings: the kernels that have no grid."""

from __future__ import annotations

from dataclasses import replace

from tvm_aie.schedule.geometry import Geometry, KernelId, ceil_div
from tvm_aie.schedule.rings import A_SIZES, O_SIZES, ring_of
from tvm_aie.schedule.tiling import Tiling, input_bytes


def fitted(tiling: Tiling, geo: Geometry) -> Tiling:
    """The tiling with rings of as many messages as its own have room for; itself where it divides no memory.

    An input that is kept is copied slot by slot: the A ring stays as it is.
    """
    ov = tiling.division
    if ov is None:
        return tiling
    band, pieces = max(b for b, _ in tiling.bands), tiling.n_x * max(n for _, n in tiling.bands)
    outputs = tiling.n_pass * pieces
    held = geo.in_blocks if tiling.a_resident else tiling.ckb
    a_bytes = input_bytes(geo, held, len(tiling.block_rows) * tiling.nob, tiling.width, band)
    a_bytes *= 1 if geo.kernel == KernelId.CONV else geo.n_inputs  # all operands of an add
    o_bytes = (1 if tiling.per_block else tiling.nob) * band * tiling.width * tiling.out_px
    a, o = (ov.a_slot, ov.a_slots), (ov.o_slot, ov.o_slots)
    if not tiling.kept:
        inputs = 1 if tiling.a_resident else outputs * tiling.n_ck
        a = ring_of(a_bytes, A_SIZES, a[0] * a[1], inputs) or a
    sent = outputs * (tiling.nob if tiling.per_block else 1)
    o = ring_of(o_bytes, O_SIZES, o[0] * o[1], sent) or o
    division = replace(ov, a_slot=a[0], a_slots=a[1], o_slot=o[0], o_slots=o[1])
    a_slots = tiling.a_slots if a[0] == ov.a_slot else ceil_div(a_bytes, a[0])
    o_slots = tiling.o_slots if o[0] == ov.o_slot else ceil_div(o_bytes, o[0])
    return replace(tiling, division=division, a_slots=a_slots, o_slots=o_slots)
