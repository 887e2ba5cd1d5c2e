"""What a tiling costs the command processor: its messages are cut into tasks as the emitter will, and counted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from tvm_aie.emit.messages import Operand, input_messages, output_messages
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.transfers import UNROLL_A, UNROLL_O, DmaTask, tasks_of
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import Storage
from tvm_aie.schedule.control import HALF, Price
from tvm_aie.schedule.geometry import KernelId, Overlay
from tvm_aie.schedule.tiling import Tiling

# Descriptors of a prologue: the opcodes and two of the barrier.
PROLOGUE = 3
# A joined chain has about so many descriptors; tasks at the ends of an item are joined with those of its neighbours.
CHAIN = 8
# A junk area, for its length only. Tensors lie behind it and what fillers are read from.
NOWHERE, JUNK, HEAP = -4, 2048, 1 << 20


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


# One descriptor, of a task that is joined with others.
LEAST_SENT, LEAST_RECEIVED = count((), PROLOGUE + 1), Counts(1, 0)
# What was counted, by all that it depends on: of an item's inputs or outputs, then of a tiling.
Known = dict[tuple[object, ...], dict[tuple[object, ...], Counts]]


class ItemCounter:
    """Estimated command processor cycles of an item's tilings, from a column inside and its first core row."""

    def __init__(
        self,
        array: Array,
        item: WorkItem,
        storages: Mapping[str, Storage],
        known: Known | None = None,
        price: Price = HALF,
    ) -> None:
        """``item``: placed; ``storages``: of the graph, by name; ``known``: shared by the items of a device; ``price``:
        which pushes find their channel idle.

        Layers of one shape share what was counted, wherever their tensors lie: tasks depend on the steps from message
        to message, not on addresses, which are therefore counted from the first tensor's.
        """
        self.price = price
        self.columns = [c for c in range(array.cols) if item.out_rows[c][1] > item.out_rows[c][0]]
        self.column = column = self.columns[(len(self.columns) - 1) // 2] if self.columns else 0
        ring = Overlay.memtile_w_slot, Overlay.memtile_w_slots
        ov = replace(array.overlay, memtile_w_slot=ring[0], memtile_w_slots=ring[1])
        self.array = replace(array, overlay=ov)
        first = min((p.address for p in item.inputs), default=0) - HEAP
        inputs = tuple(replace(p, address=p.address - first) for p in item.inputs)
        first = min((p.address for p in item.outputs), default=0) - HEAP
        outputs = tuple(replace(p, address=p.address - first) for p in item.outputs)
        self.item = replace(item, inputs=inputs, outputs=outputs)
        self.operands = [Operand(p, storages[p.storage]) for p in inputs]
        self.outputs = [storages[out.storage] for out in outputs]
        near = slice(max(column - 1, 0), column + 2)
        sources = tuple(
            (p.resident, p.address, p.first, p.rows[near], p.buffer_blocks, s.width, s.elem)
            for p, s in ((o.place, o.storage) for o in self.operands)
        )
        targets = tuple(
            (p.address, p.first, p.blocks, p.rows[column], p.buffer_blocks, s.width, s.elem)
            for p, s in zip(outputs, self.outputs, strict=True)
        )
        shape = item.geometry, column, item.out_rows[column]
        known = {} if known is None else known
        asked = (*shape, ov.a_slot, sources), (*shape, ov.o_slot, targets)
        self._sent, self._received = known.setdefault(asked[0], {}), known.setdefault(asked[1], {})
        # The network's input is loaded for the first item (``start``), whose outputs find their channels idle.
        loaded = () if item.index else tuple((o.place.rows, o.storage.block_bytes) for o in self.operands)
        self._key = *asked, ov, tuple(self.columns), item.index == 0, loaded, price

    @property
    def key(self) -> Hashable:
        """All that its answers depend on, beside the device."""
        return self._key

    @property
    def first(self) -> bool:
        """Whether it is the program's first item."""
        return self.item.index == 0

    @property
    def least(self) -> float:
        """No tiling costs less: one descriptor on every channel."""
        return self._all(LEAST_SENT, LEAST_RECEIVED)

    def cycles(self, t: Tiling, enough: Callable[[float], bool] = lambda _: False) -> float:
        """Of all columns; many tilings share what they send or what they receive.

        ``enough``: whether a lower bound will do in place of the cycles.
        """
        if not self.columns:
            return 0.0
        column, conv = self.column, self.item.geometry.kernel == KernelId.CONV
        pixels = (t.bands[column], t.width, t.n_x, t.n_pass, t.order, t.joined)
        own = (t.nob, t.block_rows) if self.item.geometry.residual or t.diagonal else ()
        sent = (*pixels, t.ckb, t.a_slots, t.a_resident, t.kept, t.line, t.diagonal, own)
        received = (*pixels, t.nob, 0 if conv else t.ckb, t.o_slots, t.block_rows[0], t.per_block)
        bound = self._all(self._sent.get(sent, LEAST_SENT), self._received.get(received, LEAST_RECEIVED))
        if received not in self._received and not enough(bound):
            messages = output_messages(self.array, self.item, t, self.outputs, column, 0, NOWHERE, JUNK)
            self._received[received] = count(tasks_of(messages, self.array.device, UNROLL_O))
            bound = self._all(self._sent.get(sent, LEAST_SENT), self._received[received])
        if sent in self._sent or received not in self._received or enough(bound):
            return bound
        messages = input_messages(self.array, self.item, t, self.operands, column)
        # A message of several slots begins at a multiple of its length: filler, counted like a descriptor.
        prologue = PROLOGUE + (t.a_slots > 1)
        self._sent[sent] = count(tasks_of(messages, self.array.device, UNROLL_A), prologue)
        return self._all(self._sent[sent], self._received[received])

    def start(self, t: Tiling) -> float:
        """Cycles until the first message can be sent: the network's input comes row by row (``emit.first_rows``)."""
        if not self.first or not self.columns:
            return 0.0
        place, storage, geo = self.operands[0].place, self.operands[0].storage, self.item.geometry
        rows = [last - first for first, last in place.rows]
        device = self.array.device
        load = sum(rows) * place.buffer_blocks * storage.block_bytes / (device.ddr_bytes_per_cycle(device.cols) or inf)
        whole = t.a_resident or t.kept or 2 * geo.max_rows_in(t.bands[self.column][0]) > max(rows)
        return self.price.start * (load if whole else load * geo.max_rows_in(t.bands[self.column][0]) / max(rows))

    def _all(self, sent: Counts, received: Counts) -> float:
        """Of all columns and core rows."""
        outputs = self._o_cycles(received.descriptors, received.pushes)
        return len(self.columns) * (self._a_cycles(sent) + self.array.rows * outputs)

    def _a_cycles(self, counts: Counts) -> float:
        """Activation tasks may find their channel idle: the barrier holds back what comes after it."""
        dev, first = self.array.device, min(counts.pushes, 1.0)
        idle = first * self.price.first + (counts.pushes - first) * self.price.later
        pushes = counts.pushes * dev.push_queued_cycles + idle * (dev.push_idle_cycles - dev.push_queued_cycles)
        return counts.descriptors * dev.bd_write_cycles + pushes

    def _o_cycles(self, descriptors: float, pushes: float) -> float:
        """Output tasks wait behind those of the item before, except those of the first item."""
        dev = self.array.device
        push = dev.push_queued_cycles if self.item.index else dev.push_idle_cycles
        return descriptors * dev.bd_write_cycles + pushes * push
