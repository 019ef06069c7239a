# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Integer nanoseconds <-> builtin_interfaces/Time, and headers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import NS_PER_S, IntArray
from ..errors import ShapeError
from .factory import Message, MessageFactory


def to_time(make: MessageFactory, stamp_ns: int) -> Message:
    """Return builtin_interfaces/Time of ``stamp_ns`` since the epoch.

    Raises:
        ShapeError: if it is outside what the message's 32-bit seconds hold (until 2038).
    """
    sec, nanosec = divmod(int(stamp_ns), NS_PER_S)
    if not -(2**31) <= sec < 2**31:
        raise ShapeError(f'Stamp {stamp_ns} ns: received {sec} s, expected 32-bit seconds; give nanoseconds.')
    return make('builtin_interfaces/msg/Time', sec=sec, nanosec=nanosec)


def from_time(time: Message) -> int:
    """Return builtin_interfaces/Time (or Duration) as ns."""
    return int(time.sec) * NS_PER_S + int(time.nanosec)


def to_header(make: MessageFactory, stamp_ns: int, frame_id: str) -> Message:
    """Return std_msgs/Header."""
    return make('std_msgs/msg/Header', stamp=to_time(make, stamp_ns), frame_id=frame_id)


def stamp_of(message: Message) -> int:
    """Return the acquisition time of a message with a header, ns."""
    return from_time(message.header.stamp)


# What is said of frames without a stamp.
NO_STAMP = 'its stamps are 0; the time of arrival stands for them. Let its driver stamp at acquisition'


def stamp_or_arrival(stamp_ns: int, arrived_ns: int) -> int:
    """Return the time of a frame: its stamp, or its arrival where the driver leaves the stamp at 0.

    All frames without a stamp would be of one instant, and none but the first be used.
    """
    return stamp_ns or arrived_ns


def nearest_indices(stamps_ns: ArrayLike, at_ns: ArrayLike, within_ns: float) -> IntArray:
    """Return for each of ``at_ns`` (M,) the index of the nearest of ``stamps_ns`` (N,), -1 where none is near.

    Args:
        stamps_ns: ascending; of two that are equally near the earlier one is taken.
        at_ns: in any order.
        within_ns: the largest distance of a stamp that is near.
    """
    stamps, at = np.asarray(stamps_ns, np.int64), np.asarray(at_ns, np.int64)
    if not len(stamps):
        return np.full(len(at), -1, np.int64)
    after = np.searchsorted(stamps, at).clip(0, len(stamps) - 1)
    before = np.maximum(after - 1, 0)
    index = np.where(np.abs(stamps[after] - at) < np.abs(stamps[before] - at), after, before)
    return np.where(np.abs(stamps[index] - at) <= within_ns, index, -1).astype(np.int64)
