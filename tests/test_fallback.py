"""Operators that are too large for a core or a memtile: cut where the kernels allow it, else on the host with a reason.

Every network runs through TVM's virtual machine on the emulator and equals onnxruntime.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tvm
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tvm_aie
from graphs import GraphBuilder, run_checked
from qdq_net import QdqNet, run_onnx
from test_program_equality import run
from tvm_aie.cli import main, service
from tvm_aie.device import BdLimits, load_device
from tvm_aie.emit.transfers import Shape, merge_dims, piece_shape
from tvm_aie.errors import InfeasibleError, ProgramError
from tvm_aie.misfits import alone, kind_of
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.graph import AvgDivisor, Conv
from tvm_aie.rehearse import compile_rehearsed
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import DIVISIONS, WRAP, KernelId, Overlay, splits
from unet_nets import unet

tvm_aie._autoload()

from tvm import relay  # noqa: E402
from tvm.contrib import graph_executor  # noqa: E402

from tvm_aie.frontend import from_onnx  # noqa: E402
from tvm_aie.relax import codegen, fallback, last_compilation  # noqa: E402
from tvm_aie.relax.fallback import DoesNotFitError, fitting, fitting_partition  # noqa: E402

NPU1 = load_device("npu1")
LIMIT = Overlay.o_slot * Overlay.o_slots // 8  # pixels of a line that an output ring of npu1 holds


def compiled_and_equal(model: onnx.ModelProto, target: str) -> list[tuple[str, bool, str]]:
    """``compiled_and_run``; ``explain`` says the same."""
    rows = compiled_and_run(model, target)
    device = load_device(target.removeprefix("aie2/")) if "/" in target else NPU1
    assert fitting_partition(from_onnx(model), device)[0].report == last_compilation().report
    return rows


def compiled_and_run(model: onnx.ModelProto, target: str, seed: int = 0) -> list[tuple[str, bool, str]]:
    """Compile, run, compare with onnxruntime; the report's rows."""
    executable = tvm.compile(from_onnx(model), target=target)
    report = last_compilation().report
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    got = tvm.relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    (expected,) = run_onnx(model, {"input": x})
    assert len(np.unique(expected)) > 8
    np.testing.assert_array_equal(got, expected)
    return [(op.kind, op.on_array, op.reason) for op in report.ops if op.kind not in ("quantize", "dequantize")]


@pytest.mark.parametrize(
    ("target", "width"),
    [("aie2", 2 * LIMIT - 4), ("aie2", 2 * LIMIT), ("aie2", 2 * LIMIT + 4), ("aie2", 3200), ("aie2/wbs-2x2", 1600)],
)
def test_a_unet_runs_on_the_array(target, width):
    """Below, at and above the pixels that a core's output ring holds of a whole line behind the first pool."""
    rows = compiled_and_equal(unet(4, width), target)
    assert all(on_array for _, on_array, _ in rows), rows


@pytest.mark.parametrize(("target", "width"), [("aie2", 1600), ("aie2/wbs-2x2", 1600)])
def test_what_does_not_fit_is_on_the_host_with_the_reason(target, width):
    """A pool with padding takes whole lines; a window of 31x31 taps exceeds the weight ring."""
    rows = compiled_and_equal(unet(4, width, pool=3, window=31), target)
    host = {kind: reason for kind, on_array, reason in rows if not on_array}
    assert host.keys() == {"max_pool", "conv2d"}
    assert sum(not on_array for _, on_array, _ in rows) == 2
    name = target.removeprefix("aie2/") if "/" in target else "npu1"
    for kind, window, memory in (("max_pool", "3x3", "put memory"), ("conv2d", "31x31", "weight memory")):
        reason = host[kind]
        assert reason.startswith(f"Too large for {name} (layer ") and f"{window} window: needs" in reason
        assert memory in reason and "limit" in reason and "; use a smaller " in reason


def test_relay_build_falls_back_too():
    model = unet(4, 1600, pool=3)
    x = np.random.default_rng(1).standard_normal((1, 3, 4, 1600)).astype(np.float32)
    mod, params = relay.frontend.from_onnx(model, {"input": x.shape})
    module = graph_executor.GraphModule(relay.build(mod, target="aie2", params=params)["default"](tvm.cpu()))
    module.run(input=x)
    np.testing.assert_array_equal(module.get_output(0).numpy(), run_onnx(model, {"input": x})[0])
    assert [op.kind for op in last_compilation().report.host_ops if "Too large" in op.reason] == ["max_pool"]


