"""Decisions for a whole network as knobs: how core memory is divided into rings (buffering), and which adds are fused.

These change the items themselves, so they are settled before the layers are searched: the network is emulated with the
default tilings, one knob after the other, and what is fastest is kept. The outcome is a record: one categorical
decision per knob under the network's key. A further choice of this kind (how a layer's sparsity is walked) is one more
``PlanKnob``.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm.s_tir import meta_schedule as ms

from tvm_aie.device import Device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import Decisions, Prepared, finish, prepare
from tvm_aie.plan.fuse import fused_adds
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.rehearse import settle
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import DIVISIONS, FRONTS, IDEAL_OVERLAYS, KEEPING, Overlay
from tvm_aie.tune.records import by_key, seconds_of, warn
from tvm_aie.tune.space import SPACE_VERSION, device_digest
from tvm_aie.tune.stub import stub_module, trace_of, values_of

PlanChoice = dict[str, int]  # knob -> place of its value; a knob that is not named keeps its first value

# Divisions of 62 KiB of core memory, by what they favour. The first eight are the compiler's choice (``rehearse``).
OVERLAYS: dict[str, Overlay] = {
    "default": DIVISIONS[0],
    "sums+, weights": DIVISIONS[1],
    "lines of 56, weights": DIVISIONS[2],
    "lines of 56, sums, weights": DIVISIONS[3],
    "lines of 56, sums": DIVISIONS[4],
    "kept inputs": KEEPING,
    "fronts": FRONTS[0],
    "fronts, weights": FRONTS[1],
    "sums, weights": Overlay(a_slots=24, w_slots=32, acc_bytes=12288),
    "inputs": Overlay(a_slots=40, w_slots=16),
    "weights": Overlay(a_slots=28, w_slots=40),
    "weights+": Overlay(a_slots=20, w_slots=56),
    "outputs": Overlay(a_slots=32, w_slots=20, o_slot=224),
    "small outputs": Overlay(w_slots=30, o_slots=28),
    "coarse outputs": Overlay(o_slot=448, o_slots=14),
    "sums": Overlay(a_slots=32, acc_bytes=8192),
    "fine inputs": Overlay(a_slot=512, a_slots=60, w_slots=36),
}


@dataclass(frozen=True)
class PlanKnob:
    """One decision. ``values``: names, the untuned one first; ``apply(plan, place)``: the plan with that value."""

    name: str
    values: tuple[str, ...]
    apply: Callable[[Decisions, int], Decisions]


def plan_knobs(
    graph: LayerGraph, device: Device, settled: tuple[Prepared, Decisions] | None = None
) -> tuple[PlanKnob, ...]:
    """The knobs of a network: ``buffering``, ``fusion`` per kind of convolution that an add follows, each move
    that the compiler makes in it (``pipeline.Moves``), ``fronts`` where it makes any, and ``narrow`` where commands
    cost time.

    The first value of each is what the compiler does untuned: ``settled``, if known (``rehearse.settle``).
    """
    prepared, untuned = settled or settle(graph, device)
    plan = prepared.plan
    given = {f"ideal {i}": o for i, o in enumerate(IDEAL_OVERLAYS)} if device.core_ideal else OVERLAYS
    others = {name: overlay for name, overlay in given.items() if overlay != untuned.overlay}
    overlays = (untuned.overlay, *others.values())

    def buffered(_: Decisions, place: int) -> Decisions:  # the first knob: the others change what it begins with
        return replace(untuned, overlay=overlays[place])

    knobs = [PlanKnob("buffering", ("as compiled", *others), buffered)]
    for index, adds in enumerate(fused_adds(graph)):
        values = ("separate", "fused") if adds <= untuned.unfused else ("fused", "separate")
        knobs.append(PlanKnob(f"fusion{index}", values, _other(adds)))
    used = {
        "pools": bool(plan.pools),
        "siblings": any(len(item.members) > 1 for item in plan.placement.items),
        "runs": bool(plan.placement.runs),
    }
    knobs += [PlanKnob(name, ("by estimate", "never"), _without(name)) for name, known in used.items() if known]
    if untuned.fronts:
        knobs.append(PlanKnob("fronts", ("as compiled", "never"), _without_fronts))
    if device.push_idle_cycles:
        knobs.append(_narrow_knob(plan.stages[1]))
    return tuple(knobs)


LOW = 16  # rows: higher images have enough work for all columns


def _narrow_knob(physical: PhysicalGraph) -> PlanKnob:
    """Which images half of the columns share: those chosen by estimate, none, or all up to a height."""
    heights = sorted({s.height for s in physical.storages.values() if 1 < s.height <= LOW})
    options = [frozenset[int](), *(frozenset(h for h in heights if h <= top) for top in heights)]
    names = ("by estimate", "none", *(f"up to {h} rows" for h in heights))
    return PlanKnob("narrow", names, lambda plan, place: replace(plan, narrow=options[place - 1]) if place else plan)


def _without(move: str) -> Callable[[Decisions, int], Decisions]:
    return lambda plan, place: replace(plan, moves=replace(plan.moves, **{move: False})) if place else plan


def _without_fronts(plan: Decisions, place: int) -> Decisions:
    return replace(plan, fronts=frozenset()) if place else plan


def _other(adds: frozenset[str]) -> Callable[[Decisions, int], Decisions]:
    """Fused adds separate, separate ones fused."""
    return lambda plan, place: replace(plan, unfused=plan.unfused ^ adds) if place else plan


def plan_of(knobs: tuple[PlanKnob, ...], choice: Mapping[str, int]) -> Decisions:
    """The plan that a choice means."""
    plan = Decisions()
    for knob in knobs:
        plan = knob.apply(plan, choice.get(knob.name, 0))
    return plan


def choose_plan(
    graph: LayerGraph,
    device: Device,
    budget: int,
    report: Callable[[int, float], None] = lambda n, best: None,
    evaluate: Evaluate | None = None,
    width: int = 1,
    knobs: tuple[PlanKnob, ...] | None = None,
) -> tuple[PlanChoice, float, int]:
    """(best choice, its emulated cycles, networks emulated) by coordinate descent over the knobs (the network's).

    ``evaluate``: cycles of the network under some plans, ``width`` at a time; the outcome does not depend on it: what
    was tried beside an improvement is tried again on top of it.
    """
    knobs = knobs or plan_knobs(graph, device)
    best_choice: PlanChoice = {}
    evaluate = evaluate or (lambda plans: [plan_cycles(graph, device, plan) for plan in plans])
    (best,) = evaluate([plan_of(knobs, {})])
    used = 1
    pending = deque((knob, place) for knob in knobs for place in range(1, len(knob.values)))
    while pending and used < budget:
        batch = [pending.popleft() for _ in range(min(width, len(pending), budget - used))]
        choices = [{**best_choice, knob.name: place} for knob, place in batch]
        improved = ""
        for n, cycles in enumerate(evaluate([plan_of(knobs, choice) for choice in choices])):
            if improved not in ("", batch[n][0].name):
                pending.extendleft(reversed(batch[n:]))
                break
            used += 1
            if cycles < best:
                best, best_choice, improved = cycles, choices[n], batch[n][0].name
            report(used, best)
    return best_choice, best, used


Evaluate = Callable[[Sequence[Decisions]], list[float]]


def plan_cycles(graph: LayerGraph, device: Device, plan: Decisions) -> float:
    """Emulated cycles with default tilings; infinite when the network does not fit under the plan."""
    try:
        program = finish(prepare(graph, device, plan)).program
        return float(run_program(bytes(program.to_bytes()), [], RunOptions(functional=False)).cycles)
    except TvmAieError:
        return float("inf")


def _module(graph_key: str, device: Device, knobs: tuple[PlanKnob, ...]) -> Any:
    body = {"version": SPACE_VERSION, "device": [device.name, device_digest(device)], "plan": graph_key}
    return stub_module(json.dumps(body, sort_keys=True, separators=(",", ":")), _places(knobs))


def _places(knobs: tuple[PlanKnob, ...]) -> dict[str, tuple[int, ...]]:
    return {knob.name: tuple(range(len(knob.values))) for knob in knobs}


def commit_plan(
    database: Any, graph_key: str, device: Device, knobs: tuple[PlanKnob, ...], choice: PlanChoice, cycles: float,
    target: Any,
) -> None:  # fmt: skip
    """Write a choice as a record; ``graph_key`` names the network under the untuned plan."""
    mod = _module(graph_key, device, knobs)
    trace = trace_of(mod, {knob.name: choice.get(knob.name, 0) for knob in knobs}, _places(knobs))
    info = ms.arg_info.ArgInfo.from_entry_func(mod, False)
    seconds = cycles / (device.clock_mhz * 1e6)
    database.commit_tuning_record(
        ms.database.TuningRecord(trace, database.commit_workload(mod), [seconds], target, info)
    )


def stored_plan(database: Any, graph_key: str, device: Device, knobs: tuple[PlanKnob, ...]) -> PlanChoice | None:
    """The fastest recorded choice for exactly this network; None when there is none."""
    mod = _module(graph_key, device, knobs)
    if not database.has_workload(mod):
        return None
    key = json.dumps({"version": SPACE_VERSION, "device": [device.name, device_digest(device)], "plan": graph_key},
                     sort_keys=True, separators=(",", ":"))  # fmt: skip
    for record in sorted(by_key(database).get(key, ()), key=seconds_of):
        values = values_of(record.trace, _places(knobs))
        if values is None:
            warn(f"impossible knobs for the plan of network {graph_key[:10]}")
            continue
        return {name: place for name, place in values.items() if place}
    return None
