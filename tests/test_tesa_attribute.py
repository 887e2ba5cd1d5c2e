"""The lattice, TesaMap, attaching; and the seventeen defects of the original (tesa.md section 8) as tests of ours.

    row                                        test of this file, and where else it is looked at
    1  the merge loses the width               test_defect_01..., test_meet_laws, test_meet_laws_of_tensors
    2  overlap of blocks is not seen           test_defects_02_to_04..., test_plan_cover: the_checker_rejects...
    3  ragged edges are never covered          test_defects_02_to_04..., test_gamma_view
    4  several block sizes are not there       test_defects_02_to_04..., test_plan_cover: near_the_integer_optimum
    5  rectangular masks are transposed        test_defect_05...
    6  no import; assertions that always hold  test_defect_06...
    7  bits: a count, then a width             test_defect_07..., test_formats_are_found_in_qdq_nodes
    8  random numbers for weights              test_defect_08..., test_plan_equality, test_networks_equality
    9  x - mean(x) loses all inputs            test_defect_09..., test_tesa_rules: rule_equals_scrambling
    10 maxima lose what lost in the samples    test_defect_10..., test_tesa_rules: rule_equals_scrambling
    11 saturation looks like a constant        test_defect_11..., test_tesa_rules: scrambling_reaches_the_whole_range
    12 absolute thresholds                     test_defect_12...
    13 softmax is right by accident            test_defect_13..., test_tesa_operators: attention
    14 masks must be uniform over the batch    test_defect_14..., test_tesa_wide (batches)
    15 one sign only                           test_defect_15...
    16 gains are reported, not executed        test_defect_16..., test_plan_equality
    17 constants are dropped                   test_defect_17..., test_tesa_eliminate: constants_...
The four golden cases of section 2 are test_tesa_rules: golden_matmul.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax

import networks
from qdq_net import QdqNet
from test_tesa_eliminate import assert_equal, prune_filters
from tvm_aie import tesa
from tvm_aie.cli.progress import Progress
from tvm_aie.cli.tesa import measure
from tvm_aie.errors import ProgramError
from tvm_aie.frontend import from_onnx
from tvm_aie.quantize import quantize
from tvm_aie.schedule import cover
from tvm_aie.tesa.attached import attach, attach_masks, attached_to
from tvm_aie.tesa.attribute import Attribute, Code, TesaError, meet_elements, narrowest_code
from tvm_aie.tesa.eliminate import eliminate_dead
from tvm_aie.tesa.ir import bindings_of
from tvm_aie.tesa.propagation import PropagateTesa, propagate
from tvm_aie.tesa.scramble import Scrambler
from tvm_aie.tesa.tesa_map import TesaMap

op, nn = relax.op, relax.op.nn
ELEMENTS = st.tuples(st.sampled_from(list(Code)), st.sampled_from([0.0, 1.0, 2.0]))


def meet(a: Any, b: Any) -> Any:
    codes, values = zip(a, b, strict=True)
    code, value = meet_elements(tuple(np.array(c, np.uint8) for c in codes), tuple(np.array(v) for v in values))
    return Code(int(code)), float(value)


def normal(a: Any) -> Any:
    return a if a[0] == Code.PRUNED else (a[0], 0.0)


@given(ELEMENTS, ELEMENTS, ELEMENTS)
@settings(max_examples=400, deadline=None)
def test_meet_laws(a: Any, b: Any, c: Any) -> None:
    assert meet(a, b) == meet(b, a)
    assert meet(meet(a, b), c) == meet(a, meet(b, c))
    assert meet(a, a) == normal(a)
    assert meet(a, (Code.NONPRUNED, 0.0)) == normal(a)


def test_errors_are_reported() -> None:
    one, two = (Attribute.pruned((2, 2), np.eye(2, dtype=bool), v) for v in (1.0, 2.0))
    with pytest.raises(
        TesaError, match=r"conv1: two different constants for element \(0, 0\): pruned\(1\) and pruned\(2\)"
    ):
        one.meet(two, "conv1")
    with pytest.raises(TesaError, match=r"numeric kinds that cannot be compared .*int16 and bf16 \(6 in all\)"):
        Attribute.uniform((2, 3), Code.INT16).meet(Attribute.uniform((2, 3), Code.BF16))
    with pytest.raises(TesaError, match="shape"):
        one.meet(Attribute.uniform((3, 2)))
    assert one.meet(Attribute.uniform((2, 2), Code.INT4)).element((0, 1)) == "int4"


def test_gamma_view() -> None:
    keep = np.zeros((10, 9, 3, 3), bool)
    keep[8, 2, 1, 1] = keep[3, 8, 0, 0] = True
    attr = Attribute.pruned(keep.shape, ~keep)
    assert np.array_equal(attr.gamma((8, 8)), [[False, True], [True, False]])
    assert attr.gamma((8, 8)).mean() >= 1 - attr.sparsity  # rounding to blocks never lowers the density
    assert Attribute.from_json(attr.to_json()) == attr


@given(st.integers(0, 2**32), st.lists(st.sampled_from([1, 2, 7, 8, 9, 31]), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_gamma_of_any_block_shape(seed: int, block: list[int]) -> None:
    """Against a loop over the blocks, ragged edges included."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.choice([1, 7, 9, 17], len(block))) + (2,) * int(rng.integers(0, 2))
    keep = rng.random(shape) < rng.choice([0.01, 0.1])
    gamma = Attribute.pruned(shape, ~keep).gamma(tuple(block))
    assert gamma.shape == tuple(-(-n // b) for n, b in zip(shape, block, strict=False))
    for place in np.ndindex(gamma.shape):
        part = keep[tuple(slice(i * b, (i + 1) * b) for i, b in zip(place, block, strict=True))]
        assert gamma[place] == part.any()


def test_map_prints_survives_and_serialises() -> None:
    mod = PropagateTesa()(from_onnx(quantize(networks.TINY["residual"]())))
    mod = relax.transform.DeadCodeElimination()(relax.transform.CanonicalizeBindings()(mod))
    found = TesaMap.of(mod["main"])
    assert set(map(str, (v.name for v in found))) <= {str(v.name) for v, _ in bindings_of(mod["main"])} | {"data"}
    assert found["relu_2_QuantizeLinear"].text() == "uint8"
    assert TesaMap.parse(found.to_json())["relu_2_QuantizeLinear"] == found["relu_2_QuantizeLinear"]
    text = found.script(mod["main"])
    assert "relu_2_QuantizeLinear: " in text and "# tesa: uint8" in text
    with pytest.raises(TesaError):
        TesaMap.parse("[1]")


def test_attach_by_name_and_file(tmp_path: Any) -> None:
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    np.savez(tmp_path / "masks.npz", w_0_DequantizeLinear=(np.arange(16) > 3).reshape(16, 1, 1, 1))
    mod = attach_masks(mod, tmp_path / "masks.npz")
    mod = attach(mod, {"w_0_DequantizeLinear": "int8"})
    assert attached_to(mod["main"])["w_0_DequantizeLinear"].sparsity == pytest.approx(0.25)
    result = propagate(mod["main"], attached_to(mod["main"]))
    assert min(result.weight_attribute(u).mask[:4].all() for u in result.weights.values() if u.operand.shape[0] == 16)
    for bad in ({"nothing": [1]}, {"data": "int3"}, {"data": np.ones((5, 5, 5, 5, 5))}):
        with pytest.raises(TesaError):
            attach(mod, bad)
    with pytest.raises(TesaError):
        attach_masks(mod, tmp_path / "missing.npz")


def slashed() -> onnx.ModelProto:
    """A quantised network with names as PyTorch exports them, which are no names in Relax."""
    net = QdqNet((1, 16, 7, 7))
    x = net.qdq(net.relu(net.conv(net.input, 16, 16, 1)), 0)
    model = net.model(net.qdq(net.conv(x, 16, 16, 1), 0))
    weight = next(node for node in model.graph.node if node.op_type == "Conv").input[1]
    (stored,) = (node.input[0] for node in model.graph.node if node.output[0] == weight)
    for k, node in enumerate(model.graph.node):
        node.name = f"/layer{k}/{node.op_type}.{k}"
        node.input[:] = ["layer1.weight" if name == stored else name for name in node.input]
    for initializer in model.graph.initializer:
        initializer.name = "layer1.weight" if initializer.name == stored else initializer.name
    return model


def test_names_of_the_onnx_file() -> None:
    """An initializer, a node, a value, an input: the same tensors as under their names in Relax."""
    model = slashed()
    mod, mask = from_onnx(model), np.arange(16).reshape(16, 1, 1, 1) > 3
    (conv, *_) = (n for n in model.graph.node if n.op_type == "Conv")
    (dq,) = (n for n in model.graph.node if n.input and n.input[0] == "layer1.weight")
    by_weight = attached_to(attach(mod, {"layer1.weight": mask})["main"])
    assert len(by_weight) == 1 and next(iter(by_weight.values())).sparsity == 0.25
    for name in (dq.name, dq.output[0], *by_weight):
        assert attached_to(attach(mod, {name: mask})["main"]) == by_weight
    twice = attached_to(attach(mod, {"layer1.weight": mask, dq.name: np.arange(16).reshape(16, 1, 1, 1) < 12})["main"])
    assert next(iter(twice.values())).sparsity == 0.5
    promise = {name: attached_to(attach(mod, {name: np.ones(1)})["main"]) for name in (conv.name, conv.output[0])}
    assert len({tuple(found) for found in promise.values()}) == 1 and len(next(iter(promise.values()))) == 1
    assert len(attached_to(attach(mod, {model.graph.input[0].name: np.ones(1)})["main"])) == 1


def test_near_names_of_the_onnx_file() -> None:
    model = slashed()
    mod = from_onnx(model)
    (conv, *_) = (n for n in model.graph.node if n.op_type == "Conv")
    for wrong, wanted in (("layer1_weight", "layer1.weight"), ("layer1.weigth", "layer1.weight"),
                          (conv.name.lower(), conv.name)):  # fmt: skip
        with pytest.raises(TesaError, match=f"no tensor named {wrong} in the module.*there are {wanted}"):
            attach(mod, {wrong: np.ones(1)})
    with pytest.raises(TesaError, match=r"does not suit.*; that is the shape of .*layer1\.weight"):
        attach(mod, {conv.name: np.ones((16, 16, 1, 1))})


def test_a_name_that_means_two_tensors() -> None:
    """ONNX names that are Relax names of other tensors: no guess."""
    model = slashed()
    first, second = [n for n in model.graph.node if n.op_type == "QuantizeLinear"][:2]
    old, first.name = first.name, "taken"
    for node in model.graph.node:
        node.input[:] = ["taken" if name == second.output[0] else name for name in node.input]
    second.output[0] = "taken"
    with pytest.raises(TesaError, match="taken: in the Relax module another tensor"):
        attach(from_onnx(model), {"taken": np.ones(1)})
    assert old != second.name
    assert len(attached_to(attach(from_onnx(model), {second.name: np.ones(1)})["main"])) == 1


@given(st.integers(0, 2**32), st.sampled_from([(1,), (7,), (8, 9), (3, 1, 31), (2, 3, 4, 5)]))
@settings(max_examples=60, deadline=None)
def test_meet_laws_of_tensors(seed: int, shape: tuple[int, ...]) -> None:
    """The same laws for whole attributes, whose arrays broadcast; JSON gives the same attribute back."""
    rng = np.random.default_rng(seed)

    def draw() -> Attribute:
        sides = tuple(int(rng.choice([1, n])) for n in shape)
        codes = rng.choice([Code.PRUNED, Code.INT4, Code.INT8, Code.NONPRUNED], sides).astype(np.uint8)
        return Attribute(shape, codes, np.where(codes == Code.PRUNED, 3.0, 0.0))

    a, b, c = draw(), draw(), draw()
    assert a.meet(b) == b.meet(a) and a.meet(a) == a
    assert a.meet(b).meet(c) == a.meet(b.meet(c))
    assert np.array_equal(np.broadcast_to(a.meet(b).mask, shape), np.broadcast_to(a.mask | b.mask, shape))
    assert Attribute.from_json(a.to_json()) == a


PASSES = {
    "Normalize": relax.transform.Normalize,
    "CanonicalizeBindings": relax.transform.CanonicalizeBindings,
    "DeadCodeElimination": relax.transform.DeadCodeElimination,
    "EliminateCommonSubexpr": relax.transform.EliminateCommonSubexpr,
    "FoldConstant": relax.transform.FoldConstant,
    "ConvertToDataflow": relax.transform.ConvertToDataflow,
    "LegalizeOps": relax.transform.LegalizeOps,
    "AnnotateTIROpPattern": relax.transform.AnnotateTIROpPattern,
    "FuseOps": relax.transform.FuseOps,
}


def test_map_survives_standard_passes() -> None:
    """One pass after the other: every variable that is still there finds its attribute, and no other."""
    mod = PropagateTesa()(from_onnx(quantize(networks.TINY["mobilenet_block"]())))
    first = TesaMap.of(mod["main"]).named()
    for name, make in PASSES.items():
        mod = make()(mod)
        found = TesaMap.of(mod["main"])
        assert len(found) >= (3 if name == "FuseOps" else 10), name
        for var, mine in found.by_var.items():
            assert mine == first[str(var.name)], f"{name}: {var.name}"
    assert "# tesa: " in found.script(mod["main"])  # FuseOps leaves three tensors that still have their names
    again = TesaMap.of(mod["main"].with_attr("tesa", found.to_json()))
    assert again.named().keys() == found.named().keys()


def test_formats_are_found_in_qdq_nodes() -> None:
    """Quantised tensors and their float images are integers; a sum has the bits that its weights add up to."""
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    result = propagate(mod["main"])
    codes = {str(v.name): result.attribute(v) for v in result.order if v in result.facts}
    assert codes["data_DequantizeLinear"].text() == "int8"
    assert codes["relu_1_QuantizeLinear"].text() == codes["relu_1_DequantizeLinear"].text() == "uint8"
    # 27 products of 8 bits may take 19; 16 products with the (non-negative) result of the ReLU fit 16
    assert codes["n_conv_0"].text() == "int32" and codes["n_conv_2"].text() == "int16"
    for use in result.weights.values():
        assert result.weight_attribute(use).bits == 8
    named = TesaMap.from_propagation(result).named()
    assert named["b_1_DequantizeLinear"].bits == 8 and named["w_0_DequantizeLinear"].sparsity > 0


def test_attached_formats_are_met() -> None:
    """Lower precision within one kind; kinds that cannot be compared are an error when attached."""
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    found = TesaMap.of(PropagateTesa()(attach(mod, {"relu_1_QuantizeLinear": "uint4"}))["main"])
    assert found["relu_1_QuantizeLinear"].text() == "uint4"
    with pytest.raises(TesaError, match="relu_1_QuantizeLinear: numeric kinds that cannot be compared"):
        attach(mod, {"relu_1_QuantizeLinear": "bf16"})
    with pytest.raises(TesaError, match="w_0_DequantizeLinear: numeric kinds"):
        attach(mod, {"w_0_DequantizeLinear": "bf16"})
    with pytest.raises(TesaError, match="relu_1_QuantizeLinear: numeric kinds"):
        attach(attach(mod, {"relu_1_QuantizeLinear": "uint4"}), {"relu_1_QuantizeLinear": "int16"})


def test_passes_leave_the_module_as_it_was() -> None:
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    before = mod.script()
    annotated = PropagateTesa()(attach(mod, {"data": "fp32"}))
    eliminate_dead(mod)
    assert mod.script() == before and len(TesaMap.of(annotated["main"]))
    with pytest.raises(TesaError, match="run PropagateTesa first"):
        TesaMap.of(mod["main"])


@pytest.mark.parametrize("given", [None, [["a"]], {"a": 1}, object(), [[1, 2], [3]], np.float32(np.nan), [1j]])
def test_what_is_no_mask_is_an_error(given: Any) -> None:
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    with pytest.raises(TesaError, match=r"data: .*mask"):
        attach(mod, {"data": given})
    for names in ({3: given}, [given]):
        with pytest.raises(TesaError, match="dictionary by tensor name"):
            attach(mod, names)  # type: ignore[arg-type]


def test_formats_of_constants_hold_what_is_stored() -> None:
    """A format narrows nothing: weights that do not fit it are an error, those that do may be said to."""
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    with pytest.raises(TesaError, match=r"w_0_DequantizeLinear: element .* which is not int4 .*--weight-bits 4"):
        attach(mod, {"w_0_DequantizeLinear": "int4"})
    keep = np.zeros((16, 1, 1, 1))
    pruned = attach(mod, {"w_0_DequantizeLinear": keep})
    assert attached_to(attach(pruned, {"w_0_DequantizeLinear": "int4"})["main"])["w_0_DequantizeLinear"].sparsity == 1
    for values in (np.nan, np.inf):
        with pytest.raises(TesaError):
            attach(mod, {"n_relu_1": Attribute.pruned((1, 16, 9, 9), np.True_, values)})
    with pytest.raises(TesaError, match="code 99"):
        Attribute((2,), np.full(1, 99, np.uint8), np.zeros(1))


@pytest.mark.parametrize("value", [0.25, 1.0, -3.0, 0.3])
def test_constants_of_a_weight_are_taken_as_they_are(value: float) -> None:
    """On the grid of the stored integers, beyond what those hold (int8 would wrap), and off the grid."""
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    attribute = Attribute.pruned((16, 3, 3, 3), (np.arange(16) == 5).reshape(16, 1, 1, 1), value)
    mod = attach(mod, {"w_0_DequantizeLinear": attribute})
    func = eliminate_dead(mod, 0)[0]["main"]
    weights = [use.operand.array for use in propagate(func).weights.values() if use.operand.shape[2:] == (3, 3)]
    assert len(weights) == 1 and weights[0] is not None
    assert (weights[0] == np.float32(value)).all(axis=(1, 2, 3)).sum() == 1


def test_impossible_constants_are_contradictions() -> None:
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    (name,) = [str(v.name) for v, _ in bindings_of(mod["main"]) if str(v.name) == "n_relu_1"]
    shape = next(tuple(map(int, v.ty.shape.values)) for v, _ in bindings_of(mod["main"]) if str(v.name) == name)
    below = Attribute.pruned(shape, np.True_, -1.0)
    with pytest.raises(TesaError, match=r"n_relu_1: element \(0, 0, 0, 0\) cannot be .* constant pruned\(-1\)"):
        attach(mod, {name: below})
    half = Attribute.pruned(shape, np.True_, 0.5)
    with pytest.raises(TesaError, match="cannot be the attached constant pruned"):
        attach(mod, {"relu_1_QuantizeLinear": half})


def test_mask_files_that_are_none(tmp_path: Any) -> None:
    mod = from_onnx(quantize(networks.TINY["conv_relu"]()))
    np.savez(tmp_path / "good.npz", data=np.ones(1))
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:40])
    (tmp_path / "text.npz").write_text("masks")
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "words.npz", data=np.array(["a"]))
    np.savez(tmp_path / "objects.npz", data=np.array([{}], object))
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "code.json").write_text('{"data": {"shape": [1], "codes": [[1], "####"], "values": [[1], ""]}}')
    for name in ("empty.npz", "cut.npz", "text.npz", "array.npy", "words.npz", "objects.npz", "bytes.json", "list.json",
                 "code.json"):  # fmt: skip
        with pytest.raises(TesaError):
            attach_masks(mod, tmp_path / name)
    assert attached_to(attach_masks(mod, tmp_path / "good.npz")["main"])["data"].sparsity == 0
    with pytest.raises(TesaError, match=r"no tensor named dat in the module, .*; there are data"):
        attach(mod, {"dat": np.ones(1)})


