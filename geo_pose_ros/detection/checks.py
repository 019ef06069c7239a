# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which keypoints can be used: of our detectors and of detectors elsewhere."""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray
from ..errors import DetectorError
from ..types import Keypoints2D


def inside_image(xy: FloatArray, width: int, height: int) -> BoolArray:
    """Return whether points (..., 2) px lie in the image (...,); False for NaN."""
    with np.errstate(invalid='ignore'):
        return np.asarray(((xy >= -0.5) & (xy <= (width - 0.5, height - 0.5))).all(-1))


def keypoints_in_image(
    xy: FloatArray, confidence: FloatArray, width: int, height: int
) -> tuple[FloatArray, FloatArray]:
    """Return ``xy`` (P, J, 2) px and confidences (P, J) in [0, 1]: NaN and 0 outside of the image or if unknown."""
    seen = inside_image(xy, width, height) & (confidence > 0.0)
    return np.where(seen[..., None], xy, np.nan), np.where(seen, np.clip(confidence, 0.0, 1.0), 0.0)


def checked(keypoints: Keypoints2D, max_people: int, width: int, height: int) -> Keypoints2D:
    """Return ``keypoints`` without joints far outside of the image, and without people who have no joint left.

    A joint may lie outside of the image by the image's size: some detectors guess hidden joints.

    Args:
        keypoints: raw px.
        max_people: more people are an error.
        width, height: of the camera, px.

    Raises:
        DetectorError: if there are more people.
    """
    people = len(keypoints.xy)
    if people > max_people:
        raise DetectorError(
            f"Camera '{keypoints.camera}': received {people} people, expected at most max_people = {max_people}. Raise "
            'it if there are so many, or look at what sends them.'
        )
    size = np.array([width, height], float)
    with np.errstate(invalid='ignore'):
        near = ((keypoints.xy >= -size) & (keypoints.xy <= 2.0 * size)).all(-1)
    seen = near & (keypoints.confidence > 0.0)
    kept = seen.any(1)
    if kept.all() and np.array_equal(seen, np.isfinite(keypoints.xy).all(-1)):
        return keypoints
    xy = np.where(seen[..., None], keypoints.xy, np.nan)
    return Keypoints2D(
        keypoints.camera, keypoints.stamp_ns, keypoints.skeleton, xy[kept],
        np.where(seen, keypoints.confidence, 0.0)[kept], keypoints.hints[kept],
    )
