"""A factor and a term per channel in front of a 1x1 convolution run in its call: the same bytes, one item less."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, run_checked
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.fuse import fuse, pool_pairs
from tvm_aie.plan.graph import Conv, Requant
from tvm_aie.plan.reference import evaluate, requantise
from tvm_aie.plan.scale import scale_of
from tvm_aie.report.collect import conv_work

ALWAYS = Moves(always=True)


def norm(b, x, acc_shift=0):
    """Batch normalisation as the quantised networks have it: a product, rounded, then a term, rounded, with a ReLU."""
    factor = b.conv(x, b.tensors[x].channels, 1, groups=b.tensors[x].channels, lo=-128, acc_shift=acc_shift)
    b.layers[-1].bias[:] = 0
    b.layers[-1] = dataclasses.replace(b.layers[-1], requant=Requant(5 + acc_shift))
    term = b.constant(factor, 1)
    b.layers[-1] = dataclasses.replace(b.layers[-1], requant=Requant(1, 0))
    return term


def run(graph, device="npu1", moves=ALWAYS, seed=0):
    return run_checked(graph, device, moves, seed)


def scaled_items(compiled):
    return sum(bool(item.geometry.pool and item.geometry.pool.scale) for item in compiled.placement.items)


@pytest.mark.parametrize("pixels", [1, 7, 8, 9, 31, 33])
@pytest.mark.parametrize(("cin", "cout"), [(8, 8), (20, 40), (70, 33)])
def test_norm_in_front(pixels, cin, cout):
    b = GraphBuilder((5, pixels, pixels), density=0.7)
    graph = b.graph(b.conv(b.conv(norm(b, b.conv("x", cin, 3)), cout, 1), 9, 3))
    compiled, _ = run(graph)
    apart, _ = run(graph, moves=Moves(always=True, scales=False))
    assert scaled_items(compiled) == 1 and scaled_items(apart) == 0
    assert len(compiled.placement.items) == len(apart.placement.items) - 1


def test_dense_block():
    """A DenseNet block: each layer normalises all that came before; maps have holes (12 channels come each time)."""
    b = GraphBuilder((3, 14, 14))
    x = b.conv("x", 20, 3)
    for _ in range(3):
        x = b.concat(x, b.conv(b.conv(norm(b, x), 48, 1), 12, 3))
    graph = b.graph(b.conv(norm(b, x), 16, 1))
    compiled, _ = run(graph)
    assert scaled_items(compiled) == 4


def test_channels_in_chunks():
    """More input channels than one message holds: each message has the terms and factors of its own."""
    b = GraphBuilder((632, 9, 9))
    compiled, _ = run(b.graph(b.conv(norm(b, "x"), 64, 1)))
    (tiling,) = compiled.tilings
    assert tiling.n_ck > 1 and 79 % tiling.ckb  # the last chunk begins before its own channels
    assert compiled.placement.items[0].geometry.pool.scale


def test_larger_images():
    """Pixels and rows that ``plan.pitch`` adds behind the image are zeros in the stage, and change nothing."""
    b = GraphBuilder((16, 13, 13))
    y = b.conv(norm(b, b.conv("x", 24, 3)), 32, 1)
    graph = b.graph(b.conv(b.conv(y, 32, 3), 8, 1))
    compiled, _ = run(graph)
    storage = compiled.physical.storages[compiled.physical.views[y].storage]
    assert (storage.height, storage.width) != (13, 13) and scaled_items(compiled) == 1


def test_one_rounding():
    """A depthwise convolution without a second stage is a product and a term that are rounded once, together."""
    b = GraphBuilder((5, 9, 9))
    x = b.conv("x", 24, 1)
    scaled = b.conv(x, 24, 1, groups=24, acc_shift=3)
    scale = scale_of(b.layers[-1])
    assert scale is not None and scale.first == Requant(0, -(2**15), 2**15 - 1)
    compiled, _ = run(b.graph(b.conv(scaled, 16, 1)))
    assert scaled_items(compiled) == 1


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_scale_is_the_convolution(seed):
    """``scale_of`` computes what the depthwise convolution and its second stage do."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder((3, 4, 5), seed)
    source = b.tensors["x"]
    made = norm(b, "x", int(rng.integers(0, 4))) if rng.integers(0, 2) else b.constant("x")
    layer = next(iter(fuse(b.graph(made)).layers))
    scale = scale_of(layer)
    assert isinstance(layer, Conv) and scale is not None
    x = rng.integers(-128, 128, (1, source.channels, 4, 5)).astype(np.int8)
    graph = b.graph(b.layers[-1].output)
    product = x[0].astype(np.int64) * scale.factor.astype(np.int64)[:, None, None]
    first = requantise(product, scale.first).astype(np.int64)
    found = requantise((first << scale.x_shift) + scale.bias[:, None, None], scale.second)
    np.testing.assert_array_equal(found, evaluate(graph, {"x": x})[graph.outputs[0].tensor][0])


