"""Resident programs: every inference leaves the array ready for the next one, with channels armed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.commands import CommandBuilder, Work
from tvm_aie.emit.emitter import Emitter
from tvm_aie.emit.opcodes import HALT
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.program import Arg, Dir, LockUse, Program, Push, SetLock, TileKind, WriteBd
from tvm_aie.emit.resident import last_opcodes, padding
from tvm_aie.emit.transfers import BdTemplate, Shape
from tvm_aie.emit.verify import armed_tasks, verify
from tvm_aie.errors import EmulationFault, ProgramError
from tvm_aie.pipeline import compile_graph, emitter_of, prepare
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, RunResult, run_program
from tvm_aie.schedule.geometry import Overlay

IMAGES = 3


def chain(size: int, channels: int):
    b = GraphBuilder((3, size, size))
    x = b.pool(b.conv("x", channels, 3))
    for _ in range(4):
        x = b.conv(x, channels, 3)
    return b.graph(b.conv(x, channels + 1, 1))


def wide_head():
    """Many weights: the streams' last memtile slots are not full, on some rows less than on others."""
    b = GraphBuilder((24, 9, 9))
    return b.graph(b.conv(b.conv("x", 104, 3), 33, 1))


def two_branches():
    b = GraphBuilder((8, 31, 31))
    x = b.conv("x", 24, 3)
    return b.graph(b.add(b.conv(x, 24, 3), x))


def one_layer(size: int, channels: int):
    b = GraphBuilder((16, size, size))
    return b.graph(b.conv("x", channels, 3))


GRAPHS = {
    "one layer": lambda: one_layer(14, 31),
    "one layer of many messages": lambda: one_layer(33, 72),
    "tiny": lambda: chain(7, 1),
    "odd": lambda: chain(33, 31),
    "wide head": wide_head,
    "two branches": two_branches,
}


def batch(graph, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-128, 128, (IMAGES, *io.shape[1:])).astype(io.dtype) for io in graph.inputs]


def loaded_otherwise(graph, **changes) -> Program:
    """Compiled with what ``Chains`` say about loading changed."""
    ready = prepare(graph, load_device("npu1"))
    emitter: Emitter = emitter_of(ready.plan, ready.chains)
    emitter.emit({})
    return emitter.assembly.program(emitter.rearrange([chains._replace(**changes) for chains in ready.chains]), {})


def check_row(graph, data: bytes) -> RunResult:
    """Inferences in a row, checked by the emulator, give the reference's outputs."""
    inputs = batch(graph)
    row = run_program(data, inputs, RunOptions(check=True))
    for k in range(IMAGES):
        wanted = evaluate(graph, {io.tensor: x[k : k + 1] for io, x in zip(graph.inputs, inputs, strict=True)})
        for io, out in zip(graph.outputs, row.outputs, strict=True):
            assert np.array_equal(out[k].ravel(), wanted[io.tensor].ravel())
    return row


@pytest.mark.parametrize("name", GRAPHS)
def test_inferences_in_a_row_are_right_and_take_equally_long(name):
    graph = GRAPHS[name]()
    data = compile_graph(graph, "npu1").program.to_bytes()
    row = check_row(graph, data)
    for k in range(IMAGES):
        single = run_program(data, [x[k : k + 1] for x in batch(graph)], RunOptions())
        for out, alone in zip(row.outputs, single.outputs, strict=True):
            assert np.array_equal(out[k : k + 1], alone)
    assert row.cycles == IMAGES * single.cycles
    assert [s.bytes_o for s in row.items] == [s.bytes_o for s in single.items]  # of the last image


def test_a_program_for_an_ideal_machine_halts_and_is_loaded_for_every_image():
    graph = two_branches()
    compiled = compile_graph(graph, "wbs-2x2")
    assert not armed_tasks(compiled.program)
    check_row(graph, compiled.program.to_bytes())


@pytest.fixture(scope="module")
def program() -> Program:
    return compile_graph(chain(33, 31), "npu1").program


def idle_pushes(program: Program) -> tuple[int, int]:
    """Pushes onto idle channels, and cycles."""
    result = run_program(program.to_bytes(), [], RunOptions(functional=False, trace=True))
    processor = result.trace.agents.index("command processor")
    rows = result.trace.rows
    costs = [end - start for agent, kind, _, start, end, _ in rows.tolist() if agent == processor and kind == 3]
    return costs.count(load_device("npu1").push_idle_cycles), result.cycles


def test_first_pushes_find_busy_channels():
    """While the first images are loaded, the channels that wait for them are not idle."""
    b = GraphBuilder((16, 28, 28))
    x = b.conv("x", 64, 3)
    for _ in range(4):
        x = b.conv(x, 64, 3)
    graph = b.graph(x)
    idle, cycles = idle_pushes(loaded_otherwise(graph))
    idle_unarmed, cycles_unarmed = idle_pushes(loaded_otherwise(graph, armed=False))
    assert idle <= idle_unarmed
    assert cycles < cycles_unarmed


