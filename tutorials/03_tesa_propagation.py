"""Lesson 3: sparsity travels. What one pruned layer makes dead in its neighbours.

    python tutorials/03_tesa_propagation.py

SparTA's tensor-with-sparsity-attribute: a filter that is empty makes its output channel a constant, and a constant
channel makes a column of the next layer superfluous; a channel that nobody reads makes the filter that writes it
superfluous. First the published effect on an MLP, then a real network, in emulated cycles.
"""

# %% SparTA's figure 13: a 1024-wide MLP. Coarse pruning empties whole rows, and propagation squares the gain.
import tempfile
from pathlib import Path

import numpy as np

from tvm_aie.cli import service
from tvm_aie.cli.progress import Progress

service.load_tvm()
from tvm import relax

from tvm_aie.tesa import propagate

WIDTH, LAYERS = 1024, 4


def mlp(prune):
    """A Relax MLP whose weights went through ``prune(weight, rng)``."""
    builder, rng = relax.BlockBuilder(), np.random.default_rng(0)
    x = relax.Var("x", relax.TensorType((1, WIDTH), "float32"))
    with builder.function("main", [x]):
        y = x
        for _ in range(LAYERS):
            weight = prune(rng.standard_normal((WIDTH, WIDTH)).astype(np.float32), rng)
            y = builder.emit(relax.op.nn.relu(builder.emit(relax.op.matmul(y, relax.const(weight)))))
        builder.emit_func_output(y)
    return builder.get()["main"]


def reached(prune):
    """Sparsity of each layer's weight after propagation, first layer first."""
    result = propagate(mlp(prune))
    return [result.weight_attribute(use).sparsity for use in reversed(result.weights.values())]


def rows(share):
    """Whole output rows: coarse."""

    def prune(weight, rng):
        weight[:, rng.permutation(WIDTH)[: int(WIDTH * share)]] = 0
        return weight

    return prune


def blocks(share, size):
    """Blocks of ``size`` squared: nothing is empty along a whole row, nothing propagates."""

    def prune(weight, rng):
        keep = rng.random((WIDTH // size, WIDTH // size)) >= share
        return weight * np.kron(keep, np.ones((size, size), np.float32))

    return prune


print("row sparsity   layers after propagation (the last one's rows are the network's outputs)")
for share, published in ((0.5, 0.75), (0.6, 0.8397), (0.7, 0.9095), (0.8, 0.9599), (0.9, 0.9899)):
    found = reached(rows(share))
    print(f"{share:12.1f}   " + "  ".join(f"{s:.4f}" for s in found))
    assert [round(s, 4) for s in found[1:]].count(published) >= LAYERS - 2

# %% The other two patterns of figure 16: fine-grained and block pruning leave every row alive.
for name, pattern in (("fine-grained", blocks(0.7, 1)), ("32x32 blocks", blocks(0.7, 32))):
    print(f"{name:12}   " + "  ".join(f"{s:.4f}" for s in reached(pattern)))

# %% Mixed patterns: a dense corner in a scattered matrix. The device's cost formula says which pieces to use.
from tvm_aie.device import load_device
from tvm_aie.tesa.cover import best_cover, device_costs

mask = np.kron(np.random.default_rng(1).random((16, 16)) < 0.1, np.ones((8, 8), bool))
mask[:64, :64] = True
costs = device_costs(load_device("npu1"), rows=4, wo=14, taps=1, shapes=((8, 8), (64, 64), (128, 128)))
cover = best_cover(mask, costs)
shapes = [p.shape for p in cover.pieces]
print("mixed cover:", {f"{h}x{w}": shapes.count((h, w)) for h, w in sorted(set(shapes))}, f"{cover.cost:.0f} cycles")
assert len(set(shapes)) == 2

# %% A real network: DenseNet-121 whose filters died in groups of 8, as structured pruning leaves them.
import onnx
from onnx import numpy_helper

from tvm_aie.cli.tesa import measure, tesa_text
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize

model, rng = light_model("densenet121", seed=0), np.random.default_rng(1)
names = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
for tensor in model.graph.initializer:
    if tensor.name in names:
        weight = numpy_helper.to_array(tensor).copy()
        weight[np.repeat(rng.random(-(-len(weight) // 8)) < 0.4, 8)[: len(weight)]] = 0
        tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
path = Path(tempfile.mkdtemp()) / "densenet121_pruned.onnx"
onnx.save(quantize(model), path)

# %% Which layer lost what, and because of whom (`tvm-aie explain --tesa densenet121_pruned.onnx`).
quiet = Progress(quiet=True)
print("\n".join(tesa_text(path, "aie2", quiet).splitlines()[:12]))

# %% What it is worth, and the proof that nothing changed.
gain = measure(path, "aie2", quiet, check=True)
print(gain.text())
assert gain.equal and gain.cycles < gain.cycles_without
