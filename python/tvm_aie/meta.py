"""What a report needs to name items after the compile state is gone: the META section of a program."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_aie.device import Device
from tvm_aie.emit.superkernel import has_tail, item_kernels
from tvm_aie.memory.placement import Placement
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.cover import KEEP
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import item_name


def program_meta(
    device: Device, physical: PhysicalGraph, placement: Placement, tilings: Sequence[Tiling], cycles: Sequence[float]
) -> dict[str, object]:
    """``cycles``: estimated, of each item."""
    items = []
    for item, tiling, estimated in zip(placement.items, tilings, cycles, strict=True):
        outs = [physical.tensors[physical.layers[m].output] for m in item.members]
        entry = {
            "name": item_name(item, physical),
            "op": item.geometry.kernel.name.lower(),
            "chunk": item.chunk,
            "shape": [sum(t.channels for t in outs), outs[0].height, outs[0].width],
            "estimated_cycles": round(estimated),
        }
        if tiling.cover is not None:
            variants = tiling.cover.variants | item_kernels(item) - {entry["op"]}
            variants |= {KEEP} if tiling.kept else set()
            entry |= {"plan": tiling.plan, "variants": sorted(variants)}
        if has_tail(item, physical):
            entry["tail"] = True
        items.append(entry)
    return {
        "version": 1,
        "device": device.name,
        "network": physical.graph.name,
        "items": items,
        "spilled": sorted(placement.spilled),
        "peak_memtile_bytes": placement.peak_bytes,
    }
