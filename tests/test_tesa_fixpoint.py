"""Elimination reaches its fixpoint: against a slow reference where channels are tied and go in blocks, and by running
it again; random pruned QDQ networks against onnxruntime on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import tvm
from tvm import relax

from numpy_backend import numpy_backend, run_tvm
from qdq_net import run_onnx
from tesa_nets import RandomNet, check_sound, interpret, random_input
from tesa_qdq import PrunedNet
from tesa_wide import WideNet
from tvm_aie.frontend import from_onnx
from tvm_aie.relax import last_compilation
from tvm_aie.tesa import facts, rules_linear, rules_window
from tvm_aie.tesa.attached import attach
from tvm_aie.tesa.eliminate import MAX_ROUNDS, eliminate_dead, eliminate_function
from tvm_aie.tesa.ir import bindings_of, op_name, shape_of
from tvm_aie.tesa.layers import Graph, layers_of
from tvm_aie.tesa.propagation import propagate
from tvm_aie.tesa.slots import BLOCK, Ties, channel_need, choose_removal

op, nn = relax.op, relax.op.nn
SLOW = pytest.mark.slow


# ------------------------------------------------------------------------------------------- random QDQ networks
def feeds_of(model: onnx.ModelProto, seed: int) -> np.ndarray[Any, Any]:
    shape = tuple(d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim)
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * rng.choice([1, 4])).astype(np.float32)


def check_network(seed: int, target: str = "", odd: bool = False) -> int:
    """Outputs equal onnxruntime's after elimination, by TVM alone or compiled for an array; returns what went."""
    model = PrunedNet(seed, odd=odd).model
    x = feeds_of(model, seed)
    expected, mod = run_onnx(model, {"input": x}), from_onnx(model)
    rows = {"": seed % 4, "aie2/wbs-1x1": 1, "aie2/wbs-2x2": 2}[target]
    small, done = eliminate_dead(mod, rows)
    (step,) = done.values()
    (again,) = eliminate_dead(small, rows)[1].values()
    assert step.rounds < MAX_ROUNDS and not again.folded and not again.channels_removed, f"seed {seed}: no fixpoint"
    got = run_tvm(tvm.compile(mod, target=target) if target else relax.build(small, "llvm"), x)
    pairs = list(zip(got, expected, strict=True))
    assert all(np.array_equal(a, b) for a, b in pairs), f"seed {seed}: outputs differ from onnxruntime's"
    return step.channels_removed + sum(len(f.channels_folded) for f in step.folded)


@pytest.mark.parametrize("odd", [False, True])
def test_random_networks(odd: bool) -> None:
    """``odd``: zero points other than 0 and 128, where carriers and constants may saturate."""
    assert sum(check_network(seed, odd=odd) for seed in range(1003, 1005)) > 20


def test_random_networks_on_the_array() -> None:
    with numpy_backend():
        assert sum(check_network(2000 + seed, "aie2/wbs-1x1") for seed in range(3)) > 10
    compilation = last_compilation()
    assert compilation is not None and compilation.eliminations


@SLOW
@pytest.mark.parametrize("first", range(0, 200, 20))
def test_random_networks_all(first: int) -> None:
    for seed in range(3000 + first, 3000 + first + 20):
        check_network(seed, odd=seed % 2 == 0)


@SLOW
@pytest.mark.parametrize("target", ["aie2/wbs-1x1", "aie2/wbs-2x2"])
def test_random_networks_emulated(target: str) -> None:
    """The whole way: elimination, partition, schedule, program, emulator."""
    for seed in range(4000, 4020):
        check_network(seed, target)


# ------------------------------------------------------------------------------------------- reference fixpoints
def greatest_removal(ties: Ties, rng: Any) -> set[int]:
    """The largest set of tied classes that may go: all that nobody needs, then one offender after the other stays.

    An offender lies in a block of eight outputs of a layer of which another channel stays, or is the last of a tensor
    whose reader is still there. Each step only takes back what any valid set must take back, so the order does not
    matter: offenders are taken in random order.
    """
    result, layers = ties.result, ties.layers
    blocked = {int(ties.root[s]) for s in np.flatnonzero(ties.frozen)}
    for var in ties.base:
        need = channel_need(result, var)
        blocked |= {int(r) for r, n in zip(ties.root[ties.slots(var)], need, strict=True) if n}
    removable = {int(r) for var in ties.base for r in ties.root[ties.slots(var)]} - blocked
    while True:
        offenders = set()
        for var in layers:
            roots = [int(r) for r in ties.root[ties.slots(var)]]
            for start in range(0, len(roots), BLOCK):
                block = roots[start : start + BLOCK]
                if not set(block) <= removable:
                    offenders |= set(block) & removable
        if not offenders:
            return removable
        removable.discard(int(rng.choice(sorted(offenders))))


