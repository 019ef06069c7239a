"""What may come from a detector, ours or one elsewhere: whether it can be used, and without what cannot."""

from __future__ import annotations

import numpy as np

from ..errors import DetectorError
from ..types import Keypoints2D


def checked(keypoints: Keypoints2D, max_people: int, width: int, height: int) -> Keypoints2D:
    """Return ``keypoints`` without joints that are nowhere near the picture, and without people who have no joint left.

    A joint may lie outside of the picture by as much as its size: some detectors guess what it cuts off.

    Args:
        keypoints: raw px.
        max_people: more than so many are a fault.
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
    there = seen.any(1)
    if there.all() and np.array_equal(seen, np.isfinite(keypoints.xy).all(-1)):
        return keypoints
    xy = np.where(seen[..., None], keypoints.xy, np.nan)
    return Keypoints2D(
        keypoints.camera, keypoints.stamp_ns, keypoints.skeleton, xy[there],
        np.where(seen, keypoints.confidence, 0.0)[there], keypoints.hints[there],
    )
