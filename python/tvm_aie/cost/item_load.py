"""What one item puts on the machine: its kernel calls in order, and the messages that they wait for and produce.

Derived from the item's opcode stream (docs/program.md section 2), so a new kind of item needs its kernel's cycles here
(``kernel_cycles``) and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from tvm_aie.cost.conv_calls import conv_calls, pool_stage, taken_rows
from tvm_aie.cost.messages import Messages, call_kinds, weight_kinds
from tvm_aie.cost.walk import KEPT, Step, Walk, locks_of, walk
from tvm_aie.emit import opcodes
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.weights import PackedConv
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.physical import ArrayLayer
from tvm_aie.schedule.fronts import drop_cycles, front_cycles, front_pixels, front_row_bytes
from tvm_aie.schedule.geometry import Geometry, KernelId
from tvm_aie.schedule.joined import joined_lines
from tvm_aie.schedule.terms import KernelTerms, terms_from_keys
from tvm_aie.schedule.tiling import Tiling, kept_slots

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
WORD = 4
BLOCK_MACS = 64
MOST_COLUMNS = 256  # whose bands are kept: tilings of an item share them


@dataclass(frozen=True)
class Rates:
    """Cycles, from the device keys: per A or O slot, per byte of the weight flows, per word of loads and stores.

    ``load_beside``: a load while all others of the first item share DDR. ``piece``: a further descriptor of a message.
    ``o_shared``: the output flows of a column share one link.
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
    # At first all columns load; where nothing runs on since the inference before, all weight streams do, too.
    streams = array.cols + (0 if array.device.push_idle_cycles else array.rows)
    return Rates(
        a_slot=slot(ov.a_slot, "a"),
        w=slot(ov.w_slot, "w") / ov.w_slot,
        loadw=loadw,
        o_slot=ov.o_slot / link if link else own,
        o_slot_own=own,
        o_shared=link > 0,
        load=1 / keys["flow.load.words_per_cycle"],
        load_beside=max(1 / keys["flow.load.words_per_cycle"], WORD * streams / ddr if ddr else 0.0),
        store=1 / keys["flow.store.words_per_cycle"],
        load_task=keys["shim.mm2s_task_cycles"],
        store_task=keys["shim.s2mm_task_cycles"],
        piece=max(0.5, mt_bd),
        barrier=1 + 4 * mt_bd,
        opcode=keys["core.opcode_cycles"],
    )


@dataclass(frozen=True)
class ItemLoad:
    """Arrays: ``locks`` (steps, 6) as ``Walk.locks``; ``kernel`` (steps, columns, rows), ``a_move`` (steps, columns) in
    cycles, without filler.

    ``w_bytes`` (rows, messages); ``a_slots``: of an activation message; ``a_sizes`` (messages, columns): of each;
    ``a_counts``: messages per column. ``o_slots``: of the largest output message, ``o_sizes`` (messages, columns,
    rows): slots of each; ``o_rest`` (columns, rows): filler at the end of each core's last one, in slots. ``aligned``:
    ring positions are multiples of a message. ``control``: cycles of the commands for its messages, on busy and on idle
    channels. ``divided``: with the item's own division of core memory, to which
    slots refer. ``kept``: per column, slots of input before the first message of ``a_slots``.
    """

    locks: npt.NDArray[np.uint8]
    kernel: Floats
    a_move: Floats
    w_bytes: Ints
    prologue_words: tuple[int, ...]
    a_slots: int
    a_sizes: Ints
    a_counts: tuple[int, ...]
    o_slots: int
    o_sizes: Ints
    o_rest: Floats
    aligned: bool
    control: tuple[float, float]
    divided: tuple[Array, Rates] | None
    kept: tuple[int, ...]


def item_load(
    array: Array,
    item: WorkItem,
    layer: ArrayLayer,
    tiling: Tiling,
    packed: PackedConv | None,
    control: tuple[float, float] = (0.0, 0.0),
) -> ItemLoad:
    """The load of one item; ``packed``: Gamma and biases of a convolution; ``control``: see ``ItemLoad``."""
    return load_of(array, item, tiling, packed, opcode_streams(array, item, layer, tiling), control)


def opcode_streams(array: Array, item: WorkItem, layer: ArrayLayer, tiling: Tiling) -> list[list[int]]:
    """The opcodes of an item in each column."""
    slot = array.divided(tiling.division).overlay.a_slot
    return [opcodes.item_opcodes(item, layer, tiling, c, slot) for c in range(array.cols)]


