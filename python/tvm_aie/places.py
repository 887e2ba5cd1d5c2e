"""A home for every tensor of a network, and what its memtiles have left for weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from tvm_aie.decisions import Moves
from tvm_aie.emit.memtile import MemtileMap, memtile_map, opcode_bytes_estimate
from tvm_aie.emit.overlay import Array, grow_weight_rings
from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.placement import Placement, plan_memory, shifted
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.plan.siblings import Groups

MOST_OPCODES = 0.5  # of a memtile, for layers that are not to blame


def too_many_items(
    array: Array, layout: MemtileMap, opcode: int, physical: PhysicalGraph, placement: Placement | None
) -> InfeasibleError:
    """The error for a network whose opcode messages (``opcode`` bytes) leave a memtile no room for tensors.

    To blame are the layers that memory cuts into most items (``placement``), if any.
    """
    room = max(0, array.device.memtile_col_bytes - (layout.heap_base - layout.opcode_bytes))
    levers = ("fewer layers (a network in two files, one after the other)", "a device with larger memtiles")
    what = "opcodes of all layers in a memtile"
    counts = Counter(m for item in (placement.items if placement else ()) for m in item.members)
    total, layers = opcode, dict[str, InfeasibleError]()
    for member, items in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        if items == 1 or total <= room * MOST_OPCODES:
            break
        name = physical.layers[member].name
        total -= opcode_bytes_estimate(items, 0, array.device.core_ideal)
        layers[name] = InfeasibleError(f"{what}, {items} of them of {name}", opcode, room, "bytes", levers)
    return InfeasibleError(what, opcode, room, "bytes", levers, layers)


@dataclass(frozen=True)
class Placements:
    """Placements of a network, found once for all divisions of core memory that leave the memtiles as much room.

    By all that they depend on; the graphs are kept, so that ids stay theirs.
    """

    known: dict[Hashable, tuple[PhysicalGraph, Placement]] = field(default_factory=dict)

    def of(
        self,
        array: Array,
        physical: PhysicalGraph,
        capacity: int,
        groups: Groups,
        moves: Moves,
        narrow: frozenset[int],
        lags: bool,
    ) -> Placement:
        """``plan_memory`` in memtiles with ``capacity`` bytes for tensors. Raises ``InfeasibleError``."""
        arguments = (
            array.cols,
            capacity,
            groups,
            array.device.keys()["cmd.push_idle_cycles"] if moves.spread else None,
            moves.splits,
            array.rows if moves.runs else None,
            narrow,
            lags,
            (0 if array.device.push_idle_cycles else array.rows) if moves.turns else None,
            array.lendable,
        )
        key = id(physical), arguments
        if key not in self.known:
            self.known[key] = physical, plan_memory(physical, *arguments)
        return self.known[key][1]


def place(
    array: Array,
    physical: PhysicalGraph,
    groups: Groups,
    moves: Moves,
    narrow: frozenset[int],
    lags: bool = False,
    known: Placements | None = None,
) -> tuple[Array, Placement, MemtileMap]:
    """Give every tensor a home, then what memory is left to the weight rings. ``groups``: layers that share an item, in
    the order of the items; ``narrow``, ``lags``: see ``plan_memory``. Raises ``InfeasibleError``.

    The opcode region grows with the number of items, which depends on the placement: repeat until it holds.
    """
    known = known or Placements()
    opcode = opcode_bytes_estimate(len(physical.layers), array.overlay.a_slot, array.device.core_ideal)
    placement: Placement | None = None
    while True:
        layout = memtile_map(array, opcode)
        capacity = array.device.memtile_col_bytes - layout.heap_base
        if capacity <= 0:
            raise too_many_items(array, layout, opcode, physical, placement)
        placement = known.of(array, physical, capacity, groups, moves, narrow, lags)
        needed = opcode_bytes_estimate(len(placement.items), array.overlay.a_slot, array.device.core_ideal)
        if needed <= opcode:
            break
        opcode = needed
    overlay = grow_weight_rings(array, capacity - placement.peak_bytes)
    array = replace(array, overlay=overlay, lends=placement.lends)
    layout = memtile_map(array, opcode)
    return array, shifted(placement, layout.heap_base), layout
