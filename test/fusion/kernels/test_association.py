# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The compiled assignment and missing views, each against a slow one in numpy and scipy."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from geo_pose_ros.fusion.association import assign_detections, find_missing_views
from geo_pose_ros.fusion.kernels.association import best_columns
from geo_pose_ros.fusion.kernels.distances import CAP_M, MIN_COMMON_JOINTS
from geo_pose_ros.fusion.kernels.equations import NEAR_M
from geo_pose_ros.fusion.views import Cameras
from geo_pose_ros.skeleton import BODY17, mirror_of

from ..people import crowd, observe, ring


def total(gain: np.ndarray, columns: np.ndarray) -> float:
    rows = np.flatnonzero(columns >= 0)
    assert len(set(columns[rows].tolist())) == len(rows)
    assert (gain[rows, columns[rows]] > 0.0).all()
    return gain[rows, columns[rows]].sum()


@pytest.mark.parametrize('shape', [(1, 1), (5, 9), (9, 5), (30, 30), (0, 3), (3, 0)], ids=str)
@pytest.mark.parametrize('share', [1.0, 0.15], ids=['dense', 'sparse'])
def test_the_assignment_has_the_largest_sum(shape, share):
    rng = np.random.default_rng(0)
    for _ in range(10):
        gain = np.where(rng.random(shape) < share, rng.random(shape), 0.0)
        rows, columns = linear_sum_assignment(gain, maximize=True)
        np.testing.assert_allclose(total(gain, best_columns(gain)), gain[rows, columns].sum(), atol=1e-12)


def test_of_many_alike_each_gets_one():
    assert sorted(best_columns(np.full((200, 200), 0.5)).tolist()) == list(range(200))


def lateral(joints: np.ndarray, xn: np.ndarray, seen: np.ndarray) -> float:
    valid = seen & np.isfinite(joints[:, 2])
    if valid.sum() < MIN_COMMON_JOINTS:
        return np.inf
    off = np.linalg.norm(joints[:, :2] - xn * joints[:, 2:], axis=-1)
    return np.minimum(np.where(joints[:, 2] > NEAR_M, off, CAP_M), CAP_M)[valid].mean()


def test_detections_are_assigned_as_by_the_slow_way():
    cameras, bodies, mirror = ring(5), crowd(8, spacing_m=0.6), mirror_of(BODY17)
    d = observe(cameras, bodies, noise=0.02, missing=0.2).detections
    some = np.random.default_rng(1).random((8, 17)) < 0.2
    local = cameras.see(np.where(some[..., None], np.nan, bodies))
    gate, weight = np.linspace(0.1, 0.3, 8), np.linspace(0.4, 1.0, 8)
    views, nearest = assign_detections(local, d, gate, weight, mirror)
    gain, expected = np.zeros((8, len(d))), np.full(len(d), np.inf)
    for n, c in enumerate(d.camera):
        for b in range(8):
            distance = lateral(local[c, b], d.xn[n], d.seen[n])
            if distance > 0.5 * gate[b]:
                distance = min(distance, lateral(local[c, b][mirror], d.xn[n], d.seen[n]))
            if distance < gate[b]:
                gain[b, n], expected[n] = (1.0 - distance / gate[b]) * weight[b], min(expected[n], distance)
    np.testing.assert_allclose(nearest, expected)
    for c in range(5):
        mine = np.arange(d.starts[c], d.starts[c + 1])
        rows, columns = linear_sum_assignment(gain[:, mine], maximize=True)
        best = {b: mine[n] for b, n in zip(rows, columns, strict=True) if gain[b, mine[n]] > 0.0}
        assert views[:, c].tolist() == [best.get(b, -1) for b in range(8)]


def in_image(cameras: Cameras, local: np.ndarray) -> np.ndarray:
    low, high, z = cameras.bounds[:, None, None, :2], cameras.bounds[:, None, None, 2:], local[..., 2:]
    return ((local[..., :2] >= low * z) & (local[..., :2] <= high * z)).all(-1) & (z[..., 0] > NEAR_M)


def test_views_are_missing_as_by_the_slow_way():
    cameras, bodies = ring(5, radius_m=3.0), crowd(12)
    bodies[3, 5:] = np.nan
    local, rng = cameras.see(bodies), np.random.default_rng(0)
    views = rng.integers(-1, 3, (12, 5))
    visible, missing = find_missing_views(local, cameras, views, 0.5)
    expected = in_image(cameras, local).sum(-1) >= 0.7 * np.isfinite(local[..., 2]).sum(-1)
    np.testing.assert_array_equal(visible.T, expected)
    centre = np.nanmean(local, -2)
    for c, body in np.ndindex(5, 12):
        depth = max(centre[c, body, 2], 1e-3)
        image = centre[c, :, :2] / np.maximum(centre[c, :, 2:], 1e-3)
        off = np.abs(image - image[body]) * depth
        hidden = ((off < (0.5, 1.5)).all(-1) & (centre[c, :, 2] < depth - 0.1)).any()
        assert missing[body, c] == (visible[body, c] and views[body, c] < 0 and not hidden)
    assert visible.any() and missing.any() and not (visible & (views < 0) == missing).all()
