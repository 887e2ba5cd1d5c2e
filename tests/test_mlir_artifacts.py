"""The design folder: files, manifest, kernels, and the host program against a simulated NPU."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from array_model import compile_core
from mlir_nets import canonical, residual, single_conv
from tvm_aie.artifacts import sample
from tvm_aie.emit.artifacts import ARRAY_SOURCES, command_counts, kernel_sources, manifest, read_design, write_design
from tvm_aie.emit.mlir.check import check
from tvm_aie.emit.program import Program
from tvm_aie.errors import DeviceError, InputError
from tvm_aie.pipeline import compile_graph
from tvm_aie.runtime.emulator import RunOptions, run_program


@pytest.fixture(scope="module")
def graph():
    return residual()


@pytest.fixture(scope="module")
def program(graph) -> Program:
    return compile_graph(graph, "npu1").program


@pytest.fixture(scope="module")
def folder(tmp_path_factory, graph, program) -> Path:
    place = tmp_path_factory.mktemp("design")
    wrote = write_design(program, place, graph, sample(program))
    assert all(path.exists() for path in wrote)
    return place


def load_host(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_design", folder / "run.py")
    assert spec and spec.loader
    host = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(host)
    return host


def test_one_design_and_its_companions(folder):
    assert [p.name for p in folder.rglob("*.mlir")] == ["design.mlir"]
    names = {p.name for p in folder.iterdir()}
    assert names >= {"design.mlir", "weights.bin", "manifest.json", "kernels", "run.py", "sample_input_0.npy"}
    assert check((folder / "design.mlir").read_text()) == []


def test_the_folder_is_the_program(folder, program):
    again = read_design(folder)
    assert canonical(again).to_bytes() == canonical(program).to_bytes()
    inputs = [np.load(folder / "sample_input_0.npy")]
    expected = np.load(folder / "sample_output_0.npy")
    result = run_program(again.to_bytes(), inputs, RunOptions(check=True))
    np.testing.assert_array_equal(result.outputs[0], expected)
    assert result.cycles == run_program(program.to_bytes(), inputs, RunOptions(check=True)).cycles


def test_manifest(folder, graph, program):
    m = json.loads((folder / "manifest.json").read_text())
    assert [a["name"] for a in m["arguments"]] == ["weights", "input", "output", "scratch"]
    assert [a["bytes"] for a in m["arguments"]] == list(program.ddr_sizes)
    assert (folder / "weights.bin").stat().st_size == m["arguments"][0]["bytes"]
    x, y = m["tensors"]
    assert (x["kind"], x["dtype"], x["zero_point"], x["scale"]) == ("input", "uint8", 128, 2.0**-7)
    assert (y["kind"], y["dtype"], y["zero_point"], y["shape"]) == ("output", "int8", 0, [1, 16, 10, 10])
    assert m["commands"] == command_counts(program)
    configure = m["configure_commands"]
    assert configure["bd_writes"] == len(program.static_bds)
    pushes = sum(program.tiles[t.tile].row != 1 for t in program.static_tasks)  # a memtile's is a register write
    assert configure["pushes"] == pushes and configure["register_writes"] > len(program.lock_init)
    assert m["kernels"]["program_bytes_estimated"] < m["kernels"]["program_bytes"] == 16384
    assert set(m["kernels"]["used"]) <= {"conv", "conv_dense", "add"}


def test_damaged_folder(folder, tmp_path):
    with pytest.raises(InputError):
        read_design(tmp_path)
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / "manifest.json").write_text("{")
    with pytest.raises(InputError):
        read_design(tmp_path / "copy")


def test_other_devices(tmp_path):
    with pytest.raises(DeviceError, match="npu1 only"):
        write_design(compile_graph(single_conv(), "wbs-2x2").program, tmp_path)


# ------------------------------------------------------------------ kernels


def test_kernels_are_the_emulators_sources(folder):
    for path in (folder / "kernels" / "kernels").iterdir():
        assert path.read_bytes() == (kernel_sources() / "kernels" / path.name).read_bytes()
    makefile = (folder / "kernels" / "Makefile").read_text()
    for source in ARRAY_SOURCES:
        assert (folder / "kernels" / "kernels" / source).is_file()
        assert source.removesuffix(".cc") in makefile


def test_entry_point_matches_the_design(folder):
    """Names and order of the arguments of ``tvm_aie_core`` are those of the call in the design."""
    text = (folder / "kernels" / "kernels" / "superkernel_main.cc").read_text()
    signature = text.split("void tvm_aie_core(")[1].split(")")[0]
    names = [part.split()[-1].lstrip("*") for part in signature.split(",")]
    call = next(
        line for line in (folder / "design.mlir").read_text().splitlines() if "func.call @tvm_aie_core(" in line
    )
    operands = [o.strip().lstrip("%") for o in call.split("(")[1].split(")")[0].split(",")]
    assert [o.removeprefix("core_0_2_") for o in operands] == names


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_kernels_in_their_array_form_are_freestanding(folder, tmp_path):
    """No heap, no strings, no exceptions; the makefile names the kernels that the network calls."""
    library = compile_core(folder / "kernels", tmp_path)
    names = subprocess.run(["nm", "-C", library], capture_output=True, text=True, check=True).stdout
    assert "tvm_aie_core" in names and "kernels::Add(" in names
    assert not any(x in names for x in ("basic_string", "operator new", "vector<unsigned short", "cxa_throw"))
    makefile = (folder / "kernels" / "Makefile").read_text()
    assert "USED_KERNELS ?= 0x6" in makefile  # conv and add


# ------------------------------------------------------------------ the host program


def by_the_book(io: dict, value: np.ndarray) -> np.ndarray:
    """docs/program.md section 5, element by element."""
    c, h, w = io["chw"]
    line = -(-w // io["fold"])
    out = np.zeros(h * line * io["physical_channels"], np.uint8)
    image = value.reshape(c, h, w).view(np.uint8)
    for ch in range(c):
        for y in range(h):
            for x in range(w):
                place = x % io["fold"] * c + ch
                to = place if io["channel_map"] is None else io["channel_map"][place]
                at = y * io["physical_channels"] * line + to // 8 * line * 8 + x // io["fold"] * 8 + to % 8
                out[at] = image[ch, y, x] ^ (128 if io["dtype"] == "uint8" else 0)
    return out


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("cmap", [None, [9, 0, 3, 15, 2]])
def test_packing(folder, dtype, cmap):
    host = load_host(folder)
    io = {"chw": [5, 3, 4], "physical_channels": 16, "channel_map": cmap, "dtype": dtype, "shape": [1, 5, 3, 4]}
    io["fold"] = 1
    value = np.random.default_rng(0).integers(0, 256, (1, 5, 3, 4), dtype=np.uint8).view(dtype)
    packed = host.pack(io, value)
    np.testing.assert_array_equal(packed, by_the_book(io, value))
    np.testing.assert_array_equal(host.unpack(io, packed), value)
    with pytest.raises(SystemExit, match="wanted"):
        host.pack(io, value.astype(np.float32))


@pytest.mark.parametrize("cmap", [None, [9, 0, 3, 15, 2, 7]])
def test_packing_of_folded_pixels(folder, cmap):
    host = load_host(folder)
    io = {"chw": [2, 3, 7], "physical_channels": 16, "channel_map": cmap, "dtype": "uint8", "shape": [1, 2, 3, 7]}
    io["fold"] = 3
    value = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 7), dtype=np.uint8)
    np.testing.assert_array_equal(host.pack(io, value), by_the_book(io, value))


class SimulatedXrt(ModuleType):
    """``pyxrt`` whose kernel is the emulator running the design of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__("pyxrt")
        self.calls: list[str] = []
        self.folder = folder
        self.xclBOSyncDirection = SimpleNamespace(XCL_BO_SYNC_BO_TO_DEVICE=0, XCL_BO_SYNC_BO_FROM_DEVICE=1)
        self.ert_cmd_state = SimpleNamespace(ERT_CMD_STATE_COMPLETED=4)
        self.device = lambda index: SimpleNamespace(register_xclbin=lambda x: None)
        kernel = SimpleNamespace(get_name=lambda: "MLIR_AIE")
        self.xclbin = lambda path: SimpleNamespace(get_uuid=lambda: 1, get_kernels=lambda: [kernel])
        self.hw_context = lambda device, uuid: None
        self.bo = Buffer
        self.kernel = lambda context, name: self

    def group_id(self, index: int) -> int:
        return index

    def __call__(self, opcode, instructions, size, *buffers):
        assert opcode == 3 and instructions.data[:size].tobytes() in (b"configure", b"infer")
        self.calls.append(instructions.data[:size].tobytes().decode())
        if self.calls[-1] == "infer":
            self._infer(buffers)
        return SimpleNamespace(wait=lambda timeout: 4)

    def _infer(self, buffers) -> None:
        """Unpack the input area with the loops of the document, emulate, pack the output."""
        p = read_design(self.folder)
        assert buffers[0].data.tobytes() == p.const
        described = manifest(p)["tensors"]
        value = np.load(self.folder / "sample_input_0.npy")
        np.testing.assert_array_equal(by_the_book(described[0], value), buffers[1].data)
        result = run_program(p.to_bytes(), [value])
        buffers[2].data[:] = by_the_book(described[1], np.asarray(result.outputs[0]))


