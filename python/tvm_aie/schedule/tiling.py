"""Sub-volume search: how one item is cut so that each piece fits a core, by a closed-form time (estimated).

Loop nest of a core, outermost first: passes over its output channel blocks, chunks of the width, bands of rows,
chunks of the input channels (only when the weights of a pass do not fit, accumulating in ACC).
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import lcm
from operator import itemgetter
from typing import Protocol

from tvm_aie.errors import InfeasibleError
from tvm_aie.plan.shares import split_even
from tvm_aie.schedule.bodies import all_bodies, band_cycles, compute_cycles, joined_pixels, taken_over
from tvm_aie.schedule.control import PRICE, Price, combined, control_cycles
from tvm_aie.schedule.cover import VARIANTS, Blocks, Cover, Mask
from tvm_aie.schedule.cuts import Cut, Share, band_counts, conv_shares, kept_bytes, sends_blocks
from tvm_aie.schedule.estimate import PipelineLoad, pipeline_cycles
from tvm_aie.schedule.fronts import front_cuts
from tvm_aie.schedule.geometry import PAD_WORDS, WORD, Geometry, KernelId, Overlay, ceil_div, ring_share
from tvm_aie.schedule.load import Load, RowLoad, WeightBytes
from tvm_aie.schedule.terms import KernelTerms


@dataclass(frozen=True)
class Tiling:
    """``bands``: per column (rows per band, number of bands); slots are per message; ``cycles`` is estimated."""

    block_rows: tuple[tuple[int, int], ...]  # per core row: output channel blocks [first, last)
    nob: int
    n_pass: int
    width: int
    n_x: int
    bands: tuple[tuple[int, int], ...]
    ckb: int
    n_ck: int
    a_slots: int
    o_slots: int
    cycles: float
    body: float = 0.0  # estimated cycles without the command processor
    a_resident: bool = False  # the column's whole input stays in the core; ckb then cuts the weights only
    aligned: bool = True  # ring positions are multiples of the message; else a message begins anew at the ring's end
    line: int = 0  # pixels of an input line as sent, with zeros that make messages whole slots; 0: just what is needed
    plan: str = ""  # name of the cover of a convolution (schedule.cover)
    cover: Cover | None = field(default=None, compare=False, repr=False)
    alternatives: tuple[tuple[str, float], ...] = field(default=(), compare=False, repr=False)  # best of each plan
    out_px: int = 8  # bytes of 8 channels of an output pixel
    diagonal: bool = False  # a message has the input blocks of one pass: those of the output blocks of all core rows
    order: int = 0  # of the loops, see ``schedule.order``
    kept: int = 0  # the input lies in ACC for all passes, brought by A slots of so many bytes; messages have a residual
    front: int = 0  # rows of the input, a message each, per band: a 1x1 convolution is in front (``schedule.fronts``)
    taken: int = 0  # rows between the window and a max pool behind that a band takes over from the one before
    joined: bool = False  # the lines of a band are one line of the message, and of what the kernel computes
    per_block: bool = False  # each output block of the last input chunk is computed and sent by itself
    division: Overlay | None = None  # of core memory while the item runs; None: the network's

    def o_slots_of(self, blocks: int, o_slot: int) -> int:
        """Output slots of a message of ``blocks`` channel blocks: exact, unless all messages are alike (aligned)."""
        blocks = min(blocks, 1) if self.per_block else blocks
        if self.aligned or not blocks:
            return self.o_slots if blocks else 0
        return ceil_div(blocks * max(b for b, _ in self.bands) * self.width * self.out_px, o_slot)

    @property
    def weights_per_band(self) -> bool:
        """Weights are sent again for every band and width chunk (input channels are split, or passes are inside)."""
        return self.n_ck > 1 or self.order == 2


def active_rows(tiling: Tiling, p: int) -> int:
    """Core rows that own output blocks in pass ``p`` of a convolution."""
    return sum(1 for first, last in tiling.block_rows if first + p * tiling.nob < last)


class Counter(Protocol):
    """Command processor cycles of the tilings of an item."""

    @property
    def price(self) -> Price:
        """What they cost the search."""

    @property
    def key(self) -> Hashable:
        """All that its answers depend on."""

    @property
    def first(self) -> bool:
        """Whether it is the program's first item, whose commands hide behind no other."""

    @property
    def least(self) -> float:
        """A lower bound."""

    def cycles(self, t: Tiling, enough: Callable[[float], bool] = ...) -> float:
        """Of one tiling; or a lower bound that is ``enough``."""

    def start(self, t: Tiling) -> float:
        """Cycles until what the first message has is loaded."""


