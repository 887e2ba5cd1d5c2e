"""Tasks of a channel as chains: one push instead of several (docs/program.md section 3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tvm_aie.emit.commands import CHAIN_CYCLES, EPSILON, Position, Work
from tvm_aie.emit.transfers import BdTemplate, merge_unused

# Items shorter than this (estimated cycles) end before the next item's outputs are pushed; those go ahead of them.
# About the time of a push and two descriptors for each of 16 output channels. Chosen by emulation on npu1.
AHEAD_BELOW = 20000.0
# Descriptors of a prologue that may exceed the limit of a chain, and of a chain that is cut where others are.
BARRIER, EXCESS = 4, 4
LAST = 8  # and of the chain that ends the program


@dataclass(frozen=True)
class Joining:
    """How tasks are joined. ``body``: estimated cycles of each item; ``longest``: most descriptors of a chain,
    ``first``: of the first chain; ``area``: base (bytes) and words of the memory that fillers read or junk goes to;
    ``cuts``: where chains begin, if that is given; ``span``: see CHAIN_CYCLES; ``ahead``: see AHEAD_BELOW.
    """

    body: Sequence[float]
    longest: int
    first: int
    area: tuple[int, int]
    cuts: frozenset[Position] | None = None
    span: float = CHAIN_CYCLES
    ahead: float = AHEAD_BELOW


def join(tasks: Sequence[Work], how: Joining) -> list[Work]:
    """Chain neighbouring tasks of a channel that run once, across items too: one push instead of several."""
    out: list[Work] = []
    before: Work | None = None  # the first task of a chain, then the chain so far and its last task
    chain: list[BdTemplate] = []
    last, item = before, -1
    for work in tasks:
        if before and before.repeat == work.repeat == 1 and _joins(before, len(chain), work, not out, how):
            chain[-1:] = merge_unused(chain[-1], work.chain[0], *how.area)
            chain += work.chain[1:]
            last, item = work, work.item if work.item < len(how.body) else item
            continue
        if before and last:
            out.append(_joined(before, chain, last, item))
        before, chain, last, item = work, list(work.chain), work, work.item
    return [*out, _joined(before, chain, last, item)] if before and last else out


def _joined(first: Work, chain: Sequence[BdTemplate], last: Work, item: int) -> Work:
    return first if last is first else replace(first, chain=tuple(chain), end=last.end, item=item, arms=last.arms)


def _joins(before: Work, length: int, work: Work, first: bool, how: Joining) -> bool:
    """``before``: the first task of a chain of ``length`` descriptors so far."""
    # A barrier goes with what is before it: its channel is then busy until the previous item is complete.
    most = (how.first if first else how.longest) + (BARRIER if work.start[1] < 0 else 0)
    if how.cuts is not None:
        most = 0 if work.start in how.cuts else most + EXCESS
    if work.arms and before.start < work.arms:
        return False
    if work.start[0] >= len(how.body):  # what ends the program: nothing waits for its descriptors
        most += LAST
    span = sum(how.body[before.start[0] : work.start[0]])
    return length + len(work.chain) <= most and span <= how.span


def column_chains(
    inputs: Sequence[Work],
    outputs: Sequence[Sequence[Work]],
    how: Joining,
    longest: int,
    junk: Sequence[tuple[int, int]],
    ahead: bool,
    first_key: Position | None = None,
) -> Iterator[Work]:
    """The tasks of a column as chains: of the activations, and per core row of the outputs.

    ``longest``: most descriptors of a chain of outputs; ``junk``: area of each row. Outputs are wanted before the item
    ahead of theirs starts: a push onto an idle channel costs six times a push onto a busy one (command processor,
    docs/device-keys.md), and while an item's outputs wait on the same channels, these are busy. ``ahead``: so are the
    activations, as no item starts before another column, the gate, has its own. ``first_key``: when the first of
    them are wanted, if the program is loaded with a task before them.
    """
    gates: dict[int, Position] = {}  # item -> start of the task that brings its first activations
    pushed: Position | None = None  # start of the chain before
    for work in join(inputs, how):
        for item in range(work.start[0] + (work.start[1] > 0), work.end[0] + (work.end[1] > 0)):
            gates.setdefault(item, work.start)
        earlier, pushed = pushed, work.start
        if ahead and earlier and sum(how.body[max(earlier[0], 0) : work.start[0]]) < how.ahead:
            work = replace(work, key=(earlier[0], earlier[1] - EPSILON))
        if first_key and not earlier:
            work = replace(work, key=min(work.key, first_key))
        yield work
    for r, tasks in enumerate(outputs):
        first = longest * (r + 1) // len(outputs)  # staggered: not all chains of a pool end together
        ends = -1  # item with which the task before ends
        for work in join(tasks, replace(how, longest=longest, first=first, area=junk[r], cuts=None)):
            free, ends = min(work.start[0] - 1, max(ends, 0)), work.end[0] - (work.end[1] <= 0)
            if free in gates:
                item, place = gates[free]
                key = (item, place + (-EPSILON if how.body[free] < how.ahead else EPSILON))
                work = replace(work, key=min(key, work.start))
            yield work
