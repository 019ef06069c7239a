# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Shapes of the scene as numbers: joints, bones and uncertainties as ellipsoids, the floor, and the way up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.rigid import to_quaternion
from ..types import CameraRig

_BONE_RADIUS_M = 0.02
# An ellipsoid of two standard deviations holds three quarters of what is normal in 3D.
_SIGMAS = 2.0
# The floor's lines, a metre apart, go so far to either side.
_FLOOR_M = 5


@dataclass(frozen=True, slots=True, eq=False)
class Ellipsoids:
    """N ellipsoids; what is not known has no size.

    Attributes:
        centres: (N, 3) m.
        wxyz: (N, 4) rotations of their axes, as viser has quaternions.
        half_axes: (N, 3) m.
    """

    centres: FloatArray
    wxyz: FloatArray
    half_axes: FloatArray

    def joined(self, others: Ellipsoids) -> Ellipsoids:
        """Return these and others."""
        return Ellipsoids(
            np.concatenate([self.centres, others.centres]), np.concatenate([self.wxyz, others.wxyz]),
            np.concatenate([self.half_axes, others.half_axes]),
        )


def known_points(points: FloatArray, axis: int | tuple[int, ...] = -1) -> BoolArray:
    """Return whether points (..., 3), or all points along more than one axis, are known."""
    return np.asarray(np.isfinite(points).all(axis), bool)


def balls(points: FloatArray, radius_m: float) -> Ellipsoids:
    """Return balls around points (N, 3) m."""
    known = known_points(points)
    half_axes = np.where(known, radius_m, 0.0)[:, None] * np.ones(3)
    return Ellipsoids(np.where(known[:, None], points, 0.0), unturned(len(points)), half_axes)


def bones(ends: FloatArray) -> Ellipsoids:
    """Return spindles between ends (N, 2, 3) m."""
    known = known_points(ends, (1, 2))
    ends = np.where(known[:, None, None], ends, 0.0)
    along = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(along, axis=1)
    half_axes = np.column_stack([np.full((len(ends), 2), _BONE_RADIUS_M), length / 2.0])
    direction = along / np.maximum(length, 1e-9)[:, None]
    return Ellipsoids(ends.mean(1), from_z(direction), half_axes * known[:, None])


def uncertainties(centres: FloatArray, covariance: FloatArray, known: BoolArray) -> Ellipsoids:
    """Return ellipsoids of two standard deviations around centres (J, 3) m, of covariances (J, 3, 3) m^2.

    Joints that are not ``known`` (J,), and those with an unknown covariance, have no size.
    """
    there = known & known_points(covariance, (1, 2))
    variances, axes = np.linalg.eigh(np.where(there[:, None, None], covariance, np.eye(3)))
    # A rotation, not a reflection.
    axes = axes * np.where(np.linalg.det(axes) < 0.0, -1.0, 1.0)[:, None, None]
    half_axes = _SIGMAS * np.sqrt(np.maximum(variances, 0.0)) * there[:, None]
    return Ellipsoids(centres, to_wxyz(axes), half_axes)


def unturned(count: int) -> FloatArray:
    """Return the rotations (N, 4) wxyz that turn nothing."""
    return np.tile((1.0, 0.0, 0.0, 0.0), (count, 1))


def to_wxyz(rotation: FloatArray) -> FloatArray:
    """Return quaternions (..., 4) wxyz of rotations (..., 3, 3)."""
    return to_quaternion(rotation)[..., [3, 0, 1, 2]]


def from_z(directions: FloatArray) -> FloatArray:
    """Return the rotations (..., 4) wxyz that turn z into unit vectors (..., 3)."""
    wxyz = np.stack([
        1.0 + directions[..., 2], -directions[..., 1], directions[..., 0], np.zeros(directions.shape[:-1])
    ], -1)
    # Half a turn about x where the way is the opposite one.
    wxyz = np.where(directions[..., 2:] < -0.9999, (0.0, 1.0, 0.0, 0.0), wxyz)
    turned: FloatArray = wxyz / np.linalg.norm(wxyz, axis=-1, keepdims=True)
    return turned


def floor_lines() -> FloatArray:
    """Return lines (N, 2, 3) m of a floor in the plane z = 0."""
    at = np.arange(-_FLOOR_M, _FLOOR_M + 1.0)
    far, zero = np.full(len(at), float(_FLOOR_M)), np.zeros(len(at))
    lines = np.stack([np.column_stack([at, -far, zero]), np.column_stack([at, far, zero])], 1)
    return np.concatenate([lines, lines[..., [1, 0, 2]]])


def sphere(rings: int, sectors: int) -> tuple[FloatArray, IntArray]:
    """Return vertices (V, 3) and triangles (F, 3) of a unit sphere."""
    polar = np.linspace(0.0, np.pi, rings)
    around = np.linspace(0.0, 2.0 * np.pi, sectors, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing='ij')
    vertices = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1).reshape(-1, 3)
    upper = np.arange((rings - 1) * sectors).reshape(-1, sectors)
    right = np.roll(upper, -1, 1)
    faces = np.stack([upper, upper + sectors, right + sectors, upper, right + sectors, right], -1)
    return vertices, faces.reshape(-1, 3)


def around(points: FloatArray) -> tuple[FloatArray, float]:
    """Return the middle (3,) m of points (N, 3), and the radius, m, of the ball around it that holds nearly all."""
    low, high = np.percentile(points, (2.0, 98.0), axis=0)
    middle = np.asarray((low + high) / 2.0)
    return middle, float(np.percentile(np.linalg.norm(points - middle, axis=1), 98.0))


def centre_of_view(rig: CameraRig | None, floor_m: float, up: FloatArray) -> FloatArray:
    """Return the point (3,) m nearest to the cameras' optical axes, or one a body's height above the floor."""
    standing: FloatArray = (floor_m + 1.0) * up
    if rig is None:
        return standing
    matrix, vector = np.zeros((3, 3)), np.zeros(3)
    for camera in rig.cameras:
        axis = camera.cam_from_world[2, :3]
        across = np.eye(3) - np.outer(axis, axis)
        matrix, vector = matrix + across, vector + across @ camera.position_m
    if len(rig) == 1 or np.linalg.cond(matrix) > 1e3:
        return np.asarray(rig.cameras[0].position_m + 3.0 * rig.cameras[0].cam_from_world[2, :3])
    return np.asarray(np.linalg.solve(matrix, vector))
