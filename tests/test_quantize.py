"""The XINT8 writer: structure of the dialect, scales, accuracy, and agreement with files that Quark made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

import networks
from tvm_aie.errors import InputError, ModelError
from tvm_aie.frontend.onnx_build import NetBuilder
from tvm_aie.frontend.onnx_fold import quiet_options
from tvm_aie.frontend.onnx_graph import OnnxGraph, attributes
from tvm_aie.frontend.onnx_prepare import load_model, prepare
from tvm_aie.frontend.onnx_zoo import LIGHT_NAMES, light_model
from tvm_aie.quantize import quantize, quantize_file, quark_available
from tvm_aie.quantize.float_passes import POOL_FACTORS, pool_factor
from tvm_aie.quantize.scales import best_exponent, bias_exponent, covering_exponent, quantize_int8

FIXTURES = Path(__file__).parent / "fixtures"


def shape_of(model: onnx.ModelProto) -> list[int]:
    return [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), quiet_options())
    return session.run(None, {model.graph.input[0].name: x})[0]


def noise(model: onnx.ModelProto, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape_of(model)).astype(np.float32)


def snr_db(reference: np.ndarray, value: np.ndarray) -> float:
    error = float(np.sum((reference.astype(np.float64) - value) ** 2))
    return 10 * np.log10(float(np.sum(reference.astype(np.float64) ** 2)) / error)


def patterns(model: onnx.ModelProto) -> Counter[str]:
    """The operators between DequantizeLinear and each activation's QuantizeLinear, in order."""
    graph = OnnxGraph.from_model(model)
    producers = graph.producers()
    found: Counter[str] = Counter()
    for node in graph.nodes:
        if node.op_type != "QuantizeLinear":
            continue
        chain: list[str] = []
        before = producers.get(node.input[0])
        while before is not None and before.op_type != "DequantizeLinear":
            chain.append(before.op_type)
            before = producers.get(next((i for i in before.input if i not in graph.constants), ""))
        found["→".join(chain[::-1]) or "input"] += 1
    return found


@pytest.mark.parametrize("bits", [8, 32])
@pytest.mark.parametrize("name", list(networks.TINY))
def test_tiny_networks_run_and_are_close(name, bits):
    model = networks.TINY[name]()
    quantised = quantize(model, bias_bits=bits)
    onnx.checker.check_model(quantised, full_check=True)
    x = noise(model)
    assert snr_db(run(model, x), run(quantised, x)) > 20


@pytest.mark.parametrize("name", list(networks.TINY))
def test_dialect(name):
    """Types, zero points, power-of-two scalar scales; only DQ outputs and few constants reach operators."""
    graph = OnnxGraph.from_model(quantize(networks.TINY[name]()))
    producers = graph.producers()
    for node in graph.nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            scale, zero = graph.constants[node.input[1]], graph.constants[node.input[2]]
            assert scale.shape == () and np.log2(scale) == np.round(np.log2(scale))
            weight = node.op_type == "DequantizeLinear" and node.input[0] in graph.constants
            assert (zero.dtype, int(zero)) == ((np.int8, 0) if weight else (np.uint8, 128))
        elif node.op_type in ("Conv", "Gemm", "Concat", "MaxPool", "AveragePool", "Reshape", "Softmax", "LRN"):
            floats = [i for i in node.input if i and graph.constants.get(i, np.float32(0)).dtype == np.float32]
            assert all(producers[i].op_type == "DequantizeLinear" for i in floats)
    for output in graph.outputs:
        assert producers[output.name].op_type == "DequantizeLinear"
    assert [o.name for o in graph.outputs] == [o.name for o in networks.TINY[name]().graph.output]


