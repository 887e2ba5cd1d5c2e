"""Predictions for measurements on silicon, row by row of a calibration file, and their errors. All `estimated`.

A row is predicted when its problem can be built from its text: a GEMM with tile and core count, a call of a kernel that
this backend has, a DMA task, the cost of a dispatch. Everything else is listed with the reason why not.
"""

from __future__ import annotations

import csv
import math
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
    problem: str = ""  # why the line cannot be used


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
    """The rows of a calibration CSV. A row that says nothing usable has a ``problem``; other columns are ignored.

    ``InputError`` when the file cannot be read or lacks a column.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(f"{path}: the columns must be {','.join(COLUMNS)}; missing: {', '.join(missing)}")
            return [_row(raw, reader.line_num) for raw in reader]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a CSV file ({error})") from error


def _row(raw: Mapping[str | None, object], line: int) -> Row:
    """One line; what is wrong with it goes to ``problem``."""
    texts = {name: str(raw.get(name) or "").strip() for name in COLUMNS}
    problem = ""
    try:
        value = float(texts["value"])
    except ValueError:
        value, problem = math.nan, f"line {line}: value {texts['value']!r} is not a number"
    if not problem and not 0 < value < math.inf:
        problem = f"line {line}: value {texts['value']} is not a positive number"
    if any(raw.get(name) is None for name in COLUMNS) or None in raw:
        problem = f"line {line}: {'too many' if None in raw else 'too few'} columns"
    texts["id"] = texts["id"] or f"line {line}"
    return Row(**{**texts, "value": value, "problem": problem})  # type: ignore[arg-type]


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
    if row.problem:
        return row.problem
    if row.device != device.name:
        return f"measured on {row.device}"
    if re.search(r"old code|spilled|without __restrict", row.op):
        return "a kernel that its source has replaced"
    if row.op.startswith("gemm") and row.unit in ("us", "ms"):
        return _gemm_row(row, device, fit)
    if row.unit == "cycles" and row.metric.startswith("core_cycles_per_call"):
        return _kernel_row(row, device, fit)
    if row.unit in ("cycles", "cycles/word"):
        for pattern, rule in _DMA_RULES:
            match = re.match(pattern, f"{row.op} | {row.shape}")
            if match:
                return rule(device, fit, match.groupdict())
    return "no model of this figure"


def _numbers(text: str, letters: str) -> dict[str, int]:
    return {k: int(v) for k, v in re.findall(rf"\b({'|'.join(letters.split())})(\d+)\b", text)}


def operand_dtype(row: Row) -> str:
    """Type of the operands: the first one before ``->``; u8 counts as i8."""
    first = row.dtype.split("->")[0].split("x")[0].strip()
    return "i8" if first == "u8" else first


def grid_of(row: Row) -> Grid | None:
    """Grid and tile of a GEMM row: ``16 (4x4)`` and ``64x64x128`` (M, K, N)."""
    cores = re.search(r"(?:^|\()(\d+)x(\d+)\)?", row.cores) or re.match(r"(1)()$", row.cores)
    tile = re.fullmatch(r"(\d+)x(\d+)x(\d+)", row.tile)
    if not cores or not tile:
        return None
    return Grid(int(cores[1]), int(cores[2] or 1), int(tile[1]), int(tile[2]), int(tile[3]))


def gemm_us(problem: Gemm, grid: Grid, device: Device, constants: Sequence[float]) -> float:
    """``launch + max(slowdown x MACs / peak, bytes / bandwidth)`` in microseconds; three constants."""
    launch, slowdown, bandwidth = constants
    compute = slowdown * problem.core_macs(grid) / (device.macs_per_cycle * PEAK[problem.dtype]) / device.clock_mhz
    return launch + max(compute, problem.traffic_bytes(grid) / (bandwidth * 1e3))


def gemm_of(row: Row) -> tuple[Gemm, Grid] | str:
    """The problem of a GEMM row, or why it cannot be built."""
    sizes, grid = _numbers(row.shape, "M K N"), grid_of(row)
    dtype = operand_dtype(row)
    if set(sizes) != {"M", "K", "N"}:
        return "M, K and N are not stated"
    if grid is None:
        return "no tile or core grid stated"
    if dtype not in PEAK:
        return f"no model of {row.dtype}"
    if min(*sizes.values(), grid.rows, grid.cols, grid.tile_m, grid.tile_k, grid.tile_n) < 1:
        return "a size is 0"
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
    conv = re.match(r"conv2d (\d+)x(\d+)( s\d+)? kernel(, (\d+) (output )?rows?)?$", row.op)
    sizes = _numbers(row.shape, "M K N W IC OC")
    dtype = operand_dtype(row)
    if any(size < 1 for size in sizes.values()):
        return "a size is 0"
    if conv and dtype == "i8" and {"W", "IC", "OC"} <= set(sizes):
        taps, lines = int(conv[1]) * int(conv[2]), int(conv[5] or 1)
        cycles = conv_row_cycles(device, sizes["W"] * lines, sizes["IC"], sizes["OC"], taps)
        return "kernel conv", cycles, 0.0
    if re.match(r"gemm kernel( B col-major)?$", row.op) and {"M", "K", "N"} <= set(sizes) and dtype in _MMUL:
        return "kernel gemm", mm_cycles(gemm(sizes["M"], sizes["K"], sizes["N"], dtype), fit), 0.0
    if re.match(r"eltwise (add|mul) kernel$", row.op) and dtype == "bf16" and re.fullmatch(r"[1-9]\d*", row.shape):
        return "kernel elementwise", fit.vector_call_cycles + -(-int(row.shape) // LANES), 0.0
    return "this backend has no such kernel"


_Words = Mapping[str, str | None]


def _direction(words: _Words) -> str:
    return (words["dir"] or "").lower()


def _count(words: _Words, name: str = "n", default: int = NEXT_TASK_WORDS) -> int:
    return int(words.get(name) or default)


def _task_cycles(device: Device, direction: str, words: int) -> float:
    per_word = device.shim_mm2s_cycles_per_word if direction == "mm2s" else device.shim_s2mm_cycles_per_word
    return _task_fixed(device, direction) + words * per_word


def _task_fixed(device: Device, direction: str) -> float:
    return device.shim_mm2s_task_cycles if direction == "mm2s" else device.shim_s2mm_task_cycles


def _session(device: Device, direction: str) -> float:
    return device.shim_mm2s_first_cycles if direction == "mm2s" else device.shim_s2mm_first_cycles


def first_task_cycles(device: Device, fit: SiliconFit, direction: str, words: int) -> float:
    """The first task of a session; a write to DDR waits for its producer."""
    task = _task_cycles(device, direction, words) + _session(device, direction)
    return task if direction == "mm2s" else max(task, fit.shim_s2mm_wait_cycles)


def _single(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    direction, n = _direction(words), _count(words)
    # hw.md 3: a single event in DDR scatters by 6-25 %; the source says that MM2S below 2048 words is all jitter
    scatter = 1.0 if direction == "mm2s" and n < 2048 else 0.25 if n <= 2048 else 0.06
    return "dma task", first_task_cycles(device, fit, direction, n), scatter


def _chain(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    direction, n = _direction(words), _count(words)
    if words["place"] == "first of":
        first = first_task_cycles(device, fit, direction, n)
        return "dma task", first + (n if direction == "s2mm" else 0), 0.25
    return "dma task", _task_cycles(device, direction, n), 0.0


def _line(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    direction = _direction(words)
    if words["what"] == "slope":
        return "dma task", _task_cycles(device, direction, 1) - _task_fixed(device, direction), 0.0
    return "dma task", _session(device, direction) + _task_fixed(device, direction), 0.0


def _gap(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    return "dispatch", device.push_idle_cycles - _task_cycles(device, _direction(words), NEXT_TASK_WORDS), 0.0


def _span(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    count, direction = _count(words, "tasks"), _direction(words)
    last = _task_cycles(device, direction, _count(words)) + _session(device, direction)
    # the source's own 2, 4 and 8 S2MM tasks lie on no line (3365, 7446, 22025): 4 of them are 27 % off it
    scatter = 0.27 if (count, direction) == (4, "s2mm") else 0.0
    return "dispatch", (count - 1) * device.push_idle_cycles + last, scatter


def _stream(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    core = words["kind"] == "compute-tile"
    start = device.core_bd_start_cycles if core else device.memtile_bd_start_cycles
    return "dma stream", start + _count(words) / device.stream_words_per_cycle, 0.0


def _dispatch(device: Device, fit: SiliconFit, words: _Words) -> _Outcome:
    return "dispatch", device.push_idle_cycles if words["how"] == "cold" else device.push_queued_cycles, 0.0


_Rule = Callable[[Device, SiliconFit, _Words], _Outcome]
_WAY = r"(?P<dir>MM2S|S2MM)"
_DMA_RULES: tuple[tuple[str, _Rule], ...] = (  # on "op | shape"
    (rf"shim DMA {_WAY} task\b.*\| (?P<n>\d+) words", _single),
    (rf"shim {_WAY}, (?P<place>first of|later) (?:\d+ chained )?(?P<n>\d+)-word tasks", _chain),
    (rf"shim {_WAY} large-N (?P<what>slope|intercept)", _line),
    (rf"inter-task gap, command-processor dispatched, {_WAY}", _gap),
    (rf"total span of (?P<tasks>\d+) chained {_WAY} tasks(?: \((?P<n>\d+) words\))?", _span),
    (r"(?P<kind>compute-tile|memtile) MM2S (?:drain of )?(?P<n>\d+) words", _stream),
    (r"task-queue write by command processor, (?P<how>cold|pipelined)", _dispatch),
)


def limits() -> Mapping[str, float]:
    """The mean absolute error that a group's name promises, by prefix."""
    return {"kernel": KERNEL_LIMIT, "dma": DMA_LIMIT, "dispatch": DMA_LIMIT, "gemm": GEMM_LIMIT}
