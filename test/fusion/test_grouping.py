"""New people from detections that nobody known explains: exact in crowds, no ghosts, and the degenerate cases."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.fusion import grouping
from geo_pose_ros.fusion.grouping import Rays, group, midpoints, partners, ray_distance
from geo_pose_ros.fusion.views import CAP_M, Cameras, Detections

from .people import JOINTS, crowd, observe, ring

GATE_M, NEW_GATE_M = 0.25, 0.12


def grouped(cameras, detections, free=None, needed=2):
    free = np.arange(len(detections)) if free is None else free
    return group(cameras, detections, free, GATE_M, NEW_GATE_M, needed)


@pytest.mark.parametrize(('cameras', 'people'), [(2, 1), (3, 3), (4, 5), (6, 8), (12, 4), (12, 15)])
def test_everybody_is_one_group_with_all_their_detections(cameras, people):
    ring_of, bodies = ring(cameras), crowd(people)
    seen = observe(ring_of, bodies, noise=0.003, seed=cameras)
    views = grouped(ring_of, seen.detections)
    assert sorted(map(tuple, seen.people(views))) == [(p,) for p in range(people)]
    assert (views >= 0).sum() == len(seen.detections)


@pytest.mark.parametrize('seed', range(6))
def test_missing_detections_make_no_ghosts(seed):
    """A tenth of the detections of eight people before six cameras is missing."""
    cameras, bodies = ring(6), crowd(8, seed=seed)
    seen = observe(cameras, bodies, noise=0.003, missing=0.1, seed=seed)
    people = seen.people(grouped(cameras, seen.detections))
    assert all(len(owners) == 1 for owners in people)
    assert sorted(next(iter(owners)) for owners in people) == list(range(8))


def test_a_crowd_whose_cameras_are_only_paired_with_partners():
    """Thirty people before twelve cameras, 360 detections: each camera is paired with some of the others only."""
    cameras, bodies = ring(12, radius_m=8.0), crowd(30)
    seen = observe(cameras, bodies, noise=0.002)
    assert len(seen.detections) > grouping._FEW_DETECTIONS
    views = grouped(cameras, seen.detections)
    assert sorted(map(tuple, seen.people(views))) == [(p,) for p in range(30)]


def test_partners_look_at_one_place_from_different_sides():
    chosen = partners(ring(12).cam_from_world)
    assert (chosen == chosen.T).all() and not chosen.diagonal().any()
    assert chosen.sum(1).min() >= grouping._PARTNERS
    # Opposite cameras see the same two sides of everything.
    assert not chosen[np.arange(12), (np.arange(12) + 6) % 12].any()
    assert partners(ring(2).cam_from_world).tolist() == [[False, True], [True, False]]


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


def test_where_one_view_is_enough_the_lone_ones_follow_the_groups():
    cameras, bodies = ring(3), crowd(2)
    seen = observe(cameras, bodies)
    of_one = np.flatnonzero(seen.owner == 1)
    free = np.concatenate([np.flatnonzero(seen.owner == 0), of_one[:1]])
    views = grouped(cameras, seen.detections, np.sort(free), needed=1)
    assert (views >= 0).sum(1).tolist() == [3, 1]
    assert seen.people(views) == [{0}, {1}]


def test_the_best_supported_come_first():
    cameras, bodies = ring(4), crowd(2)
    seen = observe(cameras, bodies)
    fewer = np.flatnonzero((seen.owner == 1) & (seen.detections.camera == 2))
    views = grouped(cameras, seen.detections, np.setdiff1d(np.arange(8), fewer))
    assert (views >= 0).sum(1).tolist() == [4, 3] and seen.people(views) == [{0}, {1}]


def test_camera_order_is_irrelevant():
    cameras, bodies = ring(5), crowd(4)
    seen = observe(cameras, bodies, noise=0.003, missing=0.1, seed=1)
    d, order = seen.detections, np.array([3, 0, 4, 2, 1])
    index = [np.arange(d.starts[c], d.starts[c + 1]) for c in order]
    again = Detections.of([d.xn[i] for i in index], [d.confidence[i] for i in index])
    turned = Cameras(
        cameras.cam_from_world[order], cameras.focal_px[order], cameras.bounds, cameras.dt_s, cameras.present
    )
    name = np.append(np.concatenate(index), -1)
    first = sorted(tuple(sorted(row[row >= 0])) for row in grouped(cameras, d))
    second = sorted(tuple(sorted(name[row[row >= 0]])) for row in grouped(turned, again))
    assert first == second


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


def test_nobody():
    none = Detections.of([np.zeros((0, JOINTS, 2))] * 2, [np.zeros((0, JOINTS))] * 2)
    assert grouped(ring(2), none).shape == (0, 2)


def test_rays_pass_at_their_distance_and_meet_in_the_middle():
    cameras, bodies = ring(2), crowd(1)
    rays = Rays.of(cameras.cam_from_world, observe(cameras, bodies).detections, np.arange(2))
    pair = np.array([0]), np.array([1])
    np.testing.assert_allclose(ray_distance(rays, *pair), 0.0, atol=1e-6)
    np.testing.assert_allclose(midpoints(rays, *pair), bodies, atol=1e-9)
    # Behind an origin they count as far apart.
    assert ray_distance(replace(rays, direction=-rays.direction), *pair) == CAP_M
    # However many pairs are compared at once.
    many = ray_distance(rays, np.zeros(9000, int), np.tile([1, 0], 4500))
    np.testing.assert_allclose(many[::2], 0.0, atol=1e-6)
    local = cameras.see(bodies)
    spread = local[:, 0, :, :2] / local[:, 0, :, 2:]
    np.testing.assert_allclose(rays.spread, np.sqrt(spread.var(1).sum(-1)))
