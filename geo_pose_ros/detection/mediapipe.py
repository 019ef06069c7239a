"""BlazePose by mediapipe, Apache-2.0: a graph over the weights inside the wheel, or the Tasks API.

Graphs in Python and the weights end with mediapipe 0.10; the Tasks API takes a model file that one downloads
(pose_landmarker_*.task) and is all that mediapipe 1.0 has.

Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020. One person per image, 33 landmarks.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..config import DetectorConfig
from ..errors import DetectorError
from ..skeleton import BLAZEPOSE33, Skeleton
from ..types import Frame, Keypoints2D
from .blazepose import BlazePose, has_blazepose

_REMEDY = "Install it: pip install --no-deps 'mediapipe==0.10.14' (Python <= 3.12), or choose another detector."


@contextlib.contextmanager
def _native_stderr_muted() -> Iterator[None]:
    """Silence mediapipe's C++ start-up log lines, which look like errors and are none."""
    sys.stderr.flush()
    saved = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


class MediapipeDetector:
    """BlazePose on the frames of one camera; tracks the person from frame to frame."""

    def __init__(self, config: DetectorConfig, camera: str) -> None:
        """Load the model.

        Raises:
            DetectorError: if mediapipe is missing, or of a version that does not bring BlazePose.
        """
        mediapipe = _import_mediapipe()
        if not has_blazepose(mediapipe):
            raise DetectorError(
                f"Detector 'mediapipe': version {mediapipe.__version__} has no BlazePose in its wheel: give the path "
                f'of a pose_landmarker_*.task as model. {_REMEDY}'
            )
        self._camera = camera
        try:
            with _native_stderr_muted():
                self._pose = BlazePose(mediapipe)
                self._pose.find(np.zeros((64, 64, 3), np.uint8))
        except (RuntimeError, ValueError) as error:
            raise DetectorError(
                f"Detector 'mediapipe': version {mediapipe.__version__} does not run our graph: {error}. {_REMEDY}"
            ) from error

    @property
    def skeleton(self) -> Skeleton:
        """BlazePose's 33 landmarks."""
        return BLAZEPOSE33

    def detect(self, frame: Frame) -> Keypoints2D:
        """Return the keypoints of one person or none, px of ``frame``; landmarks outside the image are NaN.

        Raises:
            DetectorError: if the graph fails.
        """
        try:
            landmarks = self._pose.find(cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB))
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f"Detector 'mediapipe' failed on camera '{self._camera}': {error}") from error
        return _keypoints(frame, landmarks)

    def reset(self) -> None:
        """Run the person detector on the next image instead of following the last pose."""
        self._pose.forget()

    def close(self) -> None:
        """Free the graph."""
        self._pose.close()


class MediapipeTasksDetector:
    """BlazePose by the Tasks API on the frames of one camera, in video mode."""

    def __init__(self, config: DetectorConfig, camera: str) -> None:
        """Load the model file that ``config`` names.

        Raises:
            DetectorError: if mediapipe or the file is missing, or is not a pose landmarker.
        """
        mediapipe = _import_mediapipe()
        if not Path(config.model).is_file():
            raise DetectorError(
                f"Detector 'mediapipe': the model '{config.model}' does not exist. Download a pose_landmarker_*.task "
                'and give its path.'
            )
        self._camera = camera
        self._mediapipe = mediapipe
        self._last_ms = -1
        tasks = mediapipe.tasks
        try:
            with _native_stderr_muted():
                self._landmarker: Any = tasks.vision.PoseLandmarker.create_from_options(
                    tasks.vision.PoseLandmarkerOptions(
                        base_options=tasks.BaseOptions(model_asset_path=config.model),
                        running_mode=tasks.vision.RunningMode.VIDEO,
                    )
                )
        except (RuntimeError, ValueError) as error:
            raise DetectorError(
                f"Detector 'mediapipe' cannot load '{config.model}': {error}. Give a pose_landmarker_*.task file."
            ) from error

    @property
    def skeleton(self) -> Skeleton:
        """BlazePose's 33 landmarks."""
        return BLAZEPOSE33

    def detect(self, frame: Frame) -> Keypoints2D:
        """Return the keypoints of one person or none, px of ``frame``; landmarks outside the image are NaN.

        Raises:
            DetectorError: if the graph fails.
        """
        # The graph wants milliseconds that grow, also where a bag starts again.
        self._last_ms = max(self._last_ms + 1, frame.stamp_ns // 1_000_000)
        image = self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB)
        )
        try:
            found = self._landmarker.detect_for_video(image, self._last_ms).pose_landmarks
        except (RuntimeError, ValueError) as error:
            raise DetectorError(f"Detector 'mediapipe' failed on camera '{self._camera}': {error}") from error
        return _keypoints(frame, found[0] if found else None)

    def reset(self) -> None:
        """Nothing: the Tasks API cannot be told to forget; it looks again by itself when it loses the person."""

    def close(self) -> None:
        """Free the graph."""
        self._landmarker.close()


def create_mediapipe(config: DetectorConfig, camera: str) -> MediapipeDetector | MediapipeTasksDetector:
    """Return the wheel's detector, or with a model file the Tasks API's; raise DetectorError as they do."""
    return MediapipeTasksDetector(config, camera) if config.model else MediapipeDetector(config, camera)


def _import_mediapipe() -> Any:
    try:
        import mediapipe
    except ImportError as error:
        raise DetectorError(f"Detector 'mediapipe': cannot be imported ({error}). {_REMEDY}") from error
    return mediapipe


def _keypoints(frame: Frame, landmarks: Any) -> Keypoints2D:
    """Return mediapipe's normalised landmarks of one person, or of nobody, as keypoints."""
    if landmarks is None:
        return Keypoints2D.empty(frame.camera, frame.stamp_ns, BLAZEPOSE33)
    height, width = frame.image.shape[:2]
    marks = np.array([(m.x, m.y, m.visibility) for m in landmarks])
    # Normalised coordinates span the image's outer edges; ours count from the centre of the first pixel.
    xy = marks[:, :2] * (width, height) - 0.5
    inside = ((marks[:, :2] >= 0.0) & (marks[:, :2] <= 1.0)).all(-1)
    confidence = np.where(inside, np.clip(marks[:, 2], 0.0, 1.0), 0.0)
    xy[~inside] = np.nan
    return Keypoints2D(frame.camera, frame.stamp_ns, BLAZEPOSE33, xy[None], confidence[None])
