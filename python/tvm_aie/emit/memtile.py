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


def opcode_bytes_estimate(n_items: int, a_slot: int) -> int:
    """Upper bound of the opcode region: a message is at most 6 + ~20 + 25 words and pools carry divisor tables.

    The last message is read up to the end of its slot of ``a_slot`` bytes.
    """
    return max(FILLER_WORDS * 4, 320 * (n_items + 1) + a_slot)


# Output messages are whole slots; what exceeds the data sinks here, in pieces of at most this many bytes.
JUNK_BYTES = 2048


def memtile_map(array: Array, opcode_bytes: int, junk_bytes: int = JUNK_BYTES) -> MemtileMap:
    """Lay the fixed regions of a memtile out."""
    base = array.w_ring_bytes
    opcode_bytes = -(-opcode_bytes // ALIGN) * ALIGN
    junk = base + opcode_bytes
    return MemtileMap(base, opcode_bytes, junk, junk_bytes, junk + array.rows * junk_bytes)
