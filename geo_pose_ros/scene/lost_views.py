"""Views whose detector follows something else: the other views tell where the person is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry.rigid import transform_points
from ..geometry.triangulation import reprojection_residuals
from ..skeleton import FloatArray
from ..types import IntArray

# A keypoint farther from its joint than this is on something else, m: a hand's breadth, also across a swapped hip.
_ASTRAY_M = 0.1
# Joints that at least so many views support say where a body is.
_LEAST_SUPPORT = 2
_LEAST_JOINTS = 6


def lost_views(
    cam_from_world: FloatArray,
    xn: FloatArray,
    xyz: FloatArray,
    num_views: IntArray,
    support: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Return (C,) bool: views in which no body is where several views see it, though there is one.

    A detector that tracks from frame to frame may cling to a bystander, or to a side-swapped pose; told to look at the
    whole picture again it mostly recovers.

    Args:
        cam_from_world: (C, 3, 4).
        xn: (C, B, J, 2) normalised keypoints as detected, of the bodies they were assigned to; NaN = not seen.
        xyz: (B, J, 3) m, the bodies, NaN = unknown.
        num_views: (B, J) views that support each joint.
        support: (C, B, J) keypoints already known to agree with their joints; if they do in all views, that is that.
    """
    cameras = len(cam_from_world)
    if not len(xyz):
        return np.zeros(cameras, bool)
    sure = np.isfinite(xyz.sum(-1)) & (num_views >= _LEAST_SUPPORT)
    bodies = sure.sum(-1) >= _LEAST_JOINTS
    if not bodies.any():
        return np.zeros(cameras, bool)
    seen = np.isfinite(xn.sum(-1)) & sure
    enough = np.maximum(seen.sum(-1), 1)
    if support is not None and (((support & sure).sum(-1) * 2 >= enough) & bodies).any(-1).all():
        return np.zeros(cameras, bool)
    flat = xyz.reshape(-1, 3)
    depth = transform_points(cam_from_world, flat)[..., 2]
    residual = reprojection_residuals(cam_from_world, np.ones(cameras), xn.reshape(cameras, -1, 2), flat)
    with np.errstate(invalid='ignore'):
        near = (residual * depth < _ASTRAY_M).reshape(cameras, *sure.shape) & sure
    follows = near.sum(-1) * 2 >= enough
    lost: NDArray[np.bool_] = np.asarray(~(follows & bodies).any(-1))
    return lost
