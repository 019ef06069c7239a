# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How far apart detections and bodies are, m, compiled: across the view, and between the rays of two cameras.

J joints. Each distance is the mean over the common joints, capped, so that one wrong joint does not decide about a
person, and no threshold depends on image size or zoom.
"""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Bool1D, Float1D, Float2D, Int1D, helper
from .equations import NEAR_M

# Larger distances count as this much, m: one wrong joint must not decide about a person.
CAP_M = 0.4
# Fewer common joints than this say nothing about identity.
MIN_COMMON_JOINTS = 4
# Rays at a smaller angle, as its sine, are parallel.
_LEAST_SINE = 1e-3


@helper
def centre_of(joints: Float2D) -> tuple[float, float, float, int]:
    """Return the mean of the known of joints (J, 3), 0 without one, and how many are known."""
    x, y, z, count = 0.0, 0.0, 0.0, 0
    for j in range(len(joints)):
        if math.isfinite(joints[j, 2]):
            x, y, z, count = x + joints[j, 0], y + joints[j, 1], z + joints[j, 2], count + 1
    return x / max(count, 1), y / max(count, 1), z / max(count, 1), count


@helper
def lies_near(x: float, y: float, z: float, centre: Float1D, reach_m: float) -> bool:
    """Return whether a body's centre (x, y, z) m in the camera's frame is near a detection's ``centre`` (2,)."""
    off_x, off_y = x - centre[0] * z, y - centre[1] * z
    return z > NEAR_M and off_x * off_x + off_y * off_y < reach_m * reach_m


@helper
def lateral_distance(joints: Float2D, order: Int1D, xn: Float2D, seen: Bool1D) -> float:
    """Return how far beside a detection's rays a body's joints lie, m; inf with too few common joints.

    Args:
        joints: (J, 3) m in the camera's frame, NaN = unknown.
        order: (J,) the body's joint that each of the detection is compared with.
        xn: (J, 2) keypoints.
        seen: (J,) of them.
    """
    total, count = 0.0, 0
    for j in range(len(order)):
        x, y, z = joints[order[j], 0], joints[order[j], 1], joints[order[j], 2]
        if seen[j] and math.isfinite(z):
            off = CAP_M
            if z > NEAR_M:
                x, y = x - xn[j, 0] * z, y - xn[j, 1] * z
                off = min(math.sqrt(x * x + y * y), CAP_M)
            total, count = total + off, count + 1
    return total / count if count >= MIN_COMMON_JOINTS else np.inf


@helper
def ray_through(pose: Float2D, x: float, y: float, ray: Float1D) -> None:
    """Write the unit vector (3,) in the world from a camera at ``pose`` (3, 4) through a point of its image."""
    over = 1.0 / math.sqrt(x * x + y * y + 1.0)
    for k in range(3):
        ray[k] = (pose[0, k] * x + pose[1, k] * y + pose[2, k]) * over


@helper
def origin_of(pose: Float2D, origin: Float1D) -> None:
    """Write the centre (3,) m of a camera at ``pose`` (3, 4): -R^T t."""
    for k in range(3):
        origin[k] = -(pose[0, k] * pose[0, 3] + pose[1, k] * pose[1, 3] + pose[2, k] * pose[2, 3])


@helper
def closest_points(a: Float1D, u: Float1D, b: Float1D, v: Float1D) -> tuple[float, float, float]:
    """Return how far two rays pass each other, m, and the depths there; NaN where they are nearly parallel.

    From ``a`` along the unit vector ``u``, and from ``b`` along ``v``, (3,) each (Hartley & Zisserman 12.1).
    """
    x, y, z = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    uv = u[0] * v[0] + u[1] * v[1] + u[2] * v[2]
    ub, vb = u[0] * x + u[1] * y + u[2] * z, v[0] * x + v[1] * y + v[2] * z
    squared_sine = 1.0 - uv * uv
    if not squared_sine > _LEAST_SINE * _LEAST_SINE:
        return np.nan, np.nan, np.nan
    s, t = (ub - uv * vb) / squared_sine, (uv * ub - vb) / squared_sine
    squared = x * x + y * y + z * z + s * (s - 2.0 * ub) + t * (t + 2.0 * vb) - 2.0 * s * t * uv
    return math.sqrt(max(squared, 0.0)), s, t


@helper
def ray_distance(
    a: Float1D, u: Float2D, sees_a: Bool1D, b: Float1D, v: Float2D, sees_b: Bool1D, gate_m: float
) -> float:
    """Return how far the rays of two detections pass each other, m; inf with too few common joints, or beyond the gate.

    From ``a`` (3,) along ``u`` (J, 3) of the joints that it sees (J,), and from ``b`` along ``v``.
    """
    total, count = 0.0, 0
    for j in range(len(u)):
        if sees_a[j] and sees_b[j]:
            distance, s, t = closest_points(a, u[j], b, v[j])
            total += min(distance, CAP_M) if s > 0.0 and t > 0.0 else CAP_M
            count += 1
            if total >= gate_m * len(u):
                return np.inf
    return total / count if count >= MIN_COMMON_JOINTS else np.inf
