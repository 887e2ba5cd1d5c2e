"""Does what KEEP opcodes bring into ACC fit there, and does each call that reads it find it? (A core does not ask.)"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tvm_aie.emit.opcodes import DIVIDE, DIVIDE_WORDS, END, KEEP, KERNEL, LOOP, NEXT, SUMS
from tvm_aie.emit.program import Program, TileKind
from tvm_aie.emit.verify_division import opcode_messages
from tvm_aie.schedule.geometry import KernelId

# Words of the opcodes by number; those that a kernel's parameters follow have theirs on top.
WORDS = (1, 2, 1, 2, 2, 1, 1, 1, 1, 3, 1, 2, DIVIDE_WORDS, 2)
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


def kept_by(ops: Sequence[int]) -> tuple[int, bool]:
    """Bytes that a message's KEEP opcodes copy, and whether a convolution reads them."""
    at, total, reads = 0, 0, False
    loops: list[int] = []
    while at < len(ops) and ops[at] != END and 0 <= ops[at] < len(WORDS):
        op, words = ops[at], WORDS[ops[at]]
        if at + words > len(ops):  # cut off
            break
        if op == LOOP:
            loops.append(max(1, ops[at + 1]))
        elif op == NEXT and loops:
            loops.pop()
        elif op == KEEP:
            times = 1
            for count in loops:
                times *= count
            total += times * ops[at + 1]
        elif op == KERNEL:
            params = ops[at + 3 : at + 3 + ops[at + 2]]
            words += max(0, ops[at + 2])
            first = TAIL_OF_SUMS if params[TAIL : TAIL + 1] == [SUMS] else TAIL
            reads = reads or (ops[at + 1] == KernelId.CONV and list(params[first : first + 2]) == READS)
        at += words
    return total, reads
