"""The command scheduler in Python: the oracle of tvm_aie/emit/schedule.cc, which follows it step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from tvm_aie.device import Device
from tvm_aie.emit.commands import LAST_TASK_CYCLES, Channel, CommandBuilder, Position, Work
from tvm_aie.emit.program import LockUse, Mark, Push, SetLock, Task, Wait, WriteBd
from tvm_aie.emit.transfers import BdTemplate
from tvm_aie.errors import ProgramError

_Wanted = tuple[Position, int, Channel, int]  # when, place of the channel, channel, number of its task
_Content = tuple[int, int]  # number of what a descriptor holds, its successor


class Clock:
    """Estimated time: of the command processor, and at which items are complete. It decides what is worth waiting for.

    An item runs when the one before is complete and its tasks are pushed.
    """

    def __init__(self, device: Device, body: Sequence[float], margin: float, late: float) -> None:
        """``body``: cycles of each item; ``margin``, ``late``: in place of MARGIN and LATE_CYCLES."""
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


@dataclass
class _Flight:
    """A pushed task: the position before which all must be pushed to complete it, its number, its descriptors."""

    end: Position
    number: int
    bds: tuple[int, ...]


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


class Oracle:
    """Schedules what a ``CommandBuilder`` was given."""

    def __init__(self, given: CommandBuilder) -> None:
        self.given, self.array, self._lags = given, given.array, given.lags
        self._clock = Clock(given.array.device, given.body, *given.clock)
        self.commands: list[Any] = []
        self._rows: dict[tuple[int, ...], int] = {}
        self._work, self._endless = given.pushed, given.endless
        self._next: dict[Channel, int] = {}
        self._flights: dict[Channel, deque[_Flight]] = {}
        self._pools: dict[tuple[int, range], _Pool] = {}
        self._pool_of: dict[Channel, _Pool] = {}
        self._marked = -1
        self._unset = [*given.unset]
        self._armed = dict.fromkeys(given.armed, -1)
        self._kept = {channel for channel, keep in given.armed.items() if keep}
        self._late = given.late
        self._standing: dict[tuple[Channel, _Content], int] = {}  # descriptors that no command writes
        self.static_rows: list[tuple[int, ...]] = []
        self.static_tasks: list[tuple[int, ...]] = []

    def run(self, limit: float = inf) -> tuple[Any, ...]:
        """As ``Scheduled``."""
        done = self.schedule(limit)
        end = self._clock.end
        for channel, number in self.given.last:
            self.wait(channel, number)
        return done, end, self.commands, [*self._rows], self.static_rows, self.static_tasks

    def _ids(self, channel: Channel) -> tuple[int, range]:
        return channel[0], self.array.pool(channel[0], channel[2])

    def _new_pool(self, tile: int, ids: range) -> _Pool:
        free = deque(self.given.free(tile, ids))
        return _Pool(free, len(free))

    def _content(self, t: BdTemplate, following: int) -> _Content:
        return self.given.contents.number(t), following

    def schedule(self, limit: float = inf) -> bool:
        """Issue all commands, by ``key``; a task that is wanted early is left for later while it would not fit.

        False: given up, since the processor would not be done within ``limit`` estimated cycles.
        """
        self._load_all()
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

    def _load_all(self) -> None:
        """The state in which the program is loaded."""
        for channel, work in self._endless.items():
            self._load_endless(self._pools.setdefault(key := self._ids(channel), self._new_pool(*key)), work)
        for channel in self._work:
            self._flights[channel] = deque()
            self._next[channel] = 0
            pool = self._pools.setdefault(key := self._ids(channel), self._new_pool(*key))
            pool.members.append(channel)
            pool.flights.append(self._flights[channel])
            self._pool_of[channel] = pool
            if channel in self._armed:
                self._load(self._work[channel][0])
        for pool in self._pools.values():
            self._load_standing(pool)
            for channel in pool.members:
                works = self._work[channel]
                pool.needs.append([(work.start, work.end, len(self._written(work)[0])) for work in works])

    def _first(self, entry: tuple[Position, int, Channel]) -> _Wanted:
        """A task that starts at the frontier, as what is wanted now."""
        start, i, channel = entry
        return start, i, channel, self._next[channel]

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
        left = pool.size - len(self._written(work)[0]) + (work.arms is not None)
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
            self.static_rows.append((tile, number, *self._content(template, following)))
        self.static_tasks.append((tile, direction, ch, numbers[0], 0, work.item))

    def _written(self, work: Work) -> tuple[Sequence[BdTemplate], int]:
        """What of a task's chain does not stand, and its successor."""
        chain, following = list(work.chain), -1
        while chain and not work.arms:
            number = self._standing.get((work.channel, self._content(chain[-1], following)))
            if number is None:
                break
            following = number
            chain.pop()
        return chain, following

    def _load_standing(self, pool: _Pool) -> None:
        """Load what most tasks of a channel end with, one descriptor after the other."""
        for _ in range(self.given.standing):
            uses: dict[tuple[Channel, _Content], int] = {}
            first: dict[tuple[Channel, _Content], tuple[int, int]] = {}
            for i, channel in enumerate(pool.members):
                for at, work in enumerate(self._work[channel][self._next[channel] :]):
                    chain, following = self._written(work)
                    if chain and not work.arms and chain[-1].wrap == 1:
                        key = channel, self._content(chain[-1], following)
                        uses[key] = uses.get(key, 0) + 1
                        first[key] = i, at  # with which it has so many uses
            most = max(uses.values(), default=0)
            if most < 2 or len(pool.free) < 2:
                return
            (channel, content) = key = min((k for k in uses if uses[k] == most), key=first.__getitem__)
            number = self._standing[key] = pool.free.popleft()
            pool.size -= 1
            self.static_rows.append((channel[0], number, *content))

    def _load(self, work: Work) -> None:
        """Put a channel's first task into the state with which the program is loaded."""
        tile, direction, ch = work.channel
        pool = self._pool_of[work.channel]
        (template,) = work.chain
        number = self._armed[work.channel] = pool.free.popleft()
        content = pool.content[number] = self._content(template, -1)
        self.static_rows.append((tile, number, *content))
        self.static_tasks.append((tile, direction, ch, number, 1, work.item))
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
        own = len(self._written(work)[0]) - (work.arms is not None and work.channel in self._kept)
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
            self.commands.append(Mark(self._marked))
        for channel, number in work.after:
            self.wait(channel, number)
        flights = self._flights[work.channel]
        while len(flights) >= self.array.device.queue_depth:
            self._retire(work.channel)
        pool = self._pool_of[work.channel]
        tile = work.channel[0]
        ids: list[int] = []
        written, following = self._written(work)
        chain, late = list(written), self._is_late(work.start, work.end)
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
        self.commands.append(Push(Task(*work.channel, start, work.repeat), work.item))
        if work.sets in self._unset:
            self._set_lock(work.sets)

    def _set_lock(self, use: LockUse) -> None:
        self._unset.remove(use)
        self._clock.set_lock()
        self.commands.append(SetLock(use))

    def _write(self, tile: int, pool: _Pool, t: BdTemplate, following: int, repeat: int, usable: Sequence[int]) -> int:
        """Number of a descriptor with this content; written unless a free one still holds it.

        Writing sets its iteration to the begin, where it is again after whole turns. ``usable``: free ones, oldest
        first.
        """
        content = self._content(t, following)
        whole = repeat % t.wrap == 0
        if whole:
            for number in usable:
                if pool.content.get(number) == content:
                    pool.free.remove(number)
                    return number
        number = usable[0]
        pool.free.remove(number)
        pool.content[number] = content if whole else None
        self.commands.append(WriteBd(self._rows.setdefault((tile, number, *content), len(self._rows))))
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
        self.commands.append(Wait(*channel, flight.number))
        self._clock.wait(flight.end)
        pool = self._pool_of[channel]
        pool.free.extend(reversed(flight.bds))
        pool.changes += 1
