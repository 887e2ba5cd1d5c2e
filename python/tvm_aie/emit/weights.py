"""Weight messages: weights + bias + Gamma of one sub-volume in one tensor (docs/program.md section 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import ProgramError
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import BLOCK, PhysicalGraph, View, physical_weight
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import HEADER_BYTES, Mask, Tiling, active_rows, header_bytes

W_MAGIC = 0x0A1E0002
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class PackedConv:
    """tiles: int8 (out blocks, in blocks, kh, kw, 8 k, 8 n); live: Gamma; bias: int32 (stages, out blocks * 8).

    ``residual``: the second stage adds a tensor; messages then say where a core row's share of it begins.
    """

    tiles: Int8Array
    live: Mask
    bias: npt.NDArray[np.int32]
    residual: bool = False


def pack_conv(conv: Conv, source: View, target: View) -> PackedConv:
    """Apply the channel maps and cut the weight into mmul B tiles. Raises ``ProgramError`` if a bias exceeds int32."""
    weight = physical_weight(conv, source, target)
    ob, ib, kh, kw = weight.shape[0] // BLOCK, weight.shape[1] // BLOCK, *weight.shape[2:]
    tiles = weight.reshape(ob, BLOCK, ib, BLOCK, kh, kw).transpose(0, 2, 4, 5, 3, 1)
    stages = [conv.bias]
    if conv.tail is not None and conv.tail.bias is not None:
        stages.append(conv.tail.bias)
    bias = np.zeros((len(stages), ob * BLOCK), np.int64)
    bias[:, np.asarray(target.cmap)] = stages
    if bias.size and (bias.max() > 2**31 - 1 or bias.min() < -(2**31)):
        raise ProgramError(f"layer {conv.name}: bias does not fit 32 bits after alignment to the accumulator")
    tiles = np.ascontiguousarray(tiles)
    live: Mask = np.asarray(tiles.reshape(ob, ib, -1).any(axis=2), dtype=np.bool_)
    return PackedConv(tiles, live, bias.astype(np.int32), len(conv.inputs) == 2)


def item_weights(item: WorkItem, graph: PhysicalGraph, packed: Mapping[str, PackedConv]) -> PackedConv | None:
    """The weights of an item: those of its members, one after the other; None for channel-wise layers."""
    parts = [packed[graph.layers[m].name] for m in item.members if isinstance(graph.layers[m], Conv)]
    if len(parts) < 2:
        return parts[0] if parts else None
    tiles = np.concatenate([p.tiles for p in parts])
    live = np.concatenate([p.live for p in parts])
    return PackedConv(tiles, live, np.concatenate([p.bias for p in parts], axis=1))


def conv_messages(packed: PackedConv, tiling: Tiling, row: int, slot: int, o_slot: int) -> Iterator[bytes]:
    """The messages of core row ``row`` in stream order (per pass, then per input channel chunk).

    With split input channels the sequence of a pass is repeated for each width chunk and band; with passes as the
    inner loop, the sequence of all passes.
    """
    first, last = tiling.block_rows[row]
    steps = tiling.n_x * max(n for _, n in tiling.bands) if tiling.weights_per_band else 1
    passes = []
    for p in range(tiling.n_pass):
        begin, end = min(first + p * tiling.nob, last), min(first + (p + 1) * tiling.nob, last)
        # Where this row's share of the residual begins, and how many blocks the message carries.
        share = (row * tiling.nob, active_rows(tiling, p) * tiling.nob) if packed.residual else (0, 0)
        slots = tiling.o_slots_of(end - begin, o_slot)
        passes.append([_conv_message(packed, tiling, begin, end, ck, slot, slots, share) for ck in range(tiling.n_ck)])
    if tiling.order == PASSES_INSIDE:
        passes = [[message for chunks in passes for message in chunks]]
    for chunks in passes:
        for _ in range(steps):
            yield from chunks


def _conv_message(
    packed: PackedConv, tiling: Tiling, begin: int, end: int, ck: int, slot: int, o_slots: int, share: tuple[int, int]
) -> bytes:
    in_blocks = packed.live.shape[1]
    c_lo, c_hi = ck * tiling.ckb, min((ck + 1) * tiling.ckb, in_blocks)
    base = 0 if tiling.a_resident else min(c_lo, in_blocks - tiling.ckb)
    n_ocb = end - begin
    if n_ocb == 0:
        return message(slot, 0, 0, 0, 0, b"\0\0", b"", len(packed.bias))
    live = packed.live[begin:end, c_lo:c_hi]
    rows, cols = np.nonzero(live)
    row_ptr = np.zeros(n_ocb + 1, "<u2")
    row_ptr[1:] = np.cumsum(live.sum(axis=1))
    extra = packed.bias[:, begin * BLOCK : end * BLOCK].astype("<i4").tobytes()
    extra += row_ptr.tobytes() + (cols + c_lo - base).astype("<u2").tobytes()
    tiles = packed.tiles[rows + begin, cols + c_lo].tobytes()
    return message(slot, n_ocb, o_slots, len(rows), share[0], extra, tiles, len(packed.bias), share[1])


def message(
    slot: int, n_ocb: int, o_slots: int, nnz: int, cb0: int, extra: bytes, tiles: bytes, biases: int = 1, res: int = 0
) -> bytes:
    """Header, ``extra`` (bias, row_ptr, columns) and tiles, padded to whole slots."""
    header = header_bytes(n_ocb, nnz, biases) if extra else HEADER_BYTES
    n_slots = -(-(header + len(tiles)) // slot)
    words = np.array([W_MAGIC, n_slots, header, n_ocb, o_slots, nnz, cb0, res] + [0] * 8, "<i4").tobytes()
    data = (words + extra).ljust(header, b"\0") + tiles
    return data.ljust(n_slots * slot, b"\0")


def channelwise_message(tiling: Tiling, row: int, slot: int, o_slot: int) -> bytes:
    """Which channel blocks of each chunk core row ``row`` owns."""
    first, last = tiling.block_rows[row]
    n = last - first
    return message(slot, n, tiling.o_slots_of(n, o_slot), 0, first if n else 0, b"", b"")
