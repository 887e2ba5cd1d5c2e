"""``tune``: distinct layers become MetaSchedule tasks, trials run on the emulator, the network keeps what helps it."""

from __future__ import annotations

import logging
import pickle
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from tvm_aie.cost.learned import LearnedModel
from tvm_aie.device import Device
from tvm_aie.errors import InputError, TvmAieError
from tvm_aie.pipeline import Decisions, finish
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.rehearse import settle
from tvm_aie.tune import bench, network, plan, records
from tvm_aie.tune.measure import EmulatorBuilder, EmulatorRunner, Workers
from tvm_aie.tune.network import Network, Selection
from tvm_aie.tune.search import (
    FEWEST_LIKELY,
    LIKELY,
    AnalyticalFeatures,
    GuidedModel,
    KnobMutator,
    Session,
    portable,
    searched_point,
)
from tvm_aie.tune.space import Space, Values, digest_of, space_of
from tvm_aie.tune.stub import space_generator

CANDIDATES = 6  # fastest records of a layer that are tried in the network
_ROUND = 8  # trials of a task before the scheduler chooses again
_ATTEMPTS = 4  # times that MetaSchedule is started


@dataclass(frozen=True)
class Progress:
    """One trial; or one emulated network (``layer`` empty); or what is being prepared (``doing``), without cycles.

    Cycles are emulated; inf: the trial failed.
    """

    trial: int
    trials: int
    layer: str
    cycles: float
    best_cycles: float
    default_cycles: float
    doing: str = ""


def preparing(text: str) -> Progress:
    """Progress without a trial."""
    nothing = float("inf")
    return Progress(0, 0, "", nothing, nothing, nothing, text)


@dataclass(frozen=True)
class TaskResult:
    """One distinct layer. ``weight``: times it occurs. Cycles are of the layer alone, in steady state."""

    layer: str
    key: str
    weight: int
    points: int
    trials: int
    default_cycles: float
    best_cycles: float
    note: str = ""


@dataclass(frozen=True)
class TuneResult:
    """Outcome of ``tune``; times are emulated."""

    device: Device
    tasks: tuple[TaskResult, ...]
    networks: tuple[Selection, ...]
    history: tuple[Progress, ...]
    database: Any

    @property
    def untuned_cycles(self) -> float:
        """All regions of the network, before."""
        return sum(s.untuned_cycles for s in self.networks)

    @property
    def tuned_cycles(self) -> float:
        """All regions of the network, after; never more than before."""
        return sum(s.tuned_cycles for s in self.networks)


@dataclass(frozen=True)
class TuneOptions:
    """How to search. ``workers``: processes (0: this one); ``rpc``: (host, port, key) of a tracker.

    ``model``: ``guided`` (estimate with learned correction) or ``xgb`` (TVM's XGBModel on our features).
    ``network_trials``: emulations of the network for the final choice; None: 3 per layer and trials / 20.
    ``start``: a model of ``cost fit`` that predictions start from; None: the one that ships, for its device.
    ``plan_trials``: emulations for the decisions of the whole network (``tune.plan``); None: all values of each knob.
    """

    trials: int = 256
    seed: int = 0
    workers: int = 2
    rpc: tuple[str, int, str] | None = None
    model: str = "guided"
    population: int = 64
    network_trials: int | None = None
    plan_trials: int | None = None
    start: str | Path | None = None


Report = Callable[[Progress], None]


def graphs_of(mod: Any, device: Device) -> list[LayerGraph]:
    """The layer graphs that an ``aie2`` compile of ``mod`` hands to the backend, in the order of its symbols."""
    from tvm_aie.relax.fallback import fitting_partition

    return fitting_partition(mod, device)[1]


