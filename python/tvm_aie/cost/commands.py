"""Commands that an item takes, counted by cutting its messages into tasks as the emitter does."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import Message, Operand, compress, input_messages, merge_single, output_messages
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

JUNK_BYTES = 2048
# Descriptors of an opcode message: up to six carry the barrier, one the rest, one a filler.
PROLOGUE_BDS = 7


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
        return self.queued + PROLOGUE_BDS * self.bd


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
    total, tasks = 0.0, 0
    inputs = [Operand(p, physical.storages[p.storage]) for p in item.inputs]
    outputs = [physical.storages[out.storage] for out in item.outputs]
    for c, (first, last) in enumerate(item.out_rows):
        if last <= first:
            continue
        lists = [output_messages(array, item, tiling, outputs, c, r, 0, JUNK_BYTES) for r in range(array.rows)]
        for messages in (input_messages(array, item, tiling, inputs, c), *lists):
            n, cycles = _tasks(array, messages, costs)
            total, tasks = total + cycles, tasks + n
    return total, total + tasks * (costs.idle - costs.queued)


def _tasks(array: Array, messages: list[Message], costs: Costs) -> tuple[int, float]:
    dev = array.device
    step = dev.memtile_bd.iteration_step_max_words
    tasks = merge_single(compress(messages, dev.repeat_max, dev.iteration_wrap_max, step))
    return len(tasks), sum(costs.queued + costs.bd * len(t.chain) for t in tasks)
