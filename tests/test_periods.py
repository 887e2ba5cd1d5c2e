"""Tasks that come back in like blocks are one repeated task: the same transfers in the same order, and few commands."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.arrange import CHAINS
from tvm_aie.emit.commands import Work
from tvm_aie.emit.item_tasks import MOST_LATE, opcode_window
from tvm_aie.emit.overlay import Array
from tvm_aie.emit.periods import LEAST_BLOCKS, repeated
from tvm_aie.emit.program import Dir, LockUse, Push
from tvm_aie.emit.transfers import BdTemplate, Shape
from tvm_aie.pipeline import Moves, compile_graph, emitted, prepare
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import Overlay

NPU1 = load_device("npu1")
CHANNEL = (5, Dir.S2MM, 1)
SHAPES = (Shape(5, ((4, 1),)), Shape(5, ((2, 8), (2, 1))))
DONE = LockUse(5, 2, 1)


def transfers(tasks):
    """What a channel does, descriptor by descriptor: memory, address of each execution, locks."""
    counts = {}
    for task in tasks:
        for k in range(task.repeat):
            for i, t in enumerate(task.chain):
                current = (counts.get(i, 0) if k else 0) % t.wrap
                counts[i] = current + 1
                yield t.shape, t.base + 4 * t.step * current, t.acquire, t.release


def work(item, pieces, repeat=1, after=()):
    chain = tuple(
        BdTemplate(SHAPES[shape], base, acquire=None, release=DONE if done else None) for shape, base, done in pieces
    )
    return Work(CHANNEL, chain, repeat, (item, 0.0), (item, 1.0), (item, 0.0), after, item)


piece = st.tuples(st.integers(0, 1), st.integers(0, 3).map(lambda k: 1 << (10 + k)), st.booleans())


@st.composite
def networks(draw):
    """Tasks of a channel: blocks that repeat with steps between, now and then something else."""
    out = []
    for _ in range(draw(st.integers(1, 4))):
        block = draw(st.lists(st.lists(piece, min_size=1, max_size=3), min_size=1, max_size=3))
        steps = [[draw(st.sampled_from([0, 64, 64, 256, -64, 1 << 21])) for _ in p] for p in block]
        for k in range(draw(st.integers(1, 70 if len(block) == 1 else 9))):
            for pieces, by in zip(block, steps, strict=True):
                moved = [(s, b + k * d + (1 << 16), r) for (s, b, r), d in zip(pieces, by, strict=True)]
                out.append(work(len(out), moved))
        if draw(st.booleans()):
            out.append(work(len(out), [draw(piece)], *draw(st.sampled_from([(2,), (1, ((CHANNEL, 1),))]))))
    return out


@given(networks(), st.sampled_from([1, 2, 6, 12]), st.sampled_from([2, LEAST_BLOCKS]))
@settings(max_examples=300, deadline=None)
def test_repeated_blocks_are_the_same_transfers(tasks, longest, least):
    found = list(repeated(tasks, NPU1, longest, least))
    assert list(transfers(found)) == list(transfers(tasks))
    at = 0
    for task in found:
        if task in tasks:
            at += 1
            continue
        assert task.repeat >= least and len(task.chain) <= longest and not task.after
        for t in task.chain:
            assert t.wrap in (1, task.repeat) and task.repeat % t.wrap == 0
            assert t.wrap <= NPU1.iteration_wrap_max and 0 <= t.step <= NPU1.memtile_bd.iteration_step_max_words
        n = 0
        while n < len(task.chain) * task.repeat:
            n += len(tasks[at].chain)
            at += 1
        assert task.end == tasks[at - 1].end
    assert at == len(tasks)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 64, 65])
def test_a_growing_concat_and_a_tensor_that_stays_are_one_task(count):
    """As in DenseNet: the bottleneck is written to one place, the new channels behind those before."""
    tasks = [work(i, [(0, 4096 if i % 2 else 8192 + 32 * i, True)]) for i in range(2 * count)]
    found = list(repeated(tasks, NPU1, 6))
    if count < LEAST_BLOCKS:
        assert found == tasks
    else:  # an iteration wraps after 64
        assert [t.repeat for t in found if t.repeat > 1] == [min(count, 64)]
        assert len(found) == 1 + 2 * max(0, count - 64)
        assert found[0].end == tasks[2 * min(count, 64) - 1].end and found[0].start == tasks[0].start


def test_locks_and_waits_are_not_shared():
    tasks = [work(i, [(0, 64 * i, i != 3)]) for i in range(6)]
    assert [t.repeat for t in repeated(tasks, NPU1, 6)] == [3, 1, 1, 1]
    tasks = [work(i, [(0, 64 * i, True)]) for i in range(6)]
    tasks[3] = replace(tasks[3], after=((CHANNEL, 1),))
    assert [t.repeat for t in repeated(tasks, NPU1, 6)] == [3, 1, 1, 1]


def dense_block(count):
    """Layers that each add 8 channels to those before, through a bottleneck."""
    b = GraphBuilder((16, 9, 9), 5)
    x = b.conv("x", 32, 1)
    for _ in range(count):
        x = b.concat(x, b.conv(b.conv(x, 32, 1), 32, 3))
    return b.graph(x)


@pytest.mark.parametrize("count", [1, 5])
def test_a_dense_block_is_exact_and_takes_few_commands(count):
    graph = dense_block(count)
    x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
    pushes = []
    for block in (6, 0):
        program = emitted(prepare(graph).plan, (CHAINS[0]._replace(block=block),))
        result = run_program(program.to_bytes(), [x], RunOptions(check=True))
        assert np.array_equal(result.outputs[0].ravel(), np.asarray(expected).ravel())
        sent = [c.task for c in program.commands if isinstance(c, Push) and c.task.dir is Dir.S2MM]
        pushes.append((len(sent), max(t.repeat for t in sent)))
    (repeated_, times), (single, _) = pushes
    assert repeated_ <= single
    if count > 1:
        assert repeated_ < single and times >= count - 1


@given(st.integers(1, 250), st.integers(1, 40), st.integers(0, 4), st.sampled_from([224, 256]))
@settings(max_examples=300, deadline=None)
def test_opcodes_and_filler_are_one_descriptor(n_words, slots, locks, slot):
    slots = max(slots, -(-(n_words + locks) // slot))
    total = slots * slot - locks
    window, late = opcode_window(n_words, total, slot, MOST_LATE if locks else 0)
    if window is None:
        return
    (times, step), (words, inner) = window
    assert times * words + late == total and (step, inner) == (1, 1)
    assert words >= n_words and times + words - 1 <= max(slot, n_words) and words <= NPU1.memtile_bd.wrap_max(0)
    assert 0 <= late <= (MOST_LATE if locks else 0)


@pytest.mark.parametrize("slots", [1, 2, 7, 8, 9, 18])
def test_usual_prologues_need_no_filler_descriptor(slots):
    assert opcode_window(70, slots * 224 - 2, 224, MOST_LATE)[0] is not None


@pytest.mark.parametrize("chains", [True, False])
def test_opcodes_and_inputs_are_one_task(chains):
    """On every channel of loads; without chains each is one."""
    graph = dense_block(1)
    compiled = compile_graph(graph, moves=Moves(chains=chains))
    array = Array(NPU1, Overlay())
    loads = [c.task for c in compiled.program.commands if isinstance(c, Push) and c.item == 0]
    counts, into = [], []
    for c in range(array.cols):
        counts.append(sum((t.tile, t.dir, t.ch) == (array.shim(c), Dir.MM2S, 0) for t in loads))
        into.append(sum((t.tile, t.dir, t.ch) == (array.memtile(c), Dir.S2MM, array.load_s2mm) for t in loads))
    # With chains the opcodes are there already; the last column has no rows of the image.
    assert (min(counts), max(counts)) == ((0, 1) if chains else (1, 2))
    # With chains the memtile's channel is armed (its opcodes, again at the end, and an image between them), or, where
    # there are descriptors for all tasks, runs by itself.
    assert into == counts if not chains else max(into) <= 2
    x = np.random.default_rng(1).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    expected = evaluate(graph, {graph.inputs[0].tensor: x})[graph.outputs[0].tensor]
    got = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True)).outputs[0]
    assert np.array_equal(got.ravel(), np.asarray(expected).ravel())
