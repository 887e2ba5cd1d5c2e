"""The record files: reading that survives bad lines, and what a record means. The format is MetaSchedule's JSON."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tvm.s_tir import meta_schedule as ms
from tvm.target import Target

from tvm_aie.device import Device
from tvm_aie.errors import InputError
from tvm_aie.searches import Workload
from tvm_aie.tune.search import FAILED_SECONDS, point_of
from tvm_aie.tune.space import (
    SPACE_VERSION,
    Space,
    Values,
    device_digest,
    digest_of,
    gamma_text,
    space_of,
    workload_from,
)
from tvm_aie.tune.stub import GAMMA_ATTR, KEY_ATTR, attribute, stub_module, trace_of

WORKLOADS, RECORDS = "database_workload.json", "database_tuning_record.json"


class RecordWarning(UserWarning):
    """A tuning record that cannot be used; the build goes on without it."""


def warn(text: str) -> None:
    """Name a record that is skipped."""
    warnings.warn(f"tuning record skipped: {text}", RecordWarning, stacklevel=3)


@dataclass(frozen=True)
class Measured:
    """One record in our terms."""

    space: Space
    point: Values
    cycles: float  # inf: the trial failed


def module_for(space: Space) -> Any:
    """The stub under which a space's records are filed."""
    return stub_module(space.key, space.knobs, gamma_text(space.work))


def make_record(database: Any, space: Space, point: Values, cycles: float, device: Device, target: Any) -> Any:
    """A record of one measured point."""
    mod = module_for(space)
    choices = dict(zip(space.knobs, point, strict=True))
    seconds = cycles / (device.clock_mhz * 1e6) if np.isfinite(cycles) else FAILED_SECONDS * 10
    info = ms.arg_info.ArgInfo.from_entry_func(mod, False)
    workload = database.commit_workload(mod)
    return ms.database.TuningRecord(trace_of(mod, choices, space.knobs), workload, [seconds], target, info)


def seconds_of(record: Any) -> float:
    """Mean time of a record; infinite for a failed trial."""
    times = [float(s) for s in record.run_secs or ()]
    mean = sum(times) / len(times) if times else float("inf")
    return mean if mean < FAILED_SECONDS else float("inf")


def cycles_of(seconds: float, device: Device) -> float:
    """Cycles of a recorded time, without the rounding error of the way through seconds."""
    return round(seconds * device.clock_mhz * 1e6, 3) if np.isfinite(seconds) else float("inf")


def by_key(database: Any) -> dict[str, list[Any]]:
    """All records by workload key, failed trials included (``get_top_k`` leaves those out)."""
    index: dict[str, list[Any]] = {}
    for record in database.get_all_tuning_records():
        index.setdefault(attribute(record.workload.mod, KEY_ATTR), []).append(record)
    return index


def points(
    database: Any, space: Space, device: Device, index: Mapping[str, Sequence[Any]] | None = None
) -> list[Measured]:
    """Usable records of a workload, fastest first; impossible knobs are skipped with a warning.

    ``index``: ``by_key(database)``, for many calls.
    """
    out = []
    for record in (by_key(database) if index is None else index).get(space.key, ()):
        point = point_of(space, record.trace)
        if point is None:
            warn(f"impossible knobs for workload {digest_of(space.key)} ({space.work.layer})")
            continue
        out.append(Measured(space, point, cycles_of(seconds_of(record), device)))
    return sorted(out, key=lambda m: m.cycles)


def repair(folder: Path) -> None:
    """Make the files of an interrupted run loadable: bad lines are named and dropped, good ones kept."""
    if not (folder / RECORDS).exists() and not (folder / WORKLOADS).exists():
        return
    database, clean = _read(folder)
    if clean:
        return
    kept = folder / "rejected"
    kept.mkdir(exist_ok=True)
    for name in (WORKLOADS, RECORDS):
        if (folder / name).exists():
            (folder / name).replace(kept / name)
    fresh = ms.database.JSONDatabase(work_dir=str(folder))
    for record in database.get_all_tuning_records():
        fresh.commit_workload(record.workload.mod)
        fresh.commit_tuning_record(record)


def load_records(folder: str | Path) -> Any:
    """A database of all readable records of ``folder``; each unreadable line is skipped with a warning naming it."""
    path = Path(folder)
    if not (path / RECORDS).is_file() or not (path / WORKLOADS).is_file():
        raise InputError(f"{folder}: no tuning records here ({WORKLOADS} and {RECORDS} are written by `tvm-aie tune`)")
    return _read(path)[0]


def _read(folder: Path) -> tuple[Any, bool]:
    """(memory database, whether every line was good)."""
    database = ms.database.MemoryDatabase()
    workloads: list[Any] = []
    clean = True
    for where, raw in _lines(folder / WORKLOADS):
        try:
            workload = ms.database.Workload.from_json(json.loads(raw))
            _require_version(attribute(workload.mod, KEY_ATTR))
            workloads.append(database.commit_workload(workload.mod))
        except Exception as error:
            warn(f"{where}: {_reason(error)}")
            workloads.append(None)
            clean = False
    for where, raw in _lines(folder / RECORDS):
        try:
            index, body = json.loads(raw)
            if not isinstance(index, int) or not 0 <= index < len(workloads):
                raise ValueError(f"names workload {index} of {len(workloads)}")
            if workloads[index] is None:
                raise ValueError(f"belongs to workload {index}, which was skipped")
            database.commit_tuning_record(ms.database.TuningRecord.from_json(body, workloads[index]))
        except Exception as error:
            warn(f"{where}: {_reason(error)}")
            clean = False
    return database, clean


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if not path.exists():
        return
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        if line.strip():
            yield f"{path}:{number}", line


def _reason(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__


def _require_version(key: str) -> None:
    if not key:
        raise ValueError("not a workload of tvm-aie")
    version = json.loads(key).get("version")
    if version != SPACE_VERSION:
        raise ValueError(f"version {version}, this is version {SPACE_VERSION}")


def all_measured(database: Any, device: Device) -> list[Measured]:
    """Every usable layer record of ``device``, for training."""
    out: list[Measured] = []
    index = by_key(database)
    for key, found in index.items():
        if not key:
            continue
        mod = found[0].workload.mod
        head = json.loads(key)
        if "geometry" not in head or head["device"] != [device.name, device_digest(device)]:
            continue
        try:
            work: Workload = workload_from(key, attribute(mod, GAMMA_ATTR))
        except (ValueError, KeyError, TypeError) as error:
            warn(f"workload {digest_of(key)}: {error}")
            continue
        out += points(database, space_of(work, device), device, index)
    return out


def target_of(device: Device) -> Any:
    """The target written into records."""
    try:
        return Target(f"aie2/{device.name}")
    except Exception:
        return Target("aie2")