def test_the_command_line_says_it_and_reads_the_file_once(tmp_path, capsys, monkeypatch):
    path = str(tmp_path / "net.onnx")
    onnx.save(unet(4, 1600, pool=3), path)
    assert main.main(["explain", path, "--quiet"]) == 0
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "Too large for npu1" in text]
    assert line.startswith("CPU") and "(max_pool)" in line and "window or image width" in line
    reads = []
    read = service.read_model
    monkeypatch.setattr(service, "read_model", lambda file: reads.append(file) or read(file))
    monkeypatch.setattr("tvm_aie.frontend.relax_import.load_model", lambda file: pytest.fail("read again"))
    assert main.main(["run", path, "--check", "--quiet"]) == 0
    assert "values equal to onnxruntime's" in capsys.readouterr().out
    assert reads == [path]
    assert main.main(["profile", path, "--quiet", "--check", "-o", str(tmp_path / "out")]) == 0
    assert reads == [path, path]


# ------------------------------------------------------------------ what the fallback does when planning fails


def test_a_network_of_which_nothing_fits_runs_on_the_host():
    net = QdqNet((1, 8, 40, 40))
    x = net.qdq(net.conv(net.input, 8, 8, 31, group=8, pads=[15] * 4, we=-8), -4)
    rows = compiled_and_equal(net.model(x), "aie2")
    assert [on_array for _, on_array, _ in rows] == [False]


def test_an_error_that_no_operator_is_to_blame_for_is_raised(monkeypatch):
    """And neither a backend of the user nor a failure of our own is taken for an operator that is too large."""
    net = QdqNet((1, 3, 8, 8))
    model = net.model(net.qdq(net.conv(net.input, 3, 8), -3))

    def failing(graphs, device):
        raise ProgramError("no legal order")

    previous = codegen.set_backend(failing)
    try:
        with pytest.raises(ProgramError, match="no legal order"):
            tvm.compile(from_onnx(model), target="aie2")
    finally:
        codegen.set_backend(previous)
    tvm.compile(from_onnx(model), target="aie2")
    assert last_compilation().report.regions == 1


def test_a_program_that_breaks_a_limit_is_no_reason_to_refuse_a_network():
    """What only emitting shows is asked of each layer by itself."""
    net = QdqNet((1, 3, 8, 8))
    x = net.qdq(net.relu(net.conv(net.input, 3, 8)), -3)
    model = net.model(net.qdq(net.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2]), -3))
    graph = fitting_partition(from_onnx(model), NPU1)[1][0]
    operators = {layer.name: layer.name.split(".")[0] for layer in graph.layers}
    assert fallback.blamed(ProgramError("x"), [(graph, operators)], NPU1) is None
    small = replace(NPU1, core_bds=2)  # fewer descriptors than rings: no program is legal
    found = fallback.blamed(ProgramError("x"), [(graph, operators)], small)
    assert found is not None and found.reasons.keys() == set(operators.values())
    assert all(reason.startswith("Too large for npu1 (program violates") for reason in found.reasons.values())


def test_rounds_end(monkeypatch):
    """Also when every partition fails, and when the blamed operator is not there."""
    net = QdqNet((1, 3, 8, 8))
    mod = from_onnx(net.model(net.qdq(net.conv(net.input, 3, 8), -3)))
    rounds = []

    def never(split):
        rounds.append(split)
        raise DoesNotFitError({f"op{len(rounds)}": "?"}, InfeasibleError("all of it", 2, 1, "bytes"))

    with pytest.raises(InfeasibleError, match="all of it"):
        fitting(mod, never)
    assert len(rounds) == fallback.MOST_ROUNDS
    rounds.clear()
    with pytest.raises(InfeasibleError, match="all of it"):
        fitting(mod, lambda split: never(rounds.clear()))
    assert len(rounds) == 1
    rounds.clear()
    checked = []
    with pytest.raises(InfeasibleError, match="all of it"):
        fitting(mod, never, checked.append)
    assert [id(split) for split in checked] == [id(split) for split in rounds[1:]]


def test_layers_are_blamed_that_fit_nowhere_alone():
    b = GraphBuilder((8, 6, 40))
    x = b.pool(b.conv("x", 8, 31), 3, 1)
    graph = b.graph(b.conv(x, 8, 33))
    with pytest.raises(InfeasibleError, match=r"layer conv0: .* 31x31 window") as caught:
        compile_graph(graph, "npu1")
    assert list(caught.value.layers) == ["conv0", "conv2"]
    with pytest.raises(InfeasibleError, match="33x33 window"):
        compile_graph(alone(graph, graph.layers[2]), "npu1")
    kinds = [kind_of(graph, layer) for layer in graph.layers]
    assert len(set(kinds)) == 3


