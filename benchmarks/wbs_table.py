"""The 42 cells of the Weight Block Sparsity paper: emulated time, lower bounds, ratio, sparse speed-up, time by cause.

    python benchmarks/wbs_table.py [--json F] [--plot F] [--check] [--layers] [--networks ResNet50,...] [--sizes 2,4,8]
                                   [--npu1]
    python benchmarks/wbs_table.py --growth [--networks ...] [--sizes ...]
    python benchmarks/wbs_table.py --ablation [--networks ...] [--sizes ...] [--npu1]
    python benchmarks/wbs_table.py --speed

``--check`` also runs the data and compares the output with the numpy int64 reference. ``--layers`` lists the layers
that gain less than 1.9 from 50 % sparsity though computing bounds them (where an add or a pool, which only moves,
runs in the same items: less than 0.95 of what the streams of these layers together allow): speed-up (emulated), the
most that the streams of the array allow under any split (emulated dense over ``wbs_layers.limit``, estimated), the
largest term of that limit, and what the cores waited for (emulated). Layers that overlap with others are marked: how
cycles are shared out among those is a convention, so their speed-up may be above what streams allow. ``--growth``:
densities 1, 1/2, 1/4, 1/8 and what stops it. ``--ablation``: each move of the schedule (``pipeline.Moves``) left out
alone, time with all moves and how many times as long without it. ``--speed``: candidates per second of the search.
Times in milliseconds: ``emulated`` from the program, ``estimated`` for the bounds and ``est``, ``measured`` for
--speed. Where the time goes: share of the cycles of the layers that each resource bounds (the bottleneck word of the
report), emulated.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from unittest.mock import patch

import numpy as np

from tvm_aie.cost.stream import bounds
from tvm_aie.device import Device, load_device
from tvm_aie.pipeline import Compiled, Moves, compile_graph
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.plan.reference import evaluate
from tvm_aie.report.collect import build_report
from tvm_aie.report.model import LayerRow
from tvm_aie.runtime.emulator import ItemStats, RunOptions, run_program
from tvm_aie.schedule.grid import Best, Grid
from tvm_aie.schedule.rings import Divisions
from tvm_aie.searches import JOIN, item_name
from tvm_aie.workloads.wbs import NETWORKS
from wbs_layers import LAYER_GAIN, STREAM_SHARE, Ran, absorbed, estimate_errors, gains, limit, worst

PAPER_MS = {  # published estimates, 4x4 and 8x8: dense, sparse
    ("ResNet50", "4x4"): (10.773, 7.065),
    ("ResNet50", "8x8"): (6.377, 4.602),
    ("InceptionV3", "4x4"): (17.410, 10.125),
    ("InceptionV3", "8x8"): (9.093, 5.666),
    ("VGG16", "4x4"): (13.710, 8.852),
    ("VGG16", "8x8"): (9.203, 6.502),
}
DENSITIES = (1.0, 0.5, 0.25, 0.125)
LAYER_ERROR = 0.05  # wanted of every layer's estimate
ALL = Moves()


@dataclass(frozen=True)
class Cell:
    """One network on one machine: milliseconds emulated and estimated, share of the cycles by bottleneck."""

    ms: float
    estimated_ms: float
    shares: Mapping[str, float]
    rows: Sequence[LayerRow] = ()
    absorbed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # see ``wbs_layers``
    compiled: Compiled | None = None  # where layers are listed, with what its items did
    items: Sequence[ItemStats] = ()

    @property
    def where(self) -> str:
        """Bottlenecks, largest share first."""
        named = sorted(self.shares.items(), key=lambda kv: -kv[1])
        return ", ".join(f"{name} {100 * share:.0f} %" for name, share in named if share >= 0.005)


def emulate(graph: LayerGraph, device: str, check: bool, moves: Moves = ALL, keep: bool = False) -> Cell:
    """Compile and run one cell; the launch is included. ``keep``: with the program and what its items did.

    Raises ``SystemExit`` when --check finds a difference.
    """
    compiled = compile_graph(graph, device, moves=moves)
    data = compiled.program.to_bytes()
    if check:
        x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
        result = run_program(data, [x], RunOptions())
        expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
        if not np.array_equal(result.outputs[0].ravel(), np.asarray(expected).ravel()):
            raise SystemExit(f"{graph.name} on {device}: outputs differ from the reference")
    else:
        result = run_program(data, [], RunOptions(functional=False))
    per_ms = compiled.device.clock_mhz * 1e3
    estimated = (compiled.estimate.total + result.launch_cycles) / per_ms
    rows = build_report(graph.name, compiled.device, (), [compiled], [result]).layers
    kept = (compiled, result.items) if keep else (None, ())
    inside = absorbed(compiled.physical.graph, graph)
    return Cell(result.total_cycles / per_ms, estimated, shares(rows), rows, inside, *kept)


def shares(layers: Sequence[LayerRow]) -> dict[str, float]:
    """Share of the cycles of the layers that each resource bounds."""
    total = sum(row.cycles for row in layers)
    out: dict[str, float] = defaultdict(float)
    for row in layers:
        out[str(row.bottleneck)] += row.cycles / total
    return dict(out)


def growth(names: list[str], sizes: list[str], check: bool) -> None:
    """Emulated time at falling density, and what stops it. Raises ``SystemExit`` where it rises."""
    print("network      array   density  emulated ms  speed-up  stream's  where the time goes")
    for name in names:
        for mesh in sizes:
            first: tuple[float, float] | None = None
            last = math.inf
            for density in DENSITIES:
                graph = NETWORKS[name](density, 0)
                cell = emulate(graph, f"wbs-{mesh}", check)
                stream = bounds(graph, load_device(f"wbs-{mesh}")).stream * 1e3
                first = first or (cell.ms, stream)
                print(
                    f"{name:12s} {mesh:6s} {density:8.3f} {cell.ms:12.3f} {first[0] / cell.ms:9.2f} "
                    f"{first[1] / stream:9.2f}  {cell.where}",
                    flush=True,
                )
                if cell.ms > last:
                    raise SystemExit(f"{name} on wbs-{mesh}: {cell.ms:.3f} ms at density {density}, slower than before")
                last = cell.ms


def ablation(names: list[str], devices: list[str], check: bool) -> None:
    """Emulated time with all moves, and its multiple without each of them."""
    moves = [f.name for f in fields(Moves) if f.name != "always"]
    print(f"{'network':12s} {'array':8s} {'':7s} {'ms':>8s} " + " ".join(f"{name:>9s}" for name in moves))
    for name in names:
        for device in devices:
            for kind, density in (("dense", 1.0), ("sparse", 0.5)):
                graph = NETWORKS[name](density, 0)
                every = emulate(graph, device, check).ms
                without = [emulate(graph, device, check, replace(Moves(), **{move: False})).ms for move in moves]
                cells = " ".join(f"{ms / every:9.3f}" for ms in without)
                print(f"{name:12s} {device:8s} {kind:7s} {every:8.3f} {cells}", flush=True)
    print("ms: emulated, all moves; then emulated without the move / with it")


def speed() -> None:
    """Candidates per second of the sub-volume search on ResNet-50, and the time of a whole compilation.

    What a compilation searches is noted and then priced again, every pair of a candidate and a division: the search
    itself skips those that its bound excludes.
    """
    searched: dict[tuple[int, Divisions], Grid] = {}
    best = Grid.best

    def noting(grid: Grid, divisions: Divisions, limit: float = math.inf, flowing: bool = False) -> Best:
        searched[id(grid), divisions] = grid
        return best(grid, divisions, limit, flowing)

    graph = NETWORKS["ResNet50"](1.0, 0)
    begin = time.process_time()
    compile_graph(graph, "wbs-4x4")
    whole = time.process_time() - begin
    with patch.object(Grid, "best", noting):
        compile_graph(graph, "wbs-4x4")
    begin = time.process_time()
    counted = sum(len(grid.within(divisions, math.inf, False)[1]) for (_, divisions), grid in searched.items())
    rate = counted / (time.process_time() - begin)
    print(
        f"ResNet50 on wbs-4x4: {whole:.2f} s of processor time for the whole compilation (limit 10 s); {counted} "
        f"candidates of its search at {rate:.0f} per second, {rate / 1e4:.1f} times the 10000 wanted (measured)"
    )


def plot(
    table: dict[str, dict[str, dict[str, Cell]]], limits: dict[str, dict[str, dict[str, float]]], path: str
) -> None:
    """Emulated time over the array's size, dense and sparse, above the stream bound."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(table), 4.2), layout="constrained")
    axes = figure.subplots(1, len(table), squeeze=False)[0]
    for axis, (name, cells) in zip(axes, table.items(), strict=True):
        meshes = list(cells)
        for kind, colour in (("dense", "tab:blue"), ("sparse", "tab:orange")):
            axis.plot(meshes, [cells[m][kind].ms for m in meshes], "o-", color=colour, label=f"{kind}, emulated")
            axis.plot(meshes, [limits[name][m][kind] for m in meshes], ":", color=colour, label=f"{kind}, stream bound")
        axis.set(title=name, xlabel="cores", ylabel="ms", yscale="log")
        axis.grid(True, which="both", linewidth=0.2)
        axis.legend(fontsize=7)
    figure.savefig(path)


