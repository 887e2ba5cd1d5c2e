"""int16 activations through convolutions: the array's bytes are those of numpy int64, at the price of the device."""

import dataclasses

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixed_nets import PATTERNS, MixedBuilder
from tvm_aie.cli import service
from tvm_aie.cli.progress import Progress
from tvm_aie.cost import kernel_cycles
from tvm_aie.device import load_device
from tvm_aie.emit.verify import used_parts
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.runtime.emulator import kernel_cycles as native_cycles


class WideBuilder(MixedBuilder):
    """Tensors named in ``wide`` are int16; shifts keep the values large."""

    def __init__(self, shape, seed=0, patterns=PATTERNS, wide=("x",)):
        super().__init__(shape, seed, patterns)
        self.wide = set(wide)
        self.tensors["x"] = self.typed(self.tensors["x"])

    def typed(self, tensor):
        return dataclasses.replace(tensor, bits=16 if tensor.name in self.wide else 8)

    def wide_conv(self, x, cout, k=3, wide_out=False, **arguments):
        y = self.conv(x, cout, k, **arguments)
        layer = self.layers[-1]
        q = layer.requant
        lo, hi = (-32768, 32767) if wide_out else (q.lo, 127)
        shift = q.shift + 8 * (x in self.wide) - 8 * wide_out
        self.layers[-1] = dataclasses.replace(layer, requant=dataclasses.replace(q, shift=shift, lo=lo, hi=hi))
        if wide_out:
            self.wide.add(y)
            self.tensors[y] = self.typed(self.tensors[y])
        return y


def check(graph, device="npu1", seed=0):
    compiled = compile_graph(graph, device)
    rng = np.random.default_rng(seed)
    io = graph.inputs[0]
    bound = 32768 if io.dtype == "int16" else 128
    x = rng.integers(-bound, bound, io.shape).astype(io.dtype)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})
    for out, got in zip(graph.outputs, result.outputs, strict=True):
        assert got.dtype == np.dtype(out.dtype)
        np.testing.assert_array_equal(got, expected[out.tensor].reshape(got.shape), err_msg=out.tensor)
    return compiled, result


@pytest.mark.parametrize("device", ["npu1", "wbs-2x2", "wbs-3x2"])
@pytest.mark.parametrize(("wide_in", "wide_out"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        ((24, 9, 9), {"cout": 40, "k": 3}),
        ((40, 7, 8), {"cout": 24, "k": 1}),
        ((13, 31, 33), {"cout": 16, "k": 3, "stride": 2}),
        ((16, 20, 12), {"cout": 9, "k": 3, "dilation": 2, "pads": (2, 2, 2, 2)}),
        ((8, 16, 8), {"cout": 16, "k": 1, "kw": 5, "negative_mul": 26, "lo": -128}),
        ((16, 17, 17), {"cout": 24, "k": 1, "stride": 2}),
    ],
)
def test_every_form(device, wide_in, wide_out, shape, arguments):
    b = WideBuilder(shape, 3, ("full", "holes", "dead"), ("x",) if wide_in else ())
    _, result = check(b.graph(b.wide_conv("x", wide_out=wide_out, **arguments)), device)
    assert len(np.unique(result.outputs[0])) > 30  # the shifts leave something to compare


@given(st.integers(0, 10**6), st.sampled_from(["npu1", "wbs-2x2"]))
@settings(max_examples=25, deadline=None)
def test_chains_of_both_widths(seed, device):
    rng = np.random.default_rng(seed)
    size = int(rng.choice([1, 7, 8, 9, 17, 31]))
    b = WideBuilder((int(rng.integers(1, 30)), size, size), seed, PATTERNS, ("x",) if rng.random() < 0.5 else ())
    x = "x"
    for _ in range(int(rng.integers(1, 4))):
        k = 1 if b.tensors[x].channels > 24 else int(rng.choice([1, 3]))
        x = b.wide_conv(x, int(rng.integers(1, 40)), k, wide_out=bool(rng.random() < 0.5), lo=-128)
    check(b.graph(x), device, seed)


def test_int16_costs_twice_the_cycles_and_the_bytes():
    """Per MAC, on both machines; the superkernel carries the kernel."""
    for device, low, high in (("npu1", 1.7, 2.1), ("wbs-2x2", 1.99, 2.01)):
        per_mac, loads = [], []
        for wide in (("x",), ()):
            b = WideBuilder((32, 28, 28), 1, ("full",), wide)
            compiled, result = check(b.graph(b.wide_conv("x", 64, 3)), device)
            per_mac.append(result.items[0].busy_sum / result.items[0].macs)
            loads.append(sum(i.bytes_load for i in result.items))
            assert ("conv_int16" in used_parts(compiled.program)) == bool(wide)
        assert low < per_mac[0] / per_mac[1] < high
        assert loads[0] - loads[1] >= 32 * 28 * 28


def test_python_and_native_formula_agree():
    device = load_device("npu1")
    wide = dataclasses.replace(device, conv=dataclasses.replace(device.conv, ii_per_acc=device.conv.int16_per_acc))
    trips = [0, 1, 2, 3, 0, 5, 0, 0, 80]
    native = native_cycles(device.keys(), 1, chunks=9, trips=trips, blocks=7, wide=True)
    assert native == kernel_cycles(wide, 9, trips, 7) > kernel_cycles(device, 9, trips, 7)


def test_sums_beyond_32_bits_and_other_layers_are_refused():
    b = WideBuilder((128, 5, 5), 1, ("full",))
    with pytest.raises(ProgramError, match="beyond 32 bits"):
        b.graph(b.wide_conv("x", 8, 3))
    b = WideBuilder((8, 5, 5), 1, ("full",))
    with pytest.raises(ProgramError, match="only convolutions compute on int16"):
        b.graph(b.pool("x"))


