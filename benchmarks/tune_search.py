"""Search against random search on twelve layers whose whole space is known.

    python benchmarks/tune_search.py [--layers NAME ...] [--seeds 10] [--cache FILE]

For each layer: N schedules fit the array; those whose busiest stream alone takes longer than 1.02 times the best time
found cannot be within 2 % of the best (``cost.features.stream_bound``); all others are emulated. With K of the N within
2 % of the best, random search without repetition needs (N + 1) / (K + 1) trials on average until it meets one. The
tuner (its own code, measurements looked up) runs with each seed until it meets one; its first trial is the untuned
schedule and counts. Claim: on average over the seeds at most 1/20 of random search's trials.

The layers were written down before any of them was measured: three or four shapes each of ResNet-50, Inception V3,
MobileNetV2 and VGG16, four of them 50 % sparse. A layer on which random search needs fewer than 20 trials is listed and
is no case for the claim: no search can do better than one trial.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
from tvm.s_tir import meta_schedule as ms

from tvm_aie.cost.features import stream_bound
from tvm_aie.cost.learned import Floats
from tvm_aie.device import Device, load_device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.graph import Conv, GraphIO, LayerGraph, Requant, Tensor
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload
from tvm_aie.tune import bench, tuner
from tvm_aie.tune.search import feature_rows
from tvm_aie.tune.space import Space, Values, space_of

SLACK, FACTOR = 1.02, 20.0


@dataclass(frozen=True)
class Layer:
    """A convolution of a network; ``density``: share of live 8x8 blocks."""

    name: str
    channels: int
    pixels: int
    outputs: int
    kernel: int
    groups: int = 1
    density: float = 1.0

    def graph(self) -> LayerGraph:
        """The layer alone, seeded weights."""
        rng = np.random.default_rng(len(self.name))
        weight = rng.integers(1, 127, (self.outputs, self.channels // self.groups, self.kernel, self.kernel), np.int8)
        if self.density < 1:
            live = rng.random((self.outputs // 8, self.channels // 8)) < self.density
            weight *= np.repeat(np.repeat(live, 8, 0), 8, 1)[:, :, None, None].astype(np.int8)
        size, pad = self.pixels, self.kernel // 2
        x, y = Tensor("x", self.channels, size, size, 0), Tensor("y", self.outputs, size, size, 0)
        conv = Conv("conv", "x", "y", weight, np.zeros(self.outputs, np.int64), 0, Requant(9), (1, 1), (pad,) * 4,
                    (1, 1), self.groups)  # fmt: skip
        shapes = [(1, t.channels, size, size) for t in (x, y)]
        graph = LayerGraph(self.name, {"x": x, "y": y}, (conv,), (GraphIO("x", shapes[0], "int8"),),
                           (GraphIO("y", shapes[1], "int8"),))  # fmt: skip
        graph.verify()
        return graph


LAYERS = (
    Layer("resnet50-3x3-28", 128, 28, 128, 3),
    Layer("resnet50-3x3-14", 256, 14, 256, 3),
    Layer("resnet50-1x1-14", 1024, 14, 256, 1),
    Layer("resnet50-1x1-7-sparse", 2048, 7, 512, 1, density=0.5),
    Layer("inception-3x3-35", 64, 35, 96, 3),
    Layer("inception-1x1-17", 768, 17, 192, 1),
    Layer("inception-1x1-17-sparse", 768, 17, 192, 1, density=0.5),
    Layer("mobilenet-expand-14", 96, 14, 576, 1),
    Layer("mobilenet-project-28", 192, 28, 32, 1),
    Layer("mobilenet-depthwise-28", 192, 28, 192, 3, groups=192),
    Layer("vgg16-3x3-14", 512, 14, 512, 3),
    Layer("vgg16-3x3-28-sparse", 256, 28, 512, 3, density=0.5),
)


@dataclass(frozen=True)
class Enumerated:
    """A layer's space with emulated cycles; schedules that the bound excludes or that cannot be built: infinite."""

    space: Space
    cycles: dict[Values, float]
    emulated: int

    @property
    def best(self) -> float:
        """Fastest of all."""
        return min(self.cycles.values())

    @property
    def good(self) -> int:
        """Schedules within 2 % of the best."""
        return sum(1 for c in self.cycles.values() if c <= SLACK * self.best)

    @property
    def random_trials(self) -> float:
        """Trials that random search without repetition needs on average: (N + 1) / (K + 1)."""
        return (len(self.cycles) + 1) / (self.good + 1)


def layer_space(layer: Layer, device: Device) -> Space:
    """The space of the layer's only item."""
    found = []
    compile_graph(layer.graph(), device, None, lambda work: found.append(work))
    (work,) = found
    return space_of(work, device)


