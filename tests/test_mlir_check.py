"""The checker of the text: accepts what the builder writes, and rejects one example per rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from mlir_nets import GRAPHS, program_of
from tvm_aie.emit.mlir import check as checker
from tvm_aie.emit.mlir import check_text, ir, routes
from tvm_aie.emit.mlir.build import build
from tvm_aie.emit.mlir.check import RULES, check, verify_text
from tvm_aie.emit.program import TileKind, WriteBd
from tvm_aie.errors import ProgramError

Edit = Callable[[ir.Module], ir.Module]


@cache
def module(name: str = "strided_pool") -> ir.Module:
    return build(program_of(GRAPHS[name]()))


def change(kind: type, where: Callable[[Any], bool], count: int = 1, **fields: Any) -> Edit:
    """The first ``count`` operations of a kind that satisfy ``where``, with other fields."""

    def edit(m: ir.Module) -> ir.Module:
        left = count

        def visit(op: Any) -> Any:
            nonlocal left
            if isinstance(op, ir.SequenceOp) and kind is not ir.SequenceOp:
                return replace(op, body=tuple(visit(o) for o in op.body))
            if isinstance(op, kind) and where(op) and left:
                left -= 1
                return replace(op, **{k: v(op) if callable(v) else v for k, v in fields.items()})
            return op

        out = replace(m, body=tuple(visit(op) for op in m.body))
        assert left < count, f"nothing to change: {kind.__name__}"
        return out

    return edit


def drop(kind: type, where: Callable[[Any], bool] = lambda op: True) -> Edit:
    """Without the first such operation of ``@infer``, or of the device."""

    def edit(m: ir.Module) -> ir.Module:
        def without(ops: tuple[Any, ...]) -> tuple[Any, ...]:
            for i, op in enumerate(ops):
                if isinstance(op, kind) and where(op):
                    return (*ops[:i], *ops[i + 1 :])
            return ops

        body = without(m.body)
        if body == m.body:
            body = tuple(
                replace(op, body=without(op.body)) if isinstance(op, ir.SequenceOp) and op.name == "infer" else op
                for op in m.body
            )
        assert body != m.body
        return replace(m, body=body)

    return edit


def append(*ops: Any) -> Edit:
    """More device operations, before the sequences."""
    return lambda m: replace(m, body=(*m.body[:-2], *ops, *m.body[-2:]))


def append_infer(*ops: Any) -> Edit:
    """More operations at the end of ``@infer``."""
    return lambda m: replace(m, body=(*m.body[:-1], replace(m.body[-1], body=(*m.body[-1].body, *ops))))


def memtile(op: Any) -> bool:
    return bool(op.row == 1)


def queue(op: ir.Write32Op) -> bool:
    """A push on a memtile."""
    return op.mask is None and 0xA0600 <= op.address < 0xA0660 and op.address % 8 == 4


def even_queue(op: ir.Write32Op) -> bool:
    return queue(op) and (op.address - 0xA0600) // 8 % 2 == 0


def wide_write(op: ir.WriteBdOp) -> bool:
    return memtile(op) and op.d1_size > 1 and op.d2_stride == 0


BD = ir.WriteBdOp(0, 1, 44, 8, 1 << 17)
EXAMPLES: list[tuple[str, Edit]] = [
    ("tile_exists", append(ir.TileOp("far", 4, 2))),
    ("tile_exists", append(ir.TileOp("again", 0, 2))),
    ("buffer_in_memory", change(ir.BufferOp, lambda op: op.name == "core_0_2_a", address=65000)),
    ("buffer_in_memory", change(ir.BufferOp, lambda op: op.name == "core_0_2_a", address=lambda op: op.address + 2)),
    ("buffer_overlap", change(ir.BufferOp, lambda op: op.name == "core_0_2_hdr", address=lambda op: op.address - 64)),
    ("buffer_overlap", change(ir.CoreOp, lambda op: True, stack_size=4096)),
    ("stack_size", change(ir.CoreOp, lambda op: True, stack_size=512)),
    ("program_memory", change(ir.Comment, lambda op: True, text="program memory: 17000 of 16384 bytes")),
    ("program_memory", drop(ir.Comment)),
    ("lock_declared", append(ir.LockOp("l16", "core_0_2", 16, 0))),
    ("lock_declared", append(ir.LockOp("l64", "mem_0_1", 64, 0))),
    ("lock_declared", append(ir.LockOp("twice", "core_0_2", 0, 0))),
    ("lock_declared", change(ir.LockOp, lambda op: True, init=64)),
    ("lock_declared", change(ir.LockOp, lambda op: True, init=-1)),
    ("flow_ends", change(ir.FlowOp, lambda op: True, dest_channel=2)),
    ("flow_ends", append(ir.FlowOp("shim_0_0", 2, "mem_0_1", 5))),
    ("flow_ends", append(ir.FlowOp("core_0_3", 1, "mem_0_1", 0))),
    ("routes_exist", append(*(ir.FlowOp(f"core_{c}_2", 1, f"mem_{c}_1", 5) for c in range(1)))),
    ("bd_number", change(ir.WriteBdOp, memtile, bd_id=48)),
    ("bd_number", change(ir.WriteBdOp, lambda op: op.row == 0, bd_id=16)),
    ("bd_parity", append_infer(replace(BD, bd_id=20), ir.Write32Op(0, 1, 0xA0600 + 12, 20))),
    ("bd_parity", append_infer(BD, ir.Write32Op(0, 1, 0xA0600 + 4, 44))),
    ("bd_fields", change(ir.WriteBdOp, memtile, buffer_length=1 << 17)),
    ("bd_fields", change(ir.WriteBdOp, lambda op: op.row == 2, buffer_length=1 << 14)),
    ("bd_fields", change(ir.WriteBdOp, wide_write, d1_stride=1 << 17)),
    ("bd_fields", change(ir.WriteBdOp, wide_write, d0_size=1024)),
    ("bd_fields", change(ir.WriteBdOp, memtile, iteration_size=64)),
    ("bd_fields", change(ir.WriteBdOp, lambda op: op.d0_zero_before > 0, d0_zero_before=64)),
    ("bd_length", change(ir.WriteBdOp, memtile, buffer_length=0)),
    ("bd_length", change(ir.WriteBdOp, wide_write, buffer_length=lambda op: op.buffer_length + 1)),
    ("bd_dims", change(ir.WriteBdOp, lambda op: op.row == 0, d2_size=3)),
    ("bd_dims", change(ir.WriteBdOp, wide_write, d0_size=0)),
    ("bd_dims", append_infer(replace(BD, buffer_length=12, d0_size=2, d1_size=2, d2_size=2))),
    ("bd_padding", change(ir.WriteBdOp, lambda op: op.row == 2, d0_zero_before=1)),
    ("bd_padding", append_infer(replace(BD, d0_size=6, d0_zero_after=2), ir.Write32Op(0, 1, 0xA0600 + 12, 44))),
    ("bd_aligned", change(ir.AddressPatchOp, lambda op: True, arg_plus=6)),
    ("bd_aligned", change(ir.WriteBdOp, lambda op: op.row == 2, buffer_offset=lambda op: op.buffer_offset + 2)),
    ("bd_inside", change(ir.WriteBdOp, memtile, buffer_offset=(1 << 18) - 1)),
    ("bd_inside", change(ir.WriteBdOp, lambda op: op.row == 2, buffer_offset=1024)),
    ("bd_inside", change(ir.AddressPatchOp, lambda op: True, arg_plus=1 << 28)),
    ("bd_inside", change(ir.WriteBdOp, lambda op: op.row == 2, iteration_size=63)),
    ("bd_neighbour", change(ir.WriteBdOp, lambda op: op.row == 1 and op.column == 0, buffer_offset=0)),
    ("bd_neighbour", append_infer(replace(BD, column=1, buffer_offset=0), ir.Write32Op(1, 1, 0xA0600 + 44, 44))),
    ("bd_locks", change(ir.WriteBdOp, lambda op: op.row == 2, lock_acq_id=9)),
    ("bd_locks", change(ir.WriteBdOp, lambda op: op.row == 2, lock_acq_val=1)),
    ("bd_locks", append_infer(replace(BD, lock_rel_val=64, lock_rel_id=64))),
    ("task_channel", append_infer(ir.PushQueueOp(0, 2, "MM2S", 1, 0, 0, False))),
    ("task_repeat", append_infer(ir.PushQueueOp(0, 0, "MM2S", 0, 0, 256, False))),
    ("task_first_bd", append_infer(ir.PushQueueOp(0, 1, "S2MM", 1, 24, 0, False))),
    ("queue_depth", append_infer(*[ir.PushQueueOp(0, 0, "MM2S", 0, 0, 0, False)] * 5)),
    ("written_before_use", append_infer(ir.PushQueueOp(0, 0, "MM2S", 0, 15, 0, False))),
    ("written_before_use", drop(ir.WriteBdOp, memtile)),
    (
        "overwritten_in_use",
        append_infer(BD, ir.Write32Op(0, 1, 0xA0600 + 12, 44), BD),
    ),
    ("tokens", append_infer(ir.SyncOp(0, 2, 0, 0))),
    ("tokens", change(ir.Write32Op, lambda op: op.mask == 0x1F00, value=3 << 8)),
    ("tokens", drop(ir.TokenRouteOp)),
    ("shim_argument", change(ir.AddressPatchOp, lambda op: True, arg_idx=4)),
    ("shim_argument", drop(ir.AddressPatchOp)),
]


@pytest.mark.parametrize(("rule", "edit"), EXAMPLES, ids=[f"{r}-{i}" for i, (r, _) in enumerate(EXAMPLES)])
def test_rule_rejects(rule, edit):
    found = check(str(edit(module())))
    assert any(message.startswith(f"{rule}: ") for message in found), found


def test_every_rule_has_an_example():
    assert {r for r, _ in EXAMPLES} == {rule.__name__ for rule in RULES}


def test_rules_are_documented():
    for rule in RULES:
        assert rule.__doc__ and rule.__doc__.endswith(".")


@pytest.mark.parametrize("name", GRAPHS)
def test_accepts(name):
    verify_text(str(module(name)))


def test_error_lists_the_violations():
    text = str(change(ir.CoreOp, lambda op: True, stack_size=512)(module()))
    with pytest.raises(ProgramError, match="stack_size: line"):
        verify_text(text)


@pytest.mark.parametrize(
    "line",
    [
        "aiex.npu.frobnicate {column = 0 : i32}",
        "aiex.npu.address_patch {addr = 118784 : ui32, arg_idx = 0 : i32, arg_plus = 0 : i32}",
        "aiex.npu.blockwrite(%nothing) {address = 655360 : ui32, column = 0 : i32, row = 1 : i32} : memref<8xi32>",
    ],
)
def test_unknown_text_is_reported(line):
    head, tail = str(module()).rsplit("    }\n", 1)
    assert any(m.startswith("text: ") for m in check(head + "      " + line + "\n    }\n" + tail))


def test_many_violations_are_cut():
    every = change(ir.CoreOp, lambda op: True, count=16, stack_size=512)
    assert sum(m.startswith("stack_size") for m in check(str(every(module())))) == checker.SHOWN + 1


# ------------------------------------------------------------------ the router


def _net(source: tuple[int, int], channel: int, *dests: tuple[int, int, int]) -> routes.Net:
    return routes.Net((*source, "DMA", channel), tuple((c, r, "DMA", ch) for c, r, ch in dests))


def test_four_streams_go_south_of_a_core_row_and_a_fifth_does_not():
    four = [_net((0, 2 + r), 0, (0, 1, r)) for r in range(4)]
    assert routes.unroutable(four) == []
    # columns 0..3 give 16 southward ports together; 17 streams are too many
    many = [_net((c, 2 + r), ch, (c, 1, r)) for c in range(4) for r in range(4) for ch in range(1)]
    assert routes.unroutable(many) == []
    assert routes.unroutable([*many, _net((0, 5), 1, (0, 1, 4))]) != []


def test_broadcast_shares_its_hops():
    assert routes.unroutable([_net((0, 1), ch, *((0, 2 + r, ch) for r in range(4))) for ch in range(2)]) == []


def test_memtile_passes_streams_straight_only():
    """Four channels lead from a shim through a memtile's switch to the cores and back; the way south has four."""
    down = [_net((0, 2 + r), ch, (0, 0, ch)) for r, ch in ((0, 0), (1, 1))]
    assert routes.unroutable(down) == []


