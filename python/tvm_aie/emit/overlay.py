"""The resident overlay: tiles, channels, flows, memory maps, rings with their static descriptors and locks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm_aie.device import Device
from tvm_aie.emit.program import Bd, CoreMap, Dir, Flow, FlowClass, LockUse, Task, Tile, TileKind
from tvm_aie.errors import DeviceError, InfeasibleError
from tvm_aie.schedule.geometry import ACC_ALIGN, Overlay, ceil_div

# Memtile locks (docs/program.md section 3). Items release O_DONE by turns in two banks where barriers lag.
O_DONE, NBR_W, NBR_E, LOAD_GO, LOAD_DONE, STORE_GO, STORE_DONE, O_DONE_ODD = range(2, 10)
A_FREE, A_FULL, W_FREE, W_FULL, O_FREE, O_FULL = range(6)
# The A and O rings' locks (free, full) of the core, in the two banks between which DIVIDE changes.
A_LOCKS, O_LOCKS = ((A_FREE, A_FULL), (6, 7)), ((O_FREE, O_FULL), (8, 9))


def w_locks(ring: int) -> tuple[int, int]:
    """(free, full) locks of the memtile's weight ring ``ring``."""
    return (0, 1) if ring == 0 else (8 + 2 * ring, 9 + 2 * ring)


