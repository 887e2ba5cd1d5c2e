"""What a tiling costs the command processor: its messages are cut into tasks as the emitter will, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import UNROLL_A, UNROLL_O, DmaTask, Operand, input_messages, output_messages, tasks_of
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import Storage
from tvm_aie.schedule.tiling import Tiling

# Descriptors of a prologue: the opcodes and two of the barrier.
PROLOGUE = 3
# A joined chain has about so many descriptors; tasks at the ends of an item are joined with those of its neighbours.
CHAIN = 8
# A junk area, for its length only.
NOWHERE, JUNK = -4, 2048


@dataclass(frozen=True)
class Counts:
    """Descriptors written and tasks pushed (a share of a joined chain is a fraction of a task)."""

    descriptors: float
    pushes: float


def count(tasks: Sequence[DmaTask], more: int = 0) -> Counts:
    """Of one channel in one item; ``more`` descriptors run once before its tasks."""
    descriptors = more + sum(len(t.chain) for t in tasks)
    repeated = sum(1 for t in tasks if t.repeat > 1)
    once = descriptors - sum(len(t.chain) for t in tasks if t.repeat > 1)
    between = sum(1 for a, b in pairwise(tasks) if a.repeat > 1 and b.repeat == 1)
    return Counts(descriptors, repeated + max(between, once / CHAIN))


class ItemCounter:
    """Estimated command processor cycles of an item's tilings, from a column inside and its first core row."""

    def __init__(self, array: Array, item: WorkItem, storages: Mapping[str, Storage]) -> None:
        """``item``: placed; ``storages``: of the graph, by name."""
        self.array, self.item = array, item
        self.columns = [c for c in range(array.cols) if item.out_rows[c][1] > item.out_rows[c][0]]
        self.operands = [Operand(p, storages[p.storage]) for p in item.inputs]
        self.outputs = [storages[out.storage] for out in item.outputs]
        self._known: dict[tuple[object, ...], float] = {}

    @property
    def least(self) -> float:
        """No tiling costs less: one descriptor on every channel."""
        return len(self.columns) * (self._a_cycles(count((), PROLOGUE + 1)) + self.array.rows * self._o_cycles(1, 0))

    def cycles(self, t: Tiling) -> float:
        """Of all columns; many tilings share what they send or what they receive."""
        if not self.columns:
            return 0.0
        column = self.columns[(len(self.columns) - 1) // 2]
        pixels = (t.bands[column], t.width, t.n_x, t.n_pass)
        own = t.nob if self.item.geometry.residual or t.diagonal else 0
        sent = (*pixels, t.ckb, t.a_slots, t.a_resident, t.kept, t.line, t.diagonal, own)
        if sent not in self._known:
            messages = input_messages(self.array, self.item, t, self.operands, column)
            # Opcodes fill one slot; a message of several slots begins at a multiple of its length.
            prologue = PROLOGUE + (t.a_slots > 1)
            self._known[sent] = self._a_cycles(count(tasks_of(messages, self.array.device, UNROLL_A), prologue))
        received = (*pixels, t.nob, t.o_slots, t.block_rows[0])
        if received not in self._known:
            messages = output_messages(self.array, self.item, t, self.outputs, column, 0, NOWHERE, JUNK)
            counts = count(tasks_of(messages, self.array.device, UNROLL_O))
            self._known[received] = self._o_cycles(counts.descriptors, counts.pushes)
        return len(self.columns) * (self._known[sent] + self.array.rows * self._known[received])

    def _a_cycles(self, counts: Counts) -> float:
        """Activation tasks often find their channel idle: the barrier holds back what comes after it."""
        dev = self.array.device
        push = (dev.push_idle_cycles + dev.push_queued_cycles) / 2
        return counts.descriptors * dev.bd_write_cycles + counts.pushes * push

    def _o_cycles(self, descriptors: float, pushes: float) -> float:
        """Output tasks wait behind those of the item before, except those of the first item."""
        dev = self.array.device
        push = dev.push_queued_cycles if self.item.index else dev.push_idle_cycles
        return descriptors * dev.bd_write_cycles + pushes * push
