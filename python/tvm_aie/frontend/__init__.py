"""Stage 1: ONNX files to Relax modules. Names are imported on first use: TVM is slow to import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_aie.frontend.relax_import import from_onnx

__all__ = ["from_onnx"]


def __getattr__(name: str) -> Any:
    """``from_onnx`` needs TVM; the ONNX-level modules of this package do not."""
    if name != "from_onnx":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from tvm_aie.frontend.relax_import import from_onnx

    return from_onnx
