"""Closed-form kernel cycles against a slow walk of the chunk rule, and the roofline."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tvm_aie.cost import channelwise_cycles, conv_cycles, kernel_cycles, lower_bound
from tvm_aie.device import load_device

NPU1 = load_device("npu1")


def walk(live, rows, wo, taps):
    """Chunk by chunk, trip by trip: chunks, trips[n], blocks."""
    chunks, trips, blocks = 0, [0] * 9, 0
    for ocb_live in live:
        groups = [(row, x) for row in range(rows) for x in range(0, wo, 4)]
        for first in range(0, len(groups), 8):
            chunk = groups[first : first + 8]
            chunks += 1
            for _ in range(ocb_live):
                blocks += 1
                trips[len(chunk)] += taps
    return chunks, trips, blocks


def formula(device, chunks, trips, blocks):
    """docs/device-keys.md in exact arithmetic on the numbers that a program carries."""
    keys = {name: Fraction(round(value * 2**20), 2**20) for name, value in device.keys().items()}
    cost = {name: keys[f"kernel.conv.{name}"] for name in ("call", "a", "ii_per_acc", "ii_min", "gamma")}
    total = cost["call"] + chunks * cost["a"] + blocks * cost["gamma"]
    total += sum(trips[n] * max(cost["ii_min"], n * cost["ii_per_acc"]) for n in range(1, 9))
    return math.ceil(total)


@given(
    live=st.lists(st.integers(0, 8), min_size=1, max_size=5),
    rows=st.integers(1, 5),
    wo=st.integers(1, 33),
    taps=st.sampled_from([1, 3, 9, 49]),
)
def test_conv_equals_the_walk(live, rows, wo, taps):
    expected = formula(NPU1, *walk(live, rows, wo, taps))
    assert conv_cycles(NPU1, len(live), live, rows, wo, taps) == expected
    assert kernel_cycles(NPU1, *walk(live, rows, wo, taps)) == expected


def test_mean_equals_sequence():
    assert conv_cycles(NPU1, 4, 3, 2, 14, 9) == conv_cycles(NPU1, 4, [3, 3, 3, 3], 2, 14, 9)
    assert conv_cycles(NPU1, 4, 2.5, 2, 14, 9) == conv_cycles(NPU1, 4, [2, 3, 2, 3], 2, 14, 9)


def test_dead_blocks_cost_nothing_but_the_chunk():
    dense = conv_cycles(NPU1, 8, 32, 4, 28, 9)
    half = conv_cycles(NPU1, 8, 16, 4, 28, 9)
    assert 0.49 < half / dense < 0.51
    assert conv_cycles(NPU1, 8, 0, 1, 32, 1) == math.ceil(14 + 8 * 1.8047)


def test_ideal_machine_counts_true_macs():
    wbs = load_device("wbs-2x2")
    assert conv_cycles(wbs, 8, [8] * 8, 1, 31, 9) == 64 * 31 * 9 * 64 // 256
    assert conv_cycles(wbs, 1, [1], 1, 1, 1) == 1
    assert channelwise_cycles(wbs, "add", 4, 100) == 0


@pytest.mark.parametrize(("kind", "ii"), [("add", 3), ("maxpool", 2), ("avgpool", 2), ("upsample", 2)])
def test_channelwise(kind, ii):
    assert channelwise_cycles(NPU1, kind, 5, 70) == 14 + 5 * 8 + 70 * ii


def test_lower_bound():
    bound = lower_bound(4096 * 1000, 11.6e9 / 1.028e9 * 500, NPU1)
    assert (bound.cycles, bound.limit) == (1000, "compute")
    bound = lower_bound(0, 11.6e9 / 1.028e9 * 500, NPU1)
    assert (pytest.approx(bound.cycles), bound.limit) == (500, "DDR")
    wbs = load_device("wbs-2x2")
    assert lower_bound(0, 6 * 4.294967296 * 100, wbs).cycles == pytest.approx(100)
