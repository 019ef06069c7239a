"""Identities, the Kalman filter, gaps, and what the tracker must never do."""

import numpy as np
import pytest

from geo_pose_ros.config import TrackingConfig
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.scene.tracks import Tracker

DT_NS = 33_000_000
SIGMA_M = 0.02


def covariance(bodies: int, joints: int, sigma_m: float = SIGMA_M) -> np.ndarray:
    return np.broadcast_to(sigma_m**2 * np.eye(3), (bodies, joints, 3, 3)).copy()


def index(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_ids_last_are_not_reused_and_follow_the_order_of_the_measured_bodies():
    tracker = Tracker(TrackingConfig(), 1)
    at = np.array([[[0.0, 0, 0]], [[5.0, 0, 0]]])
    first = tracker.update(0, index(-1, -1), at, covariance(2, 1))
    assert first.body_ids.tolist() == [0, 1]
    # the second body is measured alone: it comes first, the other is predicted
    second = tracker.update(DT_NS, index(1), at[1:], covariance(1, 1))
    assert second.body_ids.tolist() == [1, 0]
    np.testing.assert_allclose(second.xyz[0, 0], [5.0, 0, 0])
    third = tracker.update(2 * DT_NS, index(-1), at[:1], covariance(1, 1))
    assert third.body_ids.tolist() == [2, 1, 0]


def test_constant_velocity_is_followed_without_lag_and_noise_is_reduced():
    rng = np.random.default_rng(0)
    tracker = Tracker(TrackingConfig(acceleration_noise=1.0), 4)
    velocity = rng.uniform(-1.0, 1.0, (1, 4, 3))
    raw, smooth = [], []
    for k in range(90):
        truth = velocity * (k * DT_NS * 1e-9)
        measured = truth + SIGMA_M * rng.standard_normal(truth.shape)
        out = tracker.update(k * DT_NS, index(0 if k else -1), measured, covariance(1, 4))
        if k >= 30:
            raw.append(measured - truth)
            smooth.append(out.xyz - truth)
    assert np.std(smooth) < 0.75 * np.std(raw)
    assert np.abs(np.mean(smooth, 0)).max() < 0.01


def test_covariance_of_the_output_matches_its_error():
    rng = np.random.default_rng(1)
    config = TrackingConfig()
    q = config.acceleration_noise**2
    joints, dt = 60, DT_NS * 1e-9
    position, velocity = np.zeros((1, joints, 3)), np.zeros((1, joints, 3))
    chol = np.linalg.cholesky(q * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]]))
    tracker, nees = Tracker(config, joints), []
    for k in range(60):
        draw = rng.standard_normal((2, 1, joints, 3))
        position = position + dt * velocity + chol[0, 0] * draw[0]
        velocity = velocity + chol[1, 0] * draw[0] + chol[1, 1] * draw[1]
        out = tracker.update(
            k * DT_NS, index(0 if k else -1), position + SIGMA_M * rng.standard_normal(position.shape),
            covariance(1, joints),
        )
        error = out.xyz - position
        if k >= 20:
            nees.append((error[..., None, :] @ np.linalg.inv(out.covariance) @ error[..., None]).mean())
    assert np.mean(nees) == pytest.approx(3.0, abs=0.25)


def test_a_missing_joint_is_predicted_for_max_gap_and_then_forgotten():
    tracker = Tracker(TrackingConfig(max_gap_s=0.2), 2)
    for k in range(30):
        xyz = np.array([[[0.1 * k, 0, 0], [0, 0, 1.0]]])
        out = tracker.update(k * DT_NS, index(0 if k else -1), xyz, covariance(1, 2))
    half = np.array([[[np.nan] * 3, [0, 0, 1.0]]])
    spread = [out.covariance[0, 0].trace()]
    for k in range(30, 36):
        out = tracker.update(k * DT_NS, index(0), half, covariance(1, 2))
        assert out.xyz[0, 0, 0] == pytest.approx(0.1 * k, abs=0.03)
        spread.append(out.covariance[0, 0].trace())
    assert (np.diff(spread) > 0.0).all()
    out = tracker.update(36 * DT_NS, index(0), half, covariance(1, 2))
    assert np.isnan(out.xyz[0, 0]).all()
    assert np.isnan(out.covariance[0, 0]).all()
    np.testing.assert_allclose(out.xyz[0, 1], [0, 0, 1.0])


