"""What the plans of a network share is what each would have found by itself."""

from __future__ import annotations

import numpy as np
import pytest

from graphs import GraphBuilder
from tvm_aie.cost.estimate import estimate
from tvm_aie.cost.loads import Loads
from tvm_aie.cost.walk import skeleton, walk
from tvm_aie.emit import opcodes
from tvm_aie.emit.weights import Streams, conv_messages, item_weights
from tvm_aie.narrow import costs
from tvm_aie.pipeline import prepare, repriced
from tvm_aie.schedule.control import HALF
from tvm_aie.schedule.cover import Blocks
from tvm_aie.schedule.geometry import DIVISIONS


@pytest.fixture(scope="module", params=[1.0, 0.5])
def plans(request):
    """Of layers that are alike; where half of the blocks are dead, they are not."""
    b = GraphBuilder((64, 14, 14), density=request.param)
    x = "x"
    for _ in range(4):
        x = b.conv(x, 64, 3)
    ready = prepare(b.graph(x), "npu1")
    return [ready.plan, *(repriced(ready, HALF, division).plan for division in DIVISIONS[1:3])]


def test_estimates(plans):
    known = Loads()
    for plan in (*plans, *plans):
        assert estimate(*plan.stages, plan.packed, known) == estimate(*plan.stages, plan.packed)
    assert 0 < len(known.items) <= sum(len(plan.tilings) for plan in plans)


def test_commands(plans):
    known = {}
    for plan in (*plans, *plans):
        assert costs(*plan.stages, known=known) == costs(*plan.stages)


def test_weight_streams(plans):
    """Also where there is room for few."""
    for streams in (Streams(), Streams(most=10_000)):
        for plan in (*plans, *plans):
            for item, tiling in zip(plan.placement.items, plan.tilings, strict=True):
                packed = item_weights(item, plan.physical, plan.packed)
                for row in range(plan.array.rows):
                    which = packed, tiling, item.geometry, row, plan.array.overlay.w_slot, plan.array.overlay.o_slot
                    assert streams.of(*which) == b"".join(conv_messages(*which))
        assert 0 < sum(len(stream) for _, _, stream in streams.known.values()) == streams.total[0] <= streams.most


def test_skeletons_keep_the_walk(plans):
    (plan, *_), found = plans, set()
    for item, tiling in zip(plan.placement.items, plan.tilings, strict=True):
        words = opcodes.item_opcodes(item, plan.physical.layers[item.layer], tiling, 1, plan.array.overlay.a_slot)
        assert walk(words).steps == walk(skeleton(words)).steps and len(skeleton(words)) == len(words)
        found.add(tuple(words))
    assert any(skeleton(words) != words for words in found)


@pytest.mark.parametrize("most", [7, 8, 127])
def test_live_taps_by_bits(most):
    rng = np.random.default_rng(most)
    tiles = rng.integers(-most - 1, most + 1, (5, 4, 3, 2, 8, 8)).astype(np.int8)
    tiles *= (rng.random((5, 4, 3, 2)) < 0.5)[..., None, None].astype(np.int8)
    for values in (tiles, np.ascontiguousarray(tiles.swapaxes(4, 5)).swapaxes(4, 5)):
        blocks = Blocks.of(values)
        assert np.array_equal(blocks.taps, values.any(axis=(4, 5)))
        assert np.array_equal(blocks.narrow, blocks.taps & ((values >= -8) & (values <= 7)).all(axis=(4, 5)))
