"""How a whole is cut evenly: rows over columns, channel blocks over core rows."""

from __future__ import annotations

from functools import cache
from itertools import pairwise


@cache
def split_even(total: int, parts: int) -> tuple[tuple[int, int], ...]:
    """[first, last) of ``parts`` contiguous shares of ``total`` that differ by at most one."""
    base, extra = divmod(total, parts)
    starts = [i * base + min(i, extra) for i in range(parts + 1)]
    return tuple(pairwise(starts))
