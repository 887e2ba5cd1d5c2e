"""Train the cost model that ships with the package, on random layers measured on the emulator.

    python benchmarks/train_cost_model.py measure --layers 160 --points 48 --seed 0 -o samples.pkl [--model model.json]
    python benchmarks/train_cost_model.py fit samples.pkl [more.pkl ...] -o python/tvm_aie/cost/pretrained.json.gz

``measure`` draws layers (kernel, stride, sizes, sparsity, residuals, adds, pools) and emulates points of their spaces:
half by the predicted time, best first, half at random. No layer of a network is taken from a file; layers that equal
one of the twelve of benchmarks/tune_search.py are left out, so that those stay unseen.
"""

from __future__ import annotations

import argparse
import pickle
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tvm_aie.cost.analytic import item_terms
from tvm_aie.cost.learned import Evaluation, LearnedModel, cross_validate, sample
from tvm_aie.device import load_device
from tvm_aie.errors import InfeasibleError, TvmAieError
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.geometry import Geometry, KernelId
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload
from tvm_aie.tune import bench
from tvm_aie.tune.space import digest_of, space_of, workload_key

PIXELS = (7, 7, 8, 14, 14, 14, 16, 17, 20, 24, 28, 28, 28, 32, 35, 40, 48, 56, 56, 64, 71, 73, 112)
CHANNELS = (16, 24, 32, 48, 64, 64, 80, 96, 128, 128, 160, 192, 256, 256, 320, 384, 448, 512, 512, 768, 1024, 2048)
WINDOWS = ((1, 1), (1, 1), (1, 1), (1, 1), (3, 3), (3, 3), (3, 3), (5, 5), (1, 7), (7, 1), (7, 7))
SLOWEST = 2.5  # times the best prediction: slower points are not measured
MOST_SECONDS = 8.0  # of CPU for a layer; its points are measured in random order
MOST_CALLS = 300  # of the busiest core in points that are trained on
MAX_BYTES = 300_000  # of an activation: six outputs and the input of a repetition stay in the memtiles


