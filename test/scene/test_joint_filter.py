# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Joints over time: followed without lag, quiet at rest, quick when the joint is, and never unstable."""

import numpy as np
import pytest

from geo_pose_ros.geometry.stats import distance2
from geo_pose_ros.scene.joint_filter import JointFilter
from geo_pose_ros.scene.settings import TrackingConfig
from test.scene.reference import Body

DT_S = 1.0 / 30.0
SIGMA_M = 0.02
SEEN = np.zeros(1, bool)


def covariance(joints: int, sigma_m: float = SIGMA_M, bodies: int = 1) -> np.ndarray:
    return np.broadcast_to(sigma_m**2 * np.eye(3), (bodies, joints, 3, 3)).copy()


def started(joints: int, config: TrackingConfig | None = None, bodies: int = 1) -> JointFilter:
    joint_filter = JointFilter(config or TrackingConfig(), joints)
    joint_filter.take(np.full(bodies, -1))
    return joint_filter


def step(joint_filter, xyz, cov=None, dt_s=DT_S, fleeting=None) -> np.ndarray:
    """Advance, measure, and return the positions."""
    joint_filter.predict(dt_s, *np.zeros((2, len(joint_filter)), bool))
    cov = covariance(xyz.shape[1], bodies=len(xyz)) if cov is None else cov
    joint_filter.update(xyz, cov if fleeting is None else fleeting, cov)
    return joint_filter.position.copy()


def test_covariance_of_the_output_matches_its_error():
    rng = np.random.default_rng(1)
    config = TrackingConfig()
    q = config.acceleration_noise**2
    joints = 60
    position, velocity = np.zeros((1, joints, 3)), np.zeros((1, joints, 3))
    chol = np.linalg.cholesky(q * np.array([[DT_S**3 / 3, DT_S**2 / 2], [DT_S**2 / 2, DT_S]]))
    joint_filter, nees = started(joints, config), []
    for k in range(60):
        draw = rng.standard_normal((2, 1, joints, 3))
        position = position + DT_S * velocity + chol[0, 0] * draw[0]
        velocity = velocity + chol[1, 0] * draw[0] + chol[1, 1] * draw[1]
        found = step(joint_filter, position + SIGMA_M * rng.standard_normal(position.shape))
        if k >= 20:
            nees.append(distance2(found - position, joint_filter.covariance).mean())
    assert np.mean(nees) == pytest.approx(3.0, abs=0.25)


def test_only_the_fleeting_part_is_averaged_away():
    """A measurement whose error lasts is followed as it is, however uncertain it is as a whole."""
    joint_filter = started(1)
    for k in range(60):
        step(joint_filter, np.full((1, 1, 3), 0.002 * k), covariance(1, 0.1), fleeting=covariance(1, 0.001))
    np.testing.assert_allclose(joint_filter.position, 0.002 * 59, atol=1e-3)
    assert np.sqrt(joint_filter.covariance[0, 0, 0, 0]) < 0.003


def swing(k: int, rate_hz: float, peak_m_s: float = 8.0, amplitude_m: float = 0.45) -> np.ndarray:
    """A wrist that swings with at most ``peak_m_s``."""
    phase = peak_m_s / amplitude_m * k / rate_hz
    return np.array([[[amplitude_m * np.sin(phase), 0.0, 1.0]]])


def test_a_wrist_at_8_m_s_is_followed():
    rng, rate_hz, sigma_m = np.random.default_rng(2), 60.0, 0.01
    off = {}
    for name, config in (('switching', TrackingConfig()), ('quiet', TrackingConfig(acceleration_noise_fast=3.0))):
        joint_filter, errors = started(1, config), []
        for k in range(240):
            truth = swing(k, rate_hz)
            found = step(joint_filter, truth + sigma_m * rng.standard_normal(truth.shape), covariance(1, sigma_m),
                         1.0 / rate_hz)
            errors.append(np.linalg.norm(found - truth))
        off[name] = np.mean(errors[30:])
    # The mean distance of the measurements themselves is 1.6 sigma.
    assert off['switching'] < 0.02 < 0.6 * off['quiet']


def test_at_rest_it_is_as_quiet_as_without_the_brisk_level():
    spread = {}
    for fast in (3.0, 20.0):
        rng, found = np.random.default_rng(3), []
        joint_filter = started(20, TrackingConfig(acceleration_noise_fast=fast))
        for _ in range(200):
            found.append(step(joint_filter, SIGMA_M * rng.standard_normal((1, 20, 3))))
        spread[fast] = np.diff(found[50:], axis=0).std()
    assert spread[20.0] < 1.05 * spread[3.0] < 0.7 * np.sqrt(2.0) * SIGMA_M


