"""The search: deterministic, resumable, interruptible, better than random, and honest about what it tried."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("psutil")

from tuning_nets import LAYERS, layer_graph, residual_graph, resnet50, small_graph
from tvm_aie.device import load_device
from tvm_aie.pipeline import compile_graph
from tvm_aie.tune import bench, tuner
from tvm_aie.tune.plots import plot_history
from tvm_aie.tune.records import all_measured
from tvm_aie.tune.search import Session, mutate
from tvm_aie.tune.space import space_of
from tvm_aie.tune.tuner import TuneOptions, tune_graphs

NPU1 = load_device("npu1")
OPTIONS = TuneOptions(trials=24, seed=7, workers=0, network_trials=4)


def trials(result):
    return [(p.layer, p.cycles) for p in result.history]


def test_same_seed_same_trials_and_same_choice(tmp_path):
    first, second = (tune_graphs([small_graph()], NPU1, tmp_path / name, OPTIONS) for name in ("a", "b"))
    assert trials(first) == trials(second)
    assert first.networks == second.networks
    other = tune_graphs([small_graph()], NPU1, tmp_path / "c", dataclasses.replace(OPTIONS, seed=8))
    assert trials(other) != trials(first)


def test_budget_progress_and_weights(tmp_path):
    seen = []
    result = tune_graphs([residual_graph()], NPU1, tmp_path, OPTIONS, seen.append)
    assert len(result.history) <= OPTIONS.trials + 8  # whole rounds
    tried = [p for p in seen if p.layer]
    assert [p.trial for p in tried] == sorted(p.trial for p in tried)
    assert all(p.best_cycles <= p.default_cycles for p in tried if np.isfinite(p.default_cycles))
    assert result.tuned_cycles <= result.untuned_cycles
    assert sum(t.weight for t in result.tasks) == len({id(t) for t in compile_graph(residual_graph(), NPU1).tilings})
    assert len(all_measured(result.database, NPU1)) == len(result.history)
    assert plot_history(result.history, tmp_path / "history.svg").stat().st_size > 1000


def test_an_interrupt_loses_nothing_and_is_resumed(tmp_path):
    def stop(progress):
        if progress.layer and progress.trial == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_graphs([small_graph()], NPU1, tmp_path, OPTIONS, stop)
    measured = []
    again = tune_graphs([small_graph()], NPU1, tmp_path, OPTIONS, measured.append)
    assert min(p.trial for p in measured if p.layer) == 10
    assert len(again.history) <= OPTIONS.trials - 9 + 8  # whole rounds
    points = [(m.space.key, m.point) for m in all_measured(again.database, NPU1)]
    assert len(points) == len(set(points)) >= 18
    done = []
    tune_graphs([small_graph()], NPU1, tmp_path, dataclasses.replace(OPTIONS, trials=9), done.append)
    assert not [p for p in done if p.layer]


def test_a_schedule_that_cannot_be_built_is_a_failed_trial(tmp_path, monkeypatch):
    from tvm_aie.errors import InfeasibleError

    real, calls = bench.build, [0]

    def sometimes(work, tiling, device):
        calls[0] += 1
        if calls[0] > 8 and calls[0] % 3 == 0:
            raise InfeasibleError("this one", 2, 1, "bytes")
        return real(work, tiling, device)

    monkeypatch.setattr(bench, "build", sometimes)
    result = tune_graphs([small_graph()], NPU1, tmp_path, dataclasses.replace(OPTIONS, network_trials=2))
    failed = [p for p in result.history if p.cycles == float("inf")]
    assert failed and result.tuned_cycles <= result.untuned_cycles
    assert sum(m.cycles == float("inf") for m in all_measured(result.database, NPU1)) == len(failed)


def test_tvms_own_xgb_model_works_on_our_features(tmp_path):
    result = tune_graphs([small_graph()], NPU1, tmp_path, dataclasses.replace(OPTIONS, model="xgb"))
    assert len(result.history) >= 12 and result.tuned_cycles <= result.untuned_cycles


def test_mutation_stays_feasible_and_moves():
    found = []
    compile_graph(small_graph(), NPU1, None, lambda w: found.append(w))
    space = space_of(found[0], NPU1)
    session = Session(NPU1, {space.key: space}, 0)
    moves = [mutate(session, space, space.default) for _ in range(50)]
    assert all(p in space.points for p in moves) and len(set(moves)) > 5


def exhaustive(layer):
    """Space and emulated time of every point of a layer."""
    found = []
    compile_graph(layer_graph(*layer), NPU1, None, lambda w: found.append(w))
    space = space_of(found[0], NPU1)
    return space, {p: bench.emulate(space.work, t, NPU1) for p, t in space.points.items()}


def trials_until_good(space, table, seed, folder, monkeypatch, limit=64, slack=1.02):
    """Trials of the search until a schedule within ``slack`` of the best is measured; times come from the table."""
    monkeypatch.setattr(bench, "emulate", lambda work, tiling, device: table[_point(space, tiling)])
    options = TuneOptions(trials=limit, seed=seed, workers=0, network_trials=0)
    best = min(table.values())
    counted = [0, 0]

    class Found(Exception):
        pass

    def watch(progress):
        counted[0] += 1
        if progress.cycles <= best * slack and not counted[1]:
            counted[1] = counted[0]
            raise Found

    tuning = tuner._Tuning(NPU1, [], _database(folder), options, watch)
    tuning.weights, tuning.spaces[space.key], tuning.tasks = {space.key: 1}, space, [space.key]
    monkeypatch.setattr(bench, "build", lambda work, tiling, device: _artefact(table[_point(space, tiling)]))
    monkeypatch.setattr(bench, "run", lambda data: float(data[8:].decode()))
    try:
        tuning.search()
    except Found:
        pass
    return counted[1] or limit


def _artefact(cycles):
    return b"TABLED\0\0" + repr(cycles).encode()


def _point(space, tiling):
    return next(p for p, t in space.points.items() if t is tiling)


def _database(folder):
    from tvm.s_tir import meta_schedule as ms

    folder.mkdir()
    return ms.database.JSONDatabase(work_dir=str(folder))


def random_trials(table, slack=1.02):
    """Trials that random search without repetition needs on average."""
    times = np.array(list(table.values()))
    return (len(times) + 1) / (1 + int((times <= times.min() * slack).sum()))


def compare_with_random(layer, seeds, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        space, table = exhaustive(layer)
        ours = [trials_until_good(space, table, s, tmp_path / f"{layer[0]}-{s}", patch) for s in seeds]
    theirs = random_trials(table)
    print(f"{layer[0]}: {len(table)} schedules, ours {np.mean(ours):.1f} {ours}, random {theirs:.1f}")
    return float(np.mean(ours)), theirs


def test_the_search_beats_random_search(tmp_path, monkeypatch):
    ours, theirs = compare_with_random(("small", 64, 14, 64, 1, 1, 1, 0.5), range(2), tmp_path, monkeypatch)
    assert ours <= max(2.0, theirs / 2)


@pytest.mark.slow
def test_within_two_percent_of_the_best_on_twelve_layers(tmp_path, monkeypatch):
    ratios = []
    for layer in LAYERS:
        ours, theirs = compare_with_random(layer, range(10), tmp_path, monkeypatch)
        ratios.append(theirs / ours)
    print("random / ours:", [round(r, 1) for r in ratios])
    assert np.exp(np.mean(np.log(ratios))) >= 3


@pytest.mark.slow
def test_resnet50_is_faster_after_a_thousand_trials(tmp_path):
    options = TuneOptions(trials=1000, seed=0, workers=2)
    result = tune_graphs([resnet50()], NPU1, tmp_path, options)
    print(f"untuned {result.untuned_cycles:.0f}, tuned {result.tuned_cycles:.0f} cycles")
    assert result.tuned_cycles < 0.99 * result.untuned_cycles
