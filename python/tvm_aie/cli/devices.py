"""``tvm-aie devices``: the machines, and the numbers of one with unit, source and tag."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tvm_aie.device import Device, device_names, load_device


def print_devices(console: Console) -> None:
    """All names; generated ones by their pattern."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("name", "target", "description"):
        table.add_column(title, no_wrap=title != "description")
    for name in device_names():
        example = "wbs-4x4" if "RxC" in name else name
        table.add_row(name, f"aie2/{name}", load_device(example).description)
    console.print(table, markup=False)


def print_device(console: Console, device: Device) -> None:
    """Every number of one device."""
    console.print(f"{device.name}: {device.description}", markup=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("key", "value", "unit", "tag", "source"):
        table.add_column(title, justify="right" if title == "value" else "left", no_wrap=title != "source")
    for row in device.provenance:
        table.add_row(row.key, f"{row.value:.10g}", row.unit, row.tag, row.source)
    console.print(table, markup=False)
