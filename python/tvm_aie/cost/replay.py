"""A workload repeated, its command stream replayed: the most precise estimate of a tiling. `Estimated`.

Where commands cost time, an item's time depends on which pushes find their channel idle (six times the price), and that
on when its messages come. So the tasks of the graph that repeats a workload (``cost.repeated``) are made and put in
order by what makes them for the program (``emit.emitter``), without weights, opcodes and descriptors; and replayed by
a recurrence over messages and ring slots of every core (tvm_aie/include/tvm_aie/replay.h), with kernel cycles and
message sizes from ``cost.item_load``. What it leaves out: how streams share DDR from moment to moment (each weight
stream has its share), that a network's input comes in pieces (``emit.first_rows``), and where in a message a descriptor
begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from tvm_aie import _native
from tvm_aie.cost.item_load import WORD, kept_calls, kernel_cycles, rates_of
from tvm_aie.cost.messages import weight_messages
from tvm_aie.cost.repeated import calls, chooser, measured_items, prepared, span_of
from tvm_aie.cost.walk import CALLS, events
from tvm_aie.device import Device
from tvm_aie.emit import opcodes
from tvm_aie.emit.commands import EPSILON, Channel, CommandBuilder, Work
from tvm_aie.emit.emitter import Emitter, opcodes_column, weights_row
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Dir, Push, SetLock, Wait, WriteBd
from tvm_aie.emit.resident import padding
from tvm_aie.emit.transfers import Message
from tvm_aie.emit.weights import PackedConv, item_weights
from tvm_aie.errors import TvmAieError
from tvm_aie.memory.placement import WorkItem
from tvm_aie.pipeline import Plan, scheduled
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload

MOST_STEPS = 400  # calls of an item; beyond that commands are few among its messages
_WRITE, _PUSH, _WAIT, _ARMED, _LOCK = range(5)  # as in replay.h
_PLAIN, _FIRST_LOAD, _WEIGHTS, _REARM = -1, -2, -3, -4
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Numbers = list[npt.ArrayLike]


@dataclass(frozen=True)
class Replay:
    """Cycles of one repetition; pushes (on idle channels, too) and descriptors of all columns in it."""

    cycles: float
    pushes: float
    idle: float
    writes: float
    waited: float  # cycles that the command processor waits


def replay(work: Workload, tiling: Tiling, device: Device) -> Replay | None:
    """None where it cannot be said: too many calls, or the workload cannot be repeated with this tiling."""
    if calls(tiling) > MOST_STEPS:
        return None
    try:
        ready = prepared(work, tiling, device)
        plan, emitter = scheduled(ready, chooser(work, tiling))
        commands = emitter.command_stream(_pads(plan))
    except TvmAieError:
        return None
    rows = _replayed(plan, emitter, commands)
    if not len(rows):
        return None
    begin, end = measured_items(ready, span_of(tiling))
    pushes, idle, writes, waited = rows[begin + 1 : end + 1, 1:].mean(axis=0)
    return Replay(float(rows[end, 0] - rows[begin, 0]) / (end - begin), pushes, idle, writes, waited)


def _pads(plan: Plan) -> int:
    """Messages that fill each weight stream up (``Emitter.command_stream``)."""
    ov = plan.array.overlay
    known: dict[tuple[object, ...], Ints] = {}
    total = np.zeros(plan.array.rows, np.int64)
    for item, tiling in zip(plan.placement.items, plan.tilings, strict=True):
        weights = item_weights(item, plan.physical, plan.packed)
        key = (id(tiling), item.geometry, id(weights))
        if key not in known:
            known[key] = weight_messages(item.geometry, tiling, weights).bytes(ov.w_slot).sum(axis=1) // ov.w_slot
        total += known[key]
    return len(padding(total.tolist(), ov.memtile_w_slot // ov.w_slot, ov.w_slots)[0])


def _replayed(plan: Plan, emitter: Emitter, commands: CommandBuilder) -> Floats:
    """Rows (end, pushes, idle pushes, descriptors written, cycles waited) by item; none: a command waits forever."""
    import tvm_ffi

    loads: list[_Load] = []
    known: dict[tuple[object, ...], int] = {}
    index = []
    for item, tiling in zip(plan.placement.items, plan.tilings, strict=True):
        weights = item_weights(item, plan.physical, plan.packed)
        key = (id(tiling), item.geometry, item.out_rows, id(weights))
        if key not in known:
            known[key] = len(loads)
            loads.append(_Load.of(plan, emitter, item, tiling, weights))
        index.append(known[key])
    ints, reals = _machine(plan)
    ints.append(len(loads))
    for load in loads:
        ints += load.ints
        reals += load.reals
    ints += _items(plan, emitter, index)
    ints += _tasks(plan, emitter, commands, [loads[i] for i in index])
    table = _native.function("tvm_aie.cost.replay")(
        tvm_ffi.from_dlpack(np.concatenate([np.ravel(x) for x in ints]).astype(np.int64)),
        tvm_ffi.from_dlpack(np.concatenate([np.ravel(x) for x in reals]).astype(np.float64)),
    )
    return np.array(np.from_dlpack(table))


def _machine(plan: Plan) -> tuple[Numbers, Numbers]:
    """``ReplayMachine``."""
    array, ov, device, keys = plan.array, plan.array.overlay, plan.array.device, plan.array.device.keys()
    rates, memtile = rates_of(array), (ov.memtile_w_slot, ov.memtile_w_slots)
    ints: Numbers = [array.cols, array.rows, ov.a_slots, ov.o_slots, ov.w_slots, ov.w_slot, *memtile]
    ints.append([array.w_home(r)[0] for r in range(array.rows)])
    start = keys["dma.memtile_bd_start_cycles"]
    load = rates.loadw * ov.memtile_w_slot + start
    reals: Numbers = [rates.a_slot, rates.o_slot, rates.w * ov.w_slot, load, 1 + start, rates.opcode]
    reals += [device.push_idle_cycles, device.push_queued_cycles, device.bd_write_cycles, device.lock_write_cycles]
    reals += [1 / rates.load, rates.load_task, keys["shim.mm2s_first_cycles"]]
    reals += [keys[f"ddr.bytes_per_cycle_{n + 1}"] / WORD or array.cols * array.rows for n in range(array.cols)]
    return ints, reals


@dataclass(frozen=True)
class _Load:
    """``ReplayLoad`` as numbers; messages by column, and by column and core row."""

    ints: Numbers
    reals: Numbers
    n_a: Ints
    n_o: Ints
    sent: dict[int, Ints]  # by column: slots of a kept input, and other messages, up to each message of the emitter

    @staticmethod
    def of(plan: Plan, emitter: Emitter, item: WorkItem, tiling: Tiling, packed: PackedConv | None) -> _Load:
        """What an item puts on the machine."""
        array, ov = plan.array, plan.array.overlay
        messages = weight_messages(item.geometry, tiling, packed)
        slots = messages.bytes(ov.w_slot) // ov.w_slot
        most = int(messages.blocks.max(initial=0))
        sizes = np.array([tiling.o_slots_of(b, ov.o_slot) for b in range(most + 1)], np.int64)
        ints: Numbers = [slots.shape[1], tiling.a_slots, slots]
        reals: Numbers = []
        n_a, n_o, sent_a = [], [], {}
        for c in range(array.cols):
            words = opcodes.item_opcodes(item, plan.physical.layers[item.layer], tiling, c, ov.a_slot)
            found = events(words)
            calls = [e for e in found if e.op in CALLS]
            sent = np.array([e.weights for e in found if e.op == opcodes.REL_O], np.int64)
            held = np.array([max(e.weights, 0) for e in calls], np.int64)
            bands = np.array([e.band for e in calls], np.int64)
            o_size = sizes[messages.blocks[:, sent].T]
            content = emitter.inputs[item.index, c].content
            ends, sizes_a = _taken(content, int(tiling.kept > 0), tiling.a_slots, ov.a_slot)
            sent_a[c] = ends
            ops = [opcodes.KERNEL if e.op in CALLS else e.op for e in found]
            ints += [len(found), [(op, e.before) for op, e in zip(ops, found, strict=True)], o_size]
            ints.append(sizes_a)
            if calls:
                kinds = np.array([CALLS[e.op] for e in calls], np.int64)
                cycles = kernel_cycles(array, item, tiling, c, bands, messages.at(held))
                reals.append(np.where(kinds[:, None] > 0, kept_calls(array, item, tiling, kinds), cycles))
            extra_a = np.zeros(len(sizes_a))
            extra_a[ends - 1] = _splits(array, content, ov.a_slot)
            reals.append(extra_a)
            extra, tail = np.zeros(o_size.shape), np.zeros(array.rows)
            for r, cut in emitter.outputs.get((item.index, c), {}).items():
                extra[o_size[:, r] > 0, r] = _splits(array, cut.content, ov.o_slot)
                tail[r] = _tail(array, cut.content, emitter.make.junk(r)) if cut.content else 0.0
            reals += [extra, tail]
            n_a.append(sum(e.op == opcodes.ACQ_A for e in found))
            n_o.append((o_size > 0).sum(axis=0))
        return _Load(ints, reals, np.array(n_a), np.array(n_o), sent_a)


def _taken(messages: Sequence[Message], single: int, a_slots: int, slot: int) -> tuple[Ints, list[int]]:
    """The activation messages as a core takes them: of the first ``single`` each slot by itself.

    How many they are up to the end of each message, and the slots of each.
    """
    sizes: list[int] = []
    ends = []
    for k, message in enumerate(messages):
        slots = sum(shape.words for shape, _ in message) * WORD // slot
        sizes += [1] * slots if k < single else [a_slots]
        ends.append(len(sizes))
    return np.array(ends, np.int64), sizes


def _splits(array: Array, messages: Sequence[Message], slot: int) -> list[float]:
    """Cycles of each message for descriptors that begin inside a slot."""
    known: dict[int, float] = {}  # passes repeat the same message objects
    start = array.device.keys()["dma.memtile_bd_start_cycles"]
    for message in messages:
        if id(message) not in known:
            ends = list(accumulate(shape.words for shape, _ in message))[:-1]
            known[id(message)] = start * sum(1 for end in ends if end * WORD % slot)
    return [known[id(message)] for message in messages]


def _tail(array: Array, messages: Sequence[Message], junk: int) -> float:
    """Cycles of the last output message behind its data, with which the item is complete (``release_at_end``)."""
    keys, slot = array.device.keys(), array.overlay.o_slot // WORD
    message = messages[-1]
    ends = list(accumulate(shape.words for shape, _ in message))
    data = ends[max(i for i, (_, base) in enumerate(message) if base != junk)]
    whole, part = divmod(data, slot)
    own = rates_of(array).o_slot
    until = whole * own + (part / keys["flow.o.words_per_cycle"] + keys["dma.core_bd_start_cycles"] if part else 0.0)
    behind = sum(keys["dma.memtile_bd_start_cycles"] for end in ends[:-1] if end >= data and end % slot)
    return ends[-1] // slot * own - until + behind


def _items(plan: Plan, emitter: Emitter, index: Sequence[int]) -> Numbers:
    """``ReplayItem`` of every item."""
    out: Numbers = [len(index)]
    for i, load in enumerate(index):
        prologues = [emitter.prologues[i, c] for c in range(plan.array.cols)]
        out.append([load, *(p.slots for p in prologues), *(p.riding is not None for p in prologues)])
    return out


def _channels(plan: Plan) -> dict[Channel, int]:
    """Numbers of the channels that the replay follows, and of those that load activations, as in replay.h."""
    array = plan.array
    columns = range(array.cols)
    inputs = [(array.memtile(c), Dir.MM2S, array.a_mm2s) for c in columns]
    outputs = [(array.memtile(c), Dir.S2MM, array.o_s2mm(r, c)) for c in columns for r in range(array.rows)]
    loads = [(array.shim(c), Dir.MM2S, 0) for c in columns]
    return {channel: i for i, channel in enumerate([*inputs, *outputs, *loads])}


def _tasks(plan: Plan, emitter: Emitter, commands: CommandBuilder, loads: Sequence[_Load]) -> Numbers:
    """Tasks of every channel, then the commands."""
    numbers = _channels(plan)
    followed = len(numbers) - plan.array.cols
    for channel in commands.work:
        numbers.setdefault(channel, len(numbers))
    ends = _Ends(plan, emitter, loads)
    out: Numbers = [len(numbers)]
    for channel, number in numbers.items():
        works = commands.work.get(channel, ())
        out.append(len(works))
        out.append([ends.of(number, w) if number < followed else _other(plan, emitter, w) for w in works])
    stream = list(_stream(commands, numbers))
    return [*out, len(stream), stream]


def _other(plan: Plan, emitter: Emitter, work: Work) -> tuple[int, int, int]:
    """``ReplayTask`` of a channel that is not followed: shims that load for the first item, or weights; rearmed ends of
    loads."""
    array = plan.array
    if work.arms and work.item > 0 and work.channel in (ends := _load_ends(array)):
        return ends[work.channel], _REARM, work.item
    if work.channel[1] != Dir.MM2S or work.channel[0] >= array.memtile(0):
        return 0, _PLAIN, work.item
    if work.item > 0:
        return 0, _PLAIN, work.item
    base = work.chain[0].base
    if work.item < 0:
        return weights_row(base), _WEIGHTS, work.item
    column = opcodes_column(base)
    words = work.chain[0].shape.words if column is None else emitter.opcode_words(column)
    return words, _FIRST_LOAD, work.item


def _load_ends(array: Array) -> dict[Channel, int]:
    """Both ends of each column's loads."""
    shims = {(array.shim(c), Dir.MM2S, 0): c for c in range(array.cols)}
    return shims | {(array.memtile(c), Dir.S2MM, array.load_s2mm): c for c in range(array.cols)}


