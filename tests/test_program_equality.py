"""Layer graph to program to emulator: the bytes that come out are those of the numpy int64 reference.

Every run is in check mode: races, never-written memory and undelivered data are faults.
"""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, resnet50, run_checked
from tvm_aie.device import load_device
from tvm_aie.errors import InfeasibleError, ProgramError
from tvm_aie.memory.partition import NARROW, _options, split_rows
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.graph import AvgDivisor, Pool
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program


def run(graph, device="npu1", seed=0, check=True, **options):
    compiled = compile_graph(graph, device)
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=check, **options))
    expected = evaluate(graph, {"x": x})
    for io, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got.reshape(-1), np.asarray(expected[io.tensor]).reshape(-1), err_msg=io.tensor)
    return compiled, result


@pytest.mark.parametrize("pixels", [1, 7, 8, 9, 31, 33])
@pytest.mark.parametrize("channels", [1, 3, 8, 13])
@pytest.mark.parametrize(("k", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (5, 1)])
def test_convolution_sizes(pixels, channels, k, stride):
    b = GraphBuilder((channels, pixels, pixels))
    run(b.graph(b.conv("x", 24, k, stride)))


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((3, 64, 64), {"cout": 64, "k": 7, "stride": 2, "pads": (3, 3, 3, 3)}),
        ((3, 67, 67), {"cout": 32, "k": 11, "stride": 4, "pads": (0, 0, 0, 0)}),
        ((64, 7, 7), {"cout": 256, "k": 7, "pads": (0, 0, 0, 0)}),
        ((256, 14, 14), {"cout": 512, "k": 3}),
        ((32, 15, 15), {"cout": 32, "k": 3, "groups": 32}),
        ((24, 12, 12), {"cout": 48, "k": 3, "groups": 3}),
        ((16, 20, 12), {"cout": 24, "k": 3, "dilation": 2, "pads": (2, 2, 2, 2)}),
        ((16, 9, 13), {"cout": 24, "k": 3, "pads": (0, 1, 2, 3)}),
        ((8, 16, 16), {"cout": 16, "k": 1, "kw": 5}),
        ((8, 16, 16), {"cout": 16, "k": 3, "negative_mul": 26, "lo": -128}),
        ((2048, 1, 1), {"cout": 1000, "k": 1, "lo": -128}),
        ((8, 5, 400), {"cout": 16, "k": 3}),
    ],
)
def test_convolution_forms(shape, arguments):
    b = GraphBuilder(shape)
    run(b.graph(b.conv("x", **arguments)))


@pytest.mark.parametrize("device", ["npu1", "wbs-1x1", "wbs-2x3", "wbs-4x4"])
@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((8, 5, 5), {"cout": 16, "k": 1, "kw": 4, "stride": 3, "dilation": 3, "pads": (0, 4, 0, 9)}),
        ((8, 1, 1), {"cout": 16, "k": 3, "kw": 1, "stride": 2, "pads": (2, 1, 1, 0)}),
        ((8, 3, 2), {"cout": 16, "k": 1, "pads": (0, 31, 0, 31)}),
        ((8, 9, 7), {"cout": 16, "k": 2, "kw": 3, "pads": (40, 11, 33, 12)}),
    ],
)
def test_windows_that_lie_beside_the_image(device, shape, arguments):
    """Chunks of a line may be padding alone, of which no DMA can make a message."""
    b = GraphBuilder(shape)
    run(b.graph(b.conv("x", **arguments)), device)


@pytest.mark.parametrize("density", [0.0, 0.25, 0.5])
def test_dead_blocks_cost_no_bytes_and_no_macs(density):
    def build(d):
        b = GraphBuilder((64, 16, 16), 3, d)  # as many rows in each column: no tiling computes one twice
        return b.graph(b.conv("x", 64, 3))

    (dense_c, dense), (sparse_c, sparse) = run(build(1.0)), run(build(density))
    live = (sparse_c.tilings[0].n_pass, sparse.items[0].macs / dense.items[0].macs)
    share = np.mean(
        [
            b.any()
            for b in sparse_c.graph.layers[0]
            .weight.reshape(8, 8, 8, 8, 3, 3)
            .transpose(0, 2, 1, 3, 4, 5)
            .reshape(64, -1)
        ]
    )
    assert live[1] == pytest.approx(share)
    assert sparse.items[0].dense_macs == dense.items[0].macs
    assert len(sparse_c.program.const) < len(dense_c.program.const)
    assert sparse.cycles <= dense.cycles


@pytest.mark.parametrize("device", ["wbs-3x3", "wbs-3x5", "wbs-5x5", "wbs-6x6"])
def test_blocks_that_do_not_divide_by_the_rows(device):
    """A row of cores with fewer blocks has fewer messages than its neighbours; tasks still come in a live order."""
    b = GraphBuilder((3, 112, 112))
    run(b.graph(b.conv(b.conv("x", 64, 7, 2), 104, 3)), device)


