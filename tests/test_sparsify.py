"""Block pruning: exact counts, no empty rows or columns, idempotence, and equality with numpy's top-k."""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import networks
from tvm_aie.errors import InputError
from tvm_aie.frontend.onnx_build import NetBuilder
from tvm_aie.frontend.onnx_fold import quiet_options
from tvm_aie.frontend.onnx_graph import OnnxGraph
from tvm_aie.quantize import quantize
from tvm_aie.sparsity import sparsify
from tvm_aie.sparsity.blocks import apply_mask, block_importance, choose_blocks, live_count


def importance_of(rows: int, columns: int, seed: int, heavy: bool) -> np.ndarray:
    """Random importances; ``heavy`` concentrates them in one row and column, which empties the others."""
    rng = np.random.default_rng(seed)
    values = rng.random((rows, columns))
    if heavy:
        values[0] += 5
        values[:, 0] += 5
    return values


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 1), st.integers(0, 999), st.booleans())
def test_exact_count_and_no_empty_row_or_column(rows, columns, density, seed, heavy):
    importance = importance_of(rows, columns, seed, heavy)
    live = live_count(rows * columns, density)
    assert live == min(rows * columns, math.ceil(density * rows * columns - 1e-9))
    mask = choose_blocks(importance, live)
    assert mask.sum() == max(live, rows, columns)
    assert mask.any(axis=1).all() and mask.any(axis=0).all()
    np.testing.assert_array_equal(choose_blocks(importance * mask, int(mask.sum())), mask)


@given(st.integers(1, 10), st.integers(1, 10), st.floats(0.01, 1), st.integers(0, 999))
def test_equals_numpy_top_k_when_nothing_binds(rows, columns, density, seed):
    importance = importance_of(rows, columns, seed, False)
    live = live_count(rows * columns, density)
    top = np.zeros(importance.size, bool)
    top[np.argsort(importance, axis=None)[::-1][:live]] = True
    top = top.reshape(importance.shape)
    np.testing.assert_array_equal(choose_blocks(importance, live, allow_empty=True), top)
    if top.any(axis=1).all() and top.any(axis=0).all():
        np.testing.assert_array_equal(choose_blocks(importance, live), top)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60)
