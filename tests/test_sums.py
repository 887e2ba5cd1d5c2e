"""A global average pool in two steps: sums in the call of the convolution in front, then the pool of those."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, run_checked
from tvm_aie.device import load_device
from tvm_aie.emit.overlay import Array, build_overlay
from tvm_aie.memory.partition import home_of, lent, near
from tvm_aie.memory.placement import plan_memory
from tvm_aie.narrow import COLUMN, costs, worth_a_column
from tvm_aie.pipeline import Decisions, Moves, compile_graph, prepare
from tvm_aie.plan.fuse import fuse, fuse_pools, pool_pairs, worth_keeping
from tvm_aie.plan.graph import AvgDivisor, Pool, Tensor
from tvm_aie.plan.physical import assign_channels
from tvm_aie.plan.reference import evaluate
from tvm_aie.plan.sums import MOST_SUMMED, NEAR, REACHED, rows_per_sum
from tvm_aie.rehearse import compile_rehearsed
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import KEEPING, Overlay

ALWAYS = Moves(always=True)


def pairs(graph, columns=4):
    return [p for p in pool_pairs(fuse(graph), columns=columns) if p.sums]


def summing(compiled):
    """Items that sum what they compute."""
    return [i for i in compiled.placement.items if i.geometry.pool is not None and i.geometry.pool.sums]


def next_door(compiled):
    """Items of which the last column's output is in the memtile of the column before it."""
    last = compiled.device.cols - 1
    written = [(i, i.out_rows[last], out.rows[last]) for i in compiled.placement.items for out in i.outputs]
    return [item for item, (a, b), (c, d) in written if b > a and d == c]


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
@pytest.mark.parametrize("wide", [True, False])
def test_the_same_bytes(pixels, channels, residual, behind, wide):
    """And nothing but the network's input is loaded: the sums lie next to the column that adds them, those of the last
    of four columns in the memtile of the third."""
    graph = network(pixels, pixels, channels, residual, behind, 0.7)
    compiled, _ = run_checked(graph, "npu1", dataclasses.replace(ALWAYS, narrow=not wide))
    items = compiled.placement.items
    (item,) = summing(compiled)
    assert item.geometry.out_elem == 2 and item.geometry.w_out == 1
    assert bool(behind) == (items[-1].geometry.pool is not None)
    assert not any(p.loaded for i in items[1:] for p in i.inputs)
    four = sum(b > a for a, b in item.out_rows) == 4
    assert four or not wide or pixels == 9  # three rows each
    assert next_door(compiled) == ([item] if four else [])
    assert compiled.program.flows == build_overlay(Array(compiled.device, Overlay(), four)).flows


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