def search(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    in_place: bool,
    blocks: Blocks | None = None,
    variants: frozenset[str] = VARIANTS,
    counter: Counter | None = None,
    candidates: Candidates | None = None,
    price: float = PRICE.share,
) -> Tiling:
    """Best tiling by estimated cycles.

    ``live``: Gamma (out_blocks, in_blocks) of a convolution. ``rows``: output rows of each column. ``in_place``: no
    output row or channel may be computed twice. ``blocks``: taps and bit widths inside the live blocks (None: all
    taps, int8); ``variants``: parts of the superkernel that may be used; ``counter``: command processor cycles by
    counting, in place of the closed form, and their ``price`` (``schedule.control``); ``candidates``: where they
    are known. Raises ``InfeasibleError`` when nothing fits a core.
    """
    shape = geo, live, rows, n_rows, overlay, terms, in_place, blocks, variants
    if counter is None:
        found = tilings(*shape)
    else:
        if candidates is None and counts_cuts(geo, terms):
            candidates = candidates_of(shares_of(geo, live, rows, n_rows, terms, in_place, blocks, variants), overlay)
        found = _counted(Candidates(tilings(*shape)) if candidates is None else candidates, counter, price)
    best: Tiling | None = None
    plans: dict[str, float] = {}
    for tiling in found:
        plans[tiling.plan] = min(tiling.cycles, plans.get(tiling.plan, tiling.cycles))
        best = tiling if best is None or tiling.cycles < best.cycles else best
    if best is None:
        raise _infeasible(geo, overlay)
    return replace(best, alternatives=tuple(plans.items()))


def _infeasible(geo: Geometry, overlay: Overlay) -> InfeasibleError:
    """What of the smallest piece exceeds its part of a core most: input and output of a row, of a pixel where lines can
    be cut, the weights of one pair of channel blocks, its partial sums with what a pool inside needs."""
    conv = geo.kernel == KernelId.CONV
    rows, least = (geo.kh, geo.kw) if geo.kernel == KernelId.UPSAMPLE else (1, 1)
    width = geo.w_out if geo.whole_lines or not (conv or geo.cuts_lines(least)) else least
    inputs = geo.line_px(width) * geo.in_px * geo.max_rows_in(rows) * (1 if conv else geo.n_inputs)
    # With the least of a message header. A convolution that adds a residual takes all its input channels at once.
    weights = 64 * geo.taps * (geo.in_blocks if geo.residual else 1) + 128 if conv else 0
    sums = geo.conv_rows(1) * geo.conv_px(width) * (32 + 8) if geo.pool_after else 32
    needs = (
        (inputs, overlay.a_slot * overlay.a_slots, "input", "use a smaller window or image width"),
        (rows * width * geo.out_px, overlay.o_slot * overlay.o_slots, "output", "use a smaller image width"),
        (weights, overlay.w_slot * overlay.w_slots, "weight", "use a smaller window"),
        (sums, overlay.acc_bytes, "accumulator", "use a smaller window or image width"),
    )
    demand, bound, what, lever = max(needs, key=lambda need: need[0] / need[1])
    piece = f"smallest piece of a {geo.kernel.name} with {geo.kh}x{geo.kw} window"
    return InfeasibleError(piece, demand, bound, f"bytes of core {what} memory", (lever,))


