# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depths of joints from a depth image: a camera with a ruler.

A depth image shows the skin, a joint lies below it. How deep is taken from anthropometry (``BONE_DEPTH_M``); what
bodies differ by is noise, like that of the camera.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..geometry.stats import nan_median
from ..skeleton import BODY17
from .settings import DepthConfig

# Half the thickness of the body at the joint, m: half the depth of trunk and head, the radius of limbs from their
# circumference; about the means of women and men in ANSUR II (Gordon et al. 2014: chest, waist, buttock depth; head
# length; biceps, elbow, wrist, knee, ankle circumference). The nose is skin itself.
_HALF_M: Mapping[str, float] = {
    'pelvis': 0.12, 'hip': 0.10, 'knee': 0.06, 'ankle': 0.036, 'spine': 0.115, 'thorax': 0.12, 'nose': 0.01,
    'head': 0.09, 'shoulder': 0.057, 'elbow': 0.043, 'wrist': 0.028,
}
BONE_DEPTH_M: FloatArray = np.array([_HALF_M[name.rsplit('_', 1)[-1]] for name in BODY17.joint_names])
# Fewer measured joints tell nothing from what stands before or behind a person.
_LEAST_JOINTS = 3


def sample_depths(depth_m: NDArray[np.float32], xy: FloatArray, size_px: tuple[int, int]) -> FloatArray:
    """Return (P, J) m, the median depth of 3 x 3 pixels at each keypoint, NaN where the image has none.

    Args:
        depth_m: (H, W) m, registered to the colour image; 0 or not finite where not measured.
        xy: (P, J, 2) px of the colour image, NaN = not seen.
        size_px: width and height of the colour image.
    """
    height, width = depth_m.shape
    scale = np.array((width, height)) / size_px
    at = np.floor((xy + 0.5) * scale)
    inside = np.asarray(((at >= 0.0) & (at < (width, height))).all(-1))
    column, row = np.where(inside[..., None], at, 0.0).astype(np.int64).transpose(2, 0, 1)
    near = np.arange(-1, 2)
    window = depth_m[
        np.clip(row[..., None, None] + near[:, None], 0, height - 1),
        np.clip(column[..., None, None] + near, 0, width - 1),
    ].reshape(*row.shape, 9).astype(np.float64)
    window[~(np.isfinite(window) & (window > 0.0))] = np.nan
    found = nan_median(window)
    found[~inside] = np.nan
    return found


def joint_depths(surface_m: FloatArray, config: DepthConfig) -> FloatArray:
    """Return (D, 17, 2) m and 1/m, each joint's depth and 1 / its standard deviation, 0 where not measured.

    Args:
        surface_m: (D, 17) m, depths of the surface at the keypoints of D detections, NaN = not measured.
        config: noise, and how far a person reaches.
    """
    middle = nan_median(surface_m)[:, None]
    measured = np.asarray(np.abs(surface_m - middle) <= config.reach_m)
    measured &= measured.sum(1, keepdims=True) >= _LEAST_JOINTS
    depth = np.where(measured, surface_m, 0.0)
    sigma = np.hypot(config.surface_m, config.noise_per_m * depth * depth)
    return np.stack([np.where(measured, depth + BONE_DEPTH_M, 0.0), np.where(measured, 1.0 / sigma, 0.0)], -1)
