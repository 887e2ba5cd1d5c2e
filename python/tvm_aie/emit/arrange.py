"""The tasks of all channels in one command stream: joined into chains of several lengths; the best is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf

from tvm_aie.emit.commands import Channel, CommandBuilder, Joining, Work, column_chains, join
from tvm_aie.emit.item_tasks import ItemTasks
from tvm_aie.emit.program import Bd
from tvm_aie.emit.transfers import FILLER_WORDS
from tvm_aie.errors import ProgramError

# Most descriptors of a chain that serves several items: of activations, of outputs. Short chains free their
# descriptors earlier, so that more is pushed ahead; long ones are fewer tasks. The first is best for most networks.
CHAINS = ((4, 3), (5, 3), (6, 4), (10, 6))
NO_CHAINS = (0, 0)


def arrange(
    make: ItemTasks,
    reserved: Sequence[Bd],
    body: Sequence[float],
    tasks: Mapping[Channel, Sequence[Work]],
    chains: Sequence[tuple[int, int]],
    lags: Sequence[bool] = (),
) -> CommandBuilder:
    """The command stream: of those with ``chains``, the first to end by the scheduler's clock.

    Without chains only if there is no other. ``reserved``: the overlay's descriptors; ``body``: estimated cycles of
    each item; ``tasks``: of each channel, in its order; ``lags``: see ``CommandBuilder``. ProgramError: there is no
    legal order.
    """
    best: CommandBuilder | None = None
    for longest in (*chains, NO_CHAINS):
        if best and longest == NO_CHAINS:
            break
        commands = CommandBuilder(make.array, reserved, body, lags)
        _add_chains(commands, make, body, tasks, *longest)
        try:
            done = commands.schedule(best.end if best else inf)
        except ProgramError as error:
            failure = error
        else:
            best = commands if done and (best is None or commands.end < best.end) else best
    if best is None:
        raise failure
    return best


def _add_chains(
    commands: CommandBuilder,
    make: ItemTasks,
    body: Sequence[float],
    tasks: Mapping[Channel, Sequence[Work]],
    a_chain: int,
    o_chain: int,
) -> None:
    """Hand all tasks over; those of the memtile channels to and from the cores become chains."""
    array = make.array
    columns = [c for c in range(array.cols) if make.a_channel(c) in tasks]
    joined = {make.a_channel(c) for c in columns} | {make.o_channel(c, r) for c in columns for r in range(array.rows)}
    for channel, own in tasks.items():
        if channel not in joined:
            for work in own:
                commands.add(work)
    # The column with the most descriptors decides where chains are cut: columns run in step, as weights are shared.
    busiest = max((tasks[make.a_channel(c)] for c in columns), key=lambda own: sum(len(w.chain) for w in own))
    how = Joining(body, a_chain, a_chain, (make.mt.opcode_base, FILLER_WORDS))
    if a_chain:
        how = replace(how, cuts=frozenset(w.start for w in join(busiest, how)))
    junk = [(make.junk(r), make.mt.junk_bytes // 4) for r in range(array.rows)]
    for c in columns:
        outputs = [tasks.get(make.o_channel(c, r), ()) for r in range(array.rows)]
        ahead = a_chain > 0 and c != columns[-1]
        for work in column_chains(tasks[make.a_channel(c)], outputs, how, o_chain, junk, ahead):
            commands.add(work)
