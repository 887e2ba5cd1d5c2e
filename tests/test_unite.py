"""Convolutions of one input that a concat joins are one convolution: the same bytes, fewer items, the same MACs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, run_checked
from tvm_aie.emit.weights import pack_conv
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.graph import Concat, Conv, Requant
from tvm_aie.plan.physical import assign_channels, whole_blocks
from tvm_aie.plan.reference import evaluate
from tvm_aie.plan.siblings import sibling_groups
from tvm_aie.plan.unite import common_accumulators, unite
from tvm_aie.report.collect import conv_work

UNITED, APART = Moves(), Moves(unite=False)


def inputs(graph, seed=0):
    shape = graph.inputs[0].shape
    return {"x": np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)}


def same_values(one, other, seed=0):
    """Two graphs compute the same outputs (numpy, int64)."""
    x = inputs(one, seed)
    before, after = evaluate(one, x), evaluate(other, x)
    for io in one.outputs:
        np.testing.assert_array_equal(before[io.tensor], after[io.tensor], err_msg=io.tensor)


def run(graph, device, moves=UNITED, seed=0):
    return run_checked(graph, device, moves, seed)


def convs(graph):
    return [layer for layer in graph.layers if isinstance(layer, Conv)]


def fire(pixels, channels=(16, 24), windows=((1, 1), (3, 3)), density=1.0, spare=0, **options):
    """A fire module: convolutions of one tensor with different windows, joined; ``options``: of the convolutions."""
    b = GraphBuilder((5, pixels, pixels), density=density)
    x = b.conv("x", 24, 1)
    b.density = density
    parts = [b.conv(x, c, k, kw=kw, **options) for c, (k, kw) in zip(channels, windows, strict=True)]
    if spare:
        parts.insert(spare, b.pool(x, 3, 1))
    return b.graph(b.conv(b.concat(*parts), 9, 1))


@pytest.mark.parametrize("pixels", [1, 7, 8, 9, 31, 33])
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_fire_module(pixels, density):
    graph = fire(pixels, density=density)
    united = unite(graph)
    united.verify()
    assert [c.weight.shape for c in convs(united)][1] == (40, 24, 3, 3)
    assert not any(isinstance(layer, Concat) for layer in united.layers)
    same_values(graph, united)
    compiled, _ = run(graph, "npu1")
    apart, _ = run(graph, "npu1", APART)
    assert len(compiled.placement.items) < len(apart.placement.items)


def test_places_of_rounding_stay():
    """The 1x1 has a shift of its own, less than that of the 3x3: the united one has both."""
    graph = fire(9)
    small, large = (c.requant.shift for c in convs(graph)[1:3])
    assert small < large
    shifts = convs(unite(graph))[1].shifts
    assert shifts[0] == 0 and shifts[-1] == large - small


@pytest.mark.parametrize(
    "windows", [((1, 3), (3, 1)), ((1, 1), (3, 3), (5, 5)), ((5, 1), (1, 7)), ((3, 3), (3, 3)), ((2, 2), (3, 3))]
)
@pytest.mark.parametrize("stride", [1, 2])
def test_windows(windows, stride):
    """The smallest window that holds all; an even one reaches further to one side than to the other."""
    pads = None
    if (2, 2) in windows:
        b = GraphBuilder((5, 12, 12))
        parts = [b.conv("x", 8, 2, stride, (1, 1, 0, 0)), b.conv("x", 8, 3, stride, (1, 1, 1, 1))]
        graph = b.graph(b.concat(*parts))
    else:
        graph = fire(12, tuple(8 * (i + 1) for i in range(len(windows))), windows, stride=stride, pads=pads)
    united = unite(graph)
    assert len(convs(united)) < len(convs(graph))
    made = next(c for c in convs(united) if c.parts)
    assert made.weight.shape[2:] == tuple(max(sizes) for sizes in zip(*windows, strict=True))
    same_values(graph, united)
    run(graph, "npu1")


def test_other_operands_stay():
    """A pool between the two keeps them apart; before or behind them it does not."""
    graph = fire(9, spare=1)
    assert len(convs(unite(graph))) == len(convs(graph))
    b = GraphBuilder((8, 9, 9))
    parts = [b.pool("x", 3, 1), b.conv("x", 8, 1), b.conv("x", 8, 3), b.conv(b.conv("x", 8, 1), 4, 3)]
    graph = b.graph(b.concat(*parts))
    united = unite(graph)
    (concat,) = [layer for layer in united.layers if isinstance(layer, Concat)]
    assert len(concat.parts) == 3 and concat.output == graph.outputs[0].tensor
    same_values(graph, united)
    run(graph, "npu1")


def test_what_may_not_be_united():
    def count(change=None, **options):
        graph = fire(9, **options)
        if change:
            layers = list(graph.layers)
            layers[2] = change(layers[2])
            graph = dataclasses.replace(graph, layers=tuple(layers))
        same_values(graph, unite(graph))
        return len(convs(graph)) - len(convs(unite(graph)))

    assert count() == 1
    assert count(channels=(12, 24)) == 0  # a block of 8 would hold channels of both
    assert count(channels=(16, 12)) == 1
    assert count(lambda c: dataclasses.replace(c, requant=dataclasses.replace(c.requant, lo=-128))) == 0
    assert count(lambda c: dataclasses.replace(c, requant=dataclasses.replace(c.requant, negative_mul=26))) == 0

    b = GraphBuilder((8, 9, 9))
    left, right = b.conv("x", 8, 1), b.conv("x", 8, 3)
    graph = b.graph(b.concat(left, right), left)  # the host reads one of them
    assert len(convs(unite(graph))) == 2
    run(graph, "npu1")
    b = GraphBuilder((8, 9, 9))
    left, right = b.conv("x", 8, 1), b.conv("x", 8, 3, groups=8)
    graph = b.graph(b.concat(left, right))  # depthwise
    assert len(convs(unite(graph))) == 2
    run(graph, "npu1")
    b = GraphBuilder((8, 9, 9))
    graph = b.graph(b.concat(b.conv("x", 8, 3, pads=(2, 2, 2, 2), dilation=2), b.conv("x", 8, 1)))
    assert len(convs(unite(graph))) == 2  # dilated and not
    run(graph, "npu1")


def test_dilated():
    """Taps lie two pixels apart: paddings that differ by 2 are one tap apart, those that differ by 1 none at all."""
    for pads, left in (((2, 2, 2, 2), 1), ((1, 2, 3, 2), 2)):
        b = GraphBuilder((8, 9, 9))
        wide = b.conv("x", 8, 3, pads=pads, dilation=2)
        graph = b.graph(b.concat(b.conv("x", 8, 1, dilation=2), wide))
        assert len(convs(unite(graph))) == left
        same_values(graph, unite(graph))
        run(graph, "npu1")


def test_an_order_that_mixes_blocks():
    """The sum forces the order of its other operand, in which a block of 8 has channels of both: they stay apart."""
    b = GraphBuilder((16, 9, 9))
    other = b.permute("x", np.random.default_rng(0).permutation(16))
    joined = b.concat(b.conv("x", 8, 1), b.conv("x", 8, 3))
    graph = b.graph(b.add(joined, other))
    united = unite(graph)
    views = assign_channels(united).views
    assert all(whole_blocks(c, views[c.output]) for c in convs(united))
    same_values(graph, united)
    run(graph, "npu1")
    mixed = Conv("c", "x", "y", np.ones((16, 16, 1, 1), np.int8), np.zeros(16, np.int64), 0, Requant(3))
    mixed = dataclasses.replace(mixed, shifts=(0,) * 8 + (1,) * 8)
    view = dataclasses.replace(views["x"], cmap=tuple(range(0, 16, 2)) + tuple(range(1, 16, 2)))
    with pytest.raises(ProgramError, match="channels of one block"):
        pack_conv(mixed, views["x"], view)


def test_accumulators_in_common():
    """The finer one decides, unless a bias would leave 32 bits."""
    b = GraphBuilder((8, 9, 9))
    parts = [b.conv("x", 8, 1, acc_shift=0), b.conv("x", 8, 3, acc_shift=5), b.conv("x", 8, 1, acc_shift=2)]
    graph = b.graph(b.concat(*parts))
    common = common_accumulators(graph)
    assert [c.acc_shift for c in convs(common)] == [5, 5, 5]
    same_values(graph, common)
    assert len(convs(unite(graph))) == 1
    b.layers[0].bias[3] = 2**27
    common = common_accumulators(graph)
    assert [c.acc_shift for c in convs(common)] == [0, 5, 5]
    same_values(graph, common)
    assert len(convs(unite(graph))) == 2
    run(graph, "npu1")


def test_accumulators_in_common_where_shifts_allow_it():
    """The kernel rounds 40 bits at most: a shift of 36 cannot grow by 5, one of 35 can."""
    for shift, left in ((36, 2), (35, 1)):
        b = GraphBuilder((8, 9, 9))
        parts = [b.conv("x", 8, 1, acc_shift=0), b.conv("x", 8, 3, acc_shift=5)]
        b.layers[0] = dataclasses.replace(b.layers[0], requant=Requant(shift, 0, 127))
        graph = b.graph(b.concat(*parts))
        assert len(convs(unite(graph))) == left
        same_values(graph, unite(graph))
        run(graph, "npu1")


@pytest.mark.parametrize("device", ["npu1", "wbs-3x2"])
def test_siblings_with_shifts_of_their_own(device):
    """Outputs that go different ways: one item, three places of rounding, one of them reached from another's bits."""
    b = GraphBuilder((40, 17, 17), density=0.5)
    x = b.conv("x", 32, 3)
    parts = [b.conv(x, c, 1, acc_shift=a) for c, a in ((16, 2), (24, 0), (9, 3))]
    b.layers = [
        dataclasses.replace(layer, requant=Requant(layer.requant.shift + i)) if layer.output in parts else layer
        for i, layer in enumerate(b.layers)
    ]
    graph = b.graph(*(b.conv(p, 8, 3) for p in parts))
    groups = sibling_groups(assign_channels(common_accumulators(graph)))
    assert 3 in map(len, groups) and 3 not in map(len, sibling_groups(assign_channels(graph)))
    compiled, _ = run(graph, device, Moves(always=True))
    assert any(len(item.members) == 3 for item in compiled.placement.items)


