"""/tf_static -> camera poses, and back. Needs tf2_msgs, which the ROS wheels on PyPI lack: imported when used."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ...errors import ConfigError
from ...messages.factory import MessageFactory
from ...messages.transforms import rig_to_transforms_stamped
from ...types import CameraRig
from .qos import profile

TOPIC = '/tf_static'


def subscribe_static_transforms(node: Any, callback: Callable[[Any], None]) -> Any:
    """Return a subscription to /tf_static; ``callback`` gets tf2_msgs/TFMessage, also those sent before.

    Raises:
        ConfigError: if tf2_msgs is not installed.
    """
    kind = transform_message(f'Calibration from {TOPIC}', 'give a rig file with rig:=FILE')
    return node.create_subscription(kind, TOPIC, callback, profile(100, latched=True))


class CameraFrames:
    """World -> optical frame of each camera of a rig, on /tf_static; thread-safe."""

    def __init__(self, node: Any, make: MessageFactory) -> None:
        """Prepare; raise ConfigError if tf2_msgs is not installed."""
        self._node, self._make = node, make
        self._kind = transform_message('publish_camera_frames', 'set it to false')
        self._publisher: Any = None
        self._lock = threading.Lock()

    def publish(self, rig: CameraRig) -> None:
        """Publish the frames of ``rig`` instead of what was published before."""
        stamp_ns = self._node.get_clock().now().nanoseconds
        message = self._kind(transforms=rig_to_transforms_stamped(self._make, rig, stamp_ns))
        with self._lock:
            before = self._publisher
            # Anew: who comes later gets what this publisher sent last, and nothing of frames that are gone.
            self._publisher = self._node.create_publisher(self._kind, TOPIC, profile(1, latched=True))
            self._publisher.publish(message)
            if before is not None:
                self._node.destroy_publisher(before)

    def close(self) -> None:
        """Publish them no longer."""
        with self._lock:
            publisher, self._publisher = self._publisher, None
        if publisher is not None:
            self._node.destroy_publisher(publisher)


def transform_message(what: str, otherwise: str) -> Any:
    """Return the class tf2_msgs/TFMessage; raise ConfigError, for ``what`` and what to do ``otherwise``, without it."""
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError as error:
        raise ConfigError(
            f'{what} needs the ROS package tf2_msgs ({error}). Install ros-$ROS_DISTRO-tf2-msgs, or {otherwise}.'
        ) from error
    return TFMessage
