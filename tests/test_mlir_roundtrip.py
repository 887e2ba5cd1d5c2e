"""The design says everything: read back, it is the same program, with the same outputs and cycles."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from graphs import GraphBuilder
from mlir_nets import GRAPHS, canonical, program_of, resnet50
from tvm_aie.emit.arrange import CHAINS
from tvm_aie.emit.artifacts import command_counts, manifest, text_counts
from tvm_aie.emit.mlir import ir
from tvm_aie.emit.mlir.build import build
from tvm_aie.emit.mlir.check import check
from tvm_aie.emit.mlir.parser import parse
from tvm_aie.emit.mlir.readback import read_back
from tvm_aie.emit.program import Bd, LockUse, Program, Push, Wait, WriteBd
from tvm_aie.errors import DeviceError, InputError, ProgramError
from tvm_aie.pipeline import compile_graph, finish, prepare
from tvm_aie.runtime.emulator import RunOptions, run_program

GOLDEN = Path(__file__).parent / "golden"


@cache
def program(name: str) -> Program:
    return program_of(GRAPHS[name]())


def through_text(p: Program) -> Program:
    description = json.loads(json.dumps(manifest(p)))
    return read_back(parse(str(build(p))), p.const, description)


def random_inputs(p: Program) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [
        rng.integers(0, 256, (1, io.channels, io.height, io.width)).astype(np.uint8 if io.uint8 else np.int8)
        for io in p.io
        if io.kind == 0
    ]


@pytest.mark.parametrize("name", GRAPHS)
def test_parser_gives_the_same_structure(name):
    module = build(program(name))
    assert parse(str(module)) == module
    assert str(parse(str(module))) == str(module)


@pytest.mark.parametrize("name", GRAPHS)
def test_text_gives_the_same_program(name):
    assert canonical(through_text(program(name))).to_bytes() == canonical(program(name)).to_bytes()


@pytest.mark.parametrize("name", GRAPHS)
def test_same_outputs_and_cycles(name):
    p = program(name)
    options = RunOptions(check=True)
    inputs = random_inputs(p)
    want, got = (run_program(q.to_bytes(), inputs, options) for q in (p, through_text(p)))
    assert got.cycles == want.cycles
    for a, b in zip(want.outputs, got.outputs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_descriptors_that_stand_are_configured():
    """They are written before the first inference alone, and both programs run more than one."""
    ready = prepare(chain(), "npu1")
    p = finish(replace(ready, chains=(CHAINS[0]._replace(standing=3),))).program
    q = through_text(p)
    written = {(p.bds[c.index].tile, p.bds[c.index].bd_id) for c in p.commands if isinstance(c, WriteBd)}
    stand = [p.bds[row] for row in p.static_bds if (p.bds[row].tile, p.bds[row].bd_id) not in written]
    pushed = {(c.task.tile, c.task.bd) for c in p.commands if isinstance(c, Push)}
    assert any((bd.tile, bd.bd_id) in pushed for bd in stand)
    assert canonical(q).to_bytes() == canonical(p).to_bytes()
    inputs = [np.concatenate([x, x[:, :, ::-1]]) for x in random_inputs(p)]
    want, got = (run_program(r.to_bytes(), inputs, RunOptions(check=True)) for r in (p, q))
    assert got.cycles == want.cycles
    assert all(np.array_equal(a, b) for a, b in zip(want.outputs, got.outputs, strict=True))


def chain():
    """Small layers behind one another."""
    b = GraphBuilder((16, 13, 13), 5)
    x = "x"
    for _ in range(6):
        x = b.conv(b.conv(x, 16, 1), 32, 3)
    return b.graph(x)


@pytest.mark.parametrize("name", GRAPHS)
def test_limits_hold(name):
    assert check(str(build(program(name)))) == []


@pytest.mark.parametrize("name", GRAPHS)
def test_commands_in_the_text_are_those_that_the_emulator_charges(name):
    p = program(name)
    module = build(p)
    infer = next(op for op in module.body if isinstance(op, ir.SequenceOp) and op.name == "infer")
    counts = text_counts(infer)
    assert counts == command_counts(p)
    assert counts["pushes"] > 0 and counts["waits"] > 0 and counts["bd_writes"] > 0
    # a shim descriptor is a write and a patch; nothing else stands in the sequence
    patches = sum(isinstance(op, ir.AddressPatchOp) for op in infer.body)
    comments = sum(isinstance(op, ir.Comment) for op in infer.body)
    assert len(infer.body) == sum(counts.values()) + patches + comments


def test_emulator_charges_each_command():
    """A descriptor write or push more costs what the device file says."""
    p = program("single_conv")
    keys = dict(p.device_keys)
    slow = replace(p, device_keys={**keys, "cmd.bd_write_cycles": keys["cmd.bd_write_cycles"] + 1000})
    inputs = random_inputs(p)
    first = run_program(p.to_bytes(), inputs, RunOptions())
    second = run_program(slow.to_bytes(), inputs, RunOptions())
    assert first.cycles < second.cycles <= first.cycles + 1000 * command_counts(p)["bd_writes"]


@pytest.mark.parametrize("name", ["single_conv", "residual", "strided_pool"])
def test_golden(name, update_golden):
    """Run pytest with --update-golden after an intended change, and read the diff."""
    path = GOLDEN / f"{name}.mlir"
    text = str(build(program(name)))
    if update_golden:
        path.write_text(text)
    assert text == path.read_text()


def test_four_dimensions_become_block_writes():
    p = program("strided_pool")
    module = build(p)
    assert any(len(p.bds[c.index].dims) == 4 for c in p.commands if isinstance(c, WriteBd))
    infer = next(op for op in module.body if isinstance(op, ir.SequenceOp) and op.name == "infer")
    assert any(isinstance(op, ir.BlockWriteOp) for op in infer.body)


def test_resnet50_size_and_time():
    p = program_of(resnet50())
    start = time.perf_counter()
    text = str(build(p))
    seconds = time.perf_counter() - start
    assert len(text) < 20_000_000
    assert seconds < 10
    assert check(text) == []
    q = read_back(parse(text), p.const, json.loads(json.dumps(manifest(p))))
    assert canonical(q).to_bytes() == canonical(p).to_bytes()


def test_other_devices_have_no_design():
    p = compile_graph(GRAPHS["single_conv"](), "wbs-4x4").program
    with pytest.raises(DeviceError, match="npu1 only"):
        build(p)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.replace("aie.device(npu1)", "aie.device npu1", 1),
        lambda t: t.replace("aie.lock(", "aie.luck(", 1),
        lambda t: t.replace("aiex.npu.sync", "aiex.npu.wait", 1),
        lambda t: t.replace("column_num = 1 : i32, direction = ", "column_num = 1 : i32, direction : ", 1),
        lambda t: t.replace("stack_size = 2048 : i32", "", 1),
        lambda t: t.replace("buffer_length = ", "buffer_longth = ", 1),
        lambda t: t + "}",
        lambda t: t[: len(t) // 2],
    ],
)
def test_damaged_text_names_the_line(change):
    with pytest.raises(InputError, match="design, line"):
        parse(change(str(build(program("single_conv")))))


def test_text_layout_and_quoted_ports_do_not_matter():
    text = str(build(program("single_conv")))
    loose = (
        text.replace("DMA : ", '"DMA" :  ')
        .replace("TileControl", '"TileControl"')
        .replace("npu.push_queue(", "npu.push_queue (")
    )
    assert parse(loose) == parse(text)


def test_wait_without_token_is_an_error():
    p = program("single_conv")
    text = str(build(p))
    lost = text.replace("issue_token = true", "issue_token = false")
    with pytest.raises(InputError, match="token"):
        read_back(parse(lost), p.const, manifest(p))


def _with_bd(p: Program, bd: Bd) -> Program:
    """``p`` that writes ``bd`` once more at the end."""
    return replace(p, bds=(*p.bds, bd), commands=(*p.commands, WriteBd(len(p.bds))))


MEMTILE, NEXT_DOOR, CORE, SHIM = 5, 6, 8, 1  # tile numbers on npu1


@pytest.mark.parametrize(
    "bd",
    [
        Bd(MEMTILE, 30, MEMTILE, 4096, ((7, 3),)),
        Bd(MEMTILE, 30, NEXT_DOOR, 64, ((100, 1),), release=LockUse(NEXT_DOOR, 3, 63)),
        Bd(MEMTILE, 30, 4, 64, ((2000, 4), (3, 1)), acquire=LockUse(4, 4, 1)),
        Bd(MEMTILE, 30, MEMTILE, 0, ((20, 1),), ((2, 1),)),
        Bd(MEMTILE, 30, MEMTILE, 0, ((9, 640), (20, 1)), ((2, 1),), 64, 131072),
        Bd(MEMTILE, 30, MEMTILE, 0, ((5, 99), (9, 640), (20, 1)), ((2, 1), (0, 3), (4, 5))),
        Bd(MEMTILE, 30, MEMTILE, 0, ((5, 4096), (4, 640), (3, 8), (2, 1)), ((1, 2), (3, 4), (0, 5)), 3, 7),
        Bd(MEMTILE, 30, MEMTILE, 0, ((9, 640), (4, 80), (20, 1)), next_bd=47),
        Bd(CORE, 5, CORE, 2048, ((4, 16), (3, 4), (2, 1)), acquire=LockUse(CORE, 5, 3), release=LockUse(CORE, 0, 2)),
        Bd(SHIM, 9, 2, 128, ((7, 300), (1023, 2), (2, 1))),
        Bd(SHIM, 9, 0, 4, ((1 << 20, 1),)),
    ],
)
def test_every_form_of_descriptor_survives(bd):
    p = _with_bd(program("single_conv"), bd)
    q = through_text(p)
    last = [c for c in q.commands if isinstance(c, WriteBd)][-1]
    assert q.bds[last.index] == bd


def test_waits_keep_their_task_numbers():
    p = program("wide")
    q = through_text(p)
    assert [c for c in q.commands if isinstance(c, Wait)] == [c for c in p.commands if isinstance(c, Wait)]
    assert [c for c in q.commands if isinstance(c, Push)] == [c for c in p.commands if isinstance(c, Push)]


def test_all_cores_share_one_superkernel():
    p = program("single_conv")
    with pytest.raises(ProgramError, match="memory maps"):
        build(replace(p, cores=(*p.cores[:-1], replace(p.cores[-1], a_slots=2))))
