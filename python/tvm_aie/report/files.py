"""CSV (one line per layer) and JSON (everything) from a ``NetworkReport``."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

from tvm_aie.report.model import SCHEMA_VERSION, LayerRow, NetworkReport

_DERIVED = ("skipped_macs", "density_percent")


def write_csv(report: NetworkReport, path: Path) -> Path:
    """One line per layer; column names carry the units."""
    names = [*(f.name for f in dataclasses.fields(LayerRow)), *_DERIVED]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(layer, name) for name in names] for layer in report.layers)
    return path


def to_dict(report: NetworkReport) -> dict[str, object]:
    """The report as plain data, with the derived percentages."""
    data = dataclasses.asdict(report)
    for key, names in {
        "placement": ("array_macs_percent",),
        "sparsity": ("density_percent", "skipped_macs_percent"),
        "memory": ("ddr_bytes",),
        "traffic": ("ddr_bytes",),
    }.items():
        data[key].update({name: getattr(getattr(report, key), name) for name in names})
    for layer, row in zip(report.layers, data["layers"], strict=True):
        row.update({name: getattr(layer, name) for name in _DERIVED})
    return {"schema_version": SCHEMA_VERSION, **data}


def write_json(report: NetworkReport, path: Path) -> Path:
    """The whole report."""
    path.write_text(json.dumps(to_dict(report), indent=1) + "\n", encoding="utf-8")
    return path
