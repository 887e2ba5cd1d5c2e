"""When the output messages of an item end (estimated): each core has a link of its own, or a column's cores share one.

The emulator's link (docs/program.md section 4) works whenever there is work and serves the cores that have some in
equal shares. The recurrence hands over one message of all cores at a time, in whatever order these become ready; so a
shared link is simulated no further than what is asked for needs, and remembers when it was idle: a message that was
ready then is served then.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class OwnLinks:
    """Links of one item, one per core: messages go one after the other. Times are arrays (columns, rows).

    Of several items, where barriers lag: numbers of messages go on.
    """

    def __init__(self, before: Floats, messages: int) -> None:
        """``before``: when each link is free; ``messages``: most of a core."""
        self.now, self.count, self.sound = before, 0, np.zeros(before.shape)
        self.known = np.zeros((messages + 1, *before.shape))
        self.at = np.arange(before.shape[0])[:, None], np.arange(before.shape[1])[None, :]

    def copy(self) -> OwnLinks:
        """An independent state."""
        other = copy(self)
        other.known = self.known.copy()
        return other

    def more(self, messages: int) -> None:
        """At most so many messages of a core come next."""
        self.known = np.concatenate([self.known[: self.count + 1], np.zeros((messages, *self.known.shape[1:]))])

    def junk(self, ready: Floats, move: Floats) -> None:
        """What is ready at ``ready`` and takes ``move`` cycles alone, 0: nothing; nobody asks for its end."""
        self.now = np.where(move > 0, np.maximum(self.now, ready) + move, self.now)

    def send(self, ready: Floats, move: Floats, rest: Floats | None = None) -> None:
        """The next message of each core, likewise. ``rest``: so much of ``move`` is filler at its end."""
        self.junk(ready, move)
        self.count += 1
        self.known[self.count] = self.now
        self.sound = np.where(move > 0, self.now if rest is None else self.now - rest, self.sound)

    def ends(self, messages: Ints) -> Floats:
        """When these messages (numbers by core, -1: none) have ended; 0: none."""
        return np.asarray(self.known[messages + 1, *self.at], np.float64)

    def finish(self) -> Floats:
        """When everything has ended."""
        return self.now

    def mark(self) -> Marks:
        """What each core has sent so far."""
        return [row.tolist() for row in self.now]

    def data(self) -> Marks:
        """The same up to the data of its last message, without the filler behind them."""
        return [row.tolist() for row in self.sound]

    def ended(self, mark: Marks) -> Floats:
        """When what each core had sent at a mark has ended."""
        return np.array(mark)


Marks = list[list[int]]  # of each column and row; of links of their own the times


class SharedLinks:
    """The same where the cores of a column share a link."""

    def __init__(self, before: Floats, messages: int) -> None:
        """As ``OwnLinks``."""
        self.links = [Link(row) for row in before.tolist()]
        self.count, self.sound = 0, [[0] * before.shape[1] for _ in self.links]

    def copy(self) -> SharedLinks:
        """As ``OwnLinks``."""
        other = copy(self)
        other.links, other.sound = [link.copy() for link in self.links], self.data()
        return other

    def more(self, messages: int) -> None:
        """As ``OwnLinks``."""

    def junk(self, ready: Floats, move: Floats) -> None:
        """As ``OwnLinks``."""
        for link, starts, moves in zip(self.links, ready.tolist(), move.tolist(), strict=True):
            for r, work in enumerate(moves):
                if work > 0:
                    link.push(r, starts[r], work)

    def send(self, ready: Floats, move: Floats, rest: Floats | None = None) -> None:
        """As ``OwnLinks``; the filler is a part of its own."""
        self.junk(ready, move if rest is None else move - rest)
        for link, sound, moves in zip(self.links, self.sound, move.tolist(), strict=True):
            for r, work in enumerate(moves):
                if work > 0:
                    sound[r] = link.pushed[r]
        if rest is not None:
            self.junk(ready, rest)
        self.count += 1
        for link in self.links:
            for pushed, sent in zip(link.pushed, link.sent, strict=True):
                sent.append(pushed)

    def ends(self, messages: Ints) -> Floats:
        """As ``OwnLinks``."""
        found = []
        for link, asked in zip(self.links, messages.tolist(), strict=True):
            found.append([link.end(r, link.sent[r][m]) if m >= 0 else 0.0 for r, m in enumerate(asked)])
        return np.array(found)

    def finish(self) -> Floats:
        """As ``OwnLinks``."""
        return self.ended(self.mark())

    def mark(self) -> Marks:
        """As ``OwnLinks``."""
        return [list(link.pushed) for link in self.links]

    def data(self) -> Marks:
        """As ``OwnLinks``."""
        return [list(row) for row in self.sound]

    def ended(self, mark: Marks) -> Floats:
        """As ``OwnLinks``."""
        return np.array(
            [[link.end(r, n) for r, n in enumerate(row)] for link, row in zip(self.links, mark, strict=True)]
        )


class Link:
    """One shared link. Each core's parts are served in order, those at the front of the queues in equal shares.

    ``served``: what each front has got since the link was idle; so a front is done when that is its ``work`` more than
    when it came, and among the fronts the order in which they end never changes.
    """

    def __init__(self, before: list[float]) -> None:
        """``before``: by core, the end of what it sent before."""
        self.now, self.served = 0.0, 0.0  # simulated up to here
        self.idle: list[tuple[float, float]] = []  # spans before ``now``, in order
        self.queues: list[deque[tuple[float, float]]] = [deque() for _ in before]  # of each core: (ready, work)
        self.active: list[tuple[float, int]] = []  # heap of the fronts in service: (``served`` at its end, core)
        self.coming: list[tuple[float, int]] = []  # heap of the fronts that are not ready: (ready, core)
        self.done = [[t] for t in before]  # end of each part that is done; first: of what came before
        self.pushed = [0 for _ in before]
        self.sent: list[list[int]] = [[] for _ in before]  # of each message: parts up to its own

    def copy(self) -> Link:
        """An independent state."""
        other = copy(self)
        other.idle, other.active, other.coming = list(self.idle), list(self.active), list(self.coming)
        other.queues = [deque(queue) for queue in self.queues]
        other.done, other.sent = [list(x) for x in self.done], [list(x) for x in self.sent]
        other.pushed = list(self.pushed)
        return other

    def push(self, r: int, ready: float, work: float) -> None:
        """A part of core ``r``."""
        self.pushed[r] += 1
        queue = self.queues[r]
        if not queue:
            ready = max(ready, self.done[r][-1])
            if ready < self.now:
                ready, work = self._fill(ready, work)
                if work <= 0:
                    self.done[r].append(ready)
                    return
            self._front(r, ready, work)
        queue.append((ready, work))

    def end(self, r: int, part: int) -> float:
        """When part number ``part`` of core ``r`` (from 1; 0: what came before) has ended."""
        done = self.done[r]
        while len(done) <= part:
            self._step()
        return done[part]

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

    def _step(self) -> None:
        """Simulate up to the next part's begin or the ends of the parts that are done next."""
        active, coming = self.active, self.coming
        if active:
            least = active[0][0]
            done = self.now + (least - self.served) * len(active)
        if not active or (coming and coming[0][0] < done):
            ready, r = heappop(coming)
            if active:
                self.served += (ready - self.now) / len(active)
            else:
                self.idle.append((self.now, ready))
                self.served = 0.0
            self.now = ready
            heappush(active, (self.served + self.queues[r][0][1], r))
            return
        self.now, self.served = done, least
        ended = []
        while active and active[0][0] <= least + ROUNDING:
            ended.append(heappop(active)[1])
        for r in ended:
            self.done[r].append(done)
            queue = self.queues[r]
            queue.popleft()
            if queue:
                self._front(r, *queue[0])


ROUNDING = 1e-9  # cycles