# Cycles without the command processor, name of the cover, and what makes the tiling: most are never looked at.
Candidate = tuple[float, str, Callable[[], Tiling]]


class Candidates:
    """The tilings of an item that fit a core, by their cycles without the command processor. Each is made once."""

    def __init__(
        self, made: Iterable[Tiling], cuts: Sequence[tuple[float, Share, Cut]] = (), ov: Overlay | None = None
    ):
        """All ``made``, or the ``cuts`` of a convolution with their cycles and the division of core memory."""
        self._made = dict(enumerate(sorted(made, key=lambda t: t.body)))
        self._cuts, self._ov = sorted(cuts, key=itemgetter(0)), ov
        self.plans = {share.load.cover.name for _, share, _ in cuts} or {t.plan for t in self._made.values()}

    def __len__(self) -> int:
        """Of all."""
        return len(self._cuts or self._made)

    def __iter__(self) -> Iterator[Candidate]:
        """The fastest first."""
        if not self._cuts:
            return ((t.body, t.plan, partial(self._tiling, k)) for k, t in self._made.items())
        cuts = enumerate(self._cuts)
        return ((body, share.load.cover.name, partial(self._tiling, k)) for k, (body, share, _) in cuts)

    def _tiling(self, k: int) -> Tiling:
        if k not in self._made:
            body, share, cut = self._cuts[k]
            assert self._ov is not None
            self._made[k] = _tiling_of(share, cut, self._ov, body)
        return self._made[k]


def candidates_of(shares: Iterable[Share], overlay: Overlay) -> Candidates:
    """Those of a convolution of which ``counts_cuts``. ``shares``: ``shares_of``."""
    cuts = [(share, list(share.cuts(overlay))) for share in shares]
    pairs = [(share, cut) for share, own in cuts for cut in own]
    times = all_bodies(cuts, overlay)
    return Candidates((), [(body, *pair) for body, pair in zip(times, pairs, strict=True)], overlay)


def counts_cuts(geo: Geometry, terms: KernelTerms) -> bool:
    """Whether cuts of a layer are timed together, and tilings made of the best."""
    return geo.kernel == KernelId.CONV and terms.push > 0 and not (terms.ideal or geo.front)


def _counted(candidates: Candidates, counter: Counter, price: float) -> Iterator[Tiling]:
    """Tilings under counted control costs, which are asked for only while they can matter for a plan."""
    best: dict[str, float] = {}
    counted: Counts[str] = Counts()
    least, plans = counter.least, {*candidates.plans}
    for body, plan, make in candidates:
        known = best.get(plan)
        if known is not None and (combined(body, least, price) >= known or counted[plan] >= MOST_COUNTED):
            plans.discard(plan)  # what comes behind takes no less
            if not plans:
                return
            continue
        counted[plan] += 1
        tiling = make()
        body += counter.start(tiling)
        cycles = combined(body, counter.cycles(tiling, partial(_no_better, body, known, price)), price)
        if known is None or cycles < known:
            best[plan] = cycles
            yield replace(tiling, cycles=cycles)


MOST_COUNTED = 200


def _no_better(body: float, known: float | None, price: float, control: float) -> bool:
    return known is not None and combined(body, control, price) >= known


def tilings(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    in_place: bool,
    blocks: Blocks | None = None,
    variants: frozenset[str] = VARIANTS,
) -> Iterator[Tiling]:
    """All tilings that fit, in a fixed order: the search space of an item (arguments as for ``search``)."""
    if geo.front is not None:
        return _front_tilings(geo, live, rows, n_rows, overlay, terms, blocks, variants)
    if geo.kernel == KernelId.CONV:
        shares = shares_of(geo, live, rows, n_rows, terms, in_place, blocks, variants)
        return (_tiling_of(share, cut, overlay) for share in shares for cut in share.cuts(overlay))
    return _channelwise_candidates(geo, rows, n_rows, overlay, terms, in_place)


