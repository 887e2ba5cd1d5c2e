"""The input of a convolution with a residual kept in ACC (``Tiling.kept``): same outputs, same cycles as estimated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from graphs import GraphBuilder
from test_mlir_array_form import check_design
from tvm_aie.cost.replay import replay
from tvm_aie.decisions import Moves
from tvm_aie.device import load_device
from tvm_aie.emit.opcodes import ACQ_A, END, KERNEL, LOOP, NEXT, REL_A, SUMS
from tvm_aie.emit.opcodes import KEEP as KEEP_OP
from tvm_aie.emit.verify import used_parts
from tvm_aie.emit.verify_kept import kept_by
from tvm_aie.errors import ProgramError
from tvm_aie.pipeline import compile_graph
from tvm_aie.plan.reference import evaluate
from tvm_aie.runtime.emulator import RunOptions, run_program
from tvm_aie.schedule.cover import KEEP
from tvm_aie.schedule.geometry import DIVISIONS, KEEPING, KernelId, divided
from tvm_aie.schedule.terms import terms_from_keys
from tvm_aie.schedule.tiling import Tiling, kept_slots, tilings
from tvm_aie.tune.bench import emulate
from tvm_aie.tune.space import SPACE_VERSION, gamma_text, space_of, workload_from, workload_key

SIZES = (1, 7, 8, 9, 31, 33)


def block(size: int, density: float = 1.0, channels: int = 96, k: int = 1, width: int | None = None, mid: int = 40):
    """A bottleneck's end: two convolutions of the input, the second with the input's size and added to it."""
    b = GraphBuilder((channels, size, width or size), size, density)
    y = b.conv(b.conv("x", mid, 1), channels, k, lo=-128)
    return b.graph(b.add(y, "x"))


def kept_tilings(work, device) -> list[Tiling]:
    """All tilings of a workload that keep its input."""
    shape = work.geometry, work.live, work.rows, work.n_rows, work.overlay, terms_from_keys(device.keys())
    return [t for t in tilings(*shape, work.in_place, work.blocks) if t.kept]


def kept(device, pick=0.0, seen=None):
    """A chooser that keeps the input wherever that is possible. ``pick``: which of the tilings; a fraction of them."""

    def choose(work):
        if work.geometry.kernel != KernelId.CONV or not work.geometry.residual:
            return None
        found = kept_tilings(work, device)
        if seen is not None:
            seen.extend(found)
        return found[int(pick * (len(found) - 1))] if found else None

    return choose


def check(compiled, graph, seed=0):
    """Outputs equal the reference with all checks on; returns the run."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, graph.inputs[0].shape, np.int8)
    run = run_program(bytes(compiled.program.to_bytes()), [x], RunOptions(check=True))
    want = evaluate(graph, {"x": x})
    for out, io in zip(run.outputs, graph.outputs, strict=True):
        np.testing.assert_array_equal(out, want[io.tensor])
    return run


@pytest.mark.parametrize("density", [1.0, 0.5])
@pytest.mark.parametrize("size", SIZES)
def test_outputs_are_the_same_on_npu1(size, density):
    device = load_device("npu1")
    for overlay, pick in ((DIVISIONS[2], 0.0), (DIVISIONS[1], 1.0), (DIVISIONS[2], 0.4)):
        for k in (1, 3):
            graph = block(size, density, k=k, width=min(size, 16))
            compiled = compile_graph(graph, device, overlay, kept(device, pick))
            assert any(t.kept for t in compiled.tilings)
            check(compiled, graph, size)


@pytest.mark.parametrize("mesh", ["wbs-3x2", "wbs-8x8"])
@pytest.mark.parametrize("size", SIZES)
def test_outputs_are_the_same_on_idealised_machines(size, mesh):
    device = load_device(mesh)
    for pick, density, k in ((0.0, 1.0, 1), (0.6, 0.5, 3), (1.0, 0.5, 1)):
        graph = block(size, density, 264, k, min(size, 9))
        compiled = compile_graph(graph, device, divided(256, 36, 128, 36, 24576), kept(device, pick))
        assert any(t.kept for t in compiled.tilings)
        check(compiled, graph, size)


@pytest.mark.parametrize("mesh", ["wbs-3x2", "wbs-8x8"])
@pytest.mark.parametrize("size", SIZES)
def test_outputs_are_the_same_when_items_divide_core_memory(size, mesh):
    for density in (1.0, 0.5):
        graph = block(size, density, 264, width=min(size, 9), mid=128)
        check(compile_graph(graph, load_device(mesh)), graph, size)


def test_columns_without_rows_take_part():
    """A column that has no rows gets no copies, but the weights all the same."""
    device = load_device("wbs-2x4")
    graph = block(3, 1.0, 136, width=8)
    compiled = compile_graph(graph, device, divided(256, 36, 128, 36, 24576), kept(device))
    item = next(i for i in compiled.placement.items if i.geometry.residual)
    assert any(b <= a for a, b in item.out_rows) and any(t.kept for t in compiled.tilings)
    check(compiled, graph)


def test_an_input_longer_than_the_ring_is_kept():
    """The ring need not hold it: slots are copied as they arrive."""
    device = load_device("wbs-2x2")
    graph = block(12, 1.0, 256, width=12, mid=128)
    overlay = divided(256, 20, 128, 36, 28672)
    compiled = compile_graph(graph, device, overlay, kept(device))
    item, tiling = next((i, t) for i, t in zip(compiled.placement.items, compiled.tilings, strict=True) if t.kept)
    assert kept_slots(tiling, item.geometry, max(b - a for a, b in item.out_rows)) > overlay.a_slots
    check(compiled, graph)


