"""The replay of a repeated item under its command stream, against the emulator that runs the program itself."""

import numpy as np
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("psutil")

from tuning_nets import residual_graph, small_graph
from tvm_aie.cost.analytic import item_terms
from tvm_aie.cost.features import NAMES, feature_vector
from tvm_aie.cost.learned import LearnedModel, rank_correlation
from tvm_aie.cost.repeated import FROM, TO, chooser, first_repetition, prepared
from tvm_aie.cost.replay import MOST_STEPS, replay
from tvm_aie.device import load_device
from tvm_aie.errors import InfeasibleError
from tvm_aie.pipeline import compile_graph, finish
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.tune import bench
from tvm_aie.tune.network import network_of
from tvm_aie.tune.search import portable
from tvm_aie.tune.space import space_of

NPU1 = load_device("npu1")


def workloads(graph, device=NPU1):
    found = {}
    compile_graph(graph, device, None, lambda work: found.setdefault(space_of(work, device).key, work) and None)
    return list(found.values())


@pytest.mark.parametrize(
    "graph",
    [small_graph(), *(pytest.param(g, marks=pytest.mark.slow) for g in (small_graph(0.5), residual_graph()))],
)
def test_replayed_cycles_are_close_to_emulated_ones(graph):
    """The emulator is the oracle: it runs the program whose commands are replayed."""
    errors, ranks = [], []
    for work in workloads(graph):
        space = space_of(work, NPU1)
        order = sorted(space.order, key=lambda p: space.points[p].cycles)[:40:5]
        truth, guess = [], []
        for point in order:
            try:
                cycles = bench.emulate(work, space.points[point], NPU1)
            except InfeasibleError:
                assert replay(work, space.points[point], NPU1) is None
                break
            found = replay(work, space.points[point], NPU1)
            assert (found is None) == (calls(space.points[point]) > MOST_STEPS)
            if found is None:  # the closed form is used instead
                continue
            assert 0 <= found.idle <= found.pushes and found.writes > 0 and found.waited >= 0
            truth.append(cycles)
            guess.append(found.cycles)
        errors += list(np.abs(np.log(np.array(guess) / truth)))
        ranks.append(rank_correlation(np.array(guess), np.array(truth)) if len(set(truth)) > 2 else 1.0)
    assert len(errors) >= 20
    print(f"median error {np.median(errors):.4f}, mean {np.mean(errors):.4f}, rank {np.mean(ranks):.3f}")
    assert np.median(errors) < 0.005 and np.mean(errors) < 0.02 and np.mean(ranks) > 0.95


def test_the_replay_counts_the_commands_of_the_program():
    """Pushes and written descriptors of a repetition, against the emulator's statistics of the same program."""
    for work in workloads(small_graph()):
        tiling = space_of(work, NPU1).points[space_of(work, NPU1).default]
        found, ready = replay(work, tiling, NPU1), prepared(work, tiling, NPU1)
        program = finish(ready, chooser(work, tiling), estimated=False).program
        items = run_program(program.to_bytes(), [], RunOptions(functional=False)).items
        first = first_repetition(ready)
        mine = items[first + FROM + 1 : first + TO + 1]
        assert found.pushes == pytest.approx(np.mean([i.pushes for i in mine]))
        cost = found.writes * NPU1.bd_write_cycles + (found.pushes - found.idle) * NPU1.push_queued_cycles
        cost += found.idle * NPU1.push_idle_cycles
        assert cost == pytest.approx(np.mean([i.command_cycles for i in mine]), rel=0.15)


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
