"""The tasks of all channels in one command stream: joined into chains of several lengths; the best is taken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import NamedTuple

from tvm_aie.device import Device
from tvm_aie.emit.commands import CHAIN_CYCLES, EPSILON, LATE_CYCLES, MARGIN, Channel, CommandBuilder, Contents, Work
from tvm_aie.emit.item_tasks import ItemTasks
from tvm_aie.emit.joining import AHEAD_BELOW, Joining, column_chains, join
from tvm_aie.emit.periods import LEAST_BLOCKS, repeated
from tvm_aie.emit.program import Bd, Dir
from tvm_aie.emit.resident import MOST_LAST
from tvm_aie.emit.transfers import FILLER_WORDS
from tvm_aie.errors import ProgramError


class Chains(NamedTuple):
    """Most descriptors of a chain that serves several items: of activations, of outputs; and of a block of outputs that
    is repeated (``emit.periods``; 0: none is) ``least`` times or more. Short chains free their descriptors earlier, so
    that more is pushed ahead; long ones are fewer tasks. ``span``, ``ahead``: see ``emit.joining.Joining``. What a
    resident program is loaded with: ``armed``: memtile channels, and shims with opcodes, with their first tasks
    (``_arm``); ``stores``, ``loads``: channels with few tasks of that kind with all of them (``_endless``), which takes
    descriptors from the others; ``standing``: most descriptors of a pool with which many chains end and that no command
    writes (``emit.commands``), as these do. ``margin``, ``late``: see ``emit.commands.MARGIN``, ``LATE_CYCLES``.
    """

    activations: int
    outputs: int
    block: int = 0
    least: int = LEAST_BLOCKS
    span: float = CHAIN_CYCLES
    ahead: float = AHEAD_BELOW
    armed: bool = True
    stores: bool = True
    loads: bool = False
    standing: int = 0
    margin: float = MARGIN
    late: float = LATE_CYCLES


# The first is best for most networks. Three of the channels of a block share 24 descriptors.
CHAINS = tuple(Chains(*most, block=6) for most in ((4, 3), (5, 3), (6, 4), (10, 6)))
NO_CHAINS = Chains(0, 0, armed=False, stores=False)
# Of some 22 descriptors of a pool: more leave too few to push ahead (seen for three networks on npu1).
MOST_STANDING = (2, 3, 4)
# Loads before the first item that are one chain: opcodes and inputs.
MOST_FIRST = 4
# When they are pushed: place in the first item, column by column, each behind its column's first activations.
FIRST, COLUMN = -2.0, 1e-2
# To compare by emulation (``rehearse``): the clock's first choice is up to a third slower than the best of these.
MORE_CHAINS = (
    *CHAINS,
    Chains(4, 4, block=6),
    *(most._replace(block=0) for most in CHAINS[:3]),
    *(most._replace(least=2) for most in (*CHAINS, Chains(4, 4, block=6))),
)


def loaded_otherwise(chains: Sequence[Chains]) -> tuple[tuple[Chains, ...], ...]:
    """The same chains in programs that are loaded with fewer tasks, or with more."""
    others: tuple[dict[str, bool], ...] = ({"armed": False}, {"loads": True}, {"stores": False})
    return tuple(tuple(most._replace(**other) for most in chains) for other in others)


def variants(chains: Chains) -> tuple[Chains, ...]:
    """The best of ``MORE_CHAINS`` with less pushed ahead, and with shorter chains."""
    sooner = chains._replace(ahead=AHEAD_BELOW / 2)
    return sooner, sooner._replace(span=CHAIN_CYCLES * 2 / 3)


def standing(chains: Chains) -> tuple[Chains, ...]:
    """The same chains in programs that are loaded with what ends most of them, so that no command writes that."""
    return tuple(chains._replace(standing=most) for most in MOST_STANDING)


def clocks(chains: Chains) -> tuple[Chains, ...]:
    """The same chains pushed by other clocks.

    How long items take, and when what is needed goes first, are estimates; little decides what is pushed first.
    """
    margins = [chains._replace(margin=margin) for margin in (0.9, 1.1)]
    return *margins, *(chains._replace(late=LATE_CYCLES * much) for much in (0.6, 1.7))


@dataclass(frozen=True)
class Arranger:
    """The tasks of a program, and what arrangements of them have in common.

    ``reserved``: the overlay's descriptors; ``body``: estimated cycles of each item; ``tasks``: of each channel, in its
    order; ``lags``: see ``CommandBuilder``; ``resident``: channels may be loaded with tasks; ``last``: those to wait
    for at the end.
    """

    make: ItemTasks
    reserved: Sequence[Bd]
    body: Sequence[float]
    tasks: Mapping[Channel, Sequence[Work]]
    lags: Sequence[bool] = ()
    resident: bool = False
    last: Sequence[tuple[Channel, int]] = ()
    # By what they depend on: what is handed over, whatever the clock; loaded builders with the tasks that remain;
    # blocks of outputs that are repeated.
    _handed: dict[Chains, tuple[CommandBuilder, bool]] = field(default_factory=dict)
    _loads: dict[tuple[bool, bool, bool], tuple[CommandBuilder, Mapping[Channel, Sequence[Work]]]] = field(
        default_factory=dict
    )
    _blocks: dict[tuple[object, ...], list[list[Work]]] = field(default_factory=dict)
    _contents: Contents = field(default_factory=Contents)

    def best(self, chains: Sequence[Chains]) -> CommandBuilder:
        """The command stream: of those with ``chains``, the first to end by the scheduler's clock.

        Of several the best is tried without repeated blocks too, whose descriptors are taken for long. Without chains
        only if there is no other. ProgramError: there is no legal order.
        """
        best: tuple[CommandBuilder, Chains] | None = None
        waiting = list(chains)
        while waiting or best is None:
            last = not waiting
            most = waiting.pop(0) if waiting else NO_CHAINS
            commands, repeats = self.handed(most)
            try:
                done = commands.schedule(best[0].end if best else inf)
            except ProgramError:
                if last:
                    raise
                done = False
            if done and (best is None or commands.end < best[0].end):
                best = commands, most
            if not waiting and best and best[1].block and repeats and len(chains) > 1:
                waiting.append(best[1]._replace(block=0))
        return best[0]

    def handed(self, most: Chains) -> tuple[CommandBuilder, bool]:
        """All tasks in chains, handed over and not yet scheduled; and whether blocks of outputs are repeated."""
        same = most._replace(margin=MARGIN, late=LATE_CYCLES, standing=0)
        if same not in self._handed:
            loads = (most.armed, most.stores, most.loads) if self.resident else (False, False, False)
            if loads not in self._loads:
                commands = CommandBuilder(self.make.array, self.reserved, self.body, self.lags)
                commands.contents = self._contents
                rest = _loaded(commands, self.make, len(self.body), self.tasks, most) if self.resident else self.tasks
                self._loads[loads] = commands, rest
            loaded, rest = self._loads[loads]
            commands = loaded.copy()
            self._handed[same] = commands, self._add_chains(commands, rest, most, loads)
            for task in self.last:
                commands.wait(*task)
            commands.flatten()  # for all copies
        commands, repeats = self._handed[same]
        return commands.copy((most.margin, most.late), most.standing if self.resident else 0), repeats

    def stream(self, most: Chains) -> bytes:
        """A digest of all that the command stream of these chains depends on."""
        ints, reals = self.handed(most)[0].flat
        return hashlib.sha256(ints.tobytes() + reals.tobytes()).digest()

    def _add_chains(
        self,
        commands: CommandBuilder,
        tasks: Mapping[Channel, Sequence[Work]],
        most: Chains,
        loads: tuple[bool, bool, bool],
    ) -> bool:
        """Hand all tasks over; those of the memtile channels to and from the cores become chains.

        Returns whether blocks of outputs are repeated. ``loads``: by which ``tasks`` are known.
        """
        make, array, body = self.make, self.make.array, self.body
        inputs = [tasks.get(make.a_channel(c), ()) for c in range(array.cols)]
        joined = _joined_channels(make)
        for channel, own in tasks.items():
            if channel not in joined:
                for work in _first_joined(own) if most.activations else own:
                    commands.add(work)
        # The column with the most descriptors decides where chains are cut: columns run in step, as weights are shared.
        busiest = max(inputs, key=lambda own: sum(len(w.chain) for w in own))
        a_chain, repeats = most.activations, False
        area = make.mt.opcode_base, FILLER_WORDS
        how = Joining(body, a_chain, a_chain, area, span=most.span, ahead=most.ahead)
        if a_chain:
            how = replace(how, cuts=frozenset(w.start for w in join(busiest, how)))
        junk = [(make.junk(r), make.mt.junk_bytes // 4) for r in range(array.rows)]
        for c in range(array.cols):
            outputs = [tasks.get(make.o_channel(c, r), ()) for r in range(array.rows)]
            if most.block:
                single = outputs
                known = c, loads, most.block, most.least
                if known not in self._blocks:
                    self._blocks[known] = [_repeated(own, len(body), array.device, most) for own in outputs]
                outputs = [*self._blocks[known]]
                repeats = repeats or any(len(a) < len(b) for a, b in zip(outputs, single, strict=True))
            ahead = a_chain > 0 and c != array.cols - 1
            key = (0, FIRST + (2 * c - 0.5) * COLUMN) if commands.is_armed(make.a_channel(c)) else None
            for work in column_chains(inputs[c], outputs, how, most.outputs, junk, ahead, key):
                commands.add(work)
        return repeats


def _loaded(
    commands: CommandBuilder, make: ItemTasks, items: int, tasks: Mapping[Channel, Sequence[Work]], most: Chains
) -> Mapping[Channel, Sequence[Work]]:
    """Load the program with what ``most`` wants; returns the tasks that remain to be pushed.

    Of shims with the weight streams, which run for ever: at the end of an inference they fill the rings for the next.
    """
    rest = dict(tasks)
    for use in (work.sets for own in tasks.values() for work in own if work.sets):
        commands.will_set(use)
    for r in range(make.array.rows):
        c, ring = make.array.w_home(r)
        commands.repeat(rest.pop((make.array.shim(c), Dir.MM2S, 1 + ring)))
    rest = dict(_endless(commands, make, items, rest, most)) if most.stores or most.loads else rest
    return _arm(commands, make, items, rest) if most.armed else rest


def _endless(
    commands: CommandBuilder, make: ItemTasks, items: int, tasks: Mapping[Channel, Sequence[Work]], most: Chains
) -> Mapping[Channel, Sequence[Work]]:
    """Let memtile channels with few descriptors run by themselves.

    All whose pool has room for all (networks of one layer); the stores, the loads, of which many networks have few.
    """
    memtiles = range(make.array.memtile(0), make.array.memtile(make.array.cols))
    moves = {(Dir.S2MM, make.array.load_s2mm): most.loads, (Dir.MM2S, make.array.store_mm2s): most.stores}
    able = [
        channel
        for channel, own in tasks.items()
        # The reports attribute a task to one item.
        if channel[0] in memtiles and len({min(work.item, items - 1) for work in own}) == 1
        if not any(work.after for work in own)
    ]
    whole, rest = commands.run_alone(tasks, able), dict(tasks)
    for channel in able:
        count = sum(len(work.chain) * work.repeat for work in tasks[channel])
        if channel in whole or (moves.get(channel[1:], False) and commands.may_give(channel, count)):
            commands.repeat(tasks[channel])
            del rest[channel]
    return rest


def _arm(
    commands: CommandBuilder, make: ItemTasks, items: int, tasks: Mapping[Channel, Sequence[Work]]
) -> Mapping[Channel, Sequence[Work]]:
    """Load the memtile channels, and shims with loads, with their first descriptors: a push onto an idle channel costs
    six times another.

    Returns the tasks that remain; a channel's last one ends with its first descriptor again, for the next inference.
    They wait for data or a lock: the opcodes, with which loads begin, for LOAD_GO (``Work.sets``). Other tasks of shims
    name the host's buffers. Stores are left out: the first may be the last thing to end.
    """
    rest, joined = dict(tasks), _joined_channels(make)
    memtiles = range(make.array.memtile(0), make.array.memtile(make.array.cols))
    for channel, own in tasks.items():
        loads = (channel[1] == Dir.S2MM and channel[0] in memtiles and channel not in joined) or _loads(make, channel)
        first, more = _first_descriptor(own)
        if not (loads or channel in joined) or first is None or not commands.may_give(channel, 1):
            continue
        sets = first.sets or next((work.sets for work in more if work.sets), None)
        first = replace(first, sets=None)
        commands.arm(first, loads)
        end = (items + 1, 0.0)
        last = more[-1] if more else None
        short = last and last.item == items - 1 and last.repeat == 1 and len(last.chain) <= MOST_LAST
        if last and (last.item >= items or (short and last.start >= first.end)):
            more[-1] = replace(last, chain=(*last.chain, *first.chain), end=end, arms=first.end)
        else:
            again = replace(first, start=(items, 2 * EPSILON), end=end, arms=first.end, item=items)  # behind all others
            key = (last or first).start  # while the channel is busy
            if loads and _takes_long(make, more):  # there is time for what the cores wait for
                key = max(key, (0, FIRST / 2))
            elif all(work.item == 0 for work in more):  # before anything moves
                again = replace(again, sets=sets)
                more = [replace(work, sets=None) for work in more]
            more.append(replace(again, key=key))
        rest[channel] = more
    return rest


# Cycles of a column's first loads during which there is time for all pushes before the first item.
LONG_LOAD = 12000.0


def _takes_long(make: ItemTasks, loads: Sequence[Work]) -> bool:
    """Whether the loads of a column before the first item keep their channels busy for long."""
    device = make.array.device
    words = sum(t.shape.words for work in loads if work.item == 0 for t in work.chain)
    return words * 4 * device.cols > LONG_LOAD * device.ddr_bytes_per_cycle(device.cols) > 0


def _loads(make: ItemTasks, channel: Channel) -> bool:
    """Whether it is the channel through which a shim loads opcodes and activations."""
    return channel[0] < make.array.cols and channel[1:] == (Dir.MM2S, 0)


def _first_descriptor(tasks: Sequence[Work]) -> tuple[Work | None, list[Work]]:
    """The first descriptor of a channel's tasks as a task of its own, and what remains; None: it cannot be cut off.

    What remains of a repeated task is the rest of its first execution, of its first turn, and the other turns.
    """
    first, *more = tasks
    wraps = {template.wrap for template in first.chain if template.wrap > 1} or {first.repeat}
    turn = min(wraps)
    if len(wraps) > 1 or first.repeat % turn:
        return None, list(tasks)
    head, *chain = (replace(template, wrap=1, step=0) for template in first.chain)
    rest = [replace(first, chain=tuple(chain), repeat=1)] if chain else []
    if turn > 1:
        later = tuple(
            replace(t, base=t.base + 4 * t.step, wrap=turn - 1, step=t.step if turn > 2 else 0) if t.wrap > 1 else t
            for t in first.chain
        )
        rest.append(replace(first, chain=later, repeat=turn - 1))
    if first.repeat > turn:
        rest.append(replace(first, repeat=first.repeat - turn))
    return replace(first, chain=(head,), repeat=1), [*rest, *more]


def _repeated(tasks: Sequence[Work], items: int, device: Device, most: Chains) -> list[Work]:
    """Like blocks of the network as one task; what ends the program is no part of them."""
    last = [work for work in tasks if work.item >= items or work.arms]
    return [*repeated(tasks[: len(tasks) - len(last)], device, most.block, most.least), *last]


def _joined_channels(make: ItemTasks) -> set[Channel]:
    """The memtile channels to and from the cores."""
    columns, rows = range(make.array.cols), range(make.array.rows)
    return {make.a_channel(c) for c in columns} | {make.o_channel(c, r) for c in columns for r in rows}


def _first_joined(tasks: Sequence[Work]) -> list[Work]:
    """The tasks of a channel of loads or stores; those before the first item, opcodes and inputs, as one chain."""
    first = [work for work in tasks if work.item == 0 and work.repeat == 1 and not (work.after or work.arms)]
    if len(first) < 2 or len(first) > MOST_FIRST or list(tasks[: len(first)]) != first:
        return list(tasks)
    chain = tuple(template for work in first for template in work.chain)
    sets = next((work.sets for work in first if work.sets), None)
    return [replace(first[0], chain=chain, end=first[-1].end, sets=sets), *tasks[len(first) :]]
