"""The search over divisions of core memory: its grid against the candidates one by one, its descent against all."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles import grid as oracle
from oracles.grid import Rings
from tvm_aie.device import load_device
from tvm_aie.errors import InfeasibleError
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.schedule.cuts import band_counts
from tvm_aie.schedule.division import (
    A_RINGS,
    ACC_BYTES,
    LEAST_W_SLOTS,
    O_RINGS,
    best_divisions,
    division,
    neighbours,
)
from tvm_aie.schedule.geometry import IDEAL_OVERLAYS, MOST_SLOTS, Geometry, KernelId, PoolStage, ceil_div
from tvm_aie.schedule.grid import choose, grids, least
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import search, tilings
from tvm_aie.workloads.wbs import NETWORKS

WBS = load_device("wbs-3x3")
TERMS = terms_from_keys(WBS.keys())
PLACES = [(a, o, c) for a in range(len(A_RINGS)) for o in range(len(O_RINGS)) for c in range(len(ACC_BYTES))]
DIVISIONS = [d for p in PLACES if (d := division(p))]


@st.composite
def problems(draw):
    """(geometry, Gamma, rows of the columns, in place, division)."""
    k = draw(st.sampled_from([1, 3]))
    stride = draw(st.sampled_from([1, 1, 2]))
    w = draw(st.sampled_from([1, 7, 8, 9, 31, 33]))
    rows = tuple(draw(st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(max)))
    h_out = sum(rows)
    pool = draw(st.sampled_from([None, None, None, "before", "after"]))
    stage = PoolStage(pool == "before", False, 2, 2, 2, 2, 0, 0, 2 * h_out, 2 * w) if pool else None
    if pool == "before":
        k, stride = 1, 1
    h_in, w_in = (2 * h_out, 2 * w) if pool == "before" else (h_out * stride, w * stride)
    if pool == "after":
        h_in, w_in = 2 * h_in, 2 * w_in
    in_blocks, out_blocks = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    residual = pool is None and draw(st.booleans())
    geo = Geometry(
        KernelId.CONV, k, k, stride, stride, 1, 1, k // 2, k // 2, h_in, w_in, h_out, w, in_blocks, out_blocks,
        n_inputs=1 + residual, pool=stage,
    )  # fmt: skip
    rng, density = np.random.default_rng(draw(st.integers(0, 99))), draw(st.sampled_from([0.5, 1]))
    live = rng.random((out_blocks, in_blocks)) < density
    return geo, live, rows, draw(st.booleans()), draw(st.sampled_from(DIVISIONS + list(IDEAL_OVERLAYS)))


@settings(max_examples=150)
@given(problems())
def test_a_grid_holds_what_the_walk_finds_and_prices_it_alike(problem):
    geo, live, rows, in_place, overlay = problem
    found = grids(geo, live, rows, 3, TERMS, in_place)
    chosen = choose(found, overlay)
    try:
        walked = search(geo, live, rows, 3, overlay, TERMS, in_place)
    except InfeasibleError:
        walked = None
    if chosen is None:
        assert walked is None and least(found, overlay) == inf
        return
    assert chosen.cycles == pytest.approx(least(found, overlay), rel=1e-9)  # the closed form for the whole tiling
    assert walked is None or chosen.cycles <= walked.cycles * (1 + 1e-9)
    assert chosen.a_slots <= overlay.a_slots and chosen.o_slots <= overlay.o_slots
    assert not geo.residual or (chosen.n_ck == 1 and geo.out_blocks % chosen.nob == 0)
    assert not in_place or geo.w_out % chosen.width == 0 or chosen.a_resident
    assert chosen.a_resident or chosen.bands == band_counts(rows, max(b for b, _ in chosen.bands), in_place)


@settings(max_examples=40)
@given(problems())
def test_every_tiling_of_the_walk_is_in_the_grid(problem):
    geo, live, rows, in_place, overlay = problem
    best = min((t.cycles for t in tilings(geo, live, rows, 3, overlay, TERMS, in_place)), default=inf)
    assert least(grids(geo, live, rows, 3, TERMS, in_place), overlay) <= best * (1 + 1e-9)


def test_the_bound_of_a_grid_is_below_every_division():
    geo = Geometry(KernelId.CONV, 3, 3, 1, 1, 1, 1, 1, 1, 21, 31, 21, 31, 9, 7)
    live = np.random.default_rng(0).random((7, 9)) < 0.5
    for grid in grids(geo, live, (7, 7, 7), 3, TERMS, False):
        for overlay in DIVISIONS[::7]:
            cycles = oracle.cycles(grid, grid.candidates, Rings.of([overlay]))
            assert (cycles >= grid.bound * (1 - 1e-9)).all()


def test_divisions_are_what_a_core_holds():
    assert len(DIVISIONS) > 100
    for overlay in (*DIVISIONS, *IDEAL_OVERLAYS):
        assert overlay.core_bytes <= 62 * 1024
        assert overlay.w_slots >= LEAST_W_SLOTS
        assert max(overlay.a_slots, overlay.w_slots, overlay.o_slots) <= MOST_SLOTS


def test_the_descent_ends_where_no_neighbour_is_better():
    """Against a cost with its least inside the space, and with walls."""

    def cost(overlay):
        if overlay.o_slot * overlay.o_slots > 10000:
            return inf
        return abs(overlay.acc_bytes - 20480) + abs(overlay.a_slot * overlay.a_slots - 21504) + overlay.o_slots * 10.0

    found = best_divisions(cost, 3)
    assert [cost(o) for o in found] == sorted(cost(o) for o in found) and len(found) == 3
    assert cost(found[0]) == min(cost(o) for o in (*DIVISIONS, *IDEAL_OVERLAYS))
    places = {division(p): p for p in PLACES if division(p)}
    around = [division(p) for p in neighbours(places[found[0]])]
    assert all(cost(o) >= cost(found[0]) for o in around if o)
    assert best_divisions(lambda _: inf, 3) == []


@pytest.mark.parametrize(("network", "array", "density"), [("VGG16", "wbs-2x2", 0.5), ("InceptionV3", "wbs-3x3", 0.5)])
@pytest.mark.slow
def test_a_divided_memory_is_faster(network, array, density):
    graph = NETWORKS[network](density, 0)
    fixed = compile_graph(graph, array, moves=replace(Moves(), divisions=False)).estimate.total
    assert compile_graph(graph, array).estimate.total < 0.97 * fixed


def test_shares_of_a_row_of_nothing():
    assert ceil_div(0, 3) == 0
    geo = Geometry(KernelId.CONV, 1, 1, 1, 1, 1, 1, 0, 0, 4, 4, 4, 4, 1, 1)
    found = grids(geo, np.ones((1, 1), bool), (2, 2, 0), 3, TERMS, False)
    assert choose(found, IDEAL_OVERLAYS[0]).block_rows == ((0, 1), (1, 1), (1, 1))
