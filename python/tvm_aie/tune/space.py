"""The search space of one workload as named knobs, and the key under which its records are filed."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tvm_aie.device import Device
from tvm_aie.schedule.cover import Blocks
from tvm_aie.schedule.geometry import Front, Geometry, KernelId, Overlay, PoolStage
from tvm_aie.schedule.order import variants
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import Tiling, search, tilings
from tvm_aie.searches import Workload, charged

SPACE_VERSION = 10  # records of another version mean something else and are not used
Values = tuple[int, ...]

# What each knob says about a tiling. Fields that follow from these are no knobs.
KNOBS: dict[str, Callable[[Tiling], int]] = {
    "in_blocks": lambda t: t.ckb,
    "out_blocks": lambda t: t.nob,
    "width": lambda t: t.width,
    "band": lambda t: max(rows for rows, _ in t.bands),
    "bands": lambda t: max(count for _, count in t.bands),
    "resident_input": lambda t: int(t.a_resident),
    "diagonal": lambda t: int(t.diagonal),
    "kept_input": lambda t: int(t.kept > 0),
    "order": lambda t: t.order,
}
_SEEN = {"block_rows", "nob", "n_pass", "width", "n_x", "bands", "ckb", "n_ck", "a_slots", "o_slots", "a_resident",
         "order", "kept"}  # fmt: skip
_SEEN |= {"diagonal", "line", "cover", "alternatives"}  # the cover follows from its name, ``plan``


@dataclass(frozen=True, eq=False)
class Space:
    """Feasible tilings by knob values; ``knobs``: name -> its possible values, only those with more than one."""

    work: Workload
    key: str
    knobs: dict[str, Values]
    points: dict[Values, Tiling]
    untuned: Values | None = None  # the choice of an untuned compile where that counts commands

    @cached_property
    def order(self) -> tuple[Values, ...]:
        """All points in a fixed order; a network record names a point by its place here."""
        return tuple(sorted(self.points))

    @cached_property
    def index(self) -> dict[Values, int]:
        """Place of each point in ``order``."""
        return {p: i for i, p in enumerate(self.order)}

    @cached_property
    def default(self) -> Values:
        """Best point by estimate: what an untuned compile uses."""
        if self.untuned:
            return self.untuned
        own = [p for p, t in self.points.items() if t.order == 0] or list(self.points)
        return min(own, key=lambda p: self.points[p].cycles)

    def tiling(self, values: Mapping[str, int]) -> Tiling | None:
        """The tiling that named values mean; None when no such piece fits a core, or the names are not the knobs."""
        if set(values) != set(self.knobs):
            return None
        return self.points.get(tuple(values[name] for name in self.knobs))

    @cached_property
    def _places(self) -> npt.NDArray[np.float64]:
        """Per point and knob, the place of its value among the knob's values, scaled to 0..1."""
        columns = [{v: i / (len(values) - 1) for i, v in enumerate(values)} for values in self.knobs.values()]
        return np.array([[column[v] for column, v in zip(columns, p, strict=True)] for p in self.order]).reshape(
            len(self.order), len(columns)
        )

    def nearest(self, values: Mapping[str, int]) -> Values:
        """The feasible point closest to a combination of knob values: itself, or fewest and smallest changes."""
        point = tuple(values[name] for name in self.knobs)
        if point in self.points:
            return point
        place = np.array([vs.index(v) / (len(vs) - 1) for vs, v in zip(self.knobs.values(), point, strict=True)])
        apart = np.abs(self._places - place)
        return self.order[int(np.argmin((apart > 0).sum(axis=1) + apart.sum(axis=1)))]

    def neighbours(self, point: Values) -> list[Values]:
        """Feasible points that differ in one knob, or else in two."""
        for distance in (1, 2):
            near = [p for p in self.points if sum(a != b for a, b in zip(p, point, strict=True)) == distance]
            if near:
                return near
        return []


def space_of(work: Workload, device: Device) -> Space:
    """Enumerate every tiling of ``work`` that fits."""
    overlay = work.overlay
    terms = terms_from_keys(device.keys())
    found = []
    shares = work.rows, work.n_rows, overlay, terms, work.in_place
    for tiling in tilings(work.geometry, work.live, *shares, work.blocks):
        found.append(tiling)
        bands = max(count for _, count in tiling.bands)
        found += variants(tiling, work.geometry, work.live, bands, overlay, terms)
    getters = _getters(found)
    table = {tuple(get(t) for get in getters.values()): t for t in sorted(found, key=lambda t: -t.cycles)}
    columns = list(zip(*table, strict=True)) if table else [()] * len(getters)
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    names = list(getters)
    knobs = {names[i]: tuple(sorted(set(columns[i]))) for i in varying}
    points = {tuple(point[i] for i in varying): t for point, t in table.items()}
    untuned = None
    if work.counter:
        shape = work.geometry, work.live, work.rows, work.n_rows
        asked, price = charged(work, terms)
        best = search(*shape, overlay, asked, work.in_place, work.blocks, counter=work.counter, price=price)
        untuned = tuple(get(best) for i, get in enumerate(getters.values()) if i in varying)
        # The same choice as the table's has that one's estimates: a record, which is read back without a counter, means
        # the tiling of these. Estimates decide when commands are pushed, and so the time.
        points.setdefault(untuned, best)
    return Space(work, workload_key(work, device), knobs, points, untuned)