def test_a_stray_measurement_moves_the_joint_little_and_is_not_followed():
    joint_filter = started(1)
    for _ in range(30):
        step(joint_filter, np.zeros((1, 1, 3)))
    assert np.linalg.norm(step(joint_filter, np.array([[[1.0, 0, 0]]]))) < 0.1
    for _ in range(6):
        found = step(joint_filter, np.zeros((1, 1, 3)))
    assert np.linalg.norm(found) < 0.02


def test_it_stays_stable_over_hours_of_uneven_covariances():
    rng = np.random.default_rng(7)
    joint_filter = started(8)
    for _ in range(1200):
        # Before numpy 1.22 qr takes one matrix at a time.
        axes = np.stack([np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(8)])[None]
        spread = 10.0 ** rng.uniform(-4.0, 0.0, (1, 8, 3))
        cov = (axes * spread[..., None, :] ** 2) @ np.swapaxes(axes, -1, -2)
        xyz = (axes * spread[..., None, :] @ rng.standard_normal((1, 8, 3, 1)))[..., 0]
        xyz[0, rng.random(8) < 0.1] = np.nan
        found = step(joint_filter, xyz, cov)
        known = np.isfinite(found).all(-1)
        assert np.abs(found[known]).max() < 20.0
        assert np.linalg.eigvalsh(joint_filter.covariance[known]).min() > 0.0


def test_the_shape_of_a_lone_view_is_taken_as_it_is():
    rng = np.random.default_rng(8)
    joint_filter = started(5)
    for _ in range(10):
        xyz = rng.standard_normal((1, 5, 3))
        moved = step(joint_filter, xyz, covariance(5, 0.3)) - xyz
        np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=1e-12)
        np.testing.assert_allclose(joint_filter.covariance, covariance(5, 0.3), atol=1e-5)
    # One uncertain joint among certain ones is smoothed like any other.
    spread = covariance(5)
    spread[0, 0] *= 400.0
    still = started(5)
    for _ in range(30):
        found = step(still, 0.4 * rng.standard_normal((1, 5, 3)) * [1, 0, 0], spread)
    assert abs(found[0, 0, 0]) < 0.4


def test_an_unseen_body_stiffens_and_comes_to_rest():
    """Hidden in mid-stride: the wrist's own motion ends within tenths of a second, the body's within seconds."""
    joint_filter = started(3)
    body, own = np.array([1.0, 0.0, 0.0]), np.array([[0.0, 3.0, 0.0], [0.0, -3.0, 0.0], [0.0, 0.0, 0.0]])
    joints = np.array([[[0.0, 0.5, 1.0], [0.0, -0.5, 1.0], [0.0, 0.0, 1.5]]])
    for k in range(30):
        step(joint_filter, joints + k * DT_S * (body + own), covariance(3, 0.002))
    np.testing.assert_allclose(joint_filter.velocity[0], body + own, atol=0.05)
    before = joint_filter.position.copy()
    for _ in range(90):
        joint_filter.predict(DT_S, np.ones(1, bool), np.ones(1, bool))
    moved = (joint_filter.position - before)[0]
    # The integral of exp(-t / tau) is tau, 1 s for the body (95 % of it after 3 s) and 0.1 s for the joints.
    np.testing.assert_allclose(moved.mean(0), [0.95, 0.0, 0.0], atol=0.05)
    np.testing.assert_allclose(moved - moved.mean(0), 0.1 * own, atol=0.07)
    assert np.abs(joint_filter.velocity).max() < 0.06


def along_the_ray(seconds, speed=(0.0, 0.0, 0.0), seed=0):
    """What a lone view along x gives of a body that walks: truth and measurement (S, 1, 4, 3), and its covariance."""
    rng = np.random.default_rng(seed)
    body = np.array([[0.0, 0.2, 1.0], [0.0, -0.2, 1.0], [0.0, 0.1, 0.2], [0.0, -0.1, 0.2]])
    times = np.arange(round(seconds / DT_S))[:, None, None, None] * DT_S
    truth = np.array([4.0, 0.0, 0.0]) + body + times * np.asarray(speed)
    error = rng.standard_normal((len(truth), 1, 1, 3)) * (0.4, 0.01, 0.01)
    return truth, truth + error, np.broadcast_to(np.diag((0.4, 0.01, 0.01)) ** 2, (1, 4, 3, 3))


@pytest.mark.parametrize('speed', [(0.0, 0.0, 0.0), (1.2, 0.0, 0.0), (0.0, 1.2, 0.0)])
def test_the_place_of_a_lone_view_neither_jumps_nor_lags(speed):
    truth, seen, spread = along_the_ray(6.0, speed)
    joint_filter = JointFilter(TrackingConfig(), 4)
    joint_filter.take(np.array([-1]))
    found = np.stack([step(joint_filter, xyz, spread) for xyz in seen])
    late = slice(60, None)
    jumps_m, measured_m = (np.sqrt((np.diff(x[late, 0, 0, 0]) ** 2).mean()) for x in (found, seen))
    assert jumps_m < 0.2 * measured_m
    # Not as far off as the measurements, and on neither side.
    off = (found - truth)[late, 0, 0]
    assert np.sqrt((off[:, 0] ** 2).mean()) < 0.6 * 0.4
    assert abs(off[:, 0].mean()) < 0.1
    assert np.abs(off[:, 1:]).max() < 0.03
    np.testing.assert_allclose(joint_filter.velocity[0, :, 1:], np.broadcast_to(speed[1:], (4, 2)), atol=0.5)