def replaced(program: Program, row: int, **fields) -> Program:
    bds = list(program.bds)
    bds[row] = dataclasses.replace(bds[row], **fields)
    return dataclasses.replace(program, bds=tuple(bds))


def test_an_array_that_is_not_ready_is_a_fault(program):
    """The emulator looks at the state that an inference leaves, whatever made it."""
    run = lambda p: run_program(p.to_bytes(), [], RunOptions(functional=False))  # noqa: E731
    run(program)
    left = dataclasses.replace(program, commands=(*program.commands, SetLock(LockUse(4, 20, 1))))
    with pytest.raises(EmulationFault, match=r"not ready for the next inference: lock .* is 1 at the end"):
        run(left)
    go = next(i for i, c in enumerate(program.commands) if isinstance(c, SetLock))
    use = program.commands[go].use
    more = SetLock(dataclasses.replace(use, value=use.value + 1))
    with pytest.raises(EmulationFault, match=r"not ready for the next inference|deadlock"):
        run(dataclasses.replace(program, commands=(*program.commands[:go], more, *program.commands[go + 1 :])))
    last = max(i for i, c in enumerate(program.commands) if isinstance(c, Push) and arms(program, c))
    without = (*program.commands[:last], *program.commands[last + 1 :])
    with pytest.raises(EmulationFault, match=r"not ready for the next inference|deadlock"):
        run(dataclasses.replace(program, commands=without))
    with pytest.raises(ProgramError, match="does not end with the descriptor that it begins with"):
        verify(dataclasses.replace(program, commands=without), load_device("npu1"))


def arms(program: Program, command: Push) -> bool:
    """Whether it is the only descriptor of an armed channel."""
    task = command.task
    return any((t.tile, t.dir, t.ch, t.bd) == (task.tile, task.dir, task.ch, task.bd) for t in armed_tasks(program))


def test_shims_are_loaded_with_constants_only(program):
    """The host's buffers may be others in the next inference."""
    content = {(bd.tile, bd.bd_id): bd for bd in (program.bds[row] for row in program.static_bds)}
    loaded = [t for t in program.static_tasks if program.tiles[t.tile].kind == TileKind.SHIM]
    array = Array(load_device("npu1"), Overlay())
    assert {(t.ch, t.repeat) for t in loaded} == {(0, 1), (1, 0)}  # opcodes, weights
    assert len(loaded) == array.cols + array.rows
    assert all(content[t.tile, t.bd].mem == Arg.CONST for t in loaded)


@pytest.mark.parametrize("name", GRAPHS)
def test_weights_are_there_when_an_inference_begins(name):
    """The first item's were fetched behind the inference before, and so was the time for it: its launch, at least."""
    graph = GRAPHS[name]()
    run = run_program(compile_graph(graph, "npu1").program.to_bytes(), batch(graph), RunOptions())
    assert run.items[0].stall_w == 0
    assert run.launch_cycles >= IMAGES * load_device("npu1").launch_cycles


def test_without_armed_channels_the_program_is_resident_all_the_same():
    graph = chain(33, 31)
    unarmed = loaded_otherwise(graph, armed=False)
    verify(unarmed, load_device("npu1"))
    assert not armed_tasks(unarmed)
    check_row(graph, unarmed.to_bytes())


def endless(program: Program) -> dict[tuple[int, Dir, int], list[int]]:
    """By memtile channel that runs by itself, but those of the overlay: its descriptors."""
    following = {(bd.tile, bd.bd_id): bd.next_bd for bd in (program.bds[row] for row in program.static_bds)}
    out = {}
    for t in program.static_tasks:
        chain = [t.bd]
        while (number := following[t.tile, chain[-1]]) not in chain and number >= 0:
            chain.append(number)
        if t.repeat == 0 and t.item >= 0 and program.tiles[t.tile].kind == TileKind.MEMTILE:
            out[t.tile, t.dir, t.ch] = chain
    return out


@pytest.mark.parametrize("size", [1, 7, 8, 9, 14])
def test_the_commands_of_one_layer_are_those_of_the_shims(size):
    program = compile_graph(one_layer(size, 31), "npu1").program
    pushed = [c.task for c in program.commands if isinstance(c, Push)]
    assert pushed and all(program.tiles[t.tile].kind == TileKind.SHIM for t in pushed)
    alone = endless(program)
    array = Array(load_device("npu1"), Overlay())
    for c in range(array.cols):
        assert (array.memtile(c), Dir.MM2S, array.a_mm2s) in alone
    unloaded = loaded_otherwise(one_layer(size, 31), armed=False, stores=False)
    cycles = [run_program(p.to_bytes(), [], RunOptions(functional=False)).cycles for p in (program, unloaded)]
    assert 2 * cycles[0] < cycles[1]


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("armed", [True, False])
def test_loads_and_stores_that_run_by_themselves(name, armed):
    graph = GRAPHS[name]()
    program = loaded_otherwise(graph, armed=armed, loads=True)
    verify(program, load_device("npu1"))
    array = Array(load_device("npu1"), Overlay())
    moves = {(Dir.S2MM, array.load_s2mm), (Dir.MM2S, array.store_mm2s)}
    assert moves <= {channel[1:] for channel in endless(program)}
    check_row(graph, program.to_bytes())


