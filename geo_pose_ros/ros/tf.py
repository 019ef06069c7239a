"""/tf_static -> camera poses. Needs tf2_msgs, which the ROS wheels on PyPI lack: imported when used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ConfigError
from .qos import profile

TOPIC = '/tf_static'


def subscribe_static_transforms(node: Any, callback: Callable[[Any], None]) -> Any:
    """Return a subscription to /tf_static; ``callback`` gets tf2_msgs/TFMessage, also those sent before.

    Raises:
        ConfigError: if tf2_msgs is not installed.
    """
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError as error:
        raise ConfigError(
            f'Extrinsics from {TOPIC} need the ROS package tf2_msgs ({error}). Install ros-$ROS_DISTRO-tf2-msgs, '
            'or give a rig file with rig:=...'
        ) from error
    return node.create_subscription(TFMessage, TOPIC, callback, profile(100, latched=True))
