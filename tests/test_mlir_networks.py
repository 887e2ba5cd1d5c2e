"""Designs of the nine networks of the onnx wheel and of the small ONNX networks: limits hold, nothing is lost."""

from __future__ import annotations

import inspect
import json

import numpy as np
import onnx
import pytest
import tvm

import networks
import tvm_aie
from mlir_nets import canonical

tvm_aie._autoload()

from tvm_aie.artifacts import programs as programs_of  # noqa: E402
from tvm_aie.artifacts import write_designs  # noqa: E402
from tvm_aie.cli.main import main  # noqa: E402
from tvm_aie.emit.artifacts import command_counts, manifest, read_design, text_counts  # noqa: E402
from tvm_aie.emit.mlir import ir  # noqa: E402
from tvm_aie.emit.mlir.build import build  # noqa: E402
from tvm_aie.emit.mlir.check import check  # noqa: E402
from tvm_aie.emit.mlir.parser import parse  # noqa: E402
from tvm_aie.emit.mlir.readback import read_back  # noqa: E402
from tvm_aie.emit.program import Program  # noqa: E402
from tvm_aie.emit.program_read import read_program  # noqa: E402
from tvm_aie.errors import InputError, ProgramError  # noqa: E402
from tvm_aie.frontend import from_onnx  # noqa: E402
from tvm_aie.frontend.onnx_zoo import LIGHT_NAMES, light_model  # noqa: E402
from tvm_aie.quantize.xint8 import quantize  # noqa: E402
from tvm_aie.relax import last_compilation  # noqa: E402
from tvm_aie.runtime.emulator import run_program  # noqa: E402

FAST = ("squeezenet",)  # what resnet50 has besides, the small networks have
LIGHT = [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in LIGHT_NAMES]
SMALL = [n for n, f in inspect.getmembers(networks, inspect.isfunction) if f.__module__ == "networks" and n[0] != "_"]


def programs(model) -> list[Program]:
    tvm.compile(from_onnx(model), target="aie2")
    compilation = last_compilation()
    assert compilation is not None
    return [c.program for c in compilation.compiled]


def check_design(p: Program) -> None:
    module = build(p)
    text = str(module)
    assert check(text) == []
    assert len(text) < 20_000_000
    again = parse(text)
    assert again == module
    q = read_back(again, p.const, json.loads(json.dumps(manifest(p))))
    assert canonical(q).to_bytes() == canonical(p).to_bytes()
    infer = next(op for op in again.body if isinstance(op, ir.SequenceOp) and op.name == "infer")
    assert text_counts(infer) == command_counts(p)


@pytest.mark.parametrize("name", LIGHT)
def test_light_network(name):
    for p in programs(quantize(light_model(name, 0))):
        check_design(p)


@pytest.mark.parametrize("name", SMALL)
def test_small_network(name):
    for p in programs(quantize(getattr(networks, name)())):
        check_design(p)


def test_command_line(tmp_path, capsys):
    onnx.save(quantize(networks.residual()), tmp_path / "net.onnx")
    assert main(["compile", str(tmp_path / "net.onnx"), "--emit", "mlir", "-o", str(tmp_path / "out"), "--quiet"]) == 0
    assert "design.mlir" in capsys.readouterr().out
    p = read_design(tmp_path / "out")
    result = run_program(p.to_bytes(), [np.load(tmp_path / "out" / "sample_input_0.npy")])
    np.testing.assert_array_equal(result.outputs[0], np.load(tmp_path / "out" / "sample_output_0.npy"))


def test_command_line_needs_a_folder_and_npu1(tmp_path, capsys):
    onnx.save(quantize(networks.conv_relu()), tmp_path / "net.onnx")
    arguments = ["compile", str(tmp_path / "net.onnx"), "--emit", "mlir", "--quiet"]
    assert main(arguments) == 2
    assert "add -o DIR" in capsys.readouterr().err
    assert main([*arguments, "-o", str(tmp_path / "out"), "--target", "aie2/wbs-2x2"]) == 4
    assert "npu1 only" in capsys.readouterr().err


def test_designs_of_an_executable(tmp_path):
    """From ``tvm.compile``'s result, and from the exported library in which no compile state is left."""
    executable = tvm.compile(from_onnx(quantize(networks.local_norm())), target="aie2")
    compilation = last_compilation()
    assert compilation is not None
    executable.export_library(str(tmp_path / "net.so"))
    for source in (executable, tvm.runtime.load_module(str(tmp_path / "net.so"))):
        found = list(programs_of(source).values())
        assert [p.to_bytes() for p in found] == [c.program.to_bytes() for c in compilation.compiled]
        assert [str(build(p)) for p in found] == [str(build(c.program)) for c in compilation.compiled]
    wrote = write_designs(executable, tmp_path / "out")
    designs = [p.parent for p in wrote if p.name == "design.mlir"]
    assert len(designs) == 2
    for folder in designs:
        p = read_design(folder)
        result = run_program(p.to_bytes(), [np.load(folder / "sample_input_0.npy")])
        np.testing.assert_array_equal(result.outputs[0], np.load(folder / "sample_output_0.npy"))


def test_an_executable_without_array_parts_has_no_designs(tmp_path):
    with pytest.raises(InputError, match="nothing in this executable"):
        write_designs(tvm.compile(from_onnx(networks.conv_relu()), target="llvm"), tmp_path)
    with pytest.raises(ProgramError):
        read_program(b"no program")
