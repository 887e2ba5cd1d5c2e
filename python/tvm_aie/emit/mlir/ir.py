"""The operations of the ``aie`` and ``aiex`` dialects that a design uses, as dataclasses that print themselves.

``str(Module)`` is the text; ``tvm_aie.emit.mlir.parser.parse`` builds the same structure from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

INDENT = "  "


@dataclass(frozen=True)
class MemRef:
    """A one-dimensional memref type."""

    count: int
    element: str = "i8"

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.count * int(self.element[1:]) // 8

    def __str__(self) -> str:
        """MLIR type."""
        return f"memref<{self.count}x{self.element}>"


@dataclass(frozen=True)
class TileOp:
    """A tile; ``controller_id`` is the packet id of its task-complete tokens."""

    name: str
    col: int
    row: int
    allocation_scheme: str | None = None
    controller_id: int | None = None

    def lines(self) -> Iterator[str]:
        """Text."""
        attrs = []
        if self.allocation_scheme:
            attrs.append(f'allocation_scheme = "{self.allocation_scheme}"')
        if self.controller_id is not None:
            attrs.append(f"controller_id = #aie.packet_info<pkt_type = 0, pkt_id = {self.controller_id}>")
        tail = f" {{{', '.join(attrs)}}}" if attrs else ""
        yield f"%{self.name} = aie.tile({self.col}, {self.row}){tail}"


@dataclass(frozen=True)
class BufferOp:
    """A buffer at a fixed address of a tile's memory."""

    name: str
    tile: str
    address: int
    type: MemRef

    def lines(self) -> Iterator[str]:
        """Text."""
        yield (
            f'%{self.name} = aie.buffer(%{self.tile}) {{address = {self.address} : i32, sym_name = "{self.name}"}} : '
            f"{self.type}"
        )


@dataclass(frozen=True)
class LockOp:
    """A lock with its number and initial value."""

    name: str
    tile: str
    lock: int
    init: int

    def lines(self) -> Iterator[str]:
        """Text."""
        yield (
            f'%{self.name} = aie.lock(%{self.tile}, {self.lock}) {{init = {self.init} : i32, sym_name = "{self.name}"}}'
        )


@dataclass(frozen=True)
class FlowOp:
    """A circuit between DMA channels. A broadcast is several flows with one source."""

    source: str
    source_channel: int
    dest: str
    dest_channel: int

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"aie.flow(%{self.source}, DMA : {self.source_channel}, %{self.dest}, DMA : {self.dest_channel})"


@dataclass(frozen=True)
class TokenRouteOp:
    """A packet flow that takes the task-complete tokens of a tile to the command processor."""

    packet: int
    source: str
    shim: str

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"aie.packet_flow({self.packet}) {{"
        yield f"{INDENT}aie.packet_source<%{self.source}, TileControl : 0>"
        yield f"{INDENT}aie.packet_dest<%{self.shim}, South : 0>"
        yield "} {keep_pkt_header = true, priority_route = true}"


@dataclass(frozen=True)
class FuncOp:
    """An external function and the object file that defines it."""

    name: str
    args: tuple[MemRef | str, ...]
    link_with: str

    def lines(self) -> Iterator[str]:
        """Text."""
        types = ", ".join(str(a) for a in self.args)
        yield f'func.func private @{self.name}({types}) attributes {{link_with = "{self.link_with}"}}'


@dataclass(frozen=True)
class CoreOp:
    """A core that calls one function for ever with buffers and 32-bit constants."""

    name: str
    tile: str
    callee: str
    buffers: tuple[tuple[str, MemRef], ...]
    constants: tuple[tuple[str, int], ...]
    stack_size: int

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"%{self.name} = aie.core(%{self.tile}) {{"
        yield f"{INDENT}%c0 = arith.constant 0 : index"
        yield f"{INDENT}%c1 = arith.constant 1 : index"
        yield f"{INDENT}%forever = arith.constant 9223372036854775807 : index"
        for name, value in self.constants:
            yield f"{INDENT}%{name} = arith.constant {value} : i32"
        operands = ", ".join(f"%{n}" for n, _ in (*self.buffers, *self.constants))
        types = ", ".join([*(str(t) for _, t in self.buffers), *("i32" for _ in self.constants)])
        yield f"{INDENT}scf.for %i = %c0 to %forever step %c1 {{"
        yield f"{INDENT * 2}func.call @{self.callee}({operands}) : ({types}) -> ()"
        yield f"{INDENT}}}"
        yield f"{INDENT}aie.end"
        yield f"}} {{stack_size = {self.stack_size} : i32}}"


@dataclass(frozen=True)
class GlobalOp:
    """Constant words for a block write."""

    name: str
    words: tuple[int, ...]

    def lines(self) -> Iterator[str]:
        """Text; words are signed in MLIR's dense form."""
        data = ", ".join(str(w - (1 << 32) if w >= 1 << 31 else w) for w in self.words)
        yield f'memref.global "private" constant @{self.name} : memref<{len(self.words)}xi32> = dense<[{data}]>'


# ------------------------------------------------------------------ operations of a runtime sequence


@dataclass(frozen=True)
class Comment:
    """A comment line."""

    text: str

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"// {self.text}" if self.text else "//"


