"""What the cells of ``wbs_table.py`` are judged by, per layer: error of the estimate, speed-up of sparse layers, and
what the streams of the array allow (``limit``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from tvm_aie.cost.stream import LayerTraffic, layer_traffic
from tvm_aie.device import Device
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import pack_conv
from tvm_aie.memory.partition import Rows
from tvm_aie.memory.placement import WorkItem
from tvm_aie.pipeline import Compiled
from tvm_aie.plan.graph import Concat, Conv, Layer, LayerGraph
from tvm_aie.plan.physical import PhysicalGraph
from tvm_aie.report.model import LayerRow
from tvm_aie.schedule.geometry import CORE_MEMORY, DEFAULT_OVERLAY, Geometry
from tvm_aie.schedule.grid import Floats, Grid, Ints, grids
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.searches import JOIN, item_name, workload

GROUPS_PER_ROW = 4  # fewer groups of 8 output channels in a core row cannot be balanced


LAYER_GAIN = 1.9  # wanted of every compute-bound layer at 50 %
STREAM_SHARE = 0.95  # of the speed-up that the streams allow, wanted of items that also move what they do not compute


@dataclass(frozen=True)
class Gain:
    """Layers that share an item in the dense or in the sparse program: cycles of both (emulated).

    ``moves``: adds and pools that run in the same items. They have no arithmetic of their own: what they read and write
    takes as long at any density. ``streams``: speed-up of all these layers by ``cost.stream`` (estimated).
    """

    names: tuple[str, ...]
    dense: int
    sparse: int
    moves: tuple[str, ...]
    streams: float

    @property
    def speed_up(self) -> float:
        """Dense over sparse."""
        return self.dense / self.sparse

    @property
    def wanted(self) -> float:
        """The least speed-up that is wanted."""
        return min(LAYER_GAIN, STREAM_SHARE * self.streams) if self.moves else LAYER_GAIN


def absorbed(fused: LayerGraph, graph: LayerGraph) -> dict[str, tuple[str, ...]]:
    """By name of a layer that has items: the layers of ``graph`` that run in them, too, and have none of their own."""
    makers = {layer.output: layer for layer in graph.layers}
    own = {layer.name for layer in fused.layers}

    def behind(tensor: str, name: str) -> tuple[str, ...] | None:
        layer = makers.get(tensor)
        if layer is None or layer.name == name or layer.name in own:
            return () if layer and layer.name == name else None
        paths = (behind(n, name) for n in layer.inputs)
        return next(((*path, layer.name) for path in paths if path is not None), None)

    def before(layer: Layer) -> tuple[str, ...]:
        mine = next((other for other in graph.layers if other.name == layer.name), layer)
        found = (makers[n] for n in mine.inputs if n not in layer.inputs and n in makers)
        return tuple(m.name for m in found if m.name not in own and not isinstance(m, Concat))

    return {layer.name: (*before(layer), *(behind(layer.output, layer.name) or ())) for layer in fused.layers}


def estimate_errors(rows: Sequence[LayerRow]) -> dict[str, float]:
    """Estimated over emulated cycles, less 1, by layer."""
    return {row.name: row.estimated_cycles / row.cycles - 1 for row in rows if row.cycles}


def together(names: Iterable[str]) -> list[frozenset[str]]:
    """Layers that any item of ``names`` joins, directly or through others."""
    groups: list[frozenset[str]] = []
    for name in names:
        members = frozenset(name.split(JOIN))
        touched = [g for g in groups if g & members]
        groups = [g for g in groups if not g & members] + [members.union(*touched)]
    return groups


@dataclass(frozen=True)
class Ran:
    """A network as it ran: its layers, what runs in the items of others (``absorbed``), its rows (emulated)."""

    graph: LayerGraph
    absorbed: Mapping[str, tuple[str, ...]]
    rows: Sequence[LayerRow]

    def traffic(self) -> dict[str, LayerTraffic]:
        """Terms of each layer that computes or moves."""
        found = (layer_traffic(layer, self.graph.tensors) for layer in self.graph.layers)
        return {t.name: t for t in found if t is not None}


def gains(dense: Ran, sparse: Ran, device: Device) -> list[Gain]:
    """Speed-up of the layers that computing bounds when sparse and whose core rows have ``GROUPS_PER_ROW`` groups.

    A layer's terms are those of ``cost.stream``. The first convolution is never sparse.
    """
    graph = sparse.graph
    dense_one = next(layer.name for layer in graph.layers if isinstance(layer, Conv))
    traffic, full = sparse.traffic(), dense.traffic()
    blocks = {layer.name: -(-graph.tensors[layer.output].channels // 8) for layer in graph.layers}
    out = []
    for group in together([row.name for row in (*dense.rows, *sparse.rows)]):
        if dense_one in group or not all(n in traffic and _computes(traffic[n], device) for n in group):
            continue
        if sum(blocks[n] for n in group) >= GROUPS_PER_ROW * device.rows:
            names = tuple(layer.name for layer in graph.layers if layer.name in group)
            moves = tuple(dict.fromkeys(m for ran in (dense, sparse) for n in names for m in ran.absorbed.get(n, ())))
            streams = [sum(_stream(t[n], device) for n in (*names, *moves) if n in t) for t in (full, traffic)]
            cycles = _cycles(dense.rows, group), _cycles(sparse.rows, group)
            out.append(Gain(names, *cycles, moves, streams[0] / streams[1]))
    return out


def _cycles(rows: Sequence[LayerRow], group: frozenset[str]) -> int:
    return sum(row.cycles for row in rows if group.intersection(row.name.split(JOIN)))


def _computes(t: LayerTraffic, device: Device) -> bool:
    return t.macs / device.peak_macs_per_cycle > _moved(t, device)


def _stream(t: LayerTraffic, device: Device) -> float:
    return max(t.macs / device.peak_macs_per_cycle, _moved(t, device))


def _moved(t: LayerTraffic, device: Device) -> float:
    """Cycles of the largest of input, weights and output."""
    link = device.cols * 4 * device.stream_words_per_cycle
    return max(t.input_bytes, t.weight_bytes, t.output_bytes) / link


def worst(errors: Mapping[str, float]) -> tuple[str, float]:
    """The layer whose estimate is off most."""
    return max(errors.items(), key=lambda kv: abs(kv[1]))


TERMS = ("compute", "input", "weights", "output", "DDR")
WORD = 4


@dataclass(frozen=True)
class Limit:
    """Least cycles of a layer's items by the streams and the multipliers alone (estimated), and the largest term.

    ``overlaps``: a barrier before, in or behind the layer lags, so what it streams and computes is partly charged to
    its neighbours, or theirs to it: its cycles may then be below this limit.
    """

    cycles: float
    term: str
    overlaps: bool


def limit(compiled: Compiled, names: Iterable[str]) -> Limit:
    """What no split of these layers can beat on this array, one item after the other.

    The flows settle who does what: activations are broadcast down a column, so its cores differ in output channels;
    weights are broadcast along a row, so its cores differ in pixels, by image rows as the memtiles hold them. What is
    left is how a core's share is cut: output channels into passes, the image into bands and width chunks, input
    channels into chunks, the input kept in the core or sent again for each pass. Of every cut whose messages, each held
    once, fit a core together: the largest of the busiest core's multiplications, the bytes of its column's activations,
    rows around a piece and residuals included, the weights of its row, less what the core's ring holds, the outputs of
    its column, each at the stream's rate; the least of these. Where input channels are cut, cores also wait for outputs
    that nothing hides (``_drains``). No fill, no other drain, no imbalance between messages. And what the item loads
    from DDR.
    """
    wanted = frozenset(names)
    pairs = zip(compiled.placement.items, compiled.tilings, strict=True)
    own = [(i, t) for i, t in pairs if wanted & set(item_name(i, compiled.physical).split(JOIN))]
    items = [item for item, _ in own]
    # Weights run ahead: what the core's ring holds comes while the layer before computes.
    ahead = [t.division.w_slot * t.division.w_slots if t.division else CORE_MEMORY for _, t in own]
    parts = [_item_limit(compiled.device, i, compiled.physical, ring) for i, ring in zip(items, ahead, strict=True)]
    total = {term: sum(p[term] for p in parts) for term in TERMS}
    near = {k for i in items for k in (i.index, i.index + 1)}
    overlaps = any(i.lag for i in compiled.placement.items if i.index in near)
    return Limit(sum(max(p.values()) for p in parts), max(TERMS, key=lambda term: total[term]), overlaps)


def _item_limit(device: Device, item: WorkItem, physical: PhysicalGraph, ring: int) -> dict[str, float]:
    """Cycles of each term for the best cut; ``ring``: bytes of weights that a core holds."""
    convs = [layer for m in item.members if isinstance(layer := physical.layers[m], Conv)]
    packed = {c.name: pack_conv(c, physical.views[c.input], physical.views[c.output]) for c in convs}
    work = workload(Array(device, DEFAULT_OVERLAY), item, physical, packed)
    terms = terms_from_keys(device.keys())
    inside = _inside(work.geometry, item.out_rows)
    assert work.live is not None
    found = grids(work.geometry, work.live, work.rows, work.n_rows, terms, work.in_place, work.blocks)
    assert found is not None, "lists bound the image: not on the networks of the table"
    load = max(sum((hi - lo) * p.blocks for p in item.inputs if p.loaded for lo, hi in [p.rows[c]]) for c in
               range(device.cols))  # fmt: skip
    line = max((physical.storages[p.storage].block_bytes for p in item.inputs if p.loaded), default=0)
    ddr = load * line / WORD / device.stream_words_per_cycle
    best: dict[str, float] = {}
    for grid in found:
        cut = _best_cut(grid, inside, ring)
        if cut and (not best or max(cut.values()) < max(best.values())):
            best = cut
    return {**best, "DDR": ddr}


def _inside(geo: Geometry, out_rows: Rows) -> float:
    """Share of the window's rows that lie inside the image, of the column with most, of what the search counts."""
    if geo.pool is not None:
        return 1.0
    rows = max(b - a for a, b in out_rows)
    taps = [
        sum(0 <= y * geo.sy - geo.pad_top + k * geo.dy < geo.h_in for y in range(a, b) for k in range(geo.kh))
        for a, b in out_rows
    ]
    return max(taps) / (rows * geo.kh)


