"""ONNX files as the command line needs them: inputs, form, random data, the onnxruntime oracle. No TVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.errors import InputError, ModelError

Array = npt.NDArray[Any]
SOFTMAX_RTOL = 1e-5


@dataclass(frozen=True)
class TensorInfo:
    """A network input."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class OutputMatch:
    """Comparison of one network output with onnxruntime's."""

    name: str
    elements: int
    different: int
    max_difference: float
    tolerance: float  # 0: exact equality was required

    @property
    def ok(self) -> bool:
        """Within what was required."""
        return self.different == 0


def input_infos(model: Any, shapes: Mapping[str, tuple[int, ...]]) -> tuple[TensorInfo, ...]:
    """Names, shapes and types of the inputs that are no initialisers; ``shapes`` replaces dynamic ones."""
    import onnx

    constants = {tensor.name for tensor in model.graph.initializer}
    infos = []
    for value in model.graph.input:
        if value.name in constants:
            continue
        kind = value.type.tensor_type
        shape = shapes.get(value.name, tuple(int(d.dim_value) for d in kind.shape.dim))
        if any(d <= 0 for d in shape):
            raise ModelError(
                f"input {value.name} has a dynamic shape: give it a fixed one, e.g. --shape {value.name}=1,3,224,224"
            )
        infos.append(TensorInfo(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)))
    return tuple(infos)


def require_quantised(model: Any, path: str | Path) -> None:
    """Raise unless the network is in QDQ form."""
    operators = {node.op_type for node in model.graph.node}
    if not operators & {"QuantizeLinear", "DequantizeLinear"}:
        raise InputError(
            f"{path} is a float network; the array computes on int8. Run `tvm-aie quantize {path}` first "
            "and compile the file that it writes"
        )


def random_inputs(infos: Sequence[TensorInfo], seed: int) -> dict[str, Array]:
    """Seeded values: standard normal for floats, the full range for integers."""
    generator = np.random.default_rng(seed)
    values: dict[str, Array] = {}
    for info in infos:
        if info.dtype.kind == "f":
            values[info.name] = generator.standard_normal(info.shape).astype(info.dtype)
        else:
            limits = np.iinfo(info.dtype)
            values[info.name] = generator.integers(limits.min, limits.max, info.shape, info.dtype, endpoint=True)
    return values


def read_inputs(infos: Sequence[TensorInfo], paths: Sequence[str]) -> dict[str, Array]:
    """Inputs from .npy files (in order) or one .npz (by name), checked against the network."""
    arrays: dict[str, Array] = {}
    names = [info.name for info in infos]
    for path in paths:
        loaded = _load(path)
        if isinstance(loaded, Mapping):
            arrays.update(loaded)
        elif len(arrays) < len(names):
            arrays[names[len(arrays)]] = loaded
        else:
            raise InputError(f"{path}: the network has only {len(names)} input(s): {', '.join(names)}")
    unknown = [name for name in arrays if name not in names]
    if unknown:
        raise InputError(f"no input called {', '.join(unknown)}; the network has {', '.join(names)}")
    for info in infos:
        if info.name not in arrays:
            raise InputError(f"input {info.name} is missing: pass it with --input")
        check_input(info, arrays[info.name])
    return arrays


def check_input(info: TensorInfo, value: Array) -> None:
    """Raise ``InputError`` for a wrong shape or type, and for NaN."""
    if tuple(value.shape) != info.shape:
        raise InputError(f"input {info.name} has shape {tuple(value.shape)}, the network wants {info.shape}")
    if value.dtype != info.dtype:
        raise InputError(f"input {info.name} has type {value.dtype}, the network wants {info.dtype}")
    if info.dtype.kind == "f" and np.isnan(value).any():
        raise InputError(f"input {info.name} holds NaN, which has no integer value")


def _load(path: str) -> Array | Mapping[str, Array]:
    try:
        loaded = np.load(path, allow_pickle=False)
        return dict(loaded) if hasattr(loaded, "files") else loaded
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except Exception as error:
        raise InputError(f"{path}: not a .npy or .npz file of numbers ({error})") from error


def onnxruntime_outputs(path: str | Path, inputs: Mapping[str, Array]) -> tuple[list[str], list[Array]]:
    """Names and values of the outputs by onnxruntime, graph optimisations disabled."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, dict(inputs))
    except Exception as error:
        raise ModelError(f"onnxruntime cannot run {path}: {str(error).splitlines()[0]}") from error
    return [output.name for output in session.get_outputs()], outputs


def ends_in_float(model: Any, output: str) -> bool:
    """True when ``output`` is computed by a float operator (a softmax after the last DequantizeLinear)."""
    producers = {name: node for node in model.graph.node for name in node.output}
    node = producers.get(output)
    while node is not None and node.op_type in ("Reshape", "Flatten", "Squeeze", "Identity", "Transpose", "Unsqueeze"):
        node = producers.get(node.input[0])
    return node is not None and node.op_type not in ("DequantizeLinear", "QuantizeLinear")


def compare(
    model: Any, names: Sequence[str], expected: Sequence[Array], actual: Sequence[Array]
) -> tuple[OutputMatch, ...]:
    """Exact equality; only an output of a float operator on the host gets a relative tolerance."""
    rows = []
    for name, want, got in zip(names, expected, actual, strict=True):
        if want.shape != got.shape:
            raise ModelError(f"output {name}: onnxruntime gives shape {want.shape}, the array {got.shape}")
        tolerance = SOFTMAX_RTOL if ends_in_float(model, name) else 0.0
        wide_want, wide_got = want.astype(np.float64), got.astype(np.float64)
        close = np.isclose(wide_got, wide_want, rtol=tolerance, atol=0) if tolerance else want == got
        gap = float(np.abs(wide_got - wide_want).max()) if want.size else 0.0
        rows.append(OutputMatch(name, want.size, int(want.size - np.count_nonzero(close)), gap, tolerance))
    return tuple(rows)