def load_of(
    array: Array,
    item: WorkItem,
    tiling: Tiling,
    packed: PackedConv | None,
    words: Sequence[Sequence[int]],
    control: tuple[float, float] = (0.0, 0.0),
) -> ItemLoad:
    """``item_load`` of an item with these ``opcode_streams``."""
    array = array.divided(tiling.division)
    rates, columns = rates_of(array), range(array.cols)
    messages, which = weight_kinds(item.geometry, tiling, packed)
    most = tuple(messages.blocks.max(axis=0)[which].tolist())
    kinds: dict[tuple[object, ...], Walk] = {}  # by what the opcodes of columns differ in: bands, copies into ACC
    walks = []
    kept = tuple(kept_slots(tiling, item.geometry, b - a) for a, b in item.out_rows)
    for c in columns:
        key = (tiling.bands[c][1], kept[c], item.out_rows[c][1] > item.out_rows[c][0])
        if key not in kinds:
            kinds[key] = walk(words[c], most)
        walks.append(kinds[key])
    steps, index = _aligned(walks)
    locks = walks[0].locks if steps is walks[0].steps else locks_of(steps)
    calls, of_call = call_kinds(item.geometry, tiling, packed) if tiling.per_block else (messages, which)
    heights = [b - a for a, b in item.out_rows]
    own = {id(one): _Place(one, steps_of) for one, steps_of in zip(walks, index, strict=True)}
    places = [own[id(walks[c])] if heights[c] > 0 else None for c in columns]
    kernel = _kernels(array, item, tiling, places, len(steps), (calls, of_call))
    a_move = _moves(array, item, tiling, places, len(steps), rates)
    sent = _sent(places, messages.blocks[:, which], locks[:, -1] > 0)
    slots = [tiling.o_slots_of(b, array.overlay.o_slot) for b in range(int(messages.blocks.max(initial=0)) + 1)]
    o_sizes = np.array(slots, np.int64)[sent]
    head = opcodes.HEADER_WORDS + (opcodes.DIVIDE_WORDS if tiling.division else 0)
    return ItemLoad(
        locks,
        kernel,
        a_move,
        messages.bytes(array.overlay.w_slot)[:, which],
        tuple(head + len(w) for w in words),
        tiling.a_slots,
        _a_sizes(steps, index, (tiling.a_slots, tiling.a_slots if tiling.front else 1), heights),
        tuple(walks[c].activations if heights[c] > 0 else 0 for c in columns),
        tiling.o_slots,
        o_sizes,
        _o_rest(array, tiling, sent, o_sizes),
        tiling.aligned,
        control,
        (array, rates) if tiling.division else None,
        kept,
    )


@dataclass(frozen=True)
class _Place:
    """A column among the common steps: its own, and which of them runs at each (-1: none)."""

    walk: Walk
    steps: Ints

    @cached_property
    def mine(self) -> Bools | slice:
        """The common steps at which it has one."""
        here = self.steps >= 0
        return slice(None) if here.all() else here

    @cached_property
    def table(self) -> Ints:
        """``Walk.table`` of these."""
        return self.walk.table[:, self.steps[self.mine]]

    @cached_property
    def copies(self) -> Bools | None:
        """At which of these no kernel is called (``Step.keeps``); None: at none."""
        found = self.table[-1] > 0
        return found if found.any() else None


Places = Sequence[_Place | None]  # of the columns, equal ones the same; None: it has no rows


def _kernels(
    array: Array, item: WorkItem, tiling: Tiling, places: Places, count: int, calls: tuple[Messages, Ints]
) -> Floats:
    """Cycles of the kernel calls (``ItemLoad.kernel``) of ``count`` steps. ``calls``: kinds, and which each is."""
    opcode = array.device.keys()["core.opcode_cycles"]
    kernel, (kinds, of_call) = np.zeros((count, array.cols, array.rows)), calls
    whole = _whole_calls(array, item, tiling, kinds)
    known: dict[Hashable, int] = {}  # columns by what their calls depend on
    for c, place in enumerate(places):
        if place is None:
            continue
        same = (id(place), whole.pieces(c)) if whole else c
        if (other := known.setdefault(same, c)) != c:
            kernel[:, c] = kernel[:, other]
            continue
        w, bands, blocks_at, n_ops, copies = place.table
        held = of_call[w * tiling.nob + blocks_at if tiling.per_block else w]
        cycles = whole.cycles(c, bands, held) if whole else kernel_cycles(array, item, tiling, c, bands, kinds.at(held))
        if place.copies is not None:
            cycles = np.where(place.copies[:, None], kept_calls(array, item, tiling, copies), cycles)
        kernel[place.mine, c] = cycles + n_ops[:, None] * opcode
    return kernel


