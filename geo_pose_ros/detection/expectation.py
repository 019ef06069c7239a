"""What of the expected people, and of keypoints, lies in one picture."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray, IntArray
from ..skeleton import BODY17, map_to_body17
from ..types import Frame, PredictedPeople

# An expected person is worth a look at a picture that shows so many of the joints.
LEAST_JOINTS = 3


def in_picture(frame: Frame, expected: PredictedPeople | None) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return who of ``expected`` is in the picture, E people.

    Returns:
        body17 joints (E, 17, 2) px of the image, NaN = unknown; their deviations (E, 17) px; ids (E,).
    """
    if expected is None or not len(expected):
        return np.zeros((0, len(BODY17), 2)), np.zeros((0, len(BODY17))), np.zeros(0, np.int64)
    known = np.isfinite(expected.xy).all(-1) & np.isfinite(expected.sigma_px)
    skeleton_map = map_to_body17(expected.skeleton)
    xy, _ = skeleton_map.apply(np.where(known[..., None], expected.xy, np.nan), known.astype(float))
    sigma_px, _ = skeleton_map.apply(
        np.where(known, expected.sigma_px, np.nan)[..., None].repeat(2, -1), known.astype(float)
    )
    xy = frame.from_raw(xy)
    height, width = frame.image.shape[:2]
    with np.errstate(invalid='ignore'):
        inside = ((xy >= -0.5) & (xy <= (width - 0.5, height - 0.5))).all(-1)
    there = inside.sum(1) >= LEAST_JOINTS
    return xy[there], np.abs(sigma_px[there, :, 0]) / frame.reduction, expected.body_ids[there]


def seen_in_picture(
    xy: FloatArray, confidence: FloatArray, width: int, height: int
) -> tuple[FloatArray, FloatArray]:
    """Return ``xy`` (P, J, 2) px and confidences (P, J) in [0, 1]: NaN and 0 outside of the picture or if unknown."""
    with np.errstate(invalid='ignore'):
        inside = ((xy >= -0.5) & (xy <= (width - 0.5, height - 0.5))).all(-1) & (confidence > 0.0)
    return np.where(inside[..., None], xy, np.nan), np.where(inside, np.clip(confidence, 0.0, 1.0), 0.0)