def test_the_whole_input_and_no_more_fits_acc():
    device = load_device("npu1")
    for acc, found in ((5 * 1024, True), (5 * 1024 - 64, False)):
        seen: list[Tiling] = []
        overlay = replace(DIVISIONS[2], acc_bytes=acc)
        graph = block(16, channels=96, width=32)  # 4 rows, 5 blocks, 32 pixels: 5 KB
        compile_graph(graph, device, overlay, kept(device, seen=seen), Moves(narrow=False))  # all columns have 4 rows
        assert bool(seen) == found
        assert all(t.n_pass > 1 and t.n_ck == 1 and t.n_x == 1 for t in seen)


def bottleneck(density: float = 1.0):
    """1,024 channels of 14 x 14 pixels to 256 and back, twice: the 256 are sent again for each pass, or kept."""
    b = GraphBuilder((1024, 14, 14), 3, density)
    x = "x"
    for _ in range(2):
        x = b.add(b.conv(b.conv(x, 256, 1), 1024, 1, lo=-128), x)
    return b.graph(x)


@pytest.mark.parametrize("mesh, overlay, less", [("npu1", KEEPING, 0.92), ("wbs-2x2", None, 0.95)])
@pytest.mark.parametrize("density", [1.0, 0.5])
def test_inputs_are_kept_where_that_saves_time(mesh, overlay, less, density):
    graph = bottleneck(density)
    cycles = {}
    for keep in (False, True):
        compiled = compile_graph(graph, mesh, overlay, moves=Moves(keep=keep))
        assert any(t.kept for t in compiled.tilings) == keep
        run = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False))
        cycles[keep] = run.cycles
        if mesh != "npu1":  # where the first loads of two layers are most of the time
            assert compiled.estimate.total == pytest.approx(run.cycles, rel=0.004)
    assert cycles[True] < less * cycles[False]


def test_the_program_names_what_it_needs(tmp_path):
    """KEEP takes program memory where an item uses it, and only there."""
    device = load_device("npu1")
    graph = bottleneck(0.5)
    for keep in (False, True):
        program = compile_graph(graph, device, KEEPING, moves=Moves(keep=keep)).program
        assert (KEEP in used_parts(program)) == keep
    tight = replace(device, program_budget_bytes=device.instructions.total({"conv", "add"}))
    assert not any(t.kept for t in compile_graph(graph, tight, KEEPING).tilings)


def test_a_core_keeps_what_the_emulator_keeps(tmp_path):
    """The array's form of the copy, with and without a rest at the end of a piece."""
    device = load_device("npu1")
    for size in (8, 9):
        graph = block(size, 0.5, k=3, width=8)
        compiled = compile_graph(graph, device, DIVISIONS[2], kept(device))
        assert any(t.kept for t in compiled.tilings)
        check_design(compiled.program, tmp_path / str(size))


@pytest.mark.parametrize("density, k, width, mid", [(1.0, 1, 14, 128), (0.5, 3, 16, 48)])
def test_the_replay_follows_kept_inputs(density, k, width, mid):
    """Message by message as the emulator has them."""
    device, works = load_device("npu1"), []
    compile_graph(block(width, density, 256, k, width, mid), device, KEEPING, works.append)
    (work,) = (w for w in works if w.geometry.residual)
    found = [t for t in space_of(work, device).points.values() if t.kept]
    assert len(found) > 3
    for tiling in found[:: len(found) // 3]:
        guess = replay(work, tiling, device)
        assert guess and guess.cycles == pytest.approx(emulate(work, tiling, device), rel=0.002)


def test_records_of_an_older_space_are_refused_by_name():
    device, works = load_device("npu1"), []
    compile_graph(block(8), device, KEEPING, works.append)
    key = workload_key(works[0], device)
    old = key.replace(f'"version":{SPACE_VERSION}', '"version":4')
    assert old != key
    with pytest.raises(ValueError, match=f"version 4, this is version {SPACE_VERSION}"):
        workload_from(old, gamma_text(works[0]))


def test_what_is_kept_is_counted_through_loops():
    keep = [LOOP, 3, ACQ_A, 1, KEEP_OP, 1024, REL_A, 1, NEXT, ACQ_A, 1, KEEP_OP, 64, REL_A, 1]
    conv = [KERNEL, 1, 30, *[0] * 22, 1, 1, *[0] * 6]
    assert kept_by([*keep, *conv, END, KEEP_OP, 1]) == (3 * 1024 + 64, True)
    assert kept_by([*conv, END]) == (0, True)
    for last in (0, 1):  # behind sums
        sums = [KERNEL, 1, 43, *[0] * 22, SUMS, *[1] * 12, 1, last, *[0] * 6]
        assert kept_by([*keep, *sums, END]) == (3 * 1024 + 64, last == 1)
    assert kept_by([*keep, KERNEL, 1, 30, *[0] * 22, 1, 0, *[0] * 6, END]) == (3 * 1024 + 64, False)
    assert kept_by([*keep[:-4], KEEP_OP]) == (3 * 1024, False)  # cut off


def test_a_program_whose_input_does_not_fit_acc_is_refused():
    """A core does not ask: the rule must."""
    device = load_device("npu1")
    graph = block(8)
    compiled = compile_graph(graph, device, DIVISIONS[2], kept(device), Moves(narrow=False))
    cores = tuple(replace(core, acc_bytes=64) for core in compiled.program.cores)
    with pytest.raises(ProgramError, match="bytes are kept, ACC has 64"):
        replace(compiled.program, cores=cores).verify(device)
