"""The command stream under construction: descriptor numbers, task queues and the waits that keep them legal."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any, TypeVar

from tvm_aie.device import Device
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Bd, Command, Dir, LockUse, Mark, Push, SetLock, Task, Wait, WriteBd
from tvm_aie.emit.transfers import BdTemplate
from tvm_aie.errors import ProgramError

Channel = tuple[int, Dir, int]
Position = tuple[int, float]  # item, place in it: -1 its prologue, [0, 1) its messages


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


@dataclass
class _Flight:
    """A pushed task: the position before which all must be pushed to complete it, its number, its descriptors."""

    end: Position
    number: int
    bds: tuple[int, ...]


# Estimated cycles of an item are taken this many times: a wait that was thought to be over costs a bubble.
MARGIN = 1.0
# The array has had nothing to do for so many estimated cycles: then what it needs first is pushed before what is only
# cheaper now. Of 0 to 25,000 the best for most of three networks on npu1 (emulated); the clock leaves out bubbles, so
# that with less nothing is pushed ahead any more.
LATE_CYCLES = 18000.0


class _Clock:
    """Estimated time: of the command processor, and at which items are complete. It decides what is worth waiting for.

    An item runs when the one before is complete and its tasks are pushed.
    """

    def __init__(self, device: Device, body: Sequence[float], margin: float, late: float) -> None:
        self.device, self.body, self.margin, self.late = device, body, margin, late
        self.now = 0.0
        self._done: list[float] = []
        self._complete = 0

    @property
    def end(self) -> float:
        """When the last item is complete."""
        return max(self.now, self._done[-1] if self._done else 0.0)

    def write(self) -> None:
        """A descriptor is written."""
        self.now += self.device.bd_write_cycles

    def push(self, idle: bool) -> None:
        """A task is pushed."""
        self.now += self.device.push_idle_cycles if idle else self.device.push_queued_cycles

    def set_lock(self) -> None:
        """A lock is set."""
        self.now += self.device.lock_write_cycles

    def pushed(self, items: int) -> None:
        """All tasks of the first ``items`` items are pushed."""
        while len(self._done) < min(items, len(self.body)):
            body = self.body[len(self._done)]
            before = self._done[-1] if self._done else 0.0
            self._done.append(max(before + self.margin * body, self.now + min(body, LAST_TASK_CYCLES)))

    def wait(self, end: Position) -> None:
        """The command processor waits for a task that ends at ``end``."""
        item = min(end[0], len(self._done) - 1)
        if item >= 0 and end[1] >= 0:
            self.now = max(self.now, self._done[item])

    def idle(self, item: int) -> bool:
        """Whether the array has long been waiting for what is not pushed of ``item``."""
        return 0 < item <= len(self._done) and self._done[item - 1] + self.late <= self.now

    def complete(self) -> Position:
        """The position up to which all tasks are complete by now."""
        while self._complete < len(self._done) and self._done[self._complete] <= self.now:
            self._complete += 1
        return (self._complete, -0.55)


# What remains of an item when its last task has been pushed: about one message.
LAST_TASK_CYCLES = 6000.0


# Items of one chain start within this many estimated cycles: a chain's descriptors are free only when all of it ran.
CHAIN_CYCLES = 30000.0
# Positions within an item that are just before or after another.
EPSILON = 1e-6


_Wanted = tuple[Position, int, Channel, int]  # when, place of the channel, channel, number of its task
# Fields of a descriptor without its tile and number, and its successor: tuples compare faster than ``Bd``.
_Content = tuple[tuple[Any, ...], int]
_Issued = tuple[Any, ...]  # class of a command and its fields; of a push channel, descriptor, repetitions and item


def _content(t: BdTemplate, following: int) -> _Content:
    return t.content, following


def _bd(tile: int, number: int, content: _Content) -> Bd:
    (mem, base, dims, pads, wrap, step, acquire, release, control), following = content
    return Bd(tile, number, mem, base, dims, pads, wrap, step, acquire, release, following, control)


def _command(kind: type[Command], *fields: Any) -> Command:
    if kind is Push:
        (tile, direction, ch), start, repeat, item = fields
        return Push(Task(tile, direction, ch, start, repeat), item)
    return kind(*fields)


@dataclass
class _Pool:
    """Free descriptors of a tile's pool, oldest first, what each still holds, and the channels that share it."""

    free: deque[int]
    size: int
    armed: set[int] = field(default_factory=set)  # of tasks that the program is loaded with
    content: dict[int, _Content | None] = field(default_factory=dict)
    members: list[Channel] = field(default_factory=list)
    # Of each member: its tasks in flight; of all its tasks start, end and descriptors.
    flights: list[deque[_Flight]] = field(default_factory=list)
    needs: list[list[tuple[Position, Position, int]]] = field(default_factory=list)
    changes: int = 0  # tasks pushed or retired
    refused: list[tuple[_Wanted, Position]] = field(default_factory=list)  # ahead of their turn; with their starts
    asked: tuple[int, Position] = (0, (0, 0.0))  # ``changes`` and limit at which they were refused

    def refuse(self, wanted: _Wanted, start: Position, limit: Position) -> None:
        """A task does not fit while only what ends by ``limit`` is waited for."""
        self.refused.append((wanted, start))
        self.asked = self.changes, limit

    def usable(self, late: bool) -> list[int]:
        """Free descriptors for a task; a ``late`` one leaves those that are armed."""
        return [i for i in self.free if i not in self.armed] if late else list(self.free)

    def holds_back(self, frontier: Position, limit: Position, wanted: list[_Wanted]) -> bool:
        """Give what may fit by now, or has its turn, back to the heap ``wanted``; whether anything is left.

        What was refused in this very state would be refused again, unless its turn has come.
        """
        same = self.asked == (self.changes, limit)
        kept = [(entry, start) for entry, start in self.refused if start > frontier] if same else []
        if len(kept) < len(self.refused):
            for entry, start in self.refused:
                if not same or start <= frontier:
                    heappush(wanted, entry)
            self.refused = kept
        return bool(kept)


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


