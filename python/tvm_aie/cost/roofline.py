"""Rooflines: MACs per cycle over MACs per byte, per layer, at three levels: core, memtile and DDR.

core      bytes that kernels load and store in the core's own memory, against its load and store ports
memtile   bytes on the streams between memtiles and cores (a broadcast counts once), against all streams
ddr       bytes through the shims, against DDR (or the shim channels, whichever is less)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tvm_aie.device import Device
from tvm_aie.errors import InputError
from tvm_aie.pipeline import Compiled
from tvm_aie.runtime.emulator import ItemStats, RunOptions, run_program

LEVELS = ("core", "memtile", "ddr")
CORE_BYTES_PER_CYCLE = 96  # two loads and one store of 32 B (hw.md 4)
VMAC_MACS, A_BYTES, W_BYTES, ACCUMULATORS = 256, 32, 64, 8


@dataclass(frozen=True)
class Point:
    """One layer at one level; emulated. ``intensity``: MAC/byte; ``rate``: MAC/cycle of the whole array."""

    layer: str
    level: str
    macs: int
    bytes: float
    cycles: float

    @property
    def intensity(self) -> float:
        """MACs per byte."""
        return self.macs / self.bytes if self.bytes else float("inf")

    @property
    def rate(self) -> float:
        """MACs per cycle reached."""
        return self.macs / self.cycles if self.cycles else 0.0


def spmm_intensity(mu: float) -> float:
    """Operations per byte of tiled sparse x dense with ``mu`` non-zeros per row of a tile: 2 mu / (12 mu + 4).

    A non-zero is a multiply and an add; it reads a 4-byte value, a 4-byte index and a 4-byte operand; each row writes
    4 bytes. Tends to 1/6.
    """
    if mu <= 0:
        raise InputError(f"spmm_intensity: {mu} non-zeros per row; it must be positive")
    return 2.0 * mu / (12.0 * mu + 4.0)


def bandwidth(device: Device, level: str) -> float:
    """Bytes per cycle of the whole array at a level."""
    if level == "core":
        return float(device.cores * CORE_BYTES_PER_CYCLE)
    if level == "memtile":
        streams = device.cols + device.rows + device.cores
        return 4.0 * device.stream_words_per_cycle * streams
    ddr = device.ddr_bytes_per_cycle(device.cols)
    return min(ddr, device.shim_bytes_per_cycle) if ddr else device.shim_bytes_per_cycle


def roof(device: Device, level: str, intensity: float) -> float:
    """MACs per cycle that no layer of this intensity can exceed."""
    return min(float(device.peak_macs_per_cycle), bandwidth(device, level) * intensity)


def level_bytes(stats: ItemStats, level: str) -> float:
    """Bytes of an item at a level; of the core: estimated from its MACs at 8 accumulators, and its outputs."""
    if level == "core":
        per_vmac = A_BYTES + W_BYTES / ACCUMULATORS
        return stats.macs / VMAC_MACS * per_vmac + stats.bytes_o
    if level == "memtile":
        return float(stats.bytes_a + stats.bytes_w + stats.bytes_o)
    return float(stats.bytes_load + stats.bytes_loadw + stats.bytes_store)


def layer_points(compiled: Compiled) -> list[Point]:
    """Emulate a program in timed mode and place each of its layers that multiplies (chunks of a layer together)."""
    run = run_program(bytes(compiled.program.to_bytes()), [], RunOptions(functional=False))
    points = []
    names = [compiled.physical.layers[item.layer].name for item in compiled.placement.items]
    cycles: dict[str, float] = {}
    previous = 0
    for name, stats in zip(names, run.items, strict=False):
        end = max(previous, stats.end)
        cycles[name] = cycles.get(name, 0.0) + end - previous
        previous = end
    for name in cycles:
        mine = [s for n, s in zip(names, run.items, strict=False) if n == name]
        macs = sum(s.macs for s in mine)
        if macs:
            for level in LEVELS:
                moved = sum(level_bytes(s, level) for s in mine)
                if moved:
                    points.append(Point(name, level, macs, moved, cycles[name]))
    return points


def plot_roofline(points: Sequence[Point], device: Device, path: str | Path, title: str) -> Path:
    """Draw the points of all layers under the roof of each level."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("a plot needs matplotlib: pip install 'tvm-aie[plot]'") from error
    if not points:
        raise InputError(f"{title}: no layer multiplies, there is nothing to plot")
    figure = Figure(figsize=(15, 4.8), layout="constrained")
    axes = figure.subplots(1, len(LEVELS), sharey=True)
    for axis, level in zip(axes, LEVELS, strict=True):
        mine = [p for p in points if p.level == level]
        xs = [p.intensity for p in mine] or [1.0]
        low, high = min(xs) / 3, max(xs) * 3
        ridge = device.peak_macs_per_cycle / bandwidth(device, level)
        grid = [low, min(max(ridge, low), high), max(high, ridge * 2)]
        axis.plot(grid, [roof(device, level, x) for x in grid], color="black", linewidth=1)
        axis.scatter(xs[: len(mine)], [p.rate for p in mine], s=18, alpha=0.7)
        for p in sorted(mine, key=lambda p: -p.cycles)[:5]:
            axis.annotate(p.layer[-18:], (p.intensity, p.rate), fontsize=6)
        axis.set(
            xscale="log", yscale="log", xlabel="MAC per byte", title=f"{level}: {bandwidth(device, level):.0f} B/cycle"
        )
        axis.grid(True, which="both", linewidth=0.2)
    axes[0].set_ylabel("MAC per cycle, emulated")
    figure.suptitle(f"{title} on {device.name}: peak {device.peak_macs_per_cycle} MAC/cycle")
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)
    return target
