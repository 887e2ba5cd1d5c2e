"""EliminateDead on QDQ networks: outputs equal onnxruntime's on the pruned file, work falls, the report says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from onnx import numpy_helper
from tvm import relax

import networks
from numpy_backend import numpy_backend, run_tvm
from qdq_net import QdqNet, run_onnx
from tvm_aie.frontend import from_onnx
from tvm_aie.frontend.onnx_build import NetBuilder
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize
from tvm_aie.relax import last_compilation, set_eliminate
from tvm_aie.relax.partition import partition
from tvm_aie.tesa.attached import attach
from tvm_aie.tesa.eliminate import EliminateDead, eliminate_dead
from tvm_aie.tesa.ir import bindings_of, op_name, shape_of
from tvm_aie.tesa.report import explain_tesa

Array = np.ndarray[Any, Any]


def prune_filters(model: onnx.ModelProto, seed: int, share: float = 0.5, block: int = 1) -> onnx.ModelProto:
    """Empty whole filters, in groups of ``block``; biases stay."""
    rng, pruned = np.random.default_rng(seed), onnx.ModelProto()
    pruned.CopyFrom(model)
    layers = {n.input[1]: n for n in pruned.graph.node if n.op_type in ("Conv", "Gemm", "MatMul")}
    for tensor in pruned.graph.initializer:
        if tensor.name in layers:
            weight = numpy_helper.to_array(tensor).copy()
            rows = weight.T if layers[tensor.name].op_type == "MatMul" else weight
            dead = np.repeat(rng.random(-(-rows.shape[0] // block)) < share, block)[: rows.shape[0]]
            rows[dead & ~dead.all()] = 0
            tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    return pruned


def data_for(model: onnx.ModelProto, seed: int) -> dict[str, Array]:
    info = model.graph.input[0]
    shape = tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
    return {info.name: np.random.default_rng(seed).standard_normal(shape).astype(np.float32)}


def assert_equal(model: onnx.ModelProto, mod: Any, target: str = "llvm", seed: int = 0) -> None:
    feeds = data_for(model, seed)
    got = run_tvm(tvm.compile(mod, target=target), *feeds.values())
    for mine, theirs in zip(got, run_onnx(model, feeds), strict=True):
        ends_in_float = any(n.op_type in ("Softmax", "Sigmoid") for n in model.graph.node[-3:])
        assert np.allclose(mine, theirs, rtol=1e-5, atol=0) if ends_in_float else np.array_equal(mine, theirs)


FEW = ("residual", "upsample_concat", "shuffle", "odd_7")


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in networks.TINY])
def test_pruned_networks(name: str, seed: int = 1) -> None:
    """On the array (numpy reference of the layer graph), elimination by blocks; and on LLVM by single channels."""
    model = quantize(prune_filters(networks.TINY[name](), seed))
    with numpy_backend():
        assert_equal(model, from_onnx(model), "aie2", seed)
    assert_equal(model, eliminate_dead(from_onnx(model), rows=0)[0], seed=seed)


def conv_shapes(mod: Any) -> list[tuple[int, ...]]:
    return [shape_of(v.args[1]) for _, v in bindings_of(mod["main"]) if op_name(v) in ("nn.conv2d", "matmul")]


def test_shapes_shrink_and_ops_go() -> None:
    """A branch whose filters are all empty: its convolutions and the join disappear."""
    b = NetBuilder("branch", (1, 8, 6, 6), 0)
    x = b.relu(b.conv("data", 16))
    dead = b.relu(b.conv(b.relu(b.conv(x, 8, bias=False)), 8, bias=False))
    y = b.concat([b.relu(b.conv(x, 8)), dead])
    b.conv(y, 8, 1)
    model = b.model()
    weights = [t for t in model.graph.initializer if numpy_helper.to_array(t).shape == (8, 8, 3, 3)]
    (target,) = weights
    target.CopyFrom(numpy_helper.from_array(np.zeros((8, 8, 3, 3), np.float32), target.name))
    quantised = quantize(model)
    mod = EliminateDead()(from_onnx(quantised))
    assert conv_shapes(mod) == [(16, 8, 3, 3), (8, 16, 3, 3), (8, 8, 1, 1)]
    assert not any(op_name(v) == "concat" for _, v in bindings_of(mod["main"]))
    assert_equal(quantised, mod)


def constant_net(pads: int, bias: int, kernel: int = 3) -> onnx.ModelProto:
    """32 channels, 24 of them constant ``relu(bias)``, then a convolution with or without padding."""
    net = QdqNet((1, 8, 7, 7))
    weight = net.ints((32, 8, 3, 3), -8, 8)
    weight[8:] = 0
    x = net.conv(net.input, 8, 32, 3, we=-6, be=None, value=weight, pads=[1] * 4)
    del net.nodes[-1]
    values = np.where(np.arange(32) < 8, 3, bias).astype(np.int8)
    inputs = [net.input, net.weight(weight, -6), net.weight(values, -4)]
    x = net.op("Conv", inputs, kernel_shape=[3, 3], pads=[1] * 4)
    x = net.qdq(net.relu(x), -4)
    x = net.conv(x, 32, 8, kernel, we=-6, be=-8, pads=[pads] * 4)
    return net.model(net.qdq(x, -2))


def test_constants_fold_without_padding() -> None:
    """What the 24 constant channels add goes into the bias, in integers; their filters and columns are gone."""
    model = constant_net(pads=0, bias=21)
    mod = eliminate_dead(from_onnx(model))[0]
    assert conv_shapes(mod) == [(8, 8, 3, 3), (8, 8, 3, 3)]
    assert_equal(model, mod)


def test_zero_constants_fold_with_padding() -> None:
    model = constant_net(pads=1, bias=-5)
    mod = eliminate_dead(from_onnx(model))[0]
    assert conv_shapes(mod) == [(8, 8, 3, 3), (8, 8, 3, 3)]
    assert_equal(model, mod)


def test_constants_behind_padding_merge() -> None:
    """At a padded border a constant is not constant: it must not fold; carriers stand for the 24 channels."""
    model = constant_net(pads=1, bias=21)
    mod = eliminate_dead(from_onnx(model))[0]
    first, second = conv_shapes(mod)
    assert first == (16, 8, 3, 3) and second == (8, 16, 3, 3)
    assert_equal(model, mod)
    with numpy_backend():
        assert_equal(model, from_onnx(model), "aie2")


def test_attached_mask_eliminates() -> None:
    """A mask attached by name acts like zeros in the file."""
    model = quantize(networks.TINY["conv_relu"]())
    mod = from_onnx(model)
    name = next(
        str(v.name) for v, x in bindings_of(mod["main"]) if op_name(x) == "dequantize" and len(shape_of(v)) == 4
    )
    keep = (np.arange(16) < 8).reshape(16, 1, 1, 1)
    shapes = conv_shapes(eliminate_dead(attach(mod, {name: keep}), rows=0)[0])
    zeroed = onnx.ModelProto()
    zeroed.CopyFrom(model)
    for tensor in zeroed.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.shape == (16, 3, 3, 3):
            tensor.CopyFrom(numpy_helper.from_array(value * keep.astype(value.dtype), tensor.name))
    assert shapes[0][0] <= 8 and shapes == conv_shapes(eliminate_dead(from_onnx(zeroed), rows=0)[0])
    assert_equal(zeroed, eliminate_dead(attach(mod, {name: keep}), rows=0)[0])


def test_float_networks_are_left_alone() -> None:
    """Dropping terms of a float sum may change its last bit."""
    model = prune_filters(networks.TINY["vgg_block"](), 0)
    mod = from_onnx(model)
    done = next(iter(eliminate_dead(mod)[1].values()))
    assert done.channels_removed == 0 and not done.folded


def test_switch() -> None:
    previous = set_eliminate(False)
    try:
        with numpy_backend():
            tvm.compile(from_onnx(constant_net(0, 21)), target="aie2")
            off = last_compilation()
            set_eliminate(True)
            tvm.compile(from_onnx(constant_net(0, 21)), target="aie2")
            on = last_compilation()
    finally:
        set_eliminate(previous)
    assert off is not None and on is not None and not off.eliminations and len(on.eliminations) == 1
    assert on.report.macs < off.report.macs


def test_report_names_the_neighbour() -> None:
    report = explain_tesa(from_onnx(constant_net(0, 21)))
    first, second = report.rows
    assert first.shape == (32, 8, 9) and first.shape_after == (8, 8, 9)
    assert any("24 of its own filters are empty" in c for c in first.causes)
    assert any("24 input channels are constants" in c and first.name in c for c in second.causes)
    assert second.macs_after < second.macs and second.weight_bytes_after < second.weight_bytes
    assert "saved" in report.text() and second.input_bits == (8, 8)


def test_report_names_the_guilty_alone() -> None:
    """Of the layers in front of a concat only those with dead filters are named; what is constant because of the
    user's mask on the input, or because one value is possible, is not said to be an empty filter."""
    net = QdqNet((1, 8, 5, 5))
    whole, half = net.ints((8, 8, 1, 1), 1, 8), net.ints((8, 8, 1, 1), 1, 8)
    half[4:] = 0
    low = np.full(8, -127, np.int8)
    below = net.op("Conv", [net.input, net.weight(net.ints((8, 8, 1, 1), 1, 2), -7), net.weight(low, 0)],
                   kernel_shape=[1, 1])  # fmt: skip
    parts = [net.qdq(net.relu(net.conv(net.input, 8, 8, 1, we=-5, be=None, value=w)), -3) for w in (whole, half)]
    parts.append(net.qdq(net.relu(below), -3))
    x = net.op("Concat", parts, axis=1)
    model = net.model(net.qdq(net.conv(net.qdq(x, -3), 24, 8, 1, we=-6, be=-6), 0))
    rows = {row.name: row for row in explain_tesa(from_onnx(model)).rows}
    names = list(rows)
    (cause,) = [c for c in rows[names[-1]].causes if "input channels" in c]
    assert "12 input channels are constants (12 zero)" in cause
    assert cause.endswith(f"empty filters in {names[2]}; one value is possible behind {names[0]}"), cause
    masked = attach(from_onnx(model), {"input": (np.arange(8) > 1).reshape(8, 1, 1)})
    first = explain_tesa(masked).rows[0]
    assert any("2 input channels are constants (2 zero): no layer wrote them" in c for c in first.causes)


def test_composites_show_the_attribute() -> None:
    """The user reads on each composite function what its result holds."""
    mod = partition(eliminate_dead(from_onnx(quantize(networks.TINY["residual"]())))[0]).module
    assert '"tesa_output": "uint8"' in mod.script()


def test_module_stays_well_formed() -> None:
    mod = EliminateDead()(from_onnx(quantize(prune_filters(networks.TINY["mobilenet_block"](), 3))))
    relax.analysis.well_formed(mod)  # raises otherwise


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "densenet121"])
def test_real_networks_gain(name: str, tmp_path: Any) -> None:
    """Whole groups of 8 filters empty: onnxruntime's outputs, less emulated time than without propagation."""
    from tvm_aie.cli import service
    from tvm_aie.cli.progress import Progress
    from tvm_aie.cli.tesa import measure

    path = tmp_path / f"{name}.onnx"
    onnx.save(quantize(prune_filters(light_model(name, 0), 1, 0.4, 8)), path)
    service.load_tvm()
    gain = measure(path, "aie2", Progress(quiet=True), check=True)
    print(gain.text())
    assert gain.equal and gain.cycles < 0.92 * gain.cycles_without