def _front_tilings(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    overlay: Overlay,
    terms: KernelTerms,
    blocks: Blocks | None,
    variants: frozenset[str],
) -> Iterator[Tiling]:
    assert live is not None
    what = blocks or Blocks.whole(live, geo.kh, geo.kw)
    for cut in front_cuts(geo, what, rows, n_rows, overlay, terms, variants):
        sizes = cut.block_rows, cut.nob, 1, geo.w_out, 1, cut.bands, geo.in_blocks, 1, cut.a_slots, cut.o_slots
        yield Tiling(
            *sizes,
            combined(cut.body, cut.control),
            cut.body,
            line=cut.line,
            plan=cut.cover.name,
            cover=cut.cover,
            out_px=geo.out_px,
            front=cut.rows_per_band,
            taken=taken_over(geo, 1, max(n for _, n in cut.bands)),
        )


def shares_of(
    geo: Geometry,
    live: Mask | None,
    rows: tuple[int, ...],
    n_rows: int,
    terms: KernelTerms,
    in_place: bool,
    blocks: Blocks | None = None,
    variants: frozenset[str] = VARIANTS,
) -> Iterator[Share]:
    """What the search of a convolution cuts, for every division of core memory (arguments as for ``search``)."""
    assert live is not None
    what = blocks or Blocks.whole(live, geo.kh, geo.kw)
    return conv_shares(geo, what, rows, n_rows, terms, in_place, variants)


def _tiling_of(share: Share, cut: Cut, ov: Overlay, body: float | None = None) -> Tiling:
    geo, block_rows, load, terms = share.geo, share.block_rows, share.load, share.terms
    sizes = cut.nob, cut.ckb, cut.n_ck, cut.width, cut.n_x, cut.weights
    bands = share.bands(cut)
    how = ov, terms, cut.resident, share.kept, share.joined, body
    made = build_tiling(geo, block_rows, load, share.work, share.rows, bands, *sizes, *how)
    return replace(made, diagonal=True) if share.diagonal else made


def kept_slots(tiling: Tiling, geo: Geometry, height: int) -> int:
    """A slots through which the input of a column with so many output rows goes into ACC; 0 where it does not."""
    return ceil_div(kept_bytes(geo, height), tiling.kept) if tiling.kept and height > 0 else 0


def input_bytes(geo: Geometry, in_blocks: int, res_blocks: int, width: int, band: int) -> int:
    """Most bytes of an activation message: input rows, then the residual of all core rows' blocks of the pass."""
    data = geo.max_rows_in(band) * in_blocks * geo.line_px(width) * geo.in_px
    return data + res_blocks * geo.residual_bytes(band, width)


