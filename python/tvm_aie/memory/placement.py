"""Where every tensor lives over time: memtile (row-sharded over the columns), DDR, or both.

Starts with everything resident. When the memtiles overflow, one tensor at a time moves to DDR (those that the
overflowing item does not touch first), and when an item's own operands do not fit, the item is cut into row chunks
that are loaded, computed and stored one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tvm_aie.errors import InfeasibleError
from tvm_aie.memory.allocator import DoesNotFit, Interval, allocate
from tvm_aie.memory.depth_first import MAX_CHUNKS, WORD, Run, chunk_rows, extend, recomputed, row_cycles
from tvm_aie.memory.partition import EVEN, Relation, Rows, Splits, choose_splits, near, split_rows
from tvm_aie.plan.graph import Add, Conv, Pool, Upsample
from tvm_aie.plan.physical import PhysicalGraph, View
from tvm_aie.plan.siblings import Groups, single_groups
from tvm_aie.schedule.geometry import Geometry, geometry_of
from tvm_aie.schedule.tiling import split_even


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

    ``outputs``: one for each member; the geometry's output blocks are theirs, one after the other.
    """

    index: int
    members: tuple[int, ...]
    chunk: int
    geometry: Geometry
    out_rows: Rows
    inputs: tuple[InputPlace, ...]
    outputs: tuple[OutputPlace, ...]
    in_place: bool

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


@dataclass
class _State:
    """What the search decides: storages in DDR only, storages also written to DDR, chunks per layer."""

    graph: PhysicalGraph
    groups: dict[int, tuple[int, ...]]  # first member -> all members
    geometries: list[Geometry]
    columns: int
    evicted: set[str]
    stored: set[str]
    chunks: list[int]
    units: dict[str, int]  # rows of these storages are split in multiples (upsampling)
    splits: Splits = field(default_factory=dict)
    spread: dict[int, int] = field(default_factory=dict)  # layers whose channels are split over so many columns
    runs: tuple[Run, ...] = ()
    layerwise: set[int] = field(default_factory=set)  # layers whose run did not fit
    core_rows: int = 1

    def targets(self, leader: int) -> list[View]:
        """Where the members of a group write."""
        return [self.graph.views[self.graph.layers[m].output] for m in self.groups[leader]]

    def partition(self, storage: str) -> Rows:
        height = self.graph.storages[storage].height
        return split_rows(height, self.columns, self.units.get(storage, 1), self.splits.get(height, EVEN))


def plan_memory(
    graph: PhysicalGraph,
    columns: int,
    capacity: int,
    groups: Groups | None = None,
    push_cycles: float | None = 0.0,
    packed: bool = True,
    core_rows: int | None = None,
) -> Placement:
    """Decide residency, chunks and addresses. ``capacity``: bytes of each memtile for tensors.

    ``groups``: sibling convolutions that share an item (default: none). ``push_cycles``: of a task on an idle channel;
    None: no pool is spread over the columns. ``packed``: rows may be split unevenly (``memory.partition``).
    ``core_rows``: rows of cores, to weigh depth-first runs (``memory.depth_first``); None: there are none.
    Raises ``InfeasibleError`` when one row of an item does not fit.
    """
    geometries = [geometry_of(layer, graph) for layer in graph.layers]
    views = graph.views
    inputs = {views[io.tensor].storage for io in graph.graph.inputs}
    outputs = {views[io.tensor].storage for io in graph.graph.outputs}
    units = {views[layer.output].storage: layer.factors[0] for layer in graph.layers if isinstance(layer, Upsample)}
    chunks = [1] * len(graph.layers)
    leaders = {group[0]: group for group in groups or single_groups(graph)}
    state = _State(graph, leaders, geometries, columns, set(inputs), inputs | outputs, chunks, units)
    state.core_rows = core_rows or 0
    if packed:
        state.splits = choose_splits(_relations(state), columns)
    if push_cycles is not None:
        _spread_channels(state, push_cycles)
    _require_ddr_where_far(state)
    while True:
        attempt = _attempt(state, capacity)
        if isinstance(attempt, Placement):
            return attempt
        _make_room(state, attempt, capacity)


def _reads(state: _State, layer: int, operand: int, rows: Rows) -> Rows:
    """Storage rows that each column needs of an operand for its output rows."""
    geo = state.geometries[layer]
    if operand == 1 and geo.residual:
        return tuple(r if r[1] > r[0] else (0, 0) for r in rows)
    out = []
    for first, last in rows:
        if last <= first:
            out.append((0, 0))
            continue
        lo, hi = geo.rows_in(first, last - first)
        out.append((lo * geo.row_step, (hi - 1) * geo.row_step + 1))
    return tuple(out)


