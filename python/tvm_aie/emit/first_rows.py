"""The network's input row by row: its first activations wait for the rows that they need, not for the whole image.

On npu1 the input of an image takes 20,000 cycles through DDR. It comes in the order of its rows and is sent on in the
same order, so it is loaded in pieces, each of which releases LOAD_DONE, and the first message of each group acquires
it: one message, then two, four, eight: while a group is computed the next, of twice its rows, is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tvm_aie.device import Device
from tvm_aie.emit.item_tasks import Cut
from tvm_aie.emit.overlay import LOAD_DONE
from tvm_aie.emit.program import LockUse
from tvm_aie.emit.transfers import UNROLL_A, DmaTask, Message, tasks_of

MOST_GROUPS = 4  # a descriptor each, at both ends
LEAST_CYCLES = 4000.0  # of a load: shorter ones cost less than the descriptors


@dataclass(frozen=True)
class FirstRows:
    """Activations of a column, cut into groups of messages, and the load's pieces (bytes) for which those wait."""

    cut: Cut
    pieces: tuple[int, ...]


def first_rows(cut: Cut, memtile: int, region: tuple[int, int], device: Device) -> FirstRows | None:
    """Let groups of messages wait for pieces of the load of ``region`` (address, bytes) in ``memtile``.

    The pieces are loaded one behind the other, and LOAD_DONE is released by nothing else meanwhile. None: the load is
    short, or a message needs another memtile's rows, or the first message most of the region.
    """
    address, size = region
    cycles = size * device.cols / (device.ddr_bytes_per_cycle(device.cols) or device.cols * 4)
    ends = [_end(message, memtile, address, size) for message in cut.content]
    if cycles < LEAST_CYCLES or None in ends:
        return None
    groups = _groups([end or 0 for end in ends])
    if len(groups) < 2 or 2 * groups[0][1] > size:
        return None
    use = LockUse(memtile, LOAD_DONE, 1)
    tasks: list[DmaTask] = []
    borders = [*(first for first, _ in groups), len(cut.content)]
    for first, behind in pairwise(borders):
        head, *rest = _tasks(cut.content, first, behind, device)
        if head.repeat > 1:
            head, *rest = [
                t for a, b in ((first, first + 1), (first + 1, behind)) for t in _tasks(cut.content, a, b, device)
            ]
        tasks += [replace(head, chain=(replace(head.chain[0], acquire=use), *head.chain[1:])), *rest]
    upto = [*(end for _, end in groups[:-1]), size]
    return FirstRows(replace(cut, tasks=tuple(tasks)), tuple(b - a for a, b in pairwise([0, *upto])))


def _tasks(messages: Sequence[Message], first: int, behind: int, device: Device) -> list[DmaTask]:
    made = tasks_of(messages[first:behind], device, UNROLL_A)
    return [replace(t, first=t.first + first, last=t.last + first) for t in made]


def _end(message: Message, memtile: int, address: int, size: int) -> int | None:
    """Bytes of the region up to the last that a message reads; None: it reads another memtile's."""
    end = 0
    for shape, base in message:
        last = base - address + 4 * (1 + sum((n - 1) * step for n, step in shape.dims))
        if shape.mem != memtile:
            return None
        if 0 <= base - address < size:
            end = max(end, last)
    return end


def _groups(ends: Sequence[int]) -> list[tuple[int, int]]:
    """First message of each group and the bytes that the group needs (those of the groups before included).

    The last group has all that remain, and begins before anything is missing.
    """
    whole, groups, first, count = max(ends), list[tuple[int, int]](), 0, 1
    loaded = 0
    while first < len(ends) and loaded < whole:
        behind = len(ends) if len(groups) == MOST_GROUPS - 1 else min(first + count, len(ends))
        needed = max(loaded, *ends[first:behind])
        if needed > loaded:
            groups.append((first, needed))
        loaded, first, count = needed, behind, 2 * count
    return groups
