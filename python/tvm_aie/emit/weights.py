"""Weight messages: weights + bias + Gamma of one sub-volume in one tensor (docs/program.md section 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import ProgramError
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import BLOCK, PhysicalGraph, View, front_view, physical_weight, whole_blocks
from tvm_aie.plan.scale import scale_of
from tvm_aie.schedule.cover import Blocks, Cover, Mask, walk_cover
from tvm_aie.schedule.geometry import Geometry
from tvm_aie.schedule.joined import input_line
from tvm_aie.schedule.load import HEADER_BYTES, front_header_bytes, header_bytes
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling, active_rows

W_MAGIC = 0x0A1E0002
DENSE_ROWS, WIDE_INPUT, WIDE_OUTPUT, PARTIAL, FRONT_DENSE = 1, 2, 4, 8, 16  # flags of a message
Int8Array = npt.NDArray[np.int8]


@dataclass(frozen=True)
class ScaleTerms:
    """Factor (int8) and term (int32) of every channel of the input: (in blocks, 8)."""

    factor: Int8Array
    bias: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PackedConv:
    """tiles: int8 (out blocks, in blocks, kh, kw, 8 k, 8 n); blocks: what is live in them; bias: int32.

    bias has a row per stage and out blocks * 8 columns; shift: int16 (out blocks,), what each adds to the shift of the
    convolution's rounding. ``residual``: the second stage adds a tensor; messages then say
    where a core row's share of it begins.
    """

    tiles: Int8Array
    blocks: Blocks
    bias: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int16]
    residual: bool = False
    scale: ScaleTerms | None = None
    front: PackedConv | None = None

    @property
    def live(self) -> Mask:
        """Gamma."""
        return self.blocks.live


def pack_conv(conv: Conv, source: View, target: View) -> PackedConv:
    """Apply the channel maps and cut the weight into mmul B tiles.

    Raises ``ProgramError`` if a bias exceeds int32 or channels of one block are rounded at different places.
    """
    front = None
    if conv.front is not None:
        inner = front_view(conv.front)
        front, source = pack_conv(conv.front, source, inner), inner
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
    shift, scale = _block_shifts(conv, target), _scale_terms(conv, source)
    return PackedConv(tiles, Blocks.of(tiles), bias.astype(np.int32), shift, len(conv.inputs) == 2, scale, front)


# Weights of a layer, with the layer, in the places of its input and output channels.
Packed = dict[tuple[int, View, View], tuple[Conv, PackedConv]]


def pack(physical: PhysicalGraph, known: Packed) -> dict[str, PackedConv]:
    """Weights of all convolutions; ``known``: graphs that differ in few layers share the others'."""
    out = {}
    for layer in physical.layers:
        if isinstance(layer, Conv):
            source, target = physical.views[layer.input], physical.views[layer.output]
            key = id(layer), source, target  # whose id stays its own, as it is kept
            if key not in known:
                known[key] = layer, pack_conv(layer, source, target)
            out[layer.name] = known[key][1]
    return out


