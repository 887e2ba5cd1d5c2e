"""A 1x1 convolution in front of a window: its rows go through ACC, the outputs are the same, an item is gone."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import GraphBuilder
from graphs import check_outputs as check
from tvm_aie.cost.messages import weight_messages
from tvm_aie.cost.replay import replay
from tvm_aie.decisions import Decisions, Moves
from tvm_aie.emit.opcodes import DROP, END, KERNEL, LOOP, NEXT, item_opcodes
from tvm_aie.emit.verify_kept import kept_by
from tvm_aie.emit.weights import conv_messages
from tvm_aie.errors import InfeasibleError, ProgramError
from tvm_aie.pipeline import finish, prepare, worthwhile_fronts
from tvm_aie.plan.front import MOST_CHANNELS, front_pairs, with_fronts
from tvm_aie.plan.fuse import fuse
from tvm_aie.plan.unite import unite
from tvm_aie.rehearse import compile_rehearsed
from tvm_aie.report.collect import conv_work
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.fronts import front_cycles, front_message_line, front_pixels, front_row_bytes
from tvm_aie.schedule.geometry import FRONTS, KernelId, ceil_div, ring_share
from tvm_aie.schedule.terms import terms_from_keys

SIZES = [1, 7, 8, 9, 31, 33]


def fire(b, x, squeeze, expand, k=3, stride=1, pads=None):
    """SqueezeNet's: a 1x1 convolution, then a window and another 1x1 of what it leaves, side by side."""
    s = b.conv(x, squeeze, 1)
    return b.concat(b.conv(s, expand, 1, stride, lo=-128), b.conv(s, expand, k, stride, pads, lo=-128))


def pairs_of(graph):
    return front_pairs(unite(fuse(graph)))


def compiled_with(graph, overlay=FRONTS[0]):
    """With all fronts that there could be."""
    names = frozenset(pairs_of(graph))
    assert names
    return finish(prepare(graph, "npu1", Decisions(overlay, moves=Moves(always=True), fronts=names)))


def fronts(compiled):
    return [item for item in compiled.placement.items if item.geometry.front]


@pytest.mark.parametrize("pixels", SIZES)
@pytest.mark.parametrize("density", [1.0, 0.4])
def test_squeeze_in_front_of_a_window(pixels, density):
    b = GraphBuilder((5, pixels, pixels), density=density)
    graph = b.graph(b.conv(b.conv(b.conv("x", 40, 3), 12, 1), 33, 3))
    compiled = compiled_with(graph)
    assert len(fronts(compiled)) == 1
    check(graph, compiled)


