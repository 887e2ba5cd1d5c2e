"""The summary, the per-layer table and the comparison, as text for a terminal, a pipe or a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import IO

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tvm_aie.report.model import LayerRow, NetworkReport

_WIDTH_WITHOUT_TERMINAL = 160
_WIDEST = 10_000
_CAPTION = (
    "cycles: emulated; est cyc: estimated by the schedule; "
    "bound cyc: estimated, of the layer alone (less, where its weights came early)"
)


def make_console(file: IO[str] | None = None, stderr: bool = False) -> Console:
    """A console that honours NO_COLOR and keeps tables whole when the output is no terminal."""
    console = Console(file=file, stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(file=file, stderr=stderr, highlight=False, soft_wrap=True, width=_WIDTH_WITHOUT_TERMINAL)
    return console


def count(value: float) -> str:
    """Integer with thin groups: 1 234 567."""
    return f"{value:,.0f}".replace(",", " ")


def size(value: float) -> str:
    """Bytes as B, KiB or MiB."""
    if value < 1024:
        return f"{value:.0f} B"
    return f"{value / 1024:.1f} KiB" if value < 1 << 20 else f"{value / (1 << 20):.2f} MiB"


def _line(console: Console, label: str, text: str) -> None:
    console.print(Text(f"{label:<12}", style="bold").append(text, style="not bold"))


def print_summary(console: Console, report: NetworkReport, verb: str = "compile") -> None:
    """Machine, placement, sparsity, memory, traffic, time, bottleneck: one line each."""
    machine, traffic, memory, sparsity = report.machine, report.traffic, report.memory, report.sparsity
    ddr = f"{machine.ddr_gb_per_s:g} GB/s" if machine.ddr_gb_per_s else "unlimited DDR"
    console.print(
        Text.assemble(
            (f"tvm-aie {verb}  {report.network}", "bold"),
            f"   device {machine.name} ({machine.rows}x{machine.cols} cores, {machine.memtiles} memtiles, "
            f"{machine.clock_mhz / 1000:g} GHz, peak {2e-6 * machine.peak_macs_per_cycle * machine.clock_mhz:.3g} TOPS"
            f" int8, {ddr})",
        )
    )
    _print_placement(console, report)
    _line(
        console,
        "sparsity",
        f"weights {size(sparsity.dense_weight_bytes)} -> {size(sparsity.packed_weight_bytes)} "
        f"({sparsity.density_percent:.1f} % of {count(sparsity.blocks)} blocks kept, {sparsity.block})   "
        f"MACs {count(sparsity.macs)} of {count(sparsity.dense_macs)} ({sparsity.skipped_macs_percent:.1f} % skipped)",
    )
    _line(
        console,
        "memory",
        f"core peak {size(memory.core_used_bytes)} of {size(memory.core_bytes)}   "
        f"memtile peak {size(memory.memtile_used_bytes)} of {size(memory.memtile_bytes)}   "
        f"DDR {size(memory.ddr_bytes)} (constants {size(memory.const_bytes)}, spills {size(memory.scratch_bytes)})",
    )
    if report.layers:
        _line(
            console,
            "traffic",
            f"DDR load {size(traffic.load_bytes)}, weights {size(traffic.loadw_bytes)}, store "
            f"{size(traffic.store_bytes)}   memtile-core activations {size(traffic.a_bytes)}, weights "
            f"{size(traffic.w_bytes)}, outputs {size(traffic.o_bytes)}   per inference",
        )
    _print_commands(console, report)
    _print_times(console, report)


def _print_commands(console: Console, report: NetworkReport) -> None:
    """The command stream, and after a run the share of time that it takes."""
    c = report.commands
    if c is None:
        return
    share = f"   processor busy {report.control_percent:.0f} % of the emulated cycles" if report.layers else ""
    text = f"{count(c.bd_writes)} descriptor writes, {count(c.pushes)} task pushes, {count(c.waits)} waits{share}"
    _line(console, "commands", text)


def _print_placement(console: Console, report: NetworkReport) -> None:
    placement = report.placement
    _line(
        console,
        "placement",
        f"array {placement.array_ops} of {placement.total_ops} ops ({placement.array_macs_percent:.2f} % of MACs)   "
        f"CPU {len(placement.host)} ops" + (":" if placement.host else ""),
    )
    for op in placement.host:
        console.print(f"{'':12}{op.name} ({op.op}): {op.reason}", markup=False)


def _print_times(console: Console, report: NetworkReport) -> None:
    bound = report.bound
    for i, time in enumerate(report.times):
        ms = f"{time.ms:.3f}" if time.ms >= 0.01 or not time.ms else f"{time.ms:.3g}"
        text = f"{ms} ms  {time.label}  {time.what}"
        if time.cycles:
            text = f"{ms} ms  {count(time.cycles)} cycles  {time.label}  {time.what}"
        if bound and time is report.emulated and bound.cycles:
            text += f"  ({time.cycles / bound.cycles:.2f} x the lower bound)"
        _line(console, "time" if i == 0 else "", text)
    shares = report.bottleneck_cycles()
    total = sum(shares.values())
    if total:
        words = ", ".join(f"{name} {100 * cycles / total:.0f} %" for name, cycles in shares.items() if cycles)
        _line(console, "bottleneck", f"{words}   (share of emulated cycles of the layers that each bounds)")


def print_wrote(console: Console, paths: Sequence[object]) -> None:
    """The last line: files written."""
    if paths:
        _line(console, "wrote", "  ".join(str(path) for path in paths))


@dataclass(frozen=True)
class _Column:
    title: str
    right: bool = True


_COLUMNS = (
    _Column("layer", right=False),
    _Column("op", right=False),
    _Column("shape", right=False),
    _Column("MACs"),
    _Column("skipped"),
    _Column("density %"),
    _Column("core A"),
    _Column("core W"),
    _Column("core O"),
    _Column("DDR in"),
    _Column("DDR out"),
    _Column("bound cyc"),
    _Column("est cyc"),
    _Column("cycles"),
    _Column("util %"),
    _Column("bottleneck", right=False),
)


def _cells(row: LayerRow) -> Iterable[str]:
    yield from (row.name, row.op, row.shape, count(row.macs), count(row.skipped_macs), f"{row.density_percent:.0f}")
    yield from (size(row.core_a_bytes), size(row.core_w_bytes), size(row.core_o_bytes))
    yield from (size(row.ddr_load_bytes + row.ddr_loadw_bytes), size(row.ddr_store_bytes))
    yield from (count(row.lower_bound_cycles), count(row.estimated_cycles), count(row.cycles))
    yield from (f"{row.utilisation_percent:.1f}", row.bottleneck)


def _print_table(console: Console, table: Table) -> None:
    """At its natural width: a narrow terminal wraps the lines, but no digit is ever cut off."""
    before = console.width
    console.width = max(before, Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum)
    try:
        console.print(table, crop=False)
    finally:
        console.width = before


def print_layers(console: Console, report: NetworkReport) -> None:
    """The per-layer table; nothing before a run."""
    if not report.layers:
        return
    table = Table(box=None, pad_edge=False, header_style="bold", caption=_CAPTION)
    for column in _COLUMNS:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True, overflow="fold")
    for row in report.layers:
        table.add_row(*map(Text, _cells(row)))  # Text: brackets in a name are no markup
    _print_table(console, table)


def print_comparison(console: Console, reports: Sequence[tuple[str, NetworkReport]]) -> None:
    """Variants of one network side by side; the ratio is against the first."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, title in enumerate(("", *(name for name, _ in reports))):
        table.add_column(title, justify="right" if i else "left", no_wrap=True)
    if len(reports) == 2:
        table.add_column("ratio", justify="right")

    def add(label: str, values: Sequence[float], texts: Sequence[str]) -> None:
        ratio = [f"{values[1] / values[0]:.3f}" if values[0] else "-"] if len(values) == 2 else []
        table.add_row(label, *texts, *ratio)

    def row(label: str, values: Sequence[float], form: str) -> None:
        add(label, values, [form.format(value) for value in values])

    items = [report for _, report in reports]
    row("blocks kept (%)", [r.sparsity.density_percent for r in items], "{:.1f}")
    add("MACs", [r.sparsity.macs for r in items], [count(r.sparsity.macs) for r in items])
    add(
        "weights packed",
        [r.sparsity.packed_weight_bytes for r in items],
        [size(r.sparsity.packed_weight_bytes) for r in items],
    )
    add("DDR traffic", [r.traffic.ddr_bytes for r in items], [size(r.traffic.ddr_bytes) for r in items])
    for title, attr in (("array time (ms, emulated)", "emulated"), ("lower bound (ms, estimated)", "bound")):
        times = [getattr(r, attr) for r in items]
        if all(times):
            row(title, [t.ms for t in times], "{:.3f}")
    _print_table(console, table)
