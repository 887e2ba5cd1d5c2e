"""Lesson 2: what block sparsity buys, and where it stops buying.

    python tutorials/02_block_sparsity.py

One change against lesson 1: whole 8x8 channel blocks are dropped before the network is quantised. A dead block costs
no bytes and no multiply-accumulates. Compare the columns: MACs and weight bytes follow the density, time follows only
in the layers that were bound by them; where the command processor or the activations are the bound, nothing is gained.
"""

# %% The same network, dense and at half density.
import tempfile
from pathlib import Path

import onnx

from tvm_aie.cli import service
from tvm_aie.cli.progress import Progress
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize
from tvm_aie.report.console import make_console, print_comparison
from tvm_aie.sparsity import sparsify

folder = Path(tempfile.mkdtemp())
model = light_model("squeezenet", seed=0)
quiet = Progress(quiet=True)
reports = []
for density in (1.0, 0.5):
    pruned, _ = sparsify(model, density)
    path = folder / f"squeezenet_{density:g}.onnx"
    onnx.save(quantize(pruned), path)

    # %% `service` is what the command line calls: compile, run, compare, report.
    network = service.compile_network(path, "aie2", quiet)
    inputs = service.inputs_for(network, None, seed=0)
    execution = service.execute(network, inputs, quiet)
    assert all(match.ok for match in service.check(network, inputs, execution, quiet))
    reports.append((f"{density:.0%}", service.report_of(network, execution)))

# %% Side by side, and the layers that gained most.
print_comparison(make_console(), reports)
dense, sparse = reports[0][1], reports[-1][1]
# The schedule may run a pool inside a convolution in one of the two and not in the other: compare what both have.
pruned_layers = {layer.name: layer for layer in sparse.layers}
pairs = [(layer, pruned_layers[layer.name]) for layer in dense.layers if layer.name in pruned_layers]
gains = sorted(pairs, key=lambda pair: pair[1].cycles - pair[0].cycles)
for before, after in gains[:5]:
    print(
        f"{before.name}: {before.cycles} -> {after.cycles} cycles, bound by {before.bottleneck} -> {after.bottleneck}"
    )

# %% The invariant of the lesson: fewer live blocks never cost more bytes of weights.
loads = [report.traffic.loadw_bytes for _, report in reports]
assert loads == sorted(loads, reverse=True)
