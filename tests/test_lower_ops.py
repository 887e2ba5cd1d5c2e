"""Each operator: import, partition, lower, evaluate; the integers equal onnxruntime's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tvm

import tvm_aie
from numpy_backend import numpy_backend, run_tvm
from qdq_net import QdqNet, run_onnx
from tvm_aie.frontend import from_onnx
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import Add, Conv, Permute, Pool, Upsample
from tvm_aie.relax import Compilation, last_compilation

tvm_aie._autoload()

HOST_KINDS = {"quantize", "dequantize"}


def check(net: QdqNet, outputs: str | list[str], opset: int = 17, host: set[str] | None = None) -> Compilation:
    """Compile with the numpy backend, run, compare; every operator but ``host`` kinds is on the array."""
    model = net.model(outputs, opset)
    feeds = net.rng.normal(scale=2.0, size=net.shape).astype(np.float32)
    expected = run_onnx(model, {"input": feeds})
    with numpy_backend():
        actual = run_tvm(tvm.compile(from_onnx(model), target="aie2"), feeds)
    for left, right in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(left, right)
        assert len(np.unique(right)) > 4, "the test network is degenerate"
    compilation = last_compilation()
    assert compilation is not None
    left_over = {op.kind for op in compilation.report.host_ops} - HOST_KINDS
    assert left_over == (host or set()), compilation.report.host_ops
    return compilation


def layers(compilation: Compilation, kind: type[Any]) -> list[Any]:
    return [layer for graph in compilation.graphs for layer in graph.layers if isinstance(layer, kind)]


@pytest.mark.parametrize("unsigned", [True, False])
@pytest.mark.parametrize(
    ("kernel", "attrs"),
    [
        (1, {}),
        (3, {"pads": [1, 1, 1, 1]}),
        (3, {"pads": [0, 1, 1, 0], "strides": [2, 2]}),
        (3, {"pads": [2, 2, 2, 2], "dilations": [2, 2]}),
        ((1, 5), {"pads": [0, 2, 0, 2], "strides": [2, 1]}),
        (7, {"pads": [3, 3, 3, 3], "strides": [2, 2]}),
        (3, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ],
)
def test_conv(kernel: Any, attrs: dict[str, Any], unsigned: bool) -> None:
    net = QdqNet((1, 5, 9, 11), unsigned=unsigned)
    check(net, net.qdq(net.conv(net.input, 5, 13, kernel, **attrs), -2))


@pytest.mark.parametrize("bias", [None, -14, -18, -9, -12])
def test_conv_bias_scales(bias: float | None) -> None:
    dtype = np.int32 if bias == -12 else np.int8
    net = QdqNet((1, 3, 7, 7))
    compilation = check(net, net.qdq(net.conv(net.input, 3, 8, be=bias, bdtype=dtype), -2))
    (conv,) = layers(compilation, Conv)
    assert conv.acc_shift == max(0, -12 - (bias if bias is not None else -12))


@pytest.mark.parametrize(
    "activation",
    [
        lambda n, x: n.relu(x),
        lambda n, x: n.op("Clip", [x, n.const("lo", np.float32(0)), n.const("hi", np.float32(6))]),
        lambda n, x: n.op("Clip", [x, n.const("lo", np.float32(-0.3)), n.const("hi", np.float32(2.7))]),
        lambda n, x: n.op("Clip", [x, "", n.const("hi", np.float32(1.5))]),
        lambda n, x: n.op("LeakyRelu", [x], alpha=26 / 256),
        lambda n, x: n.op("LeakyRelu", [x], alpha=0.0),
    ],
    ids=["relu", "relu6", "clip", "upper", "leaky", "leaky without slope"],
)
def test_conv_activations(activation: Callable[[QdqNet, str], str]) -> None:
    net = QdqNet((1, 4, 8, 8))
    check(net, net.qdq(activation(net, net.conv(net.input, 4, 8, we=-8)), -4))


@pytest.mark.parametrize(("cin", "cout", "group"), [(8, 8, 8), (12, 6, 3), (6, 12, 6), (16, 8, 2)])
def test_grouped_conv(cin: int, cout: int, group: int) -> None:
    net = QdqNet((1, cin, 9, 7))
    check(net, net.qdq(net.conv(net.input, cin, cout, 3, group=group, pads=[1, 1, 1, 1]), -2))


def test_batch_of_four() -> None:
    net = QdqNet((4, 3, 7, 7))
    x = net.qdq(net.relu(net.conv(net.input, 3, 8)), -3)
    x = net.qdq(net.op("GlobalAveragePool", [x]), -4)
    compilation = check(net, net.qdq(net.gemm(net.op("Flatten", [x]), 8, 10), -3))
    assert compilation.graphs[0].inputs[0].shape == (4, 3, 7, 7)
    assert compilation.graphs[0].outputs[0].shape == (4, 10)


def test_gemm_reads_the_whole_image() -> None:
    net = QdqNet((2, 3, 5, 4))
    compilation = check(net, net.qdq(net.relu(net.gemm(net.op("Flatten", [net.input]), 60, 7, we=-9)), -2))
    (conv,) = layers(compilation, Conv)
    assert conv.weight.shape == (7, 3, 5, 4)


def test_matmul_with_bias_on_either_side() -> None:
    net = QdqNet((6, 20))
    weight = net.weight(net.ints((20, 9)), -8)
    x = net.op("Add", [net.weight(net.ints((9,)), -9), net.op("MatMul", [net.input, weight])])
    check(net, net.qdq(x, -2))


def test_shared_weights() -> None:
    net = QdqNet((1, 20))
    weight = net.weight(net.ints((20, 20)), -9)
    x = net.qdq(net.op("Gemm", [net.input, weight], transB=1), -3)
    check(net, net.qdq(net.op("Gemm", [x, weight], transB=1), -2))


@pytest.mark.parametrize(("left", "right", "out"), [(-4, -4, -4), (-5, -2, -3), (-2, -7, -4), (-3, -3, -6)])
def test_residual_add(left: int, right: int, out: int) -> None:
    net = QdqNet((1, 5, 7, 9))
    a, b = net.qdq(net.conv(net.input, 5, 6), left), net.qdq(net.conv(net.input, 5, 6), right)
    check(net, net.qdq(net.relu(net.op("Add", [a, b])), out))


def test_add_of_a_tensor_to_itself_and_sum() -> None:
    net = QdqNet((1, 5, 7, 9))
    x = net.qdq(net.op("Add", [net.input, net.input]), -4)
    check(net, net.qdq(net.op("Sum", [x, net.input]), -4))


@pytest.mark.parametrize("out", [-5, -4])
@pytest.mark.parametrize(
    "attrs",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [1, 2], "pads": [0, 1, 2, 0]},
        {"kernel_shape": [2, 2], "dilations": [2, 2]},
    ],
)
def test_max_pool(attrs: dict[str, Any], out: int) -> None:
    net = QdqNet((1, 5, 10, 9))
    check(net, net.qdq(net.op("MaxPool", [net.input], **attrs), out))


@pytest.mark.parametrize("out", [-5, -6])
@pytest.mark.parametrize(
    ("attrs", "factor"),
    [
        ({"kernel_shape": [7, 7], "strides": [7, 7]}, 21 / 1024 * 49),
        ({"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]}, 63 / 64),
        ({"kernel_shape": [3, 3], "strides": [2, 2]}, None),
        ({"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1}, None),
        ({"kernel_shape": [2, 2], "strides": [2, 2]}, None),
        ({"kernel_shape": [5, 5], "strides": [3, 3]}, None),
    ],
)
def test_average_pool(attrs: dict[str, Any], factor: float | None, out: int) -> None:
    net = QdqNet((1, 5, 14, 14))
    x = net.op("AveragePool", [net.input], **attrs)
    if factor is not None:
        x = net.op("Mul", [x, net.const("factor", np.float32(factor))])
    compilation = check(net, net.qdq(x, out))
    assert layers(compilation, Pool)[0].divisors


@pytest.mark.parametrize("size", [7, 8, 5])
def test_global_average_pool(size: int) -> None:
    net = QdqNet((1, 16, size, size))
    check(net, net.qdq(net.op("GlobalAveragePool", [net.input]), -7))


def test_reduce_mean_without_kept_dimensions() -> None:
    net = QdqNet((2, 16, 4, 4))
    x = net.qdq(net.op("ReduceMean", [net.input], axes=[2, 3], keepdims=0), -7)
    check(net, net.qdq(net.gemm(x, 16, 12), -4))


def test_concat_of_different_scales() -> None:
    net = QdqNet((1, 5, 6, 7))
    parts = [net.qdq(net.conv(net.input, 5, c, 1), e) for c, e in ((3, -3), (13, -2), (8, -3))]
    compilation = check(net, net.qdq(net.op("Concat", parts, axis=1), -3))
    assert len(layers(compilation, Add)) == 1


@pytest.mark.parametrize("wrapped", [True, False])
def test_channel_shuffle(wrapped: bool) -> None:
    net = QdqNet((2, 12, 5, 4))
    step = (lambda x: net.qdq(x, -3)) if wrapped else (lambda x: x)
    x = net.qdq(net.conv(net.input, 12, 12, 1), -3)
    x = step(net.op("Reshape", [x, net.const("s1", np.array([2, 3, 4, 5, 4]))]))
    x = step(net.op("Transpose", [x], perm=[0, 2, 1, 3, 4]))
    x = step(net.op("Reshape", [x, net.const("s2", np.array([2, 12, 5, 4]))]))
    compilation = check(net, net.qdq(net.conv(x, 12, 5, 1), -3))
    (permute,) = layers(compilation, Permute)
    assert permute.order[:4] == (0, 4, 8, 1)


def test_split_of_channels() -> None:
    net = QdqNet((1, 12, 5, 4))
    x = net.qdq(net.conv(net.input, 12, 12, 1), -3)
    net.op("Split", [x, net.const("sections", np.array([5, 7]))], stem="split", outputs=2, axis=1)
    left, right = (f"split_{net.count}_{i}" for i in range(2))
    x = net.qdq(net.conv(right, 7, 5, 1), -3)
    compilation = check(net, net.qdq(net.op("Concat", [left, x], axis=1), -3))
    assert len(layers(compilation, Permute)) == 2


@pytest.mark.parametrize("mode", ["asymmetric", "half_pixel"])
def test_upsample(mode: str) -> None:
    net = QdqNet((1, 5, 4, 3))
    scales = net.const("scales", np.array([1, 1, 2, 3], np.float32))
    rounding = {"asymmetric": "floor", "half_pixel": "round_prefer_ceil"}[mode]
    x = net.op("Resize", [net.input, "", scales], mode="nearest", coordinate_transformation_mode=mode,
               nearest_mode=rounding)  # fmt: skip
    compilation = check(net, net.qdq(net.relu(x), -5))
    assert layers(compilation, Upsample)[0].factors == (2, 3)


def test_per_channel_multiply_and_add() -> None:
    net = QdqNet((1, 5, 6, 7))
    x = net.qdq(net.op("Mul", [net.input, net.weight(net.ints((1, 5, 1, 1)), -6)]), -5)
    x = net.qdq(net.relu(net.op("Add", [net.weight(net.ints((5, 1, 1)), -8), x])), -5)
    check(net, net.qdq(net.op("Mul", [x, net.weight(np.array(97, np.int8), -6)]), -5))


def test_requantise_and_lone_activations() -> None:
    net = QdqNet((1, 5, 6, 7))
    x = net.qdq(net.input, -3)
    x = net.qdq(net.op("LeakyRelu", [x], alpha=26 / 256), -4)
    y = net.qdq(net.relu(net.input), -6)
    check(net, [net.qdq(net.op("Add", [x, y]), -4), y])


def test_every_output_is_a_tensor_of_its_own() -> None:
    net = QdqNet((1, 3, 4, 4))
    x = net.qdq(net.conv(net.input, 3, 8), -3)
    compilation = check(net, [x, net.op("Flatten", [x])])
    for graph in compilation.graphs:
        names = [io.tensor for io in (*graph.inputs, *graph.outputs)]
        assert len(names) == len(set(names))


def test_layout_between_regions_costs_nothing() -> None:
    net = QdqNet((1, 8, 1, 1))
    x = net.qdq(net.conv(net.input, 8, 12, 1), -3)
    x = net.op("Squeeze", [x, net.const("axes", np.array([2, 3]))])
    x = net.op("Unsqueeze", [x, net.const("axes2", np.array([2, 3]))])
    compilation = check(net, net.qdq(net.conv(x, 12, 9, 1), -3))
    assert [type(layer) for layer in compilation.graphs[0].layers] == [Conv, Conv]


def test_a_transpose_that_mixes_images_of_a_batch_stays_on_the_host() -> None:
    net = QdqNet((2, 2, 4, 4))
    x = net.op("Transpose", [net.qdq(net.conv(net.input, 2, 2, 1), -3)], perm=[1, 0, 2, 3])
    check(net, net.qdq(net.conv(x, 2, 8, 3), -2), host={"layout"})


def test_a_scale_has_no_axis_where_the_rank_shrinks() -> None:
    net = QdqNet((1, 8, 1, 1))
    x = net.qdq(net.conv(net.input, 8, 8, 1), -3)
    slope = net.weight(net.ints((8, 1, 1)), -8)
    check(net, [net.op("Squeeze", [x]), net.qdq(net.op("PRelu", [x, slope]), -3)], host={"layout", "prelu"})


def _flat(net: QdqNet, cout: int = 8, k: int = 1, **attrs: Any) -> str:
    """A flattened image."""
    return net.op("Flatten", [net.qdq(net.conv(net.input, 8, cout, k, **attrs), -3)])


def _pixel(net: QdqNet, x: str, channels: int) -> str:
    return net.op("Reshape", [x, net.const(net.fresh("shape"), np.array([2, channels, 1, 1]))])


@pytest.mark.parametrize(
    "end",
    [
        lambda n: n.op("Add", [_flat(n), n.qdq(n.gemm(_flat(n), 32, 32), -2)]),
        lambda n: n.op("Add", [n.qdq(n.gemm(_flat(n), 32, 32), -2), _flat(n)]),
        lambda n: n.op("Add", [_flat(n, 4, pads=[0, 1, 0, 1]), _flat(n, 4, pads=[1, 0, 1, 0])]),
        lambda n: n.op("Concat", [_flat(n), _flat(n)], axis=1),
        lambda n: n.conv(_pixel(n, _flat(n), 32), 32, 8, 1),
        lambda n: n.conv(_pixel(n, n.qdq(n.relu(_flat(n)), -3), 32), 32, 8, 1),
        lambda n: n.conv(_pixel(n, n.input, 32), 32, 8, 1),
        lambda n: n.op("Mul", [_flat(n), n.weight(n.ints((1, 32)), -6)]),
    ],
    ids=["add", "added", "two shapes", "concat", "pixel", "relu, pixel", "input", "per channel"],
)
def test_who_reads_a_flattened_image_by_channels_has_it_from_the_host(end: Callable[[QdqNet], str]) -> None:
    net = QdqNet((2, 8, 2, 2))
    check(net, net.qdq(end(net), -3), host={"layout"})


@pytest.mark.parametrize(
    ("shape", "host"), [((1, 1, 28, 28), {"layout"}), ((2, 3, 13, 13), set()), ((2, 3, 10, 17), {"layout"})]
)
def test_a_dense_layer_of_a_large_image_has_it_from_the_host(shape: tuple[int, ...], host: set[str]) -> None:
    """A 28x28 window has weights of 50 KB per pair of channel blocks."""
    net = QdqNet(shape)
    size = int(np.prod(shape[1:]))
    x = net.qdq(net.relu(net.gemm(net.op("Flatten", [net.input]), size, 32, we=-9)), -2)
    compilation = check(net, net.qdq(net.gemm(x, 32, 10, we=-9), -2), host=host)
    for graph in compilation.graphs:
        for device in ("npu1", "wbs-1x1", "wbs-4x4"):
            compile_graph(graph, device)


def test_flattened_images_of_equal_dimensions_are_added() -> None:
    net = QdqNet((2, 8, 2, 2))
    x = net.qdq(net.op("Add", [_flat(net), net.qdq(net.relu(_flat(net)), -4)]), -2)
    check(net, [net.qdq(net.gemm(x, 32, 7), -3), x])


def test_float_operators_in_the_middle_split_regions() -> None:
    net = QdqNet((1, 8, 6, 6))
    x = net.qdq(net.conv(net.input, 8, 12, 1), -5)
    x = net.qdq(net.op("HardSigmoid", [x], alpha=0.25), -7)
    compilation = check(net, net.qdq(net.conv(x, 12, 9, 1), -3), host={"hardsigmoid"})
    assert compilation.report.regions == 2
