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

# %% Mixed patterns and bit widths in one layer: some 8x8 blocks dense int8, some dead, some with dead taps, some int4.
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import Conv, GraphIO, LayerGraph, Requant, Tensor
from tvm_aie.plan.reference import evaluate
from tvm_aie.report.plans import plan_rows
from tvm_aie.runtime.emulator import RunOptions, run_program

rng = np.random.default_rng(0)


def layer(weight):
    """One 3x3 convolution on a 28x28 image."""
    out, channels = weight.shape[:2]
    tensors = {"x": Tensor("x", channels, 28, 28, -7), "conv": Tensor("conv", out, 28, 28, -7)}
    conv = Conv("conv", "x", "conv", weight, np.zeros(out, np.int64), 0, Requant(10), pads=(1, 1, 1, 1))
    ios = (GraphIO("x", (1, channels, 28, 28), "int8"),), (GraphIO("conv", (1, out, 28, 28), "int8"),)
    return LayerGraph("lesson", tensors, (conv,), *ios)


def emulated(graph, device):
    """Compile, run, compare with numpy int64."""
    compiled = compile_graph(graph, device)
    x = rng.integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions())
    assert np.array_equal(result.outputs[0], evaluate(graph, {"x": x})["conv"].reshape(result.outputs[0].shape))
    return compiled, result.items[0]


dense = rng.integers(-128, 128, (128, 128, 3, 3)).astype(np.int8)
mixed = dense.reshape(16, 8, 16, 8, 3, 3).copy()
kind = rng.integers(0, 4, (16, 16))
for o, i in np.ndindex(16, 16):
    if kind[o, i] == 0:
        mixed[o, :, i] = 0  # a dead block
    elif kind[o, i] == 1:
        mixed[o, :, i, :, :, 1] = 0  # a dead tap column
    elif kind[o, i] == 2:
        mixed[o, :, i] = rng.integers(-8, 8, (8, 8, 3, 3))  # values that fit int4
mixed = mixed.reshape(dense.shape)

# %% The device's cost model chooses the pieces of each layer, and every piece is executed.
for device in ("npu1", "wbs-4x4"):
    _, before = emulated(layer(dense), device)
    compiled, after = emulated(layer(mixed), device)
    (plan,) = plan_rows([compiled])
    print(f"{device}\n{plan.text()}")
    for name, a, b in (
        ("kernel cycles of the busiest core", before.busy_max, after.busy_max),
        ("weight bytes loaded", before.bytes_loadw, after.bytes_loadw),
    ):
        print(f"    {name}: dense int8 {a:,}, mixed {b:,} ({1 - b / a:.0%} less) [emulated]")
    assert plan.plan == "mixed" and after.busy_max < before.busy_max and after.bytes_loadw < before.bytes_loadw

# %% A real network: SqueezeNet whose filters died in groups of 8, as structured pruning leaves them.
import onnx
from onnx import numpy_helper

from tvm_aie.cli.tesa import measure, tesa_text
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.quantize import quantize

model, rng = light_model("squeezenet", seed=0), np.random.default_rng(1)
names = {node.input[1] for node in model.graph.node if node.op_type == "Conv"}
for tensor in model.graph.initializer:
    if tensor.name in names:
        weight = numpy_helper.to_array(tensor).copy()
        weight[np.repeat(rng.random(-(-len(weight) // 8)) < 0.5, 8)[: len(weight)]] = 0
        tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
path = Path(tempfile.mkdtemp()) / "squeezenet_pruned.onnx"
onnx.save(quantize(model), path)

# %% Which layer lost what, and because of whom (`tvm-aie explain --tesa squeezenet_pruned.onnx`).
quiet = Progress(quiet=True)
print("\n".join(tesa_text(path, "aie2", quiet).splitlines()[:12]))

# %% What it is worth, and the proof that nothing changed. On a machine whose commands cost nothing: those of npu1 bound
# SqueezeNet, and whether filters are dead or gone takes as many of them; there it gains or loses a few per cent.
gain = measure(path, "aie2/wbs-2x2", quiet, check=True)
print(gain.text())
assert gain.equal and gain.cycles < 0.8 * gain.cycles_without
