"""Which division of core memory suits a network: input ring against output ring, partial sums and weights (estimated).

The rings of a core are laid out once for a whole network, or, but for the weight ring, anew for each item
(``schedule.rings``; ``emit.division`` says how). A larger input ring holds more rows, larger partial sums make each
byte of input and weights serve more products, a larger output ring lets pieces be larger, and the weight ring gets what
they leave. Idealised machines only: they have no cost that grows with the number of slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf

from tvm_aie.schedule.geometry import CORE_MEMORY, IDEAL_OVERLAYS, Overlay, divided
from tvm_aie.schedule.grid import Grid, choose, least_of
from tvm_aie.schedule.rings import Divisions, Fitted
from tvm_aie.schedule.tiling import Tiling

A_RINGS = ((256, 36), (256, 48), (256, 60), (512, 36), (512, 42), (512, 48), (512, 60))  # bytes of a slot, slots
O_RINGS = ((128, 36), (128, 48), (128, 60), (192, 48), (256, 48), (256, 60))
ACC_BYTES = tuple(range(4096, 40961, 4096))
LEAST_W_SLOTS = 8
Place = tuple[int, int, int]  # in A_RINGS, O_RINGS, ACC_BYTES


def division(place: Place) -> Overlay | None:
    """The division with these rings; None when they leave too little for the weights."""
    overlay = divided(*A_RINGS[place[0]], *O_RINGS[place[1]], ACC_BYTES[place[2]])
    return overlay if overlay.w_slots >= LEAST_W_SLOTS else None


def neighbours(place: Place) -> Iterator[Place]:
    """One ring a size up or down, or one up and another down."""
    sizes = len(A_RINGS), len(O_RINGS), len(ACC_BYTES)
    steps = [(i, d) for i in range(3) for d in (-1, 1)]
    moves = [[s] for s in steps] + [[s, t] for s in steps for t in steps if s[0] < t[0] and s[1] != t[1]]
    for move in moves:
        at = list(place)
        for i, d in move:
            at[i] += d
        if all(0 <= x < n for x, n in zip(at, sizes, strict=True)):
            yield at[0], at[1], at[2]


STARTS: tuple[Place, ...] = ((0, 0, 2), (1, 3, 5), (3, 0, 1), (3, 1, 3))


def best_divisions(cost: Callable[[Overlay], float], count: int) -> list[Overlay]:
    """The ``count`` divisions of least ``cost`` (cycles, infinite when a layer does not fit) that a descent meets.

    Starts at the fixed divisions and at ``STARTS``; deterministic. Empty when no division that was met fits.
    """
    found = {overlay: cost(overlay) for overlay in IDEAL_OVERLAYS}
    known: dict[Place, float] = {}

    def at(place: Place) -> float:
        if place not in known:
            overlay = division(place)
            known[place] = cost(overlay) if overlay else inf
            if overlay:
                found[overlay] = known[place]
        return known[place]

    here = min(STARTS, key=at)
    while True:
        ahead = min(neighbours(here), key=at)
        if at(ahead) >= at(here):
            break
        here = ahead
    return sorted((o for o, cycles in found.items() if cycles < inf), key=found.__getitem__)[:count]


# Weight rings of divisions that are switched: bytes of a slot, slots. Of these a ring has at most 63.
W_RINGS = (*((512, n) for n in (16, 24, 32, 40, 48, 56, 63)), (1024, 36), (1024, 40))
# Rings of activations and outputs where nothing is summed up: as wide as the weight ring allows.
WIDE = ((512, 48, 256, 48), (512, 42, 256, 48), (512, 36, 256, 36), (512, 24, 256, 24), (512, 18, 256, 18))


def wide(w_slot: int, w_slots: int) -> Overlay:
    """The division with a weight ring for items whose tilings are searched one division at a time."""
    weights = w_slot * w_slots
    for rings in WIDE:
        whole = divided(*rings, 0)
        rest = CORE_MEMORY - (whole.core_bytes - whole.w_slots * whole.w_slot) - weights
        if rest >= 0:
            break
    return replace(whole, w_slot=w_slot, w_slots=w_slots, acc_bytes=rest // 64 * 64)


def choose_of(options: Sequence[Grid], divisions: Divisions) -> Tiling | None:
    """The best tiling over all divisions, which it names; None when nothing fits."""
    _, overlay = least_of(options, divisions)
    if overlay is None:
        return None
    tiling = choose(options, overlay)
    return tiling and replace(tiling, division=overlay)


STARTS_AT = 5  # in W_RINGS
NEARLY = 1.02  # times the least cost


def best_switches(cost: Callable[[Fitted], float], count: int) -> list[Fitted]:
    """The divisions beside at most ``count`` weight rings, that of least ``cost`` first.

    ``cost``: cycles, infinite: does not fit. A descent over the sizes of the weight ring, then the sizes on both sides
    while they cost nearly as little; all of them are tried where none that the descent meets fits.
    """
    known: dict[int, float] = {}

    def at(k: int) -> float:
        if k not in known:
            known[k] = cost(Fitted(*W_RINGS[k])) if 0 <= k < len(W_RINGS) else inf
        return known[k]

    here = STARTS_AT
    while True:
        ahead = min((here - 1, here + 1), key=at)
        if at(ahead) >= at(here):
            break
        here = ahead
    if at(here) == inf:
        here = min(range(len(W_RINGS)), key=at)
        if at(here) == inf:
            return []
    found = [here]
    ends = {-1: here, 1: here}  # of the sizes that are near, smaller and larger
    while len(found) < count and ends:
        for side in tuple(ends):
            ends[side] += side
            if at(ends[side]) > at(here) * NEARLY:
                del ends[side]
            elif len(found) < count:
                found.append(ends[side])
    return [Fitted(*W_RINGS[k]) for k in sorted(found, key=lambda k: (known[k], k))]
