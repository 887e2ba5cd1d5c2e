"""Which division of core memory suits a network: input ring against output ring, partial sums and weights (estimated).

The rings of a core are laid out once for a whole network. A larger input ring holds more rows, larger partial sums make
each byte of input and weights serve more products, a larger output ring lets pieces be larger, and the weight ring gets
what they leave. Idealised machines only: they have no cost that grows with the number of slots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from tvm_aie.schedule.geometry import IDEAL_OVERLAYS, Overlay, divided

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