@settings(max_examples=40, deadline=None)
@given(
    height=st.sampled_from([4, *SIZES]),
    width=st.sampled_from([4, *SIZES]),
    channels=st.sampled_from([(8, 8, 32), (20, 12, 40), (70, 32, 33), (9, 25, 64)]),
    window=st.sampled_from([(3, 3), (5, 5), (1, 3), (3, 1), (2, 2)]),
    stride=st.integers(1, 2),
    padded=st.booleans(),
    pool=st.sampled_from([None, (2, 2, 0), (3, 2, 1), (3, 2, 0), (3, 1, 1)]),
    density=st.sampled_from([1.0, 0.5]),
    negative=st.sampled_from([0, 26]),
    seed=st.integers(0, 99),
)
def test_any_window_and_pool(height, width, channels, window, stride, padded, pool, density, negative, seed):
    cin, squeeze, cout = channels
    kh, kw = window
    pads = (kh // 2, kw // 2) * 2 if padded else (0, 0, 0, 0)
    if height + 2 * pads[0] < kh or width + 2 * pads[1] < kw:
        return
    b = GraphBuilder((cin, height, width), seed, density)
    y = b.conv(
        b.conv("x", squeeze, 1, negative_mul=negative, lo=-128 if negative else 0), cout, kh, stride, pads, kw=kw
    )
    if pool and min(b.tensors[y].height, b.tensors[y].width) + pool[2] >= pool[0]:
        y = b.pool(y, pool[0], pool[1], (pool[2],) * 4)
    graph = b.graph(y)
    try:
        compiled = compiled_with(graph)
    except InfeasibleError:
        # A core row without outputs, rows between windows, too many weights for one message, too large an image.
        assert cout < 32 or stride > kh or kh == 5 or max(height, width) > 9
        return
    assert len(fronts(compiled)) == 1
    check(graph, compiled, seed)


@pytest.mark.parametrize("overlay", FRONTS)
@pytest.mark.parametrize(("pixels", "pool"), [(55, False), (55, True), (27, False), (27, True), (13, False)])
def test_fire_modules(pixels, pool, overlay):
    """SqueezeNet's, two taps lists of different windows, a pool that leaves rows below the image to the last column."""
    b = GraphBuilder((64, pixels, pixels))
    y = fire(b, "x", 16, 64)
    graph = b.graph(b.pool(y, 3, 2, (0, 0, 0, 0)) if pool else y)
    compiled = compiled_with(graph, overlay=overlay)
    assert len(fronts(compiled)) == 1 and len(compiled.placement.items) == 1
    check(graph, compiled)


def test_only_what_the_core_can_do_is_a_pair():
    b = GraphBuilder((16, 9, 9))
    assert pairs_of(b.graph(b.conv(b.conv("x", 16, 1), 16, 3))) == {"conv1": "conv0"}
    for front in ({"k": 3}, {"stride": 2}, {"cout": MOST_CHANNELS + 8}, {"groups": 16}, {"pads": (1, 1, 1, 1)}):
        b = GraphBuilder((16, 9, 9))
        assert not pairs_of(b.graph(b.conv(b.conv("x", **{"cout": 16, "k": 1, **front}), 16, 3))), front
    b = GraphBuilder((16, 9, 9))
    assert not pairs_of(b.graph(b.conv(b.conv("x", 16, 1), 16, 1)))  # a window of one pixel needs no rows
    b = GraphBuilder((16, 9, 9))
    assert not pairs_of(b.graph(b.conv(b.conv("x", 16, 1), 16, 3, groups=16)))
    b = GraphBuilder((16, 9, 9))
    s = b.conv("x", 16, 1)
    assert not pairs_of(b.graph(b.conv(s, 16, 3), s))  # the host reads what lies between
    b = GraphBuilder((16, 9, 9))
    s = b.conv("x", 16, 1)
    assert not pairs_of(b.graph(b.add(b.conv(s, 16, 3), s)))


def test_the_graph_keeps_its_other_layers():
    b = GraphBuilder((16, 9, 9))
    graph = fuse(b.graph(b.conv(fire(b, fire(b, "x", 8, 16), 8, 16), 8, 1)))
    united = unite(graph)
    one = with_fronts(united, list(front_pairs(united))[:1])
    assert [layer.name for layer in united.layers if layer.name not in {n.name for n in one.layers}] == ["conv0"]
    assert with_fronts(united, ()) == united
    one.verify()


def test_a_front_that_does_not_fit_is_no_candidate():
    """Its window's weights exceed the weight ring: the estimate leaves it out, and asking for it is an error."""
    b = GraphBuilder((64, 13, 13))
    graph = b.graph(fire(b, b.conv("x", 64, 1), 32, 512))
    names = frozenset(pairs_of(graph))
    prepared = prepare(graph, "npu1", Decisions(FRONTS[0]))
    assert names and not worthwhile_fronts(prepared, FRONTS[0])
    with pytest.raises(InfeasibleError) as error:
        prepare(graph, "npu1", Decisions(FRONTS[0], fronts=names))
    assert set(error.value.layers) == names


def test_rehearsal_takes_them_where_they_pay():
    """The begin of SqueezeNet."""
    b = GraphBuilder((3, 223, 223))
    y = b.pool(b.conv("x", 64, 3, 2, (0, 0, 0, 0)), 3, 2, (0, 0, 0, 0))
    y = b.pool(fire(b, fire(b, y, 16, 64), 16, 64), 3, 2, (0, 0, 0, 0))
    graph = b.graph(b.conv(y, 8, 1))
    taken = compile_rehearsed(graph, "npu1")
    left = compile_rehearsed(graph, "npu1", Decisions(moves=Moves(fronts=False)))
    assert fronts(taken) and not fronts(left)
    assert check(graph, taken).cycles < 0.93 * check(graph, left).cycles


def test_no_idealised_machine_does_work_four_times():
    b = GraphBuilder((64, 28, 28))
    graph = b.graph(fire(b, "x", 16, 64))
    assert not fronts(compile_rehearsed(graph, "wbs-2x2"))


def items_with_front(density=1.0, pool=True):
    b = GraphBuilder((64, 55, 55), density=density)
    y = fire(b, "x", 16, 64)
    graph = b.graph(b.pool(y, 3, 2, (0, 0, 0, 0)) if pool else y)
    compiled = compiled_with(graph)
    (item,) = fronts(compiled)
    return graph, compiled, item, compiled.tilings[item.index]


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_weight_messages_have_the_bytes_that_models_say(density):
    from tvm_aie.emit.weights import pack

    _, compiled, item, tiling = items_with_front(density)
    packed = pack(compiled.physical, {})[compiled.physical.layers[item.layer].name]
    overlay = FRONTS[0]
    said = weight_messages(item.geometry, tiling, packed).bytes(overlay.w_slot)
    for row in range(4):
        found = list(conv_messages(packed, tiling, item.geometry, row, overlay.w_slot, overlay.o_slot))
        assert [len(m) for m in found] == said[row].tolist()
        words = np.frombuffer(found[0][:64], "<i4")
        assert words[13] == item.geometry.in_blocks and words[14] == item.geometry.front.tiles
        assert words[11] % 64 == words[12] % 64 == 0 and words[11] < words[2] <= words[12] < len(found[0])


@pytest.mark.parametrize("pool", [False, True])
def test_estimate_knows_what_a_core_does(pool):
    graph, compiled, item, _ = items_with_front(pool=pool)
    run = check(graph, compiled)
    # Kernels to the cycle, and the opcodes around them.
    busy = run.items[item.index].busy_max
    assert busy <= compiled.estimate.items[item.index].busy < 1.15 * busy


def test_a_repeated_front_is_replayed_to_the_cycle_or_nearly():
    from tvm_aie.cost.repeated import measured_items, prepared, span_of
    from tvm_aie.pipeline import finish as finished
    from tvm_aie.searches import workload

    _, compiled, item, tiling = items_with_front()
    from tvm_aie.emit.overlay import Array
    from tvm_aie.emit.weights import pack

    array = Array(compiled.device, FRONTS[0])
    work = workload(array, item, compiled.physical, pack(compiled.physical, {}))
    ready = prepared(work, tiling, compiled.device)
    made = finished(ready)
    run = run_program(made.program.to_bytes(), [], RunOptions(functional=False))
    first, last = measured_items(ready, span_of(tiling))
    measured = (run.items[last].end - run.items[first].end) / (last - first)
    assert replay(work, tiling, compiled.device).cycles == pytest.approx(measured, rel=0.01)


def test_work_is_the_networks():
    """Reports count the multiplications of the network, not those that four core rows do again."""
    _, compiled, item, _ = items_with_front()
    conv = compiled.physical.layers[item.layer]
    work = conv_work(compiled.physical, conv)
    pixels = 55 * 55
    assert work.macs == work.dense_macs == pixels * (64 * 16 + 16 * 64 + 9 * 16 * 64)


def front_params(compiled):
    """Of the FRONT calls of the first item with one, in a column that has rows."""
    item = fronts(compiled)[0]
    layer, slot = compiled.physical.layers[item.layer], compiled.program.cores[0].a_slot
    column = next(c for c, (first, last) in enumerate(item.out_rows) if last > first)
    words = item_opcodes(item, layer, compiled.tilings[item.index], column, slot)
    at = next(i for i in range(len(words)) if words[i : i + 3] == [KERNEL, int(KernelId.FRONT), 10])
    return words[at + 3 : at + 13]


@pytest.mark.parametrize("pixels", [7, 8, 9, 13, 27, 31, 33, 55])
@pytest.mark.parametrize("channels", [40, 64, 128])
def test_messages_have_the_images_pixels_and_zeros_behind_them(pixels, channels):
    b = GraphBuilder((channels, pixels, pixels))
    compiled = compiled_with(b.graph(b.conv(b.conv("x", 16, 1), 64, 3)))
    item, (slot, blocks) = fronts(compiled)[0], (FRONTS[0].a_slot, channels // 8)
    geo, tiling = item.geometry, compiled.tilings[item.index]
    line = front_message_line(geo, slot)
    assert front_pixels(geo) == pixels <= line and (line - pixels) * 2 <= 63
    assert line == pixels or (line * blocks * 8 % slot == 0 and (line - 1) * blocks * 8 % slot)
    assert tiling.a_slots == ring_share(ceil_div(line * blocks * 8, slot), FRONTS[0].a_slots)
    assert tiling.line == geo.line_px(geo.w_out) == pixels + 2
    assert front_row_bytes(geo, tiling.line) == 2 * (pixels + 2) * 8
    params = front_params(compiled)
    assert params[:4] == [blocks, line, 1, pixels] and params[9] == pixels + 2


def test_windows_need_not_reach_the_end_of_a_line():
    b = GraphBuilder((16, 8, 8))
    graph = b.graph(b.conv(b.conv("x", 16, 1), 64, 3, 2, (0, 0, 0, 0)))
    compiled = compiled_with(graph)
    (item,) = fronts(compiled)
    assert front_pixels(item.geometry) == 7 and front_params(compiled)[2:4] == [0, 7]
    check(graph, compiled)


@pytest.mark.parametrize("pixels", [7, 8, 9, 31, 33])
def test_cycles_of_a_row_are_those_of_its_pixels(pixels):
    b = GraphBuilder((64, pixels, pixels))
    compiled = compiled_with(b.graph(b.conv(b.conv("x", 16, 1), 64, 3)))
    geo, terms = fronts(compiled)[0].geometry, terms_from_keys(compiled.device.keys())
    full, rest = divmod(ceil_div(pixels, 4), 8)  # chunks of 8 groups of 4 pixels; the row of Gamma is full
    chunks = full + (rest > 0)
    trips = full * max(8 * terms.ii_per_acc, terms.ii_min) + (rest > 0) * max(rest * terms.ii_per_acc, terms.ii_min)
    said = terms.call + 2 * chunks * terms.a + 16 * trips + 16 * (rest > 0) * terms.gamma
    assert front_cycles(geo.front, geo.in_blocks, front_pixels(geo), terms) == said


def test_what_acc_must_hold():
    front = [KERNEL, int(KernelId.FRONT), 10, 8, 60, 1, 56, 0, 0, 0, 0, 0, 64]
    conv = [KERNEL, int(KernelId.CONV), 22, 2, 64, *[0] * 20]
    row = 2 * 64 * 8
    body = [LOOP, 2, *front, NEXT, LOOP, 7, LOOP, 2, *front, NEXT, *conv, DROP, 2 * row, NEXT, END]
    assert kept_by(body) == (4 * row, False)
    assert kept_by([LOOP, 2, *front, NEXT, LOOP, 7, LOOP, 2, *front, NEXT, *conv, NEXT, END])[0] == 16 * row
    assert kept_by([*front, END]) == (0, False)  # nothing reads it: no row has a size
    assert kept_by([*front, KERNEL, int(KernelId.CONV), 22, 2]) == (0, False)  # cut off


def test_too_little_acc_is_a_violation():
    _, compiled, _, _ = items_with_front()
    small = [dataclasses.replace(core, acc_bytes=4096) for core in compiled.program.cores]
    with pytest.raises(ProgramError, match="are kept, ACC has 4096"):
        dataclasses.replace(compiled.program, cores=tuple(small)).verify(compiled.device)
