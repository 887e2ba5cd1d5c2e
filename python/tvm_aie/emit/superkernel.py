"""Which kernels the superkernel of a network needs, and the program memory that they take."""

from __future__ import annotations

from collections.abc import Sequence

from tvm_aie.device import Device
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.cover import INT16, KEEP
from tvm_aie.schedule.tiling import Tiling


def item_kernels(item: WorkItem) -> frozenset[str]:
    """Kernels of an item, as ``[instructions]`` of the device file names them; a pool inside a call is one."""
    kernels = {item.geometry.kernel.name.lower()}
    if item.geometry.pool is not None:
        kernels.add("scale" if item.geometry.pool.scale else "avgpool" if item.geometry.pool.average else "maxpool")
    if item.geometry.front is not None:
        kernels.add("front")
    if item.geometry.wide:
        kernels.add(INT16)
    return frozenset(kernels)


KEEP_PART = 1  # KEEP's bit in kUsedKernels (kernels/dispatch.h)


def has_tail(item: WorkItem, physical: PhysicalGraph) -> bool:
    """Whether a convolution of the item has a second stage (``plan.fuse``): on a core that is the loop of ADD."""
    layers = (physical.layers[m] for m in item.members)
    return any(isinstance(layer, Conv) and layer.tail is not None for layer in layers)


def used_variants(tilings: Sequence[Tiling]) -> frozenset[str]:
    """Variants of the convolution that the tilings need, and KEEP."""
    kept = {KEEP} if any(t.kept for t in tilings) else frozenset[str]()
    return frozenset[str]().union(*(t.cover.variants for t in tilings if t.cover)) | kept


def needed_kernels(placement: Placement, physical: PhysicalGraph) -> frozenset[str]:
    """Kernels of all items, whatever their tilings."""
    kernels = frozenset[str]().union(*(item_kernels(item) for item in placement.items))
    tails = any(has_tail(item, physical) for item in placement.items)
    return kernels | ({"add"} if tails else frozenset())


def superkernel_bytes(device: Device, placement: Placement, physical: PhysicalGraph, variants: frozenset[str]) -> int:
    """Program memory of a superkernel with the kernels of all items and these variants of the convolution (bytes)."""
    return device.instructions.total(needed_kernels(placement, physical) | variants)


def too_many_kernels(device: Device, placement: Placement, physical: PhysicalGraph) -> InfeasibleError:
    """The error for a network whose kernels alone exceed program memory: which they are, and what to do."""
    kernels = needed_kernels(placement, physical)
    wide = ("int8 instead of int16 activations",) if INT16 in kernels else ()
    levers = (*wide, "a network with fewer kinds of layers", "a device file with core.program_budget_bytes of your own")
    needed, budget = device.instructions.total(kernels), device.program_budget_bytes
    return InfeasibleError(f"superkernel with {', '.join(sorted(kernels))}", needed, budget, "bytes", levers)
