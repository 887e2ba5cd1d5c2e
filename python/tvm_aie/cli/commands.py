"""The subcommands: arguments to service calls, results to the console. Called by ``main`` as ``cmd_<name>(args)``."""

from __future__ import annotations

import argparse

from tvm_aie.cli.devices import print_device, print_devices
from tvm_aie.report.console import make_console


def cmd_devices(args: argparse.Namespace) -> int:
    """List the machines, or show one."""
    console = make_console()
    if args.name is None:
        print_devices(console)
    else:
        from tvm_aie.device import load_device

        print_device(console, load_device(args.name.removeprefix("aie2/")))
    return 0
