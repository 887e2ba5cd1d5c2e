"""The subcommands: arguments to service calls, results to the console. Called by ``main`` as ``cmd_<name>(args)``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from tvm_aie.cli.devices import print_device, print_devices
from tvm_aie.cli.main import EXIT_MISMATCH
from tvm_aie.cli.models import Array, OutputMatch
from tvm_aie.cli.progress import Progress
from tvm_aie.errors import InputError
from tvm_aie.report.console import count, make_console, print_layers, print_summary, print_wrote


def cmd_devices(args: argparse.Namespace) -> int:
    """List the machines, or show one."""
    console = make_console()
    if args.name is None:
        print_devices(console)
    else:
        from tvm_aie.device import load_device

        print_device(console, load_device(args.name.removeprefix("aie2/")))
    return 0


def cmd_compile(args: argparse.Namespace) -> int:
    """Compile; print placement, sparsity, memory and the closed-form times."""
    from tvm_aie.cli import service
    from tvm_aie.report.files import write_json

    if args.emit and not args.output:
        raise InputError("--emit needs a folder: add -o DIR")
    progress = Progress(args.quiet)
    network = service.compile_network(args.model, args.target, progress, shapes_of(args.shape))
    report = service.report_of(network)
    console = make_console()
    print_summary(console, report, "compile")
    if args.output:
        folder = output_folder(args.output)
        library = folder / f"{report.network}.so"
        network.executable.export_library(str(library))
        wrote = [library, write_json(report, folder / "report.json")]
        if args.emit:
            from tvm_aie.cli.design_cmd import write_designs

            wrote += write_designs(network.compilation, folder, progress)
        print_wrote(console, wrote)
    return 0


def cmd_run(args: argparse.Namespace) -> int:
    """Compile, run, report."""
    from tvm_aie.cli import service
    from tvm_aie.report.files import write_csv, write_json

    progress = Progress(args.quiet)
    model, shapes = service.read_model(args.model), shapes_of(args.shape)
    inputs = service.inputs_of(model, shapes, args.input, args.seed)
    network = service.compile_network(args.model, args.target, progress, shapes, model=model)
    execution = service.execute(network, inputs, progress)
    report = service.report_of(network, execution)
    console = make_console()
    print_layers(console, report)
    print_summary(console, report, "run")
    if not args.input:
        console.print(f"input       random values, seed {args.seed} (pass data with --input)")
    code = 0
    if args.check:
        code = print_check(console, service.check(network, inputs, execution, progress))
    if args.output:
        folder = output_folder(args.output)
        outputs = save_outputs(folder / "outputs.npz", network.output_names, execution.outputs)
        print_wrote(
            console, [outputs, write_json(report, folder / "report.json"), write_csv(report, folder / "layers.csv")]
        )
    return code


def cmd_profile(args: argparse.Namespace) -> int:
    """Run with a trace; write it with the picture."""
    from tvm_aie.cli import service
    from tvm_aie.report.events import timeline_of
    from tvm_aie.report.files import write_csv, write_json
    from tvm_aie.report.trace import write_trace

    progress, console, folder = Progress(args.quiet), make_console(), output_folder(args.output)
    variants, wrote = [], []
    code = 0
    shapes, paths = shapes_of(args.shape), (args.model, *([args.beside] if args.beside else []))
    models = [service.read_model(path) for path in paths]
    given = [service.inputs_of(model, shapes, args.input, args.seed) for model in models]
    for path, model, inputs in zip(paths, models, given, strict=True):
        network = service.compile_network(path, args.target, progress, shapes, model=model)
        execution = service.execute(network, inputs, progress, trace=True)
        report = service.report_of(network, execution)
        print_layers(console, report)
        print_summary(console, report, "profile")
        if args.check:
            code = max(code, print_check(console, service.check(network, inputs, execution, progress)))
        timeline = timeline_of(network.device, network.compilation.compiled, execution.runs)
        variants.append((report.network, timeline))
        name = report.network if len(variants) == 1 else unused_name(report.network, variants[0][0])
        wrote += [
            write_json(report, folder / f"{name}.json"),
            write_csv(report, folder / f"{name}.csv"),
            write_trace(timeline, folder / f"{name}.trace.json"),
        ]
    try:
        from tvm_aie.report.timeline import write_timeline

        wrote.append(write_timeline(variants, folder / "timeline.png"))
    except InputError as error:
        console.print(f"picture     {error}", markup=False)
    print_wrote(console, wrote)
    console.print("open the .trace.json files at https://ui.perfetto.dev (nothing is uploaded)")
    return code


def cmd_explain(args: argparse.Namespace) -> int:
    """Where each operator runs, and why not on the array; with ``--tesa`` what propagation finds dead."""
    from tvm_aie.cli import service

    if args.tesa or args.emulate or args.masks:
        from tvm_aie.cli import tesa

        options = (args.model, args.target, Progress(args.quiet), shapes_of(args.shape))
        print(tesa.tesa_text(*options, masks=args.masks))
        if args.emulate:  # what the file does not say is pruned, onnxruntime does not know
            gain = tesa.measure(*options, check=not args.masks, masks=args.masks)
            print(gain.text())
            return 0 if gain.equal is not False else EXIT_MISMATCH
        return 0
    report = service.explain(args.model, args.target, Progress(args.quiet), shapes_of(args.shape))
    console = make_console()
    total = report.macs or 1
    host = report.host_ops
    console.print(
        f"{len(report.ops) - len(host)} of {len(report.ops)} operators on the array, "
        f"{100 * report.mac_share:.2f} % of {count(report.macs)} MACs, in {report.regions} region(s)",
    )
    for op in report.ops:
        where = "array" if op.on_array else "CPU  "
        reason = "" if op.on_array else f"  {op.reason}"
        console.print(f"{where}  {100 * op.macs / total:6.2f} %  {op.name} ({op.kind}){reason}", markup=False)
    return 0


def cmd_quantize(args: argparse.Namespace) -> int:
    """Float network to XINT8."""
    from tvm_aie.quantize import quantize_file

    target = Path(args.output or f"{Path(args.model).stem}_int8.onnx")
    console = make_console()
    with Progress(args.quiet).step(f"quantising {args.model}"):
        result = quantize_file(args.model, target, args.calib, args.seed, args.prefer, shapes=shapes_of(args.shape))
    for line in result.notes:
        console.print(line, markup=False)
    print_wrote(console, [target])
    return 0


def cmd_sparsify(args: argparse.Namespace) -> int:
    """Magnitude masks per layer."""
    import onnx

    from tvm_aie.frontend.onnx_prepare import load_model
    from tvm_aie.sparsity import narrow_weights, sparsify

    target = Path(args.output or f"{Path(args.model).stem}_sparse.onnx")
    console = make_console()
    with Progress(args.quiet).step(f"sparsifying {args.model}"):
        model, report = sparsify(
            load_model(args.model), args.density, args.block, args.norm, args.keep, args.allow_empty, args.scope
        )
        texts = [report.text()]
        if args.weight_bits == 4:
            model, narrowed = narrow_weights(model)
            texts.append(narrowed.text())
        output_folder(str(target.parent))
        onnx.save(model, target)
    for text in texts:
        console.print(text, markup=False)
    print_wrote(console, [target])
    return 0


def cmd_demo(args: argparse.Namespace) -> int:
    """ResNet-50, dense and sparse."""
    from tvm_aie.cli.demo import run_demo

    return run_demo(output_folder(args.output), args.target, args.seed, Progress(args.quiet))


def shapes_of(options: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """``--shape name=1,3,224,224`` options."""
    shapes = {}
    for option in options:
        name, _, dims = option.rpartition("=")
        try:
            shapes[name] = tuple(int(d) for d in dims.split(","))
        except ValueError:
            shapes[name] = ()
        if not name or not shapes[name] or min(shapes[name]) < 1:
            raise InputError(f"--shape {option}: write it as name=1,3,224,224")
    return shapes


def output_folder(path: str) -> Path:
    """The folder, made if needed."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror or error}") from error
    return folder


def unused_name(name: str, used: str) -> str:
    """``name``, or another for a second file of the same name in another folder."""
    return f"{name}_beside" if name == used else name


def save_outputs(path: Path, names: Sequence[str], outputs: Sequence[Array]) -> Path:
    """Outputs by name."""
    import numpy as np

    arrays: dict[str, Any] = dict(zip(names, outputs, strict=True))
    np.savez(path, **arrays)
    return path


def print_check(console: Console, matches: Sequence[OutputMatch]) -> int:
    """Say for each output whether it equals onnxruntime's; the exit code."""
    for match in matches:
        required = f"within {match.tolerance:g} of" if match.tolerance else "equal to"
        if match.ok:
            text = f"{match.name}: all {count(match.elements)} values {required} onnxruntime's"
        else:
            text = (
                f"{match.name}: {count(match.different)} of {count(match.elements)} values are not {required} "
                f"onnxruntime's, largest difference {match.max_difference:g}"
            )
        console.print(f"check       {text}", markup=False)
    return 0 if all(match.ok for match in matches) else EXIT_MISMATCH
