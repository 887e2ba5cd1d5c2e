"""``tvm-aie explain --tesa``: the report of propagation, and on request what it is worth in emulated time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tvm_aie.cli import service
from tvm_aie.cli.progress import Progress

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Gain:
    """Emulated cycles of one inference with and without propagation; ``equal``: outputs equal onnxruntime's."""

    device: str
    cycles: int
    cycles_without: int
    weight_bytes: int
    weight_bytes_without: int
    equal: bool | None

    def text(self) -> str:
        """Two lines for the command line."""
        saved = 1 - self.cycles / self.cycles_without
        how = f"{saved:.1%} less" if saved >= 0 else f"{-saved:.1%} more"
        lines = [
            f"time on {self.device}: {self.cycles_without:,} cycles without propagation, {self.cycles:,} with it "
            f"({how}) [emulated]",
            f"weights loaded: {self.weight_bytes_without:,} bytes without, {self.weight_bytes:,} with it [emulated]",
        ]
        if self.equal is not None:
            lines.append("outputs equal onnxruntime's" if self.equal else "outputs DIFFER from onnxruntime's")
        return "\n".join(lines)


def tesa_text(
    path: str | Path, target: str, progress: Progress, shapes: Shapes | None = None, masks: str | Path | None = None
) -> str:
    """The propagation report of a quantised network, and how the array executes what is left.

    ``masks``: a file for ``tesa.attach_masks``.
    """
    service.read_model(path)
    with progress.step("loading TVM"):
        service.load_tvm()
        from tvm_aie.frontend import from_onnx
        from tvm_aie.report.plans import plan_rows, plan_text
        from tvm_aie.targets import as_target, device_of
        from tvm_aie.tesa import attach_masks
        from tvm_aie.tesa.report import explain_tesa
    device = device_of(as_target(service.as_known_target(target)))
    with progress.step(f"propagating through {Path(path).name}"):
        module = from_onnx(str(path), shapes)
        text = explain_tesa(attach_masks(module, masks) if masks else module, device.rows).text()
    network = service.compile_network(path, target, progress, shapes)
    return f"{text}\n{plan_text(list(plan_rows(network.compilation.compiled)))}"


def measure(
    path: str | Path,
    target: str,
    progress: Progress,
    shapes: Shapes | None = None,
    check: bool = False,
    masks: str | Path | None = None,
) -> Gain:
    """Compile and run twice, without and with elimination; ``masks`` act through elimination alone."""
    service.load_tvm()
    from tvm_aie.relax import set_eliminate

    results = []
    previous = set_eliminate(False)
    try:
        for enabled in (False, True):
            set_eliminate(enabled)
            network = service.compile_network(path, target, progress, shapes, masks)
            inputs = service.inputs_for(network, None, 0)
            execution = service.execute(network, inputs, progress)
            results.append((network, inputs, execution))
    finally:
        set_eliminate(previous)
    equal = None
    if check:
        equal = all(m.ok for n, i, e in results for m in service.check(n, i, e, progress))
    cycles = [sum(run.total_cycles for run in e.runs) for _, _, e in results]
    loads = [service.report_of(n, e).traffic.loadw_bytes for n, _, e in results]
    return Gain(results[0][0].device.name, cycles[1], cycles[0], loads[1], loads[0], equal)
