"""One report object; console, CSV, JSON, trace and picture say what it says."""

import csv
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from graphs import GraphBuilder
from tvm_aie.device import load_device
from tvm_aie.pipeline import compile_graph
from tvm_aie.report.console import count, make_console, print_comparison, print_layers, print_summary, print_wrote, size
from tvm_aie.report.events import timeline_of
from tvm_aie.report.files import write_csv, write_json
from tvm_aie.report.layers import LayerCounters, layer_rows, occupancy, slices
from tvm_aie.report.model import (
    Bottleneck,
    HostOp,
    Label,
    Machine,
    Memory,
    NetworkReport,
    Placement,
    Sparsity,
    Time,
    Traffic,
)
from tvm_aie.report.trace import Lane, LockSample, Span, Timeline, chrome_events, lanes_of, write_trace
from tvm_aie.report.trace import occupancy as lane_occupancy
from tvm_aie.runtime.emulator import RunOptions, run_program

NPU1 = load_device("npu1")


def counters(name="conv1", start=0, cycles=1000, **changes):
    values = {
        "op": "conv", "shape": "64x56x56", "macs": 0, "dense_macs": 0, "core_busy_cycles": 0, "control_cycles": 0,
        "a_bytes": 0, "w_bytes": 0, "o_bytes": 0, "load_bytes": 0, "loadw_bytes": 0, "store_bytes": 0,
    }  # fmt: skip
    return LayerCounters(name, start_cycle=start, cycles=cycles, estimated_cycles=float(cycles), **(values | changes))


SOFTMAX = HostOp("softmax", "softmax", "no kernel for exp on the array")


def report(layers=(), host=(SOFTMAX,)):
    return NetworkReport(
        network="net",
        machine=Machine("npu1", 4, 4, 4, 1028.0, 4096, 11.6),
        placement=Placement(12, 996_000, host),
        sparsity=Sparsity("8x8", 1000, 281, 64_000, 18_000, 1_000_000, 286_000),
        memory=Memory(60_000, 65_536, 400_000, 524_288, 3_000_000, 0, 150_528, 1000),
        traffic=Traffic(1, 2, 3, 4, 5, 6),
        times=(
            Time("lower bound max(MACs/peak, DDR bytes/bandwidth)", Label.ESTIMATED, 500.0, 0.000486),
            Time("array", Label.EMULATED, 1500.0, 0.00146),
            Time("host packing", Label.MEASURED, 0, 1.5),
        ),
        layers=layers,
    )


ROWS = layer_rows(
    NPU1,
    [
        counters("conv1", 0, 1000, macs=2_048_000, dense_macs=4_096_000, core_busy_cycles=15_000),
        counters("add", 1000, 0, core_busy_cycles=100),
        counters("conv2", 1000, 500, load_bytes=5000, control_cycles=10),
    ],
)


def text_of(function, *args):
    out = io.StringIO()
    function(make_console(out), *args)
    return out.getvalue()


def test_cycles_add_up_although_layers_overlap():
    spans = [(30, 1000, 9), (400, 1100, 9), (900, 1100, 0), (1200, 1480, 9)]
    assert slices(spans, 1500) == [1000, 100, 0, 400]
    held = [(30, 1490, 9), (600, 1000, 9), (900, 1500, 9)]  # the first holds a transfer for the whole run
    assert slices(held, 1500) == [600, 400, 500]
    assert slices([(0, 990, 9), (0, 1000, 300)], 1000) == [700, 300]  # never less than the cores compute
    assert slices([(5, 60, 1)], 70) == [70] and slices([], 70) == []
    assert sum(slices([(0, 90, 50), (9, 80, 50), (50, 60, 60)], 100)) == 100


def test_utilisation_counts_executed_macs():
    assert ROWS[0].utilisation_percent == pytest.approx(50.0)
    assert ROWS[0].density_percent == 50 and ROWS[0].skipped_macs == 2_048_000
    assert ROWS[0].lower_bound_cycles == 500


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"core_busy_cycles": 16 * 900}, Bottleneck.COMPUTE),
        ({"a_bytes": 4 * 4 * 900}, Bottleneck.CORE_DMA),
        ({"w_bytes": 4 * 4 * 900, "core_busy_cycles": 8000}, Bottleneck.CORE_DMA),
        ({"loadw_bytes": 10_000}, Bottleneck.SHIM_DDR),
        ({"load_bytes": 4_000, "loadw_bytes": 4_000, "store_bytes": 3_000}, Bottleneck.SHIM_DDR),
        ({"control_cycles": 900, "core_busy_cycles": 16 * 500}, Bottleneck.CONTROL),
    ],
)
def test_bottleneck_word(changes, word):
    (row,) = layer_rows(NPU1, [counters(**changes)])
    assert row.bottleneck is word
    assert 60 < row.occupancy_percent <= 100


def test_shared_output_link_is_the_memtile():
    wbs = load_device("wbs-4x4")
    shares = occupancy(wbs, counters(o_bytes=4 * 4294))
    assert shares[Bottleneck.MEMTILE] == pytest.approx(1.0, rel=1e-3)
    assert shares[Bottleneck.CORE_DMA] == pytest.approx(0.25, rel=1e-3)


