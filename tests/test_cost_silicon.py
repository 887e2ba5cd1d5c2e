"""Predictions of silicon measurements: the committed constants meet the rows, and reproduce from the rows they name."""

import dataclasses
import math
import os
from pathlib import Path

import numpy as np
import pytest

from tvm_aie.cost.silicon import Row, fit_gemm, gemm_of, gemm_us, grid_of, read_rows, validate
from tvm_aie.device import load_device
from tvm_aie.errors import InputError
from tvm_aie.pipeline import compile_graph
from tvm_aie.runtime.emulator import run_program
from tvm_aie.workloads import Grid, gemm

REPO = Path(__file__).resolve().parents[1]
NPU1 = load_device("npu1")


def rows():
    return read_rows(os.environ.get("TVM_AIE_CALIBRATION", REPO / "tests/fixtures/calibration.csv"))


@pytest.fixture(scope="module")
def result():
    return validate(rows(), NPU1)


def test_each_kernel_row_is_within_five_percent(result):
    kernels = [p for p in result.predictions if p.group.startswith("kernel")]
    assert len(kernels) >= 15
    for p in kernels:
        assert abs(p.error) <= 0.05, (p.row.id, p.predicted, p.row.value)
    assert any(not p.fitted for p in kernels)


def test_each_dma_row_is_within_fifteen_percent_unless_its_source_scatters_more(result):
    rows = [p for p in result.predictions if p.group.startswith(("dma", "dispatch")) and p.judged]
    assert len(rows) >= 20
    for p in rows:
        assert abs(p.error) <= 0.15, (p.row.id, p.predicted, p.row.value)
    for p in result.predictions:
        if not p.judged:
            assert p.group in ("dma task", "dispatch")


@pytest.mark.parametrize("group", ["gemm aries i8", "gemm aries bf16"])
def test_gemm_rows_are_within_seven_percent_on_average(result, group):
    rows = [p for p in result.predictions if p.group == group]
    assert len(rows) == 27 and sum(p.fitted for p in rows) == 8
    assert result.mape(group) < 0.07
    assert result.mape(group, fitted=False) < 0.07
    assert max(abs(p.error) for p in rows) < 0.20


def test_the_three_gemm_constants_come_from_the_rows_that_the_device_file_names():
    named = [r for r in rows() if r.id in NPU1.calibration_rows and r.id.startswith("ARIES")]
    assert len(named) == 16
    launch, slowdown, bandwidth = fit_gemm(named, NPU1)
    assert NPU1.silicon.gemm_launch_us == pytest.approx(launch, rel=0.01)
    assert NPU1.silicon.gemm_slowdown == pytest.approx(slowdown, rel=0.01)
    assert NPU1.silicon.gemm_gb_per_s == pytest.approx(bandwidth, rel=0.01)


def test_every_row_is_predicted_or_has_a_reason(result):
    assert len(result.predictions) + len(result.skipped) == len(rows())
    assert all(s.reason for s in result.skipped)
    reasons = {s.row.id: s.reason for s in result.skipped}
    assert "replaced" in reasons["MLA1-conv2dk1-base"] and "no such kernel" in reasons["MLA1-softmax1024"]


def other(**changes):
    base = dict(id="NEW-1", device="npu1", op="gemm", shape="M512 K512 N512", dtype="i8->i8", cores="16 (4x4)",
                tile="64x64x128", metric="wall_time_avg", value=185.0, unit="us", source="somewhere")  # fmt: skip
    return Row(**{**base, **changes})


def test_rows_of_other_files_are_judged_by_the_same_rules():
    (p,) = validate([other()], NPU1).predictions
    assert p.group == "gemm new i8" and not p.fitted and abs(p.error) < 0.2
    (q,) = validate([other(unit="ms", value=0.185)], NPU1).predictions
    assert q.predicted == pytest.approx(p.predicted / 1e3)
    for changes, reason in (
        ({"device": "npu2"}, "measured on npu2"),
        ({"tile": ""}, "no tile"),
        ({"cores": "16"}, "no tile or core grid"),
        ({"dtype": "f32->f32"}, "no model of f32"),
        ({"op": "softmax", "unit": "s"}, "no model"),
    ):
        (s,) = validate([other(**changes)], NPU1).skipped
        assert reason in s.reason