EXPECTED = {
    "residual": {"input": 1, "Conv→Relu": 1, "Conv": 1, "Add→Relu": 1},
    "mobilenet_block": {
        "input": 1,
        "Conv→Clip": 5,
        "Conv": 2,
        "Add": 1,
        "GlobalAveragePool": 1,
        "Reshape": 1,
        "Gemm": 1,
        "Softmax": 1,
    },
    "leaky": {"input": 1, "Conv→LeakyRelu": 2, "Resize": 1},
    "pools": {
        "input": 1,
        "Conv→Relu": 1,
        "Conv": 1,
        "AveragePool→Mul": 1,
        "AveragePool": 1,
        "MaxPool": 1,
        "GlobalAveragePool→Mul": 1,
        "Reshape": 1,
        "Gemm": 1,
    },
    "dense_norm": {
        "input": 1,
        "Conv→Relu": 1,
        "Conv": 2,
        "MaxPool": 1,
        "Mul": 3,
        "Add→Relu": 3,
        "Concat": 2,
        "GlobalAveragePool": 1,
    },
    "local_norm": {"input": 1, "Conv→Relu": 1, "Conv": 1, "LRN": 1, "MaxPool": 1, "Sigmoid": 1},
    "scale_shift": {"input": 1, "Mul": 1, "Conv": 3, "Add": 3, "Transpose": 1},
    "shuffle": {"input": 1, "Conv→Relu": 1, "Conv": 2, "Reshape": 2, "Transpose": 1, "Add→Relu": 1},
    "odd_7": {"input": 1, "Conv→Relu": 2, "Conv": 2, "Concat": 1},
}


@pytest.mark.parametrize("name", list(EXPECTED))
def test_patterns(name):
    assert patterns(quantize(networks.TINY[name]())) == EXPECTED[name]


@pytest.mark.parametrize("name", ["residual", "leaky", "shuffle", "odd_7"])
def test_patterns_equal_quarks(name):
    assert patterns(prepare(load_model(FIXTURES / f"quark_{name}.onnx"))) == EXPECTED[name]


def test_leaky_slope_is_26_of_256():
    for model in (quantize(networks.leaky()), load_model(FIXTURES / "quark_leaky.onnx")):
        slopes = [attributes(n)["alpha"] for n in model.graph.node if n.op_type == "LeakyRelu"]
        assert slopes == [26 / 256] * 2


def test_pool_factors():
    assert [POOL_FACTORS[k * k] for k in (3, 5, 6, 7, 14)] == [(7, 64), (10, 256), (7, 256), (21, 1024), (21, 4096)]
    assert pool_factor(49) == 49 * 21 / 1024 and pool_factor(9) == 63 / 64 and pool_factor(25) == 250 / 256
    assert [pool_factor(n) for n in (1, 4, 16, 64, 1024)] == [1.0] * 5
    assert all(abs(pool_factor(n) - 1) < 0.02 for n in range(1, 400) if n not in (9, 25, 36))
    graph = OnnxGraph.from_model(load_model(FIXTURES / "quark_pools.onnx"))
    factors = sorted(float(graph.constants[n.input[1]]) for n in graph.nodes if n.op_type == "Mul")
    assert factors == sorted([pool_factor(9), pool_factor(4), pool_factor(25)])


# ------------------------------------------------------------------------------------ scales
def exponents(model: onnx.ModelProto) -> dict[str, int]:
    graph = OnnxGraph.from_model(model)
    return {
        n.input[0].removesuffix("_QuantizeLinear_Input"): int(np.log2(graph.constants[n.input[1]]))
        for n in graph.nodes
        if n.op_type in ("QuantizeLinear", "DequantizeLinear") and not n.input[0].endswith("_QuantizeLinear_Output")
    }


def test_concat_and_moves_share_their_scale():
    for name in ("odd_7", "dense_norm", "upsample_concat", "pools", "shuffle", "vgg_block"):
        graph = OnnxGraph.from_model(quantize(networks.TINY[name]()))
        producers, readers = graph.producers(), graph.consumers()
        for node in graph.nodes:
            if node.op_type in ("Concat", "MaxPool", "Reshape", "Transpose", "Resize"):
                sources = node.input if node.op_type == "Concat" else node.input[:1]
                scales = {float(graph.constants[producers[i].input[1]]) for i in sources}
                scales.add(float(graph.constants[readers[node.output[0]][0].input[1]]))
                assert len(scales) == 1, (name, node.name)


def test_shift_limits():
    """Accumulator to output at most 15 bits right; bias within XINT8's limits of the accumulator's LSB."""
    for build in networks.TINY.values():
        graph = OnnxGraph.from_model(quantize(build()))
        producers, readers = graph.producers(), graph.consumers()

        def exponent(tensor, graph=graph, producers=producers):
            return int(np.log2(graph.constants[producers[tensor].input[1]]))

        for node in graph.nodes:
            if node.op_type not in ("Conv", "Gemm"):
                continue
            x, w = exponent(node.input[0]), exponent(node.input[1])
            after = readers[node.output[0]][0]
            leaky = after.op_type == "LeakyRelu"
            after = after if after.op_type == "QuantizeLinear" else readers[after.output[0]][0]
            shift = int(np.log2(graph.constants[after.input[1]])) - x - w
            assert shift <= 15
            if len(node.input) > 2:
                finer = 0 if leaky else max(0, 16 - max(0, shift))
                assert -finer <= exponent(node.input[2]) - x - w <= 15


