"""Orders of an item's loops: same results in every order, and the task count that the cost model predicts."""

import pickle

import numpy as np
import pytest

from tuning_nets import Builder, one_conv, residual_graph, small_graph
from tvm_aie.cost.analytic import item_terms
from tvm_aie.cost.features import stream_bound
from tvm_aie.device import load_device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.order import LOOPS, PASSES_INSIDE, steps
from tvm_aie.tune import bench
from tvm_aie.tune.space import space_of

NPU1 = load_device("npu1")


SPARSE, RESIDUAL, INSIDE = small_graph(0.5), residual_graph(), one_conv(64, 33, 72, 3)
KNOWN = {}


def spaces_of(graph):
    """The space of each layer; kept with the graph, as several tests ask."""
    if id(graph) not in KNOWN:
        found = []
        compile_graph(graph, NPU1, None, lambda work: found.append(work))
        KNOWN[id(graph)] = graph, {work.layer: space_of(work, NPU1) for work in found}
    return KNOWN[id(graph)][1]


def strided(size):
    b = Builder(16, size, size)
    return b.graph(b.conv(b.conv("x", 72, 3, 2), 24, 1), "strided")


@pytest.mark.parametrize("order", range(len(LOOPS)))
@pytest.mark.parametrize(
    "graph",
    [SPARSE, RESIDUAL, one_conv(24, 31, 200), one_conv(64, 9, 72, 3), strided(33)],
    ids=["sparse", "residual", "wide", "odd", "strided"],
)
def test_every_order_computes_the_same(graph, order):
    rng = np.random.default_rng(order)
    spaces = spaces_of(graph)
    x = rng.integers(-128, 128, graph.inputs[0].shape, np.int8)
    want = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    tried = 0
    for _ in range(4):

        def choose(work):
            space = spaces[work.layer]
            own = [p for p in space.order if space.points[p].order == order]
            return space.points[own[rng.integers(len(own))]] if own else None

        try:
            compiled = compile_graph(graph, NPU1, None, choose)
        except TvmAieError:  # too many descriptors: a schedule of the space that cannot be built
            continue
        run = run_program(bytes(compiled.program.to_bytes()), [x], RunOptions(check=True))
        assert np.array_equal(run.outputs[0], want)
        tried += any(t.order == order for t in compiled.tilings)
    assert tried


def test_steps_visit_each_piece_once_in_the_order_that_the_name_says():
    space = next(iter(spaces_of(INSIDE).values()))
    tilings = [t for t in space.points.values() if t.n_x > 1 and t.bands[0][1] > 1 and t.n_pass > 1]
    assert {t.order for t in tilings} == {0, 1, 2}
    for tiling in tilings:
        n_b = tiling.bands[0][1]
        found = list(steps(tiling, tiling.n_pass, n_b))
        assert len(found) == len(set(found)) == tiling.n_pass * tiling.n_x * n_b
        columns = [("pass", "x", "band").index(name) for name in LOOPS[tiling.order]]
        assert found == sorted(found, key=lambda s: [s[i] for i in columns])


def test_no_schedule_is_faster_than_its_busiest_stream():
    rng = np.random.default_rng(1)
    for graph in (SPARSE, RESIDUAL):
        for space in spaces_of(graph).values():
            for index in rng.choice(len(space.order), min(3, len(space.order)), replace=False):
                tiling = space.points[space.order[index]]
                try:
                    cycles = bench.emulate(space.work, tiling, NPU1)
                except TvmAieError:
                    continue
                assert cycles >= stream_bound(space.work, tiling, NPU1) * (1 - 1e-9)
                assert np.isfinite(item_terms(space.work, tiling, NPU1).estimate)


def test_passes_inside_send_the_input_once():
    space = next(iter(spaces_of(INSIDE).values()))
    inside = [t for t in space.points.values() if t.order == PASSES_INSIDE]
    assert inside
    for tiling in inside:
        other = pickle.loads(pickle.dumps(tiling))
        object.__setattr__(other, "order", 0)
        mine, theirs = (item_terms(space.work, t, NPU1) for t in (tiling, other))
        assert mine.a < theirs.a and mine.w > theirs.w
