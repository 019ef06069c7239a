"""Which cameras a bag holds, and the rig they make."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import BagError, CalibrationError
from ..messages.camera_info import intrinsics_from_camera_info
from ..messages.transforms import chain_to_root, lookup, transform_tree
from ..types import Camera, CameraRig, Intrinsics

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'
TF_MESSAGE = 'tf2_msgs/msg/TFMessage'

class Topic(Protocol):
    """A topic of a bag: its name, ROS type and number of messages."""

    @property
    def name(self) -> str:
        """Full name."""

    @property
    def message_type(self) -> str:
        """Like sensor_msgs/msg/Image."""

    @property
    def count(self) -> int:
        """How many messages there are."""


class Bag(Protocol):
    """What is needed of an open bag; ``bags.read.BagReader`` is one."""

    @property
    def path(self) -> Path:
        """Where it lies."""

    @property
    def topics(self) -> Mapping[str, Topic]:
        """By name."""

    def messages(self, topics: Collection[str]) -> Iterator[Any]:
        """Yield the messages of topics in the order received."""


# Topic -> its camera's namespace, and the kind of topic. `~/keypoints/<camera>` is what pose_node publishes.
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


def find_cameras(reader: Bag) -> dict[str, CameraTopics]:
    """Return the cameras with images or keypoints, by name, sorted.

    A camera is named by the last part of its namespace, or by all of it where two would share a name. Of a raw and a
    compressed image topic the one with more messages is taken; empty topics do not count.
    """
    found: dict[str, dict[str, str]] = {}
    for topic in sorted(reader.topics.values(), key=lambda t: -t.count):
        for pattern, message_type, kind in _PATTERNS:
            match = pattern.match(topic.name)
            if match and topic.message_type == message_type and topic.count:
                found.setdefault(match['camera'], {}).setdefault(kind, topic.name)
                break
    spaces = [space for space, topics in found.items() if {'image', 'keypoints'} & set(topics)]
    short = [space.rsplit('/', 1)[-1] for space in spaces]
    cameras: dict[str, CameraTopics] = {}
    for space, last in sorted(zip(spaces, short, strict=True)):
        name = last if short.count(last) == 1 else space.replace('/', '_')
        cameras[name] = CameraTopics(name, **found[space])
    return cameras


def choose_cameras(reader: Bag, names: Sequence[str] = ()) -> dict[str, CameraTopics]:
    """Return the cameras called ``names`` (none: all).

    Raises:
        BagError: if the bag has none, or not the one named; lists what there is.
    """
    cameras = find_cameras(reader)
    if not cameras:
        raise BagError(
            f"Bag '{reader.path}' has no camera: expected topics <camera>/image_raw, <camera>/image_raw/compressed or "
            f'.../keypoints/<camera>; it has: {", ".join(sorted(reader.topics)) or "none"}.'
        )
    missing = [name for name in names if name not in cameras]
    if missing:
        raise BagError(f"Bag '{reader.path}' has no camera {', '.join(missing)}; it has: {', '.join(cameras)}.")
    return {name: cameras[name] for name in names or cameras}


def rig_from_bag(reader: Bag, names: Sequence[str] = (), world_frame_id: str = '') -> CameraRig:
    """Return the rig of the cameras called ``names`` (none: all), from their camera_info and /tf_static.

    Args:
        world_frame_id: '' for the root of the transforms that all cameras hang on.

    Raises:
        BagError: if a camera has no camera_info.
        CalibrationError: if a camera is uncalibrated, or the transforms do not join the cameras.
    """
    infos = _camera_infos(reader, names)
    frame_ids = {name: _frame_of(info) for name, info in infos.items()}
    tree = transform_tree(
        message.decode()
        for message in reader.messages([t.name for t in reader.topics.values() if t.message_type == TF_MESSAGE
                                        and t.name.rsplit('/', 1)[-1] == 'tf_static'])
    )
    if not world_frame_id:
        roots = {name: chain_to_root(tree, frame_id)[0] for name, frame_id in frame_ids.items()}
        if len(set(roots.values())) > 1:
            listed = ', '.join(f'{name}: {frame_ids[name]} below {root}' for name, root in roots.items())
            raise CalibrationError(
                f"Bag '{reader.path}': no common world frame of the cameras in /tf_static ({listed}). "
                'Record /tf_static with all cameras, or give the calibration with --rig.'
            )
        world_frame_id = next(iter(roots.values()))
    return CameraRig(
        tuple(
            Camera(
                name, frame_ids[name], intrinsics_from_camera_info(info, name),
                lookup(tree, frame_ids[name], world_frame_id),
            )
            for name, info in infos.items()
        ),
        world_frame_id,
    )


def bag_lenses(reader: Bag, names: Sequence[str] = ()) -> dict[str, tuple[str, Intrinsics]]:
    """Return the optical frame and the intrinsics of the cameras called ``names`` (none: all), from camera_info.

    Raises:
        BagError: if a camera has no camera_info.
        CalibrationError: if a camera is uncalibrated.
    """
    infos = _camera_infos(reader, names)
    return {name: (_frame_of(info), intrinsics_from_camera_info(info, name)) for name, info in infos.items()}


def _frame_of(info: Any) -> str:
    return str(info.header.frame_id).lstrip('/')


def _camera_infos(reader: Bag, names: Sequence[str]) -> dict[str, Any]:
    """Return the first camera_info of each camera; raise BagError if one has none."""
    cameras = choose_cameras(reader, names)
    bare = [name for name, topics in cameras.items() if not topics.camera_info]
    if bare:
        raise BagError(
            f"Bag '{reader.path}' has no camera_info of {', '.join(bare)}; it has: "
            f'{", ".join(sorted(reader.topics))}. Record <camera>/camera_info too, or give the calibration with --rig.'
        )
    infos = _first_messages(reader, [topics.camera_info for topics in cameras.values()])
    return {name: infos[topics.camera_info] for name, topics in cameras.items()}


def _first_messages(reader: Bag, topics: Sequence[str]) -> Mapping[str, Any]:
    """Return the first message of each topic."""
    first: dict[str, Any] = {}
    for topic in topics:
        for message in reader.messages([topic]):
            first[topic] = message.decode()
            break
    return first
