"""``quantize_file``: from a float ONNX file to an XINT8 file, with Quark where it is installed or our own writer."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from tvm_aie.errors import InputError, TvmAieError
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, first_line
from tvm_aie.frontend.onnx_prepare import Shapes, load_model, prepare_graph
from tvm_aie.quantize.calibrate import check_sample, random_samples
from tvm_aie.quantize.xint8 import check_float, quantize

MAX_SAMPLES = 32
Samples = list[dict[str, Array]]


@dataclass(frozen=True)
class QuantizeResult:
    """What was written and how; ``notes`` are sentences the command line prints."""

    path: Path
    writer: str
    samples: int
    notes: tuple[str, ...]


def quantize_file(
    path: str | Path,
    out: str | Path,
    calib_path: str | Path | None = None,
    seed: int = 0,
    prefer: str = "auto",
    bias_bits: int = 8,
    shapes: Shapes | None = None,
) -> QuantizeResult:
    """Quantise the float network in ``path`` to XINT8 and write ``out``.

    ``calib_path``: .npy (one input; first axis counts samples or batches) or .npz (one array per input); None
    calibrates on one sample of seeded normal noise, which ``notes`` says. ``prefer``: 'auto' (Quark if it can
    be imported), 'own', 'quark'. Raises ModelError, InputError (options, data, Quark asked for but missing).
    """
    if prefer not in ("auto", "own", "quark"):
        raise InputError(f"prefer '{prefer}' is unknown; there are auto, own, quark")
    quark = quark_available()
    if prefer == "quark" and not quark:
        raise InputError("AMD Quark is not installed: pip install 'tvm-aie[quantize]', or leave --prefer at auto")
    model = load_model(path)
    graph = prepare_graph(model, shapes)
    check_float(graph)
    samples, notes = calibration_samples(graph, calib_path, seed)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    if prefer == "quark" or (prefer == "auto" and quark and bias_bits == 8):
        writer = "AMD Quark XINT8"
        _quantize_with_quark(graph, samples, out)
    else:
        writer = "tvm-aie XINT8 writer"
        del graph
        onnx.save(quantize(model, samples, seed, bias_bits, shapes), out)
    return QuantizeResult(out, writer, len(samples), (f"quantised with the {writer}", *notes))


def quark_available() -> bool:
    """True when both amd-quark and torch can be imported; neither is imported here."""
    return all(importlib.util.find_spec(name) is not None for name in ("quark", "torch"))


# ------------------------------------------------------------------------------------ calibration
def calibration_samples(graph: OnnxGraph, path: str | Path | None, seed: int) -> tuple[Samples, list[str]]:
    """Samples of exactly the input shapes, and notes to print. Raises InputError."""
    if path is None:
        note = (
            f"no calibration data was given: ranges come from one sample of normal noise (seed {seed}); "
            "give real inputs with --calib data.npz for a network whose accuracy matters"
        )
        return [dict(s) for s in random_samples(graph, seed)], [note]
    arrays = _read_arrays(Path(path), [i.name for i in graph.inputs])
    counts = set()
    parts: dict[str, list[Array]] = {}
    for info in graph.inputs:
        if info.name not in arrays:
            raise InputError(f"{path}: no array for input '{info.name}'; it has {', '.join(arrays) or 'nothing'}")
        parts[info.name] = _split(arrays[info.name], graph.shapes[info.name], info.name, path)
        counts.add(len(parts[info.name]))
    if len(counts) != 1 or 0 in counts:
        raise InputError(f"{path}: the inputs have {sorted(counts)} samples; all need the same number, at least one")
    count = min(counts.pop(), MAX_SAMPLES)
    samples = [check_sample(graph, {k: v[i] for k, v in parts.items()}) for i in range(count)]
    return samples, [f"ranges come from {count} sample{'s' if count > 1 else ''} of {path}"]


def _read_arrays(path: Path, inputs: list[str]) -> dict[str, Array]:
    if not path.is_file():
        raise InputError(f"{path}: no such calibration file")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if len(inputs) != 1:
                raise InputError(f"{path}: the network has {len(inputs)} inputs; give a .npz with {', '.join(inputs)}")
            return {inputs[0]: loaded}
        arrays = {k: loaded[k] for k in loaded.files}
    except TvmAieError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not a .npy or .npz file that can be read ({first_line(error)})") from error
    if len(inputs) == 1 and len(arrays) == 1:
        return {inputs[0]: next(iter(arrays.values()))}
    return arrays


def _split(value: Array, shape: tuple[int, ...], name: str, path: str | Path) -> list[Array]:
    """(S*N, ...), (S, N, ...) or one sample without batch -> samples of ``shape`` = (N, ...)."""
    if value.dtype.kind not in "fiub":
        raise InputError(f"{path}: '{name}' holds {value.dtype}, numbers are needed")
    if value.shape == shape[1:] and shape[0] == 1:
        return [value[None]]
    if value.ndim == len(shape) + 1 and value.shape[1:] == shape:
        return list(value)
    if value.ndim == len(shape) and value.shape[1:] == shape[1:]:
        return [value[i : i + shape[0]] for i in range(0, value.shape[0] - shape[0] + 1, shape[0])]
    raise InputError(f"{path}: '{name}' has shape {value.shape}; the network's input is {shape}")


# ------------------------------------------------------------------------------------ Quark
def _quantize_with_quark(graph: OnnxGraph, samples: Iterable[Mapping[str, Array]], out: Path) -> None:
    """Run Quark's XINT8 configuration; its file is written as it comes, unsorted nodes and all."""
    import contextlib
    import tempfile

    from onnxruntime.quantization.calibrate import CalibrationDataReader
    from quark.onnx import ModelQuantizer
    from quark.onnx.quantization.config import QConfig

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands the samples to Quark one by one."""

        def __init__(self) -> None:
            self.samples = iter([dict(s) for s in samples])

        def get_next(self) -> dict[str, Array] | None:
            """The next sample, None at the end."""
            return next(self.samples, None)

    target = out.resolve()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.onnx"
        onnx.save(graph.to_model(), source)
        try:
            with contextlib.chdir(folder):  # Quark leaves a quantized_info.csv where it runs
                quantizer = ModelQuantizer(QConfig.get_default_config("XINT8"))
                quantizer.quantize_model(str(source), str(target), Reader())
        except Exception as error:
            cause = first_line(error)
            raise InputError(f"AMD Quark failed ({cause}); --prefer own uses the built-in writer") from error
    if not out.is_file():
        raise InputError("AMD Quark wrote no file; --prefer own uses the built-in writer")
