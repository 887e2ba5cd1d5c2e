"""The network's input row by row: every message waits for the pieces of the load that have its rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.first_rows import MOST_GROUPS, first_rows
from tvm_aie.emit.item_tasks import Cut
from tvm_aie.emit.overlay import LOAD_DONE
from tvm_aie.emit.transfers import Shape
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program

MEMTILE, ADDRESS = 4, 4096
DEVICE = load_device("npu1")


def messages(lines: int, height: int, step: int, line: int, passes: int):
    """Windows of ``height`` lines (words of a line: ``line``), ``step`` lines further each, ``passes`` times."""
    starts = range(0, max(1, lines - height + 1), step)
    each = [((Shape(MEMTILE, ((min(height, lines - s), line), (line, 1))), ADDRESS + 4 * s * line),) for s in starts]
    return each * passes


def executions(cut: Cut):
    """(LOAD_DONE acquired so far, address of the last byte read) of every descriptor, in order."""
    acquired = 0
    for task in cut.tasks:
        for k in range(task.repeat):
            for t in task.chain:
                if t.acquire:
                    assert (t.acquire.tile, t.acquire.lock) == (MEMTILE, LOAD_DONE)
                    assert task.repeat == 1
                    acquired += t.acquire.value
                base = t.base + k % t.wrap * t.step * 4
                yield acquired, base + 4 * (1 + sum((n - 1) * stride for n, stride in t.shape.dims))


@given(
    lines=st.sampled_from([1, 7, 8, 9, 31, 33, 59]),
    height=st.integers(1, 9),
    step=st.integers(1, 5),
    passes=st.integers(1, 3),
    line=st.sampled_from([112, 224, 400]),
)
def test_no_message_is_sent_before_its_rows_are_there(lines, height, step, passes, line):
    content = messages(lines, height, step, line, passes)
    size = 4 * lines * line
    found = first_rows(Cut(tuple(content), 0, ()), MEMTILE, (ADDRESS, size), DEVICE)
    if found is None:
        short = size * 4 / DEVICE.ddr_bytes_per_cycle(4) < 4000
        first = 4 * content[0][0][0].words
        # One message, or passes over the same one, has nothing behind it to wait for.
        assert short or 2 * first > size or all(message == content[0] for message in content)
        return
    assert sum(found.pieces) == size
    assert all(piece > 0 for piece in found.pieces)
    assert 2 <= len(found.pieces) <= MOST_GROUPS
    loaded = [0, *np.cumsum(found.pieces)]
    sent = 0
    for acquired, end in executions(found.cut):
        assert end - ADDRESS <= loaded[acquired]
        sent += 1
    assert acquired == len(found.pieces)  # whatever is released is acquired
    assert [t.first for t in found.cut.tasks] == [0, *(t.last + 1 for t in found.cut.tasks[:-1])]
    assert found.cut.tasks[-1].last == len(content) - 1
    # The first message waits for no more than its rows.
    assert found.pieces[0] == 4 * content[0][0][0].words


def test_another_memtiles_rows_are_not_waited_for_by_the_piece():
    content = messages(59, 8, 4, 224, 1)
    far = (*content[:3], ((Shape(MEMTILE + 1, ((224, 1),)), ADDRESS),), *content[3:])
    assert first_rows(Cut(tuple(content), 0, ()), MEMTILE, (ADDRESS, 4 * 59 * 224), DEVICE)
    assert first_rows(Cut(tuple(far), 0, ()), MEMTILE, (ADDRESS, 4 * 59 * 224), DEVICE) is None


@pytest.mark.parametrize("size", [128, 160])
def test_cores_compute_while_the_input_is_still_loaded(size):
    b = GraphBuilder((16, size, size))
    graph = b.graph(b.conv(b.conv("x", 32, 3), 8, 1))
    compiled = compile_graph(graph, "npu1")
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    run = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True, trace=True))
    wanted = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    assert np.array_equal(run.outputs[0].ravel(), wanted.ravel())
    agents, rows = run.trace.agents, run.trace.rows
    loads = [i for i, a in enumerate(agents) if a.startswith("shim") and a.endswith("MM2S 0")]
    kernels = rows[rows[:, 1] == 1]
    for column in range(DEVICE.cols):
        cores = [i for i, a in enumerate(agents) if a.startswith(f"core({column},") and " " not in a]
        own = rows[(rows[:, 0] == loads[column]) & (rows[:, 1] == 0)]
        assert kernels[np.isin(kernels[:, 0], cores)][:, 3].min() < own[own[:, 2] == 0][:, 4].max()