def test_an_endless_task_is_left_alone_and_stands_at_its_begin():
    program = compile_graph(one_layer(14, 31), "npu1").program
    (tile, _, _), chain = next((k, v) for k, v in endless(program).items() if k[1] == Dir.S2MM and len(v) > 1)
    row = next(r for r in program.static_bds if (program.bds[r].tile, program.bds[r].bd_id) == (tile, chain[0]))
    written = dataclasses.replace(program, commands=(WriteBd(row), *program.commands))
    with pytest.raises(ProgramError, match="overwritten, and an endless task uses it"):
        verify(written, load_device("npu1"))
    # A sink of a word more takes what is left of a ring, and waits for the word.
    sinks = {(k[0], v[-1]) for k, v in endless(program).items() if k[1] == Dir.S2MM}
    last = [r for r in program.static_bds if (b := program.bds[r]).release is None and (b.tile, b.bd_id) in sinks]
    longer = replaced(program, last[0], dims=((program.bds[last[0]].length + 1, 1),))
    with pytest.raises(EmulationFault, match=r"not ready for the next inference: .* stands in descriptor"):
        run_program(longer.to_bytes(), [], RunOptions(functional=False))


@given(data=st.data())
def test_channels_run_by_themselves_only_beside_room_for_the_others(data):
    array = Array(load_device("npu1"), Overlay())
    builder = CommandBuilder(array, (), (1.0,))
    channels = [(array.memtile(0), Dir.S2MM, array.o_s2mm(r)) for r in range(array.rows)]
    channels += [(array.memtile(0), Dir.MM2S, array.a_mm2s), (array.memtile(0), Dir.S2MM, array.load_s2mm)]
    word = BdTemplate(Shape(array.memtile(0), ((1, 1),)), 0)
    tasks = {}
    for channel in channels:
        sizes = data.draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=3))
        tasks[channel] = [Work(channel, (word,) * n, k, (0, 0.0), (0, 1.0), (0, 0.0)) for n, k in sizes]
    found = builder.run_alone(tasks, channels)
    able = data.draw(st.sets(st.sampled_from(channels)))
    assert builder.run_alone(tasks, able) <= able

    def need(channel, whole: bool) -> int:
        own = tasks[channel]
        if whole:
            return sum(len(w.chain) * w.repeat for w in own)
        return sum(len(w.chain) for w in own) + len(own[0].chain) + 1

    for parity in (0, 1):
        pool = array.pool(array.memtile(0), parity)
        members = [c for c in channels if array.pool(c[0], c[2]) == pool]
        if sum(need(c, True) for c in members) <= len(pool):
            assert found.issuperset(members)
        elif sum(min(need(c, True), need(c, False)) for c in members) > len(pool):
            assert found.isdisjoint(members)
        else:
            used = sum(need(c, c in found) for c in members)
            assert used <= len(pool)
            # One more would not fit.
            assert all(used + need(c, True) - need(c, False) > len(pool) for c in members if c not in found)


def test_the_descriptor_that_arms_is_written_again_only_if_it_changed(program):
    """Its number is the one that the program is loaded with, and other tasks may have had it meanwhile."""
    loaded = {(b.tile, b.bd_id): b for b in (program.bds[row] for row in program.static_bds)}
    content = dict(loaded)
    for command in program.commands:
        if isinstance(command, WriteBd):
            bd = program.bds[command.index]
            content[bd.tile, bd.bd_id] = bd
    assert all(content[key] == bd for key, bd in loaded.items())


@given(
    lengths=st.lists(st.integers(0, 400), min_size=1, max_size=8),
    ring=st.sampled_from([1, 2, 4, 8, 16]),
    most=st.integers(2, 33),
)
def test_padding_fills_whole_slots_with_equally_many_messages(lengths, ring, most):
    fill = padding(lengths, ring, most)
    counts = {len(messages) for messages in fill}
    assert len(counts) == 1
    for length, messages in zip(lengths, fill, strict=True):
        assert (length + sum(messages)) % ring == 0
        assert all(1 <= slots <= most for slots in messages)
    (count,) = counts

    def possible(n: int) -> bool:  # every row can have n messages
        return all(any((length + total) % ring == 0 for total in range(n, n * most + 1)) for length in lengths)

    assert not any(possible(n) for n in range(count))


def test_last_opcodes_drop_what_fills_the_streams():
    assert HALT not in last_opcodes(0) and len(last_opcodes(3)) == len(last_opcodes(0)) + 5
