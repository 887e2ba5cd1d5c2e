"""Records at compile time: used where they belong, skipped with a warning where they are broken, never harmful."""

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("psutil")

from tvm.s_tir import meta_schedule as ms

from tuning_nets import residual_graph, small_graph
from tvm_aie.device import load_device
from tvm_aie.errors import InputError
from tvm_aie.plan.reference import evaluate
from tvm_aie.rehearse import compile_rehearsed
from tvm_aie.runtime.emulator import run_program
from tvm_aie.tune import TuneOptions, load_records, tune_graphs
from tvm_aie.tune.apply import compile_with_records
from tvm_aie.tune.network import compile_with, cycles_of, layer_choice, network_of, stored_choice
from tvm_aie.tune.records import RECORDS, WORKLOADS, RecordWarning, make_record, points, target_of
from tvm_aie.tune.space import space_of

NPU1 = load_device("npu1")
OPTIONS = TuneOptions(trials=30, seed=1, workers=0, network_trials=8)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    return folder, tune_graphs([small_graph()], NPU1, folder, OPTIONS)


def spaces_of(graph, device=NPU1):
    network, untuned = network_of(graph, device)
    return network, untuned, {k: space_of(w, device) for k, (w, _) in network.distinct().items()}


def test_records_are_used_and_the_network_is_not_slower(tuned):
    folder, result = tuned
    selection = result.networks[0]
    assert selection.tuned_cycles <= selection.untuned_cycles
    compiled = compile_with_records(small_graph(), NPU1, load_records(folder))
    assert cycles_of(compiled) == selection.tuned_cycles
    with load_records(folder):
        assert cycles_of(compile_with_records(small_graph(), NPU1)) == selection.tuned_cycles
    assert cycles_of(compile_with_records(small_graph(), NPU1)) == selection.untuned_cycles


def test_results_do_not_change(tuned):
    folder, _ = tuned
    graph = small_graph()
    x = np.random.default_rng(0).integers(-128, 128, (1, 64, 14, 14), np.int8)
    compiled = compile_with_records(graph, NPU1, load_records(folder))
    run = run_program(bytes(compiled.program.to_bytes()), [x])
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    assert np.array_equal(run.outputs[0], expected)


@pytest.mark.parametrize("other", ["device", "density", "layer"])
def test_a_record_of_something_else_is_never_used(tuned, other):
    folder, _ = tuned
    database = load_records(folder)
    graph = {"density": small_graph(0.5), "layer": residual_graph()}.get(other, small_graph())
    device = load_device("wbs-4x4") if other == "device" else NPU1
    network, _, spaces = spaces_of(graph, device)
    assert stored_choice(database, network, spaces) is None
    assert layer_choice(database, network, spaces) == {}
    again, untuned = compile_with_records(graph, device, database), compile_rehearsed(graph, device)
    assert bytes(again.program.to_bytes()) == bytes(untuned.program.to_bytes())


def test_a_harmful_record_is_not_followed(tmp_path):
    """A record may claim any time: the network is emulated with it and without it."""
    network, untuned, spaces = spaces_of(small_graph())
    database = ms.database.JSONDatabase(work_dir=str(tmp_path))
    for space in spaces.values():
        worst = max(space.points, key=lambda p: space.points[p].cycles)
        database.commit_tuning_record(make_record(database, space, worst, 1.0, NPU1, target_of(NPU1)))
    choice = layer_choice(database, network, spaces)
    assert choice and cycles_of(compile_with(network, spaces, choice)) > cycles_of(untuned)
    compiled = compile_with_records(small_graph(), NPU1, load_records(tmp_path))
    assert cycles_of(compiled) == cycles_of(compile_rehearsed(small_graph(), NPU1))


def broken(folder, target, edit):
    """A copy of the record files in ``target`` with ``edit(workload lines, record lines)`` applied."""
    files = [(folder / name).read_text().splitlines() for name in (WORKLOADS, RECORDS)]
    edit(*files)
    for name, lines in zip((WORKLOADS, RECORDS), files, strict=True):
        (target / name).write_text("\n".join(lines) + "\n")
    return target


