"""What the builders need of a message library."""

from __future__ import annotations

from typing import Any, Protocol


class MessageFactory(Protocol):
    """Makes ROS 2 messages: ``make('std_msgs/msg/Header', stamp=..., frame_id='world')``.

    Fields that are not named are zero or empty. Arrays of numbers are given as numpy arrays of the field's dtype,
    arrays of messages as lists. Implementations: ``bags.message_factory.RosbagsFactory`` and
    ``ros.message_factory.RclpyFactory``.
    """

    def __call__(self, message_type: str, /, **fields: Any) -> Any:
        """Return a message of ``message_type`` ('package/msg/Name')."""
        ...
