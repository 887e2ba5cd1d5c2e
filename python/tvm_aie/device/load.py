"""Reads a device file: every number present, known, of the right type and possible, or a ``DeviceError``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from tvm_aie.device.spec import (
    CHANNELWISE_KERNELS,
    BdLimits,
    ChannelwiseCost,
    ConvCost,
    Device,
    InstructionBudget,
    Quantity,
    SiliconFit,
)
from tvm_aie.errors import DeviceError

_HERE = Path(__file__).parent
_NO_DEVICES = ("wbs", "ruff")  # the template of the generated machines; the linter's settings of this folder
_WBS = re.compile(r"wbs-([0-9]+)x([0-9]+)(?:-m([0-9]+))?")
_TAGS = ("derived", "calibrated", "assumed")
_STRINGS = ("name", "description")
MAX_ROWS = MAX_COLS = 8
MAX_MEMTILES = 4


@dataclass(frozen=True)
class _Spec:
    """What a key may be: an integer or a number, in [low, high]; ``attr``: the field of ``Device``."""

    attr: str
    integer: bool = True
    low: float = 1
    high: float = float("inf")


def _flag(attr: str) -> _Spec:
    return _Spec(attr, low=0, high=1)


def _cost(attr: str = "") -> _Spec:
    return _Spec(attr, integer=False, low=0, high=1e9)


def _rate(attr: str) -> _Spec:
    return _Spec(attr, integer=False, low=1e-6, high=1e6)


def _bits(high: int, low: int = 1) -> _Spec:
    return _Spec("", low=low, high=high)


_BD_SCHEMA = {
    "dims": _Spec("", low=1, high=4),
    "length_bits": _bits(32),
    "base_bits": _bits(48),
    "step_bits": _bits(32),
    **{f"wrap_bits_d{d}": _bits(32, low=0) for d in range(3)},
    "iteration_step_bits": _bits(32),
    **{f"pad_bits_d{d}": _bits(8, low=0) for d in range(3)},
}

_SCHEMA: dict[str, dict[str, _Spec]] = {
    "array": {
        "rows": _Spec("rows", high=MAX_ROWS),
        "cols": _Spec("cols", high=MAX_COLS),
        "memtiles_per_col": _Spec("memtiles_per_col", high=MAX_MEMTILES),
        "clock_mhz": _rate("clock_mhz"),
    },
    "core": {
        "mem_bytes": _Spec("core_mem_bytes", low=4096, high=1 << 20),
        "reserved_bytes": _Spec("core_reserved_bytes", low=0),
        "locks": _Spec("core_locks"),
        "bds": _Spec("core_bds"),
        "s2mm_channels": _Spec("core_s2mm_channels"),
        "mm2s_channels": _Spec("core_mm2s_channels"),
        "program_bytes": _Spec("program_bytes"),
        "program_budget_bytes": _Spec("program_budget_bytes"),
        "ideal": _flag("core_ideal"),
        "macs_per_cycle": _Spec("macs_per_cycle"),
        "macs_per_cycle_int4": _Spec("macs_per_cycle_int4"),
        "macs_per_cycle_int16": _Spec("macs_per_cycle_int16"),
        "opcode_cycles": _cost("opcode_cycles"),
    },
    "memtile": {
        "bytes": _Spec("memtile_bytes", low=4096, high=1 << 26),
        "locks": _Spec("memtile_locks"),
        "bds": _Spec("memtile_bds"),
        "bd_parity": _flag("memtile_bd_parity"),
        "s2mm_channels": _Spec("memtile_s2mm_channels"),
        "mm2s_channels": _Spec("memtile_mm2s_channels"),
        "neighbour_channels": _Spec("memtile_neighbour_channels", low=0),
    },
    "shim": {
        "bds": _Spec("shim_bds"),
        "s2mm_channels": _Spec("shim_s2mm_channels"),
        "mm2s_channels": _Spec("shim_mm2s_channels"),
        "mm2s_cycles_per_word": _rate("shim_mm2s_cycles_per_word"),
        "s2mm_cycles_per_word": _rate("shim_s2mm_cycles_per_word"),
        "mm2s_task_cycles": _cost("shim_mm2s_task_cycles"),
        "mm2s_first_cycles": _cost("shim_mm2s_first_cycles"),
        "s2mm_task_cycles": _cost("shim_s2mm_task_cycles"),
        "s2mm_first_cycles": _cost("shim_s2mm_first_cycles"),
    },
    "dma": {
        "lock_max": _Spec("lock_max"),
        "queue_depth": _Spec("queue_depth"),
        "repeat_max": _Spec("repeat_max"),
        "iteration_wrap_max": _Spec("iteration_wrap_max"),
        "stream_words_per_cycle": _rate("stream_words_per_cycle"),
        "core_bd_start_cycles": _cost("core_bd_start_cycles"),
        "memtile_bd_start_cycles": _cost("memtile_bd_start_cycles"),
        "shim_bd_start_cycles": _cost("shim_bd_start_cycles"),
    },
    "core_bd": _BD_SCHEMA,
    "memtile_bd": _BD_SCHEMA,
    "shim_bd": _BD_SCHEMA,
    "ddr": {},  # one key per column, see _ddr_schema
    "link": {"o_bytes_per_cycle": _cost("link_o_bytes_per_cycle")},
    "cmd": {
        "bd_write_cycles": _cost("bd_write_cycles"),
        "push_idle_cycles": _cost("push_idle_cycles"),
        "push_queued_cycles": _cost("push_queued_cycles"),
        "lock_write_cycles": _cost("lock_write_cycles"),
        "launch_us": _cost("launch_us"),
    },
    "kernel.conv": {f.name: _cost() for f in fields(ConvCost)},
    **{f"kernel.{kernel}": {f.name: _cost() for f in fields(ChannelwiseCost)} for kernel in CHANNELWISE_KERNELS},
    "instructions": {f.name: _Spec("", low=1, high=1 << 16) for f in fields(InstructionBudget)},
    "silicon": {f.name: _cost() for f in fields(SiliconFit)},
}
_OPTIONAL = ("silicon",)


def device_names() -> tuple[str, ...]:
    """Names that ``load_device`` knows, with the pattern of the generated ones last."""
    files = sorted(p.stem for p in _HERE.glob("*.toml") if p.stem not in _NO_DEVICES)
    return (*files, "wbs-RxC[-mM]")


def load_device(name_or_path: str | Path) -> Device:
    """The device called ``npu1``, ``wbs-RxC`` or ``wbs-RxC-mM`` (R, C in 1..8), or described by a .toml file."""
    name = str(name_or_path)
    if name.endswith(".toml"):
        return _parse(Path(name), _read(Path(name)))
    return _load_builtin(name)


@lru_cache(maxsize=128)
def _load_builtin(name: str) -> Device:
    if name.startswith("wbs-"):
        return _load_wbs(name)
    path = _HERE / f"{name}.toml"
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name in _NO_DEVICES or not path.is_file():
        raise DeviceError(f"unknown device '{name}'; known: {', '.join(device_names())}, or the path of a .toml file")
    return _parse(path, _read(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise DeviceError(f"device file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DeviceError(f"device file {path}: not TOML: {error}") from error


def _load_wbs(name: str) -> Device:
    match = _WBS.fullmatch(name)
    if match is None:
        raise DeviceError(f"unknown device '{name}'; idealised machines are called wbs-RxC or wbs-RxC-mM, e.g. wbs-4x4")
    rows, cols, memtiles = int(match[1]), int(match[2]), int(match[3] or 1)
    if not (1 <= rows <= MAX_ROWS and 1 <= cols <= MAX_COLS and 1 <= memtiles <= MAX_MEMTILES):
        raise DeviceError(
            f"device '{name}': rows and columns must be 1..{MAX_ROWS}, memtiles per column 1..{MAX_MEMTILES}"
        )
    path = _HERE / "wbs.toml"
    table = _read(path)
    rings = -(-rows // cols)
    s2mm, mm2s, streams = rows + 1 + rings, rings + 2, rings + 1
    values = {
        "array": {"rows": rows, "cols": cols, "memtiles_per_col": memtiles},
        "memtile": {"s2mm_channels": s2mm, "mm2s_channels": mm2s, "bds": 8 * (s2mm + mm2s)},
        "shim": {"mm2s_channels": streams, "bds": max(16, 8 * (streams + 1))},
    }
    for section, numbers in values.items():
        for key, value in numbers.items():
            table[section][key]["value"] = value
    unlimited = table["ddr"]["gb_per_s_1"]
    table["ddr"] = {f"gb_per_s_{c}": unlimited for c in range(1, cols + 1)}
    table["name"] = name
    return _parse(path, table)


def _flatten(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Sections of the file, ``[kernel.conv]`` as ``kernel.conv``; top-level scalars under their own name."""
    for section, body in table.items():
        if section == "kernel" and isinstance(body, dict):
            yield from ((f"kernel.{name}", inner) for name, inner in body.items())
        else:
            yield section, body


