"""The lifter's input: a 2D pose seen by a virtual camera that looks at the person, scaled to unit size.

A lifter that reads raw pixels has to learn every camera and every place in the image. Here each 2D pose is first
undistorted and normalised (the caller does that), then turned into a virtual camera with the same centre whose
optical axis passes through the person, then divided by its own size. What remains depends on the pose, not on the
camera; the rotation and the size are kept to go back. Runtime and training both use this module.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ShapeError
from ..geometry.virtual_camera import rotation_to_axis
from ..skeleton import FloatArray

Poses = NDArray[np.float32]

# A pose seen through fewer joints has no meaningful centre and size.
MIN_JOINTS = 4


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalPoses:
    """2D poses in the frames of their virtual cameras.

    Attributes:
        pose2d: (..., J, 3) float32: x / size, y / size, confidence; a joint that was not seen is all zero.
        view_from_cam: (..., 3, 3) rotation from the real camera's optical frame to the virtual one.
        size: (...,) median distance of the seen joints from the centre, in normalised image units (tangents);
            NaN where fewer than MIN_JOINTS joints were seen, and there pose2d is all zero.
    """

    pose2d: NDArray[np.float32]
    view_from_cam: FloatArray
    size: FloatArray

    @property
    def rays(self) -> FloatArray:
        """(..., J, 2) normalised image coordinates x/z, y/z in the virtual camera; 0 where not seen."""
        size = np.where(np.isfinite(self.size), self.size, 0.0)
        return np.asarray(self.pose2d[..., :2] * size[..., None, None], np.float64)


def canonical_poses(rays: FloatArray, confidence: FloatArray) -> CanonicalPoses:
    """Turn 2D poses into the lifter's input.

    The centre is the coordinate-wise median of the seen joints, and the size a median as well, so that one gross
    outlier moves neither.

    Args:
        rays: (..., J, 2) undistorted normalised image coordinates x/z, y/z; NaN = not seen.
        confidence: (..., J) in [0, 1].

    Raises:
        ShapeError: if the shapes do not agree.
    """
    rays = np.asarray(rays, np.float64)
    confidence = np.asarray(confidence, np.float64)
    if rays.shape[-1:] != (2,) or rays.shape[:-1] != confidence.shape:
        raise ShapeError(
            f'canonical_poses: received rays {rays.shape} and confidence {confidence.shape}, '
            'expected (..., J, 2) and (..., J).'
        )
    # A sum is finite only if all its terms are.
    seen = np.isfinite(rays.sum(-1)) & (confidence > 0.0)
    usable = seen.sum(-1) >= MIN_JOINTS
    kept = seen & usable[..., None]
    bearings = np.ones((*confidence.shape, 3))
    bearings[..., :2] = np.where(kept[..., None], rays, 0.0)
    centre = np.ones((*usable.shape, 3))
    for axis in range(2):
        centre[..., axis] = _median(bearings[..., axis], kept)
    view_from_cam = rotation_to_axis(centre)
    turned = bearings @ np.swapaxes(view_from_cam, -1, -2)
    # A joint 90 degrees off the axis has no image there; the bound only keeps the division finite.
    depth = np.maximum(turned[..., 2:], 0.05)
    kept &= turned[..., 2] > 0.05
    turned_xy = turned[..., :2] / depth
    size = np.maximum(_median(np.sqrt((turned_xy * turned_xy).sum(-1)), kept), 1e-4)
    pose2d = np.empty((*confidence.shape, 3), np.float32)
    pose2d[..., :2] = turned_xy / size[..., None, None]
    pose2d[..., 2] = confidence
    pose2d[~kept] = 0.0
    return CanonicalPoses(pose2d, view_from_cam, np.where(usable, size, np.nan))


def _median(values: FloatArray, kept: NDArray[np.bool_]) -> FloatArray:
    """Return the median over the joints (..., J) that are ``kept``, 0 where there is none: (...)."""
    joints = values.shape[-1]
    ordered = np.where(kept, values, np.inf).reshape(-1, joints)
    ordered.sort(-1)
    count = kept.sum(-1).ravel()
    rows = np.arange(len(ordered))
    middle = 0.5 * (ordered[rows, np.maximum(count - 1, 0) // 2] + ordered[rows, np.minimum(count // 2, joints - 1)])
    return np.where(count > 0, middle, 0.0).reshape(kept.shape[:-1])
