"""Read bags: ROS 2, MCAP or sqlite3, whole or cut off; every fault is a BagError that says what to do.

rosbags, SQLite and the decompressors raise errors of a dozen kinds on damaged bytes, so this module catches every
``Exception`` of theirs and raises a BagError from it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, Qos
from rosbags.typesys.store import Typestore

from ..errors import BagError, FrameError
from ..messages.cdr import header_stamp_ns
from ..messages.factory import Message
from ..rigs.topics import Topic
from .message_factory import TYPESTORE
from .storage.recover import CutMcap, salvage_sqlite

_LOG = logging.getLogger(__name__)
_SUFFIXES = ('.mcap', '.db3')


@dataclass(frozen=True, slots=True)
class BagMessage:
    """One recorded message: ``raw`` is its CDR serialisation, ``time_ns`` when it was received."""

    topic: str
    message_type: str
    time_ns: int
    raw: bytes
    typestore: Typestore

    @property
    def stamp_ns(self) -> int:
        """Acquisition time of a message that begins with a std_msgs/Header, read without decoding the rest.

        Raises:
            BagError: if the message is shorter than a header.
        """
        try:
            return header_stamp_ns(self.raw)
        except FrameError as error:
            raise BagError(f"A message of '{self.topic}' at {self.time_ns} ns is damaged: {error}") from error

    def decode(self) -> Message:
        """Return the message as rosbags' dataclass; raise BagError if it is damaged."""
        try:
            return self.typestore.deserialize_cdr(self.raw, self.message_type)
        except Exception as error:
            raise BagError(
                f"A message of '{self.topic}' ({self.message_type}) at {self.time_ns} ns is damaged: {error}."
            ) from error


