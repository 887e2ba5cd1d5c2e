"""Every hardware limit of AIE2 on the text of a design; also what mlir-aie accepts silently although it is wrong.

``check(text)`` returns the violations, each starting with the rule's name. A rule is a generator over ``Checked``;
its docstring is the limit. Nothing here comes from the builder or from ``emit.verify``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tvm_aie.emit.mlir import routes
from tvm_aie.emit.mlir.check_text import (
    COLS,
    CORE,
    LIMITS,
    MEM,
    ROWS,
    SHIM,
    ControlWrite,
    Descriptor,
    Design,
    PushTask,
    TokenWait,
    kind_of,
    read,
)
from tvm_aie.errors import ProgramError

QUEUE_DEPTH, REPEAT_MAX, LOCK_MAX = 4, 256, 63
PAD_BITS = (6, 5, 4)
MEM_WORDS = 1 << 17
NEIGHBOUR_CHANNELS = 4
MIN_STACK = 1024
SHOWN = 3

ChannelId = tuple[int, int, str, int]


@dataclass
class Checked:
    """The facts, and what following the sequences adds: which channels run a descriptor, and rule breaks in time."""

    design: Design
    descriptors: list[Descriptor] = field(default_factory=list)
    pushes: list[PushTask] = field(default_factory=list)
    users: dict[int, set[tuple[str, int]]] = field(default_factory=dict)  # id of descriptor: (direction, channel)
    late: list[tuple[str, str]] = field(default_factory=list)  # (rule, message)


Rule = Callable[[Checked], Iterator[str]]


def check(text: str) -> list[str]:
    """All violations (at most a few per rule)."""
    design = read(text)
    checked = _follow(design)
    out = [f"text: {p}" for p in design.problems[:SHOWN]]
    for rule in RULES:
        for i, message in enumerate(rule(checked)):
            if i == SHOWN:
                out.append(f"{rule.__name__}: ...")
                break
            out.append(f"{rule.__name__}: {message}")
    return out


def verify_text(text: str) -> None:
    """Raise ``ProgramError`` with the violations."""
    found = check(text)
    if found:
        raise ProgramError("design violates limits of AIE2:\n  " + "\n  ".join(found))


class _Channel:
    """Tasks of a channel: pushed, known complete by tokens, tokens still to come."""

    def __init__(self) -> None:
        self.pushed = self.complete = 0
        self.tokens: list[int] = []
        self.chains: list[tuple[int, tuple[int, ...]]] = []


def _follow(design: Design) -> Checked:
    """Run through @configure and @infer in this order."""
    out = Checked(design)
    content: dict[tuple[int, int, int], Descriptor] = {}
    channels: dict[ChannelId, _Channel] = {}
    for name in ("configure", "infer"):
        for event in design.sequences.get(name, []):
            if isinstance(event, Descriptor):
                _written(out, content, channels, event)
            elif isinstance(event, PushTask):
                _pushed(out, content, channels, event)
            elif isinstance(event, TokenWait):
                key = (event.col, event.row, event.direction, event.channel)
                channel = channels.setdefault(key, _Channel())
                if channel.tokens:
                    channel.complete = channel.tokens.pop(0)
                else:
                    out.late.append(("tokens", f"line {event.line}: waits for a token that no task of {key} issues"))
    return out


def _written(
    out: Checked,
    content: dict[tuple[int, int, int], Descriptor],
    channels: dict[ChannelId, _Channel],
    bd: Descriptor,
) -> None:
    out.descriptors.append(bd)
    content[(bd.col, bd.row, bd.number)] = bd
    for key, channel in channels.items():
        if key[:2] != (bd.col, bd.row):
            continue
        channel.chains = [c for c in channel.chains if c[0] > channel.complete]
        if any(bd.number in ids for _, ids in channel.chains):
            out.late.append(("overwritten_in_use", f"{bd.where}: a task of {key} may still use it"))


def _pushed(
    out: Checked,
    content: dict[tuple[int, int, int], Descriptor],
    channels: dict[ChannelId, _Channel],
    task: PushTask,
) -> None:
    out.pushes.append(task)
    key = (task.col, task.row, task.direction, task.channel)
    channel = channels.setdefault(key, _Channel())
    channel.pushed += 1
    if task.token:
        channel.tokens.append(channel.pushed)
    if channel.pushed - channel.complete > QUEUE_DEPTH:
        n = channel.pushed - channel.complete
        out.late.append(("queue_depth", f"line {task.line}: {n} tasks on {key}, the queue holds {QUEUE_DEPTH}"))
    number, chain = task.bd, []
    while number >= 0 and number not in chain:
        chain.append(number)
        bd = content.get((task.col, task.row, number))
        if bd is None:
            message = f"line {task.line}: BD {number} of tile ({task.col},{task.row}) was never written"
            out.late.append(("written_before_use", message))
            break
        out.users.setdefault(id(bd), set()).add((task.direction, task.channel))
        number = bd.next
    channel.chains.append((channel.pushed, tuple(chain)))


# ------------------------------------------------------------------ rules: tiles, buffers, locks, flows


def tile_exists(c: Checked) -> Iterator[str]:
    """Tiles lie inside the array of 4 columns and 6 rows, each declared once."""
    for name, (col, row) in c.design.tiles.items():
        if not (0 <= col < COLS and 0 <= row < ROWS):
            yield f"%{name} ({col},{row}) of {COLS}x{ROWS}"
    for where, times in Counter(c.design.tiles.values()).items():
        if times > 1:
            yield f"tile {where} declared {times} times"


def buffer_in_memory(c: Checked) -> Iterator[str]:
    """Buffers are word aligned and lie inside their tile's memory (core 64 KB, memtile 512 KB)."""
    for line, name, tile, address, size in c.design.buffers:
        memory = LIMITS[kind_of(c.design.tiles[tile][1])].memory
        if address < 0 or address % 4 or address + size > memory:
            yield f"line {line}: %{name} at {address}..{address + size} of {memory} bytes"


