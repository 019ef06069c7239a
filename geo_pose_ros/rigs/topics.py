# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which cameras there are, by the topics of a bag or of a running system."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import ConfigError

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


# Names of image topics, the best first; drivers publish image_raw, image_proc the others of it.
_IMAGES = ('image_raw', 'image_color', 'image_rect_color', 'image', 'image_rect', 'image_mono', 'image_rect_raw')
_COMPRESSED, _RECTIFIED = '/compressed', 'image_rect'
# Namespaces and names of what shows no people, or shows them drawn over.
_NO_IMAGES = re.compile(r'(aligned_)?depth(_registered|_to_\w+)?|disparity|confidence')
_NO_IMAGE_NAMES = re.compile(r'\w*(depth|disparity|mask|segment|annotated|overlay|debug|heatmap)\w*')
_INFRARED, _COLOUR = re.compile(r'infra\d*|ir|infrared'), ('color', 'colour', 'rgb')
# Images as a stream of packets, each of which needs those before.
_PACKETS = re.compile(r'ffmpeg_image_transport_msgs/.*|foxglove_msgs/msg/CompressedVideo|theora_image_transport/.*')
# `~/keypoints/<camera>` is what pose_node publishes.
_KEYPOINTS = (re.compile(r'/(?P<camera>.+)/keypoints$'), re.compile(r'/(?:.+/)?keypoints/(?P<camera>[^/]+)$'))


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """The topics of one camera; '' where there is none.

    Attributes:
        name: of the camera.
        image, camera_info, keypoints: full names.
        rectified: its images are undistorted and turned as P and R of camera_info say.
    """

    name: str
    image: str = ''
    camera_info: str = ''
    keypoints: str = ''
    rectified: bool = False


@dataclass(frozen=True, slots=True)
class CameraSurvey:
    """What the topics of a bag or of a running system say of cameras.

    Attributes:
        cameras: those with images or keypoints, by name, sorted.
        left_out: others with images that show no people, or the same again, by name.
        reasons: why they are left out, by name.
        others: topics of images that belong to no camera: they have other names, and no camera_info beside.
    """

    cameras: Mapping[str, CameraTopics]
    left_out: Mapping[str, CameraTopics]
    reasons: Mapping[str, str]
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CameraChoice:
    """Which cameras are used, and what they send, with the names of the node's settings.

    Attributes:
        names: of the cameras; none: all that are found.
        image_topics, camera_info_topics: of single cameras, camera=topic.
        rectified: whether images are rectified: yes, no, or auto: as their topics say.
    """

    names: Sequence[str] = ()
    image_topics: Sequence[str] = ()
    camera_info_topics: Sequence[str] = ()
    rectified: str = 'auto'


def is_rectified(image_topic: str) -> bool:
    """Return whether images are rectified, by their topic: image_rect, image_rect_color, .../rect/image."""
    base = image_topic.removesuffix(_COMPRESSED)
    return base.rpartition('/')[2].startswith(_RECTIFIED) or base.endswith('/rect/image')


def topics_by_camera(parameter: str, entries: Iterable[str], cameras: Collection[str] | None = None) -> dict[str, str]:
    """Return the topics of ``camera=topic`` entries, by camera.

    Args:
        parameter: its name, for errors.
        entries: see above.
        cameras: which there are; None: any.

    Raises:
        ConfigError: for another form, or another camera.
    """
    topics = {}
    for entry in entries:
        camera, equals, topic = entry.partition('=')
        if not (equals and topic and camera) or (cameras is not None and camera not in cameras):
            which = f' with one of the cameras {", ".join(cameras)}' if cameras is not None else ''
            raise ConfigError(f"Parameter '{parameter}': received '{entry}', expected camera=topic{which}.")
        topics[camera] = topic
    return topics


def fill_template(template: str, camera: str) -> str:
    """Return the topic of ``camera``; raise ConfigError for a template with other fields than {camera}."""
    try:
        return template.format(camera=camera)
    except (KeyError, IndexError, ValueError) as error:
        raise ConfigError(f"Topic template '{template}': {error!r}; the only field is {{camera}}.") from error


def namespace_of(image_topic: str) -> str:
    """Return the namespace of an image topic, '' if it has none: /rig/left/image_raw/compressed -> rig/left."""
    return image_topic.removesuffix(_COMPRESSED).strip('/').rpartition('/')[0]


def camera_info_beside(image_topic: str) -> str:
    """Return the full name of the camera_info that goes with an image topic."""
    return f'/{namespace_of(image_topic)}/camera_info'.replace('//', '/')