def _parse(path: Path, table: dict[str, Any]) -> Device:
    sections = dict(_flatten(table))
    for key in _STRINGS:
        if not isinstance(sections.get(key), str) or not sections[key]:
            raise DeviceError(f"device file {path}: key '{key}' must be a non-empty string")
    rows = sections.get("calibration_rows")
    if not isinstance(rows, list) or not all(isinstance(row, str) for row in rows):
        raise DeviceError(f"device file {path}: key 'calibration_rows' must be a list of strings")
    for section in sections:
        if section not in _SCHEMA and section not in (*_STRINGS, "calibration_rows"):
            raise DeviceError(f"device file {path}: unknown key '{section}'")
    numbers: dict[str, float] = {}
    provenance: list[Quantity] = []
    cols = _quantity(path, "array.cols", sections, _SCHEMA["array"]["cols"])
    for section, schema in _SCHEMA.items():
        if section == "ddr":
            schema = {f"gb_per_s_{c}": _Spec("", False, 0, 1e6) for c in range(1, int(cols.value) + 1)}
        body = sections.get(section)
        if body is None and section in _OPTIONAL:
            continue
        if not isinstance(body, dict):
            raise DeviceError(f"device file {path}: missing section [{section}]")
        for key in body:
            if key not in schema:
                raise DeviceError(f"device file {path}: unknown key '{section}.{key}'")
        for key, spec in schema.items():
            quantity = _quantity(path, f"{section}.{key}", sections, spec)
            numbers[quantity.key] = quantity.value
            provenance.append(quantity)
    return _build(path, sections, numbers, tuple(provenance))


