"""Core memory divided anew for each item: the DIVIDE opcode, and the tasks of the rings that it lays out.

At an item's border the A and O rings of a core are empty: the barrier lets no activation pass before the outputs of the
item before have arrived. So their memory, and that of the partial sums, can be laid out anew there; the weight ring,
into which later items' weights are prefetched, stays where it is. The rings' descriptors are written by the command
stream, their tasks carry as many slots as the item has (its activations and the next item's opcode message), and they
use the other bank of the core's locks: those are 0 until the core, in DIVIDE, has found all slots of the old rings free
and hands out the new ones. Nothing else is needed: a channel runs its tasks in order, so the old ring's are over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tvm_aie.emit.commands import Channel, Position, Work
from tvm_aie.emit.item_tasks import behind
from tvm_aie.emit.opcodes import DIVIDE
from tvm_aie.emit.overlay import A_LOCKS, O_LOCKS, Array, core_map
from tvm_aie.emit.program import CoreMap, Dir, LockUse
from tvm_aie.emit.transfers import BdTemplate, Shape


def divide_words(array: Array) -> list[int]:
    """DIVIDE to the division of ``array``: bases in bytes, slots, ACC."""
    m = core_map(array, 0, 0, True)
    return [DIVIDE, m.a_base, m.a_slot, m.a_slots, m.o_base, m.o_slot, m.o_slots, m.acc_base, m.acc_bytes]


@dataclass(frozen=True)
class Segment:
    """Slots of a ring that are filled between two positions of the program."""

    start: Position
    end: Position
    slots: int


@dataclass(frozen=True)
class Rings:
    """What passes through the rings of all cores, by ring: that of item i has number i + 1, the first one number 0.

    ``a``: by (ring, column); ``o``: by (ring, column, core row).
    """

    a: dict[tuple[int, int], list[Segment]] = field(default_factory=dict)
    o: dict[tuple[int, int, int], list[Segment]] = field(default_factory=dict)

    def take_opcodes(self, item: int, c: int, slots: int) -> None:
        """The opcode message of ``item``, which goes into the ring of the item before."""
        self.a.setdefault((item, c), []).append(Segment((item, -1.0), (item, -0.55), slots))

    def take_inputs(self, item: int, c: int, sizes: Sequence[int], spans: Sequence[tuple[float, float]]) -> None:
        """The activation messages of a column; ``sizes``: slots of each, filler included; ``spans``: see outputs."""
        at = zip(spans, sizes, strict=True)
        self.a[item + 1, c] = [Segment((item, begin), (item, end), size) for (begin, end), size in at]

    def take_outputs(
        self, item: int, c: int, r: int, sizes: Sequence[int], spans: Sequence[tuple[float, float]]
    ) -> None:
        """The output messages of a core; ``spans``: their shares of the item."""
        at = zip(spans, sizes, strict=False)
        self.o[item + 1, c, r] = [Segment((item, behind(span)), (item, span[1]), size) for span, size in at]

    def works(self, array: Array, arrays: Sequence[Array]) -> Iterator[Work]:
        """The tasks of the cores' A and O channels in order; ``arrays``: the division of each item."""
        for ring, here in enumerate((array, *arrays)):
            bank = ring % 2
            for c in range(array.cols):
                for r in range(array.rows):
                    m = core_map(here, array.core(c, r), r, True)
                    yield from _tasks(array, m, Dir.S2MM, self.a.get((ring, c), ()), bank)
                    yield from _tasks(array, m, Dir.MM2S, self.o.get((ring, c, r), ()), bank)


def _tasks(array: Array, m: CoreMap, direction: Dir, parts: Sequence[Segment], bank: int) -> Iterator[Work]:
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
                yield Work(channel, (ring,), filled, first, part.end, first)
                first, filled = None, 0
    if filled and first:
        yield Work(channel, (ring,), filled, first, parts[-1].end, first)
