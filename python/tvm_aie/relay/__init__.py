"""Relay compatibility: installed as ``tvm.relay`` and ``tvm.contrib.graph_executor`` when TVM has none.

    from tvm import relay
    from tvm.contrib import graph_executor
    mod, params = relay.frontend.from_onnx(onnx_model, shape)
    lib = relay.build(mod, target="aie2", params=params)
    lib.export_library("net.so")
    module = graph_executor.GraphModule(lib["default"](tvm.cpu()))

Only these calls exist; the IR underneath is Relax. Everything else of Relay is gone from TVM.
"""

from __future__ import annotations

from typing import Any

from tvm_aie.relay import frontend
from tvm_aie.relay.factory import ExecutorFactory, load_module

__all__ = ["ExecutorFactory", "build", "frontend", "load_module"]


def build(mod: Any, target: Any = None, target_host: Any = None, params: Any = None, mod_name: str = "default",
          **_ignored: Any) -> ExecutorFactory:  # fmt: skip
    """Compile a module from ``relay.frontend`` for a target; returns the factory ``lib["default"](device)``."""
    import tvm

    if params:
        mod = tvm.relax.transform.BindParams("main", dict(params))(mod)
    return ExecutorFactory(tvm.compile(mod, target=target or "llvm"), mod_name, ExecutorFactory.signature_of(mod))


def optimize(mod: Any, target: Any = None, params: Any = None) -> tuple[Any, Any]:
    """Relay's ``optimize``: nothing to do before ``build``."""
    return mod, params or {}
