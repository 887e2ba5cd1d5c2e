"""Lines of a band as one line: any such tiling computes what numpy does, and what it saves is counted."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("psutil")

from graphs import GraphBuilder, check_outputs
from test_conv_calls import compared
from tvm_aie.decisions import Decisions, Moves
from tvm_aie.device import load_device
from tvm_aie.emit import messages
from tvm_aie.pipeline import compile_graph, finish, prepare
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.geometry import DIVISIONS, KEEPING
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import tilings

NPU1 = load_device("npu1")
TERMS = terms_from_keys(NPU1.keys())
KINDS = ["plain", "residual", "sums", "residual sums", "scale", "bias"]


def joined(work, kept=True):
    """The tilings of a workload that join lines; ``kept``: those that keep the input, too."""
    shape = work.geometry, work.live, work.rows, work.n_rows, work.overlay, TERMS, work.in_place, work.blocks
    return [t for t in tilings(*shape) if t.joined and (kept or not t.kept)]


def chooser(seed, found, kept=True):
    """One of them for each item that has some, noted in ``found``."""

    def choose(work):
        among = joined(work, kept)
        found.extend(among[seed * 17 % len(among) :][:1] if among else [])
        return among[seed * 17 % len(among)] if among else None

    return choose


def check(graph, ready, seed=0):
    """With lines joined wherever they can be, outputs are numpy's. Returns the tilings that join."""
    found = []
    compiled = finish(ready, chooser(seed, found))
    assert found and sum(t.joined for t in compiled.tilings) >= 1
    check_outputs(graph, compiled, seed)
    return found


def network(kind, size, cin, cout, density=1.0, seed=0):
    """A builder, and the name of a 1x1 convolution's output: with what ``kind`` says beside it."""
    b = GraphBuilder((9, *size), seed, density)
    shortcut = b.conv("x", cout, 3) if "residual" in kind else ""  # first, as the last convolution takes the add
    x = b.conv("x", cin, 3)
    if kind == "scale":
        x = b.constant(b.constant(b.conv(x, cin, 1)), 1)
    y = b.conv(x, cout, 1, lo=-128)
    if "residual" in kind:
        y = b.add(y, shortcut)
    if kind == "bias":
        y = b.constant(y, 1)
    return b, b.global_pool(y) if "sums" in kind else y


@settings(max_examples=60, deadline=None)
@given(
    height=st.sampled_from([4, 7, 8, 9, 13, 14, 31]),
    width=st.sampled_from([1, 5, 7, 9, 13, 14, 31, 33]),
    channels=st.sampled_from([(8, 32), (20, 40), (70, 64), (264, 33)]),
    kind=st.sampled_from(KINDS),
    density=st.sampled_from([1.0, 0.5]),
    overlay=st.sampled_from([*DIVISIONS[:3], KEEPING]),
    seed=st.integers(0, 99),
)
def test_any_tiling_computes_the_same(height, width, channels, kind, density, overlay, seed):
    b, y = network(kind, (height, width), *channels, density, seed)
    graph = b.graph(b.conv(y, 24, 1))
    ready = prepare(graph, NPU1, Decisions(overlay, moves=Moves(always=True), narrow=frozenset()))
    if any(joined(w) for w in workloads(ready)):
        check(graph, ready, seed)


def workloads(ready):
    """Of all items."""
    seen = []
    finish(ready, lambda work: seen.append(work))
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_joins(kind):
    """So that the test above cannot pass by finding nothing."""
    b, y = network(kind, (12, 13), 64, 64)
    graph = b.graph(y)
    ready = prepare(graph, NPU1, Decisions(KEEPING, moves=Moves(always=True), narrow=frozenset()))
    found = check(graph, ready)
    assert any(max(band for band, _ in t.bands) > 1 or "sums" in kind for t in found)
    ways = [t for w in workloads(ready) for t in joined(w)]
    assert any(t.kept for t in ways) or "residual" not in kind
    assert any(t.a_resident for t in ways) or kind in ("residual", "residual sums", "scale")


def test_rows_below_the_image_are_zeros(monkeypatch):
    """13 rows of which four columns take four each: the last column's message has one, and three that the DMA adds."""
    b, y = network("plain", (13, 13), 64, 64)
    graph, added = b.graph(b.conv(y, 24, 1)), []
    whole = messages._InputPieces._joined_shape

    def noted(self, *args):
        shape = whole(self, *args)
        added.extend(behind for _, behind in shape.pads[:-1])
        return shape

    monkeypatch.setattr(messages._InputPieces, "_joined_shape", noted)
    check(graph, prepare(graph, NPU1, Decisions(moves=Moves(always=True), narrow=frozenset())))
    assert 3 in added


