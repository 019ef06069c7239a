"""Poses as tuples against SciPy and the package's matrices."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from geo_pose_ros.geometry import quaternion as q
from geo_pose_ros.geometry import rigid


def pose(seed: int) -> q.Pose:
    rng = np.random.default_rng(seed)
    return q.unit(tuple(rng.normal(size=4).tolist())), tuple(rng.normal(size=3).tolist())


@pytest.mark.parametrize('seed', range(5))
def test_poses_are_the_matrices(seed):
    a, b = pose(seed), pose(seed + 100)
    np.testing.assert_allclose(q.matrix(a), rigid.from_quaternion(np.array(a[0]), np.array(a[1])), atol=1e-14)
    np.testing.assert_allclose(q.matrix(q.compose(a, b)), rigid.compose(q.matrix(a), q.matrix(b)), atol=1e-14)
    np.testing.assert_allclose(q.matrix(q.invert(a)), rigid.invert(q.matrix(a)), atol=1e-14)


@pytest.mark.parametrize('part', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('sign', [1.0, -1.0])
def test_interpolation_is_slerp_whatever_the_sign(part, sign):
    a, b = pose(1), pose(2)
    given = (tuple(sign * v for v in b[0]), b[1])
    turn, shift = q.interpolate(a, given, part)
    exact = Slerp([0.0, 1.0], Rotation.from_quat([a[0], b[0]]))(part)
    np.testing.assert_allclose(q.matrix((turn, shift))[:, :3], exact.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(shift, (1.0 - part) * np.array(a[1]) + part * np.array(b[1]), atol=1e-15)


def test_rotations_that_hardly_differ_are_interpolated_too():
    near = q.unit((1e-9, 0.0, 0.0, 1.0))
    turn, _ = q.interpolate(q.IDENTITY, (near, (0.0, 0.0, 0.0)), 0.5)
    assert turn == pytest.approx((0.5e-9, 0.0, 0.0, 1.0), abs=1e-12)


def test_angles():
    half = (0.0, 0.0, math.sin(0.4), math.cos(0.4))
    assert q.angle_between(q.IDENTITY[0], half) == pytest.approx(0.8)
    assert q.angle_between(q.IDENTITY[0], tuple(-v for v in half)) == pytest.approx(0.8)
