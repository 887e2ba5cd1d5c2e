"""Stage 4: which operators go to the array, as composite functions merged into few regions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_aie.relax.canonical import canonicalise, is_call, tag_of
from tvm_aie.relax.constraints import first_violation
from tvm_aie.relax.integer import conv_weight
from tvm_aie.relax.patterns import pattern_size, patterns
from tvm_aie.relax.view import Analysis, OpView

CODEGEN = "aie2"
BLOCK = (8, 8)
MOVES = ("layout", "permute")
MOST_WINDOW = 169  # pixels of an image that a dense layer reads as it lies: 11 KB of weights per 8x8 channels
KEEPING = ("layout", "activation", "requantize", "add")  # element by element: what they write lies as what they read
_GENERATED = re.compile(r"(lv|gv)\d*$")


@dataclass(frozen=True)
class OpRecord:
    """One operator of the network: where it runs, and why not on the array."""

    name: str
    kind: str
    input_shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]
    macs: int
    on_array: bool
    reason: str


@dataclass(frozen=True)
class OffloadReport:
    """Every operator of the network, in order. Boundary conversions are listed as host operators."""

    ops: tuple[OpRecord, ...]
    regions: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network."""
        return sum(op.macs for op in self.ops)

    @property
    def array_macs(self) -> int:
        """Multiply-accumulates on the array."""
        return sum(op.macs for op in self.ops if op.on_array)

    @property
    def mac_share(self) -> float:
        """Share of the multiply-accumulates that run on the array (1 for a network without any)."""
        return self.array_macs / self.macs if self.macs else 1.0

    @property
    def host_ops(self) -> tuple[OpRecord, ...]:
        """Operators that stay on the host, each with its reason."""
        return tuple(op for op in self.ops if not op.on_array)

    def verify(self) -> None:
        """Every operator is on the array or has a written reason."""
        for op in self.ops:
            assert op.on_array or op.reason, f"{op.name} is on the host without a reason"


@dataclass(frozen=True)
class Partition:
    """The module with ``aie2`` regions, and the report."""

    module: Any
    report: OffloadReport