def tune(
    mod: Any, target: Any, trials: int, work_dir: str | Path, options: TuneOptions | None = None,
    report: Report = lambda progress: None,
) -> TuneResult:  # fmt: skip
    """Tune the array's part of a Relax module for an ``aie2`` target; records go to ``work_dir``.

    Records that ``work_dir`` already holds count as trials and are not repeated: an interrupted run is resumed by
    calling again.
    """
    from tvm_aie.targets import as_target, device_of

    device = device_of(as_target(target))
    graphs = graphs_of(mod, device)
    if not graphs:
        raise InputError("nothing to tune: no part of the network runs on the array")
    options = options or TuneOptions()
    return tune_graphs(graphs, device, work_dir, replace(options, trials=trials), report)


def tune_graphs(
    graphs: Sequence[LayerGraph], device: Device, work_dir: str | Path, options: TuneOptions | None = None,
    report: Report = lambda progress: None,
) -> TuneResult:  # fmt: skip
    """``tune`` for layer graphs."""
    options = options or TuneOptions()
    folder = Path(work_dir)
    folder.mkdir(parents=True, exist_ok=True)
    records.repair(folder)
    database = ms.database.JSONDatabase(work_dir=str(folder))
    with closing(Workers(options.workers)) as workers:
        plans = [_planned(graph, device, database, options, report, workers) for graph in graphs]
        tuning = Tuning(device, plans, database, options, report, workers)
        tuning.search()
        selections = tuning.choose()
    return TuneResult(device, tuning.task_results(), tuple(selections), tuple(tuning.history), database)


@dataclass(frozen=True)
class _Planned:
    """A network under its plan. ``untuned``: emulated cycles without any record; ``plan``: names of the decisions."""

    network: Network
    untuned: float
    plan: tuple[tuple[str, str], ...]


def _planned(
    graph: LayerGraph, device: Device, database: Any, options: TuneOptions, report: Report, workers: Workers
) -> _Planned:
    """Settle the decisions for the whole network, or take the recorded ones."""
    report(preparing(f"compiling {graph.name} untuned"))
    settled = settle(graph, device)
    knobs = plan.plan_knobs(graph, device, settled)
    net, _ = network.network_of(graph, device, plan.plan_of(knobs, {}))
    untuned = network.cycles_of(finish(settled[0]))
    places = plan.stored_plan(database, net.digest, device, knobs)
    if places is None:
        budget = sum(len(knob.values) for knob in knobs) if options.plan_trials is None else options.plan_trials
        report(preparing(f"{graph.name}: at most {budget} emulations for what concerns the whole network"))

        def told(used: int, best: float) -> None:
            report(Progress(used, 0, "", best, best, untuned))

        def evaluate(plans: Sequence[Decisions]) -> list[float]:
            return workers.map(plan.plan_cycles, [(graph, device, p) for p in plans])

        places, cycles, _ = plan.choose_plan(graph, device, budget, told, evaluate, max(1, workers.count), knobs)
        plan.commit_plan(database, net.digest, device, knobs, places, cycles, records.target_of(device))
    if places:
        net, _ = network.network_of(graph, device, plan.plan_of(knobs, places))
    names = {knob.name: knob.values for knob in knobs}
    return _Planned(net, untuned, tuple((name, names[name][place]) for name, place in places.items()))


