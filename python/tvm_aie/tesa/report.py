"""What propagation found and elimination removed, layer by layer, and which neighbour caused it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_aie.tesa.attribute import Mask, any_of, narrowest_code, storage_code
from tvm_aie.tesa.eliminate import Elimination, eliminate_function
from tvm_aie.tesa.facts import Fact
from tvm_aie.tesa.formats import weight_code
from tvm_aie.tesa.ir import relax_functions, variables
from tvm_aie.tesa.layers import Graph, Layer, layers_of
from tvm_aie.tesa.propagation import Propagation, propagate
from tvm_aie.tesa.slots import BLOCK, channel_need

SHOWN = 3  # neighbours named in a cause


@dataclass(frozen=True)
class TesaRow:
    """One weighted layer. Sparsities are shares of weights; MACs and bytes count live 8x8 blocks."""

    name: str
    kind: str
    shape: tuple[int, ...]
    shape_after: tuple[int, ...]
    sparsity: float
    propagated: float
    weight_bits: tuple[int, int]  # as stored, and what the live ones take
    input_bits: tuple[int, int]
    macs: int
    macs_after: int
    weight_bytes: int
    weight_bytes_after: int
    causes: tuple[str, ...]


@dataclass(frozen=True)
class TesaReport:
    """All layers of a network in order. Bits are value-preserving bounds, nothing was narrowed."""

    rows: tuple[TesaRow, ...]

    def total(self, field: str) -> int:
        """Sum of a column."""
        return sum(int(getattr(row, field)) for row in self.rows)

    def text(self) -> str:
        """A table for the command line."""
        if not self.rows:
            return "no quantised layer: propagation eliminates in integer arithmetic only (quantize the network first)"
        head = f"{'layer':28} {'weights (out, in, taps)':>24} {'zero':>7} {'dead':>7} {'bits w, x':>12}"
        lines = [f"{head} {'MACs':>14} {'after':>14} {'bytes':>10} {'after':>10}"]
        for r in self.rows:
            shape = "x".join(map(str, r.shape))
            if r.shape_after != r.shape:
                shape += "->" + "x".join(map(str, r.shape_after[:2]))
            bits = ", ".join(f"{a}>{b}" if a != b else f"{a}" for a, b in (r.weight_bits, r.input_bits))
            lines.append(
                f"{r.name[:28]:28} {shape:>24} {r.sparsity:7.1%} {r.propagated:7.1%} {bits:>12}"
                f" {r.macs:14,} {r.macs_after:14,} {r.weight_bytes:10,} {r.weight_bytes_after:10,}"
            )
            lines += [f"    {cause}" for cause in r.causes]
        for field, name in (("macs", "MACs in live blocks"), ("weight_bytes", "bytes of live weight blocks")):
            before, after = self.total(field), self.total(f"{field}_after")
            saved = 1 - after / before if before else 0.0
            lines.append(f"{name}: {before:,} without propagation, {after:,} with it ({saved:.1%} saved) [estimated]")
        lines.append("zero: in the file; dead: zero, or without effect on any output; MACs, bytes: of live 8x8 blocks;")
        lines.append("bits w, x: of weights and of the input, as stored > what holds every value (nothing is narrowed)")
        return "\n".join(lines)


def live_blocks(layer: Layer) -> int:
    """Live 8x8 channel blocks of a layer."""
    matrix = layer.matrix()
    rows = np.logical_or.reduceat(matrix, np.arange(0, matrix.shape[0], BLOCK), axis=0)
    return int(np.logical_or.reduceat(rows, np.arange(0, matrix.shape[1], BLOCK), axis=1).sum())


def _taps(layer: Layer) -> int:
    return math.prod(layer.weight.values.shape[2:]) if layer.is_conv else 1


def _shape(layer: Layer) -> tuple[int, ...]:
    shape = layer.weight.values.shape
    return (shape[0], shape[1], _taps(layer)) if layer.is_conv else (shape[1], shape[0], 1)


def _work(layer: Layer) -> tuple[int, int]:
    """MACs and weight bytes of the live blocks; a grouped layer counts its own weights."""
    if layer.groups > 1:
        count = int(np.count_nonzero(layer.weight.values))
        return count * layer.pixels, count
    size = live_blocks(layer) * min(BLOCK, _shape(layer)[0]) * min(BLOCK, _shape(layer)[1]) * _taps(layer)
    return size * layer.pixels, size


class _Neighbours:
    """The nearest weighted layers before and behind a layer."""

    def __init__(self, graph: Graph, layers: Sequence[Layer]) -> None:
        self.graph = graph
        self.layers = {layer.use.var: layer for layer in layers}
        self.empty = {layer.use.var: int((~layer.matrix().any(axis=1)).sum()) for layer in layers}

    def readers(self, layer: Layer) -> list[Layer]:
        """Layers that read the output."""
        return self._walk([layer.use.var], lambda v: self.graph.users.get(v, []))

    def writers(self, layer: Layer) -> list[Layer]:
        """Layers that the input comes from."""

        def before(var: Any) -> list[Any]:
            value = self.graph.values.get(var)
            return [] if value is None else list(variables(value))

        return self._walk([layer.call.args[0]], before, include_start=True)

    def end(self, layer: Layer, result: Propagation) -> Any:
        """The tensor behind a layer's activation: the last one before readers part, join others or are layers."""
        var = layer.use.var
        while (after := self.graph.sole_user(var)) is not None:
            joined = [v for v in variables(self.graph.values[after]) if v in result.facts and not v.same_as(var)]
            if joined or after in self.layers or len(result.facts.get(after, ())) != 1:
                break
            if len(result.fact(after).shape) < 2:
                break
            var = after
        return var

    def _walk(self, start: list[Any], step: Any, include_start: bool = False) -> list[Layer]:
        found: list[Layer] = []
        seen: set[Any] = set()
        todo = list(start) if include_start else [v for s in start for v in step(s)]
        while todo:
            var = todo.pop(0)
            if var in seen:
                continue
            seen.add(var)
            if var in self.layers:
                found.append(self.layers[var])
            else:
                todo += step(var)
        return found


