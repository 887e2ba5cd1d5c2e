"""The learned correction and the roofline."""

import json

import numpy as np
import pytest

pytest.importorskip("xgboost")

from tuning_nets import residual_graph, small_graph
from tvm_aie.cost.features import NAMES, physical_bound
from tvm_aie.cost.learned import LearnedModel, Sample, cross_validate, evaluate, rank_correlation, sample
from tvm_aie.cost.roofline import LEVELS, bandwidth, layer_points, plot_roofline, roof, spmm_intensity
from tvm_aie.device import load_device
from tvm_aie.errors import InfeasibleError, InputError
from tvm_aie.pipeline import compile_graph
from tvm_aie.tune import bench
from tvm_aie.tune.space import digest_of, space_of

NPU1 = load_device("npu1")
ESTIMATE, BOUND = NAMES.index("log_estimate"), NAMES.index("log_bound")


def measured(graphs, per_layer, seed=0):
    """Samples of every workload that can run alone: the best by estimate and random ones."""
    found = {}
    for graph in graphs:
        compile_graph(graph, NPU1, None, lambda work: found.setdefault(space_of(work, NPU1).key, work) and None)
    random, out = np.random.default_rng(seed), []
    for key, work in found.items():
        space = space_of(work, NPU1)
        order = sorted(space.order, key=lambda p: space.points[p].cycles)
        chosen = order[: per_layer // 2]
        rest = order[per_layer // 2 :]
        picks = random.choice(len(rest), min(len(rest), per_layer - len(chosen)), replace=False) if rest else ()
        for point in [*chosen, *(rest[i] for i in picks)]:
            try:
                cycles = bench.emulate(work, space.points[point], NPU1)
            except InfeasibleError as error:
                assert "alone" in str(error)  # only in its network: sums of a pool, a residual of another shape
                break
            out.append(sample(digest_of(key), work, space.points[point], NPU1, cycles))
    return out


@pytest.fixture(scope="module")
def samples():
    return measured([small_graph(), small_graph(0.5), residual_graph()], 6)


def test_fit_predicts_what_it_saw(samples):
    model = LearnedModel()
    model.fit(samples)
    x, y = np.stack([s.features for s in samples]), np.array([s.cycles for s in samples])
    assert rank_correlation(model.predict_features(x), y) > 0.99
    assert np.mean(np.abs(model.predict_features(x) / y - 1)) < 0.1


def test_same_seed_same_model_and_it_survives_a_file(samples, tmp_path):
    x = np.stack([s.features for s in samples])
    first, second = LearnedModel(3), LearnedModel(3)
    for model in (first, second):
        model.fit(samples)
    assert np.array_equal(first.predict_features(x), second.predict_features(x))
    first.save(tmp_path / "m.json")
    assert np.array_equal(LearnedModel.load(tmp_path / "m.json").predict_features(x), first.predict_features(x))


def test_never_below_the_physical_bound(samples):
    lies = [Sample(s.group, s.features, s.cycles * 1e-6) for s in samples]  # a model taught nonsense
    model = LearnedModel()
    model.fit(lies)
    x = np.stack([s.features for s in samples])
    assert (model.predict_features(x) >= np.exp(x[:, BOUND]) * (1 - 1e-9)).all()
    work = []
    compile_graph(small_graph(), NPU1, None, lambda w: work.append(w))
    space = space_of(work[0], NPU1)
    assert (model.predict(work[0], list(space.points.values())[::17], NPU1) >= physical_bound(work[0], NPU1)).all()


def test_an_untrained_model_is_the_estimate(samples):
    x = np.stack([s.features for s in samples])
    assert np.allclose(LearnedModel().predict_features(x), np.exp(np.maximum(x[:, ESTIMATE], x[:, BOUND])))


def test_unseen_layers_are_ranked_better_than_by_the_estimate(samples):
    rows = cross_validate(samples)
    assert len(rows) >= 6
    assert np.mean([r.rank_correlation for r in rows]) > 0.6
    assert evaluate(LearnedModel(), samples)[0].rank_correlation == pytest.approx(
        evaluate(LearnedModel(), samples)[0].estimate_rank_correlation
    )


@pytest.mark.slow
def test_rank_correlation_on_layers_not_trained_on():
    from tuning_nets import resnet50

    rows = cross_validate(measured([resnet50(1.0), resnet50(0.5)], 60))
    ranks, losses = [r.rank_correlation for r in rows], [r.top1_loss for r in rows]
    print(f"{len(rows)} layers: rank mean {np.mean(ranks):.3f}, median {np.median(ranks):.3f};"
          f" top-1 mean {np.mean(losses):.3f}, median {np.median(losses):.3f}")  # fmt: skip
    assert np.mean(ranks) >= 0.95 and np.median(losses) <= 0.03


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"version": 1, "features": []}), json.dumps({"version": 9})])
def test_a_file_that_is_no_model(tmp_path, text):
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(InputError):
        LearnedModel.load(path)


def test_nothing_to_fit():
    with pytest.raises(InputError, match="nothing to fit"):
        LearnedModel().fit([])
    with pytest.raises(InputError, match="untrained"):
        LearnedModel().save("nowhere")


def test_rank_correlation_of_ties_and_opposites():
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([10.0, 20, 30])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert rank_correlation(np.array([1.0, 1, 1]), np.array([3.0, 2, 1])) == 0
    from scipy.stats import spearmanr

    a, b = np.array([1.0, 1, 2, 5, 5, 7]), np.array([2.0, 1, 1, 3, 9, 3])
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b)[0])


def test_spmm_intensity_is_the_tutorials():
    assert spmm_intensity(1) == pytest.approx(2 / 16)
    assert spmm_intensity(10) == pytest.approx(20 / 124)
    assert round(spmm_intensity(1e9), 4) == 0.1667
    with pytest.raises(InputError):
        spmm_intensity(0)


def test_no_layer_is_above_its_roof(tmp_path):
    points = layer_points(compile_graph(residual_graph(), NPU1))
    assert {p.level for p in points} == set(LEVELS)
    for p in points:
        assert p.rate <= roof(NPU1, p.level, p.intensity) * 1.001, p
    assert roof(NPU1, "ddr", 1e9) == NPU1.peak_macs_per_cycle
    assert roof(NPU1, "ddr", 0.1) == pytest.approx(0.1 * bandwidth(NPU1, "ddr"))
    pytest.importorskip("matplotlib")
    path = plot_roofline(points, NPU1, tmp_path / "deep" / "roof.svg", "residual")
    assert path.read_text().startswith("<?xml")
    with pytest.raises(InputError, match="nothing to plot"):
        plot_roofline([], NPU1, tmp_path / "x.svg", "empty")