def truncate_record(_, records):
    records[2] = records[2][: len(records[2]) // 2]


def no_json(_, records):
    records.append("not json at all")


def wrong_workload(_, records):
    records.append(json.dumps([999, json.loads(records[0])[1]]))


def truncate_workload(workloads, _):
    workloads[0] = workloads[0][: len(workloads[0]) // 3]


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (truncate_record, f"{RECORDS}:3:"),
        (no_json, f"{RECORDS}:"),
        (wrong_workload, "names workload 999"),
    ],
)
def test_a_bad_line_is_named_and_skipped(tuned, tmp_path, edit, where):
    folder, result = tuned
    with pytest.warns(RecordWarning) as caught:
        database = load_records(broken(folder, tmp_path, edit))
    assert any(where in str(w.message) for w in caught)
    compiled = compile_with_records(small_graph(), NPU1, database)
    assert cycles_of(compiled) <= result.untuned_cycles


def test_a_truncated_workload_takes_its_records_with_it(tuned, tmp_path):
    folder, result = tuned
    with pytest.warns(RecordWarning, match=f"{WORKLOADS}:1:"):
        database = load_records(broken(folder, tmp_path, truncate_workload))
    assert cycles_of(compile_with_records(small_graph(), NPU1, database)) <= result.untuned_cycles


def test_another_version_is_named_and_skipped(tmp_path, monkeypatch):
    from tvm_aie.tune import network as network_module
    from tvm_aie.tune import records, space

    with monkeypatch.context() as patch:
        patch.setattr(space, "SPACE_VERSION", 77)
        patch.setattr(network_module, "SPACE_VERSION", 77)
        _, _, spaces = spaces_of(small_graph())
        database = ms.database.JSONDatabase(work_dir=str(tmp_path))
        item = next(iter(spaces.values()))
        database.commit_tuning_record(make_record(database, item, item.default, 1.0, NPU1, target_of(NPU1)))
    assert records.SPACE_VERSION != 77
    with pytest.warns(RecordWarning, match=f"version 77, this is version {records.SPACE_VERSION}"):
        loaded = load_records(tmp_path)
    assert len(loaded) == 0


def test_impossible_knobs_are_named_and_skipped(tmp_path):
    _, _, spaces = spaces_of(small_graph())
    space = next(iter(spaces.values()))
    product = [(a, *space.default[1:]) for a in next(iter(space.knobs.values()))]
    impossible = next((p for p in product if p not in space.points), None)
    if impossible is None:
        columns = list(space.knobs.values())
        impossible = next(p for p in np.ndindex(*map(len, columns)) if _point(columns, p) not in space.points)
        impossible = _point(columns, impossible)
    database = ms.database.JSONDatabase(work_dir=str(tmp_path))
    database.commit_tuning_record(make_record(database, space, impossible, 1.0, NPU1, target_of(NPU1)))
    with pytest.warns(RecordWarning, match="impossible knobs"):
        assert points(load_records(tmp_path), space, NPU1) == []
    with pytest.warns(RecordWarning, match="impossible knobs"):
        compiled = compile_with_records(small_graph(), NPU1, load_records(tmp_path))
    assert bytes(compiled.program.to_bytes()) == bytes(compile_rehearsed(small_graph(), NPU1).program.to_bytes())


def _point(columns, index):
    return tuple(column[i] for column, i in zip(columns, index, strict=True))


def test_an_interrupted_file_is_repaired_and_resumed(tuned, tmp_path):
    folder, result = tuned
    broken(folder, tmp_path, truncate_record)
    with pytest.warns(RecordWarning):
        again = tune_graphs([small_graph()], NPU1, tmp_path, OPTIONS)
    assert (tmp_path / "rejected" / RECORDS).exists()
    assert again.tuned_cycles <= again.untuned_cycles == result.untuned_cycles
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecordWarning)
        load_records(tmp_path)


def test_no_records_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no tuning records here"):
        load_records(tmp_path)
