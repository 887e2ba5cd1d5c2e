"""What a program does last, so that the array is ready for its next inference without being configured again.

Configuring it costs hundreds of microseconds on npu1 (DESIGN 5), more than a small network takes. So the cores do not
halt: they wait for the next opcode message. Everything that the command stream takes for granted at its begin must be
so again at its end: the A and O rings stand at slot 0, the weight rings are empty, locks have their initial values, and
the memtile channels have the tasks with which the program is loaded (``emit.commands.Armed``). The emulator checks it
after every inference (``tvm_aie/emulator/report.cc``).
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm_aie.emit import opcodes
from tvm_aie.emit.item_tasks import LockPair
from tvm_aie.emit.overlay import STORE_DONE
from tvm_aie.emit.program import LockUse

SKIP_TO_BEGIN = 1  # operand of SKIP_O
# Descriptors of a task of outputs that the end of the program completes: three channels share 24, and until then they
# are not free.
MOST_LAST = 5


def padding(lengths: Sequence[int], ring: int, most: int) -> list[list[int]]:
    """Slots of the messages that fill the weight stream of each core row up to whole memtile slots.

    ``lengths``: of the streams, ``ring``: of a memtile slot, both in slots of the core's ring, which holds ``most``.
    All rows have equally many messages, as they run the same opcodes; so a row may get a memtile slot more. A message
    has 1 to ``most`` slots.
    """
    least = [-length % ring for length in lengths]
    count = 0
    while True:
        wanted = [rest + max(0, -(-(count - rest) // ring)) * ring for rest in least]
        if all(slots <= count * most for slots in wanted):
            break
        count += 1
    out = []
    for slots in wanted:
        share, more = divmod(slots, count) if count else (0, 0)
        out.append([share + (k < more) for k in range(count)])
    return out


def last_opcodes(pads: int) -> list[int]:
    """Opcodes of the last message: drop ``pads`` weight messages, send what is left of the O ring as junk."""
    words = [opcodes.LOOP, pads, opcodes.ACQ_W, opcodes.REL_W, opcodes.NEXT] if pads else []
    return [*words, opcodes.SKIP_O, SKIP_TO_BEGIN, opcodes.END]


def last_locks(memtile: int, stored: int) -> LockPair:
    """Behind the last message: ``stored`` stores are done."""
    return LockUse(memtile, STORE_DONE, stored) if stored else None, None