def test_macs_are_those_of_the_network():
    """Taps that a member does not have are no work, whatever the order of its blocks."""
    for density in (1.0, 0.5):
        graph = fire(9, (16, 24, 8), ((1, 1), (3, 3), (1, 5)), density)
        works = {}
        for moves in (UNITED, APART):
            compiled = compile_graph(graph, "npu1", moves=moves)
            found = [conv_work(compiled.physical, c) for c in compiled.physical.layers if isinstance(c, Conv)]
            works[moves.unite] = [sum(getattr(w, f) for w in found) for f in ("dense_macs", "macs", "dense_bytes")]
        assert works[True] == works[False], density


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_random_joins(seed):
    """Any operands: what is united computes the same, and runs."""
    rng = np.random.default_rng(seed)
    pixels = int(rng.choice([1, 7, 8, 9, 31, 33]))
    b = GraphBuilder((int(rng.integers(1, 20)), pixels, int(rng.integers(1, 20))), seed, float(rng.choice([1, 0.5])))
    x = b.conv("x", int(rng.integers(1, 24)), 1)
    parts = []
    for _ in range(int(rng.integers(2, 5))):
        kind, cout = rng.integers(0, 8), int(rng.choice([4, 8, 8, 16, 16, 24]))
        source = "x" if kind == 0 else x
        k, kw = (int(rng.choice([1, 3, 5])) for _ in range(2))
        mul, acc_shift = (26 if kind == 1 else 0), int(rng.integers(0, 4))
        parts.append(b.pool(x, 3, 1) if kind == 2 else b.conv(source, cout, k, 1, None, 0, 1, 1, mul, acc_shift, kw))
    joined = b.concat(*parts)
    graph = b.graph(b.conv(joined, 8, 3), *([parts[0]] if rng.integers(0, 4) == 0 else []))
    united = unite(graph)
    united.verify()
    same_values(graph, united, seed)
    run(graph, str(rng.choice(["npu1", "npu1", "wbs-3x2"])), seed=seed)
