"""Geometry of a layer as the core kernel sees it, and the overlay's core memory map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache

import numpy as np

from tvm_aie.plan.graph import Add, Conv, Pool, conv_shapes
from tvm_aie.plan.physical import BLOCK, ArrayLayer, PhysicalGraph, physical_weight, window_source


class KernelId(IntEnum):
    """Kernel numbers of the superkernel (docs/program.md section 2)."""

    CONV = 1
    ADD = 2
    MAXPOOL = 3
    AVGPOOL = 4
    UPSAMPLE = 5
    SCALE = 6  # inside CONV alone
    FRONT = 7  # a 1x1 convolution of one row into ACC


@dataclass(frozen=True)
class Overlay:
    """How the data memory of every core is divided, and the memtile's weight ring (all sizes in bytes).

    The rings serve the whole network, so their sizes are the network's choice, not the layer's. The defaults are
    the best of a sweep over five networks on npu1, dense and 50 % sparse (emulated). Output slots are 14 pixels of
    one channel block, and 56 of them are a ring: lines of 7, 14, 28 and 56 pixels in bands of 1, 2, 4, 7 and 14 rows,
    which is how images of these sizes fall on four columns (``plan.pitch``), fill slots and divide the ring.
    """

    a_slot: int = 1024
    a_slots: int = 36
    w_slot: int = 512
    w_slots: int = 24
    o_slot: int = 112
    o_slots: int = 56
    acc_bytes: int = 4096
    hdr_bytes: int = 2560
    ops_bytes: int = 1024
    guard_bytes: int = 256
    memtile_w_slot: int = 2048
    memtile_w_slots: int = 16  # at least; grown into what memory the tensors leave

    @property
    def core_bytes(self) -> int:
        """Bytes of core memory in use."""
        rings = self.a_slot * self.a_slots + self.w_slot * self.w_slots + self.o_slot * self.o_slots
        return rings + self.acc_bytes + self.hdr_bytes + self.ops_bytes + self.guard_bytes

    def divided_as(self, other: Overlay) -> Overlay:
        """This overlay with the input and output rings and the partial sums of ``other``.

        Raises ``ValueError`` when their weight rings differ.
        """
        mine, theirs = (self.w_slot, self.w_slots), (other.w_slot, other.w_slots)
        if mine != theirs:
            raise ValueError(f"weight rings differ: (slot, slots) {mine} and {theirs}")
        out = replace(self, a_slot=other.a_slot, a_slots=other.a_slots, o_slot=other.o_slot, o_slots=other.o_slots)
        return replace(out, acc_bytes=other.acc_bytes)


DEFAULT_OVERLAY = Overlay()

# Divisions of core memory where commands cost time, of which a network takes the one that is fastest when emulated
# (``rehearse``): larger partial sums and weight rings for fewer input slots. Input slots of 896 bytes are two lines of
# 56 pixels, four of 28 or eight of 14: such lines fill them, while those of 1,024 bytes need lines of 64, 32 and 16.
# The first is the default.
DIVISIONS: tuple[Overlay, ...] = (
    DEFAULT_OVERLAY,
    Overlay(a_slots=20, w_slots=32, acc_bytes=16384),
    Overlay(a_slot=896, a_slots=20, w_slots=44, acc_bytes=12288),
    Overlay(a_slot=896, a_slots=16, w_slots=44, acc_bytes=16384),
    Overlay(a_slot=896, a_slots=20, w_slots=36, acc_bytes=16384),
)
# Besides, where convolutions add residuals and keep their input in ACC: for dense ResNet-50 within 0.1 % of the best of
# some twenty that were tried (emulated). 14 KB are 4 rows of 14 pixels of 256 channels, or 2 of 7 of 1,024.
KEEPING = Overlay(a_slots=18, w_slots=36, acc_bytes=16384)


# Where 1x1 convolutions run in front of windows (``plan.front``): room in ACC for rows of what lies between, and for
# the partial sums of six output blocks of four joined lines of 13 pixels with what sums behind them read. Input slots
# that lines of 55 and 27 pixels nearly fill. Of a dozen the first was the best for dense SqueezeNet, the second
# within 5 % of it (emulated).
FRONTS = (
    Overlay(a_slot=896, a_slots=24, w_slots=36, acc_bytes=13312),
    Overlay(a_slots=16, w_slots=40, acc_bytes=12288),
)


MOST_SLOTS = 63  # of a ring: its lock counts them in 6 bits (hw.md 1)


CORE_MEMORY = 62 * 1024  # of an idealised machine, without what is reserved (bytes)
ACC_ALIGN = 64  # bytes: 16 partial sums, a vector register of accumulators


def divided(a_slot: int, a_slots: int, o_slot: int, o_slots: int, acc_bytes: int) -> Overlay:
    """An overlay for a machine without fixed costs: fine slots; the weight ring gets what is left of 62 KiB."""
    rest = CORE_MEMORY - a_slot * a_slots - o_slot * o_slots - acc_bytes - 2560 - 1024 - 256
    return Overlay(a_slot, a_slots, 512, max(0, min(rest // 512, MOST_SLOTS)), o_slot, o_slots, acc_bytes)


# Divisions to choose from, by estimate, on idealised machines: input ring against partial sums against weights.
IDEAL_OVERLAYS = (
    divided(512, 36, 128, 48, 4096),
    divided(256, 60, 128, 48, 12288),
    divided(512, 36, 128, 36, 12288),
    divided(512, 24, 128, 36, 24576),
    divided(256, 40, 128, 36, 32768),
)


WORD = 4
PAD_WORDS = 63  # hw.md 2: 6 bits of padding in the innermost dimension of a memtile's descriptor
WRAP = 1023  # hw.md 2: 10 bits of the inner dimensions of a memtile's or a shim's descriptor


@cache
def splits(words: int) -> bool:
    """Whether a run of so many words is two dimensions of a descriptor, neither of which wraps later than it can."""
    return any(words % k == 0 for k in range(ceil_div(words, WRAP), min(words, WRAP) + 1))


def ceil_div(a: int, b: int) -> int:
    """a / b rounded up."""
    return -(-a // b)


def ring_share(needed: int, slots: int) -> int:
    """Smallest divisor of ``slots`` that is at least ``needed`` (divisors never wrap in a ring); 0 if there is none."""
    return next((d for d in range(max(needed, 1), slots + 1) if slots % d == 0), 0)


@dataclass(frozen=True)
class PoolStage:
    """A pool inside a convolution's kernel call; ``h``, ``w``: of the image that the pool reads (pixels).

    ``scale``: no pool but a factor and a term per channel, in front of the window (``plan.scale``). ``sums``: behind
    the window, the sums of what the pool reads, int16 (``plan.sums``); ``average`` then: that is its loop.

    Before: the window is 1x1 and reads what the pool writes. After: the pool reads what the window writes. Either way
    the tensor between the two stages lives in the core (ACC).
    """

    before: bool
    average: bool
    kh: int
    kw: int
    sy: int
    sx: int
    pad_top: int
    pad_left: int
    h: int
    w: int
    scale: bool = False
    sums: bool = False

    def rows_in(self, y: int, count: int) -> tuple[int, int]:
        """Rows [lo, hi) of the image that ``count`` output rows from ``y`` need."""
        lo = min(max(y * self.sy - self.pad_top, 0), self.h - 1)
        return lo, min(max((y + count - 1) * self.sy - self.pad_top + self.kh, lo + 1), self.h)

    def max_rows_in(self, count: int) -> int:
        """Most rows of the image that ``count`` output rows can need."""
        return min((count - 1) * self.sy + self.kh, self.h)

    def px_in(self, width: int, w_out: int) -> int:
        """Pixels of the image for ``width`` output pixels; all of them for a whole line."""
        return self.w if width >= w_out else (width - 1) * self.sx + self.kw


@dataclass(frozen=True)
class Front:
    """A 1x1 convolution in front of the window (``plan.front``): what the item reads.

    ``in_blocks``: of the message; ``tiles``: live 8x8 blocks of its weights; ``full``: of them in rows with all.
    """

    in_blocks: int
    tiles: int
    full: int


@dataclass(frozen=True)
class Geometry:
    """Sizes in pixels, channel blocks of 8; ``row_step``/``px_step``: subsampling done by the memtile's DMA."""

    kernel: KernelId
    kh: int
    kw: int
    sy: int
    sx: int
    dy: int
    dx: int
    pad_top: int
    pad_left: int
    h_in: int
    w_in: int
    h_out: int
    w_out: int
    in_blocks: int
    out_blocks: int
    n_inputs: int = 1
    row_step: int = 1
    px_step: int = 1
    in_elem: int = 1  # bytes per element of the input, of the output
    out_elem: int = 1
    pool: PoolStage | None = None  # then h_in, w_in are read from memory and h_out, w_out written to it
    front: Front | None = None  # then in_blocks are what it leaves in ACC for the window
    own_rows: bool = False  # ``joinable``, and no column reads a row of a neighbour's

    @property
    def pool_after(self) -> PoolStage | None:
        """The pool behind the window, if any."""
        return self.pool if self.pool and not self.pool.before else None

    @property
    def pool_before(self) -> PoolStage | None:
        """The pool in front of the window, if any."""
        return self.pool if self.pool and self.pool.before else None

    @property
    def whole_lines(self) -> bool:
        """Lines cannot be cut: the pool is in front of the window, or reaches over the right end of the line."""
        after = self.pool_after
        if after is None:
            return self.pool is not None
        return (self.w_out - 1) * after.sx - after.pad_left + after.kw > after.w

    @property
    def joinable(self) -> bool:
        """Lines of a band may be one line of the message: each output pixel reads its own pixel alone.

        A scale may be in front, sums of whole lines behind.
        """
        steps = (self.taps, self.sy, self.sx, self.row_step, self.px_step)
        if self.kernel != KernelId.CONV or self.front or self.wide or any(n != 1 for n in steps):
            return False
        if self.pad_top or self.pad_left:
            return False
        if self.pool is None:
            return True
        if self.pool.before:
            return self.pool.scale and self.in_elem == 1 and self.w_in == self.w_out
        return self.pool.sums and self.w_out == 1 and self.pool.kw == self.pool.w

    def joined(self, band: int, count: int) -> Geometry:
        """The image that the kernel sees where the lines of a band are one: a line for each of ``count`` bands."""
        line = self.conv_rows(band) * self.conv_px(self.w_out)
        seen = replace(self, h_in=count, h_out=count, w_in=line, w_out=line)
        if self.pool is None:
            return seen
        if self.pool.before:
            return replace(seen, pool=replace(self.pool, h=count, w=line))
        return replace(seen, w_out=1, pool=replace(self.pool, kh=1, kw=line, sy=1, h=count, w=line))

    def conv_rows(self, band: int) -> int:
        """Most rows that the window computes for ``band`` output rows."""
        return self.pool_after.max_rows_in(band) if self.pool_after else band

    @property
    def shared_rows(self) -> int:
        """Rows that the window computes for two neighbouring bands: of a max pool behind whose windows overlap."""
        after = self.pool_after
        return max(0, after.kh - after.sy) if after and not (after.average or after.sums) else 0

    def stage_rows(self, band: int) -> int:
        """Rows between the window and a pool behind that ACC has room for."""
        after = self.pool_after
        if after and self.shared_rows:  # as if the image were endless, so that a row that is taken over has its place
            return (band - 1) * after.sy + after.kh
        return self.conv_rows(band)

    def conv_px(self, width: int) -> int:
        """Pixels that the window computes for ``width`` output pixels."""
        return self.pool_after.px_in(width, self.w_out) if self.pool_after else width

    def conv_x(self, x0: int) -> int:
        """First pixel that the window computes for output pixels from ``x0`` on."""
        after = self.pool_after
        return max(x0 * after.sx - after.pad_left, 0) if after else x0

    def rows_in(self, y: int, count: int) -> tuple[int, int]:
        """Input rows [lo, hi) that ``count`` output rows from ``y`` need (docs/program.md section 2)."""
        if self.kernel == KernelId.UPSAMPLE:
            return y // self.kh, (y + count) // self.kh
        if self.pool_before:
            return self.pool_before.rows_in(y, count)
        if self.pool_after:
            y, end = self.pool_after.rows_in(y, count)
            count = end - y
        lo = min(max(y * self.sy - self.pad_top, 0), self.h_in - 1)
        hi = (y + count - 1) * self.sy - self.pad_top + (self.kh - 1) * self.dy + 1
        return lo, min(max(hi, lo + 1), self.h_in)

    def window_rows(self, y: int, band: int) -> tuple[int, int]:
        """First row and number of rows that windows of ``band`` output rows from ``y`` cover, in the image or not."""
        if after := self.pool_after:
            y, band = y * after.sy - after.pad_top, (band - 1) * after.sy + after.kh
        return y * self.sy - self.pad_top, (band - 1) * self.sy + (self.kh - 1) * self.dy + 1

    def rows_apart(self, band: int) -> int:
        """Input rows from the windows of a band to those of the next."""
        return band * self.sy * (self.pool_after.sy if self.pool_after else 1)

    def max_rows_in(self, band: int) -> int:
        """Most input rows that a band of ``band`` output rows can need."""
        if self.kernel == KernelId.UPSAMPLE:
            return band // self.kh
        if self.pool_before:
            return self.pool_before.max_rows_in(band)
        band = self.conv_rows(band)
        return min((band - 1) * self.sy + (self.kh - 1) * self.dy + 1, self.h_in)

    def line_px(self, width: int) -> int:
        """Pixels of one input line for ``width`` output pixels (padding included where the DMA inserts it)."""
        if self.kernel == KernelId.CONV and not self.pool_before:
            width = self.conv_px(width)
            # A DMA reads a word at least: a line that is padding alone goes on to the first pixel of the image.
            return max((width - 1) * self.sx + (self.kw - 1) * self.dx, self.pad_left) + 1
        if self.kernel == KernelId.CONV or not 0 < width < self.w_out:
            return self.w_in
        return width // self.kw if self.kernel == KernelId.UPSAMPLE else self._reach(width)

    def _reach(self, width: int) -> int:
        """Pixels from the first tap of the first of ``width`` output pixels to the last tap of the last."""
        return (width - 1) * self.sx + (self.kw - 1) * self.dx + 1

    def cuts_lines(self, width: int) -> bool:
        """Whether lines can be cut into chunks of ``width`` output pixels: each reads a pixel of the image.

        Channel-wise kernels know the ends of an image by those of their message, so a chunk has all its taps in it.
        """
        if self.kernel == KernelId.UPSAMPLE:
            return width % self.kw == 0
        if self.kernel != KernelId.CONV:
            return self.pad_left == 0 and self._reach(self.w_out) <= self.w_in
        return not self.whole_lines and self.conv_x(self.w_out - width) * self.sx - self.pad_left < self.w_in

    def sends_lines(self, width: int, nested: bool) -> bool:
        """Whether descriptors can carry lines for ``width`` output pixels (``emit.transfers.piece_shape``).

        A line of more words than the innermost dimension wraps is two dimensions: its pixels and their words; one that
        needs no zeros any two factors. ``nested``: channels take a dimension more, and none is left for that.
        """
        line = self.line_px(width)
        if self.px_step > 1 and line > WRAP:  # pixels are a dimension by themselves
            return False
        padded = self.kernel == KernelId.CONV and not self.pool_before and (line > self.w_in or self.pad_left > 0)
        sent = [(line, self.in_px // WORD, padded), (width, self.out_px // WORD, False)]
        sent += [(self.conv_px(width), self.out_px // WORD, False)] if self.residual else []
        long = [entry for entry in sent if entry[0] * entry[1] > WRAP]
        return not long or (not nested and all(n <= WRAP or (splits(n * px) and not zeros) for n, px, zeros in long))

    @property
    def wide(self) -> bool:
        """The window of a convolution reads or writes int16."""
        both = self.window_elem == 2 or self.out_elem == 2
        return self.kernel == KernelId.CONV and both and not self.pool

    @property
    def window_elem(self) -> int:
        """Bytes per element of what the window of a convolution reads."""
        return 1 if self.pool_before else self.in_elem

    @property
    def pooled_elem(self) -> int:
        """Bytes per element of what a pool inside the call reads."""
        return self.in_elem if self.pool_before else 1

    def residual_bytes(self, band: int, width: int) -> int:
        """Most bytes of the residual of one channel block for ``band`` output rows of ``width`` pixels."""
        return self.conv_rows(band) * self.conv_px(width) * 8 if self.residual else 0

    def residual_rows(self, y: int, count: int) -> tuple[int, int]:
        """Rows [lo, hi) of the residual that ``count`` output rows from ``y`` on need."""
        return self.pool_after.rows_in(y, count) if self.pool_after else (y, y + count)

    @property
    def in_px(self) -> int:
        """Bytes of 8 channels of one input pixel."""
        return 8 * self.in_elem

    @property
    def out_px(self) -> int:
        """Bytes of 8 channels of one output pixel."""
        return 8 * self.out_elem

    @property
    def clipped(self) -> bool:
        """Some rows of the window may lie above or below the image."""
        if self.pool is not None:
            return self.kh > 1
        return self.pad_top > 0 or (self.h_out - 1) * self.sy - self.pad_top + (self.kh - 1) * self.dy >= self.h_in

    @property
    def residual(self) -> bool:
        """A convolution whose second stage adds a tensor of its output's shape."""
        return self.kernel == KernelId.CONV and self.n_inputs == 2

    @property
    def taps(self) -> int:
        """Taps of the window."""
        return self.kh * self.kw


def _stage(conv: Conv, height: int, width: int) -> PoolStage:
    if conv.scale_before:
        return PoolStage(True, False, 1, 1, 1, 1, 0, 0, height, width, scale=True)
    pool = conv.pool_before or conv.pool_after
    assert pool is not None
    h, w = (height, width) if conv.pool_before else conv_shapes(conv, height, width)[1]
    window = (*pool.kernel, *pool.stride, pool.pads[0], pool.pads[1])
    average = bool(pool.divisors) or pool.sums
    return PoolStage(conv.pool_before is not None, average, *window, h, w, sums=pool.sums)


def _front(conv: Conv, graph: PhysicalGraph) -> Front | None:
    if conv.front is None:
        return None
    source, inner = graph.views[conv.front.input], window_source(graph, conv)
    weight = physical_weight(conv.front, source, inner).reshape(inner.blocks, BLOCK, source.blocks, BLOCK)
    live = np.asarray(weight.any(axis=(1, 3)), np.bool_)
    return Front(source.blocks, int(live.sum()), int(np.all(live, axis=1).sum()) * source.blocks)


def geometry_of(layer: ArrayLayer, graph: PhysicalGraph) -> Geometry:
    """Derive the geometry; a 1x1 convolution with stride reads only the pixels it uses.

    A layer writes all rows and pixels of its storage (``plan.pitch``).
    """
    src, dst = graph.tensors[layer.inputs[0]], graph.tensors[layer.output]
    blocks = graph.views[layer.inputs[0]].blocks, graph.views[layer.output].blocks
    target = graph.storages[graph.views[layer.output].storage]
    out = target.height, target.width
    size = (src.height, src.width, *out, *blocks)
    if isinstance(layer, Conv):
        kh, kw = layer.weight.shape[2:]
        sy, sx = layer.stride
        n = len(layer.inputs)
        front = _front(layer, graph)
        if front:
            size = *size[:4], window_source(graph, layer).blocks, blocks[1]
        elem = src.bits // 8, dst.bits // 8
        if layer.pool_before or layer.pool_after or layer.scale_before:
            stage = _stage(layer, src.height, src.width)
            window = kh, kw, sy, sx, *layer.dilation, layer.pads[0], layer.pads[1]
            return Geometry(
                KernelId.CONV, *window, *size, n, in_elem=elem[0], out_elem=elem[1], pool=stage, front=front
            )
        if kh == kw == 1 and not any(layer.pads) and (sy > 1 or sx > 1):
            points = 1, 1, 1, 1, 1, 1, 0, 0, dst.height, dst.width, *out, *blocks, n, sy, sx
            return Geometry(KernelId.CONV, *points, in_elem=elem[0], out_elem=elem[1])
        window = kh, kw, sy, sx, *layer.dilation, layer.pads[0], layer.pads[1]
        return Geometry(KernelId.CONV, *window, *size, n, in_elem=elem[0], out_elem=elem[1], front=front)
    if isinstance(layer, Pool):
        kind = KernelId.AVGPOOL if layer.divisors else KernelId.MAXPOOL
        window = *layer.kernel, *layer.stride, *layer.dilation, layer.pads[0], layer.pads[1]
        return Geometry(kind, *window, *size, in_elem=src.bits // 8)
    if isinstance(layer, Add):
        return Geometry(KernelId.ADD, 1, 1, 1, 1, 1, 1, 0, 0, *out, *out, *blocks, n_inputs=len(layer.inputs))
    return Geometry(KernelId.UPSAMPLE, *layer.factors, 1, 1, 1, 1, 0, 0, *size)