def enumerate_layer(layer: Layer, device: Device, known: dict[str, float] | None = None) -> Enumerated:
    """Emulate every schedule that may be within 2 % of the best; ``known``: times by point, of an earlier run."""
    space = layer_space(layer, device)
    known = {} if known is None else known
    bounds = {p: stream_bound(space.work, t, device) for p, t in space.points.items()}
    cycles = dict.fromkeys(space.points, float("inf"))
    best, count = float("inf"), 0
    for point in sorted(space.points, key=lambda p: (p != space.default, bounds[p])):
        if bounds[point] > SLACK * best:
            continue
        name = json.dumps(point)
        if name not in known:
            try:
                known[name] = bench.emulate(space.work, space.points[point], device)
            except TvmAieError:
                known[name] = float("inf")
        count += 1
        cycles[point] = known[name]
        best = min(best, cycles[point])
    return Enumerated(space, cycles, count)


class _Met(Exception):
    """The search has measured a schedule within 2 % of the best."""


@dataclass
class Looks:
    """What no seed changes, looked up by every search of a layer: quick estimates and features of its points."""

    quick: dict[str, Floats] = field(default_factory=dict)
    rows: dict[int, Floats] = field(default_factory=dict)  # by the tiling's id; the space keeps them all

    def vectors(self, work: Workload, tilings: Sequence[Tiling], device: Device) -> list[Floats]:
        """Features of some tilings."""
        for tiling in tilings:
            if id(tiling) not in self.rows:
                (self.rows[id(tiling)],) = feature_rows(work, [tiling], device)
        return [self.rows[id(tiling)] for tiling in tilings]


def search_trials(table: Enumerated, device: Device, seed: int, limit: int, looks: Looks | None = None) -> int:
    """Trials of the tuner until a schedule within 2 % of the best is measured; ``limit`` + 1 when none is.

    A schedule that the enumeration left out is a failed trial.
    """
    trials = 0

    def watch(progress: tuner.Progress) -> None:
        nonlocal trials
        trials += 1
        if progress.cycles <= SLACK * table.best:
            raise _Met

    def look_up(work: object, tiling: object, device: Device) -> float:
        point = places[id(tiling)]
        return table.cycles[point]

    places = {id(t): p for p, t in table.space.points.items()}
    options = tuner.TuneOptions(trials=limit, seed=seed, workers=0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        database = ms.database.JSONDatabase(work_dir=folder)
        stack.enter_context(mock.patch.object(bench, "emulate", look_up))
        stack.enter_context(mock.patch.object(bench, "build", lambda *a: repr(look_up(*a)).encode()))
        stack.enter_context(mock.patch.object(bench, "run", lambda data: float(data)))
        tuning = tuner.Tuning(device, (), database, options, watch)
        looks = looks or Looks()
        tuning.session.vectors, tuning.session.quick = looks.vectors, looks.quick
        tuning.add_space(table.space, 1)
        try:
            tuning.search()
        except _Met:
            return trials
    return limit + 1


@dataclass(frozen=True)
class Comparison:
    """One layer: what both searches need."""

    layer: str
    schedules: int
    emulated: int
    good: int
    random: float
    trials: tuple[int, ...]
    default_loss: float

    @property
    def mean(self) -> float:
        """Trials of the tuner, mean over the seeds."""
        return float(np.mean(self.trials))

    @property
    def is_case(self) -> bool:
        """Random search needs at least 20 trials, so that 1/20 of them is at least one."""
        return self.random >= FACTOR

    @property
    def holds(self) -> bool:
        """At most 1/20 of random search's trials."""
        return self.mean <= self.random / FACTOR


def compare(layer: Layer, device: Device, seeds: Sequence[int], known: dict[str, float] | None = None) -> Comparison:
    """Enumerate and search."""
    table = enumerate_layer(layer, device, known)
    limit = min(len(table.cycles), max(8, int(table.random_trials / 2)))
    looks = Looks()
    trials = tuple(search_trials(table, device, seed, limit, looks) for seed in seeds)
    loss = table.cycles[table.space.default] / table.best - 1
    return Comparison(layer.name, len(table.cycles), table.emulated, table.good, table.random_trials, trials, loss)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="*", default=[layer.name for layer in LAYERS])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cache", help="JSON file that keeps emulated times between runs of one version")
    args = parser.parse_args()
    path = Path(args.cache) if args.cache else None
    known: dict[str, dict[str, float]] = json.loads(path.read_text()) if path and path.exists() else {}
    device = load_device("npu1")
    print(f"{'layer':26}{'N':>6}{'emulated':>9}{'K':>4}{'random':>8}{'1/20':>6}{'tuner':>7}  loss of untuned, holds")
    for layer in LAYERS:
        if layer.name not in args.layers:
            continue
        start = time.process_time()
        try:
            result = compare(layer, device, range(args.seeds), known.setdefault(layer.name, {}))
        finally:
            if path:
                path.write_text(json.dumps(known))
        verdict = "yes" if result.holds else "NO" if result.is_case else "no case"
        print(
            f"{result.layer:26}{result.schedules:6}{result.emulated:9}{result.good:4}{result.random:8.1f}"
            f"{result.random / FACTOR:6.1f}{result.mean:7.1f}  {100 * result.default_loss:5.1f} %  {verdict}"
            f"  {list(result.trials)} {time.process_time() - start:.0f} s CPU",
            flush=True,
        )


if __name__ == "__main__":
    main()
