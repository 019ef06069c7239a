# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How uncertain one body's joints are: the random part of the covariance, and the systematic one.

A filter may average random errors away: the noise of the keypoints, which is new in every set. Systematic errors are
the same in the next set: what the joints of a view share (its calibration, its detector's bias), and the errors of the
lifter and of the bones. The sensitivity of the joints to what a view shares is propagated as that of a
consider parameter (Schmidt 1966; Bar-Shalom, Li, Kirubarajan 2001, 8.6).
"""

from __future__ import annotations

import math

import numpy as np

from ...compiled import Float1D, Float2D, helper
from .equations import ViewEquations

# Robust weight of a view whose residual equals the robust scale: from there on it is an inlier.
INLIER_WEIGHT = 0.25
# Depth of a body whose place is not known, m.
UNKNOWN_DEPTH_M = 4.0
# Standard deviation per axis of a joint that a view contradicts, as part of the distance; and the largest distance, m.
_CONTRADICTED = 0.6
_MOST_CONTRADICTED_M = 0.5
# Part of the keypoints' variance that may be shared by a view's joints.
_MOST_SHARED = 0.9


@helper
def keypoint_part(P: Float2D, equations: Float2D, covariance: Float2D, part: Float2D) -> None:
    """Write each joint's ``covariance`` (J, 6), and the ``part`` (J, 6) of it that comes from the keypoints.

    With L the information of the keypoints, block-diagonal, and ``P`` (3J, 3J) the posterior's covariance, P L P comes
    from them; the rest is the prior's. ``equations`` (9, J) holds L.
    """
    joints = len(part)
    x, y, z = np.empty(3), np.empty(3), np.empty(3)
    for j in range(joints):
        part[j] = 0.0
        for k in range(joints):
            xx, xy, xz = equations[0, k], equations[1, k], equations[2, k]
            yy, yz, zz = equations[3, k], equations[4, k], equations[5, k]
            for r in range(3):
                x[r], y[r], z[r] = P[3 * j + r, 3 * k], P[3 * j + r, 3 * k + 1], P[3 * j + r, 3 * k + 2]
            n = 0
            for r in range(3):
                u, v, w = x[r] * xx + y[r] * xy + z[r] * xz, x[r] * xy + y[r] * yy + z[r] * yz, (
                    x[r] * xz + y[r] * yz + z[r] * zz
                )
                for s in range(r, 3):
                    part[j, n] += u * x[s] + v * y[s] + w * z[s]
                    n += 1
        n = 0
        for r in range(3):
            for s in range(r, 3):
                covariance[j, n] = P[3 * j + r, 3 * j + s]
                n += 1


@helper
def count_shared(moved: Float2D, level: float, covariance: Float1D, random: Float1D) -> None:
    """Count what views share in a joint's ``covariance`` (6,) m^2, and take it out of ``random`` (6,), in place.

    Args:
        moved: (3, 2K) m, how far one standard deviation of what each view shares moves the joint; K may be 0.
        level: standard deviation of all keypoints, in units of what the settings say.
        covariance: the posterior's, which counts what a view's joints share as if each had its own.
        random: the part of it that comes from the keypoints.
    """
    shared = np.zeros(6)
    for m in range(moved.shape[1]):
        n = 0
        for r in range(3):
            for s in range(r, 3):
                shared[n] += moved[r, m] * moved[s, m]
                n += 1
    trace = random[0] + random[3] + random[5]
    part = min(max((shared[0] + shared[3] + shared[5]) / max(trace, 1e-12), 0.0), _MOST_SHARED)
    for n in range(6):
        others = covariance[n] - random[n]
        random[n] *= level * level * (1.0 - part)
        covariance[n] = others + random[n] + shared[n]


@helper
def contradicted_variance(views: ViewEquations, seen: int, j: int) -> tuple[int, float]:
    """Return how many views are inliers of joint ``j``, and the variance per axis, m^2, that contradiction adds.

    Where fewer than two views agree, an outlier may be the one that is right.
    """
    inliers, against = 0, np.inf
    for k in range(seen):
        if views.weight2[k, j] > 0.0:
            if views.weight[k, j] >= INLIER_WEIGHT:
                inliers += 1
            else:
                against = min(against, math.sqrt(views.error2[k, j]) * views.depth[k, j])
    if inliers >= 2 or not against < UNKNOWN_DEPTH_M:
        return inliers, 0.0
    return inliers, (min(against, _MOST_CONTRADICTED_M) * _CONTRADICTED) ** 2
