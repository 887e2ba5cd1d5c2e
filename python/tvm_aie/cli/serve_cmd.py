"""``tvm-aie serve``: a measurement server for ``tvm-aie tune --rpc``, or the tracker that knows the servers."""

from __future__ import annotations

import argparse
import threading

from tvm_aie.errors import InputError
from tvm_aie.report.console import make_console


def cmd_serve(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from tvm_aie.cli import service
    from tvm_aie.cli.tune_cmd import require_tuner

    require_tuner()
    if not args.start_tracker and args.tracker is None:
        raise InputError("a server needs --tracker HOST:PORT; `tvm-aie serve --start-tracker` starts one")
    service.load_tvm()
    from tvm_aie.tune import remote

    console = make_console()
    if args.start_tracker:
        process = remote.start_tracker(args.host, args.port or 9290)
        console.print(f"tracker on {args.host}:{process.port}", highlight=False)
    else:
        remote.tracker_summary(*args.tracker)  # an error now instead of a server that nobody finds
        process = remote.serve(args.tracker, args.key, args.host, args.port or 9190)
        console.print(f"server '{args.key}' on {args.host}:{process.port}, tracker {args.tracker}", highlight=False)
    try:
        threading.Event().wait()
    finally:
        process.terminate()
    return 0
