"""The command processor and a repeated item, event by event: when is which task pushed, and who waits. `Estimated`.

A push onto an idle channel costs six times a push onto a busy one, so what an item costs the command processor depends
on when its channels run dry. This walks through the pushes of a few repetitions in the order of ``emit.emitter``, with
the item itself reduced to a body of known length that its tasks share out evenly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from tvm_aie.cost.tasks import Task
from tvm_aie.device import Device

ITEMS = 6  # repetitions at most; the distance between the last two ends is the time
POOL_BDS, EARLY_RESERVE = 23, 12  # descriptors of a memtile pool without the static one; ``emit.commands``
BARRIER_CYCLES = 60.0
MOST_PUSHES = 1500  # of one item; beyond that the sum of the pushes is exact enough
_NEVER = float("inf")


_Channel = tuple[int, int]  # (column, 0 for activations or 1 + core row)
_Flight = tuple[int, Task]  # item, task


class _Walk:
    """State of the command processor: time, channels, descriptors in use."""

    def __init__(self, device: Device, body: float, columns: int, rows: int) -> None:
        self.idle, self.queued = device.push_idle_cycles, device.push_queued_cycles
        self.write, self.depth = device.bd_write_cycles, device.queue_depth
        self.body, self.time = body, 0.0
        channels = [(c, kind) for c in range(columns) for kind in range(rows + 1)]
        self.flights: dict[_Channel, deque[_Flight]] = {ch: deque() for ch in channels}
        # odd and even channels of a memtile have descriptors of their own; outputs of row r arrive on channel r
        self.pool = {ch: (ch[0], (ch[1] - 1) % 2 if ch[1] else 0) for ch in channels}
        self.held = dict.fromkeys(self.pool.values(), 0)
        self.members = {p: [ch for ch in channels if self.pool[ch] == p] for p in self.held}
        self.marks: list[list[tuple[float, float]]] = []  # per item: (share done, time), ascending

    def reached(self, item: int, share: float) -> float:
        """When ``share`` of an item is done, as far as is known; never, when it has not started."""
        if item >= len(self.marks):
            return _NEVER
        for begun, time in reversed(self.marks[item]):
            if begun <= share:
                return time + (share - begun) * self.body
        return self.marks[item][0][1]

    def fits(self, channel: _Channel, task: Task, item: int) -> bool:
        """``emit.commands.CommandBuilder.fits``: room without waiting for what has not begun."""
        if sum(1 for i, _ in self.flights[channel] if i >= item) >= self.depth:
            return False
        held = sum(t.bds for ch in self.members[self.pool[channel]] for i, t in self.flights[ch] if i >= item)
        return held + task.bds + EARLY_RESERVE <= POOL_BDS

    def push(self, channel: _Channel, task: Task, item: int) -> None:
        """Wait for a free place, write the descriptors, push."""
        queue, pool = self.flights[channel], self.pool[channel]
        while len(queue) >= self.depth:
            self._retire(channel)
        while self.held[pool] and self.held[pool] + task.bds > POOL_BDS:
            # as ``emit.commands.CommandBuilder._victim``: by place in the sequence, outputs first
            heads = [(f[0][0], f[0][1].done_by, ch[1] == 0, ch) for ch in self.members[pool] if (f := self.flights[ch])]
            self._retire(min(heads)[3])
        self.time += task.writes * self.write
        # tasks of a channel end in order: the last one tells
        busy = bool(queue) and self.reached(queue[-1][0], queue[-1][1].finish) > self.time
        self.time += self.queued if busy else self.idle
        queue.append((item, task))
        self.held[pool] += task.bds

    def _retire(self, channel: _Channel) -> None:
        item, task = self.flights[channel].popleft()
        done = self.reached(item, task.finish)
        if self.time < done < _NEVER:
            self.time = done
        self.held[self.pool[channel]] -= task.bds


def steady_cycles(
    a_tasks: Sequence[Task], o_tasks: Sequence[Sequence[Task]], columns: int, body: float, ahead: bool, device: Device
) -> float:
    """Cycles of one of many equal items.

    ``a_tasks``: of a column, the prologue first; ``o_tasks``: per core row; ``body``: cycles of the item itself;
    ``ahead``: outputs are pushed before the item can start (``emit.emitter.AHEAD_BELOW``).
    """
    per_item = columns * (len(a_tasks) + sum(len(row) for row in o_tasks))
    if per_item > MOST_PUSHES:
        writes = sum(t.writes for t in a_tasks) + sum(t.writes for row in o_tasks for t in row)
        return max(body, per_item * device.push_queued_cycles + columns * writes * device.bd_write_cycles)
    walk = _Walk(device, body, columns, len(o_tasks))
    outputs = [((c, 1 + r), t) for c in range(columns) for r, row in enumerate(o_tasks) for t in row]
    inputs = [((c, 0), t) for c in range(columns) for t in a_tasks[1:]]
    own = sorted([*outputs, *inputs], key=lambda w: (w[1].first, w[0][1] == 0))
    early = sorted(outputs, key=lambda w: w[1].first)
    ends: list[float] = []
    pushed: set[tuple[_Channel, Task]] = set()  # outputs of the item to come that went ahead
    for item in range(ITEMS):
        before: set[tuple[_Channel, Task]] = set()
        if ahead:
            pushed, before = _push_ahead(walk, early, pushed, item)
        for c in range(columns):
            walk.push((c, 0), a_tasks[0], item)
        walk.marks.append([(0.0, max(walk.time, ends[-1] if ends else 0.0) + BARRIER_CYCLES)])
        for wanted in own:
            if wanted in pushed:
                continue
            walk.push(*wanted, item)
            if walk.time > walk.reached(item, wanted[1].first):
                walk.marks[item].append((wanted[1].first, walk.time))
        ends.append(walk.reached(item, 1.0))
        pushed = before
        if item >= 3 and abs(ends[-1] - 2 * ends[-2] + ends[-3]) < 1:
            break  # steady
    return ends[-1] - ends[-2]


def _push_ahead(
    walk: _Walk, outputs: list[tuple[_Channel, Task]], done: set[tuple[_Channel, Task]], item: int
) -> tuple[set[tuple[_Channel, Task]], set[tuple[_Channel, Task]]]:
    """Push what fits of this item's and the next one's outputs; returns what of each is pushed."""
    blocked: set[_Channel] = set()
    now, after = set(done), set[tuple[_Channel, Task]]()
    for which, known in ((item, now), (item + 1, after)):
        for channel, task in outputs:
            if (channel, task) in known:
                continue
            if channel in blocked or not walk.fits(channel, task, item):
                blocked.add(channel)
                continue
            walk.push(channel, task, which)
            known.add((channel, task))
    return now, after
