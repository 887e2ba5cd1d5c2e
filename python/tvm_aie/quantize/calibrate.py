"""What values the tensors of a float network take: maximum and a sample of each, from runs of onnxruntime.

Weights are fed as inputs by reference, not copied into the session, and outputs are taken in groups, so that the
memory needed is the weights once plus a bounded piece of the activations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from tvm_aie.errors import InputError, ModelError
from tvm_aie.frontend.onnx_fold import quiet_options
from tvm_aie.frontend.onnx_graph import Array, OnnxGraph, first_line

FloatArray = npt.NDArray[np.float32]
GROUP_BYTES = 256 << 20  # activations held at once
SAMPLE_ELEMENTS = 1 << 15  # per tensor and calibration sample
Sample = Mapping[str, Array]


@dataclass
class Observed:
    """Largest magnitude seen in a tensor, and an evenly strided sample of its values."""

    largest: float
    values: FloatArray


def random_samples(graph: OnnxGraph, seed: int, count: int = 1) -> list[dict[str, FloatArray]]:
    """Normal noise of standard deviation 1 for every float input, deterministic in ``seed``."""
    rng = np.random.default_rng([seed, 0xCA11B])
    return [
        {i.name: rng.standard_normal(graph.shapes[i.name], dtype=np.float32) for i in graph.inputs}
        for _ in range(count)
    ]


def observe(graph: OnnxGraph, tensors: Sequence[str], samples: Iterable[Sample]) -> dict[str, Observed]:
    """Run the float network on each sample; returns what was seen of each of ``tensors``.

    Raises InputError where a sample does not suit the inputs or holds NaN, ModelError where the network yields NaN.
    """
    seen: dict[str, list[FloatArray]] = {t: [] for t in tensors}
    largest = dict.fromkeys(tensors, 0.0)
    count = 0
    runner = Runner(graph, tensors)
    for sample in samples:
        count += 1
        for name, value in runner.run(check_sample(graph, sample)):
            top = float(np.max(np.abs(value))) if value.size else 0.0
            if not np.isfinite(top):
                raise ModelError(f"tensor '{name}' becomes NaN or infinite on calibration sample {count - 1}")
            largest[name] = max(largest[name], top)
            seen[name].append(strided(value))
    if count == 0:
        raise InputError("no calibration sample was given")
    return {t: Observed(largest[t], np.concatenate(seen[t])) for t in tensors}


def strided(value: Array) -> FloatArray:
    """At most SAMPLE_ELEMENTS values of a tensor at an even, odd-numbered stride."""
    flat = np.asarray(value, np.float32).reshape(-1)
    step = -(-flat.size // SAMPLE_ELEMENTS) | 1
    return flat[::step].copy()


def check_sample(graph: OnnxGraph, sample: Sample) -> dict[str, Array]:
    """The sample as float32 arrays of exactly the network's input shapes. Raises InputError."""
    feeds: dict[str, Array] = {}
    for info in graph.inputs:
        if info.name not in sample:
            raise InputError(f"the calibration data has no '{info.name}'; it has {', '.join(sample) or 'nothing'}")
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        value = np.ascontiguousarray(sample[info.name], dtype)
        if value.shape != graph.shapes[info.name]:
            shape = graph.shapes[info.name]
            raise InputError(f"calibration data for '{info.name}' has shape {value.shape}, the input is {shape}")
        if not np.all(np.isfinite(value)):
            raise InputError(f"calibration data for '{info.name}' holds NaN or infinite values")
        feeds[info.name] = value
    return feeds


class Runner:
    """Runs a graph and hands out chosen tensors group by group."""

    def __init__(self, graph: OnnxGraph, tensors: Sequence[str]) -> None:
        """A session on ``graph`` that can output every one of ``tensors``. Raises ModelError."""
        import onnxruntime as ort

        self.graph = graph
        inputs = {i.name for i in graph.inputs}
        self.inputs = [t for t in tensors if t in inputs]
        self.groups = _groups(graph, [t for t in tensors if t not in inputs])
        model = graph.skeleton()
        embedded = {t.name for t in model.graph.initializer}
        self.weights: dict[str, Any] = {k: v for k, v in graph.constants.items() if k not in embedded}
        present = {o.name for o in model.graph.output}
        for name in tensors:
            if name not in present and name not in inputs:
                model.graph.output.add().name = name
        try:
            model = onnx.shape_inference.infer_shapes(model)
            options, provider = quiet_options(), ["CPUExecutionProvider"]
            self.session = ort.InferenceSession(model.SerializeToString(), options, providers=provider)
        except Exception as error:
            raise ModelError(f"onnxruntime cannot run the network: {first_line(error)}") from error

    def run(self, feeds: Mapping[str, Array]) -> Iterable[tuple[str, Array]]:
        """Name and value of each chosen tensor for one sample; values are dropped between groups."""
        for name in self.inputs:
            yield name, feeds[name]
        known = {**self.weights, **feeds}
        for group in self.groups:
            yield from zip(group, self.session.run(group, known), strict=True)


def _groups(graph: OnnxGraph, tensors: Sequence[str]) -> list[list[str]]:
    groups: list[list[str]] = []
    room = 0
    for name in tensors:
        size = 4 * int(np.prod(graph.shapes[name]))
        if not groups or size > room:
            groups.append([])
            room = GROUP_BYTES
        groups[-1].append(name)
        room -= size
    return groups
