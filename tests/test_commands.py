"""The command scheduler: chains of random channels never deadlock, and messages become the descriptors they mean."""

import re
from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from oracles.commands import Oracle
from tvm_aie.device import load_device
from tvm_aie.emit.arrange import MORE_CHAINS, NO_CHAINS, Chains, clocks, loaded_otherwise, standing, variants
from tvm_aie.emit.commands import MARGIN, CommandBuilder, Work
from tvm_aie.emit.joining import Joining, join
from tvm_aie.emit.overlay import Array, build_overlay
from tvm_aie.emit.program import Dir, Push, Wait, WriteBd
from tvm_aie.emit.program_read import read_program
from tvm_aie.emit.transfers import (
    BdTemplate,
    Limits,
    Shape,
    compress,
    fold,
    merge_unused,
    pad_end,
    repeated_dims,
    unroll,
)
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import compile_graph, emitter_of, prepare
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import Overlay

NPU1 = load_device("npu1")
LIMITS = NPU1.memtile_bd


def addresses(shape: Shape, base: int) -> list[int]:
    """Word addresses on the stream; -1 for a padded zero. By brute force over all indices."""
    pads = ((0, 0),) * (len(shape.dims) - len(shape.pads)) + shape.pads
    sizes = [before + size + after for (size, _), (before, after) in zip(shape.dims, pads, strict=True)]
    out = []
    for index in np.ndindex(*sizes):
        inner = [i - before for i, (before, _) in zip(index, pads, strict=True)]
        inside = all(0 <= i < size for i, (size, _) in zip(inner, shape.dims, strict=True))
        step = sum(i * stride for i, (_, stride) in zip(inner, shape.dims, strict=True))
        out.append(base // 4 + step if inside else -1)
    return out


def stream(messages) -> list[int]:
    return [a for message in messages for shape, base in message for a in addresses(shape, base)]


shapes = st.sampled_from([Shape(1, ((4, 1),)), Shape(1, ((2, 8), (2, 1))), Shape(1, ((2, 6), (3, 1)), ((1, 1),))])


@given(shapes, st.lists(st.tuples(st.integers(1, 9), st.sampled_from([16, 64, 256])), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_folded_messages_are_the_same_stream(shape, runs):
    messages, base = [], 0
    for count, step in runs:
        for _ in range(count):
            messages.append(((shape, base),))
            base += step
        base += 4096
    folded = fold(messages, 4, LIMITS.length_max_words, LIMITS.step_max_words, LIMITS.wrap_max(0))
    assert stream(m for _, m in folded) == stream(messages)
    assert sum(n for n, _ in folded) == len(messages)
    assert len(folded) <= 2 * len(runs)


def test_folding_respects_the_fields():
    messages = [((Shape(1, ((2, 8), (2, 8), (2, 8), (2, 1))), 64 * i),) for i in range(4)]
    assert len(fold(messages, 4, LIMITS.length_max_words, LIMITS.step_max_words, LIMITS.wrap_max(0))) == 4
    messages = [((Shape(1, ((4, 1),)), 64 * i),) for i in range(4)]
    assert len(fold(messages, 4, 8, 1 << 17, 1023)) == 2
    assert len(fold(messages, 4, 1000, 8, 1023)) == 4


@pytest.mark.parametrize(("words", "expected"), [(1023, 1), (1024, 2), (1536, 2)])
def test_a_long_run_of_words_is_no_inner_dimension(words, expected):
    """A linear descriptor is bounded by its length alone, a dimension inside another by its wrap of ten bits."""
    messages = [((Shape(4, ((words, 1),)), k * 16384),) for k in range(2)]
    found = fold(messages, 4, LIMITS.length_max_words, LIMITS.step_max_words, LIMITS.wrap_max(0))
    assert len(found) == expected
    beside = [((Shape(4, ((words, 1),)), k * words * 4),) for k in range(2)]
    assert fold(beside, 4, LIMITS.length_max_words, LIMITS.step_max_words, LIMITS.wrap_max(0))[0][0] == 2


@given(
    st.sampled_from([((7, 1),), ((888, 1),), ((8880, 1),), ((3, 40), (5, 8), (6, 1)), ((3, 40), (32, 1))]),
    st.integers(1, 3000),
)
@settings(max_examples=300, deadline=None)
def test_padding_is_zeros_at_the_end(dims, words):
    shape = Shape(1, dims)
    padded = pad_end(shape, words, LIMITS)
    if padded is None:
        return
    assert addresses(padded, 0) == [*addresses(shape, 0), *[-1] * words]
    for i, (before, after) in enumerate(reversed(padded.pads)):
        assert max(before, after) <= LIMITS.pad_max(i)
    for i, (size, _) in enumerate(reversed(padded.dims[1:])):
        assert size <= LIMITS.wrap_max(i)


def test_padding_is_found_where_it_exists():
    assert pad_end(Shape(1, ((220, 1),)), 36, LIMITS) == Shape(1, ((220, 1),), ((0, 36),))
    assert pad_end(Shape(1, ((8880, 1),)), 336, LIMITS) is not None  # 48 words, 7 times
    assert pad_end(Shape(1, ((220, 1),)), 64, LIMITS) is not None  # 4 words, 16 times
    assert pad_end(Shape(1, ((221, 1),)), 64, LIMITS) is None


@given(st.integers(0, 40000), st.sampled_from([512, 1024]))
@settings(max_examples=300, deadline=None)
def test_unused_words_stay_in_their_area(words, area):
    pieces = [Shape(1, dims) for dims in repeated_dims(words, area)]
    assert sum(s.words for s in pieces) == words
    assert len(pieces) <= 2
    for shape in pieces:
        last = sum((size - 1) * stride for size, stride in shape.dims)
        assert last < area + area // 2
        assert all(size <= LIMITS.wrap_max(i) for i, (size, _) in enumerate(reversed(shape.dims)) if i)


def test_unrolled_task_is_the_same_stream():
    messages = [((Shape(1, ((4, 1),)), 64 * (i % 3)), (Shape(1, ((2, 1),)), 4096)) for i in range(6)]
    (task,) = compress(messages, Limits(256, 64, 1 << 17))
    assert unroll(task, 9) == task
    chain = unroll(task, 10).chain
    assert stream([[(t.shape, t.base) for t in chain]]) == stream(messages)


def test_filler_and_opcodes_are_one_descriptor():
    filler = BdTemplate(Shape(1, ((100, 1),)), 1000)
    opcodes = BdTemplate(Shape(1, ((50, 1),)), 1400, control=True)
    (merged,) = merge_unused(filler, opcodes, 1000, 1024)
    assert (merged.base, merged.shape.words, merged.control) == (1000, 150, True)
    assert len(merge_unused(filler, BdTemplate(Shape(1, ((50, 1),)), 1396, control=True), 1000, 1024)) == 2
    (junk,) = merge_unused(filler, filler, 1000, 1024)
    assert junk.shape.words == 200


@st.composite
def programs(draw):
    """(channel, start, end, descriptors, repeat) of one memtile's activation and output channels over some items."""
    out = []
    for item in range(draw(st.integers(1, 12))):
        n_a, n_o = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        out.append(("a", (item, -1.0), (item, -0.55), draw(st.integers(1, 5)), 1))
        out += [
            ("a", (item, k / n_a), (item, (k + 1) / n_a), draw(st.integers(1, 4)), draw(st.sampled_from([1, 3])))
            for k in range(n_a)
        ]
        for r in range(4):
            out += [
                (r, (item, k / n_o), (item, (k + 1) / n_o), draw(st.integers(1, 3)), draw(st.sampled_from([1, 3])))
                for k in range(n_o)
            ]
    return out


@given(
    programs(),
    st.sampled_from([(10, 6), (8, 4), (6, 4), (0, 0)]),
    st.sampled_from([0.0, 3000.0, 40000.0]),
    st.sampled_from([0, 1, 3]),
)
@settings(max_examples=150, deadline=None)
def test_no_wait_is_for_work_that_needs_what_comes_later(tasks, limits, body, standing):
    """Replay: a task completes only when all that starts before its end has been pushed; no wait may need more."""
    array = Array(NPU1, Overlay())
    builder = CommandBuilder(array, build_overlay(array).bds, [body] * 13, standing=standing)
    mt = array.memtile(1)
    works = {}
    for where, start, end, n, repeat in tasks:
        channel = (mt, Dir.MM2S, 0) if where == "a" else (mt, Dir.S2MM, array.o_s2mm(where))
        chain = tuple(BdTemplate(Shape(mt, ((4, 1),)), 64 * k) for k in range(n))
        works.setdefault(channel, []).append(Work(channel, chain, repeat, start, end, start, item=start[0]))
    total = sum(len(w.chain) for ws in works.values() for w in ws)
    for channel, ws in works.items():
        longest = limits[0] if channel[1] is Dir.MM2S else limits[1]
        works[channel] = join(ws, Joining([body] * 13, longest, longest, (1 << 18, 512)))
        for work in works[channel]:
            ahead = work if channel[1] is Dir.MM2S else replace_key(work)
            builder.add(ahead)
    builder.schedule()
    same_as_oracle(builder)
    pushed = {channel: 0 for channel in works}
    for command in builder.commands:
        if isinstance(command, Push):
            pushed[(command.task.tile, command.task.dir, command.task.ch)] += 1
        elif isinstance(command, Wait):
            channel = (command.tile, command.dir, command.ch)
            assert pushed[channel] >= command.count
            needed = works[channel][command.count - 1].end
            for other, ws in works.items():
                assert all(w.start >= needed for w in ws[pushed[other] :])
    assert pushed == {channel: len(ws) for channel, ws in works.items()}
    assert sum(len(w.chain) for ws in works.values() for w in ws) <= total


def test_chains_that_leave_no_descriptors_are_refused():
    """Eighteen of activations and six of outputs are more than a pool has: ``arrange`` then takes shorter ones."""
    array = Array(NPU1, Overlay())
    builder = CommandBuilder(array, build_overlay(array).bds, [0.0] * 3)
    for channel, n, start, end in (
        ((array.memtile(1), Dir.MM2S, 0), 18, (0, -1.0), (1, -0.55)),
        ((array.memtile(1), Dir.S2MM, array.o_s2mm(3)), 6, (0, 0.0), (2, 1.0)),
    ):
        chain = tuple(BdTemplate(Shape(array.memtile(1), ((4, 1),)), 64 * k) for k in range(n))
        builder.add(Work(channel, chain, 1, start, end, start, item=0))
    for schedule in (builder.schedule, Oracle(builder).run):
        with pytest.raises(ProgramError, match="6 descriptors are not to be had"):
            schedule()


def same_as_oracle(builder: CommandBuilder, limit: float = inf) -> None:
    """The native scheduler takes the same decisions as the one in Python, to the last bit of its clock."""
    oracle = Oracle(builder).run(limit)
    done, found = builder.schedule(limit), builder.scheduled
    tables = (table.tolist() for table in (found.rows, found.static_rows, found.static_tasks))
    rows = [[tuple(row) for row in table] for table in tables]
    assert (done, found.end, builder.commands, *rows) == oracle


# What is loaded and what is pushed, with several clocks, repeated blocks and chains that do not fit.
STREAMS = (
    *MORE_CHAINS,
    *(chains for one in loaded_otherwise(MORE_CHAINS[:1]) for chains in one),
    *clocks(MORE_CHAINS[0]),
    *variants(MORE_CHAINS[4]),
    *standing(MORE_CHAINS[0]),
    Chains(18, 9, armed=False),
    NO_CHAINS,
)


@pytest.mark.parametrize(
    ("build", "device", "streams"),
    [
        (lambda: fire(4), "npu1", STREAMS),
        (lambda: fire(4), "wbs-2x2", STREAMS[::5]),
        (lambda: spilled(), "npu1", STREAMS[::5]),
    ],
    ids=["fire", "idealised", "spilled"],
)
def test_the_native_scheduler_is_the_one_in_python(build, device, streams):
    emitter = emitter_of(prepare(build(), device).plan)
    emitter.assembled()
    fitting, ends = 0, []
    for chains in streams:
        builder, _ = emitter.arranger.handed(chains)
        try:
            Oracle(builder).run()
        except ProgramError as error:
            with pytest.raises(ProgramError, match=re.escape(str(error).partition("(")[0])):
                builder.schedule()
            continue
        same_as_oracle(builder)
        fitting += 1
        ends.append(builder.end)
        same_as_oracle(builder, builder.end / 2)  # given up
        assert not builder.scheduled.done
    assert fitting > len(streams) / 2 and (device != "npu1" or len(set(ends)) > 1)


def test_no_command_writes_what_stands():
    """Descriptors that end most chains are loaded: fewer are written, for equal outputs, also of a second inference."""
    graph = fire(7)
    emitter = emitter_of(prepare(graph, "npu1").plan)
    emitter.assembled()
    x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
    writes, loaded = [], []
    for chains in (MORE_CHAINS[0], *standing(MORE_CHAINS[0])):
        commands = emitter.rearrange((chains,))
        program = emitter.assembly.program(commands, {})
        written = {program.bds[c.index] for c in program.commands if isinstance(c, WriteBd)}
        numbers = {(bd.tile, bd.bd_id) for bd in written}
        loaded.append(sum((bd.tile, bd.bd_id) not in numbers for bd in commands.static_bds))
        writes.append(sum(isinstance(c, WriteBd) for c in program.commands))
        result = run_program(program.to_bytes(), [np.concatenate([x, x])], RunOptions(check=True))
        for output in result.outputs[0]:
            assert np.array_equal(output.ravel(), np.asarray(expected).ravel())
    assert writes[0] > writes[1] > writes[2] and loaded[0] < loaded[1] < loaded[2]


def spilled():
    """Tensors that go through DDR: loads, stores, and loads that wait for stores."""
    b = GraphBuilder((64, 112, 112), 3)
    x = b.conv("x", 128, 3)
    return b.graph(b.add(b.conv(b.conv(x, 128, 3), 128, 1), x))


def test_a_timed_stream_is_the_program_with_it():
    """``Assembly.serialised`` goes around ``Program``."""
    for graph, streams in (fire(4), STREAMS), (spilled(), STREAMS[::5]):
        emitter = emitter_of(prepare(graph, "npu1").plan)
        emitter.assembled()
        for chains in streams:
            commands = emitter.rearrange((chains,))
            whole = emitter.assembly.program(commands, {}).to_bytes()
            assert emitter.assembly.serialised(commands) == whole
            assert read_program(whole).to_bytes() == whole


def replace_key(work: Work) -> Work:
    return replace(work, key=min(work.start, (max(0, work.start[0] - 1), -2.0)))


def fire(count: int):
    """Small layers behind one another, as in SqueezeNet: bound by the command processor."""
    b = GraphBuilder((16, 13, 13), 5)
    x = "x"
    for _ in range(count):
        x = b.conv(x, 16, 1)
        x = b.concat(b.conv(x, 32, 1), b.conv(x, 32, 3))
    return b.graph(x)


@pytest.mark.parametrize("count", [1, 7])
def test_small_layers_share_tasks_and_are_exact(count):
    graph = fire(count)
    compiled = compile_graph(graph)
    x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
    assert np.array_equal(result.outputs[0].ravel(), np.asarray(expected).ravel())
    pushes = sum(i.pushes for i in result.items)
    # Twenty channels, and those of loads, stores and weights once.
    assert pushes < 20 * len(compiled.placement.items) + 40
    if count > 1:
        assert pushes < 15 * len(compiled.placement.items) + 40


def test_what_the_array_waits_for_comes_before_what_is_only_cheaper_now():
    """Outputs of a later item are wanted early; not when the item before the next has long been complete."""
    array = Array(NPU1, Overlay())

    def order(late: float) -> int:
        """Outputs that are pushed before the activations of item 1."""
        builder = CommandBuilder(array, (), (100.0, 100.0, 100.0), clock=(MARGIN, late))
        word = BdTemplate(Shape(array.memtile(0), ((1, 1),)), 0)
        sent = array.memtile(0), Dir.MM2S, array.a_mm2s
        builder.add(Work(sent, (word,), 1, (0, 0.0), (0, 0.5), (0, 0.0)))
        builder.add(Work(sent, (word,), 1, (1, 0.0), (1, 0.5), (1, 0.0)))
        for c in range(array.cols):
            for r in range(array.rows):
                channel = array.memtile(c), Dir.S2MM, array.o_s2mm(r, c)
                builder.add(Work(channel, (word,), 1, (2, 0.0), (2, 0.5), (0, 0.6)))
        assert builder.schedule()
        pushed = [(c.task.tile, c.task.dir, c.task.ch) for c in builder.commands if isinstance(c, Push)]
        assert len(pushed) == 2 + array.cols * array.rows and len(set(pushed)) == len(pushed) - 1
        return [i for i, channel in enumerate(pushed) if channel == sent][1] - 1

    every = array.cols * array.rows
    assert order(float("inf")) == every
    assert 0 < order(18000.0) < every  # 3,250 cycles each, from the third on late
    assert order(0.0) == 1  # item 0 takes 100 cycles
