"""Commands that an item takes, counted by cutting its messages into tasks as the emitter does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_aie.cost.control import POOL_BDS
from tvm_aie.emit.commands import fit_whole, pushed_bds
from tvm_aie.emit.counting import PROLOGUE, Counts, count
from tvm_aie.emit.memtile import JUNK_BYTES
from tvm_aie.emit.messages import Operand, input_messages, output_messages
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import UNROLL_A, UNROLL_O, DmaTask, tasks_of
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

Place = tuple[int, int]  # of a memtile channel: column, core row whose outputs it receives, or another use
ACTIVATIONS = -1


@dataclass(frozen=True)
class Costs:
    """Command processor, cycles: a task pushed behind others, on an idle channel, one descriptor written.

    ``alone``: memtile channels with whose tasks the program is loaded (``run_alone``): nobody pushes them.
    """

    queued: float
    idle: float
    bd: float
    alone: frozenset[Place] = frozenset()

    @property
    def any(self) -> bool:
        """Commands take time."""
        return self.queued + self.idle + self.bd > 0

    def pair(self) -> float:
        """A load or store: a task at both ends, on channels that rest in between."""
        return (1 if self.alone else 2) * (self.idle + self.bd)

    def first(self) -> float:
        """The first load of a column: its shim is busy, the memtile's channel is or has all of its tasks."""
        return (1 if self.alone else 2) * (self.queued + self.bd)

    def prologue(self) -> float:
        """An opcode message; the channel still has the item before."""
        return 0.0 if self.alone else self.queued + PROLOGUE * self.bd


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
        found = []
        if (c, ACTIVATIONS) not in costs.alone:
            found.append(count(tasks_of(input_messages(array, item, tiling, inputs, c), array.device, UNROLL_A)))
        for r, (begin, end) in enumerate(tiling.block_rows):
            if (c, r) in costs.alone:
                continue
            key = (last - first, tiling.bands[c], end - begin) if len(outputs) == 1 else (c, r)
            if key not in sent:
                messages = output_messages(array, item, tiling, outputs, c, r, 0, JUNK_BYTES)
                sent[key] = count(tasks_of(messages, array.device, UNROLL_O))
            found.append(sent[key])
        descriptors += sum(f.descriptors for f in found)
        pushes += sum(f.pushes for f in found)
    written = descriptors * costs.bd
    return written + pushes * costs.queued, written + pushes * costs.idle


LOADS, STORES = -2, -3
EPILOGUE = 6  # descriptors of the message that ends a program (``emit.item_tasks``)


def run_alone(
    array: Array, physical: PhysicalGraph, placement: Placement, tilings: Sequence[Tiling]
) -> frozenset[Place]:
    """Where commands take time: the memtile channels of a network of one item that run by themselves, as the emitter
    decides (``emit.commands.fit_whole``)."""
    if len(placement.items) != 1 or not costs_of(array).any:
        return frozenset()
    (item,), (tiling,) = placement.items, tilings
    inputs = [Operand(p, physical.storages[p.storage]) for p in item.inputs]
    outputs = [physical.storages[out.storage] for out in item.outputs]
    found = set[Place]()
    for c, (first, last) in enumerate(item.out_rows):
        mt, computes = array.memtile(c), last > first
        pools: dict[range, dict[Place, tuple[int, int]]] = {}
        loads, stores = 1 + sum(p.loaded for p in item.inputs), sum(out.store for out in item.outputs)
        sent = tasks_of(input_messages(array, item, tiling, inputs, c), array.device, UNROLL_A) if computes else ()
        wanted = [
            (array.load_s2mm, LOADS, _needs((), loads)),
            (array.store_mm2s, STORES, _needs((), stores)),
            (array.a_mm2s, ACTIVATIONS, _needs(sent, 1 + EPILOGUE)),
        ]
        for r in range(array.rows if computes else 0):
            messages = output_messages(array, item, tiling, outputs, c, r, 0, JUNK_BYTES)
            received = tasks_of(messages, array.device, UNROLL_O)
            wanted.append((array.o_s2mm(r, c), r, _needs(received, 1)))  # one more realigns the ring
        for channel, use, needs in wanted:
            pools.setdefault(array.pool(mt, channel), {})[c, use] = needs
        for members in pools.values():
            found |= fit_whole(members, POOL_BDS)
    return frozenset(found)


def _needs(tasks: Sequence[DmaTask], more: int) -> tuple[int, int]:
    """Descriptors of a channel for ``fit_whole``: of its tasks, and ``more`` that run once."""
    chains = more + sum(len(t.chain) for t in tasks)
    return more + sum(len(t.chain) * t.repeat for t in tasks), pushed_bds(chains, 1)
