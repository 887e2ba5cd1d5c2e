"""Core memory divided anew for each item: the DIVIDE opcode, and the tasks of the rings that it lays out.

At an item's border the A and O rings of a core are empty: the barrier lets no activation pass before the outputs of the
item before have arrived. So their memory, and that of the partial sums, can be laid out anew there. Where the barrier
lags (``memory.lag``) a ring of the same size stays as it is instead, with what it holds (``staying``): the O ring
alone, while A and ACC change, or all. A ring that does not stay is waited for by DIVIDE, barrier or not. The weight
ring, into which later items' weights are prefetched, stays where it is. The rings' descriptors are written by the
command stream, their tasks carry as many slots as the item has (its activations and the next item's opcode message),
and they use the other bank of the core's locks: those are 0 until the core, in DIVIDE, has found all slots of the old
rings free and hands out the new ones. Nothing else is needed: a channel runs its tasks in order, so the old ring's are
over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tvm_aie.emit.commands import Channel, Position, Work
from tvm_aie.emit.item_tasks import ahead, behind
from tvm_aie.emit.opcodes import DIVIDE
from tvm_aie.emit.overlay import A_LOCKS, O_LOCKS, Array, core_map
from tvm_aie.emit.program import CoreMap, Dir, LockUse
from tvm_aie.emit.transfers import BdTemplate, Shape
from tvm_aie.schedule.geometry import Overlay


@dataclass(frozen=True)
class Staying:
    """Which rings of the item before an item keeps, with their positions."""

    a: bool = False
    o: bool = False


def staying(lag: bool, before: Overlay, here: Overlay) -> Staying:
    """What stays for an item whose barrier lags, or not, and the divisions of the item before and its own.

    Behind a full barrier the rings are empty: new ones begin at their start, where fewer messages wrap.
    """
    outputs = lag and (before.o_slot, before.o_slots) == (here.o_slot, here.o_slots)
    return Staying(outputs and before.divided_as(here) == before, outputs)


def divide_words(array: Array, stays: Staying = Staying()) -> list[int]:
    """DIVIDE to the division of ``array``: bases in bytes, slots, ACC; a ring that stays has zeros."""
    m = core_map(array, 0, 0, True)
    a = [0, 0, 0] if stays.a else [m.a_base, m.a_slot, m.a_slots]
    o = [0, 0, 0] if stays.o else [m.o_base, m.o_slot, m.o_slots]
    return [DIVIDE, *a, *o, m.acc_base, m.acc_bytes]


@dataclass(frozen=True)
class Segment:
    """Slots of a ring that are filled between two positions of the program."""

    start: Position
    end: Position
    slots: int


@dataclass(frozen=True)
class Rings:
    """What passes through the rings of all cores, by ring: one that item i lays out has number i + 1, the first 0.

    ``a``: by (ring, column); ``o``: by (ring, column, core row); ``stays``, ``lags``: of each item.
    """

    a: dict[tuple[int, int], list[Segment]] = field(default_factory=dict)
    o: dict[tuple[int, int, int], list[Segment]] = field(default_factory=dict)
    stays: Sequence[Staying] = ()
    lags: Sequence[bool] = ()

    def _a_ring(self, item: int) -> int:
        """Number of the A ring of an item; -1: the ring before the first."""
        while item >= 0 and self.stays[item].a:
            item -= 1
        return item + 1

    def _o_ring(self, item: int) -> int:
        while item >= 0 and self.stays[item].o:
            item -= 1
        return item + 1

    def take_opcodes(self, item: int, c: int, slots: int) -> None:
        """The opcode message of ``item``, which goes into the ring of the item before."""
        segment = Segment((item, -1.0), (item, -0.55), slots)
        self.a.setdefault((self._a_ring(item - 1), c), []).append(segment)

    def take_inputs(self, item: int, c: int, sizes: Sequence[int], spans: Sequence[tuple[float, float]]) -> None:
        """The activation messages of a column; ``sizes``: slots of each, filler included; ``spans``: see outputs."""
        at = zip(spans, sizes, strict=True)
        ring = self.a.setdefault((self._a_ring(item), c), [])
        ring += [Segment((item, begin), (item, end), size) for (begin, end), size in at]

    def take_outputs(
        self, item: int, c: int, r: int, sizes: Sequence[int], spans: Sequence[tuple[float, float]]
    ) -> None:
        """The output messages of a core; ``spans``: their shares of the item."""
        at = zip(spans, sizes, strict=False)
        ring = self.o.setdefault((self._o_ring(item), c, r), [])
        ring += [Segment((item, behind(span)), (item, span[1]), size) for span, size in at]

    def works(self, array: Array, arrays: Sequence[Array]) -> Iterator[Work]:
        """The tasks of the cores' A and O channels in order; ``arrays``: the division of each item."""
        a_bank = o_bank = 1  # of the ring before
        for ring, here in enumerate((array, *arrays)):
            stays = self.stays[ring - 1] if ring else Staying()
            a_bank, o_bank = (bank if same else 1 - bank for bank, same in ((a_bank, stays.a), (o_bank, stays.o)))
            for c in range(array.cols):
                for r in range(array.rows):
                    m = core_map(here, array.core(c, r), r, True)
                    yield from self._tasks(array, m, Dir.S2MM, self.a.get((ring, c), ()), a_bank)
                    yield from self._tasks(array, m, Dir.MM2S, self.o.get((ring, c, r), ()), o_bank)

    def _tasks(self, array: Array, m: CoreMap, direction: Dir, parts: Sequence[Segment], bank: int) -> Iterator[Work]:
        """Tasks of whole turns of the ring (writing a descriptor begins at its start), the last one of what remains."""
        into = direction == Dir.S2MM
        base, slot, slots = (m.a_base, m.a_slot, m.a_slots) if into else (m.o_base, m.o_slot, m.o_slots)
        free, full = (A_LOCKS if into else O_LOCKS)[bank]
        acquire, release = LockUse(m.tile, free if into else full, 1), LockUse(m.tile, full if into else free, 1)
        step = slot // 4 if slots > 1 else 0
        ring = BdTemplate(Shape(m.tile, ((slot // 4, 1),)), base, slots, step, acquire, release)
        channel: Channel = (m.tile, direction, 0)
        most = array.device.repeat_max // slots * slots
        first: Position | None = None
        filled = 0
        for part in parts:
            left = part.slots
            while left:
                first = first or part.start
                taken = min(left, most - filled)
                filled, left = filled + taken, left - taken
                if filled == most:
                    yield Work(channel, (ring,), filled, first, part.end, self._wanted(first))
                    first, filled = None, 0
        if filled and first:
            yield Work(channel, (ring,), filled, first, parts[-1].end, self._wanted(first))

    def _wanted(self, first: Position) -> Position:
        return ahead(first, first[0] < len(self.lags) and self.lags[first[0]])
