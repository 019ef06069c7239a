# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Linear equations of one body's joints from its keypoints, and joints that are triangulated alone.

A view's residual is (f / z) (R_xy - x R_z) (X - c): exact, and with the depth z of the step before linear in X (Hartley
& Zisserman, 2nd ed., 12.2, iterated). A measured depth is a row of its own, R_z (X - c), linear as it is. Arrays are
components first, so that loops over joints are vectorised.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...compiled import Bool1D, Float1D, Float2D, Float3D, Int1D, helper
from .algebra import add_outer, invert, times
from .tables import Keypoints

# Points nearer than this to the image plane count as behind the camera, m.
NEAR_M = 0.1
# Squared residual, at focal length 1, of a joint behind the camera.
_FAR2 = 1e6
# Estimate of the condition number beyond which rays are parallel.
_ILL_CONDITIONED = 1e9


class ViewEquations(NamedTuple):
    """Room for one body in the K <= C views that see it.

    Attributes:
        camera: (C,) of each view.
        image: (C, 2, J) normalised keypoints, 0 where not seen.
        offset: (C, 3, J) m: the joint in the camera's frame, at the view's instant, is R X + offset.
        normal: (C, J, 9) the six numbers of A^T A and the three of A^T b, A and b of the residual's two rows.
        weight2: (C, J) (focal length / standard deviation)^2, 0 where not seen.
        weight: (C, J) robust weight.
        depth: (C, J) m, at least NEAR_M.
        error2: (C, J) squared residual in the image at focal length 1.
        ruler: (C, 3, J) of a measured depth R_z X - b: b m, 1 / variance 1/m^2, 0 where not measured, robust weight.
        has_ruler: (C,) whether a depth of the view is measured.
    """

    camera: Int1D
    image: Float3D
    offset: Float3D
    normal: Float3D
    weight2: Float2D
    weight: Float2D
    depth: Float2D
    error2: Float2D
    ruler: Float3D
    has_ruler: Bool1D


@helper
def make_views(cameras: int, joints: int) -> ViewEquations:
    """Return room for a body."""
    one = np.empty((4, cameras, joints))
    return ViewEquations(
        np.empty(cameras, np.int64), np.empty((cameras, 2, joints)), np.empty((cameras, 3, joints)),
        np.empty((cameras, joints, 9)), one[0], one[1], one[2], one[3], np.empty((cameras, 3, joints)),
        np.zeros(cameras, np.bool_),
    )


@helper
def read_views(given: Keypoints, b: int, joints: Int1D, views: ViewEquations) -> int:
    """Write the equations of ``joints`` (J,) of body ``b``, robust weights of 1; return K, how many views see one."""
    moved = given.displacement.shape[1] > 0
    k = 0
    for c in range(len(given.focal_px)):
        P, image, offset, any_seen = given.cam_from_world[c], views.image[k], views.offset[k], False
        xn, weights, weight2, focal_px = given.xn[c, b], given.weights[c, b], views.weight2[k], given.focal_px[c]
        for j in range(len(joints)):
            x, y, weight = xn[joints[j], 0], xn[joints[j], 1], weights[joints[j]] * focal_px
            seen = math.isfinite(x + y) and weight > 0.0
            any_seen |= seen
            image[0, j], image[1, j], weight2[j] = (x, y, weight * weight) if seen else (0.0, 0.0, 0.0)
        if any_seen:
            for r in range(3):
                offset[r] = P[r, 3]
            if moved:
                away = given.displacement[c, b]
                for j in range(len(joints)):
                    x, y, z = away[joints[j], 0], away[joints[j], 1], away[joints[j], 2]
                    for r in range(3):
                        offset[r, j] += P[r, 0] * x + P[r, 1] * y + P[r, 2] * z
            _square(P, image, offset, views.normal[k])
            views.camera[k], views.weight[k] = c, 1.0
            views.has_ruler[k] = False
            if given.depth.shape[1]:
                views.has_ruler[k] = _read_depths(given.depth[c, b], joints, offset, views.ruler[k])
            k += 1
    return k


@helper
def _read_depths(depths: Float2D, joints: Int1D, offset: Float2D, ruler: Float2D) -> bool:
    """Write what is measured of a view's ``depths`` (all joints, 2), robust weights of 1; return whether one is."""
    found = False
    for j in range(len(joints)):
        depth, weight = depths[joints[j], 0], depths[joints[j], 1]
        measured = weight > 0.0 and math.isfinite(depth)
        found |= measured
        ruler[0, j], ruler[1, j] = (depth - offset[2, j], weight * weight) if measured else (0.0, 0.0)
        ruler[2, j] = 1.0
    return found


@helper
def _square(P: Float2D, image: Float2D, offset: Float2D, normal: Float2D) -> None:
    """Write A^T A and A^T b of a view, A X - b the residual's two rows times the depth."""
    for j in range(image.shape[1]):
        x, y = image[0, j], image[1, j]
        a0, a1, a2 = P[0, 0] - x * P[2, 0], P[0, 1] - x * P[2, 1], P[0, 2] - x * P[2, 2]
        b0, b1, b2 = P[1, 0] - y * P[2, 0], P[1, 1] - y * P[2, 1], P[1, 2] - y * P[2, 2]
        a, b = x * offset[2, j] - offset[0, j], y * offset[2, j] - offset[1, j]
        of = normal[j]
        of[0], of[1], of[2] = a0 * a0 + b0 * b0, a0 * a1 + b0 * b1, a0 * a2 + b0 * b2
        of[3], of[4], of[5] = a1 * a1 + b1 * b1, a1 * a2 + b1 * b2, a2 * a2 + b2 * b2
        of[6], of[7], of[8] = a0 * a + b0 * b, a1 * a + b1 * b, a2 * a + b2 * b


