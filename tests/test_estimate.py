"""The schedule's estimate against the emulator, layer by layer; its parts against slow references."""

from collections import defaultdict
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, resnet50
from oracles.ring_plan import ring_plan
from placement_check import check_placement
from test_program_equality import mixed
from tvm_aie.cost.bounds import lower_bound
from tvm_aie.cost.commands import run_alone
from tvm_aie.cost.estimate import item_cycles
from tvm_aie.cost.walk import walk
from tvm_aie.device import load_device
from tvm_aie.emit.opcodes import item_opcodes
from tvm_aie.emit.program import Push, TileKind
from tvm_aie.overlap import runs_of
from tvm_aie.pipeline import compile_graph, prepare
from tvm_aie.report.layers import slices
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.estimate import PipelineLoad, pipeline_cycles
from tvm_aie.schedule.geometry import Overlay
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.searches import item_name
from tvm_aie.workloads.wbs import NETWORKS


def emulated(compiled):
    return run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))


def layer_errors(compiled, run):
    """Per layer name: (emulated cycles, estimated cycles), its items added up."""
    spans = [(s.start, s.end, s.busy_max) for s in run.items if 0 <= s.item < len(compiled.tilings)]
    layers = defaultdict(lambda: [0.0, 0.0])
    for item, real, guess in zip(
        compiled.placement.items, slices(spans, run.cycles), compiled.estimate.cycles, strict=True
    ):
        layers[item_name(item, compiled.physical)][0] += real
        layers[item_name(item, compiled.physical)][1] += guess
    return dict(layers)


def worst(layers, total):
    """Largest relative error of a layer. What is below 0.2 % of the network counts as that: it hides in its
    neighbours, and the border between them is a convention of the report."""
    return max((abs(guess - real) / max(real, 0.002 * total), name) for name, (real, guess) in layers.items())


def together(compiled, layers):
    """The layers' times, those of items that overlap added up."""
    items, out = compiled.placement.items, {}
    for run in runs_of(items):
        names = tuple(dict.fromkeys(item_name(items[i], compiled.physical) for i in run))
        out[names] = [sum(layers[name][k] for name in names) for k in (0, 1)]
    return out


OVERLAPPING = 0.05  # of a layer that overlaps with its neighbours, where their sum is within the bound


def check_network(compiled, layer_bound, total_bound):
    run = emulated(compiled)
    layers = layer_errors(compiled, run)
    if any(item.lag for item in compiled.placement.items):
        assert worst(layers, run.cycles)[0] <= OVERLAPPING, worst(layers, run.cycles)
        layers = together(compiled, layers)
    errors = sorted(abs(guess / max(real, 1.0) - 1) for real, guess in layers.values())
    print(
        f"{compiled.graph.name} on {compiled.device.name}: total {compiled.estimate.total / run.cycles - 1:+.4f}, "
        f"layers: median {errors[len(errors) // 2]:.4f}, largest {errors[-1]:.3f}"
    )
    assert worst(layers, run.cycles)[0] <= layer_bound, worst(layers, run.cycles)
    assert abs(compiled.estimate.total / run.cycles - 1) <= total_bound


def test_every_layer_of_resnet50_is_near():
    check_network(compile_graph(NETWORKS["ResNet50"](0.5, 0), "wbs-4x4"), 0.03, 0.003)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", range(2, 9))
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_every_layer_within_5_percent(name, size, density):
    """Layers that overlap (InceptionV3) too; with their neighbours they are nearer."""
    check_network(compile_graph(NETWORKS[name](density, 0), f"wbs-{size}x{size}"), 0.04, 0.005)


@pytest.mark.parametrize(("device", "channels"), [("wbs-8x8", 64), ("wbs-8x8", 32), ("wbs-4x4", 64)])
def test_the_barrier_waits_for_data_not_for_filler(device, channels):
    """What follows the last outputs up to a whole slot is half of the time of the small pool behind them."""
    b = GraphBuilder((channels, 14, 14))
    graph = b.graph(b.global_pool(b.pool(b.conv("x", channels, 3), 2, 2, (0,) * 4)))
    compiled = compile_graph(graph, device)
    run = emulated(compiled)
    assert max(abs(guess / real - 1) for real, guess in layer_errors(compiled, run).values()) <= 0.06


def test_rows_with_more_outputs_are_behind():
    """Eight output blocks on seven core rows: the row with two gets no more of the column's link than the others, and
    sends half of its outputs when these are done."""
    b = GraphBuilder((3, 56, 112))
    compiled = compile_graph(b.graph(b.conv("x", 64, 3)), "wbs-7x7")
    assert compiled.estimate.total == pytest.approx(emulated(compiled).cycles, rel=0.003)


def test_many_small_pieces_share_descriptors():
    """Passes over many pieces, the last bands of uneven rows: with a task per few messages the activations would
    wait until the command processor has waited for the outputs' descriptors, which no estimate sees."""
    b = GraphBuilder((64, 63, 63))
    compiled = compile_graph(b.graph(b.conv("x", 400, 1)), "wbs-5x5")
    (tiling,) = compiled.tilings
    assert tiling.n_pass * tiling.n_x * tiling.bands[0][1] >= 150
    assert abs(compiled.estimate.total / emulated(compiled).cycles - 1) <= 0.01
    assert sum(isinstance(c, Push) for c in compiled.program.commands) < 500


