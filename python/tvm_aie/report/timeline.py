"""The time line as a picture in the manner of the Weight Block Sparsity paper: lanes against time, variants stacked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tvm_aie.errors import InputError
from tvm_aie.report.trace import Lane, Timeline, lanes_of, occupancy

BINS = 1200
_COLOURS = {
    Lane.LOAD: "#1f77b4",
    Lane.LOADW: "#17becf",
    Lane.LOADFM: "#2ca02c",
    Lane.LOADWM: "#98a800",
    Lane.COMP: "#d62728",
    Lane.WRITEFM: "#ff7f0e",
    Lane.WRITE: "#9467bd",
    Lane.CONTROL: "#7f7f7f",
}


def write_timeline(variants: Sequence[tuple[str, Timeline]], path: Path) -> Path:
    """One panel per variant over one time axis; the fill of a lane is the share of its tracks that is busy."""
    try:
        import matplotlib
    except ImportError as error:
        raise InputError("the time line picture needs matplotlib: pip install 'tvm-aie[plot]'") from error
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    timelines = [timeline for _, timeline in variants]
    lanes = lanes_of(timelines)
    end_ms = max(timeline.end / (timeline.clock_mhz * 1e3) for timeline in timelines)
    figure, axes = plt.subplots(
        len(variants), 1, sharex=True, squeeze=False, figsize=(14, 0.6 + len(variants) * (0.7 + 0.42 * len(lanes)))
    )
    for (title, timeline), axis in zip(variants, axes[:, 0], strict=True):
        end = round(end_ms * timeline.clock_mhz * 1e3)
        edges = [end_ms * i / BINS for i in range(BINS)]
        for row, lane in enumerate(reversed(lanes)):
            busy = occupancy(timeline, lane, BINS, end)
            top = [row + 0.86 * share for share in busy]
            axis.fill_between(edges, row, top, step="post", color=_COLOURS[lane], linewidth=0)
            axis.axhline(row, color="#dddddd", linewidth=0.6)
        own_ms = timeline.end / (timeline.clock_mhz * 1e3)
        axis.axvline(own_ms, color="black", linewidth=0.8, linestyle="--")
        axis.set_yticks([row + 0.43 for row in range(len(lanes))], [str(lane) for lane in reversed(lanes)])
        axis.set_ylim(0, len(lanes))
        axis.set_xlim(0, end_ms * 1.01)
        axis.set_title(f"{title}: {own_ms:.3f} ms emulated, without launch", loc="left", fontsize=11)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[-1, 0].set_xlabel("emulated time (ms); height: share of the lane's channels or cores that is busy")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
