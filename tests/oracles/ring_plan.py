"""Where messages lie in a ring of slots, and which releases they wait for (docs/program.md section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import accumulate


@dataclass(frozen=True)
class RingPlan:
    """Messages in a ring.

    Per message: filler slots before it, and the message whose release it needs (-1: none; counted from the first of
    those that were in the ring before). ``position``: of the ring after the last. ``late``: slots of each message, at
    its end, that have no room before that release, and before the release of the message before that one.
    """

    filler: tuple[int, ...]
    needs: tuple[int, ...]
    position: int
    late: tuple[tuple[int, int], ...]


@cache
def ring_plan(position: int, sizes: tuple[int, ...], slots: int, before: tuple[int, ...] = ()) -> RingPlan:
    """Place messages of these sizes (0: no message) from ``position`` on; one that does not fit begins at 0.

    ``before``: slots, with their filler, of messages that may still be in the ring, the last one in front of position.
    """
    filler, ends, needs = [0] * len(before), list(accumulate(before)), []
    late: list[tuple[int, int]] = []
    end, freed = sum(before), -1

    def gone(message: int) -> int:
        """Slots free again once it is released. Filler counts with the message before it: the core drops it when it
        asks for the next one."""
        return (ends[message] if message >= 0 else 0) + filler[message + 1]

    for size in sizes:
        skip = slots - position if position + size > slots else 0
        position = (0 if skip else position) + size
        position %= slots
        end += skip + size
        filler.append(skip)
        ends.append(end)
        while freed + 1 < len(ends) - 1 and gone(freed) < end - slots:
            freed += 1
        needs.append(freed)
        waiting = [end - slots - gone(freed - back) if freed >= back - 1 else 0 for back in (1, 2)]
        late.append((min(waiting[0], size), min(waiting[1], size)))
    return RingPlan(tuple(filler[len(before) :]), tuple(needs), position, tuple(late))
