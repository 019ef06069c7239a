# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which detections are known bodies: gates, weight, one detection for one body, and who has an excuse."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.fusion.association import assign_detections, find_missing_views
from geo_pose_ros.fusion.views import Cameras, Detections
from geo_pose_ros.skeleton import BODY17, mirror_of

from .people import JOINTS, crowd, observe, ring

# One camera at the origin that looks along z.
AHEAD = Cameras(
    np.eye(3, 4)[None], np.array([500.0]), np.array([[-1.0, -1.0, 1.0, 1.0]]), np.zeros(1), np.ones(1, bool)
)
SHAPE = np.random.default_rng(0).uniform(-0.3, 0.3, (JOINTS, 3)) * (1.0, 2.0, 0.0)


def at(*x_m: float, depth_m: float = 4.0) -> np.ndarray:
    """Flat bodies of one shape, side by side before the camera."""
    return np.stack([SHAPE + (x, 0.0, depth_m) for x in x_m])


def detected(*x_m: float) -> Detections:
    bodies = at(*x_m)
    return Detections.of([bodies[..., :2] / bodies[..., 2:]], [np.ones((len(x_m), JOINTS))])


def assigned(bodies, detections, gate_m=0.25, weight=1.0, cameras=AHEAD):
    count = len(bodies)
    return assign_detections(
        cameras.see(bodies), detections, np.broadcast_to(gate_m, count), np.broadcast_to(weight, count)
    )


@pytest.mark.parametrize(('cameras', 'people'), [(1, 3), (4, 5)])
def test_everybody_gets_all_their_detections(cameras, people):
    ring_of, bodies = ring(cameras), crowd(people)
    seen = observe(ring_of, bodies, noise=0.002, missing=0.1)
    views, nearest = assigned(bodies, seen.detections, cameras=ring_of)
    assert seen.people(views) == [{p} if (seen.owner == p).any() else set() for p in range(people)]
    assert (views >= 0).sum() == len(seen.detections)
    # Each detection lies in its own camera's column.
    row, camera = np.nonzero(views >= 0)
    assert (seen.detections.camera[views[row, camera]] == camera).all()
    assert nearest.max() < 0.05


def test_a_detection_with_its_sides_exchanged_is_of_the_same_person():
    cameras, bodies = ring(4), crowd(2)
    seen = observe(cameras, bodies)
    mirror = mirror_of(BODY17)
    turned = replace(seen.detections, xn=seen.detections.xn[:, mirror], seen=seen.detections.seen[:, mirror])
    local, gate, weight = cameras.see(bodies), np.full(2, 0.1), np.ones(2)
    views, nearest = assign_detections(local, turned, gate, weight, mirror)
    assert seen.people(views) == [{0}, {1}]
    assert nearest.max() <= 0.05
    # Unless nobody says what the mirror image of a joint is.
    assert (assign_detections(local, turned, gate, weight)[0] < 0).sum() > 4


def test_bodies_that_are_only_remembered_claim_nothing():
    bodies = np.concatenate([at(0.0), np.full((1, JOINTS, 3), np.nan)])
    views, nearest = assigned(bodies, detected(0.0, 1.0))
    assert views.tolist() == [[0], [-1]]
    np.testing.assert_allclose(nearest, [0.0, np.inf], atol=1e-12)


def missing_views(bodies, views, cameras=AHEAD, shadow_m=0.35):
    local = cameras.see(bodies)
    return find_missing_views(local, cameras, np.array(views), shadow_m)


def test_whoever_stands_behind_somebody_has_an_excuse():
    hidden = np.concatenate([at(0.0, depth_m=3.0), at(0.1, depth_m=5.0)])
    expected, unexcused = missing_views(hidden, [[0], [-1]])
    assert expected.tolist() == [[True], [True]]
    assert unexcused.tolist() == [[False], [False]]
    # Nobody hides the one in front, and the one behind stands free half a metre further.
    assert missing_views(hidden, [[-1], [0]])[1].tolist() == [[True], [False]]
    beside = np.concatenate([at(0.0, depth_m=3.0), at(0.8, depth_m=5.0)])
    assert missing_views(beside, [[0], [-1]])[1].tolist() == [[False], [True]]
    # At one depth, nobody hides anybody.
    assert missing_views(at(0.0, 0.2), [[0], [-1]])[1].tolist() == [[False], [True]]


def test_a_camera_need_not_see_who_is_outside_its_picture_nor_without_having_delivered():
    outside = at(4.1)
    # Fewer than seven of ten joints are in the picture.
    assert missing_views(outside, [[-1]])[0].tolist() == [[False]]
    absent = Cameras(AHEAD.cam_from_world, AHEAD.focal_px, AHEAD.bounds, AHEAD.dt_s, np.zeros(1, bool))
    assert missing_views(at(0.0), [[-1]], absent)[0].tolist() == [[False]]
    assert missing_views(np.full((1, JOINTS, 3), np.nan), [[-1]])[0].tolist() == [[False]]
