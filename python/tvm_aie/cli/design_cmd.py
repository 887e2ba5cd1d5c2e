"""``compile --emit mlir``: one design folder per offloaded region, with a sample that the emulator has computed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tvm_aie.cli.progress import Progress
from tvm_aie.errors import InputError

if TYPE_CHECKING:
    from tvm_aie.relax import Compilation


def write_designs(compilation: Compilation, folder: Path, progress: Progress) -> list[Path]:
    """Write ``folder`` itself for one region, ``folder/REGION`` for several. Returns the paths written.

    Raises ``InputError`` when nothing runs on the array, ``DeviceError`` for a target without a native toolchain.
    """
    from tvm_aie.artifacts import sample
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
