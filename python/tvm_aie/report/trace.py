"""Chrome trace JSON, which ui.perfetto.dev opens: one track per DMA channel, per core and per lock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

_Key = TypeVar("_Key")


class Lane(StrEnum):
    """What a span does, in the words of the Weight Block Sparsity paper's figures."""

    LOAD = "LOAD"  # activations, DDR to memtile
    LOADW = "LOADW"  # weights, DDR to memtile
    LOADFM = "LOADFM"  # activations, memtile to core
    LOADWM = "LOADWM"  # weights, memtile to core
    COMP = "COMP"
    WRITEFM = "WRITEFM"  # outputs, core to memtile
    WRITE = "WRITE"  # outputs, memtile to DDR
    CONTROL = "CONTROL"  # command processor


@dataclass(frozen=True)
class Span:
    """Something busy from ``start`` to ``end`` (cycles) on a track: a channel or the core of a tile (``group``).

    ``busy``: cycles at the full rate of the channel, of a transfer that also waits for the other end; 0: all of them.
    """

    group: str
    track: str
    name: str
    start: int
    end: int
    lane: Lane | None = None
    busy: int = 0


@dataclass(frozen=True)
class LockSample:
    """The value of a lock from ``cycle`` on."""

    group: str
    track: str
    cycle: int
    value: int


@dataclass(frozen=True)
class Timeline:
    """All spans and lock values of a run."""

    clock_mhz: float
    spans: tuple[Span, ...]
    locks: tuple[LockSample, ...] = ()

    @property
    def end(self) -> int:
        """Last cycle."""
        return max((span.end for span in self.spans), default=0)


def chrome_events(timeline: Timeline) -> list[dict[str, object]]:
    """Trace events: metadata that names the tracks, complete events, lock counters; times in microseconds."""
    groups = _number([*(span.group for span in timeline.spans), *(sample.group for sample in timeline.locks)])
    tracks = _number((span.group, span.track) for span in timeline.spans)
    events: list[dict[str, object]] = []
    for group, pid in groups.items():
        events.append({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": group}})
        events.append({"ph": "M", "name": "process_sort_index", "pid": pid, "args": {"sort_index": pid}})
    for (group, track), tid in tracks.items():
        events.append({"ph": "M", "name": "thread_name", "pid": groups[group], "tid": tid, "args": {"name": track}})
    for span in timeline.spans:
        events.append(
            {
                "ph": "X",
                "name": span.name,
                "cat": str(span.lane or "other"),
                "pid": groups[span.group],
                "tid": tracks[span.group, span.track],
                "ts": round(span.start / timeline.clock_mhz, 4),
                "dur": round((span.end - span.start) / timeline.clock_mhz, 4),
            }
        )
    for sample in timeline.locks:
        events.append(
            {
                "ph": "C",
                "name": sample.track,
                "pid": groups[sample.group],
                "ts": round(sample.cycle / timeline.clock_mhz, 4),
                "args": {"value": sample.value},
            }
        )
    return events


def write_trace(timeline: Timeline, path: Path) -> Path:
    """Write the trace; times in the viewer are emulated time."""
    data = {"displayTimeUnit": "ns", "traceEvents": chrome_events(timeline)}
    path.write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")
    return path


def occupancy(timeline: Timeline, lane: Lane, bins: int, end: int) -> list[float]:
    """Share of the lane's tracks that are busy, in ``bins`` equal slices of [0, end)."""
    spans = [span for span in timeline.spans if span.lane is lane]
    tracks = len({(span.group, span.track) for span in spans})
    busy = [0.0] * bins
    if not tracks or end <= 0:
        return busy
    width = end / bins
    for span in spans:
        length = span.end - span.start
        share = min(1.0, span.busy / length) if span.busy and length else 1.0
        first, last = int(span.start / width), min(bins - 1, int(span.end / width))
        for i in range(first, last + 1):
            busy[i] += share * max(0.0, min(span.end, (i + 1) * width) - max(span.start, i * width))
    return [min(1.0, value / (tracks * width)) for value in busy]


def _number(keys: Iterable[_Key]) -> dict[_Key, int]:
    numbers: dict[_Key, int] = {}
    for key in keys:
        numbers.setdefault(key, len(numbers) + 1)
    return numbers


def lanes_of(timelines: Sequence[Timeline]) -> list[Lane]:
    """Lanes with at least one span, in the order of the figure."""
    used = {span.lane for timeline in timelines for span in timeline.spans}
    return [lane for lane in Lane if lane in used]
