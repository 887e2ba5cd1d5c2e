"""``verify(program, device)``: every hardware limit as a rule (reference: docs/program.md, the device file).

A rule is a generator of violations; its docstring is the limit. ``RULES`` is the table; each has an accepting and a
rejecting test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from tvm_aie.device import BdLimits, Device
from tvm_aie.emit.opcodes import OP_MAGIC
from tvm_aie.emit.overlay import NBR_E, NBR_W, O_DONE, O_DONE_ODD
from tvm_aie.emit.program import Arg, Bd, Dir, Program, Push, SetLock, Task, TileKind, Wait, WriteBd
from tvm_aie.emit.verify_division import division_faults
from tvm_aie.emit.verify_kept import kept_faults
from tvm_aie.errors import ProgramError
from tvm_aie.schedule.geometry import KernelId


@dataclass(frozen=True)
class Context:
    """A program, its device, and how each descriptor row is used."""

    program: Program
    device: Device
    kinds: tuple[TileKind, ...]
    directions: dict[Bd, set[tuple[Dir, int]]]  # channels that run a descriptor

    def limits(self, tile: int) -> BdLimits:
        """Descriptor fields of the tile's kind."""
        kind = self.kinds[tile]
        return {
            TileKind.CORE: self.device.core_bd,
            TileKind.MEMTILE: self.device.memtile_bd,
            TileKind.SHIM: self.device.shim_bd,
        }[kind]

    def tasks(self) -> Iterator[Task]:
        """Static and pushed tasks."""
        yield from self.program.static_tasks
        for command in self.program.commands:
            if isinstance(command, Push):
                yield command.task


def armed_tasks(program: Program) -> list[Task]:
    """The finite tasks with which a program is loaded, those of its first inference."""
    return [task for task in program.static_tasks if task.repeat]


def executed(program: Program, armed: bool = True) -> Iterator[tuple[Task, list[Bd]]]:
    """The tasks a program is loaded with (the finite ones if ``armed``) and the pushed ones, each with its chain as
    written when it is pushed, up to what has not been written."""
    content = _loaded(program)
    for task in program.static_tasks:
        if armed or not task.repeat:
            yield task, _chain(content, task)
    for command in program.commands:
        if isinstance(command, WriteBd):
            bd = program.bds[command.index]
            content[(bd.tile, bd.bd_id)] = bd
        elif isinstance(command, Push):
            yield command.task, _chain(content, command.task)


def _loaded(program: Program) -> dict[tuple[int, int], Bd]:
    """The descriptors with which a program is loaded, by tile and number."""
    return {(bd.tile, bd.bd_id): bd for bd in (program.bds[row] for row in program.static_bds)}


def _chain(content: Mapping[tuple[int, int], Bd], task: Task) -> list[Bd]:
    """The descriptors of a task, each once, up to what has not been written."""
    found: dict[int, Bd] = {}
    number = task.bd
    while number >= 0 and number not in found and (bd := content.get((task.tile, number))):
        found[number] = bd
        number = bd.next_bd
    return list(found.values())


Rule = Callable[[Context], Iterator[str]]


def _name(ctx: Context, bd: Bd) -> str:
    tile = ctx.program.tiles[bd.tile]
    return f"{ctx.kinds[bd.tile].name.lower()}({tile.col},{tile.row}) BD {bd.bd_id}"


def bd_number(ctx: Context) -> Iterator[str]:
    """Descriptor numbers lie below the tile's count (core 16, memtile 48, shim 16)."""
    for bd in ctx.program.bds:
        count = ctx.program.tiles[bd.tile].n_bds
        if not 0 <= bd.bd_id < count:
            yield f"{_name(ctx, bd)}: the tile has {count} descriptors"


def bd_parity(ctx: Context) -> Iterator[str]:
    """Memtile channels reach half of the descriptors: even ones 0-23, odd ones 24-47."""
    if not ctx.device.memtile_bd_parity:
        return
    for bd, users in ctx.directions.items():
        if ctx.kinds[bd.tile] != TileKind.MEMTILE:
            continue
        half = ctx.program.tiles[bd.tile].n_bds // 2
        for direction, ch in users:
            if (bd.bd_id >= half) != bool(ch % 2):
                yield f"{_name(ctx, bd)}: out of reach of {direction.name} channel {ch}"


