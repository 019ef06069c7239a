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
from .algebra import invert, times
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
        normal: (C, 9, J) the six numbers of A^T A and the three of A^T b, A and b of the residual's two rows.
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
        np.empty((cameras, 9, joints)), one[0], one[1], one[2], one[3], np.empty((cameras, 3, joints)),
        np.zeros(cameras, np.bool_),
    )


@helper
def read_views(given: Keypoints, b: int, views: ViewEquations) -> int:
    """Write the equations of body ``b``, robust weights of 1; return K, how many views see it."""
    cameras, _, joints = given.weights.shape
    moved = given.displacement.shape[1] > 0
    k = 0
    for c in range(cameras):
        P, image, offset, any_seen = given.cam_from_world[c], views.image[k], views.offset[k], False
        for j in range(joints):
            x, y, weight = given.xn[c, b, j, 0], given.xn[c, b, j, 1], given.weights[c, b, j]
            seen = math.isfinite(x) and math.isfinite(y) and weight > 0.0
            any_seen |= seen
            image[0, j], image[1, j] = x if seen else 0.0, y if seen else 0.0
            views.weight2[k, j] = (weight * given.focal_px[c]) ** 2 if seen else 0.0
            for r in range(3):
                offset[r, j] = P[r, 3]
                if moved:
                    away = given.displacement[c, b, j]
                    offset[r, j] += P[r, 0] * away[0] + P[r, 1] * away[1] + P[r, 2] * away[2]
        if any_seen:
            _square(P, image, offset, views.normal[k])
            views.camera[k], views.weight[k] = c, 1.0
            views.has_ruler[k] = given.depth.shape[1] > 0 and _read_depths(given, c, b, offset, views.ruler[k])
            k += 1
    return k


@helper
def _read_depths(given: Keypoints, c: int, b: int, offset: Float2D, ruler: Float2D) -> bool:
    """Write the measured depths of body ``b`` in view ``c``, robust weights of 1; return whether there is one."""
    found = False
    for j in range(ruler.shape[1]):
        depth, weight = given.depth[c, b, j, 0], given.depth[c, b, j, 1]
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
        normal[0, j], normal[1, j], normal[2, j] = a0 * a0 + b0 * b0, a0 * a1 + b0 * b1, a0 * a2 + b0 * b2
        normal[3, j], normal[4, j], normal[5, j] = a1 * a1 + b1 * b1, a1 * a2 + b1 * b2, a2 * a2 + b2 * b2
        normal[6, j], normal[7, j], normal[8, j] = a0 * a + b0 * b, a1 * a + b1 * b, a2 * a + b2 * b


@helper
def sum_equations(given: Keypoints, views: ViewEquations, seen: int, equations: Float2D) -> None:
    """Write the normal equations (9, J) of the K = ``seen`` views at their robust weights and depths."""
    equations[:] = 0.0
    for k in range(seen):
        normal, weight, weight2, depth = views.normal[k], views.weight[k], views.weight2[k], views.depth[k]
        for j in range(len(depth)):
            f = weight[j] * weight2[j] / (depth[j] * depth[j])
            for m in range(9):
                equations[m, j] += f * normal[m, j]
        if views.has_ruler[k]:
            _add_depths(given.cam_from_world[views.camera[k]], views.ruler[k], equations)


@helper
def _add_depths(P: Float2D, ruler: Float2D, equations: Float2D) -> None:
    """Add the measured depths of a view at pose ``P`` (3, 4) to the normal equations (9, J)."""
    x, y, z = P[2, 0], P[2, 1], P[2, 2]
    for j in range(ruler.shape[1]):
        f = ruler[1, j] * ruler[2, j]
        g = f * ruler[0, j]
        equations[0, j] += f * x * x
        equations[1, j] += f * x * y
        equations[2, j] += f * x * z
        equations[3, j] += f * y * y
        equations[4, j] += f * y * z
        equations[5, j] += f * z * z
        equations[6, j] += g * x
        equations[7, j] += g * y
        equations[8, j] += g * z


@helper
def find_residuals(given: Keypoints, views: ViewEquations, seen: int, xyz: Float2D, robust_sigmas: float) -> None:
    """Write depth, squared residual and robust weight of joints ``xyz`` (3, J); Geman and McClure's weight.

    Behind the camera the residual is as large as no other.
    """
    for k in range(seen):
        P, image, offset = given.cam_from_world[views.camera[k]], views.image[k], views.offset[k]
        weight, weight2, depth, error2 = views.weight[k], views.weight2[k], views.depth[k], views.error2[k]
        for j in range(len(depth)):
            X, Y, Z = xyz[0, j], xyz[1, j], xyz[2, j]
            z = P[2, 0] * X + P[2, 1] * Y + P[2, 2] * Z + offset[2, j]
            u = P[0, 0] * X + P[0, 1] * Y + P[0, 2] * Z + offset[0, j] - image[0, j] * z
            v = P[1, 0] * X + P[1, 1] * Y + P[1, 2] * Z + offset[1, j] - image[1, j] * z
            d = NEAR_M if z < NEAR_M else z
            e = _FAR2 if z <= NEAR_M else (u * u + v * v) / (d * d)
            s = 1.0 + weight2[j] * e / (robust_sigmas * robust_sigmas)
            depth[j], error2[j], weight[j] = d, e, 1.0 / (s * s)
            if views.has_ruler[k]:
                ruler, away = views.ruler[k], z - offset[2, j] - views.ruler[k, 0, j]
                s = 1.0 + ruler[1, j] * away * away / (robust_sigmas * robust_sigmas)
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
    m = np.empty(6)
    for j in range(equations.shape[1]):
        for i in range(6):
            m[i] = equations[i, j]
        inverse = covariance[j]
        determinant = invert(m, inverse)
        # trace(m) trace(m^-1) bounds the condition number.
        if determinant > 0.0 and (m[0] + m[3] + m[5]) * (inverse[0] + inverse[3] + inverse[5]) < _ILL_CONDITIONED:
            xyz[0, j], xyz[1, j], xyz[2, j] = times(inverse, equations[6, j], equations[7, j], equations[8, j])
        else:
            xyz[0, j] = xyz[1, j] = xyz[2, j] = 0.0
            inverse[:] = np.nan


@helper
def fill_pulls(given: Keypoints, views: ViewEquations, seen: int, shared: Float1D, pulls: Float2D) -> None:
    """Write (3J, 2K): what a standard deviation of each view's shared error adds to the right-hand sides."""
    for k in range(seen):
        P, image, c = given.cam_from_world[views.camera[k]], views.image[k], views.camera[k]
        for j in range(image.shape[1]):
            pull = views.weight[k, j] * views.weight2[k, j] / views.depth[k, j] * shared[c]
            for r in range(3):
                pulls[3 * j + r, 2 * k] = pull * (P[0, r] - image[0, j] * P[2, r])
                pulls[3 * j + r, 2 * k + 1] = pull * (P[1, r] - image[1, j] * P[2, r])