def test_packets_of_one_group_share_and_circuits_do_not():
    token = [routes.Net((0, r, "Control", 0), ((0, 0, "token", 0),), 0) for r in range(6)]
    assert routes.unroutable(token) == []
    apart = [replace(net, group=i) for i, net in enumerate(token)]
    assert routes.unroutable(apart) != []


# ------------------------------------------------------------------ the text moves the program's words


def _words_of_descriptor(d) -> list[int | None]:
    """Word offsets in stream order as the registers say it; None is a zero of the padding."""
    sizes, rest = [], d.length
    for i in range(4):
        size = d.sizes[i] if i < 3 else 0
        pad = d.pads[i] if i < 3 else (0, 0)
        sizes.append((size or rest, d.strides[i], pad))
        rest //= (size or rest) + sum(pad)
    return _walk(sizes[::-1])


def _words_of_bd(bd) -> list[int | None]:
    return _walk([(size, stride, bd.pad(i)) for i, (size, stride) in enumerate(bd.dims)])


def _walk(dims: list[tuple[int, int, tuple[int, int]]]) -> list[int | None]:
    """Outermost first; padding adds whole runs of the inner dimensions."""
    if not dims:
        return [0]
    (size, stride, (before, after)), inner = dims[0], _walk(dims[1:])
    zero: list[int | None] = [None] * len(inner)
    body = [None if o is None else i * stride + o for i in range(size) for o in inner]
    return zero * before + body + zero * after


