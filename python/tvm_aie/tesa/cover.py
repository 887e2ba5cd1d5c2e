"""Two-pass plan, first pass: cover an irregular weight by regular pieces whose partial results add.

A piece is a grid-aligned block of one of a few shapes; its partial sums are added by ``aggregate``. Every live
element belongs to exactly one piece (where chosen blocks overlap, the first takes it and the others hold zeros
there), so the sum of the pieces is the tensor: ``Cover.verify`` proves it. Costs are cycles of the device's own
formula (``device_costs``), not a table in the code. SparTA's cover lost track of overlaps, divided by zero once it
found one, and gave up with more than one block size (tesa.md section 8, rows 2 to 4).

The search takes the best of greedy weighted set cover, of every uniform shape, and of a recursion that splits a
block into the next smaller shapes; each result loses its redundant blocks. ``tests`` compare with the integer
optimum. The plan is an estimate: the array executes the 8x8 walk over Gamma; pieces of other shapes have no kernel
of their own yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.tesa.attribute import Mask, TesaError

Shape = tuple[int, int]
Costs = Mapping[Shape, float]


@dataclass(frozen=True)
class Piece:
    """A block at ``row``, ``col`` (elements) of ``shape``; ragged at the edges of the tensor."""

    row: int
    col: int
    shape: Shape

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where the block lies."""
        return slice(self.row, self.row + self.shape[0]), slice(self.col, self.col + self.shape[1])


@dataclass(frozen=True)
class Cover:
    """Pieces in order of ownership, and what they cost together."""

    pieces: tuple[Piece, ...]
    cost: float
    mask: Mask = field(repr=False)

    def owners(self) -> npt.NDArray[np.int64]:
        """For each element the piece that holds it, -1 for dead ones."""
        owner = np.full(self.mask.shape, -1, np.int64)
        for index in reversed(range(len(self.pieces))):
            owner[self.pieces[index].slices] = index
        return np.where(self.mask, owner, -1)

    def verify(self) -> None:
        """Every live element is held exactly once."""
        missing = self.mask & (self.owners() < 0)
        if missing.any():
            raise TesaError(f"cover: element {tuple(np.argwhere(missing)[0].tolist())} is in no piece")

    def split(self, weight: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """The content of each piece; full-size arrays that add up to the masked weight."""
        owner = self.owners()
        return [np.where(owner == index, weight, 0).astype(weight.dtype) for index in range(len(self.pieces))]


def device_costs(device: Any, rows: int, wo: int, taps: int, shapes: tuple[Shape, ...]) -> dict[Shape, float]:
    """Cycles per piece: an 8x8 block is one step of the walk over Gamma, a larger one is a dense call of its own."""
    from tvm_aie.cost.kernels import conv_cycles

    def cycles(blocks: int, calls: int) -> float:
        dense = conv_cycles(device, 1, blocks, rows, wo, taps)
        return float(dense - (1 - calls) * conv_cycles(device, 1, 0, rows, wo, taps))

    costs = {}
    for height, width in shapes:
        if height % 8 or width % 8:
            raise TesaError(f"piece {height}x{width}: the array computes blocks of 8x8")
        blocks = height // 8 * (width // 8)
        step = 0.0 if blocks == 1 else gamma_cycles(device, rows, wo)
        costs[height, width] = cycles(blocks, int(blocks > 1)) - blocks * step
    return costs


def gamma_cycles(device: Any, rows: int, wo: int) -> float:
    """What looking up one live block in Gamma costs: the share of the walk that a dense piece does without."""
    if device.core_ideal:
        return 0.0
    chunks = -(-rows * -(-wo // 4) // 8)
    return float(chunks * device.conv_fixed[2] / (1 << 20))


def _candidates(mask: Mask, costs: Costs) -> list[tuple[Piece, float, npt.NDArray[np.int64]]]:
    """Every grid-aligned block that holds a live element: piece, cost, its live elements (flat)."""
    flat = np.arange(mask.size).reshape(mask.shape)
    found = []
    for shape, cost in costs.items():
        for row in range(0, mask.shape[0], shape[0]):
            for col in range(0, mask.shape[1], shape[1]):
                piece = Piece(row, col, shape)
                live = flat[piece.slices][mask[piece.slices]]
                if live.size:
                    found.append((piece, cost, live))
    return found


def _pruned(chosen: list[tuple[Piece, float, npt.NDArray[np.int64]]], size: int) -> list[Piece]:
    """Drop blocks, the dearest first, whose live elements the others hold."""
    count = np.zeros(size, np.int64)
    for _, _, live in chosen:
        count[live] += 1
    kept = []
    for piece, cost, live in sorted(chosen, key=lambda c: -c[1]):
        if (count[live] > 1).all():
            count[live] -= 1
        else:
            kept.append((cost, piece))
    return [piece for _, piece in kept]


def _greedy(mask: Mask, costs: Costs) -> list[Piece]:
    """Repeatedly the block with the least cost per newly covered element."""
    candidates = _candidates(mask, costs)
    left = mask.ravel().copy()
    chosen = []
    while left.any():
        new = [int(left[live].sum()) for _, _, live in candidates]
        best = min((i for i, n in enumerate(new) if n), key=lambda i: (candidates[i][1] / new[i], -new[i]))
        chosen.append(candidates[best])
        left[candidates[best][2]] = False
    return _pruned(chosen, mask.size)


def _recursive(mask: Mask, costs: Costs) -> list[Piece]:
    """Cells of the largest shape, each kept whole or split into the cheapest of the shapes that tile it."""
    memo: dict[Piece, tuple[float, list[Piece]]] = {}

    def best(cell: Piece) -> tuple[float, list[Piece]]:
        if not mask[cell.slices].any():
            return 0.0, []
        if cell in memo:
            return memo[cell]
        options = [(costs[cell.shape], [cell])] if cell.shape in costs else []
        for h, w in costs:
            if (h, w) == cell.shape or cell.shape[0] % h or cell.shape[1] % w:
                continue
            parts = [
                best(Piece(cell.row + r, cell.col + c, (h, w)))
                for r in range(0, cell.shape[0], h)
                for c in range(0, cell.shape[1], w)
            ]
            options.append((sum(p[0] for p in parts), [x for p in parts for x in p[1]]))
        memo[cell] = min(options, key=lambda o: o[0])
        return memo[cell]

    height = int(np.lcm.reduce([h for h, _ in costs]))
    width = int(np.lcm.reduce([w for _, w in costs]))
    found: list[Piece] = []
    for row in range(0, mask.shape[0], height):
        for col in range(0, mask.shape[1], width):
            found += best(Piece(row, col, (height, width)))[1]
    return found


def best_cover(mask: Mask, costs: Costs) -> Cover:
    """The cheapest cover found; exact, and never dearer than the best uniform one."""
    mask = np.asarray(mask, np.bool_)
    if mask.ndim != 2 or not costs or min(min(s) for s in costs) < 1:
        raise TesaError("a cover needs a matrix and at least one block shape")
    plans = [_greedy(mask, costs), _recursive(mask, costs)]
    for shape, cost in costs.items():
        plans.append([piece for piece, _, _ in _candidates(mask, {shape: cost})])
    cover = min((Cover(tuple(p), sum(costs[x.shape] for x in p), mask) for p in plans), key=lambda c: c.cost)
    cover.verify()
    return cover


def split_bits(weight: npt.NDArray[np.int64], low_bits: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """``weight = low + high * 2**low_bits``, low unsigned: int8 is a uint4 and an int4 whose products add."""
    return weight & ((1 << low_bits) - 1), weight >> low_bits