@dataclass(frozen=True)
class _WholeCalls:
    """Cycles of a convolution's calls on an idealised machine: by their window rows that lie inside the image, which
    few bands of the image differ in, and by what they hold."""

    taps: tuple[Ints, ...]  # of the bands of each column: which of the numbers of rows they have
    table: Floats  # cycles, by number of rows, kind of call and core row

    def pieces(self, column: int) -> bytes:
        """What the calls of a column depend on, beside its steps."""
        return self.taps[column].tobytes()

    def cycles(self, column: int, bands: Ints, held: Ints) -> Floats:
        """Of the calls with these band indices, which hold these kinds: (calls, rows)."""
        return self.table[self.taps[column][bands], held]


def _whole_calls(array: Array, item: WorkItem, tiling: Tiling, calls: Messages) -> _WholeCalls | None:
    """None where calls cost more than their MACs, and of kernels that have none."""
    geo = item.geometry
    if not array.device.core_ideal or geo.kernel != KernelId.CONV or tiling.joined:
        return None
    bands = zip(item.out_rows, tiling.bands, strict=True)
    taps = [_taps_of_all(geo, first, last, band, n_b) for (first, last), (band, n_b) in bands]
    found, which = np.unique(np.concatenate(taps), return_inverse=True)
    of_column = np.split(which, np.cumsum([len(t) for t in taps])[:-1])
    cycles = _mac_cycles(array, geo, tiling, found[:, None, None], calls)
    return _WholeCalls(tuple(of_column), np.ascontiguousarray(np.swapaxes(cycles, 1, 2)))


@lru_cache(MOST_COLUMNS)
def _taps_of_all(geo: Geometry, first: int, last: int, band: int, n_b: int) -> Ints:
    """``_taps_of_bands`` of all bands of a column."""
    if last <= first:
        return np.zeros(0, np.int64)
    return _taps_of_bands(geo, first + np.minimum(np.arange(n_b) * band, last - first - band), band)


def _mac_cycles(array: Array, geo: Geometry, tiling: Tiling, taps: Ints, held: Messages) -> Floats:
    """Cycles of calls that cost their MACs and nothing else; ``taps``: rows of the window inside the image."""
    terms = terms_from_keys(array.device.keys())
    terms = terms.wide() if geo.window_elem == 2 else terms
    low = held.lows.sum(axis=2) * (2 * terms.macs_per_cycle / terms.macs_per_cycle_int4)
    listed = (held.taps.sum(axis=2) + low) / geo.kh
    macs = taps * geo.conv_px(tiling.width) * BLOCK_MACS * (held.pairs * geo.kw + listed)
    return np.asarray(np.ceil(macs / terms.macs_per_cycle), np.float64)


def _moves(array: Array, item: WorkItem, tiling: Tiling, places: Places, count: int, rates: Rates) -> Floats:
    """Cycles in which activation messages move (``ItemLoad.a_move``)."""
    a_move = np.zeros((count, array.cols))
    for c, (place, pieces) in enumerate(zip(places, _pieces(array, item, tiling), strict=True)):
        if place is None:
            continue
        slotwise = np.bool_(False) if place.copies is None or tiling.front else place.copies
        cycles = np.where(slotwise, 1, tiling.a_slots) * rates.a_slot
        a_move[place.mine, c] = cycles + np.where(slotwise, 0, (pieces - 1) * rates.piece)
    return a_move


def _sent(places: Places, blocks: Ints, releases: Bools) -> Ints:
    """Output blocks of each output message: (messages, columns, rows). ``blocks``: of each weight message."""
    at = np.flatnonzero(releases)
    sent = np.zeros((len(at), len(places), len(blocks)), np.int64)
    known: dict[int, int] = {}  # columns by their steps
    for c, place in enumerate(places):
        if place is None:
            continue
        if (other := known.setdefault(id(place), c)) != c:
            sent[:, c] = sent[:, other]
            continue
        own = place.steps[at]
        w, _, blocks_at, _, _ = place.walk.table[:, own]
        of_message = blocks.T[w]
        sent[:, c] = np.where((blocks_at[:, None] < of_message) & (own >= 0)[:, None], of_message, 0)
    return sent


