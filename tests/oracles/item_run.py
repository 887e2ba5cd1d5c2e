"""The kernel calls of one item on all cores: the oracle of tvm_aie/cost/item_run.h."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from oracles.ring_plan import RingPlan
from tvm_aie.cost.item_load import ItemLoad

if TYPE_CHECKING:
    from oracles.message_flow import MessageFlow

At = tuple[int, int]  # column, row


@dataclass(frozen=True)
class _Step:
    """Messages of a step, counted in the item; -1: it takes or gives none."""

    takes_a: int
    takes_w: int
    takes_o: int
    gives_a: int
    gives_w: int
    gives_o: int


def _steps(load: ItemLoad) -> list[_Step]:
    counts = [0] * 6
    out = []
    for locks in load.locks.tolist():
        numbers = [counts[k] if lock else -1 for k, lock in enumerate(locks)]
        if locks[2]:
            numbers[2] = counts[5]
        counts = [n + bool(lock) for n, lock in zip(counts, locks, strict=True)]
        out.append(_Step(*numbers))
    return out


class ItemRun:
    """Cores go on while all that they wait for is known; when none can, the earliest event of all links is next."""

    def __init__(self, flow: MessageFlow, load: ItemLoad, a_plan: list[RingPlan]) -> None:
        assert flow.out is not None
        self.flow, self.load, self.out, self.a_plan = flow, load, flow.out, a_plan
        self.ring, self.o_pos = flow.array.overlay.o_slots, flow.o_pos.tolist()
        self.a_slot, self.o_slot = flow.rates.a_slot, flow.rates.o_slot
        self.steps, self.last = _steps(load), last_sent(load)
        self.a_move = load.a_move[load.locks[:, 0] > 0].T.tolist()
        self.core: list[list[float]] = flow.core.tolist()
        self.kernel: list[list[list[float]]] = load.kernel.tolist()
        columns = range(flow.array.cols)
        self.at = {(c, r): 0 for c in columns for r in range(flow.array.rows)}  # steps that are done
        self.waits: dict[At, tuple[str, int]] = {}  # for what: 'a', 'w', 'o'; for how many slots to leave
        self.ready = deque(self.at)
        self.arrived: list[list[float]] = [[] for _ in columns]
        # Of each column's messages when each core released them; what the ring held before comes first, with one time.
        self.held = flow.a_ring.gone.T.tolist()
        self.released: list[list[list[float]]] = [[[] for _ in load.a_sizes] for _ in columns]

    def run(self) -> None:
        """All steps of all cores."""
        while True:
            while self.ready:
                self._advance(self.ready.popleft())
            if all(done == len(self.steps) for done in self.at.values()):
                return
            c = self.out.step()
            assert c is not None, "the cores of an item wait for each other"
            for at, (kind, slots) in sorted(self.waits.items()):
                if at[0] == c and kind == "o" and self.out.known(*at, slots) is not None:
                    self._wake(at)

    def _wake(self, at: At) -> None:
        del self.waits[at]
        self.ready.append(at)

    def _advance(self, at: At) -> None:
        c, r = at
        while self.at[at] < len(self.steps):
            step = self.steps[self.at[at]]
            if not self._take(at, step):
                return
            self.core[c][r] += self.kernel[self.at[at]][c][r]
            self._give(at, step)
            self.at[at] += 1

    def _until(self, at: At, kind: str, number: int, t: float | None) -> bool:
        """The core goes on at ``t`` at the earliest; None: it waits."""
        if t is None:
            self.waits[at] = kind, number
            return False
        self.core[at[0]][at[1]] = max(self.core[at[0]][at[1]], t)
        return True

    def _take(self, at: At, step: _Step) -> bool:
        c, r = at
        if step.takes_w >= 0 and not self._until(at, "w", 0, self.flow.weights.arrive(r, step.takes_w)):
            return False
        if step.takes_a >= 0 and not self._until(at, "a", 0, self._input(c, step.takes_a)):
            return False
        return step.takes_o < 0 or self._take_output(at, step.takes_o)

    def _gone(self, c: int, message: int) -> float | None:
        """When a message, counted from the first that the A ring held, is released; -1: nothing waits for it."""
        if message < 0:
            return 0.0
        if message < len(self.held[c]):
            return float(self.held[c][message])
        times = self.released[c][message - len(self.held[c])]
        return max(times) if len(times) == self.flow.array.rows else None

    def _input(self, c: int, message: int) -> float | None:
        plan, arrived = self.a_plan[c], self.arrived[c]
        while len(arrived) <= message:
            m = len(arrived)
            t = arrived[-1] if m else float(self.flow.a_free[c])
            t += plan.filler[m] * self.a_slot
            t += self.a_move[c][m]
            if plan.needs[m] >= 0:
                for back in (0, 1):
                    gone = self._gone(c, plan.needs[m] - back)
                    if gone is None:
                        return None
                    t = max(t, gone + plan.late[m][back] * self.a_slot)
            arrived.append(t)
        return arrived[message]

    def _take_output(self, at: At, q: int) -> bool:
        c, r = at
        size, filler = int(self.load.o_sizes[q, c, r]), self.ring - self.o_pos[c][r]
        if filler < size:  # the message begins at the ring's start
            if not self._room(at, filler):
                return False
            self.out.send(c, r, self.core[c][r], filler, self.o_slot, 0.0)
            self.o_pos[c][r] = 0
        return self._room(at, size)

    def _room(self, at: At, slots: int) -> bool:
        """The core waits until so many slots of the ring are free."""
        left = self.out.slots[at[0]][at[1]] + slots - self.ring
        if left <= 0:
            return True
        t = self.out.known(*at, left)
        if t is None:
            self.out.watch(*at, left)
        return self._until(at, "o", left, t)

    def _give(self, at: At, step: _Step) -> None:
        c, r = at
        t = self.core[c][r]
        if step.gives_a >= 0:
            times = self.released[c][step.gives_a]
            times.append(t)
            if len(times) == self.flow.array.rows:
                self._wake_all("a", [(c, k) for k in range(self.flow.array.rows)])
        if step.gives_w >= 0 and self.flow.weights.release(r, step.gives_w, t):
            self._wake_all("w", [(k, r) for k in range(self.flow.array.cols)])
        if step.gives_o >= 0:
            size = int(self.load.o_sizes[step.gives_o, c, r])
            self.o_pos[c][r] = (self.o_pos[c][r] + size) % self.ring
            rest = float(self.load.o_rest[c, r]) if self.last[c, r] == step.gives_o else 0.0
            if size > 0:
                self.out.send(c, r, t, size, self.o_slot, rest)

    def _wake_all(self, kind: str, cores: list[At]) -> None:
        for at in cores:
            if self.waits.get(at, ("", 0))[0] == kind:
                self._wake(at)


def last_sent(load: ItemLoad) -> npt.NDArray[np.int64]:
    """The last output message of each core, (columns, rows); -1: it has none."""
    sent = load.o_sizes > 0
    if not len(sent):
        return np.full(load.o_rest.shape, -1, np.int64)
    return np.where(sent.any(axis=0), len(sent) - 1 - sent[::-1].argmax(axis=0), -1)
