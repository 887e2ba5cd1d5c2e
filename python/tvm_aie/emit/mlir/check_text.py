"""Facts of a design for ``check``: read line by line from the text, decoded as mlir-aie's lowering would write them.

Independent of the builder: own patterns, own register layout, own limits (reference: AIE2 hardware facts).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SHIM, MEM, CORE = "shim", "memtile", "core"

_ATTR = re.compile(r"(\w+) = (-?\d+|true|false)")
_PATTERNS = {
    "tile": re.compile(r"%(\w+) = aie\.tile\((\d+), (\d+)\)"),
    "buffer": re.compile(r"%(\w+) = aie\.buffer\(%(\w+)\).*address = (\d+).*memref<(\d+)xi(\d+)>"),
    "lock": re.compile(r"%(\w+) = aie\.lock\(%(\w+), (\d+)\) \{init = (-?\d+)"),
    "flow": re.compile(r"aie\.flow\(%(\w+), DMA : (\d+), %(\w+), DMA : (\d+)\)"),
    "packet": re.compile(r"aie\.packet_flow\((\d+)\)"),
    "packet_source": re.compile(r"aie\.packet_source<%(\w+), TileControl : 0>"),
    "packet_dest": re.compile(r"aie\.packet_dest<%(\w+), South : (\d+)>"),
    "core": re.compile(r"= aie\.core\(%(\w+)\)"),
    "stack": re.compile(r"\} \{stack_size = (\d+)"),
    "memory": re.compile(r"// program memory: (\d+) of (\d+) bytes"),
    "sequence": re.compile(r"aie\.runtime_sequence @(\w+)\((.*)\) \{"),
    "global": re.compile(r"@(\w+) : memref<\d+xi32> = dense<\[(.*)\]>"),
    "get_global": re.compile(r"%(\w+) = memref\.get_global @(\w+)"),
    "blockwrite": re.compile(r"aiex\.npu\.blockwrite\(%(\w+)\)"),
    "push": re.compile(r"aiex\.npu\.push_queue ?\((\d+), (\d+), (\w+) ?: ?(\d+)\)"),
    "op": re.compile(r"aiex\.npu\.(\w+)"),
}
_ARG = re.compile(r"%(\w+): memref<(\d+)xi(\d+)>")


@dataclass(frozen=True)
class Limits:
    """Bit widths and counts of one kind of tile."""

    bds: int
    locks: int
    memory: int
    channels: tuple[int, int]  # S2MM, MM2S
    length_bits: int
    wrap_bits: int
    step_bits: int
    dims: int
    bd_base: int
    control_base: int
    mm2s_offset: int


LIMITS = {
    SHIM: Limits(16, 16, 0, (2, 2), 32, 10, 20, 3, 0x1D000, 0x1D200, 0x10),
    MEM: Limits(48, 64, 512 * 1024, (6, 6), 17, 10, 17, 4, 0xA0000, 0xA0600, 0x30),
    CORE: Limits(16, 16, 64 * 1024, (2, 2), 14, 8, 13, 3, 0x1D000, 0x1DE00, 0x10),
}
COLS, ROWS = 4, 6


def kind_of(row: int) -> str:
    """Kind of tile of a row on npu1."""
    return SHIM if row == 0 else MEM if row == 1 else CORE


@dataclass
class Descriptor:
    """A descriptor as the hardware will see it. Sizes 0 = do not wrap; strides are true strides in words."""

    line: int
    col: int
    row: int
    number: int
    length: int
    base: int  # words; on a memtile with the window; on a shim the byte offset into the argument
    sizes: tuple[int, int, int]
    strides: tuple[int, int, int, int]
    pads: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    iterations: int
    iteration_step: int
    next: int
    acquire: tuple[int, int] | None  # lock number as in the register, value
    release: tuple[int, int] | None
    raw: dict[str, int] = field(default_factory=dict)
    arg: int | None = None

    @property
    def where(self) -> str:
        """For messages."""
        return f"line {self.line}: {kind_of(self.row)} ({self.col},{self.row}) BD {self.number}"


@dataclass(frozen=True)
class PushTask:
    """A task pushed on a channel."""

    line: int
    col: int
    row: int
    direction: str
    channel: int
    bd: int
    repeat: int
    token: bool
    by_queue_op: bool


@dataclass(frozen=True)
class TokenWait:
    """A wait for one token."""

    line: int
    col: int
    row: int
    direction: str
    channel: int


@dataclass(frozen=True)
class ControlWrite:
    """A masked write of a channel's control register."""

    line: int
    col: int
    row: int
    address: int
    value: int
    mask: int


