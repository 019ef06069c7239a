# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Limbs whose sides a view exchanged: found by all views and instants together, and repaired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geo_pose_training.data.prepare import prepare
from geo_pose_training.data.recording import PersonRecording
from geo_pose_training.labels.sides import exchange_sides, find_exchanges
from geo_pose_training.labels.triangulation import refined_labels
from geo_pose_training.labels.views import SeenJoints
from geo_pose_training.settings import CopySettings, DataSettings

from test.training.people import recorded_person

_LEGS, _ARMS = 0, 1


def _exchanged(seen: PersonRecording, confused: np.ndarray) -> PersonRecording:
    xy, confidence = exchange_sides(seen.xy, seen.confidence, confused)
    return replace(seen, xy=xy, confidence=confidence)


def _nothing(seen: PersonRecording) -> np.ndarray:
    return np.zeros((len(seen), len(seen.rig), 2), bool)


def _found(seen: PersonRecording, labels: np.ndarray) -> np.ndarray:
    return find_exchanges(SeenJoints.of(seen), labels)


def _errors_mm(seen: PersonRecording) -> np.ndarray:
    assert seen.truth is not None
    return np.asarray(1e3 * np.linalg.norm(refined_labels(seen)[0] - seen.truth, axis=-1))


# Two views contradict each other about an exchange across the epipolar lines only.
@pytest.mark.parametrize(('cameras', 'worse'), [(2, 2.0), (3, 1.1), (6, 1.1)], ids=['two', 'three', 'six'])
def test_a_view_that_exchanges_limbs_for_long_is_found_and_labels_are_as_without(cameras: int, worse: float) -> None:
    seen = recorded_person(frames=60, cameras=cameras, noise_px=1.0)
    confused = _nothing(seen)
    confused[15:50, 1, _LEGS] = True
    confused[5:20, 1, _ARMS] = True
    confused[30:33, 0, _ARMS] = True
    spoiled = _exchanged(seen, confused)
    # Now and then a joint of these limbs is not seen.
    spoiled.xy[::7, :, 3], spoiled.confidence[::7, :, 3] = np.nan, 0.0
    assert seen.truth is not None
    found = _found(spoiled, seen.truth)
    # Where left and right are one in the image there is nothing to find.
    assert (found != confused).mean() < 0.02
    assert _errors_mm(spoiled).mean() < worse * _errors_mm(seen).mean() + 1.0


def test_most_views_may_be_wrong_for_a_while() -> None:
    """At each of these instants the wrong views are a majority; that limbs do not jump decides."""
    seen = recorded_person(frames=60, cameras=3, noise_px=1.0)
    confused = _nothing(seen)
    confused[20:40, :2, _LEGS] = True
    spoiled = _exchanged(seen, confused)
    assert _errors_mm(spoiled).mean() < 1.1 * _errors_mm(seen).mean() + 1.0


def test_nothing_is_exchanged_where_nothing_is_wrong() -> None:
    seen = recorded_person(frames=60, cameras=3, noise_px=4.0)
    assert seen.truth is not None
    assert not _found(seen, seen.truth).any()
    unseen = replace(seen, xy=np.full_like(seen.xy, np.nan), confidence=np.zeros_like(seen.confidence))
    assert not _found(unseen, seen.truth).any()


def test_views_are_repaired_where_the_recipe_says_so() -> None:
    seen = recorded_person(frames=50, cameras=3)
    confused = _nothing(seen)
    confused[:25, 1] = True
    settings = DataSettings(labels='refined', copies=CopySettings(1))
    exact, as_seen = prepare([seen], settings, 0), prepare([_exchanged(seen, confused)], settings, 0)
    repaired = prepare([_exchanged(seen, confused)], replace(settings, sides='repaired'), 0)
    # The real views, and the copies' virtual ones, which carry the residuals of the real.
    np.testing.assert_allclose(repaired.pose2d, exact.pose2d, atol=1e-4)
    for part in (slice(0, len(seen)), slice(len(seen), None)):
        assert (as_seen.pose2d[part] - exact.pose2d[part]).abs().max() > 0.1
