"""Draw skeletons into images with OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

from ..arrays import FloatArray, UInt8Array
from ..errors import ShapeError
from ..skeleton import Skeleton

# BGR: the body's left blue, its right orange, the middle green.
LEFT, RIGHT, MIDDLE = (255, 130, 30), (0, 140, 255), (80, 200, 80)
_FRACTION_BITS = 4


def joint_colours(skeleton: Skeleton) -> list[tuple[int, int, int]]:
    """Return a BGR colour per joint that tells the body's left from its right."""
    left = {a for a, _ in skeleton.flip_pairs}
    right = {b for _, b in skeleton.flip_pairs}
    return [LEFT if j in left else RIGHT if j in right else MIDDLE for j in range(len(skeleton))]


def draw_skeleton(image: UInt8Array, xy: FloatArray, confidence: FloatArray, skeleton: Skeleton) -> None:
    """Draw people into ``image`` (H, W, 3) BGR, in place, the fainter the less confident.

    Args:
        image: writable.
        xy: (P, J, 2) px, NaN = not drawn.
        confidence: (P, J) in [0, 1].
        skeleton: J joints.

    Raises:
        ShapeError: if xy or confidence do not fit the skeleton.
    """
    joints = len(skeleton)
    if xy.ndim != 3 or xy.shape[1:] != (joints, 2) or confidence.shape != xy.shape[:2]:
        raise ShapeError(
            f'draw_skeleton: received xy {xy.shape} and confidence {confidence.shape}, '
            f'expected (P, {joints}, 2) and (P, {joints}).'
        )
    colours = joint_colours(skeleton)
    width = max(1, round(max(image.shape[:2]) / 400))
    # Far outside the picture OpenCV's fixed-point coordinates would overflow.
    near = np.isfinite(xy).all(-1) & (np.abs(np.nan_to_num(xy)) < 4 * max(image.shape[:2])).all(-1)
    fixed = np.round(np.where(near[..., None], xy, 0.0) * (1 << _FRACTION_BITS)).astype(int)
    for person in range(len(xy)):
        for a, b in skeleton.edges:
            if near[person, a] and near[person, b]:
                colour = colours[b] if colours[b] != MIDDLE else colours[a]
                shade = _shade(colour, float(min(confidence[person, a], confidence[person, b])))
                ends = tuple(fixed[person, a].tolist()), tuple(fixed[person, b].tolist())
                cv2.line(image, *ends, shade, width, cv2.LINE_AA, _FRACTION_BITS)
        for j in range(joints):
            if near[person, j]:
                shade = _shade(colours[j], float(confidence[person, j]))
                centre = tuple(fixed[person, j].tolist())
                cv2.circle(image, centre, 2 * width << _FRACTION_BITS, shade, -1, cv2.LINE_AA, _FRACTION_BITS)


def _shade(colour: tuple[int, int, int], confidence: float) -> tuple[int, int, int]:
    strength = 0.35 + 0.65 * confidence
    return int(colour[0] * strength), int(colour[1] * strength), int(colour[2] * strength)
