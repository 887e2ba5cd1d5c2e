"""Predictions for measurements on silicon, row by row of a calibration file, and their errors. All `estimated`.

A row is predicted when its problem can be built from its text: a GEMM with tile and core count, a call of a kernel that
this backend has, a DMA task, the cost of a dispatch. Everything else is listed with the reason why not.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_aie.cost.kernels import CHUNK_GROUPS, GROUP_PIXELS
from tvm_aie.device import Device, SiliconFit
from tvm_aie.errors import InputError
from tvm_aie.workloads import Gemm, Grid, gemm
from tvm_aie.workloads.gemm import PEAK

COLUMNS = ("id", "device", "op", "shape", "dtype", "cores", "tile", "metric", "value", "unit", "source")
LANES = 16  # bf16 lanes of a vector operation
KERNEL_LIMIT, DMA_LIMIT, GEMM_LIMIT = 0.05, 0.15, 0.07
NEXT_TASK_WORDS = 64


@dataclass(frozen=True)
class Row:
    """One line of a calibration file."""

    id: str
    device: str
    op: str
    shape: str
    dtype: str
    cores: str
    tile: str
    metric: str
    value: float
    unit: str
    source: str


@dataclass(frozen=True)
class Prediction:
    """A predicted row. ``scatter``: how far the source's own measurement scatters; ``fitted``: used to fit."""

    row: Row
    group: str
    predicted: float
    fitted: bool
    scatter: float = 0.0

    @property
    def error(self) -> float:
        """(predicted - measured) / measured."""
        return self.predicted / self.row.value - 1.0

    @property
    def judged(self) -> bool:
        """False where the source scatters at least as much as the limit for DMA rows."""
        return self.scatter < DMA_LIMIT


@dataclass(frozen=True)
class Skipped:
    """A row that cannot be predicted, and why."""

    row: Row
    reason: str


