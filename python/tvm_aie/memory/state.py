"""What the placement search decides (``memory.placement``), and the items that follow, before they have addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import groupby

from tvm_aie.memory.depth_first import Run, chunk_rows
from tvm_aie.memory.partition import EVEN, Rows, Splits, lent, split_rows
from tvm_aie.plan.graph import Upsample
from tvm_aie.plan.physical import PhysicalGraph, View
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.geometry import Geometry


@dataclass
class State:
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
    cut: set[str] = field(default_factory=set)  # storages between two runs
    core_rows: int = 1
    lags: bool = False  # barriers may lag (``memory.lag``)
    finer: int = 0  # rows of cores, to weigh more chunks than memory asks for (``memory.pace``); 0: there are none
    ordered: bool = False  # chunks of a layer are in the order in which their rows have been stored (``stored_first``)

    lends: frozenset[str] = frozenset()  # storages of which the last column writes its rows next door, if not to DDR
    prompt: set[int] = field(default_factory=set)  # layers whose loads start with the item, for want of room
    # Found once, whatever is decided: rows that are read, by layer, operand and rows that are written; chunks of a
    # layer, by its rows, their number and unit.
    known_reads: dict[tuple[int, int, Rows], Rows] = field(default_factory=dict)
    known_chunks: dict[tuple[int, Rows, int, int], list[Draft]] = field(default_factory=dict)

    def targets(self, leader: int) -> list[View]:
        """Where the members of a group write."""
        return self._targets[leader]

    @cached_property
    def _targets(self) -> dict[int, list[View]]:
        views, layers = self.graph.views, self.graph.layers
        return {leader: [views[layers[m].output] for m in members] for leader, members in self.groups.items()}

    def partition(self, storage: str) -> Rows:
        """Rows of a storage that each column computes."""
        return self._partitions[storage]

    @cached_property
    def _partitions(self) -> dict[str, Rows]:
        """Of all storages; the splits do not change."""
        out = {}
        for name, storage in self.graph.storages.items():
            split = self.splits.get(storage.height, EVEN)
            out[name] = split_rows(storage.height, self.columns, self.units.get(name, 1), split)
        return out

    def owned(self, storage: str) -> Rows:
        """Rows of a storage in each column's memtile."""
        rows = self.partition(storage)
        return lent(rows) if storage in self.lends and storage not in self.stored else rows


def reads(state: State, layer: int, operand: int, rows: Rows) -> Rows:
    """Storage rows that each column needs of an operand for its output rows."""
    key = layer, operand, rows
    if key not in state.known_reads:
        state.known_reads[key] = _reads(state.geometries[layer], operand, rows)
    return state.known_reads[key]


@cache
def _reads(geo: Geometry, operand: int, rows: Rows) -> Rows:
    if operand == 1 and geo.residual:
        return tuple(geo.residual_rows(a, b - a) if b > a else (0, 0) for a, b in rows)
    out = []
    for first, last in rows:
        if last <= first:
            out.append((0, 0))
            continue
        lo, hi = geo.rows_in(first, last - first)
        out.append((lo * geo.row_step, (hi - 1) * geo.row_step + 1))
    return tuple(out)


@dataclass(frozen=True)
class Draft:
    """An item before addresses are known."""

    layer: int
    chunk: int
    out_rows: Rows
    reads_private: bool = False  # its input is the private output of the draft before
    private: bool = False


def _run_drafts(state: State, run: Run) -> list[Draft]:
    out = []
    for k, rows in enumerate(chunk_rows(run, owned_rows(state, run), lambda layer, rows: reads(state, layer, 0, rows))):
        if any(b > a for a, b in rows[-1]):
            last = len(rows) - 1
            out += [Draft(m, k, rows[i], i > 0, i < last) for i, m in enumerate(run.layers)]
    return out


@cache
def _chunks(owned: Rows, count: int, unit: int) -> tuple[tuple[int, Rows], ...]:
    """Number and rows of the chunks that have any, in multiples of ``unit``, of so many."""
    columns = [split_even((last - first) // unit, count) for first, last in owned]
    shares = [
        tuple((first + a * unit, first + b * unit) for (first, _), (a, b) in zip(owned, chunk, strict=True))
        for chunk in zip(*columns, strict=True)
    ]
    return tuple((k, rows) for k, rows in enumerate(shares) if any(b > a for a, b in rows))


def drafts_of(state: State) -> list[Draft]:
    """All items in order: layers, chunks of layers, runs chunk by chunk."""
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
        if share := state.spread.get(layer):
            owned = tuple((0, 1) if c < share else (0, 0) for c in range(state.columns))
        unit = op.factors[0] if isinstance(op, Upsample) else 1
        key = layer, owned, state.chunks[layer], unit
        if key not in state.known_chunks:
            state.known_chunks[key] = [Draft(layer, chunk, rows) for chunk, rows in _chunks(*key[1:])]
        out += state.known_chunks[key]
    return stored_first(state, out) if state.ordered else out


def stored_first(state: State, drafts: list[Draft]) -> list[Draft]:
    """Chunks of a layer that read a tensor from DDR in the order in which the last of their rows is stored.

    Every column works on a part of its own rows, so the first chunk of a column needs a row of the last chunk of the
    column above it. If it came first, it would wait until that is computed, stored and loaded again, and the cores with
    it; a chunk from the middle has all of its rows earlier, and its load hides behind the last chunks of the producer.
    """
    writers: dict[str, list[tuple[int, Draft]]] = {}
    out: list[Draft] = []
    for _, group in groupby(drafts, key=lambda d: d.layer):
        chunks = list(group)
        op = state.graph.layers[chunks[0].layer]
        sources = [(k, state.graph.views[n].storage) for k, n in enumerate(op.inputs)]
        if len(chunks) > 1 and all(not d.private and not d.reads_private for d in chunks):
            from_ddr = [(k, name) for k, name in sources if name in state.evicted]

            def newest(d: Draft, from_ddr: list[tuple[int, str]] = from_ddr) -> int:
                needed = [(name, reads(state, d.layer, k, d.out_rows)) for k, name in from_ddr]
                at = [i for name, rows in needed for i, w in writers.get(name, ()) if touch(rows, w)]
                return max(at, default=-1)

            chunks.sort(key=newest)
        for d in chunks:
            for target in () if d.private else state.targets(d.layer):
                writers.setdefault(target.storage, []).append((len(out), d))
            out.append(d)
    return out


def touch(rows: Rows, draft: Draft) -> bool:
    """Whether an item writes any of these rows."""
    return any(a < z and x < b for a, b in rows for x, z in draft.out_rows)


@dataclass(frozen=True)
class Failure:
    """Allocation failed at ``item``: what was live, and what that item touches."""

    item: int
    layer: int
    live: tuple[str, ...]
    touched: frozenset[str]
    demand: int


def owned_rows(state: State, run: Run) -> Rows:
    """Rows of the last layer of a run."""
    return state.partition(state.targets(run.layers[-1])[0].storage)
