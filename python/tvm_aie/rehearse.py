"""Whole plans compared by emulation, where commands cost time.

The estimate follows the emulator closely while cores or streams bound a network. Where the command processor does, it
approximates which pushes find their channel idle, and may prefer the slower of two plans. So a few plans that differ
for the whole network are emulated, timed and without data:
* the best plan of the default division of core memory, and the first plans of the two others that the estimate finds
  best (``schedule.geometry.DIVISIONS``), of three for networks of up to 40 items, of all for a few items; which of a
  division's plans is best (pools, siblings, runs) is left to the estimate;
* where 1x1 convolutions could run in front of windows (``plan.front``) and the estimate favours some: the plan with
  those, for each division of core memory that has room for their rows;
* where commands are much of a network's work: for the two best of these, tilings for other prices of commands
  (``schedule.control``), the rest of the plan as it is, for the plan's division and for the default one; residual adds
  as items of their own, since as part of a convolution they take a message for each pass and band; the input as it is,
  where ``plan.space_to_depth`` changes it; every plan with a few chains (``emit.arrange``), as these differ by more
  than plans do, and the best few with many, by which the plan is chosen;
* of the best plan programs that are loaded with fewer tasks, or with more; where commands are much of the work, also
  with descriptors that stand (``emit.arrange.standing``).

A compilation takes several times as long as by the estimate alone (``benchmarks/control_table.py --speed``): most of it
makes plans and emits their programs, little emulates them.
Plans share what they can: the divisions of core memory differ only in the rings, and what a network's convolutions
weigh and which commands their messages take is found once.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import inf
from typing import NamedTuple

from tvm_aie.alike import same_program
from tvm_aie.collector import seldom
from tvm_aie.device import Device, load_device
from tvm_aie.emit.arrange import CHAINS, MORE_CHAINS, Chains, clocks, loaded_otherwise, standing, variants
from tvm_aie.emit.assembly import Assembly
from tvm_aie.emit.commands import CommandBuilder
from tvm_aie.emit.emitter import Emitter
from tvm_aie.emit.program import Program
from tvm_aie.errors import EmulationFault, InfeasibleError, PlanWarning, ProgramError
from tvm_aie.narrow import costs
from tvm_aie.pipeline import (
    UNTUNED,
    Compiled,
    Decisions,
    Plan,
    Prepared,
    emitter_of,
    finish,
    prepare,
    repriced,
    worthwhile_fronts,
)
from tvm_aie.plan.fuse import fused_adds
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.control import HALF, PRICE, Price
from tvm_aie.schedule.geometry import DIVISIONS, FRONTS, Overlay
from tvm_aie.searches import base_overlay

# A plan, and the decisions under which it was made.
Option = tuple[Prepared, Decisions]


class Timed(NamedTuple):
    """Emulated cycles of a plan: by its chains, and, as several may be one stream, by what is scheduled and by its
    commands' digest."""

    by_chains: dict[tuple[Chains, ...], float]
    by_commands: dict[bytes, float]
    by_stream: dict[bytes, float]


class Judged(NamedTuple):
    """A plan, the first that has the same program, and its emulated cycles."""

    plan: Plan
    first: Plan
    cycles: float


def _digest(commands: CommandBuilder) -> bytes:
    """Of the commands: streams are too long to be kept."""
    return hashlib.sha256(commands.scheduled.commands.tobytes()).digest()


