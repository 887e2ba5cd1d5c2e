"""Each offload rule accepts one case and rejects one; the report gives the rule as the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from qdq_net import QdqNet
from tvm_aie.frontend import from_onnx
from tvm_aie.relax import constraints
from tvm_aie.relax.average import exact_rational, float_chain, srs
from tvm_aie.relax.partition import OffloadReport, live_blocks, partition
from tvm_aie.relax.supported_ops import message, text

Build = Callable[[QdqNet], str]


def report(build: Build, shape: tuple[int, ...] = (1, 8, 8, 8), **net_args: Any) -> OffloadReport:
    net = QdqNet(shape, **net_args)
    return partition(from_onnx(net.model(build(net)))).report


def conv_with(weight_scale: Any = 2.0**-7, weight_zero: int = 0, dtype: Any = np.int8, bias: bool = True) -> Build:
    def build(net: QdqNet) -> str:
        scale = net.const("ws", np.asarray(weight_scale, np.float32))
        zero = net.const("wz", np.full(np.shape(weight_scale), weight_zero, dtype))
        w = net.op("DequantizeLinear", [net.const("wq", net.ints((8, 8, 3, 3), 0, 100, dtype)), scale, zero], axis=0)
        return net.qdq(net.op("Conv", [net.input, w]), -3)

    return build


def second(shape: tuple[int, ...]) -> Build:
    return lambda n: n.qdq(n.op("Mul", [n.input, n.weight(n.ints(shape), -6)]), -5)


def good(net: QdqNet) -> str:
    return net.qdq(net.relu(net.conv(net.input, 8, 8)), -3)


def pool(kind: str, **attrs: Any) -> Build:
    return lambda n: n.qdq(n.op(kind, [n.input], **attrs), -5)


def resize(scale: float = 2, out: float = -5, **attrs: Any) -> Build:
    def build(net: QdqNet) -> str:
        scales = net.const("scales", np.array([1, 1, scale, 2], np.float32))
        options = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor", **attrs}
        return net.qdq(net.op("Resize", [net.input, "", scales], **options), out)

    return build


def reshape(*shape: int) -> Build:
    def build(net: QdqNet) -> str:
        x = net.qdq(net.conv(net.input, 8, 8, 1), -3)
        return net.op("Reshape", [x, net.const("shape", np.array(shape))])

    return build


def concat(axis: int) -> Build:
    return lambda n: n.qdq(n.op("Concat", [n.input, n.input], axis=axis), -5)


def add_of(shape: tuple[int, ...]) -> Build:
    def build(net: QdqNet) -> str:
        other = net.qdq(net.conv(net.input, 8, 8, 1, strides=[8, 8] if shape[2] == 1 else [1, 1]), -3)
        return net.qdq(net.op("Add", [net.input, other]), -4)

    return build


def leaky(alpha: float, stem: str = "Conv") -> Build:
    def build(net: QdqNet) -> str:
        x = net.conv(net.input, 8, 8) if stem == "Conv" else net.op("MaxPool", [net.input], kernel_shape=[2, 2])
        return net.qdq(net.op("LeakyRelu", [x], alpha=alpha), -3)

    return build


def float_bias(shape: tuple[int, ...]) -> Build:
    def build(net: QdqNet) -> str:
        x = net.op("Conv", [net.input, net.weight(net.ints((8, 8, 1, 1)), -7)])
        return net.qdq(net.op("Add", [x, net.weight(net.ints(shape), -9)]), -3)

    return build


def matmul(rank: int) -> Build:
    def build(net: QdqNet) -> str:
        weight = net.weight(net.ints((8, 8)), -7)
        x = net.op("Flatten", [net.input], axis=3) if rank == 2 else net.input
        return net.qdq(net.op("MatMul", [x, weight]), -3)

    return build


ROWS: list[tuple[str, Build, Build, dict[str, Any]]] = [
    ("inputs_quantised", good, lambda n: n.qdq(n.conv(n.relu(n.input), 8, 8), -3), {}),
    ("output_quantised", good, lambda n: n.op("Softmax", [n.conv(n.input, 8, 8)]), {}),
    ("weights_quantised", good, lambda n: n.qdq(n.op("Conv", [n.input, _float_weight(n)]), -3), {}),
    ("per_tensor_scales", conv_with(), conv_with(np.full(8, 2.0**-7)), {}),
    ("power_of_two_scales", conv_with(), conv_with(0.0123), {}),
    ("activation_zero_points", good, lambda n: _odd_zero_point(n), {}),
    ("weight_types", conv_with(), conv_with(weight_zero=3), {}),
    ("image_shapes", second((8, 1, 1)), lambda n: n.qdq(n.relu(n.input), -5), {"bad_shape": (1, 8, 8)}),
    ("one_batch", good, lambda n: n.qdq(n.op("Concat", [n.input, n.input], axis=0), -5), {}),
    ("padding_fits", lambda n: n.qdq(n.conv(n.input, 8, 8, pads=[0, 31, 0, 30], dilations=[1, 30]), -3),
     lambda n: n.qdq(n.conv(n.input, 8, 8, pads=[32] * 4, dilations=[32, 32]), -3), {}),
    ("accumulator_fits", good, lambda n: n.qdq(n.conv(n.input, 8, 8, be=15), -3), {}),
    ("shifts_in_range", good, lambda n: n.qdq(n.conv(n.input, 8, 8, be=-40), -3), {}),
    ("activation_exact", leaky(26 / 256), leaky(0.1), {}),
    ("no_leaky", leaky(26 / 256), leaky(26 / 256, "MaxPool"), {}),
    ("matrix_of_weights", matmul(2), matmul(4), {}),
    ("bias_per_channel", float_bias((8, 1, 1)), float_bias((1, 1, 8)), {}),
    ("per_channel_operand", second((8, 1, 1)), second((8, 8)), {}),
    ("same_shapes", add_of((1, 8, 8, 8)), add_of((1, 8, 1, 1)), {}),
    ("channel_axis", concat(1), concat(2), {}),
    ("pool_layout", pool("MaxPool", kernel_shape=[2, 2]),
     pool("AveragePool", kernel_shape=[1, 1], pads=[1, 1, 1, 1]), {}),
    ("average_counts", pool("AveragePool", kernel_shape=[2, 2], strides=[2, 2]),
     pool("AveragePool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, count_include_pad=1), {}),
    ("average_divisors", pool("AveragePool", kernel_shape=[3, 3]),
     pool("AveragePool", kernel_shape=[31, 31], pads=[15] * 4), {"bad_shape": (1, 8, 33, 33)}),
    ("average_exact", pool("AveragePool", kernel_shape=[3, 3]),
     pool("AveragePool", kernel_shape=[3, 2]), {}),
    ("integer_factors", resize(), resize(1.5), {}),
    ("same_scale", resize(), resize(out=-4), {}),
    ("layout_only", reshape(1, 512), reshape(1, 64, 8, 1), {}),
]  # fmt: skip


def _float_weight(net: QdqNet) -> str:
    return net.const("w", np.ones((8, 8, 1, 1), np.float32))


def _odd_zero_point(net: QdqNet) -> str:
    scale, zero = net.const("s", np.float32(2.0**-5)), net.const("z", np.uint8(0))
    q = net.op("QuantizeLinear", [net.relu(net.conv(net.input, 8, 8)), scale, zero])
    return net.op("DequantizeLinear", [q, scale, zero])


@pytest.mark.parametrize(("rule", "accepted", "rejected", "options"), ROWS, ids=[r[0] for r in ROWS])
def test_rule(rule: str, accepted: Build, rejected: Build, options: dict[str, Any]) -> None:
    expected = message(getattr(constraints, rule))
    taken = report(accepted)
    assert any(op.on_array for op in taken.ops)
    assert not any(expected in op.reason for op in taken.ops), taken.ops
    left = report(rejected, shape=options.get("bad_shape", (1, 8, 8, 8)))
    reasons = [op.reason for op in left.host_ops]
    assert any(reason.startswith(expected) for reason in reasons), reasons


def test_every_rule_has_a_row() -> None:
    rules = {rule.__name__ for rules in constraints.RULES.values() for rule in rules}
    assert rules - {row[0] for row in ROWS} == {"conv_layout"}  # only NCHW comes out of the ONNX importer


def test_conv_layout_rule() -> None:
    def module(layout: str) -> Any:
        shape = (1, 8, 8, 8)
        builder = relax.BlockBuilder()
        x = relax.Var("x", relax.TensorType(shape, "int8"))
        scale, zero = relax.const(np.float32(0.5)), relax.const(np.int8(0))
        weight = relax.const(np.ones((8, 8, 1, 1), np.int8))
        with builder.function("main", [x]):
            with builder.dataflow():
                data = builder.emit(relax.op.dequantize(x, scale, zero, axis=1))
                kernel = builder.emit(relax.op.dequantize(weight, scale, zero, axis=0))
                conv = builder.emit(relax.op.nn.conv2d(data, kernel, data_layout=layout, kernel_layout="OIHW"))
                out = builder.emit_output(relax.op.quantize(conv, scale, zero, axis=1, out_dtype="int8"))
            builder.emit_func_output(out)
        return builder.get()

    assert partition(module("NCHW")).report.ops[0].on_array
    op = next(op for op in partition(module("NHWC")).report.ops if op.kind == "conv2d")
    assert op.reason.startswith(message(constraints.conv_layout))


def test_scale_that_is_not_a_power_of_two_says_how_to_requantise() -> None:
    (reason,) = {op.reason for op in report(conv_with(0.0123)).ops if op.kind == "conv2d"}
    assert "0.0123" in reason and "tvm-aie quantize" in reason


def test_unknown_operator_has_a_reason() -> None:
    ops = report(lambda n: n.op("Softmax", [good(n)])).host_ops
    assert [op.reason for op in ops if op.kind == "softmax"] == ["no kernel for nn.softmax"]


def test_mac_share() -> None:
    def half(net: QdqNet) -> str:
        x = net.qdq(net.conv(net.input, 8, 8, 1), -3)
        return net.op("Softmax", [net.conv(x, 8, 8, 1)])

    found = report(half)
    assert (found.macs, found.array_macs, found.mac_share) == (2 * 8**4, 8**4, 0.5)


def test_composites_carry_their_sparsity() -> None:
    net = QdqNet((1, 16, 4, 4))
    weight = net.ints((24, 16, 3, 3), 1, 100)
    weight[8:16, :8] = 0
    mod = partition(from_onnx(net.model(net.qdq(net.conv(net.input, 16, 24, value=weight), -3)))).module
    found = []
    for _, func in mod.functions_items():
        for block in func.body.blocks:
            found += [b.value.attrs for b in block.bindings if isinstance(b.value, relax.Function)]
    (attrs,) = found
    assert attrs["Composite"] == "aie2.conv2d"
    keys = ("tesa", "gamma_block", "live_blocks", "total_blocks")
    assert tuple(attrs[key] for key in keys) == ("block", "8x8", "5", "6")
    assert live_blocks(weight) == (5, 6)


def test_region_merging_is_maximal() -> None:
    net = QdqNet((1, 8, 8, 8))
    x = good(net)
    left, right = net.qdq(net.conv(x, 8, 8, 1), -3), net.qdq(net.op("MaxPool", [x], kernel_shape=[1, 1]), -3)
    split = partition(from_onnx(net.model(net.qdq(net.op("Add", [left, right]), -2))))
    assert split.report.regions == 1
    relax.analysis.well_formed(split.module)  # raises when it is not


def test_page_is_current() -> None:
    page = Path(__file__).parent.parent / "docs" / "supported-ops.md"
    assert page.read_text() == text(), "run: python -m tvm_aie.relax.supported_ops"


@pytest.mark.parametrize(("taps", "factor"), [(49, 21 / 1024 * 49), *((n, 63 / 64) for n in (9, 6, 4)), (9, None)])
def test_rational_of_an_average_is_exact(taps: int, factor: float | None) -> None:
    for shift in (-2, -1, 0) if factor is None else (-2, -1, 0, 1):
        found = exact_rational(taps, taps, factor, shift)
        assert found is not None
        sums = np.arange(-128 * taps, 127 * taps + 1, dtype=np.int64)
        expected = float_chain(sums, taps, factor, shift)
        assert np.array_equal(np.clip(srs(sums * found[0], found[1]), -128, 127), expected)


@pytest.mark.parametrize(("taps", "shift"), [(6, 0), (9, 1)])
def test_ties_of_a_divisor_that_is_not_dyadic_have_no_rational(taps: int, shift: int) -> None:
    assert exact_rational(taps, taps, None, shift) is None


def test_rest_of_tvm_is_not_touched() -> None:
    assert tvm.target.Target("llvm").kind.name == "llvm"
