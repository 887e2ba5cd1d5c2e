"""Average pooling: one exact rational per divisor, proven over every possible sum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tvm_aie.relax.view import Geometry

MAX_SHIFT = 30
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rational:
    """``srs_conv_even(sum * mult, shift)``; count: taps inside the image (0 = any)."""

    count: int
    mult: int
    shift: int


def srs(value: Int64, shift: int) -> Int64:
    """Shift right with rounding half to even; a negative shift goes left."""
    if shift <= 0:
        return value << -shift
    floor = value >> shift
    rest = value - (floor << shift)
    half = np.int64(1) << (shift - 1)
    up: Int64 = ((rest > half) | ((rest == half) & ((floor & 1) == 1))).astype(np.int64)
    return floor + up


def float_chain(sums: Int64, divisor: int, factor: float | None, shift: int) -> Int64:
    """What onnxruntime computes in fp32: sum / divisor (* factor) / 2**shift, rounded half to even, clipped."""
    mean = sums.astype(np.float32) / np.float32(divisor)
    if factor is not None:
        mean = mean * np.float32(factor)
    rounded: Int64 = np.clip(np.rint(mean * np.float32(2.0**-shift)), -128, 127).astype(np.int64)
    return rounded


def exact_rational(taps: int, divisor: int, factor: float | None, shift: int) -> tuple[int, int] | None:
    """The smallest (mult, shift) equal to ``float_chain`` for every sum of ``taps`` int8 values; None if none is."""
    sums = np.arange(-128 * taps, 127 * taps + 1, dtype=np.int64)
    target = float_chain(sums, divisor, factor, shift)
    ratio = (1.0 if factor is None else float(np.float32(factor))) / divisor * 2.0**-shift
    for bits in range(MAX_SHIFT + 1):
        guess = round(ratio * 2**bits)
        if guess >= 2**31:
            return None
        for mult in (guess, guess - 1, guess + 1):
            if mult > 0 and np.array_equal(np.clip(srs(sums * mult, bits), -128, 127), target):
                return mult, bits
    return None


def tap_counts(size: int, out: int, kernel: int, stride: int, before: int, dilation: int) -> set[int]:
    """How many taps of a window lie inside the image, over all output positions of one axis."""
    counts = set()
    for position in range(out):
        first = position * stride - before
        counts.add(sum(0 <= first + tap * dilation < size for tap in range(kernel)))
    return counts


def divisor_counts(geometry: Geometry, image: tuple[int, int], out: tuple[int, int]) -> list[int]:
    """How many taps of a window lie inside the image, over all output positions, in order."""
    axes = [
        tap_counts(image[i], out[i], geometry.kernel[i], geometry.stride[i], geometry.pads[i], geometry.dilation[i])
        for i in range(2)
    ]
    return sorted({a * b for a in axes[0] for b in axes[1]})


def rationals(
    geometry: Geometry, image: tuple[int, int], out: tuple[int, int], factor: float | None, shift: int
) -> tuple[Rational, ...] | int:
    """One row per divisor that occurs; the offending count when one has no exact rational."""
    counts = divisor_counts(geometry, image, out)
    full = geometry.kernel[0] * geometry.kernel[1]
    if geometry.include_pad or counts == [full]:
        found = exact_rational(max(counts), full, factor, shift)
        return full if found is None else (Rational(0, *found),)
    rows = []
    for count in counts:
        if count == 0:
            return 0
        found = exact_rational(count, count, factor, shift)
        if found is None:
            return count
        rows.append(Rational(count, *found))
    return tuple(rows)
