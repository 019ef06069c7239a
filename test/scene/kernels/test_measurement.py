# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What people have of their tracks, and whose detections are whose, against a slow way in numpy."""

import numpy as np

from geo_pose_ros.fusion.table import gather
from geo_pose_ros.scene.kernels.measurement import TrackedBodies, choose_views, find_free, gather_tracks


def test_new_people_have_no_past():
    rng = np.random.default_rng(0)
    position, velocity, variance = rng.normal(size=(4, 17, 3)), rng.normal(size=(4, 17, 3)), rng.random(4)
    position[2, 3], velocity[2, 3] = np.nan, np.nan
    index = np.array([2, -1, 0])
    found = TrackedBodies(np.empty((3, 17, 3)), np.empty((3, 17, 3)), np.empty((3, 3)), np.empty(3))
    gather_tracks(index, position, velocity, variance, found)
    expected = gather(position, index, np.nan)
    np.testing.assert_array_equal(found.position, expected)
    np.testing.assert_array_equal(found.velocity, np.nan_to_num(gather(velocity, index, 0.0)))
    np.testing.assert_allclose(found.centre, expected.mean(1))
    np.testing.assert_array_equal(found.centre_variance, [variance[2], np.inf, variance[0]])


def test_detections_near_somebody_known_are_not_free():
    views = np.array([[0, -1], [-1, -1], [-1, 3]])
    nearest = np.array([0.2, 0.3, 0.05, np.inf, np.inf])
    known, free = np.empty(3, bool), np.empty(5, bool)
    assert find_free(views, nearest, 0.1, known, free) == 2
    assert known.tolist() == [True, False, True]
    assert free.tolist() == [False, True, False, False, True]


def test_few_views_are_lifted_of_a_body_that_many_show_well():
    """Six cameras: all show the first body; three the wrist of the second, one that of the third; none the fourth."""
    confidence = 0.9 - 0.01 * np.arange(6)[:, None, None] * np.ones((4, 17))
    confidence[3:, 1, 16] = confidence[1:, 2, 16] = 0.2
    confidence[:, 3] = 0.0
    chosen = np.empty((3, 4), np.int64)
    choose_views(confidence, True, chosen)
    assert chosen.T.tolist() == [[0, -1, -1], [0, 1, -1], [0, 1, 2], [-1, -1, -1]]
    choose_views(confidence, False, chosen)
    assert chosen.T.tolist() == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [-1, -1, -1]]
