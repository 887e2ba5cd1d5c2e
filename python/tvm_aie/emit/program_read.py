"""The inverse of ``Program.to_bytes`` (docs/program.md section 5)."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from tvm_aie.emit.program import (
    FIXED_POINT,
    HEADER,
    MAGIC,
    SECTION,
    VERSION,
    Bd,
    CoreMap,
    Dir,
    Flow,
    FlowClass,
    LockUse,
    Program,
    ProgramIO,
    Task,
    Tile,
    TileKind,
    command_of,
)
from tvm_aie.errors import ProgramError

Rows = list[list[int]]


def read_program(data: bytes) -> Program:
    """A program from its serialised form. Raises ``ProgramError`` for bytes that are none."""
    try:
        return _Reader(data).program()
    except (struct.error, ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ProgramError(f"not a serialised program: {error}") from error


class _Reader:
    def __init__(self, data: bytes) -> None:
        magic, version, count, total, checksum, _ = HEADER.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise ProgramError("not a serialised program, or one of another version")
        if total != len(data) or zlib.crc32(data[HEADER.size :]) != checksum:
            raise ProgramError("serialised program: wrong length or checksum")
        self.data = data
        self.sections: dict[int, tuple[int, int, int]] = {}
        for i in range(count):
            ident, elem, offset, n = SECTION.unpack_from(data, HEADER.size + SECTION.size * i)
            self.sections[ident] = (elem, offset, n)

    def _bytes(self, ident: int) -> bytes:
        elem, offset, n = self.sections[ident]
        return self.data[offset : offset + elem * n]

    def _rows(self, ident: int, cols: int) -> Rows:
        rows: Rows = np.frombuffer(self._bytes(ident), "<i8").reshape(-1, cols).tolist()
        return rows

    def program(self) -> Program:
        """All sections."""
        text = self._bytes(2).decode()
        values = [row[0] / FIXED_POINT for row in self._rows(3, 1)]
        links = self._rows(10, 2)
        sizes = [row[0] for row in self._rows(14, 1)]
        return Program(
            dict(zip(text.split("\n") if text else [], values, strict=True)),
            tuple(Tile(c, r, TileKind(k), *rest) for c, r, k, *rest in self._rows(4, 6)),
            tuple(LockUse(*row) for row in self._rows(5, 3)),
            self._flows(),
            tuple(CoreMap(*row) for row in self._rows(8, 17)),
            tuple(_bd(row, link) for row, link in zip(self._rows(9, 30), links, strict=True)),
            tuple(row[0] for row in self._rows(11, 1)),
            tuple(Task(t, Dir(d), ch, bd, repeat, item) for t, d, ch, bd, repeat, item in self._rows(12, 6)),
            tuple(command_of(row) for row in self._rows(13, 7)),
            (sizes[0], sizes[1], sizes[2], sizes[3]),
            self._bytes(15),
            self._io(),
            self._bytes(1).decode(),
        )

    def _flows(self) -> tuple[Flow, ...]:
        ends = [(tile, ch) for tile, ch in self._rows(7, 2)]
        return tuple(
            Flow((tile, ch), tuple(ends[first : first + n]), FlowClass(kind), link)
            for tile, ch, first, n, kind, link in self._rows(6, 6)
        )

    def _io(self) -> tuple[ProgramIO, ...]:
        maps = [row[0] for row in self._rows(17, 1)]
        out = []
        for kind, offset, _, c, h, w, physical, _, first, elem, flat, fold in self._rows(16, 12):
            cmap = tuple(maps[first : first + c * max(1, fold)])
            size = 2 if elem == 2 else 1
            out.append(ProgramIO(kind, offset, c, h, w, physical, cmap, elem == 1, flat == 1, size, max(1, fold)))
        return tuple(out)


def _bd(row: list[int], link: list[int]) -> Bd:
    tile, bd_id, mem, base, _, n = row[:6]
    sizes, strides = row[6:10], row[10:14]
    pads = tuple(zip(row[16:19], row[19:22], strict=True))
    while pads and pads[0] == (0, 0):
        pads = pads[1:]

    def use(at: int) -> LockUse | None:
        return LockUse(*row[at : at + 3]) if row[at] >= 0 else None

    dims = tuple(zip(sizes[4 - n :], strides[4 - n :], strict=True))
    return Bd(tile, bd_id, mem, base, dims, pads, row[14], row[15], use(22), use(25), link[0], bool(link[1]))
