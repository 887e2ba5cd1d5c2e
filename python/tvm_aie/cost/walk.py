"""What a core does with an item's opcodes (docs/program.md section 2): its kernel calls in order, loops unrolled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tvm_aie.emit import opcodes
from tvm_aie.schedule.geometry import KernelId

Ints = npt.NDArray[np.int64]


class Step(NamedTuple):
    """One kernel call with the lock operations around it; ``band`` and ``weights``: loop value, message index.

    ``block``: of the weight message the output block that is computed; -1: all. ``keeps``: KEPT: no call but a copy of
    the activation message, of one slot, into ACC, or a row that goes there through a front; DROPPED: rows are.
    """

    band: int
    weights: int
    acquires_a: bool
    acquires_w: bool
    acquires_o: bool
    releases_a: bool
    releases_w: bool
    releases_o: bool
    opcodes: int
    block: int = -1
    keeps: int = 0


KEPT, DROPPED = 1, 2


class _Executed(NamedTuple):
    """An opcode that a core executes. Of a kernel call: value of the loop over bands, output block (-1: all)."""

    op: int
    band: int = 0
    block: int = -1


# Opcodes with one operand, beside loops.
_ONE_OPERAND = (opcodes.ACQ_A, opcodes.REL_A, opcodes.SKIP_O, opcodes.KEEP, opcodes.DROP)
FRONT = -int(KernelId.FRONT)  # stands for a KERNEL opcode that calls it
CALLS = {opcodes.KERNEL: 0, opcodes.KEEP: KEPT, FRONT: KEPT, opcodes.DROP: DROPPED}


def _executed(words: Sequence[int], blocks: Sequence[int]) -> Iterator[_Executed]:
    """An item's own opcodes up to END in the order in which a core executes them. ``blocks``: as for ``walk``."""
    loops: list[list[int]] = []  # [pc of the body, count, index]
    pc, weights = 0, -1
    while True:
        op = words[pc]
        if op == opcodes.LOOP:
            loops.append([pc + 2, words[pc + 1] or max(1, blocks[weights]), 0])
            pc += 2
            yield _Executed(op)
        elif op == opcodes.NEXT:
            loops[-1][2] += 1
            if loops[-1][2] < loops[-1][1]:
                pc = loops[-1][0]
            else:
                loops.pop()
                pc += 1
            yield _Executed(op)
        elif op == opcodes.KERNEL:
            params = words[pc + 3 : pc + 3 + words[pc + 2]]
            level = params[14] if len(params) > 14 else -1
            single = words[pc + 1] == KernelId.CONV and len(params) in opcodes.BLOCK_PARAMS
            op = FRONT if words[pc + 1] == KernelId.FRONT else op
            yield _Executed(op, loops[level][2] if level >= 0 else 0, loops[params[-1]][2] if single else -1)
            pc += 3 + words[pc + 2]
        else:
            weights += op == opcodes.ACQ_W
            yield _Executed(op)
            if op == opcodes.END:
                return
            pc += 2 if op in _ONE_OPERAND else 1


@dataclass(frozen=True)
class Walk:
    """What a core does with an opcode stream."""

    steps: tuple[Step, ...]

    @cached_property
    def activations(self) -> int:
        """Activation messages that it takes."""
        return sum(s.acquires_a for s in self.steps)

    @cached_property
    def locks(self) -> npt.NDArray[np.uint8]:
        """Of each step whether it acquires an A, W, O message, and whether it releases one."""
        return locks_of(self.steps)

    @cached_property
    def table(self) -> Ints:
        """A column for each step; rows: its weight message (0: none), band, block (0: all), opcodes, ``keeps``."""
        rows = [(max(s.weights, 0), s.band, max(s.block, 0), s.opcodes, s.keeps) for s in self.steps]
        return np.array(rows, np.int64).reshape(-1, 5).T


def locks_of(steps: Sequence[Step]) -> npt.NDArray[np.uint8]:
    """``Walk.locks`` of these steps."""
    first, after = Step._fields.index("acquires_a"), Step._fields.index("opcodes")
    return np.array([step[first:after] for step in steps], np.uint8).reshape(-1, after - first)


