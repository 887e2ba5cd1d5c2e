"""Our parts of MetaSchedule's evolutionary search: knob-aware mutation, feasibility, features, guided cost model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from tvm.ir.utils import derived_object
from tvm.runtime import tensor
from tvm.s_tir import meta_schedule as ms

from tvm_aie.cost.analytic import quick_estimate
from tvm_aie.cost.features import NAMES, feature_vector, physical_bound
from tvm_aie.cost.learned import Floats, LearnedModel, Sample
from tvm_aie.device import Device
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload
from tvm_aie.tune.space import Space, Values, digest_of
from tvm_aie.tune.stub import KEY_ATTR, attribute, decisions, values_of

FAILED_SECONDS = 1e9  # a record at or above this is a failed trial
MIN_SAMPLES = 24  # of all tasks, before the learned correction is used
ROUNDS = 150
KNOWN_FACTOR = 1e-3
# Points of a space, best by the quick estimate, for which features are computed; more as it is searched, and fewer
# where there are few trials.
LIKELY, FEWEST_LIKELY = 40, 6
COUNTED = 160  # points whose commands are counted for the quick estimate
UNLIKELY = 1.5  # factor on the quick estimate of the others
PROPOSED = 12  # best predicted points among which a mutation draws
NEIGHBOURS, LENGTH, NOISE = 96, 0.35, 0.05  # of the correction: points, kernel width in spreads, noise to signal


Vectors = Callable[[Workload, Sequence[Tiling], Device], Sequence[Floats]]


def portable(work: Workload) -> Workload:
    """A workload without what only the search for a default tiling needs."""
    return replace(work, counter=None)


def feature_rows(work: Workload, tilings: Sequence[Tiling], device: Device) -> list[Floats]:
    """Features of some tilings, one after the other."""
    return [feature_vector(work, t, device) for t in tilings]


@dataclass
class Session:
    """What the parts share during one tuning run: spaces by workload key, measured cycles, the prediction.

    A prediction starts from ``model`` (the one that ships, or one of the user's, or the plain estimate) and is
    corrected by what was measured of the same layer (``_correction``). Without a trained model, one is trained on the
    run's own measurements once there are enough. ``vectors`` computes features, in worker processes perhaps, of
    ``likely`` points of a space at first.
    """

    device: Device
    spaces: dict[str, Space]
    seed: int
    model: LearnedModel = field(default_factory=LearnedModel)
    vectors: Vectors = feature_rows
    likely: int = LIKELY
    measured: dict[str, dict[Values, float]] = field(default_factory=dict)  # inf: the trial failed
    quick: dict[str, Floats] = field(default_factory=dict)  # quick estimates of every point, once they are wanted
    _rows: dict[str, dict[int, int]] = field(default_factory=dict)  # place of a point -> row of its features
    _matrices: dict[str, Floats] = field(default_factory=dict)
    _base: dict[str, Floats] = field(default_factory=dict)
    _scores: dict[str, Floats] = field(default_factory=dict)
    _trained_on: int = 0

    def __post_init__(self) -> None:
        """Seed everything that draws."""
        self.random = np.random.default_rng(self.seed)
        self._learns = not self.model.trained_on

    def space(self, mod: Any) -> Space:
        """Space of a stub module."""
        return self.spaces[attribute(mod, KEY_ATTR)]

    def predicted(self, space: Space) -> Floats:
        """Predicted cycles of every point of a space, in its order."""
        if space.key not in self._scores:
            matrix, base = self._features(space), self._from_model(space)
            rows = self._rows[space.key]
            known = [(rows[space.index[p]], c) for p, c in self.measured.get(space.key, {}).items()
                     if np.isfinite(c) and space.index[p] in rows]  # fmt: skip
            scores = self.quick[space.key] * UNLIKELY
            scores[list(rows)] = base * np.exp(_correction(matrix, base, known))
            self._scores[space.key] = np.maximum(scores, physical_bound(space.work, self.device))
        return self._scores[space.key]

    def _features(self, space: Space) -> Floats:
        """Features of the likely points of a space: the quick estimate says which, and the measured ones."""
        key = space.key
        if key not in self.quick:
            self.quick[key] = self._quick_look(space)
        self._matrices.setdefault(key, np.zeros((0, len(NAMES))))
        have = self._rows.setdefault(key, {})
        known = self.measured.get(key, {})
        likely = np.argsort(self.quick[key], kind="stable")[: min(COUNTED, self.likely + 2 * len(known))]
        wanted = [*(int(i) for i in likely), space.index[space.default], *(space.index[p] for p in known)]
        new = [i for i in dict.fromkeys(wanted) if i not in have]
        if new:
            rows = self.vectors(space.work, [space.points[space.order[i]] for i in new], self.device)
            self._matrices[key] = np.vstack([self._matrices[key], *rows])
            have.update({i: len(have) + n for n, i in enumerate(new)})
            self._base.pop(key, None)
        return self._matrices[key]

    def _quick_look(self, space: Space) -> Floats:
        """Quick estimates of all points; commands are counted for the best of them only, which says what they cost."""
        plain = portable(space.work)
        quick = np.array([quick_estimate(plain, space.points[p], self.device) for p in space.order])
        best = np.argsort(quick, kind="stable")[:COUNTED]
        if space.work.counter is None:
            return quick
        counted = np.array([quick_estimate(space.work, space.points[space.order[i]], self.device) for i in best])
        scaled: Floats = quick * max(1.0, float(np.mean(counted / quick[best])))
        scaled[best] = counted
        return scaled

    def _from_model(self, space: Space) -> Floats:
        """The model's prediction for the rows of ``_features``."""
        if space.key not in self._base:
            self._base[space.key] = self.model.predict_features(self._matrices[space.key])
        return self._base[space.key]

    def add(self, space: Space, point: Values, cycles: float) -> bool:
        """Note a measurement; False when it was known."""
        known = self.measured.setdefault(space.key, {})
        fresh = point not in known
        known[point] = cycles
        self._scores.pop(space.key, None)
        return fresh

    def retrain(self) -> None:
        """Train a model of this run's own when it began without one."""
        count = sum(len(m) for m in self.measured.values())
        if not self._learns or count < MIN_SAMPLES or count < 1.2 * self._trained_on:
            return
        samples = []
        for key, known in self.measured.items():
            space = self.spaces[key]
            matrix, rows = self._features(space), self._rows[key]
            finite = [(rows[space.index[p]], c) for p, c in known.items() if np.isfinite(c)]
            samples += [Sample(digest_of(key), matrix[row], c) for row, c in finite]
        if not samples:
            return
        self.model = LearnedModel(self.seed, ROUNDS)
        self.model.fit(samples)
        self._trained_on = count
        self._base.clear()
        self._scores.clear()

    def unmeasured(self, space: Space, count: int) -> list[Values]:
        """The best predicted points that were not measured yet."""
        known = self.measured.get(space.key, {})
        order = np.argsort(self.predicted(space), kind="stable")
        found = (space.order[int(i)] for i in order)
        return list(islice((p for p in found if p not in known), count))


def _correction(matrix: Floats, base: Floats, known: list[tuple[int, float]]) -> Floats:
    """Log of measured / predicted, carried over from the measured points of a layer to those with like features.

    Regression with a Gaussian kernel on features scaled by their spread in the space: far from every measured point
    the correction is zero. At most ``NEIGHBOURS`` points, the fastest, take part.
    """
    if not known:
        return np.zeros(len(matrix))
    known = sorted(known, key=lambda item: item[1])[:NEIGHBOURS]
    spread = matrix.std(axis=0)
    scaled = matrix[:, spread > 1e-9] / spread[spread > 1e-9]
    if not scaled.shape[1]:
        return np.zeros(len(matrix))
    rows = scaled[[i for i, _ in known]]
    residual = np.log([c / base[i] for i, c in known])

    def kernel(a: Floats, b: Floats) -> Floats:
        distance = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
        return np.asarray(np.exp(-np.maximum(distance, 0.0) / (2 * LENGTH**2 * scaled.shape[1])), np.float64)

    weights = np.linalg.solve(kernel(rows, rows) + NOISE * np.eye(len(rows)), residual)
    return np.asarray(np.clip(kernel(scaled, rows) @ weights, -1.5, 1.5), np.float64)


def point_of(space: Space, trace: Any) -> Values | None:
    """The point that a trace decided; None when it is infeasible or decides other knobs."""
    values = values_of(trace, space.knobs)
    if values is None or space.tiling(values) is None:
        return None
    return tuple(values.values())


def searched_point(space: Space, trace: Any) -> Values | None:
    """The point that a trace of the search means: of an infeasible combination, the nearest feasible one."""
    values = values_of(trace, space.knobs)
    return None if values is None else space.nearest(values)


@derived_object
class KnobMutator(ms.mutator.PyMutator):  # type: ignore[misc]
    """Moves to a feasible neighbour (one knob, else two), preferring those predicted fast; sometimes jumps."""

    def __init__(self, session: Session) -> None:
        """``session``: shared by all tasks."""
        super().__init__()
        self.session = session
        self.space: Space | None = None

    def _initialize_with_tune_context(self, context: Any) -> None:
        self.space = self.session.space(context.mod)

    def apply(self, trace: Any, _: Any) -> Any:
        """The mutated trace, or None."""
        assert self.space is not None
        point = searched_point(self.space, trace)
        target = mutate(self.session, self.space, point)
        for (inst, values, _index), value in zip(decisions(trace), target, strict=True):
            trace = trace.with_decision(inst, values.index(value), remove_postproc=True)
        return trace

    def clone(self) -> Any:
        """A copy for another thread."""
        other = KnobMutator(self.session)
        other.space = self.space
        return other


def mutate(session: Session, space: Space, point: Values | None) -> Values:
    """Next point to look at: one of the best predicted that are not measured, or a neighbour."""
    random = session.random
    best = session.unmeasured(space, PROPOSED)
    if best and random.random() < 0.5:
        return best[int(random.integers(len(best)))]
    cycles = session.predicted(space)
    near = space.neighbours(point) if point is not None else []
    if near and random.random() < 0.7:
        weight = (1.0 / cycles[[space.index[p] for p in near]]) ** 4
        return near[int(random.choice(len(near), p=weight / weight.sum()))]
    weight = (cycles.min() / cycles) ** 8
    return space.order[int(random.choice(len(cycles), p=weight / weight.sum()))]


@derived_object
class AnalyticalFeatures(ms.feature_extractor.PyFeatureExtractor):  # type: ignore[misc]
    """One row of analytical terms per candidate, for TVM's own ``XGBModel``.

    The search asks for the same points again and again, and a row takes a replay of the commands: rows are kept.
    """

    def __init__(self, session: Session) -> None:
        """``session``: shared by all tasks."""
        super().__init__()
        self.session = session
        self.known: dict[tuple[str, Values], Floats] = {}

    def _row(self, space: Space, point: Values) -> Floats:
        key = space.key, point
        if key not in self.known:
            self.known[key] = feature_vector(space.work, space.points[point], self.session.device)
        return self.known[key].copy()

    def extract_from(self, context: Any, candidates: list[Any]) -> list[Any]:
        """Features of each candidate; relative to the space's best estimate, as the model's target is."""
        space = self.session.space(context.mod)
        best = np.log(self.session.predicted(space).min())
        rows = []
        for candidate in candidates:
            point = searched_point(space, candidate.sch.trace)
            assert point is not None
            row = self._row(space, point)
            row[:2] -= best
            rows.append(tensor(row[None, :].astype("float32")))
        return rows


@derived_object
class GuidedModel(ms.cost_model.PyCostModel):  # type: ignore[misc]
    """Score = best predicted / predicted cycles: the estimate at first, with the learned correction once trained."""

    def __init__(self, session: Session) -> None:
        """``session``: holds the model and what was measured."""
        super().__init__()
        self.session = session

    def load(self, path: str) -> None:
        """Read a saved correction."""
        self.session.model = LearnedModel.load(path)

    def save(self, path: str) -> None:
        """Write the correction."""
        self.session.model.save(path)

    def update(self, context: Any, candidates: list[Any], results: list[Any]) -> None:
        """The trials are in the session already (``Recorder`` runs first)."""
        self.session.retrain()

    def predict(self, context: Any, candidates: list[Any]) -> Floats:
        """Scores in (0, 1]; next to nothing for points that are measured already, another trial would teach nothing,
        and for combinations that mean their nearest point: that point is a candidate under its own name, too.
        """
        space = self.session.space(context.mod)
        cycles = self.session.predicted(space)
        known = self.session.measured.get(space.key, {})
        best = cycles.min()
        scores = []
        for candidate in candidates:
            own = point_of(space, candidate.sch.trace)
            point = searched_point(space, candidate.sch.trace) if own is None else own
            factor = KNOWN_FACTOR if own is None or own in known else 1.0
            scores.append(0.0 if point is None else factor * best / cycles[space.index[point]])
        return np.array(scores, np.float64)
