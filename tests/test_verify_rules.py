"""Each hardware limit is a rule: it accepts a real program and rejects one change of it, by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.opcodes import HEADER_WORDS, KEEP
from tvm_aie.emit.overlay import NBR_E, NBR_W, O_DONE, O_DONE_ODD
from tvm_aie.emit.program import Arg, Dir, LockUse, Program, Push, SetLock, Task, TileKind, Wait, WriteBd
from tvm_aie.emit.verify import RULES, context, verify
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import compile_graph

DEVICE, IDEAL = load_device("npu1"), load_device("wbs-2x2")


@pytest.fixture(scope="module")
def program() -> Program:
    b = GraphBuilder((16, 55, 55))  # an odd size: what is left of slots repeats with each message
    x = b.pool(b.conv("x", 64, 3))
    for _ in range(8):  # queues and descriptors are used again
        x = b.conv(x, 24, 3)
    return compile_graph(b.graph(x), DEVICE).program


def on(kind: TileKind, dynamic: bool = True, **wanted):
    """Change the first descriptor of a tile kind that satisfies ``wanted`` predicates."""

    def find(program):
        static = set(program.static_bds)
        for i, bd in enumerate(program.bds):
            if program.tiles[bd.tile].kind == kind and (i not in static) == dynamic:
                if all(test(bd) for test in wanted.values()):
                    return i
        raise AssertionError("no such descriptor")

    return find


def change_bd(find, **fields):
    def apply(program):
        i = find(program)
        bds = list(program.bds)
        new = {k: v(bds[i]) if callable(v) else v for k, v in fields.items()}
        bds[i] = dataclasses.replace(bds[i], **new)
        return dataclasses.replace(program, bds=tuple(bds))

    return apply


def change_commands(edit):
    return lambda program: dataclasses.replace(program, commands=tuple(edit(list(program.commands))))


def static_shim(program):
    """A descriptor with which a shim is loaded."""
    return next(row for row in program.static_bds if program.tiles[program.bds[row].tile].kind == TileKind.SHIM)


def without_waits(commands):
    return [c for c in commands if not isinstance(c, Wait)]


def wait_too_far(commands):
    return [dataclasses.replace(c, count=10**6) if isinstance(c, Wait) else c for c in commands]


def repeat_zero(commands):
    i = next(i for i, c in enumerate(commands) if isinstance(c, Push))
    commands[i] = dataclasses.replace(commands[i], task=dataclasses.replace(commands[i].task, repeat=257))
    return commands


def ring_task(commands):
    return [*commands, Push(Task(8, Dir.S2MM, 0, 0, 1), -1)]  # tile 8: the first core


def without_writes(commands):
    return [c for c in commands if not isinstance(c, WriteBd)]


def not_armed(commands):
    last = max(i for i, c in enumerate(commands) if isinstance(c, Push) and c.task.tile in range(4, 8))
    return [*commands[:last], *commands[last + 1 :]]


def odd_to_even(program):
    tasks = tuple(
        dataclasses.replace(t, ch=2)
        if t.dir == 1 and t.ch == 1 and program.tiles[t.tile].kind == TileKind.MEMTILE
        else t
        for t in program.static_tasks
    )
    return dataclasses.replace(program, static_tasks=tasks)


def wrong_channel(program):
    flow = program.flows[0]
    return dataclasses.replace(program, flows=(dataclasses.replace(flow, src=(flow.src[0], 9)), *program.flows[1:]))


def shared_channel(program):
    return dataclasses.replace(program, flows=(*program.flows, program.flows[0]))


def overlapping_core(program):
    core = program.cores[0]
    return dataclasses.replace(program, cores=(dataclasses.replace(core, acc_base=core.hdr_base), *program.cores[1:]))


def lock_init(value):
    return lambda program: dataclasses.replace(
        program, lock_init=(dataclasses.replace(program.lock_init[0], value=value),)
    )


def kernels(program):
    items = ", ".join(f'{{"op": "{op}"}}' for op in ("conv", "add", "maxpool", "avgpool", "upsample"))
    return dataclasses.replace(program, meta=f'{{"items": [{items}]}}')


@pytest.fixture(scope="module")
def lagging() -> Program:
    """A pool's branch and a longer one, on an idealised machine: items overlap."""
    b = GraphBuilder((16, 9, 9))
    y = b.conv(b.conv("x", 16, 3), 16, 3)
    ends = [b.conv(b.pool("x", 3, 1), 16, 1), b.conv(y, 16, 1), b.conv("x", 16, 3)]
    return compile_graph(b.graph(b.conv(b.concat(*ends), 8, 1)), IDEAL).program


def without_done(program):
    """No barrier waits for outputs."""
    free = [
        dataclasses.replace(bd, acquire=None)
        if bd.acquire and program.tiles[bd.tile].kind == TileKind.MEMTILE and bd.acquire.lock in (O_DONE, O_DONE_ODD)
        else bd
        for bd in program.bds
    ]
    return dataclasses.replace(program, bds=tuple(free))


