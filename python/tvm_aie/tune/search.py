"""Our parts of MetaSchedule's evolutionary search: knob-aware mutation, feasibility, features, guided cost model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm.ir.utils import derived_object
from tvm.runtime import tensor
from tvm.s_tir import meta_schedule as ms

from tvm_aie.cost.features import feature_vector, physical_bound
from tvm_aie.cost.learned import Floats, LearnedModel, Sample
from tvm_aie.device import Device
from tvm_aie.tune.space import Space, Values, digest_of
from tvm_aie.tune.stub import KEY_ATTR, attribute, decisions, values_of

FAILED_SECONDS = 1e9  # a record at or above this is a failed trial
MIN_SAMPLES = 24  # of all tasks, before the learned correction is used
ROUNDS = 150
KNOWN_FACTOR = 1e-3


@dataclass
class Session:
    """What the parts share during one tuning run: spaces by workload key, measured cycles, the model."""

    device: Device
    spaces: dict[str, Space]
    seed: int
    measured: dict[str, dict[Values, float]] = field(default_factory=dict)  # inf: the trial failed
    model: LearnedModel = field(default_factory=LearnedModel)
    _matrices: dict[str, Floats] = field(default_factory=dict)
    _scores: dict[str, Floats] = field(default_factory=dict)
    _trained_on: int = 0

    def __post_init__(self) -> None:
        """Seed everything that draws."""
        self.random = np.random.default_rng(self.seed)
        self.model = LearnedModel(self.seed, ROUNDS)

    def space(self, mod: Any) -> Space:
        """Space of a stub module."""
        return self.spaces[attribute(mod, KEY_ATTR)]

    def predicted(self, space: Space) -> Floats:
        """Predicted cycles of every point of a space, in its order."""
        if space.key not in self._scores:
            if space.key not in self._matrices:
                rows = [feature_vector(space.work, space.points[p], self.device) for p in space.order]
                self._matrices[space.key] = np.stack(rows)
            cycles = self.model.predict_features(self._matrices[space.key])
            self._scores[space.key] = np.maximum(cycles, physical_bound(space.work, self.device))
        return self._scores[space.key]

    def add(self, space: Space, point: Values, cycles: float) -> bool:
        """Note a measurement; False when it was known."""
        known = self.measured.setdefault(space.key, {})
        fresh = point not in known
        known[point] = cycles
        return fresh

    def retrain(self) -> None:
        """Fit the correction once enough is new."""
        count = sum(len(m) for m in self.measured.values())
        if count < MIN_SAMPLES or count < 1.2 * self._trained_on:
            return
        samples = []
        for key, known in self.measured.items():
            space = self.spaces[key]
            self.predicted(space)
            rows = dict(zip(space.order, self._matrices[key], strict=True))
            samples += [Sample(digest_of(key), rows[p], c) for p, c in known.items() if np.isfinite(c)]
        self.model.fit(samples)
        self._trained_on = count
        self._scores.clear()


def point_of(space: Space, trace: Any) -> Values | None:
    """The point that a trace decided; None when it is infeasible."""
    values = values_of(trace, space.knobs)
    if values is None or space.tiling(values) is None:
        return None
    return tuple(values.values())


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
        point = point_of(self.space, trace)
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
    """Next point to look at."""
    random = session.random
    cycles = session.predicted(space)
    near = space.neighbours(point) if point is not None else []
    if near and random.random() < 0.7:
        index = {p: i for i, p in enumerate(space.order)}
        weight = (1.0 / cycles[[index[p] for p in near]]) ** 4
        return near[int(random.choice(len(near), p=weight / weight.sum()))]
    weight = (cycles.min() / cycles) ** 8
    return space.order[int(random.choice(len(cycles), p=weight / weight.sum()))]


@derived_object
class Feasible(ms.postproc.PyPostproc):  # type: ignore[misc]
    """Rejects combinations of knobs that mean no piece that fits a core."""

    def __init__(self, session: Session) -> None:
        """``session``: shared by all tasks."""
        super().__init__()
        self.session = session
        self.space: Space | None = None

    def _initialize_with_tune_context(self, context: Any) -> None:
        self.space = self.session.space(context.mod)

    def apply(self, sch: Any) -> bool:
        """True when the schedule's knobs are feasible."""
        assert self.space is not None
        return point_of(self.space, sch.trace) is not None

    def clone(self) -> Any:
        """A copy for another thread."""
        other = Feasible(self.session)
        other.space = self.space
        return other


@derived_object
class AnalyticalFeatures(ms.feature_extractor.PyFeatureExtractor):  # type: ignore[misc]
    """One row of analytical terms per candidate, for TVM's own ``XGBModel``."""

    def __init__(self, session: Session) -> None:
        """``session``: shared by all tasks."""
        super().__init__()
        self.session = session

    def extract_from(self, context: Any, candidates: list[Any]) -> list[Any]:
        """Features of each candidate; relative to the space's best estimate, as the model's target is."""
        space = self.session.space(context.mod)
        best = np.log(min(t.cycles for t in space.points.values()))
        rows = []
        for candidate in candidates:
            point = point_of(space, candidate.sch.trace)
            assert point is not None
            row = feature_vector(space.work, space.points[point], self.session.device)
            row[:7] -= best
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
        """Scores in (0, 1]; of points that are measured already, next to nothing: another trial would teach nothing."""
        space = self.session.space(context.mod)
        cycles = dict(zip(space.order, self.session.predicted(space), strict=True))
        best = min(cycles.values())
        known = self.session.measured.get(space.key, {})
        scores = {p: best / c * (KNOWN_FACTOR if p in known else 1.0) for p, c in cycles.items()}
        points = [point_of(space, c.sch.trace) for c in candidates]
        return np.array([scores[p] if p is not None else 0.0 for p in points], np.float64)
