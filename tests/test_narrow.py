"""Narrowing of weights, which changes values: the least error, an honest count, and equality with onnxruntime."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from tvm_aie.cli.main import main
from tvm_aie.sparsity.narrow import narrow_weights, to_int4


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=20))
def test_the_nearest_grid(values):
    value = np.array(values, np.int8)
    narrow, shift = to_int4(value)
    assert narrow.min() >= -8 and narrow.max() <= 7

    def least(s):  # by trying all sixteen values for each weight
        grid = np.arange(-8, 8) << s
        return int(((grid[None] - value[:, None].astype(int)) ** 2).min(axis=1).sum())

    error = int(((narrow.astype(int) * (1 << shift) - value) ** 2).sum())
    assert error == min(least(s) for s in range(5))


def test_values_that_fit_stay():
    value = np.arange(-8, 8, dtype=np.int8)
    narrow, shift = to_int4(value)
    assert shift == 0 and np.array_equal(narrow, value)


def weights_of(model):
    """int8 initialisers of weights by name."""
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer if t.data_type == onnx.TensorProto.INT8}


def test_command_reports_what_changed_and_the_array_agrees_with_onnxruntime(tmp_path, capsys, monkeypatch):
    from tvm_aie.cli import service
    from tvm_aie.cli.progress import Progress
    from tvm_aie.quantize import quantize

    monkeypatch.chdir(tmp_path)
    onnx.save(quantize(float_net()), "net.onnx")
    assert main(["sparsify", "net.onnx", "--density", "1", "--weight-bits", "4", "-o", "narrow.onnx", "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "this changes values" in text
    before, after = onnx.load("net.onnx"), onnx.load("narrow.onnx")
    _, report = narrow_weights(before)
    assert f"{report.changed:,} of" in text and report.changed > 0
    int4 = [w for w in weights_of(after).values() if w.ndim == 4]
    assert len(int4) == 2 and all(w.min() >= -8 and w.max() <= 7 for w in int4)
    quiet = Progress(quiet=True)
    network = service.compile_network("narrow.onnx", "aie2/wbs-2x2", quiet)
    assert {t.plan for region in network.compilation.compiled for t in region.tilings} == {"mixed"}
    inputs = service.inputs_for(network, None, 0)
    assert all(m.ok for m in service.check(network, inputs, service.execute(network, inputs, quiet), quiet))


def float_net():
    """Two convolutions."""
    rng = np.random.default_rng(0)
    shapes = {"w0": (32, 16, 3, 3), "w1": (16, 32, 1, 1)}
    weights = [
        numpy_helper.from_array((rng.standard_normal(s) / np.sqrt(np.prod(s[1:]))).astype(np.float32), n)
        for n, s in shapes.items()
    ]
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w0"], ["y0"], "conv0", pads=[1, 1, 1, 1]),
        onnx.helper.make_node("Relu", ["y0"], ["r0"], "relu0"),
        onnx.helper.make_node("Conv", ["r0", "w1"], ["y1"], "conv1"),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [value("x", onnx.TensorProto.FLOAT, (1, 16, 20, 20))],
        [value("y1", onnx.TensorProto.FLOAT, (1, 16, 20, 20))],
        weights,
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def test_a_float_network_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(float_net(), "net.onnx")
    assert main(["sparsify", "net.onnx", "--density", "1", "--weight-bits", "4", "--quiet"]) == 2
    assert "quantize" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["sparsify", "net.onnx", "--weight-bits", "5"])
