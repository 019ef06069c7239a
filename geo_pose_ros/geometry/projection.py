"""Perspective projection with lens distortion, and its inverse (Hartley & Zisserman, 2nd ed., ch. 6 and 7.4).

The distortion models are ROS's: plumb_bob and rational_polynomial as OpenCV computes them, equidistant after Kannala
and Brandt, PAMI 2006. Each is used only where it is one to one: a polynomial fitted to an image turns back somewhere
outside of it, so that points beyond would project into the image a second time. There, and where a ray is not in front
of the camera, the answer is NaN.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.polynomial.polynomial import polyadd, polyder, polymul, polyroots, polysub, polyval

from ..arrays import FloatArray
from ..errors import ShapeError
from ..types import Camera, Intrinsics
from .rigid import transform_points

# Newton steps of the undistortion: to 1e-8 of the normalised plane, about 1e-5 px.
_CRITERIA = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 40, 1e-9)
# OpenCV computes derivatives with every projection, 30 numbers per point; for more points they do not fit the cache.
_AT_ONCE = 1024
_ORIGIN = np.zeros(3)
_IDENTITY = np.eye(3)
# An undistorted pixel must project back to within this, which no detector can tell apart.
_ROUND_TRIP_PX = 0.5
# The normalised plane ends at 90 degrees, at infinity.
_WIDEST_RAD = np.deg2rad(89.0)
_NEWTON_STEPS = 20


def project(intrinsics: Intrinsics, xyz_cam: FloatArray) -> FloatArray:
    """Project points (..., 3) m of the camera frame to raw (distorted) px (..., 2).

    NaN for NaN, for z <= 0, and outside of the valid radius of the lens model (``valid_radius``).

    Raises:
        ShapeError: if the last axis is not 3.
    """
    xyz_cam = np.asarray(xyz_cam, np.float64)
    if xyz_cam.ndim == 0 or xyz_cam.shape[-1] != 3:
        raise ShapeError(f'project: received points {xyz_cam.shape}, expected (..., 3).')
    points = xyz_cam.reshape(-1, 3)
    with np.errstate(invalid='ignore', divide='ignore'):
        radius = np.hypot(points[:, 0], points[:, 1]) / points[:, 2]
        visible = (points[:, 2] > 0.0) & (radius <= valid_radius(intrinsics))
    xy = np.full((len(points), 2), np.nan)
    if visible.any():
        xy[visible] = _distort(intrinsics, points[visible])
    return xy.reshape(*xyz_cam.shape[:-1], 2)


def _distort(intrinsics: Intrinsics, points: FloatArray) -> FloatArray:
    """Return ``project`` of points (N, 3) within the valid range."""
    ahead = points[:, None, :]
    if intrinsics.distortion_model == 'equidistant':
        pixels, _ = cv2.fisheye.projectPoints(ahead, _ORIGIN, _ORIGIN, intrinsics.K, intrinsics.D)
    else:
        pixels = np.concatenate([
            cv2.projectPoints(ahead[begin : begin + _AT_ONCE], _ORIGIN, _ORIGIN, intrinsics.K, intrinsics.D)[0]
            for begin in range(0, len(ahead), _AT_ONCE)
        ])
    return np.asarray(pixels, np.float64)[:, 0, :]


def project_world(camera: Camera, xyz_world: FloatArray) -> FloatArray:
    """Project points (..., N, 3) m of the world to raw px (..., N, 2) of ``camera``; NaN behind it."""
    return project(camera.intrinsics, transform_points(camera.cam_from_world, xyz_world))


def project_rays(cam_from_world: FloatArray, xyz_world: FloatArray, nearest_m: float = 0.0) -> FloatArray:
    """Project points (..., N, 3) m of the world to the normalised planes of C cameras, (..., C, N, 2).

    NaN for NaN, and for points whose depth is not above ``nearest_m``.
    """
    local = xyz_world[..., None, :, :] @ np.swapaxes(cam_from_world[..., :3], -1, -2) + cam_from_world[:, None, :, 3]
    depth = np.where(local[..., 2:] > nearest_m, local[..., 2:], np.nan)
    rays: FloatArray = local[..., :2] / depth
    return rays


def normalize(intrinsics: Intrinsics, xy: FloatArray) -> FloatArray:
    """Undistort raw px (..., 2) to the ideal normalised plane z = 1, (..., 2).

    NaN for NaN, and for pixels that the lens model has no ray for.

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
    if intrinsics.distortion_model == 'equidistant':
        return _normalize_equidistant(intrinsics, pixels)
    normal = _undistort_points(pixels[:, None, :], K, intrinsics.D)[:, 0]
    seen_at = _distort(intrinsics, np.column_stack([normal, np.ones(len(normal))]))
    with np.errstate(invalid='ignore'):
        found = np.abs(seen_at - pixels).max(-1) < _ROUND_TRIP_PX
        found &= np.hypot(normal[:, 0], normal[:, 1]) <= valid_radius(intrinsics)
    normal[~found] = np.nan
    return normal