def _a_sizes(steps: Sequence[Step], index: Sequence[Ints], slots: tuple[int, int], heights: Sequence[int]) -> Ints:
    """A slots of the activation messages that the common steps take, in each column (``ItemLoad.a_sizes``).

    ``slots``: of those that a kernel reads, and of those that are kept in ACC.
    """
    at = [k for k, step in enumerate(steps) if step.acquires_a]
    sizes = np.array([slots[steps[k].keeps == KEPT] for k in at], np.int64)
    takes = [(index[c][at] >= 0) & (heights[c] > 0) for c in range(len(index))]
    return np.stack([np.where(t, sizes, 0) for t in takes], axis=1)


def _o_rest(array: Array, tiling: Tiling, blocks: Ints, slots: Ints) -> Floats:
    """Filler at the end of each core's last output message (``ItemLoad.o_rest``); arrays (messages, columns, rows).

    ``blocks``: channel blocks of each message, ``slots``: its slots.
    """
    if not len(blocks):
        return np.zeros(blocks.shape[1:])
    block = np.array([band for band, _ in tiling.bands], np.int64) * tiling.width * tiling.out_px
    data = (np.minimum(blocks, 1) if tiling.per_block else blocks) * block[:, None] / array.overlay.o_slot
    return np.asarray(np.take_along_axis(slots - data, _last_sent(slots)[None], 0)[0], np.float64)


def _last_sent(sizes: Ints) -> Ints:
    """The last message of each core that is not empty; -1: none."""
    sent = sizes > 0
    return np.asarray(np.where(sent.any(axis=0), len(sizes) - 1 - sent[::-1].argmax(axis=0), -1), np.int64)


def _aligned(walks: Sequence[Walk]) -> tuple[Sequence[Step], list[Ints]]:
    """One common step list for all columns and, per column, which of its own steps runs there (-1: none).

    Columns agree on the weight messages; between two of them a column with fewer bands idles at the end.
    """
    if all(one is walks[0] for one in walks):
        return walks[0].steps, [np.arange(len(walks[0].steps))] * len(walks)
    sections = []
    for steps in (one.steps for one in walks):
        starts = [i for i, s in enumerate(steps) if s.acquires_w]
        if not starts or starts[0] != 0:
            starts = [0, *starts]
        sections.append([range(a, b) for a, b in zip(starts, [*starts[1:], len(steps)], strict=True)])
    most = max(len(parts) for parts in sections)  # copies of the input come before all weights
    sections = [[range(0)] * (most - len(parts)) + parts for parts in sections]
    common: list[Step] = []
    index: list[list[int]] = [[] for _ in walks]
    for parts in zip(*sections, strict=True):
        longest = max(range(len(walks)), key=lambda c: (len(parts[c]), walks[c].activations > 0))
        common += [walks[longest].steps[i] for i in parts[longest]]
        for c, part in enumerate(parts):
            index[c] += [*part, *([-1] * (len(parts[longest]) - len(part)))]
    return common, [np.array(i, np.int64) for i in index]


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
        if tiling.kept:  # a residual and what it lacks to whole slots
            data = len(tiling.block_rows) * tiling.nob * geo.residual_bytes(band, tiling.width)
            out[-1] = 1.0 + (data < tiling.a_slots * tiling.kept)
    return out


def kernel_cycles(array: Array, item: WorkItem, tiling: Tiling, column: int, bands: Ints, held: Messages) -> Floats:
    """Cycles of the calls with these band indices and the weight messages that they hold: (calls, rows)."""
    geo, device = item.geometry, array.device
    first, last = item.out_rows[column]
    if tiling.joined:
        geo, (first, last) = joined_lines(geo, tiling, (first, last), column)
        tiling = replace(tiling, width=geo.w_out, bands=tuple((min(1, n), n) for _, n in tiling.bands))
    band = tiling.bands[column][0]
    y = first + np.minimum(bands * band, last - first - band)
    taps = _taps_of_bands(geo, y, band)[:, None]  # rows x taps inside the image
    if geo.kernel == KernelId.CONV and device.core_ideal:
        return _mac_cycles(array, geo, tiling, taps, held)
    if geo.kernel == KernelId.CONV:
        terms = terms_from_keys(device.keys())
        terms = terms.wide() if geo.window_elem == 2 else terms
        before = np.where(bands > 0, first + np.minimum((bands - 1) * band, last - first - band), -1)
        taken = taken_rows(geo, y, before, band) if tiling.taken else None
        return _conv_cycles(terms, geo, tiling, band, y, held, taken)
    if device.core_ideal:
        return np.zeros(held.blocks.shape)
    return _channelwise(array, geo, tiling.width, band, taps, held.blocks)


