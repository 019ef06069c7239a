# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The lifter's input: a 2D pose seen by a virtual camera that looks at the person, scaled to unit size.

A lifter that reads raw pixels has to learn every camera and every place in the image. Here each 2D pose is first
undistorted and normalised (the caller does that), then turned into a virtual camera with the same centre whose
optical axis passes through the person, then divided by its own size. What remains depends on the pose, not on the
camera; the rotation and the size are kept to go back. Runtime and training both use this module.

Where the rig knows which way is up, the virtual camera is also turned about its axis until the world's vertical is
the image's, and two numbers say what that takes away: how steeply it looks down, and how large the person appears.
"""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Float32Array, FloatArray
from ..errors import ConfigError, ShapeError
from ..geometry.alignment import UP_AXES
from ..inference.model_card import VIEW_PARTS, InputRange
from .kernels import CanonicalPoses as CanonicalPoses
from .kernels import find_canonical_poses

Poses = Float32Array


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
    shape, joints = confidence.shape[:-1], confidence.shape[-1]
    count = math.prod(shape)
    up = np.empty((0, 3)) if up_in_cam is None else np.broadcast_to(up_in_cam, (*shape, 3)).reshape(-1, 3)
    found = CanonicalPoses(
        np.empty((count, joints, 3), np.float32), np.empty((count, 3, 3)), np.empty(count), np.empty(count)
    )
    find_canonical_poses(
        np.ascontiguousarray(rays).reshape(-1, joints, 2), np.ascontiguousarray(confidence).reshape(-1, joints),
        np.ascontiguousarray(up), found,
    )
    return CanonicalPoses(
        found.pose2d.reshape(*shape, joints, 3), found.view_from_cam.reshape(*shape, 3, 3), found.size.reshape(shape),
        found.steepness.reshape(shape),
    )


def within_range(view: Float32Array, input_range: InputRange) -> tuple[Float32Array, FloatArray]:
    """Return views (..., 2) clamped to what a lifter was trained on, and factors (...,) >= 1 on its sigma.

    A network extrapolates freely: far people are read as the farthest that it knows, and what differs is perspective
    alone, which is small there. With d the distance from the range, in units of the logarithm of the size and of the
    sine of the steepness, sigma is multiplied by the square root of 1 + d^2. An empty ``input_range`` changes nothing.
    """
    if not input_range:
        return view, np.ones(view.shape[:-1])
    low, high = np.array([input_range[part] for part in VIEW_PARTS], np.float32).T
    clamped = view.clip(low, high)
    return clamped, np.sqrt(1.0 + ((view - clamped).astype(float) ** 2).sum(-1))


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