def _relations(state: _State) -> list[Relation]:
    """Which image heights are read for which, layers of one geometry together."""
    merged: dict[tuple[Geometry, bool, int, int], Relation] = {}
    for index, layer in enumerate(state.graph.layers):
        target = state.graph.views[layer.output].storage
        for operand, name in enumerate(layer.inputs):
            storage = state.graph.storages[state.graph.views[name].storage]
            units = state.units.get(storage.name, 1), state.units.get(target, 1)
            geo = replace(state.geometries[index], in_blocks=1, out_blocks=1)
            key = (geo, operand == 1, *units)
            old = merged.get(key)

            def reads(rows: Rows, layer: int = index, operand: int = operand) -> Rows:
                return _reads(state, layer, operand, rows)

            height = state.graph.storages[target].height
            total = storage.bytes + (old.bytes if old else 0)
            merged[key] = Relation(storage.height, units[0], height, units[1], reads, total)
    return list(merged.values())


# Tasks on idle channels that a column adds to a spread pool: load and store, each on shim and memtile, and the input.
SPREAD_TASKS = 5


def _spread_channels(state: _State, push_cycles: float) -> None:
    """Pools to one row (global pools) that read from far: each column takes a share of the channels instead.

    Before: one column loads and pools the whole image. After: as many columns as divide the channel blocks evenly, each
    with its blocks of all rows. The result is in DDR only: its row is in pieces. The number of columns weighs their
    commands against the bytes that each loads and streams to its cores at a word per cycle.
    """
    for index, name in _far_reads(state):
        layer = state.graph.layers[index]
        target = state.graph.views[layer.output]
        view = state.graph.views[name]
        words = state.graph.storages[view.storage].bytes / state.graph.storages[view.storage].blocks * view.blocks / 4
        divisors = [k for k in range(1, state.columns + 1) if view.blocks % k == 0]
        share = min(divisors, key=lambda k: 2 * words / k + SPREAD_TASKS * k * push_cycles)
        if isinstance(layer, Pool) and state.graph.storages[target.storage].height == 1 and share > 1:
            state.spread[index] = share
            state.evicted.add(target.storage)
            state.stored.add(target.storage)


def _far_reads(state: _State) -> list[tuple[int, str]]:
    """(layer, tensor) of operands whose rows some column needs from beyond its neighbour."""
    far = []
    for index, layer in enumerate(state.graph.layers):
        out = state.partition(state.graph.views[layer.output].storage)
        for operand, name in enumerate(layer.inputs):
            owned = state.partition(state.graph.views[name].storage)
            if not near(_reads(state, index, operand, out), owned):
                far.append((index, name))
    return far


def _require_ddr_where_far(state: _State) -> None:
    """A storage whose rows some consumer needs from beyond the neighbour column also gets a home in DDR."""
    state.stored.update(state.graph.views[name].storage for _, name in _far_reads(state))


@dataclass(frozen=True)
class _Draft:
    """An item before addresses are known."""

    layer: int
    chunk: int
    out_rows: Rows
    reads_private: bool = False  # its input is the private output of the draft before
    private: bool = False


def _run_drafts(state: _State, run: Run) -> list[_Draft]:
    owned = state.partition(state.targets(run.layers[-1])[0].storage)
    out = []
    for k, rows in enumerate(chunk_rows(run, owned, lambda layer, rows: _reads(state, layer, 0, rows))):
        if any(b > a for a, b in rows[-1]):
            last = len(rows) - 1
            out += [_Draft(m, k, rows[i], i > 0, i < last) for i, m in enumerate(run.layers)]
    return out