def camera_names(namespaces: Iterable[str]) -> dict[str, str]:
    """Return the names of cameras by their namespaces: the last part, or all of it where two would share a name."""
    spaces = [space.strip('/') for space in namespaces]
    last = [space.rsplit('/', 1)[-1] or 'camera' for space in spaces]
    return {
        space: short if last.count(short) == 1 else space.replace('/', '_')
        for space, short in sorted(zip(spaces, last, strict=True))
    }


def survey_cameras(topics: Iterable[Topic]) -> CameraSurvey:
    """Return which cameras there are, by the names and types of topics.

    A camera is a namespace with image_raw, with another image topic beside a camera_info, or with keypoints. It is
    named by the last part of its namespace, or by all of it where two would share a name. Of several image topics the
    one with the better name is taken, of a raw and a compressed one that with more messages; empty topics do not count.
    """
    found: dict[str, dict[str, str]] = {}
    images: dict[str, list[tuple[int, str]]] = {}
    reasons: dict[str, str] = {}
    for topic in sorted(topics, key=lambda t: -t.count):
        if not topic.count:
            continue
        space, name = namespace_of(topic.name), topic.name.removesuffix(_COMPRESSED).rpartition('/')[2]
        keypoints = next((m['camera'] for m in (pattern.match(topic.name) for pattern in _KEYPOINTS) if m), '')
        if topic.message_type == CAMERA_INFO and name == 'camera_info':
            found.setdefault(space, {}).setdefault('camera_info', topic.name)
        elif topic.message_type == POINT_CLOUD and keypoints:
            found.setdefault(keypoints, {}).setdefault('keypoints', topic.name)
        elif topic.message_type in (IMAGE, COMPRESSED_IMAGE):
            rank = _IMAGES.index(name) if name in _IMAGES else len(_IMAGES) + bool(_NO_IMAGE_NAMES.fullmatch(name))
            images.setdefault(space, []).append((rank, topic.name))
        elif _PACKETS.fullmatch(topic.message_type):
            reasons.setdefault(namespace_of(topic.name.rpartition('/')[0]), _why_packets(topic))
    others = []
    for space, ranked in images.items():
        has_info = 'camera_info' in found.get(space, {})
        best = min(((rank, n, name) for n, (rank, name) in enumerate(ranked)))
        if best[0] == 0 or has_info:
            found.setdefault(space, {})['image'] = best[2]
            reason = _why_left_out(space, best[0], images)
            reasons |= {space: reason} if reason else {}
        else:
            others += [name for rank, name in ranked if rank <= len(_IMAGES)]
    return _survey(found, reasons, tuple(others))


def _survey(
    found: Mapping[str, Mapping[str, str]], reasons: Mapping[str, str], others: tuple[str, ...]
) -> CameraSurvey:
    """Return the survey of topics by namespace and kind."""
    spaces = [space for space, of_camera in found.items() if {'image', 'keypoints'} & set(of_camera)]
    spaces += [space for space in reasons if space not in spaces]
    cameras: dict[str, CameraTopics] = {}
    left_out: dict[str, CameraTopics] = {}
    for space, name in camera_names(spaces).items():
        of_camera = found.get(space, {})
        camera = CameraTopics(name, **of_camera, rectified=is_rectified(of_camera.get('image', '')))
        alone = space in reasons and not camera.keypoints and (not camera.image or 'republish' not in reasons[space])
        (left_out if alone else cameras)[name] = camera
    names = camera_names(spaces)
    return CameraSurvey(
        cameras, left_out, {names[space]: why for space, why in reasons.items() if names[space] in left_out}, others
    )


def _why_left_out(space: str, rank: int, images: Collection[str]) -> str:
    """Return why the images of a namespace are not used unless somebody names them; '' if they are."""
    above, _, last = space.rpartition('/')
    if _NO_IMAGES.fullmatch(last) or rank > len(_IMAGES):
        return 'by its name it holds depth, or images drawn over'
    if _INFRARED.fullmatch(last) and any(f'{above}/{colour}'.strip('/') in images for colour in _COLOUR):
        return 'it is the infrared image of a device whose colour image is used'
    return ''


def _why_packets(topic: Topic) -> str:
    transport = 'theora' if 'theora' in topic.message_type else 'ffmpeg'
    return (
        f"'{topic.name}' holds video packets ({topic.message_type}); make images of them: ros2 run image_transport "
        f'republish {transport} compressed'
    )
