# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies from their views: sides repaired, noise measured in the body's size, support and confidence."""

import numpy as np
import pytest

from geo_pose_ros.fusion.estimate import Estimate, estimate_bodies
from geo_pose_ros.fusion.left_right import LIMB_PAIRS, Sides
from geo_pose_ros.fusion.prior import BodyPrior
from geo_pose_ros.fusion.settings import SolverConfig
from geo_pose_ros.fusion.solver import keypoints_table
from geo_pose_ros.fusion.views import BodyViews, Cameras, Noise
from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.scene.bodies import to_bodies
from geo_pose_ros.scene.settings import TrackingConfig
from geo_pose_ros.scene.tracks import Tracks
from geo_pose_ros.skeleton import BODY17

from ..scenes import keypoints, person, ring_rig

LEGS, ARMS = LIMB_PAIRS


def scene(cameras=4, bodies=1, noise_px=2.0):
    rig = ring_rig(cameras)
    people = [person(2 + b, (0.8 * b, 0.0), 0.5 * b) for b in range(bodies)]
    seen = keypoints(rig, people, noise_px=noise_px)
    xn = np.stack([normalize(c.intrinsics, seen[c.name].xy) for c in rig.cameras])
    P = np.stack([c.cam_from_world for c in rig.cameras])
    return P, np.full(cameras, 902.5), xn, np.ones((cameras, bodies, 17)), np.stack(people)


def noise_of(cameras: int) -> Noise:
    return Noise(1.0, np.ones(cameras), np.zeros(cameras))


def run(P, focal, xn, confidence, noise=None, lift=None, **known):
    count = len(P)
    cameras = Cameras(P, focal, np.zeros((count, 4)), np.zeros(count), np.ones(count, bool))
    views = BodyViews(np.where(confidence[..., None] > 0.0, xn, np.nan), confidence * np.isfinite(xn).all(-1))
    noise = noise or noise_of(count)
    return estimate_bodies(cameras, views, BodyPrior(**known), SolverConfig(), noise, lift)


def against(P, xn, predicted, displacement, sure=None):
    weights = np.ones(xn.shape[:-1])
    return Sides(keypoints_table(P, np.ones(len(P)), xn, weights, displacement), weights).against(predicted, sure)


def swap(xn, view, body, group):
    left, right = group.T
    xn[view, body, np.concatenate([left, right])] = xn[view, body, np.concatenate([right, left])]


def test_limbs_are_legs_and_arms():
    assert LEGS.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert ARMS.tolist() == [[11, 14], [12, 15], [13, 16]]


@pytest.mark.parametrize('groups', [(LEGS,), (ARMS,), (LEGS, ARMS)])
def test_swapped_sides_of_one_view_are_exchanged_back(groups):
    P, focal, xn, confidence, truth = scene()
    clean = run(P, focal, xn, confidence).solution
    for group in groups:
        swap(xn, 1, 0, group)
    given = xn.copy()
    found = run(P, focal, xn, confidence)
    np.testing.assert_array_equal(xn, given)
    assert found.exchanged.sum() == len(groups)
    np.testing.assert_allclose(found.solution.xyz, clean.xyz, atol=1e-9)
    np.testing.assert_allclose(found.solution.robust_weight, clean.robust_weight, atol=1e-9)
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.03


def test_only_the_body_that_needs_it_is_repaired_and_confidences_move_along():
    P, focal, xn, confidence, truth = scene(5, 3)
    confidence[3, 1, 13] = 0.5
    swap(xn, 3, 1, ARMS)
    swap(confidence, 3, 1, ARMS)
    found = run(P, focal, xn, confidence)
    assert found.exchanged.sum() == 1
    assert found.views.confidence[3, 1, 13] == 0.5 and found.views.confidence[3, 1, 16] == 1.0
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.03


def test_nothing_is_exchanged_in_a_clean_body_nor_with_two_views():
    assert run(*scene()[:4]).exchanged.sum() == 0
    P, focal, xn, confidence, _ = scene(2)
    swap(xn, 0, 0, LEGS)
    assert run(P, focal, xn, confidence).exchanged.sum() == 0


@pytest.mark.parametrize(('cameras', 'swapped'), [(2, [1]), (3, [0]), (4, [1, 3])])
def test_where_the_body_is_expected_decides_a_tie(cameras, swapped):
    P, focal, xn, confidence, truth = scene(cameras, noise_px=0.5)
    for view in swapped:
        swap(xn, view, 0, LEGS)
    blind = run(P, focal, xn, confidence).solution.xyz
    found = run(P, focal, xn, confidence, joints=truth + (0.05, -0.03, 0.04))
    assert found.exchanged.sum() == len(swapped)
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.05
    if cameras != 3:
        assert not np.linalg.norm(blind - truth, axis=-1).max() < 0.05


def test_most_views_outvote_what_is_expected():
    P, focal, xn, confidence, truth = scene()
    mirror = truth.copy()
    left, right = ARMS.T
    mirror[:, left], mirror[:, right] = truth[:, right], truth[:, left]
    for swapped in ([], [1]):
        seen = xn.copy()
        for view in swapped:
            swap(seen, view, 0, ARMS)
        found = run(P, focal, seen, confidence, joints=mirror)
        assert found.exchanged.sum() == len(swapped)
        assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.03


