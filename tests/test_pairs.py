"""What skips work in the search on idealised machines, against the plain walk that skips nothing."""

from collections import Counter
from itertools import pairwise
from math import inf

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles import grid as oracle
from oracles.grid import Rings
from test_division import DIVISIONS, problems
from tvm_aie.cost.messages import Messages, block_calls, weight_messages
from tvm_aie.device import load_device
from tvm_aie.emit.weights import PARTIAL, PackedConv, conv_messages
from tvm_aie.memory.state import _chunks
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.cover import Blocks, Cover
from tvm_aie.schedule.division import W_RINGS, wide
from tvm_aie.schedule.geometry import IDEAL_OVERLAYS, Geometry, KernelId, ceil_div
from tvm_aie.schedule.grid import MANY_MESSAGES, MOST_ALIKE, choose, grids, least_of, shortlist
from tvm_aie.schedule.load import header_bytes
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import Tiling

TERMS = terms_from_keys(load_device("wbs-3x3").keys())
WIDE = [wide(*ring) for ring in W_RINGS if ring[0] == 512]


def priced(options, divisions, flowing):
    """(cycles, number of the division, of the grid, row) of all candidates that fit, one division after the other."""
    for d, overlay in enumerate(divisions):
        for g, grid in enumerate(options):
            ring = Rings.of([overlay])
            cycles = (oracle.flowing if flowing else oracle.cycles)(grid, grid.candidates, ring)
            for row in np.flatnonzero(oracle.fits(grid.candidates, ring)).tolist():
                yield float(cycles[row]), d, g, row


