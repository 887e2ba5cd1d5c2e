"""Stages 2 and 3: tensors with a sparsity attribute (SparTA, OSDI 2022); docs/tesa.md has the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_aie.tesa.attached import attach, attach_masks
    from tvm_aie.tesa.attribute import Attribute, Code
    from tvm_aie.tesa.eliminate import EliminateDead, eliminate_dead
    from tvm_aie.tesa.propagation import PropagateTesa, propagate
    from tvm_aie.tesa.report import TesaReport, explain_tesa
    from tvm_aie.tesa.scramble import automatic
    from tvm_aie.tesa.tesa_map import TesaMap

_HOMES = {
    "Attribute": "attribute",
    "Code": "attribute",
    "EliminateDead": "eliminate",
    "PropagateTesa": "propagation",
    "TesaMap": "tesa_map",
    "TesaReport": "report",
    "attach": "attached",
    "attach_masks": "attached",
    "automatic": "scramble",
    "eliminate_dead": "eliminate",
    "explain_tesa": "report",
    "propagate": "propagation",
}

__all__ = [
    "Attribute",
    "Code",
    "EliminateDead",
    "PropagateTesa",
    "TesaMap",
    "TesaReport",
    "attach",
    "attach_masks",
    "automatic",
    "eliminate_dead",
    "explain_tesa",
    "propagate",
]


def __getattr__(name: str) -> Any:
    """Import on first use: TVM is slow to import."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