@dataclass(frozen=True)
class Array:
    """Tile numbers and channel numbers of an overlay on a device."""

    device: Device
    overlay: Overlay
    lends: bool = False  # outputs of the last column may go into the memtile of the column before it

    @property
    def rows(self) -> int:
        """Rows of cores."""
        return self.device.rows

    @property
    def cols(self) -> int:
        """Columns."""
        return self.device.cols

    @property
    def rings(self) -> int:
        """Weight rings per memtile: rows / columns, rounded up."""
        return -(-self.rows // self.cols)

    def divided(self, division: Overlay | None) -> Array:
        """The array while core memory is divided so; None: as it is."""
        return self if division is None else replace(self, overlay=self.overlay.divided_as(division))

    def shim(self, c: int) -> int:
        """Tile number of the shim of column ``c``."""
        return c

    def memtile(self, c: int) -> int:
        """Tile number of the memtile of column ``c``."""
        return self.cols + c

    def core(self, c: int, r: int) -> int:
        """Tile number of the core in column ``c``, row ``r``."""
        return 2 * self.cols + c * self.rows + r

    def w_home(self, r: int) -> tuple[int, int]:
        """(column, ring) of the memtile that feeds the weights of core row ``r``."""
        return r % self.cols, r // self.cols

    @property
    def lendable(self) -> bool:
        """Whether there are channels for ``lends``."""
        far, spare = self._traded
        return self.cols > 1 and len(far) <= len(spare)

    @property
    def _traded(self) -> tuple[list[int], list[int]]:
        """Channels of outputs that do not reach a neighbour's memory, and of weights, which need not, that do."""
        reach, channels = self.device.memtile_neighbour_channels, range(self.rows + self.rings)
        order = [self._s2mm(n) for n in channels]
        return [k for k in order[: self.rows] if k >= reach], [k for k in order[self.rows :] if k < reach]

    def _trade(self, channel: int, c: int) -> int:
        """What column ``c`` uses in place of an S2MM channel: the last column trades some if it ``lends``."""
        if not self.lends or c != self.cols - 1:
            return channel
        pairs = list(zip(*self._traded, strict=False))
        return dict([*pairs, *((b, a) for a, b in pairs)]).get(channel, channel)

    def o_s2mm(self, r: int, c: int = 0) -> int:
        """Memtile S2MM channel of the outputs of core row ``r`` in column ``c``."""
        return self._trade(self._s2mm(r), c)

    def _s2mm(self, n: int) -> int:
        """The ``n``-th S2MM channel in use; where parity rules, odd ones first: the activations' pool is the even."""
        if not self.device.memtile_bd_parity:
            return n
        count = self.device.memtile_s2mm_channels
        order = [*range(1, count, 2), *range(0, count, 2)]
        return order[n] if n < count else n

    def w_s2mm(self, ring: int, c: int = 0) -> int:
        """Memtile S2MM channel of weight ring ``ring`` in column ``c``."""
        return self._trade(self._s2mm(self.rows + ring), c)

    @property
    def load_s2mm(self) -> int:
        """Memtile S2MM channel of activation loads."""
        return self._s2mm(self.rows + self.rings)

    @property
    def a_mm2s(self) -> int:
        """Memtile MM2S channel of activations; one of those that reach the neighbour memtiles."""
        return 0

    def w_mm2s(self, ring: int) -> int:
        """Memtile MM2S channel of weight ring ``ring``."""
        return 1 + ring

    @property
    def store_mm2s(self) -> int:
        """Memtile MM2S channel of stores; odd, to leave the even descriptors to the activations."""
        channel = 1 + self.rings
        if self.device.memtile_bd_parity and channel % 2 == 0:
            channel += 1
        return channel

    @property
    def w_ring_bytes(self) -> int:
        """Memtile bytes of all weight rings."""
        return self.rings * self.overlay.memtile_w_slot * self.overlay.memtile_w_slots

    def pool(self, tile: int, channel: int) -> range:
        """Descriptors that a channel may use."""
        if tile < self.cols:
            return range(self.device.shim_bds)
        if tile >= 2 * self.cols:
            return range(self.device.core_bds)
        if self.device.memtile_bd_parity:
            half = self.device.memtile_bds // 2
            return range(half) if channel % 2 == 0 else range(half, 2 * half)
        return range(self.device.memtile_bds)


@dataclass(frozen=True)
class OverlayParts:
    """The overlay's share of a program."""

    tiles: tuple[Tile, ...]
    locks: tuple[LockUse, ...]
    flows: tuple[Flow, ...]
    cores: tuple[CoreMap, ...]
    bds: tuple[Bd, ...]
    tasks: tuple[Task, ...]


def core_map(array: Array, tile: int, row: int, divided: bool = False) -> CoreMap:
    """Memory map: reserved (stack, tables) at the bottom, then OPS, HDR, ACC, the O, W and A rings, the guard.

    ``divided``: W, O, ACC, A. No division of the rest moves the weight ring, and one with an O ring of the same size
    leaves that where it is.
    """
    ov = array.overlay
    base = array.device.core_reserved_bytes
    ops = base
    hdr = ops + ov.ops_bytes
    w_bytes = ov.w_slot * ov.w_slots
    o_bytes = ceil_div(ov.o_slot * ov.o_slots, ACC_ALIGN) * ACC_ALIGN if divided else ov.o_slot * ov.o_slots
    acc = hdr + ov.hdr_bytes + (w_bytes + o_bytes if divided else 0)
    o = hdr + ov.hdr_bytes + w_bytes if divided else acc + ov.acc_bytes
    w = hdr + ov.hdr_bytes if divided else o + o_bytes
    a = acc + ov.acc_bytes if divided else w + w_bytes
    end = a + ov.a_slot * ov.a_slots + ov.guard_bytes
    if end > array.device.core_mem_bytes:
        raise InfeasibleError(
            "core memory of the overlay", end, array.device.core_mem_bytes, "bytes", ("smaller rings",)
        )
    return CoreMap(
        tile,
        a,
        ov.a_slot,
        ov.a_slots,
        w,
        ov.w_slot,
        ov.w_slots,
        o,
        ov.o_slot,
        ov.o_slots,
        acc,
        ov.acc_bytes,
        ops,
        ov.ops_bytes,
        hdr,
        ov.hdr_bytes,
        row,
    )


def build_overlay(array: Array, divided: bool = False) -> OverlayParts:
    """All static parts. Raises ``DeviceError`` when the device has too few channels.

    ``divided``: the A and O rings of the cores are of the command stream (``emit.division``), not static.
    """
    dev = array.device
    channels = array.rows + array.rings + 1
    if channels > dev.memtile_s2mm_channels or array.store_mm2s >= dev.memtile_mm2s_channels:
        raise DeviceError(
            f"device {dev.name}: the overlay needs {channels} S2MM and {array.store_mm2s + 1} MM2S memtile "
            f"channels, the device has {dev.memtile_s2mm_channels} and {dev.memtile_mm2s_channels}"
        )
    tiles = [Tile(c, 0, TileKind.SHIM, 0, 16, dev.shim_bds) for c in range(array.cols)]
    tiles += [
        Tile(c, 1, TileKind.MEMTILE, dev.memtile_col_bytes, dev.memtile_locks, dev.memtile_bds)
        for c in range(array.cols)
    ]
    tiles += [
        Tile(c, 2 + r, TileKind.CORE, dev.core_mem_bytes, dev.core_locks, dev.core_bds)
        for c in range(array.cols)
        for r in range(array.rows)
    ]
    cores = tuple(core_map(array, array.core(c, r), r, divided) for c in range(array.cols) for r in range(array.rows))
    locks, bds, tasks = _core_rings(cores, divided)
    more_locks, more_bds, more_tasks = _weight_rings(array)
    return OverlayParts(
        tuple(tiles), (*locks, *more_locks), _flows(array), cores, (*bds, *more_bds), (*tasks, *more_tasks)
    )


def _flows(array: Array) -> tuple[Flow, ...]:
    rows, cols = range(array.rows), range(array.cols)
    shared = array.device.link_o_bytes_per_cycle > 0
    flows = []
    for c in cols:
        mt = array.memtile(c)
        flows.append(Flow((mt, array.a_mm2s), tuple((array.core(c, r), 0) for r in rows), FlowClass.A))
        link = c if shared else -1
        flows += [Flow((array.core(c, r), 0), ((mt, array.o_s2mm(r, c)),), FlowClass.O, link) for r in rows]
        flows.append(Flow((array.shim(c), 0), ((mt, array.load_s2mm),), FlowClass.LOAD))
        flows.append(Flow((mt, array.store_mm2s), ((array.shim(c), 0),), FlowClass.STORE))
    for r in rows:
        c, ring = array.w_home(r)
        mt = array.memtile(c)
        flows.append(Flow((array.shim(c), 1 + ring), ((mt, array.w_s2mm(ring, c)),), FlowClass.LOADW))
        flows.append(Flow((mt, array.w_mm2s(ring)), tuple((array.core(k, r), 1) for k in cols), FlowClass.W))
    return tuple(flows)


def _ring_bd(
    tile: int, bd: int, base: int, slot: int, slots: int, acquire: LockUse, release: LockUse, control: bool = False
) -> Bd:
    wrap = slots if slots > 1 else 1
    return Bd(
        tile, bd, tile, base, ((slot // 4, 1),), (), wrap, slot // 4 if wrap > 1 else 0, acquire, release, bd, control
    )


def _core_rings(cores: tuple[CoreMap, ...], divided: bool) -> tuple[list[LockUse], list[Bd], list[Task]]:
    locks, bds, tasks = [], [], []
    for m in cores:
        t = m.tile
        locks += [LockUse(t, A_FREE, m.a_slots), LockUse(t, W_FREE, m.w_slots), LockUse(t, O_FREE, m.o_slots)]
        weights = _ring_bd(t, 1, m.w_base, m.w_slot, m.w_slots, LockUse(t, W_FREE, 1), LockUse(t, W_FULL, 1), True)
        if divided:
            bds.append(weights)
            tasks.append(Task(t, Dir.S2MM, 1, 1, 0))
            continue
        bds += [
            _ring_bd(t, 0, m.a_base, m.a_slot, m.a_slots, LockUse(t, A_FREE, 1), LockUse(t, A_FULL, 1)),
            weights,
            _ring_bd(t, 2, m.o_base, m.o_slot, m.o_slots, LockUse(t, O_FULL, 1), LockUse(t, O_FREE, 1)),
        ]
        tasks += [Task(t, Dir.S2MM, 0, 0, 0), Task(t, Dir.S2MM, 1, 1, 0), Task(t, Dir.MM2S, 0, 2, 0)]
    return locks, bds, tasks


def _weight_rings(array: Array) -> tuple[list[LockUse], list[Bd], list[Task]]:
    ov = array.overlay
    size = ov.memtile_w_slot * ov.memtile_w_slots
    locks, bds, tasks = [], [], []
    for r in range(array.rows):
        c, ring = array.w_home(r)
        t = array.memtile(c)
        free, full = w_locks(ring)
        locks.append(LockUse(t, free, ov.memtile_w_slots))
        s2mm, mm2s = array.w_s2mm(ring, c), array.w_mm2s(ring)
        bd_in, bd_out = ring_bds(array, ring, c)
        for bd, acq, rel in ((bd_in, free, full), (bd_out, full, free)):
            bds.append(
                _ring_bd(
                    t,
                    bd,
                    ring * size,
                    ov.memtile_w_slot,
                    ov.memtile_w_slots,
                    LockUse(t, acq, 1),
                    LockUse(t, rel, 1),
                    True,
                )
            )
        tasks += [Task(t, Dir.S2MM, s2mm, bd_in, 0), Task(t, Dir.MM2S, mm2s, bd_out, 0)]
    return locks, bds, tasks


def ring_bds(array: Array, ring: int, c: int) -> tuple[int, int]:
    """Descriptor numbers of a weight ring of column ``c``, from the ends of the pools of its two channels."""
    mt = array.memtile(0)
    into, out = array.pool(mt, array.w_s2mm(ring, c)), array.pool(mt, array.w_mm2s(ring))
    if into == out:
        return into[-1 - 2 * ring], out[-2 - 2 * ring]
    return into[-1 - ring], out[-1 - ring]


MAX_W_SLOT = 8192  # bytes


def grow_weight_rings(array: Array, spare: int) -> Overlay:
    """The overlay with memtile weight rings grown into ``spare`` bytes: more weights are prefetched.

    Their slots grow no further than a core's ring can take what fills the last one, which no kernel reads.
    """
    ov, dev = array.overlay, array.device
    largest = min(MAX_W_SLOT, (ov.w_slots + 1) * ov.w_slot)
    most = min(dev.lock_max, dev.iteration_wrap_max)
    ring = ov.memtile_w_slot * ov.memtile_w_slots + spare // array.rings
    slot = ov.memtile_w_slot
    while ring // slot > most and 2 * slot <= largest:
        slot *= 2
    return replace(ov, memtile_w_slot=slot, memtile_w_slots=min(most, ring // slot))