# ------------------------------------------------------------------- the seventeen defects, by number of the table
def function(make: Any, shape: tuple[int, ...] = (3, 4), dtype: str = "float32") -> Any:
    x = relax.Var("x", relax.TensorType(shape, dtype))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(make(builder.emit, x))
    return builder.get()["main"]


def needed(func: Any) -> Any:
    return np.broadcast_to(propagate(func).need(func.params[0]), propagate(func).fact(func.params[0]).shape)


def test_defect_01_merge_keeps_the_width() -> None:
    for a, b, low in (
        (Code.INT8, Code.INT4, Code.INT4),
        (Code.INT4, Code.INT8, Code.INT4),
        (Code.INT8, Code.PRUNED, Code.PRUNED),
    ):
        assert meet((a, 0.0), (b, 0.0))[0] == meet((b, 0.0), (a, 0.0))[0] == low


def test_defects_02_to_04_cover_with_overlap_ragged_edges_and_several_sizes() -> None:
    """The plan that the array executes: four kinds of pieces over a ragged weight, each live tap in exactly one."""
    weight = np.full((20, 40, 1, 3), 100, np.int8)  # 2.5 x 5 blocks
    weight[8:16, 8:16] = 0  # a dead block
    weight[16:, :32, :, 1] = 0  # dead taps
    weight[16:, 32:] = 3  # int4
    padded = np.zeros((24, 40, 1, 3), np.int8)
    padded[:20] = weight
    what = cover.Blocks.of(padded.reshape(3, 8, 5, 8, 1, 3).transpose(0, 2, 4, 5, 3, 1))
    plan = cover.best_cover(what, cover.PieceCosts(dense=3.0, block=3.3, tap=1.1, pair=1.3, segment=0.5))
    assert all(plan.pieces().values())
    counts = plan.blocks[:, :, None, None] + plan.taps.astype(int) + plan.low
    assert np.array_equal(counts == 1, what.taps)


