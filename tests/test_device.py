"""The device files: complete, tagged, calibrated; every mistake in a file is named."""

import csv
import dataclasses
import os
import re
from pathlib import Path

import pytest

from tvm_aie.device import device_names, load_device
from tvm_aie.errors import DeviceError

REPO = Path(__file__).resolve().parents[1]
NPU1 = REPO / "python/tvm_aie/device/npu1.toml"


def documented_keys(cols):
    """Key names of docs/device-keys.md, braces and ranges expanded."""
    names = set()
    for line in (REPO / "docs/device-keys.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) < 4 or cells[1] in ("key", "---"):
            continue
        cell = cells[1]
        suffix = re.search(r"\(`(\.[a-z_]+)`\)", cell)
        cell = re.sub(r"\(.*\)", "", cell)
        braces = re.match(r"kernel\.\{(.*)\}\.\{(.*)\}", cell)
        if braces:
            names |= {f"kernel.{k}.{n}" for k in braces[1].split(",") for n in braces[2].split(",")}
        elif ".." in cell:
            names |= {f"ddr.bytes_per_cycle_{c}" for c in range(1, cols + 1)}
        else:
            names |= {part.strip() + (suffix[1] if suffix else "") for part in cell.split(",")}
    return names


@pytest.mark.parametrize("name", ["npu1", "wbs-1x1", "wbs-4x4", "wbs-8x8", "wbs-3x5-m2"])
def test_keys_are_those_documented(name):
    device = load_device(name)
    assert set(device.keys()) == documented_keys(device.cols)


def test_npu1_is_phoenix():
    device = load_device("npu1")
    assert (device.rows, device.cols, device.clock_mhz) == (4, 4, 1028)
    assert device.peak_macs_per_cycle == 4096
    assert device.core_free_bytes == 62 * 1024
    assert device.memtile_bd.pad_max(0) == 63 and device.memtile_bd.wrap_max(2) == 1023
    assert device.core_bd.wrap_max(0) == 255 and device.core_bd.pad_max(0) == 0
    assert device.ddr_bytes_per_cycle(4) == pytest.approx(11.6e9 / 1.028e9)
    everything = {"conv", "add", "maxpool", "avgpool", "upsample"}
    assert device.instructions.total(everything) <= device.program_budget_bytes


@pytest.mark.parametrize("rows", range(1, 9))
@pytest.mark.parametrize("cols", range(1, 9))
def test_every_wbs_has_its_channels(rows, cols):
    device = load_device(f"wbs-{rows}x{cols}-m2")
    rings = -(-rows // cols)
    assert (device.rows, device.cols, device.memtiles_per_col) == (rows, cols, 2)
    assert device.memtile_s2mm_channels >= rows + 1 + rings
    assert device.memtile_mm2s_channels >= 2 + rings
    assert device.shim_mm2s_channels >= 1 + rings
    assert device.keys()["flow.a.words_per_cycle"] * 4e9 == 2**32
    assert device.keys()["flow.store.words_per_cycle"] * 4e9 == pytest.approx(2**32, rel=1e-15)
    assert device.link_o_bytes_per_cycle * 1e9 == 2**32
    assert device.core_ideal and device.launch_cycles == 0 and device.ddr_bytes_per_cycle(cols) == 0


def test_same_name_same_object_and_names():
    assert load_device("npu1") is load_device("npu1")
    assert load_device("npu1") == load_device(NPU1)
    assert device_names() == ("npu1", "wbs-RxC[-mM]")
    for name in ("ruff", "wbs"):  # files of that folder that describe no machine
        with pytest.raises(DeviceError, match="unknown device"):
            load_device(name)


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_device("npu1").rows = 8


def test_every_number_says_where_it_comes_from():
    for name in ("npu1", "wbs-2x3"):
        device = load_device(name)
        assert len(device.provenance) > 90
        assert all(q.unit and len(q.source) > 5 for q in device.provenance)
        assert {q.tag for q in device.provenance} <= {"derived", "calibrated", "assumed"}
    tags = {q.key: q.tag for q in load_device("npu1").provenance}
    assert tags["kernel.conv.gamma"] == tags["kernel.add.ii"] == "assumed"
    assert tags["kernel.conv.ii_per_acc"] == "calibrated"


@pytest.mark.parametrize(
    "name", ["", "npu9", "wbs", "wbs-", "wbs-0x4", "wbs-4x9", "wbs-4", "wbs-4x4-m0", "wbs-4x4x4", "../npu1", "no.toml"]
)
def test_unknown_device(name):
    with pytest.raises(DeviceError, match=re.escape(name) or "unknown device"):
        load_device(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('bytes = { value = 524288, unit = "B"', 'bytes = { value = 0, unit = "B"', "'memtile.bytes': value 0"),
        ("mem_bytes = { value = 65536", "mem_bytes = { value = -65536", "'core.mem_bytes': value -65536"),
        (
            "mem_bytes = { value = 65536",
            "mem_bytes = { value = 65536.0",
            "'core.mem_bytes': value 65536.0 must be an int",
        ),
        ("mem_bytes = { value = 65536", 'mem_bytes = { value = "64K"', "'core.mem_bytes': value '64K'"),
        ("mem_bytes = { value = 65536", "mem_bytes = { value = true", "'core.mem_bytes': value True"),
        ("clock_mhz = { value = 1028", "clock_mhz = { value = nan", "'array.clock_mhz': value nan"),
        ("clock_mhz = { value = 1028", "clock_mhz = { value = inf", "'array.clock_mhz': value inf"),
        ("clock_mhz = {", "clock_ghz = {", "unknown key 'array.clock_ghz'"),
        ("rows = {", "#rows = {", "key 'array.rows' is missing"),
        ("gb_per_s_4 = {", "gb_per_s_5 = {", "unknown key 'ddr.gb_per_s_5'"),
        ("cols = { value = 4", "cols = { value = 9", "'array.cols': value 9 must be in 1..8"),
        ("[cmd]", "[cmds]", "unknown key 'cmds'"),
        ('tag = "assumed"', 'tag = "guessed"', "tag 'guessed' must be one of"),
        (', unit = "MHz"', "", "'array.clock_mhz' must be a table with exactly"),
        ("reserved_bytes = { value = 2048", "reserved_bytes = { value = 65536", "'core.reserved_bytes' must be below"),
        ("program_budget_bytes = { value = 12288", "program_budget_bytes = { value = 99999", "must not exceed"),
        ("ii_per_acc = { value = 1.50891", "ii_per_acc = { value = 0", "'kernel.conv.ii_per_acc' must be positive"),
        ('name = "npu1"', "", "key 'name' must be"),
        ('name = "npu1"', "name = 3", "key 'name' must be"),
        ("calibration_rows = [", "calibration_rows = [3, ", "'calibration_rows' must be a list"),
        ("[array]", "[array", "not TOML"),
    ],
)
def test_mistake_in_a_file_is_named(tmp_path, old, new, message):
    text = NPU1.read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DeviceError, match=re.escape(message)) as caught:
        load_device(path)
    assert str(path) in str(caught.value)


