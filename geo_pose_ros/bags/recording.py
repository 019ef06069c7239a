# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recordings as people look at them: results, images and the rig, from one bag or from several of the same time.

`geo_pose process` and a recorder of the node's topics write no images; the cameras' own bag has no bodies. Given
together they are one recording. Messages are read as they are asked for, never the whole bag at once.
"""

from __future__ import annotations

import heapq
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import BagError, GeoPoseError
from ..messages.clouds.bodies import bodies_from_cloud
from ..messages.clouds.keypoints import keypoints_from_cloud
from ..messages.diagnostics import DIAGNOSTIC_ARRAY, Status, diagnostics_from_message
from ..messages.image import frame_from_message
from ..rigs.topics import POINT_CLOUD, survey_cameras
from ..skeleton import BODY17, Skeleton
from ..types import Bodies3D, CameraRig, Frame, Keypoints2D
from .cameras import rig_from_bag
from .read import BagMessage, BagReader, until_damage

_LOG = logging.getLogger(__name__)
T = TypeVar('T')

BODIES, DETAILS, KEYPOINTS, IMAGE, DIAGNOSTICS = 'bodies', 'details', 'keypoints', 'image', 'diagnostics'


@dataclass(frozen=True, slots=True)
class Source:
    """What a topic holds: bodies, details, keypoints, image or diagnostics; and whose, '' if no camera's."""

    kind: str
    camera: str = ''


@dataclass(frozen=True, slots=True)
class Recorded:
    """One message of a recording, not decoded yet."""

    source: Source
    message: BagMessage

    @property
    def time_ns(self) -> int:
        """When it was received."""
        return self.message.time_ns

    def bodies(self) -> Bodies3D:
        """Return the bodies; raise ShapeError or BagError if the message is damaged."""
        return bodies_from_cloud(self.message.decode())

    def keypoints(self) -> Keypoints2D:
        """Return the keypoints; raise ShapeError or BagError if the message is damaged."""
        return keypoints_from_cloud(self.message.decode(), self.source.camera)

    def statuses(self) -> list[Status]:
        """Return the diagnostic statuses of all nodes; raise BagError if the message is damaged."""
        return diagnostics_from_message(self.message.decode())

    def frame(self, max_side_px: int = 0) -> Frame:
        """Return the image, its longer side at most ``max_side_px`` (0: as it is).

        Raises:
            FrameError: if it cannot be decoded.
            BagError: if the message is damaged.
        """
        return frame_from_message(self.message.decode(), self.source.camera, max_side_px=max_side_px)


class Recording(AbstractContextManager['Recording']):
    """One or several bags of the same time, open; a context manager.

    Attributes:
        paths: of the bags.
        rig: None where there is none; ``rig_fault`` says why then.
        not_in_rig: names of recorded cameras that the rig that was given lacks, sorted.
        cameras: names of those with images or keypoints, or in the rig, sorted.
        counts: messages per source.
        start_ns, end_ns: time of the first and last message.
        damage: what is missing of the bags, in words.
        damaged: messages that could not be read so far, by topic.

    Raises:
        BagError: if no bag is given or one cannot be read.
    """

    def __init__(self, paths: Sequence[Path], rig: CameraRig | None = None) -> None:
        if not paths:
            raise BagError('Recording: received no bag, expected at least one.')
        self.paths = tuple(paths)
        self.damaged: Counter[str] = Counter()
        with ExitStack() as stack:
            self._readers = [stack.enter_context(BagReader(path)) for path in paths]
            self._stack = stack.pop_all()
        self._topics = [_topics_of(reader) for reader in self._readers]
        self.rig, self.rig_fault = (rig, '') if rig is not None else _first_rig(self._readers)
        self.counts: Counter[Source] = Counter()
        for reader, topics in zip(self._readers, self._topics, strict=True):
            for name, source in topics.items():
                self.counts[source] += reader.topics[name].count
        named = {source.camera for source in self.counts if source.camera}
        self.not_in_rig = tuple(sorted(named - set(rig.names))) if rig is not None else ()
        self.cameras = tuple(sorted(named | set(self.rig.names if self.rig is not None else ())))
        filled = [reader for reader in self._readers if reader.end_ns]
        self.start_ns = min((reader.start_ns for reader in filled), default=0)
        self.end_ns = max((reader.end_ns for reader in filled), default=0)
        self.damage = ' '.join(reader.damage for reader in self._readers if reader.damage)

    @property
    def title(self) -> str:
        """The names of the bags."""
        return ' + '.join(path.name for path in self.paths)

    def has(self, kind: str) -> bool:
        """Return whether there is a message of ``kind``."""
        return any(source.kind == kind and count for source, count in self.counts.items())

    @property
    def skeleton(self) -> Skeleton:
        """Of the first bodies that can be read; body17 where there are none."""
        for one in self.stream({BODIES}):
            with suppress(GeoPoseError):
                return one.bodies().skeleton
        return BODY17

    def stream(
        self, kinds: Collection[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[Recorded]:
        """Yield the messages of ``kinds`` received in [start_ns, stop_ns), in the order received.

        A bag that is damaged inside ends there, with a warning in the log.
        """
        def read(reader: BagReader, topics: Mapping[str, Source]) -> Iterator[Recorded]:
            wanted = [name for name, source in topics.items() if source.kind in kinds]
            for message in until_damage(reader.messages(wanted, start_ns, stop_ns)):
                yield Recorded(topics[message.topic], message)

        yield from heapq.merge(*map(read, self._readers, self._topics), key=lambda recorded: recorded.time_ns)

    def read(
        self, kind: str, decode: Callable[[Recorded], T], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[T]:
        """Yield what ``decode`` makes of the messages of a kind, see ``stream``; what is damaged is counted."""
        for one in self.stream({kind}, start_ns, stop_ns):
            try:
                yield decode(one)
            except GeoPoseError as error:
                self.count_damaged(one, error)

    def count_damaged(self, recorded: Recorded, error: GeoPoseError) -> None:
        """Count a message that could not be read; the first of each topic is logged."""
        topic = recorded.message.topic
        self.damaged[topic] += 1
        if self.damaged[topic] == 1:
            _LOG.warning('%s (further messages of %s are counted)', error, topic)

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _topics_of(reader: BagReader) -> dict[str, Source]:
    """Return the topics of interest; of several with bodies that with the most messages."""
    topics: dict[str, Source] = {}
    for name, camera in survey_cameras(reader.topics.values()).cameras.items():
        if camera.image:
            topics[camera.image] = Source(IMAGE, name)
        if camera.keypoints:
            topics[camera.keypoints] = Source(KEYPOINTS, name)
    bodies = [t for t in reader.topics.values() if t.message_type == POINT_CLOUD and t.name.endswith('/bodies')]
    if bodies:
        name = max(bodies, key=lambda topic: topic.count).name
        topics[name] = Source(BODIES)
        details = f'{name.removesuffix("bodies")}details'
        if details in reader.topics:
            topics[details] = Source(DETAILS)
    for topic in reader.topics.values():
        if topic.message_type == DIAGNOSTIC_ARRAY:
            topics[topic.name] = Source(DIAGNOSTICS)
    return topics


def _first_rig(readers: Sequence[BagReader]) -> tuple[CameraRig | None, str]:
    """Return the largest rig that a bag describes, and why there is none."""
    rigs, faults = [], []
    for reader in readers:
        try:
            rigs.append(rig_from_bag(reader))
        except GeoPoseError as error:
            faults.append(str(error))
    return (max(rigs, key=len), '') if rigs else (None, ' '.join(faults))
