# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What cameras see and detect, as arrays."""

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.fusion.kernels.views import lies_in_image
from geo_pose_ros.fusion.views import Cameras, Detections

from .people import crowd, observe, ring

# One camera at the origin that looks along z.
AHEAD = Cameras(
    np.eye(3, 4)[None], np.array([500.0]), np.array([[-0.5, -0.4, 0.5, 0.4]]), np.zeros(1), np.ones(1, bool)
)


def test_joints_are_seen_at_each_views_own_instant():
    cameras = ring(3, dt_s=np.array([-0.1, 0.0, 0.2]))
    xyz = crowd(2)
    velocity = np.random.default_rng(0).normal(0.0, 1.0, xyz.shape)
    seen = cameras.see(xyz, velocity)
    for c, (pose, dt_s) in enumerate(zip(cameras.cam_from_world, cameras.dt_s, strict=True)):
        np.testing.assert_allclose(seen[c], (xyz + dt_s * velocity) @ pose[:, :3].T + pose[:, 3], atol=1e-12)
    np.testing.assert_allclose(cameras.see(xyz)[0], xyz @ cameras.cam_from_world[0, :, :3].T
                               + cameras.cam_from_world[0, :, 3], atol=1e-12)
    assert len(cameras) == 3


def test_the_picture_ends_at_its_bounds_and_at_the_camera():
    points = np.array(
        [[[1.0, 0.0, 2.0], [1.01, 0.0, 2.0], [0.0, -0.8, 2.0], [0.0, -0.81, 2.0], [0.0, 0.0, -2.0], [0.0, 0.0, 0.05],
          [np.nan] * 3]]
    )
    inside = [lies_in_image(AHEAD.bounds[0], *point) for point in points[0]]
    assert inside == [True, False, True, False, False, False, False]


def test_detections_of_all_cameras_are_joined_and_gathered_back():
    cameras, bodies = ring(3), crowd(2)
    seen = observe(cameras, bodies)
    d = seen.detections
    assert d.starts.tolist() == [0, 2, 4, 6] and d.camera.tolist() == [0, 0, 1, 1, 2, 2] and len(d) == 6
    np.testing.assert_allclose(d.centre, d.xn.mean(1))
    views = np.array([[1, -1, 4], [-1, -1, -1]])
    found = d.gather(views)
    xn, confidence = found.xn, found.confidence
    np.testing.assert_array_equal(xn[0, 0], d.xn[1])
    np.testing.assert_array_equal(xn[2, 0], d.xn[4])
    assert np.isnan(xn[1]).all() and np.isnan(xn[:, 1]).all()
    assert (confidence[[0, 2], 0] == 1.0).all() and not confidence[1].any() and not confidence[:, 1].any()


def test_selected_detections_keep_their_cameras():
    d = observe(ring(3), crowd(2)).detections
    part = d.select(np.array([1, 4, 5]))
    assert part.camera.tolist() == [0, 2, 2] and part.starts.tolist() == [0, 1, 1, 3]
    np.testing.assert_array_equal(part.xn, d.xn[[1, 4, 5]])


@pytest.mark.parametrize(
    ('xn', 'confidence'),
    [
        ([], []),
        ([np.zeros((1, 5, 2))], []),
        ([np.zeros((5, 2))], [np.zeros((1, 5))]),
        ([np.zeros((1, 5, 3))], [np.zeros((1, 5))]),
        ([np.zeros((1, 5, 2)), np.zeros((1, 6, 2))], [np.zeros((1, 5)), np.zeros((1, 6))]),
        ([np.zeros((1, 5, 2))], [np.zeros((2, 5))]),
    ],
)
def test_arrays_that_do_not_agree_are_refused(xn, confidence):
    with pytest.raises(ShapeError, match=r'expected one \(P, J, 2\) and one \(P, J\) per camera'):
        Detections.of(xn, confidence)