def test_whom_others_saw_before_stays_there_for_a_lone_view():
    truth, seen, spread = along_the_ray(1.0)
    joint_filter = JointFilter(TrackingConfig(), 4)
    joint_filter.take(np.array([-1]))
    for _ in range(30):
        step(joint_filter, truth[0], covariance(4, 0.01))
    assert abs(step(joint_filter, seen[0] + (1.0, 0.0, 0.0), spread) - truth[0]).max() < 0.1
    # ... and is where others see it again, however far the lone view was off.
    for _ in range(60):
        step(joint_filter, seen[0] + (1.0, 0.0, 0.0), spread)
    for _ in range(15):
        found = step(joint_filter, truth[0], covariance(4, 0.01))
    assert abs(found - truth[0]).max() < 0.02
    # Forgotten with the body: who comes in its place is where it is measured.
    step(joint_filter, seen[0], spread)
    joint_filter.restart(np.array([0]))
    np.testing.assert_allclose(step(joint_filter, seen[5] - (3.0, 0.0, 0.0), spread), seen[5] - (3.0, 0.0, 0.0))


@pytest.mark.parametrize(('lone', 'furthest_m'), [(True, 0.2), (False, 2.0)], ids=['said', 'not said'])
def test_who_is_seen_by_one_camera_does_not_run_away_along_its_ray(lone, furthest_m):
    """Along the ray the measurement is the prediction, jittered: it confirms any speed that jitter once gave."""
    rng, joint_filter, spread = np.random.default_rng(3), started(4), covariance(4, 0.09)
    body = along_the_ray(DT_S)[0][0]
    for _ in range(30):
        step(joint_filter, body, covariance(4, 0.01))
    for _ in range(60):
        joint_filter.predict(DT_S, *np.array([[False], [True]]))
        seen = joint_filter.position + (0.03 * rng.standard_normal(), 0.0, 0.0)
        joint_filter.update(seen, covariance(4, 0.01), spread, np.array([lone]))
    away_m = np.abs(joint_filter.position - body)[..., 0].mean()
    assert away_m < furthest_m and (lone or away_m > 0.5)


def test_the_kernels_are_kalman_filters_of_six_states():
    """Jumps, brisk and missing joints, a body seen by a lone view and one that nobody sees, against plain matrices."""
    rng = np.random.default_rng(5)
    bodies, joints = 3, 6
    joint_filter = started(joints, bodies=bodies)
    wanted = [Body(joints) for _ in range(bodies)]
    xyz = rng.standard_normal((bodies, joints, 3))
    for k in range(40):
        unseen, placed = np.array([False, False, k in (21, 22)]), np.array([False, k > 30, True])
        joint_filter.predict(DT_S, unseen, placed)
        xyz = xyz + DT_S * 2.0 + 0.02 * rng.standard_normal(xyz.shape)
        xyz[0, 0] += 0.3 * (k > 20)
        seen = np.where(rng.random((bodies, joints, 1)) < 0.9, xyz + 1.0 * (k == 15), np.nan)
        a = rng.standard_normal((bodies, joints, 3, 3))
        noise = 1e-4 * (a @ a.swapaxes(-1, -2)) * np.where(np.isnan(seen[..., :1, None]), np.nan, 1.0)
        cov = noise + (0.05 * np.eye(3) if k % 20 > 12 else 0.0) * np.array([0.0, 1.0, 0.0])[:, None, None, None]
        given = joint_filter.velocity_given(np.arange(bodies), seen, noise)
        # One camera sees the last body, though its covariance is small.
        lone = np.array([False, False, k > 33])
        cov[2] += 0.012 * np.eye(3) * (k > 33)
        joint_filter.update(seen, noise, cov, lone)
        for b, body in enumerate(wanted):
            body.predict(DT_S, bool(unseen[b]), bool(placed[b]))
            np.testing.assert_allclose(given[b], body.velocity_given(seen[b], noise[b]), rtol=1e-9, atol=1e-9)
            body.update(seen[b], noise[b], cov[b], lone[b])
            np.testing.assert_allclose(joint_filter.position[b], body.x[:, :3], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(joint_filter.velocity[b], body.x[:, 3:], rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(joint_filter.covariance[b], body.P[:, :3, :3], rtol=1e-7, atol=1e-12)
