"""Rigid transforms as (..., 3, 4) matrices [R | t], named ``b_from_a`` so that composition cancels."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from ..skeleton import FloatArray


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


def from_quaternion(quaternion_xyzw: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Return the transform (3, 4) of a quaternion (4,), order x y z w as in geometry_msgs, and a translation (3,)."""
    rotation = Rotation.from_quat(quaternion_xyzw).as_matrix()
    return np.column_stack([rotation, np.asarray(translation_m, float)])


def to_quaternion(b_from_a: FloatArray) -> FloatArray:
    """Return the quaternion (4,), order x y z w with w >= 0, of the rotation of ``b_from_a`` (3, 4)."""
    quaternion: FloatArray = Rotation.from_matrix(b_from_a[:, :3].copy()).as_quat()
    return -quaternion if quaternion[3] < 0.0 else quaternion


def from_rotation_vector(rotation_vector_rad: FloatArray, translation_m: FloatArray) -> FloatArray:
    """Return the transform (3, 4) of a rotation vector (3,) rad and a translation (3,) m."""
    rotation = Rotation.from_rotvec(rotation_vector_rad).as_matrix()
    return np.column_stack([rotation, np.asarray(translation_m, float)])
