"""What the subcommands do, without printing: import, compile, run, compare, report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tvm_aie.cli.models import (
    Array,
    OutputMatch,
    TensorInfo,
    compare,
    input_infos,
    onnxruntime_outputs,
    random_inputs,
    read_inputs,
    require_quantised,
)
from tvm_aie.cli.progress import Progress
from tvm_aie.device import Device
from tvm_aie.errors import EmulationFault, TvmAieError

Shapes = Mapping[str, tuple[int, ...]]
MAX_TRACE_EVENTS = 4_000_000

if TYPE_CHECKING:
    from tvm_aie.relax import Compilation, OffloadReport
    from tvm_aie.report.model import NetworkReport
    from tvm_aie.runtime.emulator import RunResult


@dataclass(frozen=True)
class CompiledNetwork:
    """An executable with everything that is known about its compilation."""

    path: Path
    model: Any  # the ONNX model as read
    inputs: tuple[TensorInfo, ...]
    executable: Any
    compilation: Compilation
    device: Device
    seconds: float

    @property
    def output_names(self) -> list[str]:
        """Names of the network's outputs, in order."""
        return [value.name for value in self.model.graph.output]


@dataclass(frozen=True)
class Execution:
    """One inference on the emulator."""

    outputs: tuple[Array, ...]
    runs: tuple[RunResult, ...]  # one result per region, in the order of the compilation
    host_seconds: float


def tvm_target(text: str) -> Any:
    """What TVM takes as target for the command line's ``--target``."""
    return {"tag": "aie2", "model": text} if text.endswith(".toml") else text


def load_tvm() -> Any:
    """TVM with the backend registered, also in a checkout that is not installed."""
    import tvm

    from tvm_aie.targets import install

    install()
    return tvm


def read_model(path: str | Path) -> Any:
    """The ONNX model of a quantised network."""
    from tvm_aie.frontend.onnx_prepare import load_model

    model = load_model(path)
    require_quantised(model, path)
    return model


def compile_network(
    path: str | Path,
    target: str,
    progress: Progress,
    shapes: Shapes | None = None,
    masks: str | Path | None = None,
    model: Any = None,
) -> CompiledNetwork:
    """ONNX file to executable; ``shapes`` fixes dynamic input shapes, ``masks``: what is pruned besides the zeros.

    ``model``: of the file, if it has been read.
    """
    model = read_model(path) if model is None else model
    inputs = input_infos(model, shapes or {})
    with progress.step("loading TVM"):
        tvm = load_tvm()
        from tvm_aie.frontend import from_onnx
        from tvm_aie.relax import last_compilation
    start = time.perf_counter()
    with progress.step(f"compiling {Path(path).name}"):
        module = from_onnx(model, shapes)
        if masks is not None:
            from tvm_aie.tesa import attach_masks

            module = attach_masks(module, masks)
        executable = tvm.compile(module, target=as_known_target(target))
    compilation = last_compilation()
    if compilation is None:
        raise TvmAieError("TVM compiled without the aie2 backend: is the package installed with its entry point?")
    seconds = time.perf_counter() - start
    return CompiledNetwork(Path(path), model, inputs, executable, compilation, compilation.device, seconds)


def as_known_target(text: str) -> Any:
    """The TVM target; an unknown name or a bad device file is a ``DeviceError``."""
    from tvm_aie.device import load_device
    from tvm_aie.errors import DeviceError
    from tvm_aie.targets import as_target

    if text.endswith(".toml"):
        load_device(text)
    elif text != "aie2" and not text.startswith("aie2/"):
        raise DeviceError(
            f"unknown target '{text}': use aie2, aie2/npu1, aie2/wbs-RxC[-mM] or the path of a .toml file"
        )
    return as_target(tvm_target(text))


def explain(path: str | Path, target: str, progress: Progress, shapes: Shapes | None = None) -> OffloadReport:
    """Where each operator runs and why, without compiling."""
    model = read_model(path)
    with progress.step("loading TVM"):
        load_tvm()
        from tvm_aie.frontend import from_onnx
        from tvm_aie.relax.fallback import fitting_partition
        from tvm_aie.targets import device_of
    device = device_of(as_known_target(target))
    with progress.step(f"partitioning {Path(path).name}"):
        return fitting_partition(from_onnx(model, shapes), device)[0].report


