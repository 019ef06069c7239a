# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Virtual cameras: a rotation that looks along a ray, and a pose that looks at a point."""

from __future__ import annotations

import numpy as np

from ..arrays import FloatArray
from ..errors import CalibrationError


def rotation_to_axis(direction: FloatArray) -> FloatArray:
    """Return the smallest rotations (..., 3, 3) that turn ``direction`` (..., 3) onto the optical axis +z.

    A camera turned so sees the ray at its principal point and keeps its roll (as in CanonPose and the perspective
    crops of Yu et al., PCLs, CVPR 2021). Rodrigues' formula with axis d x z; requires d_z > -1.
    """
    d = direction / np.sqrt((direction * direction).sum(-1, keepdims=True))
    x, y, z = d[..., 0], d[..., 1], d[..., 2]
    kx, ky = x / (1.0 + z), y / (1.0 + z)
    rotation = np.empty((*d.shape, 3))
    rotation[..., 2, :] = d
    rotation[..., 0, 2], rotation[..., 1, 2] = -x, -y
    rotation[..., 0, 0], rotation[..., 1, 1] = 1.0 - kx * x, 1.0 - ky * y
    rotation[..., 0, 1] = rotation[..., 1, 0] = -kx * y
    return rotation


def look_at(position_m: FloatArray, target_m: FloatArray, up: FloatArray) -> FloatArray:
    """Return ``cam_from_world`` (..., 3, 4) of a camera at ``position_m`` that looks at ``target_m``, ``up`` upwards.

    Raises:
        CalibrationError: if position and target coincide or ``up`` is along the view axis.
    """
    forward = target_m - position_m
    right = np.cross(forward, np.broadcast_to(up, forward.shape))
    lengths = np.linalg.norm(forward, axis=-1, keepdims=True), np.linalg.norm(right, axis=-1, keepdims=True)
    if any(float(length.min()) < 1e-9 for length in lengths):
        raise CalibrationError('look_at: the view axis is undefined; expected position != target and up not along it.')
    z, x = forward / lengths[0], right / lengths[1]
    R = np.stack([x, np.cross(z, x), z], -2)
    return np.concatenate([R, -R @ np.asarray(position_m)[..., None]], axis=-1)
