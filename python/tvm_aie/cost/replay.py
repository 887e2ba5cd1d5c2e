"""A repeated item under its command stream, message by message: the most precise estimate of a tiling. `Estimated`.

Where commands cost time, an item's time depends on which pushes find their channel idle (six times the price), and that
on when its messages come. So the tasks of all columns are made and put in order by what makes them for the program
(``emit.item_tasks``, ``emit.arrange``), and replayed: the command processor on one side, on the other the busiest core
of each column as a recurrence over its messages, with rings of the real depth (docs/program.md section 4). More than
half the work of a trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil

from tvm_aie.device import Device
from tvm_aie.emit.arrange import CHAINS, arrange
from tvm_aie.emit.commands import Channel, CommandBuilder, Position, Work
from tvm_aie.emit.item_tasks import Before, Cut, ItemTasks, barrier
from tvm_aie.emit.memtile import memtile_map, opcode_bytes_estimate
from tvm_aie.emit.overlay import Array, build_overlay
from tvm_aie.emit.program import Bd, Dir, Push, Wait, WriteBd
from tvm_aie.emit.transfers import BdTemplate, Operand, Shape
from tvm_aie.errors import TvmAieError
from tvm_aie.memory.placement import InputPlace, OutputPlace, WorkItem
from tvm_aie.plan.physical import Storage
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.geometry import Geometry, KernelId
from tvm_aie.schedule.order import PASSES_INSIDE, steps
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload

LONG_STEPS = 100  # an item with more calls is repeated less often, with chains of one length
MOST_STEPS = 400  # of an item; beyond that commands are few among its messages
BARRIER = 40.0  # cycles of the prologue's last descriptors
INPUT_BASE, OUTPUT_BASE = 1 << 17, 1 << 18  # bytes, anywhere behind the fixed regions
OPCODE_WORDS = 45  # of a usual opcode message
_NEVER = float("inf")
_Channels = tuple[Channel, list[Channel]]  # of a column: activations, outputs of the core rows with all passes


@dataclass(frozen=True)
class _Span:
    """Repetitions, those between whose ends the time is taken, and the lengths of chains that are tried."""

    items: int
    first: int
    last: int
    chains: tuple[tuple[int, int], ...]


SHORT = _Span(12, 4, 10, CHAINS)
LONG = _Span(7, 2, 6, CHAINS[:1])


@dataclass(frozen=True)
class Rates:
    """Cycles of one message or call of the busiest core: opcodes, input, output, weights, those from DDR, compute."""

    head: float
    a: float
    o: float
    w: float
    ddr: float
    call: float
    a_depth: int  # messages that the rings hold
    o_depth: int
    w_depth: float
    w_ahead: int  # messages that the memtile's ring holds


@dataclass(frozen=True)
class Replay:
    """Cycles of one repetition; pushes (on idle channels, too) and descriptors of all columns in it."""

    cycles: float
    pushes: float
    idle: float
    writes: float
    waited: float  # cycles that the command processor waits


@dataclass(frozen=True)
class _Call:
    """What a kernel call waits for and gives back."""

    takes_a: bool
    takes_w: bool
    gives_a: bool
    gives_w: bool
    gives_o: bool
    works: bool


def replay(work: Workload, tiling: Tiling, device: Device, rates: Rates) -> Replay | None:
    """None where it cannot be said: too many messages, rows out of reach, or no order of the commands."""
    most = max(n for _, n in tiling.bands)
    bands = [n for (_, n), rows in zip(tiling.bands, work.rows, strict=True) if rows]
    kinds = {n: _calls(work.geometry, tiling, n, most) for n in set(bands)}
    n_steps = max(map(len, kinds.values()))
    if n_steps > MOST_STEPS:
        return None
    if not _within_reach(work):
        return None
    span = LONG if n_steps > LONG_STEPS else SHORT
    try:
        commands, columns = _commands(work, tiling, device, span)
    except TvmAieError:
        return None
    return _Run(commands, columns, [kinds[n] for n in bands], rates, span).run()


@lru_cache(maxsize=8)
def _static(array: Array) -> tuple[Bd, ...]:
    return build_overlay(array).bds


def _within_reach(work: Workload) -> bool:
    """Whether every column finds the rows that it reads at home or next door, if the input is split evenly."""
    item, _, _ = _item(work)
    shares, geo = item.inputs[0].rows, work.geometry
    for c, (first, last) in enumerate(item.out_rows):
        if last > first:
            lo, hi = geo.rows_in(first, last - first)
            begin, end = shares[max(c - 1, 0)][0], shares[min(c + 1, len(shares) - 1)][1]
            if lo * geo.row_step < begin or (hi - 1) * geo.row_step >= end:
                return False
    return True


def _item(work: Workload) -> tuple[WorkItem, list[Operand], Storage]:
    """The workload as a placed item: inputs and output are resident and split evenly."""
    geo = work.geometry
    starts = [sum(work.rows[:c]) for c in range(len(work.rows) + 1)]
    out_rows = tuple((a, b) for a, b in pairwise(starts))
    height = (geo.rows_in(0, max(1, starts[-1]))[1] - 1) * geo.row_step + 1
    columns = len(work.rows)
    rows = split_even(max(height, 1), columns)
    source = Storage("in", geo.in_blocks, height, (geo.w_in - 1) * geo.px_step + 1, geo.in_elem)
    target = Storage("out", geo.out_blocks, starts[-1], geo.w_out, geo.out_elem)
    operands = [Operand(InputPlace("in", 0, geo.in_blocks, True, INPUT_BASE, rows, geo.in_blocks), source)]
    if geo.n_inputs == 2:
        second = target if geo.residual else source
        shares = out_rows if geo.residual else rows
        operands.append(
            Operand(InputPlace("second", 0, second.blocks, True, OUTPUT_BASE, shares, second.blocks), second)
        )
    out = OutputPlace("out", 0, geo.out_blocks, OUTPUT_BASE, out_rows, geo.out_blocks, False, SHORT.items)
    places = tuple(o.place for o in operands)
    return WorkItem(1, (0,), 0, geo, out_rows, places, (out,), work.in_place), operands, target


def _commands(work: Workload, tiling: Tiling, device: Device, span: _Span) -> tuple[CommandBuilder, list[_Channels]]:
    """The commands with which the item is repeated."""
    array = Array(device, work.overlay)
    make = ItemTasks(array, memtile_map(array, opcode_bytes_estimate(SHORT.items, array.overlay.a_slot)))
    item, operands, target = _item(work)
    columns: list[_Channels] = []
    tasks: dict[Channel, list[Work]] = {}
    for c in (c for c, n in enumerate(work.rows) if n):
        outputs = {r: make.outputs(item, tiling, [target], (c, r), 0) for r in range(array.rows)}
        most = max(cut.messages for cut in outputs.values())
        least = 1 if tiling.order == PASSES_INSIDE else most
        full = [make.o_channel(c, r) for r, cut in outputs.items() if cut.messages >= least]
        columns.append((make.a_channel(c), full))
        for one in _column_tasks(make, item, tiling, operands, outputs, c, span.items):
            tasks.setdefault(one.channel, []).append(one)
    return arrange(make, _static(array), [tiling.body] * span.items, tasks, span.chains), columns


def _column_tasks(
    make: ItemTasks,
    item: WorkItem,
    tiling: Tiling,
    operands: Sequence[Operand],
    outputs: Mapping[int, Cut],
    c: int,
    items: int,
) -> list[Work]:
    """Tasks of a column, of all repetitions."""
    inputs = make.inputs(item, tiling, operands, c, None if tiling.aligned else 0)
    # Before the first item there is another one of one message, whose tasks are chained with its own.
    one = (BdTemplate(Shape(make.array.memtile(c), ((OPCODE_WORDS, 1),)), INPUT_BASE),)
    out = [Work(make.a_channel(c), one * 4, 1, (-1, -1.0), (-1, 1.0), (-1, -1.0))]
    for r in (r for r, cut in outputs.items() if cut.messages):
        out.append(Work(make.o_channel(c, r), one, 1, (-1, 0.0), (-1, 1.0), (-1, 0.0)))
    _, releases = make.output_works(c, 0, outputs, tiling)
    locks = barrier(make.array, c, Before(releases))
    ring = (0, tiling.a_slots if tiling.aligned else 1)
    ride = tiling.aligned and inputs.tasks[0].repeat == 1
    for i in range(items):
        address = make.mt.opcode_base + OPCODE_WORDS * 4 * (i + 1)
        head = make.prologue(c, OPCODE_WORDS, address, locks, ring, ride)
        out += make.input_works(c, i, head, inputs)
        out += make.output_works(c, i, outputs, tiling)[0]
    return out


def _calls(geo: Geometry, t: Tiling, n_b: int, most_b: int) -> list[_Call]:
    """The kernel calls of a core in order; one with ``n_b`` bands only takes the weights of those that it lacks."""
    conv = geo.kernel == KernelId.CONV
    n_ck = t.n_ck if conv else 1
    inside = conv and t.order == PASSES_INSIDE
    each_w = conv and (t.weights_per_band or inside)
    out = []
    nest = list(steps(t, t.n_pass, most_b))
    last = max(k for k, (_, _, b) in enumerate(nest) if b < n_b)
    begun = -1  # the pass whose weights are there
    for k, (p, _, b) in enumerate(nest):
        ends = k + 1 == len(nest) or nest[k + 1][0] != p
        if b >= n_b:
            if each_w:
                out += [_Call(False, True, False, True, False, False)] * n_ck
            elif conv and ends:
                out.append(_Call(False, False, False, True, False, False))
            continue
        for q in range(n_ck):
            first, final = k + q == 0, k == last and q == n_ck - 1
            takes_a = first if t.a_resident else p == 0 if inside else True
            gives_a = final if t.a_resident else p == t.n_pass - 1 if inside else True
            takes_w = (each_w or p != begun) if conv else first
            gives_w = (each_w or ends) if conv else final
            out.append(_Call(takes_a, takes_w, gives_a, gives_w, q == n_ck - 1, True))
            begun = p
    return out


class _Gates:
    """What has been pushed to a channel: (position up to which, time), and how far it was asked for."""

    def __init__(self) -> None:
        self.pushed: list[tuple[Position, float]] = []
        self.at = 0

    def time(self, end: Position) -> float:
        """When the task with what ends at ``end`` was pushed; never: not yet. Positions must not go back."""
        while self.at < len(self.pushed) and self.pushed[self.at][0] < end:
            self.at += 1
        return self.pushed[self.at][1] if self.at < len(self.pushed) else _NEVER


class _Weights:
    """Weight messages, broadcast to all columns: the slowest one makes room. The memtiles' rings are taken as endless.

    With a ring of D messages the last byte of message k enters when message k - D is released (see
    ``cost.estimate``): of the two releases that can hold it up, so much of it is still to come.
    """

    def __init__(self, columns: int, rates: Rates) -> None:
        self.rates = rates
        self.loaded: list[float] = []  # into the memtiles
        self.ends: list[float] = []
        self.released: list[list[float]] = [[] for _ in range(columns)]

    def arrive(self, j: int) -> float:
        """When message ``j`` is in the cores; never: not yet known."""
        rates = self.rates
        while j >= len(self.ends):
            k = len(self.ends)
            gone = k - rates.w_ahead
            loaded = max(self.loaded[-1] if k else 0.0, self.ends[gone] if gone >= 0 else 0.0) + rates.ddr
            end = max((self.ends[-1] if k else 0.0) + rates.w, loaded)
            last = ceil(k + 1 - rates.w_depth) - 1
            if last >= 0 and any(len(r) <= last for r in self.released):
                return _NEVER
            for free in range(max(0, last - 1), last + 1):
                rest = min(1.0, k + 1 - (free + rates.w_depth))
                end = max(end, max(r[free] for r in self.released) + rest * rates.w)
            self.loaded.append(loaded)
            self.ends.append(end)
        return self.ends[j]


class _Column:
    """The busiest core of a column. Messages are numbered over all repetitions."""

    def __init__(
        self, index: int, outputs: Sequence[Channel], calls: list[_Call], rates: Rates, w: _Weights, items: int
    ) -> None:
        self.index, self.calls, self.rates, self.w, self.items = index, calls, rates, w, items
        self.n_a, self.n_o = sum(c.takes_a for c in calls), sum(c.gives_o for c in calls)
        self.a_gates = _Gates()
        self.o_gates = {channel: _Gates() for channel in outputs}
        self.begun: list[float] = []  # when the barrier of an item opens
        self.a_ends: list[float] = []
        self.a_released: list[float] = []
        self.o_ready: list[float] = []
        self.o_ends: list[float] = []
        self.a_taken = self.w_taken = 0
        self.item = self.step = 0
        self.core = 0.0

    def advance(self) -> bool:
        """As far as what is pushed and the other columns allow."""
        moved = False
        while self._send() or self._drain() or self._call():
            moved = True
        return moved

    def done(self, items: int) -> float:
        """When so many items are complete; never: not yet known."""
        k = items * self.n_o - 1
        return 0.0 if k < 0 else self.o_ends[k] if k < len(self.o_ends) else _NEVER

    def open(self, before: float) -> bool:
        """The barrier of the next item, when all columns have completed the last one at ``before``."""
        head = len(self.begun) * (self.n_a + 1)
        if len(self.a_ends) <= head:
            return False
        self.begun.append(max(before, self.a_ends[head]) + BARRIER)
        self.a_released.append(max(self.core, self.a_ends[head]))
        self.a_taken += 1
        return True

    def _send(self) -> bool:
        """The next activation message, or the opcodes before the first of an item: those pass the barrier."""
        k = len(self.a_ends)
        i, m = divmod(k, self.n_a + 1)
        free = k - self.rates.a_depth
        if i >= self.items or (m and i >= len(self.begun)) or free >= len(self.a_released):
            return False
        pushed = self.a_gates.time((i, m / self.n_a - 1e-9) if m else (i, -0.55))
        if pushed == _NEVER:
            return False
        t = max(pushed, self.a_ends[-1] if k else 0.0, self.a_released[free] if free >= 0 else 0.0)
        self.a_ends.append(max(t, self.begun[i]) + self.rates.a if m else t + self.rates.head)
        return True

    def _drain(self) -> bool:
        """The next output message."""
        k = len(self.o_ends)
        if k >= len(self.o_ready):
            return False
        i, q = divmod(k, self.n_o)
        pushed = max(gates.time((i, (q + 1) / self.n_o - 1e-9)) for gates in self.o_gates.values())
        if pushed == _NEVER:
            return False
        self.o_ends.append(max(self.o_ready[k], pushed, self.o_ends[-1] if k else 0.0) + self.rates.o)
        return True

    def _call(self) -> bool:
        """The next kernel call."""
        if self.item >= self.items or self.item >= len(self.begun):
            return False
        call, t = self.calls[self.step], self.core
        a, w, free = self.a_taken + call.takes_a, self.w_taken + call.takes_w, len(self.o_ready) - self.rates.o_depth
        if a > len(self.a_ends) or (call.gives_o and free >= len(self.o_ends)):
            return False
        weights = self.w.arrive(w - 1)
        if weights == _NEVER:
            return False
        t = max(t, self.a_ends[a - 1], weights, self.o_ends[free] if call.gives_o and free >= 0 else 0.0)
        t += self.rates.call if call.works else 0.0
        self.a_taken, self.w_taken, self.core = a, w, t
        if call.gives_a:
            self.a_released.append(t)
        if call.gives_w:
            self.w.released[self.index].append(t)
        if call.gives_o:
            self.o_ready.append(t)
        self.step += 1
        if self.step == len(self.calls):
            self.step, self.item = 0, self.item + 1
        return True

    def complete(self, work: Work) -> float:
        """When a task is complete; never: not yet known."""
        i, share = work.end
        if i < 0:
            return 0.0
        if share < 0:
            return self.begun[i] if i < len(self.begun) else _NEVER
        if work.channel[1] == Dir.MM2S:
            ends, k = self.a_ends, i * (self.n_a + 1) + round(share * self.n_a)
        else:
            ends, k = self.o_ends, i * self.n_o + max(0, round(share * self.n_o)) - 1
        if k < 0:
            return 0.0
        return ends[k] if k < len(ends) else _NEVER


class _Run:
    """The command processor and the columns."""

    def __init__(
        self,
        builder: CommandBuilder,
        columns: Sequence[_Channels],
        calls: Sequence[list[_Call]],
        rates: Rates,
        span: _Span,
    ) -> None:
        weights = _Weights(len(columns), rates)
        self.builder, self.span = builder, span
        self.columns = [_Column(i, full, calls[i], rates, weights, span.items) for i, (_, full) in enumerate(columns)]
        self.by_tile = {channel[0]: column for (channel, _), column in zip(columns, self.columns, strict=True)}
        self.time = 0.0

    def _advance(self) -> None:
        moved = True
        while moved:
            moved = False
            for column in self.columns:
                moved = column.advance() or moved
            for column in self.columns:
                before = max(c.done(len(column.begun)) for c in self.columns)
                if len(column.begun) < self.span.items and before < _NEVER:
                    moved = column.open(before) or moved

    def _complete(self, work: Work) -> float:
        return self.by_tile[work.channel[0]].complete(work)

    def _push(self, work: Work, before: Work | None) -> bool:
        """Returns whether the channel was idle."""
        self._advance()
        idle = before is None or self._complete(before) <= self.time
        device = self.builder.array.device
        self.time += device.push_idle_cycles if idle else device.push_queued_cycles
        column = self.by_tile[work.channel[0]]
        gates = column.a_gates if work.channel[1] == Dir.MM2S else column.o_gates.get(work.channel)
        if gates is not None:
            gates.pushed.append((work.end, self.time))
        return idle

    def run(self) -> Replay | None:
        """Replay all commands."""
        works, write = self.builder.work, self.builder.array.device.bd_write_cycles
        pushed = dict.fromkeys(works, 0)
        pushes = idles = writes = waited = 0.0  # of the items between those whose ends are compared
        counted = 0.0
        for command in self.builder.commands:
            if isinstance(command, WriteBd):
                self.time += write
                counted += 1
            elif isinstance(command, Push):
                channel = (command.task.tile, command.task.dir, command.task.ch)
                number = pushed[channel]
                pushed[channel] = number + 1
                work = works[channel][number]
                idle = self._push(work, works[channel][number - 1] if number else None)
                if self.span.first < work.item <= self.span.last:
                    pushes, idles, writes = pushes + 1, idles + idle, writes + counted
                counted = 0.0
            elif isinstance(command, Wait):
                self._advance()
                end = self._complete(works[(command.tile, command.dir, command.ch)][command.count - 1])
                if end == _NEVER:
                    return None
                waited += max(0.0, end - self.time)
                self.time = max(self.time, end)
        self._advance()
        first, last = (max(c.done(i + 1) for c in self.columns) for i in (self.span.first, self.span.last))
        if last == _NEVER:
            return None
        n = self.span.last - self.span.first
        return Replay((last - first) / n, pushes / n, idles / n, writes / n, waited / self.span.items)
