# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""New people from detections that nobody known explains: exact in crowds, no ghosts, and the degenerate cases."""


import numpy as np
import pytest

from geo_pose_ros.fusion import grouping
from geo_pose_ros.fusion.grouping import group
from geo_pose_ros.fusion.views import Cameras, Detections

from .people import crowd, observe, ring

GATE_M, NEW_GATE_M = 0.25, 0.12


def grouped(cameras, detections, free=None, needed=2):
    free = np.arange(len(detections)) if free is None else free
    return group(cameras, detections, free, GATE_M, NEW_GATE_M, needed)


@pytest.mark.parametrize(
    ('cameras', 'people', 'missing'), [(2, 1, 0.0), (3, 3, 0.0), (12, 15, 0.0), (6, 8, 0.1), (6, 8, 0.15)]
)
def test_everybody_is_one_group_with_all_their_detections(cameras, people, missing):
    ring_of, bodies = ring(cameras), crowd(people)
    seen = observe(ring_of, bodies, noise=0.003, missing=missing, seed=cameras)
    views = grouped(ring_of, seen.detections)
    assert sorted(map(tuple, seen.people(views))) == [(p,) for p in range(people)]
    assert (views >= 0).sum() == len(seen.detections)


def test_a_crowd_whose_cameras_are_only_paired_with_partners():
    """Thirty people before twelve cameras, 360 detections: each camera is paired with some of the others only."""
    cameras, bodies = ring(12, radius_m=8.0), crowd(30)
    seen = observe(cameras, bodies, noise=0.002)
    assert len(seen.detections) > grouping._FEW_DETECTIONS
    views = grouped(cameras, seen.detections)
    assert sorted(map(tuple, seen.people(views))) == [(p,) for p in range(30)]


def test_a_new_person_needs_its_views():
    cameras, bodies = ring(3), crowd(1)
    seen = observe(cameras, bodies)
    only = np.flatnonzero(seen.detections.camera < 2)
    assert len(grouped(cameras, seen.detections, only, needed=2)) == 1
    assert len(grouped(cameras, seen.detections, only, needed=3)) == 0
    assert len(grouped(cameras, seen.detections, np.array([0]), needed=2)) == 0
    assert grouped(cameras, seen.detections, np.array([0]), needed=1).tolist() == [[0, -1, -1]]


def test_detections_that_are_not_free_are_left_alone():
    cameras, bodies = ring(4), crowd(3)
    seen = observe(cameras, bodies)
    free = np.flatnonzero(seen.owner != 1)
    views = grouped(cameras, seen.detections, free)
    assert sorted(map(tuple, seen.people(views))) == [(0,), (2,)]


def test_one_camera_gives_one_group_per_detection_and_only_where_one_view_is_enough():
    cameras, bodies = ring(1), crowd(3)
    seen = observe(cameras, bodies)
    assert sorted(grouped(cameras, seen.detections, needed=1)[:, 0].tolist()) == [0, 1, 2]
    assert grouped(cameras, seen.detections, needed=2).shape == (0, 1)
    assert group(cameras, seen.detections, np.arange(3), GATE_M, NEW_GATE_M, 1, most=2).tolist() == [[0], [1]]


def test_where_one_view_is_enough_the_lone_ones_follow_the_groups():
    cameras, bodies = ring(3), crowd(2)
    seen = observe(cameras, bodies)
    of_one = np.flatnonzero(seen.owner == 1)
    free = np.concatenate([np.flatnonzero(seen.owner == 0), of_one[:1]])
    views = grouped(cameras, seen.detections, np.sort(free), needed=1)
    assert (views >= 0).sum(1).tolist() == [3, 1]
    assert seen.people(views) == [{0}, {1}]


def test_rays_that_meet_behind_the_cameras_are_not_one_person():
    cameras, bodies = ring(2), crowd(1)
    pose = cameras.cam_from_world.copy()
    seen = observe(cameras, bodies)
    pose[1] = np.diag([-1.0, 1.0, -1.0]) @ pose[1]
    d = seen.detections
    mirrored = Detections.of([d.xn[:1], d.xn[1:] * (1.0, -1.0)], [d.confidence[:1], d.confidence[1:]])
    turned = Cameras(pose, cameras.focal_px, cameras.bounds, cameras.dt_s, cameras.present)
    assert len(grouped(turned, mirrored)) == 0
    assert len(grouped(cameras, d)) == 1


def test_a_detection_with_too_few_joints_is_nobody():
    cameras, bodies = ring(2), crowd(1)
    d = observe(cameras, bodies).detections
    confidence = d.confidence.copy()
    confidence[0, 3:] = 0.0
    few = Detections.of([d.xn[:1], d.xn[1:]], [confidence[:1], confidence[1:]])
    assert len(grouped(cameras, few)) == 0