def bd_length(ctx: Context) -> Iterator[str]:
    """A transfer's length fits its field (core 14, memtile 17, shim 32 bits of words) and is at least one word."""
    for bd in ctx.program.bds:
        limit = ctx.limits(bd.tile).length_max_words
        if not 1 <= bd.length <= limit:
            yield f"{_name(ctx, bd)}: {bd.length} words, limit {limit}"


def bd_dims(ctx: Context) -> Iterator[str]:
    """At most 3 dimensions (memtile 4); wraps and strides fit their fields; strides are at least 1."""
    for bd in ctx.program.bds:
        lim = ctx.limits(bd.tile)
        if len(bd.dims) > lim.dims:
            yield f"{_name(ctx, bd)}: {len(bd.dims)} dimensions, limit {lim.dims}"
        if len(bd.dims) == 1 and bd.dims[0][1] == 1:
            continue  # linear: the length field alone
        for i, (size, stride) in enumerate(reversed(bd.dims)):
            outermost = i == len(bd.dims) - 1
            if not outermost and size > lim.wrap_max(i):
                yield f"{_name(ctx, bd)}: wrap {size} of dimension {i}, limit {lim.wrap_max(i)}"
            if not 1 <= stride <= lim.step_max_words:
                yield f"{_name(ctx, bd)}: stride {stride} words of dimension {i}, limit 1..{lim.step_max_words}"


def bd_iteration(ctx: Context) -> Iterator[str]:
    """Iteration wraps at most 64 times (6 bits); its step fits the field."""
    for bd in ctx.program.bds:
        lim = ctx.limits(bd.tile)
        if not 1 <= bd.iter_wrap <= ctx.device.iteration_wrap_max:
            yield f"{_name(ctx, bd)}: iteration wrap {bd.iter_wrap}, limit {ctx.device.iteration_wrap_max}"
        if bd.iter_wrap > 1 and not 1 <= bd.iter_step <= lim.iteration_step_max_words:
            yield f"{_name(ctx, bd)}: iteration step {bd.iter_step} words, limit {lim.iteration_step_max_words}"


def bd_padding(ctx: Context) -> Iterator[str]:
    """Zero padding only on memtile MM2S, within the field widths, in whole words."""
    for bd in ctx.program.bds:
        if not any(b or a for b, a in bd.pads):
            continue
        used = {d for d, _ in ctx.directions.get(bd, set())}
        if ctx.kinds[bd.tile] != TileKind.MEMTILE or Dir.S2MM in used:
            yield f"{_name(ctx, bd)}: zero padding outside memtile MM2S"
        for i, (before, after) in enumerate(reversed(bd.pads)):
            limit = ctx.limits(bd.tile).pad_max(i)
            if max(before, after) > limit:
                yield f"{_name(ctx, bd)}: padding {before}/{after} of dimension {i}, limit {limit}"


def bd_inside_memory(ctx: Context) -> Iterator[str]:
    """Every address of a descriptor, iteration included, lies inside its memory; bases are word aligned."""
    for bd in ctx.program.bds:
        if ctx.kinds[bd.tile] == TileKind.SHIM:
            size = ctx.program.ddr_sizes[bd.mem]
        else:
            size = ctx.program.tiles[bd.mem].mem_bytes
        last = sum((n - 1) * stride for n, stride in bd.dims) + (bd.iter_wrap - 1) * bd.iter_step
        end = bd.base + 4 * (last + 1)
        if bd.base % 4 or bd.base < 0 or end > size:
            yield f"{_name(ctx, bd)}: bytes {bd.base}..{end} of a memory of {size}"


def bd_neighbour(ctx: Context) -> Iterator[str]:
    """A memtile reaches its own memory and, on channels 0-3, that of its east and west neighbours."""
    reach = ctx.device.memtile_neighbour_channels
    for bd in ctx.program.bds:
        kind = ctx.kinds[bd.tile]
        if kind == TileKind.SHIM or bd.mem == bd.tile:
            continue
        here, there = ctx.program.tiles[bd.tile], ctx.program.tiles[bd.mem]
        if kind != TileKind.MEMTILE or there.kind != TileKind.MEMTILE or abs(here.col - there.col) != 1:
            yield f"{_name(ctx, bd)}: cannot reach tile ({there.col},{there.row})"
        for _, ch in ctx.directions.get(bd, set()):
            if ch >= reach:
                yield f"{_name(ctx, bd)}: channel {ch} cannot reach a neighbour's memory, limit {reach - 1}"


