"""tune, cost, serve and --records on the command line."""

import re
import shutil

import onnx
import pytest

pytest.importorskip("xgboost")
pytest.importorskip("psutil")

from networks import residual
from test_cost_silicon import REPO
from tvm_aie.cli.main import main
from tvm_aie.quantize import quantize


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    onnx.save(quantize(residual(16, 32)), folder / "net.onnx")
    options = ["--trials", "16", "--workers", "0", "--quiet", "--plot", str(folder / "history.svg")]
    assert main(["tune", str(folder / "net.onnx"), "--work-dir", str(folder / "records"), *options]) == 0
    return folder


def test_tune_then_run_with_records(tuned, capsys):
    assert (tuned / "history.svg").exists()
    assert main(["run", str(tuned / "net.onnx"), "--records", str(tuned / "records"), "--check", "--quiet"]) == 0
    assert "equal to onnxruntime" in capsys.readouterr().out


def test_bad_records_are_warned_about_and_the_build_succeeds(tuned, tmp_path, capsys):
    shutil.copytree(tuned / "records", tmp_path / "records")
    with (tmp_path / "records" / "database_tuning_record.json").open("a") as file:
        file.write('[0, [[[["Get')
    assert main(["compile", str(tuned / "net.onnx"), "--records", str(tmp_path / "records"), "--quiet"]) == 0
    error = capsys.readouterr().err
    assert re.search(r"tvm-aie: warning: tuning record skipped: .*database_tuning_record.json:\d+", error)


def test_tuning_starts_from_a_model_of_ones_own(tuned, tmp_path, capsys):
    command = ["tune", str(tuned / "net.onnx"), "--work-dir", str(tmp_path / "r"), "--trials", "6", "--workers", "0"]
    assert main([*command, "--start", str(tmp_path / "none.json"), "--quiet"]) == 2
    assert "No such file" in capsys.readouterr().err
    model = str(tmp_path / "m.json")
    assert main(["cost", "fit", str(tuned / "records"), "-o", model, "--quiet"]) == 0
    assert main([*command, "--start", model, "--quiet"]) == 0
    assert "search " in capsys.readouterr().out


@pytest.mark.parametrize("trials", ["0", "-3", "many"])
def test_a_number_of_trials_that_is_none(trials, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["tune", "net.onnx", "--work-dir", "d", "--trials", trials])
    assert stop.value.code == 2 and "positive number" in capsys.readouterr().err


def test_a_work_dir_that_cannot_be_made(tuned, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["tune", str(tuned / "net.onnx"), "--work-dir", str(tmp_path / "file" / "d"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error and "file" in error


def test_cost_fit_and_eval(tuned, tmp_path, capsys):
    model = str(tmp_path / "m.json")
    assert main(["cost", "fit", str(tuned / "records"), "-o", model, "--quiet"]) == 0
    assert main(["cost", "eval", str(tuned / "records"), "--model", model, "--quiet"]) == 0
    assert main(["cost", "eval", str(tuned / "records"), "--quiet"]) == 0
    assert "top-1 loss" in capsys.readouterr().out


def test_cost_validate(capsys):
    assert main(["cost", "validate", str(REPO / "tests/fixtures/calibration.csv"), "--all"]) == 0
    out = capsys.readouterr().out
    assert "gemm aries bf16" in out and "mean absolute error" in out and "not predicted" in out
    assert main(["cost", "validate", str(REPO / "README.md")]) == 2
    assert "the columns must be" in capsys.readouterr().err


def test_cost_roofline(tuned, tmp_path):
    assert main(["cost", "roofline", str(tuned / "net.onnx"), "-o", str(tmp_path / "r.svg"), "--quiet"]) == 0
    assert (tmp_path / "r.svg").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "net.onnx", "--records", "nowhere"], "no tuning records here"),
        (["serve"], "a server needs --tracker"),
        (["cost", "eval", "nowhere"], "no tuning records here"),
        (["cost", "validate", "nowhere.csv"], "No such file"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
