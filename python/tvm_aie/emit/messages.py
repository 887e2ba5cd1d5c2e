"""The messages of an item on a column's activation channel and on its cores' output channels, as pieces of memory.

Pieces of the same rows and pixels differ only in where their channel blocks begin, and those of the same sizes have one
shape: an item has up to thousands of messages, and few shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import (
    FILLER_WORDS,
    Message,
    Pads,
    Shape,
    pad_end,
    piece_shape,
    repeated_dims,
)
from tvm_aie.errors import ProgramError
from tvm_aie.memory.partition import home_of
from tvm_aie.memory.placement import InputPlace, WorkItem
from tvm_aie.plan.physical import Storage
from tvm_aie.schedule.fronts import front_message_line, front_messages, front_pixels
from tvm_aie.schedule.geometry import KernelId, ceil_div
from tvm_aie.schedule.order import PASSES_INSIDE, steps
from tvm_aie.schedule.tiling import Tiling, active_rows, kept_slots


@dataclass(frozen=True)
class Operand:
    """One input of an item: its place and its storage."""

    place: InputPlace
    storage: Storage


# A piece that moves with its message: shape, base, bytes by which the base moves per channel block and per pass.
Moving = tuple[Shape, int, int, int]
# Where a piece is, as far as its shape depends on it: operand, column that holds it, rows.
Owned = tuple[int, int, int]


def input_messages(
    array: Array, item: WorkItem, tiling: Tiling, operands: Sequence[Operand], column: int
) -> list[Message]:
    """The activation messages of one column in the order in which its cores consume them, fillers included."""
    geo = item.geometry
    first, last = item.out_rows[column]
    n_b = tiling.bands[column][1]
    conv = geo.kernel == KernelId.CONV
    make = _InputPieces(array, item, tiling, operands, column)
    if tiling.a_resident:
        return [tuple((shape, base) for shape, base, _, _ in make.pieces((0, tiling.width), (first, last - first), 0))]
    one_pass: list[Message] = []
    if tiling.front:
        return [tuple((shape, base) for shape, base, _, _ in row) for row in make.single_rows()]
    if tiling.kept:
        whole = make.pieces((0, tiling.width), (first, last - first), 0, True)
        one_pass.append(tuple((shape, base) for shape, base, _, _ in whole))
    same_passes = conv and not (geo.residual or tiling.diagonal)
    passes = 1 if same_passes else tiling.n_pass
    for p, x, b in steps(tiling, passes, n_b):
        pieces = make.at(x, b, active_rows(tiling, p) if geo.residual else 0)
        if tiling.diagonal:  # each core row's output blocks of the pass
            blocks = [p * tiling.nob]
        else:
            most = geo.in_blocks - tiling.ckb
            blocks = [min((ck if conv else p) * tiling.ckb, most) for ck in range(tiling.n_ck)]
        for block in blocks:
            one_pass.append(tuple([(s, base + block * each + p * own) for s, base, each, own in pieces]))
    if same_passes and tiling.order != PASSES_INSIDE:
        return one_pass * tiling.n_pass
    return one_pass


def input_spans(tiling: Tiling, n: int) -> tuple[tuple[float, float], ...]:
    """Begin and end of the ``n`` activation messages of a column, in shares of the item.

    The input that is kept in ACC and the message behind it share the span of one output message.
    """
    steps = n - (tiling.kept > 0)
    out = [(k / steps, (k + 1) / steps) for k in range(steps)]
    if tiling.kept:
        begin, end = out[0]
        out[:1] = [(begin, (begin + end) / 2), ((begin + end) / 2, end)]
    return tuple(out)


class _InputPieces:
    """Pieces of the activation messages of one column under a tiling, from channel block 0 on."""

    def __init__(self, array: Array, item: WorkItem, tiling: Tiling, operands: Sequence[Operand], column: int) -> None:
        geo = item.geometry
        self.array, self.geo, self.tiling, self.operands, self.column = array, geo, tiling, operands, column
        self.rows, self.band = item.out_rows[column], tiling.bands[column][0]
        # Each core row's blocks of a pass are so many times ``blocks`` blocks, and how many apart.
        self.blocks, self.groups = geo.front.in_blocks if geo.front else tiling.ckb, (1, 0)
        if tiling.a_resident:
            self.blocks = geo.in_blocks
        elif tiling.diagonal:
            self.blocks, self.groups = tiling.nob, (len(tiling.block_rows), tiling.block_rows[0][1])
        self.known: dict[tuple[int, int, int], list[Moving]] = {}
        self.shapes: dict[tuple[object, ...], tuple[tuple[Shape, ...], Message]] = {}

    def at(self, x: int, b: int, active: int) -> list[Moving]:
        """Of width chunk ``x`` and band ``b``; ``active``: core rows that take a residual."""
        if (x, b, active) not in self.known:
            first, last = self.rows
            x0 = min(x * self.tiling.width, self.geo.w_out - self.tiling.width)
            y = first + min(b * self.band, last - first - self.band)
            self.known[x, b, active] = self.pieces((x0, self.tiling.width), (y, self.band), active)
        return self.known[x, b, active]

    def single_rows(self) -> Iterator[list[Moving]]:
        """A message per row that the column's windows cover; in place of one that none reads a row near it."""
        geo, (band, n_b) = self.geo, self.tiling.bands[self.column]
        first, _ = geo.window_rows(self.rows[0], band)
        begin, end = geo.rows_in(self.rows[0], self.rows[1] - self.rows[0])
        for row in range(first, first + front_messages(geo, band, n_b)):
            lo = min(max(row, begin), end - 1)
            yield self._gathered((0, self.tiling.width), (lo, lo + 1), self.operands, None, 0, self.tiling.a_slots)

    def pieces(self, pixels: tuple[int, int], rows: tuple[int, int], active: int, kept: bool = False) -> list[Moving]:
        """Of output ``pixels`` and ``rows`` (first, count): input rows by the memtile that holds them, then fillers.

        ``kept``: the message with the input that is kept in ACC (``Tiling.kept``), which the others lack.
        """
        geo = self.geo
        sources = self.operands[:1] if geo.residual else self.operands
        slots = kept_slots(self.tiling, geo, rows[1]) if kept else self.tiling.a_slots
        added = rows if geo.residual and not kept else None
        return self._gathered(
            pixels, geo.rows_in(*rows), sources if kept or not self.tiling.kept else (), added, active, slots
        )

    def _gathered(
        self,
        pixels: tuple[int, int],
        rows: tuple[int, int],
        sources: Sequence[Operand],
        added: tuple[int, int] | None,
        active: int,
        slots: int,
    ) -> list[Moving]:
        """Input rows [lo, hi) of ``sources`` for output ``pixels``, and the residual of output rows ``added``."""
        geo = self.geo
        begin, count, pads = self._line(pixels)
        owned: list[Owned] = []
        bases: list[tuple[int, int, int]] = []
        for k, operand in enumerate(sources):
            place, storage = operand.place, operand.storage
            line = storage.width * storage.pixel_bytes
            start = place.address + begin * geo.px_step * storage.pixel_bytes
            start += place.first * line if place.resident else 0
            for owner, first, n in self._owners(place, *rows, geo.row_step):
                owned.append((k, owner, n))
                bases.append((start + first * place.buffer_blocks * line, line, 0))
        if added:
            for owner, n, base, each in self._residual(added, pixels[0]):
                owned.append((1, owner, n))
                bases.append((base, 0, each))
        if self.tiling.joined and len({k for k, _, _ in owned}) != len(owned):
            raise ProgramError("lines of two memtiles cannot be joined")
        key = (tuple(owned), count, pads, active, slots)
        if key not in self.shapes:
            self.shapes[key] = self._filled([self._shape(o, count, pads, active) for o in owned], slots)
        shapes, filler = self.shapes[key]
        return [*((s, *base) for s, base in zip(shapes, bases, strict=True)), *((s, base, 0, 0) for s, base in filler)]

    def _line(self, pixels: tuple[int, int]) -> tuple[int, int, Pads]:
        """First pixel of the input line that is read, how many, and the zeros before and behind them (words)."""
        geo = self.geo
        if geo.front:  # the window's padding is in ACC alone
            live = front_pixels(geo)
            behind = front_message_line(geo, self.array.overlay.a_slot) - live
            return 0, live, ((0, behind),) if behind else ()
        first, count = 0, geo.w_in
        if geo.kernel == KernelId.CONV and not geo.pool_before:
            first = geo.conv_x(pixels[0]) * geo.sx - geo.pad_left
            count = self.tiling.line or geo.line_px(pixels[1])
        elif self.tiling.n_x > 1 and geo.kernel != KernelId.CONV:
            first = pixels[0] // geo.kw if geo.kernel == KernelId.UPSAMPLE else pixels[0] * geo.sx
            count = geo.line_px(pixels[1])
        begin, end = max(first, 0), min(first + count, geo.w_in)
        if begin == first and end == first + count:
            return begin, end - begin, ()
        return begin, end - begin, ((begin - first, first + count - end),)

    def _owners(self, place: InputPlace, lo: int, hi: int, step: int) -> list[tuple[int, int, int]]:
        """(column, first row in its buffer, rows) of rows [lo, hi), each of which is every ``step``-th of the image."""
        owners = (self.column - 1, self.column, self.column + 1) if place.resident else (self.column,)
        out = []
        for owner in owners:
            if 0 <= owner < self.array.cols:
                own_lo, own_hi = place.rows[owner]
                begin, end = max(lo, ceil_div(own_lo, step)), min(hi, ceil_div(own_hi, step))
                if begin < end:
                    out.append((owner, begin * step - own_lo, end - begin))
        return out

    def _residual(self, rows: tuple[int, int], x0: int) -> list[tuple[int, int, int, int]]:
        """(column, rows, base in the first pass, bytes from pass to pass) of the residual of output ``rows``."""
        place, storage = self.operands[1].place, self.operands[1].storage
        line = storage.width * storage.pixel_bytes
        first = (place.first if place.resident else 0) + self.tiling.block_rows[0][0]
        start = place.address + first * line + self.geo.conv_x(x0) * storage.pixel_bytes
        found = self._owners(place, *self.geo.residual_rows(*rows), 1)
        return [(o, n, start + at * place.buffer_blocks * line, self.tiling.nob * line) for o, at, n in found]

    def _shape(self, owned: Owned, count: int, pads: Pads, active: int) -> Shape:
        """``count`` pixels of some rows; of the residual: every core row's blocks of a pass, for ``width`` pixels."""
        (k, owner, n), geo, tiling = owned, self.geo, self.tiling
        place, storage = self.operands[k].place, self.operands[k].storage
        mem = self.array.memtile(owner)
        px = storage.pixel_bytes // 4
        line_words = storage.width * px
        if k and geo.residual:
            dims = [(n, place.buffer_blocks * line_words)]
            share = tiling.block_rows[0][1] - tiling.block_rows[0][0]
            if tiling.nob == share:
                dims.append((active * share, line_words))
            else:
                dims += [(active, share * line_words), (tiling.nob, line_words)]
            if tiling.joined:
                dims = [*dims[1:], dims[0]]
            return piece_shape(mem, (*dims, (px * geo.conv_px(tiling.width), 1)), self.array.device.memtile_bd)
        dims = [(n, place.buffer_blocks * line_words * geo.row_step)]
        if self.groups[0] > 1:
            dims.append((self.groups[0], self.groups[1] * line_words))
        dims.append((self.blocks, line_words))
        if tiling.joined:
            return self._joined_shape(mem, [*dims[1:], dims[0]], px * count, tuple((px * a, px * b) for a, b in pads))
        if geo.px_step > 1:
            dims += [(count, px * geo.px_step), (px, 1)]
        else:
            dims.append((px * count, 1))
        words: Pads = tuple((px * before, px * behind) for before, behind in pads)
        return piece_shape(mem, dims, self.array.device.memtile_bd, words)

    def _joined_shape(self, mem: int, dims: Sequence[tuple[int, int]], line: int, pads: Pads) -> Shape:
        """Lines of ``line`` words, those of a channel block together; zeros for rows below the image (``dims``)."""
        rows, limits = self.geo.conv_rows(self.band), self.array.device.memtile_bd
        missing = rows - dims[-1][0]
        if missing:
            outer = [d for d in dims[:-1] if d[0] > 1]
            return Shape(mem, (*outer, dims[-1], (line, 1)), ((0, missing), *(pads or ((0, 0),))))
        return piece_shape(mem, (*dims, (line, 1)), limits, pads)

    def _filled(self, shapes: list[Shape], slots: int) -> tuple[tuple[Shape, ...], Message]:
        """Up to whole slots: zero padding at the end of the last piece, else filler words (any initialised memory)."""
        words = slots * self.array.overlay.a_slot // 4 - sum(s.words for s in shapes)
        padded = pad_end(shapes[-1], words, self.array.device.memtile_bd) if words else None
        if padded is not None:
            return (*shapes[:-1], padded), ()
        return tuple(shapes), filler(self.array, self.column, words)


