"""Pixels of the network's input as channels (``plan.space_to_depth``): the same sums, fewer weight tiles, true MACs."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.program_read import read_program
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.reference import evaluate, folded
from tvm_aie.plan.space_to_depth import space_to_depth
from tvm_aie.report.collect import build_report, conv_work, layer_plans
from tvm_aie.runtime.emulator import RunOptions, run_program

APART = Moves(space_to_depth=False)


def as_uint8(graph):
    return dataclasses.replace(graph, inputs=tuple(dataclasses.replace(io, dtype="uint8") for io in graph.inputs))


def image(graph, seed=0):
    io = graph.inputs[0]
    return np.random.default_rng(seed).integers(0, 256, io.shape).astype(np.uint8).view(io.dtype)


def check(graph, device="npu1"):
    """Compiled with and without the move: both give the reference's bytes."""
    x = image(graph)
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor].reshape(-1)
    both = [compile_graph(graph, device, moves=moves) for moves in (Moves(), APART)]
    for compiled in both:
        result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
        np.testing.assert_array_equal(result.outputs[0].reshape(-1), expected)
    return both


def by_the_book(x, fold):
    """Channel d*C + c of pixel q is channel c of pixel fold*q + d, element by element."""
    c, h, w = x.shape
    out = np.zeros((fold * c, h, -(-w // fold)), x.dtype)
    for channel in range(c):
        for y in range(h):
            for pixel in range(w):
                out[pixel % fold * c + channel, y, pixel // fold] = x[channel, y, pixel]
    return out


@pytest.mark.parametrize("width", [1, 7, 8, 9, 31, 33])
@pytest.mark.parametrize("fold", [2, 3, 4])
def test_folded_image(width, fold):
    x = np.random.default_rng(width).integers(-128, 128, (2, 3, width)).astype(np.int8)
    np.testing.assert_array_equal(folded(x, fold), by_the_book(x, fold))


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 5),
    st.sampled_from([1, 2, 7, 8, 9, 31, 33]),
    st.integers(1, 8),
    st.integers(1, 6),
    st.tuples(*[st.integers(0, 3)] * 4),
    st.integers(0, 99),
)
def test_the_folded_graph_computes_the_same(channels, width, k, stride, pads, seed):
    if pads[1] + pads[3] + width < k or pads[0] + pads[2] + 9 < k:
        return
    b = GraphBuilder((channels, 9, width), seed=seed)
    graph = as_uint8(b.graph(b.conv("x", 5, k, stride, pads=pads)))
    other = space_to_depth(graph)
    other.verify()
    x = image(graph, seed)
    np.testing.assert_array_equal(*(evaluate(g, {"x": x})[g.outputs[0].tensor] for g in (graph, other)))
    conv, before = other.layers[0], graph.layers[0]
    assert conv.weight.shape[1:] == before.weight.shape[1:] or conv.weight[0, 0].size < before.weight[0, 0].size
    assert sorted(conv.weight[conv.weight != 0]) == sorted(before.weight[before.weight != 0])


def test_strides_that_differ_and_two_windows_on_one_input():
    b = GraphBuilder((3, 17, 33))
    tall = b.conv("x", 8, 5, 2, pads=(2, 2, 2, 2))
    wide = b.conv("x", 8, 3, 2, pads=(1, 1, 1, 1))
    graph = b.graph(b.concat(tall, wide))
    layers = tuple(dataclasses.replace(n, stride=(1, 2)) for n in graph.layers[:2])
    tensors = dict(graph.tensors)
    for name in (tall, wide, graph.layers[2].output):
        tensors[name] = dataclasses.replace(tensors[name], height=17)
    out = dataclasses.replace(graph.outputs[0], shape=(1, 16, 17, 17))
    graph = dataclasses.replace(graph, layers=(*layers, graph.layers[2]), tensors=tensors, outputs=(out,))
    compiled, _ = check(graph)
    assert compiled.program.io[0].fold == 2 and [n.stride for n in compiled.graph.layers[:2]] == [(1, 2)] * 2
    assert all(n.stride == (1, 1) for n in compiled.physical.layers)


def test_an_input_that_is_a_residual_too_is_left_alone():
    b = GraphBuilder((3, 16, 16))
    y = b.upsample(b.conv("x", 3, 3, 2), (4, 4))
    graph = b.graph(b.add(b.conv(y, 3, 3, 2), "x"))
    compiled, _ = check(graph)
    assert any(getattr(n, "tail", None) and n.tail.residual == "x" for n in compiled.physical.layers), "it is fused"
    assert compiled.program.io[0].fold == 1


def test_a_batch():
    b = GraphBuilder((3, 9, 31))
    graph = as_uint8(b.graph(b.conv("x", 16, 3, 2)))

    def many(io):
        return dataclasses.replace(io, shape=(3, *io.shape[1:]))

    graph = dataclasses.replace(graph, inputs=(many(graph.inputs[0]),), outputs=(many(graph.outputs[0]),))
    check(graph)


@pytest.mark.parametrize("device", ["npu1", "aie2/wbs-2x2"])
@pytest.mark.parametrize(
    ("shape", "k", "stride", "pads", "fold"),
    [
        ((3, 33, 33), 7, 2, (3, 3, 3, 3), 2),
        ((3, 31, 31), 3, 2, (0, 0, 0, 0), 2),
        ((3, 8, 9), 3, 2, (0, 0, 1, 1), 2),
        ((1, 7, 31), 5, 4, (2, 2, 2, 2), 4),
        ((4, 9, 33), 4, 4, (0, 0, 0, 0), 2),
        ((2, 1, 8), 1, 1, (0, 0, 0, 0), 1),
    ],
)
def test_programs(device, shape, k, stride, pads, fold):
    b = GraphBuilder(shape)
    if shape[1] == 1:
        graph = as_uint8(b.graph(b.conv("x", 24, 1)))
    else:
        graph = as_uint8(b.graph(b.conv(b.conv("x", 24, k, stride, pads=pads), 16, 3)))
    compiled, _ = check(graph, device.removeprefix("aie2/"))
    io = compiled.program.io[0]
    assert (io.fold, io.host_shape) == (fold, (1, *shape))
    assert read_program(compiled.program.to_bytes()).io == compiled.program.io


def test_a_7x7_window_needs_28_tiles_and_half_the_input_bytes():
    b = GraphBuilder((3, 64, 64))
    folded_one, plain = check(b.graph(b.conv("x", 64, 7, 2, pads=(3, 3, 3, 3))))
    conv, whole = (c.physical.layers[0] for c in (folded_one, plain))
    assert conv.weight.shape == (64, 6, 7, 4) and whole.weight.shape == (64, 3, 7, 7)
    assert conv.stride == (2, 1) and conv.pads == (3, 2, 3, 1)
    assert folded_one.program.ddr_sizes[1] * 2 == plain.program.ddr_sizes[1]


def test_the_report_counts_the_networks_macs():
    b = GraphBuilder((3, 33, 33))
    graph = b.graph(b.conv("x", 24, 7, 2, pads=(3, 3, 3, 3)))
    rows = []
    for compiled in check(graph):
        result = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))
        rows.append(build_report("one", load_device("npu1"), (), [compiled], [result]))
    assert rows[0].sparsity.dense_macs == rows[1].sparsity.dense_macs == 24 * 3 * 49 * 17 * 17
    assert rows[0].sparsity.macs == rows[1].sparsity.macs
    assert rows[0].sparsity.dense_weight_bytes == rows[1].sparsity.dense_weight_bytes