class Tuning:
    """One run of ``tune_graphs``."""

    def __init__(
        self,
        device: Device,
        plans: Sequence[_Planned],
        database: Any,
        options: TuneOptions,
        report: Report,
        workers: Workers | None = None,
    ) -> None:
        """``plans``: the networks; layers may also be added one by one (``add_space``)."""
        self.device, self.plans, self.database = device, plans, database
        self.options, self.report = options, report
        self.history: list[Progress] = []
        self.weights: dict[str, int] = {}
        self.spaces: dict[str, Space] = {}
        self.stopped_by: BaseException | None = None
        self.session = Session(device, self.spaces, options.seed, _start_model(device, options))
        self.workers = workers or Workers(options.workers)
        self.session.vectors = self.workers.features
        self.target = records.target_of(device)
        self.notes: dict[str, str] = {}
        self.tasks: list[str] = []
        self.running: list[str] = []  # those that are searched now
        for planned in plans:
            distinct = planned.network.distinct()
            for n, (key, (work, count)) in enumerate(distinct.items(), 1):
                report(preparing(f"schedules of layer {n} of {len(distinct)}: {work.layer}"))
                self.add_space(self.spaces.get(key) or space_of(work, device), count)
        self.session.likely = max(FEWEST_LIKELY, min(LIKELY, options.trials // (2 * max(1, len(self.tasks)))))
        self._recall()

    def add_space(self, space: Space, weight: int) -> None:
        """One more layer, or more occurrences of one."""
        known = space.key in self.weights
        self.weights[space.key] = self.weights.get(space.key, 0) + weight
        if not known:
            self.spaces[space.key] = space
            if self._can_tune(space.key):
                self.tasks.append(space.key)

    def _recall(self) -> None:
        """Take what the database knows."""
        index = records.by_key(self.database)
        for key in self.tasks:
            for found in records.points(self.database, self.spaces[key], self.device, index):
                self.session.add(self.spaces[key], found.point, found.cycles)
        self.session.retrain()

    def _can_tune(self, key: str) -> bool:
        space = self.spaces[key]
        if len(space.points) < 2:
            self.notes[key] = "only one schedule fits"
        else:
            try:
                bench.build(space.work, space.points[space.default], self.device)
            except TvmAieError as error:
                self.notes[key] = f"cannot be measured alone: {error}"
        return key not in self.notes

    @property
    def done(self) -> int:
        """Trials so far, those of earlier runs included."""
        return sum(len(m) for m in self.session.measured.values())

    def note(self, space: Space, point: Values, cycles: float) -> None:
        """Store a new measurement and tell the progress."""
        if not self.session.add(space, point, cycles):
            return
        record = records.make_record(self.database, space, point, cycles, self.device, self.target)
        self.database.commit_tuning_record(record)
        known = self.session.measured[space.key]
        default = known.get(space.default, float("inf"))
        self._tell(Progress(self.done, self.options.trials, space.work.layer, cycles, min(known.values()), default))

    def _tell(self, progress: Progress) -> None:
        self.history.append(progress)
        try:
            self.report(progress)
        except BaseException as error:
            self.stopped_by = error
            raise

    def search(self) -> None:
        """Measure the defaults, then let MetaSchedule search."""
        if not self.tasks:
            return
        workers = self.workers
        submit = self._submitter(workers)
        builder, runner = EmulatorBuilder(self.session, workers), EmulatorRunner(self.session, submit)
        self._defaults(workers)
        callbacks = [Recorder(self), ms.measure_callback.UpdateCostModel(), ms.measure_callback.RemoveBuildArtifact()]
        model = GuidedModel(self.session)
        if self.options.model == "xgb":
            model = ms.cost_model.XGBModel(extractor=AnalyticalFeatures(self.session), num_warmup_samples=_ROUND,
                                           num_tuning_cores=1)  # fmt: skip
            np.random.seed(self.options.seed)
        _quiet()
        # MetaSchedule counts a candidate that it has seen before as a trial, we do not: what is left is searched again.
        for attempt in range(_ATTEMPTS):
            self.running = [k for k in self.tasks if len(self.session.measured.get(k, {})) < len(self.spaces[k].points)]
            before = self.done
            if before >= self.options.trials or not self.running:
                break
            with _without_tensor_intrinsics():
                contexts = [self._context(key, self.tasks.index(key), attempt) for key in self.running]
            self._run_tasks(contexts, self.options.trials - before, builder, runner, model, callbacks)
            if self.done == before:
                break

    def _run_tasks(
        self, contexts: list[Any], left: int, builder: Any, runner: Any, model: Any, callbacks: list[Any]
    ) -> None:
        """MetaSchedule's loop. An exception of ours that crosses it loses its type there: the original is raised."""
        with _noting_interrupt(self):
            ms.tune_tasks(
                tasks=contexts,
                task_weights=[float(self.weights[k]) for k in self.running],
                work_dir=".",
                max_trials_global=left,
                max_trials_per_task=max(_ROUND, left),
                num_trials_per_iter=max(1, min(_ROUND, left // (2 * len(contexts)))),
                builder=builder,
                runner=runner,
                database=self.database,
                cost_model=model,
                measure_callbacks=callbacks,
                task_scheduler=ms.task_scheduler.GradientBased(seed=self.options.seed + 1),
            )

    def _submitter(self, workers: Workers) -> Callable[[str], Any]:
        if self.options.rpc is None:
            return lambda path: workers.submit(bench.run_file, path)
        from tvm_aie.tune.remote import RemoteFleet

        fleet = RemoteFleet(*self.options.rpc)
        return fleet.submit

    def _defaults(self, workers: Workers) -> None:
        """The first trial of each layer is the untuned schedule."""
        todo = [k for k in self.tasks if self.spaces[k].default not in self.session.measured.get(k, {})]
        todo = todo[: max(0, self.options.trials - self.done)]
        jobs = []
        for key in todo:
            space = self.spaces[key]
            jobs.append(workers.submit(_emulate, portable(space.work), space.points[space.default], self.device))
        for key, job in zip(todo, jobs, strict=True):
            self.note(self.spaces[key], self.spaces[key].default, job.result())

    def _context(self, key: str, index: int, attempt: int) -> Any:
        space = self.spaces[key]
        search = ms.search_strategy.EvolutionarySearch(
            population_size=self.options.population,
            init_measured_ratio=0.2,
            init_min_unmeasured=min(16, len(space.points)),
            genetic_num_iters=3,
            genetic_mutate_prob=0.85,
            eps_greedy=0.05,
        )
        return ms.TuneContext(
            records.module_for(space),
            target=self.target,
            space_generator=space_generator(KnobMutator(self.session), space.knobs),
            search_strategy=search,
            task_name=f"{index:02d}-{space.work.layer}",
            rand_state=self.options.seed * 1000 + index + 1 + 100000 * attempt,
            num_threads=1,
        )

    def choose(self) -> list[Selection]:
        """Per network: try the fastest records in it and store what helps."""
        out = []
        for planned in self.plans:
            net = planned.network
            keys = list(net.distinct())
            spaces = {k: self.spaces[k] for k in keys}
            candidates, gains = {}, {}
            for key in keys:
                known = self.session.measured.get(key, {})
                ranked = sorted((c, p) for p, c in known.items() if np.isfinite(c))
                candidates[key] = [p for _, p in ranked[:CANDIDATES]] or self._likely(key)
                default = known.get(self.spaces[key].default, float("inf"))
                gains[key] = (default - ranked[0][0]) * self.weights[key] if ranked else 0.0
            budget = self.options.network_trials
            budget = 2 + 3 * len(keys) + self.options.trials // 20 if budget is None else budget
            found = self._select(net, spaces, candidates, gains, budget, planned.untuned)
            if found.better:
                network.commit(self.database, net, spaces, found, self.target)
            out.append(replace(found, plan=planned.plan))
        return out

    def _select(
        self, net: Network, spaces: dict[str, Space], candidates: dict[str, list[Values]], gains: dict[str, float],
        budget: int, untuned: float,
    ) -> Selection:  # fmt: skip
        """``network.select`` by the worker processes, which read the network from a file."""
        with tempfile.TemporaryDirectory(prefix="tvm-aie-network-") as folder:
            path = str(Path(folder) / "network.pkl")
            if self.workers.count:
                Path(path).write_bytes(pickle.dumps(net))

            def evaluate(choices: Sequence[network.Choice]) -> list[float]:
                tilings = [network.tilings_of(spaces, choice) for choice in choices]
                if not self.workers.count:
                    return [network.choice_cycles(net, t) for t in tilings]
                return self.workers.map(network.stored_cycles, [(path, t) for t in tilings])

            width = max(1, self.workers.count)
            told = self._network_told
            return network.select(net, spaces, candidates, gains, budget, told, untuned, evaluate, width)

    def _likely(self, key: str) -> list[Values]:
        """Best predicted points of a layer that cannot be measured alone."""
        space = self.spaces[key]
        order = np.argsort(self.session.predicted(space), kind="stable")[:CANDIDATES]
        return [space.order[int(i)] for i in order]

    def _network_told(self, used: int, best: float) -> None:
        self.report(Progress(used, 0, "", best, best, best))

    def task_results(self) -> tuple[TaskResult, ...]:
        """One row per distinct layer."""
        rows = []
        for key, weight in self.weights.items():
            space = self.spaces[key]
            known = self.session.measured.get(key, {})
            best, default = min(known.values(), default=float("nan")), known.get(space.default, float("nan"))
            note = self.notes.get(key, "")
            layer, count = space.work.layer, len(space.points)
            rows.append(TaskResult(layer, digest_of(key), weight, count, len(known), default, best, note))
        return tuple(rows)


def _start_model(device: Device, options: TuneOptions) -> LearnedModel:
    """The model that predictions start from."""
    if options.start is None:
        return LearnedModel.pretrained(device)
    return LearnedModel.load(options.start)


def _emulate(work: Any, tiling: Any, device: Device) -> float:
    """Cycles, infinite when it fails. For worker processes."""
    try:
        return bench.emulate(work, tiling, device)
    except TvmAieError:
        return float("inf")


@derived_object
class Recorder(ms.measure_callback.PyMeasureCallback):  # type: ignore[misc]
    """Stores each new result at once, so that an interrupt loses nothing."""

    def __init__(self, tuning: Tuning) -> None:
        """``tuning``: where results go."""
        super().__init__()
        self.tuning = tuning

    def apply(
        self, task_scheduler: Any, task_id: int, measure_candidates: list[Any], builder_results: list[Any],
        runner_results: list[Any],
    ) -> None:  # fmt: skip
        """Called after each round of a task."""
        tuning = self.tuning
        space = tuning.spaces[tuning.running[task_id]]
        for candidate, built, ran in zip(measure_candidates, builder_results, runner_results, strict=True):
            point = searched_point(space, candidate.sch.trace)
            if point is None:
                continue
            failed = built.error_msg is not None or not ran.run_secs
            seconds = float("inf") if failed else sum(float(s) for s in ran.run_secs) / len(ran.run_secs)
            tuning.note(space, point, records.cycles_of(seconds, tuning.device))


@contextmanager
def _noting_interrupt(tuning: Tuning) -> Iterator[None]:
    """Ctrl-C and exceptions of the progress callback come out as they are."""

    def interrupted(*_: Any) -> None:
        tuning.stopped_by = KeyboardInterrupt()
        raise tuning.stopped_by

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupted) if main else None
    try:
        yield
    except BaseException:
        if tuning.stopped_by is not None:
            raise tuning.stopped_by from None
        raise
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


@contextmanager
def _without_tensor_intrinsics() -> Iterator[None]:
    """``TuneContext`` imports TVM's CPU and GPU intrinsics (9 s of parsing); none is used here."""
    name = "tvm.s_tir.tensor_intrin"
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]


def _quiet() -> None:
    """MetaSchedule prints tables at INFO."""
    for name in ("tvm.s_tir.meta_schedule", "tvm.s_tir", "tvm"):
        logging.getLogger(name).setLevel(logging.WARNING)


def best_points(result: TuneResult) -> Mapping[str, float]:
    """Layer -> best cycles alone over default cycles alone."""
    return {t.layer: t.best_cycles / t.default_cycles for t in result.tasks if t.trials}