def test_dropping_any_key_is_an_error(tmp_path):
    lines = NPU1.read_text().splitlines()
    path = tmp_path / "mine.toml"
    dropped = [i for i, line in enumerate(lines) if re.match(r"[a-z_0-9]+ = \{", line)]
    assert len(dropped) > 90
    for i in dropped:
        path.write_text("\n".join(lines[:i] + lines[i + 1 :]))
        with pytest.raises(DeviceError, match=re.escape(lines[i].split(" ")[0])):
            load_device(path)


def csv_path():
    """The measured rows: $TVM_AIE_CALIBRATION, or the excerpt of reference/silicon_calibration.csv in the fixtures."""
    return Path(os.environ.get("TVM_AIE_CALIBRATION", REPO / "tests/fixtures/calibration.csv"))


def calibration():
    with csv_path().open() as file:
        return {row["id"]: float(row["value"]) for row in csv.DictReader(file)}


def conv_call(device, chunks, trips):
    """A dense call with full chunks of 8 accumulators and no walk over a block index (the traced kernels have none)."""
    cost = device.conv
    return cost.call + chunks * (cost.a + trips * max(cost.ii_min, 8 * cost.ii_per_acc))


def test_calibration_rows_exist():
    rows = calibration()
    assert set(load_device("npu1").calibration_rows) <= set(rows)