def _quantity(path: Path, key: str, sections: dict[str, Any], spec: _Spec) -> Quantity:
    section, _, leaf = key.rpartition(".")
    body = sections.get(section)
    entry = body.get(leaf) if isinstance(body, dict) else None
    where = f"device file {path}: key '{key}'"
    if entry is None:
        raise DeviceError(f"{where} is missing")
    if not isinstance(entry, dict) or set(entry) != {"value", "unit", "source", "tag"}:
        raise DeviceError(f"{where} must be a table with exactly value, unit, source and tag")
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int if spec.integer else (int, float)):
        raise DeviceError(f"{where}: value {value!r} must be {'an integer' if spec.integer else 'a number'}")
    if not spec.low <= value <= spec.high:
        raise DeviceError(f"{where}: value {value} must be in {spec.low:g}..{spec.high:g}")
    for text in ("unit", "source"):
        if not isinstance(entry[text], str) or not entry[text]:
            raise DeviceError(f"{where}: {text} must be a non-empty string")
    if entry["tag"] not in _TAGS:
        raise DeviceError(f"{where}: tag {entry['tag']!r} must be one of {', '.join(_TAGS)}")
    return Quantity(key, value, entry["unit"], entry["source"], entry["tag"])


def _bd_limits(numbers: dict[str, float], section: str) -> BdLimits:
    def get(key: str) -> int:
        return int(numbers[f"{section}.{key}"])

    return BdLimits(
        dims=get("dims"),
        length_bits=get("length_bits"),
        base_bits=get("base_bits"),
        step_bits=get("step_bits"),
        wrap_bits=(get("wrap_bits_d0"), get("wrap_bits_d1"), get("wrap_bits_d2")),
        iteration_step_bits=get("iteration_step_bits"),
        pad_bits=(get("pad_bits_d0"), get("pad_bits_d1"), get("pad_bits_d2")),
    )


def _build(path: Path, sections: dict[str, Any], numbers: dict[str, float], rows: tuple[Quantity, ...]) -> Device:
    plain: dict[str, Any] = {
        spec.attr: int(numbers[f"{section}.{key}"]) if spec.integer else float(numbers[f"{section}.{key}"])
        for section, schema in _SCHEMA.items()
        for key, spec in schema.items()
        if spec.attr
    }
    for flag in ("core_ideal", "memtile_bd_parity"):
        plain[flag] = bool(plain[flag])
    kernels: dict[str, Any] = {
        name: ChannelwiseCost(**{f.name: numbers[f"kernel.{name}.{f.name}"] for f in fields(ChannelwiseCost)})
        for name in CHANNELWISE_KERNELS
    }
    silicon = None
    if "silicon" in sections:
        silicon = SiliconFit(**{f.name: numbers[f"silicon.{f.name}"] for f in fields(SiliconFit)})
    device = Device(
        name=sections["name"],
        description=sections["description"],
        core_bd=_bd_limits(numbers, "core_bd"),
        memtile_bd=_bd_limits(numbers, "memtile_bd"),
        shim_bd=_bd_limits(numbers, "shim_bd"),
        ddr_gb_per_s=tuple(numbers[f"ddr.gb_per_s_{c}"] for c in range(1, plain["cols"] + 1)),
        conv=ConvCost(**{f.name: numbers[f"kernel.conv.{f.name}"] for f in fields(ConvCost)}),
        **kernels,
        instructions=InstructionBudget(
            **{f.name: int(numbers[f"instructions.{f.name}"]) for f in fields(InstructionBudget)}
        ),
        silicon=silicon,
        calibration_rows=tuple(sections["calibration_rows"]),
        provenance=rows,
        **plain,
    )
    _check_consistency(path, device)
    return device


def _check_consistency(path: Path, device: Device) -> None:
    """Relations between keys that no single range can express."""
    if device.core_reserved_bytes >= device.core_mem_bytes:
        raise DeviceError(f"device file {path}: key 'core.reserved_bytes' must be below core.mem_bytes")
    if device.program_budget_bytes > device.program_bytes:
        raise DeviceError(f"device file {path}: key 'core.program_budget_bytes' must not exceed core.program_bytes")
    for key in ("ii_per_acc", "int4_per_acc", "int16_per_acc"):
        if not device.core_ideal and getattr(device.conv, key) <= 0:
            raise DeviceError(f"device file {path}: key 'kernel.conv.{key}' must be positive unless core.ideal = 1")
