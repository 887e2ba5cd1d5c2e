"""Opcode messages: the loop nest of one item for the cores of one column (docs/program.md section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tvm_aie.errors import ProgramError
from tvm_aie.memory.placement import WorkItem
from tvm_aie.plan.graph import Add, Conv, Pool
from tvm_aie.plan.physical import ArrayLayer
from tvm_aie.plan.scale import scale_of
from tvm_aie.schedule.cuts import kept_bytes
from tvm_aie.schedule.fronts import front_message_line, front_pixels, front_row_bytes
from tvm_aie.schedule.geometry import KernelId, PoolStage
from tvm_aie.schedule.joined import input_line, joined_lines
from tvm_aie.schedule.order import LOOPS, PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling

OP_MAGIC = 0x0A1E0001
END, LOOP, NEXT, ACQ_A, REL_A, ACQ_W, REL_W, ACQ_O, REL_O, KERNEL, HALT, SKIP_O, DIVIDE, KEEP, DROP = range(15)
HEADER_WORDS = 6
PER_BLOCK = 0  # count of a loop over the output blocks of the weight message
BLOCK_PARAMS = 23, 31  # of a convolution that computes one output block (with a second stage): the loop's level last
DIVIDE_WORDS = 9  # before the item's own opcodes, where core memory is divided anew
POOL_AFTER, POOL_BEFORE, SCALE, SUMS, POOL_TAKING = 3, 4, 5, 6, 7  # stages inside a convolution's call


@dataclass
class _Writer:
    """Appends opcodes; loops of one iteration are left out, so levels are counted here."""

    words: list[int] = field(default_factory=list)
    levels: int = 0

    def op(self, *words: int) -> None:
        self.words.extend(words)

    def open(self, count: int) -> int:
        """Open a loop; returns its level, or -1 when a loop is not needed."""
        if count == 1:
            return -1
        self.op(LOOP, count)
        self.levels += 1
        return self.levels - 1

    def skip(self, tiling: Tiling) -> None:
        """Align the O ring's position, where messages do not find their place by themselves."""
        if tiling.aligned:
            self.op(SKIP_O, 0)

    def close(self, level: int) -> None:
        if level >= 0:
            self.op(NEXT)
            self.levels -= 1


def weight_message_count(item: WorkItem, tiling: Tiling) -> int:
    """Weight messages of one core row for this item."""
    if item.geometry.kernel != KernelId.CONV:
        return 1
    steps = tiling.n_x * max(n for _, n in tiling.bands) if tiling.weights_per_band else 1
    return tiling.n_pass * tiling.n_ck * steps


def item_opcodes(item: WorkItem, layer: ArrayLayer, tiling: Tiling, column: int, a_slot: int) -> list[int]:
    """Opcodes (without the message header) of ``item`` in ``column``; ``a_slot``: bytes of a slot of the A ring."""
    w = _Writer()
    first, last = item.out_rows[column]
    if last <= first:
        level = w.open(weight_message_count(item, tiling))
        w.op(ACQ_W)
        w.op(REL_W)
        w.close(level)
        w.op(END)
        return w.words
    if tiling.front:
        return _front_opcodes(w, item, layer, tiling, column, a_slot)
    return _loop_nest(w, item, layer, tiling, column)


def _loop_nest(w: _Writer, item: WorkItem, layer: ArrayLayer, tiling: Tiling, column: int) -> list[int]:
    first, last = item.out_rows[column]
    conv = item.geometry.kernel == KernelId.CONV
    per_band = conv and tiling.weights_per_band
    if not conv:
        w.op(ACQ_W)
        w.skip(tiling)
    if tiling.a_resident:
        w.op(ACQ_A, tiling.a_slots)
    if tiling.kept:
        _keep(w, kept_bytes(item.geometry, last - first), tiling.kept)
    counts = {"pass": tiling.n_pass, "x": tiling.n_x, "band": tiling.bands[column][1]}
    levels: dict[str, int] = {}
    # the input of a piece serves all passes when these are inside
    keep = conv and tiling.order == PASSES_INSIDE
    for name in LOOPS[tiling.order]:
        if keep and name == "pass":
            w.op(ACQ_A, tiling.a_slots)
        levels[name] = w.open(counts[name])
        if conv and not per_band and name == "pass":
            w.op(ACQ_W)
            w.skip(tiling)
    _piece(w, item, layer, tiling, column, (levels["x"], levels["band"]), tiling.a_resident or keep)
    if not tiling.per_block:
        w.op(REL_O)
    for name in reversed(LOOPS[tiling.order]):
        if conv and not per_band and name == "pass":
            w.op(REL_W)
        w.close(levels[name])
        if keep and name == "pass":
            w.op(REL_A, tiling.a_slots)
    if tiling.a_resident:
        w.op(REL_A, tiling.a_slots)
    if not conv:
        w.op(REL_W)
    w.op(END)
    return w.words


