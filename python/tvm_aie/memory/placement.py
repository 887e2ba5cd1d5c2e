"""Where every tensor lives over time: memtile (row-sharded over the columns), DDR, or both.

Starts with everything resident. When the memtiles overflow, one tensor at a time moves to DDR (those that the
overflowing item does not touch first), and when an item's own operands do not fit, the item is cut into row chunks
that are loaded, computed and stored one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import lcm

from tvm_aie.memory.allocator import DoesNotFit, Interval, allocate
from tvm_aie.memory.depth_first import MAX_CHUNKS, Run
from tvm_aie.memory.lag import free_of, prolonged
from tvm_aie.memory.pace import load_at, loads_of, paced_cycles
from tvm_aie.memory.partition import Relation, Rows, choose_splits, home_of, near, tallest
from tvm_aie.memory.room import make_room
from tvm_aie.memory.state import Draft, Failure, State, drafts_of, reads
from tvm_aie.plan.graph import Add, Conv, Pool, Upsample
from tvm_aie.plan.physical import PhysicalGraph, View
from tvm_aie.plan.siblings import Groups, single_groups
from tvm_aie.schedule.geometry import Geometry, geometry_of


@dataclass(frozen=True)
class InputPlace:
    """Where an item reads one operand. ``rows``: storage rows that each column finds in its buffer.

    Resident: the storage's own partition, neighbours readable. Loaded: a private copy of the view's blocks only, in
    column c from block ``first + c * block_step`` on.
    """

    storage: str
    first: int
    blocks: int
    resident: bool
    address: int
    rows: Rows
    buffer_blocks: int
    load_at: int = -1
    block_step: int = 0
    private: bool = False  # written by the item before, for this one alone; not loaded

    @property
    def loaded(self) -> bool:
        """A load from DDR brings it."""
        return not self.resident and not self.private


@dataclass(frozen=True)
class OutputPlace:
    """Where an item writes. ``rows``: storage rows of the buffer in each column; ``block_step`` as for inputs."""

    storage: str
    first: int
    blocks: int
    address: int
    rows: Rows
    buffer_blocks: int
    store: bool
    last_use: int
    block_step: int = 0


@dataclass(frozen=True)
class WorkItem:
    """A layer or sibling convolutions, or a row chunk of them. ``out_rows``: output rows of each column.

    ``outputs``: one for each member; the geometry's output blocks are theirs, one after the other. ``lag``: its barrier
    waits for the item before the last only (``memory.lag``).
    """

    index: int
    members: tuple[int, ...]
    chunk: int
    geometry: Geometry
    out_rows: Rows
    inputs: tuple[InputPlace, ...]
    outputs: tuple[OutputPlace, ...]
    in_place: bool
    lag: bool = False

    @property
    def layer(self) -> int:
        """The first member; all have its inputs and window."""
        return self.members[0]


@dataclass(frozen=True)
class Placement:
    """All items in order; which storages have a home in DDR; memtile bytes in use at the peak."""

    items: tuple[WorkItem, ...]
    in_ddr: frozenset[str]
    spilled: frozenset[str]
    peak_bytes: int
    runs: tuple[Run, ...] = ()

    @property
    def lends(self) -> bool:
        """Whether the last column writes any rows into the memtile of the column before it."""
        return any(
            a < b and home_of((a, b), out.rows, len(out.rows) - 1) < len(out.rows) - 1
            for item in self.items
            for a, b in item.out_rows[-1:]
            for out in item.outputs
        )


def plan_memory(
    graph: PhysicalGraph,
    columns: int,
    capacity: int,
    groups: Groups | None = None,
    push_cycles: float | None = 0.0,
    packed: bool = True,
    core_rows: int | None = None,
    narrow: frozenset[int] = frozenset(),
    lags: bool = False,
    turns: int | None = None,
    lends: bool = False,
) -> Placement:
    """Decide residency, chunks and addresses. ``capacity``: bytes of each memtile for tensors.

    ``groups``: sibling convolutions that share an item (default: none), in the order of the items. ``lags``: barriers
    may lag where memory allows it (``memory.lag``). ``push_cycles``: of a task on an idle channel;
    None: no pool is spread over the columns. ``packed``: rows may be split unevenly (``memory.partition``).
    ``core_rows``: rows of cores, to weigh depth-first runs (``memory.depth_first``); None: there are none. ``narrow``:
    image heights that fewer columns share. ``turns``: what fits is made better (``_bettered``), with these rows
    of cores also by more chunks than memory asks for; 0: not by those; None: not at all. ``lends``: the last column may
    write sums (``plan.sums``) into the memtile of the column before it.
    Raises ``InfeasibleError`` when one row of an item does not fit.
    """
    geometries = [geometry_of(layer, graph) for layer in graph.layers]
    views = graph.views
    inputs = {views[io.tensor].storage for io in graph.graph.inputs}
    outputs = {views[io.tensor].storage for io in graph.graph.outputs}
    units: dict[str, int] = {}
    for layer in graph.layers:
        if isinstance(layer, Upsample):  # a concat may join several factors
            name = views[layer.output].storage
            units[name] = lcm(units.get(name, 1), layer.factors[0])
    chunks = [1] * len(graph.layers)
    leaders = {group[0]: group for group in groups or single_groups(graph)}
    state = State(graph, leaders, geometries, columns, set(inputs), inputs | outputs, chunks, units)
    state.core_rows = core_rows or 0
    state.lags = lags
    state.finer = turns or 0
    state.lends = _sums(graph) if lends else frozenset()
    if packed:
        state = replace(state, splits=choose_splits(_relations(state), columns, narrow))
    if push_cycles is not None:
        _spread_channels(state, push_cycles)
    _require_ddr_where_far(state)
    needed = frozenset(state.stored)
    while True:
        attempt = _attempt(state, capacity)
        if isinstance(attempt, _Fit):
            return _finish(state, attempt if turns is None else _bettered(state, attempt, capacity, needed))
        make_room(state, attempt, capacity)


def _sums(graph: PhysicalGraph) -> frozenset[str]:
    """Storages of the sums of convolutions."""
    convs = (layer for layer in graph.layers if isinstance(layer, Conv))
    return frozenset(graph.views[c.output].storage for c in convs if c.pool_after is not None and c.pool_after.sums)


MOST_TOGETHER = 3  # layers that are cut finer for the sake of one
WORTH = 0.999  # of the cycles: what more chunks must save, beyond what each costs


def _bettered(state: State, fit: _Fit, capacity: int, needed: frozenset[str]) -> _Fit:
    """What fits as well and is faster (``memory.pace``): tensors that left the memtiles come back, chunks take turns by
    when what they load is stored, and, where asked for, layers that wait for loads are cut into more chunks.

    ``needed``: storages that must be in DDR. The state is left as the result needs it.
    """

    def settled(**changes: object) -> _Fit | None:
        """What fits with other decisions, which stay if it does."""
        before = {name: getattr(state, name) for name in changes}
        for name, value in changes.items():
            setattr(state, name, value)
        attempt = _attempt(state, capacity)
        if isinstance(attempt, _Fit):
            return attempt
        for name, value in before.items():
            setattr(state, name, value)
        return None

    def back(fit: _Fit) -> _Fit:
        for name in sorted(state.evicted - needed, key=lambda n: (-state.graph.storages[n].bytes, n)):
            fit = settled(evicted=state.evicted - {name}, stored=state.stored - {name}) or fit
        return fit

    if not state.evicted - needed:
        return fit
    fit = back(fit)
    fit = settled(ordered=True) or fit
    if not state.finer or not (state.evicted - needed):
        return fit
    cycles = paced_cycles(state, *_drawn(state))
    for layer in state.groups:
        for count in _counts(state, layer):  # what is too large as two may fit as four
            if found := _cut(state, layer, count, cycles * WORTH, capacity):
                cycles, fit = found
    return back(fit)


def _counts(state: State, layer: int) -> Iterator[int]:
    """Chunks that are tried for a layer that loads something: twice as many, and so on while it has rows."""
    views = state.graph.views
    if any(views[n].storage in state.evicted for n in state.graph.layers[layer].inputs):
        count = 2 * state.chunks[layer]
        while _has_chunks(state, layer, count):
            yield count
            count *= 2


def _has_chunks(state: State, layer: int, count: int) -> bool:
    """Whether a layer may be cut into so many chunks."""
    if layer in state.spread or any(layer in run.layers for run in state.runs):
        return False
    owned = state.partition(state.graph.views[state.graph.layers[layer].output].storage)
    return count <= min(MAX_CHUNKS, max(b - a for a, b in owned))


def _cut(state: State, layer: int, count: int, limit: float, capacity: int) -> tuple[float, _Fit] | None:
    """Cut a layer into ``count`` chunks, and those in whose way its loads are into twice as many, if it fits and takes
    less than ``limit`` cycles; else nothing changes."""
    before = state.chunks
    state.chunks = [count if m == layer else n for m, n in enumerate(before)]
    for _ in range(MOST_TOGETHER):
        drawn = _drawn(state)
        if (cycles := paced_cycles(state, *drawn)) >= limit:
            break
        attempt = _attempt(state, capacity, drawn)
        if isinstance(attempt, _Fit):
            return cycles, attempt
        other = attempt.layer
        if other not in state.groups or not _has_chunks(state, other, 2 * state.chunks[other]):
            break
        state.chunks = [2 * n if m == other else n for m, n in enumerate(state.chunks)]
    state.chunks = before
    return None


def _relations(state: State) -> list[Relation]:
    """Which image heights are read for which, layers of one geometry together."""
    merged: dict[tuple[Geometry, bool, bool, int, int], Relation] = {}
    for index, layer in enumerate(state.graph.layers):
        target = state.graph.views[layer.output].storage
        for operand, name in enumerate(layer.inputs):
            storage = state.graph.storages[state.graph.views[name].storage]
            units = state.units.get(storage.name, 1), state.units.get(target, 1)
            geo = replace(state.geometries[index], in_blocks=1, out_blocks=1)
            lends = storage.name in state.lends
            key = (geo, operand == 1, lends, *units)
            old = merged.get(key)

            def rows_in(rows: Rows, layer: int = index, operand: int = operand) -> Rows:
                return reads(state, layer, operand, rows)

            height = state.graph.storages[target].height
            total = storage.bytes + (old.bytes if old else 0)
            merged[key] = Relation(storage.height, units[0], height, units[1], rows_in, total, lends)
    return list(merged.values())


# Tasks on idle channels that a column adds to a spread pool and that wait for something: the load at the shim, for the
# stores, and the input. The others are pushed ahead.
SPREAD_TASKS = 2


def _spread_channels(state: State, push_cycles: float) -> None:
    """Pools to one row (global pools) that read from far: each column takes a share of the channels instead.

    Before: one column loads and pools the whole image. After: several columns, each with its blocks of all rows. The
    result is in DDR only: its row is in pieces. The number of columns weighs their commands against the bytes that each
    loads and streams to its cores at a word per cycle.
    """
    for index, name in _far_reads(state):
        layer = state.graph.layers[index]
        target = state.graph.views[layer.output]
        view = state.graph.views[name]
        words = state.graph.storages[view.storage].bytes / state.graph.storages[view.storage].blocks / 4
        shares = range(1, min(state.columns, view.blocks) + 1)
        costs = {k: 2 * words * spread_blocks(view.blocks, k)[0] + SPREAD_TASKS * k * push_cycles for k in shares}
        share = min(costs, key=lambda k: costs[k])
        if isinstance(layer, Pool) and state.graph.storages[target.storage].height == 1 and share > 1:
            state.spread[index] = share
            state.evicted.add(target.storage)
            state.stored.add(target.storage)


def spread_blocks(blocks: int, share: int) -> tuple[int, int]:
    """(blocks of each column, from one column to the next); columns overlap where ``share`` does not divide them."""
    step = blocks // share
    return blocks - (share - 1) * step, step


def _far_reads(state: State) -> list[tuple[int, str]]:
    """(layer, tensor) of operands whose rows some column needs from beyond its neighbour."""
    far = []
    for index, layer in enumerate(state.graph.layers):
        out = state.partition(state.graph.views[layer.output].storage)
        for operand, name in enumerate(layer.inputs):
            owned = state.owned(state.graph.views[name].storage)
            if not near(reads(state, index, operand, out), owned):
                far.append((index, name))
    return far


def _require_ddr_where_far(state: State) -> None:
    """A storage whose rows some consumer needs from beyond the neighbour column also gets a home in DDR."""
    state.stored.update(state.graph.views[name].storage for _, name in _far_reads(state))


Drawn = tuple[list[Draft], dict[tuple[int, int], Rows]]  # items, and what loads bring (``loads_of``)


@dataclass(frozen=True)
class _Fit:
    """Items whose buffers fit: what is loaded, which outputs take over the memory of an input, lives and addresses of
    the buffers, and which barriers lag."""

    drafts: Sequence[Draft]
    loaded: dict[tuple[int, int], Rows]
    alias: dict[str, str]
    intervals: dict[str, Interval]
    addresses: dict[str, int]
    lags: Sequence[bool]


def _drawn(state: State) -> Drawn:
    drafts = drafts_of(state)
    return drafts, loads_of(state, drafts)


def _attempt(state: State, capacity: int, drawn: Drawn | None = None) -> _Fit | Failure:
    """``drawn``: the state's, if it is known."""
    drafts, loaded = drawn or _drawn(state)
    views = state.graph.views
    written: dict[str, int] = {}
    last_write: dict[str, int] = {}
    last_read: dict[str, int] = {}
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        for target in () if d.private else state.targets(d.layer):
            written.setdefault(target.storage, i)
            last_write[target.storage] = i
        if d.reads_private:
            continue
        last_read.update((views[n].storage, i) for k, n in enumerate(op.inputs) if (i, k) not in loaded)
    alias = _in_place(state, drafts, written, last_read, loaded)
    intervals = _intervals(state, drafts, written, last_write, last_read, loaded, alias)
    lags = _independent(state, drafts, loaded, alias) if state.lags else (False,) * len(drafts)
    if any(lags):  # lives that are longer by one item may need more room: then lag where it happens to be possible
        longer = prolonged(intervals, lags)
        addresses = allocate(list(longer.values()), capacity)
        if not isinstance(addresses, DoesNotFit):
            return _Fit(drafts, loaded, alias, longer, addresses, lags)
    addresses = allocate(list(intervals.values()), capacity)
    if isinstance(addresses, DoesNotFit):
        t = addresses.item
        layer = drafts[min(t, len(drafts) - 1)].layer
        inputs = (views[n].storage for n in state.graph.layers[layer].inputs)
        touched = frozenset([*inputs, *(v.storage for v in state.targets(layer))])
        live = tuple(n for n, v in intervals.items() if v.first <= t <= v.last)
        return Failure(t, layer, live, touched, addresses.demand)
    lags = free_of(intervals.values(), addresses, lags)
    return _Fit(drafts, loaded, alias, intervals, addresses, lags)


