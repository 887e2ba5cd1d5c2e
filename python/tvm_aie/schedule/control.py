"""Command processor cycles of a tiling in closed form, and the time of an item with them (estimated)."""

from __future__ import annotations

from typing import NamedTuple

from tvm_aie.schedule.geometry import Geometry
from tvm_aie.schedule.terms import KernelTerms


class Price(NamedTuple):
    """What commands cost the sub-volume search.

    ``share``: of a cycle of the array, for a cycle of commands; ``first``, ``later``: how many of the first pushes of
    activations of an item, and of its other pushes of activations, find their channel idle; ``start``: of the time in
    which the first item can do nothing, what it costs; ``ddr``: whether all items' weights are charged the time that
    they take through DDR, not the first's alone: most are fetched while other items run.
    """

    share: float = 0.1
    first: float = 1.0
    later: float = 0.0
    start: float = 1.0
    ddr: bool = False


# The command processor works ahead of the cores, so most of its time hides behind other items, but all items share it.
# Of shares of 1, 0.3 and 0.1 the best for most of five networks on npu1 (emulated); 0.03 is better for none as a whole.
# The barrier holds back an item's first activations, so that their channel is often idle before; behind them it is
# not. Where commands are much of the work ``rehearse`` also tries others.
PRICE = Price()
# Half of all pushes of activations: what commands take, where nothing is to be chosen by it.
HALF = Price(first=0.5, later=0.5)


def combined(body: float, control: float, price: float = PRICE.share) -> float:
    """Cost of an item whose commands are issued while other items run (cycles)."""
    return max(body, control) + price * control


def control_cycles(
    geo: Geometry,
    rows: tuple[int, ...],
    n_pass: int,
    n_x: int,
    width: int,
    band: int,
    n_b: int,
    ckb: int,
    n_ck: int,
    ragged: bool,
    n_rows: int,
    terms: KernelTerms,
) -> float:
    """Command processor cycles of an item: the tasks into which ``emit.transfers.compress`` will cut its messages.

    A task covers messages of one shape whose addresses advance evenly along one loop; an outer loop needs a task per
    iteration. Halo rows and zero padding change the shape at the borders.
    """
    if not terms.push:
        return 0.0
    columns = sum(1 for r in rows if r)
    ragged_band = any(r % max(1, -(-r // n_b)) for r in rows if r)
    halo = geo.kh > 1 or (geo.pool is not None and geo.pool.kh > 1)
    y_runs = 1 if n_b == 1 else min(n_b, (3 if halo else 1) + ragged_band)
    x_ragged = n_x > 1 and geo.w_out % width != 0
    x_runs = 1 if n_x == 1 else min(n_x, (3 if geo.kw > 1 else 1) + x_ragged)
    if n_ck > 1:
        steps = n_x * n_b
        a_tasks = (1 if steps == 1 else n_pass * steps) * (
            1 + (geo.in_blocks % ckb != 0) * (n_pass if steps == 1 else 1)
        )
        a_tasks += n_pass * n_ck * steps // 256
    elif n_b > 1:
        a_tasks = n_pass * n_x * y_runs
    else:
        a_tasks = n_pass * x_runs if n_x > 1 else 1
    if n_b > 1:
        o_tasks = n_pass * n_x * (1 + ragged_band)
    elif n_x > 1:
        o_tasks = n_pass * (1 + x_ragged)
    else:
        o_tasks = 1 + ragged
    if n_pass * n_x * n_b * n_rows > 63:
        o_tasks += 1
    each = terms.push + 1.5 * terms.bd_write
    return columns * (a_tasks * each + n_rows * o_tasks * each + terms.push + 6 * terms.bd_write)
