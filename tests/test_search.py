"""The sub-volume search where commands cost time: fast forms against slow ones, and the same program every time."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder, resnet50
from mixed_nets import MixedBuilder
from test_division import problems
from test_program_equality import mixed
from test_rehearse import NETWORKS
from tvm_aie import pipeline, planner, rehearse
from tvm_aie.cost.commands import costs_of, message_commands
from tvm_aie.device import load_device
from tvm_aie.emit.counting import JUNK, NOWHERE, PROLOGUE, ItemCounter, count
from tvm_aie.emit.messages import Operand, input_messages, output_messages
from tvm_aie.emit.transfers import UNROLL_A, UNROLL_O, tasks_of
from tvm_aie.emit.weights import item_weights
from tvm_aie.errors import InfeasibleError, ProgramError
from tvm_aie.memory.placement import own_rows
from tvm_aie.pipeline import finish, prepare
from tvm_aie.plan.reference import evaluate
from tvm_aie.rehearse import compile_rehearsed, settle
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule import tiling as tilings_of
from tvm_aie.schedule.bodies import bodies
from tvm_aie.schedule.control import PRICE, combined
from tvm_aie.schedule.cover import Blocks, Cover
from tvm_aie.schedule.geometry import DIVISIONS, Geometry, KernelId, ceil_div
from tvm_aie.schedule.load import HEADER_BYTES, Load, header_bytes
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import candidates_of, search, shares_of, tilings
from tvm_aie.searches import Searches, item_name

NPU1 = load_device("npu1")
TERMS = terms_from_keys(NPU1.keys())


def times(geo, live, rows, overlay, in_place, blocks=None):
    """Of all cuts, as columns and one by one."""
    shares = list(shares_of(geo, live, rows, 3, TERMS, in_place, blocks))
    found = [body for share in shares for body in bodies(share, list(share.cuts(overlay)), overlay)]
    return found, [t.body for t in tilings(geo, live, rows, 3, overlay, TERMS, in_place, blocks)]


@settings(max_examples=80, deadline=None)
@given(problems(), st.sampled_from(DIVISIONS), st.sampled_from([None, 0, 1]))
def test_times_of_many_cuts_are_those_of_each(problem, overlay, seed):
    geo, live, rows, in_place, _ = problem
    blocks = None
    if seed is not None:  # taps and bit widths inside the blocks
        rng = np.random.default_rng(seed)
        taps = live[:, :, None, None] & (rng.random((*live.shape, geo.kh, geo.kw)) < 0.6)
        live, blocks = taps.any(axis=(2, 3)), Blocks(taps, taps & (rng.random(taps.shape) < 0.5))
    columns, one_by_one = times(geo, live, rows, overlay, in_place, blocks)
    assert columns == one_by_one, "to the last bit"


@pytest.mark.parametrize("size", [7, 9, 31])
def test_times_of_depthwise_windows(size):
    geo = Geometry(KernelId.CONV, 3, 3, 1, 1, 1, 1, 1, 1, size, size, size, size, 12, 12)
    rows = (size - 2, 1, 1)
    columns, one_by_one = times(geo, np.eye(12, dtype=np.bool_), rows, DIVISIONS[0], False)
    others, _ = times(geo, np.ones((12, 12), np.bool_), rows, DIVISIONS[0], False)
    assert columns == one_by_one and len(columns) > len(others)


def line_cuts(work):
    """A tiling of a workload for each width into which it cuts lines."""
    shape = work.geometry, work.live, work.rows, work.n_rows, work.overlay, TERMS, work.in_place, work.blocks
    return {t.width: t for t in tilings(*shape) if t.n_x > 1}


# 33 pixels are enlarged to 35 (``plan.pitch``).
WIDTHS = [(28, {14, 7, 4}), (33, {7, 5}), (9, {3}), (31, set()), (32, {16, 8, 4})]


@pytest.mark.parametrize(("width", "expected"), WIDTHS)
def test_lines_are_cut_exactly_where_no_pixel_may_be_computed_twice(width, expected):
    b = GraphBuilder((32, 8, width))
    before = b.conv("x", 32, 3)
    after = b.add(b.conv(b.conv(before, 16, 1), 32, 1), before)
    y = b.conv(after, 16, 1)
    graph, found = b.graph(y), {}

    def noted(work):
        if work.geometry.residual and work.in_place:
            found.update(line_cuts(work))

    finish(prepare(graph, NPU1), noted)
    assert set(found) == expected, "whole accumulators where they divide the line, else what does"
    for tiling in found.values():
        made = finish(prepare(graph, NPU1), lambda work, tiling=tiling: tiling if work.geometry.residual else None)
        assert tiling in made.tilings
        x = np.random.default_rng(width).integers(-128, 128, (1, 32, 8, width)).astype(np.int8)
        (out,) = run_program(bytes(made.program.to_bytes()), [x], RunOptions(check=True)).outputs
        np.testing.assert_array_equal(out, evaluate(graph, {"x": x})[y])


class Priced:
    """Any control cycles, in two parts of which the first is a lower bound; what was asked for is kept."""

    least, first, price = 500.0, True, PRICE

    def __init__(self):
        self.whole = []

    def parts(self, t):
        rng = np.random.default_rng([t.nob, t.ckb, t.width, t.n_x, t.a_resident, *(n for _, n in t.bands)])
        return self.least + rng.integers(0, 3000), rng.integers(0, 3000)

    def start(self, t):
        return float(np.random.default_rng([t.ckb, t.width, t.n_x]).integers(0, 3000))

    def cycles(self, t, enough=lambda _: False):
        first, rest = self.parts(t)
        if enough(first):
            return float(first)
        self.whole.append(t)
        return float(first + rest)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_what_is_not_counted_could_not_win(problem):
    geo, live, rows, in_place, _ = problem
    shape = geo, live, rows, 3, DIVISIONS[0], TERMS, in_place
    every = sorted(tilings(*shape), key=lambda t: t.body)
    counter = Priced()
    if not every:
        with pytest.raises(InfeasibleError):
            search(*shape, counter=counter)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tilings_of, "MOST_COUNTED", len(every))
        found = search(*shape, counter=counter)
    cycles = [combined(t.body + counter.start(t), sum(counter.parts(t))) for t in every]
    best = every[int(np.argmin(cycles))]
    assert found.cycles == min(cycles)
    assert (found.block_rows, found.nob, found.ckb, found.width, found.bands) == (
        best.block_rows, best.nob, best.ckb, best.width, best.bands,
    )  # fmt: skip
    assert dict(found.alternatives) == {
        plan: min(c for t, c in zip(every, cycles, strict=True) if t.plan == plan) for plan in {t.plan for t in every}
    }
    shares = list(shares_of(geo, live, rows, 3, TERMS, in_place))
    known = candidates_of(shares, shape[4])
    for _ in range(2):  # what one search has made serves another
        assert search(*shape, counter=Priced(), candidates=known) == search(*shape, counter=Priced())


def counted(array, item, storages, tiling):
    """Command processor cycles of an item from its own messages: ``ItemCounter``'s slow reference."""
    columns = [c for c in range(array.cols) if item.out_rows[c][1] > item.out_rows[c][0]]
    c, dev = columns[(len(columns) - 1) // 2], array.device
    operands = [Operand(p, storages[p.storage]) for p in item.inputs]
    sent = input_messages(array, item, tiling, operands, c)
    received = output_messages(array, item, tiling, [storages[o.storage] for o in item.outputs], c, 0, NOWHERE, JUNK)
    a = count(tasks_of(sent, dev, UNROLL_A), PROLOGUE + (tiling.a_slots > 1))
    o = count(tasks_of(received, dev, UNROLL_O))
    push = dev.push_queued_cycles if item.index else dev.push_idle_cycles
    one = a.descriptors * dev.bd_write_cycles + a.pushes * (dev.push_idle_cycles + dev.push_queued_cycles) / 2
    return len(columns) * (one + array.rows * (o.descriptors * dev.bd_write_cycles + o.pushes * push))


def branches(pixels=28):
    """Siblings, concat, pools, strides, a residual: every kind of item, many of them alike."""
    b = MixedBuilder((16, pixels, pixels), 1)
    x = b.pool(b.conv("x", 32, 3), 3, 2)
    for _ in range(3):
        x = b.add(b.conv(b.conv(x, 40, 3), 32, 1), x)
    x = b.concat(b.conv(x, 24, 1), b.conv(b.conv(x, 16, 1), 32, 3), b.conv(x, 40, 1))
    return b.graph(b.conv(x, 64, 3, 2))


def dealt_anew(seed, pixels, channels, density, window, device):
    """Two siblings, one with a pool behind it: inside its convolution the pool leaves the other alone, dealt anew."""
    b = GraphBuilder((16, pixels, pixels), seed)
    x = b.conv("x", 32, 1)
    b.density = density
    pooled, other = (b.conv(x, c, channels[2]) for c in channels[:2])
    pooled = b.pool(pooled, 5, window[0])
    return b.graph(b.conv(other, 32, window[1]), b.conv(pooled, 16, 1)), device, seed


DEALT_ANEW = (
    dealt_anew(7, 28, (64, 128, 3), 0.6, (1, 1), "npu1"),
    dealt_anew(82, 20, (128, 32, 3), 0.4, (2, 3), "npu1"),
    dealt_anew(145, 14, (32, 128, 1), 0.2, (1, 3), "wbs-8x8"),
)


@pytest.mark.parametrize(("graph", "device", "seed"), DEALT_ANEW)
def test_tilings_are_of_the_same_weights(graph, device, seed, monkeypatch):
    """Plans with other pools may deal a layer's channels otherwise: what was found for one plan is not the other's."""
    covered = set()

    def checked(array, physical, packed, placement, searches):
        found = whole(array, physical, packed, placement, searches)
        for item, tiling in zip(placement.items, found, strict=True):
            if weights := item_weights(item, physical, packed):
                tiling.cover.verify(weights.blocks)
                covered.add((item_name(item, physical), weights.blocks.digest))
        return found

    whole = planner.tile
    monkeypatch.setattr(planner, "tile", checked)
    compiled = pipeline.compile_graph(graph, device)
    assert len(covered) > len({name for name, _ in covered})  # a layer of one name had different weights
    x = np.random.default_rng(seed).integers(-128, 128, graph.inputs[0].shape).astype(np.int8)
    result = run_program(compiled.program.to_bytes(), [x], RunOptions(check=True))
    expected = evaluate(graph, {"x": x})
    for io, got in zip(graph.outputs, result.outputs, strict=True):
        np.testing.assert_array_equal(got.reshape(-1), expected[io.tensor].reshape(-1), err_msg=io.tensor)


def test_what_a_cover_leaves_out_is_an_error():
    """A tiling that was found for fewer live blocks, as ``prepare``'s chooser may hand in."""
    graph = NETWORKS["weights bound it"]
    prepared = prepare(graph, "npu1")

    def stale(work):
        if work.live is None:
            return None
        less = replace(work, live=work.live & ~np.eye(*work.live.shape, dtype=np.bool_), blocks=None)
        shape = less.geometry, less.live, less.rows, less.n_rows, less.overlay, TERMS, less.in_place
        return search(*shape, counter=less.counter)

    with pytest.raises(ProgramError, match=r"layer conv.* is in no piece"):
        finish(prepared, stale)


def test_shares_are_kept():
    """For every division of core memory, and found again."""
    plan = prepare(NETWORKS["weights bound it"], "npu1").plan
    array, physical, placement, _ = plan.stages
    item = next(i for i in placement.items if i.geometry.kernel == KernelId.CONV and i.geometry.in_blocks >= 8)
    one = Searches({})
    others = Searches({}, shares=one.shares)
    first = one.tiling(array, item, physical, plan.packed)
    (kept,) = one.shares.values()
    assert others.tiling(array, item, physical, plan.packed) == first and next(iter(one.shares.values())) is kept


def neighbours(item, storages):
    """The item with something else about its place: borders of rows, buffers, order in memory, width of lines."""

    def shifted(rows, c, by):
        """The border behind column ``c`` moved."""
        out = list(rows)
        out[c], out[c + 1] = (out[c][0], out[c][1] + by), (out[c + 1][0] + by, out[c + 1][1])
        return tuple(out) if all(a < b for a, b in out) else rows

    def moved(places, **changes):
        return tuple(replace(p, **{k: f(p) for k, f in changes.items()}) for p in places)

    yield item, storages
    for c in range(3):
        for by in (1, -1):
            yield replace(item, inputs=moved(item.inputs, rows=lambda p, c=c, by=by: shifted(p.rows, c, by))), storages
    yield replace(item, inputs=moved(item.inputs, buffer_blocks=lambda p: p.buffer_blocks + 3)), storages
    yield replace(item, outputs=moved(item.outputs, buffer_blocks=lambda p: p.buffer_blocks + 3)), storages
    outs = [o.address for o in item.outputs][::-1]
    yield replace(item, outputs=tuple(replace(o, address=x) for o, x in zip(item.outputs, outs, strict=True))), storages
    yield item, {k: replace(v, width=v.width + 3) for k, v in storages.items()}


def test_layers_of_one_shape_share_what_was_counted():
    """Across networks and placements: all that the commands depend on is in the key."""
    known = {}
    asked = changed = 0
    for build in (mixed, branches, partial(branches, 33), partial(resnet50, density=0.5)):
        array, physical, placement, found = prepare(build(), "npu1").plan.stages
        for whole, tiling in zip(placement.items, found, strict=True):
            first = counted(array, whole, physical.storages, tiling)
            for item, storages in neighbours(whole, physical.storages):
                if tiling.joined and not own_rows(item.geometry, item.out_rows, item.inputs):
                    continue
                slow = counted(array, item, storages, tiling)
                counter = ItemCounter(array, item, storages, known)
                assert counter.least <= counter.cycles(tiling, lambda _: True) <= slow
                assert counter.cycles(tiling) == slow == ItemCounter(array, item, storages).cycles(tiling)
                asked, changed = asked + 2, changed + (slow != first)
    assert sum(map(len, known.values())) < 0.8 * asked and changed > 100


@pytest.mark.parametrize("build", [mixed, branches, partial(resnet50, density=0.5)])
def test_commands_of_all_rows_and_columns(build):
    array, physical, placement, found = prepare(build(), "npu1").plan.stages
    costs = costs_of(array)
    for item, tiling in zip(placement.items, found, strict=True):
        written = queued = idle = 0.0
        operands = [Operand(p, physical.storages[p.storage]) for p in item.inputs]
        outputs = [physical.storages[o.storage] for o in item.outputs]
        for c in (c for c, (a, b) in enumerate(item.out_rows) if a < b):
            lists = [(input_messages(array, item, tiling, operands, c), UNROLL_A)]
            for r in range(array.rows):
                lists.append((output_messages(array, item, tiling, outputs, c, r, 0, 2048), UNROLL_O))
            for messages, extra in lists:
                one = count(tasks_of(messages, array.device, extra))
                written += one.descriptors * costs.bd
                queued, idle = queued + one.pushes * costs.queued, idle + one.pushes * costs.idle
        both = message_commands(array, physical, item, tiling, costs)
        assert both == pytest.approx((written + queued, written + idle), rel=1e-12)


@given(st.integers(0, 999), st.sampled_from([1, 7, 8, 9]), st.sampled_from([1, 7, 8, 9]), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_weight_bytes_message_by_message(seed, out_blocks, in_blocks, parts):
    rng = np.random.default_rng(seed)
    k = int(rng.choice([1, 3]))
    kind = rng.integers(0, 3, (out_blocks, in_blocks)) * (rng.random((out_blocks, in_blocks)) < 0.7)
    listed = rng.random((out_blocks, in_blocks, k, k)) < 0.5
    taps, low = listed & (kind == 2)[:, :, None, None], ~listed & (kind == 2)[:, :, None, None]
    if seed % 3 == 0:
        taps, low = np.zeros_like(taps), np.zeros_like(low)
    cover = Cover(kind == 1, taps, low, False)
    geo = Geometry(KernelId.CONV, k, k, 1, 1, 1, 1, k // 2, k // 2, 9, 9, 9, 9, in_blocks, out_blocks)
    size = ceil_div(out_blocks, parts)
    block_rows = tuple((min(r * size, out_blocks), min((r + 1) * size, out_blocks)) for r in range(parts))
    nob, ckb, slot = int(rng.integers(1, size + 1)), int(rng.integers(1, in_blocks + 1)), int(rng.choice([64, 512]))
    n_ck = ceil_div(in_blocks, ckb)
    messages, totals, headers = [], [], []
    for start, end in block_rows:
        row = []
        for o in range(start, max(end, start + 1), nob):
            rows = slice(o, min(o + nob, end))
            n = max(min(o + nob, end) - o, 0)
            for i in range(0, n_ck * ckb, ckb):
                cols = slice(i, min(i + ckb, in_blocks))
                blocks, t, w = (int(x[rows, cols].sum()) for x in (cover.blocks, taps, low))
                runs = n * k
                single = min(w, runs)
                lists = 4 * (runs + 1) + 2 * (t + w) if t + w else 0
                rounding = 34 * n if i + ckb >= in_blocks else 0  # biases and shifts
                bytes_ = HEADER_BYTES + 2 * n + rounding + 66 + blocks * (k * k * 64 + 2)
                bytes_ += (t + single) * 64 + (w - single) * 32 + lists
                row.append(ceil_div(bytes_, slot) * slot)
                headers.append(HEADER_BYTES + 68 * n + 66 + 2 * blocks + lists)
        messages += row
        totals.append(sum(row))
    found = Load(cover, geo, TERMS).bytes(block_rows, nob, ckb, n_ck, slot)
    header = max(headers) if cover.listed else header_bytes(nob, nob * ckb, 2)
    assert (found.message, found.total, found.header) == (max(messages), max(totals), header)


def test_a_rehearsed_program_is_emitted_once(monkeypatch):
    emissions = []
    whole = rehearse.emitter_of

    def noted(plan, chains):
        emissions.append(plan)
        return whole(plan, chains)

    monkeypatch.setattr(rehearse, "emitter_of", noted)
    monkeypatch.setattr("tvm_aie.pipeline.emitted", lambda *_: pytest.fail("emitted again"))
    graph = NETWORKS["sums bound it"]
    compiled = compile_rehearsed(graph, "npu1")
    plans = set(map(id, emissions))
    # Of each plan once; again only those of which other chains are tried, the fastest excepted.
    assert len(plans) >= 1 + pipeline.JUDGED and len(emissions) - len(plans) < rehearse.MOST_CHAINED
    monkeypatch.undo()
    assert compiled.program.to_bytes() == finish(settle(graph, "npu1")[0]).program.to_bytes()


COMPILE = """
import hashlib, sys, time
sys.path.insert(0, {tests!r})
{build}
from tvm_aie.rehearse import compile_rehearsed
begin = time.process_time()
compiled = compile_rehearsed(graph, "npu1")
print(hashlib.sha256(compiled.program.to_bytes()).hexdigest(), time.process_time() - begin)
"""


def compiled_apart(build, seed):
    """Hash of the program and processor seconds of the compilation, in a process of its own."""
    code = COMPILE.format(tests=str(Path(__file__).parent), build=build)
    env = os.environ | {"PYTHONHASHSEED": str(seed)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    digest, seconds = run.stdout.split()[-2:]
    return digest, float(seconds)


def test_the_same_program_in_every_process():
    build = "from test_search import branches; graph = branches()"
    assert compiled_apart(build, 1)[0] == compiled_apart(build, 2)[0]


RESNET = """
from tvm_aie.frontend import from_onnx
from tvm_aie.frontend.onnx_zoo import light_model
from tvm_aie.plan.lower import lower_function
from tvm_aie.quantize.xint8 import quantize
from tvm_aie.relax.codegen import is_region
from tvm_aie.relax.partition import partition
from tvm_aie.sparsity import sparsify
model = light_model("resnet50", 0)
if {density} < 1:
    model, _ = sparsify(model, {density})
(function,) = [f for _, f in partition(from_onnx(quantize(model))).module.functions_items() if is_region(f)]
graph = lower_function(function, "region0")
"""


@pytest.mark.slow
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_resnet50_in_ten_seconds_and_the_same(density):
    """Scheduling, allocation, rehearsal and emission of ResNet-50 XINT8 on one core (processor time, measured)."""
    runs = [compiled_apart(RESNET.format(density=density), seed) for seed in (1, 2)]
    assert runs[0][0] == runs[1][0]
    assert min(seconds for _, seconds in runs) < 10