def test_defect_05_rectangular_blocks_are_not_transposed() -> None:
    keep = np.zeros((32, 8), bool)
    keep[24, 0] = True
    assert np.array_equal(Attribute.pruned((32, 8), ~keep).gamma((8, 8)), [[False], [False], [False], [True]])


def test_defect_06_checks_are_errors_and_modules_import() -> None:
    """Every module of the package imports; no assertion is a tuple, which is always true; wrong use is an error."""
    for name in (f"tvm_aie.tesa.{m.name}" for m in pkgutil.iter_modules(tesa.__path__)):
        source = inspect.getsource(importlib.import_module(name))
        asserts = [node.test for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
        assert not any(isinstance(test, ast.Tuple) for test in asserts), name
    with pytest.raises(TesaError):
        Attribute.uniform((2, 2)).gamma((0, 8))
    with pytest.raises(ProgramError):
        cover.Cover(*(np.zeros(s, bool) for s in ((1, 1), (1, 1, 1, 1), (1, 1, 1, 1))), False).verify(
            cover.Blocks.whole(np.ones((1, 1), bool), 1, 1)
        )


def test_defect_07_bits_is_the_width() -> None:
    mixed = Attribute((2,), np.array([Code.INT4, Code.INT8], np.uint8), np.zeros(2))
    assert mixed.bits == 8 and narrowest_code(-8, 7).bits == 4


def test_defect_08_results_are_checked_for_value() -> None:
    """Speed of random numbers proves nothing: the eliminated network computes what onnxruntime computes, element by
    element. A wrong result of the right sum, which the successor's tests let pass, is noticed."""
    model = quantize(prune_filters(networks.TINY["vgg_block"](), 1))
    mod, done = eliminate_dead(from_onnx(model), rows=0)
    assert next(iter(done.values())).channels_removed > 0
    assert_equal(model, mod)
    weight = QdqNet((1, 8, 5, 5)).ints((8, 8, 1, 1), -9, 9)
    models = []
    for filters in (weight, weight[::-1]):
        net = QdqNet((1, 8, 5, 5))
        models.append(net.model(net.qdq(net.conv(net.input, 8, 8, 1, we=-5, be=None, value=filters), -2)))
    right, mirrored = (from_onnx(m) for m in models)
    assert_equal(models[0], right)
    with pytest.raises(AssertionError):
        assert_equal(models[0], mirrored)


def test_defect_09_centred_values_are_needed() -> None:
    def centred(emit: Any, x: Any) -> Any:
        return emit(op.subtract(x, emit(op.mean(x, [1], keepdims=True))))

    assert needed(function(centred)).all()

    def first(emit: Any, x: Any) -> Any:
        return emit(op.strided_slice(centred(emit, x), [1], [0], [1]))

    assert needed(function(first)).all()  # the other three through the mean alone
    layer = function(
        lambda emit, x: emit(
            nn.layer_norm(x, relax.const(np.ones(4, np.float32)), relax.const(np.zeros(4, np.float32)), [-1])
        )
    )
    (node,) = propagate(layer).nodes.values()
    assert Scrambler(node).backward([np.ones((3, 4), bool)])[0].all()


def test_defect_10_max_pool_keeps_every_element() -> None:
    assert needed(function(lambda emit, x: emit(nn.max_pool2d(x, (3, 3), (3, 3))), (1, 1, 30, 30))).all()

    def corner(emit: Any, x: Any) -> Any:
        pooled = emit(nn.max_pool2d(x, (3, 3), (3, 3)))
        return emit(op.strided_slice(pooled, [2, 3], [0, 0], [2, 4]))

    kept = needed(function(corner, (1, 1, 30, 30)))[0, 0]
    assert kept[:6, :12].all() and kept.sum() == 6 * 12


@pytest.mark.parametrize("squash", [op.tanh, lambda x: op.clip(x, 0, 6)])
def test_defect_11_saturation_is_no_constant(squash: Any) -> None:
    weight = relax.const(np.full((4, 16), 5, np.float32))
    func = function(lambda emit, x: emit(squash(emit(op.matmul(x, weight)))))
    result = propagate(func)
    assert not any(result.fact(v).known.any() for v in result.nodes) and needed(func).all()
    node = result.nodes[list(result.nodes)[-1]]
    assert not Scrambler(node).forward()[0][0].any()


def test_defect_12_no_absolute_threshold() -> None:
    func = function(lambda emit, x: emit(op.multiply(x, relax.const(np.float32(1e-8)))))
    result = propagate(func)
    (node,) = result.nodes.values()
    assert needed(func).all() and not Scrambler(node).forward()[0][0].any()


def test_defect_13_softmax_needs_its_row_by_rule() -> None:
    assert needed(function(lambda emit, x: emit(op.strided_slice(emit(nn.softmax(x, -1)), [1], [0], [1])))).all()


def test_defect_14_masks_may_differ_over_the_batch() -> None:
    func = function(lambda emit, x: emit(nn.relu(x)))
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = mask[2, 0] = True
    result = propagate(func, {"x": Attribute.pruned((3, 4), mask)})
    (var,) = result.nodes
    assert np.array_equal(result.fact(var).known, mask)


def test_defect_15_both_signs_are_drawn() -> None:
    (node,) = propagate(function(lambda emit, x: emit(nn.relu(x)))).nodes.values()
    drawn = Scrambler(node).operands(0)[0]
    assert (drawn < 0).any() and (drawn > 0).any()


def test_defect_16_blocks_are_cleared_without_a_channel() -> None:
    """A dead block of a live channel: its weights become zero, so Gamma skips it."""
    weights = [np.ones((8, 8), np.int32) for _ in range(2)]
    weights[0][:, :4] = 0  # first layer: outputs 0..3 are zero, second layer's rows 0..3 multiply zeros
    weights[1][:4, 4:] = 7

    def chain(emit: Any, x: Any) -> Any:
        y = emit(op.matmul(x, relax.const(weights[0]), out_dtype="int32"))
        return emit(op.add(emit(op.matmul(y, relax.const(weights[1]), out_dtype="int32")), y))

    mod = tvm.IRModule({"main": function(chain, (1, 8), "int32")})
    mod = eliminate_dead(mod, rows=0)[0]
    result = propagate(mod["main"])
    second = next(iter(result.weights.values())).operand.array
    assert second is not None
    assert not second[:4].any()


def test_defect_16_what_is_reported_is_executed(tmp_path: Any) -> None:
    """Blocks that die while no channel goes (a residual keeps them all) are neither loaded nor computed."""
    net = QdqNet((1, 32, 5, 5))
    first = net.ints((32, 32, 1, 1), 1, 8)
    first[:16] = 0
    x = net.qdq(net.relu(net.conv(net.input, 32, 32, 1, we=-5, be=None, value=first)), -3)
    y = net.qdq(net.conv(x, 32, 32, 3, we=-7, be=-5, pads=[1] * 4), -3)
    onnx.save(net.model(net.qdq(net.op("Add", [x, y]), -2)), tmp_path / "net.onnx")
    (done,) = eliminate_dead(from_onnx(str(tmp_path / "net.onnx")))[1].values()
    assert not done.channels_removed and sum(f.weights_cleared for f in done.folded) > 4500  # of 32 x 16 x 9
    gain = measure(tmp_path / "net.onnx", "aie2/wbs-1x1", Progress(quiet=True), check=True)
    assert gain.equal and gain.weight_bytes < 0.7 * gain.weight_bytes_without
    assert gain.cycles < gain.cycles_without


def test_defect_17_constants_travel() -> None:
    """A dead channel with a bias is relu(bias), not zero."""
    weight = np.ones((2, 1, 1, 1), np.int32)
    weight[0] = 0
    bias = relax.const(np.array([5, -3], np.int32).reshape(1, 2, 1, 1))

    def layer(emit: Any, x: Any) -> Any:
        return emit(nn.relu(emit(op.add(emit(nn.conv2d(x, relax.const(weight), out_dtype="int32")), bias))))

    result = propagate(function(layer, (1, 1, 3, 3), "int32"))
    fact = result.fact(list(result.nodes)[-1])
    assert fact.known.ravel().tolist() == [True, False] and fact.value.ravel()[0] == 5
