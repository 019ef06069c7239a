# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras of `geo_pose calibrate --live` that ROS drivers publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rclpy.node import Node
from rclpy.subscription import Subscription

from ...assistant.cameras import SILENT_S, LiveCamera
from ...errors import BagError, CalibrationError, FrameError
from ...messages.camera_info import intrinsics_from_camera_info, rectified_from_camera_info
from ...messages.factory import Message
from ...messages.image import frame_from_message
from ...rigs.topics import CAMERA_INFO, COMPRESSED_IMAGE, IMAGE, camera_info_beside, is_rectified
from ...types import Frame, Intrinsics
from ..io.message_factory import message_class
from ..io.qos import ignore, profile, waiting_messages
from .standalone import standalone_node

_POLL_S = 0.005
_DISCOVERY_S = 1.0


@contextmanager
def open_topics(topics: Mapping[str, str]) -> Iterator[dict[str, LiveCamera]]:
    """Give the cameras of image topics, by their names, to a block of code.

    Raises:
        BagError: if no images are published on one of ``topics``.
    """
    with standalone_node('geo_pose_calibrate') as node:
        yield {name: TopicCamera(node, name, topic) for name, topic in topics.items()}


def _polls(limit_s: Callable[[], float]) -> Iterator[None]:
    """Yield now and then until ``limit_s`` have passed."""
    began_s = time.monotonic()
    while time.monotonic() < began_s + limit_s():
        yield
        time.sleep(_POLL_S)


class TopicCamera:
    """Reads the newest image of a topic, and the lens from camera_info beside it."""

    def __init__(self, node: Node, name: str, topic: str) -> None:
        """Subscribe with ``node``, which need not spin.

        Raises:
            BagError: if no images are published on ``topic`` within some seconds.
        """
        self._node, self._name, self._topic = node, name, topic
        self._images = self._subscribe(topic, self._kind())
        info = camera_info_beside(topic)
        infos = self._subscribe(info, CAMERA_INFO)
        self.intrinsics: Intrinsics | None = None
        # Its publisher may be discovered after that of the images.
        for _ in _polls(lambda: SILENT_S if node.count_publishers(info) else _DISCOVERY_S):
            if (message := next(waiting_messages(infos), None)) is not None:
                self.intrinsics = self._lens(message[0])
                break
        node.destroy_subscription(infos)

    def _kind(self) -> str:
        kinds: list[str] = []
        for _ in _polls(lambda: SILENT_S):
            kinds = dict(self._node.get_topic_names_and_types()).get(self._topic, [])
            if kinds and kinds[0] in (IMAGE, COMPRESSED_IMAGE):
                return str(kinds[0])
        raise BagError(
            f"Camera '{self._name}': received {kinds[0] if kinds else 'nothing'} on '{self._topic}', expected images. "
            'Does its driver run, with the same ROS_DOMAIN_ID? ros2 topic list shows the names.'
        )

    def _subscribe(self, topic: str, kind: str) -> Subscription[Message]:
        return self._node.create_subscription(message_class(kind), topic, ignore, profile(1, reliable=False))

    def _lens(self, message: Message) -> Intrinsics | None:
        """Return the lens; None from a driver that has no calibration."""
        try:
            if is_rectified(self._topic):
                return rectified_from_camera_info(message, self._name)[0]
            return intrinsics_from_camera_info(message, self._name)
        except CalibrationError:
            return None

    def read(self) -> Frame:
        """Return the newest image that was not returned yet; damaged ones are passed over.

        Raises:
            BagError: if none comes for some seconds, or of another size than camera_info says.
        """
        said = ''
        for _ in _polls(lambda: SILENT_S):
            for message, _ in waiting_messages(self._images):
                try:
                    return frame_from_message(message, self._name, self.intrinsics)
                except FrameError as error:
                    said = f' {error}'
        raise BagError(f"Camera '{self._name}' gives no image on '{self._topic}' any more; does its driver run?{said}")

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._images)
