"""Messages as DMA tasks: each message is a list of pieces; runs of like messages become iterated descriptors."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import gcd

from tvm_aie.device import BdLimits, Device
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import LockUse
from tvm_aie.memory.placement import InputPlace, WorkItem
from tvm_aie.plan.physical import Storage
from tvm_aie.schedule.geometry import KernelId
from tvm_aie.schedule.order import PASSES_INSIDE, steps
from tvm_aie.schedule.tiling import Tiling, active_rows, kept_slots

Dims = tuple[tuple[int, int], ...]
Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Shape:
    """A piece without its address: memory, dims (words, outermost first), padding."""

    mem: int
    dims: Dims
    pads: Pads = ()

    @property
    def words(self) -> int:
        """Words on the stream."""
        total = 1
        for i, (size, _) in enumerate(self.dims):
            k = i - (len(self.dims) - len(self.pads))
            total *= size + (sum(self.pads[k]) if k >= 0 else 0)
        return total


Piece = tuple[Shape, int]
Message = tuple[Piece, ...]


@dataclass(frozen=True)
class BdTemplate:
    """A descriptor before it has a number: (shape, base in bytes), iteration, locks."""

    shape: Shape
    base: int
    wrap: int = 1
    step: int = 0
    acquire: LockUse | None = None
    release: LockUse | None = None
    control: bool = False


@dataclass(frozen=True)
class DmaTask:
    """Messages first..last of a channel's sequence as one task: a chain executed ``repeat`` times."""

    first: int
    last: int
    chain: tuple[BdTemplate, ...]
    repeat: int


# A task of few messages is unrolled into a chain if that takes at most so many more descriptors.
UNROLL_A, UNROLL_O = 4, 1
# Descriptors of a chain that repeats a group of messages: pools have 8 per channel, and the next task needs some.
# Groups only where there are many tasks otherwise: their chains leave other channels less.
LONGEST_GROUP = 4


def tasks_of(messages: Sequence[Message], device: Device, extra: int) -> list[DmaTask]:
    """The tasks of a channel that carry these messages; ``extra``: as for ``unroll``. Below 0: none is unrolled, nor
    folded where commands cost time; where they cost nothing they still share the channels' few descriptors, and a
    channel whose messages are many small tasks waits for those of another (one command stream serves all)."""
    bd = device.memtile_bd
    limits = Limits(device.repeat_max, device.iteration_wrap_max, bd.iteration_step_max_words)
    if extra < 0 and not device.core_ideal:
        return compress(messages, limits)
    folded = fold(messages, bd.dims, bd.length_max_words, bd.step_max_words, bd.wrap_max(0))
    counts = [n for n, _ in folded]
    begins = [0, *accumulate(counts)]
    whole = [m for _, m in folded]
    tasks = compress(whole, limits, counts)
    if device.core_ideal and len(tasks) > 4 * device.queue_depth:
        tasks = compress(whole, replace(limits, group=LONGEST_GROUP), counts)
    tasks = [replace(t, first=begins[t.first], last=begins[t.last + 1] - 1) for t in tasks]
    return tasks if extra < 0 else [unroll(t, extra) for t in tasks]


@dataclass(frozen=True)
class Limits:
    """Of a task: executions, wrap and step (words) of its descriptors' iteration, descriptors of a repeated group."""

    repeat: int
    wrap: int
    step: int
    group: int = 0