def test_npu1():
    """Where commands cost time their order is only approximated: short layers behind many commands can be far off."""
    compiled = compile_graph(resnet50(), "npu1")
    run = emulated(compiled)
    layers = layer_errors(compiled, run)
    close = sum(abs(guess / real - 1) <= 0.05 for real, guess in layers.values())
    assert close >= 0.8 * len(layers), layers
    assert abs(compiled.estimate.total / run.cycles - 1) <= 0.06


@pytest.mark.parametrize("device", ["npu1", "wbs-1x1", "wbs-2x3", "wbs-3x2", "wbs-8x8"])
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_small_network(device, density):
    """Total within a hundredth (npu1: half, most of it is commands), and never below the lower bound."""
    compiled = compile_graph(mixed(density=density), device)
    run = emulated(compiled)
    assert abs(compiled.estimate.total / run.cycles - 1) <= (0.5 if device == "npu1" else 0.01)
    macs = sum(s.macs for s in run.items)
    ends = compiled.program.ddr_sizes[1] + compiled.program.ddr_sizes[2]
    weights = sum(s.bytes_loadw for s in run.items)
    assert compiled.estimate.total >= lower_bound(macs, ends + weights, compiled.device).cycles * 0.999


@pytest.mark.parametrize(
    ("shape", "channels", "window", "stride", "density"),
    [((8, 1, 1), 8, 1, 1, 1.0), ((16, 7, 7), 31, 3, 1, 1.0), ((128, 14, 14), 128, 3, 1, 1.0),
     ((3, 56, 56), 32, 3, 2, 1.0), ((128, 14, 14), 128, 3, 1, 0.5), ((128, 9, 9), 31, 1, 1, 0.5),
     ((16, 33, 33), 72, 3, 1, 1.0)],
)  # fmt: skip
def test_one_layer_on_npu1(shape, channels, window, stride, density):
    """Only shims are pushed; the estimate knows, and is within a third. With commands for all it is twice."""
    b = GraphBuilder(shape, density=density)
    graph = b.graph(b.conv("x", channels, window, stride))
    plan = prepare(graph, "npu1").plan
    alone = run_alone(plan.array, plan.physical, plan.placement, plan.tilings)
    assert {column for column, _ in alone} == set(range(plan.array.cols))
    compiled = compile_graph(graph, "npu1")
    pushed = [c.task.tile for c in compiled.program.commands if isinstance(c, Push)]
    assert {compiled.program.tiles[tile].kind for tile in pushed} == {TileKind.SHIM}
    assert abs(compiled.estimate.total / emulated(compiled).cycles - 1) <= 0.34


def test_same_input_same_program():
    first, second = (compile_graph(mixed(), "wbs-2x2") for _ in range(2))
    assert first.program.to_bytes() == second.program.to_bytes()
    assert first.estimate == second.estimate


def blocks_of(tiling, row):
    """Output blocks of each weight message of a core row."""
    first, last = tiling.block_rows[row]
    messages = tiling.n_ck * (tiling.n_x * max(n for _, n in tiling.bands) if tiling.weights_per_band else 1)
    passes = [max(0, min(tiling.nob, last - first - p * tiling.nob)) for p in range(tiling.n_pass)]
    return [n for n in passes for _ in range(messages)]


def test_walk_finds_the_kernel_calls_of_the_emulator():
    compiled = compile_graph(mixed(), "wbs-2x2")
    run = emulated(compiled)
    for item, tiling, stats in zip(compiled.placement.items, compiled.tilings, run.items, strict=False):
        layer = compiled.physical.layers[item.layer]
        calls = 0
        for c, (first, last) in enumerate(item.out_rows):
            if last > first:
                words = item_opcodes(item, layer, tiling, c, compiled.program.cores[0].a_slot)
                calls += sum(len(walk(words, blocks_of(tiling, r)).steps) for r in range(compiled.device.rows))
        assert calls == stats.kernel_calls


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 60), st.integers(0, 40)), min_size=1, max_size=12))
def test_same_convention_as_the_report(rows):
    spans = [(start, start + length, busy) for start, length, busy in rows]
    total = max(end for _, end, _ in spans) + 7
    assert list(item_cycles(spans, total)) == slices(spans, total)


