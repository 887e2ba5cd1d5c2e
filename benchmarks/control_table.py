"""npu1: emulated time of the light networks against compute, DDR and command processor; what chained tasks buy.

    python benchmarks/control_table.py [--networks squeezenet,...] [--densities 1,0.5] [--ablation] [--items] [--speed]

Per network: emulated milliseconds without launch; the estimated bounds MACs / (0.65 peak), DDR bytes / bandwidth and
pushed tasks x push_queued_cycles; emulated / the largest of them; pushes (of them onto an idle channel), descriptors
written, and the command processor's share of the time (busy, waiting). ``--ablation``: also without chains
(``pipeline.Moves.chains``). ``--items``: per item, when it ran and what occupied it most. ``--speed``: instead, the
processor time of a compilation from the lowered network to its program, rehearsals included (ResNet-50: below 10 s).
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from dataclasses import dataclass

import tvm_aie

tvm_aie._autoload()

from tvm_aie.cost.stream import layer_traffic  # noqa: E402
from tvm_aie.device import load_device  # noqa: E402
from tvm_aie.frontend import from_onnx  # noqa: E402
from tvm_aie.frontend.onnx_zoo import LIGHT_NAMES, light_model  # noqa: E402
from tvm_aie.pipeline import Compiled, Decisions, Moves  # noqa: E402
from tvm_aie.plan.graph import LayerGraph  # noqa: E402
from tvm_aie.plan.lower import lower_function  # noqa: E402
from tvm_aie.quantize.xint8 import quantize  # noqa: E402
from tvm_aie.rehearse import compile_rehearsed  # noqa: E402
from tvm_aie.relax.codegen import is_region  # noqa: E402
from tvm_aie.relax.partition import partition  # noqa: E402
from tvm_aie.runtime.emulator import RunOptions, RunResult, run_program  # noqa: E402
from tvm_aie.sparsity import sparsify  # noqa: E402

WRITE, PUSH, WAIT = range(3)
EFFICIENCY = 0.65


@dataclass(frozen=True)
class Region:
    """One compiled region and its timed run."""

    compiled: Compiled
    run: RunResult

    def commands(self):
        """Rows of the command processor in the trace."""
        rows = self.run.trace.rows
        return rows[rows[:, 0] == len(self.run.trace.agents) - 1]


def graphs_of(name: str, density: float) -> list[LayerGraph]:
    model = light_model(name, 0)
    if density < 1:
        model, _ = sparsify(model, density)
    functions = [f for _, f in partition(from_onnx(quantize(model))).module.functions_items() if is_region(f)]
    return [lower_function(f, f"region{i}") for i, f in enumerate(functions)]


def emulate(graph: LayerGraph, moves: Moves) -> Region:
    compiled = compile_rehearsed(graph, "npu1", Decisions(moves=moves))
    options = RunOptions(functional=False, trace=True, max_trace_events=20_000_000)
    return Region(compiled, run_program(compiled.program.to_bytes(), [], options))


def totals(regions: list[Region]) -> Counter:
    """Sums over the regions of a network, in cycles and bytes."""
    device = load_device("npu1")
    out: Counter = Counter()
    for region in regions:
        rows = region.commands()
        time = rows[:, 4] - rows[:, 3]
        push = rows[:, 5] == PUSH
        out["cycles"] += region.run.cycles
        out["pushes"] += int(push.sum())
        out["idle"] += int((push & (time >= device.push_idle_cycles)).sum())
        out["writes"] += int((rows[:, 5] == WRITE).sum())
        out["busy"] += int(time[rows[:, 5] != WAIT].sum())
        out["waiting"] += int(time[rows[:, 5] == WAIT].sum())
        # What the layers need, not what is computed again at the borders of bands, columns and images.
        graph = region.compiled.graph
        out["macs"] += round(sum(t.macs for n in graph.layers if (t := layer_traffic(n, graph.tensors))))
        out["ddr"] += len(region.compiled.program.const)
        out["ddr"] += sum(i.bytes_load + i.bytes_store for i in region.run.items)
    return out


def line(name: str, density: float, t: Counter) -> str:
    device = load_device("npu1")
    bounds = (
        t["macs"] / (EFFICIENCY * device.peak_macs_per_cycle),
        t["ddr"] / device.ddr_bytes_per_cycle(device.cols),
        t["pushes"] * device.push_queued_cycles,
    )
    ms = [c / (device.clock_mhz * 1e3) for c in (t["cycles"], *bounds)]
    times = f"{ms[0]:8.3f} | {ms[1]:7.3f} {ms[2]:7.3f} {ms[3]:7.3f} | {ms[0] / max(ms[1:]):5.2f}"
    counts = f"{t['pushes']:6d} {t['idle']:6d} {t['writes']:6d}"
    shares = f"{t['busy'] / t['cycles']:5.0%} {t['waiting'] / t['cycles']:5.0%}"
    return f"{name:14s} {density:4.2f} {times} | {counts} | {shares}"


def print_items(region: Region) -> None:
    """Per item: cycles of its kernels, and the resource with the most busy cycles."""
    run, device = region.run, region.compiled.device
    rows = run.trace.rows
    kernels = rows[rows[:, 1] == 1]
    commands = region.commands()
    end = 0
    for index, stats in enumerate(run.items[: len(region.compiled.placement.items)]):
        mine = kernels[kernels[:, 2] == index]
        if not len(mine):
            continue
        issued = commands[(commands[:, 2] == index) & (commands[:, 5] != WAIT)]
        busy = {
            "compute": stats.busy_max,
            "activations": stats.bytes_a // (4 * device.cols),
            "weights": stats.bytes_w // (4 * device.cores),
            "outputs": stats.bytes_o // (4 * device.cores),
            "commands": int((issued[:, 4] - issued[:, 3]).sum()),
        }
        most = max(busy, key=lambda k: busy[k])
        name = region.compiled.physical.layers[region.compiled.placement.items[index].layer].name
        start = int(mine[:, 3].min())
        print(
            f"  {index:3d} {name[-30:]:30s} {start:9d} gap {start - end:7d} {most:11s} "
            + re.sub("[{}']", "", str(busy))
        )
        end = int(mine[:, 4].max())


def speed(name: str, density: float) -> None:
    """Processor time of the compilations of a network's regions, and what is emulated of the programs."""
    seconds, cycles = 0.0, 0
    for graph in graphs_of(name, density):
        begin = time.process_time()
        program = compile_rehearsed(graph, "npu1").program
        seconds += time.process_time() - begin
        cycles += run_program(program.to_bytes(), [], RunOptions(functional=False)).cycles
    times = f"{seconds:6.2f} s of processor time (measured), {cycles} cycles (emulated)"
    print(f"{name:14s} {density:4.2f} {times}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(LIGHT_NAMES))
    parser.add_argument("--densities", default="1,0.5")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--items", action="store_true")
    parser.add_argument("--speed", action="store_true", help="processor time of the compilations instead")
    args = parser.parse_args()
    if args.speed:
        for name in args.networks.split(","):
            for density in args.densities.split(","):
                speed(name, float(density))
        return
    print("network     density  emulated |    MACs     DDR  pushes | ratio | pushes   idle writes |  busy  wait  (ms)")
    for name in args.networks.split(","):
        for density in (float(d) for d in args.densities.split(",")):
            graphs = graphs_of(name, density)
            for moves in (Moves(), *([Moves(chains=False)] if args.ablation else [])):
                regions = [emulate(g, moves) for g in graphs]
                print(line(name if moves.chains else "  no chains", density, totals(regions)), flush=True)
                if args.items:
                    for region in regions:
                        print_items(region)


if __name__ == "__main__":
    main()
