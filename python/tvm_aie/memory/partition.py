"""Which rows of an image each column of the array owns.

Columns read their own rows and their two neighbours'. Rows from further away go through DDR, which costs a store and
a load, so the split of each image height is chosen such that few bytes are needed from far. 17 rows on 8 columns:

    even        3 2 2 2 2 2 2 2     a window of 7 rows reaches 3 rows up: beyond a neighbour that has 2
    packed at 1 0 3 3 3 3 3 2 0     the same fullest column, so the same time, and every row is near

Sums for a global pool are read by one column, from three memtiles. Of four columns the last writes its own into the
memtile of the column before it (``lent``), as a memtile's receiving channels reach its neighbours, too.

Small images may be left to the middle half of the columns (narrow): each computes longer, but there are fewer commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

from tvm_aie.plan.shares import split_even
from tvm_aie.plan.sums import NEAR

Rows = tuple[tuple[int, int], ...]  # per column [first, last)
EVEN = -1
NARROW = -2
Splits = Mapping[int, int]  # image height -> EVEN, NARROW, or the first column of a packed split


@cache
def split_rows(height: int, columns: int, unit: int, split: int) -> Rows:
    """Rows of each column, in multiples of ``unit``. ``split``: as in ``Splits``.

    Packed: every column from ``split`` on gets as many rows as the fullest column of the even split; from an earlier
    one where those behind it are too few, as images of one height may have different units. Narrow: the middle half of
    the columns share them evenly.
    """
    n = height // unit
    if split == NARROW:
        used = narrow_columns(columns)
        first = (columns - used) // 2
        shares = [(0, 0)] * first + list(split_even(n, used))
        shares += [(n, n)] * (columns - len(shares))
        return tuple((a * unit, b * unit) for a, b in shares)
    if split == EVEN:
        return tuple((a * unit, b * unit) for a, b in split_even(n, columns))
    share = -(-n // columns)
    split = min(split, columns - -(-n // share))
    edges = [min(max(c - split, 0) * share, n) * unit for c in range(columns + 1)]
    return tuple(pairwise(edges))


def narrow_columns(columns: int) -> int:
    """Columns that a narrow split uses."""
    return max(1, columns // 2)


@cache
def tallest(rows: Rows) -> int:
    """Rows of the column that has most."""
    return max(last - first for first, last in rows)


@cache
def near(needed: Rows, owned: Rows) -> bool:
    """Every column finds its rows in its own memtile or a neighbour's."""
    for c, (lo, hi) in enumerate(needed):
        if hi <= lo:
            continue
        around = [owned[k] for k in (c - 1, c, c + 1) if 0 <= k < len(owned) and owned[k][1] > owned[k][0]]
        if not around or lo < around[0][0] or hi > around[-1][1]:
            return False
    return True


def lent(rows: Rows) -> Rows:
    """Rows of an image in each memtile where the last column's lie in the memtile of the column before it.

    A column reads three memtiles, so the rows of four columns. Nothing changes where fewer columns than that have rows.
    """
    used = sum(last > first for first, last in rows)
    if used <= NEAR or rows[-1][0] == rows[-1][1]:
        return rows
    end = rows[-1][1]
    return *rows[:-2], (rows[-2][0], end), (end, end)


def home_of(rows: tuple[int, int], owned: Rows, column: int) -> int:
    """The column whose memtile has the ``rows`` that a column writes: its own, or the one before it (``lent``)."""
    return column if column == 0 or owned[column][1] >= rows[1] > owned[column][0] else column - 1


@dataclass(frozen=True)
class Relation:
    """Reads of images of height ``source`` by layers that write images of height ``target``.

    ``reads``: rows needed of the source for each column's rows of the target; ``bytes``: what far reads would move;
    ``lent``: whether the last column's rows of the source lie next door.
    """

    source: int
    source_unit: int
    target: int
    target_unit: int
    reads: Callable[[Rows], Rows]
    bytes: int
    lent: bool = False


def choose_splits(relations: Sequence[Relation], columns: int, narrow: frozenset[int] = frozenset()) -> dict[int, int]:
    """A split for each height so that few bytes are read from far: descent over single and pairs of heights, from even.

    Heights that stay even are left out. ``narrow``: heights whose split is that.
    """
    heights = sorted({h for r in relations for h in (r.source, r.target)})
    units = {r.target: r.target_unit for r in relations} | {r.source: r.source_unit for r in relations}
    options = {h: (NARROW,) if h in narrow else _options(h, columns, units[h]) for h in heights}

    @cache
    def far(index: int, source: int, target: int) -> int:
        r = relations[index]
        needed = r.reads(split_rows(r.target, columns, r.target_unit, target))
        owned = split_rows(r.source, columns, r.source_unit, source)
        return 0 if near(needed, lent(owned) if r.lent else owned) else r.bytes

    def cost(splits: Splits) -> int:
        return sum(far(i, splits.get(r.source, EVEN), splits.get(r.target, EVEN)) for i, r in enumerate(relations))

    best: dict[int, int] = {h: NARROW for h in heights if h in narrow}
    least = cost(best)
    improved = least > 0
    while improved:
        improved = False
        for pair in ((a, b) for a in heights for b in heights if a <= b):
            for choice in product(*(options[h] for h in dict.fromkeys(pair))):
                trial = best | dict(zip(dict.fromkeys(pair), choice, strict=True))
                if (c := cost(trial)) < least:
                    best, least, improved = trial, c, True
    return {h: s for h, s in best.items() if s != EVEN}


def _options(height: int, columns: int, unit: int) -> tuple[int, ...]:
    """Even, and every packed split that leaves columns empty."""
    n = height // unit
    used = -(-n // -(-n // columns))
    return (EVEN, *range(columns - used + 1)) if used < columns else (EVEN,)