class Buffer:
    host_only, cacheable = 1, 2

    def __init__(self, device, size, flags, group) -> None:
        self.data = np.zeros(size, np.uint8)

    def write(self, data, offset) -> None:
        self.data[offset : offset + data.size] = data

    def read(self, size, offset) -> np.ndarray:
        return self.data[offset : offset + size]

    def sync(self, direction) -> None:
        pass


def test_host_program_on_a_simulated_npu(folder, tmp_path, monkeypatch, capsys):
    place = tmp_path / "design"
    shutil.copytree(folder, place)
    (place / "design.xclbin").write_bytes(b"")
    for sequence in ("configure", "infer"):
        (place / f"main_{sequence}.bin").write_bytes(sequence.encode())
    xrt = SimulatedXrt(place)
    monkeypatch.setitem(sys.modules, "pyxrt", xrt)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    host = load_host(place)
    assert host.main() == 0
    assert xrt.calls == ["configure", "infer"]
    assert "equal to the emulator" in capsys.readouterr().out
    np.save(place / "sample_output_0.npy", np.load(place / "sample_output_0.npy") + 1)
    assert host.main() == 1


def test_sample_has_the_programs_types(program):
    made = sample(replace(program))
    assert made.inputs[0].dtype == np.uint8 and made.inputs[0].shape == (1, 16, 10, 10)
    assert made.outputs[0].shape == (1, 16, 10, 10)