def lock_range(ctx: Context) -> Iterator[str]:
    """Lock numbers below the tile's count, values 0..63; memtiles also reach their neighbours' locks."""
    top = ctx.device.lock_max
    uses = [(u, None) for u in ctx.program.lock_init]
    uses += [(c.use, None) for c in ctx.program.commands if isinstance(c, SetLock)]
    uses += [(u, bd.tile) for bd in ctx.program.bds for u in (bd.acquire, bd.release) if u]  # type: ignore[misc]
    for use, user in uses:
        tile = ctx.program.tiles[use.tile]
        if not 0 <= use.lock < tile.n_locks:
            yield f"tile ({tile.col},{tile.row}): lock {use.lock}, the tile has {tile.n_locks}"
        if not 0 <= use.value <= top:
            yield f"tile ({tile.col},{tile.row}) lock {use.lock}: value {use.value}, limit {top}"
        if user is not None and use.tile != user:
            own = ctx.program.tiles[user]
            if own.kind != TileKind.MEMTILE or tile.kind != TileKind.MEMTILE or abs(own.col - tile.col) != 1:
                yield f"tile {user}: cannot reach lock {use.lock} of tile ({tile.col},{tile.row})"


def channels(ctx: Context) -> Iterator[str]:
    """Channels exist on the tile, each belongs to at most one flow, and tasks run on channels with a flow."""
    dev = ctx.device
    count = {
        (TileKind.SHIM, Dir.MM2S): dev.shim_mm2s_channels,
        (TileKind.SHIM, Dir.S2MM): dev.shim_s2mm_channels,
        (TileKind.MEMTILE, Dir.MM2S): dev.memtile_mm2s_channels,
        (TileKind.MEMTILE, Dir.S2MM): dev.memtile_s2mm_channels,
        (TileKind.CORE, Dir.MM2S): dev.core_mm2s_channels,
        (TileKind.CORE, Dir.S2MM): dev.core_s2mm_channels,
    }
    ends = [(f.src[0], Dir.MM2S, f.src[1]) for f in ctx.program.flows]
    ends += [(t, Dir.S2MM, ch) for f in ctx.program.flows for t, ch in f.dsts]
    for (tile, direction, ch), times in Counter(ends).items():
        if times > 1:
            yield f"tile {tile} {direction.name} {ch}: end of {times} flows"
        limit = count[(ctx.kinds[tile], direction)]
        if not 0 <= ch < limit:
            yield f"tile {tile}: {direction.name} channel {ch}, the tile has {limit}"
    known = set(ends)
    for task in ctx.tasks():
        if (task.tile, task.dir, task.ch) not in known:
            yield f"tile {task.tile} {task.dir.name} {task.ch}: a task on a channel without a flow"


def repeat_count(ctx: Context) -> Iterator[str]:
    """A task repeats 1..256 times."""
    pushed = [command.task for command in ctx.program.commands if isinstance(command, Push)]
    for task in (*armed_tasks(ctx.program), *pushed):
        if not 1 <= task.repeat <= ctx.device.repeat_max:
            yield f"tile {task.tile}: repeat {task.repeat}, limit {ctx.device.repeat_max}"


def queue_depth(ctx: Context) -> Iterator[str]:
    """No channel ever has more tasks pushed and not waited for than its queue holds."""
    pushed = Counter((task.tile, task.dir, task.ch) for task in armed_tasks(ctx.program))
    waited: Counter[tuple[int, Dir, int]] = Counter()
    for command in ctx.program.commands:
        if isinstance(command, Push):
            key = (command.task.tile, command.task.dir, command.task.ch)
            pushed[key] += 1
            waiting = pushed[key] - waited[key]
            if waiting > ctx.device.queue_depth:
                yield f"tile {key[0]} {key[1].name} {key[2]}: {waiting} tasks, queue {ctx.device.queue_depth}"
        elif isinstance(command, Wait):
            key = (command.tile, command.dir, command.ch)
            waited[key] = max(waited[key], command.count)
            if command.count > pushed[key]:
                yield f"tile {key[0]} {key[1].name} {key[2]}: waits for task {command.count} of {pushed[key]}"


