# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depths of joints: from an image, below the skin, and as rows of the solver."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bodies.depth import DISTANCES_M, root_errors_m
from geo_pose_ros.compiled import ready
from geo_pose_ros.fusion.depth import BONE_DEPTH_M, joint_depths, sample_depths
from geo_pose_ros.fusion.kernels.sides import LIMB_PAIRS
from geo_pose_ros.fusion.left_right import Sides
from geo_pose_ros.fusion.prior import BodyPrior
from geo_pose_ros.fusion.settings import DepthConfig, SolverConfig
from geo_pose_ros.fusion.solver import Solution, keypoints_table, model_table, solve_rows
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.skeleton import BODY17, mirror_of

from .test_solver import FOCAL_PX, crowd, lift, observe, ring

CONFIG = DepthConfig(enabled=True, noise_per_m=0.0, surface_m=0.02)


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
    depth = joint_depths(surface, DepthConfig(enabled=True, noise_per_m=0.01, surface_m=0.03))
    np.testing.assert_allclose(depth[0, :3, 0], np.array((2.0, 2.1, 2.2)) + BONE_DEPTH_M[:3])
    np.testing.assert_allclose(depth[0, :3, 1], 1.0 / np.hypot(0.03, 0.01 * np.array((2.0, 2.1, 2.2)) ** 2))
    # The wall, an arm of somebody else, what was not measured, and a person of whom too little was.
    assert not depth[0, 3:].any() and not depth[1].any()


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


def test_a_part_of_the_body_that_hides_others_does_not_pull_the_body():
    cams, xyz = ring(1), crowd(1)
    depth = measured(cams, xyz)
    # A third of the joints is hidden behind the arms.
    depth[0, 0, [4, 5, 11, 12, 13], 0] -= 0.25
    prior = BodyPrior(lifted=lift(cams, xyz))
    assert np.abs(solved(cams, xyz, depth, prior).xyz[0, 0] - xyz[0, 0]).max() < 0.01


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
    assert all(len(found) == 60 for found in errors.values())
    # Without depths 125 mm at 1 m, where half of the body is outside the image, and 140 to 330 mm at 2 to 5 m.
    assert [d for d, found in errors.items() if found.mean() > (0.11 if d < 2.0 else 0.08)] == []
    assert np.mean([found.mean() for d, found in errors.items() if d >= 2.0]) < 0.055
