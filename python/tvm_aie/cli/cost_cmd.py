"""``tvm-aie cost fit | eval | validate | roofline``."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tvm_aie.cli.progress import Progress
from tvm_aie.report.console import make_console, print_wrote

if TYPE_CHECKING:
    from tvm_aie.cost.learned import Evaluation, Sample
    from tvm_aie.cost.silicon import Validation


def cmd_cost(args: argparse.Namespace) -> int:
    """Dispatch on the action."""
    code: int = {"fit": _fit, "eval": _eval, "validate": _validate, "roofline": _roofline}[args.action](args)
    return code


def _device(args: argparse.Namespace) -> Any:
    from tvm_aie.device import load_device

    name = args.target.removeprefix("aie2/")
    return load_device("npu1" if name == "aie2" else name)


def _samples(args: argparse.Namespace) -> list[Sample]:
    from tvm_aie.cli import service
    from tvm_aie.cli.tune_cmd import require_tuner, warnings_as_lines

    require_tuner()
    warnings_as_lines(make_console(stderr=True))
    progress = Progress(args.quiet)
    with progress.step("loading TVM"):
        service.load_tvm()
        from tvm_aie.cost.learned import sample
        from tvm_aie.tune.records import all_measured, load_records
        from tvm_aie.tune.space import digest_of
    device = _device(args)
    with progress.step(f"reading {args.records}"):
        found = [m for m in all_measured(load_records(args.records), device) if math.isfinite(m.cycles)]
        return [sample(digest_of(m.space.key), m.space.work, m.space.points[m.point], device, m.cycles) for m in found]


def _fit(args: argparse.Namespace) -> int:
    from tvm_aie.cost.learned import LearnedModel

    samples = _samples(args)
    model = LearnedModel(args.seed)
    model.fit(samples)
    model.save(args.output)
    console = make_console()
    layers = len({s.group for s in samples})
    console.print(f"trained on {len(samples)} measurements of {layers} layers [emulated]", markup=False)
    print_wrote(console, [args.output])
    return 0


def _eval(args: argparse.Namespace) -> int:
    from tvm_aie.cost.learned import LearnedModel, cross_validate, evaluate

    samples = _samples(args)
    if args.model:
        rows = evaluate(LearnedModel.load(args.model), samples)
    else:
        rows = cross_validate(samples, args.seed)
    console = make_console()
    print_evaluation(console, rows)
    how = f"model {args.model}" if args.model else "each layer judged by a model trained on the others"
    console.print(how, markup=False)
    return 0


def print_evaluation(console: Console, rows: list[Evaluation]) -> None:
    """A line per layer and the means."""
    table = Table("layer", "measured", "rank", "top-1 loss", "error", "rank, estimate", "top-1 loss, estimate")
    for column in table.columns[1:]:
        column.justify = "right"
    for r in rows:
        table.add_row(r.group, str(r.count), *_means([r]))
    if rows:
        table.add_section()
        table.add_row("mean", str(sum(r.count for r in rows)), *_means(rows))
    console.print(table)


def _means(rows: list[Evaluation]) -> list[str]:
    n = len(rows)
    ranks = (sum(r.rank_correlation for r in rows) / n, sum(r.estimate_rank_correlation for r in rows) / n)
    losses = (sum(r.top1_loss for r in rows) / n, sum(r.estimate_top1_loss for r in rows) / n)
    error = sum(r.error for r in rows) / n
    return [f"{ranks[0]:.3f}", f"{100 * losses[0]:.1f} %", f"{100 * error:.1f} %", f"{ranks[1]:.3f}",
            f"{100 * losses[1]:.1f} %"]  # fmt: skip


def _validate(args: argparse.Namespace) -> int:
    from tvm_aie.cost.silicon import read_rows, validate

    result = validate(read_rows(args.csv), _device(args))
    console = make_console()
    print_validation(console, result, args.all)
    return 0


def print_validation(console: Console, result: Validation, everything: bool) -> None:
    """Every predicted row, then the mean error of each group."""
    table = Table("row", "group", "predicted", "measured", "unit", "error", "used")
    for index in (2, 3, 5):
        table.columns[index].justify = "right"
    for p in result.predictions:
        used = "fit" if p.fitted else "judge" if p.judged else "source scatters"
        table.add_row(p.row.id, p.group, f"{p.predicted:,.2f}", f"{p.row.value:,.2f}", p.row.unit,
                      f"{100 * p.error:+.1f} %", used)  # fmt: skip
    console.print(table)
    sums = Table("group", "rows", "mean absolute error", "rows used to fit", "other rows")
    for column in sums.columns[1:]:
        column.justify = "right"
    for group in result.groups:
        count = sum(1 for p in result.predictions if p.group == group and p.judged)
        errors = [result.mape(group, which) for which in (None, True, False)]
        sums.add_row(group, str(count), *("" if math.isnan(e) else f"{100 * e:.2f} %" for e in errors))
    console.print(sums)
    console.print("predicted: estimated; measured: by the source on silicon; rows whose source scatters do not count")
    reasons: dict[str, list[str]] = {}
    for s in result.skipped:
        reasons.setdefault(s.reason, []).append(s.row.id)
    for reason, ids in reasons.items():
        names = f": {', '.join(ids)}" if everything else ""
        console.print(f"not predicted  {len(ids)} rows, {reason}{names}", markup=False)


def _roofline(args: argparse.Namespace) -> int:
    from tvm_aie.cli import service
    from tvm_aie.cli.commands import shapes_of
    from tvm_aie.cost.roofline import layer_points, plot_roofline

    progress = Progress(args.quiet)
    network = service.compile_network(args.model, args.target, progress, shapes_of(args.shape))
    with progress.step("emulating"):
        points = [p for compiled in network.compilation.compiled for p in layer_points(compiled)]
    console = make_console()
    print_wrote(console, [plot_roofline(points, network.device, args.output, network.path.stem)])
    return 0