def buffer_overlap(c: Checked) -> Iterator[str]:
    """Buffers of a tile overlap neither each other nor the core's stack, which begins at 0."""
    areas: dict[str, list[tuple[int, int, str]]] = {}
    for _, name, tile, address, size in c.design.buffers:
        areas.setdefault(tile, []).append((address, address + size, name))
    for _, tile, stack in c.design.cores:
        areas.setdefault(tile, []).append((0, stack, "stack"))
    for found in areas.values():
        for (_, end, a), (start, _, b) in pairwise(sorted(found)):
            if start < end:
                yield f"{a} and {b} overlap at {start}"


def stack_size(c: Checked) -> Iterator[str]:
    """A core has at least the default stack of 1024 bytes, a multiple of 32."""
    for line, tile, stack in c.design.cores:
        if stack < MIN_STACK or stack % 32:
            yield f"line {line}: %{tile} has {stack} bytes"


def program_memory(c: Checked) -> Iterator[str]:
    """The superkernel's estimate is stated and lies below 16 KB."""
    if c.design.program_memory is None:
        yield "not stated"
    elif c.design.program_memory[0] > 16384:
        yield f"{c.design.program_memory[0]} of 16384 bytes"


def lock_declared(c: Checked) -> Iterator[str]:
    """Lock numbers lie below the tile's count (core 16, memtile 64), initial values in 0..63, each declared once."""
    seen: Counter[tuple[str, int]] = Counter()
    for line, name, tile, number, init in c.design.locks:
        count = LIMITS[kind_of(c.design.tiles[tile][1])].locks
        seen[(tile, number)] += 1
        if not 0 <= number < count:
            yield f"line {line}: %{name} is lock {number} of {count}"
        if not 0 <= init <= LOCK_MAX:
            yield f"line {line}: %{name} starts at {init}"
        if seen[(tile, number)] == 2:
            yield f"line {line}: lock {number} of %{tile} declared twice"


