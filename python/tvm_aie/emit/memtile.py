"""The fixed regions of a memtile: weight rings, opcode messages, junk; tensors lie behind them."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import FILLER_WORDS

ALIGN = 64


@dataclass(frozen=True)
class MemtileMap:
    """Bytes: the opcode region begins after the weight rings, then one junk area per core row, then tensors."""

    opcode_base: int
    opcode_bytes: int
    junk_base: int
    junk_bytes: int
    heap_base: int


# Bytes of an item's opcode message, on average over a network; single ones are longer (``emit.emitter`` checks).
# Seen: 147 to 204 of five networks on npu1, and on wbs-3x3 321 of dense ResNet-50 with what DIVIDE adds where items
# divide core memory anew.
MESSAGE, DIVIDES = 320, 9 * 4


def opcode_bytes_estimate(n_items: int, a_slot: int, divides: bool) -> int:
    """Bytes of the opcode region that are enough for so many items and the message that ends the program.

    The last message is read up to the end of its slot of ``a_slot`` bytes. ``divides``: see ``DIVIDES``.
    """
    return max(FILLER_WORDS * 4, (MESSAGE + DIVIDES * divides) * (n_items + 1) + a_slot)


# Output messages are whole slots; what exceeds the data sinks here, in pieces of at most this many bytes.
JUNK_BYTES = 2048


def memtile_map(array: Array, opcode_bytes: int, junk_bytes: int = JUNK_BYTES) -> MemtileMap:
    """Lay the fixed regions of a memtile out."""
    base = array.w_ring_bytes
    opcode_bytes = -(-opcode_bytes // ALIGN) * ALIGN
    junk = base + opcode_bytes
    return MemtileMap(base, opcode_bytes, junk, junk_bytes, junk + array.rows * junk_bytes)
