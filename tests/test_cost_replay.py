"""The replay of a repeated item under its command stream, against the emulator that runs the program itself."""

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("psutil")

from tuning_nets import residual_graph, small_graph
from tvm_aie.cost.analytic import item_terms
from tvm_aie.cost.features import NAMES, feature_vector, message_rates
from tvm_aie.cost.learned import LearnedModel, rank_correlation
from tvm_aie.cost.replay import _calls, _within_reach, replay
from tvm_aie.device import load_device
from tvm_aie.pipeline import compile_graph
from tvm_aie.tune import bench
from tvm_aie.tune.network import network_of
from tvm_aie.tune.search import portable
from tvm_aie.tune.space import space_of

NPU1 = load_device("npu1")


def workloads(graph, device=NPU1):
    found = {}
    compile_graph(graph, device, None, lambda work: found.setdefault(space_of(work, device).key, work) and None)
    return list(found.values())


def replayed(work, tiling, device=NPU1):
    return replay(work, tiling, device, message_rates(work, item_terms(work, tiling, device), tiling, device))


@pytest.mark.parametrize(
    "graph",
    [small_graph(), *(pytest.param(g, marks=pytest.mark.slow) for g in (small_graph(0.5), residual_graph()))],
)
def test_replayed_cycles_are_close_to_emulated_ones(graph):
    errors, ranks = [], []
    for work in workloads(graph):
        space = space_of(work, NPU1)
        order = sorted(space.order, key=lambda p: space.points[p].cycles)[:40:5]
        truth, guess = [], []
        for point in order:
            found = replayed(work, space.points[point])
            if found is None:  # the closed form is used instead
                assert not _within_reach(work)
                continue
            assert 0 <= found.idle <= found.pushes and found.writes > 0
            truth.append(bench.emulate(work, space.points[point], NPU1))
            guess.append(found.cycles)
        if not truth:
            continue
        errors += list(np.abs(np.log(np.array(guess) / truth)))
        ranks.append(rank_correlation(np.array(guess), np.array(truth)) if len(set(truth)) > 2 else 1.0)
    assert len(ranks) >= 3
    print(f"median error {np.median(errors):.3f}, mean {np.mean(errors):.3f}, rank {np.mean(ranks):.3f}")
    assert np.median(errors) < 0.08 and np.mean(errors) < 0.2 and np.mean(ranks) > 0.8


def test_calls_are_those_of_the_loop_nest():
    for work in workloads(small_graph()):
        for tiling in list(space_of(work, NPU1).points.values())[::7]:
            bands = max(n for _, n in tiling.bands)
            calls = _calls(work.geometry, tiling, bands, bands)
            pieces = tiling.n_pass * tiling.n_x * bands
            assert len(calls) == pieces * tiling.n_ck and sum(c.gives_o for c in calls) == pieces
            assert sum(c.takes_a for c in calls) == sum(c.gives_a for c in calls)
            assert sum(c.takes_w for c in calls) == sum(c.gives_w for c in calls)
            assert not tiling.a_resident or sum(c.takes_a for c in calls) == 1
            fewer = _calls(work.geometry, tiling, 1, bands)  # a column with one band takes the same weights
            assert sum(c.takes_w for c in fewer) == sum(c.takes_w for c in calls)


def test_where_commands_are_free_the_closed_form_is_the_estimate():
    wbs = load_device("wbs-2x2")
    work = workloads(small_graph(), wbs)[0]
    tiling = next(iter(space_of(work, wbs).points.values()))
    x = dict(zip(NAMES, feature_vector(work, tiling, wbs), strict=True))
    assert x["replayed"] == 0 and x["log_estimate"] == pytest.approx(np.log(item_terms(work, tiling, wbs).estimate))


@pytest.mark.slow
def test_ranks_over_whole_spaces_of_layers_that_the_shipped_model_was_not_trained_on():
    """Random schedules of ResNet-50's layers; the model that ships was trained on random layers."""
    from tuning_nets import resnet50

    rng, model = np.random.default_rng(5), LearnedModel.pretrained(NPU1)
    ranks, losses = [], []
    for density, count in ((0.5, 3), (1.0, 4)):
        works = [work for work, _ in network_of(resnet50(density), NPU1)[0].distinct().values()]
        left = count
        for work in (portable(works[i]) for i in rng.permutation(len(works))):
            tilings = [t for t in map(space_of(work, NPU1).points.get, space_of(work, NPU1).order) if calls(t) <= 150]
            if len(tilings) < 14 or not left:
                continue
            left -= 1
            chosen = [tilings[i] for i in rng.permutation(len(tilings))[:14]]
            truth = np.array([bench.emulate(work, t, NPU1) for t in chosen])
            guess = model.predict(work, chosen, NPU1)
            ranks.append(rank_correlation(guess, truth))
            losses.append(truth[int(np.argmin(guess))] / truth.min() - 1)
    print(f"rank {np.round(ranks, 3)}, mean {np.mean(ranks):.3f}; loss of the predicted best {np.round(losses, 3)}")
    assert np.mean(ranks) >= 0.95 and np.mean(losses) <= 0.03


def calls(t):
    """Kernel calls of the busiest core."""
    return t.n_pass * t.n_x * max(n for _, n in t.bands) * t.n_ck
