"""The link that core rows share, against the emulator's rule in small steps of time; and links of their own."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracles.link import Link, OwnLinks, SharedLinks

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
        for k, (ready, work) in enumerate(row):
            link.push(r, ready, work, k + 1)
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
                link.push(r, *row[k], k + 1)
        asked = data.draw(st.integers(0, len(parts) - 1))
        link.end(asked, min(k + 1, len(parts[asked])))
    ends = [[link.end(r, n + 1) for n in range(len(row))] for r, row in enumerate(parts)]
    for r, row in enumerate(parts):
        for k, (ready, work) in enumerate(row):
            assert ends[r][k] >= ready + work - 1e-6
            assert k == 0 or ends[r][k] >= ends[r][k - 1] + work - 1e-6
    last = max((e for row in ends for e in row), default=0.0)
    assert sum(w for _, _, w in known) <= last + 1e-6
    # No busy period ends later than that of all work that is ready from its begin on, served in any order.
    assert last <= max((ready for _, ready, _ in known), default=0) + sum(w for _, _, w in known) + 1e-6


@given(rows, st.data())
@settings(max_examples=150, deadline=None)
def test_slots_of_a_part(parts, data):
    """A part ends, and its slots leave, when those of slots that are parts of their own do."""
    whole, single = Link([0.0] * len(parts)), Link([0.0] * len(parts))
    slots = [0] * len(parts)
    for k in range(4):
        for r, row in enumerate(parts):
            if k < len(row):
                ready, count = row[k]
                ready += max(whole.now, single.now)
                whole.push(r, ready, 2.0 * count, slots[r] + count)
                for n in range(count):
                    single.push(r, ready, 2.0, slots[r] + n + 1)
                slots[r] += count
        r = data.draw(st.integers(0, len(parts) - 1))
        left = data.draw(st.integers(0, slots[r]))
        if whole.known(r, left) is None:
            now = whole.now  # what has left by then has left for whoever asks
            whole.watch(r, left)
            assert whole.end(r, left) == pytest.approx(max(single.end(r, left), now))
    for r, count in enumerate(slots):
        assert whole.end(r, count) == pytest.approx(single.end(r, count))


def test_more_has_left_than_is_asked_for():
    """Two of three slots of row 0 have left when row 1 is done; who asks for the first finds both gone."""
    link = Link([0.0, 0.0])
    link.push(0, 0.0, 6.0, 3)
    link.push(1, 0.0, 4.0, 2)
    assert link.end(1, 2) == 8.0
    link.watch(0, 1)
    assert (link.end(0, 1), link.known(0, 2), link.end(0, 3)) == (8.0, 8.0, 10.0)


def test_a_row_that_is_ahead_does_not_wait():
    """Row 1 is ready first; both messages are handed over in one round, with row 0's, which are ready much later."""
    link = SharedLinks(np.zeros((1, 2)))
    link.send(0, 0, 100.0, 1, 10.0, 0.0)
    link.send(0, 1, 0.0, 1, 10.0, 0.0)
    assert link.finish().tolist() == [[110.0, 10.0]]
    link.send(0, 0, 105.0, 1, 10.0, 0.0)
    link.send(0, 1, 20.0, 1, 10.0, 0.0)
    assert link.finish().tolist() == [[120.0, 30.0]]


def test_equal_messages_end_together():
    link = SharedLinks(np.zeros((1, 3)))
    for r in (0, 1):
        link.send(0, r, 5.0, 1, 10.0, 0.0)
    assert link.finish().tolist() == [[25.0, 25.0, 0.0]]


def test_own_links_do_not_share():
    link = OwnLinks(np.array([[3.0, 0.0]]))
    link.send(0, 0, 0.0, 1, 2.0, 0.0)
    for r in (0, 1):
        link.send(0, r, 1.0, 2, 2.0, 0.0)
    assert [link.known(0, 0, n) for n in range(4)] == [3.0, 5.0, 7.0, 9.0]
    assert link.finish().tolist() == [[9.0, 5.0]]


slots_and_filler = st.tuples(st.integers(0, 5), st.floats(0.0, 0.9))


@given(st.booleans(), st.lists(st.lists(slots_and_filler, min_size=3, max_size=3)))
@settings(max_examples=100, deadline=None)
def test_filler_behind_the_data(shared, messages):
    """Messages end as if they were whole; the data of a core's last one as early as if nothing came behind them."""
    make = SharedLinks if shared else OwnLinks
    whole, parted = make(np.zeros((1, 3))), make(np.zeros((1, 3)))
    rests = [0.0] * 3
    for k, cores in enumerate(messages):
        for r, (slots, rest) in enumerate(cores):
            if slots:
                rests[r] = 2.0 * rest
                whole.send(0, r, (3.0 + 2 * r) * k, slots, 2.0, 0.0)
                parted.send(0, r, (3.0 + 2 * r) * k, slots, 2.0, rest)
    np.testing.assert_allclose(parted.finish(), whole.finish())
    if not shared:
        np.testing.assert_allclose(parted.ended(parted.data()), whole.finish() - np.array([rests]))
    assert (parted.ended(parted.data()) <= parted.finish()).all()


def test_data_are_there_before_the_filler():
    """Two cores share the link until the first has sent its slot of data; then three parts are left."""
    link = SharedLinks(np.zeros((1, 2)))
    link.send(0, 0, 0.0, 3, 2.0, 2.0)
    link.send(0, 1, 0.0, 1, 2.0, 0.0)
    assert link.ended(link.data()).tolist() == [[4.0, 4.0]]
    assert link.finish().tolist() == [[8.0, 4.0]]
    link.send(0, 1, 9.0, 1, 3.0, 0.0)
    assert link.ended(link.data()).tolist() == [[4.0, 12.0]], "a core without a message keeps its mark"