def acquired_twice(program):
    """A barrier waits for one neighbour more."""
    wanted = {"neighbour": lambda bd: bd.acquire and bd.acquire.lock in (NBR_W, NBR_E)}
    twice = change_bd(on(TileKind.MEMTILE, **wanted), acquire=lambda bd: dataclasses.replace(bd.acquire, value=2))
    return twice(program)


def first_opcodes(*words):
    """The first message of column 0 begins with these opcodes."""

    def apply(program):
        at, data = 4 * HEADER_WORDS, np.array(words, "<i4").tobytes()
        return dataclasses.replace(program, const=program.const[:at] + data + program.const[at + len(data) :])

    return apply


memtile, shim, core = TileKind.MEMTILE, TileKind.SHIM, TileKind.CORE
dims3 = {"dims": lambda bd: len(bd.dims) >= 3}
REJECTED = [
    ("bd_number", change_bd(on(memtile), bd_id=48), "the tile has 48"),
    ("bd_parity", odd_to_even, "out of reach of MM2S channel 2"),
    ("bd_length", change_bd(on(memtile), dims=((131072, 1),)), "limit 131071"),
    ("bd_dims", change_bd(on(memtile, **dims3), dims=lambda b: (*b.dims[:-1], (1024, 1))), "wrap 1024"),
    ("bd_dims", change_bd(on(memtile, **dims3), dims=lambda b: ((b.dims[0][0], 0), *b.dims[1:])), "stride 0"),
    (
        "bd_iteration",
        change_bd(on(memtile, dynamic=False, it=lambda b: b.iter_wrap > 1), iter_wrap=65),
        "iteration wrap 65",
    ),
    ("bd_padding", change_bd(on(memtile, pad=lambda b: b.pads), pads=((64, 0),)), "limit 63"),
    ("bd_padding", change_bd(on(core, dynamic=False), pads=((2, 0),)), "outside memtile MM2S"),
    ("bd_inside_memory", change_bd(on(memtile), base=524288), "of a memory of 524288"),
    ("bd_inside_memory", change_bd(on(memtile), base=2), "memory"),
    ("bd_neighbour", change_bd(on(memtile, own=lambda b: b.tile == 4), mem=6), "cannot reach tile (2,1)"),
    ("lock_range", change_bd(on(memtile), acquire=LockUse(4, 64, 1)), "lock 64"),
    ("lock_range", change_bd(on(memtile), release=LockUse(4, 3, 64)), "value 64"),
    ("lock_range", lock_init(64), "value 64"),
    ("channels", wrong_channel, "MM2S channel 9"),
    ("channels", shared_channel, "end of 2 flows"),
    ("repeat_count", change_commands(repeat_zero), "repeat 257"),
    ("queue_depth", change_commands(without_waits), "queue 4"),
    ("queue_depth", change_commands(wait_too_far), "waits for task"),
    ("written_before_use", change_commands(without_writes), "never written"),
    ("written_before_use", change_commands(without_waits), "overwritten while"),
    ("armed_again", change_commands(not_armed), "does not end with the descriptor that it begins with"),
    ("loaded_shims", change_bd(static_shim, mem=int(Arg.INPUT)), "argument 1, which belongs to an inference"),
    ("lock_range", change_commands(lambda c: [*c, SetLock(LockUse(4, 64, 1))]), "lock 64, the tile has 64"),
    ("lock_range", change_commands(lambda c: [*c, SetLock(LockUse(4, 5, 64))]), "value 64, limit 63"),
    ("core_memory", overlapping_core, "HDR and ACC overlap"),
    ("core_divisions", change_commands(ring_task), "tasks of rings that no DIVIDE lays out"),
    ("kept_inputs", first_opcodes(KEEP, 8192), "8192 bytes are kept, ACC has 4096"),
    ("outputs_awaited", without_done, "times more often released than acquired"),
    ("outputs_awaited", acquired_twice, "times more often acquired than released"),
    ("program_memory", kernels, None),
    ("opcode_magic", lambda p: dataclasses.replace(p, const=b"\0" * len(p.const)), "does not begin"),
]


@pytest.mark.parametrize(("name", "device"), [("program", DEVICE), ("lagging", IDEAL)])
def test_a_real_program_satisfies_every_rule(request, name, device):
    program = request.getfixturevalue(name)
    ctx = context(program, device)
    for rule in RULES:
        assert not list(rule(ctx)), rule.__name__
    verify(program, device)


@pytest.mark.parametrize(("name", "change", "text"), REJECTED, ids=[f"{i}-{r[0]}" for i, r in enumerate(REJECTED)])
def test_a_violation_is_named(request, name, change, text):
    machine, device = ("lagging", IDEAL) if name == "outputs_awaited" else ("program", DEVICE)
    broken = change(request.getfixturevalue(machine))
    if name == "program_memory":
        device = dataclasses.replace(DEVICE, program_budget_bytes=4096)
        text = "budget 4096"
    with pytest.raises(ProgramError, match=name) as error:
        verify(broken, device)
    assert text is None or text in str(error.value)


def test_every_rule_has_a_rejecting_case():
    assert {rule.__name__ for rule in RULES} == {name for name, _, _ in REJECTED}
    assert all(rule.__doc__ for rule in RULES)