@pytest.mark.parametrize("compile_with", [compile_graph, compile_rehearsed])
def test_a_large_window_takes_another_division_of_core_memory(compile_with):
    """256 taps are more than the weight ring of the default division holds."""
    b = GraphBuilder((8, 20, 20))
    graph = b.graph(b.conv("x", 8, 16, pads=(8, 8, 7, 7)))
    assert 64 * 256 > DIVISIONS[0].w_slot * DIVISIONS[0].w_slots
    compiled = compile_with(graph, "npu1")
    x = np.random.default_rng(0).integers(-128, 128, (1, 8, 20, 20)).astype(np.int8)
    run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    run(graph)


@pytest.mark.parametrize("channels", [160, 176, 512])
def test_a_residual_that_has_no_room_is_an_item(channels):
    """A convolution that adds one takes all its input channels at once: 21 blocks of 3x3 taps have no room in 12 KB."""
    b = GraphBuilder((channels, 3, 3))
    y = b.conv(b.conv("x", channels, 1), channels, 3, lo=-128)
    compiled, _ = run(b.graph(b.add(y, "x")))
    tails = [layer for layer in compiled.physical.layers if isinstance(layer, Conv) and layer.tail]
    assert bool(tails) == (channels == 160)


# ------------------------------------------------------------------ channel-wise layers in chunks of lines

LAYERS = {
    "add": lambda b, x: b.add(x, b.copy(x)),
    "copy": lambda b, x: b.copy(x),
    "max_pool": lambda b, x: b.pool(x, 2, 2, (0, 0, 0, 0)),
    "average": lambda b, x: b.pool(x, 3, 1, (0, 0, 0, 0), (AvgDivisor(0, 57, 9),)),
    "upsample": lambda b, x: b.upsample(x, (2, 3)),
}


@given(
    st.sampled_from(sorted(LAYERS)),
    st.sampled_from([511, 512, 513, 784, 785, 1042, 1568, 1571, 1601, 2048, 3000]),
    st.integers(3, 9),
    st.sampled_from([1, 8, 9, 17]),
    st.sampled_from(["npu1", "wbs-1x1", "wbs-2x3"]),
)
@settings(max_examples=25, deadline=None)
def test_long_lines_are_cut(kind, width, height, channels, device):
    b = GraphBuilder((channels, height, width))
    graph = b.graph(LAYERS[kind](b, b.permute("x", range(channels))))
    try:
        compiled, _ = run_checked(graph, device, Moves())
    except InfeasibleError as error:  # rows for which a memtile has no room
        assume("in a memtile" not in str(error))
        raise
    for item, tiling in zip(compiled.placement.items, compiled.tilings, strict=True):
        geo = item.geometry
        assert geo.kernel != KernelId.CONV
        whole = geo.line_px(geo.w_out) * geo.max_rows_in(geo.kh if geo.kernel == KernelId.UPSAMPLE else 1)
        assert tiling.n_x == 1 or geo.w_out * 8 * geo.kh > 4000 or whole * 8 * geo.n_inputs > 8000
        if geo.w_out > LIMIT:
            assert tiling.n_x > 1 and tiling.width * tiling.n_x >= geo.w_out


@pytest.mark.parametrize("width", [1568, 1592, 1597])
def test_an_add_in_place_computes_no_pixel_twice(width):
    b = GraphBuilder((8, 8, width))
    x = b.conv("x", 8, 1)
    graph = b.graph(b.add(b.copy(x), x))
    compiled, _ = run_checked(graph, "npu1", Moves(tails=False))
    found = list(zip(compiled.placement.items, compiled.tilings, strict=True))
    (tiling,) = [t for item, t in found if item.in_place]
    assert tiling.n_x > 1 and width % tiling.width == 0


@pytest.mark.parametrize("width", [512, 784, 1023, 1024, 2047, 4000])
@pytest.mark.parametrize(("k", "stride"), [(1, 1), (1, 2), (3, 1), (5, 2)])
def test_convolutions_of_long_lines(width, k, stride):
    """A padded line of more than 511 pixels is more than a descriptor's innermost dimension wraps."""
    b = GraphBuilder((8, 3, width))
    run(b.graph(b.conv("x", 16, k, stride)))


def test_parts_of_a_concat_of_long_lines():
    b = GraphBuilder((8, 4, 1600))
    x = b.conv("x", 8, 1)
    run(b.graph(b.conv(b.concat(x, b.pool(b.upsample(x, (2, 2)), 2, 2, (0,) * 4)), 8, 3)))


