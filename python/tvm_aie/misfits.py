"""A network that does not fit as it is planned first: easier decisions under which it does, or the layers to blame.

Asked only when planning has failed, so that it costs nothing where a network fits. The judge is the planner itself, on
one layer at a time: there is no second list of limits that could differ from what the schedule can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tvm_aie.decisions import UNTUNED, Decisions
from tvm_aie.errors import InfeasibleError
from tvm_aie.plan.fuse import fuse
from tvm_aie.plan.graph import Conv, GraphIO, Layer, LayerGraph, Tensor
from tvm_aie.schedule.geometry import Overlay

# Raises ``InfeasibleError`` unless there is a plan of the graph.
Attempt = Callable[[LayerGraph, Decisions], None]


def alone(graph: LayerGraph, layer: Layer) -> LayerGraph:
    """The network of one layer."""
    names = list(dict.fromkeys(layer.inputs))
    tensors = {name: graph.tensors[name] for name in (*names, layer.output)}
    inputs = tuple(_io(tensors[name]) for name in names)
    return LayerGraph(layer.name, tensors, (layer,), inputs, (_io(tensors[layer.output]),))


def _io(t: Tensor) -> GraphIO:
    return GraphIO(t.name, (1, t.channels, t.height, t.width), f"int{t.bits}")


def misfits(graph: LayerGraph, attempt: Attempt, options: Sequence[Decisions]) -> dict[str, InfeasibleError]:
    """The layers of which there is no plan even alone, under any of the ``options``, each with its first error."""
    out: dict[str, InfeasibleError] = {}
    known: dict[tuple[object, ...], InfeasibleError | None] = {}
    for layer in graph.layers:
        kind = kind_of(graph, layer)
        if kind not in known:
            known[kind] = _failure(alone(graph, layer), attempt, options)
        if (error := known[kind]) is not None:
            out[layer.name] = error
    return out


def kind_of(graph: LayerGraph, layer: Layer) -> tuple[object, ...]:
    """Equal for layers that fit or do not fit alike: of equal shapes, windows and live weights."""
    tensors = [graph.tensors[name] for name in (*layer.inputs, layer.output)]
    shapes = [(t.channels, t.height, t.width, t.bits) for t in tensors]
    names = ("kernel", "stride", "pads", "dilation", "groups", "factors", "divisors")
    window = [getattr(layer, name, None) for name in names]
    weight = (layer.weight.shape, int((layer.weight != 0).sum())) if isinstance(layer, Conv) else ()
    return *shapes, type(layer), *window, *weight


def _failure(graph: LayerGraph, attempt: Attempt, options: Sequence[Decisions]) -> InfeasibleError | None:
    """The first error, unless there is a plan under one of the options.

    What does not fit a memtile does so under no division of core memory.
    """
    first: InfeasibleError | None = None
    for decisions in options:
        try:
            attempt(graph, decisions)
        except InfeasibleError as error:
            first = first or error
            if "core" not in error.unit:
                break
        else:
            return None
    return first


def plain(decisions: Decisions) -> Decisions:
    """Each layer by itself: what changes layers, or makes one of several, is left out."""
    moves = replace(decisions.moves, tails=False, unite=False, space_to_depth=False, pitch=False)
    return replace(decisions, moves=moves)


def single(decisions: Decisions) -> Decisions:
    """For a network of one layer: there is one plan."""
    made = plain(decisions)
    return replace(made, moves=replace(made.moves, pools=False, siblings=False, runs=False))


def easier(
    graph: LayerGraph, decisions: Decisions, attempt: Attempt, divisions: Sequence[Overlay], error: InfeasibleError
) -> Decisions:
    """Decisions under which there is a plan, as near as possible to those under which there was none (``error``).

    ``divisions``: of core memory, other than the default. Adds leave convolutions that have no room for a residual
    first: such a convolution takes all its input channels at once. Then all layers are planned one by one, with the
    default division of core memory or, where a layer needs that, with another. Raises ``InfeasibleError`` with the
    layers that are too large even alone, if there are any, else ``error``.
    """
    overlays = [None, *divisions]
    options = [replace(single(decisions), overlay=overlay) for overlay in overlays]
    if found := misfits(graph, attempt, options):
        raise InfeasibleError.of(found) from error
    for other in _options(graph, decisions, attempt, overlays):
        if _failure(graph, attempt, [other]) is None:
            return other
    # Each fits alone, but under different divisions.
    if found := misfits(graph, attempt, options[:1]):
        raise InfeasibleError.of(found) from error
    raise error


def _options(
    graph: LayerGraph, decisions: Decisions, attempt: Attempt, overlays: Sequence[Overlay | None]
) -> Iterator[Decisions]:
    if decisions.moves.tails and (adds := cramped(graph, decisions, attempt)):
        yield replace(decisions, unfused=decisions.unfused | adds)
    yield from (replace(plain(decisions), overlay=overlay) for overlay in overlays)


def cramped(graph: LayerGraph, decisions: Decisions, attempt: Attempt) -> frozenset[str]:
    """Names of adds that have no room in the convolution that would make them."""
    fused = fuse(graph, decisions.unfused)
    tails = [n for n in fused.layers if isinstance(n, Conv) and n.tail is not None and n.tail.residual]
    # The graph of such a convolution has been fused already: nothing is left to fuse.
    option = single(UNTUNED)
    found = [n for n in tails if _failure(alone(fused, n), attempt, [option]) is not None]
    return frozenset(n.tail.name for n in found if n.tail is not None)