def _front_opcodes(
    w: _Writer, item: WorkItem, layer: ArrayLayer, tiling: Tiling, column: int, a_slot: int
) -> list[int]:
    """Rows go through the 1x1 convolution in front into ACC; a band follows when its rows are there."""
    geo, (band, n_b) = item.geometry, tiling.bands[column]
    assert isinstance(layer, Conv) and layer.front is not None
    q, line = layer.front.requant, tiling.line or geo.line_px(tiling.width)
    assert geo.front is not None
    params = [
        geo.front.in_blocks,
        front_message_line(geo, a_slot),
        geo.pad_left,
        front_pixels(geo),  # windows need not reach the end of the image's line
        layer.front.acc_shift,
        q.shift,
        q.lo,
        q.hi,
        q.negative_mul,
        line,
    ]

    def rows(count: int) -> None:
        level = w.open(count)
        w.op(ACQ_A, tiling.a_slots)
        w.op(KERNEL, int(KernelId.FRONT), len(params), *params)
        w.op(REL_A, tiling.a_slots)
        w.close(level)

    w.op(ACQ_W)
    w.skip(tiling)
    if before := geo.window_rows(0, band)[1] - tiling.front:
        rows(before)
    l_band = w.open(n_b)
    rows(tiling.front)
    w.op(ACQ_O)
    window = kernel_params(item, layer, tiling, column, (-1, l_band, -1))
    w.op(KERNEL, int(geo.kernel), len(window), *window)
    w.op(REL_O)
    w.op(DROP, tiling.front * front_row_bytes(geo, line))
    w.close(l_band)
    w.op(REL_W)
    w.op(END)
    return w.words


def _keep(w: _Writer, size: int, slot: int) -> None:
    """``size`` bytes of input move from the A ring to ACC, slot by slot as they arrive."""
    whole, rest = divmod(size, slot)
    level = w.open(whole) if whole else -1
    for length in [slot] * (whole > 0) + [rest] * (rest > 0):
        w.op(ACQ_A, 1)
        w.op(KEEP, length)
        w.op(REL_A, 1)
        w.close(level)
        level = -1


def _piece(
    w: _Writer,
    item: WorkItem,
    layer: ArrayLayer,
    tiling: Tiling,
    column: int,
    levels: tuple[int, int],
    has_input: bool,
) -> None:
    """The innermost loop, over input channel chunks: one kernel call each. ``has_input``: it was acquired outside."""
    per_band = item.geometry.kernel == KernelId.CONV and tiling.weights_per_band
    l_ck = w.open(tiling.n_ck - tiling.per_block)
    if not has_input:
        w.op(ACQ_A, tiling.a_slots)
    if per_band:
        w.op(ACQ_W)
        w.skip(tiling)
    if not tiling.per_block:
        w.op(ACQ_O)  # acquires once: nothing while a message is held (input channel chunks after the first)
    params = kernel_params(item, layer, tiling, column, (*levels, l_ck))
    w.op(KERNEL, int(item.geometry.kernel), len(params), *params)
    if not has_input:
        w.op(REL_A, tiling.a_slots)
    if per_band:
        w.op(REL_W)
    w.close(l_ck)
    if not tiling.per_block:
        return
    if not has_input:
        w.op(ACQ_A, tiling.a_slots)
    w.op(ACQ_W)
    l_block = w.open(PER_BLOCK)
    w.op(ACQ_O)
    last = [*kernel_params(item, layer, tiling, column, (*levels, -1)), l_block]
    w.op(KERNEL, int(item.geometry.kernel), len(last), *last)
    w.op(REL_O)
    w.close(l_block)
    if not has_input:
        w.op(REL_A, tiling.a_slots)
    w.op(REL_W)