def _drafts(state: _State) -> list[_Draft]:
    out = []
    runs = {run.layers[0]: run for run in state.runs}
    inside = {m for run in state.runs for m in run.layers}
    for layer in state.groups:
        if layer in runs:
            out += _run_drafts(state, runs[layer])
        if layer in inside:
            continue
        op = state.graph.layers[layer]
        storage = state.graph.views[op.output].storage
        owned = state.partition(storage)
        n = state.chunks[layer]
        if share := state.spread.get(layer):
            owned = tuple((0, 1) if c < share else (0, 0) for c in range(state.columns))
        unit = state.units.get(storage, 1) if isinstance(op, Upsample) else 1
        for chunk in range(n):
            rows = []
            for first, last in owned:
                a, b = split_even((last - first) // unit, n)[chunk]
                rows.append((first + a * unit, first + b * unit))
            if any(b > a for a, b in rows):
                out.append(_Draft(layer, chunk, tuple(rows)))
    return out


@dataclass(frozen=True)
class _Failure:
    """Allocation failed at ``item``: what was live, and what that item touches."""

    item: int
    layer: int
    live: tuple[str, ...]
    touched: frozenset[str]
    demand: int


def _attempt(state: _State, capacity: int) -> Placement | _Failure:
    drafts = _drafts(state)
    views = state.graph.views
    written: dict[str, int] = {}
    last_write: dict[str, int] = {}
    last_read: dict[str, int] = {}
    loaded: dict[tuple[int, int], Rows] = {}
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        for target in () if d.private else state.targets(d.layer):
            written.setdefault(target.storage, i)
            last_write[target.storage] = i
        if d.reads_private:
            continue
        for operand, name in enumerate(op.inputs):
            storage = views[name].storage
            needed = _reads(state, d.layer, operand, d.out_rows)
            far = d.layer in state.spread or not near(needed, state.partition(storage))
            if storage in state.evicted or far:
                loaded[(i, operand)] = needed
            else:
                last_read[storage] = i
    alias = _in_place(state, drafts, written, last_read, loaded)
    intervals = _intervals(state, drafts, written, last_write, last_read, loaded, alias)
    addresses = allocate(list(intervals.values()), capacity)
    if isinstance(addresses, DoesNotFit):
        t = addresses.item
        layer = drafts[min(t, len(drafts) - 1)].layer
        inputs = (views[n].storage for n in state.graph.layers[layer].inputs)
        touched = frozenset([*inputs, *(v.storage for v in state.targets(layer))])
        live = tuple(n for n, v in intervals.items() if v.first <= t <= v.last)
        return _Failure(t, layer, live, touched, addresses.demand)
    return _finish(state, drafts, loaded, alias, intervals, addresses)


def _in_place(
    state: _State,
    drafts: Sequence[_Draft],
    written: dict[str, int],
    last_read: dict[str, int],
    loaded: dict[tuple[int, int], Rows],
) -> dict[str, str]:
    """Output storage -> input storage whose memory it takes over (residual adds)."""
    alias: dict[str, str] = {}
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        fused = isinstance(op, Conv) and op.tail is not None and op.tail.residual is not None
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
            same = state.partition(view.storage) == state.partition(target)
            if whole and free and home and same and view.storage not in alias.values():
                alias[target] = view.storage
                break
    return alias


def _root(alias: dict[str, str], name: str) -> str:
    while name in alias:
        name = alias[name]
    return name


def _intervals(
    state: _State,
    drafts: Sequence[_Draft],
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
        size = max(b - a for a, b in state.partition(storage)) * state.graph.storages[storage].row_bytes
        root = _root(alias, storage)
        old = out.get(root)
        out[root] = Interval(root, min(first, old.first) if old else first, max(last, old.last) if old else last, size)
    for i, d in enumerate(drafts):
        op = state.graph.layers[d.layer]
        for k, target in enumerate(state.targets(d.layer)):
            if target.storage in state.evicted or d.private:
                blocks = target.blocks // state.spread.get(d.layer, 1)
                size = max(b - a for a, b in d.out_rows) * blocks * state.graph.storages[target.storage].width * 8
                out[f"out{k}@{i}"] = Interval(f"out{k}@{i}", i, i + 1, size)
        for operand, name in enumerate(op.inputs):
            if (i, operand) in loaded:
                view = state.graph.views[name]
                width = state.graph.storages[view.storage].width
                blocks = view.blocks // state.spread.get(d.layer, 1)
                size = max(b - a for a, b in loaded[(i, operand)]) * blocks * width * 8
                at = _load_at(state, i, view.storage, last_write)
                out[f"in{operand}@{i}"] = Interval(f"in{operand}@{i}", at, i, size)
    return out


def _load_at(state: _State, item: int, storage: str, last_write: dict[str, int]) -> int:
    """Item at which a load may start: one ahead, unless the data is still being stored then."""
    if item == 0 or last_write.get(storage, -2) >= item - 1:
        return item
    return item - 1


def _finish(
    state: _State,
    drafts: Sequence[_Draft],
    loaded: dict[tuple[int, int], Rows],
    alias: dict[str, str],
    intervals: dict[str, Interval],
    addresses: dict[str, int],
) -> Placement:
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
                blocks = view.blocks // share
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
                        blocks if share > 1 else 0,
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
                        state.partition(view.storage),
                        storages[view.storage].blocks,
                    )
                )
        outputs = tuple(
            _output_place(state, d, i, k, target, alias, intervals, addresses)
            for k, target in enumerate(state.targets(d.layer))
        )
        geo = state.geometries[d.layer]
        geo = replace(geo, in_blocks=geo.in_blocks // share, out_blocks=sum(o.blocks for o in outputs))
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
            )
        )
    top = max((addresses[n] + v.size for n, v in intervals.items()), default=0)
    ends = {views[io.tensor].storage for io in (*state.graph.graph.outputs, *state.graph.graph.inputs)}
    spilled = frozenset(state.stored - ends)
    return Placement(tuple(items), frozenset(state.stored), spilled, top)