@pytest.mark.parametrize("name", ["strided_pool", "wide"])
def test_registers_move_the_words_of_the_program(name):
    """Decoded from the text by the checker's own register layout, each descriptor reads what the program says."""
    p = program_of(GRAPHS[name]())
    design = check_text.read(str(build(p)))
    decoded = [e for e in design.sequences["infer"] if isinstance(e, check_text.Descriptor)]
    written = [p.bds[c.index] for c in p.commands if isinstance(c, WriteBd)]
    assert len(decoded) == len(written)
    for d, bd in zip(decoded, written, strict=True):
        tile, mem = p.tiles[bd.tile], p.tiles[bd.mem]
        assert (d.col, d.row, d.number, d.length) == (tile.col, tile.row, bd.bd_id, bd.length)
        assert _words_of_descriptor(d) == _words_of_bd(bd)
        assert (d.iterations, d.next) == (bd.iter_wrap, bd.next_bd)
        assert bd.iter_wrap == 1 or d.iteration_step == bd.iter_step
        if tile.kind == TileKind.SHIM:
            assert (d.arg, d.base) == (bd.mem, bd.base)
        else:
            window = (mem.col - tile.col + 1) * (1 << 17) if tile.kind == TileKind.MEMTILE else 0
            assert d.base == window + bd.base // 4
        for use, found in ((bd.acquire, d.acquire), (bd.release, d.release)):
            if use is None:
                assert found is None
            else:
                side = 64 * (p.tiles[use.tile].col - tile.col + 1) if tile.kind == TileKind.MEMTILE else 0
                assert found == (side + use.lock, use.value)