def compress(messages: Sequence[Message], limits: Limits, counts: Sequence[int] = ()) -> list[DmaTask]:
    """Cut a message sequence into tasks, longest run first (greedy).

    A run has messages of one shape whose bases advance by constant steps, wrapping around after ``w`` messages; or it
    has groups of messages that do so place by place. ``counts``: how many messages each was folded from; those of a run
    are equal.
    """
    kinds = _kinds(messages)
    if counts:
        numbers: dict[tuple[int, int], int] = {}
        kinds = [numbers.setdefault(pair, len(numbers)) for pair in zip(kinds, counts, strict=True)]
    tasks = []
    i = 0
    while i < len(messages):
        size, n, wrap, steps = _longest(messages, kinds, i, limits)
        head = [piece for message in messages[i : i + size] for piece in message]
        chain = tuple(
            BdTemplate(shape, base, wrap if step else 1, step // 4)
            for (shape, base), step in zip(head, steps, strict=True)
        )
        tasks.append(DmaTask(i, i + n * size - 1, chain, n))
        i += n * size
    return tasks


def _longest(
    messages: Sequence[Message], kinds: Sequence[int], start: int, limits: Limits
) -> tuple[int, int, int, tuple[int, ...]]:
    """(messages of a group, groups, wrap, steps in bytes) of a run; larger groups only where they go twice as far."""
    best = 1, *_run(messages, kinds, start, 1, limits)
    size, descriptors = 1, len(messages[start])
    while start + 2 * (size + 1) <= len(messages) and start + best[0] * best[1] < len(messages):
        descriptors += len(messages[start + size])
        size += 1
        if descriptors > limits.group:
            break
        n, wrap, steps = _run(messages, kinds, start, size, limits)
        if n * size >= 2 * best[0] * best[1]:
            best = size, n, wrap, steps
    return best


def _kinds(messages: Sequence[Message]) -> list[int]:
    """A number per message, equal for messages of the same shapes: numbers compare faster than shapes."""
    numbers: dict[tuple[Shape, ...], int] = {}
    known: dict[int, int] = {}  # passes repeat the same message objects
    out = []
    for message in messages:
        kind = known.get(id(message))
        if kind is None:
            kind = known[id(message)] = numbers.setdefault(tuple(s for s, _ in message), len(numbers))
        out.append(kind)
    return out


def fold(
    messages: Sequence[Message], dims_max: int, length_max: int, step_max: int, wrap_max: int
) -> list[tuple[int, Message]]:
    """(number of messages, pieces): a run of single-piece messages at a constant step becomes one, a dimension more.

    A stream has no message borders, so one descriptor can carry several messages if nothing lies between them.
    ``wrap_max``: of the dimensions inside the new one.
    """
    out: list[tuple[int, Message]] = []
    i = 0
    while i < len(messages):
        shape, base = messages[i][0]
        n = 1
        if len(messages[i]) == 1 and i + 1 < len(messages):
            step = messages[i + 1][0][1] - base
            linear = len(shape.dims) == 1 and shape.dims[0][1] == 1 and not shape.pads and step == 4 * shape.words
            fits = linear or (len(shape.dims) < dims_max and shape.dims[0][0] <= wrap_max)
            possible = step > 0 and step % 4 == 0 and step // 4 <= step_max and fits
            while possible and i + n < len(messages) and (n + 1) * shape.words <= length_max:
                if messages[i + n] != ((shape, base + n * step),):
                    break
                n += 1
            if n > 1:
                dims = ((n * shape.words, 1),) if linear else ((n, step // 4), *shape.dims)
                out.append((n, ((Shape(shape.mem, dims, shape.pads), base),)))
        if n == 1:
            out.append((1, messages[i]))
        i += n
    return out


def unroll(task: DmaTask, extra: int) -> DmaTask:
    """A task of few messages as a chain that runs once, if that takes at most ``extra`` more descriptors."""
    locks = any(t.acquire or t.release for t in task.chain)
    if task.repeat == 1 or (task.repeat - 1) * len(task.chain) > extra or locks:
        return task
    chain = tuple(
        replace(t, base=t.base + (k % t.wrap) * t.step * 4, wrap=1, step=0)
        for k in range(task.repeat)
        for t in task.chain
    )
    return DmaTask(task.first, task.last, chain, 1)


def merge_unused(before: BdTemplate, after: BdTemplate, area: int, words: int) -> tuple[BdTemplate, ...]:
    """Two neighbours of a chain as one descriptor where the first one's words do not matter.

    They are fillers from, or junk to, the ``words`` words at ``area``. The second is of the same kind, or an opcode
    message: it has fillers before it, as the opcode region begins at ``area``.
    """
    if before.base != area or before.control or any((before.acquire, before.release, after.acquire, after.release)):
        return before, after
    total = before.shape.words + after.shape.words
    base = after.base - 4 * before.shape.words
    if after.control and base >= area:
        return (replace(after, shape=Shape(after.shape.mem, ((total, 1),)), base=base),)
    dims = repeated_dims(total, words)
    if after.base == area and not after.control and len(dims) == 1:
        return (replace(after, shape=Shape(after.shape.mem, dims[0])),)
    return before, after


def _run(
    messages: Sequence[Message],
    kinds: Sequence[int],
    start: int,
    size: int,
    limits: Limits,
) -> tuple[int, int, tuple[int, ...]]:
    """(groups, wrap, steps in bytes) of the longest run of groups of ``size`` messages from ``start``."""

    def bases(k: int) -> list[int]:
        return [base for message in messages[start + k * size : start + (k + 1) * size] for _, base in message]

    def alike(k: int) -> bool:
        return all(kinds[start + k * size + j] == kinds[start + j] for j in range(size))

    head = bases(0)
    limit = min((len(messages) - start) // size, limits.repeat)
    if limit < 2 or not alike(1):
        return 1, 1, (0,) * len(head)
    steps = tuple(b - a for a, b in zip(head, bases(1), strict=True))
    if any(s < 0 or s % 4 or s // 4 > limits.step for s in steps):
        return 1, 1, (0,) * len(head)

    def base_is(k: int, count: int) -> bool:
        return alike(k) and all(b == a + count * s for a, b, s in zip(head, bases(k), steps, strict=True))

    n = wrap = 2
    while n < limit and wrap < (limits.wrap if any(steps) else limits.repeat) and base_is(n, n):
        n = wrap = n + 1
    while n < limit and base_is(n, n % wrap):
        n += 1
    return n, wrap, steps


@dataclass(frozen=True)
class Operand:
    """One input of an item: its place and its storage."""

    place: InputPlace
    storage: Storage


def input_messages(
    array: Array, item: WorkItem, tiling: Tiling, operands: Sequence[Operand], column: int
) -> list[Message]:
    """The activation messages of one column in the order in which its cores consume them, fillers included."""
    geo = item.geometry
    first, last = item.out_rows[column]
    band, n_b = tiling.bands[column]
    conv = geo.kernel == KernelId.CONV
    line = tiling.line or geo.line_px(tiling.width)
    if tiling.a_resident:
        lo, hi = geo.rows_in(first, last - first)
        (operand,) = operands
        pieces = _rows_pieces(array, item, operand, column, lo, hi, 0, 0, geo.in_blocks, line)
        return [_fill(array, column, pieces, tiling.a_slots * array.overlay.a_slot)]
    one_pass: list[Message] = []
    kept = tiling.kept > 0
    if kept:
        pieces = _rows_pieces(
            array, item, operands[0], column, *geo.rows_in(first, last - first), 0, 0, geo.in_blocks, line
        )
        slots = kept_slots(tiling, geo, last - first)
        one_pass.append(_fill(array, column, pieces, slots * array.overlay.a_slot))
    same_passes = conv and not (geo.residual or tiling.diagonal)
    passes = 1 if same_passes else tiling.n_pass
    for p, x, b in steps(tiling, passes, n_b):
        x0 = min(x * tiling.width, geo.w_out - tiling.width)
        y = first + min(b * band, last - first - band)
        lo, hi = geo.rows_in(y, band)
        for ck in range(tiling.n_ck):
            block = min((ck if conv else p) * tiling.ckb, geo.in_blocks - tiling.ckb)
            blocks, groups = tiling.ckb, (1, 0)
            if tiling.diagonal:  # each core row's output blocks of the pass
                block, blocks = p * tiling.nob, tiling.nob
                groups = len(tiling.block_rows), tiling.block_rows[0][1]
            parts: list[Piece] = []
            for operand in () if kept else operands[:1] if geo.residual else operands:
                parts += _rows_pieces(array, item, operand, column, lo, hi, x0, block, blocks, line, groups)
            if geo.residual:
                parts += _residual_pieces(array, operands[1], tiling, column, p, y, band, x0)
            one_pass.append(_fill(array, column, parts, tiling.a_slots * array.overlay.a_slot))
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


def _rows_pieces(
    array: Array,
    item: WorkItem,
    operand: Operand,
    column: int,
    lo: int,
    hi: int,
    x0: int,
    block: int,
    blocks: int,
    line: int,
    groups: tuple[int, int] = (1, 0),
) -> list[Piece]:
    """Input rows [lo, hi) of ``blocks`` channel blocks ``line`` pixels wide, by the memtile that holds them.

    ``groups``: so many times, and how many blocks apart.
    """
    geo, place, storage = item.geometry, operand.place, operand.storage
    px_bytes = storage.pixel_bytes
    px = px_bytes // 4  # words per pixel
    line_words = storage.width * px
    row_bytes = place.buffer_blocks * storage.width * px_bytes
    if geo.kernel == KernelId.CONV and not geo.pool_before:
        x_first = geo.conv_x(x0) * geo.sx - geo.pad_left
        x_count = line
    else:
        x_first, x_count = 0, geo.w_in
    begin = max(x_first, 0)
    end = min(x_first + x_count, geo.w_in)
    pads: Pads = ()
    if begin > x_first or end < x_first + x_count:
        pads = ((px * (begin - x_first), px * (x_first + x_count - end)),)
    owners = (column - 1, column, column + 1) if place.resident else (column,)
    out: list[Piece] = []
    for owner in owners:
        if not 0 <= owner < array.cols:
            continue
        own_lo, own_hi = place.rows[owner]
        virtual = [v for v in range(lo, hi) if own_lo <= v * geo.row_step < own_hi]
        if not virtual:
            continue
        offset = (virtual[0] * geo.row_step - own_lo) * row_bytes
        first_block = (place.first if place.resident else 0) + block
        base = place.address + offset + first_block * storage.width * px_bytes + begin * geo.px_step * px_bytes
        dims: list[tuple[int, int]] = [(len(virtual), row_bytes // 4 * geo.row_step)]
        if groups[0] > 1:
            dims.append((groups[0], groups[1] * line_words))
        dims.append((blocks, line_words))
        if geo.px_step > 1:
            dims += [(end - begin, px * geo.px_step), (px, 1)]
        else:
            dims.append((px * (end - begin), 1))
        out.append((Shape(array.memtile(owner), merge_dims(dims, pads), pads), base))
    return out


def _residual_pieces(
    array: Array, operand: Operand, tiling: Tiling, column: int, p: int, y: int, band: int, x0: int
) -> list[Piece]:
    """Rows y..y+band of the residual for pass ``p``: every core row's blocks of that pass, for ``width`` pixels."""
    place, storage = operand.place, operand.storage
    line_words = storage.width * 2
    row_words = place.buffer_blocks * line_words
    first = (place.first if place.resident else 0) + tiling.block_rows[0][0] + p * tiling.nob
    share = tiling.block_rows[0][1] - tiling.block_rows[0][0]
    n_rows = active_rows(tiling, p)
    owners = (column - 1, column, column + 1) if place.resident else (column,)
    out: list[Piece] = []
    for owner in owners:
        if not 0 <= owner < array.cols:
            continue
        lo, hi = max(y, place.rows[owner][0]), min(y + band, place.rows[owner][1])
        if hi <= lo:
            continue
        base = place.address + ((lo - place.rows[owner][0]) * row_words + first * line_words) * 4 + x0 * 8
        rows = (hi - lo, row_words)
        line = (2 * tiling.width, 1)
        if tiling.nob == share:
            dims = merge_dims((rows, (n_rows * share, line_words), line))
        else:
            dims = merge_dims((rows, (n_rows, share * line_words), (tiling.nob, line_words), line))
        out.append((Shape(array.memtile(owner), dims), base))
    return out


def merge_dims(dims: Sequence[tuple[int, int]], pads: Pads = ()) -> Dims:
    """Drop dimensions of size 1; a transfer that is one contiguous run becomes a single linear dimension."""
    words = 1
    contiguous = not pads
    for size, stride in reversed(dims):
        if size > 1 and stride != words:
            contiguous = False
        words *= size
    if contiguous:
        return ((words, 1),)
    kept = [d for d in dims[:-1] if d[0] > 1]
    return (*kept, dims[-1])


def _fill(array: Array, column: int, pieces: list[Piece], size: int) -> Message:
    """Up to ``size`` bytes: zero padding at the end of the last piece, else filler words (any initialised memory)."""
    words = size // 4 - sum(s.words for s, _ in pieces)
    if words:
        shape, base = pieces[-1]
        padded = pad_end(shape, words, array.device.memtile_bd)
        if padded is not None:
            return (*pieces[:-1], (padded, base))
    return (*pieces, *filler(array, column, words))


def repeated_dims(words: int, area: int) -> list[Dims]:
    """``words`` words from or to an area of ``area`` words whose content does not matter; rows may overlap."""
    if words <= 0:
        return []
    if words <= area:
        return [((words, 1),)]
    most = area // 2
    times = next((k for k in range(2, most) if words % k == 0 and words // k <= most), 0)
    if times:
        return [((times, 1), (words // times, 1))]
    return [((words // most, 1), (most, 1)), ((words % most, 1),)]


def pad_end(shape: Shape, words: int, limits: BdLimits) -> Shape | None:
    """The piece with ``words`` zeros behind it from its descriptor's own padding; None where that cannot be done."""
    if len(shape.dims) == 1 and shape.dims[0][1] == 1 and not shape.pads:
        total = shape.words
        if total <= limits.wrap_max(0) and words <= limits.pad_max(0):
            return Shape(shape.mem, shape.dims, ((0, words),))
        inner = gcd(total, words)
        while inner > limits.wrap_max(0):
            inner //= next(k for k in range(2, inner + 1) if inner % k == 0)
        if inner % 2 == 0 and words // inner <= limits.pad_max(1) and total // inner <= limits.wrap_max(1):
            return Shape(shape.mem, ((total // inner, inner), (inner, 1)), ((0, words // inner), (0, 0)))
        return None
    inner = shape.words // shape.dims[0][0] if len(shape.pads) < len(shape.dims) else 0
    depth = len(shape.dims) - 1
    if not inner or words % inner or not 0 < depth < 3 or words // inner > limits.pad_max(depth):
        return None
    pads = ((0, words // inner), *[(0, 0)] * (depth - len(shape.pads)), *shape.pads)
    return Shape(shape.mem, shape.dims, pads)


def place_in_ring(
    messages: Sequence[Message],
    position: int,
    slots: int,
    slot: int,
    junk: Callable[[int], Message],
    single: Container[int] = (),
) -> tuple[list[Message], int]:
    """Messages whole in a ring of ``slots`` slots of ``slot`` bytes, from ``position`` on; and the position after them.

    One that does not fit before the ring's end is preceded by ``junk(words)`` up to there. ``single``: numbers of
    messages that leave the ring slot by slot: they may be longer than the ring, and lie across its end.
    """
    out = []
    for k, message in enumerate(messages):
        size = sum(shape.words for shape, _ in message) * 4 // slot
        if position + size > slots and k not in single:
            message = (*junk((slots - position) * slot // 4), *message)
            position = 0
        out.append(message)
        position = (position + size) % slots
    return out, position


def filler(array: Array, column: int, words: int) -> Message:
    """Words from the start of the opcode region."""
    mt, region = array.memtile(column), array.w_ring_bytes
    return tuple((Shape(mt, dims), region) for dims in repeated_dims(words, FILLER_WORDS))


# The opcode region starts with this many written words, so that a filler has something to read.
FILLER_WORDS = 1024


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
        parts = [(k, k + 1) for k in range(begin, end)] if tiling.per_block else [(begin, end)]
        for part in parts:
            pieces = _output_pieces(array, item, storages, column, part, (y, band), (x0, tiling.width))
            rest = tiling.o_slots_of(end - begin, o_slot) * o_slot // 4 - sum(shape.words for shape, _ in pieces)
            pieces += [(Shape(array.memtile(column), dims), junk) for dims in repeated_dims(rest, junk_bytes // 4)]
            messages.append(tuple(pieces))
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
    rows: tuple[int, int],
    pixels: tuple[int, int],
) -> list[Piece]:
    """Output blocks [first, last) of rows (first, count), pixels (first, count), by the tensor that they belong to."""
    pieces: list[Piece] = []
    start = 0
    for out, storage in zip(item.outputs, storages, strict=True):
        begin, end = max(blocks[0], start), min(blocks[1], start + out.blocks)
        if begin < end:
            px = storage.pixel_bytes // 4
            line_words = storage.width * px
            row_words = out.buffer_blocks * line_words
            block = begin - start + (0 if out.buffer_blocks == out.blocks else out.first)
            base = out.address + ((rows[0] - out.rows[column][0]) * row_words + block * line_words + pixels[0] * px) * 4
            dims = merge_dims(((end - begin, line_words), (rows[1], row_words), (px * pixels[1], 1)))
            pieces.append((Shape(array.memtile(column), dims), base))
        start += out.blocks
    return pieces
