# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The offline smoother: better than the filter, gaps bridged, honest, one person where two tracks are one."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from geo_pose_ros.geometry.stats import INSIDE_95, distance2
from geo_pose_ros.scene.settings import SmoothingConfig
from geo_pose_ros.scene.smoother import _backward, _forward, butterworth, join_people, smooth_people
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D

SETS, RATE_HZ, SIGMA_M = 90, 30.0, 0.01
TIMES = np.arange(SETS) / RATE_HZ


def truth():
    """A body whose joints swing with 0.2 m at 0.5 Hz while it walks."""
    still = np.random.default_rng(1).normal(0.0, 0.4, (17, 3))
    swing = 0.2 * np.sin(np.pi * TIMES)[:, None, None] * np.array([0.0, 1.0, 0.3])
    return still + swing + TIMES[:, None, None] * np.array([1.0, 0.0, 0.0])


def recording(gap=(), published_from=3, ids=None):
    """Return what a scene measured, with noise, and what it published of it."""
    rng = np.random.default_rng(2)
    noisy = truth() + rng.normal(0.0, SIGMA_M, (SETS, 17, 3))
    measured, published = [], []
    for number in range(SETS):
        people = 0 if number in gap else 1
        body_id = np.full(people, 0 if ids is None else ids[number])
        each = (people, 17)
        cov = np.broadcast_to(SIGMA_M**2 * np.eye(3), (*each, 3, 3))
        xyz = noisy[number][None][:people]
        found = SimpleNamespace(
            xyz=xyz, covariance=cov + 1e-6 * np.eye(3), random_covariance=cov, num_views=np.full(each, 3))
        measured.append(SimpleNamespace(
            ids=body_id, confidence=np.full(each, 0.8), solution=found))
        empty = Bodies3D.empty(round(number / RATE_HZ * 1e9), 'world', BODY17)
        shown = replace(
            empty, xyz=xyz, covariance=cov, confidence=np.full(each, 0.9), num_views=np.full(each, 4),
            reprojection_error=np.ones(each), body_ids=body_id, velocity=np.zeros((*each, 3)), age_s=np.zeros(each),
            views=np.zeros(each, int))
        published.append(shown if number >= published_from else empty)
    return measured, published


CONFIG = SmoothingConfig(alike_sets=1.0)


def test_smoothed_joints_are_nearer_and_quieter_and_say_how_well_they_are_known():
    measured, published = recording()
    smoothed = smooth_people(measured, published, CONFIG)
    # Also in the sets in which nobody was published yet.
    assert [len(bodies) for bodies in smoothed] == [1] * SETS
    error = np.stack([bodies.xyz[0] for bodies in smoothed]) - truth()
    before = np.stack([one.solution.xyz[0] for one in measured]) - truth()
    assert np.sqrt((error**2).mean()) < 0.6 * np.sqrt((before**2).mean())
    assert np.sqrt((np.diff(error, axis=0)**2).mean()) < 0.3 * np.sqrt((np.diff(before, axis=0)**2).mean())
    covariance = np.stack([bodies.covariance[0] for bodies in smoothed])
    assert 0.9 < (distance2(error, covariance) < INSIDE_95).mean() < 0.995
    assert smoothed[0].num_views[0, 0] == 3 and smoothed[5].num_views[0, 0] == 4


def test_both_passes_are_the_posterior_of_all_measurements():
    """One joint, five sets of unequal steps, one without measurement: against the dense Gaussian posterior."""
    rng, at, seen = np.random.default_rng(3), np.array([0.0, 0.03, 0.1, 0.15, 0.25]), np.array([1, 1, 0, 1, 1], bool)
    z, density = rng.normal(0.0, 0.01, (5, 1, 3)), rng.uniform(1.0, 4.0, (5, 1))
    noise = np.tile(np.diag([1e-4, 4e-4, 2e-4]), (5, 1, 1, 1))
    xyz, covariance, moved = _backward(at, *_forward(at, z, noise, density, seen[:, None]), density)
    for axis in range(3):
        # Unknown: the first state, and what each step adds; a state is linear in them.
        prior, states = np.zeros((10, 10)), np.zeros((5, 2, 10))
        prior[:2, :2], states[0, :, :2] = np.diag([100.0, 1.5**2]), np.eye(2)
        for k, dt in enumerate(np.diff(at), 1):
            adds = slice(2 * k, 2 * k + 2)
            prior[adds, adds] = density[k, 0] * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
            states[k] = np.array([[1.0, dt], [0.0, 1.0]]) @ states[k - 1]
            states[k, :, adds] = np.eye(2)
        H, begin = states[seen, 0], np.append(z[0, 0, axis], np.zeros(9))
        P = np.linalg.inv(np.linalg.inv(prior) + H.T @ H / noise[0, 0, axis, axis])
        mean = begin + P @ H.T @ (z[seen, 0, axis] - H @ begin) / noise[0, 0, axis, axis]
        np.testing.assert_allclose(xyz[:, 0, axis], states[:, 0] @ mean, atol=1e-7)
        variance = np.einsum('ki,ij,kj->k', states[:, 0], P, states[:, 0])
        np.testing.assert_allclose(covariance[:, 0, axis, axis], variance, rtol=1e-6)
        second = P + np.outer(mean, mean)
        for k in range(1, 5):
            adds = slice(2 * k, 2 * k + 2)
            moved[k, 0] -= density[k, 0] * np.trace(np.linalg.solve(prior[adds, adds], second[adds, adds])) / 6.0
    # What each step says of the acceleration, in the mean over the posterior.
    np.testing.assert_allclose(moved[1:], 0.0, atol=1e-6)