class Rehearsal:
    """Emulated cycles of plans, each emulated once."""

    def __init__(self, chains: Sequence[Chains] = CHAINS) -> None:
        """``chains``: of which the command scheduler takes one."""
        self.chains = tuple(chains)
        self.known: dict[int, Judged] = {}  # by identity; the plan is kept, so that its id stays its own
        self.timed: dict[int, tuple[Plan, Timed]] = {}  # likewise; with the chains of which the scheduler takes one
        self.fastest: tuple[float, Plan, Assembly, CommandBuilder] | None = None
        self.emitters: list[tuple[float, Plan, Emitter]] = []  # of the fastest plans; they rearrange what they emitted

    def __call__(self, plan: Plan) -> float:
        """Cycles of a plan; infinite when no program can be made of it, or (``PlanWarning``) it does not run."""
        return self._judged(plan).cycles

    def _judged(self, plan: Plan) -> Judged:
        if id(plan) not in self.known:
            firsts = [judged for judged in self.known.values() if judged.plan is judged.first]
            same = next((judged for judged in firsts if same_program(judged.plan, plan)), None)
            self.known[id(plan)] = same._replace(plan=plan) if same else Judged(plan, plan, self._emulated(plan))
        return self.known[id(plan)]

    def _emulated(self, plan: Plan) -> float:
        try:
            emitter = emitter_of(plan, self.chains)
            emitter.assembled()
        except (InfeasibleError, ProgramError):
            return inf  # it does not fit, or its commands have no legal order
        cycles = self._timed(plan, emitter)
        timed = Timed({self.chains: cycles}, {_digest(emitter.commands): cycles}, {})
        self.timed[id(plan)] = plan, timed
        much = bool(self.chains) and _worth_chains(plan, cycles)
        if much:  # chains differ by more than plans do
            cycles = min(cycles, *(self._rearranged(plan, emitter, (chains,), timed) for chains in FEW_CHAINS))
        self._keep(plan, emitter, cycles, MOST_CHAINED if much else 1)
        return cycles

    def _keep(self, plan: Plan, emitter: Emitter, cycles: float, most: int) -> None:
        """The emitter for ``best_chains``, if the plan is one of so many of the fastest."""
        self.emitters.append((cycles, plan, emitter))
        self.emitters.sort(key=lambda kept: kept[0])
        del self.emitters[most:]

    def _rearranged(self, plan: Plan, emitter: Emitter, chains: tuple[Chains, ...], timed: Timed) -> float:
        """Cycles of what was emitted with other chains; infinite when there is no legal order."""
        if chains not in timed.by_chains:
            stream = emitter.arranger.stream(chains[0]) if len(chains) == 1 else None
            cycles = timed.by_stream.get(stream) if stream else None
            timed.by_chains[chains] = self._scheduled(plan, emitter, chains, timed) if cycles is None else cycles
            if stream:
                timed.by_stream[stream] = timed.by_chains[chains]
        return timed.by_chains[chains]

    def _scheduled(self, plan: Plan, emitter: Emitter, chains: tuple[Chains, ...], timed: Timed) -> float:
        try:
            commands = _digest(emitter.rearrange(chains))
        except ProgramError:
            return inf
        if commands not in timed.by_commands:
            timed.by_commands[commands] = self._timed(plan, emitter)
        return timed.by_commands[commands]

    def _timed(self, plan: Plan, emitter: Emitter) -> float:
        """Of the stream that was arranged last."""
        try:
            program = emitter.assembly.serialised(emitter.commands)
            cycles = float(run_program(program, [], RunOptions(functional=False)).cycles)
        except (EmulationFault, ProgramError) as error:
            name = plan.physical.graph.name
            text = f"{name}: a plan was dropped because its program does not run (please report): {str(error)[:300]}"
            warnings.warn(text, PlanWarning, stacklevel=2)
            return inf
        if self.fastest is None or cycles < self.fastest[0]:
            self.fastest = cycles, plan, emitter.assembly, emitter.commands
        return cycles

    def best_chains(self, plan: Plan, much: bool) -> tuple[tuple[Chains, ...], float]:
        """The chains with which the plan, which ran, runs fastest, and its cycles with them.

        What a program is loaded with costs descriptors, and pushes near the end; whether it pays is found by emulation.
        ``much``: commands are much of the work; then so is, unless the network takes less than its launch, the best of
        ``MORE_CHAINS``, as they are and with descriptors that stand.
        """
        plan = self._judged(plan).first
        emitter, timed = self._emitter(plan)
        timed_with = partial(self._rearranged, plan, emitter, timed=timed)
        found = {self.chains: timed_with(self.chains)}
        if much and self(plan) > plan.array.device.launch_cycles:
            more = (*MORE_CHAINS, *(standing(chains)[0] for chains in MORE_CHAINS))
            single: dict[tuple[Chains, ...], float] = {(chains,): timed_with((chains,)) for chains in more}
            (best,) = min(single, key=single.__getitem__)
            for others in (standing, variants, clocks):
                single |= {(chains,): timed_with((chains,)) for chains in others(best)}
                (best,) = min(single, key=single.__getitem__)
            found |= single
        fastest: tuple[Chains, ...] = min(found, key=found.__getitem__)
        for other in loaded_otherwise(fastest)[: None if much else 1]:
            found[other] = timed_with(other)
        fastest = min(found, key=found.__getitem__)
        return fastest, found[fastest]

    def _emitter(self, plan: Plan) -> tuple[Emitter, Timed]:
        """What has emitted the plan, and what is known of its chains."""
        _, timed = self.timed.setdefault(id(plan), (plan, Timed({}, {}, {})))
        kept = next((emitter for _, other, emitter in self.emitters if other is plan), None)
        if kept is None:
            kept = emitter_of(plan, self.chains)
            kept.assembled()
        return kept, timed

    def program(self, plan: Plan) -> Program | None:
        """What was emitted for the fastest plan; None for others."""
        judged = self.known.get(id(plan))
        if self.fastest is None or judged is None or judged.first is not self.fastest[1]:
            return None
        _, _, assembly, commands = self.fastest
        return assembly.program(commands, {})


