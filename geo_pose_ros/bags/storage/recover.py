# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Storage files that were cut off or damaged: what is whole before the damage.

MCAP is read in place, without a copy, because the disk may be full. Records and their order: https://mcap.dev/spec; a
file that was not closed lacks DataEnd, summary, footer and magic. SQLite refuses a file with missing pages, so its
rows are copied up to the first that cannot be read.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

_MAGIC = b'\x89MCAP0\r\n'
_DATA_END, _FOOTER = 0x0F, 0x02
# An empty footer: no summary, so that the reader scans the records instead.
_TAIL = (
    bytes([_DATA_END]) + struct.pack('<QI', 4, 0) + bytes([_FOOTER]) + struct.pack('<QQQI', 20, 0, 0, 0) + _MAGIC
)


class McapView:
    """A readable path that shows an MCAP file otherwise than it is, without a copy.

    Attributes:
        name, suffix: of the file.
    """

    def __init__(self, path: Path, end: int | None = None, patches: Mapping[int, bytes] | None = None) -> None:
        """Show the file.

        Args:
            path: of the file.
            end: after so many bytes it ends as a closed file does; None: where it ends.
            patches: other bytes, by their offset.
        """
        self._path, self._patches = path, patches or {}
        self.name, self.suffix = path.name, path.suffix
        self._end, self._tail = (path.stat().st_size, b'') if end is None else (end, _TAIL)

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Return False: it is a file."""
        return False

    def open(self, mode: str = 'rb') -> io.BufferedReader:
        """Return the view, for reading."""
        return io.BufferedReader(_ViewedFile(self._path, self._end, self._tail, self._patches))

    def __str__(self) -> str:
        return str(self._path)


def cut_mcap(path: Path) -> tuple[McapView, int]:
    """Return the part of a cut MCAP file before the cut, and how many bytes are lost after its last whole record."""
    end = _end_of_whole_records(path)
    return McapView(path, end), path.stat().st_size - end


class _ViewedFile(io.RawIOBase):
    """The first ``end`` bytes of a file with ``patches``, followed by ``tail``."""

    def __init__(self, path: Path, end: int, tail: bytes, patches: Mapping[int, bytes]) -> None:
        self._file = path.open('rb')
        self._end, self._tail, self._patches = end, tail, patches
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end + len(self._tail)}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = len(buffer)
        if self._at < self._end:
            self._file.seek(self._at)
            data = bytearray(self._file.read(min(size, self._end - self._at)))
            for offset, patch in self._patches.items():
                first, last = max(offset, self._at), min(offset + len(patch), self._at + len(data))
                if first < last:
                    data[first - self._at : last - self._at] = patch[first - offset : last - offset]
        else:
            data = bytearray(self._tail[self._at - self._end :][:size])
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _end_of_whole_records(path: Path) -> int:
    size = path.stat().st_size
    with path.open('rb') as file:
        at = len(_MAGIC)
        while at + 9 <= size:
            file.seek(at)
            opcode, length = struct.unpack('<BQ', file.read(9))
            if at + 9 + length > size or opcode in (_DATA_END, _FOOTER):
                break
            at += 9 + length
    return min(at, size)


def salvage_sqlite(path: Path, target: Path) -> None:
    """Copy the readable rows of a damaged database to ``target``, each table up to its first unreadable row.

    Raises:
        sqlite3.DatabaseError: if not even the tables' names can be read.
    """
    with (
        closing(sqlite3.connect(f'{path.absolute().as_uri()}?mode=ro&immutable=1', uri=True)) as damaged,
        closing(sqlite3.connect(target)) as whole,
    ):
        # Without this SQLite refuses a file that is shorter than its header says.
        damaged.execute('PRAGMA writable_schema = ON')
        tables = damaged.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
        for name, sql in tables:
            whole.execute(sql)
            with suppress(sqlite3.DatabaseError):
                for row in damaged.execute(f'SELECT * FROM "{name}" ORDER BY rowid'):
                    whole.execute(f'INSERT INTO "{name}" VALUES ({",".join("?" * len(row))})', row)
        whole.commit()
