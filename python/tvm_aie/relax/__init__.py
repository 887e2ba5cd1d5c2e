"""Stage 4: partition of a Relax module, and the ``relax.ext.aie2`` code generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_aie.relax.codegen import Compilation, last_compilation, offload, set_backend, set_eliminate
    from tvm_aie.relax.partition import OffloadReport, OpRecord, Partition

_HOMES = {
    "Compilation": "codegen",
    "last_compilation": "codegen",
    "offload": "codegen",
    "set_backend": "codegen",
    "set_eliminate": "codegen",
    "OffloadReport": "partition",
    "OpRecord": "partition",
    "Partition": "partition",
}

__all__ = [
    "Compilation",
    "OffloadReport",
    "OpRecord",
    "Partition",
    "last_compilation",
    "offload",
    "set_backend",
    "set_eliminate",
]


def __getattr__(name: str) -> Any:
    """Import on first use: TVM is slow to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