def written_before_use(ctx: Context) -> Iterator[str]:
    """A pushed chain consists of descriptors that have been written, and is never overwritten while it may run."""
    content = _loaded(ctx.program)
    busy: dict[tuple[int, int], tuple[tuple[int, Dir, int], int]] = {}
    rings = [_chain(content, task) for task in ctx.program.static_tasks if not task.repeat]
    endless = {(bd.tile, bd.bd_id) for chain in rings for bd in chain}
    pushed: Counter[tuple[int, Dir, int]] = Counter()
    waited: Counter[tuple[int, Dir, int]] = Counter()
    for command in (*(Push(task, task.item) for task in armed_tasks(ctx.program)), *ctx.program.commands):
        if isinstance(command, WriteBd):
            bd = ctx.program.bds[command.index]
            owner = busy.get((bd.tile, bd.bd_id))
            if (bd.tile, bd.bd_id) in endless:
                yield f"{_name(ctx, bd)}: overwritten, and an endless task uses it"
            if owner and waited[owner[0]] < owner[1]:
                yield f"{_name(ctx, bd)}: overwritten while task {owner[1]} of {owner[0]} may use it"
            content[(bd.tile, bd.bd_id)] = bd
        elif isinstance(command, Push):
            task = command.task
            key = (task.tile, task.dir, task.ch)
            pushed[key] += 1
            number, seen = task.bd, set()
            while number >= 0 and number not in seen:
                seen.add(number)
                found = content.get((task.tile, number))
                if found is None:
                    yield f"tile {task.tile}: task uses BD {number}, which was never written"
                    break
                busy[(task.tile, number)] = (key, pushed[key])
                number = found.next_bd
        elif isinstance(command, Wait):
            key = (command.tile, command.dir, command.ch)
            waited[key] = max(waited[key], command.count)


def armed_again(ctx: Context) -> Iterator[str]:
    """A channel that is loaded with a finite task has one, of one descriptor, and its last task ends with that."""
    loaded = _loaded(ctx.program)
    written = (ctx.program.bds[c.index] for c in ctx.program.commands if isinstance(c, WriteBd))
    content = loaded | {(bd.tile, bd.bd_id): bd for bd in written}
    # Last descriptor and repeat of the last task of each channel.
    last = ((task, chain[-1].bd_id) for task, chain in executed(ctx.program, armed=False) if chain)
    ends = {(task.tile, task.dir, task.ch): (number, task.repeat) for task, number in last}
    for task in armed_tasks(ctx.program):
        key = (task.tile, task.dir, task.ch)
        if task.repeat != 1 or loaded[(task.tile, task.bd)].next_bd >= 0 or ends.get(key) != (task.bd, 1):
            yield f"tile {key[0]} {key[1].name} {key[2]}: does not end with the descriptor that it begins with"
    for (tile, number), bd in loaded.items():
        if content[(tile, number)] != bd:
            yield f"{_name(ctx, bd)}: ends with another content than it begins with"


def loaded_shims(ctx: Context) -> Iterator[str]:
    """Tasks with which shims are loaded read the constants: they move data when no inference is under way."""
    content = _loaded(ctx.program)
    for task in ctx.program.static_tasks:
        if ctx.kinds[task.tile] == TileKind.SHIM:
            for bd in _chain(content, task):
                if task.dir != Dir.MM2S or bd.mem != Arg.CONST:
                    yield f"{_name(ctx, bd)}: argument {bd.mem}, which belongs to an inference"


def core_memory(ctx: Context) -> Iterator[str]:
    """A core's areas (reserved, OPS, HDR, ACC, rings) do not overlap and lie inside its memory."""
    for core in ctx.program.cores:
        areas = {
            "reserved": (0, ctx.device.core_reserved_bytes),
            "OPS": (core.ops_base, core.ops_bytes),
            "HDR": (core.hdr_base, core.hdr_bytes),
            "ACC": (core.acc_base, core.acc_bytes),
            "A": (core.a_base, core.a_slot * core.a_slots),
            "W": (core.w_base, core.w_slot * core.w_slots),
            "O": (core.o_base, core.o_slot * core.o_slots),
        }
        size = ctx.program.tiles[core.tile].mem_bytes
        for (a, (ab, an)), (b, (bb, bn)) in combinations(areas.items(), 2):
            if ab < bb + bn and bb < ab + an:
                yield f"core tile {core.tile}: {a} and {b} overlap"
        for name, (base, length) in areas.items():
            if base < 0 or base + length > size:
                yield f"core tile {core.tile}: {name} ends at {base + length}, memory {size}"


