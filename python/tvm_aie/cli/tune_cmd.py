"""``tvm-aie tune``, and ``--records`` of the other subcommands."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tvm_aie.cli.progress import Progress
from tvm_aie.errors import InputError
from tvm_aie.report.console import make_console, print_wrote

if TYPE_CHECKING:
    from tvm_aie.tune.tuner import Progress as Trial
    from tvm_aie.tune.tuner import TuneResult

Handler = Callable[[argparse.Namespace], int]
LINE_SECONDS = 5.0


def require_tuner() -> None:
    """Raise unless the packages of the extra [tune] are here."""
    missing = []
    for name in ("xgboost", "psutil", "cloudpickle", "tornado"):
        try:
            __import__(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise InputError(f"tuning needs {', '.join(missing)}: pip install 'tvm-aie[tune]'")


def warnings_as_lines(console: Console) -> None:
    """One line on stderr per warning, without the place in our code."""

    def show(message: Any, *_: Any, **__: Any) -> None:
        console.print(f"tvm-aie: warning: {message}", markup=False, highlight=False, soft_wrap=True)

    warnings.showwarning = show


def with_records(handler: Handler) -> Handler:
    """Run a subcommand with the records of ``--records`` in scope."""

    def run(args: argparse.Namespace) -> int:
        from tvm_aie.cli import service

        warnings_as_lines(make_console(stderr=True))
        require_tuner()
        service.load_tvm()
        from tvm_aie.tune.records import load_records

        with load_records(args.records):
            return handler(args)

    return run


def cmd_tune(args: argparse.Namespace) -> int:
    """Search, record, and say what it bought."""
    from tvm_aie.cli import service
    from tvm_aie.cli.commands import output_folder, shapes_of

    require_tuner()
    progress, console = Progress(args.quiet), make_console()
    warnings_as_lines(make_console(stderr=True))
    service.read_model(args.model)
    with progress.step("loading TVM"):
        service.load_tvm()
        from tvm_aie.frontend import from_onnx
        from tvm_aie.tune.tuner import TuneOptions, tune
    target = service.as_known_target(args.target)
    folder = output_folder(args.work_dir)
    with progress.step(f"reading {Path(args.model).name}"):
        module = from_onnx(args.model, shapes_of(args.shape))
    rpc = (*args.rpc, args.key) if args.rpc else None
    workers = max(0, args.workers)
    options = TuneOptions(seed=args.seed, workers=workers, rpc=rpc, model=args.cost_model, start=args.start)
    start = time.perf_counter()
    lines = _Lines(args.quiet)
    try:
        result = tune(module, target, args.trials, folder, options, lines)
    except KeyboardInterrupt:
        make_console(stderr=True).print(f"interrupted; run the same command to go on from {folder}")
        raise
    print_result(console, result, time.perf_counter() - start)
    console.print(f"use them    tvm-aie run {args.model} --target {args.target} --records {folder}", markup=False)
    if args.plot:
        from tvm_aie.tune.plots import plot_history

        print_wrote(console, [plot_history(result.history, args.plot)])
    return 0


class _Lines:
    """Progress of the search on stderr: at most one line in five seconds."""

    def __init__(self, quiet: bool) -> None:
        self._console = None if quiet else make_console(stderr=True)
        self._last = -LINE_SECONDS

    def __call__(self, trial: Trial) -> None:
        now = time.perf_counter()
        if self._console is None or now - self._last < LINE_SECONDS:
            return
        self._last = now
        if trial.doing:
            text = trial.doing
        elif trial.layer:
            best = f"best {trial.best_cycles:,.0f} cycles, default {trial.default_cycles:,.0f}"
            text = f"trial {trial.trial} of {trial.trials}: {trial.layer}: {best} [emulated, layer alone]"
        else:
            text = f"network emulated {trial.trial} times: best {trial.best_cycles:,.0f} cycles [emulated]"
        self._console.print(text, style="dim", markup=False)


def print_result(console: Console, result: TuneResult, seconds: float) -> None:
    """Layers with what they gained alone, then the networks."""
    table = Table("layer", "times", "schedules", "trials", "untuned", "tuned", "gain", "note")
    for column in table.columns[1:7]:
        column.justify = "right"
    for task in result.tasks:
        gain = f"{100 * (1 - task.best_cycles / task.default_cycles):.1f} %" if task.trials else ""
        times = (f"{task.default_cycles:,.0f}", f"{task.best_cycles:,.0f}") if task.trials else ("", "")
        counts = (str(task.weight), str(task.points), str(task.trials))
        table.add_row(task.layer, *counts, *times, gain, task.note[:40])
    console.print(table)
    console.print("layers: emulated cycles of the layer alone, in steady state")
    trials = sum(task.trials for task in result.tasks)
    for net in result.networks:
        before, after = net.untuned_cycles, net.tuned_cycles
        ms = result.device.cycles_to_ms
        console.print(
            f"network     {net.network}: untuned {ms(before):.3f} ms, tuned {ms(after):.3f} ms "
            f"({100 * (1 - after / before):.1f} % faster), {len(net.choice)} layers changed [emulated, without launch]",
            markup=False,
        )
        for name, value in net.plan:
            console.print(f"            {name}: {value}", markup=False)
    console.print(f"search      {trials} trials in {seconds:.0f} s")