@dataclass(frozen=True)
class Validation:
    """All rows of a file."""

    predictions: tuple[Prediction, ...]
    skipped: tuple[Skipped, ...]

    def mape(self, group: str, fitted: bool | None = None) -> float:
        """Mean absolute relative error of a group's judged rows; ``fitted`` restricts to one kind."""
        rows = [p for p in self.predictions if p.group == group and p.judged and fitted in (None, p.fitted)]
        return sum(abs(p.error) for p in rows) / len(rows) if rows else float("nan")

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups in order of appearance."""
        return tuple(dict.fromkeys(p.group for p in self.predictions))


def read_rows(path: str | Path) -> list[Row]:
    """The rows of a calibration CSV; ``InputError`` names what is wrong with it."""
    try:
        with Path(path).open(newline="") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path}: the columns must be {','.join(COLUMNS)}")
            rows = []
            for raw in reader:
                try:
                    value = float(raw["value"])
                except (TypeError, ValueError):
                    raise InputError(f"{path}:{reader.line_num}: value {raw['value']!r} is not a number") from None
                rows.append(Row(**{**{k: raw[k] or "" for k in COLUMNS}, "value": value}))  # type: ignore[arg-type]
            return rows
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV file ({error})") from error


def validate(rows: Iterable[Row], device: Device) -> Validation:
    """Predict every row that can be predicted for ``device``."""
    if device.silicon is None:
        raise InputError(f"device {device.name} has no [silicon] section: it is not a machine that exists")
    done: list[Prediction] = []
    skipped: list[Skipped] = []
    for row in rows:
        outcome = _predict(row, device, device.silicon)
        if isinstance(outcome, str):
            skipped.append(Skipped(row, outcome))
        else:
            group, value, scatter = outcome
            done.append(Prediction(row, group, value, row.id in device.calibration_rows, scatter))
    return Validation(tuple(done), tuple(skipped))


_Outcome = tuple[str, float, float] | str


def _predict(row: Row, device: Device, fit: SiliconFit) -> _Outcome:
    if row.device != device.name:
        return f"measured on {row.device}"
    if re.search(r"old code|spilled|without __restrict", row.op):
        return "a kernel that its source has replaced"
    if row.op.startswith("gemm") and row.unit in ("us", "ms"):
        return _gemm_row(row, device, fit)
    if row.unit == "cycles" and row.metric.startswith("core_cycles_per_call"):
        return _kernel_row(row, device, fit)
    for pattern, rule in _DMA_RULES:
        match = re.match(pattern, row.id)
        if match:
            words = [int(g) if g and g.isdigit() else g for g in match.groups()]
            return rule(device, fit, words)
    return "no model of this figure"


def _numbers(text: str, letters: str) -> dict[str, int]:
    return {k: int(v) for k, v in re.findall(rf"\b({'|'.join(letters.split())})(\d+)\b", text)}


def grid_of(row: Row) -> Grid | None:
    """Grid and tile of a GEMM row: ``16 (4x4)`` and ``64x64x128`` (M, K, N)."""
    cores = re.search(r"\((\d+)x(\d+)\)", row.cores)
    tile = re.fullmatch(r"(\d+)x(\d+)x(\d+)", row.tile)
    if not cores or not tile:
        return None
    return Grid(int(cores[1]), int(cores[2]), int(tile[1]), int(tile[2]), int(tile[3]))


def gemm_us(problem: Gemm, grid: Grid, device: Device, constants: Sequence[float]) -> float:
    """``launch + max(slowdown x MACs / peak, bytes / bandwidth)`` in microseconds; three constants."""
    launch, slowdown, bandwidth = constants
    peak = grid.rows * grid.cols * device.macs_per_cycle * PEAK[problem.dtype]
    compute = slowdown * problem.macs / peak / device.clock_mhz
    return launch + max(compute, problem.traffic_bytes(grid) / (bandwidth * 1e3))


def gemm_of(row: Row) -> tuple[Gemm, Grid] | str:
    """The problem of a GEMM row, or why it cannot be built."""
    sizes, grid = _numbers(row.shape, "M K N"), grid_of(row)
    dtype = row.dtype.split("->")[0]
    if set(sizes) != {"M", "K", "N"} or grid is None:
        return "no tile or core grid stated"
    if dtype not in PEAK:
        return f"no model of {dtype}"
    return gemm(sizes["M"], sizes["K"], sizes["N"], dtype), grid


def _gemm_row(row: Row, device: Device, fit: SiliconFit) -> _Outcome:
    problem = gemm_of(row)
    if isinstance(problem, str):
        return problem
    micro = gemm_us(*problem, device, (fit.gemm_launch_us, fit.gemm_slowdown, fit.gemm_gb_per_s))
    source = row.id.split("-")[0].lower()
    return f"gemm {source} {problem[0].dtype}", micro / (1e3 if row.unit == "ms" else 1.0), 0.0


def fit_gemm(rows: Sequence[Row], device: Device) -> tuple[float, float, float]:
    """Least squares of the relative error over GEMM rows: how the constants of the device file were found."""
    import numpy as np
    from scipy.optimize import least_squares

    problems = [(gemm_of(row), row.value) for row in rows]
    known = [(p, value) for p, value in problems if not isinstance(p, str)]

    def residual(constants: Sequence[float]) -> list[float]:
        return [gemm_us(*p, device, constants) / value - 1 for p, value in known]

    starts = [(t, s, b) for t in (100.0, 150.0) for s in (1.2, 2.0) for b in (10.0, 20.0)]
    best = min((least_squares(residual, np.array(x), x_scale=np.array(x)) for x in starts), key=lambda r: float(r.cost))
    return float(best.x[0]), float(best.x[1]), float(best.x[2])


def conv_row_cycles(device: Device, width: int, in_channels: int, out_channels: int, taps: int) -> float:
    """One output row by the dense (unrolled) convolution kernel: no walk over block indices, so no gamma."""
    cost = device.conv
    full, rest = divmod(-(-width // GROUP_PIXELS), CHUNK_GROUPS)
    blocks, trips = -(-out_channels // 8), -(-in_channels // 8) * taps
    cycles = full * (cost.a + trips * max(cost.ii_min, CHUNK_GROUPS * cost.ii_per_acc))
    if rest:
        cycles += cost.a + trips * max(cost.ii_min, rest * cost.ii_per_acc)
    return cost.call + blocks * cycles


# dtype -> (mmul M, K, N; accumulators of a group in M and N)
_MMUL = {"i8": (4, 8, 8, 2, 2), "i16": (4, 4, 4, 4, 2), "bf16": (4, 8, 4, 2, 2)}


def mm_cycles(problem: Gemm, fit: SiliconFit) -> float:
    """A GEMM kernel call: groups of accumulators, each ``a + k_steps x ii``."""
    m, k, n, gm, gn = _MMUL[problem.dtype]
    groups = -(-problem.m // (m * gm)) * -(-problem.n // (n * gn))
    a, ii = getattr(fit, f"mm_{problem.dtype}_a"), getattr(fit, f"mm_{problem.dtype}_ii")
    return float(fit.vector_call_cycles + groups * (a + -(-problem.k // k) * ii))


def _kernel_row(row: Row, device: Device, fit: SiliconFit) -> _Outcome:
    conv = re.match(r"conv2d (\d)x\1 .*kernel", row.op)
    sizes = _numbers(row.shape, "M K N W IC OC")
    dtype = row.dtype.split("->")[0]
    if conv and {"W", "IC", "OC"} <= set(sizes):
        return "kernel conv", conv_row_cycles(device, sizes["W"], sizes["IC"], sizes["OC"], int(conv[1]) ** 2), 0.0
    if re.match(r"gemm kernel( B col-major)?$", row.op) and {"M", "K", "N"} <= set(sizes) and dtype in _MMUL:
        return "kernel gemm", mm_cycles(gemm(sizes["M"], sizes["K"], sizes["N"], dtype), fit), 0.0
    if re.match(r"eltwise (add|mul) kernel$", row.op) and dtype == "bf16" and row.shape.isdigit():
        return "kernel elementwise", fit.vector_call_cycles + -(-int(row.shape) // LANES), 0.0
    return "this backend has no such kernel"


def _task_cycles(device: Device, direction: object, words: int) -> float:
    per_word = device.shim_mm2s_cycles_per_word if direction == "mm2s" else device.shim_s2mm_cycles_per_word
    task = device.shim_mm2s_task_cycles if direction == "mm2s" else device.shim_s2mm_task_cycles
    return task + words * per_word


def first_task_cycles(device: Device, fit: SiliconFit, direction: object, words: int) -> float:
    """The first task of a session; a write to DDR waits for its producer."""
    task = _task_cycles(device, direction, words)
    if direction == "mm2s":
        return task + device.shim_mm2s_first_cycles
    return max(task + device.shim_s2mm_first_cycles, fit.shim_s2mm_wait_cycles)


def _single(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    direction, words = groups
    assert isinstance(words, int)
    # hw.md 3: a single event in DDR scatters by 6-25 %; the source says that MM2S below 2048 words is all jitter
    scatter = 1.0 if direction == "mm2s" and words < 2048 else 0.25 if words <= 2048 else 0.06
    return "dma task", first_task_cycles(device, fit, direction, words), scatter


def _chain(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    direction, place = groups
    if place == "first":
        first = first_task_cycles(device, fit, direction, NEXT_TASK_WORDS)
        return "dma task", first + (NEXT_TASK_WORDS if direction == "s2mm" else 0), 0.25
    return "dma task", _task_cycles(device, direction, NEXT_TASK_WORDS), 0.0


def _line(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    direction, what = groups
    if what == "slope":
        return "dma task", _task_cycles(device, direction, 1) - _task_cycles(device, direction, 0), 0.0
    first = device.shim_mm2s_first_cycles if direction == "mm2s" else device.shim_s2mm_first_cycles
    return "dma task", first + _task_cycles(device, direction, 0), 0.0


def _gap(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    return "dispatch", device.push_idle_cycles - _task_cycles(device, groups[0], NEXT_TASK_WORDS), 0.0


def _span(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    count, letter = groups
    direction = "mm2s" if letter == "m" else "s2mm"
    assert isinstance(count, int)
    first = device.shim_mm2s_first_cycles if direction == "mm2s" else device.shim_s2mm_first_cycles
    span = (count - 1) * device.push_idle_cycles + _task_cycles(device, direction, NEXT_TASK_WORDS) + first
    # k4s lies off the line of the source's own k2 and k8 (7446 against 9400)
    return "dispatch", span, 0.27 if (count, direction) == (4, "s2mm") else 0.0


def _stream(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    kind, words = groups
    assert isinstance(words, int)
    start = device.core_bd_start_cycles if kind == "core" else device.memtile_bd_start_cycles
    return "dma stream", start + words / device.stream_words_per_cycle, 0.0


def _dispatch(device: Device, fit: SiliconFit, groups: Sequence[object]) -> _Outcome:
    return "dispatch", device.push_idle_cycles if groups[0] == "cold" else device.push_queued_cycles, 0.0


_Rule = Callable[[Device, SiliconFit, Sequence[object]], _Outcome]
_DMA_RULES: tuple[tuple[str, _Rule], ...] = (
    (r"XE-shim-(mm2s|s2mm)-(\d+)$", _single),
    (r"XE-chain-(mm2s|s2mm)-(first|next)$", _chain),
    (r"XE-fit-(mm2s|s2mm)-(slope|cold)$", _line),
    (r"XE-gap-(mm2s|s2mm)$", _gap),
    (r"XE-span-k(\d+)([ms]?)$", _span),
    (r"XE-(core|mt)-mm2s-(\d+)w", _stream),
    (r"XE-dispatch-(cold|pipe)$", _dispatch),
)


def limits() -> Mapping[str, float]:
    """The mean absolute error that a group's name promises, by prefix."""
    return {"kernel": KERNEL_LIMIT, "dma": DMA_LIMIT, "dispatch": DMA_LIMIT, "gemm": GEMM_LIMIT}
