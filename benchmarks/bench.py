"""`make bench`: ResNet-50 on 2 threads; how fast the compiler and the emulator are, as ratios within one run.

Everything here is `measured` on this machine; emulated times do not depend on it (see `tvm-aie run`).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

THREADS = 2
REPEATS = 9


@dataclass(frozen=True)
class Row:
    what: str
    value: float
    unit: str
    limit: float | None = None


def seconds(function) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def medians(*functions) -> list[float]:
    """Median time of each; the calls alternate, so that a busy machine disturbs all alike."""
    for function in functions:
        function()  # warm
    samples = [[seconds(function) for function in functions] for _ in range(REPEATS)]
    return [statistics.median(column) for column in zip(*samples, strict=True)]


def int8_file(folder: Path) -> Path:
    """The quantised network, written by a child process so that its memory does not count here."""
    path = folder / "resnet50_int8.onnx"
    if not path.is_file():
        pid = os.fork()
        if pid == 0:
            import onnx

            from tvm_aie.frontend.onnx_zoo import light_model
            from tvm_aie.quantize import quantize

            onnx.save(quantize(light_model("resnet50", 0)), path)
            os._exit(0)
        os.waitpid(pid, 0)
    return path


def onnxruntime_call(path: Path, inputs):
    """onnxruntime with all graph optimisations: its fastest way to run the same file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)


def measure(folder: Path, target: str) -> list[Row]:
    from tvm_aie.cli import service
    from tvm_aie.cli.progress import Progress
    from tvm_aie.runtime.emulator import RunOptions, run_program

    quiet = Progress(quiet=True)
    path = int8_file(folder)
    service.load_tvm()
    network = service.compile_network(path, target, quiet)
    inputs = service.inputs_for(network, None, 0)
    service.execute(network, inputs, quiet)
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    programs = [region.program.to_bytes() for region in network.compilation.compiled]
    functional, timed, reference = medians(
        lambda: service.execute(network, inputs, quiet),
        lambda: [run_program(program, (), RunOptions(functional=False)) for program in programs],
        onnxruntime_call(path, inputs),
    )
    return [
        *propagation_rows(path),
        Row("onnxruntime int8, same file", reference * 1e3, "ms"),
        Row("functional + timed emulation, through the VM", functional * 1e3, "ms"),
        Row("  ratio to onnxruntime", functional / reference, "x", 10.0),
        Row("timed-only emulation", timed, "s", 0.3),
        Row("compile, ONNX file to executable", network.seconds, "s", 15.0),
        Row("peak memory, compile and one run", peak_gib, "GiB", 3.0),
    ]


def propagation_rows(path: Path) -> list[Row]:
    """Time and memory of TeSA propagation, and time of elimination."""
    import tracemalloc

    from tvm_aie.frontend import from_onnx
    from tvm_aie.tesa.eliminate import eliminate_function
    from tvm_aie.tesa.propagation import propagate

    func = from_onnx(str(path))["main"]
    forth, gone = medians(lambda: propagate(func), lambda: eliminate_function(func, 4))
    tracemalloc.start()
    propagate(func)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        Row("propagation of sparsity (TeSA)", forth, "s", 2.0),
        Row("  memory beside the network", peak / (1 << 30), "GiB", 1.0),
        Row("elimination of dead work (TeSA)", gone, "s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="aie2")
    parser.add_argument("--output", default="out/bench", help="folder for the network and bench.json")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    rows = measure(folder, args.target)
    print(f"ResNet-50, {args.target}, {THREADS} threads                              [measured]")
    for row in rows:
        limit = "" if row.limit is None else f"   limit {row.limit:g}{'' if row.value <= row.limit else '  EXCEEDED'}"
        print(f"{row.what:48} {row.value:10.3f} {row.unit:4}{limit}")
    (folder / "bench.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


if __name__ == "__main__":
    main()
