# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Triangulation of joints from C views (Hartley & Zisserman, 2nd ed., ch. 12).

Views enter as ideal normalised image points (see projection.normalize) with ``cam_from_world`` (C, 3, 4); NaN is a
view that did not see the joint. Pixel errors are normalised errors times the view's focal length.
"""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..errors import ShapeError
from .rays import bearings, closest_points


def _check(cam_from_world: FloatArray, xn: FloatArray, weights: FloatArray) -> None:
    views = len(cam_from_world)
    if cam_from_world.shape != (views, 3, 4) or xn.shape[:1] != (views,) or xn.ndim != 3 or xn.shape[2] != 2:
        raise ShapeError(
            f'triangulation: received cameras {cam_from_world.shape} and points {xn.shape}, '
            'expected (C, 3, 4) and (C, N, 2).'
        )
    if weights.shape != xn.shape[:2]:
        raise ShapeError(f'triangulation: received weights {weights.shape}, expected {xn.shape[:2]}.')


def triangulate_dlt(cam_from_world: FloatArray, xn: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted linear (DLT) triangulation (Hartley & Zisserman 12.2).

    Args:
        cam_from_world: (C, 3, 4).
        xn: (C, N, 2) normalised points, NaN = not seen.
        weights: (C, N) >= 0, each view's rows are scaled by it.

    Returns:
        (N, 3) m, NaN where fewer than two views have weight or the point is at infinity.

    Raises:
        ShapeError: for mismatched shapes.
    """
    _check(cam_from_world, xn, weights)
    used = np.isfinite(xn).all(-1) & (weights > 0.0)
    w = np.where(used, weights, 0.0)[..., None, None]
    x = np.where(used[..., None], xn, 0.0)
    P = cam_from_world[:, None]
    rows = w * (x[..., :, None] * P[:, :, 2:3, :] - P[:, :, :2, :])
    A = np.moveaxis(rows, 0, 1).reshape(xn.shape[1], -1, 4)
    if A.shape[1] < 4:
        return np.full((xn.shape[1], 3), np.nan)
    # The null vector by eigh of A^T A: in normalised coordinates its accuracy (1e-8) is far below pixel noise.
    _, vectors = np.linalg.eigh(np.swapaxes(A, -1, -2) @ A)
    X = vectors[..., 0]
    finite = (used.sum(0) >= 2) & (np.abs(X[:, 3]) > 1e-9)
    xyz = np.full((xn.shape[1], 3), np.nan)
    xyz[finite] = X[finite, :3] / X[finite, 3:]
    return xyz


def _pair_midpoints(cam_from_world: FloatArray, xn: FloatArray, first: IntArray, second: IntArray) -> FloatArray:
    """Return (K, N, 3) m: for each pair of views the midpoint of the rays' shortest connection, NaN if unseen."""
    R = cam_from_world[:, :, :3]
    centre = -np.einsum('cji,cj->ci', R, cam_from_world[:, :, 3])
    rays = bearings(xn) @ R
    u, v = rays[first], rays[second]
    _, s, t = closest_points((centre[second] - centre[first])[:, None], u, v)
    midpoints: FloatArray = 0.5 * (
        centre[first][:, None] + s[..., None] * u + centre[second][:, None] + t[..., None] * v
    )
    return midpoints


def reprojection_residuals(
    cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, xyz: FloatArray
) -> FloatArray:
    """Return reprojection distances in px of points (..., N, 3) m in C views, (..., C, N); inf behind a camera.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, N, 2) normalised points; NaN gives NaN.
        xyz: (..., N, 3).
    """
    local = xyz[..., None, :, :] @ np.swapaxes(cam_from_world[..., :3], -1, -2) + cam_from_world[:, None, :, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        error = local[..., :2] / local[..., 2:] - xn
        residuals: FloatArray = np.sqrt((error * error).sum(-1)) * focal_px[:, None]
        # Infinity plus NaN stays NaN.
        residuals[local[..., 2] <= 0.0] += np.inf
    return residuals


def triangulate_robust(
    cam_from_world: FloatArray, focal_px: FloatArray, xn: FloatArray, weights: FloatArray, *, outlier_px: float
) -> tuple[FloatArray, BoolArray]:
    """Triangulate with outlier views rejected per point.

    Every pair of views proposes a point (exhaustive RANSAC, Hartley & Zisserman 4.7, as views are few); the proposal
    with the least truncated, weighted reprojection cost over all views decides which views are inliers; these views
    are solved by weighted DLT.

    Args:
        cam_from_world: (C, 3, 4).
        focal_px: (C,).
        xn: (C, N, 2) normalised, NaN = not seen.
        weights: (C, N) >= 0, 1 / standard deviation of the measurement, 1/px; 0 leaves a view out.
        outlier_px: a view farther than this from the point is an outlier.

    Returns:
        xyz (N, 3) m, NaN with fewer than two inliers, and the inliers (C, N).

    Raises:
        ShapeError: for mismatched shapes.
    """
    _check(cam_from_world, xn, weights)
    views, points = weights.shape
    used = np.isfinite(xn).all(-1) & (weights > 0.0)
    w = np.where(used, weights, 0.0)
    inliers = used
    if views > 2:
        first, second = np.triu_indices(views, 1)
        proposals = _pair_midpoints(cam_from_world, np.where(used[..., None], xn, np.nan), first, second)
        distances = reprojection_residuals(cam_from_world, focal_px, xn, proposals)
        cost = (w**2 * np.minimum(np.where(used, distances, np.inf) / outlier_px, 1.0) ** 2).sum(1)
        cost[~np.isfinite(proposals).all(-1)] = np.inf
        chosen = distances[cost.argmin(0), :, np.arange(points)].T
        inliers = used & (chosen <= outlier_px)
    xyz = triangulate_dlt(cam_from_world, xn, np.where(inliers, w * focal_px[:, None], 0.0))
    residual_px = reprojection_residuals(cam_from_world, focal_px, np.where(used[..., None], xn, np.nan), xyz)
    # Judged at the final point: two views always meet somewhere, but not always near both pixels.
    inliers = inliers & (residual_px <= outlier_px)
    lost = inliers.sum(0) < 2
    xyz[lost] = np.nan
    return xyz, inliers & ~lost