def flow_ends(c: Checked) -> Iterator[str]:
    """Flow channels exist; a destination port has one flow; a source is a circuit only."""
    dests = Counter((dest, ch) for _, _, _, dest, ch in c.design.flows)
    for (dest, ch), times in dests.items():
        if times > 1:
            yield f"%{dest} DMA {ch}: destination of {times} flows"
    for line, source, out, dest, into in c.design.flows:
        for tile, ch, side in ((source, out, 1), (dest, into, 0)):
            if tile not in c.design.tiles:
                yield f"line {line}: %{tile} is not declared"
            elif not 0 <= ch < LIMITS[kind_of(c.design.tiles[tile][1])].channels[side]:
                yield f"line {line}: %{tile} has no {('S2MM', 'MM2S')[side]} channel {ch}"


def routes_exist(c: Checked) -> Iterator[str]:
    """All circuits and token packets can be routed through the stream switches together."""
    tiles = c.design.tiles
    circuits: dict[tuple[str, int], list[tuple[int, int, str, int]]] = {}
    for _, source, out, dest, into in c.design.flows:
        if source in tiles and dest in tiles:
            circuits.setdefault((source, out), []).append((*tiles[dest], "DMA", into))
    nets = [
        routes.Net((*tiles[shim_or_mem], "Control", 0), ((*tiles[shim], "DMA0", 0),), tiles[shim][0])
        for _, _, shim_or_mem, shim in c.design.token_routes
    ]
    nets += [routes.Net((*tiles[t], "DMA", ch), tuple(d)) for (t, ch), d in circuits.items()]
    yield from routes.unroutable(nets)


# ------------------------------------------------------------------ rules: descriptors


def bd_number(c: Checked) -> Iterator[str]:
    """Descriptor numbers lie below the tile's count: core and shim 16, memtile 48."""
    for bd in c.descriptors:
        count = LIMITS[kind_of(bd.row)].bds
        if not 0 <= bd.number < count or bd.next >= count:
            yield f"{bd.where} (next {bd.next}) of {count}"


def bd_parity(c: Checked) -> Iterator[str]:
    """Memtile channels reach half of the descriptors: even ones 0-23, odd ones 24-47."""
    for bd in c.descriptors:
        for direction, channel in c.users.get(id(bd), ()):
            if kind_of(bd.row) == MEM and (bd.number >= 24) != bool(channel % 2):
                yield f"{bd.where} is out of reach of {direction} {channel}"


def bd_fields(c: Checked) -> Iterator[str]:
    """Every field of a descriptor write fits its bits; mlir-aie masks what does not."""
    for bd in c.descriptors:
        lim = LIMITS[kind_of(bd.row)]
        widths = {"buffer_length": lim.length_bits, "iteration_size": 6, "iteration_stride": lim.step_bits}
        widths |= {f"d{i}_size": lim.wrap_bits for i in range(2)} | {f"d{i}_stride": lim.step_bits for i in range(3)}
        widths |= {f"d{i}_zero_{side}": PAD_BITS[i] for i in range(3) for side in ("before", "after")}
        for name, bits in widths.items():
            value = bd.raw.get(name, 0)
            if not 0 <= value < 1 << bits:
                yield f"{bd.where}: {name} = {value}, {bits} bits"


def bd_length(c: Checked) -> Iterator[str]:
    """The length is at least one word and a whole number of runs of the inner dimensions, padding included."""
    for bd in c.descriptors:
        inner = _inner(bd)
        if bd.length < 1 or bd.length % inner:
            yield f"{bd.where}: {bd.length} words in runs of {inner}"


def bd_dims(c: Checked) -> Iterator[str]:
    """At most 3 dimensions on cores and shims, 4 on memtiles; a dimension without wrap ends the list."""
    for bd in c.descriptors:
        kind = kind_of(bd.row)
        sizes = list(bd.sizes)
        if kind != MEM and bd.raw.get("d2_size"):
            yield f"{bd.where}: a wrap of dimension 2 on a {kind}"
        if any(a == 0 and b > 0 for a, b in pairwise(sizes)):
            yield f"{bd.where}: sizes {sizes}"
        if kind == MEM and bd.raw.get("d2_size") and bd.length // max(1, _inner(bd)) != bd.raw["d2_size"]:
            yield f"{bd.where}: the wrap of dimension 2 is lost in the lowering and is not the outermost"


