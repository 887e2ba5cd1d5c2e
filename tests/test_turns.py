"""Chunks take turns: the same outputs, no core waits for a load that another order or cut hides, nothing is slower."""

import dataclasses
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit import ddr
from tvm_aie.memory import loads
from tvm_aie.memory.pace import loads_of, paced_cycles
from tvm_aie.memory.state import State, drafts_of, reads, touch
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.plan.physical import assign_channels
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import geometry_of
from tvm_aie.workloads.wbs import NETWORKS

LAYERWISE = Moves(runs=False, pools=False)
AS_LEFT = dataclasses.replace(LAYERWISE, turns=False)


def small(name, kilobytes):
    return dataclasses.replace(load_device(name), memtile_bytes=kilobytes * 1024)


def chain(pixels, seed=0):
    b = GraphBuilder((8, pixels, pixels), seed)
    wide = b.conv(b.conv("x", 32, 3), 64, 3)
    return b.graph(b.conv(b.conv(wide, 64, 3, 2), 16, 1))


def residual(pixels, seed=0):
    b = GraphBuilder((8, pixels, pixels), seed)
    x = b.conv("x", 48, 3)
    return b.graph(b.conv(b.add(b.conv(b.conv(x, 48, 3), 48, 1), x), 33, 3))


def cycles(compiled):
    return run_program(compiled.program.to_bytes(), [], RunOptions(functional=False)).cycles


@pytest.mark.parametrize(
    ("device", "kilobytes", "pixels"),
    [("wbs-2x2", 112, 48), ("wbs-3x2", 160, 33), ("wbs-1x4", 96, 63), ("wbs-1x1", 112, 31), ("npu1", 112, 63)],
)
@pytest.mark.parametrize("net", [chain, residual])
def test_outputs_are_those_of_the_reference(net, device, kilobytes, pixels):
    graph, machine = net(pixels), small(device, kilobytes)
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    for moves in (Moves(), LAYERWISE):
        program = compile_graph(graph, machine, moves=moves).program
        result = run_program(program.to_bytes(), [x], RunOptions(check=True))
        np.testing.assert_array_equal(result.outputs[0].reshape(-1), np.asarray(expected).reshape(-1))


@pytest.mark.parametrize(
    ("device", "kilobytes", "pixels", "most"),
    [
        ("wbs-2x2", 96, 48, 0.9),
        ("wbs-2x2", 128, 63, 0.9),
        ("wbs-3x2", 160, 63, 0.9),
        ("wbs-1x4", 96, 63, 0.95),
        ("wbs-1x1", 160, 48, 0.95),
        ("wbs-3x2", 128, 33, 1.0),
        ("npu1", 128, 48, 1.0),
    ],
)
def test_cores_wait_less(device, kilobytes, pixels, most):
    graph, machine = chain(pixels), small(device, kilobytes)
    before, after = (compile_graph(graph, machine, moves=moves) for moves in (AS_LEFT, LAYERWISE))
    assert cycles(after) <= most * cycles(before)


def test_tensors_come_back_where_chunks_leave_room():
    graph, machine = chain(48), small("wbs-2x2", 112)
    before, after = (compile_graph(graph, machine, moves=moves).placement for moves in (AS_LEFT, LAYERWISE))
    assert before.spilled == {"conv0", "conv1", "conv2"}
    assert after.spilled == {"conv1"}  # 64 channels of 48 x 48: more than both memtiles


def test_the_first_chunk_needs_nothing_of_the_item_before():
    """A column's first chunk needs the last of the column above: another goes first, and is loaded an item ahead."""
    items = compile_graph(chain(63), small("wbs-2x2", 128), moves=LAYERWISE).placement.items
    borders = [i for a, i in pairwise(items) if a.members != i.members and i.chunk and a.chunk]
    assert borders
    assert all(i.inputs[0].loaded and i.inputs[0].load_at == i.index - 1 for i in borders)


@pytest.mark.parametrize(("device", "kilobytes", "pixels"), [("wbs-2x2", 96, 48), ("wbs-3x2", 160, 63)])
def test_a_load_that_waits_for_a_store_does_not_hold_up_activations(device, kilobytes, pixels, monkeypatch):
    """It is pushed behind the first of them; before the barrier all commands behind it would wait for the store."""
    graph, machine = chain(pixels), small(device, kilobytes)
    behind = cycles(compile_graph(graph, machine, moves=LAYERWISE))
    monkeypatch.setattr(ddr, "WAITING_LOADS", ddr.LOADS)
    monkeypatch.setattr(ddr, "LAST_LOADS", ddr.LOADS)
    assert behind < cycles(compile_graph(graph, machine, moves=LAYERWISE))


