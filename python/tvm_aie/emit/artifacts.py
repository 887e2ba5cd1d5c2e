"""Stage 9: a program as a folder for the native toolchain (docs/mlir-aie.md).

``design.mlir``, ``weights.bin``, ``manifest.json``, ``kernels/`` with its makefile, and ``run.py`` for the host.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.device import load_device
from tvm_aie.emit.mlir import ir
from tvm_aie.emit.mlir.build import ARGS, CONFIGURE, CORE_FUNCTION, CORE_OBJECT, build, program_memory, stack_bytes
from tvm_aie.emit.mlir.check import verify_text
from tvm_aie.emit.mlir.parser import parse
from tvm_aie.emit.mlir.readback import emulator_section, read_back
from tvm_aie.emit.mlir.registers import is_lock
from tvm_aie.emit.program import Program, Push, SetLock, Wait, WriteBd
from tvm_aie.emit.superkernel import KEEP_PART
from tvm_aie.emit.verify import used_parts
from tvm_aie.errors import InputError
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.schedule.cover import KEEP
from tvm_aie.schedule.geometry import KernelId

Tensor = npt.NDArray[Any]
DESIGN, WEIGHTS, MANIFEST = "design.mlir", "weights.bin", "manifest.json"
ARRAY_SOURCES = ("superkernel_main.cc", "superkernel.cc", "kernel_call.cc", "kernels_portable.cc")
ARRAY_INCLUDES = (
    "requant_array.inc",
    "channelwise_array.inc",
    "channelwise_call.inc",
    "conv_kernel.inc",
    "gamma.inc",
    "pool_stage.inc",
    "front.inc",
)
ALL_KERNELS = "USED_KERNELS ?= 0xff"
LAYOUT = "[row][block of 8 channels][pixel][8], int8; uint8 tensors are xored with 128"


@dataclass(frozen=True)
class Sample:
    """Inputs and the outputs that the emulator computed from them."""

    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]


def write_design(
    program: Program, folder: Path, graph: LayerGraph | None = None, sample: Sample | None = None
) -> list[Path]:
    """Write everything and return the paths. ``graph`` adds scales to the manifest.

    Raises ``DeviceError`` unless the program is for npu1, ``ProgramError`` when the text violates a limit.
    """
    module = build(program)
    text = str(module)
    verify_text(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESIGN).write_text(text)
    (folder / WEIGHTS).write_bytes(program.const)
    description = manifest(program, graph)
    description["configure_commands"] = configure_counts(module)
    (folder / MANIFEST).write_text(json.dumps(description, indent=1) + "\n")
    kernels = _copy_kernels(folder / "kernels", program)
    host = Path(__file__).parent / "host"
    shutil.copyfile(host / "run.py", folder / "run.py")
    for kind, tensors in (("input", sample.inputs), ("output", sample.outputs)) if sample else ():
        for i, tensor in enumerate(tensors):
            np.save(folder / f"sample_{kind}_{i}.npy", tensor)
    return [folder / DESIGN, folder / WEIGHTS, folder / MANIFEST, kernels, folder / "run.py"]


def read_design(folder: Path) -> Program:
    """The program of a folder that ``write_design`` wrote: design text, weights and manifest."""
    try:
        text = (folder / DESIGN).read_text()
        const = (folder / WEIGHTS).read_bytes()
        description = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: {error}") from error
    return read_back(parse(text), const, description)


def manifest(program: Program, graph: LayerGraph | None = None) -> dict[str, Any]:
    """What the host and a reader need beside the design."""
    emulator = emulator_section(program)
    meta = emulator["meta"]
    core = program.cores[0]
    device = load_device("npu1")
    sizes = zip(ARGS, program.ddr_sizes, strict=True)
    return {
        "format": 1,
        "network": meta.get("network", ""),
        "device": meta.get("device", ""),
        "design": DESIGN,
        "sequences": {
            "configure": "brings the overlay to its initial state; run once, before the first inference",
            "infer": "one inference",
        },
        "arguments": [
            {"index": i, "name": n, "bytes": b, **({"file": WEIGHTS} if i == 0 else {})}
            for i, (n, b) in enumerate(sizes)
        ],
        "layout": LAYOUT,
        "tensors": _tensors(emulator.pop("io"), graph),
        "kernels": {
            "function": CORE_FUNCTION,
            "object": CORE_OBJECT,
            "sources": list(ARRAY_SOURCES),
            "used": sorted(used_parts(program)),
            "program_bytes_estimated": program_memory(program, device),
            "program_bytes": device.program_bytes,
            "stack_bytes": stack_bytes(core),
            "data_memory": {k: int(v) for k, v in vars(core).items() if k not in ("tile", "row")},
        },
        "commands": command_counts(program),
        "emulator": emulator,
    }


def command_counts(program: Program) -> dict[str, int]:
    """Descriptor writes, pushes and waits of the command stream: what the emulator charges for."""
    return {
        "bd_writes": sum(isinstance(c, WriteBd) for c in program.commands),
        "pushes": sum(isinstance(c, Push) for c in program.commands),
        "lock_writes": sum(isinstance(c, SetLock) for c in program.commands),
        "waits": sum(isinstance(c, Wait) for c in program.commands),
    }


def configure_counts(module: ir.Module) -> dict[str, int]:
    """Operations of ``@configure``, which precedes the first inference and for which the emulator charges nothing."""
    body = next(op for op in module.body if isinstance(op, ir.SequenceOp) and op.name == CONFIGURE).body
    writes = [op for op in body if isinstance(op, ir.Write32Op)]
    return {
        "bd_writes": sum(isinstance(op, ir.WriteBdOp | ir.BlockWriteOp) for op in body),
        "register_writes": len(writes),
        "pushes": sum(isinstance(op, ir.PushQueueOp) for op in body),
    }


def text_counts(sequence: ir.SequenceOp) -> dict[str, int]:
    """The same three numbers, counted in the operations of a sequence."""
    body = sequence.body
    locks = sum(isinstance(op, ir.Write32Op) and is_lock(op.address) for op in body)
    return {
        "bd_writes": sum(isinstance(op, ir.WriteBdOp | ir.BlockWriteOp) for op in body),
        "pushes": sum(isinstance(op, ir.PushQueueOp | ir.Write32Op) for op in body) - locks,
        "lock_writes": locks,
        "waits": sum(isinstance(op, ir.SyncOp) for op in body),
    }


def _tensors(io: list[dict[str, Any]], graph: LayerGraph | None) -> list[dict[str, Any]]:
    """Inputs and outputs with name, scale and zero point where the layer graph is known."""
    if graph is None:
        return io
    out = []
    for tensor, named in zip(io, (*graph.inputs, *graph.outputs), strict=True):
        exponent = graph.tensors[named.tensor].exponent
        zero = 128 if tensor["dtype"] == "uint8" else 0
        out.append({"name": named.tensor, "scale": 2.0**exponent, "zero_point": zero, **tensor})
    return out


def kernel_sources() -> Path:
    """The folder with ``kernels/`` and ``include/``: in the installed package, or in the checkout."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "kernels_src", package.parents[1] / "tvm_aie"):
        if (place / "kernels" / ARRAY_SOURCES[0]).is_file():
            return place
    raise InputError("the kernel sources are not installed with this package")


def _copy_kernels(folder: Path, program: Program) -> Path:
    """Sources that the array needs, with the makefile on top; it names the kernels that ``program`` calls."""
    source = kernel_sources()
    (folder / "kernels").mkdir(parents=True, exist_ok=True)
    (folder / "include" / "tvm_aie").mkdir(parents=True, exist_ok=True)
    wanted = [source / "kernels" / name for name in ARRAY_SOURCES]
    wanted += sorted((source / "kernels").glob("*.h"))
    wanted += [source / "kernels" / name for name in ARRAY_INCLUDES]
    for path in wanted:
        shutil.copyfile(path, folder / "kernels" / path.name)
    header = "superkernel.h"
    shutil.copyfile(source / "include" / "tvm_aie" / header, folder / "include" / "tvm_aie" / header)
    makefile = (Path(__file__).parent / "host" / "kernels.mk").read_text()
    parts = used_parts(program)
    used = sum(1 << int(k) for k in KernelId if k.name.lower() in parts) + (KEEP_PART if KEEP in parts else 0)
    (folder / "Makefile").write_text(makefile.replace(ALL_KERNELS, f"USED_KERNELS ?= {used:#x}"))
    return folder
