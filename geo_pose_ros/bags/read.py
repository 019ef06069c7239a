# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Read bags: ROS 2, MCAP or sqlite3, whole or cut off, and ROS 1; every fault is a BagError that says what to do.

Messages of ROS 1 become those of ROS 2. Frames of a driver that leaves their stamps at 0 get the time received.

rosbags, SQLite and the decompressors raise errors of a dozen kinds on damaged bytes, so this module catches every
``Exception`` of theirs and raises a BagError from it.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection, Qos
from rosbags.typesys.store import Typestore

from ..errors import BagError, FrameError
from ..messages.cdr import header_stamp_ns, with_header_stamp
from ..messages.factory import Message
from ..messages.stamps import NO_STAMP, stamp_or_arrival
from ..rigs.topics import COMPRESSED_IMAGE, IMAGE, POINT_CLOUD, Topic
from .message_factory import TYPESTORE
from .storage.kinds import is_ros1_bag, storage_files
from .storage.recover import cut_mcap, salvage_sqlite
from .storage.ros1 import Convert, converter, mcap_view, ros2_name

_LOG = logging.getLogger(__name__)
# Types whose messages are of one instant: their stamp is when their content was true.
_FRAMES = (IMAGE, COMPRESSED_IMAGE, POINT_CLOUD)


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
        unstamped: topics of frames whose stamps are 0, as far as their messages were asked for.

    Raises:
        BagError: if there is no bag, it is something else, or not one message can be read.
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
        self.unstamped: set[str] = set()
        self._stamped: set[str] = set()
        self._converters: dict[str, Convert] = {}
        self.offered_qos: dict[str, tuple[Qos, ...]] = {}
        self.topics: Mapping[str, Topic] = self._list_topics()
        self.start_ns, self.end_ns = self._reader.start_time, self._reader.end_time - 1
        if not self._reader.message_count:
            self.start_ns = self.end_ns = 0

    def _open(self) -> AnyReader:
        files = storage_files(self.path)
        views = [mcap_view(file) for file in files if file.suffix == '.mcap']
        self._is_ros1 = is_ros1_bag(self.path) or any(view is not None for view in views)
        try:
            return _opened([view for view in views if view is not None] or [self.path])
        except Exception as error:
            if is_ros1_bag(self.path):
                raise BagError(
                    f"Bag '{self.path}' cannot be read: {str(error).rstrip('.')}. Mend it in ROS 1: rosbag reindex "
                    f'{self.path}, or copy it again.'
                ) from error
            if not files:
                raise BagError(
                    f"Bag '{self.path}' cannot be read: none of the files that its metadata.yaml lists is beside it. "
                    'Copy the whole folder again.'
                ) from error
            return self._open_damaged(files, error)

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
                cut, lost_bytes = cut_mcap(file)
                return cut, f'{file.name} is cut off: {lost_bytes} of {file.stat().st_size} bytes are lost'
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
            old, message_type = topics.get(connection.topic), ros2_name(connection.msgtype)
            if old is not None and old.message_type != message_type:
                raise BagError(
                    f"Topic '{connection.topic}' of '{self.path}' holds {old.message_type} and {message_type}; "
                    'record it with one type.'
                )
            count = connection.msgcount + (old.count if old else 0)
            topics[connection.topic] = Topic(connection.topic, message_type, count)
            convert = converter(self.typestore, message_type, ros1=self._is_ros1)
            if convert is not None:
                self._converters[message_type] = convert
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
        self._find_unstamped(wanted)
        read, last_ns = 0, self.start_ns
        try:
            for connection, time_ns, raw in self._reader.messages(wanted, start_ns, stop_ns):
                read, last_ns = read + 1, time_ns
                message = self._message(connection, time_ns, raw)
                if message.topic in self.unstamped:
                    stamp_ns = stamp_or_arrival(message.stamp_ns, time_ns)
                    message = replace(message, raw=with_header_stamp(message.raw, stamp_ns))
                yield message
        except Exception as error:
            raise BagError(
                f"Bag '{self.path}' is damaged after {read} messages, {(last_ns - self.start_ns) / 1e9:.3f} s from its "
                f'start: {error}. Copy it again; what was read before is sound.'
            ) from error

    def _message(self, connection: Connection, time_ns: int, raw: bytes) -> BagMessage:
        message_type = self.topics[connection.topic].message_type
        convert = self._converters.get(message_type)
        known = convert is not None and message_type in TYPESTORE.fielddefs
        return BagMessage(
            connection.topic, message_type, time_ns, bytes(raw) if convert is None else convert(raw),
            TYPESTORE if known else self.typestore,
        )

    def _find_unstamped(self, connections: Iterable[Connection]) -> None:
        """Find the topics of frames whose first stamps are 0, and say so once; a simulation's first stamp may be 0."""
        for connection in connections:
            topic = connection.topic
            if topic in self._stamped | self.unstamped or self.topics[topic].message_type not in _FRAMES:
                continue
            self._stamped.add(topic)
            try:
                first = [self._message(*m) for m in islice(self._reader.messages([connection]), 2)]
                stamped = not first or any(message.stamp_ns for message in first) or first[0].time_ns == 0
            except Exception:  # noqa: BLE001 - whoever reads the messages says what is wrong
                continue
            if not stamped:
                self._stamped.discard(topic)
                self.unstamped.add(topic)
                _LOG.warning("Topic '%s': %s.", topic, NO_STAMP)

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
