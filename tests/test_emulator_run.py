"""The Python wrapper of the emulator and the runtime module, on a small compiled network."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tvm_ffi

from tvm_aie import _native
from tvm_aie.device import load_device
from tvm_aie.errors import EmulationFault, InputError, ProgramError
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import Add, Conv, GraphIO, LayerGraph, Requant, Tensor
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime import emulator
from tvm_aie.runtime.emulator import RunOptions, run_program

FUNCTIONAL_CHECKED = RunOptions(check=True)


def residual_graph() -> LayerGraph:
    rng = np.random.default_rng(7)
    tensors = {name: Tensor(name, 12, 10, 9, -4) for name in ("x", "a", "y")}
    weight = rng.integers(-30, 30, (12, 12, 3, 3)).astype(np.int8)
    bias = rng.integers(-900, 900, 12).astype(np.int64)
    layers = (
        Conv("conv", "x", "a", weight, bias, 0, Requant(9, 0), pads=(1, 1, 1, 1)),
        Add("add", "a", "x", "y", 0, 1, Requant(1)),
    )
    return LayerGraph(
        "aie2_0", tensors, layers, (GraphIO("x", (1, 12, 10, 9), "uint8"),), (GraphIO("y", (1, 12, 10, 9), "int8"),)
    )


@pytest.fixture(scope="module")
def graph() -> LayerGraph:
    return residual_graph()


@pytest.fixture(scope="module")
def program(graph) -> bytes:
    return compile_graph(graph, "npu1").program.to_bytes()


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (1, 12, 10, 9)).astype(np.uint8)


def refreshed(data: bytearray) -> bytes:
    """``data`` with a correct checksum."""
    data[24:28] = struct.pack("<I", zlib.crc32(bytes(data[32:])))
    return bytes(data)


def test_bit_exact_and_deterministic(graph, program, image):
    first = run_program(program, [image], FUNCTIONAL_CHECKED)
    np.testing.assert_array_equal(first.outputs[0], evaluate(graph, {"x": image})["y"])
    second = run_program(program, [image])
    assert (second.cycles, second.items) == (first.cycles, first.items)
    assert first.total_cycles == first.cycles + round(load_device("npu1").keys()["cmd.launch_cycles"])


def test_timed_mode_has_the_same_time_and_no_output(program, image):
    timed = run_program(program, options=RunOptions(functional=False))
    full = run_program(program, [image])
    assert timed.outputs == ()
    assert (timed.cycles, timed.items) == (full.cycles, full.items)


def test_batch_is_a_loop(graph, program):
    images = np.random.default_rng(2).integers(0, 256, (3, 12, 10, 9)).astype(np.uint8)
    result = run_program(program, [images])
    single = run_program(program, [images[:1]])
    assert result.images == 3
    assert result.cycles == 3 * single.cycles
    for n in range(3):
        np.testing.assert_array_equal(result.outputs[0][n : n + 1], evaluate(graph, {"x": images[n : n + 1]})["y"])


def test_items_add_up(program, image):
    result = run_program(program, [image])
    conv = result.items[0]
    assert 0 < conv.macs <= conv.dense_macs
    assert conv.macs % 64 == 0  # whole tiles
    assert conv.kernel_calls > 0
    assert conv.bytes["w"] > 0
    assert all(i.busy_max <= i.busy_sum for i in result.items)
    # A resident program's time ends when the outputs are stored; its last item, which realigns the rings, may go on.
    assert all(0 <= i.start <= i.end <= result.cycles for i in result.items if i.start >= 0 and i.kernel_calls)


def test_compute_scale(program, image):
    cycles = [
        run_program(program, [image], RunOptions(compute_num=n, compute_den=d)).cycles
        for n, d in ((0, 1), (1, 1), (1000, 1))
    ]
    assert cycles[0] <= cycles[1] < cycles[2]


def test_trace(program, image):
    result = run_program(program, [image], RunOptions(trace=True))
    rows = result.trace.rows
    assert rows.shape[1] == 6
    assert (rows[:, 3] <= rows[:, 4]).all()
    assert result.trace.agents[-1] == "command processor"
    processor = rows[rows[:, 0] == len(result.trace.agents) - 1]
    assert processor[:, 4].max() <= result.cycles  # what realigns the rings may go on
    stores = [i for i, agent in enumerate(result.trace.agents) if agent.startswith("shim") and " S2MM " in agent]
    outputs = rows[np.isin(rows[:, 0], stores)]
    assert len(outputs)
    assert outputs[:, 4].max() <= result.cycles
    assert "core(0,0)" in result.trace.agents
    kernels = rows[rows[:, 1] == emulator.TRACE_KINDS.index("kernel")]
    assert len(kernels) == sum(i.kernel_calls for i in result.items)
    assert (kernels[:, 4] - kernels[:, 3]).sum() == sum(i.busy_sum for i in result.items)
    short = run_program(program, [image], RunOptions(trace=True, max_trace_events=10)).trace
    assert len(short.rows) == 10
    assert short.dropped == len(rows) - 10


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.zeros((1, 12, 10, 9), np.int8), "dtype int8, expected uint8"),
        (np.zeros((1, 12, 10, 8), np.uint8), r"shape \(1, 12, 10, 8\), expected \(N, 12, 10, 9\)"),
        (np.zeros((12, 10, 9), np.uint8), "shape"),
        (np.zeros((0, 12, 10, 9), np.uint8), "shape"),
    ],
)
def test_wrong_inputs(program, tensor, message):
    with pytest.raises(InputError, match=message):
        run_program(program, [tensor])


def test_too_few_inputs(program):
    with pytest.raises(InputError, match="takes 1 inputs and 1 outputs"):
        run_program(program, [])


def test_limits_are_faults(program, image):
    with pytest.raises(EmulationFault, match="cycle limit"):
        run_program(program, [image], RunOptions(max_cycles=1000))
    with pytest.raises(EmulationFault, match="event budget"):
        run_program(program, [image], RunOptions(max_events=100))
    with pytest.raises(EmulationFault, match="check needs a functional run"):
        run_program(program, [image], RunOptions(functional=False, check=True))


def test_damaged_bytes(program):
    with pytest.raises(ProgramError, match="header"):
        run_program(b"nonsense")
    with pytest.raises(ProgramError, match="truncated"):
        run_program(program[:-1])
    damaged = bytearray(program)
    damaged[200] ^= 1
    with pytest.raises(ProgramError, match="checksum"):
        emulator.validate_program(bytes(damaged))


def test_tampered_bytes_never_crash(program, image):
    rng = np.random.default_rng(3)
    outcomes = {"ran": 0, "rejected": 0, "faulted": 0}
    for _ in range(150):
        data = bytearray(program)
        for _ in range(int(rng.integers(1, 4))):
            at = int(rng.integers(32, len(data)))
            data[at] ^= 1 << int(rng.integers(8))
        try:
            run_program(refreshed(data), [image], RunOptions(max_cycles=5_000_000, max_events=200_000))
            outcomes["ran"] += 1
        except ProgramError:
            outcomes["rejected"] += 1
        except (EmulationFault, InputError):
            outcomes["faulted"] += 1
    assert sum(outcomes.values()) == 150


def make_module(program: bytes):
    return _native.function("tvm_aie.runtime.create")(["aie2_0"], [program])


def call(module, image: np.ndarray) -> np.ndarray:
    out = np.zeros((image.shape[0], 12, 10, 9), np.int8)
    module["aie2_0"](tvm_ffi.from_dlpack(image), tvm_ffi.from_dlpack(out))
    return out


def test_module_runs_and_reports(graph, program, image):
    emulator.clear_profile()
    module = make_module(program)
    assert module.kind == "aie2"
    assert module["last_cycles"]() == 0
    np.testing.assert_array_equal(call(module, image), evaluate(graph, {"x": image})["y"])
    cycles = run_program(program, [image]).cycles
    assert module["last_cycles"]() == cycles
    stats = emulator.result_from_map(module["get_last_stats"]()["aie2_0"])
    assert stats.cycles == cycles
    assert emulator.last_profile()["aie2_0"].items == stats.items
    assert list(module["get_symbols"]()) == ["aie2_0"]
    assert bytes(module["get_program"]("aie2_0")) == program


def test_module_errors(program, image):
    module = make_module(program)
    with pytest.raises(TypeError, match="input 0 has dtype float32"):
        call(module, image.astype(np.float32))
    with pytest.raises(TypeError, match="takes 1 inputs"):
        module["aie2_0"](tvm_ffi.from_dlpack(image))
    with pytest.raises(TypeError, match="argument 0 is no tensor"):
        module["aie2_0"](1, 2)
    with pytest.raises(ValueError, match="checksum"):
        make_module(program[:-8] + b"\x01" * 8)
    create = _native.function("tvm_aie.runtime.create")
    with pytest.raises(ValueError, match="twice"):
        create(["a", "a"], [program, program])
    with pytest.raises(ValueError, match="2 symbols, but 1 programs"):
        create(["a", "b"], [program])


def test_module_loads_only_what_it_saved(program):
    load = _native.function("ffi.Module.load_from_bytes.aie2")
    saved = struct.pack("<QQ", 1, 6) + b"aie2_0" + struct.pack("<Q", len(program)) + program
    assert list(load(saved)["get_symbols"]()) == ["aie2_0"]
    for broken in (saved[:-1], saved[:3], saved + b"x", struct.pack("<QQ", 1, 1 << 60), b""):
        with pytest.raises(ValueError, match=r"truncated|after the last"):
            load(broken)


def test_kernel_cycles_of_npu1():
    keys = load_device("npu1").keys()
    conv = emulator.kernel_cycles(keys, 1, chunks=8, trips=(0,) * 8 + (64,), blocks=0)
    assert conv == pytest.approx(801, abs=1)  # traced conv2dk1
    add = emulator.kernel_cycles(keys, 2, chunks=1, trips=(0, 10) + (0,) * 7)
    assert add == 14 + 8 + 30
    with pytest.raises(ProgramError, match="unknown key"):
        emulator.kernel_cycles({**keys, "core.colour": 1.0}, 1)
    with pytest.raises(ProgramError, match="missing"):
        emulator.kernel_cycles({k: v for k, v in keys.items() if k != "clock_mhz"}, 1)


def test_native_library_does_not_import_tvm():
    code = "import sys, tvm_aie.runtime.emulator; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_library_is_explained(monkeypatch, tmp_path):
    monkeypatch.setattr(_native, "_handle", None)
    monkeypatch.setattr(_native, "candidates", lambda: (tmp_path / "libtvm_aie.so",))
    with pytest.raises(Exception, match="make dev-lib"):
        _native.load()
