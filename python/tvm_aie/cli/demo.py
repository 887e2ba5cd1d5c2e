"""``tvm-aie demo``: ResNet-50 with seeded weights, dense and 50 % block-sparse, compiled, run and checked."""

from __future__ import annotations

from pathlib import Path

from tvm_aie.cli import service
from tvm_aie.cli.commands import print_check
from tvm_aie.cli.progress import Progress
from tvm_aie.report.console import make_console, print_comparison, print_layers, print_summary, print_wrote
from tvm_aie.report.files import write_csv, write_json
from tvm_aie.report.model import NetworkReport

NETWORK = "resnet50"
DENSITY = 0.5
# Bump when the quantiser, the sparsifier or the seeded weights change: older files in the folder are rebuilt.
CACHE = 1


def prepare_models(folder: Path, seed: int, progress: Progress) -> tuple[Path, Path]:
    """The dense and the sparse int8 file; files of an earlier run in ``folder`` are reused."""
    dense = folder / f"{NETWORK}_seed{seed}_v{CACHE}_int8.onnx"
    sparse = dense.with_name(dense.name.replace("_int8", "_half_int8"))
    if dense.is_file() and sparse.is_file():
        return dense, sparse
    import onnx

    from tvm_aie.frontend.onnx_zoo import light_model
    from tvm_aie.quantize import quantize
    from tvm_aie.sparsity import sparsify

    with progress.step(f"building and quantising {NETWORK} with weights from seed {seed}"):
        model = light_model(NETWORK, seed)
        pruned, _ = sparsify(model, DENSITY)
        for path, variant in ((dense, model), (sparse, pruned)):
            part = path.with_suffix(".part")
            onnx.save(quantize(variant, seed=seed), part)
            part.replace(path)
    return dense, sparse


def run_demo(folder: Path, target: str, seed: int, progress: Progress) -> int:
    """Everything that ``make demo`` promises; the exit code is that of the comparison with onnxruntime."""
    console = make_console()
    console.print(
        f"{NETWORK}, weights and input from seed {seed} (no trained weights are needed or used), "
        f"dense and with {DENSITY:.0%} of the 8x8 blocks kept"
    )
    code = 0
    reports: list[tuple[str, NetworkReport]] = []
    wrote: list[Path] = []
    for name, path in zip(("dense", "sparse"), prepare_models(folder, seed, progress), strict=True):
        network = service.compile_network(path, target, progress)
        inputs = service.inputs_for(network, None, seed)
        execution = service.execute(network, inputs, progress)
        report = service.report_of(network, execution)
        console.print()
        if name == "dense":
            print_layers(console, report)
            console.print()
        print_summary(console, report, "run")
        code = max(code, print_check(console, service.check(network, inputs, execution, progress)))
        reports.append((name, report))
        wrote += [path, write_json(report, folder / f"{name}.json"), write_csv(report, folder / f"{name}.csv")]
    console.print()
    print_comparison(console, reports)
    print_wrote(console, wrote)
    return code
