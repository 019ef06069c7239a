# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Cameras on this machine or in the network, by OpenCV, and topics; recorded videos stand in for them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from ..bags.videos import Video
from ..errors import BagError, ConfigError
from ..rigs.files import ros_name
from ..rigs.topics import namespace_of
from ..types import Frame, Intrinsics

# A device that gives no image for so long is gone.
SILENT_S = 5.0


class LiveCamera(Protocol):
    """Gives the images of a camera one after the other."""

    @property
    def intrinsics(self) -> Intrinsics | None:
        """Its lens; None where nothing says it."""

    def read(self) -> Frame | None:
        """Return the next image, None after the last; a device's is the newest that was not returned yet."""

    def close(self) -> None:
        """Stop."""


class LiveCameras(AbstractContextManager['LiveCameras']):
    """Several cameras, read together; a context manager."""

    def __init__(self, sources: Mapping[str, str | LiveCamera]) -> None:
        """Open them.

        Args:
            sources: by camera: the number of a device, the address of a stream, or a video file; or what is open.

        Raises:
            BagError: if one cannot be opened.
        """
        self._cameras: dict[str, LiveCamera] = {}
        try:
            for name, source in sources.items():
                if isinstance(source, str):
                    source = _Recorded(name, source) if Path(source).is_file() else _Device(name, source)
                self._cameras[name] = source
        except BagError:
            self.__exit__()
            raise

    @property
    def intrinsics(self) -> dict[str, Intrinsics]:
        """The lenses of the cameras that say theirs."""
        return {name: lens for name, camera in self._cameras.items() if (lens := camera.intrinsics) is not None}

    def read(self) -> dict[str, Frame] | None:
        """Return an image of each camera, of about the same time; None once a camera has no more.

        Raises:
            BagError: if a device gives no image any more.
        """
        frames = {name: camera.read() for name, camera in self._cameras.items()}
        there = {name: frame for name, frame in frames.items() if frame is not None}
        return there if len(there) == len(frames) else None

    def __exit__(self, *_: object) -> None:
        for camera in self._cameras.values():
            camera.close()


class _Recorded:
    intrinsics = None

    def __init__(self, name: str, source: str) -> None:
        self._frames: Iterator[Frame] = Video(Path(source), name, None).frames(0)

    def read(self) -> Frame | None:
        return next(self._frames, None)

    def close(self) -> None:
        return


class _Device:
    """A thread reads what comes, so that no image waits in a buffer."""

    intrinsics = None

    def __init__(self, name: str, source: str) -> None:
        self._name, self._source = name, source
        self._capture = cv2.VideoCapture(int(source) if source.isdigit() else source)
        if not self._capture.isOpened():
            raise BagError(
                f"Camera '{name}': '{source}' cannot be opened, expected the number of a device (0, 1, ...), the "
                'address of a stream, or a video. Another program may use the device.'
            )
        self._news = threading.Condition()
        self._newest: Frame | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=f'camera {name}', daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped:
            ok, image = self._capture.read()
            if not ok:
                break
            with self._news:
                self._newest = Frame(self._name, time.time_ns(), np.asarray(image, np.uint8))
                self._news.notify()

    def read(self) -> Frame | None:
        with self._news:
            if not self._news.wait_for(lambda: self._newest is not None, SILENT_S):
                raise BagError(f"Camera '{self._name}' gives no image any more; plug '{self._source}' in again.")
            frame, self._newest = self._newest, None
            return frame

    def close(self) -> None:
        self._stopped = True
        self._thread.join(SILENT_S)
        self._capture.release()


def is_topic(source: str) -> bool:
    """Return whether a source is a topic: an absolute name as ROS has them that is no path of this machine."""
    folders = Path(source).parents[:-1]
    return re.fullmatch(r'(/[A-Za-z_]\w*)+', source) is not None and not any(folder.exists() for folder in folders)


def parse_sources(words: Sequence[str]) -> dict[str, str]:
    """Return sources by camera, of words as 'left=0', '1' (camera1), 'walk/cam2.mp4' (cam2), '/cam3/image_raw' (cam3).

    Raises:
        ConfigError: if two have one name.
    """
    found: dict[str, str] = {}
    for word in words:
        name, mark, source = word.partition('=')
        if not mark or '/' in name:
            source = word
            name = f'camera{word}' if word.isdigit() else Path(namespace_of(word) if is_topic(word) else word).stem
        if ros_name(name) in found:
            raise ConfigError(f"--live: two cameras are called '{ros_name(name)}'; name them: left=0 right=1.")
        found[ros_name(name)] = source
    return found
