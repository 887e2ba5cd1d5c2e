"""Runs of layers executed depth-first: chunk by chunk through all of them, instead of layer by layer.

    for chunk: L0(chunk); L1(chunk); L2(chunk)        the tensors between them exist as one chunk at a time

A column computes every row that its chunk of the last layer needs, so that nothing is read from neighbours inside a
run: rows at the borders of chunks are computed more than once. That is worth it where a tensor between two layers does
not fit the memtiles and would otherwise be stored to DDR and loaded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tvm_aie.memory.partition import Rows
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.geometry import Geometry

MAX_CHUNKS = 16
WORD = 4
PEAK_MACS = 256  # int8 per core and cycle, hw.md 5


@dataclass(frozen=True)
class Run:
    """Consecutive layers (indices), each the only reader of the one before it."""

    layers: tuple[int, ...]
    chunks: int


def extend(runs: Sequence[Run], producer: int, consumer: int) -> tuple[Run, ...]:
    """The runs with ``consumer`` right behind ``producer``; runs that meet become one."""
    before = next((r for r in runs if r.layers[-1] == producer), Run((producer,), 2))
    after = next((r for r in runs if r.layers[0] == consumer), Run((consumer,), 2))
    rest = tuple(r for r in runs if r not in (before, after))
    return (*rest, Run(before.layers + after.layers, max(before.chunks, after.chunks)))


def chunk_rows(run: Run, owned: Rows, reads: Callable[[int, Rows], Rows]) -> list[list[Rows]]:
    """Output rows [chunk][layer] of each column. ``owned``: of the last layer; ``reads``: input rows of a layer."""
    out = []
    for k in range(run.chunks):
        rows: list[Rows] = [tuple(_share(first, last, run.chunks, k) for first, last in owned)]
        for layer in reversed(run.layers[1:]):
            rows.insert(0, reads(layer, rows[0]))
        out.append(rows)
    return out


def _share(first: int, last: int, chunks: int, k: int) -> tuple[int, int]:
    a, b = split_even(last - first, chunks)[k]
    return first + a, first + b


def row_cycles(geo: Geometry, core_rows: int) -> float:
    """Cycles of one output row in a column at peak: compute, input or output, whichever is longest."""
    macs = geo.taps * geo.in_blocks * geo.out_blocks * 64 * geo.conv_px(geo.w_out) * geo.conv_rows(1)
    moved = max(geo.in_blocks * geo.w_in, geo.out_blocks * geo.w_out) * 8 / WORD
    return max(macs / (PEAK_MACS * core_rows), moved)


def recomputed(run: Run, owned: Rows, reads: Callable[[int, Rows], Rows], cost: Callable[[int], float]) -> float:
    """Cycles that the busiest column spends on rows it computes again. ``cost``: of a row of a layer."""
    chunks = chunk_rows(run, owned, reads)
    total = 0.0
    for position, layer in enumerate(run.layers[:-1]):
        spans = [[rows[position][c] for rows in chunks] for c in range(len(owned))]
        extra = max(sum(b - a for a, b in s) - (max(b for _, b in s) - min(a for a, _ in s)) for s in spans)
        total += extra * cost(layer)
    return total
