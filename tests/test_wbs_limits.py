"""The limit of a layer by the streams of the array: below what is emulated where layers do not overlap, and exact on
a layer whose terms can be counted by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from graphs import GraphBuilder
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.report.collect import build_report
from tvm_aie.runtime.emulator import RunOptions, run_program

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from wbs_layers import limit


@pytest.mark.parametrize("mesh", ["wbs-1x1", "wbs-2x2", "wbs-3x2", "wbs-2x4"])
@pytest.mark.parametrize("pixels", [9, 31, 33])
def test_no_layer_is_faster_than_its_limit(mesh, pixels):
    b = GraphBuilder((16, pixels, pixels))
    x = b.conv(b.conv("x", 72, 3), 64, 1)
    graph = b.graph(b.conv(b.add(b.conv(x, 64, 7, kw=1), x), 33, 3, 2))
    compiled = compile_graph(graph, mesh, moves=Moves(lags=False))
    result = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))
    rows = build_report("net", compiled.device, (), [compiled], [result]).layers
    assert len(rows) == 4
    for row in rows:
        least = limit(compiled, row.name.split("+"))
        assert 0 < least.cycles <= row.cycles and not least.overlaps


def test_terms_of_a_layer():
    """2 x 2 cores, 32 to 32 channels, a 3x3 window on 16 x 16 pixels: a core has 2 output blocks and 8 rows."""
    b = GraphBuilder((32, 16, 16))
    compiled = compile_graph(b.graph(b.conv("x", 32, 3)), "wbs-2x2")
    least = limit(compiled, ["conv0"])
    taps = 8 * 3 - 1  # rows of the window inside the image, in either column
    assert least.term == "compute"
    assert least.cycles == pytest.approx(taps * 3 * 16 * 4 * 2 * 64 / 256)


def test_a_wide_input_is_bound_by_its_stream():
    """1x1 with few outputs: the input is what takes longest."""
    b = GraphBuilder((256, 16, 16))
    compiled = compile_graph(b.graph(b.conv("x", 8, 1)), "wbs-2x2")
    least = limit(compiled, ["conv0"])
    loaded = 8 * 16 * 256 / 4 / compiled.device.stream_words_per_cycle
    assert least.cycles == pytest.approx(loaded, rel=0.02)
    assert least.term in ("input", "DDR")
    assert np.isfinite(least.cycles)
