"""Lesson 4: tune schedules on the emulator, use what was found, and see what the cost model is worth.

    python tutorials/04_tuning.py

Needs the extra [tune]. Every time here is emulated.
"""

# %% One layer, all of it. A workload is what a schedule's time depends on: geometry, Gamma, device.
import tempfile
from pathlib import Path

from tvm_aie.device import load_device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import compile_graph
from tvm_aie.tune import bench
from tvm_aie.tune.space import space_of
from tvm_aie.workloads import gemm

device = load_device("npu1")
found = []
graph = gemm(196, 64, 128).layer_graph()
compile_graph(graph, device, chooser=lambda work: found.append(work))
space = space_of(found[0], device)
print("knobs:", {name: len(values) for name, values in space.knobs.items()}, "feasible:", len(space.points))

# %% Measure the whole space. A point is a tiling; a layer alone runs in a few milliseconds. Points whose busiest stream
# alone takes longer than the best time so far need no emulation: no order of events makes them faster.
from tvm_aie.cost.features import stream_bound

bounds = {point: stream_bound(space.work, tiling, device) for point, tiling in space.points.items()}
times: dict = {}
for point in sorted(space.points, key=lambda p: (p != space.default, bounds[p])):
    if bounds[point] <= min(times.values(), default=float("inf")):
        try:
            times[point] = bench.emulate(space.work, space.points[point], device)
        except TvmAieError:  # more descriptors than a memtile has
            times[point] = float("inf")
print(f"default {times[space.default]:.0f} cycles, best of all {len(space.points)} {min(times.values()):.0f}"
      f" ({len(times)} emulated)")  # fmt: skip

# %% The same by search: MetaSchedule's evolutionary search, guided by the estimate and a learned correction.
from tvm_aie.tune import TuneOptions, tune_graphs

folder = Path(tempfile.mkdtemp())
options = TuneOptions(trials=16, seed=0, workers=0, plan_trials=1)  # the division of core memory stays as it is
result = tune_graphs([graph], device, folder / "layer", options)
(task,) = [t for t in result.tasks if t.trials]
print(f"search: {task.best_cycles:.0f} cycles after {task.trials} trials of {task.points} schedules")
assert min(times.values()) <= task.best_cycles <= times[space.default]  # never worse than untuned

# %% A network: first the decisions for the whole of it (division of core memory, fusion), then its layers.
import onnx
import tvm

from tvm_aie.frontend import from_onnx
from tvm_aie.frontend.onnx_build import NetBuilder
from tvm_aie.quantize import quantize
from tvm_aie.tune import load_records, tune

b = NetBuilder("small", (1, 3, 32, 32), 0)
x = b.relu(b.conv("data", 32, stride=2, pads=1))
b.relu(b.add(b.conv(b.relu(b.conv(x, 32)), 32), x))
onnx.save(quantize(b.model()), folder / "small.onnx")
mod = from_onnx(folder / "small.onnx")
result = tune(mod, "aie2", 24, folder / "records", TuneOptions(seed=0, workers=0))
print("decisions for the network:", dict(result.networks[0].plan) or "the untuned ones")
print(f"network: untuned {result.untuned_cycles:.0f}, tuned {result.tuned_cycles:.0f} cycles")
assert result.tuned_cycles <= result.untuned_cycles

# %% The next compile picks the records up. They are keyed by device, layer and Gamma: nothing else ever uses them.
from tvm_aie.relax import last_compilation
from tvm_aie.tune.network import cycles_of

with load_records(folder / "records"):
    tvm.compile(from_onnx(folder / "small.onnx"), target="aie2")
tuned = sum(cycles_of(c) for c in last_compilation().compiled)
assert tuned == result.tuned_cycles
print("compiled from records:", round(tuned), "cycles")

# %% A real network within a budget. A thousand trials take some minutes (`tvm-aie tune squeezenet.onnx --trials 1000`);
# this lesson spends a few only, most of them on the untuned schedules. Set TUTORIAL_TRIALS to spend more.
import os

from tvm_aie.frontend.onnx_zoo import light_model

budget = int(os.environ.get("TUTORIAL_TRIALS", "40"))
options = TuneOptions(seed=0, workers=2, plan_trials=1, network_trials=4 + budget // 20)
mod = from_onnx(quantize(light_model("squeezenet", seed=0)))
result = tune(mod, "aie2", budget, folder / "squeezenet", options)

# %% Read the report. Each row is a distinct layer, alone: how often it occurs, how many schedules it has, how many were
# measured, and what the best is worth. The last line is the network, emulated as a whole: a layer's commands hide
# behind its neighbours, so gains of layers do not add up, and what does not help there is not kept.
print("layer      times  schedules  trials  untuned   best (cycles, emulated)")
for task in sorted(result.tasks, key=lambda t: t.weight * (t.best_cycles - t.default_cycles) if t.trials else 0.0)[:8]:
    gain = f"{task.default_cycles:8.0f} {task.best_cycles:8.0f}" if task.trials else task.note
    print(f"{task.layer:10} {task.weight:5} {task.points:10} {task.trials:7} {gain}")
(network,) = result.networks
print(f"network: {network.untuned_cycles:.0f} -> {network.tuned_cycles:.0f} cycles, {network.evaluations} networks"
      f" emulated; {len(network.choice)} layers take another schedule")  # fmt: skip
assert network.tuned_cycles <= network.untuned_cycles and sum(t.trials for t in result.tasks) <= budget + 8

# %% What is the model worth? Judged on layers that it has not seen. On silicon: `tvm-aie cost validate`.
from tvm_aie.cost.learned import cross_validate
from tvm_aie.cost.learned import sample as as_sample
from tvm_aie.tune.records import all_measured
from tvm_aie.tune.space import digest_of

samples = [
    as_sample(digest_of(m.space.key), m.space.work, m.space.points[m.point], device, m.cycles)
    for m in all_measured(load_records(folder / "records"), device)
]
for row in cross_validate(samples):
    ranks = f"{row.rank_correlation:.2f}, estimate alone {row.estimate_rank_correlation:.2f}"
    print(f"  {row.group}: rank correlation {ranks}")
