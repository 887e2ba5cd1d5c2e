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
from wbs_layers import LAYER_GAIN, STREAM_SHARE, Ran, absorbed, gains, limit


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


def test_outputs_of_a_cut_input_are_waited_for():
    """1x1, 1,024 to 512 channels: partial sums of a core's 98 pixels are 200 KB, so pieces or passes are many, and no
    chunk of input channels that fits beside the partial sums computes as long as its outputs take."""
    b = GraphBuilder((1024, 14, 14), density=0.5)
    compiled = compile_graph(b.graph(b.conv("x", 512, 1)), "wbs-2x2")
    result = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))
    least = limit(compiled, ["conv0"])
    assert 1.1 * result.items[0].busy_max < least.cycles <= result.cycles


def ran(density, channels, moves):
    """3x3 convolutions, one with an add behind it, and a pool."""
    b = GraphBuilder((8, 16, 16), density=density)
    x = b.conv("x", channels, 3)
    y = b.conv(b.conv(b.add(b.conv(x, channels, 3), x), channels, 3), channels, 3)
    graph = b.graph(b.conv(b.pool(y, 2, 2, (0, 0, 0, 0)), channels, 3))
    compiled = compile_graph(graph, "wbs-2x2", moves=moves)
    result = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))
    rows = build_report("net", compiled.device, (), [compiled], [result]).layers
    return Ran(graph, absorbed(compiled.physical.graph, graph), rows), compiled.device


def test_what_runs_in_the_items_of_others():
    fused, device = ran(0.5, 128, Moves())
    names = [layer.name for layer in fused.graph.layers]
    add, pool = (next(n for n in names if n.startswith(kind)) for kind in ("add", "pool"))
    own = {row.name for row in fused.rows}
    inside = [m for moves in fused.absorbed.values() for m in moves]
    assert sorted(inside) == sorted({add, pool} - own) and add in inside
    assert fused.absorbed[names[names.index(add) - 1]] == (add,)
    apart, _ = ran(0.5, 128, Moves(tails=False, pools=False))
    assert not any(apart.absorbed.values())
    # Fewer than four groups of channels in a core row: nothing is judged.
    assert not gains(ran(1.0, 24, Moves())[0], ran(0.5, 24, Moves())[0], device)


def test_gains_are_judged_by_what_the_items_do():
    (dense, device), (sparse, _) = ran(1.0, 128, Moves()), ran(0.5, 128, Moves())
    found = gains(dense, sparse, device)
    assert len(found) == 3  # the first convolution is dense, the last bound by its weights
    moving = [g for g in found if g.moves]
    assert 0 < len(moving) < 3
    for g in found:
        assert g.dense > g.sparse > 0
        if g.moves:
            assert g.streams < 2 and g.wanted == pytest.approx(min(LAYER_GAIN, STREAM_SHARE * g.streams))
        else:
            # About half of the blocks are live.
            assert g.streams == pytest.approx(2, rel=0.2) and g.wanted == LAYER_GAIN
