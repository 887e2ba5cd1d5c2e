"""One step towards a placement that fits: what goes to DDR, runs depth-first, or is cut into chunks."""

from __future__ import annotations

from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.depth_first import MAX_CHUNKS, WORD, Run, extend, recomputed, row_cycles
from tvm_aie.memory.partition import Rows, near
from tvm_aie.memory.state import Failure, State, drafts_of, owned_rows, reads
from tvm_aie.plan.graph import Conv, Pool


def make_room(state: State, failure: Failure, capacity: int) -> None:
    """One step towards fitting: spill what the item does not touch, then its operands, then cut the item.

    Of several tensors the one with the least DDR traffic for each byte that it frees, of those the largest.
    """
    homes = [n for n in failure.live if n in state.graph.storages and n not in state.evicted]
    idle = [n for n in homes if n not in failure.touched]
    candidates = idle or homes
    if candidates:
        victim = min(candidates, key=lambda n: (spill_price(state, n), -state.graph.storages[n].bytes, n))
        if _run_through(state, victim) or _shorten_run(state, failure.layer):
            return
        state.evicted.add(victim)
        state.stored.add(victim)
        return
    if _give_up_run(state, failure):
        return
    best = failure.layer
    # Buffers of neighbouring items (prefetch, pending stores) may be what is too large.
    for name in failure.live:
        if "@" in name:
            layer = drafts_of(state)[int(name.split("@")[1])].layer
            if state.chunks[layer] < state.chunks[best]:
                best = layer
    height = state.graph.storages[state.graph.views[state.graph.layers[best].output].storage].height
    if state.chunks[best] * state.columns >= height * 2:
        name = state.graph.layers[best].name
        raise InfeasibleError(
            f"layer {name}: rows of its operands in a memtile",
            failure.demand,
            capacity,
            "bytes",
            ("use a device with larger memtiles", "reduce the image size"),
        )
    state.chunks[best] *= 2


def spill_price(state: State, name: str) -> float:
    """Bytes that spilling a tensor moves over DDR for each byte that it frees in the fullest column's memtile.

    It is stored once, unless it is stored anyway, and loaded for each operand that reads it from a memtile now.
    """
    storage, rows = state.graph.storages[name], state.partition(name)
    freed = max(b - a for a, b in rows) * storage.row_bytes
    loads = 0
    for index, layer in enumerate(state.graph.layers):
        target = state.partition(state.graph.views[layer.output].storage)
        for operand, source in enumerate(layer.inputs):
            if state.graph.views[source].storage == name:
                loads += near(reads(state, index, operand, target), rows)
    return storage.bytes * (loads + (name not in state.stored)) / max(1, freed)


def _run_through(state: State, storage: str) -> bool:
    """Execute the layer that writes ``storage`` and the one that reads it depth-first, if that is cheaper than DDR."""
    leaders = list(state.groups)
    made = [m for m in leaders if storage in {v.storage for v in state.targets(m)}]
    readers = [m for m in leaders if storage in {state.graph.views[n].storage for n in state.graph.layers[m].inputs}]
    ends = {state.graph.views[io.tensor].storage for io in state.graph.graph.outputs}
    if (
        not state.core_rows
        or state.layerwise & {*made, *readers}
        or len(made) != 1
        or len(readers) != 1
        or storage in ends
    ):
        return False
    producer, consumer = made[0], readers[0]
    pair = [state.graph.layers[producer], state.graph.layers[consumer]]
    whole = state.graph.views[pair[1].inputs[0]].blocks == state.graph.storages[storage].blocks
    plain = all(isinstance(op, Conv | Pool) and len(op.inputs) == 1 for op in pair) and consumer not in state.spread
    alone = len(state.groups[producer]) == len(state.groups[consumer]) == 1
    adjacent = leaders.index(consumer) == leaders.index(producer) + 1
    if not (whole and plain and alone and adjacent):
        return False
    runs = extend(state.runs, producer, consumer)
    before = sum(_recomputed(state, r) for r in state.runs if set(r.layers) & {producer, consumer})
    saved = state.graph.storages[storage].bytes / state.columns / WORD
    if _too_short(state, runs[-1]) or _recomputed(state, runs[-1]) - before > saved:
        return False
    state.runs = runs
    state.evicted.discard(storage)
    state.stored.discard(storage)
    return True


def _shorten_run(state: State, layer: int) -> bool:
    """Cut the run that holds ``layer`` into twice as many chunks, while that is cheaper than DDR."""
    for run in state.runs:
        longer = Run(run.layers, run.chunks * 2)
        between = sum(state.graph.storages[state.targets(m)[0].storage].bytes for m in run.layers[:-1])
        pays = longer.chunks <= MAX_CHUNKS and _recomputed(state, longer) < between / state.columns / WORD
        if layer in run.layers and pays and not _too_short(state, longer):
            state.runs = tuple(longer if r is run else r for r in state.runs)
            return True
    return False


def _give_up_run(state: State, failure: Failure) -> bool:
    """The buffers of a run are too large even alone: more chunks while there are rows, else no run."""
    drafts = drafts_of(state)
    around = {failure.layer} | {drafts[int(n.split("@")[1])].layer for n in failure.live if "@" in n}
    for run in state.runs:
        if around & set(run.layers):
            longer = Run(run.layers, run.chunks * 2)
            rest = tuple(r for r in state.runs if r is not run)
            if not _too_short(state, longer):
                state.runs = (*rest, longer)
            else:
                state.runs = rest
                state.layerwise |= set(run.layers)
            return True
    return False


def _too_short(state: State, run: Run) -> bool:
    return max(b - a for a, b in owned_rows(state, run)) < run.chunks


def _recomputed(state: State, run: Run) -> float:
    """Cycles of the busiest column for rows that are computed again."""

    def rows_in(layer: int, rows: Rows) -> Rows:
        return reads(state, layer, 0, rows)

    return recomputed(run, owned_rows(state, run), rows_in, lambda m: row_cycles(state.geometries[m], state.core_rows))
