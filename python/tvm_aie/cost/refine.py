"""Choice of tilings in context: among an item's best candidates, the one with which the network gets furthest.

The closed form ranks the tilings of an item alone. What it leaves out depends on the items before: where the rings
stand (the messages of an item are aligned, junk fills the gap), which weights are already there, how late each column
is. So the recurrence of ``cost.estimate`` walks the network once and tries each candidate from the state that the
items before have left. The search is greedy; a candidate also pays for the weight bytes that it takes from the stream
beyond the least of its rivals, because later items wait for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tvm_aie.cost.estimate import Recurrence
from tvm_aie.cost.item_load import item_load
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv, item_weights
from tvm_aie.memory.placement import Placement, WorkItem
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.schedule.tiling import Tiling

# Share of the stream time of surplus weights that later items will feel. Half: some of it hides behind compute.
WEIGHTS_FELT = 0.5
Candidates = Callable[[WorkItem], Sequence[Tiling]]


def refine(
    array: Array,
    physical: PhysicalGraph,
    placement: Placement,
    packed: Mapping[str, PackedConv],
    candidates: Candidates,
    opcode_words: float,
) -> list[Tiling]:
    """A tiling for every item; ``candidates``: those to choose from, best by the closed form first."""
    state = Recurrence(array, physical, placement, opcode_words)
    chosen = []
    for item in placement.items:
        layer = physical.layers[item.layer]
        weights = item_weights(item, physical, packed)
        rivals = []
        for rank, tiling in enumerate(candidates(item)):
            load = item_load(array, state.rates, item, layer, tiling, weights)
            trial = state.copy()
            trial.advance(item.index, load)
            streamed = float(load.w_bytes.sum(axis=1).max()) * state.rates.loadw
            rivals.append((float(trial.col.done.max()), streamed, rank, tiling, trial))
        least = min(r[1] for r in rivals)
        best = min(rivals, key=lambda r: (r[0] + WEIGHTS_FELT * (r[1] - least), r[2]))
        chosen.append(best[3])
        state = best[4]
    return chosen
