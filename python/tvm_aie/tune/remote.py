"""Measurement on other machines: TVM's RPC tracker and servers; a trial on a server that dies is given to another."""

from __future__ import annotations

import socket
import struct
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from tvm_aie.errors import InputError, TvmAieError

FUNCTION = "tvm_aie.tune.run_file"
SESSION_SECONDS = 60
ATTEMPTS = 6
TRACKER_MAGIC = 0x2F271  # of TVM's tracker protocol (tvm.rpc.base.RPC_TRACKER_MAGIC)


def register() -> None:
    """Make the measurement callable over RPC; a server runs this in its own process."""
    import tvm_ffi

    from tvm_aie._native import load
    from tvm_aie.tune.bench import run_file

    load()

    def measure(name: str) -> str:
        path = tvm_ffi.get_global_func("tvm.rpc.server.workpath")(name)
        cycles, message = run_file(str(path))
        return f"{cycles!r} {message}"

    tvm_ffi.register_global_func(FUNCTION, measure, override=True)


def tracker_summary(host: str, port: int) -> Any:
    """What the tracker knows; ``InputError`` at once when there is none."""
    from tvm import rpc

    try:
        with socket.create_connection((host, port), timeout=5) as probe:
            # a tracker answers its magic number; TVM's client would wait for ever for anything else
            probe.settimeout(5)
            probe.sendall(struct.pack("<i", TRACKER_MAGIC))
            answer = probe.recv(4)
            if len(answer) < 4 or struct.unpack("<i", answer)[0] != TRACKER_MAGIC:
                raise InputError("what answers there is no TVM tracker")
        return rpc.connect_tracker(host, port).summary()
    except Exception as error:
        raise InputError(f"no RPC tracker at {host}:{port} ({_line(error)})") from error


class RemoteFleet:
    """Runs artefacts on the servers of a tracker. A lost connection is no result: the trial is run again."""

    def __init__(self, host: str, port: int, key: str) -> None:
        """Fails at once when there is no tracker or no server with that key."""
        self.host, self.port, self.key = host, port, key
        self.lost = 0
        self._lock = threading.Lock()
        summary = tracker_summary(host, port)
        servers = [s for s in summary["server_info"] if s["key"] == f"server:{key}"]
        if not servers:
            raise InputError(f"tracker {host}:{port} knows no server with key '{key}': start `tvm-aie serve`")
        self._threads = ThreadPoolExecutor(max_workers=len(servers), thread_name_prefix="tvm-aie-rpc")

    def submit(self, path: str) -> Future[tuple[float, str]]:
        """A future of (cycles, message)."""
        return self._threads.submit(self._run, path)

    def _run(self, path: str) -> tuple[float, str]:
        for attempt in range(ATTEMPTS):
            try:
                return self._once(path)
            except TvmAieError:
                raise
            except Exception as error:
                with self._lock:
                    self.lost += 1
                last = _line(error)
                time.sleep(0.2 * attempt)
        raise RuntimeError(f"no measurement server answered in {ATTEMPTS} attempts: {last}")

    def _once(self, path: str) -> tuple[float, str]:
        """One trial on whichever server the tracker gives; the server is free for others right after."""
        from tvm import rpc

        tracker = rpc.connect_tracker(self.host, self.port)
        session = tracker.request(self.key, priority=1, session_timeout=SESSION_SECONDS)
        name = f"{uuid.uuid4().hex}.bin"
        session.upload(path, target=name)
        cycles, _, message = str(session.get_function(FUNCTION)(name)).partition(" ")
        return float(cycles), message


def serve(tracker: tuple[str, int], key: str, host: str = "0.0.0.0", port: int = 9190) -> Any:
    """Start a measurement server (a process of its own) that reports to a tracker; ``terminate`` ends it."""
    from tvm import rpc

    return rpc.Server(host=host, port=port, port_end=port + 200, key=key, tracker_addr=tracker, silent=True,
                      server_init_callback=register)  # fmt: skip


def start_tracker(host: str = "0.0.0.0", port: int = 9290) -> Any:
    """Start a tracker (a process of its own); ``terminate`` ends it."""
    from tvm.rpc.tracker import Tracker

    return Tracker(host=host, port=port, port_end=port + 200, silent=True)


def _line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