def walk(words: Sequence[int], blocks: Sequence[int] = ()) -> Walk:
    """The kernel calls of an opcode stream in order; a weight message that no kernel reads is a step of its own.

    ``blocks``: output blocks of each weight message (of the row of cores with most), for loops over them.
    """
    return _walked(skeleton(words), tuple(blocks))


def skeleton(words: Sequence[int]) -> tuple[int, ...]:
    """The opcodes without what decides nothing of what a core does when: numbers of slots, and kernels' parameters but
    two (``_executed``).

    Layers that differ in what they compute alone, as in their requantisation, have the same, and so have tilings that
    differ in their rings.
    """
    out, pc = list(words), 0
    while pc < len(out):
        if out[pc] == opcodes.KERNEL:
            begin, n = pc + 3, out[pc + 2]
            out[begin : begin + n] = [v if k in (14, n - 1) else 0 for k, v in enumerate(out[begin : begin + n])]
            pc = begin + n
        elif out[pc] in _ONE_OPERAND:
            out[pc + 1] = 0
            pc += 2
        else:
            pc += 2 if out[pc] == opcodes.LOOP else 1
    return tuple(out)


MOST_WALKED = 256  # streams whose steps are kept: the plans of a network have most of their items in common


@lru_cache(MOST_WALKED)
def _walked(words: tuple[int, ...], blocks: tuple[int, ...]) -> Walk:
    steps: list[Step] = []
    n_ops, weights = 0, -1
    held = False  # an output message; ACQ_O does nothing then
    got = dict.fromkeys((opcodes.ACQ_A, opcodes.ACQ_W, opcodes.ACQ_O), False)  # since the last call
    gave = dict.fromkeys((opcodes.REL_A, opcodes.REL_W, opcodes.REL_O), False)  # behind it
    call: tuple[int, int, bool, bool, bool] | None = None  # the open step up to its releases
    block, keeps = -1, 0  # of the open step

    def close() -> None:
        nonlocal call, n_ops
        if call is not None:
            gives = gave[opcodes.REL_A], gave[opcodes.REL_W], gave[opcodes.REL_O]
            steps.append(Step(*call, *gives, n_ops, block, keeps))
            gave.update(dict.fromkeys(gave, False))
            call, n_ops = None, 0

    for op, band, of_block in _executed(words, blocks):
        n_ops += 1
        if op in got:
            weights += op == opcodes.ACQ_W
            close()
            got[op] = op != opcodes.ACQ_O or not held
            held = held or op == opcodes.ACQ_O
        elif op in gave or op in CALLS:
            calls = op not in gave
            if calls:
                close()
            if call is None:
                takes = got[opcodes.ACQ_A], got[opcodes.ACQ_W], got[opcodes.ACQ_O]
                call = (band if calls else 0, weights, *takes)
                block, keeps = (of_block if calls else -1), CALLS.get(op, 0)
                got.update(dict.fromkeys(got, False))
            if not calls:
                gave[op] = True
                held = held and op != opcodes.REL_O
    close()
    return Walk(tuple(steps))


@dataclass(frozen=True)
class Event:
    """An opcode of a core that takes or gives something: ``op`` as in ``emit.opcodes``; ``before``: opcodes up to it.

    ``band``: loop value of a kernel call; ``weights``: the message that it reads; ``op`` KEEP: a copy into ACC.
    """

    op: int
    before: int
    band: int = 0
    weights: int = -1


def events(words: Sequence[int]) -> list[Event]:
    """What a core does with an opcode stream, loops unrolled; acquires that do nothing are plain opcodes.

    Not for streams with loops over output blocks (idealised machines), whose counts lie in the weight messages.
    """
    out: list[Event] = []
    n_ops, weights, held = 0, -1, False
    for done in _executed(words, ()):
        op = done.op
        n_ops += 1
        weights += op == opcodes.ACQ_W
        if op in (opcodes.LOOP, opcodes.NEXT) or (op == opcodes.ACQ_O and held):
            continue
        held = (held or op == opcodes.ACQ_O) and op != opcodes.REL_O
        out.append(Event(op, n_ops, done.band, weights if op != opcodes.END else -1))
        n_ops = 0
    return out
