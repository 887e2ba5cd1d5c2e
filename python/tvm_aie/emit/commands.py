"""The command stream under construction: descriptor numbers, task queues and the waits that keep them legal."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Bd, Command, Dir, Push, Task, Wait, WriteBd
from tvm_aie.emit.transfers import BdTemplate
from tvm_aie.errors import ProgramError

Channel = tuple[int, Dir, int]
# Descriptors of a memtile pool that output tasks pushed ahead of their turn leave free.
EARLY_RESERVE = 12
Order = tuple[int, float]


@dataclass
class _Flight:
    """A pushed task: the order after which it is complete, its number on the channel, its descriptors."""

    done_by: Order
    number: int
    bds: tuple[int, ...]


@dataclass
class _Pool:
    """Free descriptors of a tile's pool, oldest first, and what each still holds."""

    free: deque[int]
    content: dict[int, Bd] = field(default_factory=dict)


class CommandBuilder:
    """Turns descriptor chains into WRITE_BD, PUSH and WAIT.

    A task is pushed with the position ``order`` = (item, first message) and ``done_by`` = (item, last message): when
    everything pushed so far has run, a task whose ``done_by`` lies before the next push can be waited for without
    deadlock. Tasks must be pushed in ascending ``order``.
    """

    def __init__(self, array: Array, reserved: Sequence[Bd]) -> None:
        """``reserved``: the overlay's static descriptors, which stay what they are."""
        self.array = array
        self.bds: list[Bd] = []
        self.commands: list[Command] = []
        self._rows: dict[Bd, int] = {}
        self._channels: dict[Channel, deque[_Flight]] = {}
        self._pushed: dict[Channel, int] = {}
        self._pools: dict[tuple[int, range], _Pool] = {}
        self._members: dict[tuple[int, range], set[Channel]] = {}
        self._taken = {(b.tile, b.bd_id) for b in reserved}

    def push(
        self,
        channel: Channel,
        chain: Sequence[BdTemplate],
        repeat: int,
        order: Order,
        done_by: Order,
        item: int | None = None,
    ) -> int:
        """Write what is not already there, push, and return the task's number on the channel (from 1).

        ``item``: whose task it is in the statistics; by default the item at whose turn it is pushed.
        """
        tile, direction, ch = channel
        flights = self._channels.setdefault(channel, deque())
        while len(flights) >= self.array.device.queue_depth:
            self._retire(channel)
        key = (tile, self.array.pool(tile, ch))
        pool = self._pools.setdefault(key, self._new_pool(*key))
        self._members.setdefault(key, set()).add(channel)
        while len(pool.free) < len(chain):
            self._retire(self._victim(key, order, len(chain)))
        ids: list[int] = []
        following = -1
        for template in reversed(chain):
            following = self._write(tile, pool, template, following)
            ids.append(following)
        number = self._pushed.get(channel, 0) + 1
        self._pushed[channel] = number
        flights.append(_Flight(done_by, number, tuple(ids)))
        self.commands.append(Push(Task(tile, direction, ch, following, repeat), order[0] if item is None else item))
        return number

    def fits(self, channel: Channel, length: int, order: Order) -> bool:
        """Whether a chain of ``length`` can be pushed at ``order`` waiting only for tasks that are done by then."""
        tile, _, ch = channel
        flights = self._channels.get(channel, deque())
        if sum(1 for f in flights if f.done_by >= order) >= self.array.device.queue_depth:
            return False
        key = (tile, self.array.pool(tile, ch))
        held = sum(
            len(f.bds)
            for member in self._members.get(key, set())
            for f in self._channels.get(member, deque())
            if f.done_by >= order
        )
        usable = sum(1 for i in key[1] if (tile, i) not in self._taken)
        # Room for what must still be pushed before these tasks can run: a prologue and its messages.
        return held + length + EARLY_RESERVE <= usable

    def wait(self, channel: Channel, number: int) -> None:
        """Wait until task ``number`` of the channel is complete."""
        flights = self._channels.get(channel, deque())
        while flights and flights[0].number <= number:
            self._retire(channel)

    def _new_pool(self, tile: int, ids: range) -> _Pool:
        return _Pool(deque(i for i in ids if (tile, i) not in self._taken))

    def _write(self, tile: int, pool: _Pool, t: BdTemplate, following: int) -> int:
        """Number of a descriptor with this content; written unless a free one still holds it."""
        bd = Bd(
            tile,
            -1,
            t.shape.mem,
            t.base,
            t.shape.dims,
            t.shape.pads,
            t.wrap,
            t.step,
            t.acquire,
            t.release,
            following,
            t.control,
        )
        if t.wrap == 1:
            for number in pool.free:
                if pool.content.get(number) == bd:
                    pool.free.remove(number)
                    return number
        number = pool.free.popleft()
        pool.content[number] = bd
        final = replace(bd, bd_id=number)
        row = self._rows.get(final)
        if row is None:
            row = self._rows[final] = len(self.bds)
            self.bds.append(final)
        self.commands.append(WriteBd(row))
        return number

    def _victim(self, key: tuple[int, range], order: Order, needed: int) -> Channel:
        """The channel of the pool whose oldest task completes first and does not depend on later pushes."""
        heads = [(flights[0].done_by, c) for c in self._members[key] if (flights := self._channels.get(c))]
        heads = [h for h in heads if h[0] < order]
        if not heads:
            raise ProgramError(
                f"tile {key[0]}: {needed} descriptors wanted for item {order[0]}, pool {key[1].start}.."
                f"{key[1].stop - 1} is held by tasks that cannot complete before"
            )
        return min(heads)[1]

    def _retire(self, channel: Channel) -> None:
        """Wait for the oldest task in flight on a channel and free its descriptors."""
        flight = self._channels[channel].popleft()
        tile, direction, ch = channel
        self.commands.append(Wait(tile, direction, ch, flight.number))
        pool = self._pools[(tile, self.array.pool(tile, ch))]
        pool.free.extend(reversed(flight.bds))
