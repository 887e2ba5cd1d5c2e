"""Core memory divided anew for each item: same outputs, honest estimate, sound divisions, violations named."""

import dataclasses
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.emit.opcodes import DIVIDE, OP_MAGIC
from tvm_aie.emit.program import Dir, Push, TileKind, WriteBd
from tvm_aie.emit.verify import verify
from tvm_aie.emit.verify_division import opcode_divisions
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import Moves, compile_graph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.division import W_RINGS, best_switches, choose_of, wide
from tvm_aie.schedule.geometry import CORE_MEMORY, IDEAL_OVERLAYS, MOST_SLOTS, Geometry, KernelId, Overlay
from tvm_aie.schedule.grid import choose, grids, least, least_of, shortlist
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.workloads.wbs import NETWORKS

ALL, NO_SWITCHES = Moves(), Moves(switches=False)


def run(graph, device, moves=ALL):
    """Compiled and run with every access checked; the outputs are those of the reference."""
    compiled = compile_graph(graph, device, moves=moves)
    x = np.random.default_rng(0).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})
    for io, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got.reshape(-1), np.asarray(expected[io.tensor]).reshape(-1), err_msg=io.tensor)
    return compiled, result


def mixed(pixels, channels, density=0.5):
    """Wide and narrow, 3x3 and 1x1, a pool, a residual: items that want different rings."""
    b = GraphBuilder((3, pixels, pixels), density=density)
    x = b.conv("x", channels, 3)
    y = b.conv(b.conv(x, 4 * channels, 1), channels, 1)
    z = b.add(x, y)
    return b.graph(b.conv(b.pool(b.conv(z, channels, 3)), 2 * channels, 1))


@pytest.mark.parametrize("device", ["wbs-1x1", "wbs-3x2", "wbs-2x3", "wbs-8x8"])
@pytest.mark.parametrize(("pixels", "channels"), [(1, 8), (7, 9), (8, 31), (9, 33), (31, 16), (33, 8)])
def test_outputs_are_the_same(device, pixels, channels):
    compiled, _ = run(mixed(pixels, channels), device)
    assert all(t.division is not None for t in compiled.tilings)
    (ring,) = {(t.division.w_slot, t.division.w_slots) for t in compiled.tilings}
    assert ring in W_RINGS
    divisions = opcode_divisions(compiled.program, 0)
    assert len(divisions) == len(compiled.tilings)
    for tiling, (_, a_slot, a_slots, _, o_slot, o_slots, _, acc) in zip(compiled.tilings, divisions, strict=True):
        d = tiling.division
        assert (a_slot, a_slots, o_slot, o_slots, acc) == (d.a_slot, d.a_slots, d.o_slot, d.o_slots, d.acc_bytes)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from(["wbs-1x2", "wbs-2x2", "wbs-4x3"]),
    st.sampled_from([1, 7, 8, 9, 31, 33]),
    st.sampled_from([8, 9, 33, 70]),
    st.sampled_from([0.25, 1.0]),
)
def test_estimate_follows(device, pixels, channels, density):
    compiled, result = run(mixed(pixels, channels, density), device)
    assert compiled.estimate.total == pytest.approx(result.total_cycles - result.launch_cycles, rel=0.03, abs=100)


def test_a_switch_costs_nothing():
    """Items that all want one division run as fast with DIVIDE as without it, but for where their rings begin."""
    b = GraphBuilder((64, 14, 14))
    x = "x"
    for _ in range(6):
        x = b.conv(x, 64, 3)
    graph = b.graph(x)
    switched_run = run(graph, "wbs-2x2")[1].total_cycles
    assert switched_run <= run(graph, "wbs-2x2", NO_SWITCHES)[1].total_cycles * 1.01


def test_switches_are_faster_where_items_differ():
    graph = NETWORKS["ResNet50"](0.5, 0)
    fixed = compile_graph(graph, "wbs-4x4", moves=NO_SWITCHES).estimate.total
    assert compile_graph(graph, "wbs-4x4").estimate.total < 0.98 * fixed


def test_the_calibrated_machine_keeps_one_division():
    compiled = compile_graph(mixed(9, 16), "npu1")
    assert all(t.division is None for t in compiled.tilings) and not opcode_divisions(compiled.program, 0)


def ring_of(divisions):
    """Their weight ring: bytes of a slot, slots."""
    return divisions.w_slot, divisions.w_slots


