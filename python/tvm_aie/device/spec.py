"""``Device``: the one description of a machine that every stage reads. Built by ``load.load_device`` only."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

FLOW_CLASSES = ("a", "w", "o", "load", "loadw", "store")
FIXED_ONE = 1 << 20  # a program carries device numbers as value x 2**20, rounded
CHANNELWISE_KERNELS = ("add", "maxpool", "avgpool", "upsample")


@dataclass(frozen=True)
class Quantity:
    """One number of a device file with where it comes from; ``tag``: derived | calibrated | assumed."""

    key: str
    value: float
    unit: str
    source: str
    tag: str


@dataclass(frozen=True)
class BdLimits:
    """Field widths of one kind of buffer descriptor.

    ``wrap_bits`` and ``pad_bits`` are innermost (D0) first. A wrap of 0 bits is bounded by the length alone; a pad of
    0 bits means that the tile cannot pad.
    """

    dims: int
    length_bits: int
    base_bits: int
    step_bits: int
    wrap_bits: tuple[int, int, int]
    iteration_step_bits: int
    pad_bits: tuple[int, int, int]

    @property
    def length_max_words(self) -> int:
        """Largest transfer in words."""
        return (1 << self.length_bits) - 1

    @property
    def step_max_words(self) -> int:
        """Largest stride in words (stored minus one)."""
        return 1 << self.step_bits

    @property
    def iteration_step_max_words(self) -> int:
        """Largest iteration step in words (stored minus one)."""
        return 1 << self.iteration_step_bits

    def wrap_max(self, dim: int) -> int:
        """Largest size of dimension ``dim`` (0 = innermost)."""
        bits = self.wrap_bits[dim] if dim < len(self.wrap_bits) else 0
        return (1 << bits) - 1 if bits else self.length_max_words

    def pad_max(self, dim: int) -> int:
        """Largest padding before or after dimension ``dim`` (0 = innermost, in words)."""
        return (1 << self.pad_bits[dim]) - 1 if dim < len(self.pad_bits) and self.pad_bits[dim] else 0


@dataclass(frozen=True)
class ConvCost:
    """Cycles of a convolution call (docs/device-keys.md).

    ``call + chunks*a + sum_n trips[n]*max(ii_min, n*ii_per_acc) + blocks*gamma``, and with unrolled lists
    ``+ sum_n trips_int4[n]*max(ii_min, n*int4_per_acc) + segments*segment + entries*entry``.
    """

    call: float
    a: float
    ii_per_acc: float
    ii_min: float
    gamma: float
    entry: float
    segment: float
    int4_per_acc: float
    int16_per_acc: float  # instead of ii_per_acc with int16 activations


@dataclass(frozen=True)
class ChannelwiseCost:
    """``call + lines*a + vectors*ii`` cycles."""

    call: float
    a: float
    ii: float


@dataclass(frozen=True)
class InstructionBudget:
    """Program memory in bytes of the interpreter, of each kernel and of each variant of the convolution."""

    superkernel: int
    conv: int
    conv_dense: int
    conv_list: int
    conv_int4: int
    conv_int16: int
    add: int
    maxpool: int
    avgpool: int
    upsample: int
    keep: int
    scale: int
    front: int

    def total(self, kernels: frozenset[str] | set[str]) -> int:
        """Bytes of a superkernel that links ``kernels``."""
        return self.superkernel + sum(int(getattr(self, name)) for name in sorted(kernels))


@dataclass(frozen=True)
class SiliconFit:
    """Constants of ``cost.silicon``, which predicts measurements of other people's programs on this device.

    GEMM: ``launch + max(slowdown * MACs / peak, bytes / bandwidth)``. GEMM kernels: per accumulator group
    ``a + k_steps * ii`` cycles. They do not enter any compile.
    """

    gemm_launch_us: float
    gemm_slowdown: float
    gemm_gb_per_s: float
    shim_s2mm_wait_cycles: float
    vector_call_cycles: float
    mm_i8_a: float
    mm_i8_ii: float
    mm_i16_a: float
    mm_i16_ii: float
    mm_bf16_a: float
    mm_bf16_ii: float


@dataclass(frozen=True)
class Device:
    """An AIE2 array. Bytes are bytes, cycles are cycles of the array clock; every number has a ``provenance`` row."""

    name: str
    description: str
    rows: int
    cols: int
    memtiles_per_col: int
    clock_mhz: float

    core_mem_bytes: int
    core_reserved_bytes: int
    core_locks: int
    core_bds: int
    core_s2mm_channels: int
    core_mm2s_channels: int
    program_bytes: int
    program_budget_bytes: int
    core_ideal: bool
    macs_per_cycle: int
    macs_per_cycle_int4: int
    macs_per_cycle_int16: int
    opcode_cycles: float

    memtile_bytes: int
    memtile_locks: int
    memtile_bds: int
    memtile_bd_parity: bool
    memtile_s2mm_channels: int
    memtile_mm2s_channels: int
    memtile_neighbour_channels: int

    shim_bds: int
    shim_s2mm_channels: int
    shim_mm2s_channels: int
    shim_mm2s_cycles_per_word: float
    shim_s2mm_cycles_per_word: float
    shim_mm2s_task_cycles: float
    shim_mm2s_first_cycles: float
    shim_s2mm_task_cycles: float
    shim_s2mm_first_cycles: float

    lock_max: int
    queue_depth: int
    repeat_max: int
    iteration_wrap_max: int
    stream_words_per_cycle: float
    core_bd_start_cycles: float
    memtile_bd_start_cycles: float
    shim_bd_start_cycles: float
    core_bd: BdLimits
    memtile_bd: BdLimits
    shim_bd: BdLimits

    ddr_gb_per_s: tuple[float, ...]
    link_o_bytes_per_cycle: float
    bd_write_cycles: float
    push_idle_cycles: float
    push_queued_cycles: float
    lock_write_cycles: float
    launch_us: float

    conv: ConvCost
    add: ChannelwiseCost
    maxpool: ChannelwiseCost
    avgpool: ChannelwiseCost
    upsample: ChannelwiseCost
    instructions: InstructionBudget
    silicon: SiliconFit | None = None  # only for machines that exist
    calibration_rows: tuple[str, ...] = ()
    provenance: tuple[Quantity, ...] = field(default=(), compare=False, repr=False)

    @property
    def cores(self) -> int:
        """Number of compute cores."""
        return self.rows * self.cols

    @property
    def core_free_bytes(self) -> int:
        """Core data memory that the planner may partition."""
        return self.core_mem_bytes - self.core_reserved_bytes

    @property
    def memtile_col_bytes(self) -> int:
        """Memtile bytes of one column."""
        return self.memtile_bytes * self.memtiles_per_col

    @property
    def peak_macs_per_cycle(self) -> int:
        """int8 multiply-accumulates per cycle of the whole array."""
        return self.cores * self.macs_per_cycle

    @property
    def launch_cycles(self) -> float:
        """Fixed cost of one dispatch in array cycles."""
        return self.launch_us * self.clock_mhz

    def ddr_bytes_per_cycle(self, columns: int) -> float:
        """DDR capacity, reads and writes together, with that many active columns; 0 = unlimited."""
        return self.ddr_gb_per_s[columns - 1] * 1e3 / self.clock_mhz

    @cached_property
    def conv_fixed(self) -> tuple[int, int, int, tuple[int, ...]]:
        """Convolution costs as a program carries them (value x 2**20): call, a, gamma, cycles per trip of n = 0..8."""
        call, a, ii, ii_min, gamma = (
            round(value * FIXED_ONE)
            for value in (self.conv.call, self.conv.a, self.conv.ii_per_acc, self.conv.ii_min, self.conv.gamma)
        )
        return call, a, gamma, (0, *(max(ii_min, n * ii) for n in range(1, 9)))

    @cached_property
    def list_fixed(self) -> tuple[int, int, tuple[int, ...]]:
        """Costs of unrolled lists (value x 2**20): segment, entry, cycles per int4 trip of n = 0..8 accumulators."""
        segment, entry, ii, ii_min = (
            round(value * FIXED_ONE)
            for value in (self.conv.segment, self.conv.entry, self.conv.int4_per_acc, self.conv.ii_min)
        )
        return segment, entry, (0, *(max(ii_min, n * ii) for n in range(1, 9)))

    @cached_property
    def channelwise_fixed(self) -> dict[str, tuple[int, int, int]]:
        """Costs (call, a, ii) of the channel-wise kernels as a program carries them (value x 2**20)."""
        costs = {name: getattr(self, name) for name in CHANNELWISE_KERNELS}
        return {
            n: (round(c.call * FIXED_ONE), round(c.a * FIXED_ONE), round(c.ii * FIXED_ONE)) for n, c in costs.items()
        }

    @property
    def shim_bytes_per_cycle(self) -> float:
        """What all activation load, weight load and store channels of the shims move together."""
        load = (self.cols + self.rows) / self.shim_mm2s_cycles_per_word
        return 4 * (load + self.cols / self.shim_s2mm_cycles_per_word)

    def cycles_to_ms(self, cycles: float) -> float:
        """Array cycles as milliseconds."""
        return cycles / (self.clock_mhz * 1e3)

    @cached_property
    def _keys(self) -> dict[str, float]:
        rates = dict.fromkeys(FLOW_CLASSES, self.stream_words_per_cycle)
        rates["load"] = rates["loadw"] = 1 / self.shim_mm2s_cycles_per_word
        rates["store"] = 1 / self.shim_s2mm_cycles_per_word
        keys = {
            "clock_mhz": self.clock_mhz,
            "dma.queue_depth": self.queue_depth,
            **{f"flow.{name}.words_per_cycle": rate for name, rate in rates.items()},
            "dma.core_bd_start_cycles": self.core_bd_start_cycles,
            "dma.memtile_bd_start_cycles": self.memtile_bd_start_cycles,
            "dma.shim_bd_start_cycles": self.shim_bd_start_cycles,
            "shim.mm2s_task_cycles": self.shim_mm2s_task_cycles,
            "shim.mm2s_first_cycles": self.shim_mm2s_first_cycles,
            "shim.s2mm_task_cycles": self.shim_s2mm_task_cycles,
            "shim.s2mm_first_cycles": self.shim_s2mm_first_cycles,
            **{f"ddr.bytes_per_cycle_{c}": self.ddr_bytes_per_cycle(c) for c in range(1, self.cols + 1)},
            "link.o_bytes_per_cycle": self.link_o_bytes_per_cycle,
            "cmd.bd_write_cycles": self.bd_write_cycles,
            "cmd.push_idle_cycles": self.push_idle_cycles,
            "cmd.push_queued_cycles": self.push_queued_cycles,
            "cmd.lock_write_cycles": self.lock_write_cycles,
            "cmd.launch_cycles": self.launch_cycles,
            "core.ideal": float(self.core_ideal),
            "core.macs_per_cycle": self.macs_per_cycle,
            "core.macs_per_cycle_int4": self.macs_per_cycle_int4,
            "core.macs_per_cycle_int16": self.macs_per_cycle_int16,
            "core.opcode_cycles": self.opcode_cycles,
        }
        for name in (f.name for f in fields(ConvCost)):
            keys[f"kernel.conv.{name}"] = getattr(self.conv, name)
        for kernel in CHANNELWISE_KERNELS:
            for name in ("call", "a", "ii"):
                keys[f"kernel.{kernel}.{name}"] = getattr(getattr(self, kernel), name)
        return {key: float(value) for key, value in keys.items()}

    def keys(self) -> dict[str, float]:
        """The numbers that a program carries: exactly the keys of docs/device-keys.md."""
        return dict(self._keys)