def kernel_params(
    item: WorkItem, layer: ArrayLayer, tiling: Tiling, column: int, levels: tuple[int, int, int]
) -> list[int]:
    """The parameter block of the item's kernel. ``levels``: of the loops over width chunks, bands, input chunks."""
    l_x, l_band, l_ck = levels
    geo = item.geometry
    first, last = item.out_rows[column]
    band, width, line = tiling.bands[column][0], tiling.width, input_line(geo, tiling)
    if tiling.joined:
        geo, (first, last) = joined_lines(geo, tiling, (first, last), column)
        band, width = 1, geo.w_out
    blocks = geo.in_blocks if tiling.a_resident else tiling.ckb
    window = [blocks, line, geo.kh, geo.kw, geo.sy, geo.sx, geo.dy, geo.dx, width, band, first, last - first]
    if isinstance(layer, Conv):
        q = layer.requant
        tail = [layer.acc_shift, q.shift, q.lo, q.hi, q.negative_mul]
        h_in = geo.h_out if geo.pool_before else geo.h_in  # rows that the window reads
        out = [*window, geo.pad_top, h_in, l_band, l_ck, tiling.n_ck, *tail]
        if geo.pool is not None:
            line_px = geo.w_in if geo.pool.before else geo.conv_px(width)
            out += _stage_params(geo.pool, layer, line_px, l_x, tiling.taken > 0)
        if layer.tail is not None:  # behind the words of sums, which no other pool inside has
            q, kind = layer.tail.requant, 1 if layer.tail.residual else 2
            out += [kind, int(tiling.kept > 0), layer.tail.x_shift, layer.tail.res_shift]
            out += [q.shift, q.lo, q.hi, q.negative_mul]
        return out
    if isinstance(layer, Pool):
        h_in = geo.h_out if geo.pool_before else geo.h_in  # rows that the window reads
        out = [*window, geo.pad_top, h_in, l_band, geo.pad_left, layer.lo, layer.hi]
        if layer.divisors:
            out.append(len(layer.divisors))
            for d in layer.divisors:
                out += [d.count, d.mult, d.shift]
        return out
    if isinstance(layer, Add):
        q = layer.requant
        return [tiling.ckb, line, band, geo.n_inputs, layer.a_shift, layer.b_shift, q.shift, q.lo, q.hi, q.negative_mul]
    return [tiling.ckb, line, geo.kh, geo.kw, band // geo.kh]


def _stage_params(stage: PoolStage, layer: Conv, line_px: int, l_x: int, takes: bool) -> list[int]:
    """A pool inside the call: kind, window, height and line of what it reads, clip, x level, divisors.

    ``takes``: bands take over rows of a max pool behind (``Tiling.taken``). A scale in front has its two roundings at
    the end.
    """
    window = [stage.kh, stage.kw, stage.sy, stage.sx, stage.pad_top, stage.pad_left, stage.h, line_px]
    if layer.scale_before is not None:
        scale = scale_of(layer.scale_before)
        assert scale is not None
        a, b = scale.first, scale.second
        return [SCALE, *window, -128, 127, 0, l_x, a.shift, a.lo, a.hi, scale.x_shift, b.shift, b.lo, b.hi]
    pool = layer.pool_before or layer.pool_after
    assert pool is not None
    kind = SUMS if stage.sums else POOL_BEFORE if stage.before else POOL_TAKING if takes else POOL_AFTER
    out = [kind, *window, pool.lo, pool.hi, len(pool.divisors), l_x]
    for d in pool.divisors:
        out += [d.count, d.mult, d.shift]
    return out


def opcode_message(words: Sequence[int], item: int, slots: int) -> bytes:
    """Header and opcodes; the sender pads the message to ``slots`` A slots on the stream."""
    n = HEADER_WORDS + len(words)
    data = np.array([OP_MAGIC, n, slots, item, 0, 0, *words], np.int64)
    if data.max() > 2**31 - 1 or data.min() < -(2**31):
        raise ProgramError(f"item {item}: a kernel parameter does not fit 32 bits")
    return data.astype("<i4").tobytes()