def test_it_stays_stable_over_hours_of_uneven_covariances():
    rng = np.random.default_rng(7)
    tracker = Tracker(TrackingConfig(), 8)
    for k in range(1200):
        axes = np.array([[np.linalg.qr(square)[0] for square in rng.standard_normal((8, 3, 3))]])
        spread = 10.0 ** rng.uniform(-4.0, 0.0, (1, 8, 3))
        cov = (axes * spread[..., None, :] ** 2) @ np.swapaxes(axes, -1, -2)
        xyz = (axes * spread[..., None, :] @ rng.standard_normal((1, 8, 3, 1)))[..., 0]
        xyz[0, rng.random(8) < 0.1] = np.nan
        out = tracker.update(k * DT_NS, index(0 if k else -1), xyz, cov)
        known = np.isfinite(out.xyz).all(-1)
        assert np.abs(out.xyz[known]).max() < 20.0
        assert np.linalg.eigvalsh(out.covariance[known]).min() > 0.0


def test_an_unseen_body_is_predicted_then_gone_for_good():
    tracker = Tracker(TrackingConfig(max_gap_s=0.5), 1)
    tracker.update(0, index(-1), np.zeros((1, 1, 3)), covariance(1, 1))
    nobody = (index(), np.zeros((0, 1, 3)), covariance(0, 1))
    assert len(tracker.update(400_000_000, *nobody).body_ids) == 1
    assert tracker.predict(450_000_000).shape == (1, 1, 3)
    assert len(tracker.update(600_000_000, *nobody).body_ids) == 0
    assert tracker.predict(700_000_000).shape == (0, 1, 3)


def test_it_never_invents_a_body_from_nothing():
    tracker = Tracker(TrackingConfig(), 3)
    for k in range(5):
        assert len(tracker.update(k * DT_NS, index(), np.zeros((0, 3, 3)), covariance(0, 3)).body_ids) == 0


def test_switched_off_it_returns_the_measurement_itself_and_keeps_ids():
    tracker = Tracker(TrackingConfig(enabled=False), 1)
    rng = np.random.default_rng(2)
    for k in range(10):
        xyz = rng.standard_normal((1, 1, 3))
        out = tracker.update(k * DT_NS, index(0 if k else -1), xyz, covariance(1, 1))
        assert np.array_equal(out.xyz, xyz)
        assert out.body_ids.tolist() == [0]
    assert len(tracker.update(10 * DT_NS, index(), np.zeros((0, 1, 3)), covariance(0, 1)).body_ids) == 0


def test_a_body_of_a_lone_view_is_taken_as_it_is():
    rng = np.random.default_rng(8)
    tracker = Tracker(TrackingConfig(), 5)
    for k in range(10):
        xyz = rng.standard_normal((1, 5, 3))
        out = tracker.update(k * DT_NS, index(0 if k else -1), xyz, covariance(1, 5, 0.3))
        assert np.array_equal(out.xyz, xyz)
    # one uncertain joint among certain ones is smoothed like any other
    spread = covariance(1, 5)
    spread[0, 0] *= 400.0
    still = Tracker(TrackingConfig(), 5)
    for k in range(30):
        out = still.update(k * DT_NS, index(0 if k else -1), 0.4 * rng.standard_normal((1, 5, 3)) * [1, 0, 0], spread)
    assert abs(out.xyz[0, 0, 0]) < 0.4


def test_a_gross_jump_moves_the_joint_little():
    tracker = Tracker(TrackingConfig(), 1)
    for k in range(30):
        tracker.update(k * DT_NS, index(0 if k else -1), np.zeros((1, 1, 3)), covariance(1, 1))
    out = tracker.update(30 * DT_NS, index(0), np.array([[[1.0, 0, 0]]]), covariance(1, 1))
    assert np.linalg.norm(out.xyz) < 0.1


def test_time_that_runs_backwards_starts_anew():
    tracker = Tracker(TrackingConfig(), 1)
    tracker.update(10**9, index(-1), np.zeros((1, 1, 3)), covariance(1, 1))
    assert tracker.predict(0).shape == (0, 1, 3)
    assert tracker.update(0, index(-1), np.ones((1, 1, 3)), covariance(1, 1)).body_ids.tolist() == [0 + 1]


@pytest.mark.parametrize('tracks', [[0, 0], [7, -1]])
def test_impossible_tracks_are_refused(tracks):
    tracker = Tracker(TrackingConfig(), 1)
    tracker.update(0, index(-1), np.zeros((1, 1, 3)), covariance(1, 1))
    with pytest.raises(ShapeError, match='expected each of 1 once'):
        tracker.update(DT_NS, index(*tracks), np.zeros((2, 1, 3)), covariance(2, 1))


def test_wrong_shapes_are_refused():
    with pytest.raises(ShapeError, match=r'xyz \(1, 2, 3\)'):
        Tracker(TrackingConfig(), 1).update(0, index(-1), np.zeros((1, 2, 3)), covariance(1, 1))
