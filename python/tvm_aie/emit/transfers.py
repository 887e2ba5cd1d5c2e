"""Messages as DMA tasks: each message is a list of pieces; runs of like messages become iterated descriptors.

``emit.messages`` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import gcd

from tvm_aie.device import BdLimits, Device
from tvm_aie.emit.program import LockUse

Dims = tuple[tuple[int, int], ...]
Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Shape:
    """A piece without its address: memory, dims (words, outermost first), padding."""

    mem: int
    dims: Dims
    pads: Pads = ()

    @cached_property
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

    @cached_property
    def content(self) -> tuple[object, ...]:
        """Fields of its descriptors but tile, number and successor."""
        mem, *fields = self.kind
        return mem, self.base, *fields

    @cached_property
    def kind(self) -> tuple[object, ...]:
        """The same without the base."""
        shape = self.shape
        return shape.mem, shape.dims, shape.pads, self.wrap, self.step, self.acquire, self.release, self.control


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
    best = 1, *_single_run(messages, kinds, start, limits)
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
    of_shape: dict[int, int] = {}  # by identity: messages share few shapes
    numbers: dict[Shape, int] = {}
    kinds: dict[tuple[int, ...], int] = {}
    known: dict[int, int] = {}  # passes repeat the same message objects
    out = []
    for message in messages:
        kind = known.get(id(message))
        if kind is None:
            for shape, _ in message:
                if id(shape) not in of_shape:
                    of_shape[id(shape)] = numbers.setdefault(shape, len(numbers))
            kind = kinds.setdefault(tuple([of_shape[id(shape)] for shape, _ in message]), len(kinds))
            known[id(message)] = kind
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
    if after.control and base >= area and len(after.shape.dims) == 1:
        return (replace(after, shape=Shape(after.shape.mem, ((total, 1),)), base=base),)
    dims = repeated_dims(total, words)
    if after.base == area and not after.control and len(dims) == 1:
        return (replace(after, shape=Shape(after.shape.mem, dims[0])),)
    return before, after


def _single_run(
    messages: Sequence[Message], kinds: Sequence[int], start: int, limits: Limits
) -> tuple[int, int, tuple[int, ...]]:
    """``_run`` of groups of one message."""
    head, kind = messages[start], kinds[start]
    limit = min(len(messages) - start, limits.repeat)
    if limit < 2 or kinds[start + 1] != kind:
        return 1, 1, (0,) * len(head)
    steps = tuple([b - a for (_, a), (_, b) in zip(head, messages[start + 1], strict=True)])
    for s in steps:
        if s < 0 or s % 4 or s // 4 > limits.step:
            return 1, 1, (0,) * len(head)
    n, most = 2, min(limit, limits.wrap if any(steps) else limits.repeat)
    if len(head) == 1:
        base, step = head[0][1], steps[0]
        while n < most and kinds[start + n] == kind and messages[start + n][0][1] == base + n * step:
            n += 1
        wrap = n
        while n < limit and kinds[start + n] == kind and messages[start + n][0][1] == base + n % wrap * step:
            n += 1
        return n, wrap, steps
    bases = [a for _, a in head]

    def base_is(k: int, count: int) -> bool:
        if kinds[start + k] != kind:
            return False
        return [b for _, b in messages[start + k]] == [a + count * s for a, s in zip(bases, steps, strict=True)]

    while n < most and base_is(n, n):
        n += 1
    wrap = n
    while n < limit and base_is(n, n % wrap):
        n += 1
    return n, wrap, steps


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


def piece_shape(mem: int, dims: Sequence[tuple[int, int]], limits: BdLimits, pads: Pads = ()) -> Shape:
    """The shape of a piece. ``pads``: words in front of and behind the innermost dimension.

    A line that exceeds the innermost wrap (1,023 words) is two dimensions, whose outer one takes the zeros: 31 pixels
    of 8 bytes at most there, as many as 63 words otherwise. What finds no such form stays as it is: the tiling search
    cuts lines that are too long (``Geometry.sends_lines``), and ``Program.verify`` refuses the rest.
    """
    merged = merge_dims(dims, pads)
    if (len(merged) == 1 and not pads) or merged[-1][0] <= limits.wrap_max(0):
        return Shape(mem, merged, pads)
    outer, (size, _) = merged[:-1], merged[-1]
    while not pads and outer and outer[-1][1] == size:  # blocks of whole lines are one run
        size, outer = size * outer[-1][0], outer[:-1]
    common = gcd(size, *(n for pair in pads for n in pair))
    inner = max(k for k in range(1, min(common, limits.wrap_max(0)) + 1) if common % k == 0)
    if size // inner > limits.wrap_max(1) and outer:
        return Shape(mem, merged, pads)
    split = ((before // inner, behind // inner) for before, behind in pads)
    return Shape(mem, (*outer, (size // inner, inner), (inner, 1)), (*split, (0, 0)) if pads else ())


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


# The opcode region starts with this many written words, so that a filler has something to read.
FILLER_WORDS = 1024