@pytest.mark.parametrize("taps", ["all", "centre", "some"])
@pytest.mark.parametrize("device", ["npu1", "wbs-2x2"])
def test_planned_macs_are_the_networks(device, taps):
    """With taps listed or blocks walked: what the plan keeps, counted tap by tap of the network's window."""
    b = GraphBuilder((3, 33, 33))
    graph = b.graph(b.conv("x", 24, 7, 2, pads=(3, 3, 3, 3)))
    keep = np.ones((3, 7, 7), np.bool_)
    if taps == "centre":
        keep[:] = np.arange(7) == 3
    elif taps == "some":
        keep = np.random.default_rng(0).random((3, 7, 7)) < 0.3
    weight = (graph.layers[0].weight.reshape(3, 8, 3, 7, 7) * keep[:, None, None]).reshape(24, 3, 7, 7)
    graph = dataclasses.replace(graph, layers=(dataclasses.replace(graph.layers[0], weight=weight.astype(np.int8)),))
    for compiled, exact in zip(check(graph, device), (True, False), strict=True):
        (conv,) = compiled.physical.layers
        cover = layer_plans(compiled)[conv.name][1]
        work = conv_work(compiled.physical, conv, cover)
        walked, live = cover.blocks[:, 0], np.abs(weight).reshape(3, 8, 3, 49).any(axis=(1, 2))
        per_block = np.where(walked, 49, live.sum(axis=1)) * 8 * 3 * 17 * 17
        assert work.macs == work.dense_macs == 24 * 3 * 49 * 17 * 17
        assert work.planned_macs == per_block.sum() or not exact
        assert work.int4_macs <= work.planned_macs <= work.macs


def test_what_is_left_alone():
    def fold(make, shape=(3, 32, 32), io=()):
        b = GraphBuilder(shape)
        made = make(b)
        graph = b.graph(made) if isinstance(made, str) else made
        graph = dataclasses.replace(graph, inputs=tuple(dataclasses.replace(i, **dict(io)) for i in graph.inputs))
        out = space_to_depth(graph)
        return max(i.fold for i in out.inputs), out

    assert fold(lambda b: b.conv("x", 8, 3, 2))[0] == 2
    unchanged = {
        "stride 1": lambda b: b.conv("x", 8, 3, 1),
        "stride 3 and eight channels": lambda b: b.conv("x", 8, 3, 3),
        "one tap": lambda b: b.conv("x", 8, 1, 2),
        "dilation": lambda b: b.conv("x", 8, 3, 2, dilation=2, pads=(2, 2, 2, 2)),
        "groups": lambda b: b.conv("x", 3, 3, 2, groups=3),
        "another reader": lambda b: b.concat(b.conv("x", 8, 3, 2), b.pool("x", 2, 2, pads=(0, 0, 0, 0))),
    }
    shapes = {"stride 3 and eight channels": (8, 33, 33)}
    assert fold(lambda b: b.conv("x", 8, 3, 2), io={"shape": (1, 3072)})[0] == 1, "flat on the host"
    for why, make in unchanged.items():
        found, graph = fold(make, shapes.get(why, (3, 32, 32)))
        assert found == 1 and all(x.true_window is None for x in graph.layers if isinstance(x, Conv)), why


def test_a_program_that_folds_an_output_is_refused():
    b = GraphBuilder((3, 8, 8))
    graph = b.graph(b.conv("x", 8, 3, 2))
    program = compile_graph(graph, "npu1").program
    io = tuple(dataclasses.replace(i, fold=2, channel_map=i.channel_map * 2) if i.kind else i for i in program.io)
    data = dataclasses.replace(program, io=io).to_bytes()
    with pytest.raises(ProgramError, match="only an input image can be folded"):
        run_program(data, [image(graph)], RunOptions())
