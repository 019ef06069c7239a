"""/tf and /tf_static of a live node: tf2_ros where it is installed, the package's own reader where it is not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.time import Time

from ...arrays import FloatArray
from ...errors import TransformError
from ...geometry.rigid import from_quaternion
from ...rigs.transform_buffer import TransformBuffer, TransformSource
from .qos import profile
from .tf import transform_message

# Of tf2_ros.TransformListener.
_DEPTH = 100


class LiveTransforms(TransformSource, Protocol):
    """A thread-safe source that listens until it is closed."""

    def close(self) -> None:
        """Stop listening."""


def listen_to_transforms(node: Any, complain: Callable[[str], None]) -> LiveTransforms:
    """Return what listens to /tf and /tf_static; ``complain`` gets what is wrong with a message, in words.

    Raises:
        ConfigError: if neither tf2_ros nor tf2_msgs is installed.
    """
    return Tf2Transforms(node) if find_spec('tf2_ros') is not None else OwnTransforms(node, complain)


class OwnTransforms:
    """The package's own reader."""

    def __init__(self, node: Any, complain: Callable[[str], None]) -> None:
        """Subscribe; raise ConfigError if tf2_msgs is not installed."""
        kind = transform_message('Cameras that move', 'set no tracking_frame')
        self._node, self._complain = node, complain
        self._lock = threading.Lock()
        self._buffer = TransformBuffer()
        self._inputs = [
            node.create_subscription(kind, '/tf', partial(self.add, static=False), profile(_DEPTH)),
            node.create_subscription(kind, '/tf_static', partial(self.add, static=True), profile(_DEPTH, latched=True)),
        ]

    def add(self, message: Any, *, static: bool) -> None:
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

    def __init__(self, node: Any) -> None:
        """Subscribe."""
        import tf2_ros

        self._errors = tf2_ros.TransformException
        self._outside = tf2_ros.ExtrapolationException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)
        # Simulated time that begins anew. The buffer by itself watches the node's clock only beside a service that it
        # leaves behind, and on Humble not at all.
        self._jumps = node.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True),
            post_callback=lambda jump: self._buffer.clear(),
        )

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> FloatArray:
        """See TransformSource."""
        # Time 0 is tf2's word for the newest; before it there is no time.
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