Event = Descriptor | PushTask | TokenWait | ControlWrite


@dataclass
class Design:
    """All facts of a text."""

    tiles: dict[str, tuple[int, int]] = field(default_factory=dict)
    controllers: dict[str, int] = field(default_factory=dict)
    buffers: list[tuple[int, str, str, int, int]] = field(default_factory=list)  # line, name, tile, address, bytes
    locks: list[tuple[int, str, str, int, int]] = field(default_factory=list)  # line, name, tile, number, init
    flows: list[tuple[int, str, int, str, int]] = field(default_factory=list)
    token_routes: list[tuple[int, int, str, str]] = field(default_factory=list)  # line, packet, source, shim
    cores: list[tuple[int, str, int]] = field(default_factory=list)  # line, tile, stack
    program_memory: tuple[int, int] | None = None
    sequences: dict[str, list[Event]] = field(default_factory=dict)
    args: list[int] = field(default_factory=list)  # bytes
    problems: list[str] = field(default_factory=list)


def read(text: str) -> Design:
    """Collect the facts; lines that make no sense become ``problems``."""
    reader = _Reader()
    for number, line in enumerate(text.splitlines(), 1):
        reader.line(number, line.strip())
    return reader.design


class _Reader:
    def __init__(self) -> None:
        self.design = Design()
        self.events: list[Event] = []
        self.globals: dict[str, list[int]] = {}
        self.values: dict[str, str] = {}
        self.core: tuple[int, str] = (0, "")
        self.packet: tuple[int, int, str] = (0, 0, "")

    def line(self, n: int, line: str) -> None:
        if line.startswith("aiex.npu."):
            self._event(n, line)
        elif "memref.get_global" in line:
            if m := _PATTERNS["get_global"].search(line):
                self.values[m.group(1)] = m.group(2)
        else:
            self._device(n, line)

    def _device(self, n: int, line: str) -> None:
        d = self.design
        if m := _PATTERNS["tile"].match(line):
            d.tiles[m.group(1)] = int(m.group(2)), int(m.group(3))
            if "pkt_id = " in line:
                d.controllers[m.group(1)] = int(line.split("pkt_id = ")[1].split(">")[0])
        elif m := _PATTERNS["buffer"].match(line):
            size = int(m.group(4)) * int(m.group(5)) // 8
            d.buffers.append((n, m.group(1), m.group(2), int(m.group(3)), size))
        elif m := _PATTERNS["lock"].match(line):
            d.locks.append((n, m.group(1), m.group(2), int(m.group(3)), int(m.group(4))))
        elif m := _PATTERNS["flow"].match(line):
            d.flows.append((n, m.group(1), int(m.group(2)), m.group(3), int(m.group(4))))
        elif m := _PATTERNS["packet"].match(line):
            self.packet = n, int(m.group(1)), ""
        elif m := _PATTERNS["packet_source"].match(line):
            self.packet = (*self.packet[:2], m.group(1))
        elif m := _PATTERNS["packet_dest"].match(line):
            d.token_routes.append((*self.packet, m.group(1)))
        elif m := _PATTERNS["core"].search(line):
            self.core = n, m.group(1)
        elif m := _PATTERNS["stack"].match(line):
            d.cores.append((*self.core, int(m.group(1))))
        elif m := _PATTERNS["memory"].match(line):
            d.program_memory = int(m.group(1)), int(m.group(2))
        elif m := _PATTERNS["sequence"].match(line):
            self.events = d.sequences.setdefault(m.group(1), [])
            d.args = [int(c) * int(w) // 8 for _, c, w in _ARG.findall(m.group(2))]
        elif line.startswith("memref.global") and (m := _PATTERNS["global"].search(line)):
            self.globals[m.group(1)] = [int(w) & 0xFFFFFFFF for w in m.group(2).split(",")]

    def _event(self, n: int, line: str) -> None:
        m = _PATTERNS["op"].match(line)
        op = m.group(1) if m else ""
        a = {k: v == "true" if v in ("true", "false") else int(v) for k, v in _ATTR.findall(line)}
        col, row = a.get("column", 0), a.get("row", 0)
        if op == "writebd":
            self.events.append(self._descriptor(n, col, row, a))
        elif op == "blockwrite":
            value = _PATTERNS["blockwrite"].match(line)
            words = self.globals.get(self.values.get(value.group(1), "") if value else "", [])
            number = (a["address"] - LIMITS[kind_of(row)].bd_base) // 0x20
            if row != 1 or len(words) != 8 or a["address"] % 0x20:
                self.design.problems.append(f"line {n}: a block write that is not a memtile descriptor")
            else:
                self.events.append(_from_words(n, col, row, number, words, {}))
        elif op == "address_patch":
            self._patch(n, a)
        elif op == "push_queue":
            self._push_queue(n, line, a)
        elif op == "sync":
            self.events.append(TokenWait(n, col, row, "MM2S" if a["direction"] else "S2MM", a["channel"]))
        elif op == "maskwrite32":
            self.events.append(ControlWrite(n, col, row, a["address"], a["value"], a["mask"]))
        elif op == "write32":
            self._write32(n, col, row, a)
        else:
            self.design.problems.append(f"line {n}: unknown operation {line.split()[0]}")

    def _push_queue(self, n: int, line: str, a: dict[str, int]) -> None:
        m = _PATTERNS["push"].match(line)
        if not m:
            self.design.problems.append(f"line {n}: push_queue not understood")
            return
        col, row, channel = int(m.group(1)), int(m.group(2)), int(m.group(4))
        repeat, token = a["repeat_count"] + 1, bool(a["issue_token"])
        self.events.append(PushTask(n, col, row, m.group(3), channel, a["bd_id"], repeat, token, True))

    def _write32(self, n: int, col: int, row: int, a: dict[str, int]) -> None:
        lim = LIMITS[kind_of(row)]
        offset = a["address"] - lim.control_base
        per_direction = {"S2MM": 0, "MM2S": lim.mm2s_offset}
        for direction, base in per_direction.items():
            channel, register = divmod(offset - base, 8)
            top = lim.mm2s_offset // 8 if direction == "S2MM" else lim.channels[1]
            if register == 4 and 0 <= channel < top:
                v = a["value"]
                mask = 0x3F if row == 1 else 0xF
                repeat, token = (v >> 16 & 0xFF) + 1, bool(v >> 31)
                self.events.append(PushTask(n, col, row, direction, channel, v & mask, repeat, token, False))

    def _patch(self, n: int, a: dict[str, int]) -> None:
        """Belongs to the descriptor written last."""
        last = self.events[-1] if self.events else None
        if isinstance(last, Descriptor) and last.row == 0:
            if a["addr"] == last.col << 25 | 0x1D004 + 0x20 * last.number:
                last.arg, last.base = a["arg_idx"], a["arg_plus"]
                return
        self.design.problems.append(f"line {n}: address patch of a descriptor that was not just written")

    def _descriptor(self, n: int, col: int, row: int, a: dict[str, int]) -> Descriptor:
        if kind_of(row) == MEM:
            return _from_words(n, col, row, a["bd_id"], _memtile_words(a), a)
        kind = kind_of(row)
        wrap = (1 << LIMITS[kind].wrap_bits) - 1
        return Descriptor(
            n,
            col,
            row,
            a["bd_id"],
            a["buffer_length"] & (1 << LIMITS[kind].length_bits) - 1,
            a["buffer_offset"] // 4,
            (a["d0_size"] & wrap, a["d1_size"] & wrap, 0),
            (a["d0_stride"] + 1, a["d1_stride"] + 1, a["d2_stride"] + 1, 1),
            ((0, 0), (0, 0), (0, 0)),
            (a["iteration_size"] & 63) + 1,
            a["iteration_stride"] + 1,
            a["next_bd"] & 15 if a["use_next_bd"] else -1,
            (a["lock_acq_id"] & 15, -a["lock_acq_val"]) if a["lock_acq_enable"] else None,
            (a["lock_rel_id"] & 15, a["lock_rel_val"]) if a["lock_rel_val"] else None,
            a,
        )


def _memtile_words(a: dict[str, int]) -> list[int]:
    """What mlir-aie's lowering writes for a memtile: the size of dimension 2 and dimension 3 are lost."""
    return [
        a["buffer_length"] & 0x1FFFF,
        (a["d0_zero_before"] & 0x3F) << 26
        | (a["next_bd"] & 0x3F) << 20
        | (a["use_next_bd"] & 1) << 19
        | a["buffer_offset"] & 0x7FFFF,
        (a["d0_size"] & 0x3FF) << 17 | a["d0_stride"] & 0x1FFFF,
        (a["d1_zero_before"] & 0x1F) << 27 | (a["d1_size"] & 0x3FF) << 17 | a["d1_stride"] & 0x1FFFF,
        (a["d2_zero_before"] & 0xF) << 27 | a["d2_stride"] & 0x1FFFF,
        (a["d2_zero_after"] & 0xF) << 28 | (a["d1_zero_after"] & 0x1F) << 23 | (a["d0_zero_after"] & 0x3F) << 17,
        (a["iteration_size"] & 0x3F) << 17 | a["iteration_stride"] & 0x1FFFF,
        (a["valid_bd"] & 1) << 31
        | (a["lock_rel_val"] & 0x7F) << 24
        | (a["lock_rel_id"] & 0xFF) << 16
        | (a["lock_acq_enable"] & 1) << 15
        | (a["lock_acq_val"] & 0x7F) << 8
        | a["lock_acq_id"] & 0xFF,
    ]


def _from_words(n: int, col: int, row: int, number: int, w: list[int], raw: dict[str, int]) -> Descriptor:
    """A memtile descriptor from its registers."""
    acquire = w[7] >> 8 & 0x7F
    release = w[7] >> 24 & 0x7F
    return Descriptor(
        n,
        col,
        row,
        number,
        w[0] & 0x1FFFF,
        w[1] & 0x7FFFF,
        (w[2] >> 17 & 0x3FF, w[3] >> 17 & 0x3FF, w[4] >> 17 & 0x3FF),
        ((w[2] & 0x1FFFF) + 1, (w[3] & 0x1FFFF) + 1, (w[4] & 0x1FFFF) + 1, (w[5] & 0x1FFFF) + 1),
        (
            (w[1] >> 26, w[5] >> 17 & 0x3F),
            (w[3] >> 27, w[5] >> 23 & 0x1F),
            (w[4] >> 27 & 0xF, w[5] >> 28),
        ),
        (w[6] >> 17 & 0x3F) + 1,
        (w[6] & 0x1FFFF) + 1,
        w[1] >> 20 & 0x3F if w[1] >> 19 & 1 else -1,
        (w[7] & 0xFF, 128 - acquire if acquire >= 64 else -acquire) if w[7] >> 15 & 1 else None,
        (w[7] >> 16 & 0xFF, release - 128 if release >= 64 else release) if release else None,
        raw,
    )
