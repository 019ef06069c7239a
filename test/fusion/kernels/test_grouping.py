# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled hypotheses of new people, each step against a slow one in numpy."""

import numpy as np
import pytest

from geo_pose_ros.fusion import grouping
from geo_pose_ros.fusion.grouping import group
from geo_pose_ros.fusion.kernels.grouping import Hypotheses, Rays, fill_rays, find_hypotheses, merge_hypotheses
from geo_pose_ros.fusion.views import Detections
from geo_pose_ros.geometry import rays as geometry

from ..people import crowd, observe, ring

CAMERAS = ring(4)


@pytest.fixture
def rays() -> Rays:
    d = observe(CAMERAS, crowd(3), noise=0.003).detections
    n = len(d)
    found = Rays(
        np.empty(n, int), np.empty((n, 3)), np.empty((n, 17, 3)), np.empty((n, 3)), np.empty(n), np.empty((n, 17), bool)
    )
    fill_rays(CAMERAS.cam_from_world, d.arrays, np.arange(n), found)
    np.testing.assert_allclose(found.spread, np.sqrt(((d.xn - d.centre[:, None]) ** 2).sum(-1).mean(1)))
    return found


def hypotheses(rays: Rays, most: int = 100) -> tuple[Hypotheses, int]:
    found = Hypotheses(np.empty((most, 2), int), np.empty((most, 3)), np.empty(most))
    return found, find_hypotheses(rays, ~np.eye(4, dtype=bool), 0.12, found)


def midpoints(rays: Rays, a: int, b: int) -> np.ndarray:
    base = rays.origin[b] - rays.origin[a]
    _, s, t = geometry.closest_points(base, rays.direction[a], rays.direction[b])
    return rays.origin[a] + 0.5 * (s[:, None] * rays.direction[a] + base + t[:, None] * rays.direction[b])


def test_hypotheses_are_pairs_whose_rays_nearly_meet(rays):
    found, count = hypotheses(rays)
    expected = {}
    for a, b in zip(*np.triu_indices(len(rays.camera), 1), strict=True):
        base = rays.origin[b] - rays.origin[a]
        middle, s, t = geometry.closest_points(base, rays.centre[a], rays.centre[b])
        size = sorted((rays.spread[a] * s, rays.spread[b] * t))
        if rays.camera[a] == rays.camera[b] or not (middle < 0.35 and min(s, t) > 0.0 and size[1] < 2.5 * size[0]):
            continue
        distance, s, t = geometry.closest_points(base, rays.direction[a], rays.direction[b])
        apart = np.where((s > 0.0) & (t > 0.0), np.minimum(distance, 0.4), 0.4).mean()
        if size[0] > 0.12 and size[1] < 1.0 and apart < 0.12:
            expected[a, b] = 1.0 - apart / 0.12
    assert list(map(tuple, found.pair[:count].tolist())) == list(expected) and count >= 18
    np.testing.assert_allclose(found.quality[:count], list(expected.values()))
    np.testing.assert_allclose(found.torso[:count], [midpoints(rays, a, b).mean(0) for a, b in expected])
    assert hypotheses(rays, most=7)[1] == 7


def test_hypotheses_that_lie_together_are_one_body_the_strongest_first(rays):
    found, count = hypotheses(rays)
    bodies = np.empty((count, 17, 3))
    merged = merge_hypotheses(rays, found, count, bodies)
    torso, quality = found.torso[:count], found.quality[:count]
    near = np.linalg.norm(torso[:, None] - torso, axis=-1) <= 0.25
    left, expected = np.ones(count, bool), []
    for best in np.argsort(-(near * quality).sum(1)):
        if left[best]:
            members = np.flatnonzero(near[best] & left)
            expected.append(np.mean([midpoints(rays, *found.pair[n]) for n in members], 0))
            left[members] = False
    np.testing.assert_allclose(bodies[:merged], expected)
    assert merged >= 3


def test_people_that_stand_in_one_place_are_found_with_bounded_work(monkeypatch):
    """Thirty detections alike in each of twelve cameras are as many hypotheses as there are pairs."""
    cameras, bodies = ring(12), crowd(1)
    d = observe(cameras, np.repeat(bodies, 30, 0)).detections
    counts = []

    def counted(*given):
        counts.append(find_hypotheses(*given))
        return counts[-1]

    monkeypatch.setattr(grouping, 'find_hypotheses', counted)
    views = group(cameras, d, np.arange(len(d)), 0.25, 0.12, 2)
    assert counts == [grouping._MOST_HYPOTHESES]
    assert len(views) == 1 and (views >= 0).all()


@pytest.mark.parametrize('needed', [1, 2])
def test_detections_without_a_keypoint_are_nobody_or_alone(needed):
    xn = np.full((200, 17, 2), np.nan)
    d = Detections.of([xn[:150], xn[:50]], [np.ones((150, 17)), np.ones((50, 17))])
    assert len(group(ring(2), d, np.arange(200), 0.25, 0.12, needed)) == (200 if needed == 1 else 0)
