"""Commands that an item takes, counted by cutting its messages into tasks as the emitter does."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_aie.emit.counting import PROLOGUE, Counts, count
from tvm_aie.emit.messages import Operand, input_messages, output_messages
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import UNROLL_A, UNROLL_O, tasks_of
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

JUNK_BYTES = 2048


@dataclass(frozen=True)
class Costs:
    """Command processor, cycles: a task pushed behind others, on an idle channel, one descriptor written."""

    queued: float
    idle: float
    bd: float

    @property
    def any(self) -> bool:
        """Commands take time."""
        return self.queued + self.idle + self.bd > 0

    def pair(self) -> float:
        """A load or store: a task at both ends, on channels that rest in between."""
        return 2 * (self.idle + self.bd)

    def prologue(self) -> float:
        """An opcode message; the channel still has the item before."""
        return self.queued + PROLOGUE * self.bd


def costs_of(array: Array) -> Costs:
    """From the device keys."""
    keys = array.device.keys()
    return Costs(keys["cmd.push_queued_cycles"], keys["cmd.push_idle_cycles"], keys["cmd.bd_write_cycles"])


def message_commands(
    array: Array, physical: PhysicalGraph, item: WorkItem, tiling: Tiling, costs: Costs
) -> tuple[float, float]:
    """Cycles of the commands for the activation and output messages of all columns; 0 where commands are free.

    If every task finds its channel busy, and if every one finds it idle.
    """
    if not costs.any:
        return 0.0, 0.0
    descriptors, pushes = 0.0, 0.0
    inputs = [Operand(p, physical.storages[p.storage]) for p in item.inputs]
    outputs = [physical.storages[out.storage] for out in item.outputs]
    sent: dict[tuple[object, ...], Counts] = {}  # core rows and columns with like shares of one output take the same
    for c, (first, last) in enumerate(item.out_rows):
        if last <= first:
            continue
        found = [count(tasks_of(input_messages(array, item, tiling, inputs, c), array.device, UNROLL_A))]
        for r, (begin, end) in enumerate(tiling.block_rows):
            key = (last - first, tiling.bands[c], end - begin) if len(outputs) == 1 else (c, r)
            if key not in sent:
                messages = output_messages(array, item, tiling, outputs, c, r, 0, JUNK_BYTES)
                sent[key] = count(tasks_of(messages, array.device, UNROLL_O))
            found.append(sent[key])
        descriptors += sum(f.descriptors for f in found)
        pushes += sum(f.pushes for f in found)
    written = descriptors * costs.bd
    return written + pushes * costs.queued, written + pushes * costs.idle