def test_gemm_model_has_its_limits():
    problem, grid = gemm(1024, 1024, 1024, "int8"), Grid(4, 4, 64, 64, 128)
    assert grid_of(other()) == grid and gemm_of(other())[0].m == 512
    assert gemm_us(problem, grid, NPU1, (100.0, 1.0, 1e9)) == pytest.approx(100 + 1024**3 / 4096 / 1028)
    assert gemm_us(problem, grid, NPU1, (0.0, 1e-9, 1.0)) == pytest.approx(problem.traffic_bytes(grid) / 1e3)
    assert problem.traffic_bytes(grid) == 1024**2 * (2 + 4 + 1)
    assert gemm(64, 64, 64, "bfloat16").traffic_bytes(Grid(4, 4, 64, 64, 64)) == 2 * 3 * 64 * 64


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b\n1,2\n", "the columns must be"), (None, "No such file")],
)
def test_a_file_that_is_none(tmp_path, text, message):
    path = tmp_path / "rows.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_rows(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda line: line.replace("658.82", "many"), "line 2: value 'many' is not a number"),
        (lambda line: line.replace("658.82", "0"), "line 2: value 0 is not a positive number"),
        (lambda line: line.replace("658.82", "inf"), "line 2: value inf is not a positive number"),
        (lambda line: line.rpartition(",")[0], "line 2: too few columns"),
        (lambda line: line + ",more", "line 2: too many columns"),
    ],
)
def test_a_malformed_row_is_named_and_skipped(tmp_path, change, problem):
    lines = (REPO / "tests/fixtures/calibration.csv").read_text().splitlines()
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([lines[0], change(lines[1]), lines[2]]))
    result = validate(read_rows(path), NPU1)
    assert [s.reason for s in result.skipped] == [problem] and len(result.predictions) == 1


def test_no_figure_depends_on_a_rows_id_or_on_its_value(result):
    """Nothing is looked up: renamed rows with other values get the same prediction."""
    renamed = [dataclasses.replace(row, id=f"R{i}", value=row.value * 3) for i, row in enumerate(rows())]
    again = validate(renamed, NPU1)
    assert [p.predicted for p in again.predictions] == [p.predicted for p in result.predictions]
    assert not any(p.fitted for p in again.predictions)


@pytest.mark.parametrize(
    ("changes", "group"),
    [
        ({"shape": "M100 K70 N33", "cores": "1 (1x1)"}, "gemm new i8"),
        ({"cores": "1", "dtype": "u8xi8->u8"}, "gemm new i8"),
        ({"dtype": "i16->i32", "tile": "32x32x64", "cores": "8 (2x4)"}, "gemm new i16"),
        ({"op": "conv2d 1x1 kernel, 4 rows", "shape": "W14 IC20 OC9", "unit": "cycles",
          "metric": "core_cycles_per_call(traced)"}, "kernel conv"),
        ({"op": "conv2d 14x14 kernel", "shape": "W16 IC4 OC16", "unit": "cycles", "metric": "core_cycles_per_call"},
         "kernel conv"),
        ({"op": "shim DMA S2MM task (memtile->DDR)", "shape": "3000 words (32 b)", "unit": "cycles"}, "dma task"),
        ({"op": "shim MM2S, later 17-word tasks", "unit": "cycles"}, "dma task"),
        ({"op": "total span of 16 chained MM2S tasks (8 words)", "unit": "cycles"}, "dispatch"),
        ({"op": "memtile MM2S 31 words stride 4 B", "unit": "cycles"}, "dma stream"),
    ],
)  # fmt: skip
def test_other_shapes_of_the_same_kinds_are_predicted(changes, group):
    (p,) = validate([other(**changes)], NPU1).predictions
    assert p.group == group and math.isfinite(p.predicted) and p.predicted > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape": "M0 K1 N1"}, "a size is 0"),
        ({"shape": "big"}, "not stated"),
        ({"op": "conv2d 3x3 kernel", "shape": "W32 IC64 OC64", "dtype": "bf16", "unit": "cycles",
          "metric": "core_cycles_per_call"}, "no such kernel"),
        ({"op": "conv2d 1x1 skip kernel", "shape": "W32 IC64 OC64", "unit": "cycles",
          "metric": "core_cycles_per_call"}, "no such kernel"),
        ({"op": "", "unit": ""}, "no model"),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted_has_a_reason(changes, reason):
    (s,) = validate([other(**changes)], NPU1).skipped
    assert reason in s.reason


