"""Power-of-two scales: the exponent of every tensor, and the limits that tie them together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

MIN_EXPONENT, MAX_EXPONENT = -24, 16
CANDIDATES = 4  # the covering exponent and the next finer ones
MAX_SHIFT, MAX_BIAS_COARSER, MAX_ADD_DISTANCE = 15, 15, 7
EMPTY_EXPONENT = -7  # of an all-zero tensor
FloatArray = npt.NDArray[np.float32]


def covering_exponent(largest: float) -> int:
    """The smallest e with ``largest <= 127 * 2**e``."""
    if largest <= 0:
        return EMPTY_EXPONENT
    exponent = int(np.ceil(np.log2(largest / 127)))
    while largest > 127 * 2.0**exponent:
        exponent += 1
    return int(np.clip(exponent, MIN_EXPONENT, MAX_EXPONENT))


def best_exponent(values: FloatArray, largest: float) -> int:
    """The exponent of least mean square error over the covering one and three finer (clipping) ones."""
    cover = covering_exponent(largest)
    if largest <= 0 or values.size == 0:
        return cover
    exact = values.astype(np.float64)
    best, best_error = cover, np.inf
    for exponent in range(cover, max(cover - CANDIDATES, MIN_EXPONENT - 1), -1):
        scale = 2.0**exponent
        error = float(np.sum((np.clip(np.rint(exact / scale), -128, 127) * scale - exact) ** 2))
        if error < best_error:
            best, best_error = exponent, error
    return best


@dataclass
class Exponents:
    """Exponent per tensor, in groups that share one (union-find); a group takes its coarsest member's."""

    own: dict[str, int]
    parent: dict[str, str] = field(default_factory=dict)

    def find(self, tensor: str) -> str:
        """The representative of a tensor's group."""
        root = tensor
        while self.parent.get(root, root) != root:
            root = self.parent[root]
        self.parent[tensor] = root
        return root

    def join(self, a: str, b: str) -> None:
        """From now on the two share one exponent."""
        a, b = self.find(a), self.find(b)
        if a != b:
            self.own[a] = max(self.own[a], self.own[b])
            self.parent[b] = a

    def __getitem__(self, tensor: str) -> int:
        """The exponent of a tensor."""
        return self.own[self.find(tensor)]

    def raise_to(self, tensor: str, exponent: int) -> bool:
        """Make a group at least this coarse; True when that changed something."""
        root = self.find(tensor)
        if self.own[root] >= exponent:
            return False
        self.own[root] = exponent
        return True


def weight_exponent(values: FloatArray, x: int, out: int) -> int:
    """Least-square-error exponent of a weight, coarsened until the output shift ``out - x - w`` is at most 15."""
    flat = values.reshape(-1)
    step = max(1, flat.size >> 20) | 1
    chosen = best_exponent(flat[::step], float(np.max(np.abs(flat))) if flat.size else 0.0)
    return max(chosen, out - x - MAX_SHIFT)


def bias_exponent(values: FloatArray, accumulator: int, out: int, leaky: bool) -> int:
    """Exponent of an int8 bias, within XINT8's limits against the accumulator's LSB ``2**accumulator``.

    Coarser by at most 15 bits; finer by at most 16 less the output shift, and not at all before a leaky ReLU.
    """
    largest = float(np.max(np.abs(values))) if values.size else 0.0
    if largest == 0:
        return accumulator
    finer = 0 if leaky else max(0, 16 - max(0, out - accumulator))
    return int(np.clip(best_exponent(values, largest), accumulator - finer, accumulator + MAX_BIAS_COARSER))


def quantize_int8(values: FloatArray, exponent: int) -> npt.NDArray[np.int8]:
    """``clip(round-half-even(values / 2**exponent), -128, 127)``."""
    scaled = values * np.float32(2.0**-exponent)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, -128, 127, out=scaled).astype(np.int8)
