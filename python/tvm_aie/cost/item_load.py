"""What one item puts on the machine: its kernel calls in order, and the messages that they wait for and produce.

Derived from the item's opcode stream (docs/program.md section 2), so a new kind of item needs its kernel's cycles here
(``_kernel_cycles``) and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from tvm_aie.emit import opcodes
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import ArrayLayer
from tvm_aie.schedule.geometry import Geometry, KernelId
from tvm_aie.schedule.load import HEADER_BYTES, header_bytes
from tvm_aie.schedule.tiling import Tiling

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
WORD = 4
BLOCK_MACS = 64


@dataclass(frozen=True)
class Rates:
    """Cycles, from the device keys: per A or O slot, per byte of the weight flows, per word of loads and stores.

    ``load_beside``: a load while all weight streams run and share DDR. ``piece``: a further descriptor inside a message. ``o_shared``: the output flows of a column share one link.
    """

    a_slot: float
    w: float
    loadw: float
    o_slot: float
    o_slot_own: float
    o_shared: bool
    load: float
    load_beside: float
    store: float
    load_task: float
    store_task: float
    piece: float
    barrier: float
    opcode: float


def rates_of(array: Array) -> Rates:
    """The rates of a machine with this overlay."""
    keys, ov = array.device.keys(), array.overlay
    core_bd, mt_bd = keys["dma.core_bd_start_cycles"], keys["dma.memtile_bd_start_cycles"]

    def slot(size: int, flow: str) -> float:
        return float(np.ceil(size / WORD / keys[f"flow.{flow}.words_per_cycle"])) + core_bd

    link = keys["link.o_bytes_per_cycle"]
    ddr = keys[f"ddr.bytes_per_cycle_{array.cols}"]
    loadw = 1 / (4 * keys["flow.loadw.words_per_cycle"])
    if ddr:
        loadw = max(loadw, array.rows / ddr)
    own = slot(ov.o_slot, "o")
    return Rates(
        a_slot=slot(ov.a_slot, "a"),
        w=slot(ov.w_slot, "w") / ov.w_slot,
        loadw=loadw,
        o_slot=ov.o_slot / link if link else own,
        o_slot_own=own,
        o_shared=link > 0,
        load=1 / keys["flow.load.words_per_cycle"],
        load_beside=max(1 / keys["flow.load.words_per_cycle"], WORD * (array.rows + array.cols) / ddr if ddr else 0.0),
        store=1 / keys["flow.store.words_per_cycle"],
        load_task=keys["shim.mm2s_task_cycles"],
        store_task=keys["shim.s2mm_task_cycles"],
        piece=max(0.5, mt_bd),
        barrier=1 + 4 * mt_bd,
        opcode=keys["core.opcode_cycles"],
    )


@dataclass(frozen=True)
class Step:
    """One kernel call with the lock operations around it; ``band`` and ``weights``: loop value, message index."""

    band: int
    weights: int
    acquires_a: bool
    acquires_w: bool
    acquires_o: bool
    releases_a: bool
    releases_w: bool
    releases_o: bool
    opcodes: int


@dataclass(frozen=True)
class ItemLoad:
    """Arrays: ``kernel`` (steps, columns, rows), ``a_move`` (steps, columns) in cycles, without filler.

    ``w_bytes`` (rows, messages). ``a_slots``: of each activation message, ``a_counts``: messages per column.
    ``o_slots``: of the largest output message, ``o_sizes`` (messages, columns, rows): slots of each. ``aligned``: ring
    positions are multiples of a message. ``control``: cycles of the commands for its messages, on busy and
    on idle channels.
    """

    steps: tuple[Step, ...]
    kernel: Floats
    a_move: Floats
    w_bytes: Ints
    prologue_words: tuple[int, ...]
    a_slots: int
    a_counts: tuple[int, ...]
    o_slots: int
    o_sizes: Ints
    aligned: bool
    control: tuple[float, float]


@dataclass(frozen=True)
class RingPlan:
    """Messages in a ring that is empty at first. Per message: filler slots before it, and the message whose release it

    needs (-1: none). ``position``: of the ring after the last.
    """

    filler: tuple[int, ...]
    needs: tuple[int, ...]
    position: int


@cache
def ring_plan(position: int, sizes: tuple[int, ...], slots: int) -> RingPlan:
    """Place messages of these sizes (0: no message) from ``position`` on; one that does not fit begins at 0."""
    filler, ends, needs = [], [], []
    end, freed = 0, -1
    for size in sizes:
        skip = slots - position if position + size > slots else 0
        position = (0 if skip else position) + size
        position %= slots
        end += skip + size
        filler.append(skip)
        ends.append(end)
        # Filler counts with the message before it: the core drops it when it asks for the next one.
        while freed + 1 < len(ends) - 1 and (ends[freed] if freed >= 0 else 0) + filler[freed + 1] < end - slots:
            freed += 1
        needs.append(freed)
    return RingPlan(tuple(filler), tuple(needs), position)


def walk(words: Sequence[int]) -> list[Step]:
    """The kernel calls of an opcode stream in order; a weight message that no kernel reads is a step of its own."""
    steps: list[Step] = []
    loops: list[list[int]] = []  # [pc of the body, count, index]
    pc, n_ops, weights = 0, 0, -1
    held = False  # an output message; ACQ_O does nothing then
    got = dict.fromkeys((opcodes.ACQ_A, opcodes.ACQ_W, opcodes.ACQ_O), False)
    gave = {opcodes.REL_A: "releases_a", opcodes.REL_W: "releases_w", opcodes.REL_O: "releases_o"}
    after: dict[str, bool] = {}
    open_step: tuple[int, int, bool, bool, bool] | None = None

    def close() -> None:
        nonlocal open_step, n_ops
        if open_step is not None:
            b, w, a, ww, o = open_step
            steps.append(
                Step(b, w, a, ww, o, *(after.get(k, False) for k in gave.values()), n_ops),
            )
            after.clear()
            open_step, n_ops = None, 0

    while True:
        op = words[pc]
        n_ops += 1
        if op == opcodes.END:
            break
        if op == opcodes.LOOP:
            loops.append([pc + 2, words[pc + 1], 0])
            pc += 2
        elif op == opcodes.NEXT:
            loops[-1][2] += 1
            if loops[-1][2] < loops[-1][1]:
                pc = loops[-1][0]
            else:
                loops.pop()
                pc += 1
        elif op in got:
            if op == opcodes.ACQ_W:
                weights += 1
            close()
            got[op] = op != opcodes.ACQ_O or not held
            held = held or op == opcodes.ACQ_O
            pc += 2 if op == opcodes.ACQ_A else 1
        elif op in gave:
            if open_step is None:
                open_step = (0, weights, *got.values())
                got = dict.fromkeys(got, False)
            after[gave[op]] = True
            held = held and op != opcodes.REL_O
            pc += 2 if op == opcodes.REL_A else 1
        elif op == opcodes.KERNEL:
            close()
            params = words[pc + 3 : pc + 3 + words[pc + 2]]
            level = params[14] if len(params) > 14 else -1
            open_step = (loops[level][2] if level >= 0 else 0, weights, *got.values())
            got = dict.fromkeys(got, False)
            pc += 3 + words[pc + 2]
        else:  # SKIP_O
            pc += 2
    close()
    return steps


def item_load(
    array: Array,
    rates: Rates,
    item: WorkItem,
    layer: ArrayLayer,
    tiling: Tiling,
    packed: PackedConv | None,
    control: tuple[float, float] = (0.0, 0.0),
) -> ItemLoad:
    """The load of one item; ``packed``: Gamma and biases of a convolution; ``control``: see ``ItemLoad``."""
    columns = range(array.cols)
    words = [opcodes.item_opcodes(item, layer, tiling, c) for c in columns]
    kinds: dict[tuple[object, ...], list[Step]] = {}
    walks = []
    for c in columns:
        key = (tiling.bands[c][1], item.out_rows[c][1] > item.out_rows[c][0])
        if key not in kinds:
            kinds[key] = walk(words[c])
        walks.append(kinds[key])
    steps, index = _aligned(walks)
    counts, blocks = _weight_counts(item.geometry, tiling, packed, array.rows)
    stages = len(packed.bias) if packed is not None else 1
    taps = 1 if packed is None else item.geometry.taps
    sizes = np.array(
        [
            [_message_bytes(int(b), int(n), stages, taps, array.overlay.w_slot) for b, n in zip(bs, ns, strict=True)]
            for bs, ns in zip(blocks, counts, strict=True)
        ],
        np.int64,
    )
    shape = (len(steps), array.cols, array.rows)
    kernel, o_slots, a_move = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(shape[:2])
    most = int(blocks.max(initial=0))
    sizes_o = np.array([tiling.o_slots_of(b, array.overlay.o_slot) for b in range(most + 1)], np.int64)
    pieces = _pieces(array, item, tiling)
    for c in columns:
        mine = index[c] >= 0
        if item.out_rows[c][1] <= item.out_rows[c][0]:
            continue
        at = [walks[c][k] for k in index[c][mine]]
        w = np.array([s.weights for s in at], np.int64)
        bands = np.array([s.band for s in at], np.int64)
        kernel[mine, c] = _kernel_cycles(array, item, tiling, c, bands, counts[:, w].T, blocks[:, w].T, packed)
        kernel[mine, c] += np.array([s.opcodes for s in at])[:, None] * rates.opcode
        o_slots[mine, c] = sizes_o[blocks[:, w].T]
        a_move[mine, c] = tiling.a_slots * rates.a_slot + (pieces[c] - 1) * rates.piece
    heights = [b - a for a, b in item.out_rows]
    sends = np.array([s.releases_o for s in steps], np.bool_)
    return ItemLoad(
        tuple(steps),
        kernel,
        a_move,
        sizes,
        tuple(opcodes.HEADER_WORDS + len(w) for w in words),
        tiling.a_slots,
        tuple(sum(1 for s in walks[c] if s.acquires_a) if heights[c] > 0 else 0 for c in columns),
        tiling.o_slots,
        o_slots[sends],
        tiling.aligned,
        control,
    )


def _aligned(walks: Sequence[Sequence[Step]]) -> tuple[list[Step], list[Ints]]:
    """One common step list for all columns and, per column, which of its own steps runs there (-1: none).

    Columns agree on the weight messages; between two of them a column with fewer bands idles at the end.
    """
    sections = []
    for steps in walks:
        starts = [i for i, s in enumerate(steps) if s.acquires_w]
        if not starts or starts[0] != 0:
            starts = [0, *starts]
        sections.append([range(a, b) for a, b in zip(starts, [*starts[1:], len(steps)], strict=True)])
    common: list[Step] = []
    index: list[list[int]] = [[] for _ in walks]
    for parts in zip(*sections, strict=True):
        longest = max(range(len(walks)), key=lambda c: (len(parts[c]), any(s.acquires_a for s in walks[c])))
        common += [walks[longest][i] for i in parts[longest]]
        for c, part in enumerate(parts):
            index[c] += [*part, *([-1] * (len(parts[longest]) - len(part)))]
    return common, [np.array(i, np.int64) for i in index]


def _weight_counts(geo: Geometry, tiling: Tiling, packed: PackedConv | None, n_rows: int) -> tuple[Ints, Ints]:
    """(live block pairs, output blocks) of every weight message, arrays (rows, messages) in stream order."""
    if packed is None:
        blocks = np.array([[last - first] for first, last in tiling.block_rows], np.int64)
        return np.zeros_like(blocks), blocks
    prefix = np.zeros((packed.live.shape[0] + 1, packed.live.shape[1] + 1), np.int64)
    prefix[1:, 1:] = packed.live.cumsum(0).cumsum(1)
    cols = np.minimum(np.arange(tiling.n_ck + 1) * tiling.ckb, packed.live.shape[1])
    passes = np.arange(tiling.n_pass + 1) * tiling.nob
    steps = tiling.n_x * max(n for _, n in tiling.bands) if tiling.weights_per_band else 1
    counts, blocks = [], []
    for first, last in tiling.block_rows:
        edges = np.minimum(first + passes, last)
        pairs = np.diff(np.diff(prefix[np.ix_(edges, cols)], axis=0), axis=1)  # (passes, chunks)
        counts.append(np.repeat(pairs[:, None, :], steps, axis=1).reshape(-1))
        blocks.append(np.repeat(np.diff(edges), steps * tiling.n_ck))
    return np.array(counts, np.int64), np.array(blocks, np.int64)


def _message_bytes(blocks: int, pairs: int, stages: int, taps: int, slot: int) -> int:
    """Bytes of a weight message, whole slots (``emit.weights.message``)."""
    header = header_bytes(blocks, pairs, stages) if blocks and pairs + stages > 0 else HEADER_BYTES
    return -(-(header + pairs * taps * 64) // slot) * slot


def _pieces(array: Array, item: WorkItem, tiling: Tiling) -> list[float]:
    """Descriptors per activation message and column, on average: own rows, the neighbours', fillers."""
    geo = item.geometry
    out = []
    for c, (first, last) in enumerate(item.out_rows):
        band, n_b = tiling.bands[c]
        total = 0
        for b in range(max(n_b, 1)):
            y = first + min(b * band, max(0, last - first - band))
            lo, hi = geo.rows_in(y, max(band, 1))
            for place in item.inputs if not geo.residual else item.inputs[:1]:
                owners = [(a, z) for a, z in place.rows if lo * geo.row_step < z and a <= (hi - 1) * geo.row_step]
                total += max(1, len(owners) if place.resident else 1)
            total += geo.residual
        out.append(total / max(n_b, 1) + 0.5)
    return out


