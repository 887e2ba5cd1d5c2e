"""Loads of items column by column, call by call, against what is found once for columns and calls that are alike."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.cost.item_load import item_load, kept_calls, kernel_cycles, opcode_streams, rates_of
from tvm_aie.cost.messages import block_calls, weight_messages
from tvm_aie.cost.walk import walk
from tvm_aie.decisions import Moves
from tvm_aie.emit.weights import item_weights
from tvm_aie.pipeline import prepare
from tvm_aie.places import Placements, place


def kernels_of(plan, item, tiling, column):
    """(kernel cycles, output blocks) of a column's own steps, one after the other."""
    array = plan.array.divided(tiling.division)
    weights = item_weights(item, plan.physical, plan.packed)
    messages = weight_messages(item.geometry, tiling, weights)
    calls = block_calls(item.geometry, tiling, weights) if tiling.per_block else messages
    words = opcode_streams(plan.array, item, plan.physical.layers[item.layer], tiling)[column]
    for step in walk(words, messages.blocks.max(axis=0).tolist()).steps:
        held, block = max(step.weights, 0), max(step.block, 0)
        call = calls.at(np.array([held * tiling.nob + block if tiling.per_block else held]))
        cycles = kernel_cycles(array, item, tiling, column, np.array([step.band]), call)
        if step.keeps:
            cycles = np.broadcast_to(kept_calls(array, item, tiling, np.array([step.keeps])), cycles.shape)
        blocks = messages.blocks[:, held]
        yield cycles[0] + step.opcodes * rates_of(array).opcode, np.where(block < blocks, blocks, 0), step.releases_o


@settings(max_examples=25, deadline=None)
@example("wbs-2x2", 7, 33, 0.25, 0)  # columns with a band each keep inputs of four rows and of three
@given(
    st.sampled_from(["wbs-1x1", "wbs-2x2", "wbs-3x3", "wbs-3x5", "npu1"]),
    st.sampled_from([1, 7, 8, 9, 31, 33]),
    st.sampled_from([8, 33, 70]),
    st.sampled_from([0.25, 1.0]),
    st.integers(0, 99),
)
def test_columns_that_are_alike_have_one_load(device, pixels, channels, density, seed):
    b = GraphBuilder((3, pixels, pixels), seed, density)
    x = b.conv("x", channels, 3)
    y = b.add(x, b.conv(b.conv(x, 2 * channels, 1), channels, 3))
    plan = prepare(b.graph(b.concat(b.conv(y, 16, 1, stride=2), b.pool(b.conv(y, 24, 3), 3, 2))), device).plan
    for item, tiling in zip(plan.placement.items, plan.tilings, strict=True):
        weights = item_weights(item, plan.physical, plan.packed)
        load = item_load(plan.array, item, plan.physical.layers[item.layer], tiling, weights)
        slot = plan.array.divided(tiling.division).overlay.o_slot
        for c, (first, last) in enumerate(item.out_rows):
            expected = list(kernels_of(plan, item, tiling, c)) if last > first else []
            # A column with fewer bands idles at the end of each weight message.
            found = load.kernel[:, c][load.a_move[:, c] > 0]
            np.testing.assert_array_equal(found, np.reshape([k for k, _, _ in expected], (-1, plan.array.rows)))
            slots = [[tiling.o_slots_of(n, slot) for n in blocks] for _, blocks, sends in expected if sends]
            sizes = load.o_sizes[:, c]
            kept = sizes[sizes.any(axis=1)]
            np.testing.assert_array_equal(kept, [row for row in slots if any(row)] or np.zeros((0, plan.array.rows)))


def test_a_placement_is_found_once():
    """For divisions of core memory that leave the memtiles as much room; not for other decisions."""
    b = GraphBuilder((16, 31, 33))
    plan = prepare(b.graph(b.conv(b.conv("x", 40, 3), 24, 3)), "wbs-2x2").plan
    groups = tuple(item.members for item in plan.placement.items)
    known = Placements()
    arguments = plan.array, plan.physical, groups, Moves(), frozenset[int]()
    one = place(*arguments, known=known)
    count = len(known.known)
    assert place(*arguments, known=known) == one == place(*arguments) and len(known.known) == count
    place(*arguments, True, known)
    assert len(known.known) == 2 * count


@pytest.mark.parametrize("device", ["wbs-2x2", "wbs-3x3"])
def test_layers_of_one_shape_have_one_tiling(device):
    """Where commands cost nothing: the same object, so that their loads are found once, too."""
    b = GraphBuilder((16, 15, 15))
    x = b.conv("x", 32, 3)
    for _ in range(3):
        x = b.conv(x, 32, 3)
    plan = prepare(b.graph(x), device, like=None).plan
    inner = [t for item, t in zip(plan.placement.items, plan.tilings, strict=True) if item.geometry.in_blocks == 4]
    assert len(inner) == 3 and all(t == inner[0] for t in inner)
