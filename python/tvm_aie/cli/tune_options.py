"""Arguments of ``tune``, ``cost`` and ``serve``. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MODULES = {"tune": "tune_cmd", "cost": "cost_cmd", "serve": "serve_cmd"}  # where cmd_<name> lives
AddCommand = Callable[[str, str], argparse.ArgumentParser]
AddOption = Callable[[argparse.ArgumentParser], None]


def add_records(parser: argparse.ArgumentParser) -> None:
    """``--records``: what ``tune`` found."""
    parser.add_argument(
        "--records", metavar="DIR", help="use the tuning records of this folder (the --work-dir of `tvm-aie tune`)"
    )


def host_port(text: str) -> tuple[str, int]:
    """``HOST:PORT``."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not HOST:PORT, e.g. 127.0.0.1:9290")
    return host, int(port)


def positive(text: str) -> int:
    """An integer of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return int(text)


def natural(text: str) -> int:
    """An integer of at least 0."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 up")
    return int(text)


def add_commands(command: AddCommand, model: AddOption, shape: AddOption, target: AddOption) -> None:
    """The three subcommands."""
    _add_tune(command, model, shape, target)
    _add_cost(command, target)
    sub = command("serve", "measure for other machines: a TVM RPC server with this backend, or the tracker itself")
    sub.add_argument("--tracker", type=host_port, metavar="HOST:PORT", help="tracker to report to")
    sub.add_argument("--key", default="aie2", help="name under which the server is requested (default: aie2)")
    sub.add_argument("--host", default="0.0.0.0", help="address to bind (default: 0.0.0.0)")
    sub.add_argument("--port", type=positive, default=None, help="first port to try (default: 9190, tracker 9290)")
    sub.add_argument("--start-tracker", action="store_true", help="start a tracker instead of a server")


def _add_tune(command: AddCommand, model: AddOption, shape: AddOption, target: AddOption) -> None:
    sub = command("tune", "search the schedules of a network's layers on the emulator and record the best")
    for add in (model, shape, target):
        add(sub)
    sub.add_argument("--trials", type=positive, default=256, help="schedules to emulate in all (default: 256)")
    sub.add_argument(
        "--work-dir", required=True, metavar="DIR", help="folder of the records; an interrupted run goes on from there"
    )
    sub.add_argument("--seed", type=natural, default=0, help="seed of the search (default: 0)")
    sub.add_argument("--workers", type=natural, default=2, help="processes; 0: none but this one (default: 2)")
    sub.add_argument("--rpc", type=host_port, metavar="HOST:PORT", help="measure on the servers of this tracker")
    sub.add_argument("--key", default="aie2", help="key of the measurement servers (default: aie2)")
    sub.add_argument(
        "--cost-model",
        choices=("guided", "xgb"),
        default="guided",
        help="guided: the estimate with a learned correction; xgb: TVM's XGBModel on the same features",
    )
    sub.add_argument("--start", metavar="FILE", help="model of `cost fit` to start from (default: the one that ships)")
    sub.add_argument("--plot", metavar="FILE", help="also draw the history of the search (needs matplotlib)")


def _add_cost(command: AddCommand, target: AddOption) -> None:
    sub = command("cost", "the cost model: fit its learned part, evaluate it, judge it against silicon, draw rooflines")
    actions = sub.add_subparsers(dest="action", required=True, metavar="action")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the Python trace of an error")
    common.add_argument("--quiet", action="store_true", help="no progress on stderr")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common])

    one = action("fit", "train the correction on the records of a folder")
    one.add_argument("records", help="folder of tuning records")
    one.add_argument("-o", "--output", required=True, metavar="FILE", help="model file to write (JSON)")
    one.add_argument("--seed", type=natural, default=0, help="seed (default: 0)")
    target(one)
    one = action("eval", "rank correlation and top-1 loss of a model, or of one trained on the other layers")
    one.add_argument("records", help="folder of tuning records")
    one.add_argument("--model", metavar="FILE", help="model file; default: train on the layers not being judged")
    one.add_argument("--seed", type=natural, default=0, help="seed (default: 0)")
    target(one)
    one = action("validate", "predict the rows of a silicon calibration file and print the errors")
    one.add_argument("csv", help="file with the columns of silicon_calibration.csv")
    one.add_argument("--all", action="store_true", help="also list the rows that cannot be predicted, with the reason")
    target(one)
    one = action("roofline", "run a network and draw its layers under the roofs of core, memtile and DDR")
    one.add_argument("model", help="ONNX file")
    one.add_argument("-o", "--output", default="roofline.svg", metavar="FILE", help="default: roofline.svg")
    one.add_argument("--shape", action="append", default=[], metavar="NAME=DIMS", help="fixed shape of an input")
    target(one)
