"""What the weight messages of an item hold, counted from its cover, for all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tvm_aie.emit.weights import PackedConv
from tvm_aie.schedule.cover import Cover, walk_cover
from tvm_aie.schedule.geometry import Geometry
from tvm_aie.schedule.load import HEADER_BYTES, front_header_bytes, header_bytes
from tvm_aie.schedule.order import PASSES_INSIDE
from tvm_aie.schedule.tiling import Tiling

Ints = npt.NDArray[np.int64]
CHANNELWISE = (0, 0)  # in place of a window


@dataclass(frozen=True)
class Messages:
    """What weight messages hold, arrays (rows, messages, ...) in stream order, or (calls, rows, ...) of kernel calls.

    ``blocks``: output blocks; ``pairs``: whole 8x8 blocks, ``full`` of them in full rows, which are walked without
    look-ups; ``lists``: output blocks and kinds of list in use; ``last``: whether it has the last input blocks. By tap
    row besides: ``taps``, ``lows``: listed int8 taps and pairs of int4 taps; ``segments``: output blocks and kinds of
    list with entries. ``window``: kh, kw; ``stages``: biases of an output, 2 where a constant is added behind;
    ``scaled``: input blocks with a factor and a term per channel; ``front``: bytes of the header's part of a front, and
    its tiles.
    """

    window: tuple[int, int]
    stages: int
    scaled: int
    front: tuple[int, int]
    blocks: Ints
    pairs: Ints
    full: Ints
    lists: Ints
    last: Ints
    taps: Ints
    lows: Ints
    segments: Ints

    @staticmethod
    def of(geo: Geometry, tiling: Tiling, packed: PackedConv, ranges: Ints) -> Messages:
        """One for each range, in their order (``_fields``)."""
        cover = tiling.cover or walk_cover(packed.live, geo.kh, geo.kw)
        found = _fields(cover, ranges)
        parts = found.reshape(len(ranges), -1, found.shape[-1])
        by_row = np.split(parts[:, :, 5:], 3, axis=2)
        scaled = tiling.ckb if packed.scale else 0
        front = (front_header_bytes(geo.in_blocks, geo.front.tiles), geo.front.tiles) if geo.front else (0, 0)
        return Messages((geo.kh, geo.kw), len(packed.bias), scaled, front, *(parts[:, :, k] for k in range(5)), *by_row)

    def at(self, messages: Ints) -> Messages:
        """The messages that calls hold."""
        return self._with(np.swapaxes(part[:, messages], 0, 1) for part in self._parts)

    def take(self, messages: Ints) -> Messages:
        """These messages, any number of times."""
        return self._with(part[:, messages] for part in self._parts)

    @property
    def _parts(self) -> tuple[Ints, ...]:
        return self.blocks, self.pairs, self.full, self.lists, self.last, self.taps, self.lows, self.segments

    def _with(self, parts: Iterable[Ints]) -> Messages:
        return Messages(self.window, self.stages, self.scaled, self.front, *parts)

    def bytes(self, slot: int) -> Ints:
        """Bytes of each message, whole slots (``emit.weights.message``)."""
        taps, lows = self.taps.sum(axis=2), self.lows.sum(axis=2)
        segments = self.blocks * self.window[0]
        biases = self.stages * self.last
        header = header_bytes(self.blocks, self.pairs, biases, segments, taps + 2 * lows, self.scaled)
        header = np.where((self.blocks > 0) & (self.window != CHANNELWISE), header, HEADER_BYTES)
        header = header + np.where(self.blocks > 0, self.front[0], 0)
        tiles = self.pairs * self.window[0] * self.window[1] + taps + lows + np.where(self.blocks > 0, self.front[1], 0)
        return np.asarray(-(-(header + 64 * tiles) // slot) * slot, np.int64)


def weight_messages(geo: Geometry, tiling: Tiling, packed: PackedConv | None) -> Messages:
    """The weight messages of an item."""
    kinds, which = weight_kinds(geo, tiling, packed)
    return kinds.take(which)


def weight_kinds(geo: Geometry, tiling: Tiling, packed: PackedConv | None) -> tuple[Messages, Ints]:
    """The weight messages of an item, each that is sent again once, and which of them each message is."""
    if packed is None:
        blocks = np.array([[last - first] for first, last in tiling.block_rows], np.int64)
        none = np.zeros_like(blocks)
        kinds = Messages(CHANNELWISE, 1, 0, (0, 0), blocks, none, none, none, none, *[none[:, :, None]] * 3)
        return kinds, np.zeros(1, np.int64)
    kinds = Messages.of(geo, tiling, packed, _ranges(tiling, packed.live.shape[1]))
    if tiling.a_resident and tiling.n_ck > 1:  # messages hold fewer blocks than the activations: no row is full
        kinds = replace(kinds, full=np.zeros_like(kinds.full))
    return kinds, _sent_again(tiling, kinds, tiling.weights_per_band)


def block_calls(geo: Geometry, tiling: Tiling, packed: PackedConv | None) -> Messages:
    """What calls compute, ``nob`` columns per weight message: of the last input chunk one block each, else all."""
    kinds, which = call_kinds(geo, tiling, packed)
    return kinds.take(which)


def call_kinds(geo: Geometry, tiling: Tiling, packed: PackedConv | None) -> tuple[Messages, Ints]:
    """``block_calls``, each that comes again once, and which of them each is."""
    assert packed is not None
    ranges = np.repeat(_ranges(tiling, packed.live.shape[1]), tiling.nob, axis=3)
    begin, end, _, _ = np.moveaxis(ranges[:, :, -1], -1, 0)
    block = np.arange(tiling.nob)
    ranges[:, :, -1, :, :2] = np.minimum(np.stack([begin + block, begin + block + 1], axis=-1), end[..., None])
    kinds = Messages.of(geo, tiling, packed, ranges)
    # as in ``weight_kinds``
    kinds = replace(kinds, full=np.zeros_like(kinds.full)) if tiling.a_resident else kinds
    return kinds, _sent_again(tiling, kinds, True)


def _sent_again(tiling: Tiling, kinds: Messages, per_band: bool) -> Ints:
    """Which message each is: the chunks of a pass follow each other, again for every piece of the image (``per_band``).

    Of all passes where these are inside, as in ``emit.weights.conv_messages``.
    """
    every = np.arange(kinds.blocks.shape[1])
    steps = tiling.n_x * max(n for _, n in tiling.bands) if per_band else 1
    passes = every.reshape(1 if tiling.order == PASSES_INSIDE else tiling.n_pass, 1, -1)
    return np.repeat(passes, steps, axis=1).ravel()


def _ranges(tiling: Tiling, in_blocks: int) -> Ints:
    """Of core rows, passes and chunks of the input: output blocks [begin, end) and input blocks [lo, hi) of a message.

    (rows, passes, chunks, 1, 4).
    """
    n_ck = 1 if tiling.diagonal else tiling.n_ck
    cols = [0, in_blocks] if tiling.diagonal else np.minimum(np.arange(n_ck + 1) * tiling.ckb, in_blocks)
    first, last = np.array(tiling.block_rows, np.int64).T[:, :, None]
    edges = np.minimum(first + np.arange(tiling.n_pass + 1) * tiling.nob, last)
    out = np.empty((len(edges), tiling.n_pass, n_ck, 1, 4), np.int64)
    out[..., 0, 0], out[..., 0, 1] = edges[:, :-1, None], edges[:, 1:, None]
    out[..., 0, 2], out[..., 0, 3] = cols[:-1], cols[1:]
    return out


def _fields(cover: Cover, ranges: Ints) -> Ints:
    """Fields of ``Messages`` for ranges (..., chunks, any, 4) of which each chunk has its input blocks; those by tap
    row at the end."""
    out = np.zeros((*ranges.shape[:-1], 5 + 3 * cover.taps.shape[2]), np.int64)
    for k in range(ranges.shape[2]):
        lo, hi = ranges[0, 0, k, 0, 2:].tolist()
        sums = _sums(cover, lo, hi)
        out[:, :, k] = sums[ranges[:, :, k, :, 1]] - sums[ranges[:, :, k, :, 0]]
        out[:, :, k, :, 4] = hi == cover.blocks.shape[1]
    return out


@lru_cache(1024)
def _sums(cover: Cover, lo: int, hi: int) -> Ints:
    """The same over input blocks [lo, hi), summed up to each output block."""
    return np.asarray(np.pad(np.cumsum(_blocks_fields(cover, lo, hi), axis=0), ((1, 0), (0, 0))), np.int64)


def _blocks_fields(cover: Cover, lo: int, hi: int) -> Ints:
    """The same of each output block by itself."""
    whole = cover.blocks[:, lo:hi]
    out = np.zeros((len(whole), 5 + 3 * cover.taps.shape[2]), np.int64)
    out[:, 0], out[:, 1] = 1, whole.sum(axis=1)
    out[:, 2] = np.where(whole.all(axis=1), out[:, 1], 0) if cover.dense else 0
    if not cover.listed:
        return out
    taps, low = cover.taps[:, lo:hi].sum(axis=(1, 3)), cover.low[:, lo:hi].sum(axis=(1, 3))  # (blocks, kh)
    taps, low = taps + low % 2, low // 2
    out[:, 3] = taps.any(axis=1).astype(np.int64) + low.any(axis=1)
    out[:, 5:] = np.concatenate([taps, low, (taps > 0).astype(np.int64) + (low > 0)], axis=1)
    return out