def _independent(
    state: State, drafts: Sequence[Draft], loaded: dict[tuple[int, int], Rows], alias: dict[str, str]
) -> tuple[bool, ...]:
    """Of each item whether it and the item before touch nothing in common that one of them writes (``memory.lag``).

    The first two wait for the first loads and have nothing to gain.
    """
    views = state.graph.views
    reads, writes = [], []
    for i, d in enumerate(drafts):
        inputs = enumerate(state.graph.layers[d.layer].inputs)
        reads.append({_root(alias, views[n].storage) for k, n in inputs if (i, k) not in loaded})
        writes.append(set() if d.private else {_root(alias, t.storage) for t in state.targets(d.layer)})
    stores = [not d.private and any(t.storage in state.stored for t in state.targets(d.layer)) for d in drafts]
    out = [False] * len(drafts)
    for i in range(2, len(drafts)):
        shared = (reads[i] & writes[i - 1]) | (writes[i] & reads[i - 1])
        out[i] = not (drafts[i].reads_private or stores[i - 1] or shared)
    return tuple(out)


def _in_place(
    state: State,
    drafts: Sequence[Draft],
    written: dict[str, int],
    last_read: dict[str, int],
    loaded: dict[tuple[int, int], Rows],
) -> dict[str, str]:
    """Output storage -> input storage whose memory it takes over (residual adds)."""
    alias: dict[str, str] = {}
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        fused = isinstance(op, Conv) and op.tail is not None and op.tail.residual is not None
        if isinstance(op, Conv) and op.pool_after is not None:
            continue  # the output is another image
        if not (isinstance(op, Add) or fused) or state.chunks[d.layer] > 1 or d.private or d.chunk:
            continue
        target = state.graph.views[op.output].storage
        for operand, name in enumerate(op.inputs):
            view = state.graph.views[name]
            if fused and (operand == 0 or view.storage == state.graph.views[op.inputs[0]].storage):
                continue  # the convolution reads pixels around those that it writes
            source = state.graph.storages[view.storage]
            whole = view.blocks == source.blocks == state.graph.storages[target].blocks
            free = last_read.get(view.storage) == i and view.storage not in state.stored
            home = (i, operand) not in loaded and target not in state.evicted and written[target] == i
            # ``plan.pitch`` may have enlarged one of them alone.
            same = state.partition(view.storage) == state.partition(target)
            same = same and source.row_bytes == state.graph.storages[target].row_bytes
            if whole and free and home and same and view.storage not in alias.values():
                alias[target] = view.storage
                break
    return alias


