"""Cycles of kernel calls in closed form against the emulator's trace of the same calls."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("psutil")

from graphs import GraphBuilder
from tuning_nets import Builder
from tvm_aie.cost.item_load import kept_calls, kernel_cycles
from tvm_aie.cost.messages import weight_messages
from tvm_aie.cost.walk import CALLS, events
from tvm_aie.device import load_device
from tvm_aie.emit import opcodes
from tvm_aie.emit.weights import item_weights
from tvm_aie.pipeline import UNTUNED, Decisions, Moves, finish, prepare
from tvm_aie.plan.graph import Requant, Tail
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import FRONTS

NPU1 = load_device("npu1")
KERNEL = 1  # kind of a trace row


def traced(program):
    """(column, row, item) -> cycles of its kernel calls, in order."""
    result = run_program(bytes(program.to_bytes()), [], RunOptions(functional=False, trace=True))
    found = {}
    for agent, kind, item, start, end, _ in result.trace.rows[np.argsort(result.trace.rows[:, 3], kind="stable")]:
        if kind == KERNEL:
            name = result.trace.agents[agent]
            c, r = (int(v) for v in name[name.index("(") + 1 : name.index(")")].split(","))
            found.setdefault((c, r, int(item)), []).append(int(end - start))
    return found


def compared(graph, listed=False, decisions=UNTUNED, chooser=None):
    """Both counts of every call, as two lists."""
    ready = prepare(graph, NPU1, decisions)
    compiled = finish(ready, chooser)
    plan, seen = ready.plan, traced(compiled.program)
    mine, theirs = [], []
    for item, tiling in zip(plan.placement.items, compiled.tilings, strict=True):
        messages = weight_messages(item.geometry, tiling, item_weights(item, plan.physical, plan.packed))
        if listed != bool(messages.taps.sum() + messages.lows.sum()):
            continue
        for c, (first, last) in enumerate(item.out_rows):
            if last <= first:
                continue
            layer, slot = plan.physical.layers[item.layer], plan.array.overlay.a_slot
            calls = [e for e in events(opcodes.item_opcodes(item, layer, tiling, c, slot)) if e.op in CALLS]
            held = messages.at(np.array([e.weights for e in calls], np.int64))
            cycles = kernel_cycles(plan.array, item, tiling, c, np.array([e.band for e in calls], np.int64), held)
            kinds = np.array([CALLS[e.op] for e in calls], np.int64)
            cycles = np.where(kinds[:, None] > 0, kept_calls(plan.array, item, tiling, kinds), cycles)
            for r in range(plan.array.rows):
                mine += cycles[:, r].tolist()
                theirs += seen[c, r, item.index]
    return mine, theirs


@settings(max_examples=25, deadline=None)
@given(
    size=st.sampled_from([1, 7, 8, 9, 14, 31, 33]),
    channels=st.sampled_from([(8, 8), (16, 40), (64, 64), (24, 136)]),
    kernel=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2]),
    density=st.sampled_from([1.0, 0.5]),
)
def test_the_closed_form_counts_what_the_emulator_counts(size, channels, kernel, stride, density):
    b = Builder(channels[0], size, size, 0, density)
    mine, theirs = compared(b.graph(b.conv("x", channels[1], kernel, stride)))
    assert mine and mine == theirs


def test_rows_outside_the_image_cost_what_their_chunk_costs():
    """A residual, a pool behind and a pool in front of a convolution, at a border."""
    b = Builder(32, 20, 20)
    y = b.conv("x", 64, 3)
    y = b.add(b.conv(y, 64, 3), y)
    y = b.pool(b.conv(y, 64, 3), 2, 2)
    mine, theirs = compared(b.graph(b.conv(y, 32, 1)))
    assert len(set(mine)) > 3 and mine == theirs


@pytest.mark.parametrize("size", [7, 8, 9, 13, 31])
def test_sums_behind_and_in_front(size):
    """Behind a residual, the last column with fewer rows; the pool of the sums by itself, and in front of a layer."""
    b = GraphBuilder((32, size, size))
    x = b.conv("x", 64, 3)
    y = b.global_pool(b.add(b.conv(x, 64, 1), x))
    other = b.global_pool(b.conv(x, 24, 1))
    mine, theirs = compared(b.graph(b.conv(y, 40, 1), other), decisions=Decisions(moves=Moves(always=True)))
    assert len(set(mine)) > 3 and mine == theirs


@pytest.mark.parametrize(("size", "kernel"), [(31, 3), (56, 3), (112, 7)])
@pytest.mark.parametrize("pad", [0, 1])
def test_rows_that_a_band_takes_over_are_counted_once(size, kernel, pad):
    b = GraphBuilder((8, size, size))
    graph = b.graph(b.conv(b.pool(b.conv("x", 64, kernel), 3, 2, (pad,) * 4), 8, 1))
    decisions = Decisions(moves=Moves(always=True))
    assert prepare(graph, NPU1, decisions).plan.tilings[0].taken == 1
    mine, theirs = compared(graph, decisions=decisions)
    assert len(set(mine)) > 3 and mine == theirs


@pytest.mark.parametrize("density", [1.0, 0.4])
@pytest.mark.parametrize(("size", "pool"), [(27, False), (27, True), (55, True)])
def test_rows_of_a_front_and_what_drops(size, pool, density):
    b = GraphBuilder((64, size, size), density=density)
    y = b.conv(b.conv("x", 16, 1), 64, 3)
    graph = b.graph(b.pool(y) if pool else y)
    mine, theirs = compared(graph, decisions=Decisions(FRONTS[0], moves=Moves(always=True), fronts=frozenset({y})))
    assert len(set(mine)) > 3 and mine == theirs


@pytest.mark.parametrize("most", [127, 7])
@pytest.mark.parametrize("size", [15, 16])
def test_lists_at_a_border_are_counted_by_tap_row(most, size):
    """Two of nine taps of each block live, all of them int4 with ``most`` 7."""
    b = Builder(64, size, size)
    y = b.conv("x", 64, 3)
    keep = np.random.default_rng(0).permuted(np.tile(np.arange(9) < 2, (64, 1)), axis=1).reshape(8, 8, 3, 3)
    weight = np.random.default_rng(1).integers(1, most + 1, (64, 64, 3, 3)).astype(np.int8)
    weight *= np.repeat(np.repeat(keep, 8, 0), 8, 1)
    b.layers[-1] = replace(b.layers[-1], weight=weight)
    mine, theirs = compared(b.graph(y), listed=True)
    assert mine and mine == theirs


@pytest.mark.parametrize("channels", [16, 512])
def test_a_constant_behind_is_added_with_the_last_input_channels(channels):
    b = Builder(channels, 14, 14)
    y = b.conv("x", 128, 3)
    b.layers[-1] = replace(b.layers[-1], tail=Tail("bias", None, 0, 0, np.arange(128), Requant(1)))
    mine, theirs = compared(b.graph(y))
    assert mine and mine == theirs