@pytest.mark.parametrize("density", [1.0, 0.4])
@pytest.mark.parametrize("kind", KINDS)
def test_the_closed_form_counts_what_the_emulator_counts(kind, density):
    b, y = network(kind, (12, 13), 64, 64, density)
    graph, found = b.graph(y), []
    # The last copy of an input that is kept has less than the slot that the closed form counts.
    mine, theirs = compared(
        graph, False, Decisions(moves=Moves(always=True), narrow=frozenset()), chooser(3, found, kept=False)
    )
    assert found and mine == theirs


def test_groups_of_four_pixels_are_rounded_up_once():
    """A column's four lines of 13 pixels: 13 groups, not 16. Sums keep them in the core: nothing else differs."""
    b = GraphBuilder((64, 13, 13))
    graph = b.graph(b.global_pool(b.conv(b.conv("x", 64, 3), 256, 1)))
    ready = prepare(graph, NPU1, Decisions(moves=Moves(always=True), narrow=frozenset()))

    def alike(join):
        def choose(work):
            geo = work.geometry
            if geo.pool_after is None or not geo.pool_after.sums:
                return None
            shape = geo, work.live, work.rows, work.n_rows, work.overlay, TERMS, work.in_place, work.blocks
            cuts = [t for t in tilings(*shape) if t.joined == join and (t.nob, t.n_ck) == (2, 1) and not t.a_resident]
            return cuts[0]

        return choose

    busy = []
    for join in (False, True):
        compiled = finish(ready, alike(join))
        result = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))
        item = next(i for i in compiled.placement.items if i.geometry.pool_after and i.geometry.pool_after.sums)
        busy.append(result.items[item.index].busy_max)
    tiles = 8 * 8  # input blocks times output blocks of a core
    apart = 2 * max(TERMS.ii_min, 8 * TERMS.ii_per_acc)  # chunks of eight groups
    once = max(TERMS.ii_min, 8 * TERMS.ii_per_acc) + max(TERMS.ii_min, 5 * TERMS.ii_per_acc)
    # The rest of five groups is looked up in Gamma. Each of four calls is rounded up to a cycle.
    assert busy[0] - busy[1] == pytest.approx(tiles * (apart - once - TERMS.gamma), abs=4) and busy[0] > busy[1]


def test_columns_of_different_heights_do_not_join():
    """Weight messages have addresses of pixels in them, which all columns read."""
    b = GraphBuilder((16, 13, 14))
    ready = prepare(b.graph(b.conv(b.conv("x", 64, 3), 64, 1)), NPU1, Decisions(moves=Moves(pitch=False)))
    one = next(w for w in workloads(ready) if w.geometry.taps == 1)
    assert len(set(one.rows)) > 1 and one.geometry.joinable and not joined(one)


def test_rows_of_a_neighbour_do_not_join():
    work = next(
        w
        for w in workloads(prepare(pair(), NPU1, Decisions(moves=Moves(always=True), narrow=frozenset())))
        if w.geometry.own_rows
    )
    assert joined(work)
    apart = dataclasses.replace(work, geometry=dataclasses.replace(work.geometry, own_rows=False))
    assert not joined(apart)


def test_idealised_machines_gain_nothing():
    assert not any(t.joined for t in compile_graph(pair(), "wbs-4x4").tilings)


@pytest.mark.parametrize("kind, size, channels", [("plain", (28, 14), (256, 256)), ("residual", (16, 14), (256, 64))])
def test_the_move_can_be_left_out(kind, size, channels):
    """As any other, for ablations: nothing joins then, where lines are joined otherwise, and outputs stay numpy's."""
    b, y = network(kind, size, *channels)
    graph = b.graph(b.conv(y, 24, 1))
    joins = [compile_graph(graph, NPU1, moves=Moves(joined=join)) for join in (True, False)]
    assert [any(t.joined for t in compiled.tilings) for compiled in joins] == [True, False]
    for compiled in joins:
        check_outputs(graph, compiled, 0)


def pair():
    """A window and a 1x1 convolution, three rows of 13 pixels in each of four columns."""
    b = GraphBuilder((16, 12, 13))
    return b.graph(b.conv(b.conv("x", 64, 3), 64, 1))
