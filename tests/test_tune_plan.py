"""Decisions for a whole network: they are tried, recorded, found again, and never change a result or cost time."""

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("psutil")

from tvm.s_tir import meta_schedule as ms

from tuning_nets import Builder, residual_graph, small_graph
from tvm_aie.device import load_device
from tvm_aie.pipeline import Decisions, compile_graph, finish, prepare
from tvm_aie.plan.reference import evaluate
from tvm_aie.rehearse import compile_rehearsed, settle
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.tune import TuneOptions, load_records, tune_graphs
from tvm_aie.tune.apply import compile_with_records, recorded
from tvm_aie.tune.network import cycles_of, network_of
from tvm_aie.tune.plan import OVERLAYS, choose_plan, commit_plan, plan_knobs, plan_of, stored_plan
from tvm_aie.tune.records import RecordWarning, target_of

NPU1 = load_device("npu1")


def values(graph, plan):
    """Output under a plan, checked for races, against the reference."""
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape, np.int8)
    run = run_program(bytes(finish(prepare(graph, NPU1, plan)).program.to_bytes()), [x], RunOptions(check=True))
    return run.outputs[0], evaluate(graph, {"x": x})[graph.outputs[0].tensor]


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_division_of_core_memory_fits_and_computes_the_same(name):
    overlay = OVERLAYS[name]
    assert overlay.core_bytes <= NPU1.core_mem_bytes - NPU1.core_reserved_bytes
    got, want = values(residual_graph(), Decisions(overlay))
    assert np.array_equal(got, want)


def test_an_add_of_its_own_computes_the_same():
    graph = residual_graph()
    knobs = plan_knobs(graph, NPU1)
    assert [k.name for k in knobs][:2] == ["buffering", "fusion0"] and knobs[0].values[0] == "as compiled"
    (compiled,) = (name for name, overlay in OVERLAYS.items() if overlay == settle(graph, NPU1)[1].overlay)
    assert knobs[0].values[1:] == tuple(name for name in OVERLAYS if name != compiled)
    plan = plan_of(knobs, {"fusion0": 1})
    assert plan.unfused and plan_of(knobs, {}) == settle(graph, NPU1)[1]  # untuned
    separate, fused = (len(finish(prepare(graph, NPU1, p)).tilings) for p in (plan, Decisions()))
    assert separate == fused + 1
    got, want = values(graph, plan)
    assert np.array_equal(got, want)


def test_adds_behind_equal_convolutions_are_one_knob():
    b = Builder(32, 14, 14)
    y = b.conv("x", 32, 3)
    for _ in range(3):
        y = b.add(b.conv(b.conv(y, 32), 32, 3), y)
    knobs = plan_knobs(b.graph(y), NPU1)
    assert [k.name for k in knobs][1:] == ["fusion0", "narrow"] and len(plan_of(knobs, {"fusion0": 1}).unfused) == 3


def test_half_of_the_columns_is_a_knob_where_commands_cost_time():
    graph = residual_graph()
    (knob,) = (k for k in plan_knobs(graph, NPU1) if k.name == "narrow")
    assert knob.values[:2] == ("by estimate", "none") and knob.values[-1].startswith("up to ")
    wide, narrow = (knob.apply(Decisions(), place) for place in (1, len(knob.values) - 1))
    assert wide.narrow == frozenset() and narrow.narrow
    used = [{sum(b > a for a, b in item.out_rows) for item in prepare(graph, NPU1, p).plan.placement.items}
            for p in (wide, narrow)]  # fmt: skip
    assert 2 not in used[0] and 2 in used[1]
    assert "narrow" not in [k.name for k in plan_knobs(graph, load_device("wbs-2x2"))]


def test_fronts_are_a_knob_where_the_compiler_makes_some():
    b = Builder(8, 56, 56)
    y = b.conv("x", 64, 3)
    for _ in range(2):
        y = b.conv(b.conv(y, 16, 1), 128, 3)
    graph = b.graph(b.conv(y, 8, 1))
    knobs = plan_knobs(graph, NPU1)
    (knob,) = (k for k in knobs if k.name == "fronts")
    assert knob.values == ("as compiled", "never")
    assert plan_of(knobs, {}).fronts == settle(graph, NPU1)[1].fronts != frozenset()
    assert plan_of(knobs, {"fronts": 1}).fronts == frozenset()


