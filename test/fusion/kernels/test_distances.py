# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled distances of bodies and detections, by hand."""

import numpy as np

from geo_pose_ros.fusion.kernels.distances import (
    CAP_M,
    centre_of,
    closest_points,
    lateral_distance,
    lies_near,
    origin_of,
    ray_distance,
    ray_through,
)
from geo_pose_ros.geometry import rays

from ..people import ring

ORDER, ALL = np.arange(4), np.ones(4, bool)


def four(x: float, y: float, z: float) -> np.ndarray:
    """Return four joints 0.1 m about (x, y, z)."""
    return np.array([x, y, z]) + 0.1 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]])


def test_the_lateral_distance_is_metric_at_the_joints_depth():
    body = four(0.0, 0.0, 4.0)
    xn = body[:, :2] / 4.0
    np.testing.assert_allclose(lateral_distance(body, ORDER, xn + (0.03, 0.04), ALL), 4.0 * 0.05)
    # Twice as far away the same pixels are twice as far apart.
    np.testing.assert_allclose(lateral_distance(2.0 * body, ORDER, xn + (0.03, 0.04), ALL), 8.0 * 0.05)
    # A body with its sides exchanged.
    np.testing.assert_allclose(lateral_distance(body, np.array([1, 0, 2, 3]), xn, ALL), 0.1)
    # A joint gone astray counts no more than CAP_M; behind the camera nothing fits.
    np.testing.assert_allclose(lateral_distance(body, ORDER, xn + 10.0 * np.eye(4, 2), ALL), CAP_M / 2.0)
    np.testing.assert_allclose(lateral_distance(-body, ORDER, xn, ALL), CAP_M)


def test_three_common_joints_say_nothing():
    body = four(0.0, 0.0, 4.0)
    three = np.array([True, True, True, False])
    assert lateral_distance(body, ORDER, body[:, :2] / 4.0, three) == np.inf
    u = np.tile([0.0, 0.0, 1.0], (4, 1))
    assert ray_distance(np.zeros(3), u, ALL, np.ones(3), u, three, 1.0) == np.inf
    body[2] = np.nan
    assert lateral_distance(body, ORDER, np.zeros((4, 2)), ALL) == np.inf


def test_the_centre_is_that_of_the_known_joints_and_near_is_metric():
    body = four(0.7, 0.0, 4.0)
    body[0] = np.nan
    np.testing.assert_allclose(centre_of(body), (*np.nanmean(body, 0), 3))
    assert centre_of(np.full((4, 3), np.nan)) == (0.0, 0.0, 0.0, 0)
    for reach_m, expected in ((0.69, False), (0.71, True)):
        assert lies_near(0.7, 0.0, 4.0, np.zeros(2), reach_m) == expected
    assert not lies_near(0.0, 0.0, -4.0, np.zeros(2), 1.0)


def test_rays_pass_each_other_as_in_the_geometry():
    rng, cameras = np.random.default_rng(0), ring(2)
    xn = rng.uniform(-0.3, 0.3, (2, 17, 2))
    u, origin = np.empty((2, 17, 3)), np.empty((2, 3))
    for c, pose in enumerate(cameras.cam_from_world):
        origin_of(pose, origin[c])
        np.testing.assert_allclose(origin[c], -pose[:, :3].T @ pose[:, 3])
        for j in range(17):
            ray_through(pose, *xn[c, j], u[c, j])
        np.testing.assert_allclose(u[c], rays.bearings(xn[c]) @ pose[:, :3])
    expected = rays.closest_points(origin[1] - origin[0], u[0], u[1])
    found = [closest_points(origin[0], u[0, j], origin[1], u[1, j]) for j in range(17)]
    np.testing.assert_allclose(np.transpose(found), expected)
    assert np.isnan(closest_points(origin[0], u[0, 0], origin[1], u[0, 0])).all()
    seen = rng.random((2, 17)) < 0.8
    apart = np.where((expected[1] > 0.0) & (expected[2] > 0.0), np.minimum(expected[0], CAP_M), CAP_M)
    mean = apart[seen.all(0)].mean()
    assert np.isclose(ray_distance(origin[0], u[0], seen[0], origin[1], u[1], seen[1], 1.0), mean)
    # Beyond the gate the sum is not finished.
    assert ray_distance(origin[0], u[0], seen[0], origin[1], u[1], seen[1], 0.3 * mean) == np.inf
