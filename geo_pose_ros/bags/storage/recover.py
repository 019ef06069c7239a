"""Storage files that were cut off or damaged: what is whole before the damage.

MCAP is read in place, without a copy, because the disk may be full. Records and their order: https://mcap.dev/spec; a
file that was not closed lacks DataEnd, summary, footer and magic. SQLite refuses a file with missing pages, so its
rows are copied up to the first that cannot be read.
"""

from __future__ import annotations

import io
import sqlite3
import struct
from contextlib import closing, suppress
from pathlib import Path

_MAGIC = b'\x89MCAP0\r\n'
_DATA_END, _FOOTER = 0x0F, 0x02
# An empty footer: no summary, so that the reader scans the records instead.
_TAIL = (
    bytes([_DATA_END]) + struct.pack('<QI', 4, 0) + bytes([_FOOTER]) + struct.pack('<QQQI', 20, 0, 0, 0) + _MAGIC
)


class CutMcap:
    """The part of a cut MCAP file before the cut, as a readable path that ends as a closed file does.

    Attributes:
        name, suffix: of the file.
        lost_bytes: after the last whole record.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name, self.suffix = path.name, path.suffix
        self._end = _end_of_whole_records(path)
        self.lost_bytes = path.stat().st_size - self._end

    def exists(self) -> bool:
        """Return whether the file is there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Return False: it is a file."""
        return False

    def open(self, mode: str = 'rb') -> io.BufferedReader:
        """Return the closed view, for reading."""
        return io.BufferedReader(_CutFile(self._path, self._end))

    def __str__(self) -> str:
        return str(self._path)


class _CutFile(io.RawIOBase):
    """The first ``end`` bytes of a file, followed by the tail of a closed MCAP."""

    def __init__(self, path: Path, end: int) -> None:
        self._file = path.open('rb')
        self._end = end
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._end + len(_TAIL)}[whence]
        self._at = base + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        size = len(buffer)
        if self._at < self._end:
            self._file.seek(self._at)
            data = self._file.read(min(size, self._end - self._at))
        else:
            data = _TAIL[self._at - self._end :][:size]
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