def judge(device: Device, chains: bool = True) -> Rehearsal | None:
    """Emulated cycles of plans; None on devices whose commands are free: the estimate serves.

    ``chains``: see ``pipeline.Moves``.
    """
    return Rehearsal(CHAINS if chains else ()) if device.push_idle_cycles else None


def compile_rehearsed(graph: LayerGraph, device: Device | str, decisions: Decisions = UNTUNED) -> Compiled:
    """As ``pipeline.compile_graph``, but plans are compared by emulation where commands cost time."""
    dev = load_device(device) if isinstance(device, str) else device
    cost = judge(dev, decisions.moves.chains)
    with seldom():
        prepared, _ = _settled(graph, dev, decisions, cost)
        return finish(prepared, program=cost.program(prepared.plan) if cost else None)


def settle(graph: LayerGraph, device: Device | str, decisions: Decisions = UNTUNED) -> tuple[Prepared, Decisions]:
    """The plan that is fastest when emulated, and the decisions under which it was made.

    Under these ``pipeline.prepare`` takes the best plan by estimate, which need not be the same.
    """
    dev = load_device(device) if isinstance(device, str) else device
    with seldom():
        return _settled(graph, dev, decisions, judge(dev, decisions.moves.chains))


def _settled(graph: LayerGraph, dev: Device, decisions: Decisions, cost: Rehearsal | None) -> Option:
    best = prepare(graph, dev, decisions, judge=cost)
    if cost is None:
        return best, best.decisions

    def cycles(option: Option) -> float:
        return cost(option[0].plan)

    settled = replace(best.decisions, overlay=base_overlay(best.plan.array.overlay))
    options = [(best, settled)]
    if decisions.moves.fronts and decisions.overlay is None:
        options += _made(graph, best, _fronted(best, settled))
    options.sort(key=cycles)
    if _much(options[0][0].plan, cycles(options[0])):
        if decisions.price == PRICE:  # of which the second may profit more
            default = decisions.overlay or DIVISIONS[0]
            options += [made for option in options[:2] for made in _priced(*option, default)]
        best, settled = min(options, key=cycles)
        options += _made(graph, best, _alternatives(graph, best.plan, settled, decisions.overlay is None))
    options.sort(key=cycles)
    if not decisions.moves.chains or cycles(options[0]) == inf:
        return options[0]
    return _chained(options, cost)


