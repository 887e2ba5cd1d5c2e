"""Depth-first runs: the same bytes as layer by layer, where memtiles are too small for what lies between."""

import dataclasses

import numpy as np
import pytest

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.memory.depth_first import Run, chunk_rows, extend, recomputed
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program

NO_PADS = (0, 0, 0, 0)


def small(name, kilobytes):
    return dataclasses.replace(load_device(name), memtile_bytes=kilobytes * 1024)


def stem(pixels=48, seed=0):
    b = GraphBuilder((3, pixels, pixels), seed)
    wide = b.conv(b.conv("x", 64, 3), 64, 3)
    return b.graph(b.conv(b.pool(wide, 2, 2, NO_PADS), 16, 3, 2))


@pytest.mark.parametrize(
    ("device", "kilobytes", "pixels"),
    [("wbs-2x2", 112, 48), ("wbs-3x2", 128, 48), ("wbs-1x4", 112, 80), ("npu1", 112, 80)],
)
def test_outputs_are_those_of_the_reference(device, kilobytes, pixels):
    graph, machine = stem(pixels), small(device, kilobytes)
    compiled = compile_graph(graph, machine, moves=Moves(always=True, turns=False))
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})[graph.outputs[0].tensor]
    np.testing.assert_array_equal(result.outputs[0].reshape(-1), np.asarray(expected).reshape(-1))
    assert compiled.placement.runs, "this machine is too large for the test"
    layerwise = compile_graph(graph, machine, moves=Moves(always=True, runs=False, turns=False))
    assert len(layerwise.placement.spilled) > len(compiled.placement.spilled)


def reads(layer, rows):
    """A 3x3 window on 20 rows."""
    return tuple((max(a - 1, 0), min(b + 1, 20)) if b > a else (0, 0) for a, b in rows)


def test_chunks_cover_every_row_once_and_their_inputs_overlap():
    run = Run((4, 5, 6), 3)
    owned = ((0, 10), (10, 20), (0, 0))
    chunks = chunk_rows(run, owned, reads)
    assert [c[-1][0] for c in chunks] == [(0, 4), (4, 7), (7, 10)]
    assert [c[1][0] for c in chunks] == [(0, 5), (3, 8), (6, 11)]
    assert [c[0][1] for c in chunks] == [(8, 16), (12, 19), (15, 20)]
    assert all(c[0][2] == (0, 0) for c in chunks)


def test_rows_computed_again_are_counted():
    owned = ((0, 10), (10, 20))
    # column 1: layer 0 computes 8 + 7 + 5 rows of 12, layer 1 computes 6 + 5 + 4 rows of 11
    assert recomputed(Run((0, 1, 2), 3), owned, reads, lambda _: 1.0) == (8 + 7 + 5 - 12) + (6 + 5 + 4 - 11)
    assert recomputed(Run((0, 1), 1), owned, reads, lambda _: 1.0) == 0


def test_runs_that_meet_become_one():
    assert extend((), 1, 2) == (Run((1, 2), 2),)
    assert extend((Run((1, 2), 4),), 2, 3) == (Run((1, 2, 3), 4),)
    assert extend((Run((1, 2), 4), Run((3, 4), 8)), 2, 3) == (Run((1, 2, 3, 4), 8),)
