"""Which cameras there are, by the topics of a bag or of a running system."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
TF_MESSAGE = 'tf2_msgs/msg/TFMessage'


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its full name, ROS type like sensor_msgs/msg/Image, and number of messages (1 where it is live)."""

    name: str
    message_type: str
    count: int = 1


# Name of a topic, with its camera's namespace; type; kind. `~/keypoints/<camera>` is what pose_node publishes.
_PATTERNS = (
    (re.compile(r'/(?P<camera>.+)/image_raw$'), IMAGE, 'image'),
    (re.compile(r'/(?P<camera>.+)/image_raw/compressed$'), COMPRESSED_IMAGE, 'image'),
    (re.compile(r'/(?P<camera>.+)/camera_info$'), CAMERA_INFO, 'camera_info'),
    (re.compile(r'/(?P<camera>.+)/keypoints$'), POINT_CLOUD, 'keypoints'),
    (re.compile(r'/(?:.+/)?keypoints/(?P<camera>[^/]+)$'), POINT_CLOUD, 'keypoints'),
)


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """The topics of one camera; '' where there is none."""

    name: str
    image: str = ''
    camera_info: str = ''
    keypoints: str = ''


def namespace_of(image_topic: str) -> str:
    """Return the namespace of an image topic, '' if it has none: /rig/left/image_raw/compressed -> rig/left."""
    parts = image_topic.strip('/').split('/')
    names = [part for part in parts if part not in ('compressed', 'compressedDepth', 'theora', 'ffmpeg')]
    return '/'.join(names[:-1])


def camera_names(namespaces: Iterable[str]) -> dict[str, str]:
    """Return the names of cameras by their namespaces: the last part, or all of it where two would share a name."""
    spaces = [space.strip('/') for space in namespaces]
    last = [space.rsplit('/', 1)[-1] for space in spaces]
    return {
        space: short if last.count(short) == 1 else space.replace('/', '_')
        for space, short in sorted(zip(spaces, last, strict=True))
    }


def find_cameras(topics: Iterable[Topic]) -> dict[str, CameraTopics]:
    """Return the cameras of a bag or a running system that have images or keypoints, by name, sorted.

    A camera is named by the last part of its namespace, or by all of it where two would share a name. Of a raw and a
    compressed image topic the one with more messages is taken; empty topics do not count.
    """
    found: dict[str, dict[str, str]] = {}
    for topic in sorted(topics, key=lambda t: -t.count):
        for pattern, message_type, kind in _PATTERNS:
            match = pattern.match(topic.name)
            if match and topic.message_type == message_type and topic.count:
                found.setdefault(match['camera'], {}).setdefault(kind, topic.name)
                break
    names = camera_names(space for space, of_camera in found.items() if {'image', 'keypoints'} & set(of_camera))
    return {name: CameraTopics(name, **found[space]) for space, name in names.items()}