def inputs_for(network: CompiledNetwork, files: Sequence[str] | None, seed: int) -> dict[str, Array]:
    """Inputs from files, or seeded random ones."""
    return _inputs(network.inputs, files, seed)


def inputs_of(model: Any, shapes: Shapes | None, files: Sequence[str] | None, seed: int) -> dict[str, Array]:
    """The same for a model that is not compiled yet: a wrong input is said before that."""
    return _inputs(input_infos(model, shapes or {}), files, seed)


def _inputs(infos: Sequence[TensorInfo], files: Sequence[str] | None, seed: int) -> dict[str, Array]:
    return read_inputs(infos, files) if files else random_inputs(infos, seed)


def execute(
    network: CompiledNetwork, inputs: Mapping[str, Array], progress: Progress, trace: bool = False
) -> Execution:
    """Run once on the emulator through TVM's virtual machine."""
    from tvm_aie.runtime.emulator import RunOptions, clear_profile, last_profile, set_run_options

    tvm = load_tvm()
    clear_profile()
    set_run_options(RunOptions(trace=trace, max_trace_events=MAX_TRACE_EVENTS))
    with progress.step(f"emulating {network.path.name} on {network.device.name}"):
        machine = tvm.relax.VirtualMachine(network.executable, tvm.cpu())
        arguments = [tvm.runtime.tensor(inputs[info.name]) for info in network.inputs]
        start = time.perf_counter()
        try:
            result = machine["main"](*arguments)
        except RuntimeError as error:
            raise EmulationFault(str(error).strip().splitlines()[-1]) from error
        finally:
            set_run_options(RunOptions())
        seconds = time.perf_counter() - start
    tensors = [result] if hasattr(result, "numpy") else list(result)
    profile = last_profile()
    runs = tuple(profile[graph.name] for graph in network.compilation.graphs)
    return Execution(tuple(t.numpy() for t in tensors), runs, seconds)


def report_of(network: CompiledNetwork, execution: Execution | None = None) -> NetworkReport:
    """The report of a compile, or of a compile and a run."""
    from tvm_aie.report.collect import build_report
    from tvm_aie.report.model import Label, Time

    measured = [Time("compile, ONNX file to executable", Label.MEASURED, 0.0, network.seconds * 1e3)]
    if execution:
        packing = sum(run.pack_seconds + run.unpack_seconds for run in execution.runs)
        measured.append(Time("host: packing and unpacking of inputs and outputs", Label.MEASURED, 0.0, packing * 1e3))
        measured.append(
            Time("host: the whole call, emulation included", Label.MEASURED, 0.0, execution.host_seconds * 1e3)
        )
    compilation = network.compilation
    runs = execution.runs if execution else ()
    return build_report(network.path.stem, network.device, compilation.report.ops, compilation.compiled, runs, measured)


def check(
    network: CompiledNetwork, inputs: Mapping[str, Array], execution: Execution, progress: Progress
) -> tuple[OutputMatch, ...]:
    """Compare with onnxruntime on the same file and inputs.

    Where float operators of the host stand between array regions, the regions are compared on onnxruntime's tensors.
    """
    from tvm_aie.cli.regions import compare_regions, float_between_regions

    with progress.step("running onnxruntime"):
        names, expected = onnxruntime_outputs(network.path, inputs)
    matches = compare(network.model, names, expected, execution.outputs)
    compilation = network.compilation
    between = float_between_regions(compilation.report.host_ops, len(compilation.graphs))
    if between and not all(match.ok for match in matches):
        with progress.step("comparing region by region"):
            rows = compare_regions(network.model, inputs, compilation.compiled)
        label = f"[host {', '.join(between)} differs in float; region fed onnxruntime's tensors]"
        return tuple(replace(row, name=f"{row.name} {label}") for row in rows)
    return matches