@given(st.integers(1, 70), st.integers(1, 300), st.integers(1, 8), st.sampled_from([NEAR, REACHED]))
def test_rows_per_sum(height, width, columns, reached):
    """All sums fit int16, three or four columns have them, and no other number of rows leaves the fullest fewer."""
    pool = Pool("p", "x", "y", (height, width), (1, 1), (0,) * 4, (AvgDivisor(0, 1, 8),))
    rows = rows_per_sum(pool, Tensor("x", 8, height, width, 0), columns, reached)

    def fullest(n):
        """Rows of the fullest column, or None where that needs more columns."""
        sums = -(-height // n)
        for share in range(1, sums + 1):
            if share * columns >= sums:
                return n * share if reached * share >= sums else None

    found = [f for n in range(1, min(height, MOST_SUMMED // width) + 1) if (f := fullest(n)) is not None]
    if height == 1 or not found:
        assert rows == 0
    else:
        assert rows * width <= MOST_SUMMED and fullest(rows) == min(found)


def test_the_largest_sums_fit():
    """256 times -128 and 127."""
    for value in (-128, 127):
        b = GraphBuilder((8, 64, 16))
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


def summed(channels, inputs):
    """As SqueezeNet ends: 13 rows are 4, 4, 4 and 1 on four columns, 5, 5 and 3 on three."""
    b = GraphBuilder((64, 13, 13))
    return b.graph(b.global_pool(b.conv(b.conv("x", inputs, 1), channels, 1)))


@pytest.mark.parametrize(("channels", "inputs", "rows"), [(1000, 1024, [4, 4, 4, 1]), (64, 512, [5, 5, 3])])
def test_a_column_more(channels, inputs, rows):
    """Where MACs bound the convolution the fourth column works too, where commands do it does not.

    On all columns: where commands bound it, half of them without sums may be faster still.
    """
    graph, cycles = summed(channels, inputs), {}
    for lends in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Array, "lendable", lends)
            compiled = compile_rehearsed(graph, "npu1", Decisions(narrow=frozenset()))
        cycles[lends] = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False)).cycles
        (item,) = summing(compiled)
        height = item.geometry.pool.kh
        found = [min(13, b * height) - a * height for a, b in item.out_rows if b > a]
        assert found == (rows if lends else [5, 5, 3])
        assert bool(next_door(compiled)) == (len(found) == 4)
    assert cycles[True] <= cycles[False] - (9_000 if len(rows) == 4 else 0)


def test_what_a_column_lends():
    even = ((0, 2), (2, 4), (4, 6), (6, 7))
    assert lent(even) == ((0, 2), (2, 4), (4, 7), (7, 7))
    assert lent((*even[:3], (6, 6))) == (*even[:3], (6, 6))
    assert lent(((0, 1), (1, 2))) == ((0, 1), (1, 2))
    assert lent(((0, 0), (0, 1), (1, 2), (2, 3), (3, 4))) == ((0, 0), (0, 1), (1, 2), (2, 4), (4, 4))
    assert [home_of(rows, lent(even), c) for c, rows in enumerate(even)] == [0, 1, 2, 2]
    assert [home_of(rows, even, c) for c, rows in enumerate(even)] == [0, 1, 2, 3]
    reader = ((0, 0), (0, 7), (7, 7), (7, 7))  # of all rows, in the second column
    assert near(reader, lent(even)) and not near(reader, even)


def test_channels_that_reach_next_door():
    """The last column's, and it has as many descriptors of either parity for weights and outputs as it has channels."""
    npu1 = load_device("npu1")
    array, lends = Array(npu1, Overlay()), Array(npu1, Overlay(), True)
    assert lends.lendable
    for c in range(npu1.cols):
        outputs = [lends.o_s2mm(r, c) for r in range(npu1.rows)]
        others = [lends.w_s2mm(ring, c) for ring in range(lends.rings)] + [lends.load_s2mm]
        assert len({*outputs, *others}) == len(outputs) + len(others)
        if c == npu1.cols - 1:
            assert max(outputs) < npu1.memtile_neighbour_channels
        else:
            assert outputs == [array.o_s2mm(r) for r in range(npu1.rows)]
    far = dataclasses.replace(npu1, memtile_neighbour_channels=3)
    assert not Array(far, Overlay()).lendable
    assert four_columns(npu1) and not four_columns(far)


def four_columns(device):
    """Whether the last of four columns takes part on a device."""
    return next_door(compile_graph(network(7, 7, 64), device, moves=dataclasses.replace(ALWAYS, narrow=False)))


@pytest.mark.parametrize("evicted", [False, True])
def test_sums_that_are_stored(evicted):
    """Sums that leave the memtiles stay in the column that computes them."""
    graph = fuse(network(7, 7, 64))
    graph = fuse_pools(graph, pool_pairs(graph, columns=4, reached=REACHED))
    physical = assign_channels(graph)
    placed = plan_memory(physical, 4, 1 << 19, lends=True)
    assert placed.lends
    reader = placed.items[-1].inputs[0]
    assert reader.resident and reader.rows == ((0, 1), (1, 2), (2, 4), (4, 4))
    if evicted:
        placed = plan_memory(physical, 4, 1 << 19, packed=False, lends=True)  # the first column adds: too far
        assert not placed.lends and placed.items[-1].inputs[0].loaded


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


def test_a_column_must_save_something():
    """Cycles of both plans decide, and what a column saves is a share of those of the convolution with sums."""
    found = []
    for reached in (REACHED, NEAR):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Array, "lendable", reached == REACHED)
            prepared = prepare(summed(1000, 512), "npu1", Decisions(moves=ALWAYS))
        found.append(prepared.plan.stages)
    more, fewer = found
    cycles = [[max(cost) for cost in costs(*stages)] for stages in found]
    (item,) = (i.index for i in more[2].items if i.geometry.pool is not None and i.geometry.pool.sums)
    saved = (sum(cycles[1]) - sum(cycles[0])) / cycles[0][item]
    assert saved > COLUMN and worth_a_column(more, fewer)
    assert not worth_a_column(fewer, more) and not worth_a_column(more, more)
    for share, worth in ((saved * 0.99, True), (saved * 1.01, False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tvm_aie.narrow.COLUMN", share)
            assert worth_a_column(more, fewer) == worth