def _named(layers: Sequence[Layer]) -> str:
    rest = f" and {len(layers) - SHOWN} more" if len(layers) > SHOWN else ""
    return ", ".join(layer.name for layer in layers[:SHOWN]) + rest


def _whole_channels(mask: Mask, channels: int) -> int:
    """How many channels a mask covers in every place."""
    axes = tuple(a for a in range(mask.ndim) if a != 1)
    return int(np.broadcast_to(~any_of(~mask, axes), (channels,)).sum())


def _constant_channels(fact: Fact) -> int:
    """How many channels of a tensor are constants in every place."""
    return _whole_channels(fact.known, fact.shape[1])


def _origin(result: Propagation, layer: Layer, near: _Neighbours) -> str:
    """Why input channels of a layer are constants: which writers made them so, and how."""
    writers = near.writers(layer)
    empty = [w for w in writers if near.empty[w.use.var]]
    others = [w for w in writers if not near.empty[w.use.var]]
    fixed = [w for w in others if _constant_channels(result.fact(w.use.var))]
    bounded = [w for w in others if w not in fixed and _constant_channels(result.fact(near.end(w, result)))]
    kinds = (
        (empty, "empty filters in"),
        (fixed, "constant outputs of"),
        (bounded, "one value is possible behind"),
    )
    found = [f"{how} {_named(who)}" for who, how in kinds if who]
    return "; ".join(found) or "no layer wrote them (the network's input, constants)"


def _causes(result: Propagation, layer: Layer, near: _Neighbours) -> tuple[str, ...]:
    """Why inputs and outputs of a layer are dead."""
    causes = []
    source = layer.call.args[0]
    if source in result.facts:
        fact = result.fact(source)
        constant = _constant_channels(fact)
        if constant:
            zero = _whole_channels(fact.zero, fact.shape[1])
            kinds = f"{zero} zero" if zero else "none zero"
            why = _origin(result, layer, near)
            causes.append(f"{constant} input channels are constants ({kinds}): {why}")
    unread = ~channel_need(result, layer.use.var)
    empty = ~layer.matrix().any(axis=1)
    if (unread & ~empty).any():
        readers = _named(near.readers(layer)) or "anything"
        causes.append(f"{int((unread & ~empty).sum())} output channels are not read by {readers}")
    if empty.any():
        causes.append(f"{int(empty.sum())} of its own filters are empty")
    return tuple(causes)


def _row(result: Propagation, layer: Layer, after: Layer | None, near: _Neighbours) -> TesaRow:
    weight, fact = layer.weight.values, result.facts.get(layer.call.args[0], [None])[0]
    dead = ~np.broadcast_to(layer.use.needed, weight.shape) | (weight == 0)
    macs, size = _work(layer)
    macs_after, size_after = _work(after) if after else (0, 0)
    input_bits, stored = 32, 32
    if fact is not None:
        lo, hi = float(fact.lo.min()), float(fact.hi.max())
        if layer.data is not None:
            lo, hi = (math.ldexp(v, -layer.data[0]) for v in (lo, hi))
            stored = 8
        stored = stored if layer.data is not None else storage_code(fact.dtype).bits
        input_bits = min(stored, narrowest_code(lo, hi).bits)
    bits = weight_code(result, layer.use).bits
    kind = "conv2d" if layer.is_conv else "dense"
    shape_after = _shape(after) if after else (0, 0, 0)
    return TesaRow(layer.name, kind, _shape(layer), shape_after, float((weight == 0).mean()), float(dead.mean()),
                   (storage_code(layer.weight.dtype).bits, bits), (stored, input_bits), macs, macs_after, size,
                   size_after, _causes(result, layer, near))  # fmt: skip


def report_of(elimination: Elimination) -> TesaReport:
    """The report of one function before and after elimination."""
    from tvm_aie.tesa.attached import attached_to

    result = propagate(elimination.original, attached_to(elimination.original))
    graph = Graph.of(result.func)
    layers = list(layers_of(result, graph))
    final = elimination.after
    after = {layer.name: layer for layer in layers_of(final, Graph.of(final.func))}
    after |= {str(layer.use.var.name): layer for layer in after.values()}
    near = _Neighbours(graph, layers)
    found = [_row(result, x, after.get(x.name) or after.get(str(x.use.var.name)), near) for x in layers]
    return TesaReport(tuple(found))


def explain_tesa(mod: Any, rows: int = 1) -> TesaReport:
    """Propagate and eliminate in a module, and report; the module is not changed."""
    from tvm import relax

    mod = relax.transform.ConvertToDataflow(min_size=1)(mod)
    reports = [report_of(eliminate_function(func, rows)) for _, func in relax_functions(mod)]
    return TesaReport(tuple(row for report in reports for row in report.rows))


__all__ = ["TesaReport", "TesaRow", "explain_tesa", "report_of"]
