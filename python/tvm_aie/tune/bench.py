"""A trial: the emulated time of one workload alone, repeated (``cost.repeated``)."""

from __future__ import annotations

import struct
from pathlib import Path

from tvm_aie.cost.repeated import FROM, TO, chooser, first_repetition, prepared
from tvm_aie.device import Device
from tvm_aie.errors import ProgramError, TvmAieError
from tvm_aie.pipeline import finish
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload

MAX_CYCLES = 1 << 33
_HEADER = struct.Struct("<8sQ")
_MAGIC = b"AIETUNE\0"


def build(work: Workload, tiling: Tiling, device: Device) -> bytes:
    """The artefact of one trial: index of the first repetition and the program.

    Raises ``TvmAieError`` when the tiling cannot be built.
    """
    ready = prepared(work, tiling, device)
    program = finish(ready, chooser(work, tiling), estimated=False).program
    return _HEADER.pack(_MAGIC, first_repetition(ready)) + bytes(program.to_bytes())


def run(artefact: bytes) -> float:
    """Cycles of one repetition, emulated in timed mode. Raises ``TvmAieError`` when the program does not run."""
    magic, first = _HEADER.unpack_from(artefact)
    if magic != _MAGIC:
        raise ProgramError("not a tuning artefact")
    result = run_program(artefact[_HEADER.size :], [], RunOptions(functional=False, max_cycles=MAX_CYCLES))
    return float(result.items[first + TO].end - result.items[first + FROM].end) / (TO - FROM)


def emulate(work: Workload, tiling: Tiling, device: Device) -> float:
    """Build and run: the emulated cycles of one repetition."""
    return run(build(work, tiling, device))


def build_file(work: Workload, tiling: Tiling, device: Device, path: str) -> str:
    """Write the artefact; the message of the failure, or nothing. For worker processes."""
    try:
        Path(path).write_bytes(build(work, tiling, device))
    except TvmAieError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def run_file(path: str) -> tuple[float, str]:
    """(cycles, "") of an artefact, or (0, message). For worker processes and measurement servers."""
    try:
        return run(Path(path).read_bytes()), ""
    except TvmAieError as error:
        return 0.0, f"{type(error).__name__}: {error}"
