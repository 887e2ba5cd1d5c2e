"""Records at compile time: the database in scope overrules the sub-volume search, never to a network's disadvantage."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from tvm_aie.device import Device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import Compiled, Decisions, Prepared, finish
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.rehearse import compile_rehearsed, settle

if TYPE_CHECKING:
    from tvm_aie.tune.network import Choice, Network
    from tvm_aie.tune.space import Space

_log = logging.getLogger("tvm_aie")


def current_database() -> Any:
    """``ms.Database.current()``, without importing MetaSchedule when nobody has."""
    module = sys.modules.get("tvm.s_tir.meta_schedule.database")
    return None if module is None else module.Database.current()


def compile_with_records(graph: LayerGraph, device: Device, database: Any = None) -> Compiled:
    """Compile with the records of ``database`` (default: the one in scope), or plainly when there is none.

    The result is never slower than untuned: both are emulated in timed mode and the faster one is taken.
    """
    if database is None:
        database = current_database()
    if database is None:
        return compile_rehearsed(graph, device)
    from tvm_aie.tune.network import compile_with, cycles_of

    settled = settle(graph, device)
    untuned = finish(settled[0])
    try:
        network, spaces, choice = recorded(graph, device, database, settled)
        if choice is None:
            _log.info("aie2: no tuning record for %s on %s", graph.name, device.name)
            return untuned
        tuned = compile_with(network, spaces, choice)
        cycles, base = cycles_of(tuned), cycles_of(untuned)
    except TvmAieError as error:
        from tvm_aie.tune.records import warn

        warn(f"the records of {graph.name} do not work together ({error})")
        return untuned
    _log.info("aie2: %s tuned %.0f cycles, untuned %.0f", graph.name, cycles, base)
    return tuned if cycles < base else untuned


def recorded(
    graph: LayerGraph, device: Device, database: Any, settled: tuple[Prepared, Decisions] | None = None
) -> tuple[Network, dict[str, Space], Choice | None]:
    """The network under its recorded plan, its spaces, and the recorded choice; None when there is no record.

    ``settled``: what the compiler does untuned, if known (``rehearse.settle``).
    """
    from tvm_aie.tune.network import layer_choice, network_of, stored_choice
    from tvm_aie.tune.plan import plan_knobs, plan_of, stored_plan
    from tvm_aie.tune.space import space_of

    knobs = plan_knobs(graph, device, settled)
    network, _ = network_of(graph, device, plan_of(knobs, {}))
    places = stored_plan(database, network.digest, device, knobs)
    if places:
        network, _ = network_of(graph, device, plan_of(knobs, places))
    spaces = {key: space_of(work, device) for key, (work, _) in network.distinct().items()}
    choice = stored_choice(database, network, spaces)
    if choice is None:
        choice = layer_choice(database, network, spaces) or ({} if places else None)
    return network, spaces, choice
