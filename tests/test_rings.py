"""Rings that the messages of a tiling fill: against loops over all rings, and in programs that run."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, check_outputs
from oracles import grid as oracle
from oracles.grid import Rings, Slots
from test_division import problems
from test_pairs import TERMS
from tvm_aie import _native
from tvm_aie.device import load_device
from tvm_aie.emit.overlay import Array, core_map
from tvm_aie.emit.verify_division import opcode_divisions
from tvm_aie.overlap import O_RINGS
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.schedule.division import W_RINGS
from tvm_aie.schedule.geometry import (
    CORE_MEMORY,
    DEFAULT_OVERLAY,
    IDEAL_OVERLAYS,
    MOST_SLOTS,
    Geometry,
    KernelId,
    ceil_div,
)
from tvm_aie.schedule.grid import NONE, grids, least_of, shortlist
from tvm_aie.schedule.rings import (
    A_SIZES,
    A_SLOTS,
    FEW,
    FEW_CHUNKS,
    O_SIZES,
    O_SLOTS,
    Fitted,
    core_room,
    overlay_of,
    ring_of,
    tensor,
)

FIXED = DEFAULT_OVERLAY.hdr_bytes + DEFAULT_OVERLAY.ops_bytes + DEFAULT_OVERLAY.guard_bytes
KINDS = [(sizes[0], sizes[1:3], sizes[3]) for sizes in (A_SIZES, O_SIZES)]


def rings_of(message, align, ends, least):
    """(messages, bytes, slot, slots) of every ring that whole messages fill and a lock can count."""
    for slot in range(ends[0], ends[1] + 1, align):
        parts = ceil_div(message, slot)
        for count in range(1, MOST_SLOTS // parts + 1):
            if count * parts * slot >= least:
                yield count, count * parts * slot, slot, count * parts


@given(st.sampled_from(KINDS), st.integers(1, 20_000), st.integers(0, 40_000), st.integers(1, 70), st.integers(1, 12))
def test_a_ring_is_the_best_of_all(kind, message, room, most, few):
    """As many messages as there is room for, or just so many, in the fewest bytes, in the largest slots."""
    every = list(rings_of(message, *kind))
    slots = Slots(np.array([message]), *kind)
    needed = {slot: ceil_div(kind[2], ceil_div(message, slot) * slot) for _, _, slot, _ in every}
    held = [(n, -size, slot, k) for n, size, slot, k in every if size <= room and n <= max(most, needed[slot])]
    best = max(held, default=None)
    slot, count, _, ok = (x[0] for x in slots.within(np.array([room]), np.array([most])))
    assert (best and best[2:]) == ((slot, count) if ok else None)
    assert ring_of(message, (kind[0], *kind[1], kind[2], MOST_SLOTS), room, most) == (best and best[2:])
    exact = [(-size, slot, k) for n, size, slot, k in every if n == few]
    slot, count, size, ok = (x[0] for x in slots.exactly(few))
    assert bool(ok) == bool(exact)
    if exact:
        assert (-size, slot, count) == max(exact)


def expected(c, row, w_bytes, o_ring):
    """The rings that ``Fitted`` has for a candidate, by loops: (A slot, slots, O slot, slots, ACC)."""
    at = {name: int(column[row]) for name, column in vars(c).items()} | {"outputs": int(c.outputs[row])}
    acc = ceil_div(max(at["acc_bytes"], at["kept"]), 64) * 64
    room = CORE_MEMORY - FIXED - 64 - w_bytes - acc
    if at["w_message"] > w_bytes or at["header"] > DEFAULT_OVERLAY.hdr_bytes:
        return
    inputs = 1 if at["resident"] else at["outputs"] * at["n_ck"]
    outputs = at["outputs"] * (at["nob"] if at["single"] else 1)
    a_rings, o_rings = (
        list(rings_of(at[name], *kind)) for name, kind in zip(("a_bytes", "o_bytes"), KINDS, strict=True)
    )

    def most(rings, left, wanted, message):
        fit = [r for r in rings if r[1] <= left and r[0] <= max(wanted, ceil_div(message, r[1] // r[0]))]
        return max(fit, key=lambda r: (r[0], -r[1], r[2]), default=None)

    def fewest(rings, count):
        return min((r for r in rings if r[0] == count), key=lambda r: (r[1], -r[2]), default=None)

    tried = []
    if o_ring:
        if at["o_bytes"] <= o_ring[0] * o_ring[1]:
            tried.append((most(a_rings, room - o_ring[0] * o_ring[1], inputs, KINDS[0][2]), (0, 0, *o_ring)))
    else:
        least = min(at["nob"], outputs) if at["single"] and at["n_ck"] <= FEW_CHUNKS else 1
        for count in (*FEW, at["nob"]):
            o = fewest(o_rings, count)
            tried.append((o and least <= count <= outputs and most(a_rings, room - o[1], inputs, KINDS[0][2]), o))
        for count in FEW:
            a = fewest(a_rings, count)
            o = a and count <= inputs and most(o_rings, room - a[1], outputs, 0)
            tried.append((a, o if o and o[0] >= least else None))
    for a, o in tried:
        if a and o:
            yield *a[2:], *o[2:], acc


@settings(max_examples=40, deadline=None)
@given(problems(), st.sampled_from(W_RINGS), st.sampled_from([None, (128, 12), (128, 48)]), st.booleans())
def test_divisions_of_candidates(problem, w_ring, o_ring, flowing):
    """What there is for each candidate; the search takes the best of them; they fit a core."""
    geo, live, rows, in_place, _ = problem
    options = grids(geo, live, rows, 3, TERMS, in_place, w_slot=w_ring[0])
    fitted, array = Fitted(*w_ring, o_ring), Array(load_device("wbs-3x3"), DEFAULT_OVERLAY)
    best = inf
    for grid in options:
        c = grid.candidates
        numbers, found, rings = oracle.pairs(fitted, c)
        mine = [[] for _ in grid.bound]
        for k in np.lexsort((numbers, found)).tolist():
            mine[found[k]].append(tuple(int(x[k]) for x in (*rings[:2], *rings[4:7])))
        for row in range(0, len(grid.bound), max(1, len(grid.bound) // 20)):
            assert mine[row] == list(expected(c, row, w_ring[0] * w_ring[1], o_ring))
        for k in range(0, len(found), max(1, len(found) // 20)):
            overlay = overlay_of(rings.at(k))
            assert overlay.core_bytes <= CORE_MEMORY
            core_map(Array(array.device, overlay), 0, 0, True)
            assert oracle.fits(c.take(found[k : k + 1]), Rings.of([overlay]))[0]
        if len(found):
            times = (oracle.flowing if flowing else oracle.cycles)(grid, c.take(found), rings)
            best = min(best, float(times.min()))
    cycles, overlay = least_of(options, fitted, flowing)
    assert cycles == best and (overlay is None) == (best == inf)
    listed = shortlist(options, fitted, 5, 1.15, flowing)
    assert bool(listed) == (best < inf)
    for tiling, division in listed:
        assert (division.w_slot, division.w_slots) == w_ring
        assert tiling.a_slots <= division.a_slots and tiling.o_slots <= division.o_slots


@settings(max_examples=60, deadline=None)
@given(
    problems(),
    st.sampled_from(W_RINGS),
    st.sampled_from([None, (128, 12), (128, 48), "listed"]),
    st.booleans(),
    st.sampled_from([1.0, 1.01, 1.15, 2.0]),
)
def test_the_library_finds_what_numpy_does(problem, w_ring, o_ring, flowing, within):
    """All pairs up to a limit, and the best: the same doubles, in the same order."""
    geo, live, rows, in_place, overlay = problem
    divisions = (overlay, *IDEAL_OVERLAYS) if o_ring == "listed" else Fitted(*w_ring, o_ring)
    for grid in grids(geo, live, rows, 3, TERMS, in_place, w_slot=512 if o_ring == "listed" else w_ring[0]):
        number, row, rings, times = oracle.found(grid, divisions, flowing)
        if not len(times):
            assert grid.best(divisions, flowing=flowing) == NONE
            continue
        least = np.lexsort((row, number, times))[0]
        best = times[least], number[least], row[least], rings.at(least)
        assert grid.best(divisions, flowing=flowing) == best
        assert grid.best(divisions, float(times[least]), flowing) == best
        assert grid.best(divisions, float(np.nextafter(times[least], 0)), flowing) == NONE
        limit = float(times[least]) * within
        found, cycles = grid.within(divisions, limit, flowing)
        expected = np.stack([number, row, *rings], axis=1)[times <= limit]
        assert (found == expected).all() and (cycles == times[times <= limit]).all()


def test_the_library_takes_no_impossible_search():
    grid = grids(
        Geometry(KernelId.CONV, 1, 1, 1, 1, 1, 1, 0, 0, 9, 7, 9, 7, 4, 5), np.ones((5, 4), bool), (9,), 1, TERMS, False
    )[0]
    make = _native.function("tvm_aie.schedule.grid")
    columns = np.stack([column for name, column in vars(grid.candidates).items() if name != "compute"])
    reals = np.stack([grid.candidates.compute, grid.bound])
    good = [columns, reals, np.array([5]), np.ones(4)]
    room = core_room()

    def made(arrays):
        return make(*(tensor(array, array.dtype) for array in arrays), room)

    made(good)
    for k, bad in (
        (0, columns[:-1]),
        (0, -columns),
        (0, columns << 40),
        (1, reals[:, 1:]),
        (1, reals * np.inf),
        (1, columns),
    ):
        with pytest.raises(ValueError, match="grid:"):
            made([*good[:k], bad, *good[k + 1 :]])
    for k, bad in ((2, np.array([], int)), (2, np.array([-1])), (3, np.zeros(4)), (3, np.full(4, np.nan))):
        with pytest.raises(ValueError, match="grid:"):
            made([*good[:k], bad, *good[k + 1 :]])
    for size in (0, 13):
        with pytest.raises(ValueError, match="grid:"):
            make(*(tensor(array, array.dtype) for array in good), tensor(np.zeros(size)))
    with pytest.raises(ValueError, match="grid:"):
        grid.native.best(tensor(np.zeros((1, 8))), False, 1e9, False)
    with pytest.raises(ValueError, match="grid:"):
        grid.native.within(tensor(np.ones((3, 2))), True, 1e9, False)
    with pytest.raises(ValueError, match="grid:"):
        ring_of(0, A_SIZES, 100, 1)
    with pytest.raises(ValueError, match="grid:"):
        ring_of(9, (1, 1, 100, 0, 63), 100, 1)


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from([(512, 24), (512, 40)]), st.integers(0, 10**6))
def test_no_ring_of_any_size_is_much_better(problem, w_ring, pick):
    """Of one candidate, in closed form: all rings that the rest of memory has room for, filled or not.

    Beside 3 %: an opcode message takes a slot, which may be 256 bytes smaller (60 cycles). Of candidates whose core
    rows have as many blocks in every pass: rings fit the messages of the row that has most."""
    geo, live, rows, in_place, _ = problem
    grid = grids(geo, live, rows, 3, TERMS, in_place)[0]
    fitted = Fitted(*w_ring)
    _, found, rings = oracle.pairs(fitted, grid.candidates)
    if not len(found):
        return
    row = int(found[pick % len(found)])
    c = grid.candidates.take(np.array([row]))
    if int(c.n_pass[0] * c.nob[0]) * len(grid.block_rows) != geo.out_blocks:
        return
    own = rings.take(np.flatnonzero(found == row))
    least = float(oracle.cycles(grid, grid.candidates.take(np.full(len(own.a_slot), row)), own).min())
    room = int((own.a_slot * own.a_slots + own.o_slot * own.o_slots).max())
    every = [
        (a_slot, a_slots, o_slot, min((room - a_slot * a_slots) // o_slot, MOST_SLOTS))
        for a_slot in range(A_SLOTS[0], A_SLOTS[1] + 1, 64)
        for a_slots in range(2, MOST_SLOTS + 1)
        for o_slot in range(O_SLOTS[0], O_SLOTS[1] + 1, 80)
        if a_slot * a_slots + o_slot <= room
    ]
    if every:
        a_slot, a_slots, o_slot, o_slots = np.array(every).T
        same = [np.full(len(every), int(x[0])) for x in (own.w_slot, own.w_slots, own.acc_bytes, own.hdr_bytes)]
        rings = Rings(a_slot, a_slots, *same[:2], o_slot, o_slots, *same[2:])
        fits = oracle.fits(c, rings)
        times = oracle.cycles(grid, grid.candidates.take(np.full(len(every), row)), rings)
        assert least <= 1.03 * float(np.where(fits, times, inf).min()) + 64


def pixels_of_7(channels, density):
    """Pieces of 49 pixels: 392 bytes of a block, which slots of 128 bytes do not divide."""
    b = GraphBuilder((channels, 14, 14), density=density)
    x = b.conv("x", channels, 1)
    return b.graph(b.conv(b.conv(x, 2 * channels, 3), channels, 1))


@pytest.mark.parametrize("density", [0.5, 1.0])
@pytest.mark.parametrize("channels", [64, 200])
def test_programs_with_fitted_rings(channels, density):
    """Right outputs; rings of whole messages; as the estimate says."""
    graph = pixels_of_7(channels, density)
    made = compile_graph(graph, "wbs-2x2")
    result = check_outputs(graph, made)
    assert made.estimate.total == pytest.approx(result.cycles, rel=0.03)
    for tiling, division in zip(made.tilings, opcode_divisions(made.program, 0), strict=True):
        ov = tiling.division
        assert division[1:3] == (ov.a_slot, ov.a_slots) and ov.core_bytes <= CORE_MEMORY
        assert ov.a_slots % tiling.a_slots == 0 and ov.o_slots % tiling.o_slots == 0
    assert any(t.division.a_slot not in (256, 512) for t in made.tilings)


@pytest.mark.parametrize(("height", "width"), [(5, 6), (10, 3), (8, 4), (31, 9)])
def test_messages_of_adds_have_all_operands(height, width):
    """Of 64 channels of 30 pixels: 240 bytes of a block from each of two, which fit a slot of 512, not one of 256."""
    b = GraphBuilder((8, height, width))
    graph = b.graph(b.conv(b.add(b.conv("x", 64, 1), b.conv("x", 64, 3)), 8, 1))
    made = compile_graph(graph, "wbs-1x1", moves=Moves(tails=False))
    assert any(item.geometry.kernel == KernelId.ADD for item in made.placement.items)
    check_outputs(graph, made)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["wbs-1x1", "wbs-2x2", "wbs-3x3", "wbs-2x3"]),
    st.sampled_from([1, 7, 8, 9, 31, 33]),
    st.sampled_from([8, 9, 33, 70]),
    st.sampled_from([0.25, 1.0]),
    st.booleans(),
    st.integers(0, 99),
)
def test_random_networks(device, pixels, channels, density, together, seed):
    """Outputs with residuals, pools, strides and branches. ``together``: adds and pools run in convolutions' items."""
    b = GraphBuilder((3, pixels, pixels), seed, density)
    x = b.conv("x", channels, 3)
    y = b.add(x, b.conv(b.conv(x, 2 * channels, 1), channels, 3))
    z = b.concat(b.conv(y, 16, 1), b.conv(y, 24, 3), b.pool(y, 3, 1))
    graph = b.graph(b.conv(b.upsample(b.conv(z, 40, 3, stride=2)), 16, 1))
    made = compile_graph(graph, device, moves=Moves(tails=together, pools=together))
    result = check_outputs(graph, made, seed)
    assert made.estimate.total == pytest.approx(result.cycles, rel=0.05, abs=200)


def test_rings_that_items_share_stay():
    """Where a barrier lags the output ring is one of few: the item behind it finds it as it is."""
    b = GraphBuilder((64, 17, 17))
    left = b.conv(b.conv("x", 64, 1), 64, 3)
    right = b.conv(b.conv("x", 72, 3), 64, 1)
    made = compile_graph(b.graph(b.concat(left, right)), "wbs-2x2")
    items = made.placement.items
    pairs = [(i - 1, i) for i, item in enumerate(items) if item.lag]
    rings = [(t.division.o_slot, t.division.o_slots) for t in made.tilings]
    assert any(rings[a] == rings[b] and rings[a] in O_RINGS for a, b in pairs)
