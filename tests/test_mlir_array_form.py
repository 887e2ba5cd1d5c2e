"""The superkernel as a core compiles it, executing whole designs: every output byte equals the emulator's.

The emulator runs the same sources in their host form (checks, counting, AVX2 kernels); this runs the array's form
(vector kernels, no checks, 32-bit sizes) of the files in the design folder, on the program read back from the text.
"""

from __future__ import annotations

import importlib.util
import json
import shutil

import numpy as np
import pytest

import mlir_nets
from array_model import Array, compile_core
from graphs import GraphBuilder
from tvm_aie.artifacts import sample
from tvm_aie.emit.artifacts import read_design, write_design
from tvm_aie.emit.verify import used_kernels, used_parts
from tvm_aie.pipeline import Decisions, Moves, compile_graph, finish, prepare
from tvm_aie.plan.graph import AvgDivisor, LayerGraph
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import FRONTS, KernelId

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")


def everything() -> LayerGraph:
    """Every kernel, both fused second stages, dead blocks, two outputs, odd sizes."""
    b = GraphBuilder((5, 13, 13), 3, 0.6)
    a = b.conv("x", 33, 3, lo=-128, negative_mul=26)
    c = b.constant(b.conv(a, 24, 1, lo=-128), mul=2)
    r = b.add(b.conv(c, 33, 3, lo=-128), a)
    p = b.pool(r)
    q = b.pool(r, divisors=tuple(AvgDivisor(n, 1024 // n, 10) for n in (4, 6, 9)))
    u = b.upsample(b.conv(b.concat(p, q), 9, 3))
    return b.graph(b.copy(u), b.global_pool(q))


NETS = {**mlir_nets.GRAPHS, "everything": everything}


FAST = ("everything", "strided_pool")


def check_design(program, tmp_path):
    """The design folder of a program computes what the emulator does, and, resident, does so again."""
    expected = sample(program)
    write_design(program, tmp_path, None, expected)
    spec = importlib.util.spec_from_file_location("run_design", tmp_path / "run.py")
    assert spec and spec.loader
    host = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(host)
    again = read_design(tmp_path)
    ios = json.loads((tmp_path / "manifest.json").read_text())["tensors"]
    array = Array(again, compile_core(tmp_path / "kernels", tmp_path / "build"))
    other = [np.flip(x) for x in expected.inputs]
    for inputs in (expected.inputs, other, expected.inputs):
        if array.halted:  # a program of this kind is loaded anew
            break
        wanted = run_program(program.to_bytes(), list(inputs), RunOptions()).outputs
        packed = bytearray(program.ddr_sizes[1])
        for io, tensor in zip([t for t in ios if t["kind"] == "input"], inputs, strict=True):
            data = np.ascontiguousarray(host.pack(io, tensor)).tobytes()
            packed[io["offset"] : io["offset"] + len(data)] = data
        out = array.run(bytes(packed))
        for io, tensor in zip([t for t in ios if t["kind"] == "output"], wanted, strict=True):
            raw = np.frombuffer(out, np.uint8)[io["offset"] :]
            np.testing.assert_array_equal(host.unpack(io, raw), tensor)


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in NETS])
def test_design_on_the_array_form(name, tmp_path):
    program = compile_graph(NETS[name](), "npu1").program
    check_design(program, tmp_path)
    if name == "everything":
        assert used_kernels(program) == set(KernelId) - {KernelId.SCALE, KernelId.FRONT}  # which belong to CONV
        assert {"tail" in i for i in json.loads(program.meta)["items"]} == {True, False}


def test_scale_and_shifts_on_the_array_form(tmp_path):
    """What scales the input of a convolution, and output blocks with places of rounding of their own."""
    b = GraphBuilder((5, 13, 13), 3, 0.6)
    x = b.concat(b.conv("x", 16, 1), b.conv("x", 24, 3))  # one convolution, two shifts
    factor = b.conv(x, 40, 1, groups=40, lo=-128)
    b.layers[-1].bias[:] = 0
    scaled = b.constant(factor, 1)
    program = compile_graph(b.graph(b.conv(scaled, 9, 1)), "npu1", moves=Moves(always=True)).program
    assert "scale" in used_parts(program) and len(json.loads(program.meta)["items"]) == 2
    check_design(program, tmp_path)


@pytest.mark.parametrize("density", [1.0, 0.6])
def test_fronts_and_rows_taken_over_on_the_array_form(tmp_path, density):
    """A 1x1 convolution in front of a window, without a pool behind and with one whose bands share a row."""
    b = GraphBuilder((9, 28, 28), 3, density)
    y = b.pool(b.conv(b.conv("x", 17, 1), 33, 3))
    z = b.conv(b.conv(y, 12, 1), 40, 3, lo=-128, negative_mul=26)
    fronts = frozenset({"conv1", "conv4"})
    ready = prepare(b.graph(b.conv(z, 9, 1)), "npu1", Decisions(FRONTS[0], moves=Moves(always=True), fronts=fronts))
    assert [(t.front > 0, t.taken) for t in ready.plan.tilings[:2]] == [(True, 1), (True, 0)]
    program = finish(ready).program
    assert "front" in used_parts(program)
    check_design(program, tmp_path)


def test_sums_on_the_array_form(tmp_path):
    """Sums behind a residual, in front of a dense layer, and of another branch by a pool of their own."""
    b = GraphBuilder((5, 9, 9), 4, 0.6)
    x = b.conv("x", 33, 3)
    dense = b.conv(b.global_pool(b.add(b.conv(x, 33, 1, lo=-128), x)), 9, 1)
    program = compile_graph(b.graph(dense, b.global_pool(b.conv(x, 24, 1))), "npu1", moves=Moves(always=True)).program
    assert len(json.loads(program.meta)["items"]) == 5
    check_design(program, tmp_path)