@pytest.mark.parametrize(("kilobytes", "pixels"), [(128, 48), (160, 56)])
def test_what_is_stored_already_is_loaded_before_what_is_being_stored(kilobytes, pixels, monkeypatch):
    """A residual that has long been in DDR comes before the chunk that the item before stores meanwhile."""
    b = GraphBuilder((8, pixels, pixels), density=0.5)
    x = b.conv("x", 64, 3)
    graph = b.graph(b.conv(b.add(b.conv(b.conv(x, 16, 1), 64, 3), x), 16, 1))
    machine = small("wbs-2x2", kilobytes)
    made = compile_graph(graph, machine, moves=LAYERWISE)
    items, stored = made.placement.items, loads.last_store
    found = loads.loads_at(items)
    several = [(at, ahead) for at, ls in found.items() if len(ahead := [x for x in ls if x[0] > at]) > 1]
    assert several
    for at, ahead in several:
        stores = [stored(items[:at], items[i].inputs[k]) for i, k in ahead]
        assert stores == sorted(stores)
    monkeypatch.setattr(loads, "last_store", lambda items, place: -stored(items, place))
    assert cycles(made) < cycles(compile_graph(graph, machine, moves=LAYERWISE))


def two_layers(columns, chunks, height, window, ordered):
    b = GraphBuilder((8, height, 16))
    graph: LayerGraph = b.graph(b.conv(b.conv("x", 16, 3), 16, window))
    physical = assign_channels(graph)
    geometries = [geometry_of(layer, physical) for layer in physical.layers]
    names = {view.storage for view in physical.views.values()}
    state = State(physical, {0: (0,), 1: (1,)}, geometries, columns, set(names), set(names), list(chunks), {})
    state.ordered, state.finer = ordered, 2
    return state


def paced(state, drafts):
    return paced_cycles(state, drafts, loads_of(state, drafts))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 4),
    st.tuples(st.integers(1, 5), st.integers(2, 5)),
    st.integers(20, 60),
    st.sampled_from([1, 3, 5]),
)
def test_no_order_of_the_chunks_is_much_better(columns, chunks, height, window):
    state = two_layers(columns, chunks, height, window, True)
    drafts = drafts_of(state)
    assert sorted((d.layer, d.chunk) for d in drafts) == [(i, k) for i, n in enumerate(chunks) for k in range(n)]
    first, second = drafts[: chunks[0]], drafts[chunks[0] :]
    best = min(paced(state, [*first, *order]) for order in permutations(second))
    assert paced(state, drafts) <= 1.05 * best
    natural = drafts_of(two_layers(columns, chunks, height, window, False))
    assert paced(state, drafts) <= paced(state, natural) + 1e-6
    # By when the last of their rows is stored.
    newest = [max(k for k, w in enumerate(first) if touch(reads(state, 1, 0, d.out_rows), w)) for d in second]
    assert newest == sorted(newest)


def test_the_pace_counts_what_nothing_hides():
    """One column, one chunk each: input, first layer, its store, the load of the same bytes, second layer."""
    state = two_layers(1, (1, 1), 32, 1, True)
    drafts = drafts_of(state)
    words = 32 * 16 * 8 // 4  # of a channel block
    body = 1500 + 32 * 2 * 16 * 8 / 4  # moving two blocks of a row takes longer than computing it
    first = 1500 + max(32 * 9 * 2 * 64 * 16 / 512, 32 * 2 * 16 * 8 / 4)
    assert paced(state, drafts) == pytest.approx(words + first + 2 * 2 * words + body)


@pytest.mark.slow
@pytest.mark.parametrize(("mesh", "dense", "sparse"), [("3x3", 7_710_000, 3_960_000), ("4x4", 4_140_000, 2_280_000)])
def test_vgg16_hardly_waits_for_ddr(mesh, dense, sparse):
    """Cycles before chunks took turns: 7,946,635 and 4,184,838 on 3x3, 4,211,659 and 2,355,748 on 4x4 (emulated)."""
    for density, most in ((1.0, dense), (0.5, sparse)):
        assert cycles(compile_graph(NETWORKS["VGG16"](density, 0), f"wbs-{mesh}")) <= most