def listed(options, divisions, count, within, flowing):
    """``shortlist`` as a loop over everything."""
    every = sorted(priced(options, divisions, flowing), key=lambda found: (found[1], found[2], found[0], found[3]))
    limit = min((found[0] for found in every), default=inf) * within
    kinds = {}
    for cycles, d, g, row in every:
        c, overlay = options[g].candidates, divisions[d]
        inputs = min(overlay.a_slots // ceil_div(int(c.a_bytes[row]), overlay.a_slot), MANY_MESSAGES)
        outputs = min(overlay.o_slots // ceil_div(int(c.o_bytes[row]), overlay.o_slot), MANY_MESSAGES)
        shape = int(c.nob[row]), c.n_ck[row] > 1, bool(c.resident[row]), c.kept[row] > 0
        kind = *shape, options[g].load.cover.name, inputs, outputs
        if cycles <= limit and (kind not in kinds or cycles < kinds[kind][0]):
            kinds[kind] = cycles, d, g, row
    best, alike = [], Counter()
    for kind, found in sorted(kinds.items(), key=lambda named: named[1][0]):
        alike[kind[:-2]] += 1
        if alike[kind[:-2]] <= MOST_ALIKE and len(best) < count:
            best.append(found)
    return [(options[g].tiling(row, divisions[d]), divisions[d]) for _, d, g, row in best]


@settings(max_examples=60, deadline=None)
@given(
    problems(),
    st.lists(st.sampled_from([*DIVISIONS, *IDEAL_OVERLAYS, *WIDE]), min_size=1, max_size=9, unique=True),
    st.booleans(),
)
def test_what_is_skipped_could_not_win(problem, divisions, flowing):
    """The best and the short list of pairs of candidates and divisions, ties included."""
    geo, live, rows, in_place, _ = problem
    options = grids(geo, live, rows, 3, TERMS, in_place)
    best = min(priced(options, divisions, flowing), default=None)
    cycles, overlay = least_of(options, divisions, flowing)
    found = shortlist(options, divisions, 5, 1.15, flowing)
    chosen = [choose(options, ov) for ov in divisions]
    assert (cycles, overlay) == ((best[0], divisions[best[1]]) if best else (inf, None))
    assert found == listed(options, divisions, 5, 1.15, flowing)
    for ov, tiling in zip(divisions, chosen, strict=True):
        mine = min(((c, g, row) for c, _, g, row in priced(options, [ov], False)), default=None)
        assert tiling == (options[mine[1]].tiling(mine[2], ov) if mine else None)


@st.composite
def weights(draw):
    """(geometry, packed weights, tiling) with every kind of piece."""
    seed, kh, kw = draw(st.integers(0, 99)), draw(st.sampled_from([1, 3])), draw(st.sampled_from([1, 3]))
    n_rows, out_blocks, in_blocks = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(seed)
    blocks = rng.random((out_blocks, in_blocks)) < draw(st.sampled_from([0.5, 1]))
    taps, low = np.zeros((2, out_blocks, in_blocks, kh, kw), np.bool_)
    if draw(st.booleans()):
        taps[~blocks], low[~blocks] = rng.random((2, int((~blocks).sum()), kh, kw)) < 0.5
        low &= ~taps
    geo = Geometry(KernelId.CONV, kh, kw, 1, 1, 1, 1, 0, 0, 12 + kh - 1, 6 + kw - 1, 12, 6, in_blocks, out_blocks)
    held = Blocks(blocks[:, :, None, None] | taps | low, low)
    tiles = np.zeros((out_blocks, in_blocks, kh, kw, 8, 8), np.int8)
    bias, shift = np.zeros((draw(st.integers(1, 2)), out_blocks * 8), np.int32), np.zeros(out_blocks, np.int16)
    block_rows = split_even(out_blocks, n_rows)
    most = max(b - a for a, b in block_rows)
    nob, ckb = draw(st.integers(1, most)), draw(st.integers(1, in_blocks))
    n_pass, n_ck, n_x, bands = ceil_div(most, nob), ceil_div(in_blocks, ckb), draw(st.integers(1, 2)), ((3, 2), (2, 3))
    cover = Cover(blocks, taps, low, draw(st.booleans()))
    order = draw(st.sampled_from([0, 1, 2])) if n_ck == 1 else 0
    shape = block_rows, nob, n_pass, 6, n_x, bands, ckb, n_ck, 1, 1, 0.0
    tiling = Tiling(*shape, cover=cover, order=order, per_block=n_ck > 1 and draw(st.booleans()))
    return geo, PackedConv(tiles, held, bias, shift), tiling


def fields(cover, begin, end, lo, hi):
    """Of one message, counted piece by piece (``Messages``)."""
    whole = cover.blocks[begin:end, lo:hi]
    full = whole[whole.all(axis=1)].sum() if cover.dense else 0
    kh = cover.taps.shape[2]
    taps, low = (x[begin:end, lo:hi].sum(axis=(1, 3)) for x in (cover.taps, cover.low))
    taps, low = taps + low % 2, low // 2
    lists = sum(int(row.any()) for part in (taps, low) for row in part)
    segments = [sum(int(row[y] > 0) for part in (taps, low) for row in part) for y in range(kh)]
    by_row = [*taps.sum(axis=0), *low.sum(axis=0), *segments]
    return [end - begin, whole.sum(), full, lists, hi == cover.blocks.shape[1], *by_row]


def expected(tiling, calls):
    """The fields of all messages, or calls, of each core row in stream order."""
    n_steps = tiling.n_x * max(n for _, n in tiling.bands) if tiling.weights_per_band else 1
    out = []
    for first, last in tiling.block_rows:
        passes = []
        for p in range(tiling.n_pass):
            begin, end = (min(first + k * tiling.nob, last) for k in (p, p + 1))
            found = []
            for k in range(tiling.n_ck):
                lo, hi = (min(x * tiling.ckb, tiling.cover.blocks.shape[1]) for x in (k, k + 1))
                own = [(begin, end)] * (tiling.nob if calls else 1)
                if calls and k + 1 == tiling.n_ck:
                    own = [(min(begin + b, end), min(begin + b + 1, end)) for b in range(tiling.nob)]
                found += [fields(tiling.cover, *blocks, lo, hi) for blocks in own]
            passes.append(found)
        if tiling.order == 2:
            passes = [[message for found in passes for message in found]]
        out.append([message for found in passes for message in found * n_steps])
    return np.array(out, np.int64)


def flat(messages: Messages):
    """(rows, messages, fields)."""
    single = [messages.blocks, messages.pairs, messages.full, messages.lists, messages.last]
    return np.concatenate([np.stack(single, axis=2), messages.taps, messages.lows, messages.segments], axis=2)


@settings(max_examples=150, deadline=None)
@given(weights(), st.sampled_from([64, 512]))
def test_messages_are_counted_as_their_pieces(case, slot):
    geo, packed, tiling = case
    found, kh = weight_messages(geo, tiling, packed), geo.kh
    np.testing.assert_array_equal(flat(found), expected(tiling, False))
    sizes = found.bytes(slot)
    for at in np.ndindex(sizes.shape):
        n, pairs, taps, low = (int(x[at].sum()) for x in (found.blocks, found.pairs, found.taps, found.lows))
        lists = (n * kh, taps + 2 * low) if taps + low else (0, 0)
        biases = len(packed.bias) if found.last[at] else 0
        header = header_bytes(n, pairs, biases, *lists) if n else 64
        assert sizes[at] == ceil_div(header + 64 * (pairs * kh * geo.kw + taps + low), slot) * slot
    for row, own in enumerate(sizes):  # what is emitted has these sizes; only what ends output blocks has biases
        messages = list(conv_messages(packed, tiling, geo, row, slot, 128))
        for message, size, n, last in zip(messages, own, found.blocks[row], found.last[row], strict=True):
            assert len(message) == size or (n == 0 and len(message) == 128)  # which says in its header that it is empty
            assert bool(np.frombuffer(message, "<i4")[10] & PARTIAL) == bool(n and not last)
    if tiling.per_block:
        np.testing.assert_array_equal(flat(block_calls(geo, tiling, packed)), expected(tiling, True))


@given(st.lists(st.integers(0, 33), min_size=1, max_size=8).filter(any), st.integers(1, 9), st.sampled_from([1, 2]))
def test_chunks_have_the_rows_of_their_columns(heights, count, unit):
    edges = np.cumsum([0, *heights]) * unit
    owned = tuple(pairwise(edges.tolist()))
    chunks = dict(_chunks(owned, count, unit))
    for c, (first, last) in enumerate(owned):
        rows = [chunks[k][c] for k in sorted(chunks)]
        assert [y for a, b in rows for y in range(a, b)] == list(range(first, last))
        assert all(a % unit == first % unit for a, _ in rows)
        assert max(b - a for a, b in rows) - min(b - a for a, b in rows) <= unit or len(chunks) < count
    assert all(any(b > a for a, b in rows) for rows in chunks.values())


def test_a_message_with_no_lists_has_no_segments():
    """In one call for several messages, as for each of them."""
    counts = np.array([[1, 3, 9, 0], [2, 5, 18, 4], [9, 0, 0, 0]])
    n, pairs, segments, entries = counts.T
    each = [header_bytes(int(a), int(b), 2, int(c), int(d), 1) for a, b, c, d in counts]
    assert header_bytes(n, pairs, 2, segments, entries, 1).tolist() == each
    assert each[0] == header_bytes(1, 3, 2, scaled=1)
