"""Does what opcodes keep in ACC fit there, and does each call that reads it find it? (A core does not ask.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tvm_aie.emit.opcodes import DIVIDE, DIVIDE_WORDS, DROP, END, KEEP, KERNEL, LOOP, NEXT, SUMS
from tvm_aie.emit.program import Program, TileKind
from tvm_aie.emit.verify_division import opcode_messages
from tvm_aie.schedule.geometry import KernelId

# Words of the opcodes by number; those that a kernel's parameters follow have theirs on top.
WORDS = (1, 2, 1, 2, 2, 1, 1, 1, 1, 3, 1, 2, DIVIDE_WORDS, 2, 2)
# Parameters of a convolution: kind of its second stage, then whether its input lies in ACC; those of sums come first.
TAIL, TAIL_OF_SUMS = 22, 35
READS = [1, 1]  # a residual is added, the input is kept


def kept_faults(program: Program) -> Iterator[str]:
    """Of the first core of each column: all cores of a column get the same messages."""
    for column in range(sum(t.kind == TileKind.SHIM for t in program.tiles)):
        core = next((m for m in program.cores if program.tiles[m.tile].col == column), None)
        if core is None:
            continue
        acc = core.acc_bytes
        for item, ops in enumerate(opcode_messages(program, column)):
            acc = int(ops[DIVIDE_WORDS - 1]) if ops[0] == DIVIDE else acc
            kept, reads = kept_by(ops.tolist())
            if kept > acc:
                yield f"column {column}, item {item}: {kept} bytes are kept, ACC has {acc}"
            if reads and not kept:
                yield f"column {column}, item {item}: a convolution reads an input that nothing has kept"


MOST_STEPS = 1 << 16  # of a message's opcodes, loops unrolled; a ring's slots and an image's rows are far fewer


def kept_by(ops: Sequence[int]) -> tuple[int, bool]:
    """Most bytes that a message has in ACC at a time, and whether a convolution reads an input that was copied there.

    KEEP copies bytes; FRONT adds a row of the blocks and the line that the convolution behind it reads; DROP drops.
    """
    at, kept, most, reads = 0, 0, 0, False
    row = _front_row(ops)
    loops: list[tuple[int, int]] = []  # where a loop's body begins, and how often it is still to come
    for _ in range(MOST_STEPS):
        if at >= len(ops) or ops[at] == END or not 0 <= ops[at] < len(WORDS) or at + WORDS[ops[at]] > len(ops):
            break
        op, behind = ops[at], at + WORDS[ops[at]]
        if op == LOOP:
            loops.append((behind, max(1, ops[at + 1]) - 1))
        elif op == NEXT and loops:
            begin, left = loops.pop()
            if left:
                loops.append((begin, left - 1))
                behind = begin
        elif op == KEEP:
            kept += ops[at + 1]
        elif op == DROP:
            kept = max(0, kept - ops[at + 1])
        elif op == KERNEL:
            params = ops[at + 3 : at + 3 + ops[at + 2]]
            behind += max(0, ops[at + 2])
            first = TAIL_OF_SUMS if params[TAIL : TAIL + 1] == [SUMS] else TAIL
            reads = reads or (ops[at + 1] == KernelId.CONV and list(params[first : first + 2]) == READS)
            kept += row * (ops[at + 1] == KernelId.FRONT)
        most, at = max(most, kept), behind
    return most, reads


def _front_row(ops: Sequence[int]) -> int:
    """Bytes of a row that FRONT keeps: what the message's convolution reads; 0 without one."""
    at = 0
    while at < len(ops) and ops[at] != END and 0 <= ops[at] < len(WORDS) and at + WORDS[ops[at]] <= len(ops):
        op = ops[at]
        if op == KERNEL:
            if ops[at + 1] == KernelId.CONV and ops[at + 2] >= 2 and at + 5 <= len(ops):  # else it is cut off
                return ops[at + 3] * ops[at + 4] * 8
            at += max(0, ops[at + 2])
        at += WORDS[op]
    return 0
