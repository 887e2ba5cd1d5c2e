"""Plans compared by emulation (``rehearse``): the fastest division of core memory, never a slower one."""

from dataclasses import replace

import numpy as np
import pytest

from graphs import GraphBuilder
from tvm_aie import rehearse
from tvm_aie.device import load_device
from tvm_aie.emit.arrange import MORE_CHAINS
from tvm_aie.emit.overlay import Array, core_map
from tvm_aie.errors import EmulationFault, PlanWarning, ProgramError
from tvm_aie.pipeline import Decisions, Moves, compile_graph, emitter_of, finish, prepare, repriced
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.reference import evaluate
from tvm_aie.rehearse import command_cycles, compile_rehearsed, judge, settle
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.control import Price
from tvm_aie.schedule.geometry import CORE_MEMORY, DIVISIONS
from tvm_aie.searches import base_overlay

NPU1 = load_device("npu1")


def chain(shape, channels, k, density, pairs=3):
    b = GraphBuilder(shape, density=density)
    x = "x"
    for _ in range(pairs):
        for c in channels:
            x = b.conv(x, c, k)
    return b.graph(x)


def cycles(compiled):
    return run_program(compiled.program.to_bytes(), [], RunOptions(functional=False)).cycles


def division(compiled):
    m = compiled.program.cores[0]
    sizes = [(o.a_slot, o.a_slots, o.w_slots, o.acc_bytes) for o in DIVISIONS]
    return sizes.index((m.a_slot, m.a_slots, m.w_slots, m.acc_bytes))


def emulations(monkeypatch):
    """A list that grows with each emulation."""
    runs = []

    def counted(*args):
        runs.append(1)
        return run_program(*args)

    monkeypatch.setattr(rehearse, "run_program", counted)
    return runs


