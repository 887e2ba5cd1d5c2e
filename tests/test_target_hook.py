"""The hook into TVM: tags, overrides, the default pipeline, and the refusals."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tvm

import tvm_aie
from numpy_backend import numpy_backend, run_tvm
from qdq_net import QdqNet, run_onnx
from tvm_aie.device import load_device
from tvm_aie.errors import DeviceError, ModelError, ProgramError
from tvm_aie.frontend import from_onnx
from tvm_aie.relax import last_compilation
from tvm_aie.targets import device_of, is_aie2, tag_models

tvm_aie._autoload()
ROOT = Path(__file__).parent.parent


def small_model() -> Any:
    net = QdqNet((1, 3, 8, 8))
    x = net.qdq(net.relu(net.conv(net.input, 3, 8)), -3)
    return net.model(net.op("Softmax", [net.qdq(net.conv(x, 8, 5), -2)]))


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    import os

    path = f"{ROOT / 'python'}:{ROOT / 'tests'}"
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path, **env})  # fmt: skip


def test_importing_the_package_is_light() -> None:
    code = """
        import sys, tvm_aie, tvm_aie.frontend, tvm_aie.relax
        prefixes = ("tvm.", "tvm_aie.plan", "tvm_aie.emit", "numpy")
        heavy = [m for m in sys.modules if m == "tvm" or m.startswith(prefixes)]
        assert not heavy, heavy
    """
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_autoload_imports_no_compiler_package() -> None:
    code = """
        import sys, tvm, tvm_aie
        tvm_aie._autoload(); tvm_aie._autoload()
        stages = ("plan", "schedule", "memory", "emit", "relax", "tesa", "quantize", "cost")
        heavy = [m for m in sys.modules if m.startswith(tuple(f"tvm_aie.{s}" for s in stages)) or m == "onnx"]
        assert not heavy, heavy
        assert list(tvm.target.Target("aie2").keys)[0] == "aie2"
    """
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_every_tag_is_a_target_whose_device_loads() -> None:
    for tag, model in tag_models():
        target = tvm.target.Target(tag)
        assert is_aie2(target) and str(target.attrs["model"]) == model
    for tag in ("aie2", "aie2/npu1", "aie2/wbs-2x2", "aie2/wbs-8x8", "aie2/wbs-1x1", "aie2/wbs-3x5-m2"):
        assert device_of(tvm.target.Target(tag)).name


def test_override_by_a_device_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text((ROOT / "python/tvm_aie/device/npu1.toml").read_text())
    target = tvm.target.Target({"tag": "aie2", "model": str(path)})
    assert device_of(target).clock_mhz == load_device("npu1").clock_mhz


@pytest.mark.parametrize("tag", ["aie2/npu9", "aie2/wbs-9x9", "aie2/wbs-0x2"])
def test_unknown_tag_is_a_clear_error(tag: str) -> None:
    with pytest.raises(DeviceError, match=r"unknown target .*wbs-RxC"):
        tvm.compile(from_onnx(small_model()), target=tag)


def test_unknown_model_is_a_clear_error() -> None:
    target = tvm.target.Target({"tag": "aie2", "model": "npu7"})
    with pytest.raises(DeviceError, match="npu7"):
        tvm.compile(from_onnx(small_model()), target=target)


@pytest.mark.parametrize("pipeline", ["zero", "default_build", None])
@pytest.mark.parametrize("build", [tvm.compile, lambda *a, **k: tvm.relax.build(*a, **k)], ids=["compile", "build"])
def test_explicit_pipeline_is_refused(build: Any, pipeline: Any) -> None:
    with pytest.raises(DeviceError, match="relax_pipeline"):
        build(from_onnx(small_model()), target="aie2", relax_pipeline=pipeline)


def test_explicit_pipeline_is_refused_under_a_target_scope() -> None:
    with tvm.target.Target("aie2"), pytest.raises(DeviceError, match="relax_pipeline"):
        tvm.compile(from_onnx(small_model()), relax_pipeline="zero")


def test_compile_build_and_scope_agree() -> None:
    model = small_model()
    feeds = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"input": feeds})
    mod = from_onnx(model)
    with numpy_backend():
        executables = [tvm.compile(mod, target="aie2"), tvm.relax.build(mod, target=tvm.target.Target("aie2/wbs-2x2"))]
        with tvm.target.Target("aie2"):
            executables.append(tvm.compile(mod))
        for executable in executables:
            np.testing.assert_allclose(run_tvm(executable, feeds)[0], expected, rtol=1e-5)
    compilation = last_compilation()
    assert compilation is not None and compilation.report.mac_share == 1.0
    assert compilation.graphs[0].name == "aie2_0"


def test_other_targets_are_untouched() -> None:
    model = small_model()
    feeds = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"input": feeds})
    before = last_compilation()
    executable = tvm.compile(from_onnx(model), target="llvm", relax_pipeline="default_build")
    np.testing.assert_allclose(run_tvm(executable, feeds)[0], expected, rtol=1e-5)
    assert last_compilation() is before


def test_network_without_anything_for_the_array_still_compiles() -> None:
    net = QdqNet((1, 3, 8, 8))
    model = net.model(net.op("Softmax", [net.input]))
    feeds = np.ones((1, 3, 8, 8), np.float32)
    (expected,) = run_onnx(model, {"input": feeds})
    (actual,) = run_tvm(tvm.compile(from_onnx(model), target="aie2"), feeds)
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_dynamic_shape_is_a_model_error_and_can_be_fixed() -> None:
    model = small_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "n"
    with pytest.raises(ModelError):
        from_onnx(model)
    mod = from_onnx(model, {"input": (1, 3, 8, 8)})
    assert tuple(int(d) for d in mod["main"].params[0].ty.shape.values) == (1, 3, 8, 8)


def test_unknown_onnx_operator_is_a_model_error() -> None:
    net = QdqNet((1, 3, 8, 8))
    model = net.model(net.relu(net.input))
    model.graph.node[-1].op_type = "Det"
    with pytest.raises(ModelError):
        from_onnx(model)


def test_exported_library_runs_without_the_compiler(tmp_path: Path) -> None:
    model = small_model()
    feeds = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
    (expected,) = run_onnx(model, {"input": feeds})
    executable = tvm.compile(from_onnx(model), target="aie2")
    np.testing.assert_allclose(run_tvm(executable, feeds)[0], expected, rtol=1e-5)
    executable.export_library(str(tmp_path / "net.so"))
    np.save(tmp_path / "x.npy", feeds)
    done = python(f"""
        import sys, numpy as np, tvm, tvm_aie
        tvm_aie._autoload()
        machine = tvm.relax.VirtualMachine(tvm.runtime.load_module("{tmp_path}/net.so"), tvm.cpu())
        np.save("{tmp_path}/y.npy", machine["main"](tvm.runtime.tensor(np.load("{tmp_path}/x.npy"))).numpy())
        stages = ("plan", "schedule", "memory", "emit", "relax", "tesa", "quantize", "cost", "pipeline", "device")
        assert not [m for m in sys.modules if m.startswith(tuple(f"tvm_aie.{{s}}" for s in stages))]
    """)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5)
    whole = (tmp_path / "net.so").read_bytes()
    for size in (6, 40, 64, 200, len(whole) // 2, len(whole) - 1):  # the dynamic loader would kill the process
        (tmp_path / "cut.so").write_bytes(whole[:size])
        with pytest.raises(ProgramError, match=f"the library is truncated: {size} bytes"):
            tvm.runtime.load_module(str(tmp_path / "cut.so"))
    for text in (b"", b"not a library"):
        (tmp_path / "cut.so").write_bytes(text)
        with pytest.raises(Exception, match=r"cut\.so"):
            tvm.runtime.load_module(str(tmp_path / "cut.so"))
