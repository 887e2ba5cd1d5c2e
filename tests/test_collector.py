"""The garbage collector's thresholds while a network is compiled, and afterwards."""

import gc
import threading

import pytest

from tvm_aie.collector import SELDOM, seldom, seldom_collected


@pytest.fixture
def threshold():
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)


def test_thresholds_are_back_behind_the_last(threshold):
    with seldom():
        assert gc.get_threshold() == SELDOM
        with seldom():
            pass
        assert gc.get_threshold() == SELDOM
    assert gc.get_threshold() == threshold


def test_and_behind_a_failure(threshold):
    @seldom_collected
    def fail():
        assert gc.get_threshold() == SELDOM
        raise ValueError("no plan")

    with pytest.raises(ValueError, match="no plan"):
        fail()
    assert gc.get_threshold() == threshold


@pytest.mark.parametrize("chosen", [(0, 10, 10), (1_000_000, 10, 10)])
def test_who_wants_fewer_keeps_them(threshold, chosen):
    gc.set_threshold(*chosen)
    with seldom():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen


def test_compilations_that_overlap(threshold):
    """The one that came first leaves first: the other still runs."""
    inside, leave = threading.Event(), threading.Event()

    def other():
        with seldom():
            inside.set()
            leave.wait(10)

    with seldom():
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(10)
    assert gc.get_threshold() == SELDOM
    leave.set()
    thread.join()
    assert gc.get_threshold() == threshold