NETWORKS = {
    "sums bound it": chain((128, 28, 28), (128,), 3, 0.5),
    "weights bound it": chain((256, 14, 14), (1024, 256), 1, 0.5),
    "commands bound it": chain((64, 28, 28), (256, 64), 1, 0.5),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_fastest_division_is_taken_and_computes_the_same(name):
    graph = NETWORKS[name]
    compiled = compile_rehearsed(graph, "npu1")
    by_division = {n: cycles(compile_graph(graph, "npu1", overlay=o)) for n, o in enumerate(DIVISIONS)}
    assert cycles(compiled) <= by_division[0]
    # the estimate chooses which two of the others are emulated
    assert cycles(compiled) <= min(by_division.values()) * 1.02
    if min(by_division.values()) * 1.02 < by_division[0]:  # other chains of the default's plan may be faster still
        assert division(compiled) != 0 or cycles(compiled) <= min(by_division.values())
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    np.testing.assert_array_equal(result.outputs[0].reshape(-1), expected.reshape(-1))


@pytest.mark.parametrize("overlay", DIVISIONS)
def test_divisions_fit_a_core(overlay):
    assert overlay.core_bytes <= CORE_MEMORY
    m = core_map(Array(NPU1, overlay), 8, 0)
    assert m.a_base + m.a_slot * m.a_slots + overlay.guard_bytes <= NPU1.core_mem_bytes


def test_where_commands_are_free_the_estimate_decides():
    assert judge(load_device("wbs-2x2")) is None
    graph = chain((16, 9, 9), (16,), 3, 1.0)
    same = compile_rehearsed(graph, "wbs-2x2").program.to_bytes()
    assert same == compile_graph(graph, "wbs-2x2").program.to_bytes()


def test_small_networks_and_given_divisions_are_not_rehearsed(monkeypatch):
    runs = emulations(monkeypatch)
    small, large = chain((8, 7, 7), (16,), 3, 1.0), NETWORKS["sums bound it"]
    for graph, decisions in (
        (small, Decisions()),
        # nor other chains, nor another price of commands
        (large, Decisions(overlay=DIVISIONS[0], moves=Moves(chains=False), price=Price(0.3))),
        (large, Decisions(moves=Moves(divisions=False, chains=False), price=Price(0.3))),
    ):
        runs.clear()
        compiled = compile_rehearsed(graph, "npu1", decisions)
        assert division(compiled) == 0
        others = (len(rehearse.PRICES) + 3) * decisions.moves.chains
        assert len(runs) <= 1 + others, "its plan at all prices, and the best loaded with fewer tasks, or with more"
        same = finish(prepare(graph, "npu1", decisions))
        assert cycles(compiled) <= cycles(same)
        assert others or compiled.program.to_bytes() == same.program.to_bytes()


def block(b, x, channels, k=1):
    return b.add(b.conv(b.conv(x, channels, k), b.tensors[x].channels, 1), x)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_are_never_slower_for_it(seed):
    rng = np.random.default_rng(seed)
    b = GraphBuilder((int(rng.choice([3, 16, 64])), int(rng.choice([14, 28, 31])), 28), seed=seed, density=0.5)
    x = b.conv("x", int(rng.choice([32, 64])), 3, int(rng.choice([1, 2])))
    for _ in range(3):
        x = block(b, x, int(rng.choice([32, 96, 128])), int(rng.choice([1, 3])))
    graph = b.graph(x)
    compiled = compile_rehearsed(graph, "npu1")
    assert cycles(compiled) <= cycles(compile_graph(graph, "npu1"))
    x = rng.integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    np.testing.assert_array_equal(result.outputs[0].reshape(-1), expected.reshape(-1))


def commanded():
    """Many small layers with residual adds: commands take most of its time."""
    b = GraphBuilder((3, 28, 28))
    x = b.conv("x", 32, 3, 2)
    for _ in range(8):
        x = block(b, x, 16)
    return b.graph(x)


def test_where_commands_matter_adds_and_the_input_are_tried_apart(monkeypatch):
    made, priced = [], []
    whole, cheaper = rehearse.prepare, rehearse.repriced

    def noted(graph, device, decisions, **given):
        made.append(whole(graph, device, decisions, **given))
        return made[-1]

    def repriced(prepared, price, overlay):
        priced.append(cheaper(prepared, price, overlay))
        return priced[-1]

    monkeypatch.setattr(rehearse, "prepare", noted)
    monkeypatch.setattr(rehearse, "repriced", repriced)
    monkeypatch.setattr(rehearse, "MUCH", 0.4)
    prepared, settled = settle(commanded(), "npu1")
    assert command_cycles(prepared.plan) > rehearse.MUCH * judge(NPU1)(prepared.plan)
    assert {p.decisions.price for p in priced} == set(rehearse.PRICES)
    assert len(made) == 3
    assert len(made[1].decisions.unfused) == 8 and not made[2].decisions.moves.space_to_depth
    cost = judge(NPU1)
    apart = {cost(p.plan): p.plan for p in (*made, *priced)}
    near = [plan for cycles, plan in sorted(apart.items()) if cycles <= rehearse.NEARLY * min(apart)]
    chained = [cost.best_chains(plan, True)[1] for plan in near[: rehearse.MOST_CHAINED]]
    assert cost.best_chains(prepared.plan, True)[1] == min(chained) <= min(apart)
    assert settled == replace(prepared.decisions, overlay=settled.overlay)


@pytest.mark.parametrize("price", rehearse.PRICES)
def test_another_price_changes_tilings_alone(price):
    """Pools, siblings, runs and the outputs are those of the plan that it is made from."""
    graph = commanded()
    ready = prepare(graph, "npu1")
    made = repriced(ready, price, DIVISIONS[1])
    assert made.plan.pools == ready.plan.pools and made.decisions.price == price
    names = [[p.physical.layers[m].name for i in p.placement.items for m in i.members] for p in (ready.plan, made.plan)]
    assert names[0] == names[1]
    assert base_overlay(made.plan.array.overlay) == DIVISIONS[1]
    x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(finish(made).program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    np.testing.assert_array_equal(result.outputs[0].reshape(-1), expected.reshape(-1))


def test_a_division_that_does_not_fit_is_left_out(monkeypatch):
    huge = replace(DIVISIONS[2], a_slots=60)
    monkeypatch.setattr("tvm_aie.pipeline.DIVISIONS", (DIVISIONS[0], huge, DIVISIONS[3]))
    graph = NETWORKS["weights bound it"]
    assert division(compile_rehearsed(graph, "npu1")) == 3
    monkeypatch.setattr("tvm_aie.pipeline.DIVISIONS", (DIVISIONS[0], huge))
    assert division(compile_rehearsed(graph, "npu1")) == 0


def test_each_plan_is_emulated_once(monkeypatch):
    runs = emulations(monkeypatch)
    plan = prepare(NETWORKS["sums bound it"], "npu1").plan
    cost = judge(NPU1)
    first, ran = cost(plan), len(runs)
    # where commands bound it, with a few chains
    assert cost(plan) == first > 0 and len(runs) == ran <= 1 + len(rehearse.FEW_CHAINS)


def test_plans_are_compared_with_the_best_of_their_chains():
    """The second is faster with other chains; the last of those near enough is one too many, and one is far behind."""
    ready = prepare(NETWORKS["commands bound it"], "npu1")
    first = command_cycles(ready.plan)  # commands are all of its work
    steps = [1.0, 1.02, *(1.03 + k / 100 for k in range(rehearse.MOST_CHAINED - 1)), rehearse.NEARLY + 0.1]
    options = [(replace(ready, plan=replace(ready.plan)), k) for k in range(len(steps))]
    before = {id(option.plan): first * step for (option, _), step in zip(options, steps, strict=True)}
    tried = []

    class Cost:
        def __call__(self, plan):
            return before[id(plan)]

        def best_chains(self, plan, much):
            assert much
            tried.append(before[id(plan)])
            return (), before[id(plan)] * (0.5 if len(tried) == 2 else 0.9)

    best, which = rehearse._chained(options, Cost())
    assert which == 1 and best.plan is options[1][0].plan
    assert tried == [first * step for step in steps[: rehearse.MOST_CHAINED]]


def test_a_plan_that_cannot_be_emitted_costs_infinitely_much(monkeypatch):
    plan = prepare(NETWORKS["sums bound it"], "npu1").plan

    def fails(*_):
        raise ProgramError("no")

    monkeypatch.setattr(rehearse, "emitter_of", fails)
    assert judge(NPU1)(plan) == float("inf")


def test_names_decide_nothing():
    """A layer whose name looks like that of several (``plan.unite`` makes such names) is weighed as any other."""
    b = GraphBuilder((16, 28, 28), 13)
    x = b.conv("x", 32, 1)
    ends = [b.conv(b.conv(x, 64, 3), 16, 1)]
    ends += [b.conv(b.pool(b.conv(x, cout, 1), 5, 2), 16, 1) for cout in (64, 32)]
    graph = b.graph(*ends)
    layers = (replace(n, name=f"{n.name} + z") if isinstance(n, Conv) else n for n in graph.layers)
    plans = [prepare(g, "npu1").plan for g in (graph, replace(graph, layers=tuple(layers)))]
    stages = [(p.placement.items, p.tilings) for p in plans]
    assert stages[0] == stages[1]


def test_a_program_that_does_not_run_is_named(monkeypatch):
    """A fault of the compiler is no slow plan: another is taken, and the user is told."""
    graph = chain((128, 28, 28), (128,), 3, 0.5)
    faults = []

    def faulty(data, inputs, options):
        if not faults:
            faults.append(data)
            raise EmulationFault("core (0, 2): read of never-written memory")
        return run_program(data, inputs, options)

    monkeypatch.setattr(rehearse, "run_program", faulty)
    with pytest.warns(PlanWarning, match="please report.*never-written"):
        compiled = compile_rehearsed(graph, "npu1")
    assert compiled.program.to_bytes() != faults[0]
    x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
    got = run_program(compiled.program.to_bytes(), [x], RunOptions()).outputs[0]
    assert np.array_equal(got.ravel(), np.asarray(expected).ravel())


def test_the_fastest_chains_are_taken():
    """Where commands bound a network: no stream of those compared is faster; tuning starts from the same program."""
    graph = chain((16, 14, 14), (32, 64), 1, 1.0, pairs=8)
    compiled = compile_rehearsed(graph, "npu1")
    ready, _ = settle(graph, "npu1")
    assert finish(ready).program.to_bytes() == compiled.program.to_bytes()
    assert command_cycles(ready.plan) > rehearse.MUCH * cycles(compiled) > NPU1.launch_cycles * rehearse.MUCH
    emitter = emitter_of(ready.plan, ready.chains)
    assert emitter.emit({}).commands == compiled.program.commands
    found = []
    for chains in (*MORE_CHAINS, ready.chains[0]._replace(armed=False)):
        program = emitter.assembly.program(emitter.rearrange((chains,)), {})
        x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
        result = run_program(program.to_bytes(), [x], RunOptions(check=True))
        expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
        assert np.array_equal(result.outputs[0].ravel(), np.asarray(expected).ravel())
        found.append(result.cycles)
    assert len(set(found)) > 1 and cycles(compiled) <= min(found)
