# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rigid transforms as (..., 3, 4) matrices [R | t], named ``b_from_a`` so that composition cancels."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import FloatArray

# Beyond this a rotation's axis is computed another way.
_HALF_TURN_RAD = 3.0


def transform_points(b_from_a: FloatArray, points_a: FloatArray) -> FloatArray:
    """Return points (..., N, 3) of frame a in frame b, for ``b_from_a`` (..., 3, 4)."""
    moved: FloatArray = points_a @ np.swapaxes(b_from_a[..., :3], -1, -2) + b_from_a[..., None, :, 3]
    return moved


def compose(c_from_b: FloatArray, b_from_a: FloatArray) -> FloatArray:
    """Return ``c_from_a`` (..., 3, 4) of two rigid transforms."""
    rotation = c_from_b[..., :3] @ b_from_a[..., :3]
    translation = c_from_b[..., :3] @ b_from_a[..., :, 3:] + c_from_b[..., :, 3:]
    return np.concatenate([rotation, translation], axis=-1)


def invert(b_from_a: FloatArray) -> FloatArray:
    """Return ``a_from_b`` (..., 3, 4): [R^T | -R^T t]."""
    transposed = np.swapaxes(b_from_a[..., :3], -1, -2)
    return np.concatenate([transposed, -transposed @ b_from_a[..., :, 3:]], axis=-1)


def cross_matrix(vector: FloatArray) -> FloatArray:
    """Return the matrix (3, 3) that multiplies as the cross product with ``vector`` (3,) does."""
    x, y, z = vector
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def from_quaternion(quaternion_xyzw: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Return the transform (3, 4) of a quaternion (4,), order x y z w as in geometry_msgs, and a translation (3,).

    Raises:
        ValueError: for a quaternion of length zero.
    """
    x, y, z, w = np.asarray(quaternion_xyzw, float).tolist()
    # Of any size without overflow.
    length = math.hypot(x, y, z, w)
    if length == 0.0:
        raise ValueError('A quaternion of length zero is no rotation.')
    x, y, z, w = x / length, y / length, z / length, w / length
    tx, ty, tz = np.asarray(translation_m, float).tolist()
    return np.array((
        (1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w), tx),
        (2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w), ty),
        (2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y), tz),
    ))


def to_quaternion(b_from_a: FloatArray) -> FloatArray:
    """Return the quaternions (..., 4), order x y z w with w >= 0, of the rotations of ``b_from_a`` (..., 3, 3 or 4)."""
    r = b_from_a[..., :3]
    xx, yy, zz = r[..., 0, 0], r[..., 1, 1], r[..., 2, 2]
    xy, xz, yz = r[..., 1, 0] + r[..., 0, 1], r[..., 0, 2] + r[..., 2, 0], r[..., 2, 1] + r[..., 1, 2]
    xw, yw, zw = r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]
    # Four times the quaternion times its transpose: the row of the largest component is the exactest (Markley 2008).
    products = np.stack([
        np.stack([1.0 + xx - yy - zz, xy, xz, xw], -1), np.stack([xy, 1.0 - xx + yy - zz, yz, yw], -1),
        np.stack([xz, yz, 1.0 - xx - yy + zz, zw], -1), np.stack([xw, yw, zw, 1.0 + xx + yy + zz], -1),
    ], -2)
    largest = np.diagonal(products, axis1=-2, axis2=-1).argmax(-1)[..., None, None]
    row = np.take_along_axis(products, largest, -2)[..., 0, :]
    turned: FloatArray = row / np.linalg.norm(row, axis=-1, keepdims=True)
    return np.where(turned[..., 3:] < 0.0, -turned, turned)


def interpolate(before: FloatArray, after: FloatArray, part: float) -> FloatArray:
    """Return the transform (3, 4) at ``part`` in [0, 1] of the way from ``before`` to ``after``.

    Translations go straight, rotations the shorter way at constant speed (Shoemake 1985, slerp).
    """
    turn = before[:, :3].T @ after[:, :3]
    angle, skew = angle_between(before, after), 0.5 * (turn - turn.T)
    if angle > _HALF_TURN_RAD:
        # ``skew`` does not show the axis.
        from scipy.spatial.transform import Rotation

        between = Rotation.from_rotvec(part * Rotation.from_matrix(turn).as_rotvec()).as_matrix()
    else:
        # Rodrigues' formula; ``skew`` is the axis times the sine of the angle.
        sine, small = math.sin(angle), angle < 1e-6
        first = part if small else math.sin(part * angle) / sine
        second = 0.5 * part**2 if small else (1.0 - math.cos(part * angle)) / sine**2
        between = np.eye(3) + first * skew + second * skew @ skew
    return np.column_stack([before[:, :3] @ between, before[:, 3] + part * (after[:, 3] - before[:, 3])])


def angle_between(a: FloatArray, b: FloatArray) -> float:
    """Return the angle, rad, by which the rotations of two transforms (3, 3 or 4) differ."""
    return math.acos(min(max(0.5 * (float((a[:, :3] * b[:, :3]).sum()) - 1.0), -1.0), 1.0))


def from_rotation_vector(rotation_vector_rad: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Return the transform (3, 4) of a rotation vector (3,) rad and a translation (3,) m."""
    # What SciPy imports takes longer than anything else that a page in the browser waits for.
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_rotvec(rotation_vector_rad).as_matrix()
    return np.column_stack([rotation, np.asarray(translation_m, float)])
