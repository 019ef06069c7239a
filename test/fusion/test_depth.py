# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depths of joints: from an image, below the surface that each keypoint shows, and as rows of the solver."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.bodies.depth import DISTANCES_M, rgbd_camera, root_errors_m
from geo_pose_ros.compiled import ready
from geo_pose_ros.fusion.depth import BONE_DEPTH_M, beside_body, joint_depths, pose_depths, sample_depths
from geo_pose_ros.fusion.kernels.sides import LIMB_PAIRS
from geo_pose_ros.fusion.left_right import Sides
from geo_pose_ros.fusion.prior import BodyPrior, LiftedViews
from geo_pose_ros.fusion.settings import DepthConfig, SolverConfig
from geo_pose_ros.fusion.solver import Solution, keypoints_table, model_table, solve_rows
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.scene.joint_filter import JointFilter
from geo_pose_ros.scene.settings import TrackingConfig
from geo_pose_ros.simulation.sight import render_depth
from geo_pose_ros.simulation.walks import STANDING, turn
from geo_pose_ros.skeleton import BODY17, mirror_of

from .test_solver import FOCAL_PX, crowd, lift, observe, ring

CONFIG = DepthConfig(enabled=True, noise_per_m=0.001)


def test_depths_are_sampled_where_the_colour_image_has_the_keypoint():
    depth_m = np.full((24, 32), 3.0, np.float32)
    depth_m[10:13, 20:23] = 2.0
    depth_m[11, 21] = 0.0
    depth_m[0:3, 0:3] = np.nan
    # A colour image of twice the pixels.
    xy = np.array([[[42.5, 22.5], [10.0, 30.0], [0.0, 0.0], [64.5, 10.0], [np.nan, np.nan], [63.4, 47.4]]])
    found = sample_depths(depth_m, xy, (64, 48))
    np.testing.assert_array_equal(found, [[2.0, 3.0, np.nan, np.nan, np.nan, 3.0]])


def test_a_joint_lies_below_the_skin_and_a_wall_is_nobody():
    surface = np.full((2, 17), np.nan)
    surface[0, :5] = 2.0, 2.1, 2.2, 3.5, 1.2
    surface[1, :2] = 2.0
    depth = joint_depths(surface, DepthConfig(enabled=True, noise_per_m=0.01))
    np.testing.assert_allclose(depth[0, :3, 0], np.array((2.0, 2.1, 2.2)) + BONE_DEPTH_M[:3])
    np.testing.assert_allclose(depth[0, :3, 1], 1.0 / np.hypot(0.06, 0.01 * np.array((2.0, 2.1, 2.2)) ** 2))
    # The wall, an arm of somebody else, what was not measured, and a person of whom too little was.
    assert not depth[0, 3:].any() and not depth[1].any()


@pytest.mark.parametrize(('surface_m', 'guessed', 'missing'), [
    ([2.0, 2.1, 2.2, 3.5, 1.2], [], [3]),
    ([2.0, 3.5], [], []),
    ([1.5] * 9 + [3.0] * 8, [], []),
    ([1.2, 1.2, 1.2, 1.2, 1.2, 3.0, 3.1, 3.1, 4.5], [0, 1, 2, 3, 4], [8]),
], ids=['a wall is not the person', 'too little', 'a desk before the person', 'guesses before the person'])
def test_a_keypoint_that_shows_what_stands_behind_misses_its_person(surface_m, guessed, missing):
    surface, seen = np.full((1, 17), np.nan), np.ones((1, 17), bool)
    surface[0, : len(surface_m)], seen[0, guessed] = surface_m, False
    assert np.flatnonzero(beside_body(surface, seen, DepthConfig())).tolist() == missing


def solved(cams, xyz, depth, prior=BodyPrior()):  # noqa: B008 - frozen
    xn, weights = observe(cams, xyz)
    solution = Solution.empty(*weights.shape)
    given = keypoints_table(cams, np.full(len(cams), FOCAL_PX), xn, weights, None, depth)
    solve_rows(given, np.arange(len(xyz)), model_table(SolverConfig(), None, len(cams)), prior, solution)
    return solution


def measured(cams, xyz):
    """Exact depths (C, B, J, 2), of 2 cm."""
    z = np.stack([transform_points(cam, xyz) for cam in cams])[..., 2]
    return np.stack([z, np.full(z.shape, 50.0)], -1)


def test_one_camera_with_a_ruler_triangulates():
    cams, xyz = ring(1), crowd(2)
    depth = measured(cams, xyz)
    solution = solved(cams, xyz, depth)
    np.testing.assert_allclose(solution.xyz, xyz, atol=1e-6)
    # Along the axis the ruler's standard deviation, across it the keypoint's.
    axis = cams[0, 2, :3]
    np.testing.assert_allclose(np.einsum('i,bjik,k->bj', axis, solution.covariance, axis), 0.02**2, rtol=1e-6)
    assert np.isnan(solved(cams, xyz, None).xyz).all()


def test_a_wrong_depth_among_views_that_agree_costs_little():
    cams, xyz = ring(3), crowd(1)
    depth = measured(cams, xyz)
    depth[0, 0, 13, 0] -= 0.4
    assert np.abs(solved(cams, xyz, depth).xyz - xyz).max() < 0.005


