"""/tf_static -> camera poses, and back. Needs tf2_msgs, which the ROS wheels on PyPI lack: imported when used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from ..messages.factory import MessageFactory
from ..messages.transforms import rig_to_transforms_stamped
from ..types import CameraRig
from .qos import profile

TOPIC = '/tf_static'


def subscribe_static_transforms(node: Any, callback: Callable[[Any], None]) -> Any:
    """Return a subscription to /tf_static; ``callback`` gets tf2_msgs/TFMessage, also those sent before.

    Raises:
        ConfigError: if tf2_msgs is not installed.
    """
    kind = transform_message(f'Calibration from {TOPIC}', 'give a rig file with rig:=FILE')
    return node.create_subscription(kind, TOPIC, callback, profile(100, latched=True))


def publish_camera_frames(node: Any, make: MessageFactory, rig: CameraRig, stamp_ns: int) -> Any:
    """Publish world -> optical frame of each camera of ``rig`` on /tf_static; return the publisher, which must live.

    Raises:
        ConfigError: if tf2_msgs is not installed.
    """
    kind = transform_message('publish_camera_frames', 'set it to false')
    publisher = node.create_publisher(kind, TOPIC, profile(1, latched=True))
    publisher.publish(kind(transforms=rig_to_transforms_stamped(make, rig, stamp_ns)))
    return publisher


def transform_message(what: str, otherwise: str) -> Any:
    """Return the class tf2_msgs/TFMessage; raise ConfigError, for ``what`` and what to do ``otherwise``, without it."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError as error:
        raise ConfigError(
            f'{what} needs the ROS package tf2_msgs ({error}). Install ros-$ROS_DISTRO-tf2-msgs, or {otherwise}.'
        ) from error
    return TFMessage