def random_workload(rng: np.random.Generator, columns: int, rows: int) -> Workload:
    """A layer as a network could have it."""
    while True:
        size = int(rng.choice(PIXELS))
        cin, cout = int(rng.choice(CHANNELS)), int(rng.choice(CHANNELS))
        kind = rng.random()
        shares = tuple(b - a for a, b in split_even(size, columns))
        if kind < 0.08:
            if cin * size * size > MAX_BYTES:
                continue
            blocks = cin // 8
            geo = Geometry(KernelId.ADD, 1, 1, 1, 1, 1, 1, 0, 0, size, size, size, size, blocks, blocks,
                           n_inputs=2)  # fmt: skip
            return Workload("add", "npu1", geo, shares, rows, bool(rng.random() < 0.5), None)
        if kind < 0.14:
            k, s = ((2, 2), (3, 2), (3, 1))[int(rng.integers(3))]
            if cin * size * size * s * s > MAX_BYTES:
                continue
            pad = 0 if k == 2 else 1
            h = (size - 1) * s + k - 2 * pad
            geo = Geometry(KernelId.MAXPOOL, k, k, s, s, 1, 1, pad, pad, h, h, size, size, cin // 8, cin // 8)
            return Workload("pool", "npu1", geo, shares, rows, False, None)
        kh, kw = WINDOWS[int(rng.integers(len(WINDOWS)))]
        stride = 2 if rng.random() < 0.15 else 1
        if max(cin * (size * stride) ** 2, cout * size * size) > MAX_BYTES or cin * cout * kh * kw > 2_500_000:
            continue
        density = float(rng.choice((1.0, 1.0, 0.5, 0.5, 0.25, 0.75)))
        live = rng.random((cout // 8, cin // 8)) < density
        if density == 1.0:
            live[:] = True
        elif rng.random() < 0.15 and cin == cout:
            live = np.eye(cout // 8, dtype=bool)  # depthwise
        live[:, 0] |= ~live.any(axis=1)
        residual = 2 if kh == kw == 1 and rng.random() < 0.3 and stride == 1 else 1
        if kh == kw == 1:
            geo = Geometry(KernelId.CONV, 1, 1, 1, 1, 1, 1, 0, 0, size, size, size, size, cin // 8, cout // 8,
                           residual, row_step=stride, px_step=stride)  # fmt: skip
        else:
            h = (size - 1) * stride + kh - 2 * (kh // 2)
            w = (size - 1) * stride + kw - 2 * (kw // 2)
            geo = Geometry(KernelId.CONV, kh, kw, stride, stride, 1, 1, kh // 2, kw // 2, h, w, size, size, cin // 8,
                           cout // 8, residual)  # fmt: skip
        return Workload("conv", "npu1", geo, shares, rows, False, live)


def measure(args: argparse.Namespace) -> None:
    """Emulate and save."""
    device = load_device("npu1")
    rng = np.random.default_rng(args.seed)
    model = None
    if args.model:
        model = LearnedModel.load(args.model)
    out, keys, start = [], set(), time.perf_counter()
    while len(out) < args.layers:
        work = random_workload(rng, device.cols, device.rows)
        key = workload_key(work, device)
        space = space_of(work, device)
        if key in keys or len(space.points) < 12:
            continue
        keys.add(key)
        points = list(space.order)
        cost = model.predict(work, [space.points[p] for p in points], device) if model else None
        guess = np.array([item_terms(work, space.points[p], device).estimate for p in points]) if cost is None else cost
        order = np.argsort(guess, kind="stable")
        best = order[: args.points // 2]
        rest = [i for i in order[args.points // 2 :] if guess[i] < SLOWEST * guess.min()]
        more = rng.choice(rest, min(len(rest), args.points - len(best)), replace=False) if len(rest) else []
        rows = []
        begun = time.process_time()
        for index in rng.permutation([*best, *more]):
            if time.process_time() - begun > MOST_SECONDS:
                break
            tiling = space.points[points[int(index)]]
            try:
                rows.append((tiling, bench.emulate(work, tiling, device)))
            except InfeasibleError:
                break  # the layer cannot be measured alone
            except TvmAieError:
                continue
        if len(rows) < 8 or rows[0][1] == max(c for _, c in rows) == min(c for _, c in rows):
            continue
        out.append((work, rows))
        if len(out) % 5 == 0 or len(out) == args.layers:
            Path(args.output).write_bytes(pickle.dumps(out))
        print(f"{len(out)} layers, {time.perf_counter() - start:.0f} s, space {len(points)}", flush=True)


def fit(args: argparse.Namespace) -> None:
    """Train on everything, except layers that the benchmark keeps for judging."""
    from tune_search import LAYERS, layer_space

    device = load_device("npu1")
    judged = {layer_space(layer, device).key for layer in LAYERS}
    samples, layers = [], 0
    for path in args.samples:
        for work, rows in pickle.loads(Path(path).read_bytes()):
            key = workload_key(work, device)
            if key not in judged:
                layers += 1
                for tiling, cycles in [(t, c) for t, c in rows if calls(t) <= MOST_CALLS][: args.most]:
                    samples.append(sample(digest_of(key), work, tiling, device, cycles))
    if args.check:
        judge(cross_validate(samples))
    model = LearnedModel()
    model.fit(samples)
    model.save(args.output)
    print(f"{len(samples)} measurements of {layers} layers -> {args.output}")


def calls(t: Tiling) -> int:
    """Kernel calls of the busiest core."""
    return t.n_pass * t.n_x * max(n for _, n in t.bands) * t.n_ck


def judge(rows: Sequence[Evaluation]) -> None:
    """Print how well layers were ranked by models that have not seen them."""
    ranks, losses = [r.rank_correlation for r in rows], np.array([r.top1_loss for r in rows])
    base, base_losses = [r.estimate_rank_correlation for r in rows], np.array([r.estimate_top1_loss for r in rows])
    near, base_near = (np.mean(x <= 0.03) for x in (losses, base_losses))
    print(f"{len(rows)} layers not trained on: rank {np.mean(ranks):.3f} mean, {np.median(ranks):.3f} median")
    print(f"predicted best: {np.mean(losses):.3f} mean, {np.median(losses):.3f} median loss; {near:.0%} within 3 %")
    print(f"estimate alone: rank {np.mean(base):.3f} mean, {np.median(base):.3f} median; {base_near:.0%} within 3 %")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    one = actions.add_parser("measure")
    one.add_argument("--layers", type=int, default=160)
    one.add_argument("--points", type=int, default=48)
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--model")
    one.add_argument("-o", "--output", required=True)
    two = actions.add_parser("fit")
    two.add_argument("samples", nargs="+")
    two.add_argument("-o", "--output", required=True)
    two.add_argument("--most", type=int, default=24, help="points of a layer that are used")
    two.add_argument("--check", action="store_true", help="also judge each layer by a model trained on the others")
    args = parser.parse_args()
    {"measure": measure, "fit": fit}[args.action](args)


if __name__ == "__main__":
    main()