def kept_calls(array: Array, item: WorkItem, tiling: Tiling, kinds: Ints) -> Floats:
    """Cycles of what is no call of the item's kernel (``Step.keeps``): (steps, 1)."""
    geo = item.geometry
    if geo.front is None:
        return np.full((len(kinds), 1), copy_call(array))
    terms, line = terms_from_keys(array.device.keys()), tiling.line or geo.line_px(tiling.width)
    row = front_row_bytes(geo, line)
    left = geo.window_rows(0, max(band for band, _ in tiling.bands))[1] - tiling.front
    drop = drop_cycles(left * row, terms)
    front = front_cycles(geo.front, geo.in_blocks, front_pixels(geo), terms)
    return np.asarray(np.ceil(np.where(kinds == KEPT, front, drop)), np.float64)[:, None]


def copy_call(array: Array) -> float:
    """Cycles of a copy of one A slot into ACC (KEEP): UPSAMPLE by 1x1 over one line."""
    keys, vectors = array.device.keys(), -(-array.overlay.a_slot // 32)
    if array.device.core_ideal:
        return 0.0
    call, a, ii = (keys[f"kernel.upsample.{name}"] for name in ("call", "a", "ii"))
    return float(np.ceil(call + a + vectors * ii))


def _taps_of_bands(geo: Geometry, y: Ints, band: int) -> Ints:
    """Sum over the rows that the window computes for each band of the window rows that lie inside the image."""
    if geo.pool_before:
        return np.full(y.shape, band * geo.kh, np.int64)
    height = geo.pool_after.h if geo.pool_after else geo.h_out
    at = np.arange(height + band)[:, None] * geo.sy - geo.pad_top + np.arange(geo.kh)[None, :] * geo.dy
    prefix = np.concatenate([[0], np.cumsum(((at >= 0) & (at < geo.h_in)).sum(axis=1))])
    if geo.pool_after:
        found, at = np.unique(y, return_inverse=True)
        lo, hi = np.array([geo.pool_after.rows_in(v, band) for v in found.tolist()]).T
        return np.asarray(prefix[hi] - prefix[lo], np.int64)[at]
    return np.asarray(prefix[y + band] - prefix[y], np.int64)


def _conv_cycles(
    terms: KernelTerms, geo: Geometry, tiling: Tiling, band: int, y: Ints, held: Messages, taken: Ints | None
) -> Floats:
    """The convolution kernel's formula (docs/device-keys.md), that of a pool in its call included."""
    cycles = conv_calls(terms, geo, tiling.width, y, band, held, taken)
    if geo.pool is not None:
        blocks = tiling.ckb if geo.pool.before else held.blocks * held.last
        cycles = cycles + blocks * pool_stage(terms, geo, tiling.width, y, band)
    return np.asarray(np.ceil(np.where(held.blocks > 0, cycles, 0.0) + terms.call), np.float64)


def _channelwise(array: Array, geo: Geometry, width: int, band: int, taps: Ints, blocks: Ints) -> Floats:
    """The channel-wise kernels' formula: lines and vectors of 32 lanes, times the taps that a vector reads."""
    keys = array.device.keys()
    name = {KernelId.ADD: "add", KernelId.MAXPOOL: "maxpool", KernelId.AVGPOOL: "avgpool"}.get(geo.kernel, "upsample")
    vectors = -(-width // 4)
    pools = geo.kernel in (KernelId.MAXPOOL, KernelId.AVGPOOL)
    per_line = vectors * (geo.kw * geo.in_elem * taps / band if pools else geo.n_inputs)
    a, ii = keys[f"kernel.{name}.a"], keys[f"kernel.{name}.ii"]
    return np.asarray(np.ceil(keys[f"kernel.{name}.call"] + blocks * band * (a + per_line * ii)), np.float64)
