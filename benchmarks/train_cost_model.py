"""Train the cost model that ships with the package, on layers of six networks measured on the emulator.

    python benchmarks/train_cost_model.py measure -o samples.json.gz
    python benchmarks/train_cost_model.py fit samples.json.gz -o python/tvm_aie/cost/pretrained.json.gz --check

``measure`` emulates, of every layer of benchmarks/tuning_layers.py, half its points by the estimate of the closed form,
best first, half at random up to ``SLOWEST`` times the best; seeded by the layer alone, so that the same version gives
the same file. ``fit`` makes the same bytes from the same file. It leaves layers out that judge the model elsewhere: the
twelve of benchmarks/tune_search.py, and a fifth of all layers, by their digest (``held_out``). ``--check`` judges every
layer by a model trained on other layers, in five folds, and the held-out fifth by the model itself.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tuning_layers import Shape, shapes, workload_of
from tvm_aie.cost.analytic import item_terms
from tvm_aie.cost.learned import Evaluation, LearnedModel, Sample, cross_validate, evaluate, sample
from tvm_aie.cost.repeated import calls
from tvm_aie.cost.replay import MOST_STEPS
from tvm_aie.device import load_device
from tvm_aie.errors import InfeasibleError, TvmAieError
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload
from tvm_aie.tune import bench
from tvm_aie.tune.space import Space, digest_of, gamma_text, space_of, workload_from

DEVICE = "npu1"
POINTS = 16  # of a layer
SLOWEST = 2.5  # times the best estimate: slower points are not measured
FEWEST = 8  # points of a layer that is used


@dataclass(frozen=True)
class Row:
    """A measured layer: its key and Gamma, and points of its space with their emulated cycles."""

    name: str
    key: str
    gamma: str
    points: list[tuple[list[int], float]]


def chosen_points(space: Space, work: Workload, count: int, seed: int) -> list[tuple[int, ...]]:
    """Half the points by the closed form's estimate, best first, the others at random among the likely ones."""
    device = load_device(DEVICE)
    able = [p for p in space.order if calls(space.points[p]) <= MOST_STEPS]
    if not able:
        return []
    guess = np.array([item_terms(work, space.points[p], device).estimate for p in able])
    order = np.argsort(guess, kind="stable")
    best = [int(i) for i in order[: count // 2]]
    rest = [int(i) for i in order[count // 2 :] if guess[i] < SLOWEST * guess.min()]
    rng = np.random.default_rng([seed, int(digest_of(space.key), 16)])
    more = rng.choice(rest, min(len(rest), count - len(best)), replace=False) if rest else []
    return [able[int(i)] for i in [*best, *more]]


def measured(shape: Shape, count: int, seed: int) -> Row | None:
    """Emulate points of a layer; None for one that cannot be measured alone, or has too few points."""
    device = load_device(DEVICE)
    work = workload_of(shape, device)
    if work is None:
        return None
    space = space_of(work, device)
    points: list[tuple[list[int], float]] = []
    for point in chosen_points(space, work, count, seed):
        try:
            points.append((list(point), bench.emulate(work, space.points[point], device)))
        except InfeasibleError:
            return None
        except TvmAieError:
            continue
    enough = len(points) >= FEWEST and len({c for _, c in points}) > 1
    return Row(shape.name, space.key, gamma_text(work), points) if enough else None


def measure(args: argparse.Namespace) -> None:
    """Emulate and save."""
    todo = shapes()[:: args.every]
    start, rows, keys = time.perf_counter(), [], set()
    with ProcessPoolExecutor(args.workers) as pool:
        found = pool.map(measured, todo, [args.points] * len(todo), [args.seed] * len(todo))
        for n, row in enumerate(found, 1):
            if row is not None and row.key not in keys:
                keys.add(row.key)
                rows.append(row)
            if n % 10 == 0 or n == len(todo):
                print(f"{n} of {len(todo)} layers, {time.perf_counter() - start:.0f} s", flush=True)
    text = json.dumps([[r.name, r.key, r.gamma, r.points] for r in rows], separators=(",", ":"))
    Path(args.output).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{len(rows)} layers, {sum(len(r.points) for r in rows)} measurements -> {digest(args.output)}")


def samples_of(path: str) -> Iterator[tuple[Row, list[Sample]]]:
    """Features of what was measured, layer by layer."""
    device = load_device(DEVICE)
    for name, key, gamma, points in json.loads(gzip.decompress(Path(path).read_bytes())):
        work = workload_from(key, gamma)
        space = space_of(work, device)
        tilings: list[tuple[Tiling, float]] = [(space.points[tuple(p)], cycles) for p, cycles in points]
        yield Row(name, key, gamma, points), [sample(digest_of(key), work, t, device, cycles) for t, cycles in tilings]


def held_out(key: str) -> bool:
    """Layers that the shipped model is never trained on."""
    return int(digest_of(key), 16) % 5 == 0


def fit(args: argparse.Namespace) -> None:
    """Train on all layers but those that judge."""
    from tune_search import LAYERS, layer_space

    judges = {layer_space(layer, load_device(DEVICE)).key for layer in LAYERS}
    rows = [pair for path in args.samples for pair in samples_of(path)]
    trained = [s for row, own in rows if not held_out(row.key) and row.key not in judges for s in own]
    model = LearnedModel()
    model.fit(trained)
    model.save(args.output)
    print(f"{len(trained)} measurements of {len({s.group for s in trained})} layers -> {digest(args.output)}")
    if args.check:
        judge("by folds of layers", cross_validate([s for _, own in rows for s in own]))
        judge("held out", evaluate(model, [s for row, own in rows if held_out(row.key) for s in own]))


def digest(path: str) -> str:
    """File name and its hash."""
    return f"{Path(path).name}, sha256 {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]}"


def judge(title: str, rows: Sequence[Evaluation]) -> None:
    """Print how well layers were ranked by models that have not seen them."""
    ranks, losses = [r.rank_correlation for r in rows], np.array([r.top1_loss for r in rows])
    base, base_losses = [r.estimate_rank_correlation for r in rows], np.array([r.estimate_top1_loss for r in rows])
    near, base_near = (np.mean(x <= 0.03) for x in (losses, base_losses))
    print(f"{title}: {len(rows)} layers not trained on: rank {np.mean(ranks):.3f} mean, {np.median(ranks):.3f} median,"
          f" {np.min(ranks):.3f} worst; {np.mean(np.array(ranks) >= 0.95):.0%} at least 0.95")  # fmt: skip
    print(f"  predicted best: {np.mean(losses):.4f} mean, {np.max(losses):.3f} worst loss; {near:.0%} within 3 %")
    print(f"  mean absolute error {np.mean([r.error for r in rows]):.5f}")
    print(f"  estimate alone: rank {np.mean(base):.3f} mean, {np.median(base):.3f} median; "
          f"{np.mean(base_losses):.4f} mean loss, {base_near:.0%} within 3 %")  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    one = actions.add_parser("measure")
    one.add_argument("--points", type=int, default=POINTS, help="of a layer")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--every", type=int, default=1, help="only every so many layers")
    one.add_argument("--workers", type=int, default=2)
    one.add_argument("-o", "--output", required=True)
    two = actions.add_parser("fit")
    two.add_argument("samples", nargs="+")
    two.add_argument("-o", "--output", required=True)
    two.add_argument("--check", action="store_true", help="also judge each layer by a model trained on the others")
    args = parser.parse_args()
    {"measure": measure, "fit": fit}[args.action](args)


if __name__ == "__main__":
    main()
