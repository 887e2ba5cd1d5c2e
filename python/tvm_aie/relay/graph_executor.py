"""``tvm.contrib.graph_executor``: set inputs, run, read outputs."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_aie.errors import InputError
from tvm_aie.relay.factory import LoadedExecutable


@dataclass(frozen=True)
class BenchmarkResult:
    """Wall-clock seconds of the host (not of the array; see ``tvm-aie run`` for emulated time)."""

    results: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Mean."""
        return statistics.fmean(self.results)

    @property
    def median(self) -> float:
        """Median."""
        return statistics.median(self.results)

    @property
    def min(self) -> float:
        """Fastest repeat."""
        return min(self.results)

    @property
    def max(self) -> float:
        """Slowest repeat."""
        return max(self.results)

    @property
    def std(self) -> float:
        """Standard deviation."""
        return statistics.pstdev(self.results)

    def __str__(self) -> str:
        """One line, in milliseconds."""
        return f"mean {self.mean * 1e3:.3f} ms, min {self.min * 1e3:.3f} ms, max {self.max * 1e3:.3f} ms [measured]"


class GraphModule:
    """A loaded network with named inputs."""

    def __init__(self, module: LoadedExecutable) -> None:
        """Wrap ``lib["default"](device)``."""
        self.module = module
        self._inputs: dict[int, Any] = {}
        self._outputs: list[Any] | None = None

    def _position(self, key: str | int) -> int:
        signature = self.module.signature
        if isinstance(key, int):
            return key
        if signature is None:
            raise InputError(f"input '{key}': a library read from a file has no names; set inputs by position")
        if key not in signature.names:
            raise InputError(f"no input '{key}'; the network has {', '.join(signature.names)}")
        return signature.names.index(key)

    def set_input(self, key: str | int | None = None, value: Any = None, **params: Any) -> None:
        """Set one input by name or position, and more by keyword."""
        import tvm

        pairs: list[tuple[str | int, Any]] = list(params.items())
        if key is not None:
            pairs.insert(0, (key, value))
        for name, data in pairs:
            position, signature = self._position(name), self.module.signature
            array = data.numpy() if hasattr(data, "numpy") else np.asarray(data)
            if signature is not None:
                if not 0 <= position < len(signature.names):
                    raise InputError(f"no input {position}; the network has {len(signature.names)}")
                shape, dtype = signature.shapes[position], signature.dtypes[position]
                if array.shape != shape or str(array.dtype) != dtype:
                    raise InputError(f"input {name}: expected {dtype} {shape}, got {array.dtype} {array.shape}")
            self._inputs[position] = tvm.runtime.tensor(np.ascontiguousarray(array), self.module.device)

    def run(self, **inputs: Any) -> None:
        """Run once on the inputs set before and those given here."""
        if inputs:
            self.set_input(**inputs)
        expected = len(self._inputs) if self.module.signature is None else len(self.module.signature.names)
        missing = [str(i) for i in range(expected) if i not in self._inputs]
        if missing:
            raise InputError(f"inputs not set: {', '.join(missing)}")
        result = self.module.machine["main"](*(self._inputs[i] for i in range(expected)))
        self._outputs = [result] if hasattr(result, "numpy") else list(result)

    def _results(self) -> list[Any]:
        if self._outputs is None:
            raise InputError("no output yet: call run() first")
        return self._outputs

    def get_num_outputs(self) -> int:
        """Number of outputs (of the last run)."""
        return len(self._results())

    def get_num_inputs(self) -> int:
        """Number of inputs."""
        return len(self._inputs) if self.module.signature is None else len(self.module.signature.names)

    def get_output(self, index: int, out: Any = None) -> Any:
        """Output ``index`` of the last run; copied into ``out`` when that is given."""
        results = self._results()
        if not 0 <= index < len(results):
            raise InputError(f"no output {index}; the network has {len(results)}, counted from 0")
        result = results[index]
        if out is None:
            return result
        result.copyto(out)
        return out

    def get_input(self, key: str | int) -> Any:
        """The value set for an input."""
        return self._inputs[self._position(key)]

    def benchmark(self, _device: Any = None, func_name: str = "run", repeat: int = 5, number: int = 1,
                  end_to_end: bool = False, **inputs: Any) -> BenchmarkResult:  # fmt: skip
        """Wall-clock time of ``run``: the best known use is a comparison on one machine."""
        if inputs:
            self.set_input(**inputs)
        seconds = []
        for _ in range(repeat):
            start = time.perf_counter()
            for _ in range(number):
                self.run()
            seconds.append((time.perf_counter() - start) / number)
        return BenchmarkResult(tuple(seconds))


def create(_graph_json: Any, module: LoadedExecutable, _device: Any = None) -> GraphModule:
    """Relay's older constructor; the graph is inside ``module``."""
    return GraphModule(module)