def test_parts_of_a_concat_of_lines_that_no_descriptor_carries():
    """1,601 pixels are a prime: parts of such a tensor are neither stored nor loaded, and the network still runs."""
    net = QdqNet((1, 8, 3, 1601))
    x = net.qdq(net.relu(net.conv(net.input, 8, 8, 1, we=-8)), -5)
    y = net.qdq(net.relu(net.conv(x, 8, 3, 1, we=-8)), -5)
    rows = compiled_and_run(net.model(net.qdq(net.op("Concat", [x, y], axis=1), -5)), "aie2/wbs-3x2")
    reasons = [reason for _, on_array, reason in rows if not on_array]
    assert reasons and all("words of a descriptor" in reason and "use an image width" in reason for reason in reasons)


def addresses(shape: Shape) -> list[int | None]:
    """Words in the order of the stream; None: a zero."""
    out: list[int | None] = [0]
    pads = ((0, 0),) * (len(shape.dims) - len(shape.pads)) + shape.pads
    for (size, stride), (before, behind) in zip(shape.dims[::-1], pads[::-1], strict=True):
        zeros: list[int | None] = [None] * len(out)
        steps = [[None if a is None else a + k * stride for a in out] for k in range(size)]
        out = [a for part in (*[zeros] * before, *steps, *[zeros] * behind) for a in part]
    return out


@given(
    st.lists(st.integers(1, 3), min_size=0, max_size=2),
    st.integers(1, 1100),
    st.sampled_from([1, 2, 4]),
    st.tuples(st.integers(0, 15), st.integers(0, 15)),
    st.integers(0, 8),
)
@settings(max_examples=80, deadline=None)
def test_a_split_line_is_the_same_stream(outer, pixels, words, pads, gap):
    limits: BdLimits = NPU1.memtile_bd
    line = pixels * words
    dims, stride = [(line, 1)], line + gap * words
    for size in outer:
        dims.insert(0, (size, stride))
        stride *= size
    padding = ((pads[0] * words, pads[1] * words),) if any(pads) else ()
    shape = piece_shape(0, dims, limits, padding)
    assert addresses(shape) == addresses(Shape(0, merge_dims(dims, padding), padding))
    assert shape.words == len(addresses(shape))
    fits = line <= WRAP or (words > 1 and pixels <= WRAP) or (not padding and splits(line))
    if fits and len(shape.dims) > 1:
        assert all(size <= limits.wrap_max(i) for i, (size, _) in enumerate(shape.dims[:0:-1]))
        assert all(max(p) <= limits.pad_max(i) for i, p in enumerate(shape.pads[::-1]))


# ------------------------------------------------------------------ memtiles


def test_what_cannot_be_loaded_ahead_is_loaded_in_time():
    """Two rows with their halo exceed the memtile, one does not."""
    b = GraphBuilder((8, 32, 512))
    graph = b.graph(b.conv("x", 8, 5))
    device = replace(NPU1, memtile_bytes=80 << 10)
    items = compile_graph(graph, device).placement.items
    assert len(items) > 1 and all(place.load_at == item.index for item in items for place in item.inputs)
    run(graph, device)
    roomy = compile_graph(graph, replace(NPU1, memtile_bytes=100 << 10)).placement.items
    assert any(place.load_at < item.index for item in roomy for place in item.inputs)


def test_layers_of_many_items_are_to_blame_for_opcodes():
    """A layer of 40 row chunks has 40 messages; the small ones have one each, and stay."""
    b = GraphBuilder((8, 160, 500))
    x = "x"
    for _ in range(4):
        x = b.conv(x, 8, 3)
    y = b.conv(x, 8, 8, 8, (0,) * 4)
    small = replace(NPU1, memtile_bytes=80 << 10)
    with pytest.raises(InfeasibleError, match="opcodes of all layers in a memtile") as caught:
        compile_graph(b.graph(b.conv(y, 8, 3)), small, moves=Moves(runs=False))
    assert caught.value.layers and caught.value.layers.keys() <= {f"conv{k}" for k in range(5)}


def test_a_network_that_does_not_fit_a_small_memtile(tmp_path):
    """Through TVM: what is left on the array after the layers to blame are gone is right."""
    text = (Path(__file__).parents[1] / "python/tvm_aie/device/npu1.toml").read_text()
    path = tmp_path / "small.toml"
    small = text.replace("bytes = { value = 524288", f"bytes = {{ value = {80 << 10}")
    assert small != text
    path.write_text(small)
    model = unet(16, 1000)
    executable = tvm.compile(from_onnx(model), target={"tag": "aie2", "model": str(path)})
    report = last_compilation().report
    x = np.random.default_rng(0).standard_normal((1, 3, 16, 1000)).astype(np.float32)
    got = tvm.relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    np.testing.assert_array_equal(got, run_onnx(model, {"input": x})[0])
    large = [op for op in report.host_ops if "Too large" in op.reason]
    assert large and all("memtile" in op.reason for op in large)
    assert 0 < report.mac_share < 1
