# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Detections linked over time, and what they say between pictures."""

import numpy as np
import pytest

from geo_pose_ros.calibration.people.tracklets import (
    Tracklet,
    different_poses,
    instants,
    kept_aside,
    link_detections,
    make_tracklet,
    merged,
    sample,
)
from geo_pose_ros.calibration.settings import CalibrateConfig
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.simulation.walks import STANDING
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D

from ...scenes import ring_rig
from ..walking import START_NS, images, walk

BASE = STANDING[:, 1:] * (300.0, -300.0) + (500.0, 600.0)


def moving(frames=20, fps=20.0, speed=(100.0, -40.0)):
    time_s = np.arange(frames) / fps
    xy = BASE + time_s[:, None, None] * speed
    return make_tracklet('cam', time_s, xy, np.full(xy.shape[:2], 0.9))


def image(stamp_s, *people):
    xy = np.stack(people) if people else np.zeros((0, 17, 2))
    return Keypoints2D('cam', START_NS + round(stamp_s * 1e9), BODY17, xy, np.full(xy.shape[:2], 0.9))


def test_two_people_in_any_order_become_two_tracklets():
    rig = ring_rig(2)
    people = [walk(4.0, seed=1) - (0.0, 1.2, 0.0), walk(4.0, seed=2) + (0.0, 1.2, 0.0)]
    found = link_detections(images(rig, people, noise_px=1.0)['cam0'], START_NS, CalibrateConfig())
    assert [len(t) for t in found] == [80, 80]


def test_a_gap_begins_a_new_tracklet_and_few_pictures_are_none():
    seen = [image(0.05 * i, BASE) for i in range(10)] + [image(2.0 + 0.05 * i, BASE) for i in range(8)]
    assert [len(t) for t in link_detections(seen, START_NS, CalibrateConfig())] == [10, 8]
    assert link_detections(seen[:4], START_NS, CalibrateConfig()) == []


def test_time_that_runs_backwards():
    seen = [image(5.0 + 0.05 * i, BASE) for i in range(10)]
    jitter = [*seen[:6], seen[5], seen[4], *seen[6:]]
    assert [len(t) for t in link_detections(jitter, START_NS, CalibrateConfig())] == [10]
    again = [*seen, *(image(0.05 * i, BASE) for i in range(7))]
    assert sorted(len(t) for t in link_detections(again, START_NS, CalibrateConfig())) == [7, 10]


def test_sample_on_and_between_images():
    track = moving()
    xy, velocity, confidence = sample(track, np.array([0.1, 0.125, -1.0, 5.0]))
    np.testing.assert_allclose(xy[0], track.xy[2])
    np.testing.assert_allclose(xy[1], BASE + (12.5, -5.0))
    np.testing.assert_allclose(velocity[:2], np.broadcast_to((100.0, -40.0), (2, 17, 2)), atol=1e-9)
    np.testing.assert_allclose(confidence[:2], 0.9)
    assert np.isnan(xy[2:]).all()
    assert not confidence[2:].any()


def test_a_missing_keypoint_stays_missing_where_it_counts():
    track = moving()
    xy = track.xy.copy()
    xy[4, 3] = np.nan
    track = make_tracklet('cam', track.time_s, xy, track.confidence)
    on, between = sample(track, np.array([0.2, 0.25]))[0], sample(track, np.array([0.22]))[0]
    assert np.isnan(on[0, 3]).all()
    assert np.isfinite(on[1]).all()
    assert np.isnan(between[0, 3]).all()
    assert np.isfinite(np.delete(between[0], 3, 0)).all()
    # The slope is from the neighbours.
    np.testing.assert_allclose(track.velocity[4, 3], (100.0, -40.0), atol=1e-9)


def test_pictures_far_apart_are_not_bridged():
    track = make_tracklet('cam', np.array([0.0, 0.3, 0.6]), np.stack([BASE] * 3), np.ones((3, 17)))
    assert np.isnan(sample(track, np.array([0.15]))[0]).all()
    assert np.isnan(track.velocity).all()


def test_parts_of_one_person():
    track = moving()
    early, late = (
        make_tracklet('cam', track.time_s[part], track.xy[part], track.confidence[part])
        for part in (slice(0, 8), slice(12, 20))
    )
    np.testing.assert_array_equal(merged([late, early]).time_s, np.delete(track.time_s, range(8, 12)))


def test_who_stands_still_has_one_pose_whatever_the_detector_does():
    rng = np.random.default_rng(0)
    xy = BASE + rng.normal(0.0, 3.0, (200, 17, 2))
    legs = [BODY17.index(f'{side}_{joint}') for side in ('left', 'right') for joint in ('hip', 'knee', 'ankle')]
    xy[50:60, legs] = xy[50:60][:, legs[3:] + legs[:3]]
    still = make_tracklet('cam', np.arange(200) / 20.0, xy, np.ones((200, 17)))
    assert different_poses(still, 0.06) == 1
    # 300 px/s past 0.06 x 504 px: a new one every third picture.
    assert 15 <= different_poses(moving(60, speed=(300.0, 0.0)), 0.06) <= 31


def test_instants_are_drawn_evenly_and_count_common_times_once():
    a, b = moving(100), moving(100)
    np.testing.assert_allclose(instants([a, b], 1000), a.time_s)
    chosen = instants([a, b], 10)
    assert len(chosen) == 10
    assert (chosen[0], chosen[-1]) == (a.time_s[0], a.time_s[-1])
    shifted = make_tracklet('cam', a.time_s + 0.01, a.xy, a.confidence)
    assert len(instants([a, shifted], 1000)) == 100


def test_whole_stretches_are_kept_aside():
    time_s = np.arange(600) / 20.0
    aside = kept_aside(time_s, 0.2)
    assert aside.mean() == pytest.approx(0.2, abs=0.02)
    assert np.abs(np.diff(aside.astype(int))).sum() == 10
    assert kept_aside(np.zeros(0), 0.2).shape == (0,)
    # Two bursts far apart, and several people at one instant: some of each are kept aside, an instant wholly or not.
    bursts = np.concatenate([np.arange(30), 10_000 + np.arange(30)]) / 60.0
    aside = kept_aside(np.tile(bursts, 2), 0.05)
    assert aside.any()
    assert not aside.all()
    np.testing.assert_array_equal(aside[:60], aside[60:])


def test_wrong_tracklets():
    with pytest.raises(ShapeError, match=r"camera 'cam': received 2 times"):
        Tracklet('cam', np.zeros(2), np.zeros((3, 17, 2)), np.zeros((3, 17)), np.zeros((3, 17, 2)))
    with pytest.raises(ShapeError, match='times do not ascend'):
        make_tracklet('cam', np.array([0.0, 0.0]), np.zeros((2, 17, 2)), np.ones((2, 17)))
