"""A workload in MetaSchedule's terms: a stub PrimFunc that carries the key, and a space of categorical decisions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tvm
from tvm.s_tir import meta_schedule as ms
from tvm.script import tirx as T

KEY_ATTR, KNOBS_ATTR, GAMMA_ATTR = "tvm_aie.workload", "tvm_aie.knobs", "tvm_aie.gamma"
SAMPLE = "SampleCategorical"
BLOCK = "layer"


@T.prim_func(s_tir=True)  # type: ignore[untyped-decorator]
def _stub(cell: T.Buffer((1,), "int32")) -> None:  # type: ignore[valid-type]
    T.func_attr({"tirx.noalias": True})
    for i in T.serial(0, 1):
        with T.sblock("layer"):
            v = T.axis.spatial(1, i)
            cell[v] = 0


def stub_module(key: str, knobs: Mapping[str, tuple[int, ...]], gamma: str = "") -> Any:
    """The module under which records are filed: equal modules are equal workloads with equal knobs."""
    text = json.dumps({k: list(v) for k, v in knobs.items()}, separators=(",", ":"))
    func = _stub.with_attr({"global_symbol": "main", KEY_ATTR: key, KNOBS_ATTR: text, GAMMA_ATTR: gamma})
    return tvm.IRModule({"main": func})


def attribute(mod: Any, name: str) -> str:
    """A text that a stub carries; empty when ``mod`` is no stub of ours."""
    funcs = {str(var.name_hint): func for var, func in mod.functions_items()}
    attrs = funcs["main"].attrs if "main" in funcs else None
    return str(attrs[name]) if attrs is not None and name in attrs else ""


def knobs_of(mod: Any) -> dict[str, tuple[int, ...]]:
    """Knobs that a stub carries, in order."""
    table = json.loads(attribute(mod, KNOBS_ATTR) or "{}")
    return {str(k): tuple(int(x) for x in v) for k, v in table.items()}


def space_generator(mutator: Any, knobs: Mapping[str, tuple[int, ...]]) -> Any:
    """One categorical decision per knob, noted on the stub's block."""

    def schedule(sch: Any) -> None:
        block = sch.get_sblock(BLOCK)
        for name, values in knobs.items():
            choice = sch.sample_categorical(list(values), [1.0 / len(values)] * len(values))
            sch.annotate(block, f"tvm_aie.{name}", choice)

    return ms.space_generator.ScheduleFn(schedule, sch_rules=[], postprocs=[], mutator_probs={mutator: 1.0})


def noted_values(mod: Any) -> dict[str, int]:
    """Knob values noted on the block of a scheduled stub."""
    sch = tvm.s_tir.Schedule(mod)
    noted = sch.get(sch.get_sblock(BLOCK)).annotations
    return {str(k).removeprefix("tvm_aie."): int(v) for k, v in noted.items() if str(k).startswith("tvm_aie.")}


def trace_of(mod: Any, choices: Mapping[str, int], knobs: Mapping[str, tuple[int, ...]]) -> Any:
    """The trace that takes these choices."""
    sch = tvm.s_tir.Schedule(mod)
    block = sch.get_sblock(BLOCK)
    for name, values in knobs.items():
        weights = [1.0 / len(values)] * len(values)
        value = sch.sample_categorical(list(values), weights, decision=values.index(choices[name]))
        sch.annotate(block, f"tvm_aie.{name}", value)
    return sch.trace


def decisions(trace: Any) -> list[tuple[Any, tuple[int, ...], int]]:
    """(instruction, values, chosen index) of every categorical decision, in order."""
    out = []
    chosen = trace.decisions
    for inst in trace.insts:
        if inst.kind.name == SAMPLE:
            values = tuple(int(v) for v in inst.attrs[0])
            out.append((inst, values, int(chosen[inst]) if inst in chosen else -1))
    return out


def values_of(trace: Any, knobs: Mapping[str, tuple[int, ...]]) -> dict[str, int] | None:
    """Knob values that a trace decided; None when it does not decide exactly these knobs."""
    found = decisions(trace)
    if len(found) != len(knobs):
        return None
    out = {}
    for (name, values), (_, offered, index) in zip(knobs.items(), found, strict=True):
        if offered != values or not 0 <= index < len(values):
            return None
        out[name] = values[index]
    return out
