"""A global average pool in two steps: sums in the call of the convolution in front, then the pool of those."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, run_checked
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.fuse import fuse, fuse_pools, pool_pairs, worth_keeping
from tvm_aie.plan.graph import AvgDivisor, Pool, Tensor
from tvm_aie.plan.reference import evaluate
from tvm_aie.plan.sums import MOST_SUMMED, rows_per_sum
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import KEEPING

ALWAYS = Moves(always=True)


def pairs(graph, columns=4):
    return [p for p in pool_pairs(fuse(graph), columns=columns) if p.sums]


def summing(compiled):
    """Items that sum what they compute."""
    return [i for i in compiled.placement.items if i.geometry.pool is not None and i.geometry.pool.sums]


def network(height, width, channels, residual=False, behind=0, density=1.0, seed=0):
    """Two convolutions, or one and a residual; a global pool; ``behind``: channels of a dense layer."""
    b = GraphBuilder((5, height, width), seed, density)
    x = b.conv("x", channels, 3)
    y = b.conv(x, channels, 1, lo=-128)
    y = b.global_pool(b.add(y, x) if residual else y)
    return b.graph(b.conv(y, behind, 1, lo=-128) if behind else y)


@pytest.mark.parametrize("pixels", [7, 8, 9, 31, 33])
@pytest.mark.parametrize(
    ("channels", "residual", "behind"), [(8, False, 0), (33, True, 0), (40, False, 20), (64, True, 33)]
)
def test_the_same_bytes(pixels, channels, residual, behind):
    """And nothing but the network's input is loaded: the sums lie next to the column that adds them."""
    graph = network(pixels, pixels, channels, residual, behind, 0.7)
    compiled, _ = run_checked(graph, "npu1", ALWAYS)
    items = compiled.placement.items
    (item,) = summing(compiled)
    assert item.geometry.out_elem == 2 and item.geometry.w_out == 1
    assert bool(behind) == (items[-1].geometry.pool is not None)
    assert not any(p.loaded for i in items[1:] for p in i.inputs)
    assert sum(b > a for a, b in item.out_rows) <= 3


@pytest.mark.parametrize(("height", "width"), [(2, 1), (3, 33), (33, 1), (3, 256), (9, 128)])
def test_long_and_narrow_images(height, width):
    compiled, _ = run_checked(network(height, width, 16), "npu1", ALWAYS)
    assert summing(compiled)


def test_a_line_of_one_row_needs_no_sums():
    graph = network(1, 33, 16)
    assert not pairs(graph)
    run_checked(graph, "npu1", ALWAYS)


def test_a_constant_behind():
    """A second rounding with a term per channel comes before the sums."""
    b = GraphBuilder((8, 9, 9))
    x = b.conv("x", 32, 1, lo=-128)
    graph = b.graph(b.global_pool(b.constant(x, 1)))
    compiled, _ = run_checked(graph, "npu1", ALWAYS)
    assert summing(compiled) and len(compiled.placement.items) == 2


def test_per_channel_convolutions():
    """Depthwise windows, of which a pass needs its own input blocks alone."""
    b = GraphBuilder((8, 13, 13))
    x = b.conv("x", 1024, 1)
    compiled, _ = run_checked(b.graph(b.global_pool(b.conv(x, 1024, 3, groups=1024))), "npu1", ALWAYS)
    (item,) = summing(compiled)
    assert compiled.tilings[item.index].diagonal


def test_input_channels_in_chunks():
    """Partial sums over input channels lie in front of the image whose pixels are added."""
    b = GraphBuilder((1024, 13, 13))
    compiled, _ = run_checked(b.graph(b.global_pool(b.conv("x", 40, 1))), "npu1", ALWAYS)
    (item,) = summing(compiled)
    assert compiled.tilings[item.index].n_ck > 1


def test_input_that_is_kept():
    """The input lies in ACC for all passes, and the image behind it."""
    b = GraphBuilder((16, 7, 7))
    x = b.conv("x", 512, 1)
    y = b.conv("x", 2048, 1)
    graph = b.graph(b.global_pool(b.add(b.conv(x, 2048, 1, lo=-128), y)))
    image = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    for keep in (True, False):
        compiled = compile_graph(graph, "npu1", KEEPING, moves=dataclasses.replace(ALWAYS, keep=keep))
        (item,) = summing(compiled)
        assert bool(compiled.tilings[item.index].kept) == keep
        result = run_program(compiled.program.to_bytes(), [image], RunOptions(check=True))
        expected = evaluate(graph, {"x": image})[graph.outputs[0].tensor]
        np.testing.assert_array_equal(result.outputs[0].reshape(-1), expected.reshape(-1))


def test_what_has_no_sums():
    def none(build, columns=4):
        b = GraphBuilder((16, 9, 9))
        return not pairs(b.graph(*build(b)), columns)

    assert not none(lambda b: [b.global_pool(b.conv("x", 8, 3))])
    assert none(lambda b: [b.global_pool(b.conv("x", 8, 3))], columns=0)
    assert none(lambda b: [b.global_pool("x")])
    assert none(lambda b: [b.global_pool(b.conv("x", 8, 1, 2))])  # the memtile's DMA picks its pixels
    assert none(lambda b: [b.pool(b.conv("x", 8, 3), 9, 1, (0,) * 4)])  # the largest, no average
    assert none(lambda b: [b.pool(b.conv("x", 8, 3), 8, 1, (0,) * 4, (AvgDivisor(0, 1, 6),))])  # not the whole image
    assert none(lambda b: [b.global_pool(b.concat(b.conv("x", 8, 3), "x"))])
    assert none(lambda b: [b.global_pool(b.upsample(b.conv("x", 8, 3)))])

    def read_twice(b):
        x = b.conv("x", 8, 3)
        return [b.global_pool(x), b.conv(x, 8, 3)]

    def shown(b):
        x = b.conv("x", 8, 3)
        return [b.global_pool(x), x]

    assert none(read_twice) and none(shown)


