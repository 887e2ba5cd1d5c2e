"""Where tensors lie in DDR: the arguments of a program, and what the host packs into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tvm_aie.device import BdLimits
from tvm_aie.emit.memtile import ALIGN
from tvm_aie.emit.program import Arg, ProgramIO
from tvm_aie.emit.transfers import Shape, piece_shape
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph


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
