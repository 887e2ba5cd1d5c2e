"""``compile --emit mlir``: one design folder per offloaded region, with a sample that the emulator has computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tvm_aie.cli.progress import Progress
from tvm_aie.errors import InputError

if TYPE_CHECKING:
    from tvm_aie.emit.program import Program
    from tvm_aie.relax import Compilation

SAMPLE_SEED = 0


def write_designs(compilation: Compilation, folder: Path, progress: Progress) -> list[Path]:
    """Write ``folder`` itself for one region, ``folder/REGION`` for several. Returns the paths written.

    Raises ``InputError`` when nothing runs on the array, ``DeviceError`` for a target without a native toolchain.
    """
    from tvm_aie.emit.artifacts import write_design

    regions = list(zip(compilation.graphs, compilation.compiled, strict=True))
    if not regions:
        raise InputError("nothing of this network runs on the array: there is no design to write")
    wrote: list[Path] = []
    for graph, compiled in regions:
        place = folder if len(regions) == 1 else folder / graph.name
        with progress.step(f"writing the mlir-aie design to {place}"):
            wrote += write_design(compiled.program, place, compiled.graph, sample(compiled.program))
    return wrote


def sample(program: Program) -> Any:
    """Random inputs and what the emulator makes of them, for the host program to compare with."""
    from tvm_aie.emit.artifacts import Sample
    from tvm_aie.runtime.emulator import run_program

    rng = np.random.default_rng(SAMPLE_SEED)
    inputs = []
    for io in program.io:
        if io.kind == 0:
            shape = (1, io.channels * io.height * io.width) if io.flat else (1, io.channels, io.height, io.width)
            data = rng.integers(0, 256, shape, dtype=np.uint8)
            inputs.append(data if io.uint8 else data.view(np.int8))
    return Sample(inputs, run_program(program.to_bytes(), inputs).outputs)
