"""What items put on the machine, found once for all items and plans of a network that have it in common.

Networks repeat their blocks, and plans of a network have most of their items in common. Two items put the same on the
machine if they have one tiling, one shape, weights that are live in the same places, and opcodes that differ in
kernels' parameters alone; their commands are the same if their tensors lie alike, wherever that is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tvm_aie.cost.commands import Costs, message_commands
from tvm_aie.cost.item_load import ItemLoad, load_of, opcode_streams
from tvm_aie.cost.walk import skeleton
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv, item_weights
from tvm_aie.memory.placement import InputPlace, OutputPlace, WorkItem
from tvm_aie.plan.graph import Conv
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling


@dataclass(frozen=True)
class Loads:
    """By all that they depend on; where that is more than equal tilings, these are kept, so that ids stay theirs."""

    items: dict[Hashable, tuple[Tiling, ItemLoad]] = field(default_factory=dict)
    commands: dict[Hashable, tuple[float, float]] = field(default_factory=dict)

    def of(
        self,
        array: Array,
        physical: PhysicalGraph,
        item: WorkItem,
        tiling: Tiling,
        packed: Mapping[str, PackedConv],
        costs: Costs,
    ) -> ItemLoad:
        """The load of an item with its commands."""
        words = opcode_streams(array, item, physical.layers[item.layer], tiling)
        shape = id(tiling), array.overlay, item.geometry, item.out_rows
        sources = tuple((place.rows, place.resident) for place in item.inputs)
        streams = {stream: skeleton(stream) for stream in map(tuple, words)}
        opcodes = tuple(streams[tuple(stream)] for stream in words)
        key = shape, sources, opcodes, _weights(item, physical, packed)
        if key not in self.items:
            self.items[key] = tiling, load_of(array, item, tiling, item_weights(item, physical, packed), words)
        load = self.items[key][1]
        return replace(load, control=self._control(array, physical, item, tiling, costs)) if costs.any else load

    def _control(
        self, array: Array, physical: PhysicalGraph, item: WorkItem, tiling: Tiling, costs: Costs
    ) -> tuple[float, float]:
        shape = replace(tiling, cycles=0.0, body=0.0), array.overlay, item.geometry, item.out_rows
        key = shape, _places(item.inputs, physical), _places(item.outputs, physical), costs
        if key not in self.commands:
            self.commands[key] = message_commands(array, physical, item, tiling, costs)
        return self.commands[key]


def _places(places: Sequence[InputPlace] | Sequence[OutputPlace], physical: PhysicalGraph) -> Hashable:
    """Where the tensors lie to each other, and what they are."""
    first = min((place.address for place in places), default=0)
    out: list[Hashable] = []
    for place in places:
        storage = physical.storages[place.storage]
        resident = isinstance(place, InputPlace) and place.resident
        size = place.first, place.blocks, place.buffer_blocks, storage.width, storage.elem
        out.append((place.address - first, place.rows, resident, *size))
    return tuple(out)


def _weights(item: WorkItem, physical: PhysicalGraph, packed: Mapping[str, PackedConv]) -> Hashable:
    """What is live in the weights of the item's members, and what else their messages hold."""
    convs = [packed[layer.name] for m in item.members if isinstance(layer := physical.layers[m], Conv)]
    return tuple(
        (conv.blocks.digest, len(conv.bias), conv.scale is None, conv.front and conv.front.blocks.digest)
        for conv in convs
    )
