"""When the output messages of an item end (estimated): each core has a link of its own, or a column's cores share one.

The emulator's link (docs/program.md section 4) works whenever there is work and serves the cores that have some in
equal shares. So a shared link is simulated event by event, and no further than cores need it. Where barriers lag, what
comes later may be ready earlier than that; so a link remembers when it was idle: what was ready then is served then.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from heapq import heapify, heappop, heappush
from math import inf

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Marks = list[list[float]]  # slots of each column and row


class OwnLinks:
    """Links of items, one per core: parts go one after the other. Numbers of slots go on."""

    def __init__(self, before: Floats) -> None:
        """``before``: when each link is free, (columns, rows)."""
        self.slots = [[0] * before.shape[1] for _ in before]
        self.sound: Marks = [[0.0] * before.shape[1] for _ in before]  # up to the data of the last message
        # Of each part of a core the slots up to its end, when that is, and the cycles of a slot.
        self.parts = [[[(0.0, t, 0.0)] for t in row] for row in before.tolist()]

    def copy(self) -> OwnLinks:
        """An independent state."""
        other = copy(self)
        other.slots, other.sound = [list(row) for row in self.slots], self.data()
        other.parts = [[list(parts) for parts in row] for row in self.parts]
        return other

    def push(self, c: int, r: int, ready: float, work: float, last: float) -> None:
        """A part: ready at ``ready``, it takes ``work`` > 0 cycles alone; ``last``: slots up to its end."""
        first, end, _ = self.parts[c][r][-1]
        self.parts[c][r].append((last, max(end, ready) + work, work / (last - first)))

    def known(self, c: int, r: int, slots: float) -> float | None:
        """When the first slots of a core have left; None: not known yet."""
        last, end, slot = next(part for part in self.parts[c][r] if part[0] >= slots)
        return end - (last - slots) * slot if last > slots else end

    def watch(self, c: int, r: int, slots: float) -> None:
        """When these slots leave is an event of its own."""

    def end(self, c: int, r: int, slots: float) -> float:
        """When the first slots of a core have left, simulated as far as needed."""
        t = self.known(c, r, slots)
        assert t is not None
        return t

    def step(self) -> int | None:
        """Simulate the next event of all links; the column of that link. None: there is none."""
        return None

    def send(self, c: int, r: int, ready: float, slots: int, slot: float, rest: float) -> None:
        """``slots`` > 0 slots of ``slot`` cycles; ``rest`` of them are filler at their end."""
        self.slots[c][r] += slots
        last = float(self.slots[c][r])
        self.sound[c][r] = last - rest
        filler = rest * slot if last - rest < last else 0.0
        if slots * slot - filler > 0:
            self.push(c, r, ready, slots * slot - filler, last - rest)
        if filler > 0:
            self.push(c, r, ready, filler, last)

    def mark(self) -> Marks:
        """Slots of each core so far."""
        return [[float(n) for n in row] for row in self.slots]

    def data(self) -> Marks:
        """The same up to the data of its last message, without the filler behind them."""
        return [list(row) for row in self.sound]

    def ended(self, mark: Marks) -> Floats:
        """When what each core had sent at a mark has ended."""
        return np.array([[self.end(c, r, slots) for r, slots in enumerate(row)] for c, row in enumerate(mark)])

    def finish(self) -> Floats:
        """When everything has ended."""
        return self.ended(self.mark())


class SharedLinks(OwnLinks):
    """The same where the cores of a column share a link."""

    def __init__(self, before: Floats) -> None:
        """As ``OwnLinks``."""
        super().__init__(before)
        self.links = [Link(row) for row in before.tolist()]

    def copy(self) -> SharedLinks:
        """As ``OwnLinks``."""
        other = copy(self)
        other.links = [link.copy() for link in self.links]
        other.slots, other.sound = [list(row) for row in self.slots], self.data()
        return other

    def push(self, c: int, r: int, ready: float, work: float, last: float) -> None:
        """As ``OwnLinks``."""
        self.links[c].push(r, ready, work, last)

    def known(self, c: int, r: int, slots: float) -> float | None:
        """As ``OwnLinks``."""
        return self.links[c].known(r, slots)

    def watch(self, c: int, r: int, slots: float) -> None:
        """As ``OwnLinks``."""
        self.links[c].watch(r, slots)

    def end(self, c: int, r: int, slots: float) -> float:
        """As ``OwnLinks``."""
        return self.links[c].end(r, slots)

    def step(self) -> int | None:
        """As ``OwnLinks``."""
        at, c = min((link.next(), c) for c, link in enumerate(self.links))
        if at == inf:
            return None
        self.links[c].step()
        return c


class Link:
    """One shared link. Each core's parts are served in order, those at the front of the queues in equal shares.

    ``served``: what each front has got since the link was idle; so a front is done when that is its ``work`` more than
    when it came, and among the fronts the order in which they end never changes.
    """

    def __init__(self, before: list[float]) -> None:
        """``before``: by core, the end of what it sent before."""
        self.now, self.served = 0.0, 0.0  # simulated up to here
        self.idle: list[tuple[float, float]] = []  # spans before ``now``, in order
        self.queues: list[deque[tuple[float, float, float]]] = [deque() for _ in before]  # of each core: see ``push``
        self.active: list[tuple[float, int]] = []  # heap of the fronts in service: (``served`` at its end, core)
        self.coming: list[tuple[float, int]] = []  # heap of the fronts that are not ready: (ready, core)
        self.done = [[(0.0, t)] for t in before]  # slots up to each part that is done, its end; first: what came before

    def copy(self) -> Link:
        """An independent state."""
        other = copy(self)
        other.idle, other.active, other.coming = list(self.idle), list(self.active), list(self.coming)
        other.queues, other.done = [deque(queue) for queue in self.queues], [list(x) for x in self.done]
        return other

    def push(self, r: int, ready: float, work: float, last: float) -> None:
        """A part of core ``r``; ``last``: slots of the core up to its end."""
        queue = self.queues[r]
        if not queue:
            ready = max(ready, self.done[r][-1][1])
            if ready < self.now:
                ready, work = self._fill(ready, work)
                if work <= 0:
                    self.done[r].append((last, ready))
                    return
            self._front(r, ready, work)
        queue.append((ready, work, last))

    def known(self, r: int, slots: float) -> float | None:
        """When the first slots of core ``r`` have left; of a part that has gone whole, its end. None: not yet."""
        return next((end for last, end in self.done[r] if last >= slots), None)

    def end(self, r: int, slots: float) -> float:
        """Likewise, simulated as far as needed."""
        while (t := self.known(r, slots)) is None:
            self.step()
        return t

    def watch(self, r: int, slots: float) -> None:
        """The part with these slots becomes two, the first of which ends with them, or with what has left already."""
        queue = self.queues[r]
        ends = [self.done[r][-1][0], *(last for _, _, last in queue)]
        k = next(k for k, last in enumerate(ends[1:]) if last >= slots)
        ready, work, last = queue[k]
        if last == slots:
            return
        each = work / (last - ends[k])
        after = each * (last - slots)
        if k == 0 and any(core == r for _, core in self.active):
            at = next(at for at, core in self.active if core == r)
            left = at - self.served
            if after >= left:  # these slots have left: that is the next event, now
                slots, after = max(slots, last - left / each), left
            if not slots < last:
                return  # all have
            self.active[self.active.index((at, r))] = max(at - after, self.served), r
            heapify(self.active)
        queue[k] = ready, after, last
        queue.insert(k, (ready, work - after, slots))

    def _front(self, r: int, ready: float, work: float) -> None:
        """A part comes to the front of its core's queue."""
        if ready <= self.now:
            heappush(self.active, (self.served + work, r))
        else:
            heappush(self.coming, (ready, r))

    def _fill(self, ready: float, work: float) -> tuple[float, float]:
        """Serve a part in idle time from ``ready`` on: (time, work left); the time is ``now`` if any is left."""
        left = []
        end = self.now
        for a, b in self.idle:
            begin = max(a, ready)
            used = min(work, b - begin)
            if used <= 0:
                left.append((a, b))
                continue
            work -= used
            end = begin + used
            left += [span for span in ((a, begin), (end, b)) if span[0] < span[1]]
        self.idle = left
        return (end, 0.0) if work <= 0 else (self.now, work)

    def next(self) -> float:
        """When the next part begins or ends."""
        begin = self.coming[0][0] if self.coming else inf
        return min(begin, self._next_end()) if self.active else begin

    def _next_end(self) -> float:
        return self.now + (self.active[0][0] - self.served) * len(self.active)

    def step(self) -> None:
        """Simulate up to there: a part's begin, or the ends of the parts that are done next."""
        active, coming = self.active, self.coming
        if not active or (coming and coming[0][0] < self._next_end()):
            ready, r = heappop(coming)
            if active:
                self.served += (ready - self.now) / len(active)
            else:
                self.idle.append((self.now, ready))
                self.served = 0.0
            self.now = ready
            heappush(active, (self.served + self.queues[r][0][1], r))
            return
        done, least = self._next_end(), active[0][0]
        self.now, self.served = done, least
        ended = []
        while active and active[0][0] <= least + ROUNDING:
            ended.append(heappop(active)[1])
        for r in ended:
            self.done[r].append((self.queues[r][0][2], done))
            queue = self.queues[r]
            queue.popleft()
            if queue:
                self._front(r, *queue[0][:2])


ROUNDING = 1e-9  # cycles
