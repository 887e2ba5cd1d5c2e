"""Every hand-written rule against scrambling (numpy and TVM as evaluators), and the golden cases of SparTA."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from tesa_cases import BY_TVM, CASES
from tvm_aie.tesa.attribute import Attribute
from tvm_aie.tesa.propagation import PropagateTesa, Propagation, propagate
from tvm_aie.tesa.rules import RULES, load
from tvm_aie.tesa.scramble import Scrambler, automatic, is_measurable, tvm_evaluator
from tvm_aie.tesa.tesa_map import TesaMap

op = relax.op


def single(name: str, seed: int) -> Propagation:
    """A function of one call whose operands have random constants (rows, and single elements), propagated."""
    shapes, dtype, make, _ = CASES[name]
    rng = np.random.default_rng(seed)
    params = [relax.Var(f"x{i}", relax.TensorType(s, dtype)) for i, s in enumerate(shapes)]
    builder = relax.BlockBuilder()
    with builder.function("main", params):
        out = builder.emit(make(*params))
        builder.emit_func_output(out)
    attached = {}
    for param, shape in zip(params, shapes, strict=True):
        mask = rng.random(shape) < rng.choice([0, 0.2, 0.9])
        mask[:, rng.random(shape[1]) < rng.choice([0, 0.5])] = True
        value = rng.integers(1, 2 if dtype == "bool" else 4, shape) * (rng.random(shape) < 0.5)
        attached[str(param.name)] = Attribute.pruned(shape, mask, value)
    return propagate(builder.get()["main"], attached)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))])
def test_rule_equals_scrambling(name: str, seed: int) -> None:
    result = single(name, seed)
    exact = CASES[name][3]
    ((var, node),) = result.nodes.items()
    # a maximum hides most elements most of the time (tesa.md section 8, row 10: 643 of 900 found with 8 samples)
    hides = any(word in name for word in ("max", "min"))
    scrambler = Scrambler(node, seed=seed, samples=150 if hides else 12)
    domain = name in ("sqrt", "log", "power", "divide")
    for (same, value), fact in zip(scrambler.forward(), result.facts[var], strict=True):
        known = np.broadcast_to(fact.known, same.shape)
        assert not (known & ~same).any(), "the rule calls a varying element a constant"
        if not domain:
            assert np.allclose(value[known], np.broadcast_to(fact.value, same.shape)[known], rtol=1e-5)
        if exact and not domain and node.name not in ("nn.batch_norm", "nn.layer_norm", "power"):
            assert np.array_equal(known, same), "the rule misses a constant"
    rng = np.random.default_rng(seed)
    live = [(rng.random(s) < 0.3) & ~f.known for (s, _), f in zip(node.results, result.facts[var], strict=True)]
    wanted = RULES[node.name].backward(node, result.facts[var], live)
    for operand, mine, measured in zip(node.operands, wanted, scrambler.backward(live), strict=True):
        if operand.is_constant:
            continue
        mine = np.broadcast_to(mine & ~operand.fact.known, operand.shape)
        assert not (measured & ~mine).any(), "the rule drops an element that an output notices"
        if exact and node.name not in ("clip", "quantize"):
            missed = mine & ~measured
            assert not missed.any(), "the rule keeps an element that no output notices"


def test_every_rule_has_a_case() -> None:
    tested = set()
    for name in CASES:
        (node,) = single(name, 0).nodes.values()
        tested.add(node.name)
    assert set(load()) - tested == BY_TVM


# TVM computes these by polynomials, or with constants of fp32
LOOSE = dict.fromkeys(("resize", "resize_down", "rms_norm", "layer_norm", "group_norm", "instance_norm"), 1e-4)
LOOSE |= {"erf": 1e-5, "gelu": 1e-5, "gelu_tanh": 1e-6, "tanh": 1e-5, "selu": 1e-6, "leaky": 1e-6}
NOT_IN_TVM = {"ewise_fma", "pixel_shuffle"}  # operators without a lowering
FEW = ["conv2d_groups", "max_pool", "softmax", "avg_pool_ceil", "resize", "split", "conv2d_transpose", "group_norm"]


@pytest.mark.parametrize("name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow)
                                  for n in CASES if n not in NOT_IN_TVM])  # fmt: skip
def test_numpy_and_tvm_agree(name: str) -> None:
    """The numpy form that rules and scrambling are measured with is what TVM computes."""
    (node,) = single(name, 1).nodes.values()
    scrambler = Scrambler(node, seed=3)
    operands = scrambler.operands(0)
    for mine, theirs in zip(scrambler.run(operands), tvm_evaluator(node)(operands), strict=True):
        assert mine.shape == theirs.shape
        assert np.allclose(mine, theirs, rtol=LOOSE.get(name, 1e-9), atol=1e-12, equal_nan=True)


# -------------------------------------------------------------------------------- golden cases (tesa.md section 2)
@pytest.mark.parametrize(
    ("in1", "out", "new1", "new2", "new_out"),
    [
        ([[1, 1], [0, 0]], [[1, 1], [1, 1]], [[1, 1], [0, 0]], [[1, 1], [1, 1]], [[1, 1], [0, 0]]),
        ([[1, 0], [0, 1]], [[1, 1], [1, 1]], [[1, 0], [0, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]),
        ([[0, 1], [0, 1]], [[1, 1], [1, 1]], [[0, 1], [0, 1]], [[0, 0], [1, 1]], [[1, 1], [1, 1]]),
        ([[0, 1], [0, 1]], [[0, 0], [1, 1]], [[0, 0], [0, 1]], [[0, 0], [1, 1]], [[0, 0], [1, 1]]),
    ],
)
def test_golden_matmul(in1: Any, out: Any, new1: Any, new2: Any, new_out: Any) -> None:
    a, b = (relax.Var(n, relax.TensorType((2, 2), "float32")) for n in "ab")
    builder = relax.BlockBuilder()
    with builder.function("main", [a, b]):
        c = builder.emit(op.matmul(a, b), "c")
        builder.emit_func_output(c)
    masks = {"a": np.array(in1), "c": np.array(out)}
    attached = {name: Attribute.pruned((2, 2), mask == 0) for name, mask in masks.items()}
    result = propagate(builder.get()["main"], attached)
    (c,) = result.nodes
    for var, expected in ((a, new1), (b, new2), (c, new_out)):
        keep = np.broadcast_to(~result.attribute(var).mask, (2, 2))
        assert np.array_equal(keep, np.array(expected, bool)), var


def running(x: Any, last: int = 3) -> Any:
    """The first elements of a running product, written as an operator that has no rule."""
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        y = builder.emit(op.cumprod(x, 1), "y")
        z = builder.emit(op.strided_slice(y, [1], [0], [last]), "z")
        builder.emit_func_output(z)
    return builder.get()["main"]


def test_operator_without_a_rule(monkeypatch: Any) -> None:
    """Conservative by default; scrambling finds what a scan reads, and leaves an argmax alone."""
    monkeypatch.delitem(load(), "cumprod")
    x = relax.Var("x", relax.TensorType((2, 6), "float32"))
    func = running(x)
    assert np.broadcast_to(propagate(func).need(x), (2, 6)).all()
    need = np.broadcast_to(propagate(func, fallback=automatic).need(x), (2, 6))
    assert np.array_equal(need, [[True] * 3 + [False] * 3] * 2)
    attached = {"x": Attribute.pruned((2, 6), np.arange(6) < 2, 1.5)}
    measured = propagate(func, attached, fallback=automatic)
    (y,) = [v for v in measured.nodes if v.name == "y"]
    assert np.array_equal(np.broadcast_to(measured.fact(y).known, (2, 6)), [[True, True] + [False] * 4] * 2)
    found = TesaMap.of(PropagateTesa(fallback=automatic)(tvm.IRModule({"main": func}))["main"])
    assert np.array_equal(np.broadcast_to(found["x"].mask, (2, 6)), ~need)  # the pass measures too, if it is told to
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(op.argmax(x, 1)))
    (node,) = propagate(builder.get()["main"]).nodes.values()
    assert not is_measurable(node)


def test_operator_that_cannot_be_measured() -> None:
    """What neither numpy nor TVM runs (a fused multiply-add has no lowering) is treated conservatively."""
    x = relax.Var("x", relax.TensorType((2, 6), "float32"))
    func = running(x)
    (node,) = [n for n in propagate(func).nodes.values() if n.name == "cumprod"]

    def refuses(_node: Any) -> Any:
        raise RuntimeError("no lowering")

    import tvm_aie.tesa.scramble as scramble

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scramble, "Scrambler", refuses)
        assert not automatic.forward(node)[0].known.any()
        assert automatic.backward(node, node.top(), [np.ones((2, 6), bool)])[0].all()


@pytest.mark.parametrize(
    "make",
    [lambda x: op.clip(x, 2**25, 2**26), lambda x: op.right_shift(op.abs(x), relax.const(np.int32(24))),
     lambda x: op.maximum(x, relax.const(np.int32(2**28)))],
)  # fmt: skip
def test_scrambling_reaches_the_whole_range(make: Any) -> None:
    """What small residues never pass (a high clip, a long shift) is no constant."""
    x = relax.Var("x", relax.TensorType((2, 6), "int32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(make(x)))
    node = list(propagate(builder.get()["main"]).nodes.values())[-1]
    known = Scrambler(node, samples=64).forward()[0][0]
    assert not known.any()
    assert Scrambler(node, samples=64).backward([np.ones((2, 6), bool)])[0].any()
