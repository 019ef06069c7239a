"""The detector protocol and the registry of its plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol, runtime_checkable

from ..errors import ConfigError
from ..skeleton import Skeleton
from ..types import Frame, Keypoints2D, PredictedPeople
from .settings import DetectorConfig


class Detector(Protocol):
    """Finds people's 2D keypoints in the pictures of any number of cameras.

    Pictures of one camera come in order, one at a time; calls for different cameras may run at the same time, unless
    the detector wants the pictures ``together``.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The joints it returns."""
        ...

    @property
    def together(self) -> bool:
        """Whether one call for all pictures of a set is faster than one for each at the same time, as on a GPU.

        If so, one thread calls.
        """
        ...

    def detect(
        self, frames: Mapping[str, Frame], expected: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of everybody who is seen, raw px, by camera.

        Args:
            frames: pictures by camera name.
            expected: whom the scene expects in them, where it knows; a camera may be missing. A detection made for
                one of them says so in its ``hints``; it is a hint, checked in this one picture only.

        Raises:
            DetectorError: if the model fails.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...


@runtime_checkable
class Adjustable(Detector, Protocol):
    """A detector that takes other thresholds while it runs; any thread may call."""

    def use_min_confidence(self, min_confidence: float) -> None:
        """Do not use keypoints below ``min_confidence`` from now on."""
        ...


# Plugin name -> 'module:factory'; imported when used, so that no vendor library is needed but the chosen one.
_PLUGINS: Mapping[str, str] = {
    'blazepose': 'geo_pose_ros.detection.blazepose.detector:create_blazepose',
    'rtmpose': 'geo_pose_ros.detection.rtmpose.detector:create_rtmpose',
    'keypoints': 'geo_pose_ros.detection.keypoints:KeypointsDetector',
}


def create_detector(config: DetectorConfig) -> Detector:
    """Return the detector that ``config`` names, for all cameras of a process.

    Raises:
        ConfigError: if there is no such plugin.
        DetectorError: if its library or model is missing.
    """
    if config.name not in _PLUGINS:
        raise ConfigError(f"No detector plugin '{config.name}'; known: {', '.join(_PLUGINS)}.")
    module, factory = _PLUGINS[config.name].split(':')
    create: Callable[[DetectorConfig], Detector] = getattr(import_module(module), factory)
    return create(config)
