"""Pools inside convolutions and siblings in one item: the same bytes as one layer at a time, wherever it is possible.

The schedule asks its estimate whether to; here it always does (``Moves.always``), in check mode.
"""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, run_checked
from tvm_aie.device import load_device
from tvm_aie.pipeline import Decisions, Moves, compile_graph, finish, prepare
from tvm_aie.plan.fuse import fuse, fuse_pools, pool_pairs
from tvm_aie.plan.graph import AvgDivisor, Conv, Requant
from tvm_aie.plan.physical import assign_channels
from tvm_aie.plan.reference import evaluate
from tvm_aie.plan.siblings import sibling_groups
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import tilings

AVERAGE = tuple(AvgDivisor(c, 1024 // c, 10) for c in (1, 2, 3, 4, 6, 9))
NO_PADS = (0, 0, 0, 0)


ALWAYS = Moves(always=True)


def run(graph, device, moves=ALWAYS, seed=0):
    return run_checked(graph, device, moves, seed)


@pytest.mark.parametrize("device", ["npu1", "wbs-3x2", "wbs-8x8"])
@pytest.mark.parametrize("pixels", [7, 8, 9, 31, 33])
@pytest.mark.parametrize(
    ("k", "stride", "pads"), [(2, 2, NO_PADS), (3, 2, NO_PADS), (3, 2, (1, 1, 1, 1)), (3, 1, (1, 1, 1, 1))]
)
def test_max_pool_behind(device, pixels, k, stride, pads):
    b = GraphBuilder((5, pixels, pixels))
    graph = b.graph(b.conv(b.pool(b.conv("x", 20, 3), k, stride, pads), 9, 1))
    assert [p.before for p in pool_pairs(graph)] == [False]
    run(graph, device)


@settings(max_examples=30, deadline=None)
@given(
    height=st.sampled_from([7, 8, 9, 31, 33]),
    width=st.sampled_from([7, 8, 9, 31, 33]),
    window=st.sampled_from([(1, 1), (3, 1), (3, 2), (5, 2)]),
    pool=st.sampled_from([(3, 2, 0), (3, 2, 1), (3, 1, 1), (2, 1, 0)]),
    density=st.sampled_from([1.0, 0.5]),
    seed=st.integers(0, 99),
)
def test_bands_take_rows_over(height, width, window, pool, density, seed):
    """Any tiling whose bands find rows of the pool's input in ACC: the last band may overlap by more, rows be added."""
    (k, stride), (size, step, pad) = window, pool
    b = GraphBuilder((5, height, width), seed, density)
    y = b.conv("x", 40, k, stride)
    if min(b.tensors[y].height, b.tensors[y].width) < size:
        return
    graph = b.graph(b.conv(b.pool(y, size, step, (pad,) * 4), 9, 1))
    found = []

    def choose(work):
        if work.geometry.pool_after is None:
            return None
        shape = (
            work.geometry,
            work.live,
            work.rows,
            work.n_rows,
            work.overlay,
            terms_from_keys(load_device("npu1").keys()),
        )
        taking = [t for t in tilings(*shape, work.in_place, work.blocks) if t.taken]
        found.extend(taking[seed % max(len(taking), 1) :][:1])
        return found[-1] if found else None

    compiled = finish(prepare(graph, "npu1", Decisions(moves=ALWAYS)), choose)
    assert compiled.tilings[0].taken == (size - step if found else 0)
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    np.testing.assert_array_equal(result.outputs[0], evaluate(graph, {"x": x})[graph.outputs[0].tensor])


def test_a_stem_computes_no_row_twice():
    """ResNet-50's: per column 14 bands of a pool row need 29 rows of the window; without taking over, 42."""
    b = GraphBuilder((3, 224, 224))
    graph = b.graph(b.conv(b.pool(b.conv("x", 64, 7, 2)), 64, 1))
    compiled, run_ = run(graph, "npu1")
    tiling = compiled.tilings[0]
    assert tiling.taken == 1 and max(n for _, n in tiling.bands) >= 7
    pixels = 112 * 112
    assert run_.items[0].macs < 1.04 * pixels * 64 * 49 * 8 * (28 / 49)  # space to depth: 28 taps of 8 channels


@pytest.mark.parametrize("device", ["npu1", "wbs-2x3"])
@pytest.mark.parametrize(("pixels", "channels"), [(1, 8), (7, 70), (9, 33)])
@pytest.mark.parametrize("divisors", [(), AVERAGE])
def test_pool_in_front(device, pixels, channels, divisors):
    b = GraphBuilder((channels, pixels, pixels))
    graph = b.graph(b.conv(b.pool(b.conv("x", channels, 1, lo=-128), 3, 1, divisors=divisors), 24, 1))
    run(graph, device, Moves(always=True))
    b = GraphBuilder((channels, pixels, pixels))
    only_front = b.graph(b.conv(b.pool("x", 3, 1, divisors=divisors), 24, 1))
    assert [p.before for p in pool_pairs(only_front)] == [True]
    run(only_front, device)


def test_partial_sums_and_a_pool():
    """Input channels in chunks: the partial sums and the tensor between the stages share ACC."""
    b = GraphBuilder((512, 12, 12))
    compiled, _ = run(b.graph(b.pool(b.conv("x", 64, 3), 2, 2, NO_PADS)), "npu1")
    assert compiled.tilings[0].n_ck > 1 and compiled.placement.items[0].geometry.pool is not None


def test_what_may_not_be_fused():
    b = GraphBuilder((16, 16, 16))
    shared = b.conv("x", 16, 3)
    used_twice = b.pool(shared)
    pointwise = b.pool(b.conv("x", 16, 1, 2), 2, 2, NO_PADS)
    averaged = b.pool(b.conv("x", 16, 3), divisors=AVERAGE)
    tail = b.pool(b.add(b.conv("x", 16, 3), "x"))
    graph = b.graph(shared, used_twice, pointwise, averaged, tail)
    assert pool_pairs(fuse(graph)) == ()
    run(graph, "npu1")


@pytest.mark.parametrize("device", ["npu1", "wbs-3x3"])
@pytest.mark.parametrize("channels", [(8, 16, 24), (5, 33, 1), (64, 7)])
def test_siblings(device, channels):
    """Three convolutions of one tensor, one of which is part of a concatenation, and one that is an output itself."""
    b = GraphBuilder((40, 17, 17), density=0.5)
    x = b.conv("x", 32, 3)
    parts = [b.conv(x, c, 1) for c in channels]
    b.layers = [
        dataclasses.replace(layer, requant=Requant(9)) if layer.output in parts else layer for layer in b.layers
    ]
    joined = b.concat(parts[0], b.conv(parts[1], 8, 3), b.pool(x, 3, 1))
    graph = b.graph(b.conv(joined, 24, 3), parts[-1])
    groups = sibling_groups(assign_channels(fuse(graph)))
    assert len(channels) in map(len, groups)
    compiled, _ = run(graph, device)
    assert any(len(item.members) == len(channels) for item in compiled.placement.items)


def test_siblings_need_one_requantisation():
    b = GraphBuilder((16, 9, 9))
    left, right = b.conv("x", 8, 1), b.conv("x", 8, 1)
    other = dataclasses.replace(b.layers[1], requant=Requant(b.layers[1].requant.shift + 1))
    b.layers[1] = other
    graph = b.graph(left, right)
    assert all(len(g) == 1 for g in sibling_groups(assign_channels(graph)))
    run(graph, "npu1")


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_random_branches(seed):
    rng = np.random.default_rng(seed)
    b = GraphBuilder(
        (int(rng.integers(1, 40)), int(rng.integers(3, 34)), int(rng.integers(3, 34))),
        seed,
        float(rng.choice([1, 0.5])),
    )
    x = "x"
    for _ in range(int(rng.integers(1, 4))):
        t = b.tensors[x]
        kind = rng.integers(0, 4)
        if kind == 0 and min(t.height, t.width) > 3:
            x = b.pool(
                b.conv(x, int(rng.integers(1, 40)), int(rng.choice([1, 3]))),
                int(rng.integers(2, 4)),
                int(rng.integers(1, 3)),
                NO_PADS,
            )
        elif kind == 1:
            x = b.conv(b.pool(x, 3, 1, divisors=AVERAGE if rng.integers(0, 2) else ()), int(rng.integers(1, 40)), 1)
        else:
            parts = [b.conv(x, int(rng.integers(1, 30)), 1) for _ in range(int(rng.integers(2, 4)))]
            x = b.concat(*parts, b.conv(x, 8, 3))
    run(b.graph(x), str(rng.choice(["npu1", "wbs-2x2", "wbs-3x7"])), seed=seed)


def test_moves_pay_by_estimate():
    """By estimate, no set of moves is slower than none; all of them are off when they are not allowed."""
    b = GraphBuilder((16, 33, 33))
    graph = b.graph(b.pool(b.conv(b.pool(b.conv("x", 64, 3)), 64, 1)), b.conv("x", 24, 3))
    none = Moves(False, False, False, False, False)
    best, plain = compile_graph(graph, "npu1"), compile_graph(graph, "npu1", moves=none)
    assert sum(t.cycles for t in best.tilings) <= sum(t.cycles for t in plain.tilings)
    assert all(item.geometry.pool is None and len(item.members) == 1 for item in plain.placement.items)


def test_fused_graph_keeps_its_shapes():
    b = GraphBuilder((3, 33, 33))
    graph = b.graph(b.pool(b.conv("x", 16, 3, 2)))
    fused = fuse_pools(graph, pool_pairs(graph))
    fused.verify()
    (layer,) = fused.layers
    assert isinstance(layer, Conv) and layer.output == graph.outputs[0].tensor
