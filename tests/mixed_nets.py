"""Weights with mixed patterns and bit widths, and convolutions compiled with a given kind of plan."""

from __future__ import annotations

import numpy as np

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.pipeline import compile_graph
from tvm_aie.schedule.geometry import IDEAL_OVERLAYS, Overlay
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import tilings
from tvm_aie.searches import Workload

PATTERNS = ("full", "narrow", "holes", "narrow holes", "dead", "any")


class MixedBuilder(GraphBuilder):
    """Every 8x8 block of a weight follows one of ``patterns``, drawn at random."""

    def __init__(self, shape, seed=0, patterns=PATTERNS):
        super().__init__(shape, seed)
        self.patterns = patterns

    def weight(self, cout, cin, kh, kw):
        out = np.zeros((cout, cin, kh, kw), np.int8)
        for o in range(0, cout, 8):
            for i in range(0, cin, 8):
                shape = out[o : o + 8, i : i + 8].shape
                out[o : o + 8, i : i + 8] = self.block(shape, str(self.rng.choice(self.patterns)))
        return out

    def block(self, shape, pattern):
        taps = shape[2:]
        wide = self.rng.integers(-128, 128, shape)
        small = self.rng.integers(-8, 8, shape)
        keep = self.rng.random(taps) < 0.5
        if pattern == "full":
            return wide
        if pattern == "narrow":
            return small
        if pattern == "holes":
            return wide * keep
        if pattern == "narrow holes":
            return small * keep
        if pattern == "dead":
            return np.zeros(shape, np.int64)
        return np.where(self.rng.random(taps) < 0.5, small, wide) * keep


def division_of(dev):
    """The division of core memory that ``with_plan`` uses."""
    return IDEAL_OVERLAYS[0] if dev.core_ideal else Overlay()


def with_plan(graph, device, *names):
    """Compile with the best tiling whose cover is called one of ``names`` for each layer that has one."""
    dev = load_device(device) if isinstance(device, str) else device
    overlay = division_of(dev)
    terms = terms_from_keys(dev.keys())

    def choose(work: Workload):
        if work.live is None:
            return None
        shape = (work.geometry, work.live, work.rows, work.n_rows, overlay, terms, work.in_place)
        return min((t for t in tilings(*shape, work.blocks) if t.plan in names), key=lambda t: t.cycles, default=None)

    return compile_graph(graph, dev, overlay, choose)