def test_a_core_computes_whole_tiles_and_more_cores_never_take_longer():
    problem = gemm(100, 70, 33)
    assert problem.core_macs(Grid(1, 1, 64, 64, 128)) == 2 * 64 * 128 * 128
    assert gemm(1024, 1024, 1024).core_macs(Grid(4, 4, 64, 64, 128)) == 1024**3 // 16
    for rows_, cols in ((1, 1), (2, 2), (4, 4)):
        assert problem.core_macs(Grid(rows_, cols, 64, 64, 128)) * rows_ * cols >= problem.macs
    times = [gemm_us(gemm(512, 512, 512), Grid(r, c, 64, 64, 64), NPU1, (140.0, 1.9, 17.0))
             for r, c in ((1, 1), (2, 2), (4, 2), (4, 4))]  # fmt: skip
    assert times == sorted(times, reverse=True)


def test_gemm_constants_fitted_without_a_size_predict_that_size():
    """Leave one out: every M, K and N in turn; the mean error stays under the limit."""
    import re

    table = [r for r in rows() if r.id.startswith("ARIES")]
    errors = {}
    for letter in "MKN":
        for size in (256, 512, 1024):
            held = [r for r in table if re.search(rf"\b{letter}{size}\b", r.shape)]
            constants = fit_gemm([r for r in table if r not in held], NPU1)
            errors[letter, size] = np.mean([abs(gemm_us(*gemm_of(r), NPU1, constants) / r.value - 1) for r in held])
    print({k: round(float(v), 3) for k, v in errors.items()})
    assert max(errors.values()) <= 0.07


def test_idealised_machines_have_no_silicon():
    with pytest.raises(InputError, match="not a machine that exists"):
        validate(rows(), load_device("wbs-4x4"))


def test_mape_of_nothing_is_nan(result):
    assert math.isnan(result.mape("nothing"))


def test_int8_gemm_runs_and_equals_numpy():
    problem = gemm(96, 64, 40)
    rng = np.random.default_rng(0)
    b = rng.integers(-127, 128, (64, 40), np.int8)
    graph = problem.layer_graph(b, shift=8)
    t = graph.tensors["a"]
    a = rng.integers(-128, 128, (1, 64, t.height, t.width), np.int8)
    run = run_program(bytes(compile_graph(graph, NPU1).program.to_bytes()), [a])
    acc = a.reshape(64, 96).T.astype(np.int64) @ b.astype(np.int64)
    want = np.clip(np.rint(acc / 256), -128, 127).astype(np.int8)
    assert np.array_equal(run.outputs[0].reshape(40, 96).T, want)
    assert problem.macs == 96 * 64 * 40


def test_gemm_that_is_none():
    with pytest.raises(InputError, match="dtype one of"):
        gemm(1, 1, 1, "f64")
    with pytest.raises(InputError, match="sizes must be positive"):
        gemm(0, 1, 1)
    with pytest.raises(InputError, match="cost model only"):
        gemm(8, 8, 8, "bf16").layer_graph()
