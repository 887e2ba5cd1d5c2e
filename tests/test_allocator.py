"""Memory allocator: no overlap while live, and close to the ILP optimum on small cases."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from tvm_aie.memory.allocator import ALIGN, DoesNotFit, Interval, allocate

interval = st.tuples(st.integers(0, 9), st.integers(0, 5), st.integers(1, 40))


def build(rows):
    return [Interval(f"b{i}", first, first + length, size * ALIGN) for i, (first, length, size) in enumerate(rows)]


def overlaps(a, b):
    return not (a.last < b.first or b.last < a.first)


@given(st.lists(interval, min_size=1, max_size=24))
@settings(max_examples=300, deadline=None)
def test_live_buffers_do_not_overlap(rows):
    buffers = build(rows)
    result = allocate(buffers, 10**9)
    for i, a in enumerate(buffers):
        for b in buffers[i + 1 :]:
            if overlaps(a, b):
                assert result[a.name] + a.size <= result[b.name] or result[b.name] + b.size <= result[a.name]


@given(st.lists(interval, min_size=1, max_size=24))
@settings(max_examples=200, deadline=None)
def test_failure_names_the_busiest_item(rows):
    buffers = build(rows)
    lower = max(sum(b.size for b in buffers if b.first <= t <= b.last) for t in range(16))
    result = allocate(buffers, lower - 1)
    assert isinstance(result, DoesNotFit)
    assert result.demand == sum(b.size for b in buffers if b.first <= result.item <= b.last)


def optimum(buffers):
    """Least peak by mixed integer programming: addresses and an order for each pair that lives together."""
    n = len(buffers)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if overlaps(buffers[i], buffers[j])]
    sizes = [b.size // ALIGN for b in buffers]  # small coefficients: the solver is not exact on large ones
    big = sum(sizes)
    width = n + 1 + len(pairs)
    rows, upper = [], []
    for i in range(n):
        row = np.zeros(width)
        row[i], row[n] = 1, -1
        rows.append(row)
        upper.append(-sizes[i])
    for k, (i, j) in enumerate(pairs):
        for a, b, sign in ((i, j, 1), (j, i, -1)):
            row = np.zeros(width)
            row[a], row[b], row[n + 1 + k] = 1, -1, sign * big
            rows.append(row)
            upper.append((big if sign == 1 else 0) - sizes[a])
    cost = np.zeros(width)
    cost[n] = 1
    integrality = np.r_[np.zeros(n + 1), np.ones(len(pairs))]
    bounds = Bounds(np.zeros(width), np.r_[np.full(n + 1, big), np.ones(len(pairs))])
    result = milp(
        cost, constraints=LinearConstraint(np.array(rows), ub=np.array(upper)), integrality=integrality, bounds=bounds
    )
    assert result.success
    return result.fun * ALIGN


def test_within_a_quarter_of_the_optimum():
    rng = np.random.default_rng(7)
    ratios = []
    for _ in range(25):
        rows = [(int(rng.integers(0, 6)), int(rng.integers(0, 4)), int(rng.integers(1, 30))) for _ in range(7)]
        buffers = build(rows)
        result = allocate(buffers, 10**9)
        top = max(result[b.name] + b.size for b in buffers)
        ratios.append(top / optimum(buffers))
    assert max(ratios) <= 1.25, ratios
    assert sum(r < 1.0001 for r in ratios) >= 18, ratios