def filler(array: Array, column: int, words: int) -> Message:
    """Words from the start of the opcode region."""
    mt, region = array.memtile(column), array.w_ring_bytes
    return tuple((Shape(mt, dims), region) for dims in repeated_dims(words, FILLER_WORDS))


def output_messages(
    array: Array,
    item: WorkItem,
    tiling: Tiling,
    storages: Sequence[Storage],
    column: int,
    row: int,
    junk: int,
    junk_bytes: int,
) -> list[Message]:
    """The output messages of core (column, row); what a message has beyond its data sinks at address ``junk``.

    ``storages``: of the item's outputs.
    """
    geo = item.geometry
    first, last = item.out_rows[column]
    band, n_b = tiling.bands[column]
    conv = geo.kernel == KernelId.CONV
    block_first, block_last = tiling.block_rows[row]
    o_slot = array.overlay.o_slot
    known: dict[tuple[int, int], list[Moving]] = {}
    messages: list[Message] = []
    for p, x, b in steps(tiling, tiling.n_pass, n_b):
        if conv:
            begin, end = block_first + p * tiling.nob, min(block_first + (p + 1) * tiling.nob, block_last)
        else:
            chunk = min(p * tiling.ckb, geo.out_blocks - tiling.ckb)
            begin, end = chunk + block_first, chunk + block_last
        if end <= begin:
            continue
        x0 = min(x * tiling.width, geo.w_out - tiling.width)
        y = first + min(b * band, last - first - band)
        for part in [(k, k + 1) for k in range(begin, end)] if tiling.per_block else [(begin, end)]:
            if part not in known:
                found = _output_pieces(array, item, storages, column, part, (band, tiling.width))
                rest = tiling.o_slots_of(end - begin, o_slot) * o_slot // 4 - sum(piece[0].words for piece in found)
                sink = repeated_dims(rest, junk_bytes // 4)
                known[part] = found + [(Shape(array.memtile(column), dims), junk, 0, 0) for dims in sink]
            messages.append(tuple([(s, base + y * line + x0 * px) for s, base, line, px in known[part]]))
    return messages


def output_spans(tiling: Tiling, column: int, row: int, n: int) -> list[tuple[float, float]]:
    """Begin and end of the output messages of core (column, row), in shares of the item.

    ``n``: messages of the row with most. Blocks that are sent one by one share the span of the last input chunk.
    """
    if not tiling.per_block:
        return [(k / n, (k + 1) / n) for k in range(n)]
    first, last = tiling.block_rows[row]
    pieces = list(steps(tiling, tiling.n_pass, tiling.bands[column][1]))
    out: list[tuple[float, float]] = []
    chunk = 1 / (tiling.n_ck * len(pieces))
    for k, (p, _, _) in enumerate(pieces):
        blocks = max(0, min(tiling.nob, last - first - p * tiling.nob))
        begin = (k * tiling.n_ck + tiling.n_ck - 1) / (tiling.n_ck * len(pieces))
        out += [(begin + chunk * j / blocks, begin + chunk * (j + 1) / blocks) for j in range(blocks)]
    return out


def _output_pieces(
    array: Array,
    item: WorkItem,
    storages: Sequence[Storage],
    column: int,
    blocks: tuple[int, int],
    size: tuple[int, int],
) -> list[Moving]:
    """Output blocks [first, last) of ``size`` (rows, pixels), by the tensor that they belong to.

    Bases are of row 0 and pixel 0, with the bytes from row to row and from pixel to pixel.
    """
    pieces: list[Moving] = []
    start = 0
    for out, storage in zip(item.outputs, storages, strict=True):
        begin, end = max(blocks[0], start), min(blocks[1], start + out.blocks)
        if begin < end:
            px = storage.pixel_bytes // 4
            line_words = storage.width * px
            row_words = out.buffer_blocks * line_words
            block = begin - start + (0 if out.buffer_blocks == out.blocks else out.first)
            home = home_of(item.out_rows[column], out.rows, column)
            base = out.address + (block * line_words - out.rows[home][0] * row_words) * 4
            dims = (end - begin, line_words), (size[0], row_words), (px * size[1], 1)
            shape = piece_shape(array.memtile(home), dims, array.device.memtile_bd)
            pieces.append((shape, base, 4 * row_words, 4 * px))
        start += out.blocks
    return pieces
