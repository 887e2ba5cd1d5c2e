"""Python's cyclic garbage collector while a network is compiled: it runs seldom.

A compilation makes some hundred thousand objects, nearly none of them in cycles (of ResNet-50 on wbs-8x8 at 50 %: 30),
and each full collection visits them all, with those of the rest of the process: measured 1.3 to 1.4 of 10 s there.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SELDOM = 50_000, 20, 100  # allocations, and collections of each generation, up to one of the next
_lock = threading.Lock()
_inside = 0  # compilations that run
_before = gc.get_threshold()


@contextmanager
def seldom() -> Iterator[None]:
    """Collections are rare until all that are inside have left; where there are none, or fewer, it stays so."""
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = gc.get_threshold()
            if 0 < _before[0] < SELDOM[0]:
                gc.set_threshold(*SELDOM)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_before)


def seldom_collected(function: Callable[P, R]) -> Callable[P, R]:
    """The function, during which collections are rare."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with seldom():
            return function(*args, **kwargs)

    return run
