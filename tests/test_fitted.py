"""Rings whose slots the messages of an item fill: against a ring that is walked, and in programs that run."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, check_outputs
from tvm_aie.emit.verify_division import opcode_divisions
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.schedule.division import A_RINGS, O_RINGS, SMALL_A_RINGS, SMALL_O_RINGS
from tvm_aie.schedule.fitted import A_ALIGN, A_SLOTS, O_ALIGN, O_SLOTS, OPCODES, fitted_ring
from tvm_aie.schedule.geometry import CORE_MEMORY, MOST_SLOTS, KernelId, ceil_div


def walked(ring, message, messages, opcodes):
    """Bytes of slots that pass through a ring: one message after the other, anew at its start where one does not fit
    before its end; then the opcodes, slot by slot."""
    slot, slots = ring
    size, at, sent = ceil_div(message, slot), 0, 0
    for _ in range(messages):
        if at + size > slots:
            sent, at = sent + slots - at, 0
        sent, at = sent + size, at + size
    return slot * (sent + ceil_div(opcodes, slot))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([*A_RINGS, *O_RINGS]),
    st.integers(1, 9000),
    st.integers(1, 40),
    st.sampled_from([((A_ALIGN, A_SLOTS), OPCODES), ((O_ALIGN, O_SLOTS), 0)]),
)
def test_no_ring_in_the_same_memory_sends_less(ring, message, messages, kind):
    """Of all slot sizes and counts; held to what it says of memory, slots and messages at once."""
    sizes, opcodes = kind
    align, (smallest, largest) = sizes
    if ceil_div(message, ring[0]) > ring[1]:
        return
    slot, slots = fitted_ring(ring, message, messages, sizes, opcodes)
    held = max(1, ring[1] // ceil_div(message, ring[0]))
    assert slot * slots <= ring[0] * ring[1] and slots <= MOST_SLOTS
    assert slots // ceil_div(message, slot) >= held
    least = walked((slot, slots), message, messages, opcodes)
    assert least <= walked(ring, message, messages, opcodes)
    for size in range(smallest, min(message + align, largest + 1), align):
        parts = ceil_div(message, size)
        for count in range(held, min(ring[0] * ring[1] // size, MOST_SLOTS) // parts + 1):
            assert least <= walked((size, count * parts), message, messages, opcodes)


def pixels_of_7(channels, density):
    """Pieces of 49 pixels: 392 bytes of a block, which slots of 128 bytes do not divide."""
    b = GraphBuilder((channels, 14, 14), density=density)
    x = b.conv("x", channels, 1)
    return b.graph(b.conv(b.conv(x, 2 * channels, 3), channels, 1))


@pytest.mark.parametrize("density", [0.5, 1.0])
@pytest.mark.parametrize("channels", [64, 200])
def test_programs_with_fitted_rings(channels, density):
    """Right outputs; other rings than the listed ones; faster, and as the estimate says; the rest as it was."""
    graph = pixels_of_7(channels, density)
    # Without ``refine`` no other tiling is taken because it fills rings better.
    listed, made = (compile_graph(graph, "wbs-2x2", moves=Moves(fits=f, refine=False)) for f in (False, True))
    before, result = check_outputs(graph, listed), check_outputs(graph, made)
    assert result.cycles < before.cycles
    assert made.estimate.total == pytest.approx(result.cycles, rel=0.03)
    rings = {(t.division.a_slot, t.division.a_slots) for t in made.tilings}
    assert rings - {*A_RINGS, *SMALL_A_RINGS}
    for tiling, division in zip(made.tilings, opcode_divisions(made.program, 0), strict=True):
        assert division[1:3] == (tiling.division.a_slot, tiling.division.a_slots)
        assert tiling.division.core_bytes <= CORE_MEMORY
    strip = [replace(t, division=None, a_slots=0, o_slots=0) for c in (listed, made) for t in c.tilings]
    assert strip[: len(strip) // 2] == strip[len(strip) // 2 :]


@pytest.mark.parametrize(("height", "width"), [(5, 6), (10, 3), (8, 4), (31, 9)])
def test_messages_of_adds_have_all_operands(height, width):
    """Of 64 channels of 30 pixels: 240 bytes of a block from each of two, which fit a slot of 512, not one of 256."""
    b = GraphBuilder((8, height, width))
    graph = b.graph(b.conv(b.add(b.conv("x", 64, 1), b.conv("x", 64, 3)), 8, 1))
    made = compile_graph(graph, "wbs-1x1", moves=Moves(tails=False))
    assert any(item.geometry.kernel == KernelId.ADD for item in made.placement.items)
    check_outputs(graph, made)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["wbs-1x1", "wbs-2x2", "wbs-3x3", "wbs-2x3"]),
    st.sampled_from([1, 7, 8, 9, 31, 33]),
    st.sampled_from([8, 9, 33, 70]),
    st.sampled_from([0.25, 1.0]),
    st.booleans(),
    st.integers(0, 99),
)
def test_random_networks(device, pixels, channels, density, together, seed):
    """Outputs with residuals, pools, strides and branches; never slower by estimate. ``together``: adds and pools run
    in the items of convolutions."""
    b = GraphBuilder((3, pixels, pixels), seed, density)
    x = b.conv("x", channels, 3)
    y = b.add(x, b.conv(b.conv(x, 2 * channels, 1), channels, 3))
    z = b.concat(b.conv(y, 16, 1), b.conv(y, 24, 3), b.pool(y, 3, 1))
    graph = b.graph(b.conv(b.upsample(b.conv(z, 40, 3, stride=2)), 16, 1))
    own = Moves(tails=together, pools=together)
    listed, made = (compile_graph(graph, device, moves=replace(own, fits=f)) for f in (False, True))
    check_outputs(graph, made, seed)
    assert made.estimate.total <= listed.estimate.total


def test_rings_that_items_share_stay():
    """Where a barrier lags the rings are the listed ones: the item behind it finds them as they are."""
    b = GraphBuilder((64, 17, 17))
    left = b.conv(b.conv("x", 64, 1), 64, 3)
    right = b.conv(b.conv("x", 72, 3), 64, 1)
    made = compile_graph(b.graph(b.concat(left, right)), "wbs-2x2")
    items = made.placement.items
    shared = {i for item in items if item.lag for i in (item.index - 1, item.index)}
    assert shared
    for i in shared:
        division = made.tilings[i].division
        assert (division.o_slot, division.o_slots) in {*O_RINGS, *SMALL_O_RINGS}
