"""Output blocks dealt to core rows: permutations, near the best of all orders, and the same outputs."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.balance import balanced_maps, deal
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import assign_channels, physical_weight
from tvm_aie.plan.reference import evaluate
from tvm_aie.plan.shares import split_even
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.workloads.wbs import NETWORKS


def sums(flat, rows):
    return [int(flat[a:b].sum()) for a, b in split_even(len(flat), rows)]


@settings(max_examples=300)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=1, max_size=3), st.integers(1, 8))
def test_a_deal_keeps_members_together_and_never_loses(work, rows):
    work = [np.array(w) for w in work]
    flat = np.concatenate(work)
    order = deal(work, rows)
    if order is None:
        return
    assert sorted(order.tolist()) == list(range(len(flat)))
    begin = 0
    for own in work:
        assert set(order[begin : begin + len(own)].tolist()) == set(range(begin, begin + len(own)))
        begin += len(own)
    assert max(sums(flat[order], rows)) < max(sums(flat, rows))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 20), min_size=2, max_size=7), st.integers(2, 4))
def test_a_deal_is_near_the_best_order(work, rows):
    flat = np.array(work)
    best = min(max(sums(flat[list(p)], rows)) for p in permutations(range(len(flat))))
    order = deal([flat], rows)
    found = max(sums(flat if order is None else flat[order], rows))
    assert found <= 1.2 * best + 1


def test_random_weights_become_even():
    rng = np.random.default_rng(3)
    for blocks, rows in ((32, 4), (48, 8), (64, 5), (24, 4)):
        work = rng.binomial(64, 0.5, blocks)
        before, after = sums(work, rows), sums(work[deal([work], rows)], rows)
        ideal = work.sum() / rows * (1 if blocks % rows == 0 else 1 + 1 / (blocks // rows))
        assert max(after) <= 1.02 * ideal and max(after) <= max(before)
        assert blocks % rows or max(before) > 1.02 * ideal


def test_rows_with_fewer_blocks_take_the_heaviest():
    work = np.array([1, 9, 2, 8, 3, 7, 4, 6])
    assert max(sums(work[deal([work], 5)], 5)) <= 10  # 2, 2, 2, 1, 1 places: 9 and 8 alone


def sparse_net(seed=0):
    b = GraphBuilder((16, 9, 9))
    x = b.conv("x", 70, 3)
    y = b.conv(x, 64, 1)
    z = b.conv(x, 40, 1)
    w = b.conv(b.concat(y, z), 70, 3)
    graph = b.graph(b.conv(b.add(w, x), 33, 1))
    rng = np.random.default_rng(seed)
    layers = []
    for layer in graph.layers:
        if isinstance(layer, Conv):
            weight = layer.weight.copy()
            for o in range(0, weight.shape[0], 8):
                for i in range(0, weight.shape[1], 8):
                    if rng.random() < 0.6:
                        weight[o : o + 8, i : i + 8] = 0
            layer = replace(layer, weight=weight)
        layers.append(layer)
    return replace(graph, layers=tuple(layers))


@pytest.mark.parametrize("device", ["npu1", "wbs-2x2", "wbs-3x3", "wbs-5x5"])
@pytest.mark.parametrize("seed", [0, 1])
def test_outputs_stay_what_they_are(device, seed):
    graph = sparse_net(seed)
    rows = compile_graph(graph, device).device.rows
    assert balanced_maps(assign_channels(graph), rows)
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    for moves in (Moves(), Moves(always=True), replace(Moves(), siblings=False), replace(Moves(), tails=False)):
        result = run_program(compile_graph(graph, device, moves=moves).program.to_bytes(), [x], RunOptions(check=True))
        np.testing.assert_array_equal(result.outputs[0].reshape(-1), np.asarray(expected).reshape(-1))


def test_dense_weights_keep_their_order():
    assert balanced_maps(assign_channels(NETWORKS["ResNet50"](1.0, 0)), 4) == {}


def test_blocks_stay_whole():
    """The live blocks of a convolution are the same ones in another order, read in the order of its input."""
    natural = assign_channels(sparse_net())
    physical = assign_channels(sparse_net(), balanced_maps(natural, 3))
    physical.verify()
    for layer in physical.layers:
        if isinstance(layer, Conv):
            counts = []
            for graph in (natural, physical):
                w = physical_weight(layer, graph.views[layer.input], graph.views[layer.output])
                blocks = (w != 0).any(axis=(2, 3)).reshape(w.shape[0] // 8, 8, w.shape[1] // 8, 8).any(axis=(1, 3))
                counts.append(sorted(blocks.sum(axis=1).tolist()))
            assert counts[0] == counts[1]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "array"), [("VGG16", "wbs-5x5"), ("InceptionV3", "wbs-2x2")])
def test_balance_buys_time(network, array):
    graph = NETWORKS[network](0.5, 0)
    natural = compile_graph(graph, array, moves=replace(Moves(), balance=False)).estimate.total
    assert compile_graph(graph, array).estimate.total < 0.98 * natural