def test_softmax_and_sigmoid_have_the_unit_scale():
    assert exponents(quantize(networks.vgg_block()))["softmax_12"] == -7
    assert exponents(quantize(networks.local_norm()))["sigmoid_5"] == -7


@given(st.floats(1e-6, 1e4, allow_nan=False))
def test_covering_exponent_is_the_smallest_that_covers(largest):
    e = covering_exponent(largest)
    assert largest <= 127 * 2.0**e
    assert largest > 127 * 2.0 ** (e - 1) or e == -24


@given(st.integers(0, 2**32 - 1), st.floats(-8, 8))
def test_best_exponent_has_the_least_error(seed, magnitude):
    values = (np.random.default_rng(seed).standard_normal(200) * 2.0**magnitude).astype(np.float32)

    def error(exponent: int) -> float:
        return float(np.sum((quantize_int8(values.copy(), exponent) * 2.0**exponent - values.astype(np.float64)) ** 2))

    largest = float(np.max(np.abs(values)))
    chosen, cover = best_exponent(values, largest), covering_exponent(largest)
    assert cover - 3 <= chosen <= cover
    assert error(chosen) <= min(error(e) for e in range(cover - 3, cover + 1)) * (1 + 1e-9)


def test_bias_exponent_limits():
    tiny, huge = np.full(4, 1e-9, np.float32), np.full(4, 1e6, np.float32)
    assert bias_exponent(tiny, accumulator=-12, out=-4, leaky=False) == -12 - 8
    assert bias_exponent(tiny, accumulator=-12, out=-4, leaky=True) == -12
    assert bias_exponent(huge, accumulator=-12, out=-4, leaky=False) == -12 + 15
    assert bias_exponent(np.zeros(4, np.float32), accumulator=-12, out=-4, leaky=False) == -12


def test_rounding_is_half_to_even_and_saturates():
    values = np.asarray([0.5, 1.5, 2.5, -0.5, -1.5, 300, -300], np.float32)
    assert quantize_int8(values, 0).tolist() == [0, 2, 2, 0, -2, 127, -128]


def test_unfolded_batch_norms_keep_the_function():
    """BN → Mul → Add becomes one affine pair; Conv → BN → Mul → Add vanishes into the convolution."""
    b = NetBuilder("chain", (1, 4, 6, 6))
    x = b.max_pool("data", 2)
    for source in (x, None):
        x = b.batch_norm(source or b.conv(x, 8))
        c = b.channels[x]
        x = b.op("Mul", [x, b.constant("g", 1 + 0.1 * b.normal(1, c, 1, 1))])
        x = b.relu(b.op("Add", [x, b.constant("s", b.normal(1, c, 1, 1))]))
    model = b.model()
    quantised = quantize(model)
    assert patterns(quantised) == {"input": 1, "MaxPool": 1, "Mul": 1, "Add→Relu": 1, "Conv→Relu": 1}
    x = noise(model)
    assert snr_db(run(model, x), run(quantised, x)) > 25


def test_bias_32_uses_the_accumulator_scale():
    graph = OnnxGraph.from_model(quantize(networks.conv_relu(), bias_bits=32))
    producers = graph.producers()
    for node in graph.nodes:
        if node.op_type == "Conv":
            scales = [float(graph.constants[producers[i].input[1]]) for i in node.input]
            assert scales[2] == scales[0] * scales[1]
            assert graph.constants[producers[node.input[2]].input[0]].dtype == np.int32


# ------------------------------------------------------------------------------------ errors and files
def test_quantised_twice():
    with pytest.raises(ModelError, match="quantised already"):
        quantize(quantize(networks.conv_relu()))


def test_nan_weight_and_bad_bits():
    model = networks.conv_relu()
    value = numpy_helper.to_array(model.graph.initializer[0]).copy()
    value.flat[3] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(value, model.graph.initializer[0].name))
    with pytest.raises(ModelError, match=r"weight 'w_0' holds NaN"):
        quantize(model)
    with pytest.raises(InputError, match="8 or 32"):
        quantize(networks.conv_relu(), bias_bits=16)


