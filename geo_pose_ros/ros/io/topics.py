# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The topics that a node subscribes to, by camera: templates, single names, remapping and transports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.validate_full_topic_name import validate_full_topic_name
from rclpy.validate_topic_name import validate_topic_name

from ...errors import ConfigError
from ...rigs.topics import COMPRESSED_IMAGE, IMAGE, POINT_CLOUD, fill_template, is_rectified, topics_by_camera
from ...rigs.topics import camera_info_beside as beside_images
from ..settings import NodeConfig

# Transport -> type of its messages.
MESSAGE_TYPES = {'raw': IMAGE, 'compressed': COMPRESSED_IMAGE, 'keypoints': POINT_CLOUD}


@dataclass(frozen=True, slots=True)
class InputTopics:
    """The topics that a node takes from one camera, by their full names.

    Attributes:
        frames: the camera's images or keypoints, by its transport.
        camera_info: its calibration.
        rectified: whether its images are undistorted and turned as P and R of camera_info say.
        by_transport: ``frames`` as it would be by each transport.
        transport: what the camera sends.
    """

    frames: str
    camera_info: str
    rectified: bool
    by_transport: Mapping[str, str]
    transport: str


def transport_of(config: NodeConfig, camera: str) -> str:
    """Return what ``camera`` sends: keypoints where a detector elsewhere does its work."""
    return 'keypoints' if camera in config.keypoints_cameras else config.transport


def sends_only_keypoints(config: NodeConfig, cameras: Sequence[str]) -> bool:
    """Return whether detectors elsewhere do the work of all ``cameras``."""
    return all(transport_of(config, name) == 'keypoints' for name in cameras)


def input_topics(node: Node, config: NodeConfig, cameras: Sequence[str]) -> dict[str, InputTopics]:
    """Return the topics of all cameras as ``node`` expands and remaps them.

    Remapping is of the image topic itself: the transport is added behind it, as image_transport does.

    Raises:
        ConfigError: for a template with other fields than {camera}, an impossible name, a name of no camera, or
            cameras that share a topic.
    """
    unknown = sorted(set(config.keypoints_cameras) - set(cameras))
    if unknown:
        raise ConfigError(f'keypoints_cameras: received {unknown}, expected some of {", ".join(cameras)}.')
    images = topics_by_camera('image_topics', config.image_topics, cameras)
    infos = topics_by_camera('camera_info_topics', config.camera_info_topics, cameras)
    keypoints = topics_by_camera('keypoints_topics', config.keypoints_topics, cameras)
    topics = {}
    for name in cameras:
        image = full_name(node, images.get(name, config.image_topic), name)
        beside = beside_images(image) if name in images else config.camera_info_topic
        by_transport = {
            'raw': image, 'compressed': node.resolve_topic_name(f'{image}/compressed'),
            'keypoints': full_name(node, keypoints.get(name, config.keypoints_topic), name),
        }
        transport = transport_of(config, name)
        frames = by_transport[transport]
        named = transport != 'keypoints' and is_rectified(image)
        rectified = config.rectified == 'yes' or (config.rectified == 'auto' and named)
        topics[name] = InputTopics(
            frames, full_name(node, infos.get(name, beside), name), rectified, by_transport, transport
        )
    _refuse_shared(topics)
    return topics


def fill(template: str, camera: str) -> str:
    """Return the topic of ``camera``.

    Raises:
        ConfigError: if the template has other fields than {camera}, or no topic name comes of it.
    """
    topic = fill_template(template, camera)
    try:
        validate_topic_name(topic)
        if topic.startswith('/'):
            # Finds // too.
            validate_full_topic_name(topic)
    except InvalidTopicNameException as error:
        reason = ' '.join(str(error).split())
        raise ConfigError(f"Camera '{camera}', topic template '{template}': {reason}. Rename it.") from error
    return topic


def full_name(node: Node, template: str, camera: str) -> str:
    """Return the topic of ``camera`` as ``node`` expands and remaps it; raise ConfigError as ``fill`` does."""
    return str(node.resolve_topic_name(fill(template, camera)))


def _refuse_shared(topics: Mapping[str, InputTopics]) -> None:
    by_topic: dict[str, list[str]] = {}
    for name, of_camera in topics.items():
        by_topic.setdefault(of_camera.frames, []).append(name)
    for topic, names in by_topic.items():
        if len(names) > 1:
            raise ConfigError(
                f"The cameras {', '.join(names)} share the topic '{topic}'. Put {{camera}} into its template, or give "
                'each its own (image_topics, keypoints_topics: camera=topic).'
            )
