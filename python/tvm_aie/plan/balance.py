"""Output channel blocks are put in an order in which the core rows have equal work.

A core row computes a contiguous share of the output blocks of a convolution. Where weights are block-sparse the blocks
differ in work, and all rows wait for the slowest: in every pass, because they share their input. So the blocks are
dealt to the rows, heaviest first, each to the row with least work so far: rows end with equal sums, and the blocks of
one pass are about equally heavy. The order is the output's channel map (``plan.physical``); the next convolution's
weights absorb it, and it costs nothing.

Condition: the convolution adds no residual (it must have the order of what it adds) and its order is free. Siblings
that may share an item (``plan.siblings``) are dealt together, each into its own places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import BLOCK, ChannelMap, PhysicalGraph, physical_weight, window_source
from tvm_aie.plan.shares import split_even
from tvm_aie.plan.siblings import sibling_groups, single_groups

Ints = npt.NDArray[np.int64]
WORTH = 0.005  # least gain, as a share of the busiest row's work
MOST_SWAPS = 200


def balanced_maps(graph: PhysicalGraph, rows: int, together: bool = True) -> dict[str, ChannelMap]:
    """Channel maps of the outputs of convolutions whose core rows have unequal work, by tensor.

    ``graph``: with its natural maps; ``rows``: core rows; ``together``: siblings are dealt together.
    """
    maps: dict[str, ChannelMap] = {}
    for group in sibling_groups(graph) if together else single_groups(graph):
        convs = [layer for m in group if isinstance(layer := graph.layers[m], Conv)]
        if not convs or any(not _free(conv, graph) for conv in convs):
            continue
        work = [_live_blocks(conv, graph) for conv in convs]
        order = deal(work, rows)
        if order is None:
            continue
        begin = 0
        for conv, own in zip(convs, work, strict=True):
            place = np.empty(len(own), np.int64)  # of each natural block
            place[order[begin : begin + len(own)] - begin] = np.arange(len(own))
            channels = np.arange(graph.tensors[conv.output].channels)
            maps[conv.output] = tuple((place[channels // BLOCK] * BLOCK + channels % BLOCK).tolist())
            begin += len(own)
    return maps


def _free(conv: Conv, graph: PhysicalGraph) -> bool:
    cmap = graph.views[conv.output].cmap
    return not (conv.tail and conv.tail.residual) and cmap == tuple(range(len(cmap)))


def _live_blocks(conv: Conv, graph: PhysicalGraph) -> Ints:
    """Live 8x8 blocks of each output block; those of convolutions with different windows by their taps."""
    weight = physical_weight(conv, window_source(graph, conv), graph.views[conv.output])
    ob, ib = weight.shape[0] // BLOCK, weight.shape[1] // BLOCK
    rows = np.bitwise_or.reduce(weight.reshape(ob, BLOCK, -1), axis=1)
    taps = np.bitwise_or.reduce(rows.reshape(ob, ib, BLOCK, -1), axis=2) != 0
    live: Ints = (taps if conv.parts else taps.any(axis=2, keepdims=True)).sum(axis=(1, 2), dtype=np.int64)
    return live


def deal(work: Sequence[Ints], rows: int) -> Ints | None:
    """Which block, counted over all members, goes to each place; None where that gains next to nothing.

    ``work``: of the blocks of each member; a member's blocks stay in its places. Row r has the r-th of ``rows`` even
    contiguous shares of the places.
    """
    flat = np.concatenate(work)
    member = np.repeat(np.arange(len(work)), [len(w) for w in work])
    shares = [range(a, b) for a, b in split_even(len(flat), rows)]
    before = max(int(flat[list(share)].sum()) for share in shares)
    left = {m: sorted(np.flatnonzero(member == m).tolist(), key=lambda b: (-flat[b], b)) for m in range(len(work))}
    order = np.empty(len(flat), np.int64)
    sums = [0] * rows
    for rank in range(len(shares[0])):
        # Rows without a place in the last rank come first while sums are equal: they take the heaviest blocks.
        for r in sorted((r for r in range(rows) if rank < len(shares[r])), key=lambda r: (sums[r], len(shares[r]), r)):
            place = shares[r][rank]
            order[place] = left[int(member[place])].pop(0)
            sums[r] += int(flat[order[place]])
    _swap(order, flat, member, shares, sums)
    _interleave(order, flat, member, shares)
    return order if before - max(sums) > WORTH * before else None


def _swap(order: Ints, flat: Ints, member: Ints, shares: Sequence[range], sums: list[int]) -> None:
    """Swap a block of the busiest row with one of another while that helps; in place."""
    for _ in range(MOST_SWAPS):
        busiest = max(range(len(sums)), key=lambda r: sums[r])
        best: tuple[int, int, int, int] | None = None
        for r, share in enumerate(shares):
            if r == busiest:
                continue
            for p in shares[busiest]:
                for q in share:
                    gain = int(flat[order[p]] - flat[order[q]])
                    if member[p] == member[q] and 0 < gain < sums[busiest] - sums[r]:
                        after = max(sums[busiest] - gain, sums[r] + gain)
                        best = min(best, (after, p, q, r)) if best else (after, p, q, r)
        if best is None:
            return
        _, p, q, r = best
        gain = int(flat[order[p]] - flat[order[q]])
        order[p], order[q] = order[q], order[p]
        sums[busiest] -= gain
        sums[r] += gain


def _interleave(order: Ints, flat: Ints, member: Ints, shares: Sequence[range]) -> None:
    """In each row heavy and light blocks take turns, the same in all rows: weights come in messages of like size."""
    for share in shares:
        for m in dict.fromkeys(member[share].tolist()):
            places = [p for p in share if member[p] == m]
            blocks = sorted(order[places].tolist(), key=lambda b: (-flat[b], b))
            half = (len(blocks) + 1) // 2
            order[places[::2]], order[places[1::2]] = blocks[:half], blocks[half:][::-1]
