"""Whole plans compared by emulation, where commands cost time.

The estimate follows the emulator closely while cores or streams bound a network. Where the command processor does, it
approximates which pushes find their channel idle, and may prefer the slower of two plans. A timed emulation without
data takes a tenth of the time of making a plan, so the few plans that differ for the whole network are emulated: the
divisions of core memory (``schedule.geometry.DIVISIONS``), pools and siblings together or apart, depth-first runs,
small images on half of the columns.
"""

from __future__ import annotations

from math import inf

from tvm_aie.device import Device, load_device
from tvm_aie.errors import TvmAieError
from tvm_aie.pipeline import UNTUNED, Compiled, Decisions, Judge, Plan, emitted, finish, prepare
from tvm_aie.plan.graph import LayerGraph
from tvm_aie.runtime.emulator import RunOptions, run_program


def judge(device: Device, chains: bool = True) -> Judge | None:
    """Emulated cycles of a plan, each emulated once; None on devices whose commands are free: the estimate serves."""
    if not device.push_idle_cycles:
        return None
    known: dict[int, tuple[Plan, float]] = {}  # by identity; the plan is kept, so that its id stays its own

    def cycles(plan: Plan) -> float:
        if id(plan) not in known:
            known[id(plan)] = plan, _emulated(plan, chains)
        return known[id(plan)][1]

    return cycles


def _emulated(plan: Plan, chains: bool) -> float:
    try:
        return float(run_program(emitted(plan, chains).to_bytes(), [], RunOptions(functional=False)).cycles)
    except TvmAieError:
        return inf


def compile_rehearsed(graph: LayerGraph, device: Device | str, decisions: Decisions = UNTUNED) -> Compiled:
    """As ``pipeline.compile_graph``, but plans are compared by emulation where commands cost time."""
    dev = load_device(device) if isinstance(device, str) else device
    return finish(prepare(graph, dev, decisions, judge=judge(dev, decisions.moves.chains)))