def test_sides_are_expected_where_each_view_saw_them():
    P, _, xn, _, truth = scene()
    swap(xn, 2, 0, LEGS)
    away = np.broadcast_to(np.array([0.4, 0.3, 0.1]), (4, *truth.shape))
    expected = against(P, xn, truth - away[0], away)
    assert np.argwhere(expected).tolist() == [[0, 2, 0]]
    # A lone view is believed, unless several have just seen the body.
    alone = np.full_like(xn, np.nan)
    alone[2] = xn[2]
    for sure, found in ((None, []), (np.array([False]), []), (np.array([True]), [[0, 2, 0]])):
        assert np.argwhere(against(P, alone, truth - away[0], away, sure)).tolist() == found
    # Nothing is said where it is not known, or where the expected is too far off.
    assert not against(P, xn, np.full_like(truth, np.nan), None).any()
    assert not against(P, xn, truth - 3.0 * away[0], None).any()


def test_views_that_disagree_for_another_reason_are_left_alone():
    P, focal, xn, confidence, truth = scene()
    xn[1, 0, list(np.ravel(ARMS))] += 0.2
    found = run(P, focal, xn, confidence)
    assert found.exchanged.sum() == 0
    assert np.linalg.norm(found.solution.xyz - truth, axis=-1).max() < 0.05


def test_a_noisy_camera_counts_less_and_the_covariance_follows_the_level():
    P, focal, xn, confidence, truth = scene(noise_px=0.0)
    off = xn.copy()
    off[0, 0] += 6.0 / focal[0]
    alike, told = (run(P, focal, off, confidence, noise) for noise in
                   (None, Noise(1.0, np.array([4.0, 1.0, 1.0, 1.0]), np.zeros(4))))
    error_alike, error_told = (np.linalg.norm(f.solution.xyz - truth, axis=-1).mean() for f in (alike, told))
    assert error_told < 0.15 * error_alike
    # The weights that are reported are those of the settings.
    np.testing.assert_allclose(told.weights, alike.weights)
    louder = run(P, focal, xn, confidence, Noise(3.0, np.ones(4), np.zeros(4)))
    np.testing.assert_allclose(louder.solution.covariance, 9.0 * run(P, focal, xn, confidence).solution.covariance)


def tracked(found, views, config) -> Tracks:
    """Tracks that have taken in an estimate, at time 0."""
    tracks, bodies = Tracks(config, 17), len(found.solution.xyz)
    tracks.predict(0)
    tracks.update(np.full(bodies, -1), found.solution, np.full(bodies, views), np.ones(bodies), alone=True)
    return tracks


def test_bodies_carry_inliers_and_confidence():
    P, focal, xn, confidence, _ = scene()
    confidence[0] = 0.4
    xn[1:, :, 16] = np.nan
    found = run(P, focal, xn, confidence)
    assert np.isnan(found.solution.xyz[0, 16]).all()
    tracks = tracked(found, 4, TrackingConfig())
    bodies = to_bodies(7, 'world', BODY17, found, tracks)
    assert bodies.confidence[0, 0] == pytest.approx((0.4 + 3.0) / 4.0)
    assert bodies.num_views[0].tolist() == [4] * 16 + [0]
    assert bodies.confidence[0, 16] == 0.0
    assert np.isnan(bodies.reprojection_error[0, 16])
    np.testing.assert_allclose(
        bodies.reprojection_error[0, :16], found.solution.residual_px[:, 0, :16].mean(0), rtol=1e-12
    )
    assert (bodies.stamp_ns, bodies.frame_id, bodies.body_ids.tolist()) == (7, 'world', [0])


def nobody(like) -> Estimate:
    return like.select(np.zeros(len(like.solution.xyz), bool))


def test_a_predicted_body_is_little_trusted_and_not_shown_when_it_is_uncertain_or_the_filter_is_off():
    found = run(*scene()[:4])
    config = TrackingConfig(max_sigma_m=1.0)
    tracks = tracked(found, 4, config)
    tracks.predict(10**8)
    bodies = to_bodies(10**8, 'world', BODY17, nobody(found), tracks)
    np.testing.assert_allclose(bodies.xyz, found.solution.xyz)
    assert (bodies.num_views == 0).all() and np.isnan(bodies.reprojection_error).all()
    variance = np.trace(bodies.covariance[0], axis1=-2, axis2=-1)
    # With a standard deviation of 0.1 m, half of the half that no view supports.
    np.testing.assert_allclose(bodies.confidence[0], 0.5 / (1.0 + variance / 0.01))
    assert variance.min() > np.trace(found.solution.covariance[0], axis1=-2, axis2=-1).max()
    sigma = float(tracks.sigma_m()[0])
    shown = []
    for change in ({'max_sigma_m': 0.99 * sigma}, {'enabled': False}, {'max_sigma_m': 1.01 * sigma}):
        tracks.limits = Tracks(TrackingConfig(**change), 17).limits
        shown.append(len(to_bodies(0, 'world', BODY17, nobody(found), tracks)))
    assert shown == [0, 0, 1]


def test_only_confirmed_bodies_are_shown_and_with_the_filter_off_as_measured():
    found = run(*scene(bodies=2)[:4])
    config = TrackingConfig(enabled=False)
    tracks = tracked(found, 4, config)
    tracks.confirmed[0] = False
    tracks.filter.position[:] += 1.0
    bodies = to_bodies(0, 'world', BODY17, found, tracks)
    assert bodies.body_ids.tolist() == [1]
    np.testing.assert_array_equal(bodies.xyz[0], found.solution.xyz[1])
    np.testing.assert_array_equal(bodies.covariance[0], found.solution.covariance[1])
