"""The search space of a workload, its key, and a workload alone against the same workload in its network."""

import dataclasses

import numpy as np
import pytest

from tuning_nets import Builder, residual_graph, small_graph
from tvm_aie.cost.features import NAMES, feature_vector, physical_bound
from tvm_aie.device import load_device
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import compile_graph
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.tune import bench
from tvm_aie.tune.space import SPACE_VERSION, device_digest, gamma_text, space_of, workload_from, workload_key

NPU1 = load_device("npu1")


def workloads(graph, device=NPU1):
    found = []
    compiled = compile_graph(graph, device, None, lambda work: found.append(work))
    return found, compiled


def test_every_point_is_a_tiling_and_the_default_is_the_untuned_choice():
    found, compiled = workloads(residual_graph())
    assert len(found) == len(compiled.tilings)
    for work, tiling in zip(found, compiled.tilings, strict=True):
        space = space_of(work, NPU1)
        default = space.points[space.default]  # with estimates of its own
        assert dataclasses.replace(default, cycles=tiling.cycles, body=tiling.body) == tiling
        # a record is read back without a counter: the same point is the same tiling, estimates included
        read = space_of(dataclasses.replace(work, counter=None), NPU1)
        assert set(read.knobs) == set(space.knobs)
        assert all(repr(read.points[p]) == repr(space.points[p]) for p in set(read.points) & set(space.points))
        assert all(len(values) > 1 for values in space.knobs.values())
        assert set(space.order) == set(space.points)
        for point in space.order:
            assert space.tiling(dict(zip(space.knobs, point, strict=True))) is space.points[point]


def test_impossible_or_unknown_knobs_mean_nothing():
    space = space_of(workloads(small_graph())[0][0], NPU1)
    values = dict(zip(space.knobs, space.default, strict=True))
    assert space.tiling({**values, "band": 999}) is None
    assert space.tiling({**values, "colour": 1}) is None
    assert space.tiling({}) is None


def test_neighbours_are_feasible_and_differ_in_one_knob():
    space = space_of(workloads(small_graph())[0][0], NPU1)
    near = space.neighbours(space.default)
    assert near and all(p in space.points for p in near)
    assert len({sum(a != b for a, b in zip(p, space.default, strict=True)) for p in near}) == 1


def test_key_names_device_geometry_and_gamma(tmp_path):
    dense, sparse = workloads(small_graph())[0][0], workloads(small_graph(0.5))[0][0]
    other = workloads(small_graph(0.5, seed=1))[0][0]
    keys = {workload_key(w, NPU1) for w in (dense, sparse, other)}
    assert len(keys) == 3
    assert workload_key(dense, NPU1) == workload_key(workloads(small_graph(seed=5))[0][0], NPU1)  # values do not count
    wbs = load_device("wbs-4x4")
    assert workload_key(dense, wbs) != workload_key(dense, NPU1)
    faster = dataclasses.replace(NPU1, push_idle_cycles=100.0)  # an edited copy with the same name
    assert device_digest(faster) != device_digest(NPU1)
    assert workload_key(dense, faster) != workload_key(dense, NPU1)
    assert device_digest(dataclasses.replace(NPU1, description="x", silicon=None)) == device_digest(NPU1)


@pytest.mark.parametrize("density", [1.0, 0.5])
def test_a_workload_comes_back_from_its_key(density):
    work = workloads(small_graph(density))[0][0]
    again = workload_from(workload_key(work, NPU1), gamma_text(work))
    assert again.geometry == work.geometry and again.rows == work.rows and again.in_place == work.in_place
    assert np.array_equal(again.live, work.live)
    assert workload_key(again, NPU1) == workload_key(work, NPU1)
    with pytest.raises(ValueError, match="version"):
        text = workload_key(work, NPU1).replace(f'"version":{SPACE_VERSION}', '"version":99')
        workload_from(text, gamma_text(work))
    with pytest.raises(ValueError, match="digest"):
        workload_from(workload_key(work, NPU1), gamma_text(workloads(small_graph(0.3, seed=9))[0][0]))


def test_alone_is_as_long_as_in_a_row():
    """Distance between ends of the repetitions = what another repetition adds to a network of them."""
    work = workloads(small_graph())[0][0]
    tiling = space_of(work, NPU1).points[space_of(work, NPU1).default]
    alone = bench.emulate(work, tiling, NPU1)

    def network(count):
        b = Builder(64, 14, 14)
        y = "x"
        for _ in range(count):
            y = b.conv(y, 64, 3)
        compiled = compile_graph(b.graph(y), NPU1, chooser=lambda _: tiling)
        run = run_program(bytes(compiled.program.to_bytes()), [], RunOptions(functional=False))
        return run.items[count - 3].end

    assert alone == pytest.approx((network(17) - network(5)) / 12, rel=0.1)

    assert bench.emulate(work, tiling, NPU1) == alone


def test_every_kind_of_layer_can_be_measured_alone():
    found, _ = workloads(residual_graph())
    kinds = set()
    for work in found:
        space = space_of(work, NPU1)
        cycles = bench.emulate(work, space.points[space.default], NPU1)
        assert cycles >= physical_bound(work, NPU1)
        kinds.add((work.geometry.kernel.name, work.geometry.residual))
    assert len(kinds) >= 3


def test_random_points_run_above_the_physical_bound_with_finite_features():
    random = np.random.default_rng(0)
    for work in workloads(small_graph(0.5))[0]:
        space = space_of(work, NPU1)
        for index in random.choice(len(space.order), 6, replace=False):
            tiling = space.points[space.order[index]]
            features = feature_vector(work, tiling, NPU1)
            assert features.shape == (len(NAMES),) and np.isfinite(features).all()
            assert bench.emulate(work, tiling, NPU1) >= physical_bound(work, NPU1)


def test_an_artefact_that_is_none_is_refused(tmp_path):
    with pytest.raises(ProgramError, match="artefact"):
        bench.run(b"x" * 64)
    (tmp_path / "a").write_bytes(b"x" * 64)
    assert bench.run_file(str(tmp_path / "a"))[1].startswith("ProgramError")