def test_a_window_that_reaches_over_the_image():
    """An average of 6x6 pixels by a window of 7x7, as exporters write it in ceil mode."""
    b = GraphBuilder((8, 6, 6))
    x = b.conv("x", 24, 3)
    graph = b.graph(b.pool(x, 7, 1, (0, 0, 1, 1), (AvgDivisor(36, 58539, 21),)))
    compiled, _ = run_checked(graph, "npu1", ALWAYS)
    assert summing(compiled)


@given(height=st.integers(1, 70), width=st.integers(1, 300), columns=st.integers(1, 8))
def test_rows_per_sum(height, width, columns):
    """All sums fit int16, three columns have them, and no other number of rows leaves the fullest column fewer."""
    pool = Pool("p", "x", "y", (height, width), (1, 1), (0,) * 4, (AvgDivisor(0, 1, 8),))
    rows = rows_per_sum(pool, Tensor("x", 8, height, width, 0), columns)

    def fullest(n):
        """Rows of the fullest column, or None where that needs more than three columns."""
        sums = -(-height // n)
        for share in range(1, sums + 1):
            if share * columns >= sums:
                return n * share if 3 * share >= sums else None

    found = [f for n in range(1, min(height, MOST_SUMMED // width) + 1) if (f := fullest(n)) is not None]
    if height == 1 or not found:
        assert rows == 0
    else:
        assert rows * width <= MOST_SUMMED and fullest(rows) == min(found)


def test_the_largest_sums_fit():
    """256 times -128 and 127."""
    for value in (-128, 127):
        b = GraphBuilder((8, 48, 16))
        x = b.conv("x", 8, 1, lo=value)
        b.layers[-1] = dataclasses.replace(b.layers[-1], requant=dataclasses.replace(b.layers[-1].requant, hi=value))
        graph = b.graph(b.global_pool(x))
        compiled, _ = run_checked(graph, "npu1", ALWAYS)
        (item,) = summing(compiled)
        assert item.geometry.pool.kh * item.geometry.pool.kw == 256


def test_shapes_and_bits():
    graph = fuse(network(7, 7, 16, True, 8))
    made = fuse_pools(graph, pool_pairs(graph, columns=4))
    made.verify()
    first, conv, dense = made.layers
    assert conv.pool_after.sums and conv.tail is not None and dense.pool_before.divisors[0].count == 0
    between = made.tensors[conv.output]
    assert (between.height, between.width, between.bits) == (3, 1, 16)
    assert first.output in conv.inputs


def test_what_pays():
    """Sums and the pool that reads them are kept or left together."""
    graph = fuse(network(7, 7, 16, True, 8))
    found = pool_pairs(graph, columns=4)
    sums, front = found
    assert sums.sums and front.before and sums.pool == front.pool
    single = {front.pool: 10.0}
    assert worth_keeping(found, {sums.conv: -5.0, front.conv: 0.0}, single) == found
    assert worth_keeping(found, {sums.conv: -15.0, front.conv: 1.0}, single) == (front,)
    assert worth_keeping((sums,), {sums.conv: -5.0, sums.pool: 4.0}, single) == ()
    assert worth_keeping((sums,), {sums.conv: -5.0, sums.pool: 6.0}, single) == (sums,)


def test_other_machines():
    """Where commands are free the move is off."""
    compiled, _ = run_checked(network(9, 9, 40, True, 20), "wbs-3x4", ALWAYS)
    assert not summing(compiled)
    compiled, _ = run_checked(network(9, 9, 40, True, 20), "npu1", dataclasses.replace(ALWAYS, sums=False))
    assert not summing(compiled)


def test_it_pays():
    """As SqueezeNet ends, with fewer channels: the image is neither stored nor loaded."""
    b = GraphBuilder((64, 13, 13))
    graph = b.graph(b.global_pool(b.conv(b.conv("x", 256, 1), 512, 1)))
    cycles = []
    for moves in (Moves(), Moves(sums=False)):
        compiled, result = run_checked(graph, "npu1", moves)
        cycles.append(result.cycles)
        assert bool(summing(compiled)) == moves.sums
    assert cycles[0] < cycles[1] - 30_000


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(1, 34)), int(rng.integers(1, 34)))
    b = GraphBuilder(shape, seed, float(rng.choice([1, 0.5])))
    x = b.conv("x", int(rng.integers(1, 60)), int(rng.choice([1, 3])), int(rng.integers(1, 3)))
    ends = []
    for _ in range(int(rng.integers(1, 3))):
        y = b.conv(x, int(rng.integers(1, 70)), int(rng.choice([1, 3])), lo=int(rng.choice([0, -128])))
        same = b.tensors[y].channels == b.tensors[x].channels
        kind = rng.integers(0, 4)
        if kind == 0 and not same:
            y = b.conv(x, b.tensors[x].channels, 1)
        if kind == 0:
            y = b.add(y, x)
        elif kind == 1:
            y = b.constant(y, int(rng.choice([1, 2])))
        elif kind == 2:
            y = b.concat(y, b.conv(x, 8, 1))
        y = b.global_pool(y)
        ends.append(b.conv(y, int(rng.integers(1, 40)), 1) if rng.integers(0, 2) else y)
    moves = Moves(always=bool(rng.integers(0, 2)), pitch=bool(rng.integers(0, 2)), keep=bool(rng.integers(0, 2)))
    run_checked(b.graph(*ends), "npu1", moves, seed)
