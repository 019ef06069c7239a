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

from ...compiled import Float1D, Float2D, Int1D, helper
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
def keypoint_part(P: Float2D, begin: int, equations: Float2D, covariance: Float2D, part: Float2D) -> None:
    """Write each joint's ``covariance`` (J, 6), and the ``part`` (J, 6) of it that comes from the keypoints.

    With L the information of the keypoints, block-diagonal, and P (3J, 3J) the posterior's covariance, P L P comes from
    them; the rest is the prior's. ``equations`` (J, 9) holds L; ``P`` stands from column ``begin`` on.
    """
    size = 3 * len(part)
    moved, sums = np.zeros((3, size + 2)), np.zeros((3, size))
    u, v, w, same, next_one, second = moved[0], moved[1], moved[2], sums[0], sums[1], sums[2]
    for k in range(len(part)):
        of = equations[k]
        xx, xy, xz, yy, yz, zz = of[0], of[1], of[2], of[3], of[4], of[5]
        x, y, z = P[3 * k], P[3 * k + 1], P[3 * k + 2]
        for i in range(size):
            a, b, c = x[begin + i], y[begin + i], z[begin + i]
            u[i], v[i], w[i] = a * xx + b * xy + c * xz, a * xy + b * yy + c * yz, a * xz + b * yz + c * zz
        for i in range(size):
            a, b, c = x[begin + i], y[begin + i], z[begin + i]
            same[i] += a * u[i] + b * v[i] + c * w[i]
            next_one[i] += a * u[i + 1] + b * v[i + 1] + c * w[i + 1]
            second[i] += a * u[i + 2] + b * v[i + 2] + c * w[i + 2]
    for j in range(len(part)):
        n, i = 0, 3 * j
        for r in range(3):
            for s in range(r, 3):
                part[j, n], covariance[j, n] = sums[s - r, i + r], P[i + r, begin + i + s]
                n += 1


@helper
def count_shared(
    moved: Float2D, row: int, begin: int, count: int, level: float, covariance: Float1D, random: Float1D
) -> None:
    """Count what views share in a joint's ``covariance`` (6,) m^2, and take it out of ``random`` (6,), in place.

    Args:
        moved: at rows ``row`` to ``row`` + 2 and ``count`` columns from ``begin`` on, m, how far one standard deviation
            of what each view shares moves the joint.
        row, begin, count: see above.
        level: standard deviation of all keypoints, in units of what the settings say.
        covariance: the posterior's, which counts what a view's joints share as if each had its own.
        random: the part of it that comes from the keypoints.
    """
    a, b, c, shared = moved[row], moved[row + 1], moved[row + 2], np.zeros(6)
    xx, xy, xz, yy, yz, zz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for m in range(count):
        x, y, z = a[begin + m], b[begin + m], c[begin + m]
        xx, xy, xz, yy, yz, zz = xx + x * x, xy + x * y, xz + x * z, yy + y * y, yz + y * z, zz + z * z
    shared[0], shared[1], shared[2], shared[3], shared[4], shared[5] = xx, xy, xz, yy, yz, zz
    trace = random[0] + random[3] + random[5]
    part = min(max((xx + yy + zz) / max(trace, 1e-12), 0.0), _MOST_SHARED)
    for n in range(6):
        others = covariance[n] - random[n]
        random[n] *= level * level * (1.0 - part)
        covariance[n] = others + random[n] + shared[n]


@helper
def count_inliers(views: ViewEquations, seen: int, inliers: Int1D, against_m: Float1D) -> None:
    """Write how many views are inliers of each joint (J,), and how far the nearest outlier is off, m, inf for none."""
    inliers[:] = 0
    against_m[:] = np.inf
    for k in range(seen):
        weight2, weight, error2, depth = views.weight2[k], views.weight[k], views.error2[k], views.depth[k]
        for j in range(len(inliers)):
            if weight2[j] > 0.0:
                if weight[j] >= INLIER_WEIGHT:
                    inliers[j] += 1
                else:
                    against_m[j] = min(against_m[j], math.sqrt(error2[j]) * depth[j])


@helper
def contradicted_variance(inliers: int, against_m: float) -> float:
    """Return the variance per axis, m^2, that contradiction adds to a joint; arguments as of ``count_inliers``.

    Where fewer than two views agree, an outlier may be the one that is right.
    """
    if inliers >= 2 or not against_m < UNKNOWN_DEPTH_M:
        return 0.0
    return (min(against_m, _MOST_CONTRADICTED_M) * _CONTRADICTED) ** 2
