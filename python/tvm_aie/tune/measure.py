"""Builder and runner of trials on the emulator, in this process, in worker processes, or on measurement servers."""

from __future__ import annotations

import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from tvm.ir.utils import derived_object
from tvm.s_tir import meta_schedule as ms

from tvm_aie.cost.learned import Floats
from tvm_aie.device import Device
from tvm_aie.errors import TvmAieError
from tvm_aie.schedule.tiling import Tiling
from tvm_aie.searches import Workload
from tvm_aie.tune import bench
from tvm_aie.tune.search import Session, feature_rows, portable
from tvm_aie.tune.stub import noted_values

TIMEOUT_SECONDS = 120.0
GRACE_SECONDS = 10.0  # for running jobs when the work is abandoned
_KNOWN = struct.Struct("<8sd")
_KNOWN_MAGIC = b"AIEDONE\0"  # an artefact that holds an earlier result instead of a program


class Workers:
    """Runs functions in this process (``count`` 0) or in that many worker processes."""

    def __init__(self, count: int) -> None:
        """Processes start with the first job."""
        self.count = count
        self._pool: Any = None
        self._jobs: WeakSet[Any] = WeakSet()
        if count:
            from tvm.support.popen_pool import PopenPoolExecutor

            self._pool = PopenPoolExecutor(max_workers=count, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Drop what has not begun and end the processes.

        The pool would do so in its finaliser, which after an interrupt may run in a thread that it waits for.
        """
        if self._pool is None:
            return
        for job in list(self._jobs):
            job.cancel()
        # Ctrl-C has reached the processes too. A job that fails ends its process itself; two who do so get in each
        # other's way.
        wait([job for job in list(self._jobs) if not job.done()], timeout=GRACE_SECONDS)
        self._pool.shutdown(wait=True)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """A future of ``function(*args)``."""
        if self._pool is not None:
            job = self._pool.submit(function, *args)
            self._jobs.add(job)
            return job
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def map(self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """``function`` of each tuple of arguments, in order."""
        jobs = [self.submit(function, *arguments) for arguments in calls]
        return [job.result() for job in jobs]

    def features(self, work: Workload, tilings: Sequence[Tiling], device: Device) -> list[Floats]:
        """``search.feature_rows`` by all processes."""
        parts = [tilings[k :: self.count] for k in range(self.count)] if self.count and len(tilings) > 1 else [tilings]
        jobs = [self.submit(feature_rows, portable(work), part, device) for part in parts if part]
        out: list[Floats] = [np.zeros(0)] * len(tilings)
        for k, job in enumerate(jobs):
            out[k :: len(jobs)] = job.result()
        return out


@derived_object
class EmulatorBuilder(ms.builder.PyBuilder):  # type: ignore[misc]
    """Compiles the small graph that repeats a workload (``bench``); one directory per artefact.

    MetaSchedule's ``RemoveBuildArtifact`` deletes the parent directory of an artefact.
    """

    def __init__(self, session: Session, workers: Workers) -> None:
        """``session``: spaces and what is known."""
        super().__init__()
        self.session, self.workers = session, workers

    def build(self, build_inputs: list[Any]) -> list[Any]:
        """One artefact or message per input."""
        jobs: list[tuple[Path, Any]] = []
        for item in build_inputs:
            space = self.session.space(item.mod)
            values = noted_values(item.mod)
            point = space.nearest(values) if set(values) == set(space.knobs) else None
            path = Path(tempfile.mkdtemp(prefix="tvm-aie-trial-")) / "program.bin"
            known = self.session.measured.get(space.key, {}).get(point) if point is not None else None
            if known is not None:
                path.write_bytes(_KNOWN.pack(_KNOWN_MAGIC, known))
                jobs.append((path, None))
            elif point is None:
                jobs.append((path, "a schedule of other knobs"))
            else:
                arguments = (portable(space.work), space.points[point], self.session.device, str(path))
                jobs.append((path, self.workers.submit(bench.build_file, *arguments)))
        return [_build_result(path, job) for path, job in jobs]


def _build_result(path: Path, job: Any) -> Any:
    message = job
    if job is not None and not isinstance(job, str):
        try:
            message = job.result()
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
    if message:
        shutil.rmtree(path.parent, ignore_errors=True)
        return ms.builder.BuilderResult(None, message)
    return ms.builder.BuilderResult(str(path), None)


def known_cycles(path: str) -> float | None:
    """Cycles noted in an artefact that only repeats an earlier result."""
    with open(path, "rb") as file:
        head = file.read(_KNOWN.size)
    if len(head) == _KNOWN.size and head.startswith(_KNOWN_MAGIC):
        return float(_KNOWN.unpack(head)[1])
    return None


@derived_object
class _EmulatorFuture(ms.runner.PyRunnerFuture):  # type: ignore[misc]
    """The result of one trial, in seconds of the device's clock."""

    def __init__(self, future: Any, clock_hz: float) -> None:
        super().__init__()
        self.future, self.clock_hz = future, clock_hz

    def done(self) -> bool:
        """True when ``result`` does not block."""
        return bool(self.future.done())

    def result(self) -> Any:
        """Seconds, or the message of the failure."""
        try:
            cycles, message = self.future.result()
        except TvmAieError:
            raise
        except Exception as error:
            return ms.runner.RunnerResult(None, f"{type(error).__name__}: {error}")
        if message or cycles == float("inf"):
            return ms.runner.RunnerResult(None, message or "failed before")
        return ms.runner.RunnerResult([cycles / self.clock_hz], None)


@derived_object
class EmulatorRunner(ms.runner.PyRunner):  # type: ignore[misc]
    """Emulates artefacts; ``submit`` decides where."""

    def __init__(self, session: Session, submit: Callable[[str], Any]) -> None:
        """``submit(path)``: a future of (cycles, message)."""
        super().__init__()
        self.session, self.submit = session, submit

    def run(self, runner_inputs: list[Any]) -> list[Any]:
        """A future per artefact."""
        clock_hz = self.session.device.clock_mhz * 1e6
        futures = []
        for item in runner_inputs:
            path = str(item.artifact_path)
            known = known_cycles(path)
            future: Any
            if known is not None:
                future = Future()
                future.set_result((known, ""))
            else:
                future = self.submit(path)
            futures.append(_EmulatorFuture(future, clock_hz))
        return futures