def _getters(found: list[Tiling]) -> dict[str, Callable[[Tiling], int]]:
    """The knobs, and one more for every other choice that ``Tiling`` carries (floats are estimates, no choices)."""
    others = [f.name for f in fields(Tiling) if f.name not in _SEEN]
    extra = [name for name in others if not any(isinstance(getattr(t, name), float) for t in found)]
    getters = dict(KNOBS)
    for name in extra:
        values = sorted({repr(getattr(t, name)) for t in found})
        getters[name] = _indexer(name, {v: i for i, v in enumerate(values)})
    return getters


def _indexer(name: str, index: Mapping[str, int]) -> Callable[[Tiling], int]:
    return lambda t: index[repr(getattr(t, name))]


def workload_key(work: Workload, device: Device) -> str:
    """Canonical text of everything that a tiling's time depends on: device, layer geometry, Gamma, core memory map."""
    gamma = None
    if work.live is not None:
        gamma = [list(work.live.shape), hashlib.sha256(_gamma_bits(work)).hexdigest()[:32], work.blocks is not None]
    key = {
        "version": SPACE_VERSION,
        "device": [device.name, device_digest(device)],
        "overlay": asdict(work.overlay),
        "geometry": _numbers(work.geometry),
        "rows": list(work.rows),
        "n_rows": work.n_rows,
        "in_place": bool(work.in_place),
        "gamma": gamma,
    }
    return json.dumps(key, sort_keys=True, separators=(",", ":"))


def _numbers(geometry: Geometry) -> dict[str, Any]:
    """A geometry as plain numbers; the pool inside a convolution's call and the front of it, if any, as lists."""
    out: dict[str, Any] = {
        f.name: int(getattr(geometry, f.name)) for f in fields(geometry) if f.name not in ("pool", "front")
    }
    if geometry.pool is not None:
        out["pool"] = [int(v) for v in asdict(geometry.pool).values()]
    if geometry.front is not None:
        out["front"] = [int(v) for v in asdict(geometry.front).values()]
    return out


def _geometry(numbers: Mapping[str, Any]) -> Geometry:
    pool = None
    if "pool" in numbers:
        before, average, *window, scale, sums = numbers["pool"]
        kh, kw, sy, sx, top, left, h, w = window
        pool = PoolStage(bool(before), bool(average), kh, kw, sy, sx, top, left, h, w, bool(scale), bool(sums))
    front = Front(*numbers["front"]) if "front" in numbers else None
    return Geometry(**{**numbers, "kernel": KernelId(numbers["kernel"]), "pool": pool, "front": front})


def device_digest(device: Device) -> str:
    """Fingerprint of a device's numbers, so that an edited copy of a device file is another device."""
    text = {"description", "calibration_rows", "provenance", "silicon"}
    numbers = {f.name: repr(getattr(device, f.name)) for f in fields(device) if f.name not in text}
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]


def _gamma_bits(work: Workload) -> bytes:
    """Gamma; or, where a cover may be finer than that, the live taps and then which of them fit int4."""
    if work.blocks is None:
        assert work.live is not None
        return np.packbits(work.live).tobytes()
    return np.packbits(np.stack([work.blocks.taps, work.blocks.narrow])).tobytes()


def gamma_text(work: Workload) -> str:
    """Gamma, compressed, so that a record can be read back without the network."""
    if work.live is None:
        return ""
    return base64.b64encode(zlib.compress(_gamma_bits(work), 9)).decode()


def workload_from(key: str, gamma: str) -> Workload:
    """The workload that ``workload_key`` and ``gamma_text`` described. Raises ``ValueError`` or ``KeyError``."""
    raw: dict[str, Any] = json.loads(key)
    if raw["version"] != SPACE_VERSION:
        raise ValueError(f"version {raw['version']}, this is version {SPACE_VERSION}")
    geometry = _geometry(raw["geometry"])
    live = blocks = None
    if raw["gamma"]:
        shape, digest, fine = raw["gamma"]
        packed = zlib.decompress(base64.b64decode(gamma))
        if hashlib.sha256(packed).hexdigest()[:32] != digest:
            raise ValueError("Gamma does not match its digest")
        sizes = (2, *shape, geometry.kh, geometry.kw) if fine else tuple(shape)
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=math.prod(sizes)).astype(bool).reshape(sizes)
        blocks = Blocks(bits[0], bits[1]) if fine else None
        live = blocks.live if blocks else bits
    name = f"{geometry.kernel.name.lower()}-{digest_of(key)}"
    shares = tuple(raw["rows"]), raw["n_rows"], raw["in_place"]
    return Workload(name, raw["device"][0], geometry, *shares, live, blocks, Overlay(**raw["overlay"]))


def digest_of(key: str) -> str:
    """Short name of a workload key."""
    return hashlib.sha256(key.encode()).hexdigest()[:10]
