# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What cameras see and detect, compiled: detections from raw keypoints, bodies in the cameras' frames, weights.

C cameras, B bodies, J joints, D detections. NaN is what was not seen.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Bool2D, Float1D, Float2D, Float3D, Float4D, Int1D, Int2D, helper, kernel
from ...geometry.kernels import Lenses, ideal_point
from .equations import NEAR_M


class DetectionArrays(NamedTuple):
    """D detections of C cameras, as kernels take them; see ``views.Detections``."""

    camera: Int1D
    xn: Float3D
    seen: Bool2D
    confidence: Float2D
    centre: Float2D
    starts: Int1D


@kernel()
def fill_detections(
    lenses: Lenses, xy: Float3D, confidence: Float2D, least_confidence: float, filled: DetectionArrays
) -> None:
    """Undistort all keypoints of a set and fill the detections, whose ``starts`` are given.

    Args:
        lenses: of C cameras.
        xy: (D, J, 2) raw px, camera after camera.
        confidence: (D, J); keypoints of less than ``least_confidence``, or of 0, are not seen.
        least_confidence: see above.
        filled: all but ``starts`` is written.
    """
    for c in range(len(filled.starts) - 1):
        for d in range(filled.starts[c], filled.starts[c + 1]):
            filled.camera[d] = c
            count, sum_x, sum_y = 0, 0.0, 0.0
            for j in range(xy.shape[1]):
                x, y = np.nan, np.nan
                if confidence[d, j] >= least_confidence and confidence[d, j] > 0.0:
                    x, y = ideal_point(lenses, c, xy[d, j, 0], xy[d, j, 1])
                seen = math.isfinite(x) and math.isfinite(y)
                filled.seen[d, j] = seen
                filled.xn[d, j, 0], filled.xn[d, j, 1] = (x, y) if seen else (0.0, 0.0)
                filled.confidence[d, j] = confidence[d, j] if seen else 0.0
                if seen:
                    count, sum_x, sum_y = count + 1, sum_x + x, sum_y + y
            filled.centre[d, 0], filled.centre[d, 1] = sum_x / max(count, 1), sum_y / max(count, 1)


@kernel('xn', 'confidence')
def gather_keypoints(detections: DetectionArrays, views: Int2D, xn: Float4D, confidence: Float3D) -> None:
    """Write the keypoints (C, B, J, 2) and confidences (C, B, J) of bodies with ``views`` (B, C), -1 for none."""
    bodies, cameras = views.shape
    for c in range(cameras):
        for b in range(bodies):
            d = views[b, c]
            for j in range(confidence.shape[2]):
                xn[c, b, j, 0] = xn[c, b, j, 1] = np.nan
                confidence[c, b, j] = 0.0
                if d >= 0 and detections.seen[d, j]:
                    xn[c, b, j, 0], xn[c, b, j, 1] = detections.xn[d, j, 0], detections.xn[d, j, 1]
                    confidence[c, b, j] = detections.confidence[d, j]


@helper
def transformed(pose: Float2D, x: float, y: float, z: float) -> tuple[float, float, float]:
    """Return the point (x, y, z) m of the world in the frame of a camera at ``pose`` (3, 4)."""
    return (
        pose[0, 0] * x + pose[0, 1] * y + pose[0, 2] * z + pose[0, 3],
        pose[1, 0] * x + pose[1, 1] * y + pose[1, 2] * z + pose[1, 3],
        pose[2, 0] * x + pose[2, 1] * y + pose[2, 2] * z + pose[2, 3],
    )


@kernel('local')
def see_joints(poses: Float3D, dt_s: Float1D, xyz: Float3D, velocity: Float3D, local: Float4D) -> None:
    """Write joints (C, B, J, 3) m in each camera's frame at its own instant.

    Args:
        poses: (C, 3, 4) cam_from_world.
        dt_s: (C,) each view's instant minus that of ``xyz``.
        xyz: (B, J, 3) m.
        velocity: (B, J, 3) m/s.
        local: written.
    """
    for c in range(len(poses)):
        for b in range(xyz.shape[0]):
            for j in range(xyz.shape[1]):
                x, y, z = xyz[b, j, 0], xyz[b, j, 1], xyz[b, j, 2]
                if dt_s[c] != 0.0:
                    x += dt_s[c] * velocity[b, j, 0]
                    y += dt_s[c] * velocity[b, j, 1]
                    z += dt_s[c] * velocity[b, j, 2]
                local[c, b, j, 0], local[c, b, j, 1], local[c, b, j, 2] = transformed(poses[c], x, y, z)


@helper
def lies_in_image(bounds: Float1D, x: float, y: float, z: float) -> bool:
    """Return whether a point (x, y, z) m lies before its camera and within the image's ``bounds`` (4,) at z = 1."""
    across, up = bounds[0] * z <= x and x <= bounds[2] * z, bounds[1] * z <= y and y <= bounds[3] * z
    return bool(z > NEAR_M and across and up)


@kernel('weights')
def weigh_keypoints(
    xn: Float4D, confidence: Float3D, focal_px: Float1D, per_px: float, least_extent_px: float, weights: Float3D
) -> None:
    """Write (C, B, J) 1 / standard deviation, 1/px: confidence x per_px / extent of the body in the image.

    Args:
        xn: (C, B, J, 2) keypoints.
        confidence: (C, B, J).
        focal_px: (C,).
        per_px: extent at which a keypoint of confidence 1 has a standard deviation of 1 px.
        least_extent_px: smaller bodies count as this large.
        weights: written.
    """
    cameras, bodies, joints = confidence.shape
    for c in range(cameras):
        for b in range(bodies):
            low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
            for j in range(joints):
                x, y = xn[c, b, j, 0], xn[c, b, j, 1]
                if math.isfinite(x) and math.isfinite(y):
                    low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
            weight = per_px / max(max(high_x - low_x, high_y - low_y) * focal_px[c], least_extent_px)
            for j in range(joints):
                weights[c, b, j] = confidence[c, b, j] * weight


@kernel('counted')
def apply_noise(
    weights: Float3D, focal_px: Float1D, scale: Float1D, by_joint: Float1D, shared: Float1D, counted: Float3D
) -> None:
    """Write the weights (C, B, J), 1/px, of keypoints whose errors are larger, and shared by all joints of a view.

    Args:
        weights: (C, B, J) 1/px as the settings say.
        focal_px: (C,).
        scale, by_joint: (C,) and (J,) factors of the standard deviation.
        shared: (C,) standard deviation of the shared error, at focal length 1.
        counted: written: 1 / sqrt((scale by_joint / weight)^2 + (shared focal)^2).
    """
    cameras, bodies, joints = weights.shape
    for c in range(cameras):
        shared_px = shared[c] * focal_px[c]
        for b in range(bodies):
            for j in range(joints):
                own = weights[c, b, j] / (scale[c] * by_joint[j])
                counted[c, b, j] = own / math.sqrt(1.0 + own * shared_px * own * shared_px)