@dataclass(frozen=True)
class WriteBdOp:
    """``aiex.npu.writebd``: raw fields of a descriptor (register form: strides and iteration stored minus one)."""

    column: int
    row: int
    bd_id: int
    buffer_length: int
    buffer_offset: int
    d0_size: int = 0
    d0_stride: int = 0
    d1_size: int = 0
    d1_stride: int = 0
    d2_size: int = 0
    d2_stride: int = 0
    iteration_current: int = 0
    iteration_size: int = 0
    iteration_stride: int = 0
    use_next_bd: int = 0
    next_bd: int = 0
    lock_acq_enable: int = 0
    lock_acq_id: int = 0
    lock_acq_val: int = 0
    lock_rel_id: int = 0
    lock_rel_val: int = 0
    d0_zero_before: int = 0
    d0_zero_after: int = 0
    d1_zero_before: int = 0
    d1_zero_after: int = 0
    d2_zero_before: int = 0
    d2_zero_after: int = 0
    enable_packet: int = 0
    packet_id: int = 0
    packet_type: int = 0
    out_of_order_id: int = 0
    valid_bd: int = 1

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"aiex.npu.writebd {{{', '.join(f'{n} = {getattr(self, n)} : i32' for n in WRITE_BD_FIELDS)}}}"


WRITE_BD_FIELDS = tuple(f.name for f in fields(WriteBdOp))


@dataclass(frozen=True)
class BlockWriteOp:
    """``aiex.npu.blockwrite`` of a global: a descriptor with a fourth dimension, which ``writebd`` cannot hold."""

    column: int
    row: int
    address: int
    value: str
    data: str
    words: int

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"%{self.value} = memref.get_global @{self.data} : memref<{self.words}xi32>"
        yield (
            f"aiex.npu.blockwrite(%{self.value}) {{address = {self.address} : ui32, column = {self.column} : i32, "
            f"row = {self.row} : i32}} : memref<{self.words}xi32>"
        )


@dataclass(frozen=True)
class AddressPatchOp:
    """``aiex.npu.address_patch``: a shim descriptor's address becomes that of an argument plus bytes."""

    addr: int
    arg_idx: int
    arg_plus: int

    def lines(self) -> Iterator[str]:
        """Text."""
        yield (
            f"aiex.npu.address_patch {{addr = {self.addr} : ui32, arg_idx = {self.arg_idx} : i32, "
            f"arg_plus = {self.arg_plus} : i32}}"
        )


@dataclass(frozen=True)
class Write32Op:
    """``aiex.npu.write32``: one register of a tile; with ``mask`` the masked form."""

    column: int
    row: int
    address: int
    value: int
    mask: int | None = None

    def lines(self) -> Iterator[str]:
        """Text."""
        if self.mask is None:
            yield (
                f"aiex.npu.write32 {{address = {self.address} : ui32, column = {self.column} : i32, "
                f"row = {self.row} : i32, value = {self.value} : ui32}}"
            )
        else:
            yield (
                f"aiex.npu.maskwrite32 {{address = {self.address} : ui32, column = {self.column} : i32, "
                f"mask = {self.mask} : ui32, row = {self.row} : i32, value = {self.value} : ui32}}"
            )


@dataclass(frozen=True)
class PushQueueOp:
    """``aiex.npu.push_queue``: a task of a shim or core channel (``repeat_count``: further runs after the first)."""

    column: int
    row: int
    direction: str
    channel: int
    bd_id: int
    repeat_count: int
    issue_token: bool

    def lines(self) -> Iterator[str]:
        """Text."""
        token = "true" if self.issue_token else "false"
        yield (
            f"aiex.npu.push_queue({self.column}, {self.row}, {self.direction} : {self.channel}) "
            f"{{bd_id = {self.bd_id} : i32, issue_token = {token}, repeat_count = {self.repeat_count} : i32}}"
        )


@dataclass(frozen=True)
class SyncOp:
    """``aiex.npu.sync``: wait for one task-complete token of a channel (direction 0 = S2MM, 1 = MM2S)."""

    column: int
    row: int
    direction: int
    channel: int

    def lines(self) -> Iterator[str]:
        """Text."""
        yield (
            f"aiex.npu.sync {{channel = {self.channel} : i32, column = {self.column} : i32, column_num = 1 : i32, "
            f"direction = {self.direction} : i32, row = {self.row} : i32, row_num = 1 : i32}}"
        )


SequenceItem = Comment | WriteBdOp | BlockWriteOp | AddressPatchOp | Write32Op | PushQueueOp | SyncOp


@dataclass(frozen=True)
class SequenceOp:
    """A runtime sequence with the DDR arguments."""

    name: str
    args: tuple[tuple[str, MemRef], ...]
    body: tuple[SequenceItem, ...]

    def lines(self) -> Iterator[str]:
        """Text."""
        yield f"aie.runtime_sequence @{self.name}({', '.join(f'%{n}: {t}' for n, t in self.args)}) {{"
        for item in self.body:
            for line in item.lines():
                yield INDENT + line
        yield "}"


DeviceItem = Comment | TileOp | BufferOp | LockOp | FlowOp | TokenRouteOp | FuncOp | CoreOp | GlobalOp | SequenceOp


@dataclass(frozen=True)
class Module:
    """A module with one device."""

    device: str
    name: str
    body: tuple[DeviceItem, ...]

    def __str__(self) -> str:
        """The text of the design."""
        out = ["module {", f"{INDENT}aie.device({self.device}) @{self.name} {{"]
        for item in self.body:
            out += [INDENT * 2 + line for line in item.lines()]
        out += [f"{INDENT}}}", "}", ""]
        return "\n".join(out)
