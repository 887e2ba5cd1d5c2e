"""Parser of the operations in ``ir``: ``parse(str(module)) == module``.

Accepts the text in any layout: whitespace, attribute order and quoted port names as mlir-aie prints them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from tvm_aie.emit.mlir import ir
from tvm_aie.errors import InputError

_TOKEN = re.compile(
    r"(?P<comment>//[^\n]*)|(?P<string>\"[^\"\n]*\")|(?P<ref>[%@][A-Za-z0-9_$.]+)|(?P<number>-?(?:0x[0-9a-fA-F]+|\d+))"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_$.]*)|(?P<punct>->|[{}()<>\[\]:,=#])|(?P<space>\s+)|(?P<bad>.)"
)
_MEMREF_BODY = re.compile(r"x(i\d+)$")

Attr = int | str | bool
Item = TypeVar("Item")


class _Tokens:
    """A cursor over the tokens; comments are kept, since a design carries some."""

    def __init__(self, text: str) -> None:
        self.kinds: list[str] = []
        self.values: list[str] = []
        self.offsets: list[int] = []
        self.text = text
        for m in _TOKEN.finditer(text):
            kind = m.lastgroup or "bad"
            if kind == "space":
                continue
            self.kinds.append(kind)
            self.values.append(m.group())
            self.offsets.append(m.start())
        self.kinds.append("end")
        self.values.append("end of file")
        self.offsets.append(len(text))
        self.at = 0

    def fail(self, wanted: str) -> InputError:
        line = self.text.count("\n", 0, self.offsets[self.at]) + 1
        return InputError(f"design, line {line}: {wanted} expected, found {self.values[self.at]!r}")

    def skip_comments(self) -> None:
        while self.kinds[self.at] == "comment":
            self.at += 1

    def next(self, kind: str) -> str:
        if self.kinds[self.at] != kind:
            raise self.fail(kind)
        self.at += 1
        return self.values[self.at - 1]

    def accept(self, value: str) -> bool:
        if self.values[self.at] == value:
            self.at += 1
            return True
        return False

    def expect(self, *values: str) -> None:
        for value in values:
            if not self.accept(value):
                raise self.fail(value)

    def ref(self, sigil: str) -> str:
        value = self.next("ref")
        if value[0] != sigil:
            self.at -= 1
            raise self.fail(f"{sigil}name")
        return value[1:]

    def number(self) -> int:
        return int(self.next("number"), 0)

    def name(self) -> str:
        """A bare or quoted word (port bundles are printed either way)."""
        if self.kinds[self.at] == "string":
            return self.next("string")[1:-1]
        return self.next("word")

    def memref(self) -> ir.MemRef:
        self.expect("memref", "<")
        count = self.number()
        element = _MEMREF_BODY.match(self.next("word"))
        if not element:
            raise self.fail("element type")
        self.expect(">")
        return ir.MemRef(count, element.group(1))

    def attributes(self) -> dict[str, Attr]:
        """``{name = value [: type], ...}``; absent braces give an empty dictionary."""
        out: dict[str, Attr] = {}
        if not self.accept("{"):
            return out
        while not self.accept("}"):
            key = self.next("word")
            self.expect("=")
            out[key] = self.value()
            self.accept(",")
        return out

    def value(self) -> Attr:
        kind = self.kinds[self.at]
        if kind == "string":
            return self.next("string")[1:-1]
        if kind == "number":
            number = self.number()
            if self.accept(":"):
                self.next("word")
            return number
        if self.accept("#"):
            self.expect("aie.packet_info", "<", "pkt_type", "=")
            self.number()
            self.expect(",", "pkt_id", "=")
            number = self.number()
            self.expect(">")
            return number
        word = self.next("word")
        if word not in ("true", "false"):
            self.at -= 1
            raise self.fail("attribute value")
        return word == "true"


def parse(text: str) -> ir.Module:
    """Parse a design. Raises ``InputError`` with the line of the first thing that is not understood."""
    t = _Tokens(text)
    t.skip_comments()
    t.expect("module", "{")
    t.skip_comments()
    t.expect("aie.device", "(")
    device = t.name()
    t.expect(")")
    name = t.ref("@")
    t.expect("{")
    body = _items(t, _device_item)
    t.expect("}")
    t.skip_comments()
    if t.kinds[t.at] != "end":
        raise t.fail("end of file")
    return ir.Module(device, name, tuple(body))


def _items(t: _Tokens, one: Callable[[_Tokens], Item]) -> list[Item | ir.Comment]:
    out: list[Item | ir.Comment] = []
    while not t.accept("}"):
        if t.kinds[t.at] == "comment":
            out.append(ir.Comment(t.next("comment")[2:].strip()))
        else:
            out.append(one(t))
    return out


def _int(attrs: dict[str, Attr], key: str, t: _Tokens) -> int:
    value = attrs.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise t.fail(f"integer attribute {key}")
    return value


def _device_item(t: _Tokens) -> ir.DeviceItem:
    result = ""
    if t.kinds[t.at] == "ref":
        result = t.ref("%")
        t.expect("=")
    op = t.next("word")
    parser = _DEVICE_OPS.get(op)
    if parser is None:
        t.at -= 1
        raise t.fail("operation of a device")
    return parser(t, result)


def _tile(t: _Tokens, result: str) -> ir.TileOp:
    t.expect("(")
    col = t.number()
    t.expect(",")
    row = t.number()
    t.expect(")")
    attrs = t.attributes()
    scheme = attrs.get("allocation_scheme")
    controller = _int(attrs, "controller_id", t) if "controller_id" in attrs else None
    return ir.TileOp(result, col, row, str(scheme) if scheme else None, controller)


def _buffer(t: _Tokens, result: str) -> ir.BufferOp:
    t.expect("(")
    tile = t.ref("%")
    t.expect(")")
    attrs = t.attributes()
    t.expect(":")
    return ir.BufferOp(result, tile, _int(attrs, "address", t), t.memref())


def _lock(t: _Tokens, result: str) -> ir.LockOp:
    t.expect("(")
    tile = t.ref("%")
    t.expect(",")
    lock = t.number()
    t.expect(")")
    return ir.LockOp(result, tile, lock, _int(t.attributes(), "init", t))


def _port(t: _Tokens, bundle: str) -> tuple[str, int]:
    tile = t.ref("%")
    t.expect(",")
    if t.name() != bundle:
        t.at -= 1
        raise t.fail(bundle)
    t.expect(":")
    return tile, t.number()


def _flow(t: _Tokens, result: str) -> ir.FlowOp:
    t.expect("(")
    source = _port(t, "DMA")
    t.expect(",")
    dest = _port(t, "DMA")
    t.expect(")")
    return ir.FlowOp(*source, *dest)


def _packet_flow(t: _Tokens, result: str) -> ir.TokenRouteOp:
    t.expect("(")
    packet = t.number()
    t.expect(")", "{", "aie.packet_source", "<")
    source, _ = _port(t, "TileControl")
    t.expect(">", "aie.packet_dest", "<")
    shim, _ = _port(t, "South")
    t.expect(">", "}")
    t.attributes()
    return ir.TokenRouteOp(packet, source, shim)


def _types(t: _Tokens) -> tuple[ir.MemRef | str, ...]:
    t.expect("(")
    out: list[ir.MemRef | str] = []
    while not t.accept(")"):
        out.append(t.memref() if t.values[t.at] == "memref" else t.next("word"))
        t.accept(",")
    return tuple(out)


def _func(t: _Tokens, result: str) -> ir.FuncOp:
    t.expect("private")
    name = t.ref("@")
    types = _types(t)
    t.expect("attributes")
    return ir.FuncOp(name, types, str(t.attributes()["link_with"]))


def _core(t: _Tokens, result: str) -> ir.CoreOp:
    t.expect("(")
    tile = t.ref("%")
    t.expect(")", "{")
    constants: list[tuple[str, int]] = []
    while t.kinds[t.at] == "ref":
        name = t.ref("%")
        t.expect("=", "arith.constant")
        value = t.number()
        t.expect(":")
        if t.next("word") == "i32":
            constants.append((name, value))
    t.expect("scf.for")
    t.ref("%")
    t.expect("=")
    t.ref("%")
    t.expect("to")
    t.ref("%")
    t.expect("step")
    t.ref("%")
    t.expect("{", "func.call")
    callee = t.ref("@")
    t.expect("(")
    operands = []
    while not t.accept(")"):
        operands.append(t.ref("%"))
        t.accept(",")
    t.expect(":")
    types = _types(t)
    t.expect("->", "(", ")", "}", "aie.end", "}")
    stack = _int(t.attributes(), "stack_size", t)
    buffers = tuple((n, ty) for n, ty in zip(operands, types, strict=True) if isinstance(ty, ir.MemRef))
    return ir.CoreOp(result, tile, callee, buffers, tuple(constants), stack)


def _global(t: _Tokens, result: str) -> ir.GlobalOp:
    t.next("string")
    t.expect("constant")
    name = t.ref("@")
    t.expect(":")
    t.memref()
    t.expect("=", "dense", "<", "[")
    words = []
    while not t.accept("]"):
        words.append(t.number() & 0xFFFFFFFF)
        t.accept(",")
    t.expect(">")
    return ir.GlobalOp(name, tuple(words))


def _sequence(t: _Tokens, result: str) -> ir.SequenceOp:
    name = t.ref("@")
    t.expect("(")
    args = []
    while not t.accept(")"):
        arg = t.ref("%")
        t.expect(":")
        args.append((arg, t.memref()))
        t.accept(",")
    t.expect("{")
    return ir.SequenceOp(name, tuple(args), tuple(_items(t, _sequence_item)))


def _sequence_item(t: _Tokens) -> ir.SequenceItem:
    if t.kinds[t.at] == "ref":
        return _block_write(t)
    op = t.next("word")
    parser = _SEQUENCE_OPS.get(op)
    if parser is None:
        t.at -= 1
        raise t.fail("operation of a runtime sequence")
    return parser(t)


def _block_write(t: _Tokens) -> ir.BlockWriteOp:
    value = t.ref("%")
    t.expect("=", "memref.get_global")
    data = t.ref("@")
    t.expect(":")
    t.memref()
    t.expect("aiex.npu.blockwrite", "(")
    if t.ref("%") != value:
        t.at -= 1
        raise t.fail(f"%{value}")
    t.expect(")")
    attrs = t.attributes()
    t.expect(":")
    words = t.memref().count
    column, row, address = (_int(attrs, key, t) for key in ("column", "row", "address"))
    return ir.BlockWriteOp(column, row, address, value, data, words)


def _write_bd(t: _Tokens) -> ir.WriteBdOp:
    attrs = t.attributes()
    values = {}
    for name in ir.WRITE_BD_FIELDS:
        values[name] = _int(attrs, name, t)
    return ir.WriteBdOp(**values)


def _patch(t: _Tokens) -> ir.AddressPatchOp:
    a = t.attributes()
    return ir.AddressPatchOp(_int(a, "addr", t), _int(a, "arg_idx", t), _int(a, "arg_plus", t))


def _write32(t: _Tokens) -> ir.Write32Op:
    a = t.attributes()
    mask = _int(a, "mask", t) if "mask" in a else None
    return ir.Write32Op(_int(a, "column", t), _int(a, "row", t), _int(a, "address", t), _int(a, "value", t), mask)


def _push(t: _Tokens) -> ir.PushQueueOp:
    t.expect("(")
    column = t.number()
    t.expect(",")
    row = t.number()
    t.expect(",")
    direction = t.name()
    t.expect(":")
    channel = t.number()
    t.expect(")")
    a = t.attributes()
    return ir.PushQueueOp(
        column, row, direction, channel, _int(a, "bd_id", t), _int(a, "repeat_count", t), bool(a["issue_token"])
    )


def _sync(t: _Tokens) -> ir.SyncOp:
    a = t.attributes()
    return ir.SyncOp(_int(a, "column", t), _int(a, "row", t), _int(a, "direction", t), _int(a, "channel", t))


_DEVICE_OPS: dict[str, Callable[[_Tokens, str], ir.DeviceItem]] = {
    "aie.tile": _tile,
    "aie.buffer": _buffer,
    "aie.lock": _lock,
    "aie.flow": _flow,
    "aie.packet_flow": _packet_flow,
    "func.func": _func,
    "aie.core": _core,
    "memref.global": _global,
    "aie.runtime_sequence": _sequence,
}

_SEQUENCE_OPS: dict[str, Callable[[_Tokens], ir.SequenceItem]] = {
    "aiex.npu.writebd": _write_bd,
    "aiex.npu.address_patch": _patch,
    "aiex.npu.write32": _write32,
    "aiex.npu.maskwrite32": _write32,
    "aiex.npu.push_queue": _push,
    "aiex.npu.sync": _sync,
}