class CommandBuilder:
    """Turns the tasks of all channels into WRITE_BD, PUSH and WAIT.

    ``add`` takes the tasks of each channel in the order in which it runs them; ``schedule`` interleaves the channels.
    The frontier is the earliest ``start`` of a task that is not pushed. Everything before it is pushed, so a task
    whose ``end`` is not beyond it completes: such tasks, and no others, are waited for (for a place in a queue, or
    for descriptors). The task at the frontier can always be pushed: earlier tasks of its channel have ended, and a
    task that is pushed ahead of the frontier leaves to each other channel of its pool the descriptors of one task.
    """

    def __init__(
        self,
        array: Array,
        reserved: Sequence[Bd],
        body: Sequence[float],
        lags: Sequence[bool] = (),
        clock: tuple[float, float] = (MARGIN, LATE_CYCLES),
    ) -> None:
        """``reserved``: the overlay's static descriptors, which stay what they are; ``body``: cycles of each item;
        ``lags``: of each item whether its barrier lags (``memory.lag``); none: no barrier does; ``clock``: in place of
        MARGIN and LATE_CYCLES."""
        self.array, self._lags = array, lags
        self._clock = _Clock(array.device, body, *clock)
        # In their order; most streams are not taken, so commands and descriptors are made when they are asked for.
        self._issued: list[_Issued] = []
        self._rows: dict[tuple[int, int, _Content], int] = {}
        self._work: dict[Channel, list[Work]] = {}
        self._next: dict[Channel, int] = {}
        self._flights: dict[Channel, deque[_Flight]] = {}
        self._pools: dict[tuple[int, range], _Pool] = {}
        self._pool_of: dict[Channel, _Pool] = {}
        self._taken = {(b.tile, b.bd_id) for b in reserved}
        self._marked = -1
        self._endless: dict[Channel, Work] = {}  # channels of which no command pushes anything
        self._unset: list[LockUse] = []  # locks that are still to be set (``will_set``)
        self._armed: dict[Channel, int] = {}  # descriptor of the task with which the channel is loaded
        self._kept: set[Channel] = set()  # that have it for themselves
        self._late = max((i for i in range(len(body)) if sum(body[i + 1 : -1]) >= 2 * CHAIN_CYCLES), default=0)
        self.static_bds: list[Bd] = []  # descriptors and tasks with which the program is loaded
        self.static_tasks: list[Task] = []

    def add(self, work: Work) -> int:
        """Append a task to its channel; returns its number there (from 1)."""
        tasks = self._work.setdefault(work.channel, [])
        tasks.append(work)
        return len(tasks)

    def arm(self, work: Work, keep: bool) -> None:
        """A channel's first task, of one descriptor, is there when an inference begins: the program is loaded with it.

        The last task that is added to the channel must end with it (``Work.arms``), for the next inference. It has the
        same number; tasks near the end leave that alone. ``keep``: all tasks do, so that it can be pushed while the
        first one runs.
        """
        self.add(work)
        self._armed[work.channel] = -1
        if keep:
            self._kept.add(work.channel)

    def is_armed(self, channel: Channel) -> bool:
        """Whether the program is loaded with the channel's first task."""
        return channel in self._armed

    def repeat(self, tasks: Sequence[Work]) -> None:
        """The program is loaded with all tasks of a channel as one chain that closes on itself, which runs once in each
        inference."""
        chain = tuple(template for work in tasks for template in _unrolled(work))
        self._endless[tasks[0].channel] = replace(tasks[0], chain=chain, end=tasks[-1].end)

    def may_give(self, channel: Channel, count: int) -> bool:
        """Whether the pool can do without ``count`` more descriptors for this channel: it gives a third away."""
        ids = self._ids(channel)
        given = sum(self._ids(c) == ids for c in self._armed)
        given += sum(len(work.chain) for c, work in self._endless.items() if self._ids(c) == ids)
        return 3 * (given + count) <= len(ids[1])

    def run_alone(self, tasks: Mapping[Channel, Sequence[Work]], able: Collection[Channel]) -> set[Channel]:
        """Of the channels that are ``able`` to run by themselves those that have the descriptors (``fit_whole``)."""
        pools: dict[tuple[int, range], dict[Channel, tuple[int, int]]] = {}
        for channel, own in tasks.items():
            chains = sum(len(w.chain) for w in own)
            whole = sum(len(w.chain) * w.repeat for w in own) if channel in able else NEVER
            pools.setdefault(self._ids(channel), {})[channel] = whole, pushed_bds(chains, len(own[0].chain))
        return {c for key, needs in pools.items() for c in fit_whole(needs, self._new_pool(*key).size)}

    def _ids(self, channel: Channel) -> tuple[int, range]:
        """Tile and descriptors of the channel's pool."""
        return channel[0], self.array.pool(channel[0], channel[2])

    def schedule(self, limit: float = inf) -> bool:
        """Issue all commands, by ``key``; a task that is wanted early is left for later while it would not fit.

        False: given up, since the processor would not be done within ``limit`` estimated cycles.
        """
        for channel, work in self._endless.items():
            self._load_endless(self._pools.setdefault(key := self._ids(channel), self._new_pool(*key)), work)
        for channel in self._work:
            self._flights[channel] = deque()
            self._next[channel] = 0
            pool = self._pools.setdefault(key := self._ids(channel), self._new_pool(*key))
            pool.members.append(channel)
            pool.flights.append(self._flights[channel])
            pool.needs.append([(work.start, work.end, len(work.chain)) for work in self._work[channel]])
            self._pool_of[channel] = pool
            if channel in self._armed:
                self._load(self._work[channel][0])
        heads = [(self._work[channel][at], i, channel) for i, (channel, at) in enumerate(self._next.items())]
        wanted = [(work.key, i, channel, self._next[channel]) for work, i, channel in heads]
        starts = [(work.start, i, channel) for work, i, channel in heads]
        heapify(wanted)
        heapify(starts)
        asked: list[_Pool] = []  # pools with tasks that were refused
        while starts and self._clock.now < limit:
            frontier = starts[0][0]
            urgent = self._clock.idle(frontier[0])
            upto = min(frontier, self._clock.complete(), self._awaited(frontier))
            asked = [pool for pool in asked if pool.holds_back(frontier, upto, wanted)]
            while True:
                _, i, channel, at = entry = self._first(starts[0]) if urgent else heappop(wanted)
                urgent = False
                if at < self._next[channel]:
                    continue  # it was urgent, and is pushed
                pool, work = self._pool_of[channel], self._work[channel][self._next[channel]]
                ahead = work.start > frontier
                if self._has_room(pool, work, upto, ahead):
                    break
                if not ahead:
                    upto = frontier
                    if self._has_room(pool, work, upto, ahead):
                        break
                    raise ProgramError(f"item {frontier[0]}: {len(work.chain)} descriptors are not to be had")
                if not pool.refused:
                    asked.append(pool)
                pool.refuse(entry, work.start, upto)
            self._push(work, upto)
            at = self._next[channel] = self._next[channel] + 1
            if at < len(self._work[channel]):
                following = self._work[channel][at]
                heappush(wanted, (following.key, i, channel, at))
                heappush(starts, (following.start, i, channel))
            while starts and self._is_pushed(starts[0]):
                heappop(starts)
            self._clock.pushed(starts[0][0][0] if starts else len(self._clock.body))
        self._set_all()
        return not starts

    def _first(self, entry: tuple[Position, int, Channel]) -> _Wanted:
        """A task that starts at the frontier, as what is wanted now."""
        start, i, channel = entry
        return start, i, channel, self._next[channel]

    @property
    def commands(self) -> list[Command]:
        """The command stream."""
        return [_command(*issued) for issued in self._issued]

    @property
    def bds(self) -> list[Bd]:
        """The descriptors that it writes, in order of their rows in the program's table."""
        return [_bd(*row) for row in self._rows]

    @property
    def work(self) -> Mapping[Channel, Sequence[Work]]:
        """The tasks of each channel in their order; those that are repeated for ever as one."""
        return {**self._work, **{channel: [work] for channel, work in self._endless.items()}}

    @property
    def end(self) -> float:
        """Estimated cycles until all is complete."""
        return self._clock.end

    def wait(self, channel: Channel, number: int) -> None:
        """Wait until task ``number`` of the channel is complete."""
        flights = self._flights[channel]
        while flights and flights[0].number <= number:
            self._retire(channel)

    def _awaited(self, frontier: Position) -> Position:
        """Up to where all is complete when the barrier of the frontier's item is passed: what is pushed ahead of the
        frontier waits for no more, as the frontier would with it."""
        item = frontier[0]
        return (item - 1, -0.55) if item < len(self._lags) and self._lags[item] else frontier

    def _is_pushed(self, entry: tuple[Position, int, Channel]) -> bool:
        start, _, channel = entry
        at = self._next[channel]
        return at >= len(self._work[channel]) or self._work[channel][at].start > start

    def _has_room(self, pool: _Pool, work: Work, limit: Position, ahead: bool) -> bool:
        """Whether the task can be pushed after waiting only for tasks that end by ``limit``."""
        left = self.array.device.queue_depth
        for f in self._flights[work.channel]:
            left -= f.end > limit
        if left <= 0:
            return False
        held: list[int] = []
        for flights in pool.flights:
            for f in flights:
                if f.end > limit:
                    held += f.bds
        if work.arms and self._armed[work.channel] in held:
            return False
        left = pool.size - len(work.chain) + (work.arms is not None)
        if pool.armed and self._is_late(work.start, work.end):
            left -= len(pool.armed.union(held))
        else:
            left -= len(held)
        return left >= 0 and (not ahead or self._leaves_room(pool, work))

    def _is_late(self, start: Position, end: Position) -> bool:
        """Whether such a task leaves the armed descriptors alone: those that end the program have them."""
        return start[0] >= self._late or end >= (len(self._clock.body), 0.0)

    def _load_endless(self, pool: _Pool, work: Work) -> None:
        tile, direction, ch = work.channel
        numbers = [pool.free.popleft() for _ in work.chain]
        pool.size -= len(numbers)
        for number, template, following in zip(numbers, work.chain, (*numbers[1:], numbers[0]), strict=True):
            self.static_bds.append(_bd(tile, number, _content(template, following)))
        self.static_tasks.append(Task(tile, direction, ch, numbers[0], 0, work.item))

    def _load(self, work: Work) -> None:
        """Put a channel's first task into the state with which the program is loaded."""
        tile, direction, ch = work.channel
        pool = self._pool_of[work.channel]
        (template,) = work.chain
        number = self._armed[work.channel] = pool.free.popleft()
        content = pool.content[number] = _content(template, -1)
        self.static_bds.append(_bd(tile, number, content))
        self.static_tasks.append(Task(tile, direction, ch, number, 1, work.item))
        kept = work.channel in self._kept
        if kept:
            pool.size -= 1
        else:
            pool.armed.add(number)
        self._flights[work.channel].append(_Flight(work.end, 1, () if kept else (number,)))
        self._next[work.channel] = 1

    def _leaves_room(self, pool: _Pool, work: Work) -> bool:
        """Whether the tasks that come before the ends of those in flight will fit the pool when it is their turn."""
        held = [(f.end, len(f.bds)) for flights in pool.flights for f in flights if f.bds]
        own = len(work.chain) - (work.arms is not None and work.channel in self._kept)
        if not own:
            return True
        held.append((work.end, own))
        horizon = max(held)[0]
        coming: list[tuple[Position, Position, int]] = []
        for member, needs in zip(pool.members, pool.needs, strict=True):
            first = at = self._next[member] + (member == work.channel)
            while at < len(needs) and needs[at][0] < horizon:
                at += 1
            coming += needs[first:at]
        left = pool.size - sum([n for _, n in held])
        if left - sum([n for _, _, n in coming]) >= len(pool.armed):
            return True  # even if none of those in flight ended
        heapify(held)
        # Late tasks leave the armed descriptors; whether those in flight have some of them is not looked at.
        for start, end, n in sorted(coming):
            while held and held[0][0] <= start:
                left += heappop(held)[1]
            left -= n
            if left < (len(pool.armed) if self._is_late(start, end) else 0):
                return False
            heappush(held, (end, n))
        return True

    def _push(self, work: Work, limit: Position) -> None:
        """Wait for what must be complete, write what is not already there, push."""
        while self._marked < work.start[0]:
            self._marked += 1
            self._issued.append((Mark, self._marked))
        for channel, number in work.after:
            self.wait(channel, number)
        flights = self._flights[work.channel]
        while len(flights) >= self.array.device.queue_depth:
            self._retire(work.channel)
        pool = self._pool_of[work.channel]
        tile = work.channel[0]
        ids: list[int] = []
        following = -1
        chain, late = list(work.chain), self._is_late(work.start, work.end)
        if work.arms:
            own = self._armed[work.channel]
            if work.channel not in self._kept:
                while own not in pool.free:
                    self._retire(self._victim(pool, limit))
                ids.append(self._write(tile, pool, chain[-1], -1, 1, (own,)))
            chain.pop()
            following = own
        while len(usable := pool.usable(late)) < len(chain):
            self._retire(self._victim(pool, limit))
        for template in reversed(chain):
            following = self._write(tile, pool, template, following, work.repeat, usable)
            usable.remove(following)
            ids.append(following)
        self._push_task(work, following, tuple(ids))

    def _push_task(self, work: Work, start: int, ids: tuple[int, ...]) -> None:
        flights, complete = self._flights[work.channel], self._clock.complete()
        self._clock.push(all([f.end <= complete for f in flights]))
        flights.append(_Flight(work.end, self._next[work.channel] + 1, ids))
        self._pool_of[work.channel].changes += 1
        self._issued.append((Push, work.channel, start, work.repeat, work.item))
        if work.sets in self._unset:
            self._set_lock(work.sets)

    def will_set(self, use: LockUse) -> None:
        """A lock is to be set: behind a task (``Work.sets``), and in any case before the first wait."""
        self._unset.append(use)

    def _set_lock(self, use: LockUse) -> None:
        self._unset.remove(use)
        self._clock.set_lock()
        self._issued.append((SetLock, use))

    def _new_pool(self, tile: int, ids: range) -> _Pool:
        free = deque(i for i in ids if (tile, i) not in self._taken)
        return _Pool(free, len(free))

    def _write(self, tile: int, pool: _Pool, t: BdTemplate, following: int, repeat: int, usable: Sequence[int]) -> int:
        """Number of a descriptor with this content; written unless a free one still holds it.

        Writing sets its iteration to the begin, where it is again after whole turns. ``usable``: free ones, oldest
        first.
        """
        content = _content(t, following)
        whole = repeat % t.wrap == 0
        if whole:
            for number in usable:
                if pool.content.get(number) == content:
                    pool.free.remove(number)
                    return number
        number = usable[0]
        pool.free.remove(number)
        pool.content[number] = content if whole else None
        self._issued.append((WriteBd, self._rows.setdefault((tile, number, content), len(self._rows))))
        self._clock.write()
        return number

    def _set_all(self) -> None:
        for use in tuple(self._unset):
            self._set_lock(use)

    def _victim(self, pool: _Pool, limit: Position) -> Channel:
        """The channel of the pool whose oldest task completes first."""
        heads = [(flights[0].end, c) for c in pool.members if (flights := self._flights[c])]
        end, channel = min(heads)
        if end > limit:
            raise ProgramError(f"tile {channel[0]}: descriptors are held by tasks that cannot complete before {limit}")
        return channel

    def _retire(self, channel: Channel) -> None:
        """Wait for the oldest task in flight on a channel and free its descriptors."""
        self._set_all()
        flight = self._flights[channel].popleft()
        self._issued.append((Wait, *channel, flight.number))
        self._clock.wait(flight.end)
        pool = self._pool_of[channel]
        pool.free.extend(reversed(flight.bds))
        pool.changes += 1
