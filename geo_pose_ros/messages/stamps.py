"""Integer nanoseconds <-> builtin_interfaces/Time, and headers."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from .factory import MessageFactory

_NS_PER_S = 1_000_000_000


def to_time(make: MessageFactory, stamp_ns: int) -> Any:
    """Return builtin_interfaces/Time of ``stamp_ns`` since the epoch.

    Raises:
        ShapeError: if it is outside what the message's 32-bit seconds hold (until 2038).
    """
    sec, nanosec = divmod(int(stamp_ns), _NS_PER_S)
    if not -(2**31) <= sec < 2**31:
        raise ShapeError(f'Stamp {stamp_ns} ns: received {sec} s, expected 32-bit seconds; give nanoseconds.')
    return make('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)


def from_time(time: Any) -> int:
    """Return builtin_interfaces/Time (or Duration) as ns."""
    return int(time.sec) * _NS_PER_S + int(time.nanosec)


def to_header(make: MessageFactory, stamp_ns: int, frame_id: str) -> Any:
    """Return std_msgs/Header."""
    return make('std_msgs/msg/Header', stamp=to_time(make, stamp_ns), frame_id=frame_id)


def stamp_of(message: Any) -> int:
    """Return the acquisition time of a message with a header, ns."""
    return from_time(message.header.stamp)