def onnx_net(out_dtype=np.int16, alpha=None):
    """int16 -> convolution, (leaky) relu -> int16 -> convolution -> ``out_dtype``; sums that fp32 holds exactly."""
    rng = np.random.default_rng(0)
    node, value = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    constants = {
        "s0": np.float32(2**-12), "s1": np.float32(2**-6), "s2": np.float32(2**-10), "sb": np.float32(2**-18),
        "s3": np.float32(2**-9) if out_dtype == np.int16 else np.float32(2**-3),
        "z16": np.int16(0), "z8": np.int8(0), "z32": np.int32(0), "zo": out_dtype(0),
        "w0": rng.integers(-60, 61, (16, 8, 3, 3)).astype(np.int8),
        "w1": rng.integers(-30, 31, (9, 16, 1, 1)).astype(np.int8),
        "b": rng.integers(-5000, 5000, 16).astype(np.int32),
    }  # fmt: skip
    act = node("Relu", ["y"], ["r"]) if alpha is None else node("LeakyRelu", ["y"], ["r"], alpha=alpha)
    nodes = [
        node("QuantizeLinear", ["x", "s0", "z16"], ["q0"]),
        node("DequantizeLinear", ["q0", "s0", "z16"], ["d0"]),
        node("DequantizeLinear", ["w0", "s1", "z8"], ["dw0"]),
        node("DequantizeLinear", ["b", "sb", "z32"], ["db"]),
        node("Conv", ["d0", "dw0", "db"], ["y"], "conv0", pads=[1, 1, 1, 1]),
        act,
        node("QuantizeLinear", ["r", "s2", "z16"], ["q1"]),
        node("DequantizeLinear", ["q1", "s2", "z16"], ["d1"]),
        node("DequantizeLinear", ["w1", "s1", "z8"], ["dw1"]),
        node("Conv", ["d1", "dw1"], ["z"], "conv1"),
        node("QuantizeLinear", ["z", "s3", "zo"], ["q2"]),
        node("DequantizeLinear", ["q2", "s3", "zo"], ["out"]),
    ]
    init = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    ends = [value("x", onnx.TensorProto.FLOAT, (1, 8, 12, 12))], [value("out", onnx.TensorProto.FLOAT, (1, 9, 12, 12))]
    graph = onnx.helper.make_graph(nodes, "wide", *ends, init)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("device", ["aie2", "aie2/wbs-2x2"])
@pytest.mark.parametrize(("out_dtype", "alpha"), [(np.int16, None), (np.int8, None), (np.int16, 26 / 256)])
def test_onnx_networks_equal_onnxruntime(tmp_path, device, out_dtype, alpha):
    path = tmp_path / "wide.onnx"
    onnx.save(onnx_net(out_dtype, alpha), path)
    quiet = Progress(quiet=True)
    report = service.explain(path, device, quiet)
    assert {o.name for o in report.ops if o.on_array} == {"conv0", "conv1"}
    network = service.compile_network(path, device, quiet)
    x = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 8, 12, 12)).astype(np.float32)
    inputs = {"x": x}
    matches = service.check(network, inputs, service.execute(network, inputs, quiet), quiet)
    assert matches and all(m.ok for m in matches)
    (region,) = network.compilation.compiled
    assert [region.physical.tensors[layer.output].bits for layer in region.physical.layers] == [
        16,
        16 if out_dtype == np.int16 else 8,
    ]


def test_an_int16_pool_stays_on_the_cpu_with_its_reason(tmp_path):
    model = onnx_net()
    node = onnx.helper.make_node
    model.graph.node.insert(8, node("MaxPool", ["d1"], ["p"], "pool", kernel_shape=[3, 3], pads=[1] * 4))
    model.graph.node.insert(9, node("QuantizeLinear", ["p", "s2", "z16"], ["pq"]))
    model.graph.node.insert(10, node("DequantizeLinear", ["pq", "s2", "z16"], ["pd"]))
    next(n for n in model.graph.node if n.name == "conv1").input[0] = "pd"
    onnx.save(model, tmp_path / "pool.onnx")
    report = service.explain(tmp_path / "pool.onnx", "aie2", Progress(quiet=True))
    (pool,) = [o for o in report.ops if "max_pool" in o.kind]
    assert not pool.on_array and "int16" in pool.reason
    assert {o.name for o in report.ops if o.on_array} == {"conv0", "conv1"}


@pytest.mark.parametrize("device", ["npu1", "wbs-3x2"])
@pytest.mark.parametrize("kind", ["scale", "scaled", "pool in front", "pool behind"])
def test_stages_inside_a_call_are_int8(kind, device):
    """A pool or a scale shares no call with a convolution that reads or writes int16, nor with its int16 input."""
    b = WideBuilder((16, 9, 9), 5, wide=())
    if kind == "pool behind":
        x = b.pool(b.wide_conv(b.wide_conv("x", 16, wide_out=True), 24, 3), 2, 2, (0, 0, 0, 0))
    elif kind == "pool in front":
        x = b.wide_conv(b.wide_conv(b.pool("x", 3, 1), 24, 1, wide_out=True), 8, 1)
    else:
        factor = b.wide_conv(b.conv("x", 16, 3), 16, 1, groups=16, wide_out=kind == "scale")
        x = b.wide_conv(b.wide_conv(factor, 24, 1, wide_out=kind == "scaled"), 8, 1)
    compiled, _ = check(b.graph(x), device)
    assert not any(item.geometry.pool for item in compiled.placement.items)
