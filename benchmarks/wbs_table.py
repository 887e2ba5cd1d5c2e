"""The 42 cells of the Weight Block Sparsity paper: emulated time, lower bounds, ratio, sparse speed-up.

    python benchmarks/wbs_table.py [--json F] [--check] [--networks ResNet50,...] [--sizes 2,4,8] [--npu1]

``--check`` also runs the data and compares the output with the numpy int64 reference (slow). Times in milliseconds:
``emulated`` from the program, ``estimated`` for the bounds.
"""

from __future__ import annotations

import argparse
import json
import math
import sys

import numpy as np

from tvm_aie.cost.stream import bounds
from tvm_aie.device import load_device
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.workloads.wbs import NETWORKS

PAPER_MS = {  # published estimates, 4x4 and 8x8: dense, sparse
    ("ResNet50", "4x4"): (10.773, 7.065),
    ("ResNet50", "8x8"): (6.377, 4.602),
    ("InceptionV3", "4x4"): (17.410, 10.125),
    ("InceptionV3", "8x8"): (9.093, 5.666),
    ("VGG16", "4x4"): (13.710, 8.852),
    ("VGG16", "8x8"): (9.203, 6.502),
}


def emulate(graph: LayerGraph, device: str, check: bool) -> float:
    """Milliseconds, emulated, launch included."""
    compiled = compile_graph(graph, device)
    data = compiled.program.to_bytes()
    if check:
        x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
        result = run_program(data, [x], RunOptions())
        expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
        if not np.array_equal(result.outputs[0].ravel(), np.asarray(expected).ravel()):
            raise SystemExit(f"{graph.name} on {device}: outputs differ from the reference")
    else:
        result = run_program(data, [], RunOptions(functional=False))
    return result.total_cycles / (compiled.device.clock_mhz * 1e3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="F", help="write the emulated times")
    parser.add_argument("--check", action="store_true", help="compare outputs with the numpy reference")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--sizes", default="2,3,4,5,6,7,8")
    parser.add_argument("--npu1", action="store_true", help="also the calibrated npu1")
    args = parser.parse_args()
    table: dict[str, dict[str, dict[str, float]]] = {}
    ratios = []
    print(
        "network      array   dense ms  /stream  /bound   sparse ms  /stream  speed-up  of stream's   "
        "paper dense/sparse ms"
    )
    for name in args.networks.split(","):
        graphs = {"dense": NETWORKS[name](1.0, 0), "sparse": NETWORKS[name](0.5, 0)}
        for size in args.sizes.split(","):
            mesh = f"{size}x{size}"
            device = load_device(f"wbs-{mesh}")
            cell = {kind: emulate(graph, device.name, args.check) for kind, graph in graphs.items()}
            limit = {kind: bounds(graph, device) for kind, graph in graphs.items()}
            over = {kind: cell[kind] / (limit[kind].stream * 1e3) for kind in cell}
            ratios += over.values()
            speed = cell["dense"] / cell["sparse"]
            ideal = limit["dense"].stream / limit["sparse"].stream
            paper = PAPER_MS.get((name, mesh))
            print(
                f"{name:12s} {mesh:6s} {cell['dense']:8.3f} {over['dense']:8.2f} "
                f"{cell['dense'] / (limit['dense'].bound * 1e3):7.2f}  {cell['sparse']:10.3f} {over['sparse']:8.2f} "
                f"{speed:9.2f} {speed / ideal:12.2f}   {f'{paper[0]:.3f} / {paper[1]:.3f}' if paper else ''}",
                flush=True,
            )
            table.setdefault(name, {})[mesh] = cell
        if args.npu1:
            cell = {kind: emulate(graph, "npu1", args.check) for kind, graph in graphs.items()}
            print(f"{name:12s} npu1   {cell['dense']:8.3f}                   {cell['sparse']:10.3f}", flush=True)
    mean = math.exp(sum(math.log(r) for r in ratios) / len(ratios))
    print(f"times: emulated; bounds: estimated. emulated / stream: geometric mean {mean:.2f}, worst {max(ratios):.2f}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(table, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