def row(name: str, mesh: str, cell: dict[str, Cell], stream: dict[str, float], bound: float) -> str:
    """One line of the table."""
    over = {kind: cell[kind].ms / stream[kind] for kind in cell}
    gain = cell["dense"].ms / cell["sparse"].ms
    ideal = stream["dense"] / stream["sparse"]
    paper = PAPER_MS.get((name, mesh))
    text = f"{paper[0]:.3f} / {paper[1]:.3f}" if paper else ""
    return (
        f"{name:12s} {mesh:6s} {cell['dense'].ms:8.3f} {cell['dense'].estimated_ms:8.3f} {over['dense']:8.2f} "
        f"{cell['dense'].ms / bound:7.2f}  {cell['sparse'].ms:10.3f} {over['sparse']:8.2f} {gain:9.2f} "
        f"{gain / ideal:12.2f}   {text}"
    )


def layer_lines(cell: dict[str, Cell], graphs: Mapping[str, LayerGraph], device: Device) -> None:
    """The layers' estimates, and the speed-up of those that computing bounds when sparse."""
    for kind, c in cell.items():
        errors = estimate_errors(c.rows)
        name, error = worst(errors)
        off = [n for n, e in errors.items() if abs(e) > LAYER_ERROR]
        print(
            f"{'':20s}{kind}: estimate of {name} off by {error:+.1%}; more than 5 %: {len(off)} of {len(errors)} layers"
        )
    rows = gains(*(Ran(graphs[kind], cell[kind].absorbed, cell[kind].rows) for kind in ("dense", "sparse")), device)
    slow = [g for g in rows if g.speed_up < g.wanted]
    for moving, what, limit_of in (
        (False, "compute-bound layers", f"below {LAYER_GAIN}"),
        (True, "such layers with adds or pools in their items", f"below {STREAM_SHARE} of the streams of these"),
    ):
        if kind_of := [g for g in rows if bool(g.moves) is moving]:
            low = min(kind_of, key=lambda g: g.speed_up)
            print(
                f"{'':20s}sparse speed-up of {len(kind_of)} {what}: at least {low.speed_up:.2f} "
                f"({JOIN.join(low.names)}); {limit_of}: {sum(g in slow for g in kind_of)}",
                flush=True,
            )
    sparse = cell["sparse"]
    if rows and sparse.compiled:
        for g in sorted(slow, key=lambda g: g.speed_up):
            least = limit(sparse.compiled, g.names)
            why = least.term + ", overlaps" * least.overlaps
            print(
                f"{'':24s}{JOIN.join(g.names):12s} {g.speed_up:.2f}, streams allow {g.dense / least.cycles:.2f} "
                f"({why}); {waits(sparse.compiled, sparse.items, g.names)}",
                flush=True,
            )


