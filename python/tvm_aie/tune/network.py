"""Records judged in their network: emulate the whole, keep what helps there, remember the choice.

A layer's time alone is not its time in a network: commands hide behind the neighbours, weights are prefetched. So
the fastest records of each layer are tried in the network, one layer after the other, and only what makes the network
faster is kept. The choice is a record too (its key lists the network's workloads), in the same database.
"""

from __future__ import annotations

import hashlib
import json
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from tvm.s_tir import meta_schedule as ms

from tvm_aie.device import Device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import UNTUNED, Compiled, Decisions, Prepared, finish, prepare
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Chooser, Workload
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
    return finish(network.prepared, chooser(network.device, tilings_of(spaces, choice)), estimated)


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
    evaluate: Evaluate | None = None,
    width: int = 1,
) -> Selection:
    """Coordinate descent over the layers, largest expected gain first, each layer's best candidates first.

    At most ``budget`` networks are emulated. ``untuned``: emulated cycles of a compile without records, when the
    network has another plan than that. ``evaluate``, ``width``: as for ``plan.choose_plan``.
    """
    evaluate = evaluate or (lambda choices: [choice_cycles(network, tilings_of(spaces, c)) for c in choices])
    best_choice: Choice = {}
    (best,) = evaluate([{}])
    untuned = best if untuned is None else untuned
    used = 1
    firsts = {key: found[0] for key, found in candidates.items() if found and gains.get(key, 0.0) > 0}
    if firsts and budget > used:
        (cycles,) = evaluate([firsts])
        used += 1
        if cycles < best:
            best, best_choice = cycles, firsts
        report(used, best)
    pending = deque(_attempts(spaces, candidates, gains))
    tried: set[tuple[str, Values]] = set()
    while pending and used < budget:
        batch: list[tuple[str, Values]] = []
        while pending and len(batch) < min(width, budget - used):
            key, point = pending.popleft()
            if point == best_choice.get(key, spaces[key].default):
                if any(k == key for k, _ in batch):  # it is not, if one of those is better
                    pending.appendleft((key, point))
                    break
            elif (key, point) not in tried and (key, point) not in batch:
                batch.append((key, point))
        choices: list[Choice] = [{**best_choice, key: point} for key, point in batch]
        improved = ""
        for n, cycles in enumerate(evaluate(choices)):
            if improved not in ("", batch[n][0]):
                pending.extendleft(reversed(batch[n:]))
                break
            used += 1
            tried.add(batch[n])
            if cycles < best:
                best, best_choice, improved = cycles, choices[n], batch[n][0]
            report(used, best)
    return Selection(network.graph.name, best_choice, untuned, min(best, untuned), used, best < untuned)


Evaluate = Callable[[Sequence[Choice]], list[float]]


def _attempts(
    spaces: Mapping[str, Space], candidates: Mapping[str, Sequence[Values]], gains: Mapping[str, float]
) -> Iterator[tuple[str, Values]]:
    """A few candidates of each layer in turn, and its default."""
    order = sorted(candidates, key=lambda k: (-gains.get(k, 0.0), k))
    for depth in range(0, 1 + max((len(c) for c in candidates.values()), default=0), PER_PASS):
        for key in order:
            for point in (*candidates[key][depth : depth + PER_PASS], spaces[key].default):
                yield key, point


def tilings_of(spaces: Mapping[str, Space], choice: Choice) -> dict[str, Tiling]:
    """Tilings by workload key; what is not chosen takes the default."""
    return {key: space.points[choice.get(key, space.default)] for key, space in spaces.items()}


def choice_cycles(network: Network, tilings: Mapping[str, Tiling]) -> float:
    """Emulated cycles of the network with these tilings; infinite where they do not work together."""
    try:
        return cycles_of(finish(network.prepared, chooser(network.device, tilings), estimated=False))
    except TvmAieError:
        return float("inf")


@lru_cache(maxsize=2)
def _stored(path: str) -> Network:
    network = pickle.loads(Path(path).read_bytes())
    assert isinstance(network, Network)
    return network


def stored_cycles(path: str, tilings: Mapping[str, Tiling]) -> float:
    """``choice_cycles`` of a network that was pickled to ``path``. For worker processes."""
    return choice_cycles(_stored(path), tilings)


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