def mixed(seed=0, density=1.0, pixels=20):
    b = GraphBuilder((16, pixels, pixels), seed, density)
    a = b.conv("x", 64, 1)
    r = b.add(a, b.conv(b.conv(a, 64), 64, 3, lo=-128))
    p = b.pool(r)
    q = b.pool(r, divisors=tuple(AvgDivisor(c, 1024 // c, 10) for c in (4, 6, 9)))
    cat = b.concat(p, b.constant(b.constant(q), mul=2), b.conv(q, 5, 1), b.conv(p, 3, 1))
    shuffled = b.permute(cat, np.random.default_rng(seed).permutation(b.tensors[cat].channels))
    y = b.conv(shuffled, 40, 3, groups=4)
    up = b.upsample(y)
    return b.graph(b.conv(up, 9, 3), b.global_pool(y))


@pytest.mark.parametrize("device", ["npu1", "wbs-1x1", "wbs-2x2", "wbs-3x3", "wbs-4x2", "wbs-2x5", "wbs-8x8"])
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_every_operator_on_every_kind_of_array(device, density):
    run(mixed(density=density), device)


@given(st.integers(0, 10**6))
@settings(max_examples=100, deadline=None)
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    b = GraphBuilder(
        (int(rng.integers(1, 30)), int(rng.integers(3, 24)), int(rng.integers(3, 24))),
        seed,
        float(rng.choice([1, 0.5])),
    )
    pool = ["x"]
    for _ in range(int(rng.integers(2, 7))):
        x = str(rng.choice(pool))
        t = b.tensors[x]
        same = [
            n
            for n in pool
            if (b.tensors[n].channels, b.tensors[n].height, b.tensors[n].width) == (t.channels, t.height, t.width)
        ]
        spatial = [n for n in pool if (b.tensors[n].height, b.tensors[n].width) == (t.height, t.width)]
        kind = rng.integers(0, 7)
        if kind == 0 and min(t.height, t.width) > 2:
            y = b.pool(x, 3, int(rng.integers(1, 3)))
        elif kind == 1:
            y = b.add(x, str(rng.choice(same)), (int(rng.integers(0, 3)), int(rng.integers(0, 3))), -128)
        elif kind == 2:
            y = b.concat(x, str(rng.choice(spatial)))
        elif kind == 3:
            y = b.permute(x, rng.permutation(t.channels))
        elif kind == 4:
            y = b.constant(x)
        else:
            y = b.conv(
                x,
                int(rng.integers(1, 40)),
                int(rng.choice([1, 3])),
                int(rng.integers(1, 3)),
                lo=int(rng.choice([0, -128])),
            )
        pool.append(y)
    run(b.graph(*{pool[-1], pool[len(pool) // 2 + 1]}), str(rng.choice(["npu1", "wbs-2x2", "wbs-3x2"])), seed)


def test_larger_than_all_memtiles_spills_and_stays_exact():
    device = dataclasses.replace(load_device("npu1"), memtile_bytes=96 * 1024)
    b = GraphBuilder((8, 64, 64))
    x = b.conv("x", 64, 3)
    y = b.conv(x, 64, 3)
    z = b.add(b.conv(y, 64, 1, lo=-128), x)
    compiled, result = run(b.graph(b.conv(z, 16, 3)), device)
    assert compiled.placement.spilled and any(i.chunk > 0 for i in compiled.placement.items)
    assert sum(i.bytes_store for i in result.items) > 64 * 64 * 64


def test_timed_mode_takes_the_same_cycles_and_compute_can_be_scaled():
    graph = mixed()
    compiled, result = run(graph)
    data = compiled.program.to_bytes()
    timed = run_program(data, [], RunOptions(functional=False))
    assert timed.cycles == result.cycles and [i.end for i in timed.items] == [i.end for i in result.items]
    slow = run_program(data, [], RunOptions(functional=False, compute_num=100))
    busy = sum(i.busy_sum for i in timed.items)
    assert sum(i.busy_sum for i in slow.items) >= 99 * busy > 0 and slow.cycles > timed.cycles
    free = run_program(data, [], RunOptions(functional=False, compute_num=0))
    assert sum(i.busy_sum for i in free.items) == 0


def test_same_input_same_bytes():
    assert compile_graph(mixed()).program.to_bytes() == compile_graph(mixed()).program.to_bytes()


def test_programs_name_their_items():
    meta = json.loads(compile_graph(mixed()).program.meta)
    assert meta["device"] == "npu1" and all(item["estimated_cycles"] > 0 for item in meta["items"])


@pytest.mark.parametrize("density", [1.0, 0.5])
def test_resnet50_within_the_limits(density):
    compiled, result = run(resnet50(density))
    limit_ms = {1.0: 5.7, 0.5: 3.6}[density]
    assert result.total_cycles / (compiled.device.clock_mhz * 1e3) < limit_ms


@pytest.mark.slow
@pytest.mark.parametrize("n", range(2, 9))
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_resnet50_on_every_square_array(n, density):
    run(resnet50(density), f"wbs-{n}x{n}", check=False)


def test_an_output_that_is_an_input_is_refused():
    """Nothing on the array would write it."""
    b = GraphBuilder((8, 7, 7))
    with pytest.raises(ProgramError, match="output x is an input"):
        compile_graph(b.graph(b.conv("x", 8, 1), "x"), "npu1")
    b = GraphBuilder((8, 7, 7))
    graph = b.graph(b.conv("x", 8, 1))
    with pytest.raises(ProgramError, match="output nowhere is never written"):
        dataclasses.replace(graph, outputs=(dataclasses.replace(graph.outputs[0], tensor="nowhere"),)).verify()


@pytest.mark.parametrize("device", ["npu1", "wbs-2x2"])
def test_what_does_not_fit_is_named(device):
    """A window whose weights exceed their ring is no matter of the input; the demand exceeds the limit named."""
    b = GraphBuilder((8, 9, 64))
    with pytest.raises(InfeasibleError, match=r"29x29 window: needs .* core weight memory") as caught:
        compile_graph(b.graph(b.conv("x", 8, 29)), device)
    assert caught.value.demand > caught.value.bound


@pytest.mark.parametrize("device", ["npu1", "wbs-2x2"])
@pytest.mark.parametrize("stride", [1, 2])
def test_lines_that_do_not_fit_are_named(device, stride):
    """A pool with padding takes whole lines; what is said to be too large is."""
    b = GraphBuilder((8, 2, 1600))
    with pytest.raises(InfeasibleError, match=r"core output memory|core input memory") as caught:
        compile_graph(b.graph(b.pool(b.permute("x", range(8)), 3, stride)), device)
    assert caught.value.demand > caught.value.bound


@given(st.integers(0, 10**6), st.sampled_from([9, 16, 24]), st.sampled_from(["npu1", "wbs-2x2"]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_a_residual_keeps_its_order_of_channels(seed, channels, device, twice):
    """A convolution that adds a residual cannot write the order that a later add wants; a copy does."""
    b, rng = GraphBuilder((channels, 5, 7), seed), np.random.default_rng(seed)
    x = b.conv("x", channels, 1) if rng.random() < 0.5 else "x"
    y = b.add(b.conv(x, channels, 1), x)
    if twice:
        y = b.add(b.conv(y, channels, 3), y)
    other = b.permute(x if rng.random() < 0.5 else b.conv(x, channels, 1), rng.permutation(channels))
    z = b.add(*((y, other) if rng.random() < 0.5 else (other, y)))
    graph = b.graph(b.conv(z, 8, 1), y)
    data = rng.integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compile_graph(graph, device).program.to_bytes(), [data], RunOptions(check=True))
    expected = evaluate(graph, {"x": data})
    for io, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got.reshape(-1), np.asarray(expected[io.tensor]).reshape(-1))


@pytest.mark.parametrize("device", ["npu1", "wbs-4x4", "wbs-1x8"])
@pytest.mark.parametrize("rows", [1, 2, 3, 7])
@pytest.mark.parametrize("window", [1, 3])
def test_images_upsampled_from_few_rows(device, rows, window):
    """An image whose rows come in pairs and one of the same height whose rows do not share a split."""
    b = GraphBuilder((16, rows, 2))
    run_checked(b.graph(b.conv(b.upsample(b.conv("x", 9, 1)), 9, window)), device, Moves())


@pytest.mark.parametrize("device", ["npu1", "wbs-4x4", "wbs-1x3"])
@pytest.mark.parametrize("factors", [(2, 3), (3, 2), (2, 4), (4, 2)])
def test_a_concat_of_several_upsamplings(device, factors):
    """Columns own whole multiples of both factors."""
    b = GraphBuilder((8, 24, 3))
    x = b.conv("x", 8, 1)
    parts = []
    for f in factors:
        name = b.name("pool")
        parts.append(b.upsample(b.add_layer(Pool(name, x, name, (f, 1), (f, 1), (0,) * 4)), (f, 1)))
    joined = b.concat(*parts)
    run_checked(b.graph(joined, b.conv(joined, 9, 3)), device, Moves())


@given(rows=st.integers(1, 70), columns=st.integers(1, 8), unit=st.integers(1, 4), other=st.integers(1, 4))
def test_a_split_has_all_rows(rows, columns, unit, other):
    """Also one that was an option for another unit."""
    height = rows * unit * other
    for split in (NARROW, *_options(height, columns, other)):
        owned = split_rows(height, columns, unit, split)
        assert [y for first, last in owned for y in range(first, last)] == list(range(height))
        assert all(y % unit == 0 for span in owned for y in span)
