"""The learned correction: xgboost on (features -> log of emulated / estimated cycles). Needs the extra [tune]."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.features import NAMES, Vector, feature_vector, physical_bound
from tvm_aie.device import Device
from tvm_aie.errors import InputError
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload

Floats = npt.NDArray[np.float64]
_ESTIMATE, _BOUND = NAMES.index("log_estimate"), NAMES.index("log_bound")
MODEL_VERSION = 2
PRETRAINED_DEVICE = "npu1"
TIE = 1e-3  # cycles that differ by less are equal, for ranks
MEMBERS = 3  # models with different seeds whose mean is taken


@dataclass(frozen=True)
class Sample:
    """One measured tiling. ``group``: its workload; ranks are compared within a group."""

    group: str
    features: Vector
    cycles: float


def sample(group: str, work: Workload, tiling: Tiling, device: Device, cycles: float) -> Sample:
    """Features of a tiling with its emulated cycles."""
    return Sample(group, feature_vector(work, tiling, device), cycles)


class LearnedModel:
    """``predict`` gives cycles: the estimate times the learned ratio, never below the physical bound."""

    def __init__(self, seed: int = 0, rounds: int = 200) -> None:
        """An untrained model predicts the estimate itself."""
        self.seed, self.rounds = seed, rounds
        self.trained_on = 0
        self._boosters: list[Any] = []

    def fit(self, samples: Sequence[Sample]) -> None:
        """Train on all samples; each workload weighs the same, fast tilings more than slow ones."""
        xgb = _xgboost()
        if not samples:
            raise InputError("nothing to fit: the records hold no measurement for this device")
        x = np.stack([s.features for s in samples])
        y = np.log([s.cycles for s in samples]) - x[:, _ESTIMATE]
        data = xgb.DMatrix(x, label=y, weight=_weights(samples), feature_names=list(NAMES))
        parameters = {
            # A small correction of a good estimate, and robust: some measurements are far from any estimate.
            "objective": "reg:absoluteerror", "max_depth": 4, "eta": 0.05, "subsample": 0.8, "colsample_bytree": 0.5,
            "min_child_weight": 1.0, "lambda": 1.0, "nthread": 1, "tree_method": "hist",
        }  # fmt: skip
        seeds = [self.seed * MEMBERS + i for i in range(MEMBERS)]
        self._boosters = [xgb.train({**parameters, "seed": s}, data, num_boost_round=self.rounds) for s in seeds]
        self.trained_on = len(samples)

    def predict_features(self, x: Floats) -> Floats:
        """Cycles for a matrix of features."""
        if not len(x):
            return np.zeros(0)
        log = x[:, _ESTIMATE].copy()
        if self._boosters:
            data = _xgboost().DMatrix(x, feature_names=list(NAMES))
            log += np.mean([booster.predict(data) for booster in self._boosters], axis=0)
        cycles: Floats = np.exp(np.maximum(log, x[:, _BOUND]))
        return cycles

    def predict(self, work: Workload, tilings: Sequence[Tiling], device: Device) -> Floats:
        """Cycles of each tiling."""
        x = np.stack([feature_vector(work, t, device) for t in tilings])
        return np.maximum(self.predict_features(x), physical_bound(work, device))

    def save(self, path: str | Path) -> None:
        """Write the model as JSON."""
        if not self._boosters:
            raise InputError("an untrained model is not saved")
        trees = [json.loads(bytes(booster.save_raw("json"))) for booster in self._boosters]
        body = {"version": MODEL_VERSION, "features": list(NAMES), "trained_on": self.trained_on, "models": trees}
        text = json.dumps(body).encode()
        Path(path).write_bytes(gzip.compress(text, 9, mtime=0) if str(path).endswith(".gz") else text)

    @classmethod
    def load(cls, path: str | Path) -> LearnedModel:
        """Read a model; ``InputError`` for a file that is none, or of other features."""
        try:
            data = Path(path).read_bytes()
            body = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
            if body["version"] != MODEL_VERSION or body["features"] != list(NAMES):
                raise InputError(f"{path}: a model of another version of tvm-aie; run `tvm-aie cost fit` again")
            model = cls()
            for tree in body["models"]:
                booster = _xgboost().Booster()
                booster.load_model(bytearray(json.dumps(tree).encode()))
                model._boosters.append(booster)
            model.trained_on = int(body["trained_on"])
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: not a cost model ({error})") from error
        return model

    @classmethod
    def pretrained(cls, device: Device) -> LearnedModel:
        """The model that ships with the package, for the device whose measurements it was trained on; else untrained.

        Trained by ``benchmarks/train_cost_model.py`` on layers of six networks.
        """
        path = Path(__file__).parent / "pretrained.json.gz"
        if device.name != PRETRAINED_DEVICE or not path.exists():
            return cls()
        try:
            return cls.load(path)
        except InputError:  # made for other features
            return cls()


@dataclass(frozen=True)
class Evaluation:
    """How well a model ranks the measured tilings of one workload."""

    group: str
    count: int
    rank_correlation: float
    top1_loss: float  # emulated time of the predicted best, relative to the best measured, minus 1
    error: float  # mean absolute relative error
    estimate_rank_correlation: float
    estimate_top1_loss: float


def evaluate(model: LearnedModel, samples: Sequence[Sample]) -> list[Evaluation]:
    """Per workload with at least two distinct times; the plain estimate beside it."""
    out = []
    for group in sorted({s.group for s in samples}):
        mine = [s for s in samples if s.group == group]
        truth = np.array([s.cycles for s in mine])
        if len(set(truth)) < 2:
            continue
        x = np.stack([s.features for s in mine])
        predicted, estimate = model.predict_features(x), np.exp(x[:, _ESTIMATE])
        losses = [float(truth[int(np.argmin(p))] / truth.min() - 1) for p in (predicted, estimate)]
        error = float(np.mean(np.abs(predicted / truth - 1)))
        rank, base = (rank_correlation(rounded(p), rounded(truth)) for p in (predicted, estimate))
        out.append(Evaluation(group, len(mine), rank, losses[0], error, base, losses[1]))
    return out


def cross_validate(samples: Sequence[Sample], seed: int = 0, folds: int = 5) -> list[Evaluation]:
    """Every workload judged by a model that has not seen it."""
    groups = sorted({s.group for s in samples})
    np.random.default_rng(seed).shuffle(groups)
    if len(groups) < 2:
        raise InputError("cross-validation needs measurements of at least two layers")
    out: list[Evaluation] = []
    for part in np.array_split(np.array(groups), min(folds, len(groups))):
        held = set(part.tolist())
        model = LearnedModel(seed)
        model.fit([s for s in samples if s.group not in held])
        out += evaluate(model, [s for s in samples if s.group in held])
    return sorted(out, key=lambda e: e.group)


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's coefficient, ties by mean rank."""
    ra, rb = _ranks(np.asarray(a)), _ranks(np.asarray(b))
    if ra.std() == 0 or rb.std() == 0:
        return 0.0
    return float(np.corrcoef(ra, rb)[0, 1])


def rounded(cycles: Floats) -> Floats:
    """Logarithms to 0.1 %: what is closer than that is a tie."""
    rounded: Floats = np.round(np.log(cycles) / TIE)
    return rounded


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2.0)[inverse]
    return ranks


def _weights(samples: Sequence[Sample]) -> Floats:
    groups: dict[str, list[float]] = {}
    for s in samples:
        groups.setdefault(s.group, []).append(s.cycles)
    best = {g: min(v) for g, v in groups.items()}
    return np.array([(0.05 + (best[s.group] / s.cycles) ** 2) / len(groups[s.group]) * 100 for s in samples])


def _xgboost() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise InputError("the learned model needs xgboost: pip install 'tvm-aie[tune]'") from error
    return xgboost