def waits(compiled: Compiled, items: Sequence[ItemStats], names: Sequence[str]) -> str:
    """What the cores of these layers waited for, as shares of the time that they computed or waited (emulated)."""
    own = [
        stats
        for item, stats in zip(compiled.placement.items, items, strict=False)
        if set(names) & set(item_name(item, compiled.physical).split(JOIN))
    ]
    parts = {
        "input": sum(s.stall_a for s in own),
        "weights": sum(s.stall_w for s in own),
        "output": sum(s.stall_o for s in own),
    }
    total = sum(s.busy_sum for s in own) + sum(parts.values())
    named = ", ".join(f"{name} {100 * cycles / max(total, 1):.0f} %" for name, cycles in parts.items())
    return f"cores waited for {named}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="F", help="write the emulated times")
    parser.add_argument("--plot", metavar="F", help="draw emulated times and bounds")
    parser.add_argument("--check", action="store_true", help="compare outputs with the numpy reference")
    parser.add_argument("--layers", action="store_true", help="list layers that sparsity speeds up too little")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--sizes", default="2,3,4,5,6,7,8")
    parser.add_argument("--npu1", action="store_true", help="also the calibrated npu1")
    parser.add_argument("--growth", action="store_true", help="times at densities 1, 1/2, 1/4, 1/8 instead")
    parser.add_argument("--ablation", action="store_true", help="times without each move of the schedule instead")
    parser.add_argument("--speed", action="store_true", help="candidates per second of the search instead")
    args = parser.parse_args()
    names, meshes = args.networks.split(","), [f"{n}x{n}" for n in args.sizes.split(",")]
    if args.growth:
        return growth(names, meshes, args.check)
    if args.ablation:
        return ablation(names, [f"wbs-{mesh}" for mesh in meshes] + ["npu1"] * args.npu1, args.check)
    if args.speed:
        return speed()
    table: dict[str, dict[str, dict[str, Cell]]] = {}
    limits: dict[str, dict[str, dict[str, float]]] = {}
    npu1: dict[str, dict[str, Cell]] = {}
    print(
        "network      array   dense ms   est ms  /stream  /bound   sparse ms  /stream  speed-up  of stream's   "
        "paper dense/sparse ms"
    )
    for name in names:
        graphs = {"dense": NETWORKS[name](1.0, 0), "sparse": NETWORKS[name](0.5, 0)}
        for mesh in meshes:
            device = load_device(f"wbs-{mesh}")
            cell = {kind: emulate(graph, device.name, args.check, keep=args.layers) for kind, graph in graphs.items()}
            found = {kind: bounds(graph, device) for kind, graph in graphs.items()}
            stream = {kind: b.stream * 1e3 for kind, b in found.items()}
            table.setdefault(name, {})[mesh] = cell
            limits.setdefault(name, {})[mesh] = stream
            print(row(name, mesh, cell, stream, found["dense"].bound * 1e3))
            for kind in cell:
                print(f"{'':20s}{kind}: {cell[kind].where}", flush=True)
            layer_lines(cell, graphs, device)
            table[name][mesh] = {kind: replace(c, compiled=None, items=()) for kind, c in cell.items()}
        if args.npu1:
            npu1[name] = {kind: emulate(graph, "npu1", args.check) for kind, graph in graphs.items()}
    finish(table, limits, npu1)
    if args.json:
        times = {n: {m: {k: c.ms for k, c in cell.items()} for m, cell in cells.items()} for n, cells in table.items()}
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(times, file, indent=1)
    if args.plot:
        plot(table, limits, args.plot)
    return None