def bd_padding(c: Checked) -> Iterator[str]:
    """Zero padding only on memtile MM2S channels, and only around dimensions with a wrap."""
    for bd in c.descriptors:
        if kind_of(bd.row) != MEM:
            if any(v for k, v in bd.raw.items() if "zero" in k):
                yield f"{bd.where}: padding outside a memtile"
            continue
        for size, pad in zip(bd.sizes, bd.pads, strict=True):
            if any(pad) and (not size or any(d == "S2MM" for d, _ in c.users.get(id(bd), ()))):
                yield f"{bd.where}: padding {pad} of a dimension of size {size}"


def bd_aligned(c: Checked) -> Iterator[str]:
    """Addresses are whole words: byte offsets of cores and arguments are multiples of 4."""
    for bd in c.descriptors:
        offset = bd.base if bd.row == 0 else bd.raw.get("buffer_offset", 0) if kind_of(bd.row) == CORE else 0
        if offset % 4:
            yield f"{bd.where}: byte offset {offset}"


def bd_inside(c: Checked) -> Iterator[str]:
    """Every address, iteration included, lies inside one buffer, or on a shim inside its argument."""
    buffers: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for _, _, tile, address, size in c.design.buffers:
        buffers.setdefault(c.design.tiles[tile], []).append((address, address + size))
    for bd in c.descriptors:
        where, base = (bd.col, bd.row), bd.base * 4
        if kind_of(bd.row) == SHIM:
            base = bd.base
            known = bd.arg is not None and 0 <= bd.arg < len(c.design.args)
            areas = [(0, c.design.args[bd.arg])] if known and bd.arg is not None else []
        else:
            if kind_of(bd.row) == MEM:
                side, word = divmod(bd.base, MEM_WORDS)
                where, base = (bd.col + side - 1, bd.row), word * 4
            areas = buffers.get(where, [])
        end = base + 4 * (_span(bd) + 1)
        if not any(a <= base and end <= b for a, b in areas):
            yield f"{bd.where}: bytes {base}..{end} of tile {where} lie in no buffer"