def _kernel_cycles(
    array: Array,
    item: WorkItem,
    tiling: Tiling,
    column: int,
    bands: Ints,
    pairs: Ints,
    blocks: Ints,
    packed: PackedConv | None,
) -> Floats:
    """Cycles of the calls with these band indices; ``pairs``, ``blocks``: (calls, rows) of their weight messages."""
    geo, device = item.geometry, array.device
    first, last = item.out_rows[column]
    band = tiling.bands[column][0]
    y = first + np.minimum(bands * band, last - first - band)
    taps = _taps_of_bands(geo, y, band)[:, None]  # rows x taps inside the image
    if geo.kernel == KernelId.CONV:
        if device.core_ideal:
            return np.ceil(pairs * (taps * (geo.kw * geo.conv_px(tiling.width) * BLOCK_MACS)) / device.macs_per_cycle)
        return _conv_cycles(array, geo, tiling, band, taps, pairs, blocks)
    if device.core_ideal:
        return np.zeros(pairs.shape)
    return _channelwise(array, geo, band, taps, blocks)


def _taps_of_bands(geo: Geometry, y: Ints, band: int) -> Ints:
    """Sum over the rows that the window computes for each band of the window rows that lie inside the image."""
    if geo.pool_before:
        return np.full(y.shape, band * geo.kh, np.int64)
    height = geo.pool_after.h if geo.pool_after else geo.h_out
    at = np.arange(height + band)[:, None] * geo.sy - geo.pad_top + np.arange(geo.kh)[None, :] * geo.dy
    prefix = np.concatenate([[0], np.cumsum(((at >= 0) & (at < geo.h_in)).sum(axis=1))])
    if geo.pool_after:
        lo, hi = np.array([geo.pool_after.rows_in(int(v), band) for v in y]).T
        return np.asarray(prefix[hi] - prefix[lo], np.int64)
    return np.asarray(prefix[y + band] - prefix[y], np.int64)


