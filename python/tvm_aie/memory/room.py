"""One step towards a placement that fits: what goes to DDR, runs depth-first, or is cut into chunks."""

from __future__ import annotations

from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.depth_first import MAX_CHUNKS, WORD, Run, extend, recomputed, row_cycles
from tvm_aie.memory.partition import Rows, near
from tvm_aie.memory.state import Failure, State, drafts_of, owned_rows, reads
from tvm_aie.plan.graph import Conv, Pool


def make_room(state: State, failure: Failure, capacity: int) -> None:
    """One step towards fitting: spill what the item does not touch, then its operands, then cut the item, at last load
    nothing ahead.

    Before either is spilled at a price, layers run depth-first, so that a tensor between them is never whole.
    Of several tensors the one with the least DDR traffic for each byte that it frees, of those the largest.
    """
    homes = [n for n in failure.live if n in state.graph.storages and n not in state.evicted]
    idle = [n for n in homes if n not in failure.touched]
    candidates = idle or homes
    if candidates:
        victim = min(candidates, key=lambda n: (spill_price(state, n), -state.graph.storages[n].bytes, n))
        touched = sorted(set(homes) - set(idle)) if idle and spill_price(state, victim) > 0 else []
        if any(_run_through(state, n) for n in touched):
            return  # what the item itself reads or writes need not be there as a whole
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
        loaded = {drafts_of(state)[int(n.split("@")[1])].layer for n in failure.live if "@" in n and n.startswith("in")}
        if late := loaded - state.prompt:  # larger pieces again, none of which is loaded ahead
            state.prompt |= late
            state.chunks = [1 if m in late else n for m, n in enumerate(state.chunks)]
            return
        name = state.graph.layers[best].name
        error = InfeasibleError(
            f"layer {name}: rows of its operands in a memtile",
            failure.demand,
            capacity,
            "bytes",
            ("use a device with larger memtiles", "reduce the image size"),
        )
        raise InfeasibleError.of({name: error})
    state.chunks[best] *= 2


def spill_price(state: State, name: str) -> float:
    """Bytes that spilling a tensor moves over DDR for each byte that it frees in the fullest column's memtile.

    It is stored once, unless it is stored anyway, and loaded for each operand that reads it from a memtile now.
    """
    storage, rows = state.graph.storages[name], state.owned(name)
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
        or storage in ends | state.cut
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
    """Cut the run that holds ``layer`` into twice as many chunks, or in two where DDR is then cheaper."""
    for run in state.runs:
        longer = Run(run.layers, run.chunks * 2)
        if layer not in run.layers or longer.chunks > MAX_CHUNKS or _too_short(state, longer):
            continue
        position = _weakest_link(state, longer)
        _replace_run(state, run, longer if position is None else None, position or 0)
        return True
    return False


def _give_up_run(state: State, failure: Failure) -> bool:
    """The buffers of a run are too large even alone: more chunks while there are rows, else no run."""
    drafts = drafts_of(state)
    around = {failure.layer} | {drafts[int(n.split("@")[1])].layer for n in failure.live if "@" in n}
    for run in state.runs:
        if around & set(run.layers):
            longer = Run(run.layers, run.chunks * 2)
            if _too_short(state, longer):
                state.runs = tuple(r for r in state.runs if r is not run)
                state.layerwise |= set(run.layers)
            else:
                position = _weakest_link(state, longer)
                _replace_run(state, run, longer if position is None else None, position or 0)
            return True
    return False


def _weakest_link(state: State, run: Run) -> int | None:
    """Position behind which the run is cut: where the rows computed again cost most beyond DDR; None: nowhere."""
    total, worst = _recomputed(state, run), 0.0
    found = None
    for k in range(1, len(run.layers)):
        parts = (Run(run.layers[:k], run.chunks), Run(run.layers[k:], run.chunks))
        again = total - sum(_recomputed(state, p) for p in parts if len(p.layers) > 1)
        storage = state.targets(run.layers[k - 1])[0].storage
        loss = again - state.graph.storages[storage].bytes / state.columns / WORD
        if loss > worst:
            found, worst = k, loss
    return found


def _replace_run(state: State, run: Run, longer: Run | None, position: int) -> None:
    """Put ``longer`` in place of ``run``, or what is left of it when it is cut at ``position``."""
    parts = (longer,) if longer else (Run(run.layers[:position], run.chunks), Run(run.layers[position:], run.chunks))
    if not longer:
        state.cut.add(state.targets(run.layers[position - 1])[0].storage)
    rest = tuple(r for r in state.runs if r is not run)
    state.runs = (*rest, *(p for p in parts if p and len(p.layers) > 1))


def _too_short(state: State, run: Run) -> bool:
    return max(b - a for a, b in owned_rows(state, run)) < run.chunks


def _recomputed(state: State, run: Run) -> float:
    """Cycles of the busiest column for rows that are computed again."""

    def rows_in(layer: int, rows: Rows) -> Rows:
        return reads(state, layer, 0, rows)

    return recomputed(run, owned_rows(state, run), rows_in, lambda m: row_cycles(state.geometries[m], state.core_rows))