def _root(alias: dict[str, str], name: str) -> str:
    while name in alias:
        name = alias[name]
    return name


def _intervals(
    state: State,
    drafts: Sequence[Draft],
    written: dict[str, int],
    last_write: dict[str, int],
    last_read: dict[str, int],
    loaded: dict[tuple[int, int], Rows],
    alias: dict[str, str],
) -> dict[str, Interval]:
    out: dict[str, Interval] = {}
    for storage, first in written.items():
        if storage in state.evicted:
            continue
        last = max(last_read.get(storage, 0), last_write[storage] + (storage in state.stored))
        size = tallest(state.owned(storage)) * state.graph.storages[storage].row_bytes
        root = _root(alias, storage)
        old = out.get(root)
        out[root] = Interval(root, min(first, old.first) if old else first, max(last, old.last) if old else last, size)
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        for k, target in enumerate(state.targets(d.layer)):
            if target.storage in state.evicted or d.private:
                blocks, _ = spread_blocks(target.blocks, state.spread.get(d.layer, 1))
                size = tallest(d.out_rows) * blocks * state.graph.storages[target.storage].block_bytes
                out[f"out{k}@{i}"] = Interval(f"out{k}@{i}", i, i + 1, size)
        for operand, name in enumerate(op.inputs):
            if (i, operand) in loaded:
                view = state.graph.views[name]
                line = state.graph.storages[view.storage].block_bytes
                blocks, _ = spread_blocks(view.blocks, state.spread.get(d.layer, 1))
                size = tallest(loaded[(i, operand)]) * blocks * line
                at = load_at(state, drafts, i, view.storage, loaded[(i, operand)])
                out[f"in{operand}@{i}"] = Interval(f"in{operand}@{i}", at, i, size)
    return out