@pytest.mark.parametrize("ring", W_RINGS)
def test_a_wide_division_is_what_a_core_holds(ring):
    overlay = wide(*ring)
    assert CORE_MEMORY - 64 - 512 < overlay.core_bytes <= CORE_MEMORY
    assert (overlay.w_slot, overlay.w_slots) == ring
    assert max(overlay.a_slots, overlay.w_slots, overlay.o_slots) <= MOST_SLOTS


def test_other_weight_rings_are_refused():
    with pytest.raises(ValueError, match="weight rings differ"):
        Overlay(w_slots=24).divided_as(Overlay(w_slots=25))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 7, 9, 31]), st.sampled_from([1, 3]), st.integers(0, 9))
def test_the_best_division_is_the_best_of_all(in_blocks, out_blocks, w, k, seed):
    geo = Geometry(KernelId.CONV, k, k, 1, 1, 1, 1, k // 2, k // 2, 12, w, 12, w, in_blocks, out_blocks)
    live = np.random.default_rng(seed).random((out_blocks, in_blocks)) < 0.5
    found = grids(geo, live, (6, 6), 2, terms_from_keys(load_device("wbs-2x2").keys()), False)
    divisions = tuple(wide(512, n) for n in (16, 24, 40)) + IDEAL_OVERLAYS
    each = [least(found, ov) for ov in divisions]
    cycles, overlay = least_of(found, divisions)
    assert cycles == min(each) and (overlay is None) == (cycles == inf)
    if overlay:
        chosen = choose_of(found, divisions)
        assert chosen.division == overlay and chosen.cycles == pytest.approx(cycles)
        assert dataclasses.replace(chosen, division=None) == choose(found, overlay)
        listed = shortlist(found, divisions, 5, 1.15)
        assert listed[0][0].cycles == pytest.approx(cycles)
        assert all(t.cycles <= cycles * 1.15 * (1 + 1e-9) and t.a_slots <= ov.a_slots for t, ov in listed)


@given(
    st.lists(st.sampled_from([inf, 1.0, 1.01, 1.015, 2.0, 3.0]), min_size=len(W_RINGS), max_size=len(W_RINGS)),
    st.integers(1, 5),
)
def test_a_weight_ring_is_found_if_any_fits(costs, count):
    by_ring = dict(zip(W_RINGS, costs, strict=True))
    found = best_switches(lambda divisions: by_ring[ring_of(divisions)], count)
    values = [by_ring[ring_of(d)] for d in found]
    assert bool(found) == (min(costs) < inf)
    assert values == sorted(values) and all(v < inf for v in values)
    assert len(found) <= count and len(set(found)) == len(found)


def test_rings_that_cost_nearly_the_same_are_compared():
    """The closed form cannot tell these apart; the recurrence shall. Nearest first, on both sides."""
    by_ring = dict(zip(W_RINGS, (1.009, 1.008, 1.005, 1.0, 1.01, 1.02, 1.04, 1.05, 1.06), strict=True))
    found = best_switches(lambda divisions: by_ring[ring_of(divisions)], 4)
    assert [ring_of(d) for d in found] == [W_RINGS[k] for k in (3, 2, 1, 4)]


@pytest.fixture(scope="module")
def program():
    """The first item has partial sums."""
    b = GraphBuilder((320, 17, 17))
    made = compile_graph(b.graph(b.conv(b.conv(b.conv("x", 64, 3), 32, 1), 64, 3)), "wbs-2x2")
    assert made.tilings[0].division.acc_bytes > 0
    return made.program


def divide_at(program, operand, change):
    """The first DIVIDE of column 0 with one operand changed."""
    words = np.frombuffer(program.const, "<i4").copy()
    at = next(i for i in range(len(words)) if words[i] == OP_MAGIC and words[i + 6] == DIVIDE) + 7 + operand
    words[at] = change(words[at])
    return dataclasses.replace(program, const=words.tobytes())


def ring_bd(program, **fields):
    """The last descriptor of a core's activations with other fields."""
    cores = {i for i, t in enumerate(program.tiles) if t.kind == TileKind.CORE}
    pushed = {(c.task.tile, c.task.bd) for c in program.commands if isinstance(c, Push) and c.task.dir == Dir.S2MM}
    rows = [c.index for c in program.commands if isinstance(c, WriteBd)]
    mine = [r for r in rows if program.bds[r].tile in cores]
    row = [r for r in mine if (program.bds[r].tile, program.bds[r].bd_id) in pushed][-1]
    bds = list(program.bds)
    bds[row] = dataclasses.replace(bds[row], **{k: f(bds[row]) for k, f in fields.items()})
    return dataclasses.replace(program, bds=tuple(bds))


def without_pushes(program):
    cores = {i for i, t in enumerate(program.tiles) if t.kind == TileKind.CORE}
    kept = tuple(c for c in program.commands if not (isinstance(c, Push) and c.task.tile in cores))
    return dataclasses.replace(program, commands=kept)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda p: divide_at(p, 0, lambda a: a - 64), "ACC and A overlap"),
        (lambda p: divide_at(p, 0, lambda a: 65536), "A ends at"),
        (lambda p: divide_at(p, 2, lambda n: 64), "limit 63"),
        (lambda p: divide_at(p, 6, lambda a: 2048), "and ACC overlap"),
        (lambda p: divide_at(p, 7, lambda n: -4), "ACC ends at"),
        (lambda p: ring_bd(p, base=lambda b: b.base + 4), "division"),
        (lambda p: ring_bd(p, iter_wrap=lambda b: b.iter_wrap - 1), "division"),
        (lambda p: ring_bd(p, acquire=lambda b: dataclasses.replace(b.acquire, lock=0, value=1)), "division"),
        (without_pushes, "A rings for"),
    ],
)
def test_a_violation_is_named(program, change, text):
    verify(program, load_device("wbs-2x2"))
    with pytest.raises(ProgramError, match="core_divisions") as error:
        verify(change(program), load_device("wbs-2x2"))
    assert text in str(error.value)