def _conv_cycles(
    array: Array, geo: Geometry, tiling: Tiling, band: int, taps: Ints, pairs: Ints, blocks: Ints
) -> Floats:
    """The convolution kernel's formula (docs/device-keys.md); border bands by the mean number of their taps."""
    keys = array.device.keys()
    per_row = -(-geo.conv_px(tiling.width) // 4)
    rows = geo.conv_rows(band)
    full, rest = divmod(rows * per_row, 8)
    chunks = full + (rest > 0)
    ii, least = keys["kernel.conv.ii_per_acc"], keys["kernel.conv.ii_min"]
    trip = full * max(least, 8 * ii) + (max(least, rest * ii) if rest else 0)
    cycles = blocks * (chunks * keys["kernel.conv.a"])
    cycles = cycles + pairs * (taps * (geo.kw / rows) * trip + chunks * keys["kernel.conv.gamma"])
    if geo.residual:
        lines = blocks * band
        cycles = cycles + lines * (keys["kernel.add.a"] + 2 * per_row * keys["kernel.add.ii"])
    if geo.pool is not None:
        name = "avgpool" if geo.pool.average else "maxpool"
        vectors = -(-tiling.width // 4) * geo.pool.kh * geo.pool.kw
        each = keys[f"kernel.{name}.a"] + vectors * keys[f"kernel.{name}.ii"]
        cycles = cycles + (tiling.ckb if geo.pool.before else blocks) * band * each
    return np.asarray(np.where(blocks > 0, np.ceil(cycles + keys["kernel.conv.call"]), 0.0), np.float64)


def _channelwise(array: Array, geo: Geometry, band: int, taps: Ints, blocks: Ints) -> Floats:
    """The channel-wise kernels' formula: lines and vectors of 32 lanes, times the taps that a vector reads."""
    keys = array.device.keys()
    name = {KernelId.ADD: "add", KernelId.MAXPOOL: "maxpool", KernelId.AVGPOOL: "avgpool"}.get(geo.kernel, "upsample")
    vectors = -(-geo.w_out // 4)
    per_line = vectors * (geo.kw * taps / band if geo.kernel in (KernelId.MAXPOOL, KernelId.AVGPOOL) else geo.n_inputs)
    a, ii = keys[f"kernel.{name}.a"], keys[f"kernel.{name}.ii"]
    return np.asarray(np.ceil(keys[f"kernel.{name}.call"] + blocks * band * (a + per_line * ii)), np.float64)
