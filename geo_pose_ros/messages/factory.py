# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What the builders need of a message library."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

# A ROS 2 message. Its class is made at run time, by rclpy or rosbags, so that no type checker knows its fields.
Message: TypeAlias = Any


class MessageFactory(Protocol):
    """Makes ROS 2 messages: ``make('std_msgs/msg/Header', stamp=..., frame_id='world')``.

    Fields that are not named are zero or empty. Arrays of numbers are given as numpy arrays of the field's dtype,
    arrays of messages as lists. Implementations: ``bags.message_factory.RosbagsFactory`` and
    ``ros.io.message_factory.RclpyFactory``.
    """

    def __call__(self, message_type: str, /, **fields: object) -> Message:
        """Return a message of ``message_type`` ('package/msg/Name')."""

    def __hash__(self) -> int: ...