def _normalize_equidistant(intrinsics: Intrinsics, pixels: FloatArray) -> FloatArray:
    """Return ``normalize`` of pixels (N, 2) of the equidistant model: Newton's method on the angle to the axis."""
    K = intrinsics.K
    offset: FloatArray = (pixels - K[:2, 2]) / (K[0, 0], K[1, 1])
    distorted = np.hypot(offset[:, 0], offset[:, 1])
    limit = np.arctan(valid_radius(intrinsics))
    theta = np.minimum(distorted, limit)
    for _ in range(_NEWTON_STEPS):
        error = _distorted_angle(intrinsics, theta) - distorted
        step = error / np.maximum(polyval(theta, _angle_slope(intrinsics)), 1e-6)
        theta = np.clip(theta - step, 0.0, limit)
        if np.abs(step).max() < 1e-12:
            break
    found = np.abs(_distorted_angle(intrinsics, theta) - distorted) * K[0, 0] < _ROUND_TRIP_PX
    # At the centre tan(theta) / distorted is 1 / 1.
    scale = np.tan(theta) / np.where(distorted > 1e-9, distorted, 1.0)
    scale[distorted <= 1e-9] = 1.0
    normal: FloatArray = offset * np.where(found, scale, np.nan)[:, None]
    return normal


def _distorted_angle(intrinsics: Intrinsics, theta: FloatArray) -> FloatArray:
    """Return the equidistant model's distorted angles of the true ones (N,), rad."""
    square = theta * theta
    distorted: FloatArray = theta * polyval(square, np.concatenate([[1.0], intrinsics.D]))
    return distorted


def _angle_slope(intrinsics: Intrinsics) -> FloatArray:
    """Return the derivative of ``_distorted_angle`` as coefficients of the powers 0, 1, .. of the angle."""
    slope = np.zeros(9)
    slope[::2] = np.array([1.0, 3.0, 5.0, 7.0, 9.0]) * np.concatenate([[1.0], intrinsics.D])
    return slope


@lru_cache(maxsize=256)
def valid_radius(intrinsics: Intrinsics) -> float:
    """Return the distance from the axis in the normalised plane up to which the lens model is one to one; inf: all.

    There the distorted radius stops growing; the equidistant model ends at 89 degrees at the latest. Tangential and
    prism coefficients are small against the radial ones and left out.
    """
    if intrinsics.distortion_model == 'equidistant':
        return float(np.tan(min([_WIDEST_RAD, *_positive_roots(_angle_slope(intrinsics))])))
    D = np.zeros(8)
    D[: min(8, len(intrinsics.D))] = intrinsics.D[:8]
    # As polynomials of the squared radius s: r N(s) / M(s) grows while N M + 2 s (N' M - N M') > 0.
    N, M = np.array([1.0, D[0], D[1], D[4]]), np.array([1.0, D[5], D[6], D[7]])
    change = polysub(polymul(polyder(N), M), polymul(N, polyder(M)))
    growth = polyadd(polymul(N, M), polymul([0.0, 2.0], change))
    return float(np.sqrt(min([*_positive_roots(growth), *_positive_roots(M)], default=np.inf)))


def _positive_roots(coefficients: FloatArray) -> list[float]:
    """Return the real roots above zero of a polynomial, given by its coefficients of the powers 0, 1, ..."""
    roots = polyroots(np.trim_zeros(coefficients, 'b'))
    return [float(root.real) for root in roots if abs(root.imag) < 1e-9 * max(1.0, abs(root)) and root.real > 0.0]


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
