"""Progress on stderr: a spinner on a terminal; elsewhere one line for each step that took over two seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tvm_aie.report.console import make_console

SLOW_SECONDS = 2.0


class Progress:
    """Names the step that is running."""

    def __init__(self, quiet: bool = False) -> None:
        """``quiet``: print nothing."""
        self._quiet = quiet
        self._console = make_console(stderr=True)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show ``text`` while the body runs."""
        if self._quiet:
            yield
            return
        start = time.perf_counter()
        if self._console.is_terminal:
            with self._console.status(text):
                yield
        else:
            yield
        seconds = time.perf_counter() - start
        if seconds > SLOW_SECONDS:
            self._console.print(f"{text}: {seconds:.1f} s", style="dim", markup=False)