def _block_shifts(conv: Conv, target: View) -> npt.NDArray[np.int16]:
    out = np.zeros(target.blocks, np.int16)
    if conv.shifts:
        if not whole_blocks(conv, target):
            raise ProgramError(f"layer {conv.name}: channels of one block have different shifts")
        out[np.asarray(target.cmap) // BLOCK] = conv.shifts
    return out


def _scale_terms(conv: Conv, source: View) -> ScaleTerms | None:
    if conv.scale_before is None:
        return None
    scale = scale_of(conv.scale_before)
    assert scale is not None
    factor, bias = np.zeros(source.blocks * BLOCK, np.int8), np.zeros(source.blocks * BLOCK, np.int32)
    factor[np.asarray(source.cmap)], bias[np.asarray(source.cmap)] = scale.factor, scale.bias
    return ScaleTerms(factor.reshape(-1, BLOCK), bias.reshape(-1, BLOCK))


def item_weights(item: WorkItem, graph: PhysicalGraph, packed: Mapping[str, PackedConv]) -> PackedConv | None:
    """The weights of an item: those of its members, one after the other; None for channel-wise layers."""
    parts = [packed[graph.layers[m].name] for m in item.members if isinstance(graph.layers[m], Conv)]
    if len(parts) < 2:
        return parts[0] if parts else None
    # The opcodes have the shift of the first member.
    own = [layer.requant.shift for m in item.members if isinstance(layer := graph.layers[m], Conv)]
    return _joint(tuple(parts), tuple(own))


MOST_JOINT = 64  # siblings' weights that are kept: plans ask for the same again and again


@lru_cache(MOST_JOINT)
def _joint(parts: tuple[PackedConv, ...], own: tuple[int, ...]) -> PackedConv:
    """``own``: shift of each part's layer."""
    tiles = np.concatenate([p.tiles for p in parts])
    shift = np.concatenate([p.shift + np.int16(s - own[0]) for p, s in zip(parts, own, strict=True)])
    return PackedConv(tiles, Blocks.of(tiles), np.concatenate([p.bias for p in parts], axis=1), shift)


def verify_covers(
    items: Sequence[WorkItem], tilings: Sequence[Tiling], graph: PhysicalGraph, packed: Mapping[str, PackedConv]
) -> None:
    """Raise ``ProgramError`` unless every live tap of every convolution is in one piece of its tiling's cover.

    What a cover leaves out is neither stored nor multiplied: a tiling found for other weights of the same shape would
    compute something else without a complaint.
    """
    for item, tiling in zip(items, tilings, strict=True):
        layers = [layer for m in item.members if isinstance(layer := graph.layers[m], Conv)]
        if layers and tiling.cover is not None:
            blocks = [packed[layer.name].blocks for layer in layers]
            whole = Blocks(np.concatenate([b.taps for b in blocks]), np.concatenate([b.narrow for b in blocks]))
            try:
                tiling.cover.verify(whole)
            except ProgramError as error:
                raise ProgramError(f"layer {layers[0].name}: {error}") from None


def conv_messages(
    packed: PackedConv, tiling: Tiling, geo: Geometry, row: int, slot: int, o_slot: int
) -> Iterator[bytes]:
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
        part = begin, end, tiling.o_slots_of(end - begin, o_slot), row * tiling.nob
        passes.append([_conv_message(packed, tiling, geo, part, ck, slot, share) for ck in range(tiling.n_ck)])
    if tiling.order == PASSES_INSIDE:
        passes = [[message for chunks in passes for message in chunks]]
    for chunks in passes:
        for _ in range(steps):
            yield from chunks


@dataclass(frozen=True)
class Streams:
    """Weight streams of items and core rows, found once for the plans of a network that have them in common.

    By all that they depend on; weights and covers are kept, so that their ids stay theirs. ``most``: bytes.
    """

    most: int = 64 << 20
    known: dict[tuple[object, ...], tuple[object, object, bytes]] = field(default_factory=dict)
    total: list[int] = field(default_factory=lambda: [0])

    def of(self, packed: PackedConv, tiling: Tiling, geo: Geometry, row: int, slot: int, o_slot: int) -> bytes:
        """``conv_messages`` one behind the other."""
        t = tiling
        steps = t.n_x * max(n for _, n in t.bands) if t.weights_per_band else 1
        sent = tuple([t.o_slots_of(blocks, o_slot) for blocks in range(t.nob + 1)])
        cut = t.block_rows, t.nob, t.n_pass, t.ckb, t.n_ck, steps, sent, t.a_resident, t.diagonal, t.order
        window = input_line(geo, t), geo.kh, geo.kw, geo.dy, geo.dx, geo.in_elem, geo.out_elem
        key = id(packed), row, slot, cut, id(t.cover), window
        if key in self.known:
            return self.known[key][2]
        stream = b"".join(conv_messages(packed, t, geo, row, slot, o_slot))
        if self.total[0] + len(stream) <= self.most:
            self.total[0] += len(stream)
            self.known[key] = packed, t.cover, stream
        return stream


def _conv_message(
    packed: PackedConv,
    tiling: Tiling,
    geo: Geometry,
    part: tuple[int, int, int, int],
    ck: int,
    slot: int,
    share: tuple[int, int],
) -> bytes:
    """``part``: first and last output block of the message, its output slots, the place of its own input blocks in a
    diagonal activation message."""
    (begin, end, o_slots, own), in_blocks = part, packed.tiles.shape[1]
    c_lo, c_hi = ck * tiling.ckb, min((ck + 1) * tiling.ckb, in_blocks)
    base = 0 if tiling.a_resident else min(c_lo, in_blocks - tiling.ckb)
    if tiling.diagonal:
        c_lo, c_hi, base = begin, end, begin - own
    n_ocb = end - begin
    wide = WIDE_INPUT * (geo.in_elem == 2) | WIDE_OUTPUT * (geo.out_elem == 2)
    if n_ocb == 0:
        return message(slot, Contents(0, 0, 0, b"\0\0", b"", len(packed.bias), flags=wide))
    cover = tiling.cover or walk_cover(packed.live, geo.kh, geo.kw)
    live = cover.blocks[begin:end, c_lo:c_hi]
    rows, cols = np.nonzero(live)
    partial = ck < tiling.n_ck - 1  # what only the rounding needs comes with the last input chunk
    biases = 0 if partial else len(packed.bias)
    extra = packed.bias[:biases, begin * BLOCK : end * BLOCK].astype("<i4").tobytes()
    scaled = 0
    if packed.scale is not None:
        scaled, blocks = tiling.ckb, slice(base, base + tiling.ckb)
        extra += packed.scale.bias[blocks].astype("<i4").tobytes() + packed.scale.factor[blocks].tobytes()
    extra += b"" if partial else packed.shift[begin:end].astype("<i2").tobytes()
    extra += _pointers(live.sum(axis=1)) + (cols + c_lo - base).astype("<u2").tobytes()
    whole = len(rows) == live.size
    tiles = (packed.tiles[begin:end, c_lo:c_hi] if whole else packed.tiles[rows + begin, cols + c_lo]).tobytes()
    line = input_line(geo, tiling)
    step = (in_blocks if tiling.a_resident else tiling.ckb) * line
    lists = _lists(packed, cover, (begin, end, c_lo, c_hi), np.array([geo.dy * step, line, geo.dx]), c_lo - base)
    lengths = (lists.taps, lists.pairs, n_ocb * geo.kh if lists.addresses else 0)
    if lists.addresses:
        extra, tiles = extra + lists.addresses, tiles + lists.tiles
    counts = n_ocb, o_slots, len(rows)
    flags = DENSE_ROWS * cover.dense | wide | PARTIAL * partial
    contents = Contents(*counts, extra, tiles, biases, share, lengths, flags, scaled)
    return message(slot, contents if packed.front is None else _with_front(contents, packed.front))


def _with_front(contents: Contents, front: PackedConv) -> Contents:
    """With the 1x1 convolution in front, all of it: its header's part and its tiles come behind the window's."""
    live = front.live
    rows, cols = np.nonzero(live)
    part = front.bias[0].astype("<i4").tobytes() + front.shift.astype("<i2").tobytes()
    part += _pointers(live.sum(axis=1)) + cols.astype("<u2").tobytes()
    tiles = front.tiles[rows, cols].tobytes()
    return replace(contents, flags=contents.flags | FRONT_DENSE, front=(len(live), len(rows), part, tiles))


def _pointers(counts: npt.NDArray[np.int64]) -> bytes:
    """Running sums of ``counts`` from 0 on, uint16."""
    return np.concatenate([[0], np.cumsum(counts.ravel())]).astype("<u2").tobytes()


@dataclass(frozen=True)
class _Lists:
    """Unrolled lists of a message: pointers and addresses, tiles, and their lengths."""

    addresses: bytes = b""
    tiles: bytes = b""
    taps: int = 0
    pairs: int = 0


def _lists(
    packed: PackedConv, cover: Cover, part: tuple[int, int, int, int], scale: npt.NDArray[np.int64], shift: int
) -> _Lists:
    """The listed taps of ``part`` (out blocks, in blocks), sorted by output block and tap row.

    ``scale``: pixels of A from one tap row, input block and tap column to the next; ``shift``: the part's first input
    block in the activation message. Taps in int4 are paired in order; the odd one out of a tap row is listed as int8.
    """
    begin, end, c_lo, c_hi = part
    taps, low = cover.taps[begin:end, c_lo:c_hi], cover.low[begin:end, c_lo:c_hi]
    if not taps.any() and not low.any():
        return _Lists()
    # (out block, ky, in block, kx), which is the order of the lists
    order = (0, 2, 1, 3)
    wide, fine = taps.transpose(order).copy(), low.transpose(order).copy()
    odd = np.nonzero(fine.sum(axis=(2, 3)) % 2)
    for o, ky in zip(*odd, strict=True):
        last = np.argwhere(fine[o, ky])[-1]
        fine[o, ky, last[0], last[1]] = False
        wide[o, ky, last[0], last[1]] = True

    def entries(mask: Mask) -> tuple[bytes, npt.NDArray[np.int8]]:
        o, ky, block, kx = np.nonzero(mask)
        address = np.stack([ky, block + shift, kx], axis=1) @ scale
        return address.astype("<u2").tobytes(), packed.tiles[o + begin, block + c_lo, ky, kx]

    wide_at, wide_tiles = entries(wide)
    fine_at, fine_tiles = entries(fine)
    pointers = _pointers(wide.sum(axis=(2, 3))) + _pointers(fine.sum(axis=(2, 3)) // 2)
    nibbles = fine_tiles.reshape(-1, 2).astype(np.uint8) & 15
    packed_int4 = (nibbles[:, 0] | nibbles[:, 1] << 4).astype(np.uint8).tobytes()
    return _Lists(
        pointers + wide_at + fine_at, wide_tiles.tobytes() + packed_int4, int(wide.sum()), int(fine.sum()) // 2
    )


@dataclass(frozen=True)
class Contents:
    """A weight message without its padding: ``extra`` is bias, scales, shifts, row_ptr, columns and lists.

    ``biases``: of each output channel; 0: the message has no shifts either.
    ``share``: first residual block and residual blocks per message (or cb0, 0); ``lists``: taps, pairs and segments.
    """

    n_ocb: int
    o_slots: int
    nnz: int
    extra: bytes
    tiles: bytes
    biases: int = 1
    share: tuple[int, int] = (0, 0)
    lists: tuple[int, int, int] = (0, 0, 0)
    flags: int = 0
    scaled: int = 0  # input blocks with factors and terms
    front: tuple[int, int, bytes, bytes] = (0, 0, b"", b"")  # of a front: blocks, tiles, its header's part, the tiles


def message(slot: int, c: Contents) -> bytes:
    """Header, ``extra`` and tiles, padded to whole slots."""
    taps, pairs, segments = c.lists
    header = HEADER_BYTES
    if c.extra:
        header = header_bytes(c.n_ocb, c.nnz, c.biases, segments, taps + 2 * pairs, c.scaled)
    blocks, front_nnz, part, front_tiles = c.front
    whole = header + (front_header_bytes(blocks, front_nnz) if blocks else 0)
    n_slots = -(-(whole + len(c.tiles) + len(front_tiles)) // slot)
    fixed = [W_MAGIC, n_slots, whole, c.n_ocb, c.o_slots, c.nnz, *c.share, taps, pairs, c.flags]
    fixed += [header, whole + len(c.tiles), blocks, front_nnz] if blocks else []
    words = np.array(fixed + [0] * (16 - len(fixed)), "<i4").tobytes()
    size = whole + len(c.tiles) + len(front_tiles)
    gaps = header - len(words) - len(c.extra), whole - header - len(part), n_slots * slot - size
    zeros = [bytes(gap) for gap in gaps]
    return b"".join((words, c.extra, zeros[0], part, zeros[1], c.tiles, front_tiles, zeros[2]))


def empty_message(slots: int, slot: int) -> bytes:
    """A message of so many ``slots`` that no kernel reads."""
    return message(slot, Contents(0, 0, 0, b"", bytes(slots * slot - HEADER_BYTES)))


def channelwise_message(tiling: Tiling, geo: Geometry, row: int, slot: int, o_slot: int) -> bytes:
    """Which channel blocks of each chunk core row ``row`` owns."""
    first, last = tiling.block_rows[row]
    n = last - first
    share, flags = (first if n else 0, 0), WIDE_INPUT * (geo.in_elem == 2)
    return message(slot, Contents(n, tiling.o_slots_of(n, o_slot), 0, b"", b"", share=share, flags=flags))
