# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""/tf and /tf_static of a live node, in and out.

tf2_ros reads them where it is installed, else the package's own reader. The messages need tf2_msgs, which the ROS
wheels on PyPI lack.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Protocol

import numpy as np
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.subscription import Subscription
from rclpy.time import Time

from ...arrays import FloatArray
from ...errors import TransformError
from ...geometry.rigid import from_quaternion
from ...messages.factory import Message, MessageFactory
from ...messages.transforms import rig_to_transforms_stamped
from ...rigs.topics import TF_MESSAGE
from ...rigs.transform_buffer import TransformBuffer, TransformSource
from ...types import CameraRig
from .message_factory import message_class
from .qos import profile

_TF_STATIC = '/tf_static'
# As tf2_ros.TransformListener has it.
_DEPTH = 100


def transform_message(what: str, otherwise: str) -> Message:
    """Return the class tf2_msgs/TFMessage; raise ConfigError, for ``what`` and what to do ``otherwise``, without it."""
    return message_class(TF_MESSAGE, what, otherwise)


class LiveTransforms(TransformSource, Protocol):
    """A thread-safe source that listens until it is closed."""

    def close(self) -> None:
        """Stop listening."""


def listen_to_transforms(node: Node, complain: Callable[[str], None]) -> LiveTransforms:
    """Return what listens to /tf and /tf_static; ``complain`` gets what is wrong with a message, in words.

    Raises:
        ConfigError: if neither tf2_ros nor tf2_msgs is installed.
    """
    return Tf2Transforms(node) if find_spec('tf2_ros') is not None else OwnTransforms(node, complain)


class OwnTransforms:
    """The package's own reader."""

    def __init__(self, node: Node, complain: Callable[[str], None]) -> None:
        """Subscribe; raise ConfigError if tf2_msgs is not installed."""
        kind = transform_message('Cameras that move', 'set no tracking_frame')
        self._node, self._complain = node, complain
        self._lock = threading.Lock()
        self._buffer = TransformBuffer()
        self._inputs = [
            node.create_subscription(kind, '/tf', partial(self.add, static=False), profile(_DEPTH)),
            node.create_subscription(kind, _TF_STATIC, partial(self.add, static=True), profile(_DEPTH, latched=True)),
        ]

    def add(self, message: Message, *, static: bool) -> None:
        """Take a TFMessage."""
        with self._lock:
            wrong = self._buffer.add(message.transforms, static=static)
        if wrong:
            self._complain(wrong)

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> FloatArray:
        """See TransformSource."""
        with self._lock:
            return self._buffer.lookup(target, source, stamp_ns)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._inputs:
            self._node.destroy_subscription(subscription)


class Tf2Transforms:
    """tf2_ros.Buffer and its listener, which the node's executor feeds."""

    def __init__(self, node: Node) -> None:
        """Subscribe."""
        import tf2_ros

        self._errors = tf2_ros.TransformException
        self._outside = tf2_ros.ExtrapolationException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)
        # For simulated time that begins again. The buffer itself watches the node's clock only with a service that it
        # never destroys, and on Humble not at all.
        self._jumps = node.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True),
            post_callback=lambda jump: self._buffer.clear(),
        )

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> FloatArray:
        """See TransformSource."""
        # Time 0 asks tf2 for the newest; it takes no negative time.
        instant = Time(nanoseconds=0 if stamp_ns is None else max(stamp_ns, 1))
        try:
            stamped = self._buffer.lookup_transform(target, source, instant)
        except self._errors as error:
            text = f"'{source}' in '{target}': {error}"
            if not isinstance(error, self._outside):
                raise TransformError('missing', text) from error
            raise TransformError('old' if 'into the past' in str(error) else 'late', text) from error
        t, q = stamped.transform.translation, stamped.transform.rotation
        return from_quaternion(np.array([q.x, q.y, q.z, q.w]), np.array([t.x, t.y, t.z]))

    def close(self) -> None:
        """Unsubscribe."""
        self._jumps.unregister()
        self._listener.unregister()


def subscribe_static_transforms(node: Node, callback: Callable[[Message], None]) -> Subscription[Message]:
    """Return a subscription to /tf_static; ``callback`` gets tf2_msgs/TFMessage, also those sent before.

    Raises:
        ConfigError: if tf2_msgs is not installed.
    """
    kind = transform_message(f'Calibration from {_TF_STATIC}', 'give a rig file with rig:=FILE')
    return node.create_subscription(kind, _TF_STATIC, callback, profile(_DEPTH, latched=True))


class CameraFrames:
    """World -> optical frame of each camera of a rig, on /tf_static; thread-safe."""

    def __init__(self, node: Node, make: MessageFactory) -> None:
        """Prepare; raise ConfigError if tf2_msgs is not installed."""
        self._node, self._make = node, make
        self._kind = transform_message('publish_camera_frames', 'set it to false')
        self._publisher: Publisher[Message] | None = None
        self._lock = threading.Lock()

    def publish(self, rig: CameraRig) -> None:
        """Publish the frames of ``rig`` instead of what was published before."""
        stamp_ns = self._node.get_clock().now().nanoseconds
        message = self._kind(transforms=rig_to_transforms_stamped(self._make, rig, stamp_ns))
        with self._lock:
            before = self._publisher
            # A new publisher: late subscribers get its last message, and no frames that are gone.
            self._publisher = self._node.create_publisher(self._kind, _TF_STATIC, profile(1, latched=True))
            self._publisher.publish(message)
            if before is not None:
                self._node.destroy_publisher(before)

    def close(self) -> None:
        """Publish them no longer."""
        with self._lock:
            publisher, self._publisher = self._publisher, None
        if publisher is not None:
            self._node.destroy_publisher(publisher)