@pytest.mark.parametrize("seed", range(40))
def test_tied_blocks_reach_the_greatest_fixpoint(seed: int) -> None:
    """``choose_removal`` in blocks equals the reference wherever no tensor would lose its last channel."""
    net = WideNet(seed, linear=True) if seed % 2 else RandomNet(seed)
    func = relax.transform.ConvertToDataflow(min_size=1)(net.mod)["main"]
    result = propagate(func, exempt=False)
    graph = Graph.of(func)
    layers = list(layers_of(result, graph))
    if not layers:
        return
    ties = Ties(result, graph, layers)
    removal, expected = choose_removal(ties, 1), greatest_removal(ties, np.random.default_rng(seed))
    for var in ties.base:
        roots = ties.root[ties.slots(var)]
        gone = np.array([int(r) in expected for r in roots])
        kept = removal.keep.get(var, np.arange(len(roots)))
        mine = ~np.isin(np.arange(len(roots)), kept)
        assert not (mine & ~gone).any(), f"{var} loses a channel that must stay"
        if not any(gone.all() for gone in [gone]):
            missed = gone & ~mine
            # channels that stay for a tensor that would vanish altogether may be tied to this one
            assert not missed.any() or _tied_to_last(ties, expected, roots[missed]), f"{var} keeps {missed.sum()}"


def _tied_to_last(ties: Ties, removable: set[int], roots: Any) -> bool:
    """True when these classes are in a tensor that would lose all its channels."""
    whole = [set(map(int, ties.root[ties.slots(v)])) for v in ties.base]
    lost = set().union(*(w for w in whole if w <= removable))
    blocks = set(lost)
    for var in ties.layers:
        mine = [int(r) for r in ties.root[ties.slots(var)]]
        for start in range(0, len(mine), BLOCK):
            if set(mine[start : start + BLOCK]) & lost:
                blocks |= set(mine[start : start + BLOCK])
    return set(map(int, roots)) <= blocks


@pytest.mark.parametrize("seed", [*range(30), *(pytest.param(s, marks=SLOW) for s in range(30, 60))])
def test_elimination_twice_is_elimination_once(seed: int) -> None:
    net = WideNet(seed) if seed % 2 else RandomNet(seed)
    first = eliminate_function(net.func, seed % 3)
    assert first.rounds < MAX_ROUNDS
    second = eliminate_function(first.func, seed % 3)
    assert not second.folded and not second.channels_removed, f"seed {seed}: a second run finds more"


