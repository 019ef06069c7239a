# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Recordings of one person: shapes, selections, hash, rate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from geo_pose_training.data.recording import data_hash, window_rate_hz
from geo_pose_training.labels.triangulation import refined_labels

from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.skeleton import BODY17
from test.training.people import recorded_person


def test_recordings_check_their_shapes_and_select() -> None:
    seen = recorded_person(frames=5)
    with pytest.raises(ShapeError, match='confidence'):
        replace(seen, confidence=seen.confidence[:, :2])
    with pytest.raises(ShapeError, match='truth'):
        replace(seen, truth=np.zeros((5, 16, 3)))
    part = seen.views(('cam2', 'cam0')).frames(slice(1, 3))
    np.testing.assert_array_equal(part.xy, seen.xy[1:3][:, [2, 0]])
    assert part.rig.names == ('cam2', 'cam0')
    assert part.truth is not None and len(part.truth) == 2
    assert len(BODY17) == part.xy.shape[2]


def test_data_hash_follows_the_data() -> None:
    assert data_hash([recorded_person()]) == data_hash([recorded_person()])
    assert data_hash([recorded_person()]) != data_hash([recorded_person(seed=1)])
    assert data_hash([recorded_person()]) != data_hash([recorded_person(cameras=3)])


def test_windows_have_one_rate_and_single_frames_none():
    slow, fast = recorded_person(frames=3), replace(recorded_person(frames=3), fps=60.0)
    assert window_rate_hz([fast, fast], 9) == 60.0
    assert window_rate_hz([slow, fast], 1) == 0.0
    with pytest.raises(ConfigError, match=rf'of 9 frames from recordings of \[{slow.fps}, 60.0\] frames per second'):
        window_rate_hz([slow, fast], 9)


def test_refined_labels_are_kept_for_all_views_and_made_anew_for_some() -> None:
    seen = recorded_person(20, noise_px=1.0)
    given = (np.full((20, 17, 3), 7.0), np.ones((20, 17)))
    kept = replace(seen, refined=given)
    assert refined_labels(kept) is given
    assert kept.views(kept.rig.names).refined is given
    assert kept.views(kept.rig.names[:3]).refined is None
    np.testing.assert_array_equal(
        refined_labels(kept.views(kept.rig.names[:3]))[0], refined_labels(seen.views(seen.rig.names[:3]))[0]
    )
