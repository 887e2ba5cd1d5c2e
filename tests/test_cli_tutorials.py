"""The tutorials are tests: each is executed as it stands, the lesson on tuning with fewer trials."""

import runpy
from pathlib import Path

import pytest

from tvm_aie.cli import service
from tvm_aie.runtime.emulator import clear_profile

TUTORIALS = sorted((Path(__file__).resolve().parents[1] / "tutorials").glob("[0-9][0-9]_*.py"))


def test_numbers_have_no_gap():
    assert [int(path.name[:2]) for path in TUTORIALS] == list(range(1, len(TUTORIALS) + 1))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_tutorial(path, capsys, monkeypatch):
    monkeypatch.setenv("TUTORIAL_TRIALS", "10")
    service.load_tvm()
    clear_profile()  # a reader's process has run nothing before
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.strip()