def live_blocks(weight: np.ndarray[Any, Any], block: tuple[int, int] = BLOCK) -> tuple[int, int]:
    """Live and total blocks of ``block`` = (out, in) channels, the kernel window included."""
    rows, cols = -(-weight.shape[0] // block[0]), -(-weight.shape[1] // block[1])
    live = np.zeros((rows * block[0], cols * block[1]), bool)
    live[: weight.shape[0], : weight.shape[1]] = (weight.reshape(*weight.shape[:2], -1) != 0).any(axis=2)
    return int(live.reshape(rows, block[0], cols, block[1]).any(axis=(1, 3)).sum()), rows * cols


def composite_attrs(view: OpView, output: str = "") -> dict[str, str]:
    """Attributes of a composite function: its name, its result's sparsity attribute and, with weights, theirs."""
    attrs = {"aie2_name": view.name, "tesa": "dense"} | ({"tesa_output": output} if output else {})
    if view.kind in ("conv2d", "dense"):
        live, total = live_blocks(conv_weight(view))
        attrs |= {
            "tesa": "dense" if live == total else "block",
            "gamma_block": f"{BLOCK[0]}x{BLOCK[1]}",
            "live_blocks": str(live),
            "total_blocks": str(total),
            "density": f"{live / max(total, 1):.4f}",
        }
    return attrs


def _fusion_patterns(accepted: dict[int, OpView], tesa: Mapping[str, str]) -> list[Any]:
    """Our patterns, each accepting exactly the views that the rules accept."""

    def make(name: str, pattern: Any) -> Any:
        kind = name.split(".")[1]

        def check(context: Any) -> bool:
            view = accepted.get(tag_of(context.matched_expr))
            if view is None or view.kind != kind:
                return False
            return kind not in ("layout", "permute") or len(context.matched_bindings) == len(view.members)

        def attrs(exprs: Any) -> dict[str, str]:
            view = accepted[tag_of(exprs["root"])]
            return composite_attrs(view, tesa.get(str(view.root_var.name), ""))

        return relax.transform.FusionPattern(name, pattern, {"root": pattern}, check, attrs)

    shapes = {(view.kind, pattern_size(view)) for view in accepted.values()}
    return [make(name, pattern) for name, size, pattern in patterns() if (name.split(".")[1], size) in shapes]


def _records(analysis: Analysis, verdicts: dict[int, str | None]) -> list[OpRecord]:
    """Rows of the report for one function, in program order."""
    rows: list[OpRecord] = []
    attrs = analysis.func.attrs
    origin = dict(attrs["aie2_onnx_ops"]) if attrs and "aie2_onnx_ops" in attrs else {}
    by_var = {view.members[0]: view for view in analysis.views}
    part_of: list[OpRecord] = []  # host operators into which TVM's importer split one ONNX operator
    for var in analysis.order:
        view = by_var.get(var)
        row = _view_record(view, verdicts[view.tag]) if view else _conversion(analysis, var, verdicts)
        if row is None or (view is None and any(r.name == row.name for r in rows)):
            continue
        if view is not None and not row.on_array and origin and row.name not in origin and _GENERATED.match(row.name):
            named = [str(m.name) for m in view.members if str(m.name) in origin]
            if not named:
                part_of.append(row)
                continue
            row = replace(row, name=named[0])
        if part_of and not row.on_array and view is not None:
            op = origin.get(row.name, row.kind)
            row = replace(row, kind=op.lower(), input_shapes=part_of[0].input_shapes, reason=f"no kernel for {op}")
            part_of = []
        rows.append(row)
    return rows + part_of


def _view_record(view: OpView, reason: str | None) -> OpRecord:
    shapes = tuple(s.shape for s in view.inputs)
    return OpRecord(view.name, view.kind, shapes, view.out_shape, view.macs, reason is None, reason or "")


def _conversion(analysis: Analysis, var: Any, verdicts: dict[int, str | None]) -> OpRecord | None:
    """The row of a quantize or dequantize that stays on the host."""
    value = analysis.values[var]
    if var in analysis.taken or not is_call(value, "relax.quantize", "relax.dequantize"):
        return None
    if value.op.name == "relax.quantize":
        return _boundary(var, value, "quantize", "converts float to integer on the host")
    users = [analysis.values.get(u) for u in analysis.users.get(var, [])]
    inside = any(is_call(u) and _is_array_operand(u, analysis, verdicts) for u in users)
    if inside or not isinstance(value.args[0], relax.Var):
        return None
    return _boundary(var, value, "dequantize", "converts integer to float on the host")


def _is_array_operand(user: Any, analysis: Analysis, verdicts: dict[int, str | None]) -> bool:
    """True when ``user`` is the anchor of an operator on the array (its dequantize is part of it)."""
    view = analysis.by_anchor.get(tag_of(user))
    return view is not None and verdicts[view.tag] is None


def _boundary(var: Any, value: Any, kind: str, reason: str) -> OpRecord:
    shape = tuple(int(d) for d in value.ty.shape.values)
    return OpRecord(str(var.name), kind, (shape,), shape, 0, False, reason)


def analyse(mod: Any) -> tuple[list[Analysis], dict[int, str | None]]:
    """Views of all Relax functions of a canonical module, and the verdict for each view's root."""
    analyses = [Analysis(f) for _, f in mod.functions_items() if isinstance(f, relax.Function)]
    return analyses, {view.tag: first_violation(view) for a in analyses for view in a.views}


def reject_lonely_layouts(analyses: list[Analysis], verdicts: dict[int, str | None]) -> None:
    """Data movement goes to the array only next to arithmetic there: a region of its own would be a detour."""
    for analysis in analyses:
        written = {view.root_var: view for view in analysis.views}
        waiting = [v for v in analysis.views if v.kind in MOVES and verdicts[v.tag] is None]
        near: set[Any] = set()
        for view in analysis.views:
            if view.kind not in MOVES and verdicts[view.tag] is None:
                near.update((view.root_var, *(s.var for s in view.inputs)))
        for sweep in (waiting, waiting[::-1]):
            for view in sweep:
                ends = (view.root_var, view.inputs[0].var)
                if any(end in near for end in ends):
                    near.update(ends)
        for view in waiting:
            if view.root_var not in near and view.root_var in written:
                verdicts[view.tag] = "moves data between operators of the host"


def reject_vectors(analyses: list[Analysis], verdicts: dict[int, str | None]) -> None:
    """An image that is flattened stays an image on the array: a dense layer reads it as it lies. What would read it as
    channels, or add it to an image of other dimensions, makes the host flatten it; so does a dense layer whose weights
    for so large an image would not fit a core.
    """
    for analysis in analyses:
        while (found := _read_as_channels(analysis, verdicts)) is not None:
            layouts, reader = found
            verdicts |= dict.fromkeys(layouts, f"the array keeps the image as it is, and {reader} reads a vector")


def _read_as_channels(analysis: Analysis, verdicts: Mapping[int, str | None]) -> tuple[list[int], str] | None:
    """Tags of the layout operators that flatten what the first such reader reads, and its name."""
    flat: dict[Any, tuple[tuple[int, ...], int]] = {}  # vector -> (C, H, W) of the image, tag of the layout operator
    for view in analysis.views:
        if verdicts[view.tag] is not None:
            continue
        given = [flat[s.var] for s in view.inputs if s.var in flat]
        shape = view.inputs[0].shape
        if view.kind == "layout" and not given and len(shape) == 4 and math.prod(shape[2:]) > 1:
            if len(view.out_shape) == 2:
                flat[view.root_var] = shape[1:], view.tag
        elif given and view.kind == "dense":
            if math.prod(given[0][0][1:]) > MOST_WINDOW:
                return [tag for _, tag in given], view.name
        elif given:
            same = len(given) == len(view.inputs) and len({dims for dims, _ in given}) == 1
            if not same or view.kind not in KEEPING or len(view.out_shape) != 2:
                return [tag for _, tag in given], view.name
            flat[view.root_var] = given[0]
    return None


def count_regions(mod: Any) -> int:
    """Number of external functions for the array."""
    funcs = [f for _, f in mod.functions_items() if isinstance(f, relax.Function)]
    return sum(1 for f in funcs if f.attrs and f.attrs.get("Codegen", None) == CODEGEN)


def partition(mod: Any, kept: Mapping[str, str] | None = None) -> Partition:
    """Split ``mod`` into regions for the array and the rest for the host.

    ``kept``: reasons by the names of operators that the rules would accept but that stay on the host.
    """
    mod = canonicalise(mod)
    # now: one user per dequantize, parameters are dequantized constants, data movement is on integers
    analyses, verdicts = analyse(mod)
    for view in (view for a in analyses for view in a.views if kept and view.name in kept):
        verdicts[view.tag] = verdicts[view.tag] or (kept or {})[view.name]
    reject_vectors(analyses, verdicts)
    reject_lonely_layouts(analyses, verdicts)
    accepted = {view.tag: view for a in analyses for view in a.views if verdicts[view.tag] is None}
    rows = [row for a in analyses for row in _records(a, verdicts)]
    tesa = {str(n): str(t) for a in analyses if a.func.attrs for n, t in a.func.attrs.get("tesa_summary", {}).items()}
    mod = relax.transform.FuseOpsByPattern(_fusion_patterns(accepted, tesa), bind_constants=True)(mod)
    # now: each accepted operator is a composite function
    mod = relax.transform.MergeCompositeFunctions()(mod)
    # now: neighbouring composites are one function with Codegen = aie2
    mod = tvm.transform.Sequential([relax.transform.DeadCodeElimination()])(mod)
    report = OffloadReport(tuple(rows), count_regions(mod))
    report.verify()
    return Partition(mod, report)