def test_calibration_errors():
    model = networks.conv_relu()
    for sample, text in (
        ({"image": np.zeros(3)}, "has no 'data'; it has image"),
        ({"data": np.zeros((1, 3, 4, 4))}, r"has shape \(1, 3, 4, 4\), the input is \(1, 3, 9, 9\)"),
        ({"data": np.full((1, 3, 9, 9), np.nan)}, "NaN"),
    ):
        with pytest.raises(InputError, match=text):
            quantize(model, [sample])
    with pytest.raises(InputError, match="no calibration sample"):
        quantize(model, [])


def test_quantize_file(tmp_path):
    source = tmp_path / "net.onnx"
    onnx.save(networks.conv_relu(), source)
    result = quantize_file(source, tmp_path / "out" / "q.onnx", prefer="own")
    assert "no calibration data was given" in " ".join(result.notes) and result.samples == 1
    assert patterns(load_model(result.path)) == {"input": 1, "Conv→Relu": 1, "Conv": 1}
    data = np.random.default_rng(0).standard_normal((5, 3, 9, 9)).astype(np.float32)
    np.save(tmp_path / "c.npy", data)
    np.savez(tmp_path / "c.npz", data=data)
    for name in ("c.npy", "c.npz"):
        result = quantize_file(source, tmp_path / "q.onnx", tmp_path / name, prefer="own")
        assert result.samples == 5 and "5 samples of" in result.notes[1]
    np.save(tmp_path / "bad.npy", data[:, :2])
    (tmp_path / "junk.npz").write_bytes(b"junk")
    for name, text in (("bad.npy", r"has shape \(5, 2, 9, 9\)"), ("junk.npz", "not a .npy"), ("none.npy", "no such")):
        with pytest.raises(InputError, match=text):
            quantize_file(source, tmp_path / "q.onnx", tmp_path / name, prefer="own")


def test_quark_asked_for_but_missing(tmp_path):
    onnx.save(networks.conv_relu(), tmp_path / "n.onnx")
    if not quark_available():
        with pytest.raises(InputError, match="AMD Quark is not installed"):
            quantize_file(tmp_path / "n.onnx", tmp_path / "q.onnx", prefer="quark")
    with pytest.raises(InputError, match="there are auto, own, quark"):
        quantize_file(tmp_path / "n.onnx", tmp_path / "q.onnx", prefer="xilinx")


@pytest.mark.quark
@pytest.mark.skipif(not quark_available(), reason="amd-quark is not installed")
def test_quark_writes_the_same_patterns(tmp_path):
    onnx.save(networks.residual(), tmp_path / "n.onnx")
    result = quantize_file(tmp_path / "n.onnx", tmp_path / "q.onnx", prefer="quark")
    assert patterns(prepare(load_model(result.path))) == EXPECTED["residual"]


def test_operator_that_nothing_knows_stays_float():
    b = NetBuilder("erf", (1, 3, 5, 5))
    b.conv(b.op("Erf", [b.relu(b.conv("data", 8))]), 4)
    quantised = quantize(b.model())
    assert patterns(quantised) == {"input": 1, "Conv→Relu": 1, "Erf": 1, "Conv": 1}


ARRAY_PATTERNS = {
    "input",
    *("Conv", "Conv→Relu", "Gemm", "Gemm→Relu", "Add→Relu", "Mul", "Relu", "Concat", "MaxPool", "Reshape", "Transpose"),
    *("AveragePool", "AveragePool→Mul", "GlobalAveragePool→Mul"),
}
HOST_PATTERNS = {"LRN", "Softmax"}
SLOW = [pytest.param(n, marks=pytest.mark.slow) for n in LIGHT_NAMES if n not in ("squeezenet", "shufflenet")]


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", *SLOW])
def test_light_networks(name):
    """Each real architecture quantises, runs, has only known patterns and keeps its logits recognisable."""
    model = light_model(name)
    quantised = quantize(model)
    assert set(patterns(quantised)) <= ARRAY_PATTERNS | HOST_PATTERNS
    x = noise(model)
    reference, value = run(model, x).reshape(-1), run(quantised, x).reshape(-1)
    assert len(np.unique(value)) > 3 and int(np.argmax(reference)) in np.argsort(-value)[:10]
