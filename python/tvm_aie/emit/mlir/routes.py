"""Whether circuits and token packets of a design can be routed: negotiated congestion over the stream switches.

Capacities per hop (masters of a switch): core N 6, S 4, E 4, W 4; memtile N 6, S 4, and straight through only on the
same channel; shim N 6, S 6, E 4, W 4. Shim S2MM channels lie behind South ports 2 and 3.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

COLS, ROWS = 4, 6
Node = tuple[int, int, str, int]  # tile, the port by which a stream leaves its switch (or enters, at a source)
_STEP = {"N": (0, 1), "S": (0, -1), "E": (1, 0), "W": (-1, 0)}
_OPPOSITE = {"N": "S", "S": "N", "E": "W", "W": "E"}
_SHIM_OUT = {0: 2, 1: 3}
ITERATIONS = 60


@dataclass(frozen=True)
class Net:
    """A stream: packets of one group may share hops, circuits share nothing."""

    source: tuple[int, int, str, int]  # col, row, bundle (DMA or Control), channel
    dests: tuple[tuple[int, int, str, int], ...]
    group: int = -1  # packet group


def masters(row: int, direction: str) -> int:
    """Ports of a switch in one direction."""
    if row == 1:
        return {"N": 6, "S": 4}.get(direction, 0)
    if row == 0:
        return {"N": 6, "S": 6, "E": 4, "W": 4}[direction]
    return {"N": 6, "S": 4, "E": 4, "W": 4}[direction]


def unroutable(nets: list[Net]) -> list[str]:
    """Hops that stay over capacity after all iterations; empty when a routing was found."""
    history: dict[Node, float] = {}
    over: list[Node] = []
    for _ in range(ITERATIONS):
        users: dict[Node, set[int]] = {}
        for number, net in enumerate(nets):
            who = -2 - net.group if net.group >= 0 else number
            tree = _route(net, who, users, history)
            if tree is None:
                return [f"no path for the stream from tile ({net.source[0]},{net.source[1]})"]
            for node in tree:
                users.setdefault(node, set()).add(who)
        over = [node for node, by in users.items() if len(by) > 1]
        if not over:
            return []
        for node in over:
            history[node] = history.get(node, 0.0) + 1.0
    return [f"tile ({c},{r}) port {d} {ch}: more than one stream" for c, r, d, ch in sorted(over)]


def _route(net: Net, who: int, users: dict[Node, set[int]], history: dict[Node, float]) -> set[Node] | None:
    """Nodes of the tree to all destinations, found one after the other from what is there."""
    col, row, bundle, channel = net.source
    start: Node = (col, row, f"from {bundle}", channel)
    tree: set[Node] = set()
    for dest in net.dests:
        path = _path(start, tree, dest, who, users, history)
        if path is None:
            return None
        tree |= path
    return tree


def _path(
    start: Node,
    tree: set[Node],
    dest: tuple[int, int, str, int],
    who: int,
    users: dict[Node, set[int]],
    history: dict[Node, float],
) -> set[Node] | None:
    best: dict[Node, float] = {start: 0.0, **{n: 0.0 for n in tree}}
    previous: dict[Node, Node] = {}
    heap = [(0.0, n) for n in best]
    heapq.heapify(heap)
    while heap:
        cost, node = heapq.heappop(heap)
        if cost > best[node]:
            continue
        if node[2].startswith("to "):
            if node == _end(dest):
                path = set()
                while node not in tree and node != start:
                    path.add(node)
                    node = previous[node]
                return path
            continue
        for following in _hops(node, dest):
            crowd = len(users.get(following, set()) - {who})
            price = cost + 1.0 + history.get(following, 0.0) + 3.0 * crowd
            if price < best.get(following, float("inf")):
                best[following] = price
                previous[following] = node
                heapq.heappush(heap, (price, following))
    return None


def _end(dest: tuple[int, int, str, int]) -> Node:
    """A shim's DMA lies behind a South port."""
    col, row, bundle, channel = dest
    if row == 0:
        return col, 0, "to S", _SHIM_OUT[channel] if bundle == "DMA" else channel
    return col, row, f"to {bundle}", channel


def _hops(node: Node, dest: tuple[int, int, str, int]) -> list[Node]:
    """Ports reachable from the switch that ``node`` leads into."""
    col, row, port, channel = node
    entry = ""
    if port in _STEP:
        dc, dr = _STEP[port]
        col, row, entry = col + dc, row + dr, _OPPOSITE[port]
        if not (0 <= col < COLS and 0 <= row < ROWS):
            return []
    out: list[Node] = []
    if (col, row) == dest[:2]:
        out.append(_end(dest))
    for direction, (dc, dr) in _STEP.items():
        if not (0 <= col + dc < COLS and 0 <= row + dr < ROWS) or direction == entry:
            continue
        channels = range(masters(row, direction))
        if row == 1 and entry in ("N", "S"):
            channels = range(channel, channel + 1) if channel < masters(row, direction) else range(0)
        out += [(col, row, direction, c) for c in channels]
    return out