class BagReader(AbstractContextManager['BagReader']):
    """An open bag; a context manager.

    A bag whose recorder was killed (no metadata, file cut off) is read up to the cut, with a warning in the log and
    in ``damage``.

    Attributes:
        path: the bag's folder or storage file.
        topics: by name.
        offered_qos: quality of service of the recorded publishers, by topic.
        start_ns, end_ns: time of the first and last message (0 if there is none).
        typestore: the message definitions of the bag.
        damage: what is missing, in words; '' for a whole bag.

    Raises:
        BagError: if there is no bag, it is of ROS 1 or another kind, or not one message can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ''
        self._stack = ExitStack()
        with self._stack:
            self._reader = self._open()
            self._stack = self._stack.pop_all()
        if self.damage:
            _LOG.warning('%s', self.damage)
        self.typestore = self._reader.typestore
        self.offered_qos: dict[str, tuple[Qos, ...]] = {}
        self.topics: Mapping[str, Topic] = self._list_topics()
        self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time - 1
        if not self._reader.message_count:
            self.start_ns = self.end_ns = 0

    def _open(self) -> AnyReader:
        files = storage_files(self.path)
        try:
            return _opened([self.path])
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            return self._open_damaged(files or [self.path], error)

    def _open_damaged(self, files: list[Path], cause: Exception) -> AnyReader:
        """Open the storage files themselves, each up to where it was cut off."""
        try:
            usable = [self._sound_part(file) for file in files]
            reader = _opened([part for part, _ in usable])
        except Exception as error:
            raise BagError(self._unreadable(error)) from error
        if not reader.message_count:
            reader.close()
            raise BagError(self._unreadable(cause))
        losses = '; '.join(loss for _, loss in usable if loss) or str(cause).rstrip('.')
        self.damage = (
            f"Bag '{self.path}' is damaged ({losses}); the {reader.message_count} messages of its first "
            f'{reader.duration / 1e9:.3f} s are read.'
        )
        return reader

    def _sound_part(self, file: Path) -> tuple[Any, str]:
        """Return what of a storage file can be read, as a path, and what is lost in words."""
        try:
            _opened([file]).close()
        except Exception as error:  # noqa: BLE001 - see the module's docstring
            if file.suffix == '.mcap':
                cut = CutMcap(file)
                return cut, f'{file.name} is cut off: {cut.lost_bytes} of {file.stat().st_size} bytes are lost'
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix='geo_pose_')))
            salvage_sqlite(file, folder / file.name)
            return folder / file.name, f'{file.name}: {error}'
        return file, ''

    def _unreadable(self, error: Exception) -> str:
        reason = str(error).rstrip('.') or type(error).__name__
        return (
            f"Bag '{self.path}' cannot be read: {reason}. No message before the damage can be "
            'recovered. Copy the bag again or record it again.'
        )

    def _list_topics(self) -> dict[str, Topic]:
        topics: dict[str, Topic] = {}
        for connection in self._reader.connections:
            old = topics.get(connection.topic)
            if old is not None and old.message_type != connection.msgtype:
                raise BagError(
                    f"Topic '{connection.topic}' of '{self.path}' holds {old.message_type} and {connection.msgtype}; "
                    'record it with one type.'
                )
            count = connection.msgcount + (old.count if old else 0)
            topics[connection.topic] = Topic(connection.topic, connection.msgtype, count)
            self.offered_qos[connection.topic] = tuple(getattr(connection.ext, 'offered_qos_profiles', ()))
        return topics

    @property
    def topic_names(self) -> str:
        """The names of the topics, for error messages."""
        return ', '.join(sorted(self.topics)) or 'none'

    def messages(
        self, topics: Collection[str] | None = None, start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of ``topics`` (None: all) in the order they were received.

        Args:
            topics: names.
            start_ns, stop_ns: only those received at or after the first and before the second.

        Raises:
            BagError: where the file is damaged, after all that could be read before it.
        """
        wanted: list[Connection] = [c for c in self._reader.connections if topics is None or c.topic in topics]
        if not wanted:
            return
        read, last_ns = 0, self.start_ns
        try:
            for connection, time_ns, raw in self._reader.messages(wanted, start_ns, stop_ns):
                read, last_ns = read + 1, time_ns
                yield BagMessage(connection.topic, connection.msgtype, time_ns, bytes(raw), self.typestore)
        except Exception as error:
            raise BagError(
                f"Bag '{self.path}' is damaged after {read} messages, {(last_ns - self.start_ns) / 1e9:.3f} s from its "
                f'start: {error}. Copy it again; what was read before is sound.'
            ) from error

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._stack.close()


def until_damage(messages: Iterable[BagMessage]) -> Iterator[BagMessage]:
    """Yield messages; where the bag is damaged, warn in the log and end."""
    try:
        yield from messages
    except BagError as error:
        _LOG.warning('%s', error)


def _opened(paths: list[Any]) -> AnyReader:
    # Bags of Humble and older hold no message definitions in sqlite3.
    reader = AnyReader(paths, default_typestore=TYPESTORE)
    reader.open()
    return reader


def storage_files(path: Path) -> list[Path]:
    """Return the storage files of a bag: a folder (with none, if its metadata lists what is gone), or the file itself.

    Raises:
        BagError: if there is nothing, or something else.
    """
    if not path.exists():
        raise BagError(f"There is no bag at '{path}'. Give the folder that holds metadata.yaml.")
    if path.suffix == '.bag':
        raise BagError(f"'{path}' is a ROS 1 bag. Convert it: rosbags-convert --src {path} --dst {path.stem}")
    if path.is_dir():
        files = sorted(child for child in path.iterdir() if child.suffix in _SUFFIXES)
        if not files and not (path / 'metadata.yaml').exists():
            raise BagError(f"'{path}' is not a bag: it holds no metadata.yaml and no .mcap or .db3 file.")
        return files
    if path.suffix not in _SUFFIXES:
        raise BagError(f"'{path}' is not a bag: expected a folder with metadata.yaml, an .mcap or a .db3 file.")
    return [path]


def is_bag(path: Path) -> bool:
    """Return whether ``path`` is a bag's folder, with metadata or storage files."""
    try:
        storage_files(path)
    except BagError:
        return False
    return path.is_dir()
