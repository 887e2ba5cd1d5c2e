"""``NetworkReport``: the one object behind the console summary, the CSV and the JSON file.

Every figure has its unit in its name; every time says whether it is ``estimated`` (closed form), ``emulated`` or
``measured``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SCHEMA_VERSION = 1


class Label(StrEnum):
    """Where a figure comes from."""

    ESTIMATED = "estimated"
    EMULATED = "emulated"
    MEASURED = "measured"


class Bottleneck(StrEnum):
    """What bounds a layer."""

    COMPUTE = "compute"
    CORE_DMA = "core DMA"
    MEMTILE = "memtile"
    SHIM_DDR = "shim/DDR"
    CONTROL = "control"


@dataclass(frozen=True)
class Machine:
    """The device, as far as the report prints it."""

    name: str
    rows: int
    cols: int
    memtiles: int
    clock_mhz: float
    peak_macs_per_cycle: int
    ddr_gb_per_s: float  # 0 = unlimited


@dataclass(frozen=True)
class HostOp:
    """An operator that runs on the CPU, and why."""

    name: str
    op: str
    reason: str
    macs: int = 0


@dataclass(frozen=True)
class Placement:
    """Where the operators run."""

    array_ops: int
    array_macs: int
    host: tuple[HostOp, ...] = ()

    @property
    def total_ops(self) -> int:
        """Operators of the network."""
        return self.array_ops + len(self.host)

    @property
    def array_macs_percent(self) -> float:
        """Share of multiply-accumulates on the array."""
        total = self.array_macs + sum(op.macs for op in self.host)
        return 100.0 * self.array_macs / total if total else 100.0


@dataclass(frozen=True)
class Sparsity:
    """Weights before and after dropping dead blocks."""

    block: str
    blocks: int
    live_blocks: int
    dense_weight_bytes: int
    packed_weight_bytes: int
    dense_macs: int
    macs: int

    @property
    def density_percent(self) -> float:
        """Share of weight blocks that are kept."""
        return 100.0 * self.live_blocks / self.blocks if self.blocks else 100.0

    @property
    def skipped_macs_percent(self) -> float:
        """Share of multiply-accumulates that dead blocks save."""
        return 100.0 * (self.dense_macs - self.macs) / self.dense_macs if self.dense_macs else 0.0


@dataclass(frozen=True)
class Memory:
    """Peak use of each level against its size, bytes."""

    core_used_bytes: int
    core_bytes: int
    memtile_used_bytes: int
    memtile_bytes: int
    const_bytes: int
    scratch_bytes: int
    input_bytes: int
    output_bytes: int

    @property
    def ddr_bytes(self) -> int:
        """DDR footprint of one inference."""
        return self.const_bytes + self.scratch_bytes + self.input_bytes + self.output_bytes


@dataclass(frozen=True)
class Traffic:
    """Bytes moved in one inference, per class of flow (docs/program.md section 1)."""

    a_bytes: int
    w_bytes: int
    o_bytes: int
    load_bytes: int
    loadw_bytes: int
    store_bytes: int

    @property
    def ddr_bytes(self) -> int:
        """Bytes over the shims."""
        return self.load_bytes + self.loadw_bytes + self.store_bytes


@dataclass(frozen=True)
class Time:
    """One time of one inference. Host times have no array cycles (0)."""

    what: str
    label: Label
    cycles: float
    ms: float


@dataclass(frozen=True)
class LayerRow:
    """One layer. ``cycles``: from the end of the layer before to its own; the column sums to the total.

    ``estimated_cycles``: the same, by the schedule's estimate (``cost.estimate``).
    """

    name: str
    op: str
    shape: str
    start_cycle: int
    cycles: int
    estimated_cycles: float
    lower_bound_cycles: float
    macs: int
    dense_macs: int
    core_busy_cycles: int
    control_cycles: int
    core_a_bytes: int
    core_w_bytes: int
    core_o_bytes: int
    memtile_bytes: int
    ddr_load_bytes: int
    ddr_loadw_bytes: int
    ddr_store_bytes: int
    utilisation_percent: float
    bottleneck: Bottleneck
    occupancy_percent: float

    @property
    def skipped_macs(self) -> int:
        """Multiply-accumulates saved by dead blocks."""
        return self.dense_macs - self.macs

    @property
    def density_percent(self) -> float:
        """Share of multiply-accumulates that remain."""
        return 100.0 * self.macs / self.dense_macs if self.dense_macs else 100.0


@dataclass(frozen=True)
class CommandStream:
    """What the command processor does in one inference; the emulator charges for each of these."""

    bd_writes: int
    pushes: int
    waits: int


@dataclass(frozen=True)
class NetworkReport:
    """Everything that is said about one compiled (and run) network. ``layers`` is empty before a run."""

    network: str
    machine: Machine
    placement: Placement
    sparsity: Sparsity
    memory: Memory
    traffic: Traffic
    times: tuple[Time, ...]
    layers: tuple[LayerRow, ...] = ()
    commands: CommandStream | None = None

    @property
    def control_percent(self) -> float:
        """Share of the layers' cycles in which the command processor is busy."""
        cycles = sum(layer.cycles for layer in self.layers)
        return 100.0 * sum(layer.control_cycles for layer in self.layers) / cycles if cycles else 0.0

    def time(self, what: str) -> Time | None:
        """The time called ``what``."""
        return next((t for t in self.times if t.what == what), None)

    @property
    def emulated(self) -> Time | None:
        """Time of the array on the emulator."""
        return next((t for t in self.times if t.label is Label.EMULATED), None)

    @property
    def bound(self) -> Time | None:
        """max(MACs / peak, DDR bytes / bandwidth)."""
        return next((t for t in self.times if t.label is Label.ESTIMATED), None)

    def bottleneck_cycles(self) -> dict[Bottleneck, int]:
        """Cycles of the layers bounded by each resource, largest first."""
        totals: dict[Bottleneck, int] = {}
        for layer in self.layers:
            totals[layer.bottleneck] = totals.get(layer.bottleneck, 0) + layer.cycles
        return dict(sorted(totals.items(), key=lambda item: -item[1]))