def test_summary_states_everything_with_labels():
    text = text_of(print_summary, report(ROWS))
    for part in (
        "net", "device npu1 (4x4 cores, 4 memtiles, 1.028 GHz", "8.42 TOPS", "11.6 GB/s",
        "array 12 of 13 ops (100.00 % of MACs)", "softmax (softmax): no kernel for exp on the array",
        "28.1 % of 1 000 blocks kept, 8x8", "71.4 % skipped", "core peak 58.6 KiB of 64.0 KiB",
        "1 500 cycles  emulated  array  (3.00 x the lower bound)", "estimated", "measured", "compute 67 %",
    ):  # fmt: skip
        assert part in text, part
    assert "\x1b" not in text


def test_layer_table_has_one_line_per_layer():
    lines = text_of(print_layers, report(ROWS)).splitlines()
    assert len([line for line in lines if line.startswith(("conv", "add"))]) == 3
    assert text_of(print_layers, report()) == ""


@pytest.mark.parametrize("width", [None, 40, 80])
def test_no_digit_is_cut_off_however_narrow_the_terminal(width):
    big = 123_456_789
    row = replace(
        ROWS[0], name="[bold]a_long_name[/nope]_of_a_layer", shape="2048x112x112", cycles=big, lower_bound_cycles=big,
        macs=big, dense_macs=2 * big, ddr_load_bytes=big, ddr_store_bytes=big, bottleneck=Bottleneck.SHIM_DDR,
    )  # fmt: skip
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, no_color=True, width=width) if width else make_console(out)
    print_layers(console, report((row,)))
    print_comparison(console, [("a" * 60, report()), ("b" * 60, report())])
    text = out.getvalue()
    assert text.count("123 456 789") == 4 and text.count("shi") == 1 and "shim/DDR" in text
    for part in ("[bold]a_long_name[/nope]_of_a_layer", "2048x112x112", "bottleneck", "a" * 60, "b" * 60):
        assert part in text, part
    assert not width or console.width == width


def test_comparison_shows_the_ratio():
    text = text_of(print_comparison, [("dense", report()), ("sparse", report())])
    assert "array time (ms, emulated)" in text and "1.000" in text
    assert "wrote" in text_of(print_wrote, ["a.json"]) and text_of(print_wrote, []) == ""


def test_brackets_in_names_are_not_markup():
    text = text_of(print_summary, report(host=(HostOp("[bold]x[/nope]", "op", "because [red]"),)))
    assert "[bold]x[/nope] (op): because [red]" in text


def test_csv_and_json_agree(tmp_path):
    document = report(ROWS)
    with write_csv(document, tmp_path / "layers.csv").open() as file:
        rows = list(csv.DictReader(file))
    data = json.loads(write_json(document, tmp_path / "report.json").read_text())
    assert [row["name"] for row in rows] == [layer["name"] for layer in data["layers"]] == ["conv1", "add", "conv2"]
    assert [int(row["cycles"]) for row in rows] == [layer["cycles"] for layer in data["layers"]]
    assert {t["label"] for t in data["times"]} == {"estimated", "emulated", "measured"}
    assert data["sparsity"]["density_percent"] == pytest.approx(28.1)
    assert data["placement"]["host"][0]["reason"].startswith("no kernel")


def timeline():
    spans = (
        Span("core(0,0)", "core", "conv1", 0, 500, Lane.COMP),
        Span("core(1,0)", "core", "conv1", 0, 1000, Lane.COMP),
        Span("shim 0", "MM2S 0", "load", 100, 200, Lane.LOAD),
    )
    return Timeline(1000.0, spans, (LockSample("core(0,0)", "lock 1", 50, 2),))


def test_chrome_trace(tmp_path):
    events = chrome_events(timeline())
    names = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert names == {"core", "MM2S 0"}
    spans = [e for e in events if e["ph"] == "X"]
    assert [(e["ts"], e["dur"]) for e in spans] == [(0, 0.5), (0, 1.0), (0.1, 0.1)]
    assert len({(e["pid"], e["tid"]) for e in spans}) == 3
    assert [e["args"]["value"] for e in events if e["ph"] == "C"] == [2]
    assert json.loads(write_trace(timeline(), tmp_path / "t.json").read_text())["traceEvents"] == events


def test_lane_occupancy():
    assert lanes_of([timeline()]) == [Lane.LOAD, Lane.COMP]
    assert lane_occupancy(timeline(), Lane.COMP, 4, 1000) == [1, 1, 0.5, 0.5]
    assert lane_occupancy(timeline(), Lane.WRITE, 2, 1000) == [0, 0]


def test_picture(tmp_path):
    pytest.importorskip("matplotlib")
    from tvm_aie.report.timeline import write_timeline

    path = write_timeline([("dense", timeline()), ("sparse", timeline())], tmp_path / "t.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_units():
    assert count(1234567.4) == "1 234 567"
    assert (size(12), size(2048), size(3 << 20)) == ("12 B", "2.0 KiB", "3.00 MiB")


def test_what_fetches_weights_behind_a_region_does_not_lie_under_the_next():
    b = GraphBuilder((16, 14, 14))
    compiled = compile_graph(b.graph(b.conv("x", 64, 3)), "npu1")
    run = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False, trace=True))
    assert run.trace.rows[:, 3].max() >= run.cycles  # the rings are filled again
    again = run_program(compiled.program.to_bytes(), [], RunOptions(functional=False, trace=True))
    spans = timeline_of(compiled.device, [compiled, compiled], [run, again]).spans
    ends = [s for s in timeline_of(compiled.device, [compiled], [run]).spans if s.start >= run.cycles]
    rest = [s for s in spans if s.start >= run.cycles]
    assert ends and len(spans) == 2 * (len(spans) - len(rest)) + len(ends)
