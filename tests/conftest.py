"""Options shared by the tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the files under tests/golden")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(autouse=True)
def checked_placements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every placement that a test makes through the pipeline is checked from its items alone."""
    from placement_check import check_placement
    from tvm_aie import places

    plan = places.plan_memory

    def checked(graph, columns, capacity, *args):  # type: ignore[no-untyped-def]
        placement = plan(graph, columns, capacity, *args)
        check_placement(placement, graph, capacity)
        return placement

    monkeypatch.setattr(places, "plan_memory", checked)
