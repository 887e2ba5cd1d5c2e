"""The parts of a program put together. Arrangements of its tasks (``emit.arrange``) differ in a few tables alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from tvm_aie.emit.commands import CommandBuilder, Contents, Table
from tvm_aie.emit.overlay import LOAD_GO, OverlayParts
from tvm_aie.emit.program import BD_FIELDS, Bd, LockUse, Program, ProgramIO, Tables, bd_row


@dataclass(frozen=True)
class Assembly:
    """What is in a program beside its tasks.

    ``go``: locks that are set from the start, beside the overlay's; ``offsets``: in ``const``, and bytes, of what
    descriptors name by placeholders; ``opcode_base``, ``opcode_words``: the regions of the memtiles that opcodes are
    loaded into.
    """

    device_keys: dict[str, float]
    parts: OverlayParts
    go: tuple[LockUse, ...]
    const: bytes
    offsets: Mapping[int, tuple[int, int]]
    opcode_base: int
    opcode_words: Mapping[int, int]  # by memtile
    ddr_sizes: tuple[int, int, int, int]
    io: tuple[ProgramIO, ...]
    # Of contents of descriptors, by their numbers, the fields behind tile and number; arrangements share contents.
    _known: list[Table] = field(default_factory=list)

    def program(self, commands: CommandBuilder, meta: dict[str, object]) -> Program:
        """The program with this command stream."""
        written = [self._placed(bd) for bd in commands.bds]
        rows = {bd: row for row, bd in enumerate(written)}
        assert len(rows) == len(written)  # so they keep the numbers by which the commands know them
        loaded = (*map(self._placed, commands.static_bds), *self.parts.bds)
        static = tuple(rows.setdefault(bd, len(rows)) for bd in loaded)
        tasks = (*self.parts.tasks, *commands.static_tasks)
        empty = replace(self._empty, meta=json.dumps(meta))
        return replace(empty, bds=tuple(rows), static_bds=static, static_tasks=tasks, commands=tuple(commands.commands))

    def serialised(self, commands: CommandBuilder) -> bytes:
        """``program(commands, {}).to_bytes()``, without the program: most streams are only timed."""
        found = commands.scheduled
        rows = {tuple(row): number for number, row in enumerate(found.rows.tolist())}
        static = [rows.setdefault(tuple(row), len(rows)) for row in found.static_rows.tolist()]
        static += range(len(rows), len(rows) + len(self._overlay))  # of the overlay's none is written
        own = np.array(list(rows), np.int64).reshape(-1, 4)
        fields = self._fields(commands.contents)[own[:, 2]]
        table = np.concatenate([np.concatenate([own[:, :2], fields, own[:, 3:]], axis=1), self._overlay])
        tasks = [(t.tile, t.dir, t.ch, t.bd, t.repeat, t.item) for t in self.parts.tasks]
        tasks += found.static_tasks.tolist()
        tables = Tables(
            table[:, :BD_FIELDS].astype("<i8").tobytes(),
            table[:, [-1, -2]].astype("<i8").tobytes(),
            np.array(static, "<i8").tobytes(),
            np.array(tasks, "<i8").tobytes(),
            found.commands.astype("<i8").tobytes(),
        )
        return self._empty.to_bytes(tables)

    @cached_property
    def _empty(self) -> Program:
        """The program without any task."""
        parts, locks = self.parts, (*self.parts.locks, *self.go)
        head = self.device_keys, parts.tiles, locks, parts.flows, parts.cores
        return Program(*head, (), (), (), (), self.ddr_sizes, self.const, self.io, json.dumps({}))

    @cached_property
    def _overlay(self) -> Table:
        return _serialised(self.parts.bds)

    def _fields(self, contents: Contents) -> Table:
        """Of all contents, in order of their numbers, without what a number and a successor say."""
        known = sum(map(len, self._known))
        if known < len(contents.fields):
            bds = [self._placed(contents.bd((0, 0, n, -1))) for n in range(known, len(contents.fields))]
            self._known[:] = [np.concatenate([*self._known, _serialised(bds)[:, 2:-1]])]
        return self._known[0]

    def _placed(self, bd: Bd) -> Bd:
        """With its place in ``const``, if it loads from there, and its size."""
        if bd.base in self.offsets:
            offset, size = self.offsets[bd.base]
            return replace(bd, base=offset, dims=((size // 4, 1),))
        if bd.base == self.opcode_base and bd.acquire and bd.acquire.lock == LOAD_GO:
            return replace(bd, dims=((self.opcode_words[bd.mem], 1),))
        return bd


def _serialised(bds: Sequence[Bd]) -> Table:
    """Fields of descriptors in their serialised form; whether they load opcodes or weights; their successors."""
    rows = [(*bd_row(bd), int(bd.control), bd.next_bd) for bd in bds]
    return np.array(rows, np.int64).reshape(-1, BD_FIELDS + 2)
