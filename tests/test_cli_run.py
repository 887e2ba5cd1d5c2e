"""The command line end to end on a small real network: compile, run, check, profile; and every kind of bad input."""

import contextlib
import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import networks
from tvm_aie.cli import main, models, service
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize
from tvm_aie.sparsity import sparsify


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """float.onnx, int8.onnx, sparse.onnx: SqueezeNet with seeded weights."""
    path = tmp_path_factory.mktemp("cli")
    model = light_model("squeezenet", 3)
    onnx.save(model, path / "float.onnx")
    onnx.save(quantize(model), path / "int8.onnx")
    onnx.save(quantize(sparsify(model, 0.5)[0]), path / "sparse.onnx")
    return path


@pytest.fixture(scope="module")
def known():
    """What the tests with ``compiled_once`` have compiled, by file, target and shapes."""
    return {}


@pytest.fixture
def compiled_once(known):
    """A network is compiled once for all tests that are about what comes behind."""
    with shared(known):
        yield


@contextlib.contextmanager
def shared(known):
    compile_network = service.compile_network

    def once(path, target, progress, shapes=None, **given):
        key = str(path), target, tuple(sorted((shapes or {}).items()))
        if key not in known:
            known[key] = compile_network(path, target, progress, shapes, **given)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "compile_network", once)
        yield


