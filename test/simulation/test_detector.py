# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The noise model of a 2D detector."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.simulation.detector import CLEAN, detect_person, detector_joints
from test.scenes import ring_rig
from test.training.people import moving_person

_JITTER_ONLY = replace(CLEAN, jitter=0.01, memory=0.8)


def _projected(frames: int = 3000) -> np.ndarray:
    camera = ring_rig().cameras[0]
    still = project_world(camera, moving_person(1)[0])
    return np.repeat(still[None], frames, 0)


def test_jitter_has_the_stated_size_and_memory() -> None:
    exact = _projected()
    xy, _ = detect_person(exact, (1280, 960), _JITTER_ONLY, np.random.default_rng(0))
    off = xy - exact
    extent = np.ptp(exact[0], axis=0).max()
    assert off.std() == pytest.approx(0.01 * extent, rel=0.05)
    assert np.mean(off[1:] * off[:-1]) / off.var() == pytest.approx(0.8, abs=0.03)
    far, _ = detect_person(0.02 * exact, (1280, 960), replace(_JITTER_ONLY, jitter_px=0.5), np.random.default_rng(0))
    assert (far - 0.02 * exact).std() == pytest.approx(0.5, rel=0.05)


def test_jitter_grows_as_confidence_falls() -> None:
    exact = _projected()
    rng = np.random.default_rng(0)
    xy, confidence = detect_person(exact, (1280, 960), replace(_JITTER_ONLY, jitter_unsure=0.05), rng)
    off = np.linalg.norm(xy - exact, axis=-1)
    low, high = confidence < np.quantile(confidence, 0.2), confidence > np.quantile(confidence, 0.8)
    assert off[low].mean() > 1.3 * off[high].mean()


def test_outliers_swaps_and_gaps_have_their_rates() -> None:
    exact = _projected(20_000)
    rng = np.random.default_rng(0)
    extent = np.ptp(exact[0], axis=0).max()
    outliers, sure = detect_person(exact, (1280, 960), replace(CLEAN, outlier_rate=0.05), rng)
    moved = np.linalg.norm(outliers - exact, axis=-1) > 0.01 * extent
    assert moved.mean() == pytest.approx(0.05, abs=0.01)
    assert sure[moved].mean() < sure[~moved].mean() - 0.1
    swapped, _ = detect_person(exact, (1280, 960), replace(CLEAN, swap_rate=0.04), rng)
    wrong = np.abs(swapped[:, 13] - exact[:, 16]).max(-1) < 1e-6
    assert wrong.mean() == pytest.approx(0.04, abs=0.015)
    gone, zero = detect_person(exact, (1280, 960), replace(CLEAN, missing_rate=0.03), rng)
    missing = np.isnan(gone).any(-1)
    assert missing.mean() == pytest.approx(0.03, abs=0.01)
    assert (zero[missing] == 0.0).all()


def test_joints_outside_the_image_or_behind_are_missing() -> None:
    exact = _projected(2)
    exact[:, 3] = -5.0
    exact[:, 4] = np.nan
    xy, confidence = detect_person(exact, (1280, 960), CLEAN, np.random.default_rng(0))
    assert np.isnan(xy[:, 3:5]).all()
    assert (confidence[:, 3:5] == 0.0).all()


def test_joint_definition_turns_with_the_body() -> None:
    joints = moving_person(2)
    c, s = np.cos(0.7), np.sin(0.7)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    np.testing.assert_allclose(detector_joints(joints @ R.T), detector_joints(joints) @ R.T, atol=1e-12)
    moved = 1e3 * np.linalg.norm(detector_joints(joints) - joints, axis=-1)
    assert 5.0 < moved.mean() < 20.0
    np.testing.assert_array_equal(detector_joints(joints, 0.0), joints)