@pytest.mark.parametrize(
    ("row", "trips"),
    [("MLA1-conv2dk1-u8", 8), ("MLA1-conv2dk1_i8", 8), ("MLA1-conv2dk3-i8", 72), ("MLA1-conv2dk3-u8", 72)],
)
def test_conv_formula_meets_the_traced_rows(row, trips):
    # W32 IC64 OC64, one row: 8 groups of 4 pixels x 8 output blocks = 8 chunks of 8; trips = 8 input blocks x taps
    assert conv_call(load_device("npu1"), 8, trips) == pytest.approx(calibration()[row], rel=0.05)


@pytest.mark.parametrize(("row", "lanes"), [("MLA1-add256", 256), ("MLA1-add1024", 1024), ("MLA1-add2048", 2048)])
def test_call_overhead_meets_the_elementwise_rows(row, lanes):
    assert load_device("npu1").add.call + lanes / 16 == pytest.approx(calibration()[row], rel=0.05)


def test_dma_terms_meet_the_traced_rows():
    device, rows = load_device("npu1"), calibration()
    assert device.shim_mm2s_cycles_per_word == rows["XE-fit-mm2s-slope"]
    assert device.shim_s2mm_cycles_per_word == rows["XE-fit-s2mm-slope"]
    assert device.shim_mm2s_first_cycles + device.shim_mm2s_task_cycles == rows["XE-fit-mm2s-cold"]
    assert device.shim_s2mm_first_cycles + device.shim_s2mm_task_cycles == pytest.approx(
        rows["XE-fit-s2mm-cold"], rel=0.05
    )
    mm2s = device.shim_mm2s_task_cycles + 64 * device.shim_mm2s_cycles_per_word
    s2mm = device.shim_s2mm_task_cycles + 64 * device.shim_s2mm_cycles_per_word
    assert mm2s == pytest.approx(rows["XE-chain-mm2s-next"], rel=0.05)
    assert s2mm == pytest.approx(rows["XE-chain-s2mm-next"], rel=0.05)
    for row in ("XE-mt-mm2s-256w", "XE-mt-mm2s-256w-s16", "XE-core-mm2s-256w"):
        assert 256 / device.stream_words_per_cycle == pytest.approx(rows[row], rel=0.05)
    assert device.push_idle_cycles == rows["XE-dispatch-cold"]
    assert device.push_queued_cycles == rows["XE-dispatch-pipe"]
    assert device.clock_mhz == rows["XE-clk-h"]


@pytest.mark.parametrize(
    ("row", "direction", "tasks", "tolerance"),
    [
        ("XE-span-k2", "s2mm", 2, 0.05),
        ("XE-span-k4m", "mm2s", 4, 0.10),
        ("XE-span-k8m", "mm2s", 8, 0.11),
        ("XE-span-k8s", "s2mm", 8, 0.05),
        ("XE-span-k4s", "s2mm", 4, 0.27),  # a single shot that lies off its own k2..k8 line (7446 against 9400)
    ],
)
def test_spans_of_dispatched_tasks(row, direction, tasks, tolerance):
    """First start to last end of k tasks of 64 words, each pushed onto a channel that has gone idle."""
    device = load_device("npu1")
    task = getattr(device, f"shim_{direction}_task_cycles") + 64 * getattr(device, f"shim_{direction}_cycles_per_word")
    span = (tasks - 1) * device.push_idle_cycles + task + getattr(device, f"shim_{direction}_first_cycles")
    assert span == pytest.approx(calibration()[row], rel=tolerance)