def core_divisions(ctx: Context) -> Iterator[str]:
    """Divisions of core memory lie inside it without overlap, rings have at most 63 slots, descriptors agree."""
    yield from division_faults(ctx.program, ctx.device)


def kept_inputs(ctx: Context) -> Iterator[str]:
    """Inputs that lie in ACC while an item runs fit there."""
    yield from kept_faults(ctx.program)


def outputs_awaited(ctx: Context) -> Iterator[str]:
    """Barriers acquire as often as outputs, and neighbours, release: nothing is left at the end, and nothing lacks."""
    locks = (O_DONE, O_DONE_ODD, NBR_W, NBR_E)
    counts: Counter[tuple[int, int]] = Counter()
    # What a channel is armed with at the end stands for what it was loaded with.
    for task, chain in executed(ctx.program, armed=False):
        for bd in chain:
            for use, sign in ((bd.release, 1), (bd.acquire, -1)):
                if use and use.lock in locks and ctx.kinds[use.tile] == TileKind.MEMTILE:
                    counts[use.tile, use.lock] += sign * use.value * max(task.repeat, 1)  # endless: once an inference
    for (number, lock), left in sorted(counts.items()):
        if left:
            tile = ctx.program.tiles[number]
            more = "more often released than acquired" if left > 0 else "more often acquired than released"
            yield f"memtile({tile.col},{tile.row}) lock {lock}: {abs(left)} times {more}"


def program_memory(ctx: Context) -> Iterator[str]:
    """The kernels that the network uses fit the budget of program memory (16 KB, 12 KB until compiled)."""
    names = used_parts(ctx.program)
    total = ctx.device.instructions.total(names)
    if total > ctx.device.program_budget_bytes:
        yield f"superkernel with {', '.join(sorted(names))}: {total} bytes, budget {ctx.device.program_budget_bytes}"


def used_kernels(program: Program) -> frozenset[KernelId]:
    """Kernels named by the META section's items; the second stage of a fused convolution is the loop of ADD."""
    import json

    items = json.loads(program.meta).get("items", [])
    fused = {KernelId.ADD for item in items if "tail" in item}
    return frozenset(KernelId[item["op"].upper()] for item in items) | fused


def used_parts(program: Program) -> frozenset[str]:
    """Parts of the superkernel that the program needs, as ``[instructions]`` of the device file names them."""
    import json

    items = json.loads(program.meta).get("items", [])
    variants = (name for item in items for name in item.get("variants", ()))
    return frozenset((*(k.name.lower() for k in used_kernels(program)), *variants))


def opcode_magic(ctx: Context) -> Iterator[str]:
    """The constant blob begins with an opcode message, which fillers read as initialised memory."""
    if ctx.program.const[:4] != OP_MAGIC.to_bytes(4, "little"):
        yield "constant blob does not begin with an opcode message"


RULES: tuple[Rule, ...] = (
    bd_number,
    bd_parity,
    bd_length,
    bd_dims,
    bd_iteration,
    bd_padding,
    bd_inside_memory,
    bd_neighbour,
    lock_range,
    channels,
    repeat_count,
    queue_depth,
    written_before_use,
    armed_again,
    loaded_shims,
    core_memory,
    core_divisions,
    kept_inputs,
    outputs_awaited,
    program_memory,
    opcode_magic,
)


def context(program: Program, device: Device) -> Context:
    """Work out which channels run which descriptors, following the command stream."""
    directions: dict[Bd, set[tuple[Dir, int]]] = {}
    for task, chain in executed(program):
        for bd in chain:
            directions.setdefault(bd, set()).add((task.dir, task.ch))
    return Context(program, device, tuple(t.kind for t in program.tiles), directions)


def verify(program: Program, device: Device) -> None:
    """Raise ``ProgramError`` naming the first violations of each rule."""
    ctx = context(program, device)
    found = []
    for rule in RULES:
        for i, violation in enumerate(rule(ctx)):
            if i == 3:
                found.append(f"{rule.__name__}: ...")
                break
            found.append(f"{rule.__name__}: {violation}")
    if found:
        raise ProgramError("program violates limits of " + device.name + ":\n  " + "\n  ".join(found))
