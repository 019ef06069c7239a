"""The detector protocol and the registry of its plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol

from ..config import DetectorConfig
from ..errors import ConfigError
from ..skeleton import Skeleton
from ..types import Frame, Keypoints2D


class Detector(Protocol):
    """Finds people's 2D keypoints in the images of one camera.

    One instance serves one camera, from one thread at a time, so that it may track from frame to frame; instances
    of several cameras run in parallel.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The joints it returns."""
        ...

    def detect(self, frame: Frame) -> Keypoints2D:
        """Return keypoints (P, J) in px of ``frame``; raise DetectorError if the model fails."""
        ...

    def reset(self) -> None:
        """Forget what was tracked: look at the whole of the next image."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


# Plugin name -> 'module:factory'; imported when used, so that no vendor library is needed but the chosen one.
_PLUGINS: Mapping[str, str] = {
    'mediapipe': 'geo_pose_ros.detection.mediapipe:create_mediapipe',
    'rtmpose': 'geo_pose_ros.detection.rtmpose:RtmposeDetector',
    'keypoints': 'geo_pose_ros.detection.keypoints:KeypointsDetector',
}


def create_detector(config: DetectorConfig, camera: str) -> Detector:
    """Return the detector that ``config`` names, for one camera.

    Raises:
        ConfigError: if there is no such plugin.
        DetectorError: if its library or model is missing.
    """
    if config.name not in _PLUGINS:
        raise ConfigError(f"No detector plugin '{config.name}'; known: {', '.join(_PLUGINS)}.")
    module, factory = _PLUGINS[config.name].split(':')
    create: Callable[[DetectorConfig, str], Detector] = getattr(import_module(module), factory)
    return create(config, camera)