def test_the_choice_is_the_best_of_what_was_tried():
    graph, seen = residual_graph(), []
    choice, cycles, used = choose_plan(graph, NPU1, 100, lambda n, best: seen.append(best))
    untuned = cycles_of(compile_graph(graph, NPU1))
    assert cycles <= untuned and seen == sorted(seen, reverse=True) and used == len(seen) + 1
    assert cycles == cycles_of(finish(prepare(graph, NPU1, plan_of(plan_knobs(graph, NPU1), choice))))
    assert choose_plan(graph, NPU1, 1)[0] == {}


def test_a_plan_is_a_record(tmp_path):
    graph = residual_graph()
    knobs = plan_knobs(graph, NPU1)
    network, _ = network_of(graph, NPU1, plan_of(knobs, {}))
    database = ms.database.JSONDatabase(work_dir=str(tmp_path))
    assert stored_plan(database, network.digest, NPU1, knobs) is None
    commit_plan(database, network.digest, NPU1, knobs, {"buffering": 2}, 10.0, target_of(NPU1))
    commit_plan(database, network.digest, NPU1, knobs, {"fusion0": 1}, 20.0, target_of(NPU1))
    again = load_records(tmp_path)
    assert stored_plan(again, network.digest, NPU1, knobs) == {"buffering": 2}
    found, _, choice = recorded(graph, NPU1, again)
    wanted = OVERLAYS[knobs[0].values[2]]
    assert choice == {} and all(work.overlay == wanted for _, work in found.items) and wanted != OVERLAYS["default"]
    other = network_of(small_graph(), NPU1)[0]
    assert stored_plan(again, other.digest, NPU1, plan_knobs(small_graph(), NPU1)) is None


def test_a_harmful_plan_is_not_followed_and_an_impossible_one_is_named(tmp_path):
    graph = residual_graph()
    knobs = plan_knobs(graph, NPU1)
    network, _ = network_of(graph, NPU1, plan_of(knobs, {}))
    untuned = cycles_of(compile_rehearsed(graph, NPU1))
    times = {i: cycles_of(finish(prepare(graph, NPU1, plan_of(knobs, {"buffering": i})))) for i in range(8)}
    worst = max(times, key=times.get)
    assert times[worst] > untuned
    database = ms.database.JSONDatabase(work_dir=str(tmp_path))
    commit_plan(database, network.digest, NPU1, knobs, {"buffering": worst}, 1.0, target_of(NPU1))
    assert cycles_of(compile_with_records(graph, NPU1, load_records(tmp_path))) == untuned
    path = tmp_path / "database_tuning_record.json"
    path.write_text(path.read_text().replace(f",{worst}]", ",99]", 1))
    assert ",99]" in path.read_text()
    with pytest.warns(RecordWarning):
        compiled = compile_with_records(graph, NPU1, load_records(tmp_path))
    assert cycles_of(compiled) == untuned


@pytest.mark.parametrize("device", ["npu1", "wbs-4x4"])
def test_tuning_with_plans_is_never_slower_and_resumes(tmp_path, device):
    dev = load_device(device)
    options = TuneOptions(trials=12, seed=2, workers=0, network_trials=4)
    first = tune_graphs([residual_graph()], dev, tmp_path, options)
    assert first.tuned_cycles <= first.untuned_cycles == cycles_of(compile_rehearsed(residual_graph(), dev))
    compiled = compile_with_records(residual_graph(), dev, load_records(tmp_path))
    assert cycles_of(compiled) == first.tuned_cycles
    told = []
    second = tune_graphs([residual_graph()], dev, tmp_path, options, told.append)
    assert second.networks[0].plan == first.networks[0].plan
    assert not [p for p in told if p.layer]  # everything is in the records already
    assert second.tuned_cycles <= first.tuned_cycles
