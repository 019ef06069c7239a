"""The detector of cameras whose keypoints arrive by topic: it never looks at an image.

With it the node subscribes to ``<camera>/keypoints`` and a bag is processed from its recorded keypoints; both hand
them to ``PosePipeline.fuse``. It exists so that a set-up which sends it images fails with a reason.
"""

from __future__ import annotations

from ..config import DetectorConfig
from ..errors import DetectorError
from ..skeleton import BODY17, Skeleton
from ..types import Frame, Keypoints2D


class KeypointsDetector:
    """Stands for a detector elsewhere."""

    def __init__(self, config: DetectorConfig, camera: str) -> None:
        """Nothing to load."""
        self._camera = camera

    @property
    def skeleton(self) -> Skeleton:
        """body17; what arrives says its own."""
        return BODY17

    def detect(self, frame: Frame) -> Keypoints2D:
        """Refuse an image; raise DetectorError."""
        raise DetectorError(
            f"Camera '{self._camera}' sent an image, but detector 'keypoints' expects keypoints made elsewhere. Set "
            'transport to keypoints, or choose a detector for images.'
        )

    def reset(self) -> None:
        """Nothing is tracked here."""

    def close(self) -> None:
        """Nothing to free."""
