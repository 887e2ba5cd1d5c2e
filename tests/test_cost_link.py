"""The link that core rows share, against the emulator's rule in small steps of time; and links of their own."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.link import Link, OwnLinks, SharedLinks

NONE = np.zeros((1, 2))  # filler
STEP = 1 / 60  # of a cycle: any share of up to 6 rows of a whole number of steps is one


def stepped(before, parts):
    """Ends of all parts of each row: every row with a part that is ready gets an equal share of each step."""
    queues = [deque([r, w] for r, w in row) for row in parts]
    free, ends, now = list(before), [[] for _ in parts], 0
    while any(queues):
        active = [r for r, q in enumerate(queues) if q and max(q[0][0], free[r]) <= now * STEP + 1e-9]
        for r in active:
            queues[r][0][1] -= STEP / len(active)
            if queues[r][0][1] <= 1e-6:
                queues[r].popleft()
                free[r] = (now + 1) * STEP
                ends[r].append(free[r])
        now += 1
    return ends


rows = st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 6)), max_size=4), min_size=1, max_size=4)


@given(rows, st.integers(0, 9))
@settings(max_examples=150, deadline=None)
def test_equal_shares(parts, start):
    """Known all at once, the parts end as the rule says, to the rounding of the steps."""
    parts = [[(sum(r for r, _ in row[: k + 1]), w) for k, (_, w) in enumerate(row)] for row in parts]
    before = [float(start)] * len(parts)
    link = Link(before)
    for r, row in enumerate(parts):
        for ready, work in row:
            link.push(r, ready, work)
    wanted = stepped(before, parts)
    for r, row in enumerate(wanted):
        for k, end in enumerate(row):
            assert link.end(r, k + 1) == pytest.approx(end, abs=1.5)


@given(rows, st.data())
@settings(max_examples=150, deadline=None)
def test_what_comes_late_loses_nothing(parts, data):
    """Whatever is asked for in between, a part is served after it is ready, and the link never idles beside it."""
    link = Link([0.0] * len(parts))
    known = []
    for k in range(4):
        for r, row in enumerate(parts):
            if k < len(row):
                known.append((r, *row[k]))
                link.push(r, *row[k])
        asked = data.draw(st.integers(0, len(parts) - 1))
        link.end(asked, link.pushed[asked])
    ends = [[link.end(r, n + 1) for n in range(pushed)] for r, pushed in enumerate(link.pushed)]
    for r, row in enumerate(parts):
        for k, (ready, work) in enumerate(row):
            assert ends[r][k] >= ready + work - 1e-6
            assert k == 0 or ends[r][k] >= ends[r][k - 1] + work - 1e-6
    last = max((e for row in ends for e in row), default=0.0)
    assert sum(w for _, _, w in known) <= last + 1e-6
    # No busy period ends later than that of all work that is ready from its begin on, served in any order.
    assert last <= max((ready for _, ready, _ in known), default=0) + sum(w for _, _, w in known) + 1e-6


def test_a_row_that_is_ahead_does_not_wait():
    """Row 1 is ready first; both messages are handed over in one round, with row 0's, which are ready much later."""
    link = SharedLinks(np.zeros((1, 2)), 2)
    link.send(np.array([[100.0, 0.0]]), np.array([[10.0, 10.0]]), NONE)
    assert link.ends(np.array([[0, 0]])).tolist() == [[110.0, 10.0]]
    link.send(np.array([[105.0, 20.0]]), np.array([[10.0, 10.0]]), NONE)
    assert link.finish().tolist() == [[120.0, 30.0]]


def test_equal_messages_end_together():
    link = SharedLinks(np.zeros((1, 3)), 1)
    link.send(np.array([[5.0, 5.0, 5.0]]), np.array([[10.0, 10.0, 0.0]]), np.zeros((1, 3)))
    assert link.ends(np.array([[0, 0, -1]])).tolist() == [[25.0, 25.0, 0.0]]
    assert link.finish().tolist() == [[25.0, 25.0, 0.0]]


def test_own_links_do_not_share():
    link = OwnLinks(np.array([[3.0, 0.0]]), 2)
    link.junk(np.array([[0.0, 0.0]]), np.array([[2.0, 0.0]]))
    link.send(np.array([[1.0, 1.0]]), np.array([[4.0, 4.0]]), NONE)
    assert link.ends(np.array([[0, -1]])).tolist() == [[9.0, 0.0]]
    assert link.finish().tolist() == [[9.0, 5.0]]


@given(st.booleans(), st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=3)))
@settings(max_examples=100, deadline=None)
def test_filler_behind_the_data(shared, messages):
    """Messages end as if they were whole; the data of a core's last one as early as if nothing came behind them."""
    make = SharedLinks if shared else OwnLinks
    whole, parted, shorter = (make(np.zeros((1, 3)), len(messages)) for _ in range(3))
    last = {r: k for k, cores in enumerate(messages) for r, (data, _) in enumerate(cores) if data}
    for k, cores in enumerate(messages):
        data = np.array([[float(d) for d, _ in cores]])
        filler = np.array([[float(f) if d else 0.0 for d, f in cores]])
        ends = np.array([[last.get(r) == k for r in range(3)]])
        ready = np.array([[3.0 * k, 5.0 * k, 7.0 * k]])
        whole.send(ready, data + filler, np.zeros((1, 3)))
        parted.send(ready, data + filler, filler)
        shorter.send(ready, data + np.where(ends, 0.0, filler), np.zeros((1, 3)))
    sent, sound = parted.mark(), parted.data()
    np.testing.assert_allclose(parted.ended(sent), whole.finish())
    if messages and not shared:
        np.testing.assert_allclose(parted.ended(sound), shorter.finish())
    assert (parted.ended(sound) <= parted.ended(sent)).all()


def test_data_are_there_before_the_filler():
    """Two cores share the link until the first has sent its two words of data; then three parts are left."""
    link = SharedLinks(np.zeros((1, 2)), 1)
    link.send(np.zeros((1, 2)), np.array([[6.0, 2.0]]), np.array([[4.0, 0.0]]))
    assert link.ended(link.data()).tolist() == [[4.0, 4.0]]
    assert link.finish().tolist() == [[8.0, 4.0]]
    link.send(np.array([[9.0, 9.0]]), np.array([[0.0, 3.0]]), NONE)
    assert link.ended(link.data()).tolist() == [[4.0, 12.0]], "a core without a message keeps its mark"
