"""Registers of an AIE2 array that a runtime sequence writes, and the form of descriptors in them.

Sources: mlir-aie's register database and target model for AIE2 (offsets inside a tile's window of 1 MB).
"""

from __future__ import annotations

from tvm_aie.emit.program import Bd, Dir, LockUse, Tile, TileKind
from tvm_aie.errors import ProgramError

COLUMN_SHIFT, ROW_SHIFT = 25, 20
BD_BYTES = 0x20
BD_BASE = {TileKind.SHIM: 0x1D000, TileKind.MEMTILE: 0xA0000, TileKind.CORE: 0x1D000}
SHIM_ADDRESS_OFFSET = 4  # of the address word inside a shim descriptor
CHANNEL_BASE = {TileKind.SHIM: 0x1D200, TileKind.MEMTILE: 0xA0600, TileKind.CORE: 0x1DE00}
MM2S_OFFSET = {TileKind.SHIM: 0x10, TileKind.MEMTILE: 0x30, TileKind.CORE: 0x10}
CHANNEL_BYTES, QUEUE_OFFSET = 8, 4
LOCK_BASE = {TileKind.MEMTILE: 0xC0000, TileKind.CORE: 0x1F000}
LOCK_BYTES = 0x10
RESET_BIT = 2  # of a channel's control register (core and memtile)
CONTROLLER_MASK, CONTROLLER_SHIFT = 0x1F00, 8
TOKEN_BIT, REPEAT_SHIFT = 1 << 31, 16
# Packet ids of task-complete tokens: those that mlir-aie assigns to rows 0 and 1 of a column.
CONTROLLER_ID = {TileKind.SHIM: 15, TileKind.MEMTILE: 26}
# What a memtile's DMA sees: the west neighbour, itself, the east neighbour.
MEMTILE_WORDS, MEMTILE_LOCKS = 1 << 17, 64
CHANNELS = {TileKind.SHIM: (2, 2), TileKind.MEMTILE: (6, 6), TileKind.CORE: (2, 2)}  # (S2MM, MM2S)
WRAP_MAX = {TileKind.SHIM: 1023, TileKind.MEMTILE: 1023, TileKind.CORE: 255}


def bd_address(kind: TileKind, bd: int) -> int:
    """Offset of a descriptor in its tile."""
    return BD_BASE[kind] + BD_BYTES * bd


def control_address(kind: TileKind, direction: Dir, channel: int) -> int:
    """Offset of a channel's control register; the task queue follows it."""
    return CHANNEL_BASE[kind] + (MM2S_OFFSET[kind] if direction == Dir.MM2S else 0) + CHANNEL_BYTES * channel


def is_lock(address: int) -> bool:
    """Whether an offset in a memtile is a lock's value: the only ones that an inference sets."""
    return 0 <= address - LOCK_BASE[TileKind.MEMTILE] < MEMTILE_LOCKS * LOCK_BYTES


def absolute(tile: Tile, offset: int) -> int:
    """Address in the array."""
    return tile.col << COLUMN_SHIFT | tile.row << ROW_SHIFT | offset


def window(tile: Tile, other: Tile) -> int:
    """0 west, 1 own, 2 east: where a memtile's DMA finds ``other``."""
    side = other.col - tile.col + 1
    if tile.row != other.row or not 0 <= side <= 2:
        raise ProgramError(f"memtile ({tile.col},{tile.row}) cannot reach tile ({other.col},{other.row})")
    return side


def bd_fields(bd: Bd, tiles: tuple[Tile, ...]) -> dict[str, int]:
    """Register fields of a descriptor under the names of ``aiex.npu.writebd``, and d2_size, d3_stride beyond it.

    A wrap of 0 means "do not wrap"; the outermost wrap is written when its field holds it.
    """
    tile = tiles[bd.tile]
    out = {"buffer_length": bd.length, "buffer_offset": _offset(bd, tiles)}
    dims = bd.dims[::-1]
    linear = len(dims) == 1 and dims[0][1] == 1 and not any(bd.pad(0))
    if not linear:
        for i, (size, stride) in enumerate(dims):
            out[f"d{i}_stride"] = stride - 1
            held = i < 2 or (i == 2 and tile.kind == TileKind.MEMTILE)
            if held and size <= WRAP_MAX[tile.kind]:
                out[f"d{i}_size"] = size
            elif i < len(dims) - 1 or any(bd.pad(len(dims) - 1 - i)):
                raise ProgramError(f"descriptor {bd.bd_id}: wrap {size} of dimension {i} has no field")
            before, after = bd.pad(len(dims) - 1 - i)
            if before or after:
                out[f"d{i}_zero_before"], out[f"d{i}_zero_after"] = before, after
    if bd.iter_wrap > 1:
        out["iteration_size"], out["iteration_stride"] = bd.iter_wrap - 1, bd.iter_step - 1
    if bd.next_bd >= 0:
        out["use_next_bd"], out["next_bd"] = 1, bd.next_bd
    if bd.acquire and bd.acquire.value:  # negative: wait for at least that value
        out |= {"lock_acq_enable": 1, "lock_acq_id": _lock(bd, bd.acquire, tiles), "lock_acq_val": -bd.acquire.value}
    if bd.release and bd.release.value:
        out |= {"lock_rel_id": _lock(bd, bd.release, tiles), "lock_rel_val": bd.release.value}
    return out


