"""The history of a search as a picture. Needs the extra [plot]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tvm_aie.errors import InputError

if TYPE_CHECKING:
    from tvm_aie.tune.tuner import Progress


def plot_history(history: Sequence[Progress], path: str | Path) -> Path:
    """Best time of each layer so far, relative to its default, over the trials of the whole run."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError("a plot needs matplotlib: pip install 'tvm-aie[plot]'") from error
    trials = [p for p in history if p.layer and math.isfinite(p.best_cycles) and math.isfinite(p.default_cycles)]
    if not trials:
        raise InputError("there is no trial to plot: all of them were done by an earlier run")
    figure = Figure(figsize=(9, 5), layout="constrained")
    axis = figure.subplots()
    for layer in dict.fromkeys(p.layer for p in trials):
        mine = [p for p in trials if p.layer == layer]
        line = axis.step([p.trial for p in mine], [p.best_cycles / p.default_cycles for p in mine], where="post",
                         linewidth=1, label=layer)[0]  # fmt: skip
        dots = [(p.trial, min(p.cycles / p.default_cycles, 3.0)) for p in mine if math.isfinite(p.cycles)]
        axis.scatter([x for x, _ in dots], [y for _, y in dots], s=6, alpha=0.5, color=line.get_color())
    axis.set(xlabel="trial", ylabel="time / default time, emulated (dots: trials, clipped at 3)", ylim=(0, 3.1))
    axis.axhline(1.0, color="black", linewidth=0.5)
    if len({p.layer for p in trials}) <= 20:
        axis.legend(fontsize=6, ncols=3)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target)
    return target
