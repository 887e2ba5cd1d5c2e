"""Soundness and completeness of propagation on random integer networks; fixpoint, monotonicity, cost."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from tvm import relax

from tesa_nets import RandomNet, check_sound, interpret, random_input
from tvm_aie.frontend import from_onnx
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize
from tvm_aie.tesa.attribute import Attribute
from tvm_aie.tesa.eliminate import eliminate_function
from tvm_aie.tesa.facts import ELEMENT_LIMIT
from tvm_aie.tesa.propagation import Propagation, propagate

FAST, ALL, CHUNK = 50, 2000, 50


def check_seed(seed: int) -> None:
    """Constants, needs (with and without the exemption of constants) and elimination of one random network."""
    net = RandomNet(seed)
    rng = np.random.default_rng([seed, 1])
    try:
        for exempt in (True, False):
            check_sound(net.func, propagate(net.func, exempt=exempt), rng, inputs=2)
        rows = seed % 3
        func = eliminate_function(net.func, rows).func
        for _ in range(2):
            x = random_input(net.func, rng)
            pairs = zip(interpret(net.func, x), interpret(func, x), strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs), "elimination changed an output"
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("first", range(0, FAST, CHUNK))
def test_sound(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check_seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FAST, ALL, CHUNK))
def test_sound_all(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check_seed(seed)


# ------------------------------------------------------------------------------------------- completeness
def noticed(net: RandomNet, result: Propagation, var: Any, wanted: np.ndarray[Any, Any], seed: int) -> Any:
    """Which of the elements ``wanted`` of ``var`` vary with the input and change an output, by brute force.

    Weights are redrawn (zeros stay zeros): what is asked is whether the structure lets anything through.
    """
    alive, rng = np.zeros(wanted.shape, bool), np.random.default_rng([seed, 2])
    for _ in range(40):
        weights = {}
        for use in result.weights.values():
            array = use.operand.array
            drawn = rng.integers(1, 60, array.shape) * rng.choice([-1, 1], array.shape)
            weights[use.var] = np.where(array != 0, drawn, 0).astype(np.int32)
        seen: list[dict[Any, Any]] = [{}, {}]
        first = random_input(net.func, rng, 99)
        base = interpret(net.func, first, weights=weights, seen=seen[0])
        interpret(net.func, random_input(net.func, rng, 99), weights=weights, seen=seen[1])
        varies = seen[0][var] != seen[1][var]
        for index in np.argwhere(wanted & ~alive & varies):

            def poke(at: Any, value: Any, index: Any = tuple(index)) -> Any:
                if not at.same_as(var):
                    return value
                value = value.copy()
                value[index] += rng.integers(-500, 500)
                return value

            after = interpret(net.func, first, poke, weights)
            alive[tuple(index)] |= any(not np.array_equal(a, b) for a, b in zip(base, after, strict=True))
        if (alive | ~wanted).all():
            break
    return alive


@pytest.mark.parametrize("seed", [*range(20), *(pytest.param(s, marks=pytest.mark.slow) for s in range(20, 40))])
def test_complete(seed: int) -> None:
    """No dead element is kept in networks of matmul, conv, add, relu, concat and reshape."""
    net = RandomNet(10_000 + seed, size=5, linear=True)
    result = propagate(net.func)
    rng = np.random.default_rng(seed)
    for var in [v for v in result.facts if v in result.nodes]:
        kept = np.broadcast_to(result.live(var), result.fact(var).shape).copy()
        if kept.sum() > 12:  # a sample of the kept elements
            chosen = rng.choice(np.flatnonzero(kept.ravel()), 12, replace=False)
            kept = np.isin(np.arange(kept.size), chosen).reshape(kept.shape)
        missing = kept & ~noticed(net, result, var, kept, seed)
        assert not missing.any(), f"seed {seed}: {var} keeps dead elements {np.argwhere(missing)[:3].tolist()}"


# ------------------------------------------------------------------------------------------- laws
def same(a: Propagation, b: Propagation) -> bool:
    """Equal facts and needs, by variable name."""
    left, right = ({str(v.name): (r.live(v), r.fact(v).known) for v in r.nodes} for r in (a, b))
    return all(np.array_equal(*np.broadcast_arrays(x, y)) for n in left for x, y in zip(left[n], right[n], strict=True))


@pytest.mark.parametrize("seed", range(20))
def test_one_pass_is_a_fixpoint(seed: int) -> None:
    """What the first pass found, given as attributes to a second, leads to nothing new."""
    net = RandomNet(seed, linear=True)
    first = propagate(net.func)
    found = {}
    for var in first.nodes:
        fact = first.fact(var)
        found[str(var.name)] = Attribute.pruned(fact.shape, fact.known, fact.value)
    assert same(first, propagate(net.func, found))


@pytest.mark.parametrize("seed", range(20))
def test_monotone(seed: int) -> None:
    """More pruned in, more pruned out."""
    net = RandomNet(seed)
    base = propagate(net.func)
    rng = np.random.default_rng(seed)
    mask = rng.random(base.facts[net.param][0].shape) < 0.5
    more = propagate(net.func, {"data": Attribute.pruned(mask.shape, mask)})
    for var in base.nodes:
        if len(base.facts[var]) == 1:
            assert (base.live(var) | ~more.live(var)).all(), f"seed {seed}: {var}"


# ------------------------------------------------------------------------------------------- published and cost
@pytest.mark.parametrize(
    ("sparsity", "expected"), [(0.5, 0.75), (0.6, 0.8397), (0.7, 0.9095), (0.8, 0.9599), (0.9, 0.9899)]
)
def test_coarse_mlp(sparsity: float, expected: float) -> None:
    """SparTA figure 13: a 1024-wide MLP whose layers lose whole rows; layers 2 and later reach 1-(kept/1024)**2."""
    builder, rng = relax.BlockBuilder(), np.random.default_rng(0)
    x = relax.Var("x", relax.TensorType((1, 1024), "float32"))
    with builder.function("main", [x]):
        y = x
        for _ in range(4):
            weight = rng.standard_normal((1024, 1024)).astype(np.float32)
            weight[:, rng.permutation(1024)[: int(1024 * sparsity)]] = 0
            y = builder.emit(relax.op.nn.relu(builder.emit(relax.op.matmul(y, relax.const(weight)))))
        builder.emit_func_output(y)
    result = propagate(builder.get()["main"])
    reached = [result.weight_attribute(use).sparsity for use in result.weights.values()]
    # the last layer's rows are outputs of the network: nobody drops them for it
    assert np.round(sorted(reached, reverse=True)[:3], 4).tolist() == [expected] * 3


def test_cost_on_resnet50() -> None:
    """Work is bounded where it is counted: facts and needs are per channel (a thousandth of the 11 million
    activations), weights per pair of channels, and memory stays below a quarter of the 1 GiB that is allowed.
    Seconds are measured by benchmarks/bench.py."""
    func = from_onnx(quantize(light_model("resnet50", 0)))["main"]
    tracemalloc.start()
    result = propagate(func)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    facts = [math.prod(f.distinct) for facts in result.facts.values() for f in facts]
    needs = [mask.size for masks in result.needed.values() for mask in masks]
    weights = [use.needed.size for use in result.weights.values()]
    assert max(facts) <= ELEMENT_LIMIT and sum(facts) < 100_000 and sum(needs) < 100_000
    assert sum(weights) < 16_000_000  # of 25.5 million: taps of one pair of channels count once
    assert peak < 2**28
