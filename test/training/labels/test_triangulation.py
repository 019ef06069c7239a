# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Labels from geometry alone: triangulated, and refined over views, time and bones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.labels.triangulation import refined_labels
from geo_pose_training.labels.views import triangulated

from geo_pose_ros.arrays import FloatArray
from test.training.people import recorded_person


def _errors(labels: FloatArray, seen: PersonRecording) -> FloatArray:
    assert seen.truth is not None
    return np.asarray(1e3 * np.linalg.norm(labels - seen.truth, axis=-1))


def _with_outliers(seen: PersonRecording, share: float) -> PersonRecording:
    rng = np.random.default_rng(5)
    spoiled = rng.random(seen.xy.shape[:3]) < share
    return replace(seen, xy=seen.xy + 150.0 * spoiled[..., None] * rng.uniform(-1.0, 1.0, seen.xy.shape))


def test_refined_labels_follow_exact_views() -> None:
    labels, weight = refined_labels(recorded_person(frames=40))
    # Smoothness in time costs a few millimetres where a hand turns around.
    assert np.median(_errors(labels, recorded_person(frames=40))) < 3.0
    assert weight.min() > 0.5


@pytest.mark.parametrize('cameras', [4, 2])
def test_refined_labels_withstand_outliers_better_than_triangulation(cameras: int) -> None:
    seen = _with_outliers(recorded_person(frames=60, cameras=cameras, noise_px=2.0), 0.05)
    plain = np.nanmean(_errors(triangulated(seen.cam_from_world, seen.rays(), seen.confidence), seen))
    labels, _ = refined_labels(seen)
    assert np.mean(_errors(labels, seen)) < 0.6 * plain


def test_refined_labels_bridge_gaps_with_low_weight() -> None:
    seen = recorded_person(frames=40)
    xy, confidence = seen.xy.copy(), seen.confidence.copy()
    xy[10:14, :, 13], confidence[10:14, :, 13] = np.nan, 0.0
    labels, weight = refined_labels(replace(seen, xy=xy, confidence=confidence))
    assert _errors(labels, seen)[10:14, 13].max() < 100.0
    assert weight[10:14, 13].max() < 0.2
    assert weight[30, 13] > 0.5


def test_nothing_seen_gives_no_labels() -> None:
    seen = recorded_person(frames=5)
    nothing = replace(seen, xy=np.full_like(seen.xy, np.nan), confidence=np.zeros_like(seen.confidence))
    labels, weight = refined_labels(nothing)
    assert np.isnan(labels).all()
    assert (weight == 0.0).all()