def finish(
    table: dict[str, dict[str, dict[str, Cell]]],
    limits: dict[str, dict[str, dict[str, float]]],
    npu1: dict[str, dict[str, Cell]],
) -> None:
    """The line under the table, and the table of the calibrated machine."""
    ratios = [
        c.ms / limits[n][m][k] for n, cells in table.items() for m, cell in cells.items() for k, c in cell.items()
    ]
    errors = [c.estimated_ms / c.ms - 1 for cells in table.values() for cell in cells.values() for c in cell.values()]
    mean = math.exp(sum(math.log(r) for r in ratios) / len(ratios))
    print(
        f"times: emulated; bounds and est: estimated. emulated / stream: geometric mean {mean:.2f}, worst "
        f"{max(ratios):.2f}. est against emulated: {min(errors):+.3f} to {max(errors):+.3f}"
    )
    if npu1:
        print("\nnpu1 (calibrated), launch included\nnetwork       dense ms   est ms  sparse ms   est ms  speed-up")
    for name, cell in npu1.items():
        d, s = cell["dense"], cell["sparse"]
        print(f"{name:12s} {d.ms:9.3f} {d.estimated_ms:8.3f} {s.ms:10.3f} {s.estimated_ms:8.3f} {d.ms / s.ms:9.2f}")
        for kind, c in cell.items():
            print(f"{'':13s}{kind}: {c.where}")


if __name__ == "__main__":
    sys.exit(main())