def _finish(state: State, fit: _Fit) -> Placement:
    drafts, loaded, alias, intervals, addresses = fit.drafts, fit.loaded, fit.alias, fit.intervals, fit.addresses
    views, storages = state.graph.views, state.graph.storages
    items = []
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        share = state.spread.get(d.layer, 1)
        inputs = []
        for operand, name in enumerate(op.inputs):
            view = views[name]
            key = f"in{operand}@{i}"
            if d.reads_private:
                address = addresses[f"out0@{i - 1}"]
                rows = drafts[i - 1].out_rows
                inputs.append(
                    InputPlace(view.storage, view.first, view.blocks, False, address, rows, view.blocks, private=True)
                )
            elif (i, operand) in loaded:
                blocks, step = spread_blocks(view.blocks, share)
                inputs.append(
                    InputPlace(
                        view.storage,
                        view.first,
                        blocks,
                        False,
                        addresses[key],
                        loaded[(i, operand)],
                        blocks,
                        intervals[key].first,
                        step if share > 1 else 0,
                    )
                )
            else:
                home = addresses[_root(alias, view.storage)]
                inputs.append(
                    InputPlace(
                        view.storage,
                        view.first,
                        view.blocks,
                        True,
                        home,
                        state.owned(view.storage),
                        storages[view.storage].blocks,
                    )
                )
        outputs = tuple(
            _output_place(state, d, i, k, target, alias, intervals, addresses)
            for k, target in enumerate(state.targets(d.layer))
        )
        geo = state.geometries[d.layer]
        in_blocks, _ = spread_blocks(geo.in_blocks, share)
        own = geo.joinable and own_rows(geo, d.out_rows, inputs)
        geo = replace(geo, in_blocks=in_blocks, out_blocks=sum(o.blocks for o in outputs), own_rows=own)
        items.append(
            WorkItem(
                i,
                state.groups[d.layer],
                d.chunk,
                geo,
                d.out_rows,
                tuple(inputs),
                outputs,
                outputs[0].storage in alias,
                fit.lags[i],
            )
        )
    top = max((addresses[n] + v.size for n, v in intervals.items()), default=0)
    ends = {views[io.tensor].storage for io in (*state.graph.graph.outputs, *state.graph.graph.inputs)}
    spilled = frozenset(state.stored - ends)
    return Placement(tuple(items), frozenset(state.stored), spilled, top, state.runs)


