"""Images enlarged for the array (``plan.pitch``), small images on half of the columns, diagonal convolutions, uneven
pools: the same bytes as the reference, in check mode, and fewer commands."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.item_tasks import Before, barrier
from tvm_aie.emit.overlay import NBR_W, O_DONE, Array
from tvm_aie.emit.program import WriteBd
from tvm_aie.memory.partition import EVEN, NARROW, narrow_columns, split_rows
from tvm_aie.memory.placement import spread_blocks
from tvm_aie.narrow import NARROW_COMMANDS, costs
from tvm_aie.pipeline import Decisions, Moves, compile_graph, finish, prepare
from tvm_aie.plan.graph import AvgDivisor
from tvm_aie.plan.physical import assign_channels
from tvm_aie.plan.pitch import GROUP, UNIT, pitch_height, pitch_width, pitched
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.cover import Blocks
from tvm_aie.schedule.cuts import is_diagonal
from tvm_aie.schedule.geometry import Overlay, geometry_of

AVERAGE = tuple(AvgDivisor(c, 1024 // c, 10) for c in (1, 2, 3, 4, 6, 9))
NPU1 = load_device("npu1")
NO_PADS = (0, 0, 0, 0)


def check(graph, compiled, seed=0):
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})
    for io, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got.reshape(-1), np.asarray(expected[io.tensor]).reshape(-1), err_msg=io.tensor)
    return result


def writes(compiled):
    return sum(isinstance(c, WriteBd) for c in compiled.program.commands)


# ---------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("width", "expected"),
    [(1, 1), (5, 7), (6, 7), (7, 7), (8, 8), (9, 9), (12, 12), (13, 14), (27, 28), (31, 31), (33, 35), (55, 56)],
)
def test_width(width, expected):
    assert pitch_width(width) == expected


@given(st.integers(1, 4000))
def test_width_costs_no_accumulator(width):
    wider = pitch_width(width)
    assert wider >= width and -(-wider // GROUP) == -(-width // GROUP)
    assert wider == width or wider % UNIT == 0


@given(st.integers(1, 400), st.integers(1, 9))
def test_height_gives_all_columns_as_many_rows_as_the_fullest_has(height, columns):
    taller = pitch_height(height, columns)
    fullest = max(b - a for a, b in split_rows(height, columns, 1, EVEN))
    rows = split_rows(taller, columns, 1, EVEN)
    assert max(b - a for a, b in rows) == fullest
    if taller > height:
        assert all(b - a == fullest and a < height for a, b in rows), "no column is without a row of the image"


# ---------------------------------------------------------------------- networks


def images(pixels, seed=0, channels=24):
    """Every kind of layer that can write what is added, and some that cannot."""
    b = GraphBuilder((5, pixels, pixels), seed)
    x = b.conv("x", channels, 3)
    left, right = b.conv(x, 16, 1), b.conv(x, 16, 3)
    y = b.concat(left, right, b.pool(x, 3, 1), b.pool(x, 3, 1, divisors=AVERAGE))
    z = b.add(b.conv(y, 16, 1), b.conv(b.conv(y, 16, 1), 16, 3))
    strided = b.conv(z, 9, 1, 2) if pixels > 1 else z
    return b.graph(b.conv(strided, 11, 3), b.pool(z, 2, 2, NO_PADS) if pixels > 1 else z)


@pytest.mark.parametrize("pixels", [1, 5, 6, 7, 8, 9, 13, 27, 31, 33])
def test_outputs_are_those_of_the_reference(pixels):
    graph = images(pixels)
    compiled = compile_graph(graph, "npu1", moves=Moves(always=True))
    check(graph, compiled)
    tensors, storages = compiled.physical.tensors, compiled.physical.storages
    sizes = {n: ((s.height, s.width), (tensors[n].height, tensors[n].width)) for n, s in storages.items()}
    enlarged = {n for n, (found, needed) in sizes.items() if found != needed}
    assert bool(enlarged) == (pitch_width(pixels) > pixels or pitch_height(pixels, 4) > pixels)
    host = {compiled.physical.views[io.tensor].storage for io in (*graph.inputs, *graph.outputs)}
    assert not enlarged & host


@given(st.integers(1, 34), st.integers(1, 34), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_random_images(height, width, seed):
    rng = np.random.default_rng(seed)
    b = GraphBuilder((int(rng.integers(1, 30)), height, width), seed, float(rng.choice([1, 0.5])))
    x = b.conv("x", int(rng.integers(1, 40)), int(rng.choice([1, 3])))
    kept = x
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(0, 5))
        if kind == 0:
            x = b.conv(x, b.tensors[kept].channels, 3)
        elif kind == 1:
            x = b.pool(x, 3, 1, divisors=AVERAGE if rng.integers(0, 2) else ())
        elif kind == 2 and b.tensors[x].channels == b.tensors[kept].channels:
            x = b.add(x, kept)
        elif kind == 3:
            x = b.concat(b.conv(x, 8, 1), b.conv(x, 16, 3))
            kept = x
        else:
            x = b.copy(x)
    graph = b.graph(b.conv(x, 7, 1))
    check(graph, compile_graph(graph, "npu1"), seed)


def test_spilled_images_are_stored_and_loaded_whole():
    """What is added goes to DDR with the rest, so that nothing is read that was never written."""
    graph = images(27, channels=64)
    machine = dataclasses.replace(NPU1, memtile_bytes=76 * 1024)
    compiled = compile_graph(graph, machine)
    assert compiled.placement.spilled
    check(graph, compiled)


def ends_in_an_add(height, width, channels):
    b = GraphBuilder((16, height, width))
    s = b.conv("x", channels, 3)
    y = b.add(b.conv(b.conv(s, channels // 4, 1), channels, 1), s)
    return b.graph(b.add(b.conv(b.conv(y, channels // 4, 1), channels, 1), y))


def projection(height, width, channels):
    """A strided 1x1 with an add: it may not widen, what it adds to may."""
    b = GraphBuilder((16, height, width))
    x = b.conv("x", channels, 3)
    y = b.add(b.conv(x, channels, 1, 2), b.conv(b.conv(x, channels // 4, 3, 2), channels, 1))
    z = b.conv(b.conv(y, channels // 4, 1), channels, 1)
    return b.graph(b.conv(b.add(z, y), 16, 1))


@pytest.mark.parametrize(
    "graph",
    [
        ends_in_an_add(28, 27, 64), ends_in_an_add(28, 13, 256), ends_in_an_add(5, 5, 512), ends_in_an_add(6, 6, 1024),
        projection(26, 26, 256), projection(54, 54, 128), projection(104, 52, 128),
    ],
)  # fmt: skip
def test_memory_is_taken_over_only_from_an_image_of_the_same_lines(graph):
    """An add that the host reads keeps its size, while its operand is enlarged: not in place then."""
    compiled = compile_graph(graph, "npu1")
    check(graph, compiled)
    for item in compiled.placement.items:
        if item.in_place:
            rows = {compiled.physical.storages[p.storage].row_bytes for p in (item.inputs[-1], item.outputs[0])}
            assert len(rows) == 1


@pytest.mark.parametrize("dilation", [28, 29, 30, 31])
def test_zeros_that_a_descriptor_cannot_add(dilation):
    b = GraphBuilder((8, 8, 25))
    graph = b.graph(b.conv(b.conv("x", 16, 3, pads=(dilation,) * 4, dilation=dilation), 8, 1))
    check(graph, compile_graph(graph, "npu1"))


def test_fewer_descriptors():
    b = GraphBuilder((16, 13, 13))
    x = "x"
    for _ in range(4):
        x = b.conv(x, 64, 3)
    graph = b.graph(b.conv(x, 64, 1))
    with_pitch, without = (compile_graph(graph, "npu1", moves=Moves(pitch=p)) for p in (True, False))
    assert writes(with_pitch) < 0.8 * writes(without)
    assert check(graph, with_pitch).cycles < check(graph, without).cycles


def test_what_keeps_its_size():
    b = GraphBuilder((16, 27, 27))
    x = b.conv("x", 16, 3)
    up = b.upsample(b.conv(x, 8, 3, 2))
    physical = pitched(assign_channels(b.graph(b.conv(up, 8, 1), x)), 4, 63)
    sizes = {n: (s.height, s.width) for n, s in physical.storages.items()}
    assert sizes["x"] == sizes[physical.views[x].storage] == (27, 27)
    assert sizes[physical.views[up].storage] == (28, 28), "upsampling of 14 pixels"
    b = GraphBuilder((16, 27, 27))
    x = b.conv("x", 16, 3)
    wide = pitched(assign_channels(b.graph(b.conv(b.conv(x, 16, 1, 2), 8, 1))), 4, 63)
    rows, columns = wide.storages[wide.views[x].storage].height, wide.storages[wide.views[x].storage].width
    assert (rows, columns) == (28, 28)


# ---------------------------------------------------------------------- half of the columns


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 3))
def test_narrow_splits_cover_the_image(n, columns, unit):
    rows = split_rows(n * unit, columns, unit, NARROW)
    assert len(rows) == columns and rows[0][0] == 0 and rows[-1][1] == n * unit
    assert all(a[1] == b[0] for a, b in pairwise(rows))
    assert sum(b > a for a, b in rows) <= narrow_columns(columns)
    assert all((b - a) % unit == 0 for a, b in rows)


def small_layers(pixels):
    b = GraphBuilder((32, pixels, pixels))
    x = b.conv("x", 32, 3)
    for _ in range(3):
        x = b.add(b.conv(b.conv(x, 16, 1), 32, 3), x)
    return b.graph(b.conv(b.pool(x, 2, 2, NO_PADS), 16, 1))


@pytest.mark.parametrize("pixels", [2, 7, 8, 9, 13])
def test_half_of_the_columns(pixels):
    graph = small_layers(pixels)
    heights = frozenset(range(2, 17))
    compiled = finish(prepare(graph, NPU1, Decisions(narrow=heights)))
    rows = [item.out_rows for item in compiled.placement.items if sum(b - a for a, b in item.out_rows) > 1]
    assert rows and all(sum(b > a for a, b in r) <= 2 for r in rows)
    check(graph, compiled)


def test_commands_decide_who_is_narrow():
    """Small layers run on half of the columns, and are faster so; large ones do not."""
    b = GraphBuilder((32, 8, 8))
    x = b.conv("x", 32, 3)
    for _ in range(8):
        x = b.conv(b.conv(x, 16, 1), 32, 3)
    graph = b.graph(x)
    compiled = compile_graph(graph, "npu1")
    used = {sum(b > a for a, b in item.out_rows) for item in compiled.placement.items}
    assert used == {2}
    wide = compile_graph(graph, "npu1", moves=Moves(narrow=False))
    assert check(graph, compiled).cycles < check(graph, wide).cycles
    b = GraphBuilder((64, 8, 8))
    heavy = compile_graph(b.graph(b.conv(b.conv("x", 512, 3), 512, 3)), "npu1")
    assert all(sum(b > a for a, b in item.out_rows) == 4 for item in heavy.placement.items)


def test_half_of_the_columns_has_fewer_commands():
    """The saving that the first guess assumes (``NARROW_COMMANDS``), against the commands of both programs."""
    graph = small_layers(9)
    wide, narrow = (
        finish(prepare(graph, NPU1, Decisions(narrow=heights))) for heights in (frozenset(), frozenset(range(2, 17)))
    )
    assert writes(narrow) < 0.8 * writes(wide)
    array = Array(NPU1, Overlay())
    counted = [sum(control for _, control in costs(array, c.physical, c.placement, c.tilings)) for c in (narrow, wide)]
    assert 0.4 < counted[0] / counted[1] < NARROW_COMMANDS


# ---------------------------------------------------------------------- diagonal convolutions


def scaled(channels, pixels, kernel=1, layers=2):
    b = GraphBuilder((channels, pixels, pixels))
    x = b.conv("x", channels, 1)
    for _ in range(layers):
        x = b.conv(x, channels, kernel, groups=channels)
    return b.graph(b.conv(x, 16, 1))


@pytest.mark.parametrize(
    ("channels", "pixels", "kernel"), [(32, 14, 1), (64, 7, 3), (96, 9, 1), (128, 28, 1), (512, 28, 3)]
)
def test_diagonal(channels, pixels, kernel):
    graph = scaled(channels, pixels, kernel)
    compiled = compile_graph(graph, "npu1", moves=Moves(narrow=False))
    check(graph, compiled)
    if channels >= 512:
        assert any(t.diagonal for t in compiled.tilings)


def test_diagonal_messages_carry_no_other_blocks():
    """All activations of a layer travel once in all, instead of once per pass."""
    graph = scaled(512, 28, 1, 1)
    compiled = compile_graph(graph, "npu1", moves=Moves(narrow=False, scales=False))
    at = next(i for i, t in enumerate(compiled.tilings) if t.diagonal)
    tiling, item = compiled.tilings[at], compiled.placement.items[at]
    assert tiling.n_pass > 1 and tiling.n_pass * tiling.ckb == item.geometry.in_blocks
    stats = check(graph, compiled).items[at]
    assert stats.bytes_a < 1.3 * item.geometry.in_blocks * 28 * 28 * 8


def test_who_is_diagonal():
    eye = np.eye(8, dtype=np.bool_)
    b = GraphBuilder((64, 9, 9))
    graph = assign_channels(b.graph(b.conv("x", 64, 3, groups=64)))
    geo = geometry_of(graph.layers[0], graph)
    assert is_diagonal(geo, Blocks.whole(eye, 3, 3), 4)
    assert not is_diagonal(geo, Blocks.whole(eye, 3, 3), 3), "eight blocks on three core rows"
    other = eye.copy()
    other[0, 1] = True
    assert not is_diagonal(geo, Blocks.whole(other, 3, 3), 4)
    assert not is_diagonal(dataclasses.replace(geo, n_inputs=2), Blocks.whole(eye, 3, 3), 4)


# ---------------------------------------------------------------------- pools over all columns, barrier


@given(st.integers(1, 300), st.integers(1, 8))
def test_spread_blocks_cover_all(blocks, share):
    share = min(share, blocks)
    count, step = spread_blocks(blocks, share)
    assert {b for c in range(share) for b in range(c * step, c * step + count)} == set(range(blocks))
    assert count - step < share


@pytest.mark.parametrize("channels", [1000, 8 * 31, 24])
def test_global_pool_of_any_number_of_blocks(channels):
    b = GraphBuilder((16, 13, 13))
    graph = b.graph(b.global_pool(b.conv("x", channels, 1)))
    check(graph, compile_graph(graph, "npu1"))


@pytest.mark.parametrize("outputs", [0, 1, 5, 62])
def test_barrier_is_a_sweep(outputs):
    """Played by hand: whatever column is slow, nobody passes before all are complete and the last has come."""
    array = Array(NPU1, Overlay())
    locks = {(array.memtile(c), lock): 0 for c in range(4) for lock in (O_DONE, NBR_W)}
    pairs = [list(barrier(array, c, Before(outputs))) for c in range(4)]

    def play(columns):
        moved = True
        while moved:
            moved = False
            for c in columns:
                while pairs[c]:
                    acquire, release = pairs[c][0]
                    if acquire and locks[acquire.tile, acquire.lock] < acquire.value:
                        break
                    if acquire:
                        locks[acquire.tile, acquire.lock] -= acquire.value
                    if release:
                        locks[release.tile, release.lock] += release.value
                    pairs[c].pop(0)
                    moved = True

    for c in range(1, 4):
        locks[array.memtile(c), O_DONE] += outputs
    play([0, 1, 2])  # the last column's prologue has not been pushed, the first one's outputs are missing
    assert all(pairs[c] for c in range(3))
    play([0, 1, 2, 3])
    if outputs:
        assert all(pairs), "column 0 is not complete"
    locks[array.memtile(0), O_DONE] += outputs
    play([0, 1, 2, 3])
    assert not any(pairs) and not any(locks.values())


# ---------------------------------------------------------------------- pools behind convolutions


def pooled(height, width, channels, window, padded):
    b = GraphBuilder((16, height, width), 3)
    pads = (1, 1, 1, 1) if padded else NO_PADS
    x = b.pool(b.conv("x", channels, 3), window, 2, pads)
    return b.graph(b.conv(x, 24, 1))


@given(st.integers(3, 34), st.integers(3, 34), st.sampled_from([8, 24, 64]), st.sampled_from([2, 3]), st.booleans())
@settings(max_examples=25, deadline=None)
def test_windows_beyond_what_the_convolution_writes(height, width, channels, window, padded):
    graph = pooled(height, width, channels, window, padded)
    check(graph, compile_graph(graph, "npu1"))


def test_a_pooled_image_has_its_pitch():
    """27x27 pixels come as 28x28, and so with two descriptors fewer for each channel and turn of the ring."""
    graph = pooled(55, 55, 64, 3, False)
    compiled = compile_graph(graph, "npu1")
    layer = next(n for n in compiled.physical.layers if getattr(n, "pool_after", None))
    storage = compiled.physical.storages[compiled.physical.views[layer.output].storage]
    assert (storage.height, storage.width) == (28, 28)
    assert writes(compiled) < writes(compile_graph(graph, "npu1", moves=Moves(pitch=False)))
    check(graph, compiled)
