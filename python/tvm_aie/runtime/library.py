"""Whether an exported library is whole, before the dynamic loader maps it: a truncated one would kill the process."""

from __future__ import annotations

import struct
from pathlib import Path

from tvm_aie.errors import ProgramError

_HEADER = struct.Struct("<32xQQ6xHHHH")  # offsets of program and section headers; size and number of each
_SEGMENT = struct.Struct("<8xQ16xQ16x")  # offset and length in the file
_HEADER_BYTES = 64
_ELF64_LITTLE = b"\x7fELF\x02\x01"


def check_library(path: str | Path) -> None:
    """Raise ``ProgramError`` for an ELF library that ends before its segments or section headers do."""
    with Path(path).open("rb") as file:
        head = file.read(_HEADER_BYTES)
        size = file.seek(0, 2)
        if not head.startswith(_ELF64_LITTLE):
            return  # the dynamic loader says what it thinks of other files
        needed = _HEADER_BYTES
        if len(head) == _HEADER_BYTES:
            segments_at, sections_at, segment_bytes, segments, section_bytes, sections = _HEADER.unpack_from(head)
            needed = max(segments_at + segment_bytes * segments, sections_at + section_bytes * sections)
            if needed <= size and segment_bytes == _SEGMENT.size:
                file.seek(segments_at)
                table = file.read(segment_bytes * segments)
                needed = max([needed, *(sum(segment) for segment in _SEGMENT.iter_unpack(table))])
        if size < needed:
            raise ProgramError(f"{path}: the library is truncated: {size} bytes, {needed} needed; export it again")