def build_tiling(
    geo: Geometry,
    block_rows: tuple[tuple[int, int], ...],
    load: Load,
    work: RowLoad,
    rows: tuple[int, ...],
    bands: tuple[tuple[int, int], ...],
    nob: int,
    ckb: int,
    n_ck: int,
    width: int,
    n_x: int,
    weights: WeightBytes,
    ov: Overlay,
    terms: KernelTerms,
    resident: bool,
    kept: bool = False,
    joined: bool = False,
    body: float | None = None,
) -> Tiling:
    """One candidate with its estimate; arguments as named there.

    ``body``: that of ``schedule.bodies``, where it is known; then commands are counted by the caller.
    """
    a_blocks = geo.in_blocks if resident else ckb
    n_pass = -(-(block_rows[0][1] - block_rows[0][0]) // nob)
    band, n_b = max(b for b, _ in bands), max(n for _, n in bands)
    n_rows = len(block_rows)
    aligned = terms.push > 0
    a = ceil_div(input_bytes(geo, 0 if kept else a_blocks, n_rows * nob, width, band), ov.a_slot)
    single = sends_blocks(geo, n_ck, terms, load.cover.listed)
    o = ceil_div((1 if single else nob) * band * width * geo.out_px, ov.o_slot)
    if aligned:
        a, o = ring_share(a, ov.a_slots), ring_share(o, ov.o_slots)
    most = block_rows[0][1] - block_rows[0][0]
    line = 0
    if aligned and not (resident or kept or joined or geo.px_step > 1 or geo.pool_before):
        line = exact_line(geo, a * ov.a_slot, a_blocks, width, band, n_rows * nob)
    taken = 0 if terms.ideal else taken_over(geo, n_ck, n_b)
    made = partial(
        Tiling, block_rows, nob, n_pass, width, n_x, bands, ckb, n_ck, a, o,
        a_resident=resident, aligned=aligned, line=line, plan=load.cover.name, cover=load.cover, out_px=geo.out_px,
        kept=ov.a_slot if kept else 0, taken=taken, joined=joined, per_block=single,
    )  # fmt: skip
    if body is not None:
        return made(cycles=body, body=body)
    steps = n_x * n_b
    messages = n_pass * steps * n_ck
    sent = _output_slots(block_rows, 1 if single else nob, band * width * geo.out_px, o, ov.o_slot, aligned)
    if terms.ideal:
        t_c = steps * geo.conv_rows(band) * geo.conv_px(width) * work.macs(geo.taps, terms) / terms.macs_per_cycle
    else:
        seen, pixels = joined_pixels(geo, band, width) if joined else (geo, (band, width))
        piece = band_cycles(seen, work, terms, most, pixels, n_ck, n_b, resident)
        t_c = float(compute_cycles(seen, terms, most, piece, n_pass, steps, n_ck, pixels[1], pixels[0]))
    pipe = PipelineLoad(
        n_pass * steps,
        n_ck,
        a,
        o,
        resident,
        t_c,
        steps * sent,
        (weights.message, weights.total * (steps if n_ck > 1 else 1)),
        messages if n_ck > 1 else n_pass,
        aligned,
        nob if single else 0,
        (n_pass, (most - (n_pass - 1) * nob) / max(most, 1)),
        ceil_div(kept_bytes(geo, max(rows)), ov.a_slot) if kept else 0,
        n_rows,
    )
    body = pipeline_cycles(pipe, ov, terms)
    shape = rows, n_pass, n_x, width, band, n_b, a_blocks, 1 if resident else n_ck, most % nob != 0, n_rows
    control = control_cycles(geo, *shape, terms)
    return made(cycles=combined(body, control), body=body)


def _output_slots(
    block_rows: tuple[tuple[int, int], ...], nob: int, block_bytes: int, o: int, slot: int, aligned: bool
) -> int:
    """Output slots that the cores of a column send for one piece of the image, all passes."""
    total = 0
    for first, last in block_rows:
        full, rest = divmod(last - first, nob)
        total += full * o + ((o if aligned else ceil_div(rest * block_bytes, slot)) if rest else 0)
    return total


def exact_line(geo: Geometry, size: int, blocks: int, width: int, band: int, res_blocks: int) -> int:
    """Pixels of an input line with which a message has just ``size`` bytes, whole rows of zeros included; 0 if none.

    The memtile's DMA adds up to 63 words to a line, the window's own padding included, and 15 rows to a message
    (docs/program.md section 3).
    """
    rows, line = geo.max_rows_in(band), geo.line_px(width)
    behind = geo.conv_x(geo.w_out - width) * geo.sx - geo.pad_left + line - geo.w_in
    most = PAD_WORDS * WORD // geo.in_px - max((geo.kw - 1) * geo.dx, behind)
    residual = res_blocks * geo.residual_bytes(band, width)
    data = size - residual
    for px in range(line, line + most + 1):
        extra, rest = divmod(data, px * blocks * geo.in_px)
        if extra < rows:
            break
        if rest == 0 and (extra == rows or (extra - rows <= 12 and not geo.residual and geo.row_step == 1)):
            return px
    return 0


def _channelwise_candidates(
    geo: Geometry, rows: tuple[int, ...], n_rows: int, ov: Overlay, terms: KernelTerms, in_place: bool
) -> Iterator[Tiling]:
    """With whole lines; only where these do not fit with lines in chunks, the widest and some narrower ones."""
    fitting = 0
    for width, n_x in _channelwise_widths(geo, in_place):
        found = False
        for tiling in _channelwise_cuts(geo, (width, n_x), rows, n_rows, ov, terms, in_place):
            found = True
            yield tiling
        fitting += found
        if fitting and (n_x == 1 or fitting == MOST_WIDTHS):
            break


MOST_WIDTHS = 6  # of chunks that fit, for channel-wise kernels


def _channelwise_widths(geo: Geometry, in_place: bool) -> Iterator[tuple[int, int]]:
    """(width, chunks) of output lines, widest first: groups of 4 pixels, of an upsampling whole input pixels."""
    unit = lcm(4, geo.kw) if geo.kernel == KernelId.UPSAMPLE else 4
    known: set[int] = set()
    for n_x in range(1, geo.w_out + 1):
        width = ceil_div(geo.w_out, n_x)
        if n_x > 1:
            width = ceil_div(width, unit) * unit
            if in_place:  # no pixel may be computed twice
                width = next((w for w in range(width, 0, -1) if geo.w_out % w == 0 and geo.cuts_lines(w)), 0)
            if not 0 < width < geo.w_out or width in known or not geo.cuts_lines(width):
                continue
        known.add(width)
        if geo.sends_lines(width, False):
            yield width, ceil_div(geo.w_out, width)


def _channelwise_cuts(
    geo: Geometry,
    pixels: tuple[int, int],
    rows: tuple[int, ...],
    n_rows: int,
    ov: Overlay,
    terms: KernelTerms,
    in_place: bool,
) -> Iterator[Tiling]:
    """``pixels``: width of a chunk, and how many there are."""
    total, (width, n_x) = geo.out_blocks, pixels
    line = geo.line_px(width) * geo.in_px * geo.n_inputs
    unit = geo.kh if geo.kernel == KernelId.UPSAMPLE else 1
    for ckb in range(1, total + 1):
        if (in_place and total % ckb) or (ckb > n_rows and ckb % n_rows and ckb != total):
            continue
        own = -(-ckb // n_rows)
        n_pass = -(-total // ckb)
        for n_b in range(1, max(rows) + 1):
            band = ceil_div(ceil_div(max(rows), n_b), unit) * unit
            bands = band_counts(rows, band, in_place, unit)
            aligned = terms.push > 0
            a = -(-geo.max_rows_in(band) * ckb * line // ov.a_slot)
            o = -(-own * band * width * 8 // ov.o_slot)
            if aligned:
                a, o = ring_share(a, ov.a_slots), ring_share(o, ov.o_slots)
            if not 0 < a <= ov.a_slots or not 0 < o <= ov.o_slots:
                continue
            messages = n_pass * n_x * max(n for _, n in bands)
            t_a = messages * a * ov.a_slot / WORD / terms.a_rate
            sent = _output_slots(split_even(ckb, n_rows), own, band * width * 8, o, ov.o_slot, aligned)
            t_o = messages * ov.o_slot / WORD * max(o / terms.o_rate, sent / terms.o_link)
            taps = geo.n_inputs if geo.kernel == KernelId.ADD else geo.taps * geo.in_elem
            t_c = 0.0 if terms.ideal else messages * own * band * -(-width // 4) * taps * 2.0
            body = max(t_a, t_o, t_c) if 2 * a <= ov.a_slots else max(t_a + t_c, t_o)
            n_most = max(n for _, n in bands)
            ragged = total % ckb != 0
            passes = n_pass if n_most * n_x > 1 else 1 + ragged
            shape = rows, passes, n_x, width, band, n_most, ckb, 1, ragged, n_rows
            control = control_cycles(geo, *shape, terms)
            body += (a * ov.a_slot + o * ov.o_slot) / WORD + messages * 30
            cycles = combined(body, control)
            rows_of = split_even(ckb, n_rows)
            yield Tiling(rows_of, own, n_pass, width, n_x, bands, ckb, 1, a, o, cycles, body, False, aligned)
            if 2 * a <= ov.a_slots:
                break
