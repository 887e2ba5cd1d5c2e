"""The command stream under construction: descriptor numbers, task queues and the waits that keep them legal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from tvm_ffi import from_dlpack

from tvm_aie import _native
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Bd, Command, Dir, LockUse, Task, command_of
from tvm_aie.emit.transfers import BdTemplate
from tvm_aie.errors import ProgramError

Position = tuple[int, float]  # item, place in it: -1 its prologue, [0, 1) its messages
Table = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]
Channel = tuple[int, Dir, int]


@dataclass(frozen=True)
class Work:
    """A task to push: it needs nothing that starts at ``end`` or later, so what starts before ``end`` completes it.

    ``key``: the position at which it is wanted, at most ``start``; ``after``: tasks (channel, number) to wait for;
    ``arms``: the chain's last descriptor is the first of the channel in the next inference (``CommandBuilder.arm``),
    and free again from this position on.
    """

    channel: Channel
    chain: tuple[BdTemplate, ...]
    repeat: int
    start: Position
    end: Position
    key: Position
    after: tuple[tuple[Channel, int], ...] = ()
    item: int = -1  # to which the reports attribute it
    arms: Position | None = None
    sets: LockUse | None = None  # a lock that is set when the task has been pushed

    @cached_property
    def kind(self) -> tuple[tuple[object, ...], ...] | None:
        """What tasks must have in common to be executions of one; None: it is repeated itself or waits for another."""
        return None if self.repeat > 1 or self.after else tuple([t.kind for t in self.chain])

    @cached_property
    def bases(self) -> list[int]:
        """Of its descriptors."""
        return [t.base for t in self.chain]


# Estimated cycles of an item are taken this many times: a wait that was thought to be over costs a bubble.
MARGIN = 1.0
# The array has had nothing to do for so many estimated cycles: then what it needs first is pushed before what is only
# cheaper now. Of 0 to 25,000 the best for most of three networks on npu1 (emulated); the clock leaves out bubbles, so
# that with less nothing is pushed ahead any more.
LATE_CYCLES = 18000.0
# What remains of an item when its last task has been pushed: about one message.
LAST_TASK_CYCLES = 6000.0
# Items of one chain start within this many estimated cycles: a chain's descriptors are free only when all of it ran.
CHAIN_CYCLES = 30000.0
# Positions within an item that are just before or after another.
EPSILON = 1e-6


Row = tuple[int, int, int, int]  # tile and number of a descriptor, number of its content, its successor (-1: none)


class Contents:
    """What descriptors hold beside tile, number and successor, by numbers: these compare faster than the fields."""

    def __init__(self) -> None:
        """None yet."""
        self.fields: list[tuple[Any, ...]] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._known: dict[int, tuple[BdTemplate, int]] = {}  # by identity; templates are kept, so that ids stay theirs

    def number(self, template: BdTemplate) -> int:
        """Equal for equal contents."""
        known = self._known.get(id(template))
        if known is None:
            number = self._numbers.setdefault(template.content, len(self.fields))
            if number == len(self.fields):
                self.fields.append(template.content)
            known = self._known[id(template)] = template, number
        return known[1]

    def bd(self, row: Row) -> Bd:
        """A descriptor."""
        tile, number, content, following = row
        mem, base, dims, pads, wrap, step, acquire, release, control = self.fields[content]
        return Bd(tile, number, mem, base, dims, pads, wrap, step, acquire, release, following, control)


K = TypeVar("K")
NEVER = 1 << 30  # descriptors, more than any pool has


def pushed_bds(chains: int, first: int) -> int:
    """Descriptors of a channel whose tasks have ``chains``, the first one ``first``: arming it splits that."""
    return chains + first + 1


def fit_whole(needs: Mapping[K, tuple[int, int]], size: int) -> set[K]:
    """Channels whose pool of ``size`` has a descriptor for each execution of their tasks: of all its channels, or,
    those first that need least more, beside those for the others' tasks.

    ``needs``: of each channel, for all executions, and when its tasks are pushed.
    """
    left = size - sum(pushed for _, pushed in needs.values())
    every = sum(whole for whole, _ in needs.values()) <= size
    chosen = set[K]()
    for channel, (whole, pushed) in sorted(needs.items(), key=lambda need: (need[1][0] - need[1][1], *need[1])):
        more = whole - pushed
        if every or more <= max(left, 0):
            left -= more
            chosen.add(channel)
    return chosen if every or left >= 0 else set()


def _unrolled(work: Work) -> Iterator[BdTemplate]:
    """The descriptors of all executions of a task, none iterated."""
    for k in range(work.repeat):
        for t in work.chain:
            yield replace(t, base=t.base + k % t.wrap * t.step * 4, wrap=1, step=0)


class Scheduled(NamedTuple):
    """Tasks in the order of their commands. Tables: commands (docs/program.md section 5); rows of the descriptors that
    they write and of those with which the program is loaded (``Row``); tasks with which it is loaded."""

    done: bool  # False: given up
    end: float  # estimated cycles until all is complete
    commands: Table
    rows: Table
    static_rows: Table
    static_tasks: Table


class CommandBuilder:
    """Turns the tasks of all channels into WRITE_BD, PUSH and WAIT.

    ``add`` takes the tasks of each channel in the order in which it runs them; ``schedule`` interleaves the channels
    (tvm_aie/emit/schedule.cc). The frontier is the earliest ``start`` of a task that is not pushed. Everything before
    it is pushed, so a task whose ``end`` is not beyond it completes: such tasks, and no others, are waited for (for a
    place in a queue, or for descriptors). The task at the frontier can always be pushed: earlier tasks of its channel
    have ended, and a task that is pushed ahead of the frontier leaves to each other channel of its pool the descriptors
    of one task.
    """

    def __init__(
        self,
        array: Array,
        reserved: Sequence[Bd],
        body: Sequence[float],
        lags: Sequence[bool] = (),
        clock: tuple[float, float] = (MARGIN, LATE_CYCLES),
        standing: int = 0,
    ) -> None:
        """``reserved``: the overlay's static descriptors, which stay what they are; ``body``: cycles of each item;
        ``lags``: of each item whether its barrier lags (``memory.lag``); none: no barrier does; ``clock``: in place of
        MARGIN and LATE_CYCLES; ``standing``: most descriptors of a pool that the program is loaded with and no command
        writes: those that end the chains of most tasks of a channel."""
        self.array, self.body, self.lags, self.clock = array, body, lags, clock
        self.standing = standing
        self.contents = Contents()  # also of copies
        self.late = max((i for i in range(len(body)) if sum(body[i + 1 : -1]) >= 2 * CHAIN_CYCLES), default=0)
        self.taken = {(b.tile, b.bd_id) for b in reserved}
        self.pushed: dict[Channel, list[Work]] = {}
        self.endless: dict[Channel, Work] = {}  # channels of which no command pushes anything
        self.unset: list[LockUse] = []  # locks that are to be set (``will_set``)
        self.armed: dict[Channel, bool] = {}  # loaded with their first task; whether its descriptor is theirs alone
        self.last: list[tuple[Channel, int]] = []  # tasks to wait for at the end
        self._flat: tuple[Table, Reals] | None = None
        self._scheduled: Scheduled | None = None

    def copy(self, clock: tuple[float, float] = (MARGIN, LATE_CYCLES), standing: int = 0) -> CommandBuilder:
        """With the same tasks, loaded and handed over, this clock, and so many standing descriptors."""
        other = copy(self)
        other.clock, other.standing, other._scheduled = clock, standing, None
        other.pushed = {channel: [*own] for channel, own in self.pushed.items()}
        other.endless, other.armed = {**self.endless}, {**self.armed}
        other.unset, other.last = [*self.unset], [*self.last]
        return other

    def add(self, work: Work) -> int:
        """Append a task to its channel; returns its number there (from 1)."""
        self._flat = None
        tasks = self.pushed.setdefault(work.channel, [])
        tasks.append(work)
        return len(tasks)

    def arm(self, work: Work, keep: bool) -> None:
        """A channel's first task, of one descriptor, is there when an inference begins: the program is loaded with it.

        The last task that is added to the channel must end with it (``Work.arms``), for the next inference. It has the
        same number; tasks near the end leave that alone. ``keep``: all tasks do, so that it can be pushed while the
        first one runs.
        """
        self.add(work)
        self.armed[work.channel] = keep

    def is_armed(self, channel: Channel) -> bool:
        """Whether the program is loaded with the channel's first task."""
        return channel in self.armed

    def repeat(self, tasks: Sequence[Work]) -> None:
        """The program is loaded with all tasks of a channel as one chain that closes on itself, which runs once in each
        inference."""
        self._flat = None
        chain = tuple(template for work in tasks for template in _unrolled(work))
        self.endless[tasks[0].channel] = replace(tasks[0], chain=chain, end=tasks[-1].end)

    def will_set(self, use: LockUse) -> None:
        """A lock is to be set: behind a task (``Work.sets``), and in any case before the first wait."""
        self._flat = None
        self.unset.append(use)

    def wait(self, channel: Channel, number: int) -> None:
        """At the end, wait until task ``number`` of the channel is complete."""
        self._flat = None
        self.last.append((channel, number))

    def may_give(self, channel: Channel, count: int) -> bool:
        """Whether the pool can do without ``count`` more descriptors for this channel: it gives a third away."""
        ids = self._ids(channel)
        given = sum(self._ids(c) == ids for c in self.armed)
        given += sum(len(work.chain) for c, work in self.endless.items() if self._ids(c) == ids)
        return 3 * (given + count) <= len(ids[1])

    def run_alone(self, tasks: Mapping[Channel, Sequence[Work]], able: Collection[Channel]) -> set[Channel]:
        """Of the channels that are ``able`` to run by themselves those that have the descriptors (``fit_whole``)."""
        pools: dict[tuple[int, range], dict[Channel, tuple[int, int]]] = {}
        for channel, own in tasks.items():
            chains = sum(len(w.chain) for w in own)
            whole = sum(len(w.chain) * w.repeat for w in own) if channel in able else NEVER
            pools.setdefault(self._ids(channel), {})[channel] = whole, pushed_bds(chains, len(own[0].chain))
        return {c for key, needs in pools.items() for c in fit_whole(needs, len(self.free(*key)))}

    def _ids(self, channel: Channel) -> tuple[int, range]:
        """Tile and descriptors of the channel's pool."""
        return channel[0], self.array.pool(channel[0], channel[2])

    def free(self, tile: int, ids: range) -> list[int]:
        """Of a pool's descriptors those that are not the overlay's."""
        return [i for i in ids if (tile, i) not in self.taken]

    def schedule(self, limit: float = inf) -> bool:
        """Issue all commands, by ``key``; a task that is wanted early is left for later while it would not fit.

        False: given up, since the processor would not be done within ``limit`` estimated cycles. Raises
        ``ProgramError`` where there is no legal order.
        """
        try:
            done, end, *tables = _native.function("tvm_aie.emit.schedule")(*map(from_dlpack, self.flat), float(limit))
        except ValueError as error:
            raise ProgramError(str(error)) from None
        commands, rows, static_rows, static_tasks = (np.asarray(np.from_dlpack(t), np.int64) for t in tables)
        self._scheduled = Scheduled(bool(done), float(end), commands, rows, static_rows, static_tasks)
        return self._scheduled.done

    @property
    def flat(self) -> tuple[Table, Reals]:
        """All that the stream depends on, as the scheduler takes it (tvm_aie/runtime/schedule_ffi.cc)."""
        ints, reals = self.flatten()
        device = self.array.device
        costs = device.bd_write_cycles, device.push_idle_cycles, device.push_queued_cycles, device.lock_write_cycles
        reals = np.concatenate([np.array([*self.clock, LAST_TASK_CYCLES, *costs]), reals])
        return np.concatenate([np.array([self.standing], np.int64), ints]), reals

    def flatten(self) -> tuple[Table, Reals]:
        """The same without the numbers of clock and standing descriptors; made once."""
        if self._flat is None:
            self._flat = self._flattened()
        return self._flat

    def _flattened(self) -> tuple[Table, Reals]:
        channels = {channel: i for i, channel in enumerate(self.pushed)}
        pools: dict[tuple[int, range], int] = {}
        for channel in (*self.endless, *channels):
            pools.setdefault(self._ids(channel), len(pools))
        works = [*self.endless.values(), *(work for own in self.pushed.values() for work in own)]
        locks = {use: i for i, use in enumerate(dict.fromkeys((*self.unset, *(w.sets for w in works if w.sets))))}
        ints = [self.array.device.queue_depth, self.late, len(self.body), len(self.lags), *self.lags, len(pools)]
        reals = [*self.body]
        for key in pools:
            numbers = self.free(*key)
            ints += (len(numbers), *numbers)
        ints.append(len(locks))
        for use in locks:
            ints += (use.tile, use.lock, use.value)
        ints += (len(self.unset), *(locks[use] for use in self.unset))
        own = {channel: [work] for channel, work in self.endless.items()}
        for tasks in (own, self.pushed):
            ints.append(len(tasks))
            for channel, listed in tasks.items():
                loaded = channel in self.armed, self.armed.get(channel, False)
                ints += (*channel, pools[self._ids(channel)], *loaded, len(listed))
                for work in listed:
                    self._flatten(work, channels, locks, ints, reals)
        ints += (len(self.last), *(n for channel, number in self.last for n in (channels[channel], number)))
        return np.array(ints, np.int64), np.array(reals, np.float64)

    def _flatten(
        self,
        work: Work,
        channels: Mapping[Channel, int],
        locks: Mapping[LockUse, int],
        ints: list[int],
        reals: list[float],
    ) -> None:
        (s, start), (e, end), (k, key) = work.start, work.end, work.key
        reals += (start, end, key)
        sets = locks[work.sets] if work.sets else -1
        ints += (s, e, k, work.repeat, work.item, work.arms is not None, sets, len(work.after))
        for channel, number in work.after:
            ints += (channels[channel], number)
        ints.append(len(work.chain))
        number_of = self.contents.number
        for t in work.chain:
            ints += (number_of(t), t.wrap)

    @property
    def scheduled(self) -> Scheduled:
        """After ``schedule``."""
        assert self._scheduled is not None
        return self._scheduled

    @property
    def commands(self) -> list[Command]:
        """The command stream."""
        return [command_of(row) for row in self.scheduled.commands.tolist()]

    @property
    def bds(self) -> list[Bd]:
        """The descriptors that it writes, in order of their rows in the program's table."""
        return [self.contents.bd(row) for row in self.scheduled.rows.tolist()]

    @property
    def static_bds(self) -> list[Bd]:
        """The descriptors with which the program is loaded."""
        return [self.contents.bd(row) for row in self.scheduled.static_rows.tolist()]

    @property
    def static_tasks(self) -> list[Task]:
        """The tasks with which it is loaded."""
        return [Task(tile, Dir(way), *rest) for tile, way, *rest in self.scheduled.static_tasks.tolist()]

    @property
    def work(self) -> Mapping[Channel, Sequence[Work]]:
        """The tasks of each channel in their order; those that are repeated for ever as one."""
        return {**self.pushed, **{channel: [work] for channel, work in self.endless.items()}}

    @property
    def end(self) -> float:
        """Estimated cycles until all is complete."""
        return self.scheduled.end
