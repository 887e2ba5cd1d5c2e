"""Covers: exact, near the integer optimum, dense and sparse where they must win; splitting bits."""

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from tvm_aie.device import load_device
from tvm_aie.tesa.attribute import TesaError
from tvm_aie.tesa.cover import _candidates, best_cover, device_costs, split_bits

SHAPES = {(1, 1): 1.0, (2, 2): 2.6, (2, 4): 4.2, (4, 2): 4.4, (4, 4): 7.0}


def optimum(mask, costs) -> float:
    """The cheapest set cover by integer programming."""
    candidates = _candidates(mask, costs)
    cover = np.zeros((mask.size, len(candidates)))
    for j, (_, _, live) in enumerate(candidates):
        cover[live, j] = 1
    rows = cover[mask.ravel()]
    found = milp([c for _, c, _ in candidates], integrality=np.ones(len(candidates)), bounds=Bounds(0, 1),
                 constraints=LinearConstraint(rows, 1, np.inf))  # fmt: skip
    return float(found.fun)


@pytest.mark.parametrize("seed", range(60))
def test_within_ten_percent(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(5, 13, 2))
    mask = rng.random(shape) < rng.choice([0.1, 0.3, 0.6, 0.9])
    if seed % 2:
        mask = np.kron(rng.random((3, 3)) < 0.5, np.ones((4, 4), bool))[: shape[0], : shape[1]] | mask
    cover = best_cover(mask, SHAPES)
    best = optimum(mask, SHAPES) if mask.any() else 0.0
    assert cover.cost <= 1.10 * best + 1e-9, f"seed {seed}: {cover.cost} against {best}"
    weight = rng.integers(-128, 128, mask.shape).astype(np.int8)
    parts = cover.split(weight)
    assert np.array_equal(sum(p.astype(np.int64) for p in parts), np.where(mask, weight, 0)) or not parts
    owners = cover.owners()
    assert ((owners >= 0) == mask).all()


def test_dense_and_sparse_win_where_planted():
    costs = device_costs(load_device("npu1"), rows=4, wo=14, taps=1, shapes=((8, 8), (64, 64)))
    dense = best_cover(np.ones((64, 64), bool), costs)
    assert [p.shape for p in dense.pieces] == [(64, 64)]
    sparse = best_cover(np.kron(np.eye(8, dtype=bool), np.ones((8, 8), bool)), costs)
    assert {p.shape for p in sparse.pieces} == {(8, 8)} and len(sparse.pieces) == 8


def test_ragged_edges_and_errors():
    assert best_cover(np.ones((5, 7), bool), {(4, 4): 1.0}).cost == 4
    assert best_cover(np.zeros((5, 7), bool), {(4, 4): 1.0}).pieces == ()
    with pytest.raises(TesaError):
        best_cover(np.ones((4, 4), bool), {})


def test_two_bit_widths_add_up():
    weight = np.arange(-128, 128)
    low, high = split_bits(weight, 4)
    assert (low.min(), low.max(), high.min(), high.max()) == (0, 15, -8, 7)
    assert np.array_equal(low + (high << 4), weight)
