"""Tasks that come back: a channel's tasks over several items as one task that is repeated.

Networks repeat their blocks. What the layers of a block send to the memtile then has the same shapes block after block,
at the same addresses or a constant step further (a concat that grows, a tensor that is laid where the one before was).
An iterated descriptor chain carries such a run with one push, however many items long (docs/program.md, section 3).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from tvm_aie.device import Device
from tvm_aie.emit.commands import Work

# A run of fewer blocks mostly saves less than its descriptors, which stay taken for all of it, cost others. Where
# commands are much of the work two are tried too (``emit.arrange``).
LEAST_BLOCKS = 3


class Period(NamedTuple):
    """A run of a channel's tasks: ``blocks`` times ``size`` tasks, ``steps`` (bytes) of each descriptor in between."""

    size: int
    blocks: int
    steps: tuple[int, ...]


def repeated(tasks: Sequence[Work], device: Device, longest: int, least: int = LEAST_BLOCKS) -> Iterator[Work]:
    """The tasks of a channel of a memtile, those of like blocks as one task that is executed once per block.

    ``longest``: most descriptors of a block; ``least``: blocks of a run. The same transfers with the same locks in the
    same order.
    """
    kinds = [work.kind for work in tasks]
    at = 0
    while at < len(tasks):
        period = _longest(tasks, kinds, at, device, (longest, least))
        if period is None:
            yield tasks[at]
            at += 1
            continue
        first, n = tasks[at], period.size * period.blocks
        head = [template for work in tasks[at : at + period.size] for template in work.chain]
        chain = tuple(
            replace(template, wrap=period.blocks if step else 1, step=step // 4)
            for template, step in zip(head, period.steps, strict=True)
        )
        yield replace(first, chain=chain, repeat=period.blocks, end=tasks[at + n - 1].end)
        at += n


def _longest(
    tasks: Sequence[Work], kinds: Sequence[Hashable], at: int, device: Device, limits: tuple[int, int]
) -> Period | None:
    """The period at ``at`` that covers most tasks, of several the shortest. ``limits``: see ``repeated``."""
    longest, least = limits
    best: Period | None = None
    size = descriptors = 0
    while kinds[at + size] is not None:
        descriptors += len(tasks[at + size].chain)
        size += 1
        if descriptors > longest or at + least * size > len(tasks):
            break
        found = _run(tasks, kinds, at, size, device)
        if found.blocks >= least and (best is None or found.size * found.blocks > best.size * best.blocks):
            best = found
    return best


def _run(tasks: Sequence[Work], kinds: Sequence[Hashable], at: int, size: int, device: Device) -> Period:
    """How often the ``size`` tasks from ``at`` on come back in a row, each descriptor at its constant step."""

    def bases(block: int) -> list[int]:
        begin = at + block * size
        return [base for work in tasks[begin : begin + size] for base in work.bases]

    def alike(block: int) -> bool:
        begin = at + block * size
        return kinds[begin : begin + size] == kinds[at : at + size]

    most = min((len(tasks) - at) // size, device.repeat_max)
    if most < 2 or not alike(1):
        return Period(size, 1, ())
    head = bases(0)
    steps = tuple([b - a for a, b in zip(head, bases(1), strict=True)])
    limit = device.memtile_bd.iteration_step_max_words
    if any(step < 0 or step % 4 or step // 4 > limit for step in steps):
        return Period(size, 1, ())
    if any(steps):
        most = min(most, device.iteration_wrap_max)
    blocks = 2
    while blocks < most and alike(blocks):
        if bases(blocks) != [a + blocks * step for a, step in zip(head, steps, strict=True)]:
            break
        blocks += 1
    return Period(size, blocks, steps)
