"""Divisions of core memory, and those that the messages of a tiling fill (idealised machines).

A message takes whole slots of its ring, and begins at the start of the ring where it does not fit before its end. What
is left in its last slot, and at the ring's end, is sent for nothing. So a ring has as many slots as some whole messages
have, of a size of which a message needs the fewest bytes:

    49 pixels of a block, 392 bytes     4 slots of 128 bytes: 23 % for nothing      1 slot of 400: 2 %
    messages of 11 slots, ring of 24    2 slots of 24 for nothing                   ring of 22: none

Fitted are the messages of the core row with most output blocks; those of the others may leave more of a slot. Beside
the weight ring, which serves the whole network, and a tiling's partial sums, what is left of core memory is for the
rings of activations and outputs: one has few messages, the other takes the rest. The library finds them, and takes the
best of them for a candidate (tvm_aie/cost/fitted_rings.h, grid.h).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from tvm_aie import _native
from tvm_aie.schedule.geometry import ACC_ALIGN, CORE_MEMORY, DEFAULT_OVERLAY, MOST_SLOTS, Overlay

Ring = tuple[int, int]  # bytes of a slot, slots
# Numbers of a division of core memory, in this order: fields of ``Overlay``.
RINGS = ("a_slot", "a_slots", "w_slot", "w_slots", "o_slot", "o_slots", "acc_bytes", "hdr_bytes")

# Bytes. More than kernels need, which read and write pixels of 8 bytes wherever they lie (``kernels/conv_kernel.inc``).
A_ALIGN, O_ALIGN = 32, 16
# Least and largest slots. The filler of an opcode message counts on a slot with room for a word of each lock of a
# barrier. And an item's opcodes take a slot, for which the memtiles have room in their region (``emit.memtile``).
# Of outputs they are not below npu1's 112 bytes.
A_SLOTS, O_SLOTS = (256, 512), (112, 512)
FEW = (2, 3, 4, 1, 6, 8, 12)  # messages of the ring that has few
# Chunks of the input channels up to which outputs that are sent block by block leave most of the time. With a ring for
# fewer blocks than a pass has, a core row with more blocks than the others waits for its share of the column's link.
# The recurrence sees that (tvm_aie/cost/item_run.h), the closed form does not, and it chooses the few tilings that the
# recurrence compares. Without this VGG16 at 50 % on wbs-2x2 takes 1.0014 of its cycles (emulated).
FEW_CHUNKS = 4
# Sizes of a slot, as the library reads them: align, least, largest; least bytes of a ring; most slots.
A_SIZES = (A_ALIGN, *A_SLOTS, DEFAULT_OVERLAY.ops_bytes, MOST_SLOTS)
O_SIZES = (O_ALIGN, *O_SLOTS, 0, MOST_SLOTS)


@dataclass(frozen=True)
class Fitted:
    """All divisions with one weight ring whose rings of activations and outputs a candidate's messages fill.

    ``o_ring``: that of outputs where it is given, since items share it; None: fitted, too.
    """

    w_slot: int
    w_slots: int
    o_ring: Ring | None = None


Divisions = tuple[Overlay, ...] | Fitted


def overlay_of(rings: tuple[int, ...]) -> Overlay:
    """The division with these ``RINGS``."""
    return replace(DEFAULT_OVERLAY, **dict(zip(RINGS, rings, strict=True)))


def ring_of(message: int, sizes: tuple[int, ...], room: int, most: int) -> Ring | None:
    """The ring of as many messages as ``room`` bytes hold, at most ``most``, whose slots have some of these ``sizes``;
    None where there is none."""
    found = _native.function("tvm_aie.schedule.ring")(message, tensor(np.array(sizes)), room, most)
    return (int(found[0]), int(found[1])) if len(found) else None


def numbers(divisions: Divisions) -> Any:
    """The divisions as the library reads them."""
    if isinstance(divisions, Fitted):
        rings = (divisions.w_slot, divisions.w_slots), divisions.o_ring
        return tensor(np.array([ring for ring in rings if ring]))
    return tensor(np.array([[getattr(ov, name) for name in RINGS] for ov in divisions]).reshape(-1, len(RINGS)))


@cache
def core_room() -> Any:
    """What core memory has for a fitted division, as the library reads it."""
    ov = DEFAULT_OVERLAY
    room = CORE_MEMORY - (ov.hdr_bytes + ov.ops_bytes + ov.guard_bytes + ACC_ALIGN)
    return tensor(np.array([room, ov.hdr_bytes, ACC_ALIGN, FEW_CHUNKS, *A_SIZES, *O_SIZES, *FEW]))


def tensor(values: Any, dtype: type = np.int64) -> Any:
    """An array for the library."""
    import tvm_ffi

    return tvm_ffi.from_dlpack(np.ascontiguousarray(values, dtype))
