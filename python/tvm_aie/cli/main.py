"""``tvm-aie``: parses, dispatches, and turns errors into one line and an exit code. Imports nothing heavy."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from tvm_aie.cli import tune_options
from tvm_aie.errors import TvmAieError

EXIT_UNUSABLE = 2
EXIT_MISMATCH = 8
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130

_EPILOG = """\
exit codes:
  0    success
  1    a limit of this package or a wrong use not listed below
  2    an unusable file, tensor or option
  3    an ONNX network that cannot be read (missing, truncated, dynamic shape, ...)
  4    an unknown target, or a device file with a missing, unknown or impossible value
  5    the network does not fit the device
  6    a program that violates a hardware limit, or whose bytes are damaged
  7    the emulator stopped: deadlock, race, descriptor out of range
  8    --check found a difference from onnxruntime
  70   an internal error (use --debug for the trace)
  130  interrupted
"""


def _density(text: str) -> float:
    value = float(text)
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text} is not in (0, 1]")
    return value


def _block(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise argparse.ArgumentTypeError(f"'{text}' is not OUTxIN, e.g. 8x8")
    return int(parts[0]), int(parts[1])


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="ONNX file")


def _add_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="NAME=DIMS",
        help="fixed shape of an input, e.g. data=1,3,224,224",
    )


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        default="aie2",
        help="aie2 (= aie2/npu1), aie2/npu1, aie2/wbs-RxC[-mM], or the path of a device .toml file (default: aie2)",
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input",
        action="append",
        metavar="FILE",
        help=".npy with the input, or .npz with one array per input name; repeat for several inputs "
        "(default: random values from --seed)",
    )
    parser.add_argument("--seed", type=tune_options.natural, default=0, help="seed of random inputs (default: 0)")
    parser.add_argument(
        "--check", action="store_true", help="compare exactly with onnxruntime (optimisations disabled)"
    )


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the Python trace of an error")
    common.add_argument("--quiet", action="store_true", help="no progress on stderr")
    parser = argparse.ArgumentParser(
        prog="tvm-aie",
        description="Compile quantised, block-sparse ONNX networks for AMD AIE2 arrays and run them on the emulator.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tvm-aie {_version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[common])

    sub = command("quantize", "write a float ONNX network in the XINT8 QDQ form (power-of-two scales)")
    _add_model(sub)
    sub.add_argument("-o", "--output", help="file to write (default: MODEL_int8.onnx in the current directory)")
    _add_shape(sub)
    sub.add_argument(
        "--calib", metavar="FILE", help="calibration data, .npy or .npz (default: one seeded random sample)"
    )
    sub.add_argument("--seed", type=tune_options.natural, default=0, help="seed of the random sample (default: 0)")
    sub.add_argument(
        "--prefer", choices=("auto", "own", "quark"), default="auto", help="quantiser; auto: AMD Quark where installed"
    )

    sub = command("sparsify", "drop weight blocks of a float or quantised network by magnitude")
    _add_model(sub)
    sub.add_argument("-o", "--output", help="file to write (default: MODEL_sparse.onnx in the current directory)")
    sub.add_argument("--density", type=_density, default=0.5, help="share of blocks to keep (default: 0.5)")
    sub.add_argument("--block", type=_block, default=(8, 8), metavar="OUTxIN", help="block shape (default: 8x8)")
    sub.add_argument(
        "--norm", choices=("l1", "l2", "variance"), default="l1", help="importance of a block (default: l1)"
    )
    sub.add_argument(
        "--keep", action="append", default=[], metavar="LAYER", help="layer that stays dense, * allowed; repeatable"
    )
    sub.add_argument("--scope", choices=("layer", "network"), default="layer", help="rank blocks per layer or overall")
    sub.add_argument("--allow-empty", action="store_true", help="let a row or column of blocks die completely")
    sub.add_argument(
        "--weight-bits",
        type=int,
        choices=(4, 8),
        default=8,
        help="4: also round quantised weights to a coarser scale so that they fit int4; changes values (default: 8)",
    )

    sub = command("compile", "compile a quantised network and print what was placed where")
    _add_model(sub)
    _add_shape(sub)
    _add_target(sub)
    tune_options.add_records(sub)
    sub.add_argument("-o", "--output", metavar="DIR", help="also write report.json and the exported library here")
    sub.add_argument("--emit", choices=("mlir",), help="with -o: also write the mlir-aie design, kernels, host program")

    sub = command("run", "compile, run on the emulator and print the per-layer report")
    _add_model(sub)
    _add_shape(sub)
    _add_target(sub)
    tune_options.add_records(sub)
    _add_run_options(sub)
    sub.add_argument("-o", "--output", metavar="DIR", help="write report.json, layers.csv and outputs.npz here")

    sub = command("profile", "run, and write the Chrome trace (Perfetto) and the time line picture")
    _add_model(sub)
    _add_shape(sub)
    _add_target(sub)
    tune_options.add_records(sub)
    _add_run_options(sub)
    sub.add_argument("--beside", metavar="MODEL", help="a second network (for example the sparse one) for the picture")
    sub.add_argument("-o", "--output", metavar="DIR", default="out/profile", help="default: out/profile")

    sub = command("explain", "say for each operator whether it runs on the array, and if not, why")
    _add_model(sub)
    _add_shape(sub)
    _add_target(sub)
    sub.add_argument("--tesa", action="store_true", help="say per layer what is dead, why, and what that saves")
    sub.add_argument(
        "--emulate",
        action="store_true",
        help="with --tesa: emulated time with and without propagation, outputs compared with onnxruntime",
    )
    sub.add_argument(
        "--masks",
        metavar="FILE",
        help="with --tesa: an .npz file of masks by ONNX or Relax name (0 = pruned), or a .json file of attributes",
    )

    tune_options.add_commands(command, _add_model, _add_shape, _add_target)

    sub = command("devices", "list the machines, or the numbers of one with unit, source and tag")
    sub.add_argument("name", nargs="?", help="npu1, wbs-RxC[-mM] or a .toml file")

    sub = command("demo", "ResNet-50, dense and 50 %% block-sparse, checked against onnxruntime")
    _add_target(sub)
    sub.add_argument("-o", "--output", metavar="DIR", default="out/demo", help="default: out/demo")
    sub.add_argument("--seed", type=tune_options.natural, default=0, help="seed of weights and input (default: 0)")
    return parser


def _version() -> str:
    try:
        return metadata.version("tvm-aie")
    except metadata.PackageNotFoundError:
        return "0 (not installed)"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``tvm-aie``; returns the exit code."""
    args = _parser().parse_args(argv)
    try:
        module = tune_options.MODULES.get(args.command, "commands")
        handler = getattr(import_module(f"tvm_aie.cli.{module}"), f"cmd_{args.command}")
        if getattr(args, "records", None) and module == "commands":
            handler = import_module("tvm_aie.cli.tune_cmd").with_records(handler)
        code: int = handler(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("tvm-aie: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except TvmAieError as error:
        if args.debug:
            raise
        print(f"tvm-aie: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a folder that is no folder, a full disk, a file that is read-only
        if args.debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"tvm-aie: error: {where}{error.strerror or error}", file=sys.stderr)
        return EXIT_UNUSABLE
    except Exception as error:
        if args.debug:
            raise
        text = str(error).strip().splitlines()
        print(
            f"tvm-aie: internal error: {type(error).__name__}: {text[0] if text else ''}\n"
            "This is a defect of tvm-aie; run again with --debug for the trace.",
            file=sys.stderr,
        )
        return EXIT_INTERNAL


if __name__ == "__main__":
    sys.exit(main())
