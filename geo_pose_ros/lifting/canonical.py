"""The lifter's input: a 2D pose seen by a virtual camera that looks at the person, scaled to unit size.

A lifter that reads raw pixels has to learn every camera and every place in the image. Here each 2D pose is first
undistorted and normalised (the caller does that), then turned into a virtual camera with the same centre whose
optical axis passes through the person, then divided by its own size. What remains depends on the pose, not on the
camera; the rotation and the size are kept to go back. Runtime and training both use this module.

Where the rig knows which way is up, the virtual camera is also turned about its axis until the world's vertical is
the image's, and two numbers say what that takes away: how steeply it looks down, and how large the person appears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, Float32Array, FloatArray
from ..errors import ConfigError, ShapeError
from ..geometry.stats import nan_median
from ..geometry.virtual_camera import rotation_to_axis

Poses = Float32Array

# A pose seen through fewer joints has no meaningful centre and size.
MIN_JOINTS = 4
# Depth (z of a bearing of length about 1) below which a joint has no image.
_OFF_AXIS = 0.05
# Nearer to the vertical than this (sine) a view's roll is not defined by it; the camera's own is kept.
_NADIR = 0.05
# log of the size of a person some 5 m away: about the mean over rooms.
_USUAL_LOG_SIZE = -2.5
# Names of the world's upward axis, as settings spell them; REP-103's worlds have z up.
UP_AXES: Mapping[str, tuple[float, float, float]] = {
    'z': (0.0, 0.0, 1.0), 'y': (0.0, 1.0, 0.0), 'x': (1.0, 0.0, 0.0),
    '-z': (0.0, 0.0, -1.0), '-y': (0.0, -1.0, 0.0), '-x': (-1.0, 0.0, 0.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class CanonicalPoses:
    """2D poses in the frames of their virtual cameras.

    Attributes:
        pose2d: (..., J, 3) float32: x / size, y / size, confidence; a joint that was not seen is all zero.
        view_from_cam: (..., 3, 3) rotation from the real camera's optical frame to the virtual one.
        size: (...,) median distance of the seen joints from the centre, in normalised image units (tangents);
            NaN where fewer than MIN_JOINTS joints were seen, and there pose2d is all zero.
        steepness: (...,) sine of the angle by which the virtual camera looks down; NaN where up is not known.
    """

    pose2d: Float32Array
    view_from_cam: FloatArray
    size: FloatArray
    steepness: FloatArray

    @property
    def view(self) -> Float32Array:
        """(..., 2) float32, what a lifter that knows gravity reads beside ``pose2d``: steepness, and log of the size.

        Both are about 0 in the mean; 0 where unknown.
        """
        made = np.zeros((*self.size.shape, 2), np.float32)
        usable = np.isfinite(self.size + self.steepness)
        made[usable, 0] = self.steepness[usable]
        made[usable, 1] = np.log(self.size[usable]) - _USUAL_LOG_SIZE
        return made

    @property
    def rays(self) -> FloatArray:
        """(..., J, 2) normalised image coordinates x/z, y/z in the virtual camera; 0 where not seen."""
        size = np.where(np.isfinite(self.size), self.size, 0.0)
        return np.asarray(self.pose2d[..., :2] * size[..., None, None], np.float64)


def canonical_poses(
    rays: FloatArray, confidence: FloatArray, up_in_cam: FloatArray | None = None
) -> CanonicalPoses:
    """Turn 2D poses into the lifter's input.

    The centre is the coordinate-wise median of the seen joints, and the size a median as well, so that one gross
    outlier moves neither.

    Args:
        rays: (..., J, 2) undistorted normalised image coordinates x/z, y/z; NaN = not seen.
        confidence: (..., J) in [0, 1].
        up_in_cam: unit vectors that broadcast to (..., 3), the world's up in the cameras' frames; None: not known, the
            virtual cameras keep the real ones' roll.

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
    centre = _centre(bearings, kept)
    if up_in_cam is None:
        view_from_cam, steepness = rotation_to_axis(centre), np.full(usable.shape, np.nan)
    else:
        up = np.broadcast_to(up_in_cam, centre.shape)
        # A median per axis turns with the camera's roll: it is taken again in the upright image.
        roughly, _ = _upright(centre, up)
        seen_upright = _ahead(bearings @ np.swapaxes(roughly, -1, -2))
        again = _centre(seen_upright, kept & (seen_upright[..., 2] > 0.0))
        view_from_cam, steepness = _upright((again[..., None, :] @ roughly)[..., 0, :], up)
    turned = bearings @ np.swapaxes(view_from_cam, -1, -2)
    seen_ahead = _ahead(turned)
    kept &= seen_ahead[..., 2] > 0.0
    turned_xy = seen_ahead[..., :2]
    distance = np.where(kept, np.sqrt((turned_xy * turned_xy).sum(-1)), np.nan)
    size = np.fmax(nan_median(distance), 1e-4)
    pose2d = np.empty((*confidence.shape, 3), np.float32)
    pose2d[..., :2] = turned_xy / size[..., None, None]
    pose2d[..., 2] = confidence
    pose2d[~kept] = 0.0
    return CanonicalPoses(pose2d, view_from_cam, np.where(usable, size, np.nan), steepness)


