# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The detector of cameras whose keypoints arrive by topic: it takes no image.

With it the node subscribes to ``<camera>/keypoints``, and a bag is processed from its recorded keypoints; both hand
them to ``PosePipeline.fuse``. It exists so that a set-up that sends it images fails with a reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import DetectorError
from ..skeleton import BODY17
from ..types import Frame, Keypoints2D, PredictedPeople
from .settings import DetectorConfig


class KeypointsDetector:
    """Stands for a detector elsewhere; what arrives says its own skeleton."""

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
