"""What the cells of ``wbs_table.py`` are judged by, per layer: error of the estimate, speed-up of sparse layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tvm_aie.cost.stream import LayerTraffic, layer_traffic
from tvm_aie.device import Device
from tvm_aie.plan.graph import Conv, LayerGraph
from tvm_aie.report.model import LayerRow
from tvm_aie.searches import JOIN

GROUPS_PER_ROW = 4  # fewer groups of 8 output channels in a core row cannot be balanced


@dataclass(frozen=True)
class Gain:
    """Layers that share an item in the dense or in the sparse program: cycles of both (emulated)."""

    names: tuple[str, ...]
    dense: int
    sparse: int

    @property
    def speed_up(self) -> float:
        """Dense over sparse."""
        return self.dense / self.sparse


def estimate_errors(rows: Sequence[LayerRow]) -> dict[str, float]:
    """Estimated over emulated cycles, less 1, by layer."""
    return {row.name: row.estimated_cycles / row.cycles - 1 for row in rows if row.cycles}


def together(names: Iterable[str]) -> list[frozenset[str]]:
    """Layers that any item of ``names`` joins, directly or through others."""
    groups: list[frozenset[str]] = []
    for name in names:
        members = frozenset(name.split(JOIN))
        touched = [g for g in groups if g & members]
        groups = [g for g in groups if not g & members] + [members.union(*touched)]
    return groups


def gains(dense: Sequence[LayerRow], sparse: Sequence[LayerRow], graph: LayerGraph, device: Device) -> list[Gain]:
    """Speed-up of the layers that computing bounds when sparse and whose core rows have ``GROUPS_PER_ROW`` groups.

    ``graph``: the sparse network. A layer's terms are those of ``cost.stream``. The first convolution is never sparse.
    """
    dense_one = next(layer.name for layer in graph.layers if isinstance(layer, Conv))
    traffic = {t.name: t for layer in graph.layers if (t := layer_traffic(layer, graph.tensors)) is not None}
    blocks = {layer.name: -(-graph.tensors[layer.output].channels // 8) for layer in graph.layers}
    out = []
    for group in together([row.name for row in (*dense, *sparse)]):
        if dense_one in group or not all(n in traffic and _computes(traffic[n], device) for n in group):
            continue
        if sum(blocks[n] for n in group) >= GROUPS_PER_ROW * device.rows:
            names = tuple(layer.name for layer in graph.layers if layer.name in group)
            out.append(Gain(names, _cycles(dense, group), _cycles(sparse, group)))
    return out


def _cycles(rows: Sequence[LayerRow], group: frozenset[str]) -> int:
    return sum(row.cycles for row in rows if group.intersection(row.name.split(JOIN)))


def _computes(t: LayerTraffic, device: Device) -> bool:
    link = device.cols * 4 * device.stream_words_per_cycle
    return t.macs / device.peak_macs_per_cycle > max(t.input_bytes, t.weight_bytes, t.output_bytes) / link


def worst(errors: Mapping[str, float]) -> tuple[str, float]:
    """The layer whose estimate is off most."""
    return max(errors.items(), key=lambda kv: abs(kv[1]))