@given(st.integers(0, 47), st.lists(st.integers(0, 48), min_size=1, max_size=30))
@settings(max_examples=300, deadline=None)
def test_ring_plan_against_a_ring(position, sizes):
    """Slots are taken in order; releasing just what ``needs`` says leaves room, one message less does not."""
    slots = 48
    plan = ring_plan(position, tuple(sizes), slots)
    at, ends, end = position, [], 0
    for size, skip in zip(sizes, plan.filler, strict=True):
        assert skip == (slots - at if at + size > slots else 0)
        at = (at + skip + size) % slots
        end += skip + size
        ends.append(end)
    assert at == plan.position
    for m, need in enumerate(plan.needs):

        def freed(last, m=m):
            """Slots free again once message ``last`` is released and the filler behind it dropped."""
            return (ends[last] if last >= 0 else 0) + (plan.filler[last + 1] if last + 1 <= m else 0)

        assert need < m
        assert need == m - 1 or ends[m] - freed(need) <= slots
        assert need < 0 or ends[m] - freed(need - 1) > slots


def slot_by_slot(sizes, plan, slots, steps):
    """When the core has done each message: slots (a cycle each) enter in order, each as soon as one is free."""
    at, core, done = 0, 0, []
    starts = list(accumulate((size + skip for size, skip in zip(sizes, plan.filler, strict=True)), initial=0))
    free_at = [0] * slots  # when the slot at each position of the stream may enter
    for m, (size, skip, step) in enumerate(zip(sizes, plan.filler, steps, strict=True)):
        for position in range(starts[m], starts[m + 1]):
            at = max(at, free_at[position]) + 1
        core = max(core, at) + step
        done.append(core)
        behind = plan.filler[m + 1] if m + 1 < len(sizes) else 0
        free_at += [core] * (size + behind + (skip if m == 0 else 0))
    return done


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 40)), min_size=1, max_size=25), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_has_no_room_comes_after_the_release(messages, alike):
    """The two releases that a message can wait for: exact for like messages, never too late for others."""
    slots, steps = 24, [step for _, step in messages]
    sizes = [messages[0][0] if alike else size for size, _ in messages]
    plan = ring_plan(0, tuple(sizes), slots)
    at, core, done = 0, 0, [0]
    for size, skip, need, late, step in zip(sizes, plan.filler, plan.needs, plan.late, steps, strict=True):
        at += size + skip
        for back, slots_left in enumerate(late):
            assert 0 <= slots_left <= size and (slots_left == 0 or need >= back)
            at = max(at, done[max(need + 1 - back, 0)] + slots_left)
        core = max(core, at) + step
        done.append(core)
    exact = slot_by_slot(sizes, plan, slots, steps)
    assert all(a <= b for a, b in zip(done[1:], exact, strict=True))
    assert not alike or done[1:] == exact


def simulate(load, ov, terms):
    """One column, one row, message by message: the closed form's slow reference."""
    slot, word_o = ov.a_slot / 4 / terms.a_rate, ov.o_slot / 4
    calls = load.outputs * load.n_ck
    c, move_a, move_o = load.compute / calls, load.a_slots * slot, load.o_slots * word_o / terms.o_rate
    a_plan = ring_plan(0, (load.a_slots,) * calls, ov.a_slots)
    o_plan = ring_plan(0, (load.o_slots,) * load.outputs, ov.o_slots)
    a_free = core = o_end = 0.0
    released, sent = [], []
    for call in range(calls):
        a_free += a_plan.filler[call] * slot
        if a_plan.needs[call] >= 0:
            a_free = max(a_free, released[a_plan.needs[call]])
        a_free += move_a
        core = max(core, a_free)
        output, chunk = divmod(call, load.n_ck)
        if chunk == 0:
            if o_plan.filler[output]:
                o_end = max(o_end, core) + o_plan.filler[output] * word_o / terms.o_rate
            if o_plan.needs[output] >= 0:
                core = max(core, sent[o_plan.needs[output]])
        core += c
        released.append(core)
        if chunk == load.n_ck - 1:
            o_end = max(o_end, core) + move_o
            sent.append(o_end)
    return o_end + slot


@given(
    st.integers(1, 40), st.integers(1, 8), st.integers(1, 36), st.integers(1, 48), st.floats(10, 5000)
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_closed_form_against_the_recurrence(outputs, n_ck, a_slots, o_slots, per_call):
    ov = Overlay(512, 36, 512, 24, 128, 48)
    terms = terms_from_keys(load_device("wbs-1x1").keys())
    load = PipelineLoad(
        outputs, n_ck, a_slots, o_slots, False, per_call * outputs * n_ck, outputs * o_slots, (512, 512), 1, False
    )
    slow, fast = simulate(load, ov, terms), pipeline_cycles(load, ov, terms)
    assert 0.8 * slow <= fast <= 1.35 * slow


def test_checker_sees_an_overlap():
    compiled = compile_graph(mixed(), "wbs-2x2")
    items = compiled.placement.items
    check_placement(compiled.placement, compiled.physical, 1 << 20)
    victim = next(i for i in items if i.index > 0 and i.inputs[0].address != i.outputs[0].address and not i.in_place)
    moved = replace(victim, outputs=(replace(victim.outputs[0], address=victim.inputs[0].address),))
    broken = replace(compiled.placement, items=tuple(moved if i is victim else i for i in items))
    with pytest.raises(AssertionError, match=r"overlap|nothing lives"):
        check_placement(broken, compiled.physical, 1 << 20)