def test_rings_that_overlap_are_caught_when_run():
    """A division whose partial sums lie in the activations: check mode or the core names it, never a wrong answer."""
    b = GraphBuilder((64, 8, 8))
    graph = b.graph(b.conv(b.conv("x", 128, 3), 64, 3))
    program = compile_graph(graph, "wbs-1x1").program
    x = np.zeros((1, 64, 8, 8), np.int8)
    run_program(program.to_bytes(), [x], RunOptions(check=True))
    broken = divide_at(program, 0, lambda a: a + 64)  # the core's ring is not where the descriptors write
    with pytest.raises(Exception, match=r"never-written|magic|race|deadlock"):
        run_program(broken.to_bytes(), [x], RunOptions(check=True))


def cut_channels(seed, channels, density):
    """Input channels that a small core cannot hold for many pixels at once: partial sums, blocks sent one by one."""
    b = GraphBuilder((channels, 9, 17), seed, density)
    return b.graph(b.conv(b.conv("x", 96, 3), 72, 1, negative_mul=26 if seed % 2 else 0))


@settings(max_examples=10, deadline=None)
@given(
    st.integers(0, 9),
    st.sampled_from([72, 160, 333]),
    st.sampled_from([0.3, 1.0]),
    st.sampled_from(["1x1", "3x2", "5x1"]),
)
def test_single_blocks_compute_the_same(seed, channels, density, mesh):
    compiled, result = run(cut_channels(seed, channels, density), f"wbs-{mesh}")
    assert all(t.n_ck > 1 for t in compiled.tilings if t.per_block)
    # What the estimate says that a core computes, call by call, is what it computes.
    for item, time in zip(result.items, compiled.estimate.items, strict=False):
        assert item.busy_max == pytest.approx(time.busy, abs=2 * len(result.items) + 0.001 * time.busy)


def test_single_blocks_are_in_use_and_no_slower():
    graph = cut_channels(0, 333, 1.0)
    compiled, result = run(graph, "wbs-1x1")
    assert any(t.per_block for t in compiled.tilings)
    whole, other = run(graph, "wbs-1x1", Moves(blocks=False))
    assert not any(t.per_block for t in whole.tilings)
    assert result.total_cycles <= other.total_cycles


@pytest.mark.parametrize("tail", [False, True])
def test_single_blocks_with_a_second_stage(tail):
    b = GraphBuilder((333, 9, 17))
    x = b.conv("x", 96, 3)
    graph = b.graph(b.constant(x) if tail else b.conv(x, 24, 1))
    run(graph, "wbs-1x1")