def _offset(bd: Bd, tiles: tuple[Tile, ...]) -> int:
    """Base as the register holds it: bytes on a core (mlir-aie divides), words and window on a memtile, 0 on a shim."""
    tile = tiles[bd.tile]
    if tile.kind == TileKind.SHIM:
        return 0
    if tile.kind == TileKind.CORE:
        return bd.base
    return window(tile, tiles[bd.mem]) * MEMTILE_WORDS + bd.base // 4


def _lock(bd: Bd, use: LockUse, tiles: tuple[Tile, ...]) -> int:
    tile = tiles[bd.tile]
    if tile.kind != TileKind.MEMTILE:
        return use.lock
    return window(tile, tiles[use.tile]) * MEMTILE_LOCKS + use.lock


def memtile_words(f: dict[str, int]) -> tuple[int, ...]:
    """The eight register words of a memtile descriptor."""
    get = f.get
    return (
        get("buffer_length", 0),
        get("d0_zero_before", 0) << 26
        | get("next_bd", 0) << 20
        | get("use_next_bd", 0) << 19
        | get("buffer_offset", 0),
        get("d0_size", 0) << 17 | get("d0_stride", 0),
        get("d1_zero_before", 0) << 27 | get("d1_size", 0) << 17 | get("d1_stride", 0),
        get("d2_zero_before", 0) << 27 | get("d2_size", 0) << 17 | get("d2_stride", 0),
        get("d2_zero_after", 0) << 28
        | get("d1_zero_after", 0) << 23
        | get("d0_zero_after", 0) << 17
        | get("d3_stride", 0),
        get("iteration_size", 0) << 17 | get("iteration_stride", 0),
        1 << 31
        | (get("lock_rel_val", 0) & 0x7F) << 24
        | get("lock_rel_id", 0) << 16
        | get("lock_acq_enable", 0) << 15
        | (get("lock_acq_val", 0) & 0x7F) << 8
        | get("lock_acq_id", 0),
    )


def memtile_fields(words: tuple[int, ...]) -> dict[str, int]:
    """The inverse of ``memtile_words``."""

    def bits(word: int, high: int, low: int) -> int:
        return words[word] >> low & ((1 << high - low + 1) - 1)

    acquire = bits(7, 14, 8)
    return {
        "buffer_length": bits(0, 16, 0),
        "buffer_offset": bits(1, 18, 0),
        "use_next_bd": bits(1, 19, 19),
        "next_bd": bits(1, 25, 20),
        "d0_size": bits(2, 26, 17),
        "d0_stride": bits(2, 16, 0),
        "d1_size": bits(3, 26, 17),
        "d1_stride": bits(3, 16, 0),
        "d2_size": bits(4, 26, 17),
        "d2_stride": bits(4, 16, 0),
        "d3_stride": bits(5, 16, 0),
        "d0_zero_before": bits(1, 31, 26),
        "d1_zero_before": bits(3, 31, 27),
        "d2_zero_before": bits(4, 30, 27),
        "d0_zero_after": bits(5, 22, 17),
        "d1_zero_after": bits(5, 27, 23),
        "d2_zero_after": bits(5, 31, 28),
        "iteration_size": bits(6, 22, 17),
        "iteration_stride": bits(6, 16, 0),
        "lock_rel_val": bits(7, 30, 24),
        "lock_rel_id": bits(7, 23, 16),
        "lock_acq_enable": bits(7, 15, 15),
        "lock_acq_val": acquire - 128 if acquire >= 64 else acquire,
        "lock_acq_id": bits(7, 7, 0),
    }
