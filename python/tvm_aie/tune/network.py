"""Records judged in their network: emulate the whole, keep what helps there, remember the choice.

A layer's time alone is not its time in a network: commands hide behind the neighbours, weights are prefetched. So
the fastest records of each layer are tried in the network, one layer after the other, and only what makes the network
faster is kept. The choice is a record too (its key lists the network's workloads), in the same database.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tvm.s_tir import meta_schedule as ms

from tvm_aie.device import Device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import UNTUNED, Chooser, Compiled, Decisions, Prepared, Workload, finish, prepare
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.tune.records import by_key, points, seconds_of
from tvm_aie.tune.space import SPACE_VERSION, Space, Values, device_digest, digest_of, workload_key
from tvm_aie.tune.stub import decisions, stub_module, trace_of

PER_PASS = 2  # candidates of a layer that are tried before the next layer's turn
Choice = dict[str, Values]  # workload key -> point; a workload that is not named keeps the default


@dataclass(frozen=True)
class Network:
    """A layer graph with its workloads: keys of its items in order."""

    graph: LayerGraph
    device: Device
    items: tuple[tuple[str, Workload], ...]
    prepared: Prepared = field(compare=False, repr=False)

    @property
    def digest(self) -> str:
        """Fingerprint of all workloads in order."""
        return hashlib.sha256(",".join(digest_of(key) for key, _ in self.items).encode()).hexdigest()[:32]

    @property
    def key(self) -> str:
        """Names the network by what is tuned in it, not by its file."""
        body = {
            "version": SPACE_VERSION,
            "device": [self.device.name, device_digest(self.device)],
            "network": self.digest,
        }
        return json.dumps(body, sort_keys=True, separators=(",", ":"))

    def distinct(self) -> dict[str, tuple[Workload, int]]:
        """Workloads by key with the number of times they occur."""
        out: dict[str, tuple[Workload, int]] = {}
        for key, work in self.items:
            first, count = out.get(key, (work, 0))
            out[key] = (first, count + 1)
        return out


def network_of(graph: LayerGraph, device: Device, plan: Decisions = UNTUNED) -> tuple[Network, Compiled]:
    """Compile with default tilings under a plan and note every workload on the way."""
    items: list[tuple[str, Workload]] = []

    def note(work: Workload) -> Tiling | None:
        items.append((workload_key(work, device), work))
        return None

    prepared = prepare(graph, device, plan)
    compiled = finish(prepared, note)
    return Network(graph, device, tuple(items), prepared), compiled


def cycles_of(compiled: Compiled) -> float:
    """Emulated cycles of a whole program, timed mode."""
    return float(run_program(bytes(compiled.program.to_bytes()), [], RunOptions(functional=False)).cycles)


def chooser(device: Device, tilings: Mapping[str, Tiling]) -> Chooser:
    """Tilings by workload key."""
    return lambda work: tilings.get(workload_key(work, device))


def compile_with(network: Network, spaces: Mapping[str, Space], choice: Choice, estimated: bool = True) -> Compiled:
    """Compile with a choice; everything else takes the default, without searching again."""
    tilings = {key: space.points[choice.get(key, space.default)] for key, space in spaces.items()}
    return finish(network.prepared, chooser(network.device, tilings), estimated)


@dataclass(frozen=True)
class Selection:
    """The outcome for one network, in emulated cycles."""

    network: str
    choice: Choice
    untuned_cycles: float
    tuned_cycles: float
    evaluations: int
    better: bool = True  # False: nothing was faster than untuned, and nothing is recorded
    plan: tuple[tuple[str, str], ...] = ()  # decisions for the whole network that are not the untuned ones


def select(
    network: Network,
    spaces: Mapping[str, Space],
    candidates: Mapping[str, Sequence[Values]],
    gains: Mapping[str, float],
    budget: int,
    report: Callable[[int, float], None] = lambda n, best: None,
    untuned: float | None = None,
) -> Selection:
    """Coordinate descent over the layers, largest expected gain first, each layer's best candidates first.

    At most ``budget`` networks are emulated. ``untuned``: emulated cycles of a compile without records, when the
    network has another plan than that.
    """
    best_choice: Choice = {}
    best = cycles_of(compile_with(network, spaces, {}))
    untuned = best if untuned is None else untuned
    used = 1

    def attempt(choice: Choice) -> None:
        nonlocal best, best_choice, used
        used += 1
        try:
            cycles = cycles_of(compile_with(network, spaces, choice, estimated=False))
        except TvmAieError:
            return
        if cycles < best:
            best, best_choice = cycles, choice
        report(used, best)

    firsts = {key: found[0] for key, found in candidates.items() if found and gains.get(key, 0.0) > 0}
    if firsts and budget > used:
        attempt(dict(firsts))
    order = sorted(candidates, key=lambda k: (-gains.get(k, 0.0), k))
    tried: set[tuple[str, Values]] = set()
    for depth in range(0, 1 + max((len(c) for c in candidates.values()), default=0), PER_PASS):
        for key in order:
            for point in (*candidates[key][depth : depth + PER_PASS], spaces[key].default):
                if used >= budget:
                    break
                if point != best_choice.get(key, spaces[key].default) and (key, point) not in tried:
                    tried.add((key, point))
                    attempt({**best_choice, key: point})
    return Selection(network.graph.name, best_choice, untuned, min(best, untuned), used, best < untuned)


def commit(database: Any, network: Network, spaces: Mapping[str, Space], selection: Selection, target: Any) -> None:
    """Write the choice as a record: per distinct workload the place of its point, -1 for the default."""
    keys = sorted(network.distinct())
    places = [spaces[k].order.index(selection.choice[k]) if k in selection.choice else -1 for k in keys]
    knobs = {f"layer{i}": (place,) for i, place in enumerate(places)}
    mod = stub_module(network.key, {})
    trace = trace_of(mod, {name: values[0] for name, values in knobs.items()}, knobs)
    seconds = selection.tuned_cycles / (network.device.clock_mhz * 1e6)
    info = ms.arg_info.ArgInfo.from_entry_func(mod, False)
    record = ms.database.TuningRecord(trace, database.commit_workload(mod), [seconds], target, info)
    database.commit_tuning_record(record)


def stored_choice(database: Any, network: Network, spaces: Mapping[str, Space]) -> Choice | None:
    """The best stored choice for exactly this network, if its places still exist."""
    mod = stub_module(network.key, {})
    if not database.has_workload(mod):
        return None
    keys = sorted(network.distinct())
    for record in sorted(database.get_top_k(database.commit_workload(mod), 1 << 16), key=seconds_of):
        places = [values[index] for _, values, index in decisions(record.trace) if 0 <= index < len(values)]
        if len(places) == len(keys) and all(
            -1 <= place < len(spaces[k].order) for k, place in zip(keys, places, strict=True)
        ):
            return {k: spaces[k].order[p] for k, p in zip(keys, places, strict=True) if p >= 0}
    return None


def layer_choice(database: Any, network: Network, spaces: Mapping[str, Space]) -> Choice:
    """The fastest record of each layer on its own."""
    choice: Choice = {}
    index = by_key(database)
    for key, space in spaces.items():
        found = points(database, space, network.device, index)
        if found and found[0].cycles < float("inf"):
            choice[key] = found[0].point
    return choice
