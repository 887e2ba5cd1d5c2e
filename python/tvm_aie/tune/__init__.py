"""Autotuning on TVM MetaSchedule with the emulator as machine. Needs the extra [tune]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_aie.tune.tuner import TuneOptions, TuneResult, tune, tune_graphs

__all__ = ["TuneOptions", "TuneResult", "load_records", "tune", "tune_graphs"]


def __getattr__(name: str) -> Any:
    if name == "load_records":
        from tvm_aie.tune.records import load_records

        return load_records
    if name in __all__:
        from tvm_aie.tune import tuner

        return getattr(tuner, name)
    raise AttributeError(name)