def test_the_track_says_how_each_joint_moves():
    measured, published = recording()
    elbow, wrist = BODY17.index('right_elbow'), BODY17.index('right_wrist')
    # Everything rests, but for a forearm that turns twice a second.
    moves = np.tile(truth()[0], (SETS, 1, 1))
    turn = 4 * np.pi * TIMES
    moves[:, wrist] = moves[:, elbow] + 0.25 * np.stack([0.0 * turn, np.cos(turn), np.sin(turn)], 1)
    for number, one in enumerate(measured):
        one.solution.xyz = one.solution.xyz - truth()[number] + moves[number]
    smoothed = np.stack([bodies.xyz[0] for bodies in smooth_people(measured, published, CONFIG)])
    rms = np.sqrt(((smoothed - moves)**2).mean((0, 2)))
    # One level of noise for both would either keep the noise of the first, or cut the turn of the second.
    assert np.delete(rms, wrist).max() < 0.5 * SIGMA_M and rms[wrist] < 0.8 * SIGMA_M


def test_bones_get_the_lengths_that_they_have_on_the_track(monkeypatch):
    parent, child = np.array(BODY17.edges).T

    def lengths():
        joints = np.stack([bodies.xyz[0] for bodies in smooth_people(*recording(), CONFIG)])
        return np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)

    held = lengths()
    monkeypatch.setattr('geo_pose_ros.scene.smoother._hold_bones', lambda *_: None)
    assert held.std(0).mean() < 0.8 * lengths().std(0).mean()
    exact = np.linalg.norm(truth()[0, child] - truth()[0, parent], axis=-1)
    np.testing.assert_allclose(held.mean(0), exact, atol=0.005)


def test_a_measurement_that_the_path_contradicts_counts_less():
    measured, published = recording()
    measured[50].solution.xyz = measured[50].solution.xyz + 0.3
    smoothed = smooth_people(measured, published, CONFIG)
    assert np.abs(smoothed[50].xyz[0] - truth()[50]).max() < 0.03


@pytest.mark.parametrize(('gap', 'bridged'), [(range(40, 55), True), (range(30, 65), False)], ids=['0.5 s', '1.2 s'])
def test_a_short_gap_is_bridged_with_the_covariance_that_it_leaves(gap, bridged):
    smoothed = smooth_people(*recording(gap), CONFIG)
    assert len(smoothed[gap[len(gap) // 2]]) == bridged
    if bridged:
        middle, error = smoothed[47], smoothed[47].xyz[0] - truth()[47]
        sigma_m = np.sqrt(np.trace(middle.covariance[0], axis1=-2, axis2=-1) / 3.0)
        assert (sigma_m > 2.0 * np.sqrt(np.trace(smoothed[30].covariance[0, 0]) / 3.0)).all()
        assert np.abs(error).max() < 4.0 * sigma_m.max()


def test_two_tracks_that_follow_each_other_are_one_person():
    ids = np.where(np.arange(SETS) < 45, 7, 9)
    gap = range(42, 48)
    smoothed = smooth_people(*recording(gap, ids=ids), CONFIG)
    assert {int(i) for bodies in smoothed for i in bodies.body_ids} == {7} and all(map(len, smoothed))
    apart = smooth_people(*recording(gap, ids=ids), replace(CONFIG, join_s=0.0))
    assert {int(i) for bodies in apart for i in bodies.body_ids} == {7, 9}


def test_who_is_far_away_is_somebody_else():
    measured, _ = recording(range(42, 48), ids=np.where(np.arange(SETS) < 45, 7, 9))
    for one in measured[48:]:
        one.solution.xyz = one.solution.xyz + 3.0
    assert join_people(measured, TIMES, {7: np.arange(42), 9: np.arange(48, SETS)}, CONFIG) == {7: [7], 9: [9]}


def test_who_was_never_published_is_nobody():
    measured, published = recording(published_from=SETS)
    assert sum(map(len, smooth_people(measured, published, CONFIG))) == 0 and smooth_people([], [], CONFIG) == []


def test_the_butterworth_filter_passes_slow_motion_and_stops_fast():
    slow, fast = np.sin(2 * np.pi * 0.5 * TIMES), 0.1 * np.sin(2 * np.pi * 12.0 * TIMES)
    xyz = np.broadcast_to((slow + fast)[:, None, None], (SETS, 2, 3)).copy()
    xyz[40, 0] = np.nan
    found = butterworth(xyz, TIMES, 6.0)
    np.testing.assert_allclose(found[15:-15, 1, 0], slow[15:-15], atol=0.02)
    assert np.isnan(found[40, 0]).all() and np.isfinite(found[41:, 0]).all()
    np.testing.assert_array_equal(butterworth(xyz, TIMES, 20.0), xyz)
    np.testing.assert_array_equal(butterworth(xyz[:2], TIMES[:2], 6.0), xyz[:2])
    # Also as a setting.
    a, b = (smooth_people(*recording(), replace(CONFIG, lowpass_hz=hz))[50].xyz for hz in (0.0, 2.0))
    assert 0.0 < np.abs(a - b).max() < 0.05