def _output_place(
    state: _State,
    draft: _Draft,
    item: int,
    k: int,
    target: View,
    alias: dict[str, str],
    intervals: dict[str, Interval],
    addresses: dict[str, int],
) -> OutputPlace:
    """Where member ``k`` of an item writes."""
    share = state.spread.get(draft.layer, 1)
    evicted = target.storage in state.evicted or draft.private
    key = f"out{k}@{item}" if evicted else _root(alias, target.storage)
    return OutputPlace(
        target.storage,
        target.first,
        target.blocks // share,
        addresses[key],
        draft.out_rows if evicted else state.partition(target.storage),
        target.blocks // share if evicted else state.graph.storages[target.storage].blocks,
        target.storage in state.stored and not draft.private,
        intervals[key].last,
        target.blocks // share if share > 1 else 0,
    )


def _make_room(state: _State, failure: _Failure, capacity: int) -> None:
    """One step towards fitting: evict what the item does not touch, then its operands, then cut the item."""
    sizes = {n: s.bytes for n, s in state.graph.storages.items()}
    homes = [n for n in failure.live if n in state.graph.storages and n not in state.evicted]
    idle = [n for n in homes if n not in failure.touched]
    candidates = idle or homes
    if candidates:
        victim = max(candidates, key=lambda n: (sizes[n], n))
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
            layer = _drafts(state)[int(name.split("@")[1])].layer
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


def _run_through(state: _State, storage: str) -> bool:
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
    if not _run_pays(state, runs[-1]):
        return False
    state.runs = runs
    state.evicted.discard(storage)
    state.stored.discard(storage)
    return True


def _shorten_run(state: _State, layer: int) -> bool:
    """Cut the run that holds ``layer`` into twice as many chunks, while that is cheaper than DDR."""
    for run in state.runs:
        longer = Run(run.layers, run.chunks * 2)
        if layer in run.layers and longer.chunks <= MAX_CHUNKS and _run_pays(state, longer):
            state.runs = tuple(longer if r is run else r for r in state.runs)
            return True
    return False


def _give_up_run(state: _State, failure: _Failure) -> bool:
    """The buffers of a run are too large even alone: more chunks while there are rows, else no run."""
    drafts = _drafts(state)
    around = {failure.layer} | {drafts[int(n.split("@")[1])].layer for n in failure.live if "@" in n}
    for run in state.runs:
        if around & set(run.layers):
            owned = state.partition(state.targets(run.layers[-1])[0].storage)
            longer = Run(run.layers, run.chunks * 2)
            rest = tuple(r for r in state.runs if r is not run)
            if max(b - a for a, b in owned) >= longer.chunks:
                state.runs = (*rest, longer)
            else:
                state.runs = rest
                state.layerwise |= set(run.layers)
            return True
    return False


def _run_pays(state: _State, run: Run) -> bool:
    """Rows computed again cost less than storing and loading what lies between the layers, a word per cycle each."""
    owned = state.partition(state.targets(run.layers[-1])[0].storage)

    def reads(layer: int, rows: Rows) -> Rows:
        return _reads(state, layer, 0, rows)

    again = recomputed(run, owned, reads, lambda m: row_cycles(state.geometries[m], state.core_rows))
    between = [state.graph.storages[state.targets(m)[0].storage].bytes for m in run.layers[:-1]]
    return max(b - a for a, b in owned) >= run.chunks and again < 2 * sum(between) / state.columns / WORD