def _stream(commands: CommandBuilder, numbers: dict[Channel, int]) -> Iterator[tuple[int, int, int]]:
    """``ReplayCommand`` of every command."""
    cols = commands.array.cols
    pushed, waiting = dict.fromkeys(numbers, 0), set[Channel]()
    for task in commands.static_tasks:
        channel = (task.tile, task.dir, task.ch)
        pushed[channel] = 1
        if channel[0] < cols and channel[2] == 0:  # the opcodes, which wait until they are let go
            waiting.add(channel)
        else:
            yield _ARMED, numbers[channel], 0
    for command in commands.commands:
        if isinstance(command, WriteBd):
            yield _WRITE, 0, 0
        elif isinstance(command, SetLock):
            yield _LOCK, 0, 0
            channel = (command.use.tile - cols, Dir.MM2S, 0)
            if channel in waiting:
                waiting.remove(channel)
                yield _ARMED, numbers[channel], 0
        elif isinstance(command, Push):
            channel = (command.task.tile, command.task.dir, command.task.ch)
            yield _PUSH, numbers[channel], pushed[channel]
            pushed[channel] += 1
        elif isinstance(command, Wait):
            yield _WAIT, numbers[command.tile, command.dir, command.ch], command.count - 1


class _Ends:
    """How many messages of its channel there are up to the end of a task.

    What realigns a ring of outputs before an item is a message too: its task holds the channel until the item begins.
    """

    def __init__(self, plan: Plan, emitter: Emitter, loads: Sequence[_Load]) -> None:
        self.cols, self.rows = plan.array.cols, plan.array.rows
        self.inside = [t.order == PASSES_INSIDE for t in plan.tilings]
        self.n_a = np.array([load.n_a for load in loads], np.int64)  # (items, columns)
        self.spans = {key: cut.spans for key, cut in emitter.inputs.items()}
        self.sent = [load.sent for load in loads]
        self.n_o = np.array([load.n_o for load in loads], np.int64)  # (items, columns, rows)
        self.before_a = np.concatenate([np.zeros((1, self.cols), np.int64), np.cumsum(self.n_a + 1, axis=0)])
        self.junk = np.zeros_like(self.n_o)
        for (item, c), cuts in emitter.outputs.items():
            for r, cut in cuts.items():
                self.junk[item, c, r] = bool(cut.tasks) and cut.tasks[0].last < 0
        self.before_o = np.concatenate([np.zeros_like(self.n_o[:1]), np.cumsum(self.n_o + self.junk, axis=0)])

    def of(self, number: int, work: Work) -> tuple[int, int, int]:
        """``ReplayTask``."""
        item, share = work.end
        if number < self.cols:
            before = int(self.before_a[min(item, len(self.n_a)), number])
            if item < len(self.n_a):  # else: the message that ends the program, which is not followed
                sent = sum(end <= share + EPSILON for _, end in self.spans[item, number])
                before += 1 + (int(self.sent[item][number][sent - 1]) if sent else 0)
            return before, _PLAIN, work.item
        c, r = divmod(number - self.cols, self.rows)
        if item >= len(self.n_o):  # what ends the program is not followed
            return int(self.before_o[-1, c, r]), _PLAIN, work.item
        own = int(self.n_o[item, c, r])
        n = own if self.inside[item] else int(self.n_o[item, c].max())
        before = int(self.before_o[item, c, r] + (share > 0 and self.junk[item, c, r]))
        return before + min(own, round(share * n)), _PLAIN, work.item
