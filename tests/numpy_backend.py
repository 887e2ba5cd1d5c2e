"""A runtime for tests of import, partition and lowering: regions run in the numpy reference interpreter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tvm
import tvm_ffi

from tvm_aie.plan.graph import LayerGraph
from tvm_aie.plan.reference import evaluate
from tvm_aie.relax import codegen


def _register(graph: LayerGraph) -> None:
    def run(*tensors: Any) -> None:
        count = len(graph.inputs)
        given = {io.tensor: t.numpy() for io, t in zip(graph.inputs, tensors[:count], strict=True)}
        results = evaluate(graph, given)
        for io, out in zip(graph.outputs, tensors[count:], strict=True):
            out.copyfrom(np.ascontiguousarray(results[io.tensor]))

    tvm_ffi.register_global_func(graph.name, run, override=True)


@contextmanager
def numpy_backend() -> Iterator[None]:
    """Compile and run with the reference interpreter inside the ``with``."""

    def backend(graphs: Sequence[LayerGraph], _device: Any) -> tuple[list[Any], list[Any]]:
        for graph in graphs:
            _register(graph)
        return [], [None] * len(graphs)

    previous = codegen.set_backend(backend)
    try:
        yield
    finally:
        codegen.set_backend(previous)


def run_tvm(executable: Any, *inputs: Any) -> list[Any]:
    """Outputs of ``main`` as numpy arrays."""
    machine = tvm.relax.VirtualMachine(executable, tvm.cpu())
    result = machine["main"](*(tvm.runtime.tensor(x) for x in inputs))
    results = [result] if hasattr(result, "numpy") else list(result)
    return [r.numpy() for r in results]