@helper
def sum_equations(given: Keypoints, views: ViewEquations, seen: int, equations: Float2D) -> None:
    """Write the normal equations (J, 9) of the K = ``seen`` views at their robust weights and depths."""
    for j in range(len(equations)):
        a, b, c, d, e, f, g, h, i = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for k in range(seen):
            n, z = views.normal[k, j], views.depth[k, j]
            w = views.weight[k, j] * views.weight2[k, j] / (z * z)
            a, b, c, d, e, f = a + w * n[0], b + w * n[1], c + w * n[2], d + w * n[3], e + w * n[4], f + w * n[5]
            g, h, i = g + w * n[6], h + w * n[7], i + w * n[8]
        row = equations[j]
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8] = a, b, c, d, e, f, g, h, i
    for k in range(seen):
        if views.has_ruler[k]:
            _add_depths(given.cam_from_world[views.camera[k], 2], views.ruler[k], equations)


@helper
def _add_depths(axis: Float1D, ruler: Float2D, equations: Float2D) -> None:
    """Add the measured depths of a view that looks along ``axis`` (3,) to the normal equations (J, 9)."""
    for j in range(len(equations)):
        f = ruler[1, j] * ruler[2, j]
        add_outer(equations[j], f, axis)
        for k in range(3):
            equations[j, 6 + k] += f * ruler[0, j] * axis[k]


@helper
def find_residuals(given: Keypoints, views: ViewEquations, seen: int, xyz: Float2D, robust_sigmas: float) -> None:
    """Write depth, squared residual and robust weight of joints ``xyz`` (3, J); Geman and McClure's weight.

    Behind the camera the residual is as large as no other.
    """
    for k in range(seen):
        P, image, offset = given.cam_from_world[views.camera[k]], views.image[k], views.offset[k]
        weight, weight2, depth, error2 = views.weight[k], views.weight2[k], views.depth[k], views.error2[k]
        scale = 1.0 / (robust_sigmas * robust_sigmas)
        for j in range(len(depth)):
            X, Y, Z = xyz[0, j], xyz[1, j], xyz[2, j]
            z = P[2, 0] * X + P[2, 1] * Y + P[2, 2] * Z + offset[2, j]
            u = P[0, 0] * X + P[0, 1] * Y + P[0, 2] * Z + offset[0, j] - image[0, j] * z
            v = P[1, 0] * X + P[1, 1] * Y + P[1, 2] * Z + offset[1, j] - image[1, j] * z
            d = NEAR_M if z < NEAR_M else z
            e = _FAR2 if z <= NEAR_M else (u * u + v * v) / (d * d)
            s = 1.0 + weight2[j] * e * scale
            depth[j], error2[j], weight[j] = d, e, 1.0 / (s * s)
        if views.has_ruler[k]:
            ruler = views.ruler[k]
            for j in range(len(depth)):
                away = P[2, 0] * xyz[0, j] + P[2, 1] * xyz[1, j] + P[2, 2] * xyz[2, j] - ruler[0, j]
                s = 1.0 + ruler[1, j] * away * away * scale
                ruler[2, j] = 1.0 / (s * s)


@helper
def has_depth(views: ViewEquations, seen: int, j: int) -> bool:
    """Return whether a view measures the depth of joint ``j``, and the joint is there (a robust weight of 1/4)."""
    for k in range(seen):
        if views.has_ruler[k] and views.weight2[k, j] > 0.0 and (
            views.ruler[k, 1, j] > 0.0 and views.ruler[k, 2, j] >= 0.25
        ):
            return True
    return False


@helper
def triangulate(equations: Float2D, xyz: Float2D, covariance: Float2D) -> None:
    """Solve each joint alone: ``xyz`` (3, J), 0 where rays are parallel, and ``covariance`` (J, 6), NaN there."""
    for j in range(len(equations)):
        m, inverse = equations[j], covariance[j]
        determinant = invert(m, inverse)
        # trace(m) trace(m^-1) bounds the condition number.
        if determinant > 0.0 and (m[0] + m[3] + m[5]) * (inverse[0] + inverse[3] + inverse[5]) < _ILL_CONDITIONED:
            xyz[0, j], xyz[1, j], xyz[2, j] = times(inverse, m[6], m[7], m[8])
        else:
            xyz[0, j] = xyz[1, j] = xyz[2, j] = 0.0
            inverse[:] = np.nan


@helper
def fill_pulls(given: Keypoints, views: ViewEquations, seen: int, shared: Float1D, pulls: Float2D, at: int) -> None:
    """Write (3J, 2K) from column ``at`` on: what a standard deviation of each view's shared error pulls a joint by."""
    for k in range(seen):
        P, image, c = given.cam_from_world[views.camera[k]], views.image[k], views.camera[k]
        for j in range(image.shape[1]):
            pull = views.weight[k, j] * views.weight2[k, j] / views.depth[k, j] * shared[c]
            for r in range(3):
                pulls[3 * j + r, at + 2 * k] = pull * (P[0, r] - image[0, j] * P[2, r])
                pulls[3 * j + r, at + 2 * k + 1] = pull * (P[1, r] - image[1, j] * P[2, r])
