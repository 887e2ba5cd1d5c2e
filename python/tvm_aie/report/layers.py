"""Per-layer rows from the counters of a run: cycles, bytes per level, utilisation and what bounds the layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tvm_aie.cost import lower_bound
from tvm_aie.cost.estimate import item_cycles
from tvm_aie.device import Device
from tvm_aie.report.model import Bottleneck, LayerRow

WORD_BYTES = 4


@dataclass(frozen=True)
class LayerCounters:
    """What the emulator counted for one layer; bytes are sums over all flows of a class, in one inference."""

    name: str
    op: str
    shape: str
    start_cycle: int
    cycles: int  # its share of the run's cycles, see ``slices``
    estimated_cycles: float  # the same by the schedule's estimate
    macs: int
    dense_macs: int
    core_busy_cycles: int  # summed over the cores
    control_cycles: int
    a_bytes: int
    w_bytes: int
    o_bytes: int
    load_bytes: int
    loadw_bytes: int
    store_bytes: int


def slices(spans: Sequence[tuple[int, int, int]], total: int) -> list[int]:
    """Cycles of each item with its (start, end, busy cycles of its busiest core): from the end before it to its own.

    They sum to ``total`` exactly. Items overlap at their borders (the next one is configured and fetches its weights
    while this one computes), so any split is a convention; this one charges an item for what nothing before it hides,
    and never for less than its cores compute. A span that outlasts its successor's holds a transfer for later items:
    it ends where the next item starts.
    """
    return [round(cycles) for cycles in item_cycles(spans, total)] if spans else []


def layer_rows(device: Device, counters: Sequence[LayerCounters]) -> tuple[LayerRow, ...]:
    """Rows in the order of ``counters``."""
    return tuple(_row(device, layer) for layer in counters)


def occupancy(device: Device, layer: LayerCounters) -> dict[Bottleneck, float]:
    """Share of the cycles for which each resource is busy, averaged over its instances (it can exceed 1: prefetch)."""
    cycles = layer.cycles
    if cycles <= 0:
        return dict.fromkeys(Bottleneck, 0.0)
    keys = device.keys()

    def channels(byte_count: int, flow: str, n: int) -> float:
        return byte_count / (n * WORD_BYTES * keys[f"flow.{flow}.words_per_cycle"] * cycles)

    core_dma = max(
        channels(layer.a_bytes, "a", device.cols),
        channels(layer.w_bytes, "w", device.rows),
        channels(layer.o_bytes, "o", device.cores),
    )
    link = device.link_o_bytes_per_cycle
    shim = max(
        channels(layer.load_bytes, "load", device.cols),
        channels(layer.loadw_bytes, "loadw", device.rows),
        channels(layer.store_bytes, "store", device.cols),
    )
    ddr = device.ddr_bytes_per_cycle(device.cols)
    total = layer.load_bytes + layer.loadw_bytes + layer.store_bytes
    return {
        Bottleneck.COMPUTE: layer.core_busy_cycles / (device.cores * cycles),
        Bottleneck.CORE_DMA: core_dma,
        Bottleneck.MEMTILE: layer.o_bytes / (device.cols * link * cycles) if link else 0.0,
        Bottleneck.SHIM_DDR: max(shim, total / (ddr * cycles) if ddr else 0.0),
        Bottleneck.CONTROL: layer.control_cycles / cycles,
    }


def _row(device: Device, layer: LayerCounters) -> LayerRow:
    shares = occupancy(device, layer)
    word = max(shares, key=lambda name: shares[name])
    ddr_bytes = layer.load_bytes + layer.loadw_bytes + layer.store_bytes
    peak = device.peak_macs_per_cycle * layer.cycles
    return LayerRow(
        name=layer.name,
        op=layer.op,
        shape=layer.shape,
        start_cycle=layer.start_cycle,
        cycles=layer.cycles,
        estimated_cycles=layer.estimated_cycles,
        lower_bound_cycles=lower_bound(layer.macs, ddr_bytes, device).cycles,
        macs=layer.macs,
        dense_macs=layer.dense_macs,
        core_busy_cycles=layer.core_busy_cycles,
        control_cycles=layer.control_cycles,
        core_a_bytes=layer.a_bytes,
        core_w_bytes=layer.w_bytes,
        core_o_bytes=layer.o_bytes,
        memtile_bytes=layer.a_bytes + layer.w_bytes + layer.o_bytes + ddr_bytes,
        ddr_load_bytes=layer.load_bytes,
        ddr_loadw_bytes=layer.loadw_bytes,
        ddr_store_bytes=layer.store_bytes,
        utilisation_percent=100.0 * layer.macs / peak if peak else 0.0,
        bottleneck=word,
        occupancy_percent=100.0 * shares[word],
    )
