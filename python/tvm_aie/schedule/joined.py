"""Items in which the lines of a band are one line (``Tiling.joined``): what the kernel sees of them.

A 1x1 convolution reads at each pixel that pixel alone, so nothing tells it where a line ends. The kernel rounds lines
up to groups of four pixels; joined, four lines of 14 pixels are 14 groups in place of 16, and of 13 pixels 13. The
message then has its channel blocks outside and the lines of each behind one another: ``[cblk][row][px][8]``.
"""

from __future__ import annotations

from dataclasses import replace

from tvm_aie.schedule.geometry import Geometry
from tvm_aie.schedule.tiling import Tiling


def input_line(geo: Geometry, tiling: Tiling) -> int:
    """Pixels of a line of the activation message, of one channel block."""
    line = tiling.line or geo.line_px(tiling.width)
    return line * geo.conv_rows(max(rows for rows, _ in tiling.bands)) if tiling.joined else line


def joined_lines(
    geo: Geometry, tiling: Tiling, out_rows: tuple[int, int], column: int
) -> tuple[Geometry, tuple[int, int]]:
    """The image that the kernel sees in a column, and the lines of it that are the column's: one for each band.

    ``out_rows``: of the column. Below the image there may be fewer rows to sum.
    """
    band, count = tiling.bands[column]
    seen = geo.joined(band, count)
    first, last = out_rows
    if geo.pool_after and last > first:
        lo, hi = geo.pool_after.rows_in(first, last - first)
        line = (hi - lo) * geo.pool_after.w
        assert seen.pool is not None
        seen = replace(seen, w_in=line, pool=replace(seen.pool, kw=line, w=line))
    return seen, (0, count)
