# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depth images of cameras, and those that belong to colour images."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from ...errors import FrameError
from ...messages.factory import Message
from ...messages.image import depth_from_message
from ...types import Frame

T = TypeVar('T')
# Depth images of a camera that are kept: one to two seconds'.
_KEPT = 60
# A depth image is of a colour image if their stamps differ by less.
_SAME_NS = 20_000_000
# Sides of a registered depth image are as those of its colour image, to this share.
_SAME_ASPECT = 0.02


class DepthImages(Generic[T]):
    """Depth images of the last second, by camera; any thread may call."""

    def __init__(self, decode: Callable[[T], Message], wait_s: float = 0.0) -> None:
        """Start empty.

        Args:
            decode: returns the message of a payload.
            wait_s: how long the depth image of a colour image is waited for, of a camera that sends some.
        """
        self._decode, self._wait_s = decode, wait_s
        self._received: dict[str, deque[tuple[int, T]]] = {}
        self._arrived = threading.Condition()

    def add(self, camera: str, stamp_ns: int, payload: T) -> None:
        """Take a depth image."""
        with self._arrived:
            self._received.setdefault(camera, deque(maxlen=_KEPT)).append((stamp_ns, payload))
            self._arrived.notify_all()

    def with_depth(self, frame: Frame, note: Callable[[str], None]) -> Frame:
        """Return ``frame`` with the depth image of its instant, as it is where there is none.

        ``note`` gets why a depth image cannot be used.
        """
        stamp_ns = frame.stamp_ns
        with self._arrived:
            received = self._received.get(frame.camera)
            if not received:
                return frame
            self._arrived.wait_for(lambda: received[-1][0] > stamp_ns - _SAME_NS, self._wait_s)
            found_ns, payload = min(received, key=lambda one: abs(one[0] - stamp_ns))
        if abs(found_ns - stamp_ns) > _SAME_NS:
            return frame
        try:
            depth_m = depth_from_message(self._decode(payload), frame.camera)
            (width, height), (rows, columns) = frame.raw_size, depth_m.shape
            if abs(columns * height / (rows * width) - 1.0) > _SAME_ASPECT:
                raise FrameError(
                    f"Camera '{frame.camera}': received depth images of {columns}x{rows} px beside colour images of "
                    f'{width}x{height} px, expected the same shape. Let the driver register depth to colour '
                    '(align_depth).'
                )
        except FrameError as error:
            note(str(error))
            return frame
        return replace(frame, depth_m=depth_m)
