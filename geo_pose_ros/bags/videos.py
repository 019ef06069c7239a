# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Videos as frames with their times, upright as their containers say, alike with every OpenCV."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..arrays import UInt8Array
from ..errors import BagError
from ..types import Frame

_LOG = logging.getLogger(__name__)

# Clockwise turn in degrees -> OpenCV's name of it.
_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
# OpenCV to 4.6 gives no times to the frames that a decoder of H.264 or H.265 still holds at the end; these hold 16.
_HELD_FRAMES = 16


class Video:
    """An open video whose frames are read in order, with their times.

    Attributes:
        camera: whose video it is.
        turned_deg: its frames are turned clockwise by so much, as the container asks for.
        fps: its nominal rate, or the given one.
        width, height: of the turned frames, px.
        stated_frames: how many frames it says to hold; 0: it does not say.

    Raises:
        BagError: if it cannot be opened, or does not say its rate.
    """

    def __init__(self, path: Path, camera: str, fps: float | None) -> None:
        self.camera = camera
        self._path = path
        self._capture = cv2.VideoCapture(str(path))
        if not path.is_file() or not self._capture.isOpened():
            raise BagError(f"Video '{path}' cannot be opened. Give an existing video that OpenCV's FFmpeg can decode.")
        self.turned_deg = self._turn_ourselves()
        self._use_rate = fps is not None
        self.fps = float(self._capture.get(cv2.CAP_PROP_FPS)) if fps is None else fps
        if not self.fps > 0.0:
            raise BagError(f"Video '{path}' does not say its frame rate. Give it with --fps.")
        size = [int(self._capture.get(key)) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        self.width, self.height = size[::-1] if self.turned_deg in (90, 270) else size
        self.stated_frames = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))

    def _turn_ourselves(self) -> int:
        """Keep OpenCV from turning frames; return the clockwise turn in degrees that the container asks for.

        OpenCV 4.6 takes the turn of the container's matrix, which is counterclockwise, for a clockwise one
        (opencv/opencv#22088); older and newer ones do not.
        """
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        flag = round(float(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)))
        return (-flag if cv2.__version__.startswith('4.6.') else flag) % 360

    def frames(self, start_ns: int) -> Iterator[Frame]:
        """Yield the frames, the first at ``start_ns``; times are the container's, or the given rate's.

        A frame whose time does not follow the one before comes one period after it.
        """
        period_ns = 1e9 / self.fps
        number, untimed, first_ms, last_ns = 0, 0, 0.0, -1
        while True:
            ok, stored = self._capture.read()
            if not ok:
                break
            at_ms = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
            if number == 0:
                first_ms = at_ms
            image = self._turned(np.asarray(stored, np.uint8))
            offset_ns = round(number * period_ns) if self._use_rate else round((at_ms - first_ms) * 1e6)
            untimed = 0 if offset_ns > last_ns else untimed + 1
            if untimed:
                offset_ns = last_ns + round(period_ns)
            if untimed == _HELD_FRAMES + 1:
                _LOG.warning("Video '%s' has no usable times from frame %d on; the rate %g is used.",
                             self._path, number - _HELD_FRAMES, self.fps)
            yield Frame(self.camera, start_ns + offset_ns, image)
            number, last_ns = number + 1, offset_ns
        self._capture.release()
        if number == 0:
            raise BagError(f"Video '{self._path}' holds no frame that can be decoded.")
        # Some containers only estimate their number of frames.
        if number < self.stated_frames - 1:
            _LOG.warning("Video '%s' ends after %d of %d frames; it is cut off or damaged there.",
                         self._path, number, self.stated_frames)

    def _turned(self, image: UInt8Array) -> UInt8Array:
        """Return a frame upright; raise BagError for one of another size than the video's."""
        if self.turned_deg in _TURNS:
            image = np.asarray(cv2.rotate(image, _TURNS[self.turned_deg]), np.uint8)
        if image.shape[:2] != (self.height, self.width):
            raise BagError(
                f"Video '{self._path}': a frame of {image.shape[1]}x{image.shape[0]} px in a video of "
                f'{self.width}x{self.height} px; encode it at one size.'
            )
        return image
