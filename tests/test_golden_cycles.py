"""Emulated cycles are exact and under version control: a change of the schedule shows here as a diff.

``pytest tests/test_golden_cycles.py --update-golden`` writes tests/golden/cycles.json anew.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphs import resnet50
from test_program_equality import mixed
from tvm_aie.pipeline import compile_graph
from tvm_aie.runtime.emulator import RunOptions, run_program

GOLDEN = Path(__file__).parent / "golden" / "cycles.json"
CASES = {
    "mixed/npu1": (mixed, 1.0, "npu1"),
    "mixed/wbs-2x2": (mixed, 1.0, "wbs-2x2"),
    "resnet50/npu1": (resnet50, 1.0, "npu1"),
    "resnet50-half/npu1": (resnet50, 0.5, "npu1"),
    "resnet50-half/wbs-4x4": (resnet50, 0.5, "wbs-4x4"),
}


@pytest.mark.parametrize("name", CASES)
def test_cycles(name, request):
    build, density, device = CASES[name]
    program = compile_graph(build(density=density), device).program
    result = run_program(program.to_bytes(), [], RunOptions(functional=False))
    got = {"cycles": result.cycles, "pushes": sum(i.pushes for i in result.items)}
    known = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if request.config.getoption("--update-golden"):
        known[name] = got
        GOLDEN.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    assert known[name] == got
