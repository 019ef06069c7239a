# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The detector protocol and the registry of its plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol, runtime_checkable

from ..errors import ConfigError, DetectorError
from ..skeleton import BODY17, Skeleton
from ..types import Frame, Keypoints2D, PredictedPeople
from .settings import DetectorConfig


class Detector(Protocol):
    """Finds people's 2D keypoints in the images of any number of cameras.

    Images of one camera come in order, one at a time. Calls for different cameras may run at the same time, unless
    the detector ``is_batched``.
    """

    @property
    def skeleton(self) -> Skeleton:
        """The joints it returns."""

    @property
    def is_batched(self) -> bool:
        """Whether one call for all images of a set is faster than concurrent calls, as on a GPU; one thread calls."""

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Return the keypoints of all people in the images, raw px, by camera.

        Args:
            frames: images by camera name.
            predicted: the people that the scene predicts in them; a camera may be missing. A detection of a predicted
                person has the person's id in ``hints``; a hint is checked in this one image only.

        Raises:
            DetectorError: if the model fails.
        """

    def close(self) -> None:
        """Free the model."""


@runtime_checkable
class Adjustable(Detector, Protocol):
    """A detector whose threshold can change while it runs; any thread may call."""

    def use_min_confidence(self, min_confidence: float) -> None:
        """Do not use keypoints below ``min_confidence`` from now on."""


class KeypointsDetector:
    """The detector of cameras whose keypoints arrive by topic: it takes no image, and says so.

    The node subscribes to ``<camera>/keypoints``, and a bag is processed from its recorded keypoints; both hand them to
    ``PosePipeline.fuse``. What arrives says its own skeleton.
    """

    skeleton = BODY17
    is_batched = False

    def __init__(self, config: DetectorConfig) -> None:
        """Nothing to load."""

    def detect(
        self, frames: Mapping[str, Frame], predicted: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        """Refuse images; raise DetectorError."""
        raise DetectorError(
            f"Camera '{', '.join(frames)}' sent an image, but detector 'keypoints' takes keypoints made elsewhere. "
            'Set transport to keypoints, or choose a detector for images.'
        )

    def close(self) -> None:
        """Nothing to free."""


# Plugin name -> 'module:factory'; imported when used, so that no other vendor library is needed.
_PLUGINS: Mapping[str, str] = {
    'blazepose': 'geo_pose_ros.detection.shipped:create_shipped',
    'movenet': 'geo_pose_ros.detection.shipped:create_shipped',
    'rtmpose': 'geo_pose_ros.detection.rtmpose.detector:create_rtmpose',
    'keypoints': 'geo_pose_ros.detection.base:KeypointsDetector',
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
