"""Execution plan of each convolution: bit widths, pieces, estimated time of the alternatives, bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tvm_aie.emit.weights import pack_conv
from tvm_aie.pipeline import Compiled
from tvm_aie.plan.graph import Conv
from tvm_aie.report.collect import conv_work, layer_plans
from tvm_aie.schedule.cover import INT4_HIGH, INT4_LOW, Blocks, walk_cover


@dataclass(frozen=True)
class PlanRow:
    """One convolution (its first item). Taps are those of live 8x8 blocks; cycles are estimated, bytes exact.

    ``alternatives``: cycles of the best schedule with each plan that was considered, the chosen one included; of the
    whole item where several layers share one.
    """

    layer: str
    weight_bits: int  # of the layer's widest weight
    live_taps: int
    dead_taps: int
    int4_taps: int
    plan: str
    pieces: dict[str, int]
    alternatives: dict[str, float]
    block_bytes: int  # as whole 8x8 blocks
    plan_bytes: int

    def text(self) -> str:
        """Two lines for the command line."""
        pieces = ", ".join(f"{n:,} {kind}" for kind, n in self.pieces.items() if n) or "nothing"
        cycles = ", ".join(f"{name} {c:,.0f}" for name, c in sorted(self.alternatives.items(), key=lambda a: a[1]))
        taps = f"{self.live_taps:,} live taps, {self.dead_taps:,} dead ones in live blocks, {self.int4_taps:,} in int4"
        return (
            f"{self.layer[:28]:28} {self.plan:6} {pieces}\n"
            f"    {self.weight_bits}-bit weights: {taps}; "
            f"bytes {self.block_bytes:,} -> {self.plan_bytes:,}; cycles: {cycles or 'tuned'} [estimated]"
        )


def plan_rows(compiled: Iterable[Compiled]) -> Iterator[PlanRow]:
    """One row per convolution in order."""
    for region in compiled:
        plans = layer_plans(region)
        for layer in region.physical.layers:
            if not isinstance(layer, Conv) or layer.name not in plans:
                continue
            what, (tiling, cover) = blocks_of(layer, region), plans[layer.name]
            live = what.live
            low, high = int(layer.weight.min(initial=0)), int(layer.weight.max(initial=0))
            yield PlanRow(
                layer.name,
                4 if low >= INT4_LOW and high <= INT4_HIGH else 8,
                int(what.taps.sum()),
                int(np.asarray(~what.taps[live]).sum()),
                int(what.narrow.sum()),
                cover.name,
                cover.pieces(),
                dict(tiling.alternatives),
                conv_work(region.physical, layer, walk_cover(live, *what.taps.shape[2:])).packed_bytes,
                conv_work(region.physical, layer, cover).packed_bytes,
            )


def blocks_of(layer: Conv, region: Compiled) -> Blocks:
    """What the layer's weight holds, in physical blocks."""
    views = region.physical.views
    return pack_conv(layer, views[layer.input], views[layer.output]).blocks


def plan_text(rows: Sequence[PlanRow]) -> str:
    """The section of ``explain --tesa``."""
    lines = ["execution plan: pieces of each layer's weights (docs/tesa.md)", *(row.text() for row in rows)]
    before, after = sum(r.block_bytes for r in rows), sum(r.plan_bytes for r in rows)
    change = 1 - after / before if before else 0.0  # lists and zeros cost bytes where they save cycles
    how = f"{change:.1%} saved" if change >= 0 else f"{-change:.1%} more, for fewer estimated cycles"
    lines.append(f"weights as whole blocks {before:,} bytes, as planned {after:,} ({how})")
    return "\n".join(lines)
