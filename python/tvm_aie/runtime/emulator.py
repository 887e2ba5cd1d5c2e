"""The emulator: run a serialised ``Program`` on images of the host (docs/program.md section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie import _native
from tvm_aie.errors import EmulationFault, InputError, ProgramError

FIXED_POINT = 1 << 20
TRACE_KINDS = ("transfer", "kernel", "wait", "command")
FLOW_CLASSES = ("a", "w", "o", "load", "loadw", "store")

ByteTensor = npt.NDArray[np.int8] | npt.NDArray[np.uint8] | npt.NDArray[np.int16]
Int64Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunOptions:
    """How to run. ``functional=False`` measures time only: no network data is moved, no output is produced.

    ``check``: races and reads of never-written memory are faults. ``compute_num / compute_den`` scales kernel
    cycles (0 = free compute, 100 = slow compute).
    """

    functional: bool = True
    check: bool = False
    trace: bool = False
    compute_num: int = 1
    compute_den: int = 1
    max_cycles: int = 1 << 40
    max_events: int = 2_000_000_000
    max_trace_events: int = 1_000_000

    def to_map(self) -> dict[str, int]:
        """The options as the library takes them."""
        return {name: int(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class ItemStats:
    """What one item of the command stream did; cycles are emulated, ``start`` -1 when there was no activity.

    ``bytes_*``: bytes on the streams of a flow class, a broadcast counted once; weights belong to the item that
    consumed them. ``busy_*``: kernel cycles. ``stall_*``: cycles of all cores spent waiting for that ring.
    """

    item: int
    start: int
    end: int
    busy_sum: int
    busy_max: int
    macs: int
    dense_macs: int
    kernel_calls: int
    bytes_a: int
    bytes_w: int
    bytes_o: int
    bytes_load: int
    bytes_loadw: int
    bytes_store: int
    command_cycles: int
    pushes: int
    bd_writes: int
    waits: int
    stall_a: int
    stall_w: int
    stall_o: int

    @property
    def bytes(self) -> dict[str, int]:
        """Bytes by flow class."""
        return {name: int(getattr(self, f"bytes_{name}")) for name in FLOW_CLASSES}


@dataclass(frozen=True)
class Trace:
    """Rows (agent, kind, item, start, end, bytes | MACs | lock | command); ``agents`` names the first column."""

    rows: Int64Table
    agents: tuple[str, ...]
    dropped: int


@dataclass(frozen=True)
class RunResult:
    """One run. ``cycles`` (sum over the images) starts after the launch; total time is ``total_cycles``."""

    cycles: int
    launch_cycles: int
    images: int
    outputs: tuple[ByteTensor, ...]
    items: tuple[ItemStats, ...]
    trace: Trace
    events: int
    segments: int
    pack_seconds: float
    unpack_seconds: float
    emulation_seconds: float

    @property
    def total_cycles(self) -> int:
        """Cycles including the launches."""
        return self.cycles + self.launch_cycles


def _call(name: str, *args: object) -> Any:
    """Call a native function; its errors become ours."""
    try:
        return _native.function(name)(*args)
    except ValueError as error:
        raise ProgramError(str(error)) from None
    except TypeError as error:
        raise InputError(str(error)) from None
    except RuntimeError as error:
        raise EmulationFault(str(error)) from None


def _tensor(array: npt.NDArray[Any]) -> Any:
    import tvm_ffi

    return tvm_ffi.from_dlpack(np.ascontiguousarray(array))


def _numpy(tensor: Any) -> Any:
    return np.from_dlpack(tensor)


def result_from_map(raw: Mapping[str, Any], outputs: Sequence[Any] = ()) -> RunResult:
    """A native result dictionary (also those of ``get_last_stats`` and ``last_profile``) as ``RunResult``."""
    names = tuple(ItemStats.__dataclass_fields__)
    table = _numpy(raw["items"])
    items = tuple(ItemStats(*(int(v) for v in row[: len(names)])) for row in table)
    trace = Trace(_numpy(raw["trace"]), tuple(map(str, raw["agents"])), int(raw["trace_dropped"]))
    return RunResult(
        cycles=int(raw["cycles"]),
        launch_cycles=int(raw["launch_cycles"]),
        images=int(raw["images"]),
        outputs=tuple(_numpy(t) for t in outputs),
        items=items,
        trace=trace,
        events=int(raw["events"]),
        segments=int(raw["segments"]),
        pack_seconds=float(raw["pack_seconds"]),
        unpack_seconds=float(raw["unpack_seconds"]),
        emulation_seconds=float(raw["emulation_seconds"]),
    )


def run_program(data: bytes, inputs: Sequence[npt.NDArray[Any]] = (), options: RunOptions | None = None) -> RunResult:
    """Run serialised program bytes. ``inputs``: int8, uint8 or int16, NCHW or flat; none if not functional.

    Raises ``ProgramError`` for bytes that are no valid program, ``EmulationFault`` when the program does what the
    array cannot do, ``InputError`` for unsuitable inputs.
    """
    options = options or RunOptions()
    raw = _call("tvm_aie.emulator.run", data, [_tensor(a) for a in inputs], options.to_map())
    return result_from_map(raw, raw["outputs"])


def validate_program(data: bytes) -> dict[str, Any]:
    """Check serialised bytes without running them; counts of what they hold."""
    return dict(_call("tvm_aie.emulator.validate", data))


def last_profile() -> dict[str, RunResult]:
    """Results of the last call of every compiled function in this process, by symbol."""
    return {str(k): result_from_map(v) for k, v in _call("tvm_aie.runtime.last_profile").items()}


def clear_profile() -> None:
    """Forget the results of earlier calls."""
    _call("tvm_aie.runtime.clear_profile")


def set_run_options(options: RunOptions) -> None:
    """Options of further calls of compiled functions (they are always functional)."""
    _call("tvm_aie.runtime.set_options", options.to_map())


def kernel_cycles(
    device_keys: Mapping[str, float],
    kernel: int,
    *,
    macs: int = 0,
    chunks: int = 0,
    trips: Sequence[int] = (0,) * 9,
    blocks: int = 0,
    macs_int4: int = 0,
    trips_int4: Sequence[int] = (0,) * 9,
    segments: int = 0,
    entries: int = 0,
    wide: bool = False,
) -> int:
    """Cycles of one kernel call by the native cost function (docs/device-keys.md)."""
    keys = list(device_keys)
    values = [round(device_keys[k] * FIXED_POINT) for k in keys]
    columns = sum(k.startswith("ddr.bytes_per_cycle_") for k in keys)
    counts = macs, chunks, list(trips), blocks, macs_int4, list(trips_int4), segments, entries, wide
    return int(_call("tvm_aie.emulator.kernel_cycles", keys, values, columns, kernel, *counts))