class Seen:
    """A person 2 m from a depth camera, turned by ``angle_rad``, whose pose is known: depths before and after it is."""

    def __init__(self, angle_rad, change=lambda surface: None):
        camera = rgbd_camera(2.0)
        joints = turn(STANDING[None], np.array([angle_rad]))
        xy = project_world(camera, joints)
        self.xn = (xy - camera.intrinsics.K[:2, 2]) / np.diag(camera.intrinsics.K)[:2]
        self.cam = camera.cam_from_world[None]
        self.z = transform_points(camera.cam_from_world, joints)[0, :, 2]
        image = render_depth(camera, joints, 3.5, np.random.default_rng(0), 0.0, 0.85)
        self.surface = sample_depths(image, xy, (640, 480))
        change(self.surface[0])
        self.alone = joint_depths(self.surface, CONFIG)[None]
        self.lifted = lift(self.cam, joints, 0.02)
        self.posed = pose_depths(self.alone, self.xn[None], self.cam, self.lifted)[0, 0]
        self.used = self.posed[:, 1] > 0.0


@pytest.mark.parametrize('angle_rad', [0.0, 0.8, np.pi / 2, np.pi])
def test_a_joint_lies_below_the_surface_that_its_keypoint_shows(angle_rad):
    seen = Seen(angle_rad)
    error = np.abs(seen.posed[:, 0] - seen.z)[seen.used]
    assert seen.used.sum() == 15 and error.mean() < 0.015 and error.max() < 0.05
    # An arm hides half of a person seen from the side: the surface is 5 to 48 cm before the joint's.
    hidden = (seen.alone[0, 0, :, 0] - seen.z)[seen.used] < -0.05
    assert hidden.sum() == {0.0: 0, 0.8: 3, np.pi: 1}.get(angle_rad, 7)


def test_what_stands_before_a_person_is_not_the_person():
    def stand_before(surface):
        surface[[0, 7, 8]] -= 0.45

    plain, before = Seen(0.0), Seen(0.0, stand_before)
    assert (before.posed[[7, 8], 1] < 0.1 * plain.posed[[7, 8], 1]).all()
    # The pelvis is where the others put it.
    np.testing.assert_allclose(before.posed[[0, 1, 2], 0], plain.posed[[0, 1, 2], 0], atol=0.005)


def test_girth_is_counted_once_however_many_joints_are_measured():
    seen = Seen(0.0)
    together = (seen.posed[:, 1] ** 2).sum() ** -0.5
    # A tenth of some 5 to 13 cm; each joint alone would make it four times as sure.
    assert 0.006 < together < 0.015


def test_a_body_that_is_not_lifted_or_behind_the_camera_keeps_its_depths():
    seen = Seen(0.0)
    nobody = LiftedViews(*(np.full_like(getattr(seen.lifted, name), np.nan) for name in LiftedViews.BODY_AXIS))
    behind = replace(seen.lifted, root=seen.lifted.root + 4.0 * rgbd_camera(2.0).position_m)
    for lifted in (nobody, behind):
        np.testing.assert_array_equal(pose_depths(seen.alone, seen.xn[None], seen.cam, lifted), seen.alone)


def test_a_body_that_a_depth_camera_measures_in_part_is_filtered_joint_by_joint():
    # As many joints are outside the image as would make a body without depths a lone view's.
    variance = np.where(np.arange(17) < 6, 0.002, 0.1)
    for well_known in (True, False):
        joints = JointFilter(TrackingConfig(), 17)
        joints.take(np.array([-1]))
        covariance = (variance if well_known else np.full(17, 0.1))[None, :, None, None] * np.eye(3)
        joints.update(STANDING[None], 0.1 * covariance, covariance)
        assert np.isnan(joints.joints.root_blocks).all() == well_known


def test_depths_go_with_their_joints_where_sides_are_exchanged():
    cams, xyz = ring(4), crowd(1)
    xn, weights = observe(cams, xyz)
    depth = measured(cams, xyz)
    arms = LIMB_PAIRS[0].reshape(-1)
    mirrored = mirror_of(BODY17)[arms]
    xn[1, 0, arms], depth[1, 0, arms] = xn[1, 0, mirrored], depth[1, 0, mirrored]
    sides = Sides(keypoints_table(cams, np.full(4, FOCAL_PX), xn, weights, None, depth), ready(np.ones(weights.shape)))
    assert sides.repair(np.arange(1), model_table(SolverConfig(), None, 4)).tolist() == [0]
    np.testing.assert_array_equal(sides.views().depth, measured(cams, xyz))


@pytest.mark.slow
def test_one_depth_camera_places_people_at_1_to_5_m():
    errors = {d: np.concatenate([root_errors_m(d, seed, depth=True) for seed in (0, 1)]) for d in DISTANCES_M}
    # Every set has a body. At 1 m half of the person is outside the image, and a stray pelvis errs by 20 cm.
    most = {d: 0.055 if d < 2.0 else 0.04 for d in DISTANCES_M}
    assert {d: round(found.mean(), 3) for d, found in errors.items() if not found.mean() <= most[d]} == {}
