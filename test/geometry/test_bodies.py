"""Bodies in another frame: joints move, uncertainty turns."""

import numpy as np

from geo_pose_ros.geometry.bodies import bodies_in
from geo_pose_ros.geometry.rigid import from_rotation_vector
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D


def test_joints_and_covariances_are_those_of_the_frame():
    xyz = np.random.default_rng(0).normal(size=(2, 17, 3))
    ones = np.ones((2, 17))
    covariance = np.broadcast_to(np.diag([1.0, 4.0, 9.0]), (2, 17, 3, 3))
    bodies = Bodies3D(5, 'odom', BODY17, xyz, covariance, ones, ones.astype(int), ones, np.array([3, 8]), velocity=xyz)
    quarter = from_rotation_vector(np.array([0.0, 0.0, np.pi / 2.0]), np.array([1.0, 2.0, 3.0]))
    moved = bodies_in(quarter, bodies, 'base')
    np.testing.assert_allclose(moved.xyz, np.stack([-xyz[..., 1], xyz[..., 0], xyz[..., 2]], -1) + (1.0, 2.0, 3.0))
    np.testing.assert_allclose(moved.velocity, moved.xyz - (1.0, 2.0, 3.0))
    np.testing.assert_allclose(moved.covariance[1, 4], np.diag([4.0, 1.0, 9.0]), atol=1e-12)
    assert (moved.frame_id, moved.stamp_ns, moved.body_ids.tolist()) == ('base', 5, [3, 8])