def _ahead(bearings: FloatArray) -> FloatArray:
    """Return x/z, y/z and 1 of ``bearings`` (..., 3); 0 as the last where one is 90 degrees off the axis, or nearly."""
    # The bound only keeps the division finite.
    depth = np.maximum(bearings[..., 2:], _OFF_AXIS)
    return np.concatenate((bearings[..., :2] / depth, bearings[..., 2:] > _OFF_AXIS), -1)


def _centre(bearings: FloatArray, kept: BoolArray) -> FloatArray:
    """Return the median bearing (..., 3), z = 1, per axis, of those (..., J, 3) that are ``kept``."""
    known = np.where(kept[..., None], bearings[..., :2], np.nan)
    centre = np.ones((*kept.shape[:-1], 3))
    centre[..., :2] = np.nan_to_num(nan_median(np.swapaxes(known, -1, -2)))
    return centre


def _upright(direction: FloatArray, up: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return rotations (..., 3, 3) that turn ``direction`` onto +z and ``up`` into the upper half of the image's
    vertical, and the sine (...,) of the angle by which ``direction`` points down; both (..., 3)."""
    z = direction / np.sqrt((direction * direction).sum(-1, keepdims=True))
    right = _cross(z, up)
    # Never along z, which looks ahead: as if up were the camera's own.
    steep = (right * right).sum(-1) <= _NADIR**2
    if steep.any():
        right[steep] = _cross(z[steep], np.broadcast_to((0.0, -1.0, 0.0), z[steep].shape))
    rotation = np.empty((*z.shape, 3))
    rotation[..., 0, :] = x = right / np.sqrt((right * right).sum(-1, keepdims=True))
    rotation[..., 1, :], rotation[..., 2, :] = _cross(z, x), z
    return rotation, -(z * up).sum(-1)


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return a x b of (..., 3); numpy's takes several times as long for so few."""
    product = np.empty(a.shape)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        product[..., i] = a[..., j] * b[..., k] - a[..., k] * b[..., j]
    return product


def up_in_cameras(cam_from_world: FloatArray, up: str) -> FloatArray:
    """Return the unit vectors (..., 3) of the world's ``up`` in the frames of cameras (..., 3, 4).

    Raises:
        ConfigError: for a name that is not in UP_AXES.
    """
    turned: FloatArray = cam_from_world[..., :3] @ _axis(up)
    return turned


def camera_heights(cam_from_world: FloatArray, up: str) -> FloatArray:
    """Return how high (...,), m, cameras (..., 3, 4) are above the plane through the world's origin, across ``up``.

    Raises:
        ConfigError: for a name that is not in UP_AXES.
    """
    centre = -np.swapaxes(cam_from_world[..., :3], -1, -2) @ cam_from_world[..., 3:]
    heights: FloatArray = centre[..., 0] @ _axis(up)
    return heights


def _axis(up: str) -> FloatArray:
    if up not in UP_AXES:
        raise ConfigError(f"World axis '{up}': expected one of {', '.join(UP_AXES)}; name the one that is upwards.")
    return np.array(UP_AXES[up])
