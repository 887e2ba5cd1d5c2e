"""The command line without a compile: start-up, exit codes, one-line errors, no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tvm_aie.cli import commands, main
from tvm_aie.errors import (
    DeviceError,
    EmulationFault,
    InfeasibleError,
    InputError,
    ModelError,
    ProgramError,
    TvmAieError,
)

COMMANDS = (
    "quantize", "sparsify", "compile", "run", "profile", "explain", "devices", "demo", "tune", "cost", "serve",
)  # fmt: skip


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "tvm_aie.cli.main", *args], capture_output=True, text=True, timeout=120
    )


def test_help_lists_commands_and_exit_codes():
    result = run("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert re.search(rf"^    {name} ", result.stdout, re.M), name
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130):
        assert re.search(rf"^  {code} ", result.stdout, re.M), code


def test_readme_knows_every_command():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    for name in set(COMMANDS) - {"demo"}:
        assert f"`tvm-aie {name}" in readme, name
    assert "make demo" in readme


def test_documented_exit_codes_are_those_of_the_errors():
    codes = [e.exit_code for e in (TvmAieError, InputError, ModelError, DeviceError, InfeasibleError, ProgramError)]
    assert codes == [1, 2, 3, 4, 5, 6]
    assert EmulationFault.exit_code == 7 and main.EXIT_MISMATCH == 8


def test_help_imports_nothing_heavy():
    code = "import sys\nfrom tvm_aie.cli.main import _parser\n_parser().format_help()\nprint(*sys.modules)"
    modules = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert not modules & {"tvm", "tvm_ffi", "numpy", "onnx", "onnxruntime", "rich", "matplotlib"}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name):
    with pytest.raises(SystemExit) as stop:
        main.main([name, "--help"])
    assert stop.value.code == 0


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nonsense"],
        ["run"],
        ["sparsify", "m.onnx", "--density", "0"],
        ["sparsify", "m.onnx", "--density", "1.5"],
        ["sparsify", "m.onnx", "--density", "x"],
        ["sparsify", "m.onnx", "--block", "8"],
        ["sparsify", "m.onnx", "--block", "0x8"],
        ["sparsify", "m.onnx", "--norm", "l3"],
        ["quantize", "m.onnx", "--prefer", "vela"],
        ["quantize", "m.onnx", "--seed", "-1"],
        ["run", "m.onnx", "--seed", "-1"],
        ["demo", "--seed", "x"],
        ["tune", "m.onnx", "--work-dir", "d", "--seed", "-1"],
        ["tune", "m.onnx", "--work-dir", "d", "--workers", "-1"],
    ],
)
def test_wrong_use_is_2(args, capsys):
    with pytest.raises(SystemExit) as stop:
        main.main(args)
    assert stop.value.code == 2
    assert "usage: tvm-aie" in capsys.readouterr().err


def test_devices(capsys):
    assert main.main(["devices"]) == 0
    assert "aie2/npu1" in capsys.readouterr().out
    assert main.main(["devices", "aie2/npu1"]) == 0
    out = capsys.readouterr().out
    assert "kernel.conv.ii_per_acc" in out and "calibrated" in out and "assumed" in out


def test_unknown_device_is_4_and_one_line():
    result = run("devices", "npu7")
    assert result.returncode == 4
    assert result.stderr.startswith("tvm-aie: error: unknown device 'npu7'")
    assert len(result.stderr.splitlines()) == 1 and not result.stdout


def raising(error):
    def handler(args):
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (ModelError("no such file: x.onnx"), 3, "tvm-aie: error: no such file: x.onnx"),
        (InfeasibleError("a row", 9, 8, "KiB", ("use wbs-4x4",)), 5, "a row: needs 9 KiB, limit 8 KiB; use wbs-4x4"),
        (IsADirectoryError(21, "Is a directory", "out/report.json"), 2, "error: out/report.json: Is a directory"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device"),
        (RuntimeError("first\nsecond"), 70, "internal error: RuntimeError: first\n"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_become_exit_codes(monkeypatch, capsys, error, code, text):
    monkeypatch.setattr(commands, "cmd_devices", raising(error))
    assert main.main(["devices"]) == code
    err = capsys.readouterr().err
    assert text in err and "Traceback" not in err


@pytest.mark.parametrize("error", [ModelError("x"), RuntimeError("y")])
def test_debug_shows_the_trace(monkeypatch, error):
    monkeypatch.setattr(commands, "cmd_devices", raising(error))
    with pytest.raises(type(error)):
        main.main(["devices", "--debug"])


def test_closed_pipe_is_quiet():
    code = "import sys\nfrom tvm_aie.cli.main import main\nsys.exit(main(['devices', 'npu1']))"
    result = subprocess.run(f'{sys.executable} -c "{code}" | head -1', shell=True, capture_output=True, text=True)
    assert "npu1" in result.stdout and result.stderr == ""


def test_profile_keeps_both_of_two_files_of_one_name():
    assert commands.unused_name("net", "net") == "net_beside" and commands.unused_name("sparse", "net") == "sparse"


def test_nan_input_is_refused(tmp_path):
    import numpy as np

    from tvm_aie.cli.models import TensorInfo, read_inputs

    info = TensorInfo("data", (2,), np.dtype("float32"))
    for value, good in ((np.inf, True), (np.nan, False)):
        path = tmp_path / "x.npy"
        np.save(path, np.array([0, value], "float32"))
        if good:
            assert np.isinf(read_inputs([info], [str(path)])["data"][1])
        else:
            with pytest.raises(InputError, match="input data holds NaN"):
                read_inputs([info], [str(path)])
