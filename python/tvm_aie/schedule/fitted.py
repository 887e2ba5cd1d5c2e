"""Rings whose slots the messages of one item fill (idealised machines, where each item may divide core memory).

A message takes whole slots, and begins at the start of the ring where it does not fit before its end. What is left in
its last slot, and at the ring's end, is sent for nothing. So slots are about an even part of a message, and as many as
some whole messages have:

    49 pixels of a block, 392 bytes     4 slots of 128 bytes: 23 % for nothing      1 slot of 400: 2 %
    messages of 11 slots, ring of 24    2 slots of 24 for nothing                   ring of 22: none
"""

from __future__ import annotations

from dataclasses import replace

from tvm_aie.schedule.geometry import MOST_SLOTS, Geometry, KernelId, ceil_div
from tvm_aie.schedule.tiling import Tiling, input_bytes

# Bytes. More than kernels need, which read and write pixels of 8 bytes wherever they lie (``kernels/conv_kernel.inc``).
A_ALIGN, O_ALIGN = 32, 16
# Least and largest slots. The filler of an opcode message counts on a slot with room for a word of each lock of a
# barrier. And an item's opcodes take a slot, for which the memtiles have room in their region (``emit.memtile``). The
# listed ones keep to that (``schedule.division``), and npu1's of 112 bytes for outputs.
A_SLOTS, O_SLOTS = (256, 512), (112, 512)
# About the opcodes of an item (bytes): a message of the ring of the item before it, in whole slots too.
OPCODES = 320
Ring = tuple[int, int]  # bytes of a slot, slots
Sizes = tuple[int, tuple[int, int]]


def fitted_ring(ring: Ring, message: int, messages: int, sizes: Sizes, opcodes: int = 0) -> Ring:
    """The ring in the same memory through which ``messages`` of so many bytes need the fewest bytes of slots.

    It holds as many at once as ``ring`` does, or more. Of equal ones that with the largest slots. ``sizes``: bytes that
    the size of a slot is a multiple of, its least and its largest size.
    """
    (slot, slots), (align, (smallest, largest)) = ring, sizes
    least = max(1, slots // ceil_div(message, slot))
    best, least_sent = ring, _sent(ring, message, messages, opcodes)
    for size in range(min(ceil_div(message, align) * align, largest), smallest - 1, -align):
        parts = ceil_div(message, size)
        held = min(slot * slots // (parts * size), MOST_SLOTS // parts)
        if held < least:
            continue
        found = size, held * parts
        if (sent := _sent(found, message, messages, opcodes)) < least_sent:
            best, least_sent = found, sent
    return best


def _sent(ring: Ring, message: int, messages: int, opcodes: int) -> int:
    """Bytes of slots through which the messages pass, with what is left at the ring's end."""
    slot, slots = ring
    size = ceil_div(message, slot)
    fit = max(1, slots // size)
    wasted = (ceil_div(messages, fit) - 1) * (slots - fit * size)
    return slot * (messages * size + wasted + ceil_div(opcodes, slot))


def fitted(tiling: Tiling, geo: Geometry) -> Tiling:
    """The tiling with rings that its messages fill; itself where they do already, or where it divides no memory.

    An input that is kept is copied slot by slot: the A ring stays as it is.
    """
    ov = tiling.division
    if ov is None:
        return tiling
    band, n_b = max(b for b, _ in tiling.bands), max(n for _, n in tiling.bands)
    outputs = tiling.n_pass * tiling.n_x * n_b
    held = geo.in_blocks if tiling.a_resident else tiling.ckb
    a_bytes = input_bytes(geo, held, len(tiling.block_rows) * tiling.nob, tiling.width, band)
    a_bytes *= 1 if geo.kernel == KernelId.CONV else geo.n_inputs  # all operands of an add
    o_bytes = (1 if tiling.per_block else tiling.nob) * band * tiling.width * tiling.out_px
    a, o = (ov.a_slot, ov.a_slots), (ov.o_slot, ov.o_slots)
    if not tiling.kept:
        messages = 1 if tiling.a_resident else outputs * tiling.n_ck
        a = fitted_ring(a, a_bytes, messages, (A_ALIGN, A_SLOTS), OPCODES)
    o = fitted_ring(o, o_bytes, outputs * (tiling.nob if tiling.per_block else 1), (O_ALIGN, O_SLOTS))
    if (a, o) == ((ov.a_slot, ov.a_slots), (ov.o_slot, ov.o_slots)):
        return tiling
    division = replace(ov, a_slot=a[0], a_slots=a[1], o_slot=o[0], o_slots=o[1])
    a_slots = tiling.a_slots if a[0] == ov.a_slot else ceil_div(a_bytes, a[0])
    o_slots = tiling.o_slots if o[0] == ov.o_slot else ceil_div(o_bytes, o[0])
    return replace(tiling, division=division, a_slots=a_slots, o_slots=o_slots)
