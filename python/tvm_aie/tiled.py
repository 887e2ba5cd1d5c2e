"""A tiling for every item of a network, so that the kernels which they need fit program memory together."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_aie.device import Device
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.superkernel import superkernel_bytes, too_many_kernels, used_variants
from tvm_aie.emit.weights import PackedConv
from tvm_aie.memory.placement import Placement
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.cover import DENSE, INT4, KEEP, LIST, VARIANTS
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Searches


def fits_program(device: Device, placement: Placement, physical: PhysicalGraph, tilings: Sequence[Tiling]) -> bool:
    """Whether the variants of the convolution that the tilings need fit program memory together."""
    needed = superkernel_bytes(device, placement, physical, used_variants(tilings))
    return needed <= device.program_budget_bytes


def tile(
    array: Array,
    physical: PhysicalGraph,
    packed: dict[str, PackedConv],
    placement: Placement,
    searches: Searches,
) -> list[Tiling]:
    """Cut every item so that each piece fits a core, and the superkernel its program memory.

    Each layer takes the variants of the convolution that suit it. Where they do not fit together, the best set that
    does is allowed, by the estimated time of the whole network. Raises ``InfeasibleError`` where none does.
    """

    def fits(variants: frozenset[str]) -> bool:
        return superkernel_bytes(array.device, placement, physical, variants) <= array.device.program_budget_bytes

    def tiled(variants: frozenset[str]) -> list[Tiling]:
        return [searches.tiling(array, item, physical, packed, variants) for item in placement.items]

    tilings = tiled(VARIANTS)
    if fits(used_variants(tilings)):
        return tilings
    sets = ((LIST, INT4), (DENSE, LIST), (LIST,), (DENSE,), ())
    allowed = [s for cover in sets for s in (frozenset(cover), frozenset((*cover, KEEP))) if fits(s)]
    if not allowed:
        raise too_many_kernels(array.device, placement, physical)
    largest = [s for s in allowed if not any(s < other for other in allowed)]
    options = [tiled(s) for s in largest]
    return min(options, key=lambda ts: sum(t.cycles for t in ts))