def test_what_is_no_scale():
    b = GraphBuilder((16, 9, 9))
    norm(b, "x")
    scale = next(iter(fuse(b.graph(b.layers[-1].output)).layers))
    assert scale_of(scale) is not None
    assert scale_of(dataclasses.replace(scale, stride=(2, 2))) is None
    assert scale_of(dataclasses.replace(scale, pads=(1, 0, 0, 0))) is None
    assert scale_of(dataclasses.replace(scale, bias=scale.bias + 1)) is None  # two terms
    assert scale_of(dataclasses.replace(scale, requant=Requant(3, negative_mul=26))) is None
    assert scale_of(dataclasses.replace(scale, tail=dataclasses.replace(scale.tail, x_shift=16))) is None
    assert scale_of(dataclasses.replace(scale, weight=np.ones((16, 16, 1, 1), np.int8), groups=1)) is None


def test_who_may_take_it():
    def pairs(build):
        b = GraphBuilder((16, 9, 9))
        return [p for p in pool_pairs(fuse(b.graph(*build(b))), scales=True) if p.before]

    assert len(pairs(lambda b: [b.conv(norm(b, "x"), 8, 1)])) == 1
    assert not pairs(lambda b: [b.conv(norm(b, "x"), 8, 3)])  # a window would scale its rows again and again
    assert not pairs(lambda b: [b.conv(norm(b, "x"), 8, 1, 2)])
    assert not pairs(lambda b: [b.add(b.conv(norm(b, "x"), 16, 1), "x")])  # ACC is the only room for a stage

    def twice(b):
        y = norm(b, "x")
        return [b.conv(y, 8, 1), b.conv(y, 8, 1)]

    assert not pairs(twice)
    b = GraphBuilder((16, 9, 9))
    assert not pool_pairs(fuse(b.graph(b.conv(norm(b, "x"), 8, 1))))


def test_idealised_machines_multiply_by_themselves():
    """There a kernel costs its MACs and nothing else: in the call they would be free."""
    b = GraphBuilder((16, 9, 9))
    graph = b.graph(b.conv(norm(b, "x"), 8, 1))
    compiled, _ = run(graph, "wbs-2x3")
    assert scaled_items(compiled) == 0


def test_work_is_that_of_the_network():
    b = GraphBuilder((20, 9, 9), density=0.5)
    graph = b.graph(b.conv(norm(b, "x"), 24, 1))
    found = []
    for moves in (ALWAYS, Moves(always=True, scales=False)):
        physical = compile_graph(graph, "npu1", moves=moves).physical
        works = [conv_work(physical, c) for c in physical.layers if isinstance(c, Conv)]
        names = "blocks", "live_blocks", "dense_macs", "macs", "dense_bytes"
        found.append([sum(getattr(w, name) for w in works) for name in names])
    assert found[0] == found[1]


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 34)), int(rng.integers(1, 34)))
    b = GraphBuilder(shape, seed, float(rng.choice([1, 0.5])))
    x = "x"
    for _ in range(int(rng.integers(1, 4))):
        y = norm(b, x, int(rng.integers(0, 3))) if rng.integers(0, 3) else b.conv(x, b.tensors[x].channels, 1)
        y = b.conv(y, int(rng.integers(1, 60)), 1)
        x = b.concat(x, b.conv(y, int(rng.integers(1, 20)), 3)) if rng.integers(0, 2) and x != "x" else y
    run(b.graph(x), seed=seed)
