# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is learned of the cameras from residuals: noise, what views share, and who was moved; by Monte Carlo."""

import numpy as np
import pytest

from geo_pose_ros.fusion.estimate import estimate_bodies
from geo_pose_ros.fusion.prior import BodyPrior
from geo_pose_ros.fusion.settings import SolverConfig
from geo_pose_ros.fusion.views import BodyViews
from geo_pose_ros.scene.cameras.states import CameraStates
from geo_pose_ros.scene.settings import CameraStateConfig
from geo_pose_ros.skeleton import BODY17

from ...fusion.people import FOCAL_PX, crowd, ring

DT_S = 0.25


def learned(
    scale, shared_px=0.0, seconds=15.0, gross_errors=None, config=None, joints=1.0, lasting=0.0
) -> CameraStates:
    """What is learned of cameras with noise of ``scale`` (C,) times the settings' and biases of ``shared_px``.

    Noise is ``joints`` (17,) times as large, and this part of its variance ``lasting``.
    """
    scale = np.asarray(scale, float)
    old = np.random.default_rng(1).standard_normal((len(scale), 2, 17, 2))
    count = len(scale)
    rng, cameras = np.random.default_rng(0), ring(count)
    states = CameraStates(np.full(count, FOCAL_PX), config or CameraStateConfig())
    confidence = np.ones((count, 2, 17))
    for k in range(round(seconds / DT_S)):
        bodies = crowd(2, spacing_m=1.5, seed=k)
        local = cameras.see(bodies)
        exact = local[..., :2] / local[..., 2:]
        views = BodyViews(exact, confidence)
        plain = views.weights(cameras.focal_px, SolverConfig().noise_px)
        # Every body of every set has its own bias: that of a calibration changes over the picture.
        bias = rng.normal(0.0, shared_px / FOCAL_PX, (count, 2, 1, 2))
        drawn = np.sqrt(lasting) * old + np.sqrt(1.0 - lasting) * rng.standard_normal(exact.shape)
        noise = drawn * (joints * scale[:, None, None] / plain / FOCAL_PX)[..., None]
        views = BodyViews(exact + noise + bias, confidence)
        found = estimate_bodies(cameras, views, BodyPrior(), SolverConfig(), states.noise)
        errors = np.full((count, 2), np.nan) if gross_errors is None else gross_errors
        states.learn(cameras, found, np.arange(2), np.zeros_like(bodies), errors, DT_S)
    return states


@pytest.mark.parametrize('level', [0.5, 1.0])
def test_the_noise_of_all_cameras_is_found(level):
    noise = learned(np.full(6, level)).noise
    np.testing.assert_allclose(noise.level * noise.scale, level, rtol=0.2)
    np.testing.assert_allclose(np.exp(np.log(noise.scale).mean()), 1.0)


def test_a_camera_that_is_noisier_counts_less():
    noise = learned([0.5, 0.5, 0.5, 1.5, 0.5, 0.5]).noise
    own = noise.level * noise.scale
    # Half of the difference only, on a logarithmic scale: cameras are more alike than their residuals.
    assert own[3] > 1.4 * np.delete(own, 3).max()
    np.testing.assert_allclose(np.delete(own, 3), 0.5, rtol=0.35)


def test_joints_are_as_noisy_as_their_views_disagree():
    # A left knee that is 1.5 times as noisy as others, and a right one that is not, count alike: 1.27 times.
    joints = np.ones(17)
    joints[[BODY17.index('nose'), BODY17.index('left_knee')]] = 1.6, 1.5
    found = learned(np.full(6, 0.5), joints=joints).noise.joints
    knees = [BODY17.index(name) for name in ('left_knee', 'right_knee')]
    assert found[BODY17.index('nose')] == pytest.approx(1.6, rel=0.15)
    np.testing.assert_allclose(found[knees], 1.27, rtol=0.15)
    np.testing.assert_allclose(np.delete(found, [*knees, BODY17.index('nose')]), 1.0, atol=0.15)


def test_noise_that_lasts_is_persistent():
    assert learned(np.full(6, 0.5)).noise.persistent < 0.1
    assert learned(np.full(6, 0.5), lasting=0.7).noise.persistent == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize(('cameras', 'shared_px'), [(4, 8.0), (6, 4.0)])
def test_what_the_joints_of_a_view_share_is_found(cameras, shared_px):
    shared = learned(np.full(cameras, 0.5), shared_px).noise.shared * FOCAL_PX
    # A little more, since it is not known exactly.
    assert 0.75 * shared_px < shared[0] < 1.35 * shared_px
    np.testing.assert_allclose(shared, shared[0])


def test_before_anything_is_known_there_is_the_settings_noise_and_a_little_that_is_shared():
    noise = CameraStates(np.full(3, FOCAL_PX), CameraStateConfig()).noise
    assert noise.level == 1.0 and noise.scale.tolist() == [1.0] * 3
    np.testing.assert_allclose(noise.shared, 0.0015 * np.sqrt(1.0 + 1.5))


def test_a_camera_in_which_nobody_is_in_place_is_named_and_weighs_less():
    away = np.full((5, 2), np.nan)
    away[2] = (0.06, -0.08)
    states = learned(np.full(5, 0.5), seconds=5.0, gross_errors=away)
    assert [s.moved for s in states.states()] == [False, False, True, False, False]
    assert states.states()[2].calibration_error_px == pytest.approx((60.0, -80.0), rel=0.1)
    noise = states.noise
    assert noise.shared[2] > 10.0 * noise.shared[0]
    assert states.states()[2].shared_px == pytest.approx(noise.shared[2] * FOCAL_PX)
    assert 'moved [2]' in repr(states)


def test_clock_offsets_are_not_learned_where_the_settings_say_so():
    states = learned(np.ones(3), seconds=1.0, config=CameraStateConfig(clock_offsets=False))
    assert [s.clock_offset_s for s in states.states()] == [0.0] * 3
    np.testing.assert_allclose([s.clock_sigma_s for s in states.states()], 0.05)
