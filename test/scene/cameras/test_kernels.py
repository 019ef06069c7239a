# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a set says of the cameras, compiled, against the same by whole matrices."""

import numpy as np
import pytest

from geo_pose_ros.scene.kernels import cameras as kernels

from ...fusion.people import crowd, ring
from ..reference import drift_equations, motion_equations, shared_sums, view_errors, views_of

CAMERAS, BODIES = 5, 6


@pytest.fixture
def scene():
    """Cameras, and what they see of moving people: noise, outliers, joints and views that are missing."""
    rng = np.random.default_rng(3)
    cameras = ring(CAMERAS, dt_s=rng.uniform(-0.02, 0.02, CAMERAS), rng=rng)
    xyz = crowd(BODIES)
    velocity = rng.normal(0.0, 0.5, xyz.shape)
    local = cameras.see(xyz, velocity)
    xn = local[..., :2] / local[..., 2:] + rng.normal(0.0, 0.003, (*local.shape[:-1], 2))
    xn[rng.random(xn.shape[:-1]) < 0.1] = np.nan
    xn[2, 0], xn[:3, 1] = np.nan, np.nan
    xn[3, 2, 5:] = np.nan
    xyz[4, 7] = np.nan
    shape, seen = xn.shape[:-1], np.isfinite(xn[..., 0])
    a = rng.normal(0.0, 0.01, (*xyz.shape[:-1], 3, 3))
    moved = np.arange(CAMERAS) == 4
    return cameras, views_of(
        cameras, xn, xyz, velocity, weights=rng.uniform(0.1, 0.4, shape) * (seen & (rng.random(shape) < 0.95)),
        moved=moved, robust_weight=rng.uniform(0.0, 1.0, shape), inlier=seen & (rng.random(shape) < 0.8),
        covariance=a @ a.swapaxes(-1, -2),
    )


def test_clock_equations_are_those_with_all_unknowns_less_the_joints(scene):
    cameras, views = scene
    offset_s = np.array([0.0, 0.01, -0.02, 0.005, 0.0])
    matrix, right = np.zeros((3 * CAMERAS, 3 * CAMERAS)), np.zeros(3 * CAMERAS)
    kernels.learn_clocks(views, offset_s, matrix, right)
    wanted = motion_equations(cameras, views, offset_s)
    np.testing.assert_allclose(matrix, wanted[0], rtol=1e-8, atol=1e-8 * np.abs(wanted[0]).max())
    np.testing.assert_allclose(right, wanted[1], rtol=1e-8, atol=1e-8 * np.abs(wanted[1]).max())
    assert (matrix[12:] == 0.0).all() and np.abs(matrix[:12, :12]).max() > 1.0


def room_of_joints():
    return np.empty((17, 2)), np.empty((CAMERAS, BODIES, 17, 2))


def test_offsets_scatter_and_what_is_shared(scene):
    cameras, views = scene
    offset, certainty = np.empty((CAMERAS, BODIES, 2)), np.empty((CAMERAS, BODIES))
    scatter, sums, by_joint, deviation = np.empty((CAMERAS, 2)), np.empty(3), *room_of_joints()
    kernels.learn_views(views, offset, certainty, scatter, by_joint, deviation)
    for found, wanted in zip((offset, certainty, scatter), view_errors(cameras, views), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
    np.testing.assert_allclose(by_joint.sum(0), scatter.sum(0))
    np.testing.assert_allclose(np.nansum(deviation**2, (1, 2, 3)), scatter[:, 0])
    np.testing.assert_allclose(np.nansum(deviation**2, (0, 1, 3)), by_joint[:, 0])
    assert np.isnan(offset[2, 0]).all() and np.isnan(offset[3, 2]).all() and scatter.min() > 0.0
    scale = np.linspace(0.5, 1.0, CAMERAS)
    for shared in (1e-5, 0.01):
        kernels.learn_shared(views, offset, scale, shared, sums)
        np.testing.assert_allclose(sums, shared_sums(views, offset, scale, shared), rtol=1e-10)
        assert sums[0] > 0.0 and sums[2] > 2.0


def test_drift_equations_are_the_bodies_projectors(scene):
    cameras, views = scene
    offset, certainty = np.empty((CAMERAS, BODIES, 2)), np.empty((CAMERAS, BODIES))
    kernels.learn_views(views, offset, certainty, np.empty((CAMERAS, 2)), *room_of_joints())
    centre = np.nanmean(views.xyz, 1)
    centre[5] = np.nan
    matrix, right = np.ones((2 * CAMERAS, 2 * CAMERAS)), np.ones(2 * CAMERAS)
    # Two cameras see the second body.
    assert kernels.learn_drift(cameras.cam_from_world, centre, offset, certainty, matrix, right) == 4
    wanted = drift_equations(cameras, centre, offset, certainty)
    np.testing.assert_allclose(matrix - 1.0, wanted[0], rtol=1e-8, atol=1e-8 * np.abs(wanted[0]).max())
    np.testing.assert_allclose(right - 1.0, wanted[1], rtol=1e-8, atol=1e-8 * np.abs(wanted[1]).max())