def test_importance_against_a_loop(out, cin, taps, rows, columns):
    weight = np.random.default_rng(out * 31 + cin).standard_normal((out, cin, taps))
    for norm in ("l1", "l2", "variance"):
        result = block_importance(weight, (rows, columns), norm)
        assert result.shape == (-(-out // rows), -(-cin // columns))
        for r in range(result.shape[0]):
            for c in range(result.shape[1]):
                block = weight[r * rows : (r + 1) * rows, c * columns : (c + 1) * columns]
                expected = {"l1": np.abs(block).sum(), "l2": np.sqrt((block**2).sum()), "variance": block.var()}[norm]
                assert result[r, c] == pytest.approx(expected, abs=1e-9)


def blocks_alive(view: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    return block_importance(np.abs(view), block, "l1") > 0


def weights(model: onnx.ModelProto, kind: str) -> list[np.ndarray]:
    graph = OnnxGraph.from_model(model)
    producers = graph.producers()
    found = []
    for node in graph.nodes:
        if node.op_type == kind:
            source = producers.get(node.input[1])
            found.append(graph.constants[source.input[0] if source is not None else node.input[1]])
    return found


def small_net(cout: int = 40, seed: int = 0) -> onnx.ModelProto:
    b = NetBuilder("net", (1, 3, 8, 8), seed)
    x = b.relu(b.conv("data", 24))
    x = b.relu(b.conv(x, cout))
    x = b.relu(b.conv(x, cout, groups=cout))
    x = b.relu(b.conv(x, 19, 1))
    b.gemm(b.flatten(x, 19 * 64), 10)
    return b.model()


@pytest.mark.parametrize("quantised", [False, True])
@pytest.mark.parametrize("density", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("block", [(8, 8), (16, 8), (4, 8)])
def test_layers_of_a_network(quantised, density, block):
    model = quantize(small_net()) if quantised else small_net()
    pruned, report = sparsify(model, density, block)
    onnx.checker.check_model(pruned, full_check=True)
    rows = {x.name: x for x in report.layers}
    first, second, depthwise, point, dense = report.layers
    assert first.note == "first convolution" and first.density == 1
    assert depthwise.note == "grouped convolution (40 groups)" and depthwise.density == 1
    assert dense.shape == (10, 19, 64), "a flattened image is (out, channels, pixels)"
    convs, gemm = weights(pruned, "Conv"), weights(pruned, "Gemm")[0]
    for layer, weight in ((second, convs[1]), (point, convs[3]), (dense, gemm.reshape(10, 19, 64))):
        grid = -(-layer.shape[0] // block[0]), -(-layer.shape[1] // block[1])
        assert layer.blocks == grid[0] * grid[1]
        assert layer.live == max(math.ceil(density * layer.blocks), *grid)
        alive = blocks_alive(weight, block)
        assert alive.sum() == layer.live and alive.any(axis=0).all() and alive.any(axis=1).all()
    np.testing.assert_array_equal(convs[0], weights(model, "Conv")[0])
    again, second_report = sparsify(pruned, density, block)
    assert second_report == report and len(rows) == 5
    np.testing.assert_array_equal(weights(again, "Conv")[1], convs[1])


def test_pruned_values_are_zero_or_unchanged_and_the_network_runs():
    model = quantize(small_net())
    pruned, _ = sparsify(model, 0.5, norm="l2")
    for before, after in zip(weights(model, "Conv"), weights(pruned, "Conv"), strict=True):
        assert after.dtype == np.int8
        assert np.all((after == before) | (after == 0))
    x = np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)
    session = ort.InferenceSession(pruned.SerializeToString(), quiet_options())
    assert session.run(None, {"data": x})[0].shape == (1, 10)


def test_density_one_changes_nothing():
    model = small_net()
    pruned, report = sparsify(model, 1.0)
    assert report.density == 1
    for before, after in zip(weights(model, "Conv"), weights(pruned, "Conv"), strict=True):
        np.testing.assert_array_equal(before, after)


def test_keep_and_allow_empty():
    model = small_net()
    names = [n.name for n in model.graph.node if n.op_type in ("Conv", "Gemm")]
    _, report = sparsify(model, 0.5, keep=[names[1], "n_gemm*"])
    assert [x.note for x in report.layers][1::3] == ["kept on request"] * 2
    with pytest.raises(InputError, match=r"--keep 'nothing' names no layer; layers are n_conv_0"):
        sparsify(model, 0.5, keep=["nothing"])
    _, low = sparsify(model, 0.01)
    assert [x.live for x in low.layers][1] == 5 and "more than asked" in low.layers[1].note
    _, empty = sparsify(model, 0.01, allow_empty=True)
    assert [x.live for x in empty.layers][1] == 1


def test_matmul_is_stored_in_by_out():
    b = NetBuilder("mm", (2, 32))
    x = b.op("MatMul", ["data", b.constant("w", b.normal(32, 24))], 24)
    b.gemm(x, 16)
    pruned, report = sparsify(b.model(), 0.5)
    assert [x.shape for x in report.layers] == [(24, 32, 1), (16, 24, 1)]
    assert blocks_alive(weights(pruned, "MatMul")[0].T[:, :, None], (8, 8)).sum() == report.layers[0].live == 6


def test_network_scope_keeps_the_total():
    pruned, report = sparsify(small_net(), 0.5, scope="network", allow_empty=True)
    prunable = [x for x in report.layers if not x.note]
    assert sum(x.live for x in prunable) == math.ceil(0.5 * sum(x.blocks for x in prunable))
    assert onnx.checker.check_model(pruned) is None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"density": 0}, "density 0: it must be above 0"),
        ({"density": 1.5}, "density 1.5"),
        ({"density": 0.5, "norm": "max"}, "norm 'max' is unknown; there are l1, l2, variance"),
        ({"density": 0.5, "block": (0, 8)}, "two positive numbers"),
        ({"density": 0.5, "scope": "all"}, "scope 'all'"),
    ],
)
def test_options(options, text):
    with pytest.raises(InputError, match=text):
        sparsify(small_net(), **options)


def test_report_text():
    _, report = sparsify(networks.vgg_block(), 0.5)
    lines = report.text().splitlines()
    assert lines[0] == "blocks 8x8, norm l1, target density 50.0%"
    assert len(lines) == 2 + len(report.layers) and "first convolution" in lines[1]


def test_apply_mask_respects_the_zero_point():
    weight = np.full((9, 9, 1), 7, np.int8)
    mask = np.asarray([[True, False], [False, True]])
    result = apply_mask(weight, mask, (8, 8), zero=3)
    assert (
        (result[:8, :8] == 7).all() and (result[:8, 8] == 3).all() and (result[8, :8] == 3).all() and result[8, 8] == 7
    )
