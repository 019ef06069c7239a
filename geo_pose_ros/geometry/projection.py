"""Perspective projection with lens distortion, and its inverse (Hartley & Zisserman, 2nd ed., ch. 6 and 7.4).

The distortion models are ROS's; OpenCV implements them (plumb_bob and rational_polynomial by its general model,
equidistant by its fisheye model).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from ..errors import ShapeError
from ..skeleton import FloatArray
from ..types import Camera, Intrinsics
from .rigid import transform_points

# Newton steps of the undistortion: to 1e-8 of the normalised plane, about 1e-5 px.
_CRITERIA = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-9)
_ORIGIN = np.zeros(3)
_IDENTITY = np.eye(3)


def project(intrinsics: Intrinsics, xyz_cam: FloatArray) -> FloatArray:
    """Project points (..., 3) m of the camera frame to raw (distorted) px (..., 2); NaN for z <= 0 or NaN.

    Raises:
        ShapeError: if the last axis is not 3.
    """
    xyz_cam = np.asarray(xyz_cam, np.float64)
    if xyz_cam.ndim == 0 or xyz_cam.shape[-1] != 3:
        raise ShapeError(f'project: received points {xyz_cam.shape}, expected (..., 3).')
    points = xyz_cam.reshape(-1, 3)
    with np.errstate(invalid='ignore'):
        front = points[:, 2] > 0.0
    xy = np.full((len(points), 2), np.nan)
    if front.any():
        ahead = points[front][:, None, :]
        if intrinsics.distortion_model == 'equidistant':
            pixels, _ = cv2.fisheye.projectPoints(ahead, _ORIGIN, _ORIGIN, intrinsics.K, intrinsics.D)
        else:
            pixels, _ = cv2.projectPoints(ahead, _ORIGIN, _ORIGIN, intrinsics.K, intrinsics.D)
        xy[front] = pixels[:, 0, :]
    return xy.reshape(*xyz_cam.shape[:-1], 2)


def project_world(camera: Camera, xyz_world: FloatArray) -> FloatArray:
    """Project points (..., N, 3) m of the world to raw px (..., N, 2) of ``camera``; NaN behind it."""
    return project(camera.intrinsics, transform_points(camera.cam_from_world, xyz_world))


def normalize(intrinsics: Intrinsics, xy: FloatArray) -> FloatArray:
    """Undistort raw px (..., 2) to the ideal normalised plane z = 1, (..., 2); NaN stays NaN.

    Raises:
        ShapeError: if the last axis is not 2.
    """
    xy = np.asarray(xy, np.float64)
    if xy.ndim == 0 or xy.shape[-1] != 2:
        raise ShapeError(f'normalize: received pixels {xy.shape}, expected (..., 2).')
    pixels = xy.reshape(-1, 2)
    # A sum is finite only if all its terms are.
    seen = np.isfinite(pixels.sum(-1))
    if seen.all():
        return _normalize(intrinsics, pixels).reshape(xy.shape)
    normal = np.full(pixels.shape, np.nan)
    normal[seen] = _normalize(intrinsics, pixels[seen])
    return normal.reshape(xy.shape)


def _normalize(intrinsics: Intrinsics, pixels: FloatArray) -> FloatArray:
    """Return ``normalize`` of finite pixels (N, 2)."""
    K = intrinsics.K
    if not len(pixels) or not intrinsics.distorted:
        ideal: FloatArray = (pixels - K[:2, 2]) / (K[0, 0], K[1, 1])
        return ideal
    given = pixels[:, None, :]
    if intrinsics.distortion_model == 'equidistant':
        return np.asarray(cv2.fisheye.undistortPoints(given, K, intrinsics.D, criteria=_CRITERIA), np.float64)[:, 0]
    return _undistort_points(given, K, intrinsics.D)[:, 0]


def _undistort_points(points: FloatArray, K: FloatArray, D: FloatArray) -> FloatArray:
    """Return (N, 1, 2) normalised points; the function with a stopping rule has another name from OpenCV 5 on."""
    iterate: Any = getattr(cv2, 'undistortPointsIter', None)
    if iterate is not None:
        return np.asarray(iterate(points, K, D, _IDENTITY, _IDENTITY, _CRITERIA))
    latest: Any = cv2.undistortPoints
    return np.asarray(latest(points, K, D, None, _IDENTITY, _IDENTITY, _CRITERIA))


def undistort(intrinsics: Intrinsics, xy: FloatArray) -> FloatArray:
    """Move raw px (..., 2) to where an ideal pinhole with the same K would see them, px (..., 2)."""
    ideal: FloatArray = normalize(intrinsics, xy) * np.diag(intrinsics.K)[:2] + intrinsics.K[:2, 2]
    return ideal
