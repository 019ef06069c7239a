# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Perspective projection with lens distortion, and its inverse (Hartley & Zisserman, 2nd ed., ch. 6 and 7.4).

The distortion models are ROS's: plumb_bob and rational_polynomial as OpenCV computes them, equidistant after Kannala
and Brandt, PAMI 2006. Each is used only where it is one to one: a polynomial fitted to an image turns back somewhere
outside of it, so that points beyond would project into the image a second time. There, and where a ray is not in front
of the camera, the answer is NaN.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial.polynomial import polyadd, polyder, polymul, polyroots, polysub

from ..arrays import FloatArray
from ..errors import ShapeError
from ..types import Camera, Intrinsics
from .kernels import Lenses, project_points, undistort_pixels
from .rigid import transform_points

# The normalised plane ends at 90 degrees, at infinity.
_WIDEST_RAD = np.deg2rad(89.0)
# Nearer joints have no image.
_NEAREST_M = 0.1


def project(intrinsics: Intrinsics, xyz_cam: FloatArray) -> FloatArray:
    """Project points (..., 3) m of the camera frame to raw (distorted) px (..., 2).

    NaN for NaN, for z <= 0, and outside of the valid radius of the lens model (``valid_radius``).

    Raises:
        ShapeError: if the last axis is not 3.
    """
    xyz_cam = np.asarray(xyz_cam, np.float64, order='C')
    if xyz_cam.ndim == 0 or xyz_cam.shape[-1] != 3:
        raise ShapeError(f'project: received points {xyz_cam.shape}, expected (..., 3).')
    xy = np.empty((*xyz_cam.shape[:-1], 2))
    project_points(lenses_of(intrinsics), xyz_cam.reshape(-1, 3), xy.reshape(-1, 2))
    return xy


def project_world(camera: Camera, xyz_world: FloatArray) -> FloatArray:
    """Project points (..., N, 3) m of the world to raw px (..., N, 2) of ``camera``; NaN behind it."""
    return project(camera.intrinsics, transform_points(camera.cam_from_world, xyz_world))


def project_rays(cam_from_world: FloatArray, xyz_world: FloatArray) -> FloatArray:
    """Project points (..., N, 3) m of the world to the normalised planes of C cameras, (..., C, N, 2).

    NaN for NaN, and for points that are no farther than ``_NEAREST_M``.
    """
    local = xyz_world[..., None, :, :] @ np.swapaxes(cam_from_world[..., :3], -1, -2) + cam_from_world[:, None, :, 3]
    depth = np.where(local[..., 2:] > _NEAREST_M, local[..., 2:], np.nan)
    rays: FloatArray = local[..., :2] / depth
    return rays


def normalize(intrinsics: Intrinsics, xy: FloatArray) -> FloatArray:
    """Undistort raw px (..., 2) to the ideal normalised plane z = 1, (..., 2).

    NaN for NaN, and for pixels that the lens model has no ray for.

    Raises:
        ShapeError: if the last axis is not 2.
    """
    xy = np.asarray(xy, np.float64, order='C')
    if xy.ndim == 0 or xy.shape[-1] != 2:
        raise ShapeError(f'normalize: received pixels {xy.shape}, expected (..., 2).')
    xn = np.empty(xy.shape)
    undistort_pixels(lenses_of(intrinsics), xy.reshape(-1, 2), xn.reshape(-1, 2))
    return xn


@lru_cache(maxsize=256)
def lenses_of(*intrinsics: Intrinsics) -> Lenses:
    """Return the lenses of C cameras, as kernels take them."""
    count = len(intrinsics)
    equidistant = np.array([lens.distortion_model == 'equidistant' for lens in intrinsics], np.bool_)
    D, px_from_plane = np.zeros((count, 12)), np.empty((count, 3, 3))
    for c, lens in enumerate(intrinsics):
        given = lens.D[:12]
        D[c, : len(given)] = given
        px_from_plane[c] = lens.K @ _tilt(*lens.D[12:]) if len(lens.D) > 12 else lens.K
    radius = np.array([valid_radius(lens) for lens in intrinsics], np.float64)
    return Lenses(equidistant, np.ascontiguousarray(np.linalg.inv(px_from_plane)), px_from_plane, D, radius)


def _tilt(x_rad: float, y_rad: float) -> FloatArray:
    """Return the homography (3, 3) of a sensor that is tilted by two angles (OpenCV: Tilted lens model, tau)."""
    sin_x, cos_x, sin_y, cos_y = np.sin(x_rad), np.cos(x_rad), np.sin(y_rad), np.cos(y_rad)
    about_x = np.array([[1.0, 0.0, 0.0], [0.0, cos_x, sin_x], [0.0, -sin_x, cos_x]])
    about_y = np.array([[cos_y, 0.0, -sin_y], [0.0, 1.0, 0.0], [sin_y, 0.0, cos_y]])
    turn: FloatArray = about_y @ about_x
    onto = np.array([[turn[2, 2], 0.0, -turn[0, 2]], [0.0, turn[2, 2], -turn[1, 2]], [0.0, 0.0, 1.0]])
    return np.asarray(onto @ turn)


@lru_cache(maxsize=256)
def valid_radius(intrinsics: Intrinsics) -> float:
    """Return the distance from the axis in the normalised plane up to which the lens model is one to one; inf: all.

    There the distorted radius stops growing; the equidistant model ends at 89 degrees at the latest. Tangential and
    prism coefficients are small against the radial ones and left out.
    """
    if intrinsics.distortion_model == 'equidistant':
        # The derivative of the distorted angle, as coefficients of the powers 0, 1, .. of the angle.
        slope = np.zeros(9)
        slope[::2] = np.array([1.0, 3.0, 5.0, 7.0, 9.0]) * np.concatenate([[1.0], intrinsics.D])
        return float(np.tan(min([_WIDEST_RAD, *_positive_roots(slope)])))
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
