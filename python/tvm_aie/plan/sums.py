"""Global average pools in two steps: partial sums in the call of the convolution in front, then the sums of those.

    conv -> x (int8)                    conv, sums in one item: x stays in the core, int16 sums of some rows leave it
    out = requant(sum(x) * mult)        out = requant(sum(sums) * mult)

Before: the whole of x is written, and one core per channel reads all of its pixels; as they come from all columns, they
go through DDR. After: a pixel per column or so, which the column in the middle of three finds in its own memtile and
its neighbours'. Of four columns the last writes its sums into the memtile next door. Integers are added in another
order and rounded at the same place, so the outputs are identical.
"""

from __future__ import annotations

from dataclasses import replace

from tvm_aie.plan.graph import AvgDivisor, Conv, Pool, Tensor

MOST_SUMMED = 256  # values of int8 whose sum fits int16: -128 * 256 = -2**15
NEAR = 3  # columns whose memtiles one column reads
REACHED = NEAR + 1  # columns whose sums it reads where the last one writes them next door (``memory.partition``)


def rows_per_sum(pool: Pool, image: Tensor, columns: int, reached: int = NEAR) -> int:
    """Rows of ``image`` in one partial sum of a global average pool; 0: there are none.

    So many that ``reached`` columns have all sums and the fullest has the fewest rows; of these the fewest sums.
    """
    (kh, kw), (top, left, bottom, right), height = pool.kernel, pool.pads, image.height
    whole = kh == height + top + bottom and kw == image.width + left + right
    if not whole or height == 1 or _divisor(pool, image) is None:
        return 0
    found: list[tuple[int, int]] = []
    for rows in range(1, min(height, MOST_SUMMED // image.width) + 1 if columns else 1):
        count = -(-height // rows)
        share = -(-count // columns)
        if -(-count // share) <= reached:
            found.append((share * rows, -rows))
    return -min(found)[1] if found else 0


def _divisor(pool: Pool, image: Tensor) -> AvgDivisor | None:
    taps = image.height * image.width
    return next((d for d in pool.divisors if d.count in (0, taps)), None)


def with_sums(conv: Conv, pool: Pool, image: Tensor, rows: int) -> tuple[Conv, Pool, Tensor]:
    """The convolution with its sums of ``rows`` rows, the pool that adds those, and the tensor between them.

    ``image``: the convolution's output that the global ``pool`` reads.
    """
    divisor = _divisor(pool, image)
    assert divisor is not None
    count = -(-image.height // rows)
    between = Tensor(f"{image.name}:sums", image.channels, count, 1, image.exponent, 16)
    pads = 0, 0, count * rows - image.height, 0
    window = (rows, image.width), (rows, image.width)
    sums = Pool(f"{pool.name}:sums", image.name, between.name, *window, pads, sums=True)
    unpadded = replace(pool, stride=(1, 1), pads=(0, 0, 0, 0), divisors=(replace(divisor, count=0),))
    rest = replace(unpadded, input=between.name, kernel=(count, 1))
    return replace(conv, output=between.name, pool_after=sums), rest, between