def _drains(grid: Grid, out: Floats, room: Ints) -> Floats:
    """Cycles that the cores wait for their outputs where the input channels are cut.

    The outputs of a pass over a piece come with its last chunk. While they leave the cores compute that chunk, at most
    as long as if all its blocks were live, and then what the output ring takes lets them go on to the next piece.
    ``out``: cycles of these outputs on their link; ``room``: bytes that the output ring can have.
    """
    c, t, geo = grid.candidates, grid.terms, grid.geo
    pixels = np.array(
        [geo.conv_rows(b) * geo.conv_px(w) for b, w in zip(c.band.tolist(), c.width.tolist(), strict=True)]
    )
    chunk = pixels * geo.taps * c.nob * c.ckb * 64 / t.macs_per_cycle
    between = np.maximum(0, out - chunk - room / WORD / t.o_link)
    return np.where((c.n_ck > 1) & (c.single > 0), (c.outputs - 1) * between + np.maximum(0, out - chunk), 0.0)


def _best_cut(grid: Grid, inside: float, ring: int) -> dict[str, float] | None:
    """Terms of the cut whose largest is least; None where none fits. ``inside``, ``ring``: see there."""
    c, t = grid.candidates, grid.terms
    held = np.maximum(c.acc_bytes, c.kept) + c.a_bytes + c.o_bytes + c.w_message + c.header
    left = CORE_MEMORY - DEFAULT_OVERLAY.ops_bytes - DEFAULT_OVERLAY.guard_bytes - held
    sent = (np.where(c.resident > 0, 1, c.outputs * c.n_ck) * c.a_bytes + c.kept) / WORD / t.a_rate
    weights = np.maximum(0, c.weights - ring) / WORD / t.w_rate
    own = c.outputs * np.where(c.single > 0, c.nob, 1) * c.o_bytes / WORD / t.o_rate
    blocks = grid.geo.out_blocks * c.n_x * c.n_b * c.o_block / WORD / t.o_link
    out = np.maximum(own, blocks)
    terms = np.stack([c.compute * inside + _drains(grid, out / c.outputs, left + c.o_bytes), sent, weights, out])
    worst = np.where(left >= 0, terms.max(axis=0), inf)
    if not len(worst) or worst.min() == inf:
        return None
    return dict(zip(TERMS, (float(v) for v in terms[:, int(worst.argmin())]), strict=False))
