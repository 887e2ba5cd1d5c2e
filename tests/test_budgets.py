"""A network that exceeds a budget of the device: an error with the thing, the limit and what to do, or another plan."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from graphs import GraphBuilder
from qdq_net import QdqNet
from test_int16 import WideBuilder
from test_scale import ALWAYS, norm
from tvm_aie.cli import main
from tvm_aie.device import load_device
from tvm_aie.emit.verify import used_parts
from tvm_aie.errors import InfeasibleError
from tvm_aie.pipeline import compile_graph

NPU1 = load_device("npu1")


@pytest.mark.parametrize("device", ["npu1", "wbs-2x2"])
def test_kernels_beyond_program_memory(device):
    b = WideBuilder((16, 8, 8))
    y = b.upsample(b.pool(b.wide_conv("x", 16, 3), 3, 2), (2, 2))
    kernels = "add, avgpool, conv, conv_int16, maxpool, upsample"
    with pytest.raises(InfeasibleError, match=f"superkernel with {kernels}") as e:
        compile_graph(b.graph(b.global_pool(b.add(b.copy(y), b.pool(y, 3, 1)))), device)
    assert (e.value.demand, e.value.bound, e.value.exit_code) == (12544, 12288, 5)
    assert "int8 instead of int16 activations" in str(e.value)


def test_a_move_is_not_made_where_its_kernel_does_not_fit():
    b = GraphBuilder((8, 9, 9))
    x = b.conv("x", 24, 3)
    graph = b.graph(b.conv(norm(b, b.add(b.conv(x, 24, 1), x)), 16, 1))
    assert "scale" in used_parts(compile_graph(graph, NPU1, moves=ALWAYS).program)
    tight = replace(NPU1, program_budget_bytes=NPU1.instructions.total(frozenset({"conv", "add"})))
    assert used_parts(compile_graph(graph, tight, moves=ALWAYS).program) == {"conv", "add"}
    tighter = replace(tight, program_budget_bytes=tight.program_budget_bytes - 1)
    with pytest.raises(InfeasibleError, match="superkernel with add, conv"):
        compile_graph(graph, tighter, moves=ALWAYS)


def test_opcodes_of_a_deep_network_leave_no_room():
    """As 1,500 layers do in half a megabyte."""
    b = GraphBuilder((8, 1, 1))
    x = "x"
    for _ in range(120):
        x = b.conv(x, 8, 1)
    small = replace(NPU1, memtile_bytes=64 << 10)
    with pytest.raises(InfeasibleError, match=r"opcodes of all layers in a memtile: needs .*fewer layers"):
        compile_graph(b.graph(x), small)


def test_what_does_not_fit_is_exit_code_5(tmp_path, capsys):
    """A window that is too large is no reason to refuse a network; program memory for one kernel of two is."""
    net = QdqNet((1, 8, 70, 70))
    wide = net.qdq(net.conv(net.input, 8, 8, 69, we=-12, value=np.ones((8, 8, 69, 69)), pads=[31] * 4), 0)
    onnx.save(net.model(wide), tmp_path / "net.onnx")
    assert main.main(["compile", str(tmp_path / "net.onnx"), "--quiet"]) == 0
    assert "69x69 window" in capsys.readouterr().out
    net = QdqNet((1, 8, 9, 9))
    x = net.qdq(net.conv(net.input, 8, 8), -3)
    pooled = net.qdq(net.op("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2]), -3)
    onnx.save(net.model([net.relu(x), pooled]), tmp_path / "net.onnx")
    text = (Path(__file__).parents[1] / "python/tvm_aie/device/npu1.toml").read_text()
    budget = f"program_budget_bytes = {{ value = {NPU1.instructions.total(frozenset({'conv'}))}"
    tight = re.sub(r"program_budget_bytes = \{ value = \d+", budget, text)
    assert tight != text
    (tmp_path / "tight.toml").write_text(tight)
    assert main.main(["compile", str(tmp_path / "net.onnx"), "--target", str(tmp_path / "tight.toml"), "--quiet"]) == 5
    error = capsys.readouterr().err
    assert "superkernel with" in error and "limit" in error and "Traceback" not in error
