"""The tasks of one item on the memtile channels to and from the cores: the emitter's, and the cost model's replay.

Pure functions of an item, its tiling and the ring positions at which it begins; ``emit.arrange`` puts the tasks of all
items in order. Positions of tasks are shares of their item: columns may cut it into different numbers of messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from tvm_aie.emit.commands import EPSILON, Channel, Position, Work
from tvm_aie.emit.memtile import MemtileMap
from tvm_aie.emit.messages import Operand, filler, input_messages, input_spans, output_messages, output_spans
from tvm_aie.emit.overlay import LOAD_DONE, LOAD_GO, NBR_E, NBR_W, O_DONE, O_DONE_ODD, STORE_DONE, STORE_GO, Array
from tvm_aie.emit.program import Dir, LockUse
from tvm_aie.emit.transfers import (
    FILLER_WORDS,
    UNROLL_A,
    UNROLL_O,
    BdTemplate,
    DmaTask,
    Message,
    Shape,
    merge_dims,
    place_in_ring,
    repeated_dims,
    tasks_of,
)
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import Storage
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling

LockPair = tuple[LockUse | None, LockUse | None]  # acquired and released by one descriptor


@dataclass(frozen=True)
class Cut:
    """An item's messages on one channel as tasks, and the ring position (slots) behind them."""

    content: tuple[Message, ...]
    after: int
    tasks: tuple[DmaTask, ...]
    spans: tuple[tuple[float, float], ...] = ()  # of activation messages: begin and end in shares of the item

    @property
    def messages(self) -> int:
        """How many there are."""
        return len(self.content)

    def slots(self, size: int) -> list[int]:
        """Of each message, filler included; ``size``: of a slot (bytes)."""
        return [sum(shape.words for shape, _ in message) * 4 // size for message in self.content]


NOTHING = Cut((), 0, ())


@dataclass(frozen=True)
class Before:
    """What the prologue of an item acquires and releases in its column, in counts of messages or transfers.

    ``outputs``: of the item before; ``odd``: of those whose outputs release the other bank (``memory.lag``);
    ``awaited``: whether it waits for outputs at all.
    """

    outputs: int
    go: int = 0  # loads that may start
    loads: int = 0  # of this item's inputs
    store_go: int = 0  # stores of the item before
    stored: int = 0  # stores whose memory is reused
    odd: int = 0
    awaited: bool = True


@dataclass(frozen=True)
class Prologue:
    """An opcode message with the barrier behind it: descriptors, slots of the ring, bytes that are read as opcodes.

    ``riding``: what the first activation message has to acquire.
    """

    chain: tuple[BdTemplate, ...]
    slots: int
    bytes: int
    riding: LockUse | None


def barrier(array: Array, c: int, before: Before) -> list[LockPair]:
    """Acquires and releases at the start of an item.

    Order: the items that it waits for are complete (``_neighbours`` or ``_sweep``); let stores go; wait for stores
    whose memory is reused; let loads go; wait for this item's loads.
    """
    mt = array.memtile(c)
    steps = _sweep(array, c, before.outputs) if array.device.push_idle_cycles else _neighbours(array, c, before)
    wanted = [
        (False, before.store_go > 0, LockUse(mt, STORE_GO, before.store_go)),
        (True, before.stored > 0, LockUse(mt, STORE_DONE, before.stored)),
        (False, before.go > 0, LockUse(mt, LOAD_GO, before.go)),
        (True, before.loads > 0, LockUse(mt, LOAD_DONE, before.loads)),
    ]
    steps += [(is_acquire, use) for is_acquire, present, use in wanted if present]
    out: list[LockPair] = []
    for is_acquire, use in steps:
        if not is_acquire and out and out[-1][1] is None:
            out[-1] = (out[-1][0], use)
        else:
            out.append((use, None) if is_acquire else (None, use))
    return out or [(None, None)]


def _neighbours(array: Array, c: int, before: Before) -> list[tuple[bool, LockUse]]:
    """What it waits for is complete here and next door: own outputs done; tell the west; the west is done, tell the
    east (so each acquire shares a descriptor with a release); the east is done.

    NBR locks count: the n-th acquire needs n barriers of the neighbour, and as many wait for the same items.
    """
    mt = array.memtile
    west, east = c > 0 and before.awaited, c + 1 < array.cols and before.awaited
    wanted = [
        (True, before.odd > 0, LockUse(mt(c), O_DONE_ODD, before.odd)),
        (True, before.outputs > 0, LockUse(mt(c), O_DONE, before.outputs)),
        (False, west, LockUse(mt(c - 1), NBR_E, 1)),
        (True, west, LockUse(mt(c), NBR_W, 1)),
        (False, east, LockUse(mt(c + 1), NBR_W, 1)),
        (True, east, LockUse(mt(c), NBR_E, 1)),
    ]
    return [(is_acquire, use) for is_acquire, present, use in wanted if present]


def _sweep(array: Array, c: int, outputs: int) -> list[tuple[bool, LockUse]]:
    """The previous item is complete in all columns, and the last column's prologue has come.

    That all is complete goes from the last column to the first, each adding its own (the eastern neighbour releases
    what the outputs release, so one acquire serves both); that all may go on goes back. So no column starts before the
    command processor has pushed the last column's prologue: the others' channels are busy until then, and a push onto
    them is cheap (``emit.joining.column_chains``).
    """
    mt = array.memtile
    west, east = c > 0, c + 1 < array.cols
    needed = outputs + east
    wanted = [
        (True, needed > 0, LockUse(mt(c), O_DONE, needed)),
        (False, west, LockUse(mt(c - 1), O_DONE, 1)),
        (True, west, LockUse(mt(c), NBR_W, 1)),
        (False, east, LockUse(mt(c + 1), NBR_W, 1)),
    ]
    return [(is_acquire, use) for is_acquire, present, use in wanted if present]


@dataclass(frozen=True)
class ItemTasks:
    """Makes the tasks of items. ``chains``: like messages may share descriptors, few messages may become a chain."""

    array: Array
    mt: MemtileMap
    chains: bool = True

    # ------------------------------------------------------------------ channels

    def a_channel(self, c: int) -> Channel:
        """The memtile channel that sends activations."""
        return (self.array.memtile(c), Dir.MM2S, self.array.a_mm2s)

    def o_channel(self, c: int, r: int) -> Channel:
        """The memtile channel that receives the outputs of core row ``r``."""
        return (self.array.memtile(c), Dir.S2MM, self.array.o_s2mm(r, c))

    def junk(self, r: int) -> int:
        """Address of the junk area of core row ``r``."""
        return self.mt.junk_base + r * self.mt.junk_bytes

    def sink(self, c: int, r: int, words: int) -> Message:
        """Where what a core sends beyond its data sinks."""
        mt = self.array.memtile(c)
        return tuple((Shape(mt, dims), self.junk(r)) for dims in repeated_dims(words, self.mt.junk_bytes // 4))

    # ------------------------------------------------------------------ activations

    def inputs(self, item: WorkItem, tiling: Tiling, operands: Sequence[Operand], c: int, position: int | None) -> Cut:
        """Activation messages of a column from ring ``position`` on; without one each finds its place by itself."""
        ov = self.array.overlay
        messages, after = input_messages(self.array, item, tiling, operands, c), 0
        if position is not None:
            junk = partial(filler, self.array, c)
            single = range(int(tiling.kept > 0))
            messages, after = place_in_ring(messages, position, ov.a_slots, ov.a_slot, junk, single)
        tasks = tasks_of(messages, self.array.device, UNROLL_A if self.chains else -1)
        return Cut(tuple(messages), after, tuple(tasks), input_spans(tiling, len(messages)))

    def prologue(
        self, c: int, n_words: int, address: int, locks: Sequence[LockPair], ring: tuple[int, int], ride: bool
    ) -> Prologue:
        """The opcode message (``n_words`` words at ``address``) and the barrier ``locks`` behind it.

        The opcodes travel while the previous item still computes; their descriptor reads on, window after window, as
        filler (``opcode_window``). Then come the barrier's descriptors, of one filler word each; the last acquire is
        left to the first descriptor of the activations if that is not repeated (``ride``). ``ring``: position (slots)
        before it, and of what the position behind it is to be a multiple.
        """
        slot, (position, multiple) = self.array.overlay.a_slot, ring
        mt, locks = self.array.memtile(c), list(locks)
        riding = None
        if ride and locks and locks[-1][1] is None:
            riding = locks.pop()[0]
        slots = -(-(n_words + len(locks)) * 4 // slot)
        while (position + slots) % multiple:
            slots += 1
        total = slots * slot // 4 - len(locks)
        window, more = opcode_window(n_words, total, slot // 4, MOST_LATE if locks else 0)
        if window:
            dims, n = merge_dims(window), window[0][0] + window[1][0] - 1
            chain = [BdTemplate(Shape(mt, dims), address, control=True)]
        else:
            # What follows the message in the opcode region serves as its filler.
            n, more = max(n_words, min(total, slot // 4 - len(locks))), 0
            chain = [BdTemplate(Shape(mt, ((n, 1),)), address, control=True)]
            chain += [
                BdTemplate(Shape(mt, dims), self.mt.opcode_base) for dims in repeated_dims(total - n, FILLER_WORDS)
            ]
        words = [1 + more, *[1] * (len(locks) - 1)]
        for (acquire, release), word in zip(locks, words, strict=False):
            chain.append(BdTemplate(Shape(mt, ((word, 1),)), self.mt.opcode_base, 1, 0, acquire, release))
        return Prologue(tuple(chain), slots, 4 * n, riding)

    def epilogue(
        self, c: int, n_words: int, address: int, locks: tuple[Sequence[LockPair], LockPair], ring: tuple[int, int]
    ) -> Prologue:
        """The program's last message. As ``prologue``, but the filler, which brings the ring to its begin, delays no
        store: of ``locks`` the barrier comes before it, what must be done when the message is complete goes with it."""
        mt, slot, (position, multiple) = self.array.memtile(c), self.array.overlay.a_slot, ring
        before, behind = locks
        words = n_words + len(before)
        slots = -(-(words + 1) * 4 // slot)
        slots += -(position + slots) % multiple
        *filler, last = repeated_dims(slots * slot // 4 - words, FILLER_WORDS)
        shape, base = Shape(mt, ((1, 1),)), self.mt.opcode_base
        chain = [BdTemplate(Shape(mt, ((n_words, 1),)), address, control=True)]
        chain += [BdTemplate(shape, base, 1, 0, acquire, release) for acquire, release in before]
        chain += [BdTemplate(Shape(mt, dims), base) for dims in filler]
        chain.append(BdTemplate(Shape(mt, last), base, 1, 0, *behind))
        return Prologue(tuple(chain), slots, 4 * n_words, None)

    def input_works(self, c: int, at: int, prologue: Prologue, cut: Cut, lag: bool = False) -> list[Work]:
        """Prologue and activations of item number ``at``; a ``cut`` without messages: the column has no rows in it.

        ``lag``: see ``ahead``.
        """
        channel = self.a_channel(c)
        out = [_work(channel, at, DmaTask(0, 0, prologue.chain, 1), (at, -1.0), (at, -0.55), lag)]
        for k, t in enumerate(cut.tasks):
            if k == 0 and prologue.riding:
                t = replace(t, chain=(replace(t.chain[0], acquire=prologue.riding), *t.chain[1:]))
            out.append(_work(channel, at, t, (at, cut.spans[t.first][0]), (at, cut.spans[t.last][1]), lag))
        return out

    # ------------------------------------------------------------------ outputs

    def outputs(
        self, item: WorkItem, tiling: Tiling, storages: Sequence[Storage], place: tuple[int, int], position: int
    ) -> Cut:
        """Output messages of the core at ``place`` (column, row); junk that realigns its ring goes first."""
        (c, r), ov = place, self.array.overlay
        sink = partial(self.sink, c, r)
        messages = output_messages(self.array, item, tiling, storages, c, r, self.junk(r), self.mt.junk_bytes)
        skip = -position % tiling.o_slots if tiling.aligned and messages else 0
        position = (position + skip) % ov.o_slots
        messages, position = place_in_ring(messages, position, ov.o_slots, ov.o_slot, sink)
        tasks = tasks_of(messages, self.array.device, UNROLL_O if self.chains else -1)
        if skip:
            chain = tuple(BdTemplate(*piece) for piece in sink(skip * ov.o_slot // 4))
            tasks.insert(0, DmaTask(0, -1, chain, 1))
        return Cut(tuple(messages), position, tuple(tasks))

    def output_spans(self, c: int, cuts: Mapping[int, Cut], tiling: Tiling) -> dict[int, list[tuple[float, float]]]:
        """Begin and end of the messages of the core rows that have any, in shares of the item."""
        rows = {r: cut.messages for r, cut in cuts.items() if cut.messages}
        most = max(rows.values(), default=0)
        # A row with fewer blocks lacks the last passes: of the item, or of each piece when passes are inside.
        inside = tiling.order == PASSES_INSIDE
        return {r: output_spans(tiling, c, r, n if inside else most) for r, n in rows.items()}

    def output_works(
        self, c: int, at: int, cuts: Mapping[int, Cut], tiling: Tiling, lock: int = O_DONE, lag: bool = False
    ) -> tuple[list[Work], int]:
        """Tasks of the core rows with messages, and how often they release ``lock``.

        The last task of each row releases it: per message while that fits a lock. ``lag``: see ``ahead``.
        """
        rows = {r: cut for r, cut in cuts.items() if cut.messages}
        o_done = sum(cut.tasks[-1].repeat for cut in rows.values())
        single = o_done >= self.array.device.lock_max  # one more comes from the next column (``_sweep``)
        done = LockUse(self.array.memtile(c), lock, 1)
        spans = self.output_spans(c, rows, tiling)
        out: list[Work] = []
        for r, cut in rows.items():
            for t in release_at_end(cut.tasks, done, single, self.junk(r)):
                # The junk that realigns the ring needs the first activations, where the core takes those first.
                begin, end = (behind(spans[r][t.first]), spans[r][t.last][1]) if t.last >= 0 else (0.0, EPSILON)
                start, end_at = (at, begin), (at, end)
                out.append(_work(self.o_channel(c, r), at, t, start, end_at, lag))
        return out, len(rows) if single else o_done


# Filler words behind the barrier's first acquire, instead of a descriptor for them before it.
MOST_LATE = 8


def opcode_window(
    n_words: int, total: int, slot: int, most_late: int
) -> tuple[tuple[tuple[int, int], tuple[int, int]] | None, int]:
    """Dimensions of a descriptor that sends ``n_words`` opcodes, then filler, nearly ``total`` words; how many remain.

    It sends windows of words, each a word further, of which the first begins with the opcodes. It reads at most a
    ``slot`` (words) of the opcode region, or the message. None: more than ``most_late`` words would remain.
    """
    best: tuple[tuple[tuple[int, int], tuple[int, int]] | None, int] = (None, most_late + 1)
    for words in range(max(n_words, min(slot, total)), n_words - 1, -1):
        times, late = divmod(total, words)
        if words + times - 1 <= max(n_words, slot) and late < best[1]:
            best = ((times, 1), (words, 1)), late
            if not late:
                break
    return best


def behind(span: tuple[float, float]) -> float:
    """A little behind the begin of a span: where the junk before a message is pushed, if there is any."""
    begin, end = span
    return min(begin + 2 * EPSILON, (3 * begin + end) / 4)


def ahead(start: Position, lag: bool) -> Position:
    """When a task is wanted: where the item's barrier lags (``lag``), an item early, so that its channel has work while
    the command processor waits for places in the queues of the item before."""
    return (start[0] - 1, start[1]) if lag else start


def _work(channel: Channel, item: int, task: DmaTask, start: Position, end: Position, lag: bool) -> Work:
    return Work(channel, task.chain, task.repeat, start, end, ahead(start, lag), item=item)


def release_at_end(tasks: Sequence[DmaTask], use: LockUse, single: bool, junk: int) -> Iterable[DmaTask]:
    """The last task releases ``use`` with each of its messages, or, if ``single``, with the very last one only.

    The release is at the end of the data; what follows goes to ``junk``.
    """
    last = tasks[-1]
    if single and last.repeat > 1:
        before, end = _split_last(last)
        return [*tasks[:-1], before, _with_release(end, use, junk)]
    return [*tasks[:-1], _with_release(last, use, junk)]


def _split_last(task: DmaTask) -> tuple[DmaTask, DmaTask]:
    """All executions but the last, and the last as a task of its own."""
    k = task.repeat - 1
    chain = tuple(replace(t, base=t.base + (k % t.wrap) * t.step * 4, wrap=1, step=0) for t in task.chain)
    border = task.last + 1 - (task.last + 1 - task.first) // task.repeat
    return DmaTask(task.first, border - 1, task.chain, k), DmaTask(border, task.last, chain, 1)


def _with_release(task: DmaTask, use: LockUse, junk: int) -> DmaTask:
    """The task whose chain's last descriptor of data releases ``use``."""
    at = max(i for i, t in enumerate(task.chain) if t.base != junk)
    return replace(task, chain=(*task.chain[:at], replace(task.chain[at], release=use), *task.chain[at + 1 :]))