def _chained(options: Sequence[Option], cost: Rehearsal) -> Option:
    """The option that is fastest with the best of its chains.

    ``options``: the fastest first, of which the first few are tried where commands are much of the work: chains differ
    by more than plans do.
    """
    least = cost(options[0][0].plan)
    much = _much(options[0][0].plan, least)
    apart = {cost(option[0].plan): option for option in reversed(options)}  # many are one plan
    near = [apart[c] for c in sorted(apart) if c <= NEARLY * least]
    found = []
    for option in near[: MOST_CHAINED if much else 1]:
        chains, cycles = cost.best_chains(option[0].plan, much)
        found.append((cycles, chains, option))
    _, chains, (best, settled) = min(found, key=lambda each: each[0])
    return replace(best, chains=chains), settled


def _priced(best: Prepared, settled: Decisions, default: Overlay) -> Iterator[Option]:
    """``best`` with tilings for other prices of commands, for its division of core memory and for the default one."""
    for overlay in dict.fromkeys((settled.overlay or default, default)):
        for price in PRICES:
            with suppress(InfeasibleError):
                yield repriced(best, price, overlay), replace(settled, price=price, overlay=overlay)


def _made(graph: LayerGraph, best: Prepared, others: Iterable[Decisions]) -> Iterator[Option]:
    """The plans under ``others``, where there is one; they share with ``best`` what they can."""
    for other in others:
        with suppress(InfeasibleError):
            yield prepare(graph, best.device, other, like=best), other


def _much(plan: Plan, cycles: float) -> bool:
    """Whether commands are much of a plan's cycles."""
    return command_cycles(plan) > MUCH * cycles


def _worth_chains(plan: Plan, cycles: float) -> bool:
    """Whether commands are much of the work, and the network takes longer than its launch."""
    return plan.array.device.launch_cycles < cycles < inf and _much(plan, cycles)


def _fronted(best: Prepared, decisions: Decisions) -> Iterator[Decisions]:
    """With 1x1 convolutions in front of windows, and core memory divided for them."""
    for overlay in FRONTS:
        if names := worthwhile_fronts(best, overlay):
            yield replace(decisions, overlay=overlay, fronts=names)


def _alternatives(graph: LayerGraph, plan: Plan, decisions: Decisions, free: bool) -> Iterator[Decisions]:
    """``free``: core memory may be divided otherwise."""
    adds = frozenset[str]().union(*fused_adds(graph)) if decisions.moves.tails else frozenset()
    if adds - decisions.unfused:
        apart = replace(decisions, unfused=decisions.unfused | adds)
        # Room for the inputs of convolutions that add a residual serves no add by itself.
        other = free and any(t.kept for t in plan.tilings)
        yield replace(apart, overlay=DIVISIONS[0]) if other else apart
    if any(io.fold > 1 for io in plan.physical.graph.inputs):
        yield replace(decisions, moves=replace(decisions.moves, space_to_depth=False))


# Of commands, where they are much of the work, beside the usual one (``schedule.control``).
PRICES = (
    *(HALF._replace(share=share) for share in (0.1, 0.3, 1.0)),
    *(Price(0.3), Price(1.0), Price(0.3, start=0.0)),
    *(Price(ddr=True), HALF._replace(ddr=True)),
)
# With which every plan is tried where commands are much of the work: one of them is best for most.
FEW_CHAINS = (CHAINS[0]._replace(least=2), CHAINS[0]._replace(outputs=4), CHAINS[3])
# Plans whose other chains are tried, and by how much a plan may be slower than the fastest before (emulated).
MOST_CHAINED, NEARLY = 6, 1.3
# Of a network's cycles, what commands alone would take, for it to be worth emulating other plans, other chains.
MUCH = 0.7
# Of a column, beside those of the outputs: activations, loads and stores at both ends. Each row of cores has one for
# its weights.
CHANNELS = 5


def command_cycles(plan: Plan) -> float:
    """Cycles of the command processor (estimated): of items, and of first pushes, which find their channels idle."""
    array = plan.array
    channels = array.cols * (array.rows + CHANNELS) + array.rows
    control = sum(control for _, control in costs(*plan.stages, HALF, plan.commands))
    return control + channels * array.device.push_idle_cycles