def bd_neighbour(c: Checked) -> Iterator[str]:
    """Only memtile channels 0-3 reach a neighbour memtile's memory and locks."""
    for bd in c.descriptors:
        if kind_of(bd.row) != MEM:
            continue
        sides = {bd.base // MEM_WORDS} | {use[0] // 64 for use in (bd.acquire, bd.release) if use}
        for side in sides - {1}:
            if not 0 <= bd.col + side - 1 < COLS:
                yield f"{bd.where}: no memtile on side {side}"
            for direction, channel in c.users.get(id(bd), ()):
                if channel >= NEIGHBOUR_CHANNELS:
                    yield f"{bd.where}: {direction} {channel} reaches its own memtile only"


def bd_locks(c: Checked) -> Iterator[str]:
    """A descriptor's locks are declared on the tile that its window names; amounts are 1..63, acquires are >=."""
    declared = {(c.design.tiles[t], n) for _, _, t, n, _ in c.design.locks}
    for bd in c.descriptors:
        for use in (bd.acquire, bd.release):
            if use is None:
                continue
            number, value = use
            tile = (bd.col, bd.row)
            if kind_of(bd.row) == MEM:
                side, number = divmod(number, 64)
                tile = (bd.col + side - 1, bd.row)
            if (tile, number) not in declared:
                yield f"{bd.where}: lock {number} of tile {tile} is not declared"
            if not 1 <= value <= LOCK_MAX:
                yield f"{bd.where}: lock {number} by {value}"


def _inner(bd: Descriptor) -> int:
    """Words of a run of all dimensions that have a wrap but are not the outermost, padding included."""
    total = 1
    for size, (before, after) in zip(bd.sizes, bd.pads, strict=True):
        if size == 0:
            break
        total *= size + before + after
    return total


def _span(bd: Descriptor) -> int:
    """Offset in words of the last word that one execution, or any iteration, touches."""
    span, rest = 0, bd.length
    for i in range(4):
        size = bd.sizes[i] if i < 3 else 0
        padded = size + sum(bd.pads[i]) if i < 3 and size else rest
        span += ((size or rest) - 1) * bd.strides[i]
        rest //= max(1, padded)
        if rest <= 1:
            break
    return span + ((bd.iterations - 1) * bd.iteration_step if bd.iterations > 1 else 0)


# ------------------------------------------------------------------ rules: tasks


def task_channel(c: Checked) -> Iterator[str]:
    """Tasks run on channels that exist and have a flow."""
    tiles = c.design.tiles
    ends = {(*tiles[s], "MM2S", ch) for _, s, ch, _, _ in c.design.flows if s in tiles}
    ends |= {(*tiles[d], "S2MM", ch) for _, _, _, d, ch in c.design.flows if d in tiles}
    for task in c.pushes:
        if (task.col, task.row, task.direction, task.channel) not in ends:
            yield f"line {task.line}: {task.direction} {task.channel} of ({task.col},{task.row}) has no flow"


def task_repeat(c: Checked) -> Iterator[str]:
    """A task runs 1 to 256 times."""
    for task in c.pushes:
        if not 1 <= task.repeat <= REPEAT_MAX:
            yield f"line {task.line}: {task.repeat} runs"


def task_first_bd(c: Checked) -> Iterator[str]:
    """``push_queue`` writes four bits of the first descriptor's number; more needs a register write."""
    for task in c.pushes:
        if task.by_queue_op and task.bd > 15:
            yield f"line {task.line}: push_queue of BD {task.bd} would start BD {task.bd & 15}"


def queue_depth(c: Checked) -> Iterator[str]:
    """A channel's queue holds 4 tasks, the running one included."""
    yield from (m for rule, m in c.late if rule == "queue_depth")


def written_before_use(c: Checked) -> Iterator[str]:
    """A pushed chain consists of descriptors that have been written."""
    yield from (m for rule, m in c.late if rule == "written_before_use")


def overwritten_in_use(c: Checked) -> Iterator[str]:
    """A descriptor is not written while a task that uses it may run."""
    yield from (m for rule, m in c.late if rule == "overwritten_in_use")


def tokens(c: Checked) -> Iterator[str]:
    """Waits find a token; issuing channels have the tile's packet id, and the tile a route for that packet."""
    yield from (m for rule, m in c.late if rule == "tokens")
    names = {where: name for name, where in c.design.tiles.items()}
    packets = {(source, packet) for _, packet, source, _ in c.design.token_routes}
    ids = {}
    for event in c.design.sequences.get("configure", []):
        if isinstance(event, ControlWrite) and event.mask & 0x1F00:
            ids[(event.col, event.row, event.address)] = event.value >> 8 & 0x1F
    for channel in {(t.col, t.row, t.direction, t.channel) for t in c.pushes if t.token}:
        col, row, direction, number = channel
        lim = LIMITS[kind_of(row)]
        address = lim.control_base + (lim.mm2s_offset if direction == "MM2S" else 0) + 8 * number
        packet = ids.get((col, row, address))
        if packet is None or (names.get((col, row)), packet) not in packets:
            yield f"{channel}: tokens have packet id {packet}, no route from the tile takes it to a shim"


def shim_argument(c: Checked) -> Iterator[str]:
    """A shim descriptor's address is patched with an argument."""
    for bd in c.descriptors:
        if bd.row == 0 and (bd.arg is None or not 0 <= bd.arg < len(c.design.args)):
            yield f"{bd.where}: argument {bd.arg} of {len(c.design.args)}"


RULES: tuple[Rule, ...] = (
    tile_exists,
    buffer_in_memory,
    buffer_overlap,
    stack_size,
    program_memory,
    lock_declared,
    flow_ends,
    routes_exist,
    bd_number,
    bd_parity,
    bd_fields,
    bd_length,
    bd_dims,
    bd_padding,
    bd_aligned,
    bd_inside,
    bd_neighbour,
    bd_locks,
    task_channel,
    task_repeat,
    task_first_bd,
    queue_depth,
    written_before_use,
    overwritten_in_use,
    tokens,
    shim_argument,
)
