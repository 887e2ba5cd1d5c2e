"""The tasks of all channels in one command stream: joined into chains of several lengths; the best is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from tvm_aie.emit.commands import AHEAD_BELOW, CHAIN_CYCLES, Channel, CommandBuilder, Joining, Work, column_chains, join
from tvm_aie.emit.item_tasks import ItemTasks
from tvm_aie.emit.periods import repeated
from tvm_aie.emit.program import Bd, Dir
from tvm_aie.emit.transfers import FILLER_WORDS
from tvm_aie.errors import ProgramError


class Chains(NamedTuple):
    """Most descriptors of a chain that serves several items: of activations, of outputs; and of a block of outputs that
    is repeated (``emit.periods``; 0: none is). Short chains free their descriptors earlier, so that more is pushed
    ahead; long ones are fewer tasks. ``span``, ``ahead``: see ``emit.commands.Joining``.
    """

    activations: int
    outputs: int
    block: int = 0
    span: float = CHAIN_CYCLES
    ahead: float = AHEAD_BELOW


# The first is best for most networks. Three of the channels of a block share 24 descriptors.
CHAINS = tuple(Chains(*most, block=6) for most in ((4, 3), (5, 3), (6, 4), (10, 6)))
NO_CHAINS = Chains(0, 0)
# Loads before the first item that are one chain: opcodes and inputs.
MOST_FIRST = 4
# To compare by emulation (``rehearse``): the clock's first choice is up to a tenth slower than the best of these.
MORE_CHAINS = (*CHAINS, Chains(4, 4, block=6), *(most._replace(block=0) for most in CHAINS[:3]))


def variants(chains: Chains) -> tuple[Chains, ...]:
    """The best of ``MORE_CHAINS`` with less pushed ahead, and with shorter chains."""
    return chains._replace(ahead=AHEAD_BELOW / 2), chains._replace(ahead=AHEAD_BELOW / 2, span=CHAIN_CYCLES * 2 / 3)


def arrange(
    make: ItemTasks,
    reserved: Sequence[Bd],
    body: Sequence[float],
    tasks: Mapping[Channel, Sequence[Work]],
    chains: Sequence[Chains],
    lags: Sequence[bool] = (),
    resident: bool = False,
) -> CommandBuilder:
    """The command stream: of those with ``chains``, the first to end by the scheduler's clock.

    Of several the best is tried without repeated blocks too, whose descriptors are taken for long. Without chains only
    if there is no other. ``reserved``: the overlay's descriptors; ``body``: estimated cycles of each item; ``tasks``:
    of each channel, in its order; ``lags``: see ``CommandBuilder``; ``resident``: the memtile channels are loaded with
    their first tasks (``_arm``). ProgramError: there is no legal order.
    """
    best: tuple[CommandBuilder, Chains] | None = None
    waiting = list(chains)
    while waiting or best is None:
        last = not waiting
        most = waiting.pop(0) if waiting else NO_CHAINS
        commands = CommandBuilder(make.array, reserved, body, lags)
        rest, again = _arm(commands, make, len(body), tasks) if resident else (tasks, ())
        repeats = _add_chains(commands, make, body, rest, most)
        for work in again:
            commands.add(work)
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


def _arm(
    commands: CommandBuilder, make: ItemTasks, items: int, tasks: Mapping[Channel, Sequence[Work]]
) -> tuple[dict[Channel, Sequence[Work]], list[Work]]:
    """Load the memtile channels with their first tasks: a push onto an idle channel costs six times another.

    Returns the tasks that remain and, for the next inference, the first ones again. Shims are left out: their tasks
    name the host's buffers, and would move data before the inference begins. As long as they have not been pushed,
    the others wait for data or a lock. Stores are left out, too: their first one may be the last thing to end. A task is as short as can be, as it keeps its descriptors.
    """
    rest, again = dict(tasks), list[Work]()
    array, joined = make.array, _joined_channels(make, tasks)
    start, end = (items + 2, 0.0), (items + 3, 0.0)
    for channel, own in tasks.items():
        if channel in joined or (channel[1] == Dir.S2MM and channel[0] >= array.memtile(0)):
            first, *more = own
            if first.repeat == 1 and len(first.chain) > 1:
                more.insert(0, replace(first, chain=first.chain[1:]))
                first = replace(first, chain=first.chain[:1])
            if not commands.may_arm(first):
                continue
            commands.arm(first, keep=channel not in joined)
            rest[channel] = more
            last = (more or [first])[-1].start[0]
            key = (min(last + 1, items - 1), -0.5) if channel in joined else (last, 0.05)
            again.append(replace(first, start=start, end=end, key=key))
    return rest, again


def _add_chains(
    commands: CommandBuilder,
    make: ItemTasks,
    body: Sequence[float],
    tasks: Mapping[Channel, Sequence[Work]],
    most: Chains,
) -> bool:
    """Hand all tasks over; those of the memtile channels to and from the cores become chains.

    Returns whether blocks of outputs are repeated.
    """
    array = make.array
    columns = [c for c in range(array.cols) if make.a_channel(c) in tasks]
    joined = _joined_channels(make, tasks)
    for channel, own in tasks.items():
        if channel not in joined:
            for work in _first_joined(own) if most.activations else own:
                commands.add(work)
    # The column with the most descriptors decides where chains are cut: columns run in step, as weights are shared.
    busiest = max((tasks[make.a_channel(c)] for c in columns), key=lambda own: sum(len(w.chain) for w in own))
    a_chain, repeats = most.activations, False
    area = make.mt.opcode_base, FILLER_WORDS
    how = Joining(body, a_chain, a_chain, area, span=most.span, ahead=most.ahead)
    if a_chain:
        how = replace(how, cuts=frozenset(w.start for w in join(busiest, how)))
    junk = [(make.junk(r), make.mt.junk_bytes // 4) for r in range(array.rows)]
    for c in columns:
        outputs = [tasks.get(make.o_channel(c, r), ()) for r in range(array.rows)]
        if most.block:
            single = outputs
            outputs = [list(repeated(own, array.device, most.block)) for own in outputs]
            repeats = repeats or any(len(a) < len(b) for a, b in zip(outputs, single, strict=True))
        ahead = a_chain > 0 and c != columns[-1]
        for work in column_chains(tasks[make.a_channel(c)], outputs, how, most.outputs, junk, ahead):
            commands.add(work)
    return repeats


def _joined_channels(make: ItemTasks, tasks: Mapping[Channel, Sequence[Work]]) -> set[Channel]:
    """The memtile channels to and from the cores."""
    array = make.array
    columns = [c for c in range(array.cols) if make.a_channel(c) in tasks]
    return {make.a_channel(c) for c in columns} | {make.o_channel(c, r) for c in columns for r in range(array.rows)}


def _first_joined(tasks: Sequence[Work]) -> list[Work]:
    """The tasks of a channel of loads or stores; those before the first item, opcodes and inputs, as one chain."""
    first = [work for work in tasks if work.item == 0 and work.repeat == 1 and not work.after]
    if len(first) < 2 or len(first) > MOST_FIRST or list(tasks[: len(first)]) != first:
        return list(tasks)
    chain = tuple(template for work in first for template in work.chain)
    return [replace(first[0], chain=chain, end=first[-1].end), *tasks[len(first) :]]