@pytest.fixture(scope="module")
def ran(folder, known):
    """The folder and the printed text of ``run --check`` on int8.onnx."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), shared(known):
        assert main.main(["run", str(folder / "int8.onnx"), "--check", "-o", str(folder / "ran")]) == 0
    return folder / "ran", text.getvalue()


def test_run_checks_and_writes(ran):
    written, out = ran
    assert "values equal to onnxruntime's" in out
    for word in ("placement", "sparsity", "memory", "traffic", "emulated", "estimated", "measured", "bottleneck"):
        assert word in out, word
    report = json.loads((written / "report.json").read_text())
    rows = list(csv.DictReader((written / "layers.csv").open()))
    (array,) = [t for t in report["times"] if t["label"] == "emulated"]
    launch = 143_920
    assert sum(int(row["cycles"]) for row in rows) + launch == array["cycles"]
    assert report["placement"]["array_macs_percent"] > 99.9
    assert all(op["reason"] for op in report["placement"]["host"])
    assert sum(int(row["macs"]) for row in rows) == report["sparsity"]["macs"] == 349_151_936


def test_the_time_of_a_batch_says_that_it_is_per_image(tmp_path, capsys):
    onnx.save(quantize(networks.conv_relu(batch=4)), tmp_path / "four.onnx")
    assert main.main(["run", str(tmp_path / "four.onnx"), "--check", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "ms launch included, per image of a batch of 4" in out
    assert not re.search(r" 0\.000 ms  [0-9 ]+ cycles", out)  # the lower bound of so small a network is not zero


def test_outputs_and_cycles_do_not_change_between_runs(folder, ran, tmp_path):
    assert main.main(["run", str(folder / "int8.onnx"), "--quiet", "-o", str(tmp_path)]) == 0
    seen = []
    for written in (ran[0], tmp_path):
        layers = (written / "layers.csv").read_bytes()
        with np.load(written / "outputs.npz") as arrays:
            seen.append((layers, {k: arrays[k].tobytes() for k in arrays.files}))
    assert seen[0] == seen[1]


def test_sparse_costs_less(folder, ran, compiled_once, tmp_path):
    assert main.main(["run", str(folder / "sparse.onnx"), "--check", "-o", str(tmp_path)]) == 0
    dense, sparse = (json.loads((written / "report.json").read_text()) for written in (ran[0], tmp_path))
    assert sparse["sparsity"]["density_percent"] < 60
    assert sparse["sparsity"]["macs"] < 0.65 * dense["sparsity"]["macs"]
    assert sparse["traffic"]["loadw_bytes"] < dense["traffic"]["loadw_bytes"]


def test_profile_writes_trace_and_picture(folder, compiled_once, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    args = ["profile", str(folder / "int8.onnx"), "--beside", str(folder / "sparse.onnx"), "-o", str(tmp_path)]
    assert main.main(args) == 0
    events = json.loads((tmp_path / "int8.trace.json").read_text())["traceEvents"]
    processes = {e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert {"core(3,3)", "memtile(0)", "shim(1)", "command processor", "locks of core(0,0)"} <= processes
    assert {e["cat"] for e in events if e["ph"] == "X"} >= {"LOAD", "LOADW", "LOADFM", "LOADWM", "COMP", "WRITEFM"}
    assert (tmp_path / "timeline.png").stat().st_size > 10_000


def test_compile_explain_and_export(folder, tmp_path, capsys):
    assert main.main(["compile", str(folder / "int8.onnx"), "-o", str(tmp_path)]) == 0
    assert (tmp_path / "int8.so").stat().st_size > 10_000
    assert main.main(["explain", str(folder / "int8.onnx"), "--target", "aie2/wbs-2x2"]) == 0
    out = capsys.readouterr().out
    assert "of 349 151 936 MACs" in out and "no kernel for nn.softmax" in out


def test_quantize_and_sparsify(folder, tmp_path, capsys):
    small, half = str(tmp_path / "int8.onnx"), str(tmp_path / "half.onnx")
    assert main.main(["quantize", str(folder / "float.onnx"), "-o", small, "--prefer", "own"]) == 0
    assert "no calibration data was given" in capsys.readouterr().out
    assert main.main(["sparsify", small, "-o", half, "--density", "0.5", "--block", "8x8", "--norm", "l2"]) == 0
    assert "of the weight blocks are kept" in capsys.readouterr().out
    assert main.main(["explain", half]) == 0


def fails(capsys, *args):
    code = main.main([str(a) for a in args])
    err = capsys.readouterr().err
    assert "Traceback" not in err
    # Progress of steps that take more than two seconds may come before the error.
    assert ("\n" + err).count("\ntvm-aie: error: ") == 1, err
    return code, err


def test_bad_models(folder, tmp_path, capsys):
    whole = (folder / "int8.onnx").read_bytes()
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("missing.onnx", "text.onnx", "empty.onnx", "cut.onnx", "."):
        for command in ("compile", "run", "explain", "profile", "quantize", "sparsify"):
            code, err = fails(capsys, command, tmp_path / name, "--quiet")
            assert code == 3, (command, name, err)


def test_float_network_says_what_to_do(folder, capsys):
    code, err = fails(capsys, "compile", folder / "float.onnx")
    assert code == 2 and f"tvm-aie quantize {folder / 'float.onnx'}" in err


def test_dynamic_shape(folder, tmp_path, capsys):
    model = onnx.load(folder / "int8.onnx")
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(model, tmp_path / "dynamic.onnx")
    code, err = fails(capsys, "compile", tmp_path / "dynamic.onnx")
    assert code == 3 and "--shape" in err
    for shape in ("x", "x=", "x=a", "x=0,3"):
        assert fails(capsys, "compile", tmp_path / "dynamic.onnx", "--shape", shape)[0] == 2


@pytest.mark.parametrize("target", ["aie3", "aie2/npu9", "aie2/wbs-9x9", "llvm", "missing.toml", "aie2/"])
def test_unknown_target(folder, capsys, target):
    code, err = fails(capsys, "compile", folder / "int8.onnx", "--target", target)
    assert code == 4, err


def test_bad_inputs(folder, tmp_path, capsys, monkeypatch):
    model = folder / "int8.onnx"
    np.save(tmp_path / "shape.npy", np.zeros((1, 3, 8, 8), np.float32))
    np.save(tmp_path / "dtype.npy", np.zeros((1, 3, 224, 224), np.float64))
    np.savez(tmp_path / "name.npz", nobody=np.zeros((1, 3, 224, 224), np.float32))
    (tmp_path / "text.npy").write_text("hello")
    monkeypatch.setattr(service, "compile_network", None)  # a wrong input is said before that
    for name, word in (
        ("shape.npy", "has shape (1, 3, 8, 8)"),
        ("dtype.npy", "has type float64"),
        ("name.npz", "no input called nobody"),
        ("text.npy", "not a .npy or .npz"),
        ("none.npy", "No such file"),
    ):
        code, err = fails(capsys, "run", model, "--input", tmp_path / name)
        assert code == 2 and word in err


def test_input_file_is_used(folder, compiled_once, tmp_path, capsys):
    image = np.random.default_rng(5).standard_normal((1, 3, 224, 224)).astype(np.float32)
    np.save(tmp_path / "x.npy", image)
    args = ["run", str(folder / "int8.onnx"), "--input", str(tmp_path / "x.npy"), "--check", "-o", str(tmp_path)]
    assert main.main(args) == 0
    with np.load(tmp_path / "outputs.npz") as arrays:
        (mine,) = arrays.values()
    info = models.input_infos(onnx.load(folder / "int8.onnx"), {})
    _, (expected,) = models.onnxruntime_outputs(folder / "int8.onnx", {info[0].name: image})
    assert np.array_equal(mine, expected)


def test_a_difference_is_reported(folder, capsys):
    model = onnx.load(folder / "int8.onnx")
    name = model.graph.output[0].name
    want = np.array([1.0, 2.0, 3.0], np.float32)
    (match,) = models.compare(model, [name], [want], [want + np.array([0, 0.5, 0], np.float32)])
    assert not match.ok and match.different == 1 and match.max_difference == 0.5
    from tvm_aie.cli.commands import print_check
    from tvm_aie.report.console import make_console

    assert print_check(make_console(), [match]) == main.EXIT_MISMATCH
    assert "1 of 3 values are not equal to onnxruntime's" in capsys.readouterr().out


def test_batch_is_per_image_in_the_report(tmp_path, capsys):
    reports = []
    for batch in (1, 4):
        onnx.save(quantize(networks.conv_relu(batch=batch)), tmp_path / f"b{batch}.onnx")
        out = tmp_path / str(batch)
        assert main.main(["run", str(tmp_path / f"b{batch}.onnx"), "--check", "-o", str(out)]) == 0
        reports.append(json.loads((out / "report.json").read_text()))
    one, four = ([t for t in r["times"] if t["label"] == "emulated"] for r in reports)
    assert [(t["cycles"], t["ms"]) for t in one] == [(t["cycles"], t["ms"]) for t in four]
    assert one[0]["cycles"] > 143_920
    assert one[0]["what"] + ", per image of a batch of 4" == four[0]["what"]
    assert [layer["cycles"] for layer in reports[0]["layers"]] == [layer["cycles"] for layer in reports[1]["layers"]]


def test_nothing_on_the_array_still_runs(tmp_path, capsys):
    model = quantize(networks.conv_relu())
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            value = onnx.numpy_helper.to_array(tensor) * np.float32(1.5)
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
    onnx.save(model, tmp_path / "odd.onnx")
    assert main.main(["explain", str(tmp_path / "odd.onnx")]) == 0
    assert "power" in capsys.readouterr().out
    assert main.main(["run", str(tmp_path / "odd.onnx")]) == 0
    assert "array 0 of" in capsys.readouterr().out


def test_readme_example_runs(folder, tmp_path, monkeypatch):
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.S)[1].replace("my_int8.onnx", str(folder / "int8.onnx"))
    monkeypatch.chdir(tmp_path)
    service.load_tvm()
    scope = {}
    exec(code, scope)
    reload = (
        "import sys, numpy, tvm\nvm = tvm.relax.VirtualMachine(tvm.runtime.load_module('net.so'), tvm.cpu())\n"
        "y = vm['main'](tvm.runtime.tensor(numpy.zeros((1, 3, 224, 224), 'float32')))\n"
        "numpy.save('y.npy', (y if hasattr(y, 'numpy') else y[0]).numpy())\n"
        "assert 'tvm_aie.pipeline' not in sys.modules\n"
    )
    setup = "from tvm_aie.targets import install; install()\n"
    subprocess.run([sys.executable, "-c", setup + reload], check=True, timeout=120)
    y = scope["y"] if hasattr(scope["y"], "numpy") else scope["y"][0]
    assert np.array_equal(np.load(tmp_path / "y.npy"), y.numpy())
