"""The operators of ONNX's own test suite, imported and propagated, against what TVM computes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from tvm import relax

from numpy_backend import run_tvm
from tvm_aie.errors import TvmAieError
from tvm_aie.frontend import from_onnx
from tvm_aie.tesa.attribute import Attribute
from tvm_aie.tesa.ir import is_tensor, shape_of
from tvm_aie.tesa.propagation import propagate

Array = np.ndarray[Any, Any]
FAST = 25
CASES = {Path(c.model_dir).name: Path(c.model_dir) for c in load_model_tests(kind="node")}
# no tensors of numbers, random results, or (bernoulli, training) not what a trained network computes
SKIPPED = ("BFLOAT16", "FLOAT8", "FLOAT4", "INT4", "INT2", "UINT4",
           "sequence", "optional", "string", "training", "bernoulli", "random", "regex", "tfidf", "label",
           "image_decoder")  # fmt: skip
NAMES = sorted(n for n in CASES if not any(word in n for word in SKIPPED))
PLAIN = {"float32", "float64", "bool", *(f"{s}int{b}" for s in ("", "u") for b in (8, 16, 32, 64))}


def inputs_of(folder: Path) -> list[Array]:
    """The suite's example inputs of one case."""
    found = []
    for path in sorted((folder / "test_data_set_0").glob("input_*.pb"), key=lambda p: int(p.stem.split("_")[1])):
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        found.append(numpy_helper.to_array(tensor))
    return found


def prepared(name: str) -> tuple[Any, list[Array]] | None:
    """Module and example inputs; None where our front end or TVM has no way for the case."""
    try:
        model = onnx.load(CASES[name] / "model.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mod, given = from_onnx(model), inputs_of(CASES[name])
    except (TvmAieError, TypeError, AttributeError, ValueError, RuntimeError, KeyError):
        return None
    params = mod["main"].params
    if len(params) != len(given) or any(str(g.dtype) not in PLAIN or not g.size for g in given):
        return None
    fits = all(is_tensor(p) and shape_of(p) == g.shape for p, g in zip(params, given, strict=True))
    return (mod, given) if fits else None


def redrawn(given: Array, rng: Any, dynamic: bool) -> Array:
    """Other values of the same kind: the example's own, mixed. Where the result's shape is computed (``dynamic``) lists
    of integers stay: a shape that does not suit the other inputs makes TVM read beyond them."""
    if dynamic and given.dtype == np.int64 and given.ndim < 2:
        return given
    return rng.choice(given.ravel(), given.shape).astype(given.dtype)


def flat(expr: Any) -> list[Any]:
    return [f for item in expr.fields for f in flat(item)] if isinstance(expr, relax.Tuple) else [expr]


def check(name: str, seed: int = 0) -> bool:
    """Constants are constants, and what is not needed changes nothing. False where the case cannot be run."""
    found = prepared(name)
    if found is None:
        return False
    mod, given = found
    rng, func = np.random.default_rng(seed), found[0]["main"]
    masks = [rng.random(g.shape) < rng.choice([0.0, 0.3, 1.0]) for g in given]
    values = [g.astype(np.float64) for g in given]
    masks = [m & np.isfinite(v) for m, v in zip(masks, values, strict=True)]
    rows = zip(func.params, masks, values, strict=True)
    attached = {str(p.name): Attribute.pruned(v.shape, m, v) for p, m, v in rows if v.ndim}
    masks = [m if g.ndim else np.bool_(False) for m, g in zip(masks, given, strict=True)]
    result = propagate(func, attached)
    outputs = flat(func.body.body)
    dynamic = not all(map(is_tensor, outputs))
    try:
        executable = relax.build(mod, "llvm")
        first = [np.where(m, g, redrawn(g, rng, dynamic)).astype(g.dtype) for g, m in zip(given, masks, strict=True)]
        expected = run_tvm(executable, *map(np.ascontiguousarray, first))
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError):
        return False
    for var, out in zip(outputs, expected, strict=len(outputs) == len(expected)):
        if var in result.facts and len(result.facts[var]) == 1 and out.dtype.kind in "biuf":
            fact = result.fact(var)
            known, value = np.broadcast_to(fact.known, out.shape), np.broadcast_to(fact.value, out.shape)
            exact = known & np.broadcast_to(fact.exact, out.shape)
            assert np.array_equal(out[exact], value[exact].astype(out.dtype)), f"{name}: no constant"
            near = np.allclose(out[known].astype(np.float64), value[known], 1e-3, 1e-4)
            assert near, f"{name}: far from the constant"
            finite = np.isfinite(out.astype(np.float64))
            assert (out >= fact.lo)[finite].all() and (out <= fact.hi)[finite].all(), f"{name}: out of bounds"
    for _ in range(3):
        second = []
        for p, x, m in zip(func.params, first, masks, strict=True):
            need = np.broadcast_to(result.need(p) | m, x.shape)
            second.append(np.where(need, x, redrawn(x, rng, dynamic)).astype(x.dtype))
        for a, b in zip(expected, run_tvm(executable, *map(np.ascontiguousarray, second)), strict=True):
            assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), f"{name}: a dead element changed an output"
    return True


def test_some_operators() -> None:
    """Cases spread over the suite; most can be run."""
    chosen = NAMES[:: max(1, len(NAMES) // FAST)]
    assert sum(check(name) for name in chosen) >= len(chosen) // 3


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_all_operators(part: int) -> None:
    chosen = NAMES[part::8]
    assert sum(check(name, seed=part) for name in chosen) >= len(chosen) // 3
