"""``relay.frontend``: importers that return ``(mod, params)``."""

from __future__ import annotations

from typing import Any


def from_onnx(model: Any, shape: Any = None, dtype: Any = "float32", opset: Any = None,
              freeze_params: bool = True, **_ignored: Any) -> tuple[Any, dict[str, Any]]:  # fmt: skip
    """Import an ONNX model; weights are embedded as constants, so ``params`` is empty."""
    from tvm_aie.frontend.relax_import import from_onnx as import_onnx

    return import_onnx(model, {k: tuple(v) for k, v in (shape or {}).items()}), {}


def from_pytorch(script_module: Any, input_infos: Any, **_ignored: Any) -> tuple[Any, dict[str, Any]]:
    """Import a torch module through ``torch.export``; ``input_infos`` is ``[(name, shape), ...]``. Needs torch."""
    try:
        import torch
    except ImportError as error:
        raise ImportError("relay.frontend.from_pytorch needs torch: pip install torch") from error
    from tvm.relax.frontend.torch import from_exported_program

    shapes = [info[1] if isinstance(info[1], tuple | list) else info[1][0] for info in input_infos]
    program = torch.export.export(script_module, tuple(torch.zeros(*s) for s in shapes))
    mod = from_exported_program(program, keep_params_as_input=False, unwrap_unit_return_tuple=True)
    return mod, {}
