"""How fast the items of a draft can follow each other where they wait for DDR (estimated, before there are tilings).

    an item starts when the one before is done and its loads are there; its store starts when it is done
    a load starts one item ahead, when what it loads has been stored; loads queue, and stores queue

Computing is taken at peak, moving at a word per cycle (``memory.depth_first``). That is rough, but what it is for is
not: whether the cores wait for a load that nothing hides, and whether a further cut of a layer hides it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tvm_aie.memory.depth_first import WORD, row_cycles
from tvm_aie.memory.partition import Rows, near, tallest
from tvm_aie.memory.state import Draft, State, reads, touch
from tvm_aie.plan.graph import Conv

# Of an item: its first input and its last output, which nothing hides; about what the emulator shows for small pieces.
BORDER_CYCLES = 1500.0
TILE_BYTES = 64
Loads = Mapping[tuple[int, int], Rows]


def loads_of(state: State, drafts: Sequence[Draft]) -> dict[tuple[int, int], Rows]:
    """Storage rows of each column that a load brings, by item and operand: what is not in the memtiles or too far."""
    out: dict[tuple[int, int], Rows] = {}
    for i, d in enumerate(drafts):
        if d.reads_private:
            continue
        for operand, name in enumerate(state.graph.layers[d.layer].inputs):
            storage = state.graph.views[name].storage
            needed = reads(state, d.layer, operand, d.out_rows)
            far = d.layer in state.spread or not near(needed, state.owned(storage))
            if storage in state.evicted or far:
                out[(i, operand)] = needed
    return out


def load_at(state: State, drafts: Sequence[Draft], item: int, storage: str, rows: Rows) -> int:
    """Item at which a load of ``rows`` may start: one ahead, unless some of them are being stored then."""
    if item == 0 or drafts[item].layer in state.prompt:
        return item
    before = drafts[item - 1]
    writes = not before.private and any(v.storage == storage for v in state.targets(before.layer))
    return item if writes and touch(rows, before) else item - 1


def paced_cycles(state: State, drafts: Sequence[Draft], loads: Loads) -> float:
    """Cycles until the last item is done."""
    starts: list[float] = []
    bodies: dict[int, tuple[float, float]] = {}
    stores: dict[str, list[tuple[Draft, float]]] = {}  # by storage: who stored, and when that was done
    done = load_free = store_free = 0.0
    for i, d in enumerate(drafts):
        ready = done
        for operand, name in enumerate(state.graph.layers[d.layer].inputs):
            rows = loads.get((i, operand))
            if rows is None:
                continue
            view = state.graph.views[name]
            at = load_at(state, drafts, i, view.storage, rows)
            stored = max((end for w, end in stores.get(view.storage, ()) if touch(rows, w)), default=0.0)
            begin = max(load_free, stored, starts[at] if at < i else done)
            line = state.graph.storages[view.storage].block_bytes
            load_free = begin + tallest(rows) * view.blocks * line / WORD
            ready = max(ready, load_free)
        starts.append(ready)
        if d.layer not in bodies:
            bodies[d.layer] = _body(state, d.layer)
        row, weights = bodies[d.layer]
        done = ready + max(tallest(d.out_rows) * row, weights) + BORDER_CYCLES
        for target in () if d.private else state.targets(d.layer):
            if target.storage in state.stored:
                line = state.graph.storages[target.storage].block_bytes
                store_free = max(store_free, done) + tallest(d.out_rows) * target.blocks * line / WORD
                stores.setdefault(target.storage, []).append((d, store_free))
    return done


def _body(state: State, layer: int) -> tuple[float, float]:
    """Cycles of a layer's items at peak: of a row, and of the weights of a core row."""
    geo = state.geometries[layer]
    rows = max(1, state.finer)
    is_conv = isinstance(state.graph.layers[layer], Conv)
    weights = geo.taps * geo.in_blocks * geo.out_blocks * TILE_BYTES / rows / WORD if is_conv else 0.0
    return row_cycles(geo, rows), weights
