# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The lifter's input and the closed-form root."""

from __future__ import annotations

import numpy as np
import pytest

from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.lifting.canonical import canonical_poses, up_in_cameras
from geo_pose_ros.lifting.kernels import MIN_JOINTS
from geo_pose_ros.lifting.root import solve_root
from test.scenes import person, ring_rig


def _seen() -> tuple[np.ndarray, np.ndarray]:
    """Return a person in a camera's frame (17, 3) and its exact rays (17, 2)."""
    local = transform_points(ring_rig().cameras[0].cam_from_world, person(3))
    return local, local[:, :2] / local[:, 2:]


def test_canonical_pose_is_centred_has_unit_size_and_keeps_the_rays() -> None:
    local, rays = _seen()
    poses = canonical_poses(rays, np.full(17, 0.8))
    turned = local @ poses.view_from_cam.T
    np.testing.assert_allclose(poses.rays, turned[:, :2] / turned[:, 2:], atol=1e-6)
    np.testing.assert_allclose(np.median(np.linalg.norm(poses.pose2d[:, :2], axis=-1)), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.median(poses.pose2d[:, :2], axis=0), 0.0, atol=0.02)
    np.testing.assert_allclose(poses.pose2d[:, 2], 0.8, atol=1e-6)


def test_one_gross_outlier_hardly_moves_centre_and_size() -> None:
    _, rays = _seen()
    spoiled = rays.copy()
    spoiled[16] += 0.5
    clean, dirty = canonical_poses(rays, np.ones(17)), canonical_poses(spoiled, np.ones(17))
    assert dirty.size == pytest.approx(clean.size, rel=0.15)
    np.testing.assert_allclose(dirty.pose2d[:16, :2], clean.pose2d[:16, :2], atol=0.35)


def test_missing_joints_are_zero_and_do_not_count() -> None:
    _, rays = _seen()
    confidence = np.ones(17)
    rays[5], confidence[7] = np.nan, 0.0
    poses = canonical_poses(rays, confidence)
    np.testing.assert_array_equal(poses.pose2d[[5, 7]], 0.0)
    assert (np.abs(poses.pose2d[[0, 1, 2]]).sum(-1) > 0.0).all()


def test_too_few_joints_give_no_pose() -> None:
    _, rays = _seen()
    rays[MIN_JOINTS - 1 :] = np.nan
    poses = canonical_poses(np.stack([rays, np.full_like(rays, np.nan)]), np.ones((2, 17)))
    assert np.isnan(poses.size).all()
    np.testing.assert_array_equal(poses.pose2d, 0.0)
    assert np.isfinite(poses.view_from_cam).all()


def _rolled(rays: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what the camera sees when rolled by ``angle``, and the rotation (3, 3) that did it."""
    c, s = np.cos(angle), np.sin(angle)
    R = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    return rays @ R[:2, :2].T, R


def test_with_gravity_up_is_up_in_the_picture_and_the_roll_of_the_camera_does_not_matter() -> None:
    _, rays = _seen()
    camera = ring_rig().cameras[0].cam_from_world
    up = up_in_cameras(camera, 'z')
    poses = canonical_poses(rays, np.ones(17), up)
    seen_up = poses.view_from_cam @ up
    assert seen_up[0] == pytest.approx(0.0, abs=1e-9)
    assert seen_up[1] < 0.0
    # The optical axis of the virtual camera, in the world, falls by the sine of the steepness.
    axis = camera[:, :3].T @ poses.view_from_cam[2]
    assert poses.steepness == pytest.approx(-axis[2], abs=1e-9)
    np.testing.assert_allclose(poses.view, (poses.steepness, np.log(poses.size) + 2.5), atol=1e-6)
    turned, R = _rolled(rays, 0.9)
    again = canonical_poses(turned, np.ones(17), R @ up)
    # The centre is a median per axis, which the roll moves a little.
    np.testing.assert_allclose(again.pose2d, poses.pose2d, atol=0.1)
    np.testing.assert_allclose(again.steepness, poses.steepness, atol=0.02)
    # Without gravity the roll stays in the picture.
    rolled = canonical_poses(turned, np.ones(17))
    assert np.abs(rolled.pose2d - canonical_poses(rays, np.ones(17)).pose2d).max() > 1.0
    assert np.isnan(rolled.steepness) and not rolled.view.any()


def test_a_view_from_right_above_keeps_the_roll_of_the_camera() -> None:
    _, rays = _seen()
    centred = rays - np.median(rays, 0)
    poses = canonical_poses(centred, np.ones(17), np.array((0.0, 0.0, -1.0)))
    np.testing.assert_allclose(poses.view_from_cam, np.eye(3), atol=1e-9)
    assert poses.steepness == pytest.approx(1.0)


def test_an_axis_that_is_none_is_refused() -> None:
    np.testing.assert_allclose(up_in_cameras(np.eye(3, 4), '-y'), (0.0, -1.0, 0.0))
    with pytest.raises(ConfigError, match=r"World axis 'up': expected one of z, y, x, -z, -y, -x"):
        up_in_cameras(np.eye(3, 4), 'up')


def test_shapes_that_do_not_agree_are_refused() -> None:
    with pytest.raises(ShapeError, match='canonical_poses'):
        canonical_poses(np.zeros((17, 3)), np.zeros(17))
    with pytest.raises(ShapeError, match='locate_root'):
        solve_root(np.zeros((17, 3)), np.zeros((17, 3)), np.zeros(17))


def test_root_ignores_joints_without_weight_or_measurement() -> None:
    local, rays = _seen()
    weights = np.ones(17)
    rays[4], rays[9], weights[9] = np.nan, 3.0, 0.0
    np.testing.assert_allclose(solve_root(local - local[0], rays, weights), local[0], atol=1e-9)


def test_root_is_unbiased_in_depth_under_noise() -> None:
    local, rays = _seen()
    rng = np.random.default_rng(0)
    noisy = rays + 0.01 * rng.standard_normal((2000, 17, 2))
    pose = np.broadcast_to(local - local[0], (2000, 17, 3)) + 0.04 * rng.standard_normal((2000, 17, 3))
    depth = solve_root(pose, noisy, np.ones((2000, 17)))[:, 2]
    assert np.median(depth) == pytest.approx(local[0, 2], rel=0.01)


def test_root_is_nan_where_it_is_undefined() -> None:
    local, rays = _seen()
    rays[1:] = np.nan
    assert np.isnan(solve_root(local - local[0], rays, np.ones(17))).all()
