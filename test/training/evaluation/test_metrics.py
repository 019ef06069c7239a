# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Metrics with hand-made answers, and lifting of recordings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.evaluation import calibration
from geo_pose_training.evaluation.calibration import calibrate_sigma, root_errors_mm, sigma_coverage
from geo_pose_training.evaluation.metrics import auc, evaluate, format_report, pck, pose_errors_mm
from geo_pose_training.evaluation.predictor import Predictor, SigmaScale, lift_recording, lifter_inputs
from geo_pose_training.model import InputWindow, Lifter
from geo_pose_training.settings import ModelSettings, load_recipe
from numpy.typing import NDArray

from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.lifting.canonical import canonical_poses
from test.scenes import person
from test.training.people import recorded_person


def _oracle(seen: PersonRecording, error_m: float = 0.0) -> Predictor:
    """Return a predictor that knows the truth of ``seen`` by the input, sigma 0.1; its last joint is so far off."""
    poses = canonical_poses(seen.rays(), seen.confidence)
    assert seen.truth is not None
    local = seen.in_cameras(seen.truth)
    in_view = np.einsum('fcab,fcjb->fcja', poses.view_from_cam, local - local[:, :, :1])
    in_view[..., 16, 0] += error_m
    known = {
        pose.tobytes(): xyz
        for pose, xyz in zip(poses.pose2d.reshape(-1, 17, 3), in_view.reshape(-1, 17, 3), strict=True)
    }

    def predict(pose2d: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        xyz = np.stack([known[window[len(window) // 2].tobytes()] for window in pose2d]).astype(np.float32)
        return xyz, np.full(xyz.shape[:2], 0.1, np.float32)

    return Predictor(predict)


def test_alignments_remove_what_they_should() -> None:
    truth = np.stack([person(i) for i in range(4)])
    moved = truth.copy()
    moved[0, 5, 1] += 0.05
    assert pose_errors_mm(moved, truth)['mpjpe'][0, 5] == pytest.approx(50.0)
    with pytest.raises(ShapeError, match='pose_errors_mm'):
        pose_errors_mm(truth, truth[:, :16])
    shifted = pose_errors_mm(truth + 0.3, truth)
    np.testing.assert_allclose(shifted['mpjpe'], 0.0, atol=1e-9)
    scaled = pose_errors_mm(1.1 * truth, truth)
    assert scaled['mpjpe'].mean() > 10.0
    np.testing.assert_allclose(scaled['n_mpjpe'], 0.0, atol=1e-9)
    c, s = np.cos(0.26), np.sin(0.26)
    turned = truth @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
    errors = pose_errors_mm(turned, truth)
    # 15 degrees of yaw are tens of millimetres.
    assert errors['n_mpjpe'].mean() > 30.0
    np.testing.assert_allclose(errors['p_mpjpe'], 0.0, atol=1e-6)


def test_pck_and_auc_by_hand() -> None:
    errors = np.array([[0.0, 74.0, 149.0, 200.0]])
    assert pck(errors) == pytest.approx(75.0)
    # 0 mm: within all 31 thresholds; 74 mm: 75..150, 16 of them; 149 mm: 1.
    assert auc(errors) == pytest.approx(100.0 * (31 + 16 + 1) / (31 * 4))


def test_an_oracle_has_no_error_and_reprojects() -> None:
    seen = recorded_person(frames=8)
    report = evaluate(_oracle(seen), [seen])
    assert report['mpjpe_mm'] == pytest.approx(0.0, abs=1e-2)
    assert report['root_mm'] == pytest.approx(0.0, abs=1.0)
    assert report['pck150'] == 100.0
    assert report['held_out_px']['median'] == pytest.approx(0.0, abs=0.2)
    assert report['poses'] == 32
    assert evaluate(_oracle(seen), [seen], stride=3)['poses'] == 12
    assert set(evaluate(_oracle(seen), [replace(seen, truth=None)])) == {'held_out_px'}


def test_reports_by_action_and_joint() -> None:
    a, b = recorded_person(frames=4, name='walk'), recorded_person(frames=4, seed=3, name='run')

    def predict(pose2d: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        for seen, error in ((a, 0.17), (b, 0.34)):
            try:
                return _oracle(seen, error)(pose2d)
            except KeyError:
                continue
        raise AssertionError('unknown pose')

    report = evaluate(Predictor(predict), [a, b])
    assert report['per_action_mm'] == pytest.approx({'walk': 10.0, 'run': 20.0}, abs=0.01)
    assert report['per_joint_mm']['right_wrist'] == pytest.approx(255.0, abs=0.1)
    assert report['per_joint_mm']['left_wrist'] == pytest.approx(0.0, abs=0.01)
    text = format_report(report)
    assert 'right_wrist' in text and '255.0' in text


def test_views_with_too_few_joints_are_not_lifted() -> None:
    seen = recorded_person(frames=3)
    xy = seen.xy.copy()
    xy[1, 2, :6] = np.nan
    lifted = lift_recording(_oracle(replace(seen, xy=xy)), replace(seen, xy=xy))
    assert np.isnan(lifted.xyz[1, 2]).all()
    assert np.isfinite(lifted.xyz[1, 1]).all()
    gone = replace(seen, xy=np.full_like(xy, np.nan))
    with pytest.raises(ConfigError, match='nothing to evaluate'):
        evaluate(_oracle(seen), [gone])


def test_windows_repeat_the_ends() -> None:
    assert InputWindow(3).rows(3).tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 2]]
    assert InputWindow(3, causal=True).rows(3).tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    (given,) = lifter_inputs([recorded_person(frames=6)], InputWindow(3), count=4)
    assert given.shape == (4, 3, 17, 3)
    upright, view = lifter_inputs([recorded_person(frames=6)], InputWindow(up='z'), count=4)
    assert (upright.shape, view.shape) == ((4, 1, 17, 3), (4, 2))


def test_sigma_is_calibrated_without_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded_person(frames=30)
    arm = np.zeros(seen.confidence.shape, bool)
    arm[..., 11:14] = True
    monkeypatch.setattr(calibration, 'hidden_limbs', lambda *_: arm)
    rng = np.random.default_rng(0)
    oracles = _oracle(replace(seen, confidence=np.where(arm, 0.0, seen.confidence))), _oracle(seen)

    def predict(pose2d: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        xyz, _ = oracles[int((pose2d[..., 2] > 0.0).all())](pose2d)
        noise = 0.06 * rng.standard_normal(xyz.shape)
        # Twice as far off where the view does not see the joint.
        noise *= np.where(pose2d[:, 0, :, 2:] > 0.0, 1.0, 2.0)
        noise[:, 0] = 0.0
        return (xyz + noise).astype(np.float32), np.full(xyz.shape[:2], 0.02, np.float32)

    scale = calibrate_sigma(Predictor(predict), [replace(seen, truth=None)])
    assert scale.seen == pytest.approx(3.0, rel=0.1)
    assert scale.hidden == pytest.approx(6.0, rel=0.1)
    assert calibrate_sigma(Predictor(predict), [seen.views(('cam0',))]) == SigmaScale(1.0, 1.0)


def test_coverage_is_the_share_within_two_point_eight_sigma(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = recorded_person(frames=30)
    # One joint of 16 is half a metre off, which 0.1 m of sigma do not cover.
    monkeypatch.setattr(calibration, 'hidden_limbs', lambda *_: np.zeros(seen.confidence.shape, bool))
    shares = sigma_coverage(_oracle(seen, error_m=0.5), [seen])
    assert np.isnan(shares['hidden'])
    assert shares['seen'] == pytest.approx(15.0 / 16.0)
    assert np.isnan(sigma_coverage(_oracle(seen), [replace(seen, truth=None)])['seen'])


def test_a_floor_and_known_bones_find_roots_that_a_wrong_size_moves() -> None:
    seen = recorded_person(frames=12)
    assert seen.truth is not None
    lowest = seen.truth[:, [3, 6], 2].min()
    truth = seen.truth - (0.0, 0.0, lowest - 0.09)
    xy = np.stack([project_world(camera, truth) for camera in seen.rig.cameras], 1)
    seen = replace(seen, truth=truth, xy=xy)
    exact = _oracle(seen)

    def small(pose2d: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        xyz, sigma = exact(pose2d)
        return 0.9 * xyz, 0.3 * sigma

    lifter = Predictor(small)
    alone = root_errors_mm(lifter, [seen]).mean()
    assert alone > 300.0
    assert root_errors_mm(lifter, [seen], floor='z').mean() < 0.3 * alone
    # Bones err by 5 %, people's sizes by 8 % about the lifter's: 0.28 of the error is left.
    assert root_errors_mm(lifter, [seen], bones=True).mean() < 0.3 * alone
    assert len(root_errors_mm(lifter, [replace(seen, truth=None)])) == 0
    assert len(root_errors_mm(lifter, [seen.views(('cam0', 'cam1'))], bones=True)) == 0


def test_a_window_names_up_only_where_gravity_counts() -> None:
    assert InputWindow.of(load_recipe('geo', {'model.gravity': False}).model, 'z').up == ''
    assert InputWindow.of(load_recipe('body17').model, '-y').up == '-y'


def test_predictor_leaves_the_network_and_the_random_state_alone() -> None:
    lifter = Lifter(17, ModelSettings(width=16, blocks=1, dropout=0.5)).train()
    state = torch.get_rng_state()
    first, _ = Predictor.of_lifter(lifter)(np.ones((2, 1, 17, 3), np.float32))
    second, _ = Predictor.of_lifter(lifter)(np.ones((2, 1, 17, 3), np.float32))
    np.testing.assert_array_equal(first, second)
    assert lifter.training
    assert torch.equal(state, torch.get_rng_state())
