"""Soundness on the wide generator, and completeness decided exactly in a finite field."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import tvm

from numpy_backend import run_tvm
from tesa_field import missed
from tesa_nets import RandomNet, check_sound, interpret, random_input
from tesa_wide import IMAGE_OPS, VECTOR_OPS, WideNet
from tvm_aie.tesa.attached import attach
from tvm_aie.tesa.attribute import Attribute
from tvm_aie.tesa.eliminate import eliminate_function
from tvm_aie.tesa.facts import ELEMENT_LIMIT
from tvm_aie.tesa.ir import bindings_of, is_tensor, shape_of
from tvm_aie.tesa.propagation import propagate
from tvm_aie.tesa.rules import RULES, Rule, conservative, load

FAST, ALL, CHUNK = 100, 2200, 100


def check_seed(seed: int, llvm: bool = False) -> WideNet:
    """Constants, bounds, needs, elimination and what propagation says afterwards; ``llvm``: also as TVM runs it."""
    net, rng = WideNet(seed), np.random.default_rng([seed, 1])
    try:
        for exempt in (True, False):
            check_sound(net.func, propagate(net.func, exempt=exempt), rng, inputs=2)
        func = eliminate_function(net.func, seed % 3).func
        for spread in (9, 20_000):
            x = random_input(net.func, rng, spread)
            expected = interpret(net.func, x)
            results = [interpret(func, x)]
            if llvm and spread == 9:  # larger numbers overflow, which TVM leaves undefined
                mods = (net.mod, tvm.IRModule({"main": func}))
                results += [run_tvm(tvm.relax.build(m, "llvm"), *x) for m in mods]
            for result in results:
                pairs = zip(expected, result, strict=True)
                assert all(np.array_equal(a, b) for a, b in pairs), "elimination changed an output"
        check_sound(func, propagate(func), rng, inputs=1)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    return net


@pytest.mark.parametrize("first", range(0, FAST, CHUNK))
def test_sound(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check_seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FAST, ALL, CHUNK))
def test_sound_all(first: int) -> None:
    for seed in range(first, first + CHUNK):
        check_seed(seed)


@pytest.mark.parametrize("first", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(20, 400, 20))])
def test_promises_are_kept(first: int) -> None:
    """Attributes of network inputs (zeros and other constants): for inputs that keep them, no output changes."""
    for seed in range(60_000 + first, 60_020 + first):
        net, rng = WideNet(seed), np.random.default_rng([seed, 9])
        held = {}
        for param in net.func.params:
            shape = shape_of(param)
            sides = [[n if rng.random() < 0.5 else 1 for n in shape] for _ in range(2)]
            mask, value = rng.random(sides[0]) < 0.5, rng.integers(-5, 6, sides[1]) * (rng.random() < 0.6)
            held[str(param.name)] = np.broadcast_to(mask, shape), np.broadcast_to(value, shape)
        attributes = {name: Attribute.pruned(m.shape, m, v) for name, (m, v) in held.items()}
        func = attach(net.mod, attributes)["main"]
        small = eliminate_function(func, seed % 3).func
        for spread in (9, 20_000):
            drawn = zip(held.values(), random_input(func, rng, spread), strict=True)
            x = [np.where(mask, value, given).astype(given.dtype) for (mask, value), given in drawn]
            pairs = zip(interpret(net.func, x), interpret(small, x), strict=True)
            assert all(np.array_equal(a, b) for a, b in pairs), f"seed {seed}: an output changed"


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(s, marks=pytest.mark.slow) for s in range(5, 60))])
def test_sound_as_tvm_runs_it(seed: int) -> None:
    """The numpy forms are used by the rules too; TVM's own code is not."""
    check_seed(50_000 + seed, llvm=True)


def test_generator_covers_the_operators() -> None:
    """Every kind of step is in the networks of the fast run, and so are large tensors, batches and many outputs."""
    used: Counter[str] = Counter()
    for seed in range(FAST):
        net = WideNet(seed)
        used.update(net.used)
        used["large"] += net.large
        used["batch"] += net.images[0].ty.shape.values[0] > 1
        used["several inputs"] += len(net.func.params) > 1
        used["several outputs"] += isinstance(net.func.ret_ty, tvm.relax.TupleType)
    wanted = {*(f"i_{k}" for k in IMAGE_OPS), *(f"v_{k}" for k in VECTOR_OPS), "flatten", "large", "batch"}
    assert wanted | {"several inputs", "several outputs"} <= {k for k, n in used.items() if n >= 2}


# ------------------------------------------------------------------------------------------- completeness
def incomplete(seed: int) -> list[str]:
    """What is kept although it is dead, in one network of each generator.

    Rarely (seed 21002878) a batch and a concat make a tensor that is followed per channel; then nothing is asked.
    """
    found = []
    for net in (WideNet(seed, linear=True), RandomNet(10_000 + seed, size=6, linear=True)):
        tensors = [*net.func.params, *(v for v, _ in bindings_of(net.func) if is_tensor(v))]
        if max(math.prod(shape_of(v)) for v in tensors) <= ELEMENT_LIMIT:
            found += missed(net.func, propagate(net.func), seed)
    return found


@pytest.mark.parametrize("first", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in range(40, 1000, 40))])
def test_complete(first: int) -> None:
    """Nothing dead is kept: every element of every tensor and weight, by Schwartz and Zippel."""
    for seed in range(first, first + 40):
        assert not (kept := incomplete(seed)), f"seed {seed}: dead but kept: {kept}"


@pytest.mark.parametrize("name", ["nn.conv2d", "matmul", "concat"])
@pytest.mark.parametrize("half", ["forward", "backward"])
def test_completeness_oracle_notices_a_weak_rule(name: str, half: str, monkeypatch: Any) -> None:
    rule = load()[name]
    forward = half == "forward"
    weak = Rule(conservative.forward if forward else rule.forward, rule.backward if forward else conservative.backward)
    monkeypatch.setitem(RULES, name, weak)
    assert any(incomplete(seed) for seed in range(40))
