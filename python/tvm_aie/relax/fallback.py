"""Operators that the rules accept but that are too large for the device: they stay on the host, with that as reason.

Which these are is known when a region has been planned (``misfits``), after the partition. So the module is partitioned
again without them, until all regions fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tvm import relax

from tvm_aie.errors import InfeasibleError, TvmAieError
from tvm_aie.relax.partition import Partition, partition

if TYPE_CHECKING:
    from tvm_aie.device import Device
    from tvm_aie.plan.graph import LayerGraph

# An operator that leaves the array changes the regions around it, so what is left may still fail; every round takes one
# operator at least from the array.
MOST_ROUNDS = 16


class DoesNotFitError(Exception):
    """Some operators of a region are too large: their reasons, by name. Not for the user: a new partition follows."""

    def __init__(self, reasons: Mapping[str, str], error: TvmAieError) -> None:
        """``error``: what to tell the user if a new partition is of no use."""
        super().__init__(str(error))
        self.reasons, self.error = dict(reasons), error


Made = TypeVar("Made")


def fitting(
    mod: Any, compiled: Callable[[Partition], Made], check: Callable[[Partition], object] | None = None
) -> tuple[Partition, Made]:
    """The partition of which everything fits, and what ``compiled`` makes of it.

    ``compiled`` raises ``DoesNotFitError`` for what does not fit, and so may ``check``, which sees each partition but
    the first before: no region is compiled again and again because of another. Raises the error behind that where no
    new partition helps.
    """
    kept: dict[str, str] = {}
    for last in range(MOST_ROUNDS)[::-1]:
        split = partition(mod, kept)
        try:
            if check is not None and kept:
                check(split)
            return split, compiled(split)
        except DoesNotFitError as failure:
            if not last or failure.reasons.keys() <= kept.keys():
                raise failure.error from None
            kept = failure.reasons | kept
    raise AssertionError("the last round returns or raises")


Lowered = tuple["LayerGraph", Mapping[str, str]]  # a region, and of each layer the operator that it comes from


def blamed(failure: TvmAieError, regions: Sequence[Lowered], device: Device) -> DoesNotFitError | None:
    """The operators to blame that regions cannot be compiled; None where none is known.

    What planning does not say is found by compiling layer by layer.
    """
    from tvm_aie.misfits import alone, kind_of
    from tvm_aie.pipeline import compile_graph
    from tvm_aie.plan.unite import JOIN

    found = dict(failure.layers) if isinstance(failure, InfeasibleError) else {}
    layers = [(layer, error) for name, error in found.items() for layer in name.split(JOIN)]
    out = {ops[layer]: _reason(error, device) for _, ops in regions for layer, error in layers if layer in ops}
    known: dict[tuple[object, ...], str] = {}
    for graph, operators in regions if not out else ():
        for layer in graph.layers:
            kind = kind_of(graph, layer)
            if kind not in known:
                known[kind] = ""
                try:
                    compile_graph(alone(graph, layer), device)
                except TvmAieError as error:
                    known[kind] = _reason(error, device)
            if known[kind] and layer.name in operators:
                out[operators[layer.name]] = known[kind]
    return DoesNotFitError(out, failure) if out else None


def _reason(error: TvmAieError, device: Device) -> str:
    return f"Too large for {device.name} ({' '.join(str(error).split())})"


def lowered_regions(split: Partition) -> list[Lowered]:
    """The regions of a partition, by the order of their symbols."""
    from tvm_aie.plan.lower import lower_named
    from tvm_aie.relax.codegen import is_region, rename_regions

    funcs = [f for _, f in rename_regions(split.module).functions_items() if isinstance(f, relax.Function)]
    return sorted((lower_named(f) for f in funcs if is_region(f)), key=lambda r: (len(r[0].name), r[0].name))


def fitting_partition(mod: Any, device: Device) -> tuple[Partition, list[LayerGraph]]:
    """The partition that a compilation for ``device`` arrives at, and its layer graphs, without compiling.

    Network-wide limits are left to the compilation.
    """
    return fitting(mod, partial(planned, device))


def planned(device: Device, split: Partition) -> list[LayerGraph]:
    """The layer graphs of a partition's regions. Raises ``DoesNotFitError`` where there is no plan of one.

    Planned is only what a layer of it makes suspicious that does not fit by itself.
    """
    regions = lowered_regions(split)
    for graph, operators in regions:
        if (error := _unplanned(graph, device)) is not None:
            if (blame := blamed(error, [(graph, operators)], device)) is not None:
                raise blame
    return [graph for graph, _ in regions]


def _unplanned(graph: LayerGraph, device: Device) -> InfeasibleError | None:
    """Why there is no plan of a region; None where there is one, or where each layer has one by itself."""
    from tvm_aie.decisions import UNTUNED
    from tvm_aie.misfits import misfits, single
    from tvm_aie.pipeline import prepare, require_plan

    if not misfits(graph, partial(require_plan, device), [single(UNTUNED)]):
        return None
    try:
        prepare(graph, device)
    except InfeasibleError as error:
        return error
    return None