def own_rows(geo: Geometry, out_rows: Rows, inputs: Sequence[InputPlace]) -> bool:
    """Whether each column finds all rows that it reads in its own memtile."""
    for c, (first, last) in enumerate(out_rows):
        if last <= first:
            continue
        needs = geo.rows_in(first, last - first), geo.residual_rows(first, last - first)
        for (lo, hi), place in zip(needs, inputs, strict=False):
            if lo < place.rows[c][0] or hi > place.rows[c][1]:
                return False
    return True


def _output_place(
    state: State,
    draft: Draft,
    item: int,
    k: int,
    target: View,
    alias: dict[str, str],
    intervals: dict[str, Interval],
    addresses: dict[str, int],
) -> OutputPlace:
    """Where member ``k`` of an item writes."""
    share = state.spread.get(draft.layer, 1)
    blocks, step = spread_blocks(target.blocks, share)
    evicted = target.storage in state.evicted or draft.private
    key = f"out{k}@{item}" if evicted else _root(alias, target.storage)
    return OutputPlace(
        target.storage,
        target.first,
        blocks,
        addresses[key],
        draft.out_rows if evicted else state.owned(target.storage),
        blocks if evicted else state.graph.storages[target.storage].blocks,
        target.storage in state.stored and not draft.private,
        intervals[key].last,
        step if share > 1 else 0,
    )


def shifted(placement: Placement, base: int) -> Placement:
    """Shift all tensor addresses behind the fixed regions of the memtile."""

    def moved(item: WorkItem) -> WorkItem:
        inputs = tuple(replace(p, address=p.address + base) for p in item.inputs)
        outputs = tuple(replace(p, address=p.address + base) for p in item.outputs)
        return replace(item, inputs=inputs, outputs=outputs)

    return replace(placement, items=tuple(moved(i) for i in placement.items))
