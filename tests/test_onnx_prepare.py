"""Reading and normalising ONNX files: what is refused, with which words, and that the rest keeps its values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import networks
from tvm_aie.errors import InputError, ModelError
from tvm_aie.frontend.onnx_build import NetBuilder
from tvm_aie.frontend.onnx_fold import quiet_options
from tvm_aie.frontend.onnx_graph import OnnxGraph
from tvm_aie.frontend.onnx_prepare import load_model, prepare
from tvm_aie.frontend.onnx_zoo import LIGHT_NAMES, light_model, light_path

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("quark_*.onnx"))


def run(model: onnx.ModelProto, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    feeds = {}
    for info in model.graph.input:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        feeds[info.name] = rng.standard_normal(shape).astype(np.float32)
    return ort.InferenceSession(model.SerializeToString(), quiet_options()).run(None, feeds)


def graph_model(nodes, inputs, outputs, weights=(), opset=17) -> onnx.ModelProto:
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()]
    outs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs]
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", infos, outs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in model.graph.node]


# ------------------------------------------------------------------------------------ files
def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.onnx: no such file"):
        load_model(tmp_path / "nowhere.onnx")


def test_directory_and_empty_file(tmp_path):
    with pytest.raises(ModelError, match="is a directory"):
        load_model(tmp_path)
    (tmp_path / "e.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="the file is empty"):
        load_model(tmp_path / "e.onnx")


@pytest.mark.parametrize("data", [b"PK\x03\x04 not a network", b"\x89PNG\r\n\x1a\n" * 9, b"{}", b"hello world\n" * 40])
def test_not_onnx(tmp_path, data):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="not an ONNX file"):
        load_model(path)


def test_every_truncation_is_a_model_error(tmp_path):
    data = networks.residual().SerializeToString()
    path = tmp_path / "cut.onnx"
    for size in [*range(1, 200, 7), *range(200, len(data), 499), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(ModelError, match=r"truncated|damaged|not an ONNX|opset|invalid|cannot be read"):
            load_model(path)


def test_random_damage_never_escapes(tmp_path):
    data = bytearray(networks.conv_relu().SerializeToString())
    rng, path = np.random.default_rng(7), tmp_path / "bad.onnx"
    for _ in range(150):
        damaged = bytearray(data)
        for position in rng.integers(0, min(len(data), 2500), 3):
            damaged[position] ^= 1 << int(rng.integers(0, 8))
        path.write_bytes(bytes(damaged))
        try:
            prepare(load_model(path))
        except ModelError:
            continue


def test_external_data_missing_and_short(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(networks.vgg_block(), path, save_as_external_data=True, location="w.bin", size_threshold=64)
    assert run(load_model(path))[0].shape == (1, 10)
    data = (tmp_path / "w.bin").read_bytes()
    (tmp_path / "w.bin").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=r"external data 'w.bin' is truncated"):
        load_model(path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"external data file 'w.bin' of tensor '\w+' is missing"):
        load_model(path)


@pytest.mark.parametrize("scale", [np.nan, np.inf, 0.0, -0.5])
def test_bad_scale_names_the_node(tmp_path, scale):
    model = onnx.load(FIXTURES[0])
    node = next(n for n in model.graph.node if n.op_type == "QuantizeLinear")
    tensor = next(t for t in model.graph.initializer if t.name == node.input[1])
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(scale, np.float32), tensor.name))
    onnx.save(model, tmp_path / "s.onnx")
    with pytest.raises(ModelError, match=f"{node.name}.*has the scale .*finite and above zero"):
        load_model(tmp_path / "s.onnx")


def test_old_opset(tmp_path):
    model = graph_model([helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 2]}, ["y"], opset=8)
    onnx.save(model, tmp_path / "o.onnx")
    with pytest.raises(ModelError, match="opset 8 is not supported, 9 to 21 are"):
        load_model(tmp_path / "o.onnx")


def test_unproduced_tensor_and_cycle():
    model = graph_model([helper.make_node("Relu", ["nobody"], ["y"], name="r")], {"x": [1]}, ["y"])
    with pytest.raises(ModelError, match="Relu 'r' reads 'nobody', which nothing produces"):
        prepare(model)
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    with pytest.raises(ModelError, match="cycle"):
        prepare(graph_model(nodes, {"x": [1]}, ["b"]))


# ------------------------------------------------------------------------------------ shapes
def dynamic(shape=("N", 3, 8, 8)) -> onnx.ModelProto:
    weights = {"w": np.ones((4, 3, 3, 3), np.float32), "s": np.asarray([-1, 4 * 36])}
    nodes = [helper.make_node("Conv", ["data", "w"], ["c"]), helper.make_node("Reshape", ["c", "s"], ["y"])]
    return graph_model(nodes, {"data": list(shape)}, ["y"], weights)


def test_dynamic_shape_says_how():
    with pytest.raises(ModelError, match=r"input 'data' has the dynamic dimension 0 \('N'\).*--shape data=1,3,8,8"):
        prepare(dynamic())
    with pytest.raises(ModelError, match=r"dimension 2 \('H'\).*--shape data=1,3,224,224"):
        prepare(dynamic((1, 3, "H", "W")))
    assert run(prepare(dynamic(), {"data": (2, 3, 8, 8)}))[0].shape == (2, 144)


def test_wrong_shape_option():
    with pytest.raises(ModelError, match="names 'image', the network's inputs are data"):
        prepare(dynamic(), {"image": (1, 3, 8, 8)})
    with pytest.raises(ModelError, match="does not suit input 'data' of 4 dimensions"):
        prepare(dynamic(), {"data": (1, 3)})
    with pytest.raises(ModelError, match=r"Conv .* expects 3 input channels, gets 5"):
        prepare(dynamic(), {"data": (1, 5, 8, 8)})


@pytest.mark.parametrize("name", ["shuffle", "vgg_block", "mobilenet_block"])
def test_batch_override_is_the_stacked_batch(name):
    model = networks.TINY[name]()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    batched = prepare(model, {"data": [4, *shape[1:]]})
    x = np.random.default_rng(0).standard_normal([4, *shape[1:]]).astype(np.float32)
    single, many = (ort.InferenceSession(m.SerializeToString(), quiet_options()) for m in (prepare(model), batched))
    rows = np.concatenate([single.run(None, {"data": x[k : k + 1]})[0] for k in range(4)])
    np.testing.assert_allclose(many.run(None, {"data": x})[0], rows, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------------------ normal form
@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_quark_files_keep_their_values(path):
    model = load_model(path)
    ordered = OnnxGraph.from_model(model)
    ordered.sort()
    prepared = prepare(model)
    onnx.checker.check_model(prepared, full_check=True)
    assert not {"Constant", "Flatten", "Sum", "Identity"} & set(kinds(prepared))
    for a, b in zip(run(ordered.to_model()), run(prepared), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", list(networks.TINY))
def test_float_networks_keep_their_values(name):
    model = networks.TINY[name]()
    for a, b in zip(run(model), run(prepare(model)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
def test_opsets(opset):
    """The same network written at each opset from 9 to 21."""
    weights = {"w": np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["data", "w"], ["c"], pads=[1, 1, 1, 1], name="c"),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("AveragePool", ["r"], ["a"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["a"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"], axis=1),
    ]
    if opset <= 12:
        nodes[2:2] = [helper.make_node("Dropout", ["r"], ["d"])]
        nodes[3].input[0] = "d"
    model = graph_model(nodes, {"data": [1, 3, 6, 6]}, ["y"], weights, opset)
    prepared = prepare(model)
    assert prepared.opset_import[0].version == max(17, opset)
    assert kinds(prepared) == ["Conv", "Relu", "AveragePool", "Reshape", "Softmax"]
    np.testing.assert_allclose(run(model)[0], run(prepared)[0], rtol=1e-6)


def test_qdq_of_opset_13_converts_exactly():
    model = onnx.load(FIXTURES[0])
    model = prepare(model)
    old = onnx.ModelProto()
    old.CopyFrom(model)
    old.opset_import[0].version = 13
    np.testing.assert_array_equal(run(prepare(old))[0], run(model)[0])


def test_exported_shape_arithmetic_folds():
    """Shape -> Gather -> Unsqueeze -> Concat -> Reshape, as PyTorch wrote x.view(x.size(0), -1)."""
    b = NetBuilder("view", (2, 3, 4, 4))
    x = b.relu(b.conv("data", 6))
    size = b.op("Gather", [b.op("Shape", [x]), b.constant("i", 0, np.int64)])
    size = b.op("Unsqueeze", [size, b.constant("axes", [0], np.int64)])
    target = b.op("Concat", [size, b.constant("m", [-1], np.int64)], axis=0)
    b.gemm(b.op("Reshape", [x, target], 96), 5)
    model = b.model()
    prepared = prepare(model)
    assert kinds(prepared) == ["Conv", "Relu", "Reshape", "Gemm"]
    np.testing.assert_allclose(run(model)[0], run(prepared)[0], rtol=1e-6)


def test_no_ops_go_and_outputs_keep_their_names():
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("Dropout", ["a"], ["b", "unused"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Sum", ["c", "c", "c"], ["d"]),
        helper.make_node("Transpose", ["d"], ["e"], perm=[0, 1]),
        helper.make_node("Identity", ["e"], ["y"]),
    ]
    prepared = prepare(graph_model(nodes[::-1], {"x": [2, 3]}, ["y"]))
    assert kinds(prepared) == ["Relu", "Add", "Add"]
    assert [o.name for o in prepared.graph.output] == ["y"]


def test_layout_of_a_quantised_weight_moves_to_the_integers():
    weights = {
        "q": np.arange(-6, 6, dtype=np.int8).reshape(3, 4),
        "s": np.float32(0.25),
        "z": np.int8(0),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"]),
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0]),
        helper.make_node("Gemm", ["x", "t"], ["y"]),
    ]
    model = graph_model(nodes, {"x": [2, 4]}, ["y"], weights)
    prepared = prepare(model)
    assert kinds(prepared) == ["DequantizeLinear", "Gemm"]
    np.testing.assert_array_equal(run(model)[0], run(prepared)[0])


def test_auto_pad_becomes_pads():
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3]),
        helper.make_node("MaxPool", ["a"], ["y"], auto_pad="SAME_LOWER", kernel_shape=[2, 2]),
    ]
    weights = {"w": np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)}
    model = graph_model(nodes, {"x": [1, 3, 8, 9]}, ["y"], weights)
    prepared = prepare(model)
    pads = [list(a.ints) for n in prepared.graph.node for a in n.attribute if a.name == "pads"]
    assert pads == [[0, 1, 1, 1], [1, 1, 0, 0]]
    np.testing.assert_allclose(run(model)[0], run(prepared)[0], rtol=1e-6)


# ------------------------------------------------------------------------------------ zoo
@pytest.mark.parametrize(("scale", "refused"), [(2.0, False), (4 / 3, False), (2.2, True), (2.0001, True), (0.5, True)])
def test_resize_by_a_scale_that_gives_no_whole_size_is_refused(scale, refused):
    """TVM divides the sizes where ONNX divides by the scale: pixels would come from elsewhere."""
    size = 9
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest", nearest_mode="floor",
                            coordinate_transformation_mode="asymmetric")  # fmt: skip
    scales = np.array([1, 1, 1, scale], np.float32)
    model = graph_model([node], {"x": [1, 2, 3, size]}, ["y"], {"s": scales})
    if refused:
        with pytest.raises(ModelError, match=rf"scales a size of {size} by .* not whole; export it with sizes"):
            prepare(model)
    else:
        np.testing.assert_array_equal(run(model), run(prepare(model)))


def test_a_clip_of_crossed_bounds_gives_the_upper_one():
    node = helper.make_node("Clip", ["x", "lo", "hi"], ["y"])
    model = graph_model([node], {"x": [2, 3]}, ["y"], {"lo": np.float32(2), "hi": np.float32(-1)})
    prepared = prepare(model)
    (clip,) = prepared.graph.node
    assert clip.input[1] == clip.input[2]
    (want,) = run(model)
    assert (want == -1).all()
    np.testing.assert_array_equal(run(prepared)[0], want)


@pytest.mark.parametrize(("kind", "zero"), [(TensorProto.INT4, None), (TensorProto.INT4, 1), (TensorProto.UINT4, 3)])
def test_weights_of_four_bits_become_eight(kind, zero):
    low = 0 if kind == TensorProto.UINT4 else -8
    values = np.random.default_rng(0).integers(low, low + 16, (5, 3))
    weights = [helper.make_tensor("w", kind, values.shape, values.flatten().tolist())]
    if zero is not None:
        weights.append(helper.make_tensor("z", kind, (), [zero]))
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"] + ["z"] * (zero is not None), ["wf"]),
        helper.make_node("MatMul", ["x", "wf"], ["y"]),
    ]
    model = graph_model(nodes, {"x": [2, 5]}, ["y"], {"s": np.float32(0.5)}, opset=21)
    model.ir_version = 10
    model.graph.initializer.extend(weights)
    prepared = prepare(model)
    assert {t.data_type for t in prepared.graph.initializer} & {TensorProto.INT4, TensorProto.UINT4} == set()
    np.testing.assert_array_equal(run(prepared), run(model))
    x = np.random.default_rng(1).standard_normal((2, 5)).astype(np.float32)
    assert np.allclose(run(model)[0], x @ (values - (zero or 0)) * 0.5, atol=1e-4)


def test_branches_are_refused():
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["t"])], "b", [],
                               [helper.make_tensor_value_info("t", TensorProto.FLOAT, None)])  # fmt: skip
    node = helper.make_node("If", ["c"], ["y"], name="choice", then_branch=branch, else_branch=branch)
    model = graph_model([node], {"x": [2, 3]}, ["y"])
    model.graph.input.append(helper.make_tensor_value_info("c", TensorProto.BOOL, []))
    with pytest.raises(ModelError, match="If 'choice' branches while the network runs"):
        prepare(model)


def test_zoo_names():
    assert all(light_path(n).is_file() for n in LIGHT_NAMES)
    with pytest.raises(InputError, match="no network 'lenet'; there are resnet50, squeezenet"):
        light_model("lenet")


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_light_models_are_alive_and_deterministic(name):
    first, again, other = (light_model(name, s) for s in (0, 0, 1))
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    assert first.SerializeToString(deterministic=True) != other.SerializeToString(deterministic=True)
    assert len(first.graph.input) == 1 and first.opset_import[0].version == 17
    probabilities = run(first)[0].reshape(-1)
    assert 0.02 < probabilities.max() < 0.9 and probabilities.sum() == pytest.approx(1, abs=1e-4)
