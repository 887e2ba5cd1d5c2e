"""Block masks: importance of blocks and the choice of those that stay.

A weight is seen as (out, in, taps); a block is ``block[0]`` outputs × ``block[1]`` inputs × all taps. Channel
counts that are not multiples of the block are padded with zeros, logically.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import InputError

CHUNK_ELEMENTS = 1 << 20  # weights are converted to float64 in pieces of about this size
NORMS = ("l1", "l2", "variance")
Mask = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


def block_importance(weight: npt.NDArray[Any], block: tuple[int, int], norm: str) -> FloatArray:
    """Importance per block, shape (ceil(out/b0), ceil(in/b1)), of ``weight`` (out, in, taps).

    l1: sum of magnitudes; l2: root of the sum of squares; variance: mean square distance from the block's mean
    (over the elements that exist). Raises InputError for an unknown norm.
    """
    if norm not in NORMS:
        raise InputError(f"norm '{norm}' is unknown; there are {', '.join(NORMS)}")
    rows = max(1, CHUNK_ELEMENTS // (block[0] * max(1, weight[0].size))) * block[0]
    parts = [_importance(weight[k : k + rows], block, norm) for k in range(0, weight.shape[0], rows)]
    return np.concatenate(parts)


def _importance(weight: npt.NDArray[Any], block: tuple[int, int], norm: str) -> FloatArray:
    if norm == "l1":
        return _block_sums(np.abs(weight.astype(np.float64)), block)
    if norm == "l2":
        return np.asarray(np.sqrt(_block_sums(np.square(weight.astype(np.float64)), block)))
    values = weight.astype(np.float64)
    count = _block_sums(np.ones_like(values), block)
    mean = _block_sums(values, block) / count
    return np.maximum(_block_sums(values * values, block) / count - mean * mean, 0.0)


def _block_sums(values: FloatArray, block: tuple[int, int]) -> FloatArray:
    flat = values.sum(axis=tuple(range(2, values.ndim)))
    rows = np.add.reduceat(flat, np.arange(0, flat.shape[0], block[0]), axis=0)
    return np.asarray(np.add.reduceat(rows, np.arange(0, flat.shape[1], block[1]), axis=1))


def live_count(blocks: int, density: float) -> int:
    """``ceil(density * blocks)``: how many blocks stay."""
    return min(blocks, math.ceil(density * blocks - 1e-9))


def choose_blocks(importance: FloatArray, live: int, allow_empty: bool = False) -> Mask:
    """The mask of exactly ``live`` blocks of highest importance; ties go to the earlier block, row-major.

    Unless ``allow_empty``, every block row and column keeps at least one block: blocks are given back to empty
    rows and columns and the least important dispensable ones go instead. Where ``live`` cannot cover them,
    max(rows, columns) blocks stay. Equal to numpy's top-k whenever that leaves no row or column empty.
    """
    rows, columns = importance.shape
    if not allow_empty:
        live = max(live, rows, columns)
    order = np.argsort(-importance, axis=None, kind="stable")
    mask: Mask = np.zeros((rows, columns), np.bool_)
    mask.flat[order[:live]] = True
    if allow_empty or _covered(mask):
        return mask
    if _give_back(mask, importance):
        return mask
    return _cover_then_fill(importance, order, live)


def _covered(mask: Mask) -> bool:
    return bool(mask.any(axis=1).all() and mask.any(axis=0).all())


def _give_back(mask: Mask, importance: FloatArray) -> bool:
    """Exchange blocks until every row and column has one; False when no live block can be spared."""
    while not _covered(mask):
        empty_rows, empty_columns = np.flatnonzero(~mask.any(axis=1)), np.flatnonzero(~mask.any(axis=0))
        rows = empty_rows if empty_rows.size else np.arange(mask.shape[0])
        columns = empty_columns if empty_columns.size else np.arange(mask.shape[1])
        part = importance[np.ix_(rows, columns)]
        r, c = np.unravel_index(int(np.argmax(part)), part.shape)
        mask[rows[r], columns[c]] = True
        spare = mask & (mask.sum(axis=1) > 1)[:, None] & (mask.sum(axis=0) > 1)[None, :]
        spare[rows[r], columns[c]] = False
        if not spare.any():
            return False
        mask[np.unravel_index(int(np.argmin(np.where(spare, importance, np.inf))), mask.shape)] = False
    return True


def _cover_then_fill(importance: FloatArray, order: npt.NDArray[np.intp], live: int) -> Mask:
    """A greedy cover of max(rows, columns) blocks, then the most important others. Always exact."""
    mask = np.zeros(importance.shape, np.bool_)
    for index in order:
        r, c = np.unravel_index(int(index), mask.shape)
        if not mask[r].any() and not mask[:, c].any():
            mask[r, c] = True
    for r in np.flatnonzero(~mask.any(axis=1)):
        mask[r, int(np.argmax(importance[r]))] = True
    for c in np.flatnonzero(~mask.any(axis=0)):
        mask[int(np.argmax(importance[:, c])), c] = True
    left = [i for i in order if not mask.flat[i]][: live - int(mask.sum())]
    mask.flat[left] = True
    return mask


def apply_mask(weight: npt.NDArray[Any], mask: Mask, block: tuple[int, int], zero: int = 0) -> npt.NDArray[Any]:
    """A copy of ``weight`` (out, in, taps...) with every dead block set to ``zero``."""
    wide = np.repeat(np.repeat(mask, block[0], axis=0), block[1], axis=1)[: weight.shape[0], : weight.shape[1]]
    return np.where(wide.reshape(wide.shape + (1,) * (weight.ndim - 2)), weight, weight.dtype.type(zero))