def test_a_long_chain_needs_few_rounds() -> None:
    """Death travels through forty layers in one sweep; rounds are for what folding uncovers."""
    builder, rng = relax.BlockBuilder(), np.random.default_rng(3)
    x = relax.Var("x", relax.TensorType((1, 16, 4, 4), "int32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            y = x
            for depth in range(40):
                weight = rng.integers(-3, 4, (16, 16, 1, 1))
                weight[:8] = weight[:8] * (depth != 0)
                weight[:, 8:] = weight[:, 8:] * (depth != 39)
                y = builder.emit(nn.relu(builder.emit(nn.conv2d(y, relax.const(weight.astype(np.int32)),
                                                                 out_dtype="int32"))))  # fmt: skip
            y = builder.emit_output(y)
        builder.emit_func_output(y)
    func = builder.get()["main"]
    done = eliminate_function(func, 1)
    assert done.rounds <= 2 and done.channels_removed >= 8
    given = random_input(func, rng)
    assert np.array_equal(interpret(func, given)[0], interpret(done.func, given)[0])


# ------------------------------------------------------------------------------------------- elements or channels
def found_with(mod: Any, limit: int) -> tuple[int, int, int]:
    """What elimination removes where tensors of up to ``limit`` elements are followed element by element."""
    with pytest.MonkeyPatch.context() as patch:
        for function in (facts.Fact.coarsened, facts.coarse_mask):
            patch.setattr(function, "__defaults__", (limit,))
        for module in (rules_linear, rules_window):
            patch.setattr(module, "ELEMENT_LIMIT", limit)
        if limit > facts.ELEMENT_LIMIT:
            patch.setattr(rules_linear, "ELEMENT_MACS", 1 << 60)
        done = eliminate_function(relax.transform.ConvertToDataflow(min_size=1)(mod)["main"], 0)
    folded = done.folded
    return done.channels_removed, sum(f.weights_cleared for f in folded), sum(len(f.channels_folded) for f in folded)


def test_elements_buy_nothing_where_channels_are_followed() -> None:
    """Large tensors are followed per channel: there, the work of following elements finds nothing more. In small
    images, where windows see more border than image, it does, and there elements are followed."""
    large = [from_onnx(PrunedNet(seed, pixels=36).model) for seed in range(6)]
    images = [np.prod(shape_of(v)) for mod in large for v, c in bindings_of(mod["main"]) if op_name(c) == "nn.conv2d"]
    assert np.mean(np.array(images) > facts.ELEMENT_LIMIT) > 0.6
    by_channel = [found_with(mod, facts.ELEMENT_LIMIT) for mod in large]
    assert by_channel == [found_with(mod, 1 << 60) for mod in large] and np.sum(by_channel) > 500
    small = from_onnx(PrunedNet(12).model)
    assert np.sum(found_with(small, facts.ELEMENT_LIMIT)) > np.sum(found_with(small, 1))


# ------------------------------------------------------------------------------------------- graphs that trip
def integer_function(make: Any, shape: tuple[int, ...] = (1, 16, 5, 5)) -> Any:
    x = relax.Var("x", relax.TensorType(shape, "int32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            out = builder.emit_output(make(builder.emit, x))
        builder.emit_func_output(out)
    return builder.get()


def filters(*dead: int, shape: tuple[int, ...] = (16, 16, 1, 1)) -> np.ndarray[Any, Any]:
    value = np.random.default_rng(1).integers(1, 5, shape).astype(np.int32)
    value[list(dead)] = 0
    return value


def assert_same(mod: Any, rows: int = 0, inputs: Any = None) -> Any:
    """Elimination changes no output; returns what it did."""
    func, rng = mod["main"], np.random.default_rng(0)
    done = eliminate_function(func, rows)
    for _ in range(3):
        x = random_input(func, rng) if inputs is None else inputs
        for a, b in zip(interpret(func, x), interpret(done.func, x), strict=True):
            assert np.array_equal(a, b)
    return done


def conv(emit: Any, x: Any, weight: Any, **attrs: Any) -> Any:
    weight = relax.const(weight) if isinstance(weight, np.ndarray) else weight
    return emit(nn.conv2d(x, weight, out_dtype="int32", **attrs))


def test_shared_weight_keeps_what_one_reader_needs() -> None:
    """One weight for two layers: a filter dead for the first reader is alive for the second."""
    shared = relax.const(filters(3))

    def make(emit: Any, x: Any) -> Any:
        a, b = conv(emit, x, shared), conv(emit, emit(nn.relu(x)), shared)
        half = np.zeros((4, 16, 1, 1), np.int32)
        half[:, :8] = 1
        return emit(op.add(conv(emit, a, half), conv(emit, b, half[:, ::-1].copy())))

    assert assert_same(integer_function(make)).channels_removed > 0


def test_output_that_is_also_read() -> None:
    def make(emit: Any, x: Any) -> Any:
        y = conv(emit, x, filters(0, 1, 2))
        return emit(relax.Tuple([y, conv(emit, y, filters(shape=(4, 16, 1, 1)))]))

    done = assert_same(integer_function(make))
    assert shape_of(next(v for v, c in bindings_of(done.func) if op_name(c) == "nn.conv2d"))[1] == 16


def test_pruned_network_input() -> None:
    """The user vouches that channels of the input are zero: their columns go, the input keeps its shape."""
    mod = integer_function(lambda emit, x: conv(emit, x, filters(), padding=1))
    keep = (np.arange(16) < 4).reshape(1, 16, 1, 1)
    attached = attach(mod, {"x": keep})
    x = random_input(mod["main"], np.random.default_rng(0))[0] * keep.astype(np.int32)
    done = assert_same(attached, inputs=[x])
    assert sum(f.weights_cleared for f in done.folded) == 16 * 12
    assert tuple(map(int, done.func.params[0].ty.shape.values)) == (1, 16, 5, 5)


def test_scale_along_another_axis_is_not_narrowed() -> None:
    """A scale per row of pixels has nothing to do with the channels, even if there are as many."""

    def make(emit: Any, x: Any) -> Any:
        y = emit(op.astype(conv(emit, x, filters(*range(8))), "float32"))
        scale, zero = relax.const(2.0 ** (np.arange(16) % 5).astype(np.float32)), relax.const(np.zeros(16, np.int8))
        q = emit(op.astype(emit(op.quantize(y, scale, zero, axis=2, out_dtype="int8")), "int32"))
        return conv(emit, q, filters(shape=(4, 16, 1, 1)))

    assert_same(integer_function(make, (1, 16, 16, 2)))


@pytest.mark.parametrize("kind", ["multiply", "matmul", "where"])
def test_two_zeros_do_not_excuse_each_other(kind: str) -> None:
    """Found by seed 21835 of the wide generator: both factors are zero because of their weights, so each seemed not
    to be needed because of the other, and the weights of both went. A known condition, likewise, must stay known."""
    off = np.zeros((16, 16, 1, 1), np.int32)
    low = relax.const(np.full((1, 16, 1, 1), -40, np.int32))
    high = relax.const(np.full((1, 16, 1, 1), 30, np.int32))
    one = relax.const(np.int32(1))

    def branch(emit: Any, x: Any) -> Any:
        """relu(w * 30 - 40 * 16 * 5): a computed zero that is not zero without its weights' sign."""
        thirty = emit(op.add(conv(emit, x, off), high))
        return emit(nn.relu(emit(op.subtract(relax.const(np.int32(100)), conv(emit, thirty, filters())))))

    def make(emit: Any, x: Any) -> Any:
        a, b = branch(emit, x), branch(emit, emit(op.add(x, low)))
        if kind == "multiply":
            out = emit(op.multiply(a, b))
        elif kind == "matmul":
            out = emit(op.matmul(a, b, out_dtype="int32"))
        else:
            out = emit(op.where(emit(op.greater(a, one)), x, emit(op.add(x, one))))
        return emit(op.add(out, x))

    mod = integer_function(make)
    assert_same(mod)
    check_sound(mod["main"], propagate(mod["main"], exempt=False), np.random.default_rng(0), 4)


def test_cast_keeps_what_it_reads() -> None:
    """What goes through a ``match_cast`` is not followed, so all of it is needed."""
    x = relax.Var("x", relax.TensorType((1, 8), "int32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        y = builder.emit(op.matmul(x, relax.const(np.eye(8, dtype=np.int32)), out_dtype="int32"))
        z = builder.match_cast(y, relax.TensorType((1, 8), "int32"))
        builder.emit_func_output(z)
    mod = builder.get()
    result = propagate(mod["main"])
    assert result.need(x).all()
    ((_, done),) = eliminate_dead(mod, 0)[1].items()
    assert not done.folded and not done.channels_removed


def test_wrapping_bias_of_a_narrow_network() -> None:
    """int8 arithmetic without a wider result wraps; a folded constant wraps with it."""
    x = relax.Var("x", relax.TensorType((1, 8, 3, 3), "int8"))
    first, second = np.zeros((8, 8, 1, 1), np.int8), np.full((4, 8, 1, 1), 100, np.int8)
    first[0] = 3
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit(op.add(builder.emit(nn.conv2d(x, relax.const(first))),
                                    relax.const(np.arange(8, dtype=np.int8).reshape(1, 8, 1, 1))))  # fmt: skip
            out = builder.emit_output(nn.conv2d(y, relax.const(second)))
        builder.emit_func_output(out)
    done = assert_same(builder.get())
    assert sum(len(f.channels_folded) for f in done.folded) == 7
    check_sound(done.func, propagate(done.func), np.random.default_rng(0), 2)
