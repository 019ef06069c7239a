# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Triangulation against exact truth, outliers and degenerate views."""

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.geometry.projection import normalize, project_world
from geo_pose_ros.geometry.triangulation import reprojection_residuals, triangulate_dlt, triangulate_robust

from ..scenes import person, ring_rig


def views(cameras=4, noise_px=0.0, seed=0, model='plumb_bob'):
    rig, truth = ring_rig(cameras, distortion_model=model), person(1)
    noise = np.random.default_rng(seed).normal(0.0, noise_px, (cameras, 17, 2))
    pairs = zip(rig.cameras, noise, strict=True)
    xn = np.stack([normalize(c.intrinsics, project_world(c, truth) + n) for c, n in pairs])
    P = np.stack([c.cam_from_world for c in rig.cameras])
    focal = np.array([c.intrinsics.K[0, 0] for c in rig.cameras])
    return P, focal, xn, np.ones(xn.shape[:2]), truth


def robust(P, focal, xn, weights, outlier_px=30.0):
    return triangulate_robust(P, focal, xn, weights, outlier_px=outlier_px)


@pytest.mark.parametrize('model', ['plumb_bob', 'rational_polynomial', 'equidistant'])
@pytest.mark.parametrize('cameras', [2, 4])
def test_project_then_triangulate_is_identity(model, cameras):
    P, focal, xn, weights, truth = views(cameras, model=model)
    np.testing.assert_allclose(triangulate_dlt(P, xn, weights), truth, atol=1e-6)
    xyz, inliers = robust(P, focal, xn, weights)
    np.testing.assert_allclose(xyz, truth, atol=1e-6)
    assert (inliers.sum(0) == cameras).all()
    assert reprojection_residuals(P, focal, xn, xyz).max() < 1e-3


def test_missing_view_equals_absent_view():
    P, focal, xn, weights, _ = views(noise_px=3.0)
    without = robust(P[1:], focal[1:], xn[1:], weights[1:])[0]
    gone = xn.copy()
    gone[0] = np.nan
    np.testing.assert_allclose(robust(P, focal, gone, weights)[0], without, atol=1e-9)
    light = weights.copy()
    light[0] = 0.0
    np.testing.assert_allclose(robust(P, focal, xn, light)[0], without, atol=1e-9)


def test_fewer_than_two_views_are_nan():
    P, focal, xn, weights, truth = views()
    xn[1:, 3] = np.nan
    xn[:, 5] = np.nan
    xyz, inliers = robust(P, focal, xn, weights)
    assert np.flatnonzero(np.isnan(xyz).any(-1)).tolist() == [3, 5]
    assert inliers.sum(0)[[3, 5]].tolist() == [0, 0]
    assert np.isnan(triangulate_dlt(P, xn, weights)[[3, 5]]).all()
    assert np.isnan(robust(P[:1], focal[:1], xn[:1], weights[:1])[0]).all()
    np.testing.assert_allclose(np.delete(xyz, [3, 5], 0), np.delete(truth, [3, 5], 0), atol=1e-6)


def test_outlier_view_is_rejected_and_reported():
    P, focal, xn, weights, truth = views(noise_px=1.0)
    xn[2, 7] += 150.0 / 900.0
    xyz, inliers = robust(P, focal, xn, weights)
    assert inliers[:, 7].tolist() == [True, True, False, True]
    assert np.linalg.norm(xyz - truth, axis=1).max() < 0.02
    # The plain linear answer is dragged away: the rejection is what saves it.
    assert np.linalg.norm(triangulate_dlt(P, xn, weights)[7] - truth[7]) > 0.1


def test_two_views_that_contradict_each_other_give_nothing():
    # Neighbours on the ring have nearly horizontal epipolar lines, so that a vertical shift leaves them.
    P, focal, xn, weights = (array[:2] for array in views(4)[:4])
    xn[1, 4, 1] += 200.0 / 900.0
    xyz, inliers = robust(P, focal, xn, weights)
    assert np.isnan(xyz[4]).all()
    assert not inliers[:, 4].any()


def test_residual_behind_a_camera_is_infinite_and_of_the_unseen_nan():
    P, focal, xn, _, truth = views()
    xn[1, 0] = np.nan
    residuals = reprojection_residuals(P, focal, xn, truth + 100.0 * P[0, 2, :3] * -1.0)
    assert np.isinf(residuals[0]).all()
    assert np.isnan(residuals[1, 0])


def test_shapes_are_refused():
    P, _, xn, weights, _ = views()
    with pytest.raises(ShapeError, match=r'cameras \(4, 3, 3\)'):
        triangulate_dlt(P[:, :, :3], xn, weights)
    with pytest.raises(ShapeError, match=r'weights \(3, 17\), expected \(4, 17\)'):
        triangulate_dlt(P, xn, weights[1:])
