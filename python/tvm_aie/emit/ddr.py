"""Where tensors lie in DDR: the arguments of a program, and what the host packs into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tvm_aie.device import BdLimits
from tvm_aie.emit.memtile import ALIGN
from tvm_aie.emit.program import Arg, ProgramIO
from tvm_aie.emit.transfers import Shape, piece_shape
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.loads import last_store
from tvm_aie.memory.placement import InputPlace, Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph

# When an item's loads are pushed, as a share of the item: before its barrier, which lets them go; those that wait for
# a store and that only a later item needs when this one has its first activations, as commands behind them wait, too.
LOADS, WAITING_LOADS, LAST_LOADS = -0.7, 0.2, 0.8
NEXT_LOAD = 1e-3  # behind the load before, in whichever column


@dataclass(frozen=True)
class DdrHome:
    """Place of a storage in DDR: an argument, and bytes from its begin."""

    arg: Arg
    offset: int


def ddr_homes(graph: PhysicalGraph, placement: Placement) -> tuple[dict[str, DdrHome], list[int]]:
    """The home of each storage that is in DDR, and the bytes of each argument (of the constants: 0)."""
    views, storages = graph.views, graph.storages
    homes: dict[str, DdrHome] = {}
    sizes = [0, 0, 0, 0]
    wanted = [(Arg.INPUT, [views[io.tensor].storage for io in graph.graph.inputs])]
    wanted.append((Arg.OUTPUT, [views[io.tensor].storage for io in graph.graph.outputs]))
    wanted.append((Arg.SCRATCH, sorted(placement.in_ddr)))
    for arg, names in wanted:
        for name in names:
            if name not in homes:
                homes[name] = DdrHome(arg, sizes[arg])
                sizes[arg] += -(-storages[name].bytes // ALIGN) * ALIGN
    return homes, sizes


def program_io(graph: PhysicalGraph, homes: Mapping[str, DdrHome]) -> tuple[ProgramIO, ...]:
    """How the host packs the network's inputs and unpacks its outputs."""
    out = []
    for kind, ios in ((0, graph.graph.inputs), (1, graph.graph.outputs)):
        for io in ios:
            view = graph.views[io.tensor]
            storage, t = graph.storages[view.storage], graph.tensors[io.tensor]
            cmap = tuple(view.first * 8 + c for c in view.cmap)
            out.append(
                ProgramIO(
                    kind,
                    homes[view.storage].offset,
                    t.channels // io.fold,
                    t.height,
                    io.shape[3] if io.fold > 1 else t.width,
                    storage.blocks * 8,
                    cmap,
                    io.dtype == "uint8",
                    len(io.shape) == 2,
                    storage.elem,
                    io.fold,
                )
            )
    return tuple(out)


def lines(item: WorkItem, graph: PhysicalGraph, mem: int, dims: Sequence[tuple[int, int]], limits: BdLimits) -> Shape:
    """What an item loads or stores. Raises ``InfeasibleError`` where no descriptor carries its lines."""
    shape = piece_shape(mem, dims, limits)
    wraps = [(size, limits.wrap_max(k)) for k, (size, _) in enumerate(shape.dims[:0:-1])]  # the outermost has none
    for size, most in wraps:
        if size > most:
            levers = ("use an image width with small factors",)
            error = InfeasibleError("lines of a part of a concat", size, most, "words of a descriptor", levers)
            raise InfeasibleError.of({graph.layers[m].name: error for m in item.members})
    return shape


def load_position(before: Sequence[WorkItem], place: InputPlace, graph: PhysicalGraph, words: float) -> float:
    """When a load for a later item is pushed that waits for a store of one of the items ``before``.

    ``words``: what a stream moves during the item. Activations of the item that are pushed later wait with the load: so
    not before a store that begins with the item can be done. One that began two items ago is.
    """
    by = last_store(before, place)
    if by < len(before) - 2:
        return LOADS
    if by < len(before) - 1:
        return WAITING_LOADS
    rows = max(b - a for a, b in before[by].out_rows)
    stored = sum(rows * o.blocks * graph.storages[o.storage].block_bytes // 4 for o in before[by].outputs if o.store)
    return min(max(WAITING_LOADS, stored / max(words, 1.0)), LAST_LOADS)
