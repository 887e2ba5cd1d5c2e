"""What an executable contains for the array: its programs, and their designs for the native toolchain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tvm_aie.emit.artifacts import Sample, write_design
from tvm_aie.emit.program import Program
from tvm_aie.emit.program_read import read_program
from tvm_aie.errors import InputError
from tvm_aie.runtime.emulator import run_program

SAMPLE_SEED = 0


def programs(executable: Any) -> dict[str, Program]:
    """Programs by the name of their region, in the order of the module.

    ``executable``: what ``tvm.compile`` or ``relax.build`` returned, a module loaded from an exported library, or the
    factory of ``relay.build``. Raises ``InputError`` when nothing in it runs on an AIE2 array.
    """
    found: dict[str, Program] = {}
    for module in _modules(executable):
        for symbol in module["get_symbols"]():
            found[str(symbol)] = read_program(bytes(module["get_program"](symbol)))
    if not found:
        raise InputError("nothing in this executable runs on the array")
    return found


def write_designs(executable: Any, folder: str | Path) -> list[Path]:
    """The mlir-aie design of each region (docs/mlir-aie.md), with a sample that the emulator computes; paths written.

    ``folder`` itself for one region, ``folder/REGION`` for several. Raises ``InputError`` when nothing runs on the
    array, ``DeviceError`` unless compiled for npu1, ``ProgramError`` when a design violates a limit of the hardware.
    """
    regions = programs(executable)
    wrote: list[Path] = []
    for name, program in regions.items():
        place = Path(folder) if len(regions) == 1 else Path(folder) / name
        wrote += write_design(program, place, None, sample(program))
    return wrote


def sample(program: Program) -> Sample:
    """Random inputs (seed 0) and what the emulator makes of them, for the host program to compare with."""
    import numpy as np

    rng = np.random.default_rng(SAMPLE_SEED)
    inputs = []
    for io in program.io:
        if io.kind == 0:
            data = rng.integers(0, 256, io.host_shape, dtype=np.uint8)
            inputs.append(data if io.uint8 else data.view(np.int8))
    return Sample(inputs, run_program(program.to_bytes(), inputs).outputs)


def _modules(executable: Any) -> Iterator[Any]:
    """Modules of kind aie2 among the imports of an executable, each once."""
    for attribute in ("mod", "executable", "module"):
        inner = getattr(executable, attribute, None)
        if inner is not None and not hasattr(executable, "imports"):
            yield from _modules(inner)
            return
    if getattr(executable, "kind", "") == "aie2":
        yield executable
        return
    for module in getattr(executable, "imports", ()):
        yield from _modules(module)
